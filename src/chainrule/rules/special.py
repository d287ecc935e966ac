"""scipy.special's universal functions: those about the normal distribution, and what stands alone.

The library itself needs NumPy alone; this file and those it imports are loaded when one of SciPy's functions
meets a Value. Each family is closed: a derivative is a function of the same family, so that every order is as
exact as the first. ``CALLS`` says what answers which of SciPy's functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules import bessel as bs
from chainrule.rules import beta as bt
from chainrule.rules import elementary as el
from chainrule.rules import faddeeva as fv
from chainrule.rules import gamma as gm
from chainrule.rules import hypergeometric as hg
from chainrule.rules import incomplete as ic
from chainrule.rules import integrals as it
from chainrule.rules import student
from chainrule.rules.activations import tail_over_bell
from chainrule.rules.arithmetic import clip, maximum, one_less, power, real_absolute
from chainrule.rules.elementary import (
    LN2,
    LN10,
    PI,
    bell_curve,
    exp,
    expm1,
    hypot,
    inside,
    log,
    log1p,
    not_negative,
    sin,
    unless_zero,
)
from chainrule.rules.quadrature import computed
from chainrule.rules.zeta import hurwitz, riemann, zetac
from chainrule.traced import Traced

# -------------------------------------------------------------------- the normal distribution

ROOT_PI, ROOT_2 = math.sqrt(PI), math.sqrt(2)


def _gauss(x: Any) -> Any:
    return bell_curve(x, rate=1.0)


def normal_density(x: Any) -> Any:
    """The density of the standard normal distribution."""
    return bell_curve(x, rate=0.5) / math.sqrt(2 * PI)


def _erf(x: Any) -> Any:
    """SciPy's, and in a program the library's, which has machine code."""
    return el.erf.run(x) if type(x) is Traced and x.dtype.kind == "f" else sp.erf(x)


erf = Elementwise(_erf, lambda y, x: 2 / ROOT_PI * _gauss(x), name="erf")
erfc = Elementwise(sp.erfc, lambda y, x: -2 / ROOT_PI * _gauss(x))
erfi = Elementwise(sp.erfi, lambda y, x: 2 / ROOT_PI * bell_curve(x, rate=-1.0))
ndtr = Elementwise(sp.ndtr, lambda y, x: normal_density(x), symbol="Φ")


@computed
def _erfc_integral(x: Any, *, order: int) -> Any:
    """``exp(x²) iⁿ erfc(x)``, iⁿ for the repeated integral: DLMF 7.18.

    ``2n Fₙ = Fₙ₋₂ - 2x Fₙ₋₁``: upwards for small and negative x, elsewhere its continued fraction.
    """
    size = np.abs(x)  # near 0 SciPy's has lost a digit
    right = np.where(size > 2, sp.erfcx(size), 2 * tail_over_bell(np.minimum(size, 2.0) * ROOT_2, "d"))
    whole = np.where(x < 0, 2 * bell_curve.run(x, rate=-1.0) - right, right)
    if order == 0:
        return whole
    far = x > 0.65
    z = np.where(far, x, 1.0)
    ratio, product = 1 / (z + np.sqrt(z * z + 2 * (order + 400))), np.ones_like(z)
    for n in range(order + 399, 0, -1):
        ratio = 1 / (2 * z + 2 * (n + 1) * ratio)
        if n <= order:
            product = product * ratio
    before, here = 2 / ROOT_PI, whole
    for n in range(1, order + 1):
        before, here = here, (before - 2 * x * here) / (2 * n)
    return np.where(far, product * whole, here)


erfc_integral = Elementwise(
    _erfc_integral,
    lambda y, x, *, order: -2 * (order + 1) * erfc_integral(x, order=order + 1),
    name="erfc_integral",
)
erfcx = Elementwise(
    sp.erfcx,
    lambda y, x: 2 * x * y - 2 / ROOT_PI if np.iscomplexobj(raw(x)) else -2 * erfc_integral(x, order=1),
)


def _bell_by_tail(x: Any, tail: Any) -> Any:
    """``exp(x²)``, given erfc(x): of an x that was rounded, which exp would enlarge, but erfcx does not."""
    edge = np.isinf(raw(x)) | (raw(tail) == 0)
    usual = erfc_integral(where(edge, 0.0, x), order=0) / where(edge, 1.0, tail)
    return where(edge, bell_curve(x, rate=-1.0), usual)


def _slope_of_erfinv(y: Any, x: Any) -> Any:
    left = raw(x) < 0
    return ROOT_PI / 2 * _bell_by_tail(where(left, -y, y), where(left, 1 + x, 1 - x))


def _slope_of_erfcinv(y: Any, x: Any) -> Any:
    left = raw(x) < 1
    return -ROOT_PI / 2 * _bell_by_tail(where(left, y, -y), where(left, x, 2 - x))


def _slope_of_ndtri(y: Any, x: Any) -> Any:
    left = raw(x) < 0.5
    return math.sqrt(2 * PI) * _bell_by_tail(where(left, -y, y) / ROOT_2, 2 * where(left, x, 1 - x))


def _slope_of_ndtri_exp(y: Any, x: Any) -> Any:
    """``Φ/φ`` of y: on the left Mills' ratio."""
    left = raw(y) < 0
    a, b = where(left, -y, 0.0), where(left, 0.0, y)
    ratio = math.sqrt(PI / 2) * erfc_integral(a / ROOT_2, order=0)
    # Newton's step from SciPy's y, which in the middle of the tail has lost some digits
    rest = np.where(np.isfinite(raw(a)) & left, (raw(x) - log_ndtr.run(raw(y))) * raw(ratio), 0.0)
    ratio = math.sqrt(PI / 2) * erfc_integral((a - rest) / ROOT_2, order=0)
    bell = _bell_by_tail(b / ROOT_2, -2 * expm1(where(left, -LN2, x)))
    return where(left, ratio, math.sqrt(2 * PI) * exp(x) * bell)


