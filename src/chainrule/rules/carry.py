"""What goes from step to step of a loop: which leaves can, whether they stay of one kind, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.primitives import fit
from chainrule.recording import kind_of
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["Stack", "conform", "describe", "differentiable", "restored", "sort_of", "truth"]


def sort_of(x: Any) -> tuple[tuple[int, ...], np.dtype[Any], bool] | None:
    """Shape, dtype, and whether it is a Python number; None if it is no number or array."""
    if type(x) is Traced:
        return x.shape, x.dtype, x.weak
    if isinstance(x, bool | int | float | complex) and not isinstance(x, np.generic):
        return (), np.dtype(type(x)), True
    if isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fciub":
        return x.shape, x.dtype, False
    return None


def differentiable(x: Any) -> bool:
    """Whether raw data has a derivative."""
    sort = sort_of(x)
    return sort is not None and sort[1].kind in "fc"


def describe(x: Any) -> str:
    """What raw data is, for an error."""
    sort = sort_of(x)
    if sort is None:
        return f"an array of {x.dtype}" if isinstance(x, np.ndarray) else kind_of(x)
    shape, dtype, weak = sort
    if weak:
        return f"a Python {'int' if dtype.kind == 'i' else dtype.type.__name__.rstrip('_0123456789')}"
    return f"{dtype} of shape {shape}" if shape else f"a scalar of {dtype}"


def conform(name: str, label: str, got: Any, like: Any) -> Any:
    """What a step returned, as the next one begins with it; an error if that cannot be."""
    if type(got) is type(like) is np.ndarray and got.shape == like.shape and got.dtype == like.dtype:
        return got
    a, b = sort_of(got), sort_of(like)
    if a == b and a is not None:
        return got
    if a is None or b is None or a[:2] != b[:2]:
        raise TypeError(
            f"{name}: {label} starts as {describe(like)} and the step returned {describe(got)}, expected the "
            f"same shape and dtype; {_remedy(a, b)}"
        )
    # A Python number and a scalar of its dtype stand for each other.
    if type(got) is Traced or type(like) is Traced:
        from chainrule.native.operations import cast  # loaded already: it made what is traced

        return cast(got, b[1], b[2])
    return got.item() if b[2] else b[1].type(got)


def _remedy(a: Any, b: Any) -> str:
    if a is None or b is None:
        return "a carry is made of numbers and arrays"
    (shape, dtype, weak), (want, kind, number) = a, b
    if number and shape:
        return f"start with an array, for instance np.zeros({shape}, np.{dtype})"
    if number and weak:
        return f"start with {'0.0' if dtype.kind == 'f' else '0j' if dtype.kind == 'c' else '0'}"
    if number:
        return f"start with an array, for instance np.array(0, np.{dtype})"
    if shape != want:
        return "return it in the shape it had, or start with one it keeps (np.broadcast_to, np.zeros)"
    return f"return it .astype(np.{kind}), or start with {dtype}"


def restored(x: Any, like: Any) -> Any:
    """An entry of stacked carries, as its step began with it: a Python number if that was one."""
    if type(x) is not Value:
        return conform("scan", "a carry", x, like)
    return fit(x, like) if sort_of(like)[2] else x  # type: ignore[index]


def truth(name: str, what: str, x: Any) -> Any:
    """A condition, which must be one boolean."""
    if type(x) is Value:
        raise TypeError(f"{name}: the {what} is a Value, expected a boolean; compare it (v > 0)")
    sort = sort_of(x)
    if sort is None or sort[0] != () or sort[1] != np.bool_:
        raise TypeError(
            f"{name}: the {what} is {describe(x)}, expected one boolean; compare numbers (x > 0), and reduce "
            "an array with np.all or np.any"
        )
    return x if type(x) is Traced else bool(x)


class Stack:
    """One thing of every step, in one array."""

    def __init__(self, name: str, label: str, length: int) -> None:
        self.name, self.label, self.length = name, label, length
        self.array: Any = None

    def put(self, i: int, x: Any) -> None:
        a = self.array
        if a is None:
            sort = sort_of(x)
            if sort is None:
                raise TypeError(f"{self.name}: {self.label} is {describe(x)}, expected a number or an array")
            a = self.array = np.empty((self.length, *sort[0]), sort[1])
        elif np.shape(x) != a.shape[1:] or (type(x) is np.ndarray and x.dtype != a.dtype):
            raise TypeError(
                f"{self.name}: {self.label} is {describe(x)} at step {i}, expected {a.dtype} of shape "
                f"{a.shape[1:]}, as at the steps before; return the same kind at every step"
            )
        a[i] = x
