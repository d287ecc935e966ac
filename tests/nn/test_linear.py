"""Linear: the affine map, its shapes, its dtypes, its complaints."""

import numpy as np
import pytest

from chainrule import Value, nn


@pytest.mark.parametrize("batch", [(), (5,), (2, 5), (0,)])
def test_forward_and_gradients_against_einsum(batch):
    rng = np.random.default_rng(0)
    layer = nn.Linear(4, 3, rng=rng)
    layer.bias.data = rng.normal(size=3)
    x, g = rng.normal(size=(*batch, 4)), rng.normal(size=(*batch, 3))
    y = layer(x)
    np.testing.assert_allclose(y.data, np.einsum("...i,ij->...j", x, layer.weight.data) + layer.bias.data)
    np.sum(y * g).backward()
    np.testing.assert_allclose(
        layer.weight.grad, np.einsum("ni,nj->ij", x.reshape(-1, 4), g.reshape(-1, 3)), atol=1e-14
    )
    np.testing.assert_allclose(layer.bias.grad, g.reshape(-1, 3).sum(axis=0), atol=1e-14)


def test_the_same_seed_gives_the_same_layer_and_another_seed_another():
    a, b, c = (nn.Linear(4, 3, rng=seed).weight.data for seed in (7, 7, 8))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize(("weights", "x", "y"), [
    (np.float64, np.float64, np.float64),
    (np.float32, np.float32, np.float32),
    (np.float64, np.float32, np.float64),
    (np.float32, np.float64, np.float64),
    (np.float32, np.uint8, np.float32),
])  # fmt: skip
def test_dtypes_follow_numpy_and_gradients_those_of_the_parameters(weights, x, y):
    layer = nn.Linear(3, 2, rng=0, dtype=weights)
    out = layer(np.ones((4, 3), x))
    assert out.dtype == y
    np.sum(out).backward()
    assert layer.weight.grad.dtype == layer.bias.grad.dtype == weights


def test_without_bias():
    layer = nn.Linear(3, 2, bias=False, rng=0)
    assert layer.bias is None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert repr(layer) == "Linear(3 -> 2, no bias, 6 parameters, float64)"
    assert np.array_equal(layer(np.zeros((1, 3))).data, np.zeros((1, 2)))


@pytest.mark.parametrize("x", [np.ones((5, 4)), 1.0, [1.0, 2.0], Value(np.ones(4))])
def test_a_wrong_shape_is_named(x):
    with pytest.raises(ValueError, match=r"Linear\(3 -> 2\): x is \(.*\); expected \(\.\.\., 3\)"):
        nn.Linear(3, 2, rng=0)(x)


def test_nested_lists_are_data():
    layer = nn.Linear(2, 1, rng=0)
    assert np.array_equal(layer([[1.0, 2.0]]).data, layer(np.array([[1.0, 2.0]])).data)


@pytest.mark.parametrize(("arguments", "error", "match"), [
    ({"n_in": 0, "n_out": 2}, ValueError, "n_in is 0; expected at least 1"),
    ({"n_in": 2, "n_out": -1}, ValueError, "n_out is -1"),
    ({"n_in": 2.0, "n_out": 1}, TypeError, "n_in is 2.0; expected an integer"),
    ({"n_in": True, "n_out": 1}, TypeError, "n_in is True"),
    ({"n_in": 2, "n_out": 1, "dtype": int}, TypeError, "dtype is int64; expected a floating one"),
])  # fmt: skip
def test_wrong_arguments_are_named(arguments, error, match):
    with pytest.raises(error, match=match):
        nn.Linear(arguments.pop("n_in"), arguments.pop("n_out"), **arguments)
