"""Norms of vectors and matrices, and the condition of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand, axes_of, ordered_axes, shape_of
from chainrule.numpy.elementwise import power, where
from chainrule.numpy.manipulation import moveaxis, reshape
from chainrule.numpy.matrices import as_matrices, as_square, inv, svdvals
from chainrule.numpy.reductions import max, min, sum
from chainrule.primitives import as_array
from chainrule.rules import arithmetic as ar
from chainrule.rules import reduction as rd
from chainrule.rules import shape as sh
from chainrule.value import current


def cond(x: Any, p: Any = None) -> Any:
    x = as_matrices("cond", x)
    if p in (None, 2, -2):
        s = svdvals(x)
        large, small = (sh.getitem(s, (Ellipsis, k)) for k in (0, -1))
        return small / large if p == -2 else large / small
    as_square("cond", x, "; p=2 takes others")
    return norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = as_operand(x)
    n = len(shape_of(x))
    if axis is None and ord is not None and n > 2:
        raise ValueError(
            f"norm: x has {n} axes; with ord={ord!r} name one axis (vectors) or two (matrices)"
        )
    axes = axes_of("norm", x, axis)
    if ord is None or (ord == "fro" and len(axes) == 2):
        return rd.norm(x, axis=axes, keepdims=bool(keepdims))
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) != 2:
        raise ValueError(f"norm: axis is {axis!r}, expected one axis (vectors) or two (matrices)")
    rows, columns = ordered_axes("norm", x, axis) if axis is not None else axes
    if _empty(x, axes) and ord in (1, 2, math.inf, "nuc"):
        return sum(ar.absolute(x), axes, keepdims=keepdims)
    if ord in (1, -1, math.inf, -math.inf):
        along, over = (rows, columns) if ord in (1, -1) else (columns, rows)
        totals = sum(ar.absolute(x), along, keepdims=True)
        return (max if ord > 0 else min)(totals, (along, over), keepdims=keepdims)
    if ord not in (2, -2, "nuc"):
        raise ValueError(
            f"norm: ord={ord!r} of matrices; expected None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf"
        )
    s = svdvals(moveaxis(x, (rows, columns), (-2, -1)))
    found = sum(s, -1) if ord == "nuc" else sh.getitem(s, (Ellipsis, 0 if ord == 2 else -1))
    if not keepdims:
        return found
    return reshape(found, tuple(1 if i in axes else k for i, k in enumerate(shape_of(x))))


def _empty(x: Any, axes: tuple[int, ...]) -> bool:
    """Whether there is nothing along the axes: such norms are 0."""
    return any(shape_of(x)[k] == 0 for k in axes)


def _vector_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if isinstance(ord, str):
        raise ValueError(f"norm: ord={ord!r} is for matrices, x has shape {shape_of(x)} along axis {axes}")
    if ord == 2:
        return rd.norm(x, axis=axes, keepdims=bool(keepdims))
    size = ar.absolute(x)
    if ord in (math.inf, -math.inf) and not (_empty(x, axes) and ord > 0):
        return (max if ord > 0 else min)(size, axes, keepdims=keepdims)
    if ord == 0:
        return np.sum(current(x) != 0, axis=axes, keepdims=keepdims).astype(current(size).dtype)
    if ord in (1, math.inf):
        return sum(size, axes, keepdims=keepdims)
    total = sum(power(size, ord), axes, keepdims=keepdims)
    kind = as_array(current(total)).dtype
    root = 1 / kind.type(ord) if kind.char == "g" else 1 / ord  # with all its digits
    if ord < 0:
        return power(total, root)
    zero = current(total) == 0  # there the derivative is 0, the subgradient of smallest norm
    return where(zero, 0.0, power(where(zero, 1.0, total), root))


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    x = as_operand(x)
    return _vector_norm(x, ord, axes_of("vector_norm", x, axis), keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return norm(as_matrices("matrix_norm", x), ord, (-2, -1), keepdims)
