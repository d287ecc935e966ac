"""What a run leaves behind where it stops, and that resuming changes all or nothing."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from chainrule import Value, nn, optim, train
from tests.train.test_fitting import X, Y, fitted, network, same


class StopAt(train.Callback):
    def __init__(self, step):
        self.step = step

    def on_step(self, run):
        if run.step == self.step:
            run.stop("time is up")


class Root(nn.Module):
    """A length, whose derivative at zero is none."""

    def __init__(self):
        self.w = Value(np.ones(4))

    def forward(self, x):
        return np.sqrt(np.sum((x * self.w) ** 2, axis=-1))


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_gradients_that_are_no_numbers_under_a_finite_loss(compile, clip_norm):
    x = X.copy()
    x[7] = 0
    options = {"epochs": 2, "batch_size": 10, "compile": compile, "clip_norm": clip_norm, "progress": False}

    def go(policy):
        model = Root()
        opt = optim.Adam(model.parameters())
        return model, train.fit(model, (x, np.ones(50)), nn.mse, opt, on_nonfinite=policy, **options)

    with pytest.raises(train.NonFiniteLoss, match=r"gradient of the parameter w is not finite: sqrt has no"):
        go("raise")
    with pytest.warns(UserWarning, match="skipped: the loss is .*, but the gradient"):
        model, run = go("skip")
    assert (run.step, run.skipped) == (10, 2) and np.all(np.isfinite(model.w.data))
    assert np.any(model.w.data != 1)
    model, run = go("stop")
    assert "gradient" in run.stopped and np.all(np.isfinite(model.w.data))


def test_large_gradients_whose_squares_overflow_are_gradients():
    model = nn.Linear(4, 1, rng=0)
    before = model.state_dict()
    train.fit(
        model, (X, X[:, :1]), lambda out, y: np.mean(out) * 1e200, optim.SGD(model.parameters(), lr=1e-200),
        epochs=1, compile=False, progress=False,
    )  # fmt: skip
    assert np.any(model.weight.data != before["weight"]) and np.all(np.isfinite(model.weight.data))


def test_batches_that_were_left_in_the_middle_are_used_again():
    parts = train.batches(X, Y, batch_size=16, seed=0)
    model = nn.Linear(4, 2, rng=0)
    opt = optim.SGD(model.parameters(), lr=0.1)
    settings = {"epochs": 1, "compile": False, "progress": False}
    run = train.fit(model, parts, nn.cross_entropy, opt, callbacks=[StopAt(2)], **settings)
    assert (run.epoch, run.step) == (0, 2)
    run = train.fit(model, parts, nn.cross_entropy, opt, **settings)
    assert (run.epoch, run.step) == (1, 4)


@pytest.mark.parametrize("step", [2, 4, 6, 8])
def test_a_stop_is_kept_and_can_be_gone_on_from(tmp_path, step):
    """Four steps an epoch: in the middle and at the end of one."""
    whole, run = fitted(checkpoint=tmp_path / "a", validation=(X, Y))
    epochs = []
    options = {"checkpoint": tmp_path / "b", "validation": (X, Y)}
    _, first = fitted(callbacks=[StopAt(step), lambda run: epochs.append(run.epoch)], **options)
    assert (first.step, first.epoch, first.stopped) == (step, step // 4, "time is up")
    assert epochs == list(range(1, step // 4 + 1))
    again, rest = fitted(resume=True, **options)
    assert rest.stopped is None
    same(whole.state_dict(), again.state_dict())
    same({k: np.stack(v) for k, v in run.curves.items()}, {k: np.stack(v) for k, v in rest.curves.items()})


def test_layers_that_share_a_generator_go_on_with_their_own(tmp_path):
    x = np.random.default_rng(1).normal(size=(6, 3, 8))

    def go(name, epochs, **options):
        model = nn.TransformerBlock(8, 2, dropout=0.5)
        for k, p in enumerate(model.parameters()):
            p.data = np.random.default_rng(k).normal(size=p.shape) / 4
        opt = optim.SGD(model.parameters(), lr=0.1)
        train.fit(
            model, (x, x), nn.mse, opt, epochs=epochs, compile=False, progress=False,
            checkpoint=tmp_path / name, **options,
        )  # fmt: skip
        return model.state_dict()

    whole = go("a", 2)
    go("b", 1)
    same(whole, go("b", 2, resume=True))


def test_a_run_that_patience_ended_stays_ended(tmp_path):
    def go(**options):
        model = nn.Linear(4, 2, rng=0)
        opt = optim.SGD(model.parameters(), lr=0.0)
        return train.fit(
            model, (X, Y), nn.cross_entropy, opt, epochs=20, patience=2, compile=False, progress=False,
            validation=(X, Y), checkpoint=tmp_path / "c", **options,
        )  # fmt: skip

    first = go()
    again = go(resume=True)
    assert (again.epoch, again.step, again.stopped) == (first.epoch, first.step, first.stopped)
    assert first.epoch == 3 and "in 2 epochs" in first.stopped


SPOILT = {
    "no epoch": lambda a, meta: meta.pop("epoch"),
    "a word for a number": lambda a, meta: meta.update(step="x"),
    "below zero": lambda a, meta: meta.update(epoch=-5),
    "no generators": lambda a, meta: meta.pop("generators"),
    "other generators": lambda a, meta: meta.update(generators={}),
    "a generator's state": lambda a, meta: meta["generators"]["3.rng"].update(bit_generator="None"),
    "batches": lambda a, meta: meta.update(batches=[]),
    "a batch": lambda a, meta: meta["batches"].update(batch=1000),
    "optimiser": lambda a, meta: meta.update(optimiser=3),
    "no schedule": lambda a, meta: meta.pop("schedule"),
    "no state of a schedule": lambda a, meta: meta.update(schedule={}),
    "the run had no schedule": lambda a, meta: meta.update(schedule=None),
    "curves": lambda a, meta: a.update({"curves.loss": np.ones(3)}),
    "parameters of the best": lambda a, meta: a.update({"best.zzz": np.ones(3)}),
    "parameters": lambda a, meta: a.update({"model.0.weight": np.ones(3)}),
    "moments": lambda a, meta: a.update({"optimiser.mean.0": np.ones(3)}),
    "a log that is longer": lambda a, meta: meta.update(log_size=10**6),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_resuming_changes_all_or_nothing(tmp_path, spoil):
    def parts_of_a_run():
        model = network()
        opt = optim.AdamW(model.parameters(), lr=0.01)
        return model, opt, optim.StepLR(opt, 1), train.batches(X, Y, batch_size=16, seed=0)

    def go(parts, **options):
        model, opt, schedule, data = parts
        train.fit(
            model, data, nn.cross_entropy, opt, schedule=schedule, checkpoint=tmp_path / "c", compile=False,
            log=tmp_path / "log", progress=False, **options,
        )  # fmt: skip

    def state(parts):
        model, *others = parts
        return {k: a.tolist() for k, a in model.state_dict().items()}, [repr(x.state_dict()) for x in others]

    go(parts_of_a_run(), epochs=2)
    written = (tmp_path / "log").read_bytes()
    arrays, meta = train.checkpoint.load(tmp_path / "c")
    spoil(arrays, meta)
    train.checkpoint.save(tmp_path / "c", arrays, meta)
    fresh = parts_of_a_run()
    before, draws = state(fresh), repr(fresh[0][3].rng.bit_generator.state)
    with pytest.raises(train.CheckpointError):
        go(fresh, epochs=3, resume=True)
    assert state(fresh) == before and repr(fresh[0][3].rng.bit_generator.state) == draws
    assert (tmp_path / "log").read_bytes() == written


def test_with_a_schedule_and_without_are_different_runs(tmp_path):
    fitted(checkpoint=tmp_path / "c", epochs=1)
    model = network()
    opt = optim.AdamW(model.parameters(), lr=0.01)
    with pytest.raises(train.CheckpointError, match="the run had no schedule, and one is given"):
        fitted(model, checkpoint=tmp_path / "c", resume=True, schedule=optim.StepLR(opt, 1))


def test_shapes_of_another_model_come_before_its_generators(tmp_path):
    fitted(checkpoint=tmp_path / "c", epochs=1)
    other = nn.Sequential(nn.Linear(4, 9, rng=0), nn.ReLU(), nn.Linear(9, 2, rng=0))
    with pytest.raises(train.CheckpointError, match=r"0\.weight is \(4, 8\), expected \(4, 9\)"):
        fitted(other, checkpoint=tmp_path / "c", resume=True)


def test_a_loss_that_is_no_number_is_null_in_the_log(tmp_path):
    model = nn.Linear(4, 2, rng=0)
    with pytest.warns(UserWarning, match="skipped"):
        train.fit(
            model, (X * np.nan, Y), nn.cross_entropy, optim.SGD(model.parameters(), lr=0.1), epochs=1,
            on_nonfinite="skip", log=tmp_path / "log", compile=False, progress=False,
        )  # fmt: skip

    def refuse(word):
        raise AssertionError(word)

    line = json.loads((tmp_path / "log").read_text(), parse_constant=refuse)
    assert line == {"epoch": 1, "step": 1, "loss": None}


class Windows:
    """A loader of one's own that knows where it stands, with an order drawn anew for each epoch."""

    def __init__(self):
        self.rng, self.rest = np.random.default_rng(3), None

    def __iter__(self):
        if self.rest is None:  # of an epoch under way there may be none left
            self.rest = self.rng.permutation(5).tolist()
        while self.rest:
            part = slice(10 * (k := self.rest.pop()), 10 * k + 10)
            yield X[part], Y[part]
        self.rest = None

    def state_dict(self):
        return {"rest": copy.copy(self.rest), "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state):
        self.rest, self.rng.bit_generator.state = copy.copy(state["rest"]), state["rng"]


def parts():
    return [(X[i : i + 10], Y[i : i + 10]) for i in range(0, 50, 10)]


@pytest.mark.parametrize("make", [Windows, parts], ids=["loader", "list"])
@pytest.mark.parametrize("stop", [3, 5, 7])
def test_loaders_of_ones_own_go_on_where_they_were(tmp_path, make, stop):
    options = {"epochs": 3, "checkpoint": tmp_path / "c"}
    _, run = fitted(data=make(), callbacks=[StopAt(stop)], **options)
    assert run.step == stop
    resumed, run = fitted(data=make(), resume=True, **options)
    whole, undisturbed = fitted(data=make(), **options)
    same(resumed.state_dict(), whole.state_dict())
    np.testing.assert_array_equal(run.curves["loss"], undisturbed.curves["loss"])
    assert run.step == 15


def test_a_checkpoint_of_other_batches_is_refused(tmp_path):
    options = {"epochs": 3, "checkpoint": tmp_path / "c"}
    fitted(data=parts(), callbacks=[StopAt(2)], **options)
    for data, message in ((parts()[:3], "5 batches, here are 3"), (Windows(), "expected batch, loader")):
        with pytest.raises(train.CheckpointError, match=message):
            fitted(data=data, resume=True, **options)


def test_a_log_belongs_to_one_run_at_a_time(tmp_path):
    options = {"epochs": 1, "log": tmp_path / "log"}

    class Another(train.Callback):
        def on_step(self, run):
            with pytest.raises(ValueError, match="another run is writing the log"):
                fitted(**options)

    fitted(callbacks=Another(), **options)
    with pytest.raises(ZeroDivisionError):
        fitted(callbacks=lambda run: 1 / 0, **options)
    fitted(**options)  # whoever failed holds it no longer
    assert len((tmp_path / "log").read_text().splitlines()) == 1
