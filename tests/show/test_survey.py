"""A graph as columns: the numbers in them are the engine's, and everything can be explored."""

import json
import random
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import Value
from chainrule.graph import order
from chainrule.micrograd.nn import MLP
from chainrule.primitives import Elementwise
from chainrule.show import survey as module
from chainrule.show.survey import survey
from tests.micrograd.test_engine import readme


def surveyed(*outputs, **names):
    data = survey(outputs, [names]).data
    return json.loads(json.dumps(data, allow_nan=False))


def replayed(data, start=1.0):
    """Backward as the page does it: results newest first, operands by position, what is sent times local."""
    nodes = data["nodes"]
    gradient = [None] * len(nodes["kind"])
    for end in data["outputs"]:
        gradient[end] = start
    for i in range(len(gradient) - 1, -1, -1):
        if gradient[i] is None:  # where nothing arrives nothing is sent on
            continue
        for x, d, k in zip(nodes["inputs"][i], nodes["local"][i], nodes["formula"][i]):
            if d is not None and data["formulas"][k] != "0":  # where nothing is sent, not even nan is
                gradient[x] = (gradient[x] or 0.0) + gradient[i] * float(d)
    return [g or 0.0 for g in gradient]


def columns_agree_with(data, values):
    """The same numbers as the Values', to the last bit; so are gradients found from local derivatives."""
    nodes = data["nodes"]
    kept = [i for i, kind in enumerate(nodes["kind"]) if kind != "c"]
    grads = [v.grad for v in values]
    np.testing.assert_array_equal([float(nodes["data"][i]) for i in kept], [v.data for v in values])
    shown = [nodes["gradient"][i] for i in kept]
    np.testing.assert_array_equal([0.0 if g is None else float(g) for g in shown], grads)
    np.testing.assert_array_equal(np.array(replayed(data))[kept], grads)


def test_the_gradients_follow_from_the_local_derivatives_to_the_last_bit():
    a, b = Value(-4.0), Value(2.0)
    g = readme(a, b)
    g.backward()
    columns_agree_with(surveyed(g), order([g]))


OPERATIONS = [
    lambda a, b: a * b,
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a / (1.0 + b * b),
    lambda a, b: np.tanh(a),
    lambda a, b: a.relu(),
    lambda a, b: np.exp(-(a * a)),
    lambda a, b: np.maximum(a, b),
    lambda a, b: np.sqrt(1.0 + a * a),
    lambda a, b: np.log(1.0 + a * a) * 2,
    lambda a, b: np.arctan2(a, b),
    lambda a, b: cr.sigmoid(b),
    lambda a, b: a**2,
    lambda a, b: abs(a) ** 0.5,
]


@given(st.lists(st.tuples(st.integers(0, 13), st.integers(0, 50), st.integers(0, 50)), max_size=25))
@settings(deadline=None, max_examples=60)
@example([(13, 2, 0), (7, 0, 3)])  # an infinite derivative behind a maximum that did not take it
def test_so_they_do_in_any_graph_of_numbers(steps):
    values = [Value(0.7), Value(-1.3), Value(0.0)]
    for k, i, j in steps:
        values.append(OPERATIONS[k](values[i % len(values)], values[j % len(values)]))
    values[-1].backward()
    columns_agree_with(surveyed(values[-1]), order([values[-1]]))


@pytest.mark.parametrize(
    ("f", "formulas", "expression"),
    [
        (lambda x, y: x * y, ["$1", "$0"], "$0 * $1"),
        (lambda x, y: x + y, ["1", "1"], "$0 + $1"),
        (lambda x, y: x / y, ["1/$1", "-$y/$1"], "$0 / $1"),
        (lambda x, y: np.tanh(x), ["sech²($0)"], "tanh($0)"),
        (lambda x, y: np.exp(x), ["$y"], "exp($0)"),
        (lambda x, y: x**2, ["2·$0", None], "$0 ** $1"),
        (lambda x, y: x**0.5, ["$1·$0^($1 - 1)", None], "$0 ** $1"),
        (lambda x, y: (-x).relu(), ["0"], "relu($0)"),
        (lambda x, y: x.relu(), ["1"], "relu($0)"),
        (lambda x, y: np.sum(np.stack([x, y])), [": sum over axis 0"], "sum($0, axis=(0,))"),
    ],
)
def test_formulas_are_templates(f, formulas, expression):
    data = surveyed(f(Value(0.5), Value(2.0)))
    nodes = data["nodes"]
    found = [None if k < 0 else data["formulas"][k] for k in nodes["formula"][-1]]
    assert found == formulas
    assert data["expressions"][nodes["expression"][-1]] == expression


