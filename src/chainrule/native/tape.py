"""Tape: thousands of scalar operations without lanes, grouped by depth and kind.

All of them live in one flat buffer of doubles, the initial values first. A group is one operation on
many operands: they are gathered from anywhere in the buffer, the results are stored side by side.
Which is which stands in an array of integers, so that the machine code is small however long the tape.

``tape`` is an operation of the captured program: its input is the vector of initial values, its result
the whole buffer; ``params`` has the ``groups``, each ``(op, indices of the operands, start)``. Masks are
0.0 and 1.0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.native import vectormath
from chainrule.rules.elementary import sech2, sigmoid
from chainrule.traced import Traced

__all__ = ["run", "tape", "tape_indices", "tape_ir"]

LONG = 2000  # fewer scalars than this stay scalars
LANES = 8  # of the vectors in machine code

Ints = NDArray[np.int64]
BOOL, FLOAT64 = np.dtype(bool), np.dtype(np.float64)

# What each operation is in LLVM; T stands for the type, F for its name in intrinsics.
_PLAIN = {
    "add":         "fadd T %x, %y",
    "subtract":    "fsub T %x, %y",
    "multiply":    "fmul T %x, %y",
    "divide":      "fdiv T %x, %y",
    "negative":    "fneg T %x",
    "reciprocal":  "fdiv T ONE, %x",
    "square":      "fmul T %x, %x",
    "absolute":    "call T @llvm.fabs.F(T %x)",
    "sqrt":        "call T @llvm.sqrt.F(T %x)",
    "floor":       "call T @llvm.floor.F(T %x)",
    "ceil":        "call T @llvm.ceil.F(T %x)",
    "trunc":       "call T @llvm.trunc.F(T %x)",
    "rint":        "call T @llvm.rint.F(T %x)",
    "copysign":    "call T @llvm.copysign.F(T %x, T %y)",
}  # fmt: skip
_COMPARED = {
    "less": "olt", "less_equal": "ole", "greater": "ogt", "greater_equal": "oge", "equal": "oeq",
    "not_equal": "une", "isnan": "uno",
}  # fmt: skip
_LOGICAL = {
    "logical_and": "and", "bitwise_and": "and", "logical_or": "or", "bitwise_or": "or", "logical_xor": "xor",
    "bitwise_xor": "xor",
}  # fmt: skip
_CHOSEN = {"maximum": "ogt", "minimum": "olt"}  # of two: the first where this holds, or where it is nan
_OTHER = ("where", "logical_not", "invert", "cast", "truth", "sign")
NAMES = (*_PLAIN, *_COMPARED, *_LOGICAL, *_CHOSEN, *_OTHER, *vectormath.FUNCTIONS)
_CODE = {name: i for i, name in enumerate(NAMES)}


# -------------------------------------------------------------------- making one


def tape(roots: list[Traced], nodes: list[Traced]) -> list[Traced]:
    """The roots with long stretches of scalars on tapes; ``nodes`` are all there are, inputs first."""
    number = {x: i for i, x in enumerate(nodes)}
    n = len(nodes)
    code = [_CODE[_name(x)] if _fits(x) else -1 for x in nodes]
    if sum(k >= 0 for k in code) < LONG:
        return roots
    operands: list[list[int]] = [[-1] * n for _ in range(3)]
    # A tape must not need what needs it: how often the way to a node leaves the tapes and comes back
    stage, depth = [0] * n, [0] * n
    for i, x in enumerate(nodes):
        s = d = 0
        here = code[i] >= 0
        for k, y in enumerate(x.inputs):
            j = number[y]
            t = stage[j]
            if here:
                operands[k][i] = j
                if t > s:
                    s, d = t, 0
                if t == s and code[j] >= 0 and depth[j] >= d:
                    d = depth[j] + 1
            else:
                s = max(s, t + (code[j] >= 0))
        stage[i], depth[i] = s, d
    program = _Program(nodes, np.array(code), np.array(depth), np.array(operands))
    stages, taped = np.array(stage), program.code >= 0
    worth = np.bincount(stages[taped], minlength=int(stages.max()) + 1) >= LONG
    if not worth.any():
        return roots
    taped &= worth[stages]
    order = np.lexsort((taped, stages))  # in each stage first what is on no tape
    for s in range(len(worth)):
        some = order[stages[order] == s]
        for i in some[~taped[some]].tolist():
            x = nodes[i]
            inputs = tuple([program.value(number[y]) for y in x.inputs])
            same = all(p is q for p, q in zip(inputs, x.inputs))
            program.new[i] = x if same else Traced(x.origin, x.op, inputs, x.shape, x.dtype, x.weak, x.params)
        if worth[s]:
            program.write(some[taped[some]])
    return [program.value(number[r]) for r in roots]


class _Program:
    """What becomes of the nodes: other nodes, or places on tapes.

    Attributes
    ----------
    code, depth : array of int
        Of each node; the code is -1 where it does not fit on a tape.
    operands : array of int, (3, nodes)
    new : list of Traced
        What stands for a node outside the tapes.
    home, at : array of int
        The tape a node is on, and where.
    """

    def __init__(self, nodes: list[Traced], code: Ints, depth: Ints, operands: Ints) -> None:
        self.nodes, self.code, self.depth, self.operands = nodes, code, depth, operands
        self.new: list[Traced | None] = [None] * len(nodes)
        self.home, self.at = np.full(len(nodes), -1), np.zeros(len(nodes), np.int64)
        self.tapes: list[Traced] = []

    def value(self, i: int) -> Traced:
        found = self.new[i]
        if found is None:
            x, buffer, params = self.nodes[i], self.tapes[self.home[i]], {"index": int(self.at[i])}
            weak = x.weak and x.dtype == FLOAT64
            found = Traced(x.origin, "element", (buffer,), (), FLOAT64, weak, params)
            if x.dtype == BOOL:
                zero = Traced(x.origin, "constant", (), (), FLOAT64, False, {"value": 0.0})
                found = Traced(x.origin, "not_equal", (found, zero), (), BOOL, x.weak)
            self.new[i] = found
        return found

    def write(self, members: Ints) -> None:
        """One tape of these."""
        members = members[np.lexsort((self.code[members], self.depth[members]))]
        needed = self.operands[:, members]
        mine = np.zeros(len(self.nodes) + 1, bool)
        mine[members] = True
        given: list[Traced] = []
        constants: dict[float | str, int] = {}
        plain: list[float] = []
        from_given: list[int] = []
        from_plain: list[tuple[int, int]] = []
        for i in np.unique(needed[(needed >= 0) & ~mine[needed]]).tolist():
            x = self.value(i)
            if x.op == "constant":
                v = float(np.asarray(x.params["value"]))
                k = constants.setdefault(v if v else repr(v), len(plain))
                if k == len(plain):
                    plain.append(v)
                from_plain.append((i, k))
            else:
                from_given.append(i)
                given.append(_as_float(x))
        position = np.zeros(len(self.nodes), np.int32)
        position[from_given] = np.arange(len(given))
        for i, k in from_plain:
            position[i] = len(given) + k
        start = len(given) + len(plain)
        position[members] = start + np.arange(len(members))
        trace = self.nodes[members[0]].origin
        parts = []
        if given:
            parts.append(Traced(trace, "pack", tuple(given), (len(given),), FLOAT64))
        if plain:
            values = {"value": np.array(plain)}
            parts.append(Traced(trace, "constant", (), (len(plain),), FLOAT64, False, values))
        initial = parts[0]
        if len(parts) == 2:
            initial = Traced(trace, "concatenate", tuple(parts), (start,), FLOAT64, False, {"axis": 0})
        table = position[needed]
        code, depth = self.code[members], self.depth[members]
        cuts = np.flatnonzero((np.diff(code) != 0) | (np.diff(depth) != 0)) + 1
        groups = []
        for s, t in zip([0, *cuts.tolist()], [*cuts.tolist(), len(members)]):
            name = NAMES[code[s]]
            groups.append((name, table[: _arity(name), s:t], start + s))
        params = {"groups": tuple(groups)}
        self.home[members] = len(self.tapes)
        self.at[members] = position[members]
        self.tapes.append(Traced(trace, "tape", (initial,), (start + len(members),), FLOAT64, False, params))


_fitting: dict[Any, bool] = {}


def _fits(x: Traced) -> bool:
    if x.shape or x.op not in _CODE:
        return False
    key = (x.op, x.dtype, *[i.dtype for i in x.inputs])
    known = _fitting.get(key)
    if known is None:
        kinds = (FLOAT64, BOOL)
        known = all(dtype in kinds for dtype in key[1:]) and len(x.inputs) == _arity(_name(x))
        if x.op in _LOGICAL or x.op in ("invert", "logical_not"):
            known = known and x.inputs[0].dtype == BOOL
        _fitting[key] = known
    return known


def _name(x: Traced) -> str:
    return "truth" if x.op == "cast" and x.dtype == BOOL else x.op


def _as_float(x: Traced) -> Traced:
    return x if x.dtype == FLOAT64 else Traced(x.origin, "cast", (x,), (), FLOAT64)


# -------------------------------------------------------------------- what it means


def _on_masks(f: Any) -> Any:
    return lambda a, b: f(a != 0, b != 0)


_SPECIAL: dict[str, Any] = {
    "where": lambda c, a, b: np.where(c != 0, a, b),
    "cast": lambda a: a,
    "invert": lambda a: a == 0,
    "truth": lambda a: a != 0,
    "sech2": sech2.run,
    "sigmoid": sigmoid.run,
    **{name: _on_masks(getattr(np, name)) for name in _LOGICAL},
}


def run(x: Traced, initial: Any) -> Any:
    """The buffer after all groups, by NumPy."""
    buffer = np.empty(x.shape)
    buffer[: len(initial)] = initial
    for op, operands, start in x.params["groups"]:
        f = _SPECIAL.get(op) or getattr(np, op)
        buffer[start : start + operands.shape[1]] = f(*buffer[operands])
    return buffer


# -------------------------------------------------------------------- machine code


def tape_indices(x: Traced) -> NDArray[np.int32]:
    """The groups as the machine code reads them: code, length, start, operands; -1 at the end."""
    parts = []
    for op, operands, start in x.params["groups"]:
        parts += [np.array([_CODE[op], operands.shape[1], start], np.int32), operands.ravel()]
    return np.concatenate([*parts, np.array([-1], np.int32)])


def tape_function(x: Traced, name: str) -> tuple[str, set[str], set[tuple[str, str, int]]]:
    """LLVM IR of ``void @name(ptr buffer, ptr indices)``, what it declares, and the functions it calls.

    ``buffer`` holds the initial values and receives the rest; ``indices`` are `tape_indices`. Groups run in
    blocks of 8, what is over one by one.
    """
    ops = sorted({op for op, *_ in x.params["groups"]})
    called = [op for op in ops if op in vectormath.FUNCTIONS and op not in _PLAIN]
    lines = [
        f"define void @{name}(ptr noalias %buffer, ptr noalias readonly %indices) nounwind {{",
        "entry:",
        "  br label %next",
        "next:",
        "  %group = phi ptr [ %indices, %entry ]" + "".join(f", [ %{op}.after, %{op}.done ]" for op in ops),
        "  %code = load i32, ptr %group, align 4",
        "  %count.at = getelementptr i32, ptr %group, i64 1",
        "  %start.at = getelementptr i32, ptr %group, i64 2",
        "  %first = getelementptr i32, ptr %group, i64 3",
        "  switch i32 %code, label %end [",
        *[f"    i32 {_CODE[op]}, label %{op}" for op in ops],
        "  ]",
        "end:",
        "  ret void",
    ]
    for op in ops:
        lines += _group(op)
    lines.append("}")
    declared = [
        f"declare <{LANES} x double> @llvm.masked.gather.v{LANES}f64.v{LANES}p0"
        f"(<{LANES} x ptr>, <{LANES} x i1>, <{LANES} x double>)"
    ]
    for op in ops:
        text = _PLAIN.get(op, "")
        if "@llvm" in text:
            intrinsic = text.split("@llvm.")[1].split(".")[0]
            for lanes in (LANES, 1):
                t, f = _type(lanes)
                declared.append(f"declare {t} @llvm.{intrinsic}.{f}({', '.join([t] * _arity(op))})")
    functions = {(op, "double", lanes) for op in called for lanes in (LANES, 1)}
    return "\n".join(lines) + "\n", set(declared), functions


def tape_ir(x: Traced, name: str) -> str:
    """The function as a whole module: with all that it calls."""
    text, declared, functions = tape_function(x, name)
    defined = vectormath.definitions(sorted(functions)) if functions else ""
    known = {line.strip() for line in defined.splitlines() if line.startswith("declare")}
    return "\n".join([*sorted(declared - known), defined, text])



def _type(lanes: int) -> tuple[str, str]:
    return ("double", "f64") if lanes == 1 else (f"<{lanes} x double>", f"v{lanes}f64")


def _arity(op: str) -> int:
    if op in _PLAIN:
        return 2 if "%y" in _PLAIN[op] else 1
    if op in vectormath.FUNCTIONS:
        return vectormath.FUNCTIONS[op]
    if op == "where":
        return 3
    return 1 if op in (*_OTHER, "isnan") else 2


def _group(op: str) -> list[str]:
    """The loops of one operation: over blocks, then over what is left."""
    arity = _arity(op)
    lines = [
        f"{op}:",
        f"  %{op}.count32 = load i32, ptr %count.at, align 4",
        f"  %{op}.start32 = load i32, ptr %start.at, align 4",
        f"  %{op}.count = zext i32 %{op}.count32 to i64",
        f"  %{op}.start = zext i32 %{op}.start32 to i64",
        f"  %{op}.out = getelementptr double, ptr %buffer, i64 %{op}.start",
        f"  %{op}.a0 = getelementptr i32, ptr %first, i64 0",
        *[f"  %{op}.a{k} = getelementptr i32, ptr %{op}.a{k - 1}, i64 %{op}.count" for k in range(1, arity)],
        f"  %{op}.after = getelementptr i32, ptr %{op}.a{arity - 1}, i64 %{op}.count",
        f"  %{op}.whole = and i64 %{op}.count, -{LANES}",
        f"  %{op}.any = icmp ne i64 %{op}.whole, 0",
        f"  br i1 %{op}.any, label %{op}.block, label %{op}.rest",
    ]
    for lanes, block, first, last, then in (
        (LANES, "block", "0", "whole", "rest"), (1, "single", f"%{op}.whole", "count", "done")
    ):  # fmt: skip
        if lanes == 1:
            lines += [
                f"{op}.rest:",
                f"  %{op}.more = icmp ult i64 %{op}.whole, %{op}.count",
                f"  br i1 %{op}.more, label %{op}.single, label %{op}.done",
            ]
        t, f = _type(lanes)
        source = op if lanes > 1 else f"{op}.rest"
        v = f"{op}.{lanes}"
        lines += [f"{op}.{block}:", f"  %{v}.i = phi i64 [ {first}, %{source} ], [ %{v}.j, %{op}.{block} ]"]
        for k in range(arity):
            lines.append(f"  %{v}.p{k} = getelementptr i32, ptr %{op}.a{k}, i64 %{v}.i")
            if lanes == 1:
                lines += [
                    f"  %{v}.n{k} = load i32, ptr %{v}.p{k}, align 4",
                    f"  %{v}.w{k} = zext i32 %{v}.n{k} to i64",
                    f"  %{v}.q{k} = getelementptr double, ptr %buffer, i64 %{v}.w{k}",
                    f"  %{v}.x{k} = load double, ptr %{v}.q{k}, align 8",
                ]
            else:
                mask = "<" + ", ".join(["i1 true"] * lanes) + ">"
                lines += [
                    f"  %{v}.n{k} = load <{lanes} x i32>, ptr %{v}.p{k}, align 4",
                    f"  %{v}.w{k} = zext <{lanes} x i32> %{v}.n{k} to <{lanes} x i64>",
                    f"  %{v}.q{k} = getelementptr double, ptr %buffer, <{lanes} x i64> %{v}.w{k}",
                    f"  %{v}.x{k} = call {t} @llvm.masked.gather.{f}.v{lanes}p0("
                    f"<{lanes} x ptr> align 8 %{v}.q{k}, <{lanes} x i1> {mask}, {t} poison)",
                ]
        lines += _body(op, v, lanes)
        lines += [
            f"  %{v}.to = getelementptr double, ptr %{op}.out, i64 %{v}.i",
            f"  store {t} %{v}.r, ptr %{v}.to, align 8",
            f"  %{v}.j = add i64 %{v}.i, {lanes}",
            f"  %{v}.on = icmp ult i64 %{v}.j, %{op}.{last}",
            f"  br i1 %{v}.on, label %{op}.{block}, label %{op}.{then}",
        ]
    return [*lines, f"{op}.done:", "  br label %next"]


def _body(op: str, v: str, lanes: int) -> list[str]:
    """``%v.r`` from ``%v.x0, %v.x1, ...``."""
    t, f = _type(lanes)
    b = "i1" if lanes == 1 else f"<{lanes} x i1>"
    x, y, z = (f"%{v}.x{k}" for k in range(3))
    one = "1.0" if lanes == 1 else "<" + ", ".join(["double 1.0"] * lanes) + ">"
    yes = "true" if lanes == 1 else "<" + ", ".join(["i1 true"] * lanes) + ">"
    zero = "0.0" if lanes == 1 else "zeroinitializer"
    truth = f"  %{v}.r = uitofp {b} %{v}.b to {t}"
    if op in _PLAIN:
        text = _PLAIN[op].replace("%x", x).replace("%y", y).replace("ONE", one)
        return [f"  %{v}.r = " + text.replace("T ", f"{t} ").replace(".F(", f".{f}(")]
    if op in _COMPARED:
        return [f"  %{v}.b = fcmp {_COMPARED[op]} {t} {x}, {zero if op == 'isnan' else y}", truth]
    if op in _LOGICAL:
        return [
            f"  %{v}.m = fcmp une {t} {x}, {zero}",
            f"  %{v}.n = fcmp une {t} {y}, {zero}",
            f"  %{v}.b = {_LOGICAL[op]} {b} %{v}.m, %{v}.n",
            truth,
        ]
    if op in _CHOSEN:
        return [
            f"  %{v}.m = fcmp {_CHOSEN[op]} {t} {x}, {y}",
            f"  %{v}.n = fcmp uno {t} {x}, {zero}",
            f"  %{v}.b = or {b} %{v}.m, %{v}.n",
            f"  %{v}.r = select {b} %{v}.b, {t} {x}, {t} {y}",
        ]
    if op == "where":
        return [f"  %{v}.b = fcmp une {t} {x}, {zero}", f"  %{v}.r = select {b} %{v}.b, {t} {y}, {t} {z}"]
    if op == "cast":
        return [f"  %{v}.r = select {b} {yes}, {t} {x}, {t} {x}"]
    if op == "truth":
        return [f"  %{v}.b = fcmp une {t} {x}, {zero}", truth]
    if op in ("invert", "logical_not"):
        return [f"  %{v}.b = fcmp oeq {t} {x}, {zero}", truth]
    if op == "sign":
        return [
            f"  %{v}.m = fcmp ogt {t} {x}, {zero}",
            f"  %{v}.n = fcmp olt {t} {x}, {zero}",
            f"  %{v}.s = uitofp {b} %{v}.m to {t}",
            f"  %{v}.u = uitofp {b} %{v}.n to {t}",
            f"  %{v}.d = fsub {t} %{v}.s, %{v}.u",
            f"  %{v}.b = fcmp uno {t} {x}, {zero}",
            f"  %{v}.r = select {b} %{v}.b, {t} {x}, {t} %{v}.d",
        ]
    arguments = ", ".join(f"{t} {a}" for a in (x, y)[: _arity(op)])
    return [f"  %{v}.r = call {t} {vectormath.function(op, 'double', lanes)}({arguments})"]
