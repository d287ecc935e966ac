"""Messages: whoever looks at a call changes nothing, and what is written by hand is taken at its word."""

import contextlib
import gc
import math
import warnings
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3))


class Keyword(nn.Module):
    def forward(self, x, *, scale):
        return x * np.sin(scale)


class InContainer(nn.Module):
    def forward(self, x, pair):
        return x * pair[0] + pair[1]["b"]


class Held:
    def __init__(self, w):
        self.w = w


class ByObject(nn.Module):
    def __init__(self, w):
        self.held = Held(w)

    def forward(self, x):
        return {"y": x * self.held.w}


class ByHand(nn.Module):
    """With a parameter and a Value from outside, and a backward by hand."""

    def __init__(self, w):
        self.gain, self.held = Value(2.0), Held(w)

    def forward(self, x):
        return x * x * self.gain * self.held.w

    def backward(self, delta):
        (x,) = self.inputs
        return 2 * x * delta * self.gain * self.held.w


class AllByHand(ByHand):
    def parameter_gradients(self, delta):
        (x,) = self.inputs
        return {"gain": np.sum(x * x * self.held.w.data * delta)}


class Saving(nn.Module):
    """What it needs it keeps itself."""

    def forward(self, x):
        self.saved = x
        return x**3

    def backward(self, delta):
        return 3 * self.saved**2 * delta


class Bare(nn.Module):
    def __init__(self, **messages):
        self.w = Value(np.ones(3))
        self.answers = messages

    def forward(self, x):
        return x * self.w

    def backward(self, delta):
        return self.answers.get("backward", delta)

    def parameter_gradients(self, delta):
        return self.answers.get("parameters", {"w": np.sum(delta, axis=0)})


def total(tree):
    return sum(np.sum(y**2) for y in cr.containers.flatten(tree)[0])


def lstm(x, w):
    return nn.LSTM(3, 3, rng=0), lambda m: m(x, (w, w * 2))


def attention(x, w):
    return nn.MultiHeadAttention(3, 1, rng=0), lambda m: m(x, mask=w[:, :, :2])


CALLS = {
    "keyword": (X, 0.7, lambda x, w: (Keyword(), lambda m: m(x, scale=w))),
    "container": (X, X + 1, lambda x, w: (InContainer(), lambda m: m(x, [w, {"b": w**2, "n": None}]))),
    "object": (X, X + 1, lambda x, w: (ByObject(w), lambda m: m(x))),
    "by hand": (X, X + 1, lambda x, w: (ByHand(w), lambda m: m(x))),
    "all by hand": (X, X + 1, lambda x, w: (AllByHand(w), lambda m: m(x))),
    "state of an LSTM": (RNG.normal(size=(2, 4, 3)), RNG.normal(size=(1, 2, 3)), lstm),
    "mask": (RNG.normal(size=(2, 2, 3)), RNG.normal(size=(2, 2, 3)), attention),
}  # fmt: skip


@pytest.mark.parametrize("observe", [
    nn.watch,
    lambda module: module.register_backward_hook(lambda *_: None),
], ids=["watch", "hook"])  # fmt: skip
@pytest.mark.parametrize("case", CALLS.values(), ids=CALLS)
def test_observers_change_no_gradient(case, observe):
    x, w, make = case
    found = []
    for observer in (lambda module: contextlib.nullcontext(), observe):
        v, u = Value(x), Value(w)
        module, call = make(v, u)
        with observer(module):
            total(call(module)).backward()
        assert np.all(v.grad != 0)
        assert np.all(u.grad[..., :2] != 0 if np.ndim(w) else u.grad != 0)
        found.append([v.grad, u.grad, *[p.grad for p in module.parameters()]])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("derive", "power"), [
    (cr.jacobian, 1),
    (lambda f: cr.jacobian(f, mode="forward"), 1),
    (lambda f: cr.hessian(lambda x: np.sum(f(x) ** 2)), 2),
    (lambda f: lambda x: cr.hvp(lambda x: np.sum(f(x) ** 2), x, x), 2),
    (lambda f: cr.grad(lambda x: np.sum(cr.grad(lambda x: np.sum(f(x)))(x) ** 2)), 2),
    (lambda f: lambda x: cr.jvp(f, (x,), (x,))[1], 1),
    (cr.compile, 0),
    (lambda f: cr.compile(cr.grad(lambda x: np.sum(f(x)))), 1),
])  # fmt: skip
@pytest.mark.parametrize("module", [ByHand(Value(np.array([1.0, 2.0]))), Saving()])
def test_a_right_backward_by_hand_gives_the_derivatives_of_forward(module, derive, power):
    x = np.array([1.0, -2.0])
    got, want = derive(module)(x), derive(module.forward)(x)
    assert type(got) is type(want)
    np.testing.assert_allclose(cr.data(got), cr.data(want), rtol=1e-12)


