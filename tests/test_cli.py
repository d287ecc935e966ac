"""The command line: the demo's folder, and one line for whatever is wrong."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chainrule import __version__, cli

for package in cli.NEEDED:
    pytest.importorskip(package)

from chainrule.demo import make  # noqa: E402
from chainrule.demo.folder import MANIFEST, whole_folder  # noqa: E402
from chainrule.demo.runs import RUNS  # noqa: E402


def run(*arguments):
    """Run in this process; return the exit status."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write a page of short runs on all data once for all tests that only read it."""
    folder = tmp_path_factory.mktemp("demo") / "page"
    assert run("demo", "--steps", 5, "--output", folder) == 0
    return folder


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.addresses, self.policy, self.scripts, self.film = set(), [], "", [], None
        self.tag = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tag = tag
        self.ids.add(attributes.get("id"))
        self.addresses += [attributes[key] for key in ("src", "href", "xlink:href") if key in attributes]
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]

    def handle_data(self, data):
        if self.tag == "script":
            self.scripts.append(data)
            self.tag = ""


def test_the_page_holds_every_part_and_needs_no_network(page):
    text = (page / "index.html").read_text(encoding="utf-8")
    parsed = Page(text)
    assert {"moons", "circle", "digits", "neuron"} <= parsed.ids
    assert "default-src 'none'" in parsed.policy
    for address in parsed.addresses:
        inside = address.startswith(("data:image/webp;base64,", "#"))
        assert inside or (page / address).is_file(), address[:80]
    assert "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"|<!DOCTYPE[^>]*>', "", text)
    assert "https://" not in text


def test_the_policy_allows_the_pages_own_script_only(page):
    import base64
    import hashlib

    parsed = Page((page / "index.html").read_text(encoding="utf-8"))
    (script,) = parsed.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in parsed.policy


def test_the_neuron_is_drawn_before_and_after_backward(page):
    text = (page / "index.html").read_text(encoding="utf-8")
    before, after = text[text.index('id="neuron"') :].split('<div class="graph">')[1:]
    for graph in (before, after):
        assert {"x1", "w1", "x2", "w2", "o1", "h", "out"} <= set(re.findall(r">(\w+)<", graph))
        assert "0.46212" in graph  # tanh(0.5)
    assert "0.62916" in after  # ∂out/∂x1 = 0.8 sech²(0.5)
    assert "0.62916" not in before


def test_the_folder_lists_its_files_and_results(page):
    manifest = json.loads((page / MANIFEST).read_text(encoding="utf-8"))
    assert sorted(manifest["files"]) == sorted(entry.name for entry in page.iterdir())
    assert {"moons.webp", "circle.webp", "index.html", "digits-curves.svg"} <= set(manifest["files"])
    assert set(manifest["results"]) == {"moons", "circle", "digits"}
    assert all(0 <= result["accuracy"] <= 1 for result in manifest["results"].values())
    assert not [entry for entry in page.parent.iterdir() if entry != page]  # nothing left beside it


def test_a_page_is_replaced_by_the_next_one_and_says_where_it_lies(page, tmp_path, capsys):
    target = tmp_path / "deep" / "page"
    assert run("demo", "--data", "moons", "--steps", 2, "--output", target) == 0
    shown = capsys.readouterr().out
    assert str(target / "index.html") in shown
    assert "accuracy: moons" in shown
    assert run("demo", "--data", "circle", "--steps", 1, "--lr", 0.01, "--seed", 3, "--output", target) == 0
    assert (target / "circle.webp").exists()
    assert not (target / "moons.webp").exists()
    assert "--data circle --seed 3 --steps 1 --lr 0.01" in (target / "index.html").read_text(encoding="utf-8")
    assert [entry.name for entry in target.parent.iterdir()] == ["page"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_trainings_reach_what_is_promised(seed):
    assert RUNS["moons"](None, None, seed).accuracy == 1.0
    assert RUNS["circle"](None, None, seed).accuracy > 0.95
    assert RUNS["digits"](None, None, seed).accuracy >= 0.96


def test_the_same_seed_gives_the_same_training():
    first, again, other = (RUNS["digits"](30, None, seed) for seed in (5, 5, 6))
    assert first.curves.last("loss") == again.curves.last("loss") != other.curves.last("loss")


@pytest.mark.parametrize(("arguments", "given", "expected"), [
    (["--data", "spirals"], "'spirals'", "moons, circle, digits"),
    (["--data"], "--data", "expected at least one argument"),
    (["--steps", "ten"], "'ten'", "a whole number, 1 or more"),
    (["--steps", "0"], "'0'", "a whole number, 1 or more"),
    (["--steps", "2.5"], "'2.5'", "a whole number, 1 or more"),
    (["--lr", "-1"], "'-1'", "a positive number"),
    (["--lr", "nan"], "'nan'", "a positive number"),
    (["--lr", "fast"], "'fast'", "a positive number"),
    (["--seed", "-1"], "'-1'", "a whole number, 0 or more"),
    (["--stepps", "3"], "--stepps", "unrecognized"),
])  # fmt: skip
def test_a_bad_value_is_one_line_with_status_2(arguments, given, expected, tmp_path, capsys):
    assert run("demo", "--output", tmp_path / "page", *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert given in shown.err
    assert expected in shown.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [[], ["dmo"]])
def test_without_a_command_that_exists_one_line_says_which_there_are(arguments, capsys):
    assert run(*arguments) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "demo" in shown


def test_a_folder_with_other_files_is_refused_before_the_work_and_untouched(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("precious")
    (tmp_path / "index.html").write_text("mine")
    assert run("demo", "--output", tmp_path) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "thesis.txt" in shown.err
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"thesis.txt": "precious", "index.html": "mine"}


def test_a_file_put_into_a_page_folder_protects_it(tmp_path, capsys):
    target = tmp_path / "page"
    with whole_folder(target, {}) as folder:
        (folder / "index.html").write_text("old")
    (target / "notes.txt").write_text("mine")
    assert run("demo", "--steps", 1, "--output", target) == 2
    assert "notes.txt" in capsys.readouterr().err
    assert (target / "index.html").read_text() == "old"


def test_a_folder_named_like_a_file_of_the_demo_protects_it_too(tmp_path):
    with whole_folder(tmp_path / "page", {}) as folder:
        (folder / "index.html").write_text("old")
    (tmp_path / "page" / "index.html").unlink()
    (tmp_path / "page" / "index.html").mkdir()
    assert run("demo", "--steps", 1, "--output", tmp_path / "page") == 2


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"files": 3}', '{"files": [1]}', '{"files": ["../x"]}'])
def test_a_damaged_manifest_makes_every_file_foreign(manifest, tmp_path):
    target = tmp_path / "page"
    target.mkdir()
    (target / MANIFEST).write_text(manifest)
    (target / "index.html").write_text("whose?")
    assert run("demo", "--steps", 1, "--output", target) == 2
    assert (target / "index.html").read_text() == "whose?"


