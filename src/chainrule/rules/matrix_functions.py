"""Triangular and banded systems, LU, and functions of matrices: what SciPy has and NumPy has not.

SciPy is imported when one of them runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.primitives import Special, raw, where
from chainrule.rules.decompositions import NEAR, passing
from chainrule.rules.linalg import numeric, total
from chainrule.rules.matrix import matmul
from chainrule.rules.matrix import matrix_transpose as mT
from chainrule.rules.reduction import sum_
from chainrule.rules.shape import concatenate, getitem, pad

# -------------------------------------------------------------------- triangular systems


def triangle(x: Any, lower: bool, strict: bool = False) -> Any:
    """One triangle of matrices, zeros elsewhere."""
    m, n = np.shape(raw(x))[-2:]
    mask = np.tri(m, n, -strict if lower else strict - 1, dtype=bool)
    return where(mask if lower else ~mask, x, 0.0)


@numeric
def _solve_triangular(a: Any, b: Any, *, lower: bool, unit: bool) -> Any:
    import scipy.linalg

    return scipy.linalg.solve_triangular(a, b, lower=lower, unit_diagonal=unit, check_finite=False)


def _triangular_push(ts: Any, x: Any, a: Any, b: Any, *, lower: bool, unit: bool) -> Any:
    da, db = ts
    moved = None if da is None else -matmul(triangle(da, lower, unit), x)
    return solve_triangular(a, total(db, moved), lower=lower, unit=unit)


def _triangular_pull(g: Any, x: Any, a: Any, b: Any, *, lower: bool, unit: bool) -> Any:
    c = solve_triangular(mT(a), g, lower=not lower, unit=unit)
    return -triangle(matmul(c, mT(x)), lower, unit), c


# As in LAPACK only one triangle of a is read; b has two axes or more.
solve_triangular = Special(_solve_triangular, _triangular_push, _triangular_pull, name="solve_triangular")

# -------------------------------------------------------------------- LU


def _lu(a: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.lu_factor(a, check_finite=False)[0]


def _lu_push(ts: Any, y: Any, a: Any) -> Any:
    """By dL = L tril(L⁻¹ dA U⁻¹, -1), dU = triu(L⁻¹ dA U⁻¹) U; both made square by ones on the diagonal.

    F. R. de Hoog, R. S. Anderssen & M. A. Lukas, "Differentiation of matrix functionals using triangular
    factorization", Math. Comp. 80, 2011, section 2.
    """
    m, n = np.shape(raw(y))[-2:]
    k = min(m, n)
    stack = ((0, 0),) * (np.ndim(raw(y)) - 2)
    left = triangle(getitem(y, (Ellipsis, slice(0, k))), True, True)
    left = pad(left, width=(*stack, (0, 0), (0, m - k))) + np.eye(m)
    right = triangle(getitem(y, (Ellipsis, slice(0, k), slice(None))), False)
    right = pad(right, width=(*stack, (0, n - k), (0, 0))) + np.diag(np.arange(n) >= k)
    inner = solve_triangular(left, ts[0], lower=True, unit=True)
    inner = mT(solve_triangular(mT(right), mT(inner), lower=True, unit=False))
    return matmul(left, triangle(inner, True, True)) + matmul(triangle(inner, False), right)


# Of matrices whose rows already stand in the order of the pivots; L below the diagonal, U on it and above.
lu = Special(numeric(_lu, trial=np.zeros_like), _lu_push, name="lu")


@numeric
def order_of_pivots(a: Any) -> Any:
    """The rows in the order in which elimination takes them."""
    import scipy.linalg

    return np.argsort(scipy.linalg.lu(a, p_indices=True, check_finite=False)[0], axis=-1)


# -------------------------------------------------------------------- banded systems
# A[i, j] stands in ab[u + i - j, j].


def _solve_banded(ab: Any, b: Any, *, lower: int, upper: int) -> Any:
    import scipy.linalg

    return scipy.linalg.solve_banded((lower, upper), ab, b, check_finite=False)


def _as_large(ab: Any, b: Any, **_: Any) -> Any:
    return np.zeros(np.broadcast_shapes(ab.shape[:-2], b.shape[:-2]) + b.shape[-2:], np.result_type(ab, b))


def _band(lower: int, upper: int, n: int) -> tuple[Any, Any]:
    """For each place in ab the row of A, cut to what there is, and whether there is one."""
    i = np.arange(n) + np.arange(-upper, lower + 1)[:, None]
    return np.clip(i, 0, max(n - 1, 0)), (i >= 0) & (i < n)


def _band_transpose(ab: Any, lower: int, upper: int) -> Any:
    i, there = _band(upper, lower, np.shape(raw(ab))[-1])
    rows = np.arange(lower + upper, -1, -1)[:, None]
    return where(there, getitem(ab, (Ellipsis, rows, i)), 0.0)


def _band_outer(c: Any, x: Any, lower: int, upper: int) -> Any:
    """The entries of c xᵀ within the band."""
    n = np.shape(raw(x))[-2]
    i, there = _band(lower, upper, n)
    columns = np.broadcast_to(np.arange(n), i.shape)
    both = getitem(c, (Ellipsis, i, slice(None))) * getitem(x, (Ellipsis, columns, slice(None)))
    return where(there, sum_(both, axis=(np.ndim(raw(both)) - 1,), keepdims=False), 0.0)


def _band_times(ab: Any, x: Any, lower: int, upper: int) -> Any:
    """A x: row i has the entries of Aᵀ's column i."""
    n = np.shape(raw(x))[-2]
    across = _band_transpose(ab, lower, upper)
    j, there = _band(upper, lower, n)
    picked = where(there[..., None], getitem(x, (Ellipsis, j, slice(None))), 0.0)
    parts = getitem(across, (Ellipsis, None)) * picked
    return sum_(parts, axis=(np.ndim(raw(parts)) - 3,), keepdims=False)


