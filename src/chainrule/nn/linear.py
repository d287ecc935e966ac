"""Linear: the affine layer, y = x W + b."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from chainrule.nn.arguments import as_operand, at_least, floating, size_of
from chainrule.nn.initialisers import Initialiser, glorot_uniform
from chainrule.nn.module import Module
from chainrule.value import Value

__all__ = ["Linear"]


class Linear(Module):
    """Affine layer: y = x W + b.

    Shapes: x is (..., n_in), W is (n_in, n_out), b is (n_out,), y is (..., n_out).

    Parameters
    ----------
    n_in, n_out : int
        Number of inputs and of outputs, at least 1.
    bias : bool
        Whether there is a b; it starts at zero.
    rng : numpy.random.Generator or int, optional
        Where the initial weights come from.  The same seed gives the same weights; without one they differ
        from run to run.
    dtype : dtype
        Of the parameters, a floating one.  The computation follows NumPy's promotion: with the default
        float64 parameters everything is computed in float64, float32 data included.  For a float32 network
        say ``dtype=np.float32`` *and* pass float32 data.
    initialiser : callable
        ``initialiser(rng, n_in, n_out, dtype)`` gives the initial W.

    Attributes
    ----------
    weight : Value
        W, (n_in, n_out): column j holds the weights of output j.
    bias : Value or None
        b, (n_out,).

    Raises
    ------
    ValueError
        If n_in or n_out is less than 1, or, when called, if x's last axis is not n_in.
    TypeError
        If n_in or n_out is not an integer, or dtype is not a floating one.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.Linear(3, 2, rng=0)
    >>> layer
    Linear(3 -> 2, 8 parameters, float64)
    >>> x = np.ones((5, 3))
    >>> np.sum(layer(x)).backward()
    >>> layer.weight.grad
    array([[5., 5.],
           [5., 5.],
           [5., 5.]])
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        bias: bool = True,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
        initialiser: Initialiser = glorot_uniform,
    ) -> None:
        self.n_in = at_least(1, n_in, "Linear", "n_in")
        self.n_out = at_least(1, n_out, "Linear", "n_out")
        dtype = floating(dtype, "Linear")
        self.weight = Value(initialiser(np.random.default_rng(rng), self.n_in, self.n_out, dtype))
        self.bias = Value(np.zeros(self.n_out, dtype)) if bias else None

    def forward(self, x: Any) -> Any:
        """Compute x W + b; x is (..., n_in), the result (..., n_out)."""
        x = as_operand(x)
        if not x.shape or x.shape[-1] != self.n_in:
            raise ValueError(
                f"Linear({self.n_in} -> {self.n_out}): x is {x.shape}; expected (..., {self.n_in}): "
                "the last axis holds the inputs"
            )
        y = x @ self.weight
        return y if self.bias is None else y + self.bias

    def __repr__(self) -> str:
        size = size_of(self.weight, self.bias)
        note = "" if self.bias is not None else "no bias, "
        return f"Linear({self.n_in} -> {self.n_out}, {note}{size:,} parameters, {self.weight.dtype})"
