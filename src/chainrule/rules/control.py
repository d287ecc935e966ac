"""Loops and branches as single operations: `scan`, and, in a capture, `while` and `cond`.

A body is a Python function of flat lists, ``body(carry, x) -> (carry, ys, sums)``: what goes from
step to step, what is stacked, what is only added up. The node of a loop keeps the body and the
carries, not what happened within the steps: both derivatives run the body again, and are loops
themselves, so that they can be differentiated, and captured, like any other.

What a body reads besides its arguments is found by looking at what it recorded: Values older than
the step become inputs of the node, so derivatives reach them too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.graph import order
from chainrule.primitive import Contributions, Lanes, Primitive, fit, raw
from chainrule.recording import alias, kind_of, zeros_like
from chainrule.sweeps.adjoint import accumulate, adjoint
from chainrule.sweeps.tangent import tangent
from chainrule.traced import Traced, current_trace
from chainrule.value import Value, changed, next_serial, result

__all__ = ["Ran", "branch", "conform", "loop", "repeat"]

Flat = list[Any]
Body = Callable[[Flat, Flat], tuple[Flat, Flat, Flat]]


class Parts:
    """Several results as the data of one node; or the tangents or cotangents of some of them."""

    __slots__ = ("found",)
    size = sys.maxsize + 1  # what has several gradients shows none
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


def _pick(data: Any, *, index: int) -> Any:
    if type(data) is not Traced:
        return data.get(index)
    from chainrule.native.loops import pick  # loaded already: it made what is traced

    return pick(data, index)


item = Item(_pick, name="item")


def _result(y: Any, index: int) -> Any:
    """A result of a node, recorded if the node is given as a Value and the result has a derivative."""
    if type(y) is not Value:
        return _pick(y, index=index)
    if _dtype(y._data, index).kind in "fc":
        return item(y, index=index)
    return _pick(y._data, index=index)


def _dtype(data: Any, index: int) -> np.dtype[Any]:
    if type(data) is Traced:
        return data.params["results"][index][1]  # type: ignore[no-any-return]
    return np.asarray(data.get(index)).dtype


# -------------------------------------------------------------------- leaves of a body


def _lifted(x: Any) -> Value:
    """A fresh Value for one step, to differentiate with respect to."""
    if type(x) is Value:
        return alias(x)  # type: ignore[no-any-return]
    return Value(x if type(x) is float or type(x) is Traced else np.asarray(x))


def differentiable(x: Any) -> bool:
    """Whether raw data has a derivative."""
    return type(x) is float or np.asarray(x).dtype.kind in "fc" if type(x) is not Traced else x.dtype.kind in "fc"


def operand(x: Any) -> Any:
    """The raw data of an operand, as a graph may keep it."""
    return x if type(x) is not Value else x._current() if x.primitive is None else x._data


def _held(x: Any) -> Any:
    """An operand that its owner cannot change any more."""
    if type(x) is np.ndarray and (x.flags.writeable or not x.flags.owndata):
        x = x.copy()
        x.setflags(write=False)
    return x


def sort_of(x: Any) -> tuple[tuple[int, ...], np.dtype[Any], bool] | None:
    """Shape, dtype, and whether it is a Python number; None if it is no number or array."""
    if type(x) is Traced:
        return x.shape, x.dtype, x.weak
    if isinstance(x, bool | int | float | complex) and not isinstance(x, np.generic):
        return (), np.dtype(type(x)), True
    if isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fciub":
        return x.shape, x.dtype, False
    return None


def describe(x: Any) -> str:
    """What raw data is, for an error."""
    sort = sort_of(x)
    if sort is None:
        return f"an array of {x.dtype}" if isinstance(x, np.ndarray) else kind_of(x)
    shape, dtype, weak = sort
    if weak:
        return f"a Python {'int' if dtype.kind == 'i' else dtype.type.__name__.rstrip('_0123456789')}"
    return f"{dtype} of shape {shape}" if shape else f"a scalar of {dtype}"


def conform(name: str, label: str, got: Any, like: Any) -> Any:
    """What a step returned, if it can be what the next one begins with."""
    if type(got) is type(like) is np.ndarray and got.shape == like.shape and got.dtype == like.dtype:
        return got
    a, b = sort_of(got), sort_of(like)
    if a == b and a is not None:
        return got
    if a is None or b is None or a[:2] != b[:2]:
        raise TypeError(
            f"{name}: {label} starts as {describe(like)} and the step returned {describe(got)}; expected the "
            f"same shape and dtype from step to step: {_remedy(a, b)}"
        )
    if type(got) is Traced or type(like) is Traced:
        from chainrule.native.operations import cast

        return cast(got, b[1], b[2])
    return got.item() if b[2] else b[1].type(got)


def truth(name: str, what: str, x: Any) -> Any:
    """A condition, which must be one boolean."""
    if type(x) is Value:
        raise TypeError(f"{name}: the {what} is a Value, expected a boolean; compare it, for instance with > 0")
    sort = sort_of(x)
    if sort is None or sort[0] != () or sort[1] != np.bool_:
        raise TypeError(
            f"{name}: the {what} is {describe(x)}, expected one boolean; compare numbers (x > 0), and reduce an "
            "array with np.all or np.any"
        )
    return x if type(x) is Traced else bool(x)


def _remedy(a: Any, b: Any) -> str:
    if a is None or b is None:
        return "a carry is made of numbers and arrays"
    if b[2] and a[0]:
        return f"start with an array, for instance np.zeros({a[0]}, np.{a[1]})"
    if b[2] and b[1].kind in "bi" and a[2]:
        return f"start with {'0.0' if a[1].kind == 'f' else '0j' if a[1].kind == 'c' else '0'}"
    if a[0] != b[0]:
        return "return it in the shape it had, or start with one it keeps (np.broadcast_to, np.zeros)"
    return f"start with np.{a[1]}(...)" if b[2] else f"convert it with .astype(np.{b[1]}), or start with {a[1]}"


def _restored(x: Any, like: Any) -> Any:
    """One entry of a stack of carries, as the step had it: a Python number if it was one."""
    sort = sort_of(like)
    if type(x) is not Value:
        return conform("scan", "a carry", x, like)
    return fit(x, like) if sort is not None and sort[2] else x


def _outside(values: Sequence[Value], since: int, found: dict[int, Value]) -> None:
    """Collect the Values older than ``since`` that these were computed from, by serial."""
    for v in values:
        if v.serial < since:
            found[v.serial] = v
    for node in order(values, since):
        for x in node.inputs:
            if type(x) is Value and x.serial < since:
                found[x.serial] = x


@dataclass
class Ran:
    """What came out of a loop or a branch.

    Attributes
    ----------
    data : Parts or Traced
        The results: last carries, sums, stacked ys, and, if anything was recorded, stacked carries.
    counts : tuple of int
        Of carries, sums and ys.
    values : list of bool
        Which of them came as Values.
    outside : dict
        The Values from outside that were read, by serial.
    """

    data: Any
    counts: tuple[int, int, int]
    values: list[bool]
    outside: dict[int, Value] = field(default_factory=dict)

    def results(self, primitive: Primitive, first: Flat, rest: Flat, params: dict[str, Any]) -> tuple[Flat, Flat, Flat]:
        """Record the node, if there is anything to differentiate, and give carries, sums and ys."""
        y = self.data
        if any(self.values):
            closed = [self.outside[s] for s in sorted(self.outside)]
            inputs = tuple(x if type(x) is Value else _held(x) for x in (*first, *closed, *rest))
            args = tuple(map(operand, inputs))
            params = {**params, "closed": tuple(closed), "counts": self.counts}
            y = result(None if type(y) is Parts else y, primitive, inputs, args, params)
            y._data = self.data
        c, m, r = self.counts
        every = [
            _result(y, i) if value else _pick(self.data, index=i) for i, value in enumerate(self.values)
        ]
        return every[:c], every[c : c + m], every[c + m :]


# -------------------------------------------------------------------- the loop in Python


class _Stack:
    """One output of every step, in one array."""

    def __init__(self, name: str, label: str, length: int) -> None:
        self.name, self.label, self.length = name, label, length
        self.array: Any = None

    def put(self, i: int, x: Any) -> None:
        a = self.array
        if a is None:
            sort = sort_of(x)
            if sort is None:
                raise TypeError(f"{self.name}: {self.label} is {describe(x)}, expected a number or an array")
            a = self.array = np.empty((self.length, *sort[0]), sort[1])
        elif np.shape(x) != a.shape[1:] or (type(x) is np.ndarray and x.dtype != a.dtype):
            raise ValueError(
                f"{self.name}: {self.label} is {describe(x)} at step {i}, expected {a.dtype} of shape "
                f"{a.shape[1:]}, as at the first; return the same kind of array at every step"
            )
        a[i] = x


def _in_python(
    name: str, body: Body, init: Flat, xs: Flat, length: int, reverse: bool, labels: Sequence[str], keep: bool
) -> Ran:
    """Run the steps one after the other; each one's record is dropped before the next."""
    tracked = [type(c) is Value for c in init]
    moved = [type(x) is Value for x in xs]
    likes = [operand(c) for c in init]
    rows = [operand(x) for x in xs]
    carry = likes
    kept = [_Stack(name, label, length) for label in labels]
    stacks: list[_Stack] | None = None
    sums: Flat = []
    values: list[bool] = []
    outside: dict[int, Value] = {}
    for step in range(length):
        i = length - 1 - step if reverse else step
        since = next_serial()
        new, ys, adds = body(
            [_lifted(c) if t else c for c, t in zip(carry, tracked)],
            [_lifted(x[i]) if t else x[i] for x, t in zip(rows, moved)],
        )
        outs = [*new, *adds, *ys]
        found = [v for v in outs if type(v) is Value]
        if found:
            if not keep:
                if step:  # what was not kept so far is needed after all
                    return _in_python(name, body, init, xs, length, reverse, labels, True)
                keep = True
            _outside(found, since, outside)
        if keep:
            for stack, c in zip(kept, carry):
                stack.put(i, c)
        tracked = [type(v) is Value for v in new]
        carry = [conform(name, label, raw(v), like) for label, v, like in zip(labels, new, likes)]
        if stacks is None:
            stacks = [_Stack(name, f"y[{j}]" if len(ys) > 1 else "y", length) for j in range(len(ys))]
            sums = [raw(s) for s in adds]
            values = [type(v) is Value for v in outs]
        else:
            sums = [a + raw(s) for a, s in zip(sums, adds)]
            values = [v or type(o) is Value for v, o in zip(values, outs)]
        for stack, v in zip(stacks, ys):
            stack.put(i, raw(v))
    values[: len(carry)] = tracked
    assert stacks is not None
    every = [*carry, *sums, *[s.array for s in stacks], *[s.array for s in kept if keep]]
    return Ran(Parts(dict(enumerate(every))), (len(carry), len(sums), len(stacks)), values, outside)


