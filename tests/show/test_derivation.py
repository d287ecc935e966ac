"""Derivations: every line of one, and that the numbers in it are those of the sweep."""

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.show import derivation, reasons


def test_a_diamond_line_by_line():
    a, b = Value(2.0, name="a"), Value(3.0, name="b")
    h = a * b
    c = np.exp(h - 6.0) + h * a
    found = cr.explain(c, a, names={"h": h, "c": c})
    assert str(found).splitlines() == [
        "dc/da = ∂c/∂v5 · ∂v5/∂h · ∂h/∂a + ∂c/∂v5 · ∂v5/∂a + ∂c/∂v4 · ∂v4/∂v3 · ∂v3/∂h · ∂h/∂a",
        "      = a · b + h + v4 · b",
        "      = 2 · 3 + 6 + 1 · 3",
        "      = 15",
        "",
        "from c back to a: rates multiply along a path, and paths add up",
        "",
        "forward",
        "  h = a * b = 6",
        "  v3 = h - 6 = 0",
        "  v4 = exp(v3) = 1",
        "  v5 = h * a = 12",
        "  c = v4 + v5 = 13",
        "",
        "backward",
        "  dc/dc = 1",
        "      where it begins",
        "  dc/dv5 = dc/dc · ∂c/∂v5 = dc/dc · 1 = 1 · 1 = 1",
        "      addition routes: each operand gets the gradient as it is",
        "  dc/dv4 = dc/dc · ∂c/∂v4 = dc/dc · 1 = 1 · 1 = 1",
        "      addition routes",
        "  dc/dv3 = dc/dv4 · ∂v4/∂v3 = dc/dv4 · v4 = 1 · 1 = 1",
        "      exp is its own derivative: the gradient times the result",
        "  dc/dh = dc/dv3 · ∂v3/∂h + dc/dv5 · ∂v5/∂h = dc/dv3 · 1 + dc/dv5 · a = 1 · 1 + 1 · 2 = 3",
        "      subtraction routes: the gradient as it is, with its sign changed for the second operand",
        "      multiplication swaps: each operand gets the gradient times the other operand",
        "      h is used 2 times: the contributions add up",
        "  dc/da = dc/dh · ∂h/∂a + dc/dv5 · ∂v5/∂a = dc/dh · b + dc/dv5 · h = 3 · 3 + 1 · 6 = 15",
        "      multiplication swaps",
        "      a is used 2 times: the contributions add up",
    ]


def scalar(seed):
    """A random expression of numbers, and its leaves."""
    rng = np.random.default_rng(seed)
    leaves = [Value(float(v), name=f"x{i}") for i, v in enumerate(rng.uniform(0.5, 1.5, 3))]
    nodes = list(leaves)
    operations = [
        lambda a, b: a * b, lambda a, b: a - b, lambda a, b: a / (b * b + 1.0), lambda a, b: np.tanh(a),
        lambda a, b: cr.relu(a - 1.0), lambda a, b: a**2, lambda a, b: np.maximum(a, b),
        lambda a, b: np.exp(-a),
    ]  # fmt: skip
    for _ in range(12):
        i, j = rng.integers(len(nodes), size=2)
        nodes.append(operations[rng.integers(len(operations))](nodes[i], nodes[j]))
    y = sum(nodes[3:], Value(0.0))
    return leaves, y


@pytest.mark.parametrize("seed", range(20))
def test_the_last_form_of_each_step_is_the_gradient_and_the_numbers_before_it_make_it(seed):
    leaves, y = scalar(seed)
    found = cr.explain(y)
    y.backward()
    steps = {step.derivative: step for step in found.steps}
    for leaf in set(leaves) & set(cr.graph.order([y])):
        assert float(steps[f"dy/d{leaf.name}"].forms[-1]) == pytest.approx(
            leaf.grad, rel=1e-3, abs=1e-6
        )
    for step in found.steps:
        if len(step.forms) > 1 and "…" not in step.forms[-2]:
            numbers = step.forms[-2].replace("·", "*")
            if re.fullmatch(r"[-+*.\de() ]+", numbers):  # five digits each
                size = sum(abs(eval(term)) for term in numbers.split(" + "))
                assert abs(eval(numbers) - float(step.forms[-1])) <= 3e-4 * size + 1e-9, step


def test_every_leaf_unless_one_is_asked_for_and_a_node_within():
    a, b = Value(2.0, name="a"), Value(3.0, name="b")
    h = a * b
    c = h * h + b
    every = cr.explain(c)
    assert "dc/da" in every and "dc/db" in every and "from c back to a, b" in every
    inner = cr.explain(c, h)
    assert "dc/dh = dc/dv3 · ∂v3/∂h + dc/dv3 · ∂v3/∂h" in inner and "da" not in inner


def test_arrays_go_by_the_rules_of_their_operations():
    X, W, b = np.arange(6.0).reshape(3, 2), Value(np.ones((2, 2))), Value(np.zeros(2))
    A = X @ W
    H = np.tanh(A + b)
    loss = np.sum(H[0]) * 0.5
    text = str(cr.explain(loss))
    assert "dloss/dW = Xᵀ·dloss/dA = " in text
    assert "for Z = X·W: X̄ = Z̄·Wᵀ and W̄ = Xᵀ·Z̄" in text
    assert "= getitemᵀ(dloss/d" in text
    assert "b was repeated to fit: the gradients of its copies add up" in text
    assert re.search(r"dloss/db = sum\(dloss/dv\d+\)", text)
    assert re.search(r"dloss/dv\d+ = dloss/dH \* sech²\(v\d+\)", text)


