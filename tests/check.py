"""What has to hold for the derivatives of a function, in terms of numbers alone.

The numeric side calls NumPy only (`Primitive.run`), never the engine under test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import jvp, vjp
from chainrule.value import data

STEP = 1e-3
Function = Callable[..., Any]


def first_order(f: Function, run: Function, xs: tuple[Any, ...], rng: np.random.Generator) -> None:
    """Forward mode against differences of ``run``, reverse mode against forward mode."""
    same(f(*xs), run(*xs), 1e-14, "value")
    ts = tuple(map(like(rng), xs))
    y, dy = jvp(f, xs, ts)
    same(y, run(*xs), 1e-14, "value of jvp")
    same(dy, difference(run, xs, ts), 1e-8, "J t against differences")
    transposed(f, xs, ts, dy, rng)


def second_order(f: Function, xs: tuple[Any, ...], rng: np.random.Generator) -> None:
    """The same for the first derivative, in all four combinations of the modes."""
    ts = tuple(map(like(rng), xs))
    g = like(rng)(data(f(*xs)))

    def forward(*xs: Any) -> Any:
        return jvp(f, xs, ts)[1]

    def reverse(*xs: Any) -> Any:
        return vjp(f, *xs)[1](g)

    us = tuple(map(like(rng), xs))
    for name, df in (("forward", forward), ("reverse", reverse)):
        _, ddf = jvp(df, xs, us)
        same(ddf, difference(df, xs, us), 1e-8, f"forward over {name} against differences")
        transposed(df, xs, us, ddf, rng, f" over {name}")


def transposed(
    f: Function, xs: tuple[Any, ...], ts: tuple[Any, ...], dy: Any, rng: np.random.Generator, over: str = ""
) -> None:
    """``<g, J t> = <Jᵀ g, t>``, and every cotangent has the kind, shape and dtype of its argument."""
    y, pull = vjp(f, *xs)
    g = tuple(map(like(rng), y)) if isinstance(y, tuple) else like(rng)(y)
    back = pull(g)
    for x, c in zip(xs, back, strict=True):
        number = type(x) is float and type(c) is not float
        if number or np.shape(c) != np.shape(x) or np.asarray(c).dtype != np.asarray(x).dtype:
            raise AssertionError(f"reverse{over}: the cotangent of {x!r} is {c!r}")
    (forward, a), (reverse, b) = inner(g, dy), inner(back, ts)
    if not abs(forward - reverse) <= 1e-12 * (a + b + 1e-3):
        raise AssertionError(f"reverse{over}: <g, J t> = {forward}, <Jᵀ g, t> = {reverse}")


def inner(a: Any, b: Any) -> tuple[float, float]:
    """The real inner product, and the size of what it adds up."""
    pairs = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
    products = [np.asarray(x) * y for x, y in pairs]
    return sum(float(np.sum(p).real) for p in products), sum(float(np.sum(np.abs(p))) for p in products)


def difference(f: Function, xs: tuple[Any, ...], ts: tuple[Any, ...], h: float = STEP) -> Any:
    """The five-point difference ``(8 (f₊₁ - f₋₁) - (f₊₂ - f₋₂)) / 12h`` along ``ts``."""

    def at(k: int) -> Any:
        return f(*[x + k * h * t for x, t in zip(xs, ts, strict=True)])

    f1, f2, b1, b2 = at(1), at(2), at(-1), at(-2)
    if isinstance(f1, tuple):
        parts = zip(f1, f2, b1, b2, strict=True)
        return tuple((8 * (p1 - m1) - (p2 - m2)) / (12 * h) for p1, p2, m1, m2 in parts)
    return (8 * (f1 - b1) - (f2 - b2)) / (12 * h)


def like(rng: np.random.Generator) -> Function:
    """Draw a number or an array of the kind of ``x``, entries about 1 in size."""

    def draw(x: Any) -> Any:
        d = rng.normal(size=np.shape(x))
        if np.iscomplexobj(x):
            d = d + 1j * rng.normal(size=np.shape(x))
        return float(d) if type(x) is float else np.asarray(d, np.asarray(x).dtype)[() if np.ndim(x) else ...]

    return draw


def same(got: Any, want: Any, rtol: float, what: str) -> None:
    """Shapes equal, and numbers up to ``rtol`` of the largest (or of a thousandth)."""
    if isinstance(want, tuple):
        for i, (a, b) in enumerate(zip(got, want, strict=True)):
            same(a, b, rtol, f"{what} [{i}]")
        return
    a, b = np.asarray(data(got)), np.asarray(data(want))
    if a.shape != b.shape:
        raise AssertionError(f"{what}: shape {a.shape}, expected {b.shape}")
    scale = np.max(np.abs(b), initial=1e-3)
    if not np.all(np.abs(a - b) <= rtol * scale):
        raise AssertionError(f"{what}: got {a}, expected {b}")
