"""Exponential, trigonometric and Fresnel integrals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules.bessel import plain
from chainrule.rules.elementary import cos, exp, inside, not_negative, sin, sinc
from chainrule.rules.gamma import cospi, sinpi
from chainrule.rules.quadrature import computed


@computed
def _expn(n: Any, x: Any) -> Any:
    """SciPy's, and of n < 0, which derivatives lead to, ``Γ(1 - n, x) xⁿ⁻¹``."""
    left = n < 0
    k = np.where(left, 1 - n, 1.0)
    return np.where(left, sp.gammaincc(k, x) * sp.gamma(k) * x**-k, sp.expn(np.where(left, 0.0, n), x))


def _expn_slope(y: Any, n: Any, x: Any) -> Any:
    return inside(not_negative(x), -expn_below(n - 1, x))


expn = Elementwise(
    sp.expn, plain("expn", "n"), lambda y, n, x: inside(not_negative(n), _expn_slope(y, n, x))
)
expn_below = Elementwise(_expn, plain("expn", "n"), _expn_slope, name="expn_below")
exp1 = Elementwise(sp.exp1, lambda y, x: inside(not_negative(x), -exp(-x) / x))
expi = Elementwise(
    sp.expi, lambda y, x: where(raw(x) == math.inf, math.inf, exp(x) / where(raw(x) == math.inf, 1.0, x))
)


def _sine_over(x: Any) -> Any:
    """``sin x / x``: near 0 by `sinc`, whose derivatives have all digits there."""
    near = abs(raw(x)) < 3
    return where(near, sinc(where(near, x, 0.0) / math.pi, order=0), _over(sin, where(near, 3.0, x)))


def _over(wave: Callable[[Any], Any], x: Any) -> Any:
    """``wave(x) / x``, and at infinity its limit."""
    endless = abs(raw(x)) == math.inf
    return where(endless, 0.0, wave(where(endless, 0.0, x)) / x)


sine_integral = Elementwise(lambda x: sp.sici(x)[0], lambda y, x: _sine_over(x), name="sine_integral")
cosine_integral = Elementwise(lambda x: sp.sici(x)[1], lambda y, x: _over(cos, x), name="cosine_integral")
fresnel_sine = Elementwise(lambda x: sp.fresnel(x)[0], lambda y, x: sinpi(x * x / 2), name="fresnel_sine")
fresnel_cosine = Elementwise(lambda x: sp.fresnel(x)[1], lambda y, x: cospi(x * x / 2), name="fresnel_cosine")


def sici(x: Any) -> Any:
    """``∫₀ˣ sin t / t dt`` and ``γ + log x + ∫₀ˣ (cos t - 1) / t dt``."""
    return sine_integral(x), cosine_integral(x)


def fresnel(x: Any) -> Any:
    """``∫₀ˣ sin πt²/2 dt`` and ``∫₀ˣ cos πt²/2 dt``."""
    return fresnel_sine(x), fresnel_cosine(x)
