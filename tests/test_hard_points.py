"""The hard points: what engines for differentiation get wrong, each with the number that is right.

Conventions at kinks: the derivative of smallest norm, ties share evenly, and forward mode equals
reverse mode everywhere, in every combination of the two at second order.
"""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn
from chainrule.primitive import Elementwise

inf, nan, pi = np.inf, np.nan, np.pi


class Row(NamedTuple):
    """At ``point`` the derivatives of ``f`` in its arguments are ``wanted``."""

    number: int
    statement: str
    f: Any
    point: tuple[Any, ...]
    wanted: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.number}: {self.statement}"


def a(*x: Any) -> Any:
    return np.array(x, float)


def total(f: Any) -> Any:
    return lambda *x: np.sum(f(*x))


def xlogx(x: Any) -> Any:
    return cr.xlogy(x, x)


FIRST = [
    Row(1, "where(x > 0, sqrt x, 0 x) at -1", lambda x: np.where(x > 0, np.sqrt(x), 0 * x), (-1.0,), (0.0,)),
    Row(1, "where with log, division, power and arccosh in the dead branch",
        lambda x: np.where(x > 0, np.log(x) + 1 / x + x**-1.5 + np.arccosh(x), x), (0.0,), (1.0,)),
    Row(1, "where deeper down", lambda x: np.where(x > 0, np.exp(np.sqrt(x) * 2.0), x), (-1.0,), (1.0,)),
    Row(1, "where through a reduction",
        lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0 * x)), (a(-1, 4),), (a(0, 0.25),)),
    Row(1, "where through shapes", lambda x: np.sum(np.where(a(0, 1) > 0, np.sqrt(x)[::-1].reshape(2), 0.0)),
        (a(4, 0),), (a(0.25, 0),)),
    Row(1, "where before sqrt", lambda x: np.sum(np.sqrt(np.where(x > 0, x, 0.0))),
        (a(-1, 4),), (a(0, 0.25),)),
    Row(1, "relu before sqrt and log", lambda x: np.sqrt(cr.relu(x)) + np.log(cr.relu(x)), (-1.0,), (0.0,)),
    Row(1, "clip before arcsin", lambda x: np.arcsin(np.clip(x, -1, 1)) * 2 + x, (2.0,), (1.0,)),
    Row(1, "where before shapes and sqrt",
        lambda x: np.sum(np.sqrt(np.concatenate([np.where(x > 0, x, 0.0)[::-1], x + 5]))), (a(-1, 4),),
        (a(0.25, 0.25 + 1 / 6),)),
    Row(1, "clip in the place of where", lambda x: np.clip(np.sqrt(x), 1.0, 2.0), (0.0,), (0.0,)),
    Row(1, "relu in the place of where", lambda x: cr.relu(1 - 1 / np.sqrt(x)), (0.0,), (0.0,)),
    Row(1, "maximum in the place of where", lambda x: np.maximum(x**0.5, 1.0), (0.0,), (0.0,)),
    Row(1, "max in the place of where", lambda x: np.max(np.sqrt(x)), (a(0, 4),), (a(0, 0.25),)),
    Row(2, "where(x == 0, 1, sin x / x) at 0", lambda x: np.where(x == 0, 1.0, np.sin(x) / x),
        (0.0,), (0.0,)),
    Row(3, "sinc at 0", np.sinc, (0.0,), (0.0,)),
    Row(4, "sqrt at 0", np.sqrt, (0.0,), (inf,)),
    Row(4, "sqrt at 0, among others", total(np.sqrt), (a(0, 4),), (a(inf, 0.25),)),
    Row(5, "sqrt(x²) at 0: 0/0, and it says so", lambda x: np.sqrt(x * x), (0.0,), (nan,)),
    Row(5, "sqrt(x)² at 0: no silent 0", lambda x: np.sqrt(x) ** 2, (0.0,), (nan,)),
    Row(6, "‖x‖ at 0", np.linalg.norm, (a(0, 0),), (a(0, 0),)),
    Row(7, "‖x‖ of large numbers", np.linalg.norm, (a(1e200, 1e200),), (a(0.5**0.5, 0.5**0.5),)),
    Row(7, "‖x‖ of small numbers", np.linalg.norm, (a(3e-200, 4e-200),), (a(0.6, 0.8),)),
    Row(7, "hypot of large numbers", np.hypot, (1e200, 1e200), (0.5**0.5, 0.5**0.5)),
    Row(7, "hypot at 0, 0", np.hypot, (0.0, 0.0), (0.0, 0.0)),
    Row(8, "x⁰ at 0", lambda x: x**0, (0.0,), (0.0,)),
    Row(8, "x¹ at 0", lambda x: x**1, (0.0,), (1.0,)),
    Row(8, "x² at 0", lambda x: x**2, (0.0,), (0.0,)),
    Row(8, "pow(0, 0)", np.power, (0.0, 0.0), (0.0, 0.0)),
    Row(8, "pow(0, 2)", np.power, (0.0, 2.0), (0.0, 0.0)),
    Row(8, "pow(0, -1)", np.power, (0.0, -1.0), (-inf, -inf)),
    Row(8, "pow(-2, 3)", np.power, (-2.0, 3.0), (12.0, nan)),
    Row(9, "abs at 0", abs, (0.0,), (0.0,)),
    Row(9, "relu at 0", cr.relu, (0.0,), (0.0,)),
    Row(9, "leaky_relu at 0", lambda x: cr.leaky_relu(x, 0.1), (0.0,), (0.1,)),
    Row(10, "maximum(1, 1)", np.maximum, (1.0, 1.0), (0.5, 0.5)),
    Row(10, "minimum(1, 1)", np.minimum, (1.0, 1.0), (0.5, 0.5)),
    Row(10, "maximum(x, x)", lambda x: np.maximum(x, x), (1.0,), (1.0,)),
    Row(10, "max without axis", np.max, (a(1, 3, 3, 2),), (a(0, 0.5, 0.5, 0),)),
    Row(10, "max with axis", lambda x: np.max(x, axis=0), (a(1, 3, 3, 2),), (a(0, 0.5, 0.5, 0),)),
    Row(10, "min over two axes", lambda x: x.reshape(2, 2).min((0, 1)),
        (a(3, 1, 1, 2),), (a(0, 0.5, 0.5, 0),)),
    Row(10, "clip at its lower bound", lambda x: np.clip(x, 0.0, 1.0), (0.0,), (0.0,)),
    Row(10, "clip at its upper bound", lambda x: np.clip(x, 0.0, 1.0), (1.0,), (0.0,)),
    Row(10, "copysign(0, -1)", np.copysign, (0.0, -1.0), (0.0, 0.0)),
    Row(10, "heaviside(0, 0.3)", np.heaviside, (0.0, 0.3), (0.0, 1.0)),
    Row(10, "remainder(1, 0.1), where 1/0.1 rounds up", np.remainder, (1.0, 0.1), (1.0, -9.0)),
    Row(11, "nan_to_num(nan)", lambda x: np.nan_to_num(x) * 2, (nan,), (0.0,)),
    Row(11, "maximum(nan, 1)", np.maximum, (nan, 1.0), (1.0, 0.0)),
    Row(11, "maximum(nan, nan)", np.maximum, (nan, nan), (0.5, 0.5)),
    Row(11, "max with a nan", np.max, (a(1, nan),), (a(0, 1),)),
    Row(12, "sort with ties", lambda x: a(1, 2, 3) @ np.sort(x), (a(2, 1, 1),), (a(3, 1, 2),)),
    Row(13, "prod with a zero", np.prod, (a(2, 0, 3),), (a(0, 6, 0),)),
    Row(13, "prod with two zeros", np.prod, (a(0, 0, 3),), (a(0, 0, 0),)),
    Row(13, "cumprod with a zero", total(np.cumprod), (a(2, 0, 3),), (a(1, 8, 0),)),
    Row(14, "std of constants", np.std, (a(2, 2, 2),), (a(0, 0, 0),)),
    Row(14, "std of constants whose mean rounds", np.std, (a(0.1, 0.1, 0.1),), (a(0, 0, 0),)),
    Row(14, "std of constant rows", lambda x: np.sum(x.reshape(2, 2).std(axis=1)),
        (a(1, 3, 0.1, 0.1),), (a(-0.5, 0.5, 0, 0),)),
    Row(15, "logsumexp(-inf, -inf)", cr.logsumexp, (a(-inf, -inf),), (a(0, 0),)),
    Row(15, "softmax beside an unused, masked row",
        lambda x: np.sum(cr.softmax(x, axis=-1)[0] * a(1, 2)), (np.array([[0.0, 0.0], [-inf, -inf]]),),
        (np.array([[-0.25, 0.25], [0.0, 0.0]]),)),
    Row(15, "log_softmax beside an unused, masked row",
        lambda x: cr.log_softmax(x, axis=-1)[0, 0], (np.array([[0.0, 0.0], [-inf, -inf]]),),
        (np.array([[0.5, -0.5], [0.0, 0.0]]),)),
    Row(15, "logaddexp(inf, inf)", np.logaddexp, (inf, inf), (0.5, 0.5)),
    Row(15, "logaddexp(-inf, -inf)", np.logaddexp, (-inf, -inf), (0.5, 0.5)),
    Row(16, "log_softmax of large numbers", lambda x: -cr.log_softmax(x)[1], (a(1e4, -1e4),), (a(1, -1),)),
    Row(16, "cross-entropy of a certain class", lambda z: nn.cross_entropy(z, np.array([[1.0, 0.0]])),
        (np.array([[0.0, -inf]]),), (np.array([[0.0, 0.0]]),)),
    Row(17, "x log x at 0", xlogx, (0.0,), (-inf,)),
    Row(17, "entropy at a vertex", cr.entropy, (a(1, 0),), (a(-1, inf),)),
    Row(18, "arctan2(0, 0)", np.arctan2, (0.0, 0.0), (0.0, 0.0)),
    Row(18, "arctan2 of small numbers", np.arctan2, (1e-200, 1e-200), (5e199, -5e199)),
    Row(19, "x / y of small numbers", np.divide, (1e-200, 1e-200), (1e200, -1e200)),
    Row(19, "x / y of large numbers", np.divide, (1e200, 1e200), (1e-200, -1e-200)),
    Row(20, "tanh at 20", np.tanh, (20.0,), (1.6993417021166355e-17,)),
    Row(20, "arcsin at 1", np.arcsin, (1.0,), (inf,)),
    Row(20, "log outside its domain", np.log, (-1.0,), (nan,)),
    Row(21, "binary cross-entropy of the impossible", lambda p: -cr.xlogy(1.0, p), (0.0,), (-inf,)),
    Row(24, "sum over no axes", lambda x: np.sum(x, axis=()) @ a(1, 2), (a(3, 4),), (a(1, 2),)),
    Row(24, "an element taken twice", lambda x: np.sum(x[[0, 0, 2]]), (a(1, 2, 3),), (a(2, 0, 1),)),
    Row(24, "nothing times something", lambda x, y: np.sum(x * y), (np.ones((0, 3)), a(1, 2, 3)),
        (np.ones((0, 3)), a(0, 0, 0))),
    Row(25, "trace by einsum", lambda x: np.einsum("ii->", x), (np.ones((2, 2)),), (np.eye(2),)),
    Row(25, "diagonal by einsum", lambda x: np.einsum("ii->i", x) @ a(1, 2),
        (np.ones((2, 2)),), (np.diag(a(1, 2)),)),
    Row(25, "cumsum along -1", lambda x: np.sum(np.cumsum(x, -1)),
        (np.ones((2, 3)),), (np.array([[3.0, 2, 1]] * 2),)),
    Row(25, "concatenate along -1", lambda x: np.concatenate([x, x], -1) @ a(1, 2, 3, 4),
        (a(5, 6),), (a(4, 6),)),
    Row(25, "x[::-1]", lambda x: x[::-1] @ a(1, 2, 3), (a(5, 6, 7),), (a(3, 2, 1),)),
    Row(25, "np.ones(3) * Value", lambda x: np.sum(np.ones(3) * x), (a(5, 6, 7),), (a(1, 1, 1),)),
    Row(25, "np.ones(3) * NumPy scalar", lambda x: np.sum(np.ones(3) * x), (np.float64(5),), (3.0,)),
]  # fmt: skip

