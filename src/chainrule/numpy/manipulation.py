"""Functions that reshape, join, split and repeat."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand, axis_of, ordered_axes, reduced_axes, shape_of, sizes_of
from chainrule.numpy.elementwise import astype
from chainrule.primitives import broadcast_to as _broadcast_to
from chainrule.rules import arithmetic as ar
from chainrule.rules import matrix as mx
from chainrule.rules import shape as sh
from chainrule.rules.arithmetic import positive

# -------------------------------------------------------------------- shape


def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    shape = newshape if shape is None else shape
    shape = sizes_of("reshape", shape)
    if order == "F":  # the first axis fastest: everything turned round
        return transpose(reshape(transpose(a), shape[::-1], copy=copy))
    if order != "C":
        raise TypeError(
            f"reshape: order={order!r} is not supported for Values, expected 'C' or 'F': where a Value's "
            "numbers lie in memory is not part of it"
        )
    size, known = math.prod(shape_of(a)), math.prod(n for n in shape if n != -1)
    unknown = shape.count(-1)
    if unknown > 1 or (unknown and (known == 0 or size % known)) or (not unknown and known != size):
        raise ValueError(
            f"reshape: an array of shape {shape_of(a)} ({size} elements) does not fit shape {shape}; "
            "the sizes must multiply to the same number, one of them may be -1"
        )
    a = ar.positive(a) if copy else a
    return sh.reshape(a, tuple(size // known if n == -1 else n for n in shape))


def ravel(a: Any, order: str = "C") -> Any:
    return reshape(a, (-1,) if math.prod(shape_of(a)) else (0,), order)


def flatten(a: Any, order: str = "C") -> Any:
    """`ravel`, and a copy always."""
    return positive(ravel(a, order))


def transpose(a: Any, axes: Any = None) -> Any:
    n = len(shape_of(a))
    if axes is None:
        return sh.transpose(a, tuple(reversed(range(n))))
    order = ordered_axes("transpose", a, axes)
    if len(order) != n:
        raise ValueError(f"transpose: axes {axes} do not name each of the {n} axes of shape {shape_of(a)}")
    return sh.transpose(a, order)


permute_dims = transpose


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    start, end = ordered_axes("moveaxis", a, source), ordered_axes("moveaxis", a, destination)
    if len(start) != len(end):
        raise ValueError(
            f"moveaxis: source {source} and destination {destination} must name equally many axes"
        )
    order = [k for k in range(len(shape_of(a))) if k not in start]
    for to, k in builtins.sorted(zip(end, start, strict=True)):
        order.insert(to, k)
    return sh.transpose(a, tuple(order))


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    i, j = axis_of("swapaxes", a, axis1), axis_of("swapaxes", a, axis2)
    order = list(range(len(shape_of(a))))
    order[i], order[j] = j, i
    return sh.transpose(a, tuple(order))


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    k, to = axis_of("rollaxis", a, axis), axis_of("rollaxis", a, start, extra=1)
    return moveaxis(a, k, to - (to > k))


def matrix_transpose(x: Any, /) -> Any:
    check_axes("matrix_transpose", x, 2)
    return mx.matrix_transpose(x)


def check_axes(name: str, x: Any, least: int = 1) -> None:
    if len(shape_of(x)) < least:
        raise ValueError(f"{name}: the Value has shape {shape_of(x)}, expected {least} or more axes")


def expand_dims(a: Any, axis: Any) -> Any:
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    new = [axis_of("expand_dims", a, k, extra=len(axes)) for k in axes]
    if len(set(new)) < len(new):
        raise ValueError(f"expand_dims: axes {axis} name an axis twice; expected each at most once")
    sizes = iter(shape_of(a))
    return sh.reshape(a, tuple(1 if k in new else next(sizes) for k in range(len(shape_of(a)) + len(new))))


def squeeze(a: Any, axis: Any = None) -> Any:
    shape = shape_of(a)
    every = tuple(k for k, n in enumerate(shape) if n == 1)
    axes = every if axis is None else reduced_axes("squeeze", a, axis)
    for k in axes:
        if shape[k] != 1:
            raise ValueError(f"squeeze: axis {k} of shape {shape} has length {shape[k]}, expected 1")
    return sh.reshape(a, tuple(n for k, n in enumerate(shape) if k not in axes))


def _thin(a: Any) -> Any:
    """An array of ``a``'s shape that costs nothing, to let NumPy work out shapes."""
    return np.broadcast_to(0.0, shape_of(a))


def atleast_1d(*arys: Any) -> Any:
    return _each(lambda a: sh.reshape(a, np.atleast_1d(_thin(a)).shape), arys)


def atleast_2d(*arys: Any) -> Any:
    return _each(lambda a: sh.reshape(a, np.atleast_2d(_thin(a)).shape), arys)


def atleast_3d(*arys: Any) -> Any:
    return _each(lambda a: sh.reshape(a, np.atleast_3d(_thin(a)).shape), arys)


def _each(f: Callable[[Any], Any], arys: Sequence[Any]) -> Any:
    made = tuple(f(as_operand(a)) for a in arys)
    return made[0] if len(made) == 1 else made


