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

import numpy as np

from chainrule.native.along_axis import accumulate, extreme
from chainrule.native.mover import Checks, Mover, Number, Site, Source, Spot, Strides, joined, vector
from chainrule.native.reference import order
from chainrule.native.text import MEMORY
from chainrule.native.views import Views, contiguous
from chainrule.traced import Traced

__all__ = ["NOTE_INDEX", "emit_move", "is_move", "may_end", "unchecked"]

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
    wanted = unchecked(x, views, passed)
    m = Mover(x, views, places, bits, checks, wanted)
    _MOVES[x.op](m)
    passed |= wanted
    pointers = ", ".join(f"ptr {p}" for p in parameters)
    return m.w.text(name, pointers, '"prefer-vector-width"="512" nounwind'), m.w.declared


# -------------------------------------------------------------------- copying


def concatenate(m: Mover) -> None:
    axis, out = m.x.params["axis"], contiguous(m.x.shape)
    done = 0
    for i in m.x.inputs:
        source, strides = m.source(i)
        m.copy(i.shape, source, strides, m.out.on(done * out[axis]), out)
        done += i.shape[axis]


def pack(m: Mover) -> None:
    for k, i in enumerate(m.x.inputs):
        m.store(m.load(m.source(i)[0]), m.out.on(k))


def unslice(m: Mover) -> None:
    """Zeros only where nothing else will be."""
    (i,) = m.x.inputs
    source, strides = m.source(i)
    starts, steps = m.x.params["starts"], m.x.params["steps"]
    counts, shape, out = i.shape, m.x.shape, contiguous(m.x.shape)
    stepped = tuple(a * s for a, s in zip(out, steps, strict=True))
    if 0 in counts:
        m.zeros(m.x.size, m.out)
        return
    narrow = [k for k, n in enumerate(shape) if counts[k] != n]
    last = max(narrow, default=-1)
    before = [a * s for a, s in zip(starts, out, strict=True)]

    def level(k: int, s: Source, t: Spot) -> None:
        rest = counts[k:], s, strides[k:], t.on(sum(before[k:])), stepped[k:]
        if k > last:
            m.copy(*rest)
        elif counts[k] == shape[k]:
            with m.w.loop(counts[k]) as i:
                inner = t.on(before[k]).along(i, stepped[k])
                level(k + 1, s.along(i, strides[k]), inner)
        elif steps[k] != 1 and counts[k] > 1:
            m.zeros(shape[k] * out[k], t)
            m.copy(*rest)
        else:
            end = starts[k] + counts[k]
            m.zeros(before[k], t)
            if k == last:
                m.copy(*rest)
            else:
                with m.w.loop(counts[k]) as i:
                    inner = t.on(before[k]).along(i, out[k])
                    level(k + 1, s.along(i, strides[k]), inner)
            m.zeros((shape[k] - end) * out[k], t.on(end * out[k]))

    level(0, source, m.out)


# -------------------------------------------------------------------- indices


def _indexed(m: Mover, sizes: Sequence[int], others: Strides, body: Callable[[list[str], str], None]) -> None:
    """Run over the index arrays: ``body(indices, number)``, the number counted in strides ``others``.

    Each index is from 0 to below its size; nothing is called for a size of 0.
    """
    arrays = [m.source(i) for i in m.x.inputs[1:]]
    shape = m.x.params["indexed"]
    wide = [(0,) * (len(shape) - len(s)) + tuple(
        0 if n == 1 else a for n, a in zip(i.shape, s, strict=True)
    ) for i, (_, s) in zip(m.x.inputs[1:], arrays, strict=True)]  # fmt: skip
    if 0 in shape:
        return
    axes = joined(shape, others, *wide)

    def level(k: int, number: list[tuple[str, int]], at: list[Source]) -> None:
        if k < len(axes):
            n, own, *steps = axes[k]
            with m.w.loop(n) as i:
                level(k + 1, [*number, (i, own)], [s.along(i, a) for s, a in zip(at, steps, strict=True)])
            return
        found = [_index(m, i, s, n) for i, s, n in zip(m.x.inputs[1:], at, sizes, strict=True)]
        if 0 not in sizes:
            body(found, m.w.index(number))

    level(0, [], [s for s, _ in arrays])


