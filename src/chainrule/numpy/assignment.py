"""Assignment to elements of Values, and what else NumPy writes into an array: ``x[i] = v``, ``+=``, ``out=``.

The graph never changes: `versions.write` makes the Value another node. See there for names and windows.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand, axis_of, place_of_out, shape_of
from chainrule.numpy.rearranging import as_index
from chainrule.primitives import Primitive, as_array, cast, raw
from chainrule.primitives import where as _where
from chainrule.rules import arithmetic as ar
from chainrule.rules import shape as sh
from chainrule.traced import Traced, TracedError, where_in_user_code
from chainrule.value import Value, current, kept, result, versions
from chainrule.versions import outside, settle, write

__all__ = [
    "add_at", "check_written", "copyto", "fill", "fill_diagonal", "in_place", "place", "put",
    "put_along_axis", "putmask", "set_item", "with_out", "write_out", "write_some",
]  # fmt: skip

LARGE = 1 << 12  # bytes from which an array is written over rather than copied


def set_item(x: Any, index: Any, new: Any) -> None:
    """``x[index] = new``; ``new`` broadcasts to ``x[index]``, and of two for one element the last counts.

    ``x`` becomes the result, for all who have it; what was computed from it before stays what it was.

    Raises
    ------
    TypeError
        If ``x`` is a scalar, or real and ``new`` complex, or an index a Value.
    ValueError
        If ``new`` does not broadcast to ``x[index]``.
    IndexError
        If the index is out of bounds.
    """
    index = as_index("setitem", index)
    _check("setitem", x, new)
    if _is_what_stands_there(x, index, new):  # x[i] += v has written it already
        return
    assign(x, index, new)


def assign(x: Value, index: Any, new: Any) -> None:
    if type(index) is Traced and index.dtype == bool:
        _at_mask(x, index, new)
        return

    def make(old: Value) -> Any:
        try:
            node = _over(old, x, new, index)
            return sh.setitem(old, new, index=index) if node is None else node
        except (IndexError, ValueError) as error:
            text = str(error).removeprefix("setitem: ").split("; received")[0]
            raise type(error)(
                f"setitem: {text}; the Value has shape {x.shape}, what is assigned {np.shape(raw(new))}"
            ) from None

    _write(x, make)


def _at_mask(x: Value, mask: Any, new: Any) -> None:
    """``x[mask] = new`` in a capture, where nobody knows how many elements a mask picks."""
    rest = len(x.shape) - mask.ndim
    if mask.shape != x.shape[: mask.ndim] or len(np.shape(raw(new))) > rest:
        raise TracedError(
            f"{where_in_user_code()}: x[mask] = v with a traced mask of shape {mask.shape}, x of shape "
            f"{x.shape} and v of shape {np.shape(raw(new))}: how many elements it picks is not known while "
            "compiling; write x = np.where(mask, v, x), v of x's shape"
        )
    mask = mask.reshape(mask.shape + (1,) * rest)
    _write(x, lambda old: _as("setitem", _where(mask, as_operand(new), old), old))


def _over(old: Value, x: Value, new: Any, index: Any) -> Value | None:
    """The assignment in the array that is there, where nobody else has it and no rule asks for its numbers.

    So a loop that fills a large array does not copy it in each turn. The former selves keep its shape.
    """
    array = old._raw
    if type(array) is not np.ndarray or array.nbytes < LARGE or old.primitive is not sh.setitem:
        return None
    shared = sys.getrefcount(array) > 4  # x, old, the name, the call
    if shared or array.base is not None or type(raw(new)) is Traced:
        return None
    new = new if type(new) is Value else kept(np.asarray(new))
    array.setflags(write=True)
    try:
        array[index] = raw(new)
    finally:  # what does not fit is an error, after which the array is read-only as before
        array.setflags(write=False)
    x._raw = old._raw = _hollow(array)
    return result(array, sh.setitem, (old, new), (old._raw, raw(new)), {"index": index})


def _hollow(array: Any) -> Any:
    """Something of the same shape and dtype that takes no memory."""
    return np.broadcast_to(np.array(np.nan, array.dtype), array.shape)


def _let_go(part: Any) -> None:
    """Let a part that was picked not hold the large array it is from: its rule asks for the shape alone.

    So a loop that reads what it has written, as recurrences do, can write over the array.
    """
    if type(part) is not Value or type(part.args[0]) is not np.ndarray or part.inputs[0].primitive is None:
        return
    array, y = part.args[0], part._raw
    if array.nbytes < LARGE or y.nbytes * 4 > array.nbytes:
        return
    if type(y) is np.ndarray and y.base is not None:
        part._raw = y = y.copy()
        y.setflags(write=False)
    part.args = (_hollow(array),)


def _check(name: str, x: Any, new: Any) -> None:
    if not x.shape and not isinstance(x._raw, np.ndarray | np.generic):
        raise TypeError(f"{name}: this Value is a scalar, which has no elements; give the name another Value")
    if np.iscomplexobj(raw(new)) and not np.iscomplexobj(x._raw):
        raise TypeError(
            f"{name}: complex numbers into a real Value would lose their imaginary part; make it complex "
            "first: x = x.astype(complex), or take .real"
        )


def _write(x: Value, make: Callable[[Value], Any]) -> None:
    if outside(x):
        raise TracedError(
            f"{where_in_user_code()}: assignment to elements of a Value from outside of the compiled "
            "function; work on a copy, x = x.copy(), and write v.data = ... to change a Value's numbers"
        )
    if not versions.happened:
        _follow_windows()
    write(x, make)


def _is_what_stands_there(x: Value, index: Any, new: Any) -> bool:
    """Whether ``new`` is ``x[index]`` as it is."""
    if type(new) is not Value or new.primitive is not sh._getitem_p or new.inputs[0] is not x:
        return False
    settle(new)
    parts, others = (i if isinstance(i, tuple) else (i,) for i in (index, new.params["index"]))
    return new.serial > x.serial and len(parts) == len(others) and all(map(_same, parts, others))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)


def in_place(sign: str, operate: Any) -> Any:
    """The method behind ``x += v``, of what is behind ``x + v``.

    An array becomes the result, for all who have it. A number is never changed: the name gets another.
    """

    def method(self: Value, other: Any) -> Any:
        if self.primitive is None and type(other) is not Value and self._gradient is not None:
            raise TypeError(
                f"v {sign}= x of a leaf that has a gradient would leave the leaf as it is and make v another "
                f"node; write v.data {sign}= x to update it, or v = v {sign} x for a new node"
            )
        number = type(self._raw) is not np.ndarray and not self.shape
        if number or (self.primitive is None and outside(self)):
            return operate(self, other)

        def make(old: Value) -> Any:
            made = operate(old, other)
            if made is NotImplemented:
                raise TypeError(f"{sign}=: a Value and a {type(other).__name__}; expected numbers or arrays")
            return _as(f"{sign}=", made, old)

        _write(self, make)
        return self

    return method


def _as(name: str, made: Value, like: Value) -> Value:
    """A result as it fits into the array that is to hold it."""
    if made.shape != like.shape:
        raise ValueError(
            f"{name}: the result has shape {made.shape}, expected that of the array that is to hold it, "
            f"{like.shape}"
        )
    if made.dtype != like.dtype:
        if not np.can_cast(made.dtype, like.dtype, "same_kind"):
            raise TypeError(f"{name}: the result is {made.dtype}, which an array of {like.dtype} cannot hold")
        made = cast(made, dtype=like.dtype)
    return made


def _check_out(name: str, out: Any) -> None:
    if type(out) is not Value:
        raise TypeError(
            f"{name}: out= is a plain array, which cannot hold a Value's derivative; "
            "assign the result instead (write a = a + v for a += v), make the array a Value, or take v.data "
            "where no derivative is wanted, as for p.data -= step"
        )
    if not out.shape:
        raise TypeError(f"{name}: out= is a Value that is a scalar; assign the result instead")


def write_out(name: str, out: Any, made: Any, wide: bool = False) -> Any:
    """What ``out=`` asks for: the Value ``out`` becomes the result, which may be made ``wide`` for it."""
    _check_out(name, out)
    result = made if type(made) is Value else Value(made)
    if wide and result.shape != out.shape:
        result = sh.broadcast_to(result, shape=np.broadcast_shapes(result.shape, out.shape))
    _write(out, lambda old: ar.positive(_as(name, result, old)))
    return out


def write_some(name: str, out: Any, f: Callable[..., Any], inputs: Any, mask: Any) -> Any:
    """``out=`` and ``where=`` together: of elements that are not named nothing is computed."""
    _check_out(name, out)
    if type(mask) is Traced:  # which they are is not known yet
        made = sh.broadcast_to(f(*inputs), shape=out.shape)
        _write(out, lambda old: _as(name, _where(mask, made, old), old))
        return out
    mask = np.broadcast_to(mask, out.shape)
    made = f(*[sh.getitem(sh.broadcast_to(as_operand(x), shape=out.shape), mask) for x in inputs])
    _check(name, out, made)
    assign(out, mask, made)
    return out


def with_out(name: str, f: Callable[..., Any], args: Any, options: dict[str, Any]) -> Any:
    """A function of NumPy's, and ``out=`` if it is among the arguments."""
    place, out = place_of_out(f), options.pop("out", None)
    if place is not None and len(args) > place:
        args, out = (*args[:place], None, *args[place + 1 :]), args[place]
    made = f(*args, **options)
    return made if out is None or out is Ellipsis else write_out(name, out, made)


