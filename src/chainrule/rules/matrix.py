"""Products of arrays: matmul and einsum, of which every other product is made."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.primitives import Bilinear, Linear, Reach, broadcast_to, raw, sum_to
from chainrule.rules.shape import reshape, scatter, transpose


def matrix_transpose(x: Any) -> Any:
    """The last two axes exchanged."""
    n = np.ndim(raw(x))
    return transpose(x, (*range(n - 2), n - 1, n - 2))


# A row of the result depends on that row of the left matrix, a column on that of the right one.
_ROWS_AND_COLUMNS = Reach(
    lambda a, b: np.any(a, axis=-1, keepdims=True) | np.any(b, axis=-2, keepdims=True),
    lambda alive, a, b: (_rows(alive, -1, a), _rows(alive, -2, b)),
)


def _rows(alive: Any, axis: int, x: Any) -> Any:
    mask = np.any(alive, axis=axis, keepdims=True)
    return np.broadcast_to(mask, (*mask.shape[:-2], *np.shape(x)[-2:]))


# Operands have two axes or more; the axes before are a stack and broadcast.
matmul = Bilinear(
    np.matmul,
    lambda g, a, b: matmul(g, matrix_transpose(b)),
    lambda g, a, b: matmul(matrix_transpose(a), g),
    _ROWS_AND_COLUMNS,
    name="matmul",
    symbol="@",
)

# -------------------------------------------------------------------- einsum, in explicit form "ij,jk->ik"


def _einsum_one_transpose(g: Any, x: Any, *, subscripts: str) -> Any:
    """Put ``g`` back where its indices are: along summed ones it is repeated, on diagonals it is set."""
    source, target = subscripts.split("->")
    distinct = "".join(dict.fromkeys(source))
    size = dict(zip(source, np.shape(x), strict=True))
    given = "".join(c for c in distinct if c in target)
    g = transpose(g, tuple(target.index(c) for c in given))
    g = reshape(g, tuple(size[c] if c in given else 1 for c in distinct))
    g = broadcast_to(g, shape=tuple(size[c] for c in distinct))
    if distinct == source:
        return g
    grids = np.ix_(*[np.arange(size[c]) for c in distinct])
    index = tuple(grids[distinct.index(c)] for c in source)
    return scatter(g, index=index, shape=np.shape(x))


einsum1 = Linear(
    lambda x, *, subscripts: np.einsum(subscripts, x)[()],
    _einsum_one_transpose,
    selects=True,  # of what is off a diagonal
    name="einsum",
)


def _einsum_two_transpose(g: Any, other: Any, like: Any, mine: str, theirs: str, target: str) -> Any:
    """The cotangent of one operand: contract ``g`` with the other, over the indices it does not have."""
    distinct = "".join(dict.fromkeys(mine))
    found = "".join(c for c in distinct if c in target or c in theirs)
    theirs_once = "".join(dict.fromkeys(theirs))
    if theirs_once != theirs:
        other = einsum1(other, subscripts=f"{theirs}->{theirs_once}")
    c = einsum2(g, other, subscripts=f"{target},{theirs_once}->{found}")
    shape = dict(zip(found, np.shape(raw(c)), strict=True))
    size = dict(zip(mine, np.shape(raw(like)), strict=True))
    full = tuple(shape.get(i, size[i]) for i in distinct)
    c = broadcast_to(reshape(c, tuple(shape.get(i, 1) for i in distinct)), shape=full)
    if distinct == mine:
        return c
    once = tuple(size[i] for i in distinct)  # a diagonal of one element may have been broadcast
    c = c if np.shape(raw(c)) == once else sum_to(c, shape=once)
    grids = np.ix_(*[np.arange(n) for n in once])
    return scatter(c, index=tuple(grids[distinct.index(i)] for i in mine), shape=np.shape(raw(like)))


def _left(g: Any, a: Any, b: Any, *, subscripts: str) -> Any:
    (x, y), target = _parse(subscripts)
    return _einsum_two_transpose(g, b, a, x, y, target)


def _right(g: Any, a: Any, b: Any, *, subscripts: str) -> Any:
    (x, y), target = _parse(subscripts)
    return _einsum_two_transpose(g, a, b, y, x, target)


def _parse(subscripts: str) -> tuple[list[str], str]:
    source, target = subscripts.split("->")
    return source.split(","), target


def _moves(*masks: Any, subscripts: str) -> Any:
    """An element moves if any of those summed into it does, in either operand."""
    sources, target = _parse(subscripts)
    moved: Any = False
    for mask, source in zip(masks, sources, strict=True):
        found = "".join(c for c in target if c in source)
        m = einsum1.run(mask.astype(float), subscripts=f"{source}->{found}") != 0
        size = dict(zip(found, np.shape(m), strict=True))
        moved = moved | np.reshape(m, tuple(size.get(c, 1) for c in target))
    return moved


def _reaches(alive: Any, *args: Any, subscripts: str) -> Any:
    sources, target = _parse(subscripts)
    masks = []
    for x, source in zip(args, sources, strict=True):
        found = "".join(c for c in target if c in source)
        m = np.any(alive, axis=tuple(k for k, c in enumerate(target) if c not in source))
        size = dict(zip(source, np.shape(x), strict=True))
        repeated = tuple(k for k, c in enumerate(found) if size[c] == 1 and np.shape(m)[k] != 1)
        m = np.any(m, axis=repeated, keepdims=True) if repeated else m
        masks.append(_einsum_one_transpose(m.astype(float), x, subscripts=f"{source}->{found}") != 0)
    return masks


einsum2 = Bilinear(
    lambda a, b, *, subscripts: np.einsum(subscripts, a, b, optimize=True),
    _left,
    _right,
    Reach(_moves, _reaches),
    name="einsum",
)