SECOND = [
    Row(2, "where(x == 0, 1, sin x / x) at 0", lambda x: np.where(x == 0, 1.0, np.sin(x) / x),
        (0.0,), (0.0,)),
    Row(3, "sinc at 0", np.sinc, (0.0,), (-(pi**2) / 3,)),
    Row(6, "‖x‖² at 0", lambda x: np.linalg.norm(x) ** 2, (a(0, 0),), (2 * np.eye(2),)),
    Row(8, "x⁰ at 0", lambda x: x**0, (0.0,), (0.0,)),
    Row(8, "x¹ at 0", lambda x: x**1, (0.0,), (0.0,)),
    Row(8, "x² at 0", lambda x: x**2, (0.0,), (2.0,)),
    Row(8, "pow(0, 2) in x", lambda x: np.power(x, 2.0), (0.0,), (2.0,)),
    Row(8, "pow(0, 2) in y", lambda y: np.power(0.0, y), (2.0,), (0.0,)),
    Row(8, "pow(0, 2) in both", lambda x: np.power(x[0], x[1]), (a(0, 2),), (np.array([[2.0, 0], [0, 0]]),)),
    Row(4, "x√x at 0, among others", lambda x: np.sum(x**1.5), (a(0, 4),), (np.diag(a(inf, 0.375)),)),
    Row(17, "entropy at a vertex", cr.entropy, (a(1, 0),), (np.diag(a(-1, -inf)),)),
    Row(9, "x abs(x) at 0", lambda x: x * abs(x), (0.0,), (0.0,)),
    Row(13, "prod with a zero", np.prod, (a(2, 0, 3),), (np.array([[0.0, 3, 0], [3, 0, 2], [0, 2, 0]]),)),
    Row(13, "prod with two zeros", np.prod, (a(0, 0, 3),), (np.array([[0.0, 3, 0], [3, 0, 0], [0, 0, 0]]),)),
]  # fmt: skip

