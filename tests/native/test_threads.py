"""Loops shared among threads: the same numbers, whatever the number of threads."""

from __future__ import annotations

import ctypes
import errno
import threading
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

import chainrule as cr
from chainrule.native import blas, lower, machine, team
from chainrule.native import threads as setting

COUNTS = (1, 2, 3, 5)
Shape = tuple[int, ...]


@pytest.fixture(autouse=True)
def _setting_restored() -> Iterator[None]:
    before, chosen = cr.threads(), setting.chosen
    cr.threads(before)  # BLAS follows from here on
    yield
    cr.threads(before)
    setting.chosen = chosen


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share the smallest of loops."""
    monkeypatch.setattr(team, "LEAST", 0)
    monkeypatch.setattr(team, "SHARE", 1e-9)


def array(*shape: int, dtype: Any = np.float64, seed: int = 0) -> Any:
    x = np.random.default_rng([seed, *shape]).normal(size=shape)
    if dtype is bool:
        return x > 0
    return (x if np.dtype(dtype).kind == "f" else 10 * x).astype(dtype)


def shared(f: Any) -> bool:
    """Whether a compiled function's last program has loops that threads share."""
    return f.last.image.team is not None


def check(f: Callable[..., Any], *args: Any, rtol: float = 1e-12) -> None:
    """Compiled with each number of threads as NumPy has it, twice the same, and shared at all."""
    g = cr.compile(f)
    wanted = f(*args)
    for n in COUNTS:
        cr.threads(n)
        first, second = g(*args), g(*args)
        assert shared(g)
        for x, y, z in zip(leaves(first), leaves(second), leaves(wanted), strict=True):
            assert x.dtype == np.asarray(z).dtype
            np.testing.assert_array_equal(x, y)
            if np.asarray(z).dtype.kind == "f":
                scale = np.max(np.abs(z), initial=1.0)
                np.testing.assert_allclose(x, z, rtol=rtol, atol=rtol * scale)
            else:
                np.testing.assert_array_equal(x, z)


def leaves(x: Any) -> list[Any]:
    return [z for y in x for z in leaves(y)] if isinstance(x, tuple) else [np.asarray(x)]


# -------------------------------------------------------------------- large enough by themselves


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elements(dtype: Any) -> None:
    x = array(1_000_003, dtype=dtype)
    check(lambda x: np.tanh(1.5 * x + 0.3) * np.exp(-x), x, rtol=1e-13 if dtype == np.float64 else 1e-5)


def test_a_sum_and_its_gradient() -> None:
    check(cr.value_and_grad(lambda x: np.sum(np.tanh(x) ** 2)), array(1_000_007))


def test_log_softmax_of_rows() -> None:
    def loss(x: Any) -> Any:
        return np.mean((x - np.max(x, 1, keepdims=True) - np.log(np.sum(np.exp(x), 1, keepdims=True))) ** 2)

    check(cr.value_and_grad(loss), array(129, 1003))


def test_the_number_of_threads_can_change_between_calls() -> None:
    g, x = cr.compile(lambda x: np.sum(np.sin(x))), array(500_001)
    found: dict[int, set[float]] = {}
    for n in (1, 2, 5, 2, 1, 3, 5, 3, 1):
        assert cr.threads(n) == cr.threads() == n
        found.setdefault(n, set()).add(float(g(x)))
    assert shared(g)
    assert all(len(same) == 1 for same in found.values())


def test_small_loops_are_not_shared() -> None:
    g = cr.compile(lambda x: np.tanh(x) * 2)
    g(array(1000))
    assert not shared(g)


def test_loops_in_a_scan_are_not_shared(always: None) -> None:
    g = cr.compile(lambda x: cr.scan(lambda c, _: (np.sin(c) + 1, None), x, None, 3)[0])
    x = array(4, 7)
    cr.threads(3)
    np.testing.assert_allclose(g(x), np.sin(np.sin(np.sin(x) + 1) + 1) + 1, rtol=1e-14)
    assert "cr_parallel" not in "".join(t for t in g.llvm_ir().split("define") if "@scan" in t)


def test_several_python_threads() -> None:
    """Programs of their own, and one for all; the setting changes meanwhile."""
    xs = [array(200_000 + i) for i in range(4)]
    wanted = [np.exp(x) + 1 for x in xs]
    one = cr.compile(lambda x: np.exp(x) + 1)
    wrong: list[Any] = []

    def work(i: int) -> None:
        try:
            mine = cr.compile(lambda x: np.exp(x) + 1)
            for turn in range(6):
                cr.threads(1 + (i + turn) % 4)
                for f in (mine, one):
                    np.testing.assert_allclose(f(xs[i]), wanted[i], rtol=1e-14)
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not wrong
    assert shared(one)


# -------------------------------------------------------------------- every kind of loop, made to be shared


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, -1, keepdims=True))
    return e / np.sum(e, -1, keepdims=True)


def normalised(x: Any, scale: Any, shift: Any) -> Any:
    centred = x - np.mean(x, -1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, -1, keepdims=True) + 1e-5) * scale + shift


def sums(x: Any) -> Any:
    return np.sum(x), np.sum(x, 0), np.sum(x, 1)


