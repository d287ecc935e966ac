"""The three training runs of the demo.

Each is the loop that a reader would write: a model, a loss, `backward`, a step.  The data are the same for
every seed; the seed decides the initial weights and the order of the minibatches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chainrule import nn, optim, softmax, train
from chainrule.demo.errors import DemoError
from chainrule.show.training import BoundaryFilm, wrong_digits
from chainrule.value import data

__all__ = ["RUNS", "Run"]

FRAMES = 32


@dataclass
class Run:
    """One finished training run, with all that the page shows of it."""

    name: str
    title: str
    about: str
    accuracy: float
    on: str  # what the accuracy was measured on
    steps: int
    lr: float
    model: nn.Module
    curves: train.Curves
    panels: list[list[str]]
    seconds: float
    film: BoundaryFilm | None = None
    mistakes: str = ""  # an SVG
    facts: dict[str, str] = field(default_factory=dict)


def _train(name: str, steps: int, lr: float, step: Callable[[int], Any]) -> float:
    """Call `step` for k = 0 … steps - 1; return how many seconds that took."""
    start = time.perf_counter()
    bar = train.progress(range(steps), label=name)
    # Overflow is noticed below, in the loss; NumPy's warnings would only stand beside that.
    with np.errstate(all="ignore"):
        for k in bar:
            loss = step(k).item()
            if not math.isfinite(loss):
                raise DemoError(
                    f"{name}: the loss is {loss} at step {k + 1} of {steps}; "
                    f"the learning rate {lr:g} is too large, try --lr {lr / 10:g}"
                )
            bar.show(loss=loss)
    return time.perf_counter() - start


def _moments(steps: int) -> set[int]:
    """Pick the steps after which the films take a frame: more at the start, where more happens."""
    return {round(steps * (i / (FRAMES - 1)) ** 1.5) for i in range(FRAMES)} | {steps}


def moons(steps: int | None, lr: float | None, seed: int) -> Run:
    """Two half moons, with the network and the loss of micrograd's demonstration, on arrays."""
    from sklearn.datasets import make_moons

    steps, lr = steps or 100, lr or 1.0
    X, y = make_moons(n_samples=100, noise=0.1, random_state=1)
    y = 2 * y - 1
    model = nn.MLP([2, 16, 16, 1], activation="relu", rng=seed, initialiser=_uniform)
    opt = optim.SGD(model.parameters(), lr)
    curves, at = train.Curves(), _moments(steps)
    film = BoundaryFilm(X, y, lambda x: model(x)[:, 0])

    def step(k: int) -> Any:
        opt.lr = lr * (1.0 - 0.9 * k / steps)
        scores = model(X)[:, 0]
        loss = nn.hinge(scores, y) + 1e-4 * sum(np.sum(p * p) for p in model.parameters())
        curves.record(k, loss=loss, accuracy=train.accuracy(scores, y))
        if k in at:
            film.record(_caption(k, curves))
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    seconds = _train("moons", steps, lr, step)
    accuracy = train.accuracy(model(X)[:, 0], y)
    curves.record(steps, accuracy=accuracy)
    film.record(_caption(steps, curves))
    return Run(
        "moons", "Two moons",
        "100 points of two interleaved half moons (scikit-learn, noise 0.1). Network, initial weights and "
        "loss are those of micrograd's demonstration: two hidden layers of 16 relu neurons, a max-margin "
        "loss plus 0.0001 times the sum of the squared parameters, full-batch gradient descent with a "
        "learning rate that falls to a tenth.",
        accuracy, "the 100 training points", steps, lr, model, curves,
        [["loss"], ["accuracy"]], seconds, film,
    )  # fmt: skip


def _uniform(
    rng: np.random.Generator, n_in: int, n_out: int, dtype: DTypeLike = np.float64
) -> NDArray[np.floating]:
    """Draw weights from U(-1, 1), as micrograd does: with these it separates the moons from every seed."""
    return rng.uniform(-1.0, 1.0, (n_in, n_out)).astype(dtype)


