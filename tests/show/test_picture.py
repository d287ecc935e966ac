"""draw, and saving and showing what it gives."""

import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.show import layout, picture
from chainrule.show import svg as svg_module
from tests.micrograd.test_engine import readme


@pytest.fixture
def drawn():
    x = Value(3.0)
    y = x * x
    return cr.draw(y)


@pytest.mark.parametrize("suffix", [".svg", ".dot", ".gv", ".json", ".html", ".txt", ".SVG"])
def test_saved_by_suffix(drawn, tmp_path, suffix):
    path = drawn.save(tmp_path / f"graph{suffix}")
    forms = {"svg": drawn.svg, "dot": drawn.dot, "gv": drawn.dot, "json": drawn.json, "html": drawn.html}
    assert path.read_text("utf-8") == forms.get(suffix[1:].lower(), str(drawn) + "\n")
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["graph.pdf", "graph", "graph.svg.gz"])
def test_another_suffix_is_an_error_that_lists_the_known_ones(drawn, tmp_path, name):
    with pytest.raises(ValueError, match=r"expected one of \.svg, \.html, \.json, \.dot"):
        drawn.save(str(tmp_path / name))
    assert not os.listdir(tmp_path)


def test_a_failed_save_leaves_the_old_file(drawn, tmp_path, monkeypatch):
    path = tmp_path / "graph.txt"
    path.write_text("old")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(picture.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        drawn.save(path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["graph.txt"]


def test_saving_through_a_link_writes_its_target(drawn, tmp_path):
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    drawn.save(link)
    assert link.is_symlink() and target.read_text("utf-8") == str(drawn) + "\n"


def test_a_picture_does_not_change_with_its_graph():
    x = Value(3.0)
    y = x * x
    before = cr.draw(y)
    y.backward()
    assert before.description.node("x").gradient == "0"
    assert cr.draw(y).description.node("x").gradient == "6"


def test_a_notebook_gets_the_svg_and_the_table(drawn):
    assert drawn._repr_mimebundle_() == {"text/plain": str(drawn), "image/svg+xml": drawn.svg}
    assert drawn._repr_svg_() == drawn.svg
    assert repr(drawn) == "<Picture of 2 nodes; .svg, .html, .save(path), print(picture)>"


def test_without_a_layout_engine_there_is_still_the_table(drawn, monkeypatch):
    monkeypatch.setattr(layout.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(layout.shutil, "which", lambda name: None)
    bundle = drawn._repr_mimebundle_()
    assert bundle.keys() == {"text/plain"}
    assert bundle["text/plain"].startswith(str(drawn)) and "chainrule[show]" in bundle["text/plain"]
    assert drawn._repr_svg_() is None
    with pytest.raises(layout.NoEngine):
        drawn.svg  # noqa: B018
    assert drawn.dot and drawn.json


def test_json_holds_the_description(drawn):
    plain = json.loads(drawn.json)
    assert plain["chainrule"] == 1
    assert [n["id"] for n in plain["nodes"]] == ["v0", "o1", "v1"]
    assert plain["edges"][0] == {
        "source": "v0", "target": "o1", "position": 0, "derivative": "∂y/∂x", "formula": "x", "operator": "",
        "value": "3", "number": 3.0,
    }  # fmt: skip


# ---------------------------------------------------------------- the page


class Page(HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


def test_the_page_is_self_contained_and_inert():
    names = ["</script><img src=x onerror=f()>", "</title><script>", "</style>", "a\u2028b", "</svg></pre>"]
    values = [Value(1.0, name=n) for n in names]
    total = sum(values[1:], values[0])
    total.name = names[1]
    source = cr.draw(total).html
    page = Page(source)
    assert not {"script", "img", "iframe", "link", "object", "a"} & set(page.tags)
    assert not [a for a, _ in page.attributes if a in {"src", "href", "style"} or a.startswith("on")]
    policy = next(v for a, v in page.attributes if a == "content" and "default-src" in v)
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert "\u2028" not in source


def test_the_policy_allows_the_styles_that_are_there(drawn):
    styles = re.findall(r"<style>(.*?)</style>", drawn.html, re.DOTALL)
    assert len(styles) == 2 and styles[1] == svg_module.STYLE
    for style in styles:
        assert f"'sha256-{picture._digest(style)}'" in drawn.html


def test_json_can_stand_in_a_script():
    assert not set("<>&\u2028") & set(cr.draw(Value(1.0, name="</script>&\u2028")).json)


# ---------------------------------------------------------------- what draw takes


def test_several_values_in_one_picture():
    x = Value(2.0)
    a, b = x * x, x + 1.0
    for together in ([a, b], (a, b), {"first": a, "second": b}, [a, b, a]):
        assert len(cr.draw(together).description.outputs) == 2


@pytest.mark.parametrize(
    ("value", "options", "error", "message"),
    [
        (3.0, {}, TypeError, "value is float, expected a Value"),
        (np.ones(3), {}, TypeError, "value is ndarray"),
        ("x", {}, TypeError, "value is str"),
        ([Value(1.0), 2], {}, TypeError, "element 1 of value is int"),
        ([], {}, ValueError, "empty"),
        (Value(1.0), {"direction": "RL"}, ValueError, "'LR'"),
        (Value(1.0), {"max_nodes": 0}, ValueError, "at least 1"),
        (Value(1.0), {"max_nodes": "all"}, ValueError, "'all'"),
        (Value(1.0), {"names": ["x"]}, TypeError, "names is list"),
    ],
)
def test_bad_input_is_named(value, options, error, message):
    with pytest.raises(error, match=message) as raised:
        cr.draw(value, **options)
    assert "\n" not in str(raised.value)


def test_micrograds_readme_expression():
    a = Value(-4.0)
    b = Value(2.0)
    g = readme(a, b)
    g.backward()
    graph = cr.draw(g).description
    assert graph.node("g").data == "24.704"
    assert (graph.node("a").gradient, graph.node("b").gradient) == ("138.83", "645.58")
    assert graph.left_out == 0


def test_what_cannot_be_written_is_named_as_it_was_asked_for(tmp_path):
    (tmp_path / "taken.json").mkdir()
    for path in (tmp_path / "missing" / "graph.json", tmp_path / "taken.json"):
        with pytest.raises(OSError, match=path.name) as caught:
            cr.draw(Value(1.0)).save(path)
        assert caught.value.filename == str(path)
    assert [p.name for p in tmp_path.iterdir()] == ["taken.json"]
