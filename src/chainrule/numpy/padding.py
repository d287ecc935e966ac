"""`np.pad`: what stands around an array, in each of NumPy's modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand, shape_of
from chainrule.numpy.assembling import array as join
from chainrule.numpy.elementwise import astype
from chainrule.numpy.manipulation import broadcast_to, concatenate
from chainrule.numpy.ordering import median
from chainrule.numpy.rearranging import getitem, take
from chainrule.numpy.reductions import max, mean, min
from chainrule.primitives import as_array
from chainrule.rules import arithmetic as ar
from chainrule.rules import shape as sh
from chainrule.rules.shape import sliced
from chainrule.value import Value, current

Pair = tuple[Any, Any]

_OPTIONS: dict[str, dict[str, Any]] = {
    "constant": {"constant_values": 0}, "empty": {}, "edge": {}, "wrap": {}, "linear_ramp": {"end_values": 0},
    "reflect": {"reflect_type": "even"}, "symmetric": {"reflect_type": "even"},
    **{mode: {"stat_length": None} for mode in ("maximum", "mean", "median", "minimum")},
}  # fmt: skip
_STATISTICS: dict[str, Any] = {"maximum": max, "mean": mean, "median": median, "minimum": min}


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    array = as_operand(array)
    shape = shape_of(array)
    if callable(mode):
        return _by_function(array, _widths(pad_width, shape), mode, kwargs)
    if mode not in _OPTIONS:
        raise ValueError(f"pad: mode is {mode!r}, expected a function or one of {', '.join(_OPTIONS)}")
    if set(kwargs) - set(_OPTIONS[mode]):
        raise TypeError(f"pad: unknown option {next(iter(kwargs))!r} for mode {mode!r}")
    width = _widths(pad_width, shape)
    option = (_OPTIONS[mode] | kwargs).popitem()[1] if _OPTIONS[mode] else None
    if not np.any(width):
        return ar.positive(array)
    if mode in ("constant", "empty"):  # in NumPy the latter is whatever lies in memory; here it is 0
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
        if _has_values(given):
            wide = broadcast_to(join(given), (len(shape), 2))
            return [(getitem(wide, (k, 0)), getitem(wide, (k, 1))) for k in range(len(shape))]
        found = np.broadcast_to(np.asarray(given), (len(shape), 2))
    except ValueError:
        raise ValueError(
            f"pad: {name} is {given!r}, expected one number, (before, after), or such a pair for each axis "
            f"of shape {shape}"
        ) from None
    return [(before, after) for before, after in found.tolist()]


def _has_values(given: Any) -> bool:
    if isinstance(given, list | tuple):
        return any(map(_has_values, given))
    return type(given) is Value


def _widths(pad_width: Any, shape: tuple[int, ...]) -> Any:
    return tuple((int(a), int(b)) for a, b in _pairs("pad_width", pad_width, shape))


def _by_function(array: Any, width: Any, function: Any, options: dict[str, Any]) -> Any:
    """Zeros around, which the function assigns anew in each vector along each axis."""
    padded = sh.pad(array, width=width)
    if type(padded) is not Value:
        padded = Value(padded)
    shape = shape_of(padded)
    for k, w in enumerate(width):
        for i in np.ndindex(*shape[:k], *shape[k + 1 :]):
            function(getitem(padded, (*i[:k], slice(None), *i[k:])), w, k, options)
    return padded


def _constant(array: Any, width: Any, values: Any) -> Any:
    shape, dtype = shape_of(array), as_array(current(array)).dtype
    if _has_values(values):
        for k, (w, pair) in enumerate(zip(width, _pairs("constant_values", values, shape), strict=True)):
            array = _beside(array, k, w, *(astype(v, dtype) for v in pair))
        return array
    padded = sh.pad(array, width=width)
    if values is None or not np.any(values):
        return padded
    return padded + np.pad(np.zeros(shape, dtype), width, constant_values=values)


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
        found(sliced(array, k, 0, before), k, keepdims=True),
        found(sliced(array, k, n - after, n), k, keepdims=True),
    )


def _ramps(array: Any, k: int, width: tuple[int, int], ends: Pair) -> Pair:
    """From the end values, which are reached, to the edges, which are not repeated."""
    n, kind = shape_of(array)[k], as_array(current(array)).dtype
    along = tuple(-1 if i == k else 1 for i in range(len(shape_of(array))))

    def ramp(edge: Any, end: Any, w: int) -> Any:
        share = (np.arange(w, dtype=kind.type(0).real.dtype) / w).reshape(along)
        end = astype(end, kind) if type(end) is Value else end
        return end + (edge - end) * share

    before = ramp(sliced(array, k, 0, 1), ends[0], width[0]) if width[0] else None
    after = ramp(sliced(array, k, n - 1, n), ends[1], width[1]) if width[1] else None
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
    first_edge, last_edge = sliced(array, k, 0, 1), sliced(array, k, n - 1, n)
    return take(array, index, k) * sign + last_edge * last + first_edge * first
