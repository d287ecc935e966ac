"""Every row of the table: both modes, first and second order, against differences and each other."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import Value, jvp, vjp
from chainrule.primitives import Elementwise, Primitive, Special, fit_mask, reached
from chainrule.sweeps.adjoint import adjoint
from tests.check import first_order, inner, like, same, second_order
from tests.table import CASES, ELSEWHERE, Case

PRIMITIVES = list(dict.fromkeys(case.primitive for case in CASES))
ROWS = {p: [case for case in CASES if case.primitive is p] for p in PRIMITIVES}
each = pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda p: p.name)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


# -------------------------------------------------------------------- derivatives


Record = Callable[[str, object], None]


@each
def test_first_order(primitive: Primitive, record_property: Record) -> None:
    record_property("samples", 2 * len(ROWS[primitive]))  # both modes
    for case in ROWS[primitive]:
        with naming(case):
            first_order(case.function, case.numeric, case.point, rng())


@each
def test_second_order(primitive: Primitive, record_property: Record) -> None:
    record_property("samples", 4 * len(ROWS[primitive]))  # each over each
    for case in ROWS[primitive]:
        with naming(case):
            second_order(case.function, case.point, rng())


@each
def test_single_precision_stays(primitive: Primitive, record_property: Record) -> None:
    """float32 in: the tangent and every cotangent are float32, and right to its precision."""
    record_property("samples", 2 * sum(any(map(np.ndim, case.point)) for case in ROWS[primitive]))
    for case in ROWS[primitive]:
        f, point = case.function, tuple(map(single, case.point))
        if not any(np.ndim(x) for x in point):
            continue
        with naming(case):
            y, pull = vjp(f, *point)
            g, ts = like(rng())(y), tuple(map(like(rng()), point))
            t = jvp(f, point, ts)[1]
            assert t.dtype == y.dtype
            same(t, jvp(f, tuple(map(double, point)), tuple(map(double, ts)))[1], 1e-5, "forward")
            cs = pull(g)
            assert [np.asarray(c).dtype for c in cs] == [np.asarray(x).dtype for x in point]
            (forward, size), (reverse, _) = inner(g, t), inner(cs, ts)
            assert abs(forward - reverse) <= 1e-5 * (size + 1e-3)


def single(x: Any) -> Any:
    return x.astype(np.complex64 if np.iscomplexobj(x) else np.float32) if np.ndim(x) else x


def double(x: Any) -> Any:
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64) if np.ndim(x) else x


@pytest.mark.parametrize("case", [case for case in CASES if case.of_numbers], ids=str)
def test_a_python_float_stays_one_and_equals_the_array(case: Case) -> None:
    """One number by Python's arithmetic, and the same as an array by NumPy's."""
    f, point = case.function, case.point
    arrays = tuple(np.full(1, x) for x in point)
    ones = tuple(1.0 for _ in point)
    y, t = jvp(f, point, ones)
    wide, wide_t = jvp(f, arrays, tuple(map(np.ones_like, arrays)))
    cs = vjp(f, *point)[1](np.ones(np.shape(y)) if np.shape(y) else 1.0)
    wide_cs = vjp(f, *arrays)[1](np.ones_like(wide))
    if not np.shape(y):
        assert {type(y), type(t)} <= {float, complex}
    same(y, np.reshape(wide, np.shape(y)), 1e-15, "value")
    same(t, np.reshape(wide_t, np.shape(y)), 4e-15, "forward")
    for x, c, w in zip(point, cs, wide_cs, strict=True):
        assert type(c) is type(x)
        same(c, np.reshape(w, ()), 4e-15, "reverse")


@pytest.mark.parametrize("primitive", [p for p in PRIMITIVES if p.reach], ids=lambda p: p.name)
def test_what_is_said_to_reach_and_to_move_is_all_that_does(primitive: Primitive) -> None:
    """Outside the masks of `Reach` no tangent and no cotangent is anything but zero."""
    assert primitive.reach is not None
    for case in ROWS[primitive]:
        if len(case.wanted) < len(case.operands):
            continue  # the masks are of all operands
        draw = rng()
        alive = [draw.random(np.shape(x)) < 0.3 for x in case.point]
        with naming(case):
            y, pull = vjp(case.function, *case.point)
            ts = tuple(like(draw)(x) * m for x, m in zip(case.point, alive, strict=True))
            moves = np.broadcast_to(primitive.reach.moves(*alive, **case.params), np.shape(y))
            assert not np.any(np.where(moves, 0, jvp(case.function, case.point, ts)[1]))
            sent = draw.random(np.shape(y)) < 0.3
            masks = primitive.reach.reaches(sent, *case.point, **case.params)
            for c, mask in zip(pull(like(draw)(y) * sent), masks, strict=True):
                assert not np.any(np.where(fit_mask(reached(mask), c), 0, c))


@contextmanager
def naming(case: Case) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"in the row {case}")
        raise


# -------------------------------------------------------------------- the table is complete


def modules() -> Iterator[ModuleType]:
    """The whole of the library that defines primitives."""
    yield chainrule
    for found in pkgutil.walk_packages(chainrule.__path__, "chainrule."):
        if not OPTIONAL & set(found.name.split(".")):
            yield importlib.import_module(found.name)


OPTIONAL = {"show", "demo", "train", "cli", "__main__"}  # need more than NumPy, or are programs


def primitives(where: Iterator[ModuleType]) -> dict[Primitive, str]:
    """Every primitive that a module holds, and where."""
    return {
        x: f"{module.__name__}.{name}"
        for module in where
        for name, x in vars(module).items()
        if isinstance(x, Primitive)
    }


def lacking(found: dict[Primitive, str], cases: list[Case]) -> list[str]:
    """What is wrong with the table: primitives without a row, and modes that no row reaches."""
    wrong = []
    for p, name in found.items():
        rows = [case for case in cases if case.primitive is p]
        if not rows:
            wrong.append(f"{name} has no row in tests/table.py")
            continue
        wanted = {i for case in rows for i in case.wanted}
        if not wanted:
            wrong.append(f"{name} is differentiated in no row")
        for mode, swept in (("forward", pushed), ("reverse", pulled)):
            missing = wanted - {i for case in rows for i in swept(case)}
            wrong += [f"{name} has no {mode} mode in operand {i}" for i in sorted(missing)]
    return wrong


def steady(p: Primitive, i: int) -> bool:
    """Whether the derivative in operand ``i`` is zero by the rule's own statement."""
    return isinstance(p, Elementwise) and p.partials[i] is None


