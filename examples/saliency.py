"""Saliency: which pixels a network looks at, from gradients with respect to its input.

The same `backward` that trains the weights also tells how the answer would change with each pixel.  The
picture shows, for ten digits, where ink speaks for the digit and where it would speak against it.  Whether
that is true is tested: rubbing out the ink that matters by this measure changes the answer far more often
than rubbing out as much ink elsewhere.
"""

from __future__ import annotations

import pathlib

import numpy as np

from chainrule import Value, nn, optim, train


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    rng = np.random.default_rng(0)
    X, y, X_test, y_test = train.data.digits()  # (N, 8, 8), from 0, paper, to 1, ink
    model = nn.Sequential(nn.Flatten(), nn.MLP([64, 64, 10], activation="tanh", rng=rng, dtype=np.float32))
    optimiser = optim.AdamW(model.parameters(), lr=0.003)

    def noisy(images, labels):  # or the network would learn from the faintest traces
        return images + rng.normal(scale=0.4, size=images.shape).astype(np.float32), labels

    parts = train.batches(X, y, batch_size=32, seed=0, transform=noisy)
    train.fit(model, parts, nn.cross_entropy, optimiser, epochs=20 if quick else 60)

    accuracy = train.accuracy(train.predict(model, X_test), y_test)
    right = train.predict(model, X_test).argmax(axis=1) == y_test
    images, labels = X_test[right], y_test[right]
    slopes = saliency(model, images, labels)

    # rub out the six pixels in which ink speaks most for the digit, or any six that have ink
    ink = images > 0.2
    speaks = np.where(ink, slopes * images, -np.inf)
    chance = np.where(ink, rng.random(images.shape), -np.inf)
    changed = {}
    for name, order in ("salient", speaks), ("random", chance):
        read = train.predict(model, without(images, order, 6)).argmax(axis=1)
        changed[name] = float(np.mean(read != labels))
    share = {name: f"{100 * x:.0f} %" for name, x in changed.items()}
    print(f"{100 * accuracy:.1f} % of unseen digits are read rightly; of these, with six pixels rubbed out,")
    print(f"{share['salient']} are misread if they are the salient ones, {share['random']} if any with ink")
    draw(images, labels, slopes, output / "saliency.png")
    return {"accuracy": accuracy, "changed_salient": changed["salient"], "changed_random": changed["random"]}


def saliency(model, images, labels):
    """d (log-probability of the label) / d pixel, for each image: (N, 8, 8)."""
    pixels = Value(images)
    # an image's pixels act on its own loss only, so one sweep gives the gradients of all
    nn.cross_entropy(model(pixels), labels, reduction="sum").backward()
    return -pixels.grad


def without(images, order, count):
    """The images with the pixels of largest order made paper."""
    flat = images.reshape(len(images), -1).copy()
    first = np.argsort(-order.reshape(len(images), -1), axis=1)[:, :count]
    np.put_along_axis(flat, first, 0, axis=1)
    return flat.reshape(images.shape)


# ---------------------------------------------------------------- the picture


def draw(images, labels, slopes, path):
    """One of each digit, and below it what ink does at each pixel."""
    from examples._pictures import panels, save, show_image

    figure, axes = panels(2, 10, 9.6, 2.3)
    for digit, (above, below) in enumerate(axes.T):
        i = np.flatnonzero(labels == digit)[0]
        show_image(above, images[i], cmap="Greys")
        most = abs(slopes[i]).max()
        show_image(below, slopes[i], cmap="RdBu", vmin=-most, vmax=most, interpolation="bilinear")
        below.contour(images[i], [0.4], colors="k", linewidths=1)
    figure.supxlabel("ink here speaks for the digit: blue; against it: red", fontsize=10)
    save(figure, path)
