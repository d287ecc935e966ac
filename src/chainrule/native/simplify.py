"""Simplification: the same program with less to do.

One walk from the inputs to the roots. Each node, on its simplified operands, is folded if they are
all numbers, rewritten by the first row of `RULES` that fits, and merged with an equal node met before.
Every row holds for nan, infinities and the sign of zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.native.operations import ELEMENTWISE, REDUCTIONS, VIEWS
from chainrule.native.reference import order, run
from chainrule.traced import Traced

__all__ = ["RULES", "simplify", "with_inputs"]

LARGE = 4096  # bytes of a constant above which it is not compared with others

Rule = Callable[["Simplifier", Traced], "Traced | None"]


def simplify(roots: Sequence[Traced]) -> list[Traced]:
    """Simpler roots, of the same shapes, dtypes and values."""
    s = Simplifier()
    for x in order(roots):
        s.new[x] = s.visit(x)
    return [s.new[r] for r in roots]


def with_inputs(x: Traced, inputs: tuple[Traced, ...]) -> Traced:
    """``x`` itself, or the same operation on other inputs."""
    if all(a is b for a, b in zip(x.inputs, inputs, strict=True)):
        return x
    return Traced(x.origin, x.op, inputs, x.shape, x.dtype, x.weak, x.params)


class Simplifier:
    """What is known while walking: the new nodes, and by their content the equal ones."""

    def __init__(self) -> None:
        self.new: dict[Traced, Traced] = {}
        self.met: dict[Any, Traced] = {}
        self._filled: dict[Traced, int] = {}

    def visit(self, x: Traced) -> Traced:
        y = with_inputs(x, tuple([self.new[i] for i in x.inputs]))
        for _ in range(8):  # a row's result may be another row's pattern
            found = self._fold(y)
            if found is None:
                for rule in RULES.get(y.op, ()):
                    found = rule(self, y)
                    if found is not None:
                        break
            if found is None or found is y:
                break
            y = found
        return self._merged(y)

    def make(self, op: str, inputs: tuple[Traced, ...], like: Traced, **params: Any) -> Traced:
        """A node of ``like``'s shape and dtype, for a rule; itself merged with its equals."""
        return self._merged(Traced(like.origin, op, inputs, like.shape, like.dtype, like.weak, params))

    def node(
        self, op: str, inputs: tuple[Traced, ...], shape: tuple[int, ...], like: Traced, **params: Any
    ) -> Traced:
        """A node of ``like``'s dtype and another shape."""
        return self._merged(Traced(like.origin, op, inputs, shape, like.dtype, like.weak, params))

    def number(self, value: Any, like: Traced) -> Traced:
        """A scalar constant of ``like``'s dtype."""
        value = np.asarray(value, like.dtype)
        return self._merged(Traced(like.origin, "constant", (), (), like.dtype, like.weak, {"value": value}))

    def same(self, x: Traced, result: Traced) -> Traced | None:
        """An operand in the place of the result, broadcast to its shape, if it is of its kind."""
        known = constant(x)
        if known is not None and x.dtype == result.dtype:
            x = self.number(known, result)
        if x.dtype != result.dtype or x.weak != result.weak:
            return None
        return x if x.shape == result.shape else self.make("broadcast_to", (x,), result)

    def filled(self, x: Traced) -> int:
        """How many elements the `unslice` put somewhere whose sum, or whose union, is ``x``: at most."""
        parts = [self._filled.get(i, i.inputs[0].size if i.op == "unslice" else 0) for i in x.inputs]
        self._filled[x] = total = sum(parts)
        return total

    def _merged(self, x: Traced) -> Traced:
        key = _key(x)
        return x if key is None else self.met.setdefault(key, x)

    def _fold(self, x: Traced) -> Traced | None:
        """A number, where all operands are."""
        if x.op not in ELEMENTWISE or not x.inputs:
            return None
        inputs = [_number(i) for i in x.inputs]
        if not all(i.op == "constant" and not i.shape for i in inputs):
            return None
        with np.errstate(all="ignore"):
            y = run(x, [np.asarray(i.params["value"], i.dtype) for i in inputs])
        return self.same(self.number(y, x), x)


def _key(x: Traced) -> Any:
    """What two equal nodes have in common; None for what is only equal to itself."""
    if x.op in ("input", "call", "item", "scan", "while", "cond", "tape"):
        return None
    ids = tuple(map(id, x.inputs))
    if x.op == "constant":
        large = x.nbytes > LARGE
        value = id(x.params["value"]) if large else np.asarray(x.params["value"], x.dtype).tobytes()
        return (x.op, value, x.shape, x.dtype.char, x.weak)
    if not x.params:
        return (x.op, ids, x.shape, x.dtype.char, x.weak)
    return (x.op, ids, x.shape, x.dtype.char, x.weak, tuple(x.params.items()))


