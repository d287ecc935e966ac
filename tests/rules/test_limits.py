"""Functions of SciPy at special and extreme numbers: their limits, by mpmath.

Where the exact derivative is defined, it is wanted. Elsewhere it is approached: zeros and infinities from
their side, poles from both, along several paths; where all agree, that is the limit. Where they do not, the
derivative along the operand's own axis counts if SciPy's function is continuous there, and nan is wanted if
there is none. Where SciPy's value is nan, the derivative is nan. `EXCEPTIONS` says where it is otherwise, and
why.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
from mpmath import mpf
from scipy import special as sp

import chainrule as cr
from chainrule.scipy import special
from tests import exact as ex

inf, nan = np.inf, np.nan
Point = tuple[float, ...]

# -------------------------------------------------------------------- limits

PATHS = {1: [(1,)], 2: [(1, 1), (1, 3), (3, 1)], 3: [(1, 1, 1), (1, 3, 2), (3, 1, 2)]}
FAR, BESIDE = (1000, 3000), (15, 33)  # powers of ten


def evaluated(f: Callable[..., Any], at: list[Any], infinite: bool = False) -> Any:
    try:
        y = f(*at)
    except (ZeroDivisionError, ValueError, TypeError, mp.libmp.ComplexResult):
        return mp.nan
    return mp.nan if isinstance(y, mp.mpc) or (mp.isinf(y) and not infinite) else y


def tends(near: Any, far: Any) -> float:
    if mp.isnan(near) or mp.isnan(far):
        return nan
    if abs(far) > 2.5 * abs(near) and abs(near) > 100:
        return float(mp.sign(far)) * inf
    if abs(near) > 2.5 * abs(far) and abs(near) < 1e-13:
        return 0.0
    return float(far) if mp.almosteq(near, far, 1e-12, mpf(10) ** -9000) else nan


def approached(x: float, power: int) -> Any:
    if x == 0:
        return int(np.copysign(1, x)) * mpf(10) ** -power
    return mp.sign(x) * mpf(10) ** power if np.isinf(x) else mpf(x)


def moved(x: float, power: int, sign: int) -> Any:
    return approached(x, 50 * power if np.isinf(x) else power) + (sign * mpf(10) ** -power if x else 0)


def limit(f: Callable[..., Any], p: Point, own: int, continuous: bool) -> float:
    """What ``f``, a derivative in operand ``own``, is or tends to at ``p``; nan if it depends on the path."""
    n = len(p)
    with mp.workdps(40):
        y = mp.nan if np.isinf(p).any() else evaluated(f, [mpf(x) for x in p], infinite=True)
        if not mp.isnan(y):
            return float(y)
        found = {
            tends(*[evaluated(f, [approached(x, q * e) for x, e in zip(p, path, strict=True)]) for q in FAR])
            for path in PATHS[n]
        }
    if not any(map(np.isnan, found)):
        return found.pop() if len(found) == 1 else nan
    with mp.workdps(130):
        found = {
            tends(*[
                evaluated(f, [moved(x, q * e, s) for x, e, s in zip(p, path, signs, strict=True)])
                for q in BESIDE
            ])
            for path in PATHS[n] for signs in itertools.product(*[(2 + k, -2 - k) for k in range(n)])
        }  # fmt: skip
        if len(found) > 1 and continuous:
            found = {
                tends(*[
                    evaluated(f, [mpf(x) + (k == own) * s * mpf(10) ** -q for k, x in enumerate(p)])
                    for q in BESIDE
                ])
                for s in (1, -1)
            }  # fmt: skip
    least, most = min(found), max(found)
    same = least == most or abs(least - most) < 1e-20 * (1 + abs(least))
    return least if same else nan


# -------------------------------------------------------------------- the table


class Row(NamedTuple):
    name: str
    f: Callable[..., Any]
    exact: tuple[Callable[..., Any] | None, ...]
    grids: tuple[list[float], ...]
    rtol: float = 1e-10

    def __str__(self) -> str:
        return self.name


GAMMA = [nan, inf, 0.0, -0.0, 1.0, -1.0, -1e-200, 1e200, 0.5, -0.5, 2.5, -3.0]
SHAPE = [nan, inf, -1.0, 0.0, 5e-324, 1e-10, 1e-3, 0.5, 1.0, 30.0, 1e10, 1e200]
BETA = [inf, -1.0, 0.0, 1e-10, 0.5, 1.0, 30.0, 1e200]
WHOLE_LINE = [nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 5e-324, 1e-10, 1e5, -1e200, 0.5, -3.0]
FREEDOM = [nan, inf, -1.0, 0.0, 0.1, 1.0, 30.0, 1e4, 1e10, 1e200]
RATIO = [nan, 0.0, 1.0, 5e-324, 1e-10, 1e200, 1e308, 0.5, 2.5]
FINITE = WHOLE_LINE[3:]
RISING = [nan, inf, 0.0, -0.0, 1.0, 5e-324, -5e-324, 1e-10, 1e5, 1e200, -1 / np.e, -0.2]
INSIDE = [nan, inf, 0.0, -0.0, 1.0, -1.0, 5e-324, 1 - 2**-53, 0.5, 1e-20, -0.5, 2.0, 1.5]
HALVES, ARGUMENTS = [0.0, 0.5, 1.0, 2.5], [1e-5, 0.5, 1.0, 5.0, 30.0]


def slope(bessel: Callable[..., Any]) -> tuple[None, Callable[..., Any]]:
    if bessel is mp.besselk:
        return None, lambda v, z: -(bessel(v - 1, z) + bessel(v + 1, z)) / 2
    return None, lambda v, z: bessel(v, z, derivative=1)


ROWS = [
    Row("beta", sp.beta, ex.BETA, (GAMMA, GAMMA)),
    Row("betaln", sp.betaln, ex.BETALN, (GAMMA, GAMMA)),
    Row("poch", sp.poch, ex.POCH, (GAMMA, GAMMA)),
    Row("binom", sp.binom, ex.BINOM, (GAMMA, GAMMA)),
    Row("gammainc", sp.gammainc, ex.GAMMAINC, (SHAPE, [*SHAPE, 2.5]), 1e-9),
    Row("gammaincc", sp.gammaincc, ex.GAMMAINCC, (SHAPE[:8], SHAPE[:8]), 1e-9),
    Row("betainc", sp.betainc, ex.BETAINC, (BETA, BETA, [nan, -0.5, 0.0, 1e-20, 0.3, 0.5, 1.0, 2.0]), 1e-9),
    Row("betaincc", sp.betaincc, ex.BETAINCC, (BETA[:5], BETA[:5], [0.0, 0.3, 1.0])),
    Row("stdtr", sp.stdtr, ex.STDTR, (FREEDOM, WHOLE_LINE), 1e-8),
    Row("rel_entr", sp.rel_entr, (lambda x, y: mp.log(x / y) + 1, lambda x, y: -x / y), (RATIO, RATIO)),
    Row("kl_div", sp.kl_div, (lambda x, y: mp.log(x / y), lambda x, y: 1 - x / y), (RATIO, RATIO)),
    Row("zeta", sp.zeta, (lambda s, q: mp.zeta(s, q, 1), lambda s, q: -s * mp.zeta(s + 1, q)),
        ([1.5, 2.0, 3.0, 30.0], [nan, inf, 0.0, 1e-200, 1e-10, 0.5, 1.0, 30.0, 1e10, 1e200, -0.5])),
    Row("lambertw", lambda x: np.real(sp.lambertw(x)), (ex.lambertw_slope,), (RISING,)),
    Row("lambertw of branch -1", lambda x: np.real(sp.lambertw(x, -1)), (lambda x: ex.lambertw_slope(x, -1),),
        ([nan, -0.3, -1e-10, -1e-300, 0.0],)),
    Row("ndtri", sp.ndtri, (ex.ndtri_slope,), (INSIDE,)),
    Row("erfinv", sp.erfinv, (ex.erfinv_slope,), (INSIDE,)),
    Row("erfcinv", sp.erfcinv, (lambda x: -ex.erfinv_slope(1 - x),), (INSIDE,)),
    Row("entr", sp.entr, (lambda x: -mp.log(x) - 1,), (WHOLE_LINE,)),
    Row("xlogy", sp.xlogy, (lambda x, y: mp.log(y), lambda x, y: x / y), (FINITE, WHOLE_LINE)),
    # (of 1 + y and 1 - x the size: their poles are ends of the domain)
    Row("xlog1py", sp.xlog1py, (lambda x, y: mp.log1p(y), lambda x, y: x / abs(1 + y)), (FINITE, WHOLE_LINE)),
    Row("log_expit", sp.log_expit, (lambda x: 1 / (1 + mp.exp(x)),), (WHOLE_LINE,)),
    Row("expit", sp.expit, (lambda x: mp.exp(-abs(x)) / (1 + mp.exp(-abs(x))) ** 2,), (WHOLE_LINE,)),
    Row("logit", sp.logit, (lambda x: 1 / (x * abs(1 - x)),), (INSIDE,)),
    Row("spence", sp.spence, (lambda x: mp.log(x) / (1 - x),), (WHOLE_LINE,)),
    Row("exp1", sp.exp1, (lambda x: -mp.exp(-x) / x,), (WHOLE_LINE,)),
    Row("expi", sp.expi, (lambda x: mp.exp(x) / x,), (WHOLE_LINE,)),
    *(
        Row(f"polygamma{n}", partial(special.polygamma, n), (partial(ex.psi, n + 1),), (GAMMA,))
        for n in (0, 1, 2, 3)
    ),
    Row("jv", sp.jv, slope(mp.besselj), (HALVES, ARGUMENTS)),
    Row("yv", sp.yv, slope(mp.bessely), (HALVES, ARGUMENTS)),
    Row("iv", sp.iv, slope(mp.besseli), (HALVES, ARGUMENTS)),
    Row("kv", sp.kv, slope(mp.besselk), (HALVES, ARGUMENTS)),
]


class Otherwise(NamedTuple):
    """The derivative in operand ``i`` is what ``wanted`` says where ``holds(i, p)``."""

    names: str
    holds: Callable[[int, Point], Any]
    wanted: Callable[[float], Any]
    reason: str


def tiny(p: Point) -> bool:
    return all(abs(x) < 1e-18 for x in p) and any(p)


def rounds_to_a_pole(p: Point) -> bool:
    with mp.workdps(700):
        return sum(p) in (0, -1, -3) and sum(map(mpf, p)) != sum(p)


def poles(p: Point) -> int:
    return sum(x <= 0 and x == np.rint(x) for x in p)


EXCEPTIONS = [
    Otherwise("rel_entr kl_div", lambda i, p: p == (0, 0), np.isfinite,
              "x/y is 1 where both are 0, as it is where they are equal"),
    Otherwise("beta betaln poch", lambda i, p: poles(p) == 2 or (poles(p) == 1 and inf in p), lambda d: True,
               "poles crossing each other, and infinities on poles: as the one or the other"),
    Otherwise("beta betaln poch binom", lambda i, p: inf in p and -1e-200 in p, lambda d: True,
               "the limit is reached only beyond 10^10^200"),
    Otherwise("betainc betaincc",
               lambda i, p: np.isinf(p).any() or (p[2] in (0, 1) and (0 in p[:2] or 1e200 in p)),
               lambda d: np.isnan(d) or d == 0 or abs(d) == inf, "corners of the domain: several limits"),
    Otherwise("betainc betaincc", lambda i, p: 0 in p[:i] + p[i + 1 : 2], lambda d: d == 0,
               "of a shape of 0 the function is constant inside"),
    Otherwise("beta betaln poch binom gammainc gammaincc", lambda i, p: tiny(p), lambda d: True,
               "two numbers beside a pole: their sums and quotients leave the range of floats"),
    Otherwise("beta betaln poch", lambda i, p: np.isfinite(p).all() and rounds_to_a_pole(p), lambda d: True,
               "the sum of the operands rounds to a pole"),
    Otherwise("xlogy xlog1py", lambda i, p: i == 1 and p[0] == 0, lambda d: d == 0,
              "0·log y is 0 for every y"),
    Otherwise("xlog1py", lambda i, p: p == (5e-324, -1), lambda d: d == inf, "reached only beyond 10^-324"),
    Otherwise("polygamma0", lambda i, p: p[0] in (-1, -3), lambda d: d == inf, "∞ on both sides of the pole"),
    Otherwise("binom", lambda i, p: p[1] in (1e200, 1e308), np.isnan,
               "SciPy's value has no digit there: sin πk of a k without fractions"),
]  # fmt: skip


def agree(got: float, want: float, rtol: float) -> bool:
    return bool(np.isclose(got, want, rtol=rtol, atol=1e-300, equal_nan=True))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_limit_in_both_modes(row: Row) -> None:
    at, wrong = list(np.array(list(itertools.product(*row.grids))).T), []
    values = row.f(*at)
    for i, exact in enumerate(row.exact):
        if exact is None:
            continue
        alone = lambda v, i=i: row.f(*at[:i], v, *at[i + 1 :])
        with np.errstate(all="ignore"):
            _, pull = cr.vjp(alone, at[i])
            (reverse,) = pull(np.ones_like(values))
            forward = cr.jvp(alone, (at[i],), (np.ones_like(values),))[1]
            beside = [alone(at[i] + step) for step in (1e-6, -1e-6)]
            continuous = np.all([abs(v - values) < 1e-3 * abs(values) + 1e-4 for v in beside], axis=0)
        np.testing.assert_array_equal(reverse, forward, err_msg=f"∂{i}")
        for k, p in enumerate(zip(*(x.tolist() for x in at), strict=True)):
            got = float(reverse[k])
            if any(row.name in e.names.split() and e.holds(i, p) and e.wanted(got) for e in EXCEPTIONS):
                continue
            none = np.isnan(p).any() or np.isnan(values[k])
            want = nan if none else limit(exact, p, i, bool(continuous[k]))
            if not agree(got, want, row.rtol):
                wrong.append(f"∂{i} at {p}: got {got}, wanted {want}, the value is {values[k]}")
    assert not wrong, "\n" + "\n".join(wrong)
