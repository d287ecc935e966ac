"""The hard points: what engines for differentiation get wrong, each with the number that is right.

Conventions at kinks: the derivative of smallest norm, ties share evenly, and forward mode equals
reverse mode everywhere, in every combination of the two at second order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn
from tests.hard import row

inf, nan, pi = np.inf, np.nan, np.pi


class Row(NamedTuple):
    """At ``point`` the derivatives of ``f`` in its arguments are ``wanted``."""

    number: int
    statement: str
    f: Any
    point: tuple[Any, ...]
    wanted: tuple[Any, ...]
    atol: float = 0.0  # of what LAPACK has rounded

    def __str__(self) -> str:
        return f"{self.number}: {self.statement}"


def a(*x: Any) -> Any:
    return np.array(x, float)


def total(f: Any) -> Any:
    return lambda *x: np.sum(f(*x))


def xlogx(x: Any) -> Any:
    return cr.xlogy(x, x)


ROWS, ROW = np.array([[0.0, 1.0], [4.0, 9.0]]), np.array([False, True])
MATRIX = np.array([[1.0, 2.0], [3.0, -1.0]])
SLOPE = np.e / (1 + np.e) ** 2  # of the logistic function at 1


def second_row(f: Any) -> Any:
    """f(√x) of two rows, of which the first is not taken: there √x has no derivative."""
    taken = ROW if np.ndim(f(np.ones((2, 2)))) == 1 else ROW[:, None]
    return lambda x: np.sum(np.where(taken, f(np.sqrt(x)), 0.0))


def of_second_row(f: Any) -> Any:
    """√f(x), where of x a row has been replaced by zeros."""
    return lambda x: np.sum(np.sqrt(f(np.where(ROW[:, None], x, 0.0))))


AFTER = [
    (name, second_row(f), row)
    for name, f, row in (
        ("a product of matrices", lambda x: x @ MATRIX, [3 / 4, 1 / 3]),
        ("a product from the right", lambda x: (MATRIX @ x.T).T, [1, 1 / 6]),
        ("einsum", lambda x: np.einsum("ij,jk->ik", x, MATRIX), [3 / 4, 1 / 3]),
        ("prod", lambda x: np.prod(x, 1), [3 / 4, 1 / 3]),
        ("cumprod", lambda x: np.cumprod(x, 1), [1, 1 / 3]),
        ("std", lambda x: np.std(x, 1), [-1 / 8, 1 / 12]),
        ("var", lambda x: np.var(x, 1), [-1 / 8, 1 / 12]),
        ("the norm", lambda x: np.linalg.norm(x, axis=1), [0.5 / 13**0.5, 0.5 / 13**0.5]),
        ("max", lambda x: np.max(x, 1), [0, 1 / 6]),
        ("median", lambda x: np.median(x, 1), [1 / 8, 1 / 12]),
        ("logsumexp", lambda x: cr.logsumexp(x, 1), [0.25 / (1 + np.e), np.e / (1 + np.e) / 6]),
        ("softmax", lambda x: cr.softmax(x, 1) @ a(1, 2), [-SLOPE / 4, SLOPE / 6]),
    )
]
BEFORE = [
    (name, of_second_row(f), row)
    for name, f, row in (
        ("a product of matrices", lambda x: x @ np.eye(2), [1 / 4, 1 / 6]),
        ("einsum", lambda x: np.einsum("ij,jk->ik", x, np.eye(2)), [1 / 4, 1 / 6]),
        ("prod", lambda x: np.prod(x, 1), [3 / 4, 1 / 3]),
    )
]

FIRST = [
    Row(1, "where(x > 0, sqrt x, 0 x) at -1", lambda x: np.where(x > 0, np.sqrt(x), 0 * x), (-1.0,), (0.0,)),
    Row(1, "where with log, division, power and arccosh in the dead branch",
        lambda x: np.where(x > 0, np.log(x) + 1 / x + x**-1.5 + np.arccosh(x), x), (0.0,), (1.0,)),
    Row(1, "where deeper down", lambda x: np.where(x > 0, np.exp(np.sqrt(x) * 2.0), x), (-1.0,), (1.0,)),
    Row(1, "where through a reduction",
        lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0 * x)), (a(-1, 4),), (a(0, 0.25),)),
    Row(1, "where through shapes", lambda x: np.sum(np.where(a(0, 1) > 0, np.sqrt(x)[::-1].reshape(2), 0.0)),
        (a(4, 0),), (a(0.25, 0),)),
    Row(1, "where before sqrt", lambda x: np.sum(np.sqrt(np.where(x > 0, x, 0.0))),
        (a(-1, 4),), (a(0, 0.25),)),
    Row(1, "relu before sqrt and log", lambda x: np.sqrt(cr.relu(x)) + np.log(cr.relu(x)), (-1.0,), (0.0,)),
    Row(1, "clip before arcsin", lambda x: np.arcsin(np.clip(x, -1, 1)) * 2 + x, (2.0,), (1.0,)),
    Row(1, "where before shapes and sqrt",
        lambda x: np.sum(np.sqrt(np.concatenate([np.where(x > 0, x, 0.0)[::-1], x + 5]))), (a(-1, 4),),
        (a(0.25, 0.25 + 1 / 6),)),
    Row(1, "clip in the place of where", lambda x: np.clip(np.sqrt(x), 1.0, 2.0), (0.0,), (0.0,)),
    Row(1, "relu in the place of where", lambda x: cr.relu(1 - 1 / np.sqrt(x)), (0.0,), (0.0,)),
    Row(1, "maximum in the place of where", lambda x: np.maximum(x**0.5, 1.0), (0.0,), (0.0,)),
    Row(1, "max in the place of where", lambda x: np.max(np.sqrt(x)), (a(0, 4),), (a(0, 0.25),)),
    *(Row(1, f"where after {name}", f, (ROWS,), (np.array([[0.0, 0.0], row]),)) for name, f, row in AFTER),
    *(Row(1, f"where before {name}", f, (ROWS,), (np.array([[0.0, 0.0], row]),)) for name, f, row in BEFORE),
    Row(1, "select in the place of where", lambda x: np.select([x > 0, x > -9], [np.sqrt(x), 0 * x]),
        (-1.0,), (0.0,)),
    Row(1, "piecewise in the place of where",
        lambda x: np.sum(np.piecewise(x, [x > 0], [np.sqrt, lambda x: 0 * x])), (a(-1, 4),), (a(0, 0.25),)),
    Row(2, "where(x == 0, 1, sin x / x) at 0", lambda x: np.where(x == 0, 1.0, np.sin(x) / x),
        (0.0,), (0.0,)),
    Row(3, "sinc at 0", np.sinc, (0.0,), (0.0,)),
    Row(4, "sqrt at 0", np.sqrt, (0.0,), (inf,)),
    Row(4, "sqrt at 0, among others", total(np.sqrt), (a(0, 4),), (a(inf, 0.25),)),
    Row(5, "sqrt(x²) at 0: 0/0, and it says so", lambda x: np.sqrt(x * x), (0.0,), (nan,)),
    Row(5, "sqrt(x)² at 0: no silent 0", lambda x: np.sqrt(x) ** 2, (0.0,), (nan,)),
    Row(6, "‖x‖ at 0", np.linalg.norm, (a(0, 0),), (a(0, 0),)),
    Row(7, "‖x‖ of large numbers", np.linalg.norm, (a(1e200, 1e200),), (a(0.5**0.5, 0.5**0.5),)),
    Row(7, "‖x‖ of small numbers", np.linalg.norm, (a(3e-200, 4e-200),), (a(0.6, 0.8),)),
    Row(7, "hypot of large numbers", np.hypot, (1e200, 1e200), (0.5**0.5, 0.5**0.5)),
    Row(7, "hypot at 0, 0", np.hypot, (0.0, 0.0), (0.0, 0.0)),
    Row(8, "x⁰ at 0", lambda x: x**0, (0.0,), (0.0,)),
    Row(8, "x¹ at 0", lambda x: x**1, (0.0,), (1.0,)),
    Row(8, "x² at 0", lambda x: x**2, (0.0,), (0.0,)),
    Row(8, "pow(0, 0)", np.power, (0.0, 0.0), (0.0, 0.0)),
    Row(8, "pow(0, 2)", np.power, (0.0, 2.0), (0.0, 0.0)),
    Row(8, "pow(0, -1)", np.power, (0.0, -1.0), (-inf, -inf)),
    Row(8, "pow(-2, 3)", np.power, (-2.0, 3.0), (12.0, nan)),
    Row(9, "abs at 0", abs, (0.0,), (0.0,)),
    Row(9, "relu at 0", cr.relu, (0.0,), (0.0,)),
    Row(9, "leaky_relu at 0", lambda x: cr.leaky_relu(x, 0.1), (0.0,), (0.1,)),
    Row(10, "maximum(1, 1)", np.maximum, (1.0, 1.0), (0.5, 0.5)),
    Row(10, "minimum(1, 1)", np.minimum, (1.0, 1.0), (0.5, 0.5)),
    Row(10, "maximum(x, x)", lambda x: np.maximum(x, x), (1.0,), (1.0,)),
    Row(10, "max without axis", np.max, (a(1, 3, 3, 2),), (a(0, 0.5, 0.5, 0),)),
    Row(10, "max with axis", lambda x: np.max(x, axis=0), (a(1, 3, 3, 2),), (a(0, 0.5, 0.5, 0),)),
    Row(10, "min over two axes", lambda x: x.reshape(2, 2).min((0, 1)),
        (a(3, 1, 1, 2),), (a(0, 0.5, 0.5, 0),)),
    Row(10, "clip at its lower bound", lambda x: np.clip(x, 0.0, 1.0), (0.0,), (0.0,)),
    Row(10, "clip at its upper bound", lambda x: np.clip(x, 0.0, 1.0), (1.0,), (0.0,)),
    Row(10, "copysign(0, -1)", np.copysign, (0.0, -1.0), (0.0, 0.0)),
    Row(10, "heaviside(0, 0.3)", np.heaviside, (0.0, 0.3), (0.0, 1.0)),
    Row(10, "remainder(1, 0.1), where 1/0.1 rounds up", np.remainder, (1.0, 0.1), (1.0, -9.0)),
    Row(10, "max of nan and ties", np.nanmax, (a(nan, 3, 3),), (a(0, 0.5, 0.5),)),
    Row(10, "max of nothing but nan and -inf", np.nanmax, (a(nan, -inf, -inf),), (a(0, 0.5, 0.5),)),
    Row(10, "a tie of max and where it begins", lambda x: np.max(x, initial=3.0), (a(1, 3),), (a(0, 0.5),)),
    Row(10, "interp at a knot between slopes of unlike sign",
        lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, -1.0]), (1.0,), (0.0,)),
    Row(10, "interp at a knot between slopes 3 and 2",
        lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 3.0, 5.0]), (1.0,), (2.0,)),
    Row(10, "interp at its last knot", lambda x: np.interp(x, [0.0, 1.0], [0.0, 3.0]), (1.0,), (0.0,)),
    Row(10, "interp at a knot, in the values", lambda f: np.interp(1.0, a(0, 1, 2), f),
        (a(0, 3, 5),), (a(0, 1, 0),)),
    Row(11, "nansum", np.nansum, (a(nan, 2),), (a(0, 1),)),
    Row(11, "nanmean and the square root of what is left out", lambda x: np.nanmean(np.sqrt(x)),
        (a(-1, 4),), (a(0, 0.25),)),
    Row(11, "median with a nan", np.median, (a(1, nan, 3),), (a(0, 1, 0),)),
    Row(11, "nan_to_num(nan)", lambda x: np.nan_to_num(x) * 2, (nan,), (0.0,)),
    Row(11, "maximum(nan, 1)", np.maximum, (nan, 1.0), (1.0, 0.0)),
    Row(11, "maximum(nan, nan)", np.maximum, (nan, nan), (0.5, 0.5)),
    Row(11, "max with a nan", np.max, (a(1, nan),), (a(0, 1),)),
    Row(12, "sort with ties", lambda x: a(1, 2, 3) @ np.sort(x), (a(2, 1, 1),), (a(3, 1, 2),)),
    Row(12, "median of ties", np.median, (a(2, 1, 1),), (a(0, 0, 1),)),
    Row(12, "quantiles of ties", lambda x: np.quantile(x, [0.0, 0.5, 0.75]) @ a(1, 2, 4),
        (a(2, 1, 1),), (a(2, 1, 4),)),
    Row(12, "the two largest, with ties", lambda x: np.sum(np.partition(x, 1)[1:]), (a(1, 3, 3),),
        (a(0, 1, 1),)),
    Row(13, "prod with a zero", np.prod, (a(2, 0, 3),), (a(0, 6, 0),)),
    Row(13, "prod with two zeros", np.prod, (a(0, 0, 3),), (a(0, 0, 0),)),
    Row(13, "cumprod with a zero", total(np.cumprod), (a(2, 0, 3),), (a(1, 8, 0),)),
    Row(13, "det of rank 1", np.linalg.det, (np.ones((3, 3)),), (np.zeros((3, 3)),), 1e-15),
    Row(13, "det of rank 2", np.linalg.det, (np.diag(a(1, 2, 0)),), (np.diag(a(0, 0, 2)),), 1e-15),
    Row(14, "std of constants", np.std, (a(2, 2, 2),), (a(0, 0, 0),)),
    Row(14, "std of constants among others", lambda x: np.std(x, where=[True, True, False]),
        (a(0.1, 0.1, 5),), (a(0, 0, 0),)),
    Row(14, "std of constants and nan", np.nanstd, (a(2, nan, 2),), (a(0, 0, 0),)),
    Row(14, "std of constants whose mean rounds", np.std, (a(0.1, 0.1, 0.1),), (a(0, 0, 0),)),
    Row(14, "std of constant rows", lambda x: np.sum(x.reshape(2, 2).std(axis=1)),
        (a(1, 3, 0.1, 0.1),), (a(-0.5, 0.5, 0, 0),)),
    Row(43, "sum of exp of repeated eigenvalues", lambda x: np.sum(np.exp(np.linalg.eigvalsh(x))),
        (np.diag(a(1, 1, 2)),), (np.diag(np.exp(a(1, 1, 2))),), 1e-15),
    Row(43, "the same by eigh", lambda x: np.sum(np.linalg.eigh(x).eigenvalues ** 3),
        (np.eye(3),), (3 * np.eye(3),), 1e-15),
    Row(43, "the same by eig", lambda x: np.real(np.sum(np.linalg.eig(x)[0] ** 3)),
        (np.eye(3),), (3 * np.eye(3),), 1e-15),
    Row(43, "trace of a power", lambda x: np.trace(np.linalg.matrix_power(x, 3)),
        (np.eye(2),), (3 * np.eye(2),), 1e-15),
    Row(43, "the largest of repeated eigenvalues shares", lambda x: np.linalg.eigvalsh(x)[-1],
        (np.diag(a(1, 2, 2)),), (np.diag(a(0, 0.5, 0.5)),), 1e-15),
    Row(43, "sum of repeated singular values", lambda x: np.sum(np.linalg.svdvals(x)),
        (np.eye(2),), (np.eye(2),), 1e-15),
    Row(43, "spectral norm with a tie", lambda x: np.linalg.norm(x, 2),
        (-np.eye(2),), (-np.eye(2) / 2,), 1e-15),
    Row(43, "nuclear norm of rank 1", lambda x: np.linalg.norm(x, "nuc"),
        (np.ones((2, 2)),), (np.ones((2, 2)) / 2,), 1e-15),
    Row(43, "nuclear norm of nothing", lambda x: np.linalg.norm(x, "nuc"),
        (np.zeros((2, 2)),), (np.zeros((2, 2)),), 1e-15),
    Row(6, "‖x‖₃ at 0", lambda x: np.linalg.norm(x, 3), (a(0, 0),), (a(0, 0),)),
    Row(15, "logsumexp(-inf, -inf)", cr.logsumexp, (a(-inf, -inf),), (a(0, 0),)),
    Row(15, "softmax beside an unused, masked row",
        lambda x: np.sum(cr.softmax(x, axis=-1)[0] * a(1, 2)), (np.array([[0.0, 0.0], [-inf, -inf]]),),
        (np.array([[-0.25, 0.25], [0.0, 0.0]]),)),
    Row(15, "log_softmax beside an unused, masked row",
        lambda x: cr.log_softmax(x, axis=-1)[0, 0], (np.array([[0.0, 0.0], [-inf, -inf]]),),
        (np.array([[0.5, -0.5], [0.0, 0.0]]),)),
    Row(15, "logaddexp(inf, inf)", np.logaddexp, (inf, inf), (0.5, 0.5)),
    Row(15, "logaddexp(-inf, -inf)", np.logaddexp, (-inf, -inf), (0.5, 0.5)),
    Row(16, "log_softmax of large numbers", lambda x: -cr.log_softmax(x)[1], (a(1e4, -1e4),), (a(1, -1),)),
    Row(16, "cross-entropy of a certain class", lambda z: nn.cross_entropy(z, np.array([[1.0, 0.0]])),
        (np.array([[0.0, -inf]]),), (np.array([[0.0, 0.0]]),)),
    Row(17, "x log x at 0", xlogx, (0.0,), (-inf,)),
    Row(17, "entropy at a vertex", cr.entropy, (a(1, 0),), (a(-1, inf),)),
    Row(18, "arctan2(0, 0)", np.arctan2, (0.0, 0.0), (0.0, 0.0)),
    Row(18, "arctan2 of small numbers", np.arctan2, (1e-200, 1e-200), (5e199, -5e199)),
    Row(19, "x / y of small numbers", np.divide, (1e-200, 1e-200), (1e200, -1e200)),
    Row(19, "x / y of large numbers", np.divide, (1e200, 1e200), (1e-200, -1e-200)),
    Row(20, "tanh at 20", np.tanh, (20.0,), (1.6993417021166355e-17,)),
    Row(20, "arcsin at 1", np.arcsin, (1.0,), (inf,)),
    Row(20, "log outside its domain", np.log, (-1.0,), (nan,)),
    Row(21, "binary cross-entropy of the impossible", lambda p: -cr.xlogy(1.0, p), (0.0,), (-inf,)),
    Row(24, "sum over no axes", lambda x: np.sum(x, axis=()) @ a(1, 2), (a(3, 4),), (a(1, 2),)),
    Row(24, "an element taken twice", lambda x: np.sum(x[[0, 0, 2]]), (a(1, 2, 3),), (a(2, 0, 1),)),
    Row(24, "nothing times something", lambda x, y: np.sum(x * y), (np.ones((0, 3)), a(1, 2, 3)),
        (np.ones((0, 3)), a(0, 0, 0))),
    Row(25, "trace by einsum", lambda x: np.einsum("ii->", x), (np.ones((2, 2)),), (np.eye(2),)),
    Row(25, "diagonal by einsum", lambda x: np.einsum("ii->i", x) @ a(1, 2),
        (np.ones((2, 2)),), (np.diag(a(1, 2)),)),
    Row(25, "cumsum along -1", lambda x: np.sum(np.cumsum(x, -1)),
        (np.ones((2, 3)),), (np.array([[3.0, 2, 1]] * 2),)),
    Row(25, "concatenate along -1", lambda x: np.concatenate([x, x], -1) @ a(1, 2, 3, 4),
        (a(5, 6),), (a(4, 6),)),
    Row(25, "x[::-1]", lambda x: x[::-1] @ a(1, 2, 3), (a(5, 6, 7),), (a(3, 2, 1),)),
    Row(25, "np.ones(3) * Value", lambda x: np.sum(np.ones(3) * x), (a(5, 6, 7),), (a(1, 1, 1),)),
    Row(25, "np.ones(3) * NumPy scalar", lambda x: np.sum(np.ones(3) * x), (np.float64(5),), (3.0,)),
]  # fmt: skip

SECOND = [
    Row(2, "where(x == 0, 1, sin x / x) at 0", lambda x: np.where(x == 0, 1.0, np.sin(x) / x),
        (0.0,), (0.0,)),
    Row(3, "sinc at 0", np.sinc, (0.0,), (-(pi**2) / 3,)),
    Row(6, "‖x‖² at 0", lambda x: np.linalg.norm(x) ** 2, (a(0, 0),), (2 * np.eye(2),)),
    Row(8, "x⁰ at 0", lambda x: x**0, (0.0,), (0.0,)),
    Row(8, "x¹ at 0", lambda x: x**1, (0.0,), (0.0,)),
    Row(8, "x² at 0", lambda x: x**2, (0.0,), (2.0,)),
    Row(8, "pow(0, 2) in x", lambda x: np.power(x, 2.0), (0.0,), (2.0,)),
    Row(8, "pow(0, 2) in y", lambda y: np.power(0.0, y), (2.0,), (0.0,)),
    Row(8, "pow(0, 2) in both", lambda x: np.power(x[0], x[1]), (a(0, 2),), (np.array([[2.0, 0], [0, 0]]),)),
    Row(4, "x√x at 0, among others", lambda x: np.sum(x**1.5), (a(0, 4),), (np.diag(a(inf, 0.375)),)),
    Row(17, "entropy at a vertex", cr.entropy, (a(1, 0),), (np.diag(a(-1, -inf)),)),
    Row(9, "x abs(x) at 0", lambda x: x * abs(x), (0.0,), (0.0,)),
    Row(13, "prod with a zero", np.prod, (a(2, 0, 3),), (np.array([[0.0, 3, 0], [3, 0, 2], [0, 2, 0]]),)),
    Row(13, "prod with two zeros", np.prod, (a(0, 0, 3),), (np.array([[0.0, 3, 0], [3, 0, 0], [0, 0, 0]]),)),
    Row(13, "det of diagonal matrices with zeros", lambda x: np.linalg.det(np.diag(x)), (a(0, 0, 3),),
        (np.array([[0.0, 3, 0], [3, 0, 0], [0, 0, 0]]),), 1e-15),
    Row(43, "trace of a square", lambda x: np.trace(np.diag(x) @ np.diag(x)), (a(1, 1),), (2 * np.eye(2),)),
]  # fmt: skip

MODES = ["forward", "reverse"]


def close(got: Any, wanted: Any, atol: float = 0.0) -> None:
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-13, atol=atol)
    assert np.shape(got) == np.shape(wanted)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", FIRST, ids=str)
def test_first_order(row: Row, mode: str) -> None:
    with np.errstate(all="ignore"):
        got = cr.jacobian(row.f, argnums=tuple(range(len(row.point))), mode=mode)(*row.point)
    for d, wanted in zip(got, row.wanted, strict=True):
        close(d, wanted, row.atol)


@row(4)
@pytest.mark.parametrize("mode", MODES)
@np.errstate(divide="ignore")
def test_the_jacobian_of_independent_elements_is_diagonal(mode: str) -> None:
    """However steep one of them is: nothing moves the others."""
    close(cr.jacobian(np.sqrt, mode=mode)(a(0, 4)), np.diag(a(inf, 0.25)))
    D = cr.jacobian(lambda x: np.exp(np.sqrt(x)[::-1]), mode=mode)
    close(D(a(0, 4)), np.array([[0, np.exp(2) / 4], [inf, 0]]))
    D = cr.jacobian(lambda x: np.concatenate([np.log(x), x]), mode=mode)
    close(D(a(0, 2)), np.vstack([np.diag(a(inf, 0.5)), np.eye(2)]))
    D = cr.jacobian(lambda x: np.cumsum(np.sqrt(x)), mode=mode)
    close(D(a(0, 4)), np.array([[inf, 0], [inf, 0.25]]))


@pytest.mark.parametrize("row", FIRST, ids=str)
def test_backward(row: Row) -> None:
    leaves = [Value(x) for x in row.point]
    with np.errstate(all="ignore"):
        row.f(*leaves).backward()
    for v, wanted in zip(leaves, row.wanted, strict=True):
        close(v.grad, wanted, row.atol)


@pytest.mark.parametrize("row", [r for r in FIRST if all(type(x) is float for x in r.point)], ids=str)
def test_arrays_like_numbers(row: Row) -> None:
    """The same of arrays, where NumPy computes instead of Python's own arithmetic."""
    point = tuple(np.full((1, 2), x) for x in row.point)
    with np.errstate(all="ignore"):
        for i, wanted in enumerate(row.wanted):

            def f(x: Any, i: int = i) -> Any:
                return row.f(*point[:i], x, *point[i + 1 :])

            close(cr.jvp(f, (point[i],), (np.ones((1, 2)),))[1], np.full((1, 2), wanted))
            close(cr.grad(total(f))(point[i]), np.full((1, 2), wanted))


