"""Connectionist temporal classification: the likelihood of a label sequence, however it is aligned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.control import scan
from chainrule.functions import logsumexp
from chainrule.nn.arguments import as_operand
from chainrule.nn.loss_arguments import known, raw_array, reduced, sample, within
from chainrule.rules.shape import getitem
from chainrule.value import Value

__all__ = ["ctc"]


def ctc(
    log_probabilities: Value | ArrayLike,
    labels: ArrayLike,
    input_lengths: ArrayLike | None = None,
    label_lengths: ArrayLike | None = None,
    *,
    blank: int = 0,
    reduction: str = "mean",
) -> Any:
    """Negative log-likelihood of label sequences, summed over all their alignments.

    An alignment gives each step a label or the blank; repetitions are merged, then blanks removed.  With the
    labels interleaved with blanks, z = (blank, l₁, blank, …, l_S, blank), the forward variables are
    α₁ = (log p₁(z₁), log p₁(z₂), -∞, …) and
    αₜ(s) = log pₜ(z_s) + log(exp αₜ₋₁(s) + exp αₜ₋₁(s-1) + [z_s ≠ z_{s-2}] exp αₜ₋₁(s-2)); the loss is
    -log(exp α_T(2S+1) + exp α_T(2S)).

    Source: Graves, Fernández, Gomez, Schmidhuber, "Connectionist temporal classification", 2006.

    Shapes: log_probabilities is (N, T, C), batch first; labels is (N, S), integers 0 … C-1 other than blank.
    The result is a scalar.

    Behaviour at extremes: a label sequence that does not fit into its steps has a loss of inf, and a gradient
    of 0.

    Parameters
    ----------
    log_probabilities : Value or array
        Rows of `chainrule.log_softmax`.
    labels : array
        What stands after a sequence's end is not looked at, but must be a class.
    input_lengths, label_lengths : array, optional
        (N,), how many steps and labels of each sequence count; without them all.  Each has at least one step.
    blank : int
        The class that means no label.
    reduction : {"mean", "sum", "none"}
        The mean is, as in PyTorch, that of each loss divided by the number of its labels.

    Raises
    ------
    TypeError
        If labels or lengths are no integers.
    ValueError
        If shapes do not fit, or labels or lengths are out of range.

    Examples
    --------
    Of two steps, "a" is read in three ways: "aa", "a-" and "-a".

    >>> import numpy as np
    >>> from chainrule import nn
    >>> p = np.full((1, 2, 2), 0.5)
    >>> print(np.exp(-nn.ctc(np.log(p), [[1]], reduction="sum")))
    0.75
    """
    log_p, y = as_operand(log_probabilities), as_operand(labels)
    if log_p.ndim != 3 or y.ndim != 2 or log_p.shape[0] != y.shape[0] or 0 in log_p.shape[1:]:
        raise ValueError(
            f"ctc: log_probabilities are {log_p.shape}, labels are {y.shape}; expected (N, T, C) and (N, S)"
        )
    (n, steps, classes), size = log_p.shape, y.shape[1]
    if not 0 <= blank < classes:
        raise ValueError(f"ctc: blank is {blank}; expected a class, 0 to {classes - 1}")
    y = _whole("labels", y, (n, size), 0, classes - 1)
    if known(y) and np.any(y == blank):
        raise ValueError(f"ctc: labels hold the blank, {blank}; expected the other classes only")
    last_step = _lengths("input_lengths", input_lengths, n, 1, steps) - 1
    count = _lengths("label_lengths", label_lengths, n, 0, size)

    pairs = np.stack([np.full((n, size), blank), y], axis=-1).reshape(n, 2 * size)
    z = np.concatenate([pairs, np.full((n, 1), blank)], axis=-1)  # (N, 2S+1)
    row = np.arange(n)
    # (T, N, 2S+1): the loop is over the first axis
    emitted = getitem(log_p, (row[:, None], np.arange(steps)[:, None, None], z))
    # a label may follow another one without a blank between them
    leap = np.concatenate([np.zeros((n, min(2, 2 * size + 1)), bool), z[:, 2:] != z[:, :-2]], axis=-1)

    never = np.full((n, 2), -np.inf, log_p.dtype)
    start = np.full((n, 2 * size + 1), -np.inf, log_p.dtype)
    start[:, 0] = 0.0

    def step(alpha: Any, at: Any) -> tuple[Any, Any]:
        x, t = at
        wide = np.concatenate([never, alpha], axis=-1)
        ways = np.stack([alpha, wide[:, 1:-1], np.where(leap, wide[:, :-2], -np.inf)])
        new = logsumexp(ways, axis=0) + x
        return np.where((t <= last_step)[:, None], new, alpha), None

    # Before the first step there is a blank that nothing emitted: from it the first two states are reached.
    alpha, _ = scan(step, start, (emitted, np.arange(steps)))
    on_blank = getitem(alpha, (row, 2 * count))
    on_label = np.where(count > 0, getitem(alpha, (row, np.maximum(2 * count - 1, 0))), -np.inf)
    terms = -logsumexp(np.stack([on_blank, on_label]), axis=0)
    if reduction == "mean":
        terms = terms / np.maximum(count, 1).astype(log_p.dtype)
    return reduced(terms, reduction, "ctc")


def _lengths(name: str, lengths: Any, n: int, least: int, most: int) -> Any:
    if lengths is None:
        return np.full(n, most)
    return _whole(name, as_operand(lengths), (n,), least, most)


def _whole(name: str, x: Any, shape: tuple[int, ...], least: int, most: int) -> Any:
    """Integers of a shape and within bounds."""
    if type(x) is Value or x.dtype.kind not in "iu":
        if not (type(x) is not Value and x.size == 0):
            kind = "a Value" if type(x) is Value else x.dtype
            raise TypeError(f"ctc: {name} are {kind}; expected integers")
        x = x.astype(int)
    if x.shape != shape:
        raise ValueError(f"ctc: {name} are {x.shape}; expected {shape}")
    found = raw_array(x)
    if known(found) and found.size and not least <= found.min() <= found.max() <= most:
        wrong = found[(found < least) | (found > most)]
        raise ValueError(f"ctc: {name} hold {sample(wrong)}; expected {least} to {most}")
    return within(x, most + 1)
