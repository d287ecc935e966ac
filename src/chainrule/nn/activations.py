"""Activations: as modules, and by name with the initial weights that suit them.

The functions are the package's own (`chainrule.relu`, `numpy.tanh`, ...); this file makes modules of them,
for `Sequential`, and says which name means which, so that ``MLP([2, 8, 1], activation="tanh")`` can be typed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule import relu, sigmoid, softplus
from chainrule.nn.arguments import as_operand
from chainrule.nn.initialisers import Initialiser, glorot_uniform, he_normal
from chainrule.nn.module import Module

__all__ = [
    "ACTIVATIONS", "ELU", "GELU", "Identity", "LeakyReLU", "LogSoftmax", "ReLU", "SELU", "SiLU", "Sigmoid",
    "Softmax", "Softplus", "Tanh", "activation_and_initialiser",
]  # fmt: skip


class _Activation(Module):
    """A function of one array; its repr shows the attributes, which are the function's other arguments."""

    def __repr__(self) -> str:
        own = {k: v for k, v in vars(self).items() if not k.startswith("_") and k != "training"}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in own.items())})"


class Identity(_Activation):
    """y = x."""

    def forward(self, x: Any) -> Any:
        """Return x."""
        return as_operand(x)


class ReLU(_Activation):
    """y = max(x, 0); at 0 the derivative is 0.

    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def forward(self, x: Any) -> Any:
        """Compute `chainrule.relu`."""
        return fn.relu(x)


class LeakyReLU(_Activation):
    """y = x where x > 0, else ``negative_slope`` · x; at 0 the derivative is the slope."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        """Compute `chainrule.leaky_relu`."""
        return fn.leaky_relu(x, self.negative_slope)


class ELU(_Activation):
    """y = x where x > 0, else ``alpha`` · (exp(x) - 1); at 0 the derivative is alpha."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        """Compute `chainrule.elu`."""
        return fn.elu(x, self.alpha)


class SELU(_Activation):
    """y = 1.0507 · elu(x, 1.6733), which keeps mean 0 and variance 1; see `chainrule.selu`."""

    def forward(self, x: Any) -> Any:
        """Compute `chainrule.selu`."""
        return fn.selu(x)


class GELU(_Activation):
    """y = x Φ(x), Φ the normal distribution function.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        "none" is exact, by erf; "tanh" is quicker and off by at most 5e-4.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.GELU()
    GELU(approximate='none')
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate is {approximate!r}, expected 'none' or 'tanh'")
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        """Compute `chainrule.gelu`."""
        return fn.gelu(x, self.approximate)


class SiLU(_Activation):
    """y = x sigmoid(x), also called swish."""

    def forward(self, x: Any) -> Any:
        """Compute `chainrule.silu`."""
        return fn.silu(x)


class Tanh(_Activation):
    """y = tanh(x)."""

    def forward(self, x: Any) -> Any:
        """Compute `numpy.tanh`."""
        return np.tanh(as_operand(x))


class Sigmoid(_Activation):
    """y = 1 / (1 + exp(-x))."""

    def forward(self, x: Any) -> Any:
        """Compute `chainrule.sigmoid`."""
        return fn.sigmoid(x)


class Softplus(_Activation):
    """y = log(1 + exp(x))."""

    def forward(self, x: Any) -> Any:
        """Compute `chainrule.softplus`."""
        return fn.softplus(x)


class Softmax(_Activation):
    """y = exp(x) / Σ exp(x) along the axis ``dim``; a row of -inf alone gives zeros."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        """Compute `chainrule.softmax`."""
        return fn.softmax(x, self.dim)


class LogSoftmax(_Activation):
    """y = x - log Σ exp(x) along the axis ``dim``."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        """Compute `chainrule.log_softmax`."""
        return fn.log_softmax(x, self.dim)


def identity(x: Any) -> Any:
    """Return x itself: the activation of a linear network."""
    return x


# name: (function, initialiser of the weights in front of it)
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Initialiser]] = {
    "relu": (relu, he_normal),
    "leaky_relu": (fn.leaky_relu, he_normal),
    "elu": (fn.elu, he_normal),
    "gelu": (fn.gelu, he_normal),
    "silu": (fn.silu, he_normal),
    "softplus": (softplus, he_normal),  # relu with its kink rounded off
    "tanh": (np.tanh, glorot_uniform),
    "sigmoid": (sigmoid, glorot_uniform),
    "identity": (identity, glorot_uniform),
}


def activation_and_initialiser(
    activation: str | Callable[[Any], Any], owner: str
) -> tuple[Callable[[Any], Any], Initialiser]:
    """Look an activation up by its name, or take a function as it is.

    Parameters
    ----------
    activation : str or callable
        A name from `ACTIVATIONS`, or any function of one Value; a function nobody named here gets Glorot's
        weights.
    owner : str
        Who asks; the first word of the error.

    Raises
    ------
    ValueError
        For a name that is not in the table.
    TypeError
        For something that is neither a name nor callable.
    """
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"{owner}: activation is {activation!r}; expected one of "
                f"{', '.join(map(repr, ACTIVATIONS))}, "
                "or a function of one Value such as np.sin"
            )
        return ACTIVATIONS[activation]
    if callable(activation):
        return activation, next(
            (init for function, init in ACTIVATIONS.values() if function is activation), glorot_uniform
        )
    raise TypeError(
        f"{owner}: activation is a {type(activation).__name__}; expected a name such as 'relu', "
        "or a function of one Value such as np.tanh"
    )
