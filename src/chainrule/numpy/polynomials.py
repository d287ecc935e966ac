"""Polynomials of coefficients, highest power first: values, products, quotients, roots, least squares."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand, shape_of
from chainrule.numpy.elementwise import astype
from chainrule.numpy.manipulation import broadcast_to, concatenate, ravel, reshape
from chainrule.numpy.matrices import eigvals, inv, lstsq
from chainrule.numpy.products import matmul, outer
from chainrule.numpy.reductions import sum
from chainrule.primitives import as_array
from chainrule.rules import arithmetic as ar
from chainrule.rules import polynomial as pl
from chainrule.rules import shape as sh
from chainrule.rules.elementary import sqrt
from chainrule.rules.matrix import matrix_transpose
from chainrule.rules.shape import sliced
from chainrule.traced import Traced
from chainrule.value import current


def polyval(p: Any, x: Any) -> Any:
    if isinstance(x, np.poly1d) or isinstance(p, np.poly1d):
        raise TypeError("polyval: a poly1d cannot hold a Value; pass the array of its coefficients")
    p, x = as_operand(p), as_operand(x)
    kind = np.result_type(as_array(current(p)).dtype, as_array(current(x)).dtype)  # of numbers, too
    p = p if as_array(current(p)).dtype == kind else astype(p, kind)
    return pl.horner(p, x)


def _coefficients(name: str, p: Any) -> Any:
    p = as_operand(p)
    if len(shape_of(p)) > 1:
        raise ValueError(f"{name}: coefficients have shape {shape_of(p)}, expected one axis")
    return p if shape_of(p) else reshape(p, (1,))


def _aligned(name: str, a1: Any, a2: Any) -> tuple[Any, Any]:
    a, b = _coefficients(name, a1), _coefficients(name, a2)
    n = max(shape_of(a)[0], shape_of(b)[0])
    return tuple(sh.pad(c, width=((n - shape_of(c)[0], 0),)) for c in (a, b))


def polyadd(a1: Any, a2: Any) -> Any:
    a, b = _aligned("polyadd", a1, a2)
    return a + b


def polysub(a1: Any, a2: Any) -> Any:
    a, b = _aligned("polysub", a1, a2)
    return a - b


def polymul(a1: Any, a2: Any) -> Any:
    a, b = _coefficients("polymul", a1), _coefficients("polymul", a2)
    m, n = shape_of(a)[0], shape_of(b)[0]
    at = np.arange(m)[:, None] + np.arange(n)
    return sh.scatter(outer(a, b), index=at, shape=(m + n - 1,))


def polyder(p: Any, m: int = 1) -> Any:
    p = _coefficients("polyder", p)
    for _ in range(m):
        p = sliced(p, 0, None, -1) * np.arange(shape_of(p)[0] - 1, 0, -1)
    return p


def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    p = _coefficients("polyint", p)
    k = np.zeros(m) if k is None else as_operand(k)
    k = broadcast_to(k, (m,)) if shape_of(k) in ((), (1,)) else k
    if shape_of(k) != (m,):
        raise ValueError(f"polyint: k has shape {shape_of(k)}, expected one constant or {m}")
    for i in range(m):
        p = concatenate([p / np.arange(shape_of(p)[0], 0, -1), sliced(k, 0, i, i + 1)])
    return p


def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """Quotient and remainder; how long the remainder is, the data say."""
    u, v = _coefficients("polydiv", u) * 1.0, _coefficients("polydiv", v) * 1.0
    kind = np.result_type(current(u), current(v))
    m, n = shape_of(u)[0], shape_of(v)[0]
    rest, scale, found = astype(u, kind), 1.0 / sh.getitem(v, 0), []
    for k in range(m - n + 1):
        found.append(sh.getitem(rest, k) * scale)
        rest = rest - sh.pad(found[-1] * v, width=((k, m - n - k),))
    plain = np.polydiv(current(u), current(v))
    rest = sliced(rest, 0, m - len(plain[1]), None)
    return (astype(sh.stack(found), kind) if found else plain[0]), rest


def roots(p: Any) -> Any:
    """The zeros; one that is repeated has no derivative, and gets what is infinite."""
    p = as_operand(p)
    if len(shape_of(p)) != 1:
        raise ValueError(f"roots: p has shape {shape_of(p)}, expected one axis of coefficients")
    return pl.roots(p)


def poly(seq_of_zeros: Any) -> Any:
    """The polynomial with these roots, or with the eigenvalues of a square matrix."""
    zeros = as_operand(seq_of_zeros)
    shape = shape_of(zeros)
    real = not np.iscomplexobj(current(zeros))  # then the eigenvalues come in pairs
    if len(shape) == 2 and shape[0] == shape[1] and shape[0]:
        zeros = eigvals(zeros)
    elif len(shape) != 1:
        raise ValueError(f"poly: received shape {shape}, expected one axis of roots, or a square matrix")
    kind = np.mintypecode(as_array(current(zeros)).dtype.char)
    p = np.ones(1, kind)
    for i in range(shape_of(zeros)[0]):
        p = sh.pad(p, width=((0, 1),)) - sh.pad(p * sh.getitem(zeros, i), width=((1, 0),))
    if not np.iscomplexobj(current(p)):
        return p
    data = current(zeros)
    return ar.real(p) if real or np.all(np.sort(data) == np.sort(np.conjugate(data))) else p


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    if len(shape_of(x)) != 1:
        raise ValueError(f"vander: x has shape {shape_of(x)}, expected one axis")
    n = shape_of(x)[0] if N is None else N
    powers = np.arange(n) if increasing else np.arange(n - 1, -1, -1)
    return ar.power(reshape(x, (-1, 1)), powers)


def polyfit(
    x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """Coefficients of least squares, of the columns of `vander` scaled to one length, as in NumPy."""
    x, y, order = as_operand(x) * 1.0, as_operand(y) * 1.0, int(deg) + 1
    if order < 1 or len(shape_of(x)) != 1 or not shape_of(x)[0]:
        raise ValueError(f"polyfit: x is {shape_of(x)}, deg {deg}; expected a vector, a degree of 0 or more")
    if len(shape_of(y)) not in (1, 2) or shape_of(y)[0] != shape_of(x)[0]:
        raise ValueError(f"polyfit: y is {shape_of(y)}, x is {shape_of(x)}; expected as many points")
    n, left, right = shape_of(x)[0], vander(x, order), y
    rcond = n * np.finfo(current(x).dtype).eps if rcond is None else rcond
    if w is not None:
        w = reshape(as_operand(w) * 1.0, (n, 1))
        left, right = left * w, right * (w if len(shape_of(y)) == 2 else ravel(w))
    scale = sqrt(sum(left * left, 0))
    left = left / scale
    c, residuals, rank, s = lstsq(left, right, rcond)
    c = c / (scale if len(shape_of(y)) == 1 else reshape(scale, (-1, 1)))
    if full:
        return c, residuals, rank, s, rcond
    if type(rank) is not Traced and rank != order:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=2)
    if not cov:
        return c
    if not (unscaled := isinstance(cov, str) and cov == "unscaled") and n <= order:
        raise ValueError(f"polyfit: {n} points for {order} coefficients, cov=True needs more points")
    base = inv(matmul(matrix_transpose(left), left)) / outer(scale, scale)
    spread = 1.0 if unscaled else residuals / (n - order)
    if len(shape_of(y)) == 2:
        base = reshape(base, (order, order, 1))
    return c, base * spread


# -------------------------------------------------------------------- numpy.polynomial, lowest power first


def polyval2d(x: Any, y: Any, c: Any) -> Any:
    """``Σ cᵢⱼ xⁱ yʲ`` at points."""
    x, y, c = _alike(x, y, c)
    if shape_of(x) != shape_of(y):
        raise ValueError(f"polyval2d: x is {shape_of(x)}, y is {shape_of(y)}; expected the same shape")
    return _horner(y, _horner(x, c, len(shape_of(x))), 0)


def polygrid2d(x: Any, y: Any, c: Any) -> Any:
    """``Σ cᵢⱼ xⁱ yʲ`` at every x with every y."""
    x, y, c = _alike(x, y, c)
    return _horner(y, _horner(x, c, len(shape_of(x))), len(shape_of(y)))


def _alike(x: Any, y: Any, c: Any) -> tuple[Any, Any, Any]:
    """Operands, and coefficients in the dtype of the result; here numbers count as arrays do."""
    x, y, c = as_operand(x), as_operand(y), as_operand(c)
    return x, y, astype(c, np.result_type(*(as_array(current(v)).dtype for v in (x, y, c)), np.float16))


def _horner(x: Any, c: Any, more: int) -> Any:
    """Of the first axis of ``c``, for each element of ``x`` in axes behind the others."""
    c = reshape(c, shape_of(c) + (1,) * more)
    y = sh.getitem(c, -1) + x * 0.0
    for i in range(shape_of(c)[0] - 2, -1, -1):
        y = sh.getitem(c, i) + y * x
    return y
