"""Derivatives of SciPy's universal functions to the last digits, at 2,000 points each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from mpmath import mpf
from scipy import special as sp

import chainrule as cr
from chainrule.rules import special as sc
from chainrule.scipy import special
from tests.rules.test_accuracy import ulps

COUNT = 2000


def even(low: float, high: float) -> Any:
    return np.linspace(low, high, COUNT)


def sizes(low: float, high: float) -> Any:
    return np.logspace(low, high, COUNT) * np.linspace(1.0, 1.1, COUNT)


def both(x: Any) -> Any:
    return np.concatenate([x[::2], -x[1::2]])


def inside() -> Any:
    """Numbers between 0 and 1 that crowd at both."""
    return np.concatenate([sizes(-300, -0.5)[::2], 1 - np.logspace(-15.5, -0.3, COUNT // 2)])


def phi(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def upper(x: Any) -> Any:
    """The tail of the normal distribution."""
    return mp.erfc(x / mp.sqrt(2)) / 2


def bessel_k(x: Any, *powers: tuple[int, int]) -> Any:
    """``exp(x) ∫ exp(-x cosh t) p(cosh t) dt``: by the trapezoidal rule, which is exact here to 22 digits."""
    h, total, k = min(mpf("0.12"), mpf("0.6") / mp.sqrt(x)), mpf(0), 0
    while True:
        c = mp.cosh(k * h)
        term = mp.exp(x * (1 - c)) * sum(n * c**m for n, m in powers)
        total += term / 2 if k == 0 else term
        if x * (c - 1) > 60:
            return total * h
        k += 1


def scaled(bessel: Callable[..., Any], sign: int) -> Callable[[Any], Any]:
    """The derivative of ``exp(±x) f₀(x)``."""
    return lambda x: mp.exp(sign * x) * (sign * bessel(0, x) - sign * bessel(1, x))


def gauss(x: Any, sign: int = -1) -> Any:
    """The derivative of erf or erfi."""
    return 2 / mp.sqrt(mp.pi) * mp.exp(sign * x * x)


def inverse(f: Callable[[Any], Any], start: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Any:
    """The derivative of the inverse of a positive f, by Newton's method on its logarithm."""

    def exact(y: Any) -> Any:
        root = mp.findroot(lambda x: mp.log(f(x)) - mp.log(y), mpf(float(start(float(y)))))
        return 1 / slope(root)

    return exact


def omega(x: Any) -> Any:
    w = mp.exp(x) if x < 1 else x
    for _ in range(9):
        w = w - (w + mp.log(w) - x) * w / (w + 1)
    return w / (1 + w)


def dawson(x: Any) -> Any:
    if abs(x) > 30:
        return -mp.fsum(mp.fac2(2 * n - 1) / (2 * x * x) ** n for n in range(1, 30 if x < 1e3 else 9))
    return 1 - mp.sqrt(mp.pi) * x * mp.exp(-x * x) * mp.erfi(x)


def logarithm_over(x: Any) -> Any:
    return mp.log(x) / (1 - x)


def erfcx(x: Any) -> Any:
    if x > 1e8:
        return -(1 - 3 / (2 * x * x)) / (mp.sqrt(mp.pi) * x * x)
    with mp.workdps(80):
        return 2 * x * mp.exp(x * x) * mp.erfc(x) - gauss(0)


def amplitude(x: Any) -> Any:
    return 1 / mp.sqrt(1 + x)


def exprel(x: Any) -> Any:
    with mp.workdps(60 + 2 * int(abs(mp.log10(abs(x))))):
        return (mp.exp(x) * (x - 1) + 1) / x**2


def elliptic(p: Any, sign: int) -> Any:
    """The derivative of K or of E in m, m = 1 - p."""
    return (mp.elliprd(0, 1, p) if sign > 0 else -mp.elliprd(0, p, 1)) / 6