# -------------------------------------------------------------------- scan


def loop(
    name: str, body: Body, init: Flat, xs: Flat, length: int, reverse: bool, labels: Sequence[str] | None = None
) -> tuple[Flat, Flat, Flat]:
    """``length`` steps of ``body``, at least one: last carries, stacked ys, sums.

    Raw data in, raw data out; traced data makes a node of the captured program; Values, or a body
    that reads any, a node of the graph.
    """
    labels = ["a carry"] * len(init) if labels is None else labels
    if current_trace() is None:
        keep = any(type(x) is Value for x in (*init, *xs))
        ran = _in_python(name, body, init, xs, length, reverse, labels, keep)
    else:
        from chainrule.native.loops import capture_scan

        ran = capture_scan(name, body, init, xs, length, reverse, labels)
    params = {"name": name, "body": body, "length": length, "reverse": reverse, "labels": labels}
    carry, sums, ys = ran.results(scan, [], [*init, *xs], params)
    return carry, ys, sums


class Scan(Primitive):
    """A loop with a known number of steps; inputs are closed-over Values, first carries, and xs."""

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        """A loop that carries tangents beside the carries."""
        record = type(y) is Value
        n, (c, m, r) = len(params["closed"]), params["counts"]
        init, xs = list(args[n : n + c]), list(args[n + c :])
        closed = _unmoved(params, args, tangents)
        at = [i for i, a in enumerate(init) if differentiable(raw(a))]
        to = [j for j, t in enumerate(tangents[n + c :]) if t is not None]
        first = [_or_zero(tangents[n + i], init[i]) for i in at]

        def step(carry: Flat, x: Flat) -> tuple[Flat, Flat, Flat]:
            leaves, dc = _lift_at(at, carry[:c]), carry[c:]
            entries, dx = _lift_at(to, x[: len(xs)]), x[len(xs) :]
            until = next_serial()
            new, ys, sums = params["body"](leaves, entries)
            seeds = dict(zip([leaves[i] for i in at] + [entries[j] for j in to], dc + dx))
            moved = _tangents([*new, *ys, *sums], seeds | closed, until, record)
            primal = new if record else [raw(v) for v in new]
            return (
                [*primal, *[fit(moved[i], raw(new[i])) for i in at]],
                [t for t in moved[c : c + r] if t is not None] + dc,
                moved[c + r :],
            )

        labels = [*params["labels"], *[f"the tangent of {params['labels'][i]}" for i in at]]
        dxs = [fit(tangents[n + c + j], raw(xs[j])) for j in to]
        dc, dys, dsums = loop(
            params["name"], step, [*init, *first], [*xs, *dxs], params["length"], params["reverse"], labels
        )
        data = raw(y)
        moving = [j for j in range(r) if _dtype(data, c + m + j).kind in "fc"]
        found = dict(zip(at, dc[c:]))
        found |= {c + j: t for j, t in enumerate(dsums)}
        found |= dict(zip([c + m + j for j in moving] + [c + m + r + i for i in at], dys))
        return Parts(found)

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        """The loop backwards: each step is run again from the carry it had, and swept."""
        record = type(y) is Value
        name, length, body = params["name"], params["length"], params["body"]
        n, (c, m, r) = len(params["closed"]), params["counts"]
        _unmoved(params, args, args)
        init, xs = list(args[n : n + c]), list(args[n + c :])
        likes = [raw(a) for a in init]
        at = [i for i, a in enumerate(likes) if differentiable(a)]
        to = [j for j, x in enumerate(inputs[n + c :]) if type(x) is Value and x.serial >= since]
        closed = [w for w in params["closed"] if w.serial >= since]
        ys = [j for j in range(r) if g.get(c + m + j) is not None]
        kept = [i for i in at if g.get(c + m + r + i) is not None]  # asked for by an earlier derivative
        gsums = [g.get(c + j) for j in range(m)]
        repeats = _repeats(name, raw(y), c, m + r, length, params["reverse"])

        def step(gc: Flat, x: Flat) -> tuple[Flat, Flat, Flat]:
            x, entries = x[c:], [_restored(v, like) for v, like in zip(x, likes)]
            leaves = _lift_at(at, entries)
            x, entries = x[len(xs) :], _lift_at(to, x[: len(xs)])
            gys, gkept, position = x[: len(ys)], x[len(ys) : len(ys) + len(kept)], x[len(ys) + len(kept) :]
            until = next_serial()
            new, outs, sums = body(leaves, entries)
            if position:
                repeats(int(position[0]), [raw(v) for v in new])
            ends = [new[i] for i in at] + [outs[j] for j in ys] + sums
            found = _cotangents(ends, [*gc, *gys, *gsums], until, record)
            back = {i: found(leaves[i]) for i in at}
            for i, extra in zip(kept, gkept):
                back[i] = back[i] + extra
            return list(back.values()), [found(entries[j]) for j in to], [found(w) for w in closed]

        first = [_or_zero(g.get(i), likes[i]) for i in at]
        stacks = [_result(y, c + m + r + i) for i in range(c)]
        given = [*stacks, *xs, *[g.get(c + m + j) for j in ys], *[g.get(c + m + r + i) for i in kept]]
        if current_trace() is None:
            given.append(np.arange(length))
        labels = [f"the cotangent of {params['labels'][i]}" for i in at]
        gc, gxs, gclosed = loop(name, step, first, given, length, not params["reverse"], labels)
        found = dict(zip([n + i for i in at], gc)) | dict(zip([n + c + j for j in to], gxs))
        out = [(x, fit(found[i], x._data)) for i, x in enumerate(inputs) if i in found and _wanted(x, since)]
        return [*zip(closed, map(fit, gclosed, [w._data for w in closed])), *out]


