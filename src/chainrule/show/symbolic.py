"""Formulas: what a rule computes, read off the graph that it records.

A partial derivative is stated once, as a function of the output and the inputs. Called on Values
it leaves a graph behind, and that graph, written with the names of the operands, is the formula
``1 - y²`` or ``w1`` that stands on an edge. No rule knows that it is being read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.graph import order
from chainrule.show import summary
from chainrule.value import Value

__all__ = ["Formula", "call", "read"]

_SUM, _PRODUCT, _POWER, _ATOM = 1, 2, 4, 5
_LARGEST = 60  # nodes; a longer formula says less than its number
_PLAIN = re.compile(r"[^\W\d]\w*([.]\w+|\[[\w.'\"-]*\])*…?", re.UNICODE)
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as text, with how tightly its outermost operation binds.

    Attributes
    ----------
    text : str
    binds : int
        From 1 for a sum to 5 for a single name.
    number : float, optional
        For a plain number, its value.
    opposite : Formula, optional
        For what begins with a minus, the same without it.
    """

    text: str
    binds: int = _ATOM
    number: float | None = None
    opposite: Formula | None = None

    def __str__(self) -> str:
        return self.text

    def within(self, binds: int) -> str:
        """Write the text for use as an operand, in parentheses if it binds less tightly."""
        return self.text if self.binds >= binds else f"({self.text})"

    @classmethod
    def name(cls, text: str) -> Formula:
        """Write a name; one that is itself an expression (``"a + b"``) gets parentheses where needed."""
        text = summary.shorten(summary.printable(text), 24)
        return cls(text, _ATOM if _PLAIN.fullmatch(text) else 0)

    @classmethod
    def constant(cls, x: Any) -> Formula:
        """Write a number, or an array briefly; an array of equal numbers is that number."""
        kind = np.asarray(x).dtype.kind
        if kind in "fiub" and np.size(x) and np.all(x == np.ravel(x)[0]):
            x = float(np.ravel(x)[0])
            text = summary.number(abs(x))
            return cls(text, number=x) if not np.signbit(x) else _negative(cls(text, number=abs(x)))
        if kind == "c" and np.ndim(x) == 0:
            text = summary.number(x)
            return cls(text, _SUM if np.real(x) or text.startswith("-") else _ATOM)
        text = summary.constant(x)
        if isinstance(x, np.ndarray) and x.ndim and (len(text) > 20 or "…" in text):
            text = f"[{'×'.join(map(str, x.shape))}]"  # its shape, where its entries would take too long
        return cls(summary.shorten(text, 20))


def call(
    symbol: str, operands: Sequence[Formula], params: Mapping[str, Any] | None = None, name: str = ""
) -> Formula:
    """Write one operation applied to operands.

    Parameters
    ----------
    symbol : str
        Decides the notation: between two operands, before or behind one, or as a function.
    operands : sequence of Formula
    params : mapping, optional
        Static parameters; those that are None or False say nothing and are left out.
    name : str, optional
        The function's name in place of the symbol.

    Examples
    --------
    >>> a, b = Formula.name("a"), Formula.name("b")
    >>> print(call("*", [call("+", [a, b]), b]), "or", call("Σ", [a], {"axis": 0}, name="sum"))
    (a + b) * b or sum(a, axis=0)
    >>> print(call("[]", [a], {"index": (slice(1, None), 0)}), call("-", [a]), call("²", [a]))
    a[1:, 0] -a a²
    """
    if len(operands) == 2 and symbol in _INFIX:
        left, right = operands
        binds = _INFIX[symbol]
        # a - (b - c), a / (b / c): the right operand must bind more tightly; for ** it is the left.
        lower, upper = (binds + 1, binds) if symbol == "**" else (binds, binds + 1)
        return Formula(f"{left.within(lower)} {symbol} {right.within(upper)}", binds)
    if len(operands) == 1:
        x = operands[0]
        if symbol in {"-", "+", "~"}:
            return Formula(f"{symbol}{x.within(_PRODUCT)}", _SUM)
        if symbol in {"²", "ᵀ"}:
            return Formula(f"{x.within(_ATOM)}{symbol}", _POWER)
        if symbol == "[]" and params:
            return Formula(f"{x.within(_ATOM)}[{_index(params['index'])}]")
        if symbol == "‖·‖" and not name:
            return Formula(f"‖{x}‖")
    listed = [str(x) for x in operands]
    listed += [f"{key}={_brief(x)}" for key, x in (params or {}).items() if x is not None and x is not False]
    return Formula(f"{name or symbol}({', '.join(listed)})")


_INFIX = {
    "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT, "%": _PRODUCT, "@": _PRODUCT,
    "**": _POWER, "<": 0, ">": 0, "<=": 0, ">=": 0, "==": 0,
}  # fmt: skip


def _index(index: Any) -> str:
    """Write an index as it stands between brackets."""
    return ", ".join(map(_index_part, index)) if isinstance(index, tuple) else _index_part(index)


def _index_part(part: Any) -> str:
    if isinstance(part, slice):
        ends = ["" if e is None else _brief(e) for e in (part.start, part.stop, part.step)]
        return ":".join(ends if ends[2] else ends[:2])
    return "..." if part is Ellipsis else _brief(part)


