"""What writes a function that moves numbers: addresses, loads, stores, copies of blocks, loops over axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from chainrule.native.text import MEMORY, Writer, literal, short
from chainrule.native.views import Views
from chainrule.traced import Traced

__all__ = ["Checks", "Mover", "Number", "Site", "Source", "Spot", "Strides", "in_memory", "joined", "vector"]


class Site(NamedTuple):
    """A place in the program that checks an index: the operation, and the size of the indexed axis."""

    op: str
    size: int


@dataclass
class Checks:
    """How a program tells of a wrong index.

    Attributes
    ----------
    cell : int or None
        The first of two cells: the number of a site, counted from 1, and the wrong index.
    sites : list of Site
        Where indices are checked.
    """

    cell: int | None = None
    sites: list[Site] = field(default_factory=list)


class Spot(NamedTuple):
    """Elements in memory from ``pointer + offset + Σ counter * stride`` on."""

    pointer: str
    offset: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    def on(self, offset: int) -> Spot:
        return Spot(self.pointer, self.offset + offset, self.terms)

    def along(self, counter: str, stride: int) -> Spot:
        return Spot(self.pointer, self.offset, (*self.terms, (counter, stride)))


class Number(NamedTuple):
    """A number to be written into the code, instead of elements in memory."""

    text: str

    def on(self, offset: int) -> Number:
        return self

    def along(self, counter: str, stride: int) -> Number:
        return self


Strides = tuple[int, ...]
Source = Spot | Number
_Row = Callable[[Source, Spot, int], None]  # from where, to where, how many lanes


def joined(shape: tuple[int, ...], *strides: Strides) -> list[tuple[int, ...]]:
    """(size, stride, stride, ...) of each axis; neighbours that all strides run through as one are one."""
    axes: list[tuple[int, ...]] = []
    for column in zip(shape, *strides, strict=True):
        n = column[0]
        if n == 1:
            continue
        if axes and all(a == b * n for a, b in zip(axes[-1][1:], column[1:], strict=True)):
            axes[-1] = (axes[-1][0] * n, *column[1:])
        else:
            axes.append(column)
    return axes


def vector(lanes: int, t: str) -> str:
    """The type of so many ``t`` side by side."""
    return t if lanes == 1 else f"<{lanes} x {t}>"


def in_memory(x: Traced) -> tuple[str, int]:
    """Type and bytes of an element as it lies in memory."""
    return MEMORY[x.dtype.char], x.dtype.itemsize


class Mover:
    """Writes one of the functions.

    Attributes
    ----------
    t : str
        Type of the result's elements as they lie in memory.
    lanes : int
        Of them in a vector.
    wanted : set
        Index arrays and sizes to be compared on the way.
    """

    def __init__(
        self, x: Traced, views: Views, places: dict[Traced, tuple[str, int]], bits: int,
        checks: Checks, wanted: set[tuple[Traced, int]],
    ) -> None:  # fmt: skip
        self.x, self.views, self.places, self.checks = x, views, places, checks
        self.wanted = wanted
        self.w = Writer()
        self.t, self.size = in_memory(x)
        self.bits, self.lanes = bits, bits // (8 * self.size)
        self.out = Spot(*places[x])

    def source(self, i: Traced) -> tuple[Source, Strides]:
        """Where an operand lies, or the number it is."""
        view = self.views.view(i)
        assert view is not None
        base = view.base
        if base not in self.places:
            value = np.asarray(base.params["value"]).astype(base.dtype)[()]
            return Number(literal(in_memory(base)[0], value.item())), (0,) * i.ndim
        pointer, first = self.places[base]
        return Spot(pointer, first + view.offset), view.strides

    # ---------------------------------------------------------------- memory

    def address(self, at: Spot, t: str | None = None) -> str:
        index = self.w.index(list(at.terms), at.offset)
        if index == "0":
            return at.pointer
        return self.w.set(f"getelementptr {t or self.t}, ptr {at.pointer}, i64 {index}")

    def load(self, at: Source, lanes: int = 1, apart: int = 1) -> str:
        """As many elements as there are lanes, so far apart; 0: one in every lane."""
        t = vector(lanes, self.t)
        if isinstance(at, Number):
            return at.text if lanes == 1 else f"splat ({self.t} {at.text})"
        address = self.address(at)
        if lanes == 1 or apart == 1:
            return self.w.set(f"load {t}, ptr {address}, align {self.size}")
        if apart == 0:
            return self.spread(self.w.set(f"load {self.t}, ptr {address}, align {self.size}"), self.t, lanes)
        steps = ", ".join(f"i64 {k * apart}" for k in range(lanes))
        many = self.w.set(f"getelementptr {self.t}, ptr {address}, <{lanes} x i64> <{steps}>")
        name = f"@llvm.masked.gather.{short(t)}.v{lanes}p0"
        self.w.declared.add(f"declare {t} {name}(<{lanes} x ptr>, <{lanes} x i1>, {t})")
        every = f"<{lanes} x i1> splat (i1 true)"
        return self.w.set(f"call {t} {name}(<{lanes} x ptr> align {self.size} {many}, {every}, {t} poison)")

    def store(self, value: str, at: Spot, lanes: int = 1) -> None:
        self.w.line(f"store {vector(lanes, self.t)} {value}, ptr {self.address(at)}, align {self.size}")

    def spread(self, value: str, t: str, lanes: int) -> str:
        """One number in every lane."""
        if lanes == 1:
            return value
        v = vector(lanes, t)
        one = self.w.set(f"insertelement {v} poison, {t} {value}, i64 0")
        return self.w.set(f"shufflevector {v} {one}, {v} poison, <{lanes} x i32> zeroinitializer")

    def zeros(self, count: int, at: Spot) -> None:
        if count:
            self.w.declared.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
            self.w.line(
                f"call void @llvm.memset.p0.i64(ptr align {self.size} {self.address(at)}, i8 0, "
                f"i64 {count * self.size}, i1 false)"
            )

    def block(self, count: int, source: Spot, target: Spot) -> None:
        self.w.declared.add("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        self.w.line(
            f"call void @llvm.memcpy.p0.p0.i64(ptr align {self.size} {self.address(target)}, "
            f"ptr align {self.size} {self.address(source)}, i64 {count * self.size}, i1 false)"
        )

    def strips(self, count: int, body: Callable[[str, int], None]) -> None:
        """Call ``body(first element, lanes)`` for vectors along an axis; ever shorter ones at its end."""
        lanes, done = self.lanes, 0
        while lanes:
            whole, lanes_now = (count - done) // lanes, lanes
            if whole:
                with self.w.loop(whole) as i:
                    body(self.w.index([(i, lanes_now)], done), lanes_now)
            done += whole * lanes
            lanes //= 2

    # ---------------------------------------------------------------- copying

    def copy(
        self, shape: tuple[int, ...], source: Source, strides: Strides, target: Spot, out: Strides
    ) -> None:
        if 0 in shape:
            return
        axes = joined(shape, strides, out)

        def level(k: int, s: Source, t: Spot) -> None:
            if k == len(axes):
                self.store(self.load(s), t)
                return
            n, a, b = axes[k]
            if k == len(axes) - 1 and b == 1 and a == 1 and isinstance(s, Spot):
                self.block(n, s, t)
            elif k == len(axes) - 1 and b == 1 and a == 0:
                self.fill(n, s, t)
            else:
                with self.w.loop(n) as i:
                    level(k + 1, s.along(i, a), t.along(i, b))

        level(0, source, target)

    def fill(self, count: int, source: Source, target: Spot) -> None:
        if isinstance(source, Number) and source.text in ("0", literal("double", 0.0)):
            self.zeros(count, target)
        else:
            self.strips(count, lambda i, n: self.store(self.load(source, n, 0), target.along(i, 1), n))

    def along_axis(self, axes: list[tuple[int, ...]], source: Source, aside: bool, row: _Row) -> None:
        """``row(source, target, lanes)`` for each row along the axis, or for so many side by side."""

        def level(k: int, s: Source, t: Spot) -> None:
            if k == len(axes):
                row(s, t, 1)
                return
            n, a, b = axes[k]
            if aside and k == len(axes) - 1:
                self.strips(n, lambda i, lanes: row(s.along(i, a), t.along(i, b), lanes))
            else:
                with self.w.loop(n) as i:
                    level(k + 1, s.along(i, a), t.along(i, b))

        level(0, source, self.out)
