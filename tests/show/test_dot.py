"""DOT source."""

import shutil
import subprocess

import pytest

import chainrule as cr
from chainrule import Value
from chainrule.show.dot import quote
from chainrule.show.layout import ENGINES

HOSTILE = [
    '"]; evil [label="x',
    "\\", '\\"', "\\N \\G", "&lt;b&gt;", "<b>html</b>", "{a|b}", "a\u2028b\x00\n", "\ud800", "",
]  # fmt: skip


def test_nodes_edges_and_labels():
    x, w = Value(2.0), Value(3.0)
    y = x * w
    assert cr.draw(y, direction="TB").dot == """digraph {
  rankdir=TB
  node [fontname="monospace", fontsize=11]
  edge [fontname="monospace", fontsize=9]
  "v0" [label="x\\ndata 2\\ngrad 0", shape=box, style="rounded,filled", fillcolor="#e3eefa", color="#0072b2"]
  "v1" [label="w\\ndata 3\\ngrad 0", shape=box, style="rounded,filled", fillcolor="#e3eefa", color="#0072b2"]
  "o2" [label="*", shape=ellipse, style=filled, fillcolor="#eef0f3", color="#5b6673"]
  "v2" [label="y\\ndata 6\\ngrad 0", shape=box, style=rounded, color="#5b6673"]
  "v0" -> "o2" [label="∂y/∂x = w = 3"]
  "v1" -> "o2" [label="∂y/∂w = x = 2"]
  "o2" -> "v2"
}"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_quoted_name_ends_where_it_should(name):
    quoted = quote([name])
    inner = quoted[1:-1].replace("\\\\", "").replace('\\"', "")
    assert quoted[0] == quoted[-1] == '"' and '"' not in inner and "\n" not in inner


@pytest.mark.parametrize("engine", ["wasm", "dot"])
def test_graphviz_reads_it_and_finds_the_same_nodes(engine):
    if engine == "dot" and not shutil.which("dot"):
        pytest.skip("no system dot")
    values = [Value(1.0, name=n) for n in HOSTILE]
    picture = cr.draw(sum(values[1:], values[0]))
    placed = ENGINES[engine](picture.dot)
    assert placed.count(b'"shape": "box"') == 2 * len(HOSTILE) - 1
    assert b'"name": "evil"' not in placed


def test_the_systems_dot_draws_it(tmp_path):
    if not shutil.which("dot"):
        pytest.skip("no system dot")
    file = cr.draw(Value(2.0, name="重み") * 3.0).save(tmp_path / "g.dot")
    done = subprocess.run(["dot", "-Tsvg", str(file)], capture_output=True, check=True)
    assert "重み" in done.stdout.decode() and not done.stderr
