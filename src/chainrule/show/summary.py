"""Numbers, arrays and names as short text.

A picture has room for a dozen characters where an array has a million entries, and the names in
it are whatever somebody's program came up with. Everything that is shown goes through here.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np

__all__ = ["array", "constant", "number", "printable", "shorten", "spread", "statistics", "width"]

ENTRIES = 6  # an array of up to this many entries is written out whole
COLUMNS = 38  # if it does not take more than these
_FIRST = 3  # of a larger one only so many
_DIGITS = 4  # in arrays


def number(x: Any, digits: int = 5) -> str:
    """Write a number with five significant digits.

    A number that only rounds to an integer keeps its decimals, so that 1 is always exactly 1.

    Examples
    --------
    >>> number(26.0), number(0.70710678), number(1 - 1e-9), number(-1.25e-9)
    ('26', '0.70711', '1.0000', '-1.25e-09')
    >>> number(float("inf")), number(1 - 2j), number(2j), number(True)
    ('inf', '1-2j', '2j', 'True')
    """
    if isinstance(x, bool | np.bool_):
        return str(bool(x))
    if isinstance(x, complex | np.complexfloating):
        imaginary = number(x.imag, digits)
        if x.real == 0:
            return f"{imaginary}j"
        return f"{number(x.real, digits)}{'' if imaginary[0] == '-' else '+'}{imaginary}j"
    try:
        x = float(x)
    except OverflowError:  # a Python integer beyond the range of floats
        return shorten(str(x), 24)
    size = abs(x)
    if not np.isfinite(x):
        return str(x)
    if x.is_integer() and size < 1e6:
        return "-0" if x == 0 and np.signbit(x) else str(int(x))
    if 1e-3 <= size < 10**digits:
        text = f"{x:.{digits}g}"
        if "e" not in text:  # which it has where it rounds up to the next power of ten
            return text if "." in text else f"{x:.{digits - 1 if size < 10 ** (digits - 1) else 1}f}"
    mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"


def array(x: Any) -> str:
    """Write a number, or an array whole if it is small, by its first entries otherwise.

    Examples
    --------
    >>> array(3.0)
    '3'
    >>> array(np.array([[1.0, 2.0], [3.0, 4.0]]))
    '[[1 2] [3 4]]'
    >>> array(np.zeros((10, 10)))
    '[[0 0 0 … ]]'
    """
    x = np.asarray(x)
    if x.ndim == 0:
        return number(x[()]) if x.dtype.kind != "O" else str(x[()])  # the node of a loop has several results
    whole = _whole(x)
    if whole is not None:
        return whole
    first = " ".join(number(e, _DIGITS) for e in x.flat[:_FIRST])
    return f"{'[' * x.ndim}{first} … {']' * x.ndim}"


def _whole(x: np.ndarray[Any, Any]) -> str | None:
    """All entries, if they make a short text."""
    if x.size > ENTRIES:
        return None
    text = _nested(x.tolist())
    return text if len(text) <= COLUMNS else None


def _nested(x: Any) -> str:
    return f"[{' '.join(map(_nested, x))}]" if isinstance(x, list) else number(x, _DIGITS)


def statistics(x: Any) -> str:
    """Mean and range of an array too large to be written out; empty for a small one.

    Examples
    --------
    >>> statistics(np.arange(10.0)), statistics(np.ones(3))
    ('mean 4.5, 0 to 9', '')
    >>> statistics(np.array([np.nan, np.inf, 1, 2, 3, 4, 5, 6, 7]))
    'mean 4, 1 to 7, 1 nan, 1 inf'
    """
    x = np.asarray(x)
    if x.dtype.kind not in "fciub" or x.ndim == 0 or _whole(x) is not None:
        return ""
    if x.dtype.kind == "b":
        return f"{np.count_nonzero(x)} of {x.size} true"
    finite, counts = _finite(x)
    parts = []
    if finite.size:
        with np.errstate(all="ignore"):
            mean = finite.mean(dtype=np.float64)
        low, high = finite.min(), finite.max()
        what = "mean size" if x.dtype.kind == "c" else "mean"
        parts = [f"{what} {number(mean, _DIGITS)}", _range(low, high)] if low != high else [_range(low, high)]
    return ", ".join(parts + counts)


def spread(x: Any) -> str:
    """Write a number or a short array whole, a larger one as its range: for where there is little room.

    Examples
    --------
    >>> spread(2.0), spread(np.array([1.0, 2.0])), spread(np.linspace(0, 1, 50))
    ('2', '[1 2]', '0 to 1')
    """
    x = np.asarray(x)
    text = array(x)
    if x.ndim == 0 or (len(text) <= 24 and _whole(x) is not None):
        return text
    finite, counts = _finite(x)
    return ", ".join(([_range(finite.min(), finite.max())] if finite.size else []) + counts)


def _finite(x: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], list[str]]:
    """The finite entries (complex ones by size), and words for the others."""
    if x.dtype.kind not in "fc":
        return x, []
    ok = np.isfinite(x)
    counts = []
    if not ok.all():
        nans = int(np.isnan(x).sum())
        infinite = x.size - int(ok.sum()) - nans
        counts = [f"{n} {what}" for n, what in ((nans, "nan"), (infinite, "inf")) if n]
        x = x[ok]
    return np.abs(x) if x.dtype.kind == "c" else x, counts


def _range(low: Any, high: Any) -> str:
    if low == high:
        return f"all {number(low, _DIGITS)}"
    return f"{number(low, _DIGITS)} to {number(high, _DIGITS)}"


def constant(x: Any) -> str:
    """Write an operand that is not a Value: a number, an array, or anything else briefly.

    Examples
    --------
    >>> constant(2.5), constant(np.array([1, 2])), constant((slice(None), None))
    ('2.5', '[1 2]', '(slice(None, None, None), None)')
    """
    if isinstance(x, bool | int | float | complex | np.number | np.bool_):
        return number(x)
    if isinstance(x, np.ndarray) and x.dtype.kind in "fciub":
        return array(x)
    return shorten(repr(x), 40)


def printable(text: str) -> str:
    r"""Replace characters that do not show, or that reorder or break the text around them.

    Control and format characters, line separators, lone surrogates and private use: XML forbids
    some of them, terminals obey others.

    Examples
    --------
    >>> printable("a\u2028b\x1b[0m")
    'a\\u2028b\\x1b[0m'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(c) for c in text)


def _visible(c: str) -> str:
    if c == " " or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}:
        return c
    code = ord(c)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def shorten(text: str, limit: int) -> str:
    """Cut a text to at most ``limit`` columns, with an ellipsis for what is gone.

    Examples
    --------
    >>> shorten("a rather long name", 10)
    'a rather…'
    """
    if len(text) <= limit // 2 or width(text) <= limit:
        return text
    used = 0
    for i, c in enumerate(text):
        used += _columns(c)
        if used > limit - 1:
            return text[:i].rstrip("… ") + "…"
    return text


def width(text: str) -> int:
    """Count the columns of a text set in a monospaced font; wide characters take two.

    Examples
    --------
    >>> width("w1"), width("重み")
    (2, 4)
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(c: str) -> int:
    if c.isascii():
        return 1
    return 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
