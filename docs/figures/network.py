"""The network of five nodes, as in textbooks: what it computes, and how one parameter reaches its cost.

input ─┬─ node 1 ─┬─ node 3 ─┐
       └─ node 2 ─┴─ node 4 ─┴─ output ── J
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np

import chainrule as cr
from chainrule import Value
from docs.figures.sheet import DIM, Sheet, played

RADIUS = 25
PLACES = {
    "I": (50, 150), "Z1": (210, 75), "Z2": (210, 225), "Z3": (400, 75), "Z4": (400, 225), "Z5": (570, 150),
    "J": (710, 150),
}  # fmt: skip
EDGES = {
    ("I", "Z1"): "W1", ("I", "Z2"): "W2", ("Z1", "Z3"): "W3", ("Z1", "Z4"): "W4", ("Z2", "Z3"): "V3",
    ("Z2", "Z4"): "V4", ("Z3", "Z5"): "W5", ("Z4", "Z5"): "V5", ("Z5", "J"): "",
}  # fmt: skip


def network() -> dict[str, Value]:
    """Run it, for one sample of one number, with the sweep done: every variable by its name."""
    I = Value(1.0)
    W1, b1, W2, b2 = Value(0.8), Value(0.1), Value(-0.5), Value(0.9)
    W3, V3, W4, V4 = Value(0.7), Value(0.5), Value(-0.4), Value(1.2)
    W5, V5 = Value(1.1), Value(-0.6)
    Z1, Z2 = cr.relu(I * W1 + b1), cr.relu(I * W2 + b2)
    Z3, Z4 = np.tanh(Z1 * W3 + Z2 * V3), np.tanh(Z1 * W4 + Z2 * V4)
    Z5 = Z3 * W5 + Z4 * V5
    J = (Z5 - 1.0) ** 2
    J.backward()
    return {name: v for name, v in locals().items() if isinstance(v, Value)}


def picture(sheet: Sheet, found: dict[str, Value], down: float = 0, lit: tuple[str, ...] = ()) -> None:
    """Draw it, each number below its node; `lit` is a path of nodes."""
    on = set(pairwise(lit))
    for (a, b), label in EDGES.items():
        (xa, ya), (xb, yb) = PLACES[a], PLACES[b]
        sheet.arrow(
            (xa, ya + down), (xb, yb + down), RADIUS, label,
            "orange" if (a, b) in on else "line", 3 if (a, b) in on else 1.3, f"to-{b}", at=0.3,
        )  # fmt: skip
    for name, (x, y) in PLACES.items():
        sheet.circle(
            x, y + down, RADIUS, name, f"{found[name].data:.4g}", not lit or name in lit, f"at-{name}"
        )


def forward_pass() -> Sheet:
    """Node after node fires."""
    found = network()
    sheet = Sheet(
        770, 330, "Forward pass", "From the input to the cost J, each node is computed from those before it."
    )
    sheet.text(20, 30, "forward pass: each node from those before it", bold=True)
    picture(sheet, found, 20)
    return sheet


def forward_film() -> str:
    order = ["I", "Z1", "Z2", "Z3", "Z4", "Z5", "J"]
    states = {}
    for k, name in enumerate(order):
        before = set(range(k))
        states[f".at-{name}", DIM] = before
        states[f".to-{name}", DIM] = before
    return played(str(forward_pass()), states, len(order), 0.8)


def one_gradient() -> Sheet:
    """The two ways of W1 to the cost, with the product along each."""
    found = network()
    sheet = Sheet(
        770, 740, "Gradient of one parameter", "W1 reaches the cost in two ways; its gradient is their sum."
    )
    listed = cr.paths(found["J"], found["W1"], names=found)
    for k, path in enumerate(listed):
        down = 20 + 320 * k
        sheet.text(20, down + 10, f"path {k + 1} of {listed.n_paths}: {path.label}", bold=True)
        picture(sheet, found, down, ("I", *(n for n in path.names if n in PLACES)))
        sheet.text(20, down + 295, f"product of its local derivatives: {path.product:+.6f}", "orange")
    terms = " ".join(f"{p.product:+.6f}" for p in listed)
    sheet.text(20, 700, f"together: {terms} = {listed.gradient:+.6f}", "orange", bold=True)
    sheet.text(20, 723, f"one sweep: W1.grad    = {found['W1'].grad:+.6f}", "orange")
    return sheet


def repeated_patterns() -> Sheet:
    """Every path of every parameter, multiplied out: the same factors again and again."""
    found = network()
    J = found["J"]
    rows = []
    for name in ("W1", "b1", "W2", "b2", "W3", "V3", "W4", "V4", "W5", "V5"):
        for path in cr.paths(J, found[name], names=found):
            stops = [n for n in path.names if n in PLACES or n == name]
            rows.append((name, [f"∂{b}/∂{a}" for a, b in reversed(list(pairwise(stops)))]))
    count = Counter(f for _, factors in rows for f in factors)
    inks: dict[str, str] = {}
    for place in range(4):  # those in one column get different colours
        again = dict.fromkeys(f[place] for _, f in rows if len(f) > place and count[f[place]] > 1)
        inks |= zip((f for f in again if f not in inks), ("orange", "blue", "green", "purple"))
    sheet = Sheet(
        770, 100 + 22 * len(rows), "Repeated patterns",
        "The gradients of all parameters, multiplied out path by path; repeated factors have a colour.",
    )  # fmt: skip
    sheet.text(20, 32, "all paths of all parameters, multiplied out", bold=True)
    before = ""
    for k, (name, factors) in enumerate(rows):
        y = 66 + 22 * k
        sheet.text(20, y, f"∂J/∂{name} =" if name != before else "       +")
        before = name
        for i, f in enumerate(factors):
            sheet.text(125 + 105 * i, y, f, inks.get(f, "muted"), bold=f in inks)
            if i + 1 < len(factors):
                sheet.text(125 + 105 * i + 80, y, "·", "muted")
    total = sum(count.values())
    sheet.text(
        20,
        sheet.height - 20,
        f"{total} factors, of which {len(count)} are different; a sweep needs each once",
    )
    return sheet


def classic_neuron(sheet: Sheet, found: dict[str, Value], x: float, y: float) -> None:
    """A network of two inputs, two hidden nodes and an output, of which only h1 has fired."""
    at = {"x1": (40, 50), "x2": (40, 190), "h1": (200, 50), "h2": (200, 190), "out": (340, 120)}
    at = {name: (x + u, y + v) for name, (u, v) in at.items()}
    for a, b, label in (
        ("x1", "h1", "w1"), ("x2", "h1", "w2"), ("x1", "h2", ""), ("x2", "h2", ""), ("h1", "out", ""),
        ("h2", "out", ""),
    ):  # fmt: skip
        fired = b == "h1"
        sheet.arrow(at[a], at[b], RADIUS, label, "blue" if fired else "line", 2 if fired else 1.3, at=0.3)
    for name, (u, v) in at.items():
        fired = name in found
        sheet.circle(u, v, RADIUS, name, f"{found[name].data:.4g}" if fired else "", fired)
