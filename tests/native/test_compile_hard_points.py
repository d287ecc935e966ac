"""The hard points, compiled: derivatives, nan, signs of zero; and what must not leak or go stale."""

from __future__ import annotations

import array
import collections
import functools
import gc
import os
import random
import re
import secrets
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn
from chainrule.traced import TracedError
from tests.hard import row
from tests.native.agree import agree
from tests.test_hard_points import FIRST, MODES, SECOND, Row, a, close

inf, nan = np.inf, np.nan
HERE = "test_compile_hard_points.py"
NIGHTLY = bool(os.environ.get("CHAINRULE_NIGHTLY"))
LINES = Path(__file__).read_text().splitlines()


def compiled(f: Any, *args: Any) -> Any:
    with np.errstate(all="ignore"):
        return cr.compile(f)(*args)


def eager(f: Any, *args: Any) -> Any:
    with np.errstate(all="ignore"):
        return f(*args)


# -------------------------------------------------------------------- derivatives


@pytest.mark.parametrize("row", FIRST, ids=str)
def test_first_order(row: Row) -> None:
    every = tuple(range(len(row.point)))

    def run(*x: Any) -> Any:
        x = tuple(np.float64(a) if type(a) is float else a for a in x)  # 1 / 0.0 of Python's raises
        return [row.f(*x), *[cr.jacobian(row.f, argnums=every, mode=mode)(*x) for mode in MODES]]

    got, want = compiled(run, *row.point), eager(run, *row.point)
    for derivatives in got[1:]:
        for d, wanted in zip(derivatives, row.wanted, strict=True):
            close(d, wanted, row.atol)
    agree(got, want, rtol=1e-13)


@pytest.mark.parametrize("row", FIRST, ids=str)
def test_backward(row: Row) -> None:
    """On Values from outside, whose gradients are the state."""
    leaves = [Value(x) for x in row.point]
    compiled(lambda: row.f(*leaves).backward())
    for v, wanted in zip(leaves, row.wanted, strict=True):
        close(v.grad, wanted, row.atol)


@pytest.mark.parametrize("row", [r for r in FIRST if all(type(x) is float for x in r.point)], ids=str)
def test_arrays_like_numbers(row: Row) -> None:
    """Long enough for vectors and their ragged end."""
    point = tuple(np.full(21, x) for x in row.point)

    def run(*point: Any) -> Any:
        out = []
        for i in range(len(point)):

            def f(x: Any, i: int = i) -> Any:
                return row.f(*point[:i], x, *point[i + 1 :])

            out.append((cr.jvp(f, (point[i],), (np.ones(21),))[1], cr.vjp(f, point[i])[1](np.ones(21))[0]))
        return out

    for (t, g), wanted in zip(compiled(run, *point), row.wanted, strict=True):
        close(t, np.full(21, wanted))
        close(g, np.full(21, wanted))


@pytest.mark.parametrize("row", SECOND, ids=str)
def test_second_order(row: Row) -> None:
    def run(*x: Any) -> Any:
        return [cr.jacobian(cr.jacobian(row.f, mode=i), mode=o)(*x) for i in MODES for o in MODES]

    for got in compiled(run, *row.point):
        close(got, row.wanted[0], row.atol)


DELICATE = {1, 4, 8, 17}  # zeros that must send nothing; the other rows too in CHAINRULE_NIGHTLY


@pytest.mark.parametrize("row", [r for r in FIRST if NIGHTLY or r.number in DELICATE], ids=str)
def test_derivatives_of_the_compiled_function(row: Row) -> None:
    """The other way round: `cr.jacobian` of what was compiled."""
    f = cr.compile(row.f)
    every = tuple(range(len(row.point)))
    with np.errstate(all="ignore"):
        for mode in MODES:
            got = cr.jacobian(f, argnums=every, mode=mode)(*row.point)
            want = cr.jacobian(row.f, argnums=every, mode=mode)(*row.point)
            agree(got, want, rtol=1e-13)


@row(4)
def test_the_jacobian_of_independent_elements_is_diagonal() -> None:
    """However steep one of them is: nothing moves the others."""
    for mode in MODES:
        close(compiled(cr.jacobian(np.sqrt, mode=mode), a(0, 4)), np.diag(a(inf, 0.25)))
        D = cr.jacobian(lambda x: np.concatenate([np.log(x), x]), mode=mode)
        close(compiled(D, a(0, 2)), np.vstack([np.diag(a(inf, 0.5)), np.eye(2)]))
        D = cr.jacobian(lambda x: np.cumsum(np.sqrt(x)), mode=mode)
        close(compiled(D, a(0, 4)), np.array([[inf, 0], [inf, 0.25]]))


