"""Guards: what a capture took from closures, globals and attributes, and whether it is still so.

The captured program holds plain numbers that the function read from around it, such as a learning
rate in an attribute. Everything reachable from the function through closures, globals, lists,
dictionaries and instances is looked over; at each call it is compared with what it was.
"""

from __future__ import annotations

import collections
import dis
import functools
import os
import pathlib
import random
import sys
import sysconfig
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import optree

import chainrule.traced
from chainrule.value import Value

__all__ = ["Guards", "no_entropy"]

MOST = 20_000  # objects looked over
LARGEST = 1 << 16  # bytes of an array whose numbers are compared; of a larger one only its identity
_PLAIN = (float, int, bool, str, bytes, complex, type(None))
_LEFT_OUT = (types.BuiltinFunctionType, np.ufunc, np.dtype)
# What is installed changes no numbers between calls; it would be looked over without end.
_INSTALLED = tuple({sysconfig.get_paths()[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")})
_LIBRARY = str(pathlib.Path(chainrule.traced.__file__).parent)


class Guards:
    """What is reachable from a function, as it was when it was captured.

    Attributes
    ----------
    generators : list
        Random generators found: a capture must not draw from them.
    """

    def __init__(self, f: Callable[..., Any], arguments: Sequence[Any] = ()) -> None:
        self.containers: list[Any] = []  # lists and dictionaries, and as they were
        self.were: list[Any] = []
        self.names: list[tuple[dict[str, Any], str, Any]] = []
        self.cells: list[tuple[Any, Any]] = []
        self.slots: list[tuple[Any, str, Any]] = []
        self.arrays: list[tuple[np.ndarray, bytes]] = []
        self.generators: list[Any] = [x for x in arguments if isinstance(x, np.random.Generator)]
        self._package = _package(f)
        self._met: set[int] = set()
        self._kept: list[Any] = []
        # Of the user's own objects only the attributes that the code names, of which more turn up on the way.
        self._attributes: set[str] = set()
        self._objects: list[Any] = []
        waiting = [f]
        while True:
            while waiting and len(self._met) < MOST:
                waiting += self._visit(waiting.pop())
            known = len(self._attributes)
            waiting = [v for x in self._objects for name, v in _items(x) if self._read(name, v)]
            if all(id(v) in self._met or isinstance(v, _PLAIN) for v in waiting) and known == len(
                self._attributes
            ):
                break
            if len(self._met) >= MOST:
                break
        for x in self._objects:
            self.names += [(x, name, v) for name, v in _items(x) if self._read(name, v)]
        del self._attributes, self._objects
        del self._met
        self._states = [_state(g) for g in self._watched()]

    def _read(self, name: str, v: Any) -> bool:
        """Whether code names an attribute; Python itself calls what is named in underscores."""
        return name in self._attributes or (name.startswith("__") and isinstance(v, types.FunctionType))

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
        if isinstance(x, functools.partial):
            return [x.func, x.args, x.keywords]
        if isinstance(x, property | functools.cached_property | staticmethod | classmethod):
            return [getattr(x, name, None) for name in ("fget", "func", "__func__")]
        if isinstance(x, type):
            if not self._foreign(x.__module__):
                self._objects.append(x.__dict__)
            return list(x.__bases__)
        if isinstance(x, types.ModuleType):
            return []
        if isinstance(x, dict):
            return self._mapping(x)
        if isinstance(x, list | set | frozenset | collections.deque):
            self.containers.append(x)
            self.were.append(x.copy())
            return list(x)
        if isinstance(x, tuple):
            return list(x)
        if type(x).__module__.startswith("chainrule.native"):  # another compiled function
            return [getattr(x, "__wrapped__", None)]
        found: list[Any] = [type(x)]
        for kind in type(x).__mro__:
            for name in () if self._foreign(kind.__module__) else _slots(kind):
                if hasattr(x, name):
                    self.slots.append((x, name, getattr(x, name)))
                    found.append(getattr(x, name))
        attributes = getattr(x, "__dict__", None)
        if type(attributes) is not dict:
            return found
        if self._foreign(type(x).__module__):
            return found + self._mapping(attributes)
        self._objects.append(attributes)
        return found

    def _foreign(self, module: str | None) -> bool:
        """Whether a module is an installed one, other than the function's own package."""
        if not module or module.partition(".")[0] == self._package:
            return not module
        if module in sys.builtin_module_names:
            return True
        return (getattr(sys.modules.get(module), "__file__", None) or "").startswith((*_INSTALLED, _LIBRARY))

    def _mapping(self, x: Any) -> list[Any]:
        self.containers.append(x)
        self.were.append(dict(x))
        return list(x.values())

    def _function(self, f: types.FunctionType) -> list[Any]:
        if self._foreign(f.__module__):
            return [c.cell_contents for c in f.__closure__ or () if _full(c)]
        found = list(f.__defaults__ or ()) + list((f.__kwdefaults__ or {}).values())
        for c in f.__closure__ or ():
            if _full(c):
                self.cells.append((c, c.cell_contents))
                found.append(c.cell_contents)
        names, attributes = _names(f.__code__)
        self._attributes |= attributes
        for name in names:
            if name in f.__globals__:
                x = f.__globals__[name]
                self.names.append((f.__globals__, name, x))
                if isinstance(x, types.ModuleType) and not self._foreign(x.__name__):
                    for attribute in attributes & vars(x).keys():
                        self.names.append((vars(x), attribute, vars(x)[attribute]))
                        found.append(vars(x)[attribute])
                found.append(x)
        return found

    def hold(self) -> bool:
        """Whether everything is as it was."""
        try:
            # Lists of containers are compared at C's speed: what is the same object is not looked into.
            return (
                self.containers == self.were
                and all(_same(x.get(name, self), was) for x, name, was in self.names)
                and all(_same(c.cell_contents, was) for c, was in self.cells)
                and all(_same(getattr(x, name, self), was) for x, name, was in self.slots)
                and all(a.tobytes() == was for a, was in self.arrays)
            )
        except ValueError:  # arrays or Values were exchanged: they have no single truth
            return False

    def _watched(self) -> Iterator[Any]:
        yield from self.generators
        yield random
        yield np.random

    def drawn(self) -> str | None:
        """The random generator that was drawn from since, put back; None if none was."""
        for g, was in zip(self._watched(), self._states, strict=True):
            if _parts(_state(g)) != _parts(was):
                _put_back(g, was)
                return "random" if g is random else "np.random" if g is np.random else repr(g)
        return None


def _items(x: Any) -> list[tuple[str, Any]]:
    return [(name, v) for name, v in x.items() if type(name) is str]


def _full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


@functools.lru_cache(4096)
def _names(code: types.CodeType) -> tuple[set[str], set[str]]:
    """Globals that a function or one within it reads, and attributes."""
    names, attributes = set(), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(instruction.argval)
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            more, others = _names(constant)
            names, attributes = names | more, attributes | others
    return names, attributes


def _package(f: Any) -> str:
    """The top-level package a function, or an object that is called, belongs to."""
    return (getattr(f, "__module__", None) or type(f).__module__ or "").partition(".")[0]


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _same(x: Any, was: Any) -> bool:
    return x is was or (
        type(x) is type(was) and isinstance(x, _PLAIN) and (x == was or (x != x and was != was))
    )


def _state(g: Any) -> Any:
    if isinstance(g, np.random.Generator):
        return g.bit_generator.state
    return g.get_state() if g is np.random or isinstance(g, np.random.RandomState) else g.getstate()


def _parts(state: Any) -> list[Any]:
    leaves: list[Any] = optree.tree_leaves(state)
    return [x.tobytes() if isinstance(x, np.ndarray) else x for x in leaves]


def _put_back(g: Any, state: Any) -> None:
    if isinstance(g, np.random.Generator):
        g.bit_generator.state = state
    elif g is np.random or isinstance(g, np.random.RandomState):
        g.set_state(state)
    else:
        g.setstate(state)


class _NoEntropy:
    """While a capture goes on, its thread gets nothing from the system's randomness.

    All of Python's and NumPy's comes through these doors; RandomState does so even with a seed.
    """

    doors: tuple[tuple[Any, str, str], ...] = (
        (np.random.bit_generator, "randbits", "a NumPy generator without a seed, or np.random.RandomState"),
        (random.Random, "seed", "random.Random() without a seed"),
        (random, "_urandom", "secrets or random.SystemRandom"),
        (os, "urandom", "os.urandom"),
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._originals: list[Any] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._depth:
                self._originals = [getattr(where, name) for where, name, _ in self.doors]
                for (where, name, what), original in zip(self.doors, self._originals, strict=True):
                    setattr(where, name, self._guarded(original, what, seeded=name == "seed"))
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth:
                for (where, name, _what), original in zip(self.doors, self._originals, strict=True):
                    setattr(where, name, original)

    def _guarded(self, original: Any, what: str, seeded: bool) -> Any:
        def entropy(*args: Any, **kwargs: Any) -> Any:
            given = seeded and any(a is not None for a in (*args[1:], kwargs.get("a")))
            if chainrule.traced.current_trace() is not None and not given:
                raise chainrule.traced.TracedError(
                    f"{chainrule.traced.where_in_user_code()}: compile: {what}: its random numbers would be "
                    "the same in every call; draw from a generator made outside with "
                    "chainrule.random.default_rng, or pass the numbers as an argument"
                )
            return original(*args, **kwargs)

        return entropy


no_entropy = _NoEntropy()
