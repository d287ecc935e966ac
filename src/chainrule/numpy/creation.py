"""NumPy's functions that make arrays: of floats they make constant Values, of anything else plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import optree

from chainrule.numpy import functions as fn
from chainrule.numpy.constants import constant, is_constant
from chainrule.traced import Traced
from chainrule.value import Value, current

__all__ = ["HERE"]


def making(make: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy's that makes arrays, making constants."""

    @wraps(make)
    def made(*args: Any, **options: Any) -> Any:
        given: Any = (args, options)
        values = [x for x in optree.tree_leaves(given, none_is_leaf=True) if type(x) is Value]
        if values and make in _TOLD:
            options["like"] = values[0]
        return constant(make(*args, **options))

    return made


# NumPy looks for other kinds of arrays in their ``like=`` alone.
_TOLD = {np.full, np.arange}


def frequencies(make: Callable[..., Any]) -> Callable[..., Any]:
    """`numpy.fft`'s frequencies, of any dtype."""

    def made(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
        return constant(make(n, d, device=device).astype(dtype or float))

    made.__name__, made.__doc__ = make.__name__, make.__doc__
    return made


def asarray(
    obj: Any, /, dtype: Any = None, order: Any = None, *, device: Any = None, copy: bool | None = None
) -> Any:
    """Floats as a Value, whatever holds them; integers and booleans as a plain array.

    A Value is given back as it is, and a copy or another dtype of it stays connected to it. What was made of
    plain numbers is a constant: it gets no gradient. Write ``chainrule.Value(x)`` for what is differentiated.

    Raises
    ------
    ValueError
        For ``copy=False`` of what is no Value: a Value keeps numbers of its own.
    TypeError
        For a tracked Value with a dtype of integers or booleans.

    Examples
    --------
    >>> asarray([1.0, 2.0])
    Value(data=[1., 2.], grad=0.0)
    >>> asarray([1, 2])
    array([1, 2])
    """
    if type(obj) is Value:
        x = obj if dtype is None else astype(obj, dtype, copy=False)
        return fn.copy(x) if copy and x is obj else x
    if type(obj) is Traced:
        return constant(obj if dtype is None else obj.astype(dtype))
    nested: Any = obj if isinstance(obj, list | tuple) else ()
    if any(type(x) in (Value, Traced) for x in optree.tree_leaves(nested)):
        return fn.array(obj, dtype)
    made = np.asarray(obj, dtype, order, device=device, copy=copy)
    if copy is False and made.dtype.kind in "fc":
        raise ValueError("asarray: copy=False, but a Value keeps numbers of its own; leave it out to copy")
    return constant(made, fresh=isinstance(obj, list | tuple | int | float | complex))


def array(
    object: Any, dtype: Any = None, *, copy: bool | None = True, order: Any = None, ndmin: int = 0
) -> Any:
    """As `asarray`, but a Value is copied, unless ``copy=False``."""
    x = asarray(object, dtype, order, copy=copy or None)
    return x[(None,) * max(ndmin - x.ndim, 0)] if ndmin > x.ndim else x


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Another dtype. Of a tracked Value only floats and complex numbers, which have a derivative."""
    if type(x) is not Value:
        return asarray(np.asarray(x, device=device).astype(dtype, copy=copy))
    if np.dtype(dtype) == x.dtype and not copy:
        return x
    if np.dtype(dtype).kind not in "fc" and is_constant(x):
        return np.asarray(current(x)).astype(dtype)
    return fn.astype(x, dtype)


def sort(a: Any, axis: Any = -1, kind: Any = None, *, descending: bool = False, **options: Any) -> Any:
    """NumPy's, stable as the standard wants it, and in descending order too."""
    if descending:
        return np.take_along_axis(a, argsort(a, axis, kind, descending=True, **options), axis)
    return np.sort(a, axis, **_stable(kind, options))


def argsort(a: Any, axis: Any = -1, kind: Any = None, *, descending: bool = False, **options: Any) -> Any:
    """NumPy's, stable as the standard wants it, and in descending order too."""
    if not descending:
        return np.argsort(a, axis, **_stable(kind, options))
    order = np.argsort(np.flip(a, axis), axis, **_stable(kind, options))
    return np.flip(order.shape[axis] - 1 - order, axis)


def _stable(kind: Any, options: dict[str, Any]) -> dict[str, Any]:
    return {"stable": True, **options} if kind is None else {"kind": kind, **options}


def finfo(dtype: Any, /) -> Any:
    """What NumPy knows of a dtype of floats, or of an array's."""
    return np.finfo(_dtype(dtype))


def iinfo(type: Any, /) -> Any:
    """What NumPy knows of a dtype of integers, or of an array's."""
    return np.iinfo(_dtype(type))


def _dtype(x: Any) -> Any:
    return x.dtype if isinstance(x, Value | Traced | np.ndarray | np.generic) else x


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """Another library's array: floats as a constant, with numbers of its own."""
    return asarray(x if type(x) is Value else np.from_dlpack(x), device=device, copy=copy)


HERE = {
    name: making(getattr(np, name))
    for name in (
        "zeros ones empty full eye identity tri arange linspace logspace geomspace zeros_like ones_like "
        "empty_like full_like fromfunction fromiter hanning hamming blackman bartlett kaiser"
    ).split()
}
HERE |= dict.fromkeys(("asarray", "asanyarray", "ascontiguousarray"), asarray)
HERE |= {f.__name__: f for f in (array, astype, sort, argsort, finfo, iinfo, from_dlpack)}
