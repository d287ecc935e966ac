"""The documentation's figures: the same bytes each time, and those that are kept are those that are drawn."""

import re
from xml.etree import ElementTree

import pytest

from docs.figures.__main__ import FIGURES, STATIC
from docs.figures.sheet import DIM, Sheet, played

HEAVY = {"boundary", "entropy", "steepest-descent"}  # their bytes are matplotlib's


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_when_drawn_again(name):
    first = str(FIGURES[name]())
    assert first == str(FIGURES[name]())
    root = ElementTree.fromstring(first)
    assert root.tag.endswith("svg")
    assert "<title" in first
    assert "prefers-color-scheme:dark" in first
    assert not re.search(r"(href|src|url)\s*=?\s*[\"'(]?https?:", first)


@pytest.mark.parametrize("name", sorted(FIGURES.keys() - HEAVY))
def test_the_figure_in_the_documentation_shows_the_same_numbers(name):
    kept = (STATIC / "figures" / f"{name}.svg").read_text(encoding="utf-8")
    assert texts(kept) == texts(str(FIGURES[name]()))


def test_there_is_no_figure_that_nothing_draws():
    assert {p.stem for p in (STATIC / "figures").iterdir()} == set(FIGURES)


def texts(svg):
    return sorted(e.text or "" for e in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"))


def test_a_film_hides_at_its_moments_and_ends_with_everything_in_sight():
    sheet = Sheet(10, 10, "t", "d")
    svg = played(str(sheet), {(".a", DIM): {0, 2}}, 3)
    (frames,) = re.findall(r"@keyframes f0\{(.*?)\}\}", svg)
    assert re.findall(r"opacity:([.\d]+)", frames) == [".25", "1", ".25", "1", "1"]
    assert "prefers-reduced-motion:no-preference" in svg
