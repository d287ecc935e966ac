"""The survey: a whole graph as columns of plain data, from which the explorer's page chooses what to show.

Where `description` writes every edge out, here is one entry a node, and what many nodes have in common -
operations, formulas, shapes - is said once and referred to by its place in a table. Formulas are templates:
``$0`` and ``$1`` stand for the operands, ``$y`` for the result.
"""

from __future__ import annotations

import linecache
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.graph import order
from chainrule.primitives import ONE, Elementwise, Primitive, fit
from chainrule.running import Notes, Span, module_calls
from chainrule.show import names as naming
from chainrule.show import summary
from chainrule.show.contributions import contributions
from chainrule.show.gradients import NOT_KEPT, gradients, sources
from chainrule.show.groups import Graph, Group, as_data, grouped
from chainrule.show.local import Local, local_derivative, partial_in_symbols
from chainrule.show.pulled import pulled, works_on_numbers
from chainrule.show.symbolic import Formula, call
from chainrule.show.thumbnails import plain, text, thumbnail
from chainrule.value import Value

__all__ = ["survey"]

VERSION = 2
LARGEST = 70_000  # Values of a graph that is shown whole
CUT = 20_000  # of a larger one so many, those computed last
ARRAYS = 1_000  # among the nodes, up to which each has its picture
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
    outputs: Sequence[Value],
    scopes: Iterable[Mapping[str, Any]] = (),
    title: str = "",
    notes: Notes | None = None,
    seeds: Sequence[tuple[Value, Any]] = (),
) -> Survey:
    """Survey the graph that Values were computed from. Nothing in it is changed.

    Parameters
    ----------
    outputs : sequence of Value
    scopes : iterable of mappings from str to object
        Variables to take names from.
    title : str
    notes : Notes, optional
        Of the run that made the graph; by default the calls of modules that are still known.
    seeds : sequence of (Value, cotangent)
        Show the gradients that come from these instead of those in ``.grad``.

    Examples
    --------
    >>> x = Value(2.0)
    >>> found = survey([x * x], [{"x": x}]).data
    >>> found["nodes"]["name"], found["nodes"]["local"], found["expressions"]
    (['x', ''], [[], [2.0, 2.0]], ['$0 * $1'])
    """
    everything = order(outputs)
    shown, expanded = everything, None
    arrays = sum(isinstance(v._raw, np.ndarray) for v in everything)
    if len(everything) > LARGEST or arrays > CUT:
        shown, expanded = _newest(everything, CUT)
    small = arrays <= ARRAYS

    def note(g: Any) -> tuple[Any, Any]:
        return text(g), thumbnail(g) if small else None

    found = gradients(shown, outputs, everything, note, (NOT_KEPT, None), seeds)
    scopes = list(scopes)
    nodes = Columns(shown, scopes, found)
    with np.errstate(all="ignore"):
        for v in shown:
            nodes.add(v, expanded is None or id(v) in expanded, small)
    ends = [nodes.ids[id(v)] for v in outputs]
    notes = Notes(module_calls()) if notes is None else notes
    lines = _lines(nodes, notes)
    groups = nodes.group(notes.spans, ends)
    data = {
        "chainrule": VERSION,
        "title": title,
        **nodes.columns(),
        **lines,
        "groups": as_data(groups),
        "arrays": nodes.arrays,
        "pulled": pulled(shown, nodes.ids, seeds or sources(outputs, everything) or _ones(outputs)),
        "outputs": ends,
        "left_out": len(everything) - len(shown),
    }
    names = {name: x for scope in reversed(scopes) for name, x in scope.items()}
    names |= {f"v{i}": v for v in shown if not nodes.name[i := nodes.ids[id(v)]]}  # as the page calls them
    data |= contributions(shown, outputs, nodes.ids, names)
    return Survey(data, nodes.ids, groups)


@dataclass(frozen=True, slots=True)
class Survey:
    """A graph as plain data, and what led to it.

    Attributes
    ----------
    data : dict
        What JSON can hold: columns with one entry a node, and tables that these refer to.
    ids : dict of int to int
        The place of a Value among the nodes, by its identity.
    groups : list of Group
    """

    data: dict[str, Any]
    ids: dict[int, int]
    groups: list[Group]


