"""`cost_report`: what a gradient costs, beside the Jacobians that nobody has to build for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
import optree

from chainrule.containers import flatten
from chainrule.derivatives import Argnums, record_call
from chainrule.graph import order
from chainrule.recording import Recording, kind_of
from chainrule.rules import bodies
from chainrule.show import summary
from chainrule.show.asked import (
    at_least_one,
    expect_value,
    first_and_last,
    name_all,
    name_constants,
    scopes,
)
from chainrule.show.description import operand_formula
from chainrule.show.symbolic import Formula, call
from chainrule.show.text import aligned
from chainrule.sweeps.adjoint import adjoint
from chainrule.sweeps.chain import Order, orders
from chainrule.sweeps.cost import Operation, operations, size
from chainrule.sweeps.paths import joints, ways
from chainrule.value import Value, current

__all__ = ["CostReport", "cost_report"]

_WIDEST = 44  # columns of an operation
_ROUNDS, _LONG = 3, 0.05  # rounds of measuring at least, and the seconds after which there are no more
_FACTORS = 50  # of a chain at most

Row = tuple[Any, ...]


class CostReport:
    """What a gradient costs; printed, it is a table.

    Attributes
    ----------
    columns : tuple of str
    rows : tuple of tuple
        One for each operation and each of its Jacobians, as text and integers: the operation, how
        often it is done, its flops and the bytes of its result (None beside a further Jacobian of
        the same operation), and of the Jacobian its name, its shape (rows and columns), its entries
        and the structurally non-zero ones (None where the operation has none).
    flops, bytes : int
        Of one forward pass: its arithmetic, and what it keeps for the sweep.
    numbers : int
        How many numbers these bytes are.
    jacobian_entries, nonzero_entries : int
        Of all Jacobians together: entries, and those not zero by structure.
    gradient_entries : int
        How many derivatives are asked for.
    ratio : float or None
        The time of function and gradient over that of the function alone, measured; None where
        the function was not given and its operations cannot be repeated one by one.
    chain : tuple of (str, int, int)
        The Jacobians between the nodes that the graph narrows to: a product of matrices, the
        output's first, each with its name and its shape. Empty for several inputs, and for more
        than 50 factors.
    orders : list of Order
        What it takes to multiply them, the cheapest order first.
    """

    columns = ("operation", "times", "flops", "bytes", "Jacobian", "rows", "columns", "entries", "non-zero")

    def __init__(
        self,
        made: Sequence[Operation],
        rows: Sequence[Row],
        chain: Sequence[tuple[str, int, int]],
        gradient_entries: int,
        ratio: float | None,
    ) -> None:
        self.rows = tuple(rows)
        self.operations = len(made)
        self.flops, self.bytes = sum(o.flops for o in made), sum(o.bytes for o in made)
        self.numbers = sum(o.numbers for o in made)
        factors = [f for o in made for f in o.factors]
        self.jacobian_entries = sum(f.rows * f.columns for f in factors)
        self.nonzero_entries = sum(f.nonzero for f in factors)
        self.gradient_entries = gradient_entries
        self.ratio = ratio
        self.chain = tuple(chain)
        sizes = [*(m for _, m, _ in chain), *(n for _, _, n in chain[-1:])]
        self.orders: list[Order] = orders(sizes, _letters(len(chain))) if len(chain) > 1 else []

    def __repr__(self) -> str:
        head = ["operation", "flops", "bytes", "Jacobian", "shape", "entries", "non-zero"]
        cells = [_cells(row) for row in self.rows]
        shown = sum(1 for row in self.rows if row[2] is not None)
        if shown < self.operations:
            rest = ["", "", "", "", "", ""]
            cells.insert(len(cells) // 2, [f"… {self.operations - shown:,} more operations …", *rest])
        total = [self.flops, self.bytes, "", "", self.jacobian_entries, self.nonzero_entries]
        lines = aligned([head, *cells, ["total", *map(_number, total)]])
        rule = "-" * max(map(summary.width, lines))
        lines[1:1], lines[-1:-1] = [rule], [rule]
        lines += [
            f"Jacobians: {_number(self.jacobian_entries)} numbers for {_number(self.gradient_entries)} "
            f"gradient{'s' * (self.gradient_entries != 1)}, of which {_number(self.nonzero_entries)} are "
            "structurally non-zero",
            f"the sweep: builds none of them; what the forward pass keeps for it are {_number(self.numbers)} "
            f"number{'s' * (self.numbers != 1)} ({_number(self.bytes)} bytes)",
        ]
        if self.ratio is not None:
            lines.append(
                f"time: function and gradient take {self.ratio:.2f} times the function alone (measured)"
            )
        return "\n".join([*lines, *self._chain_lines()])

    def _chain_lines(self) -> list[str]:
        if not self.orders:
            return []
        letters = _letters(len(self.chain))
        named = [f"{x} = {name} {m}×{n}" for x, (name, m, n) in zip(letters, self.chain)]
        lines = [f"as a chain of matrices: {', '.join(named)}"]
        for o in self.orders:
            text = o.factors if len(o.factors) <= _WIDEST else o.name
            name = f", {o.name}" if o.name and text is o.factors else ""
            lines.append(f"  {text}: {_number(o.multiplications)} multiplications{name}")
        return lines


def cost_report(
    f: Callable[..., Any] | Value,
    *args: Any,
    argnums: Argnums = 0,
    names: Mapping[str, Any] | None = None,
    max_rows: int = 100,
) -> CostReport:
    """Tell what the gradient of a function costs, operation by operation.

    For each operation: its flops, the bytes that it keeps, and the Jacobian in each operand on a
    way from what is differentiated: ``∂y/∂x`` has ``y.size × x.size`` entries. Of these few are
    structurally non-zero, that is, not zero for every input; and the adjoint sweep builds none of
    them. Elementwise operations of one operand only scale the rows of the Jacobian before them and
    stand in one row with it; what is done twice with the same operands stands there once, with its
    number.

    Flops count a multiplication and an addition as two, so ``2 m n k`` for a product of matrices, and
    one for each element of an elementwise operation, exp included.

    Parameters
    ----------
    f : callable or Value
        A function, which is called several times; or what was computed already.
    *args
        The function's arguments. Of a Value: the Values to differentiate with respect to, all
        leaves by default.
    argnums : int or tuple of int
        The arguments of a function to differentiate with respect to.
    names : mapping from str to object, optional
        Names for Values, looked up before the function's parameters and the caller's variables.
    max_rows : int
        So many operations are listed at most, the first and the last; totals are of all.

    Returns
    -------
    CostReport

    Raises
    ------
    TypeError
        If ``f`` is neither, if what it is differentiated with respect to is no float, or if it does
        not return one number or array computed from that.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value
    >>> I, W1, W3, W4 = (Value(np.ones(s)) for s in [(10, 10), (10, 5), (5, 1), (5, 1)])
    >>> Z1 = np.tanh(I @ W1)
    >>> Z3, Z4 = Z1 @ W3, Z1 @ W4
    >>> Z5 = Z3 + Z4
    >>> J = np.sum(Z5)
    >>> variables = {"W1": W1, "W3": W3, "W4": W4, "I": I, "Z1": Z1, "Z3": Z3, "Z4": Z4, "Z5": Z5, "J": J}
    >>> print(cost_report(J, W1, names=variables))
    operation                 flops  bytes  Jacobian  shape  entries  non-zero
    --------------------------------------------------------------------------
    Z1 = tanh(I @ W1)         1,050  800    ∂Z1/∂W1   50×50  2,500    500
    Z3 = Z1 @ W3              100    80     ∂Z3/∂Z1   10×50  500      50
    Z4 = Z1 @ W4              100    80     ∂Z4/∂Z1   10×50  500      50
    Z5 = Z3 + Z4              10     80     ∂Z5/∂Z3   10×10  100      10
                                            ∂Z5/∂Z4   10×10  100      10
    J = sum(Z5, axis=(0, 1))  10     8      ∂J/∂Z5    1×10   10       10
    --------------------------------------------------------------------------
    total                     1,270  1,048                   3,710    630
    Jacobians: 3,710 numbers for 50 gradients, of which 630 are structurally non-zero
    the sweep: builds none of them; what the forward pass keeps for it are 131 numbers (1,048 bytes)
    time: function and gradient take ... times the function alone (measured)
    as a chain of matrices: J1 = ∂J/∂Z5 1×10, J2 = ∂Z5/∂Z1 10×50, J3 = ∂Z1/∂W1 50×50
      (J1·J2)·J3: 3,000 multiplications, reverse
      J1·(J2·J3): 25,500 multiplications, forward
    """
    most = at_least_one("cost_report", "max_rows", max_rows)
    where = scopes("cost_report", names)
    if type(f) is Value:
        output: Value = f
        sources = [expect_value("cost_report", f"input {i}", x) for i, x in enumerate(args)]
        sources = sources or [v for v in order([f]) if v.primitive is None]
        ratio = _ratio_of_graph(output)
    else:
        if not callable(f):
            raise TypeError(
                f"cost_report: f is {kind_of(f)}, expected a function and its arguments, or a Value; "
                "cost_report(f, x) measures f(x), cost_report(y) the graph that y was computed from"
            )
        recording = record_call("cost_report", f, args, {}, argnums)
        output, sources = _one_output(recording), recording.leaves
        where.insert(len(where) - 1 if names is None else 1, _parameters(f, args, recording))
        ratio = _ratio(f, args, argnums)
    nodes, called, known = name_all(output, where)
    if type(f) is not Value and id(output) not in known:
        called[id(output)] = _title(f, called)
    made, first = operations(output, sources)
    called |= {id(v): called[id(same)] for v, same in first.items()}
    shown = first_and_last(made, most)
    name_constants([v for o in shown for v in o.nodes], where, called)
    passed: list[Value] = []
    if len(sources) == 1:
        ends = {*sources, *(o.nodes[-1] for o in made)}  # what was folded stands in no factor of its own
        passed = [v for v, _ in joints(ways(output, sources)) if v in ends]
    passed = passed if len(passed) <= _FACTORS + 1 else []
    chain = [(_of(y, x, called), size(y), size(x)) for y, x in pairwise(passed)]
    entries = size(output) * sum(map(size, sources))
    return CostReport(made, [row for o in shown for row in _rows(o, called)], chain, entries, ratio)


def _one_output(recording: Recording) -> Value:
    outputs = recording.outputs
    if len(outputs) != 1 or type(outputs[0]) is not Value or outputs[0].serial < recording.since:
        received = f"{len(outputs)} results" if len(outputs) != 1 else kind_of(outputs[0])
        raise TypeError(
            f"cost_report: f returned {received}, expected one number or array computed from what it is "
            "differentiated with respect to (argnums); give a function that returns one of them"
        )
    return outputs[0]


def _parameters(f: Any, args: tuple[Any, ...], recording: Recording) -> dict[str, Any]:
    """The function's arguments by their names, Values in the place of what is differentiated."""
    chosen = optree.tree_unflatten(recording.spec, recording.leaves)
    given = [chosen.get(i, x) for i, x in enumerate(args)]
    try:
        return dict(inspect.signature(f).bind(*given).arguments)
    except (TypeError, ValueError):  # a function of C, or one that says nothing
        return {f"arg{i}": x for i, x in enumerate(given)}


