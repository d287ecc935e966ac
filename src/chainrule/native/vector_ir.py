"""Functions of vectors, written as formulas and read as LLVM IR text.

A `Lane` stands for one value of the function being written: a vector of N numbers, integers or truth values
(N = 1: a scalar). Arithmetic on lanes appends a line of IR and returns the lane it defines, so that
``fma(r, q, 1.0) / d`` is both the formula and its translation. No fast-math flag is ever set: what stands
here is computed as it stands, ``fma`` with one rounding.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence

Number = int | float

_INTEGER = {"double": "i64", "float": "i32"}
_REAL = {"i64": "double", "i32": "float"}
_SUFFIX = {"double": "f64", "float": "f32", "i64": "i64", "i32": "i32", "i1": "i1"}
MANTISSA = {"double": 52, "float": 23}  # explicit bits


def literal(kind: str, value: Number) -> str:
    """A constant of an element type; a real one in hexadecimal, which LLVM reads exactly."""
    if kind == "i1":
        return "true" if value else "false"
    if kind[0] == "i":
        return str(int(value))
    if kind == "float" and math.isfinite(value):
        value = struct.unpack("f", struct.pack("f", value))[0]
    return f"0x{struct.unpack('Q', struct.pack('d', value))[0]:016X}"


class Text:
    """The lines of one function, the intrinsics it declares and the functions it calls."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.called: set[tuple[str, str, int]] = set()
        self.names = 0
        self.block = "entry"

    def type(self, kind: str) -> str:
        return kind if self.lanes == 1 else f"<{self.lanes} x {kind}>"

    def name(self, stem: str = "v") -> str:
        self.names += 1
        return f"{stem}{self.names}"

    def line(self, kind: str, operation: str) -> Lane:
        name = "%" + self.name()
        self.lines.append(f"  {name} = {operation}")
        return Lane(self, kind, name)

    def constant(self, kind: str, value: Number) -> Lane:
        one = literal(kind, value)
        if self.lanes == 1:
            return Lane(self, kind, one)
        return Lane(self, kind, f"<{', '.join([f'{kind} {one}'] * self.lanes)}>")

    def start(self, block: str) -> None:
        self.lines.append(f"{block}:")
        self.block = block

    def intrinsic(self, name: str, kind: str, *operands: Lane) -> Lane:
        """``llvm.name`` over operands of one type."""
        width = _SUFFIX[kind] if self.lanes == 1 else f"v{self.lanes}{_SUFFIX[kind]}"
        symbol, t = f"@llvm.{name}.{width}", self.type(kind)
        self.declared.add(f"declare {t} {symbol}({', '.join([t] * len(operands))})")
        return self.line(kind, f"call {t} {symbol}({', '.join(f'{t} {v.name}' for v in operands)})")

    def any(self, mask: Lane) -> str:
        """The name of an i1: whether the mask holds in any lane."""
        if self.lanes == 1:
            return mask.name
        t, symbol = self.type("i1"), f"@llvm.vector.reduce.or.v{self.lanes}i1"
        self.declared.add(f"declare i1 {symbol}({t})")
        return self.line("i1", f"call i1 {symbol}({t} {mask.name})").name

    def rarely(self, mask: Lane, result: Lane, function: tuple[str, str, int], *operands: Lane) -> Lane:
        """``result``, or where a lane of ``mask`` is set the whole of ``function(*operands, result)``."""
        self.called.add(function)
        slow, done, before = self.name("slow"), self.name("done"), self.block
        self.lines.append(f"  br i1 {self.any(mask)}, label %{slow}, label %{done}")
        self.start(slow)
        t = result.type
        given = ", ".join(f"{v.type} {v.name}" for v in (*operands, result))
        again = self.line(result.kind, f"call {t} {symbol(*function)}({given})")
        self.lines.append(f"  br label %{done}")
        self.start(done)
        return self.line(result.kind, f"phi {t} [{result.name}, %{before}], [{again.name}, %{slow}]")

    def repeat(self, first: Lane, step: Callable[[Lane], tuple[Lane, Lane]]) -> Lane:
        """``x = first; do x, more = step(x) while any(more)``."""
        loop, done, before = self.name("loop"), self.name("done"), self.block
        self.lines.append(f"  br label %{loop}")
        self.start(loop)
        x = self.line(first.kind, "")  # its operands are known at the end of the loop
        place = len(self.lines) - 1
        y, more = step(x)
        again = f"[{first.name}, %{before}], [{y.name}, %{self.block}]"
        self.lines[place] = f"  {x.name} = phi {x.type} {again}"
        self.lines.append(f"  br i1 {self.any(more)}, label %{loop}, label %{done}")
        self.start(done)
        return y