def _newest(everything: Sequence[Value], most: int) -> tuple[list[Value], set[int]]:
    """What was computed last, with its operands; and which show theirs.

    In the order of the program, so that of a sum over many samples the last ones are there as a whole.
    """
    shown: dict[int, Value] = {}
    expanded: set[int] = set()
    for v in reversed(everything):
        new = {id(x): x for x in (v, *v.inputs) if isinstance(x, Value) and id(x) not in shown}
        if len(shown) + len(new) > most:
            break
        shown.update(new)
        expanded.add(id(v))
    return sorted(shown.values(), key=lambda v: v.serial), expanded


def _ones(outputs: Sequence[Value]) -> list[tuple[Value, Any]]:
    """What backward would start from."""
    return [(v, fit(1.0, v._raw)) for v in outputs if not v.shape and v.dtype.kind == "f"]


def _lines(nodes: Columns, notes: Notes) -> dict[str, Any]:
    """Of each node the line that made it, and the text around these lines."""
    if not notes.lines:
        return {}
    starts = np.array([serial for serial, _, _ in notes.lines])
    lines, files = Table(), Table()
    texts: list[dict[str, str]] = []
    column = []
    for place, serial in zip(np.searchsorted(starts, nodes.made) - 1, nodes.made):
        if serial < 0 or place < 0:
            column.append(-1)
            continue
        _, name, line = notes.lines[place]
        file = files(name)
        if file == len(texts):
            texts.append({})
        column.append(lines({"file": file, "line": line}, (file, line)))
        if str(line) not in texts[file]:
            for near in range(max(1, line - 3), line + 4):
                if written := linecache.getline(name, near).rstrip():
                    texts[file][str(near)] = summary.shorten(summary.printable(written), 300)
    nodes.line = column
    return {
        "lines": lines.items,
        "files": [
            {"name": shown_name(os.path.basename(name)), "text": t} for name, t in zip(files.items, texts)
        ],
    }


