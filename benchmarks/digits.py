"""One training step of the digits network, 64-128-128-10, 64 images in float32, gradient descent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from benchmarks.timing import Row, in_turn
from chainrule import nn, optim

SIZES = [64, 128, 128, 10]


def run() -> Iterator[Row]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 64)).astype(np.float32)
    labels = rng.integers(0, 10, 64)
    model = nn.MLP(SIZES, activation="relu", rng=rng, dtype=np.float32)
    ours = optim.SGD(model.parameters(), lr=0.01)

    layers: list[Any] = []
    for i, (a, b) in enumerate(pairwise(SIZES)):
        layers += [torch.nn.Linear(a, b)] + ([torch.nn.ReLU()] if i < len(SIZES) - 2 else [])
    peer = torch.nn.Sequential(*layers)
    for p, q in zip(model.parameters(), peer.parameters(), strict=True):
        q.data = torch.tensor(p.data.T.copy())
    theirs = torch.optim.SGD(peer.parameters(), lr=0.01)
    tx, tl = torch.tensor(x), torch.tensor(labels)

    def step() -> float:
        loss = nn.cross_entropy(model(x), labels)
        ours.zero_grad()
        loss.backward()
        ours.step()
        return float(loss.item())

    def torch_step() -> float:
        loss = torch.nn.functional.cross_entropy(peer(tx), tl)
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        return float(loss.item())

    for _ in range(3):
        np.testing.assert_allclose(step(), torch_step(), rtol=1e-4)
    t = in_turn({"chainrule": step, "torch": torch_step})
    work = "digits 64-128-128-10, batch 64, float32, one step"
    yield Row(f"{work}: time / PyTorch's", t["chainrule"] / t["torch"], "×")
