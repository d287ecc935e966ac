"""Adagrad: steps divided by the size of all gradients so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule.optim.optimiser import Optimiser

__all__ = ["Adagrad"]


class Adagrad(Optimiser):
    """Adagrad: p = p - ηₜ g / (√s + ε), with the sum s of all squared gradients so far.

    ::

        g = ∇p + λ p
        s = s + g²
        ηₜ = η / (1 + (t - 1) κ)       t counts the steps of this parameter from 1

    Parameters that rarely have a gradient, such as those of rare words, take larger steps.

    Parameters
    ----------
    params : iterable of Value, or of dict
        What to train; groups as in `Optimiser`.
    lr : float
        η, the learning rate: how far a parameter moves in its first step.
    lr_decay : float
        κ, zero or more: makes the steps smaller beyond what s does.
    weight_decay : float
        λ, zero or more: adds λ p to the gradient.
    initial_accumulator_value : float
        What s is before the first step, zero or more.
    eps : float
        ε, zero or more, outside the root.
    maximize : bool
        Ascends instead.

    Raises
    ------
    TypeError, ValueError
        As `Optimiser` does, with the argument, what it is and what was expected.

    Notes
    -----
    A parameter without a gradient keeps its place, its sum and its t.  Source: Duchi, Hazan, Singer,
    "Adaptive subgradient methods for online learning and stochastic optimization", 2011, with the diagonal
    alone; order of arguments and formula as in PyTorch.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> p = Value(5.0)
    >>> opt = optim.Adagrad([p], lr=1.0)
    >>> for _ in range(100):
    ...     opt.zero_grad()
    ...     ((p - 2.0) ** 2).backward()
    ...     opt.step()
    >>> round(p.data, 2)
    2.0
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            maximize,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )

    def start(
        self, zeros: Any, *, lr_decay: float, initial_accumulator_value: float, **_: Any
    ) -> dict[str, Any]:
        """The sum, and t if it counts."""
        return {"sum": zeros + initial_accumulator_value, **({"step": 0.0} if lr_decay else {})}

    def update(
        self, p: Any, g: Any, state: dict[str, Any], *,
        lr: Any, lr_decay: float, weight_decay: float, eps: float, **_: Any,
    ) -> Any:  # fmt: skip
        """Carry out the formula of the class."""
        if weight_decay:
            g = g + weight_decay * p
        if lr_decay:
            lr = lr / (1.0 + state["step"] * lr_decay)
            state["step"] = state["step"] + 1.0
        state["sum"] = s = state["sum"] + g * g
        return p - lr * (g / (s**0.5 + eps))