# -------------------------------------------------------------------- the rules


def _number(x: Traced) -> Traced:
    """A node seen through broadcasts."""
    while x.op in ("broadcast_to", "reshape"):
        x = x.inputs[0]
    return x


def constant(x: Traced) -> Any:
    """The number a node always has, seen through broadcasts; None if there is none."""
    x = _number(x)
    if x.op == "constant" and not x.shape:
        return np.asarray(x.params["value"]).item()
    return None


def _is(x: Traced, value: float) -> bool:
    c = constant(x)
    return c is not None and c == value and math.copysign(1, c) == math.copysign(1, value)


def _scalar_operands(s: Simplifier, x: Traced) -> Traced | None:
    """f(broadcast(c), y) = f(c, y): elementwise operations broadcast by themselves."""
    shapes = [i.shape for i in x.inputs]
    inputs = list(x.inputs)
    for k, i in enumerate(inputs):
        while i.op == "broadcast_to" and _fits(i.inputs[0].shape, shapes, k, x.shape):
            i = i.inputs[0]
            shapes[k] = i.shape
        if i is not inputs[k]:
            inputs[k] = i
    made = with_inputs(x, tuple(inputs))
    return None if made is x else made


def _fits(shape: tuple[int, ...], shapes: list[tuple[int, ...]], k: int, want: tuple[int, ...]) -> bool:
    others = [shape if i == k else s for i, s in enumerate(shapes)]
    return np.broadcast_shapes(*others) == want


def _multiply(s: Simplifier, x: Traced) -> Traced | None:
    """1·x = x;  -1·x = -x."""
    for a, b in (x.inputs, x.inputs[::-1]):
        if _is(a, 1.0) and x.dtype.kind == "f":
            return s.same(b, x)
        if _is(a, -1.0) and x.dtype.kind == "f" and b.shape == x.shape:
            return s.make("negative", (b,), x)
    return None


def _add(s: Simplifier, x: Traced) -> Traced | None:
    """-0.0 + x = x (0.0 + x is not: it turns -0.0 into 0.0);  x + -y = x - y."""
    for a, b in (x.inputs, x.inputs[::-1]):
        if _is(a, -0.0) and x.dtype.kind == "f":
            return s.same(b, x)
    a, b = x.inputs
    if b.op == "negative" and x.dtype.kind == "f":
        return s.make("subtract", (a, b.inputs[0]), x)
    return None


def _joined(s: Simplifier, x: Traced) -> Traced | None:
    """Arrays put into zeros, one where the other ends, and added: 0.0 + each, one behind the other."""
    if s.filled(x) != x.size:
        return None
    parts, waiting = [], [x]
    while waiting:
        y = waiting.pop()
        if y.op == "add" and all(i.shape == x.shape for i in y.inputs):
            waiting += y.inputs
        elif y.op == "unslice" and y.dtype.kind == "f" and set(y.params["steps"]) == {1}:
            parts.append(y)
        else:
            return None
    cut = {k for y in parts for k in range(x.ndim) if y.inputs[0].shape[k] != x.shape[k]}
    if len(cut) != 1:
        return None
    (axis,) = cut
    parts.sort(key=lambda y: y.params["starts"][axis])
    end = 0
    for y in parts:
        if y.params["starts"][axis] != end:
            return None
        end += y.inputs[0].shape[axis]
    if end != x.shape[axis]:
        return None
    zero = s.number(0.0, x)
    plus = [s.node("add", (zero, y.inputs[0]), y.inputs[0].shape, x) for y in parts]
    return s.make("concatenate", tuple(plus), x, axis=axis)


def _together(s: Simplifier, x: Traced) -> Traced | None:
    """Trues put into falses, which together are everywhere: true."""
    if x.dtype.kind != "b" or s.filled(x) < x.size:
        return None
    found, waiting = np.zeros(x.shape, bool), [x]
    while waiting:
        y = waiting.pop()
        if y.op == x.op:
            waiting += y.inputs
        elif y.op == "unslice" and _is(y.inputs[0], True):
            found |= run(y, [np.ones(y.inputs[0].shape, bool)])
    return s.same(s.number(True, x), x) if found.all() else None


