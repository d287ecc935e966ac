"""Random programs: every derivative against plain NumPy's differences and against every other derivative.

``make test`` runs 5,000 of them, from the seed ``CHAINRULE_SEED`` on, ``make nightly`` 100,000 of a new
one; a failure names the seed of its program and prints it. Hypothesis tries fewer, more thoroughly, and
makes a program that fails smaller: ``make test ARGS="--hypothesis-seed=N"`` draws its examples again.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import Value
from tests.programs import FIRST, OPERATIONS, SHAPES, Arrays, Program, drawn

STEPS = st.lists(
    st.tuples(st.integers(0, len(OPERATIONS) - 1), st.integers(0, 5), st.integers(0, 30), st.integers(0, 30)),
    min_size=8,
    max_size=20,
)
PROGRAMS, TOGETHER = int(os.environ.get("CHAINRULE_NIGHTLY") or 5_000), 250


@st.composite
def programs(draw: st.DrawFn, dtypes: list[type]) -> tuple[Program, Arrays, np.random.Generator]:
    """A program, the point where it runs, and a source of directions."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    if np.float32 in dtypes:  # a Python float has no precision of its own
        shapes = [() if shape is float else shape for shape in shapes]
        kinds = draw(st.lists(st.sampled_from(dtypes), min_size=len(shapes), max_size=len(shapes)))
    else:
        kinds = [np.float64] * len(shapes)
    inputs = tuple(
        float(rng.normal()) if shape is float else rng.normal(size=shape).astype(kind)
        for shape, kind in zip(shapes, kinds, strict=True)
    )
    constants = [
        rng.normal(size=3),
        np.array([[1, 2, 3], [3, 1, 2]]),
        rng.normal(size=(2, 1)).astype(kinds[0]),
    ]
    program = Program(inputs, constants, draw(STEPS))
    assume(program.outputs)
    note(f"{program} at {inputs} with {constants}")
    return program, inputs, rng


def direction(rng: np.random.Generator, like: Arrays) -> Arrays:
    """A random one of length 1, in shapes and dtypes like these."""
    raw = [rng.normal(size=np.shape(cr.data(x))) for x in like]
    length = size(raw)
    return tuple(
        float(d / length) if type(x) is float else (d / length).astype(x.dtype)
        for d, x in zip(raw, like, strict=True)
    )


def size(xs: Any) -> float:
    return float(np.sqrt(sum(np.sum(np.square(np.asarray(x, float))) for x in xs)))


def inner(a: Any, b: Any) -> float:
    return float(sum(np.sum(np.asarray(x, float) * y) for x, y in zip(a, b, strict=True)))


def close(a: Any, b: Any, rtol: float, what: str) -> None:
    """Equal up to ``rtol`` of the whole length (or of 1)."""
    error = size([np.asarray(x, float) - np.asarray(y, float) for x, y in zip(a, b, strict=True)])
    assert error <= rtol * (size(b) + 1), f"{what}: off by {error}: {a} and {b}"


def transposed(g: Any, jt: Any, jg: Any, t: Any, rtol: float, what: str) -> None:
    """``<g, J t> = <Jᵀ g, t>``."""
    forward, reverse = inner(g, jt), inner(jg, t)
    scale = size(g) * size(jt) + size(jg) * size(t) + 1e-3
    assert abs(forward - reverse) <= rtol * scale, f"{what}: <g, J t> = {forward}, <Jᵀ g, t> = {reverse}"


def quotients(f: Any, x: Arrays, t: Arrays) -> tuple[list[Any], bool]:
    """Five-point differences along ``t``, and whether two steps agree on them."""

    def moved(k: float) -> list[Any]:
        return f(*[a + k * d for a, d in zip(x, t, strict=True)])

    def quotient(h: float) -> list[Any]:
        parts = zip(moved(h), moved(-h), moved(2 * h), moved(-2 * h), strict=True)
        return [(8 * (np.asarray(p1) - m1) - (np.asarray(p2) - m2)) / (12 * h) for p1, m1, p2, m2 in parts]

    coarse, fine = quotient(1e-3), quotient(5e-4)
    off = size([a - b for a, b in zip(coarse, fine, strict=True)])
    return fine, off <= 1e-8 * (size(fine) + 1)


def differences(f: Any, x: Arrays, t: Arrays) -> list[Any]:
    fine, steady = quotients(f, x, t)
    assume(steady)
    return fine


