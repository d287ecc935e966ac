"""LaTeX of names, numbers and formulas: nothing in a name is a command, and the mathematics is the same."""

import pytest

from chainrule.show import latex


@pytest.mark.parametrize(("text", "expected"), [
    ("1 - q0q²", "1 - {y}^{2}"),
    ("q0q⁻¹²", "{y}^{-12}"),
    ("sech²(q1q)", r"\operatorname{sech}^{2}({x_{1}})"),
    ("q1q·q0qᵀ", r"{x_{1}} \cdot {y}^{\top}"),
    ("q0q^(q1q - 1)", "{y}^{{x_{1}} - 1}"),
    ("σ(q0q) or 0", r"\sigma ({y}) \ \text{or}\  0"),
    ("1.5e-09·q0q", r"1.5 \cdot 10^{-9} \cdot {y}"),
    ("-inf", r"-\infty "),
    ("|q0q|", "|{y}|"),
    ("q0q[1:, 0]", "{y}[1:, 0]"),
    ("getitemᵀ(q0q)", r"\operatorname{getitem}^{\top}({y})"),
    ("leaky_relu(q0q)", r"\operatorname{leaky\_relu}({y})"),
    ("{'a': 1}", r"\{'\operatorname{a}': 1\}"),
])  # fmt: skip
def test_formulas(text, expected):
    assert latex.formula(text, {"q0q": "y", "q1q": "x_{1}"}) == expected


@pytest.mark.parametrize("name", ["a_b", "x y", "ö", "W_1_2", "net.layers[0].w", r"\def\x{}", "%", "重み"])
def test_a_name_is_one_upright_word(name):
    text = latex.name(name)
    assert text.startswith(r"\mathrm{") and text.endswith("}")
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert r"\def" not in text and "%" not in text.replace(r"\%", "")


def test_short_names_are_symbols():
    assert [latex.name(n) for n in ("x", "W12", "w_3", "Z5")] == ["x", "W_{12}", "w_{3}", "Z_{5}"]


def test_numbers_keep_their_spaces():
    assert latex.numbers("[[1 2] [3 4]]") == r"[[1\ 2]\ [3\ 4]]"
    assert latex.numbers("1.2529e-09") == r"1.2529 \cdot 10^{-9}"
    assert latex.numbers("nan") == r"\operatorname{nan}"
