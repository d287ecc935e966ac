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
from chainrule.native.tape import tape
from chainrule.traced import Traced

__all__ = ["roll"]

SMALL = 64  # fewer scalar operations than this are left alone
LANES = 4  # fewer lanes than this stay scalars
PACKED = 8  # the same for lanes that must be packed first
STRAIGHT = 1000  # so many scalars of a kind of their own may be left as they are
PACKED_TERMS = 64  # so many scalars are packed to be summed
BALANCED = 16  # from this many terms on, scalars are added in pairs
WIDE = 5000  # from this many vector operations on, they are rolled themselves

Ints = NDArray[np.int64]
BOOL, INT64 = np.dtype(bool), np.dtype(np.int64)
_COMMUTATIVE = frozenset("multiply bitwise_and logical_and bitwise_xor equal not_equal".split())
_REDUCED = ("sum", "any")
_CHAINS = {"add": "sum", "bitwise_or": "any", "logical_or": "any"}


def roll(roots: list[Traced]) -> list[Traced]:
    """Roots that compute the same with vector operations in the place of repeated scalar ones."""
    collecting = gc.isenabled()
    gc.disable()  # nothing here is cyclic, and there are very many small objects
    try:
        nodes = _order(roots)
        if sum(_scalar(x) and x.dtype.kind == "f" for x in nodes) < SMALL:
            return roots
        wide: set[Traced] = set()
        first = _Pass(roots, nodes, LANES)
        if first.read():
            roots = first.emit()
            nodes = _order(roots)
            if len(first.vectors) > WIDE:
                wide = {x for x in first.fresh if x.shape}
        if sum(map(_scalar, nodes)) + len(wide) < STRAIGHT:
            return roots
        second = _Pass(roots, nodes, PACKED, wide)
        if second.read():
            packed = second.emit()
            after = _order(packed)
            if _cost(packed, after, bool(wide)) < _cost(roots, nodes, bool(wide)) / 2:
                roots, nodes = packed, after
        return tape(roots, nodes)
    finally:
        if collecting:
            gc.enable()


def _scalar(x: Traced) -> bool:
    return x.shape == () and x.op in ELEMENTWISE and x.dtype.kind in "fiub"


def _cost(roots: list[Traced], nodes: list[Traced], wide: bool) -> int:
    """Scalars computed, and what is moved between them and vectors; if ``wide``, vectors computed, too."""
    final = set(roots)
    cost = 0
    for x in nodes:
        if x.op == "pack":
            cost += sum(i.op != "input" for i in x.inputs)
        elif x.inputs and (wide or x.shape == ()) and not (x.op == "element" and x in final):
            cost += x.op not in ("reshape", "slice", "broadcast_to")
    return cost


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
    inputs.sort(key=lambda x: int(x.params.get("slot", -1)))
    return inputs + [x for x in nodes if x.op != "input"]


def _joined(a: Ints, b: Ints) -> Ints:
    """Pairs as numbers, in the order of the pairs."""
    pairs: Ints = np.unique(a * (int(b.max()) + 1) + b, return_inverse=True)[1]
    return pairs


def _parts(n: int, s: Ints, t: Ints) -> Ints:
    """Of n nodes with edges s–t: the first node of the connected part that each belongs to."""
    part = np.arange(n)
    while True:
        a, b = part[s], part[t]
        apart = a != b
        if not apart.any():
            return part
        s, t, a, b = s[apart], t[apart], a[apart], b[apart]
        np.minimum.at(part, np.maximum(a, b), np.minimum(a, b))
        while ((further := part[part]) != part).any():
            part = further


