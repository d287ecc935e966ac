"""Loops and branches as single operations: `scan`, and, in a capture, `while` and `cond`.

The node of a loop keeps its body and the carries, not what happened within the steps: its derivatives run
the body again, and are loops themselves, so that they can be differentiated, and captured, like any other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.primitives import Contributions, Primitive, fit, raw
from chainrule.rules.bodies import (
    Branch,
    Flat,
    Parts,
    Plan,
    Ran,
    as_given,
    check_fixed,
    cotangents_of,
    lifted,
    lifted_at,
    or_zero,
    outside_of,
    own_entry,
    result_of,
    run,
    tangents_of,
    wanted,
)
from chainrule.rules.carry import Stack, conform, differentiable, restored
from chainrule.rules.shape import stack
from chainrule.traced import current_trace
from chainrule.value import Value, current, next_serial

__all__ = ["branch", "loop", "repeat", "scan", "watch"]

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
        given = [own_entry(c) for c in carry], [own_entry(x[i]) for x in xs]
        since = next_serial()
        new, ys, terms = body(*given)
        watcher(plan.name, i, since, next_serial())
        kept = [conform(plan.name, label, raw(v), like) for label, v, like in zip(plan.labels, new, likes)]
        carry = [v if type(v) is Value else c for v, c in zip(new, kept)]
        sums = [a + s for a, s in zip(sums, terms)] if rows else terms
        rows.append(ys)
    columns = [stack(column) for column in zip(*(rows[::-1] if reverse else rows))]
    return carry, columns, sums


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
        new, ys, terms = run(
            body,
            [lifted(c) if t else c if step else own_entry(c) for c, t in zip(carry, tracked)],
            [lifted(x[i]) if t else own_entry(x[i]) for x, t in zip(rows, moved)],
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
        check_fixed(plan, args)
        init, xs = list(args[n : n + c]), list(args[n + c :])
        moving = {w: t for w, t in zip(plan.closed, tangents) if t is not None}
        at = [i for i, a in enumerate(init) if differentiable(raw(a))]
        to = [j for j, t in enumerate(tangents[n + c :]) if t is not None]

        def step(carry: Flat, x: Flat) -> tuple[Flat, Flat, Flat]:
            leaves, dc = lifted_at(at, carry[:c]), carry[c:]
            entries, dx = lifted_at(to, x[: len(xs)]), x[len(xs) :]
            until = next_serial()
            new, ys, sums = body(leaves, entries)
            leaves, entries = as_given(leaves, [*new, *ys, *sums]), as_given(entries)
            seeds = dict(zip([leaves[i] for i in at] + [entries[j] for j in to], dc + dx))
            ts = tangents_of([*new, *ys, *sums], seeds | moving, until, record)
            primal = new if record else [raw(v) for v in new]
            dy = [t for t in ts[c : c + r] if t is not None]
            return [*primal, *[fit(ts[i], raw(new[i])) for i in at]], dy + dc, ts[c + r :]

        labels = [*plan.labels, *[f"the tangent of {plan.labels[i]}" for i in at]]
        dc = [or_zero(tangents[n + i], init[i]) for i in at]
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
        check_fixed(plan, args)
        init, xs = list(args[n : n + c]), list(args[n + c :])
        likes = [raw(a) for a in init]
        at = [i for i, a in enumerate(likes) if differentiable(a)]
        to = [j for j, x in enumerate(inputs[n + c :]) if wanted(x, since)]
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
            leaves = lifted_at(at, entries)
            entries, x = lifted_at(to, x[: len(xs)]), x[len(xs) :]
            gys, gkept, position = x[: len(ys)], x[len(ys) : len(ys) + len(kept)], x[len(ys) + len(kept) :]
            until = next_serial()
            new, outs, sums = body(leaves, entries)
            leaves, entries = as_given(leaves, [*new, *outs, *sums]), as_given(entries)
            for i in position:
                repeats.check(int(i), [raw(v) for v in new])
            ends = [new[i] for i in at] + [outs[j] for j in ys] + sums
            found = cotangents_of(ends, [*gc, *gys, *gsums], until, record)
            back = {i: found(leaves[i]) for i in at}
            for i, more in zip(kept, gkept):
                back[i] = back[i] + more
            return list(back.values()), [found(entries[j]) for j in to], [found(w) for w in closed]

        labels = [f"the cotangent of {plan.labels[i]}" for i in at]
        pulled = plan.derived("cotangent", labels, step)
        seeds = [or_zero(g.get(i), likes[i]) for i in at]
        given = [result_of(y, c + m + r + i) for i in range(c)] + xs
        given += [g.get(c + m + j) for j in ys] + [g.get(c + m + r + i) for i in kept]
        if current_trace() is None:
            given.append(np.arange(length))
        gc, gxs, gclosed = loop(pulled, seeds, given, length, not params["reverse"])
        found = dict(zip([n + i for i in at], gc)) | dict(zip([n + c + j for j in to], gxs))
        return [*zip(closed, gclosed)] + [
            (inputs[i], fit(v, inputs[i]._raw)) for i, v in found.items() if wanted(inputs[i], since)
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
        check_fixed(plan, args)
        init = list(args[n:])
        moving = {w: t for w, t in zip(plan.closed, tangents) if t is not None}
        at = [i for i, a in enumerate(init) if differentiable(raw(a))]

        def step(carry: Flat) -> Flat:
            leaves, dc = lifted_at(at, carry[:c]), carry[c:]
            until = next_serial()
            new = body(leaves)
            leaves = as_given(leaves, new)
            ts = tangents_of(new, dict(zip([leaves[i] for i in at], dc)) | moving, until, record)
            return [*(new if record else map(raw, new)), *[fit(ts[i], raw(new[i])) for i in at]]

        labels = [*plan.labels, *[f"the tangent of {plan.labels[i]}" for i in at]]
        pushed = plan.derived("tangent", labels, lambda carry: condition(carry[:c]), step)
        found = repeat(pushed, [*init, *[or_zero(tangents[n + i], init[i]) for i in at]])
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
        check_fixed(plan, args[1:])
        operands = list(args[n:])
        moving = {w: t for w, t in zip(plan.closed, tangents[1:]) if t is not None}
        at = [i for i, t in enumerate(tangents[n:]) if t is not None]

        def pushed(f: Branch) -> Branch:
            def push(given: Flat) -> Flat:
                leaves, ts = lifted_at(at, given[: len(operands)]), given[len(operands) :]
                until = next_serial()
                outs = f(leaves)
                leaves = as_given(leaves, outs)
                seeds = dict(zip([leaves[i] for i in at], ts)) | moving
                return [t for t in tangents_of(outs, seeds, until, record) if t is not None]

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
        check_fixed(plan, args[1:])
        operands = list(args[n:])
        at = [i for i, x in enumerate(inputs[n:]) if wanted(x, since)]
        closed = [w for w in plan.closed if w.serial >= since]

        def pulled(f: Branch) -> Branch:
            def pull(given: Flat) -> Flat:
                leaves, gs = lifted_at(at, given[: len(operands)]), given[len(operands) :]
                until = next_serial()
                outs = f(leaves)
                leaves = as_given(leaves, outs)
                found = cotangents_of([outs[i] for i in g.found], gs, until, record)
                return [found(v) for v in [*closed, *[leaves[i] for i in at]]]

            return pull

        back = plan.derived("cotangent", (), *map(pulled, plan.functions))
        gs = branch(back, args[0], [*operands, *g.found.values()])
        return [(x, fit(c, x._raw)) for x, c in zip([*closed, *[inputs[n + i] for i in at]], gs)]


cond = Cond(lambda *args, **params: None, name="cond")
