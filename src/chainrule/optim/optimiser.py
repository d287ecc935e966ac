"""Optimiser: the base of every update rule.

A rule keeps, for each parameter, a few arrays of its own (a velocity, running moments).  They are Values
like the parameters themselves: whoever looks at what a training step reads and writes finds parameters and
optimiser state in the same form.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["Optimiser"]


class Optimiser:
    """Base of the update rules: the parameters, the learning rate, `step` and `zero_grad`.

    A subclass makes its state in ``__init__`` and writes `update`.

    Parameters
    ----------
    params : iterable of Value
        What to train, usually ``model.parameters()``.  A Value that is there twice is updated once.
    lr : float
        Learning rate, zero or more; may be reassigned between steps, and within a compiled one.

    Raises
    ------
    TypeError
        If params is not an iterable of leaf Values, or a number is not a number.
    ValueError
        If params is empty, or a number is out of its range.
    """

    def __init__(self, params: Iterable[Value], lr: float) -> None:
        self.parameters = self._leaves(params)
        self._lr = Value(0.0, name="lr")
        self.lr = lr

    @property
    def lr(self) -> float:
        """Learning rate of the next step; a number, which a compiled step reads anew at each call."""
        return self._lr._current()  # type: ignore[no-any-return]

    @lr.setter
    def lr(self, lr: float) -> None:
        if not isinstance(lr, Traced):  # this has no number yet to be looked at
            lr = self._number("lr", lr, "zero or more; to ascend, negate the loss", lambda lr: lr >= 0)
        self._lr.data = lr

    def step(self) -> None:
        """Move every parameter once, against its gradient.

        A parameter that has no gradient - no `backward` has reached it since `zero_grad` - stays as it is,
        and so does its state.
        """
        for index, parameter in enumerate(self.parameters):
            gradient = parameter._gradient
            if gradient is not None:
                self.update(index, parameter, gradient)

    def update(self, index: int, parameter: Value, gradient: Any) -> None:
        """Give one parameter new data; `gradient` has its shape and dtype."""
        raise NotImplementedError(f"{type(self).__name__}: update is not defined")

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next `backward` starts from none instead of adding to them."""
        for parameter in self.parameters:
            parameter.grad = None

    def _zeros(self) -> list[Value]:
        """Make one Value of zeros per parameter, of its shape and dtype."""
        return [Value(0.0 if type(p._data) is float else np.zeros(p.shape, p.dtype)) for p in self.parameters]

    def _leaves(self, params: Iterable[Value]) -> list[Value]:
        name = type(self).__name__
        if isinstance(params, Value) or not isinstance(params, Iterable):
            hint = "model.parameters()" if hasattr(params, "parameters") else "a list of Values"
            raise TypeError(f"{name}: params is a {type(params).__name__}; expected {hint}")
        found: dict[int, Value] = {}
        for i, parameter in enumerate(params):
            if not isinstance(parameter, Value):
                raise TypeError(
                    f"{name}: params[{i}] is a {type(parameter).__name__}; expected a Value: "
                    "wrap what is to be trained in Value(...)"
                )
            if parameter.primitive is not None:
                raise TypeError(
                    f"{name}: params[{i}] is the result of an operation; expected leaf Values, which no "
                    "operation made: pass the Values it was computed from"
                )
            found[id(parameter)] = parameter
        if not found:
            raise ValueError(
                f"{name}: params is empty; expected at least one Value, as from model.parameters()"
            )
        return list(found.values())

    def _number(self, argument: str, number: Any, expected: str, holds: Any) -> float:
        """Return `number` as a float if it is one and `holds`, or say what was expected."""
        name = type(self).__name__
        if isinstance(number, bool | str) or not isinstance(number, int | float | np.floating | np.integer):
            raise TypeError(f"{name}: {argument} is {number!r}; expected a number, {expected}")
        if not (math.isfinite(number) and holds(number)):
            raise ValueError(f"{name}: {argument} is {number}; expected {expected}")
        return float(number)

    def __repr__(self) -> str:
        size = sum(p.size for p in self.parameters)
        settings = ", ".join(f"{key}={getattr(self, key)}" for key in self._settings)
        return f"{type(self).__name__}({len(self.parameters)} Values, {size:,} numbers, {settings})"

    _settings: tuple[str, ...] = ("lr",)
