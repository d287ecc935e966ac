"""Powers, cube roots and lengths as formulas on lanes."""

from __future__ import annotations

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
    rint,
    select,
    sqrt,
    two_to,
)
from chainrule.native.vectormath_exp import (
    INF,
    LN2,
    LOG2E,
    NAN,
    ROUND,
    bend,
    expm1_near_0,
    number,
    reduced_exp,
    reduced_log,
    scaled,
    split,
)

# -------------------------------------------------------------------- powers

# (P(z) - 2/3) / z with the P of LOG; error of log(1 + f) relative to it: 2^-66.3
LOG_TAIL = {
    "double": (
        0.40000000000002256, 0.2857142857010005, 0.2222222251982681, 0.1818178437639491,
        0.15386756868823084, 0.1325682924831276, 0.13196215819798085,
    )
}  # fmt: skip
# For powers of floats, in double: EXP with error 2^-34.3 of 1 + p, and LOG with 2^-37.6.
EXP_SHORT = {
    "double": (
        0.5000000077857567, 0.16666666860605348, 0.041666270097280016, 0.008333264376637884,
        0.0013946062123422471, 0.00019918373162408789,
    )
}  # fmt: skip
LOG_SHORT = {
    "double": (0.6666666564545726, 0.40000335190639447, 0.28537308555667984, 0.23582151150020011)
}

LN2_SHORT, LN2_REST = 0.6931471805601177, -1.7239444525614835e-13  # k LN2_SHORT is exact: 41 bits
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)


def _fast_sum(a: Lane, b: Lane) -> tuple[Lane, Lane]:
    """``a + b`` as a sum of two, |a| ≥ |b| or a = 0."""
    s = a + b
    return s, (a - s) + b


def _precise_log(x: Lane) -> tuple[Lane, Lane]:
    """``log x`` for positive x as a sum of two numbers, with about 65 bits."""
    k, f = reduced_log(x)
    d = 2.0 + f
    d_low = f - (d - 2.0)
    inverse = 1.0 / d
    s = f * inverse
    s_low = fma(-s, d_low, fma(-s, d, f)) * inverse
    z = s * s
    z_low = fma(2.0 * s, s_low, fma(s, s, -z))
    # P = 2/3 + z (...)
    tail = z * polynomial(z, LOG_TAIL)
    c = tail + TWO_THIRDS[0]
    c_low = (TWO_THIRDS[0] - c) + tail + TWO_THIRDS[1]
    # z P
    h = z * c
    h_low = fma(z_low, c, fma(z, c_low, fma(z, c, -h)))
    # 2s + s z P
    t = s * h
    t_low = fma(s_low, h, fma(s, h_low, fma(s, h, -t)))
    y, y_low = _fast_sum(2.0 * s, t)
    # + k ln 2
    y, carry = _fast_sum(k * LN2_SHORT, y)
    return _fast_sum(y, fma(k, LN2_REST, carry + (fma(2.0, s_low, t_low) + y_low)))


def _with_ends(a: Lane, log_: Lane) -> Lane:
    """``log_``, but -inf of 0, and inf and nan of themselves."""
    return select(a.equals(0.0), log_.like(-INF), select(a < INF, log_, a))


def _power(a: Lane, y: Lane) -> Lane:
    """``aʸ`` for a ≥ 0, not yet right where it is 1 of inf or nan."""
    log_, low = _precise_log(a)
    log_ = _with_ends(a, log_)
    e = y * log_
    e_low = select(fabs(e) < 800.0, fma(y, low, fma(y, log_, -e)), 0.0)
    return scaled(*reduced_exp(at_least(at_most(e, 800.0), -800.0), e_low))


def _power_of_float(a: Lane, y: Lane) -> Lane:
    """The same for floats, in double and to base 2, so that powers of 2 are exact."""
    a, y = a.to("double"), y.to("double")
    n, m = split(a)
    f = m - 1.0
    log_ = fma(f - bend(f, LOG_SHORT), LOG2E["double"][0], number(n, "double") - ROUND["double"])
    e = at_least(at_most(y * _with_ends(a, log_), 200.0), -200.0)
    t = e + ROUND["double"]
    p = expm1_near_0((e - (t - ROUND["double"])) * LN2["double"][0], EXP_SHORT)
    s = two_to(bits(t))
    return fma(p, s, s).to("float")


