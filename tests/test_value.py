"""A Value as Python sees it: what it is made of, how it prints, compares and copies, what it refuses."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import chainrule as cr
from chainrule import Value

# -------------------------------------------------------------------- making one


@pytest.mark.parametrize("number", [2.0, 2, -0.0])
def test_a_python_number_becomes_a_python_float_and_stays_one(number):
    v = Value(number)
    for w in (
        v,
        v + 1,
        2 * v,
        v**2,
        -v,
        v.tanh(),
        np.exp(v),
        np.maximum(v, 0.5),
        abs(v),
        np.where(v > -1, v, 0.0),
    ):
        assert type(w.data) is float
    v.data -= 0.5
    assert type(v.data) is float
    v.data -= np.float64(0.25) * v.data  # as an optimiser's step with NumPy numbers in it
    assert type(v.data) is float
    assert type(v.grad) is float


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 1, 3)])
def test_an_array_keeps_its_shape_and_dtype(shape, dtype):
    v = Value(np.ones(shape, dtype))
    assert (v.shape, v.ndim, v.size, v.dtype) == (shape, len(shape), math.prod(shape), dtype)
    assert v.nbytes == math.prod(shape) * np.dtype(dtype).itemsize
    assert v.data.dtype == v.grad.dtype == dtype
    assert v.grad.shape == shape
    assert not v.grad.any()


def test_lists_become_arrays():
    assert_array_equal(Value([1.0, 2.0]).data, [1.0, 2.0])
    assert Value([[1.0], [2.0]]).shape == (2, 1)
    assert Value([1.0, 2.0]).tolist() == [1.0, 2.0]
    assert Value(np.array([2.5])).item() == 2.5
    assert Value(2.5).item() == Value(2.5).tolist() == 2.5


@pytest.mark.parametrize(
    "wrong",
    [[1, 2], np.arange(3), True, np.array([True]), np.int64(1), "text", None, object(), Fraction(1, 2), {}],
    ids=lambda x: type(x).__name__,
)
def test_data_without_a_derivative_is_refused(wrong):
    with pytest.raises(TypeError, match=r"Value: data is .* expected"):
        Value(wrong)


def test_a_value_of_values_is_refused():
    for wrong in (Value(1.0), [Value(1.0), Value(2.0)], [Value([1.0])]):
        with pytest.raises(TypeError):
            Value(wrong)


# -------------------------------------------------------------------- as Python sees it


def test_repr_shows_data_gradient_and_name():
    a = Value(2.0, name="a")
    assert repr(a) == str(a) == f"{a}" == "Value(data=2.0, grad=0.0, name='a')"
    (a * 3).backward()
    assert repr(a) == "Value(data=2.0, grad=3.0, name='a')"
    assert repr(Value(2.0)) == "Value(data=2.0, grad=0.0)"
    v = Value([1.0, 2.0])
    assert repr(v) == "Value(data=[1., 2.], grad=0.0)"
    v.grad = 1
    assert repr(v) == "Value(data=[1., 2.], grad=[1., 1.])"
    large = repr(Value(np.zeros((100, 10), np.float32)))
    assert "float32 array of shape (100, 10)" in large
    for text in (large, repr(Value(np.zeros((4, 4))))):
        assert len(text) < 250
        assert "\n" not in text


def test_format_formats_the_number():
    assert f"{Value(2.0):.3f}" == "2.000"
    assert f"{Value(1234.5):>10,.1f}|" == "   1,234.5|"
    assert f"{Value(np.float32(2.0)):.1e}" == "2.0e+00"
    with pytest.raises(TypeError):
        f"{Value([1.0]):.3f}"


def test_a_value_is_known_by_identity_and_compared_by_elements():
    a, b, v = Value(2.0), Value(2.0), Value([1.0, 2.0])
    assert len({a, b, v, a}) == 3
    assert {a: "a", b: "b", v: "v"}[v] == "v"
    for compare in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
        for other in (1.0, 2, 3.0, b):
            got = compare(a, other)
            assert type(got) is bool
            assert got == compare(2.0, cr.data(other))
            assert compare(other, a) == compare(cr.data(other), 2.0)
        for other in (1.5, [1.0, 3.0], np.array([0.0, 2.0]), Value([1.0, 1.0]), a):
            raw = np.asarray(cr.data(other))
            assert_array_equal(compare(v, other), compare(np.array([1.0, 2.0]), raw))
            assert_array_equal(compare(other, v), compare(raw, np.array([1.0, 2.0])))
    for stranger in (None, "2.0", object()):
        assert (a == stranger, a != stranger) == (False, True)
        with pytest.raises(TypeError):
            a < stranger  # noqa: B015
    assert a != math.nan
    assert a in [b]  # as 2.0 in [2.0] is


def test_len_iteration_and_membership():
    v = Value([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    rows = list(v)
    assert len(v) == len(rows) == 3
    assert_array_equal(rows[1].data, [3.0, 4.0])
    a, b, c = v
    np.sum(b * c).backward()
    assert_array_equal(v.grad, [[0.0, 0.0], [5.0, 6.0], [3.0, 4.0]])
    assert [x.data for x in reversed(Value([1.0, 2.0]))] == [2.0, 1.0]
    assert 2.0 in Value([1.0, 2.0])
    assert 7.0 not in Value([1.0, 2.0])
    assert list(Value(np.zeros((0, 2)))) == []
    for scalar in (Value(1.0), Value(np.array(1.0))):
        with pytest.raises(TypeError, match="scalar"):
            len(scalar)
        with pytest.raises(TypeError, match="scalar"):
            iter(scalar)
        with pytest.raises(IndexError):
            scalar[0]
    with pytest.raises(IndexError):
        v[3]
    v[0] = 9.0
    assert np.all(v.data[0] == 9.0)


CUTS = {
    "bool": bool,
    "if": lambda v: 1 if v else 2,
    "not": operator.not_,
    "float": float,
    "int": int,
    "complex": complex,
    "index": lambda v: [1, 2, 3][v],
    "range": range,
    "math": math.sin,
    "math.floor": math.floor,
    "round": round,
    "np.asarray": np.asarray,
    "np.array": np.array,
    "np.float64": np.float64,
    "np.zeros": np.zeros,
    "into an array": lambda v: np.zeros(1).__setitem__(0, v),
    "out": lambda v: np.add(v, 1.0, out=np.zeros(v.shape)),
    "in-place addition": lambda v: operator.iadd(np.ones(v.shape), v),
    "array of Values": lambda v: np.array([v, v]),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("data", [2.0, np.array(2.0), [1.0, 2.0], np.float32(2.0)], ids=repr)
def test_nothing_leaves_the_graph_silently(data, cut):
    leaf = Value(data)
    for v in (leaf, leaf * 1.0):
        with pytest.raises((TypeError, ValueError)):
            cut(v)
        with pytest.raises((TypeError, ValueError)):
            cr.grad(lambda x: np.sum(x * cut(x)))(leaf.data)


def test_an_error_says_what_to_write_instead():
    v = Value([1.0, 2.0])
    for call, remedy in (
        (lambda: np.array([v, v]), r"chainrule\.array\(\[v, w\]\).*v\.data has the bare numbers and"),
        (lambda: float(v), r"f'{v:.3f}'; v\.data has the bare number and leaves the graph"),
        (lambda: bool(v), r"np\.where"),
        (lambda: int(v), r"np\.floor"),
        (lambda: copy.copy(v * 2), r"take Value\(v\.data\), or v\.data"),
    ):
        with pytest.raises(TypeError, match=remedy):
            call()


@pytest.mark.parametrize(
    "data", [2.0, [1.0, 2.0], np.ones((2, 0), np.float32), np.float32(3.0), np.array(1 + 2j)], ids=repr
)
@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda v, k=k: pickle.loads(pickle.dumps(v, k)) for k in range(pickle.HIGHEST_PROTOCOL + 1)),
    ],
)
def test_a_copy_of_a_leaf_is_a_leaf_of_its_own(copied, data):
    v = Value(data, name="w")
    np.sum(np.abs(v) ** 2).backward()
    w = copied(v)
    assert type(w) is Value
    assert w is not v
    assert (w.name, w.dtype, w.shape, w.primitive, w.inputs) == ("w", v.dtype, v.shape, None, ())
    assert type(w.data) is type(v.data)
    assert_array_equal(w.data, v.data)
    assert_array_equal(w.grad, v.grad)
    before = np.copy(v.data), np.copy(v.grad)
    w.data, w.grad = v.data * 0, v.grad * 0 + 7
    np.sum(np.abs(w) ** 2).backward()
    assert_array_equal(v.data, before[0])
    assert_array_equal(v.grad, before[1])
    if w.ndim:
        assert not np.shares_memory(w.data, v.data)
        assert not np.shares_memory(w.grad, v.grad)
    assert (w * w).serial > w.serial > v.serial


def test_results_are_not_copied():
    """A copy would be cut off from the graph, and its gradients would be silent zeros."""
    y = Value(2.0) * 3
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="result of multiply and part of a graph"):
            copied(y)


def test_copies_in_a_container_keep_shared_leaves_shared():
    v = Value([1.0])
    a, b = copy.deepcopy([v, v])
    assert a is b
    a, b = pickle.loads(pickle.dumps([v, v]))
    assert a is b


def test_a_value_has_no_room_for_anything_else():
    with pytest.raises(AttributeError):
        Value(1.0).gradient = 2.0


def test_data_of_anything():
    assert cr.data(Value(2.0)) == cr.data(2.0) == 2.0
    array = np.ones(2)
    assert cr.data(array) is array
    assert cr.data(None) is None


def test_an_update_that_would_be_lost_is_refused():
    p, total = Value(np.ones(2)), Value(0.0)
    total += 1.0  # a leaf without a gradient: an ordinary sum
    total += np.sum(p * p)
    total.backward()
    for sign, update in (("+", lambda p, x: p.__iadd__(x)), ("-", lambda p, x: p.__isub__(x))):
        with pytest.raises(TypeError, match=rf"write v\.data \{sign}= x to update it"):
            update(p, 0.1 * p.grad)
    p.data -= 0.1 * p.grad
    assert np.allclose(p.data, 0.8)
    p -= p * 0.5  # by a Value: a new node
    assert p.primitive is not None
