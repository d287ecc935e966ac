"""Python's operators, and NumPy's array methods, on Values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from threading import get_ident
from typing import Any

import numpy as np

from chainrule.numpy import functions as fn
from chainrule.numpy.arguments import place_of_out
from chainrule.numpy.assignment import check_written, fill, in_place, put, set_item, with_out, write_out
from chainrule.numpy.manipulation import flatten
from chainrule.rules import arithmetic as ar
from chainrule.rules import elementary as el
from chainrule.traced import Traced, is_array
from chainrule.value import Value, by_identity, current, result

# -------------------------------------------------------------------- arithmetic


_ndarray = np.ndarray  # looked up very often


def _binary(apply: Callable[..., Any], primitive: Any = None) -> tuple[Any, Any]:
    """An operator and its reflection; what most graphs are made of takes a short way."""
    compute, direct = (None if primitive is None else primitive.scalar), apply is primitive

    def forward(self: Value, other: Any) -> Any:
        kind = type(other)
        if compute is not None:
            a = self._raw
            b = other._raw if kind is Value else other
            if type(a) is float and (type(b) is float or type(b) is int):
                try:
                    return result(compute(a, b), primitive, (self, other), (a, b))
                except (ArithmeticError, ValueError):
                    pass
            elif (
                direct
                and (kind is Value or kind is float or kind is int)
                and (type(a) is _ndarray or type(a) is Traced)
            ):
                return _two(primitive, self, other)
        if kind in _USUAL or _accepts(other):
            return apply(self, other)
        return NotImplemented

    def reflected(self: Value, other: Any) -> Any:
        kind = type(other)
        if compute is not None:
            b = self._raw
            if kind is float or kind is int:
                if type(b) is float:
                    try:
                        return result(compute(other, b), primitive, (other, self), (other, b))
                    except (ArithmeticError, ValueError):
                        pass
                elif direct and (type(b) is _ndarray or type(b) is Traced):
                    return _two(primitive, other, self)
        if kind in _USUAL or _accepts(other):
            return apply(other, self)
        return NotImplemented

    return forward, reflected


def _two(primitive: Any, x: Any, y: Any) -> Value:
    """Record an operation on two arrays that are Values, or one and a Python number."""
    a = x if type(x) is not Value else x._raw if x.primitive is not None else x._current()
    b = y if type(y) is not Value else y._raw if y.primitive is not None else y._current()
    try:
        return result(primitive.run(a, b), primitive, (x, y), (a, b))
    except ValueError:
        return primitive(x, y)  # type: ignore[no-any-return]  # which raises it with an explanation


_USUAL = {Value, float, int, np.ndarray}


def _accepts(x: Any) -> bool:
    return isinstance(x, Value | list | tuple) or is_array(x)


# The standard asks every array for them; NumPy's functions say why floats have none.
_BITWISE: dict[str, Any] = {
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "lshift": np.left_shift, "rshift": np.right_shift,
}  # fmt: skip

for _name, _sign, _apply, _scalar in (
    ("add", "+", ar.add, ar.add),
    ("sub", "-", ar.subtract, ar.subtract),
    ("mul", "*", ar.multiply, ar.multiply),
    ("truediv", "/", ar.divide, ar.divide),
    ("pow", "**", fn.power, ar.power),
    ("mod", "%", ar.remainder, None),
    ("floordiv", "//", ar.floor_divide, None),
    ("divmod", None, fn.divmod, None),
    ("matmul", "@", fn.matmul, None),
    *((_name, None, _bits, None) for _name, _bits in _BITWISE.items()),
):
    _forward, _reflected = _binary(_apply, _scalar)
    setattr(Value, f"__{_name}__", _forward)
    setattr(Value, f"__r{_name}__", _reflected)
    if _sign is not None:
        setattr(Value, f"__i{_name}__", in_place(_sign, _forward))


def _comparison(compare: Callable[[Any, Any], Any]) -> Any:
    def method(self: Value, other: Any) -> Any:
        if by_identity and get_ident() in by_identity:
            return self is other
        if not _accepts(other):
            return NotImplemented
        other = np.asarray(other) if isinstance(other, list | tuple) else current(other)
        return compare(self._current(), other)

    return method


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Value, f"__{_name}__", _comparison(getattr(operator, _name)))
Value.__hash__ = object.__hash__  # type: ignore[method-assign,assignment]


# -------------------------------------------------------------------- containers


def _iterate(self: Value) -> Iterator[Value]:
    if not self.shape:
        raise TypeError("iteration over a Value that is a scalar; it has no elements")
    return (fn.getitem(self, i) for i in range(self.shape[0]))


# -------------------------------------------------------------------- methods


def _reshape(self: Value, *shape: Any, order: str = "C") -> Any:
    return fn.reshape(self, shape[0] if len(shape) == 1 else shape, order)


def _transpose(self: Value, *axes: Any) -> Any:
    if not axes or axes == (None,):
        return fn.transpose(self)
    return fn.transpose(self, axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes)


def _plain(f: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Value, *args: Any, **kwargs: Any) -> Any:
        return f(self._current(), *args, **kwargs)

    return method


def _method(name: str) -> Callable[..., Any]:
    """A function as a method; who has ``out`` takes it."""
    f = getattr(fn, name)
    if (place := place_of_out(f)) is None:
        return f  # type: ignore[no-any-return]

    def method(self: Value, *args: Any, **options: Any) -> Any:
        if "out" in options or len(args) >= place:
            return with_out(name, f, (self, *args), options)
        return f(self, *args, **options)

    return method


def _in_place(name: str) -> Callable[..., None]:
    """``v.sort()``: the Value becomes what the function makes of it."""
    f = getattr(fn, name)

    def method(self: Value, *args: Any, **options: Any) -> None:
        check_written(name, self)
        write_out(name, self, f(self, *args, **options))

    return method


def _clip(self: Value, min: Any = None, max: Any = None, out: Any = None, **options: Any) -> Any:
    if out is None and not options:
        return fn.clip(self, min, max)
    return np.clip(self, min, max, out, **options)


def _conj(self: Value) -> Any:
    return ar.conj(self) if self.dtype.kind == "c" else self


def _astype(
    self: Value, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Any:
    return self if not copy and np.dtype(dtype) == self.dtype else fn.astype(self, dtype)


_ATTACHED: dict[str, Any] = {
    "__neg__": lambda self: ar.negative(self),
    "__pos__": lambda self: ar.positive(self),
    "__abs__": lambda self: ar.absolute(self),
    "__invert__": lambda self: np.invert(self),
    "__getitem__": fn.getitem,
    "__setitem__": set_item,
    "fill": fill,
    "put": put,
    "sort": _in_place("sort"),
    "partition": _in_place("partition"),
    "__iter__": _iterate,
    "T": property(fn.transpose),
    "mT": property(fn.matrix_transpose),
    "real": property(fn.real),
    "imag": property(fn.imag),
    "reshape": _reshape,
    "transpose": _transpose,
    "flatten": flatten,
    "clip": _clip,
    "astype": _astype,
    "conj": _conj,
    "conjugate": _conj,
    # scalar mathematics as methods, as micrograd writes it
    "relu": lambda self: ar.relu(self),
    "tanh": lambda self: el.tanh(self),
    "exp": lambda self: el.exp(self),
    "log": lambda self: el.log(self),
    "sigmoid": lambda self: el.sigmoid(self),
    "sqrt": lambda self: el.sqrt(self),
    "argmax": _plain(np.argmax),
    "argmin": _plain(np.argmin),
    "argsort": _plain(np.argsort),
    "argpartition": _plain(np.argpartition),
    "searchsorted": _plain(np.searchsorted),
    "nonzero": _plain(np.nonzero),
    "any": _plain(np.any),
    "all": _plain(np.all),
    "compress": lambda self, condition, axis=None, out=None: np.compress(condition, self, axis, out),
    "itemsize": property(lambda self: self.dtype.itemsize),
}
for _name in (
    "sum prod mean max min var std ptp cumsum cumprod round copy ravel swapaxes squeeze repeat take "
    "diagonal trace dot"
).split():
    _ATTACHED[_name] = _method(_name)
for _name, _attribute in _ATTACHED.items():
    setattr(Value, _name, _attribute)
