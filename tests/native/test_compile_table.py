"""Compiled equals eager over the tables of operations: kinds, special values, numbers, derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optree
import pytest
import scipy.special

import chainrule as cr
from chainrule import Value, jvp, vjp
from chainrule.native import operations
from chainrule.primitives import Elementwise, Primitive
from chainrule.traced import TracedError
from docs import functions_page
from tests.check import like
from tests.native.agree import agree, leaves
from tests.numpy import table as numpy_table
from tests.table import CASES
from tests.test_table import PRIMITIVES, ROWS, single

each = pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda p: p.name)
PRECISIONS = [np.float64, np.float32]
both = pytest.mark.parametrize("dtype", PRECISIONS, ids=["double", "single"])


def quiet() -> Any:
    return np.errstate(all="ignore")


def compiled(f: Callable[..., Any], *args: Any) -> tuple[Any, Any]:
    with quiet():
        return cr.compile(f)(*args), f(*args)


def points(primitive: Primitive, dtype: Any) -> tuple[list[Any], list[Any]]:
    """The rows of the table and where they are; in single precision without those of Python numbers."""
    rows = [(c, c.point) for c in ROWS[primitive]]
    if dtype is np.float32:
        rows = [(c, tuple(map(single, c.point))) for c in ROWS[primitive] if any(map(np.ndim, c.point))]
    return [c for c, _ in rows], [p for _, p in rows]


def named(cases: list[Any], got: Any, want: Any, **near: Any) -> None:
    assert len(got) == len(want) == len(cases)
    for case, a, b in zip(cases, got, want, strict=True):
        agree(a, b, what=str(case), **near)


def near(primitive: Primitive, dtype: Any) -> dict[str, float]:
    """Elementwise operations within 4 units in the last place, others to rounding of their largest."""
    mixed = dtype is np.float32 and primitive.name in MIXED
    if isinstance(primitive, Elementwise) and primitive.name not in CANCELLING and not mixed:
        return {"ulp": 4}
    return {"rtol": 1e-14 if dtype is np.float64 else 2e-6}


# Elementwise, but sums of terms that may cancel: near in units of the larger operand.
CANCELLING = {"logaddexp", "logaddexp2", "sinc"}
# x in double times a logarithm that is taken in single, y's precision: units of single.
MIXED = {"xlogy", "xlog1py"}

# NumPy itself returns either zero of maximum(-0.0, 0.0): it depends on where in the array they are.
EITHER_ZERO = {"fmax", "fmin"}

# -------------------------------------------------------------------- tests/table.py


@both
@each
def test_values(primitive: Primitive, dtype: Any) -> None:
    cases, at = points(primitive, dtype)
    got, want = compiled(lambda at: [c.function(*x) for c, x in zip(cases, at, strict=True)], at)
    named(cases, got, want, **near(primitive, dtype))


@each
def test_values_of_a_graph(primitive: Primitive) -> None:
    """On Values: results are Values with the same data."""
    cases, at = points(primitive, np.float64)

    def run(at: Any) -> Any:
        return [c.function(*map(Value, x)) for c, x in zip(cases, at, strict=True)]

    got, want = compiled(run, at)
    named(cases, got, want, **near(primitive, np.float64))


def derivatives(cases: list[Any]) -> Callable[..., Any]:
    def run(at: Any, ts: Any, gs: Any) -> Any:
        out = []
        for case, x, t, g in zip(cases, at, ts, gs, strict=True):
            y, dy = jvp(case.function, x, t)
            out.append((y, dy, vjp(case.function, *x)[1](g)))
        return out

    return run


def directions(cases: list[Any], at: list[Any]) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(1)
    ts = [tuple(map(like(rng), x)) for x in at]
    with quiet():
        gs = [like(rng)(case.function(*x)) for case, x in zip(cases, at, strict=True)]
    return ts, gs


@both
@each
def test_first_derivatives(primitive: Primitive, dtype: Any) -> None:
    cases, at = points(primitive, dtype)
    got, want = compiled(derivatives(cases), at, *directions(cases, at))
    named(cases, got, want, rtol=1e-13 if dtype is np.float64 else 5e-6)


def test_a_python_float_stays_one() -> None:
    """Where eager gives a Python float, so does the program: values, tangents and cotangents."""
    cases = [c for c in CASES if c.of_numbers and not any(isinstance(x, complex) for x in c.point)]
    at = [c.point for c in cases]
    got, want = compiled(derivatives(cases), at, *directions(cases, at))
    wrong = []
    for case, a, b in zip(cases, got, want, strict=True):
        for part, x, y in zip(("value", "tangent", "cotangents"), a, b, strict=True):
            for u, v in zip(leaves(x)[0], leaves(y)[0], strict=True):
                if type(v) is float and type(u) is not float:
                    wrong.append(f"{case}: {part} is {u!r}, expected {v!r}")
    assert not wrong, "\n" + "\n".join(wrong)


@each
def test_second_derivatives(primitive: Primitive) -> None:
    """Forward over reverse and reverse over forward, for a few rows of each primitive."""
    cases, at = points(primitive, np.float64)
    step = max(len(cases) // 4, 1)
    cases, at = cases[::step], at[::step]
    ts, gs = directions(cases, at)

    def run(at: Any, ts: Any, gs: Any) -> Any:
        out = []
        for case, x, t, g in zip(cases, at, ts, gs, strict=True):

            def reverse(*x: Any, f: Any = case.function, g: Any = g) -> Any:
                return vjp(f, *x)[1](g)

            def forward(*x: Any, f: Any = case.function, t: Any = t) -> Any:
                return jvp(f, x, t)[1]

            out.append((jvp(reverse, x, t)[1], vjp(forward, *x)[1](g)))
        return out

    got, want = compiled(run, at, ts, gs)
    named(cases, got, want, rtol=1e-12)


# -------------------------------------------------------------------- special values

UNARY, BINARY = operations.UNARY.split(), operations.BINARY.split()
REAL_UNARY = [n for n in UNARY if n != "invert"]
REAL_BINARY = [n for n in BINARY if not n.startswith("bitwise")]


def special(dtype: Any) -> Any:
    """Everything at the edges of floating point, and some ordinary numbers between."""
    f = np.finfo(dtype)
    halves = [1e-300, 1e-8, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, np.pi / 2, np.pi, 20.0, 88.8, 100.0, 710.0]
    edges = [0.0, f.smallest_subnormal, f.tiny, f.eps, f.max, np.inf]
    with quiet():
        x = np.array([*edges, *halves, 1e22, 1e200, 2.0**31, 2.0**53, 1 - f.eps / 2, 1 + f.eps]).astype(dtype)
        return np.concatenate([x, -x, np.array([np.nan], dtype)])


def ufunc(name: str) -> Any:
    return getattr(np, name)


@both
def test_special_values_of_one_operand(dtype: Any) -> None:
    x = special(dtype)
    got, want = compiled(lambda x: {n: ufunc(n)(x) for n in REAL_UNARY}, x)
    each_agrees(got, want, lambda at: f"({x[at]!r})")


@both
def test_special_values_of_two_operands(dtype: Any) -> None:
    x = special(dtype)
    y = x[:, None]
    got, want = compiled(lambda x, y: {n: ufunc(n)(x, y) for n in REAL_BINARY}, x, y)
    each_agrees(got, want, lambda at: f"({x[at[1]]!r}, {x[at[0]]!r})", larger(x, y))


def larger(x: Any, y: Any) -> Any:
    return np.nan_to_num(np.maximum(abs(x), abs(y)), nan=0, posinf=0)


def each_agrees(
    got: dict[str, Any], want: dict[str, Any], where: Callable[[Any], str], scale: Any = 0.0
) -> None:
    """All the operations that differ, each with the first place where it does."""
    wrong = []
    for name, y in want.items():
        zeros = name not in EITHER_ZERO
        try:
            agree(got[name], y, what=name, scale=scale if name in CANCELLING else 0.0, zeros=zeros)
        except AssertionError as error:
            if np.shape(got[name]) != y.shape:
                wrong.append(str(error))
                continue
            differs = [at for at in np.ndindex(y.shape) if not _same(got[name][at], y[at], zeros)]
            wrong.append(f"{error} at {where(differs[0] if len(differs[0]) > 1 else differs[0][0])}")
    assert not wrong, "\n" + "\n".join(w[:300] for w in wrong)


def _same(a: Any, b: Any, zeros: bool = True) -> bool:
    try:
        agree(a, b, zeros=zeros)
    except AssertionError:
        return False
    return True


def test_special_values_of_python_floats() -> None:
    """Scalars take other ways through the compiler than arrays."""
    numbers = [*special(np.float64)[::3].tolist(), -0.0, float("nan")]
    got, want = compiled(lambda xs: {n: [ufunc(n)(x * 1.0) for x in xs] for n in REAL_UNARY}, numbers)
    wrong = [
        f"{n}({x!r}) is {a!r}, expected {b!r}"
        for n in REAL_UNARY
        for x, a, b in zip(numbers, got[n], want[n], strict=True)
        if not _same(np.asarray(a), np.asarray(b))
    ]
    assert not wrong, "\n" + "\n".join(wrong)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "relu": cr.relu,
    "leaky_relu": lambda x: cr.leaky_relu(x, 0.1),
    "sigmoid": cr.sigmoid,
    "softplus": cr.softplus,
    "log_sigmoid": cr.log_sigmoid,
    "expit": scipy.special.expit,
    "logit": scipy.special.logit,
    "entr": scipy.special.entr,
    "xlogy": lambda x: cr.xlogy(x, x),
    "xlog1py": lambda x: scipy.special.xlog1py(x, x),
    "sinc": np.sinc,
    "clip": lambda x: np.clip(x, -1.0, 2.0),
    "nan_to_num": np.nan_to_num,
    "deg2rad": np.deg2rad,
    "rad2deg": np.rad2deg,
    "x ** 2": lambda x: x**2,
    "x ** 3": lambda x: x**3,
    "x ** 0": lambda x: x**0,
    "x ** 1": lambda x: x**1,
    "x ** -1": lambda x: x**-1,
    "x ** -2.0": lambda x: x**-2.0,
    "x ** 0.5": lambda x: x**0.5,
    "x ** -0.5": lambda x: x**-0.5,
    "2 ** x": lambda x: 2.0**x,
    "x * 1": lambda x: x * 1.0,
    "x * 0": lambda x: x * 0.0,
    "x + 0": lambda x: x + 0.0,
    "x - 0": lambda x: x - 0.0,
    "0 - x": lambda x: 0.0 - x,
    "x - x": lambda x: x - x,
    "x / x": lambda x: x / x,
    "x / 1": lambda x: x / 1.0,
    "0 / x": lambda x: 0.0 / x,
    "x / 2": lambda x: x / 2.0,
    "x / 3": lambda x: x / 3.0,
    "-(-x)": lambda x: np.negative(-x),
    "-1 * x": lambda x: -1.0 * x,
    "-(x - 1)": lambda x: -(x - 1.0),
    "x + -0.0": lambda x: x + -0.0,
    "x * -0.0": lambda x: x * -0.0,
    "x == x": lambda x: x == x,
    "not x < 1": lambda x: ~(x < 1.0),
    "where(x < 0, -x, x)": lambda x: np.where(x < 0, -x, x),
    "where(c, x, x)": lambda x: np.where(x > 0, x, x),
    "where(c, 1, 0) * x": lambda x: np.where(x > 0, 1.0, 0.0) * x,
    "(x + 1) - 1": lambda x: (x + 1.0) - 1.0,
    "(x * 1e200) * 1e200": lambda x: (x * 1e200) * 1e200,
    "exp(log x)": lambda x: np.exp(np.log(x)),
    "sqrt(x * x)": lambda x: np.sqrt(x * x),
    "sqrt(x) ** 2": lambda x: np.sqrt(x) ** 2,
    "abs(-x)": lambda x: abs(-x),
    "max(x, x)": lambda x: np.maximum(x, x),
    "1 / (1 / x)": lambda x: 1.0 / (1.0 / x),
    "2 * x + 2 * x": lambda x: 2.0 * x + 2.0 * x,
    "x % 1": lambda x: x % 1.0,
    "x // 1": lambda x: x // 1.0,
    "x.astype(float32)": lambda x: np.astype(x, np.float32),
    "x.astype(float64)": lambda x: np.astype(x, np.float64),
}
# The derivatives of expressions with an edge in the middle are those of a product of special values.
NO_DERIVATIVE = {"x == x", "not x < 1", "isnan", "isinf", "isfinite", "signbit", "logical_not"}


@both
def test_special_values_of_functions(dtype: Any) -> None:
    x = special(dtype)
    got, want = compiled(lambda x: {n: f(x) for n, f in FUNCTIONS.items()}, x)
    each_agrees(got, want, lambda at: f"({x[at]!r})")


@both
def test_derivatives_at_special_values(dtype: Any) -> None:
    """Infinities and nan of the derivatives are those of eager."""
    functions = {n: f for n, f in FUNCTIONS.items() if n not in NO_DERIVATIVE}
    functions |= {n: ufunc(n) for n in REAL_UNARY if n not in NO_DERIVATIVE}
    x = special(dtype)

    def run(x: Any) -> Any:
        out = {}
        for n, f in functions.items():
            y, t = jvp(f, (x,), (np.ones_like(x),))
            out[n], out[n + "'"] = t, vjp(f, x)[1](np.ones_like(y))[0]
        return out

    got, want = compiled(run, x)
    wrong = []
    for name in want:
        a, b = got[name], want[name]
        info = np.finfo(dtype)
        with quiet():
            same = (a == b) | (np.isnan(a) & np.isnan(b))
            same |= np.abs(a - b) <= 64 * (info.eps * np.abs(b) + info.tiny)
        same &= np.isfinite(a) == np.isfinite(b)
        if not np.all(same):
            i = np.argmin(same)
            wrong.append(f"{name} at {x[i]!r}: got {a[i]!r}, expected {b[i]!r}; {np.sum(~same)} differ")
    assert not wrong, "\n" + "\n".join(wrong)


@both
def test_elementwise_over_the_whole_range(dtype: Any) -> None:
    """Random numbers of every size, with a ragged end, within 4 units in the last place."""
    rng = np.random.default_rng(2)
    n = 2003
    with quiet():
        wide = (rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-40, 40, n)).astype(dtype)
    x = np.concatenate([wide, rng.normal(size=n), rng.uniform(-1, 1, n), rng.uniform(-30, 30, n)])
    x = x.astype(dtype)
    x[~np.isfinite(x)] = 1
    y = rng.permutation(x)

    def run(x: Any, y: Any) -> Any:
        return {n: ufunc(n)(x) for n in REAL_UNARY} | {n: ufunc(n)(x, y) for n in REAL_BINARY}

    got, want = compiled(run, x, y)
    each_agrees(got, want, lambda at: f"({x[at]!r}, {y[at]!r})", larger(x, y))


INTEGERS = [np.int64, np.int32, np.uint8, np.int8]


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.__name__)
def test_integers(dtype: Any) -> None:
    """Division by zero gives 0, the least number negated stays itself, sums wrap: all as in NumPy."""
    info = np.iinfo(dtype)
    x = np.array([0, 1, 2, 3, 7, info.max, info.max - 1, info.min, info.min + 1], dtype)
    unary = ["negative", "absolute", "sign", "square", "invert", "logical_not", "floor", "rint"]
    binary = (
        "add subtract multiply divide remainder fmod floor_divide maximum minimum fmax fmin less equal "
        "not_equal logical_and bitwise_and bitwise_or bitwise_xor left_shift right_shift"
    ).split()

    def run(x: Any, y: Any) -> Any:
        one = {n: ufunc(n)(x) for n in unary}
        shifts = {n: ufunc(n)(x, np.minimum(np.abs(y), 6)) for n in ("left_shift", "right_shift")}
        two = {n: ufunc(n)(x, y) for n in binary if n not in shifts}
        sums = {n: ufunc(n)(x) for n in "sum prod max min any all mean argmax cumsum".split()}
        casts = {t.__name__: x.astype(t) for t in (np.float64, np.float32, np.int64, np.int32, bool)}
        return one | two | shifts | sums | casts

    got, want = compiled(run, x, x[:, None])
    for name in want:
        agree(got[name], want[name], what=name)


def test_booleans_and_comparisons() -> None:
    x, y = special(np.float64), special(np.float64)[::-1].copy()

    def run(x: Any, y: Any) -> Any:
        p, q = x > y, x == 0
        return [
            p, q, p & q, p | q, p ^ q, ~p, p.sum(), p.any(), p.all(), np.where(p, x, y), p * x, p + q,
            p * q, p * 2, np.logical_xor(p, q), np.any(p & ~p), np.sum(p & q, keepdims=True),
            p.astype(float), p == q, p < q, np.maximum(p, q), p @ q,
        ]  # fmt: skip

    got, want = compiled(run, x, y)
    agree(got, want)


CASTS = [np.float64, np.float32, np.int64, np.int32, np.uint8, np.float16, np.complex128, bool]


@pytest.mark.parametrize("source", CASTS, ids=lambda d: d.__name__)
def test_casts_and_promotion(source: Any) -> None:
    """Every pair of dtypes gives NumPy's dtype and numbers."""
    x = np.array([0, 1, 2, 3, 100]).astype(source)
    others = [np.array([1, 2, 3, 4, 5]).astype(d) for d in CASTS if d is not bool]

    def run(x: Any, others: Any) -> Any:
        return [
            *[x + y for y in others], *[x * y for y in others], *[y / (x + y) for y in others],
            *[np.where(x == 1, x, y) for y in others],
            *[x.astype(y.dtype) for y in others if x.dtype.kind != "c"],
            *[np.concatenate([x, y]) for y in others], x * 2, x * 2.5, x + True, x.sum(), x.mean(),
        ]  # fmt: skip

    got, want = compiled(run, x, others)
    agree(got, want)