def _any(s: Simplifier, x: Traced) -> Traced | None:
    """Of what is known;  any(reshape(m)) = reshape(any(m));  of trues put into every row, somewhere."""
    a, axes = x.inputs[0], x.params["axis"]
    if (known := _array(a)) is not None:
        return s.same(s.number(True, x), x) if known.any(axes).all() else None
    over = a.shape[min(axes, default=a.ndim) :]
    if a.op == "reshape" and a.size and len(over) == len(axes) and a.inputs[0].shape[-len(axes) :] == over:
        b = a.inputs[0]
        last = tuple(range(b.ndim - len(axes), b.ndim))
        made = s.node("any", (b,), b.shape[: -len(axes)] + (1,) * len(axes), x, axis=last)
        simpler = _any(s, made)
        return s.make("reshape", (made if simpler is None else simpler,), x)
    if a.op != "scatter_add" or not _is(a.inputs[0], True):
        return None
    index = [0 if k in axes else _array(i) for k, i in enumerate(a.inputs[1:])]
    if any(i is None for i in index):
        return None
    found = np.zeros(x.shape, bool)
    found[tuple(index)] = True
    return s.same(s.number(True, x), x) if found.all() else None


def _array(x: Traced) -> Any:
    """The array that a node always is, seen through views; None if that is not known."""
    views = []
    while x.op in ("broadcast_to", "reshape", "transpose"):
        views.append(x)
        x = x.inputs[0]
    if x.op != "constant":
        return None
    known = np.asarray(x.params["value"], x.dtype)
    for y in reversed(views):
        known = run(y, [known])
    return known


def _uniform(s: Simplifier, x: Traced) -> Traced | None:
    """A mask that is the same everywhere is a number."""
    mask = x.params["value"]
    if x.dtype.kind != "b" or not x.shape or not x.size or mask.any() != mask.all():
        return None
    return s.same(s.number(mask.all(), x), x)


def _subtract(s: Simplifier, x: Traced) -> Traced | None:
    """X - 0.0 = x;  x - -y = x + y."""
    a, b = x.inputs
    if _is(b, 0.0) and x.dtype.kind == "f":
        return s.same(a, x)
    if b.op == "negative" and x.dtype.kind == "f":
        return s.make("add", (a, b.inputs[0]), x)
    return None


def _divide(s: Simplifier, x: Traced) -> Traced | None:
    """X / 2ᵏ = x · 2⁻ᵏ, exactly."""
    c = constant(x.inputs[1])
    if c and math.isfinite(c) and abs(math.frexp(c)[0]) == 0.5 and abs(math.frexp(c)[1]) < 100:
        return s.make("multiply", (x.inputs[0], s.number(1 / c, x.inputs[1])), x)
    return None


def _negative(s: Simplifier, x: Traced) -> Traced | None:
    """-(-x) = x."""
    a = x.inputs[0]
    return s.same(a.inputs[0], x) if a.op == "negative" else None


def _power(s: Simplifier, x: Traced) -> Traced | None:
    """x¹ = x;  x² = x·x;  x³ = x·x·x;  x⁻¹ = 1/x;  x^½ = √x, as NumPy has it;  x⁰ = 1."""
    a, b = x.inputs
    c = constant(b)
    if x.dtype.kind != "f" or a.shape != x.shape or c is None:
        return None
    if c == 1:
        return s.same(a, x)
    if c == 2:
        return s.make("multiply", (a, a), x)
    if c == 3:
        return s.make("multiply", (s.make("multiply", (a, a), x), a), x)
    if c == -1:
        return s.make("reciprocal", (a,), x)
    if c == 0.5:
        return s.make("sqrt", (a,), x)
    return s.number(1.0, x) if c == 0 and not x.shape else None


def _square(s: Simplifier, x: Traced) -> Traced | None:
    """x² = x·x, so that both are one."""
    return s.make("multiply", (x.inputs[0], x.inputs[0]), x)


def _reciprocal(s: Simplifier, x: Traced) -> Traced | None:
    """1 / cosh²x = sech²x."""
    a = x.inputs[0]
    if a.op == "multiply" and a.inputs[0] is a.inputs[1] and a.inputs[0].op == "cosh":
        return s.make("sech2", a.inputs[0].inputs, x)
    return None


