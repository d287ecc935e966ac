"""What is added to a product is folded into it, if nobody else needs the product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.native.capture import capture
from chainrule.native.contract import contract
from chainrule.native.reference import evaluate, order
from chainrule.native.simplify import simplify
from tests.native.agree import agree

# A function of a (3, 5), b (5, 4), c (3, 4) and a number s; and whether its product takes up the rest.
CASES: dict[str, tuple[Any, bool]] = {
    "c + a b": (lambda a, b, c, s: c + a @ b, True),
    "a b + c": (lambda a, b, c, s: a @ b + c, True),
    "c - a b": (lambda a, b, c, s: c - a @ b, True),
    "a b - c": (lambda a, b, c, s: a @ b - c, False),
    "c + s a b": (lambda a, b, c, s: c + s * (a @ b), True),
    "c - a b s": (lambda a, b, c, s: c - (a @ b) * s, True),
    "s a b + c": (lambda a, b, c, s: s * (a @ b) + c, True),
    "c - 0.1 a b": (lambda a, b, c, s: c - 0.1 * (a @ b), True),
    "c + inf a b": (lambda a, b, c, s: c + np.inf * (a @ b), False),
    "c + nan a b": (lambda a, b, c, s: c + np.nan * (a @ b), False),
    "c + 0 a b": (lambda a, b, c, s: c + 0.0 * (a @ b), False),  # BLAS may not look at a and b
    "c + s s a b": (lambda a, b, c, s: c + s * (s * (a @ b)), False),
    "c c + a b": (lambda a, b, c, s: c * c + a @ b, True),
    "two products": (lambda a, b, c, s: a @ b + (a * s) @ b, True),
    "a product twice": (lambda a, b, c, s: (lambda p: p + p)(a @ b), False),
    "a product that is wanted": (lambda a, b, c, s: (lambda p: (c + p, p))(a @ b), False),
    "a product used elsewhere": (lambda a, b, c, s: (lambda p: c + p + np.tanh(p))(a @ b), False),
    "a scaled product that is wanted": (lambda a, b, c, s: (lambda p: (c + p, p))(s * (a @ b)), False),
    "a row for all": (lambda a, b, c, s: c[0] + a @ b, False),
    "a number for all": (lambda a, b, c, s: s + a @ b, False),
    "a stack": (lambda a, b, c, s: c + np.stack([a, a]) @ b, False),
    "a row": (lambda a, b, c, s: c[:1] + a[:1] @ b, False),
    "transposed": (lambda a, b, c, s: c.T - s * (b.T @ a.T), True),
    "a vector": (lambda a, b, c, s: c[:, 0] + a @ b[:, 0], False),
    "a row's factor": (lambda a, b, c, s: c + c[:1] * (a @ b), False),
}


def arguments(dtype: Any) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return *(rng.normal(size=s).astype(dtype) for s in ((3, 5), (5, 4), (3, 4))), dtype(-0.7)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_rewriting(name: str, dtype: Any) -> None:
    """Values stay: in NumPy, and in machine code with special numbers among them."""
    f, folded = CASES[name]
    given = arguments(dtype)
    roots = simplify(capture("f", lambda flat: f(*flat), list(given)).roots())
    new = contract(roots)
    ops = [x.op for x in order(new)]
    assert ("gemm" in ops) == folded
    assert ops.count("gemm") + ops.count("matmul") == [x.op for x in order(roots)].count("matmul")
    old, values = evaluate(order(roots), given), evaluate(order(new), given)
    for a, b in zip(roots, new, strict=True):
        assert (a.shape, a.dtype, a.weak) == (b.shape, b.dtype, b.weak)
        agree(values[b], old[a], 4, scale=1.0)
    rtol = 100 * float(np.finfo(dtype).eps)
    compiled = cr.compile(f)
    agree(compiled(*given), f(*given), rtol=rtol)
    a, b, c, s = given
    a[0, 1], b[2, 3], c[1, 1] = np.nan, np.inf, -np.inf
    agree(compiled(a, b, c, s), f(a, b, c, s), rtol=rtol)
    agree(compiled(a, b, c, dtype(0)), f(a, b, c, dtype(0)), rtol=rtol)


# A function of three arrays of numbers, and how many of its products are rounded with what is added to them.
NUMBERS: dict[str, tuple[Any, int]] = {
    "a b + c": (lambda a, b, c: a * b + c, 1),
    "c + a b": (lambda a, b, c: c + a * b, 1),
    "a b - c": (lambda a, b, c: a * b - c, 1),
    "c - a b": (lambda a, b, c: c - a * b, 1),
    "a b + b c": (lambda a, b, c: a * b + b * c, 1),
    "a (a - 1)": (lambda a, b, c: a * a - a, 1),
    "a number's": (lambda a, b, c: 0.3 * a + c, 1),
    "a chain": (lambda a, b, c: (a * b + c) * a + b, 2),
    "used elsewhere": (lambda a, b, c: (lambda p: (p + c) * p)(a * b), 0),
    "wanted": (lambda a, b, c: (lambda p: (p + c, p))(a * b), 0),
    "for all": (lambda a, b, c: a[0] * b[0] + c, 0),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NUMBERS)
def test_products_and_sums_of_numbers(name: str, dtype: Any) -> None:
    f, folded = NUMBERS[name]
    special = np.array([0.0, -0.0, 1.3, -0.7, np.inf, -np.inf, np.nan], dtype)
    given = [m.ravel() for m in np.meshgrid(special, special, special)]
    roots = simplify(capture("f", lambda flat: f(*flat), given).roots())
    new = contract(roots)
    assert [x.op for x in order(new)].count("multiply_add") == folded
    old, values = evaluate(order(roots), given), evaluate(order(new), given)
    for a, b in zip(roots, new, strict=True):
        assert (a.shape, a.dtype, a.weak) == (b.shape, b.dtype, b.weak)
        agree(values[b], old[a], 0)
    agree(cr.compile(f)(*given), f(*given), rtol=4 * float(np.finfo(dtype).eps))


def test_a_number_computed_twice_is_the_same() -> None:
    """The least of x² - x is found again among these, computed again beside other uses of x²."""
    x = np.random.default_rng(0).normal(size=(200, 5))

    def f(x: Any) -> Any:
        y = x * x - x
        return np.min(y) + np.sum(np.min(y, 0)) + 0.0 * np.sum(y / (1 + x * x) + y * y)

    agree(cr.compile(cr.grad(f))(x), cr.grad(f)(x), rtol=1e-12)


def test_a_weight_is_updated_without_its_gradient() -> None:
    def step(w: Any, x: Any, y: Any) -> Any:
        return w - 0.1 * cr.grad(lambda w: np.sum((x @ w - y) ** 2))(w)

    rng = np.random.default_rng(0)
    given = [rng.normal(size=s) for s in ((5, 4), (7, 5), (7, 4))]
    nodes = order(contract(simplify(capture("f", lambda flat: step(*flat), given).roots())))
    assert [x.op for x in nodes if x.op in ("matmul", "gemm")] == ["matmul", "gemm"]
    assert not [x.op for x in nodes if x.shape == (5, 4) and x.op not in ("input", "gemm")]
