"""Which nodes belong together: calls of modules and functions, rounds of loops, and parts that repeat.

A node is in the innermost call or round that it was made in. Where one of these holds more nodes than can be
looked at, the parts that repeat in it make groups too (`patterns`), and so do leaves by what they are called.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.running import Span
from chainrule.show.patterns import Part, parts

__all__ = ["Graph", "Group", "as_data", "grouped"]

_FEW = 30  # nodes that are shown side by side as they are
_DEEPEST = 20  # calls within calls
_INDEX = re.compile(r"\[\d+\]")
_STEPS = re.compile(r"[.]?[^.\[]+|\[[^\]]*\]")


@dataclass(slots=True, eq=False)
class Group:
    """Nodes that are shown as one until somebody opens it.

    Attributes
    ----------
    kind : {"root", "module", "scope", "loop", "pattern"}
    name : str
    parent : Group or None
        None for the root.
    like : hashable
        The same for groups beside each other that have the same structure; None for one that has no like.
    output : int or None
        The node through which everything in it reaches the outputs, if there is one.
    span : Span or None
    """

    kind: str
    name: str
    parent: Group | None = None
    like: Hashable = None
    output: int | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """What grouping has to know of nodes, by their places.

    Attributes
    ----------
    inputs : operands, which stand before a node
    labels : the same for nodes of the same kind
    serials : numbers of creation of results, -1 for leaves and constants
    names : ``""`` for those without one
    sums : which of them are additions
    words : what a node's operation is called
    outputs : what was asked for
    """

    inputs: Sequence[Sequence[int]]
    labels: Sequence[Hashable]
    serials: Sequence[int]
    names: Sequence[str]
    sums: Sequence[bool]
    words: Sequence[str]
    outputs: Sequence[int]


def grouped(graph: Graph, spans: Sequence[Span] = ()) -> tuple[list[Group], list[int]]:
    """The groups, parents first with the root at their head, and of each node the group it is in."""
    root = Group("root", "")
    placed = _by_span(graph, spans, root)
    _place_leaves(graph, placed)
    _mark_alike(graph, placed)
    _add_patterns(graph, placed)
    return _numbered(root, placed)


# ---------------------------------------------------------------- calls and rounds


def _by_span(graph: Graph, spans: Sequence[Span], root: Group) -> list[Group]:
    """Each result in the innermost span around its serial number; spans with next to nothing in them go."""
    placed = [root] * len(graph.serials)
    if not spans:
        return placed
    results = sorted((s, i) for i, s in enumerate(graph.serials) if s >= 0)
    ordered = sorted(spans, key=lambda s: (s.first, -s.last))
    counts = _counts([s for s, _ in results], ordered)
    total = len(results)
    kept = [
        span
        for span, count in zip(ordered, counts)
        if count > 1 or (count == 1 and span.kind == "module")
        if not (span.kind == "scope" and count == total)  # all of it is in there
    ]
    open_: list[Group] = []
    at = 0
    for serial, i in results:
        while at < len(kept) and kept[at].first < serial:
            span = kept[at]
            at += 1
            while open_ and open_[-1].span.last <= span.first:  # type: ignore[union-attr]
                open_.pop()
            if len(open_) < _DEEPEST:
                open_.append(Group(span.kind, span.name, open_[-1] if open_ else root, span=span))
        while open_ and open_[-1].span.last < serial:  # type: ignore[union-attr]
            open_.pop()
        if open_:
            placed[i] = open_[-1]
    return placed


def _counts(serials: Sequence[int], spans: Sequence[Span]) -> list[int]:
    return [bisect_left(serials, s.last) - bisect_left(serials, s.first) for s in spans]


def _place_leaves(graph: Graph, placed: list[Group]) -> None:
    """Leaves and constants stand where they are used: in the innermost group that holds all their users."""
    common: dict[int, Group] = {}
    for i, xs in enumerate(graph.inputs):
        for x in xs:
            if graph.serials[x] < 0:
                if x not in common:
                    common[x] = placed[i]
                elif common[x] is not placed[i]:
                    common[x] = _around_both(common[x], placed[i])
    for x, g in common.items():
        placed[x] = g


def _around_both(a: Group, b: Group) -> Group:
    outer = set()
    at: Group | None = a
    while at is not None:
        outer.add(id(at))
        at = at.parent
    while id(b) not in outer:
        assert b.parent is not None
        b = b.parent
    return b


def _mark_alike(graph: Graph, placed: Sequence[Group]) -> None:
    """Give groups beside each other the same mark if the same is done with the same inside them."""
    members: dict[int, list[int]] = {}
    every: dict[int, Group] = {}
    for i, g in enumerate(placed):
        at: Group | None = g
        while at is not None and at.parent is not None:
            members.setdefault(id(at), []).append(i)
            every[id(at)] = at
            at = at.parent
    siblings: dict[Hashable, list[Group]] = {}
    for key, g in every.items():
        # without leaves: what a loop starts from is no part of a round
        inside = [i for i in members[key] if graph.serials[i] >= 0]
        rank = {i: k for k, i in enumerate(inside)}
        what = type(g.span.module).__name__ if g.kind == "module" and g.span else g.name.partition(" #")[0]
        structure = tuple(
            [(graph.labels[i], tuple([rank.get(x, -1) for x in graph.inputs[i]])) for i in inside]
        )
        siblings.setdefault((id(g.parent), g.kind, what, hash(structure)), []).append(g)
    for mark, same in siblings.items():
        # Two layers are two layers; it takes more of them to be repeats.
        if len(same) > (1 if same[0].kind == "loop" else 2):
            for g in same:
                g.like = mark


# ---------------------------------------------------------------- parts that repeat


def _add_patterns(graph: Graph, placed: list[Group]) -> None:
    """Split what holds more nodes than can be looked at."""
    counts: dict[int, int] = {}
    for g in placed:
        counts[id(g)] = counts.get(id(g), 0) + 1
    numbers: dict[int, int] = {}
    bases = [
        numbers.setdefault(id(g), len(numbers)) if counts[id(g)] > _FEW else -1 for g in placed
    ]
    if not numbers:
        return
    made: dict[int, Group] = {}

    def group_of(part: Part, base: Group) -> Group:
        waiting = []
        at: Part | None = part
        while at is not None and id(at) not in made:
            waiting.append(at)
            at = at.parent
        for p in reversed(waiting):
            parent = base if p.parent is None else made[id(p.parent)]
            called = _INDEX.sub("[…]", graph.names[p.top]) or graph.words[p.top]
            name = f"sum of {p.terms}" if p.terms else called
            like = None if p.like is None else (id(parent), p.like)
            made[id(p)] = Group("pattern", name, parent, like, p.top)
        return made[id(part)]

    found = parts(graph.inputs, graph.labels, bases, graph.outputs, graph.sums)
    named: dict[int, list[int]] = {}
    alone: dict[Hashable, list[tuple[int, Part]]] = {}
    for i, part in enumerate(found):
        base = placed[i]
        if bases[i] >= 0 and graph.serials[i] < 0 and (part is None or part.top == i):
            # a leaf by itself: by its name, or with the others that have none
            if graph.names[i]:
                named.setdefault(id(base), []).append(i)
            elif part is not None:
                alone.setdefault((id(base), part.like), []).append((i, part))
        elif part is not None:
            placed[i] = group_of(part, base)
    for unnamed in alone.values():
        for i, part in unnamed:
            around = part if len(unnamed) > 1 else part.parent
            placed[i] = placed[i] if around is None else group_of(around, placed[i])
    for leaves in named.values():
        if len(leaves) > 1:
            _by_name(graph, placed, leaves)


def _by_name(graph: Graph, placed: list[Group], leaves: Sequence[int]) -> None:
    """Leaves by the containers that their names lead through: ``model.layers[0].weight`` is in two."""
    base = placed[leaves[0]]
    steps = {i: tuple(_STEPS.findall(graph.names[i])) for i in leaves}
    below: dict[tuple[str, ...], list[int]] = {}
    for i, path in steps.items():
        for k in range(1, len(path)):
            below.setdefault(path[:k], []).append(i)
    groups: dict[tuple[str, ...], Group] = {}
    for prefix in sorted(below, key=len):
        inside = below[prefix]
        longer = {steps[i][: len(prefix) + 1] for i in inside}
        if len(inside) < 2 or (len(longer) == 1 and next(iter(longer)) in below):
            continue  # the only way on leads further in
        known = max((k for k in range(len(prefix)) if prefix[:k] in groups), default=0)
        outer = groups[prefix[:known]] if known else base
        rest = tuple([(steps[i][len(prefix) :], graph.labels[i]) for i in inside])
        like = (id(outer), "named", len(prefix), hash(rest))
        groups[prefix] = Group("scope", "".join(prefix[known:]).removeprefix("."), outer, like)
        for i in inside:
            placed[i] = groups[prefix]


# ---------------------------------------------------------------- as data


def _numbered(root: Group, placed: Sequence[Group]) -> tuple[list[Group], list[int]]:
    """All groups that hold something, parents first."""
    order = [root]
    place = {id(root): 0}
    column = []
    for g in placed:
        waiting: list[Group] = []
        at: Group | None = g
        while at is not None and id(at) not in place:
            waiting.append(at)
            at = at.parent
        for x in reversed(waiting):
            place[id(x)] = len(order)
            order.append(x)
        column.append(place[id(g)])
    return order, column


def as_data(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """What JSON can hold. Those that have no like any more, after all, lose the mark."""
    place = {id(g): k for k, g in enumerate(groups)}
    count: dict[Hashable, int] = {}
    for g in groups:
        count[g.like] = count.get(g.like, 0) + 1
    marks: dict[Hashable, int] = {}
    return [
        {
            "parent": -1 if g.parent is None else place[id(g.parent)],
            "kind": g.kind,
            "name": g.name,
            "like": -1 if g.like is None or count[g.like] < 2 else marks.setdefault(g.like, len(marks)),
            "output": g.output,
        }
        for g in groups
    ]