MODES = ["forward", "reverse"]


def close(got: Any, wanted: Any) -> None:
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-13, atol=0)
    assert np.shape(got) == np.shape(wanted)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", FIRST, ids=str)
def test_first_order(row: Row, mode: str) -> None:
    with np.errstate(all="ignore"):
        got = cr.jacobian(row.f, argnums=tuple(range(len(row.point))), mode=mode)(*row.point)
    for d, wanted in zip(got, row.wanted, strict=True):
        close(d, wanted)


@pytest.mark.parametrize("mode", MODES)
@np.errstate(divide="ignore")
def test_the_jacobian_of_independent_elements_is_diagonal(mode: str) -> None:
    """However steep one of them is: nothing moves the others."""
    close(cr.jacobian(np.sqrt, mode=mode)(a(0, 4)), np.diag(a(inf, 0.25)))
    D = cr.jacobian(lambda x: np.exp(np.sqrt(x)[::-1]), mode=mode)
    close(D(a(0, 4)), np.array([[0, np.exp(2) / 4], [inf, 0]]))
    D = cr.jacobian(lambda x: np.concatenate([np.log(x), x]), mode=mode)
    close(D(a(0, 2)), np.vstack([np.diag(a(inf, 0.5)), np.eye(2)]))
    D = cr.jacobian(lambda x: np.cumsum(np.sqrt(x)), mode=mode)
    close(D(a(0, 4)), np.array([[inf, 0], [inf, 0.25]]))


