"""The incomplete gamma and beta functions: in the argument, in the shapes, their inverses and samples.

The derivatives in the shapes are integrals, which `chainrule.rules.quadrature` computes: with a relative
error of 1e-12 at most, for shapes from 1e-10 to 1e2 and x down to the smallest numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules.elementary import log, log1p
from chainrule.rules.gamma import TINY, ahead, digamma, polygamma, polygamma_difference, somewhere
from chainrule.rules.quadrature import bell, computed, tail

ENORMOUS = 1e13  # a shape with which what is neglected of a normal distribution is 1e-11

# -------------------------------------------------------------------- the gamma density

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def stirling(a: Any) -> Any:
    """``log Γ(a)`` beyond its formula by Stirling, a ≥ 10."""
    return sum(c * a ** (-1.0 - 2 * k) for k, c in enumerate(_STIRLING))


def lag(u: Any, logarithm: Any = None) -> Any:
    """``u - log(1 + u)``, with ``r = u/(2 + u)`` for small u: ``log(1 + u) = 2 artanh r``.

    The logarithm may be given: next to u = -1 it has more digits than u.
    """
    small = np.abs(u) < 0.4
    r = np.where(small, u / (2 + u), 0.0)
    series = r * (u - 2 * sum(r ** (2 * k) / (2 * k + 1) for k in range(1, 14)))
    return np.where(small, series, u - (np.log1p(u) if logarithm is None else logarithm))


@computed
def _gamma_density(a: Any, x: Any) -> Any:
    few = np.power(x, a - 1) * np.exp(-x) * sp.rgamma(a)
    far = np.exp(sp.xlogy(a - 1, x) - x - sp.gammaln(a)) * sp.gammasgn(a)
    n = np.maximum(a, 10.0)
    many = np.exp(-n * lag((x - n) / n) - stirling(n)) * np.sqrt(n / (2 * np.pi)) / x
    y = np.where(a > 100, many, np.where(x > 600, far, few))
    nothing = (sp.rgamma(a) == 0) & (a < 1) | (x == np.inf) | (a > 100) & (x == 0) | (a == np.inf)
    none = np.isnan(a + x) | (x < 0) | (a < 0) & (x != 0) | (a == np.inf) & (x == np.inf)
    return np.where(none, np.nan, np.where(nothing, 0.0, y))


# xᵃ⁻¹ e⁻ˣ / Γ(a)
gamma_density = Elementwise(
    _gamma_density,
    lambda y, a, x: unless_nothing(y, y * (log(x) - digamma(a))),
    lambda y, a, x: _slope_of_gamma_density(y, a, x),
    name="gamma_density",
)


def _slope_of_gamma_density(y: Any, a: Any, x: Any) -> Any:
    usual = unless_nothing(y, y * ((a - 1 - x) / x))
    edge = raw(x) == 0
    if not somewhere(edge):
        return usual
    a, x = where(edge, a, 2.0), where(edge, x, 1.0)
    return where(edge, gamma_density(a - 1, x) - gamma_density(a, x), usual)


def unless_nothing(density: Any, d: Any) -> Any:
    """``d``, and 0 where the density it is a multiple of is 0."""
    return where(raw(density) == 0, 0.0, d)


# -------------------------------------------------------------------- incomplete gamma functions


def _gamma_cumulants(a: Any, score: Any) -> Any:
    """The derivatives in a of ``a log x - log Γ(a)``."""
    return lambda p, q: score if p == 1 else -polygamma(a, order=p - 1)


def log_less_psi(n: Any) -> Any:
    """``log n - ψ(n)``, n ≥ 10."""
    return 1 / (2 * n) + sum(c * (2 * k + 1) * n ** (-2.0 - 2 * k) for k, c in enumerate(_STIRLING))


def log_x_less_psi(a: Any, x: Any) -> Any:
    """``log x - ψ(a)``, where both are large as what they differ by."""
    n, log_x = np.maximum(a, 10.0), np.log(x)
    u = (x - n) / n
    ratio = np.where(np.abs(u) < 0.5, np.log1p(u), log_x - np.log(n))
    return np.where(a >= 10, ratio + log_less_psi(n), log_x - sp.psi(a))


@computed
def _gammainc_shape(a: Any, x: Any, *, order: int) -> Any:
    """By quadrature; beside a = 0 ``-E₁(x)``.

    Of an enormous shape as the quantile of a nearly normal distribution moves: ``-f(x) (x + a)/2a``.
    """
    inside = (a > TINY) & (a < np.inf) & (x > 0) & (x < np.inf)
    edge = np.where((a >= 0) & (x >= 0) & (a + x > 0) & ~np.isinf(np.minimum(a, x)), 0.0, np.nan)
    beside = (a >= 0) & (a <= TINY) & (x > 0)
    edge = np.where(beside, -sp.exp1(x) if order == 1 else np.nan, edge)
    a, x = np.where(inside, a, 1.0), np.where(inside, x, 1.0)
    score = log_x_less_psi(a, x)
    side = np.where(score < 0, -1.0, 1.0)
    corner = np.where(side > 0, np.maximum(-np.log(x), 0.0) * (a < 1), 0.0)
    log_x = np.log(x)

    def log_density(s: Any) -> Any:
        far = s * side > 300
        return a * side * s - np.where(far, np.exp(s + log_x), x * np.expm1(np.where(far, 0.0, side * s)))

    integral = tail(
        log_density,
        lambda s: bell(_gamma_cumulants(a, score + side * s), order),
        corner,
    )
    density = _gamma_density(a, x)
    weight = np.where(np.isinf(density), a * _gamma_density(a + 1, x), x * density)
    y = np.where(weight == 0, 0.0, -side * weight * integral)
    if order == 1:
        y = np.where(a > ENORMOUS, -density * (0.5 + x / a / 2), y)
    return np.where(inside, y, edge)


# ∂ⁿ/∂aⁿ of the lower function
gammainc_shape = Elementwise(
    _gammainc_shape,
    lambda y, a, x, *, order: gammainc_shape(a, x, order=order + 1),
    lambda y, a, x, *, order: _density_in_shape(gamma_density(a, x), a, x, order),
    name="gammainc_shape",
)


def _density_in_shape(density: Any, a: Any, x: Any, order: int) -> Any:
    score = log(where(raw(density) == 0, 1.0, x)) - digamma(a)
    return unless_nothing(density, density * bell(_gamma_cumulants(a, score), order))


def _number(y: Any, d: Any) -> Any:
    """The derivative of what is a number."""
    none = np.isnan(raw(y))
    return where(none, math.nan, d) if somewhere(none) else d


gammainc = Elementwise(
    sp.gammainc,
    lambda y, a, x: gammainc_shape(a, x, order=1),
    lambda y, a, x: _number(y, gamma_density(a, x)),
)
gammaincc = Elementwise(
    sp.gammaincc,
    lambda y, a, x: -gammainc_shape(a, x, order=1),
    lambda y, a, x: _number(y, -gamma_density(a, x)),
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
    exponent = (both - 0.5) * np.log1p(small / large) - small + stirling(both) - stirling(large)
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
    exponent = -p * lag(u) - q * lag(v) - stirling(p) - stirling(q) + stirling(n)
    many = np.exp(exponent) * np.sqrt(p / (2 * np.pi * n) * q) / (x * (1 - x))
    y = np.where((a > 10) & (b > 10), many, np.where(np.isfinite(few) & (few > 1e-290), few, far))
    edge = np.where(x == 0, a, b)
    at_edge = np.where(edge > 1, 0.0, np.where(edge == 1, np.where(x == 0, b, a), np.inf))
    y = np.where((x == 0) | (x == 1), np.where(edge == 0, 0.0, np.where(edge < 0, -at_edge, at_edge)), y)
    y = np.where(((a == np.inf) ^ (b == np.inf)) & (x > 0) & (x < 1), 0.0, y)
    none = np.isnan(a + b + x) | (x < 0) | (x > 1) | ((a < 0) | (b < 0)) & (x != 0) & (x != 1)
    return np.where(none, np.nan, y)


# xᵃ⁻¹ (1 - x)ᵇ⁻¹ / B(a, b)
beta_density = Elementwise(
    _beta_density,
    lambda y, a, b, x: unless_nothing(y, y * (log(x) + ahead(a, b))),
    lambda y, a, b, x: unless_nothing(y, y * (log1p(-x) + ahead(b, a))),
    lambda y, a, b, x: _slope_of_beta_density(y, a, b, x),
    name="beta_density",
)


def _slope_of_beta_density(y: Any, a: Any, b: Any, x: Any) -> Any:
    usual = unless_nothing(y, y * ((a - 1) / x - (b - 1) / (1 - x)))
    edge = (raw(x) == 0) | (raw(x) == 1)
    if not somewhere(edge):
        return usual
    a, b, x = where(edge, a, 2.0), where(edge, b, 2.0), where(edge, x, 0.5)
    slope = (a + b - 1) * (beta_density(a - 1, b, x) - beta_density(a, b - 1, x))
    low, high = (raw(x) == 0) & (raw(a) < 1), (raw(x) == 1) & (raw(b) < 1)  # where the density is infinite
    return where(edge, where(low, -math.inf, where(high, math.inf, slope)), usual)


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


def log_ratios(x: Any, rest: Any, s: Any) -> tuple[Any, Any]:
    """``log t/x`` and ``log (1 - t)/(1 - x)``, where the odds of t are those of x times ``e^s``."""
    near, short = (s < 0.5) | (rest < 0.5), s < 300
    ratio = np.log1p(rest * np.expm1(-np.where(near, s, 0.0)))
    ratio = -np.where(near, ratio, np.log(x + rest * np.exp(-s)))
    # by itself, because the difference of ratio and s has lost what a large shape would enlarge
    return ratio, np.where(short, -np.log1p(x * np.expm1(np.where(short, s, 0.0))), ratio - s)


def beta_integral(a: Any, b: Any, x: Any, rest: Any, factor: Callable[[Any, Any, Any], Any]) -> Any:
    """The integral from x to 1 over the density at x, where t is x e^s to (1 - x) in odds.

    Of the density times ``factor(s, r, l)``, r and l being `log_ratios`.
    """

    def log_density(s: Any) -> Any:
        r, l = log_ratios(x, rest, s)
        return np.where(s < 1e300, a * r + b * l, -np.inf)

    corner = np.maximum(-np.log(np.maximum(b, 1.0)) - np.log(x / rest), 0.0)
    return tail(log_density, lambda s: factor(s, *log_ratios(x, rest, s)), corner)


def _right_of(a: Any, b: Any, x: Any, rest: Any, in_a: Any, in_b: Any, j: int, k: int) -> Any:
    """With the derivative of the density, j times in a and k times in b, relative to the density."""
    factor = lambda s, r, l: bell(_beta_cumulants(a, b, in_a + r, in_b + l), j, k)
    return beta_integral(a, b, x, rest, factor)


def _beside_zero(b: Any, x: Any, rest: Any) -> Any:
    """``∫ (1 - t)ᵇ⁻¹ / t dt`` from x to 1, the derivative in a at a = 0 but for the sign."""
    near, power = (b + 1) * x < 1e-8, np.exp(b * np.where(x < 0.5, np.log1p(-x), np.log(rest)))
    logarithm = (b - 1) * x - np.log(x) - sp.psi(b) - np.euler_gamma
    y = np.where(near, logarithm, power / b * sp.hyp2f1(1.0, b, b + 1, rest))
    return np.where(power == 0, 0.0, y)


def _enormous(a: Any, b: Any, x: Any, orders: tuple[int, int]) -> Any:
    """How the quantile of a nearly normal distribution moves: the mean, and the deviation beside it."""
    n, (p, q) = a + b, (a, b) if orders == (1, 0) else (b, a)
    sign = 1 if orders == (1, 0) else -1
    off = sign * (x * (b / n) - (1 - x) * (a / n))
    return -sign * (q / n / n + off / 2 * (1 / p - 3 / n))


@computed
def _betainc_shape(a: Any, b: Any, x: Any, *, orders: tuple[int, int]) -> Any:
    least, most, within = np.minimum(a, b), np.maximum(a, b), (x > 0) & (x < 1)
    inside = (least > TINY) & (most < np.inf) & within
    constant = (x == 0) | (x == 1) | within & ((most == np.inf) | (least <= TINY))
    edge = np.where((least >= 0) & (most > TINY) & (least < np.inf) & constant, 0.0, np.nan)
    if orders == (1, 0):
        edge = np.where((a >= 0) & (a <= TINY) & (b > TINY) & within, -_beside_zero(b, x, 1 - x), edge)
    elif orders == (0, 1):
        edge = np.where((b >= 0) & (b <= TINY) & (a > TINY) & within, _beside_zero(a, 1 - x, x), edge)
    a, b, x = np.where(inside, a, 1.0), np.where(inside, b, 1.0), np.where(inside, x, 0.5)
    rest, (j, k) = 1 - x, orders
    in_a = np.log(x) + polygamma_difference.run(a, b, order=0)
    in_b = np.log1p(-x) + polygamma_difference.run(b, a, order=0)
    right = in_a >= 0 if j else in_b < 0
    integral = np.zeros_like(x)
    if right.any():
        m = right
        integral[m] = -_right_of(a[m], b[m], x[m], rest[m], in_a[m], in_b[m], j, k)
    if not right.all():
        m = ~right
        integral[m] = _right_of(b[m], a[m], rest[m], x[m], in_b[m], in_a[m], k, j)
    density = _beta_density(a, b, x)
    y = np.where(density == 0, 0.0, x * rest * density * integral)
    if sum(orders) == 1:
        y = np.where(np.minimum(a, b) > ENORMOUS, density * _enormous(a, b, x, orders), y)
    return np.where(inside, y, edge)


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
    cumulants = _beta_cumulants(a, b, log(x) + ahead(a, b), log1p(-x) + ahead(b, a))
    return unless_nothing(density, density * bell(cumulants, *orders))


def _in_a(a: Any, b: Any, x: Any) -> Any:
    return betainc_shape(a, b, x, orders=(1, 0))


def _in_b(a: Any, b: Any, x: Any) -> Any:
    return betainc_shape(a, b, x, orders=(0, 1))


betainc = Elementwise(
    sp.betainc,
    lambda y, a, b, x: _in_a(a, b, x),
    lambda y, a, b, x: _in_b(a, b, x),
    lambda y, a, b, x: _number(y, beta_density(a, b, x)),
)
betaincc = Elementwise(
    sp.betaincc,
    lambda y, a, b, x: -_in_a(a, b, x),
    lambda y, a, b, x: -_in_b(a, b, x),
    lambda y, a, b, x: _number(y, -beta_density(a, b, x)),
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