scan = Scan(lambda *args, **params: None, name="scan")


def _wanted(x: Any, since: int) -> bool:
    return type(x) is Value and x.serial >= since


def _or_zero(t: Any, like: Any) -> Any:
    """A tangent or cotangent of a carry; zero if there is none."""
    like = raw(like)
    return fit(zeros_like(like) if t is None else t, like)


def _lift_at(at: Sequence[int], entries: Flat) -> Flat:
    """The entries, those numbered by ``at`` as fresh Values."""
    entries = list(entries)
    for i in at:
        entries[i] = _lifted(entries[i])
    return entries


def _unmoved(params: Any, args: Sequence[Any], tangents: Sequence[Any]) -> dict[Value, Any]:
    """The tangents of the closed-over Values, which must still be what they were: a body reads them anew."""
    for w, a in zip(params["closed"], args):
        if changed(w, raw(a)):
            raise RuntimeError(
                f"{params['name']}: {w.name or 'a Value'} that its function reads was given new data since; the "
                "steps are run again for a derivative and need the old data: differentiate before changing it, "
                "or pass it in as part of the carry"
            )
    return {w: t for w, t in zip(params["closed"], tangents) if t is not None}


def _tangents(outs: Flat, seeds: dict[Value, Any], until: int, record: bool) -> Flat:
    """The tangents of what a body returned; None for what has no derivative."""
    with np.errstate(all="ignore"):
        found = tangent(order([v for v in outs if type(v) is Value], until), seeds, record=record)
    return [
        found[v] if type(v) is Value and v in found else zeros_like(v) if differentiable(raw(v)) else None
        for v in outs
    ]


