"""Rolled programs compute what they did, in fewer nodes."""

import collections
import random

import numpy as np
import pytest

import chainrule as cr
from chainrule.micrograd.engine import Value
from chainrule.micrograd.nn import MLP
from chainrule.native.capture import capture
from chainrule.native.reference import evaluate, order
from chainrule.native.roll import roll


def given(captured, leaves):
    """The data of the program's inputs."""
    found = []
    for kind, which in captured.slots:
        v = captured.states[which].value if kind != "argument" else None
        found.append(leaves[which] if v is None else v._current() if kind == "data" else v._grad)
    return found


def rolled(f, leaves, rtol=1e-12):
    """Roll what ``f`` does; the values must be as before. The new nodes and the old ones."""
    captured = capture("f", lambda flat: f(*flat), leaves)
    roots = captured.roots()
    before, data = order(roots), given(captured, leaves)
    new = roll(roots)
    after = order(new)
    old, values = evaluate(before, data), evaluate(after, data)
    for x, y in zip(roots, new, strict=True):
        assert (x.shape, x.dtype, x.weak) == (y.shape, y.dtype, y.weak)
        same(values[y], old[x], rtol)
    for x in after:
        assert x.op in ("call", "scan", "while", "cond") or np.shape(values[x]) == x.shape, x
        assert all(i.dtype == x.inputs[0].dtype for i in x.inputs if x.op in ("pack", "add", "multiply"))
    return after, before


def same(a, b, rtol):
    """Special values are equal, and zeros of the same sign where neither is a sum of others."""
    a, b = np.asarray(a), np.asarray(b)
    assert (np.isnan(a) == np.isnan(b)).all()
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-300 if rtol < 1e-6 else 0)


def kinds(nodes):
    return collections.Counter((x.op, x.shape) for x in nodes)


# -------------------------------------------------------------------- networks of scalars


def moons(count, sizes, *, held_out=0, seed=1337, activation="relu"):
    """A network and one step of its training, as micrograd's demo has it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count + held_out, 2))
    y = np.where(rng.random(count + held_out) < 0.5, -1, 1)
    random.seed(seed)
    model = MLP(2, sizes)

    def loss(rows, targets):
        scores = [model(list(map(Value, row))) for row in rows]
        losses = [(1 + -t * s).relu() for t, s in zip(targets, scores, strict=True)]
        return sum(losses) * (1.0 / len(losses))

    def step(rate):
        total = loss(x[:count], y[:count]) + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= rate * p.grad
        if not held_out:
            return total
        for_each = MLP.__call__  # the network as it was is the same Values, with new data
        return total, loss(x[count:], y[count:]), for_each is not None

    return model, step


def test_moons():
    few, before = rolled(moons(20, [16, 16, 1])[1], [0.1])
    more, _ = rolled(moons(30, [16, 16, 1])[1], [0.1])
    assert len(few) == len(more) < 4_000 < len(before)
    assert kinds(few)["subtract", (337,)] == 1
    assert kinds(few)["pack", (337,)] == 2  # the parameters; the sums over samples
    assert kinds(few)["sum", (1,)] == kinds(more)["sum", (1,)] < 345
    assert not any(x.op == "gather" for x in few)


def test_two_groups_of_lanes():
    nodes, _ = rolled(moons(12, [8, 8, 1], held_out=7)[1], [0.1])
    found = kinds(nodes)
    assert found["maximum", (12,)] == found["maximum", (7,)] == 17
    assert not any(x.op == "gather" for x in nodes)
