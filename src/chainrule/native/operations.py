"""NumPy's functions on traced arrays: each call becomes nodes of the captured program.

NumPy's calling conventions end here. What the later stages see is a small vocabulary:

- ``input``, ``constant``; ``cast``, ``where``, and NumPy's elementwise ufuncs by name, with operands
  of the result's dtype, broadcasting as NumPy does
- ``sum max min prod any all`` over ``axis`` (a tuple), keeping the axes as ones
- ``reshape transpose broadcast_to slice unslice concatenate``; ``unslice`` puts an array into zeros
- ``gather`` and ``scatter_add``: integer arrays index the first axes
- ``pack`` makes a vector of scalars, ``element`` takes one out
- ``argmax argmin cumsum cumprod`` along ``axis`` (a tuple of one), keeping it, as one or as it is
- ``matmul`` of two or more axes
- ``call``: a function run by NumPy in the middle of the program; ``item`` picks one of its results,
  or of a loop's: ``scan while cond``
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from chainrule.traced import Traced, TracedError, current_trace, where_in_user_code
from chainrule.value import Value

__all__ = [
    "ELEMENTWISE", "FLOAT64", "REDUCTIONS", "VIEWS",
    "apply_ufunc", "broadcast_to", "cast", "concatenate", "getitem", "leaked", "lift", "matmul", "node",
    "reshape", "scatter", "transpose",
]  # fmt: skip

BOOL, INT64, FLOAT64 = np.dtype(bool), np.dtype(np.int64), np.dtype(np.float64)
_NONE: dict[str, Any] = {}

UNARY = (
    "negative absolute sign exp exp2 expm1 log log2 log10 log1p sqrt cbrt square reciprocal sin cos tan "
    "arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh floor ceil trunc rint isnan isinf isfinite "
    "signbit logical_not invert"
)
BINARY = (
    "add subtract multiply divide power remainder fmod floor_divide maximum minimum fmax fmin logaddexp "
    "logaddexp2 copysign heaviside arctan2 hypot less less_equal greater greater_equal equal not_equal "
    "logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor"
)
ELEMENTWISE = frozenset((UNARY + " " + BINARY + " cast where sech2 sigmoid").split())
REDUCTIONS = frozenset("sum max min prod any all".split())
VIEWS = frozenset("reshape transpose broadcast_to slice element".split())


# -------------------------------------------------------------------- making nodes


def node(
    op: str,
    inputs: tuple[Traced, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    weak: bool = False,
    params: Any = _NONE,
) -> Traced:
    """Write an operation into the capture its inputs belong to."""
    trace = current_trace()
    for x in inputs:
        if x.origin is not trace:
            adopted = [None if trace is None else trace.adopt(i) for i in inputs]
            if any(i is None for i in adopted):
                raise leaked(op)
            inputs = tuple(adopted)  # type: ignore[arg-type]
            break
    assert trace is not None
    made = Traced(trace, op, inputs, shape, dtype, weak, params)
    if trace.lines is not None:
        trace.lines[made] = where_in_user_code()
    return made


def leaked(op: str) -> TracedError:
    """The error for an operation on what belongs to no capture that is going on."""
    return TracedError(
        f"{where_in_user_code()}: {op} of a traced value whose capture has ended; it leaked out of a "
        "compiled function, perhaps through a global or an attribute: return it from the function instead"
    )


def lift(x: Any) -> Traced:
    """Anything that can be an operand, as a node: numbers and plain arrays become constants."""
    kind = type(x)
    if kind is Traced:
        return x  # type: ignore[no-any-return]
    trace = current_trace()
    if trace is None:
        raise leaked("an operation")
    if kind is float or kind is int or kind is bool:
        dtype = FLOAT64 if kind is float else INT64 if kind is int else BOOL
        return Traced(trace, "constant", (), (), dtype, True, {"value": x})
    if kind is Value:
        raise TypeError("a Value among raw data")
    if isinstance(x, list | tuple):
        leaves: list[Any] = optree.tree_leaves(x)  # type: ignore[arg-type]
        if any(type(leaf) is Traced for leaf in leaves):
            return stack([lift(part) for part in x], 0)
    if isinstance(x, np.ndarray) and (held := trace.held(x)) is not None:
        return held
    a = np.asarray(x)
    if not a.dtype.isnative:
        a = a.astype(a.dtype.newbyteorder("="))
    if a.size > 1 and not any(a.strides):  # one number, broadcast
        return broadcast_to(lift(a.reshape(-1)[0]), a.shape)
    if a.dtype.kind not in "fciub":
        raise TypeError(f"compile: an operand is a {kind.__name__}, expected numbers or arrays of them")
    return Traced(trace, "constant", (), a.shape, a.dtype, kind is complex, {"value": a})


def cast(a: Any, dtype: np.dtype[Any], weak: bool = False) -> Traced:
    """``a.astype(dtype)``; a weak result has the dtype of a Python number, which gives way to others."""
    x = lift(a)
    if x.dtype == dtype and x.weak == weak:
        return x
    if x.op == "constant":
        value = np.asarray(x.params["value"]).astype(dtype)
        return Traced(x.origin, "constant", (), x.shape, dtype, weak, {"value": value})
    if dtype.kind == "c" or x.dtype.kind == "c":
        if dtype.kind != "c":
            x = _call(np.real, (x,), {})
        return x if x.dtype == dtype else _call(lambda a: np.asarray(a).astype(dtype), (x,), {})
    return node("cast", (x,), x.shape, dtype, weak)


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    first = shapes[0]
    if shapes.count(first) == len(shapes):
        return first
    if all(s == first or s == () for s in shapes):
        return first if first or len(shapes) == 1 else max(shapes, key=len)
    return np.broadcast_shapes(*shapes)


# -------------------------------------------------------------------- ufuncs

_resolved: dict[Any, Any] = {}


def _resolve(ufunc: np.ufunc, xs: Sequence[Traced]) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
    """The dtypes NumPy would compute in, and the result's."""
    key = (ufunc, *[(x.dtype.char, x.weak) for x in xs])
    found = _resolved.get(key)
    if found is None:
        kinds = {"f": float, "i": int, "c": complex}
        if all(x.weak and x.dtype.kind == "i" for x in xs):
            kinds = {}  # of two Python integers NumPy would make objects, which have no bounds
        given = [kinds.get(x.dtype.kind, x.dtype) if x.weak else x.dtype for x in xs]
        every = ufunc.resolve_dtypes((*given, *[None] * ufunc.nout))
        found = _resolved[key] = every[: ufunc.nin], every[ufunc.nin]
    return found


