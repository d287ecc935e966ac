"""What each backward step adds to its operands, for steps that work on arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.primitives import Elementwise
from chainrule.show import summary
from chainrule.show.gradients import Visits
from chainrule.show.thumbnails import plain
from chainrule.sweeps.adjoint import accumulate, adjoint
from chainrule.value import Value

__all__ = ["pulled", "works_on_numbers"]

MOST = 500  # nodes
LARGEST = 1_000_000  # entries in all of them together


def pulled(
    shown: Sequence[Value], ids: Mapping[int, int], seeds: Sequence[tuple[Value, Any]]
) -> dict[str, list[Any]]:
    """Of each result with arrays in it, by operand: what is added to its gradient, and what that is then.

    Examples
    --------
    >>> x = Value(np.ones(2))
    >>> y = np.sum(x)
    >>> pulled([x, y], {id(x): 0, id(y): 1}, [(y, 3.0)])
    {'1': [{'text': '[3 3]', 'after': '[3 3]', 'norm': 4.242...}]}
    """
    if not seeds or len(shown) > MOST or sum(_size(v) for v in shown) > LARGEST:
        return {}
    found: dict[str, list[Any]] = {}
    received: dict[int, Any] = {}

    def step(v: Value, g: Any) -> None:
        cs = dict(adjoint([(v, g)], until=v.serial - 1, record=False))
        row: list[Any] = []
        for x in v.inputs:
            c = cs.pop(x, None) if type(x) is Value else None
            if c is None:  # a constant, or nothing is sent, or the operand stood before and got all of it
                row.append(None)
                continue
            received[id(x)] = total = accumulate(received[id(x)], c) if id(x) in received else c
            row.append({"text": _text(c), "after": _text(total), "norm": _norm(c)})
        if id(v) in ids and not works_on_numbers(v):
            found[str(ids[id(v)])] = row

    try:
        with np.errstate(all="ignore"):
            adjoint(seeds, record=False, visited=Visits(step), masks=True)
    except Exception:  # a rule that fails is reported by backward, not by a page
        return {}
    return found


def works_on_numbers(v: Value) -> bool:
    """Whether a result is made from floats by an elementwise operation, so that its partials are floats."""
    if type(v._raw) is not float or not isinstance(v.primitive, Elementwise):
        return False
    return all(type(a) is float or type(a) is int or type(a) is bool for a in v.args)


def _size(v: Value) -> int:
    return v.size if isinstance(v._raw, np.ndarray) else 1


def _text(c: Any) -> str:
    return summary.array(np.conj(c)) if isinstance(c, np.ndarray | np.generic | float) else str(c)


def _norm(c: Any) -> Any:
    with np.errstate(all="ignore"):
        return plain(float(np.linalg.norm(np.ravel(c)))) if isinstance(c, np.ndarray | float) else None
