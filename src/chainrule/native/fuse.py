"""Fusion: which operations share a loop.

A `Cluster` is one loop nest. Elementwise operations, broadcasts and reductions join the nest of what
they read as long as every element they need is at hand: the same index, or, for what was reduced
over the innermost loops, the row's own result. Reductions over rows come first, then what uses them,
row by row while the row is in the cache: softmax and layer norm are one nest each.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.native.operations import ELEMENTWISE, REDUCTIONS, VIEWS
from chainrule.native.reference import order
from chainrule.native.views import Views
from chainrule.traced import Traced

__all__ = ["Cluster", "fuse", "is_loop"]

MOST = 600  # operations in one nest of arrays; scalars and lanes have no limit
_TYPES = ("d", "f", "q", "l", "i", "?")


def is_loop(x: Traced) -> bool:
    """Whether there is machine code for ``x`` inside a loop over elements."""
    if x.op not in ELEMENTWISE and x.op not in REDUCTIONS and x.op not in ("copy", "iota"):
        return False
    if any(v.dtype.char not in _TYPES for v in (x, *x.inputs)):
        return False
    whole = x.dtype.kind in "i" and x.op not in ("cast", "where", "copy")
    return not (
        whole and x.op not in ("add", "subtract", "multiply", "negative", "maximum", "minimum", "sum")
    )


@dataclass(eq=False)
class Cluster:
    """One loop nest.

    Attributes
    ----------
    loops : tuple of int
        The sizes, outermost first.
    place : dict
        For each member's own element: which loop runs along each of its axes, None along axes of one.
    split : int or None
        Loops from here on are finished before a result reduced over them is used in the same row.
    """

    loops: tuple[int, ...]
    depth: int
    members: list[Traced] = field(default_factory=list)
    place: dict[Traced, tuple[int | None, ...]] = field(default_factory=dict)
    split: int | None = None

    def reduced(self, x: Traced) -> set[int]:
        """The loops a reduction runs over."""
        inner = self.space(x)
        return {d for a in x.params["axis"] if (d := inner[a]) is not None}

    def space(self, x: Traced) -> tuple[int | None, ...]:
        """The loops along the axes of what ``x`` runs over: its own, or a reduction's operand's."""
        return self.place[x] if x.op not in REDUCTIONS else self._inner[x]

    _inner: dict[Traced, tuple[int | None, ...]] = field(default_factory=dict)


def fuse(roots: Sequence[Traced], views: Views) -> list[Cluster | Traced]:
    """The program as loop nests and single operations, in an order in which they can be carried out."""
    nodes = order(roots)
    fusion = _Fusion(views, {x: i for i, x in enumerate(nodes)})
    for x in nodes:
        fusion.add(x)
    return _sorted(fusion.units, fusion.home, fusion.position)


class _Fusion:
    """Nests as they grow, operation by operation in the order of the program.

    Attributes
    ----------
    position : dict
        The place of each node in the program.
    units : list
        The nests and single operations.
    home : dict
        The nest of each operation that is in one.
    depth : dict
        For each node how many units at least lie before its own, which is deeper than all that it needs.
    users : dict
        Who reads a node, so far.
    by_shape : dict
        A nest by its loops and its depth.
    """

    def __init__(self, views: Views, position: dict[Traced, int]) -> None:
        self.views, self.position = views, position
        self.units: list[Cluster | Traced] = []
        self.home: dict[Traced, Cluster] = {}
        self.depth: dict[Traced, int] = {}
        self.users: dict[Traced, list[Traced]] = {}
        self.by_shape: dict[tuple[tuple[int, ...], int], Cluster] = {}

    def add(self, x: Traced) -> None:
        """Find a place for the next operation."""
        depth = self.depth
        if x.op in ("input", "constant", "iota"):
            depth[x] = 0
        elif x.op in VIEWS:
            depth[x] = depth[x.inputs[0]]
        elif not is_loop(x):
            depth[x] = 1 + self._deepest(x)
            self.units.append(x)
        else:
            self._merge(x)
            cluster = self._join(x) or self._begin(x)
            depth[x] = cluster.depth
            self.home[x] = cluster
        for i in set(x.inputs):
            self.users.setdefault(i, []).append(x)

    def _deepest(self, x: Traced) -> int:
        return max((self.depth[i] for i in x.inputs), default=0)

    def _begin(self, x: Traced) -> Cluster:
        """A nest of its own for ``x``."""
        shape = _space(x)
        loops = tuple(n for n in shape if n != 1)
        cluster = Cluster(loops, 1 + self._deepest(x))
        _settle(cluster, x, _plain(shape))
        self.by_shape[loops, cluster.depth] = cluster
        self.units.append(cluster)
        return cluster

    def _merge(self, x: Traced) -> None:
        """Make one nest of two over the same loops that ``x`` reads, if neither needs the other."""
        bases = [self.views.alias(i)[0] for i in x.inputs]
        homes = dict.fromkeys(self.home[b] for b in bases if b in self.home)
        loops = max((cluster.loops for cluster in homes), key=math.prod, default=())
        found = [cluster for cluster in homes if cluster.loops == loops]
        if len(found) != 2 or len(loops) < 2:
            return
        early, late = sorted(found, key=lambda cluster: cluster.depth)
        if early.split != late.split and None not in (early.split, late.split):
            return
        if len(early.members) + len(late.members) > MOST:
            return
        if early.depth < late.depth and self._needs(late.members, early):
            return
        moved = early.members
        late.members = sorted(moved + late.members, key=self.position.__getitem__)
        late.place.update(early.place)
        late._inner.update(early._inner)
        late.split = early.split if late.split is None else late.split
        self.home.update(dict.fromkeys(moved, late))
        self.units.remove(early)
        self._forget(early)
        self._deepen(late, late.depth)

    def _join(self, x: Traced) -> Cluster | None:
        """Put ``x`` into the nest of an operand, or of a neighbour, if it fits there."""
        home = self.home
        bases = [self.views.alias(i) for i in x.inputs]
        deepest = self._deepest(x)
        after_nests = any(b in home and self.depth[b] == deepest for b, _ in bases)
        found = dict.fromkeys(home[b] for b, _ in bases if b in home)
        for cluster in sorted(found, key=lambda cluster: -cluster.depth):
            if len(cluster.members) >= MOST and len(cluster.loops) > 1:
                continue
            # What else is read has to be there before: then the nest may as well run later.
            others = [b for b, _ in bases if home.get(b) is not cluster]
            needed = 1 + max((self.depth[b] for b in others), default=0)
            put_off = needed > cluster.depth
            if put_off and not (after_nests and cluster.loops):
                continue
            place = _fit(x, bases, cluster, home)
            if place is not None and not (put_off and self._needs(others, cluster)):
                _settle(cluster, x, place)
                if put_off:
                    self._deepen(cluster, needed)
                return cluster
        if after_nests:
            return None
        # A neighbour over the same elements that starts as early: one pass over shared operands.
        shape = _space(x)
        loops = tuple(n for n in shape if n != 1)
        neighbour = self.by_shape.get((loops, 1 + deepest))
        if neighbour is None or len(neighbour.members) > MOST // 4:
            return None
        if math.prod(loops) > 4096 and not {b for b, _ in bases} & {
            b for m in neighbour.members for i in m.inputs if (b := self.views.alias(i)[0]).size > 1
        }:
            return None
        _settle(neighbour, x, _plain(shape))
        return neighbour

    def _needs(self, nodes: Sequence[Traced], early: Cluster) -> bool:
        """Whether the nodes need, by whatever way, what is computed in ``early``."""
        waiting, seen = list(nodes), set(nodes)
        while waiting:
            cluster = self.home.get(x := waiting.pop())
            if cluster is early:
                return True
            members = [x] if cluster is None else cluster.members
            seen.update(members)
            for m in members:
                for i in m.inputs:
                    if i not in seen and self.depth[i] >= early.depth:
                        seen.add(i)
                        waiting.append(i)
        return False

    def _deepen(self, cluster: Cluster, depth: int) -> None:
        """Put a nest off, and with it whatever needs it."""
        waiting: list[Traced] = []

        def put_off(cluster: Cluster, depth: int) -> None:
            self._forget(cluster)
            cluster.depth = depth
            self.depth.update(dict.fromkeys(cluster.members, depth))
            self.by_shape.setdefault((cluster.loops, depth), cluster)
            waiting.extend(cluster.members)

        put_off(cluster, depth)
        while waiting:
            x = waiting.pop()
            for user in self.users.get(x, ()):
                home = self.home.get(user)
                if user not in self.depth or (home is not None and home is self.home.get(_base(x))):
                    continue
                least = self.depth[x] + (user.op not in VIEWS)
                if self.depth[user] >= least:
                    continue
                if home is not None:
                    put_off(home, least)
                else:
                    self.depth[user] = least
                    waiting.append(user)

    def _forget(self, cluster: Cluster) -> None:
        if self.by_shape.get((cluster.loops, cluster.depth)) is cluster:
            del self.by_shape[cluster.loops, cluster.depth]


def _space(x: Traced) -> tuple[int, ...]:
    """The shape of what ``x`` runs over: its own, or a reduction's operand's."""
    return x.inputs[0].shape if x.op in REDUCTIONS else x.shape


def _plain(shape: tuple[int, ...]) -> tuple[int | None, ...]:
    """A loop along each axis of more than one."""
    loops = iter(range(len(shape)))
    return tuple(None if n == 1 else next(loops) for n in shape)


def _fit(
    x: Traced,
    bases: list[tuple[Traced, tuple[int | None, ...]]],
    cluster: Cluster,
    home: dict[Traced, Cluster],
) -> tuple[int | None, ...] | None:
    """Which loop runs along each axis of ``x`` in this nest; None if it does not fit."""
    shape = _space(x)
    place: list[int | None] = [None] * len(shape)
    split = cluster.split
    for operand, (b, axes) in zip(x.inputs, bases, strict=True):
        if home.get(b) is not cluster:
            continue
        if b.op in REDUCTIONS:
            over = {d for a in b.params["axis"] if (d := cluster._inner[b][a]) is not None}
            first = min(over, default=len(cluster.loops))
            inner = set(range(first, len(cluster.loops)))
            if not over or over != inner or (split is not None and split != first):
                return None
            split = first
        lead = len(shape) - operand.ndim
        for i, axis in enumerate(axes):
            if axis is None or operand.shape[i] == 1:
                continue
            d = cluster.place[b][axis]
            if place[lead + i] not in (None, d):
                return None
            place[lead + i] = d
    given = [d for d in place if d is not None]
    if given != sorted(set(given)):
        return None
    free = [d for d in range(len(cluster.loops)) if d not in given]
    for i, n in enumerate(shape):
        if n == 1 or place[i] is not None:
            continue
        low = max((d for d in place[:i] if d is not None), default=-1)
        high = min((d for d in place[i + 1 :] if d is not None), default=len(cluster.loops))
        d = next((d for d in free if low < d < high and cluster.loops[d] == n), None)
        if d is None:
            return None
        place[i] = d
        free.remove(d)
    if x.op in REDUCTIONS and len({d for d in place if d is not None}) < len(cluster.loops):
        return None  # it would be added up again in every turn of the other loops
    cluster.split = split
    return tuple(place)


def _settle(cluster: Cluster, x: Traced, place: tuple[int | None, ...]) -> None:
    cluster.members.append(x)
    if x.op in REDUCTIONS:
        cluster._inner[x] = place
        place = tuple(None if i in x.params["axis"] else d for i, d in enumerate(place))
    cluster.place[x] = place


def _base(x: Traced) -> Traced:
    """What a view is a view of."""
    while x.op in VIEWS:
        x = x.inputs[0]
    return x


def _sorted(
    units: list[Cluster | Traced], home: dict[Traced, Cluster], position: dict[Traced, int]
) -> list[Cluster | Traced]:
    """Topological, and otherwise in the program's own order, which keeps lives short."""
    needs: dict[int, set[int]] = {}
    users: dict[int, list[int]] = {}
    number = {id(u): i for i, u in enumerate(units)}

    def unit_of(x: Traced) -> int | None:
        x = _base(x)
        return number.get(id(home[x])) if x in home else number.get(id(x))

    first = []
    for i, u in enumerate(units):
        members = u.members if isinstance(u, Cluster) else [u]
        found = {j for m in members for k in m.inputs if (j := unit_of(k)) is not None and j != i}
        needs[i] = found
        for j in found:
            users.setdefault(j, []).append(i)
        # what only saves the old numbers does so first: then the new ones may be written where those were
        saves = all(m.op == "copy" and m.inputs[0].op == "input" for m in members)
        first.append(-1 if saves else max(position[m] for m in members))
    waiting = [(first[i], i) for i in range(len(units)) if not needs[i]]
    heapq.heapify(waiting)
    result = []
    while waiting:
        _, i = heapq.heappop(waiting)
        result.append(units[i])
        for j in users.get(i, ()):
            needs[j].discard(i)
            if not needs[j]:
                heapq.heappush(waiting, (first[j], j))
    assert len(result) == len(units), "a cycle among loop nests"
    return result
