"""Every operation is in one loop nest, in an order in which they can run, and nests that can be are one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.native import fuse as module
from chainrule.native.capture import capture
from chainrule.native.fuse import Cluster, fuse, is_loop
from chainrule.native.middle import optimise
from chainrule.native.operations import REDUCTIONS, VIEWS
from chainrule.native.reference import order
from chainrule.native.views import Views
from tests.native.agree import agree


def fused(f: Callable[..., Any], *args: Any) -> tuple[list[Any], list[Cluster | Any], Views]:
    roots = optimise(capture("f", lambda flat: f(*flat), list(args)).roots())
    views = Views()
    return roots, fuse(roots, views), views


def check(roots: list[Any], units: list[Cluster | Any]) -> list[Cluster]:
    """What holds for every program's units; the nests among them."""
    nests = [u for u in units if isinstance(u, Cluster)]
    home: dict[Any, int] = {}
    for i, u in enumerate(units):
        for m in u.members if isinstance(u, Cluster) else [u]:
            assert m not in home, "in two units"
            home[m] = i
    computed = [x for x in order(roots) if x.op not in VIEWS and x.op not in ("input", "constant", "iota")]
    assert home.keys() == set(computed)
    assert all(isinstance(units[home[x]], Cluster) == is_loop(x) for x in computed)

    def unit(x: Any) -> int:
        while x.op in VIEWS:
            x = x.inputs[0]
        return home.get(x, -1)

    for x, i in home.items():
        assert all(unit(y) <= i for y in x.inputs), "needed before it is computed"
    for u in nests:
        assert len(u.members) <= module.MOST or len(u.loops) < 2
        at = {m: k for k, m in enumerate(u.members)}
        for m in u.members:
            assert all(at[y] < at[m] for y in m.inputs if y in at)
            space, shape = u.space(m), m.inputs[0].shape if m.op in REDUCTIONS else m.shape
            assert all(d is None or u.loops[d] == n for d, n in zip(space, shape, strict=True))
            assert [d is None for d in space] == [n == 1 for n in shape]
            if m.op in REDUCTIONS:
                assert {d for d in space if d is not None} == set(range(len(u.loops)))
                users = [x for x in u.members if any(y is m for y in x.inputs)]
                assert not users or u.reduced(m) == set(range(u.split or 0, len(u.loops)))
    return nests


def program(seed: int) -> tuple[Callable[..., Any], list[Any]]:
    """A random straight line of elementwise operations, broadcasts, reductions, transposes and products."""
    rng = np.random.default_rng(seed)
    m, n = (int(k) for k in rng.choice([1, 2, 3, 5, 8, 17], 2))
    shapes = [(m, n), (m, 1), (n,), (1, n), (), (n, m), (2, m, n)]
    args = [rng.normal(size=shapes[k]) for k in rng.integers(len(shapes), size=4)]
    draws = rng.random((int(rng.integers(5, 40)), 3)).tolist()

    def fits(a: Any, b: Any) -> bool:
        return all(p == q or 1 in (p, q) for p, q in zip(a.shape[::-1], b.shape[::-1], strict=False))

    def fits_small(a: Any, b: Any) -> bool:
        return fits(a, b) and math.prod(np.broadcast_shapes(a.shape, b.shape)) < 2000

    def f(*given: Any) -> Any:
        pool = list(given)
        for which, first, second in draws:
            x = pool[int(first * len(pool))]
            others = [y for y in pool if fits_small(x, y)]
            y = others[int(second * len(others))]
            kind = int(which * 8)
            axis = int(second * x.ndim) if x.ndim else None
            if kind < 3:
                z = (x + y, x * np.tanh(y), np.maximum(x, y))[kind]
            elif kind == 3:
                z = np.tanh(x) * 0.5
            elif kind == 4:
                z = np.tanh(np.sum(x, axis, keepdims=bool(int(first * 100) % 2)))
            elif kind == 5:
                z = x - np.max(x, axis=-1, keepdims=True) if x.ndim else -x
            elif kind == 6:
                z = np.transpose(x)
            else:
                z = np.tanh(x @ np.transpose(x)) if x.ndim == 2 else np.sin(x)
            pool.append(z)
        return tuple(pool[-3:])

    return f, args


