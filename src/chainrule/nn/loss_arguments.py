"""What losses check in their arguments, and how they end: in a mean, a sum or neither."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.primitives import as_array
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["check_same", "known", "raw_array", "reduced", "sample", "within"]


def reduced(terms: Any, reduction: str, owner: str) -> Any:
    """The mean of terms, their sum, or all of them."""
    if reduction == "mean":
        if not terms.size:
            raise ValueError(f"{owner}: there are no samples to take the mean of; expected at least one")
        return np.mean(terms)
    if reduction == "sum":
        return np.sum(terms)
    if reduction == "none":
        return terms
    raise ValueError(f"{owner}: reduction is {reduction!r}; expected 'mean', 'sum' or 'none'")


def raw_array(x: Any) -> NDArray[Any]:
    """The numbers of a Value or of anything that is an array."""
    return as_array(x.data if isinstance(x, Value) else x)  # type: ignore[no-any-return]


def known(found: Any) -> bool:
    """Whether there are numbers to check: not while a function is compiled."""
    return type(found) is not Traced


def within(index: Any, count: int) -> Any:
    """Numbers to pick by, of which a compiled function too refuses those below zero.

    It sees no numbers to check, and NumPy counts such ones from the end: they become one beyond it.
    """
    if known(index) or index.dtype.kind != "i":
        return index
    index = index.astype(np.int64)
    return np.where(index < 0, count, index)


def sample(found: NDArray[Any]) -> str:
    """Show the first of the offending numbers, and how many more there are."""
    return f"{found.flat[0]}" + (f" and {found.size - 1} more such" if found.size > 1 else "")


def check_same(name: str, a: str, a_shape: tuple[int, ...], b: str, b_shape: tuple[int, ...]) -> None:
    """Two shapes that must be the same."""
    if a_shape == b_shape:
        return
    hint = ""
    if a_shape == (*b_shape, 1):
        hint = f"; drop the last axis: {a}[..., 0]"
    elif b_shape == (*a_shape, 1):
        hint = f"; drop the last axis: {b}[..., 0]"
    raise ValueError(f"{name}: {a} is {a_shape}, {b} is {b_shape}; expected the same shape{hint}")
