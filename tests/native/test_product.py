"""The program's own products of matrices: every shape of block, every layout, nothing beyond the end."""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule.native import machine, product
from chainrule.native.emit import ATTRIBUTES
from chainrule.native.text import Writer
from chainrule.rules.convolution import correlate
from tests.native.agree import agree

KIND = {"d": "double", "f": "float"}
POINTERS = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)
# One, less than a vector, vectors and blocks of them, and a bit more: up to 8 rows by 3 vectors of 2 to 16.
SIZES = (1, 2, 3, 5, 8, 9, 16, 17, 33, 50)
LAYOUTS = ("rows", "columns", "rows with gaps", "columns with gaps")


class Case(NamedTuple):
    m: int
    n: int
    k: int
    a: str = "rows"
    b: str = "rows"
    alpha: float | str = 1.0  # a text: a number in memory
    added: bool = False
    bits: int = 0


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", "off")


def guarded(shape: tuple[int, int], layout: str, dtype: Any) -> tuple[Any, int, int]:
    """A matrix whose last element is the last of a page, after which nothing can be read or written.

    Returns
    -------
    the matrix, and its steps from row to row and from column to column, in elements
    """
    m, n = shape if layout.startswith("rows") else shape[::-1]
    step = n + 3 if layout.endswith("gaps") else n
    size, page = ((m - 1) * step + n) * np.dtype(dtype).itemsize, mmap.PAGESIZE
    pages = -(-size // page)
    memory = mmap.mmap(-1, (pages + 1) * page)
    whole = np.frombuffer(memory, np.uint8)
    if os.name == "posix":
        after = whole.ctypes.data + pages * page
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(after), ctypes.c_size_t(page), 0) == 0
    line = whole[pages * page - size : pages * page].view(dtype)
    line[:] = np.nan
    x = np.lib.stride_tricks.as_strided(line, (m, n), (step * line.itemsize, line.itemsize))
    return (x, step, 1) if layout.startswith("rows") else (x.T, 1, step)


def written(i: int, case: Case, dtype: str, a: Any, b: Any) -> tuple[str, set[str]]:
    w = Writer()
    alpha: float | str = case.alpha
    if isinstance(alpha, str):
        alpha = w.set(f"load {KIND[dtype]}, ptr %alpha")
    bits = case.bits or machine.host().vector_bits
    inner = [product.Level(case.k, a[1], b[0])]
    product.product(
        w, KIND[dtype], bits, (case.m, case.n), inner,
        ("%a", a[0]), ("%b", b[1]), ("%c", case.n), alpha, case.added,
    )  # fmt: skip
    text = w.text(f"f{i}", "ptr %a, ptr %b, ptr %c, ptr %alpha", ATTRIBUTES)
    return text.replace("define internal", "define"), w.declared


def check(cases: Sequence[Case], dtype: str, fill: Any = None) -> None:
    """Each product against NumPy's in double precision, within what rounding allows."""
    rng, texts, declared, data = np.random.default_rng(0), [], set[str](), []
    for i, case in enumerate(cases):
        (a, *at), (b, *bt) = (
            guarded(shape, layout, dtype)
            for shape, layout in (((case.m, case.k), case.a), ((case.k, case.n), case.b))
        )
        c, *_ = guarded((case.m, case.n), "rows", dtype)
        for x in (a, b, c):
            x[...] = rng.normal(size=x.shape)
        if fill is not None:
            fill(rng, a, b)
        data.append((a, b, c))
        text, names = written(i, case, dtype, at, bt)
        texts.append(text)
        declared |= names
    library = machine.load("\n".join([*sorted(declared), *texts]))
    for i, (case, (a, b, c)) in enumerate(zip(cases, data, strict=True)):
        scale = np.array([-0.75 if isinstance(case.alpha, str) else case.alpha], dtype)
        base = c.astype(float) if case.added else np.zeros(c.shape)
        with np.errstate(invalid="ignore"):
            want = base + float(scale[0]) * (a.astype(float) @ b.astype(float))
            size = np.abs(base) + abs(float(scale[0])) * (np.abs(a.astype(float)) @ np.abs(b.astype(float)))
        before = a.tobytes(), b.tobytes()
        POINTERS(library.address(f"f{i}"))(*(x.ctypes.data for x in (a, b, c, scale)))
        assert (a.tobytes(), b.tobytes()) == before
        finite = np.isfinite(want)
        np.testing.assert_array_equal(c[~finite], want[~finite].astype(dtype), str(case))
        bound = (case.k + 3) * np.finfo(dtype).eps * size + np.finfo(dtype).tiny
        assert np.all(np.abs(c[finite] - want[finite]) <= bound[finite]), case


@pytest.mark.parametrize("dtype", ["d", "f"])
@pytest.mark.parametrize("m", [1, 3, 8, 9, 17])
def test_sizes(m: int, dtype: str) -> None:
    check([Case(m, n, k) for n in SIZES for k in (1, 2, 7, 16)], dtype)