def _index(m: Mover, which: Traced, at: Source, size: int) -> str:
    """An index, counted from the start and checked."""
    w, known = m.w, _bounds(which, m.views)
    i = at.text if isinstance(at, Number) else w.set(f"load i64, ptr {m.address(at, 'i64')}")
    found = i
    if known is None or known[0] < 0:
        negative = w.set(f"icmp slt i64 {i}, 0")
        back = w.set(f"add i64 {i}, {size}")
        found = w.set(f"select i1 {negative}, i64 {back}, i64 {i}")
    if (which, size) not in m.wanted:
        return found
    site = Site(m.x.op, size)
    if site not in m.checks.sites:
        m.checks.sites.append(site)
    fine = w.set(f"icmp ult i64 {found}, {size}")
    before, here = w.block, w.name()[1:]
    w.line(f"br i1 {fine}, label %in{here}, label %out{here}")
    w.line(f"out{here}:")
    cell = w.set(f"getelementptr i64, ptr %cells, i64 {m.checks.cell}")
    w.line(f"call void @note_index(ptr {cell}, i64 {m.checks.sites.index(site) + 1}, i64 {i})")
    w.line(f"br label %in{here}")
    w.line(f"in{here}:")
    w.block = f"in{here}"
    return w.set(f"phi i64 [ {found}, %{before} ], [ 0, %out{here} ]")


def gather(m: Mover) -> None:
    a = m.x.inputs[0]
    source, strides = m.source(a)
    picked = len(m.x.inputs) - 1
    row = a.shape[picked:]
    count = math.prod(row)
    out = contiguous(m.x.shape)

    def pick(indices: list[str], number: str) -> None:
        s = source
        for i, stride in zip(indices, strides, strict=False):
            s = s.along(i, stride)
        m.copy(row, s, strides[picked:], m.out.along(number, count), out[len(out) - len(row) :])

    _indexed(m, a.shape[:picked], contiguous(m.x.params["indexed"]), pick)


def scatter_add(m: Mover) -> None:
    g = m.x.inputs[0]
    source, strides = m.source(g)
    picked, shape = len(m.x.params["indexed"]), m.x.shape
    row, out = g.shape[picked:], contiguous(shape)
    sizes = shape[: len(m.x.inputs) - 1]
    axes = joined(row, strides[picked:], out[len(sizes) :])
    add = {"b": "or", "f": "fadd"}.get(m.x.dtype.kind, "add")

    def level(k: int, s: Source, t: Spot) -> None:
        n, a, b = axes[k] if k < len(axes) else (1, 0, 1)
        if k >= len(axes) - 1 and b == 1 and a in (0, 1):

            def strip(i: str, lanes: int) -> None:
                at = t.along(i, 1)
                old = m.load(at, lanes)
                new = m.load(s.along(i, a), lanes, a)
                m.store(m.w.set(f"{add} {vector(lanes, m.t)} {old}, {new}"), at, lanes)

            m.strips(n, strip)
        else:
            with m.w.loop(n) as i:
                level(k + 1, s.along(i, a), t.along(i, b))

    def put(indices: list[str], number: str) -> None:
        t = m.out
        for i, stride in zip(indices, out, strict=False):
            t = t.along(i, stride)
        if 0 not in row:
            level(0, source.along(number, 1), t)

    m.zeros(m.x.size, m.out)
    # the number counts g's elements where its own strides allow it, one axis after the other where not
    _indexed(m, sizes, strides[:picked], put)


_MOVES: dict[str, Callable[[Mover], None]] = {
    "concatenate": concatenate,
    "unslice": unslice,
    "pack": pack,
    "gather": gather,
    "scatter_add": scatter_add,
    "argmax": extreme,
    "argmin": extreme,
    "cumsum": accumulate,
    "cumprod": accumulate,
}
