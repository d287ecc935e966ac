"""Elementwise operations as LLVM IR, on as many lanes as the emitter has at the moment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.native.text import ELEMENT, kind_of, literal
from chainrule.native.vectormath import FUNCTIONS, function
from chainrule.traced import Traced

__all__ = ["elementwise", "extreme", "is_number", "number", "partners"]

_FLOAT_OPS = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}
_INT_OPS = {"add": "add", "subtract": "sub", "multiply": "mul"}
_COMPARE = {"less": "olt", "less_equal": "ole", "greater": "ogt", "greater_equal": "oge", "equal": "oeq",
            "not_equal": "une"}  # fmt: skip
_COMPARE_INT = {"less": "slt", "less_equal": "sle", "greater": "sgt", "greater_equal": "sge", "equal": "eq",
                "not_equal": "ne"}  # fmt: skip
_INTRINSICS = {"absolute": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc",
               "rint": "rint"}  # fmt: skip
_LOGIC = {"logical_and": "and", "logical_or": "or", "logical_xor": "xor", "bitwise_and": "and",
          "bitwise_or": "or", "bitwise_xor": "xor"}  # fmt: skip


def is_number(x: Traced) -> bool:
    """Whether ``x`` is a constant that can be written into the code."""
    return x.op == "constant" and not x.shape and x.dtype.char in ELEMENT


def number(x: Traced) -> str:
    """A constant as it is written in the code."""
    value = np.asarray(x.params["value"]).astype(x.dtype)[()]
    return literal(kind_of(x.dtype), value.item())


def elementwise(e: Any, m: Traced, a: list[str]) -> str:
    """One elementwise operation on the emitter's lanes."""
    op, t = m.op, e._t(m.inputs[0] if m.op != "where" else m)
    kind = m.inputs[0].dtype.kind if op != "where" else m.dtype.kind
    real = kind == "f"
    element = ELEMENT[(m.inputs[0] if op != "where" else m).dtype.char]
    boolean = "i1" if e.lanes == 1 else f"<{e.lanes} x i1>"

    def const(v: float) -> str:
        text = literal(element, v)
        return text if e.lanes == 1 else f"splat ({element} {text})"

    def select(c: str, x: str, y: str) -> str:
        return str(e._set(f"select {boolean} {c}, {t} {x}, {t} {y}"))

    if op in _FLOAT_OPS and real:
        flag = "contract " if op == "multiply" else ""  # with the sum that adds it up
        return str(e._set(f"{_FLOAT_OPS[op]} {flag}{t} {a[0]}, {a[1]}"))
    if op == "multiply_add":
        x, y, z = a
        if m.params["minus"]:
            x, z = (
                e._set(f"fneg {t} {v}") if m.params["minus"] == which else v
                for v, which in ((x, "product"), (z, "term"))
            )
        return str(e.w.intrinsic("fmuladd", t, [(t, x), (t, y), (t, z)]))
    if op in _INT_OPS and kind == "i":
        return str(e._set(f"{_INT_OPS[op]} {t} {a[0]}, {a[1]}"))
    if op == "where":
        return select(*a)
    if op == "copy":
        return a[0]
    if op == "cast":
        return _cast(e, m, a[0])
    if op == "negative":
        return str(e._set(f"fneg {t} {a[0]}" if real else f"sub {t} {const(0)}, {a[0]}"))
    if op in _INTRINSICS and real:
        return str(e.w.intrinsic(_INTRINSICS[op], t, [(t, a[0])]))
    if op == "square":
        return str(e._set(f"{'fmul contract' if real else 'mul'} {t} {a[0]}, {a[0]}"))
    if op == "reciprocal":
        return str(e._set(f"fdiv {t} {const(1.0)}, {a[0]}"))
    if op in _COMPARE:
        if kind == "b":
            names = {"equal": "eq", "not_equal": "ne", "less": "ult", "less_equal": "ule", "greater": "ugt",
                     "greater_equal": "uge"}  # fmt: skip
            return str(e._set(f"icmp {names[op]} {t} {a[0]}, {a[1]}"))
        how = f"fcmp {_COMPARE[op]}" if real else f"icmp {_COMPARE_INT[op]}"
        return str(e._set(f"{how} {t} {a[0]}, {a[1]}"))
    if op in _LOGIC or op in ("logical_not", "invert"):
        if kind != "b" and op.startswith("logical"):
            zero = "0.0" if real else "0"
            zero = zero if e.lanes == 1 else "zeroinitializer"
            a = [e._set(f"{'fcmp une' if real else 'icmp ne'} {t} {x}, {zero}") for x in a]
            t = boolean
        if op in ("logical_not", "invert"):
            ones = "true" if t in ("i1", boolean) else "-1"
            ones = ones if e.lanes == 1 else f"splat ({'i1' if ones == 'true' else element} {ones})"
            return str(e._set(f"xor {t} {a[0]}, {ones}"))
        return str(e._set(f"{_LOGIC[op]} {t} {a[0]}, {a[1]}"))
    if op in ("maximum", "minimum"):
        return extreme(e, op, t, real, a[0], a[1])
    if op in ("fmax", "fmin"):
        c = e._set(f"fcmp {'ogt' if op == 'fmax' else 'olt'} {t} {a[0]}, {a[1]}")
        nan = e._set(f"fcmp uno {t} {a[1]}, {a[1]}")
        return select(e._set(f"or {boolean} {c}, {nan}"), a[0], a[1])
    if op == "isnan":
        return str(e._set(f"fcmp uno {t} {a[0]}, {a[0]}"))
    if op in ("isinf", "isfinite"):
        size = e.w.intrinsic("fabs", t, [(t, a[0])])
        return str(e._set(f"fcmp {'oeq' if op == 'isinf' else 'one'} {t} {size}, {const(math.inf)}"))
    if op == "signbit":
        whole = ("i64" if element == "double" else "i32") if e.lanes == 1 else (
            f"<{e.lanes} x {'i64' if element == 'double' else 'i32'}>")  # fmt: skip
        bits = e._set(f"bitcast {t} {a[0]} to {whole}")
        return str(e._set(f"icmp slt {whole} {bits}, {'0' if e.lanes == 1 else 'zeroinitializer'}"))
    if op == "sign":
        up = e._set(f"fcmp ogt {t} {a[0]}, {const(0.0)}")
        down = e._set(f"fcmp olt {t} {a[0]}, {const(0.0)}")
        nan = e._set(f"fcmp uno {t} {a[0]}, {a[0]}")
        return select(up, const(1.0), select(down, const(-1.0), select(nan, a[0], const(0.0))))
    if op == "copysign":
        return str(e.w.intrinsic("copysign", t, [(t, a[0]), (t, a[1])]))
    if op == "heaviside":
        up = e._set(f"fcmp ogt {t} {a[0]}, {const(0.0)}")
        down = e._set(f"fcmp olt {t} {a[0]}, {const(0.0)}")
        nan = e._set(f"fcmp uno {t} {a[0]}, {a[0]}")
        return select(up, const(1.0), select(down, const(0.0), select(nan, a[0], a[1])))
    if m in e.partner and real:
        return _pair(e, m, e.partner[m], t, a[0])
    if op in FUNCTIONS and real:
        e.needs.add((op, element, e.lanes))
        operands = ", ".join(f"{t} {x}" for x in a)
        return str(e._set(f"call {t} {function(op, element, e.lanes)}({operands})"))
    raise NotImplementedError(op)


