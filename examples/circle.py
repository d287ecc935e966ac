"""A circle: one hidden layer of tanh neurons closes a curve around a disc.

Each hidden neuron knows only on which side of its own straight line a point lies.  A few of them, weighted
and added, enclose the disc; the picture shows their lines before and after training.  The training itself is
`train.fit`.
"""

from __future__ import annotations

import pathlib

import numpy as np

from chainrule import nn, optim, train


def disc(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """n points (n, 2) of a square, and whether they are in the unit circle: (n,), 0 or 1."""
    X = rng.uniform(-1.5, 1.5, (n, 2))
    return X, (np.hypot(*X.T) < 1).astype(int)


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    rng = np.random.default_rng(0)
    X, y = disc(400, rng)
    X_new, y_new = disc(2000, rng)

    model = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 2, rng=rng))
    start = model.state_dict()
    optimiser = optim.Adam(model.parameters(), lr=0.02)
    fitted = train.fit(
        model, (X, y), nn.cross_entropy, optimiser, epochs=100 if quick else 200, batch_size=50,
        validation=(X_new, y_new), metrics=[train.accuracy],
    )
    accuracy = fitted.curves.last("validation_accuracy")
    print(f"{fitted.step} steps: {100 * accuracy:.1f} % of 2,000 new points are on the right side")
    draw(model, start, X, y, output / "circle.png")
    return {"accuracy": accuracy, "loss": fitted.curves.last("validation_loss")}


# ---------------------------------------------------------------- the picture


def draw(model, start, X, y, path):
    """The lines of the hidden neurons and the boundary they make, at the start and at the end."""
    from examples._pictures import BLUE, INK, VERMILION, panels, save, title

    figure, axes = panels(1, 2, 8.4, 4.3, sharey=True)
    side = np.linspace(-1.5, 1.5, 201)
    plane = np.stack(np.meshgrid(side, side), axis=-1)
    for a, state, name in zip(axes[0], (start, model.state_dict()), ("before training", "after training")):
        model.load_state_dict(state)
        logits, neurons = train.predict(model, plane), train.predict(model[0], plane)
        score = logits[..., 1] - logits[..., 0]
        a.contourf(side, side, score, [-99, 0, 99], colors=["#F7E3D6", "#D3E6F3"])
        a.contour(side, side, score, [0], colors=INK, linewidths=2.2)
        for neuron in np.moveaxis(neurons, -1, 0):  # its line: where it is 0
            a.contour(side, side, neuron, [0], colors=INK, linewidths=0.8, linestyles="dashed")
        for label, colour, marker in (0, VERMILION, "^"), (1, BLUE, "o"):
            a.scatter(*X[y == label].T, s=14, c=colour, marker=marker, linewidths=0)
        a.set_aspect("equal")
        title(a, name)
    save(figure, path)