# -------------------------------------------------------------------- functions that write


def add_at(x: Value, index: Any, new: Any, sign: float = 1.0) -> None:
    """``np.add.at``: what is added to one element twice counts twice."""
    _check("add.at", x, new)
    index = as_index("add.at", index)
    wide = sh.broadcast_to(as_operand(new), shape=np.empty(x.shape, bool)[index].shape)

    def make(old: Value) -> Any:
        added = sh.scatter(wide, index=index, shape=old.shape)
        return _as("add.at", old + added if sign > 0 else old - added, old)

    _write(x, make)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    check_written("copyto", dst)
    mask = np.broadcast_to(as_array(current(where)), dst.shape)
    src = sh.broadcast_to(as_operand(src), shape=dst.shape)
    if not np.can_cast(src.dtype, dst.dtype, casting):  # type: ignore[arg-type]
        raise TypeError(f"copyto: cannot cast {src.dtype} to {dst.dtype} by casting={casting!r}")
    _write(dst, lambda old: _as("copyto", _where(mask, src, old), old))


def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    check_written("put", a)
    n = a.size
    ind = np.asarray(ind)
    ind = ind if mode == "raise" else ind % n if mode == "wrap" else np.clip(ind, 0, n - 1)
    flat = sh.reshape(as_operand(v), (-1,)) if np.ndim(raw(v)) else v
    if np.ndim(raw(flat)):
        flat = sh.getitem(flat, np.arange(ind.size) % shape_of(flat)[0])
    where = np.unravel_index(np.where(ind < 0, ind + n, ind).ravel(), a.shape)
    assign(a, tuple(where), flat)


