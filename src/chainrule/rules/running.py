"""Running extremes: the largest, or smallest, number so far along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.primitives import Lanes, Reach, Special, raw, where
from chainrule.rules.arithmetic import is_result
from chainrule.rules.reduction import cumprod
from chainrule.rules.shape import concatenate, sliced


def _so_far(x: Any, run: Any, axis: int, back: bool = False) -> Any:
    """Sums along the axis, begun anew with each number of ``run``; from the last on, if ``back``.

    Sums of 1, 2, 4, ... neighbours, so that nothing of other runs is added and taken away again.
    """
    n, step = np.shape(run)[axis], 1
    while step < n:
        same = sliced(run, axis, None, -step) == sliced(run, axis, step, None)
        low, high = sliced(x, axis, None, -step), sliced(x, axis, step, None)
        if back:
            x = concatenate([low + where(same, high, 0.0), sliced(x, axis, n - step, None)], axis)
        else:
            x = concatenate([sliced(x, axis, None, step), high + where(same, low, 0.0)], axis)
        step *= 2
    return x


def _shares(y: Any, x: Any, axis: int) -> tuple[Any, Any, Any]:
    """Which elements are the extreme so far, where it stays the same, and how many have made it so."""
    y, x = raw(y), raw(x)
    mine = is_result(y, x)
    before, after = sliced(y, axis, None, -1), sliced(y, axis, 1, None)
    new = (before != after) & ((before == before) | (after == after))
    run = np.cumsum(np.concatenate([np.zeros_like(sliced(x, axis, None, 1), bool), new], axis), axis)
    return mine, run, _so_far(mine.astype(x.dtype), run, axis)


def _push(ts: Any, y: Any, x: Any, *, axis: int) -> Any:
    if np.shape(raw(x))[axis] == 0:
        return ts[0]
    mine, run, count = _shares(y, x, axis)
    return _so_far(where(mine, ts[0], 0.0), run, axis) / count


def _pull(g: Any, y: Any, x: Any, *, axis: int) -> Any:
    if np.shape(raw(x))[axis] == 0:
        return (g,)
    mine, run, count = _shares(y, x, axis)
    return (Lanes(where(mine, _so_far(g / count, run, axis, back=True), 0.0), mine),)


def _running(ufunc: np.ufunc) -> Special:
    """The extremes so far; equal ones share a derivative evenly, those that are none are sent nothing."""
    name = f"running_{ufunc.__name__}"
    return Special(lambda x, *, axis: ufunc.accumulate(x, axis=axis), _push, _pull, _ALONG, name=name)


_ALONG: Reach | None = cumprod.reach  # of what comes before, as in all running results
running_maximum, running_minimum = _running(np.maximum), _running(np.minimum)
running_fmax, running_fmin = _running(np.fmax), _running(np.fmin)
