"""Results written over what they replace, while others still need the old numbers."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.native.program import Program

SIZES = (1, 3, 8, 1000)


def one_after_the_other(p: Any, q: Any, x: Any) -> None:
    old = p.data
    p.data = x * 2
    q.data = old + x


def crosswise(p: Any, q: Any, x: Any) -> None:
    p.data, q.data = q.data * x, p.data * x


def exchanged(p: Any, q: Any, x: Any) -> None:
    p.data, q.data = q.data, p.data


def exchanged_in_a_loop(p: Any, q: Any, x: Any) -> None:
    p.data, q.data = cr.fori(0, 3, lambda i, c: (c[1], c[0]), (p.data, q.data))


def after_a_sum(p: Any, q: Any, x: Any) -> None:
    total = np.sum(p.data * x)
    new = p.data - 0.1 * total
    q.data = (x - total) * p.data
    p.data = new


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize(
    "change", [one_after_the_other, crosswise, exchanged, exchanged_in_a_loop, after_a_sum]
)
@pytest.mark.parametrize("n", SIZES)
def test_state(change: Callable[..., None], n: int, dtype: Any) -> None:
    x = np.linspace(0.5, 1.5, n)

    def run(f: Callable[..., None]) -> list[Any]:
        p, q = cr.Value(np.full(n, 2, dtype)), cr.Value(np.full(n, 5, dtype))
        step = f(lambda x: change(p, q, x))
        for _ in range(3):
            step(x)
        return [p.data, q.data]

    for got, wanted in zip(run(cr.compile), run(lambda f: f)):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_a_number_in_an_array_that_elements_need() -> None:
    p = cr.Value(np.array([2.0]))
    x = np.arange(1.0, 9.0)

    @cr.compile
    def step(x: Any) -> Any:
        total = np.sum(x * p.data)
        new = p.data - 0.1 * total
        y = (x - total) * p.data
        p.data = new
        return y

    np.testing.assert_allclose(step(x), (x - 72) * 2)
    np.testing.assert_allclose(p.data, [2 - 7.2])


def test_a_row_beside_a_matrix() -> None:
    """It is read in each turn of the loop over the matrix's rows, and written in one."""

    def run(wrap: Any) -> list[Any]:
        w, b = cr.Value(np.ones((3, 4))), cr.Value(np.ones(4))

        def step(x: Any) -> None:
            scale = np.minimum(1.0, 0.25 / np.sqrt(np.sum(x * x)))
            w.data, b.data = w.data - x * scale, b.data - x[0] * scale

        step = wrap(step)
        for _ in range(2):
            step(np.arange(12.0).reshape(3, 4))
        return [w.data, b.data]

    for got, wanted in zip(run(cr.compile), run(lambda f: f), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


SHAPES: list[tuple[int, ...]] = [(3, 4), (4,), (1,), (3, 1), (), (1, 4), (5,)]


def drawn(seed: int) -> tuple[Callable[[list[Any], Any], list[Any]], np.random.Generator]:
    """A random step that gives each of some states of different shapes new data."""
    rng = np.random.default_rng(seed)
    lines = rng.integers(0, 1_000_000, (int(rng.integers(4, 22)), 4)).tolist()
    taken = rng.integers(0, 1_000_000, len(SHAPES)).tolist()
    turns = rng.permutation(len(SHAPES)).tolist()

    def step(states: list[Any], x: Any) -> list[Any]:
        known = [v.data for v in states] + [x]
        for k, i, j, n in lines:
            a, b, c = known[i % len(known)], known[j % len(known)], n / 1_000_000 - 0.5
            together = np.shape(b) in ((), np.shape(a)) or (np.shape(a), np.shape(b)) == ((3, 4), (4,))
            match k % 9:
                case 0:
                    known.append(np.tanh(a) * c)
                case 1:
                    known.append(np.sum(a * c))
                case 2:
                    known.append(np.mean(a, axis=-1, keepdims=True) if np.ndim(a) else a)
                case 3:
                    known.append(np.max(a) * c)
                case 4:
                    known.append(np.sum(a * a, axis=0) if np.ndim(a) == 2 else a)
                case 5:
                    known.append(a * np.minimum(1.0, 0.5 / (1e-3 + np.sqrt(np.sum(a * a)))))
                case 6 if together:
                    known.append(a + c * b)
                case 7 if together:
                    known.append(0.5 * a * b)
                case 8 if together:
                    known.append(np.where(a > b, a, 0.5 * b))
        new = []
        for v, n in zip(states, taken, strict=True):
            fitting = [y for y in known if np.shape(y) == np.shape(v.data)]
            y = fitting[n % len(fitting)]
            new.append(y if n % 3 else v.data - 0.1 * y)
        for k in turns:
            states[k].data = new[k]
        return known[-3:]

    return step, rng


@pytest.mark.parametrize("seeds", [range(i, i + 10) for i in range(0, 150, 10)], ids=lambda r: f"{r.start}-")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_drawn_steps(seeds: range) -> None:
    programs = [drawn(seed) for seed in seeds]
    given = [([rng.normal(size=s) for s in SHAPES], rng.normal(size=(3, 4))) for _, rng in programs]

    def run(wrap: Any) -> list[Any]:
        states = [[cr.Value(a if a.ndim else float(a)) for a in start] for start, _ in given]

        def every() -> list[Any]:
            return [y for (f, _), v, (_, x) in zip(programs, states, given, strict=True) for y in f(v, x)]

        every = wrap(every)
        found = [np.array(y) for _ in range(3) for y in every()]
        return found + [np.array(v.data) for each in states for v in each]

    for got, wanted in zip(run(cr.compile), run(lambda f: f), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)


TURNS: dict[str, Callable[[Any, Any], Any]] = {
    "Fibonacci": lambda a, b: (b, a + b),
    "crosswise": lambda a, b: (b * 1.5, a + b),
    "exchanged": lambda a, b: (b, a),
    "leapfrog": lambda a, b: (a + 0.1 * b, b - 0.1 * np.sin(a + 0.1 * b)),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("n", SIZES)
def test_carries(turn: str, n: int) -> None:
    def f(a: Any, b: Any) -> Any:
        return cr.scan(lambda c, _: (TURNS[turn](*c), None), (a, b), None, 5)[0]

    a, b = np.linspace(0.0, 1.0, n), np.ones(n)
    for got, wanted in zip(cr.compile(f)(a, b), f(a, b)):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_programs_in_turn_find_their_state_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """One makes a gradient, another uses it and changes what it is of: nothing is copied or bound anew."""
    p = cr.Value(np.ones(1000))

    @cr.compile
    def gradient() -> None:
        p.grad = None
        np.sum(p * p).backward()

    @cr.compile
    def update() -> None:
        p.data = p.data - 0.25 * p.grad

    for _ in range(2):
        gradient(), update()
    bound: list[int] = []
    monkeypatch.setattr(Program, "_bind", lambda self, entry, a: bound.append(entry))
    for _ in range(2):
        gradient(), update()
    monkeypatch.undo()
    assert not bound
    np.testing.assert_array_equal(p.data, np.full(1000, 0.5**4))


def test_state_that_is_only_read_is_not_kept_alive() -> None:
    p = cr.Value(np.ones(1000))
    total = cr.compile(lambda: np.sum(p.data))
    assert total() == 1000
    old = weakref.ref(p._raw)
    p.data = np.full(1000, 2.0)
    assert old() is None
    assert total() == 2000
    p.data = np.full(2000, 3.0)[::2]  # which has to be copied for each call
    assert [total(), total()] == [3000, 3000]


@pytest.mark.parametrize("f", [np.linalg.inv, np.sort, lambda w: w * 1j], ids=["inv", "sort", "complex"])
def test_state_that_numpy_computes_after_it_was_replaced(f: Callable[[Any], Any]) -> None:
    """The array that was the state before is free again, and only machine code writes into what is shown."""
    given = np.array([[3.0, 1.0], [2.0, 4.0]]) + np.array(0 * f(np.eye(2)))
    w = cr.Value(given)

    @cr.compile
    def step() -> None:
        w.data = f(w.data)

    for _ in range(3):
        w.data = given
        step()
        np.testing.assert_allclose(w.data, f(given), rtol=1e-14)
