"""A chapter, executed as the notebook that it is; the pictures that chapters show."""

import html
import json
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import chainrule

DOCS = Path(__file__).parents[2] / "docs"
CHAPTERS = sorted(DOCS.glob("*.md"))


def cells_of(chapter):
    """The code of a chapter, cell by cell, without what is said to Sphinx about them."""
    found = re.findall(r"^```\{code-cell\}\n(.*?)^```$", chapter.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [re.sub(r"\A(---\n.*?\n---\n|:tags:[^\n]*\n)", "", code, flags=re.DOTALL) for code in found]


def executed(chapter):
    cells = [nbformat.v4.new_code_cell(code) for code in cells_of(chapter)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    path = os.pathsep.join([str(Path(chainrule.__file__).parents[1]), str(DOCS)])
    client = NotebookClient(notebook, timeout=120, kernel_name="python3")
    client.execute(env={**os.environ, "PYTHONPATH": path})
    return notebook.cells


@pytest.mark.filterwarnings("ignore")  # of the notebook's own machinery
def test_a_chapter_runs_and_shows_the_explorer_and_its_exercises():
    cells = executed(DOCS / "backpropagation.md")
    (explored,) = [c for c in cells if "cr.explore(" in c.source]
    (output,) = explored.outputs
    assert set(output.data) == {"text/plain", "image/svg+xml", "text/html"}
    assert output.data["image/svg+xml"].startswith("<svg")
    assert output.data["text/html"].startswith("<iframe")
    page = html.unescape(output.data["text/html"])
    data = json.loads(page.partition('id="graph">')[2].partition("</script>")[0])
    assert {"x", "y", "b", "out"} <= set(data["nodes"]["name"])
    assert data["nodes"]["gradient"][data["nodes"]["name"].index("x")] == 4
    # what is printed may come in several pieces
    said = ["".join(o.text for o in c.outputs) for c in cells if "exercises." in c.source and c.outputs]
    assert len(said) == 8
    assert all(text.startswith("Not yet: ") for text in said[::2])
    assert said[1::2] == ["Right.\n"] * 4


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapters_pictures_are_there(chapter):
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", chapter.read_text("utf-8")):
        assert (DOCS / path).is_file(), path


def test_every_figure_is_shown():
    text = "".join(chapter.read_text("utf-8") for chapter in CHAPTERS)
    for figure in (DOCS / "_static" / "figures").iterdir():
        assert f"_static/figures/{figure.name}" in text
