"""Indexing of traced arrays, and its transpose."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.native.operations import (
    BOOL,
    INT64,
    as_slice,
    broadcast_shapes,
    broadcast_to,
    call,
    cast,
    lift,
    node,
    reshape,
    transpose,
    unslice,
    view,
)
from chainrule.traced import Traced, TracedError, where_in_user_code
from chainrule.value import Value

__all__ = ["gather", "getitem", "scatter", "scatter_add", "setitem"]


def getitem(x: Traced, index: Any) -> Traced:
    """``x[index]``; a mask must be known while compiling."""
    return _indexed(x, index)[0]


def _indexed(x: Traced, index: Any) -> tuple[Traced, Callable[[Traced], Traced]]:
    """``x[index]``, and the way back: what puts the result's cotangent into zeros of x's shape."""
    if type(index) is tuple and not index:
        return x, lambda g: g
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [np.asarray(p) if isinstance(p, list) else p for p in parts]
    spread: list[Any] = []
    for p in parts:
        if isinstance(p, np.ndarray) and p.dtype == bool:
            spread += list(np.nonzero(p)) if p.ndim else [None if bool(p) else np.zeros(0, int)]
        elif type(p) is Traced and p.dtype == BOOL:
            raise TracedError(
                f"{where_in_user_code()}: indexing with a traced mask: how many elements it picks is not "
                "known while compiling; use np.where(mask, x, 0), or np.where(mask, new, x) for x[mask] = new"
            )
        elif type(p) is Value:
            raise TypeError("getitem: the index is a Value; indices are integers, which have no derivative")
        else:
            spread.append(p)
    named = sum(p is not None and p is not Ellipsis for p in spread)
    if named > x.ndim:
        raise IndexError(f"too many indices: {named} for shape {x.shape}")
    if not any(p is Ellipsis for p in spread):
        spread.append(Ellipsis)
    at = next(i for i, p in enumerate(spread) if p is Ellipsis)
    spread[at : at + 1] = [slice(None)] * (x.ndim - named)
    starts, steps, counts = [], [], []
    squeezed: list[Any] = []  # for each axis of the result before advanced indexing: kept, or an index array
    axis = 0
    for p in spread:
        if p is None:
            squeezed.append(None)
            continue
        n = x.shape[axis]
        if isinstance(p, slice):
            start, stop, step = p.indices(n)
            starts.append(start)
            steps.append(step)
            counts.append(len(range(start, stop, step)))
            squeezed.append(axis)
        elif isinstance(p, int | np.integer) and not isinstance(p, bool):
            if not -n <= p < n:
                raise IndexError(
                    f"index {p} is out of bounds for axis {axis} with size {n}; the array has shape {x.shape}"
                )
            starts.append(int(p) % n)
            steps.append(1)
            counts.append(1)
            squeezed.append("drop")
        else:
            i = lift(p)
            if i.dtype.kind not in "iu":
                raise IndexError(f"an index is an array of {i.dtype}, expected integers")
            if i.op == "constant" and i.size:
                a = np.asarray(i.params["value"])
                if a.min() < -n or a.max() >= n:
                    wrong = a.max() if a.max() >= n else a.min()
                    raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {n}")
            starts.append(0)
            steps.append(1)
            counts.append(n)
            squeezed.append(i)
        axis += 1
    sliced = _take_slice(x, tuple(starts), tuple(steps), tuple(counts))
    arrays = [s for s in squeezed if type(s) is Traced]

    def back_slice(g: Traced) -> Traced:
        return unslice(reshape(g, sliced.shape), tuple(starts), tuple(steps), x.shape)

    if not arrays:
        sizes = iter(sliced.shape)
        shape = []
        for s in squeezed:
            n = 1 if s is None else next(sizes)
            if s != "drop":
                shape.append(n)
        return reshape(sliced, tuple(shape)), back_slice
    # integers beside index arrays are index arrays themselves: they decide where the new axes go
    positions = [i for i, s in enumerate(squeezed) if type(s) is Traced or (isinstance(s, str))]
    together = positions == list(range(positions[0], positions[-1] + 1))
    with_new = [1 if s is None else None for s in squeezed]
    sizes = iter(sliced.shape)
    wide = reshape(sliced, tuple(1 if n == 1 else next(sizes) for n in with_new))
    chosen = [i for i, s in enumerate(squeezed) if type(s) is Traced]
    dropped = [i for i, s in enumerate(squeezed) if isinstance(s, str)]
    others = [i for i, s in enumerate(squeezed) if i not in chosen and i not in dropped]
    order = (*chosen, *dropped, *others)
    front = transpose(wide, order)
    front_shape = tuple(wide.shape[i] for i in chosen) + tuple(wide.shape[i] for i in others)
    ishape = broadcast_shapes(*[i.shape for i in arrays])
    picked = gather(reshape(front, front_shape), arrays, ishape)
    k = len(ishape)
    before = [j for j, i in enumerate(others) if i < positions[0]] if together else []
    axes = (*[k + j for j in before], *range(k), *[k + j for j in range(len(others)) if j not in before])

    def back(g: Traced) -> Traced:
        g = transpose(g, tuple(int(i) for i in np.argsort(axes)))
        g = scatter_add(g, arrays, ishape, front_shape)
        g = reshape(g, front.shape)
        return back_slice(transpose(g, tuple(int(i) for i in np.argsort(order))))

    return transpose(picked, axes), back


def _take_slice(
    x: Traced, starts: tuple[int, ...], steps: tuple[int, ...], counts: tuple[int, ...]
) -> Traced:
    if counts == x.shape and all(s == 1 for s in steps):
        return x
    if x.dtype.kind == "c":
        index = tuple(as_slice(a, n, s) for a, n, s in zip(starts, counts, steps, strict=True))
        return call(operator.getitem, (x, index), {})  # type: ignore[no-any-return]
    return view("slice", x, counts, {"starts": starts, "steps": steps})


def gather(x: Traced, indices: Sequence[Traced], shape: tuple[int, ...]) -> Traced:
    """``x[i1, i2, ...]`` with integer arrays that broadcast to ``shape``, on the first axes."""
    if x.dtype.kind == "c":
        return call(lambda a, *i: a[tuple(i)], (x, *indices), {})  # type: ignore[no-any-return]
    inputs = tuple(cast(i, INT64) for i in indices)
    return node("gather", (x, *inputs), shape + x.shape[len(indices) :], x.dtype, False, {"indexed": shape})


def scatter_add(
    g: Traced, indices: Sequence[Traced], indexed: tuple[int, ...], shape: tuple[int, ...]
) -> Traced:
    """Zeros of ``shape`` to which ``g`` is added at ``[i1, i2, ...]``: the transpose of `gather`."""
    if g.dtype.kind == "c":
        return call(_add_at, (g, *indices), {"shape": shape})  # type: ignore[no-any-return]
    inputs = tuple(cast(i, INT64) for i in indices)
    return node("scatter_add", (g, *inputs), shape, g.dtype, False, {"indexed": indexed})


def _add_at(g: Any, *indices: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    np.add.at(out, indices, g)
    return out


def scatter(g: Any, index: Any, shape: tuple[int, ...]) -> Traced:
    """The transpose of ``x[index]`` for an ``x`` of ``shape``."""
    g = lift(g)
    like = node("input", (), shape, g.dtype)  # stands for x; only its shape is looked at
    picked, back = _indexed(like, index)
    return back(reshape(broadcast_to(g, picked.shape), picked.shape))


def setitem(x: Any, new: Any, index: Any) -> Any:
    """``x`` with ``new`` at ``index``: a choice between the two, by a mask that is known while compiling.

    Raises
    ------
    TracedError
        For traced index arrays, which may name an element twice; a traced integer may be an index.
    """
    x = lift(x)
    parts = index if isinstance(index, tuple) else (index,)
    if any(type(p) is Traced for p in parts):
        if any(isinstance(p, list) or getattr(p, "shape", ()) for p in parts):
            raise TracedError(
                f"{where_in_user_code()}: assignment at a traced array of indices, which may name an element "
                "twice; add with np.add.at, or write np.where(mask, new, x)"
            )
        put: Any = scatter(np.ones(()), index, x.shape)
        mask = put > 0.5
    else:
        mask, numbers = np.zeros(x.shape, bool), np.zeros(x.shape, int)
        mask[index] = True
        count = numbers[index].size
        numbers[index] = np.arange(count).reshape(numbers[index].shape)
        new = np.broadcast_to(lift(new), numbers[index].shape)
        last = numbers[index] == np.arange(count).reshape(new.shape)
        new = new if last.all() else np.where(last, new, 0.0)
    return np.where(mask, scatter(cast(lift(new), x.dtype), index, x.shape), x)
