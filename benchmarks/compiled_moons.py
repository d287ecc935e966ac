"""micrograd's moons step compiled: its own scalar loop, and the same network on arrays, in float64."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.moons import STEP
from benchmarks.side_by_side import TURN, Contestant, compare, jax_sgd, training_step
from benchmarks.timing import Row, child, in_turn
from chainrule import optim
from chainrule.micrograd.engine import Value
from chainrule.micrograd.nn import MLP

RATE = 0.1


def data() -> tuple[Any, Any]:
    from sklearn.datasets import make_moons

    x, y = make_moons(n_samples=100, noise=0.1, random_state=1)
    return x, y * 2 - 1


def micrograd_model() -> MLP:
    random.seed(1337)
    return MLP(2, [16, 16, 1])


def scalar_network() -> tuple[Any, list[Value], tuple[Any, ...]]:
    """The loss as in micrograd's demo, its parameters, and what it is called with."""
    x, y = data()
    model = micrograd_model()

    def loss() -> Any:
        scores = [model(list(map(Value, row))) for row in x]
        losses = [(1 + -yi * s).relu() for yi, s in zip(y, scores)]
        return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())

    return loss, model.parameters(), ()


def scalars() -> Contestant:
    loss, parameters, _ = scalar_network()

    @cr.compile
    def step(rate: float) -> Any:
        total = loss()
        for p in parameters:
            p.grad = 0.0
        total.backward()
        for p in parameters:
            p.data -= rate * p.grad
        return total

    return lambda: step(RATE)


def weights() -> list[Any]:
    """W (n_in, n_out) and b (n_out,) of each layer of micrograd's network."""
    arrays = []
    for layer in micrograd_model().layers:
        arrays.append(np.array([[w.data for w in n.w] for n in layer.neurons], dtype=float).T.copy())
        arrays.append(np.array([n.b.data for n in layer.neurons], dtype=float))
    return arrays


def array_loss(xp: Any, params: Any, x: Any, y: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    hidden = xp.maximum(xp.maximum(x @ w1 + b1, 0.0) @ w2 + b2, 0.0)  # (100, 16)
    scores = (hidden @ w3 + b3)[:, 0]
    return xp.mean(xp.maximum(1.0 - y * scores, 0.0)) + 1e-4 * sum(xp.sum(p * p) for p in params)


def array_network() -> tuple[Any, list[Value], tuple[Any, ...]]:
    parameters = [cr.Value(w) for w in weights()]
    x, y = data()
    return partial(array_loss, np, parameters), parameters, (x, y.astype(float))


def ours() -> Contestant:
    loss, parameters, batch = array_network()
    return partial(cr.compile(training_step(loss, optim.SGD(parameters, lr=RATE))), *batch)


def with_torch() -> Contestant:
    import torch

    params = [torch.tensor(w, requires_grad=True) for w in weights()]
    tx, ty = torch.tensor(data()[0]), torch.tensor(data()[1], dtype=torch.float64)

    def loss(x: Any, y: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = params
        hidden = torch.relu(torch.addmm(b2, torch.relu(torch.addmm(b1, x, w1)), w2))
        scores = torch.addmm(b3, hidden, w3)[:, 0]
        return torch.relu(1.0 - y * scores).mean() + 1e-4 * sum((p * p).sum() for p in params)

    return partial(training_step(loss, torch.optim.SGD(params, lr=RATE)), tx, ty)


def with_jax() -> Contestant:
    import jax.numpy as jnp

    x, y = data()
    return jax_sgd(partial(array_loss, jnp), RATE, weights(), x, y.astype(float))


def with_casadi() -> Contestant:
    """The scalar graph of loss and gradient on SX's virtual machine; the update of 337 numbers in NumPy."""
    import casadi

    params = casadi.SX.sym("p", 337)
    rest, total = iter(casadi.vertsplit(params)), 0.0
    shape, x, y = [(2, 16), (16, 16), (16, 1)], *data()
    layers = [[([next(rest) for _ in range(m)], next(rest)) for _ in range(n)] for m, n in shape]
    for row, label in zip(x, y):
        values = list(map(float, row))
        for i, layer in enumerate(layers):
            values = [sum((w * v for w, v in zip(ws, values)), b) for ws, b in layer]
            values = [casadi.fmax(v, 0.0) for v in values] if i < 2 else values
        total = total + casadi.fmax(1.0 - float(label) * values[0], 0.0)
    loss = total * (1.0 / len(y)) + 1e-4 * casadi.sumsqr(params)
    program = casadi.Function("loss", [params], [loss, casadi.gradient(loss, params)])
    p = np.array([p.data for p in micrograd_model().parameters()], dtype=float)
    value, gradient = np.zeros(1), np.zeros(337)
    buffer, evaluate = program.buffer()  # CasADi's own way around copying arguments and results
    buffer.set_arg(0, memoryview(p))
    buffer.set_res(0, memoryview(value))
    buffer.set_res(1, memoryview(gradient))

    def step() -> Any:
        evaluate()
        np.subtract(p, RATE * gradient, out=p)
        return value[0].copy()

    step.buffer = buffer  # it must outlive evaluate()
    return step


def run() -> Iterator[Row]:
    import jax

    with jax.enable_x64(True):
        peers = {"jax": with_jax(), "torch": with_torch()}
        targets = {"jax": 0.4, "torch": 0.08, "casadi": 0.06}
        work = "moons step, scalar loop + one decorator"
        step = scalars()
        yield from compare(work, {"chainrule": step, **peers, "casadi": with_casadi()}, targets, rtol=1e-7)
        theirs = child(STEP, package="micrograd", steps=4, collect=True)["time"]
        yield Row(f"{work}: times quicker than micrograd", theirs / in_turn({"": step}, 0.5, TURN)[""], "×")
        contestants = {"chainrule": ours(), "jax": with_jax(), "torch": with_torch()}
        yield from compare("moons step, arrays", contestants, {"jax": 0.3, "torch": 0.06}, rtol=1e-7)
