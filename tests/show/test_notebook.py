"""In a notebook: an executed cell shows the page."""

import html
import json

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = """\
from pathlib import Path
from chainrule import Value, explore
from chainrule.show import document
document._PAGE = Path({folder!r})
w = Value(3.0)
y = w * w
y.backward()
explore(y)
"""


@pytest.mark.filterwarnings("ignore")  # of the notebook's own machinery
def test_a_cell_shows_a_frame_a_picture_and_a_text(tmp_path):
    for name in ("explorer.js", "explorer.css"):
        (tmp_path / name).write_text(";")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(CELLS.format(folder=str(tmp_path)))]
    )
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert set(output.data) == {"text/plain", "image/svg+xml", "text/html"}
    page = html.unescape(output.data["text/html"])
    data = page.partition('id="graph">')[2].partition("</script>")[0]
    assert json.loads(data)["nodes"]["name"] == ["w", "y"]
