"""Functions that NumPy has no name for, beside the rules that `test_table` checks."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value


def test_array_joins_what_an_array_of_objects_holds():
    def f(x):
        held = np.empty((2, 2), object)
        for i in range(4):
            held.flat[i] = x[i] ** 2
        return cr.array(held)

    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert cr.grad(lambda x: np.sum(f(x)))(x).tolist() == [2.0, 4.0, 6.0, 8.0]
    assert f(x).tolist() == [[1.0, 4.0], [9.0, 16.0]] and f(x).dtype == float


def test_array_joins_values_and_numbers_however_nested():
    def rotation(t):
        return cr.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])

    def whole(t):
        return cr.array([[[t[0], 1], [2.0, t[1]]], np.ones((2, 2)) * t[0]])

    t = np.array([0.3, 2.0])
    assert np.array_equal(cr.array([[1, 2.5], [3.0, 4]]), np.array([[1, 2.5], [3, 4]]))
    assert whole(Value(t)).shape == (2, 2, 2)
    cr.check_grads(rotation, (0.3,), order=2)
    cr.check_grads(whole, (t,), order=2)
    jacobian = cr.jacobian(lambda x: cr.array([x[0] * x[1], np.sin(x[0])]))(t)
    assert np.allclose(jacobian, [[t[1], t[0]], [np.cos(t[0]), 0.0]])
    assert np.array_equal(cr.array([]), np.zeros(0))
    single = cr.array([[t[0], 1], [Value(2.0), 3.0]], dtype=np.float32)
    assert single.dtype == np.float32 and single.data.tolist() == [[np.float32(0.3), 1.0], [2.0, 3.0]]
    assert cr.grad(lambda x: np.sum(cr.array([x, 2 * x], complex)).real)(1.0) == 3.0
    assert cr.array([1, 2], int).dtype == int and type(cr.array(2.0, np.float32)) is np.float32
    with pytest.raises(TypeError, match="astype: a Value cannot become int64"):
        cr.array([Value(1.0), 2], dtype=int)
    with pytest.raises(ValueError, match=r"stack: .*shape"):
        cr.array([[Value(1.0)], [Value(1.0), 2.0]])
    with pytest.raises(TypeError, match=r"array: received 'text', expected"):
        cr.array([1.0, "text"])
