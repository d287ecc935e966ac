"""Quotients of gamma functions: beta functions, binomial coefficients, Pochhammer's symbol.

Usually a derivative is the function times a difference of ψ. Where one of the two is infinite or the other
vanishes it is stated by itself: at poles, between poles, far out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules.arithmetic import power
from chainrule.rules.elementary import log
from chainrule.rules.gamma import (
    TINY,
    ahead,
    digamma,
    gamma,
    is_pole,
    polygamma,
    rgamma,
    slope_of_rgamma,
    somewhere,
)
from chainrule.rules.quadrature import computed

FAR = 1e16


def _limited(y: Any, total: Any, edge: Any, limit: Any, usual: Any) -> Any:
    """The usual derivative, and at the edges its limit; where the value or an operand is nan, none."""
    return where(edge, where(np.isnan(raw(y)) | np.isnan(raw(total)), math.nan, limit), usual)


def _parity(x: Any) -> Any:
    """The sign of Γ on the right of its pole."""
    return np.where(x % 2 == 0, 1.0, -1.0)


# -------------------------------------------------------------------- beta functions


@computed
def _beta_edge(a: Any, b: Any) -> Any:
    """The derivative of B in a, at a pole of Γ(a), Γ(b) or Γ(a + b), and far out."""
    pole, both = is_pole(a), a + b
    zero = _parity(both) * sp.gamma(1 - both) * sp.gamma(a) * sp.gamma(b)
    limit = np.where(is_pole(both), zero, np.nan)
    limit = np.where(b == np.inf, np.where(a > 0, 0.0, -sp.gammasgn(a) * np.inf), limit)
    limit = np.where(a == np.inf, np.where(b > -1, 0.0, -sp.gammasgn(b + 1) * np.inf), limit)
    limit = np.where(is_pole(b) | (a == -np.inf), np.nan, limit)
    residue = np.sign(sp.poch(1 - np.minimum(b, 1e50), np.where(pole, -a, 0.0)))
    return np.where(pole & np.isfinite(a), -np.where(is_pole(b), np.nan, residue) * np.inf, limit)


def _beta_in_a(y: Any, a: Any, b: Any) -> Any:
    """``-B(a, b) (ψ(a + b) - ψ(a))``; beside b = 0 ``-ψ'(a)``, where B grows as the difference vanishes."""
    p, q = raw(a), raw(b)
    usual, pole = -y * ahead(a, b), is_pole(p)
    small = abs(q) < TINY
    edge = pole | is_pole(q) | is_pole(p + q) | small | (abs(p) == math.inf) | (abs(q) == math.inf)
    edge = edge & ~(pole & is_pole(p + q) & np.isfinite(raw(y)))  # a quotient of polynomials
    if not somewhere(edge):
        return usual
    beside = -polygamma(where(small, a, 1.0), order=1)
    return _limited(y, p + q, edge, where(small, beside, _beta_edge(p, q)), where(edge, 0.0, usual))


def _betaln_in_a(y: Any, a: Any, b: Any) -> Any:
    """``ψ(a) - ψ(a + b)``; none at a pole, and none at a zero, which have two sides."""
    p, q = raw(a), raw(b)
    usual, both = -ahead(a, b), is_pole(p + q)
    poles = ((is_pole(p) & (p != 0)) | (both & ~is_pole(q))) & ~(is_pole(p) & both & np.isfinite(raw(y)))
    none = poles | (is_pole(q) & both & (q != 0)) | (p == -math.inf) | (q == -math.inf) | np.isnan(raw(y))
    return where(none, math.nan, usual) if somewhere(none) else usual


beta = Elementwise(sp.beta, _beta_in_a, lambda y, a, b: _beta_in_a(y, b, a), symbol="B")
betaln = Elementwise(sp.betaln, _betaln_in_a, lambda y, a, b: _betaln_in_a(y, b, a))

# -------------------------------------------------------------------- Γ(z + m)/Γ(z)


