"""Calls of ufuncs with options, and their methods: what is written, what is not asked, orders that matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value

X, Y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.0, 4.0])


def quotient(x: Any, y: Any) -> Any:
    return np.sum(np.divide(x, y, out=np.zeros_like(x + y), where=y != 0) ** 2)


@pytest.mark.parametrize("run", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_of_elements_that_where_leaves_out_nothing_is_computed(run: Any) -> None:
    """No warning of a division by 0, and no nan of 0 times infinity in the derivative."""
    for mode in ("forward", "reverse"):
        gx, gy = (run(cr.jacobian(quotient, argnums=i, mode=mode))(X, Y) for i in (0, 1))
        np.testing.assert_allclose(gx, [0.5, 0.0, 6 / 16])
        np.testing.assert_allclose(gy, [-2 / 8, 0.0, -18 / 64])


def test_out_becomes_the_result_for_all_names_and_keeps_its_dtype() -> None:
    x = Value(X)
    a = x.astype(np.float32) * 2
    b, window = a, a[1:]
    assert np.add(x, 1.0, out=a) is a
    assert a.dtype == np.float32 and b is a and window.tolist() == [3.0, 4.0]
    np.sum(window * window).backward()
    assert x.grad.tolist() == [0.0, 6.0, 8.0]
    wide = Value(np.ones((2, 3)))
    assert np.multiply(x, 2.0, out=wide).data.tolist() == [[2.0, 4.0, 6.0]] * 2


def test_a_plain_out_of_a_plain_answer_is_filled() -> None:
    out = np.zeros(3, bool)
    assert np.greater(Value(X), 1.5, out=out) is out and out.tolist() == [False, True, True]
    assert np.any(Value(X) > 1.5, keepdims=True, out=out[:1]) and out[0]


def test_results_are_arrays_of_their_own() -> None:
    for make in (np.hypot.accumulate, np.subtract.accumulate, lambda x: np.pad(x, 0, "edge")):
        x = Value(X[:1]) * 1
        make(x)[0] = 5.0
        assert x.tolist() == [1.0]


@pytest.mark.parametrize("name", ["hypot", "logaddexp", "logaddexp2", "add", "maximum", "subtract"])
def test_reductions_begin_with_what_is_given_once(name: str) -> None:
    """Along any axes, of numbers too, with and without ``where=``; as NumPy has it."""
    ufunc, ordered = getattr(np, name), name == "subtract"
    a, mask = np.arange(6.0).reshape(2, 3) - 2.5, np.array([[True, False, True], [False, False, True]])
    for x, where in ((a, mask), (a[:, :1], mask[:, :1]), (a[0], mask[0]), (np.float64(-3.0), np.False_)):
        axes = [0, -1] if np.ndim(x) < 2 or ordered else [0, -1, (0, 1), (), None]
        for axis in axes:
            for options in ({}, {"initial": None}, {"initial": 2.0}, {"initial": 2.0, "where": where}):
                options = {"axis": axis, **options}
                want = ufunc.reduce(x, **options)
                np.testing.assert_allclose(ufunc.reduce(Value(x), **options).data, want, rtol=1e-12)
                compiled = cr.compile(lambda x, f=ufunc, o=options: f.reduce(x, **o))
                np.testing.assert_allclose(compiled(x), want, rtol=1e-12)


def test_what_is_named_twice_is_changed_twice() -> None:
    def f(x: Any) -> Any:
        a = x * 1.0
        np.multiply.at(a, [0, 0, 2], x)
        np.sqrt.at(a, [1, 1])
        return a

    want = [X[0] ** 2 * X[1], X[1] ** 0.25, X[2] ** 2]
    np.testing.assert_allclose(f(Value(X)).data, want)
    cr.check_grads(f, (X,), order=2)


def test_reductions_take_the_elements_in_their_order() -> None:
    x = np.array([[2.0, 0.5, 1.5], [1.2, 0.7, 0.3]])
    left = lambda x: x[:, 0] / x[:, 1] / x[:, 2]
    np.testing.assert_allclose(np.divide.reduce(Value(x), 1).data, left(x), rtol=1e-15)
    cr.check_grads(lambda x: np.divide.reduce(x, 1) - left(x), (x,))
    towers = lambda x: (x[:, 0] ** x[:, 1]) ** x[:, 2]
    np.testing.assert_allclose(np.power.reduce(Value(x), 1).data, towers(x), rtol=1e-15)
    assert np.hypot.reduce(Value(x[:0]), axis=0).tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(np.hypot.reduce(Value(x), axis=None).data, np.linalg.norm(x))
    value, slope = cr.value_and_grad(lambda z: np.sum(np.hypot.reduce(z, axis=0)))(np.array([[-3.0, 2.0]]))
    assert value == 5.0 and slope.tolist() == [[-1.0, 1.0]]  # of one element too it is the size


NUMBERS = [np.add, np.multiply, np.maximum, np.fmin, np.logaddexp, np.subtract, np.hypot]


@pytest.mark.parametrize("options", [{}, {"axis": -1}, {"axis": None}, {"keepdims": True}, {"initial": 2.0}])
@pytest.mark.parametrize("ufunc", NUMBERS, ids=lambda f: f.__name__)
def test_a_number_is_reduced_along_the_first_axis_that_it_has_not(ufunc: Any, options: Any) -> None:
    y = ufunc.reduce(Value(-3.0), **options)
    assert type(y) is Value and y.data == ufunc.reduce(-3.0, **options)
    cr.check_grads(lambda x: ufunc.reduce(x, **options), (-3.0,))


@pytest.mark.parametrize("axis", [1, (0,)])
def test_other_axes_of_a_number_are_refused(axis: Any) -> None:
    for reduce in (np.add.reduce, np.subtract.reduce, np.sum, np.max, np.ptp):
        with pytest.raises(np.exceptions.AxisError, match="a scalar has no axes"):
            reduce(Value(3.0), axis=axis)


def test_long_sums_of_logarithms_take_few_operations() -> None:
    x = Value(np.linspace(-3.0, 2.0, 1000))
    before = x.serial
    y = np.logaddexp.accumulate(x)
    assert y.serial - before < 60
    np.testing.assert_allclose(y.data, np.logaddexp.accumulate(x.data), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    "f", [lambda x: np.multiply.outer(x, 2), lambda x: np.add.outer(2.0, x), lambda x: np.dot(2.0, x)]
)
def test_a_number_is_an_array_to_outer_and_dot(f: Any) -> None:
    """As NumPy makes it one, it widens float32."""
    x = np.ones(3, np.float32)
    assert f(x).dtype == f(Value(x)).dtype == cr.compile(f)(x).dtype == np.float64
    assert cr.grad(lambda x: np.sum(f(x)))(x).dtype == np.float32
