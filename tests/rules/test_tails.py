"""Logarithms of densities and distribution functions where the probabilities leave the range of floats."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from mpmath import mpf

import chainrule as cr
from chainrule.scipy import stats

inf = np.inf

# -------------------------------------------------------------------- far out, by mpmath


def log_upper_gamma(x: Any, a: Any) -> Any:
    """``log Q``: x over the density times an integral, in pieces of the integrand's width."""
    width = 1 / (x - a + mp.sqrt(a))
    points = [k * width for k in (0, 1, 4, 16, 60, 300)]
    return a * mp.log(x) - x - mp.loggamma(a) + mp.log(
        mp.quad(lambda s: mp.exp(a * s - x * mp.expm1(s)), points)
    )


def series(term: Callable[[int], Any]) -> Any:
    """``1 + t(0) + t(0) t(1) + ...``."""
    total, product, n = mpf(0), mpf(1), 0
    while n < 5 or product > total * mpf(10) ** -50:
        total, product, n = total + product, product * term(n), n + 1
    return total


def log_lower_gamma(x: Any, a: Any) -> Any:
    return a * mp.log(x) - x - mp.loggamma(a + 1) + mp.log(series(lambda n: x / (a + 1 + n)))


def log_lower_beta(x: Any, a: Any, b: Any) -> Any:
    total = series(lambda n: x * (a + b + n) / (a + 1 + n))
    front = mp.loggamma(a + b) - mp.loggamma(a + 1) - mp.loggamma(b)
    return a * mp.log(x) + b * mp.log1p(-x) + front + mp.log(total)


def log_lower_student(z: Any, df: Any) -> Any:
    return log_lower_beta(df / (df + z * z), df / 2, mpf(1) / 2) - mp.log(2)


def log_lower_normal(z: Any) -> Any:
    return mp.log(mp.erfc(-z / mp.sqrt(2)) / 2)


def of_whole(method: str, k: int) -> Callable[..., Any]:
    return lambda *shapes: getattr(stats.poisson if len(shapes) == 1 else stats.binom, method)(k, *shapes)


# What is computed, what it is, and where.
TAILS: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[tuple[float, ...]]]] = {
    "gamma.logsf": (
        stats.gamma.logsf, log_upper_gamma,
        [(900.0, 2.0), (150.0, 1e-3), (3000.0, 1e3), (1.05e6, 1e6), (1e4, 1.5)],
    ),
    "gamma.logcdf": (
        stats.gamma.logcdf, log_lower_gamma,
        [(1e-30, 3.0), (1e-150, 0.5), (0.1, 100.0), (1e-100, 1e3), (500.0, 1500.0), (9e3, 1.2e4)],
    ),
    "chi2.logsf": (
        stats.chi2.logsf, lambda x, df: log_upper_gamma(x / 2, df / 2), [(5e3, 2e3)],
    ),
    "chi2.logcdf": (
        stats.chi2.logcdf, lambda x, df: log_lower_gamma(x / 2, df / 2), [(1e-90, 3.0), (50.0, 999.0)],
    ),
    "beta.logcdf": (
        stats.beta.logcdf, log_lower_beta,
        [(1e-40, 3.0, 2.0), (0.01, 50.0, 3.0), (0.3, 500.0, 20.0), (0.4, 5e3, 2e3), (0.9, 1e4, 0.5)],
    ),
    "beta.logsf": (
        stats.beta.logsf, lambda x, a, b: log_lower_beta(1 - x, b, a),
        [(0.99, 3.0, 50.0), (0.7, 20.0, 500.0), (0.5, 10.0, 1e3), (0.6, 2e3, 5e3)],
    ),
    "t.logcdf": (
        stats.t.logcdf, log_lower_student,
        [(-1e10, 10.0), (-1e5, 100.0), (-30.0, 1e3), (-20.0, 1e4), (-1e90, 3.0)],
    ),
    "t.logsf": (stats.t.logsf, lambda z, df: log_lower_student(-z, df), [(1e10, 10.0), (30.0, 1e3)]),
    "norm.logcdf": (stats.norm.logcdf, log_lower_normal, [(-50.0,), (-1e3,)]),
    "lognorm.logcdf": (
        stats.lognorm.logcdf, lambda x, s: log_lower_normal(mp.log(x) / s), [(1e-30, 0.8), (0.5, 0.01)],
    ),
    "lognorm.logsf": (
        stats.lognorm.logsf, lambda x, s: log_lower_normal(-mp.log(x) / s), [(1e30, 0.8), (2.0, 0.01)],
    ),
    "poisson.logcdf": (of_whole("logcdf", 10), lambda m: log_upper_gamma(m, mpf(11)), [(300.0,), (1e4,)]),
    "poisson.logsf": (of_whole("logsf", 100), lambda m: log_lower_gamma(m, mpf(101)), [(1.0,), (20.0,)]),
    "binom.logsf": (
        lambda p: stats.binom.logsf(80, 100, p), lambda p: log_lower_beta(p, mpf(81), mpf(20)), [(1e-3,)],
    ),
}  # fmt: skip