# -------------------------------------------------------------------- tests/numpy/table.py

EXPRESSIONS = {
    **numpy_table.UFUNCS,
    "complex": numpy_table.COMPLEX,
    **{".".join(k): v for k, v in numpy_table.METHODS.items()},
    **numpy_table.FUNCTIONS,
}
PAGE = functions_page.covered()
DEPENDENT = {n: EXPRESSIONS.pop(n) for n in numpy_table.DEPENDENT}
# What has a shape that depends on the numbers, or answers with text about them, is refused in a program.
REFUSED = (
    "nonzero", "argwhere", "np.where(x > 0)", "array_str", "array2string", "array_repr", "memory", "allclose",
    "array_equal", "array_equiv", "can_cast", "min_scalar_type", "result_type", "dtype", "unique",
    "einsum_path",
    "common_type", "histogramdd",
)  # fmt: skip


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_what_users_write(name: str) -> None:
    """Every way of calling NumPy's functions: values on arrays, and the gradient."""
    functions, at = zip(*map(numpy_table.function, EXPRESSIONS[name]), strict=True)

    def run(at: Any) -> Any:
        return [f(*x) for f, x in zip(functions, at, strict=True)]

    got, want = compiled(run, list(at))
    for expression, a, b in zip(EXPRESSIONS[name], got, want, strict=True):
        agree(a, b, rtol=1e-14 if "f" not in expression else 1e-6, what=expression)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_gradients_of_what_users_write(name: str) -> None:
    functions, at = zip(*map(numpy_table.function, EXPRESSIONS[name]), strict=True)

    def total(f: Any) -> Any:
        def g(*x: Any) -> Any:
            ys, _ = optree.tree_flatten(f(*x))
            return sum(np.sum(np.real(y * y)) for y in ys)

        return g

    def run(at: Any) -> Any:
        return [vjp(total(f), *x)[1](1.0) for f, x in zip(functions, at, strict=True) if x]

    got, want = compiled(run, list(at))
    expressions = [e for e, x in zip(EXPRESSIONS[name], at, strict=True) if x]
    for expression, a, b in zip(expressions, got, want, strict=True):
        single = any(np.asarray(t).dtype == np.float32 for t in b) or "float32" in expression
        agree(a, b, rtol=1e-5 if single else 1e-12, what=expression)


