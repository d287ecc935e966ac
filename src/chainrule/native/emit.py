"""Loop nests as LLVM IR: vectors along the innermost loop, rows outside.

A nest is written row by row: what varies only over the outer loops once a row, then the inner loops
in stages. A stage ends where a result reduced over the row is needed; what later stages need again
is computed again, or, if it is dear, kept in a buffer of one row's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from chainrule.native.access import Access, Place
from chainrule.native.accumulate import Lanes, Memory, combine, identity
from chainrule.native.elementwise import elementwise, is_number, number, partners
from chainrule.native.nest import Nest
from chainrule.native.operations import REDUCTIONS
from chainrule.native.text import ELEMENT, MEMORY
from chainrule.native.vectormath import FUNCTIONS
from chainrule.traced import Traced

__all__ = ["ATTRIBUTES", "Emitter", "emit_nest"]

LONG = 400  # operations above which a loop's code is not written twice, for whole vectors and for the rest
# Without stackrealign LLVM puts vectors that do not fit into registers wherever the stack begins: where that
# is no multiple of 64 they lie across cache lines, and loops take up to twice as long.
ATTRIBUTES = '"prefer-vector-width"="512" "stackrealign" nounwind'


class Emitter(Access):
    """Writes one nest."""

    def __init__(self, nest: Nest, places: dict[Traced, Place], bits: int, scratch: str) -> None:
        super().__init__(nest, places)
        self.needs: set[tuple[str, str, int]] = set()
        self.scratch_pointer, self.scratch = scratch, 0
        sizes = [v.dtype.itemsize for m in nest.inside for v in (m, *m.inputs) if v.dtype.char in "dfql"]
        widest = max([4, *sizes])
        self.inner = nest.loops[-1] if nest.loops else 1
        self.full = bits // (8 * widest)
        # Several vectors in turn, because a function waits for the one before it.
        depth = _depth(nest.cluster.members)
        several = 4 if depth > 8 else 2 if depth else 1
        if self.inner >= 4 * several * self.full:
            self.full *= several
        self.full = min(self.full, 1 << max(self.inner - 1, 0).bit_length())
        self.row: dict[Any, str] = {}  # values of this row, as scalars
        self.env: dict[Any, str] = {}  # values of this vector
        self.kept: dict[Traced, str] = {}
        self.at_row = False
        self.keeps_rows = True  # whether what is known of a row is stored
        self._now = 0
        given = {places[v.base] for v, _ in nest.accesses.values()}
        self.late = {m for m in nest.stored if places[m] in given}  # written over an operand
        self.rows, self.level, self.stages = nest.known_rows, nest.level, nest.stages
        self.partner = partners(nest.cluster.members)
        self.lane_sums: list[Lanes] = []  # of the stage being written
        self.memory_sums: list[Memory] = []

    # ---------------------------------------------------------------- the nest

    def write(self) -> None:
        self._dear()
        self._grow()
        self._rows()

    def _grow(self) -> None:
        """Prepare reductions whose elements grow in memory."""
        n = self.nest
        for m in n.stored:
            if m.op in REDUCTIONS and not self.nest.is_row(m):
                over = [(d, n.loops[d]) for d in sorted(n.reduced[m]) if d != len(n.loops) - 1]
                self.memory_sums.append(Memory(self, m, over))

    def _rows(self) -> None:
        n = self.nest
        for memory in self.memory_sums:
            self._fill(memory.m)
            memory.clear()
        with self._loops(range(n.split)):
            self.row = {}
            self._row_level(-1)
            for stage in range(self.stages):
                self._stage(stage)
                self._row_level(stage)

    def _loops(self, which: Sequence[int]) -> ExitStack:
        stack = ExitStack()
        for d in which:
            self.counters.append(stack.enter_context(self._turns(d, self.nest.loops[d])))
        return stack

    @contextmanager
    def _turns(self, d: int, count: int) -> Iterator[str]:
        """Loop d, in strips where a sum is carried from them; of the innermost one the vectors."""
        memory = [s for s in self.memory_sums if d < self.nest.split or self.level[s.m] == self._now]
        carried = [s for s in (*self.lane_sums, *memory) if s.loop == d]
        low, high = self._range(d, count)
        if not carried:
            with self.w.span(low, high) if count > 1 else self.w.loop(count) as i:
                yield i
        elif (length := min(s.length for s in carried)) == 1:
            with self.w.span(low, high) as i:
                yield i
                for s in carried:
                    s.carry(i)
        else:
            with self._strip_mined(low, high, length) as (strip, first, end):
                with self.w.span(first, end) as i:
                    yield i
                for s in carried:
                    s.carry(strip)
        for s in memory:
            if s.first == d:
                s.finish()

    @contextmanager
    def _strip_mined(self, low: str, high: str, length: int) -> Iterator[tuple[str, str, str]]:
        """A loop over strips: their number, and where each begins and ends."""
        w = self.w
        turns = w.set(f"sub nsw i64 {high}, {low}")
        more = w.set(f"add nsw i64 {turns}, {length - 1}")
        with w.span("0", w.set(f"sdiv i64 {more}, {length}")) as strip:
            first = w.index([(strip, length), (low, 1)])
            end = w.set(f"add nsw i64 {first}, {length}")
            yield strip, first, w.intrinsic("smin", "i64", [("i64", end), ("i64", high)])

    # What `chainrule.native.team` does otherwise, where several threads share a nest:

    def _range(self, d: int, count: int) -> tuple[str, str]:
        """Where loop d of so many turns begins and ends."""
        return "0", str(count)

    def _last(self) -> AbstractContextManager[None]:
        """Around what is left of the innermost loop."""
        return nullcontext()

    def _finish(self, total: Lanes) -> None:
        """A row's result is complete."""
        self.row[total.m] = total.total()

    def _private(self, size: int) -> str:
        """A pointer to scratch memory that no thread shares with others."""
        return self._buffer(size)

    def _buffer(self, size: int) -> str:
        """A pointer to scratch memory."""
        place = self.w.early(f"getelementptr i8, ptr {self.scratch_pointer}, i64 {self.scratch}")
        self.scratch += -(-size // 64) * 64
        return place

    def _fill(self, m: Traced) -> None:
        """Set all of a result that is accumulated in memory to where it starts from."""
        with self.w.loop(max(m.size, 1)) as i:
            self._begin(m, i)

    def _begin(self, m: Traced, i: str) -> None:
        """The same for element ``i``."""
        kind, value = MEMORY[m.dtype.char], identity(m)
        base, first = self.places[m]
        at = self.w.set(f"getelementptr {kind}, ptr {base}, i64 {self.w.index([(i, 1)], first)}")
        self.w.line(f"store {kind} { {'false': '0', 'true': '1'}.get(value, value) }, ptr {at}")

    def _row_level(self, after: int) -> None:
        """What is known of a row after a stage, stored where others need it."""
        self.lanes, self.mask, self.at_row = 1, None, True
        late = []
        for m in self.nest.cluster.members:
            if m in self.rows and self.level[m] == after:
                if m.op not in REDUCTIONS:
                    self.row[m] = elementwise(self, m, [self._operand(i, m) for i in m.inputs])
                if m in self.late:
                    late.append(m)
                elif m in self.nest.out and self.keeps_rows:
                    self._store(m, self.row[m])
        for m in late if self.keeps_rows else ():
            self._store(m, self.row[m])
        self.at_row = False

    def _stage(self, stage: int) -> None:
        n, self._now = self.nest, stage
        members = [m for m in n.cluster.members if m not in self.rows or m.op in REDUCTIONS]
        reductions = [m for m in members if m.op in REDUCTIONS and self.level[m] == stage]
        stores = [m for m in members if m.op not in REDUCTIONS and m in n.out and self.level[m] == stage]
        keeps = [m for m in self.kept if self.level[m] == stage and m not in n.out]
        if not (reductions or stores or keeps):
            return
        last = len(n.loops) - 1
        inner = range(n.split, last)
        vectors = (last, -(-self.inner // self.full))
        every = [*((d, n.loops[d]) for d in inner), vectors]
        held = {m: Lanes(self, m, every) for m in reductions if self.nest.is_row(m)}
        self.lane_sums = list(held.values())
        depth = len(self.counters)
        with self._loops(inner):
            partial = {
                m: Lanes(self, m, [vectors]) for m in reductions if m not in held and last in n.reduced[m]
            }
            self.lane_sums += partial.values()
            self._strips(lambda: self._body(reductions, stores, keeps, held | partial))
            for m, part in partial.items():
                x = part.total()
                old = self._load(m, *n.out[m])
                self._store(m, combine(self, m, old, x))
        del self.counters[depth:]
        self.lane_sums = []
        for part in held.values():
            self._finish(part)

    def _strips(self, body: Callable[[], None]) -> None:
        """The innermost loop: whole vectors, then what is left under a mask."""
        w, size, lanes = self.w, self.inner if self.nest.loops else 1, self.full
        last = len(self.nest.loops) - 1
        whole, rest = divmod(size, lanes)
        if not self.nest.loops:
            self.lanes, self.mask, self.env = 1, None, {}
            body()
            return

        def strip(i: str, mask: str | None) -> None:
            self.lanes, self.mask, self.env = lanes, mask, {}
            self.counters.append(i)
            body()
            self.counters.pop()

        if whole and rest and len(self.nest.inside) > LONG:  # the code once, though it is a mask slower
            steps = ", ".join(f"i64 {k}" for k in range(lanes))
            with self._turns(last, whole + 1) as i:
                start = w.index([(i, lanes)])
                t = f"<{lanes} x i64>"
                one = self._set(f"insertelement {t} poison, i64 {start}, i64 0")
                every = self._set(f"shufflevector {t} {one}, {t} poison, <{lanes} x i32> zeroinitializer")
                at = self._set(f"add {t} {every}, <{steps}>")
                strip(start, self._set(f"icmp ult {t} {at}, splat (i64 {size})"))
            return
        if whole:
            with self._turns(last, whole) as i:
                strip(w.index([(i, lanes)]), None)
        if rest:
            with self._last():
                bits = ", ".join(f"i1 {'true' if k < rest else 'false'}" for k in range(lanes))
                strip(str(whole * lanes), f"<{bits}>")

    def _body(self, reductions: Any, stores: Any, keeps: Any, held: dict[Traced, Lanes]) -> None:
        for m in reductions:
            x = self._value(m.inputs[0], m)
            if self.mask is not None:
                x = self._set(f"select <{self.lanes} x i1> {self.mask}, {self._t(m)} {x}, "
                              f"{self._t(m)} {self._splat(m, identity(m))}")  # fmt: skip
            if m in held:
                held[m].add(x)
            else:
                old = self._load(m, *self.nest.out[m])
                self._store(m, combine(self, m, old, x))
        for m in stores:
            if m not in self.late:
                self._store(m, self._value(m, None))
        for m in keeps:
            x = self._value(m, None)
            self._store_at(m, x, self.kept[m], [0] * (len(self.counters) - 1) + [1], 0)
        late = [(m, self._value(m, None)) for m in stores if m in self.late]
        for m, x in late:
            self._store(m, x)

    # ---------------------------------------------------------------- values

    def _spread(self, x: Traced, value: str) -> str:
        """A row's number in every lane."""
        if self.lanes == 1:
            return value
        if not value.startswith("%"):
            return self._splat(x, value)
        key = ("spread", value)
        if key not in self.env:
            t, kind = self._t(x), ELEMENT[x.dtype.char]
            one = self._set(f"insertelement {t} poison, {kind} {value}, i64 0")
            self.env[key] = self._set(
                f"shufflevector {t} {one}, {t} poison, <{self.lanes} x i32> zeroinitializer"
            )
        return self.env[key]

    def _value(self, x: Traced, user: Traced | None) -> str:
        """``x`` as ``user`` reads it, in the lanes of now. No recursion: chains may be long."""
        wanted: list[tuple[Traced, Traced | None]] = [(x, user)]
        while wanted:
            y, reader = wanted[-1]
            if self._known(y, reader) is not None:
                wanted.pop()
                continue
            b, _ = self.nest.views.alias(y)
            missing = [(i, b) for i in b.inputs if self._known(i, b) is None]
            if missing:
                wanted += reversed(missing)
            else:
                wanted.pop()
                self.env[b] = elementwise(self, b, [self._operand(i, b) for i in b.inputs])
        found = self._known(x, user)
        assert found is not None
        return found

    def _known(self, x: Traced, user: Traced | None) -> str | None:
        """An operand that is at hand, or can be loaded; None if it has to be computed first."""
        b, _ = self.nest.views.alias(x)
        if is_number(b):
            return self._splat(b, number(b))
        if user is not None and (user, x) in self.nest.counts:
            return self.count(self.nest.counts[user, x], b.params["start"], ELEMENT[b.dtype.char])
        cache = self.row if self.at_row else self.env
        if user is not None and (user, x) in self.nest.accesses:
            key = self.nest.accesses[user, x]
            if key not in cache:
                cache[key] = self._load(x, *key)
            return cache[key]
        if b in self.row:
            return self._spread(b, self.row[b])
        if b not in self.env and b in self.kept and self.level[b] < self._now:
            if b in self.nest.out:
                self.env[b] = self._load(b, *self.nest.out[b])
            else:
                self.env[b] = self._load_at(b, self.kept[b], [0] * (len(self.counters) - 1) + [1], 0)
        return self.env.get(b)

    def _operand(self, x: Traced, user: Traced) -> str:
        found = self._known(x, user)
        assert found is not None, (x, user)
        return found

    # ---------------------------------------------------------------- what is kept for later stages

    def _dear(self) -> None:
        """Choose which elements a later stage shall load and not compute again."""
        n = self.nest
        if self.stages < 2:
            return
        last: dict[Traced, int] = {}
        for m in n.cluster.members:
            if m in self.rows and m.op not in REDUCTIONS:
                continue
            for x in m.inputs:
                b, _ = n.views.alias(x)
                if b in n.inside and b not in self.rows and (m, x) not in n.accesses:
                    last[b] = max(last.get(b, 0), self.level[m])
        # uses reach through cheap members: walk back so that a stage's needs are known at the source
        for m in reversed(n.cluster.members):
            if m in last and m.op not in REDUCTIONS:
                for x in m.inputs:
                    b, _ = n.views.alias(x)
                    if (
                        b in n.inside
                        and b not in self.rows
                        and (m, x) not in n.accesses
                        and m.op not in _DEAR
                    ):
                        last[b] = max(last.get(b, 0), last[m])
        for m, stage in last.items():
            if stage > self.level[m] and (m.op in _DEAR or m in n.out) and len(n.loops) - n.split == 1:
                if m in n.out:
                    self.kept[m] = ""
                else:
                    self.kept[m] = self._buffer(self.inner * m.dtype.itemsize)


_DEAR = frozenset(FUNCTIONS) | {"divide", "sqrt", "sech2", "sigmoid", "power"}


def _depth(members: Sequence[Traced]) -> int:
    """How many functions stand one after the other in the longest chain."""
    depth: dict[Traced, int] = {}
    for m in members:
        depth[m] = max((depth.get(i, 0) for i in m.inputs), default=0) + (m.op in FUNCTIONS)
    return max(depth.values())


def emit_nest(
    name: str, nest: Nest, places: dict[Traced, Place], bits: int
) -> tuple[str, set[str], set[tuple[str, str, int]], int]:
    """One nest as a function ``@name(ptr, ..., ptr %scratch)`` of the pointers in ``places``, each once.

    Returns
    -------
    text, declarations, functions of `vectormath` needed, bytes of scratch
    """
    e = Emitter(nest, places, bits, "%scratch")
    e.write()
    names = dict.fromkeys(p for p, _ in places.values())
    parameters = ", ".join(f"ptr noalias {p}" for p in [*names, "%scratch"])
    return e.w.text(name, parameters, ATTRIBUTES), e.w.declared, e.needs, e.scratch
