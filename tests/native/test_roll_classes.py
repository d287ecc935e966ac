"""Classes: nodes that do the same to nodes that do."""

import numpy as np
import pytest

from chainrule.native.capture import capture
from chainrule.native.roll import _order
from chainrule.native.roll_classes import Classes


def classes(f, *leaves, wide=None):
    roots = capture("f", lambda flat: f(*flat), list(leaves)).roots()
    p = Classes(roots, _order(roots), 2, wide)
    return p, [p.classes[p.number[r]] for r in roots]


SAME = {
    "constants": lambda x, y: [np.sin(x * 2.0), np.sin(x * -3.0)],
    "order of factors": lambda x, y: [x * y + 1.0, y * x + 2.0],
    "order of terms": lambda x, y: [x * 2.0 + y * y + np.sin(x), np.sin(x) + y * y + 5.0 * x],
    "masks": lambda x, y: [(x > 1.0) & (y > 2.0), (y > 3.0) & (x > 4.0)],
}
DIFFERENT = {
    "inputs": lambda x, y: [np.sin(x), np.sin(y)],
    "operations": lambda x, y: [np.sin(x), np.cos(x)],
    "order of a difference": lambda x, y: [np.sin(x) - y, y - np.sin(x)],
    "exponents": lambda x, y: [x**2.5, x**3.5],
    "numbers of terms": lambda x, y: [x * 2.0 + x * 3.0, x * 2.0 + x * 3.0 + x * 4.0],
}


@pytest.mark.parametrize("name", SAME)
def test_same(name):
    _, (a, b) = classes(SAME[name], 0.3, 0.4)
    assert a == b


@pytest.mark.parametrize("name", DIFFERENT)
def test_different(name):
    _, (a, b) = classes(DIFFERENT[name], 0.3, 0.4)
    assert a != b


def test_inputs_are_anonymous_the_second_time():
    _, (a, b) = classes(lambda x, y: [np.sin(x), np.sin(y)], 0.3, 0.4, wide=set())
    assert a == b


def test_a_chain_of_additions_is_one_sum():
    p, _ = classes(lambda x: sum(np.sin(x * float(k)) for k in range(10)), 0.3)
    (terms,) = p.terms.values()
    assert len({p.classes[t] for t in terms if p.nodes[t].op == "sin"}) == 1
    assert sum(p.nodes[t].op == "sin" for t in terms) == 10


def test_what_is_used_twice_is_no_link():
    def f(x):
        part = np.sin(x) + np.cos(x) + np.tan(x)
        return part + np.exp(x) + x, part

    p, _ = classes(f, 0.3)
    assert sorted(len(t) for t in p.terms.values()) == [3, 3]
