"""Plateau: a learning rate that falls when a metric no longer gets better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.optim.arguments import check_number
from chainrule.optim.schedule import AnyOptimiser, Schedule, count, per_group, rate
from chainrule.value import data

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(Schedule):
    """Multiplies the rates by factor when the metric has not become better for more than patience steps.

    ``schedule.step(metric)`` once for each epoch, with what is watched, such as the loss on held-out data.

    Parameters
    ----------
    optimizer : Optimiser or Several
    mode : {"min", "max"}
        Whether a smaller metric is better, or a larger one.
    factor : float
        At least 0 and below 1.
    patience : int
        Steps without anything better that are put up with.
    threshold : float
        By how much better counts: of the best so far with ``threshold_mode="rel"``, by itself with ``"abs"``.
    threshold_mode : {"rel", "abs"}
    cooldown : int
        Steps after a fall in which nothing is counted.
    min_lr : float or sequence of float
        What no rate falls below; for all groups, or one for each.
    eps : float
        A rate that would fall by less than this stays.

    Raises
    ------
    TypeError, ValueError
        For an argument of another kind, and by ``step()`` if the metric is no number.

    Notes
    -----
    nan counts as not better.  As in PyTorch, but that a relative threshold is one of the best's size: losses
    below zero have plateaus too.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> opt = optim.SGD([Value(1.0)], lr=0.5)
    >>> schedule = optim.ReduceLROnPlateau(opt, factor=0.1, patience=2)
    >>> for loss in (1.0, 0.9, 0.9, 0.9, 0.9):
    ...     schedule.step(loss)
    ...     print(opt.lr)
    0.5
    0.5
    0.5
    0.5
    0.05
    """

    watches = True

    def __init__(
        self,
        optimizer: AnyOptimiser,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        if mode not in ("min", "max"):
            raise ValueError(f"{name}: mode is {mode!r}; expected 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"{name}: threshold_mode is {threshold_mode!r}; expected 'rel' or 'abs'")
        self.sign = 1.0 if mode == "min" else -1.0
        self.relative = threshold_mode == "rel"
        self.factor = check_number(name, "factor", factor, "at least 0 and below 1", lambda x: 0 <= x < 1)
        self.patience = count(name, "patience", patience, 0)
        self.threshold = rate(name, "threshold", threshold)
        self.cooldown = count(name, "cooldown", cooldown, 0)
        self.eps = rate(name, "eps", eps)
        self.best = self.sign * math.inf
        self.bad = 0  # steps since the best
        self.cooling = 0  # steps that are not counted yet
        super().__init__(optimizer)
        self.min_lr = per_group(name, "min_lr", min_lr, optimizer)

    def step(self, metric: Any) -> None:  # type: ignore[override]
        """Note the metric of one epoch more, and lower the rates if it is time."""
        self._outside()
        x = data(metric)
        if isinstance(x, bool) or not isinstance(x, int | float | np.ndarray | np.generic) or np.size(x) != 1:
            raise TypeError(
                f"ReduceLROnPlateau.step: metric is a {type(x).__name__}; expected a number, such as the loss"
            )
        now = float(np.asarray(x).item())
        self.last_epoch += 1
        margin = abs(self.best) * self.threshold if self.relative else self.threshold
        if self.sign * now < self.sign * self.best - (margin if math.isfinite(margin) else 0.0):
            self.best, self.bad = now, 0
        else:
            self.bad += 1
        if self.cooling > 0:
            self.cooling -= 1
            self.bad = 0
        if self.bad > self.patience:
            self.cooling, self.bad = self.cooldown, 0
            for group, least in zip(self.optimizer.param_groups, self.min_lr, strict=True):
                lower = max(group["lr"] * self.factor, least)
                if group["lr"] - lower > self.eps:
                    group["lr"] = lower

    def rates(self, bases: Sequence[float], t: int) -> list[float]:
        """Those that there are: they do not follow from the number of steps."""
        return self.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """What has been seen, as numbers that JSON can hold; the rates are the optimiser's state."""
        return {**super().state_dict(), "best": self.best, "bad": self.bad, "cooling": self.cooling}
