"""check_module: it finds what is wrong, says where, and leaves no trace."""

import numpy as np
import pytest

from chainrule import Value, data, nn

X = np.random.default_rng(0).normal(size=(3, 2))


class Scale(nn.Module):
    """y = x w, with messages by hand."""

    def __init__(self, **wrong):
        self.w = Value(np.array([2.0, 3.0]))
        self.wrong = wrong

    def forward(self, x):
        return x * self.w

    def backward(self, delta):
        g = delta * self.w.data
        g[1, 1] += self.wrong.get("backward", 0.0)
        return self.wrong.get("outgoing", g)

    def parameter_gradients(self, delta):
        (x,) = self.inputs
        g = np.sum(x * delta, axis=0)
        g[1] += self.wrong.get("parameter", 0.0)
        return self.wrong.get("named", {"w": g})


class Lying(nn.Module):
    """Its forward is not what is differentiated."""

    def forward(self, x):
        return x * np.abs(np.asarray(getattr(x, "data", x)))


def test_what_is_right_passes():
    assert nn.check_module(Scale(), X) is None


@pytest.mark.parametrize(("module", "match"), [
    (Scale(backward=1e-3), r"Scale.backward: input 0 at \(1, 1\): got .*, expected .* as follows from"),
    (Scale(parameter=1e-3), r"Scale.parameter_gradients: w at \(1,\): got .*, expected .*"),
    (Scale(outgoing=np.ones(3)), r"input 0: got an array of shape \(3,\), expected the shape \(3, 2\)"),
    (Scale(outgoing=None), r"input 0: got None, expected the shape \(3, 2\)"),
    (Scale(outgoing=(X, X)), "returned 2 gradients, expected one for each of 1 inputs"),
    (Scale(named={}), r"returned \[\], expected \['w'\]"),
    (Lying(), r"Lying.backward: input 0 at \(0, 0\): got .*, expected .*, the difference quotient"),
])  # fmt: skip
def test_what_is_wrong_is_named(module, match):
    with pytest.raises(AssertionError, match="check_module: .*" + match):
        nn.check_module(module, X)


def test_the_module_is_left_as_it_was():
    module = Scale()
    np.sum(module(X)).backward()
    gradient = module.w.grad.copy()
    nn.check_module(module, X)
    assert np.array_equal(module.w.grad, gradient)
    assert module.w.data.tolist() == [2.0, 3.0]


def test_inputs_without_gradients_and_scalars():
    nn.check_module(nn.Embedding(5, 2, rng=0), np.array([1, 1, 4]))
    nn.check_module(nn.Tanh(), np.array(0.5))


def test_containers_and_keywords():
    x, state = np.random.default_rng(0).normal(size=(2, 4, 3)), np.ones((1, 2, 3))
    nn.check_module(nn.LSTM(3, 3, rng=0), x, (state, state))
    nn.check_module(nn.MultiHeadAttention(3, 1, rng=0), x, mask=np.zeros((4, 4)))

    class Pair(nn.Module):
        def forward(self, pair, *, scale):
            return pair["a"] * pair["b"] * scale

        def backward(self, delta):
            pair, scale = self.inputs
            a, b = pair["a"], pair["b"]
            return {"a": b * scale * delta, "b": wrong * a * scale * delta}, np.sum(a * b * delta)

    wrong = 1.0
    pair = {"a": X, "b": X + 1}
    nn.check_module(Pair(), pair, scale=3.0)
    wrong = 1.1
    with pytest.raises(AssertionError, match=r"Pair.backward: input 0\['b'\] at \(0, 0\)"):
        nn.check_module(Pair(), pair, scale=3.0)


def test_a_forward_out_of_sight_is_compared_with_differences():
    class Outside(nn.Module):
        def __init__(self, factor):
            self.factor = factor

        def forward(self, x):
            return np.exp(data(x))

        def backward(self, delta):
            return self.factor * delta * np.exp(self.inputs[0])

    nn.check_module(Outside(1.0), X)
    with pytest.raises(AssertionError, match=r"input 0 at \(0, 0\)"):
        nn.check_module(Outside(1.001), X)
