"""The new program: operands that lie somewhere, and sums of what there is."""

import numpy as np
import pytest

from chainrule.native.capture import capture
from chainrule.native.reference import evaluate, order
from chainrule.native.roll import _order
from chainrule.native.roll_vectors import LANES, Vectors


def emitted(f, *leaves):
    """The roots rolled once, after their values were compared."""
    captured = capture("f", lambda flat: f(*flat), list(leaves))
    roots = captured.roots()
    given = [leaves[slot.which] for slot in captured.slots]
    p = Vectors(roots, _order(roots), LANES)
    assert p.pays()
    new = p.emit()
    old, values = evaluate(order(roots), given), evaluate(order(new), given)
    for a, b in zip(roots, new, strict=True):
        np.testing.assert_allclose(values[b], old[a], rtol=1e-12)
    return new


def ops(roots):
    return [x.op for x in order(roots)]


# What is taken from a vector of 12, and the operation that does it.
TAKEN = {
    "all": (range(12), None),
    "every second": (range(0, 12, 2), "slice"),
    "backwards": (range(11, -1, -1), "slice"),
    "one": ([5], "slice"),
    "one, again and again": ([5] * 6, "gather"),
    "some": ([0, 1, 3, 7, 8], "gather"),
}


@pytest.mark.parametrize("rest", [(), (3,)])
@pytest.mark.parametrize("name", TAKEN)
def test_taken(name, rest):
    index, op = TAKEN[name]
    x = np.arange(12.0 * (3 if rest else 1)).reshape(12, *rest)
    roots = capture("f", lambda flat: np.sin(flat[0]), [x]).roots()
    p = Vectors(roots, _order(roots), LANES)
    taken = p.taken(roots[0], np.array(index))
    assert taken is roots[0] if op is None else taken.op == op
    assert p.taken(roots[0], np.array(index)) is taken
    np.testing.assert_array_equal(evaluate(order([taken]), [x])[taken], np.sin(x)[list(index)])


def test_elements_of_an_argument():
    """A row, a column, a diagonal of an array, not packed but taken as they lie."""
    x = np.arange(36.0).reshape(6, 6)
    for index in ([(2, j) for j in range(6)], [(i, 2) for i in range(6)], [(i, i) for i in range(6)]):
        found = ops(emitted(lambda x, index=index: [np.sin(x[i]) for i in index], x))
        assert "slice" in found
        assert not {"pack", "gather"} & set(found)


def test_scalars_that_lie_nowhere_are_packed():
    def f(*p):
        return [np.sin(a) * np.exp(p[0] * float(k)) for k, a in enumerate(p)]

    found = ops(emitted(f, *[0.1] * 9))
    assert found.count("exp") == 1


@pytest.mark.parametrize("terms", [2, 3, 4, 20, 100])
def test_sums(terms):
    """Few are added, many are reduced."""

    def f(x, y):
        return [sum(np.sin(x * float(k) + j) for k in range(terms)) + y for j in range(6)]

    found = ops(emitted(f, 0.3, 0.4))
    assert found.count("sin") == 1
    assert ("sum" in found) == (terms >= LANES)


def test_what_is_the_same_in_all_lanes_is_computed_once():
    def f(x, y):
        return [np.exp(y * 2.0 + y) * np.sin(x * float(k)) for k in range(8)]

    nodes = order(emitted(f, 0.3, 0.4))
    assert [x.shape for x in nodes if x.op == "exp"] == [()]
    assert [x.shape for x in nodes if x.op == "sin"] == [(8,)]
