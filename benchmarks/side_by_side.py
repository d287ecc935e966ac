"""The same work by chainrule and its peers: they must agree first, then they are timed in turn.

A contestant is a function without arguments, whose result is what is compared: a loss, or a value and its
gradient.  Peers are imported where they are used, so that a process of one contestant holds nobody else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import optree

import chainrule as cr
from benchmarks.timing import Row, in_turn

Contestant = Callable[[], Any]
WHOSE = {"jax": "JAX's", "torch": "PyTorch's", "casadi": "CasADi's"}
TURN = 0.02  # seconds


def training_step(loss: Callable[..., Any], optimiser: Any) -> Callable[..., Any]:
    """The usual loop body; word for word the same for chainrule and for PyTorch.

    The gradients are dropped after the step, as in JAX's functional form: nobody has to keep them.
    """

    def step(*batch: Any) -> Any:
        value = loss(*batch)
        value.backward()
        optimiser.step()
        optimiser.zero_grad()
        return value

    return step


def jax_training(step: Callable[..., Any], state: Any, *batch: Any) -> Contestant:
    """Call ``step(state, *batch) -> state, loss``, jitted with its state donated, again and again."""
    import jax

    jitted = jax.jit(step, donate_argnums=0)
    state = jax.tree.map(jax.numpy.array, state)  # copies: donated buffers are gone
    batch = jax.tree.map(jax.numpy.asarray, batch)

    def call() -> Any:
        nonlocal state
        state, loss = jitted(state, *batch)
        return loss.block_until_ready()  # one executable: the rest is ready with it

    return call


def jax_sgd(loss: Callable[..., Any], rate: float, params: Any, *batch: Any) -> Contestant:
    """Gradient descent as a JAX user writes it."""
    import jax

    def step(params: Any, *batch: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(params, *batch)
        return jax.tree.map(lambda p, g: p - rate * g, params, grads), value

    return jax_training(step, params, *batch)


def jax_cross_entropy(logits: Any, labels: Any) -> Any:
    """As Optax writes it; half the time of picking from ``log_softmax`` at 32,000 classes."""
    import jax

    chosen = jax.numpy.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return jax.numpy.mean(jax.nn.logsumexp(logits, axis=-1) - chosen)


def jax_value_and_grad(f: Callable[..., Any], *args: Any) -> Contestant:
    import jax

    jitted, args = jax.jit(jax.value_and_grad(f)), jax.tree.map(jax.numpy.asarray, args)
    return lambda: jax.block_until_ready(jitted(*args))


def our_value_and_grad(f: Callable[..., Any], *args: Any) -> Contestant:
    return partial(cr.compile(cr.value_and_grad(f)), *args)


def torch_value_and_grad(f: Callable[..., Any], x: Any, *args: Any) -> Contestant:
    import torch

    leaf, args = torch.tensor(x, requires_grad=True), tuple(map(torch.tensor, args))

    def call() -> Any:
        value = f(leaf, *args)
        return value.detach(), *torch.autograd.grad(value, leaf)

    return call


def numbers(result: Any) -> list[Any]:
    """The leaves of a result as arrays, whoever made it."""
    leaves = optree.tree_leaves(result)
    return [np.asarray(cr.data(x.detach() if hasattr(x, "detach") else x)) for x in leaves]


@cache
def start_compilers() -> None:
    """Let everybody load what loads with a first program, so that first calls are of the program alone."""
    import jax

    cr.compile(lambda x: x + 1.0)(np.ones(2))
    jax.jit(lambda x: x + 1.0)(np.ones(2)).block_until_ready()


def compare(
    work: str,
    contestants: dict[str, Contestant],
    targets: dict[str, float | None],
    rtol: float,
    atol: float = 0.0,
    seconds: float = 3.0,
) -> Iterator[Row]:
    """Rows of time / peer's time; "chainrule" is one of the contestants, `targets` name the others."""
    start_compilers()
    first: dict[str, float] = {}
    for _ in range(3):
        results = {}
        for name, contestant in contestants.items():
            start = time.perf_counter()
            result = contestant()
            first.setdefault(name, time.perf_counter() - start)
            results[name] = numbers(result)
        for name in targets:
            for ours, theirs in zip(results["chainrule"], results[name], strict=True):
                message = f"{work}: chainrule and {name} compute different things"
                np.testing.assert_allclose(ours, theirs, rtol, atol, err_msg=message)
    times = in_turn(contestants, seconds, TURN)
    for name, target in targets.items():
        yield Row(f"{work}: time / {WHOSE[name]}", times["chainrule"] / times[name], "×", target)
    if "jax" in first:
        yield Row(f"{work}: first call / JAX's first call", first["chainrule"] / first["jax"], "×")
