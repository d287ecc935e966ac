"""Lion: the sign of a running mean of the gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.optim.optimiser import Optimiser

__all__ = ["Lion"]


class Lion(Optimiser):
    """Lion: p = p - η (sign(c) + λ p), where every number of a parameter moves by η, up or down.

    ::

        c = β₁ m + (1 - β₁) ∇p
        m = β₂ m + (1 - β₂) ∇p         after c

    Half the state of `Adam`.  Learning rates are three to ten times smaller than Adam's, and the weight decay
    as many times larger.

    Parameters
    ----------
    params : iterable of Value, or of dict
        What to train; groups as in `Optimiser`.
    lr : float
        η, the learning rate: how far every number moves in each step.
    betas : pair of float
        β₁ and β₂, each at least 0 and below 1: how slowly the two means forget.
    weight_decay : float
        λ, zero or more: pulls towards zero beside the gradient, as in `AdamW`.
    maximize : bool
        Ascends instead.

    Raises
    ------
    TypeError, ValueError
        As `Optimiser` does, with the argument, what it is and what was expected.

    Notes
    -----
    Where c is exactly 0 its sign is 0 and nothing moves.  A parameter without a gradient keeps its place and
    its mean.  Source: Chen and others, "Symbolic discovery of optimization algorithms", 2023, algorithm 2;
    PyTorch has none, the numbers are optax's.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, optim
    >>> p = Value(np.array([1.0, -1.0, 0.0]))
    >>> opt = optim.Lion([p], lr=0.25)
    >>> np.sum(p**4).backward()
    >>> opt.step()
    >>> p.data
    array([ 0.75, -0.75,  0.  ])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, maximize, betas=betas, weight_decay=weight_decay)

    def start(self, zeros: Any, **settings: Any) -> dict[str, Any]:
        """The mean m."""
        return {"mean": zeros}

    def update(
        self, p: Any, g: Any, state: dict[str, Any], *,
        lr: Any, betas: tuple[float, float], weight_decay: float,
    ) -> Any:  # fmt: skip
        """Carry out the formula of the class."""
        beta1, beta2 = betas
        m = state["mean"]
        step = np.sign(beta1 * m + (1.0 - beta1) * g)
        state["mean"] = beta2 * m + (1.0 - beta2) * g
        if weight_decay:
            step = step + weight_decay * p
        return p - lr * step