_plans: dict[Any, Any] = {}
_COUNTING = {np.add, np.subtract, np.multiply, np.negative}


def _plan(ufunc: np.ufunc, xs: Sequence[Traced]) -> Any:
    """How a ufunc of these dtypes is written down: name, theirs, its own, weak; None where NumPy runs it."""
    name = "absolute" if ufunc is np.fabs else ufunc.__name__
    if name not in ELEMENTWISE or any(x.dtype.kind == "c" or x.dtype.itemsize not in (1, 4, 8) for x in xs):
        return None
    dtypes, dtype = _resolve(ufunc, xs)
    if all(d == BOOL for d in dtypes):
        name = {
            "add": "logical_or",
            "multiply": "logical_and",
            "maximum": "logical_or",
            "minimum": "logical_and",
        }.get(name, name)
    if dtype.kind not in "fiub" or any(d.itemsize not in (1, 4, 8) for d in (*dtypes, dtype)):
        return None
    return name, dtypes, dtype, all(x.weak for x in xs)


def apply_ufunc(ufunc: np.ufunc, *operands: Any) -> Traced:
    """``ufunc(*operands)`` with NumPy's promotion and broadcasting."""
    xs = [x if type(x) is Traced else lift(x) for x in operands]
    if ufunc in _COUNTING and all(x.weak and x.dtype is BOOL for x in xs):
        xs = [cast(x, INT64, True) for x in xs]  # True + True = 2, of Python's own
    key = (ufunc, *[(x.dtype.char, x.weak) for x in xs])
    try:
        plan = _plans[key]
    except KeyError:
        special = _SPECIAL.get(ufunc)
        if special is not None:
            made = special(*xs)
            if made is not None:
                return made
        plan = _plans[key] = _plan(ufunc, xs)
    if plan is None:
        return _call(ufunc, operands, {})  # type: ignore[no-any-return]
    name, dtypes, dtype, weak = plan
    shape = xs[0].shape
    if len(xs) > 1 and xs[1].shape != shape:
        try:
            shape = broadcast_shapes(shape, xs[1].shape)
        except ValueError:
            raise ValueError(
                f"{name}: operands of shapes {shape} and {xs[1].shape} do not broadcast together; counted "
                "from the last, each pair of axes must be equal or one of them 1"
            ) from None
    inputs = tuple([x if x.dtype is d or x.dtype == d else cast(x, d, x.weak) for x, d in zip(xs, dtypes)])
    return node(name, inputs, shape, dtype, weak)


def _scaled(factor: float) -> Callable[..., Traced]:
    return lambda x: apply_ufunc(np.multiply, x, factor)


# Ufuncs that are written as something else; None from one of these: it is written as itself.
_SPECIAL: dict[np.ufunc, Callable[..., Traced | None]] = {
    np.matmul: lambda a, b: matmul(a, b),
    np.conjugate: lambda x: None if x.dtype.kind == "c" else x,
    np.positive: lambda x: x,
    np.deg2rad: _scaled(math.pi / 180),
    np.radians: _scaled(math.pi / 180),
    np.rad2deg: _scaled(180 / math.pi),
    np.degrees: _scaled(180 / math.pi),
    np.ldexp: lambda x, n: apply_ufunc(np.multiply, x, apply_ufunc(np.exp2, cast(n, x.dtype))),
}


def array_ufunc(self: Traced, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    for x in inputs:
        if type(x) is Value:
            return NotImplemented  # the Value knows what to do
    if method == "__call__" and not options:
        return apply_ufunc(ufunc, *inputs)
    if "out" in options:
        raise TracedError(
            f"{where_in_user_code()}: {ufunc.__name__} with out=, or an in-place operator on a plain array: "
            "a traced value has no numbers to write there; assign the result instead"
        )
    if method == "reduce" and ufunc.__name__ in _REDUCE_NAMES:
        return REDUCE[_REDUCE_NAMES[ufunc.__name__]](inputs[0], **{"axis": 0, **options})
    if method == "accumulate" and ufunc.__name__ in ("add", "multiply"):
        return (cumsum if ufunc.__name__ == "add" else cumprod)(inputs[0], **{"axis": 0, **options})
    if method == "outer" and not options:
        a, b = map(lift, inputs)
        return apply_ufunc(ufunc, reshape(a, a.shape + (1,) * b.ndim), b)
    return _call(getattr(ufunc, method), inputs, options)


_REDUCE_NAMES = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min",
                 "logical_or": "any", "logical_and": "all"}  # fmt: skip


def where(condition: Any, x: Any, y: Any) -> Traced:
    """``np.where(condition, x, y)``."""
    c, x, y = lift(condition), lift(x), lift(y)
    if c.dtype != BOOL:
        c = apply_ufunc(np.not_equal, c, 0)
    _, dtype = (
        _resolve(np.add, (x, y))
        if BOOL not in (x.dtype, y.dtype)
        else (None, np.result_type(x.dtype, y.dtype))
    )
    weak = x.weak and y.weak and c.shape == ()
    if dtype.kind == "c":
        return _call(np.where, (c, x, y), {})  # type: ignore[no-any-return]
    shape = broadcast_shapes(c.shape, x.shape, y.shape)
    return node("where", (c, cast(x, dtype, x.weak), cast(y, dtype, y.weak)), shape, dtype, weak)


