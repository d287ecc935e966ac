"""MLP: linear layers with an activation between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from chainrule.nn.activations import activation_and_initialiser
from chainrule.nn.initialisers import Initialiser, glorot_uniform
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.value import Value

__all__ = ["MLP"]


class MLP(Module):
    """Multi-layer perceptron: h = φ(h W + b) for each layer but the last, which stays linear.

    Shapes: x is (..., sizes[0]), the result (..., sizes[-1]).

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, the widths of the hidden layers, the number of outputs: at least two numbers.
    activation : str or callable
        φ: "relu", "tanh", "sigmoid", "softplus", "identity", or a function of one Value.  It also picks the
        initial weights of the hidden layers: He's for relu and softplus, Glorot's otherwise.
    bias : bool
        Whether the layers have biases.
    rng : numpy.random.Generator or int, optional
        Where the initial weights come from; the same seed gives the same network.
    dtype : dtype
        Of the parameters; see `Linear` for what it means for the computation.
    initialiser : callable, optional
        ``initialiser(rng, n_in, n_out, dtype)`` gives the weights of every layer instead.

    Raises
    ------
    ValueError
        For fewer than two sizes, a size below 1, or an unknown activation.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> model = nn.MLP([64, 32, 10], activation="relu", rng=0)
    >>> model
    MLP(64 -> 32 -> 10, relu, 2,410 parameters, float64)
    >>> model(np.zeros((5, 64))).shape
    (5, 10)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Callable[[Any], Any] = "relu",
        *,
        bias: bool = True,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
        initialiser: Initialiser | None = None,
    ) -> None:
        if not isinstance(sizes, Sequence | np.ndarray) or len(sizes) < 2:
            raise ValueError(
                f"MLP: sizes is {sizes!r}; expected at least two numbers, inputs first and outputs last, "
                "such as [64, 32, 10]"
            )
        self.activation, hidden = activation_and_initialiser(activation, "MLP")
        rng = np.random.default_rng(rng)
        last = len(sizes) - 2
        self.layers = [
            Linear(
                n_in,
                n_out,
                bias=bias,
                rng=rng,
                dtype=dtype,
                # The output layer has no activation behind it, so relu's factor 2 would only inflate it.
                initialiser=initialiser or (glorot_uniform if i == last else hidden),
            )
            for i, (n_in, n_out) in enumerate(pairwise(sizes))
        ]

    def forward(self, x: Value | ArrayLike) -> Any:
        """Compute the network's output; x is (..., n_in), the result (..., n_out)."""
        *hidden, output = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return output(x)

    def __repr__(self) -> str:
        sizes = " -> ".join(str(n) for n in [self.layers[0].n_in, *(layer.n_out for layer in self.layers)])
        size = sum(p.size for p in self.parameters())
        name = getattr(self.activation, "__name__", repr(self.activation))
        return f"MLP({sizes}, {name}, {size:,} parameters, {self.layers[0].weight.dtype})"
