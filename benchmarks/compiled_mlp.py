"""One compiled training step of three multilayer perceptrons in float32, by gradient descent."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.side_by_side import Contestant, compare, jax_cross_entropy, jax_sgd, training_step
from benchmarks.timing import Row
from chainrule import nn, optim

RATE = 0.01
CASES: dict[str, dict[str, Any]] = {
    "MLP 64-128-128-10, batch 64": {"sizes": [64, 128, 128, 10], "batch": 64},
    "MLP 784-512-512-10, batch 128": {"sizes": [784, 512, 512, 10], "batch": 128},
    "MLP 1024-2048-2048-10, batch 256": {"sizes": [1024, 2048, 2048, 10], "batch": 256},
}
TARGETS = ({"jax": 0.7, "torch": 0.3}, {"jax": 0.9, "torch": 0.45}, {"jax": 0.95, "torch": 0.5})


def data(sizes: list[int], batch: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, sizes[0])).astype(np.float32), rng.integers(0, sizes[-1], batch)


def model(sizes: list[int]) -> nn.MLP:
    return nn.MLP(sizes, activation="relu", rng=np.random.default_rng(1), dtype=np.float32)


def network(sizes: list[int], batch: int) -> tuple[Any, list[cr.Value], tuple[Any, ...]]:
    mlp = model(sizes)
    return lambda x, labels: nn.cross_entropy(mlp(x), labels), mlp.parameters(), data(sizes, batch)


def ours(sizes: list[int], batch: int) -> Contestant:
    loss, parameters, xy = network(sizes, batch)
    return partial(cr.compile(training_step(loss, optim.SGD(parameters, lr=RATE))), *xy)


def with_torch(sizes: list[int], batch: int) -> Contestant:
    import torch

    layers: list[Any] = []
    for a, b in pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    mlp = torch.nn.Sequential(*layers[:-1])
    for p, q in zip(model(sizes).parameters(), mlp.parameters(), strict=True):
        q.data = torch.tensor(p.data.T.copy())

    def loss(x: Any, labels: Any) -> Any:
        return torch.nn.functional.cross_entropy(mlp(x), labels)

    step = training_step(loss, torch.optim.SGD(mlp.parameters(), lr=RATE))
    return partial(step, *map(torch.tensor, data(sizes, batch)))


def with_jax(sizes: list[int], batch: int) -> Contestant:
    import jax

    def loss(params: Any, x: Any, labels: Any) -> Any:
        for w, b in params[:-1]:
            x = jax.nn.relu(x @ w + b)
        w, b = params[-1]
        return jax_cross_entropy(x @ w + b, labels)

    flat = [p.data for p in model(sizes).parameters()]
    return jax_sgd(loss, RATE, list(zip(flat[::2], flat[1::2])), *data(sizes, batch))


def run() -> Iterator[Row]:
    for (work, case), targets in zip(CASES.items(), TARGETS, strict=True):
        contestants = {"chainrule": ours(**case), "jax": with_jax(**case), "torch": with_torch(**case)}
        yield from compare(f"{work}, float32, SGD step", contestants, targets, rtol=1e-4)
