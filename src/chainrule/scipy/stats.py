"""scipy.stats's distributions, of Values too: ``from chainrule.scipy import stats``.

Each has ``pdf`` (``pmf``), ``logpdf``, ``cdf``, ``logcdf``, ``sf``, ``logsf``, and where it is continuous
``ppf`` and ``isf``, with SciPy's names of the parameters and its numbers. There are derivatives in the
argument and in every parameter, of every order.

>>> import chainrule as cr
>>> from chainrule.scipy import stats
>>> data = np.array([1.2, 0.7, 3.1])
>>> loss = lambda shape, scale: -np.sum(stats.gamma.logpdf(data, shape, scale=scale))
>>> cr.grad(loss, argnums=(0, 1))(2.0, 1.0)
(0.311304, 1.000000)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.foreign import absent
from chainrule.primitives import Elementwise, raw, where
from chainrule.rules import beta as bt
from chainrule.rules import gamma as gm
from chainrule.rules import incomplete as ic
from chainrule.rules import special as sc
from chainrule.rules import student, tails
from chainrule.rules.arithmetic import arctan2, real_absolute
from chainrule.rules.elementary import (
    PI,
    exp,
    expm1,
    hypot,
    log,
    log1p,
    log_sigmoid,
    logit,
    sigmoid,
    tan,
    xlog1py,
    xlogy,
)
from chainrule.scipy.distributions import Continuous, Discrete, Symmetric, only
from chainrule.scipy.multivariate import Dirichlet, MultivariateNormal
from chainrule.value import Value

__all__ = (
    "bernoulli beta binom cauchy chi2 dirichlet expon gamma halfnorm laplace logistic lognorm "
    "multivariate_normal norm poisson t uniform"
).split()

HALF_LOG_2PI = 0.5 * math.log(2 * PI)

# -------------------------------------------------------------------- on the whole line


class Norm(Symmetric):
    """``exp(-z²/2) / √2π``."""

    def log_density(self, z: Any) -> Any:
        return -z * z / 2 - HALF_LOG_2PI

    def density(self, z: Any) -> Any:
        return sc.normal_density(z)

    below = staticmethod(sc.ndtr)
    log_below = staticmethod(sc.log_ndtr)
    quantile = staticmethod(sc.ndtri)


class T(Symmetric):
    """Student's: ``Γ((ν+1)/2) / (√νπ Γ(ν/2)) (1 + z²/ν)^(-(ν+1)/2)``."""

    shapes = ("df",)

    def log_density(self, z: Any, df: Any) -> Any:
        return student.log_density(df, z, order=0)

    def below(self, z: Any, df: Any) -> Any:
        return student.stdtr(df, z)

    def log_below(self, z: Any, df: Any) -> Any:
        endless = raw(df) == math.inf
        y = tails.log_stdtr(only(np.logical_not(endless), df, 1.0), z)
        return where(endless, sc.log_ndtr(z), y) if gm.somewhere(endless) else y

    def quantile(self, p: Any, df: Any) -> Any:
        return only(np.logical_not(raw(p) == 0), student.stdtrit(df, p), -math.inf)  # where SciPy has +∞


class Cauchy(Symmetric):
    """``1 / (π (1 + z²))``."""

    def log_density(self, z: Any) -> Any:
        return -math.log(PI) - 2 * log(hypot(1.0, z))

    def below(self, z: Any) -> Any:
        return arctan2(1.0, -z) / PI

    def quantile(self, p: Any) -> Any:
        near = abs(raw(p) - 0.5) < 0.25
        middle = tan(PI * (where(near, p, 0.5) - 0.5))
        outer = _by_side(raw(p) > 0.5, p, lambda p: 1 / tan(PI * (1 - p)), lambda p: -1 / tan(PI * p))
        return where(near, middle, outer)


