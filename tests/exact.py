"""Derivatives in mpmath's numbers, in forms that keep their digits for tiny and for enormous arguments.

mpmath has many digits, but not endlessly many: ``Γ(a + b)/Γ(a)`` of a = 10¹⁰⁰⁰ and b = 1 is written so that
it needs no thousand of them. What has no closed form is a series of terms of one sign.
"""

from __future__ import annotations

from typing import Any

import mpmath as mp
from mpmath import mpf

TINY = mpf(10) ** -20
LARGE = mpf(10) ** 25

# -------------------------------------------------------------------- the gamma function and its kin


def psi(order: int, x: Any) -> Any:
    """mpmath's, which takes as many digits as a tiny number has zeros."""
    if 0 < abs(x) < TINY:
        return mp.psi(order, 1 + x) + (-1) ** (order + 1) * mp.factorial(order) / x ** (order + 1)
    return mp.psi(order, x)


def from_pole(a: Any) -> Any:
    """The distance from the nearest pole of Γ."""
    return abs(a) if a > 0 else abs(a - mp.nint(a))


def ahead(a: Any, b: Any, order: int = 0) -> Any:
    """``ψ⁽ⁿ⁾(a + b) - ψ⁽ⁿ⁾(a)``."""
    if abs(b) < TINY * from_pole(a):
        return sum(b**k / mp.factorial(k) * psi(order + k, a) for k in (1, 2, 3))
    return psi(order, a + b) - psi(order, a)


def ratio(a: Any, b: Any) -> Any:
    """``Γ(a + b)/Γ(a)``."""
    if abs(b) < TINY * from_pole(a):
        return mp.exp(b * psi(0, a) + sum(b**k / mp.factorial(k) * psi(k - 1, a) for k in (2, 3)))
    if min(a, a + b) > 1000:
        return mp.exp(mp.loggamma(a + b) - mp.loggamma(a))
    return mp.gamma(a + b) * mp.rgamma(a)


def beta(a: Any, b: Any) -> Any:
    if abs(a) < abs(b):
        a, b = b, a
    return mp.gamma(b) / ratio(a, b)


def in_rgamma(x: Any) -> Any:
    """The derivative of 1/Γ."""
    if x <= 0 and x == mp.nint(x):
        return (-1) ** int(-x) * mp.gamma(1 - x)
    return -psi(0, x) * mp.rgamma(x)


BETA = (lambda a, b: -beta(a, b) * ahead(a, b), lambda a, b: -beta(a, b) * ahead(b, a))
BETALN = (lambda a, b: -ahead(a, b), lambda a, b: -ahead(b, a))
POCH = (
    lambda z, m: ratio(z, m) * ahead(z, m),
    lambda z, m: ratio(z, m) * psi(0, z + m),
)


def binom(n: Any, k: Any) -> Any:
    return 1 / ((n + 1) * beta(n - k + 1, k + 1))


BINOM = (
    lambda n, k: binom(n, k) * ahead(n - k + 1, k),
    lambda n, k: binom(n, k) * (-ahead(n - k + 1, 2 * k - n) if n < 2 * k else ahead(k + 1, n - 2 * k)),
)

# -------------------------------------------------------------------- the incomplete gamma function


def log_gamma_density(a: Any, x: Any) -> Any:
    """``log xᵃ⁻¹ e⁻ˣ / Γ(a)``, by Stirling's series where a is large."""
    if a < LARGE:
        return (a - 1) * mp.log(x) - x - mp.loggamma(a)
    u = (x - a) / a
    lag = u * u / 2 - u**3 / 3 + u**4 / 4 if abs(u) < TINY else u - mp.log1p(u)
    return -a * lag - mp.log(x) + mp.log(a / (2 * mp.pi)) / 2


def gamma_density(a: Any, x: Any) -> Any:
    return mp.exp(log_gamma_density(a, x))


def gammainc_in_a(a: Any, x: Any) -> Any:
    """``Σ xᵃ⁺ⁿ e⁻ˣ / Γ(a + n + 1) (log x - ψ(a + n + 1))``; where that is no series, its limit."""
    if x == 0 or x > 10 * a + 2000 or (a > 10**5 and x > a and (x - a) ** 2 / (x + a) > 10**5):
        return mpf(0)
    if a > 10**5 and (x - a) ** 2 < 2 * a:
        if abs(x - a) > TINY * mp.sqrt(a):
            raise NotImplementedError
        return -(1 + 1 / (12 * a)) / mp.sqrt(2 * mp.pi * a)
    if a > 10**5 and x > a / 2:
        raise NotImplementedError
    if log_gamma_density(a, x) + mp.log(x) < -(10**5):
        return mpf(0)
    with mp.extradps(10 + 2 * int(max(0, min(x - a, 10**4)))):
        term = x / a * gamma_density(a, x)
        slope = mp.log(x) - psi(0, a + 1)
        total, n = mpf(0), 1
        while True:
            total += term * slope
            if abs(term * slope) < abs(total) * mpf(10) ** -25 and n > x - a:
                return total
            term *= x / (a + n)
            slope -= 1 / (a + n)
            n += 1


