"""Optimisers, clipping and schedules beside PyTorch's and optax's: the same numbers for 100 steps."""

import itertools
import math

import jax
import numpy as np
import optax
import pytest
import torch

import chainrule as cr
from chainrule import Value, optim

jax.config.update("jax_enable_x64", True)

STEPS = 100
SIZES = (4, 8, 3)
Arrays = list[np.ndarray]


def start() -> tuple[Arrays, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    weights = [w for a, b in itertools.pairwise(SIZES) for w in (rng.normal(size=(a, b)) / 2, np.zeros(b))]
    x = rng.normal(size=(16, SIZES[0]))
    return weights, x, rng.normal(size=(16, SIZES[-1]))


def loss(np_, p, x, y):
    return ((np_.tanh(x @ p[0] + p[1]) @ p[2] + p[3] - y) ** 2).mean()


def ours(make, wrap=lambda f: f, clip=None, schedule=None) -> Arrays:
    weights, x, y = start()
    p = [Value(w) for w in weights]
    opt = make(p)
    plan = schedule(opt) if schedule else None

    @wrap
    def step():
        value = loss(np, p, x, y)
        opt.zero_grad()
        value.backward()
        norm = clip(p) if clip else None
        opt.step()
        return value, norm

    seen = []
    for _ in range(STEPS):
        value, norm = step()
        seen.append([value.item(), 0.0 if norm is None else norm])
        if plan is not None:
            plan.step(value) if plan.watches else plan.step()
    return [np.array(seen), *[v.data for v in p]]


def torchs(make, clip=None, schedule=None) -> Arrays:
    weights, x, y = start()
    p = [torch.tensor(w, requires_grad=True) for w in weights]
    x, y = torch.tensor(x), torch.tensor(y)
    opt = make(p)
    plan = schedule(opt) if schedule else None
    seen = []
    for _ in range(STEPS):
        value = loss(torch, p, x, y)
        opt.zero_grad()
        value.backward()
        norm = clip(p) if clip else None
        opt.step()
        seen.append([value.item(), 0.0 if norm is None else norm.item()])
        if plan is not None:
            watches = isinstance(plan, torch.optim.lr_scheduler.ReduceLROnPlateau)
            plan.step(value.item()) if watches else plan.step()
    return [np.array(seen), *[v.detach().numpy() for v in p]]


def optaxs(rule) -> Arrays:
    weights, x, y = start()
    p = [jax.numpy.array(w) for w in weights]
    state = rule.init(p)
    evaluate = jax.jit(jax.value_and_grad(lambda p: loss(jax.numpy, p, x, y)))
    seen = []
    for _ in range(STEPS):
        value, g = evaluate(p)
        updates, state = rule.update(g, state, p)
        p = optax.apply_updates(p, updates)
        seen.append([float(value), 0.0])
    return [np.array(seen), *map(np.asarray, p)]


def same(found: Arrays, wanted: Arrays, tolerance: float = 1e-12) -> None:
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def groups(p):
    return [{"params": p[::2], "weight_decay": 0.2, "lr": 0.02}, {"params": p[1::2]}]


# Of both libraries: the rule's name and what it is given; where steps are so large that they do not settle,
# roundings grow, and nothing can be compared.
RULES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.3}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.002, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.5}),
    ("RMSprop", {"lr": 0.002, "alpha": 0.9, "eps": 1e-2, "centered": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.1, "initial_accumulator_value": 0.2}),
]
rules = pytest.mark.parametrize(("name", "options"), RULES, ids=lambda x: str(x))


@rules
@pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_pytorch(name, options, wrap):
    found = ours(lambda p: getattr(optim, name)(p, **options), wrap)
    same(found, torchs(lambda p: getattr(torch.optim, name)(p, **options)))


@rules
def test_pytorch_ascending(name, options):
    options = {**options, "lr": 0.001, "maximize": True}
    same(
        ours(lambda p: getattr(optim, name)(p, **options)),
        torchs(lambda p: getattr(torch.optim, name)(p, **options)),
    )


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_pytorch_in_groups(name):
    same(
        ours(lambda p: getattr(optim, name)(groups(p), lr=0.01)),
        torchs(lambda p: getattr(torch.optim, name)(groups(p), lr=0.01)),
    )