class Columns:
    """The columns while they grow: a node is added after its operands."""

    def __init__(
        self,
        shown: Sequence[Value],
        scopes: Sequence[Mapping[str, Any]],
        gradients: Mapping[int, tuple[Any, Any]],
    ) -> None:
        self.ids: dict[int, int] = {}
        self.names = naming.find(shown, scopes)
        named = [v for v in shown if v.name is not None]
        self.paths = naming.find_paths(named, scopes) if named else {}
        self.scopes = scopes
        self.column: list[int] = []
        self.gradients = gradients
        self.recorded = _recorded(shown)
        self.serials: list[int] = []  # of results
        self.made: list[int] = []  # serials of results and leaves
        self.arrays: dict[str, dict[str, Any]] = {}
        self.line: list[int] = []
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
        self._locals: dict[Hashable, Local] = {}
        self._known: dict[Hashable, int] = {}
        self._called: dict[int, str] = {}

    def add(self, v: Value, is_open: bool = True, pictures: bool = True) -> None:
        """Add a Value, after those of its operands that are constants."""
        primitive = v.primitive
        operands = [self._operand(x) for x in v.inputs] if primitive is not None and is_open else []
        name = self.names.get(id(v), "")
        data = self.recorded.get(id(v), v._raw) if primitive is None else v._raw
        self.ids[id(v)] = me = len(self.kind)
        if (path := self.paths.get(id(v))) is not None and path != name:
            self.path[str(me)] = shown_name(path)
        self._entry(
            "l" if primitive is None else "r", name, text(data), v.shape, str(v.dtype), operands
        )
        self.made[me] = v.serial
        self.gradient[me], gradient = self.gradients.get(id(v), (None, None))
        if pictures and (picture := thumbnail(data)) is not None:
            self.arrays[str(me)] = {"data": picture} | ({} if gradient is None else {"gradient": gradient})
        if primitive is not None:
            symbol = {"name": primitive.name, "symbol": primitive.symbol}
            self.op[me] = self.operations(symbol, (primitive.name, primitive.symbol))
        if primitive is not None and is_open:
            self.serials[me] = v.serial
            self.expression[me] = self._expression(primitive, len(operands), v.params)
            self._derivatives(v, pictures)

    def _operand(self, x: Any) -> int:
        if isinstance(x, Value):
            return self.ids[id(x)]
        is_array = isinstance(x, np.ndarray)
        if is_array and x.size > 1 and id(x) not in self._called:
            self._called[id(x)] = naming.find_arrays([x], self.scopes).get(id(x), "")
        known = is_array or isinstance(x, int | float | complex | np.generic)
        data = text(x) if known else summary.constant(x)
        dtype = str(x.dtype) if is_array else type(x).__name__
        self._entry("c", self._called.get(id(x), ""), data, np.shape(x) if is_array else (), dtype, [])
        return len(self.kind) - 1

    def _entry(self, kind: str, name: str, data: Any, shape: Any, dtype: str, inputs: list[int]) -> None:
        self.kind.append(kind)
        self.serials.append(-1)
        self.made.append(-1)
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

    def _derivatives(self, v: Value, numbers: bool) -> None:
        primitive = v.primitive
        assert primitive is not None
        local: list[Any] = []
        formula: list[int] = []
        if works_on_numbers(v):
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
                    found = self._of_arrays(v, i, operands, called, numbers)
                    template = f": {found.operator}" if found.operator else found.formula
                    local.append(found.value or None if found.number is None else plain(found.number))
                    formula.append(self.formulas(template) if template else -1)
                else:
                    local.append(None)
                    formula.append(-1)
        self.local[-1] = local
        self.formula[-1] = formula

    def _of_arrays(self, v: Value, i: int, operands: Any, called: Any, numbers: bool) -> Local:
        """The local derivative; of very many nodes without numbers, and once for all that look the same."""
        if numbers:
            return local_derivative(v, i, operands, called)
        key = (v.primitive, i, repr(v.params), v.shape, tuple(map(np.shape, v.args)))
        known = self._locals.get(key)
        if known is None:
            found = local_derivative(v, i, operands, called)
            known = self._locals[key] = Local(found.formula, found.operator)
        return known

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
            formula = ""
            with suppress(Exception), np.errstate(all="ignore"):  # somebody's rule that cannot be recorded
                formula = partial_in_symbols(primitive, i, v._raw, args, v.params, called, _RESULT)
            known = self._known[key] = self.formulas(formula) if formula else -1
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

    def group(self, spans: Sequence[Span], ends: Sequence[int]) -> list[Group]:
        """Put every node into a group."""
        words = [o["symbol"] for o in self.operations.items]
        sums = [o["name"] == "add" for o in self.operations.items]
        graph = Graph(
            self.inputs,
            labels=list(zip(self.kind, self.op, self.shape)),
            serials=self.serials,
            names=self.name,
            sums=[op >= 0 and sums[op] for op in self.op],
            words=["" if op < 0 else words[op] for op in self.op],
            outputs=ends,
        )
        groups, self.column = grouped(graph, spans)
        return groups

    def columns(self) -> dict[str, Any]:
        names = "name op inputs data gradient shape dtype local formula expression"
        nodes: dict[str, Any] = {"kind": "".join(self.kind), "path": self.path, "group": self.column}
        nodes |= {name: getattr(self, name) for name in names.split()}
        tables = "operations formulas expressions shapes dtypes"
        if self.line:
            nodes["line"] = self.line
        return {"nodes": nodes, **{name: getattr(self, name).items for name in tables.split()}}


_WHOLE = frozenset(map(float, range(-10, 11)))


def _recorded(shown: Sequence[Value]) -> dict[int, Any]:
    """The data of leaves as the graph was computed from them: they may have moved on."""
    return {
        id(x): a
        for v in shown
        for x, a in zip(v.inputs, v.args)
        if type(x) is Value and x.primitive is None
    }


def _partial(v: Value, i: int) -> tuple[float, bool]:
    """The partial derivative as the sweep uses it, to the last bit; and whether anything is sent at all."""
    primitive: Any = v.primitive
    d = primitive.partials[i]
    if d is None:
        return 0.0, False
    lanes = primitive.lanes
    try:
        if lanes is not None and lanes[i] is not None and not lanes[i](v._raw, *v.args, **v.params):
            return 0.0, False
        if d is ONE:
            return 1.0, True
        return float(primitive.partial(i, v._raw, v.args, v.params) if callable(d) else d), True
    except Exception:  # reported by backward
        return float("nan"), True


def shown_name(name: str) -> str:
    """A name as it can be shown: what does not print is written out, and what is too long is cut."""
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME - 1] + "…"
    return summary.printable(name)
