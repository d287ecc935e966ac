"""A Value: one node of the computational graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.foreign import FILLED, called, no_array
from chainrule.traced import Traced, capturing, current_trace, given_back, lend

if TYPE_CHECKING:
    from chainrule.primitives import Primitive

__all__ = ["Cell", "Pool", "Value", "data"]

next_serial = count().__next__
_NONE: Mapping[str, Any] = {}
by_identity: set[int] = set()  # threads in which ``==`` asks whether two Values are one: guards compare lists


class _Versions:
    """Whether elements of any Value were ever assigned: until then nobody has to look for older versions."""

    happened = False


versions = _Versions()


class Value:
    """A number or an array that remembers how it was computed.

    A node is inert: it holds what made it and what came out, nothing that runs.

    Parameters
    ----------
    data : float, complex or array_like of floats
        A number becomes a Python float and stays one through arithmetic; an array is copied and
        keeps its dtype, as does a NumPy number other than float64.
    name : str, optional
        Shown in pictures. Without it pictures use the caller's variable names.
    label : str, optional
        The same, as it is called in micrograd's lecture.

    Attributes
    ----------
    data : float or numpy.ndarray
        What the node computed. A leaf's data may be replaced (``v.data = new``) or updated in
        place (``v.data -= step``); graphs recorded before keep the numbers they were made from.
    grad : float or numpy.ndarray
        What ``backward()`` has added up so far; zeros of the data's shape to begin with.
    primitive : Primitive or None
        The operation that made it; ``None`` for a leaf.
    inputs : tuple
        The operands in order: Values, and plain numbers or arrays for constants.
    args : tuple
        The operands' raw data as they were when the node was recorded. A leaf keeps here the array
        that ``data`` has handed out.
    params : dict
        Static parameters of the operation, such as ``axis``; of a leaf that is frozen, in how many places.
    serial : int
        Number of creation. Inputs are always older than the nodes made from them, so sorting
        by it is a topological order.

    Raises
    ------
    TypeError
        For integer or boolean arrays: a derivative needs real numbers.

    Examples
    --------
    >>> a, b = Value(2.0), Value(3.0)
    >>> c = a * b + a
    >>> c.backward()
    >>> c.data, a.grad, b.grad
    (8.0, 4.0, 2.0)
    """

    __slots__ = ("_raw", "_grad", "args", "inputs", "name", "older", "params", "primitive", "serial")
    older: Value | None  # what it was before its elements were assigned; not set where they never were

    def __init_subclass__(cls) -> None:
        raise TypeError("Value cannot be subclassed; keep a Value in an attribute of your class instead")

    # == compares elements, as in NumPy; a node itself is known by identity.
    __hash__ = object.__hash__

    def __init__(self, data: Any, name: str | None = None, *, label: str | None = None) -> None:
        self._raw: Any = _leaf_data(data)
        self._grad: Any = None
        self.name = name if label is None else label
        self.primitive: Primitive | None = None
        self.inputs: tuple[Any, ...] = ()
        self.args: tuple[Any, ...] = ()
        self.params: Mapping[str, Any] = _NONE
        self.serial = next_serial()

    # ---------------------------------------------------------------- data, gradient and name

    @property
    def data(self) -> Any:
        d = self._current() if capturing or type(self._raw) is Cell else self._raw
        if type(d) is not np.ndarray:
            return lend(self, "data", d) if type(d) is Traced else d
        if self.primitive is not None:  # others may depend on a result, so it is only shown
            d.setflags(write=False)
            return d.view()
        if not self.args:
            self.args = (d.copy(),)
        return self.args[0]

    @data.setter
    def data(self, new: Any) -> None:
        if self.primitive is not None:
            raise TypeError(
                f"Value.data: this Value is the result of {self.primitive.name}; only a leaf's data "
                "can be replaced; make a new leaf with Value(new)"
            )
        if capturing and (trace := self._outside()) is not None:
            if not trace.given_back(self, "data", new):
                trace.write(self, _leaf_data(new), replaced=True)
        elif type(new) is Traced:
            if not given_back(self, "data", new):
                self._adopt(_leaf_data(new))
        elif not (self.args and new is self.args[0]):  # v.data -= step has changed it already
            new = _leaf_data(new)
            if np.shape(new) != np.shape(self._raw):
                raise ValueError(
                    f"Value.data: new data has shape {np.shape(new)}, expected {np.shape(self._raw)}; "
                    "make a new Value for another shape"
                )
            if type(self._raw) is float or type(self._raw) is Cell:
                new = float(new)
            elif new.dtype != self._raw.dtype:  # a leaf keeps its dtype, as an assigned array does
                new = new.astype(self._raw.dtype)
            self.args = ()  # what was handed out before is nobody's
            self._adopt(new)

    @property
    def grad(self) -> Any:
        g = self._gradient if capturing or type(self._grad) is Cell else self._grad
        if type(g) is Traced:
            return lend(self, "grad", g)
        if g is None:
            g = 0.0 if type(self._raw) is float or type(self._raw) is Cell else np.zeros_like(self._raw)
            if type(g) is np.ndarray and not (capturing and self._outside()):
                self._grad = g  # so that writing into it is not lost
        elif type(g) is np.ndarray and self.primitive is not None:  # others may hold it: it is only shown
            g = g.view()
            g.flags.writeable = False
        elif type(g) is np.ndarray and not g.flags.writeable:
            g = self._grad = g.copy()  # the sweep may have handed one array to several nodes
        return g

    @grad.setter
    def grad(self, new: Any) -> None:
        if capturing and (type(new) is Traced or self._outside() is not None):
            if not given_back(self, "grad", new):
                g = data(new)
                self._gradient = g.held() if type(g) is Traced else g
            return
        if new is not None:
            if type(self._raw) is float or type(self._raw) is Cell:
                new = float(data(new))
            else:
                new = np.asarray(data(new), dtype=self._raw.dtype)
                if new.shape != self._raw.shape:
                    if new.ndim:
                        raise ValueError(
                            f"Value.grad: new gradient has shape {new.shape}, expected the data's "
                            f"{self._raw.shape}"
                        )
                    new = np.full(self._raw.shape, new)
        self._gradient = new

    @property
    def label(self) -> str:
        """The name, or ``''``: what drawing code in the manner of micrograd's lecture reads."""
        return self.name or ""

    @label.setter
    def label(self, new: str) -> None:
        self.name = new

    # ---------------------------------------------------------------- what lies behind them

    def _current(self) -> Any:
        """The data as a graph may keep it: nobody writes to this array.

        A leaf whose ``data`` was handed out has two arrays: the one handed out, which its owner may
        change whenever he likes, and the one that graphs hold. Here the second catches up.
        """
        if capturing and (trace := self._outside()) is not None:
            return trace.read(self)
        if type(self._raw) is Cell:
            return self._raw.pool.numbers[self._raw.index]
        if self.primitive is None and self.args and not same_bytes(self.args[0], self._raw):
            self._raw = self.args[0].copy()
            self._raw.setflags(write=False)
        return self._raw

    def _adopt(self, new: Any) -> None:
        """Give a leaf new data that is nobody else's, without a copy; what was handed out follows."""
        if capturing and (trace := self._outside()) is not None:
            trace.write(self, new)
            return
        if type(new) is Traced:
            self.args = ()
        elif type(self._raw) is Cell:
            self._raw.pool.stale = True
        if self.args:
            self.args[0][...] = new
        if type(new) is np.ndarray:
            new.setflags(write=False)
        self._raw = new

    @property
    def _gradient(self) -> Any:
        """The gradient as it is, None if there is none; only to be read."""
        if capturing and (trace := self._outside()) is not None:
            return trace.read_grad(self)
        if type(self._grad) is Cell:
            return self._grad.pool.numbers[self._grad.index]
        return self._grad

    @_gradient.setter
    def _gradient(self, new: Any) -> None:
        if capturing and (trace := self._outside()) is not None:
            trace.write_grad(self, new)
        else:
            if type(self._grad) is Cell:
                self._grad.pool.stale = True
            self._grad = new

    def _outside(self) -> Any:
        """The capture going on in this thread, if this Value is older and so is its input."""
        trace = current_trace()
        return None if trace is None or self.serial >= trace.start else trace

    # ---------------------------------------------------------------- data that a compiled program works on

    @classmethod
    def _of(cls, data: Any) -> Value:
        """A leaf that takes data over as they are, without a copy."""
        v = cls(0.0)
        if type(data) is np.ndarray:
            data.setflags(write=False)
        v._raw = data
        return v

    def _live_in(self, pool: Pool, index: int) -> None:
        """Keep the data, a number, in a program's memory; a program that had it is told."""
        if type(self._raw) is Cell:
            if self._raw.pool is pool:
                return
            self._raw.pool.stale = True
        self._raw = Cell(pool, index)

    def _grad_lives_in(self, pool: Pool, index: int) -> None:
        """The same for the gradient."""
        if type(self._grad) is Cell and self._grad.pool is not pool:
            self._grad.pool.stale = True
        self._grad = Cell(pool, index)

    # ---------------------------------------------------------------- as NumPy's arrays have it

    @property
    def shape(self) -> tuple[int, ...]:
        d = self._raw
        return () if type(d) is float else d.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        d = self._raw
        return _FLOAT64 if type(d) is float else d.dtype

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def item(self, *index: Any) -> Any:
        """The data as a Python number; the way to print or log a loss. Size 1 only, or of the index named.

        A function that is being differentiated may not ask for what depends on its arguments.
        """
        d = self._current()
        if type(d) is float:
            return np.float64(d).item(*index) if index else d
        return d.item(*index)

    def tolist(self) -> Any:
        """The data as a Python number or nested lists; see `item`."""
        d = self._current()
        return d if type(d) is float else d.tolist()

    # ---------------------------------------------------------------- as Python sees it

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        grad = 0.0 if self._gradient is None else self._gradient
        return f"Value(data={_brief(self._current())}, grad={_brief(grad)}{name})"

    def __format__(self, spec: str) -> str:
        return format(self._current(), spec) if spec else repr(self)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: this Value is a scalar, it has no length")
        return self.shape[0]

    def __bool__(self) -> bool:
        raise _cut("bool", "compare it (v > 0 gives a plain boolean) or use np.where")

    def __float__(self) -> float:
        if called().startswith("scipy."):
            raise TypeError(no_array())
        raise _cut("float", f"use np.sin and the like instead of math.sin; {FILLED}; print with f'{{v:.3f}}'")

    def __int__(self) -> int:
        raise _cut("int", "use np.floor and the like")

    def __index__(self) -> int:
        raise _cut("an index", "indices are integers, which have no derivative")

    def __complex__(self) -> complex:
        raise _cut("complex", f"write v + 0j; {FILLED}, of dtype complex")

    def __round__(self, digits: int | None = None) -> Any:
        raise _cut("round", "use np.round(v, digits), or print with f'{v:.3f}'")

    def as_integer_ratio(self) -> Any:  # what `statistics` asks for
        raise _cut("as_integer_ratio", "use np.mean(v), np.var(v) and the like instead of statistics'")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(no_array())

    def __reduce__(self) -> Any:
        if self.primitive is not None:
            raise TypeError(
                f"pickle, copy: this Value is the result of {self.primitive.name} and part of a graph; "
                "only leaves can be copied; take Value(v.data), or v.data to plot or save its numbers"
            )
        return _restore, (self._current(), self.name, self._gradient, dict(self.params))

    if TYPE_CHECKING:  # what chainrule.numpy.operators, chainrule.sweeps.adjoint and chainrule.names attach
        T: Value

        def backward(self, gradient: Any = None) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Value: ...
        def __add__(self, other: Any) -> Value: ...
        def __radd__(self, other: Any) -> Value: ...
        def __sub__(self, other: Any) -> Value: ...
        def __rsub__(self, other: Any) -> Value: ...
        def __mul__(self, other: Any) -> Value: ...
        def __rmul__(self, other: Any) -> Value: ...
        def __truediv__(self, other: Any) -> Value: ...
        def __rtruediv__(self, other: Any) -> Value: ...
        def __pow__(self, other: Any) -> Value: ...
        def __rpow__(self, other: Any) -> Value: ...
        def __matmul__(self, other: Any) -> Value: ...
        def __rmatmul__(self, other: Any) -> Value: ...
        def __neg__(self) -> Value: ...
        def __abs__(self) -> Value: ...
        def __gt__(self, other: Any) -> Any: ...
        def __lt__(self, other: Any) -> Any: ...
        def __ge__(self, other: Any) -> Any: ...
        def __le__(self, other: Any) -> Any: ...


