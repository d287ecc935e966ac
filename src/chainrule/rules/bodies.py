"""What loops and branches are made of: nodes with several results, and functions that are run again.

The body of a loop is a Python function of flat lists, ``body(carry, x) -> (carry, ys, sums)``: what
goes from step to step, what is stacked, what is only added up. A node keeps the body, not what happened
within it: its derivatives run the body again.

What a body reads besides its arguments is found by looking at what it recorded: the Values older
than the step become inputs of the node, so that derivatives reach them too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.graph import order
from chainrule.primitives import Contributions, Lanes, Primitive, fit, raw
from chainrule.recording import alias, own, zeros_like
from chainrule.rules.carry import differentiable
from chainrule.sweeps.adjoint import accumulate, adjoint
from chainrule.sweeps.tangent import tangent
from chainrule.traced import Traced
from chainrule.value import Value, changed, current, kept, result, versions
from chainrule.versions import first, settle
from chainrule.versions import step as running

__all__ = [
    "Body", "Branch", "Flat", "Item", "Parts", "Plan", "Ran", "as_given", "check_fixed", "cotangents_of",
    "item", "lifted", "lifted_at", "or_zero", "outside_of", "own_entry", "result_of", "run", "tangents_of",
    "wanted",
]  # fmt: skip

Flat = list[Any]
Body = Callable[[Flat, Flat], tuple[Flat, Flat, Flat]]
Branch = Callable[[Flat], Flat]


# -------------------------------------------------------------------- nodes with several results


class Parts:
    """Several results as the data of one node; or the tangents or cotangents of some of them."""

    __slots__ = ("found",)
    size = sys.maxsize + 1  # too large for backward() to keep a gradient of it
    shape = ()
    dtype = np.dtype(object)

    def __init__(self, found: dict[int, Any]) -> None:
        self.found = found

    def __repr__(self) -> str:
        return f"<{len(self.found)} results>"

    def get(self, index: int) -> Any:
        return self.found.get(index)

    def __add__(self, other: Parts) -> Parts:
        total = dict(self.found)
        for i, g in other.found.items():
            total[i] = accumulate(total[i], g) if i in total else g
        return Parts(total)


class Item(Primitive):
    """One of the results of a node that has several."""

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        return tangents[0].get(params["index"])

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        (x,) = inputs
        g = g.value if type(g) is Lanes else g
        return [(x, Parts({params["index"]: g}))] if x.serial >= since else []


item = Item(lambda parts, *, index: parts.get(index), name="item")


def result_of(y: Any, index: int) -> Any:
    """A result of a node; recorded, if the node is given as a Value and the result has a derivative."""
    found = raw(y).get(index)
    return item(y, index=index) if type(y) is Value and differentiable(found) else found


@dataclass(frozen=True, eq=False)
class Plan:
    """What a loop or a branch does.

    Attributes
    ----------
    name : str
        What the user called, for errors.
    functions : tuple
        The body; condition and body; or both branches.
    title : str
        The user's function, for pictures.
    labels : sequence of str
        What to call the carries in errors.
    y_label : callable
        What to call the y of a number.
    closed : tuple of Value
        The Values from outside that the functions read, and their ``serials``: another after an assignment.
    counts : tuple of int
        How many carries, sums and ys there are.
    """

    name: str
    functions: tuple[Callable[..., Any], ...]
    title: str
    labels: Sequence[str] = ()
    y_label: Callable[[int], str] = "y {}".format
    closed: tuple[Value, ...] = ()
    serials: tuple[int, ...] = ()
    counts: tuple[int, int, int] = (0, 0, 0)

    def __repr__(self) -> str:
        return self.title

    def derived(self, what: str, labels: Sequence[str], *functions: Callable[..., Any]) -> Plan:
        """The plan of a derivative: its functions run those of this one again."""
        return Plan(self.name, functions, f"{what} of {self.title}", labels)


@dataclass
class Ran:
    """What came out of a loop or a branch.

    Attributes
    ----------
    data : Parts
        The results: last carries, sums, stacked ys; and, if there are Values, the stacked carries.
    counts : tuple of int
        How many carries, sums and ys there are.
    values : list of bool
        Which of these came as Values.
    outside : dict
        The Values from outside that were read, by serial.
    """

    data: Parts
    counts: tuple[int, int, int]
    values: list[bool]
    outside: dict[int, Value] = field(default_factory=dict)

    def record(self, primitive: Primitive, plan: Plan, first: Flat, rest: Flat, **shown: Any) -> list[Any]:
        """The results; Values if they came as such, and then there is a node that made them."""
        y: Any = self.data
        if any(self.values):
            serials = tuple(sorted(self.outside))
            closed = [self.outside[serial] for serial in serials]
            inputs = tuple(x if type(x) is Value else _fixed(x) for x in (*first, *closed, *rest))
            plan = replace(plan, closed=tuple(closed), serials=serials, counts=self.counts)
            y = result(None, primitive, inputs, tuple(map(current, inputs)), {"f": plan, **shown})
            y._raw = self.data  # only now: what a capture would have run again has run
        found = [result_of(y if value else self.data, i) for i, value in enumerate(self.values)]
        return [own(x) if type(x) is Traced else x for x in found]  # the caller may write to his


def _fixed(x: Any) -> Any:
    """An operand that its owner cannot change any more."""
    if type(x) is Traced:
        return x.held()
    if type(x) is np.ndarray and (x.flags.writeable or not x.flags.owndata):
        x = kept(x)
        if type(x) is np.ndarray:
            x.setflags(write=False)
    return x


# -------------------------------------------------------------------- running a body


def lifted(x: Any) -> Value:
    """A fresh Value for one step, to differentiate with respect to."""
    if type(x) is Value:
        return alias(x)  # type: ignore[no-any-return]
    return Value(x if type(x) is float or type(x) is Traced else np.asarray(x))


def lifted_at(at: Sequence[int], entries: Flat) -> Flat:
    """The entries, those numbered by ``at`` as fresh Values."""
    entries = list(entries)
    for i in at:
        entries[i] = lifted(entries[i])
    return entries


def own_entry(x: Any) -> Any:
    """What a step may assign to: it changes nobody else's."""
    return lifted(x) if type(x) is Value else x.copy() if type(x) is np.ndarray else x