def stays_on_its_side(program: Program, x: Arrays, t: Arrays) -> bool:
    sides = program.sides(x)
    for k in (-2e-3, 2e-3):
        for a, b in zip(sides, program.sides([v + k * d for v, d in zip(x, t, strict=True)]), strict=True):
            if not np.array_equal(a, b):
                return False
    return True


def check(program: Program, x: Arrays, rng: np.random.Generator, deep: bool) -> bool:
    """First and second order in both modes; whether differences could judge. ``deep``: the second too."""
    y = program(*x)
    t, u, g = direction(rng, x), direction(rng, x), direction(rng, y)
    every = tuple(range(len(x)))

    def total(*xs: Any) -> Any:
        return sum(np.sum(a * b) for a, b in zip(g, program(*xs), strict=True))

    value, jt = cr.jvp(program, x, t)
    close(value, y, 1e-13, "value")
    jg = cr.vjp(program, *x)[1](g)
    transposed(g, jt, jg, t, 1e-10, "first order")
    gradient = cr.grad(total, every)
    slope, ht = cr.jvp(gradient, x, t)
    close(slope, jg, 1e-11, "gradient")
    transposed(u, ht, cr.vjp(gradient, *x)[1](u), t, 1e-9, "second order")
    if not stays_on_its_side(program, x, t):
        return False
    fine, steady = quotients(program, x, t)
    if not steady:
        return False
    close(jt, fine, 1e-7, "forward against differences")
    if deep:
        fine, steady = quotients(gradient, x, t)
        if steady:
            close(ht, fine, 1e-7, "second order against differences")
    return True


@pytest.mark.parametrize("first", range(FIRST, FIRST + PROGRAMS, TOGETHER))
def test_many_random_programs(first: int) -> None:
    judged = 0
    for seed in range(first, min(first + TOGETHER, FIRST + PROGRAMS)):
        program, x, rng = drawn(seed, (np.float64,))
        try:
            judged += check(program, x, rng, deep=seed % 4 == 0)
        except Exception as error:
            error.add_note(f"seed {seed}: {program} at {x} with {program.constants}")
            raise
    assert judged > TOGETHER // 2  # the others have kinks or derivatives too high for differences


@settings(max_examples=100)
@given(programs([np.float64]))
def test_derivatives_of_random_programs(drawn):
    program, x, rng = drawn
    y = program(*x)
    t, u, g = direction(rng, x), direction(rng, x), direction(rng, y)
    assume(stays_on_its_side(program, x, t))

    value, jt = cr.jvp(program, x, t)
    close(value, y, 1e-13, "value")
    close([v.data for v in program(*map(Value, x))], y, 1e-13, "value of a graph")
    close(jt, differences(program, x, t), 1e-7, "forward against differences")
    value, pull = cr.vjp(program, *x)
    close(value, y, 1e-13, "value of vjp")
    jg = pull(g)
    transposed(g, jt, jg, t, 1e-10, "first order")

    def total(*xs: Any) -> Any:
        return sum(np.sum(a * b) for a, b in zip(g, program(*xs), strict=True))

    every = tuple(range(len(x)))
    gradient = cr.grad(total, every)
    close(gradient(*x), jg, 1e-12, "grad against vjp")
    leaves = tuple(map(Value, x))
    total(*leaves).backward()
    close([v.grad for v in leaves], jg, 1e-12, "backward against vjp")

    ht = cr.jvp(gradient, x, t)[1]
    close(ht, differences(gradient, x, t), 1e-7, "second order against differences")
    transposed(u, ht, cr.vjp(gradient, *x)[1](u), t, 1e-10, "reverse over reverse")
    transposed(u, ht, cr.jvp(gradient, x, u)[1], t, 1e-10, "symmetry")
    slope = cr.grad(
        lambda *xs: sum(np.sum(a * b) for a, b in zip(g, cr.jvp(program, xs, t)[1], strict=True)), every
    )
    close(slope(*x), ht, 1e-10, "reverse over forward")
    twice = cr.jvp(lambda *xs: cr.jvp(program, xs, t)[1], x, u)[1]
    close([inner(g, twice)], [inner(u, ht)], 1e-10, "forward over forward")


