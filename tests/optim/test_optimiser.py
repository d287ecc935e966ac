"""What all optimisers share: groups, learning rates, state, rules of one's own."""

import copy
import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, optim
from chainrule.train import checkpoint


def pair():
    return Value(np.array([1.0, 2.0])), Value(np.array([3.0]))


def descend(opt, *parameters):
    opt.zero_grad()
    sum(np.sum(p * p) for p in parameters).backward()
    opt.step()


RULES = {
    "SGD": lambda p: optim.SGD(p, 0.1, momentum=0.9),
    "Adam": optim.Adam,
    "AdamW": optim.AdamW,
    "RMSprop": lambda p: optim.RMSprop(p, centered=True, momentum=0.9),
    "Adagrad": lambda p: optim.Adagrad(p, lr_decay=0.1),
    "Lion": optim.Lion,
}
rules = pytest.mark.parametrize("name", RULES)

# -------------------------------------------------------------------- groups


@rules
@pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_groups_move_as_optimisers_of_their_own(name, wrap):
    make = getattr(optim, name)
    (a, b), (c, d) = pair(), pair()
    opts = [
        make([{"params": [a]}, {"params": [b], "lr": 0.02, "weight_decay": 0.3}], lr=0.01, weight_decay=0.1),
        make([c], lr=0.01, weight_decay=0.1),
        make([d], lr=0.02, weight_decay=0.3),
    ]

    @wrap
    def step():
        descend(opts[0], a, b)
        descend(opts[1], c)
        descend(opts[2], d)

    for _ in range(5):
        step()
    np.testing.assert_allclose(a.data, c.data, rtol=1e-12)
    np.testing.assert_allclose(b.data, d.data, rtol=1e-12)


def test_numbers_of_a_group_are_read_and_changed_by_name():
    a, b = pair()
    opt = optim.SGD([{"params": [a], "lr": 0.5}, {"params": iter([b])}], lr=0.1, momentum=0.9)
    first, second = opt.param_groups
    assert (first["lr"], second["lr"], second["momentum"], second["maximize"]) == (0.5, 0.1, 0.9, False)
    assert first["params"][0] is a and opt.parameters[1] is b
    second["lr"], second["momentum"], second["maximize"] = 0.25, 0.5, True
    assert (opt.lr, second["lr"], second["momentum"], second["maximize"]) == (0.5, 0.25, 0.5, True)
    assert repr(opt) == (
        "SGD(2 Values, 3 numbers, lr=[0.5, 0.25], momentum=[0.9, 0.5], maximize=[False, True])"
    )


def test_the_rate_is_that_of_all_groups_unless_one_has_its_own():
    a, b = pair()
    opt = optim.SGD([{"params": [a]}, {"params": [b], "weight_decay": 0.5}], lr=0.1)
    opt.lr = 0.2
    assert [group["lr"] for group in opt.param_groups] == [0.2, 0.2]
    opt = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1)
    with pytest.raises(ValueError, match=r'SGD: lr is assigned, and .*opt.param_groups\[i\]\["lr"\]'):
        opt.lr = 0.2
    assert [group["lr"] for group in opt.param_groups] == [0.1, 0.5]


def test_rates_of_groups_change_without_compiling_anew_and_other_numbers_with():
    def run(wrap):
        a, b = pair()
        opt = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.05}], lr=0.1, momentum=0.5)

        @wrap
        def step():
            descend(opt, a, b)

        programs = []
        for k in range(6):
            opt.param_groups[k % 2]["lr"] *= 0.5
            if k == 4:
                opt.param_groups[1]["momentum"] = 0.75
            step()
            programs.append(repr(step))
        return [a.data, b.data], programs

    (fast, programs), (slow, _) = run(cr.compile), run(lambda f: f)
    for x, y in zip(fast, slow, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)
    assert all("1 program>" in p for p in programs[:4]) and "2 programs" in programs[-1]


P, Q = pair()


@pytest.mark.parametrize(("params", "error", "match"), [
    ([{"params": [P]}, Q], TypeError, r"SGD: params\[1\] is a Value; expected a group, as the others"),
    ([{"parms": [P]}], TypeError, r"SGD: params\[0\] is a dict of 'parms'; expected a group"),
    ({"params": [P]}, TypeError, "SGD: params is a dict; expected a list of Values"),
    ([{"params": [P], "beta": 1}], ValueError, r"SGD: params\[0\] names 'beta'; expected params and some"),
    ([{"params": []}], ValueError, r"SGD: params\[0\]\['params'\] is empty"),
    ([{"params": P}], TypeError, r"SGD: params\[0\]\['params'\] is a Value; expected a list"),
    ([{"params": [P, 1.0]}], TypeError, r"params\[0\]\['params'\]\[1\] is a float; expected a Value"),
    ([{"params": [P]}, {"params": [Q, P]}], ValueError, r"SGD: 1 of the Values of params\[1\] are in"),
    ([{"params": [P]}, {"params": [Q], "lr": -1}], ValueError, r"SGD: params\[1\]\['lr'\] is -1; exp"),
    ([{"params": [P], "nesterov": True}], ValueError, "SGD: nesterov is True with momentum 0.0"),
])  # fmt: skip
def test_wrong_groups_are_named(params, error, match):
    with pytest.raises(error, match=match):
        optim.SGD(params, lr=0.1)


