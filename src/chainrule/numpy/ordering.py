"""Sorting, and what lies at a place of the sorted order: medians and quantiles.

The order is worked out on the data; what has a derivative is the picking. Ties keep their order, so
each element's derivative goes to one place.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.numpy.arguments import Axis, as_operand, axes_of, axis_of, refuse, shape_of
from chainrule.numpy.elementwise import astype, where
from chainrule.numpy.manipulation import moveaxis, ravel, reshape
from chainrule.numpy.rearranging import getitem, take, take_along_axis
from chainrule.primitives import as_array
from chainrule.rules import reduction as rd
from chainrule.rules import shape as sh
from chainrule.traced import Traced
from chainrule.value import Value, current

# -------------------------------------------------------------------- sorting


def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Sorted copy; ties keep their order, so each element's derivative goes to one place."""
    np.sort(np.empty(0), kind=kind, order=order)  # an unknown option is NumPy's to refuse
    if axis is None:
        a, axis = ravel(a), 0
    k = axis_of("sort", a, axis)
    return take_along_axis(a, np.argsort(current(a), k, kind="stable"), k)


def sort_complex(a: Any) -> Any:
    y = sort(a)
    return y if np.iscomplexobj(current(y)) else astype(y, np.result_type(current(y), np.complex128))


def partition(a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: Any = None) -> Any:
    """The k-th smallest in its place, smaller ones before it and larger ones after it, in any order."""
    if axis is None:
        a, axis = ravel(a), 0
    k = axis_of("partition", a, axis)
    return take_along_axis(a, np.argpartition(current(a), kth, k, kind, order), k)


