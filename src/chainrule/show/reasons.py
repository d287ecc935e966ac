"""Why a local derivative is what it is, in a few words for each operation."""

from __future__ import annotations

from chainrule.primitives import Bilinear, Elementwise, Linear, Primitive

__all__ = ["reason"]


def reason(primitive: Primitive) -> tuple[str, str]:
    """What an operation does with a gradient: a short name for it, and the sentence.

    Examples
    --------
    >>> from chainrule.rules.arithmetic import multiply
    >>> ": ".join(reason(multiply))
    'multiplication swaps: each operand gets the gradient times the other operand'
    """
    known = _REASONS.get(primitive.name)
    if known is not None:
        return known
    for family, why in _FAMILIES:
        if isinstance(primitive, family):
            return f"{primitive.name} {why[0]}", why[1]
    return f"{primitive.name} mixes", "the gradient times the Jacobian, which is not written out"


_SELECTS = "the gradient goes to what was taken, and nothing to the rest; ties share it"
_MOVES = "entries only change places, and the gradient moves back to where they were"

_REASONS: dict[str, tuple[str, str]] = {
    "add": ("addition routes", "each operand gets the gradient as it is"),
    "subtract": ("subtraction routes", "the gradient as it is, with its sign changed for the second operand"),
    "multiply": ("multiplication swaps", "each operand gets the gradient times the other operand"),
    "divide": ("division scales", "z = x/y grows by 1/y in x, and falls by z/y in y"),
    "negative": ("negation", "turns the sign of the gradient"),
    "power": ("a power", "xⁿ grows by n·xⁿ⁻¹ in the base, and by xⁿ·log x in the exponent"),
    "square": ("a square", "x² grows by 2x: x·x, and both factors take their share"),
    "sqrt": ("a square root", "grows by half its reciprocal, infinitely fast at 0"),
    "reciprocal": ("a reciprocal", "1/x falls by 1/x²"),
    "exp": ("exp is its own derivative", "the gradient times the result"),
    "log": ("a logarithm", "grows by 1/x: what counts is the relative change"),
    "tanh": ("tanh saturates", "it grows by 1 - tanh², which is 1 at the origin and vanishes far from it"),
    "sigmoid": ("sigmoid saturates", "it grows by σ(1 - σ), a quarter at most"),
    "relu": ("relu is a gate", "open above 0, where it lets the gradient through as it is; closed below"),
    "maximum": ("maximum selects", _SELECTS),
    "minimum": ("minimum selects", _SELECTS),
    "max": ("max selects", _SELECTS),
    "min": ("min selects", _SELECTS),
    "where": ("where selects", "the gradient goes to the side that was taken"),
    "clip": ("clip is a gate", "open between its bounds, closed beyond them"),
    "absolute": ("an absolute value", "the gradient with the sign of x; at 0 nothing"),
    "sum": ("a sum routes", "every entry gets the gradient of the sum it went into"),
    "mean": ("a mean shares out", "every entry gets its equal part of the gradient"),
    "broadcast_to": ("repeating adds up", "the gradients of all copies are summed"),
    "sum_to": ("a sum routes", "every entry gets the gradient of the sum it went into"),
    "matmul": ("a product of matrices swaps and transposes", "for Z = X·W: X̄ = Z̄·Wᵀ and W̄ = Xᵀ·Z̄"),
    "reshape": ("reshape moves", _MOVES),
    "transpose": ("transpose moves", _MOVES),
    "concatenate": ("concatenate moves", "each part gets its own stretch of the gradient"),
    "getitem": ("an index picks", "the gradient goes to where it was taken from, and nothing to the rest"),
    "softmax": ("softmax competes", "p times the gradient less its mean: what one gains the others lose"),
    "log_softmax": ("log_softmax competes", "the gradient less its sum times the probabilities"),
    "logsumexp": ("logsumexp shares out", "every entry gets the gradient times its softmax"),
}  # fmt: skip

_FAMILIES = [
    (Elementwise, ("scales", "the gradient times the local derivative, entry by entry")),
    (Linear, ("is linear", "the gradient goes back through its transpose")),
    (Bilinear, ("swaps", "linear in each operand: each gets the gradient times the other one")),
]
