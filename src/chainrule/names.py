"""What other libraries call the attributes of a Value.

micrograd's are there, as its drawing code reads them. Of the others the error says what to write here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.value import Value

__all__ = ["CALLED_OTHERWISE"]

# -------------------------------------------------------------------- micrograd's


def _prev(self: Value) -> set[Value]:
    """The operands: a set, constants as Values with gradients."""
    return {x if type(x) is Value else _constant(self, i, x) for i, x in enumerate(self.inputs)}


def _constant(v: Value, i: int, x: Any) -> Value:
    """A constant operand, with the gradient that it would have had."""
    constant = Value(np.asarray(x, float)[()])
    if v._grad is not None and not v.shape and not constant.shape and v.primitive is not None:
        tangents = [1.0 if j == i else None for j in range(len(v.inputs))]
        t = v.primitive.push(v._raw, v.args, tangents, v.params)
        constant._grad = 0.0 if t is None else v._grad * t
    return constant


def _op(self: Value) -> str:
    """The operation's symbol; ``''`` for a leaf."""
    p = self.primitive
    if p is None:
        return ""
    if p.name == "power" and type(self.inputs[1]) is not Value:
        return f"**{self.inputs[1]}"
    return {"relu": "ReLU"}.get(p.name, p.symbol)


Value._prev = property(_prev)  # type: ignore[attr-defined]
Value._op = property(_op)  # type: ignore[attr-defined]


# -------------------------------------------------------------------- what has another name here, or none

CALLED_OTHERWISE = {
    # PyTorch's, JAX's and micrograd's
    "at": "v[i] = new or v[i] += new, which are recorded; w = v.copy() before, to keep v",
    **dict.fromkeys(("add_", "sub_", "mul_", "zero_", "fill_"), "v.data = … or v.data += …, of a leaf"),
    "clamp": "np.clip(v, low, high)",
    "clone": "v.copy()",
    "contiguous": "v itself",
    "detach": "v.data for the numbers, chainrule.stop_gradient(v) inside a computation",
    **dict.fromkeys(("cpu", "cuda", "to"), "v: all is on the CPU; v.astype(dtype) for another dtype"),
    "detach_": "v = v.data",
    "dim": "v.ndim",
    **dict.fromkeys(("float", "double", "half"), "v.astype(np.float32) or another dtype"),
    "expand": "np.broadcast_to(v, shape)",
    "grad_fn": "v.primitive, the operation that made it",
    "is_leaf": "v.primitive is None",
    **dict.fromkeys(("mm", "bmm", "matmul"), "v @ w"),
    "masked_fill": "np.where(mask, number, v)",
    "numpy": "v.data",
    "pow": "v ** n",
    **dict.fromkeys(("softmax", "log_softmax"), "chainrule.softmax(v) or chainrule.log_softmax(v)"),
    "retain_grad": "nothing: backward() keeps the gradients of small intermediate arrays",
    "requires_grad_": "Value(...) for what is differentiated and a plain array for what is not",
    "requires_grad": "Value(...) for what is differentiated and a plain array for what is not",
    "zero_grad": "v.grad = None",
    "view": "v.reshape(...)",
    "unsqueeze": "np.expand_dims(v, axis)",
    "permute": "v.transpose(axes)",
    "numel": "v.size",
    "norm": "np.linalg.norm(v)",
    "sin": "np.sin(v)",
    "cos": "np.cos(v)",
    "abs": "abs(v)",
    "_backward": "@chainrule.primitive(partials=...) for an operation of your own",
    # NumPy's that change an array in place, or look at its memory: a Value has neither
    "resize": "np.resize(v, shape), which is another Value",
    "choose": "np.choose(indices, choices), with indices that are plain integers",
    "flat": "v.ravel()",
    **dict.fromkeys(
        "base byteswap ctypes dump dumps flags getfield setfield setflags strides tobytes tofile".split(),
        "v.data, a plain array that has it",
    ),
}


def _elsewhere(name: str, here: str) -> property:
    def absent(self: Value) -> Any:
        raise AttributeError(f"'Value' object has no attribute {name!r}; write {here}", name=name, obj=self)

    return property(absent)


# Properties and no __getattr__, which would slow down the reading of every attribute.
for _name, _here in CALLED_OTHERWISE.items():
    setattr(Value, _name, _elsewhere(_name, _here))
