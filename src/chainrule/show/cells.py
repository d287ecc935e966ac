"""How large everything in a picture is, before it is placed.

A result, the operation that made it and the local derivatives on the operation's incoming edges
are one cell: that is how they belong together, nothing in a cell can overlap, and Graphviz has a
third of the boxes to place. All text is monospaced, so its size is known without any font.

::

    x1 ─── ∂o1/∂x1 = w1 = 3 ──╮      ╭─────────╮
                              ├─(×)──┤ o1      │
    w1 ─── ∂o1/∂w1 = x1 = 2 ──╯      │ data  6 │
                                     │ grad  1 │
                                     ╰─────────╯
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.show import summary
from chainrule.show.description import Edge, Graph, Node
from chainrule.show.layout import Box
from chainrule.show.text import type_text

__all__ = ["Cell", "Label", "Rect", "Row", "cells", "columns"]

ADVANCE = 0.605  # of the font size; the widest of the usual monospaced fonts has 0.602
NAME, TEXT, SMALL = 13.5, 12.0, 10.5  # font sizes
PAD = 11.0  # inside a box, left and right
CAPTION = 36.0  # the column of "data" and "grad"
HEADER, LINE, FOOT = 26.0, 18.0, 7.0  # heights
BAND = 38.0  # the least share of one incoming edge in a cell's height
BELOW = 8.0  # more where something stands below its line
FAN, ARROW = 26.0, 22.0  # from the labels to the operation, from there to the box
_DATA_COLUMNS = 40
_NAME_COLUMNS, _LABEL_COLUMNS, _LINE_COLUMNS = 30, 30, 22


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle, from the cell's top left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def centre(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Row:
    """A line in a box: what it is (``data``, ``grad``, or nothing for a continuation) and the text."""

    kind: str
    caption: str
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on one incoming edge, above and below its line, and where that line begins."""

    edge: Edge
    above: str
    below: str
    band: Rect


@dataclass(frozen=True, slots=True)
class Cell:
    """One Value or constant with everything that leads into it, laid out from its own top left.

    Attributes
    ----------
    node : Node
    box : Rect
        Of the node itself.
    title, kind_text : str
        The name, and to its right dtype and shape.
    rows : tuple of Row
    operation : Node, optional
    pill : Rect, optional
        Of the operation.
    pill_text : str
    labels : tuple of Label
    width, height : float
    """

    node: Node
    box: Rect
    title: str
    kind_text: str
    rows: tuple[Row, ...]
    width: float
    height: float
    operation: Node | None = None
    pill: Rect | None = None
    pill_text: str = ""
    labels: tuple[Label, ...] = ()

    @property
    def outer(self) -> Box:
        return Box(self.width, self.height, sum(e.edge.source != "" for e in self.labels))


def cells(graph: Graph, direction: str = "LR") -> list[Cell]:
    """Measure a graph: a cell for every Value and constant, in the order of the nodes.

    Examples
    --------
    >>> from chainrule import Value
    >>> from chainrule.show.description import describe
    >>> x = Value(2.0, name="x")
    >>> [cell.title or cell.rows[0].text for cell in cells(describe([3.0 * x]))]
    ['x', '3', 'v1']
    """
    operations = {n.id: n for n in graph.nodes if n.kind == "operation"}
    incoming: dict[str, list[Edge]] = {}
    made_by = {}
    for e in graph.edges:
        if e.position >= 0:
            incoming.setdefault(e.target, []).append(e)
        else:
            made_by[e.target] = e.source
    out = []
    for n in graph.nodes:
        if n.kind == "operation":
            continue
        operation = operations.get(made_by.get(n.id, ""))
        if operation is None and n.unexpanded:
            operation = Node("", "operation", "", symbol=n.symbol)
        edges = incoming.get(operation.id, []) if operation is not None else []
        out.append(_cell(n, operation, edges, direction))
    return out


