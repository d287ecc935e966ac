"""In-place operators on traced arrays, and assignments, which are refused.

In NumPy ``h += y`` changes an array, and with it whatever shares its memory. A node of a program cannot
change: the operator makes another one, which the name in front of it gets. That comes to the same as long
as nobody uses the array under another name, or a view of it. So those are marked (`Changed`), and refused
when they are used. What the caller of the function would see change is refused at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.native.operations import cast
from chainrule.native.ufuncs import apply_ufunc
from chainrule.traced import Changed, Traced, TracedError, current_trace, where_in_user_code
from chainrule.value import Value

__all__ = ["OPERATORS", "in_place", "not_written"]

OPERATORS = {
    "add": ("+", np.add), "sub": ("-", np.subtract), "mul": ("*", np.multiply), "truediv": ("/", np.divide),
    "floordiv": ("//", np.floor_divide), "mod": ("%", np.remainder), "pow": ("**", np.power),
    "matmul": ("@", np.matmul), "and": ("&", np.bitwise_and), "or": ("|", np.bitwise_or),
    "xor": ("^", np.bitwise_xor), "lshift": ("<<", np.left_shift), "rshift": (">>", np.right_shift),
}  # fmt: skip


def in_place(symbol: str, ufunc: np.ufunc, operator: Any) -> Any:
    """The method behind ``x += y``, of what is behind ``x + y``: it gives the name ``x`` another node."""

    def method(self: Traced, other: Any) -> Any:
        if not self.shape:  # a number, which in NumPy too is not changed
            made = operator(self, other)
            if made is not NotImplemented:
                made.origin.grown[made] = self
            return made
        if type(other) is Value:
            raise TypeError(
                f"{symbol}=: a plain array is on its left, which cannot hold a Value's derivative; "
                f"write a = a {symbol} v for a {symbol}= v"
            )
        made = apply_ufunc(ufunc, self, other)
        if made.shape != self.shape:
            raise ValueError(
                f"{symbol}=: the result has shape {made.shape}, expected that of the array on the left, "
                f"{self.shape}; write x = x {symbol} y, which makes a new array"
            )
        if not np.can_cast(made.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"{symbol}=: the result is {made.dtype}, which the array on the left, of {self.dtype}, "
                f"cannot hold; write x = x {symbol} y, which makes a new array"
            )
        made = cast(made, self.dtype)
        _mark(self, symbol)
        made.origin.grown[made] = made.origin.grown.get(self, self)
        return made

    return method


def _mark(x: Traced, symbol: str) -> None:
    """Mark ``x`` and what shares its memory as changed."""
    trace = current_trace()
    assert trace is not None
    base = trace.views.get(x, x)
    if x.origin is not trace or base.op == "input":
        whose = "an argument of the function" if x.origin is trace else "from outside of the loop or branch"
        raise TracedError(
            f"{where_in_user_code()}: {symbol}= on a traced array that is {whose}, or a view of one: "
            "NumPy would change it for all who have it, a compiled function does not; write "
            f"x = x {symbol} y, which makes a new array"
        )
    changed: Any = Changed(where_in_user_code())
    for y in (x, base, *[v for v, b in trace.views.items() if b is base]):
        if y.shape:
            y.origin = changed
            if y in trace.owed:
                trace.owed[y] = True


def not_written(what: str, remedy: str) -> TracedError:
    """The error for what writes into an array: ``out=``, and functions that change an argument."""
    return TracedError(
        f"{where_in_user_code()}: {what}: a traced array is not written into, and a plain array cannot hold "
        f"traced values; {remedy}"
    )
