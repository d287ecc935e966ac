"""Discrete Fourier transforms: of complex numbers along several axes, of real ones along one.

``y[k] = c Σⱼ x[j] exp(∓2πi jk/n)``: the matrix is symmetric, so that the transform is its own transpose. Of
real numbers only half the spectrum is kept; its inner entries stand for two of the whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.primitives import Linear, Mixing, raw
from chainrule.rules.arithmetic import conj

# For 1/n one way there is 1 the other way.
SWAPPED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _fft(x: Any, *, axes: tuple[int, ...], norm: Any, inverse: bool) -> Any:
    return (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes, norm=norm)


fft = Mixing(_fft, lambda g, x, **how: fft(g, **how), name="fft", symbol="F")


def _weights(n: int, axis: int, ndim: int) -> Any:
    """How many entries of the whole spectrum each of the half stands for."""
    w = np.full(n // 2 + 1, 2.0)
    w[0] = 1
    if n % 2 == 0:
        w[-1] = 1
    return w.reshape((-1,) + (1,) * (ndim - 1 - axis))


def _rfft_transpose(g: Any, x: Any, *, axis: int, norm: str) -> Any:
    n = np.shape(x)[axis]
    return irfft(conj(g) / _weights(n, axis, np.ndim(x)), n=n, axis=axis, norm=SWAPPED[norm])


def _irfft_transpose(g: Any, x: Any, *, n: int, axis: int, norm: str) -> Any:
    return conj(rfft(g, axis=axis, norm=SWAPPED[norm])) * _weights(n, axis, np.ndim(raw(g)))


rfft: Linear = Mixing(
    lambda x, *, axis, norm: np.fft.rfft(x, axis=axis, norm=norm), _rfft_transpose, name="rfft", symbol="F"
)
irfft: Linear = Mixing(
    lambda x, *, n, axis, norm: np.fft.irfft(x, n, axis, norm), _irfft_transpose, name="irfft", symbol="F⁻¹"
)