def _where(s: Simplifier, x: Traced) -> Traced | None:
    """where(c, x, x) = x;  where(c, a/d, b/d) = where(c, a, b)/d;  a mask within the same mask."""
    c, a, b = x.inputs
    if a is b:
        return s.same(a, x)
    known = constant(c)
    if known is not None:
        return s.same(a if known else b, x)
    if a.op == b.op == "divide" and a.inputs[1] is b.inputs[1] and a.shape == b.shape == x.shape:
        top = s.make("where", (c, a.inputs[0], b.inputs[0]), x)
        return s.make("divide", (top, a.inputs[1]), x)
    p = a.inputs[1] if a.op == "where" and a.inputs[0] is c else a
    q = b.inputs[2] if b.op == "where" and b.inputs[0] is c else b
    fewer = (p is not a or q is not b) and np.broadcast_shapes(c.shape, p.shape, q.shape) == x.shape
    return s.make("where", (c, p, q), x) if fewer else None


def _chosen(s: Simplifier, x: Traced) -> Traced | None:
    """Max(a, c) = a is a ≥ c, of a number c;  max(a, c) = c is a ≤ c;  max(a, c) is nan where a is."""
    z, other = x.inputs
    if z.op not in ("maximum", "minimum") or z.dtype.kind != "f":
        return None
    a, c = z.inputs
    number = constant(c)
    if number is None or math.isnan(number) or a.shape != x.shape:
        return None
    if x.op == "not_equal":
        return s.make("not_equal", (a, a), x) if other is z else None
    if other is a:
        return s.make("greater_equal" if z.op == "maximum" else "less_equal", (a, c), x)
    if constant(other) == number:
        return s.make("less_equal" if z.op == "maximum" else "greater_equal", (a, c), x)
    return None


def _cast(s: Simplifier, x: Traced) -> Traced | None:
    """A cast to what it is; of a cast that lost nothing."""
    a = x.inputs[0]
    if a.dtype == x.dtype:
        if a.weak == x.weak:
            return a
        if a.op == "cast" and a.inputs[0].dtype == a.dtype:
            return s.make("cast", a.inputs, x)
    return None


def _logic(absorbing: bool) -> Rule:
    """M | m = m;  m | true = true;  m | false = m;  and with true and false exchanged for &."""

    def rule(s: Simplifier, x: Traced) -> Traced | None:
        a, b = x.inputs
        if x.dtype.kind != "b":
            return None
        if a is b:
            return s.same(a, x)
        for p, q in ((a, b), (b, a)):
            known = constant(p)
            if known is not None:
                return s.same(s.number(known, x) if bool(known) == absorbing else q, x)
        return None

    return rule


def _xor(s: Simplifier, x: Traced) -> Traced | None:
    """M ^ false = m;  m ^ true = not m."""
    for p, q in (x.inputs, x.inputs[::-1]):
        known = constant(p)
        if x.dtype.kind == "b" and known is not None:
            return s.make("logical_not", (q,), x) if known else s.same(q, x)
    return None


def _reshape(s: Simplifier, x: Traced) -> Traced | None:
    """A reshape of a reshape is one; of a single number's broadcast a broadcast."""
    a = x.inputs[0]
    if a.shape == x.shape:
        return s.same(a, x)
    if a.op == "reshape":
        return s.make("reshape", a.inputs, x)
    if a.op == "broadcast_to" and a.inputs[0].shape == ():
        return s.make("broadcast_to", a.inputs, x)
    return None


def _transpose(s: Simplifier, x: Traced) -> Traced | None:
    """A transpose of a transpose is one, or none; of a number everywhere a broadcast."""
    a = x.inputs[0]
    if a.op == "broadcast_to" and a.inputs[0].shape == ():
        return s.make("broadcast_to", a.inputs, x)
    if a.op != "transpose":
        return None
    axes = tuple(a.params["axes"][k] for k in x.params["axes"])
    if axes == tuple(range(len(axes))):
        return s.same(a.inputs[0], x)
    return s.make("transpose", a.inputs, x, axes=axes)


def _broadcast_to(s: Simplifier, x: Traced) -> Traced | None:
    """A broadcast of a broadcast is one."""
    a = x.inputs[0]
    if a.shape == x.shape:
        return s.same(a, x)
    return s.make("broadcast_to", a.inputs, x) if a.op == "broadcast_to" else None


def _slice(s: Simplifier, x: Traced) -> Traced | None:
    """A part of where(m, a, 0) is chosen from the parts of m and a, and the rest from nowhere."""
    a = x.inputs[0]
    if a.op != "where" or not _is(a.inputs[2], 0.0):
        return None
    c, b = [s.node("broadcast_to", (i,), a.shape, i) if i.shape != a.shape else i for i in a.inputs[:2]]
    parts = [s.node("slice", (i,), x.shape, i, **x.params) for i in (c, b)]
    return s.make("where", (*parts, a.inputs[2]), x)


