"""Eigenvalues, singular values and their vectors.

What LAPACK computes together comes in as further operands: each of the primitives picks its part of it, and
states the derivative in the matrices, which are the first operand. The formulas are those of M. Giles, "An
extended collection of matrix derivative results for forward and reverse mode algorithmic differentiation",
2008.

Where eigenvalues are equal, their vectors are any basis of one space:

- Equal eigenvalues, and equal singular values, share a derivative evenly. That does not depend on the basis,
  is right for every symmetric function of them, and of the largest it is the subgradient of smallest norm.
- A derivative of the vectors is refused where it depends on the basis. So is a second derivative of
  repeated eigenvalues, which is made of first ones of the vectors.
- The derivative of a singular value at 0 is 0, as that of abs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.primitives import Special, raw, where
from chainrule.rules.arithmetic import conj, imag, real
from chainrule.rules.linalg import H, column, given, hermitian, is_complex, numeric, solve
from chainrule.rules.matrix import matmul
from chainrule.rules.reduction import sum_
from chainrule.rules.shape import diagonal, reshape
from chainrule.value import Value

NEAR = 8  # units in the last place of the largest, for each row: eigenvalues so near are equal
ARBITRARY = (
    "the derivative of the vectors of repeated values depends on the choice of a basis; functions of the "
    "values alone (np.linalg.eigvalsh, svdvals, norm) have a first derivative, functions of the matrix "
    "itself (np.trace(a @ a), np.linalg.matrix_power, np.linalg.pinv, chainrule.scipy.linalg.expm, sqrtm) "
    "every one"
)

# -------------------------------------------------------------------- which are equal


def _limit(w: Any) -> Any:
    size = np.abs(w)
    return NEAR * w.shape[-1] * np.finfo(size.dtype).eps * np.max(size, axis=-1, keepdims=True, initial=0.0)


@numeric
def _ties(w: Any) -> Any:
    """Which pairs of values are equal, each with itself included: (..., n, n)."""
    return np.abs(w[..., :, None] - w[..., None, :]) <= _limit(w)[..., None]


@numeric
def _shares(ties: Any) -> Any:
    """Each value's share of a derivative."""
    return ties / np.maximum(ties.sum(-1, keepdims=True), 1)


@numeric
def _vanishing(s: Any) -> Any:
    return s <= _limit(s)


def _across(d: Any, ties: Any) -> Any:
    """1 / d between different values, 0 between equal ones."""
    return where(ties, 0.0, 1 / where(ties, 1.0, d))


def _differences(w: Any) -> Any:
    """wⱼ - wᵢ."""
    shape = np.shape(raw(w))
    return reshape(w, (*shape[:-1], 1, shape[-1])) - column(w)


def _shared(d: Any, shares: Any) -> Any:
    """The average over equal values."""
    return reshape(matmul(shares, column(d)), np.shape(raw(d)))


# -------------------------------------------------------------------- what is refused


def rounding(x: Any) -> Any:
    return np.finfo(x.dtype).eps ** (2 / 3) * np.max(np.abs(x), initial=0.0)


def _repeated(ties: Any) -> Any:
    return ties.sum(-1) > 1


def _check_tangent(e: Any, ties: Any, *, name: str) -> Any:
    """The change of a matrix, seen from its vectors: it has to move repeated ones alike, and nowhere else."""
    tied = _repeated(ties)
    if tied.any():
        eye, limit = np.eye(e.shape[-1], dtype=bool), rounding(e)
        d = np.diagonal(e, axis1=-2, axis2=-1)
        uneven = np.abs(d - ((ties / ties.sum(-1, keepdims=True)) @ d[..., None])[..., 0])
        moved = np.any(np.abs(np.where(eye, 0.0, e)) > limit, axis=-2) | (uneven > limit)
        if np.any(moved & tied):
            raise np.linalg.LinAlgError(f"{name}: {ARBITRARY}")
    return e


def _check_cotangent(g: Any, v: Any, ties: Any, free: Any, *, name: str, phases: bool) -> Any:
    """The cotangent of vectors: it must be 0 for repeated values, and for those which are ``free``."""
    limit = rounding(g)
    loose = np.broadcast_to((_repeated(ties) | free)[..., None, :], g.shape)
    if np.any(np.abs(g[loose]) > limit):
        raise np.linalg.LinAlgError(f"{name}: {ARBITRARY}")
    if phases and np.iscomplexobj(g) and np.any(np.abs(np.sum(v * g, axis=-2).imag) > limit):
        raise np.linalg.LinAlgError(
            f"{name}: the derivative depends on the phases of complex vectors, which are arbitrary; make the "
            "result independent of them (np.abs, or v * v[:1].conj())"
        )
    return g


