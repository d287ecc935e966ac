"""Running extremes: ties share evenly, nan and dead lanes, beside a naive reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr

UFUNCS = [np.maximum, np.minimum, np.fmax, np.fmin]
nan, inf = np.nan, np.inf
ROWS = [
    [1.0, 1.0, 1.0, 2.0, 1.0, 2.0, 2.0], [3.0, 2.0, 1.0, 1.0, 0.0], [0.0, -0.0, 0.0],
    [1.0, nan, 2.0, nan, 0.5], [nan, nan, 1.0, 1.0], [inf, 1.0, inf, -inf, -inf],
    [-inf, -inf, nan, inf], [2.0], [],
]  # fmt: skip


def jacobian(ufunc: np.ufunc, x: Any) -> Any:
    """Row k: what is the extreme of the first k + 1, each of those an even share."""
    n = len(x)
    found = np.zeros((n, n))
    for k, y in enumerate(ufunc.accumulate(x)):
        same = np.array([x[i] == y or (np.isnan(x[i]) and np.isnan(y)) for i in range(k + 1)])
        found[k, : k + 1] = same / same.sum()
    return found


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_derivatives(ufunc: np.ufunc, row: list[float]) -> None:
    x = np.array(row)
    for run in (lambda f: f, cr.compile):
        for mode in ("forward", "reverse"):
            got = run(cr.jacobian(ufunc.accumulate, mode=mode))(x) if row else np.zeros((0, 0))
            assert np.array_equal(got, jacobian(ufunc, x))


def test_what_is_not_taken_is_sent_nothing() -> None:
    """The slope of a root at 0 is infinite, but nobody asks for it."""
    x = np.array([4.0, 0.0, 9.0])
    g = cr.grad(lambda x: np.sum(np.maximum.accumulate(np.sqrt(x))))(x)
    assert np.array_equal(g, [0.5, 0.0, 1 / 6])


def test_great_numbers_do_not_spoil_small_ones() -> None:
    """Shares are added up within a run alone: no differences of sums over everything."""
    x = np.array([1.0, 0.0, 2.0, 2.0])
    pull = cr.vjp(np.maximum.accumulate, x)[1]
    assert np.array_equal(pull(np.array([1e20, 1.0, 3.0, 1e-3]))[0], [1e20 + 1.0, 0, 3 + 5e-4, 5e-4])
