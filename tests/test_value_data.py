"""Whom a Value's data and gradient belong to: no writing changes a graph that was recorded before."""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import chainrule as cr
from chainrule import Value


def test_an_array_is_copied_on_the_way_in():
    for source in (np.ones(3), np.ones(6)[::2], np.float64(1.0) * np.ones(3)):
        v, w = Value(source), Value(np.zeros(3))
        w.data = source
        source[0] = 9.0
        assert_array_equal(v.data, np.ones(3))
        assert_array_equal(w.data, np.ones(3))


def test_a_leafs_data_may_be_changed_in_place():
    v = Value([1.0, 2.0, 3.0])
    v.data[0] = 5.0
    v.data *= 2
    v.data[1:] -= 1
    assert_array_equal(v.data, [10.0, 3.0, 5.0])
    assert_array_equal((v * 1.0).data, [10.0, 3.0, 5.0])
    v.data[0] = 0.0
    assert_array_equal(v.data, [0.0, 3.0, 5.0])
    assert_array_equal((v * 1.0).data, [0.0, 3.0, 5.0])


def test_the_data_of_a_result_is_only_shown():
    v = Value([1.0, 2.0])
    for result in (
        v * 2,
        v[::-1],
        np.reshape(v, (2, 1)),
        np.sum(v, keepdims=True),
        np.positive(v),
    ):
        with pytest.raises(ValueError, match="read-only"):
            result.data[0] = 5.0
        with pytest.raises(TypeError, match=r"only a leaf's data can be replaced"):
            result.data = np.zeros(result.shape)
    assert_array_equal(v.data, [1.0, 2.0])


def test_new_data_has_the_old_shape():
    v = Value([1.0, 2.0])
    for wrong in (np.ones(3), 1.0, [[1.0, 2.0]], np.ones((2, 1))):
        with pytest.raises(ValueError, match=r"Value.data: new data has shape .* expected \(2,\)"):
            v.data = wrong
    for wrong in ([1, 2], "text", None, Value([1.0, 2.0])):
        with pytest.raises((TypeError, ValueError)):
            v.data = wrong
    with pytest.raises(ValueError, match=r"new data has shape \(2,\), expected \(\)"):
        Value(1.0).data = [1.0, 2.0]
    assert_array_equal(v.data, [1.0, 2.0])


def _view(part):
    """Keep something of the data before the graph is recorded, write through it afterwards."""

    def prepare(p):
        kept = part(p.data)

        def change():
            kept[0] = 9.0

        return change

    return prepare


