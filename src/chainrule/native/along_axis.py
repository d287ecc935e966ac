"""Operations that go along one axis, as LLVM IR: running sums and products, and the places of extremes."""

from __future__ import annotations

from chainrule.native.mover import Mover, Source, Spot, in_memory, joined, vector
from chainrule.native.text import literal
from chainrule.native.views import contiguous

__all__ = ["accumulate", "extreme"]


def _others(m: Mover) -> tuple[Source, int, int, list[tuple[int, ...]]]:
    """The operand, size and stride of the axis; the others joined: (size, its stride, the result's)."""
    (i,) = m.x.inputs
    source, strides = m.source(i)
    (axis,) = m.x.params["axis"]
    keep = [k for k in range(i.ndim) if k != axis]
    out = contiguous(m.x.shape)
    axes = joined(*(tuple(v[k] for k in keep) for v in (i.shape, strides, out)))
    return source, i.shape[axis], strides[axis], axes


def accumulate(m: Mover) -> None:
    """cumsum, cumprod: one after the other, as NumPy does."""
    if 0 in m.x.shape:
        return
    source, n, stride, axes = _others(m)
    real = m.x.dtype.kind == "f"
    add = m.x.op == "cumsum"
    op = ("fadd" if add else "fmul") if real else "add" if add else "mul"
    start = literal(m.t, (-0.0 if real else 0) if add else 1)
    step = contiguous(m.x.shape)[m.x.params["axis"][0]]

    def row(s: Source, t: Spot, lanes: int) -> None:
        v = vector(lanes, m.t)
        total = m.w.early(f"alloca {v}")
        m.w.line(f"store {v} {start if lanes == 1 else f'splat ({m.t} {start})'}, ptr {total}")
        with m.w.loop(n) as i:
            old = m.w.set(f"load {v}, ptr {total}")
            new = m.w.set(f"{op} {v} {old}, {m.load(s.along(i, stride), lanes)}")
            m.w.line(f"store {v} {new}, ptr {total}")
            m.store(new, t.along(i, step), lanes)

    m.along_axis(axes, source, bool(axes) and axes[-1][1:] == (1, 1), row)


def extreme(m: Mover) -> None:
    """argmax, argmin: the first one; the first nan, if there is any."""
    if 0 in m.x.shape:
        return
    (i,) = m.x.inputs
    source, n, stride, axes = _others(m)
    m.t, m.size = in_memory(i)
    m.lanes = m.bits // (8 * max(m.size, 4))
    least = m.lanes
    at = "i32" if m.size < 8 and n < 2**31 else "i64"  # a position
    apart = axes[-1][1] if axes else 0  # rows side by side
    kind, w = i.dtype.kind, m.w
    over = "gt" if m.x.op == "argmax" else "lt"

    def better(x: str, y: str, lanes: int) -> str:
        """Whether x takes y's place."""
        v = vector(lanes, m.t)
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
        v, q = vector(lanes, m.t), vector(lanes, at)
        best, where = w.early(f"alloca {v}"), w.early(f"alloca {q}")
        w.line(f"store {v} {x}, ptr {best}")
        w.line(f"store {q} {j}, ptr {where}")
        return best, where

    def search(s: Source, first: int, count: int, held: tuple[str, str], lanes: int, inside: str) -> None:
        """Go on with ``count`` vectors from ``first``. ``inside``: positions from a vector's first."""
        v, q = vector(lanes, m.t), vector(lanes, at)
        step = lanes if inside else 1
        if count <= 0:
            return
        with w.loop(count) as k:
            x = m.load(s.on(first * stride).along(k, step * stride), lanes, 1 if inside else apart)
            j = w.index([(k, step)], first)
            j = m.spread(w.set(f"trunc i64 {j} to i32") if at == "i32" else j, at, lanes)
            if inside:
                j = w.set(f"add {q} {j}, {inside}")
            y, i = w.set(f"load {v}, ptr {held[0]}"), w.set(f"load {q}, ptr {held[1]}")
            wins = better(x, y, lanes)
            w.line(f"store {v} {pick(wins, x, y, m.t, lanes)}, ptr {held[0]}")
            w.line(f"store {q} {pick(wins, j, i, at, lanes)}, ptr {held[1]}")

    def finish(held: tuple[str, str], t: Spot, lanes: int) -> None:
        q, wide = vector(lanes, at), vector(lanes, "i64")
        j = w.set(f"load {q}, ptr {held[1]}")
        j = w.set(f"sext {q} {j} to {wide}") if at == "i32" else j
        w.line(f"store {wide} {j}, ptr {m.address(t, 'i64')}, align 8")

    def aside(s: Source, t: Spot, lanes: int) -> None:
        held = begin(m.load(s, lanes, apart), "0" if lanes == 1 else "zeroinitializer", lanes)
        search(s, 1, n - 1, held, lanes, "")
        finish(held, t, lanes)

    def along(s: Source, t: Spot, _: int) -> None:
        lanes = least * (4 if n >= 64 * least else 1)  # four at a time do not wait for each other
        inside = "<" + ", ".join(f"{at} {k}" for k in range(lanes)) + ">"
        held = begin(m.load(s, lanes), inside, lanes)
        search(s, lanes, n // lanes - 1, held, lanes, inside)
        rest = n // lanes * lanes
        x = w.set(f"load {vector(lanes, m.t)}, ptr {held[0]}")
        j = w.set(f"load {vector(lanes, at)}, ptr {held[1]}")
        while lanes > 1:  # halves on top of each other: the better one; of equal ones, the first
            lanes //= 2
            x, y = _halves(m, x, m.t, lanes)
            j, i = _halves(m, j, at, lanes)
            c = vector(lanes, "i1")
            earlier = w.set(f"icmp slt {vector(lanes, at)} {j}, {i}")
            behind = better(y, x, lanes)
            not_behind = w.set(f"xor {c} {behind}, {'true' if lanes == 1 else 'splat (i1 true)'}")
            ties = w.set(f"and {c} {not_behind}, {earlier}")
            wins = w.set(f"or {c} {better(x, y, lanes)}, {ties}")
            x, j = pick(wins, x, y, m.t, lanes), pick(wins, j, i, at, lanes)
        held = begin(x, j, 1)
        search(s, rest, n - rest, held, 1, "")
        finish(held, t, 1)

    if stride == 1 and n >= 4 * least:
        m.along_axis(axes, source, False, along)
    else:
        m.along_axis(axes, source, bool(axes) and axes[-1][2] == 1, aside)


def _halves(m: Mover, x: str, t: str, lanes: int) -> list[str]:
    """A vector's two halves, of so many lanes each."""
    whole, found = vector(2 * lanes, t), []
    for first in (0, lanes):
        places = ", ".join(f"i32 {first + k}" for k in range(lanes))
        half = m.w.set(f"shufflevector {whole} {x}, {whole} poison, <{lanes} x i32> <{places}>")
        found.append(half if lanes > 1 else m.w.set(f"extractelement <1 x {t}> {half}, i64 0"))
    return found
