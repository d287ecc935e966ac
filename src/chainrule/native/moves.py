"""Operations that put numbers elsewhere, and those that go along one axis, as LLVM IR.

    concatenate  unslice  pack  gather  scatter_add        argmax  argmin  cumsum  cumprod

Each becomes one function. Operands are read where they lie, whatever their strides. Axes that memory
runs through as one are joined, then the innermost is copied as a block, worked on in vectors, or
taken one by one.

An index out of bounds must not touch what lies there: zero takes its place, and the index is noted in
two cells, at which the program looks after the call. An array of indices is checked once for each size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from chainrule.native.reference import order
from chainrule.native.text import MEMORY, Writer, literal, short
from chainrule.native.views import Views, contiguous
from chainrule.traced import Traced

__all__ = ["NOTE_INDEX", "Checks", "Site", "emit_move", "is_move", "may_end", "unchecked"]

# note_index(at, site, index): keep the first wrong index of a call.
NOTE_INDEX = """define internal void @note_index(ptr %at, i64 %site, i64 %index) noinline cold nounwind {
  %before = load i64, ptr %at
  %taken = icmp ne i64 %before, 0
  br i1 %taken, label %done, label %note
note:
  store i64 %site, ptr %at
  %next = getelementptr i64, ptr %at, i64 1
  store i64 %index, ptr %next
  br label %done
done:
  ret void
}
"""


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


def is_move(x: Traced) -> bool:
    """Whether ``x`` has machine code here."""
    return x.op in _MOVES and all(v.dtype.char in MEMORY for v in (x, *x.inputs))


def unchecked(x: Traced, views: Views, passed: set[tuple[Traced, int]]) -> set[tuple[Traced, int]]:
    """Index arrays and sizes to be compared while ``x`` runs: no constants, and none that passed before."""
    if x.op not in ("gather", "scatter_add"):
        return set()
    wanted = set()
    for i, size in zip(x.inputs[1:], (x.inputs[0] if x.op == "gather" else x).shape, strict=False):
        known = _bounds(i, views)
        if known is None or not -size <= known[0] <= known[1] < size:
            wanted.add((i, size))
    return wanted - passed


def may_end(x: Traced) -> bool:
    """Whether a program may end at ``x``, no move: NumPy may raise, and an index in a loop may be wrong."""
    if x.op == "call":
        return True
    bodies = (x.params.get("body"), x.params.get("condition"), *x.params.get("branches", ()))
    inside = [y for b in bodies if b is not None for y in order(b.outputs)]
    return any(y.op in ("gather", "scatter_add") or may_end(y) for y in inside)


def _bounds(i: Traced, views: Views) -> tuple[int, int] | None:
    """The least and largest of indices that are known while compiling."""
    view = views.view(i)
    if view is None or view.base.op != "constant":
        return None
    values = np.asarray(view.base.params["value"])
    return (int(values.min()), int(values.max())) if values.size else (0, 0)


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


class _Mover:
    """Writes one of the functions.

    Attributes
    ----------
    t : str
        Type of the result's elements as they lie in memory.
    lanes : int
        Of them in a vector.
    """

    def __init__(
        self, x: Traced, views: Views, places: dict[Traced, tuple[str, int]], bits: int,
        checks: Checks, passed: set[tuple[Traced, int]],
    ) -> None:  # fmt: skip
        self.x, self.views, self.places, self.checks = x, views, places, checks
        self.wanted = unchecked(x, views, passed)
        self.w = Writer()
        self.t, self.size = _memory(x)
        self.bits, self.lanes = bits, bits // (8 * self.size)
        self.out = Spot(*places[x])

    def source(self, i: Traced) -> tuple[Source, Strides]:
        """Where an operand lies, or the number it is."""
        view = self.views.view(i)
        assert view is not None
        base = view.base
        if base not in self.places:
            value = np.asarray(base.params["value"]).astype(base.dtype)[()]
            return Number(literal(_memory(base)[0], value.item())), (0,) * i.ndim
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

    def concatenate(self) -> None:
        axis, out = self.x.params["axis"], contiguous(self.x.shape)
        done = 0
        for i in self.x.inputs:
            source, strides = self.source(i)
            self.copy(i.shape, source, strides, self.out.on(done * out[axis]), out)
            done += i.shape[axis]

    def pack(self) -> None:
        for k, i in enumerate(self.x.inputs):
            self.store(self.load(self.source(i)[0]), self.out.on(k))

    def unslice(self) -> None:
        """Zeros only where nothing else will be."""
        (i,) = self.x.inputs
        source, strides = self.source(i)
        starts, steps = self.x.params["starts"], self.x.params["steps"]
        counts, shape, out = i.shape, self.x.shape, contiguous(self.x.shape)
        stepped = tuple(a * s for a, s in zip(out, steps, strict=True))
        if 0 in counts:
            self.zeros(self.x.size, self.out)
            return
        narrow = [k for k, n in enumerate(shape) if counts[k] != n]
        last = max(narrow, default=-1)
        before = [a * s for a, s in zip(starts, out, strict=True)]

        def level(k: int, s: Source, t: Spot) -> None:
            rest = counts[k:], s, strides[k:], t.on(sum(before[k:])), stepped[k:]
            if k > last:
                self.copy(*rest)
            elif counts[k] == shape[k]:
                with self.w.loop(counts[k]) as i:
                    inner = t.on(before[k]).along(i, stepped[k])
                    level(k + 1, s.along(i, strides[k]), inner)
            elif steps[k] != 1 and counts[k] > 1:
                self.zeros(shape[k] * out[k], t)
                self.copy(*rest)
            else:
                end = starts[k] + counts[k]
                self.zeros(before[k], t)
                if k == last:
                    self.copy(*rest)
                else:
                    with self.w.loop(counts[k]) as i:
                        inner = t.on(before[k]).along(i, out[k])
                        level(k + 1, s.along(i, strides[k]), inner)
                self.zeros((shape[k] - end) * out[k], t.on(end * out[k]))

        level(0, source, self.out)

    # ---------------------------------------------------------------- indices

    def indexed(self, sizes: Sequence[int], others: Strides, body: Callable[[list[str], str], None]) -> None:
        """Run over the index arrays: ``body(indices, number)``, the number counted in strides ``others``.

        Each index is from 0 to below its size; nothing is called for a size of 0.
        """
        arrays = [self.source(i) for i in self.x.inputs[1:]]
        shape = self.x.params["indexed"]
        wide = [(0,) * (len(shape) - len(s)) + tuple(
            0 if n == 1 else a for n, a in zip(i.shape, s, strict=True)
        ) for i, (_, s) in zip(self.x.inputs[1:], arrays, strict=True)]  # fmt: skip
        if 0 in shape:
            return
        axes = joined(shape, others, *wide)

        def level(k: int, number: list[tuple[str, int]], at: list[Source]) -> None:
            if k < len(axes):
                n, own, *steps = axes[k]
                with self.w.loop(n) as i:
                    level(k + 1, [*number, (i, own)], [s.along(i, a) for s, a in zip(at, steps, strict=True)])
                return
            found = [self._index(i, s, n) for i, s, n in zip(self.x.inputs[1:], at, sizes, strict=True)]
            if 0 not in sizes:
                body(found, self.w.index(number))

        level(0, [], [s for s, _ in arrays])

    def _index(self, which: Traced, at: Source, size: int) -> str:
        """An index, counted from the start and checked."""
        w, known = self.w, _bounds(which, self.views)
        i = at.text if isinstance(at, Number) else w.set(f"load i64, ptr {self.address(at, 'i64')}")
        found = i
        if known is None or known[0] < 0:
            negative = w.set(f"icmp slt i64 {i}, 0")
            back = w.set(f"add i64 {i}, {size}")
            found = w.set(f"select i1 {negative}, i64 {back}, i64 {i}")
        if (which, size) not in self.wanted:
            return found
        site = Site(self.x.op, size)
        if site not in self.checks.sites:
            self.checks.sites.append(site)
        fine = w.set(f"icmp ult i64 {found}, {size}")
        before, here = w.block, w.name()[1:]
        w.line(f"br i1 {fine}, label %in{here}, label %out{here}")
        w.line(f"out{here}:")
        cell = w.set(f"getelementptr i64, ptr %cells, i64 {self.checks.cell}")
        w.line(f"call void @note_index(ptr {cell}, i64 {self.checks.sites.index(site) + 1}, i64 {i})")
        w.line(f"br label %in{here}")
        w.line(f"in{here}:")
        w.block = f"in{here}"
        return w.set(f"phi i64 [ {found}, %{before} ], [ 0, %out{here} ]")

    def gather(self) -> None:
        a = self.x.inputs[0]
        source, strides = self.source(a)
        m = len(self.x.inputs) - 1
        row = a.shape[m:]
        count = math.prod(row)
        out = contiguous(self.x.shape)

        def pick(indices: list[str], number: str) -> None:
            s = source
            for i, stride in zip(indices, strides, strict=False):
                s = s.along(i, stride)
            self.copy(row, s, strides[m:], self.out.along(number, count), out[len(out) - len(row) :])

        self.indexed(a.shape[:m], contiguous(self.x.params["indexed"]), pick)

    def scatter_add(self) -> None:
        g = self.x.inputs[0]
        source, strides = self.source(g)
        m, shape = len(self.x.params["indexed"]), self.x.shape
        row, out = g.shape[m:], contiguous(shape)
        sizes = shape[: len(self.x.inputs) - 1]
        axes = joined(row, strides[m:], out[len(sizes) :])
        add = {"b": "or", "f": "fadd"}.get(self.x.dtype.kind, "add")

        def level(k: int, s: Source, t: Spot) -> None:
            n, a, b = axes[k] if k < len(axes) else (1, 0, 1)
            if k >= len(axes) - 1 and b == 1 and a in (0, 1):

                def strip(i: str, lanes: int) -> None:
                    at = t.along(i, 1)
                    old = self.load(at, lanes)
                    new = self.load(s.along(i, a), lanes, a)
                    self.store(self.w.set(f"{add} {vector(lanes, self.t)} {old}, {new}"), at, lanes)

                self.strips(n, strip)
            else:
                with self.w.loop(n) as i:
                    level(k + 1, s.along(i, a), t.along(i, b))

        def put(indices: list[str], number: str) -> None:
            t = self.out
            for i, stride in zip(indices, out, strict=False):
                t = t.along(i, stride)
            if 0 not in row:
                level(0, source.along(number, 1), t)

        self.zeros(self.x.size, self.out)
        # the number counts g's elements where its own strides allow it, one axis after the other where not
        self.indexed(sizes, strides[:m], put)

    # ---------------------------------------------------------------- along one axis

    def others(self) -> tuple[Source, int, int, list[tuple[int, ...]]]:
        """The operand, size and stride of the axis; the others joined: (size, its stride, the result's)."""
        (i,) = self.x.inputs
        source, strides = self.source(i)
        (axis,) = self.x.params["axis"]
        keep = [k for k in range(i.ndim) if k != axis]
        out = contiguous(self.x.shape)
        axes = joined(*(tuple(v[k] for k in keep) for v in (i.shape, strides, out)))
        return source, i.shape[axis], strides[axis], axes

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

    def accumulate(self) -> None:
        """cumsum, cumprod: one after the other, as NumPy does."""
        if 0 in self.x.shape:
            return
        source, n, stride, axes = self.others()
        real = self.x.dtype.kind == "f"
        add = self.x.op == "cumsum"
        op = ("fadd" if add else "fmul") if real else "add" if add else "mul"
        start = literal(self.t, (-0.0 if real else 0) if add else 1)
        step = contiguous(self.x.shape)[self.x.params["axis"][0]]

        def row(s: Source, t: Spot, lanes: int) -> None:
            v = vector(lanes, self.t)
            total = self.w.early(f"alloca {v}")
            self.w.line(f"store {v} {start if lanes == 1 else f'splat ({self.t} {start})'}, ptr {total}")
            with self.w.loop(n) as i:
                old = self.w.set(f"load {v}, ptr {total}")
                new = self.w.set(f"{op} {v} {old}, {self.load(s.along(i, stride), lanes)}")
                self.w.line(f"store {v} {new}, ptr {total}")
                self.store(new, t.along(i, step), lanes)

        self.along_axis(axes, source, bool(axes) and axes[-1][1:] == (1, 1), row)

    def extreme(self) -> None:
        """argmax, argmin: the first one; the first nan, if there is any."""
        if 0 in self.x.shape:
            return
        (i,) = self.x.inputs
        source, n, stride, axes = self.others()
        self.t, self.size = _memory(i)
        self.lanes = self.bits // (8 * max(self.size, 4))
        least = self.lanes
        at = "i32" if self.size < 8 and n < 2**31 else "i64"  # a position
        apart = axes[-1][1] if axes else 0  # rows side by side
        kind, w = i.dtype.kind, self.w
        over = "gt" if self.x.op == "argmax" else "lt"

        def better(x: str, y: str, lanes: int) -> str:
            """Whether x takes y's place."""
            v = vector(lanes, self.t)
            if kind != "f":
                return w.set(f"icmp {'u' if kind == 'b' else 's'}{over} {v} {x}, {y}")
            beats = w.set(f"fcmp u{over} {v} {x}, {y}")  # or either is nan
            number = w.set(f"fcmp ord {v} {y}, {y}")
            return w.set(f"and {vector(lanes, 'i1')} {beats}, {number}")

        def pick(wins: str, x: str, y: str, t: str, lanes: int) -> str:
            v = vector(lanes, t)
            return w.set(f"select {vector(lanes, 'i1')} {wins}, {v} {x}, {v} {y}")

        def begin(x: str, j: str, lanes: int) -> tuple[str, str]:
            """Memory for the best so far, and where it is."""
            v, q = vector(lanes, self.t), vector(lanes, at)
            best, where = w.early(f"alloca {v}"), w.early(f"alloca {q}")
            w.line(f"store {v} {x}, ptr {best}")
            w.line(f"store {q} {j}, ptr {where}")
            return best, where

        def search(s: Source, first: int, count: int, held: tuple[str, str], lanes: int, inside: str) -> None:
            """Go on with ``count`` vectors from ``first``. ``inside``: positions from a vector's first."""
            v, q = vector(lanes, self.t), vector(lanes, at)
            step = lanes if inside else 1
            if count <= 0:
                return
            with w.loop(count) as k:
                x = self.load(s.on(first * stride).along(k, step * stride), lanes, 1 if inside else apart)
                j = w.index([(k, step)], first)
                j = self.spread(w.set(f"trunc i64 {j} to i32") if at == "i32" else j, at, lanes)
                if inside:
                    j = w.set(f"add {q} {j}, {inside}")
                y, i = w.set(f"load {v}, ptr {held[0]}"), w.set(f"load {q}, ptr {held[1]}")
                wins = better(x, y, lanes)
                w.line(f"store {v} {pick(wins, x, y, self.t, lanes)}, ptr {held[0]}")
                w.line(f"store {q} {pick(wins, j, i, at, lanes)}, ptr {held[1]}")

        def finish(held: tuple[str, str], t: Spot, lanes: int) -> None:
            q, wide = vector(lanes, at), vector(lanes, "i64")
            j = w.set(f"load {q}, ptr {held[1]}")
            j = w.set(f"sext {q} {j} to {wide}") if at == "i32" else j
            w.line(f"store {wide} {j}, ptr {self.address(t, 'i64')}, align 8")

        def aside(s: Source, t: Spot, lanes: int) -> None:
            held = begin(self.load(s, lanes, apart), "0" if lanes == 1 else "zeroinitializer", lanes)
            search(s, 1, n - 1, held, lanes, "")
            finish(held, t, lanes)

        def along(s: Source, t: Spot, _: int) -> None:
            lanes = least * (4 if n >= 64 * least else 1)  # four at a time do not wait for each other
            inside = "<" + ", ".join(f"{at} {k}" for k in range(lanes)) + ">"
            held = begin(self.load(s, lanes), inside, lanes)
            search(s, lanes, n // lanes - 1, held, lanes, inside)
            rest = n // lanes * lanes
            x = w.set(f"load {vector(lanes, self.t)}, ptr {held[0]}")
            j = w.set(f"load {vector(lanes, at)}, ptr {held[1]}")
            while lanes > 1:  # halves on top of each other: the better one; of equal ones, the first
                lanes //= 2
                x, y = self._halves(x, self.t, lanes)
                j, i = self._halves(j, at, lanes)
                c = vector(lanes, "i1")
                earlier = w.set(f"icmp slt {vector(lanes, at)} {j}, {i}")
                behind = better(y, x, lanes)
                not_behind = w.set(f"xor {c} {behind}, {'true' if lanes == 1 else 'splat (i1 true)'}")
                ties = w.set(f"and {c} {not_behind}, {earlier}")
                wins = w.set(f"or {c} {better(x, y, lanes)}, {ties}")
                x, j = pick(wins, x, y, self.t, lanes), pick(wins, j, i, at, lanes)
            held = begin(x, j, 1)
            search(s, rest, n - rest, held, 1, "")
            finish(held, t, 1)

        if stride == 1 and n >= 4 * least:
            self.along_axis(axes, source, False, along)
        else:
            self.along_axis(axes, source, bool(axes) and axes[-1][2] == 1, aside)

    def _halves(self, x: str, t: str, lanes: int) -> list[str]:
        """A vector's two halves, of so many lanes each."""
        whole, found = vector(2 * lanes, t), []
        for first in (0, lanes):
            places = ", ".join(f"i32 {first + k}" for k in range(lanes))
            half = self.w.set(f"shufflevector {whole} {x}, {whole} poison, <{lanes} x i32> <{places}>")
            found.append(half if lanes > 1 else self.w.set(f"extractelement <1 x {t}> {half}, i64 0"))
        return found


_MOVES: dict[str, Callable[[_Mover], None]] = {
    "concatenate": _Mover.concatenate,
    "unslice": _Mover.unslice,
    "pack": _Mover.pack,
    "gather": _Mover.gather,
    "scatter_add": _Mover.scatter_add,
    "argmax": _Mover.extreme,
    "argmin": _Mover.extreme,
    "cumsum": _Mover.accumulate,
    "cumprod": _Mover.accumulate,
}


def vector(lanes: int, t: str) -> str:
    return t if lanes == 1 else f"<{lanes} x {t}>"


def _memory(x: Traced) -> tuple[str, int]:
    """Type and bytes of an element as it lies in memory."""
    return MEMORY[x.dtype.char], x.dtype.itemsize


def emit_move(
    name: str, x: Traced, views: Views, places: dict[Traced, tuple[str, int]], parameters: Sequence[str],
    bits: int, checks: Checks, passed: set[tuple[Traced, int]],
) -> tuple[str, set[str]]:  # fmt: skip
    """``x`` as a function ``@name`` of pointers.

    Parameters
    ----------
    places : dict
        For ``x`` and the memory of its operands, one of the pointers and elements from there; what has
        no place is a number.
    checks : Checks
        Grows. If something is `unchecked`, one of the pointers is ``%cells``.
    passed : set
        Index arrays that were compared with a size on every way to this place, which is reached only if
        nothing was wrong. Grows.

    Returns
    -------
    text, declarations
    """
    m = _Mover(x, views, places, bits, checks, passed)
    _MOVES[x.op](m)
    passed |= m.wanted
    pointers = ", ".join(f"ptr {p}" for p in parameters)
    return m.w.text(name, pointers, '"prefer-vector-width"="512" nounwind'), m.w.declared
