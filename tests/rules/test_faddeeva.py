"""Faddeeva's function by its integral, and Voigt's profile by its limits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import special as sp

import chainrule as cr
from chainrule.rules.faddeeva import wofz_derivative

ANGLES = (0.0, 1e-9, 0.03, 0.7, np.pi / 2, 2.5, np.pi - 0.01, np.pi)
PLANE = [r * np.exp(1j * t) for r in (0.3, 2.0, 6.0, 6.6, 9.0, 20.0) for t in ANGLES]
BELOW = [complex(x, -y) for x in (0.3, 2.0, 6.0, 7.0, 9.0) for y in (1e-9, 0.01, 0.25, 0.35, 1.0)]


@pytest.mark.parametrize("order, rtol", [(1, 1e-12), (2, 1e-10), (3, 3e-9)])
def test_every_order_in_the_whole_plane(order: int, rtol: float) -> None:
    """Also the real part, on the axis smaller than the other by many powers of ten."""
    with mp.workdps(220):
        for z in PLANE + BELOW:
            w = mp.mpc(z)
            below, here = mp.mpf(0), mp.exp(-w * w) * mp.erfc(-1j * w)
            for n in range(order):
                below, here = here, -2 * (w * here + n * below) + (2j / mp.sqrt(mp.pi) if n == 0 else 0)
            got = complex(wofz_derivative.run(z, order=order))
            np.testing.assert_allclose(got, complex(here), rtol=rtol, atol=1e-300, err_msg=str(z))
            if z.imag >= 0:
                np.testing.assert_allclose(got.real, float(here.real), rtol=100 * rtol, err_msg=str(z))


@pytest.mark.parametrize("order", [1, 2])
def test_far_out_it_is_the_reciprocal(order: int) -> None:
    for z in (1e9 + 1j, 1e9j, -1e100 + 1e90j, 1e150 + 0j):
        want = (-1) ** order * order * 1j / np.sqrt(np.pi) / z / z * (1 / z if order == 2 else 1)
        np.testing.assert_allclose(wofz_derivative.run(z, order=order), want, rtol=1e-14)
    assert wofz_derivative.run(complex(np.inf, 0), order=order) == 0


def test_voigt_is_between_its_limits() -> None:
    """Of γ = 0 it is the normal density, of σ = 0 Cauchy's: so are its derivatives, in x and in the width."""
    normal = lambda p: np.exp(-((p[0] / p[1]) ** 2) / 2) / (p[1] * np.sqrt(2 * np.pi))
    cauchy = lambda p: p[1] / (np.pi * (p[0] ** 2 + p[1] ** 2))
    for x in (0.0, 0.4, -3.0, 9.0):
        p = np.array([x, 0.7])
        for of, limit in (
            (lambda v: sp.voigt_profile(v[0], v[1], 0.0), normal),
            (lambda v: sp.voigt_profile(v[0], 0.0, v[1]), cauchy),
        ):
            np.testing.assert_allclose(cr.grad(of)(p), cr.grad(limit)(p), rtol=2e-12, atol=1e-300)
            np.testing.assert_allclose(cr.hessian(of)(p), cr.hessian(limit)(p), rtol=1e-10, atol=1e-300)


def test_voigt_of_widths_at_the_ends() -> None:
    """Of any small σ the slopes are Cauchy's; at infinity there are none."""
    for sigma in (0.0, 1e-200, 1e-120, 1e-10, 6e-10, 1e-9, 1e-8):
        got = [cr.grad(sp.voigt_profile, argnums=i)(0.5, sigma, 0.5) for i in range(3)]
        np.testing.assert_allclose(got, [-2 / np.pi, sigma * 4 / np.pi, 0.0], rtol=1e-13, atol=1e-14)
    for point in ((0.5, np.inf, 0.5), (0.5, 1.0, np.inf), (np.inf, 1.0, 0.5), (1e200, 1.0, 0.5)):
        assert not any(cr.grad(sp.voigt_profile, argnums=i)(*point) for i in range(3))


def test_voigt_of_unlike_widths_keeps_its_digits() -> None:
    """A Gaussian of 10⁻³ on a Lorentzian of 1: ``∂f/∂σ = σ ∂²f/∂x²``, nearly that of the Lorentzian."""
    cauchy = lambda x: 1 / (np.pi * (x * x + 1))
    got = cr.grad(lambda s: sp.voigt_profile(0.3, s, 1.0))(1e-3)
    np.testing.assert_allclose(got, 1e-3 * cr.hessian(cauchy)(0.3), rtol=1e-5)
    np.testing.assert_allclose(
        cr.grad(lambda x: sp.voigt_profile(x, 1e-6, 1.0))(0.3), cr.grad(cauchy)(0.3), rtol=1e-11
    )
