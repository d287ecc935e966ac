"""Trigonometric functions and their inverses as formulas on lanes.

sin and cos subtract a multiple of π and evaluate one odd polynomial on |r| ≤ π/2; tan and `sincos` subtract
a multiple of π/2 and evaluate two. π is a sum of three numbers, the first product is subtracted exactly, so
this holds up to `FAR`; a vector with a lane beyond goes through `rest_of_huge`, which multiplies the integer
significand with the bits of 2/π that matter (Payne and Hanek's method, in LLVM's wide integers).
The coefficients are minimax fits as in `vectormath_exp`.
"""

from __future__ import annotations

import math

from chainrule.native.vector_ir import (
    Lane,
    Text,
    at_least,
    at_most,
    bits,
    copysign,
    fabs,
    fma,
    literal,
    negative,
    polynomial,
    real,
    select,
    sqrt,
)
from chainrule.native.vectormath_exp import INF, ROUND

PI = {
    "double": (3.141592653589793, 1.2246467991473532e-16, -2.9947698097183397e-33),
    "float": (3.1415927410125732, -8.742277657347586e-08, -3.4302490200117637e-15),
}
HALF_PI = {kind: tuple(part / 2 for part in parts) for kind, parts in PI.items()}
QUARTER_PI = {kind: tuple(part / 4 for part in parts) for kind, parts in PI.items()}
FAR = {"double": 2.0**30, "float": 2.0**15}
FLAT = {"double": 2.0**-27, "float": 2.0**-13}  # cos x is 1 before it

# (sin r / r - 1) / r² in r², |r| ≤ π/2; error of sin r relative to it: 2^-61.7, 2^-27.3
SIN_WIDE = {
    "double": (
        -0.16666666666666666, 0.008333333333333194, -0.00019841269841209207, 2.755731921113531e-06,
        -2.5052106872617745e-08, 1.6058939696401546e-10, -7.642991236691635e-13, 2.72117224673458e-15,
    ),
    "float": (-0.16666659712791443, 0.00833306647837162, -0.00019809600780718029, 2.605775989650283e-06),
}  # fmt: skip

# the same on |r| ≤ π/4; 2^-57.9, 2^-28.0
SIN = {
    "double": (
        -0.1666666666666663, 0.008333333333322116, -0.00019841269829588156, 2.755731362088902e-06,
        -2.5050747682474565e-08, 1.5896225352839617e-10,
    ),
    "float": (-0.16666655242443085, 0.00833216030150652, -0.0001951527374330908),
}  # fmt: skip

# (cos r - 1 + r²/2) / r⁴ in r², |r| ≤ π/4; error of cos r: 2^-64.2, 2^-33.3
COS = {
    "double": (
        0.0416666666666666, -0.0013888888888874136, 2.4801587289490417e-05, -2.7557314354815763e-07,
        2.0875723624136793e-09, -1.135966662865955e-11,
    ),
    "float": (0.04166664555668831, -0.001388736767694354, 2.4438440959784202e-05),
}  # fmt: skip

# (arcsin s - s) / s³ in s², |s| ≤ 1/2; error relative to arcsin s: 2^-55.9, 2^-27.6
ARCSIN = {
    "double": (
        0.16666666666665383, 0.07500000000343057, 0.0446428568234743, 0.030381959331495602,
        0.022371753519646306, 0.01735977113475316, 0.013884598396805437, 0.012173278897424294,
        0.006510857747140201, 0.019573888993899984, -0.016294040658957974, 0.03195893984025575,
    ),
    "float": (
        0.16666753590106964, 0.07495241612195969, 0.04547709599137306, 0.02414761483669281,
        0.042218539863824844,
    ),
}  # fmt: skip

# (arctan t - t) / t³ in t², |t| ≤ √2 - 1; error relative to arctan t: 2^-59.5, 2^-30.5
ARCTAN = {
    "double": (
        -0.333333333333332, 0.19999999999954082, -0.14285714280248502, 0.11111110786137199,
        -0.09090897836426318, 0.0769206163665418, -0.06663120378099875, 0.05848008870890435,
        -0.05039845295784179, 0.038078315263231646, -0.017922272877334843,
    ),
    "float": (
        -0.33333316445350647, 0.19998489320278168, -0.14243848621845245, 0.10596001148223877,
        -0.06083451956510544,
    ),
}  # fmt: skip


