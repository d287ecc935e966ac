"""fit: the training loop, with what real runs need around it.

It is the loop that everyone can write: batches, loss, `backward`, the optimiser's step.  Around it stand
evaluation, checkpoints from which a run goes on as if nothing had happened, a log, early stopping, and a
policy for losses that are no numbers.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.nn.module import Module
from chainrule.optim.optimiser import Optimiser
from chainrule.train.batching import Batches, Loader, as_batches
from chainrule.train.checking import (
    check_checkpoint,
    check_choices,
    check_numbers,
    check_trained,
    check_validation,
)
from chainrule.train.curves import Curves
from chainrule.train.diagnosis import NonFiniteLoss
from chainrule.train.evaluation import Metrics, evaluate, named_metrics
from chainrule.train.interrupts import interrupts
from chainrule.train.log import Log
from chainrule.train.progress_bar import progress as progress_bar
from chainrule.train.resuming import load_run, save_run, seed_generators
from chainrule.train.stepping import Stepper

__all__ = ["Callback", "Run", "fit"]


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
        Steps left out because their loss or a gradient was no number.
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
        last = "".join(
            f", {name} {self.curves.last(name):.4g}" + " (last minibatch)" * (name == "loss")
            for name in self.curves
        )
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
    drop_last: bool = False,
    seed: int = 0,
    validation: Any = None,
    metrics: Metrics = (),
    schedule: Any = None,
    schedule_every: str = "epoch",
    clip_norm: float | None = None,
    callbacks: Callback | Callable[[Run], Any] | Iterable[Callback | Callable[[Run], Any]] = (),
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
    data : tuple of arrays, Batches, or iterable of batches
        Inputs and, last, targets: (X, y).  Of a single array the model's output alone is the loss's argument.
        `Batches` bring their own size, seed and transformation.  Anything else that can be gone through again
        and again, such as a list of tuples, gives its batches itself.  With a checkpoint it must be a list,
        or have ``state_dict()`` and ``load_state_dict(state)``: taken after a batch, a state leads to the
        rest of that epoch, be it nothing; taken after an epoch, to the next one.
    loss : callable
        ``loss(outputs, targets)``, one number.
    optimiser : Optimiser
        Of the model's parameters.
    epochs : int
        Of the whole run: one that is resumed in its third epoch of four has two to go.
    batch_size, seed : int
        Size of a batch; what the order of samples and the draws of layers that were given no generator
        follow from.
    drop_last : bool
        Leave out a last batch that is smaller than the others.
    validation : tuple of arrays, Batches, or iterable of batches, optional
        Evaluated after each epoch, as `evaluate` does.
    metrics : callable, or mapping or sequence of callables
        ``metric(outputs, targets)``, such as `accuracy`, of the validation data.
    schedule : object with ``step()``, optional
        One of `chainrule.optim`'s that watches a loss is given the watched one, or the step's.
    schedule_every : {"epoch", "step"}
        When the schedule is stepped; "step" is for those that count steps, such as `optim.OneCycleLR`.
    clip_norm : float, optional
        Gradients are scaled down together to this norm at most.
    callbacks : Callback or callable, or iterable of them
    patience : int, optional
        Stop after so many epochs without a smaller validation loss (or, without validation, training
        loss), and go back to the parameters of the best epoch.
    on_nonfinite : {"raise", "skip", "stop"}
        What to do when a loss or a gradient is nan or infinite.  Parameters are as before that step in any
        case; the message names the first operation that made such a number.
    compile : bool, optional
        Whether steps are compiled.  By default they are if llvmlite is installed and the model can be
        captured; if it cannot, a warning says why.
    checkpoint : path, optional
        File that is written after each epoch, every ``checkpoint_every`` steps, where a callback stops the
        run and at Ctrl-C, whole or not at all.
    resume : bool
        Go on from the checkpoint, if there is one, unless patience had ended that run: parameters,
        optimiser, random draws, order of samples, curves and log are then to the last bit those of a run
        that was never interrupted.
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
        If an argument is not as described, before the first step.
    CheckpointError
        If a checkpoint cannot be written, is damaged or of another run; nothing has changed then.
    KeyboardInterrupt
        At Ctrl-C, when the step or evaluation under way is done and the checkpoint written; at a second one
        at once.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, optim, train
    >>> X = np.linspace(-1, 1, 64)[:, None]
    >>> model = nn.MLP([1, 8, 1], activation="tanh", rng=0)
    >>> optimiser = optim.Adam(model.parameters(), lr=0.03)
    >>> run = train.fit(model, (X, X**2), nn.mse, optimiser, epochs=60, batch_size=16, progress=False)
    >>> bool(run.curves.last("loss") < 0.01)
    True
    """
    check_choices(epochs, on_nonfinite, patience, checkpoint_every, schedule_every)
    check_trained(model, loss, optimiser)
    parts = as_batches("fit", data, batch_size=batch_size, seed=seed, drop_last=drop_last)
    named = named_metrics("fit", metrics)
    check_numbers(parts)
    check_validation(parts, validation, named)
    check_checkpoint(checkpoint, checkpoint_every, resume, parts, schedule)
    listeners = _listeners(callbacks)
    run = Run(model, optimiser)
    path = None if checkpoint is None else Path(checkpoint).expanduser()
    journal = Log(log)
    done = 0  # batches of the epoch under way
    if resume and path is not None and path.exists():
        journal.cut(load_run(path, run, parts, schedule, journal, seed))
        done = parts.batch
        if patience is not None and run.waited >= patience:
            run.stop(_waited(run, patience))
    else:
        journal.cut(0)
        seed_generators(model, seed)

    def keep() -> None:
        if path is not None:
            save_run(path, run, parts, schedule, journal.size)

    def after(when: str, watched: float) -> None:
        if schedule is not None and when == schedule_every:
            schedule.step(watched) if getattr(schedule, "watches", False) else schedule.step()

    def after_step(found: float) -> None:
        after("step", found)
        for listener in listeners:
            listener.on_step(run)
        inside = bool(run.stopped) and not parts.last  # of an epoch, whose end would keep it
        leaving = interrupted()
        if inside or leaving or (checkpoint_every is not None and run.step % checkpoint_every == 0):
            keep()
        if leaving:
            raise KeyboardInterrupt

    try:
        stepper = Stepper(model, loss, optimiser, clip_norm, compile)
        model.train()
        with interrupts() as interrupted:
            while run.epoch < epochs and not run.stopped and not interrupted():
                losses = list(run.curves["loss"][1][-done:]) if done else []
                done = 0
                if not _epoch(run, losses, parts, stepper, on_nonfinite, after_step, progress):
                    break
                run.epoch += 1
                numbers = _evaluated(run, losses, loss, validation, named, stepper)
                watched = numbers.get("validation_loss", numbers["loss"])
                after("epoch", watched)
                journal.write({"epoch": run.epoch, "step": run.step, **numbers})
                _watch(run, watched, patience)
                for listener in listeners:
                    listener.on_epoch(run)
                keep()
    finally:
        model.eval()
        journal.close()
    if patience is not None and run.best_state is not None:
        model.load_state_dict(run.best_state)
    for listener in listeners:
        listener.on_end(run)
    return run