class Pool:
    """The numbers a compiled program works on; ``stale`` when a Value that lived here was given another."""

    __slots__ = ("numbers", "stale")

    def __init__(self, numbers: memoryview) -> None:
        self.numbers = numbers
        self.stale = True


class Cell:
    """Where a Value's number is to be found: in the place of its data or gradient."""

    __slots__ = ("index", "pool")
    shape = ()
    dtype = np.dtype(np.float64)

    def __init__(self, pool: Pool, index: int) -> None:
        self.pool = pool
        self.index = index


_FLOAT64 = np.dtype(np.float64)
_new = object.__new__


def result(
    data: Any,
    primitive: Primitive,
    inputs: tuple[Any, ...],
    args: tuple[Any, ...],
    params: Mapping[str, Any] = _NONE,
) -> Value:
    """The node of an operation's result. Made without a constructor: scalar graphs make very many."""
    if capturing and (trace := current_trace()) is not None:
        data, args = _through(trace, data, primitive, inputs, args, params)
    v = _new(Value)
    v._raw = data
    v._grad = None
    v.name = None
    v.primitive = primitive
    v.inputs = inputs
    v.args = args
    v.params = params
    v.serial = next_serial()
    return v


def _through(
    trace: Any, data: Any, primitive: Primitive, inputs: Any, args: Any, params: Mapping[str, Any]
) -> tuple[Any, Any]:
    """A result of a capture: computed again, if it read the numbers of Values from outside."""
    for x, a in zip(inputs, args):
        if type(x) is Value and x.serial < trace.start and type(a) is not Traced:
            break
    else:
        return _as_number(data, args), args
    args = tuple(
        trace.read(x) if type(x) is Value and x.serial < trace.start else a
        for x, a in zip(inputs, args, strict=True)
    )
    return _as_number(primitive.run(*args, **params), args), args