_where = where  # where a parameter has that name


# -------------------------------------------------------------------- shape


def reshape(x: Traced, shape: Any, *rest: Any, order: str = "C", copy: Any = None) -> Traced:
    """``x.reshape(shape)``, one size perhaps -1."""
    shape = (shape, *rest) if rest or not isinstance(shape, tuple | list) else tuple(shape)
    shape = tuple(map(operator.index, shape))
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        shape = tuple(x.size // max(known, 1) if n == -1 else n for n in shape)
    if math.prod(shape) != x.size or order != "C":
        raise ValueError(f"reshape: an array of shape {x.shape} does not fit shape {shape}")
    return x if shape == x.shape else node("reshape", (x,), shape, x.dtype, False)


def transpose(x: Traced, axes: Any = None, *rest: Any) -> Traced:
    """``x.transpose(axes)``."""
    n = x.ndim
    if rest:
        axes = (axes, *rest)
    axes = tuple(reversed(range(n))) if axes is None else tuple(operator.index(a) % n for a in axes)
    if axes == tuple(range(n)):
        return x
    return node("transpose", (x,), tuple(x.shape[a] for a in axes), x.dtype, False, {"axes": axes})


def broadcast_to(a: Any, shape: Any, subok: bool = False) -> Traced:
    """``np.broadcast_to(a, shape)``."""
    x, shape = lift(a), tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if x.shape == shape:
        return x
    if np.broadcast_shapes(x.shape, shape) != shape:
        raise ValueError(f"broadcast_to: shape {x.shape} does not broadcast to {shape}")
    return node("broadcast_to", (x,), shape, x.dtype, False)


def concatenate(arrays: Any, axis: Any = 0, out: Any = None, dtype: Any = None, casting: str = "") -> Traced:
    """``np.concatenate(arrays, axis)``; `cast` to ``dtype``, else to what they promote to."""
    xs = [lift(a) for a in arrays]
    if axis is None:
        xs, axis = [reshape(x, (x.size,)) for x in xs], 0
    kind = np.result_type(*[x.dtype for x in xs]) if dtype is None else np.dtype(dtype)
    axis = operator.index(axis) % xs[0].ndim
    if kind.kind == "c":
        return _call(np.concatenate, (xs, axis), {})  # type: ignore[no-any-return]
    xs = [cast(x, kind) for x in xs]
    if len(xs) == 1:
        return xs[0]
    first = xs[0].shape
    for x in xs:
        if x.shape[:axis] + x.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise ValueError(f"concatenate: shapes {first} and {x.shape} differ beyond axis {axis}")
    shape = first[:axis] + (sum(x.shape[axis] for x in xs),) + first[axis + 1 :]
    return node("concatenate", tuple(xs), shape, kind, False, {"axis": axis})


def stack(arrays: Any, axis: int = 0, out: Any = None) -> Traced:
    xs = [lift(a) for a in arrays]
    axis %= xs[0].ndim + 1
    return concatenate([reshape(x, x.shape[:axis] + (1,) + x.shape[axis:]) for x in xs], axis)


def squeeze(x: Traced, axis: Any = None) -> Traced:
    axes = (
        range(x.ndim)
        if axis is None
        else [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    )
    return reshape(
        x, tuple(n for i, n in enumerate(x.shape) if not (i in axes and (n == 1 or axis is not None)))
    )


def expand_dims(x: Traced, axis: Any) -> Traced:
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    n = x.ndim + len(axes)
    new = {a % n for a in axes}
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if i in new else next(sizes) for i in range(n)))


def swapaxes(x: Traced, a: int, b: int) -> Traced:
    axes = list(range(x.ndim))
    axes[a], axes[b] = axes[b], axes[a]
    return transpose(x, axes)


def pad(x: Traced, pad_width: Any, mode: str = "constant", **options: Any) -> Traced:
    if mode != "constant" or any(np.any(v) for v in options.values()):
        return _call(np.pad, (x, pad_width, mode), options)  # type: ignore[no-any-return]
    width = [tuple(map(int, w)) for w in np.broadcast_to(np.asarray(pad_width), (x.ndim, 2))]
    shape = tuple(a + n + b for (a, b), n in zip(width, x.shape, strict=True))
    return unslice(x, tuple(a for a, _ in width), (1,) * x.ndim, shape)


def unslice(x: Traced, starts: tuple[int, ...], steps: tuple[int, ...], shape: tuple[int, ...]) -> Traced:
    """Zeros of ``shape`` with ``x`` at ``starts``, ``starts + steps``, ..."""
    if shape == x.shape and all(s == 1 for s in steps):
        return x
    if x.dtype.kind == "c":
        index = tuple(_slice(a, n, s) for a, n, s in zip(starts, x.shape, steps, strict=True))
        return _call(_place, (x,), {"index": index, "shape": shape})  # type: ignore[no-any-return]
    return node("unslice", (x,), shape, x.dtype, False, {"starts": starts, "steps": steps})


def _slice(start: int, count: int, step: int) -> slice:
    stop = start + count * step
    return slice(start, None if stop < 0 else stop, step)


def _place(x: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, x.dtype)
    out[index] = x
    return out


# -------------------------------------------------------------------- indexing


def getitem(x: Traced, index: Any) -> Traced:
    """``x[index]``; a mask must be known while compiling."""
    return _indexed(x, index)[0]