def _sum(s: Simplifier, x: Traced) -> Traced | None:
    """A sum of a sum over other axes is one sum;  Σᵢ Xᵢᵀ Gᵢ = XᵀG, the Xᵢ and Gᵢ on top of each other."""
    a = x.inputs[0]
    if a.op == "matmul" and a.ndim > 2 and x.params["axis"] == tuple(range(a.ndim - 2)):
        return _stacked(s, x, a)
    if a.op == "sum":
        params = {k: v for k, v in a.params.items() if k in x.params}  # from -0.0 only if both start there
        params["axis"] = tuple(sorted({*a.params["axis"], *x.params["axis"]}))
        return s.make("sum", a.inputs, x, **params)
    return None


def _stacked(s: Simplifier, x: Traced, product: Traced) -> Traced | None:
    left, right = product.inputs
    turned = (*range(left.ndim - 2), left.ndim - 1, left.ndim - 2)
    if left.op != "transpose" or left.params["axes"] != turned or left.shape[:-2] != product.shape[:-2]:
        return None
    if right.shape[:-2] != product.shape[:-2]:
        return None
    rows = math.prod(right.shape[:-1])
    flat = s.node("reshape", left.inputs, (rows, product.shape[-2]), x)
    flat = s.node("transpose", (flat,), (product.shape[-2], rows), x, axes=(1, 0))
    other = s.node("reshape", (right,), (rows, product.shape[-1]), x)
    return s.node("reshape", (s.node("matmul", (flat, other), product.shape[-2:], x),), x.shape, x)


def _sink(s: Simplifier, x: Traced) -> Traced | None:
    """f(aᵀ, bᵀ) = f(a, b)ᵀ, of three axes and more: those on both sides of it meet, and cancel."""
    turned = [i for i in x.inputs if i.op == "transpose" and i.shape == x.shape]
    if x.ndim < 3 or not turned:
        return None
    axes = turned[0].params["axes"]
    back = tuple(axes.index(k) for k in range(x.ndim))
    inputs = []
    for i in x.inputs:
        if i.op == "transpose" and i.shape == x.shape and i.params["axes"] == axes:
            i = i.inputs[0]
        elif i.size == x.size and x.size > 1:
            return None
        elif i.shape:
            wide = (1,) * (x.ndim - i.ndim) + i.shape
            i = s.node("reshape", (i,), wide, i) if wide != i.shape else i
            i = s.node("transpose", (i,), tuple(wide[k] for k in back), i, axes=back)
        inputs.append(i)
    made = s.node(x.op, tuple(inputs), turned[0].inputs[0].shape, x, **x.params)
    return s.node("transpose", (made,), x.shape, x, axes=axes)


def _sink_reduction(s: Simplifier, x: Traced) -> Traced | None:
    """Σ aᵀ = (Σ a)ᵀ, over the axes where they were."""
    a = x.inputs[0]
    if x.ndim < 3 or a.op != "transpose":
        return None
    axes = a.params["axes"]
    over = tuple(sorted(axes[k] for k in x.params["axis"]))
    shape = tuple(1 if k in over else n for k, n in enumerate(a.inputs[0].shape))
    made = s.node(x.op, a.inputs, shape, x, axis=over)
    return s.node("transpose", (made,), x.shape, x, axes=axes)


RULES: dict[str, list[Rule]] = {
    "constant": [_uniform],
    "multiply": [_multiply],
    "add": [_add, _joined],
    "subtract": [_subtract],
    "divide": [_divide],
    "negative": [_negative],
    "power": [_power],
    "square": [_square],
    "reciprocal": [_reciprocal],
    "where": [_where],
    "equal": [_chosen],
    "not_equal": [_chosen],
    "cast": [_cast],
    "logical_or": [_logic(True), _together],
    "bitwise_or": [_logic(True), _together],
    "logical_and": [_logic(False)],
    "bitwise_and": [_logic(False)],
    "logical_xor": [_xor],
    "bitwise_xor": [_xor],
    "reshape": [_reshape],
    "transpose": [_transpose],
    "broadcast_to": [_broadcast_to],
    "slice": [_slice],
    "sum": [_sum],
    "any": [_any],
}
for _op in ELEMENTWISE - VIEWS:
    RULES.setdefault(_op, []).extend([_scalar_operands, _sink])
for _op in REDUCTIONS:
    RULES.setdefault(_op, []).append(_sink_reduction)
