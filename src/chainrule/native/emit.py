"""Loop nests as LLVM IR: vectors along the innermost loop, rows outside.

A nest is written row by row: what varies only over the outer loops once a row, then the inner loops
in stages. A stage ends where a result reduced over the row is needed; what later stages need again
is computed again, or, if it is dear, kept in a buffer of one row's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import numpy as np

from chainrule.native.elementwise import elementwise, extreme, is_number, number, partners
from chainrule.native.nest import Nest
from chainrule.native.operations import REDUCTIONS
from chainrule.native.text import ELEMENT, MEMORY, Writer, literal
from chainrule.native.vectormath import FUNCTIONS
from chainrule.native.views import View
from chainrule.traced import Traced

__all__ = ["ATTRIBUTES", "Emitter", "Place", "emit_nest"]

Place = tuple[str, int]  # where an array lies: the name of a pointer, and elements from there

LONG = 400  # operations above which a loop's code is not written twice, for whole vectors and for the rest
# Without stackrealign LLVM puts vectors that do not fit into registers wherever the stack begins: where that
# is no multiple of 64 they lie across cache lines, and loops take up to twice as long.
ATTRIBUTES = '"prefer-vector-width"="512" "stackrealign" nounwind'

CHUNK = 64  # vectors added up before their sum is added to the next level's: rounding grows slowly


class Emitter:
    """Writes one nest."""

    def __init__(self, nest: Nest, places: dict[Traced, Place], bits: int, scratch: str) -> None:
        self.nest, self.places = nest, places
        self.w = Writer()
        self.needs: set[tuple[str, str, int]] = set()
        self.scratch_pointer, self.scratch = scratch, 0
        sizes = [v.dtype.itemsize for m in nest.inside for v in (m, *m.inputs) if v.dtype.char in "dfql"]
        widest = max([4, *sizes])
        self.inner = nest.loops[-1] if nest.loops else 1
        self.full = bits // (8 * widest)
        # Several vectors in turn, because a function waits for the one before it.
        depth = _depth(nest.cluster.members)
        several = 4 if depth > 8 else 2 if depth else 1
        if self.inner >= 4 * several * self.full:
            self.full *= several
        self.full = min(self.full, 1 << max(self.inner - 1, 0).bit_length())
        self.lanes = 1
        self.row: dict[Any, str] = {}  # values of this row, as scalars
        self.env: dict[Any, str] = {}  # values of this vector
        self.counters: list[str] = []
        self.mask: str | None = None
        self.kept: dict[Traced, str] = {}
        self.at_row = False
        self.keeps_rows = True  # whether what is known of a row is stored
        self._now = 0
        given = {places[v.base] for v, _ in nest.accesses.values()}
        self.late = {m for m in nest.stored if places[m] in given}  # written over an operand
        self.level = self._stages()
        self.partner = partners(nest.cluster.members)

    # ---------------------------------------------------------------- which stage computes what

    def _stages(self) -> dict[Traced, int]:
        """For elements the first stage that can compute them, for rows the one after which they are known."""
        n = self.nest
        level: dict[Traced, int] = {}
        self.rows = {m for m in n.rows if m.op not in REDUCTIONS or self._is_row(m)}
        for m in n.cluster.members:
            stage = -1 if m in self.rows and m.op not in REDUCTIONS else 0
            for x in m.inputs:
                b, _ = n.views.alias(x)
                if b in n.inside and (n.accesses.get((m, x)) is None):
                    after = level[b]
                    if (b in self.rows and m not in self.rows) or (b in self.rows and m.op in REDUCTIONS):
                        after += 1
                    stage = max(stage, after)
            level[m] = stage
        self.stages = (
            max((s for m, s in level.items() if m not in self.rows or m.op in REDUCTIONS), default=-1) + 1
        )
        return level

    def _is_row(self, m: Traced) -> bool:
        return self.nest.reduced[m] == set(range(self.nest.split, len(self.nest.loops)))

    # ---------------------------------------------------------------- the nest

    def write(self) -> None:
        self._dear()
        self._rows()

    def _rows(self) -> None:
        n = self.nest
        outside = [m for m in n.stored if m.op in REDUCTIONS and not self._is_row(m)]
        for m in outside:
            self._fill(m)
        with self._loops(range(n.split)):
            self.row = {}
            self._row_level(-1)
            for stage in range(self.stages):
                self._stage(stage)
                self._row_level(stage)

    def _loops(self, which: Sequence[int]) -> ExitStack:
        stack = ExitStack()
        for d in which:
            self.counters.append(stack.enter_context(self._turns(d)))
        return stack

    # What `chainrule.native.team` does otherwise, where several threads share a nest:

    def _turns(self, d: int) -> AbstractContextManager[str]:
        """One of the loops but the innermost."""
        return self.w.loop(self.nest.loops[d])

    def _runs(self, count: int) -> AbstractContextManager[str]:
        """The innermost loop's whole vectors, or whole chunks of them."""
        return self.w.loop(count)

    def _last(self) -> AbstractContextManager[None]:
        """Around what is left of the innermost loop."""
        return nullcontext()

    def _finish(self, m: Traced, place: tuple[str, str | None]) -> None:
        """A row's result is complete."""
        self.row[m] = self._total(m, place)

    def _buffer(self, size: int) -> str:
        """A pointer to scratch memory."""
        place = self.w.early(f"getelementptr i8, ptr {self.scratch_pointer}, i64 {self.scratch}")
        self.scratch += -(-size // 64) * 64
        return place

    def _fill(self, m: Traced) -> None:
        """Set all of a result that is accumulated in memory to where it starts from."""
        with self.w.loop(max(m.size, 1)) as i:
            self._begin(m, i)

    def _begin(self, m: Traced, i: str) -> None:
        """The same for element ``i``."""
        kind, value = MEMORY[m.dtype.char], _identity(m)
        base, first = self.places[m]
        at = self.w.set(f"getelementptr {kind}, ptr {base}, i64 {self.w.index([(i, 1)], first)}")
        self.w.line(f"store {kind} { {'false': '0', 'true': '1'}.get(value, value) }, ptr {at}")

    def _row_level(self, after: int) -> None:
        """What is known of a row after a stage, stored where others need it."""
        self.lanes, self.mask, self.at_row = 1, None, True
        late = []
        for m in self.nest.cluster.members:
            if m in self.rows and self.level[m] == after:
                if m.op not in REDUCTIONS:
                    self.row[m] = elementwise(self, m, [self._operand(i, m) for i in m.inputs])
                if m in self.late:
                    late.append(m)
                elif m in self.nest.out and self.keeps_rows:
                    self._store(m, self.row[m])
        for m in late if self.keeps_rows else ():
            self._store(m, self.row[m])
        self.at_row = False

    def _stage(self, stage: int) -> None:
        n, self._now = self.nest, stage
        members = [m for m in n.cluster.members if m not in self.rows or m.op in REDUCTIONS]
        reductions = [m for m in members if m.op in REDUCTIONS and self.level[m] == stage]
        stores = [m for m in members if m.op not in REDUCTIONS and m in n.out and self.level[m] == stage]
        keeps = [m for m in self.kept if self.level[m] == stage and m not in n.out]
        if not (reductions or stores or keeps):
            return
        held = {m: self._accumulator(m) for m in reductions if self._is_row(m)}
        inner = range(n.split, len(n.loops) - 1)
        depth = len(self.counters)
        with self._loops(inner):
            partial = {
                m: self._accumulator(m)
                for m in reductions
                if m not in held and len(n.loops) and len(n.loops) - 1 in n.reduced[m]
            }
            self._strips(lambda: self._body(reductions, stores, keeps, held | partial), held | partial)
            for m, place in partial.items():
                self.lanes, self.mask = 1, None
                self._accumulate_scalar(m, self._total(m, place))
        del self.counters[depth:]
        for m, place in held.items():
            self._finish(m, place)

    def _strips(self, body: Callable[[], None], held: dict[Traced, Any]) -> None:
        """The innermost loop: whole vectors, then what is left under a mask."""
        w, size, lanes = self.w, self.inner if self.nest.loops else 1, self.full
        whole, rest = divmod(size, lanes)
        if not self.nest.loops:
            self.lanes, self.mask, self.env = 1, None, {}
            body()
            return

        def strip(i: str, mask: str | None) -> None:
            self.lanes, self.mask, self.env = lanes, mask, {}
            self.counters.append(i)
            body()
            self.counters.pop()

        if whole and rest and len(self.nest.inside) > LONG:  # the code once, though it is a mask slower
            steps = ", ".join(f"i64 {k}" for k in range(lanes))
            with w.loop(whole + 1) as i:
                start = w.index([(i, lanes)])
                t = f"<{lanes} x i64>"
                one = self._set(f"insertelement {t} poison, i64 {start}, i64 0")
                every = self._set(f"shufflevector {t} {one}, {t} poison, <{lanes} x i32> zeroinitializer")
                at = self._set(f"add {t} {every}, <{steps}>")
                strip(start, self._set(f"icmp ult {t} {at}, splat (i64 {size})"))
            return
        odd = 0
        if whole:
            if whole > 2 * CHUNK and any(a[1] is not None for a in held.values()):
                chunks, odd = divmod(whole, CHUNK)
                with self._runs(chunks) as c:
                    with w.loop(CHUNK) as i:
                        k = w.index([(c, CHUNK * lanes), (i, lanes)])
                        strip(k, None)
                    for m, a in held.items():
                        self._carry(m, a)
            else:
                with self._runs(whole) as i:
                    strip(w.index([(i, lanes)]), None)
        if not (odd or rest):
            return
        with self._last():
            if odd:
                with w.loop(odd) as i:
                    strip(w.index([(i, lanes)], (whole - odd) * lanes), None)
            if rest and lanes == 1:
                strip(str(whole * lanes), None)
            elif rest:
                bits = ", ".join(f"i1 {'true' if k < rest else 'false'}" for k in range(lanes))
                strip(str(whole * lanes), f"<{bits}>")

    def _body(self, reductions: Any, stores: Any, keeps: Any, held: dict[Traced, Any]) -> None:
        for m in reductions:
            x = self._value(m.inputs[0], m)
            if self.mask is not None:
                x = self._set(f"select <{self.lanes} x i1> {self.mask}, {self._t(m)} {x}, "
                              f"{self._t(m)} {self._splat(m, _identity(m))}")  # fmt: skip
            if m in held:
                place = held[m][0]
                old = self._set(f"load {self._t(m)}, ptr {place}")
                self.w.line(f"store {self._t(m)} {self._combine(m, old, x)}, ptr {place}")
            else:
                old = self._load(m, *self.nest.out[m])
                self._store(m, self._combine(m, old, x))
        for m in stores:
            if m not in self.late:
                self._store(m, self._value(m, None))
        for m in keeps:
            x = self._value(m, None)
            self._store_at(m, x, self.kept[m], [0] * (len(self.counters) - 1) + [1], 0)
        late = [(m, self._value(m, None)) for m in stores if m in self.late]
        for m, x in late:
            self._store(m, x)

    # ---------------------------------------------------------------- values

    def _t(self, x: Traced) -> str:
        kind = ELEMENT[x.dtype.char]
        return kind if self.lanes == 1 else f"<{self.lanes} x {kind}>"

    def _set(self, text: str) -> str:
        return self.w.set(text)

    def _splat(self, x: Traced, value: str) -> str:
        return value if self.lanes == 1 else f"splat ({ELEMENT[x.dtype.char]} {value})"

    def _spread(self, x: Traced, value: str) -> str:
        """A row's number in every lane."""
        if self.lanes == 1:
            return value
        if not value.startswith("%"):
            return self._splat(x, value)
        key = ("spread", value)
        if key not in self.env:
            t, kind = self._t(x), ELEMENT[x.dtype.char]
            one = self._set(f"insertelement {t} poison, {kind} {value}, i64 0")
            self.env[key] = self._set(
                f"shufflevector {t} {one}, {t} poison, <{self.lanes} x i32> zeroinitializer"
            )
        return self.env[key]

    def _value(self, x: Traced, user: Traced | None) -> str:
        """``x`` as ``user`` reads it, in the lanes of now. No recursion: chains may be long."""
        wanted: list[tuple[Traced, Traced | None]] = [(x, user)]
        while wanted:
            y, reader = wanted[-1]
            if self._known(y, reader) is not None:
                wanted.pop()
                continue
            b, _ = self.nest.views.alias(y)
            missing = [(i, b) for i in b.inputs if self._known(i, b) is None]
            if missing:
                wanted += reversed(missing)
            else:
                wanted.pop()
                self.env[b] = elementwise(self, b, [self._operand(i, b) for i in b.inputs])
        found = self._known(x, user)
        assert found is not None
        return found

    def _known(self, x: Traced, user: Traced | None) -> str | None:
        """An operand that is at hand, or can be loaded; None if it has to be computed first."""
        b, _ = self.nest.views.alias(x)
        if is_number(b):
            return self._splat(b, number(b))
        if user is not None and (user, x) in self.nest.counts:
            return self.count(self.nest.counts[user, x], b.params["start"])
        cache = self.row if self.at_row else self.env
        if user is not None and (user, x) in self.nest.accesses:
            key = self.nest.accesses[user, x]
            if key not in cache:
                cache[key] = self._load(x, *key)
            return cache[key]
        if b in self.row:
            return self._spread(b, self.row[b])
        if b not in self.env and b in self.kept and self.level[b] < self._now:
            if b in self.nest.out:
                self.env[b] = self._load(b, *self.nest.out[b])
            else:
                self.env[b] = self._load_at(b, self.kept[b], [0] * (len(self.counters) - 1) + [1], 0)
        return self.env.get(b)

    def _operand(self, x: Traced, user: Traced) -> str:
        found = self._known(x, user)
        assert found is not None, (x, user)
        return found

    def count(self, d: int | None, first: int) -> str:
        """The counter of a loop, from ``first`` on, in every lane; of the innermost one each lane's own."""
        start = self.w.index([] if d is None else [(self.counters[d], 1)], first)
        if self.lanes == 1:
            return start
        one = self._set(f"insertelement <{self.lanes} x i64> poison, i64 {start}, i64 0")
        t = f"<{self.lanes} x i64>"
        many = self._set(f"shufflevector {t} {one}, {t} poison, <{self.lanes} x i32> zeroinitializer")
        if d != len(self.nest.loops) - 1:
            return many
        steps = ", ".join(f"i64 {k}" for k in range(self.lanes))
        return self._set(f"add {t} {many}, <{steps}>")

    # ---------------------------------------------------------------- memory

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

    # ---------------------------------------------------------------- reductions

    def _accumulator(self, m: Traced) -> tuple[str, str | None]:
        """Where a sum grows, and where its chunks are added up if there are many."""
        lanes, self.lanes = self.lanes, self.full if self.nest.loops else 1
        t = self._t(m)
        place = self.w.early(f"alloca {t}")
        start = f"{t} {self._splat(m, _identity(m))}"
        self.w.line(f"store {start}, ptr {place}")
        second = None
        if m.op == "sum" and m.dtype.kind == "f" and self.inner // self.full > 2 * CHUNK:
            second = self.w.early(f"alloca {t}")
            self.w.line(f"store {start}, ptr {second}")
        self.lanes = lanes
        return place, second

    def _carry(self, m: Traced, a: tuple[str, str | None]) -> None:
        place, second = a
        if second is None:
            return
        t = self._t(m)
        x, y = self._set(f"load {t}, ptr {place}"), self._set(f"load {t}, ptr {second}")
        self.w.line(f"store {t} {self._combine(m, x, y)}, ptr {second}")
        self.w.line(f"store {t} {self._splat(m, _identity(m))}, ptr {place}")

    def _total(self, m: Traced, a: tuple[str, str | None]) -> str:
        """The lanes of an accumulator as one number."""
        self.lanes, self.mask = self.full if self.nest.loops else 1, None
        self._carry(m, a)
        t = self._t(m)
        x = self._set(f"load {t}, ptr {a[1] or a[0]}")
        n = self.lanes
        while n > 1:  # halves on top of each other
            h = n // 2
            kind = ELEMENT[m.dtype.char]
            low = ", ".join(f"i32 {k}" for k in range(h))
            high = ", ".join(f"i32 {k}" for k in range(h, n))
            whole = f"<{n} x {kind}>"
            p = self._set(f"shufflevector {whole} {x}, {whole} poison, <{h} x i32> <{low}>")
            q = self._set(f"shufflevector {whole} {x}, {whole} poison, <{h} x i32> <{high}>")
            self.lanes = h
            if h == 1:
                p = self._set(f"extractelement <1 x {kind}> {p}, i64 0")
                q = self._set(f"extractelement <1 x {kind}> {q}, i64 0")
            x = self._combine(m, p, q)
            n = h
        self.lanes = 1
        return x

    def _combine(self, m: Traced, x: str, y: str) -> str:
        t = self._t(m)
        real = m.dtype.kind == "f"
        if m.op == "sum":
            return self._set(f"{'fadd contract' if real else 'add'} {t} {x}, {y}")
        if m.op == "prod":
            return self._set(f"{'fmul' if real else 'mul'} {t} {x}, {y}")
        if m.op in ("any", "all"):
            return self._set(f"{'or' if m.op == 'any' else 'and'} {t} {x}, {y}")
        return extreme(self, m.op, t, real, x, y)

    def _accumulate_scalar(self, m: Traced, value: str) -> None:
        view, strides = self.nest.out[m]
        old = self._load(m, view, strides)
        self._store(m, self._combine(m, old, value))

    # ---------------------------------------------------------------- what is kept for later stages

    def _dear(self) -> None:
        """Choose which elements a later stage shall load and not compute again."""
        n = self.nest
        if self.stages < 2:
            return
        last: dict[Traced, int] = {}
        for m in n.cluster.members:
            if m in self.rows and m.op not in REDUCTIONS:
                continue
            for x in m.inputs:
                b, _ = n.views.alias(x)
                if b in n.inside and b not in self.rows and (m, x) not in n.accesses:
                    last[b] = max(last.get(b, 0), self.level[m])
        # uses reach through cheap members: walk back so that a stage's needs are known at the source
        for m in reversed(n.cluster.members):
            if m in last and m.op not in REDUCTIONS:
                for x in m.inputs:
                    b, _ = n.views.alias(x)
                    if (
                        b in n.inside
                        and b not in self.rows
                        and (m, x) not in n.accesses
                        and m.op not in _DEAR
                    ):
                        last[b] = max(last.get(b, 0), last[m])
        for m, stage in last.items():
            if stage > self.level[m] and (m.op in _DEAR or m in n.out) and len(n.loops) - n.split == 1:
                if m in n.out:
                    self.kept[m] = ""
                else:
                    self.kept[m] = self._buffer(self.inner * m.dtype.itemsize)


_DEAR = frozenset(FUNCTIONS) | {"divide", "sqrt", "sech2", "sigmoid", "power"}


def _identity(m: Traced) -> str:
    kind = ELEMENT[m.dtype.char]
    if m.op in ("any", "all"):
        return "false" if m.op == "any" else "true"
    if kind in ("double", "float"):
        return literal(kind, {"sum": -0.0, "prod": 1.0, "max": -math.inf, "min": math.inf}[m.op])
    limits = np.iinfo(m.dtype)
    return str({"sum": 0, "prod": 1, "max": limits.min, "min": limits.max}[m.op])


def _depth(members: Sequence[Traced]) -> int:
    """How many functions stand one after the other in the longest chain."""
    depth: dict[Traced, int] = {}
    for m in members:
        depth[m] = max((depth.get(i, 0) for i in m.inputs), default=0) + (m.op in FUNCTIONS)
    return max(depth.values())


def emit_nest(
    name: str, nest: Nest, places: dict[Traced, Place], bits: int
) -> tuple[str, set[str], set[tuple[str, str, int]], int]:
    """One nest as a function ``@name(ptr, ..., ptr %scratch)`` of the pointers in ``places``, each once.

    Returns
    -------
    text, declarations, functions of `vectormath` needed, bytes of scratch
    """
    e = Emitter(nest, places, bits, "%scratch")
    e.write()
    names = dict.fromkeys(p for p, _ in places.values())
    parameters = ", ".join(f"ptr noalias {p}" for p in [*names, "%scratch"])
    return e.w.text(name, parameters, ATTRIBUTES), e.w.declared, e.needs, e.scratch
