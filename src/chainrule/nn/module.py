"""Module: something with parameters that can be called.

A module is an ordinary object.  Whatever leaf `Value` is found in its attributes - directly, or inside
lists, tuples, dicts and other modules - is a parameter.  Nothing is registered and nothing is declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from reprlib import recursive_repr
from typing import Any

from chainrule.value import Value

__all__ = ["Module"]


class Module:
    """Base of every layer and network: parameters, their gradients, and a call.

    Subclass it, put Values and other modules into attributes, and write `forward`.

    Parameters come in the order in which attributes were first assigned, lists and dicts in their own
    order, so the order is the same in every run.  A Value or module that is reached twice (tied weights, a
    layer used in two places) counts once, under the name it was met with first.  Sets are not searched: they
    have no order.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         self.gain = Value(np.array([1.0, 2.0]))
    ...         self.shift = Value(0.5)
    ...     def forward(self, x):
    ...         return x * self.gain + self.shift
    >>> scale = Scale()
    >>> np.sum(scale(np.array([3.0, 4.0]))).backward()
    >>> {name: p.grad for name, p in scale.named_parameters()}
    {'gain': array([3., 4.]), 'shift': 2.0}
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output; every subclass writes its own.

        Raises
        ------
        NotImplementedError
            When the subclass has none.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: forward is not defined; write `def forward(self, x): ...` in the class"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def named_parameters(self) -> list[tuple[str, Value]]:
        """List every parameter with the path that leads to it, such as ``layers.0.weight``.

        Returns
        -------
        list of (str, Value)
            In the order of definition, each Value once.

        Examples
        --------
        >>> from chainrule import nn
        >>> [name for name, _ in nn.MLP([2, 3, 1], rng=0).named_parameters()]
        ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']
        """
        return list(_walk(self, "", set()))

    def parameters(self) -> list[Value]:
        """List every parameter in the order of definition, each once; what an optimiser takes.

        Examples
        --------
        >>> from chainrule import nn
        >>> [p.shape for p in nn.Linear(3, 2, rng=0).parameters()]
        [(3, 2), (2,)]
        """
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next `backward` starts from none instead of adding to them."""
        for parameter in self.parameters():
            parameter.grad = None

    @recursive_repr()
    def __repr__(self) -> str:
        lines = [
            f"  {name} = {_show(item)}".replace("\n", "\n  ")
            for name, item in vars(self).items()
            if _holds_parameters(item)
        ]
        body = "\n" + "\n".join(lines) + "\n" if lines else ""
        return f"{type(self).__name__}({body})"


def _children(item: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and content of everything directly inside a module or container."""
    if isinstance(item, Module):
        yield from vars(item).items()
    elif isinstance(item, dict):
        yield from ((str(key), inner) for key, inner in item.items())
    elif isinstance(item, list | tuple):
        yield from ((str(i), inner) for i, inner in enumerate(item))


def _walk(item: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Value]]:
    """Yield the leaf Values under `item`, depth first; `seen` holds identities, which also ends cycles."""
    if isinstance(item, Value):
        # A module may keep a result it computed (an activation, a loss): that is not a parameter.
        if item.primitive is None and id(item) not in seen:
            seen.add(id(item))
            yield path, item
    elif isinstance(item, Module | dict | list | tuple) and id(item) not in seen:
        seen.add(id(item))
        for name, inner in _children(item):
            yield from _walk(inner, f"{path}.{name}" if path else name, seen)


def _holds_parameters(item: Any) -> bool:
    return isinstance(item, Module) or next(_walk(item, "", set()), None) is not None


def _show(item: Any) -> str:
    """Show one attribute: modules by their repr, Values by shape and dtype, containers by their content."""
    if isinstance(item, Value):
        return f"Value{item.shape} {item.dtype}"
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key!r}: {_show(inner)}" for key, inner in item.items()) + "}"
    if isinstance(item, list | tuple):
        return "[" + ", ".join(_show(inner) for inner in item) + "]"
    return repr(item)
