"""Programs of very many kernels: few functions, each of a length that LLVM takes in its stride."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.native import lower
from tests.native.agree import agree


def predators(p: Any, steps: int) -> Any:
    """Lotka and Volterra's, by Runge and Kutta's second-order steps."""
    y, total = np.ones(2) + 0 * p[:2], 0.0
    slope = lambda y: np.stack([p[0] * y[0] - p[1] * y[0] * y[1], p[3] * y[0] * y[1] - p[2] * y[1]])
    for _ in range(steps):
        y = y + 0.05 * slope(y + 0.025 * slope(y))
        total = total + y @ y
    return total


P = np.array([0.5, 0.3, 0.4, 0.2])


def test_kernels_that_differ_in_the_places_of_numbers_are_one_function() -> None:
    def functions(steps: int) -> tuple[int, int]:
        program = cr.compile(cr.grad(lambda p: predators(p, steps)))
        agree(program(P), cr.grad(lambda p: predators(p, steps))(P), rtol=1e-12)
        image = program.last.image
        return len(image.code), len(set(image.code.values()))

    (few, short), (many, long) = functions(6), functions(24)
    assert many > 3 * few
    assert long < 2 * short


@pytest.mark.parametrize("long", [1, 20, 100])
def test_a_program_in_several_segments(long: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cr.compile(cr.grad(lambda p: predators(p, 5)))(P)
    monkeypatch.setattr(lower, "LONG", long)
    program = cr.compile(cr.grad(lambda p: predators(p, 5)))
    agree(program(P), whole, 0)
    assert len(program.last.image.steps) > 1
    assert all(isinstance(s, str) for s in program.last.image.steps)


@pytest.mark.parametrize("long", [1, 3000])
def test_state_stays_when_an_index_of_another_segment_is_wrong(
    long: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lower, "LONG", long)
    table, count = Value(np.arange(4.0)), Value(0.0)

    @cr.compile
    def step(i: Any) -> Any:
        picked = np.sum(table.data[i])
        table.data = table.data * 2
        count.data = count.data + picked
        return picked

    assert step(np.array([1, 3])) == 4
    with pytest.raises(IndexError, match=r"index 4 is out of bounds.*changed nothing"):
        step(np.array([1, 4]))
    assert count.data == 4
    agree(table.data, 2 * np.arange(4.0), 0)
    assert step(np.array([1, 3])) == 8
