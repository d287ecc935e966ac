"""`numpy.linalg`: calling conventions of the functions of matrices."""

from __future__ import annotations

import builtins
import math
import operator
from typing import Any, NamedTuple

import numpy as np

from chainrule.numpy.arguments import KEEP, as_operand, axis_of, ordered_axes, shape_of
from chainrule.numpy.manipulation import moveaxis, reshape
from chainrule.numpy.products import matmul_as, tensordot
from chainrule.numpy.rearranging import diagonal as _diagonal
from chainrule.numpy.rearranging import take_along_axis
from chainrule.numpy.reductions import sum
from chainrule.rules import arithmetic as ar
from chainrule.rules import decompositions as dc
from chainrule.rules import linalg as la
from chainrule.rules import matrix as mx
from chainrule.rules import shape as sh
from chainrule.rules.qr import qr_q, qr_r
from chainrule.value import Value, current

# -------------------------------------------------------------------- results and arguments


class EighResult(NamedTuple):
    """Of eigh, as NumPy names them."""

    eigenvalues: Any
    eigenvectors: Any


class EigResult(NamedTuple):
    """Of eig."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """Of qr."""

    Q: Any
    R: Any


class SlogdetResult(NamedTuple):
    """Of slogdet."""

    sign: Any
    logabsdet: Any


class SVDResult(NamedTuple):
    """Of svd."""

    U: Any
    S: Any
    Vh: Any


def as_square(name: str, a: Any, instead: str = "") -> Any:
    a = as_operand(a)
    shape = shape_of(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise np.linalg.LinAlgError(
            f"{name}: a is {shape}, expected square matrices in the last two axes{instead}"
        )
    return a


def as_matrices(name: str, a: Any) -> Any:
    a = as_operand(a)
    if len(shape_of(a)) < 2:
        raise np.linalg.LinAlgError(f"{name}: a is {shape_of(a)}, expected matrices in the last two axes")
    return a


def _fixed(a: Any, *found: Any) -> tuple[Any, ...]:
    """What was computed from ``a``'s data, marked so that a graph need not copy it."""
    if type(a) is Value:
        for x in found:
            if type(x) is np.ndarray and x.base is None:
                x.setflags(write=False)
    return found


def as_columns(name: str, a: Any, b: Any) -> tuple[Any, bool]:
    """The right sides as columns, and whether it was one vector."""
    b = as_operand(b)
    vector = len(shape_of(b)) == 1
    if not shape_of(b) or shape_of(b)[0 if vector else -2] != shape_of(a)[-2]:
        which = "only" if vector else "second-to-last"
        raise ValueError(
            f"{name}: a is {shape_of(a)}, b is {shape_of(b)}; b's {which} axis "
            f"must be as long as a's second-to-last ({shape_of(a)[-2]})"
        )
    return (la.column(b) if vector else b), vector


def as_vector(x: Any) -> Any:
    return reshape(x, shape_of(x)[:-1])


# -------------------------------------------------------------------- solving


def solve(a: Any, b: Any) -> Any:
    a = as_square("solve", a, "; use np.linalg.lstsq")
    b, vector = as_columns("solve", a, b)
    x = la.solve(a, b)
    return as_vector(x) if vector else x


def inv(a: Any) -> Any:
    return la.inv(as_square("inv", a, "; use np.linalg.pinv"))


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = KEEP) -> Any:
    a = as_matrices("pinv", a)
    if hermitian:
        a = la.hermitian(as_square("pinv", a), False)
    if rcond is None:
        rcond = None if rtol is KEEP else rtol
    if rcond is None:  # NumPy's own default for rtol=None
        rcond = (
            builtins.max(shape_of(a)[-2:]) * np.finfo(current(a).dtype).eps if rtol is not KEEP else 1e-15
        )
    return la.pinv(a, rtol=rcond)


def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    a = as_operand(a)
    if len(shape_of(a)) != 2:
        raise np.linalg.LinAlgError(f"lstsq: a is {shape_of(a)}, expected one matrix")
    b, vector = as_columns("lstsq", a, b)
    x = la.lstsq(a, b, rcond=rcond)
    s = svdvals(a)
    _, residuals, rank, _ = np.linalg.lstsq(current(a), current(b), rcond)
    if shape_of(residuals)[0]:
        r = b - mx.matmul(a, x)
        residuals = sum(ar.real(ar.conj(r) * r), 0)
    return (as_vector(x) if vector else x), residuals, rank, s


