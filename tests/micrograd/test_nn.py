"""The drop-in's networks: micrograd's names, its random weights, its numbers, its demo."""

import math
import random

import numpy as np
import pytest

from chainrule.micrograd import nn
from chainrule.micrograd.engine import Value


def test_names_and_attributes():
    model = nn.MLP(3, [4, 4, 1])
    assert [len(layer.neurons) for layer in model.layers] == [4, 4, 1]
    assert [neuron.nonlin for layer in model.layers for neuron in layer.neurons] == [True] * 8 + [False]
    neuron = model.layers[0].neurons[0]
    assert len(neuron.w) == 3 and neuron.b.data == 0.0
    assert neuron.parameters() == [*neuron.w, neuron.b]
    assert model.layers[0].parameters() == [p for n in model.layers[0].neurons for p in n.parameters()]
    assert len(model.parameters()) == 4 * 4 + 4 * 5 + 5
    assert all(isinstance(m, nn.Module) for m in (model, model.layers[0], neuron))
    assert nn.Module().parameters() == []


def test_representations():
    assert repr(nn.Neuron(2)) == "ReLUNeuron(2)"
    assert repr(nn.Neuron(2, nonlin=False)) == "LinearNeuron(2)"
    assert repr(nn.Layer(2, 2)) == "Layer of [ReLUNeuron(2), ReLUNeuron(2)]"
    assert repr(nn.MLP(2, [1, 1])) == "MLP of [Layer of [ReLUNeuron(2)], Layer of [LinearNeuron(1)]]"


@pytest.mark.parametrize("make", [
    lambda: nn.Neuron(5),
    lambda: nn.Layer(3, 4),
    lambda: nn.MLP(2, [16, 16, 1]),
])  # fmt: skip
def test_weights_are_drawn_one_after_the_other_and_biases_not_at_all(make):
    random.seed(1337)
    module = make()
    biases = {id(n.b) for n in _neurons(module)}
    random.seed(1337)
    want = [0.0 if id(p) in biases else random.uniform(-1, 1) for p in module.parameters()]
    assert [p.data for p in module.parameters()] == want


def _neurons(module):
    if isinstance(module, nn.Neuron):
        return [module]
    layers = module.layers if isinstance(module, nn.MLP) else [module]
    return [neuron for layer in layers for neuron in layer.neurons]


def test_a_seed_gives_the_weights_it_gives_in_micrograd():
    random.seed(1337)
    neuron = nn.Neuron(2)
    assert [w.data for w in neuron.w] == [0.23550571390294128, 0.06653114721000164]


@pytest.mark.parametrize("nonlin", [True, False])
@pytest.mark.parametrize("x", [[1.0, -2.0], (0.5, 3.0), np.array([-1.0, -1.0])])
def test_a_neuron_against_its_formula(nonlin, x):
    random.seed(3)
    neuron = nn.Neuron(2, nonlin=nonlin)
    neuron.b.data = 0.25
    inputs = [Value(v) for v in x]
    y = neuron(inputs)
    y.backward()
    z = sum(w.data * v for w, v in zip(neuron.w, x)) + 0.25
    on = 1.0 if z > 0 or not nonlin else 0.0
    assert math.isclose(y.data, z * on, abs_tol=1e-15)
    assert [w.grad for w in neuron.w] == [on * v for v in x]
    assert [v.grad for v in inputs] == [on * w.data for w in neuron.w]
    assert neuron.b.grad == on
    assert math.isclose(neuron(x).data, y.data)  # plain numbers will do as inputs


def test_one_neuron_gives_its_output_and_several_a_list():
    assert type(nn.Layer(2, 1)([1.0, 2.0])) is Value
    assert [type(v) for v in nn.Layer(2, 3)([1.0, 2.0])] == [Value] * 3
    assert type(nn.MLP(2, [1, 1, 1])([1.0, 2.0])) is Value


def test_every_gradient_of_a_network_against_differences():
    random.seed(3)
    model = nn.MLP(2, [3, 2, 1])
    model([0.7, -1.2]).backward()
    h = 1e-6
    for p in model.parameters():
        w, g = p.data, p.grad
        p.data = w + h
        above = model([0.7, -1.2]).data
        p.data = w - h
        below = model([0.7, -1.2]).data
        p.data = w
        assert math.isclose(g, (above - below) / (2 * h), rel_tol=1e-6, abs_tol=1e-8)


def test_zero_grad_forgets():
    model = nn.MLP(2, [3, 1])
    model([1.0, 2.0]).backward()
    assert any(p.grad for p in model.parameters())
    model.zero_grad()
    assert all(p.grad == 0.0 for p in model.parameters())


def test_inputs_of_the_wrong_number_are_refused_by_name():
    with pytest.raises(ValueError, match=r"ReLUNeuron\(2\): x has 3 entries, expected 2"):
        nn.MLP(2, [4, 1])([1.0, 2.0, 3.0])


# -------------------------------------------------------------------- the demo


def loss_of(model, X, y):
    scores = list(map(model, [list(map(Value, row)) for row in X]))
    losses = [(1 + -yi * si).relu() for yi, si in zip(y, scores)]
    data_loss = sum(losses) * (1.0 / len(losses))
    reg_loss = 1e-4 * sum(p * p for p in model.parameters())
    accuracy = [(yi > 0) == (si.data > 0) for yi, si in zip(y, scores)]
    return data_loss + reg_loss, sum(accuracy) / len(accuracy)


def test_the_losses_are_the_ones_micrograd_prints():
    random.seed(1337)
    model = nn.MLP(2, [4, 4, 1])
    draw = random.Random(7)
    X = [[draw.uniform(-1, 1), draw.uniform(-1, 1)] for _ in range(12)]
    y = [1 if a * b > 0 else -1 for a, b in X]
    losses = []
    for _ in range(6):
        total, _ = loss_of(model, X, y)
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= 0.5 * p.grad
        losses.append(total.data)
    # printed by micrograd 0.1.0 for the same lines
    want = [1.0094087677727168, 0.9602370209973019, 0.8759802336495731,
            0.8434429090546186, 0.7684114140044983, 0.7141229910379723]  # fmt: skip
    np.testing.assert_allclose(losses, want, rtol=1e-13)
    assert math.isclose(sum(p.data for p in model.parameters()), 3.5920876843444978, rel_tol=1e-12)


def test_the_moons_end_at_100_percent():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.make_moons(n_samples=100, noise=0.1, random_state=1)
    y = y * 2 - 1
    random.seed(1337)
    model = nn.MLP(2, [16, 16, 1])
    for k in range(100):
        total, accuracy = loss_of(model, X, y)
        if accuracy == 1:
            break
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 100) * p.grad
    assert accuracy == 1
    assert type(total.data) is float and total.data < 0.1
    surface = [model([Value(a), Value(b)]).data > 0 for a, b in [(0.0, 1.0), (1.0, -0.5)]]
    assert surface == [False, True]