@pytest.mark.parametrize("dtype", ["d", "f"])
@pytest.mark.parametrize("b", LAYOUTS)
@pytest.mark.parametrize("a", LAYOUTS)
def test_layouts(a: str, b: str, dtype: str) -> None:
    sizes = [(1, 1, 1), (1, 17, 9), (5, 1, 8), (4, 3, 1), (9, 16, 16), (13, 50, 33), (3, 99, 2)]
    check([Case(*size, a, b) for size in sizes], dtype)


@pytest.mark.parametrize("dtype", ["d", "f"])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("alpha", [1.0, -1.0, 0.5, 0.0, "in memory"])
def test_scaled_and_added(alpha: Any, added: bool, dtype: str) -> None:
    sizes = [(1, 1, 1), (5, 7, 3), (9, 33, 17), (2, 64, 5)]
    check([Case(*size, b=b, alpha=alpha, added=added) for size in sizes for b in LAYOUTS[:2]], dtype)


@pytest.mark.parametrize("dtype", ["d", "f"])
@pytest.mark.parametrize("bits", [128, 256, 512])
def test_vectors_of_any_width(bits: int, dtype: str) -> None:
    sizes = itertools.product((1, 9), (1, 6, 31), (1, 20))
    check([Case(*size, b=b, bits=bits) for size in sizes for b in LAYOUTS[:2]], dtype)


@pytest.mark.parametrize("dtype", ["d", "f"])
def test_panels_are_packed_where_rows_are_far_apart(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "FAR", 0)
    check([Case(*size, b=b) for size in [(40, 50, 33), (33, 7, 16), (64, 48, 1)] for b in LAYOUTS], dtype)


@pytest.mark.parametrize("dtype", ["d", "f"])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 0.0])
def test_special_values_reach_what_depends_on_them_and_nothing_else(special: float, dtype: str) -> None:
    def fill(rng: Any, a: Any, b: Any) -> None:
        a[rng.integers(a.shape[0]), rng.integers(a.shape[1])] = special
        b[rng.integers(b.shape[0]), rng.integers(b.shape[1])] = special

    check([Case(m, n, 7, a, a) for m in (1, 9) for n in (1, 5, 17, 50) for a in LAYOUTS[:2]], dtype, fill)
    check([Case(9, 17, 5, alpha=alpha, added=True) for alpha in (0.0, 2.0, "in memory")], dtype, fill)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("m, n, k", [s for s in itertools.product((0, 1, 3), repeat=3) if 0 in s])
def test_nothing_to_multiply(m: int, n: int, k: int, dtype: Any) -> None:
    """In a program: sums over nothing are 0, and what is added to them stays."""
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=s).astype(dtype) for s in ((m, k), (k, n), (m, n)))
    x, y = cr.compile(lambda a, b, c: (a @ b, c - dtype(0.5) * (a @ b)))(a, b, c)
    np.testing.assert_array_equal(x, a @ b)
    np.testing.assert_array_equal(y, c)
    assert (x.dtype, y.dtype) == (dtype, dtype)


@pytest.mark.parametrize("batch", [(), (0,), (2, 0)])
def test_products_of_nothing(batch: tuple[int, ...]) -> None:
    f = cr.value_and_grad(lambda a, b, c: np.sum(np.cos(c - 0.5 * (a @ b))), (0, 1, 2))
    fast = cr.compile(f)
    for m, n, k in itertools.product((0, 2), (0, 3), (0, 4)):
        a, b, c = (np.ones((*batch, *shape)) for shape in ((m, k), (k, n), (m, n)))
        if 0 in (*batch, m, n, k):
            agree(fast(a, b, c), f(a, b, c), rtol=1e-14)


def test_the_product_of_an_empty_stack_with_its_transpose() -> None:
    assert cr.compile(lambda x: x @ np.swapaxes(x, -1, -2))(np.zeros((0, 5, 4))).shape == (0, 5, 5)


def test_a_convolution_of_no_images() -> None:
    x, w = np.ones((0, 6, 6, 2)), np.ones((3, 3, 2, 2))
    f = cr.value_and_grad(
        lambda x, w: np.sum(np.cos(correlate(x, w, strides=(1, 1), dilation=(1, 1)))), (0, 1)
    )
    agree(cr.compile(f)(x, w), f(x, w), rtol=1e-14)


@pytest.mark.parametrize(("channels", "results"), [(0, 2), (2, 0), (0, 0)])
def test_a_convolution_without_channels_is_zero(channels: int, results: int) -> None:
    f = cr.compile(lambda x, w: correlate(x, w, strides=(1, 1), dilation=(1, 1)))
    got = f(np.ones((2, 6, 6, channels)), np.ones((3, 3, channels, results)))
    agree(got, np.zeros((2, 4, 4, results)))