@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
@pytest.mark.parametrize("row", SECOND, ids=str)
def test_second_order(row: Row, inner: str, outer: str) -> None:
    with np.errstate(all="ignore"):
        got = cr.jacobian(cr.jacobian(row.f, mode=inner), mode=outer)(*row.point)
    close(got, row.wanted[0], row.atol)


# -------------------------------------------------------------------- determinants and repeated eigenvalues


def permutations() -> Any:
    """The second derivatives of det of ones: ±1 where two entries stand in rows and columns of their own."""
    e = np.array([[[(i - j) * (j - k) * (k - i) / 2 for k in range(3)] for j in range(3)] for i in range(3)])
    return np.einsum("ikm,jln->ijkl", e, e)


@row(13)
@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
def test_the_second_derivative_of_det_at_rank_1(inner: str, outer: str) -> None:
    second = cr.jacobian(cr.jacobian(np.linalg.det, mode=inner), mode=outer)
    for d in (second, cr.compile(second)):
        np.testing.assert_allclose(d(np.ones((3, 3))), permutations(), atol=1e-14)


TIED = np.diag([1.0, 2.0, 2.0])
ON_THE_BASIS: dict[str, Any] = {
    "eigenvectors": lambda x: np.sum(np.linalg.eigh(x)[1]),
    "their square": lambda x: np.sum(np.linalg.eigh(x)[1][:, 1] ** 2 * a(1, 2, 3)),
    "a function of the matrix by eigh":
        lambda x: (lambda w, v: np.sum((v * w) @ v.T * np.arange(9.0).reshape(3, 3)))(
        *np.linalg.eigh(x)
    ),
    "singular vectors": lambda x: np.linalg.svd(x)[0][2, 0],
    "their other side": lambda x: np.linalg.svd(x)[2][1, 0],
    "eigenvectors of a square matrix": lambda x: np.real(np.linalg.eig(x)[1][1, 2]),
}


