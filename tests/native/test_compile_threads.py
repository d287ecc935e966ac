"""Compiling and calling in several threads: right results, each function compiled once, no deadlock."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.native import program as programs
from tests.hard import row

THREADS, FUNCTIONS = 8, 200


@pytest.fixture(autouse=True)
def short_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def together(work: Callable[[int], None], threads: int = THREADS, seconds: float = 120) -> None:
    """Run ``work(0)`` ... in threads; whatever goes wrong in one is raised here."""
    wrong: list[BaseException] = []
    start = threading.Barrier(threads)

    def run(k: int) -> None:
        try:
            start.wait()
            work(k)
        except BaseException as error:
            wrong.append(error)

    every = [threading.Thread(target=run, args=(k,), daemon=True) for k in range(threads)]
    for t in every:
        t.start()
    for t in every:
        t.join(seconds)
    assert not any(t.is_alive() for t in every), "deadlock"
    if wrong:
        raise wrong[0]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions whose programs were made."""
    names: list[str] = []
    init = programs.Program.__init__

    def counted(self: Any, name: str, *rest: Any, **named: Any) -> None:
        names.append(name)
        init(self, name, *rest, **named)

    monkeypatch.setattr(programs.Program, "__init__", counted)
    return names


def test_eight_threads_two_hundred_functions(made: list[str]) -> None:
    """Each is compiled once for its signature, whoever comes first."""

    def make(i: int) -> Any:
        def f(x: Any) -> Any:
            return np.sum(x * (i + 1.0)) + float(i)

        f.__name__ = f"f{i}"
        return cr.compile(f)

    functions = [make(i) for i in range(FUNCTIONS)]
    x = np.arange(5.0)

    def work(k: int) -> None:
        for i in np.random.default_rng(k % 2).permutation(FUNCTIONS):  # some meet at the same function
            assert functions[i](x) == 10 * (i + 1) + i

    together(work)
    assert sorted(made) == sorted(f"f{i}" for i in range(FUNCTIONS))


def test_many_threads_call_one_function() -> None:
    f = cr.compile(lambda x, k: np.tanh(x * k) @ np.ones((x.shape[0], 3)) + k)
    f(np.ones(400), 1.0)

    def work(k: int) -> None:
        x = np.linspace(-1, 1, 400) * k
        want = np.tanh(x * k) @ np.ones((400, 3)) + k
        kept = []
        for _ in range(200):
            got = f(x, float(k))
            kept.append(got)
            np.testing.assert_allclose(got, want, rtol=1e-12)
        for got in kept:  # what one thread was given is not written over by another
            np.testing.assert_allclose(got, want, rtol=1e-12)

    together(work)


def test_many_threads_call_one_function_of_scalars() -> None:
    f = cr.compile(lambda x, y: (x * y + 1.0, np.sin(x), [x - y]))
    f(1.0, 2.0)

    def work(k: int) -> None:
        for i in range(300):
            got = f(float(k), float(i))
            assert (got[0], got[2][0]) == (k * i + 1.0, k - i)
            assert abs(got[1] - np.sin(float(k))) < 1e-15

    together(work)


def test_threads_with_signatures_of_their_own(made: list[str]) -> None:
    """One function, a shape for each thread, compiled and called at the same time."""

    @cr.compile
    def f(x: Any) -> Any:
        return np.sum(x**2) * np.ones(2)

    def work(k: int) -> None:
        x = np.full(k + 1, 2.0)
        for _ in range(100):
            np.testing.assert_array_equal(f(x), [4.0 * (k + 1)] * 2)

    together(work)
    assert made == ["f"] * THREADS


def test_a_function_that_falls_back_to_numpy_in_threads() -> None:
    f = cr.compile(lambda x: np.cumsum(np.sort(x))[-1] + np.sum(np.fft.fft(x).real))
    x0 = np.arange(32.0)[::-1].copy()
    f(x0)

    def work(k: int) -> None:
        x = x0 * (k + 1)
        want = np.cumsum(np.sort(x))[-1] + np.sum(np.fft.fft(x).real)
        for _ in range(100):
            np.testing.assert_allclose(f(x), want, rtol=1e-12)

    together(work)


