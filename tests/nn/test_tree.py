"""Tree: which Values are parameters, in which order, under which names; state and freezing."""

import copy
import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim


class Tangle(nn.Module):
    """Parameters everywhere they may be, and things that are none."""

    def __init__(self):
        self.gain = Value(2.0)
        self.blocks = {
            "enc": nn.Linear(2, 3, rng=0),
            "dec": (nn.Linear(3, 2, bias=False, rng=1), Value(np.ones(2))),
        }
        self.again = self.blocks["enc"]  # shared
        self.tied = [self.gain]
        self.loss = self.gain * 3.0  # a result
        self.me = self  # a cycle
        self.count = 3
        self.table = np.ones(3)


def test_parameters_are_the_leaves_in_order_of_definition_each_once():
    module = Tangle()
    assert [name for name, _ in module.named_parameters()] == [
        "gain",
        "blocks.enc.weight",
        "blocks.enc.bias",
        "blocks.dec.0.weight",
        "blocks.dec.1",
    ]
    assert [id(p) for p in module.parameters()] == [id(p) for _, p in module.named_parameters()]
    assert module.parameters()[0] is module.gain


def test_zero_grad_reaches_every_parameter():
    module = Tangle()
    sum(np.sum(p * p) for p in module.parameters()).backward()
    assert all(np.all(p.grad == 2 * p.data) for p in module.parameters())
    module.zero_grad()
    assert all(np.all(p.grad == 0) for p in module.parameters())


def test_call_is_forward_and_a_missing_forward_says_so():
    class Twice(nn.Module):
        def forward(self, x, *, times=2):
            return times * x

    assert Twice()(3.0) == 6.0
    assert Twice()(3.0, times=3) == 9.0
    with pytest.raises(NotImplementedError, match="Tangle: forward is not defined"):
        Tangle()(1.0)


def test_repr_shows_what_holds_parameters():
    text = repr(Tangle.__new__(Tangle))
    assert text == "Tangle()"

    class Pair(nn.Module):
        def __init__(self):
            self.left = nn.Linear(2, 3, rng=0)
            self.scale = Value(np.ones(4))
            self.steps = 7

    assert (
        repr(Pair())
        == "Pair(\n  left = Linear(2 -> 3, 9 parameters, float64)\n  scale = Value(4,) float64\n)"
    )


def test_repr_of_a_cycle_ends():
    assert "gain" in repr(Tangle())


class Tied(nn.Module):
    """One weight in two layers, and a list that holds a Value and a module."""

    def __init__(self):
        self.a, self.b = nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1)
        self.b.weight = self.a.weight
        self.mixed = [Value(np.ones(2)), nn.Linear(2, 2, rng=2)]

    def forward(self, x):
        return self.mixed[1](self.b(np.tanh(self.a(x)))) * self.mixed[0]


@pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])
@pytest.mark.parametrize("part", ["a", "b"])
def test_a_shared_value_is_frozen_wherever_it_occurs(part, wrap):
    model = Tied()
    opt = optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.1)

    @wrap
    def step():
        opt.zero_grad()
        np.sum(model(np.ones((3, 2))) ** 2).backward()
        opt.step()

    step()
    weight, names = model.a.weight, [name for name, _ in model.named_parameters()]
    getattr(model, part).freeze()
    before = model.state_dict()
    assert "a.weight" not in [name for name, _ in model.named_parameters()] and list(before) == names
    for _ in range(2):
        step()
        assert np.all(weight.grad == 0)  # reading makes zeros, which the optimiser must not follow
    after = model.state_dict()
    still = {name for name in after if np.array_equal(after[name], before[name])}
    assert still == {"a.weight", f"{part}.bias"}
    getattr(model, part).unfreeze()
    assert [name for name, _ in model.named_parameters()] == names
    step()
    assert not np.array_equal(model.state_dict()["a.weight"], after["a.weight"])


def test_a_compiled_step_notices_what_is_frozen_through_a_module_that_it_does_not_read():
    reads, other = nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1)
    other.weight = reads.weight
    opt = optim.SGD(reads.parameters(), 0.1)

    @cr.compile
    def step():
        opt.zero_grad()
        np.sum(reads(np.ones((3, 2))) ** 2).backward()
        opt.step()

    def moves():
        before = reads.state_dict()
        step()
        return {name for name, a in reads.state_dict().items() if not np.array_equal(a, before[name])}

    assert moves() == {"weight", "bias"}
    for _ in range(2):
        other.freeze()
        assert moves() == {"bias"}
        other.unfreeze()
        assert moves() == {"weight", "bias"}
    assert sum(map(len, step.programs.values())) == 2


