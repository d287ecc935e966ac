"""Bessel functions of every kind, with a derivative in the argument; the order is a plain number.

The scaled ones of orders 0 and 1 are integrals with a factor of one sign for each derivative, because
``k0e - k1e`` and its kin lose their digits as the argument grows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules.quadrature import computed

# -------------------------------------------------------------------- Bessel functions


def plain(name: str, argument: str) -> Callable[..., Any]:
    """The rule of an argument that has none."""

    def refuse(*_: Any) -> Any:
        raise TypeError(
            f"{name}: received a Value as {argument}; there is no derivative in it here, only in the last "
            f"argument; give {argument.partition(',')[0]} as a plain number or array"
        )

    return refuse


def _no_order(name: str) -> Callable[..., Any]:
    return plain(name, "v, the order")


def _cylinder(f: np.ufunc, down: float, up: float) -> Elementwise:
    """A Bessel function: its derivative is ``down f(v - 1) + up f(v + 1)`` for every order."""
    made: Elementwise = Elementwise(
        f, _no_order(f.__name__), lambda y, v, z: down * made(v - 1, z) + up * made(v + 1, z)
    )
    return made


jv, yv = _cylinder(sp.jv, 0.5, -0.5), _cylinder(sp.yv, 0.5, -0.5)
iv, kv = _cylinder(sp.iv, 0.5, 0.5), _cylinder(sp.kv, -0.5, -0.5)
yn, kn = _cylinder(sp.yn, 0.5, -0.5), _cylinder(sp.kn, -0.5, -0.5)
hankel1, hankel2 = _cylinder(sp.hankel1, 0.5, -0.5), _cylinder(sp.hankel2, 0.5, -0.5)


def _real(name: str, z: Any) -> Any:
    if np.iscomplexobj(raw(z)):
        raise TypeError(
            f"{name}: received a complex argument; its scale, of the real or imaginary part, is not "
            f"analytic; expected a real one, or use {name[:-1]}"
        )
    return z


ive = Elementwise(
    sp.ive,
    _no_order("ive"),
    lambda y, v, z: 0.5 * (ive(v - 1, _real("ive", z)) + ive(v + 1, z)) - np.sign(raw(z)) * y,
)
kve = Elementwise(sp.kve, _no_order("kve"), lambda y, v, z: y - 0.5 * (kve(v - 1, z) + kve(v + 1, z)))
jve = Elementwise(
    sp.jve, _no_order("jve"), lambda y, v, z: 0.5 * (jve(v - 1, _real("jve", z)) - jve(v + 1, z))
)
yve = Elementwise(
    sp.yve, _no_order("yve"), lambda y, v, z: 0.5 * (yve(v - 1, _real("yve", z)) - yve(v + 1, z))
)
j0 = Elementwise(sp.j0, lambda y, x: -j1(x))
j1 = Elementwise(sp.j1, lambda y, x: 0.5 * (j0(x) - jv(2.0, x)))
y0 = Elementwise(sp.y0, lambda y, x: -y1(x))
y1 = Elementwise(sp.y1, lambda y, x: where(raw(x) == 0, math.inf, 0.5 * (y0(x) - yn(2, x))))
i0 = Elementwise(sp.i0, lambda y, x: i1(x))
i1 = Elementwise(sp.i1, lambda y, x: 0.5 * (i0(x) + iv(2.0, x)))
k0 = Elementwise(sp.k0, lambda y, x: -k1(x))
k1 = Elementwise(sp.k1, lambda y, x: -0.5 * (k0(x) + kn(2, x)))

# -------------------------------------------------------------------- Airy functions


def _curvature(y: Any, z: Any) -> Any:
    """``z y``, as Airy's equation says."""
    return where(raw(y) == 0, 0.0, z * y)


