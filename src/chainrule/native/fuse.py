"""Fusion: which operations share a loop.

A `Cluster` is one loop nest. Elementwise operations, broadcasts and reductions join the nest of what
they read as long as every element they need is at hand: the same index, or, for what was reduced
over the innermost loops, the row's own result. Reductions over rows come first, then what uses them,
row by row while the row is in the cache: softmax and layer norm are one nest each.
"""

from __future__ import annotations

import heapq
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
    position = {x: i for i, x in enumerate(nodes)}
    depth: dict[Traced, int] = {}
    home: dict[Traced, Cluster] = {}
    by_shape: dict[tuple[tuple[int, ...], int], Cluster] = {}
    units: list[Cluster | Traced] = []
    for x in nodes:
        if x.op in ("input", "constant", "iota"):
            depth[x] = 0
            continue
        if x.op in VIEWS:
            depth[x] = depth[x.inputs[0]]
            continue
        if not is_loop(x):
            depth[x] = max((depth[i] for i in x.inputs), default=0) + 1
            units.append(x)
            continue
        _merge(x, depth, home, by_shape, units, position, views)
        cluster = _join(x, depth, home, by_shape, views)
        if cluster is None:
            shape = x.inputs[0].shape if x.op in REDUCTIONS else x.shape
            least = 1 + max((depth[i] for i in x.inputs), default=0)
            loops = tuple(n for n in shape if n != 1)
            cluster = Cluster(loops, least)
            wide = iter(range(len(loops)))
            _settle(cluster, x, tuple(None if n == 1 else next(wide) for n in shape))
            by_shape[loops, least] = cluster
            units.append(cluster)
        depth[x] = cluster.depth
        home[x] = cluster
    return _sorted(units, home, position)


def _merge(
    x: Traced,
    depth: dict[Traced, int],
    home: dict[Traced, Cluster],
    by_shape: dict[tuple[tuple[int, ...], int], Cluster],
    units: list[Cluster | Traced],
    position: dict[Traced, int],
    views: Views,
) -> None:
    """Make one nest of two over the same loops that ``x`` reads; of one depth, neither needs the other."""
    deepest = max((depth[i] for i in x.inputs), default=0)
    bases = [views.alias(i)[0] for i in x.inputs]
    found = list({id(home[b]): home[b] for b in bases if b in home and home[b].depth == deepest}.values())
    if len(found) != 2 or found[0].loops != found[1].loops or len(found[0].loops) < 2:
        return
    one, other = found
    if one.split != other.split and None not in (one.split, other.split):
        return
    if len(one.members) + len(other.members) > MOST:
        return
    one.members = sorted(one.members + other.members, key=position.__getitem__)
    one.place.update(other.place)
    one._inner.update(other._inner)
    one.split = other.split if one.split is None else one.split
    home.update(dict.fromkeys(other.members, one))
    units.remove(other)
    if by_shape.get((other.loops, other.depth)) is other:
        by_shape[other.loops, other.depth] = one


def _join(
    x: Traced,
    depth: dict[Traced, int],
    home: dict[Traced, Cluster],
    by_shape: dict[tuple[tuple[int, ...], int], Cluster],
    views: Views,
) -> Cluster | None:
    """Put ``x`` into the nest of the newest of its operands, if it fits there."""
    shape = x.inputs[0].shape if x.op in REDUCTIONS else x.shape
    bases = [views.alias(i) for i in x.inputs]
    deepest = max((depth[i] for i in x.inputs), default=0)
    outside = max(
        (depth[i] + 1 for i, (b, _) in zip(x.inputs, bases, strict=True) if b not in home), default=1
    )
    homes = {id(home[b]): home[b] for b, _ in bases if b in home and home[b].depth == deepest}
    if deepest and deepest >= outside and len(homes) == 1:
        cluster = next(iter(homes.values()))
        if len(cluster.members) < MOST or not cluster.loops or len(cluster.loops) == 1:
            place = _fit(x, shape, bases, cluster, home)
            if place is not None:
                _settle(cluster, x, place)
                return cluster
        return None
    if homes:
        return None
    # A neighbour over the same elements that starts as early: one pass over shared operands.
    least = max(outside, deepest + 1)
    loops = tuple(n for n in shape if n != 1)
    neighbour = by_shape.get((loops, least))
    if neighbour is None or len(neighbour.members) > MOST // 4:
        return None
    size = 1
    for n in loops:
        size *= n
    if size > 4096 and not {b for b, _ in bases} & {
        views.alias(i)[0] for m in neighbour.members for i in m.inputs if views.alias(i)[0].size > 1
    }:
        return None
    wide = iter(range(len(loops)))
    _settle(neighbour, x, tuple(None if n == 1 else next(wide) for n in shape))
    return neighbour


def _fit(
    x: Traced,
    shape: tuple[int, ...],
    bases: list[tuple[Traced, tuple[int | None, ...]]],
    cluster: Cluster,
    home: dict[Traced, Cluster],
) -> tuple[int | None, ...] | None:
    """Which loop runs along each axis of ``x`` in this nest; None if it does not fit."""
    place: list[int | None] = [None] * len(shape)
    split = cluster.split
    for operand, (b, axes) in zip(x.inputs, bases, strict=True):
        if home.get(b) is not cluster:
            continue
        if b.op in REDUCTIONS:
            over = {d for a in b.params["axis"] if (d := cluster._inner[b][a]) is not None}
            first = min(over, default=len(cluster.loops))
            if over != set(range(first, len(cluster.loops))) or (split is not None and split != first):
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


def _sorted(
    units: list[Cluster | Traced], home: dict[Traced, Cluster], position: dict[Traced, int]
) -> list[Cluster | Traced]:
    """Topological, and otherwise in the program's own order, which keeps lives short."""
    needs: dict[int, set[int]] = {}
    users: dict[int, list[int]] = {}
    number = {id(u): i for i, u in enumerate(units)}

    def unit_of(x: Traced) -> int | None:
        while x.op in VIEWS:
            x = x.inputs[0]
        return number.get(id(home[x])) if x in home else number.get(id(x))

    first = []
    for i, u in enumerate(units):
        members = u.members if isinstance(u, Cluster) else [u]
        found = {j for m in members for k in m.inputs if (j := unit_of(k)) is not None and j != i}
        needs[i] = found
        for j in found:
            users.setdefault(j, []).append(i)
        first.append(max(position[m] for m in members))
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
