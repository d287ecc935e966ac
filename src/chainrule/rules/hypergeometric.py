"""Hypergeometric functions, among them the complete elliptic integrals and the orthogonal polynomials.

Each has a derivative in its last argument, and that is a function of the same family with shifted parameters
(NIST, Digital Library of Mathematical Functions, 13.3, 15.5, 16.3, 18.9); the parameters are plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules.bessel import plain
from chainrule.rules.elementary import inside
from chainrule.rules.quadrature import computed


def _kummer_slope(a: Any, b: Any, z: Any) -> Any:
    flat = raw(a) == 0
    return where(flat, 0.0, a / b * kummer(np.where(flat, 1.0, a) + 1, b + 1, z))


def _gauss_slope(a: Any, b: Any, c: Any, z: Any) -> Any:
    flat = (raw(a) == 0) | (raw(b) == 0)
    a, b = np.where(flat, 1.0, a), np.where(flat, 1.0, b)
    return where(flat, 0.0, a * b / c * gauss(a + 1, b + 1, c + 1, z))


hyp0f1 = Elementwise(sp.hyp0f1, plain("hyp0f1", "v"), lambda y, v, z: hyp0f1(v + 1, z) / v)
hyp1f1 = Elementwise(
    sp.hyp1f1,
    plain("hyp1f1", "a"),
    plain("hyp1f1", "b"),
    lambda y, a, b, z: _kummer_slope(a, b, z),
)
hyp2f1 = Elementwise(
    sp.hyp2f1,
    plain("hyp2f1", "a"),
    plain("hyp2f1", "b"),
    plain("hyp2f1", "c"),
    lambda y, a, b, c, z: _gauss_slope(a, b, c, z),
)
# Of polynomials the derivatives end in a constant, 1, whatever the lower parameter has become by then.
kummer = Elementwise(
    lambda a, b, z: np.where(a == 0, 1.0, sp.hyp1f1(a, b, z))[()], *hyp1f1.partials, name="hyp1f1"
)
gauss = Elementwise(
    lambda a, b, c, z: np.where((a == 0) | (b == 0), 1.0, sp.hyp2f1(a, b, c, z))[()],
    *hyp2f1.partials,
    name="hyp2f1",
)

# -------------------------------------------------------------------- complete elliptic integrals


@computed
def _elliptic(p: Any, *, sign: int, order: int) -> Any:
    """``∂ⁿ/∂mⁿ ∫₀^π/2 (1 - m sin²t)^(∓1/2) dt`` at m = 1 - p, n ≥ 1: of K with the sign 1, of E with -1.

    The first derivatives are integrals of Carlson's; the others follow from Euler's transformation (DLMF
    15.8.1), or, from m = -1 on to the left, from the differential equation.
    """
    m, a, c = 1 - p, 0.5 * sign, order + 1
    first = sp.elliprd(0, 1, np.minimum(p, 1e250)) / 6 if sign > 0 else -sp.elliprd(0, p, 1) / 6
    if order == 1:
        return np.where(p >= 0, first, np.nan)
    scale = math.pi / 2 * sp.poch(a, order) * sp.poch(0.5, order) / math.factorial(order)
    near = scale * p ** (0.5 - a - order) * sp.hyp2f1(1 - a, 0.5, c, np.maximum(m, -1.0))
    y, slope = sp.ellipk(m) if sign > 0 else sp.ellipe(m), first
    for n in range(order - 1):
        curvature = ((a + n) * (0.5 + n) * y - (n + 1 - (a + 2 * n + 1.5) * m) * slope) / m / p
        y, slope = slope, curvature
    return np.where(p >= 0, np.where(p > 2, np.where(np.isinf(p), 0.0, slope), near), np.nan)


elliptic = Elementwise(
    _elliptic, lambda y, p, *, sign, order: -elliptic(p, sign=sign, order=order + 1), name="elliptic"
)
ellipk = Elementwise(sp.ellipk, lambda y, m: elliptic(1 - m, sign=1, order=1))
ellipkm1 = Elementwise(sp.ellipkm1, lambda y, p: -elliptic(p, sign=1, order=1))
ellipe = Elementwise(sp.ellipe, lambda y, m: elliptic(1 - m, sign=-1, order=1))

# -------------------------------------------------------------------- orthogonal polynomials


def _lower(n: Any, slope: Callable[[Any], Any]) -> Any:
    """``slope(n)``, the derivative of the polynomial of degree n; of a constant there is none."""
    constant = raw(n) == 0
    return where(constant, 0.0, slope(np.where(constant, 1, n)))


def _legendre_slope(n: Any, x: Any) -> Any:
    """Of degree -n - 1 it is the polynomial of degree n."""
    return _lower(np.where(n < 0, -1 - n, n), lambda n: (n + 1) / 2 * eval_jacobi(n - 1, 1.0, 1.0, x))


def _chebyu_slope(n: Any, x: Any) -> Any:
    """Of degree -n - 2 it is minus the polynomial of degree n, and of degree -1 it is 0."""
    sign, degree = np.where(n < 0, -2, 2), np.where(n < 0, -2 - n, n)
    return where(n == -1, 0.0, sign * _lower(degree, lambda n: eval_gegenbauer(n - 1, 2.0, x)))


eval_jacobi = Elementwise(
    sp.eval_jacobi,
    plain("eval_jacobi", "n"),
    plain("eval_jacobi", "alpha"),
    plain("eval_jacobi", "beta"),
    lambda y, n, a, b, x: _lower(n, lambda n: (n + a + b + 1) / 2 * eval_jacobi(n - 1, a + 1, b + 1, x)),
)
eval_gegenbauer = Elementwise(
    sp.eval_gegenbauer,
    plain("eval_gegenbauer", "n"),
    plain("eval_gegenbauer", "alpha"),
    lambda y, n, a, x: _lower(n, lambda n: 2 * a * eval_gegenbauer(n - 1, a + 1, x)),
)
eval_genlaguerre = Elementwise(
    sp.eval_genlaguerre,
    plain("eval_genlaguerre", "n"),
    plain("eval_genlaguerre", "alpha"),
    lambda y, n, a, x: _lower(n, lambda n: -eval_genlaguerre(n - 1, a + 1, x)),
)
eval_laguerre = Elementwise(
    sp.eval_laguerre,
    plain("eval_laguerre", "n"),
    lambda y, n, x: _lower(n, lambda n: -eval_genlaguerre(n - 1, 1.0, x)),
)
eval_legendre = Elementwise(
    sp.eval_legendre, plain("eval_legendre", "n"), lambda y, n, x: _legendre_slope(raw(n), x)
)
eval_chebyt = Elementwise(
    sp.eval_chebyt, plain("eval_chebyt", "n"), lambda y, n, x: _lower(n, lambda n: n * eval_chebyu(n - 1, x))
)
eval_chebyu = Elementwise(sp.eval_chebyu, plain("eval_chebyu", "n"), lambda y, n, x: _chebyu_slope(raw(n), x))
eval_hermite = Elementwise(
    sp.eval_hermite,
    plain("eval_hermite", "n"),
    lambda y, n, x: inside(raw(n) >= 0, _lower(n, lambda n: 2 * n * eval_hermite(abs(n - 1), x))),
)
eval_hermitenorm = Elementwise(
    sp.eval_hermitenorm,
    plain("eval_hermitenorm", "n"),
    lambda y, n, x: inside(raw(n) >= 0, _lower(n, lambda n: n * eval_hermitenorm(abs(n - 1), x))),
)
