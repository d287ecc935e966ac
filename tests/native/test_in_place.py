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


def after_a_sum(p: Any, q: Any, x: Any) -> None:
    total = np.sum(p.data * x)
    new = p.data - 0.1 * total
    q.data = (x - total) * p.data
    p.data = new


@pytest.mark.parametrize("change", [one_after_the_other, crosswise, exchanged, after_a_sum])
@pytest.mark.parametrize("n", SIZES)
def test_state(change: Callable[..., None], n: int) -> None:
    x = np.linspace(0.5, 1.5, n)

    def run(f: Callable[..., None]) -> list[Any]:
        p, q = cr.Value(np.full(n, 2.0)), cr.Value(np.full(n, 5.0))
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