class Laplace(Symmetric):
    """``exp(-|z|) / 2``."""

    def log_density(self, z: Any) -> Any:
        return -math.log(2) - real_absolute(z)

    def below(self, z: Any) -> Any:
        return _by_side(raw(z) > 0, z, lambda z: 1 - 0.5 * exp(-z), lambda z: 0.5 * exp(z))

    def log_below(self, z: Any) -> Any:
        return _by_side(raw(z) > 0, z, lambda z: log1p(-0.5 * exp(-z)), lambda z: z - math.log(2))

    def quantile(self, p: Any) -> Any:
        return _by_side(raw(p) > 0.5, p, lambda p: -log(2 * (1 - p)), lambda p: log(2 * p))


def _by_side(right: Any, z: Any, f: Any, g: Any) -> Any:
    """``f(z)`` where it is true, elsewhere ``g(z)``; neither is computed where it could overflow."""
    return where(right, f(where(right, z, 0.5)), g(where(right, 0.5, z)))


class Logistic(Symmetric):
    """``σ(z) σ(-z)``."""

    def log_density(self, z: Any) -> Any:
        return log_sigmoid(z) + log_sigmoid(-z)

    below = staticmethod(sigmoid)
    log_below = staticmethod(log_sigmoid)
    quantile = staticmethod(logit)


# -------------------------------------------------------------------- of positive numbers


class Gamma(Continuous):
    """``zᵃ⁻¹ e⁻ᶻ / Γ(a)``."""

    shapes = ("a",)
    support = (0.0, math.inf)

    def log_density(self, z: Any, a: Any) -> Any:
        if tails.large(a):
            return tails.log_gamma_density(a, z, times=0)
        return xlogy(a - 1, z) - z - gm.gammaln(a)

    def density(self, z: Any, a: Any) -> Any:
        return ic.gamma_density(a, z)

    def below(self, z: Any, a: Any) -> Any:
        return ic.gammainc(a, z)

    def above(self, z: Any, a: Any) -> Any:
        return ic.gammaincc(a, z)

    def log_below(self, z: Any, a: Any) -> Any:
        return tails.log_gammainc(a, z)

    def log_above(self, z: Any, a: Any) -> Any:
        return tails.log_gammaincc(a, z)

    def quantile(self, p: Any, a: Any) -> Any:
        return ic.gammaincinv(a, p)

    def upper_quantile(self, p: Any, a: Any) -> Any:
        return ic.gammainccinv(a, p)


class Chi2(Continuous):
    """The gamma distribution of shape ν/2, stretched by 2."""

    shapes = ("df",)
    support = (0.0, math.inf)

    def log_density(self, z: Any, df: Any) -> Any:
        return Gamma().log_density(z / 2, df / 2) - math.log(2)

    def density(self, z: Any, df: Any) -> Any:
        return ic.gamma_density(df / 2, z / 2) / 2

    def below(self, z: Any, df: Any) -> Any:
        return ic.gammainc(df / 2, z / 2)

    def above(self, z: Any, df: Any) -> Any:
        return ic.gammaincc(df / 2, z / 2)

    def log_below(self, z: Any, df: Any) -> Any:
        return tails.log_gammainc(df / 2, z / 2)

    def log_above(self, z: Any, df: Any) -> Any:
        return tails.log_gammaincc(df / 2, z / 2)

    def quantile(self, p: Any, df: Any) -> Any:
        return 2 * ic.gammaincinv(df / 2, p)

    def upper_quantile(self, p: Any, df: Any) -> Any:
        return 2 * ic.gammainccinv(df / 2, p)


class Expon(Continuous):
    """``e⁻ᶻ``."""

    support = (0.0, math.inf)

    def log_density(self, z: Any) -> Any:
        return -z

    def below(self, z: Any) -> Any:
        return -expm1(-z)

    def above(self, z: Any) -> Any:
        return exp(-z)

    def log_above(self, z: Any) -> Any:
        return -z

    def quantile(self, p: Any) -> Any:
        return -log1p(-p)

    def upper_quantile(self, p: Any) -> Any:
        return -log(p)


class HalfNorm(Continuous):
    """``√(2/π) exp(-z²/2)``."""

    support = (0.0, math.inf)

    def log_density(self, z: Any) -> Any:
        return 0.5 * math.log(2 / PI) - z * z / 2

    def below(self, z: Any) -> Any:
        return sc.erf(z / math.sqrt(2))

    def above(self, z: Any) -> Any:
        return 2 * sc.ndtr(-z)

    def quantile(self, p: Any) -> Any:
        return sc.ndtri((1 + p) / 2)

    def upper_quantile(self, p: Any) -> Any:
        return -sc.ndtri(p / 2)