def tensorinv(a: Any, ind: int = 2) -> Any:
    shape = shape_of(a)
    if ind <= 0:
        raise ValueError(f"tensorinv: ind is {ind}, expected 1 or more")
    before, after = shape[:ind], shape[ind:]
    if math.prod(before) != math.prod(after):
        raise np.linalg.LinAlgError(
            f"tensorinv: a is {shape}; its first {ind} axes must have as many elements as the others "
            f"({math.prod(before)} != {math.prod(after)})"
        )
    n = math.prod(after)
    return reshape(la.inv(reshape(a, (n, n))), (*after, *before))


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = as_operand(a), as_operand(b)
    if axes is not None:
        last = ordered_axes("tensorsolve", a, axes)
        a = sh.transpose(a, (*(k for k in range(len(shape_of(a))) if k not in last), *last))
    rest = shape_of(a)[len(shape_of(b)) :]
    n = math.prod(rest)
    if math.prod(shape_of(a)) != n * n or math.prod(shape_of(b)) != n:
        raise np.linalg.LinAlgError(
            f"tensorsolve: a is {shape_of(a)}, b is {shape_of(b)}; a must be square: as many elements in its "
            f"first {len(shape_of(b))} axes, those of b, as in the others"
        )
    x = la.solve(reshape(a, (n, n)), reshape(b, (n, 1)))
    return reshape(x, rest)


# -------------------------------------------------------------------- determinants, products


def det(a: Any) -> Any:
    return la.det(as_square("det", a))


def slogdet(a: Any) -> Any:
    a = as_square("slogdet", a)
    sign, size = _fixed(a, *np.linalg.slogdet(current(a)))
    if la.is_complex(a):
        return SlogdetResult(la.sign_of_det(a, sign, size), la.logabsdet(a, sign, size))
    return SlogdetResult(sign, la.logabsdet(a, sign, size))


def matrix_power(a: Any, n: int) -> Any:
    a = as_square("matrix_power", a)
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(
            f"matrix_power: n is {n!r}, expected an integer; chainrule.scipy.linalg.sqrtm takes roots"
        ) from None
    if n < 0:
        a, n = la.inv(a), -n
    if n == 0:
        return a * 0.0 + np.eye(shape_of(a)[-1], dtype=current(a).dtype)
    power: Any = None
    while True:  # by squaring, lowest binary digit first
        if n % 2:
            power = a if power is None else mx.matmul(power, a)
        n //= 2
        if not n:
            return power
        a = mx.matmul(a, a)


def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """The product of several matrices, in the order of fewest multiplications."""
    xs = [as_operand(x) for x in arrays]
    if len(xs) < 2:
        raise ValueError(f"multi_dot: received {len(xs)} arrays, expected two or more")
    for i, x in enumerate(xs):
        if len(shape_of(x)) != 2 and not (len(shape_of(x)) == 1 and i in (0, len(xs) - 1)):
            raise np.linalg.LinAlgError(
                f"multi_dot: array {i} is {shape_of(x)}, expected a matrix (the first and the last may be "
                "vectors)"
            )
    first, last = (len(shape_of(xs[k])) == 1 for k in (0, -1))
    if first:
        xs[0] = sh.reshape(xs[0], (1, *shape_of(xs[0])))
    if last:
        xs[-1] = la.column(xs[-1])
    sizes = [shape_of(x)[0] for x in xs] + [shape_of(xs[-1])[1]]
    best: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(len(xs))}
    for length in range(1, len(xs)):  # Cormen et al., "Introduction to Algorithms", chapter 15.2
        for i in range(len(xs) - length):
            j = i + length
            best[i, j] = builtins.min(
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )

    def product(i: int, j: int) -> Any:
        if i == j:
            return xs[i]
        k = best[i, j][1]
        return matmul_as("multi_dot", product(i, k), product(k + 1, j))

    found = product(0, len(xs) - 1)
    shape = shape_of(found)
    return sh.reshape(found, shape[first : len(shape) - last])


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    x1, x2 = as_operand(x1), as_operand(x2)
    for name, x in (("x1", x1), ("x2", x2)):
        if shape_of(x)[axis_of("cross", x, axis)] != 3:
            raise ValueError(f"cross: {name} is {shape_of(x)}, expected 3 components along axis {axis}")
    a, b = moveaxis(x1, axis, -1), moveaxis(x2, axis, -1)
    (a0, a1, a2), (b0, b1, b2) = ([sh.getitem(x, (Ellipsis, k)) for k in range(3)] for x in (a, b))
    return moveaxis(sh.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -1), -1, axis)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return sum(diagonal(x, offset=offset), -1, dtype)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return _diagonal(x, offset, -2, -1)


