"""Pictures of training: curves, the decision boundary as it moves, and the samples that went wrong.

Matplotlib draws and pillow encodes; both are imported when a picture is made, so that importing this file
costs nothing.  The SVGs take their colours from CSS variables (with defaults), so the page around them can
have a light and a dark theme.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.value import data

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BoundaryFilm", "training_curves", "wrong_digits"]

# Okabe and Ito's blue and vermilion: told apart with every kind of colour vision, and in grey by their
# markers.  Orange is for the second curve.
BLUE, VERMILION, ORANGE, INK, PAPER = "#0072B2", "#D55E00", "#E69F00", "#1B2530", "#FFFFFF"
_EXTRA = "pip install 'chainrule[demo]'"

# Matplotlib knows no CSS: it draws with these stand-ins, and the SVG text gets what they stand for.
_CSS = {
    "#010203": "currentColor",
    "#010204": f"var(--chainrule-1, {BLUE})",
    "#010205": f"var(--chainrule-2, {VERMILION})",
}
_TEXT, _FIRST, _SECOND = _CSS


def training_curves(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    panels: Sequence[Sequence[str]] | None = None,
    width: float = 9.0,
    height: float = 2.8,
) -> str:
    """Draw numbers over the steps of a training run as an SVG.

    A jagged curve (a loss per minibatch) is drawn faintly, with its running mean over it.  Names that
    contain "accuracy" are shown in percent; a positive quantity that falls by more than a factor of 30 gets
    a logarithmic axis.

    Parameters
    ----------
    curves : mapping of str to (steps, numbers)
        Such as a `chainrule.train.Curves`.
    panels : sequence of sequence of str, optional
        Which curves, at most two, share a panel; one panel for each curve by default.
    width, height : float
        Size in inches of the drawing; an SVG scales to any other.

    Returns
    -------
    str
        The SVG element, with text as text and without a background.

    Raises
    ------
    ValueError
        If there is nothing to draw, a panel names no curve, or one holds more than two.

    Examples
    --------
    >>> from chainrule import train
    >>> from chainrule.show.training import training_curves
    >>> curves = train.Curves()
    >>> for step in range(5):
    ...     curves.record(step, loss=1.0 / (step + 1), accuracy=0.2 * step)
    >>> training_curves(curves)[:4]
    '<svg'
    """
    panels = [[name] for name in curves] if panels is None else panels
    unknown = [name for names in panels for name in names if name not in curves]
    if not panels or unknown or any(not 1 <= len(names) <= 2 for names in panels):
        raise ValueError(
            f"training_curves: panels is {panels!r}; expected one or two of {list(curves)} in each of at "
            "least one"
        )
    matplotlib = _matplotlib()
    from matplotlib.figure import Figure

    style = {
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": _TEXT,
        "axes.labelcolor": _TEXT,
        "axes.edgecolor": _TEXT,
        "xtick.color": _TEXT,
        "ytick.color": _TEXT,
        "svg.hashsalt": "chainrule",  # the same picture gives the same text
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        for axes, names in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
            pairs = ((name, *curves[name]) for name in names)
            _draw_panel(axes, [(name, np.asarray(steps), np.asarray(y)) for name, steps, y in pairs])
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True)
    label = "; ".join(
        f"{name} ends at {float(np.asarray(curves[name][1])[-1]):.4g}" for names in panels for name in names
    )
    return _for_a_page(text.getvalue(), f'role="img" aria-label="{_escape(label)}" class="chainrule-curves"')


def _for_a_page(svg: str, attributes: str) -> str:
    """Make matplotlib's SVG fit to stand inside an HTML page, beside others of its kind."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Its style sheet is for every element: in a page that would be the whole page.
    svg = re.sub(r"\s*<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # the same names in every picture, and nothing refers to them
    for stand_in, css in _CSS.items():
        svg = svg.replace(stand_in, css)
    return svg.replace("<svg ", f'<svg {attributes} style="stroke-linejoin: round; stroke-linecap: butt" ', 1)


def _draw_panel(axes: Any, curves: list[tuple[str, NDArray[Any], NDArray[Any]]]) -> None:
    percent = all("accuracy" in name for name, _, _ in curves)
    low = []
    for (name, steps, numbers), colour, line in zip(
        curves, (_FIRST, _SECOND), ("-", (0, (5, 2))), strict=False
    ):
        numbers = 100.0 * numbers if percent else numbers
        smooth = _running_mean(numbers)
        if smooth is not numbers:
            axes.plot(steps, numbers, color=colour, alpha=0.28, linewidth=0.8)
        axes.plot(
            steps, smooth, color=colour, linewidth=2.0, linestyle=line, label=name, solid_capstyle="round"
        )
        low.append(smooth.min())
    every = np.concatenate([numbers for _, _, numbers in curves])
    if not percent and np.all(every > 0) and every.max() > 30.0 * every.min():
        axes.set_yscale("log")
        # A single lucky minibatch may lie decades below all others: it must not set the scale.
        axes.set_ylim(bottom=max(0.8 * every.min(), 0.3 * min(low)))
    if percent:
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g} %")
        axes.set_ylim(top=100.0 + 0.03 * (100.0 - axes.get_ylim()[0]))
    axes.set_xlabel("step")
    axes.set_title(
        " and ".join(name for name, _, _ in curves), loc="left", fontsize=11, fontweight="bold"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_alpha(0.45)
    axes.grid(axis="y", color=_TEXT, alpha=0.12, linewidth=0.8)
    axes.tick_params(length=0)
    axes.margins(x=0.01)
    if len(curves) > 1:
        axes.legend(frameon=False, loc="best")


def _running_mean(numbers: NDArray[Any]) -> NDArray[Any]:
    """Smooth a jagged curve by a centred mean over a twentieth of it; return a smooth one as it is."""
    half = len(numbers) // 40
    rough = np.abs(np.diff(numbers)).sum() if len(numbers) > 1 else 0.0
    if half < 1 or rough <= 3.0 * np.ptp(numbers):
        return numbers
    # At the ends the window shrinks on both sides alike, so that it stays centred.
    sums = np.concatenate([[0.0], np.cumsum(numbers)])
    at = np.arange(len(numbers))
    reach = np.minimum(half, np.minimum(at, len(numbers) - 1 - at))
    smooth: NDArray[Any] = (sums[at + reach + 1] - sums[at - reach]) / (2 * reach + 1)
    return smooth


class BoundaryFilm:
    """Records how the decision boundary of a classifier in the plane moves while it is trained.

    Parameters
    ----------
    points : array (n, 2)
        The samples.
    labels : array (n,)
        Their classes: -1 or 0 for one, 1 for the other.
    score : callable
        ``score(x)`` for x of shape (m, 2) gives (m,) numbers, positive for class 1: a margin or a
        difference of logits.
    resolution : int
        The plane is sampled on a grid of this many points a side.
    size : int
        Width and height of a frame in pixels, without its caption.

    Raises
    ------
    ValueError
        If points are not (n, 2) or labels not (n,), or when a picture is asked for before `record`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.show.training import BoundaryFilm
    >>> points, labels = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([-1, 1])
    >>> slope = 1.0
    >>> film = BoundaryFilm(points, labels, lambda x: slope * (x[:, 0] - 0.5), size=120)
    >>> film.record("step 0"); slope = 5.0; film.record("step 1")
    >>> len(film), film.frames()[0].size
    (2, (120, 136))
    """

    def __init__(
        self,
        points: ArrayLike,
        labels: ArrayLike,
        score: Callable[[NDArray[np.float64]], Any],
        *,
        resolution: int = 90,
        size: int = 480,
    ) -> None:
        self.points = np.asarray(points, dtype=float)
        if self.points.ndim != 2 or self.points.shape[1] != 2 or np.shape(labels) != self.points.shape[:1]:
            raise ValueError(
                f"BoundaryFilm: points are {self.points.shape}, labels {np.shape(labels)}; expected (n, 2) "
                "and (n,)"
            )
        self.positive = np.asarray(labels) > 0
        self.score = score
        self.size = size
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        half = 0.5 * float(max(high - low)) * 1.12 + 1e-3
        (x, y) = 0.5 * (low + high)
        self.extent = (float(x - half), float(x + half), float(y - half), float(y + half))
        sides = (np.linspace(*self.extent[:2], resolution), np.linspace(*self.extent[2:], resolution))
        self._grid = np.stack(np.meshgrid(*sides), axis=-1)
        self._shots: list[tuple[NDArray[np.float64], NDArray[np.bool_], str]] = []

    def __len__(self) -> int:
        return len(self._shots)

    def record(self, caption: str) -> None:
        """Note what the classifier thinks now; `caption` is written below the frame."""
        side = len(self._grid)
        field = np.asarray(data(self.score(self._grid.reshape(-1, 2))), dtype=float).reshape(side, side)
        right = (np.asarray(data(self.score(self.points))) > 0) == self.positive
        self._shots.append((field, right, caption))

    def frames(self, *, caption: bool = True) -> list[Image]:
        """Draw every recorded moment, as pillow images."""
        if not self._shots:
            raise ValueError("BoundaryFilm: nothing is recorded; call record() during the training")
        stage = _Stage(self, caption)
        return [stage.draw(*shot, (i + 1) / len(self._shots)) for i, shot in enumerate(self._shots)]

    def save(self, path: str | Path, *, seconds: float = 5.0, frames: Sequence[Image] | None = None) -> None:
        """Write the animation, a WebP or GIF by the suffix; it repeats, and rests on its last frame.

        Parameters
        ----------
        path : path
            Where to, ending in .webp or .gif.
        seconds : float
            How long one round takes, without the rest at the end.
        frames : sequence of images, optional
            What `frames` gave, so as not to draw them again.

        Raises
        ------
        ValueError
            For another suffix.
        """
        path = Path(path)
        frames = self.frames() if frames is None else frames
        durations = [max(20, round(1000.0 * seconds / len(frames)))] * len(frames)
        durations[-1] += 1800
        options: dict[str, Any] = {
            "save_all": True, "append_images": list(frames[1:]), "duration": durations, "loop": 0,
        }  # fmt: skip
        if path.suffix == ".webp":
            frames[0].save(path, quality=62, method=4, **options)
        elif path.suffix == ".gif":
            palette = frames[-1].quantize(128)  # one palette for all, or the colours would flicker
            reduced = [frame.quantize(palette=palette) for frame in frames]
            options["append_images"] = reduced[1:]
            reduced[0].save(path, optimize=True, **options)
        else:
            raise ValueError(f"BoundaryFilm.save: the path ends in {path.suffix!r}; expected .webp or .gif")

    def filmstrip(self, count: int = 6, *, frames: Sequence[Image] | None = None) -> Image:
        """Put `count` moments side by side, the first and the last among them: the film as a still."""
        frames = self.frames() if frames is None else frames
        picks = np.unique(np.linspace(0, len(frames) - 1, max(1, count)).round().astype(int))
        return _tile([frames[i] for i in picks], len(picks), gap=8)

    def sheet(self, frames: Sequence[Image] | None = None) -> tuple[Image, int, int]:
        """Put all frames on one sheet, for a page to scrub through: the sheet, its columns and rows."""
        frames = self.frames() if frames is None else frames
        columns = math.ceil(math.sqrt(len(frames)))
        return _tile(frames, columns, gap=0), columns, math.ceil(len(frames) / columns)


class _Stage:
    """The drawing that all frames share; from frame to frame only the field and the marks change."""

    def __init__(self, film: BoundaryFilm, caption: bool) -> None:
        _matplotlib()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.figure import Figure

        self.film, dpi = film, 100.0
        band = round(film.size * 0.13) if caption else 0
        self.shape = (film.size, film.size + band)
        figure = Figure(figsize=(film.size / dpi, self.shape[1] / dpi), dpi=dpi, facecolor=INK)
        self.canvas = FigureCanvasAgg(figure)
        self.axes = figure.add_axes((0.0, band / self.shape[1], 1.0, film.size / self.shape[1]))
        self.axes.set_axis_off()
        fade = LinearSegmentedColormap.from_list(
            "chainrule", ["#2F8FC7", "#A9D0E8", "#F7F6F3", "#F3C3A0", "#DE7B32"]
        )
        self.image = self.axes.imshow(
            np.zeros((2, 2)), extent=film.extent, origin="lower", cmap=fade, vmin=-1, vmax=1,
            interpolation="bicubic", aspect="auto",
        )  # fmt: skip
        scale = film.size / 480.0
        for positive, colour, marker, area in ((False, "#005685", "o", 46), (True, "#A94600", "^", 56)):
            self.axes.scatter(
                *film.points[film.positive == positive].T, s=area * scale**2, c=colour, marker=marker,
                edgecolors=PAPER, linewidths=0.9 * scale, zorder=3,
            )  # fmt: skip
        self.wrong = self.axes.scatter(
            [], [], s=130 * scale**2, facecolors="none", edgecolors=INK, linewidths=1.3 * scale, zorder=4
        )
        self.axes.set_xlim(film.extent[:2])
        self.axes.set_ylim(film.extent[2:])
        self.line: Any = None
        self.scale = scale
        if caption:
            middle = 0.5 * band / self.shape[1]
            self.text = figure.text(
                0.03, middle, "", color=PAPER, fontsize=11.5 * scale, va="center", family="monospace"
            )
            self.bar = figure.add_artist(_rectangle((0.0, 0.0), 0.0, 4.0 * scale / self.shape[1], ORANGE))
        else:
            self.text = self.bar = None

    def draw(self, field: NDArray[np.float64], right: NDArray[np.bool_], caption: str, done: float) -> Image:
        from PIL import Image

        # tanh(s/2) is 2p - 1 for a logit s: the colour is the probability.
        self.image.set_data(np.tanh(0.5 * field))
        if self.line is not None:
            self.line.remove()
            self.line = None
        if field.min() < 0 < field.max():
            side = np.linspace(0.0, 1.0, len(field))
            left, right_, bottom, top = self.film.extent
            self.line = self.axes.contour(
                left + (right_ - left) * side, bottom + (top - bottom) * side, field,
                levels=[-1.0, 0.0, 1.0], colors=INK,
                linewidths=[0.8 * self.scale, 2.2 * self.scale, 0.8 * self.scale],
                linestyles=["dashed", "solid", "dashed"], alpha=0.85,
            )  # fmt: skip
        self.wrong.set_offsets(self.film.points[~right])
        if self.text is not None:
            self.text.set_text(caption)
            self.bar.set_width(done)
        self.canvas.draw()
        return Image.frombuffer("RGBA", self.shape, self.canvas.buffer_rgba()).convert("RGB")


def _rectangle(corner: tuple[float, float], width: float, height: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, color=colour, linewidth=0)


def _tile(frames: Sequence[Image], columns: int, gap: int) -> Image:
    from PIL import Image

    width, height = frames[0].size
    rows = math.ceil(len(frames) / columns)
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), PAPER)
    for i, frame in enumerate(frames):
        sheet.paste(frame, (i % columns * (width + gap), i // columns * (height + gap)))
    return sheet


def wrong_digits(
    images: ArrayLike, labels: ArrayLike, probabilities: ArrayLike, *, most: int = 24, columns: int = 8
) -> str:
    """Draw the images that a classifier got wrong as an SVG, the most confident mistakes first.

    Below each stand its label and what was said instead, with a bar for the probability of each.

    Parameters
    ----------
    images : array (n, height, width)
        Brightness from 0 (paper) to the largest number (ink).
    labels : array (n,) of int
        The right classes.
    probabilities : array (n, classes)
        What the classifier said.
    most, columns : int
        At most so many images, in rows of so many.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.show.training import wrong_digits
    >>> svg = wrong_digits(np.eye(4)[None], [0], [[0.25, 0.75]])
    >>> "0 taken for 1" in svg
    True
    """
    images, labels, probabilities = (
        np.asarray(images, float),
        np.asarray(labels),
        np.asarray(probabilities, float),
    )
    if images.ndim != 3 or labels.shape != images.shape[:1] or probabilities.shape[:-1] != labels.shape:
        raise ValueError(
            f"wrong_digits: images are {images.shape}, labels {labels.shape}, probabilities "
            f"{probabilities.shape}; "
            "expected (n, height, width), (n,) and (n, classes)"
        )
    said = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(said != labels)
    wrong = wrong[np.argsort(-probabilities[wrong, said[wrong]], kind="stable")][:most]
    columns = max(1, min(columns, len(wrong)))
    rows = math.ceil(len(wrong) / columns)
    cells = [
        _digit_cell(images[i] / (images.max() or 1.0), int(labels[i]), int(said[i]), probabilities[i],
                    100 * (at % columns), 136 * (at // columns))
        for at, i in enumerate(wrong)
    ]  # fmt: skip
    label = f"{len(wrong)} wrong: " + ", ".join(f"{labels[i]} taken for {said[i]}" for i in wrong)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-6 -6 {100 * columns} {136 * rows}" role="img" '
        f'class="chainrule-digits" aria-label="{label}" font-family="system-ui, '
        f'sans-serif">{"".join(cells)}</svg>'
    )


def _digit_cell(image: NDArray[Any], label: int, said: int, p: NDArray[Any], x: int, y: int) -> str:
    """One image, 88 wide, with two lines below: "7  ▇▇ 31 %" for the label, the same for what was said."""
    rows, columns = image.shape
    size = 88.0 / max(rows, columns)
    ink = "".join(
        f'<rect x="{size * j:g}" y="{size * i:g}" width="{size:g}" height="{size:g}" '
        f'opacity="{image[i, j]:.2f}"/>'
        for i, j in zip(*np.nonzero(image > 0.02), strict=True)
    )
    lines = "".join(
        f'<text x="1" y="{104 + 18 * line}" font-size="14" font-weight="700" fill="{colour}">{k}</text>'
        f'<rect x="15" y="{96 + 18 * line}" width="{42 * p[k]:.1f}" height="8" rx="2" fill="{colour}"/>'
        f'<text x="88" y="{104 + 18 * line}" font-size="10.5" text-anchor="end" '
        f'fill="currentColor">{_percent(p[k])}</text>'
        for line, (k, colour) in enumerate(((label, _CSS[_FIRST]), (said, _CSS[_SECOND])))
    )
    return (
        f'<g transform="translate({x} {y})"><title>{label} taken for {said}</title>'
        '<rect width="88" height="88" rx="5" fill="currentColor" opacity="0.06"/>'
        f'<g fill="currentColor" shape-rendering="crispEdges">{ink}</g>{lines}</g>'
    )


def _percent(p: float) -> str:
    return "&lt; 1 %" if p < 0.01 else f"{100 * p:.0f} %"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _matplotlib() -> Any:
    """Import matplotlib, or say how to get it."""
    try:
        import matplotlib
        import PIL  # noqa: F401
    except ImportError as missing:
        raise ImportError(
            f"pictures of training need {missing.name}, which is not installed; run: {_EXTRA}"
        ) from None
    return matplotlib
