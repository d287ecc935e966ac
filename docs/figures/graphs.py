"""Figures around recorded graphs."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule import Value, nn
from chainrule.show.description import Graph
from docs.figures import network
from docs.figures.sheet import HIDDEN, LIT, Sheet, played, size


def beside(title: str, words: str, columns: int, panels: list[tuple[str, str]], scale: float = 1.0) -> Sheet:
    """Drawings with a caption each, in rows of so many columns."""
    sizes = [tuple(scale * s for s in size(svg)) for _, svg in panels]
    rows = [range(i, min(i + columns, len(panels))) for i in range(0, len(panels), columns)]
    widths = [
        max(sizes[i][0] for i in range(c, len(panels), columns)) for c in range(min(columns, len(panels)))
    ]
    widths = [max(w, 8 * len(panels[c][0])) for c, w in enumerate(widths)]
    heights = [max(sizes[i][1] for i in row) + 40 for row in rows]
    sheet = Sheet(sum(widths) + 30 * len(widths), sum(heights) + 20, title, words)
    y = 10.0
    for row, height in zip(rows, heights):
        x = 15.0
        for i, width in zip(row, widths):
            sheet.text(x + 8, y + 22, panels[i][0], bold=True)
            sheet.put(panels[i][1], x, y + 30, scale)
            x += width + 30
        y += height
    return sheet


def primitives() -> Sheet:
    """One node of a network is three primitives."""
    I = Value(np.array([[1.0, 2.0]]))
    W1, b1 = Value(np.array([[1.0, -1.0], [0.5, 2.0]])), Value(np.array([-1.0, -4.0]))
    t1 = I @ W1
    t2 = t1 + b1
    t3 = cr.relu(t2)
    sheet = Sheet(
        0, 0, "Graph to primitives", "Node 1 of a network, and the three primitives that it is made of."
    )
    sheet.text(20, 32, "the network", bold=True)
    network.picture(sheet, network.network(), 30, ("I", "Z1"))
    sheet.text(
        20, 340, "node 1 of such a network, for arrays: relu(I @ W1 + b1) in its primitives", bold=True
    )
    width, height = sheet.put(cr.draw(t3, names=locals()).svg, 0, 350, 0.72)
    sheet.width, sheet.height = max(width + 20, 770), 350 + height + 15
    return sheet


def adjoint_film() -> str:
    """The two passes over a graph, step by step: data as it is computed, gradients as they are complete."""
    I, W1, W3, W4 = Value(0.5), Value(1.0), Value(2.0), Value(0.7)
    Z1 = np.tanh(I * W1)
    Z3, Z4 = Z1 * W3, Z1 * W4
    Z5 = Z3 + Z4
    Z5.backward()
    picture = cr.draw(Z5, names=locals(), direction="TB")
    return walked(picture.svg, picture.description)


def walked(svg: str, graph: Graph) -> str:
    leaves = [n.id for n in graph.nodes if n.kind == "leaf"]
    results = [n.id for n in graph.nodes if n.kind == "result"]
    position = {v: i for i, v in enumerate(results)}
    users: dict[str, list[str]] = {}
    for e in graph.edges:
        if e.source:
            users.setdefault(e.source, []).append("v" + e.target[1:])
    n = len(results)
    count = 2 * n + 2
    states = {}
    for v in leaves + results:
        if v in position:
            states[f'[data-node="{v}"] .data', HIDDEN] = set(range(position[v] + 1))
            states[f'[data-node="{v}"] .box', LIT] = {position[v] + 1, 2 * n - position[v]}
        first = min((position[u] for u in users.get(v, []) if u in position), default=n)
        states[f'[data-node="{v}"] .grad', HIDDEN] = set(range(2 * n + 1 - first))
    return played(svg, states, count)


class Forked(nn.Module):
    """A trunk, and two modules that both read its output; the sum of theirs."""

    def __init__(self) -> None:
        self.trunk = nn.Linear(2, 2, rng=0)
        self.left, self.right = nn.Linear(2, 1, rng=1), nn.Linear(2, 1, rng=2)

    def forward(self, x: Value) -> Value:
        h = np.tanh(self.trunk(x))
        return self.left(h) + self.right(h)


def zooming_out() -> Sheet:
    """One module with its four signals; the modules of a network; the network as one module."""
    net = Forked()
    with nn.watch(net) as seen:
        np.sum(net(Value(np.array([[1.0, -1.0]])))).backward()
    sheet = Sheet(
        770, 760, "Modules, zooming out", "One module, the modules of a network, the network as a module."
    )

    def shown(x: np.ndarray) -> str:
        return " ".join(f"{a:.3g}" for a in np.ravel(x))

    def link(x0: float, y0: float, x1: float, y1: float, forward: str, backward: str) -> None:
        """Values go one way, gradients the other."""
        sheet.arrow((x0, y0 - 7), (x1, y1 - 7), 3, colour="blue", width=1.6)
        sheet.arrow((x1, y1 + 7), (x0, y0 + 7), 3, colour="orange", width=1.6)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        sheet.text(x, y - 16 - abs(y1 - y0) / 4, forward, "blue", "middle")
        sheet.text(x, y + 25 + abs(y1 - y0) / 4, backward, "orange", "middle")

    trunk, left, right, whole = (seen[name] for name in ("trunk", "left", "right", ""))
    sheet.text(20, 30, "one module: four signals cross its border", bold=True)
    sheet.box(270, 60, 230, 104, "trunk: Linear", ["forward()", "backward()", "parameter_gradients()"])
    link(60, 112, 270, 112, f"inputs {shown(trunk.inputs)}", f"outgoing {shown(trunk.outgoing)}")
    link(500, 112, 740, 112, f"outputs {shown(trunk.outputs)}", f"incoming {shown(trunk.incoming)}")

    sheet.text(20, 230, "zoomed out: the same module among others", bold=True)
    sheet.box(120, 340, 110, 60, "trunk", [])
    sheet.box(330, 340, 80, 60, "tanh", [])
    sheet.box(540, 260, 100, 60, "left", [])
    sheet.box(540, 420, 100, 60, "right", [])
    sheet.circle(722, 370, 18, "+", "", True)
    link(20, 370, 120, 370, shown(trunk.inputs), shown(trunk.outgoing))
    link(230, 370, 330, 370, shown(trunk.outputs), shown(trunk.incoming))
    for module, y in ((left, 290), (right, 450)):
        link(410, 358 if y < 370 else 382, 540, y, "", "")
        above = y < 370
        sheet.text(440, y - 8 if above else y + 2, shown(module.inputs), "blue", "middle")
        sheet.text(440, y + 9 if above else y + 19, shown(module.outgoing), "orange", "middle")
        link(640, y, 699, 360 if above else 380, "", "")
        sheet.text(680, y - 8 if above else y + 18, shown(module.outputs), "blue", "middle")
        sheet.text(680, y + 9 if above else y + 35, shown(module.incoming), "orange", "middle")

    sheet.text(20, 555, "further out: the network is a module, too", bold=True)
    sheet.box(270, 590, 230, 104, "net: Forked", ["forward()", "backward()", "parameter_gradients()"])
    link(60, 642, 270, 642, f"inputs {shown(whole.inputs)}", f"outgoing {shown(whole.outgoing)}")
    link(500, 642, 740, 642, f"outputs {shown(whole.outputs)}", f"incoming {shown(whole.incoming)}")
    sheet.text(20, 740, "blue: values, forward", "blue")
    sheet.text(240, 740, "orange: gradients, backward", "orange")
    return sheet


def single_neuron() -> Sheet:
    x1, w1, x2, w2 = Value(2.0), Value(-0.5), Value(-1.0), Value(0.3)
    o1, o2 = x1 * w1, x2 * w2
    s1 = o1 + o2
    h1 = np.tanh(s1)
    h1.backward()
    sheet = Sheet(
        0, 0, "A single neuron in both pictures", "Above as in textbooks, below as a graph."
    )
    sheet.text(20, 32, "the classic picture: h1 has fired", bold=True)
    network.classic_neuron(sheet, {"x1": x1, "x2": x2, "h1": h1}, 180, 45)
    sheet.text(20, 330, "the same as a graph: what happens on the way to h1 = tanh(x1·w1 + x2·w2)", bold=True)
    width, height = sheet.put(cr.draw(h1, names=locals()).svg, 10, 340, 0.7)
    sheet.width, sheet.height = width + 20, 340 + height + 15
    return sheet


def four_stages() -> Sheet:
    """The two-level graph: before, and after each level of the sweep."""
    x1, w1, x2, w2 = Value(2.0), Value(3.0), Value(4.0), Value(5.0)
    o1, o2 = x1 * w1, x2 * w2
    h1 = o1 + o2
    names = dict(locals())
    panels = [("1  data only", cr.draw(h1, names=names, direction="TB").svg)]
    h1.grad = 1.0
    panels.append(("2  the output: dh1/dh1 = 1", cr.draw(h1, names=names, direction="TB").svg))
    o1.grad = o2.grad = 1.0
    panels.append(("3  addition routes", cr.draw(h1, names=names, direction="TB").svg))
    for v in (h1, o1, o2):
        v.grad = 0.0
    h1.backward()
    panels.append(("4  multiplication swaps", cr.draw(h1, names=names, direction="TB").svg))
    return beside("Four stages of the two-level graph", "Gradients appear level by level.", 2, panels, 0.8)
