"""Linear algebra: solving, inverses, determinants, and Cholesky's factor.

Matrices are the last two axes, what stands before is a stack that broadcasts, as in NumPy. Cotangents are
paired without conjugation, ``Re Σ g·t``; hence the plain transposes in the pulls.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.primitives import Special, raw, where
from chainrule.rules.arithmetic import conj, imag, real
from chainrule.rules.matrix import matmul
from chainrule.rules.matrix import matrix_transpose as mT
from chainrule.rules.reduction import sum_
from chainrule.rules.shape import reshape
from chainrule.traced import Traced


def numeric(f: Callable[..., Any], trial: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """``f`` of arrays; of traced ones a step of the program, which NumPy carries out.

    Shapes and dtypes come from trying ``f``, or ``trial`` in its place, on matrices of ones.
    """

    @functools.wraps(f)
    def run(*args: Any, **params: Any) -> Any:
        if any(type(a) is Traced for a in args):
            from chainrule.native.operations import call  # loaded already: it made what is traced

            return call(f, args, params, trial=trial)
        return f(*args, **params)

    return run


def is_complex(x: Any) -> bool:
    return np.iscomplexobj(raw(x))


def H(x: Any) -> Any:
    """The conjugate transpose."""
    return conj(mT(x)) if is_complex(x) else mT(x)


def column(x: Any) -> Any:
    """Vectors as matrices of one column."""
    return reshape(x, (*np.shape(raw(x)), 1))


def trace_of_product(a: Any, b: Any) -> Any:
    return sum_(a * mT(b), axis=(np.ndim(raw(a)) - 2, np.ndim(raw(a)) - 1), keepdims=False)


def _wide(s: Any) -> Any:
    """Numbers of a stack as matrices of one entry."""
    return reshape(s, (*np.shape(raw(s)), 1, 1))


def hermitian(t: Any, upper: bool) -> Any:
    """The Hermitian matrix of which LAPACK reads one triangle."""
    n = np.shape(raw(t))[-1]
    mask = np.tri(n, k=-1, dtype=bool)
    strict = where(mask.T if upper else mask, t, 0.0)
    middle = where(np.eye(n, dtype=bool), real(t) if is_complex(t) else t, 0.0)
    return strict + H(strict) + middle


def total(*terms: Any) -> Any:
    """The sum of the terms that are there."""
    found = [t for t in terms if t is not None]
    return functools.reduce(lambda a, b: a + b, found) if found else None


# -------------------------------------------------------------------- solving


def _solve_push(ts: Any, y: Any, a: Any, b: Any) -> Any:
    da, db = ts
    return solve(a, total(db, None if da is None else -matmul(da, y)))


def _solve_pull(g: Any, y: Any, a: Any, b: Any) -> Any:
    c = solve(mT(a), g)
    return -matmul(c, mT(y)), c


# b has two axes or more: columns.
solve = Special(np.linalg.solve, _solve_push, _solve_pull, name="solve")
inv = Special(
    np.linalg.inv,
    lambda ts, y, a: -matmul(y, matmul(ts[0], y)),
    lambda g, y, a: (-matmul(mT(y), matmul(g, mT(y))),),
    name="inv",
)


def _pinv_push(ts: Any, p: Any, a: Any, *, rtol: Any) -> Any:
    """The derivative for matrices of the same rank.

    G. H. Golub & V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
    whose variables separate", SIAM J. Numer. Anal. 10, 1973, eq. 4.12.
    """
    (t,) = ts
    left = matmul(matmul(p, H(p)), H(t))
    right = matmul(H(t), matmul(H(p), p))
    return left - matmul(matmul(left, a), p) + right - matmul(p, matmul(a, right)) - matmul(matmul(p, t), p)


pinv = Special(numeric(lambda a, *, rtol: np.linalg.pinv(a, rtol)), _pinv_push, name="pinv")


def _lstsq(a: Any, b: Any, *, rcond: Any) -> Any:
    return np.linalg.lstsq(a, b, rcond)[0]


def _lstsq_push(ts: Any, x: Any, a: Any, b: Any, *, rcond: Any) -> Any:
    da, db = ts
    m, n = np.shape(raw(a))
    p = pinv(a, rtol=np.finfo(raw(a).dtype).eps * max(m, n) if rcond is None else rcond)
    if da is None:
        return matmul(p, db)
    moved = matmul(da, x)
    r = matmul(H(da), matmul(H(p), x))
    found = (
        matmul(matmul(p, H(p)), matmul(H(da), b - matmul(a, x)))
        + r
        - matmul(p, matmul(a, r))
        - matmul(p, moved)
    )
    return found if db is None else found + matmul(p, db)


# Of the pseudoinverse: x = a⁺ b.
lstsq = Special(numeric(_lstsq), _lstsq_push, name="lstsq")

# -------------------------------------------------------------------- determinants


def _others(s: Any) -> Any:
    """For each element the product of all others, without division."""
    one = np.ones_like(s[..., :1])
    left = np.cumprod(np.concatenate([one, s[..., :-1]], -1), -1)
    right = np.cumprod(np.concatenate([one, s[..., :0:-1]], -1), -1)[..., ::-1]
    return left * right


def _orthogonal(a: Any) -> tuple[Any, Any, Any, Any]:
    """``a = u s vᴴ`` and det(u) det(vᴴ), as an array of matrices of one entry."""
    u, s, vh = np.linalg.svd(a)
    c = np.linalg.det(u) * np.linalg.det(vh)
    return np.conj(np.swapaxes(u, -1, -2)), s, np.conj(np.swapaxes(vh, -1, -2)), c[..., None, None]


REGULAR = 1e6  # the condition up to which an inverse keeps ten digits


@numeric
def _adjugate(a: Any) -> Any:
    """det(a) a⁻¹, and what that tends to where there is no inverse."""
    if a.shape[-1] == 0:
        return a.copy()
    try:
        x = np.linalg.inv(a)
        if np.all(np.linalg.norm(a, axis=(-2, -1)) * np.linalg.norm(x, axis=(-2, -1)) < REGULAR):
            return np.linalg.det(a)[..., None, None] * x  # ten times as quick as singular values
    except np.linalg.LinAlgError:
        pass
    uh, s, v, c = _orthogonal(a)
    return (c * ((v * _others(s)[..., None, :]) @ uh)).astype(a.dtype)


@numeric
def _adjugate_tangent(a: Any, e: Any) -> Any:
    """Its derivative: adj(diag s) has products of all s but one, this has those of all but two."""
    n = a.shape[-1]
    if n < 2:
        return np.zeros(np.broadcast_shapes(a.shape, e.shape), np.result_type(a, e))
    uh, s, v, c = _orthogonal(a)
    eye = np.eye(n, dtype=bool)
    pairs = _others(np.where(eye, 1.0, s[..., None, :]))
    inner = uh @ e @ v
    middle = np.where(eye, 0.0, pairs) @ np.diagonal(inner, axis1=-2, axis2=-1)[..., None]
    return (c * (v @ np.where(eye, middle, -pairs * inner) @ uh)).astype(np.result_type(a, e))


def _adjugate_second(a: Any, e: Any, f: Any) -> Any:
    """The derivative of adj(a) = det(a) a⁻¹ along two directions; a has to be invertible."""
    x, adj, df = inv(a), adjugate(a), adjugate_tangent(a, f)
    xe, xf = matmul(x, e), matmul(x, f)
    xfxe = matmul(xf, xe)
    return (
        df * _wide(trace_of_product(x, e))
        - adj * _wide(trace_of_product(xf, xe))
        + matmul(xfxe, adj)
        - matmul(xe, df)
    )


# d det = tr(adj(a) da) holds where a has no inverse too; so do the next two derivatives, both of the
# singular values: tr(adj'(a)[e] f) is symmetric in e and f, which gives the pulls.
adjugate = Special(
    _adjugate,
    lambda ts, y, a: adjugate_tangent(a, ts[0]),
    lambda g, y, a: (mT(adjugate_tangent(a, mT(g))),),
    name="adjugate",
)
adjugate_tangent: Special = Special(
    _adjugate_tangent,
    lambda ts, y, a, e: total(
        None if ts[0] is None else _adjugate_second(a, e, ts[0]),
        None if ts[1] is None else adjugate_tangent(a, ts[1]),
    ),
    lambda g, y, a, e: (mT(_adjugate_second(a, e, mT(g))), mT(adjugate_tangent(a, mT(g)))),
    name="adjugate_tangent",
)
det = Special(
    np.linalg.det,
    lambda ts, y, a: trace_of_product(adjugate(a), ts[0]),
    lambda g, y, a: (_wide(g) * mT(adjugate(a)),),
    name="det",
    symbol="det",
)


def given(i: int) -> Callable[..., Any]:
    """Of results that were computed together the ``i``-th; the operand they came from is the first."""
    return lambda a, *found, **_: found[i]


# Operands: the matrices, their sign and logarithm of |det|.
logabsdet = Special(given(1), lambda ts, y, a, *_: real(trace_of_product(inv(a), ts[0])), name="logabsdet")
sign_of_det = Special(
    given(0), lambda ts, y, a, *_: 1j * y * imag(trace_of_product(inv(a), ts[0])), name="sign_of_det"
)

# -------------------------------------------------------------------- Cholesky


def _cholesky_push(ts: Any, y: Any, a: Any) -> Any:
    """Push by ``dL = L Φ(L⁻¹ dA L⁻ᴴ)``, Φ the lower triangle with half the diagonal.

    I. Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527, eq. 8.
    """
    n = np.shape(raw(a))[-1]
    inner = solve(y, H(solve(y, hermitian(ts[0], False))))
    return matmul(y, inner * (np.tri(n) - 0.5 * np.eye(n)))


cholesky = Special(np.linalg.cholesky, _cholesky_push, name="cholesky")
