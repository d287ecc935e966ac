"""Functions that choose among arrays, put elements in or leave them out, and apply functions to slices."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.numpy.arguments import (
    Axis,
    as_operand,
    axis_of,
    common_type,
    ordered_axes,
    shape_of,
    sizes_of,
)
from chainrule.numpy.constants import constant
from chainrule.numpy.elementwise import astype, where
from chainrule.numpy.manipulation import (
    broadcast_to,
    concatenate,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
    stack,
)
from chainrule.numpy.rearranging import diag, take
from chainrule.primitives import as_array
from chainrule.rules import shape as sh
from chainrule.rules.arithmetic import positive
from chainrule.traced import Traced
from chainrule.value import current

# -------------------------------------------------------------------- choosing


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(
            f"select: received {len(condlist)} conditions and {len(choicelist)} choices, expected as many"
        )
    y = as_operand(default)
    for condition, choice in builtins.reversed(list(zip(condlist, choicelist, strict=True))):
        kind = as_array(current(condition)).dtype
        if kind.kind != "b":
            raise TypeError(f"select: a condition is of dtype {kind}, expected bool")
        y = where(condition, as_operand(choice), y)
    return _of_kind(y, *map(as_operand, choicelist), default)


def _of_kind(y: Any, *choices: Any) -> Any:
    """Chosen one by one, numbers among them may have made arrays of their own."""
    kind = common_type(*choices)
    return y if as_array(current(y)).dtype == kind else astype(y, kind)


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    a, parts = as_array(current(as_operand(a))), [as_operand(c) for c in choices]
    if a.dtype.kind not in "iu":
        raise TypeError(f"choose: a is of dtype {a.dtype}, expected integers: which choice to take")
    if mode != "raise":
        a = a % len(parts) if mode == "wrap" else np.clip(a, 0, len(parts) - 1)
    elif type(a) is not Traced and a.size and not 0 <= a.min() <= a.max() < len(parts):
        raise ValueError(f"choose: a is from {a.min()} to {a.max()}, expected 0 to {len(parts) - 1}")
    y = parts[0]
    for k, part in enumerate(parts[1:], 1):
        y = where(a == k, part, y)
    return _of_kind(broadcast_to(y, np.broadcast_shapes(a.shape, *map(shape_of, parts))), *parts)


def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    return take(a, np.nonzero(current(as_operand(condition)))[0], axis)


def extract(condition: Any, arr: Any) -> Any:
    return take(arr, np.flatnonzero(current(as_operand(condition))))


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Any:
    """Each function sees the elements that its condition names; of several the last one counts."""
    shape = shape_of(x)
    conditions = condlist
    if isinstance(condlist, list | tuple):
        conditions = [current(as_operand(c)) for c in condlist]
    if shape and np.ndim(conditions[0]) == 0:  # one alone
        conditions = [as_array(current(as_operand(condlist)))]
    plain = [np.broadcast_to(as_array(c).astype(bool), shape) for c in conditions]
    functions = list(funclist)
    if len(functions) == len(plain) + 1:
        plain.append(~functools.reduce(np.logical_or, plain))
    elif len(functions) != len(plain):
        raise ValueError(
            f"piecewise: received {len(plain)} conditions and {len(functions)} functions, expected as many, "
            "or one function more"
        )
    x = as_operand(x)
    y, kind = np.zeros(shape, current(x).dtype if shape else None), as_array(current(x)).dtype
    for mask, f in zip(plain, functions, strict=True):
        if not callable(f):
            part: Any = f
        elif isinstance(mask, Traced) or not shape:
            part = f(x, *args, **kw)  # all of them: how many the condition names is not known yet
        elif not mask.any():
            continue
        else:
            values = f(sh.getitem(x, mask), *args, **kw)
            size = int(mask.sum())
            part = sh.scatter(broadcast_to(as_operand(values), (size,)), index=mask, shape=shape)
        y = where(mask, part, y)
    return astype(y, kind) if as_array(current(y)).dtype != kind else y


# -------------------------------------------------------------------- putting in, leaving out


def _from(places: Any, *arrays: Any) -> Any:
    """What NumPy makes of the numbers of elements, made of the elements: ``places`` counts through all."""
    flat = [ravel(a) for a in arrays]
    return sh.getitem(concatenate(flat) if len(flat) > 1 else flat[0], places)


def _places(a: Any, start: int = 0) -> Any:
    n = int(np.prod(shape_of(a)))
    return np.arange(start, start + n).reshape(shape_of(a))


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    arr, values = as_operand(arr), as_operand(values)
    values = astype(values, as_array(current(arr)).dtype)
    first = _places(arr)
    return _from(np.insert(first, obj, _places(values, first.size), axis), arr, values)


def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    if axis is None:
        arr, axis = ravel(arr), 0
    k = axis_of("delete", arr, axis)
    return take(arr, np.delete(np.arange(shape_of(arr)[k]), current(obj)), k)


def resize(a: Any, new_shape: Any) -> Any:
    """Of the size wanted: repeated from the start, or cut off."""
    a = as_operand(a)
    new_shape = sizes_of("resize", new_shape)
    if not np.size(current(a)):
        return np.zeros(new_shape, current(a).dtype)
    return _from(np.resize(_places(a), new_shape), a)


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Without the zeros in front and behind: which those are, the data say."""
    filt = as_operand(filt)
    found = np.argwhere(current(filt))
    shape = shape_of(filt)
    parts = [slice(None)] * len(shape)
    for k in range(len(shape)) if axis is None else ordered_axes("trim_zeros", filt, axis):
        low, high = (int(found[:, k].min()), int(found[:, k].max()) + 1) if len(found) else (0, 0)
        parts[k] = slice(low if "f" in trim.lower() else 0, high if "b" in trim.lower() else shape[k])
    return sh.getitem(filt, tuple(parts))


