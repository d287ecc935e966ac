"""Rolling, first step: a program as numbers.

Nodes are numbered, and what is done to which is written into lists: rolling looks at each of up to millions
of scalars many times. On the way equal constants become one, a difference of a sum becomes a sum, and what
takes a scalar out of an array is noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.native.operations import BOOL, ELEMENTWISE
from chainrule.traced import Traced

__all__ = ["CHAINS", "Ints", "Numbers", "slices"]

Ints = NDArray[np.int64]
CHAINS = {"add": "sum", "bitwise_or": "any", "logical_or": "any"}  # and the reduction that many of them are


def slices(params: Any, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """What a ``slice`` node takes."""
    ends = [(a + n * k, a, k) for a, n, k in zip(params["starts"], shape, params["steps"])]
    return tuple(slice(a, None if end < 0 else end, k) for end, a, k in ends)


class Numbers:
    """A program, numbered.

    Parameters
    ----------
    roots, nodes : sequence of Traced
    lanes : int
        Fewer scalars of a class than this stay scalars.
    wide : set of Traced, optional
        Vector operations of an earlier rolling, to be rolled again.

    Attributes
    ----------
    apart : bool
        Whether inputs (and whatever else is not rolled) are told apart: so in the first rolling.
    number : dict
        Of a node its number, or that of the node which has its value.
    kind : list of int
        Of an operation: its name, dtype and weakness; -1 is something opaque, -2 nothing.
    a, b, c : list of int
        The operands of each node, by number; -1 where there is none.
    constant : list of bool
        Whether a node is a scalar constant.
    base, flat : array of int
        Of a scalar taken out of an array: the array's number, or -1, and where in it.
    uses, user : array of int
        How often a node is used, and by what last.
    """

    def __init__(
        self, roots: Sequence[Traced], nodes: list[Traced], lanes: int, wide: set[Traced] | None = None
    ) -> None:
        self.trace = roots[0].origin
        self.roots, self.nodes, self.lanes, self.wide = roots, nodes, lanes, wide or set()
        self.apart = wide is None
        self.views: dict[Traced, tuple[Traced, Ints]] = {}
        self.picked: dict[int, tuple[int, int]] = {}
        self.note()
        n = len(self.nodes)
        self.base, self.flat = np.full(n, -1), np.zeros(n, np.int64)
        for i, (base, at) in self.picked.items():
            self.base[i], self.flat[i] = base, at

    def note(self) -> None:
        """Kinds and operands of all nodes; equal constants become one."""
        number: dict[Traced, int] = {}
        kinds: dict[Any, int] = {}
        constants: dict[Any, int] = {}
        kind: list[int] = []
        a: list[int] = []
        b: list[int] = []
        c: list[int] = []
        constant: list[bool] = []
        wide = self.wide
        self.number, self.kinds = number, kinds
        self.kind = kind
        self.a, self.b, self.c, self.constant = a, b, c, constant
        given, self.nodes = self.nodes, []
        nodes = self.nodes
        for x in self.with_links(given):
            i = len(nodes)
            nodes.append(x)
            inputs, op = x.inputs, x.op
            number[x] = i
            constant.append(False)
            k = -1
            if inputs and (not x.shape or x in wide):
                key = (op, x.dtype, x.weak, x.shape, inputs[0].shape)
                k = kinds.get(key, -2)
                if k == -2:
                    rolls = op in ELEMENTWISE and x.dtype.kind in "fiub"
                    # what sums over lanes are made of
                    rolls |= x in wide and op in ("sum", "any") and x.shape == (1,)
                    rolls |= op == "reshape" and not x.shape and inputs[0] in wide and inputs[0].shape == (1,)
                    k = kinds[key] = len(kinds) if rolls else -1
                if op == "where" and inputs[1].op == "where" and k >= 0 and (found := self.nested(x)):
                    if found[1]:
                        number[x] = number[found[0]]
                        k = -2
                    inputs = (inputs[0], found[0], inputs[2])
            if k < 0 and op == "reshape" and not x.shape:
                self.pick(i, x)
            kind.append(k)
            if k < 0:
                a.append(-1)
                b.append(-1)
                c.append(-1)
                if op == "constant" and not x.shape and x.dtype.kind in "fiub":
                    constant[i] = True
                    v = x.params["value"]
                    if type(v) is not float:
                        v = np.asarray(v, x.dtype).tobytes()
                    elif not v:
                        v = repr(v)  # tells -0.0 from 0.0
                    number[x] = constants.setdefault((v, x.weak, x.dtype), i)
                continue
            a.append(number[inputs[0]])
            n = len(inputs)
            b.append(number[inputs[1]] if n > 1 else -1)
            c.append(number[inputs[2]] if n > 2 else -1)

    def with_links(self, nodes: list[Traced]) -> Iterator[Traced]:
        """The nodes, with ``x - y`` as ``x + (-y)``, which is the same, where x is a sum."""
        for x in nodes:
            sums = ("add", "subtract", "constant")
            if x.op == "subtract" and x.inputs[0].op in sums and x.dtype.kind == "f":
                p, q = x.inputs
                if p.op == "constant" and (p.shape or p.params["value"]):  # but where a sum starts at 0
                    yield x
                    continue
                minus = Traced(self.trace, "negative", (q,), q.shape, x.dtype, q.weak)
                plus = Traced(self.trace, "add", (p, minus), x.shape, x.dtype, x.weak)
                if x in self.wide:
                    self.wide |= {minus, plus} if q.shape else {plus}
                elif x.shape:
                    yield x
                    continue
                yield minus
                yield plus
                self.number[x] = self.number[plus]
            else:
                yield x

    def pick(self, i: int, x: Traced) -> None:
        """Note of a scalar taken out of an array which array that is, and where."""
        views, chain, y = self.views, [], x
        while y.op in ("reshape", "slice") and y not in views:
            chain.append(y)
            y = y.inputs[0]
        if y not in views:
            if y.size == 1:
                return
            views[y] = y, np.arange(y.size).reshape(y.shape)
        base, index = views[y]
        for y in reversed(chain):
            index = index.reshape(y.shape) if y.op == "reshape" else index[slices(y.params, y.shape)]
            views[y] = base, index
        self.picked[i] = self.number[base], int(index)

    def nested(self, x: Traced) -> tuple[Traced, bool] | None:
        """``where(m, where(n, y, z), z)``: is the inner one if m = n, ``where(m, y, z)`` if m implies n."""
        m, y, z = x.inputs
        if y.op != "where" or x.weak is not y.weak or self.number[z] != self.number[y.inputs[2]]:
            return None
        n = y.inputs[0]
        if n is m:
            return y, True
        if m.op == "bitwise_and" and (m.inputs[0] is n or m.inputs[1] is n):
            return y.inputs[1], False
        return None

    def chains(self) -> tuple[list[bool], dict[int, str]]:
        """Which additions only feed another one; and the kinds that chain."""
        kind = np.array(self.kind)
        edges = np.array([self.a, self.b, self.c])
        n = len(kind)
        uses = np.zeros(n, np.int64)
        user = np.zeros(n, np.int64)
        for e in edges:
            at = np.flatnonzero(e >= 0)
            uses += np.bincount(e[at], minlength=n)
            user[e[at]] = at
        for k, x in zip(self.kind, self.nodes):
            if k == -1:
                for y in x.inputs:
                    uses[self.number[y]] += 2
        for r in self.roots:
            uses[self.number[r]] += 2
        self.uses, self.user = uses, user
        family = np.arange(-1, len(self.kinds))  # of a kind: those that differ in weakness only are one
        chained = {}
        first: dict[Any, int] = {}
        for (op, dtype, _, shape, _), k in self.kinds.items():
            way = CHAINS.get(op)
            if k < 0:
                continue
            if (way == "sum" and dtype.char in "fd") or (way == "any" and dtype == BOOL):
                chained[k] = op
                family[k + 1] = first.setdefault((op, dtype, shape), k)
        is_chained = np.zeros(len(self.kinds) + 1, bool)
        is_chained[[k + 1 for k in chained]] = True
        link = is_chained[kind + 1] & (uses == 1) & (family[kind + 1] == family[kind[user] + 1])
        return link.tolist(), chained
