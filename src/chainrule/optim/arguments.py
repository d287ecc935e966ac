"""What an optimiser is given: parameters, groups of them, and numbers, each checked where it arrives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.value import Value

__all__ = ["check_number", "check_settings", "leaves"]

_NOT_NEGATIVE = "zero or more", lambda x: x >= 0
_BELOW_ONE = "at least 0 and below 1", lambda x: 0 <= x < 1

# By the names that PyTorch gives them: what is expected, and whether a number is that.
_RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "lr": ("zero or more; to ascend, maximize=True", lambda x: x >= 0),
    "momentum": ("zero or more, usually below 1", lambda x: x >= 0),
    "dampening": ("at most 1", lambda x: x <= 1),
    "weight_decay": _NOT_NEGATIVE,
    "eps": _NOT_NEGATIVE,
    "lr_decay": _NOT_NEGATIVE,
    "initial_accumulator_value": _NOT_NEGATIVE,
    "alpha": _BELOW_ONE,
    "betas": _BELOW_ONE,
}


def check_number(
    owner: str, argument: str, number: Any, expected: str, holds: Callable[[Any], bool]
) -> float:
    """Return `number` as a float if it is one and `holds`, or say what was expected."""
    if isinstance(number, bool | str) or not isinstance(number, int | float | np.floating | np.integer):
        raise TypeError(f"{owner}: {argument} is {number!r}; expected a number, {expected}")
    if not (math.isfinite(number) and holds(number)):
        raise ValueError(f"{owner}: {argument} is {number}; expected {expected}")
    return float(number)


def check_settings(owner: str, settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Return numbers as floats, pairs as tuples and switches as they are; `where` stands before the name."""
    found: dict[str, Any] = {}
    for name, x in settings.items():
        label = f"{where}[{name!r}]" if where else name
        if name not in _RANGES:  # a switch
            if not isinstance(x, bool):
                raise TypeError(f"{owner}: {label} is {x!r}; expected True or False")
            found[name] = x
        elif name != "betas":
            found[name] = check_number(owner, label, x, *_RANGES[name])
        elif not isinstance(x, tuple | list) or len(x) != 2:
            raise TypeError(f"{owner}: {label} is {x!r}; expected two numbers, such as (0.9, 0.999)")
        else:
            found[name] = tuple(
                check_number(owner, f"{label}[{i}]", b, *_RANGES[name]) for i, b in enumerate(x)
            )
    return found


def leaves(owner: str, params: Any, label: str = "params", complex: bool = False) -> list[Value]:
    """List what is to be trained, each Value once; complex ones only where the rule allows them."""
    if isinstance(params, Value | Mapping) or not isinstance(params, Iterable):
        hint = "model.parameters()" if hasattr(params, "parameters") else "a list of Values"
        raise TypeError(f"{owner}: {label} is a {type(params).__name__}; expected {hint}")
    found: dict[int, Value] = {}
    for i, parameter in enumerate(params):
        if not isinstance(parameter, Value):
            raise TypeError(
                f"{owner}: {label}[{i}] is a {type(parameter).__name__}; expected a Value: "
                "wrap what is to be trained in Value(...)"
            )
        if parameter.primitive is not None:
            raise TypeError(
                f"{owner}: {label}[{i}] is the result of an operation; expected leaf Values, which no "
                "operation made: pass the Values it was computed from"
            )
        if parameter.dtype.kind == "c" and not complex:
            raise TypeError(
                f"{owner}: {label}[{i}] is of dtype {parameter.dtype}; expected real numbers: train the real "
                "and the imaginary part as two Values, or with SGD"
            )
        found[id(parameter)] = parameter
    if not found:
        raise ValueError(
            f"{owner}: {label} is empty; expected at least one Value, as from model.parameters()"
        )
    return list(found.values())
