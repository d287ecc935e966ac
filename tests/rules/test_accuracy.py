"""Derivatives to the last digits: against 50 digits of mpmath, at the ends of the range of floats too."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
from mpmath import mpf

import chainrule as cr
from chainrule import Value
from chainrule.primitives import Elementwise, where
from chainrule.rules import activations as ac
from chainrule.rules import arithmetic as ar
from chainrule.rules import elementary as el

Exact = Callable[..., Any]
ULPS = 4
COUNT = 2000


class Row(NamedTuple):
    """``f``, its exact derivatives as functions of numbers of 50 digits, and points for each operand."""

    name: str
    f: Callable[..., Any]
    exact: tuple[Exact, ...]
    points: tuple[Any, ...]

    def __str__(self) -> str:
        return self.name


def spread(low: float, high: float, signs: bool = True) -> Any:
    """Numbers of every size between two powers of ten, of both signs."""
    n = COUNT // 2 if signs else COUNT
    x = np.logspace(low, high, n) * np.linspace(1.0, 1.3, n)
    return np.concatenate([x, -x]) if signs else x


def near(edge: float, side: int) -> Any:
    """Numbers that approach an edge down to its neighbour."""
    return edge + side * np.abs(edge) * np.logspace(-15.5, -0.31, COUNT)


everything = spread(-300, 300)
positive = spread(-300, 300, signs=False)
tails = np.concatenate([np.linspace(-37.5, 37.5, COUNT), spread(-300, 1)])
moderate = np.concatenate([np.linspace(-30, 30, COUNT // 2), spread(-300, 1)[::2]])
inside = np.concatenate([near(1.0, -1), near(-1.0, 1), spread(-300, -0.5)])[::3]


def sech2(x: Any) -> Any:
    return mp.sech(x) ** 2


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def sinc(x: Any) -> Any:
    """The derivative of sin(πx)/(πx), near 0 by its series."""
    if abs(x) > 1:
        return mp.cospi(x) / x - mp.sinpi(x) / (mp.pi * x**2)

    def term(n: int) -> Any:
        return (-1) ** n * mp.pi ** (2 * n) * 2 * n * x ** (2 * n - 1) / mp.factorial(2 * n + 1)

    return mp.fsum(term(n) for n in range(1, 30))


def normal(x: Any) -> Any:
    """Its density."""
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def gelu(x: Any) -> Any:
    if abs(x) > 100:  # far beyond the range of floats, and of mpmath
        return mpf(x > 0)
    return mp.erfc(-x / mp.sqrt(2)) / 2 + x * normal(x)


def silu(x: Any) -> Any:
    return sigmoid(x) * (1 + x * sigmoid(-x))


def about(*roots: float, least: float = -17) -> Any:
    """Numbers that approach roots, of both signs, from both sides."""
    steps = np.concatenate([np.logspace(least, -0.5, 100), -np.logspace(least, -0.5, 100)])
    return np.concatenate([sign * (root + steps) for root in roots for sign in (1, -1)])


SELU = mpf(1.0507009873554805), mpf(1.6732632423543772)
UNARY = [
    Row("exp", np.exp, (mp.exp,), (np.linspace(-745, 709, COUNT),)),
    Row("exp2", np.exp2, (lambda x: mp.log(2) * 2**x,), (np.linspace(-1070, 1023, COUNT),)),
    Row("expm1", np.expm1, (mp.exp,), (np.linspace(-745, 709, COUNT),)),
    Row("log", np.log, (lambda x: 1 / x,), (positive,)),
    Row("log2", np.log2, (lambda x: 1 / (x * mp.log(2)),), (positive,)),
    Row("log10", np.log10, (lambda x: 1 / (x * mp.log(10)),), (positive,)),
    Row("log1p", np.log1p, (lambda x: 1 / (1 + x),), (np.concatenate([positive[::2], near(-1.0, 1)[::2]]),)),
    Row("sqrt", np.sqrt, (lambda x: 1 / (2 * mp.sqrt(x)),), (positive,)),
    Row("cbrt", np.cbrt, (lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2),), (positive,)),
    Row("square", np.square, (lambda x: 2 * x,), (everything,)),
    Row("reciprocal", np.reciprocal, (lambda x: -1 / x**2,), (spread(-150, 150),)),
    Row("sin", np.sin, (mp.cos,), (moderate,)),
    Row("cos", np.cos, (lambda x: -mp.sin(x),), (moderate,)),
    Row("tan", np.tan, (lambda x: 1 / mp.cos(x) ** 2,), (moderate,)),
    Row("arcsin", np.arcsin, (lambda x: 1 / mp.sqrt(1 - x**2),), (inside,)),
    Row("arccos", np.arccos, (lambda x: -1 / mp.sqrt(1 - x**2),), (inside,)),
    Row("arctan", np.arctan, (lambda x: 1 / (1 + x**2),), (spread(-300, 150),)),
    Row("sinh", np.sinh, (mp.cosh,), (np.linspace(-709, 709, COUNT),)),
    Row("cosh", np.cosh, (mp.sinh,), (np.concatenate([np.linspace(-709, 709, COUNT), spread(-300, 0)]),)),
    Row("tanh", np.tanh, (sech2,), (np.concatenate([np.linspace(-354, 354, COUNT), spread(-300, 0)]),)),
    Row(
        "sech²", el.sech2, (lambda x: -2 * sech2(x) * mp.tanh(x),),
        (np.concatenate([np.linspace(-350, 350, COUNT), spread(-300, 0)]),),
    ),
    Row("arcsinh", np.arcsinh, (lambda x: 1 / mp.sqrt(1 + x**2),), (everything,)),
    Row(
        "arccosh", np.arccosh, (lambda x: 1 / mp.sqrt(x**2 - 1),),
        (np.concatenate([near(1.0, 1), spread(0.1, 300, signs=False)]),),
    ),
    Row("arctanh", np.arctanh, (lambda x: 1 / (1 - x**2),), (inside,)),
    Row("sigmoid", cr.sigmoid, (lambda x: sigmoid(x) * sigmoid(-x),), (np.linspace(-708, 708, COUNT),)),
    Row("softplus", cr.softplus, (sigmoid,), (np.linspace(-708, 708, COUNT),)),
    Row("log_sigmoid", cr.log_sigmoid, (lambda x: sigmoid(-x),), (np.linspace(-708, 708, COUNT),)),
    Row(
        "logit", el.logit, (lambda x: 1 / (x * (1 - x)),),
        (np.concatenate([near(1.0, -1), spread(-300, -0.3, signs=False)]),),
    ),
    Row(
        "i0", np.i0, (lambda x: mp.besseli(1, x),),
        (np.concatenate([np.linspace(-700, 700, COUNT), np.linspace(-9, 9, 50), spread(-300, 0)[::4]]),),
    ),
    Row("i0'", lambda x: el.i0(x, order=1), (lambda x: (mp.besseli(0, x) + mp.besseli(2, x)) / 2,),
        (np.concatenate([np.linspace(-700, 700, COUNT), spread(-300, 0)[::4]]),)),
    Row("relu", cr.relu, (lambda x: mpf(x > 0),), (everything,)),
    Row("leaky_relu", lambda x: cr.leaky_relu(x, 0.1), (lambda x: mpf(1) if x > 0 else mpf(0.1),),
        (everything,)),
    Row("elu", lambda x: cr.elu(x, 1.5), (lambda x: mpf(1) if x > 0 else mpf(1.5) * mp.exp(x),),
        (np.concatenate([np.linspace(-708, 40, COUNT), spread(-300, 2)]),)),
    Row("selu", cr.selu, (lambda x: SELU[0] if x > 0 else SELU[0] * SELU[1] * mp.exp(x),),
        (np.concatenate([np.linspace(-708, 40, COUNT), spread(-300, 2)]),)),
    Row("gelu", cr.gelu, (gelu,), (np.concatenate([tails, about(0.7517915246935645)]),)),
    Row("gelu'", ac.gelu_slope, (lambda x: normal(x) * (2 - x * x),),
        (np.concatenate([tails, about(2**0.5)]),)),
    Row("silu", cr.silu, (silu,), (np.concatenate([
        np.linspace(-708, 708, COUNT), np.linspace(-9, 9, COUNT), spread(-300, 2), about(1.2784645427610738),
    ]),)),
    Row("silu'", ac.silu_slope, (lambda x: sigmoid(x) * sigmoid(-x) * (2 - x * mp.tanh(x / 2)),),
        (np.concatenate([
            np.linspace(-700, 700, COUNT), np.linspace(-9, 9, COUNT), about(2.399357280515468)
        ]),)),
    Row("erf", cr.erf, (lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x),),
        (np.concatenate([np.linspace(-26.5, 26.5, COUNT // 2), spread(-300, 1)[::2]]),)),
    Row("exp(-x²)", lambda x: el.bell_curve(x, rate=1.0), (lambda x: -2 * x * mp.exp(-x * x),),
        (np.linspace(-26.5, 26.5, COUNT),)),
    Row("absolute", np.abs, (mp.sign,), (everything,)),
    Row("negative", np.negative, (lambda x: mpf(-1),), (everything,)),
    Row("positive", np.positive, (lambda x: mpf(1),), (everything,)),
    Row("nan_to_num", np.nan_to_num, (lambda x: mpf(1),), (everything,)),
    Row("modf", lambda x: np.modf(x)[0], (lambda x: mpf(1),), (everything,)),
    *(
        Row(name, getattr(np, name), (lambda x: mpf(0),), (everything,))
        for name in ("sign", "floor", "ceil", "trunc", "rint", "round")
    ),
    Row("ldexp", lambda x: np.ldexp(x, 7), (lambda x: mpf(128),), (everything,)),
    Row("sigmoid2", el.sigmoid2, (lambda x: mp.log(2) / (1 + mp.power(2, -x)) / (1 + mp.power(2, x)),),
        (np.linspace(-1020, 1020, COUNT),)),
    Row("rad2deg", np.rad2deg, (lambda x: 180 / mp.pi,), (everything,)),
    Row("deg2rad", np.deg2rad, (lambda x: mp.pi / 180,), (everything,)),
    Row(
        "sinc", np.sinc, (sinc,),
        (np.concatenate([
            np.linspace(-1.2, 1.2, COUNT // 2), spread(-300, 0)[::2], np.linspace(-50, 50, COUNT),
            about(1.4302966531242027, 2.459024032956761, 9.489326618085968, 100.49899182227605, least=-5),
        ]),),
    ),
    Row(
        "sinc of halves", np.sinc, (sinc,),
        (np.arange(0.5, 100, 0.5),),
    ),
]  # fmt: skip

_rng = np.random.default_rng(0)
_sizes = [10.0 ** _rng.uniform(-140, 140, COUNT) for _ in range(2)]
_signed = [x * _rng.choice([-1, 1], COUNT) for x in _sizes]

def halves(low: float, high: float) -> Any:
    """Random numbers of few digits, whose sums and differences are exact."""
    return _rng.integers(int(2 * low), int(2 * high), COUNT) / 2


def unlike(high: float) -> Any:
    """Random numbers of all digits, whose differences are rounded."""
    return _rng.uniform(-high, high, COUNT)


_first, _second = mpf(1), mpf(0)
PICKS = (lambda x, y: _first if x > y else _second, lambda x, y: _second if x > y else _first)


def counted(whole: Callable[[Any], Any]) -> tuple[Exact, Exact]:
    """Of x minus as many times y as go into it."""
    return lambda x, y: mpf(1), lambda x, y: -whole(x / y)


BINARY = [
    Row("add", np.add, (lambda x, y: mpf(1), lambda x, y: mpf(1)), tuple(_signed)),
    Row("subtract", np.subtract, (lambda x, y: mpf(1), lambda x, y: mpf(-1)), tuple(_signed)),
    Row("multiply", np.multiply, (lambda x, y: y, lambda x, y: x), tuple(_signed)),
    Row(
        "divide", np.divide, (lambda x, y: 1 / y, lambda x, y: -x / y**2),
        (_signed[0] * _sizes[1], _signed[1]),
    ),
    Row("remainder", np.remainder, counted(mp.floor), (halves(-99, 99) + 0.1, halves(1, 9))),
    Row("fmod", np.fmod, counted(lambda q: mp.sign(q) * mp.floor(abs(q))),
        (halves(-99, 99) + 0.1, halves(1, 9))),
    Row("floor_divide", np.floor_divide, (lambda x, y: mpf(0), lambda x, y: mpf(0)), tuple(_signed)),
    Row(
        "hypot", np.hypot, (lambda x, y: x / mp.hypot(x, y), lambda x, y: y / mp.hypot(x, y)), tuple(_signed),
    ),
    Row(
        "arctan2", np.arctan2, (lambda y, x: x / (x**2 + y**2), lambda y, x: -y / (x**2 + y**2)),
        tuple(_signed),
    ),
    Row("power", np.power, (lambda x, y: y * x ** (y - 1), lambda x, y: x**y * mp.log(x)),
        (10.0 ** _rng.uniform(-40, 40, COUNT), _rng.integers(-48, 48, COUNT) / 8)),
    Row("float_power", np.float_power, (lambda x, y: y * x ** (y - 1), lambda x, y: x**y * mp.log(x)),
        (10.0 ** _rng.uniform(-1, 1, COUNT), _rng.uniform(-200, 200, COUNT))),
    Row("logaddexp", np.logaddexp, (lambda x, y: sigmoid(x - y), lambda x, y: sigmoid(y - x)),
        (unlike(300), unlike(300) * _rng.choice([1, 1e-3, 1e-9], COUNT))),
    Row("logaddexp2", np.logaddexp2,
        (lambda x, y: 1 / (1 + mp.power(2, y - x)), lambda x, y: 1 / (1 + mp.power(2, x - y))),
        (unlike(400), unlike(400) * _rng.choice([1, 1e-3, 1e-9], COUNT))),
    Row("xlogy", cr.xlogy, (lambda x, y: mp.log(y), lambda x, y: x / y), (_signed[0], _sizes[1])),
    Row("xlog1py", el.xlog1py, (lambda x, y: mp.log1p(y), lambda x, y: x / (1 + y)),
        (_signed[0], np.concatenate([_sizes[1][::2], near(-1.0, 1)[::2]]))),
    *(Row(name, getattr(np, name), PICKS, tuple(_signed)) for name in ("maximum", "fmax")),
    *(Row(name, getattr(np, name), PICKS[::-1], tuple(_signed)) for name in ("minimum", "fmin")),
    Row("copysign", np.copysign, (lambda x, y: mp.sign(x) * mp.sign(y), lambda x, y: mpf(0)), tuple(_signed)),
    Row("heaviside", np.heaviside, (lambda x, y: mpf(0), lambda x, y: mpf(0)), tuple(_signed)),
]  # fmt: skip


def ulps(got: Any, exact: list[Any]) -> Any:
    """The error in units of the last place of the exact number."""

    def error(g: Any, e: Any) -> float:
        return float(abs(mpf(float(g)) - e) / mpf(float(np.spacing(abs(float(e))))))

    return np.array([error(g, e) for g, e in zip(got, exact, strict=True)])


@pytest.mark.parametrize("row", UNARY + BINARY, ids=str)
def test_to_the_last_digits(row: Row) -> None:
    with mp.workdps(50):
        columns = [[mpf(float(x)) for x in xs] for xs in row.points]
        exact = [[d(*xs) for xs in zip(*columns, strict=True)] for d in row.exact]
        with np.errstate(all="ignore"):
            value, pull = cr.vjp(row.f, *row.points)
        for i, cotangent in enumerate(pull(np.ones_like(value))):
            error = ulps(cotangent, exact[i])
            worst = int(np.argmax(error))
            assert error[worst] <= ULPS, (f"operand {i}", [xs[worst] for xs in row.points], cotangent[worst])


# Every size of float beside its neighbours: subnormal, the least normal one, the largest; and about 1.
EXTREMES = np.concatenate([np.ldexp(1.0, np.arange(-1074, 1024, 7)), [1e-310, 3e-308, 1e308, 0.5, 1.5, 0.1]])
EXTREMES = np.concatenate([EXTREMES, np.nextafter(EXTREMES, 0), np.nextafter(EXTREMES, np.inf)])
EXTREMES = np.unique(np.concatenate([EXTREMES, -EXTREMES]))


@pytest.mark.parametrize("row", UNARY, ids=str)
def test_at_the_extremes(row: Row) -> None:
    """Wherever the function is finite; a derivative beyond the range of floats is infinite, or 0."""
    tried = 0
    with np.errstate(all="ignore"), mp.workdps(50):
        value, pull = cr.vjp(row.f, EXTREMES)
        for x, y, got in zip(EXTREMES, value, pull(np.ones_like(value))[0], strict=True):
            try:
                exact = row.exact[0](mpf(float(x))) if np.isfinite(y) and row.name not in SLOW else mp.nan
            except ZeroDivisionError:
                continue
            if isinstance(exact, mp.mpc) or mp.isnan(exact):
                continue
            tried += 1
            if abs(exact) > np.finfo(float).max:
                assert got == np.sign(float(mp.sign(exact))) * np.inf, (x, got)
            elif abs(exact) < mpf(2) ** -1075:
                assert abs(got) < 1e-323, (x, got)
            else:
                assert ulps([got], [exact])[0] <= ULPS, (x, got)
    assert tried > 200 or row.name in SLOW


SLOW = {"i0", "i0'"}  # whose exact values of large numbers take long

# Of complex numbers, or of three operands of which one is the result.
NO_ROW = {ar.real, ar.imag, ar.clip, where}


def test_every_elementwise_operation_has_a_row() -> None:
    """tests/rules/test_special_accuracy.py has those of SciPy."""
    tried = set()
    with np.errstate(all="ignore"):
        results = [row.f(*[Value(xs[:2]) for xs in row.points]) for row in UNARY + BINARY]
    while results:
        y = results.pop()
        if isinstance(y, Value) and y.primitive is not None:
            tried.add(y.primitive)
            results += y.inputs
    all_of_them = {p for m in (ac, ar, el) for p in vars(m).values() if isinstance(p, Elementwise)}
    assert {p.name for p in all_of_them - NO_ROW - tried} == set()


@pytest.mark.parametrize("row", UNARY, ids=str)
def test_numbers_to_the_last_digits(row: Row) -> None:
    """The same of Python floats, which Python's own functions compute."""
    with mp.workdps(50):
        xs = row.points[0][::4]
        got = [cr.grad(row.f)(float(x)) for x in xs]
        error = ulps(got, [row.exact[0](mpf(float(x))) for x in xs])
        worst = int(np.argmax(error))
        assert error[worst] <= ULPS, (xs[worst], got[worst])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_erf_of_a_large_array_is_that_of_its_elements_and_takes_little_memory(dtype: Any) -> None:
    rows = np.linspace(-4, 4, 1 << 18).astype(dtype).reshape(2, -1).T  # whose elements lie apart
    tracemalloc.start()
    try:
        got = cr.erf(rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    some = rows[::97]
    assert got.shape == rows.shape and got.dtype == cr.erf(some).dtype
    np.testing.assert_allclose(got[::97], cr.erf(some), rtol=4 * np.finfo(got.dtype).eps)
    assert peak < 5 * got.nbytes


LONG = np.longdouble
LONG_POINTS = np.concatenate([
    np.linspace(-12, 12, 61), [-99.0, -50.0, -0.7517915, -1.2784645, -1.4142136, 1e-30, -5000.0, -11000.0],
]).astype(LONG) + LONG(1) / LONG(3000)  # fmt: skip
OF_LONG: dict[str, tuple[Callable[..., Any], tuple[Exact, Exact, Exact], float]] = {
    "gelu": (cr.gelu, (lambda x: x * mp.ncdf(x), gelu, lambda x: normal(x) * (2 - x * x)), 100.0),
    "silu": (
        cr.silu,
        (lambda x: x * sigmoid(x), silu, lambda x: sigmoid(x) * sigmoid(-x) * (2 - x * mp.tanh(x / 2))),
        12000.0,
    ),
}  # fmt: skip


@pytest.mark.skipif(np.finfo(LONG).nmant != 63, reason="longdouble is double here, or of other precision")
@pytest.mark.parametrize("name", OF_LONG)
def test_activations_keep_the_digits_of_longdouble(name: str) -> None:
    """Values, first and second derivatives, next to the roots and far out too."""
    f, exact, width = OF_LONG[name]
    x = LONG_POINTS[abs(LONG_POINTS) < width]
    slope = lambda x: cr.vjp(f, x)[1](np.ones_like(x))[0]
    found = f(x), slope(x), cr.jvp(slope, (x,), (np.ones_like(x),))[1]
    with mp.workdps(60):
        for got, want in zip(found, exact, strict=True):
            assert got.dtype == LONG
            for u, y in zip(x, got, strict=True):
                right = want(of_long(u))
                assert abs(of_long(y) - right) < 8 * mpf(2) ** -63 * abs(right), (u, y)


def of_long(x: Any) -> Any:
    mantissa, exponent = np.frexp(x)
    return mpf(int(mantissa * LONG(2) ** 64)) * mpf(2) ** (int(exponent) - 64)
