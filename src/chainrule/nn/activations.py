"""Activations by name: the function, and the initial weights that suit it.

The functions are the package's own (`chainrule.relu`, `numpy.tanh`, ...); this file only says which name
means which, so that ``MLP([2, 8, 1], activation="tanh")`` can be typed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import relu, sigmoid, softplus
from chainrule.nn.initialisers import Initialiser, glorot_uniform, he_normal

__all__ = ["ACTIVATIONS", "activation_and_initialiser"]


def identity(x: Any) -> Any:
    """Return x itself: the activation of a linear network."""
    return x


# name: (function, initialiser of the weights in front of it)
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Initialiser]] = {
    "relu": (relu, he_normal),
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