def _cotangents(outs: Flat, gs: Flat, until: int, record: bool) -> Callable[[Value], Any]:
    """Sweep back through one step: gives the cotangent of anything the step began with."""
    seeds = [(v, fit(g, v._data)) for v, g in zip(outs, gs) if type(v) is Value and g is not None]
    with np.errstate(all="ignore"):
        found = adjoint(seeds, until=until, record=record)
    return lambda v: found[v] if v in found else zeros_like(v)


def _repeats(name: str, data: Any, c: int, others: int, length: int, reverse: bool) -> Callable[[int, Flat], None]:
    """Refuse a body that gives something else when it is run again: its derivative would be of neither."""

    def check(i: int, new: Flat) -> None:
        after = i - 1 if reverse else i + 1
        for k, a in enumerate(new):
            b = data.get(c + others + k)[after] if 0 <= after < length else data.get(k)
            if np.all(a == b):
                continue
            if np.asarray(b).dtype.kind in "fc":
                close = np.sqrt(np.finfo(np.asarray(b).dtype).eps)  # Python's functions and NumPy's round differently
                if np.allclose(a, b, rtol=close, atol=close * float(np.max(np.abs(b))), equal_nan=True):
                    continue
            raise RuntimeError(
                f"{name}: step {i} gave another result when it was run again for its derivative; the function "
                "must depend on its arguments alone: pass random numbers and counters in through xs or the carry"
            )

    return check