def _cell(n: Node, operation: Node | None, edges: list[Edge], direction: str) -> Cell:
    title, kind_text, rows, width, height = _box(n)
    if operation is None:
        return Cell(n, Rect(0, 0, width, height), title, kind_text, rows, width, height)
    pill_text = summary.shorten(summary.printable(_SIGNS.get(operation.symbol, operation.symbol)), 20)
    pill_width = max(28.0, columns(pill_text, TEXT) + 20)
    texts = [_label(e) for e in edges]
    if n.unexpanded:
        texts = [(f"{n.unexpanded} operand{'s' * (n.unexpanded != 1)}", "left out")]
        edges = [Edge("", "")]
    longest = max((columns(t, SMALL) for pair in texts for t in pair), default=0.0) + 20
    if direction == "LR":
        band = BAND + BELOW * any(below for _, below in texts)
        total = max(height, len(texts) * band, 28.0)
        share = total / max(len(texts), 1)
        bands = [Rect(0, k * share, longest, share) for k in range(len(texts))]
        pill = Rect(longest + FAN, total / 2 - 14, pill_width, 28.0)
        box = Rect(pill.x + pill_width + ARROW, (total - height) / 2, width, height)
        size = box.x + width, total
    else:
        total = max(width, len(texts) * longest)
        share = total / max(len(texts), 1)
        bands = [Rect(k * share, 0, share, BAND) for k in range(len(texts))]
        pill = Rect((total - pill_width) / 2, BAND + FAN, pill_width, 28.0)
        box = Rect((total - width) / 2, pill.y + 28 + ARROW, width, height)
        size = total, box.y + height
    labels = tuple(Label(e, *pair, band) for e, pair, band in zip(edges, texts, bands))
    return Cell(n, box, title, kind_text, rows, *size, operation, pill, pill_text, labels)


def _box(n: Node) -> tuple[str, str, tuple[Row, ...], float, float]:
    if n.kind == "constant":
        rows = _rows("constant", "", n.data, f"{n.shape} {n.data_detail}" if n.data_detail else "")
        if n.name:
            name = summary.shorten(summary.printable(n.name), _NAME_COLUMNS)
            rows = (Row("name", "", name), *rows)
        width = max(columns(r.text, NAME) for r in rows) + 2 * PAD
        return "", "", rows, max(width, 34.0), len(rows) * LINE + 8
    title = summary.shorten(summary.printable(n.name), _NAME_COLUMNS)
    kind_text = type_text(n) if n.shape or n.dtype != "float64" else ""
    rows = (
        *_rows("data", "data", n.data, n.data_detail),
        *_rows("grad", "grad", n.gradient, n.gradient_detail),
    )
    if n.kernel:
        rows = _rows("data", "by", n.kernel, "")
    header = columns(title, NAME) + (columns(kind_text, SMALL) + 14 if kind_text else 0)
    width = max(header, CAPTION + max(columns(r.text, TEXT) for r in rows)) + 2 * PAD
    return title, kind_text, rows, max(width, 96.0), HEADER + 4 + len(rows) * LINE + FOOT


def _rows(kind: str, caption: str, text: str, detail: str) -> tuple[Row, ...]:
    first = Row(kind, caption, summary.shorten(summary.printable(text), _DATA_COLUMNS))
    if not detail:
        return (first,)
    return first, Row(kind, "", summary.shorten(detail, _DATA_COLUMNS))


def _label(e: Edge) -> tuple[str, str]:
    """All in one line above the edge where that is short; else the value goes below."""
    if not e.derivative:
        return "", ""
    formula = f" = {summary.printable(e.formula)}" if e.formula else ""
    # Of a long name less is shown, so that there is room for what the derivative is.
    room = max(_LABEL_COLUMNS - summary.width(formula), 12)
    above = summary.shorten(summary.printable(e.operator or e.derivative), room) + formula
    below = f"= {e.value}" if e.value not in {"", e.formula} else ""
    if below and len(above) + len(below) < _LINE_COLUMNS:
        above, below = f"{above} {below}", ""
    return summary.shorten(above, _LABEL_COLUMNS), summary.shorten(below, _LABEL_COLUMNS)


def columns(text: str, size: float) -> float:
    """How wide a text is at a font size."""
    return summary.width(text) * size * ADVANCE


# In a circle the program's * hangs too high and its - is too short.
_SIGNS = {"*": "×", "-": "−"}
