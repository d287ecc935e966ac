"""Lanes: what hangs together."""

import numpy as np
import pytest

from chainrule.native.capture import capture
from chainrule.native.roll import _order
from chainrule.native.roll_lanes import Lanes, _joined, _parts


def naive(n, s, t):
    """The first node of each connected part, one edge after the other."""
    part = list(range(n))
    for _ in range(n):
        for a, b in zip(s, t, strict=True):
            part[a] = part[b] = min(part[a], part[b])
    return part


@pytest.mark.parametrize("n, edges", [(1, 0), (2, 1), (10, 5), (30, 25), (30, 100), (60, 50)])
def test_parts(n, edges):
    for seed in range(20):
        s, t = np.random.default_rng(seed).integers(0, n, (2, edges))
        assert _parts(n, s, t).tolist() == naive(n, s.tolist(), t.tolist())


def test_a_long_chain_is_one_part():
    at = np.random.default_rng(0).permutation(10_000)
    assert not _parts(10_000, at[1:], at[:-1]).any()


def test_joined():
    a, b = np.random.default_rng(0).integers(0, 5, (2, 100))
    joined = _joined(a, b)
    pairs = sorted(set(zip(a.tolist(), b.tolist(), strict=True)))
    assert [pairs[k] for k in joined] == list(zip(a.tolist(), b.tolist(), strict=True))


def lanes(f, *leaves):
    roots = capture("f", lambda flat: f(*flat), list(leaves)).roots()
    return Lanes(roots, _order(roots), lanes=4)


def finals(p, op):
    """How many nodes of an operation are in each class."""
    own = [int(p.final[i]) for i, x in enumerate(p.nodes) if x.op == op and p.classes[i] >= 0]
    return sorted(own.count(c) for c in set(own))


def test_a_sample_is_a_lane():
    p = lanes(lambda x: sum(np.sin(x * float(k)) * np.exp(x * float(k)) for k in range(9)), 0.3)
    sines = [i for i, x in enumerate(p.nodes) if x.op == "sin"]
    assert len({int(p.lane[i]) for i in sines}) == 9
    assert finals(p, "sin") == finals(p, "exp") == [9]


def test_samples_that_go_elsewhere_are_another_group():
    def f(x):
        y = [np.sin(x * float(k)) for k in range(20)]
        return sum(np.exp(a) for a in y[:12]), sum(np.tanh(a) * a for a in y[12:])

    p = lanes(f, 0.3)
    assert finals(p, "sin") == [8, 12]


def test_few_lanes_stay_scalars():
    p = lanes(lambda x: [np.sin(x * float(k)) for k in range(3)], 0.3)
    assert p.rolled == 0


def test_what_a_lane_computes_twice_is_computed_once():
    def f(x):
        found = []
        for k in range(6):
            y = x * float(k)
            found.append(np.sin(y) * np.exp(np.sin(y)) + np.cos(np.sin(y)))
        return sum(found)

    p = lanes(f, 0.3)
    kept = {int(p.canon[i]) for i, x in enumerate(p.nodes) if x.op == "sin"}
    assert len(kept) == 6