@pytest.mark.parametrize(("name", "new", "error", "match"), [
    ("betas", (0.9, 0.9), KeyError, "SGD: a group has no number 'betas'; it has lr, momentum"),
    ("params", [P], KeyError, "SGD: a group has no number 'params'"),
    ("lr", -1, ValueError, "SGD: lr is -1"),
    ("weight_decay", None, TypeError, "SGD: weight_decay is None"),
    ("momentum", 0.9, ValueError, "SGD: momentum was 0.0, is 0.9: .* make a new optimiser"),
    ("nesterov", True, ValueError, "SGD: nesterov is True with momentum 0.0"),
])  # fmt: skip
def test_a_group_refuses_what_its_optimiser_would(name, new, error, match):
    group = optim.SGD([P], lr=0.1).param_groups[0]
    before = group._all()
    with pytest.raises(error, match=match):
        group[name] = new
    assert group._all() == before


# -------------------------------------------------------------------- state


def test_state_has_a_name_for_all_that_steps_change():
    a, b = pair()
    opt = optim.SGD([{"params": [a]}, {"params": [b], "momentum": 0.9}], lr=0.1)
    assert list(opt.state_dict()) == ["lr.0", "lr.1", "momentum.1"]
    opt = optim.SGD([a], dampening=0.5, momentum=0.9)
    assert list(opt.state_dict()) == ["lr.0", "momentum.0", "started.0"]


@rules
def test_state_goes_through_a_checkpoint(name, tmp_path):
    a, b = pair()
    opt = RULES[name]([a, b])
    descend(opt, a, b)
    checkpoint.save(tmp_path / "file", opt.state_dict())
    state, _ = checkpoint.load(tmp_path / "file")
    again = RULES[name]([a, b])
    again.load_state_dict(state)
    for name, x in opt.state_dict().items():
        y = again.state_dict()[name]
        assert type(x) is type(y) and np.array_equal(x, y)


def test_a_state_is_a_copy():
    a, b = pair()
    opt = optim.SGD([a, b], momentum=0.9)
    state = opt.state_dict()
    state["momentum.0"][:] = 5.0
    opt.load_state_dict(state)
    state["momentum.0"][:] = 6.0
    assert np.array_equal(opt.state_dict()["momentum.0"], [5.0, 5.0])


@pytest.mark.parametrize(("change", "match"), [
    (lambda s: s.pop("momentum.1"), "SGD.load_state_dict: the state is not .*; missing: momentum.1; make it"),
    (lambda s: s.update(x=1.0, y=2.0), "unexpected: x, y;"),
    (lambda s: s.update({"momentum.0": np.ones(3)}), r"another shape: momentum.0 is \(3,\), expected \(2,\)"),
    (lambda s: s.update({"lr.0": np.ones(1)}), r"another shape: lr.0 is \(1,\), expected \(\)"),
    (lambda s: s.update({"momentum.0": ["a", "b"]}), "not numbers: momentum.0 is of dtype <U1"),
    (lambda s: (s.pop("lr.0"), s.update(z=0)), "missing: lr.0; unexpected: z;"),
    (lambda s: s.clear(), "missing: lr.0, momentum.0, momentum.1"),
])  # fmt: skip
def test_another_state_is_refused_and_nothing_has_changed(change, match):
    a, b = pair()
    opt = optim.SGD([a, b], 0.1, momentum=0.9)
    descend(opt, a, b)
    before = opt.state_dict()
    state = {name: x * 2 for name, x in before.items()}
    change(state)
    with pytest.raises(ValueError, match=match):
        opt.load_state_dict(state)
    assert all(np.array_equal(before[name], x) for name, x in opt.state_dict().items())


@rules
def test_copies_and_pickles_go_on_by_themselves(name):
    a, b = pair()
    opt = RULES[name]([a, b])
    descend(opt, a, b)
    for again in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
        state = again.state_dict()
        assert all(np.array_equal(x, state[name]) for name, x in opt.state_dict().items())
        before = a.data.copy()
        descend(again, *again.parameters)
        assert np.array_equal(a.data, before)


# -------------------------------------------------------------------- rules of one's own


def test_a_rule_without_update_says_so():
    opt = optim.Optimiser([P], lr=0.1)
    np.sum(P * P).backward()
    with pytest.raises(NotImplementedError, match="Optimiser: update is not defined"):
        opt.step()
    opt.zero_grad()


def test_a_rule_with_state_of_its_own_compiles():
    class Count(optim.Optimiser):
        def start(self, zeros, **settings):
            return {"sum": zeros, "n": 0.0}

        def update(self, p, g, state, *, lr):
            state["n"] = state["n"] + 1.0
            state["sum"] = state["sum"] + g
            return p - lr * state["sum"] / state["n"]

    def run(wrap):
        a, b = pair()
        opt = Count([a, b], lr=0.1)
        step = wrap(lambda: descend(opt, a, b))
        for _ in range(5):
            step()
        assert opt.state_dict()["n.1"] == 5.0
        return a.data

    np.testing.assert_allclose(run(cr.compile), run(lambda f: f), rtol=1e-12)
