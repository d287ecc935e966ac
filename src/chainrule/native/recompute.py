"""Recomputing: what is cheap to compute again is not kept in memory for later.

A backward sweep reads what the forward pass made. A mask, a product by a number, a sum of two arrays
costs less to make again from what lies in memory anyway than to write down and to read: each loop nest that
wants such a result makes its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.native.fuse import Cluster
from chainrule.native.reference import order
from chainrule.native.simplify import with_inputs
from chainrule.native.views import Views
from chainrule.traced import Traced

__all__ = ["recompute"]

LEAST = 4096  # elements of an array that is worth it
DEPTH = 12  # operations that are done again for one result
CHEAP = frozenset(
    "add subtract multiply multiply_add negative absolute maximum minimum where cast isnan isfinite "
    "less less_equal greater greater_equal equal not_equal "
    "logical_and logical_or logical_not bitwise_and bitwise_or".split()
)


Units = list[Cluster | Traced]


def recompute(
    roots: Sequence[Traced], units: Sequence[Cluster | Traced], stored: set[Traced], views: Views
) -> tuple[list[Traced], Units] | None:
    """The program and its units with some results made where they are wanted; None if nothing is gained."""
    plan = _Plan(roots, units, stored, views)
    wanted = plan.wanted()
    return plan.rebuilt(roots, wanted) if wanted else None


class _Plan:
    def __init__(
        self, roots: Sequence[Traced], units: Sequence[Cluster | Traced], stored: set[Traced], views: Views
    ) -> None:
        self.units, self.stored = units, stored
        self.home = {m: k for k, u in enumerate(units) if isinstance(u, Cluster) for m in u.members}
        self.last: dict[Traced, int] = {}  # the last unit that reads what lies in memory
        far: dict[Traced, set[int]] = {}  # nests that read a result of another one
        fixed = set(roots)  # what has to be in memory whatever happens
        for k, u in enumerate(units):
            for m in u.members if isinstance(u, Cluster) else [u]:
                for i in m.inputs:
                    base, _ = views.alias(i)
                    view = views.view(i)
                    base = base if base in self.home or view is None else view.base
                    self.last[base] = k
                    if base in self.home and self.home[base] == k:
                        continue
                    if isinstance(u, Cluster) and i is base and math.prod(u.loops) == base.size:
                        far.setdefault(base, set()).add(k)
                    else:
                        fixed.add(base)
        self.fixed, self.far = fixed, far
        self.again: dict[int, dict[Traced, Traced]] = {}

    def wanted(self) -> dict[Traced, set[int]]:
        """Results and the nests that make them again."""
        found: dict[Traced, set[int]] = {}
        by_leaves: dict[frozenset[Traced], list[Traced]] = {}
        for x in self.far:
            if x.size >= LEAST and x in self.stored and self._is_cheap(x):
                leaves = self._leaves(x)
                if leaves is not None:
                    by_leaves.setdefault(leaves, []).append(x)
        for leaves, xs in sorted(by_leaves.items(), key=lambda item: len(item[0])):
            until = max(k for x in xs for k in self.far[x])
            more = sum(v.nbytes for v in leaves if self._is_more(v, until))
            if sum(x.nbytes for x in xs) > more:
                for x in xs:
                    found[x] = self.far[x]
                self.last.update((v, max(until, self.last.get(v, -1))) for v in leaves)
        return found

    def _is_more(self, v: Traced, until: int) -> bool:
        """Whether it takes memory to have ``v`` at hand until then."""
        if v.op in ("input", "constant"):
            return False
        return self.last.get(v, -1) < until or (v in self.home and v not in self.stored)

    def _leaves(self, x: Traced) -> frozenset[Traced] | None:
        """What a result is made of: arrays in memory; None if it takes too much."""
        leaves: set[Traced] = set()
        waiting, steps = [x], 0
        while waiting:
            y = waiting.pop()
            if self._is_cheap(y):
                steps += 1
                if steps > DEPTH:
                    return None
                waiting += y.inputs
            elif y.size >= LEAST:
                leaves.add(y)
        return frozenset(leaves)

    def rebuilt(
        self, roots: Sequence[Traced], wanted: dict[Traced, set[int]]
    ) -> tuple[list[Traced], Units]:
        """Every node again, on the inputs of its own nest, and every nest with what it makes again."""
        nodes = order(roots)
        position = {x: i for i, x in enumerate(nodes)}
        new: dict[Traced, Traced] = {}
        for x in nodes:
            new[x] = with_inputs(x, tuple([new[i] for i in x.inputs]))
            unit = self.home.get(x, -1)
            mine = {i for i in x.inputs if unit in wanted.get(i, ())}
            if not mine:
                continue
            again: dict[Traced, Traced] = self.again.setdefault(unit, {})
            cluster = self.units[unit]
            assert isinstance(cluster, Cluster)
            for y in sorted(self._needed(mine), key=position.__getitem__):
                if y not in again:
                    inputs = tuple([again[i] if i in again else new[i] for i in y.inputs])
                    again[y] = Traced(y.origin, y.op, inputs, y.shape, y.dtype, y.weak, y.params)
            new[x] = with_inputs(x, tuple([again[i] if i in mine else new[i] for i in x.inputs]))
        return [new[r] for r in roots], [self._unit(k, u, new) for k, u in enumerate(self.units)]

    def _needed(self, xs: set[Traced]) -> set[Traced]:
        needed, waiting = set(xs), list(xs)
        while waiting:
            more = [i for i in waiting.pop().inputs if self._is_cheap(i) and i not in needed]
            needed.update(more)
            waiting += more
        return needed

    def _unit(self, k: int, u: Cluster | Traced, new: dict[Traced, Traced]) -> Cluster | Traced:
        if not isinstance(u, Cluster):
            return new[u]
        again = self.again.get(k, {})
        every = [d for d, n in enumerate(u.loops) if n != 1]
        made = Cluster(u.loops, u.depth, [*again.values(), *[new[m] for m in u.members]], split=u.split)
        made.place = {new[m]: p for m, p in u.place.items()}
        made._inner = {new[m]: p for m, p in u._inner.items()}
        for x in again.values():
            wide = iter(every)
            made.place[x] = tuple(None if n == 1 else next(wide) for n in x.shape)
        return made

    def _is_cheap(self, y: Traced) -> bool:
        return y in self.home and y.op in CHEAP and y not in self.fixed
