"""Elementwise functions beside the ufuncs: their calling conventions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.numpy.arguments import KEEP, as_operand, shape_of
from chainrule.primitives import as_array, cast
from chainrule.primitives import where as _where
from chainrule.rules import arithmetic as ar
from chainrule.rules import reduction as rd
from chainrule.rules.elementary import i0 as _i0
from chainrule.rules.elementary import sinc as _sinc
from chainrule.traced import Traced
from chainrule.value import Value, current


def power(x: Any, y: Any) -> Any:
    """``x ** y``; the square of a norm is an operation of its own, because it is smooth at 0."""
    if _is_norm(x) and type(y) is not Value and np.ndim(y) == 0 and y == 2:
        return rd.square_of_norm(x, x.inputs[0], **x.params)
    return ar.power(as_operand(x), as_operand(y))


def square(x: Any) -> Any:
    return power(x, 2) if _is_norm(x) else ar.square(x)


def _is_norm(x: Any) -> bool:
    """Whether ``x`` is the norm of what its operand still is."""
    return type(x) is Value and x.primitive is rd.norm and current(x.inputs[0]) is x.args[0]


def divmod(x1: Any, x2: Any) -> Any:
    return ar.floor_divide(x1, x2), ar.remainder(x1, x2)


def where(condition: Any, x: Any = KEEP, y: Any = KEEP) -> Any:
    condition = current(condition)
    if x is KEEP:
        return np.where(condition)
    if y is KEEP:
        raise ValueError("where: received x without y, expected both or neither: np.where(condition, x, 0.0)")
    if type(condition) is Traced:
        return _where(condition.astype(bool), as_operand(x), as_operand(y))
    mask = np.asarray(condition, dtype=bool)
    return _where(mask if mask.ndim else bool(mask), as_operand(x), as_operand(y))


def clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None,
    dtype: Any = None, where: Any = True, **options: Any,
) -> Any:  # fmt: skip
    if where is not True:
        raise TypeError("clip: where= is not supported for Values; use np.where(mask, np.clip(...), a)")
    if dtype is not None:
        a = astype(as_operand(a), dtype)
    low = a_min if min is None or min is KEEP else min
    high = a_max if max is None or max is KEEP else max
    low = -math.inf if low is None or low is KEEP else low
    high = math.inf if high is None or high is KEEP else high
    return ar.clip(as_operand(a), as_operand(low), as_operand(high))


def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    return ar.round_(a, decimals=decimals)


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    given, y = {"nan": nan, "posinf": posinf, "neginf": neginf}, x
    for kind, find in (("nan", np.isnan), ("posinf", np.isposinf), ("neginf", np.isneginf)):
        if type(given[kind]) is Value:  # which has a derivative itself
            y = where(find(as_array(current(x))), given[kind], y)
            given[kind] = None if find is not np.isnan else 0.0
    y = ar.nan_to_num(y, **given)
    if copy or not shape_of(x):
        return y
    x[...] = y
    return x


def float_power(x1: Any, x2: Any) -> Any:
    """The power in double precision or more, as NumPy computes it."""
    x, y = as_operand(x1), as_operand(x2)
    kind = np.result_type(*(as_array(current(v)).dtype for v in (x, y)), np.float64)
    return power(*(v if isinstance(v, float | int) or _is_number(v) else astype(v, kind) for v in (x, y)))


def _is_number(x: Any) -> bool:
    return type(x) is Value and type(x._raw) is float


def fix(x: Any, out: Any = None) -> Any:
    return ar.trunc(as_operand(x))


def modf(x: Any) -> Any:
    return ar.fraction(x), ar.trunc(x)


def frexp(x: Any) -> Any:
    """The mantissa, whose derivative is 2 to the minus exponent, and the exponent, a plain integer."""
    exponent = np.frexp(current(x))[1]
    return ar.ldexp(x, -exponent), exponent


def real_if_close(a: Any, tol: float = 100) -> Any:
    if not np.iscomplexobj(current(a)) or np.iscomplexobj(np.real_if_close(current(a), tol)):
        return a
    return ar.real(a)


def i0(x: Any) -> Any:
    return _i0(x, order=0)


def sinc(x: Any) -> Any:
    return _sinc(x, order=0)


def real(val: Any) -> Any:
    return ar.real(val) if np.iscomplexobj(current(val)) else val


def imag(val: Any) -> Any:
    return ar.imag(val)


def angle(z: Any, deg: bool = False) -> Any:
    return ar.angle(z) * (180 / math.pi) if deg else ar.angle(z)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    if np.dtype(dtype).kind not in "fc":
        raise TypeError(
            f"astype: a Value cannot become {np.dtype(dtype)}, which has no derivative; "
            "take v.data.astype(...) for plain numbers"
        )
    return cast(x, dtype=np.dtype(dtype))


def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return ar.positive(a)