@pytest.mark.parametrize("row", FIRST, ids=str)
def test_backward(row: Row) -> None:
    leaves = [Value(x) for x in row.point]
    with np.errstate(all="ignore"):
        row.f(*leaves).backward()
    for v, wanted in zip(leaves, row.wanted, strict=True):
        close(v.grad, wanted)


@pytest.mark.parametrize("row", [r for r in FIRST if all(type(x) is float for x in r.point)], ids=str)
def test_arrays_like_numbers(row: Row) -> None:
    """The same of arrays, where NumPy computes instead of Python's own arithmetic."""
    point = tuple(np.full((1, 2), x) for x in row.point)
    with np.errstate(all="ignore"):
        for i, wanted in enumerate(row.wanted):

            def f(x: Any, i: int = i) -> Any:
                return row.f(*point[:i], x, *point[i + 1 :])

            close(cr.jvp(f, (point[i],), (np.ones((1, 2)),))[1], np.full((1, 2), wanted))
            close(cr.grad(total(f))(point[i]), np.full((1, 2), wanted))


@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
@pytest.mark.parametrize("row", SECOND, ids=str)
def test_second_order(row: Row, inner: str, outer: str) -> None:
    with np.errstate(all="ignore"):
        got = cr.jacobian(cr.jacobian(row.f, mode=inner), mode=outer)(*row.point)
    close(got, row.wanted[0])


