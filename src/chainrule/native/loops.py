"""Loops and branches in a captured program: their functions are captured once, as sub-programs.

A node ``scan`` has the inputs ``(constants..., carries..., xs...)`` and the parameters

- ``body``, a `SubProgram` of as many inputs: constants, carries, one entry of each of the xs; its
  outputs are the next carries and one entry of each of the ys
- ``constants``, ``carries``, ``xs``: how many there are
- ``length`` and ``reverse``: the last entries first; ys are stacked where their xs were

and the results ``(carries..., ys...)``. A node ``while`` has inputs ``(constants..., carries...)``
and the results ``(carries...)``, with two sub-programs of all the inputs, ``condition`` and ``body``;
a node ``cond`` inputs ``(predicate, constants..., operands...)``, with ``branches``, the pair of
sub-programs of all but the predicate that give its results if it is true, and if it is false.

What a scan's body computes without the carry has been moved out of it (`chainrule.native.batching`),
and sums of products, as weights' gradients are, have become one product behind it.

``results`` lists shape and dtype of each result, as for ``call``, ``weak`` which of them stand for
Python numbers; nodes ``item`` pick them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.native.batching import Ahead, factors
from chainrule.native.capture import Trace
from chainrule.native.operations import (
    FLOAT64,
    broadcast_to,
    cast,
    concatenate,
    lift,
    node,
    reshape,
    transpose,
)
from chainrule.native.products import matmul
from chainrule.native.reference import order
from chainrule.native.simplify import with_inputs
from chainrule.native.ufuncs import apply_ufunc
from chainrule.primitives import raw
from chainrule.rules.bodies import Flat, Parts, Plan, Ran, lifted, outside_of
from chainrule.rules.carry import conform, describe, sort_of, truth
from chainrule.traced import Traced, TracedError, capturing, current_trace, set_trace, where_in_user_code
from chainrule.value import Value, current
from chainrule.versions import first, step

__all__ = ["SubProgram", "capture_cond", "capture_scan", "capture_while", "trim", "trimmed"]


@dataclass(frozen=True, eq=False)
class SubProgram:
    """A captured function that a node carries out: input nodes (``slot`` is their place) and outputs.

    An output may be an input, and an input may go unused. Sub-programs of one node may share nodes.
    """

    inputs: list[Traced]
    outputs: list[Traced]


class Inner(Trace):
    """The capture of a loop's or a branch's function inside another capture.

    Attributes
    ----------
    name : str
        The operation, for errors.
    parent : Trace
        Where its node will be.
    adopted : dict
        What it reads of the parent's nodes, each with the input that stands for it here.
    """

    def __init__(self, name: str, parent: Trace) -> None:
        super().__init__()
        self.name = name
        self.parent, self.large = parent, parent.large
        self.adopted: dict[Traced, Traced] = {}
        self._constants: dict[Traced, Traced] = {}

    def adopt(self, x: Traced) -> Traced | None:
        if x.origin is self:
            return x
        if x.op == "constant":
            if x not in self._constants:
                self._constants[x] = Traced(self, "constant", (), x.shape, x.dtype, x.weak, x.params)
            return self._constants[x]
        outer = x if x.origin is self.parent else self.parent.adopt(x)
        if outer is None:
            return None
        if outer not in self.adopted:
            self.adopted[outer] = self.placeholder(outer.shape, outer.dtype, outer.weak)
        return self.adopted[outer]

    def fixed(self, x: np.ndarray) -> np.ndarray:
        return self.parent.fixed(x)

    def placeholder(self, shape: tuple[int, ...], dtype: Any, weak: bool = False) -> Traced:
        """An input whose place is decided when all are known."""
        return Traced(self, "input", (), shape, dtype, weak, {})

    def own(self, x: Any) -> Traced:
        """What the function returned, as a node of this capture."""
        x = lift(x)
        here = self.adopt(x)
        if here is None:
            raise TracedError(
                f"{where_in_user_code()}: {self.name}: its function returned a traced value whose capture "
                "has ended; it leaked out of a function, perhaps through a global: return it instead"
            )
        return here

    # ---------------------------------------------------------------- Values from outside

    def read(self, v: Value) -> Any:
        data = self.parent.read(v) if v.serial < self.parent.start else v._raw
        return self._here(data)

    def read_grad(self, v: Value) -> Any:
        return self._here(self.parent.read_grad(v) if v.serial < self.parent.start else v._grad)

    def _here(self, data: Any) -> Any:
        return self.adopt(data) if type(data) is Traced else data

    def lend(self, v: Value, what: str, x: Traced) -> Traced:
        return x if x.op == "input" else super().lend(v, what, x)  # an input is refused to the operators

    def write(self, v: Value, new: Any, replaced: bool = False) -> None:
        raise self._no_write("data", v)

    def write_grad(self, v: Value, new: Any) -> None:
        raise self._no_write("grad", v)

    def held(self, x: np.ndarray) -> Traced | None:
        outer = self.parent.held(x)
        return None if outer is None else self.adopt(outer)

    def draw(self, generator: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise TracedError(
            f"{where_in_user_code()}: {self.name}: its function draws random numbers ({name}); while "
            "compiling it is captured once, and would have the same at each step: draw them all before the "
            "loop, with a leading axis, and pass them to scan as xs"
        )

    def _no_write(self, what: str, v: Value) -> TracedError:
        of = f" of {v.name}" if v.name else ""
        return TracedError(
            f"{where_in_user_code()}: {self.name}: its function assigns .{what}{of}, a Value from outside; "
            "while compiling it is captured once and can only return things: make this part of the carry and "
            "assign what comes out after the loop"
        )


@contextmanager
def _inner(name: str) -> Iterator[Inner]:
    parent = current_trace()
    assert parent is not None
    trace = Inner(name, parent)
    set_trace(trace)
    capturing.append(trace)
    before, step.since = step.since, trace.start
    try:
        yield trace
    finally:
        step.since = before
        capturing.remove(trace)
        set_trace(parent)
        trace.end()


def _wrapped(xs: Sequence[Traced], tracked: Sequence[bool]) -> Flat:
    return [lifted(x) if t else x for x, t in zip(xs, tracked)]


def _seen(outs: Flat, trace: Inner) -> tuple[list[bool], dict[int, Value]]:
    """Which of the results are Values, and the Values from outside they depend on."""
    found: dict[int, Value] = {}
    outside_of(outs, trace.start, found)
    return [type(v) is Value for v in outs], found


def _leaf(name: str, label: str, x: Any) -> Any:
    x = raw(x)
    if sort_of(x) is None:
        raise TypeError(f"{name}: {label} is {describe(x)}, expected a number or an array")
    return x


def _numbered(inputs: Sequence[Traced]) -> list[Traced]:
    for slot, x in enumerate(inputs):
        x.params = {"slot": slot}
    return list(inputs)


def _made(op: str, inputs: Sequence[Traced], results: Sequence[Traced], params: dict[str, Any]) -> Traced:
    shapes = tuple((x.shape, x.dtype) for x in results)
    weak = tuple(x.weak for x in results)
    return node(op, tuple(inputs), (), FLOAT64, False, {**params, "results": shapes, "weak": weak})


def _picked(made: Traced) -> list[Traced]:
    """The results of a node that has several, each as a node."""
    p = made.params
    return [
        node("item", (made,), shape, dtype, weak, {"index": i})
        for i, ((shape, dtype), weak) in enumerate(zip(p["results"], p["weak"]))
    ]


# -------------------------------------------------------------------- scan


def capture_scan(plan: Plan, init: Flat, xs: Flat, length: int, reverse: bool) -> Ran:
    """Write a loop of ``length`` steps into the capture that is going on."""
    name, (body,) = plan.name, plan.functions
    first, rows = [lift(current(c)) for c in init], [lift(current(x)) for x in xs]
    tracked, moved = [type(c) is Value for c in init], [type(x) is Value for x in xs]
    while True:  # until what comes out as a Value goes in as one
        with _inner(name) as trace:
            before = [trace.placeholder(c.shape, c.dtype, c.weak) for c in first]
            trace.own_inputs = {c for c, t in zip(before, tracked) if not t}
            entries = [trace.placeholder(x.shape[1:], x.dtype) for x in rows]
            new, ys, terms = body(_wrapped(before, tracked), _wrapped(entries, moved))
            values, outside = _seen([*new, *terms, *ys], trace)
            grown = [a or b for a, b in zip(values, tracked)]
            if grown != tracked:
                tracked = grown
                continue
            after = _carried(plan, trace, new, before)
            stacked = [trace.own(_leaf(name, plan.y_label(j), y)) for j, y in enumerate(ys)]
            if any(values):
                stacked += before  # the carry each step began with, for the derivative
            terms = [trace.own(raw(s)) for s in terms]
            products = [_Products.of(s, set(entries)) for s in terms]
            rest = [s for s, p in zip(terms, products) if p is None]
            totals = [trace.placeholder(s.shape, s.dtype, s.weak) for s in rest]
            added = [trace.own(apply_ufunc(np.add, t, s)) for t, s in zip(totals, rest)]
            collected = dict.fromkeys([*stacked, *[x for p in products if p is not None for x in p.stacked]])
            # a derivative, which runs each step again, need not multiply again
            again = _products_of(set(before), [*after, *stacked]) if any(values) else []
            break
    zeros = [broadcast_to(cast(0.0, s.dtype, s.weak), s.shape) for s in rest]
    outer = {here: there for there, here in trace.adopted.items()} | dict(zip(entries, rows))
    carries = [*before, *totals], [*first, *zeros], [*after, *added]
    collected |= dict.fromkeys(again)
    found, arrays = _written(name, *carries, list(collected), outer, set(entries), length, reverse)
    c, sums = len(after), iter(found[len(after) :])
    arrays |= dict(zip(entries, rows))
    for x in again:
        trace.parent.products[factors(x.inputs, outer | arrays)] = arrays[x]
    summed = [next(sums) if p is None else p.total(arrays) for p in products]
    every = [*found[:c], *summed, *[arrays[y] for y in stacked]]
    return Ran(Parts(dict(enumerate(every))), (c, len(terms), len(ys)), values, outside)


def _written(
    name: str,
    before: list[Traced],
    first: list[Traced],
    after: list[Traced],
    collected: list[Traced],
    outer: dict[Traced, Traced],
    entries: set[Traced],
    length: int,
    reverse: bool,
) -> tuple[list[Traced], dict[Traced, Traced]]:
    """The node: its last carries, and the arrays of what is collected.

    What does not depend on the carry is computed outside, and then is read as constants and xs.
    """
    products = trace.products if (trace := current_trace()) else {}
    ahead = Ahead([*after, *collected], dict(outer), entries, before, length, products)
    wanted = ahead.frontier()
    known = dict(zip(wanted, ahead.compute(wanted)))
    arrays = {y: known[y] for y in collected if y in known and y in ahead.moving}
    arrays |= {y: outer[y] for y in collected if y in entries}
    rest = [y for y in collected if y not in arrays]
    new = {x: Traced(x.origin, "input", (), x.shape, x.dtype, x.weak, {}) for x in known}
    body = _replaced([*after, *rest], new)
    read = [x for x in order(body) if x.op == "input"]
    there = outer | {new[x]: known[x] for x in known}
    moving = entries | {new[x] for x in known if x in ahead.moving}
    constants = [x for x in read if x in there and x not in moving]
    xs = [x for x in read if x in moving]
    params = {
        "name": name,
        "body": SubProgram(_numbered([*constants, *before, *xs]), body),
        "constants": len(constants),
        "carries": len(before),
        "xs": len(xs),
        "length": length,
        "reverse": reverse,
    }
    results = [*body[: len(after)], *[_like_stack(y, length) for y in body[len(after) :]]]
    inputs = [*[there[x] for x in constants], *first, *[there[x] for x in xs]]
    found = _picked(_made("scan", inputs, results, params))
    return found[: len(after)], arrays | dict(zip(rest, found[len(after) :]))


def _replaced(roots: list[Traced], new: dict[Traced, Traced]) -> list[Traced]:
    """The same nodes, made from others in the place of some."""
    new = dict(new)
    for x in _order_without(roots, new):
        inputs = tuple(new[i] for i in x.inputs)
        same = all(i is j for i, j in zip(inputs, x.inputs))
        new[x] = x if same else Traced(x.origin, x.op, inputs, x.shape, x.dtype, x.weak, x.params)
    return [new[x] for x in roots]


def _order_without(roots: list[Traced], known: dict[Traced, Traced]) -> list[Traced]:
    """Every node the roots are computed from, if others are known."""
    found: dict[Traced, None] = {}
    waiting = [(r, False) for r in reversed(roots)]
    while waiting:
        x, ready = waiting.pop()
        if ready:
            found[x] = None
        elif x not in found and x not in known:
            waiting.append((x, True))
            waiting.extend((i, False) for i in x.inputs)
    return list(found)


def _carried(plan: Plan, trace: Inner, new: Flat, before: Flat) -> list[Traced]:
    return [
        trace.own(conform(plan.name, label, _leaf(plan.name, label, v), c))
        for label, v, c in zip(plan.labels, new, before)
    ]


def _like_stack(y: Traced, length: int) -> Traced:
    return Traced(y.origin, "input", (), (length, *y.shape), y.dtype)


@dataclass(frozen=True, eq=False)
class _Products:
    """A sum over all steps of products ``aᵢᵀ bᵢ``, such as a weight's gradient: one product after the loop.

    ``Σᵢ aᵢᵀ bᵢ = [a₁; a₂; …]ᵀ [b₁; b₂; …]``, where the loop collects the factors that are not its xs.

    Attributes
    ----------
    left, right : list of (Traced, int)
        The factors, and how many columns they have; as yet in any shape.
    stacked : list of Traced
        What the loop has to collect.
    """

    left: list[tuple[Traced, int]]
    right: list[tuple[Traced, int]]
    stacked: list[Traced]

    @classmethod
    def of(cls, term: Traced, entries: set[Traced]) -> _Products | None:
        """The term as such a sum; None if it is none, or its factors are larger than itself."""
        left, right, waiting = [], [], [term]
        while waiting:
            x = waiting.pop()
            if x.op == "add" and all(i.shape == x.shape for i in x.inputs):
                waiting += x.inputs
            elif x.op == "matmul" and x.ndim == 2:
                a, b = x.inputs
                turned = a.inputs[0] if a.op == "transpose" else a if a.shape[1] == 1 else transpose(a)
                left.append((_flat(turned), a.shape[0]))
                right.append((_flat(b), b.shape[1]))
            else:
                return None
        stacked = list(dict.fromkeys(x for x, _ in left + right if x not in entries))
        same = any(x.op in ("input", "constant") for x in stacked)  # at every step
        if same or sum(x.size for x in stacked) > term.size:
            return None
        return cls(left, right, stacked)

    def total(self, arrays: dict[Traced, Traced]) -> Traced:
        """The sum, from arrays of the factors of all steps."""
        a, b = [
            concatenate([reshape(arrays[x], (arrays[x].size // n, n)) for x, n in side], 0)
            for side in (self.left, self.right)
        ]
        return matmul(transpose(a), b)


def _products_of(carries: Collection[Traced], roots: Sequence[Traced]) -> list[Traced]:
    """Products of a carry, as it is when a step begins, and a matrix that is the same at each."""
    fixed: set[Traced] = set()  # what is read from outside, turned or not; entries of xs may come too
    found = []
    for x in order(roots):
        if (x.op == "input" and x not in carries) or (x.op == "transpose" and x.inputs[0] in fixed):
            fixed.add(x)
        elif x.op == "matmul" and x.ndim == 2 and x.inputs[0] in carries and x.inputs[1] in fixed:
            found.append(x)
    return found


def _flat(x: Traced) -> Traced:
    """What has the same elements in the same order, before it was reshaped."""
    while x.op == "reshape" or (x.op == "transpose" and x.ndim == 2 and 1 in x.shape):
        (x,) = x.inputs
    return x


# -------------------------------------------------------------------- while


def capture_while(plan: Plan, init: Flat) -> Ran:
    """Write a loop that runs while a condition holds into the capture that is going on."""
    name, (condition, body) = plan.name, plan.functions
    first = [lift(current(c)) for c in init]
    tracked = [type(c) is Value for c in init]
    while True:
        with _inner(name) as trace:
            before = [trace.placeholder(c.shape, c.dtype, c.weak) for c in first]
            trace.own_inputs = {c for c, t in zip(before, tracked) if not t}
            holds = trace.own(truth(name, "condition", condition(_wrapped(before, tracked))))
            new = body(_wrapped(before, tracked))
            values, outside = _seen(new, trace)
            grown = [a or b for a, b in zip(values, tracked)]
            if grown != tracked:
                tracked = grown
                continue
            after = _carried(plan, trace, new, before)
            break
    inputs = _numbered([*trace.adopted.values(), *before])
    params = {
        "name": name,
        "condition": SubProgram(inputs, [holds]),
        "body": SubProgram(inputs, after),
        "constants": len(trace.adopted),
        "carries": len(before),
    }
    made = _made("while", [*trace.adopted, *first], after, params)
    return Ran(Parts(dict(enumerate(_picked(made)))), (len(first), 0, 0), values, outside)


# -------------------------------------------------------------------- cond


def capture_cond(plan: Plan, predicate: Traced, operands: Flat) -> Ran:
    """Write both branches into the capture that is going on."""
    name = plan.name
    given = [lift(current(x)) for x in operands]
    tracked = [type(x) is Value for x in operands]
    with _inner(name) as trace:
        inside = [trace.placeholder(x.shape, x.dtype, x.weak) for x in given]
        entries = [_wrapped(inside, tracked) for _ in plan.functions]
        came = [f(given) for f, given in zip(plan.functions, entries)]
        if any(type(v) is Value and first(v) is not v for given in entries for v in given):
            raise TracedError(
                f"{where_in_user_code()}: {name}: a branch assigns to elements of its operand: a Python if "
                "would change it for all who have it, in a compiled function it is captured beside the "
                "other one; work on a copy, x = x.copy(), and return it"
            )
        (values, outside), (others, more) = [_seen(outs, trace) for outs in came]
        one, other = [[trace.own(_leaf(name, "a result", v)) for v in outs] for outs in came]
        for i, (a, b) in enumerate(zip(one, other)):
            if (a.shape, a.dtype) != (b.shape, b.dtype):
                raise TypeError(
                    f"{name}: result {i} is {describe(a)} where the predicate is true and {describe(b)} "
                    "where it is false, expected the same shape and dtype; convert one of them"
                )
            one[i], other[i] = [cast(x, a.dtype, a.weak and b.weak) for x in (a, b)]
    inputs = _numbered([*trace.adopted.values(), *inside])
    params = {
        "name": name,
        "branches": (SubProgram(inputs, one), SubProgram(inputs, other)),
        "constants": len(trace.adopted),
    }
    made = _made("cond", [predicate, *trace.adopted, *given], one, params)
    values = [a or b for a, b in zip(values, others)]
    return Ran(Parts(dict(enumerate(_picked(made)))), (len(one), 0, 0), values, outside | more)


# -------------------------------------------------------------------- what nobody reads


def trim(roots: Sequence[Traced]) -> list[Traced]:
    """The program without the loop results that nobody reads."""
    nodes = order(roots)
    read: dict[Traced, set[int]] = {}
    for x in nodes:
        if x.op == "item" and x.inputs[0].op == "scan":
            read.setdefault(x.inputs[0], set()).add(x.params["index"])
    if not read:
        return list(roots)
    new: dict[Traced, Traced] = {}
    numbers: dict[Traced, dict[int, int]] = {}
    for x in nodes:
        y = with_inputs(x, tuple([new[i] for i in x.inputs]))
        if x in read:
            y, numbers[x] = trimmed(y, read[x])
        elif x.op == "item" and x.inputs[0] in numbers:
            index = numbers[x.inputs[0]][x.params["index"]]
            y = Traced(x.origin, "item", y.inputs, x.shape, x.dtype, x.weak, {"index": index})
        new[x] = y
    return [new[r] for r in roots]


def trimmed(made: Traced, used: Collection[int]) -> tuple[Traced, dict[int, int]]:
    """A loop or a branch that computes no more than the results numbered by ``used``.

    Left out are stacks that nobody reads, such as the carries kept for a derivative, the carries
    that only led to these, and the inputs that are not read any more.

    Returns
    -------
    Traced
        The new node, of the same trace.
    dict
        Where each of the results that are left is among its results.
    """
    p = made.params
    names = {"scan": ("body",), "while": ("condition", "body"), "cond": ("branches",)}[made.op]
    programs = [q for name in names for q in (p[name] if name == "branches" else (p[name],))]
    k, c = p["constants"], p.get("carries", 0)
    wanted: set[int] = set(used)
    while True:  # a carry that is read is wanted, and so is what it is made from
        read = set()
        for name, q in zip([*names, *names], programs):
            outputs = q.outputs if name == "condition" else [q.outputs[i] for i in wanted]
            read |= {x.params["slot"] for x in order(outputs) if x.op == "input"}
        grown = wanted | {slot - k for slot in read if k <= slot < k + c}
        if grown == wanted:
            break
        wanted = grown
    left = sorted(wanted)
    kept = [s for s in range(len(programs[0].inputs)) if (s - k in wanted if k <= s < k + c else s in read)]
    shift = 1 if made.op == "cond" else 0  # the predicate
    inputs = [*made.inputs[:shift], *[made.inputs[shift + s] for s in kept]]
    smaller = [
        _copied(q, kept, [0] if name == "condition" else left) for name, q in zip([*names, *names], programs)
    ]
    params = {
        **p,
        **({"branches": tuple(smaller)} if made.op == "cond" else dict(zip(names, smaller))),
        "constants": sum(s < k for s in kept),
        "results": tuple(p["results"][i] for i in left),
        "weak": tuple(p["weak"][i] for i in left),
    }
    if made.op != "cond":
        params["carries"] = sum(i < c for i in left)
    if made.op == "scan":
        params["xs"] = sum(s >= k + c for s in kept)
    node = Traced(made.origin, made.op, tuple(inputs), made.shape, made.dtype, made.weak, params)
    return node, {i: n for n, i in enumerate(left)}


def _copied(program: SubProgram, kept: Sequence[int], outputs: Sequence[int]) -> SubProgram:
    """The same with some of its inputs and outputs."""
    new: dict[Traced, Traced] = {}
    for slot, s in enumerate(kept):
        x = program.inputs[s]
        new[x] = Traced(x.origin, "input", (), x.shape, x.dtype, x.weak, {"slot": slot})
    roots = [program.outputs[i] for i in outputs]
    for x in order(roots):
        if x not in new:
            inputs = tuple(new[i] for i in x.inputs)
            new[x] = Traced(x.origin, x.op, inputs, x.shape, x.dtype, x.weak, x.params)
    return SubProgram([new[program.inputs[s]] for s in kept], [new[x] for x in roots])
