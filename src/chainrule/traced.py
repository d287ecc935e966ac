"""Arrays known by shape and dtype alone, standing for data while a function is captured.

A `Traced` stands where a Value or an array operation otherwise has raw data. What is done to it is
written down as further `Traced` nodes: a program, which `chainrule.native` makes machine code of.
Here is only what the engine must know of it; its arithmetic is in `chainrule.native`.
"""

from __future__ import annotations

import linecache
import random
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.foreign import called, from_library, instead

if TYPE_CHECKING:
    from chainrule.native.assignment import Memory
    from chainrule.native.capture import Trace

__all__ = ["Changed", "Traced", "TracedError", "capturing", "is_array", "where_in_user_code"]

_NONE: Mapping[str, Any] = {}
_NO_NUMBER, _IN_PLACE = "it has no number yet", "a traced array keeps its shape"


class TracedError(TypeError):
    """Something was asked of a traced array that only numbers can answer."""


class Changed:
    """Stands in the ``origin`` of a traced array that has been written to.

    The node stays what it was, for what has read it. To whoever has it as an array it now means another one:
    so whatever takes an operand looks whose it is, and takes that (`chainrule.native.operations.current`).

    Attributes
    ----------
    memory : Memory
        Where its numbers lie now, with those of other names and views.
    steps : tuple
        The views between it and the whole.
    seen, made : Traced or None
        What it was last taken from, and the node that was made.
    """

    __slots__ = ("made", "memory", "seen", "steps")

    def __init__(self, memory: Memory, steps: tuple[Any, ...]) -> None:
        self.memory, self.steps = memory, steps
        self.seen: Traced | None = None
        self.made: Traced | None = None


class Traced:
    """One node of a captured program: an operation whose result has this shape and dtype.

    Attributes
    ----------
    op : str
        ``"input"``, ``"constant"``, a NumPy ufunc's name, or one of the operations listed in
        `chainrule.native.operations`.
    inputs : tuple of Traced
    params : dict
        Static parameters of the operation.
    shape : tuple of int
    dtype : numpy.dtype
    weak : bool
        Whether it stands for a Python number, which has no say in NumPy's promotion of dtypes.
    origin : Trace
        The capture it belongs to; or `Changed`.
    """

    __slots__ = ("dtype", "inputs", "op", "origin", "params", "shape", "weak")

    op: str
    inputs: tuple[Traced, ...]
    params: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    weak: bool
    origin: Any

    __hash__ = object.__hash__

    def __init__(
        self,
        trace: Trace,
        op: str,
        inputs: tuple[Traced, ...],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        weak: bool = False,
        params: Mapping[str, Any] = _NONE,
    ) -> None:
        self.origin = trace
        self.op = op
        self.inputs = inputs
        self.shape = shape
        self.dtype = dtype
        self.weak = weak
        self.params = params

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for k in self.shape:
            n *= k
        return n

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def is_number(self) -> bool:
        """Whether it stands for a Python float."""
        return self.weak and self.dtype.kind == "f"

    def __repr__(self) -> str:
        kind = f"{self.dtype}{list(self.shape)}".replace(" ", "") if self.shape else str(self.dtype)
        return f"<traced {kind} {self.op}>"

    def __format__(self, spec: str) -> str:
        if spec:
            raise self._no_number(f"format {spec!r}", _NO_NUMBER, "print it without a format")
        return repr(self)

    def __copy__(self) -> Traced:
        return self.copy() if self.shape else self  # as of an array, which may be written to

    def __deepcopy__(self, memo: Any) -> Traced:
        return self.__copy__()

    if TYPE_CHECKING:  # what chainrule.native.protocols attaches

        def as_number(self) -> Traced: ...
        def as_complex(self) -> Traced: ...
        def copy(self) -> Traced: ...
        def held(self) -> Traced: ...
        def choose(self, x: Any, y: Any) -> Traced: ...
        def sum(self, axis: Any = None) -> Traced: ...
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Traced: ...

    def _no_number(self, what: str, why: str, remedy: str) -> TracedError:
        error = TracedError(
            f"{where_in_user_code()}: {what} of a traced value ({self!r}) while compiling: {why}; {remedy}"
        )
        if (trace := current_trace()) is not None and what in ("bool", "float", "int", "complex"):
            trace.refused = error  # raised again at the end, in case the function catches it and goes on
        return error


