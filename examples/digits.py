"""Digits: a multi-layer perceptron reads handwriting, 97 of 100 digits that it has never seen.

The training is `train.fit`: batches in a new order each epoch, a schedule for the learning rate, evaluation
after each epoch, curves.  The picture shows these curves and every digit that was misread: most of them are
hard for people too.
"""

from __future__ import annotations

import pathlib

import numpy as np

from chainrule import nn, optim, softmax, train


def load(rng: np.random.Generator) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """1,347 images of 8 × 8 pixels as rows (N, 64) with labels (N,) to learn from, 450 to be judged by."""
    images, labels, more_images, more_labels = train.data.digits()
    X = np.concatenate([images, more_images]).reshape(-1, 64)
    y = np.concatenate([labels, more_labels])
    order = rng.permutation(len(X))  # each writer's digits are in one place: without this the test has new writers
    X, y = X[order], y[order]
    return (X[:1347], y[:1347]), (X[1347:], y[1347:])


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    rng = np.random.default_rng(0)
    known, unseen = load(rng)

    model = nn.MLP([64, 128, 128, 10], activation="relu", rng=rng, dtype=np.float32)
    optimiser = optim.AdamW(model.parameters(), lr=0.003, weight_decay=0.05)
    epochs = 15 if quick else 40
    fitted = train.fit(
        model, known, nn.cross_entropy, optimiser, epochs=epochs, batch_size=32,
        validation=unseen, metrics=[train.accuracy], schedule=optim.CosineAnnealingLR(optimiser, epochs),
    )  # fmt: skip

    X, y = unseen
    p = softmax(train.predict(model, X))
    accuracy = train.accuracy(p, y)
    wrong = np.flatnonzero(p.argmax(axis=1) != y)
    print(f"{model!r}: {len(wrong)} of {len(y)} unseen digits are misread")
    draw(fitted.curves, X[wrong].reshape(-1, 8, 8), y[wrong], p[wrong], output / "digits.png")
    return {"accuracy": accuracy, "wrong": len(wrong), "loss": fitted.curves.last("validation_loss")}


# ---------------------------------------------------------------- the picture


def draw(curves, images, labels, p, path):
    """The losses, and up to 15 misread digits, the surest mistakes first."""
    from examples._pictures import BLUE, VERMILION, panels, save, show_image, title

    figure, axes = panels(3, 9, 9.6, 3.9)
    grid = axes[0, 0].get_gridspec()
    for a in axes[:, :4].flat:
        a.remove()
    left = figure.add_subplot(grid[:, :4])
    left.spines[["top", "right"]].set_visible(False)
    left.plot(*curves["loss"], color=BLUE, alpha=0.35, linewidth=0.8, label="each batch")
    left.plot(*curves["validation_loss"], color=VERMILION, linewidth=2, label="unseen digits")
    left.set_yscale("log")
    left.set_ylim(bottom=1e-3)
    left.set_xlabel("step")
    left.legend(frameon=False)
    title(left, "loss")
    said = p.argmax(axis=1)
    surest = np.argsort(-p.max(axis=1))
    for a in axes[:, 4:].flat:
        a.axis("off")
    for a, i in zip(axes[:, 4:].flat, surest):
        show_image(a, images[i], cmap="Greys")
        a.set_title(f"{labels[i]}, read {said[i]}\n{100 * p[i].max():.0f} % sure", fontsize=8.5)
    save(figure, path)