def _banded_push(ts: Any, x: Any, ab: Any, b: Any, *, lower: int, upper: int) -> Any:
    da, db = ts
    moved = None if da is None else -_band_times(da, x, lower, upper)
    return solve_banded(ab, total(db, moved), lower=lower, upper=upper)


def _banded_pull(g: Any, x: Any, ab: Any, b: Any, *, lower: int, upper: int) -> Any:
    c = solve_banded(_band_transpose(ab, lower, upper), g, lower=upper, upper=lower)
    return -_band_outer(c, x, lower, upper), c


# b is columns.
solve_banded = Special(
    numeric(_solve_banded, trial=_as_large), _banded_push, _banded_pull, name="solve_banded"
)

# -------------------------------------------------------------------- functions of matrices


def _frechet(f: Any, a: Any, e: Any) -> Any:
    """The derivative along e, the upper right block of f([[a, e], [0, a]]).

    N. J. Higham, "Functions of Matrices", SIAM 2008, theorem 3.6 (R. Mathias). It works with any
    function of matrices, and so with its own derivative.
    """
    axis, n = np.ndim(raw(a)) - 1, np.shape(raw(a))[-1]
    upper, below = concatenate([a, e], axis), concatenate([a * 0.0, a], axis)
    return getitem(f(concatenate([upper, below], axis - 1)), (Ellipsis, slice(0, n), slice(n, None)))


@numeric
def _expm(a: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.expm(a)


def _logm(a: Any) -> Any:
    import scipy.linalg

    # in single precision it loses half the digits
    y = scipy.linalg.logm(a.astype(np.result_type(a, np.float64)))
    return y.astype(np.complex64 if y.dtype.kind == "c" else np.float32) if a.dtype.char in "fF" else y


@numeric
def _sqrtm(a: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.sqrtm(a)


expm = Special(
    _expm,
    lambda ts, y, a: _frechet(expm, a, ts[0]),
    lambda g, y, a: (_frechet(expm, mT(a), g),),
    name="expm",
)
logm = Special(
    numeric(_logm, trial=np.zeros_like),
    lambda ts, y, a: _frechet(logm, a, ts[0]),
    lambda g, y, a: (_frechet(logm, mT(a), g),),
    name="logm",
)


@numeric
def _solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.solve_sylvester(a, b, q)


def _sylvester_push(ts: Any, x: Any, a: Any, b: Any, q: Any) -> Any:
    da, db, dq = ts
    left = None if da is None else -matmul(da, x)
    right = None if db is None else -matmul(x, db)
    return solve_sylvester(a, b, total(dq, left, right))


def _sylvester_pull(g: Any, x: Any, a: Any, b: Any, q: Any) -> Any:
    c = solve_sylvester(mT(a), mT(b), g)
    return -matmul(c, mT(x)), -matmul(mT(x), c), c


# a x + x b = q
solve_sylvester: Special = Special(
    _solve_sylvester, _sylvester_push, _sylvester_pull, name="solve_sylvester"
)


def _check_roots(y: Any, t: Any) -> Any:
    if y.size and np.any(t):
        size = np.abs(np.linalg.eigvals(y)) ** 2  # of the eigenvalues of a
        least, limit = np.min(size, -1), NEAR * y.shape[-1] * np.finfo(size.dtype).eps * np.max(size, -1)
        if np.any((least <= limit) & np.any(t, axis=(-2, -1))):
            raise np.linalg.LinAlgError(
                "sqrtm: the matrix is singular, but for rounding; there the derivative of its square root is "
                "infinite, or does not exist"
            )
    return y


with_roots = passing(_check_roots, "with_roots")


def _sqrtm_moved(y: Any, t: Any) -> Any:
    """y² = a, and so y dy + dy y = da."""
    y = with_roots(y, t)
    return solve_sylvester(y, y, t)


sqrtm = Special(
    _sqrtm,
    lambda ts, y, a: _sqrtm_moved(y, ts[0]),
    lambda g, y, a: (_sqrtm_moved(mT(y), g),),
    name="sqrtm",
)
