"""Remainders, and division with rounding down, as formulas on lanes."""

from __future__ import annotations

from chainrule.native.vector_ir import Lane, copysign, fabs, floor, fma, select, trunc
from chainrule.native.vectormath_exp import INF

EXACT = {"double": 2.0**52, "float": 2.0**23}  # below it every quotient's integer part is a number
LEAP = {"double": 2.0**1000, "float": 2.0**120}


def _rest(a: Lane, b: Lane) -> tuple[Lane, Lane]:
    """(a / b, a - n b) for a, b ≥ 0, n the integer part of a / b or one more."""
    quotient = a / b
    return quotient, fma(-trunc(quotient), b, a)


def fmod(x: Lane, y: Lane) -> Lane:
    """``x - n y`` with the sign of x, n the integer part of x / y: exact, as in C."""
    a, b = fabs(x), fabs(y)
    quotient, r = _rest(a, b)
    r = select(r < 0.0, r + b, r)
    r = select(b.equals(INF) & (a < INF), a, r)
    many = (quotient >= EXACT[x.kind]) & (a < INF) & (b > 0.0)
    return x.text.rarely(many, copysign(r, x), ("fmod_many", x.kind, x.text.lanes), x, y)


def fmod_many(x: Lane, y: Lane, few: Lane) -> Lane:
    """``fmod`` where the quotient has more digits than a number: the leading ones go first.

    A step subtracts q w from r, w a multiple of b and q the quotient rounded; the difference is below
    w ulp(q) / 2 and a multiple of ulp(q) ulp(w), so it is exact. It may be negative.
    """
    a, b = fabs(x), fabs(y)
    valid = (a < INF) & (b > 0.0) & (b < INF)
    b_ = select(valid, b, 1.0)

    def step(r: Lane) -> tuple[Lane, Lane]:
        w = b_
        for _ in range(2):  # a quotient may overflow
            leap = w * LEAP[x.kind]
            w = select(fabs(r) > leap, leap, w)
        r = fma(-trunc(r / w), w, r)
        return r, fabs(r) >= b_

    r = x.text.repeat(select(valid, a, 0.0), step)
    r = copysign(select(r < 0.0, r + b_, r), x)
    return select(valid & (a / b >= EXACT[x.kind]), r, few)


def remainder(x: Lane, y: Lane) -> Lane:
    """``x - ⌊x / y⌋ y`` with the sign of y, by NumPy's formula."""
    return _floored(x, y)[1]


def floor_divide(x: Lane, y: Lane) -> Lane:
    """``⌊x / y⌋`` by NumPy's formula."""
    return _floored(x, y)[0]


def _floored(x: Lane, y: Lane) -> tuple[Lane, Lane]:
    r = fmod(x, y)
    exact, zero = r.equals(0.0), y.equals(0.0)
    other = ((y < 0.0) ^ (r < 0.0)) & ~exact  # r has the other sign
    quotient = (x - r) / y
    quotient = select(other, quotient - 1.0, quotient)
    down = floor(quotient)
    down = select(quotient - down > 0.5, down + 1.0, down)
    ratio = x / y
    down = select(quotient.equals(0.0), copysign(0.0, ratio), down)
    rest = select(exact, copysign(0.0, y), select(other, r + y, r))
    return select(zero, ratio, down), select(zero, r, rest)