def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, *, equal_nan: bool = True, sorted: bool = True,
) -> Any:  # fmt: skip
    """The distinct elements, each the first of its kind; what is returned beside them is plain."""
    plain: Any = np.unique  # its stubs know no booleans that are not written out
    found = plain(current(ar), True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    _, first, *more = found
    y = take(ar, first, axis)
    return (y, *([first] if return_index else []), *more) if return_index or more else y


def unique_values(x: Any, /) -> Any:
    return unique(x, equal_nan=False)


def unique_counts(x: Any, /) -> Any:
    plain = np.unique_counts(current(x))
    return plain._replace(values=unique_values(x))


def unique_inverse(x: Any, /) -> Any:
    plain = np.unique_inverse(current(x))
    return plain._replace(values=unique_values(x))


def unique_all(x: Any, /) -> Any:
    plain = np.unique_all(current(x))
    return plain._replace(values=unique_values(x))


# -------------------------------------------------------------------- median and quantiles


def _in_order(name: str, a: Any, axis: Axis) -> tuple[Any, tuple[int, ...]]:
    """Sorted along one axis, the last, which holds all the axes named; and the shape with those as ones."""
    a = as_operand(a)
    axes = axes_of(name, a, axis)
    shape = shape_of(a)
    rest = tuple(k for k in range(len(shape)) if k not in axes)
    count = math.prod(shape[k] for k in axes)
    if not count:
        raise ValueError(f"{name}: a has shape {shape}, there is nothing along axis {axis} to choose from")
    flat = reshape(sh.transpose(a, rest + axes), (*(shape[k] for k in rest), count))
    return sort(flat), tuple(1 if k in axes else n for k, n in enumerate(shape))


def _median(ordered: Any, count: Any) -> Any:
    """The mean of the middle two (which may be one) of the first ``count`` of the last axis."""
    low, high = (count - 1) // 2, count // 2
    if type(count) is int:
        return rd.mean(getitem(ordered, (..., slice(low, high + 1))), axis=(len(shape_of(ordered)) - 1,),
                       keepdims=False)  # fmt: skip
    picked = take_along_axis(ordered, np.stack([np.maximum(low, 0), high], -1), -1)
    return rd.mean(picked, axis=(len(shape_of(ordered)) - 1,), keepdims=False)


def median(
    a: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:
    refuse("median", out=out)
    ordered, kept = _in_order("median", a, axis)
    y = _or_nan(_median(ordered, shape_of(ordered)[-1]), ordered)
    return _shaped(y, kept, keepdims)


def nanmedian(
    a: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:
    refuse("nanmedian", out=out)
    ordered, kept = _in_order("nanmedian", a, axis)
    return _shaped(_median(ordered, _there(ordered)), kept, keepdims)


def _there(ordered: Any) -> Any:
    """How many are no nan; those are sorted to the end."""
    return np.sum(~np.isnan(as_array(current(ordered))), axis=-1)


def _or_nan(y: Any, ordered: Any) -> Any:
    """Where there is a nan among the numbers, this one: it is the last."""
    last = getitem(ordered, (..., -1))
    last = reshape(last, shape_of(last) + (1,) * (len(shape_of(y)) - len(shape_of(last))))
    return where(np.isnan(current(last)), last, y)


def _shaped(y: Any, kept: tuple[int, ...], keepdims: Any, before: tuple[int, ...] = ()) -> Any:
    shape = kept if keepdims and keepdims is not np._NoValue else shape_of(y)[len(before) :]
    return reshape(y, before + shape)


def quantile(
    a: Any, q: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(np.quantile, a, q, axis, out, method, keepdims, weights)


def percentile(
    a: Any, q: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(np.percentile, a, q, axis, out, method, keepdims, weights)


def nanquantile(
    a: Any, q: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(np.quantile, a, q, axis, out, method, keepdims, weights, True)


def nanpercentile(
    a: Any, q: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(np.percentile, a, q, axis, out, method, keepdims, weights, True)


def _quantile(
    plain: Any, a: Any, q: Any, axis: Axis, out: Any, method: str, keepdims: Any, weights: Any,
    nan: bool = False,
) -> Any:  # fmt: skip
    """Between two neighbours of the sorted order: where, NumPy's quantile of 0, 1, 2 ... says."""
    name = ("nan" if nan else "") + plain.__name__
    refuse(name, out=out)
    if type(q) is Value:
        raise TypeError(f"{name}: q is a Value, expected plain numbers; it has no derivative here")
    if weights is not None:
        raise TypeError(
            f"{name}: weights= is not supported for Values; sort v and pick by np.searchsorted in "
            "np.cumsum(w)"
        )
    ordered, kept = _in_order(name, a, axis)
    n = shape_of(ordered)[-1]
    kind = plain(np.zeros(2, as_array(current(ordered)).dtype), q, method=method).real.dtype
    q = np.asarray(q)
    if nan:
        count = _there(ordered)
        sizes = range(1, n + 1) if type(count) is Traced else np.unique(np.maximum(count, 1)).tolist()
        table = np.zeros((n + 1, *q.shape))
        for size in sizes:
            table[size] = plain(np.arange(size), q, method=method)
        at = sh.getitem(table, np.maximum(count, 1))
    else:
        at = plain(np.arange(n), q, method=method)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, n - 1)
    share = (at - low).astype(kind)
    if nan:  # each row has places of its own: rest + q
        wide = shape_of(ordered)[:-1]
        low, high, share = (i.reshape((*wide, -1)) for i in (low, high, share))
        low, high = (take_along_axis(ordered, i, -1) for i in (low, high))
        y = reshape(_between(low, high, share), (*wide, *q.shape))
    else:
        low, high = (take(ordered, i, -1) for i in (low, high))
        y = _or_nan(_between(low, high, share), ordered)
    axes = tuple(range(len(shape_of(y)) - q.ndim, len(shape_of(y))))
    y = moveaxis(y, axes, tuple(range(q.ndim))) if q.ndim else y
    return _shaped(y, kept, keepdims, q.shape)


def _between(low: Any, high: Any, share: Any) -> Any:
    """``low + share (high - low)``; the neighbour at share 0 is not asked, it may be infinite."""
    alone = share == 0
    return low + (where(alone, 0.0, high) - where(alone, 0.0, low)) * share
