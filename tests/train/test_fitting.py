"""Training runs: what they compute, and that what interrupts them changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim, train

X = np.random.default_rng(0).normal(size=(50, 4))
Y = (X[:, 0] > 0).astype(int)


def network(rng=0):
    return nn.Sequential(
        nn.Linear(4, 8, rng=rng), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2, rng=rng)
    )


def fitted(model=None, data=(X, Y), **options):
    model = model or network()
    settings = {"epochs": 3, "batch_size": 16, "seed": 5, "progress": False, "compile": False}
    run = train.fit(
        model, data, nn.cross_entropy, optim.AdamW(model.parameters(), lr=0.01), **{**settings, **options}
    )
    return model, run


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_it_is_the_loop_that_everyone_can_write():
    model = nn.Linear(4, 2, rng=0)
    run = train.fit(
        model, (X, Y), nn.cross_entropy, optim.SGD(model.parameters(), lr=0.1), epochs=2, batch_size=16,
        seed=3, compile=False, progress=False,
    )  # fmt: skip
    own = nn.Linear(4, 2, rng=0)
    opt, losses = optim.SGD(own.parameters(), lr=0.1), []
    parts = train.batches(X, Y, batch_size=16, seed=3)
    for _ in range(2):
        for x, y in parts:
            opt.zero_grad()
            loss = nn.cross_entropy(own(x), y)
            loss.backward()
            opt.step()
            losses.append(loss.data)
    same(model.state_dict(), own.state_dict())
    np.testing.assert_array_equal(run.curves["loss"][1], losses)
    assert (run.epoch, run.step) == (2, 8)


def test_compiled_is_as_eager():
    (a, one), (b, other) = fitted(compile=True), fitted(compile=False)
    np.testing.assert_allclose(one.curves["loss"][1], other.curves["loss"][1], rtol=1e-10)
    for name, x in a.state_dict().items():
        # the first bias has no gradient but rounding, as a normalisation follows, and Adam makes that steps
        np.testing.assert_allclose(x, b.state_dict()[name], rtol=1e-8, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("stop_after", [1, 3, 4, 7])
def test_a_run_that_goes_on_is_the_run_that_never_stopped(tmp_path, compile, stop_after):
    """Parameters, moments, statistics, draws, order, curves and log, wherever it was interrupted."""
    options = {"compile": compile, "checkpoint_every": 1, "validation": (X[:10], Y[:10])}
    whole, run = fitted(checkpoint=tmp_path / "a", log=tmp_path / "a.log", **options)

    class Interrupted(Exception):
        pass

    class Stop(train.Callback):
        def on_step(self, run):
            if run.step > stop_after:  # after the checkpoint of the step before
                raise Interrupted

    with pytest.raises(Interrupted):
        fitted(checkpoint=tmp_path / "b", log=tmp_path / "b.log", callbacks=[Stop()], **options)
    again, rest = fitted(checkpoint=tmp_path / "b", log=tmp_path / "b.log", resume=True, **options)
    same(whole.state_dict(), again.state_dict())
    same({k: np.stack(v) for k, v in run.curves.items()}, {k: np.stack(v) for k, v in rest.curves.items()})
    assert (tmp_path / "a.log").read_bytes() == (tmp_path / "b.log").read_bytes()
    a, b = (train.checkpoint.load(tmp_path / name) for name in "ab")
    same(a[0], b[0])
    assert a[1] == b[1]


KILLED = """
import sys, numpy as np
sys.path.insert(0, {root!r})
from tests.train.test_fitting import fitted
fitted(epochs=150, checkpoint={path!r}, log={log!r}, checkpoint_every=1, resume=True)
"""


def written(path):
    """When a file was written last; None if there is none."""
    return path.stat().st_mtime_ns if path.exists() else None


def test_killed_again_and_again_it_ends_the_same(tmp_path):
    """kill -9 at moments that nobody chose."""
    whole, _ = fitted(epochs=150, checkpoint=tmp_path / "a", log=tmp_path / "a.log")
    root = str(Path(__file__).parents[2])
    code = KILLED.format(root=root, path=str(tmp_path / "b"), log=str(tmp_path / "b.log"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    child = partial(subprocess.Popen, [sys.executable, "-c", code], env=environment)
    for moment in np.random.default_rng(1).uniform(0, 0.05, 3):
        before, deadline = written(tmp_path / "b"), time.time() + 60
        with child() as run:
            while written(tmp_path / "b") == before and run.poll() is None and time.time() < deadline:
                time.sleep(0.001)
            time.sleep(moment)  # somewhere in a later step, or while its checkpoint is written
            assert run.poll() is None
            run.kill()
    with child() as run:
        assert run.wait(120) == 0
    again, _ = fitted(epochs=150, checkpoint=tmp_path / "b", log=tmp_path / "b.log", resume=True)
    same(whole.state_dict(), again.state_dict())
    assert (tmp_path / "a.log").read_bytes() == (tmp_path / "b.log").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.log", "b", "b.log"]


class Fragile(nn.Module):
    """The logarithm of what may be negative."""

    def __init__(self):
        self.inner = nn.Linear(2, 1, rng=0)

    def forward(self, x):
        return np.log(self.inner(x))


def broken():
    x = np.abs(np.random.default_rng(0).normal(size=(12, 2))) + 1
    model = Fragile()
    model.inner.weight.data = np.array([[1.0], [1.0]])
    x[5] = -3.0
    return model, (x, np.ones((12, 1)))


@pytest.mark.parametrize("compile", [False, True])
def test_losses_that_are_no_numbers(compile):
    settings = {"epochs": 1, "batch_size": 3, "progress": False, "compile": compile}
    model, data = broken()
    with pytest.raises(train.NonFiniteLoss, match=r"nan is log in Fragile, of float64 \(3, 1\) from -5\.99"):
        train.fit(model, data, nn.mse, optim.SGD(model.parameters(), lr=0.01), **settings)
    assert np.all(np.isfinite(model.inner.weight.data))

    model, data = broken()
    with pytest.warns(UserWarning, match="is skipped: the loss is nan"):
        run = train.fit(
            model, data, nn.mse, optim.SGD(model.parameters(), lr=0.01), on_nonfinite="skip", **settings
        )
    assert (run.step, run.skipped) == (4, 1) and np.all(np.isfinite(model.inner.weight.data))

    model, data = broken()
    run = train.fit(
        model, data, nn.mse, optim.SGD(model.parameters(), lr=0.01), on_nonfinite="stop", **settings
    )
    assert "log in Fragile" in run.stopped and np.all(np.isfinite(model.inner.weight.data))


def test_the_last_good_checkpoint_stays(tmp_path):
    model, data = broken()
    with pytest.raises(train.NonFiniteLoss):
        train.fit(
            model, data, nn.mse, optim.SGD(model.parameters(), lr=0.01), epochs=1, batch_size=3,
            checkpoint=tmp_path / "c", checkpoint_every=1, compile=False, progress=False,
        )  # fmt: skip
    if (tmp_path / "c").exists():
        arrays, _ = train.checkpoint.load(tmp_path / "c")
        assert all(np.all(np.isfinite(a)) for a in arrays.values())


def test_statistics_are_not_spoilt_by_a_batch_that_is_left_out():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2, rng=0))
    bad = X.copy()
    bad[3] = np.nan
    with pytest.warns(UserWarning, match="array 0 of the batch holds nan"):
        train.fit(
            model, (bad, Y), nn.cross_entropy, optim.SGD(model.parameters(), lr=0.1), epochs=1, batch_size=10,
            on_nonfinite="skip", progress=False, compile=False,
        )  # fmt: skip
    assert all(np.all(np.isfinite(a)) for a in model.state_dict().values())


def test_patience_stops_and_goes_back_to_the_best():
    worse = iter(range(100))
    seen = []

    class Drifting(nn.Module):
        def __init__(self):
            self.w = Value(np.zeros(1))

        def forward(self, x):
            return np.zeros(len(x)) + self.w

    model = Drifting()
    run = train.fit(
        model, (np.zeros(8), np.ones(8)), nn.mse, optim.SGD(model.parameters(), lr=1.2), epochs=50,
        batch_size=8, patience=3, progress=False, callbacks=[lambda run: seen.append(model.w.data.copy())],
        compile=False,
    )  # fmt: skip
    assert run.epoch < 50 and "in 3 epochs" in run.stopped
    assert next(worse) == 0
    assert run.best == min(run.curves["loss"][1])


def test_callbacks_metrics_schedule_and_log(tmp_path):
    told = []

    class Told(train.Callback):
        def on_step(self, run):
            told.append("step")

        def on_epoch(self, run):
            told.append("epoch")

        def on_end(self, run):
            told.append("end")

    class Halving:
        def __init__(self, opt):
            self.opt = opt

        def step(self):
            self.opt.lr = self.opt.lr / 2

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            pass

    model = nn.Linear(4, 2, rng=0)
    opt = optim.SGD(model.parameters(), lr=0.8)
    run = train.fit(
        model, (X, Y), nn.cross_entropy, opt, epochs=2, batch_size=25, validation=(X, Y),
        metrics={"accuracy": train.accuracy}, schedule=Halving(opt), callbacks=[Told()], log=tmp_path / "log",
        progress=False,
    )  # fmt: skip
    assert told == ["step", "step", "epoch"] * 2 + ["end"]
    assert opt.lr == 0.2
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[-1]["validation_accuracy"] == run.curves.last("validation_accuracy")
    assert not model.training


def test_clipping_bounds_the_step():
    model = nn.Linear(4, 2, rng=0)
    before = model.state_dict()
    train.fit(
        model, (1e6 * X, Y), nn.cross_entropy, optim.SGD(model.parameters(), lr=1.0), epochs=1, batch_size=50,
        clip_norm=0.1, progress=False,
    )  # fmt: skip
    moved = np.sqrt(sum(np.sum((a - before[k]) ** 2) for k, a in model.state_dict().items()))
    assert moved <= 0.1 * (1 + 1e-9)


def test_a_model_that_cannot_be_captured_is_trained_all_the_same():
    class Branching(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(4, 2, rng=0)

        def forward(self, x):
            y = self.inner(x)
            return y if float(np.sum(cr.data(y))) > -1e9 else -y

    model = Branching()
    opt = optim.SGD(model.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match="is not compiled: .*test_fitting.py, line"):
        run = train.fit(model, (X, Y), nn.cross_entropy, opt, epochs=1, progress=False)
    assert run.step == 1
    with pytest.raises(cr.traced.TracedError):
        train.fit(model, (X, Y), nn.cross_entropy, opt, epochs=1, progress=False, compile=True)


def test_a_checkpoint_of_another_model(tmp_path):
    fitted(checkpoint=tmp_path / "c", epochs=1)
    other = nn.Sequential(
        nn.Linear(4, 9, rng=0), nn.BatchNorm1d(9), nn.ReLU(), nn.Dropout(0.2), nn.Linear(9, 2, rng=0)
    )
    before = other.state_dict()
    with pytest.raises(ValueError, match=r"0\.weight is \(4, 8\), expected \(4, 9\)"):
        fitted(other, checkpoint=tmp_path / "c", resume=True)
    same(before, other.state_dict())
    train.checkpoint.save(tmp_path / "d", {"a": np.ones(3)})
    with pytest.raises(train.CheckpointError, match="not of a training run"):
        fitted(checkpoint=tmp_path / "d", resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs is -1"),
        ({"epochs": 2.5}, "epochs is 2.5"),
        ({"on_nonfinite": "ignore"}, "on_nonfinite is 'ignore'"),
        ({"patience": 0}, "patience is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        fitted(**options)


def test_no_epochs_train_nothing():
    model, run = fitted(epochs=0)
    same(model.state_dict(), network().state_dict())
    assert run.step == 0
