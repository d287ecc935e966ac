"""Loops and branches as single operations: `scan`, and, in a capture, `while` and `cond`.

The body of a loop is a Python function of flat lists, ``body(carry, x) -> (carry, ys, sums)``: what
goes from step to step, what is stacked, what is only added up. The node of a loop keeps the body and
the carries, not what happened within the steps: its derivatives run the body again, and are loops
themselves, so that they can be differentiated, and captured, like any other.

What a body reads besides its arguments is found by looking at what it recorded: the Values older
than the step become inputs of the node, so that derivatives reach them too.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.graph import order
from chainrule.primitives import Contributions, Lanes, Primitive, fit, raw
from chainrule.recording import alias, own, zeros_like
from chainrule.rules.carry import Stack, conform, differentiable, restored
from chainrule.rules.shape import stack
from chainrule.sweeps.adjoint import accumulate, adjoint
from chainrule.sweeps.tangent import tangent
from chainrule.traced import Traced, current_trace
from chainrule.value import Value, changed, current, kept, next_serial, result, versions
from chainrule.versions import first, settle
from chainrule.versions import step as running

__all__ = ["Plan", "Ran", "branch", "lifted", "loop", "outside_of", "repeat", "scan", "watch"]

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


def _result(y: Any, index: int) -> Any:
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
            inputs = tuple(x if type(x) is Value else _held(x) for x in (*first, *closed, *rest))
            plan = replace(plan, closed=tuple(closed), serials=serials, counts=self.counts)
            y = result(None, primitive, inputs, tuple(map(current, inputs)), {"f": plan, **shown})
            y._raw = self.data  # only now: what a capture would have run again has run
        found = [_result(y if value else self.data, i) for i, value in enumerate(self.values)]
        return [own(x) if type(x) is Traced else x for x in found]  # the caller may write to his


def _held(x: Any) -> Any:
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


def _lifted_at(at: Sequence[int], entries: Flat) -> Flat:
    """The entries, those numbered by ``at`` as fresh Values."""
    entries = list(entries)
    for i in at:
        entries[i] = lifted(entries[i])
    return entries


def _own(x: Any) -> Any:
    """What a step may assign to: it changes nobody else's."""
    return lifted(x) if type(x) is Value else x.copy() if type(x) is np.ndarray else x


def _run(body: Body, carry: Flat, entries: Flat, since: int) -> tuple[Flat, Flat, Flat]:
    """One step, which may assign only to Values as young as it is."""
    before, running.since = running.since, since
    try:
        return body(carry, entries)
    finally:
        running.since = before


def _as_given(values: Flat, outs: Sequence[Any] = ()) -> Flat:
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


def _in_python(plan: Plan, init: Flat, xs: Flat, length: int, reverse: bool, keep: bool) -> Ran:
    """Run the steps one after the other; what each recorded is let go before the next."""
    name, labels, (body,) = plan.name, plan.labels, plan.functions
    tracked, moved = [type(c) is Value for c in init], [type(x) is Value for x in xs]
    likes, rows = [current(c) for c in init], [current(x) for x in xs]
    carry = likes
    kept = [Stack(name, label, length) for label in labels]
    stacks: list[Stack] = []
    sums: Flat = []
    values: list[bool] = []
    outside: dict[int, Value] = {}
    for step in range(length):
        i = length - 1 - step if reverse else step
        if keep:
            for stack, c in zip(kept, carry):
                stack.put(i, c)
        since = next_serial()
        new, ys, terms = _run(
            body,
            [lifted(c) if t else c if step else _own(c) for c, t in zip(carry, tracked)],
            [lifted(x[i]) if t else _own(x[i]) for x, t in zip(rows, moved)],
            since,
        )
        came = [type(v) is Value for v in (*new, *terms, *ys)]
        if any(came):
            if not keep:
                if step:  # the carries that were let go are needed after all
                    return _in_python(plan, init, xs, length, reverse, True)
                keep = True
                for stack, c in zip(kept, carry):
                    stack.put(i, c)
            outside_of([*new, *terms, *ys], since, outside)
        if not step:
            stacks = [Stack(name, plan.y_label(j), length) for j in range(len(ys))]
            values = came
        tracked = came[: len(new)]
        carry = [conform(name, label, raw(v), like) for label, v, like in zip(labels, new, likes)]
        sums = [a + raw(s) for a, s in zip(sums, terms)] if step else [raw(s) for s in terms]
        values = [a or b for a, b in zip(values, came)]
        for stack, y in zip(stacks, ys):
            stack.put(i, raw(y))
    values[: len(carry)] = tracked
    every = [*carry, *sums, *[s.array for s in stacks], *[s.array for s in kept if keep]]
    return Ran(Parts(dict(enumerate(every))), (len(carry), len(sums), len(stacks)), values, outside)


