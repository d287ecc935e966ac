"""What stands on the edge where the derivative is an operator and not a number.

A linear operation is its own derivative, so its edge says what it does; an operation linear in
each operand multiplies by the other one, so its edge says by what the gradient is multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.primitives import Bilinear, Linear, Primitive
from chainrule.show import summary
from chainrule.show.symbolic import Formula, call

__all__ = ["describe"]


def describe(
    primitive: Primitive, position: int, operands: Sequence[Formula], params: Mapping[str, Any]
) -> str:
    """The derivative of an operation in one operand, in words or as a product.

    Examples
    --------
    >>> from chainrule.rules.matrix import matmul
    >>> x, w = Formula.name("x"), Formula.name("W")
    >>> describe(matmul, 0, [x, w], {}), describe(matmul, 1, [x, w], {})
    ('g ↦ g·Wᵀ', 'g ↦ xᵀ·g')
    """
    if isinstance(primitive, Bilinear):
        other = operands[1 - position].within(5)
        if primitive.name == "matmul":
            return f"g ↦ g·{other}ᵀ" if position == 0 else f"g ↦ {other}ᵀ·g"
        return f"{primitive.name} with {other}"
    if isinstance(primitive, Linear):
        words = _WORDS.get(primitive.name)
        if words is not None:
            return str(words(params, position))
        return str(call(primitive.name, [], params)).removesuffix("()")
    return f"Jacobian of {primitive.name}"


def _over(verb: str) -> Any:
    """``sum over axis 0``, or ``sum`` alone where it takes everything."""

    def words(params: Mapping[str, Any], position: int) -> str:
        axis = params.get("axis")
        if axis is None:
            return f"{verb} over all"
        axes = axis if isinstance(axis, tuple) else (axis,)
        return f"{verb} over {'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes))}"

    return words


def _shape(verb: str) -> Any:
    return lambda params, position: f"{verb} {_tuple(params.get('shape'))}"


def _tuple(x: Any) -> str:
    return summary.shorten(str(x), 24)


_WORDS: dict[str, Any] = {
    "sum": _over("sum"),
    "mean": _over("mean"),
    "cumsum": _over("running sum"),
    "concatenate": lambda params, position: f"part {position} along axis {params.get('axis', 0)}",
    "reshape": _shape("reshape to"),
    "broadcast_to": _shape("repeat to"),
    "sum_to": _shape("sum to"),
    "transpose": lambda params, position: f"axes in order {_tuple(params.get('axes'))}",
    "getitem": lambda params, position: "take " + str(call("[]", [Formula("")], params)),
    "scatter": lambda params, position: "put at " + str(call("[]", [Formula("")], params)),
    "astype": lambda params, position: f"as {getattr(params.get('dtype'), '__name__', params.get('dtype'))}",
    "conj": lambda params, position: "conjugate",
}
