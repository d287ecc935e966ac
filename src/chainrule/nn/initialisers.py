"""Initial weights: random matrices whose scale keeps a signal's size from layer to layer.

If the inputs of a layer with `n_in` inputs are independent with variance v, then each of its sums has
variance ``n_in * var(W) * v``.  An initialiser picks ``var(W)`` so that neither this nor the gradient's way
back grows or dies with depth.

Each is called as ``initialiser(rng, n_in, n_out, dtype)``, and gives a matrix (n_in, n_out).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = [
    "Initialiser", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "orthogonal",
    "truncated_normal", "zeros",
]  # fmt: skip

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


def he_uniform(
    rng: np.random.Generator, n_in: int, n_out: int, dtype: DTypeLike = np.float64
) -> NDArray[np.floating]:
    """Draw W from U(-r, r) with r = sqrt(6 / n_in): of the same variance as `he_normal`.

    >>> bool(np.all(np.abs(he_uniform(np.random.default_rng(0), 6, 4)) <= 1.0))
    True
    """
    reach = math.sqrt(6.0 / n_in)
    return rng.uniform(-reach, reach, (n_in, n_out)).astype(dtype)


def glorot_normal(
    rng: np.random.Generator, n_in: int, n_out: int, dtype: DTypeLike = np.float64
) -> NDArray[np.floating]:
    """Draw W from N(0, 2 / (n_in + n_out)): of the same variance as `glorot_uniform`.

    >>> W = glorot_normal(np.random.default_rng(0), 400, 300)
    >>> bool(abs(W.var() * 350 - 1) < 0.02)
    True
    """
    return (rng.standard_normal((n_in, n_out)) * math.sqrt(2.0 / (n_in + n_out))).astype(dtype)


def orthogonal(
    rng: np.random.Generator, n_in: int, n_out: int, dtype: DTypeLike = np.float64, gain: float = 1.0
) -> NDArray[np.floating]:
    """Draw W from the orthogonal matrices, times ``gain``: it keeps lengths, whatever the depth.

    Where n_in and n_out differ its shorter rows or columns are orthonormal.  Another gain is had by
    ``functools.partial(orthogonal, gain=2**0.5)``.

    Source: Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", 2014.

    >>> W = orthogonal(np.random.default_rng(0), 4, 3)
    >>> bool(np.allclose(W.T @ W, np.eye(3)))
    True
    """
    a = rng.standard_normal((max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(a)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # so that every rotation is equally likely
    return (gain * (q if n_in >= n_out else q.T)).astype(dtype)


def truncated_normal(
    rng: np.random.Generator, n_in: int, n_out: int, dtype: DTypeLike = np.float64, std: float = 0.02
) -> NDArray[np.floating]:
    """Draw W from N(0, std²), again where it is more than 2 std from 0: for embeddings and transformers.

    >>> bool(np.max(np.abs(truncated_normal(np.random.default_rng(0), 100, 100))) <= 0.04)
    True
    """
    w = rng.standard_normal((n_in, n_out))
    while np.any(far := np.abs(w) > 2.0):
        w[far] = rng.standard_normal(np.count_nonzero(far))
    return (std * w).astype(dtype)


def zeros(
    rng: np.random.Generator, n_in: int, n_out: int, dtype: DTypeLike = np.float64
) -> NDArray[np.floating]:
    """Make W zero: for a layer that is to add nothing at first, such as the last one of a `Residual`.

    >>> zeros(np.random.default_rng(0), 1, 2)
    array([[0., 0.]])
    """
    return np.zeros((n_in, n_out), dtype)
