"""Checks of derivatives against difference quotients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from chainrule.containers import flatten
from chainrule.derivatives import jvp, vjp
from chainrule.value import Value

__all__ = ["check_grads"]


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: Sequence[str] = ("forward", "reverse"),
    rtol: float = 1e-6,
    atol: float = 1e-6,
    step: float | None = None,
    seed: int = 0,
    method: str = "difference",
) -> None:
    """Raise where a derivative of ``f`` at ``args`` disagrees with difference quotients.

    Forward mode ``J t`` is compared with the five-point difference
    ``(8 (f₊₁ - f₋₁) - (f₊₂ - f₋₂)) / 12h`` along a random direction ``t``, reverse mode through
    ``<g, J t> = <Jᵀ g, t>``; then the same for the derivatives themselves, up to ``order``.

    The complex step ``Im f(x + iht) / h`` subtracts nothing, so that it is exact to rounding and
    tolerances can be tight; it needs a function of analytic operations (no ``abs``, ``max``, ``>``).

    Parameters
    ----------
    f : callable
        Of arrays (or containers of them) to arrays (or containers).
    args : sequence
        Its arguments, floats; float64 for the default tolerances.
    order : int
    modes : sequence of {"forward", "reverse"}
    rtol, atol : float
        Tolerances; an error is measured against the largest entry.
    step : float, optional
        ``h``; by default the fifth root of the precision, which balances rounding and truncation.
    seed : int
        Of the random directions.
    method : {"difference", "complex-step"}
        What the first order is compared with; higher orders always with differences.

    Raises
    ------
    AssertionError
        Naming the mode, the order and both numbers.

    Examples
    --------
    >>> check_grads(np.sin, (0.5,), order=2)
    >>> check_grads(np.sin, (0.5,), method="complex-step", rtol=1e-15, atol=0)
    """
    if method not in ("difference", "complex-step"):
        raise ValueError(f"check_grads: method is {method!r}, expected 'difference' or 'complex-step'")
    if isinstance(modes, str) or not modes or set(modes) - {"forward", "reverse"}:
        raise ValueError(f"check_grads: modes is {modes!r}, expected some of ('forward', 'reverse')")
    if order < 1:
        raise ValueError(f"check_grads: order is {order}, expected 1 or more")
    if not isinstance(args, tuple | list):
        kind = type(args).__name__
        raise TypeError(f"check_grads: args is a {kind}, expected a tuple: check_grads(f, (x,))")
    rng = np.random.default_rng(seed)
    args = tuple(args)
    t = _direction(args, rng)
    out, jt = jvp(f, args, t)
    h = step or float(np.finfo(np.result_type(*_leaves(args), np.float32)).eps) ** 0.2 * 0.2
    numeric = _difference(f, args, t, h) if method == "difference" else _complex_step(f, args, t)
    what = f"of {getattr(f, '__name__', 'f')}, order {getattr(f, '_order', 1)}"
    if "forward" in modes:
        _compare(jt, numeric, rtol, atol, f"forward mode {what}: J t against the difference quotient")
    g = _direction(out, rng)
    if "reverse" in modes:
        _, pull = vjp(f, *args)
        back = _inner(pull(g), t)
        against = f"reverse mode {what}: <Jᵀ g, t> against <g, difference quotient>"
        _compare(back, _inner(g, numeric), rtol, atol, against)
    if order > 1:
        deeper = getattr(f, "_order", 1) + 1

        def forward(*xs: Any) -> Any:
            return jvp(f, xs, t)[1]

        def reverse(*xs: Any) -> Any:
            return vjp(f, *xs)[1](g)

        for mode, df in (("forward", forward), ("reverse", reverse)):
            if mode in modes:
                df._order = deeper  # type: ignore[attr-defined]
                df.__name__ = f"{getattr(f, '__name__', 'f')}, {mode} derivative"
                check_grads(df, args, order - 1, modes, rtol * 10, atol * 10, step, seed + 1)


def _leaves(tree: Any) -> list[Any]:
    return [x._raw if type(x) is Value else x for x in flatten(tree, numbers=1)[0]]


def _direction(like: Any, rng: np.random.Generator) -> Any:
    def draw(x: Any) -> Any:
        d = rng.normal(size=np.shape(x))
        if np.iscomplexobj(x):
            d = d + 1j * rng.normal(size=np.shape(x))
        dtype = np.asarray(x).dtype
        return float(d) if type(x) is float else np.asarray(d, dtype if dtype.kind in "fc" else float)[()]

    leaves, spec = flatten(like, numbers=2)
    return optree.tree_unflatten(spec, [draw(x._raw if type(x) is Value else x) for x in leaves])


def _difference(f: Callable[..., Any], args: tuple[Any, ...], t: Any, h: float) -> Any:
    def at(k: int) -> list[Any]:
        leaves, spec = flatten(args, numbers=2)
        moved = [x + k * h * d for x, d in zip(leaves, flatten(t, numbers=2)[0], strict=True)]
        return _leaves(f(*optree.tree_unflatten(spec, moved)))

    return [
        (8 * (np.asarray(p1) - m1) - (np.asarray(p2) - m2)) / (12 * h)
        for p1, m1, p2, m2 in zip(at(1), at(-1), at(2), at(-2), strict=True)
    ]


def _complex_step(f: Callable[..., Any], args: tuple[Any, ...], t: Any) -> Any:
    h = 1e-30
    leaves, spec = flatten(args)
    moved = [x + 1j * h * np.asarray(d)[()] for x, d in zip(leaves, flatten(t)[0], strict=True)]
    return [np.imag(y) / h for y in _leaves(f(*optree.tree_unflatten(spec, moved)))]


def _inner(a: Any, b: Any) -> Any:
    return sum(float(np.sum(np.asarray(x) * y).real) for x, y in zip(_leaves(a), _leaves(b), strict=True))


def _compare(got: Any, want: Any, rtol: float, atol: float, what: str) -> None:
    for a, b in zip(_leaves(got), _leaves(want), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        scale = np.max(np.abs(b), initial=0.0)
        if not np.all(np.abs(a - b) <= atol + rtol * scale):
            raise AssertionError(f"check_grads: {what}: got {a}, expected {b}")
