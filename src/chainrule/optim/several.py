"""Several optimisers as one: each part of a model with its own rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.optim.optimiser import Group, Optimiser
from chainrule.optim.state import load, numbers
from chainrule.value import Value

__all__ = ["Several"]


class Several:
    """Optimisers that step together, such as one per module; used as one where an optimiser is.

    Parameters
    ----------
    *optimisers : Optimiser
        At least one; no Value may be in two of them, as it would move twice.

    Attributes
    ----------
    optimisers : tuple of Optimiser
    parameters : list of Value
        Of all of them.
    param_groups : list of Group
        Of all of them.  A schedule made for the whole changes the rates of all, each from where it starts;
        one made for a single optimiser changes that one alone.

    Raises
    ------
    TypeError, ValueError
        If something else is given, or a Value is in two optimisers.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, optim
    >>> encoder, head = nn.Linear(4, 8, rng=0), nn.Linear(8, 1, rng=1)
    >>> opt = optim.Several(
    ...     optim.SGD(encoder.parameters(), lr=0.01, momentum=0.9), optim.Adam(head.parameters(), lr=0.001)
    ... )
    >>> np.mean(head(np.tanh(encoder(np.ones((5, 4))))) ** 2).backward()
    >>> opt.step()
    >>> opt.zero_grad()
    >>> [group["lr"] for group in opt.param_groups]
    [0.01, 0.001]
    """

    def __init__(self, *optimisers: Optimiser) -> None:
        if not optimisers:
            raise ValueError("Several: no optimisers are given; expected at least one")
        met: set[int] = set()
        for i, opt in enumerate(optimisers):
            if not isinstance(opt, Optimiser):
                raise TypeError(
                    f"Several: optimisers[{i}] is a {type(opt).__name__}; expected an Optimiser that steps "
                    "without a closure, each an argument of its own: Several(first, second)"
                )
            here = set(map(id, opt.parameters))
            if here & met:
                raise ValueError(
                    f"Several: {len(here & met)} of the Values of optimisers[{i}] are in one before it and "
                    "would move twice; take them out of one"
                )
            met |= here
        self.optimisers = optimisers

    @property
    def parameters(self) -> list[Value]:
        return [p for opt in self.optimisers for p in opt.parameters]

    @property
    def param_groups(self) -> list[Group]:
        return [group for opt in self.optimisers for group in opt.param_groups]

    def step(self) -> None:
        """Step with each of them."""
        for opt in self.optimisers:
            opt.step()

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for opt in self.optimisers:
            opt.zero_grad()

    def _named_state(self) -> dict[str, Value]:
        states = [opt._named_state() for opt in self.optimisers]
        return {f"{i}.{name}": v for i, state in enumerate(states) for name, v in state.items()}

    def state_dict(self) -> dict[str, Any]:
        """Copies of the state of all, each name with the optimiser's number in front: ``1.mean.0``."""
        return numbers(self._named_state())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken; as `Optimiser.load_state_dict`, all of them or none."""
        load("Several", self._named_state(), state)

    def __repr__(self) -> str:
        return f"Several({', '.join(map(repr, self.optimisers))})"
