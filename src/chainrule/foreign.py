"""Which function of NumPy's or SciPy's has met a Value, and what to write in its place.

Many are written in Python or C and make plain arrays of what they are given, where a derivative would be
lost. The error says which function it was, found on the stack, and names its twin. Nothing here runs but
for an error.
"""

from __future__ import annotations

import ast
import importlib
import linecache
import os
import re
import sys
from collections.abc import Callable, Iterator
from dis import opname
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

__all__ = ["FILLED", "absent", "called", "from_library", "instead", "no_array"]

# `like=` takes no numbers, which a plain call of a function of numbers has.
FILLED = (
    "for a[i] = v make a by chainrule.numpy.zeros(n), or in the likeness of an array x: np.zeros(n, like=x) "
    "or np.zeros_like(x)"
)
_MAKERS = ("array", "asarray", "asanyarray", "ascontiguousarray")
_NUMPY, _PACKAGE = (str(Path(file).parent) + os.sep for file in (np.__file__, __file__))

# What takes the place of what has no twin.
_FALLBACK = (
    "write it in functions that have derivatives, or state its derivative with "
    "@chainrule.primitive(...) above a function that calls it"
)
_STEPS = f"write its steps in NumPy, which chainrule.scan repeats; or {_FALLBACK}"
_LINEAR = (
    "it is linear: write m @ v with the matrix m that it makes of np.eye(len(v)), by columns; or state it "
    "with @chainrule.primitive(transpose=...), as the chapter on primitives does"
)
_ANY_ARRAYS = _FALLBACK
if not os.environ.get("SCIPY_ARRAY_API"):
    _ANY_ARRAYS = (
        "set SCIPY_ARRAY_API=1 in the environment before SciPy is imported, with which much of it takes "
        f"Values; or {_FALLBACK}"
    )
