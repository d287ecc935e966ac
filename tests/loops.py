"""Loops to try `scan` and `fori` on: each is a function of a scan, so that it can be unrolled as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optree

import chainrule as cr
from chainrule import Value

Scan = Callable[..., Any]


def unrolled(f: Any, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False) -> Any:
    """What `scan` means: a Python loop."""
    rows, spec = optree.tree_flatten(xs)
    n = length if length is not None else rows[0].shape[0]
    carry, collected = init, []
    for i in reversed(range(n)) if reverse else range(n):
        carry, y = f(carry, optree.tree_unflatten(spec, [row[i] for row in rows]))
        collected.append(y)
    if reverse:
        collected.reverse()
    flat = [optree.tree_flatten(y) for y in collected]
    stacks = [np.stack(list(leaves)) for leaves in zip(*[leaves for leaves, _ in flat], strict=True)]
    return carry, optree.tree_unflatten(flat[0][1], stacks)


class Loop(NamedTuple):
    name: str
    function: Callable[..., Any]  # of a scan and the arguments
    args: tuple[Any, ...]

    def __str__(self) -> str:
        return self.name


def reals(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed + sum(shape)).normal(size=shape) * 0.5


def recurrent(scan: Scan, w: Any, u: Any, b: Any, xs: Any) -> Any:
    """Parameters closed over, a state carried and collected."""

    def step(h: Any, x: Any) -> Any:
        h = np.tanh(w @ h + u @ x + b)
        return h, h

    h, hs = scan(step, np.zeros(3), xs)
    return np.sum(hs * hs) + np.sum(np.sin(h))


def containers(scan: Scan, a: Any, v: Any) -> Any:
    """A carry of containers with a counter and a number; several ys."""

    def step(carry: Any, x: Any) -> Any:
        (p, q), k = carry["state"], carry["count"]
        q = q * 0.5 + np.sum(np.sin(p)) * x["s"] + k
        p = p * a + q * x["v"]
        return {"state": (p, q), "count": k + 1}, {"p": p, "rest": (q, None, 2.0 * k)}

    init = {"state": (v, 0.25), "count": 1}
    carry, ys = scan(step, init, {"v": np.array([[1.0, 2.0], [0.5, 0.1], [2.0, 0.0]]), "s": np.arange(3.0)})
    p, q = carry["state"]
    return np.sum(p) * q + np.sum(ys["p"] ** 2) + np.sum(ys["rest"][0] * ys["rest"][2])


def backwards(scan: Scan, xs: Any) -> Any:
    """A discounted sum from the end."""
    total, ys = scan(lambda r, x: (np.sin(x) + 0.9 * r, r * x), 0.0, xs, reverse=True)
    return total * np.sum(ys[1:] ** 2)


def odd_outputs(scan: Scan, a: Any, b: Any) -> Any:
    """Leaves that stay as they are, that are what is closed over, that are reset, that are constants."""

    def step(carry: Any, _: Any) -> Any:
        kept, replaced, reset = carry
        return (kept, b, reset * 0 + 1.0), (a, kept, b * replaced, 3.0, replaced)

    (kept, replaced, reset), ys = scan(step, (a, a * 2, b), length=3)
    sums = sum((i + 1) * np.sum(np.exp(y)) for i, y in enumerate(ys))
    return np.sum(kept * replaced + reset) + sums


def numbers(scan: Scan, x: Any, r: Any) -> Any:
    """Python numbers: the logistic map."""
    x, xs = scan(lambda x, _: (r * x * (1 - x), x), x, length=5)
    return x + np.sum(xs**2)


def nested(scan: Scan, w: Any, x: Any) -> Any:
    def inner(c: Any, s: Any) -> Any:
        c = np.tanh(w @ c) * s
        return c, np.sum(c * c)

    def outer(c: Any, i: Any) -> Any:
        c, ys = scan(inner, c + x, np.array([1.0, 0.5]))
        return c * i, np.sum(ys)

    c, ys = scan(outer, x, np.array([1.0, 2.0, 0.5]))
    return np.sum(ys) * np.sum(c)


def descent(scan: Scan, x: Any, target: Any) -> Any:
    """Gradient descent: a derivative within each step."""

    def loss(x: Any) -> Any:
        return np.sum((np.sin(x) - target) ** 2)

    x, losses = scan(lambda x, rate: (x - rate * cr.grad(loss)(x), loss(x)), x, np.array([0.1, 0.2, 0.1]))
    return np.sum(x) + np.sum(losses)


def picked(scan: Scan, table: Any) -> Any:
    """Integers among the xs choose rows."""
    c, ys = scan(lambda c, i: (c * 0.5 + table[i], c @ table[i]), table[0], np.array([2, 0, 2, 1]))
    return np.sum(c) * np.sum(ys)


def matrices(scan: Scan, a: Any, v: Any) -> Any:
    """The power method, with xs that are differentiated and broadcast."""
    x, norms = scan(lambda x, s: ((a @ x) * s, np.sum(x * x)), v, np.stack([np.sum(v), 1.0 + np.sum(a), 0.3]))
    return np.sum(x) + np.sum(norms)


LOOPS = [
    Loop("recurrent", recurrent, (reals(3, 3), reals(3, 2), reals(3), reals(4, 2))),
    Loop("containers", containers, (0.7, reals(2))),
    Loop("backwards", backwards, (reals(4),)),
    Loop("odd outputs", odd_outputs, (reals(2), reals(2, seed=1))),
    Loop("numbers", numbers, (0.3, 2.5)),
    Loop("nested", nested, (reals(2, 2), reals(2))),
    Loop("descent", descent, (reals(2), reals(2, seed=5))),
    Loop("picked", picked, (reals(3, 2),)),
    Loop("matrices", matrices, (reals(2, 2), reals(2))),
]


def directions(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A direction for each argument."""
    rng = np.random.default_rng(7)
    return tuple(float(rng.normal()) if type(x) is float else rng.normal(size=x.shape) for x in args)


def of_values(f: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
    """The value, and the gradients that backward() leaves at the arguments."""
    leaves = [Value(x) for x in args]
    y = f(*leaves)
    y.backward()
    return [y.data, *[v.grad for v in leaves]]
