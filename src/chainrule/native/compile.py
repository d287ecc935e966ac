"""`compile`: a Python function as native code, one program for each signature it is called with."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import optree

from chainrule.native.capture import Captured, capture
from chainrule.native.program import Program
from chainrule.traced import current_trace
from chainrule.value import Value

__all__ = ["Compiled", "compile"]


def compile(f: Callable[..., Any] | None = None, *, static_argnums: int | tuple[int, ...] = ()) -> Any:
    """``f`` as native code: captured once for each signature, then run without Python."""
    if f is None:
        return functools.partial(compile, static_argnums=static_argnums)
    return Compiled(f, static_argnums)


class Compiled:
    """A compiled function; call it as the function itself."""

    def __init__(self, f: Callable[..., Any], static_argnums: int | tuple[int, ...] = ()) -> None:
        self.function = f
        self.static = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
        self.name = getattr(f, "__name__", type(f).__name__)
        self.programs: dict[Any, Program] = {}
        self.last: Program | None = None
        self._lock = threading.RLock()
        functools.update_wrapper(self, f, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_trace() is not None:
            return self.function(*args, **kwargs)
        static = tuple(args[i] if i < len(args) else None for i in self.static)
        chosen = tuple(a for i, a in enumerate(args) if i not in self.static)
        leaves, spec = optree.tree_flatten((chosen, kwargs), none_is_leaf=True)  # type: ignore[arg-type]
        key = (spec, static, *map(_signature, leaves))
        program = self.programs.get(key)
        if program is None or not program.valid(leaves):
            with self._lock:
                program = self.programs.get(key)
                if program is None or not program.valid(leaves):
                    program = Program(self.name, self._capture(leaves, spec, args))
                    self.programs[key] = program
        self.last = program
        return program(leaves)

    def _capture(self, leaves: list[Any], spec: Any, args: tuple[Any, ...]) -> Captured:
        def call(given: list[Any]) -> Any:
            chosen, kwargs = optree.tree_unflatten(spec, given)
            rest = iter(chosen)
            full = [a if i in self.static else next(rest) for i, a in enumerate(args)]
            return self.function(*full, **kwargs)

        return capture(self.name, call, leaves)

    def report(self) -> Any:
        if self.last is None:
            raise RuntimeError(f"report: {self.name} has not been called yet; call it once, then ask")
        return self.last.report()


def _signature(x: Any) -> Any:
    kind = type(x)
    if kind is np.ndarray:
        return x.dtype, x.shape
    if kind is float or kind is int or kind is bool or kind is complex:
        return kind
    if kind is Value:
        return Value, type(x._data) is float, x.dtype, x.shape
    if isinstance(x, np.generic):
        return kind
    if x is None or isinstance(x, str):
        return x
    raise TypeError(
        f"compile: an argument is a {kind.__name__}, expected arrays, numbers, Values, strings, None or containers "
        "of them; name it in static_argnums if it is a constant"
    )
