"""check_module: the messages of a module beside central differences, and beside what follows from forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import optree

from chainrule.nn.arguments import as_operand
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
) -> None:
    """Raise where ``backward`` or ``parameter_gradients`` of a module are wrong.

    For one random incoming gradient δ, the outgoing gradients and those of the parameters are compared with
    those that follow from `forward`, and up to 40 elements of each array with the central difference of
    <δ, outputs>, ``(8 (f₊₁ - f₋₁) - (f₊₂ - f₋₂)) / 12h``.  A module that has no ``backward`` written by hand
    is compared with differences alone.

    What the module draws is drawn once, and it is left as it was: parameters, gradients and buffers.  At a
    kink there is no derivative to compare with: choose inputs away from it.

    Parameters
    ----------
    module : Module
    *inputs : arrays
        What it is called with; floating ones have gradients.
    rtol, atol : float, optional
        Tolerances; an error is measured against the largest entry.  By default 1e-6, in single precision
        5e-3.
    seed : int
        Of δ and of the elements.

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
    given = [np.array(data(x)) if np.asarray(data(x)).dtype.kind == "f" else data(x) for x in inputs]
    parameters = module.named_parameters()
    single = any(x.dtype == np.float32 for x in [*map(as_operand, given), *[p for _, p in parameters]])
    rtol = rtol if rtol is not None else 5e-3 if single else 1e-6
    atol = atol if atol is not None else 5e-3 if single else 1e-6
    h = 0.2 * float(np.finfo(np.float32 if single else np.float64).eps) ** 0.2
    with _left_as_it_was(module):
        out = module(*given)
        call = module._last
        assert call is not None
        delta = optree.tree_map(lambda y: _direction(data(y), rng), out, none_is_leaf=True)
        with repeated(call):
            derived, derived_parameters = _inputs(module, call.derive(delta)[0]), call.derive(delta)[1]
        handmade = type(module)._handmade
        got = derived
        if "backward" in handmade:
            got = _inputs(module, module.backward(delta))
            if len(got) != len(given):
                raise AssertionError(
                    f"check_module: {name}.backward: returned {len(got)} gradients, expected one for each of "
                    f"{len(given)} inputs"
                )
        got_parameters = derived_parameters
        if "parameter_gradients" in handmade:
            got_parameters = module.parameter_gradients(delta)
            if set(got_parameters) != set(derived_parameters):
                raise AssertionError(
                    f"check_module: {name}.parameter_gradients: returned {sorted(got_parameters)}, expected "
                    f"{sorted(derived_parameters)}"
                )

        def objective() -> float:
            with repeated(call):
                y = module.forward(*given)
            pairs = zip(optree.tree_leaves(y), optree.tree_leaves(delta), strict=True)
            return sum(float(np.sum(data(a).astype(float) * g)) for a, g in pairs if g is not None)

        for i, x in enumerate(given):
            if isinstance(x, np.ndarray) and x.dtype.kind == "f":
                what = f"{name}.backward: input {i}"
                _agree(what, got[i], derived[i], x.shape, rtol, atol)
                set_input = lambda a, i=i: given.__setitem__(i, a)
                _differences(what, got[i], x, set_input, objective, h, rtol, atol, rng)
        for path, p in parameters:
            what = f"{name}.parameter_gradients: {path}"
            _agree(what, got_parameters[path], derived_parameters[path], p.shape, rtol, atol)
            set_parameter = lambda a, p=p: setattr(p, "data", a)
            x = np.array(p.data)
            _differences(what, got_parameters[path], x, set_parameter, objective, h, rtol, atol, rng)


def _inputs(module: Module, gradients: Any) -> list[Any]:
    return list(gradients) if isinstance(gradients, tuple | list) else [gradients]


def _direction(y: Any, rng: np.random.Generator) -> Any:
    y = np.asarray(y)
    return np.asarray(rng.normal(size=y.shape), y.dtype)[()] if y.dtype.kind == "f" else None


def _agree(what: str, got: Any, want: Any, shape: tuple[int, ...], rtol: float, atol: float) -> None:
    a, b = np.asarray(data(got)), np.asarray(data(want))
    if got is None or a.shape != shape:
        received = "None" if got is None else f"an array of shape {a.shape}"
        raise AssertionError(f"check_module: {what}: got {received}, expected the shape {shape}")
    wrong = ~(np.abs(a - b) <= atol + rtol * np.max(np.abs(b), initial=0.0))
    if np.any(wrong):
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise AssertionError(
            f"check_module: {what} at {at}: got {a[at]:.6f}, expected {b[at]:.6f} as follows from forward"
        )


def _differences(
    what: str,
    got: Any,
    x: Any,
    put: Callable[[Any], None],
    objective: Callable[[], float],
    h: float,
    rtol: float,
    atol: float,
    rng: np.random.Generator,
) -> None:
    a = np.asarray(data(got))
    scale = np.max(np.abs(a), initial=0.0)
    flat = rng.permutation(x.size)[:ELEMENTS]
    for at in zip(*np.unravel_index(np.sort(flat), x.shape), strict=True) if x.ndim else [()]:

        def moved(steps: int, at: Any = at) -> float:
            there = x.copy()
            there[at] += steps * h
            put(there)
            return objective()

        want = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * h)
        put(x)
        if not abs(a[at] - want) <= atol + rtol * scale:
            raise AssertionError(
                f"check_module: {what} at {tuple(map(int, at))}: got {a[at]:.6f}, expected {want:.6f}, the "
                "difference quotient"
            )


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
