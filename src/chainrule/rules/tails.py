"""Logarithms of densities and distribution functions, far out in the tails too.

Where a probability leaves the range of floats, its logarithm is that of the density plus that of an integral
relative to the density, as `chainrule.rules.quadrature` has it: of size 1, and closed under derivatives,
because the shapes stand in the integrand as factors of an exponent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules import student
from chainrule.rules.elementary import log, log1p
from chainrule.rules.gamma import polygamma, polygamma_difference, somewhere
from chainrule.rules.incomplete import (
    beta_integral,
    betainc,
    betaincc,
    gammainc,
    gammaincc,
    lag,
    log_less_psi,
    log_x_less_psi,
    stirling,
)
from chainrule.rules.quadrature import computed, tail
from chainrule.traced import Traced


def log_of(p: Any, rest: Any) -> Any:
    """``log p``; by ``rest``, 1 - p, where that is the smaller."""
    large = raw(p) > 0.5
    if not somewhere(large):
        return log(p)
    return where(large, log1p(-where(large, rest, 0.5)), log(where(large, 0.5, p)))


def _log_or_tail(p: Any, rest: Any, by_tail: Callable[..., Any], *operands: Any) -> Any:
    """``log p``, by the tail where p is so small that reciprocals of its powers overflow.

    Each operand comes with a number to stand for it where the tail is not asked for.
    """
    size = raw(p)
    far = size < float(np.finfo(getattr(size, "dtype", float)).tiny) ** 0.2
    if not somewhere(far):
        return log_of(p, rest)
    asked = [where(far, x, other) for x, other in operands]
    return where(far, by_tail(far, *asked), log_of(where(far, 0.5, p), rest))


def large(*shapes: Any) -> bool:
    """Whether the terms of a density's logarithm are so large that digits cancel; of what is traced, no."""
    return any(type(x) is not Traced and bool(np.any(x > 1000)) for x in map(raw, shapes))


def _over(c: Any, x: Any) -> Any:
    """``c / x``, and 0 where both are 0: the slope of ``c log x``."""
    nothing = (raw(c) == 0) & (raw(x) == 0)
    return c / where(nothing, 1.0, x) if somewhere(nothing) else c / x


# -------------------------------------------------------------------- gamma

# log x - ψ(a)
gamma_score = Elementwise(
    computed(log_x_less_psi),
    lambda y, a, x: -polygamma(a, order=1),
    lambda y, a, x: 1 / x,
    name="gamma_score",
)


@computed
def _log_gamma_density(a: Any, x: Any, *, times: int) -> Any:
    few = sp.xlogy(a - (1 - times), x) - x - sp.gammaln(a)
    n, log_x = np.maximum(a, 10.0), np.log(x)
    many = -n * lag((x - n) / n, log_x - np.log(n)) - stirling(n) + np.log(n / (2 * np.pi)) / 2
    many = many - (1 - times) * log_x
    y = np.where((a > 10) & (x > 0), many, few)
    return np.where(((a == np.inf) | (x == np.inf)) & ~np.isnan(a + x), -np.inf, y)


def _slope_of_log_gamma_density(y: Any, a: Any, x: Any, *, times: int) -> Any:
    power = a - (1 - times)
    return _over(power, x) - 1 if somewhere(raw(x) == 0) else (power - x) / x


# log of xᵃ⁻¹ e⁻ˣ / Γ(a), or of that times x
log_gamma_density = Elementwise(
    _log_gamma_density,
    lambda y, a, x, *, times: gamma_score(a, x),
    _slope_of_log_gamma_density,
    name="log_gamma_density",
)


@computed
def _gamma_tail(a: Any, x: Any, asked: Any, *, side: int, powers: tuple[int, int]) -> Any:
    y, m, (i, j) = np.ones_like(x), asked != 0, powers
    a, x = a[m], x[m]
    corner = np.maximum(-np.log(x), 0.0) * (a < 1) if side > 0 else np.zeros_like(x)

    def log_density(s: Any) -> Any:
        beyond = s * side > 300
        grown = np.where(beyond, np.exp(s + np.log(x)), x * np.expm1(np.where(beyond, 0.0, side * s)))
        return a * side * s - grown

    y[m] = tail(log_density, lambda s: (side * s) ** i * (-np.expm1(side * s)) ** j, corner)
    return y


