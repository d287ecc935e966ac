"""Exponentials, logarithms and hyperbolic functions as formulas on lanes.

Every exponential starts from one reduction, ``eˣ = 2ᵏ (1 + p)`` with k an integer and p = eʳ - 1,
|r| ≤ ln 2 / 2; every logarithm from ``x = 2ᵏ (1 + f)`` with √½ ≤ 1 + f < √2. The coefficients of the
polynomials are minimax fits (Remez exchange in 45 digits, then rounded to the precision); their errors are
those of the fits. A function of precision "float" runs in float.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from chainrule.native.vector_ir import (
    MANTISSA,
    Lane,
    at_least,
    at_most,
    bits,
    bits_of,
    copysign,
    fabs,
    fma,
    polynomial,
    real,
    select,
    sqrt,
    two_to,
)

INF, NAN = math.inf, math.nan
Table = Mapping[str, Sequence[float]]  # coefficients for each precision

# t = x + ROUND rounds x to an integer, which stands in the low bits of t; t - ROUND is that integer
ROUND = {"double": 1.5 * 2.0**52, "float": 1.5 * 2.0**23}

# constants as unevaluated sums, high part first
LN2 = {
    "double": (0.6931471805599453, 2.3190468138462996e-17),
    "float": (0.6931471824645996, -1.9046542121259336e-09),
}
LOG2E = {
    "double": (1.4426950408889634, 2.0355273740931033e-17),
    "float": (1.4426950216293335, 1.925963033500011e-08),
}
LOG10E = {
    "double": (0.4342944819032518, 1.098319650216765e-17),
    "float": (0.4342944920063019, -1.0103049952192578e-08),
}
LOG10_2 = {
    "double": (0.3010299956639812, -2.8037281277851704e-18),
    "float": (0.3010300099849701, -1.432098883924482e-08),
}

# (eʳ - 1 - r) / r² on |r| ≤ ln 2 / 2; error of p relative to p: 2^-55.6, 2^-26.2
EXP = {
    "double": (
        0.5000000000000006, 0.16666666666666685, 0.0416666666665737, 0.008333333333314616,
        0.0013888888932353622, 0.00019841269902971313, 2.48015044780461e-05, 2.7557228010933174e-06,
        2.7626313123921866e-07, 2.511445401033058e-08,
    ),
    "float": (0.5, 0.1666654348373413, 0.04166628047823906, 0.008366577327251434, 0.0013946439139544964),
}  # fmt: skip

# P of log(1 + f) = 2s + s z P(z), s = f / (2 + f), z = s² ≤ (3 - √8)²; error of log(1 + f) relative to it:
# 2^-59.5, 2^-30.2
LOG = {
    "double": (
        0.6666666666666734, 0.39999999999414676, 0.2857142874238779, 0.22222198573166296,
        0.18183564327162935, 0.15314050522306427, 0.14795950036503241,
    ),
    "float": (0.6666677594184875, 0.3997754156589508, 0.29871729016304016),
}  # fmt: skip

# where eˣ is 0 or inf for certain, and where eˣ - 1 is -1
LEAST = {"double": -746.0, "float": -104.5}
MOST = {"double": 710.0, "float": 89.0}
ALL_LOST = {"double": -60.0, "float": -30.0}


# -------------------------------------------------------------------- exponentials


def reduced_exp(x: Lane, low: Lane | None = None) -> tuple[Lane, Lane]:
    """(n, p) of e^(x + low) = 2ⁿ (1 + p); only the low bits of n are read."""
    high, rest = LN2[x.kind]
    t = fma(x, LOG2E[x.kind][0], ROUND[x.kind])
    k = t - ROUND[x.kind]
    r = fma(k, -rest, fma(k, -high, x))
    return bits(t), expm1_near_0(r if low is None else r + low)


def expm1_near_0(r: Lane, table: Table = EXP) -> Lane:
    """``eʳ - 1`` for |r| ≤ ln 2 / 2."""
    return fma(r * r, polynomial(r, table), r)


def scaled(n: Lane, p: Lane) -> Lane:
    """2ⁿ (1 + p) in two steps, so that it may be subnormal, 0 or inf."""
    half = n >> 1
    s = two_to(half)
    return fma(p, s, s) * two_to(n - half)


def exp(x: Lane) -> Lane:
    """``eˣ``."""
    return scaled(*reduced_exp(at_least(at_most(x, MOST[x.kind]), LEAST[x.kind])))


def exp2(x: Lane) -> Lane:
    """``2ˣ``."""
    bound = {"double": 1080.0, "float": 160.0}[x.kind]
    x = at_least(at_most(x, bound), -bound)
    t = x + ROUND[x.kind]
    return scaled(bits(t), expm1_near_0((x - (t - ROUND[x.kind])) * LN2[x.kind][0]))


def expm1(x: Lane) -> Lane:
    """``eˣ - 1 = 2ᵏ p + (2ᵏ - 1)``."""
    n, p = reduced_exp(at_least(at_most(x, MOST[x.kind]), ALL_LOST[x.kind]))
    s = two_to(n - 1)  # half of it: 2ⁿ may be inf where the difference is not
    return _or_itself(x, 2.0 * fma(s, p, s - 0.5))


def _or_itself(x: Lane, y: Lane) -> Lane:
    """``y``, but x next to 0, where y has lost the sign of -0 and the last digit of subnormal numbers."""
    return select(fabs(x) < 2.0**-60, x, y)


# -------------------------------------------------------------------- tanh, sech², the logistic function


def tanh(x: Lane) -> Lane:
    """``(1 - e) / (1 + e)`` with e = e^(-2|x|), from e - 1 without cancellation."""
    n, p = reduced_exp(at_least(-2.0 * fabs(x), ALL_LOST[x.kind]))
    return _tanh(x, two_to(n), p)[0]


def _tanh(x: Lane, s: Lane, p: Lane) -> tuple[Lane, Lane]:
    """``tanh x`` and ``1 / (1 + e)``, e = s (1 + p)."""
    inverse = 1.0 / fma(s, p, s + 1.0)
    return copysign(fma(s, p, s - 1.0) * inverse, x), inverse


def tanh_sech2(x: Lane) -> tuple[Lane, Lane]:
    """``tanh x`` and ``sech² x = 4 q (1 - q)`` with q = e / (1 + e), e = e^(-2|x|): it may be subnormal."""
    n, p = reduced_exp(at_least(-2.0 * fabs(x), LEAST[x.kind] - 4.0))
    half = n >> 1
    a, b = two_to(half), two_to(n - half)
    y, inverse = _tanh(x, a * b, p)
    four_q = fma(p, a, a) * inverse * real(bits(b) + (2 << MANTISSA[x.kind]))
    return y, fma(-0.25 * four_q, four_q, four_q)


def sech2(x: Lane) -> Lane:
    """``1 / cosh² x``."""
    return tanh_sech2(x)[1]


def sigmoid(x: Lane) -> Lane:
    """``1 / (1 + e^-x)``, for negative x as ``eˣ / (1 + eˣ)``."""
    e = scaled(*reduced_exp(at_least(-fabs(x), LEAST[x.kind])))
    return select(x < 0.0, e, 1.0) / (1.0 + e)


# -------------------------------------------------------------------- sinh, cosh


def _quarter_exp(x: Lane) -> tuple[Lane, Lane, Lane]:
    """(n - 2, p, e^|x| / 4), the latter finite wherever sinh and cosh are."""
    n, p = reduced_exp(at_most(fabs(x), {"double": 710.6, "float": 89.5}[x.kind]))
    s = two_to(n - 2)
    return s, p, fma(s, p, s)


def sinh(x: Lane) -> Lane:
    """``(E + E / (E + 1)) / 2`` with E = e^|x| - 1."""
    s, p, quarter = _quarter_exp(x)
    e_1 = fma(s, p, s - 0.25)
    return _or_itself(x, copysign(2.0 * fma(e_1 / quarter, 0.25, e_1), x))


def cosh(x: Lane) -> Lane:
    """``(e^|x| + e^-|x|) / 2``."""
    _, _, quarter = _quarter_exp(x)
    return 2.0 * (quarter + 0.0625 / quarter)


# -------------------------------------------------------------------- logarithms


def split(x: Lane) -> tuple[Lane, Lane]:
    """(k, m) of a positive normal x = 2ᵏ m, √½ ≤ m < √2; k an integer."""
    root = bits_of(x.kind, math.sqrt(0.5))
    n = bits(x) - root
    return n >> MANTISSA[x.kind], real((n & ((1 << MANTISSA[x.kind]) - 1)) + root)


def number(k: Lane, kind: str) -> Lane:
    """ROUND + k for a small integer k."""
    return real(k + bits_of(kind, ROUND[kind]))


def reduced_log(x: Lane) -> tuple[Lane, Lane]:
    """(k, f) of a positive x = 2ᵏ (1 + f), subnormal or not; both as numbers."""
    least, shift = {"double": (2.0**-1022, 54), "float": (2.0**-126, 25)}[x.kind]
    small = x < least
    k, m = split(select(small, x * 2.0**shift, x))
    zero = ROUND[x.kind]
    return number(k, x.kind) - select(small, x.like(zero + shift), x.like(zero)), m - 1.0


def bend(f: Lane, table: Table = LOG) -> Lane:
    """``f - log(1 + f)``, small beside f: it is s (f - z P(z)), because 2s = f - s f."""
    s = f / (2.0 + f)
    z = s * s
    return s * fma(-z, polynomial(z, table), f)


def _log(k: Lane, f: Lane) -> Lane:
    """``k ln 2 + log(1 + f)``."""
    high, low = LN2[f.kind]
    return fma(k, high, f - fma(k, -low, bend(f)))


def _in_domain(x: Lane, y: Lane, zero: float = 0.0) -> Lane:
    """``y``, but a logarithm's values where it is singular: its argument is 0 at ``zero``."""
    return select(x > zero, select(x < INF, y, x), select(x.equals(zero), x.like(-INF), x.like(NAN)))


