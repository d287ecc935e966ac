"""Sorting, and what lies at a place of the sorted order: medians and quantiles.

The order is worked out on the data; what has a derivative is the picking. Ties keep their order, so
each element's derivative goes to one place.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.numpy.arguments import Axis, as_operand, axes_of, axis_of, shape_of
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
    np.sort(np.empty(0), kind=kind, order=order)  # an unknown option is NumPy's to
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


# -------------------------------------------------------------------- median and quantiles


def _in_order(name: str, a: Any, axis: Axis) -> tuple[Any, tuple[int, ...], Any]:
    """Sorted along the last axis, which holds all those named; the shape with these as ones; the order."""
    a = as_operand(a)
    axes = axes_of(name, a, axis)
    shape = shape_of(a)
    rest = tuple(k for k in range(len(shape)) if k not in axes)
    count = math.prod(shape[k] for k in axes)
    if not count:
        raise ValueError(f"{name}: a has shape {shape}, there is nothing along axis {axis} to choose from")
    flat = reshape(sh.transpose(a, rest + axes), (*(shape[k] for k in rest), count))
    order = np.argsort(current(flat), -1, kind="stable")
    return take_along_axis(flat, order, -1), tuple(1 if k in axes else n for k, n in enumerate(shape)), order


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
    ordered, kept, _ = _in_order("median", a, axis)
    y = _or_nan(_median(ordered, shape_of(ordered)[-1]), ordered)
    return _shaped(y, kept, keepdims)


def nanmedian(
    a: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:
    ordered, kept, _ = _in_order("nanmedian", a, axis)
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
    return _quantile(np.quantile, a, q, axis, method, keepdims, weights)


def percentile(
    a: Any, q: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(np.percentile, a, q, axis, method, keepdims, weights)


def nanquantile(
    a: Any, q: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(np.quantile, a, q, axis, method, keepdims, weights, True)


def nanpercentile(
    a: Any, q: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(np.percentile, a, q, axis, method, keepdims, weights, True)


def _quantile(
    plain: Any, a: Any, q: Any, axis: Axis, method: str, keepdims: Any, weights: Any, nan: bool = False
) -> Any:
    """Between two neighbours of the sorted order: where, NumPy's quantile of 0, 1, 2 ... says."""
    name = ("nan" if nan else "") + plain.__name__
    ordered, kept, order = _in_order(name, a, axis)
    n = shape_of(ordered)[-1]
    moved, q = as_operand(q), as_array(current(as_operand(q)))
    kind = plain(np.zeros(2, as_array(current(ordered)).dtype), current(moved), method=method).real.dtype
    wide = shape_of(ordered)[:-1]
    count: Any = n
    if weights is not None:
        at = _weighted(name, plain, a, axis, order, q, method, weights, ordered if nan else None)
    elif nan:
        count = np.maximum(_there(ordered), 1)
        sizes = range(1, n + 1) if type(count) is Traced else np.unique(count).tolist()
        table = {size: plain(np.arange(size), q, method=method) for size in sizes}
        at = sh.getitem(np.stack([table.get(size, 0.0 * q) for size in range(n + 1)]), count)
    else:
        at = plain(np.arange(n), q, method=method)
    low = np.floor(at).astype(int)
    share = (at - low).astype(kind)
    each = at.ndim > q.ndim  # each row has places of its own: rest + q

    def picked(place: Any) -> Any:
        if not each:
            return take(ordered, place, -1)
        return reshape(take_along_axis(ordered, place.reshape((*wide, -1)), -1), (*wide, *q.shape))

    y = _between(picked(low), picked(np.minimum(low + 1, n - 1)), share)
    if type(moved) is Value and weights is None:
        last = count.reshape((*wide, *(1,) * q.ndim)) if nan else count
        y = y + _along(plain, moved, method, at, last, picked)
    y = y if nan else _or_nan(y, ordered)
    axes = tuple(range(len(shape_of(y)) - q.ndim, len(shape_of(y))))
    y = moveaxis(y, axes, tuple(range(q.ndim))) if q.ndim else y
    return _shaped(y, kept, keepdims, q.shape)


def _between(low: Any, high: Any, share: Any) -> Any:
    """``low + share (high - low)``; the neighbour at share 0 is not asked, it may be infinite."""
    alone = share == 0
    return low + (where(alone, 0.0, high) - where(alone, 0.0, low)) * share


# How much the place among n grows with q, less n.
_GROWTH = {
    "interpolated_inverted_cdf": 0.0, "hazen": 0.0, "weibull": 1.0, "linear": -1.0,
    "median_unbiased": 1 - 1 / 3 - 1 / 3, "normal_unbiased": 0.25,
}  # fmt: skip


def _along(plain: Any, q: Any, method: str, at: Any, count: Any, picked: Any) -> Any:
    """Zero, with the derivative in ``q``: of two slopes at a knot the smaller, 0 at and beyond the ends."""
    if method not in _GROWTH:
        return 0.0
    low = np.floor(at).astype(int)
    last, here, next_ = picked(np.maximum(low - 1, 0)), picked(low), picked(np.minimum(low + 1, count - 1))
    with np.errstate(invalid="ignore"):
        knot = (at == low) & (current(here) - current(last) < current(next_) - current(here))
    inside = (at > 0) & (at < count - 1)
    slope = where(inside, where(knot, _rise(last, here), _rise(here, next_)), 0.0)
    growth = as_array(count).astype(current(slope).dtype) + _GROWTH[method]
    return (q - current(q)) * slope * (growth / (100 if plain is np.percentile else 1))


def _rise(low: Any, high: Any) -> Any:
    """``high - low``, and 0 to or from an infinity."""
    finite = np.isfinite(current(low)) & np.isfinite(current(high))
    return where(finite, high, 0.0) - where(finite, low, 0.0)


def _weighted(
    name: str, plain: Any, a: Any, axis: Axis, order: Any, q: Any, method: str, weights: Any, ordered: Any
) -> Any:
    """Where in the order, by weights, which have no derivative: they choose."""
    weights, shape = as_array(current(as_operand(weights))), shape_of(as_operand(a))
    axes = axes_of(name, as_operand(a), axis)
    if weights.shape != shape:
        lengths = tuple(shape[k] for k in axes)
        if weights.shape != lengths:
            raise ValueError(
                f"{name}: weights have shape {weights.shape}, expected that of a, {shape}, or the lengths of "
                f"the axes named by axis=, {lengths}"
            )
        wide = tuple(m if k in axes else 1 for k, m in enumerate(shape))
        weights = np.broadcast_to(weights.reshape(wide), shape)
    rest = tuple(k for k in range(len(shape)) if k not in axes)
    weights = np.take_along_axis(weights.transpose(rest + axes).reshape(order.shape), order, -1)
    if ordered is not None:
        weights = np.where(np.isnan(current(ordered)), 0, weights)
    places = np.broadcast_to(np.arange(order.shape[-1]), order.shape)
    at = plain(places, q, axis=-1, method=method, weights=weights)
    return np.moveaxis(at, tuple(range(q.ndim)), tuple(range(-q.ndim, 0))) if q.ndim else at