def _as_number(data: Any, args: Any) -> Any:
    """A result of Python numbers is one, whatever NumPy makes of them on the way."""
    if type(data) is not Traced or data.weak or data.shape or data.dtype != _FLOAT64:
        return data
    numbers = all(type(a) in (float, int, bool) or (type(a) is Traced and a.weak) for a in args)
    return data.as_number() if numbers else data


def data(x: Any) -> Any:
    """The raw data of a Value; anything else as it is.

    Examples
    --------
    >>> data(Value(2.0)), data(3.0)
    (2.0, 3.0)
    """
    return x.data if type(x) is Value else x


def current(x: Any) -> Any:
    """The raw data of a Value, only to be read; anything else as it is."""
    return x._current() if type(x) is Value else x


def changed(x: Value, a: Any) -> bool:
    """Whether a leaf has other data by now than ``a``, which a node was made from."""
    if x.primitive is not None or x._current() is a:
        return False
    return type(a) is not Traced or a.origin is current_trace()  # a loop's body has its own node for it


def _leaf_data(x: Any) -> Any:
    """A leaf's data: a Python float, a NumPy scalar, or an array of the leaf's own."""
    kind = type(x)
    if kind is float:
        return x
    if kind is int or kind is np.float64:
        return float(x)
    if kind is Traced:
        if x.dtype.kind not in "fc":
            raise TypeError(f"Value: data is {x!r}, expected floats; a derivative needs real numbers")
        # Of Python's complex numbers NumPy's, as without a capture
        return x.as_complex() if x.weak and x.dtype.kind == "c" else x.held()
    if kind is Value:
        raise TypeError("Value: the data is a Value already; use it, or Value(v.data) for a new leaf")
    if not isinstance(x, np.ndarray | np.generic):
        received = "None" if x is None else f"a {type(x).__name__}"
        x = np.asarray(x)
        if x.dtype == object:
            raise TypeError(f"Value: data is {received}, expected a number or an array of floats")
        if x.ndim == 0:
            x = x[()]
    elif isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            "Value: data is a masked array, whose mask a Value cannot keep; pass x.data, and choose with "
            "np.where(x.mask, 0.0, v) or np.mean(v, where=~x.mask)"
        )
    elif isinstance(x, np.matrix):
        raise TypeError("Value: data is an np.matrix, which means another product by *; pass np.asarray(m)")
    if not np.issubdtype(x.dtype, np.inexact):
        raise TypeError(
            f"Value: data is of dtype {x.dtype}, expected floats; a derivative needs real numbers: write "
            "np.array(x, float), or keep integers as plain NumPy arrays beside the Value"
        )
    if isinstance(x, np.ndarray):
        x = kept(x)
        if type(x) is np.ndarray:
            x.setflags(write=False)
    return x


