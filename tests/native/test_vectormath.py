"""The vector functions against mpmath, NumPy and themselves.

A function is compiled with a loop around it and called on arrays. Its errors are measured against mpmath
(double) or NumPy in double (float) on hard points and random ones; its special values are NumPy's; every
number of lanes and every instruction set gives the same bits. The bounds are the table's last columns:
the largest errors of 60,000 points for each function, rounded up.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
import pytest
from mpmath import mp, mpf

from chainrule.native.vectormath import FUNCTIONS, PAIRS, definitions, function

llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()

TYPES = {"double": np.float64, "float": np.float32}
LANES = (1, 4, 8, 16)
Points = tuple[np.ndarray, ...]


# -------------------------------------------------------------------- compiling and calling


def loop(name: str, dtype: str, lanes: int) -> str:
    """``for i in range(0, n, lanes): out[i:], out2[i:] = f(x[i:], ...)`` in IR."""
    t = dtype if lanes == 1 else f"<{lanes} x {dtype}>"
    operands, result = range(FUNCTIONS[name]), f"{{{t}, {t}}}" if name in PAIRS else t
    given = "".join(f"ptr %in{i}, " for i in operands)
    lines = [
        f"define void @loop_{name}({given}ptr %out0, ptr %out1, i64 %n) {{",
        "entry:\n  br label %body",
        "body:\n  %i = phi i64 [0, %entry], [%next, %body]",
    ]
    for i in operands:
        lines.append(f"  %p{i} = getelementptr {dtype}, ptr %in{i}, i64 %i")
        lines.append(f"  %x{i} = load {t}, ptr %p{i}, align 4")
    given = ", ".join(f"{t} %x{i}" for i in operands)
    lines.append(f"  %y = call {result} {function(name, dtype, lanes)}({given})")
    for i in range(2 if name in PAIRS else 1):
        value = "%y"
        if name in PAIRS:
            value = f"%y{i}"
            lines.append(f"  {value} = extractvalue {result} %y, {i}")
        lines.append(f"  %q{i} = getelementptr {dtype}, ptr %out{i}, i64 %i")
        lines.append(f"  store {t} {value}, ptr %q{i}, align 4")
    lines.append(f"  %next = add i64 %i, {lanes}\n  %more = icmp ult i64 %next, %n")
    lines.append("  br i1 %more, label %body, label %end\nend:\n  ret void\n}")
    return "\n".join(lines)


def module(dtype: str, lanes: int) -> str:
    keys = [(name, dtype, lanes) for name in FUNCTIONS]
    return definitions(keys, inline=["exp"]) + "\n".join(loop(*key) for key in keys)


class Compiled:
    """Every function at one precision and one number of lanes, as functions of arrays."""

    def __init__(self, dtype: str, lanes: int, cpu: str, features: str) -> None:
        self.type, self.lanes = TYPES[dtype], lanes
        machine = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=2)
        code = llvm.parse_assembly(module(dtype, lanes))
        code.verify()
        passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
        passes.getModulePassManager().run(code, passes)
        self.engine = llvm.create_mcjit_compiler(code, machine)
        self.engine.finalize_object()

    def __call__(self, name: str, *xs: Any) -> list[np.ndarray]:
        n = len(xs[0])
        padded = [np.append(x, np.ones(-n % self.lanes)).astype(self.type) for x in xs]
        out = np.empty((2, len(padded[0])), self.type)
        run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(xs) + 2), ctypes.c_int64)(
            self.engine.get_function_address(f"loop_{name}")
        )
        run(*[x.ctypes.data for x in (*padded, *out)], out.shape[1])
        return [y[:n] for y in out[: 2 if name in PAIRS else 1]]


@functools.cache
def compiled(dtype: str, lanes: int, cpu: str = "") -> Compiled:
    if cpu:
        return Compiled(dtype, lanes, cpu, "")
    return Compiled(dtype, lanes, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


# -------------------------------------------------------------------- points

rng = np.random.default_rng(20240229)
START = rng.bit_generator.state


def between(low: float, high: float) -> Callable[..., np.ndarray]:
    return lambda t, n: rng.uniform(low, high, n)


def magnitudes(low: float, high: float = np.inf) -> Callable[..., np.ndarray]:
    """Log-uniform; 0 and inf stand for the ends of the range."""

    def sample(t: type, n: int) -> np.ndarray:
        ends = max(low, np.finfo(t).smallest_subnormal), min(high, float(np.finfo(t).max))
        return np.exp(rng.uniform(*np.log(ends), n))

    return sample


def signed(sample: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda t, n: sample(t, n) * rng.choice([-1, 1], n)


def near(*centres: float) -> Callable[..., np.ndarray]:
    """Around a number, from its neighbours to half and one and a half of it."""

    def sample(t: type, n: int) -> np.ndarray:
        far = np.exp(rng.uniform(np.log(np.finfo(t).eps / 2), np.log(0.5), n))
        return rng.choice(centres, n) * (1 + far * rng.choice([-1, 1], n))

    return sample


def range_of_exp(scale: float = 1.0) -> Callable[..., np.ndarray]:
    return lambda t, n: rng.uniform(*((-746, 710) if t is np.float64 else (-104, 89)), n) * scale


def multiples_of_half_pi(t: type, n: int) -> np.ndarray:
    return np.floor(np.exp(rng.uniform(0, 41, n))) * (np.pi / 2)


def hardest_angle(t: type, n: int) -> np.ndarray:
    """The numbers nearest to a multiple of π/2."""
    return np.full(n, 6381956970095103.0 * 2.0**797 if t is np.float64 else 16367173 * 2.0**72)


def products(t: type, n: int) -> Points:
    """(x, y) of powers: y log x is spread over the exponential's range, x over everything and around 1."""
    x = np.concatenate([magnitudes(0)(t, n), near(1.0)(t, n), near(0.5**0.5, 2**0.5)(t, n)]).astype(t)
    x = x[(x > 0) & (x != 1) & (x < np.inf)].astype(float)
    y = np.concatenate([range_of_exp()(t, len(x)), between(-20, 20)(t, len(x))]) / np.log(np.tile(x, 2))
    return np.tile(x, 2), y


