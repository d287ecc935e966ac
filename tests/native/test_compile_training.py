"""Whole training runs: a hundred steps of each model, compiled and eager, have one loss curve."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim
from chainrule.micrograd.engine import Value as Scalar
from chainrule.micrograd.nn import MLP as ScalarMLP
from chainrule.native.compile import Compiled
from tests.native.agree import agree, kind

STEPS = 100
Wrap = Callable[[Any], Any]


def moons(n: int, seed: int = 0) -> tuple[Any, Any]:
    """Two half circles, labels -1 and 1."""
    rng = np.random.default_rng(seed)
    angle, side = rng.uniform(0, np.pi, n), np.arange(n) % 2
    x = np.stack([np.cos(angle) * (1 - 2 * side) + side, np.sin(angle) * (1 - 2 * side) + 0.5 * side], axis=1)
    return x + rng.normal(size=(n, 2)) * 0.1, 2.0 * side - 1


def data(dtype: Any, classes: bool = False) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(48, 6)).astype(dtype)
    if classes:
        return x, rng.integers(0, 3, 48)
    return x, np.sin(x[:, :2] * x[:, 2:4]).astype(dtype)


def minibatches(x: Any, y: Any, size: int = 16) -> Any:
    rng = np.random.default_rng(2)
    for _ in range(STEPS):
        chosen = rng.permutation(len(x))[:size]
        yield x[chosen], y[chosen]


LOSSES: dict[str, Any] = {
    "cross-entropy": lambda z, y: nn.cross_entropy(z, y),
    "mse": lambda z, y: nn.mse(z[:, :2], y),
    "gaussian_nll": lambda z, y: nn.gaussian_nll(z[:, :2], np.exp(z[:, 2:3]) + 0.1 + 0 * z[:, :2], y),
    "hinge": lambda z, y: nn.hinge(z[:, 0], np.where(y[:, 0] > 0, 1.0, -1.0).astype(y.dtype)),
    "own": lambda z, y: np.mean(abs(z[:, :2] - y) ** 1.5) + 0.01 * np.sum(cr.softmax(z, axis=1)[:, 0] ** 2),
}
OPTIMISERS: dict[str, Any] = {
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "Adam with decay": lambda p: optim.Adam(p, lr=0.02, betas=(0.8, 0.95), weight_decay=0.01),
    "SGD": lambda p: optim.SGD(p, lr=0.05),
    "SGD with momentum": lambda p: optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=1e-3),
}


def train(
    wrap: Wrap, loss: str, optimiser: str, activation: str, dtype: Any, sizes: tuple[int, ...] = (6, 16, 8, 3)
) -> tuple[list[float], list[Any]]:
    model = nn.MLP(list(sizes), activation=activation, rng=0, dtype=dtype)
    opt = OPTIMISERS[optimiser](model.parameters())

    @wrap
    def step(x: Any, y: Any) -> Any:
        value = LOSSES[loss](model(x), y)
        opt.zero_grad()
        value.backward()
        opt.step()
        return value

    losses = [step(*batch).item() for batch in minibatches(*data(dtype, loss == "cross-entropy"))]
    if isinstance(step, Compiled):
        assert sum(map(len, step.programs.values())) <= 2, "compiled again and again"
    return losses, [p.data.copy() for p in model.parameters()] + [p.grad.copy() for p in model.parameters()]


def same(fast: Any, slow: Any, rtol: float) -> None:
    (losses, state), (wanted, wanted_state) = fast, slow
    np.testing.assert_allclose(losses, wanted, rtol=rtol, atol=rtol)
    assert list(map(kind, state)) == list(map(kind, wanted_state))
    for a, b in zip(state, wanted_state, strict=True):
        np.testing.assert_allclose(a, b, rtol=100 * rtol, atol=10 * rtol * (1 + np.max(np.abs(b), initial=0)))
    assert np.mean(losses[-10:]) < np.mean(losses[:10]), "and it learns"


RUNS = [
    ("cross-entropy", "Adam", "tanh"),
    ("cross-entropy", "SGD with momentum", "sigmoid"),
    ("mse", "Adam with decay", "tanh"),
    ("mse", "SGD with momentum", "softplus"),
    ("hinge", "SGD", "tanh"),
    ("hinge", "Adam", "relu"),
    ("gaussian_nll", "Adam", "softplus"),
    ("gaussian_nll", "SGD", "tanh"),
    ("own", "Adam", "relu"),
]


@pytest.mark.parametrize("loss, optimiser, activation", RUNS)
def test_loss_curves_in_double_precision(loss: str, optimiser: str, activation: str) -> None:
    args = loss, optimiser, activation, np.float64
    same(train(cr.compile, *args), train(lambda f: f, *args), 1e-9)


@pytest.mark.parametrize("loss, optimiser, activation", RUNS)
def test_loss_curves_in_single_precision(loss: str, optimiser: str, activation: str) -> None:
    args = loss, optimiser, activation, np.float32
    losses, state = train(cr.compile, *args)
    wanted, wanted_state = train(lambda f: f, *args)
    np.testing.assert_allclose(losses[:10], wanted[:10], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(losses, wanted, rtol=2e-2, atol=2e-3)
    for a, b in zip(state, wanted_state, strict=True):
        assert a.dtype == b.dtype == np.float32 and a.shape == b.shape


@pytest.mark.parametrize("sizes", [(6, 3), (6, 1, 3), (6, 64, 3), (6, 5, 7, 11, 3)], ids=str)
def test_networks_of_other_sizes(sizes: tuple[int, ...]) -> None:
    args = "mse", "Adam", "tanh", np.float64, sizes
    same(train(cr.compile, *args), train(lambda f: f, *args), 1e-9)


def functional(wrap: Wrap, dtype: Any) -> Any:
    """`value_and_grad` of a loss, and the update, as one function of the parameters."""
    rng = np.random.default_rng(0)
    P = [{"W": rng.normal(size=s).astype(dtype) / 3, "b": np.zeros(s[1], dtype)} for s in ((6, 12), (12, 2))]

    def loss(P: Any, x: Any, y: Any) -> Any:
        h = np.tanh(x @ P[0]["W"] + P[0]["b"])
        return np.mean((h @ P[1]["W"] + P[1]["b"] - y) ** 2)

    @wrap
    def step(P: Any, x: Any, y: Any, rate: float) -> Any:
        value, g = cr.value_and_grad(loss)(P, x, y)
        return value, [{k: p[k] - rate * d[k] for k in p} for p, d in zip(P, g, strict=True)]

    losses = []
    for i, (x, y) in enumerate(minibatches(*data(dtype))):
        value, P = step(P, x, y, 0.1 / (1 + 0.01 * i))
        losses.append(float(value))
    return losses, [v for p in P for v in p.values()]


def test_a_functional_step() -> None:
    same(functional(cr.compile, np.float64), functional(lambda f: f, np.float64), 1e-10)


def test_a_functional_step_in_single_precision() -> None:
    losses, state = functional(cr.compile, np.float32)
    np.testing.assert_allclose(losses, functional(lambda f: f, np.float32)[0], rtol=1e-4)
    assert {p.dtype for p in state} == {np.dtype(np.float32)}


def micrograd(wrap: Wrap, steps: int, n: int = 20) -> Any:
    """The demo notebook's own loop: every number a Value."""
    X, y = moons(n)
    random.seed(1337)
    model = ScalarMLP(2, [8, 8, 1])

    @wrap
    def step(rate: float) -> Any:
        scores = [model(list(map(Scalar, row))) for row in X]
        losses = [(1 + -yi * s).relu() for yi, s in zip(y, scores, strict=True)]
        total = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())
        accuracy = [(yi > 0) == (s.data > 0) for yi, s in zip(y, scores, strict=True)]
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= rate * p.grad
        return total, sum(accuracy) / len(accuracy)

    losses, accuracies = [], []
    for k in range(steps):
        total, accuracy = step(1.0 - 0.9 * k / 100)
        losses.append(total.item())
        accuracies.append(float(accuracy))
    kinds = {type(v) for p in model.parameters() for v in (p.data, p.grad)}
    data, gradients = zip(*[(p.data, p.grad) for p in model.parameters()], strict=True)
    return losses, accuracies, data, gradients, kinds


