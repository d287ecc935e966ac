"""Pages for the tests in the browser, each beside the numbers that the engine says.

``python tests/page/pages.py FOLDER`` writes NAME.html and NAME.json for each function here. The JSON has
the data and gradients of the graph's Values in the order of the program, as ``.data`` and ``.grad`` give
them, and the names of those in a variable; the survey has no part in it.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import Value, nn, optim, train
from chainrule.graph import order
from chainrule.micrograd.nn import MLP
from chainrule.show.film import TrainingFilm
from chainrule.show.script import explore_script
from chainrule.show.training import BoundaryFilm

HOSTILE = {
    "markup": "</script><img src=x onerror=alert(1)>", "a comment": "<!--<script>", "__proto__": "__proto__",
    "constructor": "constructor", "LaTeX": "\\input{/etc/passwd}$%", "1 MB": "x" * (1 << 20),
    "separators": "a\u2028b\u2029c", "direction": "a\u202eb", "nothing": "\x00", "lone": "\ud800",
}


def numbers(output: Value, scope: dict[str, Any]) -> dict[str, Any]:
    """What the engine says of a graph of numbers."""
    nodes = order([output])
    names = {name: x for name, x in scope.items() if isinstance(x, Value)}
    return {
        "data": [plain(v.data) for v in nodes],
        "gradient": [plain(v.grad) for v in nodes],
        "names": {name: next(i for i, v in enumerate(nodes) if v is x) for name, x in names.items()},
    }


def plain(x: float) -> float | str:
    return float(x) if np.isfinite(x) else str(float(x))


def readme() -> Any:
    a, b = Value(-4.0), Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    return cr.explore(g), numbers(g, {"a": a, "b": b, "c": c, "d": d, "e": e, "f": f, "g": g})


def diamond() -> Any:
    x = Value(3.0)
    y = x * 1
    b = 3 * y
    s = b + y
    s.backward()
    return cr.explore(s), numbers(s, {"x": x, "y": y, "b": b, "s": s})


def paths() -> Any:
    I, W1, W2, W3, W4 = Value(0.5), Value(1.0), Value(-1.5), Value(2.0), Value(0.7)
    Z1, Z2 = (I * W1).relu(), (I * W2).tanh()
    Z3, Z4 = Z1 * W3 + Z2, Z1 * W4
    Z5 = Z3 + Z4
    Z5.backward()
    return cr.explore(Z5), numbers(Z5, {"W1": W1, "Z1": Z1, "Z5": Z5})


def edges() -> Any:
    """Numbers that are none, and what an operation does not send on."""
    np.seterr(all="ignore")
    zero, nan, w = Value(0.0), Value(np.nan), Value(-2.0)
    shut = w.relu() * Value(np.inf)
    y = np.exp(Value(800.0)) * zero + nan * w + shut + np.log(zero)
    y.backward()
    return cr.explore(y), numbers(y, {"zero": zero, "w": w})


def doublings() -> Any:
    x = y = Value(1.0)
    for _ in range(200):
        y = y + y
    y.backward()
    return cr.explore(y), {**numbers(y, {"x": x}), "paths": str(2**200)}


def nodes_2000() -> Any:
    """Without any order in it, so that nothing is collapsed."""
    r = np.random.default_rng(0)
    nodes = [Value(float(x)) for x in r.normal(size=20)]
    for _ in range(1980):
        x, y = (nodes[k] for k in r.integers(max(0, len(nodes) - 40), len(nodes), 2))
        nodes.append([x + y, x * y, x - y, np.tanh(x)][r.integers(4)])
    loss = sum(v for v in nodes[-40:])
    loss.backward()
    return cr.explore(loss, names={}), {}


def nodes_1000000() -> Any:
    x = y = Value(1.0)
    for _ in range(500_000):
        y = y * 0.999999 + x
    y.backward()
    began = time.perf_counter()
    page = cr.explore(y)
    size = len(page.html)
    return page, {"seconds": time.perf_counter() - began, "bytes": size}


def micrograd() -> Any:
    """Two layers of neurons, and the loss of 100 samples: 68,138 nodes."""
    r = np.random.default_rng(1337)
    model = MLP(2, [16, 16, 1])
    for p in model.parameters():
        p.data = r.uniform(-1, 1)
    X, y = moons(100, r)
    scores = [model(row) for row in X]
    losses = [(1 + -yi * score).relu() for yi, score in zip(y, scores)]
    data_loss = sum(losses) * (1.0 / len(losses))
    loss = data_loss + 1e-4 * sum(p * p for p in model.parameters())
    loss.backward()
    began = time.perf_counter()
    page = cr.explore(loss)
    size = len(page.html)
    return page, {"seconds": time.perf_counter() - began, "bytes": size, "nodes": len(order([loss]))}


def moons(n: int, r: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    t = r.uniform(0, np.pi, n)
    y = np.where(np.arange(n) % 2, 1.0, -1.0)
    X = np.stack([np.cos(t) * -y + (y > 0), np.sin(t) * -y + 0.5 * (y > 0)], 1)
    return X + 0.1 * r.normal(size=X.shape), y


def neuron() -> Any:
    model = MLP(2, [4, 1])
    for k, p in enumerate(model.parameters()):
        p.data = np.sin(k + 1.0)
    return cr.explore(model, [0.5, -1.0]), {}


def arrays() -> Any:
    r = np.random.default_rng(0)
    shapes = {"W1": (10, 5), "W2": (5, 1), "W3": (5, 1), "I": (10, 10)}

    def net(W1, W2, W3, I):
        hidden = np.tanh(I @ W1)
        return np.sum(hidden @ W2 + hidden @ W3)

    return cr.explore(net, *[r.normal(size=shape) for shape in shapes.values()]), {}


def modules() -> Any:
    """A network with its messages, its picture, the sizes of its Jacobians and a film of its training."""
    r = np.random.default_rng(0)
    X, y = moons(40, r)
    t = (y[:, None] + 1) / 2
    model = nn.MLP([2, 16, 16, 1], rng=0)
    film = TrainingFilm(
        BoundaryFilm(X, y, lambda points: model(points).data[:, 0], resolution=40, size=160), frames=12
    )
    optimiser = optim.Adam(model.parameters(), lr=0.05)
    train.fit(model, (X, t), nn.bce_with_logits, optimiser, epochs=12, batch_size=20,
              callbacks=[film], progress=False)
    page = cr.explore(model, X, t, loss=nn.bce_with_logits, training=film)
    return page, {"steps": film.frames([], {})["steps"], "losses": film.losses}


def rows() -> Any:
    """Repeats inside repeats: two rows through two layers of neurons."""
    model = MLP(2, [3, 1])
    for k, p in enumerate(model.parameters()):
        p.data = np.cos(k + 1.0)
    loss = sum((model(row) - 1.0) ** 2 for row in ([0.5, -1.0], [2.0, 1.0], [1.5, -0.5]))
    loss.backward()
    return cr.explore(loss), numbers(loss, {"loss": loss})


def hostile(name: str) -> Callable[[], Any]:
    def page() -> Any:
        a = Value(2.0, name=name)
        b = a * a
        out = b.relu() + a
        out.backward()
        return cr.explore(out, names={name: b, "y": out}), {"name": name[:20]}

    return page


def hostile_source(folder: Path) -> Any:
    """A script with markup in its file's name, in its lines and in what it defines."""
    script = folder / "<img src=x onerror=alert(1)>.py"
    script.write_text(
        "import numpy as np\n"
        "from chainrule import Value, nn\n"
        "a = Value(2.0)\n"
        "y = a * a  # </script><script>alert(1)</script><!--\n"
        "y.backward()\n",
        encoding="utf-8",
    )
    try:
        return explore_script(script, "y"), {}
    finally:
        script.unlink()


def pages(folder: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    for make in (
        readme, diamond, paths, edges, doublings, nodes_2000, nodes_1000000, micrograd, neuron, arrays,
        modules, rows,
    ):
        yield make.__name__, make
    for what, name in HOSTILE.items():
        yield f"hostile {what}", hostile(name)
    yield "hostile source", lambda: hostile_source(folder)


def main(folder: Path, wanted: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in pages(folder):
        if wanted and name not in wanted:
            continue
        page, expected = make()
        page.save(folder / f"{name}.html")
        (folder / f"{name}.json").write_text(json.dumps(expected), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
