"""Matrix products in native code: SciPy's BLAS, called by address.

SciPy's ``cython_blas`` hands out pointers to the functions of the BLAS that it was built with. The IR calls
them by name (``cr_dgemm``), and `symbols` tells LLVM's linker where they are.
"""

from __future__ import annotations

import ctypes
import functools
import struct

import numpy as np
import numpy.typing as npt

from chainrule.native import threads
from chainrule.native.machine import require

__all__ = ["DECLARATIONS", "gemm", "gemv", "set_threads", "symbols"]

require()

import llvmlite.binding as llvm  # noqa: E402
import scipy.linalg.cython_blas as cython_blas  # noqa: E402

Scalar = float | str  # a number, or the name of an IR value of the matrix's type

FUNCTIONS = ("sgemm", "dgemm", "sgemv", "dgemv")


@functools.cache
def symbols() -> None:
    """Make the functions of `DECLARATIONS` known to LLVM's linker.

    Raises
    ------
    ImportError
        If SciPy's BLAS counts in 64-bit integers.
    """
    api = ctypes.pythonapi
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", api)
    )
    for function in FUNCTIONS:
        capsule = cython_blas.__pyx_capi__[function]
        signature = name_of(capsule)  # "void (char *, char *, int *, ..."
        if b", int *" not in signature:
            raise ImportError("compile needs a SciPy whose BLAS counts in 32-bit integers")
        llvm.add_symbol(f"cr_{function}", pointer_of(capsule, signature))
    if threads.chosen:  # before this was imported
        set_threads(threads.count)


# -------------------------------------------------------------------- IR

# Fortran takes everything by reference. One function for each puts the numbers on its stack, where an alloca
# in the middle of a loop would eat up the caller's.
_BY_VALUE = """
declare void @cr_{s}gemm(ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr) nounwind
declare void @cr_{s}gemv(ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr) nounwind

define internal void @cr_{s}gemm_by_value(i8 %transa, i8 %transb, i32 %m, i32 %n, i32 %k, {t} %alpha,
    ptr %a, i32 %lda, ptr %b, i32 %ldb, {t} %beta, ptr %c, i32 %ldc) noinline nounwind {{
{gemm_slots}
  call void @cr_{s}gemm(ptr %transa.at, ptr %transb.at, ptr %m.at, ptr %n.at, ptr %k.at, ptr %alpha.at,
    ptr %a, ptr %lda.at, ptr %b, ptr %ldb.at, ptr %beta.at, ptr %c, ptr %ldc.at)
  ret void
}}

define internal void @cr_{s}gemv_by_value(i8 %trans, i32 %m, i32 %n, {t} %alpha, ptr %a, i32 %lda,
    ptr %x, i32 %incx, {t} %beta, ptr %y, i32 %incy) noinline nounwind {{
{gemv_slots}
  call void @cr_{s}gemv(ptr %trans.at, ptr %m.at, ptr %n.at, ptr %alpha.at, ptr %a, ptr %lda.at,
    ptr %x, ptr %incx.at, ptr %beta.at, ptr %y, ptr %incy.at)
  ret void
}}
"""


def _slots(scalar: str, names: str) -> str:
    lines = []
    for name in names.split():
        kind = "i8" if name.startswith("trans") else scalar if name in ("alpha", "beta") else "i32"
        lines += [f"  %{name}.at = alloca {kind}", f"  store {kind} %{name}, ptr %{name}.at"]
    return "\n".join(lines)


DECLARATIONS = "".join(
    _BY_VALUE.format(
        s=s,
        t=t,
        gemm_slots=_slots(t, "transa transb m n k alpha lda ldb beta ldc"),
        gemv_slots=_slots(t, "trans m n alpha lda incx beta incy"),
    )
    for s, t in (("s", "float"), ("d", "double"))
)