# -------------------------------------------------------------------- sin, cos, tan


def _sign_bit(n: Lane) -> Lane:
    """The lowest bit of an integer moved to the place of the sign."""
    return n << (63 if n.kind == "i64" else 31)


def _sign(x: Lane) -> Lane:
    return bits(x) & (-(1 << 63) if x.kind == "double" else -(1 << 31))


def _less(a: Lane, k: Lane, period: tuple[float, ...]) -> Lane:
    """``a - k period``."""
    for part in period:
        a = fma(k, -part, a)
    return a


def _sin_wide(r: Lane) -> Lane:
    z = r * r
    return at_least(at_most(fma(r * z, polynomial(z, SIN_WIDE), r), 1.0), -1.0)


def sin(x: Lane) -> Lane:
    """``sin x``."""
    a = fabs(x)
    t = fma(a, 1.0 / math.pi, ROUND[x.kind])
    y = _sin_wide(_less(a, t - ROUND[x.kind], PI[x.kind]))
    y = real(bits(y) ^ _sign_bit(bits(t)) ^ _sign(x))
    return _unless_far("sin", x, y)


def cos(x: Lane) -> Lane:
    """``sin(a + π/2)``: a is near an odd multiple of π/2."""
    a = fabs(x)
    t = fma(a, 1.0 / math.pi, 0.5) + ROUND[x.kind]
    y = _sin_wide(_less(a, (t - ROUND[x.kind]) - 0.5, PI[x.kind]))
    y = select(a < FLAT[x.kind], 1.0, real(bits(y) ^ _sign_bit(bits(t))))
    return _unless_far("cos", x, y)


def _kernels(r: Lane) -> tuple[Lane, Lane]:
    """``sin r`` and ``cos r``, |r| ≤ π/4."""
    z = r * r
    return fma(r * z, polynomial(z, SIN), r), fma(z, fma(z, polynomial(z, COS), -0.5), 1.0)


def _quarter(a: Lane) -> tuple[Lane, Lane]:
    """(n, r) of a = n π/2 + r; only the low bits of n are read."""
    t = fma(a, 2.0 / math.pi, ROUND[a.kind])
    return bits(t), _less(a, t - ROUND[a.kind], HALF_PI[a.kind])


def _sincos_at(n: Lane, r: Lane, x: Lane) -> tuple[Lane, Lane]:
    s, c = _kernels(r)
    odd = (n & 1).equals(1)
    sign = bits(select(odd, c, s)) ^ _sign_bit(n >> 1) ^ _sign(x)
    return real(sign), real(bits(select(odd, s, c)) ^ _sign_bit((n + 1) >> 1))


def _tan_at(n: Lane, r: Lane, x: Lane) -> Lane:
    s, c = _kernels(r)
    odd = (n & 1).equals(1)
    return real(bits(select(odd, c, s) / select(odd, s, c)) ^ _sign_bit(n) ^ _sign(x))


def sincos(x: Lane) -> tuple[Lane, Lane]:
    """``sin x`` and ``cos x``."""
    s, c = _sincos_at(*_quarter(fabs(x)), x)
    return _unless_far("sin", x, s), _unless_far("cos", x, c)


def tan(x: Lane) -> Lane:
    """``sin r / cos r`` or ``-cos r / sin r``."""
    return _unless_far("tan", x, _tan_at(*_quarter(fabs(x)), x))


def _unless_far(name: str, x: Lane, y: Lane) -> Lane:
    return x.text.rarely(fabs(x) > FAR[x.kind], y, (f"{name}_far", x.kind, x.text.lanes), x)


# -------------------------------------------------------------------- huge arguments

TWO_OVER_PI = int(  # ⌊2/π · 2^1216⌋
    "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424d"
    "d2e006492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639"
    "835339f49c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f46"
    "3f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b6bab",
    16,
)


