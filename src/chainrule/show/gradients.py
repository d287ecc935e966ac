"""The gradient of every node, as text, without touching any ``.grad``.

`Value.backward` does not keep the gradients of large intermediate arrays. A picture of them sweeps
once more and writes each down while it passes, so that no two of them are held at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from chainrule.show import summary
from chainrule.sweeps.adjoint import KEPT, adjoint
from chainrule.value import Value

__all__ = ["Visits", "gradient_texts", "gradients", "sources"]

T = TypeVar("T")

NOT_KEPT = "not kept"


def gradient_texts(
    shown: Sequence[Value], outputs: Sequence[Value], everything: Sequence[Value]
) -> dict[int, tuple[str, str]]:
    """The gradient of each node, and its statistics; 0 before any backward."""
    texts = gradients(shown, outputs, everything, _text, lost=(NOT_KEPT, ""))
    return {id(v): texts.get(id(v), ("0", "")) for v in shown}


def gradients(
    shown: Sequence[Value],
    outputs: Sequence[Value],
    everything: Sequence[Value],
    note: Callable[[Any], T],
    lost: T,
    seeds: Sequence[tuple[Value, Any]] = (),
) -> dict[int, T]:
    """What ``note`` says of the gradient of each node that has one.

    Where backward has passed without keeping it, it is found again by a sweep from the outputs that
    were given a gradient: it then holds what came through these. ``lost`` stands where a rule fails.

    Parameters
    ----------
    seeds : sequence of (Value, cotangent), optional
        Take what a sweep from these gives in the place of what is in ``.grad``.

    Returns
    -------
    dict
        By the Value's identity.
    """
    if seeds:
        return _swept(shown, seeds, note)
    found = {id(v): note(g) for v in shown if (g := v._gradient) is not None}
    missing = {id(v) for v in shown if v._grad is None and v.primitive is not None and v.size > KEPT}
    if not missing or all(v._gradient is None for v in outputs):
        return found
    seeds = sources(outputs, everything)

    def keep(v: Value, g: Any) -> None:
        if id(v) in missing:
            found[id(v)] = note(np.conj(g))

    try:
        with np.errstate(all="ignore"):
            adjoint(seeds, record=False, visited=Visits(keep), masks=True)
    except Exception:  # a rule that fails is reported by backward, not by a picture
        found.update((i, lost) for i in missing)
    return found


def sources(outputs: Sequence[Value], everything: Sequence[Value]) -> list[tuple[Value, Any]]:
    """Where the gradients in a graph come from: the outputs that have one, with the cotangent."""
    inner = {id(x) for v in everything for x in v.inputs if isinstance(x, Value)}
    # An output that another one was computed from has that one's share in its gradient already.
    return [(v, np.conj(g)) for v in outputs if id(v) not in inner and (g := v._gradient) is not None]


def _swept(
    shown: Sequence[Value], seeds: Sequence[tuple[Value, Any]], note: Callable[[Any], T]
) -> dict[int, T]:
    wanted = {id(v) for v in shown}
    found: dict[int, T] = {}

    def keep(v: Value, g: Any) -> None:
        if id(v) in wanted:
            found[id(v)] = note(np.conj(g) if type(g) is np.ndarray else g)

    with np.errstate(all="ignore"):
        leaves = adjoint(seeds, record=False, visited=Visits(keep), masks=True)
    for v, g in leaves.items():
        keep(v, g)
    return found


class Visits(list[Any]):
    """Takes the nodes that the sweep visits, each with its cotangent, and hands them on: it holds none."""

    def __init__(self, tell: Callable[[Value, Any], None]) -> None:
        super().__init__()
        self.tell = tell

    def __iadd__(self, visited: Iterable[Any]) -> Visits:  # type: ignore[misc]
        steps = iter(visited)
        for v, g in zip(steps, steps):
            self.tell(v, g)
        return self


def _text(gradient: Any) -> tuple[str, str]:
    return summary.array(gradient), summary.statistics(gradient)
