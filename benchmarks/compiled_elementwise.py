"""tanh(1.5x + 0.3)·exp(-x) and its gradient beside the memory's speed; a chain of a hundred tanh."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.side_by_side import (
    TURN,
    Contestant,
    compare,
    jax_value_and_grad,
    our_value_and_grad,
    torch_value_and_grad,
)
from benchmarks.timing import Row, in_turn

CASES: dict[str, dict[str, Any]] = {
    f"tanh(1.5x+0.3)·exp(-x), {size:.0e} {dtype}".replace("e+0", "e"): {"size": size, "dtype": dtype}
    for size in (100_000, 10_000_000)
    for dtype in ("float32", "float64")
}
CHAIN = {"size": 1000}


def product(xp: Any, x: Any) -> Any:
    return xp.sum(xp.tanh(1.5 * x + 0.3) * xp.exp(-x))


def chain(xp: Any, x: Any) -> Any:
    for _ in range(100):
        x = xp.tanh(0.9 * x + 0.1)
    return xp.sum(x)


def data(size: int, dtype: str) -> Any:
    return np.random.default_rng(0).normal(size=size).astype(dtype)


def function(size: int, dtype: str) -> tuple[Any, tuple[Any, ...]]:
    return partial(product, np), (data(size, dtype),)


def chain_function(size: int) -> tuple[Any, tuple[Any, ...]]:
    return partial(chain, np), (np.linspace(-1, 1, size),)


def chain_ours(size: int) -> Contestant:
    f, args = chain_function(size)
    return our_value_and_grad(f, *args)


def chain_with_jax(size: int) -> Contestant:
    import jax.numpy as jnp

    return jax_value_and_grad(partial(chain, jnp), *chain_function(size)[1])


def memory(x: Any) -> dict[str, tuple[int, Contestant]]:
    """NumPy's ways to move arrays as large as x: how many arrays each moves, and the call."""
    a, b, c = x.copy(), x.copy(), x.copy()
    return {
        "copy": (2, lambda: np.copyto(b, a)),
        "scale": (2, lambda: np.multiply(a, 3.0, out=b)),
        "sum": (3, lambda: np.add(a, b, out=c)),
    }


def rows(work: str, size: int, dtype: str) -> Iterator[Row]:
    import jax.numpy as jnp
    import torch

    f, (x,) = function(size, dtype)
    contestants = {
        "chainrule": our_value_and_grad(f, x),
        "jax": jax_value_and_grad(partial(product, jnp), x),
        "torch": torch_value_and_grad(partial(product, torch), x),
    }
    rtol = 2e-4 if dtype == "float32" else 1e-10  # float32: entries near the gradient's zero, long sums
    yield from compare(work, contestants, {"jax": 0.6, "torch": 0.3}, rtol, atol=rtol / 10)
    moving = memory(x)
    moves = {name: move for name, (_, move) in moving.items()}
    times = in_turn({"chainrule": contestants["chainrule"], **moves}, turn=TURN)
    seconds_an_array = min(times[name] / arrays for name, (arrays, _) in moving.items())
    bound = 2 * seconds_an_array  # x is read, the gradient written
    target = 1.3 if size == 10_000_000 else None
    yield Row(f"{work}: time / (bytes / bandwidth)", times["chainrule"] / bound, "×", target)


def run() -> Iterator[Row]:
    import jax
    import torch

    with jax.enable_x64(True):
        for work, case in CASES.items():
            yield from rows(work, **case)
        f, (x,) = chain_function(**CHAIN)
        contestants = {
            "chainrule": our_value_and_grad(f, x),
            "jax": chain_with_jax(**CHAIN),
            "torch": torch_value_and_grad(partial(chain, torch), x),
        }
        work = "100 × tanh(0.9x+0.1), 1000 float64, gradient"
        yield from compare(work, contestants, {"jax": 0.5, "torch": None}, rtol=1e-8)
