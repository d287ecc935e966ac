"""Layers and functions for which ONNX has one operation, where the program has several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.interchange.onnx_writer import Writer

__all__ = ["FUNCTIONS", "LAYERS"]


def _convolution(w: Writer, layer: Any, x: str) -> str:
    if layer.padding == "same":
        reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size)]
        pads = [(r // 2, r - r // 2) for r in reach]
    else:
        pads = [(p, p) for p in layer.padding]
    return w.node("Conv", x, *_parameters(w, layer), pads=_both(pads), **_steps(layer))


def _transposed(w: Writer, layer: Any, x: str) -> str:
    pads = _both([(p, p) for p in layer.padding])
    more = {"output_padding": list(layer.output_padding)}
    return w.node("ConvTranspose", x, *_parameters(w, layer), pads=pads, **_steps(layer), **more)


def _steps(layer: Any) -> dict[str, Any]:
    return {
        "kernel_shape": list(layer.kernel_size), "strides": list(layer.stride),
        "dilations": list(layer.dilation), "group": layer.groups,
    }  # fmt: skip


def _both(pads: list[tuple[int, int]]) -> list[int]:
    """ONNX has the beginnings of all axes, then the ends."""
    return [a for a, _ in pads] + [b for _, b in pads]


def _parameters(w: Writer, layer: Any) -> list[str]:
    return [w.operand(p) for p in (layer.weight, layer.bias) if p is not None]


def _pooling(op: str, **more: Any) -> Callable[[Writer, Any, str], str]:
    def write(w: Writer, layer: Any, x: str) -> str:
        pads = _both([(p, p) for p in layer.padding])
        kernel, strides = list(layer.kernel_size), list(layer.stride)
        ceil = int(layer.ceil_mode)
        return w.node(op, x, kernel_shape=kernel, strides=strides, pads=pads, ceil_mode=ceil, **more)

    return write


def _gain_and_shift(w: Writer, layer: Any, shape: Any) -> list[str]:
    gain = np.ones(shape) if layer.weight is None else layer.weight
    shift = np.zeros(shape) if layer.bias is None else layer.bias
    return [w.operand(gain), w.operand(shift)]


def _batch_norm(w: Writer, layer: Any, x: str) -> str:
    statistics = [w.operand(layer.running_mean), w.operand(layer.running_var)]
    gain = _gain_and_shift(w, layer, layer.num_features)
    return w.node("BatchNormalization", x, *gain, *statistics, epsilon=layer.eps)


def _layer_norm(w: Writer, layer: Any, x: str) -> str:
    gain = _gain_and_shift(w, layer, layer.normalized_shape)
    return w.node("LayerNormalization", x, *gain, axis=-len(layer.normalized_shape), epsilon=layer.eps)


# by the very type: a subclass may do something else
LAYERS: Mapping[type, Callable[[Writer, Any, str], str]] = {
    nn.Conv1d: _convolution, nn.Conv2d: _convolution,
    nn.ConvTranspose1d: _transposed, nn.ConvTranspose2d: _transposed,
    nn.MaxPool1d: _pooling("MaxPool"), nn.MaxPool2d: _pooling("MaxPool"),
    nn.AvgPool1d: _pooling("AveragePool", count_include_pad=1),
    nn.AvgPool2d: _pooling("AveragePool", count_include_pad=1),
    nn.BatchNorm1d: _batch_norm, nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
}  # fmt: skip


def _along(op: str) -> Callable[..., str]:
    return lambda w, x, *, axis: w.node(op, x, axis=axis[0] if isinstance(axis, tuple) else axis)


def _gelu(w: Writer, x: str) -> str:
    """``x/2 (1 + erf(x √½))``; there is a Gelu from opset 20 on only."""
    half, one, scale = (w.constant(np.array(c, w.kind)) for c in (0.5, 1.0, 0.5**0.5))
    return w.node("Mul", w.node("Mul", x, half), w.node("Add", one, w.node("Erf", w.node("Mul", x, scale))))


# primitives of the engine, by name
FUNCTIONS: Mapping[str, Callable[..., str]] = {
    "relu": lambda w, x: w.node("Relu", x),
    "leaky_relu": lambda w, x, *, slope: w.node("LeakyRelu", x, alpha=float(slope)),
    "elu": lambda w, x, *, alpha: w.node("Elu", x, alpha=float(alpha)),
    "softplus": lambda w, x: w.node("Softplus", x),
    "erf": lambda w, x: w.node("Erf", x),
    "gelu": _gelu,
    "silu": lambda w, x: w.node("Mul", x, w.node("Sigmoid", x)),
    "softmax": _along("Softmax"),
    "log_softmax": _along("LogSoftmax"),
}
