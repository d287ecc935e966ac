"""Attention: what a place sees, with masks of every shape, and what does not fit."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(2, 4, 6)), rng.normal(size=(2, 3, 6))


def naive(layer, q, k, v, mask):
    """One batch, one head, one place at a time."""
    e, h = layer.embed_dim, layer.num_heads
    d = e // h
    w, b = layer.in_proj_weight.data, layer.in_proj_bias.data
    q, k, v = (x @ w[j * e : (j + 1) * e].T + b[j * e : (j + 1) * e] for j, x in enumerate((q, k, v)))
    out = np.zeros(q.shape)
    for n, head, t in np.ndindex(len(q), h, q.shape[1]):
        part = slice(head * d, (head + 1) * d)
        scores = k[n, :, part] @ q[n, t, part] / np.sqrt(d)
        weights = np.where(mask[n, head, t], np.exp(scores), 0)
        out[n, t, part] = weights @ v[n, :, part] / max(weights.sum(), 1e-300)
    return out @ layer.out_proj.weight.data + layer.out_proj.bias.data


@pytest.mark.parametrize("shape", [(4, 3), (1, 3), (2, 4, 3), (2, 1, 3), (2, 2, 4, 3), (1, 1, 1, 3)])
def test_masks(shape):
    layer = nn.MultiHeadAttention(6, 2, rng=0)
    layer.in_proj_bias.data = rng.normal(size=18)
    mask = rng.random(shape) < 0.6
    full = np.broadcast_to(mask[:, None] if mask.ndim == 3 else mask, (2, 2, 4, 3))
    want = naive(layer, X, Y, Y, full)
    np.testing.assert_allclose(layer(X, Y, mask=mask).data, want, atol=1e-13)
    added = np.where(mask, 0.0, -np.inf)
    np.testing.assert_allclose(layer(X, Y, Y, mask=added).data, want, atol=1e-13)


def test_a_causal_place_sees_nothing_of_what_follows():
    block = nn.TransformerBlock(6, 2, causal=True, rng=0)
    for t in range(4):
        seen = cr.grad(lambda x, t=t: np.sum(block(x)[:, t]))(X).data
        assert np.all(seen[:, t + 1 :] == 0)
        assert np.all(np.any(seen[:, : t + 1] != 0, axis=(0, 2)))


def test_where_it_may_look_nowhere_there_are_zeros_and_no_nan():
    mask = np.zeros((4, 4), bool)
    y, dy = cr.value_and_grad(lambda x: np.sum(nn.scaled_dot_product_attention(x, x, x, mask)))(X)
    assert y == 0
    assert not np.any(dy)


@pytest.mark.parametrize(("run", "match"), [
    (lambda layer: layer(X[0]), r"query: expected \(N, T, 6\), got \(4, 6\)"),
    (lambda layer: layer(X, np.ones((2, 3, 5))), r"key: expected \(N, T, 6\), got \(2, 3, 5\)"),
    (lambda layer: layer(X, Y, X), r"key \(2, 3, 6\), value \(2, 4, 6\)"),
    (lambda layer: layer(X, mask=np.ones((4, 3), bool)), r"mask is bool of shape \(4, 3\); .*\(4, 4\)"),
    (lambda layer: layer(X, mask=np.ones((4, 4), int)), "mask is int64"),
    (lambda layer: nn.MultiHeadAttention(6, 4), "embed_dim is 6; expected a multiple of num_heads, 4"),
    (lambda layer: nn.TransformerBlock(6, 2, activation="x"), "TransformerBlock: activation is 'x'"),
])  # fmt: skip
def test_what_does_not_fit_is_named(run, match):
    with pytest.raises(ValueError, match=match):
        run(nn.MultiHeadAttention(6, 2, rng=0))


def test_repr():
    assert repr(nn.MultiHeadAttention(6, 2, 0.1, causal=True, rng=0)) == (
        "MultiHeadAttention(6, 2 heads, causal, dropout 0.1, 168 parameters, float64)"
    )


def test_a_mask_does_not_change_the_dtype():
    layer, x = nn.MultiHeadAttention(6, 2, rng=0, dtype=np.float32), X.astype(np.float32)
    mask = rng.normal(size=(4, 4))
    assert layer(x, mask=mask).dtype == np.float32
    assert np.array_equal(layer(x, mask=mask).data, layer(x, mask=mask.astype(np.float32)).data)
