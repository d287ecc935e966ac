"""Numbers between memory and registers, on as many lanes as there are at the moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.native.nest import Nest
from chainrule.native.text import ELEMENT, MEMORY, Writer
from chainrule.native.views import View
from chainrule.traced import Traced

__all__ = ["Access", "Place"]

Place = tuple[str, int]  # where an array lies: the name of a pointer, and elements from there


class Access:
    """Reads and writes what a nest's operations take and give.

    Attributes
    ----------
    w : Writer
    full : int
        The lanes of a whole vector.
    lanes : int
        How many numbers side by side are read, computed, written at the moment: ``full``, or 1.
    mask : str or None
        Which lanes there are, where not all.
    counters : list of str
        Those of the loops that are open, outermost first.
    """

    def __init__(self, nest: Nest, places: dict[Traced, Place]) -> None:
        self.nest, self.places = nest, places
        self.w = Writer()
        self.full = self.lanes = 1
        self.mask: str | None = None
        self.counters: list[str] = []

    def _t(self, x: Traced) -> str:
        kind = ELEMENT[x.dtype.char]
        return kind if self.lanes == 1 else f"<{self.lanes} x {kind}>"

    def _set(self, text: str) -> str:
        return self.w.set(text)

    def _splat(self, x: Traced, value: str) -> str:
        return value if self.lanes == 1 else f"splat ({ELEMENT[x.dtype.char]} {value})"

    def count(self, d: int | None, first: int, element: str) -> str:
        """The counter of a loop, from ``first`` on, in every lane; of the innermost one each lane's own."""
        start = self.w.index([] if d is None else [(self.counters[d], 1)], first)
        if element != "i64":
            start = self._set(f"trunc i64 {start} to {element}")
        if self.lanes == 1:
            return start
        t = f"<{self.lanes} x {element}>"
        one = self._set(f"insertelement {t} poison, {element} {start}, i64 0")
        many = self._set(f"shufflevector {t} {one}, {t} poison, <{self.lanes} x i32> zeroinitializer")
        if d != len(self.nest.loops) - 1:
            return many
        steps = ", ".join(f"{element} {k}" for k in range(self.lanes))
        return self._set(f"add {t} {many}, <{steps}>")

    def _across(self, size: int) -> Iterator[str]:
        """Loops over so many elements that lie side by side: whole vectors, then what is left one by one."""
        whole, rest = divmod(size, self.full)
        for lanes, count, done in ((self.full, whole, 0), (1, rest, whole * self.full)):
            if count:
                self.lanes, self.mask = lanes, None
                with self.w.loop(count) as i:
                    yield self.w.index([(i, lanes)], done)

    def _read(self, m: Traced, at: str) -> str:
        """The numbers side by side at a pointer, no mask on them."""
        return self._set(f"load {self._t(m)}, ptr {at}, align {m.dtype.itemsize}")

    def _write(self, m: Traced, value: str, at: str) -> None:
        self.w.line(f"store {self._t(m)} {value}, ptr {at}, align {m.dtype.itemsize}")

    def _address(self, kind: str, base: str, strides: Sequence[int], offset: int) -> str:
        at = self.w.index(list(zip(self.counters, strides, strict=False)), offset)
        return base if at == "0" else self.w.set(f"getelementptr {kind}, ptr {base}, i64 {at}")

    def _load(self, x: Traced, view: View, strides: tuple[int, ...]) -> str:
        base, first = self.places[view.base]
        return self._load_at(x, base, strides, view.offset + first)

    def _load_at(self, x: Traced, base: str, strides: Sequence[int], offset: int) -> str:
        kind = MEMORY[x.dtype.char]
        at = self._address(kind, base, strides, offset)
        step = strides[len(self.counters) - 1] if self.counters and len(strides) >= len(self.counters) else 0
        size = 1 if kind == "i8" else 8 if kind in ("double", "i64") else 4
        if self.lanes == 1:
            y = self.w.set(f"load {kind}, ptr {at}, align {size}")
        elif step == 0:
            one = self.w.set(f"load {kind}, ptr {at}, align {size}")
            t = f"<{self.lanes} x {kind}>"
            y = self.w.set(f"insertelement {t} poison, {kind} {one}, i64 0")
            y = self.w.set(f"shufflevector {t} {y}, {t} poison, <{self.lanes} x i32> zeroinitializer")
        elif step == 1:
            t = f"<{self.lanes} x {kind}>"
            if self.mask is None:
                y = self.w.set(f"load {t}, ptr {at}, align {size}")
            else:
                y = self._masked("load", t, kind, at, size)
        else:
            t = f"<{self.lanes} x {kind}>"
            steps = ", ".join(f"i64 {k * step}" for k in range(self.lanes))
            ats = self.w.set(f"getelementptr {kind}, ptr {at}, <{self.lanes} x i64> <{steps}>")
            y = self._masked("gather", t, kind, ats, size)
        if kind == "i8":
            t = f"<{self.lanes} x i8>" if self.lanes != 1 else "i8"
            y = self.w.set(f"icmp ne {t} {y}, {'zeroinitializer' if self.lanes != 1 else '0'}")
        return y

    def _masked(self, how: str, t: str, kind: str, at: str, size: int) -> str:
        n = self.lanes
        short = f"v{n}{ {'double': 'f64', 'float': 'f32'}.get(kind, kind) }"
        mask = self.mask or "splat (i1 true)"
        where = f"<{n} x ptr>" if how == "gather" else "ptr"
        name = f"@llvm.masked.{how}.{short}.{f'v{n}p0' if how == 'gather' else 'p0'}"
        self.w.declared.add(f"declare {t} {name}({where}, <{n} x i1>, {t})")
        return self.w.set(
            f"call {t} {name}({where} align {size} {at}, <{n} x i1> {mask}, {t} zeroinitializer)"
        )

    def _store(self, m: Traced, value: str) -> None:
        base, first = self.places[m]
        self._store_at(m, value, base, self.nest.out[m][1], first)

    def _store_at(self, m: Traced, value: str, base: str, strides: Sequence[int], offset: int) -> None:
        kind = MEMORY[m.dtype.char]
        at = self._address(kind, base, strides, offset)
        n = self.lanes
        t = kind if n == 1 else f"<{n} x {kind}>"
        size = 1 if kind == "i8" else 8 if kind in ("double", "i64") else 4
        if kind == "i8":
            value = self.w.set(f"zext {'i1' if n == 1 else f'<{n} x i1>'} {value} to {t}")
        step = strides[len(self.counters) - 1] if self.counters and len(strides) >= len(self.counters) else 0
        if n == 1:
            self.w.line(f"store {kind} {value}, ptr {at}, align {size}")
        elif step == 1 and self.mask is None:
            self.w.line(f"store {t} {value}, ptr {at}, align {size}")
        elif step == 1:
            short = f"v{n}{ {'double': 'f64', 'float': 'f32'}.get(kind, kind) }"
            name = f"@llvm.masked.store.{short}.p0"
            self.w.declared.add(f"declare void {name}({t}, ptr, <{n} x i1>)")
            self.w.line(f"call void {name}({t} {value}, ptr align {size} {at}, <{n} x i1> {self.mask})")
        elif step == 0:
            one = self.w.set(f"extractelement {t} {value}, i64 0")
            self.w.line(f"store {kind} {one}, ptr {at}, align {size}")
        else:
            short = f"v{n}{ {'double': 'f64', 'float': 'f32'}.get(kind, kind) }"
            steps = ", ".join(f"i64 {k * step}" for k in range(n))
            ats = self.w.set(f"getelementptr {kind}, ptr {at}, <{n} x i64> <{steps}>")
            name = f"@llvm.masked.scatter.{short}.v{n}p0"
            self.w.declared.add(f"declare void {name}({t}, <{n} x ptr>, <{n} x i1>)")
            mask = self.mask or "splat (i1 true)"
            self.w.line(f"call void {name}({t} {value}, <{n} x ptr> align {size} {ats}, <{n} x i1> {mask})")
