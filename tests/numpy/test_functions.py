"""Plain NumPy on Values: what it gives on arrays, and the derivative beside it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optree
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.numpy import protocols
from chainrule.numpy.constants import is_constant
from chainrule.rules import special
from docs import functions_page
from tests.numpy import table

README = Path(__file__).parents[2] / "README.md"
DIFFERENTIATED = {**table.UFUNCS, "complex": table.COMPLEX, **table.METHODS, **table.FUNCTIONS}
EXPRESSIONS = list(dict.fromkeys(e for rows in DIFFERENTIATED.values() for e in rows))
PLAIN = list(dict.fromkeys(e for rows in (table.PLAIN | table.PLAIN_UFUNCS).values() for e in rows))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_value(expression: str) -> None:
    """The same numbers, dtype and shape as on arrays, in Values (constants may stay what they are)."""
    f, point = table.function(expression)
    got, want = f(*map(Value, point)), f(*point)
    assert isinstance(got, tuple | list) == isinstance(want, tuple | list)
    parts = leaves(got)
    assert any(type(a) is Value for a in parts)
    numbers = all(type(x) is float for x in point)
    for a, b in zip(parts, leaves(want), strict=True):
        equal(cr.data(a), b)
        assert type(cr.data(a)) is float or not numbers or np.ndim(b), "a Python float stays one"


# Other numbers, more of them, and other broadcasts: y and p are a column, a row.
DRAWS = [
    table.USUAL,
    table.drawn(1, table.Sizes(2, 3, (2, 1))),
    table.drawn(2, table.Sizes(2, 3, (1, 3))),
    table.drawn(3, table.Sizes(3, 4, (3, 4))),
]


def tried(expression: str) -> Iterator[tuple[Any, Any, Any]]:
    """The expression wherever NumPy computes it: a row may be of one shape alone, ``reshape(x, (3, 2))``."""
    for draw in DRAWS:
        f, point = table.function(expression, draw)
        try:
            want = f(*point)
        except Exception:  # NumPy refuses, or warns: nothing to compare
            if draw is table.USUAL:
                raise
            continue
        if all(np.isfinite(y).all() for y in leaves(want)):
            yield f, point, want


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_derivative(expression: str, record_property: Any) -> None:
    """Both modes, and each over each, to 1e-7 of the largest entry or better."""
    samples = 0
    for f, point, want in tried(expression):
        single = any(np.asarray(x).dtype == np.float32 for x in [*point, *leaves(want)])
        tolerance = 1e-2 if single else 1e-8  # ten times as much at second order
        cr.check_grads(f, point, order=2, rtol=tolerance, atol=tolerance)
        samples += 6
    record_property("samples", samples)


def test_the_rows_make_many_samples() -> None:
    """What `test_derivative` compares; the rows of tests/table.py come on top."""
    points = {e: sum(1 for _ in tried(e)) for e in EXPRESSIONS}
    assert 6 * sum(points.values()) >= 40_000
    assert all(points.values())


@pytest.mark.parametrize("expression", PLAIN)
def test_answer_without_a_derivative(expression: str) -> None:
    f, point = table.function(expression)
    got, want = f(*map(Value, point)), f(*point)
    if type(got) is Value:  # an array made in the likeness of a Value, to assign elements to
        assert is_constant(got) and want.dtype.kind == "f"
        got = got.data
    assert type(got) is type(want)
    for a, b in zip(*map(leaves, (got, want)), strict=True):
        assert a == b if isinstance(a, str | np.dtype) else equal(a, b) is None


def leaves(tree: Any) -> list[Any]:
    return optree.tree_leaves(list(tree) if isinstance(tree, tuple) else tree)


def equal(a: Any, b: Any) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    np.testing.assert_allclose(a, b, rtol=4e-15, atol=1e-15)


# -------------------------------------------------------------------- the tables are complete


def short(function: Any) -> str:
    name: str = function.__name__
    inside = functions_page.numpy_name(function).removeprefix("np.").removeprefix("polynomial.")
    return inside if inside.count(".") == 1 and "lib" not in inside else name


ENTRIES: list[tuple[Any, Any, Any]] = [
    *((protocols.CALLS, getattr(np, name), name) for name in protocols.UFUNCS),
    *((protocols.CALLS, f, f"special.{f.__name__}") for f in special.CALLS),
    *((protocols.METHODS, key, key) for key in protocols.METHODS),
    *((protocols.FUNCTIONS, function, short(function)) for function in protocols.FUNCTIONS),
]


@pytest.mark.parametrize("entries, key, name", ENTRIES, ids=[str(name) for _, _, name in ENTRIES])
def test_every_entry_is_tried(entries: Any, key: Any, name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row named after a function reaches its entry: with the entry broken, it fails."""

    class Reached(Exception):
        pass

    def reach(*_: Any, **__: Any) -> Any:
        raise Reached

    assert name in DIFFERENTIATED, f"{name} has no row in tests/numpy/table.py"
    monkeypatch.setitem(entries, key, reach)
    f, point = table.function(DIFFERENTIATED[name][0])
    with pytest.raises(Reached):
        f(*map(Value, point))


def parameters(f: Any) -> list[inspect.Parameter] | None:
    """What can be named or counted; None of a function that only NumPy's C knows."""
    try:
        found = list(inspect.signature(f).parameters.values())
    except ValueError:
        return None
    return [p for p in found if p.kind is not p.VAR_KEYWORD and p.name != "like"]


@pytest.mark.parametrize(
    "function", [f for f in protocols.FUNCTIONS if f.__module__ != "numpy.linalg"], ids=short
)
def test_every_argument_is_taken_by_its_name_and_in_its_place(function: Any) -> None:
    theirs, ours = parameters(function), inspect.signature(protocols.FUNCTIONS[function]).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in ours.values())
    by_place = [p.name for p in ours.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for place, p in enumerate(theirs or ()):
        assert p.name in ours or open_ended, f"{p.name}= is not known"
        if p.kind is p.POSITIONAL_OR_KEYWORD:
            assert by_place[place] == p.name


def test_the_functions_are_counted(record_property: Any) -> None:
    """As on the documentation's page, and as the README says."""
    count = functions_page.count()
    assert f"{count} functions in both modes" in README.read_text(encoding="utf-8")
    record_property("functions", count)


def test_every_plain_entry_is_tried() -> None:
    assert set(map(short, protocols.PLAIN_FUNCTIONS)) <= set(table.PLAIN)
    assert set(table.PLAIN_UFUNCS) >= protocols.PLAIN_UFUNCS