# name: a function, and the shapes it is tried with
KINDS: dict[str, tuple[Callable[..., Any], list[tuple[Shape, ...]]]] = {
    "elements": (lambda x: np.exp(-x) * 2, [((n,),) for n in (2, 7, 8, 9, 17, 1000, 8195)]),
    "broadcast": (lambda x, y: np.tanh(x + y), [((5, 3), (3,)), ((2, 19), (2, 1)), ((3, 4, 5), (4, 1))]),
    "transposed": (lambda x: np.cos(x).T + x.T, [((3, 17),), ((33, 5),)]),
    "sum of all": (lambda x: np.sum(x * x), [((3,),), ((40,),), ((30_011,),), ((7, 9),)]),
    "several sums": (sums, [((4, 3),), ((37, 21),), ((2, 700),)]),
    "sum of the middle": (lambda x: np.sum(np.exp(x), 1), [((5, 4, 3),), ((2, 50, 9),)]),
    "largest, smallest": (lambda x: (np.max(x), np.min(x, 0), np.max(x, 1)), [((11, 13),), ((2, 100),)]),
    "product": (lambda x: np.prod(np.tanh(x) + 1.5), [((60,),), ((5, 7),)]),
    "softmax": (softmax, [((9, 21),), ((3, 4, 5),), ((2, 1000),), ((77,),)]),
    "layer norm": (normalised, [((9, 21), (21,), (21,)), ((2, 3, 8), (8,), (8,))]),
    "mean and variance of all": (
        lambda x: (x - np.mean(x)) / np.sqrt(np.mean((x - np.mean(x)) ** 2) + 1e-5),
        [((23,),), ((20_003,),), ((5, 9),)],
    ),
    "share of all, across rows": (
        lambda x, y: x.T * y / np.sum(x.T * y), [((5, 9), (9, 5)), ((130, 3), (3, 130))],
    ),
    "comparison": (lambda x: (x > 0, np.any(x > 2.5), np.all(x > -9, 0)), [((7, 5),), ((1003,),)]),
    "empty": (lambda x, y: (x * 2, np.sum(x), np.exp(y)), [((0,), (65,)), ((3, 0), (4, 4))]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind: str, always: None) -> None:
    f, tries = KINDS[kind]
    for shapes in tries:
        check(f, *[array(*shape, seed=i) for i, shape in enumerate(shapes)])


@pytest.mark.parametrize("kind", ["broadcast", "softmax", "layer norm", "share of all, across rows"])
def test_gradients_of_kinds(kind: str, always: None) -> None:
    """Sums over the outermost loop among them: what was broadcast along it."""
    f, tries = KINDS[kind]
    for shapes in tries:
        args = [array(*shape, seed=i) for i, shape in enumerate(shapes)]
        every = tuple(range(len(args)))
        check(cr.value_and_grad(lambda *a: np.sum(np.sin(f(*a))), argnums=every), *args, rtol=1e-11)


def test_a_bias_gradient_of_a_large_batch() -> None:
    x, b = array(3000, 130), array(130, seed=1)
    check(cr.value_and_grad(lambda x, b: np.sum(np.tanh(x + b)), argnums=(0, 1)), x, b)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32, bool])
def test_dtypes(dtype: Any, always: None) -> None:
    x = array(13, 37, dtype=dtype)
    if dtype is bool:
        check(lambda x: (~x, np.any(x), np.all(x, 0), np.any(x, 1)), x)
    else:
        check(lambda x: (x + x * 3, np.sum(x), np.sum(x, 0), np.max(x)), x, rtol=1e-5)


def test_state_written_in_place(always: None) -> None:
    """A whole training step, its parameters in place."""

    def train(n: int) -> list[Any]:
        cr.threads(n)
        w, b = cr.Value(array(19, 7)), cr.Value(np.zeros(7))
        x, y = array(33, 19, seed=1), array(33, 7, seed=2)

        @cr.compile
        def step(x: Any, y: Any) -> Any:
            w.grad = b.grad = None
            loss = np.mean((np.tanh(x @ w + b) - y) ** 2)
            loss.backward()
            for p in (w, b):
                p.data -= 0.1 * p.grad
            return loss

        return [float(step(x, y).data) for _ in range(20)] + [w.data, b.data]

    wanted = train(1)
    for n in COUNTS[1:]:
        for a, b in zip(train(n), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_where_no_thread_can_be_had(always: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is done in the calling thread."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
    refused = kind(lambda *_: errno.EAGAIN)
    llvm.add_symbol("cr_refused", ctypes.cast(refused, ctypes.c_void_p).value)
    monkeypatch.setattr(lower, "PARALLEL", machine.PARALLEL.replace("@pthread_create", "@cr_refused"))
    check(sums, array(40, 30))


# -------------------------------------------------------------------- the setting


def test_blas_uses_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(blas, "set_threads", told.append)
    cr.threads()
    assert told == []
    cr.threads(2)
    assert told == [2]


@pytest.mark.parametrize(
    ("value", "wanted"), [("", 8), ("1", 1), ("3,2", 3), ("100", 8), ("0", 8), ("many", 8), ("-2", 8)]
)
def test_the_number_at_first(value: str, wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert setting._available() == wanted


@pytest.mark.parametrize("n", [0, -1, 1025])
def test_numbers_that_make_no_sense(n: int) -> None:
    with pytest.raises(ValueError, match=f"threads: n is {n}, expected 1 to 1024"):
        cr.threads(n)


@pytest.mark.parametrize("n", [2.0, "2", True])
def test_what_is_no_number(n: Any) -> None:
    with pytest.raises(TypeError, match=r"threads: n is a .*, expected an int"):
        cr.threads(n)