def _mills(y: Any, x: Any) -> Any:
    """``φ(x) / Φ(x)``."""
    if np.iscomplexobj(raw(x)):
        return exp(-x * x / 2 - y) / math.sqrt(2 * PI)
    right = raw(x) > 0
    tail = erfc_integral(where(right, 0.0, -x) / ROOT_2, order=0)
    return where(right, normal_density(x) / ndtr(where(right, x, 0.0)), math.sqrt(2 / PI) / tail)


def _slope_of_dawsn(y: Any, x: Any) -> Any:
    """``1 - 2x F(x)``; that cancels, far out to the last digit, and there it is ``-Σ (2n-1)!! / (2x²)ⁿ``."""
    if np.iscomplexobj(raw(x)):
        return 1 - 2 * x * y
    far = abs(raw(x)) > 10
    v = 0.5 / where(far, x, 10.0) / where(far, x, 10.0)
    series: Any = 1.0
    for n in range(29, 1, -2):
        series = 1 + n * v * series
    return where(far, -v * series, 1 - 2 * where(far, 0.0, x) * y)


erfinv = Elementwise(sp.erfinv, _slope_of_erfinv)
erfcinv = Elementwise(sp.erfcinv, _slope_of_erfcinv)
ndtri = Elementwise(sp.ndtri, _slope_of_ndtri, symbol="Φ⁻¹")
log_ndtr = Elementwise(sp.log_ndtr, _mills)
ndtri_exp = Elementwise(sp.ndtri_exp, _slope_of_ndtri_exp)
dawsn = Elementwise(sp.dawsn, _slope_of_dawsn)

# -------------------------------------------------------------------- logarithms and exponentials


@computed
def _log_ratio(x: Any, y: Any) -> Any:
    near = np.abs(x - y) < y / 2
    quotient = x / y
    apart = np.where((quotient > 1e-300) & (quotient < 1e300), np.log(quotient), np.log(x) - np.log(y))
    ratio = np.where(near, np.log1p(np.where(near, (x - y) / y, 0.0)), apart)
    return np.where((x == 0) & (y == 0), 0.0, ratio)


log_ratio = Elementwise(_log_ratio, lambda z, x, y: 1 / x, lambda z, x, y: -1 / y, name="log_ratio")


def _entr(x: Any) -> Any:
    return np.where(x < 0, -np.inf, -el.xlogy.run(x, x))[()]


def _both(x: Any, y: Any) -> Any:
    """Whether the point lies where an entropy is defined."""
    return (raw(x) >= 0) & (raw(y) >= 0)


def _quotient(x: Any, y: Any) -> Any:
    """``x / y``; where both are 0 it is 1, as it is where they are equal."""
    nothing = (raw(x) == 0) & (raw(y) == 0)
    return where(nothing, 1.0, x / where(nothing, 1.0, y))


rel_entr = Elementwise(
    sp.rel_entr,
    lambda z, x, y: inside(_both(x, y), log_ratio(x, y) + 1),
    lambda z, x, y: inside(_both(x, y), -_quotient(x, y)),
)
kl_div = Elementwise(
    sp.kl_div,
    lambda z, x, y: inside(_both(x, y), log_ratio(x, y)),
    lambda z, x, y: inside(_both(x, y), where((raw(x) == 0) & (raw(y) == 0), 0.0, (y - x) / y)),
)
entr = Elementwise(
    _entr, lambda y, x: inside(raw(x) >= 0, -1 - log(where(raw(x) >= 0, x, 1.0))), name="entr"
)
exp10 = Elementwise(sp.exp10, lambda y, x: LN10 * y)
cosm1 = Elementwise(sp.cosm1, lambda y, x: -sin(x))

