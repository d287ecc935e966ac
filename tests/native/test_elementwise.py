"""Special values through every elementwise operation, alone, in part of a vector, and in whole ones."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.native.operations import BINARY, UNARY
from tests.native.agree import agree

BITS = {"invert", "bitwise_and", "bitwise_or", "bitwise_xor"}  # of integers
# Of maximum(0.0, -0.0) NumPy gives the second, whatever the length; of fmax either, by where in the array
# they are. Elsewhere than on x86 its vectors differ.
EITHER_ZERO = {"fmax", "fmin"}
if platform.machine() not in ("x86_64", "AMD64"):
    EITHER_ZERO |= {"maximum", "minimum", "relu", "clip", "clip to -0"}
ROUNDED = set(
    "exp exp2 expm1 log log2 log10 log1p cbrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh "
    "arccosh arctanh power logaddexp logaddexp2 arctan2 hypot".split()
)

FUNCTIONS: dict[str, tuple[int, Any]] = {
    **{name: (1, getattr(np, name)) for name in UNARY.split() if name not in BITS},
    **{name: (2, getattr(np, name)) for name in BINARY.split() if name not in BITS},
    "relu": (1, lambda x: cr.relu(x)),
    "clip": (1, lambda x: np.clip(x, 0.0, 1.0)),
    "clip to -0": (1, lambda x: np.clip(x, -1.0, -0.0)),
    "clip from below": (1, lambda x: np.clip(x, 0.0, None)),
    "clip by arrays": (2, lambda x, y: np.clip(x, -1.0, y)),
    "clip from below by arrays": (2, lambda x, y: np.clip(x, y, None)),
    "where": (2, lambda x, y: np.where(x > y, x, y)),
    "x + 0": (1, lambda x: x + 0.0),
    "0 + x": (1, lambda x: 0.0 + x),
    "x - 0": (1, lambda x: x - 0.0),
    "x + -0": (1, lambda x: x + -0.0),
    "x * 0": (1, lambda x: x * 0.0),
    "0 - x": (1, lambda x: 0.0 - x),
    "-1 * x": (1, lambda x: -1.0 * x),
    "x ** 2": (1, lambda x: x**2),
    "x ** 3": (1, lambda x: x**3),
    "x ** -1": (1, lambda x: x**-1.0),
    "x ** 0.5": (1, lambda x: x**0.5),
    "x / 4": (1, lambda x: x / 4),
    "-(-x)": (1, lambda x: np.negative(-x)),
    "x - (-y)": (2, lambda x, y: x - (-y)),
    "x + (-y)": (2, lambda x, y: x + (-y)),
    "maximum of 0": (1, lambda x: np.maximum(0.0, x)),
    "minimum of 0": (1, lambda x: np.minimum(x, 0.0)),
}


def pairs(dtype: Any) -> tuple[Any, Any]:
    """Every pair of special values."""
    f = np.finfo(dtype)
    tiny, most = f.smallest_subnormal, f.max
    v = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, tiny, -tiny, f.tiny, most, -most], dtype)
    x, y = np.meshgrid(v, v)
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (17,), (64,)], ids=str)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_special_values(shape: tuple[int, ...], dtype: Any) -> None:
    """As NumPy has them: which are nan, infinities, and the signs of zeros; the rest up to rounding."""
    x, y = pairs(dtype)
    n = int(np.prod(shape))
    x, y = (np.resize(v, (-(-len(v) // n), *shape)) for v in (x, y))
    compiled = cr.compile(lambda x, y: {k: f(*(x, y)[:n]) for k, (n, f) in FUNCTIONS.items()})
    for a, b in zip(x, y, strict=True):
        a, b = np.array(a), np.array(b)
        got = compiled(a, b)
        for name, (count, f) in FUNCTIONS.items():
            zeros = name not in EITHER_ZERO
            want = f(*(a, b)[:count])
            agree(got[name], want, 4 if name in ROUNDED else 0, what=f"{name} of {a}, {b}", zeros=zeros)


@pytest.mark.parametrize("name", ["maximum", "minimum", "relu", "clip", "clip to -0"])
def test_signs_of_zeros_on_values(name: str) -> None:
    """A Value of a number has them as an array has, compiled or not."""
    count, f = FUNCTIONS[name]
    for x in (0.0, -0.0):
        for y in (0.0, -0.0):
            want = f(*(np.array([x]), np.array([y]))[:count])[0]
            if name in EITHER_ZERO:
                continue
            for g in (f, cr.compile(f)):
                found = g(*(cr.Value(x), cr.Value(y))[:count])
                assert np.signbit(found.data) == np.signbit(want), (x, y)
