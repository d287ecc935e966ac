"""A thousand steps that are not unrolled, value and gradient: a recurrent network, a pendulum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.side_by_side import compare, jax_value_and_grad, our_value_and_grad
from benchmarks.timing import Row

STEPS = 1000
CASES: dict[str, dict[str, Any]] = {
    "RNN, 1000 steps, hidden 32, batch 1, float32": {"hidden": 32, "batch": 1},
    "RNN, 1000 steps, hidden 64, batch 8, float32": {"hidden": 64, "batch": 8},
    "pendulum, 1000 Runge-Kutta steps, float64": {"hidden": 0, "batch": 0},
}


def recurrent(xp: Any, scan: Callable[..., Any], params: Any, xs: Any) -> Any:
    """Mean square of the states of h = tanh(x U + h W + b); xs is (T, B, 8)."""
    u, w, b = params

    def step(h: Any, x: Any) -> Any:
        h = xp.tanh(x @ u + h @ w + b)
        return h, h

    _, hs = scan(step, xp.zeros((xs.shape[1], w.shape[0]), xs.dtype), xs)
    return xp.mean(hs * hs)


def pendulum(xp: Any, scan: Callable[..., Any], state: Any) -> Any:
    """Sum of the squared angles of a damped pendulum; state: angle, velocity, g / l, damping."""
    angle, velocity, pull, damping = state
    dt = 0.01

    def slope(q: Any, v: Any) -> Any:
        return v, -pull * xp.sin(q) - damping * v

    def step(carry: Any, _: Any) -> Any:
        q, v = carry
        q1, v1 = slope(q, v)
        q2, v2 = slope(q + dt / 2 * q1, v + dt / 2 * v1)
        q3, v3 = slope(q + dt / 2 * q2, v + dt / 2 * v2)
        q4, v4 = slope(q + dt * q3, v + dt * v3)
        q = q + dt / 6 * (q1 + 2 * q2 + 2 * q3 + q4)
        v = v + dt / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        return (q, v), q

    _, angles = scan(step, (angle, velocity), length=STEPS)
    return xp.sum(angles * angles)


def data(hidden: int, batch: int) -> tuple[Any, ...]:
    if not hidden:
        return (tuple(map(np.array, (1.0, 0.0, 9.81, 0.1))),)
    rng = np.random.default_rng(0)
    make = lambda *shape, scale=1.0: (scale * rng.normal(size=shape)).astype(np.float32)
    params = make(8, hidden, scale=0.3), make(hidden, hidden, scale=hidden**-0.5), make(hidden, scale=0.1)
    return params, make(STEPS, batch, 8)


def function(hidden: int, batch: int) -> tuple[Any, tuple[Any, ...]]:
    return partial(recurrent if hidden else pendulum, np, cr.scan), data(hidden, batch)


def run() -> Iterator[Row]:
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        for work, case in CASES.items():
            f, args = function(**case)
            theirs = partial(recurrent if case["hidden"] else pendulum, jnp, jax.lax.scan)
            contestants = {
                "chainrule": our_value_and_grad(f, *args),
                "jax": jax_value_and_grad(theirs, *args),
            }
            rtol = 1e-3 if case["hidden"] else 1e-8  # a thousand steps of float32
            yield from compare(work, contestants, {"jax": 0.7}, rtol, atol=rtol / 10)
