"""The networks of the examples as they are written in PyTorch; parameters have the names they have there."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class MLP(nn.Module):
    def __init__(self, sizes: list[int], activation: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.activation = activation

    def forward(self, x: Any) -> Any:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class Digits(MLP):
    def __init__(self) -> None:
        super().__init__([64, 128, 128, 10], F.relu)

    def loss(self, images: Any, labels: Any) -> Any:
        return F.cross_entropy(self(images), labels)


class Clothes(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Dropout(0.0), nn.Linear(128, 10),
        )  # fmt: skip

    def loss(self, images: Any, labels: Any) -> Any:
        return F.cross_entropy(self(images), labels)


class Text(nn.Module):
    def __init__(self, symbols: int, context: int, width: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.symbols, self.places = nn.Embedding(symbols, width), nn.Embedding(context, width)
        block = lambda: nn.TransformerEncoderLayer(
            width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.ModuleList(block() for _ in range(blocks))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, symbols)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(context), False)
        self.register_buffer("positions", torch.arange(context), False)

    def forward(self, codes: Any) -> Any:
        x = self.symbols(codes) + self.places(self.positions)
        for block in self.blocks:
            x = block(x, src_mask=self.mask, is_causal=True)
        return self.head(self.norm(x))

    def loss(self, codes: Any, following: Any) -> Any:
        return F.cross_entropy(self(codes).flatten(0, 1), following.flatten())


class Names(nn.Module):
    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.letters, self.memory = nn.Embedding(symbols, 32), nn.GRU(32, 128, batch_first=True)
        self.head = nn.Linear(128, symbols)

    def loss(self, codes: Any, following: Any) -> Any:
        logits = self.head(self.memory(self.letters(codes))[0])
        return F.cross_entropy(logits.flatten(0, 1), following.flatten())


class Plane(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = MLP([64, 128, 64, 4], F.gelu), MLP([2, 64, 128, 64], F.gelu)

    def loss(self, images: Any, noise: Any) -> Any:
        mean, log_spread = self.encoder(images).chunk(2, dim=1)
        z = mean + log_spread.exp() * noise
        pixels = F.binary_cross_entropy_with_logits(self.decoder(z), images, reduction="sum")
        place = 0.5 * (mean**2 + (2 * log_spread).exp() - 1 - 2 * log_spread).sum()
        return (pixels + place) / len(images)
