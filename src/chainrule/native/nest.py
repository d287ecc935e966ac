"""A loop nest about to be written: its loops, and where each operand and result lies along them."""

from __future__ import annotations

import math

from chainrule.native.elementwise import is_number
from chainrule.native.fuse import Cluster
from chainrule.native.operations import REDUCTIONS
from chainrule.native.views import View, Views, contiguous
from chainrule.traced import Traced

__all__ = ["Nest"]


class Nest:
    """A cluster about to be written: its loops joined where memory allows, and its memory accesses.

    Parameters
    ----------
    cluster : Cluster
    views : Views
    stored : set of Traced
        The members whose results others need.

    Attributes
    ----------
    known_rows : set of Traced
        Members computed once a row, and reductions over a row.
    level : dict
        For elements the first stage that can compute them, for rows the one after which they are known.
    stages : int
        How often the inner loops are run through.
    """

    def __init__(self, cluster: Cluster, views: Views, stored: set[Traced]) -> None:
        self.cluster, self.views = cluster, views
        self.stored = [m for m in cluster.members if m in stored]
        self.inside = set(cluster.members)
        self.counts: dict[tuple[Traced, Traced], int | None] = {}  # which loop's counter an operand is
        self.accesses: dict[tuple[Traced, Traced], tuple[View, tuple[int, ...]]] = {}
        for m in cluster.members:
            for x in m.inputs:
                b, _ = views.alias(x)
                if b.op == "iota":
                    self.counts[m, x] = self._counted(m, x)
                elif b not in self.inside and not is_number(b):
                    self.accesses[m, x] = self._access(m, x)
        self.out = {m: self._own(m) for m in self.stored}
        self._join_loops()
        self.known_rows = {m for m in self.rows if m.op not in REDUCTIONS or self.is_row(m)}
        self.level = self._levels()
        elements = [s for m, s in self.level.items() if m not in self.known_rows or m.op in REDUCTIONS]
        self.stages = max(elements, default=-1) + 1

    def _access(self, m: Traced, x: Traced) -> tuple[View, tuple[int, ...]]:
        """The memory of operand ``x``, and its stride along each loop."""
        view = self.views.view(x)
        assert view is not None
        space = self.cluster.space(m)
        strides = [0] * len(self.cluster.loops)
        lead = len(space) - x.ndim
        for i, s in enumerate(view.strides):
            d = space[lead + i]
            if d is not None and x.shape[i] != 1:
                strides[d] = s
        return view, tuple(strides)

    def _counted(self, m: Traced, x: Traced) -> int | None:
        """The loop along the one axis of an operand that counts."""
        space = self.cluster.space(m)
        lead = len(space) - x.ndim
        return next((space[lead + i] for i, n in enumerate(x.shape) if n != 1), None)

    def _own(self, m: Traced) -> tuple[View, tuple[int, ...]]:
        strides = [0] * len(self.cluster.loops)
        own = contiguous(m.shape)
        for d, s, n in zip(self.cluster.place[m], own, m.shape, strict=True):
            if d is not None and n != 1:
                strides[d] = s
        return View(m, 0, own), tuple(strides)

    def _join_loops(self) -> None:
        """Neighbouring loops that every access runs through as through one become one."""
        c, loops = self.cluster, self.cluster.loops
        reduced = {m: c.reduced(m) for m in c.members if m.op in REDUCTIONS}
        places = {m: {d for d in c.place[m] if d is not None} for m in c.members}
        spaces = {m: {d for d in c.space(m) if d is not None} for m in c.members}
        every = [s for _, s in self.accesses.values()] + [s for _, s in self.out.values()]
        every += [  # a loop whose counter is read has one of its own
            tuple(int(d == counted) for d in range(len(loops))) for counted in self.counts.values()
        ]

        def joined(d: int) -> bool:
            if c.split == d + 1:
                return False
            if any(s[d] != s[d + 1] * loops[d + 1] for s in every):
                return False
            sets = [*places.values(), *spaces.values(), *reduced.values()]
            return all((d in s) == (d + 1 in s) for s in sets)

        groups: list[list[int]] = []
        for d in range(len(loops)):
            if d and joined(d - 1):
                groups[-1].append(d)
            else:
                groups.append([d])
        number = {d: g for g, ds in enumerate(groups) for d in ds}
        self.loops = tuple(math.prod(loops[d] for d in ds) for ds in groups)
        last = [ds[-1] for ds in groups]
        self.accesses = {k: (v, tuple(s[d] for d in last)) for k, (v, s) in self.accesses.items()}
        self.out = {k: (v, tuple(s[d] for d in last)) for k, (v, s) in self.out.items()}
        self.counts = {k: None if d is None else number[d] for k, d in self.counts.items()}
        self.reduced = {m: {number[d] for d in s} for m, s in reduced.items()}
        self.varies = {m: {number[d] for d in s} for m, s in places.items()}
        self.spaces = {m: {number[d] for d in s} for m, s in spaces.items()}
        self.split = max(len(groups) - 1, 0) if c.split is None else number[c.split]
        if not groups:
            self.split = 0

    @property
    def rows(self) -> set[Traced]:
        """Members computed once a row."""
        return {m for m in self.inside if not any(d >= self.split for d in self.varies[m])}

    def is_row(self, m: Traced) -> bool:
        """Whether a reduction is over a row: all of the inner loops."""
        return self.reduced[m] == set(range(self.split, len(self.loops)))

    def is_last(self, m: Traced) -> bool:
        """Whether an element of ``m`` is computed once, and nothing after it reads what others read there."""
        once = m in self.rows or len(self.varies[m]) == len(self.loops)
        alone = m not in self.rows and self.cluster.split is None
        return not self.loops or (
            once and (alone or (self.split == 0 and self.level[m] == self.stages - 1))
        )

    def _levels(self) -> dict[Traced, int]:
        level: dict[Traced, int] = {}
        rows = self.known_rows
        for m in self.cluster.members:
            stage = -1 if m in rows and m.op not in REDUCTIONS else 0
            for x in m.inputs:
                b, _ = self.views.alias(x)
                if b in self.inside and (m, x) not in self.accesses:
                    after = level[b]
                    if b in rows and (m not in rows or m.op in REDUCTIONS):
                        after += 1
                    stage = max(stage, after)
            level[m] = stage
        return level
