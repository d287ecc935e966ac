"""Products by BLAS against NumPy, from row-major matrices with gaps between the rows."""

import ctypes
import itertools

import numpy as np
import pytest

from chainrule.native import blas, machine

POINTERS = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)


def assert_close(result, expected, message):
    tolerance = {"f": 1e-5, "d": 1e-13}[result.dtype.char]
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance * 10, err_msg=message)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", "off")


def compiled(*bodies, arguments="ptr %a, ptr %b, ptr %c"):
    """A module with one function for each body; it compiles once, which is quicker."""
    blas.symbols()
    lines = [f"define void @f{i}({arguments}) {{\n{body}  ret void\n}}\n" for i, body in enumerate(bodies)]
    return machine.load(blas.DECLARATIONS + "".join(lines))


def run(library, i, *arrays):
    POINTERS(library.address(f"f{i}"))(*(array.ctypes.data for array in arrays))


def filled(random, shape, gap, dtype):
    """A matrix in a wider one: whoever reads or writes the gap is found out."""
    whole = np.full((shape[0] + 1, shape[1] + gap + 1), np.nan, dtype)
    view = whole[: shape[0], : shape[1]]
    view[...] = random.standard_normal(shape)
    return whole, view, whole.shape[1]


SHAPES = [(1, 1, 1), (3, 4, 5), (5, 1, 7), (1, 6, 4), (8, 3, 1), (17, 33, 20), (64, 10, 128),
          (0, 3, 4), (3, 0, 4), (3, 4, 0), (3, 1, 0), (1, 3, 0), (1, 1, 0), (0, 0, 0)]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gemm(dtype):
    random = np.random.default_rng(0)
    cases, bodies = [], []
    scalars = [(1.0, 0.0), (1.0, 1.0), (-0.1, 1.0), (2.5, -0.3)]
    for (m, n, k), ta, tb, gap, (alpha, beta) in itertools.product(
        SHAPES, (False, True), (False, True), (0, 3), scalars
    ):
        a, a_view, lda = filled(random, (k, m) if ta else (m, k), gap, dtype)
        b, b_view, ldb = filled(random, (n, k) if tb else (k, n), gap, dtype)
        c, c_view, ldc = filled(random, (m, n), gap, dtype)
        if beta == 0:
            c_view[...] = np.nan  # not read, so no nan comes out
        expected = alpha * (a_view.T if ta else a_view) @ (b_view.T if tb else b_view)
        expected = expected + (beta * c_view if beta else 0)
        cases.append((a, b, c, c_view, expected))
        bodies.append(blas.gemm(dtype, m, n, k, "%a", lda, ta, "%b", ldb, tb, "%c", ldc, alpha, beta))
    library = compiled(*bodies)
    for i, (a, b, c, c_view, expected) in enumerate(cases):
        before = a.copy(), b.copy(), np.isnan(c).sum() - np.isnan(c_view).sum()
        run(library, i, a, b, c)
        assert_close(c_view, expected, bodies[i])
        np.testing.assert_array_equal(a, before[0])
        np.testing.assert_array_equal(b, before[1])
        assert np.isnan(c).sum() == before[2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gemv(dtype):
    random = np.random.default_rng(0)
    cases, bodies = [], []
    for (m, n), t, step, beta in itertools.product(
        [(1, 1), (3, 5), (40, 7), (0, 3), (3, 0), (0, 0)], (False, True), (1, 3), (0.0, 1.0, -0.5)
    ):
        a, a_view, lda = filled(random, (n, m) if t else (m, n), 2, dtype)
        x = np.full(n * step + 1, np.nan, dtype)
        y = np.full(m * step + 1, np.nan, dtype)
        x_view, y_view = x[: n * step : step], y[: m * step : step]
        x_view[...] = random.standard_normal(n)
        if beta:
            y_view[...] = random.standard_normal(m)
        expected = 1.5 * (a_view.T if t else a_view) @ x_view + (beta * y_view if beta else 0)
        cases.append((a, x, y, y_view, expected))
        bodies.append(blas.gemv(dtype, m, n, "%a", lda, t, "%b", step, "%c", step, 1.5, beta))
    library = compiled(*bodies)
    for i, (a, x, y, y_view, expected) in enumerate(cases):
        run(library, i, a, x, y)
        assert_close(y_view, expected, bodies[i])
        assert np.isnan(y).sum() == y.size - y_view.size


@pytest.mark.parametrize("dtype, kind", [("float32", "float"), ("float64", "double")])
def test_scalars_may_be_values_of_the_program(dtype, kind):
    # W -= lr * Xᵀ G in one call
    body = (
        f"  %at = getelementptr {kind}, ptr %rate, i64 1\n  %lr = load {kind}, ptr %at\n"
        f"  %minus = fneg {kind} %lr\n"
        + blas.gemm(dtype, 4, 3, 8, "%x", 4, True, "%g", 3, False, "%w", 3, "%minus", 1.0)
    )  # fmt: skip
    library = compiled(body, arguments="ptr %rate, ptr %x, ptr %g, ptr %w")
    random = np.random.default_rng(0)
    x, g, w = (random.standard_normal(s).astype(dtype) for s in ((8, 4), (8, 3), (4, 3)))
    rate = np.array([9.0, 0.1], dtype)
    expected = w - rate[1] * x.T @ g
    step = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(library.address("f0"))
    step(*(v.ctypes.data for v in (rate, x, g, w)))
    np.testing.assert_allclose(w, expected, rtol=1e-5)


def test_special_values_go_through():
    library = compiled(blas.gemm("d", 2, 2, 2, "%a", 2, False, "%b", 2, False, "%c", 2, 1.0, 0.0))
    a = np.array([[np.inf, 1.0], [np.nan, 2.0]])
    b, c = np.array([[0.0, 1.0], [1.0, 1.0]]), np.zeros((2, 2))
    run(library, 0, a, b, c)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(c, a @ b)


def test_a_call_in_a_long_loop_keeps_the_stack():
    body = (
        "  br label %loop\nloop:\n  %i = phi i64 [0, %0], [%next, %loop]\n"
        + blas.gemm("d", 1, 1, 1, "%a", 1, False, "%b", 1, False, "%c", 1, 1.0, 1.0)
        + "  %next = add i64 %i, 1\n  %more = icmp slt i64 %next, 300000\n"
        "  br i1 %more, label %loop, label %end\nend:\n"
    )
    a, b, c = np.array([1.0]), np.array([2.0]), np.array([0.0])
    run(compiled(body), 0, a, b, c)
    assert c[0] == 600_000


def test_other_dtypes_are_refused():
    with pytest.raises(KeyError):
        blas.gemm("int64", 1, 1, 1, "%a", 1, False, "%b", 1, False, "%c", 1, 1.0, 0.0)


def test_a_blas_with_64_bit_integers_is_refused(monkeypatch):
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    signature = ctypes.create_string_buffer(b"void (char *, char *, int64_t *)")
    capsule = new(("PyCapsule_New", ctypes.pythonapi))(1, ctypes.addressof(signature), None)
    monkeypatch.setattr(blas.cython_blas, "__pyx_capi__", dict.fromkeys(blas.FUNCTIONS, capsule))
    with pytest.raises(ImportError, match="32-bit integers"):
        blas.symbols.__wrapped__()


def openblas():
    library = ctypes.CDLL(blas.cython_blas.__file__)
    for prefix in ("scipy_", ""):
        if function := getattr(library, prefix + "openblas_get_num_threads", None):
            return function
    pytest.skip("SciPy has another BLAS")


def test_number_of_threads():
    threads = openblas()
    before = threads()
    try:
        for n in (1, 2):
            blas.set_threads(n)
            assert threads() == n
    finally:
        blas.set_threads(before)


def test_number_of_threads_of_another_blas(monkeypatch):
    monkeypatch.setattr(blas.ctypes, "CDLL", lambda name: object())
    assert blas.set_threads(2) is None
