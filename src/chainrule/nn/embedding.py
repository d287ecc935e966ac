"""Embedding: a table of vectors, looked up by number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from chainrule.nn.arguments import as_operand, at_least, floating, size_of
from chainrule.nn.loss_arguments import within
from chainrule.nn.module import Module
from chainrule.rules.shape import getitem
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["Embedding"]


class Embedding(Module):
    """A vector for each of so many numbers: y = W[i].

    Shapes: i is (...), integers; y is (..., embedding_dim).  The gradient of a row of W is the sum over the
    places where it was looked up.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        How many vectors, and how long.
    rng : numpy.random.Generator or int, optional
        Where the initial vectors come from: the standard normal distribution.
    dtype : dtype
        Of the vectors, a floating one.

    Attributes
    ----------
    weight : Value
        W, (num_embeddings, embedding_dim).

    Raises
    ------
    TypeError
        When called, if the numbers are no integers.
    ValueError
        When called, if one is outside 0 … num_embeddings-1.  (In a compiled function, an IndexError.)

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.Embedding(10, 3, rng=0)
    >>> np.sum(layer([[1, 2], [1, 1]])).backward()
    >>> layer.weight.grad[:3]
    array([[0., 0., 0.],
           [3., 3., 3.],
           [1., 1., 1.]])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        shape = (
            at_least(1, num_embeddings, "Embedding", "num_embeddings"),
            at_least(1, embedding_dim, "Embedding", "embedding_dim"),
        )
        dtype = floating(dtype, "Embedding")
        self.weight = Value(np.random.default_rng(rng).standard_normal(shape).astype(dtype))

    def forward(self, index: Any) -> Any:
        """Look the vectors up."""
        i = as_operand(index)
        if type(i) is Value or i.dtype.kind not in "iu":
            kind = "a Value" if type(i) is Value else i.dtype
            raise TypeError(
                f"Embedding: the numbers to look up are {kind}; expected integers; .astype(int) makes them"
            )
        n = self.weight.shape[0]
        if type(i) is not Traced and i.size and not 0 <= i.min() <= i.max() < n:
            wrong = i[(i < 0) | (i >= n)]
            more = f" and {wrong.size - 1} more such" if wrong.size > 1 else ""
            raise ValueError(f"Embedding: {wrong.flat[0]}{more} looked up; expected 0 to {n - 1}")
        return getitem(self.weight, (np.array(i) if type(i) is not Traced else within(i, n),))

    def __repr__(self) -> str:
        n, d = self.weight.shape
        return f"Embedding({n} -> {d}, {size_of(self.weight):,} parameters, {self.weight.dtype})"
