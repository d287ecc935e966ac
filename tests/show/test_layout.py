"""Placing boxes, with both engines."""

import shutil
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.show import layout as module
from chainrule.show.layout import Box, Layout, LayoutError, Link, NoEngine, layout

engines = [
    "wasm",
    pytest.param("dot", marks=pytest.mark.skipif(not shutil.which("dot"), reason="no system dot")),
]


def random_graph(seed, n):
    rng = np.random.default_rng(seed)
    boxes, links = [], []
    for i in range(n):
        ports = int(rng.integers(0, 4)) if i else 0
        boxes.append(Box(float(rng.integers(30, 300)), float(rng.integers(20, 60) + 38 * ports), ports))
        links += [Link(int(rng.integers(i)), i, k) for k in range(ports)]
    return boxes, links


def overlap(boxes, placed: Layout):
    at = [
        (x - b.width / 2, y - b.height / 2, x + b.width / 2, y + b.height / 2)
        for b, (x, y) in zip(boxes, placed.centres)
    ]
    slack = 0.5  # Graphviz writes places with a few digits
    return [
        (i, j)
        for j, b in enumerate(at)
        for i, a in enumerate(at[:j])
        if a[0] < b[2] - slack and b[0] < a[2] - slack and a[1] < b[3] - slack and b[1] < a[3] - slack
    ]


def check_ends(boxes, links, placed, direction):
    for k, curve in zip(links, placed.curves):
        assert len(curve) % 3 == 1
        b, (x, y) = boxes[k.target], placed.centres[k.target]
        along = (k.port + 0.5) / b.ports - 0.5
        level = (x - b.width / 2, y + along * b.height)
        port = level if direction == "LR" else (x + along * b.width, y - b.height / 2)
        assert np.allclose(curve[-1], port, atol=2)
        s, (x, y) = boxes[k.source], placed.centres[k.source]
        start = (x + s.width / 2, y) if direction == "LR" else (x, y + s.height / 2)
        assert np.allclose(curve[0], start, atol=2)


@pytest.mark.parametrize("direction", ["LR", "TB"])
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_boxes_do_not_overlap_and_curves_end_at_their_ports(direction, seed, n):
    boxes, links = random_graph(seed, n)
    placed = layout(boxes, links, direction)
    assert overlap(boxes, placed) == []
    for b, (x, y) in zip(boxes, placed.centres):
        assert x - b.width / 2 > -1 and x + b.width / 2 < placed.width + 1
        assert y - b.height / 2 > -1 and y + b.height / 2 < placed.height + 1
    check_ends(boxes, links, placed, direction)


@pytest.mark.parametrize("engine", engines)
def test_both_engines_place_operands_before_results(engine):
    boxes, links = random_graph(1, 12)
    placed = layout(boxes, links, "LR", engine)
    assert overlap(boxes, placed) == []
    assert all(placed.centres[k.source][0] < placed.centres[k.target][0] for k in links)


def test_more_boxes_than_the_placing_is_perfected_for():
    boxes, links = random_graph(2, 300)
    assert overlap(boxes, layout(boxes, links)) == []


def test_threads_share_the_engine():
    boxes, links = random_graph(3, 20)
    wanted, got = layout(boxes, links), []
    threads = [threading.Thread(target=lambda: got.append(layout(boxes, links))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == [wanted] * 8


@pytest.mark.parametrize("engine", engines)
def test_an_engine_that_gives_up_says_so_and_works_again(engine):
    with pytest.raises(LayoutError, match="max_nodes") as error:
        module.ENGINES[engine]("digraph{a->")
    assert "\n" not in str(error.value)
    assert layout([Box(100, 60), Box(100, 60, 1)], [Link(0, 1, 0)], engine=engine).width > 200


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_links_that_go_around_end_where_the_others_do(direction):
    """A loop of 200 steps that reads one value in each: 40,000 waypoints, if Graphviz had to set them."""
    boxes, links = [Box(100, 60)], []
    for i in range(1, 401):
        boxes.append(Box(200, 80, 2 if i % 2 else 1))
        links += [Link(i - 1, i, 0), *([Link(0, i, 1)] if i % 2 else [])]
    start = time.perf_counter()
    placed = layout(boxes, links, direction)
    assert time.perf_counter() - start < 10
    assert 0 < len(placed.far) < 200
    check_ends(boxes, links, placed, direction)
    assert overlap(boxes, placed) == []
    assert all(
        0 <= x <= placed.width and 0 <= y <= placed.height for i in placed.far for x, y in placed.curves[i]
    )


def test_without_an_engine_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(NoEngine, match=r"chainrule\[show\]") as error:
        layout([Box(10, 10)], [])
    assert "\n" not in str(error.value)
