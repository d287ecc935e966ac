"""Dependent columns: what does not depend on how their factors fall out has its derivative; no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr

RNG = np.random.default_rng(6)
ONES = np.ones((3, 3))
NOISE = ONES + 2e-16 * RNG.choice([-1.0, 1.0], (3, 3))
MIDDLE = RNG.normal(size=(4, 3)) @ np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
STACK = np.stack([RNG.normal(size=(3, 3)), ONES])
DEPENDENT = {
    "ones": ONES, "rounded ones": NOISE, "zeros": np.zeros((3, 3)), "second of three": MIDDLE,
    "in a stack": STACK, "wide": np.ones((2, 4)), "complex": ONES * (1 + 1j), "single": np.ones((3, 3), "f"),
}  # fmt: skip


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", DEPENDENT)
def test_what_is_left_to_chance_is_refused(name: str, compiled: bool) -> None:
    a = DEPENDENT[name]
    column = 0 if name == "zeros" else 1
    for i in (0, 1):
        f = lambda a, i=i: np.sum(np.linalg.qr(a)[i].real)
        for run in (cr.grad(f), lambda a, f=f: cr.jvp(f, (a,), (a + 1,))[1]):
            with pytest.raises(np.linalg.LinAlgError, match=f"^qr: column {column} of a is, but for"):
                (cr.compile(run) if compiled else run)(a)


def determined(a: Any) -> Any:
    q, r = np.linalg.qr(a)
    return np.sum(np.sin(q[..., :, 0].real)) + np.sum(np.sin(2 * r[..., 0, :].real))


@pytest.mark.parametrize("name", [n for n in DEPENDENT if n not in ("zeros", "single")])
def test_what_is_not_has_its_derivative(name: str) -> None:
    a, h = DEPENDENT[name], 1e-6
    t = RNG.normal(size=a.shape)
    want = (determined(a + h * t) - determined(a - h * t)) / (2 * h)
    assert np.isclose(np.sum((np.conj(cr.grad(determined)(a)) * t).real), want, rtol=1e-6)


def test_columns_of_any_length_are_independent() -> None:
    """Each is seen beside its own length; the second derivative is that of the scaled problem."""
    a, scale = RNG.normal(size=(4, 3)), np.array([1.0, 1e-18, 1e18])
    f = lambda a: np.sum(np.sin(np.linalg.qr(a)[0]))
    g = lambda a: np.sum(cr.grad(f)(a) * a[::-1])
    assert np.allclose(cr.grad(f)(a * scale) * scale, cr.grad(f)(a), rtol=1e-10)
    assert np.allclose(cr.grad(g)(a * scale) * scale, cr.grad(g)(a), rtol=1e-9)
