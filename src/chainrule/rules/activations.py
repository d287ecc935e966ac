"""gelu and silu: x F(x), F the normal or the logistic distribution function.

As F(-x) = 1 - F(x), the derivative at -x is 1 less that at x, and what is left to state is the one at -|x|.
That crosses 0, where the two terms of F + x F' cancel: it is a multiple of the distance from its root.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules.elementary import (
    PI,
    bell,
    bell_curve,
    bell_of_number,
    by_blocks,
    digits,
    exp,
    polynomial,
    size_and_steps,
    tanh,
)

# Roots in parts: one that single precision holds, what is left to double precision, and what that lacks. So
# x - root has all its digits at any x.
Parts = tuple[float, float, float]


def beyond(x: Any, root: Parts) -> Any:
    """``x - root``."""
    return ((x - root[0]) - root[1]) - root[2]


def whole(root: Parts, like: Any) -> Any:
    """The root, in the digits of longdouble beside such numbers."""
    return digits(1.0, like) * root[0] + root[1] + root[2]


# -------------------------------------------------------------------- gelu

# With a = |x|, u = 1/(a + 1), r the root: Φ(-a)/φ(a), which is r at r, is u (r (r + 1) + u (a - r) g(a)),
# where g is small and nothing cancels; less a, that is (r - a) (1 + u (r - u g(a))). So one polynomial does
# for both, that of g/√2π by t = (a - 5)/(a + 5), which takes [0, ∞) to [-1, 1): of least error (Remez), 4e-18
# for a up to 39 in double precision, 3e-10 up to 15 in single.
_MIDDLE = 5.0
_G = {
    "d": (4.06549677580643e-10, 2.9517152847687366e-09, 2.3832145598241056e-09, -2.262366873423639e-08,
          -3.161809505129409e-08, 1.3744429784308206e-07, 1.918618824658403e-07, -9.216918426838226e-07,
          -7.329251790731344e-07, 6.77049620182869e-06, -2.4311628606852675e-06, -4.5808744411861884e-05,
          0.00010471423332796611, 0.00011828036811958841, -0.0012448328539189871, 0.003706649993007828,
          -0.006484289183709528, 0.006028030167813271, 0.00278335518306612, -0.022640097572453704,
          0.04873532728033155, -0.06729464124658341, -0.09022718354469475),
    "f": (0.000157650867, 0.000114679865, -0.00127682662, 0.00369827109, -0.00647760667, 0.00603043435,
          0.00278277027, -0.0226403077, 0.0487353471, -0.0672946441, -0.0902271837),
}  # fmt: skip
_GELU_ROOT = (0.7517915368080139, -1.2114449443600961e-08, -1.4956759177009883e-17)
_ROOT_2 = (1.4142135381698608, 2.4203234305630872e-08, -9.667293313452913e-17)
_C0 = 1 / math.sqrt(2 * PI)
_C1 = _C0 * sum(_GELU_ROOT)
_C2 = _C1 * (1 + sum(_GELU_ROOT))


def _parts(a: Any, precision: str) -> tuple[Any, Any, Any]:
    """``a - r``, u and ``g u / √2π``."""
    t = (a - _MIDDLE) / (a + _MIDDLE)
    square, u = t * t, 1 / (a + 1)
    # even and odd powers apart: only half of the steps wait for each other, which machine code feels
    even, odd = polynomial(_G[precision][::2], square), polynomial(_G[precision][1::2], square)
    return beyond(a, _GELU_ROOT), u, (even + t * odd) * u


@functools.cache
def _extended() -> tuple[Any, Any]:
    """Nodes and weights for ``∫₀^∞ exp(-s²/2) f(s) ds`` in longdouble: Takahasi's and Mori's."""
    y = np.arange(-128, 79).astype(np.longdouble) / 32
    s = np.exp(y - np.exp(-y))
    return s, s * (1 + np.exp(-y)) * np.exp(-s * s / 2) / 32


def _sum_of_nodes(f: Callable[[Any, Any], Any], a: Any) -> Any:
    total = np.zeros_like(a)
    for s, w in zip(*_extended(), strict=True):
        total += w * f(s, a)
    return total


def tail_over_bell(a: Any, precision: str) -> Any:
    """``Φ(-a) exp(a²/2)``; in longdouble ``∫₀^∞ exp(-as - s²/2) ds / √2π``."""
    if precision == "g":
        return _sum_of_nodes(lambda s, a: np.exp(-a * s), a) / np.sqrt(2 * digits(PI, a))
    s, u, g = _parts(a, precision)
    return u * (_C2 + s * g)


def _slope(a: Any, bell: Any, precision: str) -> Any:
    """``Φ(-a) - a φ(a)``; in longdouble the integral from the root on."""
    if precision == "g":
        t, root = beyond(a, _GELU_ROOT), whole(_GELU_ROOT, a)
        moved = _sum_of_nodes(lambda s, t: np.exp(-root * s) * np.expm1(-t * s), t)
        return bell * (moved - t) / np.sqrt(2 * digits(PI, a))
    s, u, g = _parts(a, precision)
    return bell * (-s * (_C0 + u * (_C1 - g)))


def _precision(x: Any) -> str:
    return "f" if x.dtype.char in "fe" else "g" if x.dtype.char == "g" else "d"


def _gelu(x: Any) -> Any:
    a, steps = size_and_steps(x)
    return np.maximum(x, 0.0) - a * (bell(a, steps, 0.5) * tail_over_bell(a, _precision(x)))


def _gelu_of_number(x: float) -> Any:
    a = min(abs(x), 64.0)
    return max(x, 0.0) - a * (bell_of_number(a, rate=0.5) * tail_over_bell(a, "d"))


def _gelu_slope(x: Any) -> Any:
    a, steps = size_and_steps(x)
    left = _slope(a, bell(a, steps, 0.5), _precision(x))
    return np.where(x > 0, 1 - left, left)


def _gelu_slope_of_number(x: float) -> Any:
    a = min(abs(x), 64.0)
    left = _slope(a, bell_of_number(a, rate=0.5), "d")
    return 1 - left if x > 0 else left


def _gelu_curvature(x: Any) -> Any:
    """``φ(x) (2 - x²)``."""
    density = bell_curve(x, rate=0.5) / (2 * digits(PI, x)) ** 0.5
    return where(raw(density) == 0, 0.0, density * (beyond(x, _ROOT_2) * beyond(-x, _ROOT_2)))


gelu_slope = Elementwise(
    lambda x: by_blocks(_gelu_slope, x),
    lambda y, x: _gelu_curvature(x),
    name="gelu_slope",
    scalar=_gelu_slope_of_number,
)
gelu = Elementwise(
    lambda x: by_blocks(_gelu, x), lambda y, x: gelu_slope(x), name="gelu", scalar=_gelu_of_number
)

# -------------------------------------------------------------------- silu

_SILU_ROOT = (1.2784645557403564, -1.2979282759673083e-08, 1.0946994183093437e-16)
_SILU_BEND = (2.399357318878174, -3.836270634494099e-08, 1.8464872855353363e-16)
_AT_ROOT = 0.27846454276107385  # exp(-root), that is root - 1; rounded up, so that the derivative at 0 is 1/2
_SILU_WIDTH = 800.0  # where exp(-a) has underflowed


def _width(x: Any) -> float:
    return 15 * _SILU_WIDTH if x.dtype.char == "g" else _SILU_WIDTH


def _left(a: Any, e: Any, expm1: Any, at_root: Any = _AT_ROOT) -> Any:
    """``e (1 - a + e) / (1 + e)²``, e = exp(-a): the middle as a sum of two terms of one sign."""
    t = -beyond(a, _SILU_ROOT)
    return (t + at_root * expm1(t)) * (e / (1 + e * (2 + e)))


def _silu(x: Any) -> Any:
    a = np.minimum(np.abs(x), _width(x))
    e = np.exp(-a)
    return np.maximum(x, 0.0) - a * (e / (1 + e))


def _silu_slope(x: Any) -> Any:
    a = np.minimum(np.abs(x), _width(x))
    at_root = whole(_SILU_ROOT, x) - 1 if x.dtype.char == "g" else _AT_ROOT
    left = _left(a, np.exp(-a), np.expm1, at_root)
    return np.where(x > 0, 1 - left, left)


def _silu_of_number(x: float) -> Any:
    a = min(abs(x), _SILU_WIDTH)
    e = math.exp(-a)
    return max(x, 0.0) - a * (e / (1 + e))


def _silu_slope_of_number(x: float) -> Any:
    a = min(abs(x), _SILU_WIDTH)
    left = _left(a, math.exp(-a), math.expm1)
    return 1 - left if x > 0 else left


def _silu_curvature(x: Any) -> Any:
    """``e (2 - a tanh(a/2)) / (1 + e)²``, e = exp(-a): the middle again from its root on."""
    a = where(raw(x) < 0, -x, x)
    e = exp(-a)
    t, h, bend = beyond(a, _SILU_BEND), tanh(a / 2), whole(_SILU_BEND, a)
    middle = t * h + bend * tanh(t / 2) * (1 - h * (2 / bend))
    return where(raw(e) == 0, 0.0, -middle * (e / (1 + e * (2 + e))))


silu_slope = Elementwise(
    lambda x: by_blocks(_silu_slope, x),
    lambda y, x: _silu_curvature(x),
    name="silu_slope",
    scalar=_silu_slope_of_number,
)
silu = Elementwise(
    lambda x: by_blocks(_silu, x), lambda y, x: silu_slope(x), name="silu", scalar=_silu_of_number
)
