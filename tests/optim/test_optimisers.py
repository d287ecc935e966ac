"""Optimisers against the published formulas, written here a second time, over 100 steps."""

import numpy as np
import pytest

from chainrule import Value, nn, optim

STEPS = 100


def problem(dtype=np.float64):
    """Three parameters of different shapes, one of them a Python float, and a loss that couples them."""
    rng = np.random.default_rng(0)
    A, c = rng.normal(size=(2, 4, 3)).astype(dtype)
    start = [rng.normal(size=(3, 3)).astype(dtype), rng.normal(size=3).astype(dtype), 0.5]

    def loss(p):
        W, b, s = p
        return np.sum(np.tanh(A @ W + b) * c) * s + s * s

    def gradients(p):
        W, b, s = p
        h = np.tanh(A @ W + b)
        g = c * (1 - h * h) * s
        return [A.T @ g, g.sum(axis=0), float(np.sum(h * c) + 2 * s)]

    return start, loss, gradients


def sgd(p, g, state, lr, momentum=0.0, weight_decay=0.0):
    g = g + weight_decay * p
    state["v"] = momentum * state["v"] + g if "v" in state else g
    return p - lr * state["v"]


def adam(p, g, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    g = g + weight_decay * p
    state["t"] = t = state.get("t", 0) + 1
    state["m"] = betas[0] * state.get("m", 0.0) + (1 - betas[0]) * g
    state["v"] = betas[1] * state.get("v", 0.0) + (1 - betas[1]) * g**2
    return p - lr * (state["m"] / (1 - betas[0] ** t)) / (np.sqrt(state["v"] / (1 - betas[1] ** t)) + eps)


CASES = [
    (optim.SGD, sgd, {"lr": 0.05}),
    (optim.SGD, sgd, {"lr": 0.05, "momentum": 0.9}),
    (optim.SGD, sgd, {"lr": 0.05, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.05}),
    (optim.Adam, adam, {}),
    (optim.Adam, adam, {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3}),
    (optim.Adam, adam, {"lr": 0.03, "weight_decay": 0.1}),
    (optim.Adam, adam, {"lr": 0.03, "betas": (0.0, 0.0)}),
]


@pytest.mark.parametrize(("make", "formula", "options"), CASES)
def test_a_hundred_steps_follow_the_formula(make, formula, options):
    start, loss, gradients = problem()
    parameters = [Value(p) for p in start]
    opt = make(parameters, **options)
    plain, states = list(start), [{} for _ in start]
    for _ in range(STEPS):
        opt.zero_grad()
        loss(parameters).backward()
        opt.step()
        plain = [formula(p, g, s, **options) for p, g, s in zip(plain, gradients(plain), states, strict=True)]
    for p, q in zip(parameters, plain, strict=True):
        np.testing.assert_allclose(p.data, q, rtol=1e-9, atol=1e-12)
    assert type(parameters[2].data) is float


@pytest.mark.parametrize(("make", "formula", "options"), CASES)
def test_float32_stays_float32(make, formula, options):
    start, loss, _ = problem(np.float32)
    parameters = [Value(p) for p in start[:2]]
    opt = make(parameters, **{"lr": 0.01, **options})
    for _ in range(3):
        opt.zero_grad()
        loss([*parameters, 0.5]).backward()
        opt.step()
    assert {p.dtype for p in parameters} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("make", "formula", "options"), CASES)
def test_a_parameter_without_gradient_stays_and_so_does_its_state(make, formula, options):
    used, unused = Value(np.ones(2)), Value(np.ones(2))
    opt = make([used, unused], **{"lr": 0.1, **options})
    for _ in range(2):
        opt.zero_grad()
        np.sum(used * used).backward()
        opt.step()
    assert np.array_equal(unused.data, np.ones(2))
    # its first step is a first step, whatever happened to the others before
    opt.zero_grad()
    np.sum(unused * unused).backward()
    opt.step()
    assert unused.data == pytest.approx(formula(np.ones(2), 2 * np.ones(2), {}, **{"lr": 0.1, **options}))