# -------------------------------------------------------------------- while


def repeat(
    name: str, condition: Callable[[Flat], Any], body: Callable[[Flat], Flat], init: Flat, labels: Sequence[str]
) -> Flat:
    """In a capture: steps of ``body`` while ``condition`` holds."""
    from chainrule.native.loops import capture_while

    ran = capture_while(name, condition, body, init, labels)
    params = {"name": name, "condition": condition, "body": body, "labels": labels}
    return ran.results(while_, [], init, params)[0]


class While(Primitive):
    """A loop whose number of steps depends on the data; inputs are closed-over Values and first carries."""

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        """A loop that carries tangents beside the carries."""
        record = type(y) is Value
        n, c = len(params["closed"]), params["counts"][0]
        init = list(args[n:])
        closed = _unmoved(params, args, tangents)
        at = [i for i, a in enumerate(init) if differentiable(raw(a))]
        first = [_or_zero(tangents[n + i], init[i]) for i in at]

        def step(carry: Flat) -> Flat:
            leaves, dc = _lift_at(at, carry[:c]), carry[c:]
            until = next_serial()
            new = params["body"](leaves)
            moved = _tangents(new, dict(zip([leaves[i] for i in at], dc)) | closed, until, record)
            primal = new if record else [raw(v) for v in new]
            return [*primal, *[fit(moved[i], raw(new[i])) for i in at]]

        labels = [*params["labels"], *[f"the tangent of {params['labels'][i]}" for i in at]]
        condition = params["condition"]
        found = repeat(params["name"], lambda carry: condition(carry[:c]), step, [*init, *first], labels)
        return Parts(dict(zip(at, found[c:])))

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        raise TypeError(
            f"{params['name']}: a compiled loop whose number of steps depends on the data has no derivative in "
            "reverse mode (grad, vjp, backward), because nothing says how many carries to keep; use cr.fori or "
            "cr.scan with a known number of steps and np.where for those that are to do nothing, or forward mode: "
            "cr.jvp, cr.jacobian(f, mode='forward')"
        )