def test_a_value_frozen_in_two_places_is_free_when_both_are():
    model = Tied()
    model.a.freeze()
    model.b.freeze()
    model.a.unfreeze()
    assert "a.weight" not in dict(model.named_parameters())
    model.b.unfreeze()
    assert "a.weight" in dict(model.named_parameters())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_a_frozen_module_is_frozen(copied):
    class Scale(nn.Module):
        def __init__(self):
            self.gain, self.shift = Value(2.0), Value(np.ones(2))

    globals()["Scale"] = Scale
    Scale.__qualname__ = "Scale"
    model = copied(Scale().freeze())
    assert model.parameters() == [] and list(model.state_dict()) == ["gain", "shift"]
    assert len(model.unfreeze().parameters()) == 2


def test_values_beside_modules_in_a_list_are_frozen_and_what_is_assigned_meanwhile_counts():
    model = Tied().freeze()
    assert model.parameters() == [] and type(model.mixed[0]) is np.ndarray
    model.a.bias = Value(np.full(2, 7.0))
    assert [name for name, _ in model.named_parameters()] == ["a.bias"]
    assert np.all(model.state_dict()["a.bias"] == 7.0)
    model.unfreeze()
    assert np.all(model.a.bias.data == 7.0) and type(model.mixed[0]) is Value


@pytest.mark.parametrize("keys", [{1: 1.0, "1": 2.0}, {"a.b": 1.0, "a": {"b": 2.0}}])
def test_two_parameters_of_one_path_are_refused(keys):
    module = nn.Module()
    module.table = {k: {"b": Value(2.0)} if k == "a" else Value(1.0) for k in keys}
    for asked in (module.named_parameters, module.state_dict, lambda: module.load_state_dict({})):
        with pytest.raises(ValueError, match="two Values have the path 'table"):
            asked()


@pytest.mark.parametrize("wrong", ["text", 1j, None], ids=str)
def test_a_state_that_holds_no_numbers_changes_nothing(wrong):
    model = nn.Linear(2, 2, rng=0)
    before = model.state_dict()
    with pytest.raises(ValueError, match="not numbers: bias is of dtype"):
        model.load_state_dict({"weight": np.ones((2, 2)), "bias": [wrong, wrong]})
    assert all(np.array_equal(a, before[name]) for name, a in model.state_dict().items())


def test_a_state_that_is_not_strict_may_lack_and_exceed_but_must_fit():
    model = nn.Linear(2, 2, rng=0)
    model.load_state_dict({"bias": [1, 2], "other": 3.0}, strict=False)
    assert model.bias.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match=r"of another shape: bias is \(3,\)"):
        model.load_state_dict({"bias": np.ones(3)}, strict=False)


def test_an_attribute_may_be_called_frozen_but_not_inputs():
    class Mine(nn.Module):
        def __init__(self):
            self.frozen = Value(1.0)

    assert [name for name, _ in Mine().named_parameters()] == ["frozen"]
    with pytest.raises(AttributeError, match=r"Mine\.inputs: .*give the attribute another name"):
        Mine().inputs = 3


def test_an_exception_raised_again_names_one_path():
    error = ValueError("Twice: wrong")

    class Twice(nn.Module):
        def forward(self, x):
            raise error

    first, second = nn.Sequential(nn.Sequential(Twice())), nn.Sequential(nn.ReLU(), Twice())
    for model, path in ((first, "0.0"), (first, "0.0"), (second, "1"), (first, "0.0")):
        with pytest.raises(ValueError) as caught:
            model(np.ones(2))
        assert str(caught.value) == f"{path}: wrong"


def test_modules_and_children():
    model = Tied()
    assert [id(m) for m in model.modules()] == [id(m) for _, m in model.named_modules()]
    assert [id(m) for m in model.children()] == [id(m) for m in (model.a, model.b, model.mixed[1])]
    outer = nn.Sequential(model)
    assert len(outer.children()) == 1 and outer.children()[0] is model


@pytest.mark.parametrize(
    ("module", "name", "here"),
    [(nn, "CrossEntropyLoss", "cross_entropy"), (nn, "Parameter", "Value"), (cr, "jit", "chainrule.compile")],
)
def test_names_of_other_libraries_lead_to_ours(module, name, here):
    with pytest.raises(AttributeError, match=f"no attribute {name!r}; here it is .*{here}"):
        getattr(module, name)
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = module.nonsense


def test_the_package_lists_what_it_has():
    shown = dir(cr)
    assert {"compile", "draw", "nn", "optim", "train", "random", "micrograd", "interchange"} <= set(shown)
    assert "Any" not in shown and all(getattr(cr, name) is not None for name in shown if name != "sklearn")
