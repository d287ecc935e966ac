"""A drawing in SVG: text, circles, arrows and whole graphs on one sheet, light or dark as the reader's."""

from __future__ import annotations

import math
import re
from html import escape
from pathlib import Path

LIGHT = {
    "paper": "#ffffff", "ink": "#1c2530", "muted": "#5b6673", "line": "#98a2ae", "idle": "#e6eaee",
    "fired": "#d9ebf8", "rim": "#4a93c4", "blue": "#005f96", "orange": "#b04600", "green": "#00714f",
    "purple": "#8a3a6b", "head": "#eef1f4",
}  # fmt: skip
DARK = {
    "paper": "#14191f", "ink": "#e8edf2", "muted": "#9eabb8", "line": "#66727f", "idle": "#252e38",
    "fired": "#173449", "rim": "#3f83b0", "blue": "#6cc0f2", "orange": "#f5a35c", "green": "#4fd0a5",
    "purple": "#e3a1c8", "head": "#252e38",
}  # fmt: skip
FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"


def colours(theme: dict[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in theme.items())


THEME = f".sheet{{{colours(LIGHT)}}}@media (prefers-color-scheme:dark){{.sheet{{{colours(DARK)}}}}}"
STYLE = THEME + f".sheet>text,.sheet>g>text{{font:13px {FONT};white-space:pre}}"


class Sheet:
    """What is drawn, in the order of drawing; its size follows from `width` and `height`."""

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        self.width, self.height = width, height
        self.words = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
        self.style = STYLE
        self.parts: list[str] = []

    def text(
        self, x: float, y: float, text: str, colour: str = "ink", anchor: str = "start", bold: bool = False
    ) -> None:
        weight = ";font-weight:600" if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:var(--{colour}){weight}">'
            f"{escape(text)}</text>"
        )

    def box(self, x: float, y: float, width: float, height: float, title: str, rows: list[str]) -> None:
        """A module: its name, and what it has."""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="9" '
            'style="fill:var(--fired);stroke:var(--rim);stroke-width:1.5"/>'
        )
        self.text(x + width / 2, y + 22, title, anchor="middle", bold=True)
        for i, row in enumerate(rows):
            self.text(x + width / 2, y + 44 + 19 * i, row, "muted", "middle")

    def circle(
        self, x: float, y: float, radius: float, name: str, below: str, fired: bool, marks: str = ""
    ) -> None:
        """A unit of a network: its name in it, its number below."""
        fill, rim, ink = ("fired", "rim", "ink") if fired else ("idle", "line", "muted")
        self.parts.append(
            f'<g class="{marks}"><circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" '
            f'style="fill:var(--{fill});stroke:var(--{rim});stroke-width:1.5"/>'
            f'<text x="{x:.1f}" y="{y + 5:.1f}" text-anchor="middle" '
            f'style="font-weight:600;fill:var(--{ink})">{escape(name)}</text>'
            f'<text x="{x:.1f}" y="{y + radius + 17:.1f}" text-anchor="middle" style="fill:var(--blue)">'
            f"{escape(below)}</text></g>"
        )

    def arrow(
        self, start: tuple[float, float], end: tuple[float, float], radius: float,
        label: str = "", colour: str = "line", width: float = 1.3, marks: str = "", at: float = 0.5,
    ) -> None:  # fmt: skip
        """A line between two circles of one radius, with its label beside it, `at` a part of the way."""
        (x0, y0), (x1, y1) = start, end
        length = math.hypot(x1 - x0, y1 - y0)
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        x0, y0, x1, y1 = x0 + ux * radius, y0 + uy * radius, x1 - ux * (radius + 2), y1 - uy * (radius + 2)
        tip = f"M{x1:.1f} {y1:.1f}L{x1 - 8 * ux - 4 * uy:.1f} {y1 - 8 * uy + 4 * ux:.1f}"
        tip += f"L{x1 - 8 * ux + 4 * uy:.1f} {y1 - 8 * uy - 4 * ux:.1f}Z"
        text = ""
        if label:
            x, y = x0 + (x1 - x0) * at, y0 + (y1 - y0) * at
            half = 4 * len(label) + 3
            text = (
                f'<rect x="{x - half:.1f}" y="{y - 9:.1f}" width="{2 * half}" height="18" '
                'style="fill:var(--paper)"/>'
                f'<text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle" '
                f'style="fill:var(--{"muted" if colour == "line" else colour})">{escape(label)}</text>'
            )
        self.parts.append(
            f'<g class="{marks}"><path d="M{x0:.1f} {y0:.1f}L{x1 - 6 * ux:.1f} {y1 - 6 * uy:.1f}" '
            f'style="stroke:var(--{colour});stroke-width:{width};fill:none"/>'
            f'<path d="{tip}" style="fill:var(--{colour})"/>{text}</g>'
        )

    def put(self, svg: str, x: float, y: float, scale: float = 1.0) -> tuple[float, float]:
        """Another drawing, as it is; the answer is its size."""
        width, height = size(svg)
        head = f'<svg x="{x:.1f}" y="{y:.1f}" width="{width * scale:.1f}" height="{height * scale:.1f}" '
        svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
        self.parts.append(svg.replace("<svg ", head, 1).strip())
        return width * scale, height * scale

    def __str__(self) -> str:
        return (
            f'<svg class="sheet" xmlns="http://www.w3.org/2000/svg" role="img" width="{self.width:.0f}" '
            f'height="{self.height:.0f}" viewBox="0 0 {self.width:.0f} {self.height:.0f}">\n{self.words}\n'
            f"<style>{self.style}</style>\n"
            f'<rect width="100%" height="100%" rx="8" style="fill:var(--paper)"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )

    def save(self, path: Path) -> None:
        path.write_text(str(self), encoding="utf-8")


def size(svg: str) -> tuple[float, float]:
    found = re.search(r'<svg[^>]*? width="([\d.]+)" height="([\d.]+)"', svg)
    assert found is not None
    return float(found[1]), float(found[2])


HIDDEN, DIM, LIT = "opacity:0", "opacity:.25", "filter:drop-shadow(0 0 4px #e69f00)"
_USUAL = {HIDDEN: "opacity:1", DIM: "opacity:1", LIT: "filter:none"}


def played(svg: str, states: dict[tuple[str, str], set[int]], count: int, seconds: float = 1.1) -> str:
    """Make a film of a drawing, of `count` moments and a rest.

    `states` says for an element, by its selector, and a way to look, in which of the moments it looks so.
    Whoever wants no motion, and whatever does not play, sees the drawing as it is.
    """
    total = count + 3
    css = []
    for n, ((selector, how), moments) in enumerate(states.items()):
        frames, before = [], None
        for k in range(count + 1):
            now = how if k in moments else _USUAL[how]
            if now != before:
                frames.append(f"{100 * k / total:.2f}%{{{now}}}")
            before = now
        css.append(f"@keyframes f{n}{{{''.join(frames)}100%{{{before}}}}}")
        css.append(f"{selector}{{animation:f{n} {seconds * total:g}s step-end infinite}}")
    film = f"@media (prefers-reduced-motion:no-preference){{{''.join(css)}}}"
    return svg.replace("</style>", film + "</style>", 1)
