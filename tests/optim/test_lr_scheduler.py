"""Schedules against formulas written here a second time; resumed, in groups, beside compiled steps."""

import itertools
import json
import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim

STEPS = 40
BASES = 0.5, 0.02


def one_cycle(max_lr, total, pct=0.3, div=25.0, final=1e4, three=False, linear=False):
    """Rates by interpolation between corners."""
    top = pct * total - 1
    corners = [(0.0, max_lr / div), (top, max_lr), (total - 1.0, max_lr / div / final)]
    if three:
        corners.insert(2, (2 * top, max_lr / div))

    def rate(base, t):
        for (a, x), (b, y) in itertools.pairwise(corners):
            if t <= b:
                part = (t - a) / (b - a)
                return x + (y - x) * (part if linear else (1 - math.cos(math.pi * part)) / 2)
        return corners[-1][1]

    return rate


def warm_up_then_cosine(opt):
    warm_up, fall = optim.LinearLR(opt, 0.1, total_iters=8), optim.CosineAnnealingLR(opt, T_max=STEPS - 8)
    return optim.SequentialLR(opt, [warm_up, fall], milestones=[8])


def three_in_a_row(opt):
    parts = optim.ExponentialLR(opt, 0.9), optim.OneCycleLR(opt, 0.3, 10), optim.StepLR(opt, 4)
    return optim.SequentialLR(opt, parts, [5, 15])


