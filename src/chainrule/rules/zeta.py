"""The zeta functions of Riemann and Hurwitz, in the exponent too.

Derived n times in s, ``ζ(s, q) = Σ (q + k)⁻ˢ`` is ``Σ (-log (q + k))ⁿ (q + k)⁻ˢ``: the first terms are added
one by one, the others by the sum of Euler and Maclaurin. Left of 0 that of Riemann, q = 1, is reflected:
``ζ(s) = 2 (2π)ˢ⁻¹ sin(πs/2) Γ(1 - s) ζ(1 - s)`` (NIST, Digital Library of Mathematical Functions, 25.4.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np
from numpy.polynomial import polynomial as poly
from scipy import special as sp

from chainrule.primitives import Elementwise
from chainrule.rules.elementary import sin_pi
from chainrule.rules.quadrature import bell, computed

# B₂ₖ / (2k)!
BERNOULLI = [
    b / math.factorial(2 * k)
    for k, b in enumerate(
        (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66,
         -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330),
        start=1,
    )
]  # fmt: skip
# s (s + 1) ... (s + 2k - 2), the coefficients
_RISING = [poly.polyfromroots(-np.arange(2.0 * k - 1)) for k in range(1, len(BERNOULLI) + 1)]
FAR = 10  # where the sum of Euler and Maclaurin has sixteen digits, for |Im s| of a few
MOST = 1e6  # |Im s|, which takes as many terms


def _leibniz(n: int, f: Callable[[int], Any], g: Callable[[int], Any]) -> Any:
    """The n-th derivative of a product, from the factors' derivatives."""
    return sum(comb(n, j) * f(j) * g(n - j) for j in range(n + 1))


def _beyond(s: Any, z: Any, order: int) -> Any:
    """The whole sum from q = z on, ``|z| ≥ FAR``; each term of it is a function of s times ``z⁻ˢ``."""
    minus_log = -np.log(z)

    def term(in_s: Callable[[int], Any]) -> Any:
        return _leibniz(order, in_s, lambda j: minus_log**j)

    total = term(lambda j: (-1) ** j * math.factorial(j) * (s - 1) ** (-1.0 - j)) + minus_log**order / (2 * z)
    for k, (b, rising) in enumerate(zip(BERNOULLI, _RISING, strict=True), start=1):
        derived = [poly.polyval(s, poly.polyder(rising, j)) for j in range(order + 1)]
        total = total + b * z ** (-2.0 * k) * term(derived.__getitem__)
    power = z ** (1 - s)
    return np.where(power == 0, 0.0, power * total)


def _zeta(s: Any, q: Any, order: int) -> Any:
    """The whole sum, q > 0."""
    turns = np.abs(np.imag(s))
    far = FAR + np.where(turns <= MOST, turns, 0).astype(int)
    total = _beyond(s, q + far, order)
    for k in range(FAR):
        total = total + _term(s, q + k, order)
    for i in zip(*np.nonzero(far > FAR), strict=True):
        total[i] += np.sum(_term(s[i], q[i] + np.arange(FAR, far[i]), order))
    return np.where(turns <= MOST, total, np.nan)


def _term(s: Any, z: Any, order: int) -> Any:
    return (-np.log(z)) ** order * z**-s


def zeta_of_complex(s: int, z: Any) -> Any:
    """``Σ (z + k)⁻ˢ``, s ≥ 2."""
    steps = np.where(np.abs(z.imag) > 25, 0, np.maximum(np.ceil(2 * FAR - z.real), 0))
    total = np.zeros_like(z)
    for k in range(int(np.max(steps, initial=0))):
        total = np.where(k < steps, total + (z + k) ** -float(s), total)
    return total + _beyond(s, z + steps, 0)


# -------------------------------------------------------------------- that of Hurwitz


@computed
def _hurwitz_in_s(s: Any, q: Any, *, order: int) -> Any:
    q = q.real
    y = np.where(q == np.inf, 0.0, _zeta(s, q, order))
    return np.where(np.isnan(sp.zeta(s, q)), np.nan, y)


def _in_q(s: Any, q: Any, order: int) -> Any:
    """The derivative in q of ``∂ⁿζ/∂sⁿ``, of which ζ itself has ``-s ζ(s + 1, q)``."""
    if order == 0:
        return -s * hurwitz(s + 1, q)
    less = hurwitz(s + 1, q) if order == 1 else hurwitz_in_s(s + 1, q, order=order - 1)
    return -s * hurwitz_in_s(s + 1, q, order=order) - order * less


hurwitz = Elementwise(
    lambda s, q: sp.zeta(s, q),
    lambda y, s, q: hurwitz_in_s(s, q, order=1),
    lambda y, s, q: _in_q(s, q, 0),
    name="zeta",
)
hurwitz_in_s = Elementwise(
    _hurwitz_in_s,
    lambda y, s, q, *, order: hurwitz_in_s(s, q, order=order + 1),
    lambda y, s, q, *, order: _in_q(s, q, order),
    name="hurwitz_in_s",
)


# -------------------------------------------------------------------- that of Riemann


@computed
def _riemann_in_s(s: Any, *, order: int) -> Any:
    left = s.real < -0.25  # up to there few digits cancel in the sum
    y = _zeta(np.where(left, 0.0, s), np.ones(s.shape), order)
    if left.any():
        y = np.where(left, _reflected(np.where(left, s, -1.0), order), y)
    return np.where(np.isnan(sp.zeta(s)), np.nan, y)


def _reflected(s: Any, order: int) -> Any:
    """By Leibniz' rule; ψ and its derivatives are those of the logarithm of Γ."""
    t = 1 - s

    def of_logarithm(p: int, _: int) -> Any:
        """The derivatives of ``log (2π)ˢ Γ(1 - s)``."""
        if p == 1:
            return math.log(2 * math.pi) - sp.psi(t)
        return math.factorial(p - 1) * (zeta_of_complex(p, t) if np.iscomplexobj(t) else sp.zeta(p, t))

    def of_factor(n: int) -> Any:
        """Of ``(2π)ˢ sin(πs/2) Γ(1 - s)``, by what is not the sine."""
        return _leibniz(
            n, lambda j: (math.pi / 2) ** j * sin_pi((s + j) / 2), lambda j: bell(of_logarithm, j)
        )

    few = 2 * (2 * math.pi) ** -t * sp.gamma(t)
    factor = np.where(t.real < 170, few, 2 * np.exp(sp.loggamma(t) - t * math.log(2 * math.pi)))
    one = np.ones(s.shape)
    return factor * _leibniz(order, of_factor, lambda j: (-1) ** j * _zeta(t, one, j))


riemann = Elementwise(lambda s: sp.zeta(s), lambda y, s: riemann_in_s(s, order=1), name="zeta")
zetac = Elementwise(sp.zetac, lambda y, s: riemann_in_s(s, order=1))
riemann_in_s = Elementwise(
    _riemann_in_s, lambda y, s, *, order: riemann_in_s(s, order=order + 1), name="riemann_in_s"
)
