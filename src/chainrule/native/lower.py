"""Lowering: a captured program as machine code, memory and the steps that NumPy does in between.

Memory is of four kinds: the arrays given and returned, each behind its own entry of a table; an
arena for what lives only during a call, planned so that lives that do not overlap share it; and a
row of cells for single numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.native import blas
from chainrule.native.contract import contract
from chainrule.native.elementwise import is_number
from chainrule.native.emit import ATTRIBUTES, emit_nest
from chainrule.native.figures import Figures
from chainrule.native.fuse import Cluster, fuse, is_loop
from chainrule.native.loops import trim
from chainrule.native.machine import PARALLEL, Library, host, load
from chainrule.native.memory import ARENA, CELLS, LOOPS, Memory, Shared, Storage
from chainrule.native.moves import NOTE_INDEX, Checks, emit_move, is_move, unchecked
from chainrule.native.nest import Nest
from chainrule.native.operations import REDUCTIONS, VIEWS
from chainrule.native.picks import picks
from chainrule.native.product import ALONE, STACK, product
from chainrule.native.reference import order
from chainrule.native.roll import roll
from chainrule.native.simplify import simplify, with_inputs
from chainrule.native.tape import tape_function, tape_indices
from chainrule.native.team import Team, emit_shared, pieces
from chainrule.native.text import MEMORY, Writer
from chainrule.native.vectormath import definitions
from chainrule.native.views import Views, contiguous
from chainrule.traced import Traced

__all__ = ["ARENA", "CELLS", "Image", "lower"]


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
    checks: Checks = field(default_factory=Checks)
    early: set[Traced] = field(default_factory=set)
    team: Team | None = None


def lower(
    roots: Sequence[Traced], updates: Sequence[Traced | None] | None = None, figures: Figures | None = None
) -> Image:
    """Machine code for ``roots``; those with an input in ``updates`` take its place if they can."""
    figures = figures or Figures()
    roots = roll(trim(roots))
    figures.done("roll", roots)
    roots = simplify(roots)
    figures.done("simplify", roots)
    roots = contract(simplify(picks(roots)))
    figures.done("contract", roots)
    return _build(roots, updates or [None] * len(roots), figures)


# -------------------------------------------------------------------- what has to be copied


def rebuild(roots: Sequence[Traced], change: object) -> list[Traced]:
    """The program with ``change(node, new inputs)`` in the place of every node."""
    new: dict[Traced, Traced] = {}
    for x in order(roots):
        new[x] = change(x, tuple(new[i] for i in x.inputs))  # type: ignore[operator]
    return [new[r] for r in roots]


def copied(x: Traced) -> Traced:
    return Traced(x.origin, "copy", (x,), x.shape, x.dtype, x.weak)


def _plain(roots: Sequence[Traced], views: Views, elements: bool = True) -> list[Traced]:
    """Put a copy where memory cannot be read as it lies: reshapes across strides, views that are results."""

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
        element = elements and r.op == "element" and r.dtype.char == "d" and is_loop(r.inputs[0])
        if not element and (r.op in VIEWS or r.op in ("input", "constant") or r in made):
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
    if user.op in ("matmul", "gemm") and any(x is i for i in user.inputs[:2]) and x.size:
        rows, columns = view.strides[-2:]
        m, n = x.shape[-2:]
        if (columns == 1 or n == 1) and (rows >= n or m == 1):
            return x
        if (rows == 1 or m == 1) and (columns >= m or n == 1):
            return x
    if view.strides == contiguous(x.shape) and view.offset == 0 and view.base.size == x.size:
        return x
    return copied(x)


def _stored(units: Iterable[Cluster | Traced], roots: Sequence[Traced], views: Views) -> set[Traced]:
    """Every node that must lie in memory."""
    stored = {r.inputs[0] if r.op == "element" else r for r in roots}
    for u in units:
        if isinstance(u, Cluster):
            inside = set(u.members)
            for m in u.members:
                for x in m.inputs:
                    b, _ = views.alias(x)
                    if b not in inside and not is_number(b) and b.op != "iota":
                        stored.add(views.view(x).base)  # type: ignore[union-attr]
                if m.op in REDUCTIONS:
                    over = u.reduced(m)
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


class _Part:
    """A sequence of units being written: a whole program, or the body of one of its loops."""

    def __init__(
        self,
        roots: Sequence[Traced],
        updates: Sequence[Traced | None],
        shared: Shared,
        module: _Module,
        name: str = "",
    ) -> None:
        self.views = Views()
        self.roots = _plain(roots, self.views, elements=not name)
        self.units = fuse(self.roots, self.views)
        self.stored = _stored(self.units, self.roots, self.views)
        self.updates, self.shared, self.module, self.name = updates, shared, module, name
        self.memory = Memory(shared, self.views, self.units, self.roots, self.stored, updates)
        self.bodies: dict[Traced, list[_Part]] = {}
        self.passed: set[tuple[Traced, int]] = set()  # indices checked so far
        self.items = {
            (u.inputs[0], u.params["index"]): u
            for u in self.units
            if not isinstance(u, Cluster) and u.op == "item"
        }

    def native(self, x: Traced) -> bool:
        """Whether there is machine code for a unit that is no nest."""
        if x.op in ("matmul", "gemm", "tape") or is_move(x):
            return True
        if x.op == "item":
            return x.inputs[0].op in LOOPS and self.native(x.inputs[0])
        if x.op not in LOOPS:
            return False
        if x not in self.bodies:
            name = f"{self.name}{x.op}{len(self.bodies)}_"
            self.bodies[x] = [
                _Part(contract(simplify(trim(outputs))), updates, self.shared, self.module, f"{name}{k}")
                for k, (outputs, updates) in enumerate(_bodies(x))
            ]
        return all(isinstance(u, Cluster) or part.native(u) for part in self.bodies[x] for u in part.units)

    def lines(self) -> list[str]:
        """The units as lines of one function; all of them must be native."""
        out: list[str] = []
        for number, u in enumerate(self.units):
            if u not in self.memory.free:
                out += self.unit(number, u)
        return out

    def unit(self, number: int, u: Cluster | Traced) -> list[str]:
        bits = host().vector_bits
        if isinstance(u, Cluster):
            return self._nest(f"{self.name}nest{number}", u, bits)
        if u.op in ("matmul", "gemm"):
            return self._matmul(f"{self.name}{u.op}{number}", u)
        if u.op == "item":
            return []  # written where it lies by its loop
        if u.op in LOOPS:
            return {"scan": self._scan, "while": self._while, "cond": self._cond}[u.op](
                f"{self.name}{u.op}{number}", u
            )
        if u.op == "tape":
            return self._tape(f"{self.name}tape{number}", u)
        return self._move(f"{self.name}move{number}", u, bits)

    # ---------------------------------------------------------------- loops and branches

    def _at(self, x: Traced) -> Storage:
        """Where an operand of a loop lies."""
        view = self.views.view(x)
        assert view is not None
        return self.memory.storage[view.base].on(view.offset * x.dtype.itemsize)

    def _body(
        self, part: _Part, given: Sequence[Storage], targets: Sequence[Storage], inputs: Sequence[Traced]
    ) -> list[str]:
        """A sub-program, reading its inputs where ``given`` and leaving its outputs where ``targets``."""
        memory = part.memory
        memory.base = self.memory.base + self.memory.arena
        memory.storage.update(zip(inputs, given, strict=True))
        copies = memory.place_body(targets)
        lines = part.lines()
        for k, (r, target) in enumerate(copies):
            lines += self._copy(f"{part.name}c{k}", memory.storage[r], target, r.nbytes)
        return lines

    def _results(self, x: Traced) -> list[Storage]:
        """Where a loop's results go: to its items, or, if nobody wants them, to a place of no importance."""
        return [
            self.memory.storage[self.items[x, k]]
            if (x, k) in self.items
            else self.memory.room(math.prod(shape) * dtype.itemsize)
            for k, (shape, dtype) in enumerate(x.params["results"])
        ]

    def _scan(self, name: str, x: Traced) -> list[str]:
        p = x.params
        n, consts, carries = p["length"], p["constants"], p["carries"]
        (part,), results = self.bodies[x], self._results(x)
        given = [self._at(i) for i in x.inputs]
        counter = f"%i.{name}"

        def turning(s: Storage, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Storage:
            size = math.prod(shape[1:]) * dtype.itemsize
            return s.on((n - 1) * size, counter, -size) if p["reverse"] else s.on(0, counter, size)

        lines = self._starts(name, x, given[consts : consts + carries], results, consts)
        inputs = [
            *given[:consts],
            *results[:carries],
            *[
                turning(s, i.shape, i.dtype)
                for s, i in zip(given[consts + carries :], x.inputs[consts + carries :], strict=True)
            ],
        ]
        targets = results[:carries] + [
            turning(s, shape, dtype)
            for s, (shape, dtype) in zip(results[carries:], p["results"][carries:], strict=True)
        ]
        if n == 0:
            return lines
        body = self._body(part, inputs, targets, p["body"].inputs)
        self.module.allocas.append(f"%c.{name} = alloca i64")
        return [
            *lines,
            f"store i64 0, ptr %c.{name}",
            f"br label %head.{name}",
            f"head.{name}:",
            f"{counter} = load i64, ptr %c.{name}",
            *body,
            f"%n.{name} = add i64 {counter}, 1",
            f"store i64 %n.{name}, ptr %c.{name}",
            f"%d.{name} = icmp eq i64 %n.{name}, {n}",
            f"br i1 %d.{name}, label %done.{name}, label %head.{name}",
            f"done.{name}:",
        ]

    def _starts(
        self, name: str, x: Traced, given: Sequence[Storage], results: Sequence[Storage], first: int
    ) -> list[str]:
        """Copy what the carries begin with to where they are carried."""
        lines = []
        for k, s in enumerate(given):
            lines += self._copy(f"{name}s{k}", s, results[k], x.inputs[first + k].nbytes)
        return lines

    def _while(self, name: str, x: Traced) -> list[str]:
        p = x.params
        consts = p["constants"]
        condition, body = self.bodies[x]
        results, given = self._results(x), [self._at(i) for i in x.inputs]
        lines = self._starts(name, x, given[consts:], results, consts)
        inputs = [*given[:consts], *results]
        truth = self.memory.room(8)
        asked = self._body(condition, inputs, [truth], p["condition"].inputs)
        turn = self._body(body, inputs, results, p["body"].inputs)
        return [
            *lines,
            f"br label %head.{name}",
            f"head.{name}:",
            *asked,
            *self._truth(name, truth),
            f"br i1 %true.{name}, label %turn.{name}, label %done.{name}",
            f"turn.{name}:",
            *turn,
            f"br label %head.{name}",
            f"done.{name}:",
        ]

    def _cond(self, name: str, x: Traced) -> list[str]:
        results, given = self._results(x), [self._at(i) for i in x.inputs]
        yes, no = (
            self._body(part, given[1:], results, branch.inputs)
            for part, branch in zip(self.bodies[x], x.params["branches"], strict=True)
        )
        return [
            *self._truth(name, given[0]),
            f"br i1 %true.{name}, label %yes.{name}, label %no.{name}",
            f"yes.{name}:",
            *yes,
            f"br label %done.{name}",
            f"no.{name}:",
            *no,
            f"br label %done.{name}",
            f"done.{name}:",
        ]

    def _tape(self, name: str, x: Traced) -> list[str]:
        """Scalars without structure: a loop over groups of them, with the places of their operands."""
        text, declared, needs = tape_function(x, name)
        self.module.functions.append(text)
        self.module.declared |= declared
        self.module.needs |= needs
        indices = Storage(self.shared.entries)
        self.shared.constants[self.shared.entries] = tape_indices(x)
        self.shared.entries += 1
        buffer = self.memory.storage[x]
        (initial,) = x.inputs
        return [
            *self._copy(f"{name}i", self._at(initial), buffer, initial.nbytes),
            *self._call(name, {"%buffer": buffer, "%indices": indices}, scratch=False),
        ]

    def _truth(self, name: str, s: Storage) -> list[str]:
        lines, at = self._address(f"%truth.{name}", s)
        return [*lines, f"%byte.{name} = load i8, ptr {at}", f"%true.{name} = icmp ne i8 %byte.{name}, 0"]

    def _copy(self, name: str, source: Storage, target: Storage, size: int) -> list[str]:
        if source == target or not size:
            return []
        a, at = self._address(f"%from.{name}", source)
        b, to = self._address(f"%to.{name}", target)
        self.module.declared.add("declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)")
        return [*a, *b, f"call void @llvm.memmove.p0.p0.i64(ptr {to}, ptr {at}, i64 {size}, i1 false)"]

    # ---------------------------------------------------------------- functions

    def _address(self, name: str, s: Storage) -> tuple[list[str], str]:
        """Lines that work out an address, and its name."""
        lines = [
            f"{name}.t = getelementptr ptr, ptr %table, i64 {s.entry}",
            f"{name}.b = load ptr, ptr {name}.t",
        ]
        at = f"{name}.b"
        if s.offset:
            lines.append(f"{name}.o = getelementptr i8, ptr {at}, i64 {s.offset}")
            at = f"{name}.o"
        for k, (counter, step) in enumerate(s.steps):
            lines.append(f"{name}.m{k} = mul i64 {counter}, {step}")
            lines.append(f"{name}.s{k} = getelementptr i8, ptr {at}, i64 {name}.m{k}")
            at = f"{name}.s{k}"
        return lines, at

    def _places(self, used: Iterable[Traced]) -> tuple[dict[Traced, tuple[str, int]], dict[str, Storage]]:
        """Names for the memory a function works on: parameters, and elements from there."""
        places: dict[Traced, tuple[str, int]] = {}
        names: dict[Storage, str] = {}
        for x in used:
            s = self.memory.storage[x]
            if s.entry == CELLS:
                places[x] = ("%cells", s.offset // (1 if MEMORY[x.dtype.char] == "i8" else x.dtype.itemsize))
                names[Storage(CELLS)] = "%cells"
            else:
                places[x] = (names.setdefault(s, f"%a{len(names)}"), 0)
        return places, {name: s for s, name in names.items()}

    def _call(self, function: str, names: dict[str, Storage], scratch: bool = True) -> list[str]:
        lines, arguments = [], []
        for name, s in names.items():
            more, at = self._address(f"{name}.{function}", s)
            lines += more
            arguments.append(f"ptr {at}")
        if scratch:
            lines.append(f"%scratch.{function}.b = load ptr, ptr %table")
            lines.append(f"%scratch.{function} = getelementptr i8, ptr %scratch.{function}.b, i64 ARENA_END")
            arguments.append(f"ptr %scratch.{function}")
        lines.append(f"call void @{function}({', '.join(arguments)})")
        return lines

    def _nest(self, name: str, cluster: Cluster, bits: int) -> list[str]:
        if 0 in cluster.loops:
            return []  # nothing to compute: what is summed over nothing is a constant by now
        nest = Nest(cluster, self.views, self.stored)
        used = [v.base for v, _ in nest.accesses.values()] + nest.stored
        places, names = self._places(dict.fromkeys(used))
        most = 1 if self.name else pieces(nest)  # threads inside of loops would be started in every turn
        if most > 1:
            team = self.shared.team = self.shared.team or Team(self.shared.entries)
            self.shared.entries = max(self.shared.entries, team.entry + 1)
            names["%team"] = Storage(team.entry)
            text, declared, needs = emit_shared(name, nest, places, bits, most, team)
            scratch = 0
        else:
            text, declared, needs, scratch = emit_nest(name, nest, places, bits)
        self.module.functions.append(text)
        self.module.declared |= declared
        self.module.needs |= needs
        self.module.scratch = max(self.module.scratch, scratch)
        return self._call(name, names, scratch=most == 1)

    def _move(self, name: str, x: Traced, bits: int) -> list[str]:
        bases = [self.views.view(i).base for i in x.inputs]  # type: ignore[union-attr]
        places, names = self._places(dict.fromkeys([*(b for b in bases if not is_number(b)), x]))
        checks = bool(unchecked(x, self.views, self.passed))
        if checks:
            if self.shared.checks.cell is None:
                self.shared.checks.cell, self.shared.cells = self.shared.cells, self.shared.cells + 2
                self.module.functions.append(NOTE_INDEX)
            names["%cells"] = Storage(CELLS)
        text, declared = emit_move(
            name, x, self.views, places, list(names), bits, self.shared.checks, self.passed
        )
        self.module.functions.append(text)
        self.module.declared |= declared
        calls = self._call(name, names, scratch=False)
        if checks:  # nothing after it runs, so nothing is changed, if an index was wrong
            at = f"%wrong.{name}"
            calls += [
                f"{at}.at = getelementptr i64, ptr %cells.{name}.b, i64 {self.shared.checks.cell}",
                f"{at} = load i64, ptr {at}.at",
                f"{at}.any = icmp ne i64 {at}, 0",
                f"br i1 {at}.any, label %stop, label %after.{name}",
                f"after.{name}:",
            ]
        return calls

    def _matmul(self, name: str, x: Traced) -> list[str]:
        a, b, *added = x.inputs
        va, vb = self.views.view(a), self.views.view(b)
        assert va is not None and vb is not None
        scale = added[1] if len(added) > 1 else None
        used = [va.base, vb.base, x]
        if scale is not None and not is_number(scale):
            used.append(self.views.view(scale).base)  # type: ignore[union-attr]
        places, names = self._places(dict.fromkeys(used))
        w = Writer()
        alpha: float | str = x.params["sign"] if added else 1.0
        if scale is not None:
            alpha = self._scale(w, scale, places, x.params["sign"])
        before = []
        if added:
            base = self._at(added[0])
            before = self._copy(f"{name}b", base, self.memory.storage[x], x.nbytes)
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
        lda, ldb = max(ca if ta else ra, 1), max(cb if tb else rb, 1)
        beta = 1.0 if added else 0.0
        counters: list[str] = []
        bits = host().vector_bits
        element = MEMORY[x.dtype.char]
        here = 0 < k * 3 * bits // 8 <= STACK and m * n > 0
        shared = here and m * n * k > ALONE and not self.name  # several threads are BLAS's business
        if shared:
            team = self.shared.team = self.shared.team or Team(self.shared.entries)
            self.shared.entries = max(self.shared.entries, team.entry + 1)
            names["%team"] = Storage(team.entry)
            w.line("%threads = load i64, ptr %team")

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
            call = blas.gemm(x.dtype, m, n, k, pa, lda, ta, pb, ldb, tb, pc, n, alpha, beta).strip()
            if not here:
                w.line(call)
                return
            left, right = (pa, ra, ca), (pb, rb, cb)
            if shared:
                with w.when(w.set("icmp sgt i64 %threads, 1")):
                    w.line(call)
                with w.when(w.set("icmp sle i64 %threads, 1")):
                    product(w, element, bits, (m, n, k), left, right, (pc, n), alpha, bool(added))
            else:
                product(w, element, bits, (m, n, k), left, right, (pc, n), alpha, bool(added))

        emit()
        parameters = ", ".join(f"ptr noalias {p}" for p in names)
        self.module.functions.append(w.text(name, parameters, ATTRIBUTES))
        self.module.declared |= w.declared
        return [*before, *self._call(name, names, scratch=False)]

    def _scale(
        self, w: Writer, scale: Traced, places: dict[Traced, tuple[str, int]], sign: float
    ) -> float | str:
        """The factor of a product: a number, or the name of one."""
        if is_number(scale):
            return sign * float(scale.params["value"])
        view = self.views.view(scale)
        assert view is not None
        base, first = places[view.base]
        kind = MEMORY[scale.dtype.char]
        at = w.set(f"getelementptr {kind}, ptr {base}, i64 {first + view.offset}")
        value = w.set(f"load {kind}, ptr {at}")
        return value if sign == 1 else w.set(f"fneg {kind} {value}")


class _Module:
    """The functions of a program, and what they need."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.declared: set[str] = set()
        self.needs: set[tuple[str, str, int]] = set()
        self.scratch = 0
        self.allocas: list[str] = []

    def segment(self, number: int, lines: list[str]) -> str:
        """A function that the program calls: what is done between two steps of NumPy's."""
        name = f"segment{number}"
        if any("label %stop" in line for line in lines):
            lines = [*lines, "ret void", "stop:"]
        body = "\n  ".join([*self.allocas, *lines, "ret void"])
        self.functions.append(f"define void @{name}(ptr %table) {{\n  {body}\n}}\n")
        self.allocas = []
        return name

    def text(self, arena: int, more: str = "") -> str:
        given = definitions(sorted(self.needs)) + "\n" + blas.DECLARATIONS + more
        known = {line.strip() for line in given.splitlines() if line.startswith("declare")}
        text = "\n".join([given, *sorted(self.declared - known), *self.functions])
        return text.replace("ARENA_END", str(arena))


def _bodies(x: Traced) -> list[tuple[list[Traced], list[Traced | None]]]:
    """The sub-programs of a loop or branch: outputs, and for each the carry whose place it takes."""
    p = x.params
    if x.op == "cond":
        return [(list(b.outputs), [None] * len(b.outputs)) for b in p["branches"]]
    body, consts = p["body"], p["constants"]
    carries: list[Traced | None] = list(body.inputs[consts : consts + len(x.inputs) - consts])
    if x.op == "scan":
        carries = list(body.inputs[consts : consts + p["carries"]])
        return [(list(body.outputs), carries + [None] * (len(body.outputs) - len(carries)))]
    return [(list(p["condition"].outputs), [None]), (list(body.outputs), carries)]


def _build(roots: Sequence[Traced], updates: Sequence[Traced | None], figures: Figures) -> Image:
    shared, module = Shared(), _Module()
    part = _Part(roots, updates, shared, module)
    figures.done("fuse")
    memory = part.memory
    memory.place()
    steps: list[str | Traced] = []
    lines: list[str] = []
    for number, u in enumerate(part.units):
        if u in memory.free:
            continue
        if isinstance(u, Cluster) or part.native(u):
            lines += part.unit(number, u)
            continue
        if lines:
            steps.append(module.segment(len(steps), lines))
            lines = []
        steps.append(u)
    lines += _going_home(memory, module)
    if lines:
        steps.append(module.segment(len(steps), lines))
    image = Image(
        part.roots, part.units, steps, memory.storage,
        shared.entries, shared.top + module.scratch, shared.cells,
        module.text(shared.top, PARALLEL if shared.team else ""),
        shared.constants, memory.in_place, memory.home, memory.written,
        checks=shared.checks, early=memory.early, team=shared.team,
    )  # fmt: skip
    if any(isinstance(s, str) for s in steps):
        blas.symbols()
        figures.done("emit")
        image.library = load(image.ir)
        figures.cached = image.library.cached
        figures.done("LLVM")
    return image


def _going_home(memory: Memory, module: _Module) -> list[str]:
    """Copy new numbers to where the old ones were, in runs."""
    pairs = sorted((h, memory.storage[r].offset // 8) for r, h in memory.home.items())
    lines: list[str] = []
    i = 0
    while i < len(pairs):
        j = i + 1
        while j < len(pairs) and pairs[j] == (pairs[i][0] + j - i, pairs[i][1] + j - i):
            j += 1
        if not lines:
            lines.append(f"%home.t = getelementptr ptr, ptr %table, i64 {CELLS}")
            lines.append("%home = load ptr, ptr %home.t")
        to, at, size = f"%home.to{i}", f"%home.from{i}", 8 * (j - i)
        lines += [
            f"{to} = getelementptr double, ptr %home, i64 {pairs[i][0]}",
            f"{at} = getelementptr double, ptr %home, i64 {pairs[i][1]}",
            f"call void @llvm.memmove.p0.p0.i64(ptr {to}, ptr {at}, i64 {size}, i1 false)",
        ]
        module.declared.add("declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)")
        i = j
    return lines
