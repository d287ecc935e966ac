"""Metrics: what people report beside the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.value import Value, data

__all__ = ["accuracy"]


def accuracy(scores: Value | ArrayLike, labels: ArrayLike) -> float:
    """Share of samples on which the highest score is the label's.

    Shapes: scores (..., C) with labels (...) in 0 … C-1; or scores and labels of one shape, with the sign of
    the score saying the class and labels -1 and 1.  A score of exactly 0 counts as 1.

    Raises
    ------
    ValueError
        If the shapes fit neither form.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import train
    >>> train.accuracy(np.array([[2.0, 1.0], [0.0, 3.0]]), [0, 0])
    0.5
    >>> train.accuracy(np.array([2.0, -3.0]), [1, -1])
    1.0
    """
    found: Any = np.asarray(data(scores))
    wanted = np.asarray(labels)
    if found.ndim and wanted.shape == found.shape[:-1]:
        return float(np.mean(np.argmax(found, axis=-1) == wanted))
    if wanted.shape == found.shape:
        return float(np.mean(np.where(found >= 0, 1, -1) == wanted))
    raise ValueError(
        f"accuracy: scores are {found.shape}, labels are {wanted.shape}; expected labels of shape "
        f"{found.shape[:-1]} (classes) or {found.shape} (signs)"
    )
