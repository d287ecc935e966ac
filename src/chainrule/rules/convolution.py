"""Convolution, as networks have it: correlation of images with a bank of kernels, channels last.

    y[n, t, o] = Σₖ Σ_c  x[n, t·s + k·d, c]  w[k, c, o]

over any number of spatial axes, with stride s and dilation d for each; where a kernel would reach over
the edge nothing is computed. It is linear in the images and in the kernels. Both its transposes, and
theirs, are one of two operations: this one, and the sum over images and places that belongs to a kernel.

    w̄[k, c, o] = Σₙ Σₜ  x[n, t·s + k·d, c]  g[n, t, o]
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from chainrule.primitives import Bilinear, Reach, raw
from chainrule.rules.linalg import numeric
from chainrule.rules.shape import getitem, scatter, transpose
from chainrule.traced import Traced

__all__ = ["convolve", "correlate", "correlate_kernels", "places"]

AT_ONCE = 1 << 19  # bytes of patches copied together: they stay in the cache until they are multiplied


def places(size: int, kernel: int, stride: int, dilation: int) -> int:
    """How many places a kernel has along an axis."""
    return max((size - dilation * (kernel - 1) - 1) // stride + 1, 0)


def _patches(x: Any, kernel: tuple[int, ...], places: tuple[int, ...], strides: Any, dilation: Any) -> Any:
    """What the kernel covers at each place, as a view: (N, *places, *kernel, C)."""
    first, *steps, last = x.strides
    return as_strided(
        x,
        (len(x), *places, *kernel, x.shape[-1]),
        (
            first,
            *[a * s for a, s in zip(steps, strides, strict=True)],
            *[a * d for a, d in zip(steps, dilation, strict=True)],
            last,
        ),
        writeable=False,
    )


def _correlate(x: Any, w: Any, *, strides: tuple[int, ...], dilation: tuple[int, ...]) -> Any:
    if type(x) is Traced or type(w) is Traced:
        from chainrule.native.convolution import correlate  # loaded already: it made what is traced

        return correlate(x, w, strides, dilation)
    kernel = w.shape[:-2]
    out = tuple(map(places, x.shape[1:-1], kernel, strides, dilation))
    patches = _patches(x, kernel, out, strides, dilation)
    flat = np.ascontiguousarray(w).reshape(math.prod(w.shape[:-1]), w.shape[-1])
    y = np.empty((len(x), math.prod(out), w.shape[-1]), np.result_type(x, w))
    for part in _parts(patches):
        found = y[part]
        np.matmul(patches[part].reshape(*found.shape[:2], len(flat)), flat, out=found)
    return y.reshape(len(x), *out, w.shape[-1])


def _correlate_kernels(
    x: Any, g: Any, *, kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> Any:
    if type(x) is Traced or type(g) is Traced:
        from chainrule.native.convolution import correlate_kernels

        return correlate_kernels(x, g, kernel, strides, dilation)
    patches = _patches(x, kernel, g.shape[1:-1], strides, dilation)
    w = np.zeros((math.prod(kernel) * x.shape[-1], g.shape[-1]), np.result_type(x, g))
    for part in _parts(patches):
        n = len(patches[part]) * math.prod(g.shape[1:-1])
        w += patches[part].reshape(n, len(w)).T @ g[part].reshape(n, g.shape[-1])
    return w.reshape(*kernel, x.shape[-1], g.shape[-1])


def _parts(patches: Any) -> list[slice]:
    """The images in parts of which the patches are copied at once."""
    n = max(AT_ONCE * len(patches) // max(patches.nbytes, 1), 1)
    return [slice(i, i + n) for i in range(0, len(patches), n)]


def _to_images(g: Any, like: Any, w: Any, strides: tuple[int, ...], dilation: tuple[int, ...]) -> Any:
    """The cotangent of the images: every place's share goes back to what the kernel covered there.

    That is a correlation of the kernels, turned about, with the cotangents, set apart by the stride.
    """
    kernel = np.shape(raw(w))[:-2]
    n = len(kernel)
    turned = getitem(w, (slice(None, None, -1),) * n)
    turned = transpose(turned, (*range(n), n + 1, n))
    return correlate(_apart(g, like, kernel, strides, dilation), turned, strides=(1,) * n, dilation=dilation)


def _apart(g: Any, like: Any, kernel: tuple[int, ...], strides: Any, dilation: Any) -> Any:
    """What belongs to places, set apart by the stride, among zeros as far as a kernel reaches."""
    shape = np.shape(raw(like))
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    spatial = zip(np.shape(raw(g))[1:-1], strides, reach, strict=True)
    index = tuple(slice(r, r + (t - 1) * s + 1, s) for t, s, r in spatial)
    wide = (shape[0], *[n + r for n, r in zip(shape[1:-1], reach, strict=True)], np.shape(raw(g))[-1])
    return scatter(g, index=(slice(None), *index), shape=wide)


def _under(mask: Any, kernel: tuple[int, ...], places: Any, strides: Any, dilation: Any) -> Any:
    """At which places the kernel covers an element under the mask."""
    for axis, (k, n, s, d) in enumerate(zip(kernel, places, strides, dilation, strict=True), start=1):
        before, reach = (slice(None),) * axis, max((n - 1) * s + 1, 0)
        taps = [mask[*before, slice(i * d, i * d + reach, s)] for i in range(k)]
        mask = functools.reduce(operator.or_, taps)
    return mask


def _covered(mask: Any, kernel: tuple[int, ...], strides: Any, dilation: Any) -> Any:
    """At which places the kernel covers an element under the mask, of any channel."""
    out = tuple(map(places, mask.shape[1:-1], kernel, strides, dilation))
    return _under(np.any(mask, axis=-1, keepdims=True), kernel, out, strides, dilation)


def _covering(alive: Any, x: Any, kernel: tuple[int, ...], strides: Any, dilation: Any) -> Any:
    """Which elements are covered by the kernel at a place that is alive in any channel."""
    apart = _apart(np.any(alive, axis=-1, keepdims=True), x, kernel, strides, dilation)
    found = _under(apart, kernel, x.shape[1:-1], (1,) * len(kernel), dilation)
    return np.broadcast_to(found, x.shape)


def _channels(mask: Any, like: Any) -> Any:
    """The output channels, the last axis, in which anything is under the mask."""
    return np.broadcast_to(np.any(mask, axis=tuple(range(mask.ndim - 1))), np.shape(like))


# A place depends on what the kernel covers there, a channel of the result on the kernels of that channel.
_PLACES = Reach(
    lambda x, w, *, strides, dilation: (
        _covered(x, w.shape[:-2], strides, dilation) | np.any(w, axis=tuple(range(w.ndim - 1)))
    ),
    lambda alive, x, w, *, strides, dilation: (
        lambda: _covering(alive, x, np.shape(w)[:-2], strides, dilation), lambda: _channels(alive, w),
    ),
)  # fmt: skip
# And of its transpose: channels in, channels out.
_CHANNELS = Reach(
    lambda x, g, *, kernel, **_: np.broadcast_to(
        _channels(x, np.empty(x.shape[-1]))[:, None] | _channels(g, np.empty(g.shape[-1])),
        (*kernel, x.shape[-1], g.shape[-1]),
    ),
    lambda alive, x, g, **_: (_channels(np.any(alive, axis=-1), x), _channels(alive, g)),
)


correlate = Bilinear(
    _correlate,
    lambda g, x, w, *, strides, dilation: _to_images(g, x, w, strides, dilation),
    lambda g, x, w, *, strides, dilation: correlate_kernels(
        x, g, kernel=np.shape(raw(w))[:-2], strides=strides, dilation=dilation
    ),
    _PLACES,
    name="correlate",
    symbol="⋆",
)

correlate_kernels = Bilinear(
    _correlate_kernels,
    lambda h, x, g, *, kernel, strides, dilation: _to_images(g, x, h, strides, dilation),
    lambda h, x, g, *, kernel, strides, dilation: correlate(x, h, strides=strides, dilation=dilation),
    _CHANNELS,
    name="correlate_kernels",
    symbol="⋆ₖ",
)

# -------------------------------------------------------------------- one signal with another


def _everywhere(a: Any, b: Any, *, method: str) -> Any:
    sizes = [m + n - 1 for m, n in zip(a.shape, b.shape, strict=True)]
    return np.zeros(sizes, np.result_type(a, b))


def _convolve(a: Any, b: Any, *, method: str) -> Any:
    if a.ndim == 1 and method == "direct":
        return np.convolve(a, b)
    import scipy.signal

    return scipy.signal.convolve(a, b, method=method)


def _overlap(g: Any, other: Any, like: Any, method: str) -> Any:
    """The other signal turned about, where it lies wholly within the cotangent."""
    turned = getitem(other, (slice(None, None, -1),) * np.ndim(raw(other)))
    pairs = zip(np.shape(raw(other)), np.shape(raw(like)), strict=True)
    return getitem(convolve(g, turned, method=method), tuple(slice(k - 1, k - 1 + n) for k, n in pairs))


def _meeting(mask: Any, other: Any, method: str) -> Any:
    """Where an element under the mask meets one of the other; a transform spreads it everywhere."""
    if method == "fft":
        return np.broadcast_to(np.any(mask), _everywhere(mask, other, method=method).shape)
    return convolve(mask.astype(float), np.ones(np.shape(other)), method="direct") > 0


def _met(alive: Any, other: Any, like: Any, method: str) -> Any:
    if method == "fft":
        return np.broadcast_to(np.any(alive), np.shape(like))
    return _overlap(alive.astype(float), np.ones(np.shape(other)), like, "direct") > 0


_MEETING = Reach(
    lambda a, b, *, method: _meeting(a, b, method) | _meeting(b, a, method),
    lambda alive, a, b, *, method: (_met(alive, b, a, method), _met(alive, a, b, method)),
)


# y[k] = Σⱼ a[j] b[k - j], wherever the two touch, in as many axes as they have.
convolve = Bilinear(
    numeric(_convolve, trial=_everywhere),
    lambda g, a, b, *, method: _overlap(g, b, a, method),
    lambda g, a, b, *, method: _overlap(g, a, b, method),
    _MEETING,
    name="convolve",
    symbol="∗",
)
