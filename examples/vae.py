"""A plane of digits: a variational autoencoder squeezes each handwritten digit into two numbers and back.

The encoder answers with a place and a spread, a point is drawn from there, and the decoder paints a digit
from the point.  What makes a draw differentiable is that the noise comes from outside, z = mean + spread ·
noise: the gradient goes past it.  A compiled step draws anew at each call, as the generator is chainrule's.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, train


class Autoencoder(nn.Module):
    """An encoder of images (N, 64), and a decoder of points (N, 2) into logits of pixels (N, 64)."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        start: dict[str, Any] = {"activation": "gelu", "rng": rng, "dtype": np.float32}
        self.encoder = nn.MLP([64, 128, 64, 4], **start)
        self.decoder = nn.MLP([2, 64, 128, 64], **start)

    def encode(self, images: Any) -> tuple[Any, Any]:
        """Mean and logarithm of the spread, (N, 2) each, of where the images may lie."""
        found = self.encoder(images)
        return found[:, :2], found[:, 2:]


def loss_of(model: Autoencoder, images: Any, noise: Any) -> Any:
    """What it takes to tell an image: where its point is, and, given that, its pixels, in nats."""
    mean, log_spread = model.encode(images)
    z = mean + np.exp(log_spread) * noise
    pixels = nn.bce_with_logits(model.decoder(z), images, reduction="sum")
    place = 0.5 * np.sum(mean**2 + np.exp(2 * log_spread) - 1 - 2 * log_spread)  # to a standard normal
    return (pixels + place) / len(images)


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    images, _, test_images, test_labels = train.data.digits()
    images, test_images = images.reshape(-1, 64), test_images.reshape(-1, 64)
    model, rng = Autoencoder(), cr.random.default_rng(0)
    optimiser = optim.Adam(model.parameters(), lr=2e-3)
    epochs = 20 if quick else 300
    schedule = optim.CosineAnnealingLR(optimiser, epochs)

    @cr.compile
    def step(images):
        loss = loss_of(model, images, rng.standard_normal((len(images), 2), dtype=np.float32))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    parts = train.batches(images, batch_size=64, seed=0, drop_last=True)
    for epoch in range(epochs):
        losses = [step(part).item() for (part,) in parts]
        schedule.step()
        if (epoch + 1) % (epochs // 10) == 0:
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.2f}")

    noise = rng.standard_normal((len(test_images), 2), dtype=np.float32)
    unseen = loss_of(model, test_images, noise).item()
    print(f"a digit it never saw takes {unseen:.1f} nats; {64 * np.log(2):.1f} without any knowledge")
    draw(model, test_images, test_labels, rng, output / "vae.png")
    return {"loss": float(np.mean(losses)), "test_loss": unseen}


# ---------------------------------------------------------------- the picture


def draw(model: Autoencoder, images: Any, labels: Any, rng: Any, path: pathlib.Path) -> None:
    """Digits and what comes back, digits from anywhere, where digits lie, and the whole plane."""
    from examples._pictures import save, sheet, show_image, title

    def paint(z):
        return cr.data(cr.sigmoid(model.decoder(z.astype(np.float32))))

    def tiles(pixels, columns):
        """Images (N, 64) as one, in rows, with white between them."""
        padded = np.pad(pixels.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
        return np.block([list(padded[i : i + columns]) for i in range(0, len(padded), columns)])

    figure = sheet(10.5, 4)
    a = figure.subplot_mosaic(
        [["pairs", "plane", "painted"], ["new", "plane", "painted"]], width_ratios=[1, 1.25, 1.25]
    )
    mean = cr.data(model.encode(images)[0])
    pairs = [images[:8], paint(mean[:8]), images[8:16], paint(mean[8:16])]
    show_image(a["pairs"], tiles(np.concatenate(pairs), 8), cmap="gray_r")
    title(a["pairs"], "digits, and what comes back")
    show_image(a["new"], tiles(paint(rng.normal(size=(32, 2))), 8), cmap="gray_r")
    title(a["new"], "digits from random points")

    plane = a["plane"]
    for digit in range(10):
        points, box = mean[labels == digit], {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": f"C{digit}"}
        plane.scatter(*points.T, s=8, color=f"C{digit}")
        plane.text(*np.median(points, axis=0), str(digit), fontsize=12, ha="center", va="center", bbox=box)
    plane.set(xlim=(-2.7, 2.7), ylim=(-2.7, 2.7), aspect="equal")
    plane.spines[["top", "right"]].set_visible(False)
    title(plane, "where digits lie")
    x, y = np.meshgrid(np.linspace(-2.5, 2.5, 16), np.linspace(2.5, -2.5, 16))
    show_image(a["painted"], tiles(paint(np.stack([x.ravel(), y.ravel()], axis=1)), 16), cmap="gray_r")
    title(a["painted"], "the whole plane, painted")
    save(figure, path)
