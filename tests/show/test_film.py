"""What was noted during a training."""

import base64

import numpy as np
import pytest

from chainrule import Value, nn, optim, train
from chainrule.show.explorer import explore
from chainrule.show.film import TrainingFilm
from chainrule.show.training import BoundaryFilm


def trained(film, steps, f=lambda w: w * w):
    w, losses = Value(3.0, name="w"), []
    for _ in range(steps):
        loss = f(w)
        w.grad = 0.0
        loss.backward()
        film.record(loss)
        losses.append((w.data, w.grad, loss.data))
        w.data -= 0.125 * w.grad
    return loss, losses


def test_every_node_at_every_step():
    film = TrainingFilm()
    loss, expected = trained(film, 5)
    shown = explore(loss, training=film).data["training"]
    assert shown["steps"] == [0, 1, 2, 3, 4]
    assert shown["loss"] == [x[2] for x in expected]
    for frame, (w, grad, data) in zip(shown["frames"], expected):
        assert frame == {"data": {"0": w, "1": data}, "gradient": {"0": grad, "1": 1.0}}


def test_of_a_long_training_moments_at_equal_distances():
    film = TrainingFilm(frames=10)
    loss, _ = trained(film, 100)
    steps = film.frames([loss], {})["steps"]
    assert 5 <= len(steps) <= 10
    assert len(set(np.diff(steps))) == 1


def test_where_the_graph_has_changed_the_leaves_are_still_known():
    film = TrainingFilm()
    trained(film, 2)
    w, _ = Value(1.0), None
    loss = w * w * w
    loss.backward()
    film.record(loss)
    frames = film.frames([loss], {id(w): 0, id(loss): 2})["frames"]
    assert frames[0] == {"data": {}, "gradient": {}}
    assert frames[-1]["data"] == {"0": 1.0, "2": 1.0}


def test_as_a_callback_of_fit_with_the_boundary():
    r = np.random.default_rng(0)
    X = r.normal(size=(20, 2))
    y = (X[:, :1] > 0).astype(float)
    model = nn.MLP([2, 3, 1], rng=0)
    boundary = BoundaryFilm(X, y[:, 0], lambda x: model(x)[:, 0] - 0.5, size=40, resolution=10)
    film = TrainingFilm(boundary, frames=4)
    train.fit(
        model, (X, y), nn.mse, optim.SGD(model.parameters(), lr=0.1), epochs=3, batch_size=10,
        callbacks=[film], progress=False,
    )  # fmt: skip
    shown = explore(model, X, y, training=film).data["training"]
    assert len(shown["steps"]) == len(shown["frames"]) == len(shown["boundary"]) <= 4
    assert all(frame["data"] for frame in shown["frames"])
    head = "data:image/png;base64,"
    assert all(url.startswith(head) for url in shown["boundary"])
    assert base64.b64decode(shown["boundary"][0][len(head) :])[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: TrainingFilm(frames=1), "frames is 1, expected an integer of at least 2"),
        (lambda: TrainingFilm().record(2.0), "loss is float, expected a Value of one number"),
        (lambda: TrainingFilm().record(Value(np.ones(2))), r"loss is a Value of shape \(2,\)"),
    ],
)
def test_misuse_is_named(call, error):
    with pytest.raises((ValueError, TypeError), match=error):
        call()
