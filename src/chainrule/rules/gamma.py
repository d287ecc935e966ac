"""The gamma function and its kin: factorials, beta functions, and both incomplete functions.

Differences of ψ are a function of their own, because written as a difference they lose their digits. What is
stated in the shapes of the incomplete functions stands in `chainrule.rules.quadrature`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitive import Elementwise, raw, where
from chainrule.rules.elementary import _sin_pi, log, log1p
from chainrule.rules.quadrature import bell, computed, tail
from chainrule.traced import Traced

# -------------------------------------------------------------------- ψ and its derivatives

# B₂ₖ / (2k)!, for the sum of Euler and Maclaurin
_BERNOULLI = [
    b / math.factorial(2 * k)
    for k, b in enumerate(
        (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66,
         -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330),
        start=1,
    )
]
_SHIFT = 14


def _rising(s: int, n: int) -> float:
    """``s (s + 1) ... (s + n - 1)``."""
    return math.prod(range(s, s + n))


def _zeta_of_complex(s: int, z: Any) -> Any:
    """``Σ (z + k)⁻ˢ``, s ≥ 2, by the sum of Euler and Maclaurin."""
    steps = np.where(np.abs(z.imag) > 25, 0, np.maximum(np.ceil(20 - z.real), 0))
    total = np.zeros_like(z)
    for k in range(int(np.max(steps, initial=0))):
        total = np.where(k < steps, total + (z + k) ** -float(s), total)
    z = z + steps
    total = total + z ** (1.0 - s) / (s - 1) + z ** -float(s) / 2
    for k, b in enumerate(_BERNOULLI, 1):
        total = total + b * _rising(s, 2 * k - 1) * z ** (1.0 - s - 2 * k)
    return total


def _tan_pi(x: Any) -> Any:
    r = x - np.rint(x)
    return np.where(r == 0, np.nan, np.tan(math.pi * r))


@computed
def _polygamma(x: Any, *, order: int) -> Any:
    if order == 0 and np.iscomplexobj(x):
        return sp.psi(x)
    if order == 0:  # reflected, because SciPy rounds πx; but not where that cancels, about the root at -0.504
        left = np.where(x < -0.6, x, -0.75)
        return np.where(x < -0.6, sp.psi(1 - left) - math.pi / _tan_pi(left), sp.psi(x))
    zeta = _zeta_of_complex(order + 1, x) if np.iscomplexobj(x) else sp.zeta(order + 1, x)
    zeta = (-1) ** (order + 1) * math.factorial(order) * zeta
    return zeta if np.iscomplexobj(x) else np.where(x == -np.inf, np.nan, zeta)


# ψ of order 0, ψ′ of order 1, ...
polygamma = Elementwise(
    _polygamma, lambda y, x, *, order: polygamma(x, order=order + 1), name="polygamma", symbol="ψ"
)


def digamma(x: Any) -> Any:
    return polygamma(x, order=0)


@computed
def _polygamma_difference(a: Any, b: Any, *, order: int) -> Any:
    """``ψ⁽ⁿ⁾(a + b) - ψ⁽ⁿ⁾(a)``: each term of Euler's and Maclaurin's sum for ψ⁽ⁿ⁾ as a difference."""
    s, simple = order + 1, (a > 0) & (a + b > 0)
    z, d = np.where(simple, a, 1.0), np.where(simple, b, 0.0)

    def difference(z: Any, power: int) -> Any:
        """``z^-power - (z + d)^-power``."""
        return -np.expm1(-power * np.log1p(d / z)) * z**-power

    total = np.zeros_like(z)
    for k in range(_SHIFT):
        # the whole of a plain fraction: log1p has no digits of d / z where that is large
        total += d / ((z + k) * (z + k + d)) if s == 1 else difference(z + k, s)
    z = z + _SHIFT
    total += np.log1p(d / z) if s == 1 else difference(z, s - 1) / (s - 1)
    total += (d / (z * (z + d)) if s == 1 else difference(z, s)) / 2
    for k, c in enumerate(_BERNOULLI, 1):
        total += c * _rising(s, 2 * k - 1) * difference(z, s + 2 * k - 1)
    total *= (-1) ** order * math.factorial(order)
    if simple.all():
        return total
    return np.where(simple, total, _polygamma(a + b, order=order) - _polygamma(a, order=order))


polygamma_difference = Elementwise(
    _polygamma_difference,
    lambda y, a, b, *, order: polygamma_difference(a, b, order=order + 1),
    lambda y, a, b, *, order: polygamma(a + b, order=order + 1),
    name="polygamma_difference",
)


def _ahead(a: Any, b: Any) -> Any:
    """``ψ(a + b) - ψ(a)``."""
    return polygamma_difference(a, b, order=0)


# -------------------------------------------------------------------- gamma functions

_sinpi = Elementwise(_sin_pi, lambda y, x: math.pi * _cospi(x), name="sinpi")
_cospi = Elementwise(lambda x: _sin_pi(x + 0.5), lambda y, x: -math.pi * _sinpi(x), name="cospi")


def _is_pole(x: Any) -> Any:
    """Whether the gamma function has a pole there."""
    x = raw(x)
    return (x == np.rint(x.real)) & (x.real <= 0) if np.iscomplexobj(x) else (x == np.rint(x)) & (x <= 0)


def _somewhere(mask: Any) -> bool:
    """Whether a mask is true anywhere, or may be: what is traced has no numbers yet."""
    return type(mask) is Traced or bool(np.any(mask))


def _slope_of_rgamma(x: Any, y: Any) -> Any:
    """``-ψ(x)/Γ(x)``; at a pole of Γ, by its reflection there, what that tends to."""
    pole = _is_pole(x)
    if not _somewhere(pole):
        return -digamma(x) * y
    z = where(pole, 1 - x, 1.0)
    reflected = gamma(z) * (_cospi(x) - digamma(z) * _sinpi(x) / math.pi)
    return where(pole, reflected, -digamma(where(pole, 1.0, x)) * y)


gamma = Elementwise(sp.gamma, lambda y, x: y * digamma(x), symbol="Γ")
rgamma = Elementwise(
    sp.rgamma, lambda y, x: where(raw(x) == math.inf, 0.0, _slope_of_rgamma(x, y)), symbol="1/Γ"
)
gammaln = Elementwise(sp.gammaln, lambda y, x: digamma(x))
loggamma = Elementwise(
    sp.loggamma,
    lambda y, x: digamma(x) if np.iscomplexobj(raw(x)) else where(raw(x) < 0, math.nan, digamma(x)),
)

# -------------------------------------------------------------------- beta functions

beta = Elementwise(
    sp.beta, lambda y, a, b: -y * _ahead(a, b), lambda y, a, b: -y * _ahead(b, a), symbol="B"
)
betaln = Elementwise(sp.betaln, lambda y, a, b: -_ahead(a, b), lambda y, a, b: -_ahead(b, a))
binom = Elementwise(
    sp.binom,
    lambda y, n, k: _binom_in_n(y, n, k),
    lambda y, n, k: _binom_in_k(y, n, k),
)
# Γ(z + m)/Γ(z)
poch = Elementwise(
    sp.poch, lambda y, z, m: _poch_in_z(y, z, m), lambda y, z, m: y * digamma(z + m)
)


def _binom_in_n(y: Any, n: Any, k: Any) -> Any:
    """``(n over k) (ψ(n + 1) - ψ(n - k + 1))``, and its limit where the latter is infinite."""
    p = n - k + 1
    usual = y * _ahead(p, k)
    edge = _is_pole(p)
    if not _somewhere(edge):
        return usual
    rp = rgamma(p)
    return where(edge, gamma(n + 1) * rgamma(k + 1) * (digamma(n + 1) * rp + _slope_of_rgamma(p, rp)), usual)


def _poch_in_z(y: Any, z: Any, m: Any) -> Any:
    """``Γ(z + m)/Γ(z) (ψ(z + m) - ψ(z))``, and its limit where Γ(z) is infinite."""
    usual = y * _ahead(z, m)
    edge = _is_pole(z)
    if not _somewhere(edge):
        return usual
    r = rgamma(z)
    return where(edge, gamma(z + m) * (digamma(z + m) * r + _slope_of_rgamma(z, r)), usual)


def _binom_in_k(y: Any, n: Any, k: Any) -> Any:
    """``(n over k) (ψ(n - k + 1) - ψ(k + 1))``, and its limit where one of the two is infinite."""
    usual = y * _ahead(k + 1, n - 2 * k)
    edge = _is_pole(k + 1) | _is_pole(n - k + 1)
    if not _somewhere(edge):
        return usual
    p, q = n - k + 1, k + 1
    rp, rq = rgamma(p), rgamma(q)
    limit = gamma(n + 1) * (rp * _slope_of_rgamma(q, rq) - _slope_of_rgamma(p, rp) * rq)
    return where(edge, limit, usual)


# -------------------------------------------------------------------- the gamma density

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def _stirling(a: Any) -> Any:
    """``log Γ(a)`` beyond its formula by Stirling, a ≥ 10."""
    return sum(c * a ** (-1.0 - 2 * k) for k, c in enumerate(_STIRLING))


def _lag(u: Any) -> Any:
    """``u - log(1 + u)``, with ``r = u/(2 + u)`` for small u: ``log(1 + u) = 2 artanh r``."""
    r = np.where(np.abs(u) < 0.4, u / (2 + u), 0.0)
    series = r * (u - 2 * sum(r ** (2 * k) / (2 * k + 1) for k in range(1, 14)))
    return np.where(np.abs(u) < 0.4, series, u - np.log1p(u))


@computed
def _gamma_density(a: Any, x: Any) -> Any:
    few = np.power(x, a - 1) * np.exp(-x) * sp.rgamma(a)
    far = np.exp(sp.xlogy(a - 1, x) - x - sp.gammaln(a)) * sp.gammasgn(a)
    n = np.maximum(a, 10.0)
    many = np.exp(-n * _lag((x - n) / n) - _stirling(n)) * np.sqrt(n / (2 * np.pi)) / x
    y = np.where(a > 100, many, np.where(x > 600, far, few))
    nothing = (sp.rgamma(a) == 0) & (a < 1) | (x == np.inf) | (a > 100) & (x == 0)
    return np.where((x < 0) | (a < 0) & (x != 0), np.nan, np.where(nothing, 0.0, y))


# xᵃ⁻¹ e⁻ˣ / Γ(a)
gamma_density = Elementwise(
    _gamma_density,
    lambda y, a, x: _unless_nothing(y, y * (log(x) - digamma(a))),
    lambda y, a, x: _slope_of_gamma_density(y, a, x),
    name="gamma_density",
)


def _slope_of_gamma_density(y: Any, a: Any, x: Any) -> Any:
    usual = _unless_nothing(y, y * ((a - 1 - x) / x))
    edge = raw(x) == 0
    if not _somewhere(edge):
        return usual
    a, x = where(edge, a, 2.0), where(edge, x, 1.0)
    return where(edge, gamma_density(a - 1, x) - gamma_density(a, x), usual)


def _unless_nothing(density: Any, d: Any) -> Any:
    """``d``, and 0 where the density it is a multiple of is 0."""
    return where(raw(density) == 0, 0.0, d)


# -------------------------------------------------------------------- incomplete gamma functions


def _gamma_cumulants(a: Any, score: Any) -> Any:
    """The derivatives in a of ``a log x - log Γ(a)``."""
    return lambda p, q: score if p == 1 else -polygamma(a, order=p - 1)


def _log_over(a: Any, x: Any) -> Any:
    """``log x - ψ(a)``, where both are large as what they differ by."""
    n = np.maximum(a, 10.0)
    series = 1 / (2 * n) + sum(c * (2 * k + 1) * n ** (-2.0 - 2 * k) for k, c in enumerate(_STIRLING))
    u = (x - n) / n
    ratio = np.where(np.abs(u) < 0.5, np.log1p(u), np.log(x / n))
    return np.where(a >= 10, ratio + series, np.log(x) - sp.psi(a))


@computed
def _gammainc_shape(a: Any, x: Any, *, order: int) -> Any:
    inside = (a > 0) & (x > 0) & (x < np.inf)
    a, x, edge = np.where(inside, a, 1.0), np.where(inside, x, 1.0), np.where((a > 0) & (x >= 0), 0.0, np.nan)
    score = _log_over(a, x)
    side = np.where(score < 0, -1.0, 1.0)
    corner = np.where(side > 0, np.maximum(-np.log(x), 0.0) * (a < 1), 0.0)
    integral = tail(
        lambda s: a * side * s - x * np.expm1(side * s),
        lambda s: bell(_gamma_cumulants(a, score + side * s), order),
        corner,
    )
    return np.where(inside, -side * x * _gamma_density(a, x) * integral, edge)


# ∂ⁿ/∂aⁿ of the lower function
gammainc_shape = Elementwise(
    _gammainc_shape,
    lambda y, a, x, *, order: gammainc_shape(a, x, order=order + 1),
    lambda y, a, x, *, order: _density_in_shape(gamma_density(a, x), a, x, order),
    name="gammainc_shape",
)


def _density_in_shape(density: Any, a: Any, x: Any, order: int) -> Any:
    score = log(where(raw(density) == 0, 1.0, x)) - digamma(a)
    return _unless_nothing(density, density * bell(_gamma_cumulants(a, score), order))


gammainc = Elementwise(
    sp.gammainc, lambda y, a, x: gammainc_shape(a, x, order=1), lambda y, a, x: gamma_density(a, x)
)
gammaincc = Elementwise(
    sp.gammaincc, lambda y, a, x: -gammainc_shape(a, x, order=1), lambda y, a, x: -gamma_density(a, x)
)


def flow(shape: Any, density: Any) -> Any:
    """How a quantile moves with a shape: ``-(∂F/∂a) / f`` at a fixed probability."""
    return where(raw(shape) == 0, 0.0, -shape / density)


def _gamma_flow(y: Any, a: Any, p: Any) -> Any:
    return flow(gammainc_shape(a, y, order=1), gamma_density(a, y))


gammaincinv = Elementwise(sp.gammaincinv, _gamma_flow, lambda y, a, p: 1 / gamma_density(a, y))
gammainccinv = Elementwise(sp.gammainccinv, _gamma_flow, lambda y, a, p: -1 / gamma_density(a, y))

# -------------------------------------------------------------------- the beta density


def _one_over_beta(a: Any, b: Any) -> Any:
    """``Γ(a + b) / Γ(a) Γ(b)``; with a large argument by Stirling's formula, because SciPy's rounds there."""
    small, large = np.minimum(a, b), np.maximum(np.maximum(a, b), 10.0)
    both = small + large
    exponent = (both - 0.5) * np.log1p(small / large) - small + _stirling(both) - _stirling(large)
    by_stirling = np.power(large, small) * np.exp(exponent) * sp.rgamma(small)
    return np.where(np.maximum(a, b) < 10, 1 / sp.beta(a, b), by_stirling)


@computed
def _beta_density(a: Any, b: Any, x: Any) -> Any:
    few = np.power(x, a - 1) * np.exp(sp.xlog1py(b - 1, -x)) * _one_over_beta(a, b)
    far = np.exp(sp.xlogy(a - 1, x) + sp.xlog1py(b - 1, -x) - sp.betaln(a, b))
    p, q = np.maximum(a, 10.0), np.maximum(b, 10.0)
    n = p + q
    u = (x * q - (1 - x) * p) / p  # (x - x₀)/x₀ with x₀ = p/n
    v = -u * p / q
    exponent = -p * _lag(u) - q * _lag(v) - _stirling(p) - _stirling(q) + _stirling(n)
    many = np.exp(exponent) * np.sqrt(p / (2 * np.pi * n) * q) / (x * (1 - x))
    y = np.where((a > 10) & (b > 10), many, np.where(np.isfinite(few) & (few > 1e-290), few, far))
    edge = np.where(x == 0, a, b)
    at_edge = np.where(edge > 1, 0.0, np.where(edge == 1, np.where(x == 0, b, a), np.inf))
    y = np.where((x == 0) | (x == 1), np.where(edge == 0, 0.0, np.where(edge < 0, -at_edge, at_edge)), y)
    none = (x < 0) | (x > 1) | ((a < 0) | (b < 0)) & (x != 0) & (x != 1)
    return np.where(none, np.nan, y)


# xᵃ⁻¹ (1 - x)ᵇ⁻¹ / B(a, b)
beta_density = Elementwise(
    _beta_density,
    lambda y, a, b, x: _unless_nothing(y, y * (log(x) + _ahead(a, b))),
    lambda y, a, b, x: _unless_nothing(y, y * (log1p(-x) + _ahead(b, a))),
    lambda y, a, b, x: _slope_of_beta_density(y, a, b, x),
    name="beta_density",
)


def _slope_of_beta_density(y: Any, a: Any, b: Any, x: Any) -> Any:
    usual = _unless_nothing(y, y * ((a - 1) / x - (b - 1) / (1 - x)))
    edge = (raw(x) == 0) | (raw(x) == 1)
    if not _somewhere(edge):
        return usual
    a, b, x = where(edge, a, 2.0), where(edge, b, 2.0), where(edge, x, 0.5)
    return where(edge, (a + b - 1) * (beta_density(a - 1, b, x) - beta_density(a, b - 1, x)), usual)


# -------------------------------------------------------------------- incomplete beta functions


def _beta_cumulants(a: Any, b: Any, in_a: Any, in_b: Any) -> Any:
    """The derivatives in a and b of ``a log x + b log(1 - x) - log B(a, b)``."""

    def cumulant(p: int, q: int) -> Any:
        if p + q == 1:
            return in_a if p else in_b
        both = polygamma(a + b, order=p + q - 1)
        if p and q:
            return both
        return polygamma_difference(a, b, order=p - 1) if p else polygamma_difference(b, a, order=q - 1)

    return cumulant


def _right_of(a: Any, b: Any, x: Any, rest: Any, in_a: Any, in_b: Any, j: int, k: int) -> Any:
    """The integral from x to 1 over the density at x, where t is x e^s to (1 - x) in odds."""

    def log_ratio(s: Any) -> Any:
        """``log(t / x)``."""
        near = (s < 0.5) | (rest < 0.5)
        e = np.expm1(-np.where(near, s, 0.0))
        return -np.where(near, np.log1p(rest * e), np.log(x + rest * np.exp(-s)))

    def log_density(s: Any) -> Any:
        r = log_ratio(s)
        return np.where(s < 1e300, a * r + b * (r - s), -np.inf)

    def polynomial(s: Any) -> Any:
        r = log_ratio(s)
        return bell(_beta_cumulants(a, b, in_a + r, in_b + r - s), j, k)

    corner = np.maximum(-np.log(np.maximum(b, 1.0)) - np.log(x / rest), 0.0)
    return tail(log_density, polynomial, corner)


@computed
def _betainc_shape(a: Any, b: Any, x: Any, *, orders: tuple[int, int]) -> Any:
    inside = (a > 0) & (b > 0) & (x > 0) & (x < 1)
    edge = np.where((a > 0) & (b > 0) & ((x == 0) | (x == 1)), 0.0, np.nan)
    a, b, x = np.where(inside, a, 1.0), np.where(inside, b, 1.0), np.where(inside, x, 0.5)
    rest, (j, k) = 1 - x, orders
    in_a = np.log(x) + _polygamma_difference(a, b, order=0)
    in_b = np.log1p(-x) + _polygamma_difference(b, a, order=0)
    right = in_a >= 0 if j else in_b < 0
    integral = np.zeros_like(x)
    if right.any():
        m = right
        integral[m] = -_right_of(a[m], b[m], x[m], rest[m], in_a[m], in_b[m], j, k)
    if not right.all():
        m = ~right
        integral[m] = _right_of(b[m], a[m], rest[m], x[m], in_b[m], in_a[m], k, j)
    return np.where(inside, x * rest * _beta_density(a, b, x) * integral, edge)


# ∂ʲ/∂aʲ ∂ᵏ/∂bᵏ of the lower function
betainc_shape = Elementwise(
    _betainc_shape,
    lambda y, a, b, x, *, orders: betainc_shape(a, b, x, orders=(orders[0] + 1, orders[1])),
    lambda y, a, b, x, *, orders: betainc_shape(a, b, x, orders=(orders[0], orders[1] + 1)),
    lambda y, a, b, x, *, orders: _beta_density_in_shapes(beta_density(a, b, x), a, b, x, orders),
    name="betainc_shape",
)


def _beta_density_in_shapes(density: Any, a: Any, b: Any, x: Any, orders: tuple[int, int]) -> Any:
    x = where(raw(density) == 0, 0.5, x)
    cumulants = _beta_cumulants(a, b, log(x) + _ahead(a, b), log1p(-x) + _ahead(b, a))
    return _unless_nothing(density, density * bell(cumulants, *orders))


def _in_a(a: Any, b: Any, x: Any) -> Any:
    return betainc_shape(a, b, x, orders=(1, 0))


def _in_b(a: Any, b: Any, x: Any) -> Any:
    return betainc_shape(a, b, x, orders=(0, 1))


betainc = Elementwise(
    sp.betainc,
    lambda y, a, b, x: _in_a(a, b, x),
    lambda y, a, b, x: _in_b(a, b, x),
    lambda y, a, b, x: beta_density(a, b, x),
)
betaincc = Elementwise(
    sp.betaincc,
    lambda y, a, b, x: -_in_a(a, b, x),
    lambda y, a, b, x: -_in_b(a, b, x),
    lambda y, a, b, x: -beta_density(a, b, x),
)
betaincinv = Elementwise(
    sp.betaincinv,
    lambda y, a, b, p: flow(_in_a(a, b, y), beta_density(a, b, y)),
    lambda y, a, b, p: flow(_in_b(a, b, y), beta_density(a, b, y)),
    lambda y, a, b, p: 1 / beta_density(a, b, y),
)
betainccinv = Elementwise(
    sp.betainccinv,
    lambda y, a, b, p: flow(_in_a(a, b, y), beta_density(a, b, y)),
    lambda y, a, b, p: flow(_in_b(a, b, y), beta_density(a, b, y)),
    lambda y, a, b, p: -1 / beta_density(a, b, y),
)

# -------------------------------------------------------------------- samples

# What a generator drew for a shape: the draw itself, which moves with the shape as the quantile does.
# M. Figurnov, S. Mohamed and A. Mnih, "Implicit reparameterization gradients", NeurIPS 2018.
gamma_sample = Elementwise(
    lambda z, a: z + 0 * a, None, lambda y, z, a: _gamma_flow(y, a, None), name="gamma_sample"
)
beta_sample = Elementwise(
    lambda z, a, b: z + 0 * (a + b),
    None,
    lambda y, z, a, b: flow(_in_a(a, b, y), beta_density(a, b, y)),
    lambda y, z, a, b: flow(_in_b(a, b, y), beta_density(a, b, y)),
    name="beta_sample",
)
