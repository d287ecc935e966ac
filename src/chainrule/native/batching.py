"""What a loop's steps compute without the carry: for all steps at once, before the loop.

The sub-program of a loop's body is cut in two. What depends on the carry stays; of the rest, what
depends on the xs is written with one more axis in front, of all the steps, and comes in as further
xs, and what depends on neither is computed once. So the products of a recurrent network's inputs
with their weights become one product; and in a derivative's loop, which runs each step again from
the carry that was kept, most of that falls out of the loop. The products of that carry are not
computed again: the first loop has kept them (`factors` tells which is which).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from chainrule.native.operations import (
    ELEMENTWISE,
    REDUCTIONS,
    broadcast_to,
    concatenate,
    node,
    reshape,
    transpose,
)
from chainrule.native.products import matmul
from chainrule.native.reference import order
from chainrule.traced import Traced

__all__ = ["Ahead", "factors"]

# How many elements something computed ahead may have: that many times those of the xs and carries, or
# that many in all.
ROOM, ANYHOW = 4, 2**22

Rule = Callable[[Traced, list[Traced], int], Traced]


@dataclass
class Ahead:
    """What of a body's outputs, and of what they are made from, can be computed before the loop.

    Parameters
    ----------
    outputs : list of Traced
        Of the body, in its own trace.
    outer : dict
        What stands outside for what the body reads besides its carries: arrays of all the steps for
        the entries of the xs, and for others the nodes themselves.
    entries : set of Traced
        The entries of the xs.
    carries : list of Traced
        The inputs that change from step to step.
    length : int
    products : dict
        Of all the steps, by their factors: those that an earlier loop has computed.
    """

    outputs: list[Traced]
    outer: dict[Traced, Traced]
    entries: set[Traced]
    carries: list[Traced]
    length: int
    products: dict[tuple[Any, ...], Traced]
    moving: set[Traced] = field(default_factory=set)  # depends on the xs
    free: dict[Traced, None] = field(default_factory=dict)  # in order; does not depend on the carry

    def __post_init__(self) -> None:
        carried = set(self.carries)
        known = sum(x.size for x in [*self.carries, *self.entries])
        room = max(ROOM * known, ANYHOW // self.length)
        for x in order(self.outputs):
            if x in carried or not all(i in self.free for i in x.inputs):
                continue
            moving = x in self.entries or any(i in self.moving for i in x.inputs)
            stays = x.size > room or not _has_rule(x, [i in self.moving for i in x.inputs])
            if moving and x.inputs and stays:
                continue
            self.free[x] = None
            if moving:
                self.moving.add(x)

    def frontier(self) -> list[Traced]:
        """What the rest of the body reads of it, and outputs of the body."""
        wanted = dict.fromkeys(x for x in self.outputs if x in self.free)
        for x in order(self.outputs):
            if x not in self.free:
                wanted |= dict.fromkeys(i for i in x.inputs if i in self.free)
        return [x for x in wanted if x.op not in ("input", "constant")]

    def compute(self, wanted: Sequence[Traced]) -> list[Traced]:
        """The same outside of the loop; what depends on the xs with the axis of the steps in front."""
        for x in order(wanted):
            if x in self.outer:
                continue
            inputs = [self.outer[i] for i in x.inputs]
            if x not in self.moving:
                self.outer[x] = node(x.op, tuple(inputs), x.shape, x.dtype, x.weak, x.params)
            elif x.op == "matmul" and (known := factors(inputs)) in self.products:
                self.outer[x] = self.products[known]
            else:
                self.outer[x] = _rule(x)(x, self._aligned(x, inputs), self.length)
        return [self.outer[x] for x in wanted]

    def _aligned(self, x: Traced, inputs: list[Traced]) -> list[Traced]:
        """Operands of an elementwise operation with the axis of the steps where broadcasting has it."""
        if x.op not in ELEMENTWISE:
            return inputs
        return [
            reshape(a, (self.length, *(1,) * (x.ndim - i.ndim), *i.shape)) if i in self.moving else a
            for i, a in zip(x.inputs, inputs)
        ]


def factors(xs: Sequence[Traced], outer: Mapping[Traced, Traced] = MappingProxyType({})) -> tuple[Any, ...]:
    """What two products of the same have in common, though each may have turned its factors itself.

    ``outer`` says what stands outside for what a body reads.
    """
    there = [outer.get(x, x) for x in xs]
    return tuple([(x.params["axes"], *factors(x.inputs, outer)) if x.op == "transpose" else x for x in there])


# -------------------------------------------------------------------- one more axis in front


def _elementwise(x: Traced, a: list[Traced], n: int) -> Traced:
    return node(x.op, tuple(a), (n, *x.shape), x.dtype)


def _reduce(x: Traced, a: list[Traced], n: int) -> Traced:
    axes = tuple(i + 1 for i in x.params["axis"])
    return node(x.op, tuple(a), (n, *x.shape), x.dtype, False, {**x.params, "axis": axes})


def _broadcast(x: Traced, a: list[Traced], n: int) -> Traced:
    inner = x.inputs[0].shape
    return broadcast_to(reshape(a[0], (n, *(1,) * (x.ndim - len(inner)), *inner)), (n, *x.shape))


def _slice(x: Traced, a: list[Traced], n: int) -> Traced:
    params: dict[str, Any] = {"starts": (0, *x.params["starts"]), "steps": (1, *x.params["steps"])}
    return node(x.op, tuple(a), (n, *x.shape), x.dtype, False, params)


def _concatenate(x: Traced, a: list[Traced], n: int) -> Traced:
    parts = [broadcast_to(p, (n, *i.shape)) for p, i in zip(a, x.inputs)]
    return concatenate(parts, x.params["axis"] + 1)


def _matmul(x: Traced, a: list[Traced], n: int) -> Traced:
    """Rows of all steps times one matrix; or one matrix times a column of each."""
    left, right = a
    if left.ndim == 3:
        rows = reshape(left, (n * left.shape[1], left.shape[2]))
        return reshape(matmul(rows, right), (n, *x.shape))
    return reshape(matmul(reshape(right, right.shape[:2]), transpose(left)), (n, *x.shape))


_RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(REDUCTIONS, _reduce),
    "reshape": lambda x, a, n: reshape(a[0], (n, *x.shape)),
    "transpose": lambda x, a, n: transpose(a[0], (0, *[i + 1 for i in x.params["axes"]])),
    "broadcast_to": _broadcast,
    "slice": _slice,
    "unslice": _slice,
    "concatenate": _concatenate,
    "matmul": _matmul,
}


def _rule(x: Traced) -> Rule:
    return _RULES[x.op]


def _has_rule(x: Traced, moving: Sequence[bool]) -> bool:
    if x.op == "matmul":
        a, b = x.inputs
        return a.ndim == b.ndim == 2 and (not moving[1] or (not moving[0] and b.shape[1] == 1))
    return x.op in _RULES
