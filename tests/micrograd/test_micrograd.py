"""Code written for micrograd, with only its imports changed."""

import gc
import math
import random

import numpy as np
import pytest
from sklearn.datasets import make_moons

import chainrule as cr
from chainrule.micrograd import engine, nn
from chainrule.micrograd.engine import Value


def difference(f, x, h=1e-3):
    """The five-point difference quotient, of fourth order."""
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


def readme(a, b):
    """The longest expression people know micrograd by: every operation, values used many times over."""
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


class Plain(float):
    """A number with micrograd's one method, to run the same expression without any engine."""

    def relu(self):
        return Plain(max(self, 0.0))

    __add__ = __radd__ = lambda self, other: Plain(float(self) + other)
    __sub__ = lambda self, other: Plain(float(self) - other)
    __mul__ = __rmul__ = lambda self, other: Plain(float(self) * other)


def test_the_engine_is_the_library_s_own():
    assert engine.Value is cr.Value
    assert Value(2).data == 2.0


@pytest.mark.parametrize("point", [(-4.0, 2.0), (1.5, -0.5), (3.0, 3.5)])
def test_readme_expression(point):
    a, b = map(Value, point)
    readme(a, b).backward()
    f = lambda x, y: float(readme(Plain(x), Plain(y)))
    assert math.isclose(readme(a, b).data, f(*point), rel_tol=1e-14)
    assert math.isclose(a.grad, difference(lambda x: f(x, point[1]), point[0]), rel_tol=1e-7)
    assert math.isclose(b.grad, difference(lambda y: f(point[0], y), point[1]), rel_tol=1e-7)


def test_what_micrograd_gets_wrong():
    x = Value(2.0)
    y = x * x * x
    y.backward()
    y.backward()
    assert x.grad == 24.0  # twice 12; sums kept in the nodes give 36
    (5.5 - Value(2.0)).backward()
    assert (5.5 - Value(2.0)).data == 3.5
    z = x = Value(1.0)
    for _ in range(20_000):  # deeper than any recursion
        z = z + x * 0.5
    z.backward()
    assert x.grad == 10_001.0


def trace(root):
    """Nodes and edges as people's drawing code collects them."""
    nodes, edges = set(), set()

    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(root)
    return nodes, edges


def test_drawing_code_finds_the_graph():
    random.seed(1337)
    neuron = nn.Neuron(2)
    y = neuron([Value(1.0), Value(-2.0)])
    y.backward()
    nodes, edges = trace(y)
    assert len(nodes) == len({id(n) for n in nodes}) and all(a in nodes and b in nodes for a, b in edges)
    assert sorted(n._op for n in nodes if n._op) == ["*", "*", "+", "+", "ReLU"]
    labels = [f"{{ data {n.data:.4f} | grad {n.grad:.4f} }}" for n in nodes]
    assert len(labels) == 10 and all("nan" not in label for label in labels)
    assert (Value(3.0) ** 2)._op == "**2" and Value(1.0)._op == "" and Value(1.0).label == ""
    assert "Neuron(2)" in repr(neuron) and repr(nn.MLP(2, [3, 1])).startswith("MLP of [")


def test_networks_draw_the_same_numbers():
    """Weights come from ``random`` neuron by neuron, as micrograd draws them."""
    random.seed(7)
    model = nn.MLP(3, [4, 4, 1])
    random.seed(7)
    for layer, (n_in, n_out) in zip(model.layers, [(3, 4), (4, 4), (4, 1)], strict=True):
        for neuron in layer.neurons:
            assert [w.data for w in neuron.w] == [random.uniform(-1, 1) for _ in range(n_in)]
            assert neuron.b.data == 0
        assert len(layer.neurons) == n_out
    assert [n.nonlin for n in (model.layers[0].neurons[0], model.layers[-1].neurons[0])] == [True, False]
    assert len(model.parameters()) == 41


def test_every_gradient_of_a_network():
    random.seed(3)
    model = nn.MLP(2, [3, 2, 1])
    point = [0.7, -1.2]
    model([Value(x) for x in point]).backward()

    def at(p, w):
        keep, p.data = p.data, w
        out = model(point).data
        p.data = keep
        return out

    for p in model.parameters():
        assert math.isclose(p.grad, difference(lambda w, p=p: at(p, w), p.data), rel_tol=1e-6, abs_tol=1e-9)
    model.zero_grad()
    assert all(p.grad == 0 for p in model.parameters())


def test_the_moons_demo():
    """micrograd's notebook, on half of its points."""
    X, y = make_moons(n_samples=50, noise=0.1, random_state=1)
    y = y * 2 - 1
    random.seed(1337)
    model = nn.MLP(2, [16, 16, 1])
    for k in range(40):
        scores = [model(list(map(Value, row))) for row in X]
        losses = [(1 + -yi * s).relu() for yi, s in zip(y, scores, strict=True)]
        total = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())
        accuracy = np.mean([(yi > 0) == (s.data > 0) for yi, s in zip(y, scores, strict=True)])
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 100) * p.grad
    assert type(total.data) is float
    assert accuracy >= 0.96


def test_the_collector_is_left_alone_but_for_its_threshold():
    assert gc.isenabled()
    assert gc.get_threshold()[0] >= 200_000
