"""L-BFGS: minima that are known, parameters of every kind, closures of every kind."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim

wraps = pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])


def quadratic(*values):
    """Losses whose minimum has every number at its own place: 0, 1, 2, ..."""
    before = np.concatenate([[0], np.cumsum([v.size for v in values])])

    def closure():
        loss = sum(
            np.sum((v - np.arange(i, i + v.size).reshape(v.shape)) ** 2 * (1.0 + i))
            for v, i in zip(values, before, strict=False)
        )
        loss.backward()
        return loss

    return closure


@wraps
def test_parameters_of_every_shape_and_dtype(wrap):
    values = [
        Value(0.5),
        Value(np.ones((2, 3))),
        Value(np.ones(3, np.float32)),
        Value(np.float32(1)),
        Value(np.ones((0, 2))),
    ]
    kinds = [(type(v.data), v.dtype, v.shape) for v in values]
    opt = optim.LBFGS(values, max_iter=50)
    before = opt.step(wrap(quadratic(*values)))
    assert before > 1.0 and opt.result.success
    assert [(type(v.data), v.dtype, v.shape) for v in values] == kinds
    np.testing.assert_allclose(np.concatenate([np.ravel(v.data) for v in values]), np.arange(11), atol=1e-4)


@wraps
def test_a_network_is_fitted_to_the_end(wrap):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 2))
    y = np.sin(x[:, :1])
    model = nn.MLP([2, 8, 1], activation="tanh", rng=0)
    opt = optim.LBFGS(model.parameters(), max_iter=400, max_eval=600, tolerance_change=0.0)

    @wrap
    def closure():
        loss = nn.mse(model(x), y)
        opt.zero_grad()  # as it would have to in PyTorch
        loss.backward()
        return loss

    assert opt.step(closure) > 0.1 and opt.result.nit > 50
    opt.step(closure)
    assert closure().item() < 1e-4
    if wrap is cr.compile:
        assert "1 program" in repr(closure)


def test_steps_go_on_from_each_other():
    p = Value(np.array([-1.2, 1.0]))

    def closure():
        loss = (1.0 - p[0]) ** 2 + 100.0 * (p[1] - p[0] ** 2) ** 2
        loss.backward()
        return loss

    opt = optim.LBFGS([p], max_iter=15)
    losses = [opt.step(closure) for _ in range(10)]
    assert all(b <= a for a, b in itertools.pairwise(losses)) and losses[-1] < 1e-8


def test_maximize_ascends():
    p = Value(np.array([3.0, -2.0]))

    def closure():
        loss = -np.sum((p - 1.0) ** 2)
        loss.backward()
        return loss

    assert optim.LBFGS([p], maximize=True).step(closure) == -13.0
    np.testing.assert_allclose(p.data, [1.0, 1.0], atol=1e-6)


def test_max_iter_and_max_eval_end_a_step():
    p = Value(np.full(20, 3.0))
    calls = []

    def closure():
        calls.append(1)
        loss = np.sum(p**4 * np.arange(1, 21))
        loss.backward()
        return loss

    opt = optim.LBFGS([p], max_iter=3)
    opt.step(closure)
    assert opt.result.nit <= 3 and len(calls) <= 6
    calls.clear()
    optim.LBFGS([p], max_iter=100, max_eval=1).step(closure)
    assert len(calls) <= 4


def test_what_has_no_gradient_stays():
    p, q = Value(np.ones(2)), Value(np.full(2, 7.0))
    optim.LBFGS([p, q, p]).step(quadratic(p))
    assert np.array_equal(q.data, [7.0, 7.0])
    np.testing.assert_allclose(p.data, [0.0, 1.0], atol=1e-6)


def test_after_an_error_everything_is_as_it_was():
    p, q = Value(np.ones(2)), Value(5.0)
    inner, calls = quadratic(p, q), []

    def closure():
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("no more")
        return inner()

    with pytest.raises(RuntimeError, match="no more"):
        optim.LBFGS([p, q]).step(closure)
    assert np.array_equal(p.data, [1.0, 1.0]) and q.data == 5.0 and type(q.data) is float


def test_there_is_no_state_between_steps():
    opt = optim.LBFGS([Value(1.0)])
    assert opt.state_dict() == {}
    opt.load_state_dict({})
    with pytest.raises(ValueError, match=r"LBFGS.load_state_dict: .* unexpected: x"):
        opt.load_state_dict({"x": 1.0})
    assert repr(opt) == "LBFGS(1 Values, 1 numbers, max_iter=20)"


def test_without_scipy_the_error_says_what_to_install():
    script = (
        "import sys; sys.modules['scipy'] = None; sys.modules['scipy.optimize'] = None\n"
        "from chainrule import Value, optim\n"
        "p = Value(1.0)\n"
        "try: optim.LBFGS([p]).step(lambda: p)\n"
        "except ImportError as error: print(error)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.startswith("LBFGS: SciPy is not installed") and "pip install 'chainrule[compile]'" in out


P = Value(np.ones(2))
opt = optim.LBFGS([P])


def no_backward():
    return np.sum(P * P)


def all_of_them():
    np.sum(P * P).backward()
    return P * P


@pytest.mark.parametrize(("call", "error", "match"), [
    (lambda: optim.LBFGS([]), ValueError, "LBFGS: params is empty"),
    (lambda: optim.LBFGS([{"params": [P]}]), TypeError, r"LBFGS: params\[0\] is a dict; expected a Value"),
    (lambda: optim.LBFGS([Value(1j * np.ones(2))]), TypeError, r"LBFGS: params\[0\] is of dtype complex128"),
    (lambda: optim.LBFGS([P], max_iter=0), ValueError, "LBFGS: max_iter is 0; expected at least 1"),
    (lambda: optim.LBFGS([P], max_iter=1.5), TypeError, "LBFGS: max_iter is 1.5; expected an integer"),
    (lambda: optim.LBFGS([P], max_eval=-1), ValueError, "LBFGS: max_eval is -1"),
    (lambda: optim.LBFGS([P], tolerance_grad=-1), ValueError, "LBFGS: tolerance_grad is -1; expected zero"),
    (lambda: optim.LBFGS([P], history_size=True), TypeError, "LBFGS: history_size is True"),
    (lambda: opt.step(1.0), TypeError, "LBFGS.step: closure is a float; expected a function"),
    (lambda: opt.step(lambda: None), TypeError, "LBFGS.step: closure returned a NoneType; expected the loss"),
    (lambda: opt.step(all_of_them), TypeError, r"closure returned a ndarray of shape \(2,\); expected"),
    (lambda: opt.step(no_backward), ValueError, r"left no gradient in any parameter; call loss.backward\(\)"),
    (lambda: cr.compile(lambda: opt.step(all_of_them))(), TypeError, "compile the closure instead"),
])  # fmt: skip
def test_wrong_use_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()
    assert np.array_equal(P.data, np.ones(2))
