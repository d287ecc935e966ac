"""Losses of predictions that are numbers: one number that says how far they are from what they should be.

Each takes the mean over all elements, so that the step size need not change with the batch size, unless
``reduction`` says otherwise.  Each insists on shapes that fit: NumPy would broadcast (B, 1) against (B,) to
(B, B), and the network would then learn the mean of the targets without any complaint.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.nn.arguments import as_operand
from chainrule.nn.loss_arguments import check_same, known, raw_array, reduced, sample
from chainrule.value import Value

__all__ = ["gaussian_nll", "huber", "mae", "mse"]

Array = Value | ArrayLike


def mse(prediction: Array, target: Array, *, reduction: str = "mean") -> Any:
    """Mean squared error: mean over all elements of (prediction - target)².

    Shapes: prediction and target have the same shape; the result is a scalar.

    Parameters
    ----------
    prediction, target : Value or array
    reduction : {"mean", "sum", "none"}
        Whether the mean of the terms is the loss, or their sum, or all terms are wanted.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, nn
    >>> prediction = Value(np.array([1.0, 2.0]))
    >>> loss = nn.mse(prediction, np.array([1.0, 4.0])); loss.item()
    2.0
    >>> loss.backward(); prediction.grad
    array([ 0., -2.])
    """
    y, t = as_operand(prediction), as_operand(target)
    check_same("mse", "prediction", y.shape, "target", t.shape)
    return reduced((y - t) ** 2, reduction, "mse")


def mae(prediction: Array, target: Array, *, reduction: str = "mean") -> Any:
    """Mean absolute error: mean over all elements of abs(prediction - target); at 0 the derivative is 0.

    Shapes, parameters and errors are those of `mse`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, nn
    >>> prediction = Value(np.array([1.0, 2.0]))
    >>> loss = nn.mae(prediction, np.array([1.0, 4.0])); loss.item()
    1.0
    >>> loss.backward(); prediction.grad
    array([ 0. , -0.5])
    """
    y, t = as_operand(prediction), as_operand(target)
    check_same("mae", "prediction", y.shape, "target", t.shape)
    return reduced(np.abs(y - t), reduction, "mae")


def huber(prediction: Array, target: Array, delta: float = 1.0, *, reduction: str = "mean") -> Any:
    """Half the squared error where it is small, linear where it is large: outliers pull with one force only.

    With r = abs(prediction - target) the terms are r²/2 where r ≤ δ, else δ(r - δ/2): smooth up to the first
    derivative, which is the difference cut off at ±δ.

    Shapes and other parameters are those of `mse`.

    Raises
    ------
    ValueError
        If the shapes differ or delta is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, nn
    >>> prediction = Value(np.array([0.5, 4.0]))
    >>> loss = nn.huber(prediction, np.zeros(2), reduction="sum"); loss.item()
    3.625
    >>> loss.backward(); prediction.grad
    array([0.5, 1. ])
    """
    if not delta > 0:
        raise ValueError(f"huber: delta is {delta}; expected a positive number")
    y, t = as_operand(prediction), as_operand(target)
    check_same("huber", "prediction", y.shape, "target", t.shape)
    size = np.abs(y - t)
    # the square of what is within δ, and δ times the rest
    near = np.minimum(size, delta)
    terms = near * (size - 0.5 * near)
    return reduced(terms, reduction, "huber")


def gaussian_nll(
    mean: Array,
    target: Array,
    log_std: Array | None = None,
    *,
    variance: Array | None = None,
    reduction: str = "mean",
) -> Any:
    """Negative log-likelihood of a normal distribution: mean over all elements of r²/2σ² + log σ√2π.

    r = target - mean, and σ is given as log σ or as σ².  With σ = 1 it is half the squared error plus the
    constant log √2π; with a learned σ it is smallest at σ² = mean of r².

    Shapes: mean and target have the same shape; σ that shape or one that broadcasts to it, such as () for
    one σ for all.  The result is a scalar.

    Behaviour at extremes: log σ may be any number (a network's output needs no further function) as long as
    r/σ, squared, fits a float; a variance must be positive.

    Parameters
    ----------
    mean, target : Value or array
    log_std, variance : Value or array
        One of them.
    reduction : {"mean", "sum", "none"}
        Whether the mean of the terms is the loss, or their sum, or all terms are wanted.

    Raises
    ------
    TypeError
        If neither log_std nor variance is given, or both.
    ValueError
        If the shapes do not fit or a variance is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, nn
    >>> mean, log_std = Value(np.array([0.0, 0.0])), Value(0.0)
    >>> loss = nn.gaussian_nll(mean, np.array([1.0, -1.0]), log_std)
    >>> loss.item()
    1.418939
    >>> loss.backward()
    >>> mean.grad, float(log_std.grad)     # σ² is the mean of r² already
    (array([-0.5,  0.5]), 0.0)
    """
    if (log_std is None) == (variance is None):
        raise TypeError(
            f"gaussian_nll: {'neither' if variance is None else 'both'} of log_std and variance given; "
            "expected exactly one: gaussian_nll(mean, target, log_std) or gaussian_nll(mean, target, "
            "variance=v)"
        )
    m, t = as_operand(mean), as_operand(target)
    check_same("gaussian_nll", "mean", m.shape, "target", t.shape)
    r = t - m
    if log_std is not None:
        s = _spread(log_std, m.dtype)
        _check_spread("log_std", np.shape(s), m.shape)
        # The squared ratio, not the ratio of squares: exp(-2 log σ) overflows at half the log σ.
        terms = 0.5 * (r * np.exp(-s)) ** 2 + s
    else:
        v = _spread(variance, m.dtype)
        _check_spread("variance", np.shape(v), m.shape)
        found = raw_array(v)
        if known(found) and not np.all(found > 0):
            raise ValueError(
                f"gaussian_nll: variance holds {sample(found[~(found > 0)])}; expected positive numbers; "
                "to learn a spread let the network give log_std"
            )
        terms = 0.5 * (r**2 / v + np.log(v))
    return reduced(terms + 0.5 * math.log(2.0 * math.pi), reduction, "gaussian_nll")


def _spread(x: Any, dtype: Any) -> Any:
    """As `as_operand`, but a Python number has no dtype of its own, so that float32 stays what it is."""
    return dtype.type(x) if isinstance(x, int | float) else as_operand(x)


def _check_spread(name: str, shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    try:
        fits = np.broadcast_shapes(shape, target) == target
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"gaussian_nll: {name} is {shape}, mean is {target}; expected a shape that broadcasts to it"
        )
