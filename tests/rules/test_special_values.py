"""The special grid: fifteen special numbers for each operand, every pair of them for two operands.

What a derivative is there is not looked up but computed: the limit of the exact derivative where the special
numbers are approached (zero through numbers of its sign, infinity through larger ones), from three directions
for two operands. Where these agree, there is a limit, and both modes give it, on arrays and on Python's
numbers, eager and compiled. Where there is none, `CONVENTIONS` says what holds, family by family, and why.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
from mpmath import mpf

import chainrule as cr
from chainrule.rules import special
from tests.rules.test_accuracy import BINARY, SELU, UNARY, Row

inf, nan = np.inf, np.nan
GRID = [nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 3e-308, -1e-200, 1e200, 1e308, 0.5, -0.5, 2.5, -3.0]
ONE, TWO = np.array(GRID), np.array(list(itertools.product(GRID, GRID))).T

# -------------------------------------------------------------------- the limit

NEAR, FAR = 1000, 3000  # powers of ten beyond the range of floats, to see a function grow or vanish


def approached(x: float, power: int) -> Any:
    if x == 0:
        return mp.sign(mpf(np.copysign(1, x))) * mpf(10) ** -power
    return mp.sign(x) * mpf(10) ** power if np.isinf(x) else mpf(x)


def limit(f: Callable[..., Any], point: tuple[float, ...], powers: tuple[int, ...]) -> float:
    """What ``f`` tends to along one path; nan where it wavers or is not real."""
    try:
        near, far = (
            f(*[approached(x, p * scale) for x, p in zip(point, powers, strict=True)])
            for scale in (NEAR, FAR)
        )
    except (ZeroDivisionError, ValueError, mp.libmp.ComplexResult):
        return nan
    if any(isinstance(y, mp.mpc) or mp.isnan(y) for y in (near, far)):
        return nan
    near, far = mpf(near), mpf(far)
    if abs(far) > 2.5 * abs(near) and abs(near) > 100:
        return float(mp.sign(far)) * inf
    if abs(near) > 2.5 * abs(far) and abs(near) < 1e-100:
        return 0.0
    return float(far) if mp.almosteq(near, far, 1e-12) else nan


def limits(f: Callable[..., Any], point: tuple[float, ...]) -> set[str]:
    """The limits from three directions, as text: nan is equal to itself there."""
    paths = [(1,)] if len(point) == 1 else [(1, 1), (1, 3), (3, 1)]
    with mp.workdps(40):
        return {repr(limit(f, point, path) + 0.0) for path in paths}


def real_power(x: Any, y: Any) -> Any:
    if x < 0 and (abs(y) > 1e6 or y != mp.floor(y)):
        raise ValueError("not real, or neither even nor odd")
    return x ** int(y) if x < 0 else mp.exp(y * mp.log(x))


POWER = (lambda x, y: y * real_power(x, y - 1), lambda x, y: real_power(x, y) * mp.log(x))
# What the closed forms of test_accuracy.py do not reach, or not quickly.
OTHERS = {
    "sinc": (
        lambda x: -mp.pi**2 * x / 3 if abs(x) < 1e-99 else mp.cospi(x) / x - mp.sinpi(x) / (mp.pi * x**2),
    ),
    "i0": (lambda x: mp.besseli(1, x) if abs(x) < 1e4 else mp.sign(x) * mp.exp(abs(x)),),
    "power": POWER, "float_power": POWER,
}
ROWS = [
    row._replace(exact=OTHERS.get(row.name, row.exact))
    for row in UNARY + BINARY
    if row.name not in ("sinc of halves", "i0'")
]

# -------------------------------------------------------------------- where there is none

Point = tuple[float, ...]


class Convention(NamedTuple):
    """The derivative in operand ``i`` at ``p``, where the value is z, if ``holds(p, z)``."""

    names: str
    holds: Callable[[Point, float], Any]
    wanted: Callable[[int, Point, float], float]
    reason: str


def ieee_power(i: int, p: Point, z: float) -> float:
    x, y = map(np.float64, p)
    return float(y * np.power(x, y - 1) if i == 0 else z * np.log(x))


def whose(i: int, p: Point, z: float) -> float:
    return float(p[i] == z or (p[i] != p[i] and z != z))


CONVENTIONS = [
    Convention("*", lambda p, z: np.isnan(z), lambda i, p, z: nan,
               "outside the domain: there is no function"),
    # kinks
    Convention("relu absolute", lambda p, z: p[0] == 0, lambda i, p, z: 0.0, "subgradient of smallest norm"),
    Convention("leaky_relu", lambda p, z: p[0] == 0, lambda i, p, z: 0.1, "the same: the smaller slope"),
    Convention("elu", lambda p, z: p[0] == 0, lambda i, p, z: 1.5, "the side to which 0 belongs"),
    Convention("selu", lambda p, z: p[0] == 0, lambda i, p, z: float(SELU[0] * SELU[1]), "the same side"),
    Convention("copysign", lambda p, z: p[0] == 0, lambda i, p, z: 0.0, "a kink of |x|: the smallest norm"),
    Convention("copysign", lambda p, z: np.isnan(p[1]),
               lambda i, p, z: 0.0 if i else float(np.sign(p[0]) * np.copysign(1, p[1])), "nan has a sign"),
    # selection
    Convention("maximum minimum fmax fmin", lambda p, z: p[0] == p[1] or np.isnan(p).all(),
               lambda i, p, z: 0.5, "ties share evenly"),
    Convention("maximum minimum fmax fmin", lambda p, z: np.isnan(p).any(), whose, "all to what was picked"),
    Convention("nan_to_num", lambda p, z: not np.isfinite(p[0]), lambda i, p, z: 0.0,
               "replaced: a dead lane"),
    Convention("heaviside", lambda p, z: p[0] == 0, lambda i, p, z: float(i),
               "at 0 it is its second operand"),
    # ends of the domain: the limit from inside
    Convention("log1p arccosh logit arcsin arctanh", lambda p, z: abs(p[0]) == 1, lambda i, p, z: inf,
               "limit from inside"),
    Convention("arccos", lambda p, z: abs(p[0]) == 1, lambda i, p, z: -inf, "limit from inside"),
    Convention("sqrt", lambda p, z: p[0] == 0, lambda i, p, z: float(np.copysign(inf, z)),
               "±0 is the side: 1/±0"),
    Convention("xlogy", lambda p, z: p[1] == 0, lambda i, p, z: (-inf, 0.0)[i], "log 0, and 0·log 0 = 0"),
    Convention("xlog1py", lambda p, z: p[1] == -1,
               lambda i, p, z: float(np.sign(p[0]) * inf) if p[0] else 0.0, "limit; and 0·log 0 = 0"),
    Convention("xlogy xlog1py divide", lambda p, z: np.isinf(p).all(), lambda i, p, z: nan,
               "∞/∞ has no limit"),
    # no direction, or all of them
    Convention("hypot arctan2", lambda p, z: p == (0, 0), lambda i, p, z: 0.0, "no direction: smallest norm"),
    Convention("hypot", lambda p, z: np.isinf(p).all(), lambda i, p, z: nan, "∞/∞ has no limit"),
    Convention("arctan2", lambda p, z: np.isinf(p).any(), lambda i, p, z: 0.0, "of an infinite radius"),
    Convention("logaddexp logaddexp2", lambda p, z: p[0] == p[1], lambda i, p, z: 0.5, "ties share evenly"),
    # jumps
    Convention("remainder fmod", lambda p, z: p[0] == 0, lambda i, p, z: 1.0 - i,
               "at a jump: the value's piece"),
    Convention("remainder", lambda p, z: np.isinf(p[1]), lambda i, p, z: (1.0, nan)[i],
               "a modulus that is infinite is the value: a jump of any height"),
    # powers
    Convention("power float_power", lambda p, z: p == (0, 0), lambda i, p, z: 0.0, "0⁰ = 1 along both axes"),
    Convention("power float_power", lambda p, z: p[0] == 0 and p[1] >= 0,
               lambda i, p, z: 0.0 if i else ieee_power(i, p, z), "0^y is constant for y > 0"),
    Convention("power float_power", lambda p, z: p[0] <= 0 or not np.isfinite(p).all(), ieee_power,
               "y x^(y-1) and z log x as written: beside 0 it is not real, of infinities it has no limit"),
]  # fmt: skip
USED: set[int] = set()


def columns(row: Row) -> tuple[Any, ...]:
    return (ONE,) if len(row.points) == 1 else tuple(TWO)


def one(like: Any) -> Any:
    return 1.0 if type(like) is float else np.ones_like(like)


def derivatives(row: Row, at: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """By reverse and by forward mode in each operand."""
    y, pull = cr.vjp(row.f, *at)
    along = [
        cr.jvp(lambda v, i=i: row.f(*at[:i], v, *at[i + 1 :]), (x,), (one(x),))[1]
        for i, x in enumerate(at)
    ]
    return list(zip(pull(one(y)), along, strict=True))


def equal(got: float, want: float) -> bool:
    return bool(np.isclose(got, want, rtol=1e-13, atol=1e-307, equal_nan=True))


def unexplained(row: Row, i: int, p: Point, z: float, got: float) -> str | None:
    """What is wrong, if neither the limit nor a convention gives this number."""
    found = limits(row.exact[i], p)
    if len(found) == 1 and equal(got, float(next(iter(found)))):
        return None
    for k, c in enumerate(CONVENTIONS):
        of_it = c.names == "*" or row.name in c.names.split()
        if of_it and c.holds(p, z) and equal(got, c.wanted(i, p, z)):
            USED.add(k)
            return None
    return f"{row.name}: ∂{i} at {p}: got {got}, limits {', '.join(sorted(found))}, the value is {z}"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_limit_or_the_convention_in_both_modes(row: Row) -> None:
    at, wrong = columns(row), []
    with np.errstate(all="ignore"):
        values = row.f(*at)
        for i, (reverse, forward) in enumerate(derivatives(row, at)):
            np.testing.assert_array_equal(reverse, forward, err_msg=f"{row.name}: ∂{i}")
            for k, p in enumerate(zip(*at, strict=True)):
                said = unexplained(row, i, tuple(map(float, p)), float(values[k]), float(reverse[k]))
                wrong += [said] if said else []
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_numbers_as_arrays(row: Row) -> None:
    at = columns(row)
    with np.errstate(all="ignore"):
        arrays = derivatives(row, at)
        for k, p in enumerate(zip(*at, strict=True)):
            for wide, narrow in zip(arrays, derivatives(row, tuple(map(float, p))), strict=True):
                for a, b in zip(wide, narrow, strict=True):
                    np.testing.assert_allclose(b, a[k], rtol=1e-14, atol=1e-307, err_msg=f"{row.name} at {p}")


@pytest.mark.parametrize("operands", [1, 2])
def test_compiled_as_eager(operands: int) -> None:
    rows = [row for row in ROWS if len(row.points) == operands]

    def run(*at: Any) -> Any:
        return [derivatives(row, at) for row in rows]

    at = columns(rows[0])
    with np.errstate(all="ignore"):
        got, want = cr.compile(run)(*at), run(*at)
    for row, a, b in zip(rows, got, want, strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-13, atol=1e-307, err_msg=row.name)


def test_every_convention_is_needed() -> None:
    """Without the tests before it, this one tries all points itself."""
    if len(USED) < len(CONVENTIONS):
        for row in ROWS:
            test_the_limit_or_the_convention_in_both_modes(row)
    assert [c for k, c in enumerate(CONVENTIONS) if k not in USED] == []


# -------------------------------------------------------------------- SciPy's universal functions

# in whose parameters there is no derivative
ORDERS = (
    "jv yv iv kv yn kn ive kve jve yve expn eval_legendre eval_chebyt eval_chebyu eval_laguerre eval_hermite "
    "eval_hermitenorm eval_gegenbauer eval_genlaguerre"
).split()
WHOLE = "yn kn expn eval_legendre eval_chebyt eval_chebyu eval_laguerre eval_hermite eval_hermitenorm".split()
# complex; and those of which SciPy's own values never end or stop the process at points of the grid
ELSEWHERE = "wofz loggamma hankel1 hankel2 hyp0f1 hyp1f1 hyp2f1".split()
SCIPYS = [
    f
    for f in special.CALLS
    if not f.__name__.startswith("_") and f.__name__ not in ELSEWHERE and f.nin <= 3 and f.nout == 1
]
# One operand: where the function is finite, or infinite at a finite point, and its derivative is nan.
NO_LIMIT = {
    "rgamma": {-inf: "it wavers, ever higher"},
    "gammaln": {-1.0: "a pole from both sides", -3.0: "a pole from both sides"},
    "entr": dict.fromkeys([-1.0, -1e-200, -0.5, -3.0], "outside the domain, where SciPy has -inf"),
    "i1": dict.fromkeys([3e-308, 1e308], "SciPy's I₂ is nan there"),
    "k0e": {3e-308: "SciPy's scaled K₁ overflows there on the way"},
    "k1e": {3e-308: "SciPy's scaled K₂ overflows there on the way"},
}


def scipys_points(f: Any) -> list[Any]:
    if f.__name__ in WHOLE:
        return [np.repeat([0, 1, 4], len(ONE)), np.tile(ONE, 3)]
    grid = GRID if f.nin < 3 else [nan, inf, 0.0, 1.0, -1.0, 0.5, 2.5, 1e-200, 1e200]
    return list(np.array(list(itertools.product(grid, repeat=f.nin))).T)


def scipys_derivatives(f: Any, at: list[Any]) -> dict[int, tuple[Any, Any]]:
    out = {}
    for i in range(f.nin - 1 if f.__name__ in ORDERS else 0, f.nin):
        one_operand = lambda v, i=i: f(*at[:i], v, *at[i + 1 :])
        y, pull = cr.vjp(one_operand, at[i])
        (reverse,) = pull(np.ones_like(y))
        out[i] = reverse, cr.jvp(one_operand, (at[i],), (np.ones_like(at[i]),))[1]
    return out


@pytest.mark.parametrize("f", SCIPYS, ids=lambda f: f.__name__)
def test_both_modes_of_scipys_functions(f: Any) -> None:
    """Equal at every point; of one operand nan only where there is no limit, each with its reason."""
    at = scipys_points(f)
    with np.errstate(all="ignore"):
        values, found = f(*at), scipys_derivatives(f, at)
    for i, (reverse, forward) in found.items():
        np.testing.assert_array_equal(reverse, forward, err_msg=f"∂{i}")
    if f.nin == 1:
        lost = np.isnan(reverse) & (np.isfinite(values) | np.isinf(values) & np.isfinite(ONE))
        assert set(ONE[lost]) == set(NO_LIMIT.get(f.__name__, {}))


def test_scipys_functions_compiled() -> None:
    at = {f.__name__: scipys_points(f) for f in SCIPYS}

    def run(at: Any) -> Any:
        return {f.__name__: scipys_derivatives(f, at[f.__name__]) for f in SCIPYS}

    with np.errstate(all="ignore"):
        got, want = cr.compile(run)(at), run(at)
    # 1 - 2x D(x) has no digits of its own far out; ψ of the largest numbers overflows one way or the other
    dawson, binomial = got["dawsn"][0], want["binom"][1]
    np.testing.assert_allclose(dawson, want["dawsn"][0], atol=np.finfo(float).eps)
    most = (at["binom"][0] == 1e308) & (at["binom"][1] == 1e308)
    for part in (*got["binom"][1], *binomial):
        part[most] = nan
    for name in want.keys() - {"dawsn"}:
        for i in want[name]:
            np.testing.assert_allclose(
                got[name][i], want[name][i], rtol=1e-12, atol=1e-300, err_msg=f"{name}: ∂{i}"
            )
