"""The graph as a table in plain text, one line a node, in the order of the program."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.show import summary
from chainrule.show.description import Edge, Graph, Node

__all__ = ["left_out", "text"]

_WIDEST = 44  # columns of a table cell


def text(graph: Graph) -> str:
    """List every node with how it was computed, its data, its gradient and its local derivatives.

    Examples
    --------
    >>> from chainrule import Value
    >>> from chainrule.show.description import describe
    >>> x, w = Value(2.0, name="x"), Value(3.0, name="w")
    >>> y = x * w
    >>> y.name = "y"
    >>> y.backward()
    >>> print(text(describe([y])))
    name  operation  data  grad  local derivatives
    x                2     3
    w                3     2
    y     = x * w    6     1     ∂y/∂x = w = 3, ∂y/∂w = x = 2
    """
    edges: dict[str, list[Edge]] = {}
    for e in graph.edges:
        if e.position >= 0:
            edges.setdefault(e.target, []).append(e)
    values = [n for n in graph.nodes if n.kind in {"leaf", "result"}]
    shapes = any(n.shape or n.dtype != "float64" for n in values)
    compiled = any(n.kernel for n in values)
    found = ["kernel"] if compiled else ["data", "grad", "local derivatives"]
    rows = [["name", "operation", *(["type"] if shapes else []), *found]]
    for n in values:
        row = [_cell(n.name), _operation(n)]
        if shapes:
            row.append(type_text(n))
        if compiled:
            rows.append([*row, n.kernel])
            continue
        row += [_numbers(n.data, n.data_detail), _numbers(n.gradient, n.gradient_detail)]
        # An edge with no derivative comes from a constant.
        row.append(_once(e.label for e in edges.get("o" + n.id[1:], ()) if e.label))
        rows.append(row)
    lines = aligned(rows)
    if graph.left_out:
        lines.append(left_out(graph))
    return "\n".join(lines)


def left_out(graph: Graph) -> str:
    """Say how much of the graph is missing; empty if nothing is.

    Examples
    --------
    >>> left_out(Graph((), (), (), 1200))
    '… and 1,200 nodes further from the output, left out'
    """
    n = graph.left_out
    return f"… and {n:,} node{'s' * (n != 1)} further from the output, left out" if n else ""


def type_text(n: Node) -> str:
    """Dtype and shape in one word.

    Examples
    --------
    >>> type_text(Node("v0", "leaf", "W", shape=(3, 4), dtype="float32"))
    'float32 (3, 4)'
    """
    return f"{n.dtype} {n.shape}" if n.shape else n.dtype


def _operation(n: Node) -> str:
    if n.unexpanded:
        return f"= {n.symbol} of {n.unexpanded} left out"
    return "= " + _cell(n.expression) if n.expression else ""


def _numbers(numbers: str, detail: str) -> str:
    return f"{numbers} ({detail})" if detail else numbers


def _cell(x: str) -> str:
    return summary.shorten(summary.printable(x), _WIDEST)


def _once(labels: Iterable[str]) -> str:
    """In ``a + a`` both edges carry the same derivative: written once, with their number."""
    counts: dict[str, int] = {}
    for x in labels:
        counts[x] = counts.get(x, 0) + 1
    return ", ".join(x if n == 1 else f"{x} (×{n})" for x, n in counts.items())


def aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(summary.width, column)) for column in zip(*rows)]
    return [
        "  ".join(x + " " * (w - summary.width(x)) for x, w in zip(row, widths)).rstrip() for row in rows
    ]
