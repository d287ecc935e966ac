"""Why a gradient of arrays is what it is, for the page: what each path adds, and what the sweep spares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.primitives import fit
from chainrule.show import summary
from chainrule.show.cost import cost_report
from chainrule.sweeps.paths import largest, number_of_ways, pulled, single, ways
from chainrule.value import Value

__all__ = ["contributions"]

MOST = 200  # nodes of a graph
_PATHS = 20  # from one leaf
_ENTRIES = 1_000_000  # of all arrays together


def contributions(
    shown: Sequence[Value],
    outputs: Sequence[Value],
    ids: Mapping[int, int],
    names: Mapping[str, Any],
) -> dict[str, Any]:
    """The entries ``costs`` and ``paths`` of what the page shows; empty without arrays, or for large ones.

    Examples
    --------
    >>> x = Value(np.array([1.0, 2.0]))
    >>> y = np.sum(x * x)
    >>> found = contributions([x, y.inputs[0], y], [y], {id(x): 0, id(y.inputs[0]): 1, id(y): 2}, {})
    >>> found["paths"]
    {'0': [{'nodes': [0, 1, 2], 'text': '[1 2]'}, {'nodes': [0, 1, 2], 'text': '[1 2]'}]}
    """
    if len(outputs) != 1 or not single(outputs[0]) or len(shown) > MOST or all(map(single, shown)):
        return {}
    if sum(v.size for v in shown) > _ENTRIES:
        return {}
    output = outputs[0]
    try:
        with np.errstate(all="ignore"):
            return {"paths": _paths(shown, output, ids), "costs": _costs(output, names)}
    except Exception:  # a rule that fails is reported by backward, not by a page
        return {}


def _paths(shown: Sequence[Value], output: Value, ids: Mapping[int, int]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    seed = fit(1.0, output._raw)
    for leaf in shown:
        way = ways(output, [leaf]) if leaf.primitive is None else {}
        if not way or number_of_ways(way) > _PATHS:
            continue
        listed = []
        for steps in largest(way, seed, _PATHS):
            product = pulled(steps, seed)
            nodes = [leaf, *(v for v, _ in reversed(steps))]
            text = "0" if product is None else summary.array(np.conj(product))
            listed.append({"nodes": [ids[id(v)] for v in nodes], "text": text})
        found[str(ids[id(leaf)])] = listed
    return found


def _costs(output: Value, names: Mapping[str, Any]) -> dict[str, Any]:
    report = cost_report(output, names=names)
    said = [x for x in str(report).splitlines() if x.startswith(("Jacobians:", "the sweep:"))]
    rows = [list(row) for row in report.rows]
    return {"columns": list(report.columns), "rows": rows, "summary": "; ".join(said)}
