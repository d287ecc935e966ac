"""Uncertainty: a network says not only what it expects, but also how far off it may be.

It has two outputs, a mean and the logarithm of a spread, and `gaussian_nll` trains both: too small a spread
is punished where the mean is wrong, too large a one everywhere.  Nobody tells it how noisy the data are; it
learns that from how far they scatter around its own mean.
"""

from __future__ import annotations

import pathlib

import numpy as np

import chainrule as cr
from chainrule import nn, optim, train


def measure(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """n noisy measurements y (n,) of sin 2x at x (n, 1)."""
    x = rng.uniform(-3, 3, (n, 1))
    return x, np.sin(2 * x[:, 0]) + noise(x[:, 0]) * rng.normal(size=n)


def noise(x: np.ndarray) -> np.ndarray:
    """The standard deviation of a measurement, which grows from left to right."""
    return 0.05 + 0.45 / (1 + np.exp(-2 * x))


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    rng = np.random.default_rng(0)
    x, y = measure(1000, rng)
    model = nn.MLP([1, 32, 32, 2], activation="tanh", rng=rng)
    optimiser = optim.Adam(model.parameters(), lr=0.01)

    @cr.compile
    def step(x, y):
        mean, log_spread = model(x).T
        loss = nn.gaussian_nll(mean, y, log_spread)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    parts = train.batches(x, y, batch_size=100, rng=rng)
    epochs = 200 if quick else 400
    schedule = optim.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for part in parts:
            loss = step(*part)
        schedule.step()

    x_new, y_new = measure(5000, rng)
    mean, log_spread = train.predict(model, x_new).T
    spread = np.exp(log_spread)
    inside = float(np.mean(abs(y_new - mean) < 2 * spread))
    error = float(np.mean(abs(spread / noise(x_new[:, 0]) - 1)))
    print(f"{100 * inside:.1f} % of 5,000 new measurements lie within two spreads (a normal law: 95.4 %)")
    print(f"the spread is off by {100 * error:.0f} % on average")
    draw(x, y, x_new[:, 0], mean, spread, output / "uncertainty.png")
    return {"inside": inside, "spread_error": error, "loss": loss.item()}


# ---------------------------------------------------------------- the picture


def draw(x, y, x_new, mean, spread, path):
    """The measurements with the learnt band around them; the learnt spread beside the true one."""
    from examples._pictures import BLUE, INK, VERMILION, panels, save, title

    order = np.argsort(x_new)
    x_new, mean, spread = x_new[order], mean[order], spread[order]
    figure, ((left, right),) = panels(1, 2, 9.0, 3.6, width_ratios=[2, 1])
    left.scatter(x, y, s=6, c=INK, alpha=0.35, linewidths=0)
    left.fill_between(x_new, mean - 2 * spread, mean + 2 * spread, color=BLUE, alpha=0.22, linewidth=0,
                      label="mean ± 2 spreads")
    left.plot(x_new, mean, color=BLUE, linewidth=2.2, label="learnt mean")
    left.plot(x_new, np.sin(2 * x_new), color=VERMILION, linestyle="--", label="sin 2x")
    left.legend(frameon=False, loc="upper right", ncols=3)
    left.set_ylim(-3, 3)
    left.set_xlabel("x")
    title(left, "1,000 measurements")
    right.plot(x_new, spread, color=BLUE, linewidth=2.2, label="learnt")
    right.plot(x_new, noise(x_new), color=VERMILION, linestyle="--", label="true")
    right.set_ylim(bottom=0)
    right.legend(frameon=False)
    right.set_xlabel("x")
    title(right, "spread")
    save(figure, path)
