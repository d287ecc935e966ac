"""The picture: cells and their places as an SVG that needs nothing else.

Colours are Okabe and Ito's, which people with any colour vision can tell apart: blue for data,
which flows forward, vermilion for gradients, which flow back. Both are also said in words. The
picture brings its own background, so that it can be read whatever page it lands on.
"""

from __future__ import annotations

import hashlib
from html import escape

from chainrule.show import summary
from chainrule.show.cells import (
    CAPTION,
    HEADER,
    LINE,
    NAME,
    PAD,
    SMALL,
    TEXT,
    Cell,
    Label,
    Rect,
    cells,
    columns,
)
from chainrule.show.description import Graph, Node
from chainrule.show.layout import Link, layout
from chainrule.show.text import left_out, type_text

__all__ = ["STYLE", "svg"]

MARGIN = 22.0
FOOTER = 26.0
CORNER = 7
Point = tuple[float, float]

_LIGHT = {
    "paper": "#ffffff", "ink": "#1c2530", "muted": "#5b6673", "line": "#98a2ae", "box": "#ffffff",
    "rim": "#a9b3be", "head": "#eef1f4", "leaf-head": "#d9ebf8", "leaf-rim": "#4a93c4",
    "out-rim": "#1c2530", "pill": "#f3f5f7", "data": "#005f96", "grad": "#b04600",
}  # fmt: skip
_DARK = {
    "paper": "#14191f", "ink": "#e8edf2", "muted": "#9eabb8", "line": "#66727f", "box": "#1b222a",
    "rim": "#4b5866", "head": "#252e38", "leaf-head": "#173449", "leaf-rim": "#3f83b0",
    "out-rim": "#e8edf2", "pill": "#252e38", "data": "#6cc0f2", "grad": "#f5a35c",
}  # fmt: skip


def _rules(c: dict[str, str], scope: str) -> str:
    """The colours of one theme. Plain values, because not every SVG reader knows CSS variables."""
    rules = {
        ".paper": f"fill:{c['paper']}",
        "text": f"fill:{c['ink']}",
        ".muted": f"fill:{c['muted']}",
        ".wire": f"stroke:{c['line']}",
        ".tip": f"fill:{c['line']}",
        ".box": f"fill:{c['box']};stroke:{c['rim']}",
        ".head": f"fill:{c['head']}",
        ".leaf .head": f"fill:{c['leaf-head']}",
        ".leaf .box": f"stroke:{c['leaf-rim']}",
        ".output .box": f"stroke:{c['out-rim']}",
        ".constant .box": f"fill:{c['paper']};stroke:{c['rim']}",
        ".pill": f"fill:{c['pill']};stroke:{c['muted']}",
        ".data": f"fill:{c['data']}",
        ".grad": f"fill:{c['grad']}",
    }
    return "".join(f"{scope} {what}{{{how}}}" for what, how in rules.items())


_ME = ".chainrule-graph"
# The system's theme decides; a page that says which theme it is in (JupyterLab, VS Code, Sphinx's
# themes) decides before it.
_PAGE_LIGHT = ("[data-jp-theme-light='true']", ".vscode-light", "[data-theme='light']")
_PAGE_DARK = ("[data-jp-theme-light='false']", ".vscode-dark", "[data-theme='dark']")
STYLE = (
    f"{_ME} text{{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',"
    "'Liberation Mono',monospace;font-size:12px;white-space:pre}"
    f"{_ME} .name{{font-size:{NAME}px;font-weight:600}}{_ME} .made-up{{font-weight:400;font-style:italic}}"
    f"{_ME} .small{{font-size:{SMALL}px}}{_ME} .op{{text-anchor:middle;font-size:{TEXT}px}}"
    f"{_ME} .sign{{font-size:17px}}"
    f"{_ME} .end{{text-anchor:end}}{_ME} .mid{{text-anchor:middle}}"
    f"{_ME} .wire{{fill:none;stroke-width:1.3}}{_ME} .box,{_ME} .pill{{stroke-width:1.2}}"
    f"{_ME} .output .box{{stroke-width:2}}{_ME} .constant .box{{stroke-dasharray:3 3}}"
    f"{_ME} .cut{{stroke-dasharray:2 4}}"
    f"{_ME} .far{{stroke-opacity:.65}}"
    + _rules(_LIGHT, _ME)
    + f"@media (prefers-color-scheme:dark){{{_rules(_DARK, _ME)}}}"
    + "".join(_rules(_LIGHT, f"{page} {_ME}") for page in _PAGE_LIGHT)
    + "".join(_rules(_DARK, f"{page} {_ME}") for page in _PAGE_DARK)
)