def _fixed(plan: Plan, args: Sequence[Any]) -> None:
    """Closed-over Values must still be what they were, because the functions read them again."""
    for w, serial, a in zip(plan.closed, plan.serials, args):
        settle(w)
        if w.serial != serial or changed(w, raw(a)):
            raise RuntimeError(
                f"{plan.name}: {w.name or 'a Value'}, which its function reads, was given new data since; "
                "the function is called again for a derivative and needs the old data: differentiate before "
                "changing it, or make it part of the carry"
            )


def _tangents(outs: Flat, seeds: dict[Value, Any], until: int, record: bool) -> Flat:
    """The tangents of what a function returned; None for what has no derivative."""
    found = tangent(order([v for v in outs if type(v) is Value], until), seeds, record=record, outputs=outs)
    return [
        found[v] if type(v) is Value and v in found else zeros_like(v) if differentiable(raw(v)) else None
        for v in outs
    ]


def _cotangents(outs: Flat, gs: Flat, until: int, record: bool) -> Callable[[Value], Any]:
    """Sweep back through what a function recorded: gives the cotangent of anything it began with."""
    seeds = [(v, fit(g, v._raw)) for v, g in zip(outs, gs) if type(v) is Value and g is not None]
    found = adjoint(seeds, until=until, record=record)
    return lambda v: fit(found[v] if v in found else zeros_like(v), v._raw)


def _or_zero(t: Any, like: Any) -> Any:
    """A tangent or cotangent; zero if there is none."""
    like = raw(like)
    return fit(zeros_like(like) if t is None else t, like)


def _wanted(x: Any, since: int) -> bool:
    return type(x) is Value and x.serial >= since


# -------------------------------------------------------------------- scan


Watcher = Callable[[str, int, int, int], None]


class _Watch(threading.local):
    """Who wants to see the operations within loops: then the steps are recorded one by one.

    ``step`` is called behind each, with the loop's name, the step's number, and serials before and behind.
    """

    step: Watcher | None = None


watch = _Watch()


def _in_the_open(
    plan: Plan, init: Flat, xs: Flat, length: int, reverse: bool, watcher: Watcher
) -> tuple[Flat, Flat, Flat]:
    """The same steps, whose operations stay in the graph: `loop` as the Python loop that it stands for."""
    (body,), likes = plan.functions, [current(c) for c in init]
    carry = init
    rows: list[Flat] = []
    sums: Flat = []
    for i in reversed(range(length)) if reverse else range(length):
        given = [_own(c) for c in carry], [_own(x[i]) for x in xs]
        since = next_serial()
        new, ys, terms = body(*given)
        watcher(plan.name, i, since, next_serial())
        kept = [conform(plan.name, label, raw(v), like) for label, v, like in zip(plan.labels, new, likes)]
        carry = [v if type(v) is Value else c for v, c in zip(new, kept)]
        sums = [a + s for a, s in zip(sums, terms)] if rows else terms
        rows.append(ys)
    columns = [stack(column) for column in zip(*(rows[::-1] if reverse else rows))]
    return carry, columns, sums


