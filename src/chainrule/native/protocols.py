"""NumPy's protocols, Python's operators, and the methods of traced arrays."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.native.assignment import (
    OPERATORS,
    WRITING,
    assign,
    in_order,
    in_place,
    not_written,
    replace,
    write_at,
)
from chainrule.native.indexing import getitem
from chainrule.native.operations import (
    BINARY,
    BOOL,
    FLOAT64,
    INT64,
    broadcast_to,
    call,
    cast,
    concatenate,
    copied,
    expand_dims,
    held,
    lift,
    moveaxis,
    node,
    pad,
    reshape,
    squeeze,
    stack,
    swapaxes,
    transpose,
)
from chainrule.native.products import dot, einsum
from chainrule.native.reductions import REDUCE, argmax, argmin, cumprod, cumsum, mean, std, var
from chainrule.native.trials import TRIED
from chainrule.native.ufuncs import apply_ufunc, clip, full, infinite, where
from chainrule.traced import Traced, TracedError, where_in_user_code
from chainrule.value import Value

__all__ = ["FUNCTIONS"]

# -------------------------------------------------------------------- NumPy's protocols


def array_ufunc(self: Traced, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    for x in inputs:
        if type(x) is Value:
            return NotImplemented  # the Value knows what to do
    if method == "__call__" and not options:
        return apply_ufunc(ufunc, *inputs)
    name = ufunc.__name__
    if method == "at":
        return write_at(ufunc, *inputs)
    if "out" in options:
        outs, mask = options.pop("out"), options.pop("where", True)
        made = getattr(ufunc, method)(*inputs, **options)
        if ufunc.nout > 1:
            what = f"{name} with out="
            return tuple(y if o is None else _into(what, o, y, mask) for o, y in zip(outs, made))
        if method == "__call__" and np.broadcast_shapes(made.shape, np.shape(outs[0])) == np.shape(outs[0]):
            made = broadcast_to(made, np.shape(outs[0]))
        return _into(f"{name} with out=", outs[0], made, mask)
    if method == "reduce" and name in ("maximum", "minimum") and options.get("dtype") is not None:
        inputs = (cast(lift(inputs[0]), np.dtype(options["dtype"])),)
    if method == "reduce" and name in _REDUCE_NAMES:
        return REDUCE[_REDUCE_NAMES[name]](inputs[0], **{"axis": 0, **options})
    if method == "accumulate" and name in ("add", "multiply"):
        return (cumsum if name == "add" else cumprod)(inputs[0], **{"axis": 0, **options})
    if method == "outer" and not options:
        a, b = (cast(x, x.dtype) for x in map(lift, inputs))  # no number gives way, as in NumPy
        return apply_ufunc(ufunc, reshape(a, a.shape + (1,) * b.ndim), b)
    return call(getattr(ufunc, method), inputs, options)


_REDUCE_NAMES = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min",
                 "logical_or": "any", "logical_and": "all"}  # fmt: skip


FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: REDUCE["sum"], np.prod: REDUCE["prod"], np.any: REDUCE["any"], np.all: REDUCE["all"],
    np.max: lambda a, axis=None, out=None, *rest, **o: REDUCE["max"](a, axis, None, None, *rest, **o),
    np.min: lambda a, axis=None, out=None, *rest, **o: REDUCE["min"](a, axis, None, None, *rest, **o),
    np.argmax: argmax, np.argmin: argmin, np.cumsum: cumsum, np.cumprod: cumprod,
    np.mean: mean, np.var: var, np.std: std, np.where: where, np.clip: clip,
    np.reshape: lambda a, /, shape=None, order="C", **o: reshape(lift(a), shape, order=order),
    np.ravel: lambda a, order="C": reshape(lift(a), (-1,) if lift(a).size else (0,), order=order),
    np.transpose: transpose, np.broadcast_to: broadcast_to, np.concatenate: concatenate, np.stack: stack,
    np.squeeze: squeeze, np.expand_dims: expand_dims, np.swapaxes: swapaxes, np.moveaxis: moveaxis,
    np.pad: pad, np.einsum: einsum, np.dot: dot,
    np.matrix_transpose: lambda x: swapaxes(x, -1, -2),
    np.zeros_like: lambda x, dtype=None, order="K", subok=True, shape=None: full(x, 0, dtype, shape),
    np.ones_like: lambda x, dtype=None, order="K", subok=True, shape=None: full(x, 1, dtype, shape),
    np.empty_like: lambda x, dtype=None, order="K", subok=True, shape=None: full(x, 0, dtype, shape),
    np.full_like: lambda x, v, dtype=None, order="K", subok=True, shape=None: full(x, v, dtype, shape),
    np.real: lambda x: x if x.dtype.kind != "c" else call(np.real, (x,), {}),
    np.imag: lambda x: full(x, 0) if x.dtype.kind != "c" else call(np.imag, (x,), {}),
    np.copy: lambda a, order="K", subok=False: copied(a),
    np.round: lambda a, decimals=0, out=None: call(np.round, (a, decimals), {}) if decimals else (
        copied(a) if a.dtype.kind in "iu" else apply_ufunc(np.rint, a)),
    np.isposinf: infinite(1.0), np.isneginf: infinite(-1.0),
    np.shape: lambda a: a.shape, np.ndim: lambda a: a.ndim, np.size: lambda a, axis=None: (
        a.size if axis is None else a.shape[axis]),
    np.iscomplexobj: lambda x: x.dtype.kind == "c", np.isrealobj: lambda x: x.dtype.kind != "c",
    np.astype: lambda x, dtype, /, *, copy=True, device=None: _astype(x, dtype, copy=copy),
    np.result_type: lambda *xs: np.result_type(*[x.dtype if type(x) is Traced else x for x in xs]),
    np.array_repr: repr, np.array_str: repr,
}  # fmt: skip
FUNCTIONS[np.amax], FUNCTIONS[np.amin] = FUNCTIONS[np.max], FUNCTIONS[np.min]
FUNCTIONS[np.permute_dims] = transpose
FUNCTIONS |= TRIED


_CASTING = {np.clip, np.stack}  # without a lowering for this


def _into(what: str, out: Any, made: Any, mask: Any = True) -> Any:
    """A result in the array that is to hold it."""
    if type(out) is not Traced:
        raise not_written(f"{what}, or an in-place operator on a plain array")
    return replace(what, out, made, mask)


@functools.cache
def _positional(function: Callable[..., Any]) -> list[str]:
    """The names of the arguments that may be given by position; none, if they are not known."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:
        return []
    return [k for k, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def array_function(self: Traced, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
    if Value in types:
        return NotImplemented
    names = _positional(function)
    at = names.index("out") if "out" in names else sys.maxsize
    if function in WRITING:
        if type(args[0] if args else kwargs.get("dst")) is not Traced:
            raise not_written(function.__name__)
        return WRITING[function](*args, **kwargs)
    if (out := kwargs.get("out", args[at] if at < len(args) else None)) is not None:
        args, rest = args[:at], {**kwargs, **dict(zip(names[at + 1 :], args[at + 1 :]))}
        rest.pop("out", None)
        return _into(f"{function.__name__} with out=", out, function(*args, **rest))
    f = FUNCTIONS.get(function)
    if function in _CASTING and not kwargs.keys().isdisjoint(("dtype", "casting")):
        f = None
    if f is not None and not (function is np.where and len(args) == 1):
        return f(*args, **kwargs)
    if function is np.where:
        function = np.nonzero
    return call(function, args, kwargs)


# -------------------------------------------------------------------- operators


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
        return apply_ufunc(ufunc, *(_of_python(ufunc, self, other) if self.weak else (self, other)))

    def reflected(self: Traced, other: Any) -> Any:
        if type(other) is Value or not isinstance(other, _OPERANDS):
            return NotImplemented
        return apply_ufunc(ufunc, *(_of_python(ufunc, other, self) if self.weak else (other, self)))

    return forward, reflected


def _of_python(ufunc: np.ufunc, *operands: Any) -> Sequence[Any]:
    """Operands as an operator of Python's own takes them: True is 1, except to ~, and 2 ** -1 is 0.5."""
    xs = [lift(x) for x in operands]
    if ufunc in _COUNTING and all(x.weak and x.dtype == BOOL for x in xs):
        xs = [cast(x, INT64, True) for x in xs]
    if ufunc is np.power and type(operands[1]) is int and operands[1] < 0 and xs[0].dtype.kind in "bi":
        xs[0] = cast(xs[0], FLOAT64, True)
    return xs


def _unary(ufunc: np.ufunc) -> Callable[[Traced], Traced]:
    return lambda x: apply_ufunc(ufunc, *(_of_python(ufunc, x) if x.weak else (x,)))


_COUNTING = {
    np.add, np.subtract, np.multiply, np.divide, np.floor_divide, np.remainder, np.power, np.left_shift,
    np.right_shift, np.negative, np.positive, np.absolute,
}  # fmt: skip


_OPERANDS = (Traced, float, int, complex, np.ndarray, np.generic, list, tuple)

for _name, (_symbol, _ufunc) in OPERATORS.items():
    _forward, _reflected = _operator(_ufunc)
    setattr(Traced, f"__{_name}__", _forward)
    setattr(Traced, f"__r{_name}__", _reflected)
    setattr(Traced, f"__i{_name}__", in_place(_symbol, _ufunc, _forward))
for _name, _ufunc in {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal,
}.items():  # fmt: skip
    setattr(Traced, f"__{_name}__", _operator(_ufunc)[0])


# -------------------------------------------------------------------- methods


def _iterate(self: Traced) -> Any:
    if not self.shape:
        raise TracedError(f"{where_in_user_code()}: iteration over a traced number; it has no elements")
    return (getitem(self, i) for i in range(self.shape[0]))


def _length(self: Traced) -> int:
    if not self.shape:
        raise TracedError(f"{where_in_user_code()}: len of a traced number; it has no length")
    return self.shape[0]


def _astype(
    self: Traced, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Traced:
    kind = np.dtype(dtype)
    if not np.can_cast(self.dtype, kind, casting):  # type: ignore[arg-type]
        raise TypeError(f"astype: {self.dtype} cannot become {kind} by the rule casting={casting!r}")
    y = cast(self, kind)
    return copied(y) if copy and y is self else y


_ATTACHED: dict[str, Any] = {
    "__hash__": object.__hash__,
    "__array_ufunc__": array_ufunc,
    "__array_function__": array_function,
    "__neg__": _unary(np.negative),
    "__pos__": _unary(np.positive),
    "__abs__": _unary(np.absolute),
    "__invert__": lambda self: apply_ufunc(np.invert, self),
    "__divmod__": lambda self, other: (self // other, self % other),
    "__rdivmod__": lambda self, other: (other // self, other % self),
    "__getitem__": getitem,
    "__setitem__": assign,
    "__iter__": _iterate,
    "__len__": _length,
    "T": property(transpose),
    "mT": property(lambda self: swapaxes(self, -1, -2)),
    "real": property(FUNCTIONS[np.real]),
    "imag": property(FUNCTIONS[np.imag]),
    **dict.fromkeys(
        ("conj", "conjugate"),
        lambda self: apply_ufunc(np.conjugate, self) if self.dtype.kind == "c" else self,
    ),
    "astype": _astype,
    "as_complex": lambda self: call(np.complex128, (self,), {}),
    "choose": lambda self, x, y: where(self, x, y),
    "as_number": lambda self: cast(self.real, FLOAT64, True),
    "reshape": reshape,
    "ravel": FUNCTIONS[np.ravel],
    "flatten": lambda self, order="C": copied(FUNCTIONS[np.ravel](self, order)),
    "transpose": transpose,
    "squeeze": squeeze,
    "swapaxes": swapaxes,
    "copy": lambda self, order="C": in_order(copied(self), order),
    "held": held,
    "fill": lambda self, value: assign(self, ..., value),
    "sort": lambda self, *a, **k: assign(self, ..., np.sort(self, *a, **k)),
    "partition": lambda self, *a, **k: assign(self, ..., np.partition(self, *a, **k)),
    "put": lambda self, *a, **k: WRITING[np.put](self, *a, **k),
    "compress": lambda self, mask, *a, **k: array_function(self, np.compress, (), (mask, self, *a), k),
    **{
        name: (lambda f: lambda self, *a, **k: array_function(self, f, (), (self, *a), k))(getattr(np, name))
        for name in (
            "all any argmax argmin argpartition argsort clip cumprod cumsum diagonal dot max mean "
            "min nonzero prod repeat round searchsorted std sum take trace var"
        ).split()
    },
}
for _name, _method in _ATTACHED.items():
    setattr(Traced, _name, _method)
