"""Losses of classifiers: of logits, or logarithms of probabilities, and what the class is.

Each takes the mean over the batch, unless ``reduction`` says otherwise, and insists on shapes that fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.functions import log_sigmoid, log_softmax, relu, xlogy
from chainrule.nn.arguments import as_operand
from chainrule.nn.loss_arguments import check_same, known, raw_array, reduced, sample, within
from chainrule.rules.shape import getitem
from chainrule.value import Value

__all__ = ["bce_with_logits", "cross_entropy", "hinge", "kl_div", "nll"]

Array = Value | ArrayLike


def cross_entropy(
    logits: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Any:
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
    weight : array, optional
        (C,), a factor for the terms of each class; with integer labels the mean is then the weighted one,
        over the sum of the labels' weights.
    label_smoothing : float
        ε: p is replaced by (1 - ε) p + ε / C, so that no logit need grow without bound.
    ignore_index : int, optional
        An integer label, which need be no class, whose terms are 0 and do not count in the mean, as where a
        sequence is filled up; PyTorch's is -100 unless told otherwise.  The mean of no terms is nan.
    reduction : {"mean", "sum", "none"}
        Whether the mean of the terms is the loss, or their sum, or all terms are wanted.

    Raises
    ------
    TypeError
        If the labels are neither integers of shape (...) nor floats of shape (..., C), or not integers with
        an ignore_index.
    ValueError
        If the shapes do not fit, a label is outside 0 … C-1, or a row is not a distribution.  (Compiled, a
        label outside is an IndexError.)

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
    z, p = as_operand(logits), as_operand(labels)
    if not z.ndim:
        raise ValueError("cross_entropy: logits is a single number; expected (..., classes)")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is {label_smoothing}; expected 0 to 1")
    log_q = log_softmax(z, axis=-1)
    w = None if weight is None else as_operand(weight).astype(z.dtype)
    if w is not None:
        check_same("cross_entropy", "weight", w.shape, "one number for each class", z.shape[-1:])
        log_q = log_q * w
    by_class, counted = p.dtype.kind in "iu", None
    if ignore_index is not None:
        if not by_class:
            raise TypeError(
                f"cross_entropy: labels are {p.dtype} and ignore_index is {ignore_index!r}; expected integers"
            )
        counted = p != ignore_index
        p = np.where(counted, p, 0)
    if by_class:
        _check_classes("cross_entropy", p, "logits", z.shape)
        p = within(p, z.shape[-1])
        terms = -_picked(log_q, p)
    else:
        _check_distributions(p, z.shape)
        # log q is -inf for a class ruled out; where its share is 0 that must be 0, not 0 * -inf.
        terms = -np.sum(p * np.where(p > 0, log_q, 0.0), axis=-1)
    if label_smoothing:
        terms = (1.0 - label_smoothing) * terms - label_smoothing * np.mean(log_q, axis=-1)
    shares = getitem(w, (p,)) if w is not None and by_class else None
    if counted is not None:
        terms = np.where(counted, terms, 0.0)
        shares = counted.astype(z.dtype) if shares is None else np.where(counted, shares, 0.0)
    if shares is not None and reduction == "mean":
        return np.sum(terms) / np.sum(shares)
    return reduced(terms, reduction, "cross_entropy")


def nll(log_probabilities: Array, labels: ArrayLike, *, reduction: str = "mean") -> Any:
    """Negative log-likelihood of labels: mean over the batch of -log_probabilities[label].

    `cross_entropy` is this of `chainrule.log_softmax`.

    Shapes: log_probabilities (..., C); labels, integers (...) in 0 … C-1; the result is a scalar.

    Parameters
    ----------
    log_probabilities : Value or array
    labels : array
    reduction : {"mean", "sum", "none"}
        Whether the mean of the terms is the loss, or their sum, or all terms are wanted.

    Raises
    ------
    TypeError
        If the labels are no integers.
    ValueError
        If the shapes do not fit or a label is outside 0 … C-1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> print(nn.nll(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 0], reduction="sum") / np.log(2))
    3.0
    """
    log_p, y = as_operand(log_probabilities), as_operand(labels)
    if not log_p.ndim or y.dtype.kind not in "iu":
        raise TypeError(
            f"nll: log_probabilities are {log_p.shape}, labels are {y.dtype}; expected (..., classes) and "
            "integers"
        )
    _check_classes("nll", y, "log_probabilities", log_p.shape)
    return reduced(-_picked(log_p, within(y, log_p.shape[-1])), reduction, "nll")


def bce_with_logits(
    logits: Array, labels: Array, *, pos_weight: Array | None = None, reduction: str = "mean"
) -> Any:
    """Binary cross-entropy: mean over all elements of -w y log σ(z) - (1 - y) log(1 - σ(z)).

    Both logarithms keep their digits however sure the network is; logits are finite.

    Shapes: logits z and labels y have the same shape, w one that broadcasts to it; the result is a scalar.

    Parameters
    ----------
    logits : Value or array
        A network's output without a sigmoid.
    labels : array or Value
        0 and 1, booleans, or probabilities between.
    pos_weight : array, optional
        w, such as the number of negatives for each positive.
    reduction : {"mean", "sum", "none"}
        Whether the mean of the terms is the loss, or their sum, or all terms are wanted.

    Raises
    ------
    ValueError
        If the shapes differ or a label is outside 0 … 1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, nn
    >>> logits = Value(np.array([0.0, 1000.0]))
    >>> loss = nn.bce_with_logits(logits, np.array([1, 0])); loss.item()
    500.346574
    >>> loss.backward(); logits.grad
    array([-0.25,  0.5 ])
    """
    z, y = as_operand(logits), as_operand(labels)
    check_same("bce_with_logits", "logits", z.shape, "labels", y.shape)
    found = raw_array(y)
    if known(found) and not np.all((found >= 0) & (found <= 1)):
        raise ValueError(
            f"bce_with_logits: labels hold {sample(found[~((found >= 0) & (found <= 1))])}; expected 0 to 1"
        )
    y = y.astype(z.dtype)
    yes = -y * log_sigmoid(z)
    if pos_weight is not None:
        yes = yes * as_operand(pos_weight).astype(z.dtype)
    return reduced(yes - (1.0 - y) * log_sigmoid(-z), reduction, "bce_with_logits")


def kl_div(log_q: Array, p: Array, *, log_target: bool = False, reduction: str = "mean") -> Any:
    """Kullback-Leibler divergence: mean over the batch of Σₖ pₖ (log pₖ - log qₖ), with 0 log 0 = 0.

    It is what PyTorch calls ``batchmean``: each row is one term, as the formula says.

    Shapes: log q and p are (..., C); the result is a scalar.

    Parameters
    ----------
    log_q : Value or array
        Logarithms of the probabilities that are to become p.
    p : Value or array
        Probabilities, or with ``log_target`` their logarithms.
    log_target : bool
    reduction : {"mean", "sum", "none"}
        Whether the mean of the terms is the loss, or their sum, or all terms are wanted.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> print(nn.kl_div(np.log([[0.25, 0.75]]), [[0.0, 1.0]]) / np.log(4 / 3))
    1.0
    """
    other, target = as_operand(log_q), as_operand(p)
    check_same("kl_div", "log_q", other.shape, "p", target.shape)
    if not other.ndim:
        raise ValueError("kl_div: log_q is a single number; expected (..., classes)")
    share = np.exp(target) if log_target else target
    own = share * np.where(share > 0, target, 0.0) if log_target else xlogy(share, share)
    terms = np.sum(own - share * np.where(share > 0, other, 0.0), axis=-1)
    return reduced(terms, reduction, "kl_div")


def hinge(scores: Array, labels: ArrayLike, *, reduction: str = "mean") -> Any:
    """Max-margin loss: mean over all elements of max(0, 1 - y s).

    Shapes: scores s and labels y have the same shape, y is -1 or 1; the result is a scalar.

    A sample on the right side of the boundary by a margin of 1 or more costs nothing and sends no gradient;
    at a margin of exactly 1 (the kink) the gradient is 0.

    Parameters
    ----------
    scores : Value or array
    labels : array
    reduction : {"mean", "sum", "none"}
        Whether the mean of the terms is the loss, or their sum, or all terms are wanted.

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
    array([-0., -1.,  1.])
    """
    s, y = as_operand(scores), as_operand(labels)
    check_same("hinge", "scores", s.shape, "labels", y.shape)
    found = raw_array(y)
    if known(found) and not np.all(np.abs(found) == 1):
        raise ValueError(
            f"hinge: labels hold {sample(found[np.abs(found) != 1])}; expected -1 and 1 only; "
            "labels of 0 and 1 become these by 2 * labels - 1"
        )
    # A label array of unsigned integers could not be negated, and integers would make float32 scores float64.
    return reduced(relu(1.0 - y.astype(s.dtype) * s), reduction, "hinge")


def _picked(rows: Any, labels: Any) -> Any:
    """The entry of each row (..., C) that its label (...) names."""
    flat = rows.reshape(-1, rows.shape[-1])
    return getitem(flat, (np.arange(flat.shape[0]), labels.reshape(-1))).reshape(labels.shape)


def _check_classes(owner: str, labels: Any, name: str, logits: tuple[int, ...]) -> None:
    if labels.shape != logits[:-1]:
        hint = " or probabilities, as floats" if labels.shape == logits else ""
        raise ValueError(
            f"{owner}: labels are integers of shape {labels.shape}, {name} are {logits}; "
            f"expected labels of shape {logits[:-1]}{hint}"
        )
    found = raw_array(labels)
    if found.size and known(found) and (found.min() < 0 or found.max() >= logits[-1]):
        wrong = found[(found < 0) | (found >= logits[-1])]
        raise ValueError(
            f"{owner}: labels hold {sample(wrong)}; expected 0 to {logits[-1] - 1}, "
            f"as {name} of shape {logits} have {logits[-1]} classes"
        )


def _check_distributions(labels: Any, logits: tuple[int, ...]) -> None:
    if labels.dtype.kind != "f" or labels.shape != logits:
        raise TypeError(
            f"cross_entropy: labels are {labels.dtype} of shape {labels.shape}, logits are {logits}; "
            "expected "
            f"integer classes of shape {logits[:-1]} or floating probabilities of shape {logits}; "
            "labels.astype(int) makes classes of whole numbers"
        )
    found = raw_array(labels)
    # float16 and float32 rows sum to 1 only to their own precision
    if known(found) and (
        np.any(found < 0)
        or not np.allclose(found.sum(axis=-1), 1.0, rtol=0, atol=1e3 * float(np.finfo(found.dtype).eps))
    ):
        raise ValueError(
            "cross_entropy: labels are floats whose rows are not probabilities; expected no negative "
            "number and "
            "rows that sum to 1; chainrule.softmax makes such rows"
        )
