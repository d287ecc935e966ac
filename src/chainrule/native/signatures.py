"""Signatures: what of an argument a program depends on."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.native.operations import leaked
from chainrule.traced import Traced
from chainrule.value import Cell, Value

__all__ = ["Unfit", "in_words", "signature_of"]


class Unfit(TypeError):
    """What an argument is, that cannot be one, and what to do."""

    def __init__(self, leaf: Any, what: str) -> None:
        super().__init__(what)
        self.leaf = leaf


def signature_of(x: Any) -> Any:
    """What of an argument the program depends on."""
    kind = type(x)
    if kind is np.ndarray:
        if x.dtype.kind not in "fciub":
            raise Unfit(
                x, f"an array of {x.dtype}, expected numbers; convert it, or close over it if it is constant"
            )
        return x.dtype, x.shape
    if kind is float or kind is int or kind is bool or kind is complex:
        return kind
    if kind is Value:
        return Value, type(x._raw) is float or type(x._raw) is Cell, x.dtype, x.shape
    if isinstance(x, np.generic):
        return kind
    if x is None or isinstance(x, str):
        return x
    if isinstance(x, np.random.Generator):
        return np.random.Generator
    if kind is Traced:
        raise leaked("calling a compiled function")
    if isinstance(x, np.ndarray):  # whose operators may mean something else, and which may hide numbers
        remedy = "pass np.asarray(x), and a mask beside it"
        raise Unfit(x, f"a {kind.__name__}, expected an array of no subclass; {remedy}")
    slotted = "__slots__" in vars(kind) and not hasattr(x, "__dict__")
    raise Unfit(
        x,
        f"a {kind.__name__}, expected arrays, numbers, Values, strings, None, random generators or "
        f"dataclasses and containers of them; {'add __dict__ to its __slots__, or ' * slotted}name it in "
        "static_argnums if it is a constant",
    )


def in_words(signature: Any) -> str:
    """A signature as warnings name it."""
    if type(signature) is not tuple:
        return f"a {signature.__name__}" if isinstance(signature, type) else repr(signature)
    dtype, shape = signature[-2:]
    return f"{'a Value of ' if signature[0] is Value else ''}{dtype} {shape}"