def _indexed(x: Traced, index: Any) -> tuple[Traced, Callable[[Traced], Traced]]:
    """``x[index]``, and the way back: what puts the result's cotangent into zeros of x's shape."""
    if type(index) is tuple and not index:
        return x, lambda g: g
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [np.asarray(p) if isinstance(p, list) else p for p in parts]
    spread: list[Any] = []
    for p in parts:
        if isinstance(p, np.ndarray) and p.dtype == bool:
            spread += list(np.nonzero(p)) if p.ndim else [None if bool(p) else np.zeros(0, int)]
        elif type(p) is Traced and p.dtype == BOOL:
            raise TracedError(
                f"{where_in_user_code()}: indexing with a traced mask: how many elements it picks is not "
                "known while compiling; use np.where(mask, x, 0)"
            )
        elif type(p) is Value:
            raise TypeError("getitem: the index is a Value; indices are integers, which have no derivative")
        else:
            spread.append(p)
    named = sum(p is not None and p is not Ellipsis for p in spread)
    if named > x.ndim:
        raise IndexError(f"too many indices: {named} for shape {x.shape}")
    if not any(p is Ellipsis for p in spread):
        spread.append(Ellipsis)
    at = next(i for i, p in enumerate(spread) if p is Ellipsis)
    spread[at : at + 1] = [slice(None)] * (x.ndim - named)
    starts, steps, counts = [], [], []
    squeezed: list[Any] = []  # for each axis of the result before advanced indexing: kept, or an index array
    axis = 0
    for p in spread:
        if p is None:
            squeezed.append(None)
            continue
        n = x.shape[axis]
        if isinstance(p, slice):
            start, stop, step = p.indices(n)
            starts.append(start)
            steps.append(step)
            counts.append(len(range(start, stop, step)))
            squeezed.append(axis)
        elif isinstance(p, int | np.integer) and not isinstance(p, bool):
            if not -n <= p < n:
                raise IndexError(
                    f"index {p} is out of bounds for axis {axis} with size {n}; the array has shape {x.shape}"
                )
            starts.append(int(p) % n)
            steps.append(1)
            counts.append(1)
            squeezed.append("drop")
        else:
            i = lift(p)
            if i.dtype.kind not in "iu":
                raise IndexError(f"an index is an array of {i.dtype}, expected integers")
            if i.op == "constant" and i.size:
                a = np.asarray(i.params["value"])
                if a.min() < -n or a.max() >= n:
                    wrong = a.max() if a.max() >= n else a.min()
                    raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {n}")
            starts.append(0)
            steps.append(1)
            counts.append(n)
            squeezed.append(i)
        axis += 1
    sliced = _take_slice(x, tuple(starts), tuple(steps), tuple(counts))
    arrays = [s for s in squeezed if type(s) is Traced]

    def back_slice(g: Traced) -> Traced:
        return unslice(reshape(g, sliced.shape), tuple(starts), tuple(steps), x.shape)

    if not arrays:
        sizes = iter(sliced.shape)
        shape = []
        for s in squeezed:
            n = 1 if s is None else next(sizes)
            if s != "drop":
                shape.append(n)
        return reshape(sliced, tuple(shape)), back_slice
    # integers beside index arrays are index arrays themselves: they decide where the new axes go
    positions = [i for i, s in enumerate(squeezed) if type(s) is Traced or (isinstance(s, str))]
    together = positions == list(range(positions[0], positions[-1] + 1))
    with_new = [1 if s is None else None for s in squeezed]
    sizes = iter(sliced.shape)
    wide = reshape(sliced, tuple(1 if n == 1 else next(sizes) for n in with_new))
    chosen = [i for i, s in enumerate(squeezed) if type(s) is Traced]
    dropped = [i for i, s in enumerate(squeezed) if isinstance(s, str)]
    others = [i for i, s in enumerate(squeezed) if i not in chosen and i not in dropped]
    order = (*chosen, *dropped, *others)
    front = transpose(wide, order)
    front_shape = tuple(wide.shape[i] for i in chosen) + tuple(wide.shape[i] for i in others)
    ishape = broadcast_shapes(*[i.shape for i in arrays])
    picked = gather(reshape(front, front_shape), arrays, ishape)
    k = len(ishape)
    before = [j for j, i in enumerate(others) if i < positions[0]] if together else []
    axes = (*[k + j for j in before], *range(k), *[k + j for j in range(len(others)) if j not in before])

    def back(g: Traced) -> Traced:
        g = transpose(g, tuple(int(i) for i in np.argsort(axes)))
        g = scatter_add(g, arrays, ishape, front_shape)
        g = reshape(g, front.shape)
        return back_slice(transpose(g, tuple(int(i) for i in np.argsort(order))))

    return transpose(picked, axes), back


def _take_slice(
    x: Traced, starts: tuple[int, ...], steps: tuple[int, ...], counts: tuple[int, ...]
) -> Traced:
    if counts == x.shape and all(s == 1 for s in steps):
        return x
    if x.dtype.kind == "c":
        index = tuple(_slice(a, n, s) for a, n, s in zip(starts, counts, steps, strict=True))
        return _call(operator.getitem, (x, index), {})  # type: ignore[no-any-return]
    return node("slice", (x,), counts, x.dtype, False, {"starts": starts, "steps": steps})


def gather(x: Traced, indices: Sequence[Traced], shape: tuple[int, ...]) -> Traced:
    """``x[i1, i2, ...]`` with integer arrays that broadcast to ``shape``, on the first axes."""
    if x.dtype.kind == "c":
        return _call(lambda a, *i: a[tuple(i)], (x, *indices), {})  # type: ignore[no-any-return]
    inputs = tuple(cast(i, INT64) for i in indices)
    return node("gather", (x, *inputs), shape + x.shape[len(indices) :], x.dtype, False, {"indexed": shape})


