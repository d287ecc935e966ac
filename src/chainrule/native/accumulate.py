"""Reductions while they grow: lanes in registers, or elements in memory.

The rounding error of a sum grows with how many terms are added one after the other. So a sum of many is a
tree: a loop is run in strips, what a strip has added up is carried to the next level, what `FAN` strips
have to the one after, and so on. No term is in more than a few hundred additions however many there are, and
the branches to the higher levels are rare.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.native.elementwise import extreme
from chainrule.native.text import ELEMENT, literal
from chainrule.traced import Traced

__all__ = ["Lanes", "Memory", "combine", "identity"]

VECTORS = 16  # added up in a strip in registers
ROWS = 64  # the same in memory, where to carry takes longer
FAN = 4  # strips whose sum goes one level further; a power of two
STRAIGHT = 2  # times as much is added up without a tree


def identity(m: Traced) -> str:
    """What a reduction starts from."""
    kind = ELEMENT[m.dtype.char]
    if m.op in ("any", "all"):
        return "false" if m.op == "any" else "true"
    if kind in ("double", "float"):
        start = {"sum": 0.0, "prod": 1.0, "max": -math.inf, "min": math.inf}[m.op]
        return literal(kind, m.params.get("initial", start))
    limits = np.iinfo(m.dtype)
    return str({"sum": 0, "prod": 1, "max": limits.min, "min": limits.max}[m.op])


def combine(e: Any, m: Traced, x: str, y: str) -> str:
    """Two parts of a reduction as one, on the emitter's lanes."""
    t = e._t(m)
    real = m.dtype.kind == "f"
    if m.op == "sum":
        return str(e.w.set(f"{'fadd contract' if real else 'add'} {t} {x}, {y}"))
    if m.op == "prod":
        return str(e.w.set(f"{'fmul' if real else 'mul'} {t} {x}, {y}"))
    if m.op in ("any", "all"):
        return str(e.w.set(f"{'or' if m.op == 'any' else 'and'} {t} {x}, {y}"))
    return extreme(e, m.op, t, real, x, y)


