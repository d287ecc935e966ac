"""Schedule: the base of what changes learning rates while training goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.optim.arguments import check_number
from chainrule.optim.optimiser import Optimiser
from chainrule.optim.several import Several
from chainrule.traced import TracedError, current_trace, where_in_user_code

__all__ = ["AnyOptimiser", "Schedule", "count", "per_group", "rate"]

AnyOptimiser = Optimiser | Several


class Schedule:
    """Base of the schedules: a learning rate that is a function of the number of steps.

    A subclass writes `rate`.  Making a schedule sets the rates of step 0; ``schedule.step()``, after each
    epoch or each step of the optimiser, sets those of the next.  A compiled training step reads the new rates
    without being compiled anew; ``schedule.step()`` itself stays outside of it.

    Parameters
    ----------
    optimizer : Optimiser or Several
        Its rates, each group's by itself, are changed.  Those it has now are what the schedule starts from.

    Attributes
    ----------
    last_epoch : int
        How often `step` has been called.
    base_lrs : list of float
        The rates of the groups that the schedule starts from.

    Raises
    ------
    TypeError
        If optimizer is none.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> class Inverse(optim.Schedule):
    ...     def rate(self, base, t):
    ...         return base / (1 + t)
    >>> opt = optim.SGD([Value(1.0)], lr=0.5)
    >>> schedule = Inverse(opt)
    >>> schedule.step()
    >>> opt.lr
    0.25
    """

    watches = False  # whether step() is given what is watched

    def __init__(self, optimizer: AnyOptimiser) -> None:
        if not isinstance(optimizer, Optimiser | Several):
            raise TypeError(
                f"{type(self).__name__}: optimizer is a {type(optimizer).__name__}; expected an Optimiser, "
                "such as optim.Adam(model.parameters())"
            )
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._set(self.rates(self.base_lrs, 0))

    def rate(self, base: float, t: int) -> float:
        """The learning rate after t steps of a group that starts with `base`."""
        raise NotImplementedError(f"{type(self).__name__}: rate is not defined")

    def rates(self, bases: Sequence[float], t: int) -> list[float]:
        """Those of all groups."""
        return [self.rate(base, t) for base in bases]

    def step(self) -> None:
        """Set the learning rates of the next step or epoch."""
        self._outside()
        rates = self.rates(self.base_lrs, self.last_epoch + 1)
        self.last_epoch += 1
        self._set(rates)

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups as they are now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self, rates: Sequence[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr

    def _outside(self) -> None:
        if current_trace() is not None:
            raise TracedError(
                f"{where_in_user_code()}: {type(self).__name__}.step in a compiled function would set one "
                "rate for good; call it after the compiled function, which reads the rate anew at each call"
            )

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands, as numbers that JSON can hold."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken, and set the rates of there; all of it or nothing.

        Raises
        ------
        ValueError
            If something is missing, unexpected or not a number, or there are more or fewer groups.
        """
        name, now = type(self).__name__, self.state_dict()
        wrong = [f"missing: {key}" for key in now if key not in state]
        wrong += [f"unexpected: {key}" for key in state if key not in now]
        wrong += [f"{k} is {state[k]!r}" for k, was in now.items() if k in state and not _like(state[k], was)]
        if wrong:
            raise ValueError(
                f"{name}.load_state_dict: the state is not that of this schedule; {'; '.join(wrong)}; "
                f"expected what state_dict() of a {name} with {len(self.base_lrs)} groups returned"
            )
        for key, was in now.items():
            setattr(self, key, list(state[key]) if isinstance(was, list) else type(was)(state[key]))
        self._set(self.rates(self.base_lrs, self.last_epoch))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(step {self.last_epoch}, lr={self.get_last_lr()})"


def _like(x: Any, was: Any) -> bool:
    """Whether numbers, or lists of numbers, are of the kind they were."""
    if isinstance(was, list):
        return isinstance(x, list | tuple) and len(x) == len(was) and all(map(_like, x, was))
    if isinstance(x, bool) or not isinstance(x, int | float):
        return False
    return isinstance(was, float) or (isinstance(x, int) and x >= 0)


# -------------------------------------------------------------------- arguments


def count(owner: str, name: str, x: Any, least: int = 1) -> int:
    """Return a number of steps."""
    if isinstance(x, bool) or not isinstance(x, int | np.integer):
        raise TypeError(f"{owner}: {name} is {x!r}; expected an integer")
    if x < least:
        raise ValueError(f"{owner}: {name} is {x}; expected at least {least}")
    return int(x)


def rate(owner: str, name: str, x: Any) -> float:
    """Return a learning rate, or a factor of one."""
    return check_number(owner, name, x, "zero or more", lambda x: x >= 0)


def per_group(owner: str, name: str, x: Any, optimizer: AnyOptimiser) -> list[float]:
    """Return one rate for each group, of one for all or as many as there are groups."""
    n = len(optimizer.param_groups)
    if not isinstance(x, list | tuple):
        return [rate(owner, name, x)] * n
    if len(x) != n:
        raise ValueError(f"{owner}: {name} has {len(x)} numbers; expected {n}, one for each group")
    return [rate(owner, f"{name}[{i}]", r) for i, r in enumerate(x)]
