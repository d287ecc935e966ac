"""Transposes that meet: operations in between take them on, and what is computed stays the same."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.rules.convolution import correlate
from tests.native.agree import agree

rng = np.random.default_rng(0)
A, B = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 4, 5))
LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)

FUNCTIONS = {
    "two of one order": lambda a, b: np.tanh(np.transpose(a, LAST) * np.transpose(b, LAST)),
    "a broadcast operand": lambda a, b: np.transpose(a, FIRST) + b[0, 0, :, 0],
    "operands of fewer axes": lambda a, b: np.where(np.transpose(a, FIRST) > b[0, :, :1, 0], 1.0, 2.0),
    "one that is not turned": lambda a, b: np.transpose(a, (1, 0, 2, 3)) * np.reshape(b, (3, 2, 4, 5)),
    "two of other orders": lambda a, b: (
        np.transpose(a, (1, 0, 2, 3)) - np.transpose(b, (1, 0, 2, 3))[:, ::-1]
    ),
    "a mask": lambda a, b: np.maximum(np.transpose(a, LAST), 0.0) * (np.transpose(b, LAST) > 0),
    "sums": lambda a, b: np.mean(np.sin(np.transpose(a, LAST)), axis=(0, 2)) + np.mean(b),
    "extremes": lambda a, b: np.max(np.transpose(a, FIRST), axis=1) * np.min(np.transpose(b, FIRST), axis=1),
    "there and back": lambda a, b: np.transpose(np.tanh(np.transpose(a, LAST)) + 1.0, FIRST) * b,
    "softmax over channels": lambda a, b: cr.softmax(np.transpose(a, LAST), axis=-1) * np.transpose(b, LAST),
}


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_values_and_gradients_are_as_eager(f):
    agree(cr.compile(f)(A, B), f(A, B), rtol=1e-14)

    def loss(a, b):
        return np.sum(f(a, b) * np.cos(f(a, b)))

    slopes = cr.value_and_grad(loss, argnums=(0, 1))
    agree(cr.compile(slopes)(A, B), slopes(A, B), rtol=1e-13)


def test_nothing_is_copied_between_two_convolutions():
    """Channels first outside, last inside: bias and relu between them are computed channels last."""

    def layer(x, w, b):
        y = correlate(np.transpose(x, LAST), w, strides=(1, 1), dilation=(1, 1))
        return cr.relu(np.transpose(y, FIRST) + np.reshape(b, (-1, 1, 1)))

    def two(x, w, b, v, c):
        return layer(layer(x, w, b), v, c)

    f = cr.compile(two)
    x, w, v = rng.normal(size=(2, 1, 9, 9)), rng.normal(size=(3, 3, 1, 4)), rng.normal(size=(2, 2, 4, 6))
    b, c = rng.normal(size=4), rng.normal(size=6)
    agree(f(x, w, b, v, c), two(x, w, b, v, c), rtol=1e-13)
    kernels = [k.name.rstrip("0123456789") for k in f.report().kernels]
    assert kernels == ["correlate", "nest", "correlate", "nest", "nest"]
    assert "copy" in f.report().kernels[-1].what  # for the caller, channels first