CHANGES = {  # each is prepared before the graph is recorded and done between forward and backward
    "replace": lambda p: lambda: setattr(p, "data", p.data + 8),
    "subtract": lambda p: lambda: setattr(p, "data", operator.isub(p.data, 8.0)),
    "element": lambda p: lambda: operator.setitem(p.data, 0, 5.0),
    "slice": lambda p: lambda: operator.setitem(p.data, slice(1, None), 7.0),
    "fill": lambda p: lambda: p.data.fill(3.0),
    "the array": _view(lambda d: d),
    "a slice": _view(lambda d: d[1:]),
    "reversed": _view(lambda d: d[::-1]),
    "reshaped": _view(lambda d: d.reshape(3, 1)),
    "a memoryview": _view(memoryview),
    "one element": _view(lambda d: d[1:2]),
}
PROGRAMS = {
    "product": lambda p: np.sum(p * p),
    "matmul": lambda p: p @ np.ones((3, 3)) @ p,
    "through views": lambda p: np.sum(p[::-1] * p.reshape(3, 1)),
    "exp": lambda p: np.sum(np.exp(p)) + np.sum(p) ** 3,
    "prod": lambda p: np.prod(p),
    "norm": lambda p: np.linalg.norm(p),
    "max": lambda p: np.max(p * p) + np.sum(np.maximum(p, 1.5)),
    "einsum": lambda p: np.einsum("i,i->", p, p) + np.sum(np.einsum("i->i", p) ** 2),
    "the leaf twice": lambda p: np.sum(np.real(p) * np.positive(p) * p),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("prepare", CHANGES.values(), ids=CHANGES)
def test_data_changed_between_forward_and_backward(prepare, program):
    """The gradient is that of the numbers the graph was computed from; the next graph sees the new ones."""
    start = np.array([1.0, 2.0, 3.0])
    want = cr.grad(program)(start)
    p = Value(start)
    change = prepare(p)
    y = program(p)
    change()
    y.backward()
    assert_array_equal(p.grad, want)
    y.backward()
    assert_array_equal(p.grad, 2 * want)
    now = p.data.copy()
    assert not np.array_equal(now, start)  # and what was written is not lost
    p.grad = None
    program(p).backward()
    assert_array_equal(p.grad, cr.grad(program)(now))


SEEN = {  # ways to read a vector p that give its sum
    "data": lambda p: p.data.sum(),
    "cr.data": lambda p: cr.data(p).sum(),
    "tolist": lambda p: sum(p.tolist()),
    "item": lambda p: sum(np.reshape(p[i], ()).item() for i in range(3)),
    "repr": lambda p: sum(map(float, repr(p).split("[")[1].split("]")[0].split(","))),
    "iteration": lambda p: sum(x.item() for x in p),
    "operator": lambda p: (p + 0.0).data.sum(),
    "two": lambda p: (p + p).data.sum() / 2,
    "reflected": lambda p: (1.0 * p).data.sum(),
    "function": lambda p: np.sum(p).data,
    "method": lambda p: p.sum().data,
    "plain function": lambda p: float(p.argmax() == 0) * np.sum(p).data,
    "comparison": lambda p: p.data.sum() if np.array_equal(p > 6, [True, False, False]) else None,
    "comparison with itself": lambda p: p.data.sum() if np.all(p == p.data) and np.all(p.data == p) else None,
    "isfinite": lambda p: p.data.sum() if np.all(np.isfinite(p)) and np.argmax(p) == 0 else None,
    "where": lambda p: np.sum(np.where(p > 6, p, 0.0)).data + np.sum(p[1:]).data,
    "deepcopy": lambda p: copy.deepcopy(p).data.sum(),
    "copy": lambda p: copy.copy(p).data.sum(),
    "pickle": lambda p: pickle.loads(pickle.dumps(p)).data.sum(),
    "grad": lambda p: cr.data(cr.grad(lambda x: np.sum(x * x) / 2)(p)).sum(),
    "outer variable": lambda p: cr.data(cr.grad(lambda x: np.sum(x * p))(np.ones(3))).sum(),
    "jvp": lambda p: cr.jvp(lambda x: np.sum(x), (p,), (np.ones(3),))[0].data,
    "tangent": lambda p: cr.data(cr.jvp(lambda x: np.sum(x), (np.ones(3),), (p,))[1]),
    "cotangent": lambda p: cr.data(cr.vjp(lambda x: x * 1.0, np.ones(3))[1](p)[0]).sum(),
    "gradient": lambda p: _started(p).sum(),
    "grad's setter": lambda p: _set(p).sum(),
    "operand of an array": lambda p: (np.zeros(3) + p).data.sum(),
    "stack": lambda p: np.stack([p, p]).data.sum() / 2,
}


def _started(p):
    x = Value(np.ones(3))
    (x * 1.0).backward(p)
    return x.grad


def _set(p):
    x = Value(np.ones(3))
    x.grad = p
    return x.grad


@pytest.mark.parametrize("see", SEEN.values(), ids=SEEN)
@pytest.mark.parametrize("used", [False, True])
def test_what_is_written_through_the_data_is_seen_by_everything(see, used):
    p = Value([1.0, 2.0, 3.0])
    kept = p.data
    if used:
        y = np.sum(p * p)
    kept[0] = 7.0
    assert see(p) == 12.0
    kept[1:] = 0.5
    assert see(p) == 8.0
    p.data *= 2.0
    assert see(p) == 16.0
    if used:
        y.backward()
        assert_array_equal(p.grad, [2.0, 4.0, 6.0])


def test_an_array_handed_out_before_the_data_was_replaced_is_nobodys():
    p = Value([1.0, 2.0])
    old = p.data
    p.data = [3.0, 4.0]
    y = np.sum(p * p)
    old[:] = 9.0
    assert_array_equal(p.data, [3.0, 4.0])
    assert_array_equal((p * 1.0).data, [3.0, 4.0])
    y.backward()
    assert_array_equal(p.grad, [6.0, 8.0])


def test_a_float_changed_between_forward_and_backward():
    p = Value(3.0)
    y = p * p
    p.data = 5.0
    z = p * p
    p.data -= 3.0
    for out, want in ((y, 6.0), (z, 10.0), (p * p, 4.0)):
        p.grad = 0.0
        out.backward()
        assert p.grad == want


class Sub(np.ndarray):
    """Somebody's own kind of array."""


def _operands():
    """Operands of every kind, a function of a Value and them, and how their owner changes them afterwards."""
    c = np.array([2.0, 3.0, 4.0])
    nine = lambda x: lambda: x.fill(9.0)
    yield "array", c, lambda p, c: np.sum(p * c), nine
    yield "on the left", c, lambda p, c: np.sum(c / p), nine
    yield "under NumPy", c, lambda p, c: np.sum(np.arctan2(p, c)), nine
    yield "a view", c[::-1], lambda p, c: np.sum(p**c), nine
    yield "a subclass", c.view(Sub), lambda p, c: np.sum(p * c), nine
    yield "read-only view", np.broadcast_to(c, (2, 3)), lambda p, c: np.sum(p * c), lambda x: nine(x.base)
    yield "without axes", np.array(2.0), lambda p, c: np.sum(p * p * c), nine
    yield "matmul", np.outer(c, c), lambda p, c: p @ c @ p, nine
    yield "einsum", np.outer(c, c), lambda p, c: np.einsum("i,ij,j->", p, c, p), nine
    yield "condition", c > 2.5, lambda p, c: np.sum(np.where(c, p * p, 0.0)), lambda x: lambda: x.fill(False)
    yield (
        "index",
        np.array([0, 0, 2]),
        lambda p, c: np.sum(p[c] * [1.0, 2.0, 3.0]),
        lambda x: lambda: x.fill(1),
    )
    yield "mask", c > 2.5, lambda p, c: np.sum(p[c] ** 2), lambda x: lambda: x.fill(False)
    yield "take", np.array([2, 2]), lambda p, c: np.sum(np.take(p, c) ** 2), lambda x: lambda: x.fill(0)
    yield (
        "repeats",
        np.array([1, 0, 3]),
        lambda p, c: np.sum(np.repeat(p, c) ** 2),
        lambda x: lambda: x.fill(1),
    )
    yield (
        "widths",
        np.array([1, 2]),
        lambda p, c: np.sum(np.pad(p, c, mode="edge") ** 2),
        lambda x: lambda: x.fill(0),
    )
    yield "list", [2.0, 3.0, 4.0], lambda p, c: np.sum(p * c), lambda x: lambda: x.clear()
    yield "list of arrays", [c, c], lambda p, c: np.sum(p * c), lambda x: nine(x[0])
    yield "bounds", c, lambda p, c: np.sum(np.clip(p * p, 0.0, c)), nine
    yield "joined", c, lambda p, c: np.sum(np.concatenate([p, c, p * c]) ** 2), nine
    yield "weights", c, lambda p, c: np.average(p * p, weights=c), nine


@pytest.mark.parametrize(("c", "f", "change"), [o[1:] for o in _operands()], ids=[o[0] for o in _operands()])
def test_an_operand_changed_by_its_owner_between_forward_and_backward(c, f, change):
    p, q = Value([1.0, 2.0, 3.0]), Value([1.0, 2.0, 3.0])
    f(p, copy.deepcopy(c)).backward()
    y = f(q, c)
    change(c)()
    y.backward()
    assert_array_equal(q.grad, p.grad)


# -------------------------------------------------------------------- the gradient


def test_a_gradient_may_be_written_to():
    v = Value([1.0, 2.0])
    v.grad += 1.0
    v.grad[0] = 5.0
    assert_array_equal(v.grad, [5.0, 1.0])
    np.sum(v * 2).backward()
    assert_array_equal(v.grad, [7.0, 3.0])
    v.grad *= 0.5
    v.grad[1] = 0.0
    assert_array_equal(v.grad, [3.5, 0.0])
    v.grad = None
    assert_array_equal(v.grad, [0.0, 0.0])
    v.grad = 2
    assert_array_equal(v.grad, [2.0, 2.0])
    w = Value(1.0)
    w.grad += 2
    w.grad = np.float32(1.5) * w.grad
    assert w.grad == 3.0
    assert type(w.grad) is float


def test_a_gradient_has_the_datas_shape_and_dtype():
    v = Value(np.ones(2, np.float32))
    v.grad = [1, 2]
    assert v.grad.dtype == np.float32
    for wrong in (np.ones(3), np.ones((2, 2)), np.ones((1, 2))):
        with pytest.raises(ValueError, match=r"Value.grad: new gradient has shape .* expected"):
            v.grad = wrong
    with pytest.raises((TypeError, ValueError)):
        Value(1.0).grad = [1.0, 2.0]
    assert_array_equal(v.grad, [1.0, 2.0])


def test_gradients_share_memory_with_nothing_that_can_be_written():
    """One array may reach several nodes in a sweep; a leaf's is its own, a result's is only shown."""
    a, b, start = Value([1.0, 2.0]), Value([3.0, 4.0]), np.array([1.0, 10.0])
    c = a + b
    d = np.reshape(c, (2, 1))
    c.backward(start)
    d.backward(start[:, None])
    others = [start, a.data, b.data, c.data, d.data, c.grad, d.grad]
    for leaf, other in ((a, b), (b, a)):
        assert leaf.grad.flags.writeable
        assert not any(np.shares_memory(leaf.grad, x) for x in [other.grad, *others])
    a.grad[:] = 100.0
    start[:] = 7.0
    assert_array_equal(b.grad, [2.0, 20.0])
    assert_array_equal(c.grad, [2.0, 20.0])
    c.backward([1.0, 1.0])
    assert_array_equal(a.grad, [101.0, 101.0])
    assert_array_equal(b.grad, [3.0, 21.0])


def test_a_leaf_keeps_its_kind_of_numbers():
    p, q = Value(np.ones(2, np.float32)), Value(1.0)
    p.data = np.array([2.0, 3.0])
    q.data = np.float32(2.5)
    assert p.data.dtype == np.float32 and type(q.data) is float
    p.data = p.data - 0.5 * np.ones(2)
    assert p.data.dtype == np.float32
    assert_array_equal(p.data, [1.5, 2.5])
