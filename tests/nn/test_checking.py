"""check_module: it finds what is wrong, says where, and leaves no trace."""

import numpy as np
import pytest

from chainrule import Value, nn

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
