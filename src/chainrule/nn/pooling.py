"""Pooling: the largest or the mean of the values in windows; images are (N, C, H, W)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from chainrule.nn.arguments import as_operand, per_axis, times
from chainrule.nn.convolution import channels_first, channels_last
from chainrule.nn.module import Module
from chainrule.rules.convolution import places
from chainrule.rules.reduction import first_max

__all__ = ["AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "GlobalAvgPool", "MaxPool1d", "MaxPool2d"]


class _Pooling(Module):
    axes: ClassVar[str] = ""

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
        ceil_mode: bool = False,
    ) -> None:
        name, n = type(self).__name__, len(self.axes)
        self.ceil_mode = ceil_mode
        self.kernel_size = per_axis(n, kernel_size, name, "kernel_size")
        self.stride = self.kernel_size if stride is None else per_axis(n, stride, name, "stride")
        self.padding = per_axis(n, padding, name, "padding", 0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size)):
            raise ValueError(
                f"{name}: padding is {self.padding}, kernel_size is {self.kernel_size}; expected at most "
                "half of it: a window must hold something of the image"
            )

    def _windows(self, x: Any, outside: float) -> tuple[Any, tuple[int, ...]]:
        """The windows, channels last, and which axes are those within a window."""
        name = type(self).__name__
        x = as_operand(x)
        if x.ndim != len(self.axes) + 2:
            raise ValueError(f"{name}: expected (N, C, {', '.join(self.axes)}), got {x.shape}")
        size = [n + 2 * p for n, p in zip(x.shape[2:], self.padding)]
        if any(k > n for k, n in zip(self.kernel_size, size)):
            raise ValueError(
                f"{name}: a window is {self.kernel_size}, the padded image is {tuple(size)}; expected an "
                "image at least as large"
            )
        beyond = self._beyond(size)
        x = channels_last(x)
        if any(self.padding) or any(beyond):
            width = ((0, 0), *[(p, p + more) for p, more in zip(self.padding, beyond)], (0, 0))
            inside = np.pad(np.ones((1, *x.shape[1:-1], 1), bool), width)
            x = np.pad(x, width)
            x = np.where(inside, x, outside) if outside else x
        size = [n + more for n, more in zip(size, beyond)]
        out = [places(n, k, s, 1) for n, k, s in zip(size, self.kernel_size, self.stride)]
        if self.stride == self.kernel_size:  # side by side: a shape of its own for each axis
            whole = [n * k for n, k in zip(out, self.kernel_size)]
            if whole != size:
                x = x[(slice(None), *map(slice, whole))]
            sizes = [m for pair in zip(out, self.kernel_size) for m in pair]
            x = x.reshape((x.shape[0], *sizes, x.shape[-1]))
            return x, tuple(range(2, 2 + 2 * len(out), 2))
        taps = [
            x[(slice(None), *[slice(k, k + (n - 1) * s + 1, s) for k, n, s in zip(tap, out, self.stride)])]
            for tap in np.ndindex(*self.kernel_size)
        ]
        return np.stack(taps), (0,)

    def _beyond(self, size: list[int]) -> list[int]:
        """How far over the end the last window reaches, with ceil_mode; it must not begin there."""
        found = [0] * len(size)
        if self.ceil_mode:
            for i, (n, k, s, p) in enumerate(zip(size, self.kernel_size, self.stride, self.padding)):
                last = -(-(n - k) // s) * s  # where it begins
                found[i] = last + k - n if last < n - p else 0
        return found

    def __repr__(self) -> str:
        text = times(self.kernel_size)
        text += f", stride {times(self.stride)}" if self.stride != self.kernel_size else ""
        text += f", padding {times(self.padding)}" if any(self.padding) else ""
        text += ", ceil_mode" * self.ceil_mode
        return f"{type(self).__name__}({text})"


class _MaxPool(_Pooling):
    def forward(self, x: Any) -> Any:
        """The largest value in each window."""
        windows, axes = self._windows(x, -np.inf)
        return channels_first(first_max(windows, axis=axes))


class MaxPool1d(_MaxPool):
    """The largest of each window: `MaxPool2d` with one spatial axis; x is (N, C, L)."""

    axes = "L"


class MaxPool2d(_MaxPool):
    """The largest of each window.

    Where several are largest the first one has all of the gradient, as in PyTorch.

    Shapes: x is (N, C, H, W), the result (N, C, H', W') with H' = ⌊(H + 2·padding - kernel) / stride⌋ + 1: a
    window that would reach over the end is left out.  With ceil_mode there is one more, ⌈…⌉ + 1, if it begins
    within the image.

    Parameters
    ----------
    kernel_size : int or (int, int)
        The window.
    stride : int or (int, int), optional
        From one window to the next; by default side by side.
    padding : int or (int, int)
        Around the image, of -inf; at most half a window.
    ceil_mode : bool
        Whether the last window may reach over the end.

    Raises
    ------
    ValueError
        When called, if x has other axes, or is smaller than a window.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    axes = "HW"


