"""Checking: the compiled program beside the plain function, and where they first part.

Three computations can be compared: the function run eagerly, the captured program carried out by
NumPy operation by operation, and its machine code. Where the first two differ, capture has missed
something; where the last two do, the code of one operation is wrong. That one is found by a
program that returns every node: each is compared with NumPy's result on the *same* operands, so
that rounding does not add up on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optree
from numpy.typing import NDArray

from chainrule.containers import flatten
from chainrule.native.capture import Captured, Output, Slot
from chainrule.native.convolution import CONVOLUTIONS
from chainrule.native.graph import labels, names
from chainrule.native.guards import Guards
from chainrule.native.operations import ELEMENTWISE, REDUCTIONS, VIEWS
from chainrule.native.program import Program
from chainrule.native.reference import evaluate, order, run
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["CheckError", "checked"]

TOLERANCE = {"f": 1e-4, "F": 1e-4, "d": 1e-9, "D": 1e-9}  # of the largest number in an array
AMPLIFIED = 64  # a difference is rounding if one last bit in each operation makes one of 1/64 of it
MOST = 20_000  # nodes returned by one program

Found = dict[Traced, Any]


class CheckError(AssertionError):
    """A compiled program and the plain function gave different numbers."""


def checked(program: Program, leaves: Sequence[Any]) -> tuple[Sequence[Any], Any]:
    """What the compiled program gives, if the plain function gives the same; before it what it was given.

    Both start from the same state and draw the same random numbers; afterwards all is as the compiled
    program left it, or, after an error, as it was before.

    Raises
    ------
    CheckError
        With the first operation that differs by more than rounding.
    """
    captured = program.captured
    leaves = list(leaves)
    before: list[Any] = [_Saved(s.value) for s in captured.states]
    before += [_Saved(x) for x in leaves if type(x) is Value]
    before += [_SavedGenerator(d.of(leaves)) for d in program.draws]
    try:
        plain = _outcome(captured, captured.call([x.copy() if type(x) is np.ndarray else x for x in leaves]))
        for saved in before:
            saved.restore()
        given = [_given(captured, slot, leaves) for slot in captured.slots]
        leaves, result = program.drawing(leaves) if program.draws else (leaves, program(leaves))
        for i, slot in enumerate(captured.slots):
            if slot.kind == "argument" and given[i] is None:
                given[i] = leaves[slot.which]
        compiled = _outcome(captured, result)
        if not _alike(plain, compiled):
            _explain(program, given, plain, compiled)
    except BaseException:
        for saved in before:
            saved.restore()
        raise
    return leaves, result


# -------------------------------------------------------------------- state, before and after


class _SavedGenerator:
    def __init__(self, generator: np.random.Generator) -> None:
        self.generator, self.state = generator, generator.bit_generator.state

    def restore(self) -> None:
        self.generator.bit_generator.state = self.state


class _Saved:
    """The data and gradient of a Value, to be put back."""

    def __init__(self, v: Value) -> None:
        self.value, self.args = v, v.args
        self.data, self.grad, self.held = _copy(v._current()), _copy(v._gradient), v._gradient

    def restore(self) -> None:
        v = self.value
        if v.primitive is None and not _same(v._current(), self.data):
            v.args = self.args
            v._adopt(_copy(self.data))
        if not _same(v._gradient, self.grad) or not _same(self.held, self.grad):
            if type(self.held) is np.ndarray and self.held.flags.writeable:
                self.held[...] = self.grad  # somebody may look at this very array
                v._gradient = self.held
            else:
                v._gradient = _copy(self.grad)


def _copy(x: Any) -> Any:
    return np.array(x) if isinstance(x, np.ndarray) else x


def _same(a: Any, b: Any) -> bool:
    """To the bit."""
    if a is None or b is None or np.shape(a) != np.shape(b):
        return a is b
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def _given(captured: Captured, slot: Slot, leaves: Sequence[Any]) -> Any:
    """The data of an input; None if it has yet to be drawn."""
    if slot.kind == "argument" and slot.which >= len(leaves):
        return None
    if slot.kind == "argument":
        x = leaves[slot.which]
        return _copy(x._current() if type(x) is Value else x)
    if slot.kind == "array":
        return _copy(captured.trace.arrays[slot.which][1])
    v = captured.states[slot.which].value
    return _copy(v._current() if slot.kind == "data" else v._gradient)


@dataclass(frozen=True)
class _Item:
    """A result, or what a state holds afterwards; ``node`` is what computed it, if anything did."""

    label: str
    node: Traced | None
    data: Any


def _outcome(captured: Captured, result: Any) -> list[_Item]:
    leaves, spec = flatten(result, none_is_leaf=True)
    of_results, of_states = labels(captured, spec)
    nodes = [o.node if o.kind != "plain" else None for o in captured.outputs]
    nodes += [None] * (len(leaves) - len(nodes))
    found = []
    for label, node, x in zip(of_results, nodes, leaves):
        if node is not None or type(x) is not Value:  # else it is a Value from outside, and comes below
            found.append(_Item(label, node, _copy(x._current() if type(x) is Value else x)))
    for (data, grad), s in zip(of_states, captured.states, strict=True):
        v = s.value
        found.append(_Item(data, s.data if s.data_changed else None, _copy(v._current())))
        found.append(_Item(grad, s.grad if s.grad_changed else None, _copy(v._gradient)))
    return found


# -------------------------------------------------------------------- comparing


def _alike(a: Sequence[_Item], b: Sequence[_Item]) -> bool:
    return len(a) == len(b) and all(differing(x.data, y.data) is None for x, y in zip(a, b, strict=True))


def differing(a: Any, b: Any, scale: Any = None) -> NDArray[np.bool_] | None:
    """Where two arrays differ by more than rounding; None if nowhere.

    nan and infinities must agree. ``scale`` is what rounding is relative to, by default the largest
    number in the arrays.
    """
    if a is None or b is None or isinstance(a, str) or isinstance(b, str):
        return None if a is b or a == b else np.ones((), bool)
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.ones((), bool)
    if a.dtype.char not in TOLERANCE:
        bad = np.asarray(a != b)
        return bad if bad.any() else None
    with np.errstate(all="ignore"):
        tolerance = TOLERANCE[a.dtype.char] * (_size(a, b) if scale is None else scale)
        near = np.isfinite(a) & np.isfinite(b) & (np.abs(a - b) <= tolerance)
        bad = np.asarray(~(near | (a == b) | (np.isnan(a) & np.isnan(b))))
    return bad if bad.any() else None


def _size(*arrays: Any) -> Any:
    """The largest finite magnitude."""
    return max((np.max(np.abs(a[np.isfinite(a)]), initial=0.0) for a in map(np.asarray, arrays)), default=0.0)


# -------------------------------------------------------------------- explaining


def _explain(program: Program, given: list[Any], plain: list[_Item], compiled: list[_Item]) -> None:
    """Raise what is wrong; return if it is rounding after all."""
    captured, name = program.captured, program.name
    if len(plain) != len(compiled):
        raise CheckError(_missed(name, "it returned other containers than when it was captured"))
    written = {x: i for i, x in enumerate(captured.trace.lines or ())}
    nodes = sorted(order(captured.roots()), key=lambda x: written.get(x, -1))  # as in the user's program
    values = evaluate(nodes, given)
    spread = _spread(nodes, given, values, {x.node for x in compiled if x.node is not None})
    for p, c in zip(plain, compiled, strict=True):
        reference = c.data if c.node is None else _like(values[c.node], c.data)
        noise = None if c.node is None else spread[c.node]
        bad = _beyond(p.data, reference, noise)
        if bad is not None and c.node is not None and _kind(p.data) != _kind(reference):
            raise CheckError(
                f"compile(check=True): {name}: {c.label} is {_kind(p.data)} from the function, "
                f"{_kind(reference)} when captured, by {c.node.op}{_line(captured, c.node)}. {_FAULT}"
            )
        if bad is not None:
            met = _numbers(bad, "the function gives", p.data, "what was captured of it", reference)
            raise CheckError(_missed(name, c.label + met))
    for c in compiled:
        if c.node is None:
            continue
        bad = _beyond(c.data, _like(values[c.node], c.data), spread[c.node])
        if bad is None:
            continue
        try:
            fault = _culprit(captured, nodes, given) or _culprit_of(captured, c.node, given)
        except Exception:  # what is known already must be said
            fault = None
        met = _numbers(bad, "compiled code gives", c.data, "NumPy", _like(values[c.node], c.data))
        raise CheckError(_wrong(captured, name, c.label + met, fault))


def _beyond(a: Any, b: Any, noise: Any) -> NDArray[np.bool_] | None:
    bad = differing(a, b)
    if bad is None or noise is None or not noise > 0 or np.shape(a) != np.shape(b):
        return bad
    least = TOLERANCE.get(np.asarray(b).dtype.char, 1.0)
    return differing(a, b, max(_size(a, b), AMPLIFIED * noise / least))


def _like(x: Any, y: Any) -> Any:
    """NumPy's result as the program returns it: in the same type where both are numbers."""
    x, y = np.asarray(x), np.asarray(y)
    return x if x.shape != y.shape else x.astype(y.dtype)