def pairs(t: type, n: int) -> Points:
    """Two numbers, of any magnitudes, of close magnitudes and both tiny."""
    any_, tiny = signed(magnitudes(0)), signed(magnitudes(0, float(np.finfo(t).tiny)))
    a = any_(t, n)
    x = [any_(t, n), a, between(-2, 2)(t, n), tiny(t, n)]
    y = [any_(t, n), a * between(-4, 4)(t, n), between(-2, 2)(t, n), tiny(t, n)]
    return np.concatenate(x), np.concatenate(y)


def close_pairs(t: type, n: int) -> Points:
    a, b = range_of_exp()(t, n), between(-5, 5)(t, n)
    return np.append(a, b), np.append(a + signed(magnitudes(1e-3, 50))(t, n), between(-5, 5)(t, n))


any_sign, small, whole_range = signed(magnitudes(0)), signed(magnitudes(1e-20, 1)), range_of_exp()
EXPONENTS = (small, any_sign, between(-1, 1), between(-3, 3), between(-40, 40), whole_range)
POSITIVE = (magnitudes(0), near(1.0), near(2**0.5, 0.5**0.5), between(0, 10))
ANGLES = (small, any_sign, between(-2, 2), between(-1e4, 1e4), multiples_of_half_pi, hardest_angle)
SINES = (signed(magnitudes(0, 1)), between(-1, 1), signed(near(0.5)), lambda t, n: 1 - small(t, n) ** 2)
OPEN = (any_sign, between(-4, 4), signed(near(2**0.5 - 1, 1.0, 2**0.5 + 1)))


class Row(NamedTuple):
    name: str
    exact: Callable[..., Any]  # of mpmath's numbers
    plain: Callable[..., Any]  # of arrays of doubles
    points: Any  # samplers of x, or one of all operands
    ulp: float  # the largest error measured, in double
    ulp_float: float  # and in float

    def __str__(self) -> str:
        return self.name


def logaddexp(a: Any, b: Any) -> Any:
    return max(a, b) + mp.log1p(mp.exp(-abs(a - b)))


def logaddexp2(a: Any, b: Any) -> Any:
    return max(a, b) + mp.log1p(mpf(2) ** -abs(a - b)) / mp.ln2


def sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def sech2(x: Any) -> Any:
    return (2 * np.exp(-np.abs(x)) / (1 + np.exp(-2 * np.abs(x)))) ** 2


