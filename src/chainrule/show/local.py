"""The local derivative of one operation in one operand: its formula and its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.primitives import Elementwise, Special
from chainrule.show import operators, summary
from chainrule.show.symbolic import Formula, read
from chainrule.sweeps.adjoint import adjoint
from chainrule.value import Value

__all__ = ["Local", "local_derivative", "partial_in_symbols"]

LARGEST = 10_000  # entries; the partials of larger arrays are not computed for a picture


@dataclass(frozen=True, slots=True)
class Local:
    """A local derivative in symbols, or as an operator in words; its value as text, and as a number."""

    formula: str = ""
    operator: str = ""
    value: str = ""
    number: float | None = None


def local_derivative(
    v: Value, position: int, operands: Sequence[Formula], names: Mapping[int, str | Formula]
) -> Local:
    """Find the local derivative of a node in one of its operands.

    Parameters
    ----------
    v : Value
        The result of an operation.
    position : int
        Which operand.
    operands : sequence of Formula
        The operands' names.
    names : mapping of int to str
        The names of Values by identity; the result's own may stand in a formula.

    Examples
    --------
    >>> import numpy as np
    >>> x = Value(0.5)
    >>> y = np.tanh(x)
    >>> local_derivative(y, 0, [Formula.name("x")], {id(x): "x", id(y): "y"})
    Local(formula='sech²(x)', operator='', value='0.78645', number=0.786...)
    """
    primitive = v.primitive
    assert primitive is not None
    small = max([v.size, *(np.size(a) for a in v.args)]) <= LARGEST
    formula, operator, value, number = "", "", "", None
    # What a rule does with its operands is its own affair; a picture does without what fails.
    with np.errstate(all="ignore"):
        if small and (isinstance(primitive, Elementwise) or _all_scalar(v)):
            with suppress(Exception):
                value, number = _number(v, position)
        elif small and isinstance(primitive, Special) and not v.shape:
            with suppress(Exception):
                value = _row(v, position)
        if isinstance(primitive, Elementwise):
            with suppress(Exception):
                formula = _formula(v, position, names, small, number)
                partial = primitive.partials[position]
                if number is None and not callable(partial) and formula == str(Formula.constant(partial)):
                    value = ""  # an array of that one number
        elif not (isinstance(primitive, Special) and value):
            operator = operators.describe(primitive, position, operands, v.params)
    return Local(formula, operator, value, number)


def _all_scalar(v: Value) -> bool:
    return not v.shape and all(np.ndim(a) == 0 for a in v.args)


def _number(v: Value, position: int) -> tuple[str, float | None]:
    """Push a tangent of one through the operation: for an elementwise one, all its partials."""
    primitive = v.primitive
    assert primitive is not None
    tangents: list[Any] = [None] * len(v.args)
    tangents[position] = 1.0
    d = primitive.push(v._raw, v.args, tangents, v.params)
    d = 0.0 if d is None else d
    number = float(d) if np.ndim(d) == 0 and np.isrealobj(d) else None
    return summary.spread(d), number


def _row(v: Value, position: int) -> str:
    """The partials of a scalar in all the entries of an operand: one step of the adjoint sweep."""
    x = v.inputs[position]
    if sum(x is other for other in v.inputs) > 1:  # the sweep would have added them up
        return ""
    one = 1.0 if type(v._raw) is float else np.ones_like(v._raw)[()]
    return summary.spread(adjoint([(v, one)], until=v.serial - 1, record=False)[x])


def _formula(
    v: Value, position: int, names: Mapping[int, str | Formula], small: bool, number: float | None
) -> str:
    """The partial in symbols; first entries stand for a large array, so that no second one is made."""
    primitive = v.primitive
    assert isinstance(primitive, Elementwise)
    sample = _whole if small else _first
    args = [
        Value(sample(a)) if isinstance(x, Value) or _floats(a) else a for x, a in zip(v.inputs, v.args)
    ]
    called = [names.get(id(x)) for x in v.inputs]
    text = partial_in_symbols(primitive, position, sample(v._raw), args, v.params, called, names[id(v)])
    selects = primitive.lanes is not None and primitive.lanes[position] is not None
    if selects and number is None:  # some elements of an array reached the result, others did not
        return f"{text} or 0"
    return "0" if selects and number == 0 else text


def partial_in_symbols(
    primitive: Elementwise,
    position: int,
    y: Any,
    args: Sequence[Any],
    params: Mapping[str, Any],
    called: Sequence[str | Formula | None],
    result: str | Formula,
) -> str:
    """Call the rule's own partial on Values and read what it recorded.

    Parameters
    ----------
    y : raw data
    args : sequence of Values, and of raw data that stand for themselves
    called : sequence of names
        What the operands are called; None for what has no name.
    result : name

    Returns
    -------
    str
        Empty where the formula would be too long to be read.
    """
    partial = primitive.partials[position]
    if partial is None:
        return "0"
    if not callable(partial):
        return str(Formula.constant(partial))
    out = Value(y)
    names = {id(a): name for a, name in zip(args, called) if name is not None and isinstance(a, Value)}
    names[id(out)] = result
    formula = read(partial(out, *args, **params), names)
    return "" if formula is None else str(formula)


def _floats(a: Any) -> bool:
    """Whether it may stand for a name in a formula; a plain number stands for itself."""
    return isinstance(a, np.ndarray) and a.dtype.kind in "fc"


def _whole(a: Any) -> Any:
    return a


def _first(a: Any) -> Any:
    return a.flat[0] if isinstance(a, np.ndarray) and a.size else a
