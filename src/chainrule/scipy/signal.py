"""`scipy.signal`: convolution and correlation of Values and arrays with any number of axes.

Examples
--------
>>> import numpy as np
>>> import chainrule as cr
>>> from chainrule.scipy import signal
>>> blurred = lambda x: np.sum(signal.convolve(x, [0.25, 0.5, 0.25], mode="same") ** 2)
>>> cr.grad(blurred)(np.array([0.0, 4.0, 0.0]))
array([2., 3., 2.])
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.foreign import absent
from chainrule.numpy import transforms as nf
from chainrule.numpy.arguments import as_operand, ordered_axes, shape_of
from chainrule.numpy.rearranging import flip
from chainrule.rules import arithmetic as ar
from chainrule.rules import convolution as cv
from chainrule.rules import shape as sh
from chainrule.rules.linalg import is_complex

__all__ = ["convolve", "correlate", "fftconvolve"]


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """``y[k] = Σⱼ in1[j] in2[k - j]``, in as many axes as both have.

    Parameters
    ----------
    in1, in2 : array_like or Value
        With equally many axes.
    mode : {"full", "same", "valid"}
        Everything; the middle, as large as ``in1``; where one lies wholly within the other.
    method : {"auto", "direct", "fft"}

    Raises
    ------
    ValueError
        If the numbers of axes differ, or with "valid" neither fits into the other.

    Examples
    --------
    >>> convolve([1.0, 2.0, 3.0], [0.0, 1.0, 0.5])
    array([0. , 1. , 2.5, 4. , 1.5])
    >>> convolve([1.0, 2.0, 3.0], [0.0, 1.0, 0.5], mode="same")
    array([1. , 2.5, 4. ])
    """
    if method not in ("auto", "direct", "fft"):
        raise ValueError(f"convolve: method is {method!r}, expected 'auto', 'direct' or 'fft'")
    return _convolve("convolve", as_operand(in1), as_operand(in2), mode, method)


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """``y[k] = Σⱼ in1[j + k] conj(in2[j])``, with `convolve`'s arguments; it raises what that does.

    Examples
    --------
    >>> correlate([1.0, 2.0, 3.0], [0.0, 1.0, 0.5])
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    if method not in ("auto", "direct", "fft"):
        raise ValueError(f"correlate: method is {method!r}, expected 'auto', 'direct' or 'fft'")
    return _convolve("correlate", as_operand(in1), flip(ar.conj(as_operand(in2))), mode, method)


def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """`convolve` by the product of Fourier transforms, along ``axes``; the other axes broadcast.

    Raises
    ------
    ValueError
        As `convolve`, and if the other axes do not broadcast.

    Examples
    --------
    >>> fftconvolve([1.0, 2.0, 3.0], [0.0, 1.0, 0.5], mode="same")
    array([1. , 2.5, 4. ])
    """
    a, b = as_operand(in1), as_operand(in2)
    x, y = shape_of(a), shape_of(b)
    _check("fftconvolve", x, y, mode)
    along = tuple(range(len(x))) if axes is None else tuple(sorted(ordered_axes("fftconvolve", a, axes)))
    if not along or not np.prod(x) or not np.prod(y):
        return a * b if not along else np.zeros(0)
    _broadcast_check(x, y, along)
    sizes = [x[k] + y[k] - 1 for k in along]
    if is_complex(a) or is_complex(b):
        full = nf.ifftn(nf.fftn(a, sizes, along) * nf.fftn(b, sizes, along), sizes, along)
    else:
        full = nf.irfftn(nf.rfftn(a, sizes, along) * nf.rfftn(b, sizes, along), sizes, along)
    return _part("fftconvolve", full, x, y, mode, along)


def _broadcast_check(x: tuple[int, ...], y: tuple[int, ...], along: tuple[int, ...]) -> None:
    for k, (m, n) in enumerate(zip(x, y, strict=True)):
        if k not in along and m != n and 1 not in (m, n):
            raise ValueError(
                f"fftconvolve: in1 is {x}, in2 is {y}; axis {k} does not broadcast ({m} and {n})"
            )


def _check(name: str, x: tuple[int, ...], y: tuple[int, ...], mode: str) -> None:
    if len(x) != len(y):
        raise ValueError(f"{name}: in1 is {x}, in2 is {y}; expected equally many axes")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"{name}: mode is {mode!r}, expected 'full', 'same' or 'valid'")


def _convolve(name: str, a: Any, b: Any, mode: str, method: str) -> Any:
    x, y = shape_of(a), shape_of(b)
    _check(name, x, y, mode)
    if not x:
        return a * b
    if not np.prod(x) or not np.prod(y):
        return np.zeros(0)
    return _part(name, cv.convolve(a, b, method=method), x, y, mode, tuple(range(len(x))))


def _part(
    name: str, full: Any, x: tuple[int, ...], y: tuple[int, ...], mode: str, along: tuple[int, ...]
) -> Any:
    """What of the full convolution the mode keeps."""
    if mode == "full":
        return full
    index = [slice(None)] * len(x)
    larger = all(x[k] >= y[k] for k in along)
    if mode == "valid" and not larger and not all(x[k] <= y[k] for k in along):
        raise ValueError(
            f"{name}: in1 is {x}, in2 is {y}; with mode='valid' one must be as large as the other in every "
            "axis"
        )
    for k in along:
        if mode == "same":
            size, start = x[k], (y[k] - 1) // 2
        else:
            size, start = abs(x[k] - y[k]) + 1, min(x[k], y[k]) - 1
        index[k] = slice(start, start + size)
    return sh.getitem(full, tuple(index))


__getattr__ = absent(__name__)
