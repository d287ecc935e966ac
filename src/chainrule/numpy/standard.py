"""What the Array API standard asks of an array: its namespace, where it lives, and how others may have it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from chainrule.numpy.constants import is_constant
from chainrule.recording import arguments
from chainrule.value import Value

# The namespace is NumPy's, so it conforms to what the installed NumPy conforms to.
VERSIONS = [v for v in ("2021.12", "2022.12", "2023.12", "2024.12") if v <= np.__array_api_version__]


def _namespace(self: Value, *, api_version: str | None = None) -> Any:
    """`chainrule.numpy`."""
    if api_version not in (None, *VERSIONS):
        raise ValueError(
            f"__array_namespace__: api_version is {api_version!r}, expected one of {', '.join(VERSIONS)}"
        )
    return sys.modules["chainrule.numpy"]


def _dlpack(self: Value, **options: Any) -> Any:
    """The numbers, for another library. Of a leaf they are shared, as ``v.data`` is."""
    if not is_constant(self) and (self.primitive is not None or self in arguments()):
        raise TypeError(
            "__dlpack__: another library would cut this tracked Value out of the graph, and its derivative "
            "would be lost silently; pass v.data for its numbers"
        )
    data = np.asarray(self.data)
    if not data.flags.writeable and options.get("max_version") is None:
        data = data.copy()  # only newer readers can be told that they must not write
    return data.__dlpack__(**options)


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