def _epoch(
    run: Run,
    losses: list[float],
    parts: Batches | Loader,
    stepper: Stepper,
    policy: str,
    after_step: Callable[[float], None],
    show: bool | None,
) -> bool:
    """The steps of one epoch, or of the rest of one, whose losses are added; whether it is whole."""
    bar = progress_bar(parts, label=f"epoch {run.epoch + 1}", show=show)
    for batch in bar:
        found, sound = stepper.gradients(batch)
        if not sound:
            why = stepper.explain(batch, found)
            stepper.undo()
            if policy == "raise":
                raise NonFiniteLoss(f"fit: in step {run.step + 1} of epoch {run.epoch + 1} {why}")
            if policy == "stop":
                run.stop(why)
                return False
            run.skipped += 1
            warnings.warn(f"fit: step {run.step + 1} is skipped: {why}", stacklevel=3)
        else:
            stepper.update()
        run.step += 1
        losses.append(found)
        run.curves.record(run.step, loss=found)
        bar.show(loss=found)
        after_step(found)
        if run.stopped and not parts.last:
            return False
    if not losses:
        raise ValueError("fit: data gave no batches; expected at least one in each epoch")
    return True


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
        run.stop(_waited(run, patience))


def _waited(run: Run, patience: int) -> str:
    return f"no smaller loss than {run.best:.4g} in {patience} epochs"


def _listeners(given: Any) -> list[Callback]:
    if isinstance(given, Callback) or callable(given):
        given = [given]
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"fit: callbacks is {given!r}; expected Callbacks or functions, such as [print]")
    return [_listener(c) for c in given]


def _listener(c: Any) -> Callback:
    if isinstance(c, Callback):
        return c
    if not callable(c):
        raise TypeError(f"fit: a callback is a {type(c).__name__}; expected a Callback or a function")
    made = Callback()
    made.on_epoch = c  # type: ignore[method-assign]
    return made
