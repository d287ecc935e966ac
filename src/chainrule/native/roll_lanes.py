"""Rolling, third step: lanes.

What hangs together without passing through what all lanes share is one lane; lanes with the same classes in
them are a group, so 100 training samples and 20 of validation are two groups. A class that lies in several
groups becomes one for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.native.roll_classes import Classes
from chainrule.native.roll_numbers import Ints
from chainrule.traced import Traced

__all__ = ["Lanes"]


def _joined(a: Ints, b: Ints) -> Ints:
    """Pairs as numbers, in the order of the pairs."""
    pairs: Ints = np.unique(a * (int(b.max()) + 1) + b, return_inverse=True)[1]
    return pairs


def _parts(n: int, s: Ints, t: Ints) -> Ints:
    """Of n nodes with edges s–t: the first node of the connected part that each belongs to."""
    part = np.arange(n)
    while True:
        a, b = part[s], part[t]
        apart = a != b
        if not apart.any():
            return part
        s, t, a, b = s[apart], t[apart], a[apart], b[apart]
        np.minimum.at(part, np.maximum(a, b), np.minimum(a, b))
        while ((further := part[part]) != part).any():
            part = further


class Lanes(Classes):
    """A program whose classes are told apart by where they lie.

    Attributes
    ----------
    canon : array of int
        Of a node that computes what an earlier one does, that one.
    lane : array of int
        The first node of the lane that a node is in.
    final : array of int
        The classes, told apart, in an order in which they can be computed.
    rolled : int
        How many nodes are in classes that are large enough.
    """

    def __init__(
        self, roots: Sequence[Traced], nodes: list[Traced], lanes: int, wide: set[Traced] | None = None
    ) -> None:
        super().__init__(roots, nodes, lanes, wide)
        self.canon = np.arange(len(self.nodes))
        self.rolled = self.split()

    def split(self) -> int:
        """Find what hangs together, and tell apart members of a class that lie in different groups.

        Returns how many nodes are in classes that are large enough.
        """
        n = len(self.kind)
        kind, cls = np.array(self.kind), np.array(self.classes)
        self.lane = np.zeros(n, np.int64)
        count = np.bincount(cls + 1)[1:]
        self.final = cls
        lanes = (kind >= 0) & (cls >= 0) & (count[cls] >= self.lanes)
        if not (self.apart and lanes.any()):
            return int(lanes.sum())
        sources, targets = [], []
        for e in map(np.array, (self.a, self.b, self.c)):
            plain = lanes & (e >= 0)
            plain[list(self.terms)] = False
            at = np.flatnonzero(plain)
            at = at[lanes[e[at]]]
            sources.append(at)
            targets.append(e[at])
        long = list(self.terms)
        every = np.array([t for i in long for t in self.terms[i]], np.int64)
        owner = np.repeat(np.array(long, np.int64), [len(self.terms[i]) for i in long])
        repeated = np.zeros(len(every), bool)
        repeated[1:] = (cls[every[1:]] == cls[every[:-1]]) & (owner[1:] == owner[:-1])
        repeated[:-1] |= repeated[1:]
        alone = ~repeated & lanes[every] & lanes[owner]
        sources.append(owner[alone])
        targets.append(every[alone])
        part = self.lane = _parts(n, np.concatenate(sources), np.concatenate(targets))
        # parts with the same classes in them, and summed in the same sums, are lanes of one group
        draw = np.random.default_rng(0).integers(0, 2**63, (2, len(count)), np.uint64)
        mark = np.zeros(n, np.uint64)
        mark[lanes] = draw[0][cls[lanes]]
        np.add.at(mark, every, draw[1][cls[owner]])
        signature = np.zeros(n, np.uint64)
        np.add.at(signature, part[lanes], mark[lanes])
        group = np.unique(signature, return_inverse=True)[1]
        pair = _joined(cls, np.where(lanes, group[part], 0))
        self.final = _joined(pair, self.purposes(pair, lanes))
        return int(lanes.sum())

    def purposes(self, cls: Ints, lanes: NDArray[np.bool_]) -> Ints:
        """Where a lane has several members of a class: the class or the sum over lanes each is for."""
        at = np.flatnonzero(lanes)
        place = _joined(cls[at], self.lane[at])
        crowded = np.zeros(int(cls.max()) + 2, bool)
        crowded[cls[at[np.bincount(place)[place] > 1]]] = True
        aim = np.full(len(cls), -1)
        some = np.flatnonzero(lanes & crowded[cls])
        self.merge(some.tolist())
        for i in some[::-1].tolist():
            if self.uses[i] == 1:  # and so for what its user is for
                j = self.user[i]
                aim[i] = len(cls) + j if not lanes[j] else aim[j] if crowded[cls[j]] else cls[j]
        crowded[cls[at[aim[at] < 0]]] = False
        return np.where(lanes & crowded[cls], aim, -1) + 1

    def merge(self, some: list[int]) -> None:
        """What is computed twice in a lane is computed once."""
        known: dict[Any, int] = {}
        canon, uses, user = self.canon, self.uses, self.user
        for i in some:
            operands: Any = self.terms.get(i)
            if operands is None:
                operands = [self.a[i], self.b[i], self.c[i]]
                key: Any = (self.lane[i], self.kind[i], *canon[operands].tolist())
            else:
                key = (self.lane[i], self.kind[i], "terms", *np.sort(canon[operands]).tolist())
            first = known.setdefault(key, i)
            if first != i:
                canon[i] = first
                self.classes[i] = -1
                uses[first] += uses[i]
                for j in operands:
                    if j >= 0:
                        uses[j] -= 1
                        user[j] = first
