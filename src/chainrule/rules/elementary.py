"""Exponentials, logarithms, trigonometric and hyperbolic functions, and the logistic family.

Partials are written in forms that keep full relative accuracy over the whole domain: sech² and not
1 - tanh², s(x)·s(-x) and not s·(1 - s), (1 - x)(1 + x) and not 1 - x².
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.primitives import Elementwise, as_array, raw, where


def _inside(domain: Any, d: Any) -> Any:
    """The derivative inside the domain, nan outside: there is no function to differentiate."""
    return where(domain, d, math.nan)


def _not_negative(x: Any, least: float = 0.0) -> Any:
    x = raw(x)
    return True if np.iscomplexobj(x) else ~np.less(x, least)


def _within_one(x: Any) -> Any:
    x = raw(x)
    return True if np.iscomplexobj(x) else ~(np.abs(x) > 1)


# -------------------------------------------------------------------- exponentials and logarithms

LN2, LN10, PI = math.log(2), math.log(10), math.pi
_EXTENDED = {
    1: np.longdouble(1), LN2: np.log(np.longdouble(2)),
    LN10: np.log(np.longdouble(10)), PI: 4 * np.arctan(np.longdouble(1)),
}  # fmt: skip


def digits(constant: float, like: Any) -> Any:
    """One of these with all digits of longdouble, beside such numbers; elsewhere a float of Python's."""
    if type(like) is float:
        return constant
    char = getattr(getattr(raw(like), "dtype", None), "char", "d")
    return _EXTENDED[constant] if char in "gG" else constant


exp = Elementwise(np.exp, lambda y, x: y, scalar=math.exp)
exp2 = Elementwise(np.exp2, lambda y, x: digits(LN2, x) * y)
expm1 = Elementwise(np.expm1, lambda y, x: exp(x), scalar=math.expm1)
log = Elementwise(np.log, lambda y, x: _inside(_not_negative(x), 1 / x), scalar=math.log)
log2 = Elementwise(
    np.log2, lambda y, x: _inside(_not_negative(x), 1 / (digits(LN2, x) * x)), scalar=math.log2
)
log10 = Elementwise(
    np.log10, lambda y, x: _inside(_not_negative(x), (1 / digits(LN10, x)) / x), scalar=math.log10
)
log1p = Elementwise(np.log1p, lambda y, x: _inside(_not_negative(x, -1.0), 1 / (1 + x)), scalar=math.log1p)

# -------------------------------------------------------------------- roots

sqrt = Elementwise(np.sqrt, lambda y, x: 0.5 / y, scalar=math.sqrt)
cbrt = Elementwise(np.cbrt, lambda y, x: 1 / (3 * y * y))


def unless_zero(h: Any, d: Any) -> Any:
    """``d``, and 0 where the radius ``h`` is 0."""
    return where(h == 0, 0.0, d)


def _cosine(h: Any, x: Any, y: Any) -> Any:
    """``x / h``, and of an infinite x beside a finite y the limit."""
    far = (abs(raw(x)) == math.inf) & np.isfinite(raw(y))
    return unless_zero(h, where(far, np.sign(raw(x)), x / h))


hypot = Elementwise(
    np.hypot, lambda h, x, y: _cosine(h, x, y), lambda h, x, y: _cosine(h, y, x), scalar=math.hypot
)

# -------------------------------------------------------------------- trigonometric functions

sin = Elementwise(np.sin, lambda y, x: cos(x), scalar=math.sin)
cos = Elementwise(np.cos, lambda y, x: -sin(x), scalar=math.cos)
tan = Elementwise(np.tan, lambda y, x: 1 + y * y, scalar=math.tan)
arcsin = Elementwise(np.arcsin, lambda y, x: 1 / sqrt((1 - x) * (1 + x)), scalar=math.asin)
arccos = Elementwise(np.arccos, lambda y, x: -1 / sqrt((1 - x) * (1 + x)), scalar=math.acos)
arctan = Elementwise(np.arctan, lambda y, x: 1 / (1 + x * x), scalar=math.atan)
deg2rad = Elementwise(np.deg2rad, lambda y, x: digits(PI, x) / 180, scalar=math.radians)
rad2deg = Elementwise(np.rad2deg, lambda y, x: 180 / digits(PI, x), scalar=math.degrees)

