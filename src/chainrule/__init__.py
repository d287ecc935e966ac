"""Automatic differentiation you can see through.

Write plain Python and NumPy; get derivatives of any order, a graph in which every node shows its
data and its gradient, and networks that train.

>>> import numpy as np
>>> import chainrule as cr
>>> cr.grad(lambda x: np.sum(np.tanh(x) ** 2))(np.zeros(3))
array([0., 0., 0.])
"""

from importlib import import_module
from typing import Any

import chainrule.numpy  # noqa: F401  (attaches operators, methods and NumPy's protocols)
from chainrule import names, random  # noqa: F401  (names attaches too)
from chainrule.control import cond, fori, scan, while_loop
from chainrule.custom import primitive
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
    "compile",
    "cond",
    "cost_report",
    "data",
    "directional_derivative",
    "draw",
    "elu",
    "entropy",
    "erf",
    "explain",
    "explain_grad",
    "explain_nan",
    "explore",
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
    "paths",
    "primitive",
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


_PARTS = ("interchange", "micrograd", "nn", "optim", "random", "sklearn", "train")

_LOADED_LATER = {
    "compile": "chainrule.native.compile",
    "cost_report": "chainrule.show.cost",
    "draw": "chainrule.show.picture",
    "explain": "chainrule.show.derivation",
    "explain_grad": "chainrule.show.heaviest",
    "explain_nan": "chainrule.nonfinite",
    "explore": "chainrule.show.explorer",
    "paths": "chainrule.show.paths",
}

_ELSEWHERE = {
    "Tensor": "chainrule.Value(array)",
    "Variable": "chainrule.Value(array)",
    "GradientTape": "chainrule.grad(f), or backward() of a Value",
    "arange": "NumPy's: its functions take Values",
    "cat": "np.concatenate",
    "custom_jvp": "chainrule.primitive, which states a rule once for both modes",
    "custom_vjp": "chainrule.primitive, which states a rule once for both modes",
    "deriv": "chainrule.grad(f)",
    "detach": "chainrule.stop_gradient(v), or v.data for the numbers",
    "egrad": "chainrule.grad(lambda x: np.sum(f(x)))",
    "elementwise_grad": "chainrule.grad(lambda x: np.sum(f(x)))",
    "fori_loop": "chainrule.fori",
    "from_numpy": "chainrule.Value(array)",
    "hessian_vector_product": "chainrule.hvp(f, x, v)",
    "holomorphic_grad": "chainrule.grad(f, holomorphic=True)",
    "jacfwd": "chainrule.jacobian(f)",
    "jacrev": "chainrule.jacobian(f)",
    "jit": "chainrule.compile(f)",
    "lax": "chainrule.scan, cond, while_loop and fori",
    "make_hvp": "chainrule.hvp(f, x, v)",
    "make_jvp": "chainrule.jvp(f, (x,), (dx,))",
    "make_vjp": "chainrule.vjp(f, x)",
    "manual_seed": "rng=0 as an argument of a layer, or numpy.random.default_rng(0)",
    "no_grad": "plain arrays, such as v.data: they record nothing",
    "np": "NumPy itself, import numpy as np: its functions take Values",
    "requires_grad": "chainrule.Value(array) for what is differentiated",
    "tensor": "chainrule.Value(array)",
    "vmap": "an axis more in the arrays, as in NumPy: functions work on whole batches",
}


def __dir__() -> list[str]:
    return sorted({*__all__, *_PARTS, "__version__"})


def __getattr__(name: str) -> Any:
    """Load what the core does not import when it is first asked for: ``draw``, ``compile`` and packages."""
    if name in _LOADED_LATER:
        return getattr(import_module(_LOADED_LATER[name]), name)
    if name in _PARTS:
        return import_module(f"chainrule.{name}")
    hint = f"; here it is {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}{hint}")
