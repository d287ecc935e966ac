"""Links that go around the drawing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chainrule.show import far
from chainrule.show.far import Link, around, far_links


def test_short_links_all_stay():
    assert far_links(3, [Link(0, 1, 0), Link(1, 2, 0), Link(0, 2, 1)]) == frozenset()


@given(st.integers(0, 10**6))
def test_the_longest_go_until_few_waypoints_are_left(seed):
    rng = np.random.default_rng(seed)
    n = 300
    links = [Link(i, i + 1, 0) for i in range(n - 1)]  # a chain, so that a box's rank is its index
    links += [Link(int(rng.integers(i)), i, 1) for i in range(1, n)]
    away = far_links(n, links)
    lengths = [k.target - k.source for k in links]
    kept = [length for i, length in enumerate(lengths) if i not in away]
    assert sum(length - 1 for length in kept) <= far.WAYPOINTS + n
    assert not away or min(lengths[i] for i in away) >= max(kept)


def test_a_leaf_is_near_its_first_use():
    # box 1 is used once, at the end: its link is short, since it may stand anywhere
    links = [Link(0, 2, 0), *(Link(i, i + 1, 0) for i in range(2, 4000)), Link(1, 4000, 1)]
    assert far_links(4001, links) == frozenset()


def test_paths_are_whole_splines_in_lanes_of_their_own():
    links = [(Link(s, t, 0), (10.0 * s, 5.0), (500.0 + t, 50.0)) for s, t in [(0, 9), (1, 9), (0, 8)]]
    paths, side = around(links, 100.0)
    assert side == 100 + 2 * far.GAP
    assert [max(y for _, y in p) for p in paths] == [112, 124, 112]
    for path, (_, start, end) in zip(paths, links):
        assert path[0] == start and path[-1] == end and len(path) % 3 == 1


def test_a_path_between_neighbours_does_not_break():
    (path,), _ = around([(Link(0, 1, 0), (0.0, 0.0), (2 * far.OUT, 0.0))], 0.0)
    assert np.isfinite(path).all()
