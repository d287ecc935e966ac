"""A derivative that runs a function again finds what the function found, and leaves what it finds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from tests.native.agree import agree


def test_an_array_that_a_branch_or_a_loop_closes_over_and_that_is_written_to_later() -> None:
    """A derivative runs their functions again: with what the array was."""
    x = np.array([1.0, 2.0, 3.0])
    for run in (
        lambda use, x: cr.cond(x[0] > 0, use, lambda x: x[0], x),
        lambda use, x: cr.fori(0, 3, lambda i, c: c + use(x), 0.0),
        lambda use, x: cr.while_loop(lambda c: c < 1.0, lambda c: c + use(x), 0.0),
    ):

        def f(x: Any, run: Any = run) -> Any:
            hot, total = np.zeros(3), 0.0
            for i in range(3):
                hot[:] = 0
                hot[i] = i + 1
                total = total + run(lambda x: np.sum(x * hot) ** 2, x)
            return total

        steps = 3 if "fori" in run.__code__.co_names else 1
        agree(cr.compile(f)(x), steps * np.sum((x * np.arange(1, 4)) ** 2), rtol=1e-12)
        slope = cr.compile(cr.jacobian(f, mode="forward"))(x)
        agree(slope, steps * 2 * x * np.arange(1, 4) ** 2, rtol=1e-12)


class _Around:
    """A step that finds its array in an attribute of an attribute."""

    def __init__(self, b: Any) -> None:
        self.held = SimpleNamespace(b=b)

    def __call__(self, c: Any, _: Any) -> Any:
        return c * self.held.b, None


_HELD: list[Any] = []
STEPS: dict[str, Callable[[Any], Any]] = {
    "a name": lambda b: lambda c, _: (c * b, None),
    "computed": lambda b: lambda c, _: (c * (b + 0), None),
    "a view": lambda b: (lambda view: lambda c, _: (c * view, None))(b[:]),
    "a list": lambda b: (lambda held: lambda c, _: (c * held[0], None))([b]),
    "a dictionary": lambda b: (lambda held: lambda c, _: (c * held["b"], None))({"b": b}),
    "a default": lambda b: lambda c, _, b=b: (c * b, None),
    "a keyword's default": lambda b: lambda c, _, *, b=(b,): (c * b[0], None),
    "partial": lambda b: functools.partial(lambda b, c, _: (c * b, None), b),
    "an object": _Around,
    "a method": lambda b: _Around(b).__call__,
    "a global": lambda b: (_HELD.clear(), _HELD.append(b), lambda c, _: (c * _HELD[0], None))[-1],
}


@pytest.mark.parametrize("name", STEPS)
def test_a_derivative_of_a_loop_finds_arrays_as_they_were(name: str) -> None:
    """Wherever the step has them from; and what they hold now is there again behind it."""

    def f(x: Any) -> Any:
        b, v = np.full(3, 2.0), Value(x)
        y = cr.scan(STEPS[name](b), v, length=3)[0]
        b[:] = 5.0
        y.sum().backward()
        assert (b == 5).all()
        return v.grad

    agree(cr.compile(f)(np.array([0.1, 0.2, 0.3])), np.full(3, 8.0))


def test_steps_and_branches_write_to_arrays_under_several_names() -> None:
    x = np.array([0.1, 0.2, 0.3])

    def filled() -> tuple[Any, Any, Any]:
        buffer = np.zeros(3)
        view = buffer[:]

        def fill(k: float) -> None:
            buffer[:] = k

        return buffer, view, fill

    def branch(x: Any) -> Any:
        buffer, view, fill = filled()

        def use(x: Any) -> Any:
            fill(2.0)
            return x * buffer + view

        return cr.cond(x[0] > 0, use, lambda x: x, x)

    def loop(x: Any) -> Any:
        buffer, view, fill = filled()

        def body(c: Any) -> Any:
            fill(2.0)
            return c[0] + 1, c[1] * buffer + view

        return cr.while_loop(lambda c: c[0] < 3, body, (0, x))[1] + buffer

    def steps(x: Any) -> Any:
        buffer, view, fill = filled()

        def step(c: Any, _: Any) -> Any:
            fill(2.0)
            return c * buffer + view, None

        return cr.scan(step, x, length=3)[0] + view

    for f in (branch, loop, steps):
        agree(cr.compile(f)(x), f(x), rtol=1e-14)
        slope = cr.jacobian(f, mode="forward")(x)
        agree(cr.compile(cr.jacobian(f, mode="forward"))(x), slope, rtol=1e-14)
    agree(cr.compile(cr.jacobian(steps))(x), np.diag(np.full(3, 8.0)))


def test_a_closure_over_a_matrix_in_fortrans_order_reads_it_so() -> None:
    def f(x: Any) -> Any:
        t = np.asfortranarray(np.arange(6.0).reshape(2, 3))
        return cr.cond(x[0] > 0, lambda c: c + np.ravel(t, order="K"), lambda c: c, np.zeros(6) + x[0])

    agree(cr.compile(f)(np.ones(1)), f(np.ones(1)))


def test_a_step_keeps_the_attributes_of_its_function() -> None:
    def loss(x: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            return c * step.k, None  # type: ignore[attr-defined]

        step.k = 2.0  # type: ignore[attr-defined]
        return cr.scan(step, x, length=3)[0].sum()

    x = np.ones(3)
    agree(cr.grad(loss)(x), np.full(3, 8.0))
    agree(cr.compile(cr.grad(loss))(x), np.full(3, 8.0))
