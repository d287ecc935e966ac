"""Gradients as text: shown, found again, and never stored."""

import numpy as np

from chainrule import Value
from chainrule.graph import order
from chainrule.primitives import Linear
from chainrule.show.gradients import gradient_texts


def texts(*outputs):
    nodes = order(outputs)
    found = gradient_texts(nodes, outputs, nodes)
    return [found[id(v)][0] for v in nodes]


def test_zero_before_backward_and_the_gradient_after():
    x = Value(3.0)
    y = x * x
    assert texts(y) == ["0", "0"]
    y.backward()
    assert texts(y) == ["6", "1"]


def large():
    x = Value(np.full(5000, 2.0))
    h = x * 3.0
    return x, h


def test_large_intermediates_get_what_backward_did_not_keep():
    x, h = large()
    y = (h * h).sum()
    y.backward()
    assert h._grad is None
    assert texts(y) == ["[36 36 36 … ]", "[12 12 12 … ]", "[1 1 1 … ]", "1"]
    assert h._grad is None


def test_twice_backward_is_shown_twice():
    _, h = large()
    y = h.sum()
    y.backward()
    y.backward()
    assert texts(y) == ["[6 6 6 … ]", "[2 2 2 … ]", "2"]


def test_an_output_below_another_is_not_counted_twice():
    _, h = large()
    m = h.sum()
    y = m * 2.0
    y.backward()
    assert texts(m, y)[1] == "[2 2 2 … ]"


def test_complex_gradients_keep_their_convention():
    z = Value(np.full(5000, 1 + 2j))
    w = z * 1.0
    y = (w * w.conj()).real.sum()
    y.backward()
    assert texts(y)[:2] == ["[2+4j 2+4j 2+4j … ]"] * 2


def test_a_gradient_that_cannot_be_found_again_is_said_not_to_be_kept():
    def transpose(g, x):
        raise RuntimeError("no")

    _, h = large()
    y = Linear(np.sum, transpose, name="broken")(h)
    y._grad = 1.0
    assert texts(y) == ["0", "not kept", "1"]
