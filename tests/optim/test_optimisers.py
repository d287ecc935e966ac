"""Optimisers against the published formulas, written here a second time, over 100 steps."""

import numpy as np
import pytest

import chainrule as cr
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


def sgd(p, g, state, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    g = g + weight_decay * p
    state["v"] = momentum * state["v"] + (1 - dampening) * g if "v" in state else g
    return p - lr * (g + momentum * state["v"] if nesterov else state["v"])


def adam(p, g, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    g = g + weight_decay * p
    state["t"] = t = state.get("t", 0) + 1
    state["m"] = betas[0] * state.get("m", 0.0) + (1 - betas[0]) * g
    state["v"] = betas[1] * state.get("v", 0.0) + (1 - betas[1]) * g**2
    return p - lr * (state["m"] / (1 - betas[0] ** t)) / (np.sqrt(state["v"] / (1 - betas[1] ** t)) + eps)


def adamw(p, g, state, lr=1e-3, weight_decay=0.01, **options):
    return adam(p, g, state, lr, **options) - lr * weight_decay * p


def rmsprop(p, g, state, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    g = g + weight_decay * p
    state["s"] = alpha * state.get("s", 0.0) + (1 - alpha) * g**2
    state["m"] = alpha * state.get("m", 0.0) + (1 - alpha) * g
    size = np.sqrt(state["s"] - state["m"] ** 2) if centered else np.sqrt(state["s"])
    state["b"] = momentum * state.get("b", 0.0) + g / (size + eps)
    return p - lr * state["b"]


def adagrad(p, g, state, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    g = g + weight_decay * p
    state["t"] = t = state.get("t", 0) + 1
    state["s"] = state.get("s", initial_accumulator_value) + g**2
    return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(state["s"]) + eps)


def lion(p, g, state, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
    m = state.get("m", 0.0)
    state["m"] = betas[1] * m + (1 - betas[1]) * g
    return p - lr * (np.sign(betas[0] * m + (1 - betas[0]) * g) + weight_decay * p)


CASES = [
    (optim.SGD, sgd, {"lr": 0.05}),
    (optim.SGD, sgd, {"lr": 0.05, "momentum": 0.9}),
    (optim.SGD, sgd, {"lr": 0.05, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.05}),
    (optim.SGD, sgd, {"lr": 0.02, "momentum": 0.8, "dampening": 0.3}),
    (optim.SGD, sgd, {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    (optim.Adam, adam, {}),
    (optim.Adam, adam, {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3}),
    (optim.Adam, adam, {"lr": 0.03, "weight_decay": 0.1}),
    (optim.Adam, adam, {"lr": 0.03, "betas": (0.0, 0.0)}),
    (optim.AdamW, adamw, {}),
    (optim.AdamW, adamw, {"lr": 0.03, "betas": (0.8, 0.95), "weight_decay": 0.2}),
    (optim.AdamW, adamw, {"lr": 0.03, "weight_decay": 0.0}),
    (optim.RMSprop, rmsprop, {}),
    (optim.RMSprop, rmsprop, {"lr": 0.002, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    (optim.RMSprop, rmsprop, {"lr": 0.003, "momentum": 0.8}),
    (optim.RMSprop, rmsprop, {"lr": 0.003, "alpha": 0.9, "eps": 1e-2, "centered": True, "momentum": 0.5}),
    (optim.Adagrad, adagrad, {}),
    (optim.Adagrad, adagrad, {"lr": 0.1, "lr_decay": 0.05, "weight_decay": 0.1}),
    (optim.Adagrad, adagrad, {"lr": 0.1, "initial_accumulator_value": 0.1, "eps": 1e-3}),
    (optim.Lion, lion, {}),
    (optim.Lion, lion, {"lr": 0.003, "betas": (0.8, 0.9), "weight_decay": 0.3}),
]


def label(x):
    return getattr(x, "__name__", None) or ", ".join(f"{k}={v}" for k, v in x.items())


cases = pytest.mark.parametrize(("make", "formula", "options"), CASES, ids=label)


def train(wrap, make, options, steps, dtype=np.float64, sign=1.0, half=None):
    """Parameters and state after `steps` on the problem; half is done with what has been before the last."""
    start, loss, _ = problem(dtype)
    parameters = [Value(p) for p in start]
    opt = make(parameters, **options)

    @wrap
    def step():
        value = loss(parameters) * sign
        opt.zero_grad()
        value.backward()
        opt.step()
        return value

    for k in range(steps):
        if half is not None and k == steps // 2:
            half(parameters, opt)
        step()
    if wrap is cr.compile:
        assert "1 program" in repr(step)
    return [p.data for p in parameters], opt.state_dict()


@cases
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


@cases
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
def test_compiled_equals_eager(make, formula, options, dtype):
    steps = STEPS if dtype is np.float64 else 10  # what rounding grows into
    (fast, kept), (slow, wanted) = (train(w, make, options, steps, dtype) for w in (cr.compile, lambda f: f))
    double = dtype is np.float64
    for a, b in zip([*fast, *kept.values()], [*slow, *wanted.values()], strict=True):
        assert type(a) is type(b) and np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=1e-9 if double else 1e-3, atol=1e-11 if double else 1e-5)
    assert kept.keys() == wanted.keys()


@cases
def test_float32_stays_float32(make, formula, options):
    parameters, state = train(lambda f: f, make, options, 3, np.float32)
    assert [np.asarray(p).dtype for p in parameters] == [np.float32, np.float32, np.float64]
    for name, x in state.items():
        number = name.startswith(("lr", "step", "started")) or name.endswith(".2")
        assert type(x) is float if number else x.dtype == np.float32, name


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@cases
def test_every_shape_stays_what_it_is(make, formula, options, shape, dtype):
    p = Value(np.full(shape, 2.0, dtype))
    kind = type(p.data), p.data.dtype, p.shape
    opt = make([p], **options)
    for _ in range(2):
        opt.zero_grad()
        np.sum(p * p).backward()
        opt.step()
        assert (type(p.data), p.data.dtype, p.shape) == kind
    opt.load_state_dict(opt.state_dict())


@cases
@pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_the_rest_after_loading_the_state_is_the_same_bit_for_bit(make, formula, options, wrap):
    saved = {}

    def save(parameters, opt):
        saved.update(p=[np.copy(p.data) for p in parameters], opt=opt.state_dict())

    wanted, state = train(wrap, make, options, 20, half=save)

    def load(parameters, opt):
        for p, x in zip(parameters, saved["p"], strict=True):
            p.data = x
        opt.load_state_dict(saved["opt"])

    found, again = train(wrap, make, options, 20, half=load)
    # and in one that has made no step, nor has its rate
    _, loss, _ = problem()
    parameters = [Value(p if p.shape else float(p)) for p in saved["p"]]
    opt = make(parameters, **{**options, "lr": 0.5})
    opt.load_state_dict(saved["opt"])

    @wrap
    def step():
        opt.zero_grad()
        loss(parameters).backward()
        opt.step()

    for _ in range(10):
        step()
    for x in (found, [p.data for p in parameters]):
        assert all(map(np.array_equal, x, wanted))
    for x in (again, opt.state_dict()):
        assert x.keys() == state.keys() and all(np.array_equal(x[k], state[k]) for k in x)


@cases
def test_maximising_is_minimising_the_negative(make, formula, options):
    up, _ = train(lambda f: f, make, {**options, "maximize": True}, 20, sign=-1.0)
    down, _ = train(lambda f: f, make, options, 20)
    assert all(map(np.array_equal, up, down))
    fast, _ = train(cr.compile, make, {**options, "maximize": True}, 20, sign=-1.0)
    for a, b in zip(fast, down, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@cases
@pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_frozen_parameters_stay(make, formula, options, wrap):
    model = nn.MLP([2, 3, 1], rng=0)
    opt = make(model.parameters(), **options)
    frozen = model.layers[0].weight
    model.layers[0].freeze()
    before = model.state_dict()

    @wrap
    def step():
        opt.zero_grad()
        np.mean(model(np.ones((4, 2))) ** 2).backward()
        opt.step()

    for _ in range(3):
        step()
    after = model.state_dict()
    changed = {name for name in after if not np.array_equal(after[name], before[name])}
    assert changed == {"layers.1.weight", "layers.1.bias"} and np.array_equal(
        frozen.data, before["layers.0.weight"]
    )


def test_a_centred_deviation_is_never_negative():
    """Of a gradient that stays the same nothing is left but rounding."""
    p = Value(np.full(5, 0.1))
    opt = optim.RMSprop([p], lr=1e-6, alpha=0.5, centered=True)
    q = Value(0.1)
    other = optim.RMSprop([q], lr=1e-6, alpha=0.5, centered=True)
    for _ in range(200):
        p.grad, q.grad = np.linspace(0.1, 0.7, 5), 0.3
        opt.step()
        other.step()
    assert np.all(np.isfinite(p.data)) and np.isfinite(q.data)


@cases
@pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_a_parameter_without_gradient_stays_and_so_does_its_state(make, formula, options, wrap):
    used, unused = Value(np.ones(2)), Value(np.ones(2))
    opt = make([used, unused], **{"lr": 0.1, **options})

    @wrap
    def step(p):
        opt.zero_grad()
        np.sum(p * p).backward()
        opt.step()

    for _ in range(2):
        step(used)
    assert np.array_equal(unused.data, np.ones(2))
    # its first step is a first step, whatever happened to the others before
    step(unused)
    assert unused.data == pytest.approx(formula(np.ones(2), 2 * np.ones(2), {}, **{"lr": 0.1, **options}))


def test_complex_parameters_are_for_sgd_alone():
    """The others square gradients: they would go elsewhere without a word."""
    z, goal = Value(np.array([1 + 2j, -1j])), 3 - 1j
    opt = optim.SGD([z], lr=0.1)
    for _ in range(200):
        opt.zero_grad()
        d = z - goal
        np.sum(d.real**2 + d.imag**2).backward()
        optim.clip_grad_norm([z], 10.0)
        opt.step()
    np.testing.assert_allclose(z.data, goal, rtol=1e-8)
    opt.load_state_dict(opt.state_dict())
    for make in (optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad, optim.Lion):
        with pytest.raises(TypeError, match=rf"{make.__name__}: params\[0\] is of dtype complex128"):
            make([z])
    with pytest.raises(TypeError, match=r"clip_grad_value: params\[0\] is of dtype complex128"):
        optim.clip_grad_value([z], 1.0)


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
        == "SGD(4 Values, 13 numbers, lr=0.1)"
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
    (lambda: optim.Adam(P, betas=(0.9, "a")), TypeError, r"Adam: betas\[1\] is 'a'"),
    (lambda: optim.SGD(P, dampening=2), ValueError, "SGD: dampening is 2; expected at most 1"),
    (lambda: optim.SGD(P, nesterov=1, momentum=0.9), TypeError, "nesterov is 1; expected True or False"),
    (lambda: optim.SGD(P, nesterov=True), ValueError, "SGD: nesterov is True with momentum 0.0"),
    (lambda: optim.SGD(P, momentum=0.9, dampening=0.5, nesterov=True), ValueError, "and dampening 0.5"),
    (lambda: optim.AdamW(P, weight_decay=-1), ValueError, "AdamW: weight_decay is -1"),
    (lambda: optim.RMSprop(P, alpha=1.0), ValueError, "RMSprop: alpha is 1.0; expected at least 0"),
    (lambda: optim.RMSprop(P, centered=None), TypeError, "RMSprop: centered is None"),
    (lambda: optim.Adagrad(P, lr_decay=-1), ValueError, "Adagrad: lr_decay is -1"),
    (lambda: optim.Adagrad(P, initial_accumulator_value=-1), ValueError, "initial_accumulator_value is -1"),
    (lambda: optim.Lion(P, betas=(1, 0.9)), ValueError, r"Lion: betas\[0\] is 1; expected at least 0"),
    (lambda: optim.Lion(P, maximize="yes"), TypeError, "Lion: maximize is 'yes'; expected True or False"),
])  # fmt: skip
def test_wrong_arguments_are_named(make, error, match):
    with pytest.raises(error, match=match):
        make()