# -------------------------------------------------------------------- hyperbolic functions


def _sech2(x: Any) -> Any:
    c = np.cosh(x)
    c *= c
    return np.reciprocal(c)


# 1 - tanh² has lost every digit at 20. A primitive of its own, because 1/cosh² differentiated
# again would meet inf·0 from 356 on.
sech2 = Elementwise(
    _sech2,
    lambda y, x: -2 * y * tanh(x),
    name="sech2",
    symbol="sech²",
    scalar=lambda x: 1 / math.cosh(x) ** 2,
)
sinh = Elementwise(np.sinh, lambda y, x: cosh(x), scalar=math.sinh)
cosh = Elementwise(np.cosh, lambda y, x: sinh(x), scalar=math.cosh)
# On raw arrays straight to the numbers: networks of tanh spend their backward pass here.
tanh = Elementwise(
    np.tanh, lambda y, x: _sech2(x) if type(x) is np.ndarray else sech2(x), scalar=math.tanh
)
arcsinh = Elementwise(np.arcsinh, lambda y, x: 1 / _root_of_1_plus_square(x), scalar=math.asinh)
arccosh = Elementwise(np.arccosh, lambda y, x: 1 / (sqrt(x - 1) * sqrt(x + 1)), scalar=math.acosh)
arctanh = Elementwise(
    np.arctanh, lambda y, x: _inside(_within_one(x), 1 / ((1 - x) * (1 + x))), scalar=math.atanh
)


def _root_of_1_plus_square(x: Any) -> Any:
    # As a length, because the square leaves the range of floats.
    return sqrt(1 + x * x) if np.iscomplexobj(raw(x)) else hypot(1.0, x)


# -------------------------------------------------------------------- the logistic family


def _sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))[()]


def _sigmoid_scalar(x: float) -> float:
    e = math.exp(-abs(x))
    return 1 / (1 + e) if x >= 0 else e / (1 + e)


sigmoid = Elementwise(
    _sigmoid, lambda y, x: y * sigmoid(-x), name="sigmoid", symbol="σ", scalar=_sigmoid_scalar
)


def _sigmoid2(x: Any) -> Any:
    e = np.exp2(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))[()]


# 1 / (1 + 2⁻ˣ); as sigmoid(x log 2) it would be off by the rounding of that product, which exp enlarges.
sigmoid2 = Elementwise(_sigmoid2, lambda y, x: digits(LN2, x) * (y * sigmoid2(-x)), name="sigmoid2")


def _logit(x: Any) -> Any:
    s = 2 * x - 1  # exact near 1/2, where the logarithms cancel
    near = np.abs(s) < 0.5
    return np.where(near, 2 * np.arctanh(np.where(near, s, 0)), np.log(x) - np.log1p(-x))[()]


logit = Elementwise(
    _logit, lambda y, x: _inside(_within_one(2 * x - 1), 1 / (x * (1 - x))), name="logit"
)
softplus = Elementwise(lambda x: np.logaddexp(x, 0), lambda y, x: sigmoid(x), name="softplus")
log_sigmoid = Elementwise(lambda x: -np.logaddexp(-x, 0), lambda y, x: sigmoid(-x), name="log_sigmoid")

# -------------------------------------------------------------------- the error function

# Rational approximations to 18 digits: W. J. Cody, "Rational Chebyshev approximations for the error
# function", Math. Comp. 23, 1969; the digits are those of his CALERF, from the highest power down.
_NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
_FAR = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    y: Any = coefficients[0]
    for c in coefficients[1:]:
        y = y * x + c
    return y


BLOCK = 1 << 14  # elements whose intermediate results stay in the cache


