"""Writing into traced arrays: the numbers of NumPy under every name, or an error; never those from before."""

from __future__ import annotations

import contextlib
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


def elements(x: Any, y: Any) -> Any:
    out = np.empty(5, like=x)
    out[0] = x[0, 0]
    for i in range(1, 5):
        out[i] = out[i - 1] * y[1, 1] + np.sin(x[0, 1] * i)
    return out


def rows_and_columns(x: Any, y: Any) -> Any:
    h, t = np.zeros((3, 2), like=x), np.zeros_like(x)
    h[0] = x[1]
    h[1:, 1] += y[:, 0]
    h[-1, 0] = x[0, 0]
    row = h[1]
    row[0] = 9
    row += 1
    t[...] = x
    t[:, ::-1] *= 2
    t[None, 0] = y[:1]
    return h, row, t


def a_row_by_a_traced_number(x: Any, y: Any) -> Any:
    """A view as well, which follows the whole, and the whole it; what arrays and ``take`` pick is none."""
    h, i = np.outer(x, y), np.argmax(x)
    row, column, end, taken, picked = h[i], h.T[:, i - 1], h[i, 1:], np.take(h, i, axis=0), h[i, [0, 1]]
    row[0] = 9
    column += 1
    h[:, 2] = 5
    end *= 2
    taken[0] = picked[1] = 100
    return h, row, column, end, taken, picked


def at_indices(x: Any, y: Any) -> Any:
    h = x.ravel() * 1
    i = np.argsort(h)
    h[i[:2]] = y[0]
    h[np.argmax(h)] = -1
    h[[0, 0]] = y[1]
    h[np.array([True, False, False, True])] += 3
    h[2:2] = 5
    return h


def at_masks(x: Any, y: Any) -> Any:
    h, k, m = x * 1, x * 1, np.zeros(x.shape, like=x)
    h[x > 0.7] = 0
    k[y[:, 0] > 2] = x[0]
    m[~(x > 0)] = y[0, 0]
    return h, k, m


def from_itself(x: Any, y: Any) -> Any:
    h, k = x.ravel() + 0, x.ravel() + 0
    h[1:] = h[:-1]
    k[:] = k[::-1]
    return h, k


def other_kinds(x: Any, y: Any) -> Any:
    whole, single, z = (x * 3).astype(int), x.astype(np.float32), x * 1j
    whole[0] = y[1, 1]
    single[1] = y[0]
    z[0, 1] = x[1, 1]
    z[1] = 1 + 2j
    return whole, single, z


def functions_that_write(x: Any, y: Any) -> Any:
    a, b, c, d, e = (x + k for k in range(5))
    np.copyto(a, y, where=x > 0)
    np.fill_diagonal(b, y[0, 0])
    np.put(c, [0, -1], y[0])
    np.put_along_axis(d, np.array([[1], [0]]), y[:, :1], 1)
    np.putmask(e, x > 1, y)
    np.subtract.at(e, (np.array([0, 0]), np.array([1, 1])), y[0])
    np.maximum.at(e, 0, y[1])
    np.add(x, y, out=a, where=x > 0)
    np.sum(x, axis=0, out=d[0])
    x = x + 0
    x.clip(0, 1, x)
    b.partition(1, 0)
    holes = np.nan_to_num(np.where(x > 0, np.nan, x), copy=False, nan=y[0, 0])
    holes[0] *= 2
    return a, b, c, d, e, x, holes, x.compress([True, False], 1)


def a_loop_fills(x: Any, y: Any) -> Any:
    def body(i: Any, out: Any) -> Any:
        out[i] = y[i] * 2
        return out

    start = np.zeros((2, 2))
    def row(c: Any, r: Any) -> Any:
        c[0] += r
        return c, c

    first = np.zeros_like(x)
    return cr.fori(0, 2, body, start), start, cr.scan(row, first, x), first


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


@pytest.mark.parametrize(
    "f",
    [usual, a_sum_of_terms, a_view_alone, numbers, elements, rows_and_columns,
     a_row_by_a_traced_number, at_indices, at_masks,
     from_itself, other_kinds, functions_that_write, a_loop_fills, scan],
    ids=lambda f: f.__name__,
)  # fmt: skip
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
    "conj": lambda h: h.conj(),
    "nan_to_num": lambda h: np.nan_to_num(h, copy=False),
}


# What is written, and how
WRITTEN: dict[str, Callable[[Any, Any], Any]] = {
    "operator": lambda h, x: operator.iadd(h, 1),
    "element": lambda h, x: operator.setitem(h, (0, 1), x[1, 1]),
    "row": lambda h, x: operator.setitem(h, 1, x[0]),
    "column": lambda h, x: operator.setitem(h, (slice(None), -1), 7),
    "all": lambda h, x: operator.setitem(h, ..., x.T),
    "fill": lambda h, x: h.fill(3.0),
    "out": lambda h, x: np.multiply(x, 3, out=h),
    "at": lambda h, x: np.add.at(h, [0, 0, 1], x[0]),
    "sort": lambda h, x: h.sort(),
}