TABLE = [
    Row("exp",        mp.exp,                                   np.exp,        EXPONENTS, 1.0, 1.1),
    Row("exp2",       lambda x: mpf(2) ** x,                    np.exp2,       EXPONENTS, 1.1, 1.0),
    Row("expm1",      mp.expm1,                                 np.expm1,      EXPONENTS, 2.1, 1.6),
    Row("log",        mp.log,                                   np.log,        POSITIVE,  0.9, 1.0),
    Row("log2",       lambda x: mp.log(x) / mp.ln2,             np.log2,       POSITIVE,  1.7, 1.6),
    Row("log10",      lambda x: mp.log(x) / mp.ln10,            np.log10,      POSITIVE,  1.4, 1.6),
    Row("log1p",      mp.log1p,                                 np.log1p,
        (*POSITIVE, small, near(2**0.5 - 1), lambda t, n: -1 + small(t, n) ** 2),         1.6, 1.5),
    Row("sin",        mp.sin,                                   np.sin,        ANGLES,    2.0, 1.9),
    Row("cos",        mp.cos,                                   np.cos,        ANGLES,    2.0, 1.9),
    Row("tan",        mp.tan,                                   np.tan,        ANGLES,    2.6, 2.6),
    Row("arcsin",     mp.asin,                                  np.arcsin,     SINES,     2.3, 2.3),
    Row("arccos",     mp.acos,                                  np.arccos,     SINES,     1.2, 1.1),
    Row("arctan",     mp.atan,                                  np.arctan,     OPEN,      2.2, 2.0),
    Row("sinh",       mp.sinh,                                  np.sinh,       EXPONENTS, 2.3, 2.1),
    Row("cosh",       mp.cosh,                                  np.cosh,       EXPONENTS, 1.3, 1.4),
    Row("tanh",       mp.tanh,                                  np.tanh,       EXPONENTS, 2.5, 2.2),
    Row("sech2",      lambda x: mp.sech(x) ** 2,                sech2,
        (*EXPONENTS, range_of_exp(0.5)),                                                  2.7, 2.6),
    Row("sigmoid",    lambda x: 1 / (1 + mp.exp(-x)),           sigmoid,       EXPONENTS, 2.0, 2.1),
    Row("arcsinh",    mp.asinh,                                 np.arcsinh,    OPEN,      1.8, 1.6),
    Row("arccosh",    mp.acosh,                                 np.arccosh,
        (magnitudes(1), between(1, 10), lambda t, n: 1 + small(t, n) ** 2),               1.9, 1.7),
    Row("arctanh",    mp.atanh,                                 np.arctanh,    SINES,     1.5, 1.9),
    Row("cbrt",       lambda x: mp.sign(x) * mp.cbrt(abs(x)),   np.cbrt,       OPEN,      0.5, 0.5),
    Row("power",      mp.power,                                 np.power,      products,  1.3, 0.6),
    Row("arctan2",    mp.atan2,                                 np.arctan2,    pairs,     1.8, 2.0),
    Row("hypot",      mp.hypot,                                 np.hypot,      pairs,     1.1, 0.5),
    Row("logaddexp",  logaddexp,                                np.logaddexp,  close_pairs, 1.6, 2.2),
    Row("logaddexp2", logaddexp2,                               np.logaddexp2, close_pairs, 1.6, 1.9),
]  # fmt: skip
MULTIPLES = {"fmod": np.fmod, "remainder": np.remainder, "floor_divide": np.floor_divide}
CLOSED = {"arcsin": 1.0, "arccos": 1.0, "arctanh": 1.0}  # |x| is at most this


def points(row: Row, t: type, n: int) -> Points:
    """About n points for each sampler of a row, finite, not 0 and in the domain; the same in every run."""
    rng.bit_generator.state = START
    with np.errstate(all="ignore"):
        xs = row.points(t, n) if callable(row.points) else [np.concatenate([s(t, n) for s in row.points])]
        xs = [x.astype(t) for x in xs]
        good = np.logical_and.reduce([np.isfinite(x) & (x != 0) for x in xs])
        if row.name in CLOSED:
            good &= np.abs(xs[0]) < 1
        good &= ~np.isnan(row.plain(*[x.astype(float) for x in xs]))
    return tuple(x[good] for x in xs)


# -------------------------------------------------------------------- errors


def exponent_of_ulp(exact: Any, t: type, *operands: Any) -> int:
    """2 to this is the unit of the last place of a number of type t near ``exact``."""
    digits, least = (53, -1074) if t is np.float64 else (24, -149)
    exponents = [mp.frexp(v)[1] for v in (exact, *operands) if v]
    return max([e - digits for e in exponents] + [least])