def _by_blocks(f: Callable[..., Any], x: Any, **params: Any) -> Any:
    """Of a large array block by block: each of some ten operations would go through all of the memory."""
    if type(x) is not np.ndarray or x.size <= 2 * BLOCK:
        return f(x, **params)
    flat = x.reshape(-1)
    parts = [f(flat[i : i + BLOCK], **params) for i in range(0, flat.size, BLOCK)]
    return np.concatenate(parts).reshape(x.shape)


# Beyond the first, exp(-x²/2) and exp(x²/2) leave the range of floats; what is rounded to a part 1/steps of 1
# has half of the digits.
_WIDTHS = {"d": (64.0, 2.0**20), "f": (16.0, 2.0**8), "g": (256.0, 2.0**24), "e": (8.0, 4.0)}


def _widths(x: Any) -> tuple[float, float]:
    return _WIDTHS.get(x.dtype.char, _WIDTHS["d"])


def _erf(x: Any) -> Any:
    return _by_blocks(_erf_of_block, as_array(x))[()]


def _erf_of_block(x: Any) -> Any:
    """Near 0 x R(x²), elsewhere ±(1 - exp(-x²) S(|x|)); without branches, so that it compiles as it is."""
    size = np.minimum(np.abs(x), _widths(x)[0])
    square = size * size
    near = size <= 0.46875
    inner = size * _polynomial(_NEAR[0], square) / _polynomial(_NEAR[1], square)
    outer = 1 - np.exp(-square) * _polynomial(_FAR[0], size) / _polynomial(_FAR[1], size)
    return np.copysign(np.where(near, inner, outer), x)


def _bell_curve(x: Any, *, rate: float) -> Any:
    if np.iscomplexobj(x):
        return np.exp(-rate * x * x)
    return _by_blocks(_bell_curve_of_block, as_array(x), rate=rate)[()]


def _bell_curve_of_block(x: Any, *, rate: float) -> Any:
    """``exp(-rate x²)``; ``rest`` is what x² loses by rounding, because exp enlarges that."""
    width, steps = _widths(x)
    size = np.minimum(np.abs(x), width)
    square, short = size * size, np.rint(size * steps) * (1 / steps)
    rest = (short * short - square) + (size - short) * (size + short)
    return np.exp(-rate * square) * (1 - rate * rest)


def _bell_curve_scalar(x: float, *, rate: float) -> float:
    size = min(abs(x), 64.0)
    square, short = size * size, round(size * 1048576.0) / 1048576.0
    rest = (short * short - square) + (size - short) * (size + short)
    return math.exp(-rate * square) * (1 - rate * rest)


bell_curve = Elementwise(
    _bell_curve,
    lambda y, x, *, rate: -2 * rate * where(raw(y) == 0, 0.0, x * bell_curve(x, rate=rate)),
    name="bell_curve",
    scalar=_bell_curve_scalar,
)
erf = Elementwise(
    _erf, lambda y, x: 2 / digits(PI, x) ** 0.5 * bell_curve(x, rate=1.0), name="erf", scalar=math.erf
)

# -------------------------------------------------------------------- x log x and its kin


