"""AdamW: Adam with weight decay beside the gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule.optim.adam import Adam

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam with weight decay beside the gradient: p = (1 - η λ) p - η m̂ / (√v̂ + ε), m and v of ∇p alone.

    All parameters are pulled towards zero at the same rate, where in `Adam` the division by √v̂ spares those
    whose gradients are large.  Everything else is as in `Adam`, but for the default ``weight_decay=0.01``.

    Notes
    -----
    Source: Loshchilov, Hutter, "Decoupled weight decay regularization", 2019, algorithm 2, with λ times the
    learning rate as in PyTorch.  A parameter without a gradient is not pulled either.

    Examples
    --------
    No decay for biases, as is usual:

    >>> from chainrule import nn, optim
    >>> model = nn.MLP([2, 8, 1], rng=0)
    >>> weights = [p for p in model.parameters() if p.ndim > 1]
    >>> others = [p for p in model.parameters() if p.ndim <= 1]
    >>> opt = optim.AdamW([{"params": weights}, {"params": others, "weight_decay": 0.0}], lr=1e-3)
    >>> [group["weight_decay"] for group in opt.param_groups]
    [0.01, 0.0]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, maximize=maximize)

    def update(
        self, p: Any, g: Any, state: dict[str, Any], *,
        lr: Any, betas: tuple[float, float], eps: float, weight_decay: float,
    ) -> Any:  # fmt: skip
        """Carry out the formula of the class."""
        if weight_decay:
            p = (1.0 - lr * weight_decay) * p
        return super().update(p, g, state, lr=lr, betas=betas, eps=eps, weight_decay=0.0)