ai = Elementwise(lambda z: sp.airy(z)[0], lambda y, z: ai_slope(z), name="airy_ai")
ai_slope = Elementwise(lambda z: sp.airy(z)[1], lambda y, z: _curvature(ai(z), z), name="airy_ai_slope")
bi = Elementwise(lambda z: sp.airy(z)[2], lambda y, z: bi_slope(z), name="airy_bi")
bi_slope = Elementwise(lambda z: sp.airy(z)[3], lambda y, z: _curvature(bi(z), z), name="airy_bi_slope")


def airy(z: Any) -> Any:
    """Ai, its derivative, Bi, its derivative."""
    return ai(z), ai_slope(z), bi(z), bi_slope(z)


# -------------------------------------------------------------------- scaled, of orders 0 and 1

_HALF_CIRCLE = (np.arange(96) + 0.5) * (math.pi / 96)
_FAR = 100.0


def _asymptotic(x: Any, v: int, order: int, sign: int) -> Any:
    """The derivative of ``x^-1/2 Σ (±1)ᵏ aₖ(v) x⁻ᵏ``: DLMF 10.40.1 and 10.40.2."""
    x = np.maximum(x, _FAR)
    total, a = np.zeros_like(x), 1.0
    for k in range(24):
        rising = math.prod(0.5 + k + i for i in range(order))
        total += sign**k * a * (-1) ** order * rising * x ** (-0.5 - k - order)
        a *= (4 * v * v - (2 * k + 1) ** 2) / (8 * (k + 1))
    return total


@computed
def _scaled_i(x: Any, *, v: int, order: int) -> Any:
    """The derivative of ``exp(-|x|) Iᵥ(x)``: ``1/π ∫₀^π (cos t - 1)ⁿ cos vt exp(|x| (cos t - 1)) dt``."""
    size = np.abs(x)
    c = np.cos(_HALF_CIRCLE)[:, None] - 1
    near = np.mean(c**order * np.cos(v * _HALF_CIRCLE)[:, None] * np.exp(np.minimum(size, _FAR) * c), axis=0)
    y = np.where(size < _FAR, near, _asymptotic(size, v, order, -1) / math.sqrt(2 * math.pi))
    return np.sign(x) * y if (v + order) % 2 else y


scaled_i = Elementwise(
    _scaled_i, lambda y, x, *, v, order: scaled_i(x, v=v, order=order + 1), name="scaled_i"
)
i0e = Elementwise(sp.i0e, lambda y, x: scaled_i(x, v=0, order=1))
i1e = Elementwise(sp.i1e, lambda y, x: scaled_i(x, v=1, order=1))


def _kve(v: int, x: Any, order: int) -> Any:
    """The derivative of ``exp(x) Kᵥ(x)`` by Leibniz, for small x."""
    total = np.zeros_like(x)
    for j in range(order + 1):
        for i in range(j + 1):
            total += math.comb(order, j) * math.comb(j, i) * (-0.5) ** j * sp.kve(v - j + 2 * i, x)
    return total


@computed
def _scaled_k(x: Any, *, v: int, order: int) -> Any:
    """The derivative of ``exp(x) Kᵥ(x)``: ``∫₀^∞ (1 - cosh t)ⁿ cosh vt exp(x (1 - cosh t)) dt``."""
    z = np.clip(x, 1.0, _FAR)
    step = np.arccosh(1 + 45 / z) / 48
    t = step * np.arange(49)[:, None]
    c = -2 * np.sinh(t / 2) ** 2
    f = c**order * np.cosh(v * t) * np.exp(z * c)
    near = step * (np.sum(f, axis=0) - f[0] / 2)
    far = np.where(x < _FAR, near, _asymptotic(x, v, order, 1) * math.sqrt(math.pi / 2))
    return np.where(x == 0, (-1) ** order * np.inf, np.where(x < 1, _kve(v, x, order), far))


scaled_k = Elementwise(
    _scaled_k, lambda y, x, *, v, order: scaled_k(x, v=v, order=order + 1), name="scaled_k"
)
k0e = Elementwise(sp.k0e, lambda y, x: scaled_k(x, v=0, order=1))
k1e = Elementwise(sp.k1e, lambda y, x: scaled_k(x, v=1, order=1))
