"""Running extremes: the largest, or smallest, number so far along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.primitives import Lanes, Reach, Special, raw, where
from chainrule.rules.arithmetic import is_result
from chainrule.rules.reduction import cumprod
from chainrule.rules.shape import concatenate, getitem


def _part(axis: int, start: int | None, stop: int | None) -> Any:
    return (slice(None),) * axis + (slice(start, stop),)


def _so_far(x: Any, run: Any, axis: int, back: bool = False) -> Any:
    """Sums along the axis, begun anew with each number of ``run``; from the last on, if ``back``.

    Sums of 1, 2, 4, ... neighbours, so that nothing of other runs is added and taken away again.
    """
    n, step = np.shape(run)[axis], 1
    while step < n:
        low, high = _part(axis, None, -step), _part(axis, step, None)
        same = run[low] == run[high]
        if back:
            more = where(same, getitem(x, high), 0.0)
            x = concatenate([getitem(x, low) + more, getitem(x, _part(axis, n - step, None))], axis)
        else:
            more = where(same, getitem(x, low), 0.0)
            x = concatenate([getitem(x, _part(axis, None, step)), getitem(x, high) + more], axis)
        step *= 2
    return x


def _shares(y: Any, x: Any, axis: int) -> tuple[Any, Any, Any]:
    """Which elements are the extreme so far, where it stays the same, and how many have made it so."""
    y, x = raw(y), raw(x)
    mine = is_result(y, x)
    before, after = y[_part(axis, None, -1)], y[_part(axis, 1, None)]
    new = (before != after) & ((before == before) | (after == after))
    run = np.cumsum(np.concatenate([np.zeros_like(x[_part(axis, None, 1)], bool), new], axis), axis)
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
