"""Containers, Embedding, and activations by name."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn


def test_sequential_is_a_sequence():
    a, b, c = nn.Linear(2, 3, rng=0), nn.ReLU(), nn.Linear(3, 1, rng=1)
    model = nn.Sequential(a, b, c)
    assert len(model) == 3
    assert list(model) == [a, b, c]
    assert model[-1] is c
    assert list(model[1:]) == [b, c]
    assert [path for path, _ in model.named_modules()] == ["", "0", "1", "2"]
    assert [name for name, _ in model[1:].named_parameters()] == ["1.weight", "1.bias"]
    with pytest.raises(IndexError):
        model[3]


def test_sequential_takes_functions_and_nests():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), np.tanh, nn.Sequential(nn.Linear(3, 1, rng=1)))
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "2.0.weight", "2.0.bias"]
    x = np.ones((4, 2))
    assert np.array_equal(model(x).data, model[2](np.tanh(model[0](x))).data)
    assert np.array_equal(nn.Sequential()(x), x)


def test_frozen_and_in_eval_it_has_the_same_modules():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Dropout(0.5)).freeze().eval()
    assert len(model) == 2
    assert not model[1].training


def test_a_vector_gets_the_gradient_of_each_place_it_was_looked_up_in():
    table = nn.Embedding(4, 2, rng=0)
    i, g = np.array([[3, 0], [3, 3]]), np.random.default_rng(0).normal(size=(2, 2, 2))
    np.sum(table(i) * g).backward()
    want = np.zeros((4, 2))
    np.add.at(want, i, g)
    np.testing.assert_allclose(table.weight.grad, want)


@pytest.mark.parametrize(("index", "error", "match"), [
    ([0, 4], ValueError, "Embedding: 4 looked up; expected 0 to 3"),
    ([-1, 9, 2], ValueError, "Embedding: -1 and 1 more such looked up"),
    ([0.0, 1.0], TypeError, "the numbers to look up are float64; expected integers"),
    (Value(1.0), TypeError, "the numbers to look up are a Value"),
])  # fmt: skip
def test_what_cannot_be_looked_up(index, error, match):
    with pytest.raises(error, match=match):
        nn.Embedding(4, 2, rng=0)(index)


def test_compiled_a_number_that_is_too_large():
    table = nn.Embedding(4, 2, rng=0)
    look = cr.compile(lambda i: table(i))
    look(np.array([1, 2]))
    with pytest.raises(IndexError, match="out of bounds for an axis of size 4"):
        look(np.array([1, 4]))


@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_activations_by_name(name):
    x = np.linspace(-2, 2, 9)
    module = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "selu": nn.SELU, "gelu": nn.GELU,
              "silu": nn.SiLU, "softplus": nn.Softplus, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
              "identity": nn.Identity}[name]()  # fmt: skip
    assert np.array_equal(nn.ACTIVATIONS[name][0](x), module(x))


@pytest.mark.parametrize("f", [cr.elu, cr.selu, cr.silu, cr.gelu, cr.erf])
def test_far_out_they_neither_overflow_nor_leave_float32(f):
    x = np.array([-1e30, -100.0, 0.0, 100.0, 1e30], np.float32)
    with np.errstate(all="raise", under="ignore"):
        y = f(x)
    assert y.dtype == np.float32
    assert np.all(np.isfinite(y))


@pytest.mark.parametrize(("f", "slope"), [(lambda x: cr.elu(x, 1.5), 1.5), (cr.silu, 0.5), (cr.gelu, 0.5)])
def test_slopes_at_zero(f, slope):
    assert cr.grad(f)(0.0) == slope
    for dtype in (np.float64, np.float32):
        slopes = cr.grad(lambda x: np.sum(f(x)))
        assert np.all(slopes(np.zeros(3, dtype)) == slope)
        assert np.all(cr.compile(slopes)(np.zeros(3, dtype)) == slope)


def test_sequential_grows_and_refuses_classes():
    model = nn.Sequential(nn.Linear(2, 3, rng=0))
    assert model.append(nn.ReLU()) is model and len(model) == 2
    assert model(np.ones((1, 2))).shape == (1, 3)
    for wrong in (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU), lambda: model[:1].append(nn.ReLU)):
        with pytest.raises(TypeError, match=r"argument 1 is the class ReLU; .*: ReLU\(\.\.\.\)"):
            wrong()


def test_compiled_a_negative_number_is_not_looked_up():
    table = nn.Embedding(4, 2, rng=0)
    look = cr.compile(lambda i: table(i))
    look(np.array([1, 2]))
    with pytest.raises(IndexError, match="out of bounds"):
        look(np.array([1, -2]))
