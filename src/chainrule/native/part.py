"""A sequence of units as lines of LLVM IR: of a whole program, or of the body of one of its loops.

Every unit - a fused nest, a product, a move, a loop - becomes a function of the memory it works on; a
part is the calls of these, one after the other, with the addresses they are given.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from chainrule.native import blas
from chainrule.native.control_flow import bodies, emit_control_flow
from chainrule.native.convolution import CONVOLUTIONS, emit_convolution
from chainrule.native.elementwise import is_number
from chainrule.native.emit import emit_nest
from chainrule.native.fuse import Cluster, fuse
from chainrule.native.machine import host
from chainrule.native.matmul import emit_matmul
from chainrule.native.memory import ARENA, CELLS, LOOPS, Memory, Shared, Storage
from chainrule.native.middle import optimise
from chainrule.native.moves import NOTE_INDEX, emit_move, is_move, unchecked
from chainrule.native.nest import Nest
from chainrule.native.recompute import recompute
from chainrule.native.stored import plain, stored_nodes
from chainrule.native.tape import tape_function, tape_indices
from chainrule.native.team import Team, emit_shared, pieces
from chainrule.native.text import MEMORY
from chainrule.native.vectormath import definitions
from chainrule.native.views import Views
from chainrule.traced import Traced

__all__ = ["BASES", "Module", "Part"]

BASES = {ARENA: "%arena", CELLS: "%numbers"}  # addresses that a segment has at hand
FEW = 6  # single numbers that are passed to a function one by one


class Part:
    """A sequence of units being written: a whole program, or the body of one of its loops."""

    def __init__(
        self,
        roots: Sequence[Traced],
        updates: Sequence[Traced | None],
        shared: Shared,
        module: Module,
        name: str = "",
    ) -> None:
        self.views = Views()
        self.roots = plain(roots, self.views, elements=not name)
        self.units = fuse(self.roots, self.views)
        self.stored = stored_nodes(self.units, self.roots, self.views)
        if not name and (cheaper := recompute(self.roots, self.units, self.stored, self.views)) is not None:
            self.roots, self.units = cheaper
            self.stored = stored_nodes(self.units, self.roots, self.views)
        self.updates, self.shared, self.module, self.name = updates, shared, module, name
        self.memory = Memory(shared, self.views, self.units, self.roots, self.stored, updates)
        self.bodies: dict[Traced, list[Part]] = {}
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
        if x.op in CONVOLUTIONS:
            return x.dtype.char in "fd"
        if x.op == "item":
            return x.inputs[0].op in LOOPS and self.native(x.inputs[0])
        if x.op not in LOOPS:
            return False
        if x not in self.bodies:
            name = f"{self.name}{x.op}{len(self.bodies)}_"
            self.bodies[x] = [
                Part(optimise(outputs), updates, self.shared, self.module, f"{name}{k}")
                for k, (outputs, updates) in enumerate(bodies(x))
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
            return emit_matmul(self, f"{self.name}{u.op}{number}", u)
        if u.op in CONVOLUTIONS:
            return emit_convolution(self, f"{self.name}{u.op}{number}", u)
        if u.op == "item":
            return []  # written where it lies by its loop
        if u.op in LOOPS:
            return emit_control_flow(self, f"{self.name}{u.op}{number}", u)
        if u.op == "tape":
            return self._tape(f"{self.name}tape{number}", u)
        return self._move(f"{self.name}move{number}", u, bits)

    def at(self, x: Traced) -> Storage:
        """Where an operand of a loop lies."""
        view = self.views.view(x)
        assert view is not None
        return self.memory.storage[view.base].on(view.offset * x.dtype.itemsize)

    def _tape(self, name: str, x: Traced) -> list[str]:
        """Scalars without structure: a loop over groups of them, with the places of their operands."""
        text, declared, needs = tape_function(x, name)
        self.module.add(name, text)
        self.module.declared |= declared
        self.module.needs |= needs
        indices = Storage(self.shared.entries)
        self.shared.constants[self.shared.entries] = tape_indices(x)
        self.shared.entries += 1
        buffer = self.memory.storage[x]
        (initial,) = x.inputs
        return [
            *self.copy(f"{name}i", self.at(initial), buffer, initial.nbytes),
            *self.call(name, {"%buffer": buffer, "%indices": indices}, scratch=False),
        ]

    def copy(self, name: str, source: Storage, target: Storage, size: int) -> list[str]:
        if source == target or not size:
            return []
        a, at = self.address(f"%from.{name}", source)
        b, to = self.address(f"%to.{name}", target)
        self.module.declared.add("declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)")
        return [*a, *b, f"call void @llvm.memmove.p0.p0.i64(ptr {to}, ptr {at}, i64 {size}, i1 false)"]

    # ---------------------------------------------------------------- functions

    def address(self, name: str, s: Storage) -> tuple[list[str], str]:
        """Lines that work out an address, and its name."""
        lines = []
        at = BASES.get(s.entry, f"{name}.b")
        if s.entry not in BASES:
            lines.append(f"{name}.t = getelementptr ptr, ptr %table, i64 {s.entry}")
            lines.append(f"{at} = load ptr, ptr {name}.t")
        if s.offset:
            lines.append(f"{name}.o = getelementptr i8, ptr {at}, i64 {s.offset}")
            at = f"{name}.o"
        for k, (counter, step) in enumerate(s.steps):
            lines.append(f"{name}.m{k} = mul i64 {counter}, {step}")
            lines.append(f"{name}.s{k} = getelementptr i8, ptr {at}, i64 {name}.m{k}")
            at = f"{name}.s{k}"
        return lines, at

    def places(self, used: Collection[Traced]) -> tuple[dict[Traced, tuple[str, int]], dict[str, Storage]]:
        """Names for the memory a function works on: parameters, and elements from there.

        A few single numbers are parameters each, many are counted from the first, so that functions that
        differ only in where these lie are one.
        """
        storage = self.memory.storage
        places: dict[Traced, tuple[str, int]] = {}
        names: dict[Storage, str] = {}
        cells = [x for x in used if storage[x].entry == CELLS]
        apart = len(cells) <= FEW and all(x.size == 1 for x in cells)
        first = min((storage[x].offset for x in cells), default=0)
        for x in used:
            s = storage[x]
            if s.entry == CELLS and not apart:
                size = 1 if MEMORY[x.dtype.char] == "i8" else x.dtype.itemsize
                places[x] = ("%row", (s.offset - first) // size)
                names[Storage(CELLS, first)] = "%row"
            else:
                places[x] = (names.setdefault(s, f"%a{len(names)}"), 0)
        return places, {name: s for s, name in names.items()}

    def call(self, function: str, names: dict[str, Storage], scratch: bool = True) -> list[str]:
        lines, arguments = [], []
        for name, s in names.items():
            more, at = self.address(f"{name}.{function}", s)
            lines += more
            arguments.append(f"ptr {at}")
        if scratch:
            lines.append(f"%scratch.{function} = getelementptr i8, ptr {BASES[ARENA]}, i64 ARENA_END")
            arguments.append(f"ptr %scratch.{function}")
        lines.append(f"call void @{self.module.code[function]}({', '.join(arguments)})")
        return lines

    def _nest(self, name: str, cluster: Cluster, bits: int) -> list[str]:
        if 0 in cluster.loops:
            return []  # nothing to compute: what is summed over nothing is a constant by now
        nest = Nest(cluster, self.views, self.stored)
        used = [v.base for v, _ in nest.accesses.values()] + nest.stored
        places, names = self.places(dict.fromkeys(used))
        most = 1 if self.name else pieces(nest)  # threads inside of loops would be started in every turn
        if most > 1:
            team = self.shared.team = self.shared.team or Team(self.shared.entries)
            self.shared.entries = max(self.shared.entries, team.entry + 1)
            names["%team"] = Storage(team.entry)
            text, declared, needs = emit_shared(name, nest, places, bits, most, team)
            scratch = 0
        else:
            text, declared, needs, scratch = emit_nest(name, nest, places, bits)
        self.module.add(name, text)
        self.module.declared |= declared
        self.module.needs |= needs
        self.module.scratch = max(self.module.scratch, scratch)
        return self.call(name, names, scratch=most == 1)

    def _move(self, name: str, x: Traced, bits: int) -> list[str]:
        bases = [self.views.view(i).base for i in x.inputs]  # type: ignore[union-attr]
        places, names = self.places(dict.fromkeys([*(b for b in bases if not is_number(b)), x]))
        checks = bool(unchecked(x, self.views, self.passed))
        if checks:
            if self.shared.checks.cell is None:
                self.shared.checks.cell, self.shared.cells = self.shared.cells, self.shared.cells + 2
                self.module.functions.append(NOTE_INDEX)
            names["%cells"] = Storage(CELLS)
        text, declared = emit_move(
            name, x, self.views, places, list(names), bits, self.shared.checks, self.passed
        )
        self.module.add(name, text)
        self.module.declared |= declared
        calls = self.call(name, names, scratch=False)
        if checks:  # nothing after it runs, so nothing is changed, if an index was wrong
            at = f"%wrong.{name}"
            calls += [
                f"{at}.at = getelementptr i64, ptr {BASES[CELLS]}, i64 {self.shared.checks.cell}",
                f"{at} = load i64, ptr {at}.at",
                f"{at}.any = icmp ne i64 {at}, 0",
                f"br i1 {at}.any, label %stop, label %after.{name}",
                f"after.{name}:",
            ]
        return calls


class Module:
    """The functions of a program, and what they need."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.code: dict[str, str] = {}  # for each unit's name the function that does it
        self._known: dict[str, str] = {}
        self.declared: set[str] = set()
        self.needs: set[tuple[str, str, int]] = set()
        self.scratch = 0
        self.allocas: list[str] = []

    def add(self, name: str, text: str) -> None:
        """A unit's function; where one just like it is there already, as in layers of one size, that one."""
        function = self._known.setdefault(text.replace(f"@{name}(", "@("), name)
        self.code[name] = function
        if function == name:
            self.functions.append(text)

    def segment(self, number: int, lines: list[str]) -> str:
        """A function that the program calls: what is done between two steps of NumPy's."""
        name = f"segment{number}"
        if any("label %stop" in line for line in lines):
            lines = [*lines, "ret void", "stop:"]
        bases = [
            "%arena = load ptr, ptr %table",
            f"%numbers.t = getelementptr ptr, ptr %table, i64 {CELLS}",
            "%numbers = load ptr, ptr %numbers.t",
        ]
        body = "\n  ".join([*bases, *self.allocas, *lines, "ret void"])
        self.functions.append(f"define void @{name}(ptr %table) {{\n  {body}\n}}\n")
        self.allocas = []
        return name

    def text(self, arena: int, more: str = "") -> str:
        given = definitions(sorted(self.needs)) + "\n" + blas.DECLARATIONS + more
        known = {line.strip() for line in given.splitlines() if line.startswith("declare")}
        text = "\n".join([given, *sorted(self.declared - known), *self.functions])
        return text.replace("ARENA_END", str(arena))
