"""Each rule of simplification leaves values alone, special ones included, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.native.capture import capture
from chainrule.native.operations import broadcast_to, cast, lift, node, reshape, transpose, unslice
from chainrule.native.reference import evaluate, order
from chainrule.native.simplify import RULES, simplify
from chainrule.native.ufuncs import apply_ufunc
from chainrule.rules.shape import scatter
from tests.native.agree import agree

FALSE, TRUE = np.bool_(False), np.bool_(True)


def everywhere(value: Any, like: Any) -> Any:
    """A number as an array, by a broadcast."""
    return broadcast_to(lift(value if isinstance(value, np.bool_) else like.dtype.type(value)), like.shape)


def ones() -> Any:
    """The integer 1, everywhere."""
    return broadcast_to(lift(np.int64(1)), (169,))


def special(dtype: Any = np.float64) -> tuple[Any, Any]:
    f = np.finfo(dtype)
    v = [0.0, -0.0, 1, -1, 0.3, -2.5, np.inf, -np.inf, np.nan, f.smallest_subnormal, f.tiny, f.max, -f.max]
    x, y = np.meshgrid(np.array(v, dtype), np.array(v, dtype))
    return x.ravel(), y.ravel()


def within(x: Any, start: int, size: int, step: int = 1) -> Any:
    """A vector put into zeros."""
    return unslice(x, (start,), (step,), (size,))


def column(x: Any) -> Any:
    """Thirteen of the numbers 0 to 12, not known before."""
    return np.where(x[:13] > 0, np.arange(13), 5)


def picked(rows: Any, columns: Any) -> Any:
    """True at these places, as what has picked from there knows it."""
    return scatter.run(lift(np.ones(13, bool)), index=(rows, columns), shape=(13, 13))


KEPT = "slice greater where broadcast_to scatter_add any reshape"

# rule: cases of a function of two arrays, and the operations that are left of it
CASES: dict[str, list[tuple[Callable[..., Any], str]]] = {
    "multiply": [
        (lambda x, y: 1.0 * x, ""),
        (lambda x, y: x * 1.0, ""),
        (lambda x, y: x * everywhere(1.0, x), ""),
        (lambda x, y: -1.0 * x, "negative"),
        (lambda x, y: x * -1.0, "negative"),
        (lambda x, y: 0.0 * x, "multiply"),  # nan and infinities are nan, and the sign stays
    ],
    "add": [
        (lambda x, y: x + -0.0, ""),
        (lambda x, y: -0.0 + x, ""),
        (lambda x, y: x + 0.0, "add"),  # -0.0 becomes 0.0
        (lambda x, y: 0.0 + x, "add"),
        (lambda x, y: x + -y, "subtract"),
        (lambda x, y: within(x, 0, 400) + within(y, 169, 400) + within(x[:62], 338, 400),
         "slice add add add concatenate"),
        (lambda x, y: within(y, 169, 338) + within(x, 0, 338), "add add concatenate"),
        (lambda x, y: within(x, 0, 338) + within(y, 168, 338), "unslice unslice add"),  # one on the other
        (lambda x, y: within(x, 0, 339) + within(y, 169, 339), "unslice unslice add"),  # and one left over
        (lambda x, y: within(x, 0, 337, 2) + within(y, 168, 337), "unslice unslice add"),
    ],
    "subtract": [
        (lambda x, y: x - 0.0, ""),
        (lambda x, y: x - -0.0, "subtract"),
        (lambda x, y: x - -y, "add"),
        (lambda x, y: 0.0 - x, "subtract"),
    ],
    "divide": [
        (lambda x, y: x / 4, "multiply"),
        (lambda x, y: x / -0.5, "multiply"),
        (lambda x, y: x / 3, "divide"),
        (lambda x, y: x / 0.0, "divide"),
        (lambda x, y: x / 2.0**900, "divide"),
    ],
    "negative": [(lambda x, y: np.negative(-x), "")],
    "power": [
        (lambda x, y: x**1.0, ""),
        (lambda x, y: x**2.0, "multiply"),
        (lambda x, y: x**-1.0, "reciprocal"),
        (lambda x, y: x**0.5, "sqrt"),
        (lambda x, y: x**2.5, "power"),
    ],
    "square": [(lambda x, y: np.square(x) - x * x, "multiply subtract")],
    "where": [
        (lambda x, y: np.where(x > y, x, x), ""),
        (lambda x, y: np.where(everywhere(TRUE, x), x, y), ""),
        (lambda x, y: np.where(everywhere(FALSE, x), x, y), ""),
        (lambda x, y: np.where(everywhere(FALSE, x), x, 2.0), "broadcast_to"),
        (lambda x, y: np.where((x == 0) & FALSE, 0.0, x), ""),  # what x**2 leaves in its derivative
        (lambda x, y: np.where((x == 0) | TRUE, 0.0, x), "broadcast_to"),
        (lambda x, y: np.where(x > y, np.where(x > y, x, 1.0), y), "greater where"),
        (lambda x, y: np.where(x > y, x, np.where(x > y, 1.0, y)), "greater where"),
        (lambda x, y: np.where(x > 0, x / y, -x / y), "greater negative where divide"),
    ],
    "cast": [(lambda x, y: cast(x, x.dtype), "")],
    "logical_or": [
        (lambda x, y: np.logical_or(x > y, FALSE), "greater"),
        (lambda x, y: np.logical_or(TRUE, x > y), "broadcast_to"),
        (lambda x, y: np.logical_or(x > y, 2.0), "broadcast_to"),  # whatever is not 0 is true
        (lambda x, y: np.logical_or(x > y, x > y), "greater"),
    ],
    "bitwise_or": [
        (lambda x, y: (x > y) | FALSE, "greater"),
        (lambda x, y: TRUE | (x > y), "broadcast_to"),
        (lambda x, y: (x > y) | everywhere(TRUE, x), "broadcast_to"),
        (lambda x, y: (x > y) | (x > y), "greater"),
        (lambda x, y: within(everywhere(TRUE, x), 0, 338) | within(everywhere(TRUE, x), 169, 338),
         "broadcast_to"),
        (lambda x, y: within(everywhere(TRUE, x), 0, 338, 2) | within(x > y, 0, 338)
         | within(everywhere(TRUE, x), 1, 338, 2), "broadcast_to"),
        (lambda x, y: within(everywhere(TRUE, x), 0, 338) | within(everywhere(TRUE, x), 168, 338),
         "broadcast_to unslice unslice bitwise_or"),  # the last is left over
        (lambda x, y: within(everywhere(TRUE, x), 0, 338) | within(x > y, 169, 338),
         "broadcast_to unslice greater unslice bitwise_or"),
        (lambda x, y: within(ones(), 0, 338) | within(ones(), 169, 338) | lift(np.arange(338)),  # 1 | 2 is 3
         "broadcast_to unslice unslice bitwise_or bitwise_or"),
    ],
    "any": [
        (lambda x, y: np.any(lift(np.tri(5, dtype=bool)), 0) & (x[:5] > 0), "slice greater"),
        (lambda x, y: np.any(lift(np.tri(5, k=-1, dtype=bool)), 1) & (x[:5] > 0),
         "any reshape slice greater bitwise_and"),
        (lambda x, y: np.any(picked(np.arange(13), column(x)), 1), "broadcast_to"),  # one in every row
        (lambda x, y: np.any(np.reshape(picked(np.arange(13), column(x)), (1, 13, 13)), 2), "broadcast_to"),
        (lambda x, y: np.any(picked(np.arange(13) // 2, column(x)), 1), KEPT),
        (lambda x, y: np.any(picked(np.arange(13), column(x)), 0), KEPT),
    ],
    "constant": [
        (lambda x, y: np.ones(169, bool) & (x > y), "greater"),
        (lambda x, y: np.where(np.zeros(169, bool), x, y), ""),
        (lambda x, y: np.where(np.arange(169) > 0, x, y), "where"),
    ],
    "logical_and": [
        (lambda x, y: np.logical_and(x > y, TRUE), "greater"),
        (lambda x, y: np.logical_and(x > y, 2.0), "greater"),
        (lambda x, y: np.logical_and(FALSE, x > y), "broadcast_to"),
        (lambda x, y: np.logical_and(x, FALSE), "broadcast_to"),
        (lambda x, y: np.logical_and(x, TRUE), "cast"),
    ],
    "bitwise_and": [
        (lambda x, y: (x > y) & TRUE, "greater"),
        (lambda x, y: (x == 0) & FALSE, "broadcast_to"),
        (lambda x, y: everywhere(FALSE, x) & (x > y), "broadcast_to"),
    ],
    "logical_xor": [
        (lambda x, y: np.logical_xor(x > y, FALSE), "greater"),
        (lambda x, y: np.logical_xor(TRUE, x > y), "greater logical_not"),
    ],
    "bitwise_xor": [
        (lambda x, y: FALSE ^ (x > y), "greater"),
        (lambda x, y: (x > y) ^ TRUE, "greater logical_not"),
    ],
    "reshape": [
        (lambda x, y: np.reshape(np.reshape(x, (13, 13)), (169,)), ""),
        (lambda x, y: np.reshape(np.reshape(x, (13, 13)), (1, 169)), "reshape"),
        (lambda x, y: reshape(everywhere(2.0, x), (13, 13)), "broadcast_to"),
    ],
    "transpose": [
        (lambda x, y: transpose(transpose(np.reshape(x, (13, 13)))), "reshape"),
        (lambda x, y: np.transpose(np.reshape(x, (13, 1, 13)), (1, 2, 0)).transpose(1, 2, 0),
         "reshape transpose"),
        (lambda x, y: transpose(reshape(everywhere(2.0, x), (13, 13))), "broadcast_to"),
    ],
    "broadcast_to": [
        (lambda x, y: np.broadcast_to(np.broadcast_to(x, (2, 169)), (3, 2, 169)), "broadcast_to"),
    ],
    "equal": [
        (lambda x, y: np.maximum(x, 0.0) == x, "greater_equal"),
        (lambda x, y: np.minimum(x, -np.inf) == x, "less_equal"),
        (lambda x, y: np.maximum(x, -0.0) == 0.0, "less_equal"),
        (lambda x, y: np.minimum(x, 0.3) == 0.3, "greater_equal"),
        (lambda x, y: np.maximum(x, 0.0) == 1.0, "maximum equal"),
        (lambda x, y: np.maximum(x, np.nan) == x, "maximum equal"),
        (lambda x, y: np.maximum(x, y) == x, "maximum equal"),
    ],
    "not_equal": [
        (lambda x, y: (lambda z: z != z)(np.maximum(x, 0.0)), "not_equal"),
        (lambda x, y: np.maximum(x, 0.0) != x, "maximum not_equal"),
        (lambda x, y: (lambda z: z != z)(np.maximum(x, y)), "maximum not_equal"),
    ],
    "slice": [
        (lambda x, y: np.where(x > 0, y, 0.0)[3:9:2], "slice slice greater where"),
        (lambda x, y: np.where(x[:13] > 0, y.reshape(13, 13), 0.0)[2:5, :4],
         "slice greater broadcast_to reshape slice slice where"),
        (lambda x, y: np.where(x > 0, y, 1.0)[:5], "greater where slice"),
    ],
    "sum": [
        (lambda x, y: np.sum(np.sum(np.reshape(x, (13, 13)), 1, keepdims=True), 0), "reshape sum reshape"),
    ],
    "folding": [
        (lambda x, y: np.logical_not(everywhere(FALSE, x)), "broadcast_to"),
        (lambda x, y: x * (everywhere(2.0, x) - 1.0), ""),
        (lambda x, y: x + (lift(0.25) * 2 - 0.5) * -1.0, ""),
    ],
}  # fmt: skip


def ops(roots: Any) -> list[str]:
    return sorted(n.op for n in order(roots) if n.op not in ("input", "constant"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rule", CASES)
def test_rule(rule: str, dtype: Any) -> None:
    x, y = special(dtype)
    for k, (f, left) in enumerate(CASES[rule]):
        captured = capture("f", lambda flat, f=f: f(*flat), [x, y])
        roots = captured.roots()
        simple = simplify(roots)
        given = [(x, y)[slot.which] for slot in captured.slots]
        (want,) = [evaluate(order(roots), given)[r] for r in roots]
        (got,) = [evaluate(order(simple), given)[r] for r in simple]
        assert [(r.shape, r.dtype, r.weak) for r in roots] == [(r.shape, r.dtype, r.weak) for r in simple]
        agree(got, want, 0, what=f"{rule} {k}")
        assert ops(simple) == sorted(left.split()), (rule, k)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "f",
    [
        lambda x: 1.0 * x + -0.0,
        lambda x: -1.0 * x - 0.0,
        lambda x: np.negative(-x) / 4,
        lambda x: x**2,
        lambda x: np.square(x) * x**2,
        lambda x: x**3,
        lambda x: x**-1.0,
        lambda x: x**0.5,
        lambda x: np.where(x > 0, np.where(x > 0, x, 2 * x), x * x),
        lambda x: np.where(x > 0, x / 3, x * x / 3),
        lambda x: np.where((x > 0) & (x > 0), x**2, x**1.0),
    ],
)
def test_gradients_at_special_values(f: Any) -> None:
    """Each element's derivative as without compilation, where it is 0, infinite or nan included."""
    x = np.unique(special()[0])
    x = np.append(x[np.abs(x) < 1e150], [np.inf, -np.inf, np.nan, -0.0])
    derivative = cr.grad(lambda x: np.sum(f(x)))
    agree(cr.compile(derivative)(x), derivative(x), 4)


