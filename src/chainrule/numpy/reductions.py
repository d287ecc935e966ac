"""Reductions and cumulative functions: axes, ``keepdims``, ``where``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.numpy.arguments import KEEP, Axis, as_operand, axes_of, axis_of, refuse, shape_of
from chainrule.numpy.elementwise import astype
from chainrule.numpy.manipulation import broadcast_to, concatenate, ravel, reshape
from chainrule.primitive import where as _where
from chainrule.rules import reduction as rd
from chainrule.rules import shape as sh
from chainrule.value import Value, current


def _reduction(name: str, primitive: Any) -> Callable[..., Any]:
    def reduce(
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = KEEP,
        where: Any = True,
        **options: Any,
    ) -> Any:
        refuse(name, out=out, initial=initial)
        x = as_operand(a) if dtype is None else astype(a, dtype)
        if where is not True and where is not KEEP:
            if name not in ("sum", "prod"):
                refuse(name, where=where)
            x = _where(current(where), x, 0.0 if name == "sum" else 1.0)
        keepdims = keepdims is not KEEP and bool(keepdims)
        return primitive(x, axis=axes_of(name, x, axis), keepdims=keepdims, **options)

    reduce.__name__ = reduce.__qualname__ = name
    return reduce


sum = _reduction("sum", rd.sum_)
prod = _reduction("prod", rd.prod)
mean = _reduction("mean", rd.mean)
_max, _min = _reduction("max", rd.max_), _reduction("min", rd.min_)
_var, _std = _reduction("var", rd.var), _reduction("std", rd.std)


def max(
    a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False, initial: Any = KEEP, where: Any = True
) -> Any:
    return _max(a, axis, None, out, keepdims, initial, where)


def min(
    a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False, initial: Any = KEEP, where: Any = True
) -> Any:
    return _min(a, axis, None, out, keepdims, initial, where)


amax, amin = max, min


def var(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False,
    *, where: Any = True, mean: Any = KEEP, correction: Any = KEEP,
) -> Any:  # fmt: skip
    refuse("var", mean=mean)
    return _var(a, axis, dtype, out, keepdims, where=where, ddof=ddof if correction is KEEP else correction)


def std(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False,
    *, where: Any = True, mean: Any = KEEP, correction: Any = KEEP,
) -> Any:  # fmt: skip
    refuse("std", mean=mean)
    return _std(a, axis, dtype, out, keepdims, where=where, ddof=ddof if correction is KEEP else correction)


def ptp(a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False) -> Any:
    refuse("ptp", out=out)
    axes = axes_of("ptp", a, axis)
    return max(a, axes, keepdims=keepdims) - min(a, axes, keepdims=keepdims)


def average(
    a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    if returned:
        raise TypeError(
            "average: returned=True is not supported for Values; compute np.sum(weights) beside it"
        )
    if weights is None:
        return mean(a, axis, keepdims=keepdims)
    if shape_of(weights) != shape_of(a):
        if not isinstance(axis, int) or len(shape_of(weights)) != 1:
            raise TypeError(
                f"average: weights have shape {shape_of(weights)}, expected that of a, {shape_of(a)}, "
                "or one axis together with an integer axis="
            )
        k = axis_of("average", a, axis)
        weights = reshape(weights, tuple(-1 if i == k else 1 for i in range(len(shape_of(a)))))
        weights = broadcast_to(weights, shape_of(a))
    return sum(a * weights, axis, keepdims=keepdims) / sum(weights, axis, keepdims=keepdims)


def _cumulative(name: str, primitive: Any) -> Callable[..., Any]:
    def accumulate(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        refuse(name, out=out)
        x = as_operand(a) if dtype is None else astype(a, dtype)
        if axis is None:
            x, axis = ravel(x), 0
        return primitive(x, axis=axis_of(name, x, axis))

    accumulate.__name__ = accumulate.__qualname__ = name
    return accumulate


cumsum = _cumulative("cumsum", rd.cumsum)
cumprod = _cumulative("cumprod", rd.cumprod)


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = KEEP, append: Any = KEEP) -> Any:
    a = as_operand(a)
    k = axis_of("diff", a, axis)
    if n < 0:
        raise ValueError(f"diff: n is {n}, expected 0 or more")
    before = (slice(None),) * k
    if n and (prepend is not KEEP or append is not KEEP):
        edge = shape_of(a)[:k] + (1,) + shape_of(a)[k + 1 :]  # of a number, repeated
        parts = [as_operand(p) for p in (prepend, a, append) if p is not KEEP]
        a = concatenate([p if shape_of(p) else broadcast_to(p, edge) for p in parts], k)
    for _ in range(n):
        a = sh.getitem(a, (*before, slice(1, None))) - sh.getitem(a, (*before, slice(None, -1)))
    return a


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Counts are plain integers; sums of weights have a derivative in these."""
    if type(weights) is not Value:
        return np.bincount(current(x), weights, minlength)
    plain = np.bincount(current(x), current(weights), minlength)  # checks everything
    return sh.scatter(astype(weights, plain.dtype), index=np.array(x), shape=plain.shape)


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
    device: Any = None,
) -> Any:  # fmt: skip
    plain = np.full_like(current(a), current(fill_value), dtype, shape=shape)
    if type(fill_value) is not Value:
        return plain
    return broadcast_to(astype(fill_value, plain.dtype), plain.shape)