WAVE, FALL = even(0.05, 50), even(0.05, 700)[::5]
DIGITS: dict[str, tuple[Callable[..., Any], Callable[[Any], Any], Any]] = {
    "gamma": (
        sp.gamma, lambda x: mp.gamma(x) * mp.psi(0, x), np.concatenate([sizes(-150, 0), even(1.6, 171)]),
    ),
    "rgamma": (
        sp.rgamma, lambda x: -mp.rgamma(x) * mp.psi(0, x), np.concatenate([sizes(-300, 0), even(1.6, 170)]),
    ),
    "gammaln": (sp.gammaln, mp.digamma, np.concatenate([sizes(-300, 300), even(0.01, 50)])),
    "loggamma": (sp.loggamma, mp.digamma, sizes(-3, 300)),
    "psi": (sp.psi, lambda x: mp.psi(1, x), np.concatenate([sizes(-150, 300), even(-20.03, 50)])),
    "trigamma": (lambda x: special.polygamma(1, x), lambda x: mp.psi(2, x), sizes(-100, 100)),
    "erf": (sp.erf, gauss, np.concatenate([even(-26, 26), both(sizes(-300, 0))])),
    "erfc": (sp.erfc, lambda x: -gauss(x), np.concatenate([even(-26, 26), both(sizes(-300, 0))])),
    "erfi": (sp.erfi, lambda x: gauss(x, 1), np.concatenate([even(-26, 26), both(sizes(-300, 0))])),
    "erfcx": (sp.erfcx, erfcx, np.concatenate([sizes(-300, 150), even(-26, 20)])),
    "erfinv": (sp.erfinv, lambda y: 1 / gauss(mp.erfinv(y)), both(inside())),
    "erfcinv": (sp.erfcinv, inverse(mp.erfc, sp.erfcinv, lambda x: -gauss(x)), inside() * 2),
    "ndtr": (sp.ndtr, phi, np.concatenate([even(-37, 37), both(sizes(-300, 0))])),
    "ndtri": (sp.ndtri, inverse(lambda x: upper(-x), sp.ndtri, phi), inside()),
    "ndtri_exp": (
        sp.ndtri_exp,
        lambda y: (lambda x: upper(-x) / phi(x))(
            mp.findroot(lambda x: mp.log(upper(-x)) - y, mpf(float(sp.ndtri_exp(float(y)))))
        ),
        -sizes(-10, 5),
    ),
    "log_ndtr": (
        sp.log_ndtr, lambda x: phi(x) / upper(-x), np.concatenate([even(-37, 37), both(sizes(-300, 1.5))]),
    ),
    "dawsn": (sp.dawsn, dawson, np.concatenate([both(sizes(-300, -0.2)), both(sizes(1.001, 150))])),
    "entr": (sp.entr, lambda x: -1 - mp.log(x), sizes(-300, 300)),
    "exp10": (sp.exp10, lambda x: mp.log(10) * mpf(10) ** x, even(-307, 307)),
    "cosm1": (sp.cosm1, lambda x: -mp.sin(x), np.concatenate([even(-30, 30), both(sizes(-300, 0))])),
    "exprel": (sp.exprel, exprel, np.concatenate([even(-700, 700.1), even(-5, 5), both(sizes(-30, 2))])),
    "spence": (sp.spence, logarithm_over, np.concatenate([sizes(-300, 300), 1 + both(sizes(-15, -0.4))])),
    "wrightomega": (
        sp.wrightomega, omega, np.concatenate([even(-700, 700), both(sizes(-300, 2)), sizes(2, 300)]),
    ),
    "exp1": (sp.exp1, lambda x: -mp.exp(-x) / x, np.concatenate([sizes(-300, 2), even(0.1, 700)])),
    "expi": (sp.expi, lambda x: mp.exp(x) / x, np.concatenate([both(sizes(-300, 2)), even(-700, 700)])),
    "i0": (sp.i0, lambda x: mp.besseli(1, x), FALL),
    "i1": (sp.i1, lambda x: (mp.besseli(0, x) + mp.besseli(2, x)) / 2, FALL),
    "k0": (sp.k0, lambda x: -mp.exp(-x) * bessel_k(x, (1, 1)), even(0.05, 700)),
    "k1": (sp.k1, lambda x: -mp.exp(-x) * bessel_k(x, (1, 2)), even(0.05, 660)),
    "ellipk": (sp.ellipk, lambda m: elliptic(1 - m, 1), np.concatenate([inside(), -sizes(-300, 100)])[::10]),
    "ellipkm1": (sp.ellipkm1, lambda p: -elliptic(p, 1), sizes(-300, 100)[::10]),
    "ellipe": (sp.ellipe, lambda m: elliptic(1 - m, -1), np.concatenate([inside(), -sizes(-300, 100)])[::10]),
    "sindg": (sp.sindg, lambda x: mp.radians(1) * mp.cospi(x / 180), even(-89, 89)),
    "cosdg": (sp.cosdg, lambda x: -mp.radians(1) * mp.sinpi(x / 180), even(1, 179)),
    "tandg": (sp.tandg, lambda x: mp.radians(1) / mp.cospi(x / 180) ** 2, even(-89, 89)),
    "cotdg": (sp.cotdg, lambda x: -mp.radians(1) / mp.sinpi(x / 180) ** 2, even(1, 179)),
    "k0e": (sp.k0e, lambda x: bessel_k(x, (1, 0), (-1, 1)), FALL),
    "k1e": (sp.k1e, lambda x: bessel_k(x, (1, 1), (-1, 2)), FALL),
}  # fmt: skip
# What SciPy's own functions leave to be wished for, beside what a quotient of them adds.
ALLOWED = {
    "gamma": 8, "rgamma": 7,  # the product of Γ, ψ
    "psi": 7,  # ζ(2, x) about 1e-7
    "erfcx": 5, "log_ndtr": 5,
    "erfinv": 7, "erfcinv": 6, "ndtri": 6, "ndtri_exp": 7,  # erfcx of the inverse
    "i0": 10, "i1": 8, "k1": 5, "k0e": 9, "k1e": 9,  # neighbouring orders
}  # fmt: skip
# Where a derivative crosses 0, and SciPy's functions have the digits of their size alone: relative to that.
CROSSING: dict[str, tuple[Callable[..., Any], Callable[[Any], Any], Callable[[Any], Any], Any, float]] = {
    "gamma": (
        sp.gamma, lambda x: mp.gamma(x) * mp.psi(0, x), lambda x: mp.gamma(x) * mp.psi(0, 1 + abs(x)),
        even(-20.03, 2), 10,
    ),
    "rgamma": (
        sp.rgamma, lambda x: -mp.rgamma(x) * mp.psi(0, x), lambda x: mp.rgamma(x) * mp.psi(0, 1 + abs(x)),
        even(-20.03, 2), 10,
    ),
    "gammaln": (sp.gammaln, mp.digamma, lambda x: mpf(1), even(-20.03, 2), 8),
    "_riemann_zeta": (
        sp.zeta, lambda s: mp.zeta(s, 1, 1), lambda s: (2 * mp.pi) ** s * mp.gamma(1 - s) if s < 0 else 1,
        even(-20.03, 20)[::20], 30,
    ),
    "zetac": (
        sp.zetac, lambda s: mp.zeta(s, 1, 1), lambda s: (2 * mp.pi) ** s * mp.gamma(1 - s) if s < 0 else 1,
        even(-20.03, 20)[::20], 30,
    ),
    "airy": (
        lambda x: sp.airy(x)[0], lambda x: mp.airyai(x, 1),
        lambda x: mp.root(1 + abs(x), 4) if x < 0 else abs(mp.airyai(x, 1)), even(-20, 20)[::10], 100,
    ),
    "sici": (lambda x: sp.sici(x)[0], mp.sinc, lambda x: 1 / (1 + abs(x)), even(-60, 60), 5),
    "fresnel": (
        lambda x: sp.fresnel(x)[0], lambda x: mp.sinpi(x * x / 2), lambda x: 1 + x * x, even(-60, 60), 5,
    ),
    "dawsn": (sp.dawsn, dawson, lambda x: mpf(1), even(-10, 10), 4),
    "j0": (sp.j0, lambda x: -mp.besselj(1, x), amplitude, WAVE, 10),
    "j1": (
        sp.j1, lambda x: (mp.besselj(0, x) - mp.besselj(2, x)) / 2, amplitude, WAVE, 12,
    ),
    "y0": (sp.y0, lambda x: -mp.bessely(1, x), amplitude, WAVE[::10], 14),
    "y1": (
        sp.y1, lambda x: (mp.bessely(0, x) - mp.bessely(2, x)) / 2, amplitude, WAVE[::10], 17,
    ),
    "i0e": (sp.i0e, scaled(mp.besseli, -1), lambda x: mp.exp(-x) * mp.besseli(0, x) / 2 / x, FALL, 16),
    "i1e": (
        sp.i1e,
        lambda x: mp.exp(-x) * ((mp.besseli(0, x) + mp.besseli(2, x)) / 2 - mp.besseli(1, x)),
        lambda x: mp.exp(-x) * mp.besseli(0, x) / 2 / x, FALL, 16,
    ),
}  # fmt: skip
NEARLY = {"k0e": (sp.k0e, scaled(mp.besselk, 1)), "i0e": (sp.i0e, scaled(mp.besseli, -1))}


