"""Arrays as small pictures and histograms, and the numbers that warn of nan, inf and dead entries."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from chainrule.show import summary

__all__ = ["plain", "thumbnail"]

SIDE = 32  # pixels
BINS = 20


def thumbnail(x: Any) -> dict[str, Any] | None:
    """An array of numbers as a small grey picture, with its histogram; None for anything else.

    The last axis runs to the right, all others downwards; of a large array a pixel is the mean of a block.

    Examples
    --------
    >>> t = thumbnail(np.array([[0.0, 1.0], [2.0, np.nan]]))
    >>> t["shape"], t["low"], t["high"], t["nan"], t["inf"], t["zero"]
    ([2, 2], 0.0, 2.0, 1, 0, 0.25)
    """
    if not isinstance(x, np.ndarray) or x.ndim == 0 or x.dtype.kind not in "fciub":
        return None
    if x.dtype.kind == "c":
        x = np.abs(x)
    flat = x.reshape(-1)
    with np.errstate(all="ignore"):
        numbers = flat.astype(np.float64)
        finite = numbers[np.isfinite(numbers)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        pixels = _pixels(numbers.reshape(-1, x.shape[-1]) if x.size else numbers.reshape(0, 0), low, high)
        nans = int(np.isnan(numbers).sum())
        return {
            "shape": list(pixels.shape),
            "low": low,
            "high": high,
            "mean": plain(float(finite.mean())) if finite.size else 0.0,
            "pixels": base64.b64encode(pixels.tobytes()).decode(),
            "bins": _bins(finite, low, high),
            "nan": nans,
            "inf": int(numbers.size - finite.size - nans),
            "zero": float(np.mean(numbers == 0)) if numbers.size else 0.0,
        }


def _bins(finite: Any, low: float, high: float) -> list[int]:
    """How many entries lie in each twentieth of the range."""
    if not finite.size:
        return [0] * BINS
    place = _within(finite, low, high) * BINS
    counts: list[int] = np.bincount(np.minimum(place.astype(int), BINS - 1), minlength=BINS).tolist()
    return counts


def _within(x: Any, low: float, high: float) -> Any:
    """From 0 at the lowest to 1 at the highest; halved first, because the range may not be a float."""
    width = high / 2 - low / 2
    return (x / 2 - low / 2) / width if width > 0 else np.full_like(x, 0.5)


def _pixels(numbers: Any, low: float, high: float) -> Any:
    if not numbers.size:
        return np.zeros((0, 0), np.uint8)
    known = np.isfinite(numbers)
    total = _blocks(np.where(known, _within(numbers, low, high), 0.0))
    count = _blocks(known.astype(float))
    mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    return np.clip(np.rint(255 * mean), 0, 255).astype(np.uint8)


def _blocks(x: Any) -> Any:
    """Sums over blocks, at most 32 by 32 of them."""
    for axis in (0, 1):
        if x.shape[axis] > SIDE:
            x = np.add.reduceat(x, np.arange(SIDE) * x.shape[axis] // SIDE, axis=axis)
    return x


def plain(x: float) -> float | str:
    """A number as JSON can hold it.

    Examples
    --------
    >>> plain(0.5), plain(float("nan"))
    (0.5, 'nan')
    """
    return x if x - x == 0 else str(x)


def text(x: Any) -> float | str:
    """A real number as it is, anything else as a short text.

    Examples
    --------
    >>> text(0.5), text(np.float32(0.5)), text(True), text(10**400), text(np.ones(2)), text(1 + 2j)
    (0.5, 0.5, 'True', '10000000000000000000000…', '[1 1]', '1+2j')
    """
    if type(x) is float:
        return plain(x)
    if isinstance(x, bool | np.bool_):
        return str(bool(x))
    if isinstance(x, int | np.integer):
        return int(x) if abs(int(x)) < 2**53 else summary.number(int(x))
    if isinstance(x, np.floating) or (isinstance(x, np.ndarray) and x.ndim == 0 and x.dtype.kind == "f"):
        return plain(float(x))
    return summary.array(x)