GAMMAINC = (gammainc_in_a, gamma_density)
GAMMAINCC = tuple((lambda a, x, f=f: -f(a, x)) for f in GAMMAINC)

# -------------------------------------------------------------------- the incomplete beta function


def beta_density(a: Any, b: Any, x: Any) -> Any:
    if x == 1:
        return mp.inf if b < 1 else a if b == 1 else mpf(0)
    if min(a, b) > LARGE:
        far = abs(x - a / (a + b)) > TINY
        return mpf(0) if far else (a + b) * mp.sqrt((a + b) / (2 * mp.pi * a) / b)
    return mp.exp((a - 1) * mp.log(x) + (b - 1) * mp.log1p(-x)) / beta(a, b)


def _beta_series(a: Any, b: Any, x: Any, rest: Any, in_a: bool) -> Any:
    """``Σ xᵃ⁺ⁿ (1 - x)ᵇ (a + b)ₙ / (a (a + 1)ₙ B(a, b))``, each term by its own derivative."""
    with mp.extradps(40):
        term = x * rest * beta_density(a, b, x) / a
        if term == 0 or mp.log(abs(term)) < -(10**5):
            return mpf(0)
        slope = mp.log(x) + ahead(a + 1, b - 1) if in_a else mp.log(rest) + ahead(b, a)
        total, n = mpf(0), 0
        while n == 0 or abs(term * slope) > abs(total) * mpf(10) ** -25:
            total += term * slope
            slope += 1 / (a + b + n) - (1 / (a + 1 + n) if in_a else 0)
            term *= x * (a + b + n) / (a + 1 + n)
            n += 1
        return total


def _betainc_in(a: Any, b: Any, x: Any, in_a: bool) -> Any:
    if x in (0, 1):
        return mpf(0)
    if min(a, b) > LARGE:
        return (-b if in_a else a) / (a + b) ** 2 * beta_density(a, b, x)
    rest = 1 - x
    if (x * (a + b) <= max(a, 50) and 2 * x < 1) or x * (a + b) <= a:
        return _beta_series(a, b, x, rest, in_a)
    return -_beta_series(b, a, rest, x, not in_a)


BETAINC = (
    lambda a, b, x: _betainc_in(a, b, x, True),
    lambda a, b, x: _betainc_in(a, b, x, False),
    beta_density,
)
BETAINCC = tuple((lambda a, b, x, f=f: -f(a, b, x)) for f in BETAINC)

# -------------------------------------------------------------------- Student's distribution


def student_density(df: Any, z: Any) -> Any:
    if df > LARGE:
        return mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi) if abs(z) < 10**4 else mpf(0)
    u = z * z / df
    return ratio(df / 2, mpf(1) / 2) / mp.sqrt(df * mp.pi) * mp.exp(-(df + 1) / 2 * mp.log1p(u))


def student_in_df(df: Any, z: Any) -> Any:
    """Half of ``I_v(1/2, ν/2)``, v = z²/(ν + z²), by the chain rule."""
    if df > LARGE or z == 0:
        return (z + z**3) / (4 * df * df) * student_density(df, z)
    with mp.extradps(10 + 3 * int(abs(mp.log10(df)))):
        v = z * z / (df + z * z)
        w = df / (df + z * z)
        half = mpf(1) / 2
        if v < half:
            shape = _betainc_in(half, df / 2, v, False) / 2
            return mp.sign(z) / 2 * (shape - beta_density(half, df / 2, v) * v / (df + z * z))
        shape = _betainc_in(df / 2, half, w, True) / 2
        return -mp.sign(z) / 2 * (shape + beta_density(df / 2, half, w) * v / (df + z * z))


STDTR = (student_in_df, student_density)

# -------------------------------------------------------------------- inverses


def erfinv_slope(y: Any) -> Any:
    return mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(y) ** 2)


def ndtri_slope(p: Any) -> Any:
    return mp.sqrt(2) * 2 * erfinv_slope(2 * p - 1)


def lambertw_slope(x: Any, k: int = 0) -> Any:
    w = mp.lambertw(x, k)
    return 1 / (x + mp.exp(w)) if x else mpf(1) / (k == 0)
