"""The report: what a compiled program does, how it was fused, and the least time it can take.

The least time is the roofline's: a kernel takes at least as long as its arithmetic at the
processor's peak, and at least as long as moving its data at the bandwidth of the memory they fit
in. Peak and bandwidth are those of one core, measured in this process when a report is asked for.
"""

from __future__ import annotations

import ctypes
import functools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.native.convolution import CONVOLUTIONS
from chainrule.native.elementwise import is_number
from chainrule.native.figures import count
from chainrule.native.fuse import Cluster
from chainrule.native.graph import ProgramGraph, labels, names
from chainrule.native.lower import ARENA, CELLS, Image
from chainrule.native.machine import Library, host, load
from chainrule.native.operations import ELEMENTWISE, REDUCTIONS, VIEWS
from chainrule.native.program import Program
from chainrule.native.reference import order
from chainrule.native.threads import threads
from chainrule.native.vectormath import FUNCTIONS
from chainrule.native.views import Views
from chainrule.traced import Traced

__all__ = ["Kernel", "Report", "Speed", "flops", "graph", "report"]

_LOOPS = ("scan", "while", "cond")
_NAMED = ("nest", "matmul", "gemm", *CONVOLUTIONS, *_LOOPS)  # whose code is called as they are
_MOVES = frozenset({"cast", "copy", "where", "iota"})  # elementwise, and no arithmetic
_WIDE = 72  # columns for what a kernel does


@dataclass(frozen=True)
class Kernel:
    """A piece of the program that runs as one: a loop nest, a matrix product, a call of NumPy.

    Attributes
    ----------
    name : str
        Its function in the LLVM IR; ``NumPy`` for what falls back to it.
    what : str
        In words: sizes and operations; those before a ``|`` are done with a row before the next begin.
    operations : int
        How many were fused into it.
    flops : int or None
        One for each element of an addition, a multiplication, a comparison, or any other elementwise
        operation or reduction; none for casts, copies and ``where``; 2 m n k for a matrix product;
        one for a function such as exp. None where the code is not ours.
    functions : mapping from str to int
        How many values of exp, tanh, ... there are among these.
    read, written : int
        Bytes of memory, each array once.
    dtype : str
        What it computes in: ``"float64"`` or ``"float32"``.
    why : str
        Why it falls back to NumPy; empty for native code.
    """

    name: str
    what: str
    operations: int
    flops: int | None
    functions: Mapping[str, int]
    read: int
    written: int
    dtype: str
    why: str = ""

    def bound(self, speed: Speed) -> float:
        """The least time in seconds: max(flops / peak, bytes / bandwidth)."""
        arithmetic = (self.flops or 0) / speed.peak[self.dtype]
        return max(arithmetic, (self.read + self.written) / speed.bandwidth)


@dataclass(frozen=True)
class Speed:
    """What one core can do at most.

    Attributes
    ----------
    peak : mapping from str to float
        Flops a second, by dtype.
    bandwidth : float
        Bytes a second, of arrays of ``size`` bytes in all.
    size : int
    """

    peak: Mapping[str, float]
    bandwidth: float
    size: int


@dataclass(frozen=True)
class Report:
    """What a compiled program does; ``print(report)`` shows all of it as a table.

    Attributes
    ----------
    name, signature : str
        The function, and what it was called with.
    programs : int
        How many programs it has, for this and other signatures.
    kernels : tuple of Kernel
        In the order in which they run.
    speed : Speed
    arena, results, constants : int
        Bytes: of scratch memory, of results that are not written where old state was, of constants.
    nodes : mapping from str to int
        After each stage of the compiler.
    seconds : mapping from str to float
        By stage.
    cached : bool
        Whether the machine code came from the disk.
    """

    name: str
    signature: str
    programs: int
    kernels: tuple[Kernel, ...]
    speed: Speed
    arena: int
    results: int
    constants: int
    nodes: Mapping[str, int]
    seconds: Mapping[str, float]
    cached: bool

    @property
    def flops(self) -> int:
        return sum(k.flops or 0 for k in self.kernels)

    @property
    def functions(self) -> Mapping[str, int]:
        total: Counter[str] = Counter()
        for k in self.kernels:
            total.update(k.functions)
        return dict(total)

    @property
    def read(self) -> int:
        return sum(k.read for k in self.kernels)

    @property
    def written(self) -> int:
        return sum(k.written for k in self.kernels)

    @property
    def peak_memory(self) -> int:
        """Bytes that the program needs besides its arguments and the old state."""
        return self.arena + self.results + self.constants

    @property
    def bound(self) -> float:
        """The least time of a call in seconds: the kernels' one after the other."""
        return sum(k.bound(self.speed) for k in self.kernels)

    @property
    def fallbacks(self) -> tuple[Kernel, ...]:
        return tuple(k for k in self.kernels if k.why)

    def __str__(self) -> str:
        return "\n".join([_title(self), "", *_table(self), "", *_summary(self)])