def loop(plan: Plan, init: Flat, xs: Flat, length: int, reverse: bool) -> tuple[Flat, Flat, Flat]:
    """``length`` steps of a body, at least one: last carries, stacked ys, sums.

    Raw data in, raw data out; traced data makes a node of the captured program; Values, or a body
    that reads any, make a node of the graph.
    """
    if current_trace() is None:
        if watch.step is not None:
            return _in_the_open(plan, init, xs, length, reverse, watch.step)
        ran = _in_python(plan, init, xs, length, reverse, any(type(x) is Value for x in (*init, *xs)))
    else:
        from chainrule.native.loops import capture_scan

        ran = capture_scan(plan, init, xs, length, reverse)
    every = ran.record(scan, plan, [], [*init, *xs], length=length, reverse=reverse)
    c, m, _ = ran.counts
    return every[:c], every[c + m :], every[c : c + m]


class Scan(Primitive):
    """A loop with a known number of steps; its inputs are closed-over Values, first carries, and xs."""

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        """A loop that carries tangents beside the carries."""
        record, plan = type(y) is Value, params["f"]
        n, (c, m, r), (body,) = len(plan.closed), plan.counts, plan.functions
        _fixed(plan, args)
        init, xs = list(args[n : n + c]), list(args[n + c :])
        moving = {w: t for w, t in zip(plan.closed, tangents) if t is not None}
        at = [i for i, a in enumerate(init) if differentiable(raw(a))]
        to = [j for j, t in enumerate(tangents[n + c :]) if t is not None]

        def step(carry: Flat, x: Flat) -> tuple[Flat, Flat, Flat]:
            leaves, dc = _lifted_at(at, carry[:c]), carry[c:]
            entries, dx = _lifted_at(to, x[: len(xs)]), x[len(xs) :]
            until = next_serial()
            new, ys, sums = body(leaves, entries)
            leaves, entries = _as_given(leaves, [*new, *ys, *sums]), _as_given(entries)
            seeds = dict(zip([leaves[i] for i in at] + [entries[j] for j in to], dc + dx))
            ts = _tangents([*new, *ys, *sums], seeds | moving, until, record)
            primal = new if record else [raw(v) for v in new]
            dy = [t for t in ts[c : c + r] if t is not None]
            return [*primal, *[fit(ts[i], raw(new[i])) for i in at]], dy + dc, ts[c + r :]

        labels = [*plan.labels, *[f"the tangent of {plan.labels[i]}" for i in at]]
        dc = [_or_zero(tangents[n + i], init[i]) for i in at]
        dx = [fit(tangents[n + c + j], raw(xs[j])) for j in to]
        pushed = plan.derived("tangent", labels, step)
        carry, dys, dsums = loop(pushed, [*init, *dc], [*xs, *dx], params["length"], params["reverse"])
        smooth = [i for i in range(c + m, c + m + r) if differentiable(raw(y).get(i))]
        kept = [c + m + r + i for i in at]
        return Parts(
            dict(zip(at, carry[c:])) | dict(zip(range(c, c + m), dsums)) | dict(zip(smooth + kept, dys))
        )

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        """The loop backwards: each step is run again from the carry it began with, and swept."""
        record, plan, length = type(y) is Value, params["f"], params["length"]
        n, (c, m, r), (body,) = len(plan.closed), plan.counts, plan.functions
        _fixed(plan, args)
        init, xs = list(args[n : n + c]), list(args[n + c :])
        likes = [raw(a) for a in init]
        at = [i for i, a in enumerate(likes) if differentiable(a)]
        to = [j for j, x in enumerate(inputs[n + c :]) if _wanted(x, since)]
        closed = [w for w in plan.closed if w.serial >= since]
        ys = [j for j in range(r) if g.get(c + m + j) is not None]
        kept = [i for i in at if g.get(c + m + r + i) is not None]  # read by an earlier derivative
        gsums = [g.get(c + j) for j in range(m)]
        repeats = _Repeats(plan, raw(y), length, params["reverse"])

        def step(gc: Flat, x: Flat) -> tuple[Flat, Flat, Flat]:
            entries, x = x[:c], x[c:]
            entries = [restored(v, like) for v, like in zip(entries, likes)]
            # those of integers a body may write to
            entries = [v.copy() if np.ndim(v) and i not in at else v for i, v in enumerate(entries)]
            leaves = _lifted_at(at, entries)
            entries, x = _lifted_at(to, x[: len(xs)]), x[len(xs) :]
            gys, gkept, position = x[: len(ys)], x[len(ys) : len(ys) + len(kept)], x[len(ys) + len(kept) :]
            until = next_serial()
            new, outs, sums = body(leaves, entries)
            leaves, entries = _as_given(leaves, [*new, *outs, *sums]), _as_given(entries)
            for i in position:
                repeats.check(int(i), [raw(v) for v in new])
            ends = [new[i] for i in at] + [outs[j] for j in ys] + sums
            found = _cotangents(ends, [*gc, *gys, *gsums], until, record)
            back = {i: found(leaves[i]) for i in at}
            for i, more in zip(kept, gkept):
                back[i] = back[i] + more
            return list(back.values()), [found(entries[j]) for j in to], [found(w) for w in closed]

        labels = [f"the cotangent of {plan.labels[i]}" for i in at]
        pulled = plan.derived("cotangent", labels, step)
        seeds = [_or_zero(g.get(i), likes[i]) for i in at]
        given = [_result(y, c + m + r + i) for i in range(c)] + xs
        given += [g.get(c + m + j) for j in ys] + [g.get(c + m + r + i) for i in kept]
        if current_trace() is None:
            given.append(np.arange(length))
        gc, gxs, gclosed = loop(pulled, seeds, given, length, not params["reverse"])
        found = dict(zip([n + i for i in at], gc)) | dict(zip([n + c + j for j in to], gxs))
        return [*zip(closed, gclosed)] + [
            (inputs[i], fit(v, inputs[i]._raw)) for i, v in found.items() if _wanted(inputs[i], since)
        ]


