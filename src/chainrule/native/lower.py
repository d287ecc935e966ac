"""Lowering: a captured program as machine code, memory and the steps that NumPy does in between.

Memory is of four kinds: the arrays given and returned, each behind its own entry of a table; an
arena for what lives only during a call, planned so that lives that do not overlap share it; and a
row of cells for single numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.native import blas
from chainrule.native.emit import Nest, emit_nest, is_number
from chainrule.native.figures import Figures
from chainrule.native.fuse import Cluster, fuse
from chainrule.native.machine import Library, host, load
from chainrule.native.moves import NOTE_INDEX, Checks, emit_move, is_move, unchecked
from chainrule.native.operations import REDUCTIONS, VIEWS
from chainrule.native.reference import order
from chainrule.native.roll import roll
from chainrule.native.simplify import simplify, with_inputs
from chainrule.native.text import MEMORY, Writer
from chainrule.native.vectormath import definitions
from chainrule.native.views import Views
from chainrule.traced import Traced

__all__ = ["Image", "Storage", "lower"]

ALIGN = 64
# Entries of the table: the arena, the cells, then one for each array.
ARENA, CELLS, FIRST = 0, 1, 2


@dataclass(frozen=True)
class Storage:
    """Where a node's numbers lie: an entry of the table, and bytes from there."""

    entry: int
    offset: int = 0


@dataclass
class Image:
    """A program ready to run.

    Attributes
    ----------
    steps : list
        Names of machine code functions, and nodes for NumPy to compute.
    storage : dict
        Where the nodes lie that are kept in memory.
    entries : int
        Length of the table.
    arena, cells : int
        Bytes of the arena, number of cells.
    checks : Checks
        Where an index out of bounds shows after a step.
    early : set
        Roots computed while an index may still turn out wrong: what holds on to an old result must keep it.
    in_place : set
        Roots that are written where the input was whose place they take; ``written`` are these entries.
    home : dict
        Roots that are numbers, copied at the end of a run to the cell of the input they replace.
    """

    roots: list[Traced]
    units: list[Cluster | Traced]
    steps: list[str | Traced]
    storage: dict[Traced, Storage]
    entries: int
    arena: int
    cells: int
    ir: str
    constants: dict[int, np.ndarray]
    in_place: set[Traced]
    home: dict[Traced, int]
    written: set[int]
    library: Library | None = None
    kernels: list[str] = field(default_factory=list)
    checks: Checks = field(default_factory=Checks)
    early: set[Traced] = field(default_factory=set)


def lower(
    roots: Sequence[Traced], updates: Sequence[Traced | None] | None = None, figures: Figures | None = None
) -> Image:
    """Machine code for ``roots``; those with an input in ``updates`` take its place if they can."""
    views = Views()
    figures = figures or Figures()
    roots = roll(list(roots))
    figures.done("roll", roots)
    roots = simplify(roots)
    figures.done("simplify", roots)
    roots = _plain(roots, views)
    units = fuse(roots, views)
    figures.done("fuse")
    stored = _stored(units, roots, views)
    builder = _Builder(views, units, roots, stored, updates or [None] * len(roots))
    return builder.build(figures)


# -------------------------------------------------------------------- what has to be copied


def rebuild(roots: Sequence[Traced], change: object) -> list[Traced]:
    """The program with ``change(node, new inputs)`` in the place of every node."""
    new: dict[Traced, Traced] = {}
    for x in order(roots):
        new[x] = change(x, tuple(new[i] for i in x.inputs))  # type: ignore[operator]
    return [new[r] for r in roots]


def copied(x: Traced) -> Traced:
    return Traced(x.origin, "copy", (x,), x.shape, x.dtype, x.weak)


_READS_STRIDES = {"matmul", "copy"}


def _plain(roots: Sequence[Traced], views: Views) -> list[Traced]:
    """Put a copy where memory cannot be read as it lies: reshapes across strides, and views that are results."""
    from chainrule.native.fuse import is_loop

    def change(x: Traced, inputs: tuple[Traced, ...]) -> Traced:
        if x.op not in VIEWS and x.op != "call" and not is_loop(x):
            inputs = tuple(_readable(i, x, views) for i in inputs)
        y = with_inputs(x, inputs)
        if y.op == "reshape" and views.view(y) is None:
            y = with_inputs(y, (copied(y.inputs[0]),))
        return y

    out = rebuild(roots, change)
    made: dict[Traced, Traced] = {}
    result = []
    for r in out:
        if r.op in VIEWS or r.op in ("input", "constant") or r in made:
            r = copied(r)
        made[r] = r
        result.append(r)
    return result