def test_forward_mode_follows_the_backward_by_hand():
    class Straight(nn.Module):
        def forward(self, x):
            return np.where(x > 0, 1.0, 0.0), x * 2

        def backward(self, delta):
            return delta[0] * 3 + delta[1]

    x = np.array([-1.0, 2.0])
    both = cr.jvp(lambda x: Straight()(x), (x,), (np.array([1.0, 10.0]),))[1]
    np.testing.assert_array_equal(both, [[3, 30], [1, 10]])
    f = lambda x: Straight()(x)[0]
    for mode in ("forward", "reverse"):
        np.testing.assert_array_equal(cr.jacobian(f, mode=mode)(x), 3 * np.eye(2))
    np.testing.assert_array_equal(cr.hessian(lambda x: np.sum(f(x) ** 2))(x), 18 * np.eye(2))


def test_a_function_from_elsewhere_with_a_known_derivative():
    class Area(nn.Module):
        def forward(self, x):
            return np.vectorize(math.erf)(cr.data(x)) * math.sqrt(math.pi) / 2

        def backward(self, delta):
            (x,) = self.inputs
            return delta * np.exp(-(x**2))

    area, x = Area(), np.array([0.1, -0.5, 2.0])
    nn.check_module(area, x)
    first, second = np.exp(-(x**2)), -2 * x * np.exp(-(x**2))
    np.testing.assert_allclose(cr.grad(lambda x: np.sum(area(x)))(x), first)
    np.testing.assert_allclose(cr.hessian(lambda x: np.sum(area(x)))(x), np.diag(second))
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(cr.jacobian(area, mode=mode)(x), np.diag(first))
    np.testing.assert_allclose(cr.hvp(lambda x: np.sum(area(x)), x, x), x * second)


def test_forward_mode_refuses_what_it_cannot_transpose():
    class Outside(nn.Module):
        def forward(self, x):
            return np.sin(x)

        def backward(self, delta):
            return cr.data(delta) * np.cos(self.inputs[0])

    with pytest.raises(TypeError, match=r"Outside: forward mode .* use reverse mode"):
        cr.jvp(Outside(), (1.0,), (1.0,))
    assert cr.grad(Outside())(0.5) == np.cos(0.5)


@pytest.mark.parametrize(("answers", "match"), [
    ({"backward": None}, r"Bare.backward: returned None, expected the gradient of its input; is a `return`"),
    ({"backward": (X,)}, r"Bare.backward: returned a tuple for input 0, expected an array"),
    ({"backward": X[:1]}, r"Bare: backward gave a gradient of shape \(1, 3\) for an input, .*\(2, 3\)"),
    ({"parameters": None}, r"Bare.parameter_gradients: returned a NoneType, expected a dict"),
    ({"parameters": (X,)}, r"Bare.parameter_gradients: returned a tuple, expected a dict"),
    ({"parameters": {}}, r"Bare.parameter_gradients: returned \[\], .*missing: \['w'\]"),
    ({"parameters": {"w": X[0], "v": 1.0}}, r"no parameter: \['v'\]"),
    ({"parameters": {"w": X}}, r"gradient of shape \(2, 3\) for a parameter, expected its shape, \(3,\)"),
])  # fmt: skip
def test_an_incomplete_backward_is_an_error_in_the_sweep(answers, match):
    module = Bare(**answers)
    with pytest.raises((TypeError, ValueError), match=match):
        np.sum(module(Value(X))).backward()
    assert not np.any(module.w.grad)
    with pytest.raises(AssertionError, match=r"check_module: Bare\."):
        nn.check_module(module, X)


