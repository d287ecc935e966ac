"""Adam: steps scaled by running estimates of the gradient's mean and size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule.optim.optimiser import Optimiser

__all__ = ["Adam"]


class Adam(Optimiser):
    """Adam: p = p - η m̂ / (√v̂ + ε), with running means m of the gradient and v of its square.

    ::

        g = ∇p + λ p
        m = β₁ m + (1 - β₁) g          m̂ = m / (1 - β₁ᵗ)
        v = β₂ v + (1 - β₂) g²         v̂ = v / (1 - β₂ᵗ)

    t counts the steps of this parameter from 1.  The divisions by 1 - βᵗ undo the bias of means that start
    at zero, so the first step has the size η whatever the gradient's.

    Parameters
    ----------
    params : iterable of Value, or of dict
        What to train; groups as in `Optimiser`.
    lr : float
        η, the learning rate: about how far a parameter moves in one step.
    betas : pair of float
        β₁ and β₂, each at least 0 and below 1: how slowly the two means forget.
    eps : float
        ε, zero or more; keeps a parameter whose gradients were all zero from dividing by zero.
    weight_decay : float
        λ, zero or more: adds λ p to the gradient, and so to both means; `AdamW` is the variant that does not.
    maximize : bool
        Ascends instead.

    Raises
    ------
    TypeError, ValueError
        As `Optimiser` does, with the argument, what it is and what was expected.

    Notes
    -----
    A parameter without a gradient keeps its place, its means and its t.  Source: Kingma, Ba, "Adam: a method
    for stochastic optimization", 2015, algorithm 1.  ε stands outside the root and after the correction, as
    there and in PyTorch.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> p = Value(5.0)
    >>> opt = optim.Adam([p], lr=0.5)
    >>> for _ in range(200):
    ...     opt.zero_grad()
    ...     ((p - 2.0) ** 2).backward()
    ...     opt.step()
    >>> round(p.data, 2)
    2.0
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, maximize, betas=betas, eps=eps, weight_decay=weight_decay)

    def start(self, zeros: Any, **settings: Any) -> dict[str, Any]:
        """The two means and t."""
        return {"mean": zeros, "square": zeros, "step": 0.0}

    def update(
        self, p: Any, g: Any, state: dict[str, Any], *,
        lr: Any, betas: tuple[float, float], eps: float, weight_decay: float,
    ) -> Any:  # fmt: skip
        """Carry out the formula of the class."""
        beta1, beta2 = betas
        if weight_decay:
            g = g + weight_decay * p
        state["step"] = t = state["step"] + 1.0
        state["mean"] = m = beta1 * state["mean"] + (1.0 - beta1) * g
        state["square"] = v = beta2 * state["square"] + (1.0 - beta2) * (g * g)
        # The corrections are scalars: taken out of the quotient, they cost no pass over the arrays.
        root = (1.0 - beta2**t) ** 0.5
        return p - (lr * root / (1.0 - beta1**t)) * (m / (v**0.5 + root * eps))