def test_micrograds_loop() -> None:
    fast, slow = micrograd(cr.compile, STEPS), micrograd(lambda f: f, STEPS)
    np.testing.assert_allclose(fast[0], slow[0], rtol=1e-8, atol=1e-10)
    assert fast[1] == slow[1], "the same accuracy at every step"
    np.testing.assert_allclose(fast[2], slow[2], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(fast[3], slow[3], rtol=1e-7, atol=1e-9)
    assert fast[4] == slow[4] == {float}
    assert fast[1][-1] >= 0.9


def test_micrograds_loop_with_an_optimiser_and_two_sizes_of_batches() -> None:
    def run(wrap: Wrap) -> Any:
        random.seed(3)
        model = ScalarMLP(2, [4, 1])
        opt = optim.Adam(model.parameters(), lr=0.05)
        X, y = moons(14)

        @wrap
        def step(rows: Any, labels: Any) -> Any:
            loss = sum((model(row) - t) ** 2 for row, t in zip(rows, labels, strict=True))
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        out = []
        for k in range(30):
            n = 4 if k % 3 else 7
            rows = [[float(a), float(b)] for a, b in X[k % 5 : k % 5 + n]]
            out.append(step(rows, [float(t) for t in y[k % 5 : k % 5 + n]]).item())
        return out, [p.data for p in model.parameters()]

    fast, slow = run(cr.compile), run(lambda f: f)
    np.testing.assert_allclose(fast[0], slow[0], rtol=1e-8)
    np.testing.assert_allclose(fast[1], slow[1], rtol=1e-7)


def test_a_recurrent_network_whose_loop_unrolls() -> None:
    def run(wrap: Wrap) -> Any:
        rng = np.random.default_rng(0)
        W, U, v = (Value(rng.normal(size=s) / 3) for s in ((8, 8), (3, 8), (8,)))
        opt = optim.Adam([W, U, v], lr=0.01)

        @wrap
        def step(xs: Any, y: Any) -> Any:
            h = np.zeros((xs.shape[1], 8))
            for x in xs:
                h = np.tanh(h @ W + x @ U)
            loss = np.mean((h @ v - y) ** 2)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        batches = [(rng.normal(size=(5, 4, 3)), rng.normal(size=4)) for _ in range(4)]
        return [step(*batches[k % 4]).item() for k in range(STEPS)], [p.data.copy() for p in (W, U, v)]

    same(run(cr.compile), run(lambda f: f), 1e-9)


def test_a_recurrent_network_by_scan() -> None:
    def run(wrap: Wrap) -> Any:
        rng = np.random.default_rng(0)
        W, U, v = (Value(rng.normal(size=s) / 3) for s in ((8, 8), (3, 8), (8,)))
        opt = optim.SGD([W, U, v], lr=0.05, momentum=0.9)

        @wrap
        def step(xs: Any, y: Any) -> Any:
            h, _ = cr.scan(lambda h, x: (np.tanh(h @ W + x @ U), None), np.zeros((4, 8)), xs)
            loss = np.mean((h @ v - y) ** 2)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        batches = [(rng.normal(size=(5, 4, 3)), rng.normal(size=4)) for _ in range(4)]
        return [step(*batches[k % 4]).item() for k in range(STEPS)], [p.data.copy() for p in (W, U, v)]

    same(run(cr.compile), run(lambda f: f), 1e-9)


def test_a_module_of_ones_own_with_running_statistics() -> None:
    """State that is no parameter: means and variances written in the step, read when evaluating."""

    class Normed(nn.Module):
        def __init__(self) -> None:
            self.inner = nn.Linear(6, 8, rng=0)
            self.outer = nn.Linear(8, 3, rng=1)
            self.mean, self.var = Value(np.zeros(8)), Value(np.ones(8))

        def forward(self, x: Any, training: bool = False) -> Any:
            h = self.inner(x)
            if training:
                m, v = np.mean(h, axis=0), np.var(h, axis=0)
                self.mean.data = 0.9 * self.mean.data + 0.1 * cr.data(m)
                self.var.data = 0.9 * self.var.data + 0.1 * cr.data(v)
            else:
                m, v = self.mean.data, self.var.data
            return self.outer(np.tanh((h - m) / np.sqrt(v + 1e-5)))

    def run(wrap: Wrap) -> Any:
        model = Normed()
        opt = optim.Adam([*model.inner.parameters(), *model.outer.parameters()], lr=0.01)

        @wrap
        def step(x: Any, y: Any) -> Any:
            loss = nn.cross_entropy(model(x, training=True), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        evaluate = wrap(lambda x: model(x))
        x, y = data(np.float64, classes=True)
        losses = []
        for batch in minibatches(x, y):
            losses.append(step(*batch).item())
            losses.append(float(np.sum(cr.data(evaluate(x[:5])))) * 0 + losses[-1])
        return losses, [cr.data(evaluate(x)), model.mean.data.copy(), model.var.data.copy()]

    same(run(cr.compile), run(lambda f: f), 1e-9)


def test_schedules_clipping_and_accumulation() -> None:
    """A learning rate per step, gradients of two batches added up, and their norm cut."""

    def run(wrap: Wrap) -> Any:
        model = nn.MLP([6, 8, 3], activation="tanh", rng=0)
        opt = optim.SGD(model.parameters(), lr=0.1)

        @wrap
        def gradients(x: Any, y: Any) -> Any:
            loss = nn.cross_entropy(model(x), y)
            loss.backward()
            return loss

        @wrap
        def update() -> Any:
            norm = np.sqrt(sum(np.sum(p.grad**2) for p in model.parameters()))
            for p in model.parameters():
                p.grad = p.grad * np.minimum(1.0, 0.5 / norm)
            opt.step()
            opt.zero_grad()
            return norm

        out: list[float] = []
        rates = [0.1, 0.1, 0.3, 0.3, 0.05]
        for k, (x, y) in enumerate(minibatches(*data(np.float64, classes=True))):
            out.append(gradients(x, y).item())
            if k % 2:
                opt.lr = rates[k // 20]
                update()
        return out, [p.data.copy() for p in model.parameters()]

    same(run(cr.compile), run(lambda f: f), 1e-9)


# -------------------------------------------------------------------- the learning rate


def decay(opt: Any) -> None:
    opt.lr *= 0.9


SCHEDULES: dict[str, Any] = {
    "before the step": (lambda opt, k: setattr(opt, "lr", 0.1 * 0.9**k), lambda opt: None),
    "in the step": (lambda opt, k: None, lambda opt: setattr(opt, "lr", opt.lr * 0.9)),
    "in place": (lambda opt, k: None, lambda opt: decay(opt)),
    "a number in the step": (lambda opt, k: None, lambda opt: setattr(opt, "lr", 0.05)),
    "both": (lambda opt, k: setattr(opt, "lr", 0.1 / (k + 1)), lambda opt: setattr(opt, "lr", opt.lr / 2)),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("make", [optim.SGD, optim.Adam])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
def test_a_schedule_of_the_learning_rate_compiles_once(name: str, make: Any, dtype: Any) -> None:
    """The rate is read anew at each call, may be computed with, and stays a float."""
    before, within = SCHEDULES[name]

    def run(wrap: Wrap) -> Any:
        model = nn.MLP([2, 4, 1], rng=0, dtype=dtype)
        opt = make(model.parameters(), lr=0.1)

        @wrap
        def step(x: Any) -> Any:
            loss = np.mean((model(x) - 1) ** 2)
            loss.backward()
            opt.step()
            opt.zero_grad()
            within(opt)
            return loss, opt.lr * 2

        out = []
        for k in range(6):
            before(opt, k)
            out += [*step(np.ones((3, 2), dtype)), opt.lr]
            assert type(opt.lr) is float
        if isinstance(step, Compiled):
            assert "1 program" in repr(step)
        assert copy.deepcopy(opt).lr == pickle.loads(pickle.dumps(opt)).lr == opt.lr
        return out, [p.data for p in model.parameters()]

    agree(run(cr.compile), run(lambda f: f), rtol=1e-5 if dtype is np.float32 else 1e-11)
