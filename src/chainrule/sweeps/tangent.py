"""The tangent sweep: tangents from the inputs forward to the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.primitives import Elementwise, Lanes, Linear, as_array, keep
from chainrule.sweeps.adjoint import has_nan, unchanged
from chainrule.traced import Traced, capturing
from chainrule.value import Value

__all__ = ["tangent"]


def tangent(
    nodes: Sequence[Value], seeds: dict[Value, Any], *, record: bool, outputs: Iterable[Any] | None = None
) -> dict[Value, Any]:
    """Carry tangents through recorded nodes.

    Parameters
    ----------
    nodes : sequence of Value
        In topological order, as `chainrule.graph.order` gives them.
    seeds : dict
        The tangents to start from; nodes listed here are not computed. `Lanes` where only some
        elements move at all.
    record : bool
        Whether the sweep's own arithmetic is recorded, so that it can be differentiated again.
    outputs : iterable, optional
        The nodes whose tangents are wanted, perhaps among other things; by default all.

    Returns
    -------
    dict
        The tangent of every node that has one; a missing tangent is zero.
    """
    if not (record or capturing or any(type(t) is Lanes for t in seeds.values())):
        found, doubtful = _sweep(nodes, seeds, False, False)
        wanted = found if outputs is None else [v for v in outputs if type(v) is Value and v in found]
        if not doubtful or not has_nan(found[v] for v in wanted):
            return found
    return _sweep(nodes, seeds, record, True)[0]


def _sweep(
    nodes: Sequence[Value], seeds: dict[Value, Any], record: bool, masks: bool
) -> tuple[dict[Value, Any], bool]:
    """The tangents, and whether masks were left out that could have made a difference."""
    doubtful = False
    tangents = {v: t.value if type(t) is Lanes else t for v, t in seeds.items()}
    # Where a node moves at all, as in the adjoint sweep: not listed, everywhere.
    alive: dict[Value, Any] = {v: t.alive for v, t in seeds.items() if type(t) is Lanes}
    for node in nodes:
        primitive = node.primitive
        if primitive is None or node in seeds:
            continue
        ts = [tangents.get(x) if type(x) is Value else None for x in node.inputs]
        if all(t is None for t in ts):
            continue
        y, args = (node, unchanged(node)) if record else (node._raw, node.args)
        moving = [alive.get(x) if alive and type(x) is Value else None for x in node.inputs]
        dead = any(m is not None for m in moving)
        if type(primitive) is Elementwise:
            partly = dead or (primitive.lanes is not None and type(node._raw) is not float)
        elif type(primitive) is Linear:
            partly = dead or primitive.pads or any(t is None for t in ts)
        else:
            partly = dead
        mask = None
        if partly and masks and type(primitive) is Elementwise:
            t, mask = _elementwise(primitive, node, y, args, ts, moving)
        else:
            doubtful = doubtful or partly
            if dead and primitive.takes_lanes:
                ts = [t if m is None else Lanes(t, m) for t, m in zip(ts, moving, strict=True)]
            t = primitive.push(y, args, ts, node.params)
            if partly and masks and type(primitive) is Linear:
                # The matrices of these operations are 0 and 1, so what reaches, reaches.
                mask = as_array(primitive.run(*_moving(node, ts, moving), **node.params)) != 0
            elif dead and primitive.reach is not None and t is not None:
                mask = primitive.reach.moves(*_moving(node, ts, moving), **node.params)
                t = keep(mask, t)
        if t is None or (mask is not None and type(mask) is not Traced and not mask.any()):
            continue
        tangents[node] = t
        if mask is not None and (type(mask) is Traced or not mask.all()):
            alive[node] = mask
    return tangents, doubtful


def _elementwise(
    primitive: Elementwise, node: Value, y: Any, args: Any, ts: list[Any], masks: list[Any]
) -> tuple[Any, Any]:
    """The tangent, operand by operand, and where any of them moves it; None for everywhere."""
    total = None
    moved: Any = False
    for i, t in enumerate(ts):
        if t is None:
            continue
        alone = [t if j == i else None for j in range(len(ts))]
        c = primitive.push(y, args, alone, node.params)
        if c is None:
            continue
        taken = primitive.taken(i, y, args, node.params)
        mask = masks[i] if taken is None else taken if masks[i] is None else taken & masks[i]
        if mask is None:
            moved = True
        else:
            c = keep(mask, c)
            moved = moved | mask
            if c is None:
                continue
        total = c if total is None else total + c
    return total, None if moved is True else np.broadcast_to(moved, node.shape)


def _moving(node: Value, ts: list[Any], masks: list[Any]) -> list[Any]:
    """Where each operand moves."""
    return [
        np.full(np.shape(a), t is not None) if m is None else m
        for a, t, m in zip(node.args, ts, masks, strict=True)
    ]
