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


def _rows(name: str, a: Any, axis: Axis) -> tuple[Any, tuple[int, ...]]:
    """With a last axis that holds all those named; the shape with these as ones."""
    a = as_operand(a)
    axes = axes_of(name, a, axis)
    shape = shape_of(a)
    rest = tuple(k for k in range(len(shape)) if k not in axes)
    count = math.prod(shape[k] for k in axes)
    if not count:
        raise ValueError(f"{name}: a has shape {shape}, there is nothing along axis {axis} to choose from")
    rows = reshape(sh.transpose(a, rest + axes), (*(shape[k] for k in rest), count))
    return rows, tuple(1 if k in axes else n for k, n in enumerate(shape))


def _ranked(rows: Any, places: Any) -> Any:
    """The elements at places (m,) or, for each row, (..., m) of the sorted last axis."""
    x = current(rows)
    if type(x) is Traced or type(places) is Traced:
        ordered = sort(rows)
        return take(ordered, places, -1) if places.ndim == 1 else take_along_axis(ordered, places, -1)
    return take_along_axis(rows, _indices(as_array(x), places), -1)


FEW = 32  # places up to which they are looked for one by one rather than in a sorted order


def _indices(x: Any, places: Any) -> Any:
    """Where the elements at these places of the order are; equal ones keep theirs, as in a stable sort."""
    wide = (*x.shape[:-1], places.shape[-1])
    if x.shape[-1] <= FEW or max(wide[-1], len(kth := np.unique(places))) > FEW:
        return np.take_along_axis(np.argsort(x, -1, kind="stable"), np.broadcast_to(places, wide), -1)
    values = np.take_along_axis(np.partition(x, kth, -1), np.broadcast_to(places, wide), -1)
    found = np.empty(wide, int)
    for k in range(wide[-1]):
        v = values[..., k : k + 1]
        none = bool(np.isnan(v).any())
        same = (x == v) | (np.isnan(x) & np.isnan(v)) if none else x == v
        if np.any(np.count_nonzero(same, axis=-1) > 1):
            less = np.where(np.isnan(v), ~np.isnan(x), x < v) if none else x < v
            same = np.cumsum(same, axis=-1) > (places[..., k] - np.count_nonzero(less, axis=-1))[..., None]
        found[..., k] = np.argmax(same, axis=-1)
    return found


def _middle(rows: Any, count: Any) -> Any:
    """The mean of the middle two (which may be one) of the first ``count`` in order."""
    low, high = (count - 1) // 2, count // 2
    places = np.arange(low, high + 1) if type(count) is int else np.stack([np.maximum(low, 0), high], -1)
    return rd.mean(_ranked(rows, places), axis=(len(shape_of(rows)) - 1,), keepdims=False)


def median(
    a: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:
    rows, kept = _rows("median", a, axis)
    y = _or_nan(_middle(rows, shape_of(rows)[-1]), rows)
    return _shaped(y, kept, keepdims)


def nanmedian(
    a: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:
    rows, kept = _rows("nanmedian", a, axis)
    return _shaped(_middle(rows, _there(rows)), kept, keepdims)


def _there(rows: Any) -> Any:
    """How many are no nan; those are sorted to the end."""
    return np.sum(~np.isnan(as_array(current(rows))), axis=-1)


def _or_nan(y: Any, rows: Any) -> Any:
    """Where there is a nan among the numbers, the last one."""
    nan = np.any(np.isnan(as_array(current(rows))), axis=-1)
    if type(nan) is not Traced and not np.any(nan):
        return y
    shape = shape_of(rows)[:-1] + (1,) * (len(shape_of(y)) - len(shape_of(rows)) + 1)
    last = reshape(_ranked(rows, np.array([shape_of(rows)[-1] - 1])), shape)
    return where(nan.reshape(shape), last, y)


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
    rows, kept = _rows(name, a, axis)
    n = shape_of(rows)[-1]
    moved, q = as_operand(q), as_array(current(as_operand(q)))
    kind = plain(np.zeros(2, as_array(current(rows)).dtype), current(moved), method=method).real.dtype
    wide = shape_of(rows)[:-1]
    count: Any = n
    if weights is not None:
        at = _weighted(name, plain, a, axis, rows, q, method, weights, nan)
    elif nan:
        count = np.maximum(_there(rows), 1)
        at = _place_among(plain, count, n, q, method)
    else:
        at = _place(plain, n, q, method)
    low = np.floor(at).astype(int)
    share = (at - low).astype(kind)
    each = at.ndim > q.ndim  # each row has places of its own: rest + q

    def picked(*places: Any) -> list[Any]:
        m = math.prod(q.shape)
        flat = [place.reshape((*wide, m) if each else (m,)) for place in places]
        found = _ranked(rows, np.concatenate(flat, -1))
        parts = [getitem(found, (..., slice(k * m, (k + 1) * m))) for k in range(len(places))]
        return [reshape(part, (*wide, *q.shape)) for part in parts]

    here, next_ = picked(low, np.minimum(low + 1, n - 1))
    y = _between(here, next_, share)
    if type(moved) is Value and weights is None:
        last = count.reshape((*wide, *(1,) * q.ndim)) if nan else count
        y = y + _along(plain, moved, method, at, last, picked)
    y = y if nan else _or_nan(y, rows)
    axes = tuple(range(len(shape_of(y)) - q.ndim, len(shape_of(y))))
    y = moveaxis(y, axes, tuple(range(q.ndim))) if q.ndim else y
    return _shaped(y, kept, keepdims, q.shape)


def _place(plain: Any, n: int, q: Any, method: str) -> Any:
    """Where among n."""
    if method == "linear":
        return (n - 1) * (q / 100 if plain is np.percentile else q)
    return plain(np.arange(n), q, method=method)


def _place_among(plain: Any, count: Any, n: int, q: Any, method: str) -> Any:
    """Where in each row, of as many as there are."""
    if type(count) is Traced:
        table = [0.0 * q, *(_place(plain, size, q, method) for size in range(1, n + 1))]
        return sh.getitem(np.stack(table), count)
    sizes, which = np.unique(count, return_inverse=True)
    return np.stack([_place(plain, size, q, method) for size in sizes.tolist()])[which.reshape(count.shape)]


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
    last, here, next_ = picked(np.maximum(low - 1, 0), low, np.minimum(low + 1, count - 1))
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
    name: str, plain: Any, a: Any, axis: Axis, rows: Any, q: Any, method: str, weights: Any, nan: bool
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
    x = current(rows)
    weights = weights.transpose(rest + axes).reshape(shape_of(rows))
    weights = np.where(np.isnan(x), 0, weights) if nan else weights
    order = np.argsort(x, -1, kind="stable")
    weights = np.take_along_axis(weights, order, -1)
    places = np.broadcast_to(np.arange(order.shape[-1]), order.shape)
    at = plain(places, q, axis=-1, method=method, weights=weights)
    return np.moveaxis(at, tuple(range(q.ndim)), tuple(range(-q.ndim, 0))) if q.ndim else at
