"""The survey: a whole graph as columns of plain data, from which the explorer's page chooses what to show.

Where `description` writes every edge out, here is one entry a node, and what many nodes have in common -
operations, formulas, shapes - is said once and referred to by its place in a table. Formulas are templates:
``$0`` and ``$1`` stand for the operands, ``$y`` for the result.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.graph import order
from chainrule.primitive import ONE, Elementwise, Primitive
from chainrule.show import names as naming
from chainrule.show import summary
from chainrule.show.description import nearest
from chainrule.show.gradients import NOT_KEPT, gradients
from chainrule.show.local import local_derivative, partial_in_symbols
from chainrule.show.symbolic import Formula, call
from chainrule.value import Value

__all__ = ["survey"]

VERSION = 2
LARGEST = 70_000  # Values of a graph that is shown whole
CUT = 20_000  # of a larger one so many, those nearest to the outputs
_LONGEST_NAME = 200
_RESULT = Formula("$y")


class Table:
    """Things that many nodes have in common, each once; calling it gives the place."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._places: dict[Hashable, int] = {}

    def __call__(self, x: Any, key: Hashable = None) -> int:
        key = x if key is None else key
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.items)
            self.items.append(x)
        return place


def survey(
    outputs: Sequence[Value], scopes: Iterable[Mapping[str, Any]] = (), title: str = ""
) -> dict[str, Any]:
    """Survey the graph that Values were computed from. Nothing in it is changed.

    Parameters
    ----------
    outputs : sequence of Value
    scopes : iterable of mappings from str to object
        Variables to take names from.
    title : str

    Returns
    -------
    dict
        What JSON can hold; see `chainrule.show.explorer`.

    Examples
    --------
    >>> x = Value(2.0)
    >>> found = survey([x * x], [{"x": x}])
    >>> found["nodes"]["name"], found["nodes"]["local"], found["expressions"]
    (['x', ''], [[], [2.0, 2.0]], ['$0 * $1'])
    """
    everything = order(outputs)
    shown, expanded = everything, None
    if len(everything) > LARGEST:
        shown, expanded = nearest(outputs, CUT)
    nodes = Nodes(shown, list(scopes))
    nodes.gradients = gradients(shown, outputs, everything, short, lost=NOT_KEPT)
    for v in shown:
        nodes.add(v, expanded is None or id(v) in expanded)
    found = nodes.columns()
    found |= {"outputs": [nodes.ids[id(v)] for v in outputs], "left_out": len(everything) - len(shown)}
    return {"chainrule": VERSION, "title": title, **found}