def _readable(x: Traced, user: Traced, views: Views) -> Traced:
    """An operand of an operation that is no loop, as it can read it."""
    if x.op not in VIEWS:
        return x
    view = views.view(x)
    if view is None or is_move(user):
        return x
    if user.op == "matmul" and x.size:
        rows, columns = view.strides[-2:]
        m, n = x.shape[-2:]
        if (columns == 1 or n == 1) and (rows >= n or m == 1):
            return x
        if (rows == 1 or m == 1) and (columns >= m or n == 1):
            return x
    from chainrule.native.views import contiguous

    if view.strides == contiguous(x.shape) and view.offset == 0 and view.base.size == x.size:
        return x
    return copied(x)


def _stored(units: Iterable[Cluster | Traced], roots: Sequence[Traced], views: Views) -> set[Traced]:
    """Every node that must lie in memory."""
    stored = set(roots)
    for u in units:
        if isinstance(u, Cluster):
            inside = set(u.members)
            for m in u.members:
                for x in m.inputs:
                    b, _ = views.alias(x)
                    if b not in inside and not is_number(b):
                        stored.add(views.view(x).base)  # type: ignore[union-attr]
                if m.op in REDUCTIONS:
                    over = u.reduced(m, views)
                    if u.split is None or over != set(range(u.split, len(u.loops))):
                        stored.add(m)  # it grows in memory
        else:
            stored.add(u)
            for x in u.inputs:
                base = views.view(x).base  # type: ignore[union-attr]
                if not (is_number(base) and is_move(u)):
                    stored.add(base)
    return stored


# -------------------------------------------------------------------- building


