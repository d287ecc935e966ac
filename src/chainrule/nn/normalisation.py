"""Normalisation: signals of mean 0 and variance 1, over a batch, a layer or groups of channels."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from chainrule.nn.arguments import as_operand, at_least, channels, floating, last, size_of, times
from chainrule.nn.convolution import channels_first, channels_last
from chainrule.nn.messages import replaying
from chainrule.nn.module import Module
from chainrule.rules.reduction import standardise
from chainrule.value import Value, current

__all__ = ["BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm", "RMSNorm"]


class _Affine(Module):
    """What all have: a gain and a shift for each feature."""

    weight: Any
    bias: Any

    def _make(self, shape: tuple[int, ...], affine: bool, bias: bool, dtype: DTypeLike) -> None:
        dtype = floating(dtype, type(self).__name__)
        self.weight = Value(np.ones(shape, dtype)) if affine else None
        self.bias = Value(np.zeros(shape, dtype)) if affine and bias else None

    def _affine(self, y: Any) -> Any:
        y = y if self.weight is None else y * self.weight
        return y if self.bias is None else y + self.bias

    def _repr(self, what: str) -> str:
        n = size_of(self.weight, self.bias)
        dtype = f", {self.weight.dtype}" if n else ""
        return f"{type(self).__name__}({what}, {n:,} parameters{dtype})"


class _BatchNorm(_Affine):
    buffers: ClassVar[tuple[str, ...]] = ("running_mean", "running_var")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.num_features = at_least(1, num_features, type(self).__name__, "num_features")
        if isinstance(momentum, bool) or not isinstance(momentum, int | float | np.number):
            raise TypeError(
                f"{type(self).__name__}: momentum is {momentum!r}; expected a number, a batch's share in the "
                "running statistics; there is no mean over all batches here, a small number comes near it"
            )
        self.eps, self.momentum = eps, momentum
        self._make((num_features,), affine, True, dtype)
        self.running_mean = Value(np.zeros(num_features, dtype))
        self.running_var = Value(np.ones(num_features, dtype))

    def _normalise(self, x: Any) -> Any:
        """X is (..., C): every axis but the last is the batch."""
        if not self.training:
            mean, var = current(self.running_mean), current(self.running_var)
            gain = 1.0 / np.sqrt(var + self.eps)
            return self._affine((x - mean) * gain)
        axes = tuple(range(x.ndim - 1))
        count = math.prod(x.shape[:-1])
        if count < 2:
            raise ValueError(
                f"{type(self).__name__}: {count} value per channel in training; expected at least 2: one has "
                "no variance; for a single sample call eval() first"
            )
        if not replaying(self):
            plain = current(x)
            mean = np.mean(plain, axis=axes, keepdims=True)
            c = plain - mean
            self._update(self.running_mean, mean)
            self._update(self.running_var, np.mean(c * c, axis=axes, keepdims=True) * (count / (count - 1)))
        return self._affine(standardise(x, axis=axes, eps=self.eps, centre=True))

    def _update(self, running: Value, new: Any) -> None:
        moved = self.momentum * new.reshape(self.num_features)
        running.data = (1.0 - self.momentum) * current(running) + moved

    def __repr__(self) -> str:
        return self._repr(f"{self.num_features}")


class BatchNorm1d(_BatchNorm):
    """`BatchNorm2d` of rows (N, C) or sequences (N, C, L)."""

    def forward(self, x: Any) -> Any:
        """Normalise each channel."""
        x = as_operand(x)
        if x.ndim not in (2, 3) or x.shape[1] != self.num_features:
            raise ValueError(
                f"BatchNorm1d: expected (N, {self.num_features}) or (N, {self.num_features}, L), "
                f"got {x.shape}"
            )
        return self._normalise(x) if x.ndim == 2 else channels_first(self._normalise(channels_last(x)))


class BatchNorm2d(_BatchNorm):
    """Each channel with mean 0 and variance 1 over the batch: y = (x - μ) / √(σ² + ε) · w + b.

    In training μ and σ² are those of the batch, and the running statistics move towards them:
    r ← (1 - momentum) r + momentum · new, with the variance that divides by n - 1.  After training they
    are the running statistics.  In a compiled step these are state, as parameters are.

    Shapes: x and y are (N, num_features, H, W).

    Parameters
    ----------
    num_features : int
        C, the number of channels.
    eps : float
        ε.
    momentum : float
        The share of the new in the running statistics.
    affine : bool
        Whether there are w and b.
    dtype : dtype
        Of parameters and statistics.

    Attributes
    ----------
    weight, bias : Value or None
        w and b, (C,).
    running_mean, running_var : Value
        (C,); kept with the parameters, but not trained.

    Raises
    ------
    ValueError
        When called, if x has other axes or channels; in training, if a channel has fewer than 2 values.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> norm = nn.BatchNorm2d(3)
    >>> y = norm(np.random.default_rng(0).normal(5.0, 2.0, (4, 3, 8, 8)))
    >>> bool(abs(y.data.mean()) < 1e-12), round(float(norm.running_mean.data[0]), 2)
    (True, 0.5)
    """

    def forward(self, x: Any) -> Any:
        """Normalise each channel."""
        x = channels(x, self.num_features, "HW", "BatchNorm2d")
        return channels_first(self._normalise(channels_last(x)))


class LayerNorm(_Affine):
    """Each sample with mean 0 and variance 1 over its last axes: y = (x - μ) / √(σ² + ε) · w + b.

    Shapes: x and y are ``(..., *normalized_shape)``.

    Parameters
    ----------
    normalized_shape : int or tuple of int
    eps : float
        ε.
    elementwise_affine, bias : bool
        Whether there are w and b; whether there is a b.
    dtype : dtype
        Of the parameters.

    Raises
    ------
    ValueError
        When called, if x's last axes are others.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.LayerNorm(2)(np.array([[1.0, 3.0], [-7.0, 5.0]])).data.round(4)
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.normalized_shape = _shape(normalized_shape, "LayerNorm")
        self.eps = eps
        self._make(self.normalized_shape, elementwise_affine, bias, dtype)

    def forward(self, x: Any) -> Any:
        """Normalise each sample."""
        x = last(x, self.normalized_shape, "LayerNorm")
        axes = tuple(range(x.ndim - len(self.normalized_shape), x.ndim))
        return self._affine(standardise(x, axis=axes, eps=self.eps, centre=True))

    def __repr__(self) -> str:
        return self._repr(times(self.normalized_shape))


