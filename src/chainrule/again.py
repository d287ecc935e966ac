"""Functions that are run again: a derivative of a loop or a branch calls the user's function anew.

By then its names may stand for something else, as in ``b = fori(0, n, lambda i, c: c + b, x)``, and the
plain arrays that it reads may hold other numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from chainrule.foreign import from_library
from chainrule.traced import Traced, current_trace
from chainrule.value import Value, same_bytes

__all__ = ["as_it_is"]

_LEAVES = (Value, Traced, ModuleType, type, str, bytes, int, float, complex, type(None))


def as_it_is(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function with what its names stand for now.

    In a capture, where nobody could compare what it gives with what it gave, plain arrays hold what they
    hold now, too, while it runs.
    """
    again: Callable[..., Any] = _with_names(f, {})
    if (trace := current_trace()) is None:
        return again
    kept = [(a, a.copy(order="K")) for a in _arrays(f) if id(a) not in trace.large]
    if not kept:
        return again

    @functools.wraps(f, updated=())
    def run(*args: Any) -> Any:
        with _holding(kept):
            return again(*args)

    return run


def _with_names(f: Any, known: dict[Any, Any]) -> Any:
    """A copy of the function, and of those that it calls, with cells of its own."""
    if type(f) is not FunctionType or not f.__closure__:
        return f
    if f in known:
        return known[f]
    cells = tuple([CellType() for _ in f.__closure__])
    g = known[f] = FunctionType(f.__code__, f.__globals__, f.__name__, f.__defaults__, cells)
    g.__kwdefaults__ = f.__kwdefaults__
    g.__dict__.update(f.__dict__)
    for new, content in zip(cells, map(_content, f.__closure__)):
        if content is not _EMPTY:
            new.cell_contents = _with_names(content, known)
    return g


_EMPTY = object()


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing in it yet
        return _EMPTY


def _arrays(f: Any) -> list[np.ndarray[Any, Any]]:
    """What owns the memory of the plain arrays that a function can get at by its names."""
    found: dict[int, np.ndarray[Any, Any]] = {}
    met: set[int] = set()
    waiting = [f]
    while waiting:
        x = waiting.pop()
        if isinstance(x, _LEAVES) or id(x) in met:
            continue
        met.add(id(x))
        if isinstance(x, np.ndarray):
            while isinstance(x.base, np.ndarray):
                x = x.base
            if x.flags.writeable and not x.dtype.hasobject:
                found[id(x)] = x
        elif isinstance(x, FunctionType):
            waiting += map(_content, x.__closure__ or ())
            waiting += (*(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values())
            if not from_library(x.__code__.co_filename):
                waiting += (x.__globals__.get(name) for name in _names(x.__code__))
        elif isinstance(x, MethodType):
            waiting += (x.__self__, x.__func__)
        elif isinstance(x, functools.partial):
            waiting += (x.func, *x.args, *x.keywords.values())
        elif isinstance(x, dict):
            waiting += x.values()
        elif isinstance(x, list | tuple | set):
            waiting += x
        else:
            attributes = getattr(x, "__dict__", None)
            waiting += attributes.values() if isinstance(attributes, dict) else ()
            waiting += (type(x).__call__,) if callable(x) else ()
    return list(found.values())


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # of a function within
            yield from _names(constant)


@contextmanager
def _holding(kept: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]) -> Iterator[None]:
    """Give arrays back what they held, for a while."""
    changed = [(a, a.copy(order="K"), was) for a, was in kept if not same_bytes(a, was)]
    for a, _, was in changed:
        np.copyto(a, was)
    try:
        yield
    finally:
        for a, now, _ in changed:
            np.copyto(a, now)
