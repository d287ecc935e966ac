"""`scipy.linalg` on Values and arrays: names, arguments and results are SciPy's.

Matrices are the last two axes; what stands before is a stack, where SciPy has it so. Arguments about
memory and checks (``overwrite_a``, ``check_finite``) are taken and have no effect.

Examples
--------
>>> import numpy as np
>>> import chainrule as cr
>>> from chainrule.scipy import linalg
>>> cr.grad(lambda a: np.trace(linalg.expm(a)))(np.zeros((2, 2)))
array([[1., 0.],
       [0., 1.]])
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.foreign import absent
from chainrule.numpy import matrices as nl
from chainrule.numpy import norms
from chainrule.numpy.arguments import as_operand, shape_of
from chainrule.numpy.manipulation import concatenate, ravel
from chainrule.numpy.matrices import as_columns, as_square, as_vector
from chainrule.numpy.rearranging import flip, take_along_axis
from chainrule.rules import linalg as la
from chainrule.rules import matrix as mx
from chainrule.rules import matrix_functions as mf
from chainrule.rules import shape as sh
from chainrule.value import current

__all__ = [
    "block_diag", "cho_factor", "cho_solve", "cholesky", "det", "eig", "eigh", "eigvals", "eigvalsh", "expm",
    "inv", "logm", "lstsq", "lu", "lu_factor", "lu_solve", "norm", "pinv", "qr", "solve", "solve_banded",
    "solve_continuous_lyapunov", "solve_sylvester", "solve_triangular", "sqrtm", "svd", "svdvals", "toeplitz",
]  # fmt: skip


def _refuse(name: str, remedy: str, **options: Any) -> None:
    for option, given in options.items():
        if given is not None and given is not False:
            raise TypeError(f"{name}: {option}= is not supported; {remedy}")


# -------------------------------------------------------------------- systems of equations


def solve(
    a: Any, b: Any, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False,
    check_finite: bool = True, assume_a: str | None = None, transposed: bool = False,
) -> Any:  # fmt: skip
    """The solution ``x`` of ``a x = b``; of ``aᵀ x = b`` with ``transposed``.

    Of structured matrices (``assume_a`` "sym", "her", "pos", "upper triangular", "lower triangular" and their
    other names) one triangle is read, and the derivative is that of what was read.

    Raises
    ------
    LinAlgError
        If ``a`` holds no square matrices, or a singular one.
    ValueError
        If ``b`` has other rows than ``a``; for another ``assume_a``.

    Examples
    --------
    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 8.0])
    array([1., 2.])
    >>> solve([[2.0, 9.0], [1.0, 2.0]], [3.0, 3.0], lower=True, assume_a="sym")
    array([1., 1.])
    """
    a = as_square("solve", a, "; use lstsq")
    kind = assume_a or "general"
    if kind in ("sym", "symmetric"):
        one = mf.triangle(a, lower)
        a = one + mx.matrix_transpose(mf.triangle(a, lower, True))
    elif kind in ("her", "hermitian", "pos", "positive definite"):
        a = la.hermitian(a, not lower)
    elif kind in ("upper triangular", "lower triangular"):
        return solve_triangular(a, b, "T" if transposed else "N", kind.startswith("lower"))
    elif kind not in ("gen", "general"):
        raise ValueError(
            f"solve: assume_a is {assume_a!r}; expected 'general', 'symmetric', 'hermitian', 'positive "
            "definite', 'upper triangular' or 'lower triangular'; use solve_banded for bands"
        )
    return nl.solve(mx.matrix_transpose(a) if transposed else a, b)


def solve_triangular(
    a: Any, b: Any, trans: int | str = 0, lower: bool = False, unit_diagonal: bool = False,
    overwrite_b: bool = False, check_finite: bool = True,
) -> Any:  # fmt: skip
    """The solution ``x`` of ``a x = b`` with triangular ``a`` (``trans``: 1 of ``aᵀ``, 2 of ``aᴴ``).

    Raises
    ------
    LinAlgError
        If ``a`` holds no square matrices, or a zero on the diagonal.
    ValueError
        If ``b`` has other rows than ``a``; for another ``trans``.

    Examples
    --------
    >>> solve_triangular([[2.0, 1.0], [0.0, 4.0]], [4.0, 8.0])
    array([1., 2.])
    """
    a = as_square("solve_triangular", a)
    b, vector = as_columns("solve_triangular", a, b)
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"solve_triangular: trans is {trans!r}, expected 0, 1, 2, 'N', 'T' or 'C'")
    if trans not in (0, "N"):
        a, lower = la.H(a) if trans in (2, "C") else mx.matrix_transpose(a), not lower
    x = mf.solve_triangular(a, b, lower=bool(lower), unit=bool(unit_diagonal))
    return as_vector(x) if vector else x


def solve_banded(
    l_and_u: tuple[int, int], ab: Any, b: Any, overwrite_ab: bool = False, overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """The solution ``x`` of ``a x = b`` with banded ``a``, whose diagonals are the rows of ``ab``.

    ``ab[u + i - j, j] = a[i, j]``, with ``(l, u) = l_and_u`` diagonals below and above the middle.

    Raises
    ------
    LinAlgError
        For a singular matrix.
    ValueError
        If ``ab`` has not a row for each diagonal, and a column for each row of ``b``.

    Examples
    --------
    >>> solve_banded((1, 0), [[2.0, 4.0], [1.0, 0.0]], [2.0, 9.0])
    array([1., 2.])
    """
    lower, upper = map(int, l_and_u)
    ab, b = as_operand(ab), as_operand(b)
    shape, vector = shape_of(ab), len(shape_of(b)) == 1
    if len(shape) < 2 or shape[-2] != lower + upper + 1 or shape[-1] != shape_of(b)[0 if vector else -2]:
        raise ValueError(
            f"solve_banded: ab is {shape}, b is {shape_of(b)}; with l_and_u {(lower, upper)} ab has "
            f"{lower + upper + 1} rows, and columns as b has rows"
        )
    x = mf.solve_banded(ab, la.column(b) if vector else b, lower=lower, upper=upper)
    return as_vector(x) if vector else x


def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """The solution ``x`` of ``a x + x b = q``.

    Raises
    ------
    LinAlgError
        If ``a`` or ``b`` is not square.
    ValueError
        If ``q`` has not the rows of ``a`` and the columns of ``b``.

    Examples
    --------
    >>> solve_sylvester([[1.0, 0.0], [0.0, 3.0]], [[1.0]], [[2.0], [8.0]])
    array([[1.],
           [2.]])
    """
    a, b, q = as_square("solve_sylvester", a), as_square("solve_sylvester", b), as_operand(q)
    if shape_of(q)[-2:] != (shape_of(a)[-1], shape_of(b)[-1]):
        raise ValueError(
            f"solve_sylvester: a is {shape_of(a)}, b is {shape_of(b)}, q is {shape_of(q)}; q has the rows of "
            "a and the columns of b"
        )
    return mf.solve_sylvester(a, b, q)


def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """The solution ``x`` of ``a x + x aᴴ = q``.

    Examples
    --------
    >>> solve_continuous_lyapunov([[1.0, 0.0], [0.0, 2.0]], [[2.0, 3.0], [3.0, 8.0]])
    array([[1., 1.],
           [1., 2.]])
    """
    a = as_square("solve_continuous_lyapunov", a)
    return solve_sylvester(a, la.H(a), q)


def lstsq(
    a: Any, b: Any, cond: float | None = None, overwrite_a: bool = False, overwrite_b: bool = False,
    check_finite: bool = True, lapack_driver: str | None = None,
) -> Any:  # fmt: skip
    """The shortest ``x`` of smallest ``‖a x - b‖``, with residues, rank and singular values.

    Examples
    --------
    >>> lstsq([[1.0], [1.0]], [1.0, 3.0])[0]
    array([2.])
    """
    return nl.lstsq(a, b, cond)


# -------------------------------------------------------------------- factors


def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """``a = uᴴ u`` (``l lᴴ`` with ``lower``), of which one triangle is read.

    Raises
    ------
    LinAlgError
        If ``a`` is not positive definite.

    Examples
    --------
    >>> cholesky([[4.0, 2.0], [2.0, 5.0]], lower=True)
    array([[2., 0.],
           [1., 2.]])
    """
    return nl.cholesky(a, upper=not lower)


def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, bool]:
    """`cholesky` and which it is, for `cho_solve`; the other triangle is zero here.

    Examples
    --------
    >>> cho_factor([[4.0, 2.0], [2.0, 5.0]], lower=True)
    (array([[2., 0.],
           [1., 2.]]), True)
    """
    return cholesky(a, lower), lower


def cho_solve(
    c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """The solution of ``a x = b``, given what `cho_factor` has made of ``a``.

    Examples
    --------
    >>> cho_solve(cho_factor([[4.0, 2.0], [2.0, 5.0]]), [8.0, 12.0])
    array([1., 2.])
    """
    c, lower = c_and_lower
    first, second = (0, 2) if lower else (2, 0)
    return solve_triangular(c, solve_triangular(c, b, first, lower), second, lower)


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    """L below the diagonal and U on it and above, and the row each row was exchanged with.

    Raises
    ------
    LinAlgError
        Where the derivative is asked of a singular matrix.

    Examples
    --------
    >>> lu_factor([[1.0, 3.0], [2.0, 4.0]])
    (array([[2. , 4. ],
           [0.5, 1. ]]), array([1, 1], dtype=int32))
    """
    a = as_operand(a)
    pivots = la.numeric(_pivots, trial=lambda a: np.zeros((*a.shape[:-2], min(a.shape[-2:])), np.int32))
    return _lu(a)[1], pivots(current(a))


def _pivots(a: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.lu_factor(a)[1]


def _lu(a: Any) -> tuple[Any, Any]:
    rows = mf.order_of_pivots(current(a))
    return rows, mf.lu(take_along_axis(a, rows[..., None], -2))


def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True,
    p_indices: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """``a = p l u``: a permutation, which is plain, and triangular factors.

    Examples
    --------
    >>> p, l, u = lu([[1.0, 3.0], [2.0, 4.0]])
    >>> p, l, u
    (array([[0., 1.],
           [1., 0.]]), array([[1. , 0. ],
           [0.5, 1. ]]), array([[2., 4.],
           [0., 1.]]))
    """
    a = as_operand(a)
    rows, both = _lu(a)
    m, n = shape_of(a)[-2:]
    k = min(m, n)
    left = mf.triangle(sh.getitem(both, (Ellipsis, slice(0, k))), True, True) + np.eye(m, k)
    right = mf.triangle(sh.getitem(both, (Ellipsis, slice(0, k), slice(None))), False)
    back = np.argsort(rows, axis=-1)
    if permute_l:
        return take_along_axis(left, back[..., None], -2), right
    if p_indices:
        return back, left, right
    return (back[..., :, None] == np.arange(m)).astype(current(right).dtype), left, right


@la.numeric
def _exchanged(pivots: Any) -> Any:
    """The order of rows that were exchanged one after the other."""
    rows = np.arange(len(pivots))
    for i, j in enumerate(pivots.astype(int)):
        rows[[i, j]] = rows[[j, i]]
    return rows


def lu_solve(
    lu_and_piv: tuple[Any, Any],
    b: Any,
    trans: int = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The solution of ``a x = b`` (``trans``: 1 of ``aᵀ``, 2 of ``aᴴ``), given `lu_factor` of ``a``.

    Raises
    ------
    ValueError
        For a stack of matrices.

    Examples
    --------
    >>> lu_solve(lu_factor([[1.0, 3.0], [2.0, 4.0]]), [7.0, 10.0])
    array([1., 2.])
    """
    both, pivots = lu_and_piv
    if len(shape_of(both)) != 2:
        raise ValueError(
            f"lu_solve: lu is {shape_of(both)}, expected one matrix; use np.linalg.solve for stacks"
        )
    rows, b = _exchanged(current(pivots)), as_operand(b)
    if trans == 0:
        x = solve_triangular(both, sh.getitem(b, rows), lower=True, unit_diagonal=True)
        return solve_triangular(both, x)
    x = solve_triangular(both, solve_triangular(both, b, trans), trans, lower=True, unit_diagonal=True)
    return sh.getitem(x, np.argsort(rows))


