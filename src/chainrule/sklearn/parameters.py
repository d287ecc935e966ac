"""The parameters of the estimators: scikit-learn's names, order and defaults, and what they may be."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from chainrule.sklearn.network import ACTIVATIONS

__all__ = ["Parameters"]


@dataclass(eq=False, repr=False)  # scikit-learn compares by identity and has its own repr
class Parameters:
    """What `MLPClassifier` and `MLPRegressor` are made with; as scikit-learn wants it, checked in `fit`."""

    hidden_layer_sizes: Any = (100,)
    activation: str = "relu"
    _: KW_ONLY
    solver: str = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: bool = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000

    def _check_parameters(self) -> None:
        for name, (holds, expected) in _EXPECTED.items():
            value = getattr(self, name, None)
            if hasattr(self, name) and not holds(value):
                raise ValueError(f"{type(self).__name__}: {name} is {value!r}; expected {expected}")

    @property
    def _widths(self) -> list[int]:
        """Of the hidden layers."""
        sizes = self.hidden_layer_sizes
        return [int(n) for n in sizes] if isinstance(sizes, Iterable) else [int(sizes)]


Rule = tuple[Callable[[Any], bool], str]


def _number(holds: Callable[[Any], bool], expected: str) -> Rule:
    return lambda x: isinstance(x, numbers.Real) and not isinstance(x, bool) and holds(x), expected


def _whole(x: Any) -> bool:
    return isinstance(x, int | np.integer) and not isinstance(x, bool) and bool(x >= 1)


def _one_of(*names: str) -> Rule:
    return lambda x: isinstance(x, str) and x in names, "one of " + ", ".join(map(repr, names))


def _widths(x: Any) -> bool:
    return all(map(_whole, x)) if isinstance(x, list | tuple | np.ndarray) else _whole(x)


_COUNT: Rule = (_whole, "an integer, at least 1")
_SWITCH: Rule = (lambda x: isinstance(x, bool | np.bool_), "True or False")
_POSITIVE = _number(lambda x: 0 < x < np.inf, "a positive number")
_NOT_NEGATIVE = _number(lambda x: 0 <= x < np.inf, "a number, zero or more")
_BELOW_ONE = _number(lambda x: 0 <= x < 1, "a number, at least 0 and below 1")

_EXPECTED: dict[str, Rule] = {
    "hidden_layer_sizes": (_widths, "positive integers, one for each hidden layer, such as (100,)"),
    "activation": _one_of(*ACTIVATIONS),
    "solver": _one_of("adam", "sgd", "lbfgs"),
    "alpha": _NOT_NEGATIVE,
    "batch_size": (
        lambda x: x == "auto" if isinstance(x, str) else _whole(x), "'auto' or an integer, at least 1"
    ),
    "learning_rate": _one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": _POSITIVE,
    "power_t": _NOT_NEGATIVE,
    "max_iter": _COUNT,
    "shuffle": _SWITCH,
    "tol": _NOT_NEGATIVE,
    "verbose": (lambda x: isinstance(x, numbers.Integral | np.bool_), "True, False or an integer"),
    "warm_start": _SWITCH,
    "momentum": _number(lambda x: 0 <= x <= 1, "a number from 0 to 1"),
    "nesterovs_momentum": _SWITCH,
    "early_stopping": _SWITCH,
    "validation_fraction": _BELOW_ONE,
    "beta_1": _BELOW_ONE,
    "beta_2": _BELOW_ONE,
    "epsilon": _POSITIVE,
    "n_iter_no_change": (lambda x: _whole(x) or x == np.inf, "an integer, at least 1, or inf"),
    "max_fun": _COUNT,
    "loss": _one_of("squared_error", "poisson"),
}  # fmt: skip
