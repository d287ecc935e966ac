"""What NumPy writes into an array: ``h[i] = v``, ``h += y``, ``out=``, ``np.add.at`` and their kin.

A node of a program never changes. What is written makes another node, and the array's names and its views
are marked (`Changed`): from then on they mean that one, or what they show of it.

What the caller of the function would see change is refused: its arguments, and arrays around it. So is what
a loop's body would change outside of itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.native.indexing import getitem, setitem
from chainrule.native.operations import (
    ELEMENTWISE,
    VIEWS,
    Step,
    broadcast_to,
    call,
    cast,
    copied,
    lift,
    reshape,
    transpose,
)
from chainrule.native.reference import run
from chainrule.native.ufuncs import apply_ufunc, nan_to_num, where
from chainrule.traced import Changed, Traced, TracedError, current_trace, where_in_user_code
from chainrule.value import Value

__all__ = [
    "OPERATORS", "WRITING", "Memory", "assign", "in_order", "in_place", "not_written", "replace", "write",
    "write_at",
]  # fmt: skip

OPERATORS = {
    "add": ("+", np.add), "sub": ("-", np.subtract), "mul": ("*", np.multiply), "truediv": ("/", np.divide),
    "floordiv": ("//", np.floor_divide), "mod": ("%", np.remainder), "pow": ("**", np.power),
    "matmul": ("@", np.matmul), "and": ("&", np.bitwise_and), "or": ("|", np.bitwise_or),
    "xor": ("^", np.bitwise_xor), "lshift": ("<<", np.left_shift), "rshift": (">>", np.right_shift),
}  # fmt: skip


class Memory:
    """What lies behind an array and its views.

    Attributes
    ----------
    now : Traced or None
        The whole, with its numbers of now; None if they are not known.
    line : str
        Where it was last written to.
    row_major : bool or None
        Whether the last axis is surely the densest; None as long as nobody has asked.
    """

    __slots__ = ("line", "now", "row_major")

    def __init__(self, now: Traced | None = None, line: str = "") -> None:
        self.now, self.line = now, line
        self.row_major: bool | None = None


def write(what: str, x: Traced, make: Callable[[Traced], Traced]) -> Traced:
    """Give ``x``, and what shares its memory, the numbers of ``make(x)``, of the same shape and dtype.

    Raises
    ------
    TracedError
        If somebody outside of the function, or of the loop that is being captured, would see it.
    ValueError
        If it is read-only, as in NumPy.
    """
    trace, line = current_trace(), where_in_user_code()
    assert trace is not None
    x = lift(x)
    whole, steps = trace.views.get(x, (x, ()))
    _check(trace, f"{line}: {what}", whole)
    memory = trace.memories.get(whole) or Memory()
    kind, cut = _relation(memory, whole, steps)
    new = make(x)
    for step in reversed(steps[cut:]):
        new = _put_back(step, new)
    if new in trace.views or new.op in ("input", "constant"):
        new = copied(new)
    family = [(whole, ()), *[(y, trace.views[y][1]) for y in trace.shown.pop(whole, ())]]
    if cut:  # a reshape that copies, or nobody knows: what was made of it stands for itself
        others, family = family, []
        for y, s in others:
            if len(s) >= cut and s[cut - 1].node is steps[cut - 1].node:
                family.append((y, s[cut:]))
            elif kind == "unknown":
                _mark(trace, y, memory, s)
            elif s:
                trace.shown.setdefault(whole, []).append(y)
        if kind == "unknown":  # older names mean it too
            memory.now, memory.line = None, line
            trace.memories.pop(whole, None)
        whole, memory = steps[cut - 1].node, Memory()
    for y, s in family:
        kind, k = _relation(memory, whole, s)
        if kind != "copy":
            _mark(trace, y, memory if kind == "view" else Memory(None, line), s)
            continue
        trace.views.pop(y)
        if s[k:]:
            trace.views[y] = s[k - 1].node, s[k:]
            trace.shown.setdefault(s[k - 1].node, []).append(y)
    memory.now, memory.line = new, line
    trace.memories.pop(whole, None)
    trace.memories[new] = memory
    trace.written(whole, new)
    return lift(x)


def _check(trace: Any, what: str, whole: Traced) -> None:
    """Refuse to write what others would see."""
    if whole.origin is not trace:
        raise TracedError(
            f"{what} on a traced array that is from outside of the loop or branch, or a view of one: while "
            "compiling its function is captured once and can only return things: make it part of the carry"
        )
    if whole.op == "input" and whole not in trace.own_inputs:
        raise TracedError(
            f"{what} on a traced array that is an argument of the function, or from around it, or a view of "
            "one: NumPy would change it for all who have it, a compiled function does not; write "
            "x = x.copy() first"
        )
    if trace.shows_only(whole):
        raise ValueError(
            f"{what} on what a Value that is a result shows, which is read-only; write d = v.data.copy()"
        )


def _mark(trace: Any, y: Traced, memory: Memory, steps: tuple[Step, ...]) -> None:
    mark: Any = Changed(memory, steps)
    y.origin = mark
    trace.views.pop(y, None)


# -------------------------------------------------------------------- views


def _relation(memory: Memory, whole: Traced, steps: tuple[Step, ...]) -> tuple[str, int]:
    """Whether in NumPy this is a view of the whole, or a copy; or that it is unknown.

    And where what stands for itself begins: behind so many steps.
    """
    merging = [k for k, step in enumerate(steps) if _merges(step)]
    if not merging:
        return "view", 0
    if memory.row_major is None:
        memory.row_major = _row_major(whole)
    if not memory.row_major:
        return "unknown", merging[-1] + 1
    a: Any = np.empty(whole.shape, np.int8)
    copies = []
    for k, step in enumerate(steps):
        b = _in_numpy(step, a)
        if not np.may_share_memory(a, b):
            copies.append(k)
        a = b
    return ("copy", copies[-1] + 1) if copies else ("view", 0)


def kind_of_view(y: Traced) -> str:
    """Whether in NumPy an array is a view of its operand, or a copy; or that it is unknown."""
    trace = current_trace()
    whole, steps = trace.views.get(lift(y), (y, ())) if trace is not None else (y, ())
    kind, begins = _relation(Memory(), whole, steps)
    return kind if begins == len(steps) else "view"


def in_order(x: Traced, order: str) -> Traced:
    """A fresh array, whose order in memory is known."""
    if order == "C" and x.ndim > 1:
        memory = x.origin.memories[x] = Memory()
        memory.row_major = True
    return x


def _merges(step: Step) -> bool:
    """Whether it joins axes, of which the order in memory decides if they can be."""
    long = [n for n in step.operand.shape if n != 1]
    return step.node.op == "reshape" and len(long) > 1 and long != [n for n in step.node.shape if n != 1]


def _row_major(x: Traced) -> bool:
    """Whether NumPy's array is surely in row-major order: elementwise operations keep that of operands."""
    waiting, seen = [x], {x}
    while waiting:
        x = waiting.pop()
        if x.ndim < 2 or (x.op == "constant" and x.params["value"].flags.c_contiguous):
            continue
        if x.op in ("transpose", "input", "constant", "call", "item"):
            return False
        if x.op in ELEMENTWISE or x.op in ("concatenate", "slice"):
            waiting += [i for i in x.inputs if i not in seen]
            seen.update(x.inputs)
    return True


