"""Containers: modules in a row, around a shortcut, and the step from images to rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Self, overload

from chainrule.nn.arguments import as_operand
from chainrule.nn.module import Module

__all__ = ["Flatten", "Residual", "Sequential"]


class Sequential(Module):
    """One after the other: y = fₙ(… f₂(f₁(x))).

    Parameters
    ----------
    *modules : Module, or function of one argument
        They are named "0", "1", … so that the paths of parameters are PyTorch's: ``"0.weight"``.

    Raises
    ------
    TypeError
        If one of them cannot be called, or is a class.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.ReLU(), nn.Linear(4, 2, rng=1))
    >>> model(np.ones((5, 3))).shape
    (5, 2)
    >>> model[0], len(model[1:]), [name for name, _ in model.named_parameters()]
    (Linear(3 -> 4, 16 parameters, float64), 2, ['0.weight', '0.bias', '2.weight', '2.bias'])
    """

    def __init__(self, *modules: Callable[..., Any]) -> None:
        for m in modules:
            self.append(m)

    def append(self, module: Callable[..., Any]) -> Self:
        """Put one more module at the end; the result is this Sequential."""
        i = len(self)
        if isinstance(module, type):
            raise TypeError(
                f"Sequential: argument {i} is the class {module.__name__}; expected a module made of it: "
                f"{module.__name__}(...)"
            )
        if not callable(module):
            raise TypeError(
                f"Sequential: argument {i} is {module!r}; expected modules, each an argument of its own: "
                "Sequential(a, b), or Sequential(*modules) for a list"
            )
        setattr(self, str(i), module)
        return self

    def forward(self, x: Any) -> Any:
        """Compute the last module's output of the one's before it."""
        for m in self:
            x = m(x)
        return x

    def __iter__(self) -> Iterator[Any]:
        return iter([m for name, m in vars(self).items() if name.isdigit()])

    def __len__(self) -> int:
        return sum(name.isdigit() for name in vars(self))

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: Any) -> Any:
        """The module at a place; of a slice, a Sequential that shares its modules."""
        found = list(self)[index]
        return Sequential(*found) if isinstance(index, slice) else found


class Residual(Module):
    """A shortcut around a module: y = x + f(x).

    Shapes: f keeps the shape of x.

    Parameters
    ----------
    module : Module, or function of one argument

    Raises
    ------
    ValueError
        When called, if f(x) has another shape than x.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.Residual(nn.Tanh())(np.zeros(3))
    array([0., 0., 0.])
    """

    def __init__(self, module: Callable[[Any], Any]) -> None:
        self.module = module

    def forward(self, x: Any) -> Any:
        """Compute x + f(x)."""
        x = as_operand(x)
        y = self.module(x)
        if y.shape != x.shape:
            raise ValueError(f"Residual: the module made {y.shape} of {x.shape}; expected the same shape")
        return x + y


class Flatten(Module):
    """Join axes: (N, C, H, W) becomes (N, C·H·W).

    Parameters
    ----------
    start_dim, end_dim : int
        The first and the last of the axes that are joined.

    Raises
    ------
    ValueError
        When called, if x has no such axes.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.Flatten()(np.zeros((2, 3, 4, 4))).shape
    (2, 48)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Any:
        """Reshape x; the other axes stay."""
        x = as_operand(x)
        n = x.ndim
        first, last = (k + n if k < 0 else k for k in (self.start_dim, self.end_dim))
        if not 0 <= first <= last < n:
            raise ValueError(
                f"Flatten: axes {self.start_dim} to {self.end_dim} of {x.shape}, which has {n}; expected "
                "axes it has, in this order"
            )
        joined = math.prod(x.shape[first : last + 1])
        return x.reshape((*x.shape[:first], joined, *x.shape[last + 1 :]))

    def __repr__(self) -> str:
        return f"Flatten({self.start_dim}, {self.end_dim})"