@row(36)
def test_a_training_step_in_each_thread() -> None:
    """Models of their own, compiled at once: capture keeps to its thread."""

    def train(wrap: Any, k: int) -> Any:
        w = Value(np.arange(3.0) + k)

        @wrap
        def step(x: Any) -> Any:
            w.grad = None
            loss = np.sum((w * x) ** 2)
            loss.backward()
            w.data = w.data - 0.01 * w.grad
            return loss

        return [step(np.array([1.0, 2.0, 3.0])).item() for _ in range(20)], w.data.copy()

    def work(k: int) -> None:
        fast, slow = train(cr.compile, k), train(lambda f: f, k)
        np.testing.assert_allclose(fast[0], slow[0], rtol=1e-12)
        np.testing.assert_allclose(fast[1], slow[1], rtol=1e-12)

    together(work)


def test_one_training_step_called_by_all() -> None:
    """Steps are taken one at a time: none is lost."""
    w = Value(np.zeros(3))

    @cr.compile
    def step(x: Any) -> Any:
        w.data = w.data + x
        return np.sum(w.data)

    together(lambda k: [step(np.ones(3)) for _ in range(100)] and None)
    np.testing.assert_array_equal(w.data, [100.0 * THREADS] * 3)


@row(36)
def test_eager_work_beside_a_capture() -> None:
    """While one thread compiles, others differentiate and train eagerly, undisturbed."""
    stop = threading.Event()

    def work(k: int) -> None:
        if k == 0:
            try:
                for i in range(40):
                    cr.compile(cr.grad(lambda x, i=i: np.sum(np.tanh(x) * (i + 1.0))))(np.arange(4.0))
            finally:
                stop.set()
            return
        v = Value(np.arange(4.0))
        while not stop.is_set():
            v.grad = None
            np.sum(v * v).backward()
            assert np.array_equal(v.grad, 2 * np.arange(4.0))
            assert cr.grad(lambda x: x * x * k)(3.0) == 6.0 * k
            v.data = np.arange(4.0)
            assert type(v.data) is np.ndarray

    together(work)


def test_a_shared_parameter_read_by_eager_threads_during_capture() -> None:
    """A capture stands in for the Value in its own thread only."""
    w = Value(np.arange(4.0))
    stop = threading.Event()

    def work(k: int) -> None:
        if k == 0:
            try:
                for i in range(40):
                    def step(x: Any, i: int = i) -> Any:
                        loss = np.sum(w * x) * (i + 1.0)
                        w.grad = None
                        loss.backward()
                        return loss

                    assert cr.compile(step)(np.ones(4)).data == 6.0 * (i + 1)
            finally:
                stop.set()
            return
        while not stop.is_set():
            assert np.sum(w * 2.0).data == 12.0
            assert np.array_equal(w.data, np.arange(4.0))

    together(work)


def test_an_error_in_one_thread_leaves_the_others_alone() -> None:
    @cr.compile
    def f(x: Any) -> Any:
        if x.shape[0] == 3:
            raise KeyError("three")
        return x * 2

    def work(k: int) -> None:
        for _ in range(50):
            if k % 2:
                with pytest.raises(KeyError, match="three"):
                    f(np.ones(3))
            else:
                np.testing.assert_array_equal(f(np.ones(4)), [2.0] * 4)

    together(work)


def test_no_more_programs_than_signatures(made: list[str]) -> None:
    """Also where all threads come at the same moment to a function that nobody has called."""
    for i in range(5):

        def f(x: Any, i: int = i) -> Any:
            return x * float(i)

        f.__name__ = f"f{i}"
        fast = cr.compile(f)
        together(lambda k, fast=fast: fast(np.ones(3)))
    assert made == [f"f{i}" for i in range(5)]
