"""Memory: where each result of a program lies.

The arrays given and returned lie behind entries of a table, what lives only during a call in an
arena that lives which do not overlap share, and single numbers in a row of cells. State is written
where it was, if nothing reads the old numbers afterwards.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import numpy as np

from chainrule.native.fuse import Cluster
from chainrule.native.mover import Checks
from chainrule.native.moves import is_move, may_end, unchecked
from chainrule.native.nest import Nest
from chainrule.native.operations import ELEMENTWISE, REDUCTIONS
from chainrule.native.reference import order
from chainrule.native.team import Team
from chainrule.native.views import Views
from chainrule.traced import Traced

__all__ = ["ARENA", "CELLS", "LOOPS", "Memory", "Shared", "Storage"]

ALIGN = 64
SMALL = 512  # bytes up to which arrays go into slots of one size
# Entries of the table: the arena, the cells, then one for each array.
ARENA, CELLS, FIRST = 0, 1, 2
LOOPS = ("scan", "while", "cond")


@dataclass(frozen=True)
class Storage:
    """Where a node's numbers lie: an entry of the table, and bytes from there.

    Within loops ``steps`` moves it: pairs of a counter's name and the bytes that each turn adds.
    """

    entry: int
    offset: int = 0
    steps: tuple[tuple[str, int], ...] = ()

    def on(self, bytes: int, counter: str | None = None, step: int = 0) -> Storage:
        """Further on, and further with every turn of a loop."""
        more = ((counter, step),) if counter is not None and step else ()
        return Storage(self.entry, self.offset + bytes, self.steps + more)


@dataclass
class Shared:
    """What the parts of one program have in common: the program itself and the bodies of its loops."""

    entries: int = FIRST
    cells: int = 0
    constants: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)
    top: int = 0  # of the arena
    checks: Checks = field(default_factory=Checks)
    team: Team | None = None  # of the loops that threads share


class Memory:
    """The plan for one sequence of units.

    Parameters
    ----------
    shared : Shared
    views : Views
    units, roots, stored
        What is carried out, in which order; what of it others need.
    updates : sequence of (Traced or None)
        For each root the input whose place it takes.
    base : int
        Where this part's arena begins.
    """

    def __init__(
        self,
        shared: Shared,
        views: Views,
        units: Sequence[Cluster | Traced],
        roots: Sequence[Traced],
        stored: set[Traced],
        updates: Sequence[Traced | None],
        base: int = 0,
    ) -> None:
        self.shared, self.views, self.units, self.roots = shared, views, units, roots
        self.stored, self.updates, self.base = stored, updates, base
        self.storage: dict[Traced, Storage] = {}
        self.in_place: set[Traced] = set()
        self.home: dict[Traced, int] = {}
        self.written: set[int] = set()
        self.free: set[Traced] = set()  # packs of cells that lie side by side already
        self.early: set[Traced] = set()
        self.arena = 0

    def place(self, native: Callable[[Traced], bool]) -> None:
        """Give every stored node its place, for a whole program; ``native`` says what has machine code.

        NumPy, which does the rest, writes nowhere that is only shown, as a state's data is.
        """
        roots, alone = set(self.roots), {u for u in self.units if not isinstance(u, Cluster)}
        self._pack_cells()
        in_place = {
            r: u for r, u in self._in_place().items()
            if (x := r.inputs[0] if r.op == "item" else r) not in alone or native(x)
        }  # fmt: skip
        for x in order(self.roots):
            if x in self.storage or x in in_place:
                continue
            if x.op == "input" or (x.op == "constant" and (x.shape or x in self.stored)) or x in roots:
                if x.op == "constant":
                    self._constant(x)
                elif x.shape or x.dtype.itemsize > 8:
                    self.storage[x] = Storage(self.shared.entries)
                    self.shared.entries += 1
                else:
                    self._cell(x)
        for r, u in in_place.items():
            self.storage[r] = self.storage[u]
            self.in_place.add(r)
            self.written.add(self.storage[u].entry)
        for r, update in zip(self.roots, self.updates, strict=True):
            if update is not None and update in self.storage and self.storage[r].entry == CELLS:
                self.home[r] = self.storage[update].offset // 8
        for r in self.roots:
            if r in self.early and self.storage[r].entry == CELLS and r not in self.home:
                self.home[r], self.shared.cells = self.shared.cells, self.shared.cells + 1
        self._temporaries()

    def place_body(self, targets: Sequence[Storage]) -> list[tuple[Traced, Storage]]:
        """The same for a loop's body, whose inputs have their places; the results that must be copied.

        A new carry may be written over the old one, unless something reads that afterwards; else it
        is kept apart until the turn is over.
        """
        in_place = self._in_place(numbers=True)
        copies = []
        for r, target, update in zip(self.roots, targets, self.updates, strict=True):
            if r in in_place or update is None:
                self.storage[r] = target
            else:
                copies.append((r, target))
        for x in order(self.roots):
            if x.op == "constant" and (x.shape or x in self.stored):
                self._constant(x)
        self._temporaries({r for r, _ in copies})
        return copies

    def room(self, size: int) -> Storage:
        """Memory that nothing else uses."""
        s = Storage(ARENA, self.base + self.arena)
        self.arena += max(-(-size // ALIGN) * ALIGN, ALIGN)
        self.shared.top = max(self.shared.top, self.base + self.arena)
        return s

    def _constant(self, x: Traced) -> None:
        self.storage[x] = Storage(self.shared.entries)
        # by reference, if it is as it should be: a large array of the caller's is read as it is at each call
        self.shared.constants[self.shared.entries] = np.ascontiguousarray(x.params["value"], x.dtype).reshape(
            x.shape
        )
        self.shared.entries += 1

    def _temporaries(self, last: Collection[Traced] = ()) -> None:
        """The arena is shared by lives that do not overlap; some things live to the end."""
        born: dict[Traced, int] = {}
        died: dict[Traced, int] = {}
        when = {u: t for t, u in enumerate(self.units) if not isinstance(u, Cluster)}
        for t, u in enumerate(self.units):
            members = u.members if isinstance(u, Cluster) else [u]
            for m in members:
                if m in self.stored and m not in self.storage:
                    if m.op in LOOPS:
                        pass  # its items have places
                    elif m.shape or m.op == "call" or m.dtype.itemsize > 8:
                        born.setdefault(m, when[m.inputs[0]] if m.op == "item" else t)
                        died.setdefault(m, len(self.units) if m in last else t)
                    else:
                        self._cell(m)
                for x in m.inputs:
                    view = self.views.view(x)
                    if view is not None and view.base in born and view.base not in last:
                        died[view.base] = t
        same = self._continued(born, died)
        self.arena = self._arena(born, died)
        for x, y in same.items():
            self.storage[x] = self.storage[y]
        self.shared.top = max(self.shared.top, self.base + self.arena)

    def _continued(self, born: dict[Traced, int], died: dict[Traced, int]) -> dict[Traced, Traced]:
        """Sums that grow where their first term lies, because nothing needs that any more."""
        found: dict[Traced, Traced] = {}
        for t, u in enumerate(self.units):
            if isinstance(u, Cluster) or u.op != "gemm" or u not in born:
                continue
            view = self.views.view(u.inputs[2])
            first = None if view is None else view.base
            while first in found:
                first = found[first]
            if first not in born or died[first] != t or (first.shape, first.dtype) != (u.shape, u.dtype):
                continue
            if any(self.views.view(i).base is first for i in u.inputs[:2]):  # type: ignore[union-attr]
                continue
            found[u] = first
            died[first] = max(died[first], died.pop(u))
            del born[u]
        return found

    def _pack_cells(self) -> None:
        """Numbers that are packed into a vector get cells side by side, which then are the vector.

        Vectors whose elements are results lie in cells themselves.
        """
        for u in self.units:
            if isinstance(u, Cluster) or u.op != "pack" or u.dtype.char != "d":
                continue
            bases = [self.views.view(x).base for x in u.inputs]  # type: ignore[union-attr]
            if len(set(bases)) == len(bases) and all(
                b.size == 1
                and b.dtype.char == "d"
                and b not in self.storage
                and (b.weak if b.op == "input" else b in self.stored and b.op in ELEMENTWISE | REDUCTIONS)
                for b in bases
            ):
                self.storage[u] = Storage(CELLS, 8 * self.shared.cells)
                for b in bases:
                    self._cell(b)
                self.free.add(u)
        for r in self.roots:
            if r.op == "element":
                vector = r.inputs[0]
                if vector not in self.storage:
                    self.storage[vector] = Storage(CELLS, 8 * self.shared.cells)
                    self.shared.cells += vector.size
                self.storage[r] = Storage(CELLS, self.storage[vector].offset + 8 * r.params["index"])

    def _in_place(self, numbers: bool = False) -> dict[Traced, Traced]:
        """Roots that may be written over the input they replace: nothing reads that afterwards.

        A whole program's numbers go home at its end instead.
        """
        found: dict[Traced, Traced] = {}
        taken: set[Traced] = set()
        times = Counter(self.roots)
        last: dict[Traced, int] = {}
        made: dict[Traced, int] = {}
        checked = -1  # nothing is overwritten while an index may still turn out wrong
        passed: set[tuple[Traced, int]] = set()
        for t, u in enumerate(self.units):
            if not isinstance(u, Cluster):
                wanted = unchecked(u, self.views, passed) if is_move(u) else set()
                if wanted or may_end(u):
                    checked, passed = t, passed | wanted
            for m in u.members if isinstance(u, Cluster) else [u]:
                made[m] = t
                for x in m.inputs:
                    view = self.views.view(x)
                    if view is not None:
                        last[view.base] = t
        # an element is made with its vector, and an item is written while its loop runs
        source = {r: r.inputs[0] if r.op == "item" or r not in made else r for r in self.roots}
        self.early = {r for r in self.roots if made[source[r]] <= checked}
        for r, update in zip(self.roots, self.updates, strict=True):
            if update is None or r not in made or update not in last or times[r] > 1:
                continue
            if not (r.shape or numbers):
                continue
            t = made[r.inputs[0] if r.op == "item" else r]  # a loop writes its results in every turn
            unit = self.units[t]
            if last[update] > t or r in self.early or update in taken:
                continue
            if last[update] == t:
                if not isinstance(unit, Cluster):
                    if r.op == "item" and self._carries(unit, r.params["index"], update):
                        found[r] = update
                        taken.add(update)
                    if (
                        unit.op == "gemm"
                        and unit.inputs[2] is update
                        and not any(i is update for i in unit.inputs[:2])
                    ):
                        found[r] = update
                        taken.add(update)
                    continue
                nest = Nest(unit, self.views, self.stored)
                own = nest.out[r][1]
                if any(v.base is update and (v.offset or s != own) for v, s in nest.accesses.values()):
                    continue
                if r.op in REDUCTIONS or not nest.is_last(r):
                    continue  # what is worked on later may need the old numbers
            found[r] = update
            taken.add(update)
        return found

    def _carries(self, loop: Traced, index: int, x: Traced) -> bool:
        """Whether a loop reads ``x`` as the first carry of that number and as nothing else."""
        if loop.op not in ("scan", "while") or index >= loop.params["carries"]:
            return False
        views = [self.views.view(i) for i in loop.inputs]
        read = [k for k, v in enumerate(views) if v is not None and v.base is x]
        return read == [loop.params["constants"] + index] and loop.inputs[read[0]] is x

    def _cell(self, x: Traced) -> None:
        self.storage[x] = Storage(CELLS, 8 * self.shared.cells)
        self.shared.cells += 1

    def _arena(self, born: dict[Traced, int], died: dict[Traced, int]) -> int:
        """Places by first fit, the largest first; returns the size.

        Small arrays, of which there may be many thousands, have slots in front: each takes the one of its
        size that was let go last.
        """
        sizes = {x: max(-(-x.nbytes // ALIGN) * ALIGN, ALIGN) for x in born}
        slots: dict[int, list[int]] = {}
        held: list[tuple[int, int, int]] = []  # died, offset, size
        front = 0
        for x in sorted([x for x in born if sizes[x] <= SMALL], key=born.__getitem__):
            while held and held[0][0] < born[x]:
                _, offset, size = heappop(held)
                slots[size].append(offset)
            size = sizes[x]
            if free := slots.setdefault(size, []):
                offset = free.pop()
            else:
                offset, front = front, front + size
            heappush(held, (died[x], offset, size))
            self.storage[x] = Storage(ARENA, self.base + offset)
        placed: list[tuple[int, int, int, int]] = []  # offset, end, born, died
        top = front
        for x in sorted([x for x in born if sizes[x] > SMALL], key=lambda x: -x.nbytes):
            offset = front
            for start, end, b, d in placed:
                if b <= died[x] and born[x] <= d and start < offset + sizes[x] and offset < end:
                    offset = end
            self.storage[x] = Storage(ARENA, self.base + offset)
            insort(placed, (offset, offset + sizes[x], born[x], died[x]))
            top = max(top, offset + sizes[x])
        return top
