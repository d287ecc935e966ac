"""What each backward step adds."""

import numpy as np

from chainrule import Value
from chainrule.graph import order
from chainrule.show.pulled import pulled


def test_the_steps_add_up_to_the_gradients():
    x, w = Value(np.array([1.0, 2.0])), Value(np.array([3.0, -1.0]))
    y = np.sum(np.tanh(x) * w + x)
    nodes = order([y])
    ids = {id(v): i for i, v in enumerate(nodes)}
    found = pulled(nodes, ids, [(y, 1.0)])
    y.backward()
    into_x = [row[k] for i, row in found.items() for k, v in enumerate(nodes[int(i)].inputs) if v is x]
    assert len(into_x) == 2
    after = {step["after"] for step in into_x}
    assert f"[{' '.join(f'{g:.4g}' for g in x.grad)}]" in after
    assert into_x[0]["norm"] in {np.sqrt(2.0), np.linalg.norm(x.grad - 1)}


def test_an_operand_that_comes_twice_gets_all_at_once():
    x = Value(np.array([1.0, 2.0]))
    y = x * x
    found = pulled([x, y], {id(x): 0, id(y): 1}, [(y, np.ones(2))])
    assert found == {"1": [{"text": "[2 4]", "after": "[2 4]", "norm": np.linalg.norm([2.0, 4.0])}, None]}


def test_steps_between_numbers_are_left_to_the_page():
    x = Value(2.0)
    y = x * x
    assert pulled([x, y], {id(x): 0, id(y): 1}, [(y, 1.0)]) == {}


def test_nothing_for_large_graphs_and_for_rules_that_fail(monkeypatch):
    from chainrule.primitives import Linear
    from chainrule.show import pulled as module

    x = Value(np.ones(2))
    broken = Linear(lambda x: x, lambda g, x: 1 / 0, name="broken")
    y = broken(x)
    assert pulled([x, y], {id(x): 0, id(y): 1}, [(y, np.ones(2))]) == {}
    z = x * 2.0
    monkeypatch.setattr(module, "MOST", 1)
    assert pulled([x, z], {id(x): 0, id(z): 1}, [(z, np.ones(2))]) == {}