def svg(graph: Graph, direction: str = "LR", engine: str | None = None) -> str:
    """Draw a graph.

    Parameters
    ----------
    graph : Graph
    direction : {"LR", "TB"}
    engine : {"wasm", "dot"}, optional
        What places the boxes; see `chainrule.show.layout.layout`.

    Examples
    --------
    >>> from chainrule import Value
    >>> from chainrule.show.description import describe
    >>> svg(describe([Value(2.0, name="x")]))[:31]
    '<svg class="chainrule-graph" xm'
    """
    measured = cells(graph, direction)
    index = {c.node.id: i for i, c in enumerate(measured)}
    links, ends = [], []
    for i, c in enumerate(measured):
        for port, label in enumerate(c.labels):
            if label.edge.source:
                links.append(Link(index[label.edge.source], i, port))
                ends.append(label.band)
    placed = layout([c.outer for c in measured], links, direction, engine)
    corners = [
        (MARGIN + x - c.width / 2, MARGIN + y - c.height / 2) for c, (x, y) in zip(measured, placed.centres)
    ]
    wires = []
    for i, (k, curve, band) in enumerate(zip(links, placed.curves, ends)):
        source, (sx, sy), (tx, ty) = measured[k.source], corners[k.source], corners[k.target]
        points = [(x + MARGIN, y + MARGIN) for x, y in curve]
        # Graphviz rounds; the ends are where the drawing has them.
        if direction == "LR":
            start, end = (sx + source.width, sy + source.height / 2), (tx, ty + band.middle)
        else:
            start, end = (sx + source.width / 2, sy + source.height), (tx + band.centre, ty)
        classes = "wire far" if i in placed.far else "wire"
        wires.append(f'<path class="{classes}" d="{_curve([start, *points[1:-1], end])}"/>')
    note = left_out(graph)
    width = placed.width + 2 * MARGIN
    width = max(width, columns(note, SMALL) + 2 * MARGIN) if note else width
    height = placed.height + 2 * MARGIN + (FOOTER if note else 0)
    body = wires + [_cell(c, corner, direction, graph) for c, corner in zip(measured, corners)]
    if note:
        body.append(_text(MARGIN, height - 16, note, "small muted"))
    return _document(graph, width, height, body)


def _document(graph: Graph, width: float, height: float, body: list[str]) -> str:
    title, description = _in_words(graph)
    content = "\n".join(body)
    key = hashlib.sha256((title + content).encode("utf-8", "replace")).hexdigest()[:12]
    return (
        f'<svg class="chainrule-graph" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'aria-labelledby="title-{key} desc-{key}" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}">\n'
        f'<title id="title-{key}">{_escape(title)}</title>\n'
        f'<desc id="desc-{key}">{_escape(description)}</desc>\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="paper" width="{_n(width)}" height="{_n(height)}" rx="8"/>\n'
        f"{content}\n</svg>\n"
    )


def _in_words(graph: Graph) -> tuple[str, str]:
    by_id = {n.id: n for n in graph.nodes}
    names = ", ".join(_short(by_id[i].name) for i in graph.outputs[:5])
    values = [n for n in graph.nodes if n.kind in {"leaf", "result"}]
    words = [
        f"{_short(n.name)}{' = ' + summary.printable(n.expression) if n.expression else ''}: "
        + (f"by {n.kernel}." if n.kernel else f"data {n.data}, grad {n.gradient}.")
        for n in values[-30:]
    ]
    count = f"{len(values)} values, {sum(n.kind == 'operation' for n in graph.nodes)} operations."
    return f"Computational graph of {names}", " ".join([count, *words, left_out(graph)]).strip()


