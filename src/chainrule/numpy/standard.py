"""What the Array API standard asks for beyond NumPy.

Of an array: its namespace, where it lives, and how others may have it. Of functions: arguments and results
that NumPy's have not.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

from chainrule.numpy.constants import is_constant
from chainrule.numpy.creation import asarray
from chainrule.recording import arguments
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["HERE"]

# The namespace is NumPy's, so it conforms to what the installed NumPy conforms to.
VERSIONS = [v for v in ("2021.12", "2022.12", "2023.12", "2024.12") if v <= np.__array_api_version__]


def _namespace(self: Value, *, api_version: str | None = None) -> Any:
    """`chainrule.numpy`."""
    if api_version not in (None, *VERSIONS):
        raise ValueError(
            f"__array_namespace__: api_version is {api_version!r}, expected one of {', '.join(VERSIONS)}"
        )
    return sys.modules["chainrule.numpy"]


def _dlpack(
    self: Value, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
) -> Any:
    """The numbers, for another library. Of a leaf they are shared, as ``v.data`` is."""
    if not is_constant(self) and (self.primitive is not None or self in arguments()):
        raise TypeError(
            "__dlpack__: another library would cut this tracked Value out of the graph, and its derivative "
            "would be lost silently; pass v.data for its numbers"
        )
    data = np.asarray(self.data)
    if not data.flags.writeable and (max_version is None or max_version[0] < 1):
        data = data.copy()  # only newer readers can be told that they must not write
    options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
    return data.__dlpack__(**{name: given for name, given in options.items() if given is not None})


def _to_device(self: Value, device: Any, /, *, stream: Any = None) -> Value:
    if device != "cpu" or stream is not None:
        raise ValueError(f"to_device: device is {device!r}, stream {stream!r}; expected 'cpu' and None")
    return self


for _name, _method in {
    "__array_namespace__": _namespace,
    "__dlpack__": _dlpack,
    "__dlpack_device__": lambda self: np.empty(0).__dlpack_device__(),
    "device": property(lambda self: "cpu"),
    "to_device": _to_device,
}.items():
    setattr(Value, _name, _method)


# -------------------------------------------------------------------- functions


def sort(
    a: Any, axis: Any = -1, kind: Any = None, *, descending: bool = False, stable: Any = None, **options: Any
) -> Any:
    """NumPy's, stable as the standard wants it, and in descending order too."""
    options = _ordering(kind, stable, options)
    if descending:
        return np.take_along_axis(a, argsort(a, axis, descending=True, **options), axis)
    return np.sort(a, axis, **options)


def argsort(
    a: Any, axis: Any = -1, kind: Any = None, *, descending: bool = False, stable: Any = None, **options: Any
) -> Any:
    """NumPy's, stable as the standard wants it, and in descending order too."""
    options = _ordering(kind, stable, options)
    if not descending:
        return np.argsort(a, axis, **options)
    order = np.argsort(np.flip(a, axis), axis, **options)
    return np.flip(order.shape[axis] - 1 - order, axis)


def _ordering(kind: Any, stable: Any, options: dict[str, Any]) -> dict[str, Any]:
    """NumPy has stability, or a kind of algorithm that implies it."""
    if kind is not None:
        return {"kind": kind, "stable": stable, **options}
    return {"stable": True if stable is None else stable, **options}


def clip(a: Any, min: Any = None, max: Any = None, out: Any = None, **options: Any) -> Any:
    """NumPy's, with bounds that are called ``min`` and ``max``, or ``a_min`` and ``a_max`` as there."""
    return np.clip(a, options.pop("a_min", min), options.pop("a_max", max), out, **options)


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """NumPy's, which takes no None for what does not stand before or after."""
    edges = {"prepend": prepend, "append": append}
    return np.diff(a, n, axis, **{name: given for name, given in edges.items() if given is not None})


_LIMITS = (
    "bits dtype eps epsneg iexp machep max maxexp min minexp negep nexp nmant precision resolution "
    "smallest_normal smallest_subnormal tiny"
).split()


def finfo(dtype: Any, /) -> Any:
    """What NumPy knows of a dtype of floats, or of an array's, in numbers of Python's."""
    known = np.finfo(_dtype(dtype))
    limits = {name: getattr(known, name) for name in _LIMITS}
    return SimpleNamespace(**{n: x.item() if isinstance(x, np.generic) else x for n, x in limits.items()})


def iinfo(type: Any, /) -> Any:
    """What NumPy knows of a dtype of integers, or of an array's."""
    return np.iinfo(_dtype(type))


def _dtype(x: Any) -> Any:
    return x.dtype if isinstance(x, Value | Traced | np.ndarray | np.generic) else x


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """Another library's array: floats as a constant, with numbers of its own."""
    return asarray(x if type(x) is Value else np.from_dlpack(x), device=device, copy=copy)


HERE = {f.__name__: f for f in (sort, argsort, clip, diff, finfo, iinfo, from_dlpack)}