def report(program: Program, programs: int = 1) -> Report:
    """Look a program over.

    Parameters
    ----------
    program : Program
    programs : int
        How many its function has.
    """
    image, captured = program.image, program.captured
    kernels = tuple(_kernels(image))
    fresh = {image.storage[r].entry: r.nbytes for r in image.roots if r not in image.in_place}
    results = sum(n for entry, n in fresh.items() if entry not in (ARENA, CELLS))
    constants = sum(a.nbytes for a in image.constants.values())
    scratch = image.arena + 8 * image.cells + (image.team.bytes(threads()) if image.team else 0)
    inputs = sum(x.nbytes for x in captured.inputs if x in image.storage)
    figures = captured.figures
    known = names(captured)
    inputs_of = zip(captured.slots, captured.inputs, strict=True)
    given = [f"{known[x]} {_kind(x)}" for slot, x in inputs_of if slot.kind == "argument"]
    return Report(
        program.name, ", ".join(given), programs, kernels,
        _speed(image.arena + results + constants + inputs),
        scratch, results, constants,
        {**figures.nodes, "fuse": count(image.roots)},
        dict(figures.seconds), figures.cached,
    )  # fmt: skip


def graph(program: Program) -> ProgramGraph:
    """The program after the last pass, for `chainrule.draw`."""
    image, captured = program.image, program.captured
    results, states = labels(captured)
    named = [name for o, name in zip(captured.outputs, results, strict=True) if o.kind != "plain"]
    for s, (data, grad) in zip(captured.states, states, strict=True):
        if s.data_changed:
            named.append(f"new {data}")
        if s.grad_changed and s.grad is not None:
            named.append(f"new {grad}")
    nodes = order(image.roots)
    slots = {id(x): i for i, x in enumerate(captured.inputs)}
    known = names(captured)
    inputs = {x: known[captured.inputs[slots[id(x)]]] for x in nodes if id(x) in slots}
    kernels = {m: name for name, unit in _units(image) for m in _members(unit)}
    return ProgramGraph(program.name, list(zip(named, image.roots, strict=True)), inputs, kernels)


# -------------------------------------------------------------------- kernels


def _units(image: Image) -> Iterable[tuple[str, Any]]:
    """What runs, in order, with its name."""
    by_numpy = {s for s in image.steps if isinstance(s, Traced)}
    for number, unit in enumerate(image.units):
        op = "nest" if isinstance(unit, Cluster) else unit.op
        kind = op if op in _NAMED else "move"
        if op == "item":  # picks one of several results
            continue
        if unit in by_numpy:
            yield "NumPy", unit
        elif f"{kind}{number}" in image.code or kind in _LOOPS:
            yield f"{kind}{number}", unit


def _members(unit: Any) -> Sequence[Traced]:
    return unit.members if isinstance(unit, Cluster) else [unit]


def _kernels(image: Image) -> Iterable[Kernel]:
    views = Views()
    for name, unit in _units(image):
        members = _members(unit)
        functions: Counter[str] = Counter()
        for m in members:
            inner = [x for outputs in _inside(m) for x in _operations(outputs)] if m.op in _LOOPS else [m]
            for x in inner:
                if x.op in FUNCTIONS and x.dtype.kind == "f":
                    functions[x.op] += x.size * m.params.get("length", 1)
        read, written = _traffic(members, image, views)
        wide = any(x.dtype.itemsize == 8 and x.dtype.kind == "f" for m in members for x in (m, *m.inputs))
        why = _why(unit) if name == "NumPy" else ""
        yield Kernel(
            name, _what(unit, views), len(members), _total(map(flops, members)), dict(functions),
            read, written, "float64" if wide else "float32", why,
        )  # fmt: skip


def flops(x: Traced) -> int | None:
    """The arithmetic of one operation, counted as `Kernel` says; None where nobody knows."""
    if x.op in _MOVES:
        return 0
    if x.op in ELEMENTWISE or x.op in ("cumsum", "cumprod"):
        return x.size * (1 + (x.op == "multiply_add"))
    if x.op in REDUCTIONS or x.op == "scatter_add":
        return x.inputs[0].size
    if x.op in ("matmul", "gemm"):
        return 2 * x.size * x.inputs[0].shape[-1]
    if x.op in CONVOLUTIONS:
        kernels = x.inputs[1].shape if x.op == "correlate" else x.shape
        places = x.shape if x.op == "correlate" else x.inputs[1].shape
        return 2 * math.prod(places) * math.prod(kernels[:-1])
    if x.op in ("scan", "cond"):
        works = [_total(map(flops, order(outputs))) for outputs in _inside(x)]
        return None if None in works else max(w or 0 for w in works) * x.params.get("length", 1)
    return None if x.op in ("call", "while") else 0