def _check_independent(v: Any) -> Any:
    if v.size and np.any(np.linalg.cond(v) > 0.01 / np.finfo(v.dtype).eps):
        raise np.linalg.LinAlgError(
            "eig: the matrix is defective, its eigenvectors are linearly dependent, and so its eigenvalues "
            "have no derivative; perturb it, or use functions of the matrix itself"
        )
    return v


class Check(Special):
    """What an error says of itself is all there is to say."""

    def _explain(self, error: ValueError, args: Any) -> ValueError:
        return error


def passing(check: Callable[..., Any], name: str) -> Special:
    """The first operand as it is, if the check lets it pass; so is its derivative."""
    return Check(
        numeric(check, trial=lambda x, *_, **__: x.copy()),
        lambda ts, y, *operands, **_: ts[0],
        lambda g, y, *operands, **_: (g, *[None] * (len(operands) - 1)),
        name=name,
    )


definite = passing(_check_tangent, "definite")
definite_back = passing(_check_cotangent, "definite_back")
independent = passing(_check_independent, "independent")
# Tangents pass; cotangents on their way back through it are checked. With ``phases=False`` nobody looks
# whether they depend on the phases: the derivative of the values does not, by its formula, and what comes
# back may be nothing but rounding.
on_return = Special(
    lambda t, v, ties, free, *, name, phases: t,
    lambda ts, y, *operands, **_: ts[0],
    lambda g, y, t, v, ties, free, **how: (definite_back(g, v, ties, free, **how), None, None, None),
    name="on_return",
)


def _transposing(t: Any) -> bool:
    """Whether a sweep asks with a leaf, to go back through the push: what comes back is then all there is.

    A tangent that is recorded is one of several things that change with a phase; only together they do not.
    """
    return type(t) is Value and t.primitive is None


# -------------------------------------------------------------------- Hermitian matrices
# Operands: the matrices, their eigenvalues and their eigenvectors. Λ' = diag(Vᴴ dA V).


def _seen(t: Any, v: Any, upper: bool) -> Any:
    return matmul(H(v), matmul(hermitian(t, upper), v))


def _eigh_values_push(ts: Any, y: Any, a: Any, w: Any, v: Any, *, upper: bool) -> Any:
    e = diagonal(_seen(ts[0], eigh_vectors(a, w, v, upper=upper, phases=False), upper))
    return _shared(real(e) if is_complex(e) else e, _shares(_ties(raw(w))))


def _eigh_vectors_push(ts: Any, y: Any, a: Any, w: Any, v: Any, *, upper: bool, phases: bool) -> Any:
    """By dV = V (F ∘ Vᴴ dA V), Fᵢⱼ = 1 / (wⱼ - wᵢ)."""
    ties = _ties(raw(w))
    e = definite(_seen(ts[0], y, upper), ties, name="eigh")
    f = _across(_differences(eigh_values(a, w, v, upper=upper)), ties)
    free = np.zeros(np.shape(raw(w)), bool)
    return on_return(matmul(y, f * e), y, ties, free, name="eigh", phases=phases and _transposing(ts[0]))


eigh_values: Special = Special(given(0), _eigh_values_push, name="eigh_values", symbol="λ")
eigh_vectors: Special = Special(given(1), _eigh_vectors_push, name="eigh_vectors", symbol="V")

# -------------------------------------------------------------------- square matrices
# Operands: the matrices, their eigenvalues and their eigenvectors, of length 1. Λ' = diag(V⁻¹ dA V).


def _eig_seen(t: Any, v: Any) -> Any:
    v = independent(v)
    return solve(v, matmul(t, v))


def _eig_values_push(ts: Any, y: Any, a: Any, w: Any, v: Any) -> Any:
    return _shared(diagonal(_eig_seen(ts[0], eig_vectors(a, w, v, phases=False))), _shares(_ties(raw(w))))


