"""The drawing sweep: a graph as plain data, which text, SVG, DOT and JSON are views of.

Every Value becomes a node; between it and its operands stands a node for the operation, and each
edge into that carries the local derivative.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chainrule.graph import order
from chainrule.show import names as naming
from chainrule.show import summary
from chainrule.show.gradients import gradient_texts
from chainrule.show.local import Local, local_derivative
from chainrule.show.symbolic import Formula, call
from chainrule.value import Value

__all__ = ["Edge", "Graph", "Node", "describe"]

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Node:
    """A Value, a constant operand, or an operation, as it is shown.

    Attributes
    ----------
    id : str
        ``v0``, ``v1``, … for Values in the order of the program, ``o1`` for the operation that made
        ``v1``, ``c1.0`` for its first operand if that is a constant.
    kind : {"leaf", "result", "constant", "operation"}
    name : str
        A Value's name, from `Value.name`, the caller's variables or, where there is neither, made
        up here; the primitive's name for an operation; for a constant array that of the caller's
        variable, or ``""``.
    named : bool
        False where the name was made up.
    symbol : str
        The operation's symbol; for a result that of the operation that made it.
    expression : str
        How a result was computed: ``x1 * w1``.
    data, data_detail : str
        The data, whole if it is small, and statistics where it is not.
    gradient, gradient_detail : str
        The gradient likewise; ``0`` before any backward, ``""`` for constants and operations.
    shape : tuple of int
    dtype : str
    unexpanded : int
        How many operands of a result are not drawn, because the graph is cut off there.
    kernel : str
        In the graph of a compiled program, what computes it: such nodes have neither data nor gradient.
    """

    id: str
    kind: str
    name: str
    named: bool = True
    symbol: str = ""
    expression: str = ""
    data: str = ""
    data_detail: str = ""
    gradient: str = ""
    gradient_detail: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    unexpanded: int = 0
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """From an operand to an operation, or from an operation to its result.

    Attributes
    ----------
    source, target : str
    position : int
        Which operand it is; -1 from an operation to its result.
    derivative : str
        What the local derivative is of: ``∂o1/∂x1``.
    formula : str
        The partial derivative in symbols: ``w1``.
    operator : str
        Where the derivative is no multiplication by numbers, what it does: ``sum over axis 0``.
    value : str
        The partial derivative in numbers.
    number : float, optional
        The same, where it is a single real number.
    """

    source: str
    target: str
    position: int = -1
    derivative: str = ""
    formula: str = ""
    operator: str = ""
    value: str = ""
    number: float | None = None

    @property
    def label(self) -> str:
        """All of it in one line.

        Examples
        --------
        >>> Edge("v0", "o2", 0, "∂y/∂x", formula="w", value="3").label
        '∂y/∂x = w = 3'
        >>> Edge("v0", "o2", 0, "∂y/∂x", operator="sum over axis 0").label
        '∂y/∂x: sum over axis 0'
        """
        label = f"{self.derivative}: {self.operator}" if self.operator else self.derivative
        if self.formula:
            label += f" = {self.formula}"
        return label if self.value in {"", self.formula} else f"{label} = {self.value}"


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph as plain data.

    Attributes
    ----------
    nodes, edges : tuple
        Operands before the operations that use them.
    outputs : tuple of str
        The ids of the nodes that were asked for.
    left_out : int
        How many Values belong to the graph and are not among the nodes.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    outputs: tuple[str, ...]
    left_out: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Nested dicts and lists that JSON can hold; numbers that it cannot, such as nan, as text."""
        plain = asdict(self)
        for edge in plain["edges"]:
            if edge["number"] is not None and not np.isfinite(edge["number"]):
                edge["number"] = str(edge["number"])
        return {"chainrule": 1, **plain}

    def node(self, name: str) -> Node:
        """The first Value of that name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for n in self.nodes:
            if n.name == name and n.kind in {"leaf", "result"}:
                return n
        raise KeyError(name)


def describe(
    outputs: Sequence[Value], scopes: Iterable[Mapping[str, Any]] = (), max_nodes: int = 500
) -> Graph:
    """Describe the graph that Values were computed from. Nothing in it is changed.

    Parameters
    ----------
    outputs : sequence of Value
    scopes : iterable of mappings from str to object
        Variables to take names from.
    max_nodes : int
        So many Values and constants at most: those that the fewest operations separate from the
        outputs.

    Examples
    --------
    >>> x = Value(2.0)
    >>> y = x * x
    >>> graph = describe([y], [{"x": x, "y": y}])
    >>> [n.name for n in graph.nodes]
    ['x', 'multiply', 'y']
    >>> [e.label for e in graph.edges]
    ['∂y/∂x = x = 2', '∂y/∂x = x = 2', '']
    """
    everything = order(outputs)
    shown, expanded = _nearest(outputs, max_nodes)
    ids = {id(v): f"v{i}" for i, v in enumerate(shown)}
    scopes = list(scopes)
    names = naming.find(shown, scopes)
    made_up = make_up(shown, names)
    constants = (x for v in shown if id(v) in expanded for x in v.inputs)
    made_up |= naming.find_arrays((x for x in constants if type(x) is np.ndarray and x.size > 1), scopes)
    gradients = gradient_texts(shown, outputs, everything)
    nodes: list[Node] = []
    edges: list[Edge] = []
    for v in shown:
        me = ids[id(v)]
        is_open = id(v) in expanded
        primitive = v.primitive
        operands: list[Formula] = []
        if primitive is not None and is_open:
            operands = [operand_formula(x, made_up) for x in v.inputs]
            operation = "o" + me[1:]
            for i, x in enumerate(v.inputs):
                if isinstance(x, Value):
                    local = local_derivative(v, i, operands, made_up)
                    edges.append(_edge(ids[id(x)], operation, i, v, x, local, made_up))
                else:
                    constant = f"c{me[1:]}.{i}"
                    nodes.append(_constant(constant, x, made_up.get(id(x), "")))
                    edges.append(Edge(constant, operation, i))
            nodes.append(Node(operation, "operation", primitive.name, symbol=primitive.symbol))
            edges.append(Edge(operation, me))
        grad, grad_detail = gradients[id(v)]
        nodes.append(
            Node(
                me,
                kind="leaf" if primitive is None else "result",
                name=made_up[id(v)],
                named=id(v) in names,
                symbol="" if primitive is None else primitive.symbol,
                expression=_expression(v, operands) if is_open else "",
                data=summary.array(v._raw),
                data_detail=summary.statistics(v._raw),
                gradient=grad,
                gradient_detail=grad_detail,
                shape=v.shape,
                dtype=str(v.dtype),
                unexpanded=0 if is_open else len(v.inputs),
            )
        )
    return Graph(
        tuple(nodes), tuple(edges), tuple(ids[id(v)] for v in outputs), len(everything) - len(shown)
    )


def _nearest(outputs: Sequence[Value], max_nodes: int) -> tuple[list[Value], set[int]]:
    """The Values nearest to the outputs in the order of the program, and which show their operands.

    An operation is drawn with all of its operands or not at all: half of them would be a lie.
    """
    shown = {id(v): v for v in outputs}
    expanded: set[int] = set()
    room = max_nodes - len(shown)
    queue = deque(shown.values())
    while queue:
        v = queue.popleft()
        new = {id(x): x for x in v.inputs if isinstance(x, Value) and id(x) not in shown}
        needed = len(new) + sum(not isinstance(x, Value) for x in v.inputs)
        if needed > room:
            continue
        room -= needed
        expanded.add(id(v))
        shown.update(new)
        queue.extend(new.values())
    return sorted(shown.values(), key=lambda v: v.serial), expanded


def make_up(shown: Sequence[Value], names: Mapping[int, str]) -> dict[int, str]:
    """A name for every node: the found ones, cut to a readable length, and v0, v1, … for the others."""
    taken = set(names.values())
    out = {}
    for i, v in enumerate(shown):
        name = names.get(id(v))
        if name is None:
            name = f"v{i}"
            while name in taken:
                name += "_"
        elif len(name) > _LONGEST_NAME:
            name = name[: _LONGEST_NAME - 1] + "…"
        out[id(v)] = name
    return out


def operand_formula(x: Any, names: Mapping[int, str]) -> Formula:
    name = names.get(id(x))
    return Formula.constant(x) if name is None else Formula.name(name)


def _expression(v: Value, operands: Sequence[Formula]) -> str:
    primitive = v.primitive
    return "" if primitive is None else str(call(primitive.symbol, operands, v.params, name=primitive.name))


def _edge(
    source: str, target: str, position: int, y: Value, x: Value, local: Local, names: Mapping[int, str]
) -> Edge:
    of, by = (Formula.name(names[id(v)]).within(1) for v in (y, x))
    return Edge(
        source, target, position, f"∂{of}/∂{by}", local.formula, local.operator, local.value, local.number
    )


def _constant(identity: str, x: Any, name: str) -> Node:
    is_array = isinstance(x, np.ndarray)
    return Node(
        identity,
        "constant",
        name=name,
        named=bool(name),
        data=summary.constant(x),
        data_detail=summary.statistics(x) if is_array else "",
        shape=np.shape(x) if is_array else (),
        dtype=str(x.dtype) if is_array else type(x).__name__,
    )