# -------------------------------------------------------------------- values


def test_values_at_the_edge_of_floats() -> None:
    close(np.linalg.norm(Value([1e200, 1e200])).data, 1e200 * 2**0.5)
    close(np.hypot(Value(1e200), Value(1e200)).data, 1e200 * 2**0.5)
    close(cr.log_softmax(Value([1e4, -1e4])).data, [0, -2e4])
    assert abs(cr.softplus(Value(25.0)).data - 25 - 1.388794386496402e-11) <= 2 * np.spacing(25)
    assert cr.entropy(Value([1.0, 0.0])).data == 0
    assert xlogx(Value(0.0)).data == 0
    assert cr.xlogy(Value(1.0), Value(0.0)).data == -inf  # binary cross-entropy is not clamped
    assert cr.logsumexp(Value([-inf, -inf])).data == -inf
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.log(Value([-1.0])).data).all() and np.isnan(np.log(Value(-1.0)).data)
    assert nn.cross_entropy(Value([[0.0, -inf]]), np.array([[1.0, 0.0]])).data == 0


# -------------------------------------------------------------------- dtypes and leaves


@pytest.mark.parametrize("other", [2.0, 3, np.float64(2), a(1, 2), Value(a(1, 2))], ids=repr)
def test_a_float32_leaf_has_a_float32_gradient(other: Any) -> None:
    x = np.ones(2, np.float32)
    leaf = Value(x)
    np.sum(leaf * other).backward()
    assert leaf.grad.dtype == np.float32
    assert cr.grad(lambda x: np.sum(other * x) * 1.0)(x).dtype == np.float32


@pytest.mark.parametrize("x", [3, True, np.arange(3), np.array([True]), np.int8(1)], ids=repr)
def test_an_integer_is_no_point_to_differentiate_at(x: Any) -> None:
    for operator in (cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian):
        with pytest.raises(TypeError, match=r"expected floats; .*astype\(float\)"):
            operator(np.sum)(x)


def test_single_precision_at_its_edges() -> None:
    for x in (np.array([3e-22, 4e-22], np.float32), np.array([3e30, 4e30], np.float32)):
        value, g = cr.value_and_grad(np.linalg.norm)(x)
        assert value.dtype == g.dtype == np.float32
        np.testing.assert_allclose(value, np.linalg.norm(x.astype(float)), rtol=1e-6)
        np.testing.assert_allclose(g, [0.6, 0.8], rtol=1e-6)
    leaf = Value(np.float32(3))
    (leaf * leaf).backward()
    assert leaf.grad == 6 and leaf.grad.dtype == np.float32