DEGREE = PI / 180
sindg = Elementwise(sp.sindg, lambda y, x: DEGREE * cosdg(x))
cosdg = Elementwise(sp.cosdg, lambda y, x: -DEGREE * sindg(x))
tandg = Elementwise(sp.tandg, lambda y, x: DEGREE / cosdg(x) ** 2)
cotdg = Elementwise(sp.cotdg, lambda y, x: -DEGREE / sindg(x) ** 2)


@computed
def _exprel(x: Any, *, order: int) -> Any:
    """``∫₀¹ tⁿ exp(xt) dt``.

    Far to the left an incomplete gamma function, far to the right ``(exp x - n Fₙ₋₁) / x``; between them the
    series of ``exp(xt)``, or of ``exp(x (t - 1))``, by Horner's rule: positive terms, the smallest first.
    """
    left = math.factorial(order) * sp.gammainc(order + 1, -x) / (-x) ** (order + 1)
    f = sp.exprel(x)
    for n in range(1, order + 1):
        f = (np.exp(x) - n * f) / x
    small = (x > -8) & (x < 2 + 2 * order)
    s = np.where(small, x, 0.0)
    right, back = np.zeros_like(s), np.zeros_like(s)
    for n in range(6 * order + 50, -1, -1):
        right = 1 / (order + n + 1) + s / (n + 1) * right
        back = (1 - s * back) / (order + n + 1)
    series = np.where(s < 0, np.exp(s) * back, right)
    at_infinity = np.where(x > 0, x, 0.0)
    far = np.where(np.isinf(np.exp(x)), np.inf, np.where(np.isinf(x), at_infinity, np.where(x < 0, left, f)))
    return np.where(small, series, far)


exprel_integral = Elementwise(
    _exprel, lambda y, x, *, order: exprel_integral(x, order=order + 1), name="exprel_integral"
)
exprel = Elementwise(sp.exprel, lambda y, x: exprel_integral(x, order=1))


