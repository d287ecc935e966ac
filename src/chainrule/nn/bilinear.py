"""Bilinear: every pair of inputs has a weight, yₒ = x₁ᵀ Aₒ x₂ + bₒ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from chainrule.nn.arguments import at_least, floating, last, size_of
from chainrule.nn.module import Module
from chainrule.value import Value

__all__ = ["Bilinear"]


class Bilinear(Module):
    """Bilinear layer: yₒ = Σᵢⱼ x₁ᵢ Aₒᵢⱼ x₂ⱼ + bₒ.

    Shapes: x1 is (..., in1_features), x2 (..., in2_features), y (..., out_features).

    Parameters
    ----------
    in1_features, in2_features, out_features : int
    bias : bool
    rng : numpy.random.Generator or int, optional
        Where the initial weights come from: uniform in ±1/√in1_features.
    dtype : dtype
        Of the parameters; see `Linear`.

    Attributes
    ----------
    weight : Value
        A, (out_features, in1_features, in2_features).
    bias : Value or None
        (out_features,).

    Raises
    ------
    ValueError
        When called, if the last axes are others, or the axes before differ.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.Bilinear(3, 4, 2, rng=0)
    >>> layer(np.ones((5, 3)), np.ones((5, 4))).shape
    (5, 2)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        *,
        bias: bool = True,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.in1_features = at_least(1, in1_features, "Bilinear", "in1_features")
        self.in2_features = at_least(1, in2_features, "Bilinear", "in2_features")
        self.out_features = at_least(1, out_features, "Bilinear", "out_features")
        dtype, rng = floating(dtype, "Bilinear"), np.random.default_rng(rng)
        shape = self.out_features, self.in1_features, self.in2_features
        reach = self.in1_features**-0.5
        self.weight = Value(rng.uniform(-reach, reach, shape).astype(dtype))
        self.bias = Value(rng.uniform(-reach, reach, self.out_features).astype(dtype)) if bias else None

    def forward(self, x1: Any, x2: Any) -> Any:
        """Compute x₁ᵀ A x₂ + b."""
        o, i, j = self.weight.shape
        x1, x2 = last(x1, (i,), "Bilinear: x1"), last(x2, (j,), "Bilinear: x2")
        if x1.shape[:-1] != x2.shape[:-1]:
            raise ValueError(f"Bilinear: x1 is {x1.shape}, x2 is {x2.shape}; expected the same leading axes")
        h = x2 @ self.weight.reshape(o * i, j).T  # (..., O·I)
        y = np.sum(h.reshape((*x1.shape[:-1], o, i)) * x1.reshape((*x1.shape[:-1], 1, i)), axis=-1)
        return y if self.bias is None else y + self.bias

    def __repr__(self) -> str:
        size = size_of(self.weight, self.bias)
        return (
            f"Bilinear({self.in1_features}, {self.in2_features} -> {self.out_features}, {size:,} parameters, "
            f"{self.weight.dtype})"
        )