def error(row: Row, t: type, got: np.ndarray, xs: Points) -> tuple[float, str]:
    """The largest error in ulp and where it is; a number beyond the largest one must be inf."""
    limit = mpf(float(np.finfo(t).max))
    worst = 0.0, ""
    with np.errstate(all="ignore"):
        wanted = row.plain(*[x.astype(float) for x in xs]) if t is np.float32 else None
    for i, y in enumerate(got.tolist()):
        operands = [mpf(x[i].item()) for x in xs]
        if wanted is None or row.name.startswith("logaddexp"):
            exact = row.exact(*operands)
        else:
            exact = mpf(wanted[i].item())
        beside = operands if row.name.startswith("logaddexp") else []  # error beside cancellation
        exact = min(max(exact, -2 * limit), 2 * limit)
        ulp = mp.ldexp(1, exponent_of_ulp(exact, t, *beside))
        if abs(exact) > limit or abs(y) == np.inf:
            right = abs(y) >= limit and abs(exact) > limit - 2 * ulp and (y > 0) == (exact > 0)
            u = 0.0 if right else np.inf
        else:
            u = float(abs(mpf(y) - exact) / ulp)
        if not u <= worst[0]:
            worst = u, f"{row.name}({', '.join(repr(x[i]) for x in xs)}) = {y!r}"
    return worst


def largest_error(row: Row, dtype: str, n: int) -> tuple[float, str]:
    xs = points(row, TYPES[dtype], n)
    with mp.workprec(140):
        (got,) = compiled(dtype, 8 if dtype == "double" else 16)(row.name, *xs)
        return error(row, TYPES[dtype], got, xs)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("row", TABLE, ids=str)
def test_error(row: Row, dtype: str) -> None:
    bound = row.ulp if dtype == "double" else row.ulp_float
    assert bound <= 4
    ulp, where = largest_error(row, dtype, 60)
    assert ulp <= bound, where


@pytest.mark.parametrize("dtype", TYPES)
def test_pairs_are_their_parts(dtype: str) -> None:
    run = compiled(dtype, 8)
    (row,) = [row for row in TABLE if row.name == "tanh"]
    xs = points(row, TYPES[dtype], 100)
    np.testing.assert_array_equal(run("tanh_sech2", *xs), [*run("tanh", *xs), *run("sech2", *xs)])
    for i, name in enumerate(("sin", "cos")):  # another reduction, so other last digits
        (row,) = [row for row in TABLE if row.name == name]
        xs = points(row, TYPES[dtype], 30)
        with mp.workprec(140):
            assert error(row, TYPES[dtype], run("sincos", *xs)[i], xs)[0] <= 1.7


# -------------------------------------------------------------------- special values


def special(dtype: str) -> np.ndarray:
    f = np.finfo(TYPES[dtype])
    ends = [88.7, 88.8, 89.4, 89.5, 103.9, 104.1, 354, 372, 373, 709.78, 709.79, 710.4, 710.5, 745.1, 745.2]
    powers = [127, 128, 149, 150, 1023, 1024, 1074, 1075, 2.0**23 + 1, 2.0**31, 2.0**52 + 1, 2.0**100]
    x = [0, 0.1, 0.5, 1 - f.eps / 2, 1, 1 + f.eps, 1.5, 2, 2.5, 3, 4, 5, 10, 1e3, 1e-5, 1e-10, 1e-20, 1e10]
    x += [*ends, *powers, f.max, f.max / 2, f.tiny, f.tiny / 4, f.smallest_subnormal, np.inf, np.nan]
    return np.array(x + [-v for v in x], TYPES[dtype])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("row", TABLE, ids=str)
def test_special_values_are_numpys(row: Row, dtype: str) -> None:
    x, t = special(dtype), TYPES[dtype]
    xs = (x,) if FUNCTIONS[row.name] == 1 else tuple(v.ravel() for v in np.meshgrid(x, x))
    (got,) = compiled(dtype, 4)(row.name, *xs)
    with np.errstate(all="ignore"):
        if row.name == "sech2":
            wanted = row.plain(x.astype(np.longdouble)).astype(t)
        else:
            wanted = row.plain(*xs)
        unit = np.spacing(np.abs(wanted))  # of 0: the smallest subnormal number
        if row.name.startswith("logaddexp"):  # NumPy too has lost digits where the operands cancel
            unit = np.spacing(np.maximum(np.abs(wanted), np.maximum(*np.abs(xs))))
        same = (got == wanted) | (np.abs(got - wanted) <= np.where(wanted == 0, 1, 5) * unit)
    if not row.name.startswith("logaddexp"):
        same &= np.signbit(got) == np.signbit(wanted)
    bad = np.flatnonzero(~(same | (np.isnan(got) & np.isnan(wanted))))
    where = [(*(v[i].item() for v in xs), got[i].item(), wanted[i].item()) for i in bad[:5]]
    assert not where, f"{row.name}: operands, the result, NumPy's: {where}"


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", MULTIPLES)
def test_remainders_are_numpys(name: str, dtype: str) -> None:
    t = TYPES[dtype]
    grid = [v.ravel() for v in np.meshgrid(special(dtype), special(dtype))]
    with np.errstate(all="ignore"):
        xs = [np.append(a, b.astype(t)) for a, b in zip(grid, pairs(t, 500))]
        wanted = MULTIPLES[name](*xs)
    (got,) = compiled(dtype, 8)(name, *xs)
    np.testing.assert_array_equal(got, wanted)
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(wanted[numbers]))


