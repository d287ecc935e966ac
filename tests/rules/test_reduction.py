"""Products of many factors are divided by each: as exact as those built up without it, to any order."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.rules import reduction

RNG = np.random.default_rng(8)
FACTORS = (1 + 0.1 * RNG.normal(size=(2, 100))) * RNG.choice([-1.0, 1.0], (2, 100))
OF: dict[str, Callable[[Any], Any]] = {
    "cumprod": lambda x: np.sum(np.sin(np.cumprod(x, 1))),
    "prod": lambda x: np.sum(np.sin(np.prod(x, -1))),
    "prod of all": lambda x: np.sin(np.prod(x, keepdims=True))[0, 0],
}


def at(*places: tuple[tuple[int, int], float]) -> Any:
    x = FACTORS.copy()
    for index, number in places:
        x[index] = number
    return x


POINTS = {
    "none is 0": FACTORS,
    "one is 0": at(((0, 40), 0.0)),
    "two are 0": at(((0, 40), 0.0), ((0, 60), 0.0)),
    "the product underflows": at(((0, 3), 1e-200), ((0, 40), 1e-200)),
    "the product is large and returns": at(((1, 3), 1e90), ((1, 40), 1e-90)),
    "complex": FACTORS * np.exp(0.3j),
}


def derivatives(f: Callable[[Any], Any], x: Any) -> list[Any]:
    """Both modes, and each over each, along one direction."""
    g = (lambda x: f(x).real) if np.iscomplexobj(x) else f
    t = x[::-1] / (1 + abs(x[::-1]))
    slope = lambda x: np.sum(np.real(np.conj(cr.grad(g)(x)) * t))
    along = lambda x: cr.jvp(g, (x,), (t,))[1]
    return [cr.grad(g)(x), along(x), cr.grad(slope)(x), cr.grad(along)(x), cr.jvp(slope, (x,), (t,))[1]]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", OF)
def test_products_divided_by_their_factors(name: str, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    got = derivatives(OF[name], POINTS[point])
    monkeypatch.setattr(reduction, "MANY", 10**9)
    for a, b in zip(got, derivatives(OF[name], POINTS[point]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12 * np.max(np.abs(b)))


def test_gradient_of_a_long_product_takes_little_memory() -> None:
    x = 1 + 1e-4 * RNG.normal(size=100_000)
    tracemalloc.start()
    try:
        cr.grad(lambda x: np.sum(np.cumprod(x)))(x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 25 * x.nbytes
