"""Figures of functions and of training, by matplotlib, in the colours of the sheets."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import chainrule as cr
from chainrule import nn, optim, train
from docs.figures.sheet import DARK, LIGHT, colours

INK, PAPER, BLUE, ORANGE = "#010203", "#fdfefd", "#0171b3", "#d45f01"  # stand for the themes' colours
STANDS = {INK: "ink", PAPER: "paper", BLUE: "blue", ORANGE: "orange"}
STYLE = {
    "svg.hashsalt": "chainrule",  # the same bytes each time
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def themed(figure: Figure, words: str) -> str:
    """The figure as SVG whose colours follow the reader's theme."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for stand_in, name in STANDS.items():
        svg = svg.replace(stand_in, f"var(--{name})")
    style = f"svg{{{colours(LIGHT)}}}@media (prefers-color-scheme:dark){{svg{{{colours(DARK)}}}}}"
    return re.sub(r"(<svg[^>]*>)", rf"\1\n<title>{words}</title><style>{style}</style>", svg, count=1)


@matplotlib.rc_context(STYLE)
def steepest_descent() -> str:
    def f(x: Any) -> Any:
        return x[0] ** 2 + x[0] * x[1] + x[1] ** 2 + 0.5 * np.exp(x[1])

    figure = Figure(figsize=(6, 5.6))
    axes = figure.subplots()
    u, w = np.meshgrid(np.linspace(-1.6, 2.0, 90), np.linspace(-1.9, 2.0, 90))
    axes.contour(u, w, f(np.stack([u, w])), levels=20, colors=INK, linewidths=0.7, alpha=0.35)
    points = np.stack(np.meshgrid(np.linspace(-1.4, 1.8, 10), np.linspace(-1.7, 1.8, 10)), -1).reshape(-1, 2)
    arrows = -np.array([cr.grad(f)(p) for p in points])
    arrows /= np.linalg.norm(arrows, axis=1, keepdims=True)
    axes.quiver(*points.T, *arrows.T, color=BLUE, scale=26, width=0.0035)
    for start in ([1.7, 1.7], [-1.4, 1.8], [1.8, -1.6]):
        path = [np.array(start)]
        while np.linalg.norm(slope := cr.grad(f)(path[-1])) > 1e-3:
            path.append(path[-1] - 0.05 * slope)
        axes.plot(*np.array(path).T, color=ORANGE, linewidth=2)
        axes.plot(*path[0], "o", color=ORANGE, markersize=4)
    axes.plot(*path[-1], "*", color=ORANGE, markersize=13)
    axes.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    axes.set_title(
        "directions of steepest descent, and three paths that follow them", loc="left", fontsize=11
    )
    return themed(figure, "Directions of steepest descent and three paths to the minimum")


@matplotlib.rc_context(STYLE)
def entropy() -> str:
    """The simplex of three probabilities as a triangle; the gradient as it points within that plane."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    figure = Figure(figsize=(6.4, 5.4))
    axes = figure.subplots()
    n = 60
    grid = np.array([[i, j, n - i - j] for i in range(n + 1) for j in range(n + 1 - i)]) / n
    heights = np.array([cr.entropy(p) for p in grid])
    filled = axes.tricontourf(
        *(grid @ corners).T, heights, levels=np.linspace(0, 1.1, 12), cmap="Blues", vmax=2.2
    )
    m = 12
    inner = np.array([[i, j, m - i - j] for i in range(1, m) for j in range(1, m - i)]) / m
    slopes = np.array([cr.grad(cr.entropy)(p) for p in inner])
    slopes -= slopes.mean(axis=1, keepdims=True)  # within the plane where the sum stays 1
    axes.quiver(*(inner @ corners).T, *(slopes @ corners).T, color="#b04600", scale=22, width=0.0045)
    axes.plot(*np.vstack([corners, corners[:1]]).T, color=INK, linewidth=1.2)
    axes.plot(*corners.mean(axis=0), "o", color="black", markersize=5)
    for name, (x, y), dy in zip(("$p_1 = 1$", "$p_2 = 1$", "$p_3 = 1$"), corners, (-0.05, -0.05, 0.03)):
        axes.text(x, y + dy, name, ha="center", va="center", fontsize=11)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(
        "entropy of three classes, and its gradient within the simplex", loc="left", fontsize=11, pad=26
    )
    figure.colorbar(filled, ax=axes, label="nats", shrink=0.8)
    return themed(figure, "Entropy on the simplex of three probabilities with its gradient field")


@matplotlib.rc_context(STYLE)
def boundary() -> str:
    """Six moments of a training."""
    from sklearn.datasets import make_moons

    X, y = make_moons(n_samples=200, noise=0.12, random_state=0)
    model = nn.MLP([2, 16, 16, 2], activation="tanh", rng=0)
    optimiser = optim.Adam(model.parameters(), lr=0.02)
    figure = Figure(figsize=(9, 5.4))
    moments = (0, 5, 15, 30, 60, 150)
    u, v = np.meshgrid(np.linspace(-1.6, 2.6, 70), np.linspace(-1.2, 1.7, 60))
    panels = iter(figure.subplots(2, 3, sharex=True, sharey=True).flat)
    for step in range(moments[-1] + 1):
        logits = model(X)
        loss = nn.cross_entropy(logits, y)
        if step in moments:
            axes = next(panels)
            scores = cr.data(model(np.stack([u.ravel(), v.ravel()], axis=1)))
            margin = (scores[:, 1] - scores[:, 0]).reshape(u.shape)
            axes.contourf(u, v, np.tanh(margin / 2), levels=np.linspace(-1, 1, 9), cmap="RdBu_r", alpha=0.5)
            axes.contour(u, v, margin, levels=[0.0], colors=INK, linewidths=1.6)
            for label, colour, marker in ((0, BLUE, "o"), (1, ORANGE, "^")):
                axes.plot(*X[y == label].T, marker, color=colour, markersize=2.6)
            right = 100 * train.accuracy(logits, y)
            axes.set_title(f"step {step}: loss {loss.item():.3f}, {right:.0f} %", loc="left", fontsize=10)
            axes.set(xticks=[], yticks=[])
        model.zero_grad()
        loss.backward()
        optimiser.step()
    return themed(figure, "The decision boundary of a network at six moments of its training")
