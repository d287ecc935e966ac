"""Curves: the numbers of a training run, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from chainrule.value import Value

__all__ = ["Curves"]


class Curves(Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]):
    """Records named numbers against the step; read back as arrays.

    Numbers of one step may be recorded in several calls, and a name need not be recorded at every step: the
    loss of every batch and the accuracy of every epoch fit together.

    Examples
    --------
    >>> from chainrule import Value, train
    >>> curves = train.Curves()
    >>> curves.record(0, loss=Value(0.9), accuracy=0.5)
    >>> curves.record(1, loss=Value(0.4))
    >>> list(curves)
    ['loss', 'accuracy']
    >>> steps, losses = curves["loss"]
    >>> steps, losses
    (array([0., 1.]), array([0.9, 0.4]))
    >>> curves.last("loss")
    0.4
    """

    def __init__(self) -> None:
        self._points: dict[str, list[tuple[float, float]]] = {}

    def record(self, step: float, **numbers: float | Value) -> None:
        """Note numbers, plain or Values of one element, as those of `step`."""
        for name, number in numbers.items():
            plain = number.item() if isinstance(number, Value) else float(number)
            self._points.setdefault(name, []).append((float(step), plain))

    def last(self, name: str) -> float:
        """Return the number recorded last under `name`."""
        return self._points[name][-1][1]

    def __getitem__(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        steps, numbers = np.array(self._points[name]).T
        return steps, numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)

    def __repr__(self) -> str:
        parts = (
            f"{name}: {len(points)} points, last {points[-1][1]:.4g}" for name, points in self._points.items()
        )
        return f"Curves({'; '.join(parts)})"
