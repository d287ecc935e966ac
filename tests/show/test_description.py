"""The plain description of a graph."""

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import Value
from chainrule.graph import order
from chainrule.show.description import describe


def described(*outputs, max_nodes=500, **names):
    return describe(outputs, [names], max_nodes)


def labels(graph, name):
    target = "o" + graph.node(name).id[1:]
    return [e.label for e in graph.edges if e.target == target]


def test_the_sum_of_two_products():
    x1, w1, x2, w2 = Value(2.0), Value(3.0), Value(4.0), Value(5.0)
    o1, o2 = x1 * w1, x2 * w2
    h1 = o1 + o2
    before = describe([h1], [locals()])
    assert {n.gradient for n in before.nodes if n.kind != "operation"} == {"0"}
    h1.backward()
    after = describe([h1], [locals()])
    values = [(n.name, n.kind, n.data, n.gradient) for n in after.nodes if n.kind != "operation"]
    assert values == [
        ("x1", "leaf", "2", "3"), ("w1", "leaf", "3", "2"),
        ("x2", "leaf", "4", "5"), ("w2", "leaf", "5", "4"),
        ("o1", "result", "6", "1"), ("o2", "result", "20", "1"), ("h1", "result", "26", "1"),
    ]  # fmt: skip
    assert [(n.name, n.symbol) for n in after.nodes if n.kind == "operation"] == [
        ("multiply", "*"), ("multiply", "*"), ("add", "+"),
    ]  # fmt: skip
    assert labels(after, "o1") == ["∂o1/∂x1 = w1 = 3", "∂o1/∂w1 = x1 = 2"]
    assert labels(after, "h1") == ["∂h1/∂o1 = 1", "∂h1/∂o2 = 1"]
    assert after.node("o1").expression == "x1 * w1"
    assert after.outputs == (after.node("h1").id,)


def test_drawing_changes_no_gradient_and_no_name():
    x = Value(np.ones(3))
    y = (x * x).sum()
    before = [(v._grad, v.name, v._raw) for v in order([y])]
    described(y)
    assert [(v._grad, v.name, v._raw) for v in order([y])] == before


def test_a_diamond_is_drawn_once_and_adds_up():
    x = Value(3.0)
    y = x * 1.0
    b = 3.0 * y
    z = b + y
    z.backward()
    graph = described(z, x=x, y=y, b=b, z=z)
    assert [n.name for n in graph.nodes if n.kind in {"leaf", "result"}] == ["x", "y", "b", "z"]
    assert graph.node("x").gradient == "4"


def test_a_repeated_operand_has_two_edges():
    a = Value(3.0)
    graph = described(a + a, a=a)
    into = [e for e in graph.edges if e.target == "o1"]
    assert [(e.source, e.position, e.number) for e in into] == [("v0", 0, 1.0), ("v0", 1, 1.0)]


def test_constants_are_nodes_of_their_own_without_a_gradient():
    x = Value(2.0)
    graph = described(x**3 + 1.0, x=x)
    constants = [(n.id, n.data, n.gradient) for n in graph.nodes if n.kind == "constant"]
    assert constants == [("c1.1", "3", ""), ("c2.1", "1", "")]
    assert [e.label for e in graph.edges if e.source == "c1.1"] == [""]


def test_arrays_are_summarised():
    x = Value(np.arange(12.0).reshape(3, 4), name="x")
    node = described(x).node("x")
    assert (node.shape, node.dtype) == ((3, 4), "float64")
    assert (node.data, node.data_detail) == ("[[0 1 2 … ]]", "mean 5.5, 0 to 11")
    assert Value(np.float32(1.5)).dtype == described(Value(np.float32(1.5))).nodes[0].dtype


def test_names_made_up_avoid_the_ones_in_use():
    v1 = Value(1.0)
    graph = described((v1 * 2.0) * v1, v1=v1)
    assert [(n.name, n.named) for n in graph.nodes if n.kind in {"leaf", "result"}] == [
        ("v1", True), ("v1_", False), ("v2", False),
    ]  # fmt: skip


def test_several_outputs_and_one_without_operations():
    x = Value(2.0)
    graph = described(x * x, x + 1.0, x=x)
    assert len(graph.outputs) == 2 and len([n for n in graph.nodes if n.kind == "leaf"]) == 1
    assert described(x).nodes[0].kind == "leaf"


# ---------------------------------------------------------------- cut graphs


@given(st.integers(0, 10**6), st.integers(1, 60))
def test_a_cut_graph_is_whole_in_itself(seed, max_nodes):
    """Every edge has its ends, every drawn operation all of its operands, and the count is right."""
    rng = np.random.default_rng(seed)
    values = [Value(0.5), Value(2.0)]
    for _ in range(30):
        a, b = rng.integers(len(values), size=2)
        values.append(values[a] + values[b] if rng.random() < 0.5 else values[a] * 3.0)
    graph = described(values[-1], max_nodes=max_nodes)
    ids = {n.id for n in graph.nodes}
    assert len(ids) == len(graph.nodes)
    assert all(e.source in ids and e.target in ids for e in graph.edges)
    shown = [n for n in graph.nodes if n.kind in {"leaf", "result"}]
    drawn = [n for n in graph.nodes if n.kind != "operation"]
    assert len(drawn) <= max_nodes and len(shown) + graph.left_out == len(order([values[-1]]))
    for n in shown:
        operands = [e for e in graph.edges if e.target == "o" + n.id[1:]]
        assert len(operands) == (2 if n.kind == "result" and not n.unexpanded else 0)
    # an operand always stands before the operation
    place = {n.id: i for i, n in enumerate(graph.nodes)}
    assert all(place[e.source] < place[e.target] for e in graph.edges)


def test_the_nodes_nearest_to_the_output_stay():
    x = Value(1.0)
    y = x
    for _ in range(100):
        y = np.sin(y)
    graph = described(y, max_nodes=5, y=y)
    assert graph.left_out == 96 and graph.nodes[-1].name == "y"
    assert graph.nodes[0].unexpanded == 1 and graph.nodes[0].expression == ""


def test_a_huge_graph_is_described_by_its_last_nodes():
    v = Value(0.5)
    for _ in range(100_000):
        v = v * 0.9 + 0.1
    start = time.perf_counter()
    graph = described(v)
    assert time.perf_counter() - start < 3
    assert graph.left_out == 200_001 - sum(n.kind in {"leaf", "result"} for n in graph.nodes)


# ---------------------------------------------------------------- as JSON


def test_the_description_is_json_even_with_nan_and_lone_surrogates():
    x = Value(np.nan, name="\ud800</script>")
    y = x * np.inf
    plain = json.loads(json.dumps(described(y).as_dict(), allow_nan=False))
    assert plain["nodes"][0]["name"] == "\ud800</script>"
    assert [e["number"] for e in plain["edges"]] == ["inf", None, None]


def test_a_name_of_a_megabyte_is_cut():
    assert len(described(Value(1.0, name="n" * 10**6)).nodes[0].name) == 200


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError, match="zz"):
        described(Value(1.0)).node("zz")


def test_a_trained_layer():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 3))
    W, b = Value(rng.normal(size=(3, 2))), Value(np.zeros(2))
    loss = cr.relu(X @ W + b).sum()
    loss.backward()
    graph = describe([loss], [locals()])
    assert graph.node("loss").expression.startswith("sum(")
    operators = [e.operator for e in graph.edges if e.operator]
    assert operators[0].endswith("ᵀ·g") and operators[1].startswith("sum over")