@pytest.mark.parametrize("most", [module.MOST, 8, 2])
@pytest.mark.parametrize("start", range(0, 60, 20))
def test_random_programs(start: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", most)
    for seed in range(start, start + 20):
        f, args = program(seed)
        roots, units, _ = fused(f, *args)
        check(roots, units)
        agree(cr.compile(f)(*args), f(*args), rtol=1e-12, what=str(seed))


# -------------------------------------------------------------------- two nests that one operation joins

X, Y = np.linspace(-1, 1, 35).reshape(5, 7), np.linspace(0, 3, 35).reshape(5, 7)


def rows(x: Any) -> Any:
    e = np.exp(x - np.max(x, 1, keepdims=True))
    return e / np.sum(e, 1, keepdims=True)


# A function of two arrays, and how many nests there are.
JOINED: dict[str, tuple[Callable[..., Any], int]] = {
    "two softmaxes": (lambda x, y: rows(x) * rows(y), 1),
    "a softmax and what is plain": (lambda x, y: rows(x) * np.tanh(y), 1),
    "three": (lambda x, y: rows(x) * np.tanh(y) + np.exp(x * y), 1),
    "a multiple of a softmax and what is plain": (
        lambda x, y: np.where(np.arange(7) == (y[:, 0] > 1)[:, None], y, 0.0)
        + rows(x) * np.sqrt(np.exp(y[:, :1]) @ np.ones((1, 1))), 3
    ),
    "sums over other axes": (lambda x, y: (x - np.sum(x, 0)) * (y - np.sum(y, 1, keepdims=True)), 2),
    "other loops": (lambda x, y: np.tanh(x) * np.tanh(y.ravel()[:7]), 2),
    "rows that wait for what is read beside them": (
        lambda x, y: rows(x) * np.tanh(np.exp(y[:, 0]) @ np.eye(5))[:, None], 3
    ),
    "transposed": (lambda x, y: np.tanh(x) * np.tanh(y.reshape(7, 5)).T, 2),
}


@pytest.mark.parametrize("name", JOINED)
def test_joined(name: str) -> None:
    f, count = JOINED[name]
    roots, units, _ = fused(f, X, Y)
    assert len(check(roots, units)) == count
    agree(cr.compile(f)(X, Y), f(X, Y), rtol=1e-14)


def centred(x: Any, axis: Any) -> Any:
    return x - np.sum(x, axis, keepdims=True)


# Rows of one axis and rows of two: each nest has rows of one kind.
ROWS: dict[str, Callable[..., Any]] = {
    "both": lambda x, y: centred(x, 2) * centred(y, (1, 2)),
    "one after what is plain": lambda x, y: centred(np.tanh(x) * centred(y, 2), (1, 2)),
    "one before what is plain": lambda x, y: centred(centred(y, 2) * np.tanh(x), (1, 2)),
    "two after what is plain": lambda x, y: centred(np.tanh(x) * centred(y, (1, 2)), 2),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_one_kind(name: str) -> None:
    f, (x, y) = ROWS[name], np.random.default_rng(0).normal(size=(2, 3, 50, 40))
    roots, units, _ = fused(f, x, y)
    assert len(check(roots, units)) > 1
    agree(cr.compile(f)(x, y), f(x, y), rtol=1e-13)


def halves(x: Any, y: Any) -> Any:
    """Two nests of 10 operations each, which the last one joins."""
    for _ in range(4):
        x, y = np.tanh(x * 1.5), np.sin(y * 0.5)
    return (x - np.max(x, 1, keepdims=True)) * (y - np.max(y, 1, keepdims=True))


@pytest.mark.parametrize("most, count", [(19, 2), (20, 2), (21, 1), (40, 1)])
def test_never_more_than_fit(most: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", most)
    roots, units, _ = fused(halves, X, Y)
    assert len(check(roots, units)) == count
    agree(cr.compile(halves)(X, Y), halves(X, Y), rtol=1e-14)


def test_what_one_nest_needs_of_the_other_keeps_them_apart() -> None:
    """The second reads a sum over all of the first: one is not at hand while the other runs."""

    def f(x: Any, y: Any) -> Any:
        a = np.tanh(x)
        return a * np.exp(y - np.sum(a, 0)), np.sum(a, 0)

    roots, units, _ = fused(f, X, Y)
    assert len(check(roots, units)) == 2
    agree(cr.compile(f)(X, Y), f(X, Y), rtol=1e-14)
