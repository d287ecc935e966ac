"""Products of arrays."""

from __future__ import annotations

import builtins
import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand, axis_of, ordered_axes, shape_of
from chainrule.numpy.elementwise import astype
from chainrule.numpy.manipulation import moveaxis, ravel, reshape
from chainrule.numpy.rearranging import diagonal
from chainrule.numpy.reductions import sum
from chainrule.primitives import as_array
from chainrule.rules import arithmetic as ar
from chainrule.rules import matrix as mx
from chainrule.rules import shape as sh
from chainrule.value import current

# -------------------------------------------------------------------- products


def matmul(a: Any, b: Any) -> Any:
    return matmul_as("matmul", a, b)


def matmul_as(name: str, a: Any, b: Any) -> Any:
    a, b = as_operand(a), as_operand(b)
    x, y = shape_of(a), shape_of(b)
    if not x or not y:
        raise ValueError(f"{name}: a is {x}, b is {y}; a scalar has no axis to multiply along: use *")
    inner = y[-2] if len(y) > 1 else y[0]
    if x[-1] != inner:
        which = "second-to-last" if len(y) > 1 else "only axis"
        raise ValueError(
            f"{name}: a is {x}, b is {y}; a's last axis must equal b's {which} ({x[-1]} != {inner})"
        )
    wide_a = sh.reshape(a, (1, *x)) if len(x) == 1 else a
    wide_b = sh.reshape(b, (*y, 1)) if len(y) == 1 else b
    out = mx.matmul(wide_a, wide_b)
    shape = shape_of(out)
    if len(y) == 1:
        shape = shape[:-1]
    if len(x) == 1:
        shape = shape[:-1] if len(y) == 1 else (*shape[:-2], shape[-1])
    return sh.reshape(out, shape)


def along_axes(
    f: Any, signature: str, inputs: Sequence[Any], axes: Any = None, axis: Any = None, keepdims: bool = False
) -> Any:
    """A product of the last axes, along others; ``signature`` says how many each operand has."""
    operands, result = (
        [part.count(",") + 1 if part.strip("()") else 0 for part in side.replace("),(", ");(").split(";")]
        for side in signature.replace("?", "").split("->")
    )
    if axis is not None:
        axes = [axis] * len(operands)
    if axes is None:
        axes = [tuple(range(-n, 0)) for n in operands]
    axes = [k if isinstance(k, tuple) else (k,) for k in axes]
    if len(axes) == len(operands):  # the result's are the last, or with keepdims those of the operands
        axes = [*axes, axes[0] if keepdims else tuple(range(-result[0], 0))]
    moved = [
        moveaxis(x, k, tuple(range(-n, 0)))
        for x, k, n in zip(map(as_operand, inputs), axes, operands, strict=False)
    ]
    y = f(*moved)
    if keepdims and not result[0]:
        y, result = reshape(y, (*shape_of(y), *(1,) * operands[0])), operands
    return moveaxis(y, tuple(range(-result[0], 0)), axes[-1]) if result[0] else y


def _check_lengths(name: str, a: Any, b: Any, m: int, n: int) -> None:
    if m != n:
        raise ValueError(
            f"{name}: a is {shape_of(a)}, b is {shape_of(b)}; "
            f"what is summed must be equally long ({m} != {n})"
        )


def _scaled(a: Any, b: Any) -> Any:
    """The product with a number, which here counts as an array does: a Python number as double precision."""
    if isinstance(current(a), int | float) and isinstance(current(b), int | float):
        return ar.multiply(a, b)
    kind = np.result_type(*(as_array(current(x)).dtype for x in (a, b)))
    return ar.multiply(*(x if as_array(current(x)).dtype == kind else astype(x, kind) for x in (a, b)))


def dot(a: Any, b: Any, out: Any = None) -> Any:
    a, b = as_operand(a), as_operand(b)
    if not shape_of(a) or not shape_of(b):
        return _scaled(a, b)
    if len(shape_of(b)) <= 2 and len(shape_of(a)) <= 2:
        return matmul_as("dot", a, b)
    k = -2 if len(shape_of(b)) > 1 else 0
    _check_lengths("dot", a, b, shape_of(a)[-1], shape_of(b)[k])
    return tensordot(a, b, ((-1,), (k,)))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = as_operand(a), as_operand(b)
    x, y = shape_of(a), shape_of(b)
    if isinstance(axes, int | np.integer):
        i, j = tuple(range(len(x) - axes, len(x))), tuple(range(axes))
    else:
        i, j = (tuple(k) if np.ndim(k) else (k,) for k in axes)
    i, j = ordered_axes("tensordot", a, i), ordered_axes("tensordot", b, j)
    if [x[k] for k in i] != [y[k] for k in j]:
        raise ValueError(
            f"tensordot: a is {x}, b is {y}; axes {i} of a have lengths {[x[k] for k in i]}, axes {j} of b "
            f"{[y[k] for k in j]}, but they must be equal"
        )
    left = tuple(k for k in range(len(x)) if k not in i)
    right = tuple(k for k in range(len(y)) if k not in j)
    n = math.prod(x[k] for k in i)
    rows, columns = math.prod(x[k] for k in left), math.prod(y[k] for k in right)
    out = mx.matmul(
        sh.reshape(sh.transpose(a, left + i), (rows, n)), sh.reshape(sh.transpose(b, j + right), (n, columns))
    )
    return sh.reshape(out, tuple(x[k] for k in left) + tuple(y[k] for k in right))