def log(x: Lane) -> Lane:
    """``ln x``."""
    return _in_domain(x, _log(*reduced_log(x)))


def log2(x: Lane) -> Lane:
    """``ln x / ln 2``; exact at powers of 2."""
    k, f = reduced_log(x)
    high, low = LOG2E[x.kind]
    y = f - bend(f)
    return _in_domain(x, fma(y, high, fma(y, low, k)))


def log10(x: Lane) -> Lane:
    """``ln x / ln 10``."""
    k, f = reduced_log(x)
    y = f - bend(f)
    high, low = LOG10E[x.kind]
    two, two_low = LOG10_2[x.kind]
    return _in_domain(x, fma(k, two, fma(y, high, fma(y, low, k * two_low))))


def log1p(x: Lane, doublings: Lane | None = None) -> Lane:
    """``log(1 + x)``, and ``log(2 (1 + x))`` in the lanes where ``doublings`` is 1."""
    u = 1.0 + x
    rounding = at_most(x, 1.0) - (u - at_least(x, 1.0))  # 1 + x = u + rounding, exactly
    k, m = split(u)
    shrink = two_to(-at_most(k, {"double": 1000, "float": 120}[x.kind]))
    f = fma(rounding, shrink, m - 1.0)  # x itself where k = 0
    times = number(k, x.kind) - ROUND[x.kind]
    y = _log(times if doublings is None else times + doublings, f)
    return copysign(_in_domain(x, y, -1.0), x)