def run(body: Body, carry: Flat, entries: Flat, since: int) -> tuple[Flat, Flat, Flat]:
    """One step, which may assign only to Values as young as it is."""
    before, running.since = running.since, since
    try:
        return body(carry, entries)
    finally:
        running.since = before


def as_given(values: Flat, outs: Sequence[Any] = ()) -> Flat:
    """What a function was given, as it was before the function assigned to elements of it."""
    if not versions.happened:
        return values
    for v in outs:
        if type(v) is Value:
            settle(v)
    return [first(v) if type(v) is Value else v for v in values]


def outside_of(outs: Flat, since: int, found: dict[int, Value]) -> None:
    """Collect the Values older than ``since`` that these were computed from, by serial."""
    values = [v for v in outs if type(v) is Value]
    for v in values:
        if v.serial < since:
            found[v.serial] = v
    for node in order(values, since):
        for x in node.inputs:
            if type(x) is Value and x.serial < since:
                found[x.serial] = x


def check_fixed(plan: Plan, args: Sequence[Any]) -> None:
    """Closed-over Values must still be what they were, because the functions read them again."""
    for w, serial, a in zip(plan.closed, plan.serials, args):
        settle(w)
        if w.serial != serial or changed(w, raw(a)):
            raise RuntimeError(
                f"{plan.name}: {w.name or 'a Value'}, which its function reads, was given new data since; "
                "the function is called again for a derivative and needs the old data: differentiate before "
                "changing it, or make it part of the carry"
            )


def tangents_of(outs: Flat, seeds: dict[Value, Any], until: int, record: bool) -> Flat:
    """The tangents of what a function returned; None for what has no derivative."""
    found = tangent(order([v for v in outs if type(v) is Value], until), seeds, record=record, outputs=outs)
    return [
        found[v] if type(v) is Value and v in found else zeros_like(v) if differentiable(raw(v)) else None
        for v in outs
    ]


def cotangents_of(outs: Flat, gs: Flat, until: int, record: bool) -> Callable[[Value], Any]:
    """Sweep back through what a function recorded: gives the cotangent of anything it began with."""
    seeds = [(v, fit(g, v._raw)) for v, g in zip(outs, gs) if type(v) is Value and g is not None]
    found = adjoint(seeds, until=until, record=record)
    return lambda v: fit(found[v] if v in found else zeros_like(v), v._raw)


def or_zero(t: Any, like: Any) -> Any:
    """A tangent or cotangent; zero if there is none."""
    like = raw(like)
    return fit(zeros_like(like) if t is None else t, like)


def wanted(x: Any, since: int) -> bool:
    return type(x) is Value and x.serial >= since
