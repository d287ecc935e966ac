"""`check_grads`: right derivatives pass, wrong ones of every kind are named with their mode and order."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import check_grads
from chainrule.primitives import Elementwise, Linear, Special
from chainrule.value import data

X = np.array([0.3, -0.7, 1.2])

RIGHT = {
    "number": (lambda x: x**3, (0.5,)),
    "several arguments": (lambda x, y: x * np.sum(y) ** 2, (0.5, X)),
    "containers": (
        lambda p: {"out": p["w"] * p["b"][0], "sum": np.sum(p["w"])},
        ({"w": X, "b": [2.0, None]},),
    ),
    "matrix": (lambda a: a @ a, (np.arange(4.0).reshape(2, 2) / 3,)),
    "complex": (lambda z: z**2 * 1j, (np.array([1 + 2j, 0.5 - 1j]),)),
    "complex to real": (lambda z: np.sum(np.abs(z) ** 2), (np.array([1 + 2j, 0.5 - 1j]),)),
    "constant": (lambda x: 3.0, (X,)),
    "unused": (lambda x, y: y * 2.0, (X, 1.0)),
    "nothing": (lambda x: x * 2, (np.zeros((0, 2)),)),
    "a derivative": (cr.grad(lambda x: np.sum(np.tanh(x) ** 3)), (X,)),
    "large numbers": (lambda x: 1e6 * np.sin(x), (X,)),
}


@pytest.mark.parametrize(("f", "args"), RIGHT.values(), ids=RIGHT)
def test_right_derivatives_pass(f, args):
    check_grads(f, args, order=3)
    for seed in range(3):
        check_grads(f, args, order=2, seed=seed, step=2e-3)


def test_single_precision_passes_to_its_own_tolerance():
    check_grads(np.tanh, (X.astype(np.float32),), order=2, rtol=1e-3, atol=1e-3)


def _detached(x):
    """The right numbers, but cut off: a derivative that can not be differentiated again."""
    return np.cos(data(x))


_shift = lambda x: np.concatenate([x[1:], x[:1]])
SINE = {  # wrong derivatives of sin, and the mode and order in which each first shows
    "sign": (Elementwise(np.sin, lambda y, x: -np.cos(x)), "forward", 1),
    "a thousandth too much": (Elementwise(np.sin, lambda y, x: 1.001 * np.cos(x)), "forward", 1),
    "one entry": (Elementwise(np.sin, lambda y, x: np.cos(x) * [1.0, 1.0, 1.01]), "forward", 1),
    "missing": (Elementwise(np.sin, None), "forward", 1),
    "nan": (Elementwise(np.sin, lambda y, x: np.cos(x) * np.nan), "forward", 1),
    "an offset": (Elementwise(np.sin, lambda y, x: np.cos(x) + 1e-4), "forward", 1),
    "not differentiable again": (Elementwise(np.sin, lambda y, x: _detached(x)), "forward", 2),
    "wrong at the second": (
        Elementwise(np.sin, lambda y, x: Elementwise(np.cos, lambda c, x: np.sin(x))(x)),
        "forward",
        2,
    ),
    "wrong at the third": (
        Elementwise(
            np.sin,
            lambda y, x: Elementwise(np.cos, lambda c, x: -Elementwise(np.sin, lambda s, x: -np.cos(x))(x))(
                x
            ),
        ),
        "forward",
        3,
    ),
    "push": (
        Special(np.sin, lambda ts, y, x: 1.01 * ts[0] * np.cos(x), lambda g, y, x: (g * np.cos(x),)),
        "forward",
        1,
    ),
    "pull": (
        Special(np.sin, lambda ts, y, x: ts[0] * np.cos(x), lambda g, y, x: (1.01 * g * np.cos(x),)),
        "reverse",
        1,
    ),
    "pull, one entry": (
        Special(np.sin, lambda ts, y, x: ts[0] * np.cos(x), lambda g, y, x: (g * np.cos(x) * [1, 1, 1.01],)),
        "reverse",
        1,
    ),
    "pull, not again": (
        Special(np.sin, lambda ts, y, x: ts[0] * np.cos(x), lambda g, y, x: (g * _detached(x),)),
        "forward",
        2,
    ),
    "transpose": (Linear(_shift, lambda g, x: _shift(g), name="shift"), "reverse", 1),
}


@pytest.mark.parametrize(("f", "mode", "order"), SINE.values(), ids=SINE)
def test_wrong_derivatives_are_caught_at_their_order(f, mode, order):
    for below in range(1, order):
        check_grads(f, (X,), order=below)
    for deep in range(order, 4):
        with pytest.raises(AssertionError, match=rf"{mode} mode of .*, order {order}: .*got .*, expected"):
            check_grads(f, (X,), order=deep)


def test_only_the_modes_asked_for_are_checked():
    push, pull = SINE["push"][0], SINE["pull"][0]
    check_grads(pull, (X,), modes=("forward",))
    check_grads(push, (X,), modes=["reverse"], order=1)
    with pytest.raises(AssertionError, match="forward mode"):
        check_grads(push, (X,), modes=("forward",))
    with pytest.raises(AssertionError, match="reverse mode"):
        check_grads(pull, (X,), modes=("reverse",))


def test_the_message_names_the_function_and_both_numbers():
    def doubled(x):
        return Elementwise(lambda x: x + x, lambda y, x: 5.0, name="doubled")(x)

    with pytest.raises(AssertionError) as caught:
        check_grads(doubled, (1.0,), seed=3)
    message = str(caught.value)
    assert message.startswith("check_grads: forward mode of doubled, order 1")
    got, want = (float(s.split()[0].rstrip(",")) for s in message.split("got ")[1].split("expected "))
    assert got / want == pytest.approx(2.5)


def test_a_wrong_derivative_in_one_of_many_leaves_is_caught():
    bad = SINE["a thousandth too much"][0]
    for f in (
        lambda p: {"a": p["x"], "b": [p["y"], bad(p["y"])]},
        lambda p: np.sum(p["x"]) * 1e3 + np.sum(bad(p["y"]) * 1e3),
    ):
        with pytest.raises(AssertionError, match="check_grads"):
            check_grads(f, ({"x": X, "y": X + 1},))


@pytest.mark.parametrize("modes", ["forward", ("forward", "backward"), (None,), ()])
def test_unknown_modes_are_refused(modes):
    with pytest.raises(ValueError, match="check_grads: modes"):
        check_grads(np.sin, (0.5,), modes=modes)


@pytest.mark.parametrize("order", [0, -1])
def test_an_order_below_one_is_refused(order):
    with pytest.raises(ValueError, match="check_grads: order"):
        check_grads(np.sin, (0.5,), order=order)


def test_arguments_that_are_no_floats_are_refused():
    with pytest.raises(TypeError, match="expected floats"):
        check_grads(lambda x: x * 1.0, (3,))


def test_the_complex_step_finds_what_is_wrong_and_is_exact():
    def f(x):
        return np.sum(np.exp(x) * np.sin(x[::-1])) / np.sqrt(x[0] ** 2 + 1)

    check_grads(f, (X,), method="complex-step", rtol=1e-14, atol=0)

    def wrong(x):  # its derivative lacks the part that is held constant
        return np.sum(cr.stop_gradient(x) * x)

    with pytest.raises(AssertionError, match="forward mode"):
        check_grads(wrong, (X,), method="complex-step", rtol=1e-14, atol=0)
    with pytest.raises(ValueError, match="method is 'magic'"):
        check_grads(f, (X,), method="magic")
