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
    concatenate,
    copied,
    lift,
    node,
    note,
    reshape,
    transpose,
    unslice,
    view,
)
from chainrule.traced import Changed, Traced, TracedError, where_in_user_code
from chainrule.value import Value

__all__ = ["gather", "getitem", "scatter", "scatter_add", "setitem"]


def getitem(x: Traced, index: Any) -> Traced:
    """``x[index]``; a mask must be known while compiling."""
    x = lift(x)
    if x.op == "concatenate" and (number := _number_of(x, index)) is not None:
        return number
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
                "known while compiling; use np.where(mask, x, 0), or x = np.where(mask, 2 * x, x) for "
                "x[mask] *= 2"
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
    whole = reshape(front, front_shape)
    picked = gather(whole, arrays, ishape)
    if picked.op == "gather" and all(not getattr(p, "shape", ()) for p in spread):  # by integers: a view
        note(picked, whole)
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
    """``x`` with ``new`` at ``index``; of two for one element the last counts.

    Raises
    ------
    TracedError
        For a traced mask with as many new numbers as it picks, which is not known.
    """
    x, new = lift(x), lift(new)
    if new.dtype.kind == "c" and x.dtype.kind != "c":
        raise TypeError("x[i] = v: complex numbers into a real array would lose their imaginary part")
    new = cast(new, x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple([np.asarray(p) if isinstance(p, list) else p for p in parts])
    if any(type(p) is Traced for p in parts):
        if any(type(p) is Traced and p.dtype == BOOL for p in parts):
            return _at_mask(x, new, parts)
        if any(getattr(p, "shape", ()) for p in parts):
            return call(_assigned, (x, new, parts), {})
        here: Any = scatter(np.ones(()), index, x.shape)
        return np.where(here > 0.5, scatter(new, index, x.shape), x)
    numbers = np.arange(x.size).reshape(x.shape)
    picked = numbers[index]
    while new.ndim > picked.ndim and new.shape[0] == 1:
        new = reshape(new, new.shape[1:])
    try:
        new = broadcast_to(new, picked.shape)
    except ValueError:
        raise ValueError(
            f"x[i] = v: v has shape {new.shape}, expected what broadcasts to that of x[i], {picked.shape}"
        ) from None
    if (run := _run(parts, x.shape)) is not None:
        axis, start, stop = run
        new = reshape(new, (*x.shape[:axis], stop - start, *x.shape[axis + 1 :]))
        return _spliced(x, axis, start, stop, copied(new) if picked.shape else new)
    mask, last = np.zeros(x.shape, bool), np.full(x.size, -1)
    mask[index] = True
    count = np.arange(picked.size).reshape(picked.shape)
    last[picked] = count
    if not (last[picked] == count).all():
        new = np.where(last[picked] == count, new, 0.0)
    return np.where(mask, cast(scatter(new, index, x.shape), x.dtype), x)


def _run(parts: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Axis, start and stop of a basic index that leaves all other axes whole; None if it is no such one."""
    if any(type(p) not in (int, slice, type(Ellipsis)) and not isinstance(p, np.integer) for p in parts):
        return None
    at = next((i for i, p in enumerate(parts) if p is Ellipsis), len(parts))
    rest = parts[at + 1 :]
    parts = (*parts[:at], *(slice(None),) * (len(shape) - len(parts) + (at < len(parts))), *rest)
    found = []
    for axis, (p, n) in enumerate(zip(parts, shape, strict=True)):
        start, stop, step = p.indices(n) if isinstance(p, slice) else (int(p) % n, int(p) % n + 1, 1)
        if step != 1:
            return None
        if (start, stop) != (0, n):
            found.append((axis, start, max(start, stop)))
    return found[0] if len(found) == 1 else (0, 0, shape[0]) if shape and not found else None


def _spliced(x: Traced, axis: int, start: int, stop: int, new: Traced) -> Traced:
    """``x`` with ``new`` from ``start`` to ``stop``: its parts joined, of what was joined before the parts.

    So an array that a Python loop fills is one join of what it was filled with.
    """
    if start == stop:
        return copied(x)
    found, at, parts = [], 0, x.inputs if x.op == "concatenate" and x.params["axis"] == axis else (x,)
    if any(type(p.origin) is Changed for p in parts):  # they mean others now
        parts = (x,)
    for p in parts:
        end = at + p.shape[axis]
        if end <= start or at >= stop:
            found.append(p)
        else:
            if at < start:
                found.append(_part(p, axis, 0, start - at))
            if at <= start:
                found.append(new)
            if end > stop:
                found.append(_part(p, axis, stop - at, end - at))
        at = end
    return concatenate(found, axis)


def _part(x: Traced, axis: int, start: int, stop: int) -> Traced:
    """Some entries along an axis, which nobody else has: no view."""
    shape = (*x.shape[:axis], stop - start, *x.shape[axis + 1 :])
    if x.dtype.kind == "c":
        return call(operator.getitem, (x, (slice(None),) * axis + (slice(start, stop),)), {})  # type: ignore[no-any-return]
    starts = tuple(start if k == axis else 0 for k in range(x.ndim))
    return node("slice", (x,), shape, x.dtype, False, {"starts": starts, "steps": (1,) * x.ndim})


def _number_of(x: Traced, index: Any) -> Traced | None:
    """``x[index]``, if it is a number that was joined with others to ``x``."""
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) != x.ndim or any(type(i) is not int and not isinstance(i, np.integer) for i in parts):
        return None
    axis = x.params["axis"]
    i = int(parts[axis]) + (x.shape[axis] if parts[axis] < 0 else 0)
    if i < 0:
        return None
    for p in x.inputs:
        n = p.shape[axis]
        if i < n:
            single = p.op == "reshape" and not p.inputs[0].shape
            ok = single and p.inputs[0].dtype == x.dtype and not p.inputs[0].weak
            return p.inputs[0] if ok else None
        i -= n
    return None


def _at_mask(x: Traced, new: Traced, parts: tuple[Any, ...]) -> Any:
    """``x[mask] = new`` for a mask of x's first axes."""
    mask = parts[0]
    if len(parts) > 1 or mask.shape != x.shape[: mask.ndim]:
        raise IndexError(f"x[mask] = v: the mask has shape {mask.shape}, expected that of x, {x.shape}")
    rest = x.ndim - mask.ndim
    if new.ndim > rest and new.shape[: new.ndim - rest] != (1,) * (new.ndim - rest):
        raise TracedError(
            f"{where_in_user_code()}: x[mask] = v with a traced mask, and v of shape {new.shape}: how many "
            "elements it picks is not known while compiling; write x = np.where(mask, v, x), v of x's shape"
        )
    new = reshape(new, new.shape[max(new.ndim - rest, 0) :])
    return np.where(reshape(mask, mask.shape + (1,) * rest), new, x)


def _assigned(x: Any, new: Any, parts: tuple[Any, ...]) -> Any:
    y = np.array(x)
    y[parts] = new
    return y
