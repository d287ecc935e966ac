"""What layers check in the arguments they are made with, and in what they are called with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from chainrule.primitives import as_array
from chainrule.value import Value

__all__ = ["as_operand", "at_least", "channels", "floating", "last", "per_axis", "size_of", "times"]


def at_least(least: int, number: object, owner: str, name: str) -> int:
    """A whole number of at least so much."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise TypeError(f"{owner}: {name} is {number!r}; expected an integer")
    if number < least:
        raise ValueError(f"{owner}: {name} is {number}; expected at least {least}")
    return int(number)


def per_axis(n: int, x: Any, owner: str, name: str, least: int = 1) -> tuple[int, ...]:
    """One whole number for each of n spatial axes; a single one holds for all."""
    if not isinstance(x, tuple | list):
        return (at_least(least, x, owner, name),) * n
    if len(x) != n:
        raise ValueError(f"{owner}: {name} is {x!r}; expected one integer, or {n}")
    return tuple([at_least(least, i, owner, name) for i in x])


def floating(dtype: DTypeLike, owner: str) -> np.dtype[Any]:
    """The dtype of parameters."""
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"{owner}: dtype is {dtype}; expected a floating one such as float32 or float64")
    return dtype


def as_operand(x: Any) -> Any:
    """A Value as it is and anything else as an array: both have shape, dtype and ndim."""
    if type(x) is Value:
        return x
    x = as_array(x)
    if x.dtype.kind not in "biufc":
        raise TypeError(
            f"an argument is of dtype {x.dtype}; expected numbers: x.astype(float) may make some, "
            "np.unique(labels, return_inverse=True)[1] numbers classes that have names"
        )
    return x


def channels(x: Any, count: int, axes: str, owner: str) -> Any:
    """Images of so many channels, as an operand; ``axes`` names the spatial ones, such as "HW"."""
    x = as_operand(x)
    if x.ndim != len(axes) + 2 or x.shape[1] != count:
        raise ValueError(f"{owner}: expected (N, {count}, {', '.join(axes)}), got {x.shape}")
    return x


def size_of(*parameters: Any) -> int:
    """How many numbers parameters hold; None holds none."""
    return sum(int(p.size) for p in parameters if p is not None)


def times(sizes: Sequence[int] | str) -> str:
    """Show sizes, as in 3×3; a word as it is."""
    return sizes if isinstance(sizes, str) else "×".join(map(str, sizes))


def last(x: Any, shape: Sequence[int], owner: str) -> Any:
    """An operand whose last axes have this shape."""
    x = as_operand(x)
    shape = tuple(shape)
    if x.shape[x.ndim - len(shape) :] != shape or x.ndim < len(shape):
        raise ValueError(f"{owner}: expected (..., {', '.join(map(str, shape))}), got {x.shape}")
    return x
