"""Recurrent layers: RNN, LSTM, GRU, each a `chainrule.scan` over the sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from chainrule.control import scan
from chainrule.functions import relu, sigmoid
from chainrule.nn.arguments import as_operand, at_least, floating, size_of
from chainrule.nn.dropout import Dropout
from chainrule.nn.module import Module
from chainrule.value import Value

__all__ = ["GRU", "LSTM", "RNN"]

Step = Callable[[tuple[Any, ...], Any], tuple[tuple[Any, ...], Any]]


class _Recurrent(Module):
    """What all have: a pair of weights and of biases for each layer and direction, and the loops."""

    gates: ClassVar[int] = 1  # how many signals of the hidden size a step computes
    carried: ClassVar[int] = 1  # how many a step hands to the next

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        bidirectional: bool = False,
        dropout: float = 0.0,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        name = type(self).__name__
        self.input_size = at_least(1, input_size, name, "input_size")
        self.hidden_size = at_least(1, hidden_size, name, "hidden_size")
        self.num_layers = at_least(1, num_layers, name, "num_layers")
        self.bias, self.bidirectional = bias, bidirectional
        if dropout and num_layers == 1:
            raise ValueError(
                f"{name}: dropout is {dropout}, num_layers is 1; it acts between layers: expected two or "
                "more, or nn.Dropout after this layer"
            )
        given, rng = rng, np.random.default_rng(rng)
        self.dropout = Dropout(dropout, rng=None if given is None else rng) if dropout else None
        dtype = floating(dtype, name)
        reach = hidden_size**-0.5
        rows = self.gates * hidden_size
        for layer in range(num_layers):
            n_in = input_size if layer == 0 else hidden_size * self._directions
            for suffix in self._suffixes(layer):
                shapes: dict[str, Any] = {"weight_ih": (rows, n_in), "weight_hh": (rows, hidden_size)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                for what, shape in shapes.items():
                    setattr(self, what + suffix, Value(rng.uniform(-reach, reach, shape).astype(dtype)))

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: self._directions]

    def _weights(self, suffix: str) -> tuple[Any, ...]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return tuple([getattr(self, name + suffix, None) for name in names])

    def _step(self, weights: tuple[Any, ...], size: int) -> Step:
        """One step: of (carry, the input's part of the gates) to (carry, output)."""
        raise NotImplementedError

    def _input_bias(self, weights: tuple[Any, ...]) -> Any:
        """What can be added to the inputs of all steps at once."""
        return weights[2] + weights[3]

    def _run(self, x: Any, state: tuple[Any, ...] | None) -> tuple[Any, tuple[Any, ...]]:
        name, hidden = type(self).__name__, self.hidden_size
        x = as_operand(x)
        if x.ndim != 3 or x.shape[-1] != self.input_size:
            raise ValueError(f"{name}: expected (N, T, {self.input_size}), got {x.shape}")
        shape = self.num_layers * self._directions, x.shape[0], hidden
        if state is None:
            dtype = np.result_type(x.dtype, self._weights("_l0")[0].dtype)
            state = (np.zeros(shape, dtype),) * self.carried
        state = tuple([as_operand(s) for s in state])
        for s in state:
            if s.shape != shape:
                raise ValueError(
                    f"{name}: the initial state is {s.shape}; expected {shape}: layers (twice, if "
                    "bidirectional), batch, hidden size"
                )
        x = np.swapaxes(x, 0, 1)  # (T, N, C): the loop is over the first axis
        last = []
        for layer in range(self.num_layers):
            x = x if layer == 0 or self.dropout is None else self.dropout(x)
            outputs = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                weights = self._weights(suffix)
                inputs = x @ weights[0].T
                if self.bias:
                    inputs = inputs + self._input_bias(weights)
                start = tuple([s[layer * self._directions + direction] for s in state])
                carry, ys = scan(self._step(weights, hidden), start, inputs, reverse=direction == 1)
                outputs.append(ys)
                last.append(carry)
            x = np.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
        return np.swapaxes(x, 0, 1), tuple([np.stack(parts) for parts in zip(*last, strict=True)])

    def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        """Run over the sequence; see the class for shapes."""
        y, (h,) = self._run(x, None if state is None else (state,))
        return y, h

    def __repr__(self) -> str:
        extras = f"{self.num_layers} layers, " * (self.num_layers > 1)
        extras += "bidirectional, " * self.bidirectional
        extras += "" if self.dropout is None else f"dropout {self.dropout.p}, "
        suffixes = [s for layer in range(self.num_layers) for s in self._suffixes(layer)]
        size = sum(size_of(*self._weights(suffix)) for suffix in suffixes)
        return (
            f"{type(self).__name__}({self.input_size} -> {self.hidden_size}, {extras}{size:,} parameters, "
            f"{self._weights('_l0')[0].dtype})"
        )


class RNN(_Recurrent):
    """Elman's recurrent layer: hₜ = tanh(xₜ Wᵢᵀ + bᵢ + hₜ₋₁ Wₕᵀ + bₕ).

    Shapes: x is (N, T, input_size), batch first; the result is the pair of outputs (N, T, hidden_size),
    those of the last layer at each step, and the last state (num_layers, N, hidden_size).  A bidirectional
    layer has a second loop from the end, so that outputs have 2 hidden_size and states 2 num_layers.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int
        How many, each on the outputs of the one before.
    nonlinearity : {"tanh", "relu"}
    bias, bidirectional : bool
    dropout : float
        In training, the probability with which each output of a layer is left out for the next layer.
    rng : numpy.random.Generator or int, optional
        Where the initial weights come from, uniform in ±1/√hidden_size, and the draws of dropout.
    dtype : dtype
        Of the parameters; see `Linear`.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, … : Value
        Wᵢ (hidden_size, input_size), Wₕ (hidden_size, hidden_size), bᵢ and bₕ of each layer, with PyTorch's
        names and shapes; ``_reverse`` at the end of the name for the second direction.

    Raises
    ------
    ValueError
        When called, if x or the state has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.RNN(3, 4, rng=0)
    >>> y, h = layer(np.ones((5, 7, 3)))
    >>> y.shape, h.shape, np.array_equal(y.data[:, -1], h.data[0])
    ((5, 7, 4), (1, 5, 4), True)
    >>> y, h = layer(np.ones((5, 7, 3)), h)     # goes on from there
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        **options: Any,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity is {nonlinearity!r}; expected 'tanh' or 'relu'")
        super().__init__(input_size, hidden_size, num_layers, **options)
        self.nonlinearity = nonlinearity

    def _step(self, weights: tuple[Any, ...], size: int) -> Step:
        recurrent = weights[1].T
        f = np.tanh if self.nonlinearity == "tanh" else relu

        def step(carry: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
            (h,) = carry
            h = f(x + h @ recurrent)
            return (h,), h

        return step


class LSTM(_Recurrent):
    """Long short-term memory: a cell that gates write to, keep and read.

    (i, f, g, o) = xₜ Wᵢᵀ + bᵢ + hₜ₋₁ Wₕᵀ + bₕ, cut into four;
    cₜ = σ(f) cₜ₋₁ + σ(i) tanh(g), hₜ = σ(o) tanh(cₜ).

    Shapes, parameters and attributes are those of `RNN` (without nonlinearity), with four times the rows; the
    state is a pair (h, c), and the result (outputs, (h, c)).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0)
    >>> y, (h, c) = layer(np.ones((5, 7, 3)))
    >>> y.shape, h.shape, layer.weight_ih_l1_reverse.shape
    ((5, 7, 8), (4, 5, 4), (16, 8))
    """

    gates, carried = 4, 2

    def _step(self, weights: tuple[Any, ...], size: int) -> Step:
        recurrent = weights[1].T

        def step(carry: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
            h, c = carry
            z = x + h @ recurrent
            i, f, g, o = (z[:, k * size : (k + 1) * size] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            return (h, c), h

        return step

    def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        """Run over the sequence; ``state`` is a pair (h, c)."""
        if state is not None and (not isinstance(state, tuple | list) or len(state) != 2):
            raise TypeError(f"LSTM: the initial state is a {type(state).__name__}; expected a pair (h, c)")
        return self._run(x, None if state is None else tuple(state))


class GRU(_Recurrent):
    """Gated recurrent unit: r and z gate how much of the past goes into the new and stays.

    (r, z, n)ₓ = xₜ Wᵢᵀ + bᵢ and (r, z, n)ₕ = hₜ₋₁ Wₕᵀ + bₕ, each cut into three;
    r = σ(rₓ + rₕ), z = σ(zₓ + zₕ), n = tanh(nₓ + r nₕ), hₜ = (1 - z) n + z hₜ₋₁.

    Shapes, parameters and attributes are those of `RNN` (without nonlinearity), with three times the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> y, h = nn.GRU(3, 4, rng=0)(np.ones((5, 7, 3)))
    >>> y.shape, h.shape
    ((5, 7, 4), (1, 5, 4))
    """

    gates = 3

    def _input_bias(self, weights: tuple[Any, ...]) -> Any:
        return weights[2]

    def _step(self, weights: tuple[Any, ...], size: int) -> Step:
        recurrent, bias = weights[1].T, weights[3]

        def step(carry: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
            (h,) = carry
            past = h @ recurrent if bias is None else h @ recurrent + bias
            (rx, zx, nx), (rh, zh, nh) = (
                [s[:, k * size : (k + 1) * size] for k in range(3)] for s in (x, past)
            )
            r, z = sigmoid(rx + rh), sigmoid(zx + zh)
            n = np.tanh(nx + r * nh)
            h = n + z * (h - n)
            return (h,), h

        return step
