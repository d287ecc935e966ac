"""`explain`: a gradient worked out on paper, step by step, in symbols, numbers and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.primitives import Bilinear, Elementwise
from chainrule.recording import zeros_like
from chainrule.show import latex, summary
from chainrule.show.asked import (
    at_least_one,
    expect_value,
    first_and_last,
    name_all,
    name_constants,
    scopes,
    seed_of,
)
from chainrule.show.description import operand_formula
from chainrule.show.local import Local, local_derivative
from chainrule.show.paths import factor, paths
from chainrule.show.reasons import reason
from chainrule.show.symbolic import Formula, call
from chainrule.sweeps.adjoint import adjoint
from chainrule.sweeps.paths import Ways, number_of_ways, single, ways
from chainrule.value import Value, current

__all__ = ["Derivation", "Line", "explain"]

_TERMS = 6  # of a sum that are written out
_WRITTEN = 4  # paths whose products are written out above the steps


@dataclass(frozen=True)
class Line:
    """One step: the derivative in one node.

    Attributes
    ----------
    derivative : str
        ``dZ5/dZ1``.
    forms : tuple of str
        What it equals: by the chain rule, with the local derivatives put in, in numbers, and the result.
    reasons : tuple of str
        Why, in words.
    latex : str
        The equation.
    """

    derivative: str
    forms: tuple[str, ...]
    reasons: tuple[str, ...]
    latex: str

    def __str__(self) -> str:
        indent = " " * len(self.derivative)
        text = f"{self.derivative} = " + " = ".join(self.forms)
        if summary.width(text) > 100:
            text = f"{self.derivative} = " + f"\n{indent} = ".join(self.forms)
        return text


@dataclass(frozen=True)
class Derivation:
    """A derivation; printed, it is text. In a notebook it shows itself as mathematics.

    Attributes
    ----------
    title : str
        What is derived.
    whole : tuple of str
        The derivative as one equation, where it has few paths: the paths, their symbols, their numbers.
    forward : tuple of str
        What was computed, in the order of the program.
    steps : tuple of Line
        From the output back.
    left_out : int
        How many steps in the middle are missing.
    """

    title: str
    whole: tuple[str, ...]
    forward: tuple[str, ...]
    steps: tuple[Line, ...]
    left_out: int = 0

    def __str__(self) -> str:
        lines = []
        if self.whole:
            left, *forms = self.whole
            lines += [f"{left} = {forms[0]}", *(f"{' ' * len(left)} = {form}" for form in forms[1:]), ""]
        lines.append(self.title)
        if not self.steps:
            return "\n".join(lines)
        lines += ["", "forward", *(f"  {text}" for text in self._cut(self.forward))]
        lines += ["", "backward"]
        for step in self._cut(self.steps):
            lines += [f"  {text}" for text in str(step).split("\n")]
            lines += [f"      {why}" for why in step.reasons] if isinstance(step, Line) else []
        return "\n".join(lines)

    __repr__ = __str__

    def __contains__(self, text: object) -> bool:
        """Whether the text says so: ``"dc/da" in explain(c)``."""
        return isinstance(text, str) and text in str(self)

    def _cut(self, lines: Sequence[Any]) -> list[Any]:
        gap = [f"… {self.left_out:,} more steps …"] if self.left_out else []
        half = (len(lines) + 1) // 2 if gap else len(lines)
        return [*lines[:half], *gap, *lines[half:]]

    @property
    def latex(self) -> str:
        """The steps as LaTeX: an ``aligned`` environment, to stand in mathematics."""
        if not self.steps:
            return rf"\text{{{latex.escaped(self.title)}}}"
        rows = [step.latex for step in self._cut(self.steps) if isinstance(step, Line)]
        if self.left_out:
            rows.insert((len(rows) + 1) // 2, rf"&\;\;\vdots \quad \text{{{self.left_out} more}}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"

    def _repr_markdown_(self) -> str:
        return self._repr_latex_()


def explain(
    output: Value,
    input: Value | None = None,
    *,
    seed: Any = None,
    max_steps: int = 100,
    names: Mapping[str, Any] | None = None,
) -> Derivation:
    """Derive a gradient as on paper: ``dc/da = dc/dh · dh/da = … = number``.

    Two rules are all there is to it. Rates multiply: when ``h`` changes three times as fast as ``a``
    and ``c`` twice as fast as ``h``, ``c`` changes six times as fast as ``a``. And what reaches the
    output in several ways adds up. The steps go from the output back to the input, and each says
    what was put in and why; sums have one term for each use of a Value.

    Parameters
    ----------
    output : Value
    input : Value, optional
        The derivative with respect to this one; to every leaf by default.
    seed : array_like, optional
        The cotangent of the output to begin with, in its shape; 1 for a scalar. An array needs one.
    max_steps : int
        So many steps are written at most, the first and the last ones.
    names : mapping from str to object, optional
        Names for nodes, looked up before the caller's own variables.

    Returns
    -------
    Derivation
        ``str()`` is text, ``.latex`` LaTeX.

    Raises
    ------
    TypeError
        If output or input is no Value.
    ValueError
        If the output is an array and there is no seed, or one of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value
    >>> a, b = Value(2.0, name="a"), Value(3.0, name="b")
    >>> h = a * b
    >>> c = h + a
    >>> print(explain(c, a, names={"h": h, "c": c}))
    dc/da = ∂c/∂h · ∂h/∂a + ∂c/∂a
          = b + 1
          = 3 + 1
          = 4
    <BLANKLINE>
    from c back to a: rates multiply along a path, and paths add up
    <BLANKLINE>
    forward
      h = a * b = 6
      c = h + a = 8
    <BLANKLINE>
    backward
      dc/dc = 1
          where it begins
      dc/dh = dc/dc · ∂c/∂h = dc/dc · 1 = 1 · 1 = 1
          addition routes: each operand gets the gradient as it is
      dc/da = dc/dh · ∂h/∂a + dc/dc · ∂c/∂a = dc/dh · b + dc/dc · 1 = 1 · 3 + 1 · 1 = 4
          multiplication swaps: each operand gets the gradient times the other operand
          addition routes
          a is used 2 times: the contributions add up
    """
    output = expect_value("explain", "output", output)
    sources = [expect_value("explain", "input", input)] if input is not None else []
    start = seed_of("explain", output, seed)
    most = at_least_one("explain", "max_steps", max_steps)
    where = scopes("explain", names)
    nodes, called, _ = name_all(output, where)
    sources = sources or [v for v in nodes if v.primitive is None]
    found = ways(output, sources)
    if input is not None and not found:
        why = str(paths(output, input, seed=seed, names=names))
        return Derivation(f"the derivative is 0: {why}", (), (), ())
    back = list(reversed(found))
    shown = first_and_last(back, most)
    users: dict[Value, list[tuple[Value, int]]] = {}
    for v, steps in found.items():
        for i, x in steps:
            users.setdefault(x, []).append((v, i))
    name_constants([v for x in shown for v, _ in users.get(x, [])], where, called)
    writer = _Writer(output, called, _gradients(output, start, found, sources))
    whole: tuple[str, ...] = ()
    if input is not None and all(map(single, found)) and number_of_ways(found) <= _WRITTEN:
        whole = _whole(called[id(output)], called[id(input)], paths(output, input, seed=seed, names=names))
    ends = _listed([called[id(x)] for x in sources])
    return Derivation(
        f"from {called[id(output)]} back to {ends}: rates multiply along a path, and paths add up",
        whole,
        tuple(writer.forward(v) for v in reversed(shown) if v.primitive is not None),
        tuple(writer.step(x, users.get(x, [])) for x in shown),
        len(back) - len(shown),
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names if len(names) <= _TERMS else [*names[: _TERMS - 1], f"… ({len(names)} in all)"])


def _whole(output: str, input: str, found: Any) -> tuple[str, ...]:
    """The derivative as the sum over its paths: as derivatives, in symbols and in numbers."""
    if any(len(p.shown) > 10 for p in found):
        return ()
    chains = [
        " · ".join(f"∂{_d(y)}/∂{_d(x)}" for y, x in pairwise(reversed(p.shown))) or "1"
        for p in found
    ]
    forms = [
        " + ".join(chains),
        " + ".join(p.symbols for p in found),
        " + ".join(p.numbers for p in found),
        summary.array(found.gradient),
    ]
    return (f"d{_d(output)}/d{_d(input)}", *_distinct(forms))


def _d(name: str) -> str:
    """A name as it stands behind a d."""
    return Formula.name(name).within(1)


def _distinct(forms: Sequence[str]) -> list[str]:
    return [x for i, x in enumerate(forms) if i == 0 or x != forms[i - 1]]


def _gradients(output: Value, seed: Any, found: Ways, sources: Sequence[Value]) -> dict[int, Any]:
    """The cotangent of every node on a way, by its identity."""
    visited: list[Any] = []
    until = sources[0].serial if len(sources) == 1 else -1
    with np.errstate(all="ignore"):
        ends = adjoint([(output, seed)], until=until, record=False, visited=visited)
    steps = iter(visited)
    return {id(v): g for v, g in (*ends.items(), *zip(steps, steps))}


class _Writer:
    """Steps in text and in LaTeX. Each operation's reason is given in full once, by its name afterwards."""

    def __init__(self, output: Value, names: Mapping[int, str], gradients: Mapping[int, Any]) -> None:
        self.output, self.names, self.gradients = output, names, gradients
        self.words: dict[int, str] = {}  # what stands for a name in a formula that becomes LaTeX
        self.latex: dict[str, str] = {}
        self.said: set[str] = set()

    def forward(self, v: Value) -> str:
        primitive = v.primitive
        assert primitive is not None
        operands = [operand_formula(x, self.names) for x in v.inputs]
        text = str(call(primitive.symbol, operands, v.params, name=primitive.name))
        return f"{self.names[id(v)]} = {summary.shorten(text, 60)} = {summary.array(v._raw)}"

    def step(self, x: Value, users: Sequence[tuple[Value, int]]) -> Line:
        left = self._total(x)
        gradient = self.gradients.get(id(x))
        gradient = zeros_like(current(x)) if gradient is None else gradient
        result = summary.array(gradient)
        shown = first_and_last(users, _TERMS)
        terms, left_out = [self._term(v, i) for v, i in shown], len(users) - len(shown)
        reasons = [self._reason(p) for p in dict.fromkeys(v.primitive for v, _ in users)]
        if any(isinstance(v.primitive, Elementwise) and v.shape != x.shape for v, _ in users):
            reasons.append(f"{self.names[id(x)]} was repeated to fit: the gradients of its copies add up")
        if len(users) > 1:
            reasons.append(f"{self.names[id(x)]} is used {len(users)} times: the contributions add up")
        if x is self.output:
            reasons = ["where it begins"]
        sums = [_sum(forms, left_out) for forms in zip(*terms)] or [""] * 4
        chain, symbols, numbers, in_latex = sums
        if "" in (t[0] for t in terms):
            chain = numbers = ""  # there are arrays among them
        forms = [*filter(None, (chain, symbols, numbers)), result]
        equation = " = ".join(filter(None, [f"{self._latex_total(x)} &", in_latex, latex.numbers(result)]))
        return Line(left, tuple(_distinct(forms)), tuple(reasons), equation)

    def _reason(self, primitive: Any) -> str:
        short, sentence = reason(primitive)
        text = short if short in self.said else f"{short}: {sentence}"
        self.said.add(short)
        return text

    def _term(self, v: Value, i: int) -> tuple[str, str, str, str]:
        """One contribution: by the chain rule, in symbols, in numbers (of numbers alone), and in LaTeX."""
        x = v.inputs[i]
        g, latex_g = self._total(v), self._latex_total(v)
        local = local_derivative(v, i, [operand_formula(y, self.names) for y in v.inputs], self.names)
        words = self._words(v)
        local_words = local_derivative(v, i, [operand_formula(y, words) for y in v.inputs], words)
        chain = numbers = ""
        if single(v) and single(x):
            chain = f"{g} · ∂{_d(self.names[id(v)])}/∂{_d(self.names[id(x)])}"
            symbols = f"{g} · {factor(local.formula or local.value)}"
            arrived = summary.array(self.gradients.get(id(v), 0.0))
            numbers = f"{factor(arrived)} · {factor(local.value)}"
            formula = latex.formula(factor(local_words.formula or local.value), self.latex)
            return chain, symbols, numbers, rf"{latex_g} \cdot {formula}"
        return "", self._back(v, i, g, local, "*", "ᵀ"), "", self._latex_back(v, i, latex_g, local_words)

    def _back(self, v: Value, i: int, g: str, local: Local, times: str, transposed: str) -> str:
        """An array's cotangent, sent back by the rule of its operation."""
        primitive = v.primitive
        assert primitive is not None
        if isinstance(primitive, Elementwise):
            text = g if local.formula == "1" else f"{g} {times} {factor(local.formula or local.value)}"
            return text if v.inputs[i].shape == v.shape else f"sum({text})"
        if primitive.name == "matmul" and isinstance(primitive, Bilinear):
            rule = local.operator.removeprefix("g ↦ ")
            return g + rule.removeprefix("g") if i == 0 else rule.removesuffix("g") + g
        other = f"; {operand_formula(v.inputs[1 - i], self.names)}" if isinstance(primitive, Bilinear) else ""
        return f"{primitive.name}{transposed}({g}{other})"

    def _latex_back(self, v: Value, i: int, g: str, local: Local) -> str:
        mark = "q0q"  # no Value's: theirs begin at 1
        text = self._back(v, i, mark, local, "*", "ᵀ")
        return latex.formula(text, self.latex | {mark: g})

    def _words(self, v: Value) -> dict[int, str]:
        """Plain words in the place of names, whatever these are made of."""
        for x in (v, *v.inputs):
            if id(x) in self.names and id(x) not in self.words:
                word = f"q{len(self.words) + 1}q"
                self.words[id(x)] = word
                self.latex[word] = latex.name(self.names[id(x)])
        return self.words

    def _total(self, x: Value) -> str:
        return f"d{_d(self.names[id(self.output)])}/d{_d(self.names[id(x)])}"

    def _latex_total(self, x: Value) -> str:
        return latex.derivative(latex.name(self.names[id(self.output)]), latex.name(self.names[id(x)]))


def _sum(terms: Sequence[str], left_out: int) -> str:
    half = (len(terms) + 1) // 2
    gap = [f"… ({left_out:,} more)"] if left_out else []
    return " + ".join([*terms[:half], *gap, *terms[half:]])
