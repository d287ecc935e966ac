"""Rolling, second step: classes.

Nodes are interned by structure: constants are anonymous, inputs are told apart in the first rolling and
anonymous in the second. What is in one class does the same to the same classes. Chains of ``add`` (and of
``or`` between masks) whose links are used once are one sum of n terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.native.roll_numbers import Numbers
from chainrule.traced import Traced

__all__ = ["Classes"]

_COMMUTATIVE = frozenset("multiply bitwise_and logical_and bitwise_xor equal not_equal".split())


class Classes(Numbers):
    """A program with its nodes in classes.

    Attributes
    ----------
    classes : list of int
        The class of each node; -1 of what is no node of its own.
    terms : dict
        Of a sum that has more than two.
    group : list of int
        The sum that a node is a term of, among others of its class; -1 where there is none.
    """

    def __init__(
        self, roots: Sequence[Traced], nodes: list[Traced], lanes: int, wide: set[Traced] | None = None
    ) -> None:
        super().__init__(roots, nodes, lanes, wide)
        self.terms: dict[int, list[int]] = {}
        self.intern()

    def intern(self) -> None:
        """The class of every node: what it does, to what classes."""
        link, chained = self.chains()
        kind, a, b, c, terms = self.kind, self.a, self.b, self.c, self.terms
        commutes = {k for (op, *_), k in self.kinds.items() if op in _COMMUTATIVE or k in chained}
        power = {k for (op, *_), k in self.kinds.items() if op == "power"}
        known: dict[Any, int] = {}
        classes: list[int] = []
        self.classes = classes
        self.group = group = [-1] * len(kind)
        fresh = 0
        stage = self.stages()
        base = self.base.tolist()
        for i, k in enumerate(kind):
            if k < 0:
                if k == -2:
                    classes.append(-1)
                    continue
                if self.constant[i]:
                    x = self.nodes[i]
                    key: Any = (x.dtype.char, x.weak)
                elif base[i] >= 0:
                    key = (-1, base[i])
                elif self.apart:
                    classes.append(fresh)
                    fresh += 1
                    continue
                else:
                    x = self.nodes[i]
                    key = (x.dtype.char, x.weak, x.op == "input", x.op == "constant", x.shape, stage[i])
            else:
                p, q = a[i], b[i]
                if k in chained:
                    left = terms.pop(p) if link[p] else None
                    right = terms.pop(q) if link[q] else None
                    if left is not None and right is not None:
                        if len(left) < len(right):
                            left, right = right, left
                        left += right
                    elif left is not None:
                        left.append(q)
                    elif right is not None:
                        left = right
                        left.append(p)
                    if link[i]:
                        terms[i] = left if left is not None else [p, q]
                        classes.append(-1)
                        continue
                    if left is not None:
                        if chained[k] != "add":
                            left = list(dict.fromkeys(left))
                        found = sorted([(classes[t], t) for t in left])
                        terms[i] = [t for _, t in found]
                        key = (k, -1, *[t for t, _ in found])
                        last = before = -1
                        for number, t in found:
                            if number == last:
                                if group[t] < 0:
                                    group[t] = i
                                if group[before] < 0:
                                    group[before] = i
                            last, before = number, t
                        number = known.get(key, -1)
                        if number < 0:
                            number = known[key] = fresh
                            fresh += 1
                        classes.append(number)
                        continue
                m = classes[p]
                if q < 0:
                    key = (k, m)
                else:
                    n = classes[q]
                    if m > n and k in commutes:
                        a[i], b[i] = q, p
                        m, n = n, m
                    r = c[i]
                    if r >= 0:
                        key = (k, m, n, classes[r])
                    elif k in power and self.constant[q]:
                        key = (k, m, n, -2, q)  # the exponent says which function it is
                    else:
                        key = (k, m, n)
            number = known.get(key, -1)
            if number < 0:
                number = known[key] = fresh
                fresh += 1
            classes.append(number)
        # what is used once is for what its user is for
        user, once = self.user, self.uses == 1
        for i, some in terms.items():
            user[some] = i
        for i, (j, alone) in enumerate(zip(user[::-1].tolist(), once[::-1].tolist()), 1):
            if alone and group[-i] < 0:
                group[-i] = group[j]

    def stages(self) -> list[int]:
        """How often the way to a node leaves the scalars and comes back.

        Results that are anonymous but lie in different stages may need one another, and so must not
        end in one vector.
        """
        self.stage = stage = [0] * len(self.kind)
        if self.apart:
            return stage
        kind, a, b, c = self.kind, self.a, self.b, self.c
        for i, x in enumerate(self.nodes):
            if kind[i] >= 0:
                stage[i] = max(stage[a[i]], stage[b[i]] if b[i] >= 0 else 0, stage[c[i]] if c[i] >= 0 else 0)
            elif x.inputs:
                stage[i] = max([stage[j] + (kind[j] >= 0) for j in [self.number[y] for y in x.inputs]])
        return stage