def test_shapes_of_nothing() -> None:
    x = Value(np.ones((0, 3)))
    y = x * np.ones(3)
    assert y.shape == (0, 3)
    assert np.sum(y).data == 0
    with pytest.raises(IndexError, match="index 5"):
        Value(np.ones(3))[5]


@pytest.mark.parametrize(
    "f, slope",
    [
        (lambda z: np.abs(z) ** 2, 2 + 4j),
        (lambda z: np.real(z * np.conj(z)), 2 + 4j),
        (lambda z: z.real**2 + z.imag**2, 2 + 4j),
        (lambda z: np.angle(z), (-2 + 1j) / 5),
        (lambda z: np.exp(z).real, np.conj(np.exp(1 + 2j))),
    ],
)
def test_a_complex_gradient_is_the_direction_of_steepest_ascent(f: Any, slope: complex) -> None:
    """``∂f/∂a + i ∂f/∂b`` at ``z = 1 + 2i``."""
    np.testing.assert_allclose(cr.grad(f)(1 + 2j), slope, rtol=1e-14)
    np.testing.assert_allclose(cr.grad(lambda z: np.sum(f(z)))(np.array([1 + 2j])), [slope], rtol=1e-14)
    z = Value(1 + 2j)
    f(z).backward()
    np.testing.assert_allclose(z.grad, slope, rtol=1e-14)


def test_a_holomorphic_function_has_one_complex_derivative() -> None:
    z = 0.3 + 0.4j
    np.testing.assert_allclose(cr.grad(np.sin, holomorphic=True)(z), np.cos(z), rtol=1e-14)
    with pytest.raises(TypeError, match=r"complex number, expected a real one; .*holomorphic=True"):
        cr.grad(np.sin)(z)


@pytest.mark.parametrize("cut", [float, int, bool, complex], ids=lambda f: f.__name__)
def test_leaving_the_graph_is_never_silent(cut: Any) -> None:
    with pytest.raises(TypeError, match=r"would cut it out of the graph; write v\.item\(\)"):
        cr.grad(lambda x: x * cut(x))(2.0)
    with pytest.raises(TypeError, match="would cut it out of the graph"):
        cr.grad(lambda x: np.sum(x) * cut(x[0]))(a(2, 3))


def test_what_does_not_depend_has_derivative_zero() -> None:
    x, y = np.ones((2, 3)), 1.5
    gx, gy = cr.grad(lambda x, y: np.sum(x), (0, 1))(x, y)
    assert gx.shape == (2, 3) and gy == 0.0
    for mode in MODES:
        assert np.array_equal(cr.jacobian(lambda x: np.ones(4), mode=mode)(x), np.zeros((4, 2, 3)))
    assert np.array_equal(cr.grad(lambda x: 1.0)(x), np.zeros((2, 3)))
    assert np.array_equal(cr.hessian(np.sum)(a(1, 2)), np.zeros((2, 2)))
    assert cr.jvp(lambda x: 1.0, (y,), (1.0,)) == (1.0, 0.0)


# -------------------------------------------------------------------- one graph, used again


@pytest.mark.parametrize("times", [1, 2, 3])
def test_backward_adds_as_often_as_it_is_called(times: int) -> None:
    x, w = Value(3.0), Value(a(1, 2))
    y = np.sum(np.tanh(x * w) ** 2) + x * x
    y.backward()
    once = x.grad, w.grad.copy(), y.grad
    for _ in range(times - 1):
        y.backward()
    assert (x.grad, y.grad) == (times * once[0], times * once[2])
    assert np.array_equal(w.grad, times * once[1])


def test_data_changed_between_forward_and_backward() -> None:
    """The gradient is of what was computed, whoever changes his numbers afterwards."""
    x, c, index = Value(a(1, 2)), a(3, 4), np.array([0, 1])
    y = np.sum((x * c)[index] * x)
    x.data *= 100
    x.data[0] = 7
    c[:] = 100
    index[:] = 0
    y.backward()
    assert np.array_equal(x.grad, [6, 16])

    x = Value(2.0)
    y = x * x
    x.data = 3.0
    y.backward()
    assert x.grad == 4


