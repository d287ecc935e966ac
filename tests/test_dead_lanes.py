"""Untaken branches never poison a gradient, both modes agree, and no true nan is hidden.

The oracle is the derivative of each operation at one number: what of an array is taken has this derivative,
be it infinite or nan, and what is not taken has exactly 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import chainrule as cr
from chainrule import Value
from tests.rules.test_accuracy import BINARY, UNARY

inf, nan = np.inf, np.nan
SPECIAL = np.array([0.0, -0.0, inf, -inf, nan, -1.0, 1.0, 2.5])
N = len(SPECIAL)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


# -------------------------------------------------------------------- parameters unpacked from a vector


@pytest.mark.parametrize("row", BINARY, ids=lambda row: row.name)
def test_unpacked_numbers_are_as_numbers_of_their_own(row):
    """At all pairs of special numbers, in both modes, and all four pairs of modes at second order."""
    f = lambda q: row.f(q[0], q[1])
    both = ("forward", "reverse")
    for point in itertools.product(SPECIAL, SPECIAL):
        q = np.array(point)
        want = cr.grad(row.f, (0, 1))(*q.tolist())
        for mode in both:
            assert_allclose(cr.jacobian(f, mode=mode)(q), want, rtol=1e-14, err_msg=f"{mode} at {point}")
        found = [cr.jacobian(cr.jacobian(f, mode=m), mode=n)(q) for m in both for n in both]
        for h in found[1:]:
            assert_allclose(h, found[0], rtol=1e-12, atol=1e-15, err_msg=f"second order at {point}")


UNPACKED = {
    "product": (lambda q: np.sqrt(q[0]) * q[1] + q[2] ** 2, [0.0, 2.0, 1.0], [inf, 0, 2]),
    "power": (lambda q: q[0] ** q[1] + q[2], [-2.0, 3.0, 1.0], [12, nan, 1]),
    "quotient": (lambda q: q[0] / q[1] - q[2], [1.0, 0.0, 1.0], [inf, -inf, -1]),
    "stack": (lambda q: np.sum(np.sqrt(np.stack([q[0], q[1]]))) + q[2], [0.0, 1.0, 1.0], [inf, 0.5, 1]),
    "padded": (lambda q: np.sum(np.sqrt(np.pad(q, 1))), [1.0, 0.0, 1.0], [0.5, inf, 0.5]),
    "beside": (lambda q: np.sum(np.sqrt(np.concatenate([[0.0], q]))), [1.0, 4.0, 0.0], [0.5, 0.25, inf]),
    "put": (lambda q: np.sum(np.sqrt(_put(q))), [1.0, 4.0, 0.0], [0.5, 0.25, 0]),
    "norm": (lambda q: np.linalg.norm(np.sqrt(q)[1:]) ** 2 + q[0], [0.0, 1.0, 4.0], [1, 1, 1]),
    "of all": (lambda q: np.sum(np.sqrt(np.reshape(q, (3, 1)).T[0])), [0.0, 1.0, 4.0], [inf, 0.5, 0.25]),
}


def _put(q: Any) -> Any:
    q = q * 1.0
    q[2] = 0.0
    return q


@pytest.mark.parametrize("name", UNPACKED)
def test_what_does_not_move_has_no_tangent(name):
    f, point, want = UNPACKED[name]
    q = np.array(point)
    for mode in ("forward", "reverse"):
        d = cr.jacobian(f, mode=mode)
        assert_allclose(d(q), want, rtol=1e-14)
        assert_allclose(cr.compile(d)(q), want, rtol=1e-14)


def test_a_hessian_of_unpacked_parameters():
    f, point, _ = UNPACKED["product"]
    assert_array_equal(cr.hessian(f)(np.array(point)), [[-inf, inf, 0], [inf, 0, 0], [0, 0, 2]])
    assert_array_equal(cr.compile(cr.hessian(f))(np.array(point)), [[-inf, inf, 0], [inf, 0, 0], [0, 0, 2]])


# -------------------------------------------------------------------- what was not picked


def _where(y: Any, ok: Any) -> Any:
    return np.where(ok, y, 0.0)


def _assigned(y: Any, ok: Any) -> Any:
    y = y * 1.0
    y[~ok] = 0.0
    return y


def _in_order(y: Any, ok: Any) -> Any:
    """A sort puts those that are ok first."""
    return np.take_along_axis(y, np.argsort(~ok, kind="stable"), 0)[: np.sum(ok)]


def _rows(y: Any, ok: Any) -> Any:
    return np.einsum("ij,jk->ik", np.reshape(y, (-1, 1)), np.ones((1, 2)))[ok] / 2


PICKS: dict[str, Callable[[Any, Any], Any]] = {
    "mask": lambda y, ok: y[ok],
    "index": lambda y, ok: y[np.flatnonzero(ok)],
    "numbers": lambda y, ok: np.stack([y[i] for i in np.flatnonzero(ok).tolist()]),
    "slices": lambda y, ok: np.concatenate([y[i : i + 1] for i in np.flatnonzero(ok).tolist()]),
    "compress": lambda y, ok: np.compress(ok, y),
    "take": lambda y, ok: np.take(y, np.flatnonzero(ok)),
    "delete": lambda y, ok: np.delete(y, np.flatnonzero(~ok)),
    "split": lambda y, ok: np.concatenate([p for p, k in zip(np.split(y, N), ok, strict=True) if k]),
    "flipped": lambda y, ok: np.flip(y)[np.flip(ok)],
    "rolled": lambda y, ok: np.roll(y, 3)[np.roll(ok, 3)],
    "reshaped": lambda y, ok: np.reshape(y, (2, -1)).T[np.reshape(ok, (2, -1)).T],
    "padded": lambda y, ok: np.pad(y, 1)[1:-1][ok],
    "scaled": lambda y, ok: (4.0 * y / 4.0)[ok],
    "where": _where,
    "assigned": _assigned,
    "sorted": _in_order,
    "einsum": _rows,
    "repeated": lambda y, ok: np.tile(y, 2)[:N][ok],
    "matmul": lambda y, ok: (np.reshape(y, (-1, 1)) @ np.ones((1, 2)))[ok, 1],
    "running": lambda y, ok: np.cumsum(np.reshape(y, (-1, 1)), 1)[ok],
}


def each(f: Callable[..., Any], points: Any) -> tuple[Any, Any]:
    """The values and derivatives at each number by itself."""
    value, slope = zip(*[cr.value_and_grad(f)(float(x)) for x in points], strict=True)
    return np.array(value), np.array(slope)


@pytest.mark.parametrize("row", UNARY, ids=lambda row: row.name)
def test_what_is_picked_has_its_derivative_and_nothing_else_has_any(row):
    value, slope = each(row.f, SPECIAL)
    for ok in (np.isfinite(slope), ~np.isfinite(slope)):  # neither poisoned nor hidden
        want = np.where(ok, slope, 0.0)
        for name, pick in PICKS.items():
            if not ok.any():
                continue
            f = lambda x, pick=pick, ok=ok: np.sum(pick(row.f(x), ok))
            for d in (cr.grad(f), cr.jacobian(f, mode="forward"), cr.jacobian(f, mode="reverse")):
                assert_allclose(d(SPECIAL), want, rtol=1e-12, atol=1e-300, err_msg=f"{name} of {ok}")
            x = Value(SPECIAL)
            f(x).backward()
            assert_allclose(x.grad, want, rtol=1e-12, atol=1e-300, err_msg=f"backward, {name} of {ok}")


@pytest.mark.parametrize("name", PICKS)
def test_compiled_too_and_at_second_order(name):
    x = np.array([0.0, 1.0, 4.0, 9.0, nan, -1.0, 0.0, 2.0])
    ok = np.isfinite(np.log(x))
    f = lambda x: np.sum(PICKS[name](x * np.sqrt(x) * np.log(x), ok))
    _, slope = each(lambda x: x * np.sqrt(x) * np.log(x), x)
    _, second = each(cr.grad(lambda x: x * np.sqrt(x) * np.log(x)), x)
    for d in (cr.grad(f), cr.jacobian(f, mode="forward")):
        assert_allclose(cr.compile(d)(x), np.where(ok, slope, 0.0), rtol=1e-12)
        for mode in ("forward", "reverse"):
            h = cr.jacobian(d, mode=mode)
            assert_allclose(h(x), np.diag(np.where(ok, second, 0.0)), rtol=1e-12)
    assert_allclose(cr.compile(cr.hessian(f))(x), np.diag(np.where(ok, second, 0.0)), rtol=1e-12)


@pytest.mark.parametrize("f", [
    np.diagonal, np.trace, lambda m: np.einsum("ii->i", m), lambda m: np.einsum("ii,i->i", m, np.ones(3)),
    lambda m: np.einsum("ii,jj->ij", m, np.eye(2)),
])  # fmt: skip
def test_what_is_off_a_diagonal_is_sent_nothing(f):
    m = np.where(np.eye(3) > 0, 4.0, [0.0, -1.0, nan])
    want = np.eye(3) * (1 if np.ndim(f(m)) < 2 else 2) / 4
    for mode in ("forward", "reverse"):
        d = cr.jacobian(lambda m: np.sum(f(np.sqrt(m))), mode=mode)
        assert_array_equal(d(m), want)
        assert_array_equal(cr.compile(d)(m), want)


MISSING = np.array([nan, 2.0, 3.0, 4.0])
TABLE = np.where(np.eye(4)[0][:, None] * np.eye(4)[2] > 0, nan, np.arange(16.0).reshape(4, 4) + 1)
STATISTICS: dict[str, Callable[[Any], Any]] = {
    "nanmean": lambda b: np.nanmean(MISSING * b),
    "nanstd": lambda b: np.nanstd(MISSING * b),
    "nanmax": lambda b: np.nanmax(MISSING * b),
    "nanprod": lambda b: np.nanprod(MISSING * b),
    "nancumsum": lambda b: np.sum(np.nancumsum(MISSING * b)),
    "nanmedian": lambda b: np.nanmedian(MISSING * b),
    "nanpercentile": lambda b: np.nanpercentile(MISSING * b, 30),
    "sort": lambda b: np.sum(np.sort(MISSING * b)[:3] * np.array([1.0, 2.0, 4.0])),
    "partition": lambda b: np.partition(MISSING * b, 1)[1],
    "matmul": lambda b: np.nansum(TABLE @ b),
    "einsum": lambda b: np.nansum(np.einsum("ij,j->i", TABLE, b)),
    "matmul of squares": lambda b: np.nansum((TABLE @ b) ** 2),
    "log": lambda b: np.sum(np.log(b - 1)[1:]),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_missing_data(name):
    """What is left out has derivative 0, the rest the derivative that differences show."""
    f, b, h = STATISTICS[name], np.array([1.0, 2.0, 3.5, 5.0]), 1e-6
    want = [float(f(b + h * e) - f(b - h * e)) / (2 * h) for e in np.eye(4)]
    want = np.where(np.isnan(want), 0.0, want)  # log(b - 1) at 1 has values on one side only
    for d in (cr.grad(f), cr.jacobian(f, mode="forward"), cr.compile(cr.grad(f))):
        assert_allclose(d(b), want, rtol=1e-7, atol=1e-7)
    both = ("forward", "reverse")
    found = [cr.jacobian(cr.jacobian(f, mode=m), mode=n)(b) for m in both for n in both]
    assert np.isfinite(found[0]).all()
    for other in found[1:]:
        assert_allclose(other, found[0], rtol=1e-11, atol=1e-13)


def test_gradients_of_intermediate_nodes_are_those_of_what_was_taken():
    """Also where the nan of one that was not taken reaches no leaf."""
    x = Value(np.array([-1.0, 4.0]))
    z = cr.relu(x)
    np.sum(np.where(z.data > 0, np.log(z), 0.0)).backward()
    assert_array_equal(z.grad, [0.0, 0.25])
    assert_array_equal(x.grad, [0.0, 0.25])


@pytest.mark.parametrize("no", [False, np.bool_(False), np.array(False)], ids=repr)
def test_one_condition_for_a_whole_array(no):
    x = np.array([0.0, 1.0])
    chosen = lambda x: np.sum(np.where(no, np.sqrt(x), 2 * x))
    nowhere = lambda x: np.sum(np.heaviside(1.0, np.sqrt(x))) + np.sum(2 * x)
    inner = lambda x: np.sum(np.where(no, np.einsum("i,->i", np.sqrt(x), np.sqrt(x[0])), 2 * x))
    for f in (chosen, nowhere, inner):
        for mode in ("forward", "reverse"):
            d = cr.jacobian(f, mode=mode)
            assert_array_equal(d(x), [2.0, 2.0])
            assert_array_equal(cr.compile(d)(x), [2.0, 2.0])


def test_a_computed_zero_is_picked_as_it_is():
    f = lambda x: np.sum((0.0 * np.sqrt(x))[:1]) + np.sum(x[1:])
    for mode in ("forward", "reverse"):
        assert_array_equal(cr.jacobian(f, mode=mode)(np.array([0.0, 0.0])), [nan, 1.0])


def test_the_order_of_sums_is_the_limit():
    """Reverse mode adds up and then multiplies, forward mode the other way: 0·∞ + 1·∞ is not (0 + 1)·∞."""
    f = lambda x: np.sum(np.array([0.0, 1.0]) * np.sqrt(x))
    assert cr.grad(f)(0.0) == inf
    assert np.isnan(cr.jvp(f, (0.0,), (1.0,))[1])


# -------------------------------------------------------------------- einsum over axes of one element

EINSUMS = [
    ("ij,ij->ij", (2, 3), (1, 3)), ("ij,ij->ij", (2, 3), (2, 1)), ("...i,...i->...", (2, 3), (1, 3)),
    ("i,i->i", (3,), (1,)), ("ij,ij->j", (2, 3), (1, 3)), ("ij,ij->", (2, 3), (1, 1)),
    ("ii,i->i", (3, 3), (1,)), ("ii,i->i", (1, 1), (3,)), ("ij,jk->ik", (2, 3), (1, 2)),
]  # fmt: skip
CHOICES: list[Callable[[Any], Any]] = [
    np.max,
    lambda y: np.sum(cr.relu(y)),
    lambda y: np.sum(np.where(cr.data(y) > 0.3, np.sqrt(y), 0.0)),
    lambda y: np.sum(np.reshape(y, -1)[:1]),
    lambda y: np.sum(_first_replaced(np.reshape(y, -1) * 1.0)),
]


def _first_replaced(y: Any) -> Any:
    y[:1] = 0.0
    return y


@pytest.mark.parametrize("subscripts, left, right", EINSUMS, ids=str)
def test_masks_of_einsum_over_axes_of_one_element(subscripts, left, right):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.1, 1, left), rng.uniform(0.1, 1, right)
    b.flat[-1] = 0.0
    for choose in CHOICES:
        f = lambda a, b, choose=choose: choose(np.einsum(subscripts, a, np.sqrt(b)))
        want = cr.jacobian(f, (0, 1), mode="forward")(a, b)
        reverse = cr.jacobian(f, (0, 1), mode="reverse")
        for d in (cr.grad(f, (0, 1)), reverse, cr.compile(reverse)):
            for found, w in zip(d(a, b), want, strict=True):
                assert_allclose(found, w, rtol=1e-12)
