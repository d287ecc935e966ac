"""Ctrl-C during training: what is under way is finished and kept, and KeyboardInterrupt comes out."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

from chainrule import nn, train
from chainrule.train.interrupts import interrupts
from tests.train.test_fitting import X, Y, fitted, network, same


@pytest.fixture(autouse=True)
def pythons_own_handler():
    """Processes that a test runner starts may have another."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class Impatient(nn.Module):
    """A layer during whose n-th call somebody presses Ctrl-C."""

    def __init__(self, n, times=1):
        self.inner, self.n, self.times, self.calls = network(), n, times, [0]

    def forward(self, x):
        self.calls[0] += 1
        if self.calls[0] == self.n:
            for _ in range(self.times):
                press()
        return self.inner(x)


class Within(train.Callback):
    """Somebody presses Ctrl-C while a callback is told of step n."""

    def __init__(self, n):
        self.n = n

    def on_step(self, run):
        if run.step == self.n:
            press()
            self.went_on = True


# Four steps an epoch, and a fifth call for the evaluation after it.
@pytest.mark.parametrize(("call", "step"), [(1, 1), (3, 3), (4, 4), (5, 4), (7, 6)])
def test_the_step_is_finished_and_the_rest_of_the_run_ends_in_the_same_bits(tmp_path, call, step):
    options = {"epochs": 2, "validation": (X, Y), "checkpoint": tmp_path / "c", "log": tmp_path / "log"}
    with pytest.raises(KeyboardInterrupt):
        fitted(model := Impatient(call), **options)
    assert train.checkpoint.load(tmp_path / "c")[1]["step"] == step and not model.training
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed, run = fitted(Impatient(0), resume=True, **options)
    lines = (tmp_path / "log").read_text()
    whole, undisturbed = fitted(Impatient(0), **options)
    same(resumed.state_dict(), whole.state_dict())
    np.testing.assert_array_equal(run.curves["loss"], undisturbed.curves["loss"])
    assert (tmp_path / "log").read_text() == lines


@pytest.mark.parametrize("compile", [False, True])
def test_callbacks_are_not_torn(tmp_path, compile):
    within = Within(6)
    with pytest.raises(KeyboardInterrupt):
        fitted(callbacks=within, checkpoint=tmp_path / "c", compile=compile)
    assert within.went_on and train.checkpoint.load(tmp_path / "c")[1]["step"] == 6


def test_in_the_last_step_it_is_not_lost():
    with pytest.raises(KeyboardInterrupt):
        fitted(epochs=1, callbacks=[lambda run: press()])


def test_a_second_one_is_not_held_back(tmp_path):
    model = Impatient(3, times=2)
    with pytest.raises(KeyboardInterrupt):
        fitted(model, checkpoint=tmp_path / "c", checkpoint_every=1)
    assert train.checkpoint.load(tmp_path / "c")[1]["step"] == 2  # of before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_of_others_and_other_threads_are_left_alone():
    heard = []
    mine = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with interrupts() as interrupted:
            press()
        assert heard == [1] and not interrupted()
    finally:
        signal.signal(signal.SIGINT, mine)
    thread = threading.Thread(target=lambda: heard.append(fitted(epochs=1)[1].step))
    thread.start()
    thread.join()
    assert heard == [1, 4]
