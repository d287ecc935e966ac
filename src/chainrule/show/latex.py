"""Names, numbers and formulas as LaTeX, as it stands between dollar signs and as MathJax reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chainrule.show import summary

__all__ = ["derivative", "escaped", "formula", "name", "numbers"]

_SPECIAL = {
    "\\": r"\backslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "$": r"\$", "%": r"\%", "&": r"\&", "#": r"\#",
    "^": r"\wedge{}", "~": r"\sim{}", "<": r"\lt{}", ">": r"\gt{}", " ": r"\ ", "`": r"{}^{\backprime}",
    "…": r"\ldots{}",
}  # fmt: skip
_SUPER = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_SYMBOLS = {
    "·": r" \cdot ", "*": r" \odot ", "σ": r"\sigma ", "Σ": r"\Sigma ", "ᵀ": r"^{\top}", "inf": r"\infty ",
    "or": r"\ \text{or}\ ", "…": r"\ldots ",
}  # fmt: skip
_TOKEN = re.compile(
    r"(\d+(?:\.\d*)?)e([+-]?\d+)"  # a number with an exponent
    r"|([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
    r"|\^\(([^()]*)\)"
    r"|((?:\d+\.\d*)|[^\W⁰¹²³⁴⁵⁶⁷⁸⁹ᵀ]+)"  # a number, or a word
    r"|(.)",
    re.DOTALL,
)


def escaped(text: str) -> str:
    r"""Any text, so that none of it is a command.

    Examples
    --------
    >>> print(escaped("a_b $x$"))
    a\_b\ \$x\$
    """
    return "".join(_SPECIAL.get(c, c) for c in summary.printable(text))


def name(text: str) -> str:
    r"""A name: a letter and its number as an index, a word upright.

    Examples
    --------
    >>> name("w"), name("W12"), name("loss")
    ('w', 'W_{12}', '\\mathrm{loss}')
    """
    parts = re.fullmatch(r"([A-Za-z])_?(\d*)", text)
    if parts:
        return f"{parts[1]}_{{{parts[2]}}}" if parts[2] else parts[1]
    return rf"\mathrm{{{escaped(summary.shorten(text, 60))}}}"


def derivative(of: str, by: str) -> str:
    r"""``∂of/∂by``, of names that are LaTeX already.

    Examples
    --------
    >>> print(derivative("y", "x"))
    \frac{\partial y}{\partial x}
    """
    return rf"\frac{{\partial {of}}}{{\partial {by}}}"


def formula(text: str, names: Mapping[str, str]) -> str:
    r"""A formula as `chainrule.show.symbolic` writes it.

    Parameters
    ----------
    text : str
    names : mapping from str to str
        What stands in it for names, as words, and their LaTeX.

    Examples
    --------
    >>> print(formula("1 - q0q²", {"q0q": "y"}), formula("q0q·q1q^(q0q - 1)", {"q0q": "n", "q1q": "x"}))
    1 - {y}^{2} {n} \cdot {x}^{{n} - 1}
    """
    out = []
    for mantissa, exponent, raised, power, word, other in _TOKEN.findall(text):
        if mantissa:
            out.append(rf"{mantissa} \cdot 10^{{{int(exponent)}}}")
        elif raised:
            out.append(f"^{{{raised.translate(_SUPER)}}}")
        elif power:
            out.append(f"^{{{formula(power, names)}}}")
        elif word in names:
            out.append(f"{{{names[word]}}}")
        elif word:
            plain = word[0].isdigit() or word in _SYMBOLS
            out.append(_SYMBOLS.get(word, word) if plain else rf"\operatorname{{{escaped(word)}}}")
        else:
            out.append(_SYMBOLS.get(other) or (other if other in " ^" else _SPECIAL.get(other, other)))
    return "".join(out)


def numbers(text: str) -> str:
    r"""A number or an array as `chainrule.show.summary` writes it: its spaces stay.

    Examples
    --------
    >>> print(numbers("[1.5e-09 inf 2]"))
    [1.5 \cdot 10^{-9}\ \infty \ 2]
    """
    return r"\ ".join(formula(part, {}) for part in text.split(" "))
