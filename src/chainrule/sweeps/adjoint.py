"""The adjoint sweep: cotangents from the outputs back to the inputs.

``v̄ᵢ = Σⱼ v̄ⱼ ∂vⱼ/∂vᵢ`` over the consumers j of node i, newest node first.

What an operation did not choose is sent nothing, which is less than a zero: 0·∞ further down is no nan.
As long as everything is finite there is no difference, so a sweep over numbers first does without the
masks that tell one from the other, and is done again with them where nan turned up.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy import ndarray

from chainrule.graph import newest_first
from chainrule.primitives import (
    CONSTANTS,
    ONE,
    Contributions,
    Elementwise,
    Lanes,
    fit,
    fit_mask,
    keep,
    raw,
    reached,
    surely_finite,
)
from chainrule.traced import Traced, capturing
from chainrule.value import Value, changed, data

__all__ = ["Outside", "adjoint", "backward", "has_nan"]

KEPT = 1024  # entries up to which backward() keeps the gradient of an intermediate array


class Outside(Exception):
    """The sweep met a Value from outside: to keep its derivative, the sweep must be recorded."""


def adjoint(
    seeds: Iterable[tuple[Value, Any]],
    *,
    since: int = 0,
    until: int = -1,
    record: bool | None = True,
    visited: list[Any] | None = None,
    largest: int = sys.maxsize,
    masks: bool = False,
) -> dict[Value, Any]:
    """Carry cotangents from the outputs to where the graph begins.

    Parameters
    ----------
    seeds : iterable of (Value, cotangent)
    since, until : int
        Serials of the first and last Value differentiated with respect to. Older Values get no
        cotangent; the sweep stops at these.
    record : bool or None
        True: the sweep's own arithmetic is recorded, so that it can be differentiated again.
        False: it runs on raw data. None: on raw data, but `Outside` is raised where the graph
        reads a Value older than ``since``.
    visited : list, optional
        Receives every intermediate node and its cotangent, in turn,
    largest : int
        if the cotangent has no more entries than this.
    masks : bool
        Whether to carry masks of dead lanes at once, and not only if nan turns up. A sweep that is recorded
        or captured does so always.

    Returns
    -------
    dict
        The cotangents of the leaves reached, without those that were sent none.
    """
    seeds = list(seeds)
    if not (masks or record or capturing or any(type(g) is Lanes for _, g in seeds)):
        found, doubtful = _sweep(seeds, since, until, record, visited, largest, False)
        if not doubtful or not has_nan([*found.values(), *(visited or ())[1::2]]):
            return found
        if visited is not None:
            visited.clear()
    return _sweep(seeds, since, until, record, visited, largest, True)[0]


def _sweep(
    seeds: list[tuple[Value, Any]],
    since: int,
    until: int,
    record: bool | None,
    visited: list[Any] | None,
    largest: int,
    masks: bool,
) -> tuple[dict[Value, Any], bool]:
    """The cotangents, and whether masks were left out that could have made a difference."""
    doubtful = False
    received: dict[Value, Any] = {}
    waiting: dict[int, Value] = {}
    for v, g in seeds:
        if v.serial < since:
            if record is None:
                raise Outside
            continue
        received[v] = accumulate(received[v], g) if v in received else g
        if v.primitive is not None and v.serial > until:
            waiting[v.serial] = v
    for node in newest_first(waiting, since):
        g = received.pop(node)
        primitive, inputs, params = node.primitive, node.inputs, node.params
        y, args = (node, unchanged(node)) if record else (node._raw, node.args)
        if type(g) is Lanes and type(g.alive) is not Traced and g.alive.all():
            g = g.value
        if visited is not None:
            seen = g.value if type(g) is Lanes else g
            if type(seen) is float or seen.size <= largest:
                visited += (node, seen)
        if (
            type(primitive) is Elementwise
            and not record
            and (
                (type(g) is float and type(y) is float)
                or (primitive.lanes is None and type(g) is not Lanes)
            )
        ):
            # The rule of the family applied in place: most nodes are such, and many have little to do.
            lanes: Any = primitive.lanes
            for i, d in enumerate(primitive.partials):
                x = inputs[i]
                if type(x) is not Value or d is None:
                    continue
                if x.serial < since:
                    if record is None:
                        raise Outside
                    continue
                if lanes is not None and lanes[i] is not None and not lanes[i](y, *args, **params):
                    continue
                if d is ONE:
                    c = g
                elif type(d) in CONSTANTS:
                    c = g * d
                else:
                    try:
                        c = g * (d(y, args[0]) if len(args) == 1 and not params else d(y, *args, **params))
                    except ArithmeticError:
                        c = g * primitive.partial(i, y, args, params)
                a = x._raw
                if type(c) is type(a) is ndarray and c.shape == a.shape and c.dtype == a.dtype:
                    pass  # as it is mostly; `fit` would say the same
                elif type(c) is not float or type(a) is not float:
                    c = fit(c, a)
                before = received.get(x)
                if before is None:
                    received[x] = c
                    if x.primitive is not None and x.serial > until:
                        waiting[x.serial] = x
                else:
                    received[x] = before + c if type(before) is type(c) is float else accumulate(before, c)
            continue
        if record is None and any(type(x) is Value and x.serial < since for x in inputs):
            raise Outside
        if (
            primitive.selects  # type: ignore[union-attr]
            and (masks or not doubtful)
            and any(type(x) is Value and x.primitive is not None and x.serial > until for x in inputs)
        ):
            doubtful = True
            if masks and type(g) is not Lanes:
                g = Lanes(g, np.ones(np.shape(raw(g)), bool))
        contributions = primitive.pull(g, y, inputs, args, params, since)  # type: ignore[union-attr]
        if contributions is None:
            contributions = transpose_push(node, g, y, args, since, bool(record))
        if type(g) is Lanes and primitive.reach is not None:  # type: ignore[union-attr]
            contributions = _reached(node, g.alive, contributions)
        for x, c in contributions:
            if not masks and type(c) is Lanes:
                c, doubtful = c.value, True
            if x in received:
                before = received[x]
                received[x] = before + c if type(before) is type(c) is float else accumulate(before, c)
            else:
                received[x] = c
                if x.primitive is not None and x.serial > until:
                    waiting[x.serial] = x
    return {v: g.value if type(g) is Lanes else g for v, g in received.items()}, doubtful


def has_nan(cotangents: Iterable[Any]) -> bool:
    """Whether there is a nan, at the speed of sums; of infinities it may be said in error."""
    numbers = []
    for g in map(raw, cotangents):
        if type(g) is float:
            numbers.append(g)
        elif isinstance(g, ndarray | np.generic) and math.isnan(abs(np.vdot(g, g))):  # type: ignore[arg-type]
            return True
    return math.isnan(sum(numbers))


def accumulate(a: Any, b: Any) -> Any:
    """The sum of two cotangents; what neither was sent stays a dead lane."""
    if type(a) is Lanes or type(b) is Lanes:
        if type(a) is Lanes and type(b) is Lanes:
            return Lanes(a.value + b.value, a.alive | b.alive)
        a = a.value if type(a) is Lanes else a
        b = b.value if type(b) is Lanes else b
    return a + b


def _reached(node: Value, alive: Any, contributions: Contributions) -> Contributions:
    """Send nothing to the elements of the operands on which only dead lanes of the result depend."""
    out: Contributions = []
    masks: Any = None
    for x, c in contributions:
        if x.primitive is None and type(c) is not Lanes and surely_finite(c):  # nobody there to be told
            out.append((x, c))
            continue
        if masks is None:
            masks = node.primitive.reach.reaches(alive, *node.args, **node.params)  # type: ignore[union-attr]
        mask: Any = None
        for operand, m in zip(node.inputs, masks, strict=True):
            if operand is x:  # which may be both
                m = fit_mask(reached(m), x._raw)
                mask = m if mask is None else mask | m
        if type(c) is Lanes:
            mask, c = mask & c.alive, c.value
        elif type(mask) is not Traced and mask.all():
            mask = None
        if mask is not None and (c := keep(mask, c)) is None:  # a number, to which nothing is sent
            continue
        out.append((x, c if mask is None else Lanes(c, mask)))
    return out


def transpose_push(
    node: Value, g: Any, y: Any, args: tuple[Any, ...], since: int, record: bool
) -> Contributions:
    """Pull through a primitive that states only its push: record the push, and sweep back through it."""
    if type(g) is Lanes:
        g = g.value
    wanted = [(i, x) for i, x in enumerate(node.inputs) if type(x) is Value and x.serial >= since]
    if not wanted:  # a factor in the push of another node, which has no tangent
        return []
    tangents: list[Any] = [None] * len(args)
    for i, x in wanted:
        tangents[i] = Value(0.0) if type(x._raw) is float else Value._of(np.zeros_like(x._raw))
    dy = node.primitive.push(y, args, tangents, node.params)  # type: ignore[union-attr]
    if type(dy) is not Value:
        _check_constant(node, y, args, tangents)
        return []
    first, last = tangents[wanted[0][0]].serial, tangents[wanted[-1][0]].serial
    found = adjoint([(dy, g)], since=first, until=last, record=record)
    return [(x, found[tangents[i]]) for i, x in wanted if tangents[i] in found]


def _check_constant(node: Value, y: Any, args: tuple[Any, ...], tangents: list[Any]) -> None:
    """A push whose result did not follow its tangents must not depend on their numbers either."""
    moved = [t if t is None else 1.0 if type(t._raw) is float else np.ones_like(t._raw) for t in tangents]
    if any(type(x) is Traced for x in (y, *args, *moved)):
        return
    dy = data(node.primitive.push(y, args, moved, node.params))  # type: ignore[union-attr]
    if dy is not None and np.any(np.isfinite(dy) & (dy != 0)):
        raise TypeError(
            f"{node.primitive.name}: push takes the bare numbers of its tangents, where reverse mode cannot "  # type: ignore[union-attr]
            "follow; write it in functions that have derivatives, or state pull= as well"
        )


def unchanged(node: Value) -> tuple[Any, ...]:
    """The node's inputs, for a sweep that records; an error if a leaf has new data by now."""
    for x, a in zip(node.inputs, node.args, strict=True):
        if type(x) is Value and changed(x, a):
            raise RuntimeError(
                f"{node.primitive.name}: its input {x.name or 'Value'} was given new data after it was "  # type: ignore[union-attr]
                "used here; a derivative of higher order needs the old data: differentiate before changing it"
            )
    return node.inputs


