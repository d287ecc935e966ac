"""Module: which Values are parameters, in which order, under which names."""

import numpy as np
import pytest

from chainrule import Value, nn


class Tangle(nn.Module):
    """Parameters everywhere they may be, and things that are none."""

    def __init__(self):
        self.gain = Value(2.0)
        self.blocks = {
            "enc": nn.Linear(2, 3, rng=0),
            "dec": (nn.Linear(3, 2, bias=False, rng=1), Value(np.ones(2))),
        }
        self.again = self.blocks["enc"]  # shared
        self.tied = [self.gain]
        self.loss = self.gain * 3.0  # a result
        self.me = self  # a cycle
        self.count = 3
        self.table = np.ones(3)


def test_parameters_are_the_leaves_in_order_of_definition_each_once():
    module = Tangle()
    assert [name for name, _ in module.named_parameters()] == [
        "gain",
        "blocks.enc.weight",
        "blocks.enc.bias",
        "blocks.dec.0.weight",
        "blocks.dec.1",
    ]
    assert [id(p) for p in module.parameters()] == [id(p) for _, p in module.named_parameters()]
    assert module.parameters()[0] is module.gain


def test_zero_grad_reaches_every_parameter():
    module = Tangle()
    sum(np.sum(p * p) for p in module.parameters()).backward()
    assert all(np.all(p.grad == 2 * p.data) for p in module.parameters())
    module.zero_grad()
    assert all(np.all(p.grad == 0) for p in module.parameters())


def test_call_is_forward_and_a_missing_forward_says_so():
    class Twice(nn.Module):
        def forward(self, x, *, times=2):
            return times * x

    assert Twice()(3.0) == 6.0
    assert Twice()(3.0, times=3) == 9.0
    with pytest.raises(NotImplementedError, match="Tangle: forward is not defined"):
        Tangle()(1.0)


def test_repr_shows_what_holds_parameters():
    text = repr(Tangle.__new__(Tangle))
    assert text == "Tangle()"

    class Pair(nn.Module):
        def __init__(self):
            self.left = nn.Linear(2, 3, rng=0)
            self.scale = Value(np.ones(4))
            self.steps = 7

    assert (
        repr(Pair())
        == "Pair(\n  left = Linear(2 -> 3, 9 parameters, float64)\n  scale = Value(4,) float64\n)"
    )


def test_repr_of_a_cycle_ends():
    assert "gain" in repr(Tangle())