def test_a_template_belongs_to_the_place_of_an_operand_and_not_to_its_name():
    a, b = Value(2.0), Value(3.0)
    data = surveyed(a * a + a * b)  # the first product has one operand twice
    formulas = [[data["formulas"][k] for k in row] for row in data["nodes"]["formula"] if row]
    assert formulas == [["$1", "$0"], ["$1", "$0"], ["1", "1"]]


def test_a_rule_that_chooses_has_a_template_for_each_choice():
    xs = [Value(x) for x in (1.0, -1.0, 2.0, -2.0)]
    data = surveyed(*[x.relu() for x in xs])
    formulas = [data["formulas"][row[0]] for row in data["nodes"]["formula"] if row]
    assert formulas == ["1", "0", "1", "0"]


def test_a_leaf_shows_the_number_that_the_graph_was_computed_from():
    w = Value(3.0)
    y = w * w
    w.data = 1.0
    assert surveyed(y)["nodes"]["data"] == [3.0, 9.0]
    assert surveyed(w)["nodes"]["data"] == [1.0]


def test_surveying_changes_nothing():
    x = Value(np.ones(3))
    y = np.sum(np.tanh(x) * x)
    before = [(v._raw, v._grad, v.name, v.inputs) for v in order([y])]
    surveyed(y)
    after = [(v._raw, v._grad, v.name, v.inputs) for v in order([y])]
    assert all(a is b for one, two in zip(before, after) for a, b in zip(one, two))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Value(np.nan) * 2.0,
        lambda: Value(np.inf) - Value(np.inf),
        lambda: Value(1 + 2j) * Value(3.0),
        lambda: np.sum(np.abs(Value(np.array([1 + 2j, np.nan])))),
        lambda: Value(np.zeros((0, 3))) * 2.0,
        lambda: np.sum(Value(np.zeros((0, 3)))),
        lambda: Value(np.float32(1.5)) * np.float32(2),
        lambda: Value(np.array(1.5)) * 2,
        lambda: Value(np.array([np.nan, np.inf, -np.inf, 0.0])) * np.arange(4),
        lambda: Value(np.array([1e308, -1e308])) * np.array([True, False]),
        lambda: Value(2.0) ** 10**30,
        lambda: Value(np.ones((2, 3, 4, 5)))[1, ..., ::2],
        lambda: cr.scan(lambda c, x: (c * x, c), Value(1.0), np.arange(1.0, 4.0))[0],
        lambda: np.log(Value(-1.0)),
        lambda: Value(0.0) ** Value(0.0),
    ],
)
def test_whatever_is_in_a_graph_becomes_json(make):
    with np.errstate(all="ignore"):
        y = make()
        data = surveyed(y)
    nodes = data["nodes"]
    count = len(nodes["kind"])
    assert all(len(column) == count for name, column in nodes.items() if name != "path")
    assert all(x < i for i, xs in enumerate(nodes["inputs"]) for x in xs)


