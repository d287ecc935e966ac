"""`paths`: every way from an input to an output, with what it contributes to the gradient."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.recording import zeros_like
from chainrule.show import summary
from chainrule.show.asked import (
    at_least_one,
    expect_value,
    name_all,
    name_constants,
    scopes,
    seed_of,
)
from chainrule.show.description import operand_formula
from chainrule.show.local import local_derivative
from chainrule.show.text import aligned
from chainrule.sweeps.adjoint import adjoint
from chainrule.sweeps.paths import Step, largest, longest, number_of_ways, pulled, single, ways
from chainrule.value import Value, current

__all__ = ["Path", "Paths", "paths"]

_STEPS = 1_000_000  # of all listed paths together: long ones are fewer
_SHOWN = 5  # steps at either end of a path that are written out


@dataclass(frozen=True)
class Path:
    """One way from the input to the output.

    Attributes
    ----------
    names : tuple of str
        Every node on it, the input first.
    shown : tuple of str
        Those that have a name of the user's; all of them where two paths differ in others only.
    symbols, numbers : str
        The local derivatives along it, those nearest to the output first; factors of 1 are left
        out. There are no numbers where there are arrays.
    product : float or numpy.ndarray
        Their product: what the path contributes to the gradient, in the input's shape.
    """

    names: tuple[str, ...]
    shown: tuple[str, ...]
    symbols: str
    numbers: str
    product: Any

    @property
    def label(self) -> str:
        """Where it leads along: ``W1 -> Z1 -> Z3 -> Z5``."""
        return _chain(self.shown)

    def __str__(self) -> str:
        return f"{self.label}: {_equation(self)}"


class Paths(Sequence[Path]):
    """Paths, the largest first; printed, they are a table.

    Attributes
    ----------
    n_paths : int
        How many there are, exactly, listed or not.
    not_listed : int
        How many of them are missing here.
    gradient : float or numpy.ndarray
        The sum over all of them, as one sweep finds it: in the input's shape.
    steps : int
        How many local derivatives that one sweep applies.
    """

    def __init__(
        self, listed: Sequence[Path], n_paths: int, gradient: Any, steps: int, ends: tuple[str, str], why: str
    ) -> None:
        self._listed = tuple(listed)
        self.n_paths, self.gradient, self.steps = n_paths, gradient, steps
        self._ends, self._why = ends, why

    @property
    def not_listed(self) -> int:
        return self.n_paths - len(self._listed)

    def __len__(self) -> int:
        return len(self._listed)

    def __getitem__(self, index: Any) -> Any:
        return self._listed[index]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._listed)

    def __repr__(self) -> str:
        source, output = self._ends
        if not self.n_paths:
            return f"no path from {source} to {output}: {self._why}"
        head = f"{_several(self.n_paths, 'path')} from {source} to {output}"
        rows = [["path", "local derivatives", "in numbers", "product"]]
        rows += [[p.label, p.symbols, p.numbers, summary.array(p.product)] for p in self]
        if self.not_listed:
            rows.append([f"… and {_count(self.not_listed)} more, not listed", "", "", ""])
        rows.append(["sum of all: the gradient", "", "", summary.array(self.gradient)])
        if not any(p.numbers for p in self):
            rows = [[label, symbols, product] for label, symbols, _, product in rows]
        return "\n".join([
            head,
            *aligned(rows),
            f"one sweep finds that sum in {_several(self.steps, 'step')}",
        ])  # fmt: skip


def paths(
    output: Value,
    input: Value,
    *,
    seed: Any = None,
    max_paths: int = 100,
    names: Mapping[str, Any] | None = None,
) -> Paths:
    """Find every way from an input to an output; the gradient is the sum of their products.

    ``∂y/∂x = Σ over paths, Π along the path ∂vⱼ/∂vᵢ``

    Of numbers, a path's product is that of its local derivatives. Of arrays it is the cotangent
    pulled along this one path, in the input's shape. An operation that uses a Value twice, as
    ``x * x``, is two paths. Paths are counted without being listed; of very many only the largest
    are listed, and how many are not is said. That choice is exact for numbers; arrays are chosen
    by an estimate. A path through a closed ``relu`` is there, and contributes 0.

    Parameters
    ----------
    output : Value
    input : Value
        A leaf or any other node.
    seed : array_like, optional
        The cotangent of the output to begin with, in its shape; 1 for a scalar. An array needs one.
    max_paths : int
        So many are listed at most; fewer where paths have more than ten thousand steps.
    names : mapping from str to object, optional
        Names for nodes, looked up before the caller's own variables.

    Returns
    -------
    Paths
        A sequence, empty where the input does not reach the output.

    Raises
    ------
    TypeError
        If output or input is no Value.
    ValueError
        If the output is an array and there is no seed, or one of another shape.

    Examples
    --------
    >>> from chainrule import Value
    >>> x, w = Value(2.0, name="x"), Value(3.0, name="w")
    >>> y = x * w + x
    >>> print(paths(y, x, names={"y": y}))
    2 paths from x to y
    path                      local derivatives  in numbers  product
    x -> v2 -> y              w                  3           3
    x -> y                    1                  1           1
    sum of all: the gradient                                 4
    one sweep finds that sum in 3 steps
    """
    output, input = expect_value("paths", "output", output), expect_value("paths", "input", input)
    start = seed_of("paths", output, seed)
    most = at_least_one("paths", "max_paths", max_paths)
    where = scopes("paths", names)
    found = ways(output, [input])
    n = number_of_ways(found)
    nodes, called, known = name_all(output, where)
    ends = called.get(id(input)) or name_all(input, where)[1][id(input)], called[id(output)]
    if not found:
        inside = any(v is input for v in nodes)
        why = (
            "what lies between them has derivative zero everywhere"
            if inside
            else f"{ends[1]} was not computed from {ends[0]}"
        )
        return Paths([], 0, zeros_like(current(input)), 0, ends, why)
    with np.errstate(all="ignore"):
        ends_of_sweep = adjoint([(output, start)], until=input.serial, record=False)
    gradient = ends_of_sweep.get(input, zeros_like(current(input)))
    most = max(1, min(most, _STEPS // max(longest(found), 1)))
    found_ways = list(largest(found, start, most))
    shown = {id(v): v for way in found_ways for v, _ in _ends_of(way)}
    name_constants(list(shown.values()), where, called)
    writer = _Writer(called, known | {id(input), id(output)})
    listed = [writer.write(way, input, pulled(way, start), start) for way in found_ways]
    if len({p.shown for p in listed}) < len(listed):
        listed = [replace(p, shown=p.names) for p in listed]
    # by what they contribute; a nan is nobody's equal and comes first
    listed.sort(key=lambda p: -_size(p.product))
    steps = sum(map(len, found.values()))
    return Paths(listed, n, _ascent(gradient), steps, ends, "")


class _Writer:
    """Paths in names, symbols and numbers; each local derivative is found once."""

    def __init__(self, names: Mapping[int, str], known: set[int]) -> None:
        self.names, self.known = names, known
        self.locals: dict[tuple[int, int], tuple[str, str]] = {}

    def write(self, way: Sequence[Step], input: Value, product: Any, seed: Any) -> Path:
        values = [input, *(v for v, _ in reversed(way))]
        every = tuple(self.names[id(v)] for v in values)
        few = tuple(self.names[id(v)] for v in values if id(v) in self.known)
        factors = [self._local(v, i) for v, i in _ends_of(way)]
        factors = [f for f in factors if f[0] != "1"]
        gap = ["…"] if len(way) > 2 * _SHOWN else []
        symbols, numbers = [factor(f) for f, _ in factors], [n for _, n in factors]
        if np.ndim(seed) or seed != 1.0:
            symbols, numbers = ["seed", *symbols], [summary.spread(seed), *numbers]
        middle = (len(symbols) + 1) // 2
        symbols[middle:middle] = numbers[middle:middle] = gap
        if product is None:
            product = zeros_like(current(input))
        scalar = not np.ndim(seed) and all(single(v) for v in values)
        return Path(
            every,
            few,
            " · ".join(symbols) or "1",
            (" · ".join(numbers) or "1") if scalar else "",
            _ascent(product),
        )

    def _local(self, v: Value, i: int) -> tuple[str, str]:
        key = id(v), i
        if key not in self.locals:
            operands = [operand_formula(x, self.names) for x in v.inputs]
            local = local_derivative(v, i, operands, self.names)
            text = local.formula or f"({local.operator})" if local.formula or local.operator else local.value
            self.locals[key] = text, factor(local.value) if single(v) else ""
        return self.locals[key]


def factor(text: str) -> str:
    """A formula as it stands in a product: in parentheses if it is a sum, a quotient or negative.

    Examples
    --------
    >>> factor("1 - y²"), factor("sin(x - 1)"), factor("1e-07")
    ('(1 - y²)', 'sin(x - 1)', '1e-07')
    """
    depth = 0
    for c in re.sub(r"(?<=\d)e[-+]?(?=\d)", "", text):
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 and c in "+-/ ":
            return f"({text})"
    return text


def _ends_of(way: Sequence[Step]) -> Sequence[Step]:
    return way if len(way) <= 2 * _SHOWN else [*way[:_SHOWN], *way[-_SHOWN:]]


def _chain(names: Sequence[str]) -> str:
    cut = [summary.shorten(x, 24) for x in (names if len(names) <= 2 * _SHOWN + 1 else names[:_SHOWN])]
    if len(names) > 2 * _SHOWN + 1:
        cut += [f"… {len(names) - 2 * _SHOWN:,} more …", *(summary.shorten(x, 24) for x in names[-_SHOWN:])]
    return " -> ".join(cut)


def _equation(p: Path) -> str:
    parts = [p.symbols, *([p.numbers] if p.numbers else []), summary.array(p.product)]
    return " = ".join(x for i, x in enumerate(parts) if i == 0 or x != parts[i - 1])


def _ascent(g: Any) -> Any:
    """A cotangent as ``.grad`` has it: of complex numbers the direction of steepest ascent."""
    return np.conj(g) if np.iscomplexobj(g) else g


def _size(product: Any) -> float:
    size = float(np.linalg.norm(np.ravel(product)))
    return size if size == size else math.inf


def _several(n: int, what: str) -> str:
    return f"{_count(n)} {what}{'s' * (n != 1)}"


def _count(n: int) -> str:
    """An integer of any size; of a very large one its order of magnitude."""
    if n < 10**21:
        return f"{n:,}"
    exponent = math.log10(n)
    mantissa = 10 ** (exponent % 1)
    return f"about {mantissa:.4g}e{int(exponent)}"
