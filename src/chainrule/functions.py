"""Functions that NumPy has no name for: the logistic and softmax families, entropy.

They take Values, arrays and numbers alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.numpy.arguments import axes_of
from chainrule.numpy.manipulation import stack
from chainrule.numpy.reductions import sum
from chainrule.primitives import as_array
from chainrule.rules import activations as ac
from chainrule.rules import arithmetic as ar
from chainrule.rules import elementary as el
from chainrule.rules import reduction as rd
from chainrule.value import Value

Axis = int | tuple[int, ...] | None


def as_floats(name: str, x: Any) -> Any:
    """A Value, a number or an array of floats, made of a list or of integers if need be."""
    if type(x) is Value or type(x) is float:
        return x
    a = as_array(x)
    if a.dtype.kind not in "fciub":
        received = repr(x) if x is None or isinstance(x, str) else f"a {type(x).__name__}"
        raise TypeError(f"{name}: received {received}, expected a Value, a number or an array of numbers")
    x = a if isinstance(x, list | tuple) else x
    return x if a.dtype.kind in "fc" else a.astype(float)[()]


def array(x: Any, dtype: Any = None) -> Any:
    """Values and numbers in nested lists as one Value, as ``np.array`` joins numbers.

    NumPy cannot be told to join Values inside a list, hence this function.

    Parameters
    ----------
    x : Value, number, array or nested lists of them
        All entries of a list must have one shape.
    dtype : dtype, optional
        Floats or complex numbers; as in NumPy, the first that holds all entries by default.

    Raises
    ------
    TypeError
        For a dtype of integers or booleans, which have no derivative, if there are Values.
    ValueError
        If the shapes in a list differ.

    Examples
    --------
    >>> from chainrule import grad
    >>> def spiral(t):
    ...     return array([[np.cos(t), 0.0], [np.sin(t), t]])
    >>> spiral(0.0)
    array([[1., 0.],
           [0., 0.]])
    >>> grad(lambda t: np.sum(spiral(t)))(0.0)
    2.0
    """
    if dtype is not None:
        y = array(x)
        return np.dtype(dtype).type(y) if type(y) is float else y.astype(dtype)
    if isinstance(x, np.ndarray) and x.dtype == object:
        x = x.tolist()
    if not isinstance(x, list | tuple):
        return as_floats("array", x)
    return stack([array(part) for part in x]) if x else np.zeros(0)


def relu(x: Any) -> Any:
    """``max(x, 0)``, element by element; its derivative at 0 is 0.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return ar.relu(as_floats("relu", x))


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """``x`` where it is positive, ``slope * x`` elsewhere; its derivative at 0 is ``slope``.

    >>> leaky_relu(np.array([-1.0, 2.0]), slope=0.1)
    array([-0.1,  2. ])
    """
    return ar.leaky_relu(as_floats("leaky_relu", x), slope=slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere; its derivative at 0 is ``alpha``.

    >>> elu(np.array([-1000.0, 2.0]))
    array([-1.,  2.])
    """
    return ar.elu(as_floats("elu", x), alpha=alpha)


def selu(x: Any) -> Any:
    """``1.0507 * elu(x, 1.6733)``: keeps mean 0 and variance 1 from layer to layer.

    The constants to all digits: Klambauer et al., "Self-normalizing neural networks", 2017, equation 14.

    >>> print(selu(1.0))
    1.0507009873554805
    """
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def silu(x: Any) -> Any:
    """``x * sigmoid(x)``, also called swish.

    >>> print(silu(0.0), silu(100.0))
    0.0 100.0
    """
    return ac.silu(as_floats("silu", x))


def gelu(x: Any, approximate: str = "none") -> Any:
    """``x Φ(x)``, Φ the normal distribution: ``x (1 + erf(x / √2)) / 2``, but exact on the left too.

    With ``approximate="tanh"`` it is ``x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2``, off by at most 5e-4.

    Raises
    ------
    ValueError
        If ``approximate`` is neither "none" nor "tanh".

    Examples
    --------
    >>> print(gelu(0.0), round(gelu(1.0), 4), round(gelu(1.0, approximate="tanh"), 4))
    0.0 0.8413 0.8412
    """
    x = as_floats("gelu", x)
    if approximate == "none":
        return ac.gelu(x)
    if approximate == "tanh":
        return 0.5 * x * (1.0 + el.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    raise ValueError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")


def erf(x: Any) -> Any:
    """``2/√π ∫₀ˣ exp(-t²) dt``, the error function; its derivative is ``2/√π exp(-x²)``.

    Right to 4 units in the last place of float64, as `math.erf`; of real numbers.

    >>> print(erf(0.0), erf(10.0))
    0.0 1.0
    """
    return el.erf(as_floats("erf", x))


def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``, the logistic function; exact in both tails.

    >>> sigmoid(0.0)
    0.5
    """
    return el.sigmoid(as_floats("sigmoid", x))


def log_sigmoid(x: Any) -> Any:
    """``log(sigmoid(x))`` without underflow.

    >>> round(float(log_sigmoid(-1000.0)), 6)
    -1000.0
    """
    return el.log_sigmoid(as_floats("log_sigmoid", x))


def softplus(x: Any) -> Any:
    """``log(1 + exp(x))`` without overflow; its derivative is `sigmoid`.

    >>> float(softplus(1000.0))
    1000.0
    """
    return el.softplus(as_floats("softplus", x))


def xlogy(x: Any, y: Any) -> Any:
    """``x * log(y)``, with 0 where ``x`` is 0.

    >>> float(xlogy(0.0, 0.0))
    0.0
    """
    return el.xlogy(as_floats("xlogy", x), as_floats("xlogy", y))


def entropy(p: Any, axis: Axis = None) -> Any:
    """``-Σ pᵢ log pᵢ`` in nats, with ``0 log 0 = 0``; the uncertainty of a distribution.

    The derivative in ``pᵢ`` is ``-(1 + log pᵢ)``, infinite at ``pᵢ = 0``.

    >>> print(entropy(np.array([0.5, 0.5, 0.0])) / np.log(2))
    1.0
    """
    p = as_floats("entropy", p)
    return sum(-el.xlogy(p, p), axis)


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """``log Σ exp(xᵢ)`` without overflow; its derivative is `softmax`.

    Over nothing but ``-inf`` it is ``-inf``, with derivative 0.

    >>> print(logsumexp(np.array([1000.0, 1000.0])) - np.log(2))
    1000.0
    """
    x = as_floats("logsumexp", x)
    return rd.logsumexp(x, axis=axes_of("logsumexp", x, axis), keepdims=keepdims)


def softmax(x: Any, axis: Axis = -1) -> Any:
    """``exp(xᵢ) / Σ exp(xⱼ)`` along ``axis``: positive, of sum 1.

    A row of ``-inf`` alone, where everything is masked out, gives zeros with derivative 0.

    >>> softmax(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """
    x = as_floats("softmax", x)
    return rd.softmax(x, axis=axes_of("softmax", x, axis))


def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """``xᵢ - logsumexp(x)`` along ``axis``: the logarithm of `softmax`, without underflow.

    >>> log_softmax(np.array([10000.0, -10000.0]))
    array([     0., -20000.])
    """
    x = as_floats("log_softmax", x)
    return rd.log_softmax(x, axis=axes_of("log_softmax", x, axis))
