"""Walks over the graph: each node once, in topological order, however large it is and wherever it lies."""

from __future__ import annotations

import random

import pytest

from chainrule import Value, graph
from chainrule.graph import newest_first, order
from tests.strewn import random_graph

FAR = 5000  # Values between two nodes: more than the sweep counts down through
SEEDS = pytest.mark.parametrize("seed", range(20))


def ancestors(outputs):
    """Everything the outputs were computed from: the naive walk."""
    found, stack = set(), list(outputs)
    while stack:
        v = stack.pop()
        if v not in found:
            found.add(v)
            stack += [x for x in v.inputs if type(x) is Value]
    return found


@SEEDS
def test_order_lists_every_ancestor_once_and_inputs_first(seed):
    g = random_graph(seed, size=60)
    outputs = random.Random(seed).sample(g.nodes, 3) * 2
    walk = order(outputs)
    assert len(walk) == len(set(walk))
    assert set(walk) == ancestors(outputs)
    place = {v: i for i, v in enumerate(walk)}
    assert all(place[x] < place[v] for v in walk for x in v.inputs if type(x) is Value)


@SEEDS
def test_order_leaves_older_nodes_out(seed):
    g = random_graph(seed, size=60)
    since = g.nodes[20].serial
    young = set()  # what is reached without passing through an older node
    stack = [g.nodes[-1]]
    while stack:
        v = stack.pop()
        if v.serial >= since and v not in young:
            young.add(v)
            stack += [x for x in v.inputs if type(x) is Value]
    assert set(order([g.nodes[-1]], since)) == young
    assert order([g.nodes[-1]], g.nodes[-1].serial + 1) == []
    assert order([]) == []


def sweep(outputs):
    """A backward sweep as `adjoint` makes it: consumers put their inputs to the waiting ones."""
    waiting = {v.serial: v for v in outputs}
    walk = []
    for v in newest_first(waiting):
        walk.append(v)
        waiting.update({x.serial: x for x in v.inputs if type(x) is Value})
    assert not waiting
    return walk


@SEEDS
@pytest.mark.parametrize("gap", [0, 3, FAR])
def test_newest_first_takes_every_node_once_after_all_its_consumers(seed, gap):
    g = random_graph(seed, size=30, gap=gap)
    outputs = [g.nodes[-1], g.nodes[seed]]
    walk = sweep(outputs)
    assert walk == sorted(ancestors(outputs), key=lambda v: -v.serial)


def test_newest_first_of_nothing():
    assert list(newest_first({})) == []


def test_a_graph_strewn_among_others_is_put_in_order_once(monkeypatch):
    """Counting down is only quick while nodes lie close together; sorting has to take over, and only then."""
    calls = []
    reached = graph._reached
    monkeypatch.setattr(graph, "_reached", lambda *args: calls.append(1) or reached(*args))
    for gap, times in ((0, 0), (10, 0), (FAR, 1)):
        x = Value(1.0)
        y = x
        for _ in range(5):
            for _ in range(gap):
                Value(0.0)
            y = y * x
        calls.clear()
        assert sweep([y])[-1] is x
        assert len(calls) == times


def test_a_strewn_sweep_of_an_inner_derivative_leaves_the_outer_graph_alone(monkeypatch):
    """Sorting what an inner function recorded must not walk through everything recorded before it."""
    import chainrule as cr

    sizes = []

    reached = graph._reached

    def counted(*args):
        found = reached(*args)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(graph, "_reached", counted)

    def inner(y, x):
        z = y * x
        for _ in range(FAR):
            Value(0.0)
        return z * y

    def outer(x):
        for _ in range(1000):
            x = x * 1.0
        return cr.grad(inner)(2.0, x)

    assert cr.data(outer(Value(3.0))) == 12.0
    assert sizes
    assert max(sizes) < 100


def test_two_graphs_recorded_in_turn_do_not_disturb_each_other():
    graphs = [random_graph(seed) for seed in range(3)]
    a, b = Value(2.0), Value(3.0)
    x, y = a, b
    for _ in range(100):
        x, y = x + a, y + b
    for root, leaf, want in ((x, a, 101.0), (y, b, 101.0), (x, a, 202.0)):
        root.backward()
        assert leaf.grad == want
    for g in graphs:
        g.nodes[-1].backward()
        assert [v.grad for v in g.nodes] == g.slopes


def test_a_deep_graph_is_walked_without_recursion():
    x = Value(1.0)
    y = x
    for _ in range(50_000):
        y = y + 1.0
    assert len(order([y])) == 50_001
    assert sweep([y])[-1] is x
