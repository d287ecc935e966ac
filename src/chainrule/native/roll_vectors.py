"""Rolling, fourth step: the new program.

Class by class, operands first. A class's operands are a scalar, a vector in the same order, or, where lanes
do not align, a slice or a gather of one; scalars that lie in no vector are packed into one. Terms of one
class in a sum are a reduction, ``sum`` or ``any``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.native.operations import INT64
from chainrule.native.roll_lanes import Lanes
from chainrule.native.roll_numbers import CHAINS, Ints
from chainrule.traced import Traced

__all__ = ["LANES", "Vectors"]

LANES = 4  # fewer lanes than this stay scalars
PACKED_TERMS = 64  # so many scalars are packed to be summed
BALANCED = 16  # from this many terms on, scalars are added in pairs
_REDUCED = ("sum", "any")


class Vectors(Lanes):
    """A program being rolled.

    Attributes
    ----------
    fresh : list of Traced
        The new nodes.
    vectors : list of Traced
        Those that hold the values of old ones.
    vec, pos : array of int
        The vector that holds a node's value, and where; -1 where it is a scalar.
    new : list
        The scalar that stands for a node in the new program.
    """

    def __init__(
        self, roots: Sequence[Traced], nodes: list[Traced], lanes: int, wide: set[Traced] | None = None
    ) -> None:
        super().__init__(roots, nodes, lanes, wide)
        n = len(self.nodes)
        self.vec, self.pos = np.full(n, -1), np.zeros(n, np.int64)
        self.new: list[Traced | None] = [None] * n
        self.fresh: list[Traced] = []
        self.vectors: list[Traced] = []
        self.made: dict[Any, Traced] = {}
        self.first: dict[Any, int] = {}
        self.packed: dict[Any, Ints] = {}

    def pays(self) -> bool:
        """Whether it is worth emitting the new program."""
        if self.apart:
            return self.rolled > 0 or bool(self.terms)
        return 2 * self.rolled > sum(k >= 0 for k in self.kind)

    def emit(self) -> list[Traced]:
        """The new roots. Class by class, operands first: a vector operation, or scalars as before."""
        kind, new, nodes = self.kind, self.new, self.nodes
        rank = self.final
        if not self.apart:  # stage by stage: first what is no scalar operation, as it comes
            opaque = np.array(kind) < 0
            n = len(kind)
            rank = np.where(opaque, np.arange(n) - n, rank) + np.array(self.stage) * 2 * n
        order = np.argsort(rank, kind="stable")
        order = order[np.array(self.classes)[order] >= 0]
        starts = np.flatnonzero(np.diff(rank[order], prepend=-(2**62)))
        stops = np.append(starts[1:], len(order))
        members = order.tolist()
        for start, stop in zip(starts.tolist(), stops.tolist()):
            if kind[members[start]] < 0:
                for i in members[start:stop]:
                    x = nodes[i]
                    if self.constant[i] or not x.inputs:
                        new[i] = x
                    elif self.base[i] < 0:
                        inputs = tuple(self.scalar(self.number[j]) for j in x.inputs)
                        same = all(p is q for p, q in zip(inputs, x.inputs))
                        new[i] = x if same else self.node(x.op, inputs, x.shape, x.dtype, x.weak, x.params)
            elif stop - start < self.lanes:
                for i in members[start:stop]:
                    self.emit_scalar(i)
            elif members[start] in self.terms:
                self.emit_sums(order[start:stop])
            else:
                self.emit_vector(order[start:stop])
        return [self.scalar(self.number[r]) for r in self.roots]

    def node(
        self, op: str, inputs: tuple[Traced, ...], shape: tuple[int, ...], dtype: np.dtype[Any],
        weak: bool = False, params: Any = None,
    ) -> Traced:  # fmt: skip
        if op == "add":
            for p, q in (inputs, inputs[::-1]):
                if q.op == "negative":
                    op, inputs = "subtract", (p, q.inputs[0])
                    break
        x = Traced(self.trace, op, inputs, shape, dtype, weak, {} if params is None else params)
        self.fresh.append(x)
        return x

    def once(
        self, key: Any, op: str, inputs: tuple[Traced, ...], shape: tuple[int, ...], dtype: np.dtype[Any],
        params: Any,
    ) -> Traced:  # fmt: skip
        found = self.made.get(key)
        if found is None:
            found = self.made[key] = self.node(op, inputs, shape, dtype, False, params)
        return found

    def shaped(self, x: Traced, shape: tuple[int, ...]) -> Traced:
        """``x`` reshaped, at one go."""
        while x.op == "reshape" and x.shape != shape and x.size == x.inputs[0].size:
            x = x.inputs[0]
        return x if x.shape == shape else self.once((x, shape), "reshape", (x,), shape, x.dtype, {})

    def scalar(self, i: int) -> Traced:
        """The node of the new program with the value of node ``i`` alone."""
        i = int(self.canon[self.canon[i]])
        x = self.new[i]
        if x is None:
            if self.base[i] >= 0:
                vector, at = self.flattened(int(self.base[i])), int(self.flat[i])
            else:
                vector, at = self.vectors[self.vec[i]], int(self.pos[i])
            old = self.nodes[i]
            if old.shape:
                rest = old.shape
                params = {"starts": (at,) + (0,) * len(rest), "steps": (1,) * (1 + len(rest))}
                x = self.shaped(self.node("slice", (vector,), (1, *rest), old.dtype, False, params), rest)
            else:
                x = self.node("element", (vector,), (), old.dtype, old.weak, {"index": at})
            self.new[i] = x
        return x

    def emit_scalar(self, i: int) -> None:
        x = self.nodes[i]
        if i in self.terms:
            terms = self.terms[i]
            if len(terms) < PACKED_TERMS and all(self.new[t] is not None for t in terms):
                plain = [self.scalar(t) for t in terms]
                self.new[i] = self.sum_of(x, plain, [], None)
                return
            self.new[i] = self.sum_of(x, *self.parts(self.matrix(np.array([i])), x.shape), None)
            return
        operands = [int(self.canon[self.canon[j]]) for j in (self.a[i], self.b[i], self.c[i]) if j >= 0]
        first = self.first.setdefault((self.kind[i], *operands), i)
        if first != i:
            self.new[i] = self.new[first]
            self.canon[i] = first
            return
        inputs = tuple(self.scalar(j) for j in operands)
        same = all(p is q for p, q in zip(inputs, x.inputs))
        same = same and not (x.op == "add" and inputs[1].op == "negative")
        self.new[i] = x if same else self.node(x.op, inputs, x.shape, x.dtype, x.weak, x.params)

    def place(self, members: Ints, vector: Traced) -> None:
        self.vec[members] = len(self.vectors)
        self.pos[members] = np.arange(len(members))
        self.vectors.append(vector)

    def emit_vector(self, members: Ints) -> None:
        columns = [np.array([e[i] for i in members.tolist()]) for e in (self.a, self.b, self.c)]
        for some, rows in self.alike(members, np.array([e for e in columns if e[0] >= 0])):
            x, m = self.nodes[some[0]], len(some)
            if x.op == "cast" and x.dtype == self.nodes[rows[0, 0]].dtype:
                self.place(some, self.operand(rows[0]))
            elif x.op == "reshape":
                self.place(some, self.shaped(self.operand(rows[0]), (m, *x.shape)))
            elif x.op in _REDUCED:
                self.place(some, self.reduce(x.op, self.operand(rows[0]), 1))
            else:
                grid = self.grid(rows) if self.wide or not self.apart else (m,)
                shape = (*grid, *x.shape)
                operands = tuple(self.operand_on(e, grid, len(x.shape)) for e in rows)
                self.place(some, self.shaped(self.node(x.op, operands, shape, x.dtype), (m, *x.shape)))

    def emit_sums(self, members: Ints) -> None:
        terms, runs = self.matrix(members)
        for some, rows in self.alike(members, terms.T):
            x = self.nodes[some[0]]
            self.place(some, self.sum_of(x, *self.parts((rows.T, runs), x.shape), len(some)))

    def alike(self, members: Ints, columns: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Members whose operands (a column for each member) lie in the same vectors, lane after lane.

        What is computed twice in a lane comes once; what is too few is emitted at once, one by one.
        """
        columns = self.canon[self.canon[columns]]
        homes = self.vec[columns]
        which = np.zeros(len(members), np.int64)
        if (homes != homes[:, :1]).any():
            _, which = np.unique(homes, axis=1, return_inverse=True)
        for w in range(which.max() + 1):
            at = np.flatnonzero(which == w)
            some, rows = members[at], columns[:, at]
            packed = self.vec[rows] < 0
            keys = np.where(packed, rows, self.pos[rows])
            # the order of vectors goes before that of what is to be packed
            at = np.lexsort([*keys[np.argsort(~packed[:, 0], kind="stable")], self.lane[some]])
            some, rows = some[at], rows[:, at]
            lane = self.lane[some]
            if (rows == rows[:, :1]).all():  # the same in all lanes
                lane = np.zeros(len(some), np.int64)
            again = np.append(False, (lane[1:] == lane[:-1]) & (rows[:, 1:] == rows[:, :-1]).all(0))
            kept, leader = some[~again], some[~again][np.cumsum(~again) - 1]
            rows = rows[:, ~again]
            if len(kept) < self.lanes:
                for i in kept.tolist():
                    self.emit_scalar(i)
                for i, j in zip(some.tolist(), leader.tolist()):
                    self.new[i] = self.new[j]
                    self.canon[i] = self.canon[j]
                continue
            if not self.apart:  # what is summed together comes together
                at = np.argsort([self.group[i] for i in kept.tolist()], kind="stable")
                kept, rows = kept[at], rows[:, at]
            yield kept, rows
            self.vec[some] = self.vec[leader]
            self.pos[some] = self.pos[leader]
            self.canon[some] = leader

    # ---------------------------------------------------------------- operands

    def operand(self, e: Ints) -> Traced:
        """The values of these nodes, along a first axis."""
        home = self.vec[e]
        if home[0] >= 0 and (home == home[0]).all():
            return self.taken(self.vectors[home[0]], self.pos[e])
        return self.pack(e)

    def operand_on(self, e: Ints, grid: tuple[int, ...], rank: int) -> Traced:
        """The values of these nodes on a grid, to be broadcast with others; ``rank`` axes come after it."""
        rest = self.nodes[e[0]].shape
        if (e == e[0]).all():
            return self.scalar(int(e[0]))  # () or the same as every row
        ones = (1,) * (rank - len(rest))
        if len(grid) == 2 and self.vec[e[0]] >= 0:
            g, q = grid
            table = e.reshape(grid)
            if (table == table[0]).all():
                return self.shaped(self.operand(table[0]), (q, *ones, *rest))
            if (table == table[:, :1]).all():
                return self.shaped(self.operand(table[:, 0]), (g, 1, *ones, *rest))
        return self.shaped(self.operand(e), (*grid, *ones, *rest))

    def grid(self, rows: Ints) -> tuple[int, ...]:
        """``(g, q)`` if some operand is the same in every row, or in every column, of such a grid."""
        m = rows.shape[1]
        for e in rows:
            if self.vec[e[0]] < 0 or e[0] == e[-1] == e[1]:
                continue
            again = np.flatnonzero(e == e[0])
            if len(again) < 2:
                continue
            q = int(again[1]) if again[1] > 1 else int(np.argmax(e != e[0]))
            if m % q or q < 2 or q == m:
                continue
            table = e.reshape(-1, q)
            if (table == table[0]).all() or (table == table[:, :1]).all():
                return (m // q, q)
        return (m,)

    def flattened(self, i: int) -> Traced:
        x = self.scalar(i)
        return self.shaped(x, (x.size,))

    def pack(self, e: Ints) -> Traced:
        """What is in no vector, as one."""
        base = int(self.base[e[0]])
        if base >= 0 and (self.base[e] == base).all():
            return self.taken(self.flattened(base), self.flat[e])
        numbers = e.tolist()
        x = self.nodes[numbers[0]]
        shape = (len(e), *x.shape)
        inputs = tuple(self.scalar(i) for i in numbers)
        if all(i.op == "constant" for i in inputs):
            a = np.array([i.params["value"] for i in inputs], x.dtype)
            named = ("constant", shape, x.dtype, a.tobytes())
            return self.once(named, "constant", (), shape, x.dtype, {"value": a})
        if x.shape:
            parts = tuple(self.shaped(i, (1, *i.shape)) for i in inputs)
            return self.once(("pack", *inputs), "concatenate", parts, shape, x.dtype, {"axis": 0})
        if all(i.op == "element" and i.inputs[0] is inputs[0].inputs[0] for i in inputs):
            vector = inputs[0].inputs[0]
            return self.taken(vector, np.array([i.params["index"] for i in inputs]))
        at = np.argsort(e)
        key = ("packed", e[at].tobytes())
        if key not in self.made:
            self.packed[key] = e
        elif not (self.packed[key] == e).all():  # the same in another order: perhaps the transpose of a table
            table = np.empty(len(e), np.int64)
            table[at] = np.argsort(self.packed[key])
            n = int(table[1]) - int(table[0])
            if n > 1 and len(e) % n == 0 and (table == np.arange(len(e)).reshape(-1, n).T.ravel()).all():
                x = self.shaped(self.made[key], (len(e) // n, n))
                x = self.once((x, "T"), "transpose", (x,), (n, len(e) // n), x.dtype, {"axes": (1, 0)})
                return self.shaped(x, shape)
            key = ("pack", e.tobytes())
        return self.once(key, "pack", inputs, shape, x.dtype, {})

    def taken(self, vector: Traced, index: Ints) -> Traced:
        """``vector[index]``, of a vector of whatever."""
        n, (m, *rest) = len(index), vector.shape
        if n == m and (index == np.arange(n)).all():
            return vector
        key = (vector, index.tobytes())
        step = int(index[1] - index[0]) if n > 1 else 1
        if step and (np.diff(index) == step).all():
            params = {"starts": (int(index[0]),) + (0,) * len(rest), "steps": (step,) + (1,) * len(rest)}
            return self.once(key, "slice", (vector,), (n, *rest), vector.dtype, params)
        a = index.astype(np.int64)
        where = self.once(("constant", (n,), INT64, a.tobytes()), "constant", (), (n,), INT64, {"value": a})
        return self.once(key, "gather", (vector, where), (n, *rest), vector.dtype, {"indexed": (n,)})

    # ---------------------------------------------------------------- sums

    def reduce(self, way: str, x: Traced, axis: int) -> Traced:
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        start = {"initial": -0.0} if way == "sum" else {}  # terms alone, where NumPy's sum starts from 0.0
        return self.node(way, (x,), shape, x.dtype, False, {"axis": (axis,), **start})

    def matrix(self, members: Ints) -> tuple[Ints, list[tuple[int, int]]]:
        """The terms, a row for each member; and the runs of columns that are of one class."""
        terms = self.canon[self.canon[np.array([self.terms[i] for i in members.tolist()])]]
        row = [self.classes[t] for t in terms[0].tolist()]
        cuts = [k for k in range(len(row)) if k == 0 or row[k] != row[k - 1]]
        runs = list(zip(cuts, [*cuts[1:], len(row)]))
        for start, stop in runs:
            if stop - start > 1:
                part = terms[:, start:stop]
                at = np.lexsort((part, self.pos[part], self.vec[part]))
                terms[:, start:stop] = np.take_along_axis(part, at, 1)
        return terms, runs

    def parts(
        self, found: tuple[Ints, list[tuple[int, int]]], base: tuple[int, ...]
    ) -> tuple[list[Traced], list[Traced]]:
        """What is to be added as it is; and what is to be summed over the axis that ``base`` follows."""
        terms, runs = found
        m = len(terms)
        plain: list[Traced] = []
        reduced: list[Traced] = []
        for start, stop in runs:
            if m == 1 and stop - start == 1:
                plain.append(self.scalar(int(terms[0, start])))
                continue
            part = terms[:, start:stop]
            rest = self.nodes[part[0, 0]].shape
            home = self.vec[part[0]]
            cuts = np.flatnonzero(np.diff(home, prepend=-2)).tolist()
            for s, t in zip(cuts, [*cuts[1:], len(home)]):
                some = part[:, s:t]
                few = LANES if m > 1 or home[s] >= 0 else PACKED_TERMS
                if t - s < few or (home[s] < 0 and self.constant[some[0, 0]]):
                    for e in some.T:
                        y = self.scalar(int(e[0])) if m == 1 else self.operand_on(e, (m,), len(base))
                        plain.append(y)
                else:
                    flat = self.operand(some.ravel())
                    ones = (1,) * (len(base) - len(rest))
                    reduced.append(self.shaped(flat, (*(() if m == 1 else (m,)), t - s, *ones, *rest)))
        return plain, reduced

    def sum_of(self, x: Traced, plain: list[Traced], reduced: list[Traced], m: int | None) -> Traced:
        """All of it added up, or or-ed; for a vector of ``m`` of them, or for one."""
        shape = x.shape if m is None else (m, *x.shape)
        weak = x.weak and m is None
        for r in reduced:
            y = self.reduce(CHAINS[x.op], r, 0 if m is None else 1)
            y = self.shaped(y, (*y.shape[: 0 if m is None else 1], *y.shape[1 if m is None else 2 :]))
            plain.append(y)
        plain.sort(key=lambda p: len(p.shape))  # scalars before vectors
        scalars = sum(p.shape == () for p in plain)
        while scalars > BALANCED and weak == x.weak:  # many scalars: in pairs, so that no long chain is left
            pairs = zip(plain[:scalars:2], plain[1:scalars:2])
            left = [self.node(x.op, p, (), x.dtype, weak) for p in pairs]
            plain[:scalars] = left + plain[scalars - scalars % 2 : scalars]
            scalars = (scalars + 1) // 2
        y = plain[0]
        for p in plain[1:]:
            y = self.node(x.op, (y, p), np.broadcast_shapes(y.shape, p.shape), x.dtype, weak)
        if y.shape != shape:
            y = self.node("broadcast_to", (y,), shape, x.dtype)
        if y.weak != weak:
            y = self.node("cast", (y,), shape, x.dtype, weak)
        return y
