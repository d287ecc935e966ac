"""Constants: Values that nothing is differentiated with respect to, and what may be asked of them.

A tracked Value refuses to become a bare number behind the graph's back: its derivative would be lost
silently. A constant has none to lose, so it answers ``float(v)``, ``bool(v)`` and ``np.asarray(v)`` like an
array.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from chainrule.graph import order
from chainrule.primitives import as_array
from chainrule.recording import arguments
from chainrule.traced import Traced, capturing
from chainrule.value import Value

__all__ = ["constant", "is_constant"]

_FROZEN = {"frozen": 1}


def constant(x: Any, fresh: bool = True) -> Any:
    """Floats as a Value that gets no gradient; anything else as it is. A fresh array is taken over."""
    if type(x) is Value or as_array(x).dtype.kind not in "fc":
        return x
    v = Value(x) if type(x) is Traced else Value._of(as_array(x)) if fresh else Value(as_array(x))
    v.params = _FROZEN
    return v


def is_constant(v: Value) -> bool:
    """Whether all that a Value was computed from is frozen, and no running derivative asks about it."""
    asked = arguments()
    return not any(x in asked or (x.primitive is None and not x.params) for x in order([v]))


def _conversion(name: str, convert: Callable[[Any], Any]) -> None:
    refuse = getattr(Value, name)

    def method(self: Value, *options: Any) -> Any:
        return convert(self._current(), *options) if is_constant(self) else refuse(self)

    setattr(Value, name, method)


for _type in (bool, int, float, complex, round):
    _conversion(f"__{_type.__name__}__", _type)


def _differentiated(v: Value) -> bool:
    """Whether a running derivative is taken with respect to what this was computed from."""
    return bool(asked := arguments()) and any(x in asked for x in order([v]))


def _leaving(name: str, remedy: str) -> None:
    give = getattr(Value, name)

    @wraps(give)
    def method(self: Value, *args: Any) -> Any:
        if not capturing and _differentiated(self):
            raise TypeError(
                f"{name} of a Value that is just being differentiated would cut it out of the graph; "
                f"{remedy}; v.data.{name}() (v.data of a number) leaves the graph"
            )
        return give(self, *args)

    setattr(Value, name, method)


_leaving("item", "v itself, or v.reshape(()) of an array of one element, stays in it")
_leaving("tolist", "list(v), or v itself, stays in it")

_reduce = Value.__reduce__


def _copied(self: Value) -> Any:
    if _differentiated(self):
        raise TypeError(
            "pickle, copy: a copy of a Value that is just being differentiated would be cut out of the "
            "graph; v.copy() stays in it; copy v.data where no derivative is wanted"
        )
    return _reduce(self)


Value.__reduce__ = _copied  # type: ignore[method-assign]
_refuse_array = Value.__array__


def _array(self: Value, dtype: Any = None, copy: Any = None) -> Any:
    if not is_constant(self):
        return _refuse_array(self)
    if copy is False:
        raise ValueError("np.asarray: copy=False, but the numbers of a Value are its own; v.data shows them")
    return np.array(self._current(), dtype)


Value.__array__ = _array  # type: ignore[method-assign]
