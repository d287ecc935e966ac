"""The factors Q and R of matrices.

Columns that are, but for rounding, combinations of those before leave their column of Q, and all that follow,
to chance. What does not depend on these has its derivative; the rest is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.primitives import Special, raw, where
from chainrule.rules.arithmetic import imag
from chainrule.rules.decompositions import NEAR, passing, rounding
from chainrule.rules.linalg import H, given, is_complex, numeric, solve
from chainrule.rules.matrix import matmul
from chainrule.rules.matrix import matrix_transpose as mT

# -------------------------------------------------------------------- dependent columns


@numeric
def _loose(r: Any) -> Any:
    """The first column that depends on those before, and all after it; each beside its own length."""
    limit = NEAR * r.shape[-1] * np.finfo(r.dtype).eps * np.linalg.norm(r, axis=-2)
    return np.logical_or.accumulate(np.abs(np.diagonal(r, axis1=-2, axis2=-1)) <= limit, axis=-1)


def _refuse(loose: Any) -> None:
    first = int(np.argmin(np.sum(~loose.reshape(-1, loose.shape[-1]), axis=-1)))
    j = int(np.argmax(loose.reshape(-1, loose.shape[-1])[first]))
    raise np.linalg.LinAlgError(
        f"qr: column {j} of a is, but for rounding, a combination of those before it, so that column {j} of "
        f"Q, row {j} of R and what follows have no derivative; leave dependent columns out, or use "
        "np.linalg.lstsq, pinv or svdvals"
    )


def _check_tangent(t: Any, loose: Any) -> Any:
    if np.any(loose.any(-1)[..., None, None] & (t != 0)):
        _refuse(loose)
    return t


def _check_cotangent(g: Any, loose: Any, *, axis: int) -> Any:
    if np.any((np.abs(g) > rounding(g)) & np.expand_dims(loose, axis)):
        _refuse(loose)
    return g


full_rank = passing(_check_tangent, "full_rank")
full_rank_back = passing(_check_cotangent, "full_rank_back")
# Tangents pass; cotangents of what is loose are refused on their way back through it.
full_rank_on_return = Special(
    lambda t, loose, *, axis: t,
    lambda ts, y, t, loose, *, axis: ts[0],
    lambda g, y, t, loose, *, axis: (full_rank_back(g, loose, axis=axis), None),
    name="full_rank_on_return",
)

# -------------------------------------------------------------------- the factors


def _skew(inner: Any) -> Any:
    """The part of Qᴴ dA R⁻¹ that turns Q: what is left for R is upper triangular, real on its diagonal."""
    lower = where(np.tri(np.shape(raw(inner))[-1], k=-1, dtype=bool), inner, 0.0)
    skew = lower - H(lower)
    if not is_complex(inner):
        return skew
    return skew + where(np.eye(np.shape(raw(inner))[-1], dtype=bool), 1j * imag(inner), 0.0)


def _divided(t: Any, r: Any, loose: Any) -> Any:
    """T R⁻¹, and 0 in loose columns."""
    across = loose[..., None, :]
    r = where(across, np.eye(np.shape(raw(r))[-1]), r)
    return mT(solve(mT(r), mT(where(across, 0.0, t))))


def _q_push(ts: Any, y: Any, a: Any, q: Any, r: Any) -> Any:
    loose = _loose(raw(r))
    x = _divided(full_rank(ts[0], loose), qr_r(a, q, r), loose)
    inner = matmul(H(y), x)
    return full_rank_on_return(x - matmul(y, inner - _skew(inner)), loose, axis=-2)


def _r_push(ts: Any, y: Any, a: Any, q: Any, r: Any) -> Any:
    """By dR = Qᴴ dA - Ω R, where Ω = Qᴴ dQ asks only for the columns that are not loose."""
    loose, across = _loose(raw(r)), H(qr_q(a, q, r))
    t = full_rank(ts[0], loose)
    moved = matmul(across, t) - matmul(_skew(matmul(across, _divided(t, y, loose))), y)
    moved = where(np.tri(np.shape(raw(y))[-1], k=-1, dtype=bool), 0.0, moved)
    return full_rank_on_return(moved, loose, axis=-1)


# Operands: A with no more columns than rows, and its factors. S. F. Walter & L. Lehmann, "Algorithmic
# differentiation of linear algebra functions with application in optimum experimental design",
# arXiv:1001.1654, section 3.2.2.
qr_q: Special = Special(given(0), _q_push, name="qr_q", symbol="Q")
qr_r: Special = Special(given(1), _r_push, name="qr_r", symbol="R")