# What only numbers can answer, and what NumPy does in place: how it is called, why not, and what to do.
_REFUSED: dict[str, tuple[str, str, str]] = {
    "__bool__": (
        "bool", "an if or while on it would freeze one branch into the program",
        "use np.where(condition, x, y), np.logical_and(a, b) for a and b, np.maximum(a, b) for max, np.sort "
        "for sorted, cr.cond(condition, f, g, *operands) for a branch, "
        "cr.while_loop for a loop, or name the argument in static_argnums, and pass it by position; leave "
        "asserts out",
    ),
    "__float__": (
        "float", _NO_NUMBER,
        "use np functions instead of math's; to keep it return it, and take float() of what comes back; for "
        "a[i] = x make a of x's kind, a = np.zeros(shape, like=x) or "
        "np.zeros_like(x)",
    ),
    "__complex__": ("complex", _NO_NUMBER, "multiply by 1j"),
    "__int__": (
        "int", _NO_NUMBER, "x[i] takes a traced index as it is; name an argument in static_argnums, and pass "
        "it by position",
    ),
    "__index__": (
        "an index or a count", _NO_NUMBER,
        "name the argument in static_argnums, or use cr.fori and cr.scan for loops",
    ),
    "__round__": ("round", _NO_NUMBER, "use np.round(x, decimals)"),
    "__floor__": ("math.floor", _NO_NUMBER, "use np.floor(x)"),
    "__ceil__": ("math.ceil", _NO_NUMBER, "use np.ceil(x)"),
    "__trunc__": ("math.trunc", _NO_NUMBER, "use np.trunc(x)"),
    "__contains__": ("in", _NO_NUMBER, "use np.any(array == x)"),
    "item": ("item", _NO_NUMBER, "return it from the compiled function"),
    "tolist": ("tolist", _NO_NUMBER, "return it from the compiled function"),
    "__array__": (
        "np.asarray", _NO_NUMBER,
        "use the traced array as it is; join several with np.stack or chainrule.array; for a[i] = x make a "
        "of x's kind, a = np.zeros(shape, like=x) or np.zeros_like(x); give functions of np whole arrays, "
        "without np.vectorize; a plain array is indexed by one as cr.Value(a)[i], of integers as an argument "
        "of the compiled function, or goes through the xs of cr.scan",
    ),
    "__reduce__": ("pickle", _NO_NUMBER, "return it from the compiled function"),
    "__delitem__": ("del", _IN_PLACE, "use np.delete"),
    "resize": ("resize", _IN_PLACE, "write x = x.reshape(shape)"),
}  # fmt: skip


def _refusing(reason: tuple[str, str, str]) -> Callable[..., Any]:
    def refused(self: Traced, *_: Any, **__: Any) -> Any:
        if not capturing:
            from chainrule.native.operations import leaked  # loaded already: it made what is traced

            raise leaked(reason[0])
        if reason[0] in ("np.asarray", "float", "complex") and (name := called()):
            raise self._no_number(name, _NO_NUMBER, instead(name))
        raise self._no_number(*reason)

    return refused


for _name, _reason in _REFUSED.items():
    setattr(Traced, _name, _refusing(_reason))


def is_array(x: Any) -> bool:
    """Whether ``x`` is raw data: a number, an array, or what stands for one in a capture."""
    return isinstance(x, float | int | complex | np.ndarray | np.generic | Traced)


def in_numpy(run: Callable[..., Any], args: Any, params: Any) -> Any:
    """A call that a program makes in Python, some of its arguments traced; of numbers the result is one."""
    first: Any = next(x for x in args if type(x) is Traced)
    y = first.__array_function__(run, (), args, params)
    weak = all(x.weak if type(x) is Traced else type(x) in (float, int) for x in args)
    return y.as_number() if weak and y.dtype.kind == "f" else y


