"""Student's distribution: its density, distribution function and quantile, in the argument and in ν.

In ν the distribution function moves by an integral of the density times the score, which
`chainrule.rules.quadrature` computes over the side of z on which the score has one sign. Of a large ν density
and score are a series in 1/ν beyond those of the normal distribution, so that nothing cancels: they have a
relative error of 1e-12 at most for ν from 1e-3 on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules.elementary import exp
from chainrule.rules.gamma import polygamma_difference, somewhere
from chainrule.rules.incomplete import flow, unless_nothing
from chainrule.rules.quadrature import bell, computed, tail

# -------------------------------------------------------------------- the density

MANY = 20.0  # degrees of freedom from which on the series serve
# log Γ((ν + 1)/2) - log Γ(ν/2) - log(ν/2)/2 = Σ cₖ ν¹⁻²ᵏ, cₖ = -B₂ₖ (4ᵏ - 1) / (2k (2k - 1))
_SERIES = (-1 / 4, 1 / 24, -1 / 20, 17 / 112, -31 / 36, 691 / 88, -5461 / 52, 929569 / 480, -3202291 / 68)


def _derivative_of_power(df: Any, power: int, order: int) -> Any:
    """Of ν^-power, order times."""
    rising = math.prod(range(power, power + order))
    return (-1) ** order * rising * df ** (-1.0 * (power + order))


def _constant(df: Any, order: int) -> Any:
    """The derivative of ``log Γ((ν + 1)/2) - log Γ(ν/2) - log(ν/2)/2``."""
    far = np.maximum(df, MANY)
    series = sum(c * _derivative_of_power(far, 2 * k + 1, order) for k, c in enumerate(_SERIES))
    n = np.minimum(df, MANY)
    if order == 0:
        near = sp.gammaln((n + 1) / 2) - sp.gammaln(n / 2) - np.log(n / 2) / 2
    else:
        ahead = polygamma_difference.run(n / 2, np.full_like(n, 0.5), order=order - 1) / 2**order
        near = ahead - (-1) ** (order - 1) * math.factorial(order - 1) * n ** (-1.0 * order) / 2
    return np.where(df > MANY, series, near)


def _log_of_ratio(df: Any, z: Any) -> Any:
    """``log(1 + z²/ν)``."""
    u = z * (z / df)
    return np.where(u < 1e300, np.log1p(u), 2 * np.log(np.abs(z)) - np.log(df))


@computed
def _log_density(df: Any, z: Any, *, order: int) -> Any:
    valid, endless = df > 0, df == np.inf
    df = np.where(valid & ~endless, df, 1.0)
    logarithm = _log_of_ratio(df, z)
    if order == 0:
        y = _constant(df, 0) - 0.5 * math.log(2 * math.pi) - (df + 1) / 2 * logarithm
        y = np.where(endless, -z * z / 2 - 0.5 * math.log(2 * math.pi), y)
        return np.where(valid, y, np.nan)
    return np.where(valid, np.where(endless, 0.0, _score(df, z, logarithm, order)), np.nan)


def _score(df: Any, z: Any, logarithm: Any, order: int) -> Any:
    """The derivative of the logarithm of the density in ν; ``logarithm`` is ``log(1 + z²/ν)``.

    That of ``-(ν + 1)/2 log(1 + z²/ν)`` by its series in 1/ν, or by Leibniz.
    """
    u = z * (z / df)
    small = np.minimum(u, 0.3)
    series = np.zeros_like(u)
    for k in range(60, 0, -1):
        rising = math.prod(range(k, k + order))
        series = series + (-1) ** (k + order) * rising / 2 * small**k * (1 / k - z * z / (k + 1))
    by_series = series * df ** (-1.0 * order)

    def of_log(j: int) -> Any:
        if j == 0:
            return logarithm
        return (-1) ** (j - 1) * math.factorial(j - 1) * np.expm1(-j * logarithm) * df ** (-1.0 * j)

    by_parts = -(df + 1) / 2 * of_log(order) - order / 2 * of_log(order - 1)
    return _constant(df, order) + np.where((u < 0.3) & (df > MANY), by_series, by_parts)


def _slope(df: Any, z: Any, order: int) -> Any:
    """``∂/∂z ∂ⁿ/∂νⁿ log f``, of ``-(ν + 1) z / (ν + z²)``."""
    if order:
        both = df + z * z
        c = (-1) ** (order + 1) * math.factorial(order)
        return c * (z / both) * ((1 - z * z) / both) * both ** (1 - order)
    outer = raw(z) * raw(z) > raw(df)
    inner, one = where(outer, 0.0, z), where(outer, z, 1.0)
    df_in, df_out = where(outer, 1.0, df), where(outer, df, 1.0)
    near = -inner * (1 + 1 / df_in) / (1 + inner * (inner / df_in))
    return where(outer, -(df_out + 1) / (one + df_out / one), near)


log_density = Elementwise(
    _log_density,
    lambda y, df, z, *, order: log_density(df, z, order=order + 1),
    lambda y, df, z, *, order: _slope(df, z, order),
    name="student_log_density",
)


def density(df: Any, z: Any, order: int = 0) -> Any:
    """Its derivative in ν."""
    y = exp(log_density(df, z, order=0))
    if order == 0:
        return y
    nothing = raw(y) == 0
    if somewhere(nothing):
        df, z = where(nothing, 1.0, df), where(nothing, 1.0, z)
    return unless_nothing(y, y * bell(lambda p, q: log_density(df, z, order=p), order))


# -------------------------------------------------------------------- the distribution function


@computed
def _stdtr_in_df(df: Any, z: Any, *, order: int) -> Any:
    """``∫₀ᶻ ∂ⁿf/∂νⁿ dt`` or, beyond the root of the score, minus the integral from z on; t is ``z e^±s``."""
    inside = (df > 0) & (df < np.inf) & (z != 0) & np.isfinite(z)
    edge = np.where((df > 0) & ~np.isnan(z), 0.0, np.nan)
    sign = np.where(inside, np.sign(z), 0.0)
    df, z = np.where(inside, df, 1.0), np.where(inside, np.abs(z), 1.0)
    side = np.where(_log_density(df, z, order=1) < 0, 1.0, -1.0)
    w = 1 / (1 + df / z / z)
    log_w, log_rest = -np.log1p(df / z / z), -_log_of_ratio(df, z)

    def log_ratio(s: Any) -> Any:
        """``log (ν + t²)/(ν + z²)``."""
        far = (s > 0.5) & (w > 0.5) | (s > 300)
        near = np.log1p(w * np.expm1(np.where(far, 0.0, 2 * side * s)))
        outward, inward = 2 * s + np.logaddexp(log_w, log_rest - 2 * s), np.logaddexp(log_rest, log_w - 2 * s)
        return np.where(far, np.where(side > 0, outward, inward), near)

    def polynomial(s: Any) -> Any:
        t, logarithm = z * np.exp(side * s), log_ratio(s) - log_rest
        return bell(lambda p, q: _score(df, t, logarithm, p), order)

    corner = np.where(side < 0, np.maximum(np.log(z) - np.log(df) / 2, 0.0), 0.0)
    integral = tail(lambda s: side * s - (df + 1) / 2 * log_ratio(s), polynomial, corner)
    here = np.exp(np.log(z) + _log_density(df, z, order=0))
    return np.where(inside, np.where(here == 0, 0.0, -side * sign * here * integral), edge)


# ∂ⁿ/∂νⁿ of the distribution function
stdtr_in_df = Elementwise(
    _stdtr_in_df,
    lambda y, df, z, *, order: stdtr_in_df(df, z, order=order + 1),
    lambda y, df, z, *, order: density(df, z, order),
    name="stdtr_in_df",
)
stdtr = Elementwise(
    sp.stdtr, lambda y, df, z: stdtr_in_df(df, z, order=1), lambda y, df, z: density(df, z)
)
stdtrit = Elementwise(
    sp.stdtrit,
    lambda y, df, p: flow(stdtr_in_df(df, y, order=1), density(df, y)),
    lambda y, df, p: 1 / density(df, y),
)