class LogNorm(Continuous):
    """``exp(-(log z)²/2s²) / (s z √2π)``: what has a normal logarithm, of deviation s."""

    shapes = ("s",)
    support = (0.0, math.inf)

    def log_density(self, z: Any, s: Any) -> Any:
        return _lognorm_log_density(z, s)

    def density(self, z: Any, s: Any) -> Any:
        return _lognorm_density(z, s)

    def below(self, z: Any, s: Any) -> Any:
        return _lognorm_below(z, s)

    def above(self, z: Any, s: Any) -> Any:
        return _lognorm_above(z, s)

    def log_below(self, z: Any, s: Any) -> Any:
        far = lambda z: log1p(-_lognorm_above(z, s))
        return _by_side(raw(z) > 1, z, far, lambda z: sc.log_ndtr(log(z) / s))

    def log_above(self, z: Any, s: Any) -> Any:
        near = lambda z: log1p(-_lognorm_below(z, s))
        return _by_side(raw(z) > 1, z, lambda z: sc.log_ndtr(-log(z) / s), near)

    def quantile(self, p: Any, s: Any) -> Any:
        return exp(s * sc.ndtri(p))

    def upper_quantile(self, p: Any, s: Any) -> Any:
        return exp(-s * sc.ndtri(p))


def _log(x: Any, other: Any) -> Any:
    """``log x``, of a Python number in the precision of the other operand."""
    return np.log(np.asarray(x, getattr(other, "dtype", float))[()] if type(x) is float else x)


# Operations of their own, because next to z = 0 the slope of the logarithm is infinite
_lognorm_log_density = Elementwise(
    lambda z, s: -_log(z, s) * (_log(z, s) / s / s / 2 + 1) - _log(s, z) - HALF_LOG_2PI,
    lambda y, z, s: -(log(z) / s / s + 1) / z,
    lambda y, z, s: ((log(z) / s) * (log(z) / s) - 1) / s,
    name="lognorm_log_density",
)
_lognorm_below = Elementwise(
    lambda z, s: sp.ndtr(_log(z, s) / s),
    lambda y, z, s: _lognorm_density(z, s),
    lambda y, z, s: _lognorm_in_s(z, s),
    name="lognorm_below",
)
_lognorm_above = Elementwise(
    lambda z, s: sp.ndtr(-_log(z, s) / s),
    lambda y, z, s: -_lognorm_density(z, s),
    lambda y, z, s: -_lognorm_in_s(z, s),
    name="lognorm_above",
)


def _lognorm_density(z: Any, s: Any) -> Any:
    y = exp(_lognorm_log_density(z, s))
    return only(raw(y) != 0, y, 0.0)


def _lognorm_in_s(z: Any, s: Any) -> Any:
    u = log(z) / s
    density = sc.normal_density(u)
    return where(raw(density) == 0, 0.0, -density * u / s)


# -------------------------------------------------------------------- of an interval


class Beta(Continuous):
    """``zᵃ⁻¹ (1 - z)ᵇ⁻¹ / B(a, b)``."""

    shapes = ("a", "b")
    support = (0.0, 1.0)

    def log_density(self, z: Any, a: Any, b: Any) -> Any:
        if tails.large(a, b):
            return tails.log_beta_density(a, b, z, times=0)
        return xlog1py(b - 1, -z) + xlogy(a - 1, z) - bt.betaln(a, b)

    def density(self, z: Any, a: Any, b: Any) -> Any:
        return ic.beta_density(a, b, z)

    def below(self, z: Any, a: Any, b: Any) -> Any:
        return ic.betainc(a, b, z)

    def above(self, z: Any, a: Any, b: Any) -> Any:
        return ic.betaincc(a, b, z)

    def log_below(self, z: Any, a: Any, b: Any) -> Any:
        return tails.log_betainc(a, b, z)

    def log_above(self, z: Any, a: Any, b: Any) -> Any:
        return tails.log_betaincc(a, b, z)

    def quantile(self, p: Any, a: Any, b: Any) -> Any:
        return ic.betaincinv(a, b, p)

    def upper_quantile(self, p: Any, a: Any, b: Any) -> Any:
        return ic.betainccinv(a, b, p)


