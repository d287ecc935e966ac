"""CSV files: numbers, classes, and a line number for everything that is neither."""

import csv

import numpy as np
import pytest

from chainrule.train import data


@pytest.fixture
def load(tmp_path):
    def load(text, **options):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return data.load_csv(path, **options)

    return load


def test_any_table_of_numbers_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4)) * 10.0 ** rng.integers(-300, 300, (50, 4))
    with open(tmp_path / "table.csv", "w", newline="") as file:
        csv.writer(file).writerows([["a", "b", "c, d", "e"], *X.tolist()])
    for target in None, "c, d", 2, -2:
        found = data.load_csv(str(tmp_path / "table.csv"), target=target)
        kept = [0, 1, 2, 3] if target is None else [0, 1, 3]
        np.testing.assert_array_equal(found.X, X[:, kept])
        assert found.columns == tuple(np.array(["a", "b", "c, d", "e"])[kept])
        assert (found.y is None) == (target is None)
        if target is not None:
            np.testing.assert_array_equal(found.y, X[:, 2])
            assert found.classes == ()


@pytest.mark.parametrize("text", [
    "x,kind\n1,b\n2,a\n\n3,b\n",
    "\ufeffx,kind\r\n1,b\r\n2,a\r\n3,b",
    ' x , kind \n 1 , b\n2.0,"a"\n"3",b\n',
])  # fmt: skip
def test_text_in_the_target_is_classes(text, load):
    found = load(text, target="kind")
    np.testing.assert_array_equal(found.X, [[1], [2], [3]])
    np.testing.assert_array_equal(found.y, [1, 0, 1])
    assert found.y.dtype == np.int64
    assert (found.columns, found.classes) == (("x",), ("a", "b"))


def test_no_header_other_delimiters_inf(load):
    found = load("1;2;-inf\n4;inf;-inf\n", header=False, delimiter=";")
    np.testing.assert_array_equal(found.X, [[1, 2, -np.inf], [4, np.inf, -np.inf]])
    assert found.columns == ("0", "1", "2")
    assert load("y\n1\n2\n", target="y").X.shape == (2, 0)


@pytest.mark.parametrize("field", ["", " ", "NA", "n/a", "NaN", "nan", "-nan", "null", "None", "?"])
def test_missing_values_are_named_or_filled(field, load):
    text = f'a,b\n1,2\n"3\n",4\n5,{field}\n'  # a field with a newline: the third sample is on the fifth line
    with pytest.raises(
        data.DataError, match=r"table.csv, line 5, column 'b': the value is missing .*missing=0.0"
    ):
        load(text)
    np.testing.assert_array_equal(load(text, missing=np.nan).X, [[1, 2], [3, 4], [5, np.nan]])
    np.testing.assert_array_equal(load(text, missing=-1).X, [[1, 2], [3, 4], [5, -1]])


@pytest.mark.parametrize(("text", "options", "match"), [
    ("a,b\n1,2\n3\n", {}, "line 3: has 1 fields; expected 2"),
    ("a,b\n1,2\n\n3,4,5\n", {}, "line 4: has 3 fields; expected 2"),
    ("a,b\n1,2\n3,x\n", {}, "line 3, column 'b': holds 'x'; expected a number"),
    ("a,b\n1,2\n3,x\n", {"target": "b"}, "line 3, column 'b': holds 'x', where other lines hold numbers"),
    ("a,b\n1,\n", {"target": "b"}, "line 2, column 'b': the target is missing"),
    ("1,2\n3,4\n", {}, "line 1: holds numbers where names of columns are expected.*header=False"),
    ("", {}, "holds no samples"),
    ("a,b\n", {}, "holds no samples"),
    ('a\n"1\n', {}, "line 2: unexpected end of data"),
    ('a\n"1"2\n', {}, "line 2: "),
    (b"a\n\xff\n", {}, "is not UTF-8 text"),
    (b"\x1f\x8b\x08\x00", {}, "is not UTF-8 text.*not compressed"),
])  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text, options, match, load):
    with pytest.raises(data.DataError, match=r"load_csv: .*table\.csv.*" + match):
        load(text, **options)


@pytest.mark.parametrize("target", ["c", "", 2, -3])
def test_a_target_that_is_not_there(target, load):
    with pytest.raises(ValueError, match="expected one of the columns 'a', 'b', or a number from -2 to 1"):
        load("a,b\n1,2\n", target=target)


def test_two_columns_of_one_name_are_no_target(load):
    with pytest.raises(ValueError, match="target is 'a'"):
        load("a,a\n1,2\n", target="a")
    np.testing.assert_array_equal(load("a,a\n1,2\n", target=-1).y, [2])


def test_a_missing_file_is_pythons_own_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        data.load_csv(tmp_path / "nothing.csv")