def _in_numpy(step: Step, a: Any) -> Any:
    """The view of another array, of NumPy's."""
    y = step.node
    if y.op in VIEWS:
        return run(y, [a])
    if y.op == "gather":
        return a[(0,) * len(y.inputs[1:])]  # any row is as good
    source = y.inputs[0] if y.op == "item" else y
    b = run(source, [a if i is step.operand else np.ones(i.shape, i.dtype) for i in source.inputs])
    return b[y.params["index"]] if y.op == "item" else b


def _put_back(step: Step, new: Traced) -> Traced:
    """What the operand becomes when its view becomes ``new``."""
    y, x = step
    if y.op == "reshape":
        return reshape(new, x.shape)
    if y.op == "transpose":
        return transpose(new, tuple(int(i) for i in np.argsort(y.params["axes"])))
    if y.op == "gather":
        return setitem(x, new, y.inputs[1:])  # type: ignore[no-any-return]
    if x.dtype != y.dtype:
        raise TracedError(
            f"{where_in_user_code()}: a part of complex numbers is written to; write z = real + 1j * imag"
        )
    at = _in_numpy(step, np.arange(x.size).reshape(x.shape))
    if not at.flags.writeable:
        raise ValueError("assignment destination is read-only, as in NumPy; write x = x.copy() first")
    return reshape(setitem(reshape(x, (x.size,)), new, at), x.shape)


# -------------------------------------------------------------------- what writes


