"""The cost sweep: what each operation of a graph costs, and the Jacobians that no sweep builds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.graph import order
from chainrule.primitives import Elementwise, Special, broadcast_to, cast, raw, sum_to
from chainrule.rules import arithmetic, bodies, control, convolution, matrix, reduction, shape
from chainrule.sweeps.paths import ways
from chainrule.value import Value, next_serial

__all__ = ["Factor", "Operation", "flops", "nonzero", "operations", "product_flops", "size", "stored"]


class Factor(NamedTuple):
    """A Jacobian ``∂result/∂operand``: its shape, and how many entries are not zero whatever the numbers."""

    result: Value
    operand: Value
    rows: int
    columns: int
    nonzero: int


class Operation(NamedTuple):
    """An operation, and those that were folded into it.

    Attributes
    ----------
    nodes : tuple of Value
        Its result; after it those of elementwise operations that only scale the rows of its Jacobian.
    times : int
        How often the program does it with the same operands.
    flops, bytes, numbers : int
        Its arithmetic, and what it keeps for the sweep; all times together.
    factors : tuple of Factor
        One for each operand on a way from an input.
    """

    nodes: tuple[Value, ...]
    times: int
    flops: int
    bytes: int
    numbers: int
    factors: tuple[Factor, ...]


def operations(output: Value, sources: Sequence[Value]) -> tuple[list[Operation], dict[Value, Value]]:
    """The operations of a graph in the order of the program, each with its Jacobians.

    An operation done twice with the same operands has one Jacobian and is listed once: the second
    result is a dict from each node to the first that was computed alike. An elementwise operation of
    one operand that nobody else uses multiplies the rows of that operand's Jacobian by numbers, and
    ``reshape`` and ``transpose`` rearrange them: they need none of their own.

    Examples
    --------
    >>> import numpy as np
    >>> x = Value(0.5)
    >>> made, _ = operations(np.exp(x * x) + np.exp(x * x), [x])
    >>> [(len(o.nodes), o.times, len(o.factors)) for o in made]
    [(2, 2, 2), (1, 1, 2)]
    """
    given = set(sources)
    first, times = _numbered(order([output]), given)
    found = ways(output, sources)
    steps = {v: [(i, first[x]) for i, x in s] for v, s in found.items() if first[v] is v}
    users: dict[Value, set[Value]] = {}
    for v, s in steps.items():
        for _, x in s:
            users.setdefault(x, set()).add(v)
    chains: dict[Value, list[Value]] = {}  # by its last node
    for v in times:
        chain: list[Value] = []
        if len(steps.get(v, ())) == 1:
            ((_, x),) = steps[v]
            scales = isinstance(v.primitive, Elementwise) and x.shape == v.shape
            if (scales or v.primitive in _REARRANGING) and steps[x] and len(users[x]) == 1:
                chain = chains.pop(x)
        chain.append(v)
        chains[v] = chain
    made = []
    for last, chain in chains.items():
        if last.primitive is None or last in given:
            continue
        factors = [
            Factor(last, x, size(last), size(x), nonzero(chain[0], i)) for i, x in steps.get(chain[0], ())
        ]
        made.append(
            Operation(
                tuple(chain),
                times[last],
                sum(times[v] * flops(v) for v in chain),
                sum(times[v] * stored(v) for v in chain),
                sum(times[v] * size(v) for v in chain if stored(v)),
                tuple(factors),
            )
        )
    return sorted(made, key=lambda o: o.nodes[-1].serial), first


def _numbered(nodes: Iterable[Value], sources: set[Value]) -> tuple[dict[Value, Value], dict[Value, int]]:
    """For each node the first that was computed alike; and for these, how many there are."""
    first: dict[Value, Value] = {}
    times: dict[Value, int] = {}
    known: dict[Any, Value] = {}
    digests: dict[int, Any] = {}
    for v in nodes:
        same = v
        if v.primitive is not None and v not in sources:
            operands = [first[x].serial if type(x) is Value else _key(x, digests) for x in v.inputs]
            params = [(name, _key(x, digests)) for name, x in v.params.items()]
            same = known.setdefault((v.primitive, *operands, *params), v)
        first[v] = same
        times[same] = times.get(same, 0) + 1
    return first, times


_PLAIN = (bool, int, float, complex, str, type(None), slice, type, np.dtype, np.generic, type(...))


def _key(x: Any, digests: dict[int, Any]) -> Any:
    """What is equal for equal constants: numbers and arrays by content, the rest by identity."""
    if isinstance(x, _PLAIN):
        return type(x), repr(x)
    if isinstance(x, tuple) and all(isinstance(e, _PLAIN) for e in x):
        return repr(x), *map(type, x)
    if type(x) is np.ndarray and x.dtype.kind in "fciub":
        if id(x) not in digests:
            digests[id(x)] = x.shape, x.dtype.str, hashlib.sha256(x.tobytes()).digest()
        return digests[id(x)]
    return id(x)


def size(v: Value) -> int:
    """How many numbers a node holds; of a loop, all of its results together."""
    d = v._raw
    return sum(np.size(raw(x)) for x in d.found.values()) if type(d) is bodies.Parts else v.size


def stored(v: Value) -> int:
    """The bytes that a node keeps for the sweep; none if its data is a view of an operand's."""
    d = v._raw
    if type(d) is bodies.Parts:
        return sum(np.asarray(raw(x)).nbytes for x in d.found.values())
    if type(d) is np.ndarray and any(type(a) is np.ndarray and np.may_share_memory(d, a) for a in v.args):
        return 0
    return v.nbytes


