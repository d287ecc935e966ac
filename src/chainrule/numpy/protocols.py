"""How plain NumPy reaches Values: its two override protocols, and the tables behind them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import optree

from chainrule.numpy import fft, linalg, norms, signals
from chainrule.numpy import functions as fn
from chainrule.rules import arithmetic as ar
from chainrule.rules import elementary as el
from chainrule.value import Value, current

# -------------------------------------------------------------------- ufuncs

# Named as NumPy and scipy.special name them: the latter is met without being imported.
UFUNCS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name)
    for module, names in {
        ar: "add subtract multiply divide negative positive reciprocal remainder fmod floor_divide sign "
        "floor ceil trunc rint heaviside absolute copysign ldexp arctan2 logaddexp logaddexp2 maximum "
        "minimum fmax fmin",
        el: "hypot exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh "
        "tanh arcsinh arccosh arctanh logit xlogy xlog1py",
        fn: "power square divmod matmul vecdot entr",
    }.items()
    for name in names.split()
}
UFUNCS |= {
    "fabs": ar.absolute,
    "conjugate": ar.conj,
    "deg2rad": el.deg2rad,
    "radians": el.deg2rad,
    "rad2deg": el.rad2deg,
    "degrees": el.rad2deg,
    "float_power": fn.power,
    "expit": el.sigmoid,
    "log_expit": el.log_sigmoid,
}

# Results without a derivative: plain booleans and integers.
PLAIN_UFUNCS = set(
    "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor logical_not "
    "isnan isinf isfinite signbit".split()
)

METHODS: dict[tuple[str, str], Callable[..., Any]] = {
    ("add", "reduce"): fn.sum,
    ("multiply", "reduce"): fn.prod,
    ("maximum", "reduce"): fn.max,
    ("minimum", "reduce"): fn.min,
    ("add", "accumulate"): fn.cumsum,
    ("multiply", "accumulate"): fn.cumprod,
}


# The same by the function itself: somebody's own ufunc may bear one of these names and be another.
CALLS: dict[np.ufunc, Callable[..., Any]] = {getattr(np, k): f for k, f in UFUNCS.items() if hasattr(np, k)}
_PLAIN_CALLS = {getattr(np, name) for name in PLAIN_UFUNCS}


def _special(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """What answers a ufunc of scipy.special; if the caller has one, that module is loaded."""
    name = ufunc.__name__
    if name not in UFUNCS or ufunc is not getattr(sys.modules.get("scipy.special"), name, None):
        return None
    CALLS[ufunc] = UFUNCS[name]
    return UFUNCS[name]


def array_ufunc(self: Value, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """Answer a call of a ufunc, or of one of its methods."""
    f = CALLS.get(ufunc) or _special(ufunc)
    if method == "__call__" and not options and f is not None:
        return f(*inputs)
    name = ufunc.__name__
    if "out" in options:
        if any(type(o) is not Value for o in options["out"]):
            raise TypeError(
                f"{name}: out= is a plain array, which cannot hold a Value's derivative; "
                "assign the result instead (write a = a + v for a += v)"
            )
        raise TypeError(f"{name}: out= is not supported for Values; assign the result instead")
    if ufunc in _PLAIN_CALLS and method != "at":
        return getattr(ufunc, method)(*map(current, inputs), **options)
    if f is not None:
        if method == "__call__":
            option = next(iter(options))
            raise TypeError(f"{name}: {option}= is not supported for Values; use np.where or .astype instead")
        if (name, method) in METHODS:
            return METHODS[name, method](*inputs, **{"axis": 0, **options})
        if method == "outer" and not options:
            a, b = inputs
            return f(fn.reshape(a, np.shape(current(a)) + (1,) * np.ndim(current(b))), b)
    raise no_derivative(name if method == "__call__" else f"{name}.{method}")


# -------------------------------------------------------------------- functions

_HERE = (
    "sum prod mean max min amax amin var std ptp average cumsum cumprod diff where clip round nan_to_num "
    "sinc real imag angle astype copy reshape ravel transpose permute_dims moveaxis swapaxes rollaxis "
    "matrix_transpose expand_dims squeeze atleast_1d atleast_2d atleast_3d broadcast_to broadcast_arrays "
    "meshgrid concatenate concat stack vstack hstack dstack column_stack append array_split split hsplit "
    "vsplit dsplit unstack tile repeat flip fliplr flipud rot90 roll pad sort take take_along_axis diagonal "
    "diag trace tril triu bincount full_like dot tensordot inner outer vdot kron einsum"
).split()
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(np, name): getattr(fn, name) for name in _HERE if hasattr(np, name)
}
FUNCTIONS |= {np.around: fn.round, np.convolve: signals.convolve, np.correlate: signals.correlate}
for _name in ("tensordot", "matmul", "matrix_transpose", "vecdot"):
    FUNCTIONS[getattr(np.linalg, _name)] = getattr(fn, _name)
FUNCTIONS |= {
    getattr(np.linalg, name): getattr(linalg, name)
    for name in (
        "inv pinv solve lstsq tensorinv tensorsolve det slogdet "
        "matrix_power "
        "multi_dot cross trace diagonal outer cholesky qr eigh eigvalsh eig eigvals svd svdvals"
    ).split()
}

FUNCTIONS |= {
    getattr(np.linalg, name): getattr(norms, name) for name in ("norm", "vector_norm", "matrix_norm", "cond")
}
FUNCTIONS |= {
    getattr(np.fft, name): getattr(fft, name)
    for name in (
        "fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft fftshift ifftshift"
    ).split()
}

# Answers without a derivative: computed on the data.
_PLAIN = (
    "argmax argmin argsort searchsorted count_nonzero nonzero flatnonzero argwhere any all isclose allclose "
    "array_equal array_equiv shape ndim size result_type iscomplexobj isrealobj array_repr array_str "
    "array2string zeros_like ones_like empty_like isneginf isposinf isreal iscomplex digitize "
    "may_share_memory shares_memory lexsort min_scalar_type can_cast"
).split()
PLAIN_FUNCTIONS = {getattr(np, name) for name in _PLAIN if hasattr(np, name)} | {np.linalg.matrix_rank}

_INSTEAD = {
    "median": "sort and take the middle: np.sort(v)[n // 2]",
    "array": "np.stack([v, w]) joins Values",
    "copyto": "v = np.where(mask, new, v)",
    "put": "np.where, or np.concatenate of the parts",
    "fill_diagonal": "np.where(np.eye(n, dtype=bool), new, v)",
    "quantile": "sort and interpolate: np.sort(v)",
    "percentile": "sort and interpolate: np.sort(v)",
    "cross": "the three products of components, joined with chainrule.array",
    "block": "np.concatenate, or chainrule.array",
    "insert": "np.concatenate of the parts",
    "delete": "an index of what stays: v[keep]",
    "select": "np.where",
    "choose": "np.where",
    "piecewise": "np.where",
    "nansum": "np.sum(np.where(np.isnan(v), 0, v))",
    "nanmean": "np.mean(v[~np.isnan(v)])",
    "gradient": "differences of slices: v[2:] - v[:-2]",
    "trapezoid": "np.sum((y[1:] + y[:-1]) / 2 * np.diff(x))",
    "interp": "np.searchsorted, indexing and arithmetic",
    "fix": "np.trunc(v)",
    "linspace": "a + (b - a) * np.linspace(0, 1, n)",
    "savez": "save v.data",
    "save": "save v.data",
    "savetxt": "save v.data",
    "nextafter": "v itself; the neighbouring float has no derivative",
    "frexp": "np.log2 and np.exp2",
    "modf": "np.trunc(v) and v - np.trunc(v)",
}


def array_function(self: Value, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
    """Answer a call of a NumPy function that is no ufunc."""
    f = FUNCTIONS.get(function)
    if f is not None:
        return f(*args, **kwargs)
    if function in PLAIN_FUNCTIONS:
        given: Any = (args, kwargs)
        args, kwargs = optree.tree_map(current, given, none_is_leaf=True)
        return function(*args, **kwargs)
    raise no_derivative(f"{function.__module__}.{function.__name__}".removeprefix("numpy."))


def no_derivative(name: str) -> TypeError:
    """The error for a function that chainrule cannot differentiate, when it is called."""
    alternative = _INSTEAD.get(name.rpartition(".")[2], "build it from functions that have one")
    return TypeError(
        f"{name}: chainrule has no derivative for this function; instead: {alternative}; "
        "or, if none is wanted, call it on v.data"
    )


Value.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
Value.__array_function__ = array_function  # type: ignore[attr-defined]
