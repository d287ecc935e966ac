"""Guards: what a capture took from closures, globals and attributes, and whether it is still so.

The captured program holds plain numbers that the function read from around it, such as a learning
rate in an attribute. Everything reachable from the function through closures, globals, lists,
dictionaries and instances is looked over; at each call it is compared with what it was.
"""

from __future__ import annotations

import operator
import random
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.value import Value

__all__ = ["Guards"]

MOST = 20_000  # objects looked over
LARGEST = 1 << 16  # bytes of an array whose numbers are compared; of a larger one only its identity
_PLAIN = (float, int, bool, str, bytes, complex, type(None))
_LEFT_OUT = (types.ModuleType, type, types.BuiltinFunctionType, np.ufunc, np.random.Generator, np.random.BitGenerator)
_LIBRARIES = ("chainrule", "numpy", "scipy", "optree", "builtins")


class Guards:
    """What is reachable from a function, as it was when it was captured.

    Attributes
    ----------
    generators : list
        Random generators found: a capture must not draw from them.
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        self.containers: list[Any] = []  # lists and dictionaries, and as they were
        self.were: list[Any] = []
        self.names: list[tuple[dict[str, Any], str, Any]] = []
        self.cells: list[tuple[Any, Any]] = []
        self.arrays: list[tuple[np.ndarray, bytes]] = []
        self.generators: list[Any] = []
        self._met: set[int] = set()
        self._kept: list[Any] = []
        waiting = [f]
        while waiting and len(self._met) < MOST:
            waiting += self._visit(waiting.pop())
        del self._met
        self._states = [_state(g) for g in self._watched()]

    def _visit(self, x: Any) -> list[Any]:
        """Note what ``x`` holds, and give back what has to be looked over next."""
        if isinstance(x, _PLAIN) or id(x) in self._met:
            return []
        self._met.add(id(x))
        self._kept.append(x)
        if isinstance(x, np.random.Generator | np.random.RandomState | random.Random):
            self.generators.append(x)
            return []
        if type(x) is Value or isinstance(x, _LEFT_OUT):
            return []
        if isinstance(x, np.ndarray):
            if x.nbytes <= LARGEST and x.dtype != object:
                self.arrays.append((x, x.tobytes()))
            return []
        if isinstance(x, types.MethodType):
            return [x.__self__, x.__func__]
        if isinstance(x, types.FunctionType):
            return self._function(x)
        if type(x) is list:
            self.containers.append(x), self.were.append(list(x))
            return list(x)
        if isinstance(x, tuple | set | frozenset):
            return list(x)
        if type(x) is dict:
            self.containers.append(x), self.were.append(dict(x))
            return list(x.values())
        attributes = getattr(x, "__dict__", None)
        if type(attributes) is not dict:
            return []
        self.containers.append(attributes), self.were.append(dict(attributes))
        return list(attributes.values())

    def _function(self, f: types.FunctionType) -> list[Any]:
        if (f.__module__ or "").partition(".")[0] in _LIBRARIES:
            return [c.cell_contents for c in f.__closure__ or () if _full(c)]
        found = list(f.__defaults__ or ()) + list((f.__kwdefaults__ or {}).values())
        for c in f.__closure__ or ():
            if _full(c):
                self.cells.append((c, c.cell_contents))
                found.append(c.cell_contents)
        for name in _names(f.__code__):
            if name in f.__globals__:
                x = f.__globals__[name]
                if not isinstance(x, _LEFT_OUT):
                    self.names.append((f.__globals__, name, x))
                    found.append(x)
        return found

    def hold(self) -> bool:
        """Whether everything is as it was."""
        try:
            return (
                all(map(operator.eq, self.containers, self.were))
                and all(_same(d.get(name, self), was) for d, name, was in self.names)
                and all(_same(c.cell_contents, was) for c, was in self.cells)
                and all(a.tobytes() == was for a, was in self.arrays)
            )
        except ValueError:  # arrays or Values were exchanged: they have no single truth
            return False

    def _watched(self) -> Iterator[Any]:
        yield from self.generators
        yield random
        yield np.random

    def drawn(self) -> str | None:
        """The random generator that was drawn from since; None if none was."""
        for g, was in zip(self._watched(), self._states, strict=True):
            if _state(g) != was:
                return "random" if g is random else "np.random" if g is np.random else repr(g)
        return None


def _full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _names(code: types.CodeType) -> Iterator[str]:
    """Global names that a function or one within it may read."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _same(x: Any, was: Any) -> bool:
    return x is was or (type(x) is type(was) and isinstance(x, _PLAIN) and (x == was or (x != x and was != was)))


def _state(g: Any) -> str:
    if isinstance(g, np.random.Generator):
        return str(g.bit_generator.state)
    if g is np.random or isinstance(g, np.random.RandomState):
        kind, keys, *rest = g.get_state()
        return f"{kind}{hash(np.asarray(keys).tobytes())}{rest}"
    return str(hash(g.getstate()))