def test_a_step_leaves_the_old_graph_its_numbers():
    p = Value(np.array([2.0]))
    loss = np.sum(p**3)
    loss.backward()
    optim.SGD([p], lr=0.1).step()
    np.testing.assert_allclose(p.data, 2.0 - 0.1 * 12.0)
    p.grad = None
    loss.backward()  # at 2, where it was recorded
    np.testing.assert_allclose(p.grad, 12.0)


def test_the_learning_rate_may_change_between_steps():
    p = Value(1.0)
    opt = optim.SGD([p], lr=0.5)
    for lr, expected in ((0.5, 0.5), (0.25, 0.25)):
        opt.lr = lr
        opt.zero_grad()
        (p * 1.0).backward()
        opt.step()
        assert p.data == expected
    with pytest.raises(ValueError, match="SGD: lr is -1; expected zero or more"):
        opt.lr = -1


def test_gradients_accumulate_until_zero_grad():
    p = Value(1.0)
    opt = optim.SGD([p], lr=0.1)
    (p * 2.0).backward()
    (p * 3.0).backward()
    opt.step()
    assert p.data == 0.5
    opt.zero_grad()
    assert p.grad == 0.0


def test_a_shared_parameter_moves_once():
    p = Value(1.0)
    opt = optim.SGD([p, p], lr=0.1)
    (p * 1.0).backward()
    opt.step()
    assert p.data == 0.9


def test_adams_first_step_is_the_learning_rate_whatever_the_gradient():
    for slope in (1e-3, 1.0, 1e6):
        p = Value(0.0)
        opt = optim.Adam([p], lr=0.01, eps=0.0)
        (p * slope).backward()
        opt.step()
        assert p.data == pytest.approx(-0.01, rel=1e-12)


def test_adam_with_gradients_of_zero_stays():
    p = Value(np.ones(2))
    opt = optim.Adam([p])
    np.sum(p * 0.0).backward()
    opt.step()
    assert np.array_equal(p.data, np.ones(2))


def test_repr_shows_the_settings():
    model = nn.MLP([2, 3, 1], rng=0)
    assert (
        repr(optim.SGD(model.parameters(), 0.1))
        == "SGD(4 Values, 13 numbers, lr=0.1, momentum=0.0, weight_decay=0.0)"
    )
    assert "betas=(0.9, 0.999)" in repr(optim.Adam(model.parameters()))


P = [Value(1.0)]


@pytest.mark.parametrize(("make", "error", "match"), [
    (lambda: optim.SGD([], 0.1), ValueError, "SGD: params is empty"),
    (lambda: optim.SGD(iter([]), 0.1), ValueError, "SGD: params is empty"),
    (lambda: optim.SGD(P[0], 0.1), TypeError, "SGD: params is a Value; expected a list of Values"),
    (lambda: optim.Adam(nn.MLP([1, 1], rng=0)), TypeError, r"is a MLP; expected model.parameters\(\)"),
    (lambda: optim.SGD([np.ones(2)], 0.1), TypeError, r"SGD: params\[0\] is a ndarray; expected a Value"),
    (lambda: optim.SGD([P[0], P[0] * 2], 0.1), TypeError, r"SGD: params\[1\] is the result of an operation"),
    (lambda: optim.SGD(P, -0.1), ValueError, "SGD: lr is -0.1; expected zero or more"),
    (lambda: optim.SGD(P, float("nan")), ValueError, "SGD: lr is nan"),
    (lambda: optim.SGD(P, "0.1"), TypeError, "SGD: lr is '0.1'; expected a number"),
    (lambda: optim.SGD(P, True), TypeError, "SGD: lr is True"),
    (lambda: optim.SGD(P, 0.1, momentum=-1), ValueError, "SGD: momentum is -1"),
    (lambda: optim.SGD(P, 0.1, weight_decay=-1), ValueError, "SGD: weight_decay is -1"),
    (lambda: optim.Adam(P, betas=(0.9, 1.0)), ValueError, r"betas\[1\] is 1.0; expected at least 0 and"),
    (lambda: optim.Adam(P, betas=0.9), TypeError, "Adam: betas is 0.9; expected two numbers"),
    (lambda: optim.Adam(P, eps=-1e-8), ValueError, "Adam: eps is -1e-08"),
])  # fmt: skip
def test_wrong_arguments_are_named(make, error, match):
    with pytest.raises(error, match=match):
        make()