def assign(x: Traced, index: Any, new: Any) -> None:
    """``x[index] = new``."""
    if type(new) is Value:
        raise TypeError(
            "x[i] = v: x is a plain array, which cannot hold a Value's derivative; make it one: "
            "x = chainrule.Value(x), or np.zeros_like(v)"
        )
    if not x.shape:
        raise TypeError("x[i] = v: x is a number, which has no elements")
    if not _stands_there(x, index, new):
        write("assignment to an element", x, lambda old: setitem(old, new, index))


def _stands_there(x: Traced, index: Any, new: Any) -> bool:
    """Whether ``new`` is ``x[index]`` as it is: ``x[index] += y`` has written it already."""
    trace = current_trace()
    if trace is None or type(new) is not Traced or (shown := trace.views.get(lift(new))) is None:
        return False
    x = lift(x)
    if trace.views.get(x, (x,))[0] is not shown[0]:
        return False
    there = trace.views.get(getitem(x, index))
    return there is not None and _same(there[1], shown[1])


def _same(a: tuple[Step, ...], b: tuple[Step, ...]) -> bool:
    plain = all(s.node.op in VIEWS for s in (*a, *b))
    kinds = [[(s.node.op, s.node.shape, s.node.params) for s in steps] for steps in (a, b)]
    return plain and kinds[0] == kinds[1]


def in_place(symbol: str, ufunc: np.ufunc, operator: Any) -> Any:
    """The method behind ``x += y``, of what is behind ``x + y``."""

    def method(self: Traced, other: Any) -> Any:
        if not self.shape:  # a number, which in NumPy too is not changed
            return operator(self, other)
        if type(other) is Value:
            raise TypeError(
                f"{symbol}=: a plain array is on its left, which cannot hold a Value's derivative; "
                f"write a = a {symbol} v for a {symbol}= v"
            )
        return replace(f"{symbol}=", self, apply_ufunc(ufunc, self, other))

    return method


def replace(what: str, x: Traced, made: Any, mask: Any = True) -> Traced:
    """Write a result into ``x``, as ``+=`` and ``out=`` do."""
    made = lift(made)
    if made.shape != x.shape:
        raise ValueError(
            f"{what}: the result has shape {made.shape}, expected that of the array that is to hold it, "
            f"{x.shape}; give the result a name of its own"
        )
    if not np.can_cast(made.dtype, x.dtype, "same_kind"):
        raise TypeError(
            f"{what}: the result is {made.dtype}, which the array that is to hold it, of {x.dtype}, cannot "
            "hold; give the result a name of its own"
        )
    made = cast(made, x.dtype)
    return write(what, x, lambda old: made if mask is True else where(mask, made, old))


def write_at(ufunc: np.ufunc, x: Any, index: Any, *new: Any) -> None:
    """``ufunc.at``: what is done to one element twice is done twice."""
    if type(x) is not Traced:
        raise not_written(f"{ufunc.__name__}.at")

    def at(a: Any, *given: Any) -> Any:
        a = np.array(a)
        ufunc.at(a, *given)
        return a

    at.__name__ = f"{ufunc.__name__}.at"
    write(at.__name__, x, lambda old: call(at, (old, index, *new), {}))


def _copyto(dst: Traced, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    made = lift(src)
    if not np.can_cast(made.dtype, dst.dtype, casting):
        raise TypeError(f"copyto: cannot cast {made.dtype} to {dst.dtype} by casting={casting!r}")
    replace("copyto", dst, broadcast_to(cast(made, dst.dtype), dst.shape), where)


def _by_numpy(function: Callable[..., Any]) -> Callable[..., None]:
    """A function of NumPy's that writes into its first argument."""

    def written(a: Any, *args: Any, **options: Any) -> Any:
        a = np.array(a)
        function(a, *args, **options)
        return a

    written.__name__ = function.__name__

    def write_into(x: Any, *args: Any, **options: Any) -> None:
        write(function.__name__, x, lambda old: call(written, (old, *args), options))

    return write_into


def _nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    y = nan_to_num(x, nan, posinf, neginf)
    if copy or not y.shape:
        return y
    assign(x, ..., y)
    return x


WRITING: dict[Callable[..., Any], Callable[..., Any]] = {
    np.copyto: _copyto,
    np.nan_to_num: _nan_to_num,
    **{f: _by_numpy(f) for f in (np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask)},
}


def not_written(what: str) -> TracedError:
    """The error for what would write traced numbers into a plain array."""
    return TracedError(
        f"{where_in_user_code()}: {what}: a plain array cannot hold traced values; make it of their kind: "
        "np.zeros(shape, like=x) or np.zeros_like(x), or give the result a name of its own"
    )
