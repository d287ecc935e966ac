"""`np.pad`: what stands around an array, in each of NumPy's modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand, shape_of
from chainrule.numpy.manipulation import broadcast_to, concatenate
from chainrule.numpy.ordering import median
from chainrule.numpy.rearranging import take
from chainrule.numpy.reductions import max, mean, min
from chainrule.primitives import as_array
from chainrule.rules import shape as sh
from chainrule.value import Value, current

Pair = tuple[Any, Any]

_OPTIONS: dict[str, dict[str, Any]] = {
    "constant": {"constant_values": 0}, "edge": {}, "wrap": {}, "linear_ramp": {"end_values": 0},
    "reflect": {"reflect_type": "even"}, "symmetric": {"reflect_type": "even"},
    **{mode: {"stat_length": None} for mode in ("maximum", "mean", "median", "minimum")},
}  # fmt: skip
_STATISTICS: dict[str, Any] = {"maximum": max, "mean": mean, "median": median, "minimum": min}


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    array = as_operand(array)
    shape = shape_of(array)
    if callable(mode) or mode not in _OPTIONS:
        raise TypeError(
            f"pad: mode {mode!r} is not supported for Values, expected {', '.join(_OPTIONS)}; for others "
            "join the parts with np.concatenate"
        )
    if set(kwargs) - set(_OPTIONS[mode]):
        raise TypeError(f"pad: unknown option {next(iter(kwargs))!r} for mode {mode!r}")
    width = tuple((int(a), int(b)) for a, b in _pairs("pad_width", pad_width, shape))
    option = (_OPTIONS[mode] | kwargs).popitem()[1] if _OPTIONS[mode] else None
    if mode == "constant":
        return _constant(array, width, option)
    for k, (w, n) in enumerate(zip(width, shape, strict=True)):
        if w == (0, 0):
            continue
        if mode in ("edge", "wrap") or option == "even":
            array = take(array, np.pad(np.arange(n), w, mode=mode), k)
        elif mode in _STATISTICS:
            lengths = _pairs("stat_length", option, shape)[k]
            array = _beside(array, k, w, *_statistics(array, k, mode, lengths))
        elif mode == "linear_ramp":
            array = _beside(array, k, w, *_ramps(array, k, w, _pairs("end_values", option, shape)[k]))
        else:
            array = _odd(array, k, w, mode)
    return array


def _pairs(name: str, given: Any, shape: tuple[int, ...]) -> list[Pair]:
    """Before and after, for each axis."""
    if isinstance(given, dict):
        given = [given.get(k, given.get(k - len(shape), (0, 0))) for k in range(len(shape))]
        given = [p if np.ndim(p) else (p, p) for p in given]
    try:
        found = np.broadcast_to(np.asarray(given), (len(shape), 2))
    except ValueError:
        raise ValueError(
            f"pad: {name} is {given!r}, expected one number, (before, after), or such a pair for each axis "
            f"of shape {shape}"
        ) from None
    return [(before, after) for before, after in found.tolist()]


def _constant(array: Any, width: Any, values: Any) -> Any:
    padded = sh.pad(array, width=width)
    shape, dtype = shape_of(array), as_array(current(array)).dtype
    if type(values) is Value:  # one for all sides
        around = np.pad(np.zeros(shape, dtype), width, constant_values=1)
        return padded + values * around
    if not np.any(values):
        return padded
    return padded + np.pad(np.zeros(shape, dtype), width, constant_values=values)


def _slice(a: Any, k: int, start: int | None, stop: int | None) -> Any:
    return sh.getitem(a, (slice(None),) * k + (slice(start, stop),))


def _beside(array: Any, k: int, width: tuple[int, int], before: Any, after: Any) -> Any:
    """Joined on both sides with what has one element along the axis, repeated, or as many as wanted."""
    shape = shape_of(array)
    sides = [
        [broadcast_to(part, (*shape[:k], w, *shape[k + 1 :]))] if w else []
        for part, w in zip((before, after), width, strict=True)
    ]
    return concatenate([*sides[0], array, *sides[1]], k)


def _statistics(array: Any, k: int, mode: str, lengths: Pair) -> Pair:
    """The mean and the like of the first and of the last so many."""
    n, found = shape_of(array)[k], _STATISTICS[mode]
    before, after = (n if m is None else m if m < n else n for m in lengths)
    return (
        found(_slice(array, k, 0, before), k, keepdims=True),
        found(_slice(array, k, n - after, n), k, keepdims=True),
    )


def _ramps(array: Any, k: int, width: tuple[int, int], ends: Pair) -> Pair:
    """From the end values, which are reached, to the edges, which are not repeated."""
    n = shape_of(array)[k]
    along = tuple(-1 if i == k else 1 for i in range(len(shape_of(array))))

    def ramp(edge: Any, end: Any, w: int) -> Any:
        share = (np.arange(w) / w).reshape(along).astype(as_array(current(array)).real.dtype)
        return end + (edge - end) * share

    before = ramp(_slice(array, k, 0, 1), ends[0], width[0]) if width[0] else None
    after = ramp(_slice(array, k, n - 1, n), ends[1], width[1]) if width[1] else None
    if after is not None:
        after = sh.getitem(after, (slice(None),) * k + (slice(None, None, -1),))
    return before, after


def _odd(array: Any, k: int, width: tuple[int, int], mode: str) -> Any:
    """Mirrored through the edges as points: ``f(-i) = 2 f(0) - f(i)``, so that after a period f has risen."""
    n = shape_of(array)[k]
    place = np.arange(-width[0], n + width[1])
    shift = mode == "reflect"  # of the edge itself there is then one
    period = 2 * (n - 1 if shift else n)
    if not period:
        return take(array, np.zeros(len(place), int), k)
    turns, r = np.divmod(place, period)
    back = r >= n
    index = np.where(back, period - r - (not shift), r)
    along = tuple(-1 if i == k else 1 for i in range(len(shape_of(array))))
    kind = as_array(current(array)).dtype
    sign, last, first = (
        c.reshape(along).astype(kind) for c in (np.where(back, -1, 1), 2 * turns + 2 * back, -2 * turns)
    )
    first_edge, last_edge = _slice(array, k, 0, 1), _slice(array, k, n - 1, n)
    return take(array, index, k) * sign + last_edge * last + first_edge * first
