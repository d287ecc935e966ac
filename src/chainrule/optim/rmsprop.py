"""RMSprop: steps divided by the gradient's recent size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.optim.optimiser import Optimiser

__all__ = ["RMSprop"]


class RMSprop(Optimiser):
    """RMSprop: p = p - η g / (√s + ε), with a running mean s of the gradient's square.

    ::

        g = ∇p + λ p
        s = α s + (1 - α) g²
        m = α m + (1 - α) g            centered: √(s - m²), the deviation, in the place of √s
        b = μ b + g / (√s + ε)         with momentum: p = p - η b

    Parameters
    ----------
    params : iterable of Value, or of dict
        What to train; groups as in `Optimiser`.
    lr : float
        η, the learning rate.
    alpha : float
        α, at least 0 and below 1: how slowly the means forget.
    eps : float
        ε, zero or more, outside the root.
    weight_decay : float
        λ, zero or more: adds λ p to the gradient.
    momentum : float
        μ, zero or more and usually below 1.
    centered : bool
        Divides by the gradient's deviation from its mean.
    maximize : bool
        Ascends instead.

    Raises
    ------
    TypeError, ValueError
        As `Optimiser` does, with the argument, what it is and what was expected.

    Notes
    -----
    A parameter without a gradient keeps its place and its means.  The means start at zero and are not
    corrected, so the first step has the size η / √(1 - α).  s - m² counts as 0 where rounding makes it
    negative; in PyTorch the parameter is nan from then on.  Sources: Hinton, "Neural networks for machine
    learning", lecture 6e, 2012; centered: Graves, "Generating sequences with recurrent neural networks",
    2013.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> p = Value(5.0)
    >>> opt = optim.RMSprop([p], lr=0.1)
    >>> for _ in range(200):
    ...     opt.zero_grad()
    ...     ((p - 2.0) ** 2).backward()
    ...     opt.step()
    >>> abs(p.data - 2.0) < 0.1
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            maximize,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
        )

    def start(self, zeros: Any, *, momentum: float, centered: bool, **_: Any) -> dict[str, Any]:
        """The means that the settings ask for."""
        return {
            "square": zeros,
            **({"mean": zeros} if centered else {}),
            **({"momentum": zeros} if momentum else {}),
        }

    def update(
        self, p: Any, g: Any, state: dict[str, Any], *,
        lr: Any, alpha: float, eps: float, weight_decay: float, momentum: float, centered: bool,
    ) -> Any:  # fmt: skip
        """Carry out the formula of the class."""
        if weight_decay:
            g = g + weight_decay * p
        state["square"] = s = alpha * state["square"] + (1.0 - alpha) * (g * g)
        if centered:
            state["mean"] = m = alpha * state["mean"] + (1.0 - alpha) * g
            s = np.maximum(s - m * m, 0.0)
        step = g / (s**0.5 + eps)
        if momentum:
            state["momentum"] = step = momentum * state["momentum"] + step
        return p - lr * step