def inner(a: Any, b: Any, /) -> Any:
    a, b = as_operand(a), as_operand(b)
    if not shape_of(a) or not shape_of(b):
        return _scaled(a, b)
    _check_lengths("inner", a, b, shape_of(a)[-1], shape_of(b)[-1])
    return tensordot(a, b, ((-1,), (-1,)))


def outer(a: Any, b: Any, out: Any = None) -> Any:
    return reshape(as_operand(a), (-1, 1)) * reshape(as_operand(b), (1, -1))


def vdot(a: Any, b: Any, /) -> Any:
    a, b = ravel(as_operand(a)), ravel(as_operand(b))
    _check_lengths("vdot", a, b, shape_of(a)[0], shape_of(b)[0])
    return sum(ar.conj(a) * b)


def matvec(x1: Any, x2: Any) -> Any:
    """Matrices times vectors, both in stacks."""
    a, b = as_operand(x1), as_operand(x2)
    if len(shape_of(a)) < 2 or not shape_of(b):
        raise ValueError(f"matvec: x1 is {shape_of(a)}, x2 is {shape_of(b)}; expected matrices and vectors")
    y = matmul_as("matvec", a, reshape(b, (*shape_of(b), 1)))
    return reshape(y, shape_of(y)[:-1])


def vecmat(x1: Any, x2: Any) -> Any:
    """Vectors, conjugated, times matrices, both in stacks."""
    a, b = as_operand(x1), as_operand(x2)
    if not shape_of(a) or len(shape_of(b)) < 2:
        raise ValueError(f"vecmat: x1 is {shape_of(a)}, x2 is {shape_of(b)}; expected vectors and matrices")
    y = matmul_as("vecmat", reshape(ar.conj(a), (*shape_of(a)[:-1], 1, shape_of(a)[-1])), b)
    return reshape(y, shape_of(y)[:-2] + shape_of(y)[-1:])


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """The vector product of vectors of three components."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = as_operand(a), as_operand(b)
    a = moveaxis(a, axis_of("cross", a, axisa), -1)
    b = moveaxis(b, axis_of("cross", b, axisb), -1)
    if shape_of(a)[-1] != 3 or shape_of(b)[-1] != 3:
        raise ValueError(
            f"cross: a is {shape_of(a)}, b is {shape_of(b)}; expected three components along axis"
        )
    a1, b2, a2, b1 = (
        sh.getitem(v, (..., np.array(i)))
        for v, i in ((a, [1, 2, 0]), (b, [2, 0, 1]), (a, [2, 0, 1]), (b, [1, 2, 0]))
    )
    y = a1 * b2 - a2 * b1
    return moveaxis(y, -1, axis_of("cross", y, axisc))


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    a, b = as_operand(x1), as_operand(x2)
    _check_lengths(
        "vecdot", a, b, shape_of(a)[axis_of("vecdot", a, axis)], shape_of(b)[axis_of("vecdot", b, axis)]
    )
    return sum(ar.conj(a) * b, axis)


def kron(a: Any, b: Any) -> Any:
    a, b = as_operand(a), as_operand(b)
    n = builtins.max(len(shape_of(a)), len(shape_of(b)))
    x, y = ((1,) * (n - len(shape_of(m))) + shape_of(m) for m in (a, b))
    wide = sh.reshape(a, tuple(k for s in x for k in (s, 1))) * sh.reshape(
        b, tuple(k for s in y for k in (1, s))
    )
    return sh.reshape(wide, tuple(s * t for s, t in zip(x, y, strict=True)))


def einsum(
    *operands: Any, out: Any = None, dtype: Any = None, order: str = "K", casting: str = "safe",
    optimize: Any = False,
) -> Any:  # fmt: skip
    """Einstein summation; several operands are contracted pair by pair, along NumPy's path."""
    if not isinstance(operands[0], str):
        operands = _spelled(operands)
    subscripts, xs = operands[0].replace(" ", ""), [as_operand(x) for x in operands[1:]]
    if dtype is not None:
        xs = [astype(x, dtype) for x in xs]
    terms, target = _explicit(subscripts, [shape_of(x) for x in xs])
    path = [tuple(range(len(xs)))]
    if len(xs) > 1:  # diagonals first: what is off them has no part in the product
        once = ["".join(dict.fromkeys(t)) for t in terms]
        xs = [x if s == t else _one(t, x, s) for s, t, x in zip(once, terms, xs, strict=True)]
        terms = once
    if len(xs) > 2:
        shapes = [np.broadcast_to(0.0, shape_of(x)) for x in xs]
        how = ("optimal" if len(xs) < 6 else "greedy") if isinstance(optimize, bool) else optimize
        path = np.einsum_path(",".join(terms) + "->" + target, *shapes, optimize=how)[0][1:]
    for step in path:
        chosen = [(terms[i], xs[i]) for i in step]
        terms = [t for i, t in enumerate(terms) if i not in step]
        xs = [x for i, x in enumerate(xs) if i not in step]
        needed = set(target).union(*terms)
        result = (
            "".join(c for c in dict.fromkeys("".join(t for t, _ in chosen)) if c in needed)
            if terms
            else target
        )
        if len(chosen) == 1:
            made = _one(*chosen[0], result)
        else:
            (s, a), (t, b), *more = chosen
            if more:  # a step of three or more: two at a time
                for u, c in more:
                    between = "".join(dict.fromkeys(s + t))
                    a, s = mx.einsum2(a, b, subscripts=f"{s},{t}->{between}"), between
                    b, t = c, u
            made = mx.einsum2(a, b, subscripts=f"{s},{t}->{result}")
        terms.append(result)
        xs.append(made)
    return xs[0]


