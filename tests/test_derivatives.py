"""The derivative operators: what they return, in which containers and dtypes, and what they refuse."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import optree
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import chainrule as cr
from chainrule import Value

LEAVES = {
    "float": 2.0,
    "NumPy scalar": np.float64(2.0),
    "float32 scalar": np.float32(2.0),
    "array without axes": np.array(2.0),
    "vector": np.array([1.0, 2.0, 3.0]),
    "float32 matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "empty": np.zeros((0, 3)),
}
ANY_LEAF = pytest.mark.parametrize("leaf", LEAVES.values(), ids=LEAVES)


def like(got: Any, leaf: Any) -> bool:
    """Whether a derivative is of its argument's shape and dtype, a Python float for a Python float."""
    if type(leaf) is float:
        return type(got) is float
    return np.shape(got) == np.shape(leaf) and np.asarray(got).dtype == leaf.dtype


# -------------------------------------------------------------------- gradients


def f(x: Any, y: Any, *, scale: Any = 1.0) -> Any:
    return scale * x * y**2


def test_value_and_grad_gives_both():
    assert cr.value_and_grad(f)(2.0, 3.0) == (18.0, 9.0)
    assert cr.grad(f)(2.0, 3.0) == 9.0
    value, g = cr.value_and_grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    assert value == 9.0
    assert_array_equal(g, [3.0, 12.0])


@pytest.mark.parametrize(
    ("argnums", "want"),
    [
        (0, 9.0),
        (1, 12.0),
        (-1, 12.0),
        ((0, 1), (9.0, 12.0)),
        ((-1, 0), (12.0, 9.0)),
        ([1], (12.0,)),
        ((), ()),
    ],
)
def test_argnums_choose_the_arguments(argnums, want):
    assert cr.grad(f, argnums)(2.0, 3.0) == want
    assert cr.value_and_grad(f, argnums)(2.0, 3.0) == (18.0, want)


def test_keyword_arguments_are_passed_on():
    assert cr.grad(f)(2.0, 3.0, scale=10.0) == 90.0
    assert cr.jacobian(f, argnums=1)(2.0, 3.0, scale=10.0) == 120.0


@pytest.mark.parametrize(
    ("argnums", "error", "message"),
    [
        (2, TypeError, "argument 2, but the function was called with 2"),
        (-3, TypeError, "argument -3"),
        (True, TypeError, "expected an integer"),
        ("x", TypeError, "expected an integer"),
        (0.0, TypeError, "expected an integer"),
        ((0, -2), ValueError, "names an argument twice"),
    ],
)
@pytest.mark.parametrize(
    "operator", [cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian], ids=lambda o: o.__name__
)
def test_wrong_argnums_are_refused(operator, argnums, error, message):
    with pytest.raises(error, match=message):
        operator(f, argnums)(2.0, 3.0)


def test_aux_is_handed_through_as_plain_data():
    def loss(x):
        return np.sum(x**2), {"twice": 2 * x, "steps": 3, "note": "text", "none": None}

    x = np.array([1.0, 2.0])
    (value, aux), g = cr.value_and_grad(loss, has_aux=True)(x)
    g2, aux2 = cr.grad(loss, has_aux=True)(x)
    assert value == 5.0
    for a in (aux, aux2):
        assert type(a["twice"]) is np.ndarray
        assert_array_equal(a["twice"], [2.0, 4.0])
        assert (a["steps"], a["note"], a["none"]) == (3, "text", None)
    assert_array_equal(g, g2)
    assert_array_equal(g, [2.0, 4.0])
    value, pull, aux = cr.vjp(loss, x, has_aux=True)
    assert value == 5.0
    assert type(aux["twice"]) is np.ndarray
    assert_array_equal(pull(1.0)[0], [2.0, 4.0])


