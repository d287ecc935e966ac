"""The graph of a compiled program as a plain description: operations, shapes, and kernels."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.native.graph import ProgramGraph
from chainrule.show import summary
from chainrule.show.description import Edge, Graph, Node
from chainrule.show.survey import Table
from chainrule.traced import Traced

__all__ = ["describe_program", "survey_program"]


def describe_program(program: ProgramGraph, max_nodes: int = 500) -> Graph:
    """Describe what a program computes. There are no numbers in it, nor gradients: it is code.

    Parameters
    ----------
    program : ProgramGraph
    max_nodes : int
        So many results, inputs and constants at most, those nearest to what is returned.
    """
    everything = _order([x for _, x in program.roots])
    shown, expanded = _nearest([x for _, x in program.roots], everything, max_nodes)
    ids = {x: f"v{i}" for i, x in enumerate(shown)}
    names = {x: f"v{i}" for i, x in enumerate(shown)}
    named = {x: name for x, name in program.inputs.items() if x in ids}
    named |= {x: name for name, x in reversed(program.roots)}
    names |= named
    for x in shown:
        if x.op == "constant":
            names[x] = summary.constant(x.params["value"])
    nodes: list[Node] = []
    edges: list[Edge] = []
    for x in shown:
        me = ids[x]
        shape, dtype = x.shape, str(x.dtype)
        if x.op == "constant":
            nodes.append(Node(me, "constant", "", data=names[x], shape=shape, dtype=dtype))
            continue
        is_open = x in expanded and bool(x.inputs)
        if is_open:
            symbol = x.params["name"] if x.op == "call" else x.op
            nodes.append(Node("o" + me[1:], "operation", symbol, symbol=symbol))
            edges += [Edge(ids[i], "o" + me[1:], k) for k, i in enumerate(x.inputs)]
            edges.append(Edge("o" + me[1:], me))
        nodes.append(
            Node(
                me,
                kind="result" if x.inputs else "leaf",
                name=names[x],
                named=x in named,
                symbol=x.op if x.inputs else "",
                expression=_expression(x, names) if is_open else "",
                shape=shape,
                dtype=dtype,
                unexpanded=0 if is_open else len(x.inputs),
                kernel=program.kernels.get(x, "a view" if x.inputs else "the caller"),
            )
        )
    outputs = tuple(dict.fromkeys(ids[x] for _, x in program.roots))
    return Graph(tuple(nodes), tuple(edges), outputs, len(everything) - len(shown))


def survey_program(program: ProgramGraph, max_nodes: int = 20_000) -> dict[str, Any]:
    """The same as columns, for the explorer: operations, shapes, and what one kernel computes as a group."""
    everything = _order([x for _, x in program.roots])
    shown, expanded = _nearest([x for _, x in program.roots], everything, max_nodes)
    ids = {x: i for i, x in enumerate(shown)}
    names = dict(program.inputs) | {x: name for name, x in reversed(program.roots)}
    tables = {key: Table() for key in ("operations", "expressions", "shapes", "dtypes")}
    columns: dict[str, list[Any]] = {
        key: [] for key in ("name", "op", "inputs", "data", "shape", "dtype", "expression")
    }
    kinds, kernels = [], []
    for x in shown:
        is_open = x in expanded and bool(x.inputs)
        word = x.params["name"] if x.op == "call" else x.op
        kinds.append("c" if x.op == "constant" else "r" if x.inputs else "l")
        kernels.append(program.kernels.get(x, "") if x.inputs else "")
        template = _expression(x, {i: f"${k}" for k, i in enumerate(x.inputs)})
        columns["name"].append(summary.printable(names.get(x, ""))[:200])
        columns["op"].append(tables["operations"]({"name": word, "symbol": word}, word) if is_open else -1)
        columns["inputs"].append([ids[i] for i in x.inputs] if is_open else [])
        columns["data"].append(summary.constant(x.params["value"]) if x.op == "constant" else "")
        columns["shape"].append(tables["shapes"](list(x.shape), tuple(x.shape)))
        columns["dtype"].append(tables["dtypes"](str(x.dtype)))
        columns["expression"].append(tables["expressions"](template) if is_open else -1)
    shared = {k for k in kernels if k and kernels.count(k) > 1} if len(kernels) < 5_000 else set()
    groups = Table()
    groups({"parent": -1, "kind": "root", "name": "", "like": -1, "output": None}, "")
    place = [
        groups({"parent": 0, "kind": "scope", "name": k, "like": -1, "output": None}, k) if k in shared else 0
        for k in kernels
    ]
    blank = {
        "gradient": [None] * len(shown),
        "local": [[None] * len(x) for x in columns["inputs"]],
        "formula": [[-1] * len(x) for x in columns["inputs"]],
    }
    return {
        "chainrule": 2,
        "title": f"Program of {program.name}",
        "nodes": {"kind": "".join(kinds), "path": {}, "group": place, **columns, **blank},
        **{key: table.items for key, table in tables.items()},
        "formulas": [],
        "groups": groups.items,
        "outputs": list(dict.fromkeys(ids[x] for _, x in program.roots)),
        "left_out": len(everything) - len(shown),
    }


def _expression(x: Traced, names: Mapping[Traced, str]) -> str:
    """``sum(v3, axis=(1,))``."""
    shown = ("axis", "axes", "starts", "steps", "index", "length")
    said = [f"{k}={x.params[k]}" for k in shown if k in x.params]
    op = x.params["name"] if x.op == "call" else x.op
    return f"{op}({', '.join([names[i] for i in x.inputs] + said)})"


def _order(roots: Sequence[Traced]) -> list[Traced]:
    """Operands before what uses them."""
    found: dict[Traced, None] = {}
    stack = [(x, False) for x in reversed(roots)]
    while stack:
        x, ready = stack.pop()
        if ready:
            found[x] = None
        elif x not in found:
            stack.append((x, True))
            stack += [(i, False) for i in reversed(x.inputs) if i not in found]
    return list(found)


def _nearest(
    roots: Sequence[Traced], everything: Sequence[Traced], max_nodes: int
) -> tuple[list[Traced], set[Traced]]:
    """The nodes nearest to the roots, in order, and which of them show all of their operands."""
    shown = dict.fromkeys(roots)
    expanded: set[Traced] = set()
    queue = deque(shown)
    while queue:
        x = queue.popleft()
        new = dict.fromkeys(i for i in x.inputs if i not in shown)
        if len(shown) + len(new) > max_nodes:
            continue
        expanded.add(x)
        shown |= new
        queue += new
    return [x for x in everything if x in shown], expanded
