"""NumPy's protocols, Python's operators, and the methods of traced arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.native.indexing import getitem
from chainrule.native.operations import (
    BINARY,
    BOOL,
    FLOAT64,
    broadcast_to,
    call,
    cast,
    concatenate,
    expand_dims,
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
from chainrule.native.ufuncs import apply_ufunc, clip, full, infinite, nan_to_num, where
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
    return call(getattr(ufunc, method), inputs, options)


_REDUCE_NAMES = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min",
                 "logical_or": "any", "logical_and": "all"}  # fmt: skip


FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: REDUCE["sum"], np.prod: REDUCE["prod"], np.any: REDUCE["any"], np.all: REDUCE["all"],
    np.max: lambda a, axis=None, out=None, **o: REDUCE["max"](a, axis, **o),
    np.min: lambda a, axis=None, out=None, **o: REDUCE["min"](a, axis, **o),
    np.argmax: argmax, np.argmin: argmin, np.cumsum: cumsum, np.cumprod: cumprod,
    np.mean: mean, np.var: var, np.std: std, np.where: where, np.clip: clip, np.nan_to_num: nan_to_num,
    np.reshape: lambda a, /, shape=None, order="C", **o: reshape(lift(a), shape, order=order),
    np.ravel: lambda a, order="C": reshape(lift(a), (-1,) if lift(a).size else (0,)),
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
    np.copy: lambda a, order="K", subok=False: a,
    np.round: lambda a, decimals=0, out=None: apply_ufunc(np.rint, a) if decimals == 0 else call(
        np.round, (a, decimals), {}),
    np.isposinf: infinite(1.0), np.isneginf: infinite(-1.0),
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


# -------------------------------------------------------------------- methods


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
    "as_complex": lambda self: call(np.complex128, (self,), {}),
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
        name: (lambda f: lambda self, *a, **k: call(f, (self, *a), k))(getattr(np, name))
        for name in ("argsort", "repeat", "take", "diagonal", "trace")
    },
}
for _name, _method in _ATTACHED.items():
    setattr(Traced, _name, _method)
