"""summary: shapes, parameters and operations of every layer, and nothing of the network is changed."""

import numpy as np
import pytest

from chainrule import Value, nn

rng = np.random.default_rng(0)


@pytest.mark.parametrize(("module", "shapes", "flops"), [
    (nn.Linear(3, 2, rng=0), [(5, 3)], 2 * 5 * 3 * 2),
    (nn.Linear(3, 2, rng=0).freeze(), [(5, 3)], 2 * 5 * 3 * 2),
    (nn.Bilinear(3, 4, 2, rng=0), [(5, 3), (5, 4)], 2 * 5 * 4 * 6),
    (nn.Conv2d(4, 6, 3, padding=1, rng=0), [(2, 4, 5, 7)], 2 * 2 * 5 * 7 * 6 * 9 * 4),
    (nn.Conv2d(4, 6, 3, padding=1, groups=2, rng=0), [(2, 4, 5, 7)], 2 * 2 * 5 * 7 * 6 * 9 * 2),
    (nn.Conv2d(4, 4, 3, padding=1, groups=4, rng=0), [(2, 4, 5, 7)], 2 * 2 * 5 * 7 * 4 * 9),
    (nn.LSTM(3, 4, rng=0), [(2, 5, 3)], 2 * 2 * 5 * 16 * (3 + 4)),
    (nn.GRU(3, 4, 2, bidirectional=True, rng=0), [(2, 5, 3)], 2 * 2 * 5 * 2 * 12 * ((3 + 4) + (8 + 4))),
    (nn.BatchNorm2d(4), [(2, 4, 5, 7)], 0),
])  # fmt: skip
def test_flops(module, shapes, flops):
    table = nn.summary(module, *[rng.normal(size=s) for s in shapes])
    assert table.flops == flops
    assert table.parameters == sum(
        a.size for name, a in module.state_dict().items() if not name.startswith("running")
    )


def test_attention_and_shared_modules():
    shared = nn.Linear(4, 4, rng=0)
    model = nn.Sequential(shared, nn.MultiHeadAttention(4, 2, rng=0), shared)
    table = nn.summary(model, np.zeros((2, 3, 4)))
    flops = {row.path: row.flops for row in table.rows}
    assert flops["0"] == 2 * (2 * 2 * 3 * 4 * 4)
    assert flops["1"] == 2 * 2 * 3 * 4 * 12 + 2 * (2 * 2 * 3 * 3 * 4)
    assert table.parameters == 20 + (12 * 4 + 12) + 20


def test_the_table_and_that_nothing_is_changed():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm2d(2), nn.Dropout(0.5, rng=0), nn.Flatten()
    )
    model[0].freeze()
    state, drawn = model.state_dict(), model[2].rng.bit_generator.state
    table = nn.summary(model, rng.normal(size=(1, 1, 4, 4)))
    assert repr(table).splitlines() == [
        "path   layer        output        parameters  flops",
        "---------------------------------------------------",
        "(all)  Sequential   (1, 8)                 -      -",
        "0      Conv2d       (1, 2, 2, 2)          20    144",
        "1      BatchNorm2d  (1, 2, 2, 2)           4      -",
        "2      Dropout      (1, 2, 2, 2)           -      -",
        "3      Flatten      (1, 8)                 -      -",
        "---------------------------------------------------",
        "total                                     24    144",
        "20 of the parameters are frozen",
    ]
    assert model.training and model[2].training
    assert model[2].rng.bit_generator.state == drawn
    for name, a in model.state_dict().items():
        assert np.array_equal(a, state[name])


def test_parameters_in_containers_and_several_outputs():
    class Odd(nn.Module):
        def __init__(self):
            self.gains = [Value(np.ones(3)), Value(2.0)]
            self.parts = {"rnn": nn.RNN(3, 2, rng=0)}

        def forward(self, x):
            return self.parts["rnn"](x * self.gains[0] * self.gains[1])

    table = nn.summary(Odd(), np.ones((1, 4, 3)))
    assert [row[:4] for row in table.rows] == [
        ("", "Odd", "(1, 4, 2), (1, 1, 2)", 4),
        ("parts.rnn", "RNN", "(1, 4, 2), (1, 1, 2)", 14),
    ]