def differences(f: Callable[..., Any], at: list[Any]) -> tuple[list[Any], list[list[Any]]]:
    """First and second derivatives, by central steps."""
    n = len(at)

    def moved(*steps: tuple[int, int]) -> Any:
        x = list(at)
        for i, sign in steps:
            x[i] += sign * h[i]
        return f(*x)

    h = [abs(x) * mpf(10) ** -14 for x in at]
    first = [(moved((i, 1)) - moved((i, -1))) / (2 * h[i]) for i in range(n)]
    second = [[mpf(0)] * n for _ in at]
    for i, j in itertools.combinations_with_replacement(range(n), 2):
        y = moved((i, 1), (j, 1)) - moved((i, 1), (j, -1)) - moved((i, -1), (j, 1)) + moved((i, -1), (j, -1))
        second[i][j] = second[j][i] = y / (4 * h[i] * h[j])
    return first, second


@pytest.mark.parametrize("name", TAILS)
def test_in_the_tails(name: str) -> None:
    """Values and slopes to 2e-14, second derivatives to 1e-9 of the largest, in units of the operands."""
    f, exact, points = TAILS[name]
    for point in points:
        n = len(point)
        with mp.workdps(60):
            at = [mpf(x) for x in point]
            first, second = differences(exact, at)
            value = float(exact(*at))
        np.testing.assert_allclose(f(*point), value, rtol=2e-15, err_msg=f"{point}")
        for mode in ("forward", "reverse"):
            got = [float(cr.jacobian(f, argnums=i, mode=mode)(*point)) for i in range(n)]
            np.testing.assert_allclose(got, np.array(first, float), rtol=2e-14, err_msg=f"{point}, {mode}")
        got = [
            [float(cr.jacobian(cr.jacobian(f, argnums=i), argnums=j)(*point)) for j in range(n)]
            for i in range(n)
        ]
        unit = np.outer(point, point)
        want = np.array(second, float) * unit
        off = np.max(np.abs(got * unit - want)) / np.max(np.abs(want))
        assert off < 1e-9, f"{point}: {got}, expected {want / unit}"


def test_many_in_one_call_and_in_a_program() -> None:
    """Points in the tail beside others, in double and in single precision."""
    x = np.array([1e-30, 0.5, 3.0, 40.0, 900.0])
    for f in (stats.gamma.logsf, stats.gamma.logcdf, lambda x, a: stats.t.logcdf(-x * 1e3, 10 * a)):
        def value_and_slope(x: Any, a: Any, f: Any = f) -> Any:
            return f(x, a), cr.grad(lambda x: np.sum(f(x, a)))(x)

        for dtype, rtol in ((float, 1e-13), (np.float32, 2e-5)):
            at = x.astype(dtype), np.full(5, 2.5, dtype)
            got, program = value_and_slope(*at), cr.compile(value_and_slope)(*at)
            want = [np.array([f(float(u), 2.5) for u in at[0]]), value_and_slope(at[0].astype(float), 2.5)[1]]
            for a, b, c in zip(got, program, want, strict=True):
                assert a.dtype == b.dtype == dtype
                np.testing.assert_allclose(a, c, rtol=rtol, atol=1e-37)
                np.testing.assert_allclose(b, a, rtol=rtol, atol=1e-37)


# -------------------------------------------------------------------- densities of enormous parameters


def log_gamma_density(x: Any, a: Any) -> Any:
    return (a - 1) * mp.log(x) - x - mp.loggamma(a)


def log_beta_density(x: Any, a: Any, b: Any) -> Any:
    front = mp.loggamma(a + b) - mp.loggamma(a) - mp.loggamma(b)
    return (a - 1) * mp.log(x) + (b - 1) * mp.log1p(-x) + front


