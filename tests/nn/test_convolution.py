"""Convolutions and pooling beside loops that say what they mean; transposed ones by <y, Ax> = <Aᵀy, x>."""

import itertools

import numpy as np
import pytest

from chainrule import Value, nn

rng = np.random.default_rng(0)


def naive(layer, x):
    """y[n, o, t] = b[o] + Σ x[n, c, t·s + k·d] w[o, c, k], on an image that is padded already."""
    w, b, groups = layer.weight.data, layer.bias.data, layer.groups
    out = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[2:], layer.kernel_size, layer.stride, layer.dilation, strict=True)
    ]
    y = np.zeros((len(x), len(w), *out))
    per_in, per_out = w.shape[1], len(w) // groups
    for n, o in np.ndindex(*y.shape[:2]):
        y[n, o] = b[o]
        for c, t, k in itertools.product(range(per_in), np.ndindex(*out), np.ndindex(*layer.kernel_size)):
            at = tuple(np.array(t) * layer.stride + np.array(k) * layer.dilation)
            y[n, o][t] += x[n, o // per_out * per_in + c][at] * w[o, c][k]
    return y


@pytest.mark.parametrize("options", [
    {}, {"stride": 2}, {"dilation": (2, 1)}, {"padding": (2, 1)}, {"groups": 2, "stride": (1, 3)},
    {"groups": 4, "dilation": 2}, {"padding": "same", "dilation": 2},
    {"kernel_size": (2, 4), "padding": "same"},
])  # fmt: skip
def test_convolution(options):
    layer = nn.Conv2d(4, 4, **{"kernel_size": 3, **options}, rng=0)
    layer.bias.data = rng.normal(size=4)
    x = rng.normal(size=(2, 4, 8, 7))
    padded = np.pad(x, ((0, 0), (0, 0), *[(p, p) for p in layer.padding])) if layer.padding != "same" else x
    if layer.padding == "same":
        reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        padded = np.pad(x, ((0, 0), (0, 0), *[(r // 2, r - r // 2) for r in reach]))
    y = layer(x).data
    np.testing.assert_allclose(y, naive(layer, padded), atol=1e-13)
    assert layer.padding != "same" or y.shape == x.shape


@pytest.mark.parametrize("options", [
    {}, {"stride": 2, "padding": 1}, {"stride": (3, 2), "dilation": 2, "output_padding": (2, 1)},
    {"groups": 2, "padding": 2}, {"kernel_size": 1, "stride": 3, "padding": 1, "output_padding": 2},
    {"stride": 4, "padding": 2, "kernel_size": 2},
])  # fmt: skip
def test_the_transposed_is_the_transpose(options):
    options = {"kernel_size": 3, **options}
    up = nn.ConvTranspose2d(4, 6, **options, bias=False, rng=0)
    options.pop("output_padding", None)
    down = nn.Conv2d(6, 4, **options, bias=False, rng=0)
    down.weight.data = up.weight.data
    y = rng.normal(size=(2, 4, 5, 6))
    spread = up(y)
    x = rng.normal(size=spread.shape)
    assert down(x).shape == y.shape
    assert np.sum(down(x).data * y) == pytest.approx(np.sum(spread.data * x), rel=1e-12)


@pytest.mark.parametrize(("kind", "reduce", "outside"), [
    (nn.MaxPool2d, np.max, -np.inf), (nn.AvgPool2d, np.mean, 0.0),
])  # fmt: skip
@pytest.mark.parametrize("options", [
    {}, {"stride": 1}, {"stride": (1, 3), "padding": 1}, {"padding": (0, 1)}, {"kernel_size": (3, 2)},
    {"ceil_mode": True}, {"ceil_mode": True, "stride": 3},
    {"ceil_mode": True, "stride": (4, 3), "padding": 1},
    {"ceil_mode": True, "kernel_size": 3, "stride": 2, "padding": 1},
])  # fmt: skip
def test_pooling(kind, reduce, outside, options):
    layer = kind(**{"kernel_size": 2, **options})
    x = rng.normal(size=(2, 3, 7, 8))
    p, q = layer.padding
    wide = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)), constant_values=outside)
    (k, m), (s, t) = layer.kernel_size, layer.stride
    if layer.ceil_mode:  # a window may reach over the end, but not begin there
        rows = range(0, min(7 + p, wide.shape[2] - k + s), s)
        columns = range(0, min(8 + q, wide.shape[3] - m + t), t)
    else:
        rows, columns = range(0, wide.shape[2] - k + 1, s), range(0, wide.shape[3] - m + 1, t)
    want = [[reduce(wide[:, :, i : i + k, j : j + m], axis=(2, 3)) for j in columns] for i in rows]
    np.testing.assert_allclose(layer(x), np.moveaxis(np.array(want), (0, 1), (2, 3)), atol=1e-15)


@pytest.mark.parametrize(("values", "first"), [
    ([0.0, 1.0, 1.0, 1.0], 1), ([1.0, 1.0, 0.0, 0.0], 0), ([0.0, np.nan, 2.0, np.nan], 0), ([-np.inf] * 4, 0),
])  # fmt: skip
@pytest.mark.parametrize("stride", [2, 1])
def test_of_equal_maxima_the_first_has_the_gradient(values, first, stride):
    x = Value(np.array(values).reshape(1, 1, 2, 2))
    np.sum(nn.MaxPool2d(2, stride)(x)).backward()
    assert x.grad.ravel().tolist() == [float(i == first) for i in range(4)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, (5, 4), (7, 7)])
def test_adaptive_windows(size):
    layer, x = nn.AdaptiveAvgPool2d(size), rng.normal(size=(2, 3, 5, 4))
    edges = [
        [(t * n // m, -(-(t + 1) * n // m)) for t in range(m)]
        for n, m in zip((5, 4), layer.output_size, strict=True)
    ]
    want = [[x[:, :, a:b, c:d].mean(axis=(2, 3)) for c, d in edges[1]] for a, b in edges[0]]
    np.testing.assert_allclose(layer(x), np.moveaxis(np.array(want), (0, 1), (2, 3)))


def test_depthwise_of_an_image_that_is_all_taps():
    layer, x = nn.Conv1d(3, 3, 4, groups=3, rng=0), rng.normal(size=(1, 3, 4))
    want = np.sum(x[0] * layer.weight.data[:, 0], axis=-1)[None, :, None]
    np.testing.assert_allclose(layer(x).data, want)
