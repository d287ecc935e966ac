"""Text as numbers and back, windows of it, and the texts that are found on a machine."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import train
from chainrule.train import data

ANY = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates too


@given(ANY)
def test_every_text_comes_back(text):
    found = data.Text(text)
    assert found.decode(found.codes) == text
    assert found.characters == "".join(sorted(set(text)))
    assert len(found) == len(text)
    assert found.codes.dtype == np.int64


@given(ANY, ANY)
def test_a_character_outside_the_vocabulary_is_named(text, other):
    found = data.Text(text)
    strange = [at for at, letter in enumerate(other) if letter not in text]
    if not strange:
        assert found.decode(found.encode(other)) == other
    else:
        with pytest.raises(ValueError, match=f"at position {strange[0]} is not among the {len(set(text))}"):
            found.encode(other)


def test_a_vocabulary_of_ones_own_keeps_its_order():
    text = data.Text("abba", characters="zba")
    assert text.codes.tolist() == [2, 1, 1, 2]
    assert text.decode([0]) == "z"
    with pytest.raises(ValueError, match="expected each of them once"):
        data.Text("a", characters="aa")


@pytest.mark.parametrize(("codes", "match"), [
    ([3], "from 3 to 3; expected 0 to 2"), ([-1], "from -1"),
    ([[0]], r"shape \(1, 1\)"), ([0.0], "dtype float64"),
])  # fmt: skip
def test_codes_that_are_none(codes, match):
    with pytest.raises(ValueError, match=match):
        data.Text("abc").decode(codes)


def test_windows_are_views_and_what_follows():
    text = data.Text("the quick brown fox")
    x, y = text.windows(5)
    assert x.shape == y.shape == (len(text) - 5, 5)
    assert np.shares_memory(x, text.codes)
    assert [text.decode(row) for row in x[:2]] == ["the q", "he qu"]
    assert [text.decode(row) for row in y[:2]] == ["he qu", "e qui"]
    x, y = text.windows(4, step=4)
    assert "".join(map(text.decode, x)) == "the quick brown "
    x, y = text.sample(7, 5, np.random.default_rng(0))
    assert x.shape == y.shape == (7, 5)
    assert all(text.decode(row) in "the quick brown fox" for row in x)
    assert (x[:, 1:] == y[:, :-1]).all()


def test_windows_in_batches_that_resume():
    text = data.python_topics()
    parts = train.batches(*text.windows(16, step=1000), batch_size=32, seed=0)
    x, y = next(iter(parts))
    assert x.shape == (32, 16)
    assert (x[:, 1:] == y[:, :-1]).all()


def test_split_keeps_one_vocabulary():
    text = data.Text("aaaaaaaaab")
    train_text, test_text = text.split(0.9)
    assert train_text.characters == test_text.characters == "ab"
    assert (len(train_text), len(test_text)) == (9, 1)
    assert test_text.codes.tolist() == [1]


@pytest.mark.parametrize(("call", "match"), [
    (lambda text: text.windows(3), "length is 3, the text has 3 characters; expected from 1 to 2"),
    (lambda text: text.windows(0), "length is 0"),
    (lambda text: text.windows(1, step=0), "step is 0"),
    (lambda text: text.sample(2, 3, np.random.default_rng(0)), "length is 3"),
    (lambda text: text.split(1.5), "share is 1.5"),
])  # fmt: skip
def test_what_a_text_cannot_give(call, match):
    with pytest.raises(ValueError, match=match):
        call(data.Text("abc"))


def test_files(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("\ufeffgrün\r\nlich\n".encode())
    text = data.load_text(str(path))
    assert text.decode(text.codes) == "grün\nlich\n"
    path.write_bytes("grün".encode("latin-1"))
    with pytest.raises(data.DataError, match=r"text: byte 2 is not utf-8.*encoding='latin-1'"):
        data.load_text(path)
    assert len(data.load_text(path, encoding="latin-1")) == 4
    path.write_bytes(b"")
    with pytest.raises(data.DataError, match="is empty"):
        data.load_text(path)
    with pytest.raises(FileNotFoundError, match="nothing"):
        data.load_text(tmp_path / "nothing")


def bible(tmp_path, monkeypatch, script):
    program = tmp_path / "bible"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def test_king_james_is_what_the_program_prints(tmp_path, monkeypatch):
    bible(tmp_path, monkeypatch, "[ \"$*\" = '-f Gen1:1-Rev22:21' ] || exit 1\n"
        "echo 'Ge1:1 In the beginning God'\nyes 'Ge1:2 And' | head -n 31101\n")  # fmt: skip
    text = data.king_james()
    assert text.decode(text.codes[:31]) == "In the beginning God\nAnd\nAnd\nAn"
    for script in "exit 3", "echo usage", "yes 'Ge1:1 And' | head -n 31102":
        bible(tmp_path, monkeypatch, script)
        with pytest.raises(data.DataError, match="expected 31102 verses"):
            data.king_james()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="apt install bible-kjv"):
        data.king_james()


def test_names_are_those_of_the_package(tmp_path, monkeypatch):
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "__init__.py").write_text("raise SystemExit('nobody imports it')")
    (tmp_path / "names" / "dist.male.first").write_text(
        "JAMES          3.318  3.318      1\nJOHN           3.271  6.589      2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "names", raising=False)
    assert data.names("male") == ["James", "John"]
    with pytest.raises(ImportError, match="pip install names"):
        data.names("female")
    with pytest.raises(ValueError, match="which is 'all'; expected one of 'female', 'male', 'last'"):
        data.names("all")


def test_names_as_pypi_has_them():
    assert [len(data.names(which)) for which in ("female", "male", "last")] == [4275, 1219, 88799]