_INSTEAD = {
    "scipy.sparse.": "write a.toarray() @ v, or state the product with @chainrule.primitive(transpose=...), "
    "as the chapter on primitives does",
    "scipy.integrate.trapezoid": "write np.trapezoid in its place, which takes Values",
    "scipy.integrate.quad": "write a sum over the nodes of np.polynomial.legendre.leggauss(n); or "
    + _FALLBACK,
    "scipy.integrate.solve_ivp": _STEPS,
    "scipy.integrate.odeint": _STEPS,
    "scipy.integrate.simpson": _LINEAR,
    "scipy.integrate.cumulative_": _ANY_ARRAYS,
    "scipy.interpolate.interp1d": "write np.interp(x, xs, v)",
    "scipy.signal.lfilter": _STEPS,
    "scipy.signal.savgol_filter": _LINEAR,
    "scipy.signal.detrend": _LINEAR,
    "scipy.signal.": _ANY_ARRAYS,
    "scipy.stats.": _ANY_ARRAYS,
    "scipy.fft.": _LINEAR,
    "scipy.ndimage.convolve": "write chainrule.scipy.signal.convolve, of an array padded by np.pad",
    "scipy.spatial.distance.": "write np.linalg.norm(a[:, None] - b, axis=-1)",
    "numpy.r_": "write np.concatenate([v, w]), with np.atleast_1d of numbers",
    "numpy.c_": "write np.column_stack([v, w])",
    "numpy.vectorize": "give the function whole arrays, with np.where for its branches, or join what it "
    "makes of each element: chainrule.array([f(x) for x in v])",
    **{
        f"numpy.polynomial.{family}.": f"write scipy.special.{evaluated}(np.arange(len(c)), "
        "np.expand_dims(x, -1)) @ c"
        for family, evaluated in (
            ("chebyshev", "eval_chebyt"), ("legendre", "eval_legendre"), ("laguerre", "eval_laguerre"),
            ("hermite", "eval_hermite"), ("hermite_e", "eval_hermitenorm"),
        )
    },
    "numpy.polynomial.": "write np.polyval(c, x), with the highest coefficient first",
    "numpy.arange": "write start + step * np.arange(n), with a plain n (of a compiled function: name it "
    "in static_argnums)",
    "numpy.random.": "draw with chainrule.random.default_rng(seed), whose samples have derivatives in their "
    "parameters",
    "numpy.ma.": "keep the mask beside it: np.where(mask, 0.0, v), np.mean(v, where=~mask)",
    "numpy.testing.": "compare the numbers, v.data",
    "numpy.full": "write np.full(shape, v, like=v)",
    "numpy.fill_diagonal": FILLED,
    "numpy.ndarray.__setitem__": FILLED,
    "numpy.ndarray.dot": "write np.dot(a, v) or a @ v for a.dot(v)",
    "numpy.asarray": "it is an array already: leave np.asarray out, or write np.asarray(x, like=x), which "
    "takes plain arrays too",
    "numpy.array(": "it is an array already: write x.copy() for a copy, or np.array(x, like=x), which takes "
    "plain arrays too",
    "numpy.lib.stride_tricks.": "write np.lib.stride_tricks.sliding_window_view(x, n), or slices of x",
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


def absent(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that has not all that SciPy's of the name has."""

    def missing(name: str) -> Any:
        scipys = module.removeprefix("chainrule.")
        known = not name.startswith("_") and _lookup(f"{scipys}.{name}") is not None
        hint = f"; {scipys}.{name} has no twin that takes Values: {_FALLBACK}" if known else ""
        raise AttributeError(f"module {module!r} has no attribute {name!r}{hint}", name=name)

    return missing


def called() -> str:
    """What the user called of NumPy's or SciPy's, as ``scipy.linalg.cholesky``; '' if unknown."""
    frame: FrameType | None = sys._getframe(1)
    frames = []
    while frame is not None and from_library(frame.f_code.co_filename):
        frames.append(frame)
        frame = frame.f_back
    names = (name for f in reversed(frames) for name in _names(f))
    ours = all(f.f_code.co_filename.startswith(_PACKAGE) for f in frames)
    return next(names, _written(frame) if ours and frame is not None else "")


def instead(name: str) -> str:
    """What to write instead of a function: its twin if it has one."""
    if name.startswith("scipy."):
        if _lookup("chainrule." + name) is not None:
            return f"write chainrule.{name} in its place, which takes Values"
        if name.startswith("scipy.fft.") and hasattr(np.fft, name.rpartition(".")[2]):
            return f"write np.{name.removeprefix('scipy.')} in its place, which takes Values"
    if _is_kind(getattr(np, known := name.removeprefix("numpy."), None)):
        return f"write x.astype(np.{known}), or leave it out where it changes nothing"
    return next((text for begin, text in _INSTEAD.items() if f"{name}(".startswith(begin)), _FALLBACK)


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
    elif name.endswith(("wrapper", "wrapped", "inner")):  # a decorator's
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
    written = re.sub(r"\._(\w+)_impl$", r".\1", module)  # numpy.lib.stride_tricks is in _stride_tricks_impl
    if written != module and _lookup(f"{written}.{name}") is not None:
        yield f"{written}.{name}"
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


def _written(frame: FrameType) -> str:
    """The name of what leaves no frame, found in the user's line: ``numpy.ndarray.dot``; '' if unknown."""
    line, end, start, stop = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    if line is None or line != end:
        return ""
    text = linecache.getline(frame.f_code.co_filename, line).encode()[start:stop]
    try:
        code = ast.parse(text.decode(), mode="eval").body
    except SyntaxError:
        return ""
    if isinstance(code, ast.Subscript) and opname[frame.f_code.co_code[frame.f_lasti]].startswith("STORE"):
        return "numpy.ndarray.__setitem__"
    if not isinstance(code, ast.Call):
        return ""
    name = getattr(code.func, "attr", getattr(code.func, "id", ""))
    if _of_numpy(code.func, frame) and name not in _MAKERS:
        return f"numpy.{name}"
    if isinstance(code.func, ast.Attribute):
        if hasattr(np.random.Generator, name):
            return f"numpy.random.Generator.{name}"
        if name == "dot":
            return "numpy.ndarray.dot"
    if not code.args or _listed(code.args[0], frame):
        return ""
    if name == "array" or (_of_numpy(code.func, frame) and _is_kind(getattr(np, name, None))):
        return f"numpy.{name}"
    return "numpy.asarray" if name in _MAKERS else ""


def _is_kind(x: Any) -> bool:
    """Whether it is a class of NumPy's numbers, such as ``np.float64``."""
    return isinstance(x, type) and issubclass(x, np.generic)


def _of_numpy(code: ast.expr, frame: FrameType) -> bool:
    """Whether an expression is ``np.name``, under whatever name NumPy goes."""
    return isinstance(code, ast.Attribute) and _named(code.value, frame) is np


def _named(code: ast.expr, frame: FrameType) -> Any:
    """What a name stands for, None for other expressions."""
    return frame.f_locals.get(code.id, frame.f_globals.get(code.id)) if isinstance(code, ast.Name) else None


def _listed(code: ast.expr, frame: FrameType) -> bool:
    """Whether an expression is a list or a tuple, or the name of one."""
    return isinstance(code, ast.List | ast.Tuple | ast.ListComp) or isinstance(
        _named(code, frame), list | tuple
    )