def _spread(
    nodes: Sequence[Traced], given: Sequence[Any], values: Found, wanted: set[Traced]
) -> dict[Traced, Any]:
    """How far the results move when each operation's result is off by one last bit, up or down."""
    rng = np.random.default_rng(0)
    spread: dict[Traced, Any] = dict.fromkeys(wanted, 0.0)
    for _ in range(3):
        moved: Found = {}
        with np.errstate(all="ignore"):
            for x in nodes:
                if x.op == "constant":
                    moved[x] = x.params["value"]
                    continue
                y = given[x.params["slot"]] if x.op == "input" else run(x, [moved[i] for i in x.inputs])
                if x.dtype.kind == "f" and x.op not in VIEWS and not isinstance(y, tuple | list):
                    y = np.asarray(y, x.dtype)
                    y = (y * (1 + np.finfo(x.dtype).eps * rng.choice([-1, 1], y.shape))).astype(x.dtype)
                moved[x] = y
            for x in wanted:
                if x.dtype.kind == "f":
                    off = np.asarray(moved[x], float) - np.asarray(values[x], float)
                    spread[x] = max(spread[x], _size(off))
    return spread


# -------------------------------------------------------------------- finding the operation


@dataclass(frozen=True)
class _Fault:
    node: Traced
    bad: NDArray[np.bool_]
    compiled: Any
    reference: Any
    operands: list[Any]


