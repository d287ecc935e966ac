"""`explore` and what it gives back: a page on which one walks through a graph, forward and backward."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
import webbrowser
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from chainrule.show import names as naming
from chainrule.show import summary
from chainrule.show.picture import values_of, write
from chainrule.show.survey import survey

__all__ = ["Explorer", "explore"]

_PAGE = Path(__file__).parent / "page"


class Explorer:
    """A graph as it was when it was explored, as one page that needs no network.

    In a notebook it shows itself.

    Attributes
    ----------
    data : dict
        The survey: columns of plain data.
    html : str
        The page.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    @cached_property
    def html(self) -> str:
        return _document(self.data)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page; it is there whole or not at all, and one that was there before is replaced.

        Parameters
        ----------
        path : str or path-like
            Ending in .html, or in .json for the data alone.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        ValueError
            For another suffix.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in {".html", ".json"}:
            raise ValueError(
                f"Explorer.save: {path.name!r} ends in {path.suffix or 'no suffix'!r}, expected .html or .json; "
                "for a picture of the graph: chainrule.draw(v).save('graph.svg')"
            )
        write(path, self.html if suffix == ".html" else _json(self.data))
        return path

    def open(self) -> Path:
        """Show the page in the browser, from a file of one's own among the temporary ones.

        Returns
        -------
        pathlib.Path
            The file.
        """
        folder = tempfile.mkdtemp(prefix="chainrule-")  # readable by its owner alone
        path = self.save(Path(folder) / "graph.html")
        webbrowser.open(path.as_uri())
        return path

    def __repr__(self) -> str:
        count = len(self.data["nodes"]["kind"])
        rest = f", {self.data['left_out']:,} left out" if self.data["left_out"] else ""
        return f"<Explorer of {count:,} nodes{rest}; .save(path), .open()>"


def explore(value: Any) -> Explorer:
    """Explore a graph."""
    outputs = values_of("explore", value)
    title = "Graph"
    return Explorer(survey(outputs, naming.caller(), title))


def _document(data: dict[str, Any]) -> str:
    script = _source("explorer.js").replace("</script", "<\\/script").replace("<!--", "<\\!--")
    style = _source("explorer.css").replace("</style", "<\\/style")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}' 'wasm-unsafe-eval'; worker-src blob:; "
        f"style-src '{_digest(style)}'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    title = escape(summary.shorten(summary.printable(data["title"]), 80))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<main id="explorer"></main>\n<script type="application/json" id="graph">{_json(data)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _source(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _json(data: dict[str, Any]) -> str:
    plain = json.dumps(data, separators=(",", ":"), allow_nan=False)
    # still the same JSON, and it may stand inside a page's <script>
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
