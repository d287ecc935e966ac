"""Whole training runs: three models from one set of weights, 50 steps, loss by loss beside PyTorch's."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import nn, optim
from chainrule.interchange import from_torch_state_dict

T = torch.nn
STEPS = 50
rng = np.random.default_rng(0)


class Training(NamedTuple):
    """The same training twice: models, losses, optimisers made from parameters, and the batch."""

    ours: nn.Module
    theirs: T.Module
    losses: tuple[Any, Any]
    optimisers: tuple[Any, Any]
    batch: tuple[Any, Any]


class OurReader(nn.Module):
    def __init__(self) -> None:
        self.read, self.out = nn.LSTM(5, 8, rng=0), nn.Linear(8, 1, rng=1)

    def forward(self, x: Any) -> Any:
        return self.out(self.read(x)[0][:, -1])


class TheirReader(T.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read, self.out = T.LSTM(5, 8, batch_first=True), T.Linear(8, 1)

    def forward(self, x: Any) -> Any:
        return self.out(self.read(x)[0][:, -1])


def trainings() -> dict[str, Training]:
    classes = rng.integers(0, 4, 32)
    return {
        "perceptron, SGD with momentum": Training(
            nn.Sequential(nn.Linear(6, 16, rng=0), nn.Tanh(), nn.Linear(16, 4, rng=1)),
            T.Sequential(T.Linear(6, 16), T.Tanh(), T.Linear(16, 4)),
            (nn.cross_entropy, T.functional.cross_entropy),
            (
                lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
                lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
            ),
            (rng.normal(size=(32, 6)), classes),
        ),
        "convolutions with normalisation, AdamW": Training(
            nn.Sequential(
                nn.Conv2d(1, 6, 3, padding=1, rng=0), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(6, 8, 3, rng=1), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 4, rng=2),
            ),
            T.Sequential(
                T.Conv2d(1, 6, 3, padding=1), T.BatchNorm2d(6), T.ReLU(), T.MaxPool2d(2),
                T.Conv2d(6, 8, 3), T.GELU(), T.AvgPool2d(2), T.Flatten(), T.Linear(8, 4),
            ),
            (nn.cross_entropy, T.functional.cross_entropy),
            (lambda p: optim.AdamW(p, lr=0.01), lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.01)),
            (rng.normal(size=(32, 1, 8, 8)), classes),
        ),
        "LSTM, RMSprop": Training(
            OurReader(), TheirReader(), (nn.mse, T.functional.mse_loss),
            (lambda p: optim.RMSprop(p, lr=0.005), lambda p: torch.optim.RMSprop(p, lr=0.005)),
            (rng.normal(size=(32, 7, 5)), rng.normal(size=(32, 1))),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", trainings())
def test_fifty_steps_give_the_same_losses(name: str, compiled: bool) -> None:
    t = trainings()[name]
    theirs = t.theirs.double()
    from_torch_state_dict(t.ours, theirs.state_dict())
    x, y = t.batch
    (our_loss, their_loss), (make_ours, make_theirs) = t.losses, t.optimisers
    our_optimiser, their_optimiser = make_ours(t.ours.parameters()), make_theirs(theirs.parameters())

    def step(x: Any, y: Any) -> Any:
        our_optimiser.zero_grad()
        loss = our_loss(t.ours(x), y)
        loss.backward()
        our_optimiser.step()
        return loss

    run = cr.compile(step) if compiled else step
    a, b = torch.tensor(x), torch.tensor(y)
    ours, wanted = [], []
    for _ in range(STEPS):
        ours.append(run(x, y).item())
        their_optimiser.zero_grad()
        loss = their_loss(theirs(a), b)
        loss.backward()
        their_optimiser.step()
        wanted.append(loss.item())
    np.testing.assert_allclose(ours, wanted, rtol=1e-5)
    assert wanted[-1] < 0.9 * wanted[0]
