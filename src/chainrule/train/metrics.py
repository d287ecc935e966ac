"""Metrics: what people report beside the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.value import Value, data

__all__ = ["accuracy"]


def accuracy(scores: Value | ArrayLike, labels: ArrayLike) -> float:
    """Share of samples on which the highest score is the label's, or, of two classes, the score's sign.

    Shapes: scores (..., C) with labels (...) in 0 … C-1; or one score for each label, with labels 0 and 1,
    booleans, or -1 and 1: scores and labels of one shape, or scores (..., 1) with labels (...).  A score says
    the second class if it is 0 or more: it is a logit, not a probability.

    Raises
    ------
    ValueError
        If shapes or labels fit neither form.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import train
    >>> train.accuracy(np.array([[2.0, 1.0], [0.0, 3.0]]), [0, 0])
    0.5
    >>> train.accuracy(np.array([2.0, -3.0]), [1, -1]), train.accuracy(np.array([2.0, -3.0]), [1, 0])
    (1.0, 1.0)
    """
    found: Any = np.asarray(data(scores))
    wanted: Any = np.asarray(data(labels))
    if found.ndim and found.shape == (*wanted.shape, 1):
        found = found[..., 0]
    if wanted.shape == found.shape:
        if not (np.isin(wanted, (0, 1)).all() or np.isin(wanted, (-1, 1)).all()):
            raise ValueError(
                f"accuracy: scores are {found.shape}, one for each label, and labels hold "
                f"{_sample(wanted, (-1, 0, 1))}; expected 0 and 1, booleans, or -1 and 1; for more classes "
                "scores of shape (..., classes)"
            )
        return float(np.mean((found >= 0) == (wanted > 0)))
    if found.ndim and wanted.shape == found.shape[:-1]:
        classes = np.arange(found.shape[-1])
        if not np.isin(wanted, classes).all():
            raise ValueError(
                f"accuracy: labels hold {_sample(wanted, classes)}; expected 0 to {len(classes) - 1}, as "
                f"scores of shape {found.shape} have {len(classes)} classes"
            )
        return float(np.mean(np.argmax(found, axis=-1) == wanted))
    raise ValueError(
        f"accuracy: scores are {found.shape}, labels are {wanted.shape}; expected labels of shape "
        f"{found.shape[:-1]} (classes) or {found.shape} (signs)"
    )


def _sample(labels: Any, expected: Any) -> str:
    """The first label that was not expected, or both kinds where each would do but not together."""
    wrong = labels[~np.isin(labels, expected)]
    return str(wrong.flat[0]) if wrong.size else "-1, 0 and 1"