class Lane:
    """One value of the function being written."""

    __slots__ = ("kind", "name", "text")

    def __init__(self, text: Text, kind: str, name: str) -> None:
        self.text, self.kind, self.name = text, kind, name

    @property
    def type(self) -> str:
        return self.text.type(self.kind)

    def like(self, value: Lane | Number) -> Lane:
        return value if isinstance(value, Lane) else self.text.constant(self.kind, value)

    def _binary(self, a: Lane | Number, b: Lane | Number, real: str, integer: str) -> Lane:
        operation = integer if self.kind[0] == "i" else real
        return self.text.line(self.kind, f"{operation} {self.type} {self.like(a).name}, {self.like(b).name}")

    def __add__(self, other: Lane | Number) -> Lane:
        return self._binary(self, other, "fadd", "add")

    def __radd__(self, other: Number) -> Lane:
        return self._binary(other, self, "fadd", "add")

    def __sub__(self, other: Lane | Number) -> Lane:
        return self._binary(self, other, "fsub", "sub")

    def __rsub__(self, other: Number) -> Lane:
        return self._binary(other, self, "fsub", "sub")

    def __mul__(self, other: Lane | Number) -> Lane:
        return self._binary(self, other, "fmul", "mul")

    def __rmul__(self, other: Number) -> Lane:
        return self._binary(other, self, "fmul", "mul")

    def __truediv__(self, other: Lane | Number) -> Lane:
        return self._binary(self, other, "fdiv", "")

    def __rtruediv__(self, other: Number) -> Lane:
        return self._binary(other, self, "fdiv", "")

    def __neg__(self) -> Lane:
        if self.kind[0] == "i":
            return 0 - self
        return self.text.line(self.kind, f"fneg {self.type} {self.name}")

    # integers and truth values
    def __and__(self, other: Lane | Number) -> Lane:
        return self._binary(self, other, "", "and")

    def __or__(self, other: Lane | Number) -> Lane:
        return self._binary(self, other, "", "or")

    def __xor__(self, other: Lane | Number) -> Lane:
        return self._binary(self, other, "", "xor")

    def __invert__(self) -> Lane:
        return self ^ (True if self.kind == "i1" else -1)

    def __lshift__(self, other: int) -> Lane:
        return self._binary(self, other, "", "shl")

    def __rshift__(self, other: int) -> Lane:
        return self._binary(self, other, "", "ashr")

    # comparisons are false where either side is nan
    def _compare(self, other: Lane | Number, real: str, integer: str) -> Lane:
        operation = f"icmp {integer}" if self.kind[0] == "i" else f"fcmp {real}"
        return self.text.line("i1", f"{operation} {self.type} {self.name}, {self.like(other).name}")

    def __lt__(self, other: Lane | Number) -> Lane:
        return self._compare(other, "olt", "slt")

    def __le__(self, other: Lane | Number) -> Lane:
        return self._compare(other, "ole", "sle")

    def __gt__(self, other: Lane | Number) -> Lane:
        return self._compare(other, "ogt", "sgt")

    def __ge__(self, other: Lane | Number) -> Lane:
        return self._compare(other, "oge", "sge")

    def equals(self, other: Lane | Number) -> Lane:
        return self._compare(other, "oeq", "eq")

    def to(self, kind: str) -> Lane:
        """The number in the other precision."""
        if kind == self.kind:
            return self
        operation = "fpext" if kind == "double" else "fptrunc"
        return self.text.line(kind, f"{operation} {self.type} {self.name} to {self.text.type(kind)}")


