"""Ufuncs on Values: the options of a call, and the methods that are made of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.numpy.arguments import KEEP, Axis, as_operand, axis_of, reduced_axes, shape_of
from chainrule.numpy.assignment import assign, check_written
from chainrule.numpy.elementwise import astype
from chainrule.numpy.elementwise import where as where_
from chainrule.numpy.manipulation import broadcast_to, concatenate, ravel, reshape, stack, unstack
from chainrule.numpy.products import along_axes
from chainrule.numpy.rearranging import as_index, take
from chainrule.numpy.reductions import chosen, given, mask_of
from chainrule.primitives import as_array
from chainrule.rules import arithmetic as ar
from chainrule.rules import running
from chainrule.rules import shape as sh
from chainrule.value import Value, current

Call = Callable[..., Any]

RUNNING: dict[np.ufunc, Any] = {
    np.maximum: running.running_maximum, np.minimum: running.running_minimum,
    np.fmax: running.running_fmax, np.fmin: running.running_fmin,
}  # fmt: skip
_ASSOCIATIVE = {np.logaddexp, np.logaddexp2, np.hypot}


def call(ufunc: np.ufunc, f: Call, inputs: Any, options: dict[str, Any]) -> Any:
    """A call with options; ``order=`` and ``subok=`` are of memory, which is no part of a Value."""
    if options.get("where", True) is not True:
        raise TypeError(
            f"{ufunc.__name__}: where= without out= leaves elements unset; give out= a Value that holds what "
            "is to stand there, or use np.where(mask, result, other)"
        )
    types = {k: v for k, v in options.items() if k in ("dtype", "signature", "casting") and v is not None}
    axes = {k: v for k, v in options.items() if k in ("axes", "axis", "keepdims")}
    kinds = _kinds(ufunc, inputs, **types) if types else (None,) * (ufunc.nin + ufunc.nout)
    operands = [*map(_cast, inputs, kinds)]
    made = along_axes(f, str(ufunc.signature), operands, **axes) if axes else f(*operands)
    if ufunc.nout == 1:
        return _cast(made, kinds[-1])
    return tuple(map(_cast, made, kinds[ufunc.nin :]))


def _kinds(ufunc: np.ufunc, inputs: Any, dtype: Any = None, signature: Any = None, **casting: Any) -> Any:
    """The dtypes of operands and results in which NumPy would compute."""
    if dtype is not None:
        signature = (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
    raws = [current(x) for x in inputs]
    given = [type(x) if type(x) in (int, float, complex) else as_array(x).dtype for x in raws]
    how = casting if signature is None else {"signature": signature, **casting}
    try:
        return ufunc.resolve_dtypes((*given, *(None,) * ufunc.nout), **how)
    except TypeError as error:
        raise TypeError(f"{ufunc.__name__}: {error}") from None


def _cast(x: Any, kind: Any) -> Any:
    return astype(x, kind) if type(x) is Value and kind is not None and x.dtype != kind else x


def reduce(
    ufunc: np.ufunc, f: Call, a: Any, axis: Axis = 0, keepdims: bool = False, initial: Any = KEEP,
    where: Any = True,
) -> Any:  # fmt: skip
    """``f(f(f(a₀, a₁), a₂), ...)`` along each axis in turn."""
    a, name = as_operand(a), f"{ufunc.__name__}.reduce"
    axes, before = reduced_axes(name, a, axis), shape_of(a)
    if len(axes) > 1 and ufunc not in _ASSOCIATIVE:
        raise ValueError(f"{name}: axes {axes} in some order or other, which matters; expected one axis")
    start = ufunc.identity if initial is KEEP else initial
    mask = mask_of(name, where, a) if chosen(where) else None
    if mask is not None and start is None:
        raise ValueError(f"{name}: of nothing, or with where=, it needs initial=")
    if not axes:
        y = ar.positive(a) if start is None else f(start, a)
        return y if mask is None else where_(mask, y, start)
    for k in reversed(axes):  # the last of them begins with what is given
        begin, always = (start, given(initial)) if k == axes[0] else (ufunc.identity, False)
        a, mask = _reduced(name, f, a, k, begin, always or mask is not None, mask), None
    return reshape(a, tuple(1 if k in axes else n for k, n in enumerate(before))) if keepdims else a


def _reduced(name: str, f: Call, a: Any, k: int, start: Any, always: bool, mask: Any) -> Any:
    """Along one axis, from ``start`` on: always, or if there are too few to begin with the first."""
    parts = unstack(a, axis=k)
    if always or len(parts) < 1 + (start is not None):  # hypot of one is |x|
        if start is None:
            raise ValueError(f"{name}: of nothing, or with where=, it needs initial=")
        rest = shape_of(a)[:k] + shape_of(a)[k + 1 :]
        y = broadcast_to(as_operand(start) + np.zeros((), current(a).dtype), rest)
    else:
        y, *parts = parts
    for i, part in enumerate(parts):
        z = f(y, part)
        y = z if mask is None else where_(np.take(mask, i, k), z, y)
    return y


def accumulate(ufunc: np.ufunc, f: Call, array: Any, axis: int = 0) -> Any:
    """``a₀, f(a₀, a₁), f(f(a₀, a₁), a₂), ...``"""
    x = as_operand(array)
    k = axis_of(f"{ufunc.__name__}.accumulate", x, axis)
    if ufunc in RUNNING:
        return RUNNING[ufunc](x, axis=k)
    n, step = shape_of(x)[k], 1
    if n < 2:
        return ar.positive(x)
    if ufunc in _ASSOCIATIVE:  # of 1, 2, 4, ... neighbours
        while step < n:
            low, high = sh.sliced(x, k, 0, n - step), sh.sliced(x, k, step, n)
            x = concatenate([sh.sliced(x, k, 0, step), f(low, high)], k)
            step *= 2
        return x
    made = list(unstack(x, axis=k))
    for i in range(1, n):
        made[i] = f(made[i - 1], made[i])
    return stack(made, k)


def reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: int = 0) -> Any:
    """Reductions from each index to the next; of one that is not below the next the element alone."""
    x, name = as_operand(array), f"{ufunc.__name__}.reduceat"
    k = axis_of(name, x, axis)
    n, starts = shape_of(x)[k], np.asarray(current(indices))
    if starts.ndim != 1 or starts.dtype.kind not in "iu" or np.any((starts < 0) | (starts >= n)):
        raise IndexError(f"{name}: indices are {indices!r}, expected a list of integers from 0 to {n - 1}")
    if not starts.size:
        return sh.sliced(x, k, 0, 0)
    stops = np.maximum(np.append(starts[1:], n), starts + 1)
    if ufunc is np.add:
        places = np.concatenate([*map(np.arange, starts, stops)])
        shape = (*shape_of(x)[:k], len(starts), *shape_of(x)[k + 1 :])
        at = np.repeat(np.arange(len(starts)), stops - starts)
        return sh.scatter(take(x, places, k), index=(*(slice(None),) * k, at), shape=shape)
    cuts = [sh.sliced(x, k, int(i), int(j)) for i, j in zip(starts, stops, strict=True)]
    return concatenate([ufunc.reduce(part, axis=k, keepdims=True) for part in cuts], k)


def outer(ufunc: np.ufunc, a: Any, b: Any, **options: Any) -> Any:
    """The ufunc of every two elements."""
    # a Python number is an array here, which does not give way
    a, b = (np.asarray(x) if isinstance(x, int | float | complex) else as_operand(x) for x in (a, b))
    return ufunc(reshape(a, shape_of(a) + (1,) * len(shape_of(b))), b, **options)


def at(f: Call, name: str, x: Any, index: Any, *new: Any) -> None:
    """``x[index] = f(x[index], new)``; an element named twice is changed twice."""
    check_written(f"{name}.at", x)
    index = as_index(f"{name}.at", index)
    places = np.arange(x.size).reshape(x.shape)[index]
    flat = np.ravel(places)
    parts = [ravel(broadcast_to(as_operand(v), np.shape(places))) for v in new]
    order = np.argsort(flat, kind="stable")
    turn = np.empty_like(flat)
    turn[order] = np.arange(flat.size) - np.searchsorted(flat[order], flat[order])
    for i in range(int(turn.max(initial=-1)) + 1):
        mine = np.flatnonzero(turn == i)
        element = np.unravel_index(flat[mine], x.shape)
        assign(x, element, f(sh.getitem(x, element), *(sh.getitem(v, mine) for v in parts)))
