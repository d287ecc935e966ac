"""The tangent sweep: tangents from the inputs forward to the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.primitives import Elementwise, Lanes, Linear, as_array, keep
from chainrule.sweeps.adjoint import _unchanged
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["tangent"]


def tangent(nodes: Sequence[Value], seeds: dict[Value, Any], *, record: bool) -> dict[Value, Any]:
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

    Returns
    -------
    dict
        The tangent of every node that has one; a missing tangent is zero.
    """
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
        y, args = (node, _unchanged(node)) if record else (node._data, node.args)
        masks = (
            [alive.get(x) if type(x) is Value else None for x in node.inputs] if alive else [None] * len(ts)
        )
        dead = any(m is not None for m in masks)
        mask = None
        masked = node.shape or type(node._data) is Traced
        if type(primitive) is Elementwise and masked and (dead or primitive.lanes is not None):
            t, mask = _elementwise(primitive, node, y, args, ts, masks)
        else:
            if dead and primitive.takes_lanes:
                ts = [t if m is None else Lanes(t, m) for t, m in zip(ts, masks, strict=True)]
            t = primitive.push(y, args, ts, node.params)
            if dead and type(primitive) is Linear:
                mask = _linear(primitive, node, ts, masks)
            elif dead and primitive.reach is not None and t is not None and masked:
                mask = primitive.reach.moves(*_moving(node, ts, masks), **node.params)
                t = keep(mask, t)
        if t is not None:
            tangents[node] = t
            if mask is not None and (type(mask) is Traced or not mask.all()):
                alive[node] = mask
    return tangents


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
        total = c if total is None else total + c
    return total, None if moved is True else np.broadcast_to(moved, node.shape)


def _linear(primitive: Linear, node: Value, ts: list[Any], masks: list[Any]) -> Any:
    """Where the result moves: the matrices of these operations are 0 and 1, so what reaches, reaches."""
    mask = as_array(primitive.run(*_moving(node, ts, masks), **node.params))
    mask = mask if mask.dtype == bool else mask != 0
    return mask if mask.ndim or type(mask) is Traced else None


def _moving(node: Value, ts: list[Any], masks: list[Any]) -> list[Any]:
    """Where each operand moves."""
    return [
        np.full(np.shape(a), t is not None) if m is None else m
        for a, t, m in zip(node.args, ts, masks, strict=True)
    ]