while_ = While(lambda *args, **params: None, name="while")


# -------------------------------------------------------------------- cond


def branch(
    name: str, predicate: Traced, f: Callable[[Flat], Flat], g: Callable[[Flat], Flat], operands: Flat
) -> Flat:
    """In a capture: ``f(operands)`` where the predicate holds, else ``g(operands)``."""
    from chainrule.native.loops import capture_cond

    ran = capture_cond(name, predicate, f, g, operands)
    return ran.results(cond, [predicate], operands, {"name": name, "f": f, "g": g})[0]


class Cond(Primitive):
    """One of two functions; inputs are the predicate, closed-over Values, and operands."""

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        """The push of the branch that is taken."""
        record = type(y) is Value
        n = 1 + len(params["closed"])
        operands = list(args[n:])
        closed = _unmoved(params, args[1:], tangents[1:])
        at = [i for i, t in enumerate(tangents[n:]) if t is not None]
        ts = [fit(tangents[n + i], raw(operands[i])) for i in at]

        def pushed(f: Callable[[Flat], Flat]) -> Callable[[Flat], Flat]:
            def push(given: Flat) -> Flat:
                leaves, moving = _lift_at(at, given[: len(operands)]), given[len(operands) :]
                until = next_serial()
                outs = f(leaves)
                seeds = dict(zip([leaves[i] for i in at], moving)) | closed
                return [t for t in _tangents(outs, seeds, until, record) if t is not None]

            return push

        f, g = pushed(params["f"]), pushed(params["g"])
        found = branch(params["name"], args[0], f, g, [*operands, *ts])
        data = raw(y)
        moving = [i for i in range(params["counts"][0]) if _dtype(data, i).kind in "fc"]
        return Parts(dict(zip(moving, found)))

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        """The pull of the branch that is taken."""
        record = type(y) is Value
        n = 1 + len(params["closed"])
        operands = list(args[n:])
        _unmoved(params, args[1:], args[1:])
        at = [i for i, x in enumerate(inputs[n:]) if _wanted(x, since)]
        closed = [w for w in params["closed"] if w.serial >= since]
        sent = list(g.found)

        def pulled(f: Callable[[Flat], Flat]) -> Callable[[Flat], Flat]:
            def pull(given: Flat) -> Flat:
                leaves, gs = _lift_at(at, given[: len(operands)]), given[len(operands) :]
                until = next_serial()
                outs = f(leaves)
                found = _cotangents([outs[i] for i in sent], gs, until, record)
                return [fit(found(w), w._data) for w in closed] + [
                    fit(found(leaves[i]), leaves[i]._data) for i in at
                ]

            return pull

        f, h = pulled(params["f"]), pulled(params["g"])
        gs = branch(params["name"], args[0], f, h, [*operands, *g.found.values()])
        wanted = [*closed, *[inputs[n + i] for i in at]]
        return [(x, fit(c, x._data)) for x, c in zip(wanted, gs)]


cond = Cond(lambda *args, **params: None, name="cond")
