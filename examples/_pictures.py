"""What the pictures of the examples have in common: colours, and axes without ornament."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito's, told apart with every kind of colour vision
BLUE, VERMILION, GREEN, ORANGE, INK = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#1B2530"


def sheet(width: float, height: float) -> Figure:
    """An empty figure, its size in inches of 100 pixels."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panels(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, Any]:
    """A figure and its axes (rows, columns)."""
    figure = sheet(width, height)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for a in axes.flat:
        a.spines[["top", "right"]].set_visible(False)
        a.tick_params(length=0)
    return figure, axes


def title(axes: Any, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=11, fontweight="bold")


def smoothed(steps: Any, numbers: Any, width: int | None = None) -> tuple[Any, Any]:
    """The running mean over `width` numbers, without width over a fiftieth of them, at their middle."""
    width = width or max(1, len(numbers) // 50)
    middle = np.asarray(steps)[(width - 1) // 2 :][: len(numbers) - width + 1]
    return middle, np.convolve(numbers, np.ones(width) / width, "valid")


def show_image(axes: Any, pixels: Any, **options: Any) -> None:
    """Pixels, without numbers at their sides."""
    axes.imshow(pixels, **options)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def frame(figure: Figure) -> Image.Image:
    """The figure as it looks now."""
    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")


def save(figure: Figure, path: pathlib.Path) -> None:
    """Write a PNG of 256 colours, which is half as large as one of all."""
    frame(figure).quantize(256).save(path, optimize=True)


def save_film(frames: list[Image.Image], path: pathlib.Path, seconds: float) -> None:
    """Write a WebP that repeats, and rests on its last frame."""
    durations = [round(1000 * seconds / len(frames))] * len(frames)
    durations[-1] += 2000
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=60, method=4
    )
