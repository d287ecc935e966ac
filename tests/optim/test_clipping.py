"""Clipping: the formulas, eager and compiled, for every kind of gradient."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim

GRADIENTS = {
    "arrays": [np.array([3.0, -4.0]), np.array([[12.0]])],
    "numbers": [3.0, -4.0],
    "mixed": [np.array([[1.0, 2.0], [-2.0, 4.0]]), -10.0, np.float32(5.0)],
    "single": [np.array([3e-3, 4.0], np.float32), np.array([12.0], np.float32)],
    "small": [np.array([1e-3, 1e-4])],
    "zeros": [np.zeros(3), 0.0],
    "empty": [np.zeros((0, 2)), np.ones(2)],
    "beyond squares in single precision": [np.array([3e25, 4e25], np.float32)],
    "inf": [np.array([np.inf, 1.0]), 2.0],
    "nan": [np.array([np.nan, 1.0]), 2.0],
}


def held(name):
    """Values that have the gradients, and one that has none."""
    values = [Value(np.ones_like(g) if type(g) is not float else 1.0) for g in GRADIENTS[name]]
    for v, g in zip(values, GRADIENTS[name], strict=True):
        v._gradient = np.copy(g) if isinstance(g, np.ndarray) else g
    return [*values, Value(np.ones(2))]


def flat(name):
    return np.concatenate([np.ravel(g).astype(float) for g in GRADIENTS[name]])


wraps = pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])


@wraps
@pytest.mark.parametrize("limit", [0.0, 0.5, 1.0, 1e3])
@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.filterwarnings("ignore:invalid value")  # inf * 0
def test_norm(name, limit, wrap):
    values, g = held(name), flat(name)
    norm = np.sqrt(np.sum(g**2))
    found = wrap(lambda: optim.clip_grad_norm([*values, values[0]], limit))()
    assert type(found) is float or found.shape == ()
    np.testing.assert_allclose(found, norm, rtol=1e-12)
    with np.errstate(invalid="ignore"):
        wanted = g * np.minimum(1.0, limit / (norm + 1e-6))
    check(values, wanted)


@wraps
@pytest.mark.parametrize("limit", [0.0, 0.5, 1e3])
@pytest.mark.parametrize("name", GRADIENTS)
def test_value(name, limit, wrap):
    values = held(name)
    assert wrap(lambda: optim.clip_grad_value(values, limit))() is None
    check(values, np.clip(flat(name), -limit, limit))


def check(values, wanted):
    assert values[-1]._gradient is None
    for v in values[:-1]:
        g, part, wanted = v._gradient, wanted[: v.size], wanted[v.size :]
        assert type(g) is float or g.dtype == v.dtype
        np.testing.assert_allclose(np.ravel(g), part, rtol=1e-6 if v.dtype == np.float32 else 1e-12)


@wraps
def test_between_backward_and_step(wrap):
    model = nn.MLP([3, 4, 1], rng=0)
    opt = optim.SGD(model.parameters(), lr=1.0)
    before = [p.data.copy() for p in model.parameters()]

    @wrap
    def step(x):
        opt.zero_grad()
        np.sum(model(x) ** 2 * 100.0).backward()
        norm = optim.clip_grad_norm(opt.parameters, 0.25)
        opt.step()
        return norm

    assert step(np.ones((4, 3))) > 0.25
    moved = sum(np.sum((p.data - b) ** 2) for p, b in zip(model.parameters(), before, strict=True)) ** 0.5
    assert moved == pytest.approx(0.25, rel=1e-5)


def test_what_is_below_the_limit_is_not_touched():
    v = held("arrays")[0]
    g = v._gradient
    assert optim.clip_grad_norm(v, 5.1) == 5.0
    assert v._gradient is g


def test_no_gradients_at_all():
    assert optim.clip_grad_norm([Value(1.0)], 1.0) == 0.0


@pytest.mark.parametrize(("call", "error", "match"), [
    (lambda: optim.clip_grad_norm([Value(1.0)], -1), ValueError, "clip_grad_norm: max_norm is -1; expected"),
    (lambda: optim.clip_grad_norm([Value(1.0)], "1"), TypeError, "clip_grad_norm: max_norm is '1'"),
    (lambda: optim.clip_grad_norm([np.ones(2)], 1), TypeError, r"clip_grad_norm: params\[0\] is a ndarray"),
    (lambda: optim.clip_grad_norm(nn.MLP([1, 1], rng=0), 1), TypeError, r"expected model.parameters\(\)"),
    (lambda: optim.clip_grad_value([Value(1.0)], float("nan")), ValueError, "clip_value is nan"),
    (lambda: optim.clip_grad_value(3.0, 1), TypeError, "clip_grad_value: params is a float"),
])  # fmt: skip
def test_wrong_arguments_are_named(call, error, match):
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("run", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_an_infinite_norm_clips_nothing_and_measures(run):
    p = Value(np.zeros(2))
    p.grad = np.array([3.0, -4.0])
    assert run(lambda: optim.clip_grad_norm([p], np.inf))() == 5.0
    assert p.grad.tolist() == [3.0, -4.0]