@row(37)
@pytest.mark.parametrize("inner", MODES)
@pytest.mark.parametrize("outer", MODES)
def test_perturbations_are_not_confused(outer: str, inner: str) -> None:
    def D(f: Any) -> Any:
        return cr.jacobian(f, mode=outer)

    def d(f: Any) -> Any:
        return cr.jacobian(f, mode=inner)

    assert compiled(D(lambda x: x * d(lambda y: x * y)(1.0)), 3.0) == 6
    assert compiled(D(lambda x: x * d(lambda y: x + y)(1.0)), 3.0) == 1
    assert compiled(D(lambda x: d(lambda y: (x + y) ** 3)(0.0)), 2.0) == 12
    product = cr.compile(lambda x, y: x * y)  # and with a compiled function within
    assert D(lambda x: x * d(lambda y: product(x, y))(1.0))(3.0) == 6


# -------------------------------------------------------------------- 41: arithmetic as written

ARITHMETIC: list[tuple[str, Any, tuple[Any, ...]]] = [
    ("(x + 1e17) - 1e17", lambda x: (x + 1e17) - 1e17, (1.0,)),
    ("1e17 + x - 1e17", lambda x: 1e17 + x - 1e17, (1.0,)),
    ("(x + y) + z", lambda x, y, z: (x + y) + z, (1e17, -1e17, 1.0)),
    ("x + (y + z)", lambda x, y, z: x + (y + z), (1.0, 1e17, -1e17)),
    ("(x + y) - y", lambda x, y: (x + y) - y, (1.0, 1e17)),
    ("x * y / y", lambda x, y: x * y / y, (1e200, 1e200)),
    ("x / y * y", lambda x, y: x / y * y, (1.0, 0.0)),
    ("x * (1 / y)", lambda x, y: x * (1.0 / (y + 0.0)), (3.0, 49.0)),
    ("x / 49", lambda x: x / 49.0, (3.0,)),
    ("log(exp x)", lambda x: np.log(np.exp(x)), (800.0,)),
    ("exp(log x)", lambda x: np.exp(np.log(x)), (-1.0,)),
    ("log(x y)", lambda x, y: np.log(x * y), (1e200, 1e200)),
    ("log(x) + log(y)", lambda x, y: np.log(x) + np.log(y), (1e200, 1e200)),
    ("sqrt(x)²", lambda x: np.sqrt(x) ** 2, (-1.0,)),
    ("sqrt(x²)", lambda x: np.sqrt(x * x), (1e200,)),
    ("-0 + 0", lambda x: x + 0.0, (-0.0,)),
    ("0 + -0", lambda x: 0.0 + x, (-0.0,)),
    ("-0 - 0", lambda x: x - 0.0, (-0.0,)),
    ("-0 + -0", lambda x: x + -0.0, (-0.0,)),
    ("0 - 0", lambda x: 0.0 - x, (0.0,)),
    ("-x at 0", lambda x: -x, (0.0,)),
    ("0 · x at -1", lambda x: 0.0 * x, (-1.0,)),
    ("0 · x at inf", lambda x: 0.0 * x, (inf,)),
    ("0 · x at nan", lambda x: x * 0, (nan,)),
    ("0 / x at -1", lambda x: 0.0 / (x + 0.0), (-1.0,)),
    ("x - x at inf", lambda x: x - x, (inf,)),
    ("x / x at inf", lambda x: x / x, (inf,)),
    ("x + x - x at huge", lambda x: x + x - x, (1.7e308,)),
    ("(x - 1) (x + 1)", lambda x: (x - 1) * (x + 1), (1 + 1e-12,)),
    ("min(max(x, 0), 1) of nan", lambda x: np.minimum(np.maximum(x, 0.0), 1.0), (nan,)),
    ("clip of nan", lambda x: np.clip(x, 0.0, 1.0), (nan,)),
    ("abs(-0)", abs, (-0.0,)),
    ("x⁰ at nan", lambda x: x**0, (nan,)),
    ("x == x at nan", lambda x: np.where(x == x, 1.0, 2.0), (nan,)),
    ("x != x at nan", lambda x: np.where(x != x, 1.0, 2.0), (nan,)),
    ("not (x < 1) at nan", lambda x: np.where(np.logical_not(x < 1), 1.0, 2.0), (nan,)),
    ("not (x >= 1) at nan", lambda x: np.where(np.logical_not(x >= 1), 1.0, 2.0), (nan,)),
    ("denormals stay", lambda x: x * 0.5, (5e-324,)),
    ("denormals of products", lambda x, y: x * y, (1e-160, 1e-160)),
    ("exp into denormals", np.exp, (-740.0,)),
    ("tanh of a denormal", np.tanh, (5e-324,)),
    ("expm1 of a denormal", np.expm1, (-5e-324,)),
    ("x - floor(x)", lambda x: x - np.floor(x), (-1e-20,)),
    ("sin of a large number", np.sin, (1e22,)),
    ("cos of a large number", np.cos, (1e300,)),
    ("tan near a pole", np.tan, (np.pi / 2,)),
    ("power of a negative", lambda x: x**3, (-2.0,)),
    ("power of a negative by a float", lambda x, y: x**y, (-2.0, 0.5)),
    ("hypot of the largest", np.hypot, (1e308, 1e308)),
    ("remainder of -0", lambda x: x % 1.0, (-0.0,)),
    ("sinc at 0", np.sinc, (0.0,)),
]