def extreme(e: Any, op: str, t: str, real: bool, x: str, y: str) -> str:
    """The larger (smaller) one, ``y`` if they are equal, as in NumPy: 0.0 and -0.0 are; nan if either is."""
    boolean = "i1" if t[0] != "<" else f"<{e.lanes} x i1>"
    if not real:
        c = e._set(f"icmp {'sge' if op in ('max', 'maximum') else 'sle'} {t} {x}, {y}")
        return str(e._set(f"select {boolean} {c}, {t} {x}, {t} {y}"))
    c = e._set(f"fcmp {'ogt' if op in ('max', 'maximum') else 'olt'} {t} {x}, {y}")
    nan = e._set(f"fcmp uno {t} {x}, {x}")
    c = e._set(f"or {boolean} {c}, {nan}")
    return str(e._set(f"select {boolean} {c}, {t} {x}, {t} {y}"))


# Two functions of one argument that share most of their work, and the one that gives both.
PAIRED = {("tanh", "sech2"): "tanh_sech2", ("sin", "cos"): "sincos"}


def partners(members: Sequence[Traced]) -> dict[Traced, Traced]:
    """For each member of a pair the other one."""
    met = {(m.op, m.inputs[0]): m for m in members if any(m.op in pair for pair in PAIRED)}
    found = {}
    for first, second in PAIRED:
        for (op, x), m in met.items():
            other = met.get((second, x)) if op == first else None
            if other is not None:
                found[m], found[other] = other, m
    return found


def _pair(e: Any, m: Traced, other: Traced, t: str, x: str) -> str:
    """Compute both, and remember the other."""
    first = any(m.op == a for a, _ in PAIRED)
    name = PAIRED[(m.op, other.op) if first else (other.op, m.op)]
    element = ELEMENT[m.dtype.char]
    e.needs.add((name, element, e.lanes))
    both = e._set(f"call {{{t}, {t}}} {function(name, element, e.lanes)}({t} {x})")
    one, two = (e._set(f"extractvalue {{{t}, {t}}} {both}, {k}") for k in (0, 1))
    if not first:
        one, two = two, one
    if not e.at_row:  # a row's own values are asked for one by one, in their order
        e.env[other] = two
    return str(one)


def _cast(e: Any, m: Traced, x: str) -> str:
    old, new = m.inputs[0].dtype, m.dtype
    a, b = e._t(m.inputs[0]), e._t(m)
    if a == b:
        return x
    if new.kind == "b":
        zero = ("0.0" if old.kind == "f" else "0") if e.lanes == 1 else "zeroinitializer"
        return str(e._set(f"{'fcmp une' if old.kind == 'f' else 'icmp ne'} {a} {x}, {zero}"))
    if old.kind == "f" and new.kind == "f":
        return str(e._set(f"{'fpext' if new.itemsize > old.itemsize else 'fptrunc'} {a} {x} to {b}"))
    if new.kind == "f":
        return str(e._set(f"{'uitofp' if old.kind == 'b' else 'sitofp'} {a} {x} to {b}"))
    if old.kind == "f":
        return str(e._set(f"fptosi {a} {x} to {b}"))
    if old.kind == "b":
        return str(e._set(f"zext {a} {x} to {b}"))
    return str(e._set(f"{'sext' if new.itemsize > old.itemsize else 'trunc'} {a} {x} to {b}"))
