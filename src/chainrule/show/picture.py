"""`draw` and what it gives back: a picture that shows itself in a notebook and saves itself to a file."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from chainrule.native.graph import ProgramGraph
from chainrule.show import dot, layout, raster, summary, svg, text
from chainrule.show import names as naming
from chainrule.show.description import Graph, describe
from chainrule.show.program import describe_program
from chainrule.value import Value

__all__ = ["Picture", "draw"]

MAX_NODES = 500
_DIRECTIONS = ("LR", "TB")


class Picture:
    """A graph as it was when it was drawn, in several forms.

    In a notebook it shows itself; ``str(picture)`` is a table. What it holds are texts: it keeps
    no graph alive and nothing in it changes later.

    Attributes
    ----------
    description : Graph
        Nodes and edges as plain data.
    svg : str
        A stand-alone SVG, light or dark as its surroundings.
    dot : str
        Source for Graphviz.
    json : str
        The description.
    html : str
        One page with the picture and the table in it. It loads nothing and runs nothing.
    png, gif, webp : bytes
        The picture as pixels, and a walk through it, forward and backward, of at most 100 nodes.

    Examples
    --------
    >>> from chainrule import Value
    >>> x = Value(3.0)
    >>> y = x * x
    >>> picture = draw(y, names={"x": x, "y": y})
    >>> print(picture)
    name  operation  data  grad  local derivatives
    x                3     0
    y     = x * x    9     0     ∂y/∂x = x = 3 (×2)
    >>> picture.description.node("y").expression
    'x * x'
    """

    def __init__(self, description: Graph, direction: str = "LR") -> None:
        self.description = description
        self.direction = direction

    @cached_property
    def svg(self) -> str:
        return svg.svg(self.description, self.direction)

    @cached_property
    def dot(self) -> str:
        return dot.dot(self.description, self.direction)

    @cached_property
    def json(self) -> str:
        plain = json.dumps(self.description.as_dict(), indent=1, allow_nan=False)
        # still the same JSON, and it may stand inside a page's <script>
        return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

    @cached_property
    def html(self) -> str:
        return _page(self)

    @cached_property
    def png(self) -> bytes:
        return raster.png(self.svg)

    @cached_property
    def gif(self) -> bytes:
        return raster.film(self.description, self.svg, "GIF")

    @cached_property
    def webp(self) -> bytes:
        return raster.film(self.description, self.svg, "WEBP")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file in the form that the suffix names.

        The file is there whole or not at all; one that was there before is replaced.

        Parameters
        ----------
        path : str or path-like
            Ending in .svg, .png, .gif, .webp, .html, .json, .dot or .txt.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        ValueError
            For another suffix, or a .gif or .webp, which walk through the graph, of more than 100 nodes.
        ImportError
            For .png, .gif and .webp without resvg-py and pillow, which the extra ``show`` installs.
        """
        path = Path(path)
        form = _FORMS.get(path.suffix.lower())
        if form is None:
            raise ValueError(
                f"Picture.save: {path.name!r} ends in {path.suffix or 'no suffix'!r}, expected one of "
                f"{', '.join(_FORMS)}; a browser or Inkscape turns the .svg into other formats"
            )
        write(path, str(self) + "\n" if form == "text" else getattr(self, form))
        return path

    def __str__(self) -> str:
        return text.text(self.description)

    def __repr__(self) -> str:
        values = sum(n.kind in {"leaf", "result"} for n in self.description.nodes)
        rest = f", {self.description.left_out:,} left out" if self.description.left_out else ""
        return f"<Picture of {values} nodes{rest}; .svg, .html, .save(path), print(picture)>"

    def _repr_svg_(self) -> str | None:
        try:
            return self.svg
        except (layout.NoEngine, layout.LayoutError):
            return None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For Jupyter: the SVG where it can be laid out, and the table."""
        bundle = {"text/plain": str(self)}
        try:
            bundle["image/svg+xml"] = self.svg
        except (layout.NoEngine, layout.LayoutError) as error:
            bundle["text/plain"] += f"\n({error})"
        return bundle


_FORMS = {
    ".svg": "svg", ".html": "html", ".json": "json", ".dot": "dot", ".gv": "dot", ".txt": "text",
    ".png": "png", ".gif": "gif", ".webp": "webp",
}  # fmt: skip


def draw(
    value: Value | Iterable[Value] | ProgramGraph,
    *,
    names: Mapping[str, Any] | None = None,
    direction: str = "LR",
    max_nodes: int = MAX_NODES,
) -> Picture:
    """Draw the graph that a Value was computed from.

    Every node shows its name, data and gradient; between the nodes stand the operations, and on
    each edge into one its local derivative, as a formula and as a number. Drawing changes nothing.
    Gradients are zero before any ``backward()``. Those of large intermediate arrays, which
    ``backward()`` does not keep, are computed once more: they hold what came through ``value``.

    Parameters
    ----------
    value : Value, or list, tuple or dict of Values
        What to draw; the graph of several in one picture. Or the ``graph`` of a compiled function:
        its operations, and for each of them the kernel that computes it.
    names : mapping from str to object, optional
        Names for nodes, looked up before the caller's own variables: ``{"x": x, "model": model}``.
    direction : {"LR", "TB"}
        From left to right, or from top to bottom.
    max_nodes : int
        Of a larger graph only the nodes nearest to ``value``. How many are left out is said in
        the picture.

    Returns
    -------
    Picture

    Raises
    ------
    TypeError
        If there is something else than Values to draw.
    ValueError
        For an unknown direction, or a limit below 1.

    Examples
    --------
    >>> from chainrule import Value
    >>> a, b = Value(2.0, name="a"), Value(-3.0, name="b")
    >>> c = a * b + a
    >>> c.backward()
    >>> print(draw(c, names={"c": c}))
    name  operation  data  grad  local derivatives
    a                2     -2
    b                -3    2
    v2    = a * b    -6    1     ∂v2/∂a = b = -3, ∂v2/∂b = a = 2
    c     = v2 + a   -4    1     ∂c/∂v2 = 1, ∂c/∂a = 1
    """
    outputs = [] if isinstance(value, ProgramGraph) else values_of("draw", value)
    if direction not in _DIRECTIONS:
        raise ValueError(
            f"draw: direction is {direction!r}, expected 'LR' (left to right) or 'TB' (top to bottom)"
        )
    if not isinstance(max_nodes, int) or max_nodes < 1:
        raise ValueError(f"draw: max_nodes is {max_nodes!r}, expected an integer of at least 1")
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"draw: names is {type(names).__name__}, expected a dict from names to objects")
    if isinstance(value, ProgramGraph):
        return Picture(describe_program(value, max_nodes), direction)
    scopes = [*([] if names is None else [names]), *naming.caller()]
    return Picture(describe(outputs, scopes, max_nodes), direction)


def values_of(name: str, value: Any) -> list[Value]:
    """The Values that somebody wants to see, each once; ``name`` is the function that was asked."""
    found = list(value.values()) if isinstance(value, Mapping) else value
    found = [found] if isinstance(found, Value) else found
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise TypeError(
            f"{name}: value is {type(value).__name__}, expected a Value or a list of Values; "
            f"to {name} a model, {name} what it computes: {name}(model(x))"
        )
    for i, v in enumerate(found):
        if not isinstance(v, Value):
            raise TypeError(f"{name}: element {i} of value is {type(v).__name__}, expected a Value")
    if not found:
        raise ValueError(f"{name}: value is empty, expected at least one Value")
    return list({id(v): v for v in found}.values())


# ---------------------------------------------------------------- pages and files

_PAGE_STYLE = (
    "body{margin:2rem;font:15px/1.5 system-ui,sans-serif;color:#1c2530;background:#f6f7f9}"
    "h1{font-size:1.15rem;font-weight:600}"
    ".graph{overflow:auto;border-radius:8px;max-height:80vh}"
    "svg{display:block}"
    "summary{cursor:pointer;margin:1rem 0 .5rem}"
    "pre{overflow:auto;padding:1rem;border-radius:8px;background:#fff;font-size:13px}"
    "@media (prefers-color-scheme:dark){body{color:#e8edf2;background:#0d1116}pre{background:#14191f}}"
)


def _page(picture: Picture) -> str:
    outputs = {n.id: n for n in picture.description.nodes}
    title = "Graph of " + ", ".join(outputs[i].name for i in picture.description.outputs[:5])
    allowed = " ".join(f"'sha256-{_digest(style)}'" for style in (_PAGE_STYLE, svg.STYLE))
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src {allowed}; '
        "base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_shown(title)}</title>\n<style>{_PAGE_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{_shown(title)}</h1>\n"
        f'<div class="graph" role="region" aria-label="Graph" tabindex="0">\n{picture.svg}</div>\n'
        "<details>\n<summary>As a table</summary>\n"
        f'<pre tabindex="0">{escape(str(picture))}</pre>\n</details>\n'
        "</main>\n</body>\n</html>\n"
    )


def _shown(title: str) -> str:
    return escape(summary.shorten(summary.printable(title), 80))


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def write(path: Path, content: str | bytes) -> None:
    """Write beside the target and rename, so that a reader never sees half a file."""
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:50]}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            try:
                file.write(content if isinstance(content, bytes) else content.encode())
                file.flush()
                os.fsync(file.fileno())
                os.replace(temporary, target)
            except BaseException:
                os.unlink(temporary)
                raise
    except OSError as error:  # of the file that was asked for, not of the one beside it
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
