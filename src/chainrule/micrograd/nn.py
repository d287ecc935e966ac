"""micrograd's ``nn``: neurons, layers and multilayer perceptrons made of scalars.

Weights are drawn from Python's `random` in micrograd's order, so one seed gives one network in both.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from chainrule.micrograd.engine import Value

__all__ = ["Layer", "MLP", "Module", "Neuron"]


class Module:
    """Something with parameters."""

    def parameters(self) -> list[Value]:
        """Every weight and bias, in the order of creation."""
        return []

    def zero_grad(self) -> None:
        """Set every parameter's gradient to zero."""
        for p in self.parameters():
            p.grad = 0.0


class Neuron(Module):
    """``relu(Σ wᵢ xᵢ + b)``, or without the relu.

    Parameters
    ----------
    nin : int
        Number of inputs.
    nonlin : bool
        Whether there is a relu.

    Attributes
    ----------
    w : list of Value
        Weights, uniform between -1 and 1.
    b : Value
        Bias, zero.
    nonlin : bool

    Examples
    --------
    >>> random.seed(1337)
    >>> n = Neuron(2)
    >>> n
    ReLUNeuron(2)
    >>> x = [Value(1.0), Value(-2.0)]
    >>> y = n(x)
    >>> y.backward()
    >>> y.data == n.w[0].data - 2 * n.w[1].data, n.w[1].grad, n.b.grad
    (True, -2.0, 1.0)
    """

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w = [Value(random.uniform(-1.0, 1.0)) for _ in range(nin)]
        self.b = Value(0.0)
        self.nonlin = nonlin

    def __call__(self, x: Sequence[Any]) -> Any:
        if len(x) != len(self.w):
            raise ValueError(
                f"{self!r}: x has {len(x)} entries, expected {len(self.w)}, one for each weight; "
                "make the network with as many inputs as the data has columns"
            )
        act: Any = sum(map(operator.mul, self.w, x), self.b)
        return act.relu() if self.nonlin else act

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]

    def __repr__(self) -> str:
        kind = "ReLU" if self.nonlin else "Linear"
        return f"{kind}Neuron({len(self.w)})"


class Layer(Module):
    """Neurons side by side, all reading the same inputs.

    Parameters
    ----------
    nin, nout : int
        Numbers of inputs and of neurons.
    **kwargs
        For each `Neuron`: ``nonlin``.

    Attributes
    ----------
    neurons : list of Neuron

    Examples
    --------
    >>> Layer(3, 2, nonlin=False)
    Layer of [LinearNeuron(3), LinearNeuron(3)]
    """

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        """A list of outputs; the output itself where there is only one neuron."""
        out = [neuron(x) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Value]:
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(repr, self.neurons))}]"


class MLP(Module):
    """Layers one after the other, relu between them, the last one linear.

    Parameters
    ----------
    nin : int
        Number of inputs.
    nouts : list of int
        Number of neurons of each layer.

    Attributes
    ----------
    layers : list of Layer

    Examples
    --------
    >>> random.seed(1337)
    >>> model = MLP(2, [16, 16, 1])
    >>> len(model.parameters())
    337
    >>> model([0.5, -0.5]).backward()
    >>> sum(p.grad != 0 for p in model.parameters()) > 100
    True
    """

    def __init__(self, nin: int, nouts: Sequence[int]) -> None:
        sizes = [nin, *nouts]
        last = len(sizes) - 2
        self.layers = [Layer(*pair, nonlin=i != last) for i, pair in enumerate(pairwise(sizes))]

    def __call__(self, x: Sequence[Any]) -> Any:
        out: Any = x
        for layer in self.layers:
            out = layer([out] if out is not x and type(out) is Value else out)  # one neuron gives no list
        return out

    def parameters(self) -> list[Value]:
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(repr, self.layers))}]"