def _total(works: Iterable[int | None]) -> int | None:
    works = list(works)
    return None if None in works else sum(w or 0 for w in works)


def _traffic(members: Sequence[Traced], image: Image, views: Views) -> tuple[int, int]:
    """Bytes read and written: what comes from outside, and what others need."""
    inside = set(members)
    seen: dict[Traced, dict[Any, int]] = {}
    for m in members:
        for x in m.inputs:
            b, _ = views.alias(x)
            view = views.view(x)
            if b in inside or is_number(b) or view is None or view.base in inside:
                continue
            own = math.prod(n for n, s in zip(x.shape, view.strides, strict=True) if s) * x.dtype.itemsize
            steps = tuple(s for s in view.strides if s)
            seen.setdefault(view.base, {})[view.offset, steps, own] = own
    read = sum(min(base.nbytes, sum(parts.values())) for base, parts in seen.items())
    written = sum(m.nbytes for m in members if m in image.storage)
    for m in members:
        if "results" in m.params:
            written += sum(math.prod(shape) * dtype.itemsize for shape, dtype in m.params["results"])
    return read, written


def _what(unit: Any, views: Views) -> str:
    if isinstance(unit, Cluster):
        over = " × ".join(map(str, unit.loops))
        parts = " | ".join(_counted(p) for p in _passes(unit, views))
        return f"{'loop over ' + over if over else 'numbers'}: {parts}"
    if unit.op in ("matmul", "gemm"):
        a, b, *added = unit.inputs
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        times = math.prod(unit.shape[:-2])
        turned = [which for which, x in (("a", a), ("b", b)) if x.op == "transpose"]
        return (
            f"{m}×{k} @ {k}×{n}" + (f", {times} times" if unit.ndim > 2 else "")
            + (f", {' and '.join(turned)} transposed" if turned else "") + (", added" if added else "")
        )  # fmt: skip
    if unit.op in _LOOPS:
        length = unit.params.get("length")
        head = f"{length} turns" if unit.op == "scan" else "turns" if unit.op == "while" else "one"
        return f"{head} of: " + " or: ".join(_counted(_operations(outputs)) for outputs in _inside(unit))
    name = unit.params["name"] if unit.op == "call" else unit.op
    operands = ", ".join(_kind(x) for x in unit.inputs[:4]) + (", …" if len(unit.inputs) > 4 else "")
    return f"{name} of {operands}" + ("" if "results" in unit.params else f" -> {_kind(unit)}")


def _inside(x: Traced) -> list[Sequence[Traced]]:
    """The results of a loop's body, or of each branch."""
    bodies = x.params["branches"] if x.op == "cond" else [x.params["body"]]
    return [b.outputs for b in bodies]


def _operations(outputs: Sequence[Traced]) -> list[Traced]:
    found = [x for x in order(outputs) if x.inputs and x.op not in VIEWS]
    return [x for x in found if x.op != "cast" or x.dtype != x.inputs[0].dtype]


def _passes(unit: Cluster, views: Views) -> list[list[Traced]]:
    """Members by the pass over a row that can compute them: what uses a row's result comes in a later one."""
    level: dict[Traced, int] = {}
    found: dict[int, list[Traced]] = {}
    for m in unit.members:
        inner = [views.alias(x)[0] for x in m.inputs]
        level[m] = max((level[b] + (b.op in REDUCTIONS) for b in inner if b in level), default=0)
        found.setdefault(level[m], []).append(m)
    return [found[i] for i in sorted(found)]


def _counted(members: Sequence[Traced]) -> str:
    counts = Counter(m.op for m in members)
    return " ".join(op if n == 1 else f"{op}×{n}" for op, n in counts.items())


def _why(x: Traced) -> str:
    """The reason for which NumPy does it, as a user would see it."""
    odd = [v.dtype for v in (x, *x.inputs) if v.dtype.char not in "dfqli?"]
    if odd and "results" not in x.params:
        return f"native code works on float64, float32, int64, int32 and bool, not on {odd[0]}"
    if x.op in ELEMENTWISE or x.op in REDUCTIONS:
        return f"native code for {x.dtype} does + - × and comparisons only"
    if x.op == "call":
        return "no native code for it"
    if x.op in ("scan", "while", "cond"):
        calls = [y.params["name"] for outputs in _inside(x) for y in _operations(outputs) if y.op == "call"]
        return f"no native code for {calls[0] if calls else 'something'} in its body"
    return "no native code for it"