def symbol(name: str, dtype: str, lanes: int) -> str:
    """The name of a function in the module."""
    return f"@cr_{name}_{dtype[0]}{lanes}"


def _bitcast(x: Lane, kind: str) -> Lane:
    return x.text.line(kind, f"bitcast {x.type} {x.name} to {x.text.type(kind)}")


def bits(x: Lane) -> Lane:
    """The representation of a real number as an integer."""
    return _bitcast(x, _INTEGER[x.kind])


def real(n: Lane) -> Lane:
    """The real number that an integer represents."""
    return _bitcast(n, _REAL[n.kind])


def bits_of(kind: str, value: float) -> int:
    """The representation of a constant, as a signed integer."""
    real_code, integer_code = ("d", "q") if kind == "double" else ("f", "i")
    return int(struct.unpack(integer_code, struct.pack(real_code, value))[0])


def _first(*operands: Lane | Number) -> Lane:
    return next(v for v in operands if isinstance(v, Lane))


def fma(a: Lane | Number, b: Lane | Number, c: Lane | Number) -> Lane:
    """``a b + c`` with one rounding."""
    v = _first(a, b, c)
    return v.text.intrinsic("fma", v.kind, v.like(a), v.like(b), v.like(c))


def select(mask: Lane, a: Lane | Number, b: Lane | Number) -> Lane:
    """``a`` where the mask is set, else ``b``."""
    v = _first(a, b)
    a, b = v.like(a), v.like(b)
    return v.text.line(v.kind, f"select {mask.type} {mask.name}, {v.type} {a.name}, {v.type} {b.name}")


def at_most(x: Lane, bound: Lane | Number) -> Lane:
    """``min(x, bound)``, nan where x is nan."""
    return select(x > bound, x.like(bound), x)


def at_least(x: Lane, bound: Lane | Number) -> Lane:
    """``max(x, bound)``, nan where x is nan."""
    return select(x < bound, x.like(bound), x)


def fabs(x: Lane) -> Lane:
    """``|x|``."""
    return x.text.intrinsic("fabs", x.kind, x)


def sqrt(x: Lane) -> Lane:
    """``√x``, correctly rounded."""
    return x.text.intrinsic("sqrt", x.kind, x)


def rint(x: Lane) -> Lane:
    """The nearest integer, the even one at a tie."""
    return x.text.intrinsic("rint", x.kind, x)


def floor(x: Lane) -> Lane:
    """``⌊x⌋``."""
    return x.text.intrinsic("floor", x.kind, x)


def trunc(x: Lane) -> Lane:
    """The integer part, towards 0."""
    return x.text.intrinsic("trunc", x.kind, x)


def copysign(x: Lane | Number, sign: Lane) -> Lane:
    """``|x|`` with the sign bit of ``sign``."""
    return sign.text.intrinsic("copysign", sign.kind, sign.like(x), sign)


def negative(x: Lane) -> Lane:
    """Whether the sign bit is set: true of -0."""
    return bits(x) < 0


def polynomial(x: Lane, table: Mapping[str, Sequence[float]]) -> Lane:
    """``c0 + c1 x + c2 x² + ...``, the coefficients of x's own precision.

    Even and odd powers are two chains of Horner's rule in x²: half the latency for one more product.
    """
    coefficients = table[x.kind]
    if len(coefficients) < 4:
        return _horner(x, coefficients)
    square = x * x
    return fma(_horner(square, coefficients[1::2]), x, _horner(square, coefficients[0::2]))


def _horner(x: Lane, coefficients: Sequence[float]) -> Lane:
    sum_ = x.like(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        sum_ = fma(sum_, x, c)
    return sum_


def two_to(n: Lane) -> Lane:
    """2ⁿ for integers n within the range of normal numbers; only n's low bits are read."""
    kind = _REAL[n.kind]
    return real((n << MANTISSA[kind]) + bits_of(kind, 1.0))
