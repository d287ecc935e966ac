"""One element picked from each row: ``x[np.arange(n), labels]`` and its transpose, as loops have them.

A pick from the result of an elementwise operation is that operation on picks from its operands, so the
whole result need not lie in memory. The transpose, zeros with one number in each row, is
``where(column == label, g, 0)``, which fuses with what reads it; only where another operation checks the
labels, because a comparison does not notice one that is out of bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.native.operations import BOOL, ELEMENTWISE, INT32, INT64
from chainrule.native.reference import order
from chainrule.native.simplify import with_inputs
from chainrule.traced import Traced

__all__ = ["picks"]


def picks(roots: Sequence[Traced]) -> list[Traced]:
    """The program with picks moved to where they cost least."""
    nodes = order(roots)
    if not any(_of_rows(x) for x in nodes):
        return list(roots)
    new: dict[Traced, Traced] = {}
    checked: set[tuple[Traced, int]] = set()
    for x in nodes:
        y = with_inputs(x, tuple([new[i] for i in x.inputs]))
        if y.op == "gather" and _of_rows(y):
            y = _from_operands(y)
        new[x] = y
    roots = [new[r] for r in roots]
    for x in order(roots):
        if x.op == "gather" and _of_rows(x):
            checked.add((x.inputs[2], x.inputs[0].shape[1]))
    new.clear()
    for x in order(roots):
        y = with_inputs(x, tuple([new[i] for i in x.inputs]))
        if _is_checked(x, checked):
            y = _one_of_row(y)
        elif x.op == "sum" and x.params["axis"] == (1,) and _is_checked(x.inputs[0], checked):
            y = _number_of_row(x, new[x.inputs[0].inputs[0]])
        new[x] = y
    return [new[r] for r in roots]


def _is_checked(x: Traced, checked: set[tuple[Traced, int]]) -> bool:
    """Whether ``x`` puts back one element of each row, by labels of which another operation has made sure."""
    return x.op == "scatter_add" and _of_rows(x) and (x.inputs[2], x.shape[1]) in checked


def _of_rows(x: Traced) -> bool:
    """Whether ``x`` picks, or puts back, one element of each row of a matrix."""
    if x.op not in ("gather", "scatter_add") or len(x.inputs) != 3:
        return False
    shape = x.inputs[0].shape if x.op == "gather" else x.shape
    _, rows, labels = x.inputs
    if len(shape) != 2 or rows.op != "constant" or rows.shape != (shape[0],) or labels.shape != rows.shape:
        return False
    return bool(np.array_equal(rows.params["value"], np.arange(shape[0])))


def _from_operands(x: Traced) -> Traced:
    """The pick from an elementwise operation's result, as the operation on picks."""
    made: dict[Traced, Traced] = {}
    waiting = [x.inputs[0]]
    while waiting:
        y = waiting[-1]
        if y in made:
            waiting.pop()
            continue
        if y.op not in ELEMENTWISE or y.shape != x.inputs[0].shape:
            made[y] = _pick(x, y)
            continue
        missing = [i for i in y.inputs if i not in made]
        if missing:
            waiting += missing
            continue
        inputs = tuple([made[i] for i in y.inputs])
        made[y] = Traced(y.origin, y.op, inputs, x.shape, y.dtype, False, y.params)
    return made[x.inputs[0]]


def _pick(x: Traced, operand: Traced) -> Traced:
    """The elements of an operand, of any shape that broadcasts to the matrix, that belong to the pick."""
    rows, columns = x.inputs[0].shape
    shape = operand.shape
    if shape in ((), (1,)):
        return operand
    if shape == (rows, columns):
        return Traced(x.origin, "gather", (operand, *x.inputs[1:]), x.shape, operand.dtype, False, x.params)
    if shape[-1] == 1:
        return Traced(x.origin, "reshape", (operand,), (rows if shape[0] == rows else 1,), operand.dtype)
    flat = operand if len(shape) == 1 else Traced(x.origin, "reshape", (operand,), (columns,), operand.dtype)
    return Traced(x.origin, "gather", (flat, x.inputs[2]), x.shape, operand.dtype, False, x.params)


def _one_of_row(x: Traced) -> Traced:
    """``where(column == label, g, 0)``; a label below zero counts from the end."""
    g, _, labels = x.inputs
    rows, columns = x.shape

    def node(
        op: str, inputs: tuple[Traced, ...], shape: tuple[int, ...], dtype: Any, **params: Any
    ) -> Traced:
        return Traced(x.origin, op, inputs, shape, dtype, False, params)

    def number(value: int, dtype: Any) -> Traced:
        return node("constant", (), (), dtype, value=np.array(value, dtype))

    # Whole numbers as wide as the floats beside them: as many to a vector.
    wide = INT32 if x.dtype.itemsize == 4 and columns < 2**31 else INT64
    low = node("less", (labels, number(0, INT64)), (rows,), BOOL)
    again = node("add", (labels, number(columns, INT64)), (rows,), INT64)
    label = node("where", (low, again, labels), (rows,), INT64)
    label = node("reshape", (label,), (rows, 1), INT64)
    if wide is INT32:
        label = node("cast", (label,), (rows, 1), wide)
    here = node("equal", (node("iota", (), (1, columns), wide, start=0), label), x.shape, BOOL)
    zero = node("constant", (), (), x.dtype, value=np.zeros((), x.dtype))
    return node("where", (here, node("reshape", (g,), (rows, 1), x.dtype), zero), x.shape, x.dtype)


def _number_of_row(x: Traced, g: Traced) -> Traced:
    """The sum of a row with one number in it: that number, and 0 for -0."""
    zero = Traced(x.origin, "constant", (), (), x.dtype, False, {"value": np.zeros((), x.dtype)})
    y = Traced(x.origin, "add", (g, zero), g.shape, x.dtype)
    return y if x.shape == g.shape else Traced(x.origin, "reshape", (y,), x.shape, x.dtype)
