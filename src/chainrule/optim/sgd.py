"""SGD: gradient descent, with momentum and weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule.optim.optimiser import Optimiser
from chainrule.value import Value

__all__ = ["SGD"]


class SGD(Optimiser):
    """Gradient descent: g = ∇p + λ p;  v = μ v + g;  p = p - η v.

    "Stochastic" is the batch's doing: the gradient of a random part of the data stands for that of all.

    Parameters
    ----------
    params : iterable of Value
        What to train.
    lr : float
        η, the learning rate.
    momentum : float
        μ, zero or more and usually below 1: how much of its velocity a parameter keeps.  0 is plain descent.
        The velocity starts at zero, so the first step is a plain one.
    weight_decay : float
        λ, zero or more: pulls every parameter towards zero, as adding ½ λ ‖p‖² to the loss does.

    Raises
    ------
    TypeError, ValueError
        As `Optimiser` does, with the argument, what it is and what was expected.

    Notes
    -----
    The formulas and their order are PyTorch's (``dampening=0``), where the learning rate multiplies the
    velocity and not the gradient: changing `lr` acts on the whole of the next step.

    Examples
    --------
    >>> from chainrule import Value, optim
    >>> p = Value(1.0)
    >>> opt = optim.SGD([p], lr=0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     opt.zero_grad()
    ...     (3.0 * p).backward()
    ...     opt.step()
    >>> round(p.data, 12)                  # 1 - 0.1 * 3 - 0.1 * (0.5 * 3 + 3)
    0.25
    """

    _settings = ("lr", "momentum", "weight_decay")

    def __init__(
        self, params: Iterable[Value], lr: float, momentum: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr)
        self.momentum = self._number("momentum", momentum, "zero or more, usually below 1", lambda m: m >= 0)
        self.weight_decay = self._number("weight_decay", weight_decay, "zero or more", lambda w: w >= 0)
        self.velocity = self._zeros() if self.momentum else []

    def update(self, index: int, parameter: Value, gradient: Any) -> None:
        """Give one parameter new data by the formula of the class."""
        g = gradient
        if self.weight_decay:
            g = g + self.weight_decay * parameter._current()
        if self.momentum:
            velocity = self.velocity[index]
            g = self.momentum * velocity._current() + g
            velocity._adopt(g)
        parameter._adopt(parameter._current() - self.lr * g)
