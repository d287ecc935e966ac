"""`chainrule.scipy.interpolate` beside `scipy.interpolate`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.interpolate

import chainrule as cr
from chainrule import Value
from chainrule.scipy import interpolate
from tests.scipy.check import like_scipy

rng = np.random.default_rng(5)
q = np.array([[-0.3, 0.2, 0.9], [1.4, 2.2, 6.1]])
ENDS: dict[str, Any] = {
    "not-a-knot": "not-a-knot",
    "clamped": "clamped",
    "natural": "natural",
    "first and second": ((1, 0.3), (2, 0.7)),
    "second and not-a-knot": ((2, -0.4), "not-a-knot"),
    "clamped and first": ("clamped", (1, 0.7)),
}


def points(n: int, *rest: int) -> tuple[Any, Any]:
    return np.cumsum(rng.uniform(0.5, 1.3, n)) - 0.5, rng.normal(size=(n, *rest))


def spread(bc: Any, rest: tuple[int, ...]) -> Any:
    """Values at the ends for each of the curves."""
    return (
        bc
        if isinstance(bc, str)
        else tuple(e if isinstance(e, str) else (e[0], np.full(rest, e[1])) for e in bc)
    )


@pytest.mark.parametrize("n", [2, 3, 4, 6])
@pytest.mark.parametrize("name", ENDS)
def test_cubic_spline(name: str, n: int) -> None:
    for rest in ((), (2,)):
        x, y = points(n, *rest)
        bc = spread(ENDS[name], rest)

        def f(s: Any, x: Any, y: Any, q: Any, bc: Any = bc) -> Any:
            curve = s.CubicSpline(x, y, bc_type=bc)
            return (
                curve(q),
                curve(q, 1),
                curve.derivative(2)(q),
                curve.antiderivative()(q),
                curve.integrate(0.3, 1.1),
            )

        like_scipy(f, interpolate, scipy.interpolate, x, y, q, rtol=1e-10)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_periodic(n: int) -> None:
    x, y = points(n + 1)

    def f(s: Any, x: Any, y: Any, q: Any) -> Any:
        return s.CubicSpline(x, np.concatenate([y, y[:1]]), bc_type="periodic")(q)

    like_scipy(f, interpolate, scipy.interpolate, x, y[:-1], q, rtol=1e-10)


def test_integrals_of_periodic_curves() -> None:
    """What grows from period to period is not periodic itself: it ends where the points do."""
    x, y = np.array([0.0, 1.0, 2.5, 3.0, 4.2]), np.array([1.0, 2.0, -1.0, 0.5])

    def f(s: Any, x: Any, y: Any, q: Any) -> Any:
        curve = s.CubicSpline(x, np.concatenate([y, y[:1]]), bc_type="periodic")
        return curve.antiderivative()(x), curve.antiderivative(2)(x), curve.derivative()(q), [
            curve.integrate(a, b) for a, b in ((0.3, 1.1), (0.3, 4.2), (-7.5, 2.0), (3.0, 20.0), (2.0, -1.0))
        ]  # fmt: skip

    like_scipy(f, interpolate, scipy.interpolate, x, y, q, rtol=1e-9)
    curve = interpolate.CubicSpline(x, np.append(y, y[0]), bc_type="periodic").antiderivative()
    assert np.array_equal(np.isnan(curve(np.array([-0.1, 0.0, 4.2, 4.3]))), [True, False, False, True])


@pytest.mark.parametrize("n", [2, 3, 6])
def test_pchip_and_hermite(n: int) -> None:
    x, y = points(n, 2)
    like_scipy(
        lambda s, x, y, q: s.PchipInterpolator(x, y)(q), interpolate, scipy.interpolate, x, y, q, rtol=1e-10
    )
    like_scipy(lambda s, x, y, d, q: s.CubicHermiteSpline(x, y, d)(q), interpolate, scipy.interpolate, x, y,
               rng.normal(size=y.shape), q, rtol=1e-10)  # fmt: skip


def test_axes_numbers_and_the_world_outside() -> None:
    x, y = points(5)
    many = rng.normal(size=(2, 5, 3))
    like_scipy(lambda s, y, q: s.CubicSpline(x, y, axis=1)(q), interpolate, scipy.interpolate, many, q)
    like_scipy(lambda s, y, q: s.CubicSpline(x, y)(q), interpolate, scipy.interpolate, y, 0.77)
    like_scipy(lambda s, y, q: np.nan_to_num(s.CubicSpline(x, y, extrapolate=False)(q)), interpolate,
               scipy.interpolate, y, q)  # fmt: skip
    assert np.isnan(interpolate.PPoly(np.ones((1, 1)), [0.0, 1.0], extrapolate=False)(2.0))


def test_the_derivative_of_the_curve_is_its_derivative() -> None:
    x, y = points(6)
    curve = interpolate.CubicSpline(x, y)
    np.testing.assert_allclose([cr.grad(curve)(t) for t in (0.3, 1.7)], curve([0.3, 1.7], 1), rtol=1e-13)


ERRORS: dict[str, Any] = {
    "CubicSpline: x is (3,), y is (4,); expected two points": lambda: interpolate.CubicSpline(
        np.ones(3), np.ones(4)
    ),
    "CubicSpline: x must increase strictly": lambda: interpolate.CubicSpline([0.0, 0.0], Value(np.ones(2))),
    "CubicSpline: bc_type has 'wild'; expected": lambda: interpolate.CubicSpline(
        *points(4), bc_type="wild"
    ),
    "CubicSpline: bc_type='periodic' wants equal": lambda: interpolate.CubicSpline(
        *points(4), bc_type="periodic"
    ),
    "CubicSpline: bc_type is periodic at one end": lambda: interpolate.CubicSpline(
        *points(4), bc_type=("periodic", "natural")
    ),
}


@pytest.mark.parametrize("said", ERRORS)
def test_the_error_names_what_was_wrong(said: str) -> None:
    with pytest.raises(ValueError) as error:
        ERRORS[said]()
    assert str(error.value).startswith(said)
