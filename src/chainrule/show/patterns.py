"""What repeats in a graph of which nothing else is known: parts of the same structure.

A node dominates another one if all ways from that one to the outputs lead through it: what a node dominates
is its part of the graph, which nothing else uses. Parts beside each other that look alike, whatever they
read from outside, are repeats: samples of a loss, neurons of a layer. So are rounds of a recurrence, each of
which dominates those before it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["Part", "parts"]

_MANY = 20  # single nodes of the same kind, side by side, that are worth a group
_TERMS = 4  # of a sum that is one
_ROUNDS = 4  # of a recurrence, from which on it is one
_PERIOD = 50  # steps of a round


@dataclass(slots=True)
class Part:
    """Nodes that belong together.

    Attributes
    ----------
    top : int
        The node through which everything in it reaches the outputs.
    parent : Part or None
    like : hashable
        The same for siblings of the same structure; None for a part that is the only one of its kind.
    terms : int
        For the additions of one long sum, how many terms it has; 0 for other parts.
    """

    top: int
    parent: Part | None = None
    like: Hashable = None
    terms: int = 0


@dataclass(slots=True)
class _Graph:
    inputs: Sequence[Sequence[int]]
    labels: Sequence[Hashable]
    bases: Sequence[int]
    head: list[int] = field(default_factory=list)  # of the sum that an addition is part of: its last one
    above: list[int] = field(default_factory=list)  # the immediate dominator; -1 for none
    below: list[list[int]] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    code: list[int] = field(default_factory=list)


def parts(
    inputs: Sequence[Sequence[int]],
    labels: Sequence[Hashable],
    bases: Sequence[int],
    outputs: Sequence[int],
    sums: Sequence[bool],
) -> list[Part | None]:
    """Find the repeated parts of a graph.

    Parameters
    ----------
    inputs : sequence of sequence of int
        Of each node its operands, which stand before it.
    labels : sequence of hashable
        What is the same for nodes of the same kind.
    bases : sequence of int
        Groups that are known already: parts do not reach beyond them. Nodes in -1 belong to none.
    outputs : sequence of int
    sums : sequence of bool
        Which nodes are additions: ``a + b + c`` is one sum of three terms.

    Returns
    -------
    list of Part or None
        Of each node the innermost part it is in.

    Examples
    --------
    Three times a product and a tanh of it, added up:

    >>> inputs = [[], [0], [1], [], [3], [4], [2, 5], [], [7], [8], [6, 9]]
    >>> labels = ["leaf", "*", "tanh"] * 2 + ["+"] + ["leaf", "*", "tanh"] + ["+"]
    >>> found = parts(inputs, labels, [0] * 11, [10], [x == "+" for x in labels])
    >>> [p and p.top for p in found]
    [2, 2, 2, 5, 5, 5, None, 9, 9, 9, None]
    """
    g = _Graph(inputs, labels, bases)
    _flatten_sums(g, outputs, sums)
    _dominate(g, outputs)
    _measure(g)
    own = _beside(g)
    first_of = _in_rows(g, own)
    return _placed(g, own, first_of)


def _flatten_sums(g: _Graph, outputs: Sequence[int], sums: Sequence[bool]) -> None:
    count = len(g.inputs)
    uses = [0] * count
    user = [-1] * count
    for i, xs in enumerate(g.inputs):
        for x in xs:
            uses[x] += 1
            user[x] = i
    for x in outputs:
        uses[x] = 2
    g.head = head = list(range(count))
    for i in range(count - 1, -1, -1):
        if sums[i] and uses[i] == 1:
            u = user[i]
            if sums[u] and g.labels[u] == g.labels[i] and g.bases[u] == g.bases[i]:
                head[i] = head[u]


def _dominate(g: _Graph, outputs: Sequence[int]) -> None:
    """Immediate dominators, users before operands: the nearest common ancestor of all users.

    Each node knows its parent in the tree and one ancestor further up, so far that every ancestor is
    found in a logarithmic number of jumps.
    """
    inputs, bases, head = g.inputs, g.bases, g.head
    count = len(inputs)
    root = count
    above = [-1] * count
    depth = [0] * (count + 1)
    up = [root] * (count + 1)
    jump = [root] * (count + 1)
    for x in outputs:
        above[x] = root
    for i in range(count - 1, -1, -1):
        parent = head[i] if head[i] != i else above[i]
        if parent < 0:
            parent = root  # nobody uses it
        above[i] = up[i] = parent
        depth[i] = depth[parent] + 1
        further = jump[parent]
        same = depth[parent] - depth[further] == depth[further] - depth[jump[further]]
        jump[i] = jump[further] if same else parent
        user = head[i]
        for x in inputs[i]:
            if bases[x] != bases[i]:
                above[x] = root
            elif above[x] < 0:
                above[x] = user
            elif above[x] != user and above[x] != root:
                a, b = above[x], user
                if depth[a] < depth[b]:
                    a, b = b, a
                while depth[a] > depth[b]:
                    a = jump[a] if depth[jump[a]] >= depth[b] else up[a]
                while a != b:
                    if jump[a] != jump[b]:
                        a, b = jump[a], jump[b]
                    else:
                        a, b = up[a], up[b]
                above[x] = a
    g.above = [-1 if a == root else a for a in above]
    g.below = [[] for _ in range(count)]
    for i, a in enumerate(g.above):
        if a >= 0:
            g.below[a].append(i)


def _measure(g: _Graph) -> None:
    """Of what each node dominates the size, and a number that is the same where it looks the same."""
    count = len(g.inputs)
    g.size, g.code = [1] * count, [0] * count
    kinds: dict[Hashable, int] = {}
    for i in range(count):
        below = g.below[i]
        g.size[i] += sum([g.size[c] for c in below])
        inside = [g.code[x] if g.above[x] == i else -1 for x in g.inputs[i]]
        key = (g.labels[i], tuple(inside), tuple(sorted([g.code[c] for c in below])))
        g.code[i] = kinds.setdefault(key, len(kinds))


def _beside(g: _Graph) -> dict[int, Part]:
    """The tops of parts that repeat beside each other."""
    alike: dict[tuple[int, int, int], list[int]] = {}
    for i in range(len(g.inputs) - 1, -1, -1):
        if g.bases[i] >= 0 and g.head[i] == i:
            alike.setdefault((g.above[i], g.bases[i], g.code[i]), []).append(i)
    own: dict[int, Part] = {}
    for place, tops in alike.items():
        if len(tops) < (2 if g.size[tops[0]] > 1 else _MANY):
            continue
        exact: dict[Hashable, list[int]] = {}
        for i in tops:
            exact.setdefault(_signature(g, i), []).append(i)
        for n, same in enumerate(exact.values()):
            if len(same) > 1:
                own.update((i, Part(i, like=(*place, n))) for i in same)
    return own


def _in_rows(g: _Graph, own: dict[int, Part]) -> dict[int, Part]:
    """Add the tops of parts that repeat one after the other; of these and what follows, the first one.

    Down the tree, always to the child that dominates most, a recurrence comes by the same steps again and
    again: there each round is a part, without the rounds before it.
    """
    first_of: dict[int, Part] = {}
    heavy = [max(below, key=g.size.__getitem__) if below else -1 for below in g.below]
    rings: dict[Hashable, int] = {}
    for i in range(len(heavy) - 1, -1, -1):
        if g.bases[i] < 0 or (g.above[i] >= 0 and heavy[g.above[i]] == i):
            continue
        row = [i]
        while heavy[row[-1]] >= 0:
            row.append(heavy[row[-1]])
        if len(row) < 2 * _ROUNDS:
            continue
        codes = [rings.setdefault(_ring(g, k, heavy[k]), len(rings)) for k in row]
        for start, period, rounds in _runs(codes):
            tops = row[start : start + period * rounds + 1 : period]
            ends = [*tops[1:], -1][:rounds]
            first: Part | None = None
            for top, end in zip(tops, ends):
                own[top] = part = Part(top, like=("row", tops[0], _signature(g, top, end)))
                if first is None:
                    first = part
                else:
                    first_of[top] = first
            if first is not None and len(tops) > rounds:
                first_of[tops[rounds]] = first
    return first_of


def _ring(g: _Graph, i: int, heavy: int) -> Hashable:
    """What a node dominates, without what its heaviest child does."""
    inside = [-2 if x == heavy else g.code[x] if g.above[x] == i else -1 for x in g.inputs[i]]
    return g.labels[i], tuple(inside), tuple(sorted([g.code[c] for c in g.below[i] if c != heavy]))


def _runs(codes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Where a sequence repeats itself: the start, the period, and how often."""
    at, count = 0, len(codes)
    while at < count:
        for period in range(1, min(_PERIOD, (count - at) // _ROUNDS) + 1):
            if codes[at] != codes[at + period]:
                continue
            end = at + period
            while end < count and codes[end] == codes[end - period]:
                end += 1
            rounds = (end - at) // period
            if rounds >= (_ROUNDS if period > 1 else _MANY):
                yield at, period, rounds
                at += period * rounds
                break
        else:
            at += 1


def _signature(g: _Graph, top: int, end: int = -1) -> Hashable:
    """What is done with what inside a part, in the order of the program; ``end`` is where the next begins."""
    members = [top]
    for i in members:
        members += [c for c in g.below[i] if c != end]
    members.sort()
    rank = {i: k for k, i in enumerate(members)}
    return hash(tuple([(g.labels[i], tuple([rank.get(x, -1) for x in g.inputs[i]])) for i in members]))


def _placed(g: _Graph, own: dict[int, Part], first_of: dict[int, Part]) -> list[Part | None]:
    count = len(g.inputs)
    terms = [0] * count
    for i, h in enumerate(g.head):
        if h != i:
            terms[h] += 1
    inner: list[Part | None] = [None] * count  # where what a node dominates belongs
    placed: list[Part | None] = [None] * count
    totals: dict[int, Part] = {}
    for i in range(count - 1, -1, -1):
        a = g.above[i]
        around = inner[a] if a >= 0 else None
        if (first := first_of.get(i)) is not None:  # a round further, or behind the last one
            around = first.parent
        part = own.get(i)
        if part is not None:
            part.parent = around
        inner[i] = placed[i] = around if part is None else part
        if g.bases[i] >= 0 and terms[h := g.head[i]] + 2 >= _TERMS:
            if h == i:
                totals[h] = Part(h, inner[i], terms=terms[h] + 2)
            placed[i] = totals[h]
    return placed
