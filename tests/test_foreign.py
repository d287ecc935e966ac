"""A function of NumPy's or SciPy's that makes plain arrays is named where it meets a Value, with its twin."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.sparse
import scipy.spatial.distance
import scipy.special
import scipy.stats

import chainrule as cr
from chainrule import Value, foreign

X = np.array([0.5, 1.0, 2.0])
P = Value(X)
RNG = np.random.default_rng(0)
MASKED = np.ma.masked_array(X, [False, True, False])
TWINS: dict[str, Callable[[Any], Any]] = {
    "scipy.linalg.cholesky": lambda v: scipy.linalg.cholesky(np.outer(v, v)),
    "scipy.linalg.solve_triangular": lambda v: scipy.linalg.solve_triangular(np.eye(3), v),
    "scipy.linalg.expm": lambda v: scipy.linalg.expm(np.outer(v, v)),
    "scipy.linalg.eigh": lambda v: scipy.linalg.eigh(np.outer(v, v), np.eye(3)),
    "scipy.special.logsumexp": lambda v: scipy.special.logsumexp(v),
    "scipy.special.log_softmax": lambda v: scipy.special.log_softmax(v),
    "scipy.special.softmax": lambda v: scipy.special.softmax(v),
    "scipy.special.polygamma": lambda v: scipy.special.polygamma(1, v),
    "scipy.special.multigammaln": lambda v: scipy.special.multigammaln(v[2] + 3, 2),
    "scipy.stats.t.logpdf": lambda v: scipy.stats.t.logpdf(v, 3.0),
    "scipy.stats.norm.cdf": lambda v: scipy.stats.norm(0.0, 1.0).cdf(v),
    "scipy.signal.convolve": lambda v: scipy.signal.convolve(v, v),
    "scipy.interpolate.CubicSpline": lambda v: scipy.interpolate.CubicSpline(X, v),
}
WITHOUT: dict[str, Callable[[Any], Any]] = {
    "scipy.signal.lfilter": lambda v: scipy.signal.lfilter(v, [1.0], X),
    "scipy.stats.skew": lambda v: scipy.stats.skew(v),
    "scipy.signal.hilbert": lambda v: scipy.signal.hilbert(v),
    "scipy.ndimage.gaussian_filter": lambda v: scipy.ndimage.gaussian_filter(v, 1.0),
    "scipy.integrate.solve_ivp": lambda v: scipy.integrate.solve_ivp(lambda t, y: -v * y, (0, 1), X),
    "scipy.integrate.quad": lambda v: scipy.integrate.quad(lambda t: t * v[0], 0, 1),
    "scipy.interpolate.RegularGridInterpolator": lambda v: scipy.interpolate.RegularGridInterpolator((X,), v),
}
INSTEAD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "scipy.fft.fft": (lambda v: scipy.fft.fft(v), "write np.fft.fft in its place"),
    "numpy.random.Generator.normal": (lambda v: RNG.normal(v[0]), "chainrule.random.default_rng"),
    "numpy.random.Generator.gamma": (lambda v: np.random.default_rng(0).gamma(v), "chainrule.random.def"),
    "numpy.r_": (lambda v: np.r_[v, 1.0], "np.concatenate"),
    "numpy.c_": (lambda v: np.c_[v, v], "np.column_stack"),
    "numpy.max": (lambda v: np.max([v[0], 1.0]), "chainrule.array([v, w])"),
    "numpy.mean": (lambda v: np.mean([v[0], v[1]]), "chainrule.array([v, w])"),
    "numpy.where": (lambda v: np.where(X > 1, [v[0]] * 3, v), "chainrule.array([v, w])"),
    "numpy.linalg.norm": (lambda v: np.linalg.norm([v[0], v[1]]), "chainrule.array([v, w])"),
    "numpy.vectorize": (lambda v: np.vectorize(abs)(v), "whole arrays"),
    "numpy.polynomial.polynomial.polyval": (
        lambda v: np.polynomial.polynomial.polyval(1.0, v), "np.polyval(c, x)",
    ),
    "numpy.polynomial.polynomial.Polynomial": (lambda v: np.polynomial.Polynomial(v), "np.polyval(c, x)"),
    "np.asarray": (lambda v: np.array([v, v]), "chainrule.array([v, w])"),
    "numpy.asarray": (lambda v: np.asarray(v), "leave np.asarray out, or write np.asarray(x, like=x)"),
    "numpy.array": (lambda v: np.array(v, copy=True), "write x.copy() for a copy"),
    "numpy.float64": (lambda v: np.float64(v[0]), "write x.astype(np.float64)"),
    "numpy.lib.stride_tricks.as_strided": (
        lambda v: np.lib.stride_tricks.as_strided(v, (2,)), "np.lib.stride_tricks.sliding_window_view(x, n)",
    ),
    "numpy.exp": (lambda v: np.exp([v[0], 1.0]), "chainrule.array([v, w])"),
    "numpy.dot": (lambda v: np.dot([v[0], v[1]], [1.0, 2.0]), "chainrule.array([v, w])"),
    "numpy.ndarray.dot": (lambda v: X.dot(v), "write np.dot(a, v) or a @ v"),
    "numpy.ndarray.__setitem__": (lambda v: stored(v), "a[i] = v make a by chainrule.numpy.zeros(n), or in"),
    "numpy.full": (lambda v: np.full(3, v[0]), "np.full(shape, v, like=v)"),
    "numpy.testing.assert_allclose": (lambda v: np.testing.assert_allclose(v, X), "the numbers, v.data"),
    "numpy.ma.MaskedArray": (lambda v: MASKED * v, "np.where(mask, 0.0, v)"),
    "numpy.ma.core.getdata": (lambda v: np.ma.getdata(v), "np.where(mask, 0.0, v)"),
    "scipy.sparse.csr_array": (lambda v: scipy.sparse.csr_array(np.eye(3)) @ v, "a.toarray() @ v"),
    "numpy.polynomial.legendre.legval": (
        lambda v: np.polynomial.legendre.legval(X, v),
        "write scipy.special.eval_legendre(np.arange(len(c)), np.expand_dims(x, -1)) @ c",
    ),
    "numpy.arange": (lambda v: np.arange(v[0], 3.0), "write start + step * np.arange(n)"),
    "scipy.fft.dct": (lambda v: scipy.fft.dct(v), "it is linear: write m @ v"),
    "scipy.integrate.simpson": (lambda v: scipy.integrate.simpson(v), "np.eye(len(v))"),
    "scipy.interpolate.interp1d": (lambda v: scipy.interpolate.interp1d(X, v), "write np.interp(x, xs, v)"),
    "scipy.integrate.trapezoid": (lambda v: scipy.integrate.trapezoid(v), "np.trapezoid in its place"),
    "scipy.spatial.distance.pdist": (lambda v: scipy.spatial.distance.pdist(v[:, None]), "np.linalg.norm"),
}  # fmt: skip


def stored(v: Any) -> Any:
    plain = np.zeros((2, 3))
    plain[1] = v


def refused(f: Callable[[Any], Any]) -> str:
    said = []
    for run in (lambda: f(P), lambda: cr.grad(lambda v: np.sum(f(v)))(X)):
        with pytest.raises(TypeError) as error:
            run()
        said.append(str(error.value))
    assert said[0] == said[1]
    assert said[0].endswith("; v.data has the bare numbers and leaves the graph")
    return said[0]


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_is_named_and_takes_values(name: str) -> None:
    said = refused(TWINS[name])
    assert said.startswith(f"{name}: a Value cannot become a plain array")
    assert f"; write chainrule.{name} in its place" in said
    with pytest.raises(TypeError, match=rf"in <lambda>: .*: {name} of a traced .*chainrule\.{name} in its"):
        cr.compile(TWINS[name])(X)


@pytest.mark.parametrize("name", WITHOUT)
def test_without_a_twin_a_rule_is_asked_for(name: str) -> None:
    said = refused(WITHOUT[name])
    assert said.startswith(f"{name}: ") and "@chainrule.primitive(...)" in said


@pytest.mark.parametrize("name", INSTEAD)
def test_what_takes_its_place_is_named(name: str) -> None:
    f, remedy = INSTEAD[name]
    said = refused(f)
    assert said.startswith(f"{name}: ") and remedy in said


def test_the_remedies_for_series_and_linear_functions() -> None:
    """They are what they take the place of."""
    orders = np.arange(len(X))
    for family, evaluated in [
        ("chebyshev", "eval_chebyt"), ("legendre", "eval_legendre"), ("laguerre", "eval_laguerre"),
        ("hermite", "eval_hermite"), ("hermite_e", "eval_hermitenorm"),
    ]:  # fmt: skip
        kind = getattr(np.polynomial, {"hermite_e": "HermiteE"}.get(family, family.capitalize()))
        for x in (0.3, X):
            series = getattr(scipy.special, evaluated)(orders, np.expand_dims(x, -1)) @ P
            np.testing.assert_allclose(series.data, kind(X)(x), rtol=1e-14)
    matrix = scipy.integrate.simpson(np.eye(3), axis=0)
    np.testing.assert_allclose((matrix @ P).data, scipy.integrate.simpson(X), rtol=1e-15)


def test_a_neighbour_of_a_library_is_none() -> None:
    """A path that begins as NumPy's folder does."""
    folder = str(np.__path__[0])
    assert foreign.from_library(f"{folder}/linalg/x.py") and not foreign.from_library(f"{folder}_users/x.py")