@pytest.mark.parametrize("how", SHARED)
@pytest.mark.parametrize("where", ["returned", "within", "assigned", "both"])
def test_every_name_sees_it(how: str, where: str) -> None:
    """After ``h`` was written to, what shares its memory; and after that was, ``h``."""
    read_only = how in ("broadcast_to", "diagonal")
    v, w = Value(1.0), Value(1.0)

    def f(x: Any, w: Any, what: str) -> Any:
        h = (x * 2).copy()
        other = SHARED[how](h)
        before = np.sum(other)
        WRITTEN[what](h, x)
        if where == "within":
            return cr.scan(lambda c, _: (c + np.sum(other), None), 0.0, None, 2)[0]
        if where == "assigned":
            w.grad = np.sum(other)
        if where == "both" and not read_only:
            other += 1
            other[-1] = 5
            other *= 2
        return {"it": other, "whole": h, "before": before}

    for what in WRITTEN:
        agree(cr.compile(lambda x, what=what: f(x, v, what))(X), f(X, w, what), rtol=1e-15)
        assert v.grad == w.grad


@pytest.mark.parametrize("how", ["broadcast_to", "diagonal"])
def test_what_numpy_shows_only(how: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        cr.compile(lambda x: operator.setitem(SHARED[how](x * 1), 0, 1.0))(X)


def test_a_reshape_that_may_be_a_copy() -> None:
    """The order in memory of what an argument was made into is not known: then one of the two is refused."""

    def of_argument(x: Any) -> Any:
        h = x * 2
        r = h.T.reshape(4)
        r[0] = 1
        return r, h

    with pytest.raises(TracedError, match=r"view or a copy depends.*begin with h = h.copy\(\)"):
        cr.compile(of_argument)(X)

    def of_copy(x: Any) -> Any:
        return _written(x.copy())

    agree(cr.compile(of_copy)(X), of_copy(X))


def _written(h: Any) -> Any:
    r = h.T.reshape(4)  # a copy, of an array in row-major order
    part, whole = r[1:3], h.reshape(4)
    h[1] = 7
    r[0], part[0] = 100, 50
    r[2] = 25
    whole[0] = 3
    with contextlib.suppress(ValueError):
        h[0] = np.ones(3)  # which does not fit
    h[0] += 1
    return r, h, whole, part


def test_what_was_computed_from_it_before_stays() -> None:
    def f(x: Any) -> Any:
        h = x * 2
        fresh = [h + 0, h[np.array([0])], h.copy(), np.sum(h, 0)]
        h *= 3
        return h, fresh

    agree(cr.compile(f)(X), f(X.copy()), rtol=1e-15)


# Each changes what the caller has, or what is not of the loop's turn alone; or a plain array
REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "argument": (lambda x: operator.iadd(x, 1), r"\+= .*an argument of the function.*x = x\.copy\(\)"),
    "view of an argument": (lambda x: operator.imul(x[1:], 2), r"\*= .*a view of one.*x = x\.copy\(\)"),
    "element of an argument": (lambda x: operator.setitem(x, 0, 1.0), r"an element.*x = x\.copy\(\)"),
    "entry": (lambda x: cr.scan(lambda c, r: (c, operator.iadd(r, 1)), 0.0, x), "argument"),
    "around a loop": (
        lambda x: (lambda h: cr.scan(lambda c, _: (c + operator.iadd(h, 1), None), x * 1, None, 2))(x * 2),
        "from outside of the loop",
    ),
    "around a branch": (
        lambda x: (lambda h: cr.cond(np.sum(x) > 0, lambda: operator.iadd(h, 1.0), lambda: h))(x * 2),
        "from outside of the loop or branch",
    ),
    "elements of a mask": (lambda x: operator.imul((x * 1)[x > 0], 2), r"np\.where\(mask, 2 \* x, x\)"),
    "many at a mask": (lambda x: operator.setitem(x * 1, x > 0, x[0]), r"np\.where\(mask, v, x\)"),
    "plain operator": (lambda x: operator.iadd(np.zeros((2, 2)), x), r"like=x"),
    "plain element": (lambda x: operator.setitem(np.zeros(2), 0, x[0, 0]), r"np\.zeros\(shape, like=x\)"),
    "plain slice": (lambda x: operator.setitem(np.zeros((2, 2)), slice(None), x), r"like=x"),
    "plain out": (lambda x: np.sum(x, 0, None, np.zeros(2)), r"sum with out=.*like=x"),
    "plain out of a ufunc": (lambda x: np.add(x, 1, out=np.zeros((2, 2))), r"add with out=.*like=x"),
    "plain at": (lambda x: np.add.at(np.zeros(2), 0, x[0, 0]), r"add\.at.*like=x"),
    "plain copyto": (lambda x: np.copyto(np.zeros((2, 2)), x), r"copyto.*like=x"),
    "resize": (lambda x: x.resize(4), r"x\.reshape\(shape\)"),
    "del": (lambda x: operator.delitem(x, 0), r"np\.delete"),
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
    """The Value follows, and what was computed before does not."""
    v, w = Value(X), Value(X)
    v.grad, w.grad = Y.copy(), Y.copy()

    def step(w: Any, x: Any) -> Any:
        before = w * x
        d = getattr(w, what)
        d -= x
        d[0] = 1
        seen = np.sum(w) + np.sum(w.grad)
        np.sum(before * before).backward()
        return seen, d

    agree(cr.compile(lambda x: step(v, x))(Y), step(w, Y), rtol=1e-14)
    agree([v.data, v.grad], [w.data, w.grad], rtol=1e-14)


def test_what_a_value_gave_out_before_it_changed() -> None:
    v, w = Value(X), Value(X)

    def step(w: Any, x: Any) -> Any:
        d = w.data
        w.data -= x
        e = d * 1
        w.data = x
        d[0] = 9
        return e, d, w.data * 1

    agree(cr.compile(lambda x: step(v, x))(Y), step(w, Y))
    agree(v.data, w.data)


def test_what_a_result_gave_out_is_not_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        cr.compile(lambda x: operator.setitem((Value(x) * 2).data, 0, 1.0))(X)


# -------------------------------------------------------------------- derivatives through what was written


def filled(x: Any) -> Any:
    out = np.zeros(4, like=x)
    for i in range(4):
        out[i] = x[i // 2, i % 2] ** 2
    out[1:3] *= x[0]
    out[out > 5] = 0
    return np.sum(out * out)


@pytest.mark.parametrize("of", [cr.grad, cr.hessian], ids=lambda f: f.__name__)
def test_derivatives(of: Any) -> None:
    agree(cr.compile(of(filled))(X), of(filled)(X), rtol=1e-13)
    agree(cr.compile(filled)(X), filled(X), rtol=1e-15)


# -------------------------------------------------------------------- names and views at random

VIEWS: list[Callable[[Any, Any], Any]] = [
    lambda a, rng: a.T,
    lambda a, rng: a.reshape(-1),
    lambda a, rng: a[index(a, rng)],
    lambda a, rng: a[None],
    lambda a, rng: np.flip(a, 0),
    lambda a, rng: np.moveaxis(a, 0, -1),
    lambda a, rng: np.split(a, [1])[rng.integers(2)],
    lambda a, rng: a[rng.integers(0, len(a), 2)] if len(a) else a,
    lambda a, rng: np.sin(a),
    lambda a, rng: cr.fori(0, 2, lambda i, c: operator.iadd(c, 1.5), a),
]


def at_random(x: Any, seed: int) -> Any:
    """Arrays that are made of one another, as views or not, and written to in between."""
    rng = np.random.default_rng(seed)
    arrays, seen = [x * 1.5 if seed % 4 == 0 else (x * 1.5).copy()], [0.5]
    for _ in range(rng.integers(3, 9)):
        a = arrays[rng.integers(len(arrays))]
        match rng.integers(6):
            case 0 | 1:
                b = VIEWS[rng.integers(len(VIEWS))](a, rng)
                arrays += [b] if np.ndim(b) else []
            case 2:
                a[index(a, rng)] = np.tanh(seen[-1])
            case 3:
                a[index(a, rng)] += seen[-1]
            case 4:
                np.multiply(a, 1.5, out=a)
            case 5:
                a[1:] = a[:-1]
        seen.append(np.sum(a))
    return arrays, seen[1:]


def index(a: Any, rng: Any) -> Any:
    starts = [rng.integers(0, n + 1) for n in a.shape]
    return tuple([slice(s, None, rng.choice([1, 2, -1])) if rng.integers(2) else slice(None) for s in starts])


def test_at_random() -> None:
    """NumPy's numbers under every name; or a refusal, where the order in memory decides."""
    refused = 0
    for seed in range(80):
        x = [X, np.arange(12.0).reshape(3, 2, 2) / 7, np.arange(6.0)][seed % 3]
        want = at_random(x.copy(), seed)
        try:
            got = cr.compile(lambda x, seed=seed: at_random(x, seed))(x)
        except TracedError as error:
            assert "begin with h = h.copy()" in str(error)
            refused += 1
            continue
        agree(got, want, rtol=1e-12, what=f"seed {seed}")
    assert refused < 16
