"""What the texts are given: names that are a picture's names, and lists cut at both ends."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.show.asked import first_and_last, name_all


@pytest.mark.parametrize(("n", "most"), [(0, 1), (5, 5), (6, 5), (100, 7), (3, 1), (4, 2)])
def test_first_and_last(n, most):
    items = list(range(n))
    kept = list(first_and_last(items, most))
    assert len(kept) == min(n, most) and kept == sorted(set(kept))
    if n > most > 1:
        assert kept[0] == 0 and kept[-1] == n - 1


def test_made_up_names_are_those_of_the_picture():
    x = Value(2.0)
    y = np.sin(x * 3.0) + np.cos(x)
    drawn = [n.name for n in cr.draw(y).description.nodes if n.kind in {"leaf", "result"}]
    nodes, names, known = name_all(y, [{"x": x, "y": y}])
    assert [names[id(v)] for v in nodes] == drawn
    assert known == {id(x), id(y)}