@settings(max_examples=60)
@given(programs([np.float64]))
def test_jacobians_and_hessians_of_random_programs(drawn):
    """Forward and reverse Jacobians agree, Hessians are symmetric, and both multiply as the products do."""
    program, x, rng = drawn
    every = tuple(range(len(x)))
    t = direction(rng, x)
    columns, rows = (cr.jacobian(program, every, mode)(*x) for mode in ("forward", "reverse"))
    for a, b, along in zip(columns, rows, cr.jvp(program, x, t)[1], strict=True):
        close(a, b, 1e-12, "forward and reverse Jacobian")
        close([sum(np.tensordot(j, d, np.ndim(d)) for j, d in zip(a, t, strict=True))], [along], 1e-12, "J t")

    def total(*xs: Any) -> Any:
        return sum(np.sum(np.sin(y)) for y in program(*xs))

    H = cr.hessian(total, every)(*x)
    for i, row in enumerate(H):
        for j, block in enumerate(row):
            n = np.ndim(x[i])
            turned = np.moveaxis(block, range(n), range(np.ndim(block) - n, np.ndim(block))) if n else block
            close([turned], [H[j][i]], 1e-10, "symmetry")
    ht = cr.jvp(cr.grad(total, every), x, t)[1]
    for row, along in zip(H, ht, strict=True):
        close(
            [sum(np.tensordot(j, d, np.ndim(d)) for j, d in zip(row, t, strict=True))], [along], 1e-10, "H t"
        )


@settings(max_examples=80)
@given(programs([np.float32, np.float64]))
def test_random_programs_in_mixed_precision(drawn):
    """dtypes as in plain NumPy, gradients of their arguments' dtypes, numbers as in double precision."""
    program, x, rng = drawn
    wide = tuple(v.astype(np.float64) for v in x)
    y = program(*x)
    t, g = direction(rng, x), direction(rng, y)
    value, jt = cr.jvp(program, x, t)
    _, pull = cr.vjp(program, *x)
    jg = pull(g)
    assert [np.asarray(v).dtype for v in value] == [np.asarray(v).dtype for v in y]
    assert [np.asarray(v).dtype for v in jt] == [np.asarray(v).dtype for v in y]
    assert [np.asarray(v).dtype for v in jg] == [v.dtype for v in x]
    assert [np.shape(v) for v in jg] == [v.shape for v in x]
    transposed(g, jt, jg, t, 1e-4, "first order")
    assume(stays_on_its_side(program, wide, [v.astype(np.float64) for v in t]))
    close(value, y, 1e-6, "value")
    wide_y, wide_jt = cr.jvp(program, wide, tuple(v.astype(np.float64) for v in t))
    wide_jg = cr.vjp(program, *wide)[1](tuple(np.asarray(v, np.float64)[()] for v in g))
    assume(size([a - b for a, b in zip(y, wide_y, strict=True)]) <= 1e-5 * (size(wide_y) + 1))
    close(jt, wide_jt, 1e-3, "forward in single and double precision")
    close(jg, wide_jg, 1e-3, "reverse in single and double precision")


def test_the_programs_are_what_they_should_be():
    """Every operation appears, programs have branches that join, and most are some ten steps long."""
    rng = np.random.default_rng(0)
    seen: set[str] = set()
    lengths, joins = [], 0
    for _ in range(400):
        x = (0.7, rng.normal(size=3), rng.normal(size=(2, 3)))
        numbers = [[int(rng.integers(n)) for n in (len(OPERATIONS), 6, 31, 31)] for _ in range(16)]
        program = Program(x, [rng.normal(size=3)], numbers)
        seen |= {step.op.name for step in program.steps}
        lengths.append(len(program.steps))
        read = [i for step in program.steps for i in step.operands if i >= program.start]
        joins += len(read) > len(set(read))
        np.testing.assert_equal(program(*x), program(*x))
    assert len(OPERATIONS) >= 60
    assert seen == {op.name for op in OPERATIONS}
    assert np.median(lengths) >= 10
    assert joins > 200


@pytest.mark.parametrize("name", [op.name for op in OPERATIONS])
def test_each_operation_alone(name):
    """Every operation of the programs by itself, so that a mistake in one is named."""
    op = next(op for op in OPERATIONS if op.name == name)
    rng = np.random.default_rng(1)
    for shape in [(3, 3), (4,), (2, 1, 3), ()]:
        shapes = [shape] * op.arity
        xs = tuple(rng.normal(size=s) for s in shapes)
        if not op.fits(*shapes):
            continue
        for k in range(4):
            if op.kinks is None or np.min(np.abs(op.kinks(k, *xs)), initial=1.0) > 0.02:
                cr.check_grads(lambda *xs, k=k: op.apply(k, *xs), xs, order=2)