def test_a_gradient_that_is_zero_by_structure_says_why():
    a, b = Value(2.0, name="a"), Value(3.0, name="b")
    c = a * 2.0
    assert str(cr.explain(c, b)) == "the derivative is 0: no path from b to c: c was not computed from b"
    assert "text" in cr.explain(c, b).latex


def test_a_seed_and_an_output_that_is_the_input():
    x = Value(np.array([1.0, 2.0]), name="x")
    y = x * 3.0
    assert "dy/dx = dy/dy * 3 = [3 6]" in cr.explain(y, x, seed=np.array([1.0, 2.0]))
    assert cr.explain(x, x, seed=np.ones(2)).steps[0].forms == ("[1 1]",)


def test_a_long_derivation_and_a_long_sum_are_cut_in_the_middle():
    x = y = Value(1.0)
    for _ in range(20_000):
        y = y * 1.0001
    found = cr.explain(y, x, max_steps=10)
    assert len(found.steps) == 10 and found.left_out == 19_991
    assert str(found).count("… 19,991 more steps …") == 2 and r"\vdots" in found.latex
    y = sum((x * float(i) for i in range(1, 50)), Value(0.0))
    (last,) = (s for s in cr.explain(y, x, max_steps=200).steps if s.derivative == "dy/dx")
    assert "… (43 more)" in last.forms[0] and last.forms[-1] == "1225"
    assert last.reasons[-1] == "x is used 49 times: the contributions add up"


def test_latex():
    a, b = Value(2.0, name="a_1"), Value(3.0, name="loss%{x}$\\input")
    c = a**2 * np.exp(b) - a
    found = cr.explain(c, names={"c": c})
    assert found.latex.startswith("\\begin{aligned}\n") and found.latex.endswith("\n\\end{aligned}")
    assert r"\frac{\partial c}{\partial a_{1}}" in found.latex
    assert r"\mathrm{loss\%\{x\}\$\backslash{}input}" in found.latex and r"\input" not in found.latex
    assert r"2 \cdot {a_{1}}" in found.latex
    assert found._repr_latex_() == found._repr_markdown_() == f"$$\n{found.latex}\n$$"
    plain = found.latex.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")


HOSTILE = [
    "</script><img src=x onerror=alert(1)>", "a\u2028b", "$$x$$", "`code`", "a & b \\\\ c", "__proto__",
    "x" * 9999,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_everywhere(name):
    x = Value(2.0, name=name)
    y = np.tanh(x * x)
    found = cr.explain(y, x, names={"y": y})
    assert "\u2028" not in str(found) and len(str(found)) < 20_000
    inside = found._repr_markdown_().removeprefix("$$").removesuffix("$$")
    assert not any(bad in inside.replace(r"\$", "") for bad in ("<", ">", "$", "`", "\u2028"))
    assert inside.count("&") - inside.count(r"\&") == len(found.steps)  # the alignment's own
    assert inside.count("\\\\\n") == len(found.steps) - 1


def test_every_reason_belongs_to_a_primitive():
    from tests.show.test_local import CASES

    known = set(CASES) | {
        "sum", "mean", "broadcast_to", "sum_to", "matmul", "reshape", "transpose", "concatenate", "getitem",
        "softmax", "log_softmax", "logsumexp", "max", "min", "where",
    }  # fmt: skip
    assert set(reasons._REASONS) <= known
    for case in CASES.values():
        short, sentence = reasons.reason(case.primitive)
        assert short and sentence and len(sentence) < 90


def test_loops_and_special_operations_are_derived_too():
    w = Value(0.5, name="w")
    last, _ = cr.scan(lambda c, a: (c * w + a, c), Value(1.0, name="start"), np.arange(4.0))
    text = str(cr.explain(last, w))
    assert "scanᵀ" in text
    x = Value(np.array([1.0, 2.0]), name="x")
    assert "logsumexpᵀ(" in str(cr.explain(cr.logsumexp(x) * 2.0, x))


def test_errors():
    x = Value(2.0)
    for call, error, message in [
        (lambda: cr.explain(2.0), TypeError, "output is a float"),
        (lambda: cr.explain(x, 3), TypeError, "input is a int, expected a Value; integers"),
        (lambda: cr.explain(x * np.ones(2)), ValueError, "expected a scalar; .* seed="),
        (lambda: cr.explain(x, max_steps=0), ValueError, "max_steps is 0"),
    ]:
        with pytest.raises(error, match=f"explain: .*{message}"):
            call()


def test_nothing_is_changed():
    a = Value(2.0)
    c = np.sin(a) * a
    cr.explain(c), cr.paths(c, a), cr.cost_report(c)
    assert a._grad is None and c._grad is None and a.name is None
    assert isinstance(cr.explain(c), derivation.Derivation)
