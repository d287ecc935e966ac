"""Clothes: a convolutional network learns Fashion-MNIST, in a run that may be killed at any moment.

A network that looks at small windows, and at windows of these, tells 92 in 100 pictures of clothes apart
after a minute.  The run writes a checkpoint every hundred steps: kill it, start it again, and the weights at
its end are to the last bit those of a run that nobody disturbed.  And what it gets wrong shows what is hard:
a shirt, a pullover and a coat of 28 × 28 pixels look alike to people too.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from chainrule import nn, optim, softmax, train
from chainrule.train.data import FASHION_MNIST_CLASSES as CLASSES


def network(seed: int = 0) -> nn.Sequential:
    """Two convolutions with pooling, (N, 1, 28, 28) -> (N, 32, 7, 7), and two linear layers on top."""
    rng = np.random.default_rng(seed)
    start: dict[str, Any] = {"rng": rng, "dtype": np.float32}
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding="same", **start), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding="same", **start), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 128, **start), nn.ReLU(), nn.Dropout(0.3, rng=rng),
        nn.Linear(128, 10, **start),
    )  # fmt: skip


def learn(
    model: nn.Module, images: Any, labels: Any, epochs: int, checkpoint: pathlib.Path, every: int, **more: Any
) -> train.Run:
    """Train with AdamW and a learning rate that falls along a cosine; go on from the checkpoint, if any."""
    held_out = len(images) // 12
    optimiser = optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    return train.fit(
        model,
        (images[held_out:], labels[held_out:]),
        nn.cross_entropy,
        optimiser,
        epochs=epochs,
        batch_size=64,
        validation=(images[:held_out], labels[:held_out]),
        metrics=[train.accuracy],
        schedule=optim.CosineAnnealingLR(optimiser, epochs, eta_min=1e-4),
        checkpoint=checkpoint,
        checkpoint_every=every,
        resume=True,
        **more,
    )


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    images, labels, test_images, test_labels = clothes(1500 if quick else None)
    model, checkpoint = network(), output / "fashion.checkpoint"
    if checkpoint.exists():
        print(f"goes on from {checkpoint}; remove the file to start anew")
    epochs, every = (2, 10) if quick else (6, 100)
    history = learn(model, images, labels, epochs, checkpoint, every, callbacks=[tell])
    checkpoint.unlink()  # the run is over: the next one begins at the beginning

    scores = train.predict(model, test_images, compile=True)
    accuracy = train.accuracy(scores, test_labels)
    print(f"{100 * accuracy:.2f} % of {len(test_labels):,} test images are recognised")
    draw(history.curves, test_images[:, 0], test_labels, scores, output / "fashion.png")
    return {"test_accuracy": accuracy, "steps": history.step}


def clothes(most: int | None = None) -> tuple[Any, ...]:
    """Images (N, 1, 28, 28) from 0 to 1 and labels (N,), to learn from and to be judged by."""
    images, labels, test_images, test_labels = train.data.fashion_mnist()
    as_input = lambda x: (x[:most, None] / 255).astype(np.float32)
    return as_input(images), labels[:most], as_input(test_images), test_labels[:most]


def tell(run: train.Run) -> None:
    loss, accuracy = run.curves.last("validation_loss"), run.curves.last("validation_accuracy")
    print(f"epoch {run.epoch}: validation loss {loss:.3f}, accuracy {accuracy:.3f}")


# ---------------------------------------------------------------- the picture


def draw(curves: train.Curves, images: Any, labels: Any, scores: Any, path: pathlib.Path) -> None:
    """The curves, and beside them the first answers and the worst ones."""
    from examples._pictures import BLUE, INK, VERMILION, save, sheet, show_image, smoothed, title

    figure = sheet(10, 5)
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.6])
    top, bottom = left.subplots(2, 1, sharex=True)
    top.plot(*smoothed(*curves["loss"]), color=BLUE, label="training")
    top.plot(*curves["validation_loss"], "o-", color=VERMILION, label="validation")
    top.set_ylim(bottom=0)
    top.legend(frameon=False)
    title(top, "loss")
    bottom.plot(*curves["validation_accuracy"], "o-", color=VERMILION)
    bottom.set_xlabel("step")
    title(bottom, "accuracy of validation")
    for axes in (top, bottom):
        axes.spines[["top", "right"]].set_visible(False)

    answers, sure = np.argmax(scores, axis=1), np.max(softmax(scores), axis=1)
    wrong = np.flatnonzero(answers != labels)
    worst = wrong[np.argsort(-sure[wrong])][:12]
    cells = right.subplots(4, 6)
    for axes, i in zip(cells.flat, [*range(12), *worst]):
        show_image(axes, images[i], cmap="gray_r")
        right_one = answers[i] == labels[i]
        axes.set_xlabel(
            CLASSES[answers[i]] + ("" if right_one else f"\nnot {CLASSES[labels[i]]}"),
            fontsize=8.5, color=INK if right_one else VERMILION,
        )  # fmt: skip
    title(cells[0, 0], "the first of the test")
    title(cells[2, 0], "the surest mistakes")
    save(figure, path)
