"""What each path adds, and what the sweep spares, as the page shows it."""

import numpy as np

from chainrule import Value
from chainrule.show.explorer import explore


def test_the_paths_of_an_array_add_up_to_its_gradient():
    x = Value(np.array([1.0, 2.0]))
    a = np.tanh(x)
    y = np.sum(a * x)
    y.backward()
    data = explore(y).data
    found = data["paths"]["0"]
    names = [[data["nodes"]["name"][i] for i in path["nodes"]] for path in found]
    assert sorted(names) == [["x", "", "y"], ["x", "a", "", "y"]]
    total = sum(np.array([float(t) for t in path["text"].strip("[]").split()]) for path in found)
    np.testing.assert_allclose(total, x.grad, rtol=1e-3)


def test_costs_with_the_names_that_the_page_has():
    I, W1, W3 = (Value(np.ones(s)) for s in [(10, 10), (10, 5), (5, 1)])
    J = np.sum(np.tanh(I @ W1) @ W3 * np.arange(10.0)[:, None])
    data = explore(J).data
    costs = data["costs"]
    assert [len(row) for row in costs["rows"]] == [len(costs["columns"])] * len(costs["rows"])
    nodes = data["nodes"]
    unnamed = {f"v{i}" for i, name in enumerate(nodes["name"]) if not name}
    words = " ".join(str(row[0]) for row in costs["rows"]).replace("(", " ").replace(")", " ").split()
    assert {w for w in words if w[0] == "v" and w[1:].isdigit()} <= unnamed
    assert costs["summary"].startswith("Jacobians: ")


def test_none_for_numbers_alone_and_for_what_is_large():
    x = Value(2.0)
    assert not {"paths", "costs"} & set(explore(x * x).data)
    large = Value(np.ones((1100, 1000)))
    assert not {"paths", "costs"} & set(explore(np.sum(large)).data)
    assert not {"paths", "costs"} & set(explore(np.exp(Value(np.ones(3)))).data)
