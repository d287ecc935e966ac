"""The drawing: everything in its place, readable, and inert whatever the names are."""

import re
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.show import svg as module
from chainrule.show.cells import ADVANCE, NAME, SMALL, TEXT, cells, columns

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</script><img src=x onerror=alert(1)>", "a\u2028b\x00\x1b", "]]>&amp;<!--", "n" * 10**6, "\ud800",
    "__proto__",
]  # fmt: skip


def small():
    x1, w1, x2, w2 = (Value(v, name=n) for n, v in (("x1", 2.0), ("w1", 3.0), ("x2", 4.0), ("w2", 5.0)))
    h = x1 * w1 + x2 * w2
    h.name = "h"
    h.backward()
    return h


def arrays():
    rng = np.random.default_rng(0)
    x = Value(rng.normal(size=(4, 3)), name="x")
    w = Value(rng.normal(size=(3, 2)), name="a_rather_long_name" * 3)
    loss = ((np.tanh(x @ w) - rng.normal(size=(4, 2))) ** 2).sum()
    loss.backward()
    return loss


def hostile():
    values = [Value(1.5, name=n) for n in HOSTILE]
    return sum(values[1:], values[0]) * np.float32(2)


def texts(picture):
    return [t.text for t in ET.fromstring(picture.svg).iter(f"{SVG}text")]


def test_what_can_be_read_in_the_picture():
    shown = texts(cr.draw(small()))
    for word in ["x1", "w2", "h", "data", "grad", "26", "×", "+", "∂v4/∂x1 = w1 = 3", "∂h/∂v4 = 1"]:
        assert word in shown


@pytest.mark.parametrize("make", [small, arrays, hostile])
@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_nothing_sticks_out(make, direction):
    """Each text fits into its part of a cell, each part into the cell, each cell into the picture."""
    picture = cr.draw(make(), direction=direction)
    root = ET.fromstring(picture.svg)
    width, height = float(root.get("width")), float(root.get("height"))
    measured = cells(picture.description, direction)
    groups = root.findall(f"{SVG}g")
    assert len(groups) == len(measured)
    for c, g in zip(measured, groups):
        x, y = map(float, re.findall(r"[\d.]+", g.get("transform")))
        assert x >= 0 and x + c.width <= width and y >= 0 and y + c.height <= height
        for part in [c.box, *([c.pill] if c.pill else []), *(label.band for label in c.labels)]:
            assert part.x >= -0.01 and part.x + part.width <= c.width + 0.01
            assert part.y >= -0.01 and part.y + part.height <= c.height + 0.01
        kind = columns(c.kind_text, SMALL)
        assert columns(c.title, NAME) + kind + (14 if kind else 0) <= c.box.width - 20
        assert all(columns(r.text, TEXT) <= c.box.width - 20 for r in c.rows)
        assert not c.pill or columns(c.pill_text, TEXT) <= c.pill.width - 10
        for label in c.labels:
            assert max(columns(label.above, SMALL), columns(label.below, SMALL)) <= label.band.width
        parts = [c.box, *([c.pill] if c.pill else [])]
        if direction == "LR":
            assert all(label.band.x + label.band.width < c.pill.x for label in c.labels)
            assert len(parts) == 1 or c.pill.x + c.pill.width < c.box.x
        else:
            assert all(label.band.y + label.band.height < c.pill.y for label in c.labels)
            assert len(parts) == 1 or c.pill.y + c.pill.height < c.box.y


def test_a_font_is_never_wider_than_it_is_measured():
    assert ADVANCE >= 1233 / 2048  # DejaVu Sans Mono and Menlo; Consolas and Liberation Mono are narrower


def test_hostile_names_are_text():
    source = cr.draw(hostile()).svg
    root = ET.fromstring(source)
    assert {e.tag.removeprefix(SVG) for e in root.iter()} == {
        "svg", "title", "desc", "style", "rect", "path", "g", "text",
    }  # fmt: skip
    assert not any(name.startswith("on") or "href" in name for e in root.iter() for name in e.attrib)
    assert "http" not in source.replace("http://www.w3.org/2000/svg", "")
    assert "\u2028" not in source and len(source) < 60_000
    source.encode("utf-8")


def test_a_reader_who_does_not_see_it_gets_it_in_words():
    root = ET.fromstring(cr.draw(small()).svg)
    assert root.get("role") == "img"
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert title.text == "Computational graph of h"
    assert "7 values, 3 operations." in desc.text and "h = v4 + v5: data 26, grad 1." in desc.text


def test_two_pictures_on_one_page_do_not_share_ids():
    ids = [re.findall(r' id="([^"]+)"', cr.draw(v).svg) for v in (small(), arrays())]
    assert not set(ids[0]) & set(ids[1])


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["_LIGHT", "_DARK"])
def test_text_has_contrast(theme):
    c = getattr(module, theme)
    on = {
        "ink": ["paper", "box", "head", "leaf-head", "pill"],
        "muted": ["paper", "box", "head", "leaf-head"],
        "data": ["box"],
        "grad": ["box"],
    }
    for text, grounds in on.items():
        for ground in grounds:
            high, low = sorted((luminance(c[text]), luminance(c[ground])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (theme, text, ground)


def test_what_is_left_out_is_said_in_the_picture():
    y = x = Value(0.5)
    for _ in range(50):
        y = y * x
    shown = texts(cr.draw(y, max_nodes=4))
    assert "… and 47 nodes further from the output, left out" in shown
    assert "2 operands" in shown and "left out" in shown


def test_a_thousand_nodes():
    y = x = Value(0.5)
    for _ in range(500):
        y = np.tanh(y * x)
    assert cr.draw(x).svg  # compiles the layout engine
    start = time.perf_counter()
    picture = cr.draw(y, max_nodes=1001)
    size = len(picture.svg)
    assert picture.description.left_out == 0 and size < 2_000_000
    assert time.perf_counter() - start < 8


def test_a_hundred_nodes_are_drawn_in_under_a_second():
    y = x = Value(0.5)
    for _ in range(50):
        y = np.tanh(y * x)
    assert cr.draw(x).svg
    start = time.perf_counter()
    assert cr.draw(y).svg
    assert time.perf_counter() - start < 1