# ∫₀^∞ exp(aσs - x expm1 σs) (σs)ⁱ (-expm1 σs)ʲ ds: x times the density times this is the probability beyond x
# on the side σ; the powers are of the exponent's slopes in a and x, for derivatives. Where not asked for, 1
gamma_tail = Elementwise(
    _gamma_tail,
    lambda y, a, x, asked, *, side, powers: gamma_tail(
        a, x, asked, side=side, powers=(powers[0] + 1, powers[1])
    ),
    lambda y, a, x, asked, *, side, powers: gamma_tail(
        a, x, asked, side=side, powers=(powers[0], powers[1] + 1)
    ),
    None,
    name="gamma_tail",
)


def _far_gamma(side: int, asked: Any, a: Any, x: Any) -> Any:
    return log_gamma_density(a, x, times=1) + log(gamma_tail(a, x, asked, side=side, powers=(0, 0)))


def log_gammainc(a: Any, x: Any) -> Any:
    """``log P(a, x)``."""
    p, rest = gammainc(a, x), gammaincc(a, x)
    return _log_or_tail(p, rest, partial(_far_gamma, -1), (a, 1.0), (x, 1.0))


def log_gammaincc(a: Any, x: Any) -> Any:
    """``log Q(a, x)``."""
    p, rest = gammaincc(a, x), gammainc(a, x)
    return _log_or_tail(p, rest, partial(_far_gamma, 1), (a, 1.0), (x, 1.0))


# -------------------------------------------------------------------- beta


@computed
def _beta_score(a: Any, b: Any, x: Any, rest: Any) -> Any:
    n, log_x = np.maximum(a, 10.0), np.where(rest < 0.5, np.log1p(-rest), np.log(x))
    u = (x * b - rest * a) / n
    ratio = np.where(np.abs(u) < 0.5, np.log1p(u), log_x + np.log1p(b / n))
    few = log_x + polygamma_difference.run(np.minimum(a, 10.0), b, order=0)
    return np.where(a >= 10, ratio + log_less_psi(n) - log_less_psi(n + b), few)


# log x + ψ(a + b) - ψ(a); rest is 1 - x to all of its digits
beta_score = Elementwise(
    _beta_score,
    lambda y, a, b, x, rest: polygamma_difference(a, b, order=1),
    lambda y, a, b, x, rest: polygamma(a + b, order=1),
    lambda y, a, b, x, rest: 1 / x,
    None,
    name="beta_score",
)


@computed
def _log_beta_density(a: Any, b: Any, x: Any, *, times: int) -> Any:
    least, most = np.minimum(a, b), np.maximum(np.maximum(a, b), 10.0)
    both = least + most
    by_stirling = (both - 0.5) * np.log1p(least / most) - least + stirling(both) - stirling(most)
    one_over = np.where(
        most > 10, least * np.log(most) + by_stirling - sp.gammaln(least), -sp.betaln(a, b)
    )
    few = sp.xlogy(a - (1 - times), x) + sp.xlog1py(b - (1 - times), -x) + one_over
    p, q = np.maximum(a, 10.0), np.maximum(b, 10.0)
    n, log_x, log_rest = p + q, np.log(x), np.log1p(-x)
    u = (x * q - (1 - x) * p) / p
    exponent = -p * lag(u, log_x - np.log(p / n)) - q * lag(-u * p / q, log_rest - np.log(q / n))
    exponent = exponent - stirling(p) - stirling(q) + stirling(n)
    many = exponent + np.log(p / (2 * np.pi * n) * q) / 2 - (1 - times) * (log_x + log_rest)
    y = np.where((least > 10) & (x > 0) & (x < 1), many, few)
    return np.where((most == np.inf) & ~np.isnan(a + b + x), -np.inf, y)


