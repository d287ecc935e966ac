"""Differences, interpolation and sequences: NumPy's numbers over many points, ends and knots included."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradient(edge_order: int) -> None:
    rng = np.random.default_rng(edge_order)
    for n in range(edge_order + 1, 7):
        f, x = rng.normal(size=(2, n)), np.cumsum(rng.uniform(0.1, 1, n))
        for spacing in (0.3, x, x[::-1]):
            got = np.gradient(Value(f), spacing, axis=1, edge_order=edge_order)  # type: ignore[call-overload]
            want = np.gradient(f, spacing, axis=1, edge_order=edge_order)
            np.testing.assert_allclose(got.data, want, rtol=1e-11, atol=1e-12)


def test_interp_at_inside_and_beyond_its_knots() -> None:
    xp, fp = np.array([-1.0, 0.0, 0.5, 2.0]), np.array([3.0, 1.0, 4.0, 2.0])
    x = np.concatenate([xp, np.linspace(-3, 4, 57), [np.nan, np.inf, -np.inf]])
    for left, right in ((None, None), (7.0, -7.0)):
        got = np.interp(Value(x), xp, fp, left, right)  # type: ignore[call-overload]
        np.testing.assert_allclose(got.data, np.interp(x, xp, fp, left, right), rtol=1e-14)
    for period in (3.5, -5.0):
        got = np.interp(Value(x[:-2]), xp, fp, period=period)  # type: ignore[call-overload]
        np.testing.assert_allclose(got.data, np.interp(x[:-2], xp, fp, period=period), rtol=1e-13)


def test_the_slopes_of_interp_are_those_of_its_lines() -> None:
    xp, fp = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0])
    D = cr.grad(lambda x: np.sum(np.interp(x, xp, fp)))
    np.testing.assert_array_equal(D(np.array([-1.0, 0.5, 2.0, 9.0])), [0, 2, 0.5, 0])


@pytest.mark.parametrize("num", [0, 1, 2, 5])
@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("f", [np.linspace, np.logspace, np.geomspace], ids=lambda f: f.__name__)
def test_sequences_end_where_they_should(f: object, endpoint: bool, num: int) -> None:
    assert callable(f)
    a, b = np.array([0.3, 2.0]), np.array([1.7, 0.1])
    got, want = f(Value(a), b, num, endpoint), f(a, b, num, endpoint)
    np.testing.assert_allclose(got.data, want, rtol=1e-14)
    if endpoint and num > 1 and f is not np.logspace:
        np.testing.assert_array_equal(got.data[-1], b)


def test_unwrap_moves_with_its_argument_and_not_with_the_turns() -> None:
    x = np.cumsum(np.full(20, 2.5))
    wrapped = np.angle(np.exp(1j * x))
    np.testing.assert_allclose(np.diff(np.unwrap(Value(wrapped)).data), 2.5)
    np.testing.assert_array_equal(cr.jacobian(np.unwrap)(wrapped), np.eye(20))
