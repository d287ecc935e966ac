"""What is picked by order: every method of quantiles over many sizes, and where ties go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.numpy import ordering

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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("plain", [np.quantile, np.nanquantile, np.percentile])
def test_the_slope_in_q(method: str, plain: Any) -> None:
    """Between knots that of NumPy's numbers, at a knot the smaller of its two, 0 at and beyond the ends."""
    x = np.array([3.0, 1.0, 7.0, 2.0, 9.0])
    x = np.append(x, np.nan) if plain is np.nanquantile else x
    per = 100 if plain is np.percentile else 1
    f = lambda q: plain(x, q * per, method=method)
    knots = (np.arange(40) + 0.5) / 40 * 0.7 + 0.02
    h = 1e-7
    slopes = (f(knots + h) - f(knots - h)) / (2 * h)
    steps = ~np.isclose((f(knots + h) - f(knots)), (f(knots) - f(knots - h)), atol=1e-9)  # at these it jumps
    for mode in ("forward", "reverse"):
        got = np.diagonal(cr.jacobian(f, mode=mode)(knots))
        np.testing.assert_allclose(got[~steps], slopes[~steps], atol=1e-6)
    ends = np.array([0.0, 1.0])
    assert not np.any(cr.jacobian(f)(ends))


def test_the_slope_in_q_at_a_knot() -> None:
    x = np.array([0.0, 1.0, 3.0])
    f = lambda q: np.quantile(x, q)
    assert cr.grad(f)(0.5) == cr.jvp(f, (0.5,), (1.0,))[1] == 2.0
    beside = np.append(x, [np.inf, np.inf])
    assert [cr.grad(lambda q: np.quantile(beside, q))(q) for q in (0.375, 0.5, 0.625)] == [8, 8, 0]
    assert cr.grad(lambda q: np.quantile(x[::-1] ** 0.5, q))(0.5) == 2 * (3**0.5 - 1)
    mixed = cr.jacobian(cr.grad(lambda x: np.quantile(x, 0.25)))(x)
    assert not np.any(mixed)
    assert np.array_equal(cr.grad(lambda x: cr.grad(lambda q: np.quantile(x, q))(0.25))(x), [-2.0, 2.0, 0.0])


@pytest.mark.parametrize("kind", ["apart", "ties", "zeros", "nan", "complex"])
def test_picks_of_long_rows_are_those_of_a_stable_sort(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found without sorting: the same elements, also among equal ones."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, 101))
    if kind == "ties":
        x = np.round(2 * x)
    elif kind == "zeros":
        x = np.where(rng.uniform(size=x.shape) < 0.6, np.copysign(0.0, x), x)
    elif kind == "nan":
        x = np.where(rng.uniform(size=x.shape) < [[0.0], [0.3], [1.0]], np.nan, np.round(2 * x))
    elif kind == "complex":
        x = np.round(x) + 1j * np.round(x[::-1])
    for places in (np.array([0, 49, 50, 50, 99, 100]), np.array([[3, 40], [50, 51], [100, 0]])):
        order = np.argsort(x, -1, kind="stable")
        want = np.take_along_axis(order, np.broadcast_to(places, (3, places.shape[-1])), -1)
        with monkeypatch.context() as m:
            m.delattr(np, "argsort")
            got = ordering._indices(x, places)
        np.testing.assert_array_equal(got, want)


def test_a_median_beside_nan() -> None:
    """The derivative of the one is that of the last nan, of the other that of what is no nan."""
    x = np.random.default_rng(6).normal(size=101)
    x[[3, 70, 80]] = np.nan
    assert np.flatnonzero(cr.grad(np.median)(x)).tolist() == [80]
    assert np.flatnonzero(cr.grad(np.nanmedian)(x)).tolist() == np.sort(np.argsort(x)[48:50]).tolist()


def test_weights_choose_and_have_no_derivative() -> None:
    x, w = np.array([5.0, 1.0, 3.0]), np.array([1.0, 2.0, 4.0])
    f = lambda x, w: np.quantile(x, 0.5, weights=w, method="inverted_cdf")
    assert f(Value(x), w).item() == f(x, w) == 3.0
    gx, gw = cr.grad(f, argnums=(0, 1))(x, w)
    assert np.array_equal(gx, [0.0, 0.0, 1.0]) and not np.any(gw)


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
