"""Reductions and cumulative functions: axes, ``keepdims``, ``where``, ``initial``, ``dtype``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.numpy.arguments import KEEP, Axis, as_operand, axes_of, axis_of, reduced_axes, shape_of
from chainrule.numpy.elementwise import astype
from chainrule.numpy.elementwise import where as _where
from chainrule.numpy.manipulation import broadcast_to, concatenate, ravel, reshape
from chainrule.primitives import as_array
from chainrule.rules import arithmetic as ar
from chainrule.rules import reduction as rd
from chainrule.rules import shape as sh
from chainrule.traced import Traced
from chainrule.value import current

# -------------------------------------------------------------------- arguments


def operand(a: Any, dtype: Any = None) -> Any:
    """What is reduced, in the dtype it is to be reduced in."""
    x = as_operand(a)
    return x if dtype is None or np.dtype(dtype) == as_array(current(x)).dtype else astype(x, dtype)


def given(option: Any) -> bool:
    return option is not None and option is not KEEP


def chosen(where: Any) -> bool:
    return given(where) and where is not True


def _kept(keepdims: Any) -> bool:
    return keepdims is not KEEP and bool(keepdims)


def mask_of(name: str, where: Any, x: Any) -> Any:
    """``where=`` in the shape of ``x``."""
    mask = as_array(current(where))
    try:
        return np.broadcast_to(mask.astype(bool), shape_of(x))
    except ValueError:
        raise ValueError(
            f"{name}: where has shape {mask.shape}, which does not broadcast to that of a, {shape_of(x)}"
        ) from None


def _count(mask: Any, axes: tuple[int, ...], keepdims: bool, like: Any) -> Any:
    """How many are averaged, as a real number of the dtype of ``like``."""
    return np.sum(mask, axis=axes, keepdims=keepdims).astype(as_array(current(like)).real.dtype)


# -------------------------------------------------------------------- sum, prod, max, min


def _monoid(name: str, primitive: Any, join: Any, neutral: float) -> Callable[..., Any]:
    """A reduction that can begin with ``initial``; what ``where`` leaves out is the neutral element."""
    extreme = primitive in (rd.max_, rd.min_)

    def reduce(
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = KEEP,
        where: Any = True,
    ) -> Any:
        x = operand(a, dtype)
        axes = reduced_axes(name, x, axis)
        if chosen(where):
            if extreme and not given(initial):
                raise ValueError(f"{name}: where= needs initial=, what an empty selection amounts to")
            x = _where(mask_of(name, where, x), x, neutral)
        if extreme and any(shape_of(x)[k] == 0 for k in axes):
            if not given(initial):
                raise ValueError(f"{name}: an axis of shape {shape_of(x)} is empty; pass initial=")
            like = rd.sum_(x, axis=axes, keepdims=_kept(keepdims))  # of nothing: only its shape and kind
            return _where(True, astype(initial, current(x).dtype), like)
        y = primitive(x, axis=axes, keepdims=_kept(keepdims))
        return join(y, initial) if given(initial) else y

    reduce.__name__ = reduce.__qualname__ = name
    return reduce


sum = _monoid("sum", rd.sum_, ar.add, 0.0)
prod = _monoid("prod", rd.prod, ar.multiply, 1.0)
_max, _min = _monoid("max", rd.max_, ar.maximum, -np.inf), _monoid("min", rd.min_, ar.minimum, np.inf)


def max(
    a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False, initial: Any = KEEP, where: Any = True
) -> Any:
    return _max(a, axis, None, out, keepdims, initial, where)


def min(
    a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False, initial: Any = KEEP, where: Any = True
) -> Any:
    return _min(a, axis, None, out, keepdims, initial, where)


amax, amin = max, min


def ptp(a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False) -> Any:
    axes = reduced_axes("ptp", a, axis)
    return max(a, axes, keepdims=keepdims) - min(a, axes, keepdims=keepdims)


def logaddexp(
    array: Any, axis: Axis = 0, dtype: Any = None, out: Any = None, keepdims: Any = False,
    initial: Any = KEEP, where: Any = True,
) -> Any:  # fmt: skip
    """``np.logaddexp.reduce``: the logarithm of the sum of exponentials."""
    x = operand(array, dtype)
    if chosen(where):
        x = _where(mask_of("logaddexp.reduce", where, x), x, -np.inf)
    y = rd.logsumexp(x, axis=reduced_axes("logaddexp.reduce", x, axis), keepdims=_kept(keepdims))
    return ar.logaddexp(y, initial) if given(initial) else y


# -------------------------------------------------------------------- mean, var, std


def mean(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *,
    where: Any = True,
) -> Any:  # fmt: skip
    x = operand(a, dtype)
    axes, keepdims = axes_of("mean", x, axis), _kept(keepdims)
    if not chosen(where):
        return rd.mean(x, axis=axes, keepdims=keepdims)
    kind = as_array(current(x)).dtype
    mask = mask_of("mean", where, x)
    x = _wide(x)
    y = rd.sum_(_where(mask, x, 0.0), axis=axes, keepdims=keepdims) / _count(mask, axes, keepdims, x)
    return operand(y, kind)


def _wide(x: Any) -> Any:
    """Half precision in single, as NumPy averages it."""
    return astype(x, np.float32) if as_array(current(x)).dtype == np.float16 else x


def var(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False,
    *, where: Any = True, mean: Any = KEEP, correction: Any = KEEP,
) -> Any:  # fmt: skip
    return _spread("var", rd.var, a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def std(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False,
    *, where: Any = True, mean: Any = KEEP, correction: Any = KEEP,
) -> Any:  # fmt: skip
    return _spread("std", rd.std, a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def _spread(
    name: str, primitive: Any, a: Any, axis: Any, dtype: Any, out: Any, ddof: Any, keepdims: Any, where: Any,
    centre: Any, correction: Any,
) -> Any:  # fmt: skip
    x = operand(a, dtype)
    axes, keepdims = axes_of(name, x, axis), _kept(keepdims)
    ddof = ddof if correction is KEEP else correction
    if not chosen(where) and not given(centre):
        return primitive(x, axis=axes, keepdims=keepdims, ddof=ddof)
    kind = as_array(current(x)).real.dtype
    mask = mask_of(name, where, x)
    x = _wide(x)
    n = np.maximum(_count(mask, axes, keepdims, x) - ddof, 0)
    if not given(centre):
        centre = mean(x, axes, keepdims=True, where=mask)
        if as_array(current(x)).dtype.kind == "f":  # the mean of equal numbers may round
            top = np.max(np.where(mask, current(x), -np.inf), axis=axes, keepdims=True, initial=-np.inf)
            low = np.min(np.where(mask, current(x), np.inf), axis=axes, keepdims=True, initial=np.inf)
            mask = mask & (top != low)
    c = _where(mask, x - as_operand(centre), 0.0)
    if name == "std":  # the norm has a derivative at 0, which the root has not
        return operand(rd.norm(c, axis=axes, keepdims=keepdims) / np.sqrt(n), kind)
    return operand(rd.sum_(ar.real(ar.conj(c) * c), axis=axes, keepdims=keepdims) / n, kind)


def average(
    a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    a = as_operand(a)
    if weights is None:
        y = mean(a, axis, keepdims=keepdims)
        count = np.size(current(a)) / np.size(current(y)) if np.size(current(y)) else 0.0
        return (y, np.full(shape_of(y), count, as_array(current(y)).dtype)[()]) if returned else y
    weights = as_operand(weights)
    if shape_of(weights) != shape_of(a):
        if axis is None:
            raise TypeError(
                f"average: weights have shape {shape_of(weights)}, expected that of a, {shape_of(a)}, "
                "or the lengths of the axes named by axis="
            )
        axes = tuple(axis_of("average", a, k) for k in (axis if isinstance(axis, tuple) else (axis,)))
        lengths = tuple(shape_of(a)[k] for k in axes)
        if shape_of(weights) != lengths:
            raise ValueError(f"average: weights have shape {shape_of(weights)}, expected {lengths}")
        weights = sh.transpose(weights, tuple(int(i) for i in np.argsort(axes)))
        weights = reshape(weights, tuple(n if k in axes else 1 for k, n in enumerate(shape_of(a))))
        weights = broadcast_to(weights, shape_of(a))
    total = sum(weights, axis, keepdims=keepdims)
    y = sum(a * weights, axis, keepdims=keepdims) / total
    return (y, broadcast_to(total, shape_of(y))) if returned else y


# -------------------------------------------------------------------- cumulative


def _cumulative(name: str, primitive: Any) -> Callable[..., Any]:
    def accumulate(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        x = operand(a, dtype)
        if axis is None or (axis in (0, -1) and not shape_of(x)):  # of a number, as in NumPy
            x, axis = ravel(x), 0
        return primitive(x, axis=axis_of(name, x, axis))

    accumulate.__name__ = accumulate.__qualname__ = name
    return accumulate


cumsum = _cumulative("cumsum", rd.cumsum)
cumprod = _cumulative("cumprod", rd.cumprod)


def _with_initial(name: str, accumulate: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    def cumulative(
        x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None,
        include_initial: bool = False,
    ) -> Any:  # fmt: skip
        x = as_operand(x)
        shape = shape_of(x) or (1,)
        if axis is None and len(shape) > 1:
            raise ValueError(f"{name}: x has shape {shape}; with several axes name one by axis=")
        x = reshape(x, shape)
        k = axis_of(name, x, 0 if axis is None else axis)
        y = accumulate(x, k, dtype, out)
        if not include_initial:
            return y
        first = np.full(shape[:k] + (1,) + shape[k + 1 :], neutral, current(y).dtype)
        return concatenate([first, y], k)

    cumulative.__name__ = cumulative.__qualname__ = name
    return cumulative


cumulative_sum = _with_initial("cumulative_sum", cumsum, 0.0)
cumulative_prod = _with_initial("cumulative_prod", cumprod, 1.0)

# -------------------------------------------------------------------- without the nan


def _filled(a: Any, neutral: float, dtype: Any = None) -> Any:
    x = operand(a, dtype)
    return _where(np.isnan(current(x)), neutral, x)


def nansum(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
    initial: Any = KEEP, where: Any = True,
) -> Any:  # fmt: skip
    return sum(_filled(a, 0.0, dtype), axis, None, out, keepdims, initial, where)


def nanprod(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
    initial: Any = KEEP, where: Any = True,
) -> Any:  # fmt: skip
    return prod(_filled(a, 1.0, dtype), axis, None, out, keepdims, initial, where)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    return cumsum(_filled(a, 0.0, dtype), axis, None, out)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    return cumprod(_filled(a, 1.0, dtype), axis, None, out)


def _there(name: str, a: Any, where: Any) -> Any:
    """``where=`` without the elements that are nan."""
    mask = ~np.isnan(as_array(current(a)))
    return mask & mask_of(name, where, a) if chosen(where) else mask


def _nan_extreme(extreme: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    name = "nan" + extreme.__name__

    def reduce(
        a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False, initial: Any = KEEP,
        where: Any = True,
    ) -> Any:  # fmt: skip
        axes, kept = reduced_axes(name, a, axis), _kept(keepdims)
        there = _there(name, a, where)
        y = extreme(_where(there, a, neutral), axes, keepdims=kept, initial=initial)
        if given(initial):
            return y
        if chosen(where):
            raise ValueError(f"{name}: where= needs initial=, what an empty selection amounts to")
        hit = there & (as_array(current(a)) == neutral)
        many = np.sum(hit, axis=axes, keepdims=kept)
        alone = (many > 0) & (as_array(current(y)) == neutral)
        if type(alone) is Traced or np.any(alone):  # what stands in the place of nan has no share
            total = sum(_where(hit, a, 0.0), axes, keepdims=kept) / np.maximum(many, 1)
            y = _where(alone, total, y)
        some = np.any(there, axis=axes, keepdims=kept)
        return _where(some, y, np.nan)  # of nothing but nan

    reduce.__name__ = reduce.__qualname__ = name
    return reduce


nanmax, nanmin = _nan_extreme(max, -np.inf), _nan_extreme(min, np.inf)


def nanmean(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *,
    where: Any = True,
) -> Any:  # fmt: skip
    return mean(a, axis, dtype, out, keepdims, where=_there("nanmean", a, where))


def _nan_spread(spread: Callable[..., Any]) -> Callable[..., Any]:
    """Where no more numbers are left than degrees of freedom are taken it is nan."""
    name = "nan" + spread.__name__

    def reduce(
        a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False,
        *, where: Any = True, mean: Any = KEEP, correction: Any = KEEP,
    ) -> Any:  # fmt: skip
        axes, there = reduced_axes(name, a, axis), _there(name, a, where)
        y = spread(a, axis, dtype, out, ddof, keepdims, where=there, mean=mean, correction=correction)
        count = np.sum(there, axis=axes, keepdims=_kept(keepdims))
        return _where(count > (ddof if correction is KEEP else correction), y, np.nan)

    reduce.__name__ = reduce.__qualname__ = name
    return reduce


nanvar, nanstd = _nan_spread(var), _nan_spread(std)
