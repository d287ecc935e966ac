"""Adam: steps scaled by running estimates of the gradient's mean and size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule.optim.optimiser import Optimiser
from chainrule.value import Value

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
    params : iterable of Value
        What to train.
    lr : float
        η, the learning rate: about how far a parameter moves in one step.
    betas : pair of float
        β₁ and β₂, each at least 0 and below 1: how slowly the two means forget.
    eps : float
        ε, zero or more; keeps a parameter whose gradients were all zero from dividing by zero.
    weight_decay : float
        λ, zero or more: adds λ p to the gradient (and so to both means; AdamW is the variant that does not).

    Raises
    ------
    TypeError, ValueError
        As `Optimiser` does, with the argument, what it is and what was expected.

    Notes
    -----
    Source: Kingma, Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.  ε stands outside
    the root and after the correction, as there and in PyTorch.

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

    _settings = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr)
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise TypeError(f"Adam: betas is {betas!r}; expected two numbers, such as (0.9, 0.999)")
        wanted = "at least 0 and below 1"
        beta1, beta2 = (
            self._number(f"betas[{i}]", beta, wanted, lambda b: 0 <= b < 1) for i, beta in enumerate(betas)
        )
        self.betas = (beta1, beta2)
        self.eps = self._number("eps", eps, "zero or more", lambda e: e >= 0)
        self.weight_decay = self._number("weight_decay", weight_decay, "zero or more", lambda w: w >= 0)
        self.mean = self._zeros()
        self.square = self._zeros()
        self.steps = [Value(0.0) for _ in self.parameters]

    def update(self, index: int, parameter: Value, gradient: Any) -> None:
        """Give one parameter new data by the formula of the class."""
        mean, square, steps = self.mean[index], self.square[index], self.steps[index]
        beta1, beta2 = self.betas
        g = gradient
        if self.weight_decay:
            g = g + self.weight_decay * parameter._current()
        t = steps._current() + 1.0
        m = beta1 * mean._current() + (1.0 - beta1) * g
        v = beta2 * square._current() + (1.0 - beta2) * (g * g)
        # The corrections are scalars: taken out of the quotient, m's costs no pass over the arrays.
        root = v**0.5 / (1.0 - beta2**t) ** 0.5
        parameter._adopt(parameter._current() - (self.lr / (1.0 - beta1**t)) * (m / (root + self.eps)))
        steps._adopt(t)
        mean._adopt(m)
        square._adopt(v)