def _kind(x: Traced) -> str:
    """``float32 (64, 10)``; ``float`` for a Python number."""
    if x.weak:
        return {"f": "float", "i": "int", "b": "bool"}.get(x.dtype.kind, "number")
    return f"{x.dtype} {x.shape}" if x.shape else str(x.dtype)


# -------------------------------------------------------------------- what one core can do

_ACCUMULATORS = 12  # enough to hide the latency of a multiply-add, and few enough for 16 registers
_TURNS = 100_000


def _speed(size: int) -> Speed:
    size = 1 << min(max(size - 1, 0).bit_length(), 26)
    size = max(size, 1 << 15)
    return Speed({t: _peak(t) for t in ("float64", "float32")}, _bandwidth(size), size)


@functools.cache
def _library() -> Library:
    return load("\n".join([_peak_ir("double"), _peak_ir("float"), _stream_ir()]))


@functools.cache
def _peak(dtype: str) -> float:
    """Flops a second of fused multiply-adds that wait for nothing."""
    out = np.zeros(64)
    kind = "double" if dtype == "float64" else "float"
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_library().address(f"peak_{kind}"))
    lanes = host().vector_bits // (64 if kind == "double" else 32)
    return 2 * lanes * _ACCUMULATORS * _TURNS / _least(lambda: run(out.ctypes.data))


@functools.cache
def _bandwidth(size: int) -> float:
    """Bytes a second read and written, over and over, in two arrays of ``size`` bytes in all."""
    n = size // 16  # doubles in each
    x, y = np.ones(n), np.ones(n)
    kinds = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    run = ctypes.CFUNCTYPE(None, *kinds)(_library().address("stream"))
    turns = max((1 << 22) // size, 1)
    return turns * 16 * n / _least(lambda: run(x.ctypes.data, y.ctypes.data, n, turns), 3)


def _least(run: Callable[[], Any], times: int = 4) -> float:
    found = math.inf
    for _ in range(times):
        start = time.perf_counter()
        run()
        found = min(found, time.perf_counter() - start)
    return found


def _peak_ir(kind: str) -> str:
    lanes = host().vector_bits // (64 if kind == "double" else 32)
    t, short = f"<{lanes} x {kind}>", f"v{lanes}{'f64' if kind == 'double' else 'f32'}"
    fma, numbers = f"@llvm.fma.{short}", range(_ACCUMULATORS)
    phis = [f"  %a{i} = phi {t} [zeroinitializer, %entry], [%b{i}, %turn]" for i in numbers]
    steps = [f"  %b{i} = call {t} {fma}({t} %a{i}, {t} %x, {t} %x)" for i in numbers]
    sums = [f"  %s{i} = fadd {t} {f'%s{i - 1}' if i > 1 else '%b0'}, %b{i}" for i in numbers[1:]]
    return "\n".join([
        f"declare {t} {fma}({t}, {t}, {t})",
        f'define void @peak_{kind}(ptr %out) "prefer-vector-width"="512" {{', "entry:",
        f"  %x = load {t}, ptr %out, align 8", "  br label %turn", "turn:",
        "  %i = phi i64 [0, %entry], [%next, %turn]", *phis, *steps, "  %next = add i64 %i, 1",
        f"  %more = icmp ult i64 %next, {_TURNS}", "  br i1 %more, label %turn, label %end", "end:", *sums,
        f"  store {t} %s{_ACCUMULATORS - 1}, ptr %out, align 8", "  ret void", "}",
    ])  # fmt: skip


def _stream_ir() -> str:
    lanes = host().vector_bits // 64
    t = f"<{lanes} x double>"
    body = []
    for k in range(4):
        body += [
            f"  %i{k} = add i64 %i, {k * lanes}",
            f"  %p{k} = getelementptr double, ptr %x, i64 %i{k}",
            f"  %q{k} = getelementptr double, ptr %y, i64 %i{k}",
            f"  %v{k} = load {t}, ptr %p{k}, align 8",
            f"  %w{k} = fadd {t} %v{k}, %v{k}",
            f"  store {t} %w{k}, ptr %q{k}, align 8",
        ]
    return "\n".join([
        'define void @stream(ptr %x, ptr %y, i64 %n, i64 %turns) "prefer-vector-width"="512" {', "entry:",
        "  br label %again", "again:",
        "  %t = phi i64 [0, %entry], [%after, %done]", "  br label %turn", "turn:",
        "  %i = phi i64 [0, %again], [%next, %turn]", *body, f"  %next = add i64 %i, {4 * lanes}",
        "  %more = icmp ult i64 %next, %n", "  br i1 %more, label %turn, label %done", "done:",
        "  %after = add i64 %t, 1", "  %rest = icmp ult i64 %after, %turns",
        "  br i1 %rest, label %again, label %end", "end:", "  ret void", "}",
    ])  # fmt: skip


# -------------------------------------------------------------------- as text


def _title(r: Report) -> str:
    other = f"one of {r.programs} programs" if r.programs > 1 else "its only program"
    return f"{r.name}({_cut(r.signature, 110)}), {other}"


def _table(r: Report) -> list[str]:
    bound = r.bound or 1.0
    rows = [["kernel", "what", "flops", "read", "written", "at least", "share"]]
    for k in r.kernels:
        work = "?" if k.flops is None else _number(k.flops)
        least = k.bound(r.speed)
        rows.append([
            k.name, _cut(k.what, _WIDE), work, _bytes(k.read), _bytes(k.written), _seconds(least),
            f"{100 * least / bound:.0f} %",
        ])  # fmt: skip
    rows.append(["all", "", _number(r.flops), _bytes(r.read), _bytes(r.written), _seconds(r.bound), "100 %"])
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(x.ljust(w) if i < 2 else x.rjust(w) for i, (x, w) in enumerate(zip(row, widths))).rstrip()
        for row in rows
    ]


