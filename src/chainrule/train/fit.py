"""fit: the training loop, with what real runs need around it.

It is the loop that everyone can write: batches, loss, `backward`, the optimiser's step.  Around it stand
evaluation, checkpoints from which a run goes on as if nothing had happened, a log, early stopping, and a
policy for losses that are no numbers.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.nn.module import Module
from chainrule.optim.optimiser import Optimiser
from chainrule.train.batching import Batches, batches
from chainrule.train.curves import Curves
from chainrule.train.diagnosis import NonFiniteLoss
from chainrule.train.evaluation import evaluate
from chainrule.train.log import Log
from chainrule.train.progress import progress as progress_bar
from chainrule.train.resuming import load_run, save_run, seed_generators
from chainrule.train.stepping import Stepper

__all__ = ["Callback", "Run", "fit"]

POLICIES = ("raise", "skip", "stop")


class Callback:
    """What `fit` tells; write the methods that are wanted.  A plain function counts as `on_epoch`."""

    def on_step(self, run: Run) -> None:
        """After every step."""

    def on_epoch(self, run: Run) -> None:
        """After every epoch, evaluation included."""

    def on_end(self, run: Run) -> None:
        """Once, at the end."""


@dataclass
class Run:
    """A training run: what `fit` works on, tells its callbacks and returns.

    Attributes
    ----------
    model, optimiser
        What is trained, and how.
    epoch, step : int
        Epochs and steps that are done.
    curves : Curves
        ``loss`` of every step; ``validation_loss`` and the metrics of every epoch.
    best : float
        The smallest watched loss so far: that of validation, else the epoch's mean; inf before the first.
    skipped : int
        Steps left out because their loss was no number.
    stopped : str or None
        Why the run ended before its last epoch.
    """

    model: Module
    optimiser: Any
    epoch: int = 0
    step: int = 0
    curves: Curves = field(default_factory=Curves)
    best: float = float("inf")
    best_state: dict[str, Any] | None = None
    waited: int = 0
    skipped: int = 0
    stopped: str | None = None

    def stop(self, why: str = "a callback asked for it") -> None:
        """End the run after this step."""
        self.stopped = why

    def __repr__(self) -> str:
        last = "".join(f", {name} {self.curves.last(name):.4g}" for name in self.curves)
        end = f", stopped: {self.stopped}" if self.stopped else ""
        return f"Run({self.epoch} epochs, {self.step} steps{last}{end})"


def fit(
    model: Module,
    data: Any,
    loss: Callable[..., Any],
    optimiser: Optimiser,
    *,
    epochs: int,
    batch_size: int = 64,
    seed: int = 0,
    validation: Any = None,
    metrics: Mapping[str, Callable[..., float]] | Sequence[Callable[..., float]] = (),
    schedule: Any = None,
    clip_norm: float | None = None,
    callbacks: Iterable[Callback | Callable[[Run], Any]] = (),
    patience: int | None = None,
    on_nonfinite: str = "raise",
    compile: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    log: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Run:
    """Train a model: for each epoch, for each batch, a step of the optimiser down the gradient of the loss.

    Parameters
    ----------
    model : Module
        Called with the batch's inputs, in training mode; left in evaluation mode.
    data : tuple of arrays, or Batches
        Inputs and, last, targets: (X, y).  Of a single array the model's output alone is the loss's argument.
        `Batches` bring their own size, seed and transformation.
    loss : callable
        ``loss(outputs, targets)``, one number.
    optimiser : Optimiser
        Of the model's parameters.
    epochs : int
        Of the whole run: one that is resumed in its third epoch of four has two to go.
    batch_size, seed : int
        Size of a batch; what the order of samples and the draws of layers that were given no generator
        follow from.
    validation : tuple of arrays, optional
        Evaluated after each epoch, as `evaluate` does.
    metrics : mapping or sequence of callables
        ``metric(outputs, targets)``, such as `accuracy`, of the validation data.
    schedule : object with ``step()``, optional
        Stepped after each epoch; one of `chainrule.optim`'s that watches a loss is given the watched one.
    clip_norm : float, optional
        Gradients are scaled down together to this norm at most.
    callbacks : iterable of Callback or callable
    patience : int, optional
        Stop after so many epochs without a smaller validation loss (or, without validation, training
        loss), and go back to the parameters of the best epoch.
    on_nonfinite : {"raise", "skip", "stop"}
        What to do when a loss is nan or infinite.  Parameters are as before that step in any case; the
        message names the first operation that made such a number.
    compile : bool, optional
        Whether steps are compiled.  By default they are if llvmlite is installed and the model can be
        captured; if it cannot, a warning says why.
    checkpoint : path, optional
        File that is written after each epoch and every ``checkpoint_every`` steps, whole or not at all.
    resume : bool
        Go on from the checkpoint, if there is one: parameters, optimiser, random draws, order of samples,
        curves and log are then to the last bit those of a run that was never interrupted.
    log : path, optional
        File of JSON lines, one for each epoch.
    progress : bool, optional
        Whether to show a bar; by default in a terminal.

    Returns
    -------
    Run

    Raises
    ------
    NonFiniteLoss
        Under the policy "raise".
    ValueError, TypeError
        If an argument is not as described; CheckpointError if a checkpoint is damaged or of another run.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, optim, train
    >>> X = np.linspace(-1, 1, 64)[:, None]
    >>> model = nn.MLP([1, 8, 1], activation="tanh", rng=0)
    >>> optimiser = optim.Adam(model.parameters(), lr=0.03)
    >>> run = train.fit(model, (X, X**2), nn.mse, optimiser, epochs=60, progress=False)
    >>> bool(run.curves.last("loss") < 0.01)
    True
    """
    parts = _parts(data, batch_size, seed)
    _check(epochs, on_nonfinite, patience, checkpoint_every)
    named = _named(metrics)
    listeners = [_listener(c) for c in callbacks]
    seed_generators(model, seed)
    run = Run(model, optimiser)
    path = None if checkpoint is None else Path(checkpoint).expanduser()
    journal = Log(log)
    if resume and path is not None and path.exists():
        journal.cut(load_run(path, run, parts, schedule))
    else:
        journal.cut(0)
    stepper = Stepper(model, loss, optimiser, clip_norm, compile)

    def keep() -> None:
        if path is not None:
            save_run(path, run, parts, schedule, journal.size)

    model.train()
    try:
        while run.epoch < epochs and not run.stopped:
            losses = _epoch(run, parts, stepper, on_nonfinite, listeners, keep, checkpoint_every, progress)
            if run.stopped and parts.batch:
                break  # in the middle of an epoch
            run.epoch += 1
            numbers = _evaluated(run, losses, loss, validation, named, stepper)
            watched = numbers.get("validation_loss", numbers["loss"])
            if schedule is not None:
                schedule.step(watched) if getattr(schedule, "watches", False) else schedule.step()
            journal.write({"epoch": run.epoch, "step": run.step, **numbers})
            _watch(run, watched, patience)
            for listener in listeners:
                listener.on_epoch(run)
            keep()
    finally:
        model.eval()
    if patience is not None and run.best_state is not None:
        model.load_state_dict(run.best_state)
    for listener in listeners:
        listener.on_end(run)
    return run


def _epoch(
    run: Run,
    parts: Batches,
    stepper: Stepper,
    policy: str,
    listeners: list[Callback],
    keep: Callable[[], None],
    every: int | None,
    show: bool | None,
) -> list[float]:
    """The steps of one epoch, or of the rest of one; the losses of all its steps."""
    done = parts.batch  # of this epoch, if the run was resumed in its middle
    losses = list(run.curves["loss"][1][-done:]) if done else []
    bar = progress_bar(parts, label=f"epoch {run.epoch + 1}", show=show)
    for batch in bar:
        if run.stopped:
            break
        found, sound = stepper.gradients(batch)
        if not sound:
            why = stepper.explain(batch, found)
            stepper.undo()
            if policy == "raise":
                raise NonFiniteLoss(f"fit: in step {run.step + 1} of epoch {run.epoch + 1} {why}")
            if policy == "stop":
                run.stop(why)
                break
            run.skipped += 1
            warnings.warn(f"fit: step {run.step + 1} is skipped: {why}", stacklevel=3)
        else:
            stepper.update()
        run.step += 1
        losses.append(found)
        run.curves.record(run.step, loss=found)
        bar.show(loss=found)
        for listener in listeners:
            listener.on_step(run)
        if every is not None and run.step % every == 0:
            keep()
        if run.stopped:
            break
    return losses


def _evaluated(
    run: Run, losses: list[float], loss: Callable[..., Any], validation: Any, metrics: Any, stepper: Stepper
) -> dict[str, float]:
    """The numbers of an epoch."""
    finite = [x for x in losses if np.isfinite(x)]
    numbers = {"loss": float(np.mean(finite)) if finite else float("nan")}
    if validation is not None:
        found = evaluate(run.model, validation, loss, metrics, compile=stepper.compiled)
        numbers |= {f"validation_{name}": number for name, number in found.items()}
        run.model.train()
        run.curves.record(run.step, **{k: v for k, v in numbers.items() if k != "loss"})
    return numbers


def _watch(run: Run, watched: float, patience: int | None) -> None:
    if watched < run.best:
        run.best, run.waited = watched, 0
        if patience is not None:
            run.best_state = run.model.state_dict()
        return
    run.waited += 1
    if patience is not None and run.waited >= patience:
        run.stop(f"no smaller loss than {run.best:.4g} in {patience} epochs")


def _parts(data: Any, batch_size: int, seed: int) -> Batches:
    if isinstance(data, Batches):
        return data
    arrays = data if isinstance(data, tuple | list) else (data,)
    return batches(*arrays, batch_size=batch_size, seed=seed)


def _named(metrics: Any) -> dict[str, Callable[..., float]]:
    if isinstance(metrics, Mapping):
        return dict(metrics)
    return {getattr(f, "__name__", type(f).__name__): f for f in metrics}


def _listener(c: Any) -> Callback:
    if isinstance(c, Callback):
        return c
    if not callable(c):
        raise TypeError(f"fit: a callback is a {type(c).__name__}; expected a Callback or a function")
    made = Callback()
    made.on_epoch = c  # type: ignore[method-assign]
    return made


def _check(epochs: Any, on_nonfinite: str, patience: Any, every: Any) -> None:
    for name, value, least in (
        ("epochs", epochs, 0), ("patience", patience, 1), ("checkpoint_every", every, 1),
    ):  # fmt: skip
        if value is None and name != "epochs":
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"fit: {name} is {value!r}; expected an integer, at least {least}")
    if on_nonfinite not in POLICIES:
        raise ValueError(f"fit: on_nonfinite is {on_nonfinite!r}; expected one of {POLICIES}")
