"""Polynomials where it is delicate: roots at 0, at infinity, in pairs, repeated; fits not determined."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value


def test_zeros_in_front_are_roots_at_infinity_and_move_the_others() -> None:
    """``0 x³ + x² - 3 x + 2`` has the roots 2 and 1; each moves by ``-rᵏ / p'(r)`` with a coefficient."""
    p = np.array([0.0, 1.0, -3.0, 2.0])
    J = cr.jacobian(np.roots)(p)
    np.testing.assert_allclose(J, [[-8.0, -4.0, -2.0, -1.0], [1.0, 1.0, 1.0, 1.0]], rtol=1e-12)
    with pytest.raises(ValueError, match=r"^roots: the first of 4 coefficients is 0, .* only 2 roots"):
        cr.compile(np.roots)(p)


def test_roots_at_zero_move_too() -> None:
    J = cr.jacobian(np.roots)(np.array([1.0, -2.0, 0.0]))
    np.testing.assert_allclose(J, [[-2, -1, -0.5], [0, 0, 0.5]])


def test_roots_of_high_degree() -> None:
    """Of Wilkinson's of degree 12; the eigenvectors of its companion matrix are nearly dependent."""
    at = np.arange(1.0, 13.0)
    p = np.poly(at)
    J = cr.jacobian(np.roots)(p)
    for i, r in enumerate(np.roots(p)):
        slope = np.prod([r - s for s in at if abs(r - s) > 0.5])
        np.testing.assert_allclose(J[i], -(r ** np.arange(12, -1, -1)) / slope, rtol=1e-3)


def test_a_repeated_root_has_no_derivative() -> None:
    with np.errstate(all="ignore"):
        J = cr.jacobian(np.roots)(np.array([1.0, 0.0, 0.0]))
    assert not np.any(np.isfinite(J[:, 1:]) & (J[:, 1:] != 0))


def test_the_polynomial_of_roots_and_the_roots_of_a_polynomial() -> None:
    x = np.array([0.5, -1.5, 2.0])
    J = cr.jacobian(lambda x: np.sort(np.roots(np.poly(x))))(x)
    np.testing.assert_allclose(J, np.eye(3)[np.argsort(x)], atol=1e-12)
    assert np.poly(Value(np.array([1j, -1j]))).dtype == np.float64


def test_a_fit_that_is_not_determined_says_so() -> None:
    x, y = Value(np.array([1.0, 1.0, 2.0])), np.array([1.0, 3.0, 5.0])
    with pytest.warns(np.exceptions.RankWarning, match="poorly conditioned"):
        np.polyfit(x, y, 2)
    np.testing.assert_allclose(np.polyfit(x, y, 1).data, [3.0, -1.0])


def test_a_fit_of_what_lies_on_a_line() -> None:
    """Its coefficients move with the data as the line does; the sum of squares stays 0."""
    x = np.array([0.0, 1.0, 2.0, 4.0])
    J = cr.jacobian(lambda y: np.polyfit(x, y, 1))(2 * x + 1)
    np.testing.assert_allclose(J @ x, [1.0, 0.0], atol=1e-14)
    np.testing.assert_allclose(J @ np.ones(4), [0.0, 1.0], atol=1e-14)
    residual = cr.grad(lambda y: np.sum(np.polyfit(x, y, 1, full=True)[1]))(2 * x + 1)
    np.testing.assert_allclose(residual, 0.0, atol=1e-12)