DENSITIES: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[tuple[float, ...]]]] = {
    "gamma": (
        stats.gamma.logpdf, log_gamma_density,
        [(1e10, 1.0001e10), (1e15, 1.00000001e15), (3e5, 1e6), (1e-100, 1e6), (1e200, 1e3), (1e-9, 1e-200)],
    ),
    "beta": (
        stats.beta.logpdf, log_beta_density,
        [(0.5, 1e10, 1.0001e10), (0.25, 1e14, 3.000001e14), (0.01, 1e5, 10.0), (0.99999, 1e6, 2.0),
         (1e-200, 50.0, 1e5), (0.3, 1e-200, 1e-100)],
    ),
    "lognorm": (
        stats.lognorm.logpdf,
        lambda x, s: -((mp.log(x) / s) ** 2) / 2 - mp.log(s * x) - mp.log(2 * mp.pi) / 2,
        [(1e-300, 0.8), (1e300, 1e-3), (2.0, 1e-150), (2.0, 1e150), (5e-309, 30.0)],
    ),
    "t": (
        stats.t.logpdf,
        lambda z, v: mp.loggamma((v + 1) / 2) - mp.loggamma(v / 2) - mp.log(v * mp.pi) / 2
        - (v + 1) / 2 * mp.log1p(z * z / v),
        [(1e200, 3.0), (30.0, 1e12), (-5.0, 1e-2), (1e-200, 2.0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_of_enormous_and_tiny_parameters(name: str) -> None:
    f, exact, points = DENSITIES[name]
    for point in points:
        with mp.workdps(500):
            at = [mpf(x) for x in point]
            value, (first, _) = float(exact(*at)), differences(exact, at)
        np.testing.assert_allclose(f(*point), value, rtol=4e-15, err_msg=f"{point}")
        for mode in ("forward", "reverse"):
            got = [float(cr.jacobian(f, argnums=i, mode=mode)(*point)) for i in range(len(point))]
            np.testing.assert_allclose(got, np.array(first, float), rtol=1e-12, err_msg=f"{point}, {mode}")


# -------------------------------------------------------------------- at the ends

# Value and slope in each operand: what they tend to from inside the support; of an end that stays fixed as a
# shape moves, the slope in that shape is what it tends to as well.
ENDS: list[tuple[Any, str, tuple[float, ...], tuple[float, ...]]] = [
    *((stats.gamma, "logcdf", (0.0, a), (-inf, inf, -inf)) for a in (0.5, 1.0, 2.0)),
    *((stats.chi2, "logcdf", (0.0, df), (-inf, inf, -inf)) for df in (1.0, 2.0, 3.0)),
    (stats.gamma, "logsf", (0.0, 2.0), (0.0, 0.0, 0.0)),
    (stats.gamma, "logsf", (0.0, 1.0), (0.0, -1.0, 0.0)),
    (stats.gamma, "logpdf", (0.0, 2.0), (-inf, inf, -inf)),
    (stats.gamma, "logpdf", (0.0, 1.0), (0.0, -1.0, -inf)),
    (stats.gamma, "logpdf", (0.0, 0.5), (inf, -inf, -inf)),
    (stats.beta, "logcdf", (0.0, 2.0, 3.0), (-inf, inf, -inf, 7 / 12)),
    (stats.beta, "logcdf", (0.0, 0.5, 0.5), (-inf, inf, -inf, np.log(4.0))),
    (stats.beta, "logcdf", (0.0, 1.0, 1.0), (-inf, inf, -inf, 1.0)),
    (stats.beta, "logcdf", (1.0, 2.0, 1.0), (0.0, 2.0, 0.0, 0.0)),
    (stats.beta, "logsf", (1.0, 2.0, 3.0), (-inf, -inf, 13 / 12, -inf)),
    (stats.beta, "logsf", (1.0, 1.0, 1.0), (-inf, -inf, 1.0, -inf)),
    (stats.beta, "pdf", (0.0, 0.5, 0.5), (inf, -inf, -inf, inf)),
    (stats.beta, "pdf", (0.0, 0.3, 0.3), (inf, -inf, -inf, inf)),
    (stats.beta, "pdf", (1.0, 3.0, 0.5), (inf, inf, inf, -inf)),
    (stats.lognorm, "logpdf", (0.0, 0.8), (-inf, inf, inf)),
    (stats.lognorm, "pdf", (0.0, 0.8), (0.0, 0.0, 0.0)),
    (stats.lognorm, "pdf", (5e-324, 0.8), (0.0, 0.0, 0.0)),
    (stats.lognorm, "cdf", (5e-324, 0.8), (0.0, 0.0, 0.0)),
    (stats.lognorm, "sf", (5e-324, 0.8), (1.0, 0.0, 0.0)),
    (stats.lognorm, "logsf", (5e-324, 0.8), (0.0, 0.0, 0.0)),
    (stats.lognorm, "logcdf", (0.0, 0.8), (-inf, inf, inf)),
    *(
        (stats.lognorm, method, (2.5, 1e-300), (y, 0.0, 0.0))
        for method, y in (("logcdf", 0.0), ("cdf", 1.0), ("sf", 0.0))
    ),
    (stats.gamma, "logcdf", (0.0, 1e-100), (-inf, inf, -inf)),
    (stats.beta, "logsf", (1.0, 3.0, 1e-100), (-inf, -inf, 3.9493406684822644e-101, -inf)),
    (stats.expon, "logcdf", (0.0,), (-inf, inf)),
    (stats.expon, "logsf", (1e300,), (-1e300, -1.0)),
    (stats.uniform, "logcdf", (0.0,), (-inf, inf)),
    (stats.uniform, "logsf", (1.0,), (-inf, -inf)),
    (stats.t, "logsf", (1e300, 3.0), (-2072.2288602555964, -3e-300, -689.8664079066531)),
    (stats.t, "logcdf", (-50.0, inf), (-1254.8313611394199, 50.019984031905636, 0.0)),
    (stats.norm, "logcdf", (-1e200,), (-inf, 1e200)),
]


@pytest.mark.parametrize("family, method, point, want", ENDS, ids=lambda x: getattr(x, "name", None))
def test_at_the_ends(family: Any, method: str, point: tuple[float, ...], want: tuple[float, ...]) -> None:
    f = getattr(family, method)
    for mode in ("forward", "reverse"):
        got = [f(*point), *(cr.jacobian(f, argnums=i, mode=mode)(*point) for i in range(len(point)))]
        np.testing.assert_allclose(np.array(got, float), want, rtol=1e-13, err_msg=mode)
