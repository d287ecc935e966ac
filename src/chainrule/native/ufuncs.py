"""NumPy's ufuncs on traced arrays: promotion and broadcasting, and what is a composition of ufuncs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.native.operations import (
    BOOL,
    ELEMENTWISE,
    FLOAT64,
    INT64,
    broadcast_shapes,
    broadcast_to,
    call,
    cast,
    copied,
    lift,
    node,
)
from chainrule.traced import Traced, TracedError, where_in_user_code

__all__ = ["SPECIAL", "apply_ufunc", "where"]

_resolved: dict[Any, Any] = {}


def _resolve(ufunc: np.ufunc, xs: Sequence[Traced]) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
    """The dtypes NumPy would compute in, and the result's."""
    key = (ufunc, *[(x.dtype.char, x.weak) for x in xs])
    found = _resolved.get(key)
    if found is None:
        kinds = {"f": float, "i": int, "c": complex}
        if all(x.weak and x.dtype.kind == "i" for x in xs):
            kinds = {}  # of two Python integers NumPy would make objects, which have no bounds
        given = [kinds.get(x.dtype.kind, x.dtype) if x.weak else x.dtype for x in xs]
        every = ufunc.resolve_dtypes((*given, *[None] * ufunc.nout))
        found = _resolved[key] = every[: ufunc.nin], every[ufunc.nin]
    return found


_plans: dict[Any, Any] = {}
_PYTHON = (FLOAT64, INT64, BOOL)  # what Python's numbers are


def _plan(ufunc: np.ufunc, xs: Sequence[Traced]) -> Any:
    """How a ufunc of these dtypes is written down: name, theirs, its own, weak; None where NumPy runs it."""
    name = "absolute" if ufunc is np.fabs else ufunc.__name__
    if name not in ELEMENTWISE or any(x.dtype.kind == "c" or x.dtype.itemsize not in (1, 4, 8) for x in xs):
        return None
    dtypes, dtype = _resolve(ufunc, xs)
    if all(d == BOOL for d in dtypes):
        name = {
            "add": "logical_or",
            "multiply": "logical_and",
            "maximum": "logical_or",
            "minimum": "logical_and",
        }.get(name, name)
    if dtype.kind not in "fiub" or any(d.itemsize not in (1, 4, 8) for d in (*dtypes, dtype)):
        return None
    return name, dtypes, dtype, dtype in _PYTHON and all(x.weak for x in xs)


def apply_ufunc(ufunc: np.ufunc, *operands: Any) -> Traced:
    """``ufunc(*operands)`` with NumPy's promotion and broadcasting."""
    xs = [x if type(x) is Traced else lift(x) for x in operands]
    key = (ufunc, *[(x.dtype.char, x.weak) for x in xs])
    try:
        plan = _plans[key]
    except KeyError:
        special = SPECIAL.get(ufunc)
        if special is not None:
            made = special(*xs)
            if made is not None:
                return made
        try:
            plan = _plans[key] = _plan(ufunc, xs)
        except TypeError as error:
            raise _unsupported(ufunc, xs, error) from None
    if plan is None:
        try:
            made = call(ufunc, operands, {})
        except TypeError as error:
            raise _unsupported(ufunc, xs, error) from None
        if type(made) is not Traced:  # of several results
            return made  # type: ignore[no-any-return]
        return cast(made, made.dtype, made.dtype in _PYTHON and all(x.weak for x in xs))
    name, kinds, dtype, weak = plan
    shape = xs[0].shape
    if len(xs) > 1 and xs[1].shape != shape:
        try:
            shape = broadcast_shapes(shape, xs[1].shape)
        except ValueError:
            raise ValueError(
                f"{name}: operands of shapes {shape} and {xs[1].shape} do not broadcast together; counted "
                "from the last, each pair of axes must be equal or one of them 1"
            ) from None
    try:
        inputs = tuple([x if x.dtype is d or x.dtype == d else cast(x, d, x.weak) for x, d in zip(xs, kinds)])
    except OverflowError:
        if dtype != BOOL:
            raise
        inputs = tuple([cast(x, INT64) for x in xs])  # compared with what no element can be
    return node(name, inputs, shape, dtype, weak)


