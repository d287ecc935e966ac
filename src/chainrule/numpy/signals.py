"""Convolution and correlation of vectors, as NumPy has them; `chainrule.scipy.signal` has more axes."""

from __future__ import annotations

from typing import Any

from chainrule.numpy.arguments import as_operand, shape_of
from chainrule.numpy.manipulation import ravel
from chainrule.numpy.rearranging import flip
from chainrule.rules import arithmetic as ar
from chainrule.rules import convolution as cv
from chainrule.rules import shape as sh


def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    return _convolve("convolve", a, v, mode)


def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    return _convolve("correlate", a, v, mode)


def _convolve(name: str, a: Any, v: Any, mode: str) -> Any:
    a, v = as_operand(a), as_operand(v)
    if len(shape_of(a)) > 1 or len(shape_of(v)) > 1:
        raise ValueError(
            f"{name}: a is {shape_of(a)}, v is {shape_of(v)}; expected vectors; "
            f"chainrule.scipy.signal.{name} takes more axes"
        )
    a, v = ravel(a), ravel(v)  # of numbers too
    if name == "correlate":
        v = flip(ar.conj(v))
    m, n = shape_of(a)[0], shape_of(v)[0]
    if not m or not n:
        raise ValueError(f"{name}: a is {(m,)}, v is {(n,)}; expected vectors that are not empty")
    long, short = max(m, n), min(m, n)
    parts = {
        "full": (0, m + n - 1),
        "same": ((short - 1) // 2, long),
        "valid": (short - 1, long - short + 1),
    }
    if mode not in parts:
        raise ValueError(f"{name}: mode is {mode!r}, expected 'full', 'same' or 'valid'")
    start, size = parts[mode]
    if name == "correlate" and mode == "same" and n > m:
        start = short // 2  # NumPy correlates the longer with the shorter, turned
    full = cv.convolve(a, v, method="direct")
    return full if mode == "full" else sh.getitem(full, slice(start, start + size))