def _returned(captured: Captured, nodes: Sequence[Traced], given: list[Any]) -> Found:
    """The nodes' values by machine code that returns all of them. State comes as arguments."""
    slots = [Slot("argument", i) for i in range(len(captured.slots))]
    spec = optree.tree_structure([0] * len(nodes))  # type: ignore[arg-type]
    outputs = [Output("array", x) for x in nodes]
    every = replace(captured, slots=slots, outputs=outputs, spec=spec, states=[])
    return dict(zip(nodes, Program("check", every, Guards(len))(given), strict=True))


def _source(x: Traced) -> Traced:
    """The operation itself, where ``x`` is one of its several results."""
    return x.inputs[0] if x.op == "item" else x


def _kept(x: Traced) -> bool:
    """Whether a node is one array that a program can return."""
    return x.op not in ("input", "constant") and "results" not in x.params and x.dtype.kind in "fib"


def _culprit(captured: Captured, nodes: Sequence[Traced], given: list[Any]) -> _Fault | None:
    """The first operation whose machine code differs from NumPy's result on the same operands."""
    kept = [x for x in nodes if _kept(x)]
    for start in range(0, len(kept), MOST):  # what lies before has been found right
        found = _returned(captured, kept[start : start + MOST], given)
        if fault := _first(nodes, found, given):
            return fault
    return None


def _first(nodes: Sequence[Traced], found: Found, given: Sequence[Any]) -> _Fault | None:
    values: Found = {}
    with np.errstate(all="ignore"):
        for x in nodes:
            if x.op == "input":
                values[x] = np.asarray(given[x.params["slot"]], x.dtype)
                continue
            if x.op == "constant":
                values[x] = x.params["value"]
                continue
            operands = [values[i] for i in x.inputs]
            y = run(x, operands)
            if x not in found:
                values[x] = y
                continue
            mine = values[x] = np.asarray(found[x], x.dtype)
            y = np.asarray(y, x.dtype)
            bad = differing(mine, y, _scale(x, operands, mine, y))
            if bad is not None and bad.shape == y.shape and x.dtype.kind == "b" and len(operands) == 2:
                bad = bad & ~_tied(*operands)  # a*b > c may be computed with one rounding less
                bad = bad if bad.any() else None
            if bad is not None:
                return _Fault(x, bad, mine, y, [values[i] for i in _source(x).inputs])
    return None


def _scale(x: Traced, operands: Sequence[Any], *results: Any) -> Any:
    """What rounding in one operation is relative to: in sums, the sum of the terms' magnitudes."""
    if x.op in ("sum", "matmul", "cumsum", *CONVOLUTIONS):
        return run(x, [np.abs(a) for a in operands])
    if x.op == "scatter_add":
        return run(x, [np.abs(operands[0]), *operands[1:]])
    if x.op in ("add", "subtract"):
        return np.add(*map(np.abs, operands))
    if x.op == "multiply_add":
        a, b, c = operands
        return np.abs(a * b) + np.abs(c)
    return _size(*results)


def _tied(a: Any, b: Any) -> Any:
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.char not in TOLERANCE:
        return np.zeros((), bool)
    return np.abs(a - b) <= TOLERANCE[a.dtype.char] * np.maximum(np.abs(a), np.abs(b))


