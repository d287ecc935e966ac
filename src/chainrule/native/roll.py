"""Roll: thousands of scalar operations that do the same become vector operations.

A loop over samples written with scalars is a small array program in disguise. Its nodes are numbered
(`chainrule.native.roll_numbers`) and interned by structure (`roll_classes`). The nodes of one *class* then
differ only in their *lane* (the sample, `roll_lanes`), and become one node of shape ``(lanes,)``
(`roll_vectors`).

What is left are scalars, one of a kind: gradients of 337 parameters, each to be subtracted from its
parameter. They are interned again, this time with inputs and results of reductions anonymous, and
their lanes are packed: ``pack`` makes a vector of scalars, ``element`` takes one out.

Only sums are reassociated. Everything else computes what it did, lane by lane.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence

from chainrule.native.operations import ELEMENTWISE
from chainrule.native.roll_vectors import LANES, Vectors
from chainrule.native.tape import tape
from chainrule.traced import Traced

__all__ = ["roll"]

SMALL = 64  # fewer scalar operations than this are left alone
PACKED = 8  # lanes that must be packed first stay scalars if they are fewer
STRAIGHT = 1000  # so many scalars of a kind of their own may be left as they are
WIDE = 5000  # from this many vector operations on, they are rolled themselves


def roll(roots: list[Traced]) -> list[Traced]:
    """Roots that compute the same with vector operations in the place of repeated scalar ones."""
    collecting = gc.isenabled()
    gc.disable()  # nothing here is cyclic, and there are very many small objects
    try:
        nodes = _order(roots)
        if sum(_scalar(x) and x.dtype.kind == "f" for x in nodes) < SMALL:
            return roots
        wide: set[Traced] = set()
        first = Vectors(roots, nodes, LANES)
        if first.pays():
            roots = first.emit()
            nodes = _order(roots)
            if len(first.vectors) > WIDE:
                wide = {x for x in first.fresh if x.shape}
        if sum(map(_scalar, nodes)) + len(wide) < STRAIGHT:
            return roots
        second = Vectors(roots, nodes, PACKED, wide)
        if second.pays():
            packed = second.emit()
            after = _order(packed)
            if _cost(packed, after, bool(wide)) < _cost(roots, nodes, bool(wide)) / 2:
                roots, nodes = packed, after
        return tape(roots, nodes)
    finally:
        if collecting:
            gc.enable()


def _scalar(x: Traced) -> bool:
    return x.shape == () and x.op in ELEMENTWISE and x.dtype.kind in "fiub"


def _cost(roots: list[Traced], nodes: list[Traced], wide: bool) -> int:
    """Scalars computed, and what is moved between them and vectors; if ``wide``, vectors computed, too."""
    final = set(roots)
    cost = 0
    for x in nodes:
        if x.op == "pack":
            cost += sum(i.op != "input" for i in x.inputs)
        elif x.inputs and (wide or x.shape == ()) and not (x.op == "element" and x in final):
            cost += x.op not in ("reshape", "slice", "broadcast_to")
    return cost


def _order(roots: Sequence[Traced]) -> list[Traced]:
    """Every node the roots are computed from, inputs first; first operands before second ones."""
    nodes: list[Traced] = []
    seen: set[Traced] = set()
    stack: list[Traced] = list(roots)[::-1]
    while stack:
        x = stack[-1]
        if x in seen:
            stack.pop()
            continue
        for i in x.inputs:
            if i not in seen:
                if i.inputs:
                    stack.append(i)
                    break
                seen.add(i)
                nodes.append(i)
        else:
            stack.pop()
            seen.add(x)
            nodes.append(x)
    inputs = [x for x in nodes if x.op == "input"]
    inputs.sort(key=lambda x: int(x.params.get("slot", -1)))
    return inputs + [x for x in nodes if x.op != "input"]
