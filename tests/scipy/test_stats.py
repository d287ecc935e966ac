"""Distributions: SciPy's numbers everywhere, the edges of supports and parameters, and errors by name."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.stats
from scipy import integrate

import chainrule as cr
from chainrule import Value
from chainrule.scipy import stats

CONTINUOUS: dict[str, tuple[float, ...]] = {
    "norm": (), "t": (3.7,), "gamma": (2.3,), "beta": (2.3, 0.7), "chi2": (3.3,), "expon": (),
    "lognorm": (0.8,), "uniform": (), "laplace": (), "logistic": (), "cauchy": (), "halfnorm": (),
}  # fmt: skip
DISCRETE: dict[str, tuple[float, ...]] = {"poisson": (2.3,), "binom": (7, 0.3), "bernoulli": (0.3,)}
OF_X = "pdf logpdf cdf logcdf sf logsf".split()
OF_Q = "ppf isf".split()

_rng = np.random.default_rng(0)
POINTS = np.concatenate([
    _rng.normal(size=60) * 3, _rng.uniform(0, 1, 60), _rng.uniform(0, 30, 40),
    [0.0, -0.0, 1.0, 0.3, 2.0, -40.0, 40.0, -np.inf, np.nan],
])  # fmt: skip
PROBABILITIES = np.concatenate([_rng.uniform(0, 1, 60), [0.0, 1.0, 0.5, 1e-10, 1 - 1e-10, -0.1, 1.1, np.nan]])
WHOLE = np.array([-1.0, 0, 1, 2, 3, 5, 7, 8, 40, 1.5, -0.5])


def same(got: Any, want: Any) -> None:
    assert np.shape(got) == np.shape(want)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=0)


@pytest.mark.parametrize("placed", [{}, {"loc": 0.3, "scale": 1.7}], ids=["standard", "placed"])
@pytest.mark.parametrize("method", OF_X + OF_Q)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_numbers_are_scipys(name: str, method: str, placed: dict[str, float]) -> None:
    x = PROBABILITIES if method in OF_Q else POINTS
    shapes = CONTINUOUS[name]
    same(*(getattr(getattr(m, name), method)(x, *shapes, **placed) for m in (stats, scipy.stats)))


@pytest.mark.parametrize("method", [m.replace("pdf", "pmf") for m in OF_X])
@pytest.mark.parametrize("name", DISCRETE)
def test_the_numbers_of_whole_numbers_are_scipys(name: str, method: str) -> None:
    k = WHOLE[WHOLE < 20] if method == "logcdf" else WHOLE  # far out SciPy's logarithm of 1 is 0
    for loc in (0, 1):
        with np.errstate(divide="ignore"):
            got, want = (
                getattr(getattr(m, name), method)(k, *DISCRETE[name], loc=loc) for m in (stats, scipy.stats)
            )
        np.testing.assert_allclose(got, want, rtol=1e-11 if method == "logcdf" else 1e-12, atol=1e-300)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_parameters_that_are_none(name: str) -> None:
    family, shapes = getattr(stats, name), CONTINUOUS[name]
    assert np.isnan(family.pdf(0.4, *shapes, scale=-1.0))
    assert np.array_equal(np.isnan(family.cdf(0.4, *shapes, scale=np.array([0.0, 1.0]))), [True, False])
    if shapes:
        assert np.isnan(family.logpdf(0.4, -1.0, *shapes[1:]))

    def density(p: Any) -> Any:
        return family.logpdf(p["x"], *p["shapes"], scale=p["scale"])

    given: dict[str, Any] = {"x": 0.4, "shapes": list(map(float, shapes)), "scale": -1.0}
    for slopes in (cr.grad(density), cr.compile(cr.grad(density))):
        assert all(map(np.isnan, [(found := slopes(given))["x"], found["scale"], *found["shapes"]]))
    chosen = cr.grad(lambda s: np.sum(np.where(s > 0, family.logpdf(0.4, *shapes, scale=s), 0.0)))
    assert chosen(np.array([-1.0, 2.0]))[0] == 0


each = pytest.mark.parametrize(
    "family, shapes", [(getattr(stats, name), shapes) for name, shapes in CONTINUOUS.items()], ids=CONTINUOUS
)


@each
def test_a_distribution_function_is_the_integral_of_its_density(family: Any, shapes: Any) -> None:
    x = 0.7
    density = family.pdf(x, *shapes, loc=0.1, scale=1.3)
    np.testing.assert_allclose(cr.grad(lambda x: family.cdf(x, *shapes, 0.1, 1.3))(x), density, rtol=1e-12)
    low = 0.1 if family.support[0] == 0 else -np.inf
    area, _ = integrate.quad(lambda x: family.pdf(x, *shapes, 0.1, 1.3), low, x)
    np.testing.assert_allclose(family.cdf(x, *shapes, 0.1, 1.3), area, rtol=1e-6)


@each
def test_quantiles_move_against_the_distribution_function(family: Any, shapes: Any) -> None:
    """``cdf(ppf(q, p), p) = q`` for every parameter p: the derivative of the left side is 0."""
    for i in range(len(shapes)):
        def f(p: Any, i: int = i) -> Any:
            moved = (*shapes[:i], p, *shapes[i + 1 :])
            return family.cdf(family.ppf(0.4, *moved), *moved)

        assert abs(cr.grad(f)(shapes[i])) < 1e-13
        assert abs(cr.grad(cr.grad(f))(shapes[i])) < 1e-11


def test_outside_of_a_support_nothing_moves() -> None:
    x = np.array([-1.0, 0.5, 2.0])
    for f, wanted in ((stats.uniform.pdf, [0, 0, 0]), (stats.uniform.cdf, [0, 1, 0])):
        for mode in ("forward", "reverse"):
            assert np.array_equal(np.diag(cr.jacobian(f, mode=mode)(x)), wanted)
    for family, shapes in ((stats.lognorm, (0.5,)), (stats.gamma, (2.0,)), (stats.beta, (2.0, 3.0))):
        for method in ("pdf", "cdf", "sf"):
            f = getattr(family, method)
            got = cr.grad(lambda x, *p, f=f: f(x, *p), argnums=tuple(range(1 + len(shapes))))(-1.0, *shapes)
            assert np.array_equal(got, np.zeros(1 + len(shapes)))


def test_fitting_by_maximum_likelihood() -> None:
    """The score of a fitted distribution is 0, and its Hessian is negative definite."""
    data = scipy.stats.gamma.rvs(2.5, scale=1.7, size=400, random_state=0)
    shape, _, scale = scipy.stats.gamma.fit(data, floc=0)
    f = lambda p: np.sum(stats.gamma.logpdf(data, p[0], scale=p[1]))
    p = np.array([shape, scale])
    assert np.max(np.abs(cr.grad(f)(p))) < 1e-3 * len(data)
    assert np.all(np.linalg.eigvalsh(cr.hessian(f)(p)) < 0)


def test_a_frozen_distribution_is_the_same() -> None:
    v = Value(0.3)
    assert stats.norm(1.0, scale=v).pdf(0.2).data == stats.norm.pdf(0.2, 1.0, 0.3)
    assert repr(stats.beta) == "<distribution beta(a, b, loc, scale)>"


def test_multivariate_normal() -> None:
    mean, cov = np.array([0.3, -0.1]), np.array([[2.0, 0.3], [0.3, 1.0]])
    x = _rng.normal(size=(3, 4, 2))
    variances = np.array([1.0, 2.0])
    for args in ((x, mean, cov), (x[0, 0], mean, cov), (x, mean), (x, mean, 2.0), (x, mean, variances)):
        for method in ("pdf", "logpdf"):
            same(*(getattr(m.multivariate_normal, method)(*args) for m in (stats, scipy.stats)))
    same(stats.multivariate_normal.logpdf(0.3), scipy.stats.multivariate_normal.logpdf(0.3))
    same(*(m.multivariate_normal.logpdf(x[0], cov=cov) for m in (stats, scipy.stats)))
    with pytest.raises(ValueError, match=r"multivariate_normal: mean is \(2,\), cov is \(3, 3\); expected"):
        stats.multivariate_normal.pdf(x, mean, np.eye(3))
    with pytest.raises(ValueError, match=r"multivariate_normal: x is \(3,\); its last axis must be 2 long"):
        stats.multivariate_normal.pdf(np.zeros(3), mean, cov)


def test_multivariate_normal_in_its_factor() -> None:
    x, mean = _rng.normal(size=(2, 3)), _rng.normal(size=3)
    factor = 2 * np.eye(3) + np.tril(_rng.normal(size=(3, 3)))
    f = lambda x, m, L: stats.multivariate_normal.logpdf(x, m, L @ L.T)
    cr.check_grads(f, (x, mean, factor), order=2)


def test_multivariate_normal_of_a_badly_conditioned_covariance() -> None:
    """``-(Σ⁻¹ - v vᵀ)/2`` with v = Σ⁻¹ (x - μ), to what a condition of 1e8 leaves of the digits."""
    turn, x = np.linalg.qr(_rng.normal(size=(3, 3)))[0], _rng.normal(size=3)
    cov = turn @ np.diag([1.0, 1e-4, 1e-8]) @ turn.T
    cov = (cov + cov.T) / 2
    got = cr.grad(lambda c: stats.multivariate_normal.logpdf(x, np.zeros(3), c))(cov)
    with mp.workdps(40):
        inverse = mp.matrix(cov.tolist()) ** -1
        v = inverse * mp.matrix(x.tolist())
        want = np.array(((v * v.T - inverse) / 2).tolist(), float)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-7 * np.max(np.abs(want)))


@pytest.mark.parametrize("cov", [np.diag([1.0, -1.0]), -np.eye(2), np.zeros((2, 2)), [[1.0, 2], [2, 1.0]]])
def test_multivariate_normal_of_what_is_no_covariance(cov: Any) -> None:
    with pytest.raises(np.linalg.LinAlgError, match="multivariate_normal: cov is not positive definite, its"):
        cr.grad(lambda c: stats.multivariate_normal.logpdf(np.ones(2), np.zeros(2), c))(np.array(cov))


# Where a density ends, by method: the value before and after its support
OUTSIDE = {"pdf": (0, 0), "logpdf": (-np.inf, -np.inf), "cdf": (0, 1), "logcdf": (-np.inf, 0)}


@pytest.mark.parametrize("method", OUTSIDE)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_nothing_moves_beyond_the_ends(name: str, method: str) -> None:
    family, shapes = getattr(stats, name), CONTINUOUS[name]
    least, most = family.support
    n = 3 + len(shapes)
    f = lambda x, loc, scale, *shapes: getattr(family, method)(x, *shapes, loc=loc, scale=scale)
    for point, value in ((least - 1.0, OUTSIDE[method][0]), (most + 1.0, OUTSIDE[method][1])):
        for mode in ("forward", "reverse"):
            at = (point, 0.0, 1.0, *shapes)
            assert f(*at) == value
            assert [float(cr.jacobian(f, argnums=i, mode=mode)(*at)) for i in range(n)] == [0.0] * n
    for scale in (0.0, -1.0, np.nan):
        assert np.isnan(f(0.4, 0.0, scale, *shapes))


@pytest.mark.parametrize(
    "f, x, want",
    [
        (stats.gamma.cdf, (0.0, 1.0), 1.0), (stats.gamma.cdf, (0.0, 2.0), 0.0),
        (stats.gamma.cdf, (0.0, 0.5), np.inf), (stats.t.cdf, (0.0, 1.0), 1 / np.pi),
        (stats.beta.cdf, (0.0, 1.0, 3.0), 3.0), (stats.beta.cdf, (1.0, 2.0, 1.0), 2.0),
        (stats.gamma.pdf, (0.0, 2.0), 1.0), (stats.beta.pdf, (0.0, 2.0, 2.0), 6.0),
        (stats.expon.pdf, (0.0,), -1.0), (stats.chi2.cdf, (0.0, 2.0), 0.5),
        (stats.lognorm.pdf, (0.0, 0.8), 0.0), (stats.uniform.cdf, (0.0,), 1.0),
    ],
)  # fmt: skip
def test_the_limit_at_the_ends(f: Any, x: Any, want: float) -> None:
    """In the argument, from inside."""
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(cr.jacobian(f, mode=mode)(*x), want, rtol=1e-14)


def test_poisson_of_mean_0() -> None:
    for k, want in ((0, -1.0), (1, 1.0), (2, 0.0)):
        assert cr.grad(lambda mu, k=k: stats.poisson.pmf(k, mu))(0.0) == want


def test_dirichlet() -> None:
    alpha = np.array([1.3, 0.4, 2.0])
    x = _rng.dirichlet(alpha, 5).T
    for points in (x, x[:, 0], x[:2, 0]):
        for method in ("pdf", "logpdf"):
            same(*(getattr(m.dirichlet, method)(points, alpha) for m in (stats, scipy.stats)))
    cr.check_grads(stats.dirichlet.logpdf, (np.array([0.5, 0.2]), alpha), order=2)
    assert np.isnan(stats.dirichlet.pdf([0.5, 0.4, 0.4], alpha))
    assert np.isnan(cr.grad(lambda a: stats.dirichlet.logpdf([0.5, 0.4, 0.4], a))(alpha)).all()
    with pytest.raises(ValueError, match=r"dirichlet: alpha is \(3,\), x is \(4,\); expected a vector"):
        stats.dirichlet.pdf(np.full(4, 0.25), alpha)


def test_errors() -> None:
    v = Value(2.0)
    with pytest.raises(TypeError, match=r"norm\.pdf: received 3 by position as"):
        stats.norm.pdf(v, 1.0, 2.0, 3.0)
    with pytest.raises(TypeError, match=r"gamma\.cdf: received none as parameters, expected a, loc=, scale="):
        stats.gamma.cdf(v)
    with pytest.raises(TypeError, match=r"norm\.ppf: received mean= as parameters, expected loc=, scale="):
        stats.norm.ppf(v, mean=0.0)
    with pytest.raises(TypeError, match=r"t\.__call__: received 1 by position and df= as parameters"):
        stats.t(3.0, df=2.0)
    with pytest.raises(TypeError, match=r"poisson\.pmf: k is a Value, .* expected plain ones: k\.data"):
        stats.poisson.pmf(v, 1.0)
    with pytest.raises(TypeError, match=r"binom: n is a Value, .* give n\.data"):
        stats.binom.pmf(1, v, 0.5)
    with pytest.raises(TypeError, match=r"norm\.pdf: received 'x', expected"):
        stats.norm.pdf("x")
