"""LLVM IR as text: one function being written, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from chainrule.native.vector_ir import literal

__all__ = ["ELEMENT", "MEMORY", "Writer", "kind_of", "literal", "short"]

# of a dtype: as a number in a register, and as it lies in memory
ELEMENT = {"d": "double", "f": "float", "q": "i64", "l": "i64", "i": "i32", "?": "i1"}
MEMORY = ELEMENT | {"?": "i8"}
_SHORT = {"double": "f64", "float": "f32", "i64": "i64", "i32": "i32", "i8": "i8", "i1": "i1"}


def kind_of(dtype: np.dtype[np.generic]) -> str:
    """The IR type of one number of this dtype."""
    return ELEMENT[dtype.char]


class Writer:
    """Lines of one function.

    Lines written through `early` go to the function's first block, the others to the end.
    """

    def __init__(self) -> None:
        self.first: list[str] = []
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.block = "start"
        self._names = 0

    def name(self) -> str:
        self._names += 1
        return f"%v{self._names}"

    def line(self, text: str) -> None:
        self.lines.append(text)

    def set(self, text: str) -> str:
        """``%name = text``; the name."""
        self._names += 1
        name = f"%v{self._names}"
        self.lines.append(f"{name} = {text}")
        return name

    def early(self, text: str) -> str:
        """``%name = text`` in the first block."""
        name = self.name()
        self.first.append(f"{name} = {text}")
        return name

    def intrinsic(self, name: str, result: str, operands: list[tuple[str, str]], flags: str = "") -> str:
        """Call ``llvm.name`` overloaded on ``result``'s type; operands are (type, value)."""
        full = f"@llvm.{name}.{short(result)}"
        self.declared.add(f"declare {result} {full}({', '.join(t for t, _ in operands)})")
        return self.set(f"call {flags}{result} {full}({', '.join(f'{t} {v}' for t, v in operands)})")

    @contextmanager
    def loop(self, count: int, step: int = 1) -> Iterator[str]:
        """A loop over 0, step, ... below ``count * step``; the body sees its counter."""
        if count == 1:
            yield "0"
            return
        with self.span("0", str(count * step), step) as i:
            yield i

    @contextmanager
    def span(self, low: str, high: str, step: int = 1) -> Iterator[str]:
        """A loop from ``low``, which must be below, to ``high``, which whole steps must meet."""
        self._names += 1
        n = self._names
        before, head = self.block, f"loop{n}"
        self.line(f"br label %{head}")
        self.line(f"{head}:")
        self.block = head
        i, after = f"%i{n}", f"%n{n}"
        self.line(f"{i} = phi i64 [ {low}, %{before} ], [ {after}, %next{n} ]")
        yield i
        self.line(f"br label %next{n}")
        self.line(f"next{n}:")
        self.line(f"{after} = add nuw nsw i64 {i}, {step}")
        done = self.set(f"icmp eq i64 {after}, {high}")
        self.line(f"br i1 {done}, label %done{n}, label %{head}")
        self.line(f"done{n}:")
        self.block = f"done{n}"

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """What is written inside runs if the condition, an i1, holds."""
        self._names += 1
        n = self._names
        self.line(f"br i1 {condition}, label %then{n}, label %else{n}")
        self.line(f"then{n}:")
        self.block = f"then{n}"
        yield
        self.line(f"br label %else{n}")
        self.line(f"else{n}:")
        self.block = f"else{n}"

    def index(self, terms: list[tuple[str, int]], offset: int = 0) -> str:
        """``offset + Σ counter * stride``."""
        total = None
        for i, stride in terms:
            if stride == 0 or i == "0":
                continue
            part = i if stride == 1 else self.set(f"mul nsw i64 {i}, {stride}")
            total = part if total is None else self.set(f"add nsw i64 {total}, {part}")
        if total is None:
            return str(offset)
        return total if offset == 0 else self.set(f"add nsw i64 {total}, {offset}")

    def text(self, name: str, parameters: str, attributes: str = "") -> str:
        """The whole function."""
        body = "\n  ".join(["entry:", *self.first, "br label %start", "start:", *self.lines, "ret void"])
        return f"define internal void @{name}({parameters}) {attributes} {{\n  {body}\n}}\n"


def short(kind: str) -> str:
    """A type as it appears in an intrinsic's name: ``<8 x double>`` is ``v8f64``."""
    if kind[0] == "<":
        n, _, element = kind[1:-1].split()
        return f"v{n}{_SHORT[element]}"
    return _SHORT[kind]