CASES = {
    "lambda": (lambda o: optim.LambdaLR(o, lambda t: 1 / (1 + t)), lambda b, t: b / (1 + t)),
    "step": (lambda o: optim.StepLR(o, 7, gamma=0.5), lambda b, t: b * 0.5 ** (t // 7)),
    "multi": (
        lambda o: optim.MultiStepLR(o, [20, 3, 3], gamma=0.5),
        lambda b, t: b * 0.5 ** (2 * (t >= 3) + (t >= 20)),
    ),
    "exponential": (lambda o: optim.ExponentialLR(o, 0.9), lambda b, t: b * 0.9**t),
    "cosine": (
        lambda o: optim.CosineAnnealingLR(o, 25, eta_min=0.01),
        lambda b, t: 0.01 + (b - 0.01) * math.cos(math.pi * t / 50) ** 2,
    ),
    "linear": (lambda o: optim.LinearLR(o), lambda b, t: b * min(1.0, (1 + 2 * t / 5) / 3)),
    "linear down": (lambda o: optim.LinearLR(o, 1.0, 0.0, STEPS), lambda b, t: b * (1 - t / STEPS)),
    "one cycle": (lambda o: optim.OneCycleLR(o, 0.7, STEPS), one_cycle(0.7, STEPS)),
    "one cycle, lines": (
        lambda o: optim.OneCycleLR(o, 0.7, epochs=5, steps_per_epoch=10, anneal_strategy="linear"),
        one_cycle(0.7, 50, linear=True),
    ),
    "one cycle, three phases": (
        lambda o: optim.OneCycleLR(
            o, 0.7, STEPS, pct_start=0.4, div_factor=10, final_div_factor=50, three_phase=True
        ),
        one_cycle(0.7, STEPS, 0.4, 10, 50, three=True),
    ),
    "warm-up then cosine": (
        warm_up_then_cosine,
        lambda b, t: b * (0.1 + 0.9 * t / 8 if t < 8 else math.cos(math.pi * (t - 8) / 64) ** 2),
    ),
    "three in a row": (
        three_in_a_row,
        lambda b, t: (
            b * 0.9**t
            if t < 5
            else one_cycle(0.3, 10)(b, t - 5)
            if t < 15
            else b * 0.1 ** ((t - 15) // 4)
        ),
    ),
}
cases = pytest.mark.parametrize("name", CASES)


def optimisers():
    """The same two rates, in groups and in two optimisers."""
    groups = [{"params": [Value(1.0)]}, {"params": [Value(1.0)], "lr": BASES[1]}]
    return [
        optim.SGD(groups, BASES[0]),
        optim.Several(optim.SGD([Value(1.0)], BASES[0]), optim.Adam([Value(1.0)], BASES[1])),
    ]


@cases
@pytest.mark.parametrize("kind", [0, 1], ids=["groups", "several"])
def test_rates_follow_the_formula(name, kind):
    make, formula = CASES[name]
    opt = optimisers()[kind]
    schedule = make(opt)
    for t in range(STEPS):
        wanted = [formula(base, t) for base in BASES]
        np.testing.assert_allclose(schedule.get_last_lr(), wanted, rtol=1e-12, atol=1e-16)
        assert schedule.last_epoch == t
        schedule.step()


@cases
def test_a_schedule_goes_on_where_its_state_was_taken(name):
    make, _ = CASES[name]
    schedule = make(optimisers()[0])
    for _ in range(STEPS // 2):
        schedule.step()
    state = json.loads(json.dumps(schedule.state_dict()))
    again = make(optim.SGD([{"params": [Value(1.0)]}, {"params": [Value(1.0)]}], lr=9.0))
    again.load_state_dict(state)
    for _ in range(STEPS // 2 - 1):
        assert again.get_last_lr() == schedule.get_last_lr()
        again.step()
        schedule.step()


@cases
def test_steps_are_compiled_once(name):
    def run(wrap):
        model = nn.MLP([2, 3, 1], rng=0)
        opt = optim.Adam(model.parameters(), lr=0.01)
        schedule = CASES[name][0](opt)

        @wrap
        def step(x):
            opt.zero_grad()
            np.mean((model(x) - 1.0) ** 2).backward()
            opt.step()

        for _ in range(20):
            step(np.ones((4, 2)))
            schedule.step()
        if wrap is cr.compile:
            assert "1 program" in repr(step)
        return [p.data for p in model.parameters()]

    for a, b in zip(run(cr.compile), run(lambda f: f), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_schedule_is_not_stepped_in_a_compiled_function():
    opt = optim.SGD([Value(1.0)], 0.5)
    schedules = [optim.StepLR(opt, 1), optim.ReduceLROnPlateau(opt)]
    steps = [schedules[0].step, lambda: schedules[1].step(1.0)]
    for step, schedule in zip(steps, schedules, strict=True):
        with pytest.raises(TypeError, match=f"{type(schedule).__name__}.step in a compiled function"):
            cr.compile(lambda step=step: step())()
        assert schedule.last_epoch == 0 and opt.lr == 0.5


# -------------------------------------------------------------------- plateaus


def plateau(metrics, lr=1.0, **options):
    opt = optim.SGD([Value(1.0)], lr)
    schedule = optim.ReduceLROnPlateau(opt, **options)
    rates = []
    for x in metrics:
        schedule.step(x)
        rates.append(opt.lr)
    return rates


@pytest.mark.parametrize(("metrics", "options", "wanted"), [
    ([3, 2, 1, 0], {"patience": 0}, [1, 1, 1, 1]),
    ([1, 1, 1, 1], {"patience": 1, "factor": 0.5}, [1, 1, 0.5, 0.5]),
    ([1, 1, 1, 1, 1], {"patience": 0, "factor": 0.5}, [1, 0.5, 0.25, 0.125, 0.0625]),
    ([1, 1, 1, 1, 1], {"patience": 0, "factor": 0.5, "cooldown": 1}, [1, 0.5, 0.5, 0.25, 0.25]),
    ([1, 1, 1, 1], {"patience": 0, "factor": 0.5, "min_lr": 0.4}, [1, 0.5, 0.4, 0.4]),
    ([1, 1, 1], {"patience": 0, "factor": 0.5, "min_lr": [0.7]}, [1, 0.7, 0.7]),
    ([1, 1, 1], {"patience": 0, "factor": 0.5, "eps": 0.3}, [1, 0.5, 0.5]),
    ([1, 0.95, 0.9], {"patience": 0, "threshold": 0.1, "factor": 0.5}, [1, 0.5, 0.25]),
    ([1, 0.95, 0.85], {"patience": 0, "threshold": 0.1, "threshold_mode": "abs"}, [1, 0.1, 0.1]),
    ([1, 2, 2], {"patience": 0, "mode": "max", "factor": 0.5}, [1, 1, 0.5]),
    ([-1, -1, -2], {"patience": 0, "factor": 0.5}, [1, 0.5, 0.5]),
    ([math.nan, math.nan, 1, math.inf], {"patience": 0, "factor": 0.5}, [0.5, 0.25, 0.25, 0.125]),
    ([Value(1.0), np.float32(1), np.array([1.0])], {"patience": 0, "factor": 0.5}, [1, 0.5, 0.25]),
])  # fmt: skip
def test_plateaus(metrics, options, wanted):
    assert plateau(metrics, **options) == wanted


def test_a_plateau_goes_on_where_its_state_was_taken():
    metrics = [3, 2, 2, 2, 1, 1, 1, 1, 1, 1, 0.5]
    options = {"patience": 1, "cooldown": 1, "factor": 0.5}
    wanted = plateau(metrics, **options)
    for k in range(len(metrics)):
        opt = optim.SGD([Value(1.0)], 1.0)
        schedule = optim.ReduceLROnPlateau(opt, **options)
        for x in metrics[:k]:
            schedule.step(x)
        state = json.loads(json.dumps(schedule.state_dict()))
        other = optim.SGD([Value(1.0)], 1.0)
        again = optim.ReduceLROnPlateau(other, **options)
        other.load_state_dict(opt.state_dict())
        again.load_state_dict(state)
        rates = []
        for x in metrics[k:]:
            again.step(x)
            rates.append(other.lr)
        assert rates == wanted[k:]


# -------------------------------------------------------------------- bad input

OPT = optim.SGD([Value(1.0)], 0.1)
OTHER = optim.SGD([Value(1.0)], 0.1)


def exhausted():
    schedule = optim.OneCycleLR(OTHER, 0.1, 3)
    for _ in range(4):
        schedule.step()


@pytest.mark.parametrize(("call", "error", "match"), [
    (lambda: optim.StepLR([0.1], 1), TypeError, "StepLR: optimizer is a list; expected an Optimiser"),
    (lambda: optim.StepLR(optim.LBFGS([Value(1.0)]), 1), TypeError, "StepLR: optimizer is a LBFGS"),
    (lambda: optim.StepLR(OPT, 0), ValueError, "StepLR: step_size is 0; expected at least 1"),
    (lambda: optim.StepLR(OPT, 2.5), TypeError, "StepLR: step_size is 2.5; expected an integer"),
    (lambda: optim.StepLR(OPT, 1, gamma=-1), ValueError, "StepLR: gamma is -1; expected zero or more"),
    (lambda: optim.MultiStepLR(OPT, 5), TypeError, "MultiStepLR: milestones is 5; expected a list of steps"),
    (lambda: optim.MultiStepLR(OPT, [5, "6"]), TypeError, r"MultiStepLR: milestones\[1\] is '6'"),
    (lambda: optim.ExponentialLR(OPT, "a"), TypeError, "ExponentialLR: gamma is 'a'; expected a number"),
    (lambda: optim.CosineAnnealingLR(OPT, -5), ValueError, "CosineAnnealingLR: T_max is -5"),
    (lambda: optim.CosineAnnealingLR(OPT, 5, eta_min=-1), ValueError, "CosineAnnealingLR: eta_min is -1"),
    (lambda: optim.LinearLR(OPT, total_iters=0), ValueError, "LinearLR: total_iters is 0"),
    (lambda: optim.LambdaLR(OPT, 0.5), TypeError, "LambdaLR: lr_lambda is a float; expected a function"),
    (lambda: optim.LambdaLR(OPT, lambda t: -1.0), ValueError, "SGD: lr is -0.1"),
    (lambda: optim.OneCycleLR(OPT, 0.1), TypeError, "OneCycleLR: total_steps is not given"),
    (lambda: optim.OneCycleLR(OPT, 0.1, epochs=3), TypeError, "OneCycleLR: total_steps is not given"),
    (lambda: optim.OneCycleLR(OPT, [0.1, 0.2], 9), ValueError, "max_lr has 2 numbers; expected 1"),
    (lambda: optim.OneCycleLR(OPT, 0.1, 9, pct_start=2), ValueError, "pct_start is 2; expected between"),
    (lambda: optim.OneCycleLR(OPT, 0.1, 9, div_factor=0), ValueError, "div_factor is 0; expected above 0"),
    (lambda: optim.OneCycleLR(OPT, 0.1, 9, anneal_strategy="sin"), ValueError, "anneal_strategy is 'sin'"),
    (exhausted, ValueError, "OneCycleLR.step: this is step 4 of 3"),
    (lambda: optim.SequentialLR(OPT, [], []), ValueError, "SequentialLR: milestones is .*, and there are 0"),
    (lambda: optim.SequentialLR(OPT, [optim.StepLR(OPT, 1)], [3]), ValueError, "there are 1 schedulers"),
    (lambda: optim.SequentialLR(OPT, [optim.StepLR(OPT, 1)] * 3, [4, 3]), ValueError, "ascending"),
    (lambda: optim.SequentialLR(OPT, [optim.StepLR(OTHER, 1)], []), TypeError, r"schedulers\[0\] is StepLR"),
    (lambda: optim.SequentialLR(OPT, [optim.ReduceLROnPlateau(OPT)], []), TypeError, "number of steps"),
    (lambda: optim.ReduceLROnPlateau(OPT, mode="low"), ValueError, "ReduceLROnPlateau: mode is 'low'"),
    (lambda: optim.ReduceLROnPlateau(OPT, factor=1.0), ValueError, "factor is 1.0; expected at least 0"),
    (lambda: optim.ReduceLROnPlateau(OPT, patience=-1), ValueError, "patience is -1; expected at least 0"),
    (lambda: optim.ReduceLROnPlateau(OPT, threshold_mode=1), ValueError, "threshold_mode is 1"),
    (lambda: optim.ReduceLROnPlateau(OPT, min_lr=[0, 0]), ValueError, "min_lr has 2 numbers; expected 1"),
    (lambda: optim.ReduceLROnPlateau(OPT).step("x"), TypeError, "step: metric is a str; expected a number"),
    (lambda: optim.ReduceLROnPlateau(OPT).step(np.ones(2)), TypeError, "step: metric is a ndarray"),
    (lambda: optim.Schedule(OPT), NotImplementedError, "Schedule: rate is not defined"),
])  # fmt: skip
def test_wrong_arguments_are_named(call, error, match):
    OPT.lr = 0.1
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize(("change", "match"), [
    ({"base_lrs": [0.1, 0.2]}, r"StepLR.load_state_dict: .* base_lrs is \[0.1, 0.2\]; expected"),
    ({"base_lrs": ["a"]}, r"base_lrs is \['a'\]"),
    ({"last_epoch": -1}, "last_epoch is -1"),
    ({"last_epoch": 1.5}, "last_epoch is 1.5"),
    ({"last_epoch": True}, "last_epoch is True"),
    ({"best": 1.0}, "unexpected: best"),
    ({"last_epoch": None}, "last_epoch is None"),
])  # fmt: skip
def test_another_state_is_refused(change, match):
    schedule = optim.StepLR(OPT, 1)
    before = schedule.state_dict()
    with pytest.raises(ValueError, match=match):
        schedule.load_state_dict({**before, **change})
    with pytest.raises(ValueError, match="missing: last_epoch; missing: base_lrs"):
        schedule.load_state_dict({})
    assert schedule.state_dict() == before
