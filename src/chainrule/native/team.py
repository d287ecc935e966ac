"""Loop nests shared among threads.

Each thread takes a range of the outermost loop. What is reduced over that loop every thread reduces for
itself, in memory of its own, and when all are back these parts are put together in the threads' order, so a
result never depends on which thread was quicker.

    nest(..., team)            asks the team's memory how many threads there are
      nest.part(context, t)    by thread t: works out its range of the outermost loop
        nest.range(..., lo, hi)
      nest.end(..., pieces)    puts reductions together

Where a result over everything is used again (``x - mean(x)``) there are several such phases.

The team's memory: the number of threads in 64 bytes, what the threads have in common, then as much for each.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from chainrule.native.access import Place
from chainrule.native.accumulate import Lanes, combine
from chainrule.native.emit import ATTRIBUTES, Emitter
from chainrule.native.nest import Nest
from chainrule.native.operations import ELEMENTWISE, REDUCTIONS
from chainrule.native.text import Writer
from chainrule.native.vectormath import FUNCTIONS
from chainrule.traced import Traced

__all__ = ["HEADER", "Team", "emit_shared", "pieces"]

HEADER = 64  # bytes
LEAST = 150_000  # ns that a nest takes on one core, below which it stays there: threads cost 25,000
SHARE = 50_000  # ns for each thread at least


@dataclass
class Team:
    """The memory in which threads meet.

    Attributes
    ----------
    entry : int
        Its entry in the table.
    common, each : int
        Bytes that the threads have in common, and that each has for itself.
    """

    entry: int
    common: int = 0
    each: int = 0

    def bytes(self, threads: int) -> int:
        return HEADER + self.common + threads * self.each


# -------------------------------------------------------------------- is it worth it


def nanoseconds(nest: Nest) -> float:
    """A nest's time on one core, roughly: what it moves at 20 GB/s and what it computes."""

    def turns(which: set[int]) -> int:
        return math.prod(nest.loops[d] for d in which)

    moved = {(v, s): v.base.dtype.itemsize for v, s in nest.accesses.values()}
    moved |= {(v, s): v.base.dtype.itemsize for v, s in nest.out.values()}
    memory = sum(size * turns({d for d, step in enumerate(s) if step}) for (_, s), size in moved.items())
    work = 0.0
    for m in nest.cluster.members:
        cost = 0.5 if m.op in FUNCTIONS else 0.03 if m.op in ELEMENTWISE or m.op in REDUCTIONS else 0.0
        work += cost * turns(nest.spaces[m]) * (0.5 if m.dtype.char == "f" else 1.0)
    return 0.05 * memory + work


