"""The gamma function and its kin, ψ and its derivatives.

Differences of ψ are a function of their own, because written as a difference they lose their digits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules.elementary import sin_pi
from chainrule.rules.quadrature import computed
from chainrule.rules.zeta import BERNOULLI, zeta_of_complex
from chainrule.traced import Traced

# -------------------------------------------------------------------- ψ and its derivatives

_SHIFT = 14


def _rising(s: int, n: int) -> float:
    """``s (s + 1) ... (s + n - 1)``."""
    return math.prod(range(s, s + n))


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
    zeta = zeta_of_complex(order + 1, x) if np.iscomplexobj(x) else sp.zeta(order + 1, x)
    zeta = (-1) ** (order + 1) * math.factorial(order) * zeta
    return zeta if np.iscomplexobj(x) else np.where(x == -np.inf, np.nan, zeta)


def _slope_of_polygamma(y: Any, x: Any, *, order: int) -> Any:
    d, at = polygamma(x, order=order + 1), raw(x)
    if order % 2 == 0 or np.iscomplexobj(at) or not somewhere(pole := is_pole(x)):
        return d
    # of unlike signs on the two sides, of which a zero has one
    return where(pole, np.where(at == 0, -np.copysign(math.inf, at), math.nan), d)


# ψ of order 0, ψ′ of order 1, ...
polygamma = Elementwise(_polygamma, _slope_of_polygamma, name="polygamma", symbol="ψ")


def digamma(x: Any) -> Any:
    return polygamma(x, order=0)


@computed
def _polygamma_difference(a: Any, b: Any, *, order: int) -> Any:
    """``ψ⁽ⁿ⁾(a + b) - ψ⁽ⁿ⁾(a)``: each term of Euler's and Maclaurin's sum for ψ⁽ⁿ⁾ as a difference.

    Of negative arguments ψ is reflected, ``ψ(x) = ψ(1 - x) - π cot πx``: a difference there as well.
    """
    s, simple = order + 1, (a > 0) & (a + b > 0)
    left = (a < 0) & (a + b <= 0) & (order == 0)
    z, d = np.where(simple, a, np.where(left, 1 - a, 1.0)), np.where(simple, b, np.where(left, -b, 0.0))

    def difference(z: Any, power: int) -> Any:
        """``z^-power - (z + d)^-power``."""
        if power == 1:  # a plain fraction: log1p has no digits of d / z where that is large
            return np.where(np.isinf(d), 1.0, d / (z + d)) / z
        return -np.expm1(-power * log_ratio(z)) * z**-power

    def log_ratio(z: Any) -> Any:
        """``log (z + d)/z``."""
        return np.where(d < 0, -np.log1p(-d / (z + d)), np.log1p(d / z))

    total = np.zeros_like(z)
    for k in range(_SHIFT):
        total += difference(z + k, s)
    z = z + _SHIFT
    total += log_ratio(z) if s == 1 else difference(z, s - 1) / (s - 1)
    total += difference(z, s) / 2
    for k, c in enumerate(BERNOULLI, 1):
        total += c * _rising(s, 2 * k - 1) * difference(z, s + 2 * k - 1)
    total *= (-1) ** order * math.factorial(order)
    if simple.all():
        return total
    turn = sin_pi(b)
    cotangents = np.where(turn == 0, 0.0, math.pi * turn / sin_pi(a) / sin_pi(a + b))
    plain = _polygamma(a + b, order=order) - _polygamma(a, order=order)
    return np.where(simple, total, np.where(left, total + cotangents, plain))


polygamma_difference = Elementwise(
    _polygamma_difference,
    lambda y, a, b, *, order: polygamma_difference(a, b, order=order + 1),
    lambda y, a, b, *, order: polygamma(a + b, order=order + 1),
    name="polygamma_difference",
)


def ahead(a: Any, b: Any) -> Any:
    """``ψ(a + b) - ψ(a)``."""
    return polygamma_difference(a, b, order=0)


# -------------------------------------------------------------------- gamma functions

sinpi = Elementwise(sin_pi, lambda y, x: math.pi * cospi(x), name="sinpi")
# Not by _cos_pi: where x + 1/2 has no digits left for a half, a limit at a pole is to be nan, not a guess.
cospi = Elementwise(lambda x: sin_pi(x + 0.5), lambda y, x: -math.pi * sinpi(x), name="cospi")


def is_pole(x: Any) -> Any:
    """Whether the gamma function has a pole there."""
    x = raw(x)
    return (x == np.rint(x.real)) & (x.real <= 0) if np.iscomplexobj(x) else (x == np.rint(x)) & (x <= 0)


TINY = 1e-18  # what is added to 1 without a trace


def somewhere(mask: Any) -> bool:
    """Whether a mask is true anywhere, or may be: what is traced has no numbers yet."""
    return type(mask) is Traced or bool(np.any(mask))


def slope_of_rgamma(x: Any, y: Any) -> Any:
    """``-ψ(x)/Γ(x)``; at a pole of Γ, by its reflection there, what that tends to."""
    pole = is_pole(x) | (abs(raw(x)) < TINY)
    if not somewhere(pole):
        return -digamma(x) * y
    z = where(pole, 1 - x, 1.0)
    reflected = gamma(z) * (cospi(x) - digamma(z) * sinpi(x) / math.pi)
    return where(pole, reflected, -digamma(where(pole, 1.0, x)) * y)


gamma = Elementwise(sp.gamma, lambda y, x: y * digamma(x), symbol="Γ")
rgamma = Elementwise(
    sp.rgamma, lambda y, x: where(raw(x) == math.inf, 0.0, slope_of_rgamma(x, y)), symbol="1/Γ"
)
gammaln = Elementwise(sp.gammaln, lambda y, x: digamma(x))
loggamma = Elementwise(
    sp.loggamma,
    lambda y, x: digamma(x) if np.iscomplexobj(raw(x)) else where(raw(x) < 0, math.nan, digamma(x)),
)