def _xlogy(x: Any, y: Any) -> Any:
    zero = (as_array(x) == 0) & ~np.isnan(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(zero, 0.0, x * np.log(np.where(zero, 1.0, y)))[()]


def _xlog1py(x: Any, y: Any) -> Any:
    zero = (as_array(x) == 0) & ~np.isnan(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(zero, 0.0, x * np.log1p(np.where(zero, 0.0, y)))[()]


# 0·log 0 = 0; only at that point the partial in y, x/y, needs a word: 0, so that the derivative of
# x·log x there is -inf, its limit.
xlogy = Elementwise(
    _xlogy,
    lambda z, x, y: log(y),
    lambda z, x, y: where((x == 0) & (y == 0), 0.0, x / y),
    name="xlogy",
)
xlog1py = Elementwise(
    _xlog1py,
    lambda z, x, y: log1p(y),
    lambda z, x, y: where((x == 0) & (y == -1), 0.0, x / (1 + y)),
    name="xlog1py",
)

# -------------------------------------------------------------------- sinc


def _sin_pi(x: Any) -> Any:
    """sin(πx): first by whole turns, which is exact, and only then by the rounded π."""
    pi = digits(PI, x)
    if np.iscomplexobj(x):
        return np.sin(pi * x)
    r = x - 2 * np.rint(x / 2)
    return np.sin(pi * np.where(np.abs(r) > 0.5, np.copysign(1, r) - r, r))


def _cos_pi(x: Any) -> Any:
    """cos(πx); not sin(π(x + 1/2)), because that sum rounds."""
    pi = digits(PI, x)
    if np.iscomplexobj(x):
        return np.cos(pi * x)
    return np.sin(pi * (0.5 - np.abs(x - 2 * np.rint(x / 2))))


def _sinc(x: Any, *, order: int) -> Any:
    """The ``order``-th derivative of sin(πx)/(πx).

    Near 0 the power series, elsewhere ``x f⁽ᵏ⁾ = πᵏ⁻¹ sin(πx + kπ/2) - k f⁽ᵏ⁻¹⁾``, which is stable
    there (both from the Leibniz rule on ``x f = sin(πx)/π``).
    """
    x, pi = as_array(x), digits(PI, x)
    wide = x.astype(np.result_type(x, np.float64)) if x.dtype.kind == "f" else x
    small = np.abs(wide) < (order + 1) / 3
    z = np.where(small, 1.0, wide)
    f = _sin_pi(z) / (pi * z)
    for k in range(1, order + 1):
        wave = _cos_pi(z) if k % 2 else _sin_pi(z)  # of πz + kπ/2, but for the sign
        f = (pi ** (k - 1) * (wave if k % 4 < 2 else -wave) - k * f) / z
    s = np.where(small, wide, 0.0)
    series = np.zeros_like(s)
    # Σ (-1)ⁿ π²ⁿ (2n)!/(2n-k)! x²ⁿ⁻ᵏ / (2n+1)!
    for n in range((order + 1) // 2, order + 24):
        c = (-1) ** n * pi ** (2 * n) / (math.factorial(2 * n - order) * (2 * n + 1))
        series = series + c * s ** (2 * n - order)
    return np.where(small, series, f).astype(x.dtype)[()] if order else np.sinc(x)


sinc = Elementwise(_sinc, lambda y, x, *, order: sinc(x, order=order + 1), name="sinc")

# -------------------------------------------------------------------- the Bessel function I₀

# A quarter of the circle: by the rule of midpoints a periodic integral is exact to rounding once the
# points resolve exp(x cos θ), whose width is 1/√x: for every x that does not overflow, these do.
_THETA = (np.arange(120) + 0.5) * (PI / 240)
_COS, _REST = np.cos(_THETA), 2 * np.sin(_THETA / 2) ** 2  # 1 - cos θ, to its last digit


def _i0_derivative(x: Any, *, order: int) -> Any:
    """The ``order``-th derivative, (2/π) ∫ cosᵏθ cosh(x cos θ) dθ from 0 to π/2; sinh if it is odd.

    No term is negative, so that nothing cancels; exp(|x|) stands outside, so that its argument is exact.
    """
    if order == 0:
        return np.i0(x)[()]
    x = as_array(x)
    a = np.minimum(np.abs(x), 720.0)[..., None]  # where exp has overflowed
    near, far = np.exp(-a * _REST), np.exp(-a * (2 - _REST))
    # 1 - exp(-2 a cos θ) by expm1: near 0 the two terms are alike
    waves = near + far if order % 2 == 0 else -near * np.expm1(-2 * a * _COS)
    y = np.exp(a[..., 0]) * np.mean(_COS**order * waves, axis=-1) / 2
    return (y if order % 2 == 0 else np.copysign(y, x)).astype(x.dtype)[()]


i0 = Elementwise(_i0_derivative, lambda y, x, *, order: i0(x, order=order + 1), name="bessel_i0")
