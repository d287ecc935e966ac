"""Text for models that read characters, and where to find some."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.train.data.damage import DataError

__all__ = ["Text", "king_james", "load_text", "names", "python_topics"]


class Text:
    """A text as numbers: each character is its index in ``characters``, the vocabulary.

    Parameters
    ----------
    text : str
        The text.
    characters : str, optional
        The vocabulary, without repetitions; by default the characters of the text in Unicode's order.

    Attributes
    ----------
    characters : str
        The vocabulary: ``len(text.characters)`` is how many classes a model has to tell apart.
    codes : ndarray
        The text, (N,), int64.

    Raises
    ------
    ValueError
        If a character of the text is not in characters, or one of those comes twice.

    Examples
    --------
    >>> from chainrule.train import data
    >>> text = data.Text("abracadabra")
    >>> text.characters, len(text)
    ('abcdr', 11)
    >>> text.encode("cab")
    array([2, 0, 1])
    >>> text.decode([2, 0, 1])
    'cab'
    >>> x, y = text.windows(4)
    >>> text.decode(x[0]), text.decode(y[0])
    ('abra', 'brac')
    """

    def __init__(self, text: str, characters: str | None = None) -> None:
        self.characters = "".join(sorted(set(text))) if characters is None else characters
        if len(set(self.characters)) != len(self.characters):
            raise ValueError(f"Text: characters are {characters!r}; expected each of them once")
        self._points = _points(self.characters)
        self._sorted = np.argsort(self._points)
        self.codes = self.encode(text)

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        start = self.decode(self.codes[:40])
        return f"Text({len(self):,} characters, {len(self.characters)} different: {start!r}...)"

    def encode(self, text: str) -> NDArray[np.int64]:
        """Return the indices of a text's characters; ValueError if one is not in the vocabulary."""
        points = _points(text)
        if not len(points):
            return np.empty(0, np.int64)
        known = self._points[self._sorted]
        place = np.searchsorted(known, points)
        unknown = np.append(known, 2**32 - 1)[place] != points  # no character has this number
        if unknown.any():
            at = int(np.argmax(unknown))
            raise ValueError(
                f"encode: the character {text[at]!r} at position {at} is not among the "
                f"{len(self.characters)} of the vocabulary; leave it out, or make the Text with characters= "
                "that has it"
            )
        return self._sorted[place].astype(np.int64)

    def decode(self, codes: ArrayLike) -> str:
        """Return the text that indices (N,) stand for; ValueError if one is not in the vocabulary."""
        found = np.asarray(codes)
        if found.size == 0:
            return ""
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise ValueError(
                f"decode: codes have shape {found.shape} and dtype {found.dtype}; expected integers of "
                "shape (N,): decode one sequence at a time"
            )
        if found.min() < 0 or found.max() >= len(self.characters):
            raise ValueError(
                f"decode: codes go from {found.min()} to {found.max()}; expected 0 to "
                f"{len(self.characters) - 1}"
            )
        points: bytes = self._points[found].tobytes()
        return points.decode("utf-32-le", errors="surrogatepass")

    def windows(self, length: int, step: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return every window of the text and what follows each of its characters, for `batches`.

        Both are (M, length), views of the text that take no room: ``y[i, t]`` is the character after ``x[i,
        t]``. Windows begin every ``step`` characters; ``step=length`` gives each character once.
        """
        self._check_length("windows", length)
        if step < 1:
            raise ValueError(f"windows: step is {step}; expected at least 1")
        whole = np.lib.stride_tricks.sliding_window_view(self.codes, length + 1)[::step]
        return whole[:, :-1], whole[:, 1:]

    def sample(
        self, count: int, length: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw windows at random, with replacement: x and y as in `windows`, each (count, length)."""
        x, y = self.windows(length)
        rows = rng.integers(len(x), size=count)
        return x[rows], y[rows]

    def split(self, share: float = 0.9) -> tuple[Text, Text]:
        """Cut the text in two, with one vocabulary: a share to learn from, the rest to be judged by."""
        if not 0 < share < 1:
            raise ValueError(f"split: share is {share}; expected a number between 0 and 1")
        at = round(share * len(self))
        text = self.decode(self.codes)
        return Text(text[:at], self.characters), Text(text[at:], self.characters)

    def _check_length(self, name: str, length: int) -> None:
        if not 1 <= length < len(self):
            raise ValueError(
                f"{name}: length is {length}, the text has {len(self)} characters; expected from 1 to "
                f"{max(len(self) - 1, 0)}, as a character follows each window"
            )


def load_text(path: str | os.PathLike[str], encoding: str = "utf-8") -> Text:
    """Read a file as a `Text`; a byte-order mark goes, all ends of lines become newlines.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If the file is empty or is not in this encoding; says at which byte.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from chainrule.train import data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "song.txt"
    ...     _ = path.write_text("la la la")
    ...     data.load_text(path)
    Text(8 characters, 3 different: 'la la la'...)
    """
    path = os.path.expanduser(os.fspath(path))
    try:
        text = pathlib.Path(path).read_text(encoding=encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(
            f"load_text: {path}: byte {error.start} is not {encoding} ({error.reason}); name the file's "
            "encoding: load_text(path, encoding='latin-1')"
        ) from error
    if not text:
        raise DataError(f"load_text: {path}: is empty; expected text")
    return Text(text)


def python_topics() -> Text:
    """Return the reference that comes with Python (what ``help("for")`` shows): 400,000 characters or more.

    It is there wherever Python is, and differs a little between its versions.

    Examples
    --------
    >>> from chainrule.train import data
    >>> len(data.python_topics()) > 100_000
    True
    """
    from pydoc_data.topics import topics

    return Text("\n\n".join(topics[name].strip() for name in sorted(topics)) + "\n")


def king_james() -> Text:
    """Return the Bible in the King James version, a verse a line, from Debian's package bible-kjv.

    4.1 million characters.  The package keeps the text compressed, so its program ``bible`` is asked for it.

    Raises
    ------
    FileNotFoundError
        If the program is not installed.
    DataError
        If it does not print the text.

    Examples
    --------
    >>> from chainrule.train import data
    >>> data.king_james()  # doctest: +SKIP
    Text(4,137,850 characters, 63 different: 'In the beginning God created the heaven '...)
    """
    program = shutil.which("bible")
    if program is None:
        raise FileNotFoundError(
            "king_james: there is no program 'bible'; on Debian and Ubuntu: apt install bible-kjv; or read "
            "a text of your own: load_text(path)"
        )
    # -f: not formatted, one verse a line, "Ge1:1 In the beginning ..."
    done = subprocess.run(
        [program, "-f", "Gen1:1-Rev22:21"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    verses = [line.partition(" ")[2] for line in done.stdout.decode("latin-1").splitlines()]
    if done.returncode or len(verses) < 31_102 or not verses[0].startswith("In the beginning"):
        raise DataError(
            f"king_james: {program} printed {len(verses)} lines and ended with status {done.returncode}; "
            "expected 31102 verses, from Genesis to Revelation; install bible-kjv and bible-kjv-text again"
        )
    return Text("\n".join(verses) + "\n")


def names(which: str = "female") -> list[str]:
    """Return names of people in the United States, the most frequent first, from the package `names` on PyPI.

    Parameters
    ----------
    which : {"female", "male", "last"}
        4,275 and 1,219 first names, 88,799 last names.

    Raises
    ------
    ImportError
        If the package is not installed.

    Examples
    --------
    >>> from chainrule.train import data
    >>> data.names("female")[:3]  # doctest: +SKIP
    ['Mary', 'Patricia', 'Linda']
    """
    files = {"female": "dist.female.first", "male": "dist.male.first", "last": "dist.all.last"}
    if which not in files:
        raise ValueError(f"names: which is {which!r}; expected one of {', '.join(map(repr, files))}")
    spec = importlib.util.find_spec("names")
    places: Iterable[Any] = (spec and spec.submodule_search_locations) or ()
    for place in places:
        path = pathlib.Path(place) / files[which]
        if path.exists():  # lines such as "MARY           2.629  2.629      1"
            return [line.split()[0].capitalize() for line in path.read_text(encoding="ascii").splitlines()]
    raise ImportError("names: the package names is not installed: pip install names")


def _points(text: str) -> NDArray[np.uint32]:
    """Return the numbers Unicode gives to a text's characters."""
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), "<u4")