def test_derivatives_of_rolled_squares_have_no_condition() -> None:
    """Whether x is 0 matters for x**p only where p may be below 1."""

    def f(*w: Any) -> Any:
        terms = [np.tanh(w[0] * k + w[1]) ** 2 for k in range(60)]
        total = sum(terms[1:], terms[0])
        total.backward()
        return [v.grad for v in w]

    program = cr.compile(f)
    got = program(*[cr.Value(v) for v in (0.3, 0.4)])
    agree(got, f(*[cr.Value(v) for v in (0.3, 0.4)]), rtol=1e-14)
    assert not {"where", "bitwise_and", "equal"} & {n.op for n in order(program.last.image.roots)}


def test_a_sum_of_sums_starts_from_minus_zero_only_if_both_do() -> None:
    x = np.full((3, 4), -0.0)
    for inner in ({}, {"initial": -0.0}):
        for outer in ({}, {"initial": -0.0}):

            def f(flat: Any, inner: Any = inner, outer: Any = outer) -> Any:
                rows = node("sum", (flat[0],), (3, 1), x.dtype, False, {"axis": (1,), **inner})
                return node("sum", (rows,), (1, 1), x.dtype, False, {"axis": (0,), **outer})

            roots = capture("f", f, [x]).roots()
            simple = simplify(roots)
            assert ops(simple) == ["sum"]
            agree(evaluate(order(simple), [x])[simple[0]], evaluate(order(roots), [x])[roots[0]], 0)


