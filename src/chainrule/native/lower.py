"""Lowering: a captured program as machine code, memory and the steps that NumPy does in between.

Memory is of four kinds: the arrays given and returned, each behind its own entry of a table; an
arena for what lives only during a call, planned so that lives that do not overlap share it; and a
row of cells for single numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.native import blas
from chainrule.native.figures import Figures
from chainrule.native.fuse import Cluster
from chainrule.native.machine import PARALLEL, Library, load
from chainrule.native.memory import ARENA, CELLS, Memory, Shared, Storage
from chainrule.native.middle import optimise
from chainrule.native.mover import Checks
from chainrule.native.part import BASES, Module, Part
from chainrule.native.team import Team
from chainrule.traced import Traced

__all__ = ["ARENA", "CELLS", "Image", "lower"]

LONG = 3000  # lines of a function, beyond which LLVM takes more than in proportion
MANY = 8000  # kernels, of which each takes about a millisecond to compile


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
    team : Team or None
        The memory of the threads, if the program uses some.
    code : dict
        By the name of a unit the function that does it; units that are alike share one.
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
    code: dict[str, str]
    library: Library | None = None
    checks: Checks = field(default_factory=Checks)
    early: set[Traced] = field(default_factory=set)
    team: Team | None = None


def lower(
    roots: Sequence[Traced],
    updates: Sequence[Traced | None] | None = None,
    figures: Figures | None = None,
    name: str = "the function",
) -> Image:
    """Machine code for ``roots``; those with an input in ``updates`` take its place if they can."""
    figures = figures or Figures()
    return _build(optimise(roots, figures), updates or [None] * len(roots), figures, name)


def _build(
    roots: Sequence[Traced], updates: Sequence[Traced | None], figures: Figures, name: str
) -> Image:
    shared, module = Shared(), Module()
    part = Part(roots, updates, shared, module)
    figures.done("fuse")
    if len(part.units) > MANY:
        warnings.warn(
            f"compile: {name} has become {len(part.units):,} kernels, which takes a while to compile; "
            "Python's loops are unrolled: write the longest with chainrule.scan or fori, which stay loops",
            stacklevel=6,
        )
    memory = part.memory
    memory.place(part.native)
    steps: list[str | Traced] = []
    lines: list[str] = []
    for number, u in enumerate(part.units):
        if u in memory.free:
            continue
        for_numpy = None if isinstance(u, Cluster) or part.native(u) else u
        if lines and (for_numpy is not None or len(lines) > LONG):
            steps.append(module.segment(len(steps), lines))
            lines = []
        if for_numpy is None:
            lines += part.unit(number, u)
        else:
            steps.append(for_numpy)
    lines += _going_home(memory, module)
    if lines:
        steps.append(module.segment(len(steps), lines))
    image = Image(
        part.roots, part.units, steps, memory.storage,
        shared.entries, shared.top + module.scratch, shared.cells,
        module.text(shared.top, PARALLEL if shared.team else ""),
        shared.constants, memory.in_place, memory.home, memory.written, module.code,
        checks=shared.checks, early=memory.early, team=shared.team,
    )  # fmt: skip
    if any(isinstance(s, str) for s in steps):
        blas.symbols()
        figures.done("emit")
        image.library = load(image.ir)
        figures.cached = image.library.cached
        figures.done("LLVM")
    return image


def _going_home(memory: Memory, module: Module) -> list[str]:
    """Copy new numbers to where the old ones were, in runs."""
    pairs = sorted((h, memory.storage[r].offset // 8) for r, h in memory.home.items())
    lines: list[str] = []
    i = 0
    while i < len(pairs):
        j = i + 1
        while j < len(pairs) and pairs[j] == (pairs[i][0] + j - i, pairs[i][1] + j - i):
            j += 1
        to, at, size = f"%home.to{i}", f"%home.from{i}", 8 * (j - i)
        lines += [
            f"{to} = getelementptr double, ptr {BASES[CELLS]}, i64 {pairs[i][0]}",
            f"{at} = getelementptr double, ptr {BASES[CELLS]}, i64 {pairs[i][1]}",
            f"call void @llvm.memmove.p0.p0.i64(ptr {to}, ptr {at}, i64 {size}, i1 false)",
        ]
        module.declared.add("declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)")
        i = j
    return lines