# log of xᵃ⁻¹ (1 - x)ᵇ⁻¹ / B(a, b), or of that times x (1 - x)
log_beta_density = Elementwise(
    _log_beta_density,
    lambda y, a, b, x, *, times: beta_score(a, b, x, 1 - raw(x)),
    lambda y, a, b, x, *, times: beta_score(b, a, 1 - x, raw(x)),
    lambda y, a, b, x, *, times: _over(a - (1 - times), x) - _over(b - (1 - times), 1 - x),
    name="log_beta_density",
)


@computed
def _beta_tail(
    a: Any, b: Any, x: Any, rest: Any, asked: Any, *, lower: bool, powers: tuple[int, int, int]
) -> Any:
    y, m, (i, j, k) = np.ones_like(x), asked != 0, powers
    a, b, x, rest = a[m], b[m], x[m], rest[m]
    if lower:
        a, b, x, rest, i, j = b, a, rest, x, j, i
    factor = lambda s, r, l: r**i * l**j * (-np.expm1(-s) * np.exp(r)) ** k
    y[m] = beta_integral(a, b, x, rest, factor)
    return y


def _beta_tail_in_x(
    y: Any, a: Any, b: Any, x: Any, rest: Any, asked: Any, *, lower: bool, powers: tuple[int, int, int]
) -> Any:
    i, j, k = powers

    def term(i: int, j: int) -> Any:
        return beta_tail(a, b, x, rest, asked, lower=lower, powers=(i, j, k + 1))

    total = (a + b + k) * term(i, j)
    total = total + i * term(i - 1, j) if i else total
    total = total + j * term(i, j - 1) if j else total
    return total if lower else -total


# The same for the beta distribution, over t on the one side of x, odds x/rest times e^s: the powers are of
# log t/x, log (1 - t)/rest and of what the slope in x of either is
beta_tail = Elementwise(
    _beta_tail,
    lambda y, *at, lower, powers: beta_tail(*at, lower=lower, powers=(powers[0] + 1, *powers[1:])),
    lambda y, *at, lower, powers: beta_tail(*at, lower=lower, powers=(powers[0], powers[1] + 1, powers[2])),
    _beta_tail_in_x,
    None,
    None,
    name="beta_tail",
)


def _far_beta(lower: bool, asked: Any, a: Any, b: Any, x: Any) -> Any:
    ratio = beta_tail(a, b, x, 1 - raw(x), asked, lower=lower, powers=(0, 0, 0))
    return log_beta_density(a, b, x, times=1) + log(ratio)


def log_betainc(a: Any, b: Any, x: Any) -> Any:
    """``log Iₓ(a, b)``."""
    p, rest = betainc(a, b, x), betaincc(a, b, x)
    return _log_or_tail(p, rest, partial(_far_beta, True), (a, 1.0), (b, 1.0), (x, 0.5))


def log_betaincc(a: Any, b: Any, x: Any) -> Any:
    """``log (1 - Iₓ(a, b))``."""
    p, rest = betaincc(a, b, x), betainc(a, b, x)
    return _log_or_tail(p, rest, partial(_far_beta, False), (a, 1.0), (b, 1.0), (x, 0.5))


# -------------------------------------------------------------------- Student's


def _far_student(asked: Any, df: Any, z: Any) -> Any:
    """Half of ``I(ν/2, 1/2)`` at ν/(ν + z²), where x (1 - x) times the density is |z| times Student's."""
    odds = df / z / z
    rest = 1 / (1 + raw(odds))
    ratio = beta_tail(df / 2, 0.5, odds / (1 + odds), rest, asked, lower=True, powers=(0, 0, 0))
    return log(-z) - math.log(2) + student.log_density(df, z, order=0) + log(ratio)


def log_stdtr(df: Any, z: Any) -> Any:
    """The logarithm of Student's distribution function."""
    p, rest = student.stdtr(df, z), student.stdtr(df, -z)
    return _log_or_tail(p, rest, _far_student, (df, 1.0), (z, -1.0))
