"""MLP: the composition, its activations, and initial weights that keep a signal alive."""

import numpy as np
import pytest
from scipy.special import expit

from chainrule import Value, nn


@pytest.mark.parametrize(("activation", "function"), [
    ("relu", lambda x: np.maximum(x, 0)),
    ("tanh", np.tanh),
    ("sigmoid", expit),
    ("softplus", lambda x: np.logaddexp(x, 0)),
    ("identity", lambda x: x),
    (np.sin, np.sin),
])  # fmt: skip
def test_forward_is_the_composition_with_a_linear_end(activation, function):
    model = nn.MLP([3, 5, 4, 2], activation=activation, rng=0)
    x = np.random.default_rng(1).normal(size=(6, 3))
    (w0, b0), (w1, b1), (w2, b2) = ((layer.weight.data, layer.bias.data) for layer in model.layers)
    expected = function(function(x @ w0 + b0) @ w1 + b1) @ w2 + b2
    np.testing.assert_allclose(model(x).data, expected, rtol=1e-13)


def test_gradients_by_differences():
    model = nn.MLP([2, 4, 1], activation="tanh", rng=0)
    x = np.random.default_rng(1).normal(size=(3, 2))
    np.sum(model(x) ** 2).backward()
    for p in model.parameters():
        gradient = p.grad.copy()
        for index in np.ndindex(p.shape):
            there = []
            for h in (1e-5, -1e-5):
                moved = p.data.copy()
                moved[index] += h
                kept, p.data = p.data.copy(), moved
                there.append(np.sum(model(x).data ** 2))
                p.data = kept
            assert gradient[index] == pytest.approx((there[0] - there[1]) / 2e-5, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus", "sigmoid", "identity"])
def test_a_deep_network_neither_kills_nor_blows_up_the_signal(activation):
    model = nn.MLP([64] * 11, activation=activation, rng=0)
    out = model(np.random.default_rng(1).normal(size=(200, 64)))
    assert 1e-2 < out.data.std() < 1e2
    np.mean(out**2).backward()
    norms = [np.linalg.norm(layer.weight.grad) for layer in model.layers]
    assert min(norms) > 0


def test_relu_layers_keep_the_second_moment():
    rng = np.random.default_rng(0)
    w = nn.he_normal(rng, 500, 500)
    x = np.maximum(rng.normal(size=(1000, 500)), 0)
    for _ in range(5):
        x = np.maximum(x @ w, 0)
    assert 0.3 < np.mean(x**2) / 0.5 < 3


def test_parameters_names_repr_and_dtype():
    model = nn.MLP([2, 16, 16, 1], rng=0, dtype=np.float32)
    assert sum(p.size for p in model.parameters()) == 337  # micrograd's number for this network
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert repr(model) == "MLP(2 -> 16 -> 16 -> 1, relu, 337 parameters, float32)"
    assert model(np.ones((1, 2), np.float32)).dtype == np.float32
    assert [type(p) for p in nn.MLP([2, 1], bias=False, rng=0).parameters()] == [Value]


@pytest.mark.parametrize(("sizes", "options", "error", "match"), [
    ([3], {}, ValueError, r"sizes is \[3\]; expected at least two numbers"),
    (3, {}, ValueError, "sizes is 3"),
    ([3, 0], {}, ValueError, "n_out is 0"),
    ([3, 1], {"activation": "rellu"}, ValueError, "activation is 'rellu'; expected one of 'relu'"),
    ([3, 1], {"activation": 3}, TypeError, "activation is a int"),
])  # fmt: skip
def test_wrong_arguments_are_named(sizes, options, error, match):
    with pytest.raises(error, match=match):
        nn.MLP(sizes, rng=0, **options)