@pytest.mark.parametrize("name", sorted(DEPENDENT))
def test_shapes_that_depend_on_numbers_are_refused(name: str) -> None:
    for expression in DEPENDENT[name]:
        f, at = numpy_table.function(expression)
        with pytest.raises(TracedError, match=r"the result('s shape| is complex) depends on the numbers"):
            cr.compile(f)(*at)


@pytest.mark.parametrize("section, number", [(s, k) for s, r in PAGE.items() for k in range(0, len(r), 20)])
def test_every_function_of_the_page_works_in_a_program(section: str, number: int) -> None:
    """Lowered, or called in NumPy, as the report says; or refused: its shape depends on numbers."""
    for name, (expression, *_) in PAGE[section][number : number + 20]:
        f, at = numpy_table.function(expression)
        fast = cr.compile(f)
        if name.removeprefix("np.") in numpy_table.DEPENDENT:
            with pytest.raises(TracedError, match="depends on the numbers"):
                fast(*at)
            continue
        with quiet():
            agree(fast(*at), f(*at), rtol=1e-12, what=expression)
        program = fast.last
        assert program is not None
        called = [s for s in program.image.steps if not isinstance(s, str) and s.op != "item"]
        said = [k for k in fast.report().kernels if k.name == "NumPy"]
        assert len(said) == len(called) and all(k.what and k.why for k in said), expression


PLAIN = {**numpy_table.PLAIN, **numpy_table.PLAIN_UFUNCS}
PLAIN = {n: kept for n, e in PLAIN.items() if (kept := [s for s in e if not any(r in s for r in REFUSED)])}


@pytest.mark.parametrize("name", PLAIN)
def test_results_without_a_derivative(name: str) -> None:
    functions, at = zip(*map(numpy_table.function, PLAIN[name]), strict=True)
    got, want = compiled(lambda at: [f(*x) for f, x in zip(functions, at, strict=True)], list(at))
    for expression, a, b in zip(PLAIN[name], got, want, strict=True):
        agree(a, b, what=expression)


def test_the_tables_are_large() -> None:
    assert len(CASES) > 800
    assert sum(map(len, EXPRESSIONS.values())) > 400
