"""Dropout: its mean, its draws, and what it does where a call is repeated for its derivatives."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn


def test_it_keeps_the_mean_and_leaves_out_the_share():
    y = nn.Dropout(0.3, rng=0)(np.ones(100_000))
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.01)
    assert set(np.unique(y)) == {0.0, 1 / 0.7}


@pytest.mark.parametrize(("p", "y"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_ends(p, y):
    assert np.array_equal(nn.Dropout(p, rng=0)(np.ones(4)), np.full(4, y))


def test_after_training_it_does_nothing():
    layer, x = nn.Dropout(0.5, rng=0), np.ones(8)
    state = layer.rng.bit_generator.state
    assert np.array_equal(layer.eval()(x), x)
    assert layer.rng.bit_generator.state == state


def test_a_generator_is_shared():
    rng = cr.random.default_rng(0)
    layer = nn.Dropout(0.5, rng=rng)
    assert layer.rng is rng


def test_compiled_it_draws_what_it_would_have_drawn():
    eager, layer, x = nn.Dropout(0.5, rng=0), nn.Dropout(0.5, rng=0), np.ones((5, 3))
    compiled = cr.compile(lambda x: layer(x))
    calls = [compiled(x) for _ in range(3)]
    assert not np.array_equal(calls[0], calls[1])
    for got in calls:
        assert np.array_equal(got, eager(x))


class Thrice(nn.Module):
    """One dropout in several places."""

    def __init__(self):
        self.drop = nn.Dropout(0.5, rng=0)
        self.mix = nn.Linear(6, 6, rng=1)

    def forward(self, x):
        return self.drop(self.mix(self.drop(self.drop(x))))


def test_messages_are_those_of_the_same_draws():
    model, x, g = Thrice(), np.random.default_rng(1).normal(size=(4, 6)), np.ones((4, 6))
    v = Value(x)
    y = model(v)
    state = model.drop.rng.bit_generator.state
    y.backward(g)
    np.testing.assert_allclose(model.backward(g), v.grad)
    np.testing.assert_allclose(model.parameter_gradients(g)["mix.weight"], model.mix.weight.grad)
    assert model.drop.rng.bit_generator.state == state
    nn.check_module(model, x)


def test_second_derivatives_of_a_watched_module():
    model, plain = Thrice(), Thrice()
    x = np.random.default_rng(1).normal(size=(2, 6))

    def second(model):
        drawn = cr.random.default_rng(0).bit_generator.state
        model.drop.rng.bit_generator.state = drawn
        return cr.grad(lambda x: np.sum(cr.grad(lambda x: np.sum(np.tanh(model(x)) ** 2))(x) ** 2))(x).data

    want = second(plain)
    with nn.watch(model) as seen:
        np.testing.assert_allclose(second(model), want)
    assert len(seen.calls["drop"]) == 3


def test_a_call_that_draws_more_the_second_time():
    layer, x = nn.Dropout(0.5, rng=0), np.ones(3)
    layer.eval()(x)
    with pytest.raises(RuntimeError, match="draws more than the first time"):
        layer.train().backward(np.ones(3))


@pytest.mark.parametrize("seed", [None, 0])
def test_a_layer_knows_whether_it_was_seeded(seed):
    block = nn.TransformerBlock(4, 2, dropout=0.1, rng=seed)
    assert [m.seeded for _, m in block.named_modules() if type(m) is nn.Dropout] == [seed is not None] * 2