@row(43)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ON_THE_BASIS)
def test_what_depends_on_the_basis_is_refused(name: str, mode: str) -> None:
    with pytest.raises(np.linalg.LinAlgError, match=r"^(eigh|eig|svd): .* depends on the choice of a basis"):
        cr.jacobian(ON_THE_BASIS[name], mode=mode)(TIED)
    with pytest.raises(np.linalg.LinAlgError, match="depends on the choice of a basis"):
        cr.compile(cr.grad(ON_THE_BASIS[name]))(TIED)


@row(43)
def test_what_does_not_depend_on_the_basis_is_right() -> None:
    """Vectors of eigenvalues that are not repeated, beside some that are."""
    weights = np.arange(9.0).reshape(3, 3)
    got = cr.grad(lambda x: np.sum(np.outer(v := np.linalg.eigh(x)[1][:, 0], v) * weights))(TIED)
    np.testing.assert_allclose(got, [[0, 0, 0], [-4, 0, 0], [-8, 0, 0]], atol=1e-15)


@row(43)
@pytest.mark.parametrize(
    "f",
    [lambda x: np.sum(np.linalg.eigvalsh(x) ** 2), lambda x: np.sum(np.exp(np.linalg.svdvals(x)))],
)
def test_second_derivatives_of_repeated_eigenvalues_are_refused(f: Any) -> None:
    for inner in MODES:
        for outer in MODES:
            second = cr.jacobian(cr.jacobian(f, mode=inner), mode=outer)
            for d in (second, cr.compile(second)):
                with pytest.raises(np.linalg.LinAlgError, match="depends on the choice of a basis"):
                    d(TIED)