def _brief(x: Any) -> str:
    return summary.shorten(summary.printable(x if isinstance(x, str) else summary.constant(x)), 24)


def read(result: Any, names: Mapping[int, str | Formula]) -> Formula | None:
    """Write what was recorded as a formula.

    Parameters
    ----------
    result : Value or raw data
        What a rule gave back.
    names : mapping of int to str or Formula
        The names of the Values the rule was called with, by identity.

    Returns
    -------
    Formula or None
        None where the formula would be too long to be read.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value
    >>> x, n = Value(2.0), Value(3.0)
    >>> print(read(n * x ** (n - 1), {id(x): "x", id(n): "n"}))
    n·x^(n - 1)
    >>> print(read(1 - np.tanh(x) ** 2, {id(x): "x"}))
    1 - tanh(x)²
    """
    if not isinstance(result, Value):
        return Formula.constant(result)
    nodes = order([result])
    if len(nodes) > _LARGEST:
        return None
    written: dict[int, Formula] = {}
    for v in nodes:
        if id(v) in names:
            name = names[id(v)]
            written[id(v)] = name if isinstance(name, Formula) else Formula.name(name)
        elif v.primitive is None:
            written[id(v)] = Formula.constant(v._raw)
        else:
            operands = [written[id(x)] if isinstance(x, Value) else Formula.constant(x) for x in v.inputs]
            written[id(v)] = _simplest(v, operands)
    return written[id(result)]


def _simplest(v: Value, operands: list[Formula]) -> Formula:
    """One operation in the notation of mathematics, without the steps that change nothing."""
    primitive = v.primitive
    assert primitive is not None
    name = primitive.name
    if name in {"broadcast_to", "sum_to", "astype", "conj", "conjugate", "positive"}:
        return operands[0]  # fitting and, for real numbers, nothing at all
    if name == "where":
        return _branch(v, operands)
    write = _NOTATION.get(name)
    return call(primitive.symbol, operands, v.params) if write is None else write(*operands)


def _branch(v: Value, operands: list[Formula]) -> Formula:
    """Of a choice that falls the same way everywhere, only the side that was taken."""
    taken = v.args[0]
    if np.all(taken):
        return operands[1]
    if not np.any(taken):
        return operands[2]
    return Formula(f"{operands[1]} or {operands[2]}", 0)


def _add(a: Formula, b: Formula) -> Formula:
    if a.number == 0:
        return b
    if b.number == 0:
        return a
    if b.opposite is not None:
        return _subtract(a, b.opposite)
    return Formula(f"{a.within(_SUM)} + {b.within(_SUM)}", _SUM)


def _subtract(a: Formula, b: Formula) -> Formula:
    if b.number == 0:
        return a
    if a.number == 0:
        return _negative(b)
    if b.opposite is not None:
        return _add(a, b.opposite)
    return Formula(f"{a.within(_SUM)} - {b.within(_SUM + 1)}", _SUM)


def _multiply(a: Formula, b: Formula) -> Formula:
    if b.number is not None and a.number is None:
        a, b = b, a  # 2·x, not x·2
    if a.number == 1:
        return b
    if a.opposite is not None:  # (-a)·b = -(a·b)
        return _negative(_multiply(a.opposite, b))
    if b.opposite is not None:
        return _negative(_multiply(a, b.opposite))
    if b.number is None and (a.text == b.text or a.text.endswith(f"·{b.text}")) and b.binds == _ATOM:
        return Formula(f"{a.text}²", _POWER if a.text == b.text else _PRODUCT)
    return Formula(f"{a.within(_PRODUCT)}·{b.within(_PRODUCT)}", _PRODUCT)


def _divide(a: Formula, b: Formula) -> Formula:
    if b.number == 1:
        return a
    if a.opposite is not None:
        return _negative(_divide(a.opposite, b))
    if b.opposite is not None:
        return _negative(_divide(a, b.opposite))
    return Formula(f"{a.within(_PRODUCT)}/{b.within(_PRODUCT + 1)}", _PRODUCT)


def _power(a: Formula, b: Formula) -> Formula:
    if b.number == 1:
        return a
    if b.number == 0:
        return _ONE
    if b.number is not None and b.number.is_integer() and abs(b.number) < 100:
        return Formula(a.within(_ATOM) + str(int(b.number)).translate(_SUPERSCRIPT), _POWER)
    return Formula(f"{a.within(_ATOM)}^{b.within(_ATOM)}", _POWER)


def _negative(a: Formula) -> Formula:
    if a.opposite is not None:
        return a.opposite
    return Formula(f"-{a.within(_PRODUCT)}", _SUM, None if a.number is None else -a.number, a)


_ONE = Formula("1", number=1.0)
_TWO = Formula("2", number=2.0)

_NOTATION: dict[str, Any] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "true_divide": _divide,
    "power": _power,
    "negative": _negative,
    "reciprocal": lambda a: _divide(_ONE, a),
    "square": lambda a: _power(a, _TWO),
    "absolute": lambda a: Formula(f"|{a}|"),
    "transpose": lambda a, *_: Formula(f"{a.within(_ATOM)}ᵀ"),
}
