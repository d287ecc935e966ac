"""Sums of very many terms are as exact as NumPy's, however they are nested or shared among threads."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.native import accumulate, emit, team
from chainrule.native import threads as setting
from chainrule.native.reference import order

FLOATS = {"float32": (np.float32, 10_000_000, 1e-6), "float64": (np.float64, 1_000_000, 1e-15)}


@pytest.fixture(autouse=True)
def _setting_restored() -> Iterator[None]:
    before, chosen = cr.threads(), setting.chosen
    yield
    cr.threads(before)
    setting.chosen = chosen


def terms(kind: str, n: int, dtype: Any) -> Any:
    """Numbers whose sum is hard to get right."""
    rng = np.random.default_rng(0)
    made = {
        "equal": lambda: np.full(n, 0.1),
        "rising": lambda: np.arange(n) / n,
        "falling": lambda: np.arange(n)[::-1] / n,
        "between 0 and 1": lambda: rng.random(n),
        "of both signs": lambda: rng.normal(size=n),
        "of many sizes": lambda: np.exp(5 * rng.normal(size=n)),
        "one large": lambda: np.where(np.arange(n) == 3, n / 10, 0.3),
    }[kind]()
    return made.astype(dtype)


KINDS = ("equal", "rising", "falling", "between 0 and 1", "of both signs", "of many sizes", "one large")


def logsumexp(x: Any) -> Any:
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


# name: the function, and what its errors are relative to
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sum": (np.sum, lambda x: np.sum(np.abs(x))),
    "mean": (np.mean, lambda x: np.mean(np.abs(x))),
    "var": (np.var, lambda x: np.mean(x * x)),
    "logsumexp": (logsumexp, logsumexp),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_elements(name: str, dtype: str) -> None:
    kind, n, least = FLOATS[dtype]
    f, scale = FUNCTIONS[name]
    compiled = cr.compile(f)
    for which in KINDS:
        x = terms(which, n, kind)
        wide = x.astype(np.longdouble)
        exact, size = f(wide), abs(scale(wide))
        error, numpys = [float(abs(np.longdouble(y) - exact) / size) for y in (compiled(x), f(x))]
        assert error <= 4 * numpys + least, (which, error, numpys)


# Over some axes, and with loops that cannot be joined: each element is the sum of at least 1e5 terms.
SHAPES: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "the first axis": (lambda x: np.sum(x, 0), (1_000_000, 8)),
    "the first axis, many columns": (lambda x: np.sum(x, 0), (100_000, 37)),
    "the last axis": (lambda x: np.sum(x, 1), (3, 1_000_001)),
    "the middle": (lambda x: np.sum(x, 1), (3, 300_000, 5)),
    "the outer two": (lambda x: np.sum(x, (0, 1)), (1_000, 700, 5)),
    "first and last": (lambda x: np.sum(x, (0, 2)), (100_000, 3, 5)),
    "first and third": (lambda x: np.sum(x, (0, 2)), (100_000, 3, 5, 2)),
    "few columns of a table": (lambda x: np.sum(x[:, :7]), (500_000, 9)),
    "rows of a table": (lambda x: np.sum(x[:, :1_500]), (1_000, 1_501)),
    "many short rows, in one of rows": (lambda x: np.sum(x[:, :, :3], (1, 2)), (2, 300_000, 5)),
    "one row after the other": (lambda x: x[:, :, :3] / np.sum(x[:, :, :3], (1, 2), keepdims=True) * 600_000,
                                (2, 200_000, 5)),
    "what is broadcast": (lambda x: np.sum(x[:, None] * (x * 0 + 1)[None, :7]), (1_000_000,)),
}  # fmt: skip


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", SHAPES)
def test_axes(name: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 2e-6 for equal numbers in float32; added up one by one they are off by 1e-4 and more."""
    monkeypatch.setattr(team, "LEAST", 0)
    monkeypatch.setattr(team, "SHARE", 1e-9)
    f, shape = SHAPES[name]
    x = np.full(shape, 0.1, np.float32)
    cr.threads(threads)
    np.testing.assert_allclose(cr.compile(f)(x), f(x.astype(np.float64)), rtol=2e-6)


def test_gradients_are_sums_too() -> None:
    """What was broadcast along a million rows."""
    x = np.full((1_000_000, 3), 0.1, np.float32)
    found = cr.compile(cr.grad(lambda b, x: np.sum((x + b) * x)))(np.zeros(3, np.float32), x)
    np.testing.assert_allclose(found, np.full(3, 1e5), rtol=2e-6)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 16, 17, 31, 100, 257])
@pytest.mark.parametrize("columns", [1, 3, 8, 21])
def test_trees_of_every_height(rows: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All terms are added, each once, wherever strips and levels end; whole numbers, so to the last bit."""
    for name, value in {"VECTORS": 2, "ROWS": 2, "FAN": 2, "STRAIGHT": 1}.items():
        monkeypatch.setattr(accumulate, name, value)
    monkeypatch.setattr(team, "LEAST", 0)
    monkeypatch.setattr(team, "SHARE", 1e-9)

    def f(x: Any, y: Any) -> Any:
        e = y[:, :, :-1]
        return np.sum(x), np.sum(x, 0), np.sum(x, 1), np.sum(e), np.sum(e, 0), np.sum(e, (0, 2)), np.sum(e, 1)

    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (rows, columns)).astype(float)
    y = rng.integers(-9, 9, (columns, rows, 4)).astype(float)
    g = cr.compile(f)
    for threads in (1, 2, 3):
        cr.threads(threads)
        for a, b in zip(g(x, y), f(x, y), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(2, 2), (3, 8), (5_000, 3)])
def test_a_sum_of_nothing_but_negative_zeros(shape: tuple[int, int]) -> None:
    """NumPy's starts from 0.0; a chain of additions does not, however it is computed."""
    x = np.full(shape, -0.0)
    for axis in (None, 0, 1, (0, 1)):
        found, wanted = cr.compile(functools.partial(np.sum, axis=axis))(x), np.sum(x, axis)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))

    def chain(x: Any) -> Any:
        return functools.reduce(operator.add, [x * k * 1.5 + -0.0 for k in range(1, 200)])

    compiled, x = cr.compile(chain), cr.Value(-0.0)
    assert np.signbit(compiled(x).data)
    assert np.signbit(chain(x).data)
    assert "sum" in {n.op for n in order(compiled.last.image.roots)}


@pytest.mark.parametrize("threads", [1, 3])
def test_long_code_is_written_once_and_shared(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nest of more than `emit.LONG` operations: each thread still adds up its own part alone."""
    monkeypatch.setattr(emit, "LONG", 3)
    monkeypatch.setattr(team, "LEAST", 0)
    monkeypatch.setattr(team, "SHARE", 1e-9)
    x = np.arange(1_003.0)
    cr.threads(threads)
    f = cr.compile(lambda x: (np.sum(abs(x - 3) * 2 + x), x * 2 - 1))
    total, rest = f(x)
    assert total == np.sum(abs(x - 3) * 2 + x)
    np.testing.assert_array_equal(rest, x * 2 - 1)
