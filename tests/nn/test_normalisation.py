"""Normalisation: means and variances, running statistics, and what counts as a call."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

rng = np.random.default_rng(0)
X = rng.normal(3.0, 2.0, (4, 6, 5, 3))


@pytest.mark.parametrize(("layer", "axes"), [
    (nn.BatchNorm2d(6), (0, 2, 3)),
    (nn.GroupNorm(6, 6), (2, 3)),
    (nn.GroupNorm(1, 6), (1, 2, 3)),
    (nn.LayerNorm((5, 3)), (2, 3)),
    (nn.LayerNorm(3), (3,)),
])  # fmt: skip
def test_mean_0_and_variance_1(layer, axes):
    y = layer(X).data
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-13)
    v = X.var(axis=axes)
    np.testing.assert_allclose(y.var(axis=axes), v / (v + 1e-5), rtol=1e-12)


def test_rms():
    np.testing.assert_allclose(nn.RMSNorm(3)(X).data, X / np.sqrt(np.mean(X**2, axis=-1, keepdims=True)))
    assert nn.RMSNorm(3, dtype=np.float32)(np.zeros(3, np.float32)).data.tolist() == [0, 0, 0]


def test_running_statistics_and_what_uses_them():
    layer = nn.BatchNorm2d(6, momentum=0.25)
    mean, var = np.zeros(6), np.ones(6)
    for k in range(3):
        layer(X + k)
        mean = 0.75 * mean + 0.25 * (X + k).mean(axis=(0, 2, 3))
        var = 0.75 * var + 0.25 * X.var(axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_mean.data, mean)
    np.testing.assert_allclose(layer.running_var.data, var)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var"]
    y = layer.eval()(X[:1])
    at = (slice(None), None, None)
    np.testing.assert_allclose(y.data, (X[:1] - mean[at]) / np.sqrt(var[at] + 1e-5))
    assert np.array_equal(layer.running_mean.data, layer.state_dict()["running_mean"])
    y.backward(np.ones(y.shape))
    assert layer.running_mean.grad is None or not np.any(layer.running_mean.grad)


def test_a_call_counts_once_whatever_is_derived_from_it():
    model, other = (nn.Sequential(nn.BatchNorm2d(6), nn.Tanh()) for _ in range(2))
    other(X)
    with nn.watch(model):
        y = model(X)
        np.sum(y).backward()
    model.backward(np.ones(X.shape))
    nn.check_module(model, X)
    for name, a in other.state_dict().items():
        assert np.array_equal(model.state_dict()[name], a), name


def test_compiled_the_statistics_are_state():
    eager, layer = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
    step = cr.compile(lambda x: layer(x))
    for k in range(3):
        np.testing.assert_allclose(step(X * k).data, eager(X * k).data, atol=1e-12)
    np.testing.assert_allclose(layer.running_mean.data, eager.running_mean.data)
    np.testing.assert_allclose(layer.running_var.data, eager.running_var.data)
    layer.eval(), eager.eval()
    np.testing.assert_allclose(cr.compile(lambda x: layer(x))(X).data, eager(X).data, atol=1e-12)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d, nn.BatchNorm2d])
def test_a_momentum_of_none_is_named(layer):
    with pytest.raises(TypeError, match=f"{layer.__name__}: momentum is None; expected a number"):
        layer(3, momentum=None)