OPTAX = {
    "sgd": (lambda p: optim.SGD(p, 0.1), lambda: optax.sgd(0.1)),
    "momentum": (lambda p: optim.SGD(p, 0.1, 0.9), lambda: optax.sgd(0.1, 0.9)),
    "nesterov": (
        lambda p: optim.SGD(p, 0.1, 0.9, nesterov=True), lambda: optax.sgd(0.1, 0.9, nesterov=True),
    ),
    "adam": (lambda p: optim.Adam(p, 0.01), lambda: optax.adam(0.01)),
    "adamw": (
        lambda p: optim.AdamW(p, 0.01, weight_decay=0.1), lambda: optax.adamw(0.01, weight_decay=0.1),
    ),
    "rmsprop": (
        lambda p: optim.RMSprop(p, 0.001, 0.9), lambda: optax.rmsprop(0.001, 0.9, 1e-8, eps_in_sqrt=False),
    ),
    "adagrad": (
        lambda p: optim.Adagrad(p, 0.1, initial_accumulator_value=0.1, eps=0.0),
        lambda: optax.adagrad(0.1, eps=0.0),
    ),
    "lion": (lambda p: optim.Lion(p, 0.001), lambda: optax.lion(0.001, weight_decay=0.0)),
    "lion, decay": (
        lambda p: optim.Lion(p, 0.001, (0.8, 0.9), 0.1),
        lambda: optax.lion(0.001, 0.8, 0.9, weight_decay=0.1),
    ),
    "schedule": (
        lambda p: optim.SGD(p, 0.1),
        lambda: optax.sgd(optax.warmup_cosine_decay_schedule(0.01, 0.1, 10, 100)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTAX)
def test_optax(name):
    make, rule = OPTAX[name]

    def schedule(opt):
        parts = optim.LinearLR(opt, 0.1, total_iters=10), optim.CosineAnnealingLR(opt, 90)
        return optim.SequentialLR(opt, parts, [10])

    if name == "schedule":  # which optax computes in single precision
        same(ours(make, schedule=schedule), optaxs(rule()), 1e-7)
    else:
        same(ours(make), optaxs(rule()))


CLIPS = {
    "norm": (lambda p: optim.clip_grad_norm(p, 0.3), lambda p: torch.nn.utils.clip_grad_norm_(p, 0.3)),
    "value": (lambda p: optim.clip_grad_value(p, 0.1), lambda p: torch.nn.utils.clip_grad_value_(p, 0.1)),
}


@pytest.mark.parametrize("name", CLIPS)
def test_pytorch_clipping(name):
    mine, theirs = CLIPS[name]
    found = ours(lambda p: optim.Adam(p, lr=0.01), clip=mine)
    same(found, torchs(lambda p: torch.optim.Adam(p, lr=0.01), clip=theirs))


L = torch.optim.lr_scheduler


def in_sequence(kinds, opt):
    parts = [kinds.LinearLR(opt, 0.1, total_iters=7), kinds.CosineAnnealingLR(opt, 93, eta_min=1e-3)]
    return kinds.SequentialLR(opt, parts, milestones=[7])


SCHEDULES = {
    "lambda": lambda k, o: k.LambdaLR(o, lambda t: 1 / (1 + t)),
    "step": lambda k, o: k.StepLR(o, 30, 0.5),
    "multi step": lambda k, o: k.MultiStepLR(o, [70, 20, 20]),
    "exponential": lambda k, o: k.ExponentialLR(o, 0.97),
    "cosine": lambda k, o: k.CosineAnnealingLR(o, 40, 1e-3),
    "linear": lambda k, o: k.LinearLR(o, total_iters=20),
    "sequence": in_sequence,
    "one cycle": lambda k, o: cycle(k, o, 0.2, 100),
    "one cycle, lines": lambda k, o: cycle(
        k, o, [0.2, 0.1], epochs=10, steps_per_epoch=12, anneal_strategy="linear"
    ),
    "one cycle, three phases": lambda k, o: cycle(k, o, 0.2, 100, three_phase=True, pct_start=0.4),
    "plateau": lambda k, o: k.ReduceLROnPlateau(o, patience=3, threshold=1e-2, cooldown=2, factor=0.7),
    "plateau, rising": lambda k, o: k.ReduceLROnPlateau(
        o, "max", patience=5, threshold_mode="abs", min_lr=[1e-3, 1e-2]
    ),
}


def cycle(kinds, opt, *args, **options):
    return kinds.OneCycleLR(opt, *args, **options, **({"cycle_momentum": False} if kinds is L else {}))


@pytest.mark.parametrize("name", SCHEDULES)
def test_pytorch_schedules(name):
    def run(train, library, kinds):
        rates = []

        def schedule(opt):
            plan = SCHEDULES[name](kinds, opt)
            step = plan.step

            def noting(*args):
                rates.append([g["lr"] for g in opt.param_groups])
                step(*args)

            plan.step = noting
            return plan

        found = train(lambda p: library.SGD(groups(p), lr=0.1), schedule=schedule)
        return [*found, np.array(rates)]

    same(run(ours, optim, optim.lr_scheduler), run(torchs, torch.optim, L))


def test_lbfgs_finds_what_pytorch_finds():
    """Line searches differ, minima do not."""
    weights, x, y = start()
    tx, ty = torch.tensor(x), torch.tensor(y)
    model = [Value(w) for w in weights]

    def closure():
        value = loss(np, model, x, y) + 1e-2 * sum(np.sum(p * p) for p in model)
        value.backward()
        return value

    optim.LBFGS(model, max_iter=2000, tolerance_change=0.0).step(cr.compile(closure))
    mine = closure().item()
    peers = [torch.tensor(w, requires_grad=True) for w in weights]
    opt = torch.optim.LBFGS(peers, max_iter=2000, tolerance_change=0.0, line_search_fn="strong_wolfe")

    def theirs():
        opt.zero_grad()
        value = loss(torch, peers, tx, ty) + 1e-2 * sum((p * p).sum() for p in peers)
        value.backward()
        return value

    opt.step(theirs)
    assert math.isclose(mine, theirs().item(), rel_tol=1e-3) or mine < theirs().item()
