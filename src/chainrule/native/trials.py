"""Functions whose results' shapes and dtypes a trial on arrays of ones does not show."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np

from chainrule.native.operations import call


def eig(a: Any) -> Any:
    """As in NumPy 2.5 complex whatever the numbers: a program has to know the dtype before them."""
    found = np.linalg.eig(a)
    kind = np.result_type(a, np.complex64)
    return type(found)(found[0].astype(kind), found[1].astype(kind))


def eigvals(a: Any) -> Any:
    """The eigenvalues of `eig`."""
    return np.linalg.eigvals(a).astype(np.result_type(a, np.complex64))


def _tensorinv_of(a: Any, ind: int = 2) -> Any:
    return np.zeros(a.shape[ind:] + a.shape[:ind], np.result_type(a, np.float32))


def _tensorsolve_of(a: Any, b: Any, axes: Any = None) -> Any:
    if axes is not None:
        a = np.moveaxis(a, axes, range(a.ndim - len(axes), a.ndim))
    return np.zeros(a.shape[np.ndim(b) :], np.result_type(a, b, np.float32))


def roots(p: Any) -> Any:
    """As many as there are coefficients, less one, and complex: a program has to know before the numbers."""
    found = np.roots(p)
    if len(found) != len(p) - 1:
        raise ValueError(
            f"roots: the first of {len(p)} coefficients is 0, so that there are only {len(found)} roots; a "
            "compiled program knows their number before: leave out the zeros in front"
        )
    return found.astype(np.result_type(p, np.complex64))


def _order(function: Callable[..., Any], takes_q: bool) -> Callable[..., Any]:
    """Medians and quantiles, which may overwrite no operand here; a ``q`` of ones is no percentage."""

    def of(*args: Any, **options: Any) -> Any:
        given = signature(function).bind(*args, **options).arguments
        given.pop("overwrite_input", None)
        return call(function, (), given, trial=tried)

    def tried(**given: Any) -> Any:
        if takes_q:  # a number of Python's decides no dtype
            q = given["q"]
            given["q"] = 0.0 if isinstance(q, int | float) else np.zeros_like(q)
        return function(**given)

    return of


def _polyfit_of(x: Any, *args: Any, **options: Any) -> Any:
    return np.polyfit(np.linspace(0, 1, len(x)).astype(x.dtype), *args, **options)


def _flat_histogramdd(*args: Any, **options: Any) -> Any:
    found, edges = np.histogramdd(*args, **options)
    return found, *edges


def _histogramdd(*args: Any, **options: Any) -> Any:
    found, *edges = call(_flat_histogramdd, args, options)
    return found, tuple(edges)


TRIED: dict[Callable[..., Any], Callable[..., Any]] = {
    np.linalg.eig: lambda a: call(eig, (a,), {}),
    np.linalg.eigvals: lambda a: call(eigvals, (a,), {}),
    np.linalg.tensorinv: lambda *a, **k: call(np.linalg.tensorinv, a, k, trial=_tensorinv_of),
    np.linalg.tensorsolve: lambda *a, **k: call(np.linalg.tensorsolve, a, k, trial=_tensorsolve_of),
    np.roots: lambda p: call(roots, (p,), {}),
    np.polyfit: lambda *a, **k: call(np.polyfit, a, k, trial=_polyfit_of),
    np.histogramdd: _histogramdd,
    **{f: _order(f, False) for f in (np.median, np.nanmedian)},
    **{f: _order(f, True) for f in (np.quantile, np.percentile, np.nanquantile, np.nanpercentile)},
}
