"""Recurrent layers beside Python loops; states that go on; what does not fit."""

import copy

import numpy as np
import pytest
from scipy.special import expit as sigma

import chainrule as cr
from chainrule import nn

rng = np.random.default_rng(0)
X = rng.normal(size=(2, 5, 3))


def rnn(x, h, wi, wh, bi, bh):
    return (np.tanh(x @ wi.T + bi + h[0] @ wh.T + bh),)


def lstm(x, state, wi, wh, bi, bh):
    h, c = state
    i, f, g, o = np.split(x @ wi.T + bi + h @ wh.T + bh, 4, axis=-1)
    c = sigma(f) * c + sigma(i) * np.tanh(g)
    return sigma(o) * np.tanh(c), c


def gru(x, h, wi, wh, bi, bh):
    (rx, zx, nx), (rh, zh, nh) = (np.split(y, 3, axis=-1) for y in (x @ wi.T + bi, h[0] @ wh.T + bh))
    z = sigma(zx + zh)
    return ((1 - z) * np.tanh(nx + sigma(rx + rh) * nh) + z * h[0],)


def naive(layer, step, x, states):
    last = []
    directions = 2 if layer.bidirectional else 1
    for k in range(layer.num_layers):
        sides = []
        for d in range(directions):
            suffix = f"_l{k}" + "_reverse" * d
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            weights = [getattr(layer, name + suffix).data for name in names]
            state = tuple(s[k * directions + d] for s in states)
            out = np.zeros((*x.shape[:2], layer.hidden_size))
            for t in range(x.shape[1])[:: -1 if d else 1]:
                state = step(x[:, t], state, *weights)
                out[:, t] = state[0]
            sides.append(out)
            last.append(state)
        x = np.concatenate(sides, axis=-1)
    return x, tuple(np.stack(parts) for parts in zip(*last, strict=True))


@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize(("kind", "step"), [(nn.RNN, rnn), (nn.LSTM, lstm), (nn.GRU, gru)])
def test_beside_a_loop(kind, step, options):
    layer = kind(3, 4, **options, rng=0)
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    states = tuple(rng.normal(size=(count, 2, 4)) for _ in range(2 if kind is nn.LSTM else 1))
    y, last = layer(X, states if kind is nn.LSTM else states[0])
    want, want_last = naive(layer, step, X, states)
    np.testing.assert_allclose(y.data, want, atol=1e-14)
    for a, b in zip(last if kind is nn.LSTM else (last,), want_last, strict=True):
        np.testing.assert_allclose(a.data, b, atol=1e-14)
    plain, _ = layer(X)
    zeros = tuple(np.zeros_like(s) for s in states)
    np.testing.assert_allclose(plain.data, naive(layer, step, X, zeros)[0], atol=1e-14)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_sequence_in_two_parts(kind):
    layer = kind(3, 4, num_layers=2, rng=0)
    whole, _ = layer(X)
    first, state = layer(X[:, :2])
    second, _ = layer(X[:, 2:], state)
    np.testing.assert_allclose(np.concatenate([first.data, second.data], axis=1), whole.data, atol=1e-14)


def test_compiled_the_loop_is_a_loop():
    layer = nn.GRU(3, 4, rng=0)
    short, long = (cr.compile(lambda x: layer(x)[0]) for _ in range(2))
    x = rng.normal(size=(2, 200, 3))
    np.testing.assert_allclose(long(x).data, layer(x)[0].data, atol=1e-13)
    short(X)
    assert long.llvm_ir().count("\n") < 2 * short.llvm_ir().count("\n")


@pytest.mark.parametrize(("run", "error", "match"), [
    (lambda: nn.RNN(3, 4, rng=0)(X[0]), ValueError, r"RNN: expected \(N, T, 3\), got \(5, 3\)"),
    (lambda: nn.GRU(3, 4, rng=0)(X, np.zeros((2, 4))), ValueError,
     r"GRU: the initial state is \(2, 4\); expected \(1, 2, 4\)"),
    (lambda: nn.LSTM(3, 4, rng=0)(X, np.zeros((1, 2, 4))), TypeError, r"expected a pair \(h, c\)"),
    (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "nonlinearity is 'sin'; expected 'tanh' or"),
    (lambda: nn.LSTM(3, 4, dropout=0.5), ValueError, "dropout is 0.5, num_layers is 1; it acts between"),
    (lambda: nn.LSTM(3, 4, 2, dropout=1.5), ValueError, "p is 1.5; expected a probability"),
    (lambda: nn.LSTM(3, 0), ValueError, "LSTM: hidden_size is 0; expected at least 1"),
])  # fmt: skip
def test_what_does_not_fit_is_named(run, error, match):
    with pytest.raises(error, match=match):
        run()


def test_names_are_those_of_pytorch():
    assert list(nn.LSTM(3, 4, 2, bidirectional=True, rng=0).state_dict())[4:8] == [
        "weight_ih_l0_reverse", "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse",
    ]  # fmt: skip
    assert repr(nn.LSTM(3, 4, 2, bidirectional=True, rng=0)) == (
        "LSTM(3 -> 4, 2 layers, bidirectional, 736 parameters, float64)"
    )


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_dropout_leaves_out_what_goes_from_layer_to_layer(kind, wrap):
    options = {"bidirectional": True, "dtype": np.float32}
    layer, plain = kind(3, 4, 2, dropout=0.5, rng=0, **options), kind(3, 4, 2, rng=0, **options)
    one, two = kind(3, 4, **options), kind(8, 4, **options)
    for name, p in one.named_parameters():
        p.data = getattr(layer, name).data
    for name, p in two.named_parameters():
        p.data = getattr(layer, name.replace("l0", "l1")).data
    call = wrap(lambda x: layer(x)[0])
    draws = nn.Dropout(0.5, rng=copy.deepcopy(layer.dropout.rng))
    x = X.astype(np.float32)
    for _ in range(2):  # drawn anew in each call
        between = np.swapaxes(draws(np.swapaxes(one(x)[0], 0, 1)), 0, 1)
        np.testing.assert_allclose(call(x).data, two(between)[0].data, rtol=1e-5, atol=1e-6)
    layer.eval()
    np.testing.assert_allclose(call(x).data, plain(x)[0].data, rtol=1e-5, atol=1e-6)
    assert layer.state_dict().keys() == plain.state_dict().keys() and "dropout 0.5" in repr(layer)