def _eig_vectors_push(ts: Any, y: Any, a: Any, w: Any, v: Any, *, phases: bool) -> Any:
    ties = _ties(raw(w))
    e = definite(_eig_seen(ts[0], y), ties, name="eig")
    moved = matmul(y, _across(_differences(eig_values(a, w, v)), ties) * e)
    along = sum_(conj(y) * moved, axis=(np.ndim(raw(y)) - 2,), keepdims=True)
    free = np.zeros(np.shape(raw(w)), bool)
    return on_return(moved - y * along, y, ties, free, name="eig", phases=phases and _transposing(ts[0]))


eig_values: Special = Special(given(0), _eig_values_push, name="eig_values", symbol="λ")
eig_vectors: Special = Special(given(1), _eig_vectors_push, name="eig_vectors", symbol="V")

# -------------------------------------------------------------------- singular values
# Operands: the matrices and A = U diag(s) Vᴴ in its thin form; V, not Vᴴ. ds = Re diag(Uᴴ dA V).


def _svd_values_push(ts: Any, y: Any, a: Any, u: Any, s: Any, v: Any) -> Any:
    left, right = svd_left(a, u, s, v), svd_right(a, u, s, v)
    e = diagonal(matmul(H(left), matmul(ts[0], right)))
    return where(_vanishing(raw(s)), 0.0, _shared(real(e) if is_complex(e) else e, _shares(_ties(raw(s)))))


def _svd_left_push(ts: Any, y: Any, a: Any, u: Any, s: Any, v: Any) -> Any:
    """J. Townsend, "Differentiating the singular value decomposition", 2016, eqs. 18 to 20.

    In complex numbers the phases are those that leave each column of V as it is.
    """
    return _svd_side(ts[0], y, svd_right(a, u, s, v), svd_values(a, u, s, v), s, True)


def _svd_right_push(ts: Any, y: Any, a: Any, u: Any, s: Any, v: Any) -> Any:
    return _svd_side(H(ts[0]), y, svd_left(a, u, s, v), svd_values(a, u, s, v), s, False)


def _svd_side(t: Any, mine: Any, other: Any, s: Any, plain: Any, phases: bool) -> Any:
    """By dU = U (F ∘ (P S + S Pᴴ)) + (1 - U Uᴴ) dA V / S with P = Uᴴ dA V, Fᵢⱼ = 1 / (sⱼ² - sᵢ²)."""
    rows, k = np.shape(raw(mine))[-2:]
    ties, zero = _ties(raw(plain)), _vanishing(raw(plain))
    moved = matmul(t, other)
    p = matmul(H(mine), moved)
    across = reshape(s, (*np.shape(raw(s))[:-1], 1, k))
    both = p * across + column(s) * H(p)
    # what equal ones add is only checked
    both = definite(both + where(ties & column(zero), p, 0.0), ties, name="svd")
    sums = across + column(s)
    inner = _across(_differences(s) * where(ties, 1.0, sums), ties) * both
    inverse = where(zero, 0.0, 1 / where(zero, 1.0, s))
    inverse = reshape(inverse, np.shape(raw(across)))
    if phases and is_complex(p):
        inner = inner + where(np.eye(k, dtype=bool), 1j * imag(p), 0.0) * inverse
    found = matmul(mine, inner)
    free = np.zeros(np.shape(raw(s)), bool)
    if rows > k:
        found = found + (moved - matmul(mine, p)) * inverse
        free = zero
    return on_return(found, mine, ties, free, name="svd", phases=False)


svd_left: Special = Special(given(0), _svd_left_push, name="svd_left", symbol="U")
svd_values: Special = Special(given(1), _svd_values_push, name="svd_values", symbol="σ")
svd_right: Special = Special(given(2), _svd_right_push, name="svd_right", symbol="V")


def _complement_push(ts: Any, y: Any, u: Any, rest: Any) -> Any:
    every = _everything(raw(y))
    free = np.zeros(np.shape(raw(y))[:-2] + np.shape(raw(y))[-1:], bool)
    moved = -matmul(u, matmul(H(ts[0]), y))
    return on_return(moved, y, every, free, name="svd with full_matrices=True", phases=False)


def _everything(x: Any) -> Any:
    return np.ones((*np.shape(x)[:-2], np.shape(x)[-1], np.shape(x)[-1]), bool)


# What completes the columns of u to a basis is itself any basis of the space they leave.
complement = Special(given(0), _complement_push, name="complement", symbol="⊥")