def place(arr: Any, mask: Any, vals: Any) -> None:
    """The elements that the mask names become the first, the second, ... of the values, over and over."""
    mask, vals = _masked("place", arr, mask, vals)
    at = np.flatnonzero(mask)
    if at.size:
        assign(arr, np.unravel_index(at, arr.shape), sh.getitem(vals, np.arange(at.size) % shape_of(vals)[0]))


def putmask(a: Any, mask: Any, values: Any) -> None:
    """Where the mask is true, the values that lie at the same places, over and over."""
    mask, values = _masked("putmask", a, mask, values)
    wide = sh.reshape(sh.getitem(values, np.arange(a.size) % shape_of(values)[0]), a.shape)
    _write(a, lambda old: _as("putmask", _where(mask.reshape(a.shape), wide, old), old))


def _masked(name: str, a: Any, mask: Any, values: Any) -> tuple[Any, Any]:
    """The mask, and the values in one axis."""
    check_written(name, a)
    mask, values = as_array(current(mask)).astype(bool), sh.reshape(as_operand(values), (-1,))
    if mask.size != a.size:
        raise ValueError(f"{name}: mask has shape {mask.shape}, expected that of the array, {a.shape}")
    if not shape_of(values)[0]:
        raise ValueError(f"{name}: values are empty, expected one at least")
    return mask, values