def rest_of_huge() -> Text:
    """(n, r) of a = n π/2 + r for one finite a ≥ 2^30.

    a = m 2^(e - 1075) with a 53-bit integer m. Of a · 2/π only the two bits before the binary point and 190
    behind it are computed: the bits of 2/π above are multiples of 4, those below lost with error 2^-137.
    No double is nearer to a multiple of π/2 than 2^-62.
    """
    text = Text(1)
    high, low, _ = HALF_PI["double"]
    two_to_minus = {n: literal("double", 2.0**-n) for n in (48, 96, 144)}
    pi_high, pi_low = literal("double", high), literal("double", low)
    text.declared.add("declare double @llvm.fma.f64(double, double, double)")
    text.lines += f"""
  %bits = bitcast double %x1 to i64
  %e = lshr i64 %bits, 52
  %fraction = and i64 %bits, {(1 << 52) - 1}
  %m = or i64 %fraction, {1 << 52}
  %below = sub i64 2101, %e
  %shift = zext i64 %below to i1216
  %shifted = lshr i1216 {TWO_OVER_PI}, %shift
  %factor = trunc i1216 %shifted to i192
  %m.wide = zext i64 %m to i192
  %turns = mul i192 %factor, %m.wide          ; a · 2/π mod 4, in units of 2^-190
  %up = add i192 %turns, {1 << 189}
  %n.wide = lshr i192 %up, 190
  %n = trunc i192 %n.wide to i64
  %f = shl i192 %turns, 2                     ; its rest, signed, in units of 2^-192
  %f1.wide = ashr i192 %f, 144                ; cut in three pieces of 48 bits
  %f2.wide = lshr i192 %f, 96
  %f3.wide = lshr i192 %f, 48
  %f1.int = trunc i192 %f1.wide to i64
  %f2.part = trunc i192 %f2.wide to i64
  %f3.part = trunc i192 %f3.wide to i64
  %f2.int = and i64 %f2.part, {(1 << 48) - 1}
  %f3.int = and i64 %f3.part, {(1 << 48) - 1}
  %f1.real = sitofp i64 %f1.int to double
  %f2.real = sitofp i64 %f2.int to double
  %f3.real = sitofp i64 %f3.int to double
  %f1 = fmul double %f1.real, {two_to_minus[48]}
  %f2 = fmul double %f2.real, {two_to_minus[96]}
  %f3 = fmul double %f3.real, {two_to_minus[144]}
  %high = fadd double %f1, %f2
  %back = fsub double %f1, %high
  %rest = fadd double %back, %f2
  %low = fadd double %rest, %f3
  %r.high = fmul double %high, {pi_high}    ; times π/2
  %r.minus = fneg double %r.high
  %r.round = call double @llvm.fma.f64(double %high, double {pi_high}, double %r.minus)
  %r.1 = call double @llvm.fma.f64(double %high, double {pi_low}, double %r.round)
  %r.2 = call double @llvm.fma.f64(double %low, double {pi_high}, double %r.1)
  %r = fadd double %r.high, %r.2
  %pair = insertvalue {{i64, double}} poison, i64 %n, 0
  %both = insertvalue {{i64, double}} %pair, double %r, 1
  ret {{i64, double}} %both""".splitlines()[1:]
    return text


def _reduced_lane_by_lane(a: Lane) -> tuple[Lane, Lane]:
    text = a.text
    text.called.add(("rest_of_huge", "double", 1))
    n, r = text.constant("i64", 0), text.constant("double", 0.0)
    for i in range(text.lanes):
        one = a if text.lanes == 1 else text.line("double", f"extractelement {a.type} {a.name}, i32 {i}")
        both = text.line("double", f"call {{i64, double}} @cr_rest_of_huge_d1(double {one.name})").name
        n_i = text.line("i64", f"extractvalue {{i64, double}} {both}, 0")
        r_i = text.line("double", f"extractvalue {{i64, double}} {both}, 1")
        if text.lanes == 1:
            return n_i, r_i
        n = text.line("i64", f"insertelement {n.type} {n.name}, i64 {n_i.name}, i32 {i}")
        r = text.line("double", f"insertelement {r.type} {r.name}, double {r_i.name}, i32 {i}")
    return n, r