@pytest.mark.parametrize("wrong", [lambda x: x, lambda x: (x,), lambda x: [x, x], lambda x: (x, 1, 2)])
def test_has_aux_wants_a_pair(wrong):
    for call in (
        lambda: cr.grad(wrong, has_aux=True)(1.0),
        lambda: cr.value_and_grad(wrong, has_aux=True)(1.0),
        lambda: cr.vjp(wrong, 1.0, has_aux=True),
    ):
        with pytest.raises(TypeError, match="has_aux the function must return a pair"):
            call()


# -------------------------------------------------------------------- containers


class Layer(NamedTuple):
    weight: Any
    bias: Any


@optree.dataclasses.dataclass(namespace="")
class Block:
    first: Any
    rest: Any = None


W, B = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -0.5], np.float32)
CONTAINERS = {
    "dict": {"w": W, "b": B},
    "nested": {"layers": [(W, 1.5), (B, {"deep": 0.25})]},
    "tuple of one": (W,),
    "namedtuple": Layer(W, B),
    "dataclass": Block(W, [B, 2.0]),
    "None inside": (W, None, [None, 1.0]),
    "nothing inside": {"empty": [], "w": W},
}


@pytest.mark.parametrize("tree", CONTAINERS.values(), ids=CONTAINERS)
def test_derivatives_come_in_the_containers_of_the_arguments(tree):
    def total(t):
        return sum(k * np.sum(np.sin(x)) for k, x in enumerate(optree.tree_leaves(t), 1))

    leaves, spec = optree.tree_flatten(tree)
    want = [k * np.cos(x) for k, x in enumerate(leaves, 1)]
    along = optree.tree_map(lambda x: x * 0 + 1.0, tree)
    for g in (
        cr.grad(total)(tree),
        cr.value_and_grad(total)(tree)[1],
        cr.vjp(total, tree)[1](1.0)[0],
        cr.jacobian(total, mode="forward")(tree),
        cr.jacobian(total, mode="reverse")(tree),
    ):
        got, got_spec = optree.tree_flatten(g)
        assert got_spec == spec
        for a, b, leaf in zip(got, want, leaves, strict=True):
            assert like(a, leaf)
            assert_allclose(a, b, rtol=1e-6)
    slope = sum(np.sum(b) for b in want)
    assert_allclose(cr.jvp(total, (tree,), (along,))[1], slope, rtol=1e-6)
    assert_allclose(cr.directional_derivative(total, tree, along), slope, rtol=1e-6)
    assert_allclose(cr.linearize(total, tree)[1](along), slope, rtol=1e-6)
    curvature = cr.hvp(total, tree, along)
    assert optree.tree_structure(curvature) == spec
    for a, x, k in zip(optree.tree_leaves(curvature), leaves, range(1, 10), strict=False):
        assert_allclose(a, -k * np.sin(x), rtol=1e-6)


def test_outputs_may_be_containers():
    def g(x, y):
        return {"product": x * y, "parts": (np.sum(x), [y, 3.0]), "none": None}

    x, y = np.array([1.0, 2.0]), 5.0
    value, pull = cr.vjp(g, x, y)
    assert optree.tree_structure(value) == optree.tree_structure(g(x, y))
    assert type(value["product"]) is np.ndarray
    dx, dy = pull({"product": np.array([1.0, 10.0]), "parts": (100.0, [1000.0, 7.0]), "none": None})
    assert_array_equal(dx, [105.0, 150.0])
    assert dy == 1021.0
    value, t = cr.jvp(g, (x, y), (np.array([1.0, 0.0]), 2.0))
    assert_array_equal(t["product"], [7.0, 4.0])
    assert t["parts"] == (1.0, [2.0, 0.0])
    jacobian = cr.jacobian(g, argnums=(0, 1))(x, y)
    assert_array_equal(jacobian["product"][0], np.diag([5.0, 5.0]))
    assert_array_equal(jacobian["product"][1], x)
    assert_array_equal(jacobian["parts"][0][0], [1.0, 1.0])
    assert jacobian["parts"][1][0][1] == 1.0


# -------------------------------------------------------------------- shapes, dtypes and ownership


