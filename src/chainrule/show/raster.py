"""Pictures as pixels: the SVG as PNG, and as a GIF in which the graph is walked through node by node."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainrule.show.description import Graph

__all__ = ["film", "png"]

MOST = 100  # nodes of a graph that is walked through
_ZOOM = 2  # pixels to a unit of the SVG
_MILLISECONDS, _REST = 700, 2500  # of a step, and of the last one


def png(svg: str, style: str = "", zoom: float = _ZOOM) -> bytes:
    """An SVG as PNG, on the light background.

    Parameters
    ----------
    svg : str
    style : str
        Rules of CSS on top of the SVG's own.
    zoom : float

    Raises
    ------
    ImportError
        If resvg-py is not installed: ``pip install 'chainrule[show]'``.
    """
    resvg = _imported("resvg_py")
    svg = svg.replace("</style>", f"{style}</style>", 1)
    fonts = [str(path) for path in _fonts()]
    # Looking for the system's fonts takes longer than drawing; they are needed for what DejaVu has not.
    return bytes(
        resvg.svg_to_bytes(
            svg_string=svg,
            zoom=zoom,
            background="#ffffff",
            font_files=fonts,
            monospace_family="DejaVu Sans Mono",
            skip_system_fonts=bool(fonts) and svg.translate(_COMMON).isascii(),
        )
    )


def film(graph: Graph, svg: str, form: str) -> bytes:
    """A walk through a graph: every result as it is computed, then every gradient once it is complete.

    Parameters
    ----------
    graph : Graph
    svg : str
        Its picture.
    form : str
        GIF or WEBP.

    Raises
    ------
    ValueError
        For more than 100 nodes.
    ImportError
        If resvg-py or pillow is not installed.
    """
    count = sum(n.kind in {"leaf", "result"} for n in graph.nodes)
    if count > MOST:
        raise ValueError(
            f"Picture.save: the picture has {count} nodes, expected at most {MOST} for a .{form.lower()} "
            "that walks through them; draw fewer with max_nodes, or take a .png"
        )
    image = _imported("PIL.Image")
    frames = [image.open(io.BytesIO(png(svg, style, zoom=1.5))).convert("RGB") for style in _steps(graph)]
    if form == "GIF":
        palette = frames[len(frames) // 2].quantize(64)  # one for all, or the colours would flicker
        frames = [frame.quantize(palette=palette) for frame in frames]
    durations = [_MILLISECONDS] * (len(frames) - 1) + [_REST]
    file = io.BytesIO()
    options = {"lossless": True} if form == "WEBP" else {}
    frames[0].save(
        file, form, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options
    )
    return file.getvalue()


def _steps(graph: Graph) -> Iterator[str]:
    """For each step the rules that hide what is not known yet, and point to where one is."""
    values = [n.id for n in graph.nodes if n.kind in {"leaf", "result"}]
    results = [n.id for n in graph.nodes if n.kind == "result" and not n.unexpanded]
    users: dict[str, set[str]] = {v: set() for v in values}
    for e in graph.edges:
        if e.source in users:
            users[e.source].add("v" + e.target[1:])
    unknown, waiting = set(results), set(values)
    yield _style(unknown, waiting, "")
    for v in results:
        unknown.discard(v)
        yield _style(unknown, waiting, v)
    passed: set[str] = set()
    for v in reversed(results):
        waiting -= {x for x in waiting if users[x] <= passed}
        yield _style(unknown, waiting, v)
        passed.add(v)
    yield _style(unknown, set(), "")


def _style(unknown: set[str], waiting: set[str], here: str) -> str:
    rules = [f'[data-node="{v}"] .data{{visibility:hidden}}' for v in sorted(unknown)]
    rules += [f'[data-node="{v}"] .grad{{visibility:hidden}}' for v in sorted(waiting)]
    if here:
        rules.append(f'[data-node="{here}"] .box{{stroke:#e69f00;stroke-width:4}}')
    return "".join(rules)


_COMMON = dict.fromkeys(map(ord, "∂×·−±²³⁻¹⁰⁴⁵⁶⁷⁸⁹ᵀσΣ‖…↦→αβγδεθλμπφω√∞"), "x")


def _fonts() -> list[Path]:
    """The font that matplotlib brings, so that a picture looks alike where there are no others."""
    try:
        import matplotlib
    except ImportError:
        return []
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return [folder / "DejaVuSansMono.ttf", folder / "DejaVuSansMono-Bold.ttf"]


def _imported(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise ImportError(
            "Picture.save: a picture of pixels needs resvg-py and pillow; run: pip install 'chainrule[show]'"
        ) from None
