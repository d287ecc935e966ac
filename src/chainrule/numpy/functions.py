"""NumPy's functions on Values: its calling conventions, brought into the canonical primitives.

Every function here has the name, arguments and result of NumPy's own; most are compositions.
"""

from __future__ import annotations

import builtins
import math
import operator
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.primitive import broadcast_to as _broadcast_to
from chainrule.primitive import cast, raw
from chainrule.primitive import where as _where
from chainrule.rules import arithmetic as ar
from chainrule.rules import matrix as mx
from chainrule.rules import reduction as rd
from chainrule.rules import shape as sh
from chainrule.rules.elementary import sinc as _sinc
from chainrule.rules.elementary import xlogy
from chainrule.value import Value, current

Axis = int | Sequence[int] | None
_KEEP: Any = np._NoValue  # NumPy's own "not given"


def _array(x: Any) -> Any:
    """An operand as a Value, a number or an array."""
    return np.asarray(x) if isinstance(x, list | tuple) else x


def _shape(x: Any) -> tuple[int, ...]:
    return np.shape(raw(x))


def _axes(name: str, x: Any, axis: Axis) -> tuple[int, ...]:
    """Axes counted from the front, in ascending order; all of them for None."""
    if axis is None:
        return tuple(range(len(_shape(x))))
    return tuple(builtins.sorted(_ordered(name, x, axis)))


def _ordered(name: str, x: Any, axes: Any, repeated: bool = False) -> tuple[int, ...]:
    """Axes counted from the front, in the order given."""
    found = tuple(_axis(name, x, k) for k in (axes if isinstance(axes, tuple | list) else (axes,)))
    if len(set(found)) < len(found) and not repeated:
        raise ValueError(f"{name}: axes {axes} name an axis twice; expected each at most once")
    return found


def _axis(name: str, x: Any, axis: Any, extra: int = 0) -> int:
    """An axis counted from the front, in a result that has ``extra`` axes more than ``x``."""
    try:
        k = operator.index(axis)
    except TypeError:
        raise TypeError(f"{name}: axis is {axis!r}, expected an integer") from None
    n = len(_shape(x)) + extra
    if not -n <= k < n:
        expected = f"expected {-n} to {n - 1}" if n else "a scalar has no axes"
        raise np.exceptions.AxisError(f"{name}: axis {k} is out of range for shape {_shape(x)}; {expected}")
    return k % n


def _sizes(name: str, sizes: Any) -> tuple[int, ...]:
    """A shape, or numbers of repetitions, as a tuple of integers."""
    try:
        return tuple(map(operator.index, sizes if isinstance(sizes, tuple | list) else (sizes,)))
    except TypeError:
        raise TypeError(f"{name}: received {sizes!r}, expected integers") from None


def _refuse(name: str, **options: Any) -> None:
    for option, given in options.items():
        if given is not None and given is not _KEEP and given is not True:
            remedy = (
                "assign the result instead" if option == "out" else "write it out with np.where and np.sum"
            )
            raise TypeError(f"{name}: {option}= is not supported for Values; {remedy}")


# -------------------------------------------------------------------- reductions


def _reduction(name: str, primitive: Any) -> Callable[..., Any]:
    def reduce(
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = _KEEP,
        where: Any = True,
        **options: Any,
    ) -> Any:
        _refuse(name, out=out, initial=initial)
        x = _array(a) if dtype is None else astype(a, dtype)
        if where is not True and where is not _KEEP:
            if name not in ("sum", "prod"):
                _refuse(name, where=where)
            x = _where(current(where), x, 0.0 if name == "sum" else 1.0)
        keepdims = keepdims is not _KEEP and bool(keepdims)
        return primitive(x, axis=_axes(name, x, axis), keepdims=keepdims, **options)

    reduce.__name__ = reduce.__qualname__ = name
    return reduce


sum = _reduction("sum", rd.sum_)
prod = _reduction("prod", rd.prod)
mean = _reduction("mean", rd.mean)
_max, _min = _reduction("max", rd.max_), _reduction("min", rd.min_)
_var, _std = _reduction("var", rd.var), _reduction("std", rd.std)


def max(
    a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False, initial: Any = _KEEP, where: Any = True
) -> Any:
    return _max(a, axis, None, out, keepdims, initial, where)


def min(
    a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False, initial: Any = _KEEP, where: Any = True
) -> Any:
    return _min(a, axis, None, out, keepdims, initial, where)


