"""Operations that move elements about: reshape, transpose, join, index. All are linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.primitives import Linear, broadcast_to, cast, raw, where
from chainrule.rules.arithmetic import conj
from chainrule.traced import (
    Traced,
    capturing,
    getitem_traced,
    is_view,
    scatter_traced,
    setitem_traced,
)  # fmt: skip

__all__ = [
    "broadcast_to", "cast", "concatenate", "conj", "diagonal", "getitem", "pad", "reshape", "scatter",
    "setitem", "sliced", "stack", "transpose",
]  # fmt: skip


_reshape_p = Linear(
    lambda x, *, shape: np.reshape(x, shape),
    lambda g, x, *, shape: reshape(g, np.shape(x)),
    name="reshape",
)


def reshape(x: Any, shape: tuple[int, ...]) -> Any:
    """``x`` in another shape; ``shape`` may hold one -1."""
    return x if np.shape(raw(x)) == shape else _reshape_p(x, shape=shape)


_transpose_p = Linear(
    lambda x, *, axes: np.transpose(x, axes),
    lambda g, x, *, axes: transpose(g, tuple(int(i) for i in np.argsort(axes))),
    name="transpose",
    symbol="ᵀ",
)


def transpose(x: Any, axes: tuple[int, ...]) -> Any:
    """``x`` with its axes in another order."""
    return x if axes == tuple(range(len(axes))) else _transpose_p(x, axes=axes)


# -------------------------------------------------------------------- joining


def _split(g: Any, *xs: Any, axis: int) -> Any:
    parts, start = [], 0
    for x in xs:
        stop = start + np.shape(x)[axis]
        parts.append(sliced(g, axis, start, stop))
        start = stop
    return parts if len(parts) > 1 else parts[0]


_concatenate_p = Linear(lambda *xs, axis: np.concatenate(xs, axis), _split, name="concatenate")


def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """Arrays joined along an axis they have; ``axis`` counts from the front."""
    return _concatenate_p(*xs, axis=axis)


def stack(xs: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis."""
    shape = np.shape(raw(xs[0]))
    for i, x in enumerate(xs):
        if np.shape(raw(x)) != shape:
            raise ValueError(
                f"stack: operand {i} has shape {np.shape(raw(x))}, expected that of the first, {shape}"
            )
    axis = axis % (len(shape) + 1)
    wide = shape[:axis] + (1,) + shape[axis:]
    return concatenate([reshape(x, wide) for x in xs], axis)


pad = Linear(
    lambda x, *, width: np.pad(x, width),
    lambda g, x, *, width: getitem(
        g, tuple(slice(before, before + n) for (before, _), n in zip(width, np.shape(x), strict=True))
    ),
    pads=True,
    name="pad",
)

# -------------------------------------------------------------------- indexing


def _scatter(g: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    if type(g) is Traced or _is_traced(index):
        return scatter_traced(g, index, shape)
    out = np.zeros(shape, np.asarray(g).dtype)
    if _is_basic(index):
        out[index] = g
    else:
        np.add.at(out, index, g)
    return out


def _is_basic(index: Any) -> bool:
    """Whether an index names each element at most once: slices, integers, one boolean mask."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        not isinstance(i, np.ndarray | list) or (isinstance(i, np.ndarray) and i.dtype == bool) for i in parts
    )


def _getitem(x: Any, *, index: Any) -> Any:
    if capturing and type(x) is np.ndarray and _is_traced(index):
        return getitem_traced(x, index)
    return x[index]


def _is_traced(index: Any) -> bool:
    return any(type(i) is Traced for i in (index if isinstance(index, tuple) else (index,)))


_getitem_p = Linear(
    _getitem,
    lambda g, x, *, index: scatter(g, index=index, shape=np.shape(x)),
    selects=True,
    name="getitem",
    symbol="[]",
)
scatter = Linear(_scatter, lambda g, x, *, index, shape: getitem(g, index), pads=True, name="scatter")


def getitem(x: Any, index: Any) -> Any:
    """``x[index]`` with NumPy's basic and advanced indexing; an element taken twice counts twice."""
    return _getitem_p(x, index=index)


def sliced(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    """The part of ``x`` from ``start`` to ``stop`` along an axis."""
    return getitem(x, (slice(None),) * axis + (slice(start, stop),))


def _diagonal(x: Any, *, offset: int) -> Any:
    if type(x) is Traced:
        return x[_on_diagonal(x.shape, offset)]
    return np.diagonal(x, offset, -2, -1)


def _on_diagonal(shape: tuple[int, ...], offset: int) -> tuple[Any, ...]:
    rows, columns = shape[-2:]
    r = np.arange(max(min(rows + min(offset, 0), columns - max(offset, 0)), 0))
    return ..., r - min(offset, 0), r + max(offset, 0)


_diagonal_p = Linear(
    _diagonal,
    lambda g, x, *, offset: scatter(g, index=_on_diagonal(np.shape(x), offset), shape=np.shape(x)),
    selects=True,
    name="diagonal",
)


def diagonal(x: Any, offset: int = 0) -> Any:
    """The diagonals of the last two axes."""
    return _diagonal_p(x, offset=offset)


# -------------------------------------------------------------------- assignment


def _setitem(x: Any, new: Any, *, index: Any) -> Any:
    if type(x) is Traced or type(new) is Traced or _is_traced(index):
        return setitem_traced(x, new, index)
    y = np.array(x)
    y[index] = new
    return y


def _former(g: Any, x: Any, new: Any, *, index: Any) -> Any:
    """What was overwritten has no part in the result; of what was assigned to one place, the last has."""
    mine = getitem(g, index)
    last = None if _is_traced(index) else _last(index, np.shape(x))
    return setitem(g, 0.0, index=index), mine if last is None else where(last, mine, 0.0)


def _last(index: Any, shape: tuple[int, ...]) -> Any:
    """Where in ``x[index] = new`` nothing later overwrites the element; None if it is so everywhere."""
    if _is_basic(index):
        return None
    at = np.zeros(shape, int)
    numbers = np.arange(at[index].size).reshape(at[index].shape)
    at[index] = numbers
    last = at[index] == numbers
    return None if last.all() else last


setitem = Linear(_setitem, _former, selects=True, name="setitem", symbol="[]=")

# -------------------------------------------------------------------- windows


def _picks_a_part(y: Any, x: Any, *, index: Any) -> bool:
    """Integers and slices make a view, unless they pick a number; arrays make a copy."""
    parts = index if isinstance(index, tuple) else (index,)
    arrays = (np.ndarray, list, bool, np.bool_)
    advanced = any(
        i.shape or i.dtype == bool if type(i) is Traced else isinstance(i, arrays) for i in parts
    )
    return not advanced and (y.shape != () or any(i is ... for i in parts))


def _keeps_its_place(y: Any, x: Any, *, shape: tuple[int, ...]) -> bool:
    return is_view(y) if type(y) is Traced else type(y) is type(x) and np.may_share_memory(y, x)


# Results that lie in their operand's memory, and what a write into one makes of the operand.
_getitem_p.window, _reshape_p.window = _picks_a_part, _keeps_its_place
_transpose_p.window = lambda y, x, *, axes: True
broadcast_to.window = lambda y, x, *, shape: True
_diagonal_p.window = lambda y, x, *, offset: True
_getitem_p.put_back = lambda x, new, *, index: setitem(x, new, index=index)
_reshape_p.put_back = lambda x, new, *, shape: reshape(new, np.shape(raw(x)))
_transpose_p.put_back = lambda x, new, *, axes: transpose(new, tuple(int(i) for i in np.argsort(axes)))
