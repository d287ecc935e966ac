"""What is cheap is made again where it is wanted: less memory, the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.native import part
from tests.native.agree import agree

rng = np.random.default_rng(0)
X = rng.normal(size=(64, 128))
W = rng.normal(size=(128, 128)) / 12


def gelu(x):
    return 0.5 * x * (1.0 + np.tanh(0.8 * (x + 0.0447 * x * x * x)))


CHAINS = {
    "gelu": lambda x, w: np.sum(gelu(gelu(x @ w) @ w) @ w),
    "relu": lambda x, w: np.sum(cr.relu(cr.relu(x @ w + 0.1) @ w) ** 2),
    "a mask of two": lambda x, w: np.sum(np.where((x @ w > 0) & (x < 1), x * w[0], 2.0 * x) @ w),
    "norm": lambda x, w: np.sum(((x @ w - np.mean(x @ w, axis=1, keepdims=True)) * 2.0 + w[0]) @ w),
    "a result that is also returned": lambda x, w: (np.sum(np.tanh((x @ w) * 2.0) @ w), (x @ w) * 2.0)[0],
    "rows read by columns": lambda x, w: np.sum((2.0 * (x @ w)).T @ np.tanh(2.0 * (x @ w))),
}


def slopes(f):
    return cr.compile(cr.value_and_grad(f, argnums=(0, 1)))


@pytest.mark.parametrize("f", CHAINS.values(), ids=CHAINS.keys())
def test_the_same_numbers_with_it_and_without(f, monkeypatch):
    with_it = slopes(f)
    got = with_it(X, W)
    agree(got, cr.value_and_grad(f, argnums=(0, 1))(X, W), rtol=1e-12)
    monkeypatch.setattr(part, "recompute", lambda *_: None)
    without = slopes(f)
    agree(got, without(X, W), ulp=0, rtol=1e-15)
    assert with_it.report().peak_memory <= without.report().peak_memory


def test_a_network_needs_less_memory(monkeypatch):
    """Of gelu's steps only what costs a tanh is kept."""
    with_it = slopes(CHAINS["gelu"])
    with_it(X, W)
    monkeypatch.setattr(part, "recompute", lambda *_: None)
    without = slopes(CHAINS["gelu"])
    without(X, W)
    assert with_it.report().peak_memory < 0.8 * without.report().peak_memory


def test_state_that_changes_in_between_is_read_before():
    """A mask of a parameter that the step itself replaces."""
    v = Value(rng.normal(size=(80, 80)))
    start = v.data.copy()

    def step(x):
        mask = np.maximum(v.data, 0.0) * 2.0
        y = np.tanh(x @ mask)
        v.data = v.data - 0.1
        return y @ mask

    x = rng.normal(size=(80, 80))
    want = np.tanh(x @ (np.maximum(start, 0) * 2)) @ (np.maximum(start, 0) * 2)
    np.testing.assert_allclose(cr.compile(step)(x), want, rtol=1e-12)
    np.testing.assert_allclose(v.data, start - 0.1, rtol=1e-12)