def slices(params: Any, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """What a ``slice`` node takes."""
    ends = [(a + n * k, a, k) for a, n, k in zip(params["starts"], shape, params["steps"])]
    return tuple(slice(a, None if end < 0 else end, k) for end, a, k in ends)


class _Pass:
    """One rolling of a program.

    Attributes
    ----------
    wide : set of Traced
        Vector operations of an earlier rolling, to be rolled again.
    apart : bool
        Whether inputs (and whatever else is not rolled) are told apart: so in the first rolling.
    fresh : list of Traced
        The new nodes.
    canon : array of int
        Of a node that computes what an earlier one does, that one.
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

    def __init__(
        self, roots: Sequence[Traced], nodes: list[Traced], lanes: int, wide: set[Traced] | None = None
    ) -> None:
        self.trace = roots[0].origin
        self.roots, self.nodes, self.lanes, self.wide = roots, nodes, lanes, wide or set()
        self.apart = wide is None
        self.fresh: list[Traced] = []
        self.vectors: list[Traced] = []
        self.made: dict[Any, Traced] = {}
        self.first: dict[Any, int] = {}
        self.views: dict[Traced, tuple[Traced, Ints]] = {}
        self.picked: dict[int, tuple[int, int]] = {}
        self.packed: dict[Any, Ints] = {}
        self.terms: dict[int, list[int]] = {}

    def read(self) -> bool:
        """Look for lanes; whether it is worth emitting a new program."""
        self.note()
        n = len(self.nodes)
        self.canon = np.arange(n)
        self.vec, self.pos = np.full(n, -1), np.zeros(n, np.int64)
        self.new: list[Traced | None] = [None] * n
        self.base, self.flat = np.full(n, -1), np.zeros(n, np.int64)
        for i, (base, at) in self.picked.items():
            self.base[i], self.flat[i] = base, at
        self.intern()
        rolled = self.split()
        if self.apart:
            return rolled > 0 or bool(self.terms)
        return 2 * rolled > sum(k >= 0 for k in self.kind)

    # ---------------------------------------------------------------- the program as numbers

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
        self.kind = kind  # of an operation: its name, dtype and weakness; -1 is something opaque, -2 nothing
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
            way = _CHAINS.get(op)
            if k < 0:
                continue
            if (way == "sum" and dtype.char in "fd") or (way == "any" and dtype == BOOL):
                chained[k] = op
                family[k + 1] = first.setdefault((op, dtype, shape), k)
        is_chained = np.zeros(len(self.kinds) + 1, bool)
        is_chained[[k + 1 for k in chained]] = True
        link = is_chained[kind + 1] & (uses == 1) & (family[kind + 1] == family[kind[user] + 1])
        return link.tolist(), chained

    # ---------------------------------------------------------------- classes

    def intern(self) -> None:
        """The class of every node: what it does, to what classes."""
        link, chained = self.chains()
        kind, a, b, c, terms = self.kind, self.a, self.b, self.c, self.terms
        commutes = {k for (op, *_), k in self.kinds.items() if op in _COMMUTATIVE or k in chained}
        power = {k for (op, *_), k in self.kinds.items() if op == "power"}
        known: dict[Any, int] = {}
        classes: list[int] = []
        self.classes = classes
        self.group = group = [-1] * len(kind)
        fresh = 0
        stage = self.stages()
        base = self.base.tolist()
        for i, k in enumerate(kind):
            if k < 0:
                if k == -2:
                    classes.append(-1)
                    continue
                if self.constant[i]:
                    x = self.nodes[i]
                    key: Any = (x.dtype.char, x.weak)
                elif base[i] >= 0:
                    key = (-1, base[i])
                elif self.apart:
                    classes.append(fresh)
                    fresh += 1
                    continue
                else:
                    x = self.nodes[i]
                    key = (x.dtype.char, x.weak, x.op == "input", x.op == "constant", x.shape, stage[i])
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
                    if m > n and k in commutes:
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
        # what is used once is for what its user is for
        user, once = self.user, self.uses == 1
        for i, some in terms.items():
            user[some] = i
        for i, (j, alone) in enumerate(zip(user[::-1].tolist(), once[::-1].tolist()), 1):
            if alone and group[-i] < 0:
                group[-i] = group[j]

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
                stage[i] = max([stage[j] + (kind[j] >= 0) for j in [self.number[y] for y in x.inputs]])
        return stage

    # ---------------------------------------------------------------- lanes

    def split(self) -> int:
        """Find what hangs together, and tell apart members of a class that lie in different groups.

        Returns how many nodes are in classes that are large enough.
        """
        n = len(self.kind)
        kind, cls = np.array(self.kind), np.array(self.classes)
        self.lane = np.zeros(n, np.int64)
        count = np.bincount(cls + 1)[1:]
        self.final = cls
        lanes = (kind >= 0) & (cls >= 0) & (count[cls] >= self.lanes)
        if not (self.apart and lanes.any()):
            return int(lanes.sum())
        sources, targets = [], []
        for e in map(np.array, (self.a, self.b, self.c)):
            plain = lanes & (e >= 0)
            plain[list(self.terms)] = False
            at = np.flatnonzero(plain)
            at = at[lanes[e[at]]]
            sources.append(at)
            targets.append(e[at])
        long = list(self.terms)
        every = np.array([t for i in long for t in self.terms[i]], np.int64)
        owner = np.repeat(np.array(long, np.int64), [len(self.terms[i]) for i in long])
        repeated = np.zeros(len(every), bool)
        repeated[1:] = (cls[every[1:]] == cls[every[:-1]]) & (owner[1:] == owner[:-1])
        repeated[:-1] |= repeated[1:]
        alone = ~repeated & lanes[every] & lanes[owner]
        sources.append(owner[alone])
        targets.append(every[alone])
        part = self.lane = _parts(n, np.concatenate(sources), np.concatenate(targets))
        # parts with the same classes in them, and summed in the same sums, are lanes of one group
        draw = np.random.default_rng(0).integers(0, 2**63, (2, len(count)), np.uint64)
        mark = np.zeros(n, np.uint64)
        mark[lanes] = draw[0][cls[lanes]]
        np.add.at(mark, every, draw[1][cls[owner]])
        signature = np.zeros(n, np.uint64)
        np.add.at(signature, part[lanes], mark[lanes])
        group = np.unique(signature, return_inverse=True)[1]
        pair = _joined(cls, np.where(lanes, group[part], 0))
        self.final = _joined(pair, self.purposes(pair, lanes))
        return int(lanes.sum())

    def purposes(self, cls: Ints, lanes: NDArray[np.bool_]) -> Ints:
        """Where a lane has several members of a class: the class or the sum over lanes each is for."""
        at = np.flatnonzero(lanes)
        place = _joined(cls[at], self.lane[at])
        crowded = np.zeros(int(cls.max()) + 2, bool)
        crowded[cls[at[np.bincount(place)[place] > 1]]] = True
        aim = np.full(len(cls), -1)
        some = np.flatnonzero(lanes & crowded[cls])
        self.merge(some.tolist())
        for i in some[::-1].tolist():
            if self.uses[i] == 1:  # and so for what its user is for
                j = self.user[i]
                aim[i] = len(cls) + j if not lanes[j] else aim[j] if crowded[cls[j]] else cls[j]
        crowded[cls[at[aim[at] < 0]]] = False
        return np.where(lanes & crowded[cls], aim, -1) + 1

    def merge(self, some: list[int]) -> None:
        """What is computed twice in a lane is computed once."""
        known: dict[Any, int] = {}
        canon, uses, user = self.canon, self.uses, self.user
        for i in some:
            operands: Any = self.terms.get(i)
            if operands is None:
                operands = [self.a[i], self.b[i], self.c[i]]
                key: Any = (self.lane[i], self.kind[i], *canon[operands].tolist())
            else:
                key = (self.lane[i], self.kind[i], "terms", *np.sort(canon[operands]).tolist())
            first = known.setdefault(key, i)
            if first != i:
                canon[i] = first
                self.classes[i] = -1
                uses[first] += uses[i]
                for j in operands:
                    if j >= 0:
                        uses[j] -= 1
                        user[j] = first

    # ---------------------------------------------------------------- the new program

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
            y = self.reduce(_CHAINS[x.op], r, 0 if m is None else 1)
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
