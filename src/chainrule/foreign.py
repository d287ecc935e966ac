"""Which function of NumPy's or SciPy's has met a Value, and what to write in its place.

Many are written in Python or C and make plain arrays of what they are given, where a derivative would be
lost. The error says which function it was, found on the stack, and names its twin. Nothing here runs but
for an error.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import linecache
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

__all__ = ["FILLED", "called", "from_library", "instead", "no_array"]

# `like=` takes no numbers, which a plain call of a function of numbers has.
FILLED = (
    "for a[i] = v make a by chainrule.numpy.zeros(n), or in the likeness of an array x: np.zeros(n, like=x) "
    "or np.zeros_like(x)"
)
_NUMPY, _PACKAGE = (str(Path(file).parent) + os.sep for file in (np.__file__, __file__))

# What takes the place of what has no twin.
_POLYNOMIALS = "write np.polyval(c, x), with the highest coefficient first"
_INSTEAD = {
    "numpy.r_": "write np.concatenate([v, w]), with np.atleast_1d of numbers",
    "numpy.c_": "write np.column_stack([v, w])",
    "numpy.vectorize": "give the function whole arrays, with np.where for its branches, or join what it "
    "makes of each element: chainrule.array([f(x) for x in v])",
    "numpy.polynomial.": _POLYNOMIALS,
    "numpy.random.": "draw with chainrule.random.default_rng(seed), whose samples have derivatives in their "
    "parameters",
    "numpy.": "Values in a list are joined first, with chainrule.array([v, w])",
}  # fmt: skip


def from_library(file: str) -> bool:
    """Whether a file is NumPy's, SciPy's or chainrule's own."""
    scipy = sys.modules.get("scipy")
    if scipy is not None and file.startswith(scipy.__path__[0] + os.sep):
        return True
    return file.startswith((_NUMPY, _PACKAGE, "<__array_function__"))


def no_array() -> str:
    """The error for a Value that is to become a plain array."""
    name = called()
    remedy = f"write chainrule.array([v, w]) or np.stack([v, w]) to join Values; {FILLED}"
    return (
        f"{name or 'np.asarray'}: a Value cannot become a plain array, because its derivative would be lost "
        f"silently; {instead(name) if name else remedy}; v.data has the bare numbers and leaves the graph"
    )


def called() -> str:
    """What the user called of NumPy's or SciPy's, as ``scipy.linalg.cholesky``; '' if unknown."""
    frame: FrameType | None = sys._getframe(1)
    frames = []
    while frame is not None and from_library(frame.f_code.co_filename):
        frames.append(frame)
        frame = frame.f_back
    names = (name for f in reversed(frames) for name in _names(f))
    ours = all(f.f_code.co_filename.startswith(_PACKAGE) for f in frames)
    return next(names, _drawn(frame) if ours and frame is not None else "")


def instead(name: str) -> str:
    """What to write instead of a function: its twin if it has one."""
    if name.startswith("scipy."):
        if _lookup("chainrule." + name) is not None:
            return f"write chainrule.{name} in its place, which takes Values"
        if name.startswith("scipy.fft.") and hasattr(np.fft, name.rpartition(".")[2]):
            return f"write np.{name.removeprefix('scipy.')} in its place, which takes Values"
    fallback = (
        "write it in functions that have derivatives, or state its derivative with "
        "@chainrule.primitive(...) above a function that calls it"
    )
    if name.startswith("scipy."):
        return fallback
    return next((text for begin, text in _INSTEAD.items() if name.startswith(begin)), fallback)


def _names(frame: FrameType) -> Iterator[str]:
    """Public names of the function that a frame is in, of its object, or of a function that it wraps."""
    module, name, local = frame.f_globals.get("__name__", ""), frame.f_code.co_name, frame.f_locals
    if module.startswith("chainrule."):
        if name == "array_function":
            yield from _public(local["function"])
        return
    self = local.get("self")
    if self is not None:
        yield from _method(self, name)
    elif name in ("wrapper", "wrapped", "inner"):  # a decorator's
        for x in local.values():
            if isinstance(x, FunctionType):
                yield from _public(x)
    elif not name.startswith(("_", "<")):
        yield from _at(module, name)


def _method(self: Any, name: str) -> Iterator[str]:
    kind = type(self)
    package = _package(kind.__module__)
    if kind.__name__.startswith("_") and package == "scipy":
        return
    for where in (package, package.partition(".")[0]):  # an object that is public itself, such as numpy.r_
        for known, x in list(vars(sys.modules[where]).items()):
            if x is self:
                yield f"{where}.{known}" + ("" if name.startswith("__") else f".{name}")
    owner = getattr(getattr(self, "dist", self), "name", None)  # of a distribution, frozen or not
    if isinstance(owner, str) and owner.isidentifier():
        yield from _at(package, f"{owner}.{name}")
    yield from _at(package, kind.__name__ if name.startswith("__") else f"{kind.__name__}.{name}")


def _public(f: Any) -> Iterator[str]:
    yield from _at(getattr(f, "__module__", None) or "", getattr(f, "__name__", ""))


def _at(module: str, name: str) -> Iterator[str]:
    """The names under which a package or those around it have what is called so."""
    package = _package(module)
    if package.partition(".")[0] not in ("numpy", "scipy") or not name or name.startswith("_"):
        return
    while package:
        if _lookup(f"{package}.{name}") is not None:
            yield f"{package}.{name}"
        package = package.rpartition(".")[0]


def _package(module: str) -> str:
    """The public package around a module: ``scipy.linalg`` of ``scipy.linalg._decomp``."""
    return re.split(r"\._", module)[0]


def _lookup(name: str) -> Any:
    """What a dotted name stands for, None if nothing."""
    parts = name.split(".")
    for n in range(len(parts) - 1, 0, -1):
        try:
            x: Any = importlib.import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for part in parts[n:]:
            x = getattr(x, part, None)
        return None if isinstance(x, ModuleType) else x
    return None


def _drawn(frame: FrameType) -> str:
    """``numpy.random.Generator.normal`` if the user's line calls such a method, which leaves no frame."""
    line, end, start, stop = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    if line is None or line != end:
        return ""
    text = linecache.getline(frame.f_code.co_filename, line).encode()[start:stop]
    with contextlib.suppress(SyntaxError):
        call = ast.parse(text.decode(), mode="eval").body
        method = call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
        if hasattr(np.random.Generator, method):
            return f"numpy.random.Generator.{method}"
    return ""
