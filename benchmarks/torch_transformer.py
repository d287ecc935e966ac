"""The character transformer as it is written in PyTorch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        b, t, w = x.shape
        qkv = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, w // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(mixed.transpose(1, 2).reshape(b, t, w))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Transformer(nn.Module):
    def __init__(self, context: int, width: int, heads: int, symbols: int, blocks: int) -> None:
        super().__init__()
        self.symbols, self.places = nn.Embedding(symbols, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, symbols)
        self.register_buffer("positions", torch.arange(context))

    def forward(self, tokens: Any) -> Any:
        x = self.symbols(tokens) + self.places(self.positions)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def load(self, weights: dict[str, Any]) -> None:
        """Take the weights of `compiled_transformer.weights`; its matrices are (n_in, n_out)."""

        def fill(layer: Any, weight: str, bias: str = "") -> None:
            w = torch.tensor(weights[weight])
            layer.weight.data = w.T.contiguous() if isinstance(layer, nn.Linear) else w
            if bias:
                layer.bias.data = torch.tensor(weights[bias])

        fill(self.symbols, "symbols")
        fill(self.places, "places")
        for i, block in enumerate(self.blocks):
            fill(block.norm1, f"gain1.{i}", f"shift1.{i}")
            fill(block.norm2, f"gain2.{i}", f"shift2.{i}")
            for name in ("qkv", "project", "up", "down"):
                fill(getattr(block, name), f"{name}.{i}", f"{name}_bias.{i}")
        fill(self.norm, "gain", "shift")
        fill(self.head, "head", "head_bias")
