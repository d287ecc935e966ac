"""The network of the estimators as functions of arrays: its output, its loss, and steps that train it.

Weights come in a list, matrices first: [W₁ … Wₙ, b₁ … bₙ].  All that is a number or an array is an argument,
and nothing is changed in place, so that one compiled program serves all estimators of the same shapes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.derivatives import value_and_grad
from chainrule.functions import logsumexp, relu, sigmoid, softmax, softplus, xlogy

__all__ = ["ACTIVATIONS", "outputs", "probabilities", "program"]

Array = NDArray[Any]
Weights = list[Any]

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x, "logistic": sigmoid, "tanh": np.tanh, "relu": relu,
}  # fmt: skip

# output activation: (what it makes of the scores z, the loss of each sample by scores and targets)
_OUTPUTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "softmax": (softmax, lambda z, y: logsumexp(z, axis=1) - np.sum(y * z, axis=1)),
    "logistic": (sigmoid, lambda z, y: np.sum(softplus(z) - y * z, axis=1)),
    "identity": (lambda z: z, lambda z, y: 0.5 * np.sum((z - y) ** 2, axis=1)),
    "exp": (np.exp, lambda z, y: np.sum(np.exp(z) - y * z + xlogy(y, y) - y, axis=1)),
}


def _scores(weights: Weights, x: Any, activation: str) -> Any:
    """The output before its last function: x is (B, n_in), the result (B, n_out)."""
    n = len(weights) // 2
    for i in range(n):
        x = x @ weights[i] + weights[n + i]
        x = ACTIVATIONS[activation](x) if i < n - 1 else x
    return x


def outputs(weights: Weights, x: Array, activation: str, out: str) -> Array:
    """Compute the network's output: the mean, a probability for each class, or one for each label."""
    return _OUTPUTS[out][0](_scores(weights, x, activation))  # type: ignore[no-any-return]


def probabilities(weights: Weights, x: Array, activation: str, out: str) -> Array:
    """Compute probabilities of a classifier; a single output's are those of two classes, as columns."""
    z = _scores(weights, x, activation)
    if out == "softmax":
        return softmax(z)  # type: ignore[no-any-return]
    # of -z, not 1 - p: which would be 0 where p rounds to 1
    return np.hstack([sigmoid(-z), sigmoid(z)]) if z.shape[1] == 1 else sigmoid(z)


# -------------------------------------------------------------------- training


def _adam(
    weights: Weights, state: list[Weights], slope: Weights, rate: Any, beta1: Any, beta2: Any, epsilon: Any
) -> tuple[Weights, list[Weights]]:
    means = [beta1 * m + (1.0 - beta1) * g for m, g in zip(state[0], slope)]
    squares = [beta2 * v + (1.0 - beta2) * (g * g) for v, g in zip(state[1], slope)]
    moved = [w - rate * (m / (np.sqrt(v) + epsilon)) for w, m, v in zip(weights, means, squares)]
    return moved, [means, squares]


def _momentum(
    weights: Weights, state: list[Weights], slope: Weights, rate: Any, momentum: Any
) -> tuple[Weights, list[Weights]]:
    velocity = [momentum * v - rate * g for v, g in zip(state[0], slope)]
    return [w + v for w, v in zip(weights, velocity)], [velocity]


def _nesterov(
    weights: Weights, state: list[Weights], slope: Weights, rate: Any, momentum: Any
) -> tuple[Weights, list[Weights]]:
    velocity = [momentum * v - rate * g for v, g in zip(state[0], slope)]
    return [w + (momentum * v - rate * g) for w, v, g in zip(weights, velocity, slope)], [velocity]


RULES: dict[str, Callable[..., tuple[Weights, list[Weights]]]] = {
    "adam": _adam,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "none": lambda weights, state, slope: (slope, state),  # the gradients themselves
}


def _step(rule: str, activation: str, out: str) -> Callable[..., Any]:
    def loss(weights: Weights, x: Any, y: Any, sample: Any, alpha: Any) -> Any:
        """Σᵢ sᵢ ℓ(zᵢ, yᵢ) / S + ½ alpha Σ W² / S, with S the sum of the samples' weights sᵢ."""
        each = _OUTPUTS[out][1](_scores(weights, x, activation), y)
        squares: Any = sum(np.sum(w * w) for w in weights[: len(weights) // 2])
        return (np.sum(sample * each) + 0.5 * alpha * squares) / np.sum(sample)

    def step(weights: Weights, state: list[Weights], data: Any, alpha: Any, *settings: Any) -> Any:
        value, slope = value_and_grad(loss)(weights, *data, alpha)
        return value, *RULES[rule](weights, state, slope, *settings)

    return step


@functools.lru_cache(maxsize=64)
def _compiled(rule: str, activation: str, out: str, shapes: Any) -> Callable[..., Any]:
    """One function, and so one program, for each kind of network and shape of its arguments."""
    from chainrule.native.compile import compile

    return compile(_step(rule, activation, out))  # type: ignore[no-any-return]


def program(
    rule: str, activation: str, out: str, weights: Weights, rows: int, steps: float
) -> Callable[..., Any]:
    """A training step: (weights, state, (x, y, sample weights), alpha, *settings) to (loss, weights, state).

    Parameters
    ----------
    rule : str
        One of RULES: how weights follow their gradients; its settings are the last arguments of the step.
    activation, out : str
        Names of the hidden and of the last function.
    weights : list of array
    rows : int
        Samples in a batch.
    steps : float
        How many are to be taken; for a few nothing is compiled.
    """
    if steps < WORTH or not _can_compile():
        return _step(rule, activation, out)
    return _compiled(rule, activation, out, (rows, *[(w.shape, w.dtype) for w in weights]))


WORTH = 100  # steps that cost, uncompiled, about as much as compiling


@functools.cache
def _can_compile() -> bool:
    try:
        import llvmlite  # noqa: F401
        import scipy.linalg  # noqa: F401
    except ImportError:
        return False
    return True
