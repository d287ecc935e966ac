"""``chainrule explore script.py:name``."""

import json
import sys

import pytest

from chainrule.cli import main

SCRIPT = """\
import sys
import helper
from chainrule import Value

def double(x):
    return x + x

w = Value(3.0)
y = double(w)
y.backward()

def cube():
    return w * w * helper.same(w)

arguments = sys.argv
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "helper.py").write_text("def same(x):\n    return x\n")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    yield path
    sys.modules.pop("helper", None)


def explored(script, tmp_path, name=""):
    page = tmp_path / "page.json"
    assert main(["explore", f"{script}{name}", "-o", str(page)]) == 0
    return json.loads(page.read_text())


def test_a_variable_with_the_lines_that_made_it(script, tmp_path, capsys):
    data = explored(script, tmp_path, ":y")
    assert data["title"] == "Graph of y"
    assert data["nodes"]["name"] == ["w", "y"]
    assert data["nodes"]["gradient"] == [2.0, 1.0]
    assert data["lines"][data["nodes"]["line"][1]]["line"] == 6
    assert data["files"][0]["name"] == "script.py"
    assert "page.json: <Explorer of 2 nodes" in capsys.readouterr().out
    assert explored(script, tmp_path)["title"] == "Graph of y"


def test_a_function_is_called(script, tmp_path):
    before = list(sys.argv), list(sys.path)
    data = explored(script, tmp_path, ":cube")
    assert data["nodes"]["data"][-1] == 27.0
    assert data["nodes"]["gradient"][-1] == 1.0
    assert (sys.argv, sys.path) == before


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (":none", "chainrule explore: error: script.py has no variable 'none'; its Values are: w, y\n"),
        (
            ":double",
            "chainrule explore: error: double in script.py cannot be called without arguments (missing a "
            "required argument: 'x'); name a Value, or a function that needs none\n",
        ),
        (":arguments", "chainrule explore: error: element 0 of value is str, expected a Value\n"),
    ],
)
def test_what_is_not_there_is_named_in_one_line(script, tmp_path, capsys, name, error):
    assert main(["explore", f"{script}{name}", "-o", str(tmp_path / "x.html")]) == 1
    assert capsys.readouterr().err == error
    assert not (tmp_path / "x.html").exists()


def test_arguments_that_make_no_sense_end_it(script, tmp_path, capsys):
    for arguments in (["explore", str(tmp_path / "no.py")], ["explore", str(script), "-o", "page.pdf"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1
