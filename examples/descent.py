"""Descent: three ways down a curved valley, as an animation.

All start in the same place and take as many steps.  Steepest descent runs down the slope and then creeps
along the nearly flat floor; momentum gathers speed there, after it has overshot the valley a few times; Adam
takes steps of about the same length whatever the slope.
"""

from __future__ import annotations

import pathlib

import numpy as np

import chainrule as cr
from chainrule import Value, optim

START, LOWEST = (-0.5, 2.6), (1.0, 1.0)


def height(x, y):
    """Rosenbrock's function, with 10 for its 100: a valley along y = x²."""
    return (1 - x) ** 2 + 10 * (y - x**2) ** 2


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

    points = [place.data.copy()]  # a copy, as `data` follows its Value
    for _ in range(steps):
        step()
        points.append(place.data.copy())
    return np.array(points)


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    steps, frames = (200, 8) if quick else (200, 32)
    paths = {
        "steepest descent": path(lambda p: optim.SGD(p, lr=0.004), steps),
        "momentum": path(lambda p: optim.SGD(p, lr=0.004, momentum=0.9), steps),
        "Adam": path(lambda p: optim.Adam(p, lr=0.2), steps),
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

    figure, ((chart, curves),) = panels(1, 2, 6.4, 3.4, width_ratios=[1, 1])
    x, y = np.linspace(-2, 1.5, 201), np.linspace(-0.7, 2.8, 201)
    levels = np.log10(height(*np.meshgrid(x, y)) + 0.01)
    chart.imshow(levels, extent=(-2, 1.5, -0.7, 2.8), origin="lower", cmap="Greys", vmax=5.5)
    chart.contour(x, y, levels, 7, colors="white", linewidths=0.6)
    chart.plot(*LOWEST, marker="*", color=INK, markersize=12)
    steps = len(next(iter(paths.values()))) - 1
    drawn = []
    for (name, points), colour in zip(paths.items(), (VERMILION, BLUE, GREEN)):
        (line,) = chart.plot([], [], color=colour, linewidth=1.5)
        (head,) = chart.plot([], [], "o", color=colour, markersize=7, markeredgecolor="white")
        (curve,) = curves.plot([], [], color=colour, linewidth=1.8, label=name)
        drawn.append((points, height(*points.T), line, head, curve))
    chart.set(xticks=[], yticks=[])
    curves.set(xlim=(0, steps), yscale="log", ylim=(1e-6, 200), yticks=[1e-4, 1e-2, 1, 100], xlabel="step")
    curves.minorticks_off()
    curves.legend(frameon=False, loc="lower left", fontsize=9)
    title(curves, "height")
    title(chart, "step 0")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # nothing moves from frame to frame
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
