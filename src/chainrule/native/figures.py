"""What compiling a program took: time and nodes, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Iterable

from chainrule.traced import Traced

__all__ = ["Figures", "count"]


class Figures:
    """Kept by the stages of the compiler, for the report.

    Attributes
    ----------
    seconds : dict of str to float
        By stage, in the order in which they ran.
    nodes : dict of str to int
        How many there were after a stage.
    cached : bool
        Whether the machine code came from the disk.

    Examples
    --------
    >>> figures = Figures()
    >>> figures.done("simplify")
    >>> list(figures.seconds)
    ['simplify']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.nodes: dict[str, int] = {}
        self.cached = False
        self._since = time.perf_counter()

    def done(self, stage: str, roots: Iterable[Traced] | None = None) -> None:
        """End a stage: the time since the last one's end is its own; ``roots`` are the program now."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - self._since
        if roots is not None:
            self.nodes[stage] = count(roots)
        self._since = time.perf_counter()


def count(roots: Iterable[Traced]) -> int:
    """The nodes that the roots are computed from, and the roots."""
    found = set(roots)
    stack = list(found)
    while stack:
        for x in stack.pop().inputs:
            if x not in found:
                found.add(x)
                stack.append(x)
    return len(found)
