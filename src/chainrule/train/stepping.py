"""A step of training in two halves, so that a loss that is no number changes nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import chainrule.optim as optim
from chainrule.nn.module import Module
from chainrule.traced import TracedError
from chainrule.train.diagnosis import first_nonfinite
from chainrule.value import data

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
        value.backward()
        return value

    def value(self, batch: Sequence[Any]) -> Any:
        """The loss of a batch."""
        inputs, targets = (batch[:-1], batch[-1:]) if len(batch) > 1 else (batch, ())
        return self.loss(self.model(*inputs), *targets)

    def _run_update(self) -> None:
        if self.clip_norm is not None:
            optim.clip_grad_norm(self.optimiser.parameters, self.clip_norm)
        self.optimiser.step()

    def gradients(self, batch: Any) -> float:
        """Leave the gradients with the parameters; the loss."""
        batch = batch if isinstance(batch, tuple | list) else (batch,)
        self.before = [np.array(v.data) for v in self.buffers]
        with np.errstate(all="ignore"):  # whoever asked for the loss looks whether it is a number
            try:
                return float(data(self._gradients(*batch)))
            except TracedError as error:
                if not (self.compiled and self.may_fall_back):
                    raise
                warnings.warn(f"fit: the model is not compiled: {error}", stacklevel=4)
                self._gradients, self._update, self.compiled = self._run_gradients, self._run_update, False
                return float(data(self._gradients(*batch)))

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
        return f"the loss is {found}: {first_nonfinite(self.model, self.value, batch)}"