def test_two_inputs_need_two_gradients():
    class Product(nn.Module):
        def forward(self, a, b):
            return a * b

        def backward(self, delta):
            a, b = self.inputs
            return answer(delta, a, b)

    v, w = Value(2.0), Value(3.0)
    answer = lambda d, a, b: (d * b, d * a)
    Product()(b=w, a=v).backward()
    assert (v.grad, w.grad) == (3.0, 2.0)
    answer = lambda d, a, b: (d, d, d)
    with pytest.raises(
        ValueError, match=r"Product.backward: returned 3 gradients, expected a tuple .* 2 inputs"
    ):
        Product()(v, w).backward()
    answer = lambda d, a, b: d
    with pytest.raises(ValueError, match=r"Product.backward: returned a .*, expected a tuple"):
        Product()(v, w).backward()


def test_inputs_and_outgoing_have_the_containers_of_the_call():
    module, pair = InContainer(), (X, {"b": X})
    out = module(pair=pair, x=X)
    assert module.inputs[0] is X
    assert module.inputs[1][1]["b"] is X
    dx, (da, db) = module.backward(np.ones_like(out))
    np.testing.assert_array_equal([dx, da, db["b"]], [X, X, np.ones_like(X)])


def test_each_call_has_what_it_saved_and_no_parameter_is_made_of_it():
    module, x = Saving(), Value(np.array([1.0, 2.0]))
    np.sum(module(module(x))).backward()
    np.testing.assert_allclose(x.grad, 9 * x.data**8)
    assert module.parameters() == []
    assert module.state_dict() == {}


def test_numbers_in_lists():
    """A list of plain numbers stays one, as a layer may make an array of it; Values in it have gradients."""
    layer = nn.Linear(2, 1, rng=0)
    plain = layer([[1.0, 2.0]])
    with nn.watch(layer):
        np.testing.assert_array_equal(layer([[1.0, 2.0]]).data, plain.data)
    nn.check_module(layer, [[1.0, 2.0]])

    class Product(nn.Module):
        def forward(self, xs):
            return xs[0] * xs[1] ** 2

    module, v = Product(), Value(2.0)
    for observer in (contextlib.nullcontext(), nn.watch(module)):
        v.grad = None
        with observer:
            y = module([v, 3.0])
            assert module.inputs == ([2.0, 3.0],)
            y.backward()
        assert v.grad == 9.0
    assert module.backward(1.0) == [9.0, None]
    assert cr.grad(lambda v: cr.grad(lambda u: module([v, u]))(3.0))(2.0) == 6.0
    with nn.watch(module):
        assert cr.grad(lambda v: cr.grad(lambda u: module([v, u]))(3.0))(2.0) == 6.0


def test_a_compiled_call_is_not_watched_and_says_so():
    module = nn.Linear(3, 2, rng=0)
    f = cr.compile(lambda x: np.sum(module(x)))
    with nn.watch(module) as seen, pytest.warns(UserWarning, match="watch does not see into compiled"):
        f(X)
    assert seen.calls[""] == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(X)


@pytest.mark.parametrize("call", [
    lambda m, w: m(X, scale=w),
    lambda m, w: m(scale=w, x=X),
], ids=["keyword", "keywords"])  # fmt: skip
def test_an_idle_module_keeps_no_graph_alive(call):
    module = Keyword()
    leaf = Value(np.ones(3))
    w = leaf * 2
    call(module, w)
    array = weakref.ref(cr.data(w))
    w = None
    gc.collect()
    assert array() is None
    with pytest.raises(RuntimeError, match=r"Keyword: input 1 of its last call is gone"):
        module.inputs  # noqa: B018


def test_an_idle_module_keeps_no_container_alive():
    module = InContainer()
    w = Value(np.ones(3)) * 2
    module(X, (w, {"b": 1.0}))
    array = weakref.ref(cr.data(w))
    w = None
    gc.collect()
    assert array() is None
