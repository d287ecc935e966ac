"""What of a program must lie in memory, and where memory cannot be read as it lies and wants a copy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chainrule.native.convolution import CONVOLUTIONS, is_readable
from chainrule.native.elementwise import is_number
from chainrule.native.fuse import Cluster, is_loop
from chainrule.native.moves import is_move
from chainrule.native.operations import REDUCTIONS, VIEWS
from chainrule.native.reference import order
from chainrule.native.simplify import with_inputs
from chainrule.native.views import Views, contiguous
from chainrule.traced import Traced

__all__ = ["plain", "stored_nodes"]


def rebuild(roots: Sequence[Traced], change: object) -> list[Traced]:
    """The program with ``change(node, new inputs)`` in the place of every node."""
    new: dict[Traced, Traced] = {}
    for x in order(roots):
        new[x] = change(x, tuple(new[i] for i in x.inputs))  # type: ignore[operator]
    return [new[r] for r in roots]


def copied(x: Traced) -> Traced:
    return Traced(x.origin, "copy", (x,), x.shape, x.dtype, x.weak)


def plain(roots: Sequence[Traced], views: Views, elements: bool = True) -> list[Traced]:
    """Put a copy where memory cannot be read as it lies: reshapes across strides, views that are results."""

    def change(x: Traced, inputs: tuple[Traced, ...]) -> Traced:
        if x.op not in VIEWS and x.op != "call" and not is_loop(x):
            inputs = tuple(_readable(i, k, x, views) for k, i in enumerate(inputs))
        y = with_inputs(x, inputs)
        if y.op == "reshape" and views.view(y) is None:
            y = with_inputs(y, (copied(y.inputs[0]),))
        return y

    out = rebuild(roots, change)
    made: dict[Traced, Traced] = {}
    result = []
    for r in out:
        element = elements and r.op == "element" and r.dtype.char == "d" and is_loop(r.inputs[0])
        if not element and (r.op in VIEWS or r.op in ("input", "constant") or r in made):
            r = copied(r)
        made[r] = r
        result.append(r)
    return result


def _readable(x: Traced, k: int, user: Traced, views: Views) -> Traced:
    """The ``k``-th operand of an operation that is no loop, as it can read it."""
    if x.op not in VIEWS:
        return x
    view = views.view(x)
    if view is None or is_move(user):
        return x
    if user.op in CONVOLUTIONS and is_readable(x, view, k):
        return x
    if user.op in ("matmul", "gemm") and k < 2 and x.size:
        rows, columns = view.strides[-2:]
        m, n = x.shape[-2:]
        if (columns == 1 or n == 1) and (rows >= n or m == 1):
            return x
        if (rows == 1 or m == 1) and (columns >= m or n == 1):
            return x
    if view.strides == contiguous(x.shape) and view.offset == 0 and view.base.size == x.size:
        return x
    return copied(x)


def stored_nodes(units: Iterable[Cluster | Traced], roots: Sequence[Traced], views: Views) -> set[Traced]:
    """Every node that must lie in memory."""
    stored = {r.inputs[0] if r.op == "element" else r for r in roots}
    for u in units:
        if isinstance(u, Cluster):
            inside = set(u.members)
            for m in u.members:
                for x in m.inputs:
                    b, _ = views.alias(x)
                    if b not in inside and not is_number(b) and b.op != "iota":
                        stored.add(views.view(x).base)  # type: ignore[union-attr]
                if m.op in REDUCTIONS:
                    over = u.reduced(m)
                    if u.split is None or over != set(range(u.split, len(u.loops))):
                        stored.add(m)  # it grows in memory
        else:
            stored.add(u)
            for x in u.inputs:
                base = views.view(x).base  # type: ignore[union-attr]
                if not (is_number(base) and is_move(u)):
                    stored.add(base)
    return stored
