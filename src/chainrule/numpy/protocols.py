"""How plain NumPy reaches Values: its two override protocols, and the tables behind them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import optree

from chainrule.numpy import (
    assignment,
    histograms,
    matrices,
    norms,
    polynomials,
    reductions,
    scimath,
    sets,
    signals,
    transforms,
    ufunc_methods,
)
from chainrule.numpy import functions as fn
from chainrule.numpy.arguments import place_of_out
from chainrule.numpy.constants import constant, is_constant
from chainrule.rules import arithmetic as ar
from chainrule.rules import elementary as el
from chainrule.value import Value, current

# -------------------------------------------------------------------- ufuncs

# Named as NumPy names them.
UFUNCS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name)
    for module, names in {
        ar: "add subtract multiply divide negative positive reciprocal remainder fmod floor_divide sign "
        "floor ceil trunc rint heaviside absolute copysign ldexp arctan2 logaddexp logaddexp2 maximum "
        "minimum fmax fmin",
        el: "hypot exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh "
        "tanh arcsinh arccosh arctanh",
        fn: "power float_power square divmod modf frexp matmul matvec vecmat vecdot",
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
}

# Results without a derivative: plain booleans and integers.
PLAIN_UFUNCS = set(
    "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor logical_not "
    "isnan isinf isfinite signbit".split()
)

METHODS: dict[tuple[str, str], Callable[..., Any]] = {
    ("add", "reduce"): reductions.sum,
    ("multiply", "reduce"): reductions.prod,
    ("maximum", "reduce"): reductions.max,
    ("minimum", "reduce"): reductions.min,
    ("add", "accumulate"): reductions.cumsum,
    ("multiply", "accumulate"): reductions.cumprod,
    ("logaddexp", "reduce"): reductions.logaddexp,
    ("fmax", "reduce"): reductions.nanmax,
    ("fmin", "reduce"): reductions.nanmin,
}


# The same by the function itself: somebody's own ufunc may bear one of these names and be another.
CALLS: dict[np.ufunc, Callable[..., Any]] = {getattr(np, k): f for k, f in UFUNCS.items() if hasattr(np, k)}
_PLAIN_CALLS = {getattr(np, name) for name in PLAIN_UFUNCS}


def _special(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """What answers a ufunc of scipy.special: who calls one has that module loaded."""
    if "scipy.special" not in sys.modules:
        return None
    from chainrule.rules.special import CALLS as special

    if ufunc in special:
        CALLS[ufunc] = special[ufunc]
    return special.get(ufunc)


def array_ufunc(self: Value, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """Answer a call of a ufunc, or of one of its methods."""
    f = CALLS.get(ufunc) or _special(ufunc)
    if method == "__call__" and not options and f is not None:
        return f(*inputs)
    if "out" in options:
        outs = options.pop("out")
        if ufunc not in _PLAIN_CALLS or any(type(o) is Value for o in outs):
            return _into(ufunc, method, outs, inputs, options)
        options["out"] = outs
    name = ufunc.__name__
    if ufunc in _PLAIN_CALLS and method != "at":
        return getattr(ufunc, method)(*map(current, inputs), **options)
    if f is not None and method == "__call__":
        return ufunc_methods.call(ufunc, f, inputs, options)
    if method == "outer":
        return ufunc_methods.outer(ufunc, *inputs, **options)
    if f is not None and (ufunc.nin, ufunc.nout) == (2, 1) and ufunc.signature is None:
        return _method(ufunc, f, method, inputs, options)
    if f is not None and method == "at" and ufunc.nin == ufunc.nout == 1:
        return ufunc_methods.at(f, name, *inputs)
    if all(is_constant(x) for x in inputs if type(x) is Value):
        return constant(getattr(ufunc, method)(*map(current, inputs), **options))
    raise no_derivative(name if method == "__call__" else f"{name}.{method}")


def _into(ufunc: np.ufunc, method: str, outs: Any, inputs: Any, options: dict[str, Any]) -> Any:
    """``out=``: the Values given there become the results; with ``where=`` some of their elements do."""
    name, mask = ufunc.__name__, options.pop("where", True) if method == "__call__" else True
    if mask is not True and ufunc.nout == 1:
        return assignment.write_some(name, outs[0], partial(ufunc, **options), inputs, current(mask))
    if mask is not True:
        raise TypeError(f"{name}: where= of several results is not supported; use np.where(mask, new, old)")
    made = getattr(ufunc, method)(*inputs, **options)
    every = made if ufunc.nout > 1 else (made,)
    wide = method == "__call__"  # else the shape is told by the axes
    written = [
        y if o is None else assignment.write_out(name, o, y, wide) for o, y in zip(outs, every, strict=True)
    ]
    return tuple(written) if ufunc.nout > 1 else written[0]


def _method(ufunc: np.ufunc, f: Callable[..., Any], method: str, inputs: Any, options: dict[str, Any]) -> Any:
    """What is made of a ufunc of two operands and one result."""
    name = ufunc.__name__
    if method == "at":
        if name in ("add", "subtract"):
            x, index, new = inputs
            assignment.check_written(f"{name}.at", x)
            return assignment.add_at(x, index, new, 1.0 if name == "add" else -1.0)
        return ufunc_methods.at(f, name, *inputs)
    x, *rest = inputs
    if options.get("dtype") is not None:
        x = fn.astype(x, options["dtype"])
    options = {k: v for k, v in options.items() if k != "dtype"}
    if method == "reduceat":
        return ufunc_methods.reduceat(ufunc, x, *rest, **options)
    if (name, method) in METHODS:
        return METHODS[name, method](x, **{"axis": 0, **options})
    return getattr(ufunc_methods, method)(ufunc, f, x, **options)


# -------------------------------------------------------------------- functions

# NumPy's module, ours, and the names that both know.
_TABLE: list[tuple[Any, Any, str]] = [
    # reductions, cumulative, statistics
    (np, fn, (
        "sum prod mean max min amax amin var std ptp average cumsum cumprod cumulative_sum cumulative_prod "
        "nansum nanprod nancumsum nancumprod nanmax nanmin nanmean nanvar nanstd median quantile percentile "
        "nanmedian nanquantile nanpercentile cov corrcoef diff ediff1d gradient trapezoid"
    )),
    (np, histograms, "bincount histogram histogram2d histogramdd"),
    # elementwise
    (np, fn, (
        "where clip round nan_to_num sinc i0 fix real_if_close real imag angle astype copy unwrap interp"
    )),
    (np.emath, scimath, "sqrt log log2 log10 logn power arccos arcsin arctanh"),
    # polynomials
    (np, polynomials, "polyval polyadd polysub polymul polydiv polyder polyint poly polyfit roots vander"),
    (np.polynomial.polynomial, polynomials, "polyval2d polygrid2d"),
    # shape and assembly
    (np, fn, (
        "reshape ravel transpose permute_dims moveaxis swapaxes rollaxis matrix_transpose expand_dims "
        "squeeze atleast_1d atleast_2d atleast_3d broadcast_to broadcast_arrays meshgrid concatenate concat "
        "stack vstack hstack dstack column_stack append array_split split hsplit vsplit dsplit unstack tile "
        "repeat flip fliplr flipud rot90 roll pad take take_along_axis diagonal diag diagflat trace tril "
        "triu block insert delete resize trim_zeros select choose compress extract piecewise "
        "apply_along_axis apply_over_axes"
    )),
    (np.lib.stride_tricks, fn, "sliding_window_view"),
    # made for a Value
    (np, fn, "full full_like array asarray asanyarray arange linspace logspace geomspace"),
    # ordering and sets
    (np, fn, "sort sort_complex partition"),
    (np, sets, (
        "unique unique_all unique_counts unique_inverse unique_values union1d intersect1d setdiff1d "
        "setxor1d"
    )),
    # assignment
    (np, assignment, "copyto put putmask place fill_diagonal put_along_axis"),
    # products
    (np, fn, "dot tensordot inner outer vdot kron cross einsum"),
    (np, signals, "convolve correlate"),
    # linear algebra
    (np.linalg, fn, "tensordot matmul matrix_transpose vecdot"),
    (np.linalg, matrices, (
        "inv pinv solve lstsq tensorinv tensorsolve det slogdet matrix_power multi_dot cross trace diagonal "
        "outer cholesky qr eigh eigvalsh eig eigvals svd svdvals"
    )),
    (np.linalg, norms, "norm vector_norm matrix_norm cond"),
    # transforms
    (np.fft, transforms, (
        "fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft fftshift ifftshift"
    )),
]  # fmt: skip
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(there, name): getattr(here, name)
    for there, here, names in _TABLE
    for name in names.split()
    if hasattr(there, name)
} | {np.around: fn.round}

# Answers without a derivative: computed on the data.
_PLAIN = (
    "argmax argmin argsort searchsorted count_nonzero nonzero flatnonzero argwhere any all isclose allclose "
    "array_equal array_equiv shape ndim size result_type iscomplexobj isrealobj array_repr array_str "
    "array2string isneginf isposinf isreal iscomplex digitize "
    "may_share_memory shares_memory lexsort min_scalar_type can_cast argpartition nanargmax nanargmin isin "
    "histogram_bin_edges einsum_path common_type diag_indices_from "
    "tril_indices_from triu_indices_from"
).split()
PLAIN_FUNCTIONS = {getattr(np, name) for name in _PLAIN if hasattr(np, name)} | {np.linalg.matrix_rank}

# Arrays made like a Value, also by like=, are Values: elements of them may be assigned. Nothing depends on
# them yet.
MADE = {
    getattr(np, name) for name in "zeros_like ones_like empty_like zeros ones empty eye identity tri".split()
}

_INSTEAD = {
    **dict.fromkeys("save savez savez_compressed savetxt".split(), "save v.data"),
    **dict.fromkeys("nextafter spacing".split(), "v itself; the neighbouring float has no derivative"),
    **dict.fromkeys(
        "bitwise_and bitwise_or bitwise_xor bitwise_count invert left_shift right_shift gcd lcm packbits "
        "unpackbits unravel_index ravel_multi_index".split(),
        "integers, as plain arrays beside v",
    ),
    "ix_": "v.data for indices",
}


def array_function(self: Value, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
    """Answer a call of a NumPy function that is no ufunc."""
    f = FUNCTIONS.get(function)
    if f is not None:
        if "out" in kwargs or (len(args) > 1 and place_of_out(f) is not None):
            return assignment.with_out(function.__name__, f, args, kwargs)
        return f(*args, **kwargs)
    given: Any = (args, kwargs)
    leaves, spec = optree.tree_flatten(given, none_is_leaf=True)
    free = function not in PLAIN_FUNCTIONS
    if free and function not in MADE and not all(is_constant(x) for x in leaves if type(x) is Value):
        raise no_derivative(f"{function.__module__}.{function.__name__}".removeprefix("numpy."))
    if type(kwargs.get("out")) is Value:
        raise TypeError(
            f"{function.__name__}: out= is a Value, but the result has no derivative; assign it instead"
        )
    args, kwargs = optree.tree_unflatten(spec, map(current, leaves))
    answer = function(*args, **kwargs)
    return optree.tree_map(constant, answer, none_is_leaf=True) if free or function in MADE else answer


def no_derivative(name: str) -> TypeError:
    """The error for a function that chainrule cannot differentiate, when it is called."""
    alternative = _INSTEAD.get(name.rpartition(".")[2], "build it from functions that have one")
    return TypeError(
        f"{name}: chainrule has no derivative for this function; instead: {alternative}; "
        "or, if none is wanted, call it on v.data"
    )


Value.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
Value.__array_function__ = array_function  # type: ignore[attr-defined]
