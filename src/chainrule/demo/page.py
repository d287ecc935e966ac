"""The page that the demo writes: one HTML file that needs nothing else and no network."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from chainrule import __version__
from chainrule.demo.neuron import neuron_graphs
from chainrule.demo.runs import Run
from chainrule.show.training import training_curves

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Film", "page"]


@dataclass
class Film:
    """All frames of a film on one sheet, as a data address, and where the frames lie on it."""

    address: str
    count: int
    columns: int
    rows: int
    width: int
    height: int

    @classmethod
    def of(cls, sheet: Image, count: int, columns: int, rows: int, size: tuple[int, int]) -> Film:
        """Encode the sheet."""
        encoded = io.BytesIO()
        sheet.save(encoded, "WEBP", quality=62, method=4)
        address = "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
        return cls(address, count, columns, rows, *size)


def page(runs: list[Run], films: dict[str, Film], command: str) -> str:
    """Write the page.

    Parameters
    ----------
    runs : list of Run
        What was trained.
    films : dict of str to Film
        The decision boundaries, under the names of their runs.
    command : str
        The command line that gives this page.

    Returns
    -------
    str
        The document.  Its Content-Security-Policy lets it load nothing and run its one script only.
    """
    here = files("chainrule.demo")
    style = (here / "page.css").read_text(encoding="utf-8")
    script = (here / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    body = "\n".join(
        [
            _header(runs),
            *(_section(run, films.get(run.name)) for run in runs),
            _neuron(),
            _footer(runs, command),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta name="generator" content="chainrule {escape(__version__)}">\n'
        f"<title>chainrule demo</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        f"<script>{script}</script>\n</body>\n</html>"
    )


def _header(runs: list[Run]) -> str:
    tiles = "".join(
        f'<li><a href="#{run.name}"><b>{_percent(run.accuracy)}</b> <span>{escape(run.title)}</span> '
        f"<small>accuracy on {escape(run.on)}</small></a></li>"
        for run in runs
    )
    return f"""<header>
<h1>What the networks learned</h1>
<p>Small networks, trained from random weights by gradient descent. Every gradient came from one sweep
backward over the graph of the computation; <a href="#neuron">the last section</a> shows such a graph, that of
a single neuron.</p>
<ul class="tiles">{tiles}</ul>
</header>"""


def _section(run: Run, film: Film | None) -> str:
    facts = {
        "network": repr(run.model),
        "steps": f"{run.steps:,} in {run.seconds:.1f} s",
        "learning rate": f"{run.lr:g}",
        "loss": f"{run.curves['loss'][1][0]:.3f} at first, {run.curves.last('loss'):.4f} at last",
        "accuracy": f"{_percent(run.accuracy)} on {run.on}",
        **run.facts,
    }
    table = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    words = f"<p>{escape(run.about)}</p><dl>{table}</dl>"
    if film is not None:
        curves = _curves(run, height=2.0)
        content = f'<div class="pair"><div>{_player(run, film)}</div><div>{words}{curves}</div></div>'
    else:
        content = words + f'<div class="row">{_curves(run, height=2.7)}</div>'
    if run.mistakes:
        content += f"""
<h3>The digits it got wrong</h3>
<p>Most confident first. Below each image <b class="first">what it is</b> and
<b class="second">what the network said</b>, with the probability it gave to either.</p>
<div class="scroll">{run.mistakes}</div>"""
    return f'<section id="{run.name}"><h2>{escape(run.title)}</h2>{content}</section>'


def _curves(run: Run, height: float) -> str:
    """One SVG per panel: side by side or below each other is for the page to decide."""
    panels = (training_curves(run.curves, panels=[names], width=4.9, height=height) for names in run.panels)
    return "".join(panels)


def _player(run: Run, film: Film) -> str:
    """A window onto the sheet of frames; the script moves the sheet, without it the last frame stands."""
    last = film.count - 1
    x, y = -100 * (last % film.columns) / film.columns, -100 * (last // film.columns) / film.rows
    return f"""<figure class="film"
data-count="{film.count}" data-columns="{film.columns}" data-rows="{film.rows}">
<div class="window" style="aspect-ratio: {film.width} / {film.height}">
<img src="{film.address}" alt="Decision boundary during the training: {escape(run.title)}"
style="width: {100 * film.columns}%; transform: translate({x:.4f}%, {y:.4f}%)">
</div>
<div class="controls" hidden>
<button type="button" aria-label="Play or pause"><svg viewBox="0 0 16 16"><path d=""/></svg></button>
<input type="range" min="0" max="{last}" value="{last}" aria-label="Moment of the training">
</div>
<figcaption>Colour: how surely the network calls a place one class or the other. Solid line: it is undecided;
dashed lines: a score of ±1. Rings: points on the wrong side. As files:
<a href="{run.name}.webp">animation</a>, <a href="{run.name}-strip.webp">filmstrip</a>.</figcaption>
</figure>"""


def _neuron() -> str:
    before, after = neuron_graphs()
    return f"""<section id="neuron">
<h2>One neuron, before and after backward</h2>
<p><code>out = np.tanh(x1 * w1 + x2 * w2)</code> was computed once. Every box is a value; between the boxes
stand the operations, and on the lines into an operation its local derivative. Before
<code>out.backward()</code> all gradients are 0.</p>
<div class="graph">{before}</div>
<p>Afterwards every value knows how much <code>out</code> changes when it does: its gradient is that of the
value it feeds, times the local derivative on the line between them.</p>
<div class="graph">{after}</div>
</section>"""


def _footer(runs: list[Run], command: str) -> str:
    names = ["chainrule-demo.json", *(f"{run.name}-curves.svg" for run in runs)]
    links = ", ".join(f'<a href="{name}">{name}</a>' for name in names)
    return f"""<footer>
<p>Made by chainrule {escape(__version__)} with NumPy {escape(np.__version__)}. The same page again:
<code>{escape(command)}</code></p>
<p>Numbers and curves as files: {links}.</p>
</footer>"""


def _percent(share: float) -> str:
    """Write 1 as 100 % and nothing less as that."""
    return "100 %" if share == 1.0 else f"{min(99.9, 100 * share):.1f} %"
