"""Random programs compiled: values and gradients equal to eager's.

Many programs make one compiled function, since a function costs some 50 ms to compile and a program
in it one. ``make test`` runs 500 programs, ``make nightly`` a tenth as many as it runs eagerly. A failure
names the seed of its program, and `tests.programs.drawn` gives that program again.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from tests.native.agree import kind
from tests.programs import FIRST, Arrays, Program, drawn

PROGRAMS = int(os.environ.get("CHAINRULE_NIGHTLY") or 5_000) // 10
TOGETHER = 25  # programs in one compiled function


def weights(rng: np.random.Generator, ys: Any) -> tuple[Any, ...]:
    return tuple(np.asarray(rng.normal(size=np.shape(y)), np.asarray(y).dtype)[()] for y in ys)


def close(got: Any, want: Any, rtol: float, what: str) -> None:
    """Kinds of every entry, and numbers up to rounding of the whole."""
    size = np.sqrt(sum(float(np.sum(np.square(np.asarray(cr.data(y), float)))) for y in want))
    assert len(got) == len(want), what
    for a, b in zip(got, want, strict=True):
        a, b = cr.data(a), cr.data(b)
        assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype, (
            f"{what}: got {kind(a)}, expected {kind(b)}"
        )
        off = np.max(np.abs(np.asarray(a, float) - b), initial=0.0)
        assert off <= rtol * (size + 1), f"{what}: off by {off}: {a!r} and {b!r}"


def gradients(program: Program, x: Arrays, g: Arrays) -> tuple[Any, Any, Any]:
    """Values on plain arrays, and the gradient of their weighted sum on Values and by `vjp`."""
    leaves = tuple(map(Value, x))
    # traced arrays are not written to, Values are
    y = tuple(map(cr.data, program(*map(Value, x)))) if program.writes else program(*x)
    sum(np.sum(a * b) for a, b in zip(g, program(*leaves), strict=True)).backward()
    return y, [v.grad for v in leaves], cr.vjp(program, *x)[1](g)


def check(name: str, step: Any, seeds: range, dtypes: tuple[type, ...], rtol: float) -> None:
    """``step(program, x, g)`` for all of these programs, in one compiled function, against eager."""
    every = []
    for seed in seeds:
        program, x, rng = drawn(seed, dtypes)
        every.append((seed, program, x, weights(rng, program(*x))))

    def run(xs: Any, gs: Any) -> Any:
        return [step(program, x, g) for (_, program, _, _), x, g in zip(every, xs, gs, strict=True)]

    xs, gs = [x for _, _, x, _ in every], [g for *_, g in every]
    with np.errstate(all="ignore"):
        compiled = cr.compile(run)
        both = [("first call", compiled(xs, gs)), ("second call", compiled(xs, gs))]
        want = run(xs, gs)
    for call, got in both:
        for (seed, program, x, _), a, b in zip(every, got, want, strict=True):
            for part, u, v in zip(("value", ".grad", "vjp"), a, b, strict=True):
                close(u, v, rtol, f"{name} of the program of seed {seed}, {call}, {part}: {program} at {x}")


def batches(count: int, together: int = TOGETHER) -> list[range]:
    return [range(FIRST + i, FIRST + min(i + together, count)) for i in range(0, count, together)]


@pytest.mark.parametrize("seeds", batches(PROGRAMS), ids=lambda s: f"{s.start}-{s.stop - 1}")
def test_values_and_gradients(seeds: range) -> None:
    check("double", gradients, seeds, (np.float64,), 1e-12)


@pytest.mark.parametrize("seeds", batches(PROGRAMS // 5), ids=lambda s: f"{s.start}-{s.stop - 1}")
def test_mixed_precision(seeds: range) -> None:
    """float32 and float64 inputs side by side: dtypes as eager, and numbers to single precision."""
    check("mixed", gradients, seeds, (np.float32, np.float64), 2e-4)


@pytest.mark.parametrize("seeds", batches(PROGRAMS // 10), ids=lambda s: f"{s.start}-{s.stop - 1}")
def test_second_order(seeds: range) -> None:
    """Tangents, and the gradient of the gradient along a direction."""

    def step(program: Program, x: Arrays, g: Arrays) -> Any:
        def total(*xs: Any) -> Any:
            return sum(np.sum(a * b) for a, b in zip(g, program(*xs), strict=True))

        every = tuple(range(len(x)))
        t = tuple(0.5 + 0.0 * v for v in x)
        y, jt = cr.jvp(program, x, t)
        slope, curve = cr.jvp(cr.grad(total, every), x, t)
        return (*y, *jt), slope, curve

    check("second order", step, seeds, (np.float64,), 1e-10)