def test_a_file_the_current_folder_and_an_impossible_path_are_named(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    assert run("demo", "--steps", 1, "--output", tmp_path / "file") == 2
    assert "this is a file" in capsys.readouterr().err
    assert run("demo", "--data", "moons", "--steps", 1, "--output", tmp_path / "file" / "page") == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run("demo", "--steps", 1, "--output", ".") == 2
    assert "the folder you are in" in capsys.readouterr().err


def test_an_empty_folder_and_a_link_to_one_are_used(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    with whole_folder(tmp_path / "link", {}) as folder:
        (folder / "index.html").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "empty" / "index.html").read_text() == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError(28, "No space left on device")])
def test_whatever_stops_the_writing_leaves_the_old_page_and_nothing_else(error, tmp_path):
    target = tmp_path / "page"
    with whole_folder(target, {}) as folder:
        (folder / "index.html").write_text("old")
    with pytest.raises(BaseException), whole_folder(target, {}) as folder:  # noqa: B017
        (folder / "index.html").write_text("half")
        raise error
    assert (target / "index.html").read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["page"]


def test_a_failing_rename_brings_the_old_page_back(tmp_path, monkeypatch):
    target = tmp_path / "page"
    with whole_folder(target, {}) as folder:
        (folder / "index.html").write_text("old")
    real = Path.rename

    def rename(self, to):
        if ".new-" in self.name:
            raise OSError(5, "Input/output error")
        return real(self, to)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(Exception, match="Input/output error"), whole_folder(target, {}) as folder:
        (folder / "index.html").write_text("new")
    assert (target / "index.html").read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["page"]


def test_an_interruption_is_one_line_and_status_130(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(RUNS, "moons", interrupted)
    assert run("demo", "--data", "moons", "--output", tmp_path / "page") == 130
    assert capsys.readouterr().err == "chainrule demo: interrupted; nothing was written\n"
    assert not list(tmp_path.iterdir())


def test_a_training_that_diverges_says_at_which_step_and_what_to_try(tmp_path, capsys):
    assert run("demo", "--data", "moons", "--lr", 1e200, "--output", tmp_path / "page") == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert re.search(r"moons: the loss is (inf|nan) at step \d+ of 100; .* try --lr", shown)
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named_with_the_extra_that_has_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(cli.NEEDED, "no_such_package", "no-such-package")
    assert run("demo", "--output", tmp_path / "page") == 1
    assert capsys.readouterr().err == (
        "chainrule demo: error: no-such-package not installed; run: pip install 'chainrule[demo]'\n"
    )


def test_help_and_version_need_the_core_alone():
    code = (
        "import sys; from chainrule.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: status = end.code\n"
        "heavy = {'matplotlib', 'sklearn', 'PIL', 'tqdm', 'scipy', 'wasmtime'} & set(sys.modules)\n"
        "assert not heavy and not status, (heavy, status)"
    )
    source = str(Path(cli.__file__).parents[1])
    for option, expected in (("--version", f"chainrule {__version__}\n"), ("--help", "usage: chainrule")):
        done = subprocess.run(
            [sys.executable, "-c", code, option],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": source},
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(expected)


def test_make_refuses_before_it_trains(tmp_path, monkeypatch):
    (tmp_path / "mine").write_text("")
    monkeypatch.setitem(RUNS, "moons", lambda *_: pytest.fail("trained"))
    with pytest.raises(Exception, match="did not write"):
        make.make(["moons"], None, None, 0, tmp_path)