@ANY_LEAF
def test_a_gradient_is_of_its_arguments_shape_and_dtype_used_or_not(leaf):
    functions = {
        "used": lambda x, y: np.sum(np.sin(x) * 2.0) + y,
        "times float64": lambda x, y: np.sum(x * np.full(np.shape(cr.data(x)), 2.0)) + y,
        "unused": lambda x, y: y * 1.0,
        "constant": lambda x, y: 3,
        "stopped": lambda x, y: np.sum(cr.stop_gradient(x)) + y,
        "zero by rule": lambda x, y: np.sum(np.floor(x)) + y,
    }
    for name, h in functions.items():
        value, g = cr.value_and_grad(h)(leaf, 1.0)
        assert like(g, leaf), name
        assert not isinstance(value, Value), name
        assert np.all(np.asarray(g) == 0) == (not name.startswith(("used", "times")) or np.size(leaf) == 0), (
            name
        )
        value, pull = cr.vjp(h, leaf, 1.0)
        assert all(map(like, pull(1.0), (leaf, 1.0))), name
        for mode in ("forward", "reverse", "auto"):
            assert like(cr.jacobian(h, mode=mode)(leaf, 1.0), leaf), (name, mode)


@ANY_LEAF
def test_a_tangent_is_of_its_outputs_shape_and_dtype(leaf):
    for h in (lambda x: x * 2.0, lambda x: x, lambda x: np.floor(x), cr.stop_gradient):
        value, t = cr.jvp(h, (leaf,), (leaf,))
        assert like(value, leaf)
        assert like(t, leaf)


@pytest.mark.parametrize("constant", [3, 3.0, np.float32(3), np.arange(2), np.ones((2, 0))], ids=repr)
def test_constant_outputs_have_derivative_zero(constant):
    x = np.ones(3, np.float32)
    for mode in ("forward", "reverse", "auto"):
        j = cr.jacobian(lambda x: constant, mode=mode)(x)
        assert j.shape == np.shape(constant) + (3,)
        assert j.dtype == np.float32
        assert not j.any()
    t = cr.jvp(lambda x: constant, (x,), (x,))[1]
    assert np.shape(t) == np.shape(constant)
    assert not np.any(t)


A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
FUNCTIONS = {
    "identity": lambda x: x,
    "twice the same": lambda x: (x, x),
    "transposes and parts": lambda x: [x.T, x[0], x[:, ::2], x],
    "broadcast": lambda x: (np.broadcast_to(x, (2, 2, 3)), np.sum(x)),
    "sum": lambda x: np.sum(x),
    "constant and unused": lambda x: (x * 0.0, x[0, 0]),
    "without axes": lambda x: np.reshape(x[:1, :1], ()),
}


@pytest.mark.parametrize("h", FUNCTIONS.values(), ids=FUNCTIONS)
def test_what_is_returned_belongs_to_the_caller(h):
    """Writable, sharing memory with nothing: overwriting it all changes no later answer."""

    def answers():
        x, t = A.copy(), A + 1
        value, pull = cr.vjp(h, x)
        gs = optree.tree_map(lambda v: v * 0 + 1.0, value)
        out, lin = cr.linearize(h, x)
        held = [x, t, gs]
        first = [value, out, pull(gs), lin(t), cr.jvp(h, (x,), (t,)), cr.jacobian(h)(x)]
        first.append(cr.grad(lambda x: (np.sum(x**2), h(x)), has_aux=True)(x))
        first.append(cr.value_and_grad(lambda x: np.reshape(optree.tree_leaves(h(x))[-1].ravel()[:1], ()))(x))
        copies = optree.tree_map(np.copy, first)
        return held, first, copies, (lambda: [pull(gs), lin(t)])

    held, first, copies, again = answers()
    arrays = [a for a in optree.tree_leaves(first) if isinstance(a, np.ndarray)]
    for a in arrays:
        assert a.flags.writeable
        a[...] = np.nan
    assert np.isfinite(held[0]).all()
    assert np.isfinite(held[1]).all()
    assert all(np.isfinite(g).all() for g in optree.tree_leaves(held[2]))
    for a, b in zip(optree.tree_leaves(again()), optree.tree_leaves(copies[2:4]), strict=True):
        assert_array_equal(a, b)
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])


