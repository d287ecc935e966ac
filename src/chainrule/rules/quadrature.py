"""Derivatives of the incomplete gamma and beta functions in their shapes, by quadrature.

Both are distribution functions of densities that are log-concave in ``u`` (the logarithm, the logit), and
a derivative in a shape is an integral of the density times a polynomial in the score, ``log t - E log t``
and its kin. The score integrates to 0 over the whole line and changes its sign once, so that the integral
over the side of ``x`` on which it has one sign loses nothing to cancellation. Everything is taken relative
to the density at ``x``. A double exponential rule (H. Takahasi and M. Mori, Publ. RIMS 9, 1974) copes with
every width from 1e-300 to 1e18; where a density has a corner far from ``x``, the way there is an interval of
its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np

from chainrule.traced import Traced, in_numpy

__all__ = ["bell", "computed", "tail"]


def computed(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` of float64 or complex128 arrays, called as a ufunc is; in a program NumPy runs it."""

    @functools.wraps(f)
    def run(*args: Any, **params: Any) -> Any:
        if any(type(x) is Traced for x in args):
            return in_numpy(run, args, params)
        numbers = all(type(x) in (float, int, complex) for x in args)
        kind = np.result_type(*map(np.asarray, args) if numbers else args, np.float16)  # of integers float64
        wide = np.result_type(kind, np.float64)
        arrays = np.broadcast_arrays(*[np.asarray(x, wide) for x in args])
        shape = arrays[0].shape
        with np.errstate(all="ignore"):
            y = f(*[x.reshape(-1) for x in arrays], **params)
        return y.astype(kind).reshape(shape)[()]

    run.__name__ = f.__name__.removeprefix("_")  # what reports about programs show
    return run


# -------------------------------------------------------------------- the rule

_y = np.arange(-3.0, 3.01, 0.05)
_between = 1 / (1 + np.exp(-np.pi * np.sinh(_y)))  # (0, 1), crowded at both ends
_between_weights = 0.05 * np.pi * np.cosh(_y) * _between * (1 - _between)
_y = np.arange(-4.6, 4.7, 0.08)
_beyond = np.exp(_y - np.exp(-_y))  # (0, ∞), crowded at 0
_beyond_weights = 0.08 * _beyond * (1 + np.exp(-_y))


def tail(log_density: Callable[[Any], Any], polynomial: Callable[[Any], Any], corner: Any) -> Any:
    """``∫₀^∞ exp(E(s)) p(s) ds`` for each element, E concave with E(0) = 0.

    ``log_density`` and ``polynomial`` take s of shape (nodes, n); ``corner``, of shape (n,), is where E turns
    from slow to quick.
    """
    low, high = np.full(corner.shape, -700.0), np.full(corner.shape, 45.0)
    for _ in range(14):  # the logarithm of the way from the corner to where e⁻⁴⁰ of the density is left
        middle = (low + high) / 2
        far = log_density(corner + np.exp(middle)) < log_density(corner) - 40
        low, high = np.where(far, low, middle), np.where(far, middle, high)
    scale = np.exp(high) / 40
    s = corner + scale * _beyond[:, None]
    total = scale * np.sum(_beyond_weights[:, None] * _weighed(log_density, polynomial, s), axis=0)
    way = corner > 0
    if way.any():
        s = corner * _between[:, None]
        first = corner * np.sum(_between_weights[:, None] * _weighed(log_density, polynomial, s), axis=0)
        total = np.where(way, total + first, total)
    return total


def _weighed(log_density: Callable[[Any], Any], polynomial: Callable[[Any], Any], s: Any) -> Any:
    weight = np.exp(log_density(s))
    return np.where(weight == 0, 0.0, weight * polynomial(s))


# -------------------------------------------------------------------- derivatives of exp


def bell(cumulants: Callable[[int, int], Any], j: int, k: int = 0) -> Any:
    """``exp(-g) ∂ʲ/∂aʲ ∂ᵏ/∂bᵏ exp(g)``, with ``cumulants(p, q)`` the derivatives of g: Bell's polynomials."""
    if j == k == 0:
        return 1.0
    m, n, p, q = (j - 1, k, 1, 0) if j else (j, k - 1, 0, 1)
    total: Any = 0.0
    for i in range(m + 1):
        for h in range(n + 1):
            term = cumulants(i + p, h + q) * bell(cumulants, m - i, n - h)
            total = total + comb(m, i) * comb(n, h) * term
    return total