def kept(x: np.ndarray[Any, Any]) -> Any:
    """An array as a graph keeps it: a copy, or while compiling what is read at each call, if it is large."""
    if capturing and (trace := current_trace()) is not None and (held := trace.held(x)) is not None:
        return held
    return np.array(x)


def same_bytes(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same numbers, nan and the sign of zero included."""
    if a.dtype != b.dtype:
        return False
    a, b = (np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in (a, b))
    return np.array_equal(a, b)


freezes = [0]  # how often a leaf was frozen or let go: who compiled for leaves as they were looks again


def freeze(leaf: Value, more: int) -> None:
    """Let one more, or with -1 one fewer, hold a leaf frozen; while somebody does, it gets no gradient."""
    count = leaf.params.get("frozen", 0) + more
    leaf.params = {"frozen": count} if count > 0 else _NONE
    freezes[0] += 1


def _restore(data: Any, name: str | None, grad: Any, params: Mapping[str, Any] = _NONE) -> Value:
    value = Value(data, name)
    value.params = params
    value._grad = grad if type(grad) is not np.ndarray else grad.copy()
    return value


def _cut(what: str, remedy: str) -> TypeError:
    return TypeError(
        f"{what} of a tracked Value would cut it out of the graph; to stay in it {remedy}; v.data has the "
        "bare number and leaves the graph"
    )


def _brief(d: Any) -> str:
    if type(d) is not np.ndarray:
        return repr(d) if d is None or type(d) is float else str(d)
    if d.ndim > 2 and d.size > 16:
        return f"<{d.dtype} array of shape {d.shape}>"
    text = np.array2string(d, separator=", ", threshold=16, edgeitems=2).replace("\n", "")
    return text if d.size <= 16 else f"<{d.dtype} array of shape {d.shape}: {text}>"