def scatter_add(
    g: Traced, indices: Sequence[Traced], indexed: tuple[int, ...], shape: tuple[int, ...]
) -> Traced:
    """Zeros of ``shape`` to which ``g`` is added at ``[i1, i2, ...]``: the transpose of `gather`."""
    if g.dtype.kind == "c":
        return _call(_add_at, (g, *indices), {"shape": shape})  # type: ignore[no-any-return]
    inputs = tuple(cast(i, INT64) for i in indices)
    return node("scatter_add", (g, *inputs), shape, g.dtype, False, {"indexed": indexed})


def _add_at(g: Any, *indices: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    np.add.at(out, indices, g)
    return out


def scatter(g: Any, index: Any, shape: tuple[int, ...]) -> Traced:
    """The transpose of ``x[index]`` for an ``x`` of ``shape``."""
    g = lift(g)
    like = node("input", (), shape, g.dtype)  # stands for x; only its shape is looked at
    picked, back = _indexed(like, index)
    return back(reshape(broadcast_to(g, picked.shape), picked.shape))


# -------------------------------------------------------------------- reductions and products


def _axes(x: Traced, axis: Any) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    for a in axes:
        if not -x.ndim <= operator.index(a) < x.ndim:
            raise np.exceptions.AxisError(operator.index(a), x.ndim)
    return tuple(sorted(operator.index(a) % x.ndim for a in axes))


def _reduction(name: str) -> Callable[..., Traced]:
    function: Any = {"max": np.amax, "min": np.amin}.get(name, getattr(np, name))

    def reduce(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
        initial: Any = np._NoValue, where: Any = True,
    ) -> Traced:  # fmt: skip
        x = lift(a)
        keep = keepdims is not np._NoValue and bool(keepdims)
        if out is not None:
            raise TracedError(
                f"{where_in_user_code()}: {name}: out= of a traced value; assign the result instead"
            )
        chosen = where is not True and where is not np._NoValue
        if chosen and name in ("sum", "prod") and x.dtype.kind == "f":
            x, chosen = _where(where, x, 0.0 if name == "sum" else 1.0), False
        if chosen or x.dtype.kind == "c" or x.dtype.itemsize not in (1, 4, 8):
            options = {"axis": axis, "keepdims": keep}
            if initial is not np._NoValue:
                options["initial"] = initial
            if chosen:
                options["where"] = where
            return _call(function, (x,), options)  # type: ignore[no-any-return]
        if name in ("sum", "prod"):
            x = cast(x, np.dtype(dtype) if dtype is not None else _accumulator(x.dtype))
        elif name in ("any", "all"):
            x = x if x.dtype == BOOL else apply_ufunc(np.not_equal, x, 0)
        axes = _axes(x, axis)
        count = math.prod(x.shape[i] for i in axes)
        if count == 0 and name in ("max", "min") and initial is np._NoValue:
            raise ValueError(f"{name}: zero-size array of shape {x.shape} has no {name}")
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        if count == 0:
            start = {"sum": 0, "prod": 1, "any": False, "all": True}.get(name, initial)
            y = broadcast_to(cast(lift(start), x.dtype), kept)
        elif (axes and count != 1) or name in ("any", "all"):
            y = node(name, (x,), kept, x.dtype, False, {"axis": axes})
        else:
            y = reshape(x, kept)
        if initial is not np._NoValue and not (name == "max" and initial == -np.inf):
            combine = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[name]
            y = apply_ufunc(combine, y, initial)
        return y if keep else reshape(y, tuple(n for i, n in enumerate(x.shape) if i not in axes))

    return reduce


def _accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return INT64 if dtype.kind in "bi" else np.dtype(np.uint64) if dtype.kind == "u" else dtype


REDUCE = {name: _reduction(name) for name in REDUCTIONS}


def _arg(name: str) -> Callable[..., Traced]:
    def find(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Traced:
        x, keep = lift(a), keepdims is not np._NoValue and bool(keepdims)
        if x.dtype.kind == "c" or out is not None:
            return _call(getattr(np, name), (x,), {"axis": axis, "keepdims": keep})  # type: ignore[no-any-return]
        if axis is None or not x.shape:
            kept: tuple[int, ...] = (1,) * x.ndim
            axes: tuple[int, ...] = (0,)
            x = reshape(x, (x.size,))
        else:
            axes = _axes(x, operator.index(axis))
            kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        if x.shape[axes[0]] == 0 and (axis is None or 0 not in kept):
            raise ValueError(f"{name}: there is nothing to compare in an array of shape {lift(a).shape}")
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        y = node(name, (x,), shape, INT64, False, {"axis": axes})
        dropped = () if axis is None else tuple(n for i, n in enumerate(shape) if i not in axes)
        return reshape(y, kept if keep else dropped)

    return find


def _cumulative(name: str) -> Callable[..., Traced]:
    def accumulate(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Traced:
        x = lift(a)
        kind = _accumulator(x.dtype) if dtype is None else np.dtype(dtype)
        if kind.char not in "fdql" or x.dtype.kind in "uc" or out is not None:
            return _call(getattr(np, name), (x,), {"axis": axis, "dtype": dtype})  # type: ignore[no-any-return]
        if axis is None or not x.shape:
            x, axis = reshape(x, (x.size,)), 0
        return node(name, (cast(x, kind),), x.shape, kind, False, {"axis": _axes(x, operator.index(axis))})

    return accumulate


argmax, argmin = _arg("argmax"), _arg("argmin")
cumsum, cumprod = _cumulative("cumsum"), _cumulative("cumprod")


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **options: Any
) -> Traced:
    x = lift(a)
    if x.dtype.kind in "biu":
        x = cast(x, FLOAT64)
    total = REDUCE["sum"](x, axis, dtype, None, keepdims)
    count = math.prod(x.shape[i] for i in _axes(x, axis))
    return apply_ufunc(np.divide, total, float(count))


def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = False,
    **o: Any,
) -> Traced:
    x = lift(a)
    if o.get("correction", np._NoValue) is not np._NoValue:
        ddof = o["correction"]
    if o.get("where", True) is not True:
        raise TracedError(
            f"{where_in_user_code()}: var: where= of a traced value; write it out with np.where"
        )
    if x.dtype.kind == "c":
        return _call(np.var, (x,), {"axis": axis, "ddof": ddof, "keepdims": keepdims})  # type: ignore[no-any-return]
    c = apply_ufunc(np.subtract, x, mean(x, axis, keepdims=True))
    total = REDUCE["sum"](apply_ufunc(np.multiply, c, c), axis, None, None, keepdims)
    count = math.prod(x.shape[i] for i in _axes(x, axis)) - ddof
    return apply_ufunc(np.divide, total, float(count) if count > 0 else 0.0)


def std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False,
        **o: Any) -> Traced:  # fmt: skip
    return apply_ufunc(np.sqrt, var(a, axis, dtype, out, ddof, keepdims, **o))


