"""The graph in Graphviz's language, for other tools to lay out and draw."""

from __future__ import annotations

from chainrule.show import summary
from chainrule.show.description import Graph, Node
from chainrule.show.text import left_out, type_text

__all__ = ["dot", "quote"]

_STYLE = {
    "leaf": 'shape=box, style="rounded,filled", fillcolor="#e3eefa", color="#0072b2"',
    "result": 'shape=box, style=rounded, color="#5b6673"',
    "constant": 'shape=box, style="rounded,dashed", color="#8a939e"',
    "operation": 'shape=ellipse, style=filled, fillcolor="#eef0f3", color="#5b6673"',
}


def dot(graph: Graph, direction: str = "LR") -> str:
    r"""Write DOT source with one box a Value, one ellipse an operation.

    Examples
    --------
    >>> from chainrule import Value
    >>> from chainrule.show.description import describe
    >>> print(dot(describe([Value(2.0, name="x")])))  # doctest: +NORMALIZE_WHITESPACE
    digraph {
      rankdir=LR
      node [fontname="monospace", fontsize=11]
      edge [fontname="monospace", fontsize=9]
      "v0" [label="x\ndata 2\ngrad 0", shape=box, style="rounded,filled",
                 fillcolor="#e3eefa", color="#0072b2"]
    }
    """
    lines = [
        f"rankdir={direction}",
        'node [fontname="monospace", fontsize=11]',
        'edge [fontname="monospace", fontsize=9]',
    ]
    if graph.left_out:
        lines.append(f"label={quote([left_out(graph)])}")
    # Ids are our own; names only ever stand inside quotes.
    lines += [f'"{n.id}" [label={quote(_rows(n))}, {_STYLE[n.kind]}]' for n in graph.nodes]
    for e in graph.edges:
        label = f" [label={quote([e.label])}]" if e.label else ""
        lines.append(f'"{e.source}" -> "{e.target}"{label}')
    body = "\n".join(f"  {line}" for line in lines)
    return f"digraph {{\n{body}\n}}"


def quote(lines: list[str]) -> str:
    r"""Write lines as one quoted string in which nothing means anything to Graphviz.

    Examples
    --------
    >>> print(quote(['say "\\N" & <b>', "two"]))
    "say \"\\N\" &amp; <b>\ntwo"
    """
    shown = "\n".join(summary.shorten(summary.printable(line), 80) for line in lines)
    # A label is read twice: as a string with backslashes, then for entities such as &lt;
    for character, escaped in (("&", "&amp;"), ("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        shown = shown.replace(character, escaped)
    return f'"{shown}"'


def _rows(n: Node) -> list[str]:
    if n.kind == "operation":
        return [n.symbol]
    if n.kind == "constant":
        return [n.name, n.data] if n.name else [n.data]
    rows = [n.name, f"by {n.kernel}"] if n.kernel else [n.name, f"data {n.data}", f"grad {n.gradient}"]
    return rows if not n.shape else [rows[0], type_text(n), *rows[1:]]