@pytest.mark.parametrize("name", DIGITS)
def test_to_the_last_digits(name: str) -> None:
    f, exact, points = DIGITS[name]
    assert worst(f, exact, points, 50) <= ALLOWED.get(name, 4)


_rng = np.random.default_rng(0)


def logs(low: float, high: float) -> Any:
    return 10.0 ** _rng.uniform(low, high, COUNT)


def box(logarithm: Any, lam: Any) -> Any:
    z = lam * logarithm
    return logarithm**2 * (mp.exp(z) * (z - 1) + 1) / z**2


def unbox(y: Any, lam: Any) -> Any:
    z = 1 + lam * y
    return z ** (1 / lam) * (y / (lam * z) - mp.log(z) / lam**2)


def gamma_density(a: Any, x: Any) -> Any:
    return mp.exp((a - 1) * mp.log(x) - x - mp.loggamma(a))


def student(v: Any, t: Any) -> Any:
    c = mp.exp(mp.loggamma((v + 1) / 2) - mp.loggamma(v / 2)) / mp.sqrt(v * mp.pi)
    return c * (1 + t * t / v) ** (-(v + 1) / 2)


def smooth(delta: Any, r: Any) -> Any:
    with mp.workdps(900):
        h = mp.sqrt(1 + (r / delta) ** 2)
        return +(2 * delta * (h - 1) - r * r / delta / h)


