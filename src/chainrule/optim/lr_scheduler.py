"""Schedules of the learning rate, named as in PyTorch: ``schedule.step()`` after each epoch or step.

η₀ is the rate that a group of the optimiser has when the schedule is made, t the number of steps of the
schedule; each is a formula in these, so that a schedule is continued from t alone.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from chainrule.optim.one_cycle import OneCycleLR
from chainrule.optim.plateau import ReduceLROnPlateau
from chainrule.optim.schedule import AnyOptimiser, Schedule, count, rate

__all__ = [
    "CosineAnnealingLR", "ExponentialLR", "LambdaLR", "LinearLR", "MultiStepLR", "OneCycleLR",
    "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip


class LambdaLR(Schedule):
    """A function of one's own: η₀ f(t).

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> opt = optim.SGD([Value(1.0)], lr=0.5)
    >>> schedule = optim.LambdaLR(opt, lambda t: 1 / (1 + t))
    >>> schedule.step()
    >>> opt.lr
    0.25
    """

    def __init__(self, optimizer: AnyOptimiser, lr_lambda: Callable[[int], float]) -> None:
        if not callable(lr_lambda):
            raise TypeError(f"LambdaLR: lr_lambda is a {type(lr_lambda).__name__}; expected a function of t")
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * self.lr_lambda(t)


class StepLR(Schedule):
    """Smaller every step_size steps: η₀ γ^⌊t / step_size⌋.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> opt = optim.SGD([Value(1.0)], lr=0.5)
    >>> schedule = optim.StepLR(opt, step_size=10, gamma=0.5)
    >>> for epoch in range(25):
    ...     schedule.step()
    >>> opt.lr
    0.125
    """

    def __init__(self, optimizer: AnyOptimiser, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = count("StepLR", "step_size", step_size)
        self.gamma = rate("StepLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * self.gamma ** (t // self.step_size)


class MultiStepLR(Schedule):
    """Smaller at certain steps: η₀ γⁿ, with n of the milestones at or before t.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> opt = optim.SGD([Value(1.0)], lr=0.5)
    >>> schedule = optim.MultiStepLR(opt, milestones=[30, 80], gamma=0.5)
    >>> for epoch in range(80):
    ...     schedule.step()
    >>> opt.lr
    0.125
    """

    def __init__(self, optimizer: AnyOptimiser, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(_milestones("MultiStepLR", milestones))
        self.gamma = rate("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(Schedule):
    """Smaller with every step: η₀ γᵗ.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> opt = optim.SGD([Value(1.0)], lr=0.5)
    >>> schedule = optim.ExponentialLR(opt, gamma=0.5)
    >>> schedule.step()
    >>> opt.lr
    0.25
    """

    def __init__(self, optimizer: AnyOptimiser, gamma: float) -> None:
        self.gamma = rate("ExponentialLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * self.gamma**t


class CosineAnnealingLR(Schedule):
    """Half a wave down in T_max steps: η_min + (η₀ - η_min) (1 + cos(π t / T_max)) / 2; and then up again.

    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, without the
    restarts.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> opt = optim.SGD([Value(1.0)], lr=0.5)
    >>> schedule = optim.CosineAnnealingLR(opt, T_max=100)
    >>> for epoch in range(50):
    ...     schedule.step()
    >>> round(opt.lr, 12)
    0.25
    """

    def __init__(self, optimizer: AnyOptimiser, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = count("CosineAnnealingLR", "T_max", T_max)
        self.eta_min = rate("CosineAnnealingLR", "eta_min", eta_min)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * t / self.T_max)) / 2.0


class LinearLR(Schedule):
    """Along a line, and then constant: η₀ times start_factor at first and end_factor from t = total_iters on.

    With the defaults a warm-up.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> opt = optim.SGD([Value(1.0)], lr=0.5)
    >>> schedule = optim.LinearLR(opt, start_factor=0.5, total_iters=2)
    >>> for step in range(3):
    ...     print(opt.lr)
    ...     schedule.step()
    0.25
    0.375
    0.5
    """

    def __init__(
        self,
        optimizer: AnyOptimiser,
        start_factor: float = 1.0 / 3.0,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor = rate("LinearLR", "start_factor", start_factor)
        self.end_factor = rate("LinearLR", "end_factor", end_factor)
        self.total_iters = count("LinearLR", "total_iters", total_iters)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        part = min(t, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * part)


class SequentialLR(Schedule):
    """One schedule after the other: at each milestone the next begins, counting from 0.

    Parameters
    ----------
    optimizer : Optimiser or Several
    schedulers : sequence of Schedule
        Made for the same optimiser, with nothing trained between; they are not stepped by themselves.
    milestones : sequence of int
        Ascending, one fewer than schedulers.

    Examples
    --------
    Warm-up, then half a cosine:

    >>> from chainrule import Value, optim
    >>> opt = optim.SGD([Value(1.0)], lr=0.5)
    >>> warm_up = optim.LinearLR(opt, start_factor=0.1, total_iters=10)
    >>> fall = optim.CosineAnnealingLR(opt, T_max=90)
    >>> schedule = optim.SequentialLR(opt, [warm_up, fall], milestones=[10])
    >>> rates = []
    >>> for step in range(100):
    ...     rates.append(opt.lr)
    ...     schedule.step()
    >>> rates[0], rates[10], opt.lr
    (0.05, 0.5, 0.0)
    """

    def __init__(
        self, optimizer: AnyOptimiser, schedulers: Sequence[Schedule], milestones: Sequence[int]
    ) -> None:
        self.schedulers = list(schedulers)
        for i, s in enumerate(self.schedulers):
            if not isinstance(s, Schedule) or s.watches or s.optimizer is not optimizer:
                raise TypeError(
                    f"SequentialLR: schedulers[{i}] is {s!r}; expected a schedule of this very optimizer "
                    "that goes by the number of steps"
                )
        self.milestones = _milestones("SequentialLR", milestones)
        ascending = all(a < b for a, b in zip(self.milestones, self.milestones[1:]))
        if not self.schedulers or len(self.milestones) != len(self.schedulers) - 1 or not ascending:
            raise ValueError(
                f"SequentialLR: milestones is {milestones}, and there are {len(self.schedulers)} schedulers; "
                "expected ascending numbers, one fewer than schedulers"
            )
        # The first was made when the optimiser had its own rates; the others met what those before them set.
        for group, base in zip(optimizer.param_groups, self.schedulers[0].base_lrs):
            group["lr"] = base
        super().__init__(optimizer)

    def rates(self, bases: Sequence[float], t: int) -> list[float]:
        i = bisect_right(self.milestones, t)
        return self.schedulers[i].rates(bases, t - self.milestones[i - 1] if i else t)


def _milestones(owner: str, milestones: Sequence[int]) -> list[int]:
    if isinstance(milestones, str) or not isinstance(milestones, Iterable):
        raise TypeError(f"{owner}: milestones is {milestones!r}; expected a list of steps")
    return [count(owner, f"milestones[{i}]", m) for i, m in enumerate(milestones)]
