"""Digits: a multi-layer perceptron reads handwriting, 99 of 100 digits that it has never seen.

The training is `train.fit`: batches in a new order each epoch, a schedule for the learning rate, evaluation
after each epoch, curves.  The picture shows these curves and the digits that were read worst: most of them
are hard for people too.
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
    order = rng.permutation(len(X))  # or the test would be of other writers, which is harder
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
    )

    X, y = unseen
    p = softmax(train.predict(model, X))
    accuracy = train.accuracy(p, y)
    print(f"{model!r}: {100 * accuracy:.1f} % of {len(y)} unseen digits are read rightly")
    draw(fitted.curves, X.reshape(-1, 8, 8), y, p, output / "digits.png")
    return {"accuracy": accuracy, "loss": fitted.curves.last("validation_loss")}


# ---------------------------------------------------------------- the picture


def draw(curves, images, labels, p, path):
    """The losses, and the eight unseen digits that were read worst."""
    from examples._pictures import BLUE, INK, VERMILION, panels, save, show_image, title

    figure, axes = panels(1, 2, 9.6, 3.6, width_ratios=[4, 5])
    left, right = axes[0]
    left.plot(*curves["loss"], color=BLUE, alpha=0.4, linewidth=0.8, label="each batch")
    left.plot(*curves["validation_loss"], color=VERMILION, linewidth=2, label="unseen digits")
    left.set(yscale="log", ylim=(5e-4, 4), xlabel="step")
    left.legend(frameon=False)
    title(left, "loss")

    title(right, "hardest of the unseen digits")
    right.axis("off")
    said, given = p.argmax(axis=1), p[np.arange(len(p)), labels]  # given: what it gives to the right class
    for at, i in enumerate(np.argsort(given)[:8]):
        a = right.inset_axes((at % 4 / 4, 0.52 - at // 4 * 0.52, 0.24, 0.36))
        show_image(a, images[i], cmap="Greys")
        a.set_title(f"{labels[i]} read as {said[i]}, {100 * p[i].max():.0f} %", fontsize=8.5,
                    color=INK if said[i] == labels[i] else VERMILION)
    save(figure, path)
