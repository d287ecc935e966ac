"""A table of layers with inputs to try them on. A new layer adds one row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule import nn

Keywords = dict[str, Any]


class Layer(NamedTuple):
    """How a layer is made, given its dtype, and the shapes of its inputs (an array of integers is one)."""

    make: Callable[[Keywords], nn.Module]
    inputs: tuple[Any, ...]

    def __str__(self) -> str:
        return repr(self.make({})).replace("\n", "")

    def data(self, dtype: Any = np.float64) -> list[Any]:
        rng = np.random.default_rng(3)
        return [
            x if isinstance(x, np.ndarray) else rng.normal(size=x).astype(dtype) for x in self.inputs
        ]


def layer(make: Callable[[Keywords], nn.Module], *inputs: Any) -> Layer:
    return Layer(make, inputs)


def of(kind: Any, *args: Any, **options: Any) -> Callable[[Keywords], nn.Module]:
    """A layer with weights: a seed and the dtype are added."""
    return lambda keywords: kind(*args, **options, **keywords, rng=0)


def plain(kind: Any, *args: Any, **options: Any) -> Callable[[Keywords], nn.Module]:
    """A layer without weights."""
    return lambda keywords: kind(*args, **options)


def norm(kind: Any, *args: Any, **options: Any) -> Callable[[Keywords], nn.Module]:
    """A layer whose initial weights are not drawn."""
    return lambda keywords: kind(*args, **options, **keywords)


def encoder(keywords: Keywords) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, rng=0, **keywords),
        nn.BatchNorm2d(4, **keywords),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Residual(nn.Conv2d(4, 4, 3, padding="same", rng=1, **keywords)),
        nn.Flatten(),
        nn.Dropout(0.2, rng=2),
        nn.Linear(16, 3, rng=3, **keywords),
    )


IMAGES = (2, 4, 7, 6)
LAYERS = [
    layer(of(nn.Linear, 3, 2), (5, 3)),
    layer(of(nn.Linear, 3, 2, bias=False), (2, 5, 3)),
    layer(of(nn.MLP, [3, 4, 2], "silu"), (5, 3)),
    layer(of(nn.Bilinear, 3, 4, 2), (5, 3), (5, 4)),
    layer(of(nn.Bilinear, 3, 1, 2, bias=False), (2, 5, 3), (2, 5, 1)),
    layer(of(nn.Embedding, 7, 3), np.array([[1, 6, 1], [0, 1, 2]])),
    *(
        layer(plain(kind), (5, 4))
        for kind in (
            nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus,
            nn.Softmax, nn.LogSoftmax, nn.Identity,
        )
    ),
    layer(plain(nn.GELU, "tanh"), (5, 4)),
    layer(plain(nn.Softmax, 1), (5, 4, 2)),
    layer(plain(nn.Flatten), (2, 3, 4, 5)),
    layer(plain(nn.Flatten, 0, 1), (2, 3, 4)),
    layer(plain(nn.Dropout, 0.3, rng=0), (5, 4)),
    layer(of(nn.Conv1d, 4, 6, 3), (2, 4, 9)),
    layer(of(nn.Conv1d, 4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 9)),
    layer(of(nn.Conv2d, 4, 3, 3), IMAGES),
    layer(of(nn.Conv2d, 4, 3, (3, 2), padding="same", dilation=2), IMAGES),
    layer(of(nn.Conv2d, 4, 3, 3, stride=(2, 1), padding=(1, 2), bias=False), IMAGES),
    layer(of(nn.Conv2d, 4, 4, 3, stride=2, groups=4), IMAGES),
    layer(of(nn.Conv2d, 4, 8, 1, groups=4), IMAGES),
    layer(of(nn.ConvTranspose1d, 3, 4, 1, stride=2, padding=1), (2, 3, 5)),
    layer(of(nn.ConvTranspose2d, 4, 3, 4, stride=2, padding=1), IMAGES),
    layer(
        of(nn.ConvTranspose2d, 4, 6, 3, stride=3, padding=1, output_padding=2, groups=2, dilation=2), IMAGES
    ),
    layer(plain(nn.MaxPool1d, 2), (2, 3, 7)),
    layer(plain(nn.MaxPool2d, 2), IMAGES),
    layer(plain(nn.MaxPool2d, 3, 2, 1), IMAGES),
    layer(plain(nn.MaxPool2d, 2, padding=1), IMAGES),
    layer(plain(nn.AvgPool1d, 3, 1), (2, 3, 7)),
    layer(plain(nn.AvgPool2d, (2, 3), padding=1), IMAGES),
    layer(plain(nn.MaxPool2d, 3, 2, 1, ceil_mode=True), IMAGES),
    layer(plain(nn.AvgPool2d, 2, 3, ceil_mode=True), IMAGES),
    layer(plain(nn.AdaptiveAvgPool2d, (3, 4)), IMAGES),
    layer(plain(nn.AdaptiveAvgPool2d, 1), IMAGES),
    layer(plain(nn.GlobalAvgPool), IMAGES),
    layer(norm(nn.BatchNorm1d, 3), (5, 3)),
    layer(norm(nn.BatchNorm1d, 3, affine=False), (5, 3, 4)),
    layer(norm(nn.BatchNorm2d, 4), IMAGES),
    layer(lambda keywords: nn.BatchNorm2d(4, **keywords).eval(), IMAGES),
    layer(norm(nn.LayerNorm, 4), (3, 4)),
    layer(norm(nn.LayerNorm, (7, 6), bias=False), IMAGES),
    layer(norm(nn.RMSNorm, 4), (3, 4)),
    layer(norm(nn.GroupNorm, 2, 4), IMAGES),
    layer(of(nn.MultiHeadAttention, 6, 2), (2, 4, 6)),
    layer(of(nn.MultiHeadAttention, 6, 3, 0.2, False, causal=True), (2, 4, 6)),
    layer(of(nn.MultiHeadAttention, 6, 2), (2, 4, 6), (2, 3, 6)),
    layer(of(nn.MultiHeadAttention, 6, 2), (2, 4, 6), (2, 3, 6), (2, 3, 6)),
    layer(of(nn.TransformerBlock, 6, 2, dropout=0.2, causal=True), (2, 4, 6)),
    layer(of(nn.TransformerBlock, 6, 1, 5, activation="silu", bias=False), (2, 4, 6)),
    layer(of(nn.RNN, 3, 4), (2, 5, 3)),
    layer(of(nn.RNN, 3, 4, 2, nonlinearity="relu", bidirectional=True, bias=False), (2, 5, 3), (4, 2, 4)),
    layer(of(nn.LSTM, 3, 4), (2, 5, 3)),
    layer(of(nn.LSTM, 3, 4, 2, bidirectional=True), (2, 5, 3)),
    layer(of(nn.GRU, 3, 4, 2), (2, 5, 3), (2, 2, 4)),
    layer(of(nn.GRU, 3, 4, bidirectional=True, bias=False), (2, 5, 3)),
    layer(encoder, (3, 1, 4, 4)),
]  # fmt: skip