def _far(name: str, x: Lane, near: Lane) -> Lane:
    """sin, cos or tan where x is far and finite, else ``near``."""
    a = fabs(x)
    if x.kind == "float":
        y = {"sin": sin, "cos": cos, "tan": tan}[name](x.to("double")).to("float")
    else:
        n, r = _reduced_lane_by_lane(a)
        y = _tan_at(n, r, x) if name == "tan" else _sincos_at(n, r, x)[name == "cos"]
    return select((a > FAR[x.kind]) & (a < INF), y, near)


def sin_far(x: Lane, near: Lane) -> Lane:
    """``sin x`` in vectors with a lane beyond `FAR`."""
    return _far("sin", x, near)


def cos_far(x: Lane, near: Lane) -> Lane:
    """``cos x`` in such vectors."""
    return _far("cos", x, near)


def tan_far(x: Lane, near: Lane) -> Lane:
    """``tan x`` in such vectors."""
    return _far("tan", x, near)


# -------------------------------------------------------------------- inverse functions


def _arcsin_parts(x: Lane) -> tuple[Lane, Lane]:
    """(mask, p): where |x| ≤ 1/2, p = arcsin |x|; elsewhere p = arcsin √((1 - |x|) / 2) = arccos |x| / 2."""
    a = fabs(x)
    outer = a > 0.5
    z = select(outer, fma(a, -0.5, 0.5), a * a)
    s = select(outer, sqrt(z), a)
    return outer, fma(s * z, polynomial(z, ARCSIN), s)


def arcsin(x: Lane) -> Lane:
    """``p``, or ``π/2 - 2 p``."""
    outer, p = _arcsin_parts(x)
    high, low, _ = HALF_PI[x.kind]
    return copysign(select(outer, high - (2.0 * p - low), p), x)


def arccos(x: Lane) -> Lane:
    """``π/2 - p``, or ``2 p``, or ``π - 2 p``."""
    outer, p = _arcsin_parts(x)
    high, low, _ = HALF_PI[x.kind]
    twice = 2.0 * p
    above = select(x < 0.0, PI[x.kind][0] - (twice - PI[x.kind][1]), twice)
    return select(outer, above, high - (copysign(p, x) - low))


def _arctan_of_ratio(a: Lane, b: Lane) -> Lane:
    """arctan(a / b) for a, b ≥ 0; with t = tan(π/8): a/b ≤ t, (a - b) / (a + b) + π/4, or -b/a + π/2."""
    t = math.sqrt(2.0) - 1.0
    above, far_above = a > b * t, b < a * t
    top = select(far_above, -b, select(above, a - b, a))
    bottom = select(far_above, a, select(above, a + b, b))
    q = top / select(bottom.equals(0.0), 1.0, bottom)
    z = q * q
    y = fma(q * z, polynomial(z, ARCTAN), q)
    (half, half_low, _), (quarter, quarter_low, _) = HALF_PI[a.kind], QUARTER_PI[a.kind]
    start = select(far_above, a.like(half), select(above, a.like(quarter), 0.0))
    start_low = select(far_above, a.like(half_low), select(above, a.like(quarter_low), 0.0))
    return start + (y + start_low)


def arctan(x: Lane) -> Lane:
    """``arctan x``."""
    return copysign(_arctan_of_ratio(fabs(x), x.like(1.0)), x)


def arctan2(y: Lane, x: Lane) -> Lane:
    """The angle of the point (x, y), the signs of zeros included."""
    a, b = fabs(y), fabs(x)
    both = a.equals(INF) & b.equals(INF)
    a, b = select(both, 1.0, a), select(both, 1.0, b)
    larger = select(a > b, a, b)
    # so that a + b does not overflow and the bounds of the three cases are not subnormal
    much, little = {"double": (2.0**1000, 2.0**-900), "float": (2.0**120, 2.0**-100)}[x.kind]
    up = {"double": 2.0**100, "float": 2.0**30}[x.kind]
    scale = select(larger > much, larger.like(1.0 / up), select(larger < little, larger.like(up), 1.0))
    angle = _arctan_of_ratio(a * scale, b * scale)
    turned = PI[x.kind][0] - (angle - PI[x.kind][1])
    return copysign(select(negative(x), turned, angle), y)
