"""Products of matrices as LLVM IR, for one thread.

C is computed in blocks that stay in registers: a few rows by a few vectors of columns. For each step
along the inner axis the vectors of B are loaded once and multiplied by the numbers of A. Sizes are
known, so nothing has to be prepared, and little has to be packed: panels of B, where its columns do not
lie side by side, or where it is so large that its rows are too far apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from chainrule.native.text import Writer, literal

__all__ = ["ALONE", "STACK", "Level", "product"]

ALONE = 1 << 22  # multiplications up to which one thread is as quick as several
STACK = 1 << 20  # bytes of a packed panel of B
FAR = 1 << 19  # bytes of B above which its panels are packed for the sake of the page tables
REGISTERS = 24  # vectors of C in one block


class Level(NamedTuple):
    """One level of the inner axis: its size, and the steps it takes in A and in B.

    A matrix product has one; that of a convolution one for each axis of the kernel. Together the levels go
    through the rows of B one after the other.
    """

    size: int
    a: int
    b: int


def product(
    w: Writer,
    kind: str,
    bits: int,
    sizes: tuple[int, int],
    inner: Sequence[Level],
    a: tuple[str, int],
    b: tuple[str, int],
    c: tuple[str, int],
    alpha: float | str,
    added: bool,
) -> None:
    """Write ``C = alpha A B`` or, if ``added``, ``C += alpha A B``.

    Parameters
    ----------
    kind : str
        ``"double"`` or ``"float"``.
    sizes : (m, n)
        Rows and columns of C.
    inner : sequence of Level
        What is summed over, outermost first.
    a, c : (pointer, step from row to row)
    b : (pointer, step from column to column)
    """
    m, n = sizes
    k = math.prod(level.size for level in inner)
    size = 8 if kind == "double" else 4
    lanes = min(bits // (8 * size), 1 << (n - 1).bit_length())
    vectors = -(-n // lanes)
    panel = min(vectors, 3 if vectors % 3 == 0 or vectors > 4 else 2 if vectors > 1 else 1)
    rows = min(m, REGISTERS // panel, 8)
    rows = -(-m // -(-m // rows))  # blocks as equal as can be
    dense = (b[1] == 1 or n == 1) and (k * n * size <= FAR or m < 4 * rows)
    place = "" if dense else w.early(f"alloca [{k * panel * lanes} x {kind}], align 64")

    def panels(shift: str, columns: list[int]) -> None:
        block = _Block(w, kind, size, lanes, n, inner, a, b, c, alpha, added, shift, columns)
        if not dense:
            block.pack(place)
        whole, rest = divmod(m, rows)
        if whole:
            with w.loop(whole) as i:
                block.write(w.index([(i, rows)]), rows)
        if rest:
            block.write(str(whole * rows), rest)

    full = n // (lanes * panel)
    if full:
        with w.loop(full) as q:
            panels(w.index([(q, lanes * panel)]), [v * lanes for v in range(panel)])
    left = [v * lanes for v in range(full * panel, vectors)]
    if left:
        panels("0", left)


def _transposed(w: Writer, t: str, lanes: int, lines: list[str]) -> list[str]:
    """A square of numbers turned over: half of the lines is shuffled into the other, again and again."""
    half = lanes // 2
    low = ", ".join(f"i32 {j}, i32 {lanes + j}" for j in range(half))
    high = ", ".join(f"i32 {half + j}, i32 {lanes + half + j}" for j in range(half))
    n = half
    while n:
        lines = [
            w.set(f"shufflevector {t} {lines[i]}, {t} {lines[i + half]}, <{lanes} x i32> <{which}>")
            for i in range(half)
            for which in (low, high)
        ]
        n //= 2
    return lines


class _Block:
    """Some vectors of columns, for any rows."""

    def __init__(
        self,
        w: Writer,
        kind: str,
        size: int,
        lanes: int,
        n: int,
        inner: Sequence[Level],
        a: tuple[str, int],
        b: tuple[str, int],
        c: tuple[str, int],
        alpha: float | str,
        added: bool,
        shift: str,
        columns: list[int],
    ) -> None:
        self.w, self.kind, self.size, self.lanes, self.n, self.inner = w, kind, size, lanes, n, inner
        self.a, self.b, self.c, self.alpha, self.added = a, b, c, alpha, added
        self.shift, self.columns = shift, columns
        self.packed = False
        self.t = kind if lanes == 1 else f"<{lanes} x {kind}>"

    def pack(self, place: str) -> None:
        """Copy the columns of B, which lie one after the other, to rows of the block's width."""
        w, kind, lanes, t = self.w, self.kind, self.lanes, self.t
        (base, across), along = self.b, self.inner[-1].b
        k = math.prod(level.size for level in self.inner)
        width = lanes * len(self.columns)
        for v, column in enumerate(self.columns):
            turned = along == 1 and across != 1 and column + lanes <= self.n and lanes > 1
            whole = k // lanes if turned else 0
            if whole:
                with w.loop(whole) as i:
                    lines = []
                    for j in range(lanes):
                        at = w.index([(i, lanes), (self.shift, across)], (column + j) * across)
                        at = w.set(f"getelementptr {kind}, ptr {base}, i64 {at}")
                        lines.append(w.set(f"load {t}, ptr {at}, align {self.size}"))
                    for j, line in enumerate(_transposed(w, t, lanes, lines)):
                        to = w.index([(i, lanes * width)], j * width + v * lanes)
                        to = w.set(f"getelementptr {kind}, ptr {place}, i64 {to}")
                        w.line(f"store {t} {line}, ptr {to}, align {self.size}")
            if across == 1 and not whole and lanes > 1:
                with w.loop(k) as i:
                    x = self._memory(base, w.index([(i, along)]), column)
                    to = w.set(f"getelementptr {kind}, ptr {place}, i64 {w.index([(i, width)], v * lanes)}")
                    w.line(f"store {t} {x}, ptr {to}, align {self.size}")
                continue
            rest = k - whole * lanes
            if rest:
                with w.loop(rest) as i, w.loop(min(lanes, self.n - column)) as one:
                    start = whole * lanes * along + column * across
                    at = w.index([(i, along), (one, across), (self.shift, across)], start)
                    at = w.set(f"getelementptr {kind}, ptr {base}, i64 {at}")
                    x = w.set(f"load {kind}, ptr {at}")
                    to = w.index([(i, width), (one, 1)], whole * lanes * width + v * lanes)
                    to = w.set(f"getelementptr {kind}, ptr {place}, i64 {to}")
                    w.line(f"store {kind} {x}, ptr {to}")
        sizes = [level.size for level in self.inner]
        rows = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
        self.inner = [Level(v.size, v.a, r * width) for v, r in zip(self.inner, rows, strict=True)]
        self.b, self.packed = (place, 1), True

    def write(self, row: str, rows: int) -> None:
        """The block from ``row`` on."""
        w, t = self.w, self.t
        zero = literal(self.kind, 0.0) if self.lanes == 1 else "zeroinitializer"
        sums = [[w.early(f"alloca {t}, align 64") for _ in self.columns] for _ in range(rows)]
        for line in sums:
            for place in line:
                w.line(f"store {t} {zero}, ptr {place}")
        start = w.set(f"getelementptr {self.kind}, ptr {self.a[0]}, i64 {w.index([(row, self.a[1])])}")

        def level(depth: int, left: list[tuple[str, int]], right: list[tuple[str, int]]) -> None:
            if depth < len(self.inner):
                n, a, b = self.inner[depth]
                with w.loop(n) as p:
                    level(depth + 1, [*left, (p, a)], [*right, (p, b)])
                return
            along = w.index(right)
            first = self.columns[0] if self.packed else 0
            vectors = [self._memory(self.b[0], along, column, first) for column in self.columns]
            for r in range(rows):
                at = w.set(f"getelementptr {self.kind}, ptr {start}, i64 {w.index(left, r * self.a[1])}")
                x = self._spread(w.set(f"load {self.kind}, ptr {at}, align {self.size}"))
                for place, y in zip(sums[r], vectors, strict=True):
                    old = w.set(f"load {t}, ptr {place}")
                    new = w.intrinsic("fma", t, [(t, x), (t, y), (t, old)])
                    w.line(f"store {t} {new}, ptr {place}")

        level(0, [], [])
        factor = self.alpha if isinstance(self.alpha, str) else literal(self.kind, self.alpha)
        scaled = isinstance(self.alpha, str) or self.alpha != 1.0
        many = self._spread(factor) if scaled else ""
        for r in range(rows):
            along = w.index([(row, self.c[1])], r * self.c[1])
            for column, place in zip(self.columns, sums[r], strict=True):
                x = w.set(f"load {t}, ptr {place}")
                if self.added:
                    old = self._memory(self.c[0], along, column)
                    if scaled:
                        x = w.intrinsic("fma", t, [(t, x), (t, many), (t, old)])
                    else:
                        x = w.set(f"fadd {t} {x}, {old}")
                elif scaled:
                    x = w.set(f"fmul {t} {x}, {many}")
                self._store(self.c[0], along, column, x)

    def _spread(self, x: str) -> str:
        if self.lanes == 1:
            return x
        t = self.t
        one = self.w.set(f"insertelement {t} poison, {self.kind} {x}, i64 0")
        return self.w.set(f"shufflevector {t} {one}, {t} poison, <{self.lanes} x i32> zeroinitializer")

    def _mask(self, column: int) -> str | None:
        if column + self.lanes <= self.n:
            return None
        bits = ", ".join(f"i1 {'true' if column + j < self.n else 'false'}" for j in range(self.lanes))
        return f"<{bits}>"

    def _address(self, base: str, along: str, column: int, shift: str) -> str:
        number = int(along) if along.isdigit() else 0
        at = self.w.index([("0" if along.isdigit() else along, 1), (shift, 1)], column + number)
        return self.w.set(f"getelementptr {self.kind}, ptr {base}, i64 {at}")

    def _memory(self, base: str, along: str, column: int, first: int = 0) -> str:
        """A vector of B or C; of a packed B, which begins with the column ``first``."""
        packed = self.packed and base == self.b[0]
        at = self._address(base, along, column - first, "0" if packed else self.shift)
        mask, t = self._mask(column), self.t
        if mask is None:
            return self.w.set(f"load {t}, ptr {at}, align {self.size}")
        name = f"@llvm.masked.load.v{self.lanes}f{8 * self.size}.p0"
        self.w.declared.add(f"declare {t} {name}(ptr, <{self.lanes} x i1>, {t})")
        return self.w.set(
            f"call {t} {name}(ptr align {self.size} {at}, <{self.lanes} x i1> {mask}, {t} zeroinitializer)"
        )

    def _store(self, base: str, along: str, column: int, x: str) -> None:
        at, mask, t = self._address(base, along, column, self.shift), self._mask(column), self.t
        if mask is None:
            self.w.line(f"store {t} {x}, ptr {at}, align {self.size}")
            return
        name = f"@llvm.masked.store.v{self.lanes}f{8 * self.size}.p0"
        self.w.declared.add(f"declare void {name}({t}, ptr, <{self.lanes} x i1>)")
        self.w.line(f"call void {name}({t} {x}, ptr align {self.size} {at}, <{self.lanes} x i1> {mask})")
