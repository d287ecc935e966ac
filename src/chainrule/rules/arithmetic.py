"""Arithmetic, absolute values, rounding, and the operations that select: maximum, clip, relu.

Conventions at kinks: the derivative of smallest norm; ties share it evenly.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from chainrule.primitives import Elementwise, Linear, raw, where
from chainrule.rules.elementary import LN2, digits, exp, exp2, hypot, log, sigmoid, sigmoid2, unless_zero
from chainrule.traced import Traced

# -------------------------------------------------------------------- + - * /

add = Elementwise(np.add, 1, 1, symbol="+", scalar=operator.add)
subtract = Elementwise(np.subtract, 1, -1, symbol="-", scalar=operator.sub)
multiply = Elementwise(np.multiply, lambda z, x, y: y, lambda z, x, y: x, symbol="*", scalar=operator.mul)
# -z/y and not -x/y²: y² overflows and underflows long before z/y does.
divide = Elementwise(
    np.divide,
    lambda z, x, y: digits(1, z) / y,  # y may be narrower than x
    lambda z, x, y: -z / y,
    name="divide",
    symbol="/",
    scalar=operator.truediv,
)
negative = Elementwise(np.negative, -1, symbol="-", scalar=operator.neg)
positive = Elementwise(np.positive, 1, symbol="+", scalar=operator.pos)
reciprocal = Elementwise(np.reciprocal, lambda y, x: -y * y, symbol="1/", scalar=lambda x: 1 / x)
square = Elementwise(np.square, lambda y, x: 2 * x, symbol="²", scalar=lambda x: x * x)

# In y it is minus the number of times that y was taken: from the result, because x/y rounds.
remainder = Elementwise(np.remainder, 1, lambda z, x, y: -rint((x - z) / y), symbol="%")
fmod = Elementwise(np.fmod, 1, lambda z, x, y: -rint((x - z) / y))
floor_divide = Elementwise(np.floor_divide, None, None, symbol="//")

# -------------------------------------------------------------------- powers


def _power(x: Any, y: Any) -> Any:
    # Negative integer exponents of integers are an error in NumPy; here numbers are real.
    return np.power(float(x) if isinstance(x, int) else x, y)


def _both_zero(x: Any, y: Any) -> Any:
    return (x == 0) & (y == 0)


def one_less(x: Any, y: Any) -> Any:
    """``x^(y-1)``, and by a factor what it loses where y - 1 rounds: the power enlarges that by log x."""
    z, base, exponent = power(x, y - 1), raw(x), raw(y)
    rest = (exponent - (exponent - 1)) - 1
    if np.iscomplexobj(base) or np.iscomplexobj(exponent):
        return z
    if type(rest) is Traced or np.any(rest):
        lost = (np.abs(rest) > 0) & (base > 0) & (base < math.inf)
        return z * np.power(np.where(lost, base, 1.0), rest)
    return z


# In x the limit of y·x^(y-1) at 0, 0 is 0, though its factors are 0 and inf; masking any more than
# that one point would spoil the mixed derivative at y = 0. In y, 0^y is constant for y > 0.
power = Elementwise(
    _power,
    lambda z, x, y: where(_both_zero(x, y), 0.0, y * one_less(x, y)),
    lambda z, x, y: where((x == 0) & (y >= 0), 0.0, z * log(x)),
    name="power",
    symbol="**",
    scalar=math.pow,
)

# -------------------------------------------------------------------- size, sign and rounding

real_sign = Elementwise(np.sign, None, name="sign")
floor = Elementwise(np.floor, None)
ceil = Elementwise(np.ceil, None)
trunc = Elementwise(np.trunc, None)
rint = Elementwise(np.rint, None)
fraction = Elementwise(lambda x: np.modf(x)[0], 1, name="modf")
round_ = Elementwise(lambda x, *, decimals: np.round(x, decimals), None, name="round")
heaviside = Elementwise(np.heaviside, None, 1, lanes=(None, lambda z, x, h: x == 0))

# At 0 the derivative is 0.
real_absolute = Elementwise(np.absolute, lambda y, x: real_sign(x), name="absolute", symbol="abs", scalar=abs)
copysign = Elementwise(np.copysign, lambda z, x, y: real_sign(x) * copysign(1.0, y), None)
ldexp = Elementwise(np.ldexp, lambda z, x, n: exp2(1.0 * n), None)
nan_to_num = Elementwise(
    lambda x, *, nan, posinf, neginf: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
    1,
    lanes=(lambda y, x, **_: np.isfinite(x),),
    name="nan_to_num",
)

# -------------------------------------------------------------------- complex parts

conj = Linear(np.conjugate, lambda g, z: conj(g), name="conj")
real = Elementwise(np.real, 1)
imag = Elementwise(np.imag, -1j)
real.window = imag.window = lambda y, x: np.iscomplexobj(x)
real.put_back = lambda z, new: new + 1j * imag(z)
imag.put_back = lambda z, new: real(z) + 1j * new

# -------------------------------------------------------------------- angles, sums of exponentials


def _over_square(x: Any, r: Any) -> Any:
    """``x / r²``, divided twice as r² leaves the range of floats; 0 of no radius and of an infinite one."""
    return where((raw(r) == 0) | (raw(r) == math.inf), 0.0, x / r / r)


arctan2 = Elementwise(
    np.arctan2,
    lambda z, y, x: _over_square(x, hypot(x, y)),
    lambda z, y, x: _over_square(-y, hypot(x, y)),
    scalar=math.atan2,
)


def _share(sigmoid: Any, unit: float) -> tuple[Any, Any]:
    """The two partials of log(exp x + exp y), or of that to base 2; two equal infinities share evenly.

    By a factor comes what x - y loses by rounding, because the sigmoid of it enlarges that.
    """

    def partial(z: Any, x: Any, y: Any) -> Any:
        a, b = raw(x), raw(y)
        back = (a - b) - a
        rest = (a - ((a - b) - back)) - (b + back)
        share = sigmoid(x - y)
        share = share * (1 + unit * np.where(np.isfinite(rest), rest, 0.0) * (1 - raw(share)))
        return where((a == b) & np.isinf(a), 0.5, share)

    return partial, lambda z, x, y: partial(z, y, x)


logaddexp = Elementwise(np.logaddexp, *_share(sigmoid, 1.0))
logaddexp2 = Elementwise(np.logaddexp2, *_share(sigmoid2, LN2))

# -------------------------------------------------------------------- size and direction of complex numbers
# They depend on both parts of z, so they have no one complex partial: they are composed.


def absolute(z: Any) -> Any:
    """``|z|``; its derivative at 0 is 0."""
    return hypot(real(z), imag(z)) if np.iscomplexobj(raw(z)) else real_absolute(z)


def sign(z: Any) -> Any:
    """``z / |z|``, and 0 at 0; where one part is infinite its direction, as in NumPy, which nothing turns."""
    if not np.iscomplexobj(raw(z)):
        return real_sign(z)
    r = absolute(z)
    far = np.isinf(raw(r))
    return unless_zero(r, where(far, np.sign(raw(z)), z / where(far, 1.0, r)))


def angle(z: Any) -> Any:
    """The angle of ``z`` from the positive real axis, in radians."""
    return arctan2(imag(z), real(z))


# -------------------------------------------------------------------- selection


def is_result(z: Any, x: Any) -> Any:
    """Where an operand is the extreme that came out; a nan comes from the nan operands."""
    return (z == x) | ((z != z) & (x != x))


def _evenly(z: Any, x: Any, y: Any) -> Any:
    tie = is_result(z, x) & is_result(z, y)
    return where(tie, 0.5, 1.0)


def _selection(run: Any, scalar: Any) -> Elementwise:
    return Elementwise(
        run,
        _evenly,
        _evenly,
        lanes=(lambda z, x, y: is_result(z, x), lambda z, x, y: is_result(z, y)),
        scalar=scalar,
    )


def _maximum(x: float, y: float) -> float:
    return float(x if x > y or x != x else y)  # of 0.0 and -0.0 the second, as in NumPy


def _minimum(x: float, y: float) -> float:
    return float(x if x < y or x != x else y)


maximum = _selection(np.maximum, _maximum)
minimum = _selection(np.minimum, _minimum)
fmax = _selection(np.fmax, None)
fmin = _selection(np.fmin, None)


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.minimum(high, np.maximum(low, x))  # of two zeros the second: x keeps its sign


# At its bounds the derivative of clip is 0: the bound is what stays.
clip = Elementwise(
    _clip,
    1,
    1,
    1,
    lanes=(
        lambda z, x, low, high: np.logical_not((x <= low) | (x >= high)),
        lambda z, x, low, high: (x <= low) & (low < high),
        lambda z, x, low, high: (np.maximum(x, low) >= high),
    ),
    name="clip",
)

# The derivative at 0 is that of the left side: 0 for relu, the slope for leaky_relu, alpha for elu.
relu = Elementwise(
    lambda x: np.maximum(x, 0),
    1,
    lanes=(lambda y, x: x > 0,),
    name="relu",
    scalar=lambda x: float(x) if x > 0 or x != x else 0.0,
)
leaky_relu = Elementwise(
    lambda x, *, slope: np.where(x > 0, x, slope * x)[()],
    lambda y, x, *, slope: where(x > 0, 1.0, slope),
    name="leaky_relu",
)
# Its own value holds its slope, α exp(x) = y + α, but not the digits of it.
elu = Elementwise(
    lambda x, *, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))[()],
    lambda y, x, *, alpha: where(x > 0, 1.0, alpha * exp(where(raw(x) > 0, 0.0, x))),
    name="elu",
)
