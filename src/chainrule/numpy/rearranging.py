"""Functions that rearrange and pick elements."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from chainrule.numpy.arguments import Axis, axes_of, axis_of, ordered_axes, shape_of
from chainrule.numpy.manipulation import check_axes, flatten, ravel, reshape, swapaxes
from chainrule.primitives import as_array
from chainrule.primitives import where as _where
from chainrule.rules import shape as sh
from chainrule.rules.arithmetic import positive
from chainrule.traced import Traced
from chainrule.value import Value, current, kept

# -------------------------------------------------------------------- rearranging


def flip(m: Any, axis: Axis = None) -> Any:
    axes = axes_of("flip", m, axis)
    return sh.getitem(m, tuple(slice(None, None, -1 if i in axes else 1) for i in range(len(shape_of(m)))))


def fliplr(m: Any) -> Any:
    return flip(m, 1)


def flipud(m: Any) -> Any:
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    a, b = ordered_axes("rot90", m, axes)
    k %= 4
    if k == 2:
        return flip(flip(m, a), b)
    if k == 1:
        return swapaxes(flip(m, b), a, b)
    return flip(swapaxes(m, a, b), b) if k == 3 else m


def roll(a: Any, shift: Any, axis: Axis = None) -> Any:
    if axis is None:
        return reshape(roll(flatten(a), int(np.sum(shift)), 0), shape_of(a))
    given, axes = a, ordered_axes("roll", a, axis, repeated=True)
    shifts = np.broadcast_to(shift, (len(axes),))
    for k, s in zip(axes, shifts, strict=True):
        n = shape_of(a)[k]
        s = int(s) % n if n else 0
        if s:
            a = sh.concatenate([sh.sliced(a, k, n - s, n), sh.sliced(a, k, 0, n - s)], k)
    return positive(a) if a is given else a


# -------------------------------------------------------------------- indexing


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``."""
    return _picked("getitem", x, as_index("getitem", index))


def as_index(name: str, index: Any) -> Any:
    """An index as a graph may keep it."""
    return tuple([_index(i, name) for i in index]) if isinstance(index, tuple) else _index(index, name)


def _picked(name: str, x: Any, index: Any) -> Any:
    try:
        return sh.getitem(x, index)
    except IndexError as error:
        raise IndexError(f"{name}: {error}; the Value has shape {shape_of(x)}") from None


def _index(i: Any, name: str) -> Any:
    if type(i) is Value:
        raise TypeError(
            f"{name}: the index is a Value; indices are integers, which have no derivative: "
            "use i.data.astype(int)"
        )
    if isinstance(i, list):
        return np.array(i) if i else np.zeros(0, int)
    if isinstance(i, np.ndarray):  # the caller may change his
        return kept(i)
    return i.copy() if type(i) is Traced else i


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    if axis is None:
        a, axis = ravel(a), 0
    k = axis_of("take", a, axis)
    indices = as_array(_index(indices, "take"))
    n = shape_of(a)[k]
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"take: mode is {mode!r}, expected 'raise', 'wrap' or 'clip'")
    if mode != "raise":
        indices = indices % n if mode == "wrap" else np.clip(indices, 0, n - 1)
    return _picked("take", a, (slice(None),) * k + (indices,))


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is None:
        arr, axis = ravel(arr), 0
    k = axis_of("take_along_axis", arr, axis)
    indices = current(indices)
    if type(indices) is not Traced:
        indices = np.array(indices)
    if indices.ndim != len(shape_of(arr)):
        raise ValueError(
            f"take_along_axis: indices have shape {indices.shape}, expected as many axes as arr of shape "
            f"{shape_of(arr)}"
        )
    grids: list[Any] = list(np.ix_(*[np.arange(n) for n in shape_of(arr)]))
    grids[k] = indices
    return _picked("take_along_axis", arr, tuple(grids))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    n = len(shape_of(a))
    i, j = ordered_axes("diagonal", a, (axis1, axis2))
    a = sh.transpose(a, (*(k for k in range(n) if k not in (i, j)), i, j))
    return sh.diagonal(a, offset)


def diag(v: Any, k: int = 0) -> Any:
    if len(shape_of(v)) not in (1, 2):
        raise ValueError(f"diag: v has shape {shape_of(v)}, expected one axis or two")
    if len(shape_of(v)) != 1:
        return diagonal(v, k)
    n = shape_of(v)[0] + abs(k)
    r = np.arange(shape_of(v)[0])
    return sh.scatter(v, index=(r + builtins.max(-k, 0), r + builtins.max(k, 0)), shape=(n, n))


def _lower(m: Any, k: int) -> Any:
    """True on and below the k-th diagonal; of a vector, as of the square matrix of its length."""
    rows, columns = (shape_of(m) * 2)[-2:]
    return np.tri(rows, columns, k, dtype=bool)


def tril(m: Any, k: int = 0) -> Any:
    check_axes("tril", m)
    return _where(_lower(m, k), m, 0.0)


def triu(m: Any, k: int = 0) -> Any:
    check_axes("triu", m)
    return _where(_lower(m, k - 1), 0.0, m)


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = ravel(a), 0
    k = axis_of("repeat", a, axis)
    n = shape_of(a)[k]
    counts = np.asarray(repeats)
    counts = counts if counts.size else counts.astype(int)  # of no numbers NumPy makes floats
    if counts.dtype.kind not in "iu" or counts.size not in (1, n) or np.any(counts < 0):
        raise ValueError(
            f"repeat: repeats is {repeats!r}, expected a number of times, or one for each of {n}"
        )
    return take(a, np.repeat(np.arange(n), counts), k)
