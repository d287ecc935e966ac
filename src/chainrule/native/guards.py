"""Guards: what a capture took from closures, globals and attributes, and whether it is still so.

The captured program holds plain numbers that the function read from around it, such as a threshold
in an attribute. Everything reachable from the function through closures, globals, modules, lists,
dictionaries and instances is looked over; at each call it is compared with what it was.

Not noticed are: what files, the clock and iterators give; attributes of a user's object under a name
that is computed (``getattr(x, f"w{i}")``); a truth value in a container, or a number in an object of a
library's, exchanged for an equal one of another type; what installed packages keep to themselves; and
whatever lies beyond the first 20,000 objects.
"""

from __future__ import annotations

import array
import collections
import functools
import importlib.util
import os
import pathlib
import random
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter, is_, itemgetter
from threading import get_ident
from typing import Any

import numpy as np

import chainrule.traced
from chainrule.native.capture import owner
from chainrule.native.code import file_of, names_in, package_of
from chainrule.traced import Traced
from chainrule.value import Value, by_identity, freezes

__all__ = ["Guards"]

MOST = 20_000  # objects looked over
LARGEST = 1 << 16  # bytes of an array whose numbers are compared; a larger one is read at each call
_PLAIN = (float, int, bool, str, bytes, complex, type(None))
_LEFT_OUT = (np.ufunc, np.dtype)
_MISSING = object()
_CONTENTS = attrgetter("cell_contents")
# What is installed changes no numbers between calls; it would be looked over without end.
_INSTALLED = tuple({sysconfig.get_paths()[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")})
_LIBRARY = str(pathlib.Path(chainrule.traced.__file__).parent)

Labelled = list[tuple[str, Any]]


class Guards:
    """What is reachable from a function, as it was when it was captured.

    Parameters
    ----------
    f : callable
    arguments : sequence
        Of the call; only random generators among them are of interest.
    static : sequence of (str, object)
        Arguments that are constants, with their names.

    Attributes
    ----------
    generators : list
        Random generators found.
    large : dict
        The arrays whose numbers are not compared: names and what owns their memory, by its identity.
    """

    def __init__(self, f: Callable[..., Any], arguments: Sequence[Any] = (), static: Labelled | None = None):
        self.generators: list[Any] = [x for x in arguments if isinstance(x, np.random.Generator)]
        self.large: dict[int, tuple[str, Any]] = {}
        # Lists, dictionaries and the like, and as they were: compared at C's speed, where what is the same
        # object is not looked into.
        self._whole: tuple[list[Any], list[Any]] = ([], [])
        self._labels: dict[int, str] = {}  # of these, by identity
        self._named: dict[int, tuple[list[str], list[str]]] = {}  # of instances' dictionaries: names read
        self._attributes_of: set[int] = set()  # dictionaries of instances
        self._savers: set[int] = set()  # of modules with a backward by hand, for which forward saves
        # Calls that give part of something: numbers, which must be of the same type too, and all else.
        self._parts, self._numbers = _Parts(), _Parts()
        self._leaves: Labelled = []
        self._package = package_of(f)
        self._met: set[int] = set()
        self._kept: list[Any] = []
        # Of the user's own objects only the attributes that the code names, of which more turn up on the way.
        self._attributes: set[str] = set()
        self._objects: list[tuple[str, Any, Any]] = []
        self._globals: dict[int, tuple[str, dict[str, Any], set[str]]] = {}
        self._cells: dict[int, tuple[str, Any]] = {}
        waiting = [("self", f), *(static or [])]
        while waiting and len(self._met) < MOST:
            while waiting and len(self._met) < MOST:
                waiting += self._visit(*waiting.pop())
            waiting = [
                (f"{label}.{name}", v)
                for label, _, d in self._objects
                for name, v in _items(d)
                if not isinstance(v, _PLAIN) and id(v) not in self._met and self._read(name, v)
            ]
        for x in self._whole[0]:
            if id(x) not in self._attributes_of and any(map(_is_number, _elements(x))):
                keys: Iterable[Any] = x if isinstance(x, dict) else range(len(x))
                of = [f"{self._labels[id(x)]}[{k!r}]" for k in keys]
                self._numbers.add(of, x.values if isinstance(x, dict) else x.__iter__, list(_elements(x)))
        for label, x, d in self._objects:
            self._object(label, x, d)
        if self._leaves:
            labels, leaves = map(list, zip(*self._leaves))
            frozen = _Frozen(leaves)
            self._parts.add(labels, frozen, frozen())
        # Variables as they were, until it is known what the capture has put into them.
        self._spaces: list[tuple[str, Any, Any, dict[str, Any]]] = [
            *((f"{n}.", x, d, dict(d)) for n, x, d in self._objects if isinstance(x, type)),
            *((n, d, d, dict(d)) for n, d, _ in self._globals.values()),
        ]
        self._closed = [(name, c, c.cell_contents) for name, c in self._cells.values()]
        for label, d, names in self._globals.values():
            self._some({f"{label}{name}": name for name in sorted(names)}, d)
        for number in (False, True):
            cells = [(n, c) for n, c in self._cells.values() if _is_number(c.cell_contents) is number]
            if cells:
                labels, of = map(list, zip(*cells))
                parts = self._numbers if number else self._parts
                parts.add(labels, functools.partial(_contents, of), _contents(of))
        del self._attributes, self._objects, self._globals, self._cells, self._met, self._leaves

    # ---------------------------------------------------------------- looking over

    def _visit(self, label: str, x: Any) -> Labelled:
        """Note what ``x`` holds, and give back what has to be looked over next."""
        if isinstance(x, _PLAIN) or id(x) in self._met:
            return []
        self._met.add(id(x))
        self._kept.append(x)
        if isinstance(x, np.random.Generator | np.random.RandomState | random.Random):
            self.generators.append(x)
            return []
        if type(x) is Value:
            if x.primitive is None:
                self._leaves.append((f"whether {label} is frozen", x))
            return []
        if isinstance(x, _LEFT_OUT):
            return []
        if isinstance(x, np.ndarray):
            memory = owner(x)
            if memory is not x and getattr(memory, "nbytes", LARGEST + 1) <= LARGEST < x.nbytes:
                return [(label, memory)]  # one number shown many times, or a window that moves
            if x.nbytes > LARGEST and x.dtype != bool:  # masks decide about shapes
                self.large.setdefault(id(memory), (label, memory))
            elif not x.dtype.hasobject:
                self._parts.add([label], x.tobytes, x.tobytes())
            return []
        if isinstance(x, array.array | bytearray):
            read = x.copy if isinstance(x, bytearray) else x.tobytes
            self._parts.add([label], read, read())
            return []
        if isinstance(x, types.MethodType):
            return [(label, x.__self__), ("", x.__func__)]
        if isinstance(x, types.FunctionType):
            return self._function(x)
        if isinstance(x, types.BuiltinFunctionType):  # a method of a random generator, perhaps
            return [(label, x.__self__)] if isinstance(x.__self__, random.Random) else []
        if isinstance(x, functools.partial):
            return [(label, part) for part in (x.func, x.args, x.keywords)]
        if isinstance(x, property | functools.cached_property | staticmethod | classmethod):
            return [(label, getattr(x, name, None)) for name in ("fget", "func", "__func__")]
        if isinstance(x, type):
            if not self._foreign(x.__module__):
                self._objects.append((label, x, x.__dict__))
            return [(base.__name__, base) for base in x.__bases__]
        if isinstance(x, types.ModuleType):
            if not self._foreign(x.__name__):
                self._objects.append((label, x, vars(x)))
            return []
        if isinstance(x, tuple):
            return [(f"{label}[{i}]", v) for i, v in enumerate(x)]
        if isinstance(x, list | set | frozenset | collections.deque):
            self._container(label, x, x.copy())
            return [(f"{label}[{i}]", v) for i, v in enumerate(x)] + self._instance(label, x)
        if isinstance(x, dict):
            return self._mapping(label, x) + self._instance(label, x)
        if isinstance(x, collections.UserDict | collections.UserList):
            return [(label, x.data), *self._instance(label, x)]
        if type(x).__module__.startswith("chainrule.native"):  # another compiled function, or its program
            self.large |= x.guards.large if hasattr(x, "guards") else {}
            return [(label, getattr(x, "__wrapped__", None))]
        return self._instance(label, x)

    def _instance(self, label: str, x: Any) -> Labelled:
        """The slots and attributes of an object."""
        if type(x).__module__ == "builtins":
            return []
        found: Labelled = [(type(x).__name__, type(x))]
        for kind in type(x).__mro__:
            if not self._foreign(kind.__module__):
                slots = [n for n, v in vars(kind).items() if type(v) is types.MemberDescriptorType]
                slots = [n for n in slots if hasattr(x, n)]
                self._some({f"{label}.{n}": n for n in slots}, x, attrgetter)
                found += [(f"{label}.{n}", getattr(x, n)) for n in slots]
        attributes = getattr(x, "__dict__", None)
        if type(attributes) is not dict:
            return found
        self._attributes_of.add(id(attributes))
        if self._foreign(type(x).__module__):
            return found + self._mapping(label, attributes, "{}.{}")
        self._objects.append((label, x, attributes))
        return found

    def _mapping(self, label: str, x: dict[Any, Any], form: str = "{}[{!r}]") -> Labelled:
        self._container(label, x, dict(x))
        return [(form.format(label, k), v) for k, v in x.items() if not isinstance(v, _PLAIN)]

    def _container(self, label: str, x: Any, was: Any) -> None:
        containers, were = self._whole
        containers.append(x)
        were.append(was)
        self._labels[id(x)] = label

    def _object(self, label: str, x: Any, d: Any) -> None:
        """An object of the user's. All of its attributes are compared, until one changes that is not read."""
        names = [name for name, v in _items(d) if self._read(name, v)]
        if isinstance(x, types.ModuleType):
            self._globals.setdefault(id(d), (f"{label}.", d, set()))[2].update(names)
            return
        kinds = x.__mro__[1:] if isinstance(x, type) else [type(x)]
        absent = [n for n in self._attributes if n not in d and any(hasattr(kind, n) for kind in kinds)]
        if isinstance(x, type):
            self._some({f"{label}.{n}": n for n in names}, d)
            self._none(label, d, absent)
        else:
            self._container(label, d, dict(d))
            self._named[id(d)] = names, absent
            if getattr(type(x), "_handmade", ()):
                self._savers.add(id(d))
            self._some({f"{label}.{n}": n for n in names if _is_number(d[n])}, d)

    def _none(self, label: str, d: Any, absent: list[str]) -> None:
        """What a class has, and what comes before it has not."""
        if absent:
            names = ", ".join(sorted(absent))
            read = functools.partial(d.keys().isdisjoint, absent)
            self._parts.add([f"one of {names} in {label}"], read, True)

    def _some(self, names: dict[str, str], x: Any, getter: Any = itemgetter) -> None:
        """Entries (or attributes) of something, by their labels; numbers apart from all else."""
        for number in (False, True):
            some = {k: n for k, n in names.items() if _is_number(getter(n)(x)) is number}
            if some:
                get = getter(*some.values(), next(iter(some.values())))  # of two it gives a tuple
                parts = self._numbers if number else self._parts
                parts.add([*some, *some], functools.partial(get, x), get(x))

    def _read(self, name: str, v: Any) -> bool:
        """Whether code names an attribute; Python itself calls what is named in underscores."""
        return name in self._attributes or (name.startswith("__") and isinstance(v, types.FunctionType))

    def _foreign(self, module: str | None) -> bool:
        """Whether a module is an installed one, other than the function's own package."""
        if not module or module.partition(".")[0] == self._package:
            return not module
        return module in sys.builtin_module_names or file_of(module).startswith((*_INSTALLED, _LIBRARY))

    def _function(self, f: types.FunctionType) -> Labelled:
        cells = {id(c): (name, c) for name, c in zip(f.__code__.co_freevars, f.__closure__ or ()) if _full(c)}
        found = [(name, c.cell_contents) for name, c in cells.values()]
        if self._foreign(f.__module__):
            return found
        self._cells |= cells
        given = f.__code__.co_varnames[: f.__code__.co_argcount]
        found += zip(reversed(given), reversed(f.__defaults__ or ()))
        found += (f.__kwdefaults__ or {}).items()
        code = names_in(f.__code__)
        self._attributes |= code.attributes
        present = [name for name in code.names if name in f.__globals__]
        self._globals.setdefault(id(f.__globals__), ("", f.__globals__, set()))[2].update(present)
        found += [(name, f.__globals__[name]) for name in present]
        if {"environ", "getenv"} & (code.names | code.attributes):
            found.append(("os.environ", os.environ))
        for name, level, wanted in code.imports:
            if level:
                package = f.__globals__.get("__package__") or f.__globals__["__name__"].rpartition(".")[0]
                name = importlib.util.resolve_name("." * level + name, package)
            if not self._foreign(name):
                found += self._imported(name, wanted)
        return found

    def _imported(self, name: str, wanted: Sequence[str]) -> Labelled:
        """A module that the function imports itself; it may be about to do so for the first time."""
        module = sys.modules.get(name)
        if module is None:
            self._none("sys.modules", sys.modules, [name])
            return []
        self._none(name, vars(module), [w for w in wanted if w not in vars(module)])
        return [(name, module)]

    # ---------------------------------------------------------------- comparing

    def hold(self) -> bool:
        """Whether everything is as it was."""
        me = get_ident()
        by_identity.add(me)  # an equal Value in the place of another is another
        try:
            containers, were = self._whole
            parts, numbers = self._parts, self._numbers
            if (
                containers == were
                and [read() for read in parts.calls] == parts.seen
                and (not numbers.calls or numbers.identical())
            ):
                return True
        except Exception:
            pass  # something is gone, or has no single truth, as arrays have not
        finally:
            by_identity.discard(me)
        return self.change() is None

    def change(self) -> str | None:
        """What is not as it was, in words; None if all is."""
        return self._parts.change() or self._numbers.change() or self._change_of_containers()

    def _change_of_containers(self) -> str | None:
        for x, was in zip(*self._whole, strict=True):
            label = self._labels[id(x)]
            if id(x) in self._named:
                names, absent = self._named[id(x)]
                for name in (*names, *absent):
                    now, before = x.get(name, _MISSING), was.get(name, _MISSING)
                    if not _same(now, before):
                        return f"{label}.{name} {_from_to(before, now)}"
                if not _alike(x, was):
                    self._demote(x)
            elif change := _change_of(label, x, was):
                return change
        return None

    def _demote(self, x: dict[str, Any]) -> None:
        """Look from now on at those attributes alone that the function reads: another has changed."""
        names, absent = self._named[id(x)]
        label = self._labels[id(x)]
        kept = [(c, w) for c, w in zip(*self._whole, strict=True) if c is not x]
        self._some({f"{label}.{n}": n for n in names if not _is_number(x[n])}, x)
        self._none(label, x, absent)
        self._whole = [c for c, _ in kept], [w for _, w in kept]

    def leak(self) -> tuple[str, bool] | None:
        """Where the capture has put a traced value, and whether that is a container; all is put back.

        To be asked once, and before anything is compared. None if there is no such place.
        """
        places: list[tuple[str, bool]] = []
        for x, was in zip(*self._whole, strict=True):
            if id(x) in self._attributes_of:
                found = _put_back(f"{self._labels[id(x)]}.", x, x, was)
                places += [] if id(x) in self._savers else found
                continue
            known = set(map(id, _elements(was)))
            if any(_is_traced(v) and id(v) not in known for v in _elements(x)):
                x.clear()
                x.update(was) if isinstance(x, dict | set) else x.extend(was)
                places.append((self._labels[id(x)], True))
        for label, x, d, was in self._spaces:
            places += _put_back(label, x, d, was)
        for name, cell, content in self._closed:
            if _full(cell) and _is_traced(cell.cell_contents) and cell.cell_contents is not content:
                cell.cell_contents = content
                places.append((name, False))
        self._spaces, self._closed = [], []
        return places[0] if places else None


class _Parts:
    """Calls that read something, and what they gave: bytes, a tuple or a list, or whether something holds."""

    def __init__(self) -> None:
        self.labels: list[list[str]] = []  # of each thing in what a call gives
        self.calls: list[Callable[[], Any]] = []
        self.seen: list[Any] = []
        self.flat: list[Any] = []  # what was seen, one after the other

    def add(self, labels: list[str], call: Callable[[], Any], seen: Any) -> None:
        self.labels.append(labels)
        self.calls.append(call)
        self.seen.append(seen)
        self.flat = []

    def identical(self) -> bool:
        if not self.flat:
            self.flat = list(chain.from_iterable(self.seen))
        return all(map(is_, chain.from_iterable([call() for call in self.calls]), self.flat))

    def change(self) -> str | None:
        for i, (labels, call, was) in enumerate(zip(self.labels, self.calls, self.seen)):
            try:
                now = call()
            except (AttributeError, KeyError, ValueError):
                return f"one of {', '.join(labels)} is gone"
            if isinstance(was, bool | bytes | bytearray):
                if now != was:
                    return f"{labels[0]} {'is new' if was is True else 'does not hold the same numbers'}"
                continue
            now = type(was)(now)
            for label, a, b in zip(labels, now, was):
                if not _same(a, b):
                    return f"{label} {_from_to(b, a)}"
            self.seen[i], self.flat = now, []  # equal ones, and the very same from now on
        return None


class _Frozen:
    """Which leaves are frozen; they are looked at again when any has been frozen or let go anywhere."""

    def __init__(self, leaves: list[Value]) -> None:
        self.leaves, self.at = leaves, -1
        self.seen: list[bool] = []

    def __call__(self) -> list[bool]:
        if self.at != freezes[0]:
            self.at, self.seen = freezes[0], [bool(v.params) for v in self.leaves]
        return self.seen


# -------------------------------------------------------------------- what is compared


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | complex | np.number) and type(x) is not bool


def _is_traced(x: Any) -> bool:
    return type(x) is Traced or (type(x) is Value and type(x._raw) is Traced)


def _put_back(label: str, owner: Any, d: Any, was: dict[str, Any]) -> list[tuple[str, bool]]:
    """Give a dictionary's, or a class's, names back what they stood for before they got traced values."""
    names = [name for name, v in list(d.items()) if _is_traced(v) and v is not was.get(name)]
    for name in names:
        if isinstance(owner, type):
            setattr(owner, name, was[name]) if name in was else delattr(owner, name)
        elif name in was:
            d[name] = was[name]
        else:
            del d[name]
    return [(f"{label}{name}", False) for name in names]


def _elements(x: Any) -> Iterable[Any]:
    return x.values() if isinstance(x, dict) else x


def _same(x: Any, was: Any) -> bool:
    """The same object, or a plain one of the same type and value."""
    if x is was:
        return True
    if type(x) is not type(was) or isinstance(x, Value | np.ndarray):
        return False
    return repr(x) == repr(was) if isinstance(x, _PLAIN) or _is_number(x) else False


def _alike(x: dict[str, Any], was: dict[str, Any]) -> bool:
    return x.keys() == was.keys() and all(_same(v, was[k]) for k, v in x.items())


def _change_of(label: str, x: Any, was: Any) -> str | None:
    if len(x) != len(was):
        return f"{label} had {len(was)} entries, has {len(x)}"
    if isinstance(x, set | frozenset):
        return None if x == was else f"{label} has other elements"
    if isinstance(x, dict):
        new = next((k for k in x if k not in was), _MISSING)
        if new is not _MISSING:
            return f"{label} has a new entry {new!r}"
    for k in x if isinstance(x, dict) else range(len(x)):
        if not _same(x[k], was[k]) and not _equal(x[k], was[k]):
            return f"{label}[{k!r}] {_from_to(was[k], x[k])}"
    return None


def _equal(x: Any, was: Any) -> bool:
    """Whether containers within containers are equal; they are looked into by themselves."""
    if isinstance(x, (*_PLAIN, Value, np.ndarray)):
        return False
    me = get_ident()
    by_identity.add(me)
    try:
        return bool(x == was)
    except (TypeError, ValueError):
        return False
    finally:
        by_identity.discard(me)


def _from_to(was: Any, now: Any) -> str:
    if was is _MISSING or now is _MISSING:
        return "is gone" if now is _MISSING else f"is {_brief(now)}, and was not there"
    return f"was {_brief(was)}, is {_brief(now)}"


def _brief(x: Any) -> str:
    if isinstance(x, Value | np.ndarray):
        return "another one" if isinstance(x, Value) else f"an array of shape {x.shape}"
    text = repr(x)
    return text if len(text) < 60 else f"a {type(x).__name__}"


# -------------------------------------------------------------------- what is looked over


def _items(x: Any) -> list[tuple[str, Any]]:
    return [(name, v) for name, v in x.items() if type(name) is str]


def _contents(cells: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(map(_CONTENTS, cells))


def _full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