@pytest.mark.parametrize(
    "zeros",
    [
        lambda k: cr.numpy.zeros((3, 3)), lambda k: np.zeros((3, 3), like=k),
        lambda k: np.full((3, 3), 0.0, like=k),
        lambda k: np.full_like(k, 0.0, shape=(3, 3)), lambda k: np.zeros_like(k, shape=(3, 3)),
    ],
    ids=["chainrule.numpy.zeros", "np.zeros", "np.full", "np.full_like", "np.zeros_like"],
)  # fmt: skip
def test_the_remedies_for_elements_of_plain_arrays(zeros: Any) -> None:
    """They work for plain numbers, for derivatives and compiled, and SciPy minimises the plain function."""

    def loss(k: Any) -> Any:
        K = zeros(k)
        for i in range(3):
            K[i, i] += k[i] ** 2 + 1
        return np.sum(np.linalg.cholesky(K) ** 2)

    assert float(loss(X)) == pytest.approx(np.sum(X**2 + 1))
    np.testing.assert_allclose(cr.grad(loss)(X), 2 * X)
    np.testing.assert_allclose(cr.compile(cr.grad(loss))(X), 2 * X)
    cr.check_grads(loss, (X,), order=2)
    found = scipy.optimize.minimize(loss, X, jac=cr.grad(loss))
    assert found.success and abs(found.x).max() < 1e-5



@pytest.mark.parametrize(
    "module, name",
    [("stats", "weibull_min"), ("special", "ellipkinc"), ("signal", "savgol_filter"), ("linalg", "qz")],
)
def test_what_has_no_twin_is_said_to_have_none(module: str, name: str) -> None:
    module = f"chainrule.scipy.{module}"
    said = rf"{module}.*{name}.*no twin .*@chainrule\.primitive"
    with pytest.raises(AttributeError, match=said) as error:
        getattr(importlib.import_module(module), name)
    assert error.value.name == name
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'$"):
        importlib.import_module(module).nothing  # noqa: B018
