"""A program as numbers: what is equal has one number, what is taken out of arrays is known."""

import numpy as np
import pytest

from chainrule.native.capture import capture
from chainrule.native.roll import _order
from chainrule.native.roll_numbers import Numbers, slices


def numbered(f, *leaves):
    roots = capture("f", lambda flat: f(*flat), list(leaves)).roots()
    return roots, Numbers(roots, _order(roots), lanes=2)


def test_operands_come_first():
    roots, p = numbered(lambda x, y: np.where(x > y, np.sin(x) * y, x + 1.0), 0.3, 0.4)
    for i, operands in enumerate(zip(p.a, p.b, p.c, strict=True)):
        assert max(operands) < i
        given = [p.number[x] for x in p.nodes[i].inputs]
        assert p.kind[i] < 0 or [j for j in operands if j >= 0] == given
    assert p.number[roots[0]] == len(p.nodes) - 1


def test_equal_constants_are_one_but_for_signs_of_zeros_and_kinds():
    roots, p = numbered(lambda x: [x * c for c in (2.0, 2.0, 0.0, -0.0, np.nan, np.nan, 2.0)], 0.3)
    numbers = [p.b[p.number[r]] for r in roots]
    assert numbers[0] == numbers[1] == numbers[6]
    assert len(set(numbers)) == 4 + (numbers[4] != numbers[5])


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_difference_in_a_sum_is_a_sum(start):
    def f(x, y):
        return start + x * y - np.sin(x) - np.sin(y)

    roots, p = numbered(f, 0.3, 0.4)
    assert not [x for x in p.nodes if x.op == "subtract" and p.kind[p.number[x]] >= 0 and x not in roots]
    last = p.nodes[p.number[roots[0]]]
    assert last.op == "add"
    assert last.inputs[1].op == "negative"


def test_where_scalars_lie():
    x = np.arange(24.0).reshape(2, 3, 4)
    picks = [(0, 0, 0), (1, 2, 3), (0, -1, 1), (1, 0, -2)]
    roots, p = numbered(lambda x: [np.transpose(x)[0, 0, 0] + x[i] * 2 for i in picks], x)
    found = {int(p.flat[i]) for i in np.flatnonzero(p.base >= 0) if p.nodes[p.base[i]].op == "input"}
    assert found >= {int(x[i]) for i in picks}


@pytest.mark.parametrize("index", [slice(0, 5), slice(1, 9, 3), slice(None, None, -1), slice(7, 1, -2)])
def test_slices(index):
    x = np.arange(10)
    (root,), _ = numbered(lambda x: x[index], x.astype(float))
    np.testing.assert_array_equal(x[slices(root.params, root.shape)], x[index])


def test_masks_in_masks():
    """where(m, where(m, y, z), z) is the inner one; where(m & n, where(n, y, z), z) is where(m & n, y, z)."""

    def f(x, y):
        z = x * 0.5
        m, n = x > 0, y > 0
        return np.where(m, np.where(m, y, z), z) + 1.0, np.where(m & n, np.where(n, x, z), z)

    roots, p = numbered(f, 0.3, 0.4)
    outer = p.nodes[p.number[roots[0]]].inputs[0]
    assert p.number[outer] == p.number[outer.inputs[1]]
    second = p.number[roots[1]]
    assert p.b[second] == p.number[roots[1].inputs[1].inputs[1]]