class _AvgPool(_Pooling):
    def forward(self, x: Any) -> Any:
        """The mean of each window."""
        windows, axes = self._windows(x, 0.0)
        y = channels_first(np.mean(windows, axis=axes))
        return y / self._shares(x, y) if self.ceil_mode else y

    def _shares(self, x: Any, y: Any) -> Any:
        """How much of each window does not lie beyond the end, (*H', W')."""
        found: Any = np.ones((), y.dtype)
        for n, out, k, s, p in zip(np.shape(x)[2:], y.shape[2:], self.kernel_size, self.stride, self.padding):
            found = found[..., None] * (np.minimum(n + 2 * p - s * np.arange(out), k) / k).astype(y.dtype)
        return found


class AvgPool1d(_AvgPool):
    """The mean of each window: `AvgPool2d` with one spatial axis; x is (N, C, L)."""

    axes = "L"


class AvgPool2d(_AvgPool):
    """The mean of each window; zeros of the padding count, what lies beyond the end with ceil_mode does not.

    Shapes and parameters are those of `MaxPool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """

    axes = "HW"


class GlobalAvgPool(Module):
    """The mean over all spatial axes: (N, C, …) becomes (N, C)."""

    def forward(self, x: Any) -> Any:
        """The mean of each channel."""
        x = as_operand(x)
        if x.ndim < 3:
            raise ValueError(f"GlobalAvgPool: expected (N, C, ...), got {x.shape}")
        return np.mean(x, axis=tuple(range(2, x.ndim)))

    def __repr__(self) -> str:
        return "GlobalAvgPool()"


class AdaptiveAvgPool2d(Module):
    """The means over so many windows that the result has a given size.

    Window t of n over H rows reaches from ⌊tH/n⌋ to ⌈(t + 1)H/n⌉; they overlap where n does not divide H.

    Shapes: x is (N, C, H, W), the result ``(N, C, *output_size)``.

    Parameters
    ----------
    output_size : int or (int, int)

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.AdaptiveAvgPool2d(1)(np.ones((2, 3, 5, 7))).shape
    (2, 3, 1, 1)
    """

    def __init__(self, output_size: int | tuple[int, ...]) -> None:
        self.output_size = per_axis(2, output_size, "AdaptiveAvgPool2d", "output_size")

    def forward(self, x: Any) -> Any:
        """Multiply from both sides with the matrices of means."""
        x = as_operand(x)
        if x.ndim != 4 or 0 in x.shape[2:]:
            raise ValueError(f"AdaptiveAvgPool2d: expected (N, C, H, W), got {x.shape}")
        if self.output_size == (1, 1):
            return np.mean(x, axis=(2, 3), keepdims=True)
        a, b = (_means(n, size, x.dtype) for n, size in zip(self.output_size, x.shape[2:]))
        return a @ x @ b.T

    def __repr__(self) -> str:
        return f"AdaptiveAvgPool2d({self.output_size[0]}×{self.output_size[1]})"


def _means(n: int, size: int, dtype: Any) -> Any:
    """The matrix (n, size) whose rows take the means of windows."""
    at, t = np.arange(size), np.arange(n)[:, None]
    inside = (at >= t * size // n) & (at < -(-(t + 1) * size // n))
    return (inside / inside.sum(axis=1, keepdims=True)).astype(dtype)