def qr(
    a: Any, overwrite_a: bool = False, lwork: int | None = None, mode: str = "full", pivoting: bool = False,
    check_finite: bool = True,
) -> tuple[Any, ...]:  # fmt: skip
    """``a = q r``; ``mode`` is "full", "economic" or "r".

    Raises
    ------
    LinAlgError
        Where the derivative is asked of columns that are combinations of those before.
    TypeError
        For ``pivoting``.
    ValueError
        For another ``mode``.

    Examples
    --------
    >>> np.abs(qr([[3.0, 1.0], [4.0, 3.0]])[1])
    array([[5., 3.],
           [0., 1.]])
    """
    _refuse("qr", "permute the columns yourself", pivoting=pivoting)
    if mode not in ("full", "economic", "r"):
        raise ValueError(f"qr: mode is {mode!r}, expected 'full', 'economic' or 'r'")
    if mode == "economic":
        return tuple(nl.qr(a))
    q, r = nl.qr(a, "complete")
    return (r,) if mode == "r" else (q, r)


def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, overwrite_a: bool = False,
    check_finite: bool = True, lapack_driver: str = "gesdd",
) -> Any:  # fmt: skip
    """``a = u diag(s) vh``: the triple of them, or ``s`` alone.

    Examples
    --------
    >>> svd([[0.0, 2.0], [3.0, 0.0]])[1]
    array([3., 2.])
    """
    found = nl.svd(a, full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The singular values, the largest first.

    Examples
    --------
    >>> svdvals([[0.0, 2.0], [3.0, 0.0]])
    array([3., 2.])
    """
    return nl.svdvals(a)


# -------------------------------------------------------------------- eigenvalues


def eigh(
    a: Any, b: Any = None, *, lower: bool = True, eigvals_only: bool = False, overwrite_a: bool = False,
    overwrite_b: bool = False, type: int = 1, check_finite: bool = True, subset_by_index: Any = None,
    subset_by_value: Any = None, driver: str | None = None,
) -> Any:  # fmt: skip
    """Eigenvalues and vectors of a Hermitian matrix, ``a v = w v``, or with ``b`` of ``a v = w b v``.

    As in SciPy one triangle is read. Where eigenvalues are equal see `chainrule.rules.decompositions`.

    Raises
    ------
    LinAlgError
        If ``a`` or ``b`` is not square, or ``b`` not positive definite.
    TypeError
        For ``subset_by_value``, or another ``type``.

    Examples
    --------
    >>> eigh([[2.0, 1.0], [1.0, 2.0]])[0]
    array([1., 3.])
    """
    _refuse("eigh", "select from the result", subset_by_value=subset_by_value)
    _refuse("eigh", "type 1, a v = w b v, is", type=type != 1)
    a = as_square("eigh", a)
    uplo, factor = "L" if lower else "U", None
    if b is not None:
        factor = cholesky(as_square("eigh", b), lower)
        factor = factor if lower else la.H(factor)
        half = mf.solve_triangular(factor, la.hermitian(a, not lower), lower=True, unit=False)
        a = la.H(mf.solve_triangular(factor, la.H(half), lower=True, unit=False))
    w, v = nl.eigh(a, uplo)
    if subset_by_index is not None:
        first, last = subset_by_index
        w, v = (sh.getitem(x, (Ellipsis, slice(first, last + 1))) for x in (w, v))
    if eigvals_only:
        return w
    if factor is not None:
        v = mf.solve_triangular(la.H(factor), v, lower=False, unit=False)
    return w, v


def eigvalsh(a: Any, b: Any = None, *, lower: bool = True, **options: Any) -> Any:
    """The eigenvalues that `eigh` gives.

    Examples
    --------
    >>> eigvalsh([[2.0, 1.0], [1.0, 2.0]], [[2.0, 0.0], [0.0, 2.0]])
    array([0.5, 1.5])
    """
    return eigh(a, b, lower=lower, eigvals_only=True, **options)


def eig(
    a: Any, b: Any = None, left: bool = False, right: bool = True, overwrite_a: bool = False,
    overwrite_b: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False,
) -> Any:  # fmt: skip
    """Eigenvalues, which are complex, and right eigenvectors of length 1.

    Raises
    ------
    LinAlgError
        Where the derivative is asked of a defective matrix.
    TypeError
        For ``b``, ``left`` or ``homogeneous_eigvals``.

    Examples
    --------
    >>> eig([[0.0, -1.0], [1.0, 0.0]])[0]
    array([0.+1.j, 0.-1.j])
    """
    _refuse("eig", "write eig(solve(b, a)), or eigh(a, b) for symmetric matrices", b=b)
    _refuse("eig", "those on the right of the conjugate transpose are the left ones", left=left)
    _refuse("eig", "eigenvalues are numbers here", homogeneous_eigvals=homogeneous_eigvals)
    w, v = nl.eig(a)
    w = w * (1 + 0j)
    return (w, v) if right else w


def eigvals(a: Any, b: Any = None, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The eigenvalues that `eig` gives.

    Examples
    --------
    >>> eigvals([[2.0, 1.0], [0.0, 3.0]])
    array([2.+0.j, 3.+0.j])
    """
    return eig(a, b, right=False)


# -------------------------------------------------------------------- numbers of matrices


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The determinant; its first two derivatives are right for singular matrices too.

    Examples
    --------
    >>> print(det([[2.0, 1.0], [4.0, 3.0]]))
    2.0
    """
    return nl.det(a)


def inv(
    a: Any, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: str | None = None,
    lower: bool = False,
) -> Any:  # fmt: skip
    """The inverse; ``assume_a`` as in `solve`.

    Raises
    ------
    LinAlgError
        If ``a`` is not square, or singular.

    Examples
    --------
    >>> inv([[2.0, 0.0], [0.0, 4.0]])
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    a = as_square("inv", a, "; use pinv")
    if assume_a in (None, "gen", "general"):
        return nl.inv(a)
    return solve(a, np.broadcast_to(np.eye(shape_of(a)[-1]), shape_of(a)), lower, assume_a=assume_a)


def pinv(
    a: Any, *, atol: float | None = None, rtol: float | None = None, return_rank: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """The pseudoinverse; singular values up to ``rtol`` of the largest count as 0.

    Raises
    ------
    TypeError
        For ``atol``.

    Examples
    --------
    >>> pinv([[2.0], [0.0]])
    array([[0.5, 0. ]])
    """
    _refuse("pinv", "rtol is; atol divided by the largest singular value is the same", atol=atol)
    p = nl.pinv(a, rtol=rtol)
    return (p, np.linalg.matrix_rank(current(as_operand(a)), rtol=rtol)) if return_rank else p


def norm(
    a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True
) -> Any:
    """The norm of vectors or matrices, as `numpy.linalg.norm`.

    Examples
    --------
    >>> print(norm([3.0, 4.0]), norm([[1.0, -2.0], [3.0, 4.0]], 1))
    5.0 6.0
    """
    return norms.norm(a, ord, axis, keepdims)


# -------------------------------------------------------------------- functions of matrices


def expm(A: Any) -> Any:
    """``exp(A) = 1 + A + A²/2! + …``; stacks too.

    The derivative along E is the upper right block of ``exp([[A, E], [0, A]])`` (Higham, "Functions of
    Matrices", 2008, theorem 3.6).

    Raises
    ------
    LinAlgError
        If ``A`` is not square.

    Examples
    --------
    >>> expm([[0.0, 1.0], [0.0, 0.0]])
    array([[1., 1.],
           [0., 1.]])
    """
    return mf.expm(as_square("expm", A))


def logm(A: Any) -> Any:
    """The principal logarithm: ``expm(logm(A)) = A``.

    Raises
    ------
    LinAlgError
        If ``A`` is not square.

    Examples
    --------
    >>> logm([[1.0, 1.0], [0.0, 1.0]])
    array([[0., 1.],
           [0., 0.]])
    """
    return mf.logm(as_square("logm", A))


def sqrtm(A: Any) -> Any:
    """The principal square root; ``Y dY + dY Y = dA``.

    Raises
    ------
    LinAlgError
        If ``A`` is not square; where the derivative is asked of a singular one.

    Examples
    --------
    >>> sqrtm([[4.0, 0.0], [0.0, 9.0]])
    array([[2., 0.],
           [0., 3.]])
    """
    return mf.sqrtm(as_square("sqrtm", A))


# -------------------------------------------------------------------- special matrices


def block_diag(*arrs: Any) -> Any:
    """Matrices along the diagonal of a larger one, zeros elsewhere.

    Raises
    ------
    ValueError
        For an array of more than two axes.

    Examples
    --------
    >>> block_diag([[1.0, 2.0]], 3.0)
    array([[1., 2., 0.],
           [0., 0., 3.]])
    """
    blocks = []
    for x in map(as_operand, arrs or ([],)):
        shape = shape_of(x)
        if len(shape) > 2:
            raise ValueError(f"block_diag: received an array of shape {shape}, expected two axes or fewer")
        blocks.append(np.reshape(x, (1,) * (2 - len(shape)) + shape) if len(shape) < 2 else x)
    rows, columns = (sum(shape_of(x)[k] for x in blocks) for k in (0, 1))
    made, before = [], 0
    for x in blocks:
        n = shape_of(x)[1]
        made.append(sh.pad(x, width=((0, 0), (before, columns - before - n))))
        before += n
    return concatenate(made, 0) if rows else np.zeros((rows, columns))


def toeplitz(c: Any, r: Any = None) -> Any:
    """The matrix of constant diagonals with first column ``c`` and first row ``r``, by default its conjugate.

    Examples
    --------
    >>> toeplitz([1.0, 2.0, 3.0])
    array([[1., 2., 3.],
           [2., 1., 2.],
           [3., 2., 1.]])
    """
    c = ravel(as_operand(c))
    r = (np.conjugate(c) if la.is_complex(c) else c) if r is None else ravel(as_operand(r))
    m, n = shape_of(c)[0], shape_of(r)[0]
    values = concatenate([flip(c), sh.getitem(r, slice(1, None))])
    return sh.getitem(values, m - 1 - np.arange(m)[:, None] + np.arange(n))


__getattr__ = absent(__name__)