def matmul(a: Any, b: Any) -> Traced:
    """``a @ b``."""
    a, b = lift(a), lift(b)
    if not a.shape or not b.shape:
        raise ValueError("matmul: an operand is a scalar; use *")
    dtype = np.result_type(a.dtype, b.dtype)
    wide_a = reshape(a, (1, *a.shape)) if a.ndim == 1 else a
    wide_b = reshape(b, (*b.shape, 1)) if b.ndim == 1 else b
    if wide_a.shape[-1] != wide_b.shape[-2]:
        raise ValueError(
            f"matmul: a is {a.shape}, b is {b.shape}; a's last axis must equal b's "
            f"{'second-to-last' if b.ndim > 1 else 'only axis'} ({wide_a.shape[-1]} != {wide_b.shape[-2]})"
        )
    if dtype.char not in "fd":
        return _call(np.matmul, (a, b), {})  # type: ignore[no-any-return]
    batch = np.broadcast_shapes(wide_a.shape[:-2], wide_b.shape[:-2])
    shape = (*batch, wide_a.shape[-2], wide_b.shape[-1])
    y = node("matmul", (cast(wide_a, dtype), cast(wide_b, dtype)), shape, dtype)
    if b.ndim == 1:
        shape = shape[:-1]
    if a.ndim == 1:
        shape = shape[:-1] if b.ndim == 1 else (*shape[:-2], shape[-1])
    return reshape(y, shape)


def einsum(*operands: Any, optimize: Any = False, **options: Any) -> Traced:
    """Two operands without repeated indices become a matmul; anything else is NumPy's to do."""
    subscripts, *xs = operands
    if options or not isinstance(subscripts, str) or "->" not in subscripts or "." in subscripts:
        return _call(np.einsum, operands, options)  # type: ignore[no-any-return]
    source, target = subscripts.replace(" ", "").split("->")
    terms = source.split(",")
    xs = [lift(x) for x in xs]
    if any(len(set(t)) < len(t) for t in (*terms, target)) or len(terms) > 2:
        return _call(np.einsum, (subscripts, *xs), {})  # type: ignore[no-any-return]
    for i, t in enumerate(terms):  # what only one operand has and the result has not is summed at once
        other = target + "".join(u for j, u in enumerate(terms) if j != i)
        alone = tuple(k for k, c in enumerate(t) if c not in other)
        if alone:
            xs[i] = REDUCE["sum"](xs[i], alone)
            terms[i] = "".join(c for c in t if c in other)
    if len(terms) == 1:
        return transpose(xs[0], [terms[0].index(c) for c in target])
    (a, b), (s, t) = xs, terms
    size = dict(zip(s, a.shape, strict=True))
    for c, n in zip(t, b.shape, strict=True):
        if size.setdefault(c, n) != n and 1 in (size[c], n):
            return _call(np.einsum, (subscripts, *xs), {})  # type: ignore[no-any-return]
        if size[c] != n:
            raise ValueError(f"einsum: index {c!r} has sizes {size[c]} and {n} in {subscripts!r}")
    batch = [c for c in s if c in t and c in target]
    inner = [c for c in s if c in t and c not in target]
    left, right = [c for c in s if c not in t], [c for c in t if c not in s]
    count = {k: math.prod(size[c] for c in v) for k, v in (("i", inner), ("l", left), ("r", right))}
    shape = tuple(size[c] for c in batch)
    a = reshape(transpose(a, [s.index(c) for c in batch + left + inner]), (*shape, count["l"], count["i"]))
    b = reshape(transpose(b, [t.index(c) for c in batch + inner + right]), (*shape, count["i"], count["r"]))
    y = reshape(matmul(a, b), tuple(size[c] for c in batch + left + right))
    return transpose(y, [(batch + left + right).index(c) for c in target])


def clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None
) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    y = a if low is None else apply_ufunc(np.maximum, a, low)
    return y if high is None else apply_ufunc(np.minimum, y, high)


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Traced:
    x = lift(x)
    limits = np.finfo(x.dtype)
    y = where(apply_ufunc(np.isnan, x), nan, x)
    y = where(apply_ufunc(np.equal, x, np.inf), limits.max if posinf is None else posinf, y)
    return where(apply_ufunc(np.equal, x, -np.inf), limits.min if neginf is None else neginf, y)


def _infinite(sign: float) -> Callable[[Any], Traced]:
    return lambda x: apply_ufunc(np.equal, x, sign * np.inf)