class RMSNorm(_Affine):
    """Each sample with mean square 1 over its last axes: y = x / √(mean x² + ε) · w.

    Shapes: x and y are ``(..., *normalized_shape)``.

    Parameters
    ----------
    normalized_shape : int or tuple of int
    eps : float, optional
        ε; by default the precision of x's dtype.
    elementwise_affine : bool
        Whether there is a w.
    dtype : dtype
        Of w.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.RMSNorm(2)(np.array([1.0, 7.0])).data
    array([0.2, 1.4])
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.normalized_shape = _shape(normalized_shape, "RMSNorm")
        self.eps = eps
        self._make(self.normalized_shape, elementwise_affine, False, dtype)

    def forward(self, x: Any) -> Any:
        """Normalise each sample."""
        x = last(x, self.normalized_shape, "RMSNorm")
        axes = tuple(range(x.ndim - len(self.normalized_shape), x.ndim))
        eps = float(np.finfo(x.dtype).eps) if self.eps is None else self.eps
        return self._affine(standardise(x, axis=axes, eps=eps, centre=False))

    def __repr__(self) -> str:
        return self._repr(times(self.normalized_shape))


class GroupNorm(_Affine):
    """Each group of channels of each image with mean 0 and variance 1: y = (x - μ) / √(σ² + ε) · w + b.

    Shapes: x and y are (N, num_channels, ...); w and b have one number for each channel.

    Parameters
    ----------
    num_groups, num_channels : int
        One group is a norm over the whole image, as many as channels one over each channel.
    eps : float
        ε.
    affine : bool
        Whether there are w and b.
    dtype : dtype
        Of the parameters.

    Raises
    ------
    ValueError
        If the channels are no multiple of the groups; when called, if x has other channels.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.GroupNorm(2, 4)(np.ones((5, 4, 8, 8))).shape
    (5, 4, 8, 8)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.num_groups = at_least(1, num_groups, "GroupNorm", "num_groups")
        self.num_channels = at_least(1, num_channels, "GroupNorm", "num_channels")
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_channels is {num_channels}; expected a multiple of num_groups, {num_groups}"
            )
        self.eps = eps
        self._make((num_channels,), affine, True, dtype)

    def forward(self, x: Any) -> Any:
        """Normalise each group of each image."""
        x = as_operand(x)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm: expected (N, {self.num_channels}, ...), got {x.shape}")
        x = channels_last(x)
        g = self.num_groups
        grouped = x.reshape((x.shape[0], math.prod(x.shape[1:-1]), g, self.num_channels // g))
        y = standardise(grouped, axis=(1, 3), eps=self.eps, centre=True)
        return channels_first(self._affine(y.reshape(x.shape)))

    def __repr__(self) -> str:
        return self._repr(f"{self.num_channels} in {self.num_groups}")


def _shape(shape: Any, owner: str) -> tuple[int, ...]:
    sizes = shape if isinstance(shape, tuple | list) else (shape,)
    if not sizes:
        raise ValueError(f"{owner}: normalized_shape is empty; expected at least one axis")
    return tuple(at_least(1, n, owner, "normalized_shape") for n in sizes)