def test_a_sweep_of_higher_order_refuses_changed_data() -> None:
    x = Value(2.0)

    def f(y: Any) -> Any:
        z = y * x * x
        x.data = 3.0
        return z

    with pytest.raises(RuntimeError, match="new data after it was used"):
        cr.grad(f)(5.0)


def test_writing_into_a_result_is_refused() -> None:
    x = Value(a(1, 2))
    y = 2 * x
    view = y[:1]
    for v in (x, y, view):
        with pytest.raises(TypeError, match=r"cannot be assigned.*np\.where"):
            v[0] = 5.0
    with pytest.raises(ValueError, match="read-only"):
        view.data[0] = 5.0
    np.sum(y).backward()
    assert np.array_equal(x.grad, [2, 2])


def test_an_error_half_way_changes_no_gradient() -> None:
    class Broken(Exception):
        pass

    def fail(*_: Any) -> Any:
        raise Broken

    broken = Elementwise(np.sin, fail)
    x, w = Value(0.5), Value(a(1, 2))
    y = np.sum(w * broken(x * 2)) + x
    with pytest.raises(Broken):
        y.backward()
    assert (x.grad, y.grad) == (0.0, 0.0)
    assert np.array_equal(w.grad, [0, 0])


# -------------------------------------------------------------------- size and life of a graph


def test_a_long_chain_and_a_wide_fan() -> None:
    n = 200_000
    x = Value(1.0)
    v = x
    for _ in range(n):
        v = v * 1.0
    v.backward()
    assert x.grad == 1.0
    x.grad = None
    total = Value(0.0)
    for _ in range(n):
        total = total + x
    total.backward()
    assert x.grad == n


def test_a_graph_is_freed_without_the_cyclic_collector() -> None:
    def values() -> int:
        return sum(type(o) is Value for o in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = values()
        x = Value(a(1, 2))
        y = np.sum(np.prod(np.tanh(x)) * x)
        y.backward()
        cr.hessian(lambda x: np.sum(np.sort(x) * np.prod(x)))(a(1, 2))
        assert values() > before
        del x, y
        assert values() == before
    finally:
        gc.enable()


def pickled(x: Any) -> Any:
    return pickle.loads(pickle.dumps(x))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled], ids=lambda f: f.__name__)
def test_a_leaf_is_copied_and_a_result_refuses(again: Any) -> None:
    x = Value(a(1, 2), name="x")
    np.sum(x * x).backward()
    y = again(x)
    assert y.name == "x" and np.array_equal(y.data, x.data) and np.array_equal(y.grad, [2, 4])
    y.data[0] = 5
    y.grad[0] = 5
    assert np.array_equal(x.data, [1, 2]) and np.array_equal(x.grad, [2, 4])
    with pytest.raises(TypeError, match=r"only leaves can be copied; take Value\(v\.data\)"):
        again(x * x)


# -------------------------------------------------------------------- perturbations kept apart


def nested(outer: str, inner: str) -> tuple[Any, Any]:
    return tuple((lambda f, m=m: cr.jacobian(f, mode=m)) for m in (outer, inner))  # type: ignore[return-value]


@pytest.mark.parametrize("inner", MODES)
@pytest.mark.parametrize("outer", MODES)
def test_perturbations_are_not_confused(outer: str, inner: str) -> None:
    D, d = nested(outer, inner)
    assert D(lambda x: x * d(lambda y: x * y)(1.0))(3.0) == 6
    assert D(lambda x: x * d(lambda y: x + y)(1.0))(3.0) == 1
    assert D(lambda x: d(lambda y: (x + y) ** 3)(0.0))(2.0) == 12

    def shifted(f: Any) -> Any:  # the derivative of f at x, as a function that closes over x
        return lambda x: d(lambda h: f(x + h))(0.0)

    assert D(shifted(lambda x: x**3))(2.0) == 12
    assert shifted(shifted(lambda x: x**3))(2.0) == 12