def block(arrays: Any) -> Any:
    """Nested lists joined: the innermost along the last axis, and so outwards."""

    def depth(x: Any) -> int:
        return 1 + builtins.max(map(depth, x)) if isinstance(x, list) and x else 0

    def leaves(x: Any) -> list[Any]:
        return [y for part in x for y in leaves(part)] if isinstance(x, list) else [x]

    if any(isinstance(x, tuple) for x in leaves(arrays)):
        raise TypeError("block: received a tuple, expected lists of arrays")
    levels = depth(arrays)
    n = builtins.max(levels, *(len(shape_of(x)) for x in leaves(arrays)))

    def joined(x: Any, level: int) -> Any:
        if not isinstance(x, list):
            if level != levels:
                raise ValueError(
                    f"block: lists are nested {levels} deep here and {level} there; expected alike"
                )
            return reshape(as_operand(x), (1,) * (n - len(shape_of(x))) + shape_of(x))
        if not x:
            raise ValueError("block: received an empty list, expected arrays")
        return concatenate([joined(part, level + 1) for part in x], n - levels + level)

    return joined(arrays, 0)


def diagflat(v: Any, k: int = 0) -> Any:
    return diag(ravel(as_operand(v)), k)


def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """Every window of a shape, in axes behind those of ``x``."""
    sizes = sizes_of("sliding_window_view", window_shape)
    shape = shape_of(x)
    axes = tuple(range(len(shape))) if axis is None else ordered_axes("sliding_window_view", x, axis, True)
    if len(axes) != len(sizes):
        raise ValueError(
            f"sliding_window_view: window_shape {sizes} and axis {axes} differ in length; expected one size "
            f"for each axis of shape {shape}"
        )
    for k, w in zip(axes, sizes, strict=True):
        if not 0 <= w <= shape[k]:
            raise ValueError(f"sliding_window_view: a window of {w} does not fit axis {k} of shape {shape}")
        n = shape_of(x)[k]
        x = moveaxis(take(x, np.arange(n - w + 1)[:, None] + np.arange(w), k), k + 1, -1)
    return x


# -------------------------------------------------------------------- functions of slices


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    arr = as_operand(arr)
    k = axis_of("apply_along_axis", arr, axis)
    rest = shape_of(arr)[:k] + shape_of(arr)[k + 1 :]
    rows = [(*i[:k], slice(None), *i[k:]) for i in np.ndindex(*rest)]
    if not rows:
        raise ValueError(f"apply_along_axis: arr of shape {shape_of(arr)} has no slices along axis {k}")
    made = stack([as_operand(func1d(sh.getitem(arr, i), *args, **kwargs)) for i in rows])
    each = shape_of(made)[1:]
    made = reshape(made, rest + each)
    return moveaxis(made, tuple(range(len(rest), len(rest) + len(each))), tuple(range(k, k + len(each))))


def apply_over_axes(func: Callable[..., Any], a: Any, axes: Axis) -> Any:
    a = as_operand(a)
    for k in ordered_axes("apply_over_axes", a, axes):
        y = func(a, k)
        if len(shape_of(a)) - len(shape_of(y)) not in (0, 1):
            raise ValueError(
                f"apply_over_axes: func gave shape {shape_of(y)} of {shape_of(a)}, expected as many axes or "
                "one less"
            )
        a = y if len(shape_of(y)) == len(shape_of(a)) else expand_dims(y, k)
    return a


# -------------------------------------------------------------------- arrays made for a Value, with like=


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> Any:
    fill = as_operand(fill_value)
    if fill is current(fill) and type(fill) is not Traced:
        return constant(np.full(shape, fill, dtype))
    return broadcast_to(fill if dtype is None else astype(fill, dtype), sizes_of("full", shape))


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
    device: Any = None,
) -> Any:  # fmt: skip
    fill = as_operand(fill_value)
    plain = np.full_like(current(a), current(fill), dtype, shape=shape)
    return constant(plain) if fill is current(fill) else broadcast_to(astype(fill, plain.dtype), plain.shape)


def array(object: Any, dtype: Any = None, *, copy: Any = True, **options: Any) -> Any:
    """Values and numbers in nested lists, joined; ``like=`` says that there are some."""

    def joined(x: Any) -> Any:
        if not isinstance(x, list | tuple):
            return as_operand(x)
        return stack([joined(part) for part in x]) if x else np.zeros(0)

    y = joined(object)
    y = y if dtype is None or np.dtype(dtype) == current(y).dtype else astype(y, dtype)
    return positive(y) if copy and y is object else y


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, **options: Any) -> Any:
    return array(a, dtype, copy=copy)


asanyarray = asarray


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, **options: Any) -> Any:
    """As many numbers as the data say; each moves with ``start`` and ``step``."""
    start, stop = (0, start) if stop is None else (start, stop)
    n = len(np.arange(current(start), current(stop), current(step)))
    y = start + np.arange(n) * step
    return y if dtype is None else astype(y, dtype)