def test_phases_of_complex_vectors() -> None:
    z = np.array([[2.0, 1j], [-1j, 3.0]])
    slope = cr.grad(lambda z: np.real(np.linalg.eigh(z)[1][1, 0]))
    for d in (slope, cr.compile(slope)):
        with pytest.raises(np.linalg.LinAlgError, match=r"^eigh: the derivative depends on the phases"):
            d(z)
    cr.check_grads(lambda z: np.abs(np.linalg.eigh(z)[1]), (z,), order=2)


@row(43)
def test_a_defective_matrix_is_refused() -> None:
    for f in (np.linalg.eigvals, np.linalg.eig):
        slope = cr.grad(lambda x, f=f: np.real(np.sum(f(x)[0])))
        for d in (slope, cr.compile(slope)):
            with pytest.raises(np.linalg.LinAlgError, match=r"^eig: the matrix is defective"):
                d(np.array([[1.0, 1.0], [0.0, 1.0]]))


@row(43)
def test_the_basis_that_completes_singular_vectors_is_refused() -> None:
    x = np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 1.0], [2.0, 2.0]])
    assert np.isfinite(cr.grad(lambda x: np.linalg.svd(x)[0][0, 0])(x)).all()
    for f in (np.linalg.svd, lambda x: np.linalg.qr(x, "complete")):
        slope = cr.grad(lambda x, f=f: f(x)[0][0, 3])
        for d in (slope, cr.compile(slope)):
            with pytest.raises(np.linalg.LinAlgError, match="depends on the choice of a basis"):
                d(x)
