"""Faddeeva's function and Voigt's profile, the density of the sum of a normal and a Cauchy number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules.arithmetic import imag, real
from chainrule.rules.quadrature import computed

_ROOT_PI, _ROOT_2 = math.sqrt(math.pi), math.sqrt(2)
_FAR = 6.5


@computed
def _wofz(z: Any, *, order: int) -> Any:
    """``dⁿ/dzⁿ exp(-z²) erfc(-iz)``: by ``w′ = 2i/√π - 2zw``, which cancels far out.

    There it is the asymptotic series ``i/√π Σ (2k-1)!! / (2ᵏ z²ᵏ⁺¹)``, and the Gaussian once on the real axis
    (Stokes' phenomenon), twice below.
    """
    far, endless = np.abs(z) > _FAR, np.isinf(z)
    inner, outer = np.where(far, 0.0, z), np.where(far & ~endless, z, _FAR)
    below, near = np.zeros_like(z), sp.wofz(inner)
    gauss_below, gauss = np.zeros_like(z), np.exp(-outer * outer)
    for n in range(order):
        slope = -2 * (inner * near + n * below) + (2j / _ROOT_PI if n == 0 else 0)
        below, near = near, slope
        gauss_below, gauss = gauss, -2 * (outer * gauss + n * gauss_below)
    series, u = np.zeros_like(z), 1 / outer
    term = 1j / _ROOT_PI * (-1) ** order * u ** (order + 1)
    for k in range(30):
        series = series + math.prod(range(2 * k + 1, 2 * k + 1 + order)) * term
        term = (k + 0.5) * term * u * u
    times = np.where(outer.imag < -0.3, 2.0, np.where(outer.imag < 0.3, 1.0, 0.0))
    away = series + np.where(times == 0, 0.0, times * gauss)
    return np.where(endless, 0.0, np.where(far, away, near))


wofz_derivative = Elementwise(
    _wofz, lambda y, z, *, order: wofz_derivative(z, order=order + 1), name="wofz_derivative"
)
wofz = Elementwise(sp.wofz, lambda y, z: wofz_derivative(z + 0j, order=1))


# -------------------------------------------------------------------- Voigt's profile


def _slope(x: Any, sigma: Any, gamma: Any, order: int) -> Any:
    """``∂ⁿ/∂xⁿ`` of ``w(z) / (√(2π) σ)``, ``z = (x + iγ) / (√2 σ)``, whose real part is the profile.

    For small σ that is ``i / (π u)``, ``u = x + iγ``, but for ``(σ/u)²``; at infinity 0.
    """
    gone = (abs(raw(x)) == math.inf) | (raw(sigma) == math.inf) | (raw(gamma) == math.inf)
    u = where(gone, 1.0, x) + 1j * where(gone, 1.0, gamma)
    sharp = raw(sigma) <= 1e-9 * abs(raw(u))
    s, scale = where(sharp | gone, 1.0, sigma), where(sharp, u, 1.0)
    w = wofz_derivative(where(sharp, 1.0, u) / (_ROOT_2 * s), order=order)
    cauchy = 1j / math.pi * (-1) ** order * math.factorial(order) / scale
    for _ in range(order):  # its power may be beyond all numbers
        cauchy = cauchy / scale
    scaled = w / (_ROOT_2 * s) ** order / (math.sqrt(2 * math.pi) * s)
    return where(gone, 0.0, where(sharp, cauchy, scaled))


# in σ by the equation of heat
voigt_profile = Elementwise(
    sp.voigt_profile,
    lambda y, x, sigma, gamma: real(_slope(x, sigma, gamma, 1)),
    lambda y, x, sigma, gamma: where(raw(sigma) == math.inf, 1.0, sigma) * real(_slope(x, sigma, gamma, 2)),
    lambda y, x, sigma, gamma: -imag(_slope(x, sigma, gamma, 1)),
)