# Of two operands: the derivative in each, and the largest error. Where that is more than 4 units, the
# derivative is a multiple of SciPy's own value, which has it (beta, poch, binom, ζ), or a power with a
# rounded base or exponent (of Box and Cox in λ, of Student).
PAIRS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...], tuple[float, ...]]] = {
    "beta": (sp.beta, (
        lambda a, b: mp.beta(a, b) * (mp.psi(0, a) - mp.psi(0, a + b)),
        lambda a, b: mp.beta(a, b) * (mp.psi(0, b) - mp.psi(0, a + b)),
    ), (logs(-3, 1), logs(-3, 1)), (60, 60)),
    "betaln": (sp.betaln, (
        lambda a, b: mp.psi(0, a) - mp.psi(0, a + b), lambda a, b: mp.psi(0, b) - mp.psi(0, a + b),
    ), (logs(-3, 6), logs(-3, 6)), (6, 6)),
    "poch": (sp.poch, (
        lambda z, m: mp.rf(z, m) * (mp.psi(0, z + m) - mp.psi(0, z)),
        lambda z, m: mp.rf(z, m) * mp.psi(0, z + m),
    ), (logs(0.2, 1), logs(-3, 1)), (60, 60)),
    "binom": (sp.binom, (
        lambda n, k: mp.binomial(n, k) * (mp.psi(0, n + 1) - mp.psi(0, n - k + 1)),
        lambda n, k: mp.binomial(n, k) * (mp.psi(0, n - k + 1) - mp.psi(0, k + 1)),
    ), (_rng.uniform(8, 9, COUNT), _rng.uniform(0, 2, COUNT)), (60, 60)),
    "gammainc": (sp.gammainc, (None, gamma_density), (logs(-1, 2), logs(-3, 2)), (0, 8)),
    "gammaincc": (
        sp.gammaincc, (None, lambda a, x: -gamma_density(a, x)), (logs(-1, 2), logs(-3, 2)), (0, 8),
    ),
    "rel_entr": (
        sp.rel_entr, (lambda x, y: mp.log(x / y) + 1, lambda x, y: -x / y),
        (logs(-9, 9), logs(20, 99)), (4, 4),
    ),
    "kl_div": (
        sp.kl_div, (lambda x, y: mp.log(x / y), lambda x, y: 1 - x / y),
        (logs(-150, 150), logs(-150, 150)), (4, 4),
    ),
    "kl_div of alike": (
        sp.kl_div, (lambda x, y: mp.log(x / y), lambda x, y: 1 - x / y), (logs(-1, 1), logs(-1, 1)), (4, 4),
    ),
    "boxcox": (
        sp.boxcox, (lambda x, lam: x ** (lam - 1), lambda x, lam: box(mp.log(x), lam)),
        (logs(-10, 10), _rng.uniform(-5, 5, COUNT)), (4, 150),
    ),
    "boxcox1p": (
        sp.boxcox1p, (lambda x, lam: (1 + x) ** (lam - 1), lambda x, lam: box(mp.log1p(x), lam)),
        (logs(-10, 10), _rng.uniform(-5, 5, COUNT)), (7, 150),
    ),
    "inv_boxcox": (
        sp.inv_boxcox, (lambda y, lam: (1 + lam * y) ** (1 / lam - 1), unbox),
        (_rng.uniform(0, 3, COUNT), _rng.uniform(0.01, 3, COUNT)), (4, 14),
    ),
    "inv_boxcox1p": (
        sp.inv_boxcox1p, (lambda y, lam: (1 + lam * y) ** (1 / lam - 1), unbox),
        (_rng.uniform(0, 3, COUNT), _rng.uniform(0.01, 3, COUNT)), (4, 14),
    ),
    "huber": (
        sp.huber, (lambda d, r: max(abs(r) - d, mpf(0)), lambda d, r: max(min(r, d), -d)),
        (logs(-300, 300), both(logs(-300, 300))), (4, 4),
    ),
    "pseudo_huber": (
        sp.pseudo_huber, (smooth, lambda d, r: r / mp.sqrt(1 + (r / d) ** 2)), (logs(-99, 99), logs(-99, 99)),
        (5, 4),
    ),
    "stdtr": (sp.stdtr, (None, student), (logs(-1, 1), _rng.uniform(-50, 50, COUNT)), (0, 60)),
    "_zeta": (sp.zeta, (None, lambda s, q: -s * mp.zeta(s + 1, q)), (1 + logs(-1, 1), logs(-1, 2)), (0, 50)),
    "zeta in s": (
        sp.zeta, (lambda s, q: mp.zeta(s, q, 1), None), (1 + logs(-1, 1), 1 + logs(-1, 2)), (12, 0),
    ),
}  # fmt: skip
# In the shapes by quadrature, and inverses, tested below; of any order, for which j0, ..., k1e stand.
OTHERS = {
    "gammaincinv", "gammainccinv", "stdtrit",
    "jv", "yv", "iv", "kv", "yn", "kn", "ive", "kve", "jve", "yve", "hankel1", "hankel2", "wofz",
    "expn", "hyp0f1",
    "eval_legendre", "eval_chebyt", "eval_chebyu", "eval_laguerre", "eval_hermite", "eval_hermitenorm",
}  # fmt: skip
NUMPYS = {"erf", "expm1", "log1p", "exp2", "cbrt", "expit", "log_expit", "logit", "xlogy", "xlog1py"}