@row(41)
@pytest.mark.parametrize("name, f, point", ARITHMETIC, ids=[n for n, *_ in ARITHMETIC])
def test_arithmetic_as_written(name: str, f: Any, point: tuple[Any, ...]) -> None:
    """Of arrays, in vectors and their ragged end, and of NumPy's scalars."""
    for size in (1, 11, ()):
        x = [np.full(size, v) if size != () else np.float64(v) for v in point]
        got, want = compiled(f, *x), eager(f, *x)
        agree(got, want, ulp=4 if name != "tan near a pole" else 16, what=f"{name}, size {size}")


@row(41)
def test_sums_of_special_numbers() -> None:
    rows = np.array([[inf, 1, 2], [inf, -inf, 0], [nan, 1, 1], [5e-324, 0, 0], [-0.0] * 3, [0.0, -0.0, 0.0]])
    rows = np.concatenate([rows, np.ones((6, 40))], axis=1)

    def run(x: Any) -> Any:
        return [f(x, axis=k) for k in (0, 1, None) for f in (np.sum, np.prod, np.max, np.min, np.mean)]

    got, want = compiled(run, rows), eager(run, rows)
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-14)


@row(41)
def test_a_sum_that_cancels_is_as_exact_as_numpys() -> None:
    """Sums may be added up in another order, not in a worse one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=100_003) * 10.0 ** rng.uniform(-8, 8, 100_003)
    exact = float(np.sum(x.astype(np.longdouble)))
    plain = abs(float(np.sum(x)) - exact)
    assert abs(compiled(np.sum, x) - exact) <= 20 * plain + 1e-16 * np.sum(np.abs(x))
    y = x.astype(np.float32)
    exact = float(np.sum(y.astype(float)))
    assert abs(float(compiled(np.sum, y)) - exact) <= 1e-6 * float(np.sum(np.abs(y.astype(float))))
    ones = np.full(1 << 25, 1, np.float32)  # one after the other they stop at 2²⁴
    assert compiled(np.sum, ones) == 1 << 25


@row(7, 15, 16, 17, 20, 21)
def test_values_at_the_edge_of_floats() -> None:
    def run(x: Any, e: Any, z: Any) -> Any:
        return [
            np.linalg.norm(x), np.hypot(x[0], x[1]), cr.log_softmax(e), cr.softplus(e[0] / 400),
            cr.entropy(z), cr.xlogy(z[1], z[1]), cr.xlogy(z[0], z[1]), cr.logsumexp(np.log(z[1:])),
            np.log(-z), cr.logsumexp(e), cr.softmax(e), nn.cross_entropy(np.log(z)[None], z[None]),
        ]  # fmt: skip

    at = a(1e200, 1e200), a(1e4, -1e4), a(1.0, 0.0)
    agree(compiled(run, *at), eager(run, *at), rtol=1e-15)
    close(compiled(lambda x: np.linalg.norm(Value(x)), at[0]).data, 1e200 * 2**0.5)


@row(22)
@pytest.mark.parametrize("other", [2.0, 3, np.float64(2), a(1, 2), Value(a(1, 2))], ids=repr)
def test_a_float32_leaf_has_a_float32_gradient(other: Any) -> None:
    x = np.ones(2, np.float32)
    leaf = Value(x)
    compiled(lambda: np.sum(leaf * other).backward())
    assert leaf.grad.dtype == np.float32
    assert compiled(cr.grad(lambda x: np.sum(other * x) * 1.0), x).dtype == np.float32


@row(23)
@pytest.mark.parametrize("x", [3, True, np.arange(3), np.array([True]), np.int8(1)], ids=repr)
def test_an_integer_is_no_point_to_differentiate_at(x: Any) -> None:
    with pytest.raises(TypeError, match=r"expected floats; .*astype\(float\)"):
        compiled(cr.grad(np.sum), x)


# -------------------------------------------------------------------- 38: what leaves its trace

class Unseen:
    """Where a capture can leave something unseen: it looks through attributes and variables, not slots."""

    __slots__ = ("v",)


kept = Unseen()


def leak(what: str) -> Any:
    """A Traced or Value that a capture has left behind."""
    w = Value(a(1, 2))

    def f(x: Any) -> Any:
        kept.v = {"array": lambda: x * 2, "leaf": lambda: Value(x), "result": lambda: w * x}[what]()
        return x * 2

    cr.compile(f)(a(3, 4))
    return kept.v


USES: dict[str, Any] = {
    "+": lambda v: v + 1.0,
    "np.sin": np.sin,
    "np.sum": np.sum,
    "v[0]": lambda v: v[0],
    "np.where": lambda v: np.where(v > 0, v, 0.0),
    "v @ v": lambda v: v @ v,
    "of a new Value": lambda v: Value(a(1, 2)) * v,
    "the argument of another": lambda v: cr.compile(lambda x: x + 1)(v),
    "the closure of another": lambda v: cr.compile(lambda x: x + v)(a(1, 2)),
}


@row(38)
@pytest.mark.parametrize("what", ["array", "leaf", "result"])
@pytest.mark.parametrize("use", USES)
def test_a_value_used_after_its_trace_is_named(use: str, what: str) -> None:
    v = leak(what)
    with pytest.raises(TypeError, match=r"leak|ended|traced") as caught:
        USES[use](v)
    assert isinstance(caught.value, TracedError) and HERE in str(caught.value)


@row(38)
@pytest.mark.parametrize("what", ["leaf", "result"])
def test_backward_of_a_value_after_its_trace_is_named(what: str) -> None:
    v = leak(what)
    with pytest.raises(TracedError, match=r"leak|ended|traced"):
        np.sum(v).backward()


@row(38)
def test_a_leaked_value_can_be_looked_at() -> None:
    for what in ("array", "leaf", "result"):
        assert repr(leak(what)) and leak(what).shape == (2,)
    with pytest.raises(TracedError):
        float(np.sum(leak("leaf")).data)


@row(38)
def test_a_leak_through_an_attribute_is_taken_back() -> None:
    """What a parameter is given during a step is state; on other objects it is a leak."""
    box = types.SimpleNamespace(last=None)
    w = Value(a(1, 2))

    @cr.compile
    def step(x: Any) -> Any:
        box.last = np.sum(w * x)
        w.grad = None
        box.last.backward()
        return box.last

    with pytest.raises(TracedError, match=r"box\.last"):
        step(a(3, 4))
    assert box.last is None and np.array_equal(w.grad, [0, 0])


@row(38)
def test_a_value_of_another_trace_is_named() -> None:
    """Leaked from one capture into the next one."""
    seen = Unseen()

    @cr.compile
    def f(x: Any) -> Any:
        seen.v = getattr(seen, "v", x)
        return seen.v * x

    assert np.array_equal(f(a(1, 2)), [1, 4])
    with pytest.raises(TracedError, match=r"leak|ended"):
        f(a(1, 2).astype(np.float32))


# -------------------------------------------------------------------- 39: globals, closures, random numbers

RATE = 2.0
OPTIONS = {"rate": 2.0, "deep": {"rate": 2.0}}
TABLE = [2.0]
FIXED = types.SimpleNamespace(rate=2.0)
MODULE = types.ModuleType("settings")
MODULE.rate = 2.0  # type: ignore[attr-defined]


class Settings:
    rate = 2.0


class Slotted:
    __slots__ = ("rate",)

    def __init__(self) -> None:
        self.rate = 2.0


class Scaled:
    """A model whose method reads a global."""

    def __init__(self) -> None:
        self.rate = 2.0

    def by_attribute(self, x: Any) -> Any:
        return x * self.rate

    def by_global(self, x: Any) -> Any:
        return x * RATE

    def __call__(self, x: Any) -> Any:
        return x * RATE

    @property
    def doubled(self) -> Any:
        return RATE


def helper(x: Any) -> Any:
    return x * RATE


SLOTTED, SCALED = Slotted(), Scaled()
ORDERED = collections.OrderedDict(rate=2.0)
QUEUE = collections.deque([2.0])
SET = {2.0}


def set_global(v: Any) -> None:
    globals()["RATE"] = v


def change_queue(v: Any) -> None:
    QUEUE[0] = v


def change_set(v: Any) -> None:
    SET.clear()
    SET.add(v)


SOURCES: dict[str, tuple[Any, Any]] = {
    "a global": (lambda x: x * RATE, set_global),
    "a global of a function it calls": (lambda x: helper(x), set_global),
    "a global in a method": (lambda x: SCALED.by_global(x), set_global),
    "a global in a bound method": (SCALED.by_global, set_global),
    "a global in __call__": (lambda x: SCALED(x), set_global),
    "a global in a callable object": (SCALED, set_global),
    "a global in a property": (lambda x: x * SCALED.doubled, set_global),
    "a global in a lambda within": (lambda x: (lambda y: y * RATE)(x), set_global),
    "a global behind partial": (functools.partial(lambda k, x: k * x * RATE, 1.0), set_global),
    "a dictionary": (lambda x: x * OPTIONS["rate"], lambda v: OPTIONS.update(rate=v)),
    "a dictionary in one": (lambda x: x * OPTIONS["deep"]["rate"], lambda v: OPTIONS["deep"].update(rate=v)),
    "a list": (lambda x: x * TABLE[0], lambda v: TABLE.__setitem__(0, v)),
    "an attribute": (lambda x: x * FIXED.rate, lambda v: setattr(FIXED, "rate", v)),
    "an attribute of the method's object": (SCALED.by_attribute, lambda v: setattr(SCALED, "rate", v)),
    "an attribute of a class": (lambda x: x * Settings.rate, lambda v: setattr(Settings, "rate", v)),
    "an attribute of a module": (lambda x: x * MODULE.rate, lambda v: setattr(MODULE, "rate", v)),
    "an attribute in a slot": (lambda x: x * SLOTTED.rate, lambda v: setattr(SLOTTED, "rate", v)),
    "an ordered dictionary": (lambda x: x * ORDERED["rate"], lambda v: ORDERED.update(rate=v)),
    "a queue": (lambda x: x * QUEUE[0], change_queue),
    "a set": (lambda x: x * sum(SET), change_set),
}


@row(39)
@pytest.mark.parametrize("source", SOURCES)
def test_a_number_from_around_that_changes_is_noticed(source: str) -> None:
    """Whatever holds the number that the function reads: another one gives another result."""
    f, change = SOURCES[source]
    fast = cr.compile(f)
    x = a(1, 2)
    try:
        for rate in (2.0, 3.0, 3.0, 2.0, 5, -0.0):
            change(rate)
            agree(fast(x), f(x), what=f"rate {rate}")
    finally:
        change(2.0)


@row(39)
def test_a_number_in_a_closure_that_changes_is_noticed() -> None:
    rate = 2.0

    def f(x: Any) -> Any:
        return x * rate

    def through(x: Any) -> Any:
        return f(x) + 1

    fast, deep = cr.compile(f), cr.compile(through)
    for rate in (2.0, 3.0, 2, nan, inf):  # noqa: B007
        agree(fast(a(1, 2)), f(a(1, 2)))
        agree(deep(a(1, 2)), through(a(1, 2)))


@row(39)
@pytest.mark.parametrize("size", [3, 50_000])
def test_an_array_in_a_closure_that_changes_is_noticed(size: int) -> None:
    """Written into, and exchanged; small or large."""
    c = np.ones(size)
    part = c[:2]

    def f(x: Any) -> Any:
        return np.sum(x * c) + c[0] + part[1]

    fast, x = cr.compile(f), np.ones(size)
    agree(fast(x), f(x), rtol=1e-13)
    c[0] = 5
    agree(fast(x), f(x), rtol=1e-13)
    c[-1] = 7
    agree(fast(x), f(x), rtol=1e-13)
    c = np.full(size, 2.0)
    agree(fast(x), f(x), rtol=1e-13)


@row(39)
def test_a_value_in_the_place_of_another_is_noticed() -> None:
    """By identity: two Values with equal numbers are two Values."""
    holder = types.SimpleNamespace(w=Value(2.0))

    @cr.compile
    def step(x: Any) -> Any:
        loss = holder.w * x
        loss.backward()
        return loss

    first = holder.w
    step(3.0)
    holder.w = second = Value(2.0)
    step(3.0)
    assert (first.grad, second.grad) == (3.0, 3.0)


@row(39)
def test_a_function_in_the_place_of_another_is_noticed() -> None:
    holder = types.SimpleNamespace(f=np.sin)
    fast = cr.compile(lambda x: holder.f(x))
    agree(fast(a(1, 2)), np.sin(a(1, 2)))
    holder.f = np.cos
    agree(fast(a(1, 2)), np.cos(a(1, 2)))


@row(39)
def test_a_learning_rate_that_changes_is_noticed() -> None:
    def run(wrap: Any) -> Any:
        from chainrule import optim

        w = Value(a(1, 2))
        opt = optim.SGD([w], lr=0.1)

        @wrap
        def step() -> Any:
            opt.zero_grad()
            loss = np.sum(w * w)
            loss.backward()
            opt.step()
            return loss

        out = []
        for lr in (0.1, 0.1, 0.05, 0.2, 0.1):
            opt.lr = lr
            out.append(step().item())
        return out, w.data.copy()

    agree(run(cr.compile), run(lambda f: f))


GENERATOR = np.random.default_rng(0)
OLD = np.random.RandomState(0)
DRAWS: dict[str, Any] = {
    "np.random.normal": lambda x: x + np.random.normal(size=2),  # noqa: NPY002
    "np.random.rand": lambda x: x * np.random.rand(2),  # noqa: NPY002
    "random.random": lambda x: x * random.random(),
    "a generator": lambda x: x + GENERATOR.normal(size=2),
    "an old generator": lambda x: x + OLD.normal(size=2),
    "a new generator": lambda x: x + np.random.default_rng().normal(size=2),
    "a new bit generator": lambda x: x + np.random.Generator(np.random.PCG64()).normal(size=2),
    "a new old generator": lambda x: x + np.random.RandomState().normal(size=2),
    "a new generator of Python's": lambda x: x + random.Random().random(),
    "secrets": lambda x: x + secrets.randbelow(10),
    "the system": lambda x: x + os.urandom(1)[0],
    "a shuffle": lambda x: x[np.random.permutation(2)],  # noqa: NPY002
}


@row(39)
@pytest.mark.parametrize("source", DRAWS)
def test_random_numbers_drawn_while_compiling_are_an_error(source: str) -> None:
    fast = cr.compile(DRAWS[source])
    for _ in range(2):
        with pytest.raises(TracedError, match="random"):
            fast(a(1, 2))


@row(39)
def test_what_was_refused_has_drawn_nothing_and_works_outside() -> None:
    before = GENERATOR.bit_generator.state, OLD.random_sample(), random.getstate()
    again = np.random.RandomState(0)
    again.random_sample()
    for f in DRAWS.values():
        with pytest.raises(TracedError):
            cr.compile(f)(a(1, 2))
    assert (GENERATOR.bit_generator.state, random.getstate()) == (before[0], before[2])
    for g in (np.random.default_rng(), np.random.RandomState(), random.Random()):
        assert 0 <= g.random() < 1
    assert secrets.randbelow(1) == 0 and len(os.urandom(2)) == 2


@row(39)
def test_random_numbers_that_depend_on_a_fixed_seed_are_constants() -> None:
    assert cr.compile(lambda x: x * random.Random(3).random())(1.0) == random.Random(3).random()
    fast = cr.compile(lambda x: x + np.random.default_rng(3).normal(size=2))
    agree(fast(a(1, 2)), a(1, 2) + np.random.default_rng(3).normal(size=2))


# -------------------------------------------------------------------- 40: numbers asked for too early


def branch(x: Any) -> Any:
    return x if x > 0 else -x  # the line: branch


def branch_of_array(x: Any) -> Any:
    if np.sum(x) > 0:  # the line: branch_of_array
        return x
    return -x


def loop(x: Any) -> Any:
    while x < 10:  # the line: loop
        x = x * 2
    return x


def count(x: Any) -> Any:
    return sum(x for _ in range(x))  # the line: count


def number(x: Any) -> Any:
    return x * float(x)  # the line: number


def integer(x: Any) -> Any:
    return x * int(x)  # the line: integer


def both(x: Any) -> Any:
    return x > 0 and x < 1  # the line: both


def inverted(x: Any) -> Any:
    return x if not x else 0 * x  # the line: inverted


def item(x: Any) -> Any:
    return x * x.item()  # the line: item


def listed(x: Any) -> Any:
    return x * x.tolist()[0]  # the line: listed


def plain(x: Any) -> Any:
    return np.asarray(x) * 2  # the line: plain


def assigned(x: Any) -> Any:
    x[0] = 1.0  # the line: assigned
    return x


def augmented(x: Any) -> Any:
    out = np.zeros(2)
    out += x  # the line: augmented
    return out


def put(x: Any) -> Any:
    out = np.zeros(2)
    out[0] = x[0]  # the line: put
    return out


def masked(x: Any) -> Any:
    return x[x > 0]  # the line: masked


def math_function(x: Any) -> Any:
    import math

    return math.sin(x)  # the line: math_function


def largest(x: Any) -> Any:
    return max(x, 0 * x)  # the line: largest


def asserted(x: Any) -> Any:
    assert np.all(x > 0)  # the line: asserted
    return x


def indexed(x: Any) -> Any:
    return [1.0, 2.0][x] * 1.0  # the line: indexed


def nonzero(x: Any) -> Any:
    return np.nonzero(x)[0]  # the line: nonzero


def is_close(x: Any) -> Any:
    return x if np.allclose(x, 0) else 2 * x  # the line: is_close


def printed(x: Any) -> Any:
    return x * float(f"{x:.3f}")  # the line: printed


EARLY: list[tuple[Any, Any, str]] = [
    (branch, 1.0, r"cr\.cond|np\.where"),
    (branch_of_array, a(1, 2), r"cr\.cond|np\.where"),
    (loop, 1.0, r"cr\.while_loop"),
    (count, 3, r"static_argnums"),
    (number, 1.0, r"np functions|np\."),
    (integer, 1.0, r"static_argnums"),
    (both, 0.5, r"np\.where|cr\.cond"),
    (inverted, 0.5, r"np\.where|cr\.cond"),
    (item, a(1)[0], r"return it"),
    (listed, a(1, 2), r"return it"),
    (plain, a(1, 2), r"like=x"),
    (assigned, a(1, 2), r"x = x\.copy\(\)"),
    (augmented, a(1, 2), r"like=x"),
    (put, a(1, 2), r"like=x"),
    (masked, a(1, 2), r"np\.where"),
    (math_function, 1.0, r"np functions|np\."),
    (largest, 1.0, r"np\.where|cr\.cond|np\.maximum"),
    (asserted, a(1, 2), r"np\.where|cr\.cond"),
    (indexed, 1, r"static_argnums"),
    (nonzero, a(1, 2), r"np\.where"),
    (is_close, a(1, 2), r"np\.where|cr\.cond"),
]


@row(27, 40)
@pytest.mark.parametrize("f, x, remedy", EARLY, ids=[f.__name__ for f, *_ in EARLY])
@pytest.mark.parametrize("as_value", [False, True], ids=["array", "Value"])
def test_a_number_asked_for_too_early_names_line_and_remedy(
    f: Any, x: Any, remedy: str, as_value: bool
) -> None:
    """On a traced array, and on a Value made of it."""
    if as_value and (type(x) is int or f in (item, listed, augmented, assigned, put, plain)):
        return  # Values say more about these themselves
    run = (lambda x: f(Value(x))) if as_value else f
    line = next(n for n, text in enumerate(LINES, 1) if text.endswith(f"# the line: {f.__name__}"))
    with pytest.raises((TypeError, ValueError)) as caught:
        cr.compile(run)(x)
    error = caught.value
    if isinstance(error, ValueError):  # NumPy's, in front of ours
        error = error.__cause__
    text = str(error)
    if isinstance(error, TracedError):
        assert HERE in text and f"line {line}" in text, text
        assert re.search(remedy, text), text
    else:
        assert as_value and "v.data has the bare number" in text


@row(40)
def test_the_way_out_works() -> None:
    """What the messages recommend."""
    agree(cr.compile(lambda x: np.where(x > 0, x, -x))(a(1, -2)), a(1, 2))
    agree(cr.compile(lambda x: cr.cond(np.sum(x) > 0, lambda x: x, lambda x: -x, x))(a(-1, -2)), a(1, 2))
    agree(cr.compile(lambda x: cr.while_loop(lambda x: x < 10, lambda x: x * 2, x))(1.0), 16.0)
    agree(cr.compile(lambda x, n: sum(x for _ in range(n)), static_argnums=1)(a(1, 2), 3), a(3, 6))
    agree(cr.compile(lambda x: cr.array([x[1], x[0]]))(a(1, 2)), a(2, 1))


# -------------------------------------------------------------------- the others


@row(29)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_backward_adds_as_often_as_it_is_called(times: int) -> None:
    def run(wrap: Any) -> Any:
        x, w = Value(3.0), Value(a(1, 2))

        @wrap
        def step() -> Any:
            y = np.sum(np.tanh(x * w) ** 2) + x * x
            for _ in range(times):
                y.backward()
            return y

        return [step(), x.grad, w.grad.copy(), step(), x.grad, w.grad.copy()]

    agree(run(cr.compile), run(lambda f: f), rtol=1e-14)


@row(30)
def test_data_changed_between_forward_and_backward() -> None:
    """The gradient is of what was computed."""

    def run(wrap: Any) -> Any:
        x = Value(a(1, 2))

        @wrap
        def step() -> Any:
            y = np.sum(x * x)
            x.data = x.data * 100
            y.backward()
            return y

        return [step(), x.grad.copy(), x.data.copy(), step(), x.grad.copy(), x.data.copy()]

    agree(run(cr.compile), run(lambda f: f), rtol=1e-14)


@row(28)
def test_what_does_not_depend_has_derivative_zero() -> None:
    x, y = np.ones((2, 3)), 1.5

    def run(x: Any, y: Any) -> Any:
        return [
            cr.grad(lambda x, y: np.sum(x), (0, 1))(x, y),
            cr.grad(lambda x: 1.0)(x),
            cr.hessian(np.sum)(x[0]),
            cr.jvp(lambda x: 1.0, (y,), (1.0,)),
            cr.jacobian(lambda x: np.ones(4))(x),
        ]

    agree(compiled(run, x, y), eager(run, x, y))


@row(32)
def test_a_long_chain_and_a_wide_fan() -> None:
    """Thousands of scalar nodes in one function: no recursion anywhere."""
    n = 3_000

    def chain(x: Any) -> Any:
        v = x
        for _ in range(n):
            v = v * 1.0001
        return v

    def fan(x: Any) -> Any:
        total = x * 0.0
        for _ in range(n):
            total = total + x
        return total

    for f in (chain, fan):
        agree(cr.compile(cr.value_and_grad(f))(1.0), cr.value_and_grad(f)(1.0), rtol=1e-10)


@row(24)
def test_an_index_out_of_bounds_is_an_error() -> None:
    """Row 24: known while compiling, or computed."""
    x = a(1, 2, 3)
    for f in (lambda x: x[5], lambda x: x[[0, -4]], lambda x: np.take(x, 3)):
        with pytest.raises(IndexError, match="out of bounds"):
            cr.compile(f)(x)
    computed = cr.compile(cr.grad(lambda x, i: np.sum(x[i] ** 2)))
    agree(computed(x, np.array([0, 0, -1])), a(4, 0, 6))
    for i in ([0, 3], [-4, 0]):
        with pytest.raises(IndexError, match="out of bounds for an axis of size 3"):
            computed(x, np.array(i))


def added_at(x: Any, i: Any) -> Any:
    x = x + 0
    np.add.at(x, i, 2)
    return x


def assigned_at(x: Any, i: Any) -> Any:
    x = x + 0
    x[i] = 2 * x[-1]
    return x


@row(24)
@pytest.mark.parametrize("f", [
    lambda x, i: x[i], lambda x, i: np.take(x, i, axis=0), lambda x, i: np.take(x, i[0], axis=0), added_at,
    assigned_at, lambda x, i: np.take_along_axis(x, i[:1, None], 0),
], ids=["[]", "take", "take a number", "add.at", "[] =", "take_along_axis"])  # fmt: skip
@pytest.mark.parametrize("dtype", [float, np.float16, complex, int])
def test_an_axis_of_one_has_indices(f: Any, dtype: Any) -> None:
    """Row 24: what NumPy does in the middle of the program is tried with indices that are there."""
    x, i = np.full((1, 2), 3, dtype), np.array([0, -1])
    agree(cr.compile(f)(x, i), f(x, i))
    with pytest.raises(IndexError, match="out of bounds"):
        cr.compile(f)(x, i + 1)


def test_an_array_that_the_function_goes_on_writing_to() -> None:
    """Each use is of what was in it then, in operations that NumPy does, too."""

    def f(x: Any) -> Any:
        hot, total = np.zeros((8, 2))[::2, :1], 0.0  # a view with gaps
        for i in range(4):
            hot[:] = 0
            total = total + np.sum(x @ hot)
            hot[i] = i + 1
            total = total + np.sum(x @ hot) ** 2
            total = total + np.sum(np.searchsorted(hot[:, 0].cumsum(), x))
        return total

    x = np.arange(1.0, 5)
    for g in (f, cr.value_and_grad(f)):
        agree(cr.compile(g)(x), g(x), rtol=1e-12)


def test_a_large_array_around_a_function_is_not_written_to() -> None:
    buffer, x = np.zeros(10_000), np.arange(10_000.0)

    def f(x: Any) -> Any:
        total = 0.0
        for i in range(3):
            buffer[:] = 0
            buffer[i] = 1
            total = total + np.sum(x * buffer) ** 2
        return total

    assert f(x) == 5.0
    with pytest.raises(TypeError, match=r"writes to buffer, an array of 80,000 bytes .* buffer\.copy\(\)"):
        cr.compile(f)(x)

    def before(x: Any) -> Any:
        buffer[:] = 2
        return np.sum(x * buffer)

    def alone(x: Any) -> Any:
        buffer[0] += 1
        return np.sum(x)

    for g in (before, alone):
        with pytest.raises(TypeError, match=r"writes to buffer, an array of 80,000 bytes"):
            cr.compile(g)(x)


def test_memory_of_other_owners_is_read_as_it_was() -> None:
    def f(x: Any) -> Any:
        b = array.array("d", [1.0, 1.0, 1.0])
        y = np.multiply(x, b)
        b[0] = 7.0
        return y

    x = np.array([1.0, 2.0, 3.0])
    agree(cr.compile(f)(x), x)


def test_a_large_array_holds_for_the_derivative_what_it_held() -> None:
    large = np.ones(20_000)
    f = cr.compile(lambda x: (x**2 * large[:3]).sum())
    v = Value(np.ones(3))
    y, (_, pull) = f(v), cr.vjp(f, np.ones(3))
    agree(pull(1.0)[0], np.full(3, 2.0))
    large[:] = 100
    for again in (y.backward, lambda: pull(1.0)):
        with pytest.raises(RuntimeError, match=r"large, a large array .* pass large as an argument"):
            again()
    assert not v.grad.any()
    f(v).backward()
    agree(v.grad, np.full(3, 200.0))


@row(33)
def test_graphs_of_compiled_functions_are_freed_without_the_cyclic_collector() -> None:
    """Row 33: the Values that they return, and what their derivatives leave."""

    def values() -> int:
        return sum(type(o) is Value for o in gc.get_objects())

    fast, v = cr.compile(lambda x: np.sum(np.sin(x) ** 2)), Value(a(1, 2))
    (fast(v) * 2).backward()
    gc.collect()
    gc.disable()
    try:
        before = values()
        for _ in range(3):
            y = fast(v) * 2
            y.backward()
            assert values() > before
            del y
        assert values() == before
    finally:
        gc.enable()


@row(34)
def test_an_error_half_way_changes_nothing() -> None:
    """Row 34: raised by NumPy in the middle of the program."""
    w, v = Value(np.eye(2)), Value(a(1, 2))

    @cr.compile
    def step(x: Any) -> Any:
        np.sum(w * x).backward()
        w.data -= 0.1 * w.grad
        v.data = v.data + 1
        np.sum(np.linalg.inv(w * x) @ v).backward()

    with pytest.raises(np.linalg.LinAlgError):
        step(np.zeros((2, 2)))
    agree([w.data, w.grad, v.data, v.grad], [np.eye(2), np.zeros((2, 2)), a(1, 2), a(0, 0)])


def test_real_if_close_of_real_numbers_is_themselves() -> None:
    x = np.array([1.0, 2.0])
    f = lambda x: np.real_if_close(x) * 2
    np.testing.assert_array_equal(cr.compile(f)(x), f(x))
    with pytest.raises(TracedError, match="real_if_close of a traced value: whether the result is complex"):
        cr.compile(f)(x + 0j)
