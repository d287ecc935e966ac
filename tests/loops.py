"""Loops to try `scan` and `fori` on: each is a function of a scan, so that it can be unrolled as well.

Some are made at random: a few statements, of all kinds there are, on two vectors, a number and a table.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optree

import chainrule as cr
from chainrule import Value
from chainrule.traced import Traced
from tests.programs import FIRST

MADE = max(12, int(os.environ.get("CHAINRULE_NIGHTLY") or 0) // 1000)  # at random

Scan = Callable[..., Any]


def unrolled(f: Any, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False) -> Any:
    """What `scan` means: a Python loop, the steps of which have xs of their own, as the ys are theirs."""
    rows, spec = optree.tree_flatten(xs)
    n = length if length is not None else rows[0].shape[0]
    carry, collected = init, []
    for i in reversed(range(n)) if reverse else range(n):
        carry, y = f(carry, optree.tree_unflatten(spec, [own(row[i]) for row in rows]))
        collected.append(optree.tree_map(own, y))
    if reverse:
        collected.reverse()
    flat = [optree.tree_flatten(y) for y in collected]
    stacks = [np.stack(list(leaves)) for leaves in zip(*[leaves for leaves, _ in flat], strict=True)]
    return carry, optree.tree_unflatten(flat[0][1], stacks)


def own(x: Any) -> Any:
    return x.copy() if isinstance(x, np.ndarray | Value | Traced) else x


def counted(f: Any, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False) -> Any:
    """The same by `fori`, which reads the xs and writes the ys at its counter."""
    rows, spec = optree.tree_flatten(xs)
    n = length if length is not None else rows[0].shape[0]

    def entry(i: Any, row: Any) -> Any:
        if type(row) is np.ndarray and row.dtype.kind == "i":
            return i  # these are counters themselves
        return own((Value(row) if type(row) is np.ndarray else row)[i])

    def step(i: Any, given: Any) -> Any:
        carry, stacks = given
        i = n - 1 - i if reverse else i
        carry, y = f(carry, optree.tree_unflatten(spec, [entry(i, row) for row in rows]))
        for stack, v in zip(stacks, optree.tree_leaves(y), strict=True):
            stack[i] = v
        return carry, stacks

    once = f(optree.tree_map(own, init), optree.tree_unflatten(spec, [own(row[0]) for row in rows]))
    leaves, y_spec = optree.tree_flatten(once[1])
    carry, stacks = cr.fori(0, n, step, (init, [Value(np.zeros((n, *np.shape(y)))) for y in leaves]))
    return carry, optree.tree_unflatten(y_spec, stacks)


class Loop(NamedTuple):
    name: str
    function: Callable[..., Any]  # of a scan and the arguments
    args: tuple[Any, ...]

    def __str__(self) -> str:
        return self.name


def reals(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed + sum(shape)).normal(size=shape) * 0.5


def recurrent(scan: Scan, w: Any, u: Any, b: Any, xs: Any) -> Any:
    """Parameters closed over, a state carried and collected."""

    def step(h: Any, x: Any) -> Any:
        h = np.tanh(w @ h + u @ x + b)
        return h, h

    h, hs = scan(step, np.zeros(3), xs)
    return np.sum(hs * hs) + np.sum(np.sin(h))


def containers(scan: Scan, a: Any, v: Any) -> Any:
    """A carry of containers with a counter and a number; several ys."""

    def step(carry: Any, x: Any) -> Any:
        (p, q), k = carry["state"], carry["count"]
        q = q * 0.5 + np.sum(np.sin(p)) * x["s"] + k
        p = p * a + q * x["v"]
        return {"state": (p, q), "count": k + 1}, {"p": p, "rest": (q, None, 2.0 * k)}

    init = {"state": (v, 0.25), "count": 1}
    carry, ys = scan(step, init, {"v": np.array([[1.0, 2.0], [0.5, 0.1], [2.0, 0.0]]), "s": np.arange(3.0)})
    p, q = carry["state"]
    return np.sum(p) * q + np.sum(ys["p"] ** 2) + np.sum(ys["rest"][0] * ys["rest"][2])


def backwards(scan: Scan, xs: Any) -> Any:
    """A discounted sum from the end."""
    total, ys = scan(lambda r, x: (np.sin(x) + 0.9 * r, r * x), 0.0, xs, reverse=True)
    return total * np.sum(ys[1:] ** 2)


def odd_outputs(scan: Scan, a: Any, b: Any) -> Any:
    """Leaves that stay as they are, that are what is closed over, that are reset, that are constants."""

    def step(carry: Any, _: Any) -> Any:
        kept, replaced, reset = carry
        return (kept, b, reset * 0 + 1.0), (a, kept, b * replaced, 3.0, replaced)

    (kept, replaced, reset), ys = scan(step, (a, a * 2, b), length=3)
    sums = sum((i + 1) * np.sum(np.exp(y)) for i, y in enumerate(ys))
    return np.sum(kept * replaced + reset) + sums


def numbers(scan: Scan, x: Any, r: Any) -> Any:
    """Python numbers: the logistic map."""
    x, xs = scan(lambda x, _: (r * x * (1 - x), x), x, length=5)
    return x + np.sum(xs**2)


def nested(scan: Scan, w: Any, x: Any) -> Any:
    def inner(c: Any, s: Any) -> Any:
        c = np.tanh(w @ c) * s
        return c, np.sum(c * c)

    def outer(c: Any, i: Any) -> Any:
        c, ys = scan(inner, c + x, np.array([1.0, 0.5]))
        return c * i, np.sum(ys)

    c, ys = scan(outer, x, np.array([1.0, 2.0, 0.5]))
    return np.sum(ys) * np.sum(c)


def descent(scan: Scan, x: Any, target: Any) -> Any:
    """Gradient descent: a derivative within each step."""

    def loss(x: Any) -> Any:
        return np.sum((np.sin(x) - target) ** 2)

    x, losses = scan(lambda x, rate: (x - rate * cr.grad(loss)(x), loss(x)), x, np.array([0.1, 0.2, 0.1]))
    return np.sum(x) + np.sum(losses)


def picked(scan: Scan, table: Any) -> Any:
    """Integers among the xs choose rows."""
    c, ys = scan(lambda c, i: (c * 0.5 + table[i], c @ table[i]), table[0], np.array([2, 0, 2, 1]))
    return np.sum(c) * np.sum(ys)


def matrices(scan: Scan, a: Any, v: Any) -> Any:
    """The power method, with xs that are differentiated and broadcast."""
    x, norms = scan(lambda x, s: ((a @ x) * s, np.sum(x * x)), v, np.stack([np.sum(v), 1.0 + np.sum(a), 0.3]))
    return np.sum(x) + np.sum(norms)


def filled(scan: Scan, x: Any) -> Any:
    """Reads and writes at a counter, beside a vector that is carried."""

    def step(carry: Any, i: Any) -> Any:
        y, out = carry
        out = out.copy()
        out[i] = y[0] * x[i]
        return (y * x[1:], out), None

    y, out = scan(step, (x[:2] * 1.0, Value(np.zeros(3))), np.arange(3))[0]
    return np.sum(np.sin(out)) + np.sum(y)


def summed_rows(scan: Scan, x: Any) -> Any:
    """Rows of something computed, added to a vector."""
    z = np.outer(x, x) + 1.0
    return np.prod(scan(lambda c, i: (c + z[i] ** 2, None), np.zeros(3), np.arange(3))[0])


def changed(scan: Scan, x: Any, z: Any) -> Any:
    """Assigns to its carry and to a row of the xs, and collects both."""

    def step(c: Any, row: Any) -> Any:
        row[0] = c[1] * row[1]
        c[0] = c[0] * x[0] + row[0]
        c += x * row
        return c, (c, row)

    c, (cs, rows) = scan(step, 1.0 * x * Value(np.ones(2)), 1.0 * z * Value(np.ones((3, 2))))
    return np.sum(c**2) + np.sum(cs * rows)


def one_in_another(scan: Scan, x: Any) -> Any:
    """Inner loops read a carry of the outer one all along, and become it, whatever they begin with."""

    def outer(carry: Any, t: Any) -> Any:
        p, q = carry
        a = scan(lambda d, _: (np.sin(d) * t + p, None), p, length=3)[0]
        b = scan(lambda d, s: (d * s + q, None), x * t, np.array([1.0, 0.3]))[0]
        return (a, b), None

    p, q = scan(outer, (x, x), np.array([0.5, -1.0, 2.0]))[0]
    return np.sum(np.tanh(p) * q)


def loop_of(statements: list[Statement]) -> Callable[..., Any]:
    """A loop of these statements, one after the other."""

    def function(scan: Scan, x: Any, z: Any) -> Any:
        one = Value(np.ones(2))  # with it these are Values, to which can be assigned, whatever x is

        def step(carry: Any, entry: Any) -> Any:
            s = {"x": x, "z": z * Value(1.0), **carry, "i": entry[0], "row": entry[1]}
            for statement in statements:
                s = s | statement(scan, s)
            return {k: s[k] for k in carry}, (s["a"], s["n"], s["row"])

        init = {"a": x * one, "b": np.sin(x) * one, "n": x[0] * 0.5, "out": Value(np.zeros(3)), "m": z * one}
        carry, ys = scan(step, init, (np.arange(3), z * one))
        return sum(np.sum(np.sin(v)) for v in optree.tree_leaves((carry, ys)))

    return function


State = dict[str, Any]
Statement = Callable[[Scan, State], State]
STATEMENTS: dict[str, Statement] = {}


def statement(f: Statement) -> Statement:
    STATEMENTS[f.__name__] = f
    return f


@statement
def vector(scan: Scan, s: State) -> State:
    return {"a": np.tanh(s["a"] * s["x"] + s["b"][::-1])}


@statement
def swapped(scan: Scan, s: State) -> State:
    return {"a": s["b"], "b": s["a"]}


@statement
def number(scan: Scan, s: State) -> State:
    return {"n": np.sin(s["n"] * s["row"][0]) + np.sum(s["a"])}


@statement
def read(scan: Scan, s: State) -> State:
    return {"b": s["b"] * 0.5 + s["z"][s["i"]] * s["n"]}


@statement
def read_back(scan: Scan, s: State) -> State:
    return {"a": s["a"] + s["z"][2 - s["i"], 1] * s["out"][s["i"] - 1]}


@statement
def written(scan: Scan, s: State) -> State:
    out = s["out"].copy()
    out[s["i"]] = s["a"][0]
    return {"out": out}


@statement
def written_in_place(scan: Scan, s: State) -> State:
    s["out"][s["i"]] = s["n"] * s["b"][1]
    return {}


@statement
def added_in_place(scan: Scan, s: State) -> State:
    s["a"] += s["b"] * s["row"]
    return {}


@statement
def scaled_through_a_window(scan: Scan, s: State) -> State:
    end = s["b"][1:]
    end *= s["x"][0] + s["n"]
    return {}


@statement
def row_of_a_carry(scan: Scan, s: State) -> State:
    row = s["m"][s["i"]]
    row[0] = s["a"][1]
    row += s["m"][2 - s["i"]]
    return {}


@statement
def assigned_row(scan: Scan, s: State) -> State:
    s["row"][0] = s["n"] * s["row"][1]
    return {}


@statement
def inner(scan: Scan, s: State) -> State:
    """A loop that begins with one carry and reads another, which it replaces."""
    a, b = s["a"], s["b"].copy()  # what a loop reads must not be assigned to later
    b, ys = scan(lambda d, t: (np.tanh(d * t + b), d * b), a, np.array([0.5, 2.0]))
    return {"b": b, "n": s["n"] + np.sum(ys)}


@statement
def inner_in_place(scan: Scan, s: State) -> State:
    def step(d: Any, j: Any) -> Any:
        d[j] = d[j] * 0.5 + s["n"]
        d += s["x"]
        return d, None

    return {"a": scan(step, s["a"], np.arange(2))[0]}


@statement
def condition(scan: Scan, s: State) -> State:
    positive, b = np.sum(cr.data(s["a"])) > 0, s["b"].copy()
    return {"a": cr.cond(positive, lambda a: np.cumsum(a) * s["x"], lambda a: a[::-1] + b, s["a"])}


def made(seed: int) -> Loop:
    """A loop of five statements, in any order."""
    names = [str(n) for n in np.random.default_rng(seed).permutation(sorted(STATEMENTS))[:5]]
    function = loop_of([STATEMENTS[n] for n in names])
    return Loop(f"{seed}: {', '.join(names)}", function, (reals(2, seed=seed), reals(3, 2, seed=seed)))


LOOPS = [
    Loop("recurrent", recurrent, (reals(3, 3), reals(3, 2), reals(3), reals(4, 2))),
    Loop("containers", containers, (0.7, reals(2))),
    Loop("backwards", backwards, (reals(4),)),
    Loop("odd outputs", odd_outputs, (reals(2), reals(2, seed=1))),
    Loop("numbers", numbers, (0.3, 2.5)),
    Loop("nested", nested, (reals(2, 2), reals(2))),
    Loop("descent", descent, (reals(2), reals(2, seed=5))),
    Loop("picked", picked, (reals(3, 2),)),
    Loop("matrices", matrices, (reals(2, 2), reals(2))),
    Loop("filled", filled, (reals(3),)),
    Loop("summed rows", summed_rows, (reals(3),)),
    Loop("changed", changed, (reals(2), reals(3, 2))),
    Loop("one in another", one_in_another, (reals(2),)),
    *[made(seed) for seed in range(FIRST, FIRST + MADE)],
]


COUNTED = [case for case in LOOPS if case.name != "picked"]  # its integers are no counters


def directions(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A direction for each argument."""
    rng = np.random.default_rng(7)
    return tuple(float(rng.normal()) if type(x) is float else rng.normal(size=x.shape) for x in args)


def everything(f: Callable[..., Any], args: tuple[Any, ...]) -> Callable[..., list[Any]]:
    """The value, and the first and second derivatives in each order of modes, as one function."""
    t, numbers = directions(args), tuple(range(len(args)))

    def gradient(f: Callable[..., Any]) -> Callable[..., Any]:
        return cr.grad(f, numbers)

    def along(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *xs: cr.jvp(f, xs, t)[1]

    def moved(*xs: Any) -> Any:
        return sum(np.sum(g * d) for g, d in zip(gradient(f)(*xs), t, strict=True))

    return lambda *xs: [
        f(*xs),
        gradient(f)(*xs),
        along(f)(*xs),
        cr.jvp(gradient(f), xs, t)[1],  # forward over reverse
        gradient(along(f))(*xs),  # reverse over forward
        along(along(f))(*xs),
        gradient(moved)(*xs),
    ]


def of_values(f: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
    """The value, and the gradients that backward() leaves at the arguments."""
    leaves = [Value(x) for x in args]
    y = f(*leaves)
    y.backward()
    return [y.data, *[v.grad for v in leaves]]