class Nodes:
    """The columns while they grow: a node is added after its operands."""

    def __init__(self, shown: Sequence[Value], scopes: Sequence[Mapping[str, Any]]) -> None:
        self.ids: dict[int, int] = {}
        self.names = naming.find(shown, scopes)
        unnamed = [v for v in shown if v.name is not None]
        self.paths = naming.find_paths(unnamed, scopes) if unnamed else {}
        self.scopes = scopes
        self.gradients: dict[int, Any] = {}
        self.kind: list[str] = []
        self.name: list[str] = []
        self.path: dict[str, str] = {}
        self.op: list[int] = []
        self.inputs: list[list[int]] = []
        self.data: list[Any] = []
        self.gradient: list[Any] = []
        self.shape: list[int] = []
        self.dtype: list[int] = []
        self.local: list[list[Any]] = []
        self.formula: list[list[int]] = []
        self.expression: list[int] = []
        self.operations, self.formulas, self.expressions = Table(), Table(), Table()
        self.shapes, self.dtypes = Table(), Table()
        self._known: dict[Hashable, int] = {}
        self._arrays: dict[int, str] = {}

    def add(self, v: Value, is_open: bool = True) -> None:
        """Add a Value, after those of its operands that are constants."""
        primitive = v.primitive
        operands = [self._operand(x) for x in v.inputs] if primitive is not None and is_open else []
        name = self.names.get(id(v), "")
        self.ids[id(v)] = me = len(self.kind)
        if (path := self.paths.get(id(v))) is not None and path != name:
            self.path[str(me)] = shown_name(path)
        self._entry(
            "l" if primitive is None else "r", name, short(v._current()), v.shape, str(v.dtype), operands
        )
        self.gradient[me] = self.gradients.get(id(v))
        if primitive is not None and is_open:
            symbol = {"name": primitive.name, "symbol": primitive.symbol}
            self.op[me] = self.operations(symbol, (primitive.name, primitive.symbol))
            self.expression[me] = self._expression(primitive, len(operands), v.params)
            self._derivatives(v)

    def _operand(self, x: Any) -> int:
        if isinstance(x, Value):
            return self.ids[id(x)]
        is_array = isinstance(x, np.ndarray)
        if is_array and x.size > 1 and id(x) not in self._arrays:
            self._arrays[id(x)] = naming.find_arrays([x], self.scopes).get(id(x), "")
        text = short(x) if is_array or isinstance(x, int | float | complex | np.generic) else summary.constant(x)
        dtype = str(x.dtype) if is_array else type(x).__name__
        self._entry("c", self._arrays.get(id(x), ""), text, np.shape(x) if is_array else (), dtype, [])
        return len(self.kind) - 1

    def _entry(self, kind: str, name: str, data: Any, shape: Any, dtype: str, inputs: list[int]) -> None:
        self.kind.append(kind)
        self.name.append(shown_name(name))
        self.op.append(-1)
        self.inputs.append(inputs)
        self.data.append(data)
        self.gradient.append(None)
        self.shape.append(self.shapes(list(shape), shape))
        self.dtype.append(self.dtypes(dtype))
        self.local.append([])
        self.formula.append([])
        self.expression.append(-1)

    # ---------------------------------------------------------------- derivatives

    def _derivatives(self, v: Value) -> None:
        primitive = v.primitive
        assert primitive is not None
        local: list[Any] = []
        formula: list[int] = []
        if isinstance(primitive, Elementwise) and type(v._data) is float and _numbers(v.args):
            for i, x in enumerate(v.inputs):
                if type(x) is Value:
                    d, sent = _partial(v, i)
                    local.append(plain(d))
                    formula.append(self._formula(v, i, d, sent))
                else:
                    local.append(None)
                    formula.append(-1)
        else:
            operands = [Formula(f"${i}") for i in range(len(v.inputs))]
            called: dict[int, str | Formula] = {id(x): f for x, f in zip(v.inputs, operands)}
            called[id(v)] = _RESULT
            for i, x in enumerate(v.inputs):
                if type(x) is Value:
                    d = local_derivative(v, i, operands, called)
                    text = f": {d.operator}" if d.operator else d.formula
                    local.append(d.value or None if d.number is None else plain(d.number))
                    formula.append(self.formulas(text) if text else -1)
                else:
                    local.append(None)
                    formula.append(-1)
        self.local[-1] = local
        self.formula[-1] = formula

    def _formula(self, v: Value, i: int, d: float, sent: bool) -> int:
        """The template of a partial of numbers, once for all nodes of which it must be the same.

        A rule may choose between formulas by the numbers: that shows in what came out. Small whole
        numbers, such as exponents, stand for themselves.
        """
        primitive = v.primitive
        assert isinstance(primitive, Elementwise)
        if not sent:
            return self.formulas("0")
        whole = tuple([x if type(x) is not Value and x in _WHOLE else None for x in v.inputs])
        params = repr(v.params) if v.params else None
        key = (primitive, i, whole, params, d == 0, d != d, abs(d) == np.inf)
        known = self._known.get(key)
        if known is None:
            args = [a if w is not None else Value(float(a)) for a, w in zip(v.args, whole)]
            called = [Formula(f"${k}") if w is None else None for k, w in enumerate(whole)]
            text = ""
            try:
                with np.errstate(all="ignore"):
                    text = partial_in_symbols(primitive, i, v._data, args, v.params, called, _RESULT)
            except Exception:  # a rule of somebody's that cannot be recorded has no formula
                text = ""
            known = self._known[key] = self.formulas(text) if text else -1
        return known

    def _expression(self, primitive: Primitive, count: int, params: Mapping[str, Any]) -> int:
        key = (primitive.symbol, primitive.name, count)
        known = None if params else self._known.get(key)
        if known is None:
            operands = [Formula(f"${i}") for i in range(count)]
            known = self.expressions(str(call(primitive.symbol, operands, params, name=primitive.name)))
            if not params:
                self._known[key] = known
        return known

    def columns(self) -> dict[str, Any]:
        names = "name op inputs data gradient shape dtype local formula expression"
        nodes = {"kind": "".join(self.kind), "path": self.path}
        nodes |= {name: getattr(self, name) for name in names.split()}
        tables = "operations formulas expressions shapes dtypes"
        return {"nodes": nodes, **{name: getattr(self, name).items for name in tables.split()}}


_WHOLE = frozenset(map(float, range(-10, 11)))


def _numbers(args: Sequence[Any]) -> bool:
    return all(type(a) is float or type(a) is int or type(a) is bool for a in args)


def _partial(v: Value, i: int) -> tuple[float, bool]:
    """The partial derivative as the sweep uses it, to the last bit; and whether anything is sent at all."""
    primitive: Any = v.primitive
    d = primitive.partials[i]
    if d is None:
        return 0.0, False
    lanes = primitive.lanes
    try:
        if lanes is not None and lanes[i] is not None and not lanes[i](v._data, *v.args, **v.params):
            return 0.0, False
        if d is ONE:
            return 1.0, True
        return float(primitive.partial(i, v._data, v.args, v.params) if callable(d) else d), True
    except Exception:  # reported by backward
        return float("nan"), True


def plain(x: float) -> float | str:
    """A number as JSON can hold it."""
    return x if x - x == 0 else str(x)


def short(x: Any) -> float | str:
    """A real number as it is, anything else as a short text."""
    if type(x) is float:
        return plain(x)
    if isinstance(x, bool | np.bool_):
        return str(bool(x))
    if isinstance(x, int | np.integer):
        return int(x) if abs(int(x)) < 2**53 else summary.number(int(x))
    if isinstance(x, np.floating) or (isinstance(x, np.ndarray) and x.ndim == 0 and x.dtype.kind == "f"):
        return plain(float(x))
    return summary.array(x)


def shown_name(name: str) -> str:
    """A name as it can be shown: what does not print is written out, and what is too long is cut."""
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME - 1] + "…"
    return summary.printable(name)
