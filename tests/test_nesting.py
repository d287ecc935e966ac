"""Derivatives of derivatives, and of functions that read an outer one's Values: no level takes another's."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import chainrule as cr
from chainrule import Value

# Every way to take the derivative of a function of one number, three of each mode.
REVERSE = {
    "grad": cr.grad,
    "vjp": lambda f: lambda x: cr.vjp(f, x)[1](1.0)[0],
    "rows": lambda f: cr.jacobian(f, mode="reverse"),
}
FORWARD = {
    "jvp": lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1],
    "linearize": lambda f: lambda x: cr.linearize(f, x)[1](1.0),
    "columns": lambda f: cr.jacobian(f, mode="forward"),
}
MODES = REVERSE | FORWARD
ANY_MODE = pytest.mark.parametrize("D", MODES.values(), ids=MODES)
PAIRS = {f"{a} over {b}": (MODES[a], MODES[b]) for a in MODES for b in MODES}
ANY_TWO = pytest.mark.parametrize(("outer", "inner"), PAIRS.values(), ids=PAIRS)

# name: (function, its derivatives of order 0, 1, 2, 3)
CLOSED = {
    "exp": (lambda x: np.exp(1.5 * x), lambda x, k: 1.5**k * math.exp(1.5 * x)),
    "sin": (np.sin, lambda x, k: math.sin(x + k * math.pi / 2)),
    "power": (lambda x: x**4, lambda x, k: math.perm(4, k) * x ** (4 - k)),
    "reciprocal": (lambda x: 1 / x, lambda x, k: (-1) ** k * math.factorial(k) / x ** (k + 1)),
    "log": (
        np.log,
        lambda x, k: (-1) ** (k + 1) * math.factorial(max(k - 1, 0)) / x**k if k else math.log(x),
    ),
    "product": (lambda x: x * np.exp(x), lambda x, k: (x + k) * math.exp(x)),
    "through arrays": (
        lambda x: (
            np.prod(np.array([1.0, 2.0]) * x) + np.sum(np.reshape(x, (1, 1)) @ np.full((1, 2), 1.0) * x)
        ),
        lambda x, k: [4 * x**2, 8 * x, 8.0, 0.0][k],
    ),
}


@ANY_TWO
def test_three_derivatives_in_any_order_of_modes(outer, inner):
    """Forward over forward, forward over reverse, and so on, and each over a third."""
    x = 0.7
    for name, (f, want) in CLOSED.items():
        second = outer(inner(f))
        assert_allclose(inner(f)(x), want(x, 1), rtol=1e-13, err_msg=name)
        assert_allclose(second(x), want(x, 2), rtol=1e-12, err_msg=name)
        for innermost in MODES.values():
            assert_allclose(outer(inner(innermost(f)))(x), want(x, 3), rtol=1e-12, atol=1e-12, err_msg=name)
        assert cr.data(second(Value(x))) == second(x)


ALONG = {
    "grad": lambda f, v: lambda x: np.sum(cr.grad(f)(x) * v),
    "vjp": lambda f, v: lambda x: np.sum(cr.vjp(f, x)[1](1.0)[0] * v),
    "jvp": lambda f, v: lambda x: cr.jvp(f, (x,), (v,))[1],
    "linearize": lambda f, v: lambda x: cr.linearize(f, x)[1](v),
    "columns": lambda f, v: lambda x: cr.jacobian(f, mode="forward")(x) @ v,
}


def test_three_directions_in_any_order_of_modes():
    """``f‴[u, v, w]`` of ``Σ exp(Ax)`` is ``Σ (Au)(Av)(Aw) exp(Ax)``."""
    rng = np.random.default_rng(0)
    A, x = rng.normal(size=(4, 3)), rng.normal(size=3)
    u, v, w = rng.normal(size=(3, 3))
    third = np.sum((A @ u) * (A @ v) * (A @ w) * np.exp(A @ x))
    for a, b, c in itertools.product(ALONG.values(), repeat=3):
        got = a(b(c(lambda x: np.sum(np.exp(A @ x)), w), v), u)(x)
        assert_allclose(got, third, rtol=1e-12)


def test_third_derivatives_as_arrays():
    """``(a·x)⁴`` has the third derivative ``24 (a·x) a⊗a⊗a``."""
    a, x = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.2, 1.0])
    want = 24 * (a @ x) * np.einsum("i,j,k->ijk", a, a, a)
    for modes in itertools.product(("forward", "reverse"), repeat=3):
        T = lambda x: (a @ x) ** 4
        for mode in modes:
            T = cr.jacobian(T, mode=mode)
        assert_allclose(T(x), want, rtol=1e-12)
    assert_allclose(cr.jacobian(cr.hessian(lambda x: (a @ x) ** 4))(x), want, rtol=1e-12)


# -------------------------------------------------------------------- which level a derivative belongs to


@ANY_TWO
def test_an_inner_derivative_reads_an_outer_variable(outer, inner):
    assert outer(lambda x: x * inner(lambda y: x * y)(x))(3.0) == 6.0
    assert (
        outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0
    )  # the inner argument is a plain number
    assert outer(lambda x: x * inner(lambda y: x + y)(x))(3.0) == 1.0
    assert outer(lambda x: inner(lambda y: x * x)(5.0))(3.0) == 0.0  # the inner function ignores its argument
    assert outer(lambda x: inner(lambda y: x)(5.0))(3.0) == 0.0  # and returns the outer variable itself
    assert outer(lambda x: inner(lambda y: 5.0)(x))(3.0) == 0.0
    assert outer(lambda x: inner(lambda y: y)(x))(3.0) == 0.0
    assert outer(lambda x: inner(lambda y: y * y)(cr.stop_gradient(x)))(3.0) == 0.0


@ANY_TWO
def test_shifted_closures(outer, inner):
    """``D²x³ = 6x``, where each derivative is that of a shift of the function."""
    assert inner(lambda h: outer(lambda x: (x + h) ** 3)(2.0))(0.0) == 12.0
    assert outer(lambda h: inner(lambda k: (2.0 + h + k) ** 3)(0.0))(0.0) == 12.0

    def shifted(D, f):
        return lambda x: D(lambda u: f(x + u))(0.0)

    assert shifted(outer, shifted(inner, lambda x: x**3))(2.0) == 12.0


@ANY_TWO
def test_three_levels_read_each_other(outer, inner):
    """``d/dx x d/dy y d/dz x y z² = d/dx x d/dy 2 x y² z = d/dx 4 x² y z = 8 x y z`` at the inner points."""

    def far(D):
        return outer(lambda x: x * inner(lambda y: y * D(lambda z: x * y * z * z)(7.0))(5.0))(3.0)

    def near(D):
        return outer(lambda x: x * inner(lambda y: y * D(lambda z: x * y * z * z)(y))(x))(3.0)

    for D in MODES.values():
        assert far(D) == 8 * 3 * 5 * 7
        assert near(D) == 6 * 4 * 3.0**3  # at z = y the inner one is d/dy 2 x y³, at y = x then x · 6 x · x²


@ANY_MODE
def test_a_pull_or_a_differential_outlives_the_function_that_made_it(D):
    _, pull = cr.vjp(lambda x: x**3, 2.0)
    _, lin = cr.linearize(lambda x: x**3, 2.0)

    def check(linear):
        assert linear(1.0) == 12.0
        assert D(lambda g: g * linear(g))(5.0) == 120.0
        assert D(lambda g: linear(g * g))(5.0) == 120.0
        assert linear(1.0) == 12.0

    check(lin)
    check(lambda g: pull(g)[0])
    kept = []

    def f(x):
        kept.append(cr.vjp(lambda y: x * y * y, 3.0)[1])
        return kept[-1](x)[0]  # 2 · 3 x²

    assert D(f)(5.0) == 60.0
    assert cr.data(kept[-1](1.0)[0]) == 30.0


# -------------------------------------------------------------------- results stay connected

RESULTS = {  # each gives p·x at x = 3 for the outer variable p
    "value of value_and_grad": lambda p: cr.value_and_grad(lambda x: p * x)(3.0)[0],
    "grad": lambda p: cr.grad(lambda x: p * x * x / 2)(3.0),
    "aux": lambda p: cr.grad(lambda x: (x * x, {"a": [p * x]}), has_aux=True)(3.0)[1]["a"][0],
    "aux of value_and_grad": lambda p: cr.value_and_grad(lambda x: (x, p * x), has_aux=True)(3.0)[0][1],
    "aux of vjp": lambda p: cr.vjp(lambda x: (x * x, p * x), 3.0, has_aux=True)[2],
    "value of vjp": lambda p: cr.vjp(lambda x: {"a": p * x}, 3.0)[0]["a"],
    "pull": lambda p: cr.vjp(lambda x: p * x * x / 2, 3.0)[1](1.0)[0],
    "cotangent": lambda p: cr.vjp(lambda x: x * x / 2, 3.0)[1](p)[0],
    "value of jvp": lambda p: cr.jvp(lambda x: p * x, (3.0,), (1.0,))[0],
    "tangent": lambda p: cr.jvp(lambda x: p * x * x / 2, (3.0,), (1.0,))[1],
    "tangent in": lambda p: cr.jvp(lambda x: x * x / 2, (3.0,), (p,))[1],
    "value of linearize": lambda p: cr.linearize(lambda x: p * x, 3.0)[0],
    "differential": lambda p: cr.linearize(lambda x: p * x * x / 2, 3.0)[1](1.0),
    "directional": lambda p: cr.directional_derivative(lambda x: p * x * x / 2, 3.0, 1.0),
    "hessian": lambda p: cr.hessian(lambda x: p * x**3 / 6)(3.0),
    "hvp": lambda p: cr.hvp(lambda x: p * x**3 / 6, 3.0, 1.0),
    "columns": lambda p: cr.jacobian(lambda x: p * x**2 / 2, mode="forward")(3.0),
    "rows": lambda p: cr.jacobian(lambda x: p * x**2 / 2, mode="reverse")(3.0),
    "keyword": lambda p: cr.grad(lambda x, *, scale: scale * x * x / 2)(3.0, scale=p),
    "other argument": lambda p: cr.grad(lambda x, scale: scale * x * x / 2)(3.0, p),
    "beside a Value": lambda p: cr.grad(lambda t: t["a"] * t["b"] ** 2 / 2)({"a": p, "b": 3.0})["b"],
    "nothing to differentiate": lambda p: cr.vjp(lambda: p * 3.0)[0],
    "an empty container": lambda p: cr.value_and_grad(lambda x: p * 3.0)({})[0],
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_every_result_stays_connected_to_the_values_it_read(result):
    for D in MODES.values():
        assert D(result)(2.0) == 3.0
        assert D(lambda p: result(p) ** 2)(2.0) == 36.0
    leaf = Value(2.0)
    out = result(leaf)
    assert out.data == 6.0
    out.backward()
    assert leaf.grad == 3.0


def test_a_gradient_penalty_through_parameters():
    """``∂/∂W Σ (∇ₓ f)²`` for ``f = Σ tanh(x W)``, against the formula written out."""
    rng = np.random.default_rng(0)
    x, start = rng.normal(size=(5, 3)), rng.normal(size=(3, 4))
    W = Value(start)
    g = cr.grad(lambda x: np.sum(np.tanh(x @ W)))(x)
    assert type(g) is Value
    np.sum(g**2).backward()
    t = np.tanh(x @ start)
    s = 1 - t * t
    G = s @ start.T
    want = 2 * (G.T @ s) + x.T @ (2 * (G @ start) * (-2 * t * s))
    assert_allclose(g.data, G, rtol=1e-13)
    assert_allclose(W.grad, want, rtol=1e-12)
    W.grad = None
    outer = cr.grad(lambda W: np.sum(cr.grad(lambda x: np.sum(np.tanh(x @ W)))(x) ** 2))
    assert_allclose(outer(start), want, rtol=1e-12)
    assert not W.grad.any()  # functional operators leave .grad alone


def test_mixed_derivatives_of_a_scalar_leaf_reach_every_level():
    p = Value(2.0)
    third = cr.grad(cr.grad(cr.grad(lambda x: p**2 * x**4)))(3.0)  # 24 p² x
    assert third.data == 288.0
    third.backward()
    assert p.grad == 288.0  # 48 p x


# -------------------------------------------------------------------- reading and changing data on the way


@ANY_TWO
def test_reading_data_changes_nothing(outer, inner):
    """``.data`` of a leaf that a graph has read is a copy, with the same numbers."""
    one = np.ones(2)

    def f(x):
        def g(y):
            z = y * x * one
            step = 1.0 if cr.data(z).sum() > 0 else -1.0
            return np.sum(z * one * step)

        return inner(g)(1.0)

    assert outer(f)(3.0) == 2.0
    p = Value(one)
    value, pull = cr.vjp(lambda x: np.sum(p * p * x), one)
    assert p.data.sum() == 2.0
    assert_array_equal(cr.data(pull(1.0)[0]), one)

    def reads(y):
        z = y * p
        y.data.sum()  # of a fresh leaf, between two uses
        return np.sum(z * y)

    assert_array_equal(cr.data(cr.grad(reads)(one)), 2 * one)
    assert_array_equal(cr.data(cr.jvp(reads, (one,), (one,))[1]), 4.0)


def test_a_derivative_of_higher_order_wants_the_data_it_was_recorded_with():
    """The sweep is recorded on the Values: with new data in them it would be that of another function."""
    for change in (lambda p: setattr(p, "data", [5.0, 5.0]), lambda p: p.data.fill(5.0)):
        p, x = Value([1.0, 2.0], name="weight"), np.ones(2)
        _, pull = cr.vjp(lambda x, p=p: np.sum(p * x * x), x)
        _, lin = cr.linearize(lambda x, p=p: np.sum(p * x * x), x)
        change(p)
        with pytest.raises(RuntimeError, match="its input weight was given new data"):
            pull(1.0)
        with pytest.raises(RuntimeError, match="its input weight was given new data"):
            lin(x)
