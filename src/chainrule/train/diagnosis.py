"""Where a number that is none came from, told for a training step; `chainrule.explain_nan` finds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.nn.module import Module
from chainrule.nonfinite import NonFinite, find, finite, first_entry, operands_in_brief

__all__ = ["NonFiniteLoss", "first_nonfinite", "first_nonfinite_gradient"]


class NonFiniteLoss(ArithmeticError):
    """A loss or a gradient that is nan or infinite; names the first operation that made such a number."""


def first_nonfinite(model: Module, value: Callable[[Sequence[Any]], Any], batch: Sequence[Any]) -> str:
    """Run the loss once more, eagerly, and name the first operation that made nan or infinity.

    Parameters
    ----------
    model : Module
    value : callable
        ``value(batch)``, the loss.
    batch : sequence of arrays
    """
    for i, x in enumerate(batch):
        if not finite(x):
            return f"array {i} of the batch holds {first_entry(x)[0]}; clean the data"
    for path, p in model.named_parameters():
        if not finite(p):
            return f"the parameter {path} holds {first_entry(p)[0]}"
    found = find(lambda: value(batch))
    if not found or found.phase != "forward":
        return "it is finite in eager arithmetic; the numbers are at the edge of what their dtype can hold"
    if found.operation is None:
        return str(found)
    where = f" in {found.module.partition(':')[0]}" if found.module else " after the model"
    operands = operands_in_brief(found.operands)
    made = f"the first operation to give {found.number} is {found.operation}{where}"
    return f"{made}, of {operands}{_line(found)}"


def first_nonfinite_gradient(value: Callable[[Sequence[Any]], Any], batch: Sequence[Any]) -> str:
    """Run loss and backward sweep once more, eagerly, and name the first operation that spoilt a gradient.

    It is one whose own gradient is finite and that of an operand is not, such as a root at zero.
    """
    found = find(lambda: value(batch))
    if found.origin is None:
        return ""
    shown = operands_in_brief(found.origin.args)
    return f": {found.derivative_of[-1]} has no finite derivative somewhere on {shown}{_line(found)}"


def _line(found: NonFinite) -> str:
    return f"; {found.file}, line {found.line}, in {found.function}" if found.file else ""