scan = Scan(lambda *args, **params: None, name="scan")


class _Repeats:
    """Refuses a body that gives something else when it is run again: a derivative of neither."""

    def __init__(self, plan: Plan, data: Any, length: int, reverse: bool) -> None:
        self.name, self.data, self.kept, self.length = plan.name, data, sum(plan.counts), length
        self.ahead = -1 if reverse else 1

    def check(self, i: int, new: Flat) -> None:
        for k, a in enumerate(new):
            last = not 0 <= i + self.ahead < self.length
            b = self.data.get(k) if last else self.data.get(self.kept + k)[i + self.ahead]
            if not np.all(a == b) and not self._close(a, np.asarray(b)):
                raise RuntimeError(
                    f"{self.name}: step {i} gave another result when it was run again for a derivative; the "
                    "function must depend on its arguments alone: pass random numbers in through xs, and "
                    "counters through the carry"
                )

    @staticmethod
    def _close(a: Any, b: Any) -> bool:
        """Equal but for rounding: Python's functions of a number round otherwise than NumPy's."""
        if b.dtype.kind not in "fc":
            return False
        rtol = float(np.sqrt(np.finfo(b.dtype).eps))
        finite = np.abs(b[np.isfinite(b)])
        return np.allclose(a, b, rtol=rtol, atol=rtol * float(np.max(finite, initial=0)), equal_nan=True)


# -------------------------------------------------------------------- while


def repeat(plan: Plan, init: Flat) -> Flat:
    """In a capture: steps of a body while a condition holds."""
    from chainrule.native.loops import capture_while

    return capture_while(plan, init).record(while_, plan, [], init)