HOSTILE = ["<script>alert(1)</script>", "</script>", "\x00\x1b[31m", "\u202egnp", "a" * 10**6, "", "\ud800"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_data(name):
    x = Value(2.0, name=name)
    shown = surveyed(x * x)["nodes"]["name"][0]
    assert len(shown) <= 1000
    assert shown.isprintable()


def test_a_name_of_its_own_comes_with_the_path_that_leads_there():
    model = {"w": Value(2.0, name="weight")}
    nodes = surveyed(model["w"] * 2.0, model=model)["nodes"]
    assert nodes["name"][0] == "weight"
    assert nodes["path"] == {"0": "model['w']"}


def test_every_primitive_of_numbers_has_a_formula():
    found = survey([np.sin(Value(0.3)) * np.cosh(Value(0.2)) + np.arctan2(Value(1.0), Value(2.0))], []).data
    nodes = found["nodes"]
    assert all(k >= 0 for row in nodes["formula"] for k in row)


def test_a_rule_that_cannot_be_recorded_has_numbers_but_no_formula():
    mine = Elementwise(np.square, lambda y, x: 2 * float(x), name="mine", scalar=lambda x: x * x)
    nodes = survey([mine(Value(1.5))], []).data["nodes"]
    assert (nodes["local"][-1], nodes["formula"][-1]) == ([3.0], [-1])


# ---------------------------------------------------------------- size


def moons_loss(samples=100):
    random.seed(1337)
    r = np.random.default_rng(1337)
    model = MLP(2, [16, 16, 1])
    scores = [model([Value(a), Value(b)]) for a, b in r.normal(size=(samples, 2))]
    losses = [(1 + -y * s).relu() for y, s in zip([-1, 1] * (samples // 2), scores)]
    loss = sum(losses) * (1.0 / samples) + 1e-4 * sum(p * p for p in model.parameters())
    return loss, model


def test_the_loss_of_a_hundred_samples_is_shown_whole_and_one_sample_stands_for_all():
    loss, model = moons_loss()
    loss.backward()
    start = time.process_time()
    data = survey([loss], [{"model": model}]).data
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    assert time.process_time() - start < 8.0  # it takes about 2
    assert data["left_out"] == 0
    assert len(data["nodes"]["kind"]) > 65_000
    assert len(text) < 8e6
    columns_agree_with(data, order([loss]))

    groups = data["groups"]
    alike = {}
    for k, g in enumerate(groups):
        alike.setdefault((g["parent"], g["like"]), []).append(k)
    repeats = {key: same for key, same in alike.items() if key[1] >= 0}
    samples = [same for (parent, _), same in repeats.items() if parent == 0 and len(same) == 100]
    assert len(samples) == 1
    neurons = [same for (parent, _), same in repeats.items() if parent == samples[0][0]]
    assert sorted(map(len, neurons)) == [16, 16]
    direct = sum(g == 0 for g in data["nodes"]["group"])
    kinds = {(g["like"], k) if g["like"] < 0 else g["like"] for k, g in enumerate(groups) if g["parent"] == 0}
    assert direct + len(kinds) < 20  # what the first view shows


def test_a_graph_beyond_all_sizes_is_cut_and_says_so(monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 1000)
    monkeypatch.setattr(module, "CUT", 300)
    x = Value(1.0)
    y = x
    for _ in range(2000):
        y = y * x
    data = surveyed(y)
    nodes = data["nodes"]
    assert len(nodes["kind"]) == 300
    assert data["left_out"] == 2001 - 300
    assert data["outputs"] == [299]
    cut = [i for i, kind in enumerate(nodes["kind"]) if kind == "r" and not nodes["inputs"][i]]
    assert [(i, nodes["op"][i], nodes["expression"][i]) for i in cut] == [(1, 0, -1)]


def test_of_a_large_sum_the_last_samples_are_there_as_a_whole(monkeypatch):
    loss, model = moons_loss(20)
    monkeypatch.setattr(module, "LARGEST", 1000)
    monkeypatch.setattr(module, "CUT", 4000)
    data = survey([loss], [{"model": model}]).data
    groups = data["groups"]
    likes = [g["like"] for g in groups if g["parent"] == 0 and g["like"] >= 0]
    direct = sum(g == 0 for g in data["nodes"]["group"])
    assert direct < 60
    assert max(map(likes.count, likes)) >= 3
    assert data["left_out"] > 5000


def test_arrays_have_pictures_unless_they_are_very_many(monkeypatch):
    x = Value(np.arange(6.0).reshape(2, 3))
    y = np.sum(x * x)
    y.backward()
    arrays = surveyed(y)["arrays"]
    assert set(arrays) == {"0", "1"}
    assert arrays["0"]["data"]["high"] == 5.0
    assert arrays["0"]["gradient"]["high"] == 10.0
    monkeypatch.setattr(module, "ARRAYS", 1)
    assert surveyed(y)["arrays"] == {}
