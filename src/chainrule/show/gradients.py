"""The gradient of every node, as text, without touching any ``.grad``.

`Value.backward` does not keep the gradients of large intermediate arrays. A picture of them sweeps
once more and writes each down while it passes, so that no two of them are held at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.show import summary
from chainrule.sweeps.adjoint import KEPT, adjoint
from chainrule.value import Value

__all__ = ["gradient_texts"]

NOT_KEPT = "not kept"


def gradient_texts(
    shown: Sequence[Value], outputs: Sequence[Value], everything: Sequence[Value]
) -> dict[int, tuple[str, str]]:
    """The gradient of each node, and its statistics.

    Zero before any backward. Where backward has passed without keeping it, it is found again by a
    sweep from the outputs that were given a gradient: it then holds what came through these.

    Returns
    -------
    dict of int to (str, str)
        By the Value's identity.
    """
    texts = {id(v): _text(v._grad) for v in shown}
    swept: list[tuple[Value, Any]] = [(v, v._grad) for v in outputs if v._grad is not None]
    lost = {id(v) for v in shown if v._grad is None and v.primitive is not None and v.size > KEPT}
    if not (swept and lost):
        return texts
    inner = {id(x) for v in everything for x in v.inputs if isinstance(x, Value)}
    # An output that another one was computed from has that one's share in its gradient already.
    seeds = [(v, np.conj(g)) for v, g in swept if id(v) not in inner]
    try:
        with np.errstate(all="ignore"):
            adjoint(seeds, record=False, visited=_Notes(lost, texts))
    except Exception:  # a rule that fails is reported by backward, not by a picture
        texts.update((i, (NOT_KEPT, "")) for i in lost)
    return texts


class _Notes(list[Any]):
    """Takes the nodes that the sweep visits, each with its cotangent, and keeps a line of text of it."""

    def __init__(self, lost: set[int], texts: dict[int, tuple[str, str]]) -> None:
        super().__init__()
        self.lost = lost
        self.texts = texts

    def __iadd__(self, visited: Iterable[Any]) -> _Notes:  # type: ignore[misc]
        steps = iter(visited)
        for v, g in zip(steps, steps):
            if id(v) in self.lost:
                self.texts[id(v)] = _text(np.conj(g))
        return self


def _text(gradient: Any) -> tuple[str, str]:
    if gradient is None:
        return "0", ""
    return summary.array(gradient), summary.statistics(gradient)