class _Builder:
    def __init__(
        self,
        views: Views,
        units: list[Cluster | Traced],
        roots: list[Traced],
        stored: set[Traced],
        updates: Sequence[Traced | None],
    ) -> None:
        self.views, self.units, self.roots, self.stored, self.updates = views, units, roots, stored, updates
        self.in_place: set[Traced] = set()
        self.home: dict[Traced, int] = {}
        self.written: set[int] = set()
        self.free: set[Traced] = set()  # packs of cells that lie side by side already
        self.storage: dict[Traced, Storage] = {}
        self.constants: dict[int, np.ndarray] = {}
        self.entries = FIRST
        self.cells = 0
        self.declared: set[str] = set()
        self.needs: set[tuple[str, str, int]] = set()
        self.scratch = 0
        self.checks = Checks()
        self.early: set[Traced] = set()
        self.functions: list[str] = []
        self.kernels: list[str] = []

    def build(self, figures: Figures) -> Image:
        self._place()
        steps: list[str | Traced] = []
        calls: list[str] = []
        bits = host().vector_bits
        for number, u in enumerate(self.units):
            if u in self.free:
                continue
            if isinstance(u, Cluster):
                calls += self._nest(f"nest{number}", u, bits)
            elif u.op == "matmul":
                calls += self._matmul(f"matmul{number}", u)
            elif is_move(u):
                calls += self._move(f"move{number}", u, bits)
            else:
                if calls:
                    steps.append(self._segment(len(steps), calls))
                    calls = []
                steps.append(u)
        calls += self._going_home()
        if calls:
            steps.append(self._segment(len(steps), calls))
        text = "\n".join([definitions(sorted(self.needs)), blas.DECLARATIONS, *sorted(self.declared - _known(
            definitions(sorted(self.needs)) + blas.DECLARATIONS)), *self.functions])  # fmt: skip
        text = text.replace("ARENA_END", str(self.arena))
        image = Image(
            self.roots, self.units, steps, self.storage, self.entries, self.arena + self.scratch, self.cells, text,
            self.constants, self.in_place, self.home, self.written, kernels=self.kernels,
            checks=self.checks, early=self.early,
        )  # fmt: skip
        if any(isinstance(s, str) for s in steps):
            blas.symbols()
            figures.done("emit")
            image.library = load(text)
            figures.cached = image.library.cached
            figures.done("LLVM")
        return image

    # ---------------------------------------------------------------- memory

    def _place(self) -> None:
        """Give every stored node its place; the arena is shared by lives that do not overlap."""
        roots = set(self.roots)
        nodes = order(self.roots)
        self._pack_cells()
        in_place = self._in_place()
        for x in nodes:
            if x in self.storage or x in in_place:
                continue
            if x.op == "input" or (x.op == "constant" and (x.shape or x in self.stored)) or x in roots:
                if x.shape or x.op == "constant" or x.dtype.itemsize > 8:
                    self.storage[x] = Storage(self.entries)
                    if x.op == "constant":
                        self.constants[self.entries] = np.array(x.params["value"], x.dtype, order="C")
                    self.entries += 1
                else:
                    self._cell(x)
        for r, u in in_place.items():
            self.storage[r] = self.storage[u]
            self.in_place.add(r)
            self.written.add(self.storage[u].entry)
        for r, update in zip(self.roots, self.updates, strict=True):
            if update is not None and update in self.storage and self.storage[r].entry == CELLS:
                self.home[r] = self.storage[update].offset // 8
        born: dict[Traced, int] = {}
        died: dict[Traced, int] = {}
        for t, u in enumerate(self.units):
            members = u.members if isinstance(u, Cluster) else [u]
            for m in members:
                if m in self.stored and m not in self.storage:
                    if m.shape or m.op == "call" or m.dtype.itemsize > 8:
                        born.setdefault(m, t)
                        died.setdefault(m, t)
                    else:
                        self._cell(m)
                for x in m.inputs:
                    view = self.views.view(x)
                    if view is not None and view.base in born:
                        died[view.base] = t
        self.arena = self._arena(born, died)

    def _pack_cells(self) -> None:
        """Inputs that are packed into a vector get cells side by side, which then are the vector."""
        for u in self.units:
            if isinstance(u, Cluster) or u.op != "pack":
                continue
            if all(x.op == "input" and x.weak and x.dtype.char == "d" and x not in self.storage for x in u.inputs):
                if len(set(u.inputs)) == len(u.inputs):
                    self.storage[u] = Storage(CELLS, 8 * self.cells)
                    for x in u.inputs:
                        self._cell(x)
                    self.free.add(u)

    def _in_place(self) -> dict[Traced, Traced]:
        """Roots that may be written over the input they replace: nothing reads that afterwards."""
        found: dict[Traced, Traced] = {}
        taken: set[Traced] = set()
        times = Counter(self.roots)
        last: dict[Traced, int] = {}
        made: dict[Traced, int] = {}
        checked = -1  # nothing is overwritten while an index may still turn out wrong
        passed: set[tuple[Traced, int]] = set()
        for t, u in enumerate(self.units):
            if not isinstance(u, Cluster) and is_move(u) and (wanted := unchecked(u, self.views, passed)):
                checked, passed = t, passed | wanted
            for m in u.members if isinstance(u, Cluster) else [u]:
                made[m] = t
                for x in m.inputs:
                    view = self.views.view(x)
                    if view is not None:
                        last[view.base] = t
        self.early = {r for r in self.roots if made[r] <= checked}
        for r, update in zip(self.roots, self.updates, strict=True):
            if update is None or not r.shape or update not in last or times[r] > 1:
                continue
            t = made[r]
            unit = self.units[t]
            if last[update] > t or t <= checked or update in taken:
                continue
            if last[update] == t:
                if not isinstance(unit, Cluster):
                    continue
                nest = Nest(unit, self.views, self.stored)
                own = nest.out[r][1]
                if any(v.base is update and (v.offset or s != own) for v, s in nest.accesses.values()):
                    continue
                if r.op in REDUCTIONS:
                    continue
            found[r] = update
            taken.add(update)
        return found

    def _going_home(self) -> list[str]:
        """Copy new numbers to where the old ones were, in runs."""
        pairs = sorted((h, self.storage[r].offset // 8) for r, h in self.home.items())
        lines: list[str] = []
        i = 0
        while i < len(pairs):
            j = i + 1
            while j < len(pairs) and pairs[j] == (pairs[i][0] + j - i, pairs[i][1] + j - i):
                j += 1
            if not lines:
                lines.append(f"%home.t = getelementptr ptr, ptr %table, i64 {CELLS}")
                lines.append("%home = load ptr, ptr %home.t")
            lines.append(f"%home.to{i} = getelementptr double, ptr %home, i64 {pairs[i][0]}")
            lines.append(f"%home.from{i} = getelementptr double, ptr %home, i64 {pairs[i][1]}")
            lines.append(
                f"call void @llvm.memmove.p0.p0.i64(ptr %home.to{i}, ptr %home.from{i}, i64 {8 * (j - i)}, i1 false)"
            )
            self.declared.add("declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)")
            i = j
        return lines

    def _cell(self, x: Traced) -> None:
        self.storage[x] = Storage(CELLS, 8 * self.cells)
        self.cells += 1

    def _arena(self, born: dict[Traced, int], died: dict[Traced, int]) -> int:
        """First fit, largest first among what is born together; returns the size."""
        placed: list[tuple[int, int, int, int]] = []  # offset, end, born, died
        top = 0
        for x in sorted(born, key=lambda x: -x.nbytes):
            size = max(-(-x.nbytes // ALIGN) * ALIGN, ALIGN)
            offset = 0
            for start, end, b, d in placed:
                if b <= died[x] and born[x] <= d and start < offset + size and offset < end:
                    offset = end
            self.storage[x] = Storage(ARENA, offset)
            placed.append((offset, offset + size, born[x], died[x]))
            placed.sort()
            top = max(top, offset + size)
        return top

    # ---------------------------------------------------------------- functions

    def _pointer(self, w: Writer, s: Storage) -> str:
        """Load a table entry, and go to the offset."""
        at = w.set(f"getelementptr ptr, ptr %table, i64 {s.entry}")
        base = w.set(f"load ptr, ptr {at}")
        return base

    def _places(self, used: Iterable[Traced]) -> tuple[dict[Traced, tuple[str, int]], dict[str, Storage]]:
        """Names for the memory a function works on: parameters, and elements from there."""
        places: dict[Traced, tuple[str, int]] = {}
        names: dict[str, Storage] = {}
        for x in used:
            s = self.storage[x]
            if s.entry == CELLS:
                places[x] = ("%cells", s.offset // (1 if MEMORY[x.dtype.char] == "i8" else x.dtype.itemsize))
                names["%cells"] = Storage(CELLS)
            else:
                name = f"%a{s.entry}_{s.offset}"
                places[x] = (name, 0)
                names[name] = s
        return places, names

    def _call(self, function: str, names: dict[str, Storage], scratch: bool = True) -> list[str]:
        lines, arguments = [], []
        for name, s in names.items():
            at = f"{name}.{function}"
            lines.append(f"{at}.t = getelementptr ptr, ptr %table, i64 {s.entry}")
            lines.append(f"{at}.b = load ptr, ptr {at}.t")
            if s.offset:
                lines.append(f"{at}.p = getelementptr i8, ptr {at}.b, i64 {s.offset}")
            arguments.append(f"ptr {at}.{'p' if s.offset else 'b'}")
        if scratch:
            lines.append(f"%scratch.{function}.b = load ptr, ptr %table")
            lines.append(f"%scratch.{function} = getelementptr i8, ptr %scratch.{function}.b, i64 ARENA_END")
            arguments.append(f"ptr %scratch.{function}")
        lines.append(f"call void @{function}({', '.join(arguments)})")
        return lines

    def _segment(self, number: int, calls: list[str]) -> str:
        name = f"segment{number}"
        if any("label %stop" in line for line in calls):
            calls = [*calls, "ret void", "stop:"]
        body = "\n  ".join([*calls, "ret void"])
        self.functions.append(f"define void @{name}(ptr %table) {{\n  {body}\n}}\n")
        return name

    def _nest(self, name: str, cluster: Cluster, bits: int) -> list[str]:
        if 0 in cluster.loops:
            return []  # nothing to compute: what is summed over nothing is a constant by now
        nest = Nest(cluster, self.views, self.stored)
        used = [v.base for v, _ in nest.accesses.values()] + nest.stored
        places, names = self._places(dict.fromkeys(used))
        text, declared, needs, scratch = emit_nest(name, nest, places, bits)
        self.functions.append(text)
        self.declared |= declared
        self.needs |= needs
        self.scratch = max(self.scratch, scratch)
        ops = " ".join(dict.fromkeys(m.op for m in cluster.members))
        self.kernels.append(f"{name}: {len(cluster.members)} fused over {cluster.loops}: {ops[:100]}")
        return self._call(name, names)

    def _move(self, name: str, x: Traced, bits: int) -> list[str]:
        bases = [self.views.view(i).base for i in x.inputs]  # type: ignore[union-attr]
        places, names = self._places(dict.fromkeys([*(b for b in bases if not is_number(b)), x]))
        checks = bool(unchecked(x, self.views, self.checks.passed))
        if checks:
            if self.checks.cell is None:
                self.checks.cell, self.cells = self.cells, self.cells + 2
                self.functions.append(NOTE_INDEX)
            names["%cells"] = Storage(CELLS)
        text, declared = emit_move(name, x, self.views, places, list(names), bits, self.checks)
        self.functions.append(text)
        self.declared |= declared
        self.kernels.append(f"{name}: {x.op} of {', '.join(str(i.shape) for i in x.inputs[:6])} to {x.shape}")
        calls = self._call(name, names, scratch=False)
        if checks:  # nothing after it runs, so nothing is changed, if an index was wrong
            at = f"%wrong.{name}"
            calls += [
                f"{at}.at = getelementptr i64, ptr %cells.{name}.b, i64 {self.checks.cell}",
                f"{at} = load i64, ptr {at}.at",
                f"{at}.any = icmp ne i64 {at}, 0",
                f"br i1 {at}.any, label %stop, label %after.{name}",
                f"after.{name}:",
            ]
        return calls

    def _matmul(self, name: str, x: Traced) -> list[str]:
        a, b = x.inputs
        va, vb = self.views.view(a), self.views.view(b)
        assert va is not None and vb is not None
        places, names = self._places(dict.fromkeys([va.base, vb.base, x]))
        w = Writer()
        m, k = a.shape[-2:]
        n = b.shape[-1]
        batch = x.shape[:-2]
        sa = [0] * (len(batch) - (a.ndim - 2)) + [
            0 if d == 1 else s for d, s in zip(a.shape[:-2], va.strides[:-2], strict=True)
        ]
        sb = [0] * (len(batch) - (b.ndim - 2)) + [
            0 if d == 1 else s for d, s in zip(b.shape[:-2], vb.strides[:-2], strict=True)
        ]
        ra, ca = va.strides[-2:]
        rb, cb = vb.strides[-2:]
        # one product for the whole stack, where b is the same for all and a's rows follow each other
        while batch and sb[-1] == 0 and (sa[-1] == m * ra or batch[-1] == 1) and (ca == 1 or k == 1):
            m, batch, sa, sb = m * batch[-1], batch[:-1], sa[:-1], sb[:-1]
        ta = not (ca == 1 or k == 1) or (m > 1 and ra < k and k > 1)
        tb = not (cb == 1 or n == 1) or (k > 1 and rb < n and n > 1)
        counters: list[str] = []
        element = MEMORY[x.dtype.char]

        def emit() -> None:
            if len(counters) < len(batch):
                with w.loop(batch[len(counters)]) as i:
                    counters.append(i)
                    emit()
                    counters.pop()
                return
            ia = w.index(list(zip(counters, sa, strict=True)), va.offset + places[va.base][1])
            ib = w.index(list(zip(counters, sb, strict=True)), vb.offset + places[vb.base][1])
            sizes = [math.prod(x.shape[i + 1 :]) for i in range(len(batch))]
            ic = w.index(list(zip(counters, sizes, strict=True)), places[x][1])
            pa = w.set(f"getelementptr {element}, ptr {places[va.base][0]}, i64 {ia}")
            pb = w.set(f"getelementptr {element}, ptr {places[vb.base][0]}, i64 {ib}")
            pc = w.set(f"getelementptr {element}, ptr {places[x][0]}, i64 {ic}")
            w.line(blas.gemm(x.dtype, m, n, k, pa, max(ca if ta else ra, 1), ta, pb, max(cb if tb else rb, 1), tb, pc,
                             n, 1.0, 0.0).strip())  # fmt: skip

        emit()
        parameters = ", ".join(f"ptr {p}" for p in names)
        self.functions.append(w.text(name, parameters))
        self.kernels.append(f"{name}: {m} x {k} @ {k} x {n}" + (f", {math.prod(batch)} times" if batch else ""))
        return self._call(name, names, scratch=False)


def _known(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.startswith("declare")}

