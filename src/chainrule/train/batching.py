"""Minibatches: a data set in random parts, a new order every time round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Batches", "batches"]


class Batches:
    """What `batches` returns: iterate over it for one epoch, again for the next; ``len`` counts the parts."""

    def __init__(
        self, arrays: tuple[NDArray[Any], ...], batch_size: int, rng: np.random.Generator, shuffle: bool
    ) -> None:
        self.arrays = arrays
        self.batch_size = batch_size
        self.rng = rng
        self.shuffle = shuffle

    def __len__(self) -> int:
        return -(-len(self.arrays[0]) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], ...]]:
        n = len(self.arrays[0])
        order = self.rng.permutation(n) if self.shuffle else None
        for start in range(0, n, self.batch_size):
            part = slice(start, start + self.batch_size)
            rows = part if order is None else order[part]
            yield tuple(array[rows] for array in self.arrays)


def batches(
    *arrays: ArrayLike, batch_size: int, rng: np.random.Generator | int | None = None, shuffle: bool = True
) -> Batches:
    """Cut arrays into minibatches along their first axis, in step with each other.

    Every sample comes once per epoch; the last batch holds what is left and may be smaller.

    Parameters
    ----------
    *arrays : array_like
        Inputs, labels, ...: all of the same length.
    batch_size : int
        Samples in a batch, at least 1.
    rng : numpy.random.Generator or int, optional
        Decides the order; the same seed gives the same orders.  Without one they differ from run to run.
    shuffle : bool
        False keeps the samples in their order; the batches are then views, not copies.

    Returns
    -------
    Batches
        Yields one tuple per batch with a part of each array, also for a single array.  It can be iterated
        again: each time round is an epoch with an order of its own.

    Raises
    ------
    TypeError
        If there are no arrays or batch_size is not an integer.
    ValueError
        If the arrays are empty, scalars or differ in length, or batch_size is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import train
    >>> X, y = np.zeros((10, 3)), np.arange(10)
    >>> parts = train.batches(X, y, batch_size=4, rng=0)
    >>> len(parts), [x.shape for x, _ in parts]
    (3, [(4, 3), (4, 3), (2, 3)])
    >>> sorted(np.concatenate([labels for _, labels in parts]).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    if not arrays:
        raise TypeError("batches: no arrays given; expected at least one, as in batches(X, y, batch_size=64)")
    found = tuple(np.asarray(array) for array in arrays)
    if any(array.ndim == 0 for array in found):
        raise ValueError("batches: an array is a single number; expected samples along the first axis")
    lengths = [len(array) for array in found]
    if len(set(lengths)) != 1:
        raise ValueError(
            f"batches: the arrays have lengths {lengths}; expected one length: a row per sample in each"
        )
    if not lengths[0]:
        raise ValueError("batches: the arrays are empty; expected at least one sample")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer):
        raise TypeError(f"batches: batch_size is {batch_size!r}; expected an integer")
    if batch_size < 1:
        raise ValueError(f"batches: batch_size is {batch_size}; expected at least 1")
    return Batches(found, int(batch_size), np.random.default_rng(rng), shuffle)