def test_raw_arguments_give_raw_results_and_values_give_values():
    raw, value = np.array([1.0, 2.0]), Value(np.array([1.0, 2.0]))

    def h(x):
        return np.sum(x**3)

    for operate in (
        lambda x: cr.grad(h)(x),
        lambda x: cr.vjp(h, x)[0],
        lambda x: cr.vjp(h, x)[1](1.0)[0],
        lambda x: cr.jvp(h, (x,), (raw,))[0],
        lambda x: cr.jvp(h, (x,), (raw,))[1],
        lambda x: cr.linearize(h, x)[1](raw),
        lambda x: cr.jacobian(h)(x),
        lambda x: cr.hessian(h)(x),
        lambda x: cr.hvp(h, x, raw),
        lambda x: cr.jvp(h, (raw,), (x,))[1],
    ):
        plain, tracked = operate(raw), operate(value)
        assert isinstance(plain, float | np.ndarray)
        assert type(tracked) is Value
        assert_allclose(tracked.data, plain, rtol=1e-15)


# -------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("output", "what"),
    [
        (lambda x: None, "None"),
        (lambda x: "text", "a str"),
        (lambda x: [x], "a list"),
        (lambda x: {"loss": x}, "a dict"),
        (lambda x: (x, x), "a tuple"),
        (lambda x: x * np.ones(2), r"an array of shape \(2,\)"),
        (lambda x: x * np.ones(1), r"an array of shape \(1,\)"),
        (lambda x: np.ones((2, 2)), r"an array of shape \(2, 2\)"),
        (lambda x: x * 1j, "a complex number"),
        (lambda x: 1j, "a complex number"),
    ],
)
def test_a_gradient_is_of_a_real_scalar(output, what):
    for name in ("grad", "value_and_grad"):
        with pytest.raises(TypeError, match=f"^{name}: the function returned {what}, expected"):
            getattr(cr, name)(output)(1.0)
    with pytest.raises(TypeError, match=f"returned {what}, expected"):
        cr.hessian(output)(1.0)
    with pytest.raises(TypeError, match=f"returned {what}, expected"):
        cr.hvp(output, 1.0, 1.0)


def test_outputs_that_are_no_numbers_are_refused():
    for text in (lambda x: "text", lambda x: (x, {"a": object()}), lambda x: [x, object()]):
        for name, call in (
            ("vjp", lambda text=text: cr.vjp(text, 1.0)),
            ("jvp", lambda text=text: cr.jvp(text, (1.0,), (1.0,))),
            ("linearize", lambda text=text: cr.linearize(text, 1.0)),
            ("jacobian", lambda text=text: cr.jacobian(text)(1.0)),
        ):
            with pytest.raises(
                TypeError, match=rf"^{name}: the function returned a (str|object), expected arrays"
            ):
                call()


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (3, r"3 \(int\)"),
        (True, r"True \(bool\)"),
        (np.int32(3), "int32"),
        (np.arange(3), "an array of int64"),
        (np.array([True]), "an array of bool"),
        (np.array([1.0, None]), "an array of object"),
        (np.array("2020-01-01", "M8[D]"), "an array of datetime64"),
        ("text", "a str"),
        (object(), "a object"),
    ],
    ids=lambda x: x if isinstance(x, str) else type(x).__name__,
)
def test_arguments_that_are_no_floats_are_refused_by_name(wrong, what):
    for name, call in (
        ("grad", lambda: cr.grad(lambda y, x: y, 1)(1.0, wrong)),
        ("vjp", lambda: cr.vjp(lambda y, x: y, 1.0, wrong)),
        ("jvp", lambda: cr.jvp(lambda y, x: y, (1.0, wrong), (1.0, 1.0))),
        ("linearize", lambda: cr.linearize(lambda y, x: y, 1.0, wrong)),
        ("jacobian", lambda: cr.jacobian(lambda y, x: y, -1)(1.0, wrong)),
    ):
        with pytest.raises(TypeError, match=rf"^{name}: argument 1 is .*{what}.*expected floats"):
            call()
    if isinstance(wrong, bool | str):  # in a container they stay as they are
        assert cr.grad(lambda p: p["layers"][0])({"layers": [1.0, wrong]}) == {"layers": [1.0, wrong]}
        return
    with pytest.raises(
        TypeError, match=r"^grad: argument 0\['layers'\]\[1\] is .*expected floats.*an argument of its own"
    ):
        cr.grad(lambda p: 1.0)({"layers": [1.0, wrong]})