def _full(x: Any, value: Any, dtype: Any = None, shape: Any = None) -> Traced:
    x = lift(x)
    kind = x.dtype if dtype is None else np.dtype(dtype)
    return broadcast_to(cast(lift(value), kind, x.weak), x.shape if shape is None else shape)


# -------------------------------------------------------------------- what NumPy does itself

_DATA_DEPENDENT = {np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.extract, np.compress, np.bincount}


def _call(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """A function without a lowering: it is run by NumPy in the middle of the program.

    Shapes and dtypes of its results come from a trial run on ones.
    """
    flat: list[Any]
    flat, spec = optree.tree_flatten((args, kwargs), none_is_leaf=True)  # type: ignore[arg-type]
    traced = [i for i, x in enumerate(flat) if type(x) is Traced]
    name = getattr(function, "__name__", str(function))
    if function in _DATA_DEPENDENT and function is not np.bincount:
        raise TracedError(
            f"{where_in_user_code()}: {name} of a traced value: the result's shape depends on the "
            "numbers, which are not known while compiling; use np.where with a mask, or do it outside the "
            "compiled function"
        )
    trial = list(flat)
    for i in traced:
        if flat[i].weak:
            trial[i] = np.ones((), flat[i].dtype).item()
            continue
        trial[i] = np.ones(flat[i].shape, flat[i].dtype)[()]
        if len(flat[i].shape) > 1 and flat[i].shape[-1] == flat[i].shape[-2] and flat[i].dtype.kind in "fc":
            trial[i] += np.eye(flat[i].shape[-1], dtype=flat[i].dtype)  # a matrix that has an inverse
    a, k = optree.tree_unflatten(spec, trial)
    with np.errstate(all="ignore"):
        sample = function(*a, **k)
    inputs = tuple(flat[i] for i in traced)
    rest = tuple(None if i in set(traced) else x for i, x in enumerate(flat))
    params = {"function": function, "name": name, "spec": spec, "rest": rest, "traced": tuple(traced)}
    if isinstance(sample, tuple | list):
        shapes = tuple((np.shape(s), np.asarray(s).dtype) for s in sample)
        made = node("call", inputs, (), FLOAT64, False, {**params, "results": shapes})
        items = [node("item", (made,), s, d, False, {"index": i}) for i, (s, d) in enumerate(shapes)]
        return tuple(items) if isinstance(sample, tuple) else items
    sample = np.asarray(sample)
    return node("call", inputs, sample.shape, sample.dtype, False, params)


# -------------------------------------------------------------------- NumPy's protocols


def _moveaxis(x: Traced, source: Any, destination: Any) -> Traced:
    start = [a % x.ndim for a in (source if isinstance(source, tuple | list) else (source,))]
    end = [a % x.ndim for a in (destination if isinstance(destination, tuple | list) else (destination,))]
    order = [k for k in range(x.ndim) if k not in start]
    for to, k in sorted(zip(end, start, strict=True)):
        order.insert(to, k)
    return transpose(x, order)


FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: REDUCE["sum"], np.prod: REDUCE["prod"], np.any: REDUCE["any"], np.all: REDUCE["all"],
    np.max: lambda a, axis=None, out=None, **o: REDUCE["max"](a, axis, **o),
    np.min: lambda a, axis=None, out=None, **o: REDUCE["min"](a, axis, **o),
    np.argmax: argmax, np.argmin: argmin, np.cumsum: cumsum, np.cumprod: cumprod,
    np.mean: mean, np.var: var, np.std: std, np.where: where, np.clip: clip, np.nan_to_num: nan_to_num,
    np.reshape: lambda a, /, shape=None, order="C", **o: reshape(lift(a), shape, order=order),
    np.ravel: lambda a, order="C": reshape(lift(a), (-1,) if lift(a).size else (0,)),
    np.transpose: transpose, np.broadcast_to: broadcast_to, np.concatenate: concatenate, np.stack: stack,
    np.squeeze: squeeze, np.expand_dims: expand_dims, np.swapaxes: swapaxes, np.moveaxis: _moveaxis,
    np.pad: pad, np.einsum: einsum, np.dot: lambda a, b, out=None: (
        matmul(a, b) if lift(b).ndim in (1, 2) and lift(a).ndim else apply_ufunc(np.multiply, a, b)
        if not lift(a).ndim or not lift(b).ndim else _call(np.dot, (a, b), {})
    ),
    np.matrix_transpose: lambda x: swapaxes(x, -1, -2),
    np.zeros_like: lambda x, dtype=None, order="K", subok=True, shape=None: _full(x, 0, dtype, shape),
    np.ones_like: lambda x, dtype=None, order="K", subok=True, shape=None: _full(x, 1, dtype, shape),
    np.empty_like: lambda x, dtype=None, order="K", subok=True, shape=None: _full(x, 0, dtype, shape),
    np.full_like: lambda x, v, dtype=None, order="K", subok=True, shape=None: _full(x, v, dtype, shape),
    np.real: lambda x: x if x.dtype.kind != "c" else _call(np.real, (x,), {}),
    np.imag: lambda x: _full(x, 0) if x.dtype.kind != "c" else _call(np.imag, (x,), {}),
    np.copy: lambda a, order="K", subok=False: a,
    np.round: lambda a, decimals=0, out=None: apply_ufunc(np.rint, a) if decimals == 0 else _call(
        np.round, (a, decimals), {}),
    np.isposinf: _infinite(1.0), np.isneginf: _infinite(-1.0),
    np.shape: lambda a: a.shape, np.ndim: lambda a: a.ndim, np.size: lambda a, axis=None: (
        a.size if axis is None else a.shape[axis]),
    np.iscomplexobj: lambda x: x.dtype.kind == "c", np.isrealobj: lambda x: x.dtype.kind != "c",
    np.astype: lambda x, dtype, /, copy=True, device=None: cast(x, np.dtype(dtype)),
    np.result_type: lambda *xs: np.result_type(*[x.dtype if type(x) is Traced else x for x in xs]),
    np.array_repr: repr, np.array_str: repr,
}  # fmt: skip
FUNCTIONS[np.amax], FUNCTIONS[np.amin] = FUNCTIONS[np.max], FUNCTIONS[np.min]
FUNCTIONS[np.permute_dims] = transpose