def _far(n: Any, k: Any) -> Any:
    """Where ``Γ(n + k)/Γ(n)`` is nᵏ to the last digit."""
    return raw(n) > FAR * (1 + raw(k) * raw(k))


def _poch_in_z(y: Any, z: Any, m: Any) -> Any:
    """``Γ(z + m)/Γ(z) (ψ(z + m) - ψ(z))``, and its limit at a pole of either, and far out."""
    u, v = raw(z), raw(z + m)
    usual, far = y * ahead(z, m), _far(z, m)
    above, below = is_pole(v), is_pole(u) | (abs(u) < TINY)
    constant = below & (raw(m) == 0)
    edge = (above ^ below) | far | constant
    if not somewhere(edge):
        return usual
    r, top = rgamma(z), where(above, 1.0, z + m)
    by_top = where(np.isinf(v), 0.0, digamma(top) * r)
    limit = where(above, _pole_of_poch(u, v), gamma(top) * (by_top + slope_of_rgamma(z, r)))
    limit = where(constant, 0.0, where(far, m * power(where(far, z, 1.0), m - 1), limit))
    return _limited(y, v, edge, limit, where(edge, 0.0, usual))


def _poch_in_m(y: Any, z: Any, m: Any) -> Any:
    """``Γ(z + m)/Γ(z) ψ(z + m)``; 0 where that is 0, and at a pole its limit."""
    u, v = raw(z), raw(z + m)
    pole, nothing = is_pole(v), raw(y) == 0
    edge = pole | nothing
    if not somewhere(edge):
        return y * digamma(z + m)
    limit = where(pole, _pole_of_poch(u, v), 0.0)
    return _limited(y, v, edge, limit, y * digamma(where(edge, 1.0, z + m)))


@computed
def _pole_of_poch(z: Any, top: Any) -> Any:
    return np.where(is_pole(z), np.nan, -_parity(top) * sp.gammasgn(z) * np.inf)


poch = Elementwise(sp.poch, _poch_in_z, _poch_in_m)

# -------------------------------------------------------------------- binomial coefficients


def _binom_in_n(y: Any, n: Any, k: Any) -> Any:
    """``(n over k) (ψ(n + 1) - ψ(n - k + 1))``, and its limit at a pole of the latter, and far out."""
    p, far = n - k + 1, _far(n, k)
    usual = y * ahead(p, k)
    edge = is_pole(p) | far
    if not somewhere(edge):
        return usual
    at = where(far, 1.0, p)
    limit = poch(k + 1, at - 1) * slope_of_rgamma(at, rgamma(at)) + y * digamma(n + 1)
    limit = where(far, power(where(far, n, 1.0), k - 1) * rgamma(k), limit)
    return _limited(y, n + k, edge, limit, where(edge, 0.0, usual))


def _binom_in_k(y: Any, n: Any, k: Any) -> Any:
    """``(n over k) (ψ(n - k + 1) - ψ(k + 1))``, and its limit where one of the two is infinite."""
    p, q = n - k + 1, k + 1
    less = raw(p) < raw(q)
    usual = y * where(less, -1.0, 1.0) * ahead(where(less, p, q), where(less, k - (n - k), (n - k) - k))
    at_p, at_q, far = is_pole(p), is_pole(q), _far(n, k)
    edge = at_p | at_q | far
    if not somewhere(edge):
        return usual
    r, s = where(at_p, p, 0.0), where(at_q, q, 0.0)
    limit = where(at_q, poch(p, k) * slope_of_rgamma(s, 0.0), -poch(q, r - 1) * slope_of_rgamma(r, 0.0))
    one, size = rgamma(q), where(far, n, 1.0)
    grown = power(size, k) * (log(size) * one + slope_of_rgamma(q, one))
    limit = where(far, where((raw(n) == math.inf) & (raw(k) < 0), 0.0, grown), limit)
    return _limited(y, n + k, edge, limit, where(edge, 0.0, usual))


binom = Elementwise(sp.binom, _binom_in_n, _binom_in_k)
