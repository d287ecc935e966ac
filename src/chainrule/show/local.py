"""The local derivative of one operation in one operand: its formula and its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.primitive import Elementwise, Special
from chainrule.show import operators, summary
from chainrule.show.symbolic import Formula, read
from chainrule.sweeps.adjoint import adjoint
from chainrule.value import Value

__all__ = ["Local", "local_derivative"]

LARGEST = 10_000  # entries; the partials of larger arrays are not computed for a picture


@dataclass(frozen=True, slots=True)
class Local:
    """A local derivative in symbols, or as an operator in words; its value as text, and as a number."""

    formula: str = ""
    operator: str = ""
    value: str = ""
    number: float | None = None


def local_derivative(
    v: Value, position: int, operands: Sequence[Formula], names: Mapping[int, str]
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
    d = primitive.push(v._data, v.args, tangents, v.params)
    d = 0.0 if d is None else d
    number = float(d) if np.ndim(d) == 0 and np.isrealobj(d) else None
    return summary.spread(d), number


def _row(v: Value, position: int) -> str:
    """The partials of a scalar in all the entries of an operand: one step of the adjoint sweep."""
    x = v.inputs[position]
    if sum(x is other for other in v.inputs) > 1:  # the sweep would have added them up
        return ""
    one = 1.0 if type(v._data) is float else np.ones_like(v._data)[()]
    return summary.spread(adjoint([(v, one)], until=v.serial - 1, record=False)[x])


def _formula(
    v: Value, position: int, names: Mapping[int, str], small: bool, number: float | None
) -> str:
    """Call the rule's own partial on Values and read what it recorded."""
    primitive = v.primitive
    assert isinstance(primitive, Elementwise)
    partial = primitive.partials[position]
    lanes = primitive.lanes
    selects = lanes is not None and lanes[position] is not None
    if partial is None:
        return "0"
    if not callable(partial):
        text = str(Formula.constant(partial))
    else:
        # A large array is stood for by its first entries, so that no second one is computed.
        sample = _whole if small else _first
        y = Value(sample(v._data))
        args = [
            Value(sample(a)) if isinstance(x, Value) or _floats(a) else a for x, a in zip(v.inputs, v.args)
        ]
        called = {id(a): names[id(x)] for a, x in zip(args, v.inputs) if id(x) in names}
        called[id(y)] = names[id(v)]
        formula = read(partial(y, *args, **v.params), called)
        text = "" if formula is None else str(formula)
    if selects and number is None:  # some elements of an array reached the result, others did not
        return f"{text} or 0"
    return "0" if selects and number == 0 else text


def _floats(a: Any) -> bool:
    """Whether it may stand for a name in a formula; a plain number stands for itself."""
    return isinstance(a, np.ndarray) and a.dtype.kind in "fc"


def _whole(a: Any) -> Any:
    return a


def _first(a: Any) -> Any:
    return a.flat[0] if isinstance(a, np.ndarray) and a.size else a
