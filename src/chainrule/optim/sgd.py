"""SGD: gradient descent, with momentum and weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chainrule.optim.optimiser import Optimiser

__all__ = ["SGD"]


class SGD(Optimiser):
    """Gradient descent: p = p - η v, with v the gradient, or a velocity that follows it.

    ::

        g = ∇p + λ p
        v = μ v + (1 - δ) g            v = g in the first step
        p = p - η v                    Nesterov: p = p - η (g + μ v)

    "Stochastic" is the batch's doing: the gradient of a random part of the data stands for that of all.

    Parameters
    ----------
    params : iterable of Value, or of dict
        What to train; groups as in `Optimiser`.
    lr : float
        η, the learning rate.
    momentum : float
        μ, zero or more and usually below 1: how much of its velocity a parameter keeps.  0 is plain descent.
    dampening : float
        δ, at most 1: what the gradient loses on its way into the velocity.
    weight_decay : float
        λ, zero or more: pulls every parameter towards zero, as adding ½ λ ‖p‖² to the loss does.
    nesterov : bool
        Looks one step of the velocity ahead; needs momentum and no dampening.
    maximize : bool
        Ascends instead.

    Raises
    ------
    TypeError, ValueError
        As `Optimiser` does, with the argument, what it is and what was expected.

    Notes
    -----
    A parameter without a gradient keeps its place and its velocity.  The formulas and their order are
    PyTorch's, where the learning rate multiplies the velocity and not the gradient: changing `lr` acts on the
    whole of the next step.  Source of the look-ahead: Sutskever, Martens, Dahl, Hinton, "On the importance of
    initialization and momentum in deep learning", 2013, in the variables after the look-ahead.

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

    complex = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            maximize,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
        )

    def check(self, settings: Mapping[str, Any]) -> None:
        """Nesterov's look-ahead is along a velocity."""
        momentum, dampening = settings["momentum"], settings["dampening"]
        if settings["nesterov"] and (not momentum or dampening):
            raise ValueError(
                f"SGD: nesterov is True with momentum {momentum} and dampening {dampening}; expected a "
                "momentum above 0 and no dampening"
            )

    def start(self, zeros: Any, *, momentum: float, dampening: float, **_: Any) -> dict[str, Any]:
        """A velocity, and with dampening whether there was a step: the first is not dampened."""
        if not momentum:
            return {}
        return {"momentum": zeros, "started": 0.0} if dampening else {"momentum": zeros}

    def update(
        self, p: Any, g: Any, state: dict[str, Any], *,
        lr: Any, momentum: float, dampening: float, weight_decay: float, nesterov: bool,
    ) -> Any:  # fmt: skip
        """Carry out the formula of the class."""
        if weight_decay:
            g = g + weight_decay * p
        if momentum:
            if dampening:
                v = momentum * state["momentum"] + (1.0 - dampening * state["started"]) * g
                state["started"] = 1.0
            else:
                v = momentum * state["momentum"] + g
            state["momentum"] = v
            g = g + momentum * v if nesterov else v
        return p - lr * g