@computed
def _log_over(x: Any, *, order: int, start: int) -> Any:
    """The derivative of ``log(1 + w) / w``, w = x - start, by its series near 0 and else by Leibniz."""
    near = np.abs(x - start) < 0.35
    z = np.where(near, start + 1.0, x)
    w, whole = z - start, z + (1 - start)
    f = (np.log(z) if start else np.log1p(z)) / w
    for k in range(1, order + 1):
        term = (-1) ** (k - 1) * math.factorial(k - 1) * whole ** (-1.0 * k)
        f = np.where(whole == 0, term, term - k * f) / w
    s = np.where(near, x - start, 0.0)
    series = np.zeros_like(s)
    for n in range(order + 75, order - 1, -1):
        series = series * s + (-1) ** n * (math.factorial(n) // math.factorial(n - order)) / (n + 1)
    return np.where(near, series, f)


log_over = Elementwise(
    _log_over, lambda y, x, *, order, start: log_over(x, order=order + 1, start=start), name="log_over"
)

# ∫₁ᶻ log t / (1 - t) dt
spence = Elementwise(sp.spence, lambda y, z: -log_over(z, order=0, start=1))

# -------------------------------------------------------------------- Box's and Cox's, Huber's


def _boxcox_in_lambda(logarithm: Any, lam: Any) -> Any:
    """``L² exprel'(λL)``, L the logarithm; at L = -∞ what that tends to."""
    edge = raw(logarithm) == -math.inf
    finite = where(edge, -1.0, logarithm)
    limit = where(raw(lam) > 0, 1 / (lam * lam), math.inf)
    return where(edge, limit, finite * finite * exprel_integral(lam * finite, order=1))


boxcox = Elementwise(
    sp.boxcox,
    lambda y, x, lam: inside(not_negative(x), one_less(x, lam)),
    lambda y, x, lam: _boxcox_in_lambda(log(x), lam),
)
boxcox1p = Elementwise(
    sp.boxcox1p,
    lambda y, x, lam: inside(not_negative(x, -1.0), one_less(1 + x, lam)),
    lambda y, x, lam: _boxcox_in_lambda(log1p(x), lam),
)
inv_boxcox = Elementwise(
    sp.inv_boxcox,
    lambda x, y, lam: power(x, 1 - lam),
    lambda x, y, lam: x * (y * y) * log_over(lam * y, order=1, start=0),
)
inv_boxcox1p = Elementwise(
    sp.inv_boxcox1p,
    lambda x, y, lam: power(x + 1, 1 - lam),
    lambda x, y, lam: (x + 1) * (y * y) * log_over(lam * y, order=1, start=0),
)
huber = Elementwise(
    sp.huber,
    lambda y, delta, r: inside(raw(delta) >= 0, maximum(real_absolute(r) - delta, 0.0)),
    lambda y, delta, r: inside(raw(delta) >= 0, clip(r, -delta, delta)),
)


def _pseudo_huber_in_delta(y: Any, delta: Any, r: Any) -> Any:
    h = hypot(delta, r)
    q = r / (h + delta)
    return inside(raw(delta) >= 0, unless_zero(h, q * q * (r * (r / h))))


# δ (√(δ² + r²) - δ)
pseudo_huber = Elementwise(
    sp.pseudo_huber,
    _pseudo_huber_in_delta,
    lambda y, delta, r: inside(raw(delta) >= 0, delta * unless_zero(hypot(delta, r), r / hypot(delta, r))),
)

# -------------------------------------------------------------------- Lambert's


def _slope_of_lambertw(w: Any, z: Any, k: Any, tol: Any) -> Any:
    """``w / (z (1 + w))``; next to 0 ``exp(-w) / (1 + w)``, which has fewer digits elsewhere."""
    tiny, endless = abs(raw(z)) < 1e-290, abs(raw(z)) == math.inf
    near = exp(-where(tiny, w, 0.0)) / (1 + where(tiny, w, 0.0))
    apart = where(tiny | endless, 1.0, w) / (where(tiny | endless, 1.0, z) * (1 + where(endless, 0.0, w)))
    return where(endless, 0.0, where(tiny, near, apart))


lambertw = Elementwise(sp.lambertw, _slope_of_lambertw, None, None)


def _slope_of_wrightomega(w: Any, z: Any) -> Any:
    """``w / (1 + w)``; w = exp(z - w), which for small w has more digits than SciPy's."""
    if not np.iscomplexobj(raw(z)):
        small = raw(z) < -2
        w = where(small, exp(z) * exp(-where(small, w, 0.0)), w)
    return where(raw(w) == math.inf, 1.0, w / (1 + w))


wrightomega = Elementwise(sp.wrightomega, _slope_of_wrightomega)

# -------------------------------------------------------------------- what answers SciPy's functions

CALLS: dict[Any, Callable[..., Any]] = {
    p.run: p
    for p in (
        gm.gamma, gm.rgamma, gm.gammaln, gm.loggamma, bt.beta, bt.betaln, bt.binom, bt.poch, ic.gammainc,
        ic.gammaincc, ic.gammaincinv, ic.gammainccinv, ic.betainc, ic.betaincc, ic.betaincinv, ic.betainccinv,
        erfc, erfi, erfinv, erfcinv, erfcx, ndtr, ndtri, log_ndtr, ndtri_exp, dawsn,
        fv.wofz, fv.voigt_profile, rel_entr, kl_div, exp10, cosm1, sindg, cosdg, tandg, cotdg, exprel, spence,
        boxcox, boxcox1p, inv_boxcox, inv_boxcox1p, huber, pseudo_huber, wrightomega,
        it.expn, it.exp1, it.expi, zetac, student.stdtr, student.stdtrit,
        bs.jv, bs.yv, bs.iv, bs.kv, bs.yn, bs.kn, bs.hankel1, bs.hankel2, bs.ive, bs.kve, bs.jve, bs.yve,
        bs.j0, bs.j1, bs.y0, bs.y1, bs.i0, bs.i1, bs.k0, bs.k1,
        hg.hyp0f1, hg.hyp1f1, hg.hyp2f1, hg.ellipk, hg.ellipkm1, hg.ellipe,
        hg.eval_jacobi, hg.eval_gegenbauer, hg.eval_legendre, hg.eval_chebyt, hg.eval_chebyu,
        hg.eval_genlaguerre, hg.eval_laguerre, hg.eval_hermite, hg.eval_hermitenorm,
    )
} | {
    sp.psi: gm.digamma, sp.erf: erf, sp.entr: entr, sp.expit: el.sigmoid, sp.log_expit: el.log_sigmoid,
    sp.logit: el.logit, sp.xlogy: el.xlogy, sp.xlog1py: el.xlog1py, sp.expm1: el.expm1, sp.log1p: el.log1p,
    sp.exp2: el.exp2, sp.cbrt: el.cbrt, sp.sici: it.sici, sp.fresnel: it.fresnel,
    sp.airy: bs.airy,
    sp.i0e: bs.i0e, sp.i1e: bs.i1e, sp.k0e: bs.k0e, sp.k1e: bs.k1e,
    # behind SciPy's functions of these names
    sp._ufuncs._zeta: hurwitz, sp._ufuncs._riemann_zeta: riemann, sp._ufuncs._lambertw: lambertw,
}  # fmt: skip
