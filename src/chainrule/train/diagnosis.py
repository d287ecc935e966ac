"""Where a number that is none came from: the first operation with finite operands whose result is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.graph import order
from chainrule.nn.messages import watch
from chainrule.nn.module import Module
from chainrule.primitive import as_array
from chainrule.value import Value

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
        if not _finite(x):
            return f"array {i} of the batch holds {_first(x)}; clean the data"
    for path, p in model.named_parameters():
        if not _finite(p.data):
            return f"the parameter {path} holds {_first(p.data)}"
    with np.errstate(all="ignore"), watch(model) as seen:
        out = value(batch)
    found = next(
        (
            path
            for path, calls in reversed(list(seen.calls.items()))  # those inside before those around
            for call in calls
            if not _finite(call.outputs) and _finite(call.inputs)
        ),
        None,
    )
    call = seen[found] if found is not None else None
    recording = None if call is None else call.recording
    roots = [out] if recording is None else recording.outputs
    for node in order([v for v in roots if type(v) is Value]):
        if node.primitive is not None and not _finite(node._data) and all(map(_finite, node.args)):
            operands = ", ".join(_range(a) for a in node.args)
            where = f" in {found or type(model).__name__}" if found is not None else " after the model"
            made = f"the first operation to give {_first(node._data)} is {node.primitive.name}"
            return f"{made}{where}, of {operands}"
    return "it is finite in eager arithmetic; the numbers are at the edge of what their dtype can hold"


def first_nonfinite_gradient(value: Callable[[Sequence[Any]], Any], batch: Sequence[Any]) -> str:
    """Run loss and backward sweep once more, eagerly, and name the first operation that spoilt a gradient.

    It is one whose own gradient is finite and that of an operand is not, such as a root at zero.
    """
    with np.errstate(all="ignore"):
        out = value(batch)
        out.backward()
    for node in reversed(order([out])):
        if node.primitive is None or node.grad is None or not _finite(node.grad):
            continue
        operands = [a for a in node.inputs if type(a) is Value and a.grad is not None]
        if not all(_finite(a.grad) for a in operands):
            shown = ", ".join(_range(a) for a in node.args)
            return f": {node.primitive.name} has no finite derivative somewhere on {shown}"
    return ""


def _finite(x: Any) -> bool:
    if isinstance(x, tuple | list):
        return all(map(_finite, x))
    a = as_array(x.data if type(x) is Value else x)
    return a.dtype.kind not in "fc" or bool(np.all(np.isfinite(a)))


def _first(x: Any) -> str:
    a = np.asarray(x.data if type(x) is Value else x)
    return str(a[~np.isfinite(a)].flat[0]) if a.ndim else str(a)


def _range(x: Any) -> str:
    a = np.asarray(x)
    if not a.size or a.dtype.kind not in "fiu":
        return f"{a.dtype} {a.shape}"
    return f"{a.item():.4g}" if not a.ndim else f"{a.dtype} {a.shape} from {a.min():.4g} to {a.max():.4g}"