def recorded(case: Case) -> tuple[Value, list[Value]]:
    leaves = [Value(x) for x in case.point]
    return case.function(*leaves), leaves


def pushed(case: Case) -> Iterator[int]:
    """The operands whose tangents the primitive answers."""
    y, leaves = recorded(case)
    for i, x in zip(case.wanted, leaves, strict=True):
        ts = [np.ones_like(x.data)[()] if j == i else None for j in range(len(case.operands))]
        try:
            t = case.primitive.push(y.data, y.args, ts, y.params)
        except NotImplementedError:
            continue
        if steady(case.primitive, i) or (t is not None and np.shape(t) == y.shape):
            yield i


def pulled(case: Case) -> Iterator[int]:
    """The operands to which the primitive sends cotangents."""
    y, leaves = recorded(case)
    try:
        found = dict(adjoint([(y, np.ones_like(y.data)[()])], record=False))
    except NotImplementedError:
        return
    for i, x in zip(case.wanted, leaves, strict=True):
        if x in found or steady(case.primitive, i):
            yield i


def test_every_primitive_has_a_row_and_both_modes() -> None:
    found = {p: name for p, name in primitives(modules()).items() if p not in ELSEWHERE}
    assert len(found) > 80
    assert lacking(found, CASES) == []
    assert set(PRIMITIVES) <= set(found), "the table has rows for primitives that exist nowhere"


def test_the_table_makes_many_samples() -> None:
    """Six of each row in double precision and two in single; tests/numpy/test_functions.py counts its own."""
    assert 6 * len(CASES) + 2 * sum(any(map(np.ndim, case.point)) for case in CASES) >= 15_000


def test_what_is_lacking_is_found() -> None:
    """The check above notices each way in which a new primitive can be incomplete."""

    def tried(p: Primitive) -> list[str]:
        return lacking({p: "p"}, [Case(p, (0.5, 0.7), {})])

    class Silent(Special):
        def pull(self, *_: Any) -> Any:
            return []

    multiply = Elementwise(np.multiply, lambda z, x, y: y, lambda z, x, y: x)
    assert tried(multiply) == []
    assert lacking({multiply: "p"}, []) == ["p has no row in tests/table.py"]
    both = [f"p has no {mode} mode in operand {i}" for mode in ("forward", "reverse") for i in (0, 1)]
    assert tried(Primitive(np.multiply)) == both
    assert tried(Silent(np.multiply, lambda ts, z, x, y: x)) == both[2:]
    half = Special(np.multiply, lambda ts, z, x, y: None if ts[0] is None else ts[0] * y)
    assert tried(half) == [both[1], both[3]]
