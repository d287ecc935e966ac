"""Initial weights: random matrices whose scale keeps a signal's size from layer to layer.

If the inputs of a layer with `n_in` inputs are independent with variance v, then each of its sums has
variance ``n_in * var(W) * v``.  An initialiser picks ``var(W)`` so that neither this nor the gradient's way
back grows or dies with depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Initialiser", "glorot_uniform", "he_normal"]

Initialiser = Callable[[np.random.Generator, int, int, DTypeLike], NDArray[np.floating]]


def he_normal(
    rng: np.random.Generator, n_in: int, n_out: int, dtype: DTypeLike = np.float64
) -> NDArray[np.floating]:
    """Draw W from N(0, 2 / n_in): for relu, which halves the second moment of what passes it.

    Source: He, Zhang, Ren, Sun, "Delving deep into rectifiers", 2015, equation 10.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.nn import he_normal
    >>> W = he_normal(np.random.default_rng(0), 400, 300)
    >>> W.shape, bool(abs(W.var() * 400 / 2 - 1) < 0.02)
    ((400, 300), True)
    """
    return (rng.standard_normal((n_in, n_out)) * math.sqrt(2.0 / n_in)).astype(dtype)


def glorot_uniform(
    rng: np.random.Generator, n_in: int, n_out: int, dtype: DTypeLike = np.float64
) -> NDArray[np.floating]:
    """Draw W from U(-r, r) with r = sqrt(6 / (n_in + n_out)): between what the two directions want.

    Its variance is 2 / (n_in + n_out), the compromise between 1 / n_in, which keeps the signal on the way
    forward, and 1 / n_out, which keeps the gradient on the way back; for tanh and sigmoid.

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    equation 16.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.nn import glorot_uniform
    >>> W = glorot_uniform(np.random.default_rng(0), 2, 4)
    >>> bool(np.all(np.abs(W) <= 1.0))
    True
    """
    reach = math.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(-reach, reach, (n_in, n_out)).astype(dtype)