@dataclasses.dataclass
class Spring:
    k: Any
    at: Any
    name: Any = "a"
    damped: Any = True
    last: Any = None


def energy(s: Spring) -> Any:
    assert (s.name, s.damped, s.last) == ("a", True, None)
    return s.k**2 * np.sum(s.at**2)


def test_what_is_no_number_stays_in_its_container():
    s, x = Spring(2.0, np.array([1.0, 2.0])), np.array([1.0, 2.0])
    gradients = cr.grad(energy)(s), cr.vjp(energy, s)[1](1.0)[0], cr.value_and_grad(energy)(s)[1]
    for g in gradients:
        assert (g.k, g.at.tolist(), g.name, g.damped, g.last) == (20.0, (8 * x).tolist(), "a", True, None)
    assert cr.jvp(energy, (s,), (s,))[1] == 80.0
    h = cr.hessian(energy)(s)
    assert (h.k.k, h.at.at.tolist(), h.at.name) == (10.0, (8 * np.eye(2)).tolist(), "a")
    assert cr.hvp(energy, s, s).k == 60.0
    cr.check_grads(energy, (s,), order=2)
    assert cr.jacobian(lambda x: {"y": 2 * x, "name": "a"})(3.0) == {"y": 2.0, "name": "a"}
    named = cr.compile(lambda p: p["k"] ** 2 if p["name"] == "a" else 0.0)
    assert cr.compile(cr.grad(named))({"k": 3.0, "name": "a"}) == {"k": 6.0, "name": "a"}
    with pytest.raises(ValueError, match=r"the structure .* expected that of"):
        cr.jvp(energy, (s,), (Spring(1.0, x, name="b"),))


@pytest.mark.parametrize("operator", [cr.grad, cr.hessian, cr.jacobian, cr.value_and_grad])
def test_an_attribute_is_named_as_one(operator):
    name = operator.__name__
    with pytest.raises(TypeError, match=rf"^{name}: argument 0\.k is 3 \(int\), expected floats.*of its own"):
        operator(energy)(Spring(3, np.ones(2)))


@pytest.mark.parametrize("operator", [cr.grad, cr.hessian, lambda f: lambda x: cr.hvp(f, x, x)])
def test_the_operator_called_is_the_one_named(operator):
    with pytest.raises(TypeError, match=r"^(grad|hessian|hvp): the function returned an array of"):
        operator(lambda x: x)(np.ones(2))


def test_what_is_differentiated_must_be_a_function():
    """Of a function's result there is nothing left to differentiate; told at once, not when it is called."""
    x = np.ones(2)
    for name, call in (
        ("grad", lambda: cr.grad(np.sum(x))),
        ("value_and_grad", lambda: cr.value_and_grad(1.0)),
        ("jacobian", lambda: cr.jacobian(x)),
        ("hessian", lambda: cr.hessian(None)),
        ("vjp", lambda: cr.vjp(x, x)),
        ("jvp", lambda: cr.jvp(x, (x,), (x,))),
        ("linearize", lambda: cr.linearize(x, x)),
        ("hvp", lambda: cr.hvp(x, x, x)),
        ("directional_derivative", lambda: cr.directional_derivative(x, x, x)),
    ):
        with pytest.raises(TypeError, match=f"^{name}: f is .*, expected a function; pass the function"):
            call()


def test_integers_that_are_not_differentiated_pass():
    assert cr.grad(lambda x, n, s: x**n if s == "up" else x)(2.0, 3, "up") == 12.0