def test_equal_nodes_become_one() -> None:
    def f(flat: Any) -> Any:
        x, y = flat
        return np.sin(x + y) * np.sin(x + y) + apply_ufunc(np.sin, x + y)

    roots = capture("f", f, list(special())).roots()
    assert ops(simplify(roots)) == ["add", "add", "multiply", "sin"]


def test_every_rule_has_a_case() -> None:
    """But those that all have: they broadcast by themselves, and transposes sink (`test_transposes.py`)."""
    general = {"_scalar_operands", "_sink", "_sink_reduction"}
    own = {op for op, rules in RULES.items() if {r.__name__ for r in rules} - general}
    assert own - CASES.keys() == {"reciprocal"}  # see `test_sech2`


def test_sech2() -> None:
    """1 / cosh² x has its own formula, which is exact where cosh overflows."""
    x = np.array([0.0, -0.0, 0.7, -3, 400, 800, -1e300, np.inf, -np.inf, np.nan])
    roots = capture("f", lambda flat: np.cosh(flat[0]) ** -2.0, [x]).roots()
    assert "power" in ops(roots)
    roots = capture("f", lambda flat: np.reciprocal(np.cosh(flat[0]) ** 2), [x]).roots()
    assert ops(simplify(roots)) == ["sech2"]
    with np.errstate(over="ignore"):
        want = 1 / np.cosh(x.astype(np.longdouble)) ** 2
    (simple,) = simplify(roots)
    agree(evaluate(order([simple]), [x])[simple], want.astype(float), 4)
