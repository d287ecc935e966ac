"""Losses: one number that says how far the outputs are from what they should be.

Each takes the mean over the batch, so that the step size need not change with the batch size.  Each insists
on shapes that fit: NumPy would broadcast (B, 1) against (B,) to (B, B), and the network would then learn the
mean of the targets without any complaint.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule import log_softmax, relu
from chainrule.primitive import as_array
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["cross_entropy", "gaussian_nll", "hinge", "mse"]

Array = Value | ArrayLike


def cross_entropy(logits: Array, labels: Array) -> Any:
    """Cross-entropy of a softmax classifier: mean over the batch of -Σₖ pₖ log softmax(z)ₖ.

    With integer labels p is 1 at the label, so the term is -log softmax(z)[label].

    Shapes: logits z (..., C); labels either integers (...) in 0 … C-1, or rows of probabilities (..., C).
    The result is a scalar.

    Behaviour at extremes: logits of any finite size give a finite loss and gradient.  A logit of -inf is a
    class ruled out: it adds nothing where its p is 0 and makes the loss inf where its p is not; the gradient
    stays finite.  A row of nothing but -inf, or with +inf or nan, gives nan.

    Parameters
    ----------
    logits : Value or array
        Unnormalised log-probabilities: a network's output without a softmax.
    labels : array or Value
        Classes, or probabilities whose rows sum to 1.

    Raises
    ------
    TypeError
        If the labels are neither integers of shape (...) nor floats of shape (..., C).
    ValueError
        If the shapes do not fit, a label is outside 0 … C-1, or a row is not a distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, nn
    >>> logits = Value(np.array([[1e4, -1e4], [0.0, 0.0]]))
    >>> loss = nn.cross_entropy(logits, np.array([0, 1]))
    >>> loss.item()                        # half of log 2
    0.34657
    >>> loss.backward()
    >>> logits.grad
    array([[ 0.  ,  0.  ],
           [ 0.25, -0.25]])
    """
    z, p = _array(logits), _array(labels)
    if not z.ndim:
        raise ValueError("cross_entropy: logits is a single number; expected (..., classes)")
    log_q = log_softmax(z, axis=-1)
    if p.dtype.kind in "iu":
        _check_classes(p, z.shape)
        rows = log_q.reshape(-1, z.shape[-1])
        return -np.mean(rows[np.arange(rows.shape[0]), p.reshape(-1)])
    _check_distributions(p, z.shape)
    # log q is -inf for a class ruled out; where its share is 0 that must be 0, not 0 * -inf.
    return -np.mean(np.sum(p * np.where(p > 0, log_q, 0.0), axis=-1))


def mse(prediction: Array, target: Array) -> Any:
    """Mean squared error: mean over all elements of (prediction - target)².

    Shapes: prediction and target have the same shape; the result is a scalar.

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
    y, t = _array(prediction), _array(target)
    _check_same("mse", "prediction", y.shape, "target", t.shape)
    return np.mean((y - t) ** 2)


def hinge(scores: Array, labels: ArrayLike) -> Any:
    """Max-margin loss: mean over all elements of max(0, 1 - y s).

    Shapes: scores s and labels y have the same shape, y is -1 or 1; the result is a scalar.

    A sample on the right side of the boundary by a margin of 1 or more costs nothing and sends no gradient;
    at a margin of exactly 1 (the kink) the gradient is 0.

    Raises
    ------
    ValueError
        If the shapes differ or a label is not -1 or 1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, nn
    >>> scores = Value(np.array([2.0, 0.5, 0.5]))
    >>> loss = nn.hinge(scores, np.array([1, 1, -1])); loss.item()
    0.66667
    >>> loss.backward(); scores.grad * 3
    array([ 0., -1.,  1.])
    """
    s, y = _array(scores), _array(labels)
    _check_same("hinge", "scores", s.shape, "labels", y.shape)
    found = _raw(y)
    if _known(found) and not np.all(np.abs(found) == 1):
        raise ValueError(
            f"hinge: labels hold {_sample(found[np.abs(found) != 1])}; expected -1 and 1 only; "
            "labels of 0 and 1 become these by 2 * labels - 1"
        )
    # A label array of unsigned integers could not be negated, and integers would make float32 scores float64.
    return np.mean(relu(1.0 - y.astype(s.dtype) * s))