# -------------------------------------------------------------------- which capture is going on

_here = threading.local()
# How many captures are going on in any thread: nothing else is looked at while there are none.
capturing: list[Trace] = []


def current_trace() -> Trace | None:
    """The capture of this thread, if there is one."""
    return getattr(_here, "trace", None)


def set_trace(trace: Trace | None) -> None:
    _here.trace = trace


def lend(v: Any, what: str, x: Traced) -> Traced:
    """``v``'s data or gradient as its user gets it, see `chainrule.native.capture.Trace.lend`."""
    trace = current_trace()
    return x if trace is None else trace.lend(v, what, x)


def given_back(v: Any, what: str, new: Any) -> bool:
    """Whether what is assigned is what was lent, see `chainrule.native.capture.Trace.given_back`."""
    trace = current_trace()
    return trace is not None and trace.given_back(v, what, new)


def scatter_traced(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape`` with ``g`` added at ``index``, where either is traced."""
    from chainrule.native.indexing import scatter  # loaded already: it made what is traced

    return scatter(g, index, shape)


def setitem_traced(x: Any, new: Any, index: Any) -> Any:
    """``x`` with ``new`` at ``index``, where any of them is traced.

    Raises
    ------
    TracedError
        For a traced index of several elements: which of two for one is the last is not known, and only that
        has a derivative.
    """
    from chainrule.native.indexing import setitem

    parts = index if isinstance(index, tuple) else (index,)
    if any(getattr(p, "shape", ()) for p in parts) and any(type(p) is Traced for p in parts):
        raise TracedError(
            f"{where_in_user_code()}: assignment to a Value at a traced array of indices, which may name an "
            "element twice; add with np.add.at, or write np.where(mask, new, x)"
        )
    return setitem(x, new, index)


def is_view(x: Traced) -> bool:
    """Whether NumPy's array would lie in its operand's memory; True as well if nobody knows."""
    from chainrule.native.assignment import kind_of_view

    return kind_of_view(x) != "copy"


def check_view(x: Any) -> None:
    """Refuse to write to an array, or to what it may be a view of, if nobody knows whether it is one.

    Raises
    ------
    TracedError
    """
    if type(x) is not Traced:
        return
    from chainrule.native.assignment import kind_of_view

    if kind_of_view(x) == "unknown":
        raise TracedError(
            f"{where_in_user_code()}: assignment to an array that was reshaped, or to its reshaped self: "
            "whether NumPy's is a copy depends on its order in memory, which is not known while compiling; "
            "write x.reshape(shape).copy(), or np.array(x, order='C') before"
        )


def getitem_traced(x: Any, index: Any) -> Any:
    """``x[index]`` where an index is traced and ``x`` may be a plain array."""
    from chainrule.native.indexing import getitem
    from chainrule.native.operations import lift

    return getitem(lift(x), index)


# -------------------------------------------------------------------- the user's line

_WIDTH = 80  # of a line of source in a message


def where_in_user_code() -> str:
    """``file.py, line 7, in f: 'the line'`` of the innermost frame that is not a library's.

    Code without a file counts if its source is known, as that of a notebook's cells is, or of doctests;
    else only if there is nothing better: such is what ``exec`` runs, and what `dataclasses` write.
    """
    frame = sys._getframe(1)
    found = "compile"
    while frame is not None:
        name, line = frame.f_code.co_filename, frame.f_lineno
        if not from_library(name) and not name.startswith((random.__file__, "<frozen ")):
            place = f"{name}, line {line}, in {frame.f_code.co_name}"
            text = linecache.getline(name, line).strip()
            if len(text) > _WIDTH:
                text = text[: _WIDTH - 3] + "..."
            if text:
                return f"{place}: {text!r}"
            if not name.startswith("<") or name.startswith("<stdin"):
                return place
            if found == "compile":
                found = place
        frame = frame.f_back  # type: ignore[assignment]
    return found
