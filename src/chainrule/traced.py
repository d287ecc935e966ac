"""Arrays known by shape and dtype alone, standing for data while a function is captured.

A `Traced` stands where a Value or an array operation otherwise has raw data. What is done to it is
written down as further `Traced` nodes: a program, which `chainrule.native` makes machine code of.
Here is only what the engine must know of it; its arithmetic is in `chainrule.native.operations`.
"""

from __future__ import annotations

import linecache
import random
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from chainrule.native.capture import Trace

__all__ = ["Traced", "TracedError", "capturing", "is_array", "where_in_user_code"]

_NONE: Mapping[str, Any] = {}


class TracedError(TypeError):
    """Something was asked of a traced array that only numbers can answer."""


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
        The capture it belongs to.
    """

    __slots__ = ("dtype", "inputs", "op", "origin", "params", "shape", "weak")

    op: str
    inputs: tuple[Traced, ...]
    params: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    weak: bool
    origin: Trace

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

    # ---------------------------------------------------------------- what only numbers can answer

    def __bool__(self) -> bool:
        raise self._no_number(
            "bool", "an if or while on it would freeze one branch into the program",
            "use np.where(condition, x, y), cr.cond(condition, f, g, *operands) for a branch, "
            "cr.while_loop for a loop, or name the argument in static_argnums",
        )  # fmt: skip

    def __float__(self) -> float:
        raise self._no_number("float", "it has no number yet", "use np functions instead of math's")

    def __complex__(self) -> complex:
        raise self._no_number("complex", "it has no number yet", "multiply by 1j")

    def __int__(self) -> int:
        raise self._no_number("int", "it has no number yet", "name the argument in static_argnums")

    def __index__(self) -> int:
        raise self._no_number(
            "an index or a count", "it has no number yet",
            "name the argument in static_argnums, or use cr.fori and cr.scan for loops",
        )  # fmt: skip

    def item(self) -> Any:
        raise self._no_number("item", "it has no number yet", "return it from the compiled function")

    def tolist(self) -> Any:
        raise self._no_number("tolist", "it has no numbers yet", "return it from the compiled function")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self._no_number(
            "np.asarray", "it has no numbers yet",
            "join traced values with np.stack or chainrule.array; out= and a[i] = v need np.where or .at; "
            "a plain array is indexed by one as cr.Value(a)[i], or goes through the xs of cr.scan",
        )  # fmt: skip

    def __setitem__(self, index: Any, new: Any) -> None:
        raise self._no_number(
            "assignment to an element", "a traced array is not changed in place",
            "build the result with np.where, np.concatenate or np.stack",
        )  # fmt: skip

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __deepcopy__(self, memo: Any) -> Traced:
        return self

    if TYPE_CHECKING:  # what chainrule.native.operations attaches

        def as_number(self) -> Traced: ...
        def as_complex(self) -> Traced: ...
        def choose(self, x: Any, y: Any) -> Traced: ...
        def sum(self, axis: Any = None) -> Traced: ...
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Traced: ...

    def _no_number(self, what: str, why: str, remedy: str) -> TracedError:
        error = TracedError(
            f"{where_in_user_code()}: {what} of a traced value ({self!r}) while compiling: {why}; {remedy}"
        )
        if (trace := current_trace()) is not None and what == "bool":
            trace.refused = error  # raised again at the end, in case the function catches it and goes on
        return error


def is_array(x: Any) -> bool:
    """Whether ``x`` is raw data: a number, an array, or what stands for one in a capture."""
    return isinstance(x, float | int | complex | np.ndarray | np.generic | Traced)


# -------------------------------------------------------------------- which capture is going on

_here = threading.local()
# How many captures are going on in any thread: nothing else is looked at while there are none.
capturing: list[Trace] = []


def current_trace() -> Trace | None:
    """The capture of this thread, if there is one."""
    return getattr(_here, "trace", None)


def set_trace(trace: Trace | None) -> None:
    _here.trace = trace


def scatter_traced(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape`` with ``g`` added at ``index``, where either is traced."""
    from chainrule.native.operations import scatter  # loaded already: it made what is traced

    return scatter(g, index, shape)


def getitem_traced(x: Any, index: Any) -> Any:
    """``x[index]`` where an index is traced and ``x`` may be a plain array."""
    from chainrule.native.operations import getitem, lift

    return getitem(lift(x), index)


# -------------------------------------------------------------------- the user's line

_PACKAGE = str(Path(__file__).parent)
_LIBRARIES = (_PACKAGE, str(Path(np.__file__).parent), random.__file__, "<")


def where_in_user_code() -> str:
    """``file.py, line 7, in f: 'the line'`` of the innermost frame that is not a library's."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_LIBRARIES) or code.co_filename.startswith("<stdin"):
            text = linecache.getline(code.co_filename, frame.f_lineno).strip()
            place = f"{code.co_filename}, line {frame.f_lineno}, in {code.co_name}"
            return f"{place}: {text!r}" if text else place
        frame = frame.f_back  # type: ignore[assignment]
    return "compile"
