"""Random graphs of scalars in whole numbers, with their derivatives worked out in Python's integers.

Everything is exact: a sweep that forgets a path, takes one twice or visits a node before one of its
consumers cannot hide behind rounding.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from chainrule import Value

LIMIT = 2**53  # whole numbers up to here are exact as floats


class Graph(NamedTuple):
    """Nodes in the order they were made, and ``slopes[i]``: the derivative of the last one in node i."""

    nodes: list[Value]
    numbers: list[int]
    slopes: list[int]
    edges: list[list[tuple[int, int]]]  # for each node its operands and the local derivatives

    def tangents(self, seeds: dict[int, int]) -> list[int]:
        """The tangent of every node, in whole numbers."""
        ts: list[int] = []
        for i, operands in enumerate(self.edges):
            ts.append(seeds.get(i, sum(ts[j] * d for j, d in operands)))
        return ts


def random_graph(seed: int, size: int = 30, leaves: int = 4, gap: int = 0) -> Graph:
    """A graph of ``size`` nodes; up to ``gap`` Values that have nothing to do with it between any two."""
    rng = random.Random(seed)
    numbers = [rng.randint(-3, 3) for _ in range(leaves)]
    nodes = [Value(n) for n in numbers]
    edges: list[list[tuple[int, int]]] = [[] for _ in numbers]
    while len(nodes) < size:
        for _ in range(rng.randint(0, gap)):
            Value(0.0)
        last = len(nodes) - 1
        i, j = (last if rng.random() < 0.4 else rng.randint(0, last) for _ in range(2))
        a, b, x, y = numbers[i], numbers[j], nodes[i], nodes[j]
        kind = rng.choice("+-*ncr")
        if kind == "*" and abs(a * b) < 1000:
            made = x * y, a * b, [(i, b), (j, a)]
        elif kind == "-":
            made = x - y, a - b, [(i, 1), (j, -1)]
        elif kind == "n":
            made = -x, -a, [(i, -1)]
        elif kind == "c" and abs(a) < 1000:
            made = 3 * x, 3 * a, [(i, 3)]
        elif kind == "r":
            made = x.relu(), max(a, 0), [(i, int(a > 0))]
        else:
            made = x + y, a + b, [(i, 1), (j, 1)]
        for parts, part in zip((nodes, numbers, edges), made, strict=True):
            parts.append(part)
    slopes = [0] * (size - 1) + [1]
    for k in reversed(range(size)):
        for i, d in edges[k]:
            slopes[i] += slopes[k] * d
    return Graph(nodes, numbers, slopes, edges)
