"""Products of traced arrays: ``matmul``, and what becomes one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.native.operations import call, cast, lift, node, reshape, transpose
from chainrule.native.reductions import REDUCE
from chainrule.native.ufuncs import SPECIAL, apply_ufunc
from chainrule.traced import Traced

__all__ = ["einsum", "matmul"]


def matmul(a: Any, b: Any) -> Traced:
    """``a @ b``."""
    a, b = lift(a), lift(b)
    if not a.shape or not b.shape:
        raise ValueError("matmul: an operand is a scalar; use *")
    dtype = np.result_type(a.dtype, b.dtype)
    wide_a = reshape(a, (1, *a.shape)) if a.ndim == 1 else a
    wide_b = reshape(b, (*b.shape, 1)) if b.ndim == 1 else b
    if wide_a.shape[-1] != wide_b.shape[-2]:
        raise ValueError(
            f"matmul: a is {a.shape}, b is {b.shape}; a's last axis must equal b's "
            f"{'second-to-last' if b.ndim > 1 else 'only axis'} ({wide_a.shape[-1]} != {wide_b.shape[-2]})"
        )
    if dtype.char not in "fd":
        return call(np.matmul, (a, b), {})  # type: ignore[no-any-return]
    batch = np.broadcast_shapes(wide_a.shape[:-2], wide_b.shape[:-2])
    shape = (*batch, wide_a.shape[-2], wide_b.shape[-1])
    y = node("matmul", (cast(wide_a, dtype), cast(wide_b, dtype)), shape, dtype)
    if b.ndim == 1:
        shape = shape[:-1]
    if a.ndim == 1:
        shape = shape[:-1] if b.ndim == 1 else (*shape[:-2], shape[-1])
    return reshape(y, shape)


SPECIAL[np.matmul] = matmul  # the ufunc


def einsum(*operands: Any, optimize: Any = False, **options: Any) -> Traced:
    """Two operands without repeated indices become a matmul; anything else is NumPy's to do."""
    subscripts, *xs = operands
    if options or not isinstance(subscripts, str) or "->" not in subscripts or "." in subscripts:
        return call(np.einsum, operands, options)  # type: ignore[no-any-return]
    source, target = subscripts.replace(" ", "").split("->")
    terms = source.split(",")
    xs = [lift(x) for x in xs]
    odd = any(len(set(t)) < len(t) for t in (*terms, target)) or not set(target) <= set(source)
    if odd or len(terms) > 2:
        return call(np.einsum, (subscripts, *xs), {})  # type: ignore[no-any-return]
    for i, t in enumerate(terms):  # what only one operand has and the result has not is summed at once
        other = target + "".join(u for j, u in enumerate(terms) if j != i)
        alone = tuple(k for k, c in enumerate(t) if c not in other)
        if alone:
            xs[i] = REDUCE["sum"](xs[i], alone)
            terms[i] = "".join(c for c in t if c in other)
    if len(terms) == 1:
        return transpose(xs[0], [terms[0].index(c) for c in target])
    (a, b), (s, t) = xs, terms
    size = dict(zip(s, a.shape, strict=True))
    for c, n in zip(t, b.shape, strict=True):
        if size.setdefault(c, n) != n and 1 in (size[c], n):
            return call(np.einsum, (subscripts, *xs), {})  # type: ignore[no-any-return]
        if size[c] != n:
            raise ValueError(f"einsum: index {c!r} has sizes {size[c]} and {n} in {subscripts!r}")
    batch = [c for c in s if c in t and c in target]
    inner = [c for c in s if c in t and c not in target]
    left, right = [c for c in s if c not in t], [c for c in t if c not in s]
    count = {k: math.prod(size[c] for c in v) for k, v in (("i", inner), ("l", left), ("r", right))}
    shape = tuple(size[c] for c in batch)
    a = reshape(transpose(a, [s.index(c) for c in batch + left + inner]), (*shape, count["l"], count["i"]))
    b = reshape(transpose(b, [t.index(c) for c in batch + inner + right]), (*shape, count["i"], count["r"]))
    y = reshape(matmul(a, b), tuple(size[c] for c in batch + left + right))
    return transpose(y, [(batch + left + right).index(c) for c in target])


def dot(a: Any, b: Any, out: Any = None) -> Any:
    a, b = lift(a), lift(b)
    if not a.ndim or not b.ndim:
        return apply_ufunc(np.multiply, cast(a, a.dtype), cast(b, b.dtype))  # no number gives way
    return matmul(a, b) if b.ndim in (1, 2) else call(np.dot, (a, b), {})