def _title(f: Any, taken: Mapping[int, str]) -> str:
    name = getattr(f, "__name__", "")
    return name if isinstance(name, str) and name.isidentifier() and name not in taken.values() else "output"


def _of(y: Value, x: Value, names: Mapping[int, str]) -> str:
    of, by = (Formula.name(names[id(v)]).within(1) for v in (y, x))
    return f"∂{of}/∂{by}"


def _rows(o: Operation, names: Mapping[int, str]) -> list[Row]:
    written: dict[int, Formula] = {}
    for v in o.nodes:
        operands = [written.get(id(x)) or operand_formula(x, names) for x in v.inputs]
        primitive = v.primitive
        assert primitive is not None
        written[id(v)] = call(primitive.symbol, operands, v.params, name=primitive.name)
    last = o.nodes[-1]
    text = summary.shorten(f"{names[id(last)]} = {written[id(last)]}", _WIDEST)
    rows: list[Row] = [
        (text, o.times, o.flops, o.bytes, _of(f.result, f.operand, names), f.rows, f.columns,
         f.rows * f.columns, f.nonzero)
        for f in o.factors
    ] or [(text, o.times, o.flops, o.bytes, "", None, None, None, None)]  # fmt: skip
    return [rows[0], *((text, o.times, None, None, *row[4:]) for row in rows[1:])]


