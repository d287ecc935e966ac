"""Dropout: in training some of the signal is left out at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import random
from chainrule.nn.arguments import as_operand
from chainrule.nn.messages import drawn
from chainrule.nn.module import Module

__all__ = ["Dropout"]


class Dropout(Module):
    """In training y = x m / (1 - p), each mᵢ 0 with probability p and else 1; after it y = x.

    So that the mean of y is x, nothing has to be scaled after training.  Each call draws anew, a compiled one
    too.

    Parameters
    ----------
    p : float
        The probability that an element is left out, 0 … 1.
    rng : chainrule.random.Generator, numpy.random.Generator or int, optional
        Where the draws come from; a generator is shared, not copied.  Without one they differ from run to
        run, unless `chainrule.train.fit` with its seed gives one.

    Attributes
    ----------
    rng : chainrule.random.Generator
        Its state is what a checkpoint keeps of it.
    seeded : bool
        Whether the layer was made with an rng.

    Raises
    ------
    ValueError
        If p is not within 0 … 1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.Dropout(0.5, rng=0)
    >>> layer(np.ones(8))
    array([2., 2., 2., 0., 0., 0., 0., 0.])
    >>> layer.eval()(np.ones(3))
    array([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | int | None = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is {p}; expected a probability, 0 to 1")
        self.p = p
        self.seeded = rng is not None  # else `chainrule.train.fit` gives it a generator of the run's seed
        self.rng = random.default_rng(rng)
        self.seeded = rng is not None

    def forward(self, x: Any) -> Any:
        """Leave out elements of x, or, after training, nothing."""
        x = as_operand(x)
        if not self.training or self.p == 0:
            return x
        kept = 1.0 / (1.0 - self.p) if self.p < 1 else 0.0
        # 24 random bits are enough to compare with p, and cost half of 53
        draw = lambda: (self.rng.random(x.shape, dtype=np.float32) >= self.p).astype(x.dtype) * kept
        return x * drawn(draw)

    def __repr__(self) -> str:
        return f"Dropout({self.p})"
