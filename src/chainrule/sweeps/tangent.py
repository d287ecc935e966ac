"""The tangent sweep: tangents from the inputs forward to the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.sweeps.adjoint import _unchanged
from chainrule.value import Value

__all__ = ["tangent"]


def tangent(nodes: Sequence[Value], seeds: dict[Value, Any], *, record: bool) -> dict[Value, Any]:
    """Carry tangents through recorded nodes.

    Parameters
    ----------
    nodes : sequence of Value
        In topological order, as `chainrule.graph.order` gives them.
    seeds : dict
        The tangents to start from; nodes listed here are not computed.
    record : bool
        Whether the sweep's own arithmetic is recorded, so that it can be differentiated again.

    Returns
    -------
    dict
        The tangent of every node that has one; a missing tangent is zero.
    """
    tangents = dict(seeds)
    for node in nodes:
        primitive = node.primitive
        if primitive is None or node in seeds:
            continue
        ts = [tangents.get(x) if type(x) is Value else None for x in node.inputs]
        if all(t is None for t in ts):
            continue
        y, args = (node, _unchanged(node)) if record else (node._data, node.args)
        t = primitive.push(y, args, ts, node.params)
        if t is not None:
            tangents[node] = t
    return tangents
