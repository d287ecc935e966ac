"""Clipping: gradients kept from being too large, between `backward` and an optimiser's step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.optim.arguments import check_number, leaves
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["clip_grad_norm", "clip_grad_value"]


def clip_grad_norm(params: Iterable[Value] | Value, max_norm: float) -> float:
    """Scale all gradients by min(1, max_norm / (‖g‖ + 1e-6)), with ‖g‖ the Euclidean norm of all together.

    Parameters
    ----------
    params : iterable of Value, or Value
        Those without a gradient do not count.  A Value that is there twice counts once.
    max_norm : float
        Zero or more; inf clips nothing, and the norm is told.

    Returns
    -------
    float
        The norm before; in a compiled function what stands for it.

    Raises
    ------
    TypeError, ValueError
        If params are no leaf Values, or max_norm no number, or below zero.

    Notes
    -----
    The formula is PyTorch's, 1e-6 included; the squares are summed up in double precision, so that large
    gradients in float32 have a norm.  nan or inf in a gradient make the norm nan or inf, and all gradients
    nan or zero, as in PyTorch: look at what is returned.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, optim
    >>> p = Value(np.array([3.0, 4.0]))
    >>> np.sum(p * p).backward()
    >>> optim.clip_grad_norm([p], max_norm=1.0)
    10.0
    >>> p.grad
    array([0.6, 0.8])
    """
    if not (isinstance(max_norm, float) and max_norm == np.inf):
        max_norm = check_number("clip_grad_norm", "max_norm", max_norm, "zero or more", lambda x: x >= 0)
    found = _with_gradients("clip_grad_norm", params)
    norm: Any = sum([sum_of_squares(p._gradient) for p in found], 0.0) ** 0.5
    factor = max_norm / (norm + 1e-6)
    if isinstance(norm, Traced):
        factor = np.minimum(factor, 1.0)
    elif factor >= 1.0:
        return norm  # type: ignore[no-any-return]
    for p in found:
        p._gradient = p._gradient * factor
    return norm  # type: ignore[no-any-return]


def clip_grad_value(params: Iterable[Value] | Value, clip_value: float) -> None:
    """Bring every number of every gradient between -clip_value and clip_value.

    Parameters
    ----------
    params : iterable of Value, or Value
        Those without a gradient stay without one.
    clip_value : float
        Zero or more.

    Raises
    ------
    TypeError, ValueError
        If params are no leaf Values, or clip_value no number, or below zero.

    Notes
    -----
    nan stays nan.  The direction of the gradient changes, where `clip_grad_norm` keeps it.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, optim
    >>> p = Value(np.array([3.0, -0.25]))
    >>> np.sum(p * p).backward()
    >>> optim.clip_grad_value([p], 1.0)
    >>> p.grad
    array([ 1. , -0.5])
    """
    c = check_number("clip_grad_value", "clip_value", clip_value, "zero or more", lambda x: x >= 0)
    for p in _with_gradients("clip_grad_value", params):
        g = np.clip(p._gradient, -c, c)
        p._gradient = float(g) if type(p._gradient) is float else g


def _with_gradients(owner: str, params: Any) -> list[Value]:
    given = [params] if isinstance(params, Value) else params
    return [p for p in leaves(owner, given, complex=owner == "clip_grad_norm") if p._gradient is not None]


def sum_of_squares(g: Any) -> Any:
    """‖g‖² as a Python number, summed up in double precision."""
    if type(g) is float:
        return g * g
    wide = g.astype(np.result_type(g.dtype, np.float64), copy=False)
    if isinstance(g, Traced):
        return np.sum(abs(wide) ** 2).as_number()
    return float(np.vdot(wide, wide).real)
