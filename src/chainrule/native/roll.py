"""Roll: thousands of scalar operations that do the same become vector operations.

A loop over samples written with scalars is a small array program in disguise. Its nodes are interned
by structure: constants are anonymous, inputs are told apart. The nodes of one *class* then differ
only in their *lane* (the sample), and become one node of shape ``(lanes,)``:

- chains of ``add`` (and of ``or`` between masks) whose links are used once are one sum of n terms
- what hangs together without passing through what all lanes share is one lane; lanes with the same
  classes in them are a *group*, so 100 training samples and 20 of validation are two groups
- a class's operands are a scalar, a vector in the same order, or, where lanes do not align, a slice
  or a gather of one
- terms of one class in a sum are a reduction, ``sum`` or ``any``

What is left are scalars, one of a kind: gradients of 337 parameters, each to be subtracted from its
parameter. They are interned again, this time with inputs and results of reductions anonymous, and
their lanes are packed: ``pack`` makes a vector of scalars, ``element`` takes one out.

Only sums are reassociated. Everything else computes what it did, lane by lane.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.native.operations import ELEMENTWISE
from chainrule.traced import Traced

__all__ = ["roll"]

SMALL = 64  # fewer scalar operations than this are left alone
LANES = 4  # fewer lanes than this stay scalars
PACKED = 8  # the same for lanes that must be packed first

Ints = NDArray[np.int64]
BOOL, INT64 = np.dtype(bool), np.dtype(np.int64)
_COMMUTATIVE = frozenset("multiply bitwise_and logical_and bitwise_xor equal not_equal".split())
_CHAINS = {"add": "sum", "bitwise_or": "any", "logical_or": "any"}


def roll(roots: list[Traced]) -> list[Traced]:
    """Roots that compute the same with vector operations in the place of repeated scalar ones."""
    collecting = gc.isenabled()
    gc.disable()  # nothing here is cyclic, and there are very many small objects
    try:
        nodes = _order(roots)
        if sum(_scalar(x) and x.dtype.kind == "f" for x in nodes) < SMALL:
            return roots
        roots = _Pass(roots, nodes, LANES, apart=True).run()
        return _Pass(roots, _order(roots), PACKED, apart=False).run()
    finally:
        if collecting:
            gc.enable()


def _scalar(x: Traced) -> bool:
    return x.shape == () and x.op in ELEMENTWISE and x.dtype.kind in "fiub"


def _order(roots: Sequence[Traced]) -> list[Traced]:
    """Every node the roots are computed from, inputs first; first operands before second ones."""
    nodes: list[Traced] = []
    seen: set[Traced] = set()
    stack: list[Traced] = list(roots)[::-1]
    while stack:
        x = stack[-1]
        if x in seen:
            stack.pop()
            continue
        for i in x.inputs:
            if i not in seen:
                if i.inputs:
                    stack.append(i)
                    break
                seen.add(i)
                nodes.append(i)
        else:
            stack.pop()
            seen.add(x)
            nodes.append(x)
    inputs = [x for x in nodes if x.op == "input"]
    inputs.sort(key=lambda x: int(x.params["slot"]))
    return inputs + [x for x in nodes if x.op != "input"]


class _Pass:
    """One rolling of a program.

    Attributes
    ----------
    apart : bool
        Whether inputs (and whatever else is no scalar operation) are told apart.
    a, b, c : list of int
        The operands of each node, by number; -1 where there is none.
    terms : dict
        Of a sum that has more than two.
    classes : list of int
        The class of each node.
    vec, pos : array of int
        The vector that holds a node's value, and where; -1 where it is a scalar.
    new : list
        The scalar that stands for a node in the new program.
    """

    def __init__(self, roots: Sequence[Traced], nodes: list[Traced], lanes: int, apart: bool) -> None:
        self.trace = roots[0].origin
        self.roots, self.nodes, self.lanes, self.apart = roots, nodes, lanes, apart
        n = len(nodes)
        self.new: list[Traced | None] = [None] * n
        self.vec = np.full(n, -1)
        self.pos = np.zeros(n, np.int64)
        self.vectors: list[Traced] = []
        self.made: dict[Any, Traced] = {}
        self.terms: dict[int, list[int]] = {}

    def run(self) -> list[Traced]:
        self.read()
        self.intern()
        self.split()
        self.emit()
        return [self.scalar(self.find(r)) for r in self.roots]

    def find(self, x: Traced) -> int:
        """The number of a node, or of one that equals it."""
        i = self.number[x]
        return self.same.get(i, i)

    # ---------------------------------------------------------------- the program as numbers

    def read(self) -> None:
        """Kinds and operands of all nodes; equal constants become one."""
        self.number = number = {x: i for i, x in enumerate(self.nodes)}
        self.kinds: dict[Any, int] = {}
        kinds = self.kinds
        self.kind = kind = []  # of an operation: its name, dtype and weakness; -1 is something opaque, -2 nothing
        self.a, self.b, self.c = a, b, c = [], [], []
        self.constant = constant = []
        constants: dict[Any, int] = {}
        self.same = same = {}
        for i, x in enumerate(self.nodes):
            inputs = x.inputs
            constant.append(False)
            if x.op == "where" and inputs[1].op == "where" and x.shape == () and (found := self.nested(x)):
                if found[1]:
                    same[i] = self.find(found[0])
                    kind.append(-2)
                    a.append(-1)
                    b.append(-1)
                    c.append(-1)
                    continue
                inputs = (inputs[0], found[0], inputs[2])
            if x.shape == () and x.op in ELEMENTWISE and x.dtype.kind in "fiub":
                key = (x.op, x.dtype.char, x.weak)
                k = kinds.get(key)
                if k is None:
                    k = kinds[key] = len(kinds)
                kind.append(k)
                j = number[inputs[0]]
                a.append(same.get(j, j))
                if len(inputs) == 1:
                    b.append(-1)
                    c.append(-1)
                    continue
                j = number[inputs[1]]
                b.append(same.get(j, j))
                if len(inputs) == 2:
                    c.append(-1)
                    continue
                j = number[inputs[2]]
                c.append(same.get(j, j))
                continue
            kind.append(-1)
            a.append(-1)
            b.append(-1)
            c.append(-1)
            if x.op == "constant" and x.shape == () and x.dtype.kind in "fiub":
                constant[i] = True
                v = x.params["value"]
                # the text tells -0.0 from 0.0, and one nan is as good as another
                key = (x.dtype.char, x.weak, repr(v) if type(v) is float else np.asarray(v, x.dtype).tobytes())
                j = constants.setdefault(key, i)
                if j != i:
                    same[i] = j
    def nested(self, x: Traced) -> tuple[Traced, bool] | None:
        """What ``where(m, where(n, y, z), z)`` is: the inner one if m = n, ``where(m, y, z)`` if m implies n."""
        m, y, z = x.inputs
        if y.op != "where" or x.weak is not y.weak or self.find(z) != self.find(y.inputs[2]):
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
        for x in self.nodes:
            if x.op not in ELEMENTWISE or x.shape != ():
                for i in x.inputs:
                    uses[self.find(i)] += 2
        for r in self.roots:
            uses[self.find(r)] += 2
        family = np.arange(-1, len(self.kinds))  # of a kind: those that differ in weakness only are one
        chained = {}
        first: dict[Any, int] = {}
        for (op, dtype, _), k in self.kinds.items():
            way = _CHAINS.get(op)
            if way == "sum" and dtype in "fd" or way == "any" and dtype == "?":
                chained[k] = op
                family[k + 1] = first.setdefault((op, dtype), k)
        is_chained = np.zeros(len(self.kinds) + 1, bool)
        is_chained[[k + 1 for k in chained]] = True
        link = is_chained[kind + 1] & (uses == 1) & (family[kind + 1] == family[kind[user] + 1])
        return link.tolist(), chained

    # ---------------------------------------------------------------- classes

    def intern(self) -> None:
        """The class of every node: what it does, to what classes."""
        link, chained = self.chains()
        kind, a, b, c, terms = self.kind, self.a, self.b, self.c, self.terms
        commutes = [op in _COMMUTATIVE or k in chained for (op, _, _), k in self.kinds.items()]
        power = {k for (op, _, _), k in self.kinds.items() if op == "power"}
        known: dict[Any, int] = {}
        self.classes = classes = []
        self.group = group = [-1] * len(kind)
        fresh = 0
        stage = self.stages()
        for i, k in enumerate(kind):
            if k < 0:
                if k == -2:
                    classes.append(-1)
                    continue
                if self.constant[i]:
                    x = self.nodes[i]
                    key: Any = (x.dtype.char, x.weak)
                elif self.apart:
                    classes.append(fresh)
                    fresh += 1
                    continue
                else:
                    x = self.nodes[i]
                    key = (x.dtype.char, x.weak, x.op == "input", x.shape, stage[i])
            else:
                p, q = a[i], b[i]
                if k in chained:
                    left = terms.pop(p) if link[p] else None
                    right = terms.pop(q) if link[q] else None
                    if left is not None and right is not None:
                        if len(left) < len(right):
                            left, right = right, left
                        left += right
                    elif left is not None:
                        left.append(q)
                    elif right is not None:
                        left = right
                        left.append(p)
                    if link[i]:
                        terms[i] = left if left is not None else [p, q]
                        classes.append(-1)
                        continue
                    if left is not None:
                        if chained[k] != "add":
                            left = list(dict.fromkeys(left))
                        found = sorted([(classes[t], t) for t in left])
                        terms[i] = [t for _, t in found]
                        key = (k, -1, *[t for t, _ in found])
                        last = before = -1
                        for number, t in found:
                            if number == last:
                                if group[t] < 0:
                                    group[t] = i
                                if group[before] < 0:
                                    group[before] = i
                            last, before = number, t
                        number = known.get(key, -1)
                        if number < 0:
                            number = known[key] = fresh
                            fresh += 1
                        classes.append(number)
                        continue
                m = classes[p]
                if q < 0:
                    key = (k, m)
                else:
                    n = classes[q]
                    if commutes[k] and m > n:
                        a[i], b[i] = q, p
                        m, n = n, m
                    r = c[i]
                    if r >= 0:
                        key = (k, m, n, classes[r])
                    elif k in power and self.constant[q]:
                        key = (k, m, n, -2, q)  # the exponent says which function it is
                    else:
                        key = (k, m, n)
            number = known.get(key, -1)
            if number < 0:
                number = known[key] = fresh
                fresh += 1
            classes.append(number)

    def stages(self) -> list[int]:
        """How often the way to a node leaves the scalars and comes back.

        Results that are anonymous but lie in different stages may need one another, and so must not
        end in one vector.
        """
        self.stage = stage = [0] * len(self.kind)
        if self.apart:
            return stage
        kind, a, b, c = self.kind, self.a, self.b, self.c
        for i, x in enumerate(self.nodes):
            if kind[i] >= 0:
                stage[i] = max(stage[a[i]], stage[b[i]] if b[i] >= 0 else 0, stage[c[i]] if c[i] >= 0 else 0)
            elif x.inputs:
                stage[i] = max([stage[j] + (kind[j] >= 0) for j in map(self.find, x.inputs)])
        return stage

    # ---------------------------------------------------------------- lanes

    def split(self) -> None:
        """Find what hangs together, and tell apart members of a class that lie in different groups."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        n = len(self.kind)
        kind, cls = np.array(self.kind), np.array(self.classes)
        self.lane = np.zeros(n, np.int64)
        count = np.bincount(cls + 1)[1:]
        self.final = cls
        if not self.apart:
            return
        lanes = (kind >= 0) & (cls >= 0) & (count[cls] >= self.lanes)
        sources, targets = [], []
        for e in (self.a, self.b, self.c):
            e = np.array(e)
            plain = lanes & (e >= 0)
            plain[list(self.terms)] = False
            at = np.flatnonzero(plain)
            at = at[lanes[e[at]]]
            sources.append(at)
            targets.append(e[at])
        long = [i for i in self.terms if lanes[i]]
        every = np.array([t for i in long for t in self.terms[i]], np.int64)
        owner = np.repeat(np.array(long, np.int64), [len(self.terms[i]) for i in long])
        repeated = np.zeros(len(every), bool)
        repeated[1:] = (cls[every[1:]] == cls[every[:-1]]) & (owner[1:] == owner[:-1])
        repeated[:-1] |= repeated[1:]
        alone = ~repeated & lanes[every]
        sources.append(owner[alone])
        targets.append(every[alone])
        s, t = np.concatenate(sources), np.concatenate(targets)
        number, part = connected_components(coo_matrix((np.ones(len(s), bool), (s, t)), (n, n)), directed=False)
        # parts with the same classes in them, and summed in the same sums, are lanes of one group
        draw = np.random.default_rng(0).integers(0, 2**63, (2, len(count)), np.uint64)
        mark = np.zeros(n, np.uint64)
        mark[lanes] = draw[0][cls[lanes]]
        members, sums = [], []
        for i, found in self.terms.items():
            members += found
            sums += [cls[i]] * len(found)
        np.add.at(mark, np.array(members, np.int64), draw[1][np.array(sums, np.int64)])
        signature = np.zeros(number, np.uint64)
        np.add.at(signature, part[lanes], mark[lanes])
        self.lane = part.astype(np.int64)
        first = np.full(number, n)
        np.minimum.at(first, part, np.arange(n))
        rank = np.empty(number, np.int64)
        rank[np.argsort(first, kind="stable")] = np.arange(number)
        self.lane = rank[part]
        _, group = np.unique(signature, return_inverse=True)
        pair = cls * (group.max() + 1) + np.where(lanes, group[part], 0)
        _, self.final = np.unique(pair, return_inverse=True)

    # ---------------------------------------------------------------- the new program

    def emit(self) -> None:
        """Class by class, operands first: a vector operation, or scalars as before."""
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
                    else:
                        inputs = tuple(self.scalar(self.find(j)) for j in x.inputs)
                        same = all(p is q for p, q in zip(inputs, x.inputs))
                        new[i] = x if same else self.node(x.op, inputs, x.shape, x.dtype, x.weak, x.params)
            elif stop - start < self.lanes:
                for i in members[start:stop]:
                    self.emit_scalar(i)
            elif members[start] in self.terms:
                self.emit_sums(order[start:stop])
            else:
                self.emit_vector(order[start:stop])

    def node(
        self, op: str, inputs: tuple[Traced, ...], shape: tuple[int, ...], dtype: np.dtype[Any],
        weak: bool = False, params: Any = None,
    ) -> Traced:  # fmt: skip
        return Traced(self.trace, op, inputs, shape, dtype, weak, {} if params is None else params)

    def scalar(self, i: int) -> Traced:
        """The node of the new program with the value of node ``i``."""
        x = self.new[i]
        if x is None:
            vector = self.vectors[self.vec[i]]
            old = self.nodes[i]
            x = self.node("element", (vector,), (), old.dtype, old.weak, {"index": int(self.pos[i])})
            self.new[i] = x
        return x

    def emit_scalar(self, i: int) -> None:
        x = self.nodes[i]
        if i in self.terms:
            self.new[i] = self.sum_of(x, *self.parts(self.matrix(np.array([i]))))
            return
        inputs = tuple(self.scalar(j) for j in (self.a[i], self.b[i], self.c[i]) if j >= 0)
        key = (self.kind[i], *inputs)
        found = self.made.get(key)
        if found is None:
            same = all(p is q for p, q in zip(inputs, x.inputs))
            found = self.made[key] = x if same else self.node(x.op, inputs, (), x.dtype, x.weak)
        self.new[i] = found

    def place(self, members: Ints, vector: Traced) -> None:
        self.vec[members] = len(self.vectors)
        self.pos[members] = np.arange(len(members))
        self.vectors.append(vector)

    def emit_vector(self, members: Ints) -> None:
        columns = [np.array([e[i] for i in members.tolist()]) for e in (self.a, self.b, self.c)]
        for some, rows in self.alike(members, np.array([e for e in columns if e[0] >= 0])):
            x = self.nodes[some[0]]
            operands = [self.operand(e) for e in rows]
            if x.op == "cast" and operands[0].dtype == x.dtype:
                self.place(some, operands[0])
            else:
                self.place(some, self.node(x.op, tuple(operands), (len(some),), x.dtype))

    def emit_sums(self, members: Ints) -> None:
        terms, runs = self.matrix(members)
        for some, rows in self.alike(members, terms.T):
            self.place(some, self.sum_of(self.nodes[some[0]], *self.parts((rows.T, runs)), len(some)))

    def alike(self, members: Ints, columns: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Members whose operands (a column for each member) lie in the same vectors, lane after lane.

        What is computed twice in a lane comes once; what is too few is emitted at once, one by one.
        """
        homes = self.vec[columns]
        which = np.zeros(len(members), np.int64)
        if (homes != homes[:, :1]).any():
            _, which = np.unique(homes, axis=1, return_inverse=True)
        for w in range(which.max() + 1):
            at = np.flatnonzero(which == w)
            some, rows = members[at], columns[:, at]
            packed = self.vec[rows] < 0
            keys = [*np.where(packed, rows, self.pos[rows])[np.argsort(~packed[:, 0], kind="stable")], self.lane[some]]
            at = np.lexsort(keys)  # the order of vectors goes before that of what is to be packed
            some, rows = some[at], rows[:, at]
            lane = self.lane[some]
            again = np.append(False, (lane[1:] == lane[:-1]) & (rows[:, 1:] == rows[:, :-1]).all(0))
            kept, leader = some[~again], some[~again][np.cumsum(~again) - 1]
            rows = rows[:, ~again]
            if len(kept) < self.lanes:
                for i in kept.tolist():
                    self.emit_scalar(i)
                for i, j in zip(some.tolist(), leader.tolist()):
                    self.new[i] = self.new[j]
                continue
            if not self.apart:  # what is summed together comes together
                at = np.argsort([self.group[i] for i in kept.tolist()], kind="stable")
                kept, rows = kept[at], rows[:, at]
            yield kept, rows
            self.vec[some] = self.vec[leader]
            self.pos[some] = self.pos[leader]

    # ---------------------------------------------------------------- operands

    def operand(self, e: Ints) -> Traced:
        """The values of these nodes as a vector; or as a scalar if they are all one node."""
        if (e == e[0]).all():
            return self.scalar(int(e[0]))
        home = self.vec[e]
        if home[0] >= 0 and (home == home[0]).all():
            return self.select(int(home[0]), self.pos[e])
        return self.pack(e)

    def pack(self, e: Ints) -> Traced:
        numbers = e.tolist()
        x = self.nodes[numbers[0]]
        if all(self.constant[i] for i in numbers):
            a = np.array([self.nodes[i].params["value"] for i in numbers], x.dtype)
            return self.once(("constant", x.dtype, a.tobytes()), "constant", (), a.shape, x.dtype, {"value": a})
        inputs = tuple(self.scalar(i) for i in numbers)
        if all(i.op == "element" and i.inputs[0] is inputs[0].inputs[0] for i in inputs):
            vector = inputs[0].inputs[0]
            return self.taken(vector, np.array([i.params["index"] for i in inputs]))
        return self.once(("pack", e.tobytes()), "pack", inputs, (len(e),), x.dtype, {})

    def once(
        self, key: Any, op: str, inputs: tuple[Traced, ...], shape: tuple[int, ...], dtype: np.dtype[Any], params: Any
    ) -> Traced:
        found = self.made.get(key)
        if found is None:
            found = self.made[key] = self.node(op, inputs, shape, dtype, False, params)
        return found

    def select(self, home: int, index: Ints) -> Traced:
        return self.taken(self.vectors[home], index)

    def taken(self, vector: Traced, index: Ints) -> Traced:
        """``vector[index]``."""
        n, m = len(index), vector.shape[0]
        if n == m and (index == np.arange(n)).all():
            return vector
        key = (vector, index.tobytes())
        step = int(index[1] - index[0]) if n > 1 else 1
        if step and (np.diff(index) == step).all():
            params = {"starts": (int(index[0]),), "steps": (step,)}
            return self.once(key, "slice", (vector,), (n,), vector.dtype, params)
        a = index.astype(np.int64)
        where = self.once(("constant", INT64, a.tobytes()), "constant", (), (n,), INT64, {"value": a})
        return self.once(key, "gather", (vector, where), (n,), vector.dtype, {"indexed": (n,)})

    # ---------------------------------------------------------------- sums

    def matrix(self, members: Ints) -> tuple[Ints, list[tuple[int, int]]]:
        """The terms, a row for each member; and the runs of columns that are of one class."""
        terms = np.array([self.terms[i] for i in members.tolist()])
        row = [self.classes[t] for t in terms[0].tolist()]
        cuts = [k for k in range(len(row)) if k == 0 or row[k] != row[k - 1]]
        runs = list(zip(cuts, [*cuts[1:], len(row)]))
        for start, stop in runs:
            if stop - start > 1:
                part = terms[:, start:stop]
                at = np.lexsort((part, self.pos[part], self.vec[part]))
                terms[:, start:stop] = np.take_along_axis(part, at, 1)
        return terms, runs

    def parts(self, found: tuple[Ints, list[tuple[int, int]]]) -> tuple[list[Traced], list[Traced]]:
        """What is to be added: vectors or scalars, and sums over the last axis of matrices (or vectors)."""
        terms, runs = found
        m = len(terms)
        plain: list[Traced] = []
        reduced: list[Traced] = []
        for start, stop in runs:
            part = terms[:, start:stop]
            if stop - start == 1:
                plain.append(self.one(part[:, 0]))
                continue
            home = self.vec[part[0]]
            cuts = np.flatnonzero(np.diff(home, prepend=-2)).tolist()
            for s, t in zip(cuts, [*cuts[1:], len(home)]):
                some = part[:, s:t]
                if t - s < LANES or home[s] < 0 and self.constant[some[0, 0]]:
                    plain += [self.one(e) for e in some.T]
                elif m == 1:
                    reduced.append(self.operand_flat(some[0]))
                else:
                    flat = self.operand_flat(some.ravel())
                    reduced.append(self.node("reshape", (flat,), (m, t - s), flat.dtype))
        return plain, reduced

    def one(self, e: Ints) -> Traced:
        return self.scalar(int(e[0])) if len(e) == 1 else self.operand(e)

    def operand_flat(self, e: Ints) -> Traced:
        x = self.operand(e)
        return x if x.shape else self.pack(e)

    def sum_of(self, x: Traced, plain: list[Traced], reduced: list[Traced], m: int = 0) -> Traced:
        """All of it added up, or or-ed; ``m`` sums at once, or one."""
        shape = (m,) if m else ()
        way = _CHAINS[x.op]
        for r in reduced:
            kept = (*r.shape[:-1], 1)
            y = self.node(way, (r,), kept, x.dtype, False, {"axis": (r.ndim - 1,)})
            plain.append(self.node("reshape", (y,), shape, x.dtype))
        # scalars before vectors
        plain.sort(key=lambda p: len(p.shape))
        y = plain[0]
        for p in plain[1:]:
            s = p.shape or y.shape
            y = self.node(x.op, (y, p), s, x.dtype, x.weak and s == ())
        if not m and y.weak != x.weak:
            y = self.node("cast", (y,), (), x.dtype, x.weak)
        return y
