"""The explorer's page as one HTML file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from chainrule.show import summary

__all__ = ["as_json", "document", "iframe"]

_PAGE = Path(__file__).parent / "page"


def document(data: Mapping[str, Any]) -> str:
    """The page: script, style and data in one file, allowed by their hashes and nothing else.

    Names and source in the data are data: what the page shows of them, it shows as text.
    """
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
        f'<main id="explorer"></main>\n<script type="application/json" id="graph">{as_json(data)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _source(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def as_json(data: Mapping[str, Any]) -> str:
    """The data as JSON that may stand inside a page's ``<script>``."""
    plain = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def iframe(page: str, title: str, height: int) -> str:
    """The page inside another one, such as a notebook, out of whose reach it stays."""
    return (
        f'<iframe title="{escape(title)}" srcdoc="{escape(page)}" width="100%" height="{height}" '
        'sandbox="allow-scripts allow-downloads" style="border:0"></iframe>'
    )