# -------------------------------------------------------------------- flops

_MOVES = {"stop_gradient", "alias", "where", "positive", "real", "imag"}  # elementwise, and no arithmetic
_PRODUCTS = {matrix.matmul, matrix.einsum2, convolution.correlate, control.scan}
_REDUCTIONS = {reduction.sum_, reduction.mean, reduction.cumsum, sum_to}


def flops(v: Value) -> int:
    """The arithmetic of one operation.

    A multiplication and an addition are two, so ``2 m n k`` for a product of matrices. Elementwise
    operations are one for each element of the result, ``exp`` as well as ``+``; reductions one for
    each element that they read. What only moves numbers is none.
    """
    primitive = v.primitive
    if isinstance(primitive, Elementwise):
        return 0 if primitive.name in _MOVES else v.size
    if primitive in _PRODUCTS:
        return product_flops([v])
    if isinstance(primitive, Special) or primitive in _REDUCTIONS:
        return sum(np.size(a) for a in v.args)
    return 0


def product_flops(nodes: Iterable[Value]) -> int:
    """The flops of products of matrices and of convolutions alone, those in loops included."""
    total = 0
    for v in nodes:
        shapes = [np.shape(raw(a)) for a in v.args]
        if v.primitive is matrix.matmul:
            total += 2 * math.prod(v.shape) * shapes[0][-1]
        elif v.primitive is convolution.correlate:
            total += 2 * math.prod(v.shape) * math.prod(shapes[1][:-1])
        elif v.primitive is matrix.einsum2:
            terms = v.params["subscripts"].split("->")[0].split(",")
            sizes = {c: n for term, shape in zip(terms, shapes) for c, n in zip(term, shape)}
            total += 2 * math.prod(sizes.values())
        elif v.primitive is control.scan:
            total += v.params["length"] * product_flops(_step(v))
    return total


def _step(loop: Value) -> list[Value]:
    """What one step of a loop does: the first one, run again."""
    plan = loop.params["f"]
    n, c = len(plan.closed), plan.counts[0]
    since = next_serial()
    init, xs = loop.args[n : n + c], loop.args[n + c :]
    new, ys, sums = plan.functions[0](
        [bodies.lifted(raw(a)) for a in init], [bodies.lifted(raw(x)[0]) for x in xs]
    )
    return order([v for v in (*new, *ys, *sums) if type(v) is Value], since)


# -------------------------------------------------------------------- structure of Jacobians

_SELECTIONS = {  # linear, with matrices of zeros and ones
    arithmetic.conj, broadcast_to, cast, matrix.einsum1, reduction.cumsum, reduction.sum_, shape.pad,
    shape.scatter, shape._concatenate_p, shape._diagonal_p, shape._getitem_p, shape._reshape_p,
    shape._transpose_p, sum_to,
}  # fmt: skip
_REARRANGING = {shape._reshape_p, shape._transpose_p}
_CONVOLUTIONS = {convolution.correlate, convolution.correlate_kernels}


def nonzero(v: Value, i: int) -> int:
    """How many entries of the Jacobian in one operand depend on anything: the others are always zero.

    Where the structure of an operation is not known, as of one of the user's own, all of them.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = Value(np.ones((10, 10))), Value(np.ones((10, 5)))
    >>> y = x @ w  # ∂y/∂w is 50 × 50; every entry of y reads one column of w
    >>> nonzero(y, 1)
    500
    """
    primitive, rows, columns = v.primitive, size(v), int(np.size(v.args[i]))
    if isinstance(primitive, Elementwise):
        return 0 if primitive.partials[i] is None or not columns else rows
    if primitive is matrix.matmul:
        return rows * int(np.shape(v.args[0])[-1])
    if primitive is matrix.einsum2:
        source, target = v.params["subscripts"].split("->")
        terms = source.split(",")
        sizes = {c: n for term, a in zip(terms, v.args) for c, n in zip(term, np.shape(a))}
        return math.prod(sizes[c] for c in {*terms[i], *target})
    if primitive in _SELECTIONS or primitive in _CONVOLUTIONS:
        marked = {i} if primitive in _SELECTIONS else {0, 1}
        marks = [np.full(np.shape(a), float(j in marked)) for j, a in enumerate(v.args)]
        return int(np.sum(primitive.run(*marks, **v.params)).real)
    if primitive is reduction.mean:
        return columns
    if primitive is bodies.item:
        return rows
    if primitive is reduction.cumprod:
        return columns * (int(np.shape(v.args[0])[v.params["axis"]]) + 1) // 2
    if isinstance(primitive, Special) and (axis := v.params.get("axis")) is not None:
        largest = max(map(np.shape, v.args), key=math.prod)
        along = math.prod(largest[a] for a in (axis if isinstance(axis, tuple) else (axis,)))
        return int(rows * columns * along // max(math.prod(largest), 1))  # within each group all on all
    return rows * columns
