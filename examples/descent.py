"""Descent: three ways down a curved valley, as an animation.

Rosenbrock's function has a steep, curved valley with a nearly flat floor; its lowest point is (1, 1).
Steepest descent leaps across the valley or creeps along it, momentum gathers speed along the floor, and Adam
takes steps of about the same length whatever the slope.  All start in the same place and take as many steps.
"""

from __future__ import annotations

import pathlib

import numpy as np

import chainrule as cr
from chainrule import Value, optim

START, LOWEST = (-1.4, 1.8), (1.0, 1.0)


def height(x, y):
    """Rosenbrock's function."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def path(make, steps):
    """Go down with an optimiser from START: the points (steps + 1, 2) on the way."""
    place = Value(np.array(START))
    optimiser = make([place])

    @cr.compile
    def step():
        loss = height(place[0], place[1])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    points = [place.data]
    for _ in range(steps):
        step()
        points.append(place.data)
    return np.array(points)


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    steps, frames = (300, 10) if quick else (300, 50)
    paths = {
        "steepest descent": path(lambda p: optim.SGD(p, lr=0.001), steps),
        "momentum": path(lambda p: optim.SGD(p, lr=0.001, momentum=0.9), steps),
        "Adam": path(lambda p: optim.Adam(p, lr=0.1), steps),
    }
    left = {name: float(np.hypot(*(points[-1] - LOWEST))) for name, points in paths.items()}
    for name, distance in left.items():
        print(f"{name}: after {steps} steps the lowest point is still {distance:.3f} away")
    film(paths, frames, output / "descent.webp")
    return {**left, "frames": frames}


# ---------------------------------------------------------------- the animation


def film(paths, frames, file):
    """The paths as they grow: on the map, and their heights."""
    from examples._pictures import BLUE, GREEN, INK, VERMILION, frame, panels, save_film, title

    figure, ((chart, curves),) = panels(1, 2, 7.2, 3.2, width_ratios=[3, 2])
    x, y = np.linspace(-2, 2, 201), np.linspace(-1, 3, 201)
    chart.contourf(x, y, np.log10(height(*np.meshgrid(x, y)) + 0.01), 16, cmap="Greys", alpha=0.55)
    chart.plot(*LOWEST, marker="*", color=INK, markersize=12)
    steps = len(next(iter(paths.values()))) - 1
    drawn = []
    for (name, points), colour in zip(paths.items(), (VERMILION, BLUE, GREEN)):
        (line,) = chart.plot([], [], color=colour, linewidth=1.5)
        (head,) = chart.plot([], [], "o", color=colour, markersize=7, markeredgecolor="white")
        (curve,) = curves.plot([], [], color=colour, linewidth=1.8, label=name)
        drawn.append((points, height(*points.T), line, head, curve))
    chart.set(xlim=(-2, 2), ylim=(-1, 3))
    curves.set(xlim=(0, steps), yscale="log", ylim=(1e-5, 1e3), xlabel="step")
    curves.legend(frameon=False, loc="upper right", fontsize=9)
    title(curves, "height")
    shots = []
    for i in range(frames):
        k = round(steps * (i / (frames - 1)) ** 1.5)  # slowly at first
        for points, heights, line, head, curve in drawn:
            line.set_data(*points[: k + 1].T)
            head.set_data(*points[k : k + 1].T)
            curve.set_data(np.arange(k + 1), heights[: k + 1])
        title(chart, f"step {k}")
        shots.append(frame(figure))
    save_film(shots, file, seconds=6)
