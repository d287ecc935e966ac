"""scipy.special, of Values too: ``from chainrule.scipy import special``.

SciPy's universal functions (``gammaln``, ``betainc``, ``jv`` ...) answer Values by themselves, and here are
the same objects. The functions below are those that SciPy writes in Python, which make arrays of what they
get.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special as sp

from chainrule import functions as fn
from chainrule.foreign import absent
from chainrule.functions import as_floats
from chainrule.numpy import functions as cn
from chainrule.numpy.functions import sinc as sinc
from chainrule.primitives import raw, where
from chainrule.rules import beta as bt
from chainrule.rules import elementary as el
from chainrule.rules import gamma as gm
from chainrule.rules.special import CALLS
from chainrule.traced import Traced
from chainrule.value import Value

# SciPy's own, as they are
globals().update({f.__name__: f for f in CALLS if not f.__name__.startswith("_")})
jn, psi, digamma, zeta, lambertw = sp.jn, sp.psi, sp.digamma, sp.zeta, sp.lambertw

__all__ = sorted(
    {f.__name__ for f in CALLS if not f.__name__.startswith("_")}
    | set("jn psi digamma zeta lambertw".split())
    | set("comb log_softmax logsumexp multigammaln polygamma sinc softmax".split())
)


def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """``log Σ bᵢ exp(aᵢ)`` without overflow; its derivative in ``a`` is the weighted softmax.

    Over nothing but ``-inf`` it is ``-inf``, with derivative 0.

    Parameters
    ----------
    a, b : Value, array or number
        What broadcasts together; b is 1 by default.
    axis : int or tuple of int, optional
    keepdims, return_sign : bool
        With ``return_sign`` the logarithm of the sum's size, and its sign; without, a negative sum gives nan.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.scipy import special
    >>> print(special.logsumexp(np.array([1000.0, 1000.0]), b=np.array([3.0, -2.0])))
    1000.0
    """
    a = as_floats("logsumexp", a)
    if b is None:
        y = fn.logsumexp(a, axis, keepdims)
        return (y, np.ones_like(raw(y))) if return_sign else y
    b = as_floats("logsumexp", b)
    a = where(raw(b) == 0, -np.inf, a)
    top = np.max(raw(a), axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = cn.sum(b * el.exp(a - top), axis=axis, keepdims=True)
    sign = np.sign(raw(total))
    nothing = raw(total) == 0
    total = where(nothing, 1.0, abs(total) if return_sign else total)
    y = where(nothing, -np.inf, el.log(total) + top)
    if not keepdims:
        y, sign = cn.squeeze(y, axis), np.squeeze(sign, axis)
    return (y, sign) if return_sign else y


def softmax(x: Any, axis: Any = None) -> Any:
    """``exp(xᵢ) / Σ exp(xⱼ)``, over all axes by default.

    >>> import numpy as np
    >>> softmax(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """
    return fn.softmax(x, axis)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """``xᵢ - logsumexp(x)``, over all axes by default.

    >>> import numpy as np
    >>> log_softmax(np.array([10000.0, -10000.0]))
    array([     0., -20000.])
    """
    return fn.log_softmax(x, axis)


def polygamma(n: Any, x: Any) -> Any:
    """The ``n``-th derivative of ``digamma``, ``n`` a whole number.

    Raises
    ------
    TypeError
        If n is not an int: there is no derivative in it.

    Examples
    --------
    >>> print(round(float(polygamma(1, 1.0)), 6))
    1.644934
    """
    if isinstance(n, np.ndarray):
        return cn.stack([polygamma(int(k), x) for k in n])
    if not isinstance(n, int | np.integer) or n < 0:
        raise TypeError(f"polygamma: n is {n!r}, expected a whole number from 0 on")
    return gm.polygamma(as_floats("polygamma", x), order=int(n))


def multigammaln(a: Any, d: int) -> Any:
    """The logarithm of the multivariate gamma function: ``Σ gammaln(a - i/2)``, i < d, and a constant.

    Raises
    ------
    ValueError
        If d is no whole number from 1 on, or an element of a is at most (d - 1)/2.

    Examples
    --------
    >>> print(round(float(multigammaln(2.5, 2)), 6))
    0.857048
    """
    a = as_floats("multigammaln", a)
    if d != int(d) or d < 1:
        raise ValueError(f"multigammaln: d is {d!r}, expected a whole number from 1 on")
    data = raw(a)
    if type(data) is not Traced and np.any(np.asarray(data) <= 0.5 * (d - 1)):
        raise ValueError(f"multigammaln: a is {data!r}, expected more than (d - 1)/2 = {0.5 * (d - 1)}")
    total = d * (d - 1) / 4 * np.log(np.pi)
    for i in range(int(d)):
        total = total + gm.gammaln(a - i / 2)
    return total


def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    """``N! / (k! (N - k)!)`` for real N and k, and 0 unless 0 ≤ k ≤ N; `binom` without that.

    Raises
    ------
    TypeError
        If ``exact`` is asked of Values: whole numbers have no derivative.

    Examples
    --------
    >>> print(comb(5.0, 2.0))
    10.0
    """
    if exact:
        if type(N) is Value or type(k) is Value:
            raise TypeError("comb: exact=True gives whole numbers, which have no derivative; use exact=False")
        return sp.comb(N, k, exact=True, repetition=repetition)
    N, k = as_floats("comb", N), as_floats("comb", k)
    if repetition:
        return comb(N + k - 1, k)
    inside = (raw(k) <= raw(N)) & (raw(N) >= 0) & (raw(k) >= 0)
    return where(inside, bt.binom(N, k), 0.0)


__getattr__ = absent(__name__)