def pieces(nest: Nest) -> int:
    """The most threads that may share a nest; 1 if it had better stay in one."""
    loops = nest.loops
    time = nanoseconds(nest) if loops and os.name == "posix" else 0.0
    if time < LEAST:
        return 1
    total = math.prod(loops)
    copies = 0
    for m in nest.inside:
        if m.op in REDUCTIONS and 0 in nest.reduced[m]:
            copies += m.size
        elif nest.split and m in nest.out and 0 not in nest.varies[m]:
            return 1
    if copies > max(total // 128, 64):
        return 1  # putting them together would take too long
    most = int(time / SHARE)
    return min(most, loops[0]) if len(loops) > 1 else most


# -------------------------------------------------------------------- writing it


class _Shared(Emitter):
    """Writes one nest for several threads."""

    def __init__(self, nest: Nest, places: dict[Traced, Place], bits: int) -> None:
        super().__init__(nest, places, bits, "%scratch" if nest.split else "%common")
        self.common = self.each = 0
        self.pointers: list[str] = []  # lines that name parts of the scratch memory
        self.units = nest.loops[0]  # how many turns the threads share
        self.over = [m for m in nest.cluster.members if m.op in REDUCTIONS and 0 in nest.reduced[m]]
        self.own: dict[Traced, int] = {}  # where in a thread's memory its part of a reduction lies
        self.total: dict[Traced, str] = {}  # where all of a row's reduction lies
        self.real = dict(places)
        self.places = dict(places)
        for k, m in enumerate(self.over):
            self.own[m], self.each = self.each, self.each + _up(m.nbytes)
            if nest.is_row(m):
                self.total[m] = self._pointer(f"%total{k}", "%common", self.common)
                self.common += 64
            else:
                self.places[m] = (self._pointer(f"%own{k}", "%scratch", self.own[m]), 0)
        self._dear()
        self._grow()

    def _pointer(self, name: str, base: str, offset: int) -> str:
        self.pointers.append(f"{name} = getelementptr i8, ptr {base}, i64 {offset}")
        return name

    def _private(self, size: int) -> str:
        self.each += _up(size)
        return self._pointer(f"%buffer{len(self.pointers)}", "%scratch", self.each - _up(size))

    def _buffer(self, size: int) -> str:
        if self.nest.split:  # of a row: each thread has one
            return self._private(size)
        name = f"%buffer{len(self.pointers)}"
        self.common += _up(size)
        return self._pointer(name, "%common", self.common - _up(size))

    # ---------------------------------------------------------------- one thread's range

    def _range(self, d: int, count: int) -> tuple[str, str]:
        if d:
            return super()._range(d, count)
        self.units = count
        return "%lo", "%hi"

    def _last(self) -> AbstractContextManager[None]:
        if len(self.nest.loops) > 1:
            return super()._last()
        return self.w.when(self.w.set(f"icmp eq i64 %hi, {self.units}"))

    def _fill(self, m: Traced) -> None:
        if m in self.own:
            super()._fill(m)
            return
        step = self.nest.out[m][1][0]  # a range of the outermost loop is one piece of memory
        low, high = (self.w.set(f"mul nsw i64 {end}, {step}") for end in ("%lo", "%hi"))
        with self.w.span(low, high) as i:
            self._begin(m, i)

    def _finish(self, total: Lanes) -> None:
        m = total.m
        if m not in self.total:
            super()._finish(total)
            return
        self._store_at(m, total.total(), "%scratch", [], self.own[m] // _size(m))

    # ---------------------------------------------------------------- all of it

    def phases(self) -> list[tuple[Writer, Writer, int]]:
        """What a thread does in each phase, what is done when all are back, and how many turns they share."""
        found = []
        if self.nest.split:
            self._rows()
            return [(self._turned(), self._end(self.over), self.units)]
        for stage in range(self.stages):
            self._known_rows(stage)
            for memory in self.memory_sums:
                if self.level[memory.m] == stage:
                    self._fill(memory.m)
                    memory.clear()
            self._stage(stage)
            work, done = self._turned(), [m for m in self.over if self.level[m] == stage]
            found.append((work, self._end(done, stage == self.stages - 1), self.units))
        return found

    def _known_rows(self, stage: int, keep: bool = False) -> None:
        """What is known of everything before a stage, computed again in each function; stored but once."""
        self.row, self.counters, self.keeps_rows = {}, [], keep
        for k in range(-1, stage):
            self.lanes, self.mask = 1, None
            for m, place in self.total.items():
                if self.level[m] == k:
                    self.row[m] = self._load_at(m, place, [], 0)
            self._row_level(k)

    def _turned(self) -> Writer:
        """The function written so far; a new one begins."""
        done, self.w = self.w, Writer()
        self.row, self.env, self.counters = {}, {}, []
        return done

    def _end(self, reductions: Sequence[Traced], last: bool = False) -> Writer:
        for m in reductions:
            self._merge(m, *((self.total[m], 0) if m in self.total else self.real[m]))
        if last:
            self._known_rows(self.stages, keep=True)
        return self._turned()

    def _merge(self, m: Traced, base: str, first: int) -> None:
        """Put the threads' parts of a reduction together, in their order."""
        steps, start = [self.each_rounded // _size(m), 1], self.own[m] // _size(m)
        many = self.w.set("icmp sgt i64 %pieces, 1")
        for at in self._across(m.size):
            grown = self.w.early(f"alloca {self._t(m)}")
            self.counters = ["0", at]
            self.w.line(f"store {self._t(m)} {self._load_at(m, '%scratch', steps, start)}, ptr {grown}")
            with self.w.when(many), self.w.span("1", "%pieces") as t:
                self.counters = [t, at]
                x = self._load_at(m, "%scratch", steps, start)
                old = self.w.set(f"load {self._t(m)}, ptr {grown}")
                self.w.line(f"store {self._t(m)} {combine(self, m, old, x)}, ptr {grown}")
            self.counters = [at]
            self._store_at(m, self.w.set(f"load {self._t(m)}, ptr {grown}"), base, [1], first)
        self.counters = []

    @property
    def each_rounded(self) -> int:
        return -(-self.each // 128) * 128  # two lines, which processors fetch together


def _size(m: Traced) -> int:
    return m.dtype.itemsize


def _up(size: int) -> int:
    return -(-size // 64) * 64


def emit_shared(
    name: str, nest: Nest, places: dict[Traced, Place], bits: int, most: int, team: Team
) -> tuple[str, set[str], set[tuple[str, str, int]]]:
    """One nest as a function ``@name(ptr, ..., ptr %team)`` of the pointers in ``places``, each once.

    Parameters
    ----------
    name, nest, places, bits
        As for `chainrule.native.emit.emit_nest`.
    most : int
        How many threads may share it, as `pieces` says.
    team : Team
        Its memory, enlarged to what the nest needs.

    Returns
    -------
    text, declarations, functions of `vectormath` needed
        The text calls ``@cr_parallel`` (`chainrule.native.machine.PARALLEL`).
    """
    e = _Shared(nest, places, bits)
    phases = e.phases()
    team.common, team.each = max(team.common, e.common), max(team.each, e.each_rounded)
    names = list(dict.fromkeys(p for p, _ in places.values()))
    given = "".join(f"ptr {p}, " for p in names) + "ptr %common, ptr %scratch"
    alone = given.replace("ptr ", "ptr noalias ")
    text, calls = [], []
    declared = set[str]()
    for k, (work, end, units) in enumerate(phases):
        work.first[:0] = e.pointers
        end.first[:0] = [line for line in e.pointers if "%common" in line]
        declared |= work.declared | end.declared
        text.append(work.text(f"{name}.range{k}", f"{alone}, i64 %lo, i64 %hi", ATTRIBUTES))
        text.append(_part(name, k, names, given, units, e.each_rounded))
        text.append(end.text(f"{name}.end{k}", f"{given}, i64 %pieces", ATTRIBUTES))
        calls.append(
            f"  br i1 %many, label %share{k}, label %alone{k}\n"
            f"alone{k}:\n  call void @{name}.range{k}({given}, i64 0, i64 {units})\n  br label %end{k}\n"
            f"share{k}:\n"
            f"  call void @cr_parallel(ptr @{name}.part{k}, ptr %context, i64 %pieces, i64 %pieces)\n"
            f"  br label %end{k}\n"
            f"end{k}:\n  call void @{name}.end{k}({given}, i64 %pieces)"
        )
    context = [*names, "%common", "%scratch"]
    kept = [
        f"  %at{i} = getelementptr ptr, ptr %context, i64 {i + 1}\n  store ptr {p}, ptr %at{i}"
        for i, p in enumerate(context)
    ]
    parameters = "".join(f"ptr {p}, " for p in names) + "ptr %team"
    lines = [
        f"define internal void @{name}({parameters}) nounwind {{",
        f"  %context = alloca [{len(context) + 1} x ptr]",
        f"  %common = getelementptr i8, ptr %team, i64 {HEADER}",
        "  %threads = load i64, ptr %team",
        f"  %pieces = call i64 @llvm.smin.i64(i64 %threads, i64 {min(most, *(n for _, _, n in phases))})",
        "  %many = icmp sgt i64 %pieces, 1",
        f"  %scratch = getelementptr i8, ptr %common, i64 {e.common}",
        "  store i64 %pieces, ptr %context",
        *kept,
        *calls,
        "  ret void\n}\n",
    ]
    return "\n".join([*text, *lines]), declared, e.needs


def _part(name: str, k: int, names: Sequence[str], given: str, units: int, each: int) -> str:
    """What one thread runs: it reads the pointers, and works out which turns are its own."""
    lines = [f"define internal void @{name}.part{k}(ptr %context, i64 %t, i64 %after) nounwind {{"]
    lines.append("  %pieces = load i64, ptr %context")
    for i, p in enumerate([*names, "%common", "%first"]):
        lines.append(f"  %at{i} = getelementptr ptr, ptr %context, i64 {i + 1}")
        lines.append(f"  {p} = load ptr, ptr %at{i}")
    return "\n".join([
        *lines,
        f"  %offset = mul i64 %t, {each}",
        "  %scratch = getelementptr i8, ptr %first, i64 %offset",
        f"  %below = mul i64 %t, {units}",
        "  %lo = sdiv i64 %below, %pieces",
        f"  %above = mul i64 %after, {units}",
        "  %hi = sdiv i64 %above, %pieces",
        f"  call void @{name}.range{k}({given}, i64 %lo, i64 %hi)",
        "  ret void\n}\n",
    ])  # fmt: skip
