"""Convolutions, one- and two-dimensional, and transposed ones; images are (N, C, H, W), as PyTorch has them.

Inside, channels are last: a layer turns the images about, correlates, and turns the result back.  Where two
layers follow each other, the compiler finds that what the one turns back the other turns about.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from chainrule.nn.arguments import at_least, channels, floating, per_axis, size_of, times
from chainrule.nn.initialisers import Initialiser, he_normal
from chainrule.nn.module import Module
from chainrule.rules.convolution import correlate, places
from chainrule.rules.shape import scatter
from chainrule.value import Value

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "channels_first", "channels_last"]


def channels_last(x: Any) -> Any:
    """(N, C, *S) as (N, *S, C)."""
    return np.transpose(x, (0, *range(2, x.ndim), 1))


def channels_first(x: Any) -> Any:
    """(N, *S, C) as (N, C, *S)."""
    return np.transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


class _Convolution(Module):
    """What all have: sizes, weights and their checks."""

    axes: ClassVar[str] = ""
    weight: Any
    bias: Any

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...],
        padding: int | tuple[int, ...] | str,
        dilation: int | tuple[int, ...],
        groups: int,
        bias: bool,
        rng: np.random.Generator | int | None,
        dtype: DTypeLike,
        initialiser: Initialiser,
        transposed: bool,
    ) -> None:
        name, n = type(self).__name__, len(self.axes)
        self.in_channels = at_least(1, in_channels, name, "in_channels")
        self.out_channels = at_least(1, out_channels, name, "out_channels")
        self.groups = at_least(1, groups, name, "groups")
        for what, count in (("in_channels", in_channels), ("out_channels", out_channels)):
            if count % groups:
                raise ValueError(f"{name}: {what} is {count}; expected a multiple of groups, {groups}")
        self.kernel_size = per_axis(n, kernel_size, name, "kernel_size")
        self.stride = per_axis(n, stride, name, "stride")
        self.dilation = per_axis(n, dilation, name, "dilation")
        self.padding: Any = "same" if padding == "same" else self._padding(padding, name)
        dtype = floating(dtype, name)
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        shape = (first, second // groups, *self.kernel_size)
        # a matrix (values that go into a sum, channels out), or its transpose
        taps = in_channels // groups * math.prod(self.kernel_size)
        w = initialiser(np.random.default_rng(rng), taps, out_channels, dtype)
        if transposed:  # (I/g·K, O) holds I/g, K, g, O/g
            w = w.reshape(in_channels // groups, *self.kernel_size, groups, out_channels // groups)
            w = np.moveaxis(np.moveaxis(w, -2, 0), -1, 2).reshape(shape)
        else:
            w = w.T.reshape(shape)
        self.weight = Value(np.ascontiguousarray(w))
        self.bias = Value(np.zeros(out_channels, dtype)) if bias else None

    def _padding(self, padding: Any, name: str) -> tuple[int, ...]:
        if isinstance(padding, str):
            raise ValueError(
                f"{name}: padding is {padding!r}; expected 'same', an integer or one for each axis"
            )
        return per_axis(len(self.axes), padding, name, "padding", 0)

    def __repr__(self) -> str:
        told = [f"{self.in_channels} -> {self.out_channels}", f"kernel {times(self.kernel_size)}"]
        told += [f"stride {times(self.stride)}"] * (set(self.stride) != {1})
        told += [f"padding {times(self.padding)}"] * (set(self.padding) != {0})
        told += [f"dilation {times(self.dilation)}"] * (set(self.dilation) != {1})
        told += [f"groups {self.groups}"] * (self.groups > 1) + ["no bias"] * (self.bias is None)
        told += [f"{size_of(self.weight, self.bias):,} parameters", str(self.weight.dtype)]
        return f"{type(self).__name__}({', '.join(told)})"


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
        initialiser: Initialiser = he_normal,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, rng, dtype,
            initialiser, False,
        )  # fmt: skip
        if padding == "same" and set(self.stride) != {1}:
            raise ValueError(
                f"{type(self).__name__}: padding is 'same' and stride is {self.stride}; expected a stride of "
                "1, or the padding in numbers"
            )

    def forward(self, x: Any) -> Any:
        """Correlate x with the kernels, and add the bias."""
        name = type(self).__name__
        x = channels(x, self.in_channels, self.axes, name)
        reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size)]
        width = [(p, p) for p in self.padding]
        if self.padding == "same":
            width = [(r // 2, r - r // 2) for r in reach]
        size = [n + a + b for n, (a, b) in zip(x.shape[2:], width)]
        if any(r >= n for r, n in zip(reach, size)):
            covered = tuple(r + 1 for r in reach)
            raise ValueError(
                f"{name}: the kernel covers {covered}, the padded image is {tuple(size)}; expected an image "
                "at least as large, or more padding"
            )
        x = channels_last(x)
        if any(map(any, width)):
            x = np.pad(x, ((0, 0), *width, (0, 0)))
        w = np.transpose(self.weight, (*range(2, len(width) + 2), 1, 0))  # (*K, I/g, O)
        y = self._correlate(x, w)
        return channels_first(y if self.bias is None else y + self.bias)

    def _correlate(self, x: Any, w: Any) -> Any:
        steps = {"strides": self.stride, "dilation": self.dilation}
        if self.groups == 1:
            return correlate(x, w, **steps)
        i, o = self.in_channels // self.groups, self.out_channels // self.groups
        if is_depthwise(self):
            return self._depthwise(x, w)
        parts = [
            correlate(x[..., g * i : (g + 1) * i], w[..., g * o : (g + 1) * o], **steps)
            for g in range(self.groups)
        ]
        return np.concatenate(parts, axis=-1)

    def _depthwise(self, x: Any, w: Any) -> Any:
        """Σₖ x[n, t·s + k·d, c] w[k, c]."""
        out = list(map(places, x.shape[1:-1], self.kernel_size, self.stride, self.dilation))
        total: Any = None
        for tap in np.ndindex(*self.kernel_size):
            starts = [k * d for k, d in zip(tap, self.dilation)]
            spatial = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, out, self.stride)]
            term = x[(slice(None), *spatial)] * w[(*tap, 0)]
            total = term if total is None else total + term
        return total


def is_depthwise(module: Module) -> bool:
    """Whether it convolves each channel by itself: there is no sum over channels, only one over taps."""
    return isinstance(module, _Conv) and module.groups == module.in_channels == module.out_channels > 1


class Conv1d(_Conv):
    """One-dimensional convolution: `Conv2d` with one spatial axis; x is (N, C, L).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.Conv1d(2, 4, 3, padding="same", rng=0)(np.ones((1, 2, 10))).shape
    (1, 4, 10)
    """

    axes = "L"


class Conv2d(_Conv):
    """Convolution, as networks have it: y[n, o, t] = b[o] + Σ_c Σₖ x[n, c, t·s + k·d - p] w[o, c, k].

    Outside of the image x is 0.

    Shapes: x is (N, in_channels, H, W), y is (N, out_channels, H', W') with
    H' = ⌊(H + 2p - d(K - 1) - 1) / s⌋ + 1 and W' likewise.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int)
        K, its height and width.
    stride : int or (int, int)
        s, the step from one place of the kernel to the next.
    padding : int, (int, int) or "same"
        p, zeros around the image; with "same", of stride 1, the result has the image's size.
    dilation : int or (int, int)
        d, the step from one tap of the kernel to the next.
    groups : int
        Into how many parts both channels are divided; each part sees its own part only.
    bias : bool
    rng : numpy.random.Generator or int, optional
        Where the initial weights come from.
    dtype : dtype
        Of the parameters; see `Linear` for what it means for the computation.
    initialiser : callable
        ``initialiser(rng, n_in, n_out, dtype)`` gives a matrix, whose n_in are the taps of all channels that
        go into one number; by default He's, for a relu behind.

    Attributes
    ----------
    weight : Value
        w, ``(out_channels, in_channels / groups, *K)``, as in PyTorch.
    bias : Value or None
        (out_channels,); it starts at zero.

    Raises
    ------
    ValueError
        If channels are no multiples of groups; when called, if x has other axes or channels, or the kernel
        does not fit into the padded image.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.Conv2d(3, 16, 3, padding=1, rng=0)
    >>> layer
    Conv2d(3 -> 16, kernel 3×3, padding 1×1, 448 parameters, float64)
    >>> layer(np.ones((5, 3, 8, 8))).shape
    (5, 16, 8, 8)
    """

    axes = "HW"


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        *,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
        initialiser: Initialiser = he_normal,
    ) -> None:
        name = type(self).__name__
        if isinstance(padding, str):
            raise ValueError(f"{name}: padding is {padding!r}; expected an integer or one for each axis")
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, rng, dtype,
            initialiser, True,
        )  # fmt: skip
        self.output_padding = per_axis(len(self.axes), output_padding, name, "output_padding", 0)
        for extra, s, d in zip(self.output_padding, self.stride, self.dilation):
            if extra >= max(s, d):
                raise ValueError(
                    f"{name}: output_padding is {self.output_padding}; expected less than the stride "
                    f"{self.stride} or the dilation {self.dilation}"
                )

    def forward(self, x: Any) -> Any:
        """Spread x over the kernels' reach, and add the bias."""
        name = type(self).__name__
        x = channels(x, self.in_channels, self.axes, name)
        n = len(self.axes)
        reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size)]
        settings = list(zip(x.shape[2:], self.stride, self.padding, reach, self.output_padding))
        out = [(m - 1) * s - 2 * p + r + extra + 1 for m, s, p, r, extra in settings]
        if any(m < 1 for m in out) or 0 in x.shape[2:]:
            raise ValueError(
                f"{name}: an image {x.shape[2:]} with padding {self.padding} would give {tuple(out)}; "
                "expected a larger image or less padding"
            )
        x = channels_last(x)
        # The pixels stand a stride apart in zeros, so wide that the turned kernel has a place per output.
        taken, put = [], []
        for (m, s, p, r, _), size in zip(settings, out):
            first = max(-((r - p) // s), 0)
            last = min((size - 1 + p) // s, m - 1)
            taken.append(slice(first, last + 1))
            put.append(slice(first * s + r - p, last * s + r - p + 1, s))
        if any(t != slice(0, m) for t, m in zip(taken, x.shape[1:-1])):
            x = x[(slice(None), *taken)]
        wide = (x.shape[0], *[size + r for size, r in zip(out, reach)], x.shape[-1])
        x = scatter(x, index=(slice(None), *put), shape=wide)
        w = self.weight[(slice(None), slice(None), *(slice(None, None, -1),) * n)]
        w = np.transpose(w, (*range(2, n + 2), 0, 1))  # (*K, I, O/g)
        i = self.in_channels // self.groups
        steps: Any = {"strides": (1,) * n, "dilation": self.dilation}
        parts = [
            correlate(x[..., g * i : (g + 1) * i], w[..., g * i : (g + 1) * i, :], **steps)
            for g in range(self.groups)
        ] if self.groups > 1 else [correlate(x, w, **steps)]  # fmt: skip
        y = np.concatenate(parts, axis=-1) if self.groups > 1 else parts[0]
        return channels_first(y if self.bias is None else y + self.bias)


class ConvTranspose1d(_ConvTranspose):
    """Transposed one-dimensional convolution: `ConvTranspose2d` with one spatial axis; x is (N, C, L)."""

    axes = "L"


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d` in its images: y[n, o, t·s + k·d - p] += x[n, c, t] w[c, o, k], plus b[o].

    Shapes: x is (N, in_channels, H, W), y is (N, out_channels, H', W') with
    H' = (H - 1)s - 2p + d(K - 1) + 1 + output_padding.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, groups, bias, dilation
        As for `Conv2d`; the order is PyTorch's.
    output_padding : int or (int, int)
        So many more rows and columns at the end: of the images that a `Conv2d` of stride s makes one size of,
        it says which.
    rng, dtype, initialiser
        As for `Conv2d`.

    Attributes
    ----------
    weight : Value
        w, ``(in_channels, out_channels / groups, *K)``, as in PyTorch.
    bias : Value or None
        (out_channels,).

    Raises
    ------
    ValueError
        As for `Conv2d`; if output_padding is not less than stride or dilation.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, rng=0)
    >>> up(np.ones((1, 8, 7, 7))).shape
    (1, 4, 14, 14)
    """

    axes = "HW"