def _summary(r: Report) -> list[str]:
    nests = [k for k in r.kernels if k.name.startswith("nest")]
    products = sum(k.name.startswith(("matmul", "gemm")) for k in r.kernels)
    convolutions = sum(k.name.startswith(CONVOLUTIONS) for k in r.kernels)
    fused = _several(sum(k.operations for k in nests), "operation")
    parts = [f"{fused} fused into {_several(len(nests), 'loop nest')}"]
    if products:
        parts.append(_several(products, "matrix product"))
    if convolutions:
        parts.append(_several(convolutions, "convolution"))
    loops = sum(k.name.startswith(_LOOPS) for k in r.kernels)
    if loops:
        parts.append("1 loop or branch" if loops == 1 else f"{loops} loops and branches")
    falls: Counter[str] = Counter(f"{k.what.split(' of ')[0]}: {k.why}" for k in r.fallbacks)
    lines = [("fused", "; ".join(parts))]
    if falls:
        lines += [("NumPy" if i == 0 else "", x if n == 1 else f"{x} ({n} times)")
                  for i, (x, n) in enumerate(falls.items())]  # fmt: skip
    else:
        lines.append(("NumPy", "nothing falls back to it"))
    if r.functions:
        lines.append(("functions", ", ".join(f"{_number(n)} {name}" for name, n in r.functions.items())))
    peak = ", ".join(f"{v / 1e9:.0f} Gflop/s in {t}" for t, v in r.speed.peak.items())
    moved = f"{r.speed.bandwidth / 1e9:.0f} GB/s in {_bytes(r.speed.size)}"
    lines.append(("at least", f"{_seconds(r.bound)} a call on one core of {peak}, {moved}"))
    lines.append(("memory", f"{_bytes(r.peak_memory)} at the peak: {_bytes(r.arena)} scratch, "
                            f"{_bytes(r.results)} results, {_bytes(r.constants)} constants"))  # fmt: skip
    steps = [f"{n:,} after {stage}" for stage, n in r.nodes.items()]
    lines.append(("nodes", " → ".join([*steps, _several(len(r.kernels), "kernel")])))
    stages = [
        f"{'from the disk cache' if stage == 'LLVM' and r.cached else stage} {_seconds(s)}"
        for stage, s in r.seconds.items()
    ]
    lines.append(("compiled", f"in {_seconds(sum(r.seconds.values()))}: {', '.join(stages)}"))
    return [f"{head:<10}{text}" for head, text in lines]


def _several(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def _number(n: float) -> str:
    """``12``, ``3.4 k``, ``1.05 M``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g} {letter}" if n < 999.5 * size else f"{n / size:.0f} {letter}"
    return str(int(n))


def _bytes(n: int) -> str:
    return f"{n} B" if n < 1000 else _number(n) + "B"


def _seconds(s: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if s >= size:
            return f"{s / size:.3g} {unit}"
    return f"{s / 1e-9:.0f} ns"
