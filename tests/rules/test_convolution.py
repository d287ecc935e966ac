"""Convolution against its definition, written out with loops, and against SciPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.signal

import chainrule as cr
from chainrule.rules.convolution import correlate, correlate_kernels, places
from tests.native.agree import agree
from tests.table import CONVOLUTIONS

each = pytest.mark.parametrize(("shape", "kernels", "strides", "dilation"), CONVOLUTIONS, ids=str)
rng = np.random.default_rng(0)


def by_hand(x, w, strides, dilation):
    out = tuple(map(places, x.shape[1:-1], w.shape[:-2], strides, dilation))
    y = np.zeros((len(x), *out, w.shape[-1]))
    for t in itertools.product(*map(range, out)):
        for k in itertools.product(*map(range, w.shape[:-2])):
            at = tuple(a * s + b * d for a, b, s, d in zip(t, k, strides, dilation, strict=True))
            y[(slice(None), *t)] += x[(slice(None), *at)] @ w[k]
    return y


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_its_definition_eager_and_compiled(shape, kernels, strides, dilation, dtype):
    x, w = rng.normal(size=shape).astype(dtype), rng.normal(size=kernels).astype(dtype)
    want = by_hand(x, w, strides, dilation)

    def f(x, w):
        return correlate(x, w, strides=strides, dilation=dilation)

    for run in (f, cr.compile(f)):
        y = run(x, w)
        assert y.dtype == dtype and y.shape == want.shape
        np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5 if dtype is np.float32 else 1e-13)


@each
def test_what_only_unchosen_places_cover_has_no_part_in_gradients(shape, kernels, strides, dilation):
    x, w = rng.normal(size=shape), rng.normal(size=kernels)
    y = by_hand(x, w, strides, dilation)
    chosen = np.isin(np.arange(y.size).reshape(y.shape), rng.choice(max(y.size, 1), y.size // 6))
    covered = np.zeros(shape, bool)
    for t in itertools.product(*map(range, y.shape[1:-1])):
        for k in itertools.product(*map(range, kernels[:-2])):
            at = tuple(a * s + b * d for a, b, s, d in zip(t, k, strides, dilation, strict=True))
            covered[(slice(None), *at)] |= chosen[(slice(None), *t)].any(-1, keepdims=True)

    def f(x, w):
        return np.sum(np.where(chosen, correlate(x, w, strides=strides, dilation=dilation), 0.0) ** 2)

    want = cr.grad(f, argnums=(0, 1))(np.where(covered, x, 0.0), w)
    hidden = np.where(covered, x, np.nan)
    for run in (cr.grad(f, argnums=(0, 1)), cr.compile(cr.grad(f, argnums=(0, 1)))):
        for got, expected in zip(run(hidden, w), want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    root = cr.compile(cr.grad(lambda x: f(np.sqrt(x), w)))(np.where(covered, x * x, 0.0))
    assert np.all(root[~covered] == 0)


@each
def test_kernels_are_the_transpose(shape, kernels, strides, dilation):
    """⟨g, x ⋆ w⟩ = ⟨kernels(x, g), w⟩ for any w."""
    x, w = rng.normal(size=shape), rng.normal(size=kernels)
    y = by_hand(x, w, strides, dilation)
    g = rng.normal(size=y.shape)

    def f(x, g):
        return correlate_kernels(x, g, kernel=kernels[:-2], strides=strides, dilation=dilation)

    for run in (f, cr.compile(f)):
        np.testing.assert_allclose(np.sum(run(x, g) * w), np.sum(g * y), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])
@pytest.mark.parametrize(("n", "c", "o"), [(2, 0, 4), (2, 3, 0), (0, 3, 4), (0, 0, 0)])
def test_without_images_or_channels_they_are_sums_of_nothing(wrap, n, c, o):
    def loss(x, w):
        return np.sum(correlate(x, w, strides=(1, 1), dilation=(1, 1)) + 1.0)

    x, w = np.ones((n, 5, 5, c)), np.ones((3, 3, c, o))
    value, gradients = wrap(cr.value_and_grad(loss, argnums=(0, 1)))(x, w)
    assert value == n * 9 * o
    for g, a in zip(gradients, (x, w), strict=True):
        np.testing.assert_array_equal(g, np.zeros_like(a))


@pytest.mark.parametrize("dtype", [np.int64, np.complex128, np.float16])
def test_other_dtypes(dtype):
    x, w = (
        (10 * rng.normal(size=(1, 6, 5, 1))).astype(dtype),
        (3 * rng.normal(size=(3, 2, 1, 1))).astype(dtype),
    )
    want = scipy.signal.correlate(x[0, ..., 0].astype(complex), w[..., 0, 0].astype(complex).conj(), "valid")

    def f(x, w):
        return correlate(x, w, strides=(1, 1), dilation=(1, 1))

    for run in (f, cr.compile(f)):
        y = run(x, w)
        assert y.dtype == dtype
        np.testing.assert_allclose(y[0, ..., 0], want, rtol=1e-2 if dtype is np.float16 else 1e-12)


def test_images_are_read_as_they_lie():
    """Channels first, cut out, strided: what the compiler reads in place and what it copies."""
    x, w = rng.normal(size=(2, 3, 9, 8)), rng.normal(size=(3, 2, 3, 4))
    for f in (
        lambda x, w: correlate(np.transpose(x, (0, 2, 3, 1)), w, strides=(1, 1), dilation=(1, 1)),
        lambda x, w: correlate(
            np.transpose(x, (0, 2, 3, 1))[:, 1:-1, ::2], w, strides=(2, 1), dilation=(1, 1)
        ),
        lambda x, w: correlate(np.transpose(x, (0, 2, 3, 1)) * 2.0, w[::-1], strides=(1, 2), dilation=(2, 1)),
        lambda x, w: correlate(
            np.pad(np.transpose(x, (0, 2, 3, 1)), ((0, 0), (1, 1), (0, 2), (0, 0))),
            w, strides=(1, 1), dilation=(1, 1),
        ),
    ):  # fmt: skip
        np.testing.assert_allclose(cr.compile(f)(x, w), f(x, w), rtol=1e-12, atol=1e-12)


def test_in_the_body_of_a_loop():
    w = rng.normal(size=(3, 3, 1, 1)) / 9

    def f(x, w):
        def step(c, _):
            wide = np.pad(c, ((0, 0), (1, 1), (1, 1), (0, 0)))
            return np.tanh(correlate(wide, w, strides=(1, 1), dilation=(1, 1))), None

        return np.sum(cr.scan(step, x, None, length=5)[0])

    x = rng.normal(size=(2, 5, 5, 1))
    slopes = cr.value_and_grad(f, argnums=(0, 1))
    agree(cr.compile(slopes)(x, w), slopes(x, w), rtol=1e-12)