class _Tree:
    """The levels of a sum, of which a reduction that is no long sum has but one.

    Parameters
    ----------
    e : Emitter
    m : Traced
        The reduction.
    loops : sequence of (int, int)
        The loops over which terms are added one after the other, outermost first, and their turns.
    strip : int
        How many terms a strip has.

    Attributes
    ----------
    first : int
        The outermost of the loops; -1 if there are no levels above the first.
    loop, length : int
        The loop that is run in strips, or -1, and how many turns a strip has.
    """

    def __init__(self, e: Any, m: Traced, loops: Sequence[tuple[int, int]], strip: int) -> None:
        self.e, self.m = e, m
        self.first, self.loop, self.length, self.levels = -1, -1, 1, 1
        self.outer: list[tuple[int, int]] = []  # loops around it, and how many strips one turn of them has
        if m.op != "sum" or m.dtype.kind != "f":
            return
        inside = 1
        for k, (d, turns) in reversed(list(enumerate(loops))):
            if inside * turns > STRAIGHT * strip:
                self.first, self.loop, self.length = loops[0][0], d, max(1, strip // inside)
                strips = -(-turns // self.length)
                for outer, n in reversed(loops[:k]):
                    self.outer.append((outer, strips))
                    strips *= n
                self.levels = 2
                while strips > STRAIGHT * FAN:
                    strips, self.levels = strips // FAN, self.levels + 1
                return
            inside *= turns

    def carry(self, strip: str) -> None:
        """A strip, counted by ``strip``, is done."""
        e, w = self.e, self.e.w
        lanes, mask = e.lanes, e.mask
        self._up(0)
        if self.levels > 2:
            done = w.index([(e.counters[d], n) for d, n in self.outer] + [(strip, 1)], 1)
            self._further(1, done)
        e.lanes, e.mask = lanes, mask

    def _further(self, level: int, done: str) -> None:
        if level + 1 == self.levels:
            return
        w = self.e.w
        rest = w.set(f"and i64 {done}, {FAN**level - 1}")
        with w.when(w.set(f"icmp eq i64 {rest}, 0")):
            self._up(level)
            self._further(level + 1, done)

    def _up(self, level: int) -> None:
        """Add a level to the next one, and start it again."""
        raise NotImplementedError


class Lanes(_Tree):
    """A reduction over the innermost loop, or over several: vectors in registers."""

    def __init__(self, e: Any, m: Traced, loops: Sequence[tuple[int, int]]) -> None:
        super().__init__(e, m, loops, VECTORS)
        lanes, e.lanes = e.lanes, e.full if e.nest.loops else 1
        self.t, self.start = e._t(m), e._splat(m, identity(m))
        self.places = [e.w.early(f"alloca {self.t}") for _ in range(self.levels)]
        for place in self.places:
            e.w.line(f"store {self.t} {self.start}, ptr {place}")
        e.lanes = lanes

    def add(self, x: str, level: int = 0) -> None:
        """Add a vector, in the emitter's lanes."""
        e, place = self.e, self.places[level]
        old = e.w.set(f"load {self.t}, ptr {place}")
        e.w.line(f"store {self.t} {combine(e, self.m, old, x)}, ptr {place}")

    def _up(self, level: int) -> None:
        e = self.e
        e.lanes, e.mask = e.full, None
        self.add(e.w.set(f"load {self.t}, ptr {self.places[level]}"), level + 1)
        e.w.line(f"store {self.t} {self.start}, ptr {self.places[level]}")

    def total(self) -> str:
        """All of it as one number."""
        e, m = self.e, self.m
        e.lanes, e.mask = e.full if e.nest.loops else 1, None
        x, *others = [e.w.set(f"load {self.t}, ptr {place}") for place in self.places]
        for y in others:
            x = combine(e, m, x, y)
        while (n := e.lanes) > 1:  # halves on top of each other
            half, whole = n // 2, f"<{n} x {ELEMENT[m.dtype.char]}>"
            parts = []
            for some in (range(half), range(half, n)):
                which = ", ".join(f"i32 {k}" for k in some)
                part = e.w.set(f"shufflevector {whole} {x}, {whole} poison, <{half} x i32> <{which}>")
                if half == 1:
                    part = e.w.set(f"extractelement <1 x {ELEMENT[m.dtype.char]}> {part}, i64 0")
                parts.append(part)
            e.lanes = half
            x = combine(e, m, *parts)
        return str(x)


class Memory(_Tree):
    """A reduction over loops that are not the innermost ones: elements that grow side by side in memory.

    The first level is the result itself; each other one is a buffer of what varies inside of `first`.
    """

    def __init__(self, e: Any, m: Traced, loops: Sequence[tuple[int, int]]) -> None:
        super().__init__(e, m, loops, ROWS)
        _, self.strides = e.nest.out[m]
        size = self._piece(self.first) * m.dtype.itemsize
        self.buffers = [e._private(size) for _ in range(self.levels - 1)]

    def _piece(self, d: int) -> int:
        """How many elements there are for one turn of a loop."""
        return math.prod(n for k, n in enumerate(self.e.nest.loops) if k > d and self.strides[k])

    def _ends(self, d: int) -> list[tuple[str, str]]:
        """Where the levels begin in a turn of loop d: a pointer, and an element."""
        e = self.e
        base, offset = e.places[self.m]
        inside = [(e.counters[k], s) for k, s in enumerate(self.strides[:d])]
        found = [(base, e.w.index(inside, offset))]
        return found + [(buffer, e.w.index(inside[self.first :])) for buffer in self.buffers]

    def clear(self) -> None:
        """Start all levels but the first."""
        e = self.e
        for buffer in self.buffers:
            for at in self._elements(self._piece(self.first), [(buffer, "0")]):
                e._write(self.m, e._splat(self.m, identity(self.m)), at[0])

    def _elements(self, size: int, starts: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
        """Pointers to as many elements from each of some places; whole vectors, then what is left."""
        e, kind = self.e, ELEMENT[self.m.dtype.char]
        for i in e._across(size):
            ats = [e.w.index([(first, 1), (i, 1)]) for _, first in starts]
            yield [
                e.w.set(f"getelementptr {kind}, ptr {base}, i64 {at}")
                for (base, _), at in zip(starts, ats, strict=True)
            ]

    def _up(self, level: int) -> None:
        e, m = self.e, self.m
        for low, high in self._elements(self._piece(self.loop), self._ends(self.loop)[level : level + 2]):
            e._write(m, combine(e, m, e._read(m, high), e._read(m, low)), high)
            e._write(m, e._splat(m, identity(m)), low)

    def finish(self) -> None:
        """All levels become the result, and start again."""
        e, m = self.e, self.m
        lanes, mask = e.lanes, e.mask
        for place, *levels in self._elements(self._piece(self.first), self._ends(self.first)):
            x = e._read(m, place)
            for level in levels:
                x = combine(e, m, x, e._read(m, level))
                e._write(m, e._splat(m, identity(m)), level)
            e._write(m, x, place)
        e.lanes, e.mask = lanes, mask
