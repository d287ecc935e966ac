"""Groups: calls, rounds of loops, repeated parts, and leaves by their names."""

import pytest

from chainrule.running import Span
from chainrule.show.groups import Graph, as_data, grouped


def graph(inputs, labels=None, names=None, leaves=()):
    labels = labels or ["f"] * len(inputs)
    return Graph(
        inputs,
        labels,
        serials=[-1 if not xs or i in leaves else 10 * i for i, xs in enumerate(inputs)],
        names=names or [""] * len(inputs),
        sums=[False] * len(inputs),
        words=["" if not xs else "f" for xs in inputs],
        outputs=[len(inputs) - 1],
    )


def named(groups, column):
    return [groups[k].name for k in column]


CHAIN = [[], [0], [1], [2], [3], [4], [5], [6], [7]]


def test_a_node_is_in_the_innermost_span_and_a_leaf_where_it_is_used():
    spans = [Span(15, 65, "module", "outer"), Span(25, 45, "module", "inner")]
    inputs = [[], [], [0], [2, 1], [3, 1], [4], [5], [6]]
    groups, column = grouped(graph(inputs), spans)
    assert named(groups, column) == ["outer", "inner", "outer", "inner", "inner", "outer", "outer", ""]
    data = as_data(groups)
    assert data[0] == {"parent": -1, "kind": "root", "name": "", "like": -1, "output": None}
    assert all(g["parent"] < k for k, g in enumerate(data))


def test_rounds_of_a_loop_with_the_same_structure_are_alike():
    spans = [Span(10 * i + 5, 10 * i + 25, "loop", f"for x in y #{i}") for i in (0, 2, 4)]
    labels = [None, "a", "b", "a", "b", "a", "c", "z", "z"]
    groups, column = grouped(graph(CHAIN, labels), spans)
    likes = [g["like"] for g in as_data(groups)]
    assert likes[column[1]] == likes[column[3]] == 0
    assert likes[column[5]] == -1


@pytest.mark.parametrize(("count", "alike"), [(2, False), (3, True)])
def test_it_takes_three_modules_of_one_structure_to_be_repeats(count, alike):
    class Layer:
        pass

    starts = range(5, 20 * count, 20)
    spans = [Span(k, k + 20, "module", f"layers.{k}: Layer", Layer()) for k in starts]
    groups, column = grouped(graph(CHAIN), spans)
    assert (as_data(groups)[column[1]]["like"] >= 0) == alike


def test_a_call_that_holds_everything_or_next_to_nothing_is_no_group():
    spans = [Span(1, 1000, "scope", "f"), Span(15, 25, "scope", "g"), Span(15, 25, "module", "tanh: Tanh")]
    groups, _ = grouped(graph(CHAIN), spans)
    assert [g.name for g in groups] == ["", "tanh: Tanh"]


def test_calls_within_calls_without_end():
    count = 500
    inputs = [[], *[[i] for i in range(count)]]
    spans = [Span(10 * i + 5, 10**6 - i, "scope", "f") for i in range(count)]
    groups, column = grouped(graph(inputs), spans)
    assert sum(g.kind == "scope" for g in groups) == 20
    assert len(column) == count + 1


def test_leaves_lie_in_the_containers_that_their_names_lead_through():
    names = [f"model.layers[{i}].neurons[{j}].{p}" for i in range(2) for j in range(8) for p in "wb"]
    count = len(names)
    inputs = [*[[] for _ in names], *[[i % count] for i in range(2 * count)], list(range(count, 3 * count))]
    groups, column = grouped(graph(inputs, names=[*names, *[""] * (2 * count + 1)]))
    path, k = [], column[0]
    while k:
        path.append(groups[k].name)
        k = as_data(groups)[k]["parent"]
    assert path[::-1] == ["model.layers", "[0].neurons", "[0]"]
    likes = [as_data(groups)[column[i]]["like"] for i in range(0, 16, 2)]
    assert len(set(likes)) == 1 and likes[0] >= 0
