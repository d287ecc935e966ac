"""Several optimisers as one, compared with each by itself."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim

wraps = pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])


def make():
    first, second = nn.Linear(3, 4, rng=0), nn.Linear(4, 1, rng=1)
    opts = optim.SGD(first.parameters(), 0.1, momentum=0.9), optim.Adam(second.parameters(), 0.01)
    return first, second, opts


def run(wrap, steps, together, half=lambda opt, parameters: None):
    first, second, opts = make()
    parameters = [*first.parameters(), *second.parameters()]
    opt = optim.Several(*opts)

    @wrap
    def step(x):
        for o in (opt,) if together else opts:
            o.zero_grad()
        np.mean(second(np.tanh(first(x))) ** 2).backward()
        for o in (opt,) if together else opts:
            o.step()

    for k in range(steps):
        if k == steps // 2:
            half(opt, parameters)
        step(np.ones((5, 3)) * (k % 3))
    return [p.data for p in parameters]


@wraps
def test_each_moves_its_own(wrap):
    for a, b in zip(run(wrap, 10, True), run(lambda f: f, 10, False), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


@wraps
def test_state_goes_on(wrap):
    saved = {}
    wanted = run(wrap, 10, True, lambda o, p: saved.update(o=o.state_dict(), p=[np.copy(v.data) for v in p]))

    def load(opt, parameters):
        opt.load_state_dict(saved["o"])
        for v, x in zip(parameters, saved["p"], strict=True):
            v.data = x

    assert all(map(np.array_equal, run(wrap, 10, True, load), wanted))


def test_state_is_all_or_nothing():
    *_, opts = make()
    opt = optim.Several(*opts)
    assert list(opt.state_dict())[:4] == ["0.lr.0", "0.momentum.0", "0.momentum.1", "1.lr.0"]
    before = opt.state_dict()
    state = {name: x + 1.0 for name, x in before.items()}
    del state["1.square.0"]
    with pytest.raises(ValueError, match=r"Several.load_state_dict: .* missing: 1.square.0"):
        opt.load_state_dict(state)
    assert all(np.array_equal(x, before[name]) for name, x in opt.state_dict().items())


def test_repr_is_that_of_each():
    *_, opts = make()
    assert repr(optim.Several(*opts)) == f"Several({opts[0]!r}, {opts[1]!r})"


P, Q = Value(1.0), Value(2.0)


@pytest.mark.parametrize(("given", "error", "match"), [
    ([], ValueError, "Several: no optimisers are given"),
    ([[optim.SGD([P])]], TypeError, r"Several: optimisers\[0\] is a list; .* Several\(first, second\)"),
    ([optim.SGD([P]), optim.LBFGS([Q])], TypeError, r"optimisers\[1\] is a LBFGS; .* without a closure"),
    ([optim.SGD([P, Q]), optim.Adam([Q])], ValueError, r"1 of the Values of optimisers\[1\] are"),
])  # fmt: skip
def test_wrong_arguments_are_named(given, error, match):
    with pytest.raises(error, match=match):
        optim.Several(*given)