def _unsupported(ufunc: np.ufunc, xs: Sequence[Traced], error: TypeError) -> TypeError:
    if isinstance(error, TracedError):
        return error
    given = ", ".join(str(x.dtype) for x in xs)
    return TracedError(f"{where_in_user_code()}: {ufunc.__name__} of {given}: {error}; convert with astype")


def _scaled(ufunc: np.ufunc, factor: float) -> Callable[..., Traced | None]:
    def scale(x: Traced) -> Traced | None:
        dtype = _resolve(ufunc, (x,))[1]
        return apply_ufunc(np.multiply, cast(x, dtype, x.weak), factor) if dtype.char in "fd" else None

    return scale


def _kept(*kinds: str) -> Callable[..., Traced | None]:
    """What a ufunc leaves as it is, if it is of one of these kinds."""
    return lambda x: copied(x) if x.dtype.kind in kinds else None


def _same_for_all(answer: bool) -> Callable[..., Traced | None]:
    """What is asked of a number, and known of all but floats."""
    return lambda x: None if x.dtype.kind in "fc" else full(x, answer, BOOL)


# Ufuncs that are written as something else; None from one of these: it is written as itself.
SPECIAL: dict[np.ufunc, Callable[..., Traced | None]] = {
    np.conjugate: _kept("f", "i", "u"),
    np.positive: _kept("f", "c", "i", "u"),
    np.absolute: _kept("b"),
    np.isnan: _same_for_all(False),
    np.isinf: _same_for_all(False),
    np.isfinite: _same_for_all(True),
    **{f: lambda x, f=f: copied(x) if _resolve(f, (x,))[1].kind == "b" else None
       for f in (np.floor, np.ceil, np.trunc)},
    **{f: _scaled(f, math.pi / 180) for f in (np.deg2rad, np.radians)},
    **{f: _scaled(f, 180 / math.pi) for f in (np.rad2deg, np.degrees)},
    np.ldexp: lambda x, n: apply_ufunc(np.multiply, x, apply_ufunc(np.exp2, cast(n, x.dtype))),
}  # fmt: skip


def where(condition: Any, x: Any, y: Any) -> Traced:
    """``np.where(condition, x, y)``."""
    c, x, y = lift(condition), lift(x), lift(y)
    if c.dtype != BOOL:
        c = apply_ufunc(np.not_equal, c, 0)
    _, dtype = (
        _resolve(np.add, (x, y))
        if BOOL not in (x.dtype, y.dtype)
        else (None, np.result_type(x.dtype, y.dtype))
    )
    weak = x.weak and y.weak and c.shape == ()
    if dtype.kind == "c":
        return call(np.where, (c, x, y), {})  # type: ignore[no-any-return]
    shape = broadcast_shapes(c.shape, x.shape, y.shape)
    return node("where", (c, cast(x, dtype, x.weak), cast(y, dtype, y.weak)), shape, dtype, weak)


def clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None
) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if low is None or high is None or np.ndim(low) or np.ndim(high):
        y = copied(lift(a)) if low is None else apply_ufunc(np.maximum, a, low)
        return y if high is None else apply_ufunc(np.minimum, y, high)
    # Between numbers a zero of NumPy's keeps its sign: of two zeros the second is taken.
    return apply_ufunc(np.minimum, high, apply_ufunc(np.maximum, low, a))


def nan_to_num(x: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Traced:
    x = lift(x)
    if x.dtype.kind != "f":
        return copied(x) if x.dtype.kind != "c" else call(np.nan_to_num, (x, True, nan, posinf, neginf), {})
    limits = np.finfo(x.dtype)
    y = where(apply_ufunc(np.isnan, x), nan, x)
    y = where(apply_ufunc(np.equal, x, np.inf), limits.max if posinf is None else posinf, y)
    return where(apply_ufunc(np.equal, x, -np.inf), limits.min if neginf is None else neginf, y)


def infinite(sign: float) -> Callable[[Any], Traced]:
    return lambda x: apply_ufunc(np.equal, x, sign * np.inf)


def full(x: Any, value: Any, dtype: Any = None, shape: Any = None) -> Traced:
    x, value = lift(x), lift(value)
    kind = x.dtype if dtype is None else np.dtype(dtype)
    y = broadcast_to(cast(value, kind, x.weak), x.shape if shape is None else shape)
    return copied(y) if value.shape else y
