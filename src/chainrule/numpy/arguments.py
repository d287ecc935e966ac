"""The arguments NumPy's functions share: operands, axes, shapes, and where ``out=`` is."""

from __future__ import annotations

import builtins
import functools
import inspect
import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.primitives import as_array, raw

Axis = int | Sequence[int] | None
KEEP: Any = np._NoValue  # NumPy's own "not given"
_SEVERAL = (tuple, list, np.ndarray)


def as_operand(x: Any) -> Any:
    """An operand as a Value, a number or an array."""
    return np.asarray(x) if isinstance(x, list | tuple) else x


def shape_of(x: Any) -> tuple[int, ...]:
    return np.shape(raw(x))


def common_type(*operands: Any) -> Any:
    """The dtype that NumPy gives a result of these, in which Python numbers have no say."""
    raws = [raw(x) for x in operands]
    return np.result_type(*(x if type(x) in (int, float, complex) else as_array(x).dtype for x in raws))


def axes_of(name: str, x: Any, axis: Axis) -> tuple[int, ...]:
    """Axes counted from the front, in ascending order; all of them for None."""
    if axis is None:
        return tuple(range(len(shape_of(x))))
    return tuple(builtins.sorted(ordered_axes(name, x, axis)))


def reduced_axes(name: str, x: Any, axis: Axis) -> tuple[int, ...]:
    """`axes_of`, as ufuncs reduce along them: of a number, which has none, 0 and -1 name nothing."""
    try:
        return axes_of(name, x, axis)
    except np.exceptions.AxisError:  # looked at only now, as all other reductions would pay for it
        if not shape_of(x) and not isinstance(axis, _SEVERAL) and axis in (0, -1):
            return ()
        raise


def ordered_axes(name: str, x: Any, axes: Any, repeated: bool = False) -> tuple[int, ...]:
    """Axes counted from the front, in the order given."""
    found = tuple(axis_of(name, x, k) for k in (axes if isinstance(axes, _SEVERAL) else (axes,)))
    if len(set(found)) < len(found) and not repeated:
        raise ValueError(f"{name}: axes {axes} name an axis twice; expected each at most once")
    return found


def axis_of(name: str, x: Any, axis: Any, extra: int = 0) -> int:
    """An axis counted from the front, in a result that has ``extra`` axes more than ``x``."""
    try:
        k = operator.index(axis)
    except TypeError:
        raise TypeError(f"{name}: axis is {axis!r}, expected an integer") from None
    n = len(shape_of(x)) + extra
    if not -n <= k < n:
        expected = f"expected {-n} to {n - 1}" if n else "a scalar has no axes"
        raise np.exceptions.AxisError(f"{name}: axis {k} is out of range for shape {shape_of(x)}; {expected}")
    return k % n


def sizes_of(name: str, sizes: Any) -> tuple[int, ...]:
    """A shape, or numbers of repetitions, as a tuple of integers."""
    try:
        return tuple(map(operator.index, sizes if isinstance(sizes, _SEVERAL) else (sizes,)))
    except TypeError:
        raise TypeError(f"{name}: received {sizes!r}, expected integers") from None


@functools.cache
def place_of_out(f: Callable[..., Any]) -> int | None:
    """Where among the positional arguments ``out`` is, beyond them all if nowhere; None without one."""
    parameters = inspect.signature(f).parameters
    places = [k for k, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return places.index("out") if "out" in places else sys.maxsize if "out" in parameters else None
