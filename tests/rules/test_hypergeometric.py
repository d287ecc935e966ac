"""Elliptic integrals of any order, polynomials of unusual degrees, what is refused."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special as sp

import chainrule as cr
from chainrule.rules.hypergeometric import elliptic

POINTS = [1e-15, 1e-8, 1e-3, 0.1, 0.5, 0.9, 1.0, 1.001, 1.999, 2.0, 2.001, 3.0, 100.0, 1e8, 1e60]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_elliptic_integrals_of_any_order(sign: int, order: int) -> None:
    with mp.workdps(60):
        for p in POINTS:
            a, b = mp.mpf(sign) / 2, mp.mpf(1) / 2
            scale = mp.pi / 2 * mp.rf(a, order) * mp.rf(b, order) / mp.factorial(order)
            want = scale * mp.hyp2f1(a + order, b + order, order + 1, 1 - mp.mpf(p))
            got = float(elliptic.run(p, sign=sign, order=order))
            np.testing.assert_allclose(got, float(want), rtol=5e-14, err_msg=str(p))


def test_the_period_of_a_pendulum() -> None:
    """``T = 4 √(l/g) K(sin² θ/2)`` grows with the amplitude as its series says."""
    period = lambda angle: 2 / np.pi * sp.ellipk(np.sin(angle / 2) ** 2)
    np.testing.assert_allclose(cr.hessian(period)(0.0), 1 / 8, rtol=1e-14)
    fourth = cr.grad(cr.grad(cr.grad(cr.grad(period))))
    np.testing.assert_allclose(fourth(0.0), 24 * 11 / 3072, rtol=1e-12)


DEGREES: list[Any] = [0, 1, 2, 5, -1, -2, -3, 0.0, 3.0, 2.5, 0.5, -0.5, -2.5]


@pytest.mark.parametrize("f", [sp.eval_legendre, sp.eval_chebyt, sp.eval_chebyu, sp.eval_laguerre])
@pytest.mark.parametrize("n", DEGREES)
def test_polynomials_of_every_degree(f: Any, n: Any) -> None:
    x = np.array([-0.7, 0.1, 0.45])
    step = 1e-4
    ahead, back = [[f(n, x + k * s * step) for k in (1, 2)] for s in (1, -1)]
    want = (8 * (ahead[0] - back[0]) - (ahead[1] - back[1])) / (12 * step)
    got = cr.grad(lambda v: np.sum(f(n, v)))(x)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


BASES: dict[Any, Any] = {
    sp.eval_legendre: sp.legendre, sp.eval_chebyt: sp.chebyt, sp.eval_chebyu: sp.chebyu,
    sp.eval_laguerre: sp.laguerre, sp.eval_hermite: sp.hermite, sp.eval_hermitenorm: sp.hermitenorm,
}  # fmt: skip
WEIGHTED = {
    "jacobi": (lambda n, x: sp.eval_jacobi(n, 0.7, 1.2, x), lambda n: sp.jacobi(n, 0.7, 1.2)),
    "gegenbauer": (lambda n, x: sp.eval_gegenbauer(n, 1.5, x), lambda n: sp.gegenbauer(n, 1.5)),
    "genlaguerre": (lambda n, x: sp.eval_genlaguerre(n, 0.5, x), lambda n: sp.genlaguerre(n, 0.5)),
}


@pytest.mark.parametrize("name", [f.__name__ for f in BASES] + [*WEIGHTED])
def test_derivatives_of_polynomials_end(name: str) -> None:
    """Those of an order above the degree are 0, at the ends of the interval and far outside too."""
    f, basis = WEIGHTED[name] if name in WEIGHTED else (g := getattr(sp, name), BASES[g])
    for n in range(4):
        for degree in (n,) if "hermite" in name else (n, float(n)):
            derivative = lambda x, degree=degree: f(degree, x)
            for order in range(1, 6):
                derivative = cr.grad(derivative)
                of = np.poly1d(basis(n).coeffs).deriv(order)
                for x in (-3.0, -1.0, -0.5, 0.0, 1.0, 1000.0):
                    np.testing.assert_allclose(derivative(x), of(x), rtol=1e-9, atol=1e-9, err_msg=f"{n} {x}")
    degrees, x = np.arange(4)[:, None], np.array([-1.0, 0.5])
    got = cr.grad(lambda x: np.sum(f(degrees, x)))(x)
    np.testing.assert_allclose(got, sum(np.poly1d(basis(n).coeffs).deriv()(x) for n in range(4)), atol=1e-9)


def test_hypergeometric_functions_that_are_polynomials() -> None:
    """Of degree 0 and 1, where the function of shifted parameters has no value, and 1F1(-2; -3; z)."""
    assert cr.grad(lambda z: sp.hyp1f1(0, 2, z))(800.0) == 0
    assert cr.grad(lambda z: sp.hyp2f1(0, 2, 3, z))(1.0) == 0
    assert cr.hessian(lambda z: sp.hyp2f1(-1, 2, 3, z))(1.5) == 0
    assert cr.hessian(lambda z: sp.hyp1f1(-1, 2, z))(1000.0) == 0
    for run in (lambda f: f, cr.compile):
        got = run(cr.hessian(lambda z: sp.hyp1f1(-2, -3, z)))(0.5)
        np.testing.assert_allclose(got, 1 / 3, rtol=1e-15)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_oscillators(n: int) -> None:
    """The eigenfunctions of the harmonic oscillator solve its equation: ``-ψ'' + x² ψ = (2n + 1) ψ``."""
    psi = lambda x: sp.eval_hermite(n, x) * np.exp(-x * x / 2)
    x = 0.8
    np.testing.assert_allclose(-cr.hessian(psi)(x) + x * x * psi(x), (2 * n + 1) * psi(x), atol=1e-12)


@pytest.mark.parametrize(
    "f, point, argument",
    [
        (sp.hyp2f1, (0.5, 0.5, 1.5, 0.2), "abc"), (sp.hyp1f1, (0.5, 1.5, 0.2), "ab"),
        (sp.hyp0f1, (0.5, 0.2), "v"), (sp.eval_jacobi, (2.0, 0.5, 0.5, 0.2), ("n", "alpha", "beta")),
        (sp.expn, (2.0, 0.2), "n"),
    ],
)  # fmt: skip
def test_parameters_are_plain_numbers(f: Any, point: tuple[Any, ...], argument: Any) -> None:
    for i, name in enumerate(argument):
        with pytest.raises(TypeError, match=f"{f.__name__}: received a Value as {name};"):
            cr.grad(lambda v, i=i: f(*point[:i], v, *point[i + 1 :]))(float(point[i]))
