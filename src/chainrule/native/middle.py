"""The passes over a captured program, in their order, before anything is made machine code of."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.native.contract import contract
from chainrule.native.figures import Figures
from chainrule.native.loops import trim
from chainrule.native.picks import picks
from chainrule.native.roll import roll
from chainrule.native.simplify import simplify
from chainrule.traced import Traced

__all__ = ["optimise"]


def optimise(roots: Sequence[Traced], figures: Figures | None = None) -> list[Traced]:
    """The same results from less: of a program, and of the body of a loop."""
    figures = figures or Figures()
    roots = roll(trim(roots))
    figures.done("roll", roots)
    roots = simplify(roots)
    figures.done("simplify", roots)
    roots = simplify(picks(contract(roots)))  # a pick from what is rounded once is rounded once
    figures.done("contract", roots)
    return roots