def _one(term: str, x: Any, result: str) -> Any:
    """Einstein summation of one operand; where nothing is added up, a view of it, as in NumPy."""
    if len(set(term)) == len(result):
        if len(term) == len(result):
            return sh.transpose(x, tuple(term.index(c) for c in result)) if term != result else x[...]
        if len(term) == 2:
            return sh.diagonal(x)
    return mx.einsum1(x, subscripts=f"{term}->{result}")


_LETTERS = string.ascii_uppercase + string.ascii_lowercase  # as NumPy sorts them


def _spelled(operands: Sequence[Any]) -> tuple[Any, ...]:
    """``einsum(a, [0, 1], b, [1, 2], [0, 2])`` as ``einsum("ab,bc->ac", a, b)``."""

    def letters(axes: Sequence[Any]) -> str:
        return "".join("..." if i is Ellipsis else _LETTERS[i] for i in axes)

    n = len(operands) // 2
    subscripts = ",".join(letters(axes) for axes in operands[1 : 2 * n : 2])
    if len(operands) % 2:
        subscripts += "->" + letters(operands[-1])
    return (subscripts, *operands[: 2 * n : 2])


def _explicit(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """Subscripts with letters in the place of '...', and the output written out."""
    source, arrow, target = subscripts.partition("->")
    terms = source.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"einsum: subscripts {subscripts!r} name {len(terms)} operands, received {len(shapes)}"
        )
    free = [c for c in _LETTERS if c not in subscripts]
    hidden = [len(s) - len(t.replace("...", "")) for s, t in zip(shapes, terms, strict=True)]
    for i, (t, n) in enumerate(zip(terms, hidden, strict=True)):
        if n < 0 or (n and "..." not in t):
            raise ValueError(f"einsum: subscripts {t!r} do not fit operand {i} of shape {shapes[i]}")
    most = builtins.max(n if "..." in t else 0 for t, n in zip(terms, hidden, strict=True))
    letters = "".join(free[:most])
    terms = [t.replace("...", letters[most - n :] if n else "") for t, n in zip(terms, hidden, strict=True)]
    if arrow:
        target = target.replace("...", letters)
        unknown = [c for c in target if not any(c in t for t in terms)]
        if unknown or len(set(target)) < len(target):
            what = f"{unknown[0]!r}, which no operand has" if unknown else "an index twice"
            raise ValueError(
                f"einsum: the output {target!r} of subscripts {subscripts!r} names {what}; expected indices "
                "of the operands, each once"
            )
        return terms, target
    together = "".join(terms)
    return terms, letters + "".join(
        c for c in builtins.sorted(set(together)) if together.count(c) == 1 and c not in letters
    )


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    axis1, axis2 = ordered_axes("trace", a, (axis1, axis2))
    return sum(diagonal(a, offset, axis1, axis2), -1, dtype, out)