EXACT = [
    ("exp", (0,), 1), ("exp2", (-3,), 0.125), ("exp2", (100,), 2.0**100), ("log", (1,), 0),
    ("log2", (2.0**-20,), -20), ("log10", (1,), 0), ("cos", (0,), 1), ("cosh", (0,), 1), ("tanh", (30,), 1),
    ("sech2", (0,), 1), ("sigmoid", (0,), 0.5), ("sigmoid", (50,), 1), ("arccos", (1,), 0),
    ("cbrt", (27,), 3), ("cbrt", (-125,), -5), ("hypot", (3, 4), 5), ("logaddexp2", (1, 1), 2),
    ("power", (3, 2), 9), ("power", (-2, 11), -2048), ("power", (7, 5), 16807), ("power", (2, -20), 2.0**-20),
    ("power", (10, 10), 1e10), ("power", (0.25, 0.5), 0.5), ("power", (4, -1.5), 0.125),
]  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("name", "x", "y"), EXACT)
def test_exact_values(name: str, x: tuple[float, ...], y: float, dtype: str) -> None:
    assert compiled(dtype, 4)(name, *[[v] for v in x])[0].item() == y


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("name", "centre"), [("sin", np.pi / 2), ("cos", np.pi), ("tanh", 9.0), ("sigmoid", 30.0)]
)
def test_never_beyond_1(name: str, centre: float, dtype: str) -> None:
    x = centre * np.arange(1, 4000, 2) if name in ("sin", "cos") else np.linspace(0.5, 2, 4000) * centre
    assert np.abs(compiled(dtype, 8)(name, x)[0]).max() <= 1


# -------------------------------------------------------------------- lanes, machines


@pytest.mark.parametrize("dtype", TYPES)
def test_lanes_and_instruction_sets_give_the_same_bits(dtype: str) -> None:
    anything = Row("", None, lambda x, y: x, pairs, 0, 0)
    others = [compiled(dtype, lanes) for lanes in LANES]
    if llvm.get_host_cpu_features().get("avx2"):
        others.append(compiled(dtype, 8, "haswell"))
    for name, operands in FUNCTIONS.items():
        similar = {"tanh_sech2": "tanh", "sincos": "sin"}.get(name, name)
        xs = points(next((row for row in TABLE if row.name == similar), anything), TYPES[dtype], 30)
        xs = tuple(np.append(x, special(dtype)) for x in xs)
        if operands == 2:
            xs = xs[0], np.roll(xs[1], 7)
        first, *rest = [run(name, *xs) for run in others]
        for y in rest:
            np.testing.assert_array_equal(y, first, err_msg=name)
            np.testing.assert_array_equal(
                np.signbit(y) & ~np.isnan(y), np.signbit(first) & ~np.isnan(first), err_msg=name
            )


@pytest.mark.parametrize(("dtype", "lanes"), [("float", 1), ("double", 8), ("float", 16)])
@pytest.mark.parametrize("triple", ["aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"])
def test_compiles_without_a_library(dtype: str, lanes: int, triple: str) -> None:
    features = "+avx2,+fma" if triple.startswith("x86") else ""
    machine = llvm.Target.from_triple(triple).create_target_machine(
        features=features, opt=1, codemodel="small"  # in the larger ones a call does not name its target
    )
    code = llvm.parse_assembly(module(dtype, lanes))
    code.triple = triple
    code.verify()
    text = machine.emit_assembly(code)
    called = re.findall(r"^\s+(?:bl|callq?)\s+(\S+)", text, re.MULTILINE)
    assert called
    assert not [name for name in called if "cr_" not in name]


def test_each_definition_once() -> None:
    names = ["sin", "cos", "sin"]
    text = definitions([("sincos", "double", 4), *[(name, "float", 4) for name in names]])
    heads = [line for line in text.splitlines() if line.startswith(("define", "declare"))]
    assert len(heads) == len(set(heads))
    assert sum("@cr_rest_of_huge_d1" in line for line in heads) == 1


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="no function 'sine'; there are exp, exp2"):
        function("sine", "double", 8)
