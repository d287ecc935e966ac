"""The tangent sweep: the same derivatives as the adjoint sweep's, carried forward."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from chainrule import Value
from chainrule.graph import order
from chainrule.primitives import Elementwise
from chainrule.sweeps.adjoint import adjoint
from chainrule.sweeps.tangent import tangent
from tests.strewn import random_graph


def test_tangents_of_random_graphs_in_whole_numbers():
    for seed in range(200):
        g = random_graph(seed, size=10 + seed % 40)
        seeds = {k: k + 1 for k in range(4)}
        got = tangent(order(g.nodes), {g.nodes[k]: float(t) for k, t in seeds.items()}, record=False)
        want = g.tangents(seeds)
        assert [got.get(v, 0.0) for v in g.nodes] == want
        # <g, J t> = <Jᵀ g, t>
        assert want[-1] == sum(g.slopes[k] * t for k, t in seeds.items())


@pytest.mark.parametrize("seed", range(10))
def test_tangents_may_start_anywhere(seed):
    g = random_graph(seed, size=30)
    for k in (0, 7, 15, 29):
        got = tangent(order(g.nodes), {g.nodes[k]: 2.0}, record=False)
        want = g.tangents({**dict.fromkeys(range(4), 0), k: 2})
        assert [got.get(v, 0.0) for v in g.nodes] == want


def test_what_has_no_tangent_is_not_computed():
    calls = []

    def partial(y, x):
        calls.append(1)
        return np.cos(x)

    counted = Elementwise(np.sin, partial)
    a, b = Value(1.0), Value(2.0)
    y, z = counted(a), counted(b)
    w = y * z
    found = tangent(order([w]), {a: 1.0}, record=False)
    assert len(calls) == 1
    assert set(found) == {a, y, w}
    assert tangent(order([w]), {}, record=False) == {}


def test_a_recorded_sweep_can_be_differentiated_again():
    """``∂/∂x (J t)`` by a reverse sweep over the forward one, against the formula."""
    x, t = Value(np.array([0.5, -1.0, 2.0])), np.array([1.0, 2.0, 3.0])
    y = np.sum(np.exp(x) * x)
    plain = tangent(order([y]), {x: t}, record=False)[y]
    recorded = tangent(order([y]), {x: t}, record=True)[y]
    assert type(recorded) is Value
    assert type(plain) is not Value
    e = np.exp(x.data)
    assert_allclose(plain, np.sum(e * (1 + x.data) * t), rtol=1e-14)
    assert_allclose(recorded.data, plain, rtol=1e-14)
    again = adjoint([(recorded, np.float64(1.0))], record=False)[x]
    assert_allclose(again, e * (2 + x.data) * t, rtol=1e-14)


def test_tangents_are_values_where_the_seeds_are():
    x, t = Value(2.0), Value(3.0)
    y = x * x * x
    found = tangent(order([y]), {x: t}, record=False)[y]
    assert found.data == 36.0
    found.backward()
    assert t.grad == 12.0
    assert x.grad == 0.0