def _culprit_of(captured: Captured, root: Traced, given: list[Any]) -> _Fault | None:
    """The smallest part of the program whose result is wrong, where that depends on what is fused with what.

    Each round compiles the program of a wrong node with some of what leads to it as results; the
    first of these that is wrong is the next round's.
    """
    while True:
        nodes = order([root])
        values = evaluate(nodes, given)
        kept = [x for x in nodes if _kept(x) and x is not root]
        picked = kept[:: max(len(kept) // 16, 1)]
        found = {x: y for p in picked for x, y in _returned(captured, [p], given).items()}
        right = {x: np.asarray(values[x], x.dtype) for x in picked}
        wrong = next((x for x in picked if differing(found[x], right[x]) is not None), None)
        if wrong is not None:
            root = wrong
            continue
        mine = _returned(captured, [root], given)[root]
        y = np.asarray(values[root], root.dtype)
        bad = differing(mine, y)
        return None if bad is None else _Fault(root, bad, mine, y, [values[i] for i in _source(root).inputs])


# -------------------------------------------------------------------- in words


_FAULT = "This is a fault of chainrule: please report it with this function; without compile it is right."


def _missed(name: str, what: str) -> str:
    return (
        f"compile(check=True): {name}: {what}. The program was captured from an earlier run, and {name} "
        "depends on something that compile does not see, such as a file, the time, or a Python object that "
        "it changes itself; pass it as an argument, or keep it in a Value"
    )


def _wrong(captured: Captured, name: str, met: str, fault: _Fault | None) -> str:
    if fault is None:
        return (
            f"compile(check=True): {name}: {met}. No single operation is wrong by itself, so it is the way "
            f"they are combined. {_FAULT}"
        )
    x = fault.node
    source = _source(x)
    op = source.params["name"] if source.op == "call" else source.op
    lines = [
        f"compile(check=True): {name}: {op} of shape {x.shape}, {x.dtype}, is compiled wrongly"
        f"{_numbers(fault.bad, 'compiled code gives', fault.compiled, 'NumPy', fault.reference)}"
    ]
    known = names(captured)
    at = np.unravel_index(int(np.argmax(fault.bad)), fault.bad.shape)
    for number, (i, value) in enumerate(zip(source.inputs, fault.operands, strict=True)):
        lines.append(f"  operand {number}: {_operand(x, i, value, at, known)}")
    if line := _line(captured, x):
        lines.append(f" {line}")
    lines.append(f"  so {met}")
    lines.append(_FAULT)
    return "\n".join(lines)


def _line(captured: Captured, x: Traced) -> str:
    """`` at file.py, line 7, in f: 'the line'``; empty if it is not known."""
    line = (captured.trace.lines or {}).get(x)
    return f" at {line}" if line else ""


def _kind(x: Any) -> str:
    a = np.asarray(x)
    return f"{a.dtype} {a.shape}" if a.shape else str(a.dtype)


def _numbers(bad: NDArray[np.bool_], who: str, ours: Any, whom: str, theirs: Any) -> str:
    """``: ours gives 2.0, theirs 3.0 at index (1, 2), and in 5 more of 64 places``."""
    a, b = np.asarray(ours), np.asarray(theirs)
    if bad.shape != a.shape or bad.shape != b.shape or not a.shape:
        return f": {who} {_brief(ours)}, {whom} {_brief(theirs)}"
    at = tuple(map(int, np.unravel_index(int(np.argmax(bad)), bad.shape)))
    more = int(bad.sum()) - 1
    others = f", and they differ in {more:,} of {bad.size - 1:,} other places" if more else ""
    return f": at index {at if len(at) > 1 else at[0]} {who} {a[at]!s}, {whom} {b[at]!s}{others}"


def _brief(x: Any) -> str:
    if isinstance(x, np.ndarray) and x.shape:
        return f"an array {x.dtype} {x.shape}"
    return str(x)


def _operand(x: Traced, i: Traced, value: Any, at: Sequence[Any], known: dict[Traced, str]) -> str:
    what = known.get(i) or ("a constant" if i.op == "constant" else f"the result of {i.op}")
    value = np.asarray(value)
    if x.op in ELEMENTWISE and value.ndim <= len(at):
        own = at[len(at) - value.ndim :]
        index = tuple(0 if n == 1 else int(k) for k, n in zip(own, value.shape, strict=True))
        number = f"{value[index]!s} there"
    elif x.op in REDUCTIONS and value.ndim == len(at):
        axes = x.params["axis"]
        row = value[tuple(slice(None) if d in axes else int(k) for d, k in enumerate(at))]
        number = f"from {row.min()!s} to {row.max()!s} there"
    else:
        number = f"from {value.min()!s} to {value.max()!s}" if value.size else "empty"
    return f"{what}, {i.dtype} {i.shape}, {number}"


