"""Tables of numbers in CSV files."""

from __future__ import annotations

import array
import csv
import math
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.train.data.damage import DataError

__all__ = ["Table", "load_csv"]

_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


class Table(NamedTuple):
    """What `load_csv` returns: ``X``, ``y``, the names of X's columns, and of the classes in y."""

    X: NDArray[np.float64]
    y: NDArray[Any] | None
    columns: tuple[str, ...]
    classes: tuple[str, ...]


def load_csv(
    path: str | os.PathLike[str],
    *,
    target: str | int | None = None,
    header: bool = True,
    missing: float | None = None,
    delimiter: str = ",",
) -> Table:
    r"""Read a table of numbers: a row for each sample, a column for each feature and the target.

    The file is UTF-8; fields may be quoted, empty lines are passed over.

    Parameters
    ----------
    path : str or path-like
        The file.
    target : str or int, optional
        The column that is to be predicted: its name, or its number, with -1 for the last.  If it holds text,
        each different text is a class.
    header : bool
        Whether the first line holds names.  Without it columns are called "0", "1", ...
    missing : float, optional
        What to put where a feature is missing: an empty field, NA, nan, null, none or ?.  Without it such a
        field is an error.  A missing target always is.
    delimiter : str
        What stands between fields.

    Returns
    -------
    Table
        X (N, D), float64.  y (N,): float64, or for a target of text int64, an index into ``classes``, which
        are in the order of the alphabet; None without a target.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If a field is missing or is no number, or a row has another number of fields than the first; says the
        line.
    ValueError
        If there is no such target.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from chainrule.train import data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "flowers.csv"
    ...     _ = path.write_text("length,width,kind\n5.1,3.5,setosa\n7.0,3.2,versicolor\n4.9,3.0,setosa\n")
    ...     table = data.load_csv(path, target="kind")
    >>> table.X.shape, table.y, table.columns, table.classes
    ((3, 2), array([0, 1, 0]), ('length', 'width'), ('setosa', 'versicolor'))
    """
    path = os.path.expanduser(os.fspath(path))
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            return _table(f"load_csv: {path}", rows, target, header, missing)
        except UnicodeDecodeError as error:
            raise DataError(
                f"load_csv: {path}: is not UTF-8 text ({error.reason}); is this a CSV file, and not "
                "compressed?"
            ) from error
        except csv.Error as error:
            raise DataError(f"load_csv: {path}, line {rows.line_num}: {error}; mend the line") from error


def _table(name: str, rows: Any, target: str | int | None, header: bool, missing: float | None) -> Table:
    columns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # those of features
    lines: list[int] = []  # where each sample ends, for messages
    features = array.array("d")  # eight bytes a number, where a list takes forty
    texts: list[str] = []
    at: int | None = None
    for row in rows:
        if not row:
            continue
        if not columns:
            columns = tuple(field.strip() for field in row) if header else tuple(map(str, range(len(row))))
            if header and all(_is_number(field) for field in columns):
                raise DataError(
                    f"{name}, line {rows.line_num}: holds numbers where names of columns are expected; if "
                    "the file has no header: load_csv(path, header=False)"
                )
            at = _column(columns, target)
            names = tuple(column for k, column in enumerate(columns) if k != at)
            if header:
                continue
        if len(row) != len(columns):
            raise DataError(
                f"{name}, line {rows.line_num}: has {len(row)} fields; expected {len(columns)}, as in the "
                "first line"
            )
        lines.append(rows.line_num)
        if at is not None:
            texts.append(row.pop(at).strip())
        try:
            values = list(map(float, row))
        except ValueError:
            values = [math.nan]
        if math.isnan(sum(values)):  # text, or something missing, or inf - inf: look closer
            where = f"{name}, line {rows.line_num}, column"
            values = [_number(f"{where} {column!r}", field, missing) for column, field in zip(names, row)]
        features.extend(values)
    if not lines:
        raise DataError(f"{name}: holds no samples; expected at least one line of numbers")
    X = np.array(features, np.float64).reshape(len(lines), len(names))
    if at is None:
        return Table(X, None, names, ())
    y, classes = _targets(name, columns[at], texts, lines)
    return Table(X, y, names, classes)


def _column(columns: tuple[str, ...], target: str | int | None) -> int | None:
    if target is None:
        return None
    if isinstance(target, str):
        if columns.count(target) == 1:
            return columns.index(target)
    elif -len(columns) <= target < len(columns):
        return target % len(columns)
    raise ValueError(
        f"load_csv: target is {target!r}; expected one of the columns {', '.join(map(repr, columns))}, or a "
        f"number from {-len(columns)} to {len(columns) - 1}"
    )


def _targets(
    name: str, column: str, texts: list[str], lines: list[int]
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return numbers if all are, classes if none is; anything between is a mistake in the file."""
    numbers = [_is_number(text) for text in texts]
    for text, line in zip(texts, lines):
        if text.casefold() in _MISSING:
            raise DataError(
                f"{name}, line {line}, column {column!r}: the target is missing ({text!r}); fill it in or "
                "take the line out"
            )
    if all(numbers):
        return np.array([float(text) for text in texts]), ()
    if any(numbers):
        bad = numbers.index(False)
        raise DataError(
            f"{name}, line {lines[bad]}, column {column!r}: holds {texts[bad]!r}, where other lines hold "
            "numbers; expected numbers only, or text only (classes)"
        )
    classes, indices = np.unique(np.array(texts), return_inverse=True)
    return indices.astype(np.int64), tuple(classes.tolist())


def _number(where: str, field: str, missing: float | None) -> float:
    try:
        number = math.nan if field.strip().casefold() in _MISSING else float(field)
    except ValueError:
        raise DataError(
            f"{where}: holds {field!r}; expected a number (a column of text can only be the target)"
        ) from None
    if not math.isnan(number):
        return number
    if missing is None:
        raise DataError(
            f"{where}: the value is missing ({field!r}); fill it in, or say what to put there: "
            "load_csv(path, missing=0.0)"
        )
    return missing


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
