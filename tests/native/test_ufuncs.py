"""Integers, truth values and numbers: compiled as in NumPy, and as in Python, in values and dtypes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.native.agree import agree

MASKS = np.array([True, False, True]), np.array([True, True, False])
INTS = np.array([-7, -2, 1, 2, 7]), np.array([2, -3, 5, -1, -4])
BYTES = np.array([0, 1, 7, 200], np.uint8)
SHORT = INTS[0].astype(np.int8)
FLOATS = np.array([-1.5, 0.0, 2.5], np.float32)

# Of one number each, NumPy's and Python's
OPERANDS: dict[str, Any] = {
    "masks": MASKS[0],
    "ints": INTS[0],
    "int32": INTS[0].astype(np.int32),
    "int8": SHORT,
    "uint8": BYTES,
    "float32": FLOATS,
    "True": True,
    "int": -7,
    "float": 2.5,
    "np.int64": np.int64(3),
    "np.bool": np.True_,
}
PAIRS: dict[str, tuple[Any, Any]] = {
    "masks": MASKS,
    "ints": INTS,
    "ints and -2": (INTS[0], -2),
    "2 and ints": (2, INTS[1]),
    "int8": (SHORT, SHORT),
    "int8 and 3": (SHORT, 3),
    "int8 and float32": (SHORT[:3], FLOATS),
    "uint8 and 1": (BYTES, 1),
    "ints and 2.5": (INTS[0], 2.5),
    "ints and True": (INTS[0], True),
    "mask and int": (MASKS[0], 3),
    "mask and float": (MASKS[0], 1.5),
    "True, True": (True, True),
    "True, int": (True, 3),
    "-7, 2": (-7, 2),
    "7, True": (7, True),
    "-7.5, 2": (-7.5, 2),
    "np.int64": (np.int64(-7), np.int64(2)),
    "np.float64 and -3": (np.float64(2), -3),
}
UNARY: dict[str, Callable[[Any], Any]] = {
    "~": operator.invert,
    "-": operator.neg,
    "+": operator.pos,
    "abs": abs,
    "x & 1": lambda x: x & 1,
    "1 - x": lambda x: 1 - x,
    "x * 1.5": lambda x: x * 1.5,
    "x + True": lambda x: x + True,
    "x == 1": lambda x: x == 1,
    "x < 300": lambda x: x < 300,
    "x == -1": lambda x: x == -1,
    "x + 200": lambda x: x + 200,
    "x ** -1": lambda x: x**-1,
    "x << 1": lambda x: x << 1,
    "clip above": lambda x: np.clip(x, None, 1),
    "clip below": lambda x: np.clip(x, 0, None),
    "clip": lambda x: np.clip(x, 0.5, 1.5),
    "where": lambda x: np.where(x > 0, x, 0),
    "where of numbers": lambda x: np.where(x > 0, 1, 0),
    "sum along an axis": lambda x: np.sum(x, axis=0),
    "full_like": lambda x: np.full_like(x, 1),
    "dot": lambda x: np.dot(x, x),
    **{
        name: getattr(np, name)
        for name in (
            "sum mean prod max min any all var std cumsum sign sqrt exp square reciprocal floor ceil trunc "
            "rint round isnan isinf isfinite signbit logical_not conjugate deg2rad rad2deg nan_to_num "
            "zeros_like"
        ).split()
    },
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "divmod": divmod,
    "where": lambda x, y: np.where(x > y, x, y),
    **{
        name: getattr(operator, name)
        for name in "add sub mul truediv floordiv mod pow and_ or_ xor lshift rshift lt eq ne ge".split()
    },
    **{
        f"np.{name}": getattr(np, name)
        for name in "add multiply maximum minimum logical_and arctan2 hypot copysign fmod gcd".split()
    },
}


def check(f: Callable[..., Any], *args: Any) -> None:
    """The same, or both refuse."""
    with np.errstate(all="ignore"):
        try:
            want = f(*args)
        except (TypeError, ValueError, OverflowError):
            with pytest.raises((TypeError, ValueError, OverflowError)):
                cr.compile(f)(*args)
            return
    agree(cr.compile(f)(*args), want, rtol=1e-6 if np.asarray(want).dtype.itemsize < 8 else 1e-15)


@pytest.mark.parametrize("what", OPERANDS)
def test_of_one(what: str) -> None:
    for name, f in UNARY.items():
        if (name, what) == ("~", "True"):  # -2 in Python, which is deprecated; here not, as of a comparison
            continue
        check(f, OPERANDS[what])


@pytest.mark.parametrize("what", PAIRS)
def test_of_two(what: str) -> None:
    for f in BINARY.values():
        check(f, *PAIRS[what])