def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    shape, old = sizes_of("broadcast_to", shape), shape_of(array)
    fits = all(n in (1, m) for n, m in zip(reversed(old), reversed(shape), strict=False))
    if len(old) > len(shape) or not fits:
        raise ValueError(
            f"broadcast_to: shape {old} does not broadcast to {shape}; counted from the last, each of its "
            "axes must be equal to the new one or 1"
        )
    return _broadcast_to(array, shape=shape)


def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    try:
        shape = np.broadcast_shapes(*map(shape_of, args))
    except ValueError:
        shapes = " and ".join(str(shape_of(a)) for a in args)
        raise ValueError(f"broadcast_arrays: shapes {shapes} do not broadcast together") from None
    return tuple(broadcast_to(a, shape) for a in args)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    n = len(xi)
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}, expected 'xy' or 'ij'")
    grids = [reshape(x, (1,) * i + (-1,) + (1,) * (n - i - 1)) for i, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        grids = [swapaxes(g, 0, 1) for g in grids]
    made = grids if sparse else broadcast_arrays(*grids)
    return tuple(map(positive, made)) if copy else tuple(made)


# -------------------------------------------------------------------- joining, splitting, repeating


def concatenate(
    arrays: Sequence[Any],
    /,
    axis: int | None = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Any:
    parts = [a if dtype is None else astype(a, dtype) for a in map(as_operand, arrays)]
    if axis is None:
        parts, axis = [ravel(a) for a in parts], 0
    want = shape_of(parts[0])
    if not want:
        raise ValueError("concatenate: operand 0 is a scalar, expected arrays; join scalars with np.stack")
    k = axis_of("concatenate", parts[0], axis)
    for i, p in enumerate(parts):
        got = shape_of(p)
        if len(got) != len(want) or got[:k] + got[k + 1 :] != want[:k] + want[k + 1 :]:
            raise ValueError(
                f"concatenate: operand {i} has shape {got}, the first {want}; all axes but axis {k} must be "
                "equal"
            )
    return sh.concatenate(parts, k)


concat = concatenate


def stack(
    arrays: Sequence[Any], axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    parts = [a if dtype is None else astype(a, dtype) for a in map(as_operand, arrays)]
    return sh.stack(parts, axis_of("stack", parts[0], axis, extra=1))


def vstack(tup: Sequence[Any], *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return concatenate([atleast_2d(a) for a in tup], 0, dtype=dtype)


def hstack(tup: Sequence[Any], *, dtype: Any = None, casting: str = "same_kind") -> Any:
    parts = [atleast_1d(a) for a in tup]
    return concatenate(parts, 0 if len(shape_of(parts[0])) == 1 else 1, dtype=dtype)


def dstack(tup: Sequence[Any]) -> Any:
    return concatenate([atleast_3d(a) for a in tup], 2)


def column_stack(tup: Sequence[Any]) -> Any:
    return concatenate([a if len(shape_of(a)) > 1 else reshape(a, (-1, 1)) for a in map(as_operand, tup)], 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return concatenate([arr, values], axis)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    k = axis_of("array_split", ary, axis)
    _check_sections("array_split", indices_or_sections)
    where = np.array_split(np.arange(shape_of(ary)[k]), indices_or_sections)
    starts = np.cumsum([0] + [len(w) for w in where])
    if not isinstance(indices_or_sections, int | np.integer):
        starts = np.array([w[0] if len(w) else 0 for w in where] + [0])
    return [
        sh.getitem(ary, (slice(None),) * k + (slice(int(s), int(s) + len(w)),))
        for s, w in zip(starts, where, strict=False)
    ]


def _check_sections(name: str, sections: Any) -> None:
    if isinstance(sections, int | np.integer) and sections < 1:
        raise ValueError(f"{name}: indices_or_sections is {sections}, expected 1 or more parts")


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    k = axis_of("split", ary, axis)
    n = shape_of(ary)[k]
    _check_sections("split", indices_or_sections)
    if isinstance(indices_or_sections, int | np.integer) and n % indices_or_sections:
        raise ValueError(
            f"split: axis {k} of shape {shape_of(ary)} does not divide into {indices_or_sections} equal "
            "parts; use np.array_split for unequal ones"
        )
    return array_split(ary, indices_or_sections, k)


def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 1 if len(shape_of(ary)) > 1 else 0)


def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 2)


def unstack(x: Any, /, *, axis: int = 0) -> Any:
    k = axis_of("unstack", x, axis)
    return tuple(sh.getitem(x, (slice(None),) * k + (i,)) for i in range(shape_of(x)[k]))


def tile(A: Any, reps: Any) -> Any:
    reps = sizes_of("tile", tuple(reps) if np.ndim(reps) else reps)
    if any(r < 0 for r in reps):
        raise ValueError(f"tile: reps are {reps}, expected 0 or more")
    shape = shape_of(A)
    n = builtins.max(len(shape), len(reps))
    shape, reps = (1,) * (n - len(shape)) + shape, (1,) * (n - len(reps)) + reps
    pairs = tuple(x for k, r in zip(shape, reps, strict=True) for x in (r, k))
    wide = sh.reshape(A, tuple(x for k in shape for x in (1, k)))
    made = sh.reshape(broadcast_to(wide, pairs), tuple(k * r for k, r in zip(shape, reps, strict=True)))
    return positive(made) if math.prod(reps) == 1 else made
