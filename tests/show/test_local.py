"""The local derivative: formula and number agree with each other and with difference quotients."""

import re

import numpy as np
import pytest

from chainrule import Value, sigmoid, softmax
from chainrule.primitives import Elementwise
from chainrule.show.local import Local, local_derivative
from chainrule.show.symbolic import Formula
from tests import table
from tests.test_table import modules, primitives

PRIMITIVES = primitives(modules())

# One case of Python numbers for each elementwise rule; the derivatives of a complex number's parts are none.
CASES = {
    c.primitive.name: c
    for c in table.CASES
    if type(c.primitive) is Elementwise and c.of_numbers and c.primitive.name not in {"imag", "angle"}
}


def evaluate(formula, values):
    """A formula back as a number: mathematics' notation turned into Python's."""
    text = formula.replace("·", "*").replace("^", "**").replace("sech²", "sech2")
    digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    text = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: f"**({m[0].translate(digits)})", text)
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text)
    known = {n: getattr(np, n) for n in dir(np)}
    known |= {p.symbol: p for p in PRIMITIVES} | {p.name: p for p in PRIMITIVES}
    known |= {"σ": sigmoid, "sech2": lambda x: 1 / np.cosh(x) ** 2}
    return eval(text, known, values)


@pytest.mark.parametrize("case", [pytest.param(c, id=name) for name, c in sorted(CASES.items())])
def test_every_elementwise_rule(case):
    """Its formula can be read, its value is the number, and that is the difference quotient."""
    p, params = case.primitive, case.params
    point = [x.data if type(x) is table.Constant else x for x in case.operands]
    args = [Value(x) if i in case.wanted else x for i, x in enumerate(point)]
    y = p(*args, **params)
    names = {id(a): "abcd"[i] for i, a in enumerate(args)} | {id(y): "f"}
    operands = [Formula.name(n) for n in "abcd"[: len(args)]]
    for i, a in enumerate(args):
        if not isinstance(a, Value):
            continue
        local = local_derivative(y, i, operands, names)
        assert local.number is not None, (p.name, local)
        if local.formula:  # what would be too long to be read has none
            values = {"abcd"[k]: float(x) for k, x in enumerate(point)} | {"f": float(y.data)}
            assert evaluate(local.formula, values) == pytest.approx(local.number, rel=1e-3, abs=1e-12)
        run, h = case.run or p.run, 1e-3
        at = [run(*point[:i], point[i] + k * h, *point[i + 1 :], **params) for k in (-2, -1, 1, 2)]
        quotient = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h)
        assert local.number == pytest.approx(float(quotient), rel=1e-6, abs=1e-8)


def test_formulas_are_rarely_too_long() -> None:
    assert sum(bool(_formulas(c)) for c in CASES.values()) > 0.9 * len(CASES)


def _formulas(case):
    args = [Value(x) if i in case.wanted else x for i, x in enumerate(case.operands)]
    y = case.primitive(*[x.data if type(x) is table.Constant else x for x in args], **case.params)
    names = {id(a): "abcd"[i] for i, a in enumerate(args)} | {id(y): "f"}
    operands = [Formula.name(n) for n in "abcd"[: len(args)]]
    return all(local_derivative(y, i, operands, names).formula for i in case.wanted)


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
