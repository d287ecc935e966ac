"""Every function in every precision: NumPy's dtype, gradients that of their leaf, and its digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

import mpmath as mp
import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from tests.numpy import table
from tests.numpy.test_functions import DIFFERENTIATED, leaves

KINDS = [np.float16, np.float32, np.longdouble]
OF_REALS = {np.float16: np.complex64, np.float32: np.complex64, float: complex, np.longdouble: np.clongdouble}
# What NumPy carries out in double precision, whatever it is given.
IN_DOUBLE = ("dtype=float", "np.emath", "np.sinc(z)")
# SciPy has no loops of half precision and of longdouble; with a Python number among the operands these take
# doubles.
WIDER = ("special.xlogy(2.0, p)", "special.xlog1py(2.0, p)")
EPS = np.finfo(np.longdouble).eps


def cast(x: Any, kind: Any) -> Any:
    """A sample in another precision; Python numbers have none."""
    if not isinstance(x, np.ndarray | np.generic) or x.dtype.kind not in "fc":
        return x
    return x.astype(OF_REALS[kind] if np.iscomplexobj(x) else kind)


@contextmanager
def constants(*kinds: Any) -> Iterator[None]:
    """Those of the expressions in another precision: of several, one after the other."""
    drawn = table.USUAL[1]
    found = table.CONSTANTS | drawn
    for kind in kinds:
        found = {name: cast(x, kind) for name, x in found.items()}
    with mock.patch.dict(drawn, found):
        yield


def rows(name: str, kind: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """Expressions, functions and points, and what NumPy makes of them."""
    for expression in DIFFERENTIATED[name]:
        if kind is not np.float32 and ("scipy" in expression or expression.startswith(("S.", "T."))):
            continue
        f, double = table.function(expression)
        point = tuple(cast(x, kind) for x in double)
        try:
            yield expression, f, point, leaves(f(*point))
        except (TypeError, np.linalg.LinAlgError):
            continue  # NumPy has no loop for this precision


def check(name: str, kind: Any, differs: Any) -> None:
    wrong = []
    with np.errstate(all="ignore"):
        for expression, f, point, want in rows(name, kind):
            try:
                wrong += [f"{expression}: {said}" for said in differs(f, point, want)]
            except Exception as error:
                wrong.append(f"{expression}: {type(error).__name__}: {error}")
    assert not wrong, "\n" + "\n".join(wrong)


def derived(f: Any, point: Any) -> tuple[list[Any], list[Any]]:
    """Results and gradients, of a sum with weights, so that not all of it cancels."""
    values = tuple(map(Value, point))
    got = leaves(f(*values))
    total: Any = 0.0
    for y in got:
        if type(y) is Value:
            weights = np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype)
            total = total + (np.sum((y * weights).real) if y.shape else np.real(y))
    total.backward(np.ones_like(total.data))
    return [cr.data(y) for y in got], [v.grad for v in values]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
@pytest.mark.parametrize("name", DIFFERENTIATED, ids=str)
def test_dtypes(name: Any, kind: Any) -> None:
    def differs(f: Any, point: Any, want: Any) -> Iterator[str]:
        got, gradients = derived(f, point)
        for a, b in zip(got, want, strict=True):
            if not f.__name__.endswith(WIDER) and np.asarray(a).dtype != np.asarray(b).dtype:
                yield f"is {np.asarray(a).dtype}, expected {np.asarray(b).dtype}"
        for g, x in zip(gradients, point, strict=True):
            if np.asarray(g).dtype != np.asarray(x).dtype or np.shape(g) != np.shape(x):
                yield f"the gradient of {x!r} is {g!r}"

    check(name, kind, differs)


def largest(parts: list[Any]) -> Any:
    return max((np.max(np.abs(x), initial=0.0) for x in parts), default=0.0)


@pytest.mark.parametrize("kind", KINDS[:2], ids=lambda k: k.__name__)
@pytest.mark.parametrize("name", DIFFERENTIATED, ids=str)
def test_digits(name: Any, kind: Any) -> None:
    """Results and gradients beside those of the same numbers in double precision."""
    tolerance = 40 * np.finfo(kind).eps

    def differs(f: Any, point: Any, want: Any) -> Iterator[str]:
        if "polydiv" in f.__name__:
            return  # how long the remainder is hangs on rounding
        double = tuple(cast(x, float) for x in point)
        with constants(kind, float):
            wide = derived(f, double)
        for what, narrow, exact in zip(("result", "gradient"), derived(f, point), wide, strict=True):
            size = largest([*exact, *double])  # what is nothing but rounding, is so beside the operands
            for a, b in zip(narrow, exact, strict=True):
                off = largest([a - np.asarray(b)])
                if np.isfinite(size) and not off <= tolerance * size:
                    yield f"the {what} is {a}, of double precision {b}"

    with constants(kind):
        check(name, kind, differs)


def midpoints(n: int) -> list[tuple[Any, Any]]:
    """Gauss's points and weights in [0, 1], to all the digits of longdouble."""
    found = []
    with mp.workdps(40):
        for guess in np.polynomial.legendre.leggauss(n)[0]:
            x = mp.findroot(lambda t: mp.legendre(n, t), mp.mpf(float(guess)))
            slope = n * (x * mp.legendre(n, x) - mp.legendre(n - 1, x)) / (x * x - 1)
            pair = (x + 1) / 2, 1 / ((1 - x * x) * slope * slope)
            found.append(tuple(np.longdouble(mp.nstr(c, 30)) for c in pair))
    return found