def array_function(self: Traced, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
    if Value in types:
        return NotImplemented
    f = FUNCTIONS.get(function)
    if f is not None and not (function is np.where and len(args) == 1):
        return f(*args, **kwargs)
    if function is np.where:
        function = np.nonzero
    return _call(function, args, kwargs)


def _operator(ufunc: np.ufunc) -> tuple[Any, Any]:
    name = ufunc.__name__
    quick = None  # the result's dtype for numbers
    if name in BINARY.split() and not name.startswith("bitwise"):
        quick = {"f": FLOAT64, "b": BOOL}.get(ufunc.resolve_dtypes((FLOAT64, FLOAT64, None))[2].kind)

    def forward(self: Traced, other: Any) -> Any:
        if self.dtype is FLOAT64 and quick is not None:  # numbers among numbers: scalar graphs have very many
            if type(other) is float:
                if not self.shape:
                    other = Traced(self.origin, "constant", (), (), FLOAT64, True, {"value": other})
                    return node(name, (self, other), (), quick, self.weak)
            elif type(other) is Traced and other.dtype is FLOAT64 and self.shape == other.shape == ():
                return node(name, (self, other), (), quick, self.weak and other.weak)
        if type(other) is Value or not isinstance(other, _OPERANDS):
            return NotImplemented
        return apply_ufunc(ufunc, self, other)

    def reflected(self: Traced, other: Any) -> Any:
        if type(other) is Value or not isinstance(other, _OPERANDS):
            return NotImplemented
        return apply_ufunc(ufunc, other, self)

    return forward, reflected


_OPERANDS = (Traced, float, int, complex, np.ndarray, np.generic, list, tuple)

for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide, "pow": np.power,
    "mod": np.remainder, "floordiv": np.floor_divide, "matmul": np.matmul, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor,
}.items():  # fmt: skip
    _forward, _reflected = _operator(_ufunc)
    setattr(Traced, f"__{_name}__", _forward)
    setattr(Traced, f"__r{_name}__", _reflected)


def _in_place(ufunc: np.ufunc) -> Any:
    """``x -= y``: what an array would do to itself is remembered for `Value.data`'s setter."""

    def method(self: Traced, other: Any) -> Any:
        if type(other) is Value:
            return NotImplemented
        made = apply_ufunc(ufunc, self, other)
        made.origin.grown.add(made)
        return made

    return method


for _name, _ufunc in {"add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide}.items():
    setattr(Traced, f"__i{_name}__", _in_place(_ufunc))
for _name, _ufunc in {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal,
}.items():  # fmt: skip
    setattr(Traced, f"__{_name}__", _operator(_ufunc)[0])


def _iterate(self: Traced) -> Any:
    if not self.shape:
        raise TypeError("iteration over a traced scalar; it has no elements")
    return (getitem(self, i) for i in range(self.shape[0]))


def _length(self: Traced) -> int:
    if not self.shape:
        raise TypeError("len: this traced value is a scalar, it has no length")
    return self.shape[0]


def _astype(self: Traced, dtype: Any, *_: Any, **__: Any) -> Traced:
    return cast(self, np.dtype(dtype))


_ATTACHED: dict[str, Any] = {
    "__hash__": object.__hash__,
    "__array_ufunc__": array_ufunc,
    "__array_function__": array_function,
    "__neg__": lambda self: apply_ufunc(np.negative, self),
    "__pos__": lambda self: self,
    "__abs__": lambda self: apply_ufunc(np.absolute, self),
    "__invert__": lambda self: apply_ufunc(np.invert, self),
    "__divmod__": lambda self, other: (self // other, self % other),
    "__rdivmod__": lambda self, other: (other // self, other % self),
    "__getitem__": getitem,
    "__iter__": _iterate,
    "__len__": _length,
    "T": property(transpose),
    "mT": property(lambda self: swapaxes(self, -1, -2)),
    "real": property(FUNCTIONS[np.real]),
    "imag": property(FUNCTIONS[np.imag]),
    "conj": lambda self: apply_ufunc(np.conjugate, self),
    "conjugate": lambda self: apply_ufunc(np.conjugate, self),
    "astype": _astype,
    "as_complex": lambda self: _call(np.complex128, (self,), {}),
    "choose": lambda self, x, y: where(self, x, y),
    "as_number": lambda self: cast(self.real, FLOAT64, True),
    "reshape": reshape,
    "ravel": FUNCTIONS[np.ravel],
    "flatten": FUNCTIONS[np.ravel],
    "transpose": transpose,
    "squeeze": squeeze,
    "swapaxes": swapaxes,
    "copy": lambda self, order="C": self,
    "clip": clip,
    "dot": FUNCTIONS[np.dot],
    "round": FUNCTIONS[np.round],
    "argmax": argmax,
    "argmin": argmin,
    "cumsum": cumsum,
    "cumprod": cumprod,
    "mean": mean,
    "var": var,
    "std": std,
    "max": FUNCTIONS[np.max],
    "min": FUNCTIONS[np.min],
    **{name: REDUCE[name] for name in ("sum", "prod", "any", "all")},
    **{
        name: (lambda f: lambda self, *a, **k: _call(f, (self, *a), k))(getattr(np, name))
        for name in ("argsort", "repeat", "take", "diagonal", "trace")
    },
}
for _name, _method in _ATTACHED.items():
    setattr(Traced, _name, _method)
