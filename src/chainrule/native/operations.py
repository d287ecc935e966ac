"""Operations of a captured program: what there is, how it is written down, and the functions of shape.

NumPy's calling conventions end in `chainrule.native.protocols` and the files it attaches to traced arrays.
What the later stages see is a small vocabulary:

- ``input``, ``constant``; ``cast``, ``where``, and NumPy's elementwise ufuncs by name, with operands
  of the result's dtype, broadcasting as NumPy does; ``multiply_add`` of three, where a product is but added
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
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optree
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from chainrule.primitives import check_subclass
from chainrule.traced import Changed, Traced, TracedError, current_trace, where_in_user_code
from chainrule.value import Value

__all__ = [
    "ELEMENTWISE", "FLOAT64", "REDUCTIONS", "VIEWS",
    "broadcast_to", "call", "cast", "concatenate", "leaked", "lift", "node", "note", "reshape", "transpose",
    "unslice",
]  # fmt: skip

BOOL, INT32, INT64 = np.dtype(bool), np.dtype(np.int32), np.dtype(np.int64)
FLOAT64 = np.dtype(np.float64)
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
ELEMENTWISE = frozenset((UNARY + " " + BINARY + " cast where sech2 sigmoid multiply_add").split())
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
            adopted = [None if trace is None else trace.adopt(current(i)) for i in inputs]
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


def current(x: Traced) -> Traced:
    """The node that now has the numbers of an array, if it has been written to since ``x`` was made."""
    changed = x.origin
    if type(changed) is not Changed:
        return x
    whole = changed.memory.now
    if whole is None:
        raise TracedError(
            f"{where_in_user_code()}: here stands a traced array that may share memory with one that was "
            f"written to by {changed.memory.line}: whether NumPy's reshape or ravel made a view or a copy "
            "depends on the order in memory, which is not known while compiling; begin with h = h.copy()"
        )
    if changed.seen is not whole:
        y = whole
        for step in changed.steps:
            y = step.again(y)
        if whole.origin is not current_trace():  # seen from the body of a loop, whose nodes stay there
            return y
        changed.seen, changed.made = whole, y
    return changed.made  # type: ignore[return-value]


def lift(x: Any) -> Traced:
    """Anything that can be an operand, as a node: numbers and plain arrays become constants."""
    kind = type(x)
    if kind is Traced:
        return x if type(x.origin) is not Changed else current(x)
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
    if isinstance(x, np.ndarray):
        check_subclass(x)
        if (held := trace.held(x)) is not None:
            return held
    a = np.asarray(x)
    if not a.dtype.isnative:
        a = a.astype(a.dtype.newbyteorder("="))
    if a.size > 1 and not any(a.strides):  # one number, broadcast
        return broadcast_to(lift(a.reshape(-1)[0]), a.shape)
    if a.dtype.kind not in "fciub":
        raise TypeError(f"compile: an operand is a {kind.__name__}, expected numbers or arrays of them")
    if a is x or not a.flags.owndata:  # in the memory of a file, of an array.array
        a = trace.fixed(a)
    return Traced(trace, "constant", (), a.shape, a.dtype, kind is complex, {"value": a})


def cast(a: Any, dtype: np.dtype[Any], weak: bool = False) -> Traced:
    """``a.astype(dtype)``; a weak result has the dtype of a Python number, which gives way to others."""
    x = lift(a)
    if x.dtype == dtype and x.weak == weak:
        return x
    if x.op == "constant":
        value = x.params["value"]
        fits = type(value) is int and dtype.kind in "iu"  # as NumPy has it, where it does: else OverflowError
        value = np.asarray(value, dtype) if fits else np.asarray(value).astype(dtype)
        return Traced(x.origin, "constant", (), x.shape, dtype, weak, {"value": value})
    if dtype.kind == "c" or x.dtype.kind == "c":
        if dtype.kind != "c":
            x = call(np.real, (x,), {})
        return x if x.dtype == dtype else call(lambda a: np.asarray(a).astype(dtype), (x,), {})
    return node("cast", (x,), x.shape, dtype, weak)


def copied(x: Traced) -> Traced:
    """A node of its own with the same numbers, so that a change in place to one is none to the other."""
    return node("cast", (x,), x.shape, x.dtype) if x.shape else x


def held(x: Traced) -> Traced:
    """What the engine keeps of an array that its owner may write to; that nobody does to arguments."""
    kept = x.op == "input" and type(x.origin) is not Changed and x not in x.origin.own_inputs
    return x if kept else copied(x)


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    first = shapes[0]
    if shapes.count(first) == len(shapes):
        return first
    if all(s == first or s == () for s in shapes):
        return first if first or len(shapes) == 1 else max(shapes, key=len)
    return np.broadcast_shapes(*shapes)


# -------------------------------------------------------------------- what NumPy does itself


_DATA_DEPENDENT = {
    np.nonzero, np.flatnonzero, np.argwhere, np.extract, np.compress, np.trim_zeros,
    np.arange, np.unique, np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values, np.union1d,
    np.intersect1d, np.setdiff1d, np.setxor1d, np.polydiv,
}  # fmt: skip
# Of real operands real or complex numbers; np.poly and np.real_if_close of complex ones.
_KIND_DEPENDENT = {getattr(np.emath, n) for n in np.emath.__all__}


def call(
    function: Callable[..., Any], args: Any, kwargs: Any, trial: Callable[..., Any] | None = None
) -> Any:
    """A function without a lowering: it is run by NumPy in the middle of the program.

    Shapes and dtypes of its results come from a trial run on ones; of ``trial``, where ``function`` itself
    would refuse them. As indices, which 1 cannot be of an axis of one, whole numbers are zeros.
    """
    flat: list[Any]
    flat, spec = optree.tree_flatten((args, kwargs), none_is_leaf=True)  # type: ignore[arg-type]
    traced = [i for i, x in enumerate(flat) if type(x) is Traced]
    if not traced:  # np.zeros(shape, like=x)
        return lift(function(*args, **kwargs))
    name = getattr(function, "__name__", str(function))
    depends = function in _DATA_DEPENDENT
    if function in (np.compress, np.extract):  # a condition that is known says how many there are
        depends = type(kwargs["condition"] if "condition" in kwargs else args[0]) is Traced
    kinds = {flat[i].dtype.kind for i in traced}
    of_complex = function in (np.poly, np.real_if_close) and "c" in kinds
    if of_complex or (function in _KIND_DEPENDENT and kinds != {"c"}):
        raise TracedError(
            f"{where_in_user_code()}: {name} of a traced value: whether the result is complex depends on the "
            "numbers, which are not known while compiling; write the function of complex numbers, "
            "np.sqrt(x + 0j), or do it outside the compiled function"
        )
    if depends:
        raise TracedError(
            f"{where_in_user_code()}: {name} of a traced value: the result's shape depends on the "
            "numbers, which are not known while compiling; use np.where with a mask, or do it outside the "
            "compiled function"
        )
    tried = list(flat)
    for i in traced:
        if flat[i].weak:
            tried[i] = np.ones((), flat[i].dtype).item()
            continue
        tried[i] = np.ones(flat[i].shape, flat[i].dtype)[()]
        if len(flat[i].shape) > 1 and flat[i].dtype.kind in "fc":
            tried[i] += np.eye(*flat[i].shape[-2:], dtype=flat[i].dtype)  # of full rank
    a, k = optree.tree_unflatten(spec, tried)
    with np.errstate(all="ignore"):
        try:
            sample = (trial or function)(*a, **k)
        except IndexError:
            tried = [0 * x if i in traced and flat[i].dtype.kind in "iu" else x for i, x in enumerate(tried)]
            a, k = optree.tree_unflatten(spec, tried)
            sample = (trial or function)(*a, **k)
    inputs, operands = tuple(flat[i] for i in traced), [tried[i] for i in traced]
    trace, at = current_trace(), set(traced)
    rest = tuple(
        None if i in at else trace.fixed(x) if trace and isinstance(x, np.ndarray) else x
        for i, x in enumerate(flat)
    )
    params = {"function": function, "name": name, "spec": spec, "rest": rest, "traced": tuple(traced)}
    if isinstance(sample, tuple | list):
        if any(isinstance(s, tuple | list) for s in sample):
            raise TracedError(
                f"{where_in_user_code()}: {name} of a traced value answers with nested results; call it "
                "outside the compiled function"
            )
        shapes = tuple((np.shape(s), np.asarray(s).dtype) for s in sample)
        made = node("call", inputs, (), FLOAT64, False, {**params, "results": shapes})
        items = [node("item", (made,), s, d, False, {"index": i}) for i, (s, d) in enumerate(shapes)]
        for y, part in zip(items, sample, strict=True):
            _note_view(y, part, made, operands)
        if hasattr(sample, "_fields"):
            return type(sample)(*items)
        return tuple(items) if isinstance(sample, tuple) else items
    made = node("call", inputs, np.shape(sample), np.asarray(sample).dtype, False, params)
    _note_view(made, sample, made, operands)
    return made


def _note_view(y: Traced, sample: Any, made: Traced, operands: list[Any]) -> None:
    """Note a result of ``made`` as a view, if in the trial NumPy made it one of an operand."""
    for x, a in zip(made.inputs, operands, strict=True):
        if isinstance(a, np.ndarray) and np.may_share_memory(a, sample):
            note(y, x)
            return


class Step(NamedTuple):
    """A node whose numbers lie, in NumPy, where those of its operand do."""

    node: Traced
    operand: Traced

    def again(self, x: Traced) -> Traced:
        """The same view of another array."""
        y = self.node
        if y.op in VIEWS:
            return view(y.op, x, y.shape, y.params)
        source = y.inputs[0] if y.op == "item" else y
        inputs = tuple([x if i is self.operand else i for i in source.inputs])
        made = node(source.op, inputs, source.shape, source.dtype, False, source.params)
        if y.op == "item":
            made = node("item", (made,), y.shape, y.dtype, False, y.params)
        note(made, x)
        return made


def note(y: Traced, x: Traced) -> None:
    """Note ``y`` as a view of ``x``: what is written to one is written to both."""
    if y.shape:
        trace = y.origin
        whole, steps = trace.views.get(x, (x, ()))
        trace.views[y] = whole, (*steps, Step(y, x))
        trace.shown.setdefault(whole, []).append(y)


# -------------------------------------------------------------------- shape


def view(op: str, x: Traced, shape: tuple[int, ...], params: Any = _NONE) -> Traced:
    """A node whose numbers lie, in NumPy, where those of ``x`` do: what changes one in place changes both."""
    made = node(op, (x,), shape, x.dtype, False, params)
    if x.shape:
        note(made, made.inputs[0])
    return made


def reshape(x: Traced, shape: Any, *rest: Any, order: str = "C", copy: Any = None) -> Traced:
    """``x.reshape(shape)``, one size perhaps -1."""
    shape = (shape, *rest) if rest or not isinstance(shape, tuple | list | np.ndarray) else tuple(shape)
    shape = tuple(map(operator.index, shape))
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        shape = tuple(x.size // max(known, 1) if n == -1 else n for n in shape)
    if order == "F":  # the first axis fastest: everything turned round
        return transpose(reshape(transpose(x), shape[::-1]))
    if order != "C" and len(x.shape) > 1:
        raise TracedError(
            f"{where_in_user_code()}: reshape or ravel with order={order!r} depends on the order in memory, "
            "which is not known while compiling; write order='C' or 'F'"
        )
    if math.prod(shape) != x.size:
        raise ValueError(f"reshape: an array of shape {x.shape} does not fit shape {shape}")
    return x if shape == x.shape else view("reshape", x, shape)


def transpose(x: Traced, axes: Any = None, *rest: Any) -> Traced:
    """``x.transpose(axes)``."""
    n = x.ndim
    if rest:
        axes = (axes, *rest)
    axes = tuple(reversed(range(n))) if axes is None else normalize_axis_tuple(axes, n, "transpose")
    if len(axes) != n:
        raise ValueError(f"transpose: axes are {axes}, expected each of the {n} of shape {x.shape}")
    if axes == tuple(range(n)):
        return x
    return view("transpose", x, tuple(x.shape[a] for a in axes), {"axes": axes})


def broadcast_to(a: Any, shape: Any, subok: bool = False) -> Traced:
    """``np.broadcast_to(a, shape)``."""
    x, shape = lift(a), tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if x.shape == shape:
        return x
    if np.broadcast_shapes(x.shape, shape) != shape:
        raise ValueError(f"broadcast_to: shape {x.shape} does not broadcast to {shape}")
    return view("broadcast_to", x, shape)


def concatenate(arrays: Any, axis: Any = 0, out: Any = None, dtype: Any = None, casting: str = "") -> Traced:
    """``np.concatenate(arrays, axis)``; `cast` to ``dtype``, else to what they promote to."""
    xs = [lift(a) for a in arrays]
    if axis is None:
        xs, axis = [reshape(x, (x.size,)) for x in xs], 0
    kind = np.result_type(*[x.dtype for x in xs]) if dtype is None else np.dtype(dtype)
    axis = normalize_axis_index(operator.index(axis), xs[0].ndim, "concatenate")
    if kind.kind == "c":
        return call(np.concatenate, (xs, axis), {})  # type: ignore[no-any-return]
    xs = [cast(x, kind) for x in xs]
    if len(xs) == 1:
        return copied(xs[0])
    first = xs[0].shape
    for x in xs:
        if x.shape[:axis] + x.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise ValueError(f"concatenate: shapes {first} and {x.shape} differ beyond axis {axis}")
    shape = first[:axis] + (sum(x.shape[axis] for x in xs),) + first[axis + 1 :]
    return node("concatenate", tuple(xs), shape, kind, False, {"axis": axis})


def stack(arrays: Any, axis: int = 0, out: Any = None) -> Traced:
    xs = [lift(a) for a in arrays]
    axis = normalize_axis_index(operator.index(axis), xs[0].ndim + 1, "stack")
    return concatenate([reshape(x, x.shape[:axis] + (1,) + x.shape[axis:]) for x in xs], axis)


def squeeze(x: Traced, axis: Any = None) -> Traced:
    if axis is None or (not x.shape and axis in (0, -1)):  # which a number may be asked for, as in NumPy
        axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    else:
        axes = normalize_axis_tuple(axis, x.ndim, "squeeze")
    if long := [i for i in axes if x.shape[i] != 1]:
        raise ValueError(
            f"squeeze: axis {long[0]} of shape {x.shape} has length {x.shape[long[0]]}, expected 1"
        )
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def expand_dims(x: Traced, axis: Any) -> Traced:
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    n = x.ndim + len(axes)
    new = normalize_axis_tuple(axes, n, "expand_dims")
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if i in new else next(sizes) for i in range(n)))


def swapaxes(x: Traced, a: int, b: int) -> Traced:
    axes = list(range(x.ndim))
    a, b = (normalize_axis_index(operator.index(k), x.ndim, "swapaxes") for k in (a, b))
    axes[a], axes[b] = axes[b], axes[a]
    return transpose(x, axes)


def moveaxis(x: Traced, source: Any, destination: Any) -> Traced:
    start, end = (normalize_axis_tuple(a, x.ndim, "moveaxis") for a in (source, destination))
    if len(start) != len(end):
        raise ValueError(f"moveaxis: source {source} and destination {destination} name unlike many axes")
    order = [k for k in range(x.ndim) if k not in start]
    for to, k in sorted(zip(end, start, strict=True)):
        order.insert(to, k)
    return transpose(x, order)


def pad(x: Traced, pad_width: Any, mode: str = "constant", **options: Any) -> Traced:
    given: Any = list(options.values())
    if mode != "constant" or any(type(v) is Traced or np.any(v) for v in optree.tree_leaves(given)):
        return call(np.pad, (x, pad_width, mode), options)  # type: ignore[no-any-return]
    width = [tuple(map(int, w)) for w in np.broadcast_to(np.asarray(pad_width), (x.ndim, 2))]
    shape = tuple(a + n + b for (a, b), n in zip(width, x.shape, strict=True))
    y = unslice(x, tuple(a for a, _ in width), (1,) * x.ndim, shape)
    return copied(x) if y is x else y


def unslice(x: Traced, starts: tuple[int, ...], steps: tuple[int, ...], shape: tuple[int, ...]) -> Traced:
    """Zeros of ``shape`` with ``x`` at ``starts``, ``starts + steps``, ..."""
    if shape == x.shape and all(s == 1 for s in steps):
        return x
    if x.dtype.kind == "c":
        index = tuple(as_slice(a, n, s) for a, n, s in zip(starts, x.shape, steps, strict=True))
        return call(_place, (x,), {"index": index, "shape": shape})  # type: ignore[no-any-return]
    return node("unslice", (x,), shape, x.dtype, False, {"starts": starts, "steps": steps})


def as_slice(start: int, count: int, step: int) -> slice:
    stop = start + count * step
    return slice(start, None if stop < 0 else stop, step)


def _place(x: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, x.dtype)
    out[index] = x
    return out
