"""One cycle: a learning rate that rises once and falls once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.optim.arguments import check_number
from chainrule.optim.schedule import AnyOptimiser, Schedule, count, per_group

__all__ = ["OneCycleLR"]


class OneCycleLR(Schedule):
    """Up to max_lr and down to almost nothing in total_steps steps; one for each step of the optimiser.

    From max_lr / div_factor up to max_lr in the first part, pct_start, of the steps, then down to
    max_lr / (div_factor · final_div_factor).  With three_phase as far down as it went up, in as many steps,
    and only then to the end.  The momentum stays as it is (``cycle_momentum=False`` in PyTorch).

    Parameters
    ----------
    optimizer : Optimiser or Several
        Its own rates do not matter.
    max_lr : float or sequence of float
        For all groups, or one for each.
    total_steps, epochs, steps_per_epoch : int, optional
        total_steps, or the two others, of which it is the product.
    pct_start : float
        Between 0 and 1.
    anneal_strategy : {"cos", "linear"}
        Half a wave of the cosine, or a line.
    div_factor, final_div_factor : float
        Above 0.
    three_phase : bool

    Raises
    ------
    ValueError
        Also by ``step()`` when there are more than total_steps of them.

    Notes
    -----
    Source: Smith, Topin, "Super-convergence: very fast training of neural networks using large learning
    rates", 2018, with PyTorch's phases.  After the last step the rate stays.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> opt = optim.SGD([Value(1.0)], lr=0.5)
    >>> schedule = optim.OneCycleLR(opt, max_lr=1.0, total_steps=10, anneal_strategy="linear")
    >>> rates = []
    >>> for step in range(10):
    ...     rates.append(round(opt.lr, 3))
    ...     schedule.step()
    >>> rates
    [0.04, 0.52, 1.0, 0.857, 0.714, 0.571, 0.429, 0.286, 0.143, 0.0]
    """

    def __init__(
        self,
        optimizer: AnyOptimiser,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise TypeError(
                    "OneCycleLR: total_steps is not given; expected it, or both epochs and steps_per_epoch"
                )
            steps = count("OneCycleLR", "steps_per_epoch", steps_per_epoch)
            total_steps = count("OneCycleLR", "epochs", epochs) * steps
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"OneCycleLR: anneal_strategy is {anneal_strategy!r}; expected 'cos' or 'linear'"
            )
        self.total_steps = count("OneCycleLR", "total_steps", total_steps)
        self.linear = anneal_strategy == "linear"
        part = check_number("OneCycleLR", "pct_start", pct_start, "between 0 and 1", lambda x: 0 <= x <= 1)
        first, last = (
            1.0 / check_number("OneCycleLR", name, x, "above 0", lambda x: x > 0)
            for name, x in (("div_factor", div_factor), ("final_div_factor", final_div_factor))
        )
        top = part * self.total_steps - 1.0
        down = [(2.0 * top, first)] if three_phase else []
        # Until which step, and towards which part of max_lr.
        self.phases = [(top, 1.0), *down, (self.total_steps - 1.0, first * last)]
        self.first, self.max_lr = first, max_lr
        super().__init__(optimizer)

    def rates(self, bases: Sequence[float], t: int) -> list[float]:
        """Those of all groups, whatever they had before."""
        return [self.rate(x, t) for x in per_group("OneCycleLR", "max_lr", self.max_lr, self.optimizer)]

    def rate(self, base: float, t: int) -> float:
        if t > self.total_steps:
            raise ValueError(
                f"OneCycleLR.step: this is step {t} of {self.total_steps}; make the schedule with as many "
                "total_steps as it is stepped, once for each step of the optimiser"
            )
        begin, start = 0.0, self.first
        for until, end in self.phases:
            done = min((t - begin) / (until - begin), 1.0) if until > begin else 1.0
            if t <= until:
                break
            begin, start = until, end
        if self.linear:
            return base * (start + (end - start) * done)
        return base * (end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * done)))