def outer(x1: Any, x2: Any, /) -> Any:
    a, b = as_operand(x1), as_operand(x2)
    if len(shape_of(a)) != 1 or len(shape_of(b)) != 1:
        raise ValueError(
            f"outer: x1 is {shape_of(a)}, x2 is {shape_of(b)}, expected vectors; np.outer flattens"
        )
    return tensordot(a, b, 0)


# -------------------------------------------------------------------- factors


def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    a = as_square("cholesky", a)
    return la.H(la.cholesky(la.H(a))) if upper else la.cholesky(a)


def qr(a: Any, mode: str = "reduced") -> Any:
    a = as_matrices("qr", a)
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: mode is {mode!r}, expected 'reduced', 'complete' or 'r' for Values")
    m, n = shape_of(a)[-2:]
    k = builtins.min(m, n)
    q, r = np.linalg.qr(current(a), mode="complete" if mode == "complete" else "reduced")
    rest, first = q[..., k:], sh.getitem(a, (Ellipsis, slice(0, k))) if n > k else a
    q, r = _fixed(a, q[..., :k], r[..., :k, :k])
    left, right = qr_q(first, q, r), qr_r(first, q, r)
    if n > k:
        right = sh.concatenate(
            [right, mx.matmul(la.H(left), sh.getitem(a, (Ellipsis, slice(k, None))))], len(shape_of(a)) - 1
        )
    if mode == "r":
        return right
    if shape_of(rest)[-1]:
        left = sh.concatenate([left, dc.complement(left, rest)], len(shape_of(a)) - 1)
        right = sh.pad(right, width=((0, 0),) * (len(shape_of(a)) - 2) + ((0, m - k), (0, 0)))
    return QRResult(left, right)


def eigh(a: Any, UPLO: str = "L") -> Any:
    return _eigh("eigh", a, UPLO)


def _eigh(name: str, a: Any, UPLO: Any) -> EighResult:
    a, upper = as_square(name, a), _upper(name, UPLO)
    given = _fixed(a, *np.linalg.eigh(current(a), UPLO))
    vectors = dc.eigh_vectors(a, *given, upper=upper, phases=True)
    return EighResult(dc.eigh_values(a, *given, upper=upper), vectors)


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return _eigh("eigvalsh", a, UPLO).eigenvalues


def _upper(name: str, UPLO: str) -> bool:
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise ValueError(f"{name}: UPLO is {UPLO!r}, expected 'L' or 'U'")
    return UPLO.upper() == "U"


def eig(a: Any) -> Any:
    a = as_square("eig", a)
    given = _fixed(a, *np.linalg.eig(current(a)))
    return EigResult(dc.eig_values(a, *given), dc.eig_vectors(a, *given, phases=True))


def eigvals(a: Any) -> Any:
    return eig(a).eigenvalues


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    a = as_matrices("svd", a)
    if hermitian:
        if compute_uv:
            return _svd_of_hermitian(as_square("svd", a))
        a = la.hermitian(as_square("svd", a), False)
    last, k = len(shape_of(a)) - 1, builtins.min(shape_of(a)[-2:])
    u, s, vh = np.linalg.svd(current(a), full_matrices=bool(full_matrices and compute_uv))
    v = np.conjugate(np.swapaxes(vh, -1, -2))
    given = _fixed(a, u[..., :k], s, v[..., :k])
    size = dc.svd_values(a, *given)
    if not compute_uv:
        return size
    left, right = dc.svd_left(a, *given), dc.svd_right(a, *given)
    if shape_of(u)[-1] > k:
        left = sh.concatenate([left, dc.complement(left, u[..., k:])], last)
    if shape_of(v)[-1] > k:
        right = sh.concatenate([right, dc.complement(right, v[..., k:])], last)
    return SVDResult(left, size, la.H(right))


def _svd_of_hermitian(a: Any) -> SVDResult:
    """By the eigenvectors, as in NumPy: the singular values are the sizes of the eigenvalues."""
    w, v = eigh(a)
    signed = v * reshape(ar.sign(w), (*shape_of(w)[:-1], 1, shape_of(w)[-1]))
    order = np.argsort(np.abs(current(w)), axis=-1)[..., ::-1]
    left, right = (take_along_axis(u, order[..., None, :], -1) for u in (v, signed))
    return SVDResult(left, take_along_axis(ar.absolute(w), order, -1), la.H(right))


def svdvals(x: Any, /) -> Any:
    return svd(x, compute_uv=False)