def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    check_written("fill_diagonal", a)
    if a.ndim < 2 or (a.ndim > 2 and len(set(a.shape)) > 1):
        raise ValueError(f"fill_diagonal: a is {a.shape}, expected at least two axes, of one length if more")
    step = a.shape[1] + 1 if a.ndim == 2 else 1 + sum(np.cumprod(a.shape[:-1]))
    stop = None if wrap or a.ndim > 2 else a.shape[1] * a.shape[1]
    put(a, np.arange(a.size)[:stop:step], val)


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    check_written("put_along_axis", arr)
    indices = np.asarray(current(indices))
    if axis is None:
        put(arr, indices, values)
        return
    k = axis_of("put_along_axis", arr, axis)
    if indices.ndim != arr.ndim:
        raise ValueError(
            f"put_along_axis: indices have shape {indices.shape}, expected as many axes as arr of shape "
            f"{arr.shape}"
        )
    grid = list(np.ix_(*map(np.arange, arr.shape)))
    grid[k] = indices
    assign(arr, tuple(grid), values)


def fill(x: Value, new: Any) -> None:
    """``x.fill(new)``."""
    set_item(x, ..., new)


def check_written(name: str, x: Any) -> None:
    if type(x) is not Value:
        raise TypeError(
            f"{name}: the array to write into is plain, and cannot hold a Value's derivative; make it a "
            "Value: a = chainrule.Value(a)"
        )
    _check(name, x, 0.0)


# -------------------------------------------------------------------- windows that fall behind

_once = threading.Lock()


def _follow_windows() -> None:
    """From the first assignment on, whoever reads a Value looks first whether it is a window that is behind.

    Programs that assign nothing pay nothing for it.
    """
    with _once:
        if versions.happened:
            return
        names = [n for n in vars(Value) if n.startswith("__") and n[2:-2] in _OPERATORS]
        for name in names:
            setattr(Value, name, _following_two(getattr(Value, name)))
        for name in ("_current", "backward"):
            setattr(Value, name, _following(getattr(Value, name)))
        Value.data = Value.data.getter(_following(Value.data.fget))  # type: ignore[method-assign,attr-defined]
        Primitive.__call__ = _calling(Primitive.__call__)  # type: ignore[method-assign]
        versions.happened = True


_OPERATORS = {
    *(r + op for op in "add sub mul truediv pow mod floordiv divmod matmul".split() for r in ("", "r", "i")),
    *"eq ne lt le gt ge".split(),
}


def _following(method: Any) -> Any:
    @wraps(method)
    def follow(self: Value, *args: Any, **options: Any) -> Any:
        if (p := self.primitive) is not None and p.window is not None:
            settle(self)
        return method(self, *args, **options)

    return follow


def _following_two(method: Any) -> Any:
    @wraps(method)
    def follow(self: Value, other: Any) -> Any:
        if (p := self.primitive) is not None and p.window is not None:
            settle(self)
        if type(other) is Value and (p := other.primitive) is not None and p.window is not None:
            settle(other)
        return method(self, other)

    return follow


def _calling(method: Any) -> Any:
    @wraps(method)
    def call(self: Primitive, *operands: Any, **params: Any) -> Any:
        for x in operands:
            if type(x) is Value and (p := x.primitive) is not None and p.window is not None:
                settle(x)
        y = method(self, *operands, **params)
        if self is sh._getitem_p:
            _let_go(y)
        return y

    return call
