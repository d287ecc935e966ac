"""What `fit` takes, and what it says before the first step about what it does not."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import Value, nn, optim, train
from tests.train.test_fitting import X, Y, fitted, same

SETTINGS = {"epochs": 1, "batch_size": 16, "compile": False, "progress": False}


def go(model=None, data=(X, Y), loss=nn.cross_entropy, optimiser=None, **options):
    model = model or nn.Linear(4, 2, rng=0)
    optimiser = optimiser or optim.SGD(model.parameters(), lr=0.1)
    return model, train.fit(model, data, loss, optimiser, **{**SETTINGS, **options})


class Loader:
    """Batches that begin anew with each epoch, and no more than that."""

    def __iter__(self):
        return iter([(X[:25], Y[:25]), (X[25:], Y[25:])])


class Bare:
    def step(self):
        pass


WRONG = [
    ({"model": lambda x: x, "optimiser": optim.SGD([Value(1.0)], lr=1.0)}, TypeError, "model is a function"),
    ({"loss": "cross_entropy"}, TypeError, "loss is 'cross_entropy'; expected a function"),
    ({"loss": lambda out, y: 1.0}, TypeError, "loss returned a float; expected a Value"),
    ({"optimiser": "adam"}, TypeError, "optimiser is 'adam'; expected an Optimiser"),
    ({"optimiser": optim.Adam}, TypeError, r"the class Adam; expected one made of it: optim.Adam\(model"),
    ({"optimiser": [Value(1.0)]}, TypeError, "optimiser is a list; expected an Optimiser"),
    ({"optimiser": optim.SGD([Value(1.0)], lr=1.0)}, ValueError, "holds none of the model's parameters"),
    ({"resume": True}, ValueError, "resume is True without checkpoint"),
    ({"checkpoint_every": 2}, ValueError, "checkpoint_every is 2 without checkpoint"),
    ({"metrics": [train.accuracy]}, ValueError, "metrics accuracy are given without validation"),
    ({"metrics": "accuracy", "validation": (X, Y)}, TypeError, "metrics is 'accuracy'; expected functions"),
    ({"metrics": ["accuracy"], "validation": (X, Y)}, TypeError, "the metric str is 'accuracy'"),
    ({"validation": X}, ValueError, "validation has 1 arrays, data has 2"),
    ({"validation": (X[:0], Y[:0])}, ValueError, "the arrays are empty"),
    ({"data": ((X, Y) for _ in range(2))}, TypeError, "data is a generator, which can be gone through once"),
    ({"data": {"x": X}}, TypeError, "data is a dict; expected a tuple of arrays"),
    ({"data": []}, TypeError, "no arrays given"),
    ({"data": (X, Y.astype(str))}, TypeError, "array 1 of data is of dtype <U.*np.unique"),
    ({"data": (X.astype(object), Y)}, TypeError, "array 0 of data is of dtype object; expected numbers"),
    ({"data": type("Nothing", (), {"__iter__": lambda self: iter(())})()}, ValueError, "gave no batches"),
    ({"data": 3}, TypeError, "data is a int; expected a tuple of arrays"),
    ({"callbacks": 3}, TypeError, "callbacks is 3; expected Callbacks or functions"),
    ({"callbacks": ["print"]}, TypeError, "a callback is a str; expected"),
    ({"data": (X, Y + 5), "compile": True}, ValueError, "cross_entropy: labels hold .* expected 0 to 1"),
    ({"schedule_every": "batch"}, ValueError, "schedule_every is 'batch'; expected one of"),
]


@pytest.mark.parametrize(("options", "kind", "message"), WRONG, ids=[m for _, _, m in WRONG])
def test_wrong_arguments(options, kind, message):
    with pytest.raises(kind, match=message):
        go(**options)


def test_lbfgs_needs_the_loop_itself():
    pytest.importorskip("scipy")
    model = nn.Linear(4, 2, rng=0)
    with pytest.raises(TypeError, match="LBFGS needs a closure"):
        go(model, optimiser=optim.LBFGS(model.parameters()))


def test_what_cannot_be_kept_is_said_before_the_first_step(tmp_path):
    told = []

    class Told(train.Callback):
        def on_step(self, run):
            told.append(run.step)

    for options, kind, message in (
        ({"checkpoint": tmp_path}, train.CheckpointError, "is the folder"),
        ({"checkpoint": tmp_path / "no" / "c"}, train.CheckpointError, "there is no folder"),
        ({"checkpoint": tmp_path / "c", "schedule": Bare()}, TypeError, "Bare without state_dict"),
        ({"checkpoint": tmp_path / "c", "data": Loader()}, TypeError, "data is a Loader, whose place"),
        (
            {"checkpoint": tmp_path / "c", "data": train.batches(X, Y, batch_size=16, rng=0)},
            ValueError, "made with rng=",
        ),
        ({"log": tmp_path / "no" / "log"}, ValueError, "which is no folder"),
        ({"log": tmp_path}, ValueError, "is a folder"),
    ):  # fmt: skip
        with pytest.raises(kind, match=message):
            go(callbacks=[Told()], **options)
    assert not told and not list(tmp_path.iterdir())


def test_part_of_the_parameters_and_one_metric():
    model = nn.Sequential(nn.Linear(4, 8, rng=0), nn.Linear(8, 2, rng=1))
    _, run = go(
        model, optimiser=optim.SGD(model[1].parameters(), lr=0.1), validation=(X, Y), metrics=train.accuracy
    )
    assert (
        run.curves.last("validation_accuracy")
        == train.evaluate(model, (X, Y), None, train.accuracy)["accuracy"]
    )


@pytest.mark.parametrize("make", [Loader, lambda: list(Loader())], ids=["object", "list"])
def test_batches_that_somebody_else_makes(make):
    told = []
    a, run = go(data=make(), epochs=3, validation=make(), callbacks=[lambda run: told.append(run.step)])
    b, _ = go(data=train.batches(X, Y, batch_size=25, shuffle=False), epochs=3)
    same(a.state_dict(), b.state_dict())
    assert run.step == 6 and told == [2, 4, 6]


@pytest.mark.parametrize("compile", [False, True])
def test_a_number_beyond_an_embedding_names_the_layer_and_changes_nothing(compile):
    model = nn.Sequential(nn.Embedding(5, 4, rng=0), nn.BatchNorm1d(4), nn.Linear(4, 2, rng=1))
    before = model.state_dict()
    with pytest.raises(ValueError, match="0: 9 looked up; expected 0 to 4"):
        go(model, data=(np.array([1, 2, 9]), Y[:3]), compile=compile)
    same(model.state_dict(), before)
    with pytest.raises(ValueError, match="0: 9 looked up; expected 0 to 4"):
        train.predict(model, np.array([1, 2, 9]), compile=compile)


def test_one_callback_needs_no_list():
    told = []
    go(callbacks=lambda run: told.append(run.step), epochs=2)
    assert told == [4, 8]


@pytest.mark.parametrize("compile", [False, True])
def test_hooks_and_paths_are_those_of_the_whole_model_in_predict(compile):
    model = nn.Sequential(nn.Linear(4, 2, rng=0))
    with model.register_forward_hook(lambda module, inputs, out: out * 0 + 7):
        assert np.all(train.predict(model, X, compile=compile) == 7)
    assert not np.any(train.predict(model, X, compile=compile) == 7)
    with pytest.raises(ValueError, match=r"^0: Linear"):
        train.predict(model, X[:, :3], compile=compile)


def test_all_kinds_of_data_are_evaluated_alike():
    model = nn.Linear(4, 2, rng=0)
    parts = train.batches(X, Y, batch_size=16, seed=0, drop_last=True)
    next(iter(parts))
    before = parts.state_dict()
    wanted = train.evaluate(model, (X, Y), nn.cross_entropy, [train.accuracy])
    for data in (parts, Loader(), list(Loader())):
        found = train.evaluate(model, data, nn.cross_entropy, {"accuracy": train.accuracy})
        assert found == pytest.approx(wanted, rel=1e-12)
    assert parts.state_dict() == before
    _, run = go(validation=parts)
    assert np.isfinite(run.curves.last("validation_loss"))


class Forked(nn.Module):
    """A trunk with two heads."""

    def __init__(self):
        self.trunk = nn.Linear(4, 5, rng=0)
        self.left, self.right = nn.Linear(5, 1, rng=1), nn.Linear(5, 2, rng=2)

    def forward(self, x):
        h = np.tanh(self.trunk(x))
        return {"much": self.left(h), "which": self.right(h)}


@pytest.mark.parametrize("compile", [False, True])
def test_networks_with_two_heads_and_two_losses_are_evaluated_too(compile):
    def loss(out, y):
        return nn.cross_entropy(out["which"], y) + nn.mse(out["much"][:, 0], y.astype(float))

    def accuracy(out, y):
        return train.accuracy(out["which"], y)

    model, run = go(Forked(), loss=loss, validation=(X, Y), metrics=accuracy, compile=compile)
    out = train.predict(model, X, batch_size=7, compile=compile)
    whole = model(X)
    assert out.keys() == {"much", "which"}
    for name, a in out.items():
        np.testing.assert_allclose(a, whole[name].data, rtol=1e-12, atol=1e-14)
    assert run.curves.last("validation_loss") == pytest.approx(float(loss(whole, Y).data))
    assert run.curves.last("validation_accuracy") == train.accuracy(whole["which"], Y)


def test_predict_wants_a_row_for_each_sample():
    with pytest.raises(TypeError, match=r"of 3 samples LSTM .* an array of shape \(1, 3, 4\)"):
        train.predict(nn.LSTM(3, 4, rng=0), np.ones((3, 5, 3)))
    with pytest.raises(ValueError, match="batch_size is 0"):
        train.predict(nn.Linear(3, 4, rng=0), np.ones((3, 3)), batch_size=0)


def test_the_last_batch_can_be_left_out():
    assert go(drop_last=True)[1].step == 3
    assert go()[1].step == 4


def test_a_schedule_of_steps(tmp_path):
    """Two epochs of four steps, also if the run is resumed in the middle."""

    def made():
        model = nn.Linear(4, 2, rng=0)
        opt = optim.SGD(model.parameters(), lr=0.1)
        return model, opt, optim.OneCycleLR(opt, max_lr=1.0, total_steps=8)

    model, opt, cycle = made()
    go(model, optimiser=opt, epochs=2, schedule=cycle, schedule_every="step")
    assert cycle.last_epoch == 8
    own, opt, schedule = made()
    parts = train.batches(X, Y, batch_size=16, seed=0)
    for _ in range(2):
        for x, y in parts:
            opt.zero_grad()
            nn.cross_entropy(own(x), y).backward()
            opt.step()
            schedule.step()
    same(model.state_dict(), own.state_dict())

    class Stop(train.Callback):
        def on_step(self, run):
            if run.step == 3:
                run.stop()

    for options in ({"callbacks": [Stop()]}, {"resume": True}):
        again, opt, cycle = made()
        go(
            again, optimiser=opt, epochs=2, schedule=cycle, schedule_every="step", checkpoint=tmp_path / "c",
            **options,
        )  # fmt: skip
    same(model.state_dict(), again.state_dict())


def test_a_run_says_which_loss_it_shows():
    _, run = fitted(epochs=1)
    assert "(last minibatch)" in repr(run)
