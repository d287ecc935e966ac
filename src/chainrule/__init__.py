"""Automatic differentiation you can see through.

Write plain Python and NumPy; get derivatives of any order, a graph in which every node shows its
data and its gradient, and networks that train.

>>> import numpy as np
>>> import chainrule as cr
>>> cr.grad(lambda x: np.sum(np.tanh(x) ** 2))(np.zeros(3))
array([0., 0., 0.])
"""

from typing import Any

import chainrule.numpy  # noqa: F401  (attaches operators, methods and NumPy's protocols)
from chainrule import random  # noqa: F401
from chainrule.control import cond, fori, scan, while_loop
from chainrule.derivatives import (
    directional_derivative,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    vjp,
)
from chainrule.functions import (
    array,
    elu,
    entropy,
    erf,
    gelu,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logsumexp,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    xlogy,
)
from chainrule.native.threads import threads
from chainrule.testing import check_grads
from chainrule.value import Value, data

__version__ = "0.1.0"

__all__ = [
    "Value",
    "array",
    "check_grads",
    "cond",
    "data",
    "directional_derivative",
    "draw",
    "elu",
    "entropy",
    "erf",
    "fori",
    "gelu",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "leaky_relu",
    "linearize",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "relu",
    "scan",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "stop_gradient",
    "threads",
    "value_and_grad",
    "vjp",
    "while_loop",
    "xlogy",
]


def __getattr__(name: str) -> Any:
    """Load ``draw`` and ``compile`` when they are first asked for: the core imports neither."""
    if name == "draw":
        from chainrule.show import draw

        return draw
    if name == "compile":
        from chainrule.native.compile import compile

        return compile
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
