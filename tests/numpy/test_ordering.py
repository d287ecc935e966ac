"""What is picked by order: every method of quantiles over many sizes, and where ties go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value

METHODS = (
    "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen weibull linear "
    "median_unbiased normal_unbiased lower higher midpoint nearest"
).split()


@pytest.mark.parametrize("method", METHODS)
def test_quantiles_are_those_of_numpy(method: str) -> None:
    """Of any number of elements, with and without nan, and the weights of the two neighbours add up to 1."""
    rng = np.random.default_rng(METHODS.index(method))
    q = np.concatenate([[0.0, 1.0, 0.5, 1 / 3], rng.uniform(size=4)])
    for n in range(1, 9):
        x = rng.normal(size=(3, n))
        with_nan = np.where(np.arange(n) < np.array([[0], [1], [n]]) // 2, np.nan, x)
        for f, a in ((np.quantile, x), (np.nanquantile, x), (np.nanquantile, with_nan)):
            got = f(Value(a), q, axis=1, method=method)  # type: ignore[call-overload]
            np.testing.assert_allclose(got.data, f(a, q, axis=1, method=method), rtol=1e-13, atol=1e-15)
            J = cr.jacobian(lambda a, f=f: f(a, q, axis=1, method=method))(a)
            np.testing.assert_allclose(J.sum((2, 3)), 1, rtol=1e-13)
            assert np.count_nonzero(np.any(J != 0, axis=1), axis=-1).max() <= 2


def test_a_quantile_between_equal_infinities_is_infinite() -> None:
    x = np.array([np.inf, np.inf, 1.0])
    assert np.median(Value(x)).item() == np.quantile(Value(x), 0.5).item() == np.inf
    assert np.isnan(np.median(Value(np.array([np.nan, 1.0, 2.0]))).item())


@pytest.mark.parametrize("f", [np.unique, np.unique_values])
def test_of_equal_elements_the_first_is_the_one_that_is_kept(f: Any) -> None:
    x = np.array([2.0, 1.0, 1.0, 3.0, 2.0])
    J = cr.jacobian(f)(x)
    np.testing.assert_array_equal(J, np.eye(5)[[1, 0, 3]])


def test_the_largest_k() -> None:
    """By partition, and by argpartition and an index: each derivative goes where its element was."""
    x = np.array([[3.0, 1.0, 4.0], [1.0, 5.0, 9.0]])
    want = np.array([[1.0, 0, 1], [0, 1, 1]])
    for top in (
        lambda x: np.partition(x, -2, axis=1)[:, -2:],
        lambda x: np.take_along_axis(x, np.argpartition(x, -2, axis=1)[:, -2:], 1),
        lambda x: np.sort(x, axis=1)[:, ::-1][:, :2],
    ):
        np.testing.assert_array_equal(cr.grad(lambda x, top=top: np.sum(top(x)))(x), want)
