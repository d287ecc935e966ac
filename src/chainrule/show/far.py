"""Links too long for Graphviz: they take a lane beside the drawing.

A value used again much later (a weight in a loop, say) has a link across all that lies between,
and Graphviz sets up a waypoint in every rank that it crosses. Its time grows much faster than
their number: with 60,000 of them, which a loop of 250 steps has, it takes minutes. So only as
many as it places at once are left to it. The longest links go around, like wires along a wall.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["Link", "around", "far_links"]

WAYPOINTS = 1500  # and one more for each box
GAP, CORNER, OUT = 12.0, 10.0, 18.0  # between lanes; of a bend; from a box to its first bend
_LANES = 24  # then they are shared

Point = tuple[float, float]


class Link(NamedTuple):
    """From the far side of one box to a port of another, later one, by their indices."""

    source: int
    target: int
    port: int


def far_links(count: int, links: Sequence[Link]) -> frozenset[int]:
    """Which links to keep from Graphviz: the longest ones, until what crosses ranks is few enough.

    Examples
    --------
    >>> chain = [Link(i, i + 1, 0) for i in range(2000)]
    >>> sorted(far_links(2001, [*chain, Link(0, 10, 1), Link(0, 1990, 1), Link(10, 1995, 1)]))
    [2001]
    """
    ranks = _ranks(count, links)
    waypoints = [max(ranks[k.target] - ranks[k.source] - 1, 0) for k in links]
    excess = sum(waypoints) - WAYPOINTS - count
    far = set()
    for i in sorted(range(len(links)), key=lambda i: -waypoints[i]):
        if excess <= 0:
            break
        far.add(i)
        excess -= waypoints[i]
    return frozenset(far)


def _ranks(count: int, links: Iterable[Link]) -> list[int]:
    """The rank of each box: right after its last operand, or right before its first use."""
    ranks = [0] * count
    used: list[int | None] = [None] * count
    fed = [False] * count
    for k in sorted(links, key=lambda k: k.target):  # operands have their ranks before their users
        ranks[k.target] = max(ranks[k.target], ranks[k.source] + 1)
        fed[k.target] = True
    for k in links:
        first = used[k.source]
        used[k.source] = ranks[k.target] if first is None else min(first, ranks[k.target])
    return [
        max(use - 1, 0) if use is not None and not is_fed else rank
        for rank, use, is_fed in zip(ranks, used, fed)
    ]


def around(
    links: Sequence[tuple[Link, Point, Point]], side: float
) -> tuple[list[tuple[Point, ...]], float]:
    """Paths from left to right by lanes below the drawing, one lane for each source.

    Parameters
    ----------
    links : sequence of (Link, start, end)
    side : float
        Where the drawing ends, downwards.

    Returns
    -------
    paths : list of tuple of (x, y)
        Bézier splines: a start, then three points for each piece.
    side : float
        Where it ends with the lanes.

    Examples
    --------
    >>> paths, side = around([(Link(0, 9, 1), (50.0, 20.0), (900.0, 40.0))], 100.0)
    >>> paths[0][0], paths[0][-1], side
    ((50.0, 20.0), (900.0, 40.0), 112.0)
    """
    lanes: dict[int, int] = {}
    paths = []
    for k, (x, y), (end_x, end_y) in links:
        lane = side + GAP * (1 + lanes.setdefault(k.source, len(lanes) % _LANES))
        down, up = x + OUT, end_x - OUT - 5 * k.port
        path = [(x, y)]
        for corner, after in (
            ((down, y), (down, lane)),
            ((down, lane), (up, lane)),
            ((up, lane), (up, end_y)),
            ((up, end_y), (end_x, end_y)),
        ):
            _bend(path, corner, after)
        _straight(path, (end_x, end_y))
        paths.append(tuple(path))
    used = min(len(set(lanes.values())), _LANES)
    return paths, side + GAP * used


def _bend(path: list[Point], corner: Point, after: Point) -> None:
    """Go straight to just before a corner, and round it."""
    start, end = _near(corner, path[-1]), _near(corner, after)
    _straight(path, start)
    path += [corner, corner, end]


def _near(corner: Point, towards: Point) -> Point:
    dx, dy = towards[0] - corner[0], towards[1] - corner[1]
    length = abs(dx) + abs(dy)
    part = min(CORNER / length, 0.5) if length else 0.0
    return corner[0] + part * dx, corner[1] + part * dy


def _straight(path: list[Point], end: Point) -> None:
    (x, y), (u, v) = path[-1], end
    path += [(x + (u - x) / 3, y + (v - y) / 3), (u - (u - x) / 3, v - (v - y) / 3), end]
