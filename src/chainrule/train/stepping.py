"""A step of training in two halves, so that a loss that is no number changes nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np

import chainrule.optim as optim
from chainrule.nn.module import Module
from chainrule.optim.clipping import sum_of_squares
from chainrule.traced import TracedError
from chainrule.train.diagnosis import first_nonfinite, first_nonfinite_gradient
from chainrule.value import Value, data

__all__ = ["Stepper"]


class Stepper:
    """One step in two halves, compiled where it can be: gradients, and an update if the loss is a number.

    Parameters
    ----------
    model : Module
    loss : callable
        ``loss(outputs, targets)``.
    optimiser : Optimiser
    clip_norm : float or None
    compile : bool or None
        As for `chainrule.train.fit`.

    Attributes
    ----------
    compiled : bool
        Whether steps are compiled by now.
    """

    def __init__(
        self,
        model: Module,
        loss: Callable[..., Any],
        optimiser: Any,
        clip_norm: float | None,
        compile: bool | None,
    ) -> None:
        self.model, self.loss, self.optimiser, self.clip_norm = model, loss, optimiser, clip_norm
        self.may_fall_back = compile is None
        self.buffers = [v for path, v in model.named_buffers()]
        self._gradients: Callable[..., Any] = self._run_gradients
        self._update: Callable[[], Any] = self._run_update
        self.compiled = False
        if compile is not False:
            self._compile(required=compile is True)

    def _compile(self, required: bool) -> None:
        try:
            import llvmlite  # noqa: F401
            import scipy.linalg  # noqa: F401
        except ImportError:
            if not required:
                return
        from chainrule.native.compile import compile

        self._gradients, self._update = compile(self._run_gradients), compile(self._run_update)
        self.compiled = True

    def _run_gradients(self, *batch: Any) -> Any:
        self.optimiser.zero_grad()
        value = self.value(batch)
        if not isinstance(value, Value):
            raise TypeError(
                f"fit: loss returned a {type(value).__name__}; expected a Value of one number, computed from "
                "the model's outputs with NumPy or chainrule.nn, not from their .data"
            )
        value.backward()
        # One number tells whether any gradient is none, without a look at each of them in Python.
        found = [p._gradient for p in self.optimiser.parameters]
        return value, sum((sum_of_squares(g) for g in found if g is not None), 0.0)

    def value(self, batch: Sequence[Any]) -> Any:
        """The loss of a batch."""
        inputs, targets = (batch[:-1], batch[-1:]) if len(batch) > 1 else (batch, ())
        return self.loss(self.model(*inputs), *targets)

    def _run_update(self) -> None:
        if self.clip_norm is not None:
            optim.clip_grad_norm(self.optimiser.parameters, self.clip_norm)
        self.optimiser.step()

    def gradients(self, batch: Any) -> tuple[float, bool]:
        """Leave the gradients with the parameters; the loss, and whether it and they are numbers."""
        batch = batch if isinstance(batch, tuple | list) else (batch,)
        self.before = [np.array(v.data) for v in self.buffers]
        with np.errstate(all="ignore"):  # whoever asked for the loss looks whether it is a number
            try:
                value, squares = self._gradients(*batch)
            except TracedError as error:
                if not (self.compiled and self.may_fall_back):
                    raise
                warnings.warn(f"fit: the model is not compiled: {error}", stacklevel=4)
                self._gradients, self._update, self.compiled = self._run_gradients, self._run_update, False
                value, squares = self._gradients(*batch)
            except IndexError:  # a label or a number to look up: eager layers and losses say which
                if self.compiled:
                    try:
                        self.value(batch)
                    finally:
                        self.undo()
                raise
        found = float(data(value))
        # Squares of finite gradients may overflow, which is no reason to leave out a step.
        return found, isfinite(found) and (isfinite(squares) or not self._spoilt())

    def update(self) -> None:
        """The optimiser's step."""
        self._update()

    def undo(self) -> None:
        """What a batch with a loss that is no number has left behind."""
        for v, a in zip(self.buffers, self.before, strict=True):
            v.data = a if a.ndim else a.item()
        self.optimiser.zero_grad()

    def explain(self, batch: Any, found: float) -> str:
        """Where the first number came from that is none."""
        batch = batch if isinstance(batch, tuple | list) else (batch,)
        if isfinite(found):
            paths = {id(p): path for path, p in self.model.named_parameters()}
            name = paths.get(id(self._spoilt()[0]), "that is not the model's")
            self.optimiser.zero_grad()  # what is there would be added to
            made = first_nonfinite_gradient(self.value, batch)
            return f"the loss is {found:.4g}, but the gradient of the parameter {name} is not finite{made}"
        return f"the loss is {found}: {first_nonfinite(self.model, self.value, batch)}"

    def _spoilt(self) -> list[Value]:
        """The parameters whose gradients hold nan or infinity."""
        given = [p for p in self.optimiser.parameters if p.grad is not None]
        return [p for p in given if not np.all(np.isfinite(p.grad))]