# ---------------------------------------------------------------- the parts of a cell


def _cell(c: Cell, corner: Point, direction: str, graph: Graph) -> str:
    n = c.node
    parts = []
    if c.operation is not None:
        parts += _operation(c, direction)
    classes = f"node {n.kind}" + (" output" if n.id in graph.outputs else "")
    title = f"<title>{_escape(_tooltip(n))}</title>"
    parts.append(f'<g class="{classes}" data-node="{n.id}">{title}{_box(c)}</g>')
    return f'<g transform="translate({_n(corner[0])} {_n(corner[1])})">{"".join(parts)}</g>'


def _box(c: Cell) -> str:
    b = c.box
    x, y, w = b.x, b.y, b.width
    if c.node.kind == "constant":
        detail = len(c.rows) - 1 if c.node.data_detail else len(c.rows)
        lines = [
            _text(
                b.centre,
                y + 4 + (i + 0.5) * LINE + 4,
                row.text,
                "name mid" if row.kind == "name" else "mid" if i < detail else "small muted mid",
            )
            for i, row in enumerate(c.rows)
        ]
        return _rect("box", b, 13) + "".join(lines)
    r = CORNER - 1  # of the header's tint, which lies inside the rim
    parts = [
        _rect("box", b, CORNER),
        f'<path class="head" d="M{_n(x + 1)} {_n(y + HEADER)}V{_n(y + 1 + r)}q0 {-r} {r} {-r}'
        f'H{_n(x + w - 1 - r)}q{r} 0 {r} {r}V{_n(y + HEADER)}z"/>',
        _text(x + PAD, y + 18, c.title, "name" if c.node.named else "name made-up muted"),
    ]
    if c.kind_text:
        parts.append(_text(x + w - PAD, y + 17.5, c.kind_text, "small muted end"))
    for i, row in enumerate(c.rows):
        base = y + HEADER + 4 + (i + 0.5) * LINE + 4
        if row.caption:
            parts.append(_text(x + PAD, base, row.caption, "small muted"))
        classes = row.kind if row.caption else f"{row.kind} small"
        parts.append(_text(x + PAD + CAPTION, base, row.text, classes))
    return "".join(parts)


def _operation(c: Cell, direction: str) -> list[str]:
    assert c.pill is not None and c.operation is not None
    p, b = c.pill, c.box
    parts = [_incoming(c, label, direction) for label in c.labels]
    if direction == "LR":
        parts.append(f'<path class="wire" d="M{_n(p.x + p.width)} {_n(p.middle)}H{_n(b.x)}"/>')
        parts.append(f'<path class="tip" d="M{_n(b.x)} {_n(b.middle)}l-7.5 -3.6v7.2z"/>')
    else:
        parts.append(f'<path class="wire" d="M{_n(p.centre)} {_n(p.y + p.height)}V{_n(b.y)}"/>')
        parts.append(f'<path class="tip" d="M{_n(b.centre)} {_n(b.y)}l-3.6 -7.5h7.2z"/>')
    sign = len(c.pill_text) == 1 and not c.pill_text.isalnum()
    parts.append(
        f'<g class="operation" data-node="{c.operation.id}"><title>{_escape(c.operation.name)}</title>'
        + _rect("pill", p, 14)
        + _text(p.centre, p.middle + (5.6 if sign else 4.2), c.pill_text, "op sign" if sign else "op")
        + "</g>"
    )
    return parts


