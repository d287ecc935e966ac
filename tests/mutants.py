"""Mistakes to plant in the rules, to see that the checks find them.

`systematic` makes the same few mistakes in every primitive there is: a sign, a factor, a derivative
forgotten, operands exchanged, a mask left out. Those that people make are in `tests.mutants_by_hand`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from chainrule.primitives import Bilinear, Elementwise, Lanes, Linear, Primitive, Special, raw
from chainrule.rules import arithmetic as ar
from chainrule.rules import elementary as el

Plant = Callable[[pytest.MonkeyPatch], None]


class Mutant(NamedTuple):
    """A mistake, and the primitive it is in; None if it concerns them all."""

    name: str
    primitive: Primitive | None
    plant: Plant


def setting(target: Any, attribute: str, new: Any) -> Plant:
    return lambda patch: patch.setattr(target, attribute, new)


# -------------------------------------------------------------------- the same mistakes everywhere


def systematic(p: Primitive) -> Iterator[Mutant]:
    families = {Elementwise: partials, Linear: transpose, Bilinear: transposes, Special: push_and_pull}
    (family,) = (made for kind, made in families.items() if isinstance(p, kind))
    for name, attribute, new in family(p):
        yield Mutant(f"{p.name}: {name}", p, setting(p, attribute, new))


# Their partials are constants, or pieces of such, so cutting these off from the graph is no mistake.
PIECEWISE = {
    el.deg2rad,
    el.rad2deg,
    ar.remainder,
    ar.fmod,
    ar.maximum,
    ar.minimum,
    ar.fmax,
    ar.fmin,
    ar.leaky_relu,
    ar.copysign,
    ar.ldexp,
} | {p for p in vars(ar).values() if isinstance(p, Elementwise) and p.name == "absolute"}


def refuses(d: Any) -> bool:
    """Whether it is no derivative but the error that there is none."""
    return getattr(d, "__name__", "") == "refuse"


def partials(p: Any) -> Iterator[tuple[str, str, Any]]:
    def with_one(i: int, new: Any) -> tuple[Any, ...]:
        return (*p.partials[:i], new, *p.partials[i + 1 :])

    for i, d in enumerate(p.partials):
        if d is None or refuses(d):
            continue
        yield f"sign of partial {i}", "partials", with_one(i, _scaled(d, -1))
        yield f"partial {i} doubled", "partials", with_one(i, _scaled(d, 2))
        yield f"partial {i} forgotten", "partials", with_one(i, None)
        if callable(d) and p not in PIECEWISE:
            yield f"partial {i} cut off from the graph", "partials", with_one(i, _cut_off(d))
    two = len(p.partials) == 2 and None not in p.partials and not any(map(refuses, p.partials))
    if two and p.partials[0] != p.partials[1]:
        yield "partials exchanged", "partials", p.partials[::-1]
    if p.lanes is not None:
        yield "no masks", "lanes", None
        yield "masks inverted", "lanes", tuple(t and _inverted(t) for t in p.lanes)


def _scaled(d: Any, factor: float) -> Any:
    if not callable(d):
        return d * factor
    return lambda *args, **params: d(*args, **params) * factor


def _cut_off(d: Any) -> Any:
    return lambda *args, **params: d(*map(raw, args), **params)


def _inverted(taken: Any) -> Any:
    return lambda *args, **params: np.logical_not(taken(*args, **params))


def transpose(p: Any) -> Iterator[tuple[str, str, Any]]:
    def changed(change: Callable[[Any], Any]) -> Any:
        def wrong(g: Any, *args: Any, **params: Any) -> Any:
            cs = p_transpose(g, *args, **params)
            if np.asarray(raw(g)).dtype == bool:  # which elements are alive: no cotangents
                return cs
            return [change(c) for c in cs] if len(args) > 1 else change(cs)

        return wrong

    p_transpose = p.transpose
    yield "sign of the transpose", "transpose", changed(lambda c: -1 * c)
    yield "transpose doubled", "transpose", changed(lambda c: c + c)
    yield "transpose forgotten", "transpose", changed(lambda c: 0.0 * c)
    if p.name == "concatenate":
        yield "parts exchanged", "transpose", lambda g, *xs, axis: list(p_transpose(g, *xs[::-1], axis=axis))


def transposes(p: Any) -> Iterator[tuple[str, str, Any]]:
    left, right = p.transposes
    yield "sign of the left transpose", "transposes", (_scaled(left, -1), right)
    yield "sign of the right transpose", "transposes", (left, _scaled(right, -1))
    yield "left transpose doubled", "transposes", (_scaled(left, 2), right)
    yield "right transpose doubled", "transposes", (left, _scaled(right, 2))
    yield "left transpose forgotten", "transposes", (_scaled(left, 0), right)
    yield "right transpose forgotten", "transposes", (left, _scaled(right, 0))
    yield "transposes exchanged", "transposes", (right, left)
    yield "left transpose cut off from the graph", "transposes", (_cut_off_but_first(left), right)


def _cut_off_but_first(transpose: Any) -> Any:
    return lambda g, *args, **params: transpose(g, *map(raw, args), **params)


def push_and_pull(p: Any) -> Iterator[tuple[str, str, Any]]:
    push, pull = p.stated_push, p.stated_pull
    yield "sign of the push", "stated_push", _scaled(push, -1)
    yield "push doubled", "stated_push", _scaled(push, 2)
    yield "push forgotten", "stated_push", lambda ts, *args, **params: None
    if pull is not None:

        def changed(change: Callable[[Any], Any]) -> Any:
            def wrong(*args: Any, **params: Any) -> Any:
                return tuple(map(of_one, pull(*args, **params)))

            def of_one(c: Any) -> Any:
                if type(c) is Lanes:
                    return Lanes(change(c.value), c.alive)
                return None if c is None else change(c)

            return wrong

        yield "sign of the pull", "stated_pull", changed(lambda c: -c)
        yield "pull doubled", "stated_pull", changed(lambda c: 2 * c)
        yield "pull forgotten", "stated_pull", lambda *args, **params: [None] * len(args)
