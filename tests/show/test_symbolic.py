"""Formulas read off recorded rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import Value
from chainrule.show.symbolic import Formula, call, read


def written(f, *points):
    names = "xyz"[: len(points)]
    values = [Value(p) for p in points]
    return str(read(f(*values), {id(v): n for v, n in zip(values, names)}))


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x, y: x * y, "x·y"),
        (lambda x, y: x * 3.0 + y, "3·x + y"),
        (lambda x, y: x * -3.0 + y, "-3·x + y"),
        (lambda x, y: 1.0 * x - 0.0, "x"),
        (lambda x, y: x - (y - x), "x - (y - x)"),
        (lambda x, y: (x - y) - x, "x - y - x"),
        (lambda x, y: x - -y, "x + y"),
        (lambda x, y: x + -3.0 * y, "x - 3·y"),
        (lambda x, y: -(x + y), "-(x + y)"),
        (lambda x, y: -(0.0 - x), "x"),
        (lambda x, y: -x * x, "-x²"),
        (lambda x, y: x / (y / x), "x/(y/x)"),
        (lambda x, y: -x / y / x, "-x/y/x"),
        (lambda x, y: (x + y) * (x - y), "(x + y)·(x - y)"),
        (lambda x, y: x**2 * y**-1, "x²·y⁻¹"),
        (lambda x, y: (-x) ** 2, "(-x)²"),
        (lambda x, y: (x * y) ** (y + 1), "(x·y)^(y + 1)"),
        (lambda x, y: x**0.5, "x^0.5"),
        (lambda x, y: 2.0**x, "2^x"),
        (lambda x, y: np.tanh(x) ** 2, "tanh(x)²"),
        (lambda x, y: abs(x - y), "|x - y|"),
        (lambda x, y: np.where(True, x, y), "x"),
        (lambda x, y: np.where(np.array([True, False]), x, y), "x or y"),
    ],
)
def test_notation(f, text):
    assert written(f, 2.0, 3.0) == text


def test_raw_results_are_numbers():
    assert str(read(1, {})) == "1"
    assert str(read(np.full(3, -1.0), {})) == "-1"
    assert str(read(np.array([1.0, 2.0]), {})) == "[1 2]"


def test_a_formula_too_long_to_read_is_none():
    x = Value(0.5)
    y = x
    for _ in range(100):
        y = np.sin(y)
    assert read(y, {id(x): "x"}) is None


NAMES = ["w", "model.layers[0].weight", "p['w']", "x1*w1 + x2*w2", "a b", "</b>"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_an_expression_gets_parentheses(name):
    plain = name in NAMES[:3]
    assert str(call("*", [Formula.name(name), Formula.name("y")])) == (
        f"{name} * y" if plain else f"({name}) * y"
    )


@given(st.text(max_size=50))
def test_any_name_is_one_line(name):
    text = str(call("+", [Formula.name(name), Formula.name("y")]))
    assert text.isprintable() and len(text) < 100


@pytest.mark.parametrize(
    ("symbol", "params", "text"),
    [
        ("-", {}, "-a"),
        ("ᵀ", {"axes": (1, 0)}, "aᵀ"),
        ("[]", {"index": (Ellipsis, slice(None, None, -1))}, "a[..., ::-1]"),
        ("[]", {"index": np.array([0, 2])}, "a[[0 2]]"),
        ("sum", {"axis": 0, "keepdims": False}, "sum(a, axis=0)"),
        ("max", {"axis": None, "keepdims": True}, "max(a, keepdims=True)"),
    ],
)
def test_operations_on_one_operand(symbol, params, text):
    assert str(call(symbol, [Formula.name("a")], params)) == text


def test_python_precedence():
    a, b, c = (Formula.name(n) for n in "abc")
    assert str(call("-", [a, call("-", [b, c])])) == "a - (b - c)"
    assert str(call("**", [call("**", [a, b]), c])) == "(a ** b) ** c"
    assert str(call("**", [a, call("**", [b, c])])) == "a ** b ** c"
    assert str(call("*", [call("-", [a]), b])) == "(-a) * b"
    assert str(call("@", [call("+", [a, b]), c])) == "(a + b) @ c"
