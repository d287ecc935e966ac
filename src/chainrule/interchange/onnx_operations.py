"""Operations of a captured program in ONNX; their meaning is stated in `chainrule.native.operations`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.interchange.onnx_writer import ExportError, Writer
from chainrule.traced import Traced

__all__ = ["write_operation"]

Write = Callable[..., str]

# names that differ, not meanings: one operation of ONNX for one of ours
_SAME = {
    "negative": "Neg", "absolute": "Abs", "sign": "Sign", "exp": "Exp", "log": "Log", "sqrt": "Sqrt",
    "reciprocal": "Reciprocal", "sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin",
    "arccos": "Acos", "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh",
    "arcsinh": "Asinh", "arccosh": "Acosh", "arctanh": "Atanh", "floor": "Floor", "ceil": "Ceil",
    "rint": "Round", "isnan": "IsNaN", "isinf": "IsInf", "logical_not": "Not", "sigmoid": "Sigmoid",
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "power": "Pow",
    "maximum": "Max", "minimum": "Min", "less": "Less", "less_equal": "LessOrEqual",
    "greater": "Greater", "greater_equal": "GreaterOrEqual", "equal": "Equal", "logical_and": "And",
    "logical_or": "Or", "logical_xor": "Xor", "where": "Where", "matmul": "MatMul",
}  # fmt: skip
_REDUCTIONS = {"sum": "ReduceSum", "max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd"}


def _cast(w: Writer, x: Traced, a: str) -> str:
    from onnx import helper

    if w.dtype(x.inputs[0].dtype) == w.dtype(x.dtype):
        return a
    return w.node("Cast", a, to=helper.np_dtype_to_tensor_dtype(w.dtype(x.dtype)))


def _reduce(w: Writer, x: Traced, a: str) -> str:
    return w.node(_REDUCTIONS[x.op], a, w.integers(x.params["axis"]), keepdims=1)


def _transpose(w: Writer, x: Traced, a: str) -> str:
    return w.node("Transpose", a, perm=list(x.params["axes"]))


def _slice(w: Writer, x: Traced, a: str) -> str:
    (source,) = x.inputs
    starts, ends, axes, steps = [], [], [], []
    for k, (start, step, n) in enumerate(zip(x.params["starts"], x.params["steps"], x.shape)):
        if (start, step, n) == (0, 1, source.shape[k]):
            continue  # all of this axis
        if w.varies(x)[k] or w.varies(source)[k]:
            w.refuse(x, "the reach")
        end = start + n * step
        starts.append(start)
        ends.append(np.iinfo(np.int64).min if end < 0 else end)
        axes.append(k)
        steps.append(step)
    return w.node("Slice", a, *map(w.integers, (starts, ends, axes, steps)))


def _unslice(w: Writer, x: Traced, a: str) -> str:
    (source,), starts = x.inputs, x.params["starts"]
    if any(s != 1 for s in x.params["steps"]):
        raise ExportError(
            f"{w.where(x)}: an array is put into zeros with gaps, for which ONNX has no operation; of layers "
            "ConvTranspose1d and ConvTranspose2d are exported"
        )
    after = [n - s - m for n, s, m in zip(x.shape, starts, source.shape)]
    if any(v and (s or e) for v, s, e in zip(w.varies(x), starts, after)):
        w.refuse(x, "the place")
    return w.node("Pad", a, w.integers([*starts, *after]), w.constant(np.zeros((), source.dtype)))


def _gather(w: Writer, x: Traced, a: str, *indices: str) -> str:
    if len(indices) == 1 and x.inputs[1].shape == x.params["indexed"]:
        return w.node("Gather", a, indices[0], axis=0)
    if any(w.varies(x)):
        w.refuse(x, "the index")
    shape, last = w.integers(x.params["indexed"]), w.integers([-1])
    parts = [w.node("Unsqueeze", w.node("Expand", i, shape), last) for i in indices]
    return w.node("GatherND", a, w.node("Concat", *parts, axis=-1))


def _correlate(w: Writer, x: Traced, a: str, kernels: str) -> str:
    """Channels are last here, and second in ONNX."""
    n = x.ndim - 2
    images = w.node("Transpose", a, perm=[0, n + 1, *range(1, n + 1)])
    kernels = w.node("Transpose", kernels, perm=[n + 1, n, *range(n)])
    y = w.node(
        "Conv", images, kernels, strides=list(x.params["strides"]), dilations=list(x.params["dilation"])
    )
    return w.node("Transpose", y, perm=[0, *range(2, n + 2), 1])


def _pack(w: Writer, x: Traced, *numbers: str) -> str:
    return w.node("Concat", *[w.node("Reshape", a, w.integers([1])) for a in numbers], axis=0)


def _same(op: str) -> Write:
    return lambda w, x, *a: w.node(op, *a)


def _bits(op: str, of_bits: str) -> Write:
    return lambda w, x, *a: w.node(op if x.dtype.kind == "b" else of_bits, *a)


def _scaled(op: str, factor: float) -> Write:
    return lambda w, x, a: w.node("Mul", w.node(op, a), w.constant(np.array(factor, x.dtype)))


def _one(x: Traced) -> Any:
    return np.ones((), x.dtype)


_WRITTEN: dict[str, Write] = {
    **{name: _same(op) for name, op in _SAME.items()},
    **dict.fromkeys(_REDUCTIONS, _reduce),
    "bitwise_and": _bits("And", "BitwiseAnd"),
    "bitwise_or": _bits("Or", "BitwiseOr"),
    "bitwise_xor": _bits("Xor", "BitwiseXor"),
    "invert": _bits("Not", "BitwiseNot"),
    "square": lambda w, x, a: w.node("Mul", a, a),
    "exp2": lambda w, x, a: w.node("Pow", w.constant(2 * _one(x)), a),
    "expm1": lambda w, x, a: w.node("Sub", w.node("Exp", a), w.constant(_one(x))),
    "log1p": lambda w, x, a: w.node("Log", w.node("Add", w.constant(_one(x)), a)),
    "log2": _scaled("Log", 1 / math.log(2)),
    "log10": _scaled("Log", 1 / math.log(10)),
    "isfinite": lambda w, x, a: w.node("Not", w.node("Or", w.node("IsNaN", a), w.node("IsInf", a))),
    "not_equal": lambda w, x, a, b: w.node("Not", w.node("Equal", a, b)),
    "copysign": lambda w, x, a, b: w.node(
        "Where",
        w.node("Less", b, w.constant(0 * _one(x))),
        w.node("Neg", w.node("Abs", a)),
        w.node("Abs", a),
    ),
    # log(exp(a) + exp(b)), without overflow
    "logaddexp": lambda w, x, a, b: w.node(
        "Add", w.node("Max", a, b), w.node("Softplus", w.node("Neg", w.node("Abs", w.node("Sub", a, b))))
    ),
    "cast": _cast,
    "reshape": lambda w, x, a: w.node("Reshape", a, w.shape(x)),
    "broadcast_to": lambda w, x, a: w.node("Expand", a, w.shape(x)),
    "transpose": _transpose,
    "slice": _slice,
    "unslice": _unslice,
    "concatenate": lambda w, x, *a: w.node("Concat", *a, axis=x.params["axis"]),
    "gather": _gather,
    "correlate": _correlate,
    "pack": _pack,
    "element": lambda w, x, a: w.node("GatherND", a, w.integers(np.atleast_1d(x.params["index"]))),
    "argmax": lambda w, x, a: w.node("ArgMax", a, axis=x.params["axis"][0], keepdims=1),
    "argmin": lambda w, x, a: w.node("ArgMin", a, axis=x.params["axis"][0], keepdims=1),
    "cumsum": lambda w, x, a: w.node("CumSum", a, w.constant(np.array(x.params["axis"][0]))),
}


def write_operation(w: Writer, x: Traced) -> str:
    """Write one node, whose operands are written already; the name of its result.

    Raises
    ------
    ExportError
        If ONNX has nothing for it.
    """
    if x.op == "constant":
        other = w.others.get(x, x)
        if not np.array_equal(x.params["value"], other.params["value"], equal_nan=x.dtype.kind == "f"):
            w.refuse(x, "the numbers")
        value = x.params["value"]
        return w.constant(np.asarray(value, x.dtype), w.parameters.get(id(value)))
    write = _WRITTEN.get(x.op)
    if write is None:
        name = x.params.get("name", x.op)
        raise ExportError(
            f"{w.where(x)}: {name} is not translated to ONNX; feed-forward, convolutional and transformer "
            "models are exported, loops (scan, RNN, LSTM, GRU) and what NumPy does itself are not"
        )
    return write(w, x, *[w.names[i] for i in x.inputs])
