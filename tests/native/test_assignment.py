"""In-place operators on traced arrays: the numbers of NumPy, or an error; never those from before."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.native.assignment import OPERATORS
from chainrule.traced import TracedError
from tests.native.agree import agree

X, Y = np.array([[0.5, -1.0], [2.0, 3.0]]), np.array([[1.0, 2.0], [4.0, 0.5]])


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator(name: str) -> None:
    """On the only name of an array, and on one that was read before."""
    whole = name in ("and", "or", "xor", "lshift", "rshift")
    x, y = (np.array([[5, 2], [7, 1]]), np.array([[1, 2], [0, 3]])) if whole else (abs(X), Y)

    def f(x: Any, y: Any) -> Any:
        h = x * 1
        before = h + 1
        h = getattr(operator, f"i{name}")(h, y)
        return h, before

    agree(cr.compile(f)(x, y), f(x, y), ulp=4, rtol=1e-15)


def usual(x: Any, y: Any) -> Any:
    h = x @ y
    h += y
    h = np.maximum(h, 0)
    h -= h.mean()
    h /= np.std(h)
    return h


def a_sum_of_terms(x: Any, y: Any) -> Any:
    total, number = np.zeros_like(x), 0.0
    for k in range(3):
        total += x * k
        number += np.sum(y)
    return total, number


def a_view_alone(x: Any, y: Any) -> Any:
    h = (x * y).reshape(4)
    h += 1
    h = h.reshape(2, 2).T
    h *= 2
    return h


def numbers(x: Any, y: Any) -> Any:
    s = np.sum(x)
    t = s
    s += 1
    return s, t


def scan(x: Any, y: Any) -> Any:
    def body(c: Any, _: Any) -> Any:
        h = c * y
        h += 1
        return h, None

    return cr.scan(body, x, None, 3)[0]


# Each makes an array that NumPy does not share with x, though it has the same numbers
COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": lambda x: x.copy(),
    "np.copy": np.copy,
    "astype": lambda x: x.astype(float),
    "np.astype": lambda x: np.astype(x, float),
    "flatten": lambda x: x.flatten(),
    "positive": lambda x: +x,
    "conjugate": np.conjugate,
    "concatenate": lambda x: np.concatenate([x]),
    "pad": lambda x: np.pad(x, 0),
    "sum of one": lambda x: np.sum(x[None], axis=0),
    "full_like": lambda x: np.full_like(x, x),
    "clip": lambda x: np.clip(x, None, None),
    "nan_to_num": np.nan_to_num,
    "where": lambda x: np.where(True, x, x),
    "an index": lambda x: x[np.array([0, 1])],
}


@pytest.mark.parametrize("f", [usual, a_sum_of_terms, a_view_alone, numbers, scan], ids=lambda f: f.__name__)
def test_as_numpy(f: Callable[..., Any]) -> None:
    agree(cr.compile(f)(X, Y), f(X.copy(), Y), rtol=1e-14)


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_may_be_changed(name: str) -> None:
    def f(x: Any) -> Any:
        h = COPIES[name](x)
        h *= 2
        return h, x

    agree(cr.compile(f)(X), f(X.copy()), rtol=1e-15)


# Each shares memory with h
SHARED: dict[str, Callable[[Any], Any]] = {
    "name": lambda h: h,
    "slice": lambda h: h[:1],
    "row": lambda h: h[0],
    "transpose": lambda h: h.T,
    "reshape": lambda h: h.reshape(4),
    "ravel": np.ravel,
    "new axis": lambda h: h[:, None],
    "broadcast_to": lambda h: np.broadcast_to(h, (3, 2, 2)),
    "view of a view": lambda h: h.T[0],
    "split": lambda h: np.split(h, 2)[0],
    "diagonal": np.diagonal,
    "flip": np.flip,
    "real": np.real,
}


@pytest.mark.parametrize("how", SHARED)
@pytest.mark.parametrize("where", ["returned", "used", "changed", "within", "assigned"])
def test_another_name_is_refused(how: str, where: str) -> None:
    """After ``h += 1``, what shared its memory; after ``view += 1``, what that is a view of."""
    w = Value(1.0)

    def f(x: Any) -> Any:
        h = x * 2
        other = SHARED[how](h)
        if where == "changed":
            other += 1
            return h * 2
        h += 1
        if where == "returned":
            return {"it": other}
        if where == "within":
            return cr.scan(lambda c, _: (c + np.sum(other), None), 0.0, None, 2)[0]
        if where == "assigned":
            w.grad = np.sum(other)
            return h
        return h, np.sin(other)

    with pytest.raises(TracedError, match=r"changed in place.*test_assignment.py, line .*\+= 1.*h = h \+ y"):
        cr.compile(f)(X)


def test_what_was_computed_from_it_before_stays() -> None:
    def f(x: Any) -> Any:
        h = x * 2
        fresh = [h + 0, h[np.array([0])], h.copy(), np.sum(h, 0)]
        h *= 3
        return h, fresh

    agree(cr.compile(f)(X), f(X.copy()), rtol=1e-15)


# Each changes what the caller has, or what is not of the loop's turn alone
REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "argument": (lambda x: operator.iadd(x, 1), r"an argument of the function.*write x = x \+ y"),
    "view of an argument": (lambda x: operator.imul(x[1:], 2), r"a view of one.*write x = x \* y"),
    "carry": (lambda x: cr.scan(lambda c, _: (operator.iadd(c, 1), None), x * 1, None, 2), "argument"),
    "around a loop": (
        lambda x: (lambda h: cr.scan(lambda c, _: (c + operator.iadd(h, 1), None), x * 1, None, 2))(x * 2),
        "from outside of the loop",
    ),
    "element": (lambda x: operator.setitem(x * 1, 0, 1.0), r"assignment to an element.*np\.where"),
    "mask": (lambda x: operator.setitem(x * 1, x > 0, 1.0), r"assignment to an element.*np\.where"),
    "at a mask": (lambda x: operator.imul(x[x > 0], 2), r"np\.where\(mask, new, x\)"),
    "out": (lambda x: np.add(x, 1, out=x * 1), r"add with out=.*use the result"),
    "out of a reduction": (lambda x: np.sum(x, 0, None, np.zeros(2)), r"sum with out=.*use the result"),
    "out of a method": (lambda x: x.clip(0, 1, np.zeros((2, 2))), r"clip with out=.*use the result"),
    "at": (lambda x: np.add.at(x * 1, 0, 1.0), r"add\.at.*make a new array"),
    "copyto": (lambda x: np.copyto(np.zeros((2, 2)), x), r"copyto.*make a new array"),
    "plain operator": (lambda x: operator.iadd(np.zeros((2, 2)), x), r"a = a \+ x for a \+= x"),
    "plain element": (lambda x: operator.setitem(np.zeros(2), 0, x[0, 0]), r"np\.stack"),
    "plain slice": (lambda x: operator.setitem(np.zeros((2, 2)), slice(None), x), r"np\.stack"),
    "fill": (lambda x: x.fill(0.0), r"np\.full_like"),
    "sort": (lambda x: x.sort(), r"x = np\.sort\(x\)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_the_line_and_a_remedy(what: str) -> None:
    f, remedy = REFUSED[what]
    with pytest.raises(TracedError, match=r"test_assignment\.py, line \d+, in .*" + remedy):
        cr.compile(f)(X)


def test_an_array_keeps_its_shape_and_dtype() -> None:
    def single(x: Any) -> Any:
        h = x.astype(np.float32)
        h += x
        return h

    agree(cr.compile(single)(X), single(X))
    with pytest.raises(ValueError, match=r"shape \(2, 2\), expected .*\(1, 2\)"):
        cr.compile(lambda x: operator.iadd(x[:1] * 1, x))(X)
    with pytest.raises(TypeError, match=r"float64, which .* int64"):
        cr.compile(lambda x: operator.iadd((x > 0) * 1, x))(X)
    with pytest.raises(TypeError, match="cannot hold a Value"):
        cr.compile(lambda x: operator.iadd(x * 1, Value(X)))(X)


# -------------------------------------------------------------------- what Values hold


def held_elsewhere(w: Any, x: Any) -> Any:
    """A graph keeps the numbers it was made from, whatever its owner does to his array."""
    h = x * 1
    v, y = Value(h), np.sum(w * h)
    h += 1
    y.backward()
    return v.data + h


def one_gradient_of_two(w: Any, x: Any) -> Any:
    a, b = Value(x), Value(x * 2)
    np.sum((a + b) ** 2).backward()
    a.grad *= 3
    return a.grad, b.grad


def gradients_returned(w: Any, x: Any) -> Any:
    ga, gb = cr.grad(lambda a, b: np.sum((a + b) ** 2), (0, 1))(x, x)
    ga *= 3
    return ga, gb


def two_losses(w: Any, x: Any) -> Any:
    first, second = np.sum(w * x), np.sum(w * w * x)
    first.backward()
    w.data -= 0.1 * w.grad
    second.backward()
    w.grad /= 2
    w.data += w.grad
    return w.data


@pytest.mark.parametrize(
    "f", [held_elsewhere, one_gradient_of_two, gradients_returned, two_losses], ids=lambda f: f.__name__
)
def test_values_keep_what_is_theirs(f: Callable[..., Any]) -> None:
    w, v = Value(X), Value(X)
    for _ in range(2):
        agree(cr.compile(lambda x: f(w, x))(Y), f(v, Y.copy()), rtol=1e-14)
        agree([w.data, w.grad], [v.data, v.grad], rtol=1e-14)


def test_what_a_value_gave_out_is_changed_and_assigned() -> None:
    w = Value(X)

    def step(x: Any) -> None:
        d = w.data
        d -= x
        w.data = d

    seen = w.data
    cr.compile(step)(Y)
    agree([w.data, seen], [X - Y, X - Y])  # the array that `data` gave out before follows, as in NumPy


@pytest.mark.parametrize("what", ["data", "grad"])
def test_what_a_value_gave_out_is_changed_alone(what: str) -> None:
    w = Value(X)
    w.grad = Y

    def step(x: Any) -> Any:
        d = getattr(w, what)
        d -= x
        return np.sum(w)

    with pytest.raises(TracedError, match=r"line \d+, in step: 'd -= x'.*write v\.data -= y"):
        cr.compile(step)(Y)


def test_what_a_value_gave_out_before_it_changed() -> None:
    w = Value(X)

    def step(x: Any) -> Any:
        d = w.data
        w.data -= x
        return d * 1

    with pytest.raises(TracedError, match=r"'w.data -= x'"):
        cr.compile(step)(Y)
