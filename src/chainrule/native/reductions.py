"""Reductions of traced arrays, and what runs along an axis."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from chainrule.native.operations import (
    BOOL,
    FLOAT64,
    INT64,
    REDUCTIONS,
    broadcast_to,
    call,
    cast,
    copied,
    lift,
    node,
    reshape,
)
from chainrule.native.ufuncs import apply_ufunc
from chainrule.native.ufuncs import where as _where  # where a parameter has that name
from chainrule.traced import Traced, TracedError, where_in_user_code

__all__ = ["REDUCE", "argmax", "argmin", "cumprod", "cumsum"]


def _axes(x: Traced, axis: Any) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    if not x.ndim and not isinstance(axis, tuple | list) and axis in (0, -1):
        return ()  # of a number, as in NumPy
    return tuple(sorted(normalize_axis_tuple(axes, x.ndim)))


def _reduction(name: str) -> Callable[..., Traced]:
    function: Any = {"max": np.amax, "min": np.amin}.get(name, getattr(np, name))

    def reduce(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
        initial: Any = np._NoValue, where: Any = True,
    ) -> Traced:  # fmt: skip
        x = lift(a)
        keep = keepdims is not np._NoValue and bool(keepdims)
        initial = np._NoValue if initial is None else initial
        if out is not None:
            raise TracedError(
                f"{where_in_user_code()}: {name}: out= of a traced value; assign the result instead"
            )
        chosen = where is not True and where is not np._NoValue
        if chosen and name in ("sum", "prod") and x.dtype.kind == "f":
            x, chosen = _where(where, x, 0.0 if name == "sum" else 1.0), False
        if chosen or x.dtype.kind == "c" or x.dtype.itemsize not in (1, 4, 8):
            options = {"axis": axis, "keepdims": keep}
            if initial is not np._NoValue:
                options["initial"] = initial
            if chosen:
                options["where"] = where
            if dtype is not None:
                options["dtype"] = dtype
            return call(function, (x,), options)  # type: ignore[no-any-return]
        if name in ("sum", "prod"):
            x = cast(x, np.dtype(dtype) if dtype is not None else _accumulator(x.dtype))
        elif name in ("any", "all"):
            x = x if x.dtype == BOOL else apply_ufunc(np.not_equal, x, 0)
        axes = _axes(x, axis)
        count = math.prod(x.shape[i] for i in axes)
        if count == 0 and name in ("max", "min") and initial is np._NoValue:
            raise ValueError(f"{name}: zero-size array of shape {x.shape} has no {name}")
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        if count == 0:
            start = {"sum": 0, "prod": 1, "any": False, "all": True}.get(name, initial)
            y = broadcast_to(cast(lift(start), x.dtype), kept)
        elif (axes and count != 1) or name in ("any", "all"):
            op = {"max": "any", "min": "all"}.get(name, name) if x.dtype == BOOL else name
            y = node(op, (x,), kept, x.dtype, False, {"axis": axes})
        else:
            y = reshape(copied(x), kept)
        if initial is not np._NoValue and not (name == "max" and initial == -np.inf):
            combine = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[name]
            y = apply_ufunc(combine, y, initial)
        return y if keep else reshape(y, tuple(n for i, n in enumerate(x.shape) if i not in axes))

    return reduce


def _accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return INT64 if dtype.kind in "bi" else np.dtype(np.uint64) if dtype.kind == "u" else dtype


REDUCE = {name: _reduction(name) for name in REDUCTIONS}


def _arg(name: str) -> Callable[..., Traced]:
    def find(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Traced:
        x, keep = lift(a), keepdims is not np._NoValue and bool(keepdims)
        if x.dtype.kind == "c" or out is not None:
            return call(getattr(np, name), (x,), {"axis": axis, "keepdims": keep})  # type: ignore[no-any-return]
        if axis is None or not (x.shape or _axes(x, axis)):
            kept: tuple[int, ...] = (1,) * x.ndim
            axes: tuple[int, ...] = (0,)
            x = reshape(x, (x.size,))
        else:
            axes = _axes(x, operator.index(axis))
            kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        if x.shape[axes[0]] == 0 and (axis is None or 0 not in kept):
            raise ValueError(f"{name}: there is nothing to compare in an array of shape {lift(a).shape}")
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        y = node(name, (x,), shape, INT64, False, {"axis": axes})
        dropped = () if axis is None else tuple(n for i, n in enumerate(shape) if i not in axes)
        return reshape(y, kept if keep else dropped)

    return find


def _cumulative(name: str) -> Callable[..., Traced]:
    def accumulate(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Traced:
        x = lift(a)
        kind = _accumulator(x.dtype) if dtype is None else np.dtype(dtype)
        if kind.char not in "fdql" or x.dtype.kind in "uc" or out is not None:
            return call(getattr(np, name), (x,), {"axis": axis, "dtype": dtype})  # type: ignore[no-any-return]
        if axis is None or not (x.shape or _axes(x, axis)):
            x, axis = reshape(x, (x.size,)), 0
        return node(name, (cast(x, kind),), x.shape, kind, False, {"axis": _axes(x, operator.index(axis))})

    return accumulate


argmax, argmin = _arg("argmax"), _arg("argmin")
cumsum, cumprod = _cumulative("cumsum"), _cumulative("cumprod")


def _special(function: Callable[..., Any], x: Traced, options: dict[str, Any]) -> Any:
    """What NumPy itself is asked for: options that choose or convert, and half precision; None otherwise."""
    given = {k: v for k, v in options.items() if v is not None and v is not np._NoValue}
    if given.get("where", True) is True and not {"dtype", "mean"} & set(given) and x.dtype.itemsize > 2:
        return None
    return call(function, (x,), given)


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True,
) -> Any:  # fmt: skip
    x = lift(a)
    if x.dtype.kind in "biu" and dtype is None:
        x = cast(x, FLOAT64)
    found = _special(np.mean, x, {"axis": axis, "dtype": dtype, "keepdims": keepdims, "where": where})
    if found is not None:
        return found
    total = REDUCE["sum"](x, axis, None, None, keepdims)
    count = math.prod(x.shape[i] for i in _axes(x, axis))
    return apply_ufunc(np.divide, total, float(count))


def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False,
    **options: Any,
) -> Any:  # fmt: skip
    x = lift(a)
    ddof = _ddof(ddof, options)
    found = _special(np.var, x, dict(axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, **options))
    if found is not None:
        return found
    if x.dtype.kind == "c":
        return call(np.var, (x,), {"axis": axis, "ddof": ddof, "keepdims": keepdims})
    c = apply_ufunc(np.subtract, x, mean(x, axis, keepdims=True))
    total = REDUCE["sum"](apply_ufunc(np.multiply, c, c), axis, None, None, keepdims)
    count = math.prod(x.shape[i] for i in _axes(x, axis)) - ddof
    return apply_ufunc(np.divide, total, float(count) if count > 0 else 0.0)


def _ddof(ddof: float, options: dict[str, Any]) -> Any:
    correction = options.pop("correction", np._NoValue)
    return ddof if correction is np._NoValue else correction


def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False,
    **options: Any,
) -> Any:  # fmt: skip
    x = lift(a)
    ddof = _ddof(ddof, options)
    found = _special(np.std, x, dict(axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, **options))
    if found is not None:
        return found
    return apply_ufunc(np.sqrt, var(x, axis, None, out, ddof, keepdims))