# -------------------------------------------------------------------- as text


def _cells(row: Row) -> list[str]:
    text, times, flops, nbytes, name, rows, columns, entries, nonzero = row
    text = "" if flops is None else text if times == 1 else f"{text} (×{times})"
    shape = "" if rows is None else f"{rows}×{columns}"
    return [text, _number(flops), _number(nbytes), name, shape, _number(entries), _number(nonzero)]


def _number(n: Any) -> str:
    return "" if n is None else n if isinstance(n, str) else f"{n:,}"


def _letters(n: int) -> list[str]:
    return [f"J{i + 1}" for i in range(n)]


# -------------------------------------------------------------------- measured


def _ratio(f: Callable[..., Any], args: tuple[Any, ...], argnums: Argnums) -> float:
    """The function alone on plain data, and recorded with a sweep behind it, in turn."""
    leaves, spec = flatten(args)
    plain: Any = optree.tree_unflatten(spec, [current(x) for x in leaves])

    def both() -> None:
        recording = record_call("cost_report", f, plain, {}, argnums)
        y = _one_output(recording)
        adjoint([(y, np.ones_like(y._raw)[()])], since=recording.since, until=recording.until, record=False)

    return _measured(lambda: f(*plain), both)


def _ratio_of_graph(output: Value) -> float | None:
    """What is recorded already, done once more operation by operation; then the sweep."""
    nodes = [v for v in order([output]) if v.primitive is not None]
    if any(isinstance(v._raw, bodies.Parts) for v in nodes) or not nodes:
        return None  # a loop is not run again by its operation alone

    def forward() -> None:
        for v in nodes:
            v.primitive(*v.args, **v.params)  # type: ignore[misc]

    def both() -> None:
        forward()
        adjoint([(output, 1.0 if type(output._raw) is float else np.ones_like(output._raw))], record=False)

    return _measured(forward, both)


def _measured(alone: Callable[[], Any], both: Callable[[], Any]) -> float:
    best = [np.inf, np.inf]
    began = perf_counter()
    rounds = 0
    with np.errstate(all="ignore"):
        while rounds < _ROUNDS or (perf_counter() - began < _LONG and rounds < 100):
            rounds += 1
            for i, run in enumerate((alone, both)):
                start = perf_counter()
                run()
                best[i] = min(best[i], perf_counter() - start)
    return float(best[1] / max(best[0], 1e-9))
