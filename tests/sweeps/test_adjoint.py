"""The adjoint sweep: cotangents along every path, added up once; .grad changes all at once or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import chainrule as cr
from chainrule import Value
from chainrule.graph import order
from chainrule.primitives import Bilinear, Elementwise, Lanes, Linear, Special
from chainrule.sweeps.adjoint import KEPT, Outside, accumulate, adjoint
from tests.strewn import LIMIT, random_graph

SEEDS = range(200)


# -------------------------------------------------------------------- backward adds up every path


def test_backward_on_random_graphs_in_whole_numbers():
    for seed in SEEDS:
        g = random_graph(seed, size=10 + seed % 40)
        assert max(map(abs, g.slopes)) < LIMIT / 4
        assert [v.data for v in g.nodes] == g.numbers
        g.nodes[-1].backward()
        assert [v.grad for v in g.nodes] == g.slopes
        g.nodes[-1].backward()
        assert [v.grad for v in g.nodes] == [2 * s for s in g.slopes]
        g.nodes[-1].backward(3)
        assert [v.grad for v in g.nodes] == [5 * s for s in g.slopes]


def test_backward_on_random_graphs_strewn_among_others():
    for seed in range(20):
        g = random_graph(seed, gap=3000)
        g.nodes[-1].backward()
        assert [v.grad for v in g.nodes] == g.slopes


def test_a_leaf_used_more_than_once_collects_every_use():
    a = Value(3.0)
    (a + a).backward()
    assert a.grad == 2.0
    (a * a).backward()
    assert a.grad == 8.0
    b = a * a
    c = b + b * b  # a diamond on a diamond
    a.grad = 0.0
    c.backward()
    assert (a.grad, b.grad, c.grad) == (6.0 + 2 * 9.0 * 6.0, 19.0, 1.0)
    v = Value([1.0, 2.0])
    for y, want in (
        (v + v, [2.0, 2.0]),
        (v * v, [2.0, 4.0]),
        (np.concatenate([v, v, v]), [3.0, 3.0]),
        (v[np.array([0, 0, 1])], [2.0, 1.0]),
        (np.outer(v, v), [6.0, 6.0]),
        (np.where([True, False], v, v), [1.0, 1.0]),
        (np.maximum(v, v), [1.0, 1.0]),
    ):
        v.grad = None
        y.backward(np.ones(y.shape))
        assert_array_equal(v.grad, want)


def test_roots_add_up():
    a = Value(2.0)
    y, z = a * 3, a * a
    y.backward()
    z.backward()
    assert a.grad == 7.0
    w = y * z  # a root above roots already swept
    w.backward()
    assert a.grad == 7.0 + 3 * 4 + 6 * 4
    assert (y.grad, z.grad, w.grad) == (1.0 + 4.0, 1.0 + 6.0, 1.0)


def test_backward_of_a_leaf_is_the_gradient_itself():
    a, v = Value(2.0), Value([1.0, 2.0])
    a.backward()
    v.backward([3.0, 4.0])
    assert a.grad == 1.0
    assert_array_equal(v.grad, [3.0, 4.0])


def _arrays(x):
    h = np.maximum(x @ x.T, 1.0)
    s = np.where(h > 2, np.sqrt(h), h)
    return np.sum(s * np.max(s, axis=0)) + np.prod(x) + np.std(x) + np.sum(x[:, ::-1] * x[0])


def test_backward_twice_is_exactly_twice_on_every_node():
    x = Value(np.random.default_rng(0).normal(size=(3, 4)))
    y = _arrays(x)
    nodes = order([y])
    y.backward()
    once = [np.copy(v.grad) for v in nodes]
    assert sum(np.any(g) for g in once) > len(nodes) // 2
    y.backward()
    for v, g in zip(nodes, once, strict=True):
        assert_array_equal(v.grad, 2 * g)


def test_large_intermediate_arrays_keep_no_gradient():
    x = Value(np.ones(KEPT + 1))
    y = x * 2
    small = y[:KEPT] * 3
    np.sum(small).backward()
    assert y._grad is None
    assert_array_equal(small.grad, np.ones(KEPT))
    assert_array_equal(x.grad, [6.0] * KEPT + [0.0])


def test_backward_records_nothing():
    for f in (
        lambda x: np.sum(np.tanh(x @ x) * x),
        lambda x: np.linalg.norm(x) + np.max(x) + np.sum(np.exp(x)),
    ):
        y = f(Value(np.ones((2, 2))))
        before = Value(0.0).serial
        y.backward()
        made = Value(0.0).serial - before - 1
        assert made < 30  # only what transposing a stated push needs
        assert y.grad == 1.0


# -------------------------------------------------------------------- the gradient argument


def test_a_gradient_to_start_from():
    start = np.array([[1.0, 10.0], [100.0, 1000.0]])
    for given in (start, start.tolist(), start.astype(int), start.astype(np.float32), Value(start)):
        x = Value(np.ones((2, 2)))
        (x * [1.0, 2.0]).backward(given)
        assert_array_equal(x.grad, start * [1.0, 2.0])
    for given in (2, 2.0, np.float32(2), np.array(2), Value(2.0), True + 1):
        a = Value(3.0)
        (a * a).backward(given)
        assert a.grad == 12.0
        assert type(a.grad) is float
    x = Value(np.ones(2, np.float32))
    (x * 2).backward(np.array([1.0, 1.0]))
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("y", "gradient", "message"),
    [
        (lambda x: x * 2, None, r"this Value has shape \(2,\), expected a scalar; reduce it first"),
        (lambda x: x * 2, 1.0, r"gradient has shape \(\), expected this Value's shape \(2,\)"),
        (lambda x: x * 2, np.ones((2, 1)), r"gradient has shape \(2, 1\), expected"),
        (lambda x: np.sum(x), np.ones(1), r"gradient has shape \(1,\), expected"),
        (lambda x: x[:0], None, r"shape \(0,\), expected a scalar"),
    ],
)
def test_a_gradient_of_another_shape_is_refused(y, gradient, message):
    x = Value([1.0, 2.0])
    y = y(x)
    with pytest.raises(ValueError, match=f"backward: .*{message}"):
        y.backward(gradient)
    assert x._grad is y._grad is None


# -------------------------------------------------------------------- all or nothing


class Planted(Exception):
    pass


def _fails(*args, **kwargs):
    raise Planted


BROKEN = {
    "elementwise": Elementwise(np.sin, _fails),
    "linear": Linear(lambda x: x * 2, _fails, name="twice"),
    "bilinear": lambda x: Bilinear(np.multiply, _fails, _fails)(x, x),
    "special push": Special(np.tanh, _fails),
    "special pull": Special(np.tanh, _fails, _fails),
    "lanes": Elementwise(np.abs, 1, lanes=(_fails,)),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("start", [0.5, np.array([0.5, 1.5])], ids=["float", "array"])
def test_a_rule_that_fails_half_way_changes_no_gradient(start, broken):
    """Two paths lead to the leaf: one has been swept to its end when the other fails."""
    x = Value(start)
    used = x * 3.0
    older = broken(x * 2.0)
    y = np.sum(used * used + older + np.sin(x))
    nodes = order([y])
    np.sum(used).backward()
    before = [v._grad if type(v._grad) is not np.ndarray else v._grad.copy() for v in nodes]
    held = [v._grad for v in nodes]
    with pytest.raises(Planted):
        y.backward()
    for v, a, b in zip(nodes, before, held, strict=True):
        assert v._grad is b
        assert np.all(np.asarray(v._grad) == np.asarray(a))
    np.sum(used).backward()
    assert_array_equal(x.grad, 6.0 * np.ones(np.shape(start)))


def test_a_failed_derivative_leaves_the_next_one_right():
    def f(x):
        return np.sum(BROKEN["elementwise"](x) * x)

    for operator in (cr.grad, cr.hessian, lambda f: cr.grad(lambda x: np.sum(cr.grad(f)(x)))):
        with pytest.raises(Planted):
            operator(f)(np.ones(2))
    assert_array_equal(cr.grad(lambda x: np.sum(x * x))(np.ones(2)), [2.0, 2.0])


# -------------------------------------------------------------------- the sweep itself


def test_the_sweep_stops_at_the_values_differentiated_with_respect_to():
    a = Value(2.0)
    b = a * 3.0
    c = b * b
    assert adjoint([(c, 1.0)], record=False) == {a: 36.0}
    assert adjoint([(c, 1.0)], since=b.serial, until=b.serial, record=False) == {b: 12.0}
    assert adjoint([(c, 1.0), (b, 1.0)], since=b.serial, until=b.serial, record=False) == {b: 13.0}
    assert adjoint([(c, 1.0), (c, 1.0)], record=False) == {a: 72.0}
    assert adjoint([(b, 1.0)], since=c.serial, record=False) == {}


def test_the_sweep_says_when_it_reads_a_value_from_outside():
    p = Value(5.0)
    x = Value(2.0)
    inside, outside = x * x, x * p
    assert adjoint([(inside, 1.0)], since=x.serial, record=None) == {x: 4.0}
    for seeds in ([(outside, 1.0)], [(outside * x, 1.0)], [(p, 1.0)], [(inside, 1.0), (p * 1.0, 1.0)]):
        with pytest.raises(Outside):
            adjoint(seeds, since=x.serial, record=None)
    found = adjoint([(outside * x, 1.0)], since=x.serial, record=True)
    assert found[x].data == 20.0
    found[x].backward()
    assert p.grad == 4.0


def test_a_recorded_sweep_gives_values_of_the_same_numbers():
    x = Value(np.random.default_rng(1).normal(size=(3, 3)))
    y = _arrays(x)
    raw, recorded = (adjoint([(y, np.float64(1.0))], record=record)[x] for record in (False, True))
    assert type(raw) is np.ndarray
    assert type(recorded) is Value
    np.testing.assert_allclose(recorded.data, raw, rtol=1e-14, atol=1e-14)


def test_accumulate_keeps_only_the_lanes_that_nobody_was_sent():
    a, b = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 2.0])
    left, right = Lanes(a, a > 0), Lanes(b, b > 0)
    both = accumulate(left, right)
    assert type(both) is Lanes
    assert_array_equal(both.value, [1.0, 0.0, 2.0])
    assert_array_equal(both.alive, [True, False, True])
    for mixed in (accumulate(left, b), accumulate(a, right), accumulate(a, b)):
        assert_array_equal(mixed, [1.0, 0.0, 2.0])
    assert_array_equal(a, [1.0, 0.0, 0.0])
    assert_array_equal(b, [0.0, 0.0, 2.0])


@pytest.mark.parametrize("first", [True, False])
def test_a_scalar_is_reached_through_a_mask_and_otherwise(first):
    """A number broadcast under a mask collects masked and plain cotangents, whichever comes first."""
    s = Value(2.0)
    plain = s * 3.0
    masked = np.sum(np.where(np.array([True, False]), s, 1.0))
    again = s * 5.0
    y = masked + again if first else plain + masked
    y.backward()
    assert s.grad == (6.0 if first else 4.0)
    (plain + masked + again + np.sum(np.where(np.array([False, True]), s, s))).backward()
    assert s.grad == (6.0 if first else 4.0) + 3 + 1 + 5 + 2