class Uniform(Continuous):
    """1 on the interval from 0 to 1: from ``loc`` to ``loc + scale``."""

    support = (0.0, 1.0)

    def log_density(self, z: Any) -> Any:
        return 0.0 * z

    def below(self, z: Any) -> Any:
        return 1.0 * z

    def quantile(self, p: Any) -> Any:
        return 1.0 * p


# -------------------------------------------------------------------- of whole numbers


class Poisson(Discrete):
    """``μᵏ e^-μ / k!``."""

    shapes = ("mu",)

    def valid(self, mu: Any) -> Any:
        return raw(mu) >= 0

    def log_mass(self, k: Any, mu: Any) -> Any:
        if tails.large(k):
            return tails.log_gamma_density(k + 1, mu, times=0)
        return xlogy(k, mu) - gm.gammaln(k + 1) - mu

    def mass(self, k: Any, mu: Any) -> Any:
        return ic.gamma_density(k + 1, mu)

    def below(self, k: Any, mu: Any) -> Any:
        return ic.gammaincc(k + 1, mu)

    def above(self, k: Any, mu: Any) -> Any:
        return ic.gammainc(k + 1, mu)

    def log_below(self, k: Any, mu: Any) -> Any:
        return tails.log_gammaincc(k + 1, mu)

    def log_above(self, k: Any, mu: Any) -> Any:
        return tails.log_gammainc(k + 1, mu)


class Binom(Discrete):
    """``(n over k) pᵏ (1 - p)ⁿ⁻ᵏ``; n plain whole numbers."""

    shapes = ("n", "p")

    def valid(self, n: Any, p: Any) -> Any:
        if type(n) is Value:
            raise TypeError("binom: n is a Value, but there is no derivative in whole numbers; give n.data")
        return (n >= 0) & (n == np.floor(n)) & (raw(p) >= 0) & (raw(p) <= 1)

    def last(self, n: Any, p: Any) -> Any:
        return n

    def log_mass(self, k: Any, n: Any, p: Any) -> Any:
        return xlogy(k, p) + xlog1py(n - k, -p) - bt.betaln(n - k + 1, k + 1) - np.log(n + 1)

    def below(self, k: Any, n: Any, p: Any) -> Any:
        return ic.betaincc(k + 1, np.maximum(n - k, 1), p)

    def above(self, k: Any, n: Any, p: Any) -> Any:
        return ic.betainc(k + 1, np.maximum(n - k, 1), p)

    def log_below(self, k: Any, n: Any, p: Any) -> Any:
        return tails.log_betaincc(k + 1, np.maximum(n - k, 1), p)

    def log_above(self, k: Any, n: Any, p: Any) -> Any:
        return tails.log_betainc(k + 1, np.maximum(n - k, 1), p)


class Bernoulli(Discrete):
    """``p`` for 1, ``1 - p`` for 0."""

    shapes = ("p",)

    def valid(self, p: Any) -> Any:
        return (raw(p) >= 0) & (raw(p) <= 1)

    def last(self, p: Any) -> Any:
        return 1.0

    def log_mass(self, k: Any, p: Any) -> Any:
        return xlogy(k, p) + xlog1py(1 - k, -p)

    def below(self, k: Any, p: Any) -> Any:
        return 1 - p + 0 * k

    def above(self, k: Any, p: Any) -> Any:
        return p + 0 * k


bernoulli, binom, poisson = Bernoulli(), Binom(), Poisson()
beta, cauchy, chi2, expon, gamma = Beta(), Cauchy(), Chi2(), Expon(), Gamma()
halfnorm, laplace, logistic, lognorm = HalfNorm(), Laplace(), Logistic(), LogNorm()
norm, t, uniform = Norm(), T(), Uniform()
dirichlet, multivariate_normal = Dirichlet(), MultivariateNormal()


__getattr__ = absent(__name__)