def gaussian_nll(
    mean: Array, target: Array, log_std: Array | None = None, *, variance: Array | None = None
) -> Any:
    """Negative log-likelihood of a normal distribution: mean over all elements of r²/2σ² + log σ√2π.

    r = target - mean, and σ is given as log σ or as σ².  With σ = 1 it is half the squared error plus the
    constant log √2π; with a learned σ it is smallest at σ² = mean of r².

    Shapes: mean and target have the same shape; σ that shape or one that broadcasts to it, such as () for
    one σ for all.  The result is a scalar.

    Behaviour at extremes: log σ may be any number (a network's output needs no further function) as long as
    r/σ, squared, fits a float; a variance must be positive.

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
    m, t = _array(mean), _array(target)
    _check_same("gaussian_nll", "mean", m.shape, "target", t.shape)
    r = t - m
    if log_std is not None:
        s = _number_or_array(log_std)
        _check_spread("log_std", np.shape(s), m.shape)
        # The squared ratio, not the ratio of squares: exp(-2 log σ) overflows at half the log σ.
        terms = 0.5 * (r * np.exp(-s)) ** 2 + s
    else:
        v = _number_or_array(variance)
        _check_spread("variance", np.shape(v), m.shape)
        found = _raw(v)
        if _known(found) and not np.all(found > 0):
            raise ValueError(
                f"gaussian_nll: variance holds {_sample(found[~(found > 0)])}; expected positive numbers; "
                "to learn a spread let the network give log_std"
            )
        terms = 0.5 * (r**2 / v + np.log(v))
    return np.mean(terms) + 0.5 * math.log(2.0 * math.pi)


def _array(x: Any) -> Any:
    """Return a Value as it is and anything else as an array: both have shape, dtype and ndim."""
    return x if isinstance(x, Value) else as_array(x)


def _number_or_array(x: Any) -> Any:
    """As `_array`, but a Python number stays one: as an array it would turn float32 into float64."""
    return x if isinstance(x, int | float) else _array(x)


def _raw(x: Any) -> NDArray[Any]:
    return as_array(x.data if isinstance(x, Value) else x)  # type: ignore[no-any-return]


def _known(found: Any) -> bool:
    """Whether there are numbers to check: not while a function is compiled."""
    return type(found) is not Traced


def _sample(found: NDArray[Any]) -> str:
    """Show the first of the offending numbers, and how many more there are."""
    return f"{found.flat[0]}" + (f" and {found.size - 1} more such" if found.size > 1 else "")


def _check_same(name: str, a: str, a_shape: tuple[int, ...], b: str, b_shape: tuple[int, ...]) -> None:
    if a_shape == b_shape:
        return
    hint = ""
    if a_shape == (*b_shape, 1):
        hint = f"; drop the last axis: {a}[..., 0]"
    elif b_shape == (*a_shape, 1):
        hint = f"; drop the last axis: {b}[..., 0]"
    raise ValueError(f"{name}: {a} is {a_shape}, {b} is {b_shape}; expected the same shape{hint}")


def _check_spread(name: str, shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    try:
        fits = np.broadcast_shapes(shape, target) == target
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"gaussian_nll: {name} is {shape}, mean is {target}; expected a shape that broadcasts to it"
        )


def _check_classes(labels: Any, logits: tuple[int, ...]) -> None:
    if labels.shape != logits[:-1]:
        hint = " or probabilities, as floats" if labels.shape == logits else ""
        raise ValueError(
            f"cross_entropy: labels are integers of shape {labels.shape}, logits are {logits}; "
            f"expected labels of shape {logits[:-1]}{hint}"
        )
    found = _raw(labels)
    if found.size and _known(found) and (found.min() < 0 or found.max() >= logits[-1]):
        wrong = found[(found < 0) | (found >= logits[-1])]
        raise ValueError(
            f"cross_entropy: labels hold {_sample(wrong)}; expected 0 to {logits[-1] - 1}, "
            f"as logits of shape {logits} have {logits[-1]} classes"
        )


def _check_distributions(labels: Any, logits: tuple[int, ...]) -> None:
    if labels.dtype.kind != "f" or labels.shape != logits:
        raise TypeError(
            f"cross_entropy: labels are {labels.dtype} of shape {labels.shape}, logits are {logits}; "
            "expected "
            f"integer classes of shape {logits[:-1]} or floating probabilities of shape {logits}; "
            "labels.astype(int) makes classes of whole numbers"
        )
    found = _raw(labels)
    # float16 and float32 rows sum to 1 only to their own precision
    if _known(found) and (
        np.any(found < 0)
        or not np.allclose(found.sum(axis=-1), 1.0, rtol=0, atol=1e3 * float(np.finfo(found.dtype).eps))
    ):
        raise ValueError(
            "cross_entropy: labels are floats whose rows are not probabilities; expected no negative "
            "number and "
            "rows that sum to 1; chainrule.softmax makes such rows"
        )
