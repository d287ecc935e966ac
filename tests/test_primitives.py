"""Primitives as somebody defines them: what recording keeps, what each family asks for, what fitting does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import chainrule as cr
from chainrule import Value, check_grads
from chainrule.primitives import Bilinear, Elementwise, Lanes, Linear, Primitive, Special, fit
from chainrule.rules.arithmetic import add, divide, multiply, power
from chainrule.rules.convolution import correlate
from chainrule.rules.elementary import exp, log

# -------------------------------------------------------------------- recording


def test_raw_data_is_computed_and_a_value_is_recorded():
    assert add(1.0, 2.0) == 3.0
    assert type(add(1.0, 2.0)) is float
    assert type(add(np.ones(2), 1.0)) is np.ndarray
    x, c = Value([1.0, 2.0]), np.array([3.0, 4.0])
    y = multiply(c, x)
    assert type(y) is Value
    assert y.primitive is multiply
    assert y.inputs[1] is x
    assert_array_equal(y.inputs[0], c)
    assert_array_equal(y.args[0], c)
    assert_array_equal(y.args[1], x.data)
    assert y.params == {}
    assert y.serial > x.serial
    assert repr(multiply) == "<elementwise primitive multiply>"


def test_parameters_are_recorded():
    scaled = Elementwise(lambda x, *, by: x * by, lambda y, x, *, by: by, name="scaled")
    y = scaled(Value(2.0), by=3.0)
    assert y.params == {"by": 3.0}
    y.backward()
    assert y.inputs[0].grad == 3.0


def test_constant_operands_are_copied_once_and_only_if_somebody_can_change_them():
    x, mutable, constant = Value(np.ones(3)), np.ones(3), np.ones(3)
    constant.flags.writeable = False
    for c, same in ((mutable, False), (constant, True), (mutable[::-1], False), (constant[:], True)):
        y = add(x, c)
        assert (y.inputs[1] is c) == same
        assert y.args[1] is y.inputs[1]
    shown = mutable.view()
    shown.flags.writeable = False  # read-only here, but its owner may write
    assert add(x, shown).inputs[1] is not shown


def test_lists_are_operands_too():
    x = Value([1.0, 2.0])
    y = add([10.0, 20.0], x)
    np.sum(y * [[1.0], [2.0]]).backward()
    assert_array_equal(y.data, [11.0, 22.0])
    assert_array_equal(x.grad, [3.0, 3.0])


def test_python_floats_take_the_quick_way_and_fall_back_to_ieee_arithmetic():
    calls = []

    def scalar(x):
        calls.append(x)
        return 1.0 / x

    inverse = Elementwise(np.reciprocal, lambda y, x: -y * y, name="inverse", scalar=scalar)
    assert inverse(Value(4.0)).data == 0.25
    assert inverse(Value([4.0])).data.tolist() == [0.25]
    assert calls == [4.0]
    with np.errstate(all="ignore"):
        for got, want in (
            (inverse(Value(0.0)), math.inf),
            (divide(Value(1.0), 0), math.inf),
            (exp(Value(1000.0)), math.inf),
            (log(Value(0.0)), -math.inf),
            (Value(10.0) ** 400, math.inf),
            (Value(0.0) ** -1, math.inf),
        ):
            assert got.data == want
            assert type(got.data) is float
        for got in (log(Value(-1.0)), Value(-1.0) ** 0.5, Value(math.inf) - math.inf):
            assert math.isnan(got.data)
        for f, x, want in (
            (np.sqrt, 0.0, math.inf),
            (lambda x: x**0.5, 0.0, math.inf),
            (lambda x: 1 / x, 0.0, -math.inf),
            (lambda x: x**300 / 1e300, 1e3, math.inf),
        ):
            assert cr.grad(f)(x) == cr.jvp(f, (x,), (1.0,))[1] == want


def test_operands_that_do_not_fit_are_named_with_their_shapes():
    x = Value(np.ones((2, 3)))
    for call, message in (
        (lambda: x + np.ones(2), r"add: operands of shapes \(2, 3\) and \(2,\) do not broadcast together"),
        (lambda: np.ones((3, 2)) * x, r"multiply: operands of shapes \(3, 2\) and \(2, 3\)"),
        (lambda: np.maximum(x, x.T), r"maximum: operands of shapes \(2, 3\) and \(3, 2\)"),
        (lambda: np.where(np.ones(4) > 0, x, 0.0), r"where: operands of shapes \(4,\) and \(2, 3\) and"),
    ):
        with pytest.raises(ValueError, match=message):
            call()

    def refuses(x):
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match=r"^odd: no such thing; received shape \(2, 3\)"):
        Linear(refuses, lambda g, x: g, name="odd")(x)


# -------------------------------------------------------------------- one statement gives both modes

SHIFT = np.roll(np.eye(4), 1, axis=1) + 0.5 * np.eye(4)


def outer(a, b):
    return a[:, None] * b


FAMILIES = {
    "elementwise": (Elementwise(np.arctan, lambda y, x: 1 / (1 + x * x)), (np.array([0.5, -1.0]),)),
    "of two, broadcast": (
        Elementwise(lambda x, y: x * np.exp(y), lambda z, x, y: exp(y), lambda z, x, y: z, name="xexpy"),
        (np.array([[0.5], [2.0]]), np.array([0.3, -0.2, 1.0])),
    ),
    "constant partials": (
        Elementwise(lambda x, y: 2 * x - y, 2, -1, name="line"),
        (1.5, np.array([1.0, 2.0])),
    ),
    "number and array": (
        Elementwise(lambda x, y: x**2 * y, lambda z, x, y: 2 * x * y, lambda z, x, y: x**2, name="x2y"),
        (1.5, np.array([[1.0], [2.0]])),
    ),
    "with lanes": (
        Elementwise(
            lambda x: np.where(x > 1, x * x, 0.0),
            lambda y, x: 2 * x,
            lanes=(lambda y, x: np.greater(x, 1),),
            name="above",
        ),
        (np.array([0.5, 1.5, 3.0]),),
    ),
    "linear": (Linear(lambda x: SHIFT @ x, lambda g, x: SHIFT.T @ g, name="shift"), (np.arange(4.0),)),
    "linear in two together": (
        Linear(
            lambda x, y: 2 * x + np.sum(y),
            lambda g, x, y: (2 * g, np.sum(g) * np.ones(np.shape(y))),
            name="joint",
        ),
        (np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])),
    ),
    "linear with a parameter": (
        Linear(
            lambda x, *, n: np.repeat(x, n), lambda g, x, *, n: np.reshape(g, (-1, n)).sum(1), name="repeat"
        ),
        (np.array([1.0, 2.0]),),
    ),
    "bilinear": (
        Bilinear(outer, lambda g, a, b: g @ b, lambda g, a, b: a @ g),
        (np.array([1.0, 2.0]), np.array([3.0, -1.0, 0.5])),
    ),
    "push alone": (
        Special(lambda x: np.sum(x**3), lambda ts, y, x: np.sum(3 * x**2 * ts[0]), name="cubes"),
        (np.array([1.0, -2.0]),),
    ),
    "push of two": (
        Special(
            lambda x, y: np.sum(x) * np.exp(y),
            lambda ts, z, x, y: (
                (0.0 if ts[0] is None else np.sum(ts[0]) * exp(y)) + (0.0 if ts[1] is None else z * ts[1])
            ),
            name="sumexp",
        ),
        (np.array([1.0, -2.0]), 0.5),
    ),
    "push and pull": (
        Special(
            lambda x: x / np.linalg.norm(x),
            lambda ts, y, x: (ts[0] - y * np.sum(y * ts[0])) / np.linalg.norm(x),
            lambda g, y, x: ((g - y * np.sum(y * g)) / np.linalg.norm(x),),
            name="unit",
        ),
        (np.array([1.0, -2.0, 0.5]),),
    ),
}
PARAMS = {"linear with a parameter": {"n": 3}}


@pytest.mark.parametrize("name", FAMILIES)
def test_one_statement_gives_both_modes_to_third_order(name):
    primitive, operands = FAMILIES[name]
    params = PARAMS.get(name, {})
    check_grads(lambda *xs: primitive(*xs, **params), operands, order=3)
    for i in range(len(operands)):  # and with each operand alone, the others constants

        def alone(x, i=i):
            return primitive(*operands[:i], x, *operands[i + 1 :], **params)

        check_grads(alone, operands[i : i + 1], order=2)
    if len(operands) == 1:
        check_grads(lambda x: np.sin(primitive(np.sin(x), **params)), operands, order=2)


def test_a_primitive_without_rules_says_so():
    bare = Primitive(np.sin)
    assert bare(0.0) == 0.0
    y = bare(Value(1.0))
    with pytest.raises(NotImplementedError):
        y.backward()
    with pytest.raises(NotImplementedError):
        cr.jvp(bare, (1.0,), (1.0,))


def test_partials_that_nobody_asked_for_are_not_evaluated():
    def explode(*args):
        raise AssertionError("evaluated")

    lazy = Elementwise(np.multiply, lambda z, x, y: y, explode, name="lazy")
    x = Value([1.0, 2.0])
    np.sum(lazy(x, np.ones(2))).backward()
    assert_array_equal(x.grad, [1.0, 1.0])
    assert cr.jvp(lambda x: lazy(x, 2.0), (3.0,), (1.0,))[1] == 2.0
    with np.errstate(all="raise"):  # no logarithm of a negative base for an exponent that is a constant
        assert cr.grad(lambda x: power(x, 3.0))(-2.0) == 12.0
    with pytest.raises(AssertionError, match="evaluated"):
        np.sum(lazy(np.ones(2), x)).backward()


def test_a_zero_by_rule_is_no_derivative_at_all():
    step = Elementwise(np.floor, None, name="step")
    steep = Elementwise(lambda x: x, lambda y, x: math.inf, name="steep")
    assert cr.grad(lambda x: step(steep(x)))(1.5) == 0.0  # not 0 · inf
    assert cr.jvp(lambda x: step(steep(x)), (1.5,), (1.0,))[1] == 0.0
    none = Special(lambda x: x * 0, lambda ts, y, x: None, name="nothing")
    assert cr.grad(lambda x: none(x) + 2 * x)(1.0) == 2.0
    assert cr.grad(lambda x: none(x))(1.0) == cr.jvp(none, (1.0,), (1.0,))[1] == 0.0
    half = Special(lambda x, y: x + y, lambda ts, *_: ts[0], lambda g, *_: (g, None), name="half")
    assert cr.grad(half, (0, 1))(1.0, 2.0) == (1.0, 0.0)


@pytest.mark.parametrize(
    "x", [np.array([-1.0, 4.0]), np.array([4.0, -1.0]), np.array(-1.0), -1.0, 4.0], ids=str
)
def test_a_dead_lane_stays_dead_through_every_family(x):
    """Nothing is sent to the elements a selection did not take, so no infinity can turn it into nan."""
    steep = Elementwise(np.positive, lambda y, x: np.where(cr.data(x) > 0, 1.0, math.inf), name="steep")
    through = {
        "elementwise": lambda v: v * 2.0,
        "two": lambda v: v * v / v,
        "linear": lambda v: np.reshape(np.reshape(v, (-1, 1)), np.shape(cr.data(v))),
        "flipped": lambda v: np.flip(np.flip(v)),
        "joined": lambda v: np.reshape(np.stack([v, v])[:1], np.shape(cr.data(v))),
        "broadcast": lambda v: v + np.zeros((2,) + np.shape(cr.data(v))),
    }
    for name, f in through.items():
        for select in (
            lambda v: np.where(cr.data(v) > 0, v, 0.0),
            lambda v: np.maximum(v, 0.5),
            lambda v: np.clip(v, 0.5, 9.0),
            cr.relu,
        ):
            h = lambda x, f=f, select=select: np.sum(select(f(steep(x))))
            g = cr.grad(h)(x)
            assert np.isfinite(g).all(), name
            assert_array_equal(np.asarray(g) != 0, np.asarray(x) > 0)
            assert_allclose(cr.jvp(h, (x,), (x * 0 + 1,))[1], np.sum(g), rtol=1e-15)


def rows(x, w):
    return np.sqrt(x) @ w


def places(x, w):
    y = correlate(np.sqrt(np.reshape(x, (1, 4, 2))), np.reshape(w, (2, 2, 3)), strides=(1,), dilation=(1,))
    return np.reshape(y, (3, 3))


def strided(x, w):
    x, w = np.reshape(x, (1, 8, 1)), np.reshape(w[:2], (2, 1, 3))
    return np.reshape(correlate(np.sqrt(x), w, strides=(3,), dilation=(2,)), (2, 3))


def signal(x, w):
    return np.reshape(np.convolve(np.sqrt(np.reshape(x, -1)), w[0])[2:8], (3, 2))


def summed(x, w):
    return np.einsum("ij,jk->ik", np.sqrt(x), w)


# Of each the first row of the result comes from numbers that have no root, and others do not
PRODUCTS = [(rows, 2), (summed, 2), (places, 4), (strided, 2), (signal, 4)]


@pytest.mark.parametrize("f, columns", PRODUCTS, ids=lambda f: getattr(f, "__name__", ""))
def test_a_dead_row_stays_dead_in_both_factors(f, columns):
    """Neither the infinite derivative behind a factor, nor an infinity or nan in the other, becomes nan."""
    rng = np.random.default_rng(0)
    x, w = rng.uniform(1, 2, (4, 2)), rng.normal(size=(columns, 3))
    x[0], x[1, 0] = (-1.0, 0.0), -2.0
    with np.errstate(all="ignore"):
        good = np.isfinite(f(x, w)) & (np.arange(len(f(x, w)))[:, None] > 0)
    assert good.any() and not good.all()
    h = lambda x, w: np.sum(np.where(good, f(x, w), 0.0) ** 2)
    reverse = cr.grad(h, (0, 1))
    with np.errstate(all="ignore"):
        want = cr.jacobian(h, (0, 1), mode="forward")(x, w)
        for found in (reverse(x, w), cr.compile(reverse)(x, w)):
            for a, b in zip(found, want, strict=True):
                assert np.isfinite(a).all() and np.any(a)
                assert_allclose(a, b, rtol=1e-12, atol=1e-12)
        true = cr.grad(lambda x, w: np.sum(f(x, w)), (0, 1))(x, w)
    assert not any(np.isfinite(g).all() for g in true)  # what is taken is not hidden


def test_a_computed_zero_is_no_dead_lane():
    """``sqrt(x)²`` at 0 has no derivative by the chain rule, and must not become a silent 0."""
    with np.errstate(all="ignore"):
        for f in (lambda x: np.sqrt(x) ** 2, lambda x: np.where(np.array([True]), 0.0 * np.sqrt(x), 1.0)[0]):
            assert math.isnan(cr.grad(f)(0.0))


# -------------------------------------------------------------------- fitting


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0))
def test_fit_is_the_transpose_of_broadcasting(shapes):
    """``<fit(c), x> = <c, x>`` where both are broadcast, exactly, in whole numbers; on Values the same."""
    rng = np.random.default_rng(0)
    c, x = (rng.integers(-9, 9, shape).astype(float) for shape in shapes.input_shapes)
    got, wide = fit(c, x), np.broadcast_to(x, shapes.result_shape)
    assert got.shape == x.shape
    assert np.sum(got * x) == np.sum(np.broadcast_to(c, wide.shape) * wide)
    assert_array_equal(fit(got, x), got)
    recorded = fit(Value(c), x)
    assert type(recorded) is Value
    assert_array_equal(recorded.data, got)
    assert_array_equal(fit(x, wide), wide)  # the other way it broadcasts
    assert_array_equal(fit(float(x.sum()), wide), np.full(wide.shape, x.sum()))


def test_fit_casts_and_takes_the_real_part():
    z = np.array([1 + 2j, 3 - 1j])
    for like, want in (
        (np.ones(2), [1.0, 3.0]),
        (np.ones(2, np.float32), [1.0, 3.0]),
        (np.ones(1, np.float32), [4.0]),
        (np.ones((), np.float16), 4.0),
        (np.float32(1), 4.0),
        (1.0, 4.0),
        (np.ones(2, complex), z),
    ):
        for c in (z, Value(z)):
            got = cr.data(fit(c, like))
            assert_array_equal(got, want)
            assert np.asarray(got).dtype == np.asarray(like).dtype
            assert np.shape(got) == np.shape(like)
            assert (type(got) is float) == (type(like) is float)


def test_fit_leaves_alone_what_fits():
    for c, like in (
        (np.ones(3), np.zeros(3)),
        (2.0, 1.0),
        (Value(np.ones(3)), np.zeros(3)),
        (Value(2.0), 1.0),
    ):
        assert fit(c, like) is c


def test_fit_takes_numbers_of_every_kind():
    for c in (2, 2.0, True + 1, np.float32(2), np.int64(2), np.array(2), np.array([2])):
        for like in (1.0, np.float64(1), np.array(1.0), np.ones(1), np.ones((2, 3), np.float32)):
            got = fit(c, like)
            assert np.shape(got) == np.shape(like)
            assert np.all(np.asarray(got) == 2)
            assert np.asarray(got).dtype == np.asarray(like).dtype


def test_lanes_reach_an_operand_that_was_broadcast():
    """A number under a mask is alive if any of its copies is."""
    steep = Elementwise(lambda x: x, lambda y, x: math.inf, name="steep")
    for taken, want in (([True, False], 3.0), ([False, False], 0.0), ([True, True], 7.0)):
        f = lambda s, taken=taken: np.sum(np.where(taken, s, 0.0) * np.array([3.0, 4.0]))
        assert cr.grad(f)(1.0) == want
        assert cr.jvp(f, (1.0,), (1.0,))[1] == want
        assert cr.grad(lambda s, f=f: f(steep(s)))(1.0) == (math.inf if want else 0.0)
    lanes = Lanes(np.ones(2), np.array([True, False]))
    with pytest.raises(AttributeError):
        lanes.extra = 1
