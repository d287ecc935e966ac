"""`numpy.fft`: lengths, axes and normalisation of the transforms."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.numpy.arguments import Axis, as_operand, axes_of, axis_of, ordered_axes, shape_of
from chainrule.numpy.rearranging import roll
from chainrule.primitives import raw
from chainrule.rules import arithmetic as ar
from chainrule.rules import fft as ft
from chainrule.rules import shape as sh

# -------------------------------------------------------------------- arguments


def _norm(name: str, norm: Any) -> str:
    if norm is None:
        return "backward"
    if norm not in ft.SWAPPED:
        raise ValueError(f"{name}: norm is {norm!r}, expected 'backward', 'ortho' or 'forward'")
    return norm  # type: ignore[no-any-return]


def _length(name: str, n: Any) -> Any:
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"{name}: a transform of {n} numbers; expected 1 or more")
    return n


def _resized(name: str, x: Any, n: Any, axis: int) -> Any:
    """``x`` cut off, or filled up with zeros, to length ``n``."""
    have = shape_of(x)[axis]
    n = _length(name, have if n is None or n == -1 else n)
    if n < have:
        return sh.sliced(x, axis, 0, n)
    return x if n == have else sh.pad(
        x, width=tuple((0, n - have) if k == axis else (0, 0) for k in range(len(shape_of(x))))
    )  # fmt: skip


def _several(name: str, x: Any, s: Any, axes: Any) -> tuple[list[Any], tuple[int, ...]]:
    """A length for each axis, None where it is that of ``x``."""
    n = len(shape_of(x))
    if axes is None:
        axes = tuple(range(n)) if s is None else tuple(range(n - len(s), n))
    found = ordered_axes(name, x, tuple(axes), repeated=True)
    if s is not None and len(s) != len(found):
        raise ValueError(f"{name}: s is {s}, axes are {axes}; expected a length for each axis")
    if not found:
        raise ValueError(f"{name}: x has shape {shape_of(x)}, axes are {axes}; expected one axis or more")
    return ([None] * len(found) if s is None else list(s)), found


# -------------------------------------------------------------------- complex numbers


def _one(name: str, inverse: bool) -> Callable[..., Any]:
    def transform(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
        a = as_operand(a)
        k, how = axis_of(name, a, axis), _norm(name, norm)
        return ft.fft(_resized(name, a, n, k), axes=(k,), norm=how, inverse=inverse)

    transform.__name__ = transform.__qualname__ = name
    return transform


def _many(name: str, inverse: bool, default: Any) -> Callable[..., Any]:
    def transform(a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None) -> Any:
        a, how = as_operand(a), _norm(name, norm)
        lengths, found = _several(name, a, s, axes)
        for n, k in zip(lengths, found, strict=True):
            a = _resized(name, a, n, k)
        if len(set(found)) == len(found):
            return ft.fft(a, axes=found, norm=how, inverse=inverse)
        for k in found:  # an axis that is named twice is transformed twice
            a = ft.fft(a, axes=(k,), norm=how, inverse=inverse)
        return a

    transform.__name__ = transform.__qualname__ = name
    return transform


fft, ifft = _one("fft", False), _one("ifft", True)
fft2, ifft2 = _many("fft2", False, (-2, -1)), _many("ifft2", True, (-2, -1))
fftn, ifftn = _many("fftn", False, None), _many("ifftn", True, None)

# -------------------------------------------------------------------- real numbers


def _real(name: str, a: Any) -> Any:
    a = as_operand(a)
    if np.iscomplexobj(raw(a)):
        raise TypeError(
            f"{name}: a is complex, expected real numbers; use np.fft.{name.replace('r', '', 1)}"
        )
    return a


def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _rfft("rfft", _real("rfft", a), n, axis, norm)


def _rfft(name: str, a: Any, n: Any, axis: int, norm: Any) -> Any:
    k = axis_of(name, a, axis)
    return ft.rfft(_resized(name, a, n, k), axis=k, norm=_norm(name, norm))


def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _irfft("irfft", as_operand(a), n, axis, norm)


def _irfft(name: str, a: Any, n: Any, axis: int, norm: Any) -> Any:
    k = axis_of(name, a, axis)
    n = _length(name, 2 * (shape_of(a)[k] - 1) if n is None or n == -1 else n)
    return ft.irfft(_resized(name, a, n // 2 + 1, k), n=n, axis=k, norm=_norm(name, norm))


def _many_real(name: str, default: Any) -> Callable[..., Any]:
    def transform(a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None) -> Any:
        a = _real(name, a)
        lengths, found = _several(name, a, s, axes)
        y = _rfft(name, a, lengths[-1], found[-1], norm)
        return y if len(found) == 1 else fftn(y, lengths[:-1] if s is not None else None, found[:-1], norm)

    transform.__name__ = transform.__qualname__ = name
    return transform


def _many_irfft(name: str, default: Any) -> Callable[..., Any]:
    def transform(a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None) -> Any:
        a = as_operand(a)
        lengths, found = _several(name, a, s, axes)
        if len(found) > 1:
            a = ifftn(a, lengths[:-1] if s is not None else None, found[:-1], norm)
        return _irfft(name, a, lengths[-1], found[-1], norm)

    transform.__name__ = transform.__qualname__ = name
    return transform


rfft2, rfftn = _many_real("rfft2", (-2, -1)), _many_real("rfftn", None)
irfft2, irfftn = _many_irfft("irfft2", (-2, -1)), _many_irfft("irfftn", None)


def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _irfft("hfft", ar.conj(as_operand(a)), n, axis, ft.SWAPPED[_norm("hfft", norm)])


def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return ar.conj(_rfft("ihfft", _real("ihfft", a), n, axis, ft.SWAPPED[_norm("ihfft", norm)]))


# -------------------------------------------------------------------- shifts


def fftshift(x: Any, axes: Axis = None) -> Any:
    return _shifted("fftshift", x, axes, False)


def ifftshift(x: Any, axes: Axis = None) -> Any:
    return _shifted("ifftshift", x, axes, True)


def _shifted(name: str, x: Any, axes: Axis, back: bool) -> Any:
    x = as_operand(x)
    found = axes_of(name, x, axes)
    return roll(x, tuple(-(shape_of(x)[k] // 2) if back else shape_of(x)[k] // 2 for k in found), found)