def power(x: Lane, y: Lane) -> Lane:
    """``e^(y log |x|)`` with the sign of x to odd powers; every special case as in C99's pow."""
    magnitude = (_power if x.kind == "double" else _power_of_float)(fabs(x), y)
    whole = rint(y).equals(y)
    half = 0.5 * y
    odd = whole & ~rint(half).equals(half)
    signed = select(odd, copysign(magnitude, x), magnitude)
    undefined = (x < 0.0) & (x > -INF) & ~whole
    one = y.equals(0.0) | x.equals(1.0) | (x.equals(-1.0) & fabs(y).equals(INF))
    return select(one, x.like(1.0), select(undefined, x.like(NAN), signed))


# -------------------------------------------------------------------- cube root

# m^(-1/3) on 1 ≤ m ≤ 2; relative error 2^-14.7, 2^-11.9
CBRT = {
    "double": (
        1.6700067037807933, -1.172880129639073, 0.6954825652577045, -0.2212378298688953, 0.028591022290932244,
    ),
    "float": (1.5418869256973267, -0.8099602460861206, 0.3177570700645447, -0.04993688687682152),
}  # fmt: skip


def cbrt(x: Lane) -> Lane:
    """``x = 2³ᑫ m`` with 1 ≤ m < 8; m y² with y = m^(-1/3) by one step of third order, then a Newton step."""
    digits = MANTISSA[x.kind]
    least, bias, up = {"double": (2.0**-1022, 1023.0, 18), "float": (2.0**-126, 127.0, 8)}[x.kind]
    a = fabs(x)
    small = a < least
    n = bits(select(small, a * 8.0**up, a))
    m = real((n & ((1 << digits) - 1)) + bits_of(x.kind, 1.0))
    e = number(n >> digits, x.kind) - (ROUND[x.kind] + bias)
    t = fma(e, 1.0 / 3.0, -1.0 / 3.0) + ROUND[x.kind]  # q = ⌊e / 3⌋
    q = t - ROUND[x.kind]
    rest = fma(-3.0, q, e)  # 0, 1 or 2
    one, two = rest.equals(1.0), rest.equals(2.0)
    y = polynomial(m, CBRT) * select(one, x.like(0.5 ** (1 / 3)), select(two, x.like(0.25 ** (1 / 3)), 1.0))
    m = m * select(one, x.like(2.0), select(two, x.like(4.0), 1.0))
    h = fma(-m * y, y * y, 1.0)
    y = fma(y * h, fma(h, 2.0 / 9.0, 1.0 / 3.0), y)
    c = m * (y * y)
    square = c * c
    short = fma(-square, c, m) - fma(c, c, -square) * c  # m - c³
    c = fma(short * (y * y), 1.0 / 3.0, c)
    c = c * two_to(bits(t) - select(small, n.like(up), 0))
    return copysign(select((a > 0.0) & (a < INF), c, a), x)


# -------------------------------------------------------------------- lengths


def hypot(x: Lane, y: Lane) -> Lane:
    """√(x² + y²), scaled so that the squares neither overflow nor vanish; inf beside nan is inf."""
    a, b = fabs(x), fabs(y)
    larger = select(a > b, a, b)
    huge, tiny = larger > 2.0**500, larger < 2.0**-400
    scale = select(huge, larger.like(2.0**-600), select(tiny, larger.like(2.0**600), 1.0))
    back = select(huge, larger.like(2.0**600), select(tiny, larger.like(2.0**-600), 1.0))
    a_, b_ = a * scale, b * scale
    length = sqrt(fma(a_, a_, b_ * b_)) * back
    return select(a.equals(INF) | b.equals(INF), a.like(INF), length)
