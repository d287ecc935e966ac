"""Primitives of the user's own: every family in every sweep, and misuse named."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.special

import chainrule as cr
from chainrule import Value


@cr.primitive(partials=lambda y, x: 1 / (1 + np.exp(-x)))
def softplus(x: Any) -> Any:
    """What it says."""
    return np.logaddexp(0, x)


@cr.primitive(partials=(lambda y, a, b, *, n: n * a ** (n - 1) * b, lambda y, a, b, *, n: a**n))
def monomial(a: Any, b: Any = 2.0, *, n: int = 2) -> Any:
    return np.array([float(v) for v in np.ravel(a**n * b)]).reshape(np.shape(a**n * b))


@cr.primitive(partials=(2, None))
def doubled(x: Any, beside: Any) -> Any:
    return 2 * np.asarray(x) + 0 * np.asarray(beside)


@cr.primitive(transpose=lambda g, x: np.concatenate([-g[:1], g[:-1] - g[1:], g[-1:]]))
def steps(x: Any) -> Any:
    return x[1:] - x[:-1]


@cr.primitive(transpose=lambda g, x, y: (3 * g, -g))
def mixed(x: Any, y: Any) -> Any:
    return 3 * x - y


@cr.primitive(transposes=(lambda g, a, b: g * b, lambda g, a, b: g * a))
def scaled(a: Any, b: Any) -> Any:
    return np.multiply(a, b)


@cr.primitive(push=lambda ts, y, x: ts[0] @ x / y)
def length(x: Any) -> Any:
    return math.sqrt(sum(float(a) ** 2 for a in x))


@cr.primitive(
    push=lambda ts, y, x, k: np.cos(k * x) * sum(d * t for d, t in zip((k, x), ts) if t is not None),
    pull=lambda g, y, x, k: (g * k * np.cos(k * x), g * x * np.cos(k * x)),
)
def wave(x: Any, k: Any) -> Any:
    return np.sin(k * x)


@cr.primitive(push=lambda ts, y, x: y * ts[0], pull=lambda g, y, x: g * y)
def grown(x: Any) -> Any:
    return np.exp(x)


@cr.primitive(push=lambda ts, y, x: 0.0 * ts[0], pull=lambda g, y, x: None)
def level(x: Any) -> Any:
    return np.floor(x)


@cr.primitive(partials=lambda y, x: scipy.ndimage.gaussian_filter(x, 1.0))
def black(x: Any) -> Any:
    return x * 1.0


# Rules that need what is a black box too call it as a primitive.
@cr.primitive(partials=lambda y, x: 2 / np.pi - struve1(x))
def struve0(x: Any) -> Any:
    return scipy.special.struve(0, x)


@cr.primitive(partials=lambda y, x: struve0(x) - y / x)
def struve1(x: Any) -> Any:
    return scipy.special.struve(1, x)


V, W = np.array([0.5, -1.25, 2.0, 0.75]), np.array([1.5, 0.25, -0.5, 1.0])
CASES = {
    "elementwise": (softplus, (V,)),
    "number": (softplus, (0.5,)),
    "static argument": (lambda a, b: monomial(a, b=b, n=3), (V, W)),
    "default": (monomial, (V,)),
    "broadcast": (monomial, (V[:, None], W)),
    "constant": (lambda x: doubled(x, [1.0]), (V,)),
    "linear": (lambda x: steps(x**2), (V,)),
    "linear in two": (lambda x, y: mixed(x**2, np.sin(y)), (V, W)),
    "linear in one of two": (lambda x: mixed(x**2, W), (V,)),
    "bilinear": (scaled, (V, W)),
    "bilinear, broadcast": (lambda a, b: scaled(a, b), (V, 0.5)),
    "push": (length, (V,)),
    "push and pull": (wave, (V, W)),
    "pull of one": (grown, (V,)),
    "pull of nothing": (lambda x: level(x) * x, (V + 0.1,)),
    "black boxes of each other": (struve0, (V + 2.0,)),
}


@pytest.mark.parametrize("name", CASES)
def test_both_modes_to_third_order(name: str) -> None:
    f, point = CASES[name]
    cr.check_grads(f, point, order=3)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_compiled_as_eager(name: str) -> None:
    f, point = CASES[name]
    derivative = cr.grad(lambda *xs: np.sum(f(*xs) ** 2), tuple(range(len(point))))
    compiled = cr.compile(derivative)
    for want, got in zip(derivative(*point), compiled(*point), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    assert "no native code for it" in str(compiled.report())


def test_float32_stays_float32() -> None:
    x = V.astype(np.float32)
    assert softplus(Value(x)).dtype == cr.grad(lambda x: np.sum(softplus(x)))(x).dtype == np.float32


def test_on_plain_numbers_it_is_the_function() -> None:
    assert softplus(0.0) == np.logaddexp(0, 0.0) and type(softplus(Value(0.0)).data) is float
    np.testing.assert_array_equal(softplus(V), np.logaddexp(0, V))
    assert softplus.__name__ == "softplus" and softplus.__doc__ == "What it says."
    assert softplus(x=Value(1.0)).primitive.name == "softplus"


def test_a_ufunc_can_be_one() -> None:
    sine = cr.primitive(partials=lambda y, x: np.cos(x))(np.frompyfunc(math.sin, 1, 1))
    with pytest.raises(TypeError, match="returned an array of object"):
        sine(Value(V))
    sine = cr.primitive(partials=lambda y, x: np.cos(x))(np.sin)
    assert cr.grad(sine)(0.5) == math.cos(0.5)
    with pytest.raises(ValueError, match=r"sin: partials has 2 entries, but sin has 1 operand"):
        cr.primitive(partials=(1, 2))(np.sin)


def test_pictures_and_derivations_read_its_rule() -> None:
    x = Value(0.5, name="x")
    y = softplus(x) * 3
    assert "1/(1 + exp(-x))" in str(cr.explain(y))
    assert "softplus" in str(cr.draw(y))


def test_no_cotangent_is_lost_where_a_transpose_cancels() -> None:
    """A dead lane ends in the linear map: where its matrix is not 0 and 1 masks say nothing."""

    def f(x: Any) -> Any:
        return np.sum(np.where(np.array([True, False, True]), steps(x), 0.0) ** 2)

    cr.check_grads(f, (V,), order=2)


def test_a_push_that_leaves_the_graph_is_no_gradient_of_zeros() -> None:
    """Forward mode can use it; reverse mode, which goes back through it, would find nothing."""

    def solved(pull: Any) -> Any:
        push = lambda tangents, y, x: float(cr.data(tangents[0])) / (2 * float(cr.data(y)))
        return cr.primitive(push=push, pull=pull)(lambda x: math.sqrt(x))

    root = solved(None)
    assert cr.jvp(root, (4.0,), (1.0,)) == (2.0, 0.25)
    with pytest.raises(TypeError, match=r"push takes the bare numbers of its tangents.* state pull= as well"):
        cr.grad(root)(4.0)
    assert cr.grad(solved(lambda g, y, x: g / (2 * y)))(4.0) == 0.25
    steps = cr.primitive(push=lambda tangents, y, x: np.zeros_like(y))(np.floor)
    assert cr.grad(lambda x: np.sum(steps(x)))(np.array([1.5, 2.5])).tolist() == [0.0, 0.0]


def test_a_wrong_rule_is_found() -> None:
    wrong = cr.primitive(partials=lambda y, x: np.sin(x))(lambda x: np.cos(x))
    with pytest.raises(AssertionError, match="forward mode"):
        cr.check_grads(wrong, (0.7,))


def two(a: Any, b: Any) -> Any:
    return a * b


def one(x: Any, *, n: int = 1) -> Any:
    return n * x


MISUSE: dict[str, tuple[type[Exception], str, Any]] = {
    "no rule": (TypeError, r"received no rule, expected exactly one of partials=", lambda: cr.primitive()),
    "undecorated": (TypeError, r"no rule for one; write @cr\.primitive", lambda: cr.primitive(one)),
    "two families": (
        TypeError, r"received both partials= and push=",
        lambda: cr.primitive(partials=1, push=lambda ts, y, x: ts[0]),
    ),
    "undecorated: pull=": (TypeError, r"push= \(with which pull= may stand", lambda: cr.primitive(one)),
    "SciPy in a rule, differentiated": (
        TypeError, r"^black: partials, given Values .*: scipy\.ndimage\.gaussian_filter: .*chainrule\.prim",
        lambda: cr.hessian(lambda x: np.sum(black(x)))(V),
    ),
    "SciPy in a rule, compiled": (
        TypeError, r"^black: partials, given traced arrays .*scipy\.ndimage\.gaussian_filter",
        lambda: cr.compile(cr.grad(lambda x: np.sum(black(x))))(V),
    ),
    "pull alone": (TypeError, r"received pull= alone", lambda: cr.primitive(pull=lambda g, y, x: (g,))),
    "pull beside another": (
        TypeError, r"pull= stands beside push= only, received it with partials=",
        lambda: cr.primitive(partials=1, pull=lambda g, y, x: (g,)),
    ),
    "too few partials": (
        ValueError, r"two: partials has 1 entry, but two has 2 operand\(s\)",
        lambda: cr.primitive(partials=1)(two),
    ),
    "no function": (TypeError, r"received a float, expected a func", lambda: cr.primitive(partials=1)(2.0)),
    "a partial that is none": (
        TypeError, r"one: partials is a str, expected a function, a number or None",
        lambda: cr.primitive(partials="x")(one),
    ),
    "a partial of other arguments": (
        TypeError, r"one: partials takes \(x, \*, n\), expected \(y, x, \*, n\)",
        lambda: cr.primitive(partials=lambda x, *, n: n)(one),
    ),
    "a rule without the static arguments": (
        TypeError, r"one: transpose takes \(g, x\), expected \(g, x, \*, n\)",
        lambda: cr.primitive(transpose=lambda g, x: g)(one),
    ),
    "one transpose of two": (
        TypeError, r"two: transposes is .*, expected a pair",
        lambda: cr.primitive(transposes=lambda g, a, b: g)(two),
    ),
    "bilinear in one": (
        ValueError, r"one: transposes has 2 entries, but one has 1 operand",
        lambda: cr.primitive(transposes=(lambda g, a, b: g, lambda g, a, b: g))(one),
    ),
    "a push that is none": (TypeError, r"one: push is a int, expected a", lambda: cr.primitive(push=1)(one)),
    # ---- at its first use
    "partials of a sum": (
        ValueError, r"<lambda>: the result has shape \(\), which is not that of the operands; partials= is",
        lambda: cr.primitive(partials=1)(lambda x: np.sum(x))(Value(V)),
    ),
    "a partial of another shape": (
        ValueError, r"one: partials gave shape \(2,\), expected the shape of the result, \(4,\)",
        lambda: cr.grad(lambda x: np.sum(cr.primitive(partials=lambda y, x, n: np.ones(2))(one)(x)))(V),
    ),
    "a partial that gives nothing": (
        TypeError, r"one: partials gave None, expected a number or an array",
        lambda: cr.grad(lambda x: np.sum(cr.primitive(partials=lambda y, x, n: None)(one)(x)))(V),
    ),
    "a transpose of another shape": (
        ValueError, r"<lambda>: transpose gave shape \(\) for operand 0, expected the operand's shape \(4,\)",
        lambda: cr.grad(cr.primitive(transpose=lambda g, x: g)(lambda x: np.sum(x)))(V),
    ),
    "one transpose for two operands": (
        ValueError, r"two: transpose gave a ndarray, expected a tuple of 2 cotangents",
        lambda: cr.grad(lambda x: np.sum(cr.primitive(transpose=lambda g, a, b: g)(two)(x, x)))(V),
    ),
    "a transpose of a pair of another shape": (
        ValueError, r"two: transposes\[1\] gave shape \(2,\) for operand 1",
        lambda: cr.grad(
            lambda x: np.sum(
                cr.primitive(transposes=(lambda g, a, b: g * b, lambda g, a, b: (g * a)[:2]))(two)(x, x)
            )
        )(V),
    ),
    "a push of another shape": (
        ValueError, r"one: push gave shape \(2,\), expected the shape of the result, \(4,\)",
        lambda: cr.jvp(cr.primitive(push=lambda ts, y, x, n: ts[0][:2])(one), (V,), (V,)),
    ),
    "a pull of too many": (
        ValueError, r"one: pull gave 2 of them, expected a tuple of 1 cotangents",
        lambda: cr.vjp(
            cr.primitive(push=lambda ts, y, x, n: ts[0], pull=lambda g, y, x, n: (g, g))(one), V
        )[1](V),
    ),
    "several results": (
        TypeError, r"<lambda>: it returned a tuple, expected one number or array of floats; several",
        lambda: cr.primitive(partials=1)(lambda x: (x, x))(Value(V)),
    ),
    "integers": (
        TypeError, r"it returned an array of int64",
        lambda: cr.primitive(partials=1)(lambda x: x.astype(int))(V),
    ),
    "nothing": (TypeError, r"it returned None", lambda: cr.primitive(partials=1)(lambda x: None)(Value(V))),
    "a Value from outside": (
        TypeError, r"it reads a Value that is not its argument",
        lambda: cr.primitive(partials=1)(lambda x: x * OUTSIDE)(V),
    ),
    "a static Value": (
        TypeError, r"one: n is a Value, but arguments after the \* are static",
        lambda: cr.primitive(partials=lambda y, x, *, n: n)(one)(V, n=Value(2.0)),
    ),
    "an operand that is none": (
        TypeError, r"softplus: an operand is a str, expected a number or an array", lambda: softplus("x"),
    ),
    "too many operands": (TypeError, r"softplus: too many positional arguments", lambda: softplus(V, V)),
    "an unknown argument": (TypeError, r"softplus: got an unexpected keyword", lambda: softplus(V, n=1)),
    "written operands": (
        ValueError, r"assign: assignment destination is read-only",
        lambda: assign(Value(V)),
    ),
}  # fmt: skip
OUTSIDE = Value(2.0)


@cr.primitive(partials=1)
def assign(x: Any) -> Any:
    x[0] = 1.0
    return x


@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_named(name: str) -> None:
    kind, message, act = MISUSE[name]
    with pytest.raises(kind, match=message):
        act()
