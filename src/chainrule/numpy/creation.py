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


HERE = {
    name: making(getattr(np, name))
    for name in (
        "zeros ones empty full eye identity tri arange linspace logspace geomspace zeros_like ones_like "
        "empty_like full_like fromfunction fromiter hanning hamming blackman bartlett kaiser"
    ).split()
}
HERE |= dict.fromkeys(("asarray", "asanyarray", "ascontiguousarray"), asarray)
HERE |= {f.__name__: f for f in (array, astype)}