def logaddexp(a: Lane, b: Lane) -> Lane:
    """``log(eᵃ + eᵇ)`` by NumPy's formula: the error is relative to the larger operand and the result."""
    y = select(a > b, a, b) + log1p(exp(-fabs(a - b)))
    return select(a.equals(b), a + math.log(2.0), y)  # for equal infinities too


def logaddexp2(a: Lane, b: Lane) -> Lane:
    """``log₂(2ᵃ + 2ᵇ)``, the same to base 2."""
    y = fma(log1p(exp2(-fabs(a - b))), LOG2E[a.kind][0], select(a > b, a, b))
    return select(a.equals(b), a + 1.0, y)


# -------------------------------------------------------------------- inverse hyperbolic functions

HUGE = 2.0**60  # from here on log(1 + x) = log x, and ±1 beside x is lost


def arcsinh(x: Lane) -> Lane:
    """``log(1 + a + a² / (1 + √(a² + 1)))``, a = |x|, written so that a² cannot overflow."""
    a = fabs(x)
    i = 1.0 / a
    huge = a > HUGE
    v = select(huge, a, a + a / (i + sqrt(fma(i, i, 1.0))))
    return copysign(log1p(v, select(huge, a.like(1.0), a.like(0.0))), x)


def arccosh(x: Lane) -> Lane:
    """``log(1 + t + √(t (t + 2)))``, t = x - 1."""
    t = x - 1.0
    huge = x > HUGE
    v = select(huge, x, t + sqrt(fma(t, t, 2.0 * t)))
    return select(x < 1.0, x.like(NAN), log1p(v, select(huge, x.like(1.0), x.like(0.0))))


def arctanh(x: Lane) -> Lane:
    """``log(1 + 2a / (1 - a)) / 2``, a = |x|."""
    a = fabs(x)
    return copysign(0.5 * log1p(2.0 * a / (1.0 - a)), x)