POINTS = midpoints(14)


def off(f: Any, point: Any, step: Any, seed: int) -> Any:
    """How far the integral of the derivative along a short way is from the difference of its ends."""
    rng = np.random.default_rng(seed)
    turn = [np.exp(1j) if np.iscomplexobj(x) else 1.0 for x in point]
    way = [
        cast(np.asarray(rng.normal(size=np.shape(x)) * c), np.longdouble)
        for x, c in zip(point, turn, strict=True)
    ]

    def at(s: Any) -> Any:
        return tuple(np.asarray(x + s * t, x.dtype)[()] for x, t in zip(point, way, strict=True))

    def tracked(*values: Any) -> Any:
        return [y for y in leaves(f(*values)) if type(y) is Value]

    tangents = tuple(np.asarray(t)[()] for t in way)
    total: Any = 0.0
    for s, weight in POINTS:
        moved = cr.jvp(tracked, at(step * (1 + s)), tangents)[1]
        total = total + np.concatenate([np.ravel(y) for y in moved]) * weight * step
    ends = (tracked(*map(Value, at(k * step))) for k in (2, 1))
    high, low = (np.concatenate([np.ravel(y.data) for y in end]) for end in ends)
    return largest([high - low - total]) / (largest([high, total]) or 1)


@pytest.mark.skipif(EPS > 1e-18, reason="longdouble is double here")
@pytest.mark.parametrize("name", DIFFERENTIATED, ids=str)
def test_digits_of_longdouble(name: Any) -> None:
    """Results beside NumPy's, and derivatives by their integrals: double precision would be off by 1e-16."""

    def differs(f: Any, point: Any, want: Any) -> Iterator[str]:
        if any(type(x) is float for x in point) or any(np.asarray(x).dtype.char not in "gG" for x in want):
            return
        if any(name in f.__name__ for name in IN_DOUBLE):
            return
        got = [cr.data(y) for y in leaves(f(*map(Value, point)))]
        exact = "np.cov" in f.__name__  # where NumPy divides in double precision
        if any(np.size(x) for x in point) and not exact:
            for a, b in zip(got, want, strict=True):
                if not largest([a - b]) <= 30 * EPS * largest([b]):
                    yield f"is {a!r}, expected {b!r}"
        for step in map(np.longdouble, (0.1, 0.02)):
            found = []
            for seed in range(10):
                with suppress(ValueError):  # beyond what quantiles there are
                    found.append(off(f, point, step, seed))
                if found and found[-1] <= 20 * EPS:
                    return
            if any(x < 1e-12 for x in found):
                break
        yield f"the derivative is off by {[float(x) for x in found]}"  # not for the kinks on every way

    with constants(np.longdouble):
        check(name, np.longdouble, differs)


CONSTANTS: dict[str, tuple[Any, Any]] = {
    "log10": (np.log10, lambda x: 1 / (x * mp.log(10))),
    "log2": (np.log2, lambda x: 1 / (x * mp.log(2))),
    "exp2": (np.exp2, lambda x: 2**x * mp.log(2)),
    "deg2rad": (np.deg2rad, lambda x: mp.pi / 180),
    "rad2deg": (np.rad2deg, lambda x: 180 / mp.pi),
    "erf": (cr.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "third of": (lambda x: x / 3, lambda x: 1 / mp.mpf(3)),
}


@pytest.mark.skipif(EPS > 1e-18, reason="longdouble is double here")
@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_in_derivatives_of_longdouble(name: str) -> None:
    f, exact = CONSTANTS[name]
    x = np.linspace(0.1, 3, 40).astype(np.longdouble)
    got = cr.grad(lambda x: np.sum(f(x)))(x)
    with mp.workdps(40):
        want = [np.longdouble(mp.nstr(exact(mp.mpf(float(a))), 30)) for a in x]
    assert got.dtype == np.longdouble and np.max(np.abs(got / want - 1)) <= 16 * EPS
    single = cr.grad(lambda x: np.sum(f(x)))(x.astype(np.float32))
    assert single.dtype == np.float32
