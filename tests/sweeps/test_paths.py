"""Ways through a graph: their products add up to the gradient, and counting them is one more sweep."""

import numpy as np
import pytest
from hypothesis import assume, given, settings

import chainrule as cr
from chainrule import Value
from chainrule.sweeps.adjoint import adjoint
from chainrule.sweeps.paths import joints, largest, longest, number_of_ways, pulled, ways
from tests.test_random_programs import programs


def every_way(found, v, source):
    """The definition, by recursion: every way from v back to the source."""
    if v is source:
        return [[]]
    return [[(v, i), *rest] for i, x in found[v] for rest in every_way(found, x, source)]


def total(products, like):
    return sum((p for p in products if p is not None), np.zeros(like.shape))


@settings(max_examples=150, deadline=None)
@given(programs([np.float64]))
def test_the_products_of_all_ways_add_up_to_the_gradient(drawn):
    program, x, rng = drawn
    leaves = tuple(map(Value, x))
    for output in program(*leaves):
        seed = rng.normal(size=output.shape)[()]
        seed = float(seed) if type(output.data) is float else seed
        for leaf in leaves:
            found = ways(output, [leaf])
            assume(number_of_ways(found) <= 500)
            gradient = adjoint([(output, seed)], record=False).get(leaf)
            listed = list(largest(found, seed, 500))
            every = every_way(found, output, leaf) if found else []
            assert sorted(map(repr, listed)) == sorted(map(repr, every))
            assert len(listed) == number_of_ways(found)
            assert longest(found) == max(map(len, listed), default=0)
            if gradient is None:
                assert not listed or not np.any(total([pulled(w, seed) for w in listed], leaf))
                continue
            products = [pulled(way, seed) for way in listed]
            assert all(np.shape(p) == leaf.shape for p in products if p is not None)
            scale = sum(np.abs(p) for p in products if p is not None) + 1e-12
            assert np.all(np.abs(total(products, leaf) - gradient) <= 1e-11 * scale)


def braid(rng, layers):
    """Numbers that split and meet at random."""
    x = Value(1.0)
    nodes = [x]
    for _ in range(layers):
        a, b = (nodes[-1 - int(rng.integers(min(3, len(nodes))))] for _ in range(2))
        factors = rng.choice([0.0, 0.5, -1.5, 2.0], size=2)
        nodes.append(a * float(factors[0]) + b * float(factors[1]))
    return x, nodes[-1]


@pytest.mark.parametrize("seed", range(30))
def test_of_numbers_the_largest_ways_come_first(seed):
    rng = np.random.default_rng(seed)
    x, y = braid(rng, 9)
    found = ways(y, [x])
    everything = [pulled(way, 1.0) for way in every_way(found, y, x)]
    assert number_of_ways(found) == len(everything)
    sizes = sorted((abs(p) for p in everything), reverse=True)
    for most in (1, 3, max(len(sizes) - 1, 1)):
        listed = [abs(pulled(way, 1.0)) for way in largest(found, 1.0, most)]
        assert len({tuple(map(repr, way)) for way in largest(found, 1.0, most)}) <= len(listed) or not listed
        np.testing.assert_allclose(sorted(listed, reverse=True), sizes[:most], rtol=1e-12)


def test_of_arrays_those_that_the_gradient_takes():
    x = Value(np.ones(3))
    y = np.sum(x * 0.01) + np.sum(np.tanh(x)) + np.sum(x * 100.0)
    (way,) = largest(ways(y, [x]), 1.0, 1)
    np.testing.assert_array_equal(pulled(way, 1.0), np.full(3, 100.0))


def test_an_operand_used_twice_is_two_ways():
    x = Value(3.0)
    y = x * x
    assert [pulled(way, 1.0) for way in largest(ways(y, [x]), 1.0, 9)] == [3.0, 3.0]
    m = Value(np.array([[1.0, 2.0], [3.0, 4.0]]))
    z = np.sum(m @ m)
    products = [pulled(way, 1.0) for way in largest(ways(z, [m]), 1.0, 9)]
    z.backward()
    assert len(products) == 2 and not np.array_equal(*products)
    np.testing.assert_array_equal(sum(products), m.grad)


def test_what_has_no_derivative_is_no_way():
    x = Value(2.0)
    y = np.floor(x) * 3.0 + cr.stop_gradient(x)
    assert ways(y, [x]) == {} and number_of_ways({}) == 0 and list(largest({}, 1.0, 3)) == []
    assert number_of_ways(ways(y + x, [x])) == 1
    assert ways(x, [y]) == {} and ways(y, []) == {}


def test_from_a_node_to_itself_there_is_one_way_of_no_steps():
    x = Value(2.0)
    found = ways(x, [x])
    assert number_of_ways(found) == 1 and list(largest(found, 1.0, 5)) == [[]] and longest(found) == 0


def test_nothing_is_sent_through_a_closed_gate_whatever_lies_behind():
    x = Value(0.0)
    y = cr.relu(np.sqrt(x) - 1.0) + x
    products = [pulled(way, 1.0) for way in largest(ways(y, [x]), 1.0, 9)]
    y.backward()
    assert sorted(products, key=lambda p: p is None) == [1.0, None] and x.grad == 1.0
    v = Value(np.array([0.0, 4.0]))
    z = np.sum(cr.relu(np.sqrt(v) - 1.0))
    (way,) = largest(ways(z, [v]), 1.0, 9)
    np.testing.assert_array_equal(pulled(way, 1.0), [0.0, 0.25])


def test_operations_that_state_only_their_push_and_loops():
    x = Value(np.array([1.0, 2.0, 4.0]))
    y = np.prod(x) + np.std(x)
    y.backward()
    products = [pulled(way, 1.0) for way in largest(ways(y, [x]), 1.0, 9)]
    assert len(products) > 1
    np.testing.assert_allclose(sum(products), x.grad, rtol=1e-14)
    w = Value(0.5)
    last, _ = cr.scan(lambda c, a: (c * w + a, c), Value(1.0), np.arange(4.0))
    last.backward()
    found = ways(last, [w])
    assert sum(pulled(way, 1.0) for way in largest(found, 1.0, 9)) == pytest.approx(w.grad)


def test_numbers_of_ways_are_exact_however_large():
    x = y = Value(1.0)
    for n in range(1, 400):
        y = y + y
        assert number_of_ways(ways(y, [x])) == 2**n
    a, b = Value(1.0), Value(1.0)
    x, (f, g) = a, (1, 1)
    b = a * 2.0
    for _ in range(300):  # ways that nowhere meet all at once: Fibonacci's numbers
        a, b = b, a + b
        f, g = g, f + g
    assert number_of_ways(ways(b, [x])) == g > 2**200


def test_a_long_chain_is_counted_in_small_numbers():
    x = y = Value(1.0)
    for _ in range(200_000):
        y = y + y
    found = ways(y, [x])
    assert max(n for _, n in joints(found)) == 2  # no step adds up numbers of 200,000 bits
    assert number_of_ways(found) == 1 << 200_000


def test_so_many_equal_ways_do_not_keep_the_search():
    x = y = Value(1.0)
    for _ in range(60):
        y = y + y
    listed = list(largest(ways(y, [x]), 1.0, 50))
    assert len({tuple((id(v), i) for v, i in way) for way in listed}) == 50


def test_joints_are_where_all_ways_meet():
    x = Value(0.5)
    h = np.sin(x) + np.cos(x)
    y = h * h + h
    assert [v for v, _ in joints(ways(y, [x]))] == [y, h, x]
    assert [n for _, n in joints(ways(y, [x]))] == [1, 3, 2]