def circle(steps: int | None, lr: float | None, seed: int) -> Run:
    """A disc against what surrounds it, with tanh neurons and the softmax cross-entropy."""
    steps, lr = steps or 200, lr or 0.03
    X, y = _disc(200, np.random.default_rng(1))
    X_new, y_new = _disc(2000, np.random.default_rng(2))
    model = nn.MLP([2, 8, 8, 2], activation="tanh", rng=seed)
    opt = optim.Adam(model.parameters(), lr)
    curves, at = train.Curves(), _moments(steps)

    def score(x: NDArray[np.float64]) -> Any:
        logits = model(x)
        return logits[:, 1] - logits[:, 0]

    film = BoundaryFilm(X, y, score)

    def step(k: int) -> Any:
        logits = model(X)
        loss = nn.cross_entropy(logits, y)
        curves.record(k, loss=loss, accuracy=train.accuracy(logits, y))
        if k in at:
            film.record(_caption(k, curves))
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    seconds = _train("circle", steps, lr, step)
    curves.record(steps, accuracy=train.accuracy(model(X), y))
    film.record(_caption(steps, curves))
    return Run(
        "circle", "A circle against its outside",
        "200 random points of a square; those within the circle are one class, those outside the other. Two "
        "hidden layers of 8 tanh neurons, softmax cross-entropy, Adam on the full batch. A straight line "
        "could not separate them: the hidden neurons have to bend it.",
        train.accuracy(model(X_new), y_new), "2,000 new points", steps, lr, model, curves,
        [["loss"], ["accuracy"]], seconds, film,
        facts={"in training": f"{100 * curves.last('accuracy'):.1f} % of the 200 points"},
    )  # fmt: skip


def _disc(n: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Draw n points of the square [-1.5, 1.5]²; the label is 1 within the unit circle."""
    X = rng.uniform(-1.5, 1.5, (n, 2))
    return X, (np.hypot(*X.T) < 1.0).astype(np.intp)


def digits(steps: int | None, lr: float | None, seed: int) -> Run:
    """Handwritten digits, 8 × 8 pixels, in float32 minibatches, judged on a quarter never trained on."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    steps, lr = steps or 600, lr or 0.1
    X, y = load_digits(return_X_y=True)
    X = (X / 16.0).astype(np.float32)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
    rng = np.random.default_rng(seed)
    model = nn.MLP([64, 128, 128, 10], activation="relu", rng=rng, dtype=np.float32)
    opt = optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    parts = train.batches(X, y, batch_size=64, rng=rng)
    feed = _endless(parts)
    curves = train.Curves()

    def judge(k: int) -> None:
        curves.record(
            k,
            **{
                "training accuracy": train.accuracy(model(X), y),
                "test accuracy": train.accuracy(model(X_test), y_test),
            },
        )

    def step(k: int) -> Any:
        if k % max(1, steps // 60) == 0:
            judge(k)
        # The last fifth comes to rest: the learning rate falls to zero.
        opt.lr = lr * min(1.0, 5.0 * (1.0 - k / steps))
        images, labels = next(feed)
        loss = nn.cross_entropy(model(images), labels)
        curves.record(k, loss=loss)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    seconds = _train("digits", steps, lr, step)
    judge(steps)
    p = data(softmax(model(X_test)))
    wrong = int(np.sum(p.argmax(axis=1) != y_test))
    shown = "" if wrong <= 24 else ", of which 24 are shown"
    return Run(
        "digits", "Handwritten digits",
        f"1,797 digits of 8 × 8 pixels (scikit-learn). {len(X):,} are trained on, {len(X_test)} are kept "
        "for the test. Two hidden layers of 128 relu neurons in float32, softmax cross-entropy on "
        "minibatches of 64, gradient descent with momentum 0.9 and weight decay 0.0001.",
        curves.last("test accuracy"), f"{len(X_test)} digits it never saw", steps, lr, model, curves,
        [["loss"], ["training accuracy", "test accuracy"]], seconds,
        mistakes=wrong_digits(X_test.reshape(-1, 8, 8), y_test, p, most=24) if wrong else "",
        facts={"epochs": f"{steps / len(parts):.1f}", "wrong": f"{wrong} of {len(X_test)}{shown}"},
    )  # fmt: skip


def _endless(parts: train.Batches) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield minibatches epoch after epoch."""
    while True:
        yield from parts


def _caption(k: int, curves: train.Curves) -> str:
    return f"step {k:3d}   loss {curves.last('loss'):.3f}   accuracy {100 * curves.last('accuracy'):3.0f} %"


RUNS: dict[str, Callable[[int | None, float | None, int], Run]] = {
    "moons": moons,
    "circle": circle,
    "digits": digits,
}
