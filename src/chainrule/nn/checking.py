"""check_module: the messages of a module beside central differences, and beside what follows from forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import optree

from chainrule.containers import flatten
from chainrule.nn.calls import bound
from chainrule.nn.messages import repeated
from chainrule.nn.module import Module
from chainrule.value import data

__all__ = ["check_module"]

ELEMENTS = 40  # of an array are compared with differences; all are compared with what follows from forward


def check_module(
    module: Module,
    *inputs: Any,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    **keywords: Any,
) -> None:
    """Raise where ``backward`` or ``parameter_gradients`` of a module are wrong.

    For one random incoming gradient δ, the outgoing gradients and those of the parameters are compared with
    those that follow from `forward`, and up to 40 elements of each array with the central difference of
    <δ, outputs>, ``(8 (f₊₁ - f₋₁) - (f₊₂ - f₋₂)) / 12h``.  A module that has no ``backward`` written by hand
    is compared with differences alone; so is one whose `forward` computes out of sight, with another library.

    What the module draws is drawn once, and it is left as it was: parameters, gradients and buffers.  At a
    kink there is no derivative to compare with: choose inputs away from it.

    Parameters
    ----------
    module : Module
    *inputs : arrays
        What it is called with, also in containers; floating ones have gradients.
    rtol, atol : float, optional
        Tolerances; an error is measured against the largest entry.  By default 1e-6, in single precision
        5e-3.
    seed : int
        Of δ and of the elements.
    **keywords
        Further inputs.

    Raises
    ------
    AssertionError
        Naming the input or parameter, the element, what was got and what was expected.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> class Square(nn.Module):
    ...     def forward(self, x):
    ...         return x * x
    ...     def backward(self, delta):
    ...         (x,) = self.inputs
    ...         return x * delta
    >>> nn.check_module(Square(), np.array([1.0, -2.0]))
    Traceback (most recent call last):
        ...
    AssertionError: check_module: Square.backward: input 0 at (0,): got 0.125730, expected 0.251460 as follows
    from forward
    """
    rng = np.random.default_rng(seed)
    name = type(module).__name__
    args, keywords = bound(module, inputs, keywords)
    given, spec = flatten([*map(_as_array, args), *map(_as_array, keywords.values())], none_is_leaf=True)
    given = [np.array(data(x)) if _floating(x) else data(x) for x in given]
    labels = _labels(spec)

    def arguments() -> tuple[Any, dict[str, Any]]:
        xs = optree.tree_unflatten(spec, given)
        return tuple(xs[: len(args)]), dict(zip(keywords, xs[len(args) :], strict=True))

    parameters = module.named_parameters()
    dtypes = [np.asarray(x).dtype for x in given if _floating(x)] + [p.dtype for _, p in parameters]
    single = np.float32 in dtypes
    rtol = rtol if rtol is not None else 5e-3 if single else 1e-6
    atol = atol if atol is not None else 5e-3 if single else 1e-6
    h = 0.2 * float(np.finfo(np.float32 if single else np.float64).eps) ** 0.2
    with _left_as_it_was(module):
        positional, named = arguments()  # held, as the module does not
        out = module(*positional, **named)
        call = module._last
        assert call is not None
        delta = optree.tree_map(lambda y: _direction(data(y), rng), out, none_is_leaf=True)
        if all(d is None for d in optree.tree_leaves(delta, none_is_leaf=True)):
            raise TypeError(f"check_module: {name} returned no floating numbers; call it with floats")
        with repeated(call):
            outgoing, derived_parameters = call.derive(delta)
        derived = _by_leaf(outgoing, spec)
        handmade = type(module)._handmade
        got = derived
        if "backward" in handmade:
            outgoing = module.backward(delta)
            count = len(outgoing) if isinstance(outgoing, tuple | list) else 1
            if count != len(spec.children()) and (len(spec.children()) > 1 or len(given) == 1):
                raise AssertionError(
                    f"check_module: {name}.backward: returned {count} gradients, expected one for each of "
                    f"{len(spec.children())} inputs"
                )
            got = _by_leaf(outgoing, spec)
        got_parameters = derived_parameters
        if "parameter_gradients" in handmade:
            got_parameters = module.parameter_gradients(delta)
            if not isinstance(got_parameters, dict):
                raise AssertionError(
                    f"check_module: {name}.parameter_gradients: returned a {type(got_parameters).__name__}, "
                    f"expected a dict of {sorted(derived_parameters)}"
                )
            if set(got_parameters) != set(derived_parameters):
                raise AssertionError(
                    f"check_module: {name}.parameter_gradients: returned {sorted(got_parameters)}, expected "
                    f"{sorted(derived_parameters)}"
                )

        def objective() -> float:
            with repeated(call):
                positional, named = arguments()
                y = module.forward(*positional, **named)
            pairs = zip(optree.tree_leaves(y), optree.tree_leaves(delta), strict=True)
            return sum(float(np.sum(data(a).astype(float) * g)) for a, g in pairs if g is not None)

        for i, x in enumerate(given):
            if isinstance(x, np.ndarray) and x.dtype.kind == "f":
                quotient = _quotient(x, partial(given.__setitem__, i), objective, h)
                what = f"{name}.backward: input {labels[i]}"
                _agree(what, got[i], derived[i], quotient, x.shape, rtol, atol, rng)
        for path, p in parameters:
            quotient = _quotient(np.array(p.data), partial(setattr, p, "data"), objective, h)
            what = f"{name}.parameter_gradients: {path}"
            _agree(what, got_parameters[path], derived_parameters[path], quotient, p.shape, rtol, atol, rng)


def _as_array(x: Any) -> Any:
    """A list of nothing but numbers is meant as an array."""
    leaves = flatten(x)[0] if isinstance(x, list | tuple) else [None]
    return np.array(x) if all(type(leaf) in (float, int) for leaf in leaves) else x


def _floating(x: Any) -> bool:
    x = data(x)
    return isinstance(x, float | np.ndarray | np.generic) and np.asarray(x).dtype.kind == "f"


def _labels(spec: Any) -> list[str]:
    """Of the leaves of the inputs: their number, and the way within a container."""
    return [str(path[0]) + "".join(f"[{key!r}]" for key in path[1:]) for path in spec.paths()]


def _by_leaf(outgoing: Any, spec: Any) -> list[Any]:
    """Outgoing gradients by the leaves of the inputs; None for a whole container is None for each."""
    inputs = spec.children()
    each = [outgoing] if len(inputs) == 1 else list(outgoing)
    found: list[Any] = []
    for g, s in zip(each, inputs, strict=True):
        leaves = flatten(g, none_is_leaf=True)[0]
        found += leaves if len(leaves) == s.num_leaves else [g] * s.num_leaves
    return found


def _direction(y: Any, rng: np.random.Generator) -> Any:
    y = np.asarray(y)
    return np.asarray(rng.normal(size=y.shape), y.dtype)[()] if y.dtype.kind == "f" else None


def _agree(
    what: str,
    got: Any,
    derived: Any,
    quotient: Callable[[Any], float],
    shape: tuple[int, ...],
    rtol: float,
    atol: float,
    rng: np.random.Generator,
) -> None:
    """Compare a gradient with the derived one and with differences, which have the last word."""
    a, b = np.asarray(data(got)), np.asarray(data(derived))
    if got is None or a.shape != shape:
        received = "None" if got is None else f"an array of shape {a.shape}"
        raise AssertionError(f"check_module: {what}: got {received}, expected the shape {shape}")
    scale = np.max(np.abs(a), initial=0.0)
    close = np.abs(a - b) <= atol + rtol * np.max(np.abs(b), initial=0.0)
    for i in [*np.flatnonzero(~close)[:ELEMENTS], *np.sort(rng.permutation(a.size)[:ELEMENTS])]:
        at = tuple(map(int, np.unravel_index(i, shape)))
        want = quotient(at)
        if not abs(a[at] - want) <= atol + rtol * scale:
            want, why = (
                (want, ", the difference quotient") if close[at] else (b[at], " as follows from forward")
            )
            raise AssertionError(f"check_module: {what} at {at}: got {a[at]:.6f}, expected {want:.6f}{why}")


def _quotient(
    x: Any, put: Callable[[Any], None], objective: Callable[[], float], h: float
) -> Callable[[Any], float]:
    """The central difference in one element of an input or a parameter."""

    def quotient(at: Any) -> float:
        def moved(steps: int) -> float:
            there = x.copy()
            there[at] += steps * h
            put(there)
            return objective()

        try:
            return (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * h)
        finally:
            put(x)

    return quotient


@contextmanager
def _left_as_it_was(module: Module) -> Iterator[None]:
    """Put back parameters, gradients and buffers."""
    state, gradients = module.state_dict(), [(p, p.grad) for p in module.parameters()]
    try:
        yield
    finally:
        module.load_state_dict(state)
        for p, g in gradients:
            p.grad = g