def backward(self: Value, gradient: Any = None) -> None:
    """Add the derivative of this Value to the ``.grad`` of everything it was computed from.

    Leaves always receive it; intermediate nodes do if they are scalars or small arrays (up to
    1024 entries), so that a picture can show them. Calling it twice adds it twice. If the sweep
    fails, no ``.grad`` has changed.

    Parameters
    ----------
    gradient : array_like, optional
        The cotangent to start from; 1 for a scalar. An array needs one.

    Raises
    ------
    ValueError
        If this Value is an array and no gradient is given, or one of another shape.

    Examples
    --------
    >>> x = Value(3.0)
    >>> (x * x).backward()
    >>> x.grad
    6.0
    """
    shape = self.shape
    if gradient is None:
        if shape:
            raise ValueError(
                f"backward: this Value has shape {shape}, expected a scalar; reduce it first (np.sum, "
                "np.mean) or pass the gradient to start from, of the same shape"
            )
        if np.iscomplexobj(self._raw):
            raise TypeError(
                "backward: this Value is complex, expected a real number; take .real, .imag or np.abs of it, "
                "or pass the gradient to start from"
            )
        gradient = 1.0
    else:
        gradient = np.array(data(gradient))
    if np.iscomplexobj(gradient) and not np.iscomplexobj(self._raw):
        raise TypeError(
            "backward: gradient is complex, expected real numbers, as this Value; take its real part"
        )
    if np.shape(gradient) != shape:
        raise ValueError(
            f"backward: gradient has shape {np.shape(gradient)}, expected this Value's shape {shape}"
        )
    visited: list[Any] = []
    with np.errstate(all="ignore"):
        seed = fit(gradient, self._raw)
        leaves = adjoint([(self, seed)], record=False, visited=visited, largest=KEPT)
    # Only from here on does anything change.
    steps = iter(visited)
    for v, g in zip(steps, steps, strict=True):
        if type(g) is float:
            v._grad = g if v._grad is None else v._grad + g
        elif v._grad is None and g.dtype.kind != "c":
            v._grad = g  # shared, but `grad` only shows it
        else:
            _add_grad(v, g)
    for v, g in leaves.items():
        if not v.params:  # a frozen leaf has some
            _add_grad(v, g)


def _add_grad(v: Value, g: Any) -> None:
    """``v.grad += g`` with an array that others may hold too: it is marked read-only, never written."""
    before = v._gradient
    if type(g) is np.ndarray:
        if g.dtype.kind == "c":
            g = g.conj()  # the direction of steepest ascent
        if before is not None:
            g = before + g
        if type(g) is np.ndarray:
            g.flags.writeable = False
    else:
        g = g.conjugate() if before is None else before + g.conjugate()
    v._gradient = g


Value.backward = backward  # type: ignore[method-assign]