amax, amin = max, min


def var(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False,
    *, where: Any = True, mean: Any = _KEEP, correction: Any = _KEEP,
) -> Any:  # fmt: skip
    _refuse("var", mean=mean)
    return _var(a, axis, dtype, out, keepdims, where=where, ddof=ddof if correction is _KEEP else correction)


def std(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False,
    *, where: Any = True, mean: Any = _KEEP, correction: Any = _KEEP,
) -> Any:  # fmt: skip
    _refuse("std", mean=mean)
    return _std(a, axis, dtype, out, keepdims, where=where, ddof=ddof if correction is _KEEP else correction)


def ptp(a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False) -> Any:
    _refuse("ptp", out=out)
    axes = _axes("ptp", a, axis)
    return max(a, axes, keepdims=keepdims) - min(a, axes, keepdims=keepdims)


def average(
    a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    if returned:
        raise TypeError(
            "average: returned=True is not supported for Values; compute np.sum(weights) beside it"
        )
    if weights is None:
        return mean(a, axis, keepdims=keepdims)
    if _shape(weights) != _shape(a):
        if not isinstance(axis, int) or len(_shape(weights)) != 1:
            raise TypeError(
                f"average: weights have shape {_shape(weights)}, expected that of a, {_shape(a)}, "
                "or one axis together with an integer axis="
            )
        k = _axis("average", a, axis)
        weights = reshape(weights, tuple(-1 if i == k else 1 for i in range(len(_shape(a)))))
        weights = broadcast_to(weights, _shape(a))
    return sum(a * weights, axis, keepdims=keepdims) / sum(weights, axis, keepdims=keepdims)


def _cumulative(name: str, primitive: Any) -> Callable[..., Any]:
    def accumulate(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        _refuse(name, out=out)
        x = _array(a) if dtype is None else astype(a, dtype)
        if axis is None:
            x, axis = ravel(x), 0
        return primitive(x, axis=_axis(name, x, axis))

    accumulate.__name__ = accumulate.__qualname__ = name
    return accumulate


cumsum = _cumulative("cumsum", rd.cumsum)
cumprod = _cumulative("cumprod", rd.cumprod)


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = _KEEP, append: Any = _KEEP) -> Any:
    a = _array(a)
    k = _axis("diff", a, axis)
    if n < 0:
        raise ValueError(f"diff: n is {n}, expected 0 or more")
    before = (slice(None),) * k
    if n and (prepend is not _KEEP or append is not _KEEP):
        edge = _shape(a)[:k] + (1,) + _shape(a)[k + 1 :]  # of a number, repeated
        parts = [_array(p) for p in (prepend, a, append) if p is not _KEEP]
        a = concatenate([p if _shape(p) else broadcast_to(p, edge) for p in parts], k)
    for _ in range(n):
        a = sh.getitem(a, (*before, slice(1, None))) - sh.getitem(a, (*before, slice(None, -1)))
    return a


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Counts are plain integers; sums of weights have a derivative in these."""
    if type(weights) is not Value:
        return np.bincount(current(x), weights, minlength)
    plain = np.bincount(current(x), current(weights), minlength)  # checks everything
    return sh.scatter(astype(weights, plain.dtype), index=np.array(x), shape=plain.shape)


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
    device: Any = None,
) -> Any:  # fmt: skip
    plain = np.full_like(current(a), current(fill_value), dtype, shape=shape)
    if type(fill_value) is not Value:
        return plain
    return broadcast_to(astype(fill_value, plain.dtype), plain.shape)


# -------------------------------------------------------------------- elementwise, beside the ufuncs


def power(x: Any, y: Any) -> Any:
    """``x ** y``; the square of a norm is recorded as the sum of squares, which is smooth at 0."""
    if type(x) is Value and x.primitive is rd.norm and type(y) is not Value and np.ndim(y) == 0 and y == 2:
        return rd.sum_of_squares(x.inputs[0], **x.params)
    return ar.power(_array(x), _array(y))


def square(x: Any) -> Any:
    return power(x, 2) if type(x) is Value and x.primitive is rd.norm else ar.square(x)


def divmod(x1: Any, x2: Any) -> Any:
    return ar.floor_divide(x1, x2), ar.remainder(x1, x2)


def where(condition: Any, x: Any = _KEEP, y: Any = _KEEP) -> Any:
    condition = current(condition)
    if x is _KEEP:
        return np.where(condition)
    mask = np.asarray(condition, dtype=bool)
    return _where(mask if mask.ndim else bool(mask), _array(x), _array(y))


def clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None
) -> Any:
    _refuse("clip", out=out)
    low = a_min if min is None or min is _KEEP else min
    high = a_max if max is None or max is _KEEP else max
    low = -math.inf if low is None or low is _KEEP else low
    high = math.inf if high is None or high is _KEEP else high
    return ar.clip(_array(a), _array(low), _array(high))


def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    _refuse("round", out=out)
    return ar.round_(a, decimals=decimals)


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    return ar.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def sinc(x: Any) -> Any:
    return _sinc(x, order=0)


def entr(x: Any) -> Any:
    return -xlogy(x, x)


def real(val: Any) -> Any:
    return ar.real(val)


def imag(val: Any) -> Any:
    return ar.imag(val)


def angle(z: Any, deg: bool = False) -> Any:
    return ar.angle(z) * (180 / math.pi) if deg else ar.angle(z)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    if np.dtype(dtype).kind not in "fc":
        raise TypeError(
            f"astype: a Value cannot become {np.dtype(dtype)}, which has no derivative; "
            "take v.data.astype(...) for plain numbers"
        )
    return cast(x, dtype=np.dtype(dtype))


def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return ar.positive(a)


# -------------------------------------------------------------------- shape


def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    if order != "C":
        raise TypeError(f"reshape: order={order!r} is not supported for Values; transpose first")
    shape = newshape if shape is None else shape
    shape = _sizes("reshape", shape)
    size, known = math.prod(_shape(a)), math.prod(n for n in shape if n != -1)
    unknown = shape.count(-1)
    if unknown > 1 or (unknown and (known == 0 or size % known)) or (not unknown and known != size):
        raise ValueError(
            f"reshape: an array of shape {_shape(a)} ({size} elements) does not fit shape {shape}; "
            "the sizes must multiply to the same number, one of them may be -1"
        )
    return sh.reshape(a, tuple(size // known if n == -1 else n for n in shape))


def ravel(a: Any, order: str = "C") -> Any:
    return reshape(a, (-1,) if math.prod(_shape(a)) else (0,), order)


def transpose(a: Any, axes: Any = None) -> Any:
    n = len(_shape(a))
    if axes is None:
        return sh.transpose(a, tuple(reversed(range(n))))
    order = _ordered("transpose", a, axes)
    if len(order) != n:
        raise ValueError(f"transpose: axes {axes} do not name each of the {n} axes of shape {_shape(a)}")
    return sh.transpose(a, order)


permute_dims = transpose


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    start, end = _ordered("moveaxis", a, source), _ordered("moveaxis", a, destination)
    if len(start) != len(end):
        raise ValueError(
            f"moveaxis: source {source} and destination {destination} must name equally many axes"
        )
    order = [k for k in range(len(_shape(a))) if k not in start]
    for to, k in builtins.sorted(zip(end, start, strict=True)):
        order.insert(to, k)
    return sh.transpose(a, tuple(order))


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    i, j = _axis("swapaxes", a, axis1), _axis("swapaxes", a, axis2)
    order = list(range(len(_shape(a))))
    order[i], order[j] = j, i
    return sh.transpose(a, tuple(order))


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    k, to = _axis("rollaxis", a, axis), _axis("rollaxis", a, start, extra=1)
    return moveaxis(a, k, to - (to > k))


def matrix_transpose(x: Any, /) -> Any:
    _check_axes("matrix_transpose", x, 2)
    return mx.matrix_transpose(x)


def _check_axes(name: str, x: Any, least: int = 1) -> None:
    if len(_shape(x)) < least:
        raise ValueError(f"{name}: the Value has shape {_shape(x)}, expected {least} or more axes")


def expand_dims(a: Any, axis: Any) -> Any:
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    new = [_axis("expand_dims", a, k, extra=len(axes)) for k in axes]
    if len(set(new)) < len(new):
        raise ValueError(f"expand_dims: axes {axis} name an axis twice; expected each at most once")
    sizes = iter(_shape(a))
    return sh.reshape(a, tuple(1 if k in new else next(sizes) for k in range(len(_shape(a)) + len(new))))


def squeeze(a: Any, axis: Any = None) -> Any:
    shape = _shape(a)
    axes = [k for k, n in enumerate(shape) if n == 1] if axis is None else _ordered("squeeze", a, axis)
    for k in axes:
        if shape[k] != 1:
            raise ValueError(f"squeeze: axis {k} of shape {shape} has length {shape[k]}, expected 1")
    return sh.reshape(a, tuple(n for k, n in enumerate(shape) if k not in axes))


def _thin(a: Any) -> Any:
    """An array of ``a``'s shape that costs nothing, to let NumPy work out shapes."""
    return np.broadcast_to(0.0, _shape(a))


def atleast_1d(*arys: Any) -> Any:
    return _each(lambda a: sh.reshape(a, np.atleast_1d(_thin(a)).shape), arys)


def atleast_2d(*arys: Any) -> Any:
    return _each(lambda a: sh.reshape(a, np.atleast_2d(_thin(a)).shape), arys)


def atleast_3d(*arys: Any) -> Any:
    return _each(lambda a: sh.reshape(a, np.atleast_3d(_thin(a)).shape), arys)


def _each(f: Callable[[Any], Any], arys: Sequence[Any]) -> Any:
    made = tuple(f(_array(a)) for a in arys)
    return made[0] if len(made) == 1 else made


def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    shape, old = _sizes("broadcast_to", shape), _shape(array)
    fits = all(n in (1, m) for n, m in zip(reversed(old), reversed(shape), strict=False))
    if len(old) > len(shape) or not fits:
        raise ValueError(
            f"broadcast_to: shape {old} does not broadcast to {shape}; counted from the last, each of its "
            "axes must be equal to the new one or 1"
        )
    return _broadcast_to(array, shape=shape)


def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    try:
        shape = np.broadcast_shapes(*map(_shape, args))
    except ValueError:
        shapes = " and ".join(str(_shape(a)) for a in args)
        raise ValueError(f"broadcast_arrays: shapes {shapes} do not broadcast together") from None
    return tuple(broadcast_to(a, shape) for a in args)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    n = len(xi)
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}, expected 'xy' or 'ij'")
    grids = [reshape(x, (1,) * i + (-1,) + (1,) * (n - i - 1)) for i, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        grids = [swapaxes(g, 0, 1) for g in grids]
    return tuple(grids) if sparse else broadcast_arrays(*grids)


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
    _refuse("concatenate", out=out)
    parts = [a if dtype is None else astype(a, dtype) for a in map(_array, arrays)]
    if axis is None:
        parts, axis = [ravel(a) for a in parts], 0
    want = _shape(parts[0])
    if not want:
        raise ValueError("concatenate: operand 0 is a scalar, expected arrays; join scalars with np.stack")
    k = _axis("concatenate", parts[0], axis)
    for i, p in enumerate(parts):
        got = _shape(p)
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
    _refuse("stack", out=out)
    parts = [a if dtype is None else astype(a, dtype) for a in map(_array, arrays)]
    return sh.stack(parts, _axis("stack", parts[0], axis, extra=1))


def vstack(tup: Sequence[Any], *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return concatenate([atleast_2d(a) for a in tup], 0, dtype=dtype)


def hstack(tup: Sequence[Any], *, dtype: Any = None, casting: str = "same_kind") -> Any:
    parts = [atleast_1d(a) for a in tup]
    return concatenate(parts, 0 if len(_shape(parts[0])) == 1 else 1, dtype=dtype)


def dstack(tup: Sequence[Any]) -> Any:
    return concatenate([atleast_3d(a) for a in tup], 2)


def column_stack(tup: Sequence[Any]) -> Any:
    return concatenate([a if len(_shape(a)) > 1 else reshape(a, (-1, 1)) for a in map(_array, tup)], 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return concatenate([arr, values], axis)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    k = _axis("array_split", ary, axis)
    _check_sections("array_split", indices_or_sections)
    where = np.array_split(np.arange(_shape(ary)[k]), indices_or_sections)
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
    k = _axis("split", ary, axis)
    n = _shape(ary)[k]
    _check_sections("split", indices_or_sections)
    if isinstance(indices_or_sections, int | np.integer) and n % indices_or_sections:
        raise ValueError(
            f"split: axis {k} of shape {_shape(ary)} does not divide into {indices_or_sections} equal parts; "
            "use np.array_split for unequal ones"
        )
    return array_split(ary, indices_or_sections, k)


def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 1 if len(_shape(ary)) > 1 else 0)


def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 2)


def unstack(x: Any, /, *, axis: int = 0) -> Any:
    k = _axis("unstack", x, axis)
    return tuple(sh.getitem(x, (slice(None),) * k + (i,)) for i in range(_shape(x)[k]))


def tile(A: Any, reps: Any) -> Any:
    reps = _sizes("tile", tuple(reps) if np.ndim(reps) else reps)
    if any(r < 0 for r in reps):
        raise ValueError(f"tile: reps are {reps}, expected 0 or more")
    shape = _shape(A)
    n = builtins.max(len(shape), len(reps))
    shape, reps = (1,) * (n - len(shape)) + shape, (1,) * (n - len(reps)) + reps
    pairs = tuple(x for k, r in zip(shape, reps, strict=True) for x in (r, k))
    wide = sh.reshape(A, tuple(x for k in shape for x in (1, k)))
    return sh.reshape(broadcast_to(wide, pairs), tuple(k * r for k, r in zip(shape, reps, strict=True)))


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = ravel(a), 0
    k = _axis("repeat", a, axis)
    n = _shape(a)[k]
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "iu" or counts.size not in (1, n) or np.any(counts < 0):
        raise ValueError(
            f"repeat: repeats is {repeats!r}, expected a number of times, or one for each of {n}"
        )
    return take(a, np.repeat(np.arange(n), counts), k)


# -------------------------------------------------------------------- rearranging


def flip(m: Any, axis: Axis = None) -> Any:
    axes = _axes("flip", m, axis)
    return sh.getitem(m, tuple(slice(None, None, -1 if i in axes else 1) for i in range(len(_shape(m)))))


def fliplr(m: Any) -> Any:
    return flip(m, 1)


def flipud(m: Any) -> Any:
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    a, b = _ordered("rot90", m, axes)
    k %= 4
    if k == 2:
        return flip(flip(m, a), b)
    if k == 1:
        return swapaxes(flip(m, b), a, b)
    return flip(swapaxes(m, a, b), b) if k == 3 else m


def roll(a: Any, shift: Any, axis: Axis = None) -> Any:
    if axis is None:
        return reshape(roll(ravel(a), shift, 0), _shape(a))
    axes = _ordered("roll", a, axis, repeated=True)
    shifts = np.broadcast_to(shift, (len(axes),))
    for k, s in zip(axes, shifts, strict=True):
        n = _shape(a)[k]
        s = int(s) % n if n else 0
        if s:
            before = (slice(None),) * k
            a = sh.concatenate(
                [sh.getitem(a, (*before, slice(n - s, n))), sh.getitem(a, (*before, slice(0, n - s)))], k
            )
    return a


def pad(array: Any, pad_width: Any, mode: str = "constant", **kwargs: Any) -> Any:
    shape = _shape(array)
    try:
        width = tuple((int(a), int(b)) for a, b in np.broadcast_to(np.asarray(pad_width), (len(shape), 2)))
    except ValueError:
        raise ValueError(
            f"pad: pad_width is {pad_width!r}, expected one number, (before, after), or such a pair for each "
            f"axis of shape {shape}"
        ) from None
    if mode == "constant":
        constants = kwargs.pop("constant_values", 0)
        if kwargs:
            raise TypeError(f"pad: unknown option {next(iter(kwargs))!r} for mode 'constant'")
        if type(constants) is Value:
            raise TypeError("pad: constant_values is a Value; concatenate it instead")
        padded = sh.pad(array, width=width)
        return (
            padded + np.pad(np.zeros(shape), width, constant_values=constants)
            if np.any(constants)
            else padded
        )
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise TypeError(
            f"pad: mode {mode!r} is not supported for Values, expected constant, edge, reflect, symmetric "
            "or wrap"
        )
    if kwargs not in ({}, {"reflect_type": "even"}):
        raise TypeError(f"pad: option {next(iter(kwargs))!r} is not supported for Values")
    for k, (w, n) in enumerate(zip(width, shape, strict=True)):
        if w != (0, 0):
            array = take(array, np.pad(np.arange(n), w, mode=mode), k)  # type: ignore[call-overload]
    return array


def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Sorted copy; ties keep their order, so each element's derivative goes to one place."""
    np.sort(np.empty(0), kind=kind, order=order)  # an unknown option is NumPy's to refuse
    if axis is None:
        a, axis = ravel(a), 0
    k = _axis("sort", a, axis)
    return take_along_axis(a, np.argsort(current(a), k, kind="stable"), k)


# -------------------------------------------------------------------- indexing


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``."""
    return _picked("getitem", x, tuple(map(_index, index)) if isinstance(index, tuple) else _index(index))


def _picked(name: str, x: Any, index: Any) -> Any:
    try:
        return sh.getitem(x, index)
    except IndexError as error:
        raise IndexError(f"{name}: {error}; the Value has shape {_shape(x)}") from None


def _index(i: Any, name: str = "getitem") -> Any:
    if type(i) is Value:
        raise TypeError(
            f"{name}: the index is a Value; indices are integers, which have no derivative: "
            "use i.data.astype(int)"
        )
    if isinstance(i, list):
        return np.array(i) if i else np.zeros(0, int)
    return i.copy() if isinstance(i, np.ndarray) else i  # the caller may change his


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    _refuse("take", out=out)
    if axis is None:
        a, axis = ravel(a), 0
    k = _axis("take", a, axis)
    indices = np.asarray(_index(indices, "take"))
    n = _shape(a)[k]
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"take: mode is {mode!r}, expected 'raise', 'wrap' or 'clip'")
    if mode != "raise":
        indices = indices % n if mode == "wrap" else np.clip(indices, 0, n - 1)
    return _picked("take", a, (slice(None),) * k + (indices,))


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is None:
        arr, axis = ravel(arr), 0
    k = _axis("take_along_axis", arr, axis)
    indices = np.array(current(indices))
    if indices.ndim != len(_shape(arr)):
        raise ValueError(
            f"take_along_axis: indices have shape {indices.shape}, expected as many axes as arr of shape "
            f"{_shape(arr)}"
        )
    grids = list(np.ix_(*[np.arange(n) for n in _shape(arr)]))
    grids[k] = indices
    return _picked("take_along_axis", arr, tuple(grids))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    n = len(_shape(a))
    i, j = _ordered("diagonal", a, (axis1, axis2))
    a = sh.transpose(a, (*(k for k in range(n) if k not in (i, j)), i, j))
    rows, columns = _shape(a)[-2:]
    length = builtins.max(builtins.min(rows + builtins.min(offset, 0), columns - builtins.max(offset, 0)), 0)
    r = np.arange(length)
    return sh.getitem(a, (Ellipsis, r - builtins.min(offset, 0), r + builtins.max(offset, 0)))


def diag(v: Any, k: int = 0) -> Any:
    if len(_shape(v)) not in (1, 2):
        raise ValueError(f"diag: v has shape {_shape(v)}, expected one axis or two")
    if len(_shape(v)) != 1:
        return diagonal(v, k)
    n = _shape(v)[0] + abs(k)
    r = np.arange(_shape(v)[0])
    return sh.scatter(v, index=(r + builtins.max(-k, 0), r + builtins.max(k, 0)), shape=(n, n))


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    return sum(diagonal(a, offset, axis1, axis2), -1, dtype, out)


def _lower(m: Any, k: int) -> Any:
    """True on and below the k-th diagonal; of a vector, as of the square matrix of its length."""
    rows, columns = (_shape(m) * 2)[-2:]
    return np.tri(rows, columns, k, dtype=bool)


def tril(m: Any, k: int = 0) -> Any:
    _check_axes("tril", m)
    return _where(_lower(m, k), m, 0.0)


def triu(m: Any, k: int = 0) -> Any:
    _check_axes("triu", m)
    return _where(_lower(m, k - 1), 0.0, m)


# -------------------------------------------------------------------- products


def matmul(a: Any, b: Any) -> Any:
    return _matmul("matmul", a, b)


def _matmul(name: str, a: Any, b: Any) -> Any:
    a, b = _array(a), _array(b)
    x, y = _shape(a), _shape(b)
    if not x or not y:
        raise ValueError(f"{name}: a is {x}, b is {y}; a scalar has no axis to multiply along: use *")
    inner = y[-2] if len(y) > 1 else y[0]
    if x[-1] != inner:
        which = "second-to-last" if len(y) > 1 else "only axis"
        raise ValueError(
            f"{name}: a is {x}, b is {y}; a's last axis must equal b's {which} ({x[-1]} != {inner})"
        )
    wide_a = sh.reshape(a, (1, *x)) if len(x) == 1 else a
    wide_b = sh.reshape(b, (*y, 1)) if len(y) == 1 else b
    out = mx.matmul(wide_a, wide_b)
    shape = _shape(out)
    if len(y) == 1:
        shape = shape[:-1]
    if len(x) == 1:
        shape = shape[:-1] if len(y) == 1 else (*shape[:-2], shape[-1])
    return sh.reshape(out, shape)


def _check_lengths(name: str, a: Any, b: Any, m: int, n: int) -> None:
    if m != n:
        raise ValueError(
            f"{name}: a is {_shape(a)}, b is {_shape(b)}; what is summed must be equally long ({m} != {n})"
        )


def dot(a: Any, b: Any, out: Any = None) -> Any:
    _refuse("dot", out=out)
    a, b = _array(a), _array(b)
    if not _shape(a) or not _shape(b):
        return ar.multiply(a, b)
    if len(_shape(b)) <= 2 and len(_shape(a)) <= 2:
        return _matmul("dot", a, b)
    k = -2 if len(_shape(b)) > 1 else 0
    _check_lengths("dot", a, b, _shape(a)[-1], _shape(b)[k])
    return tensordot(a, b, ((-1,), (k,)))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = _array(a), _array(b)
    x, y = _shape(a), _shape(b)
    if isinstance(axes, int | np.integer):
        i, j = tuple(range(len(x) - axes, len(x))), tuple(range(axes))
    else:
        i, j = (tuple(k) if np.ndim(k) else (k,) for k in axes)
    i, j = _ordered("tensordot", a, i), _ordered("tensordot", b, j)
    if [x[k] for k in i] != [y[k] for k in j]:
        raise ValueError(
            f"tensordot: a is {x}, b is {y}; axes {i} of a have lengths {[x[k] for k in i]}, axes {j} of b "
            f"{[y[k] for k in j]}, but they must be equal"
        )
    left = tuple(k for k in range(len(x)) if k not in i)
    right = tuple(k for k in range(len(y)) if k not in j)
    n = math.prod(x[k] for k in i)
    rows, columns = math.prod(x[k] for k in left), math.prod(y[k] for k in right)
    out = mx.matmul(
        sh.reshape(sh.transpose(a, left + i), (rows, n)), sh.reshape(sh.transpose(b, j + right), (n, columns))
    )
    return sh.reshape(out, tuple(x[k] for k in left) + tuple(y[k] for k in right))


def inner(a: Any, b: Any, /) -> Any:
    a, b = _array(a), _array(b)
    if not _shape(a) or not _shape(b):
        return ar.multiply(a, b)
    _check_lengths("inner", a, b, _shape(a)[-1], _shape(b)[-1])
    return tensordot(a, b, ((-1,), (-1,)))


def outer(a: Any, b: Any, out: Any = None) -> Any:
    _refuse("outer", out=out)
    return reshape(_array(a), (-1, 1)) * reshape(_array(b), (1, -1))


def vdot(a: Any, b: Any, /) -> Any:
    a, b = ravel(_array(a)), ravel(_array(b))
    _check_lengths("vdot", a, b, _shape(a)[0], _shape(b)[0])
    return sum(ar.conj(a) * b)


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    a, b = _array(x1), _array(x2)
    _check_lengths("vecdot", a, b, _shape(a)[_axis("vecdot", a, axis)], _shape(b)[_axis("vecdot", b, axis)])
    return sum(ar.conj(a) * b, axis)


def kron(a: Any, b: Any) -> Any:
    a, b = _array(a), _array(b)
    n = builtins.max(len(_shape(a)), len(_shape(b)))
    x, y = ((1,) * (n - len(_shape(m))) + _shape(m) for m in (a, b))
    wide = sh.reshape(a, tuple(k for s in x for k in (s, 1))) * sh.reshape(
        b, tuple(k for s in y for k in (1, s))
    )
    return sh.reshape(wide, tuple(s * t for s, t in zip(x, y, strict=True)))


def einsum(*operands: Any, out: Any = None, optimize: Any = False, **options: Any) -> Any:
    """Einstein summation; several operands are contracted pair by pair along NumPy's best path."""
    _refuse("einsum", out=out, **options)
    if not isinstance(operands[0], str):
        operands = _spelled(operands)
    subscripts, xs = operands[0].replace(" ", ""), [_array(x) for x in operands[1:]]
    terms, target = _explicit(subscripts, [_shape(x) for x in xs])
    if len(xs) > 2:
        path = np.einsum_path(",".join(terms) + "->" + target, *map(raw, xs), optimize="optimal")[0][1:]
    else:
        path = [tuple(range(len(xs)))]
    for step in path:
        chosen = [(terms[i], xs[i]) for i in step]
        terms = [t for i, t in enumerate(terms) if i not in step]
        xs = [x for i, x in enumerate(xs) if i not in step]
        needed = set(target).union(*terms)
        result = (
            "".join(c for c in dict.fromkeys("".join(t for t, _ in chosen)) if c in needed)
            if terms
            else target
        )
        if len(chosen) == 1:
            made = mx.einsum1(chosen[0][1], subscripts=f"{chosen[0][0]}->{result}")
        else:
            (s, a), (t, b), *more = chosen
            if more:  # a step of three or more: two at a time
                for u, c in more:
                    between = "".join(dict.fromkeys(s + t))
                    a, s = mx.einsum2(a, b, subscripts=f"{s},{t}->{between}"), between
                    b, t = c, u
            made = mx.einsum2(a, b, subscripts=f"{s},{t}->{result}")
        terms.append(result)
        xs.append(made)
    return xs[0]


_LETTERS = string.ascii_uppercase + string.ascii_lowercase  # as NumPy sorts them


def _spelled(operands: Sequence[Any]) -> tuple[Any, ...]:
    """``einsum(a, [0, 1], b, [1, 2], [0, 2])`` as ``einsum("ab,bc->ac", a, b)``."""

    def letters(axes: Sequence[Any]) -> str:
        return "".join("..." if i is Ellipsis else _LETTERS[i] for i in axes)

    n = len(operands) // 2
    subscripts = ",".join(letters(axes) for axes in operands[1 : 2 * n : 2])
    if len(operands) % 2:
        subscripts += "->" + letters(operands[-1])
    return (subscripts, *operands[: 2 * n : 2])


def _explicit(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """Subscripts with letters in the place of '...', and the output written out."""
    source, arrow, target = subscripts.partition("->")
    terms = source.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"einsum: subscripts {subscripts!r} name {len(terms)} operands, received {len(shapes)}"
        )
    free = [c for c in _LETTERS if c not in subscripts]
    hidden = [len(s) - len(t.replace("...", "")) for s, t in zip(shapes, terms, strict=True)]
    for i, (t, n) in enumerate(zip(terms, hidden, strict=True)):
        if n < 0 or (n and "..." not in t):
            raise ValueError(f"einsum: subscripts {t!r} do not fit operand {i} of shape {shapes[i]}")
    most = builtins.max(n if "..." in t else 0 for t, n in zip(terms, hidden, strict=True))
    letters = "".join(free[:most])
    terms = [t.replace("...", letters[most - n :] if n else "") for t, n in zip(terms, hidden, strict=True)]
    if arrow:
        return terms, target.replace("...", letters)
    together = "".join(terms)
    return terms, letters + "".join(
        c for c in builtins.sorted(set(together)) if together.count(c) == 1 and c not in letters
    )


# -------------------------------------------------------------------- norm


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = _array(x)
    n = len(_shape(x))
    if axis is None and ord is not None and n > 2:
        raise ValueError(f"norm: x has {n} axes; with ord={ord!r} name one axis (vectors) or two (matrices)")
    axes = _axes("norm", x, axis)
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        return rd.norm(x, axis=axes, keepdims=bool(keepdims))
    if len(axes) == 1:
        if isinstance(ord, str):
            raise ValueError(f"norm: ord={ord!r} is for matrices, x has shape {_shape(x)} along axis {axes}")
        size = ar.absolute(x)
        if ord == math.inf:
            return max(size, axes, keepdims=keepdims)
        if ord == -math.inf:
            return min(size, axes, keepdims=keepdims)
        if ord == 0:
            return np.linalg.norm(current(x), 0, axes[0], keepdims)
        if ord == 1:
            return sum(size, axes, keepdims=keepdims)
        return power(sum(power(size, ord), axes, keepdims=keepdims), 1 / ord)
    if ord in (1, -1, math.inf, -math.inf):
        rows, columns = _ordered("norm", x, axis) if axis is not None else axes
        along, over = (rows, columns) if ord in (1, -1) else (columns, rows)
        totals = sum(ar.absolute(x), along, keepdims=True)
        return (max if ord > 0 else min)(totals, (along, over), keepdims=keepdims)
    raise TypeError(
        f"norm: ord={ord!r} of matrices is not supported for Values; ord None, 'fro', 1, -1, inf, -inf are"
    )