class While(Primitive):
    """A loop whose number of steps depends on the data; inputs are closed-over Values and first carries."""

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        """A loop that carries tangents beside the carries."""
        record, plan = type(y) is Value, params["f"]
        n, c, (condition, body) = len(plan.closed), plan.counts[0], plan.functions
        _fixed(plan, args)
        init = list(args[n:])
        moving = {w: t for w, t in zip(plan.closed, tangents) if t is not None}
        at = [i for i, a in enumerate(init) if differentiable(raw(a))]

        def step(carry: Flat) -> Flat:
            leaves, dc = _lifted_at(at, carry[:c]), carry[c:]
            until = next_serial()
            new = body(leaves)
            leaves = _as_given(leaves, new)
            ts = _tangents(new, dict(zip([leaves[i] for i in at], dc)) | moving, until, record)
            return [*(new if record else map(raw, new)), *[fit(ts[i], raw(new[i])) for i in at]]

        labels = [*plan.labels, *[f"the tangent of {plan.labels[i]}" for i in at]]
        pushed = plan.derived("tangent", labels, lambda carry: condition(carry[:c]), step)
        found = repeat(pushed, [*init, *[_or_zero(tangents[n + i], init[i]) for i in at]])
        return Parts(dict(zip(at, found[c:])))

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        raise TypeError(
            f"{params['f'].name}: a compiled loop whose number of steps depends on the data has no "
            "derivative in reverse mode (grad, vjp, backward), as nothing says how many carries to keep; use "
            "cr.fori or cr.scan with a known number of steps, and np.where for those that are to do "
            "nothing; or forward mode: cr.jvp, cr.jacobian(f, mode='forward')"
        )


while_ = While(lambda *args, **params: None, name="while")


# -------------------------------------------------------------------- cond


def branch(plan: Plan, predicate: Any, operands: Flat) -> Flat:
    """In a capture: the first function of the operands where the predicate holds, else the second."""
    from chainrule.native.loops import capture_cond

    return capture_cond(plan, predicate, operands).record(cond, plan, [predicate], operands)


class Cond(Primitive):
    """One of two functions; its inputs are the predicate, closed-over Values, and operands."""

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        """The push of the branch that is taken."""
        record, plan = type(y) is Value, params["f"]
        n = 1 + len(plan.closed)
        _fixed(plan, args[1:])
        operands = list(args[n:])
        moving = {w: t for w, t in zip(plan.closed, tangents[1:]) if t is not None}
        at = [i for i, t in enumerate(tangents[n:]) if t is not None]

        def pushed(f: Branch) -> Branch:
            def push(given: Flat) -> Flat:
                leaves, ts = _lifted_at(at, given[: len(operands)]), given[len(operands) :]
                until = next_serial()
                outs = f(leaves)
                leaves = _as_given(leaves, outs)
                seeds = dict(zip([leaves[i] for i in at], ts)) | moving
                return [t for t in _tangents(outs, seeds, until, record) if t is not None]

            return push

        ts = [fit(tangents[n + i], raw(operands[i])) for i in at]
        found = branch(plan.derived("tangent", (), *map(pushed, plan.functions)), args[0], [*operands, *ts])
        smooth = [i for i in range(plan.counts[0]) if differentiable(raw(y).get(i))]
        return Parts(dict(zip(smooth, found)))

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        """The pull of the branch that is taken."""
        record, plan = type(y) is Value, params["f"]
        n = 1 + len(plan.closed)
        _fixed(plan, args[1:])
        operands = list(args[n:])
        at = [i for i, x in enumerate(inputs[n:]) if _wanted(x, since)]
        closed = [w for w in plan.closed if w.serial >= since]

        def pulled(f: Branch) -> Branch:
            def pull(given: Flat) -> Flat:
                leaves, gs = _lifted_at(at, given[: len(operands)]), given[len(operands) :]
                until = next_serial()
                outs = f(leaves)
                leaves = _as_given(leaves, outs)
                found = _cotangents([outs[i] for i in g.found], gs, until, record)
                return [found(v) for v in [*closed, *[leaves[i] for i in at]]]

            return pull

        back = plan.derived("cotangent", (), *map(pulled, plan.functions))
        gs = branch(back, args[0], [*operands, *g.found.values()])
        return [(x, fit(c, x._raw)) for x, c in zip([*closed, *[inputs[n + i] for i in at]], gs)]


cond = Cond(lambda *args, **params: None, name="cond")
