"""A captured program carried out by NumPy, one operation after the other.

What each operation means, written as plainly as can be: the fast path is compared with this, and a
program falls back to it for whatever it has no machine code for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import optree

from chainrule.native import tape
from chainrule.rules.convolution import correlate, correlate_kernels
from chainrule.rules.elementary import sech2, sigmoid
from chainrule.traced import Traced

__all__ = ["evaluate", "order", "run"]


def order(roots: Iterable[Traced]) -> list[Traced]:
    """Every node the roots are computed from, inputs before what uses them."""
    found: dict[Traced, None] = {}
    stack: list[tuple[Traced, bool]] = [(r, False) for r in roots][::-1]
    while stack:
        x, ready = stack.pop()
        if ready:
            found[x] = None
        elif x not in found:
            stack.append((x, True))
            stack.extend((i, False) for i in x.inputs if i not in found)
    return list(found)


def evaluate(nodes: Sequence[Traced], given: Sequence[Any]) -> dict[Traced, Any]:
    """The value of every node; ``given`` are the inputs' data, by slot."""
    values: dict[Traced, Any] = {}
    with np.errstate(all="ignore"):
        for x in nodes:
            if x.op == "input":
                values[x] = given[x.params["slot"]]
            elif x.op == "constant":
                values[x] = x.params["value"]
            else:
                y = run(x, [values[i] for i in x.inputs])
                values[x] = y if isinstance(y, tuple | list) else np.asarray(y, x.dtype)
    return values


def run(x: Traced, a: Sequence[Any]) -> Any:
    """One operation on the data of its inputs."""
    f = _RUN.get(x.op)
    if f is not None:
        return f(x, *a)
    y = getattr(np, x.op)(*[np.asarray(v, i.dtype) for v, i in zip(a, x.inputs, strict=True)])
    return y


def _multiply_add(x: Traced, a: Any, b: Any, c: Any) -> Any:
    minus = x.params["minus"]
    return a * b - c if minus == "term" else c - a * b if minus == "product" else a * b + c


def _slices(starts: Any, counts: Any, steps: Any) -> tuple[slice, ...]:
    return tuple(
        slice(s, None if s + n * k < 0 else s + n * k, k)
        for s, n, k in zip(starts, counts, steps, strict=True)
    )


def _unslice(x: Traced, g: Any) -> Any:
    out = np.zeros(x.shape, x.dtype)
    out[_slices(x.params["starts"], np.shape(g), x.params["steps"])] = g
    return out


def _scatter_add(x: Traced, g: Any, *indices: Any) -> Any:
    out = np.zeros(x.shape, x.dtype)
    np.add.at(out, tuple(np.broadcast_to(i, x.params["indexed"]) for i in indices), g)
    return out


def _call(x: Traced, *a: Any) -> Any:
    flat = list(x.params["rest"])
    for i, v, source in zip(x.params["traced"], a, x.inputs, strict=True):
        flat[i] = v if np.ndim(v) else np.asarray(v).item() if source.weak else np.asarray(v)[()]
    args, kwargs = optree.tree_unflatten(x.params["spec"], flat)
    return x.params["function"](*args, **kwargs)


def _reduce(x: Traced, a: Any) -> Any:
    return getattr(np, x.op)(a, keepdims=True, **x.params)


def _extreme(x: Traced, a: Any) -> Any:
    return getattr(np, x.op)(a, axis=x.params["axis"][0], keepdims=True)


def _accumulate(x: Traced, a: Any) -> Any:
    return getattr(np, x.op)(a, axis=x.params["axis"][0], dtype=x.dtype)


def _scan(x: Traced, *a: Any) -> Any:
    p, body = x.params, x.params["body"]
    k, c, nodes = p["constants"], p["carries"], order(body.outputs)
    constants, carry, xs = a[:k], list(a[k : k + c]), a[k + c :]
    ys = [np.zeros(shape, dtype) for shape, dtype in p["results"][c:]]
    steps = range(p["length"])
    for i in reversed(steps) if p["reverse"] else steps:
        values = evaluate(nodes, [*constants, *carry, *[r[i] for r in xs]])
        carry = [values[o] for o in body.outputs[:c]]
        for y, o in zip(ys, body.outputs[c:], strict=True):
            y[i] = values[o]
    return [*carry, *ys]


def _while(x: Traced, *a: Any) -> Any:
    k, (condition,), body = x.params["constants"], x.params["condition"].outputs, x.params["body"].outputs
    constants, carry = a[:k], list(a[k:])
    holds, nodes = order([condition]), order(body)
    while evaluate(holds, [*constants, *carry])[condition]:
        values = evaluate(nodes, [*constants, *carry])
        carry = [values[o] for o in body]
    return carry


def _cond(x: Traced, predicate: Any, *a: Any) -> Any:
    outputs = x.params["branches"][0 if predicate else 1].outputs
    values = evaluate(order(outputs), a)
    return [values[o] for o in outputs]


_RUN: dict[str, Callable[..., Any]] = {
    "cast": lambda x, a: np.asarray(a).astype(x.dtype),
    "where": lambda x, c, a, b: np.where(c, a, b),
    "sech2": lambda x, a: sech2.run(np.asarray(a)),
    "sigmoid": lambda x, a: sigmoid.run(np.asarray(a)),
    "reshape": lambda x, a: np.reshape(a, x.shape),
    "transpose": lambda x, a: np.transpose(a, x.params["axes"]),
    "broadcast_to": lambda x, a: np.broadcast_to(a, x.shape),
    "slice": lambda x, a: a[_slices(x.params["starts"], x.shape, x.params["steps"])],
    "unslice": _unslice,
    "concatenate": lambda x, *a: np.concatenate(a, x.params["axis"]),
    "gather": lambda x, a, *i: a[tuple(np.broadcast_to(k, x.params["indexed"]) for k in i)],
    "scatter_add": _scatter_add,
    "multiply_add": _multiply_add,
    "gemm": lambda x, a, b, base, scale=1.0: base + x.params["sign"] * scale * (a @ b),
    "correlate": lambda x, a, b: correlate.run(a, b, **x.params),
    "correlate_kernels": lambda x, a, b: correlate_kernels.run(a, b, **x.params),
    "iota": lambda x: (x.params["start"] + np.arange(x.size)).reshape(x.shape).astype(x.dtype),
    "pack": lambda x, *a: np.array(a, x.dtype),
    "element": lambda x, a: a[x.params["index"]],
    "argmax": _extreme,
    "argmin": _extreme,
    "cumsum": _accumulate,
    "cumprod": _accumulate,
    "tape": tape.run,
    "call": _call,
    "item": lambda x, a: a[x.params["index"]],
    "scan": _scan,
    "while": _while,
    "cond": _cond,
    **dict.fromkeys(("sum", "max", "min", "prod", "any", "all"), _reduce),
}
