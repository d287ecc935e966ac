"""Special functions: in the shapes, at the edges, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from mpmath import mpf
from scipy import special as sp

import chainrule as cr
from chainrule.rules import bessel as bs
from chainrule.rules import gamma as gm
from chainrule.rules import special as sc
from chainrule.rules import student as st
from chainrule.scipy import special
from tests import exact as ex
from tests.rules.test_special_accuracy import phi

inf, nan = np.inf, np.nan

# -------------------------------------------------------------------- of complex numbers, and differences


def test_polygamma_of_complex_numbers() -> None:
    rng = np.random.default_rng(0)
    z = rng.uniform(-30, 30, 60) + 1j * rng.uniform(-30, 30, 60)
    for n in (1, 2, 4):
        want = np.array([complex(mp.psi(n, mp.mpc(x))) for x in z])
        np.testing.assert_allclose(special.polygamma(n, z), want, rtol=1e-11)


def test_differences_of_psi_do_not_cancel() -> None:
    rng = np.random.default_rng(0)
    a, b = 10.0 ** rng.uniform(-3, 8, (2, 200))
    with mp.workdps(50):
        for n in (0, 1, 2):
            want = [mp.psi(n, mpf(x) + mpf(y)) - mp.psi(n, mpf(x)) for x, y in zip(a, b, strict=True)]
            got = gm.polygamma_difference(a, b, order=n)
            np.testing.assert_allclose(got, np.array(want, float), rtol=4e-14)


# -------------------------------------------------------------------- in the shapes


def quotient(f: Callable[[Any], Any], x: float) -> Any:
    """The derivative by a difference that takes half of the digits in use."""
    h = mpf(x) * mpf(10) ** (-mp.mp.dps // 3)
    return (f(x + h) - f(x - h)) / (2 * h)


def test_incomplete_gamma_functions_in_the_shape() -> None:
    """Relative to the derivative itself, near the mean and in both tails."""
    rng = np.random.default_rng(1)
    a = 10 ** rng.uniform(-2.5, 3, 60)
    near, far = a[:30] + 2 * np.sqrt(a[:30]) * np.abs(rng.normal(size=30)), 10 ** rng.uniform(-9, 1, 30)
    x = np.concatenate([near, far])
    got, other = (
        cr.jvp(lambda a, f=f: f(a, x), (a,), (np.ones(60),))[1] for f in (sp.gammainc, sp.gammaincc)
    )
    assert np.array_equal(got, -other)
    with mp.workdps(60):
        for p, u, d in zip(a, x, got, strict=True):
            want = quotient(lambda p, u=u: mp.gammainc(p, 0, mpf(u), regularized=True), mpf(p))
            assert abs(want) < 1e-290 or abs(d / want - 1) < 2e-12, (p, u, d, want)


def test_incomplete_beta_functions_in_the_shapes() -> None:
    rng = np.random.default_rng(2)
    a, b = 10 ** rng.uniform(-2, 2, (2, 24))
    x = np.concatenate([rng.beta(1 + a[:16], 1 + b[:16]), 10 ** rng.uniform(-9, -0.5, 8)])
    da = cr.jvp(lambda a: sp.betainc(a, b, x), (a,), (np.ones(24),))[1]
    db = cr.jvp(lambda b: sp.betaincc(a, b, x), (b,), (np.ones(24),))[1]
    with mp.workdps(40):
        for p, q, u, d, e in zip(*(map(mpf, each) for each in (a, b, x, da, db)), strict=True):
            in_a = lambda p, q=q, u=u: mp.betainc(p, q, 0, u, regularized=True)
            in_b = lambda q, p=p, u=u: mp.betainc(p, q, 0, u, regularized=True)
            for got, want in ((d, quotient(in_a, p)), (-e, quotient(in_b, q))):
                assert abs(want) < 1e-290 or abs(got / want - 1) < 2e-12, (p, q, u, got, want)


@pytest.mark.parametrize(
    "df, z", [(3.0, 0.7), (100.0, -3.0), (1e4, 1.0), (0.5, 20.0), (2.0, 1e5), (30.0, 1e-5)]
)
def test_students_distribution_in_the_degrees_of_freedom(df: float, z: float) -> None:
    def exact(df: Any) -> Any:
        x = mpf(z) ** 2
        return mp.sign(z) * mp.betainc(mpf(1) / 2, df / 2, 0, x / (df + x), regularized=True) / 2

    with mp.workdps(60):
        want = quotient(exact, mpf(df))
        assert abs(cr.grad(lambda df: sp.stdtr(df, z))(df) / want - 1) < 1e-10


def spread(low: float, high: float) -> Any:
    return 10.0 ** np.random.default_rng(3).uniform(low, high, 25)


@pytest.mark.parametrize(
    "f, exact, at",
    [
        (sp.gammainc, ex.GAMMAINC, (spread(-10, 2), spread(-307, 2)[::-1])),
        (sp.betainc, ex.BETAINC, (spread(-10, 2), spread(-3, 2), np.minimum(spread(-307, 2)[::-1], 0.99))),
        (sp.stdtr, ex.STDTR, (spread(-3, 2), spread(-8, 12)[::-1])),
        (sp.stdtr, ex.STDTR, (spread(-3, 2), spread(8, 150)[::-1])),
    ],
    ids=["gammainc", "betainc", "stdtr", "stdtr far out"],
)
def test_in_the_first_shape_to_twelve_digits(f: Any, exact: Any, at: Any) -> None:
    got = cr.jvp(lambda a: f(a, *at[1:]), (at[0],), (np.ones_like(at[0]),))[1]
    with mp.workdps(40):
        want = np.array([exact[0](*map(mpf, p)) for p in np.transpose(at).tolist()], float)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-290)


@pytest.mark.parametrize("b, x", [(1e200, 1e-200), (1e16, 3e-16), (1e10, 1e-10), (1e100, 3e-101), (0.7, 0.3)])
def test_incomplete_beta_of_one_small_and_one_enormous(b: float, x: float) -> None:
    """Of a = 1 ``1 - (1 - x)ᵇ``; in a by its series."""
    got = cr.grad(sp.betainc, argnums=(0, 1, 2))(1.0, b, x)
    with mp.workdps(300):
        rest = 1 - mpf(x)
        in_b, in_x = -(rest**b) * mp.log(rest), b * rest ** (mpf(b) - 1)
        want = ex.BETAINC[0](mpf(1), mpf(b), mpf(x)), in_b, in_x
    np.testing.assert_allclose(got, np.array(want, float), rtol=1e-12)


# -------------------------------------------------------------------- at the edges

# what, at, the derivative in each argument, the second derivative in the first
EDGES: list[tuple[str, Callable[..., Any], tuple[float, ...], tuple[float, ...], float | None]] = [
    ("1/Γ at its zeros", sp.rgamma, (-3.0,), (-6.0,), 15.073412021181603),
    ("1/Γ at 0", sp.rgamma, (0.0,), (1.0,), 2 * np.euler_gamma),
    ("1/Γ far out", sp.rgamma, (inf,), (0.0,), None),
    ("log |Γ| at 0", sp.gammaln, (0.0,), (-inf,), inf),
    ("erf far out", sp.erf, (inf,), (0.0,), 0.0),
    ("exp(x²) erfc(x) far out", sp.erfcx, (1e10,), (-1e-20 / np.sqrt(np.pi),), 2e-30 / np.sqrt(np.pi)),
    ("log Φ far out", sp.log_ndtr, (-1e10,), (1e10,), -1.0),
    ("log Φ on the other side", sp.log_ndtr, (40.0,), (0.0,), 0.0),
    ("log Φ of -∞", sp.log_ndtr, (-inf,), (inf,), None),
    ("Φ⁻¹ at 0", sp.ndtri, (0.0,), (inf,), -inf),
    ("Φ⁻¹ of a logarithm", sp.ndtri_exp, (-inf,), (0.0,), None),
    ("exprel at 0", sp.exprel, (0.0,), (0.5,), 1 / 3),
    ("exprel far out", sp.exprel, (-800.0,), (1 / 800**2,), 2 / 800**3),
    ("exprel beyond", sp.exprel, (800.0,), (inf,), inf),
    ("spence at 1", sp.spence, (1.0,), (-1.0,), 0.5),
    ("spence at 0", sp.spence, (0.0,), (-inf,), inf),
    ("entr at 0", sp.entr, (0.0,), (inf,), -inf),
    ("entr outside", sp.entr, (-1.0,), (nan,), None),
    ("J₁ at 0", sp.j1, (0.0,), (0.5,), 0.0),
    ("Y₁ at 0", sp.y1, (0.0,), (inf,), None),
    ("K₀ at 0", sp.k0, (0.0,), (-inf,), inf),
    ("scaled K₀ at 0", sp.k0e, (0.0,), (-inf,), inf),
    ("scaled K₀ far out", sp.k0e, (1e20,), (-0.5e-30 * np.sqrt(np.pi / 2),), 0.75e-50 * np.sqrt(np.pi / 2)),
    ("scaled I₀, which has a kink", sp.i0e, (0.0,), (0.0,), None),
    ("scaled I₁ at 0", sp.i1e, (0.0,), (0.5,), 0.0),
    ("binom at k = 0", sp.binom, (5.0, 0.0), (0.0, 137 / 60), 0.0),
    ("binom at k = -1", sp.binom, (5.0, -1.0), (0.0, 1 / 6), 0.0),
    ("binom at k = n + 1", sp.binom, (5.0, 6.0), (1 / 6, -1 / 6), None),
    ("poch at 0", sp.poch, (0.0, 2.0), (1.0, 0.0), 2.0),
    ("lower gamma at 0", sp.gammainc, (1.0, 0.0), (0.0, 1.0), 0.0),
    ("lower gamma of shape 2 at 0", sp.gammainc, (2.0, 0.0), (0.0, 0.0), 0.0),
    ("lower gamma far out", sp.gammainc, (2.0, inf), (0.0, 0.0), 0.0),
    ("lower gamma outside", sp.gammainc, (-1.0, 2.0), (nan, nan), None),
    ("its inverse at 0", sp.gammaincinv, (0.5, 0.0), (0.0, 0.0), 0.0),
    ("lower beta at 0", sp.betainc, (1.0, 3.0, 0.0), (0.0, 0.0, 3.0), 0.0),
    ("lower beta at 1", sp.betainc, (2.0, 1.0, 1.0), (0.0, 0.0, 2.0), 0.0),
    ("relative entropy of nothing", sp.rel_entr, (0.0, 0.0), (1.0, -1.0), None),
    ("Kullback's and Leibler's of nothing", sp.kl_div, (0.0, 0.0), (0.0, 0.0), None),
    ("of what is equal", sp.kl_div, (2.0, 2.0), (0.0, 0.0), 0.5),
    ("Huber's at the bend", sp.huber, (1.0, 1.0), (0.0, 1.0), None),
    ("Huber's of a negative bend", sp.huber, (-1.0, 1.0), (nan, nan), None),
    ("the smooth one at 0", sp.pseudo_huber, (0.0, 0.0), (0.0, 0.0), None),
    ("the smooth one without a bend", sp.pseudo_huber, (0.0, 1.0), (1.0, 0.0), None),
    ("the smooth one far out", sp.pseudo_huber, (1.0, 1e200), (1e200, 1.0), None),
    ("boxcox at λ = 0", sp.boxcox, (2.0, 0.0), (0.5, np.log(2) ** 2 / 2), -0.25),
    ("boxcox at 0", sp.boxcox, (0.0, 2.0), (0.0, 0.25), 1.0),
    ("boxcox outside", sp.boxcox, (-1.0, 1.0), (nan, nan), None),
    ("inv_boxcox at λ = 0", sp.inv_boxcox, (1.0, 0.0), (np.e, -np.e / 2), np.e),
    ("W at 0", lambda z: np.real(sp.lambertw(z)), (0.0,), (1.0,), -2.0),
    ("W far out", lambda z: np.real(sp.lambertw(z)), (1e300,), (9.98540672639879e-301,), None),
    ("Student's at 0", sp.stdtr, (3.0, 0.0), (0.0, 2 / (np.pi * 3**0.5)), 0.0),
    ("Student's of infinite freedom", sp.stdtr, (inf, 1.0), (0.0, float(phi(1))), None),
]


@pytest.mark.parametrize("row", EDGES, ids=lambda row: row[0])
def test_edges(row: Any) -> None:
    """The limits, in both modes; the second derivative in the first argument in all four pairs of them."""
    _, f, point, wanted, second = row
    with np.errstate(all="ignore"):
        for i, want in enumerate(wanted):
            for mode in ("forward", "reverse"):
                d = cr.jacobian(f, argnums=i, mode=mode)
                np.testing.assert_allclose(d(*point), want, rtol=1e-13, atol=1e-300)
                if i == 0 and second is not None:
                    for other in ("forward", "reverse"):
                        dd = cr.jacobian(d, mode=other)(*point)
                        np.testing.assert_allclose(dd, second, rtol=1e-12, atol=1e-15 * (second == 0))


def test_edges_in_programs() -> None:
    """Compiled as eager, all of them in one program."""
    points = [point for _, _, point, _, _ in EDGES]

    def run(points: Any) -> Any:
        return [cr.vjp(f, *point)[1](1.0) for (_, f, _, _, _), point in zip(EDGES, points, strict=True)]

    with np.errstate(all="ignore"):
        got, want = cr.compile(run)(points), run(points)
    for row, a, b in zip(EDGES, got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14, err_msg=row[0])


# -------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda v: sp.jv(v, 1.0), "jv: received a Value as v, the order"),
        (lambda v: sp.kn(v, 1.0), "kn: received a Value as v, the order"),
        (lambda v: sp.ive(v, 1.0), "ive: received a Value as v, the order"),
    ],
)
def test_no_derivative_in_an_order(call: Callable[[Any], Any], named: str) -> None:
    with pytest.raises(TypeError, match=named):
        cr.grad(call)(2.0)


def test_scaled_functions_of_complex_numbers_are_not_analytic() -> None:
    for f in (sp.ive, sp.jve, sp.yve):
        with pytest.raises(TypeError, match=f"{f.__name__}: received a complex argument"):
            cr.grad(lambda z, f=f: f(1.0, z), holomorphic=True)(1 + 1j)


def test_the_library_does_not_load_scipy() -> None:
    program = "import sys, chainrule; assert not any(m.startswith('scipy') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_function_is_that_of_its_name() -> None:
    """No entry of the table of functions answers for another."""
    x = {1: (0.4,), 2: (1.7, 0.4), 3: (1.7, 2.3, 0.4), 4: (1.7, 0.6, 2.3, 0.4)}
    for ufunc, f in sc.CALLS.items():
        if ufunc.__name__.startswith("_"):
            continue
        whole = ufunc.__name__ in ("yn", "kn", "expn", "eval_hermite", "eval_hermitenorm")
        point = (2, 0.4) if whole else x[ufunc.nin]
        point = (-0.4,) if ufunc is sp.ndtri_exp else point
        np.testing.assert_allclose(cr.data(f(*point)), ufunc(*point), rtol=4e-16)


def test_bessel_functions_of_neighbouring_orders() -> None:
    """A fast path has a naive one beside it: the scaled functions by differences of their neighbours."""
    x = np.linspace(0.3, 8, 50)
    for f, v, slope in (
        (bs.k0e, 0, sp.k0e(x) - sp.k1e(x)), (bs.k1e, 1, sp.k1e(x) - (sp.k0e(x) + sp.kve(2, x)) / 2),
        (bs.i0e, 0, sp.i1e(x) - sp.i0e(x)), (bs.i1e, 1, (sp.i0e(x) + sp.ive(2, x)) / 2 - sp.i1e(x)),
    ):  # fmt: skip
        got = cr.jvp(f, (x,), (np.ones_like(x),))[1]
        np.testing.assert_allclose(got, slope, rtol=1e-13, err_msg=f"{f} {v}")


def test_students_density() -> None:
    x = np.linspace(-5, 5, 50)
    for df in (0.5, 3.0, 1e6, inf):
        got = cr.jvp(lambda z, df=df: st.stdtr(df, z), (x,), (np.ones_like(x),))[1]
        with np.errstate(invalid="ignore"):
            want = np.exp(-x * x / 2) / np.sqrt(2 * np.pi) if df == inf else sp.poch(df / 2, 0.5) / np.sqrt(
                df * np.pi
            ) * (1 + x * x / df) ** (-(df + 1) / 2)
        np.testing.assert_allclose(got, want, rtol=1e-9)
