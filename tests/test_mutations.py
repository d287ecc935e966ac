"""Do the checks find mistakes? Mistakes are planted in the rules, one at a time, and each has to be found."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.primitives import Primitive
from tests.check import first_order, second_order
from tests.mutants import Mutant, systematic
from tests.mutants_by_hand import by_hand
from tests.numpy.test_assignment import X, program
from tests.table import CASES

PRIMITIVES = list(dict.fromkeys(case.primitive for case in CASES))
ROWS = {p: [case for case in CASES if case.primitive is p] for p in PRIMITIVES}
V, W = np.array([0.5, 1.3, 0.9]), np.array([1.1, -0.7, 0.4])
M, C = np.array([[0.3, -0.8, 1.2], [-0.4, 0.7, -1.5]]), np.array([0.6 + 1j, -0.9 + 0.4j])

# Functions in which the rules meet: broadcasting, diamonds, masks, precisions.
CALLS: list[tuple[Any, tuple[Any, ...]]] = [
    (lambda x, y: np.sin(x) * y + x, (0.5, M)),
    (lambda x, y: (x - y) * (x + y), (M, V)),
    (lambda x: np.reshape(x, (3, 1)) * x + np.exp(x), (V,)),
    (lambda x, y: np.sum(np.tanh(x @ y) ** 2, axis=0) + x[0], (np.outer(V, V), V)),
    (lambda x, y: np.where(M > 0, x * y, np.where(M < 0.5, x, y)), (0.5, V)),
    (lambda x: np.maximum(x, 0.1) * np.clip(x, -0.5, 0.5) + np.where(x > 0, x, 2 * x), (M,)),
    (lambda x: np.max(x * x, axis=1) + np.prod(x, axis=1), (M,)),
    (lambda x, y: np.concatenate([x, y, x * y]), (V, W)),
    (lambda x: np.std(x) * np.linalg.norm(x) + np.var(x), (V,)),
    (lambda x, y: np.einsum("ij,j->i", x, y) * np.mean(x, axis=1), (M, V)),
    (lambda z: np.abs(z) ** 2 + np.real(z * z), (C,)),
    (lambda x: np.real(x * C) * np.sum(x), (V[:2],)),
    (lambda x, y: np.hypot(np.sum(x), x) * np.arctan2(y, x), (V, W)),
    (lambda x: cr.grad(lambda y: np.sum(x * y**3))(np.ones(3)), (V,)),
    (lambda x: cr.jvp(lambda y: y * np.sum(x * y), (x,), (W,))[1], (V,)),
    (lambda x, y: x @ y @ x + np.sum(x, axis=1) * y, (np.outer(V, W), np.outer(W, W) + np.eye(3))),
    (lambda x: np.transpose(x, (1, 2, 0)) * np.sin(x), (np.sin(np.arange(8.0)).reshape(2, 2, 2),)),
    (lambda x: cr.logsumexp(x, axis=0) + cr.softmax(x)[:, 0].sum(), (M,)),
]

# What the derivative is where differences can not tell, worked out by hand; see docs on conventions.
inf, nan = np.inf, np.nan
POINTS: list[tuple[Any, Any, Any]] = [
    (lambda x: np.where(x > 0, np.sqrt(x), 0 * x), np.array([-1.0, 4.0]), [0.0, 0.25]),
    (lambda x: np.where(x == 0, 1.0, np.sin(x) / x), np.array([0.0]), [0.0]),
    (
        lambda x: np.reshape(np.where(x > 0, np.reshape(np.sqrt(x), (1, 2)), 0.0), 2),
        np.array([0.0, 4.0]),
        [0.0, 0.25],
    ),
    (
        lambda x: np.where([True, False], np.log(x), 0.0) + np.where([True, False], 1.0, x),
        np.array([1.0, 0.0]),
        [1, 1],
    ),
    (
        lambda x: np.where([True, False], s := np.sqrt(x), 0.0) + np.where([True, False], s, 0.0),
        np.array([4.0, 0.0]),
        [0.5, 0],
    ),
    (
        lambda x: np.where([True, False], s := np.sqrt(x), 0.0) + np.where([False, True], s, 0.0),
        np.array([4.0, 1.0]),
        [0.25, 0.5],
    ),
    (
        lambda x: np.where([True, False, False], s := np.sqrt(x), 0) + np.where([False, True, False], s, 0),
        np.array([4.0, 1.0, -1.0]),
        [0.25, 0.5, 0],
    ),
    (lambda x: np.log(x)[1:], np.array([-1.0, 2.0]), [0.0, 0.5]),
    (lambda x: np.where([True, False], np.sqrt(x) * np.ones((2, 1)), 0), np.array([1.0, -1.0]), [1.0, 0.0]),
    (lambda x: np.where([[True], [False]], np.sqrt(x), 1.0)[0], np.array([4.0, 1.0]), [0.25, 0.5]),
    (lambda x: np.sqrt(x) ** 2, np.array([0.0]), [nan]),
    (lambda x: np.where([True], 0.0 * np.sqrt(x), 1.0), np.array([0.0]), [nan]),
    (lambda x: np.where([True, False], np.zeros(2) * np.sqrt(x), 1.0), np.array([0.0]), [nan]),
    (lambda x: np.max(np.sqrt(x)), np.array([0.0, 4.0]), [0.0, 0.25]),
    (np.max, np.array([1.0, 3.0, 3.0, 2.0]), [0.0, 0.5, 0.5, 0.0]),
    (np.min, np.array([1.0, 1.0, 1.0, 1.0]), [0.25] * 4),
    (lambda x: np.maximum(x, 1.0), np.array([0.0, 1.0, 2.0]), [0.0, 0.5, 1.0]),
    (lambda x: np.minimum(x, x), np.array([1.0, 2.0]), [1.0, 1.0]),
    (lambda x: np.minimum(x, 1.0), np.array([0.0, 1.0, 2.0]), [1.0, 0.5, 0.0]),
    (lambda x: np.clip(x, -1.0, 1.0), np.array([-2.0, -1.0, 0.0, 1.0]), [0.0, 0.0, 1.0, 0.0]),
    (cr.relu, np.array([-1.0, 0.0, 1.0]), [0.0, 0.0, 1.0]),
    (np.abs, np.array([-1.0, 0.0, 1.0]), [-1.0, 0.0, 1.0]),
    (np.tanh, np.array([20.0]), [1.699341702116e-17]),
    (cr.sigmoid, np.array([50.0]), [1.928749847963918e-22]),
    (lambda x: x**0, np.array([0.0, 2.0]), [0.0, 0.0]),
    (lambda x: x**2, np.array([0.0, 3.0]), [0.0, 6.0]),
    (lambda x: 0.0**x, np.array([0.0, 2.0]), [0.0, 0.0]),
    (lambda x: np.hypot(x, 0.0), np.array([0.0, 2.0]), [0.0, 1.0]),
    (lambda x: 1 / x, np.array([1e-200, 1e200]), [-inf, 0.0]),
    (lambda x: 1e-200 / x, np.array([1e-200]), [-1e200]),
    (lambda x: cr.xlogy(x, x), np.array([0.0, 1.0]), [-inf, 1.0]),
    (np.log, np.array([-1.0]), [nan]),
    (np.linalg.norm, np.zeros(2), [0.0, 0.0]),
    (np.prod, np.array([0.0, 2.0, 0.0]), [0.0, 0.0, 0.0]),
    (np.prod, np.array([0.0, 2.0, 3.0]), [6.0, 0.0, 0.0]),
    (cr.logsumexp, np.array([1000.0, 1000.0]), [0.5, 0.5]),
    (lambda x: np.nan_to_num(x), np.array([1.0, nan, inf]), [1.0, 0.0, 0.0]),
    (lambda x: cr.stop_gradient(x) * x, np.array([2.0]), [2.0]),
    (lambda x: x * np.array([1.0, 2.0]), np.ones(2, np.float32), [1.0, 2.0]),
    (lambda x: np.sum(x * np.ones((3, 1))), np.ones(2, np.float32), [3.0, 3.0]),
    (lambda x: x[[0, 0, 1]], np.array([5.0, 7.0]), [2.0, 1.0]),
]


def check_rows(p: Primitive) -> None:
    for case in ROWS[p]:
        first_order(case.function, case.numeric, case.point, np.random.default_rng(1))
    for case in ROWS[p]:
        second_order(case.function, case.point, np.random.default_rng(1))


def check_point(f: Any, x: Any, want: Any) -> None:
    """The sum of the outputs, differentiated in both modes."""

    def total(x: Any) -> Any:
        return np.sum(f(x))

    reverse = cr.grad(total)(x)
    forward = [cr.jvp(total, (x,), (e,))[1] for e in np.eye(len(x), dtype=x.dtype)]
    for mode, got in (("reverse", reverse), ("forward", forward)):
        np.testing.assert_allclose(got, want, rtol=1e-6 if x.dtype == np.float32 else 1e-12, err_msg=mode)
    assert reverse.dtype == x.dtype
    assert reverse.shape == x.shape


def check_points() -> None:
    with np.errstate(all="ignore"):
        for f, x, want in POINTS:
            if (
                len(x) == 1 or not np.isin(want, [inf, -inf]).any()
            ):  # one at a time: inf · 0 along a unit vector
                check_point(f, x, want)
            else:
                for i in range(len(x)):
                    check_point(f, x[i : i + 1], want[i : i + 1])


def check_backward() -> None:
    """`backward` adds to .grad, on leaves and between, what the functional operators give."""
    for f, xs in CALLS[:4]:
        leaves = [Value(x) for x in xs]
        y = f(*leaves)
        g = np.ones(y.shape)
        for times in (1, 2):
            y.backward(g)
            for leaf, c in zip(leaves, cr.vjp(f, *xs)[1](g), strict=True):
                np.testing.assert_allclose(leaf.grad, times * c, rtol=1e-14)
            np.testing.assert_array_equal(y.grad, times * g)


def large(x: Any) -> Any:
    """An array that is written over in its place, read in part, and kept by what came before."""
    a = np.concatenate([np.sin(x)] * 100)
    for i in range(1, 4):
        a[i] = np.sin(a[i - 1]) * x[i]
    squares = a[:8] ** 2 + a[2] * a[1:9]
    products = a * a
    a[2:4] = x[:2] * a[1:3]
    columns = a[:12].reshape(4, 3).T
    columns[1] = a[1] * x[:4]
    return np.sum(squares * np.arange(8.0)) + np.sum(products[:12] * a[:12])


PROGRAMS = [*map(program, range(12)), large]


@functools.cache
def differences() -> list[tuple[Any, Any]]:
    """Of each program on plain arrays: what it gives, and its derivatives by five points."""
    h = 1e-3
    return [
        (f(X.copy()), [
            (8 * (f(X + h * e) - f(X - h * e)) - (f(X + 2 * h * e) - f(X - 2 * h * e))) / (12 * h)
            for e in np.eye(len(X))
        ])
        for f in PROGRAMS
    ]  # fmt: skip


def check_assignments() -> None:
    for f, (value, gradient) in zip(PROGRAMS, differences(), strict=True):
        got, slopes = cr.value_and_grad(f)(X)
        np.testing.assert_allclose(got, value, rtol=1e-12)
        np.testing.assert_allclose(slopes, gradient, rtol=1e-6, atol=1e-6)


def check(p: Primitive | None = None) -> None:
    """Everything that has to hold; for the rules of one primitive, what concerns them."""
    if p is not None:
        check_rows(p)
    else:
        check_assignments()
    check_points()
    check_backward()
    for f, xs in CALLS:
        first_order(f, f, xs, np.random.default_rng(2))
    for f, xs in CALLS:
        second_order(f, xs, np.random.default_rng(2))


def found(mutant: Mutant) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        try:
            check(mutant.primitive)
        except (AssertionError, ValueError):  # wrong numbers, or shapes that do not fit; nothing else counts
            return True
    return False


def test_without_a_mistake_nothing_is_found():
    check()
    for p in PRIMITIVES:
        check_rows(p)


@pytest.mark.filterwarnings("ignore")
def test_every_mistake_by_hand_is_found():
    assert len(by_hand) >= 60
    assert [m.name for m in by_hand if not found(m)] == []
    check()  # nothing stays planted


@pytest.mark.filterwarnings("ignore")
def test_every_systematic_mistake_is_found():
    mutants = [m for p in PRIMITIVES for m in systematic(p)]
    assert len(mutants) >= 300
    assert [m.name for m in mutants if not found(m)] == []
    check()
