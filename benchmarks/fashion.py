"""Seconds of training until 90 % of Fashion-MNIST's test images are recognised, beside PyTorch.

The example's network, from the same weights, on the same batches, with AdamW: the compiled step here, the
usual loop there.  Each side learns in turn, and is asked how far it is every 100 steps, which is not timed.
It takes minutes and the data set (``train.data.fashion_mnist``), so it runs when it is named:
``--only fashion``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks import examples
from benchmarks.side_by_side import training_step
from benchmarks.timing import Row
from chainrule import nn, optim, train
from chainrule.interchange import to_torch_state_dict

ENOUGH, EVERY, BATCH, EPOCHS = 0.9, 100, 64, 6

Side = tuple[Callable[..., Any], Callable[[Any], Any]]  # a step of training; the scores of images


def ours(model: nn.Module) -> Side:
    optimiser = optim.AdamW(model.parameters(), lr=examples.RATE, weight_decay=examples.DECAY)
    step = cr.compile(training_step(lambda x, y: nn.cross_entropy(model(x), y), optimiser))
    return step, lambda images: train.predict(model, images, compile=True)


def with_torch(model: nn.Module) -> Side:
    import torch

    from benchmarks.torch_examples import Clothes

    peer = Clothes()
    peer.load_state_dict({k: torch.tensor(a) for k, a in to_torch_state_dict(model).items()})
    optimiser = torch.optim.AdamW(peer.parameters(), lr=examples.RATE, weight_decay=examples.DECAY)
    step = training_step(peer.loss, optimiser)

    def scores(images: Any) -> Any:
        with torch.no_grad():
            return np.concatenate([peer(torch.from_numpy(part)).numpy() for part in np.split(images, 20)])

    return lambda *batch: step(*map(torch.from_numpy, batch)), scores


def run() -> Iterator[Row]:
    images, labels, test_images, test_labels = train.data.fashion_mnist()
    images, test_images = ((x[:, None] / 255).astype(np.float32) for x in (images, test_images))
    labels = labels.astype(np.int64)
    model = examples.network("clothes").model
    sides = {"torch": with_torch(model), "chainrule": ours(model)}  # a copy of the weights first
    seconds, steps = dict.fromkeys(sides, 0.0), dict.fromkeys(sides, 0)
    for name, (step, scores) in sides.items():
        parts = train.batches(images, labels, batch_size=BATCH, seed=0, drop_last=True)
        endless = (part for _ in range(EPOCHS) for part in parts)
        accuracy = 0.0
        while accuracy < ENOUGH:
            start = time.perf_counter()
            for _, batch in zip(range(EVERY), endless, strict=False):
                step(*batch)
                steps[name] += 1
            seconds[name] += time.perf_counter() - start
            if steps[name] >= EPOCHS * len(parts):
                raise RuntimeError(f"fashion: {name} has not come to {ENOUGH:.0%} in {EPOCHS} epochs")
            accuracy = train.accuracy(scores(test_images), test_labels)
    work = f"Fashion-MNIST, convolutions 16-32: until {ENOUGH:.0%} of test images"
    yield Row(f"{work}: time / PyTorch's", seconds["chainrule"] / seconds["torch"], "×", 0.6)
    yield Row(f"{work}: steps / PyTorch's", steps["chainrule"] / steps["torch"], "×")
    yield Row(f"{work}: of a compiled run, the first call included", seconds["chainrule"], "s")
