"""The local derivative: formula and number agree with each other and with difference quotients."""

import importlib
import pkgutil
import re

import numpy as np
import pytest

import chainrule.rules
from chainrule import Value, sigmoid, softmax
from chainrule.numpy import *  # noqa: F403  registers whatever the package records
from chainrule.primitive import Elementwise
from chainrule.show.local import Local, local_derivative
from chainrule.show.symbolic import Formula

PARAMS = {
    "round": {"decimals": 1},
    "nan_to_num": {"nan": 0.0, "posinf": None, "neginf": None},
    "leaky_relu": {"slope": 0.1},
    "elu": {"alpha": 0.9},
    "sinc": {"order": 0},
    "bessel_i0": {"order": 0},
}
POINT = {"arccosh": (1.6,), "ldexp": (0.6, 2), "where": (True, 0.6, 0.7)}


def primitives():
    found = {}
    for module in pkgutil.iter_modules(chainrule.rules.__path__):
        for p in vars(importlib.import_module(f"chainrule.rules.{module.name}")).values():
            if isinstance(p, Elementwise) and p.name not in {"imag", "angle"}:  # of complex numbers
                found.setdefault((p.name, len(p.partials)), p)
    return [pytest.param(p, id=name) for (name, _), p in sorted(found.items())]


def evaluate(formula, values):
    """A formula back as a number: mathematics' notation turned into Python's."""
    text = formula.replace("·", "*").replace("^", "**").replace("sech²", "sech2")
    digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    text = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: f"**({m[0].translate(digits)})", text)
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text)
    known = {n: getattr(np, n) for n in dir(np)}
    known |= {
        "σ": sigmoid,
        "sech2": lambda x: 1 / np.cosh(x) ** 2,
        "sinc": lambda x, order: (np.cos(np.pi * x) - np.sinc(x)) / x,
        "bessel_i0": lambda x, order: (np.i0(x + 1e-5) - np.i0(x - 1e-5)) / 2e-5,
    }
    return eval(text, known, values)


@pytest.mark.parametrize("p", primitives())
def test_every_elementwise_rule(p):
    """Its formula can be read, its value is the number, and that is the difference quotient."""
    point = POINT.get(p.name, (0.6, 0.7, 0.8)[: len(p.partials)])
    args = [Value(a) if type(a) is float else a for a in point]
    params = PARAMS.get(p.name, {})
    y = p(*args, **params)
    names = {id(a): "abc"[i] for i, a in enumerate(args)} | {id(y): "f"}
    operands = [Formula.name(n) for n in "abc"[: len(args)]]
    for i, a in enumerate(args):
        if not isinstance(a, Value):
            continue
        local = local_derivative(y, i, operands, names)
        assert local.number is not None and local.formula, (p.name, local)
        values = {"abc"[k]: float(x) for k, x in enumerate(point)} | {"f": float(y.data)}
        assert evaluate(local.formula, values) == pytest.approx(local.number, rel=1e-4, abs=1e-12)
        h = 1e-3
        at = [p.run(*point[:i], point[i] + k * h, *point[i + 1 :], **params) for k in (-2, -1, 1, 2)]
        quotient = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h)
        assert local.number == pytest.approx(float(quotient), rel=1e-8, abs=1e-8)


def local(y, position, **operands):
    names = {id(v): n for n, v in operands.items() if isinstance(v, Value)} | {id(y): "y"}
    return local_derivative(y, position, [Formula.name(n) for n in operands], names)


def test_a_small_array_is_written_out_and_a_larger_one_as_its_range():
    x = Value(np.array([0.0, 1.0]))
    assert local(np.exp(x), 0, x=x) == Local("y", "", "[1 2.718]", None)
    x = Value(np.linspace(0, 1, 50))
    assert local(x * x, 0, x=x) == Local("x", "", "0 to 1", None)


def test_a_large_array_has_its_formula_only():
    x = Value(np.full(20_000, 2.0))
    assert local(x**3, 0, x=x) == Local("3·x²", "", "", None)


def test_what_selects_says_what_it_took():
    x = Value(np.array([-1.0, 2.0]))
    assert local(np.maximum(x, 0.0), 0, x=x) == Local("1 or 0", "", "[0 1]", None)
    x = Value(-1.0)
    assert local(np.maximum(x, 0.0), 0, x=x) == Local("0", "", "0", 0.0)


def test_a_kink_and_a_pole_are_shown_as_they_are():
    x = Value(0.0)
    assert local(np.sqrt(x), 0, x=x) == Local("0.5/y", "", "inf", np.inf)
    assert local(abs(x), 0, x=x) == Local("sign(x)", "", "0", 0.0)
    with np.errstate(divide="ignore"):
        y = np.log(x)
    assert local(y, 0, x=x) == Local("1/x", "", "inf", np.inf)


def test_operators_where_the_derivative_is_no_number():
    x, w = Value(np.ones((2, 3))), Value(np.ones((3, 4)))
    assert local(x @ w, 0, x=x, w=w).operator == "g ↦ g·wᵀ"
    assert local(x @ w, 1, x=x, w=w).operator == "g ↦ xᵀ·g"
    assert local(np.sum(x, axis=0), 0, x=x).operator == "sum over axis 0"
    assert local(x.reshape(6), 0, x=x).operator == "reshape to (6,)"
    assert local(x[0, 1:], 0, x=x).operator == "take [0, 1:]"
    assert local(np.concatenate([x, x], axis=1), 1, x=x, z=x).operator == "part 1 along axis 1"


def test_a_scalar_of_an_array_has_a_row_of_partials():
    x = Value(np.array([1.0, 3.0, 3.0, 2.0]))
    assert local(np.max(x), 0, x=x).value == "[0 0.5 0.5 0]"
    x = Value(np.array([3.0, 4.0]))
    y = np.linalg.norm(x)
    assert local(y, 0, x=x) == Local("", "", "[0.6 0.8]", None)
    assert x._grad is None and y._grad is None


def test_an_array_of_an_array_names_its_jacobian():
    x = Value(np.array([1.0, 3.0]))
    assert local(softmax(x), 0, x=x) == Local("", "Jacobian of softmax", "", None)


def test_a_rule_that_fails_costs_its_label_only():
    def broken(y, x):
        raise ZeroDivisionError("no")

    p = Elementwise(np.sin, broken, name="broken")
    x = Value(0.5)
    assert local(p(x), 0, x=x) == Local()