def gemm(
    dtype: npt.DTypeLike,
    m: int,
    n: int,
    k: int,
    a: str,
    lda: int,
    transposed_a: bool,
    b: str,
    ldb: int,
    transposed_b: bool,
    c: str,
    ldc: int,
    alpha: Scalar,
    beta: Scalar,
) -> str:
    """IR of ``C = alpha A B + beta C``, all row-major: A is (m, k), B is (k, n), C is (m, n).

    Parameters
    ----------
    dtype : dtype
        float32 or float64.
    m, n, k : int
        Sizes of the product; zeros are allowed.
    a, b, c : str
        Names of pointers. C overlaps neither A nor B.
    lda, ldb, ldc : int
        Elements from one row to the next.
    transposed_a, transposed_b : bool
        Whether the memory holds Aᵀ, of shape (k, m), or Bᵀ, of shape (n, k).
    alpha, beta : float or str
        A number, or the name of an IR value of the same type. With ``beta`` zero C is not read; with
        ``alpha`` zero a nan in A or B may be lost.
    """
    s, t = _kind(dtype)
    # Fortran sees each matrix transposed, so it computes Cᵀ = Bᵀ Aᵀ.
    flags = [f"i8 {ord('T' if flag else 'N')}" for flag in (transposed_b, transposed_a)]
    # BLAS refuses a row step below the width, even where there is one row only, or none.
    lda = max(lda, m if transposed_a else k, 1)
    ldb = max(ldb, k if transposed_b else n, 1)
    ldc = max(ldc, n, 1)
    return (
        f"  call void @cr_{s}gemm_by_value({flags[0]}, {flags[1]}, i32 {n}, i32 {m}, i32 {k}, "
        f"{t} {_scalar(s, alpha)}, ptr {b}, i32 {ldb}, ptr {a}, i32 {lda}, "
        f"{t} {_scalar(s, beta)}, ptr {c}, i32 {ldc})\n"
    )


def gemv(
    dtype: npt.DTypeLike,
    m: int,
    n: int,
    a: str,
    lda: int,
    transposed: bool,
    x: str,
    incx: int,
    y: str,
    incy: int,
    alpha: Scalar,
    beta: Scalar,
) -> str:
    """IR of ``y = alpha A x + beta y``: A is (m, n), row-major.

    Parameters
    ----------
    dtype, alpha, beta
        As for `gemm`.
    m, n : int
        Lengths of ``y`` and ``x``.
    a, x, y : str
        Names of pointers. ``y`` overlaps neither ``a`` nor ``x``.
    lda, incx, incy : int
        Elements from one row to the next, from one entry to the next; positive.
    transposed : bool
        Whether the memory holds Aᵀ, of shape (n, m).
    """
    s, t = _kind(dtype)
    if n == 0:  # BLAS would forget beta; with alpha zero it does not look at A and x
        n, alpha = 1, 0.0
    rows, columns = (n, m) if transposed else (m, n)  # of the memory, row-major; Fortran sees its transpose
    return (
        f"  call void @cr_{s}gemv_by_value(i8 {ord('N' if transposed else 'T')}, i32 {columns}, i32 {rows}, "
        f"{t} {_scalar(s, alpha)}, ptr {a}, i32 {max(lda, columns, 1)}, ptr {x}, i32 {max(incx, 1)}, "
        f"{t} {_scalar(s, beta)}, ptr {y}, i32 {max(incy, 1)})\n"
    )


def _kind(dtype: npt.DTypeLike) -> tuple[str, str]:
    return {"f": ("s", "float"), "d": ("d", "double")}[np.dtype(dtype).char]


def _scalar(s: str, number: Scalar) -> str:
    if isinstance(number, str):
        return number
    # LLVM writes a float as the double it equals, in hexadecimal.
    rounded = float(np.float32(number)) if s == "s" else float(number)
    return f"0x{struct.pack('>d', rounded).hex().upper()}"


def set_threads(n: int) -> None:
    """Let SciPy's OpenBLAS use ``n`` threads, in the whole process; nothing happens with another BLAS."""
    # The dynamic linker looks for a name in a module and in the libraries it was linked with, so it finds
    # the very BLAS that the pointers of `symbols` lead to, and not NumPy's copy.
    library = ctypes.CDLL(cython_blas.__file__)
    for name in ("scipy_openblas_set_num_threads", "openblas_set_num_threads"):
        for suffix in ("", "64_", "_64"):
            if function := getattr(library, name + suffix, None):
                function(ctypes.c_int(n))
                return