@pytest.mark.parametrize("name", PAIRS)
def test_of_two_operands_to_the_last_digits(name: str) -> None:
    f, exact, points, limits = PAIRS[name]
    few = slice(0, None, 10 if "zeta" in name else 1)
    x, y = (p[few] for p in points)
    with mp.workdps(60), np.errstate(all="ignore"):
        for i, (d, limit) in enumerate(zip(exact, limits, strict=True)):
            if d is not None:
                one = (lambda v: f(v, y)) if i == 0 else (lambda v: f(x, v))
                (got,) = cr.vjp(one, (x, y)[i])[1](np.ones_like(x))
                want = [d(mpf(float(a)), mpf(float(b))) for a, b in zip(x, y, strict=True)]
                here = np.array([2e-308 < abs(e) < 1e308 for e in want])
                errors = ulps(got[here], [e for e, h in zip(want, here, strict=True) if h])
                k = int(np.argmax(errors))
                assert errors[k] <= limit, (i, x[here][k], y[here][k], errors[k])


def test_every_function_has_a_row() -> None:
    """Those that NumPy's rules answer have theirs in tests/rules/test_accuracy.py."""
    names = {f.__name__ for f in sc.CALLS if f.nin <= 2} - {"_lambertw"}
    assert names - DIGITS.keys() - CROSSING.keys() - PAIRS.keys() - OTHERS == NUMPYS - {"erf"}


@pytest.mark.parametrize("name", CROSSING)
def test_where_a_derivative_crosses_zero(name: str) -> None:
    f, exact, size, points, limit = CROSSING[name]
    assert worst(f, exact, points, 50, size) <= limit


@pytest.mark.parametrize("name", NEARLY)
def test_scaled_bessel_functions_do_not_cancel(name: str) -> None:
    """The difference of two functions would be off by 2x units in the last place, and more at each order."""
    assert worst(*NEARLY[name], np.logspace(-2, 4, 40), 60) <= 20


def worst(
    f: Callable[..., Any], exact: Callable[[Any], Any], points: Any, digits: int, size: Any = lambda x: mpf(0)
) -> float:
    """The largest error in units of the last place of the exact number, or of its size."""
    with mp.workdps(digits), np.errstate(all="ignore"):
        value, pull = cr.vjp(f, points)
        (got,) = pull(np.ones_like(value))
        errors = []
        for x, y in zip(points, got, strict=True):
            want = exact(mpf(float(x)))
            unit = np.spacing(float(max(abs(want), abs(size(mpf(float(x)))))))
            errors.append(float(abs(mpf(float(y)) - want) / mpf(float(unit))))
        return max(errors)
