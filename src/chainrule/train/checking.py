"""What `fit` can know before the first step, said before the first step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.nn.module import Module
from chainrule.optim.lbfgs import LBFGS
from chainrule.train.batching import Batches, Loader, as_batches
from chainrule.train.checkpoint import CheckpointError

__all__ = ["check_checkpoint", "check_choices", "check_numbers", "check_trained", "check_validation"]


def check_choices(epochs: Any, on_nonfinite: Any, patience: Any, every: Any, schedule_every: Any) -> None:
    """Numbers that count, and words of which there are a few."""
    for name, value, least in (
        ("epochs", epochs, 0), ("patience", patience, 1), ("checkpoint_every", every, 1),
    ):  # fmt: skip
        if value is None and name != "epochs":
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"fit: {name} is {value!r}; expected an integer, at least {least}")
    for name, value, known in (
        ("on_nonfinite", on_nonfinite, ("raise", "skip", "stop")),
        ("schedule_every", schedule_every, ("epoch", "step")),
    ):
        if value not in known:
            raise ValueError(f"fit: {name} is {value!r}; expected one of {known}")


def check_trained(model: Any, loss: Any, optimiser: Any) -> None:
    """That model, loss and optimiser are such, and belong together."""
    if not isinstance(model, Module):
        raise TypeError(f"fit: model is a {type(model).__name__}; expected a chainrule.nn.Module")
    if not callable(loss):
        raise TypeError(
            f"fit: loss is {loss!r}; expected a function of outputs and targets, such as nn.cross_entropy"
        )
    if isinstance(optimiser, LBFGS):
        raise TypeError(
            "fit: LBFGS needs a closure that it may call many times in one step; write the loop itself: "
            "optimiser.step(closure) with the loss of all of the data"
        )
    if isinstance(optimiser, type):
        raise TypeError(
            f"fit: optimiser is the class {optimiser.__name__}; expected one made of it: "
            f"optim.{optimiser.__name__}(model.parameters())"
        )
    if not all(hasattr(optimiser, name) for name in ("step", "zero_grad", "parameters")):
        shown = repr(optimiser) if isinstance(optimiser, str) else f"a {type(optimiser).__name__}"
        raise TypeError(
            f"fit: optimiser is {shown}; expected an Optimiser, such as optim.Adam(model.parameters())"
        )
    if not {id(p) for p in model.parameters()} & {id(p) for p in optimiser.parameters}:
        raise ValueError(
            "fit: optimiser holds none of the model's parameters, so nothing would be learnt; make it of "
            f"this model: optim.{type(optimiser).__name__}(model.parameters())"
        )


def check_numbers(parts: Batches | Loader) -> None:
    """That arrays hold numbers, unless a transformation makes them."""
    if isinstance(parts, Batches) and parts.transform is None:
        for i, array in enumerate(parts.arrays):
            if array.dtype.kind not in "biufc":
                raise TypeError(
                    f"fit: array {i} of data is of dtype {array.dtype}; expected numbers: .astype(float) "
                    "may make some, np.unique(y, return_inverse=True)[1] numbers classes that have names"
                )


def check_validation(parts: Batches | Loader, validation: Any, metrics: Mapping[str, Any]) -> None:
    """That there is what metrics are computed on, with targets where the training data have some."""
    if validation is None:
        if metrics:
            raise ValueError(
                f"fit: metrics {', '.join(metrics)} are given without validation, of which they are; give "
                "validation=(X, y)"
            )
        return
    held_out = as_batches("fit: validation", validation, batch_size=1, shuffle=False)
    if isinstance(parts, Batches) and isinstance(held_out, Batches) and held_out.transform is parts.transform:
        given, wanted = len(held_out.arrays), len(parts.arrays)
        if given != wanted:
            raise ValueError(
                f"fit: validation has {given} arrays, data has {wanted}; expected as many: inputs and, last, "
                "targets, such as (X, y)"
            )


def check_checkpoint(path: Any, every: Any, resume: Any, parts: Batches | Loader, schedule: Any) -> None:
    """That the checkpoint can be written, as far as that is known without writing one."""
    if path is None:
        for name, given in (("resume", resume), ("checkpoint_every", every)):
            if given:
                raise ValueError(f"fit: {name} is {given!r} without checkpoint; give checkpoint=path")
        return
    target = Path(os.path.realpath(Path(path).expanduser()))
    if target.is_dir():
        raise CheckpointError(f"fit: checkpoint is the folder {target}; name a file in it")
    if not target.parent.is_dir():
        raise CheckpointError(
            f"fit: checkpoint is {target}, and there is no folder {target.parent}; make it first: "
            f"pathlib.Path({str(target.parent)!r}).mkdir(parents=True)"
        )
    parts.state_dict()  # which says why if there is none
    if schedule is not None and not all(hasattr(schedule, f"{verb}state_dict") for verb in ("", "load_")):
        raise TypeError(
            f"fit: schedule is a {type(schedule).__name__} without state_dict and load_state_dict, which a "
            "checkpoint needs; write them, or leave out checkpoint"
        )
