"""What depends on the phases of complex eigenvectors is refused, what does not is not, to any order."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

RNG = np.random.default_rng(4)
A, *TS = (RNG.normal(size=(3, 3)) for _ in range(4))
A[0, 1], A[1, 0] = 2.0, -2.0  # a pair of complex eigenvalues


def along(mode: str, f: Callable[..., Any], t: Any) -> Callable[..., Any]:
    if mode == "forward":
        return lambda a: cr.jvp(f, (a,), (t,))[1]
    return lambda a: np.sum(cr.grad(f)(a) * t)


def mixed(a: Any, modes: tuple[str, ...], f: Callable[..., Any]) -> Any:
    for mode, t in zip(modes, TS, strict=False):
        f = along(mode, f, t)
    return f(a)


def powers(k: int) -> Any:
    """The third derivative of ``tr aᵏ`` along three directions: in each order, where k is 3."""
    total = np.zeros(())
    for ts in itertools.permutations(TS):
        total = total + {1: 0.0, 2: 0.0, 3: np.trace(ts[0] @ ts[1] @ ts[2])}[k]
    return total


ORDERS = list(itertools.product(("forward", "reverse"), repeat=3))
INVARIANT: dict[str, Callable[[Any], Any]] = {
    "values": lambda a: np.sum(np.sin(np.linalg.eigvals(a).real)),
    "vectors": lambda a: np.sum(np.abs(np.linalg.eig(a)[1]) ** 3),
    "hermitian values": lambda a: np.sum(np.linalg.eigvalsh(a + a.T + 1j * (a - a.T)) ** 3),
    "hermitian vectors": lambda a: np.sum(np.abs(np.linalg.eigh(a + a.T + 1j * (a - a.T))[1]) ** 3),
}


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("modes", ORDERS, ids="-".join)
def test_third_derivatives_of_traces(k: int, modes: tuple[str, ...]) -> None:
    """Of these all cotangents of the vectors cancel but for rounding, which is no reason to refuse."""
    got = mixed(A, modes, lambda a: np.sum(np.linalg.eigvals(a) ** k).real)
    hermitian = mixed(A, modes, lambda a: np.sum(np.linalg.eigvalsh(a + a.T + 0j)).real)
    assert np.isclose(got, powers(k), rtol=1e-9, atol=1e-9) and abs(hermitian) < 1e-9


@pytest.mark.parametrize("name", INVARIANT)
def test_third_derivatives_in_all_modes(name: str) -> None:
    f = INVARIANT[name]
    found = [mixed(A, modes, f) for modes in ORDERS]
    h = 1e-4
    ahead, behind = (mixed(A + s * h * TS[2], ORDERS[0][:2], f) for s in (1, -1))
    assert np.allclose(found, found[0], rtol=1e-7)
    assert np.isclose(found[0], (ahead - behind) / (2 * h), rtol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("modes", [m for m in ORDERS if "reverse" in m], ids="-".join)
def test_what_depends_on_phases_is_refused(modes: tuple[str, ...], compiled: bool) -> None:
    def f(a: Any) -> Any:
        return np.sum(np.linalg.eig(a + 0j)[1].real ** 3)

    for order in range(modes.index("reverse") + 1, 4):
        run = lambda a, order=order: mixed(a, modes[:order], f)
        with pytest.raises(np.linalg.LinAlgError, match=r"^eig: the derivative depends on the phases"):
            (cr.compile(run) if compiled else run)(A)
