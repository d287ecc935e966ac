"""Two moons: a small network bends the line between two classes, and a film shows how it does.

The whole of a training step is in sight: the loss, `backward`, the optimiser; compiled, it is one call.
What is learnt from it: a network without hidden layers could only draw a straight line, and each hidden
neuron adds a bend.
"""

from __future__ import annotations

import pathlib

import numpy as np

import chainrule as cr
from chainrule import nn, optim, train
from chainrule.show.training import BoundaryFilm

FRAMES = 22


def two_moons(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """n points (n, 2) of two half circles that reach into each other, and their labels (n,), 0 or 1."""
    angle = rng.uniform(0, np.pi, n)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    y = np.arange(n) % 2
    X = np.where(y[:, None] == 0, upper, [1.0, 0.5] - upper)
    return X + rng.normal(scale=0.12, size=X.shape), y


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    rng = np.random.default_rng(0)
    X, y = two_moons(120, rng)
    X_new, y_new = two_moons(2000, rng)
    sign = 2 * y - 1

    model = nn.MLP([2, 16, 16, 1], activation="tanh", rng=rng)
    optimiser = optim.Adam(model.parameters(), lr=0.02)

    def score(X):
        return model(X)[:, 0]  # positive: the lower moon

    @cr.compile
    def step():
        loss = nn.bce_with_logits(score(X), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    def caption(k):
        return f"step {k:3d}   {100 * train.accuracy(score(X), sign):5.1f} % right"

    film = BoundaryFilm(X, y, score, size=300)
    steps = 150 if quick else 300
    moments = {round(steps * (i / FRAMES) ** 2) for i in range(FRAMES)}  # mostly early ones
    for k in range(steps):
        if k in moments:
            film.record(caption(k))
        loss = step()
    film.record(caption(steps))

    film.save(output / "moons.webp")
    accuracy = train.accuracy(score(X_new), 2 * y_new - 1)
    print(f"{model!r}, {steps} steps: {100 * accuracy:.1f} % of 2,000 new points are on the right side")
    return {"accuracy": accuracy, "loss": loss.item(), "frames": len(film)}