def _incoming(c: Cell, label: Label, direction: str) -> str:
    """One edge from where it enters the cell, along its label, into the operation."""
    assert c.pill is not None
    p, band, e = c.pill, label.band, label.edge
    wire = "wire" if e.source else "wire cut"
    if direction == "LR":
        x, y = band.x + band.width, band.middle
        off = _spread(y - p.middle)
        # An edge that arrives off the middle reaches the round end of the pill a little later.
        end = p.x + 14 - float((14**2 - off**2) ** 0.5), p.middle + off
        d = f"M{_n(band.x)} {_n(y)}H{_n(x)}" + _bend((x, y), end, direction)
        text = _text(band.x + 8, y - 5, label.above, "small")
        text += _text(band.x + 8, y + 13, label.below, "small")
    else:
        x, y = band.centre, band.y + band.height
        end = p.centre + _spread(x - p.centre), p.y + 1
        d = f"M{_n(x)} {_n(band.y)}V{_n(y)}" + _bend((x, y), end, direction)
        text = _card(x, band.y + (12 if label.below else 19), label)
    title = f"<title>{_escape(e.label)}</title>" if e.label else ""
    return f'<g class="edge">{title}<path class="{wire}" d="{d}"/>{text}</g>'


def _card(x: float, y: float, label: Label) -> str:
    """A label on a line from top to bottom: the line goes behind it."""
    lines = [t for t in (label.above, label.below) if t]
    if not lines:
        return ""
    width = max(columns(t, SMALL) for t in lines) + 6
    back = _rect("paper", Rect(x - width / 2, y - 9, width, 13 * len(lines) + 3))
    return back + "".join(_text(x, y + 13 * i, t, "small mid") for i, t in enumerate(lines))


def _spread(offset: float) -> float:
    """Where on the operation's side an edge arrives: a little above or below its middle."""
    return max(-8.0, min(8.0, offset / 4))


def _bend(a: Point, b: Point, direction: str) -> str:
    if direction == "LR":
        half = (b[0] - a[0]) * 0.55
        return f"C{_n(a[0] + half)} {_n(a[1])} {_n(b[0] - half)} {_n(b[1])} {_n(b[0])} {_n(b[1])}"
    half = (b[1] - a[1]) * 0.55
    return f"C{_n(a[0])} {_n(a[1] + half)} {_n(b[0])} {_n(b[1] - half)} {_n(b[0])} {_n(b[1])}"


def _curve(points: list[Point]) -> str:
    (x, y), *rest = points
    return f"M{_n(x)} {_n(y)}C" + " ".join(f"{_n(a)} {_n(b)}" for a, b in rest)


# ---------------------------------------------------------------- text


def _tooltip(n: Node) -> str:
    if n.kind == "constant":
        return "\n".join(t for t in (_short(n.name) or "constant", n.data, n.data_detail, type_text(n)) if t)
    lines = [_short(n.name) + (f" = {summary.printable(n.expression)}" if n.expression else "")]
    if n.kernel:
        return "\n".join([*lines, f"by {n.kernel}", type_text(n)])
    lines += [f"data {n.data}" + (f" ({n.data_detail})" if n.data_detail else "")]
    lines += [f"grad {n.gradient}" + (f" ({n.gradient_detail})" if n.gradient_detail else "")]
    return "\n".join([*lines, type_text(n)])


def _short(name: str) -> str:
    return summary.shorten(summary.printable(name), 80)


def _rect(classes: str, r: Rect, corner: float = 0) -> str:
    size = f'x="{_n(r.x)}" y="{_n(r.y)}" width="{_n(r.width)}" height="{_n(r.height)}"'
    return f'<rect class="{classes}" {size}' + (f' rx="{_n(corner)}"/>' if corner else "/>")


def _text(x: float, y: float, text: str, classes: str = "") -> str:
    if not text:
        return ""
    return f'<text x="{_n(x)}" y="{_n(y)}" class="{classes}">{_escape(text)}</text>'


def _escape(text: str) -> str:
    return escape(text, quote=True)


def _n(x: float) -> str:
    """Coordinates to a tenth: finer cannot be seen, and graphs have many."""
    text = f"{x:.1f}"
    return text[:-2] if text.endswith(".0") else text
