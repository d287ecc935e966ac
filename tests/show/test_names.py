"""Names from the caller's variables."""

from collections import namedtuple

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn
from chainrule.show import names

outside = Value(0.25)


def shown(*values, **kwargs):
    """The names in a picture drawn by somebody whose variables are the keywords."""
    found = names.find(values, [kwargs])
    return [found.get(id(v)) for v in values]


def test_the_callers_locals_and_globals():
    inside = Value(2.0)
    product = inside * outside
    assert [n.name for n in cr.draw(product).description.nodes if n.kind != "operation"] == [
        "outside", "inside", "product",
    ]  # fmt: skip


def test_a_local_variable_hides_a_global_one():
    outside = Value(3.0)
    graph = cr.draw([outside, globals()["outside"]]).description
    # the module's Value is still the one of that name in the module
    assert [n.name for n in graph.nodes] == ["outside", "outside"]


def test_the_caller_of_a_function_is_asked_and_not_the_callers_caller():
    y = Value(2.0)

    def helper(u):
        return cr.draw(u).description

    assert helper(y).nodes[0].name == "u"


def test_names_given_come_first_and_a_values_own_name_before_them():
    a, b = Value(1.0), Value(2.0, name="mine")
    graph = cr.draw([a, b], names={"given": a, "other": b}).description
    assert [n.name for n in graph.nodes] == ["given", "mine"]


def test_containers_one_level_down():
    a, b, c, d = (Value(float(i)) for i in range(4))
    point = namedtuple("point", "x")
    found = shown(a, b, c, d, w=[0, a], p={"bias": b, 3: c}, q=point(d))
    assert found == ["w[1]", "p['bias']", "p[3]", "q[0]"]
    assert shown(a, w=[[a]]) == [None]


def test_the_nearest_name_wins():
    a = Value(1.0)
    assert shown(a, everything=[a], a=a) == ["a"]
    assert shown(a, first=a, second=a) == ["first"]


class Layer:
    def __init__(self, weight):
        self.weight = weight

    def parameters(self):
        raise AssertionError("nobody's code runs for a name")


class Net(Layer):
    def __init__(self, *weights):
        self.layers = [Layer(w) for w in weights]
        self.me = self  # a cycle

    @property
    def danger(self):
        raise AssertionError("nor this")

    def __getattr__(self, name):
        raise AssertionError(f"nor this: {name}")

    __eq__ = __getattr__
    __hash__ = object.__hash__


def test_parts_of_a_model():
    a, b = Value(1.0), Value(2.0)
    assert shown(a, b, model=Net(a, b)) == ["model.layers[0].weight", "model.layers[1].weight"]


def test_arrays_are_known_by_what_they_hold():
    X, other = np.arange(6.0).reshape(2, 3), np.arange(6.0)
    kept = [X.copy(), X + 1, np.array([np.nan, 1.0])]
    found = names.find_arrays(kept, [{"other": other, "X": X, "again": X}, {"nans": kept[2]}])
    assert [found.get(id(a)) for a in kept] == ["X", None, "nans"]


def test_a_constant_array_is_called_by_its_variable():
    X = np.arange(20.0).reshape(4, 5)
    w = Value(np.ones(5))
    graph = cr.draw((X * w).sum()).description
    constant = next(n for n in graph.nodes if n.kind == "constant")
    assert (constant.name, constant.named, constant.shape) == ("X", True, (4, 5))
    assert graph.nodes[-1].expression == "sum(v1, axis=(0, 1))" and graph.node("v1").expression == "X * w"
    assert next(e for e in graph.edges if e.position == 1).formula == "X"
    del X
    assert cr.draw((np.arange(20.0).reshape(4, 5) * w).sum()).description.node("v1").expression == "[4×5] * w"


def test_objects_that_are_no_models_are_left_alone():
    class Plain:
        pass

    x = Plain()
    x.a = a = Value(1.0)
    assert shown(a, x=x) == [None]
    assert shown(a, kind=Layer) == [None]


def test_a_notebooks_history_names_nothing():
    cell = {"cr": cr, "a": Value(1.0)}
    exec("_ = _3 = a * 2.0; Out = {3: _}; graph = cr.draw(_).description", cell)
    assert [n.name for n in cell["graph"].nodes if n.kind == "result"] == ["v1"]


def test_hostile_containers():
    class Shy(list):
        def __iter__(self):
            raise AssertionError

        def __getitem__(self, i):
            raise AssertionError

    a = Value(1.0)
    assert shown(a, shy=Shy([a])) == ["shy[0]"]
    assert shown(a, long=[0] * 1_000_000 + [a]) == [None]


@pytest.mark.parametrize("name", ["</script><img src=x onerror=f()>", "a\u2028b", "n" * 10**6, "__proto__"])
def test_any_name_is_data(name):
    assert shown(Value(1.0, name=name)) == [name]


def test_nothing_is_written_to_the_callers_objects():
    a = Value(1.0)
    holder = [a]
    cr.draw(a * 2)
    assert a.name is None and holder == [a]


def test_a_module_in_a_row_is_found_by_its_index():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.ReLU())
    found = names.find(model.parameters(), [{"model": model}])
    assert list(found.values()) == ["model[0].weight", "model[0].bias"]
