"""Convolution: the nodes, and their LLVM IR.

    correlate(x, w)           y[n, t, o] = Σₖ Σ_c x[n, t·s + k·d, c] w[k, c, o]
    correlate_kernels(x, g)   w[k, c, o] = Σₙ Σₜ x[n, t·s + k·d, c] g[n, t, o]

Nothing is copied to make matrices of patches. Channels are last, so the places of one row of the
image are rows of a matrix already, a pixel apart and overlapping, and what a row of the kernel covers lies
in one piece: each is a product whose inner axis has several levels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.native.emit import ATTRIBUTES
from chainrule.native.machine import host
from chainrule.native.operations import cast, lift, node
from chainrule.native.product import Level, product
from chainrule.native.text import MEMORY, Writer
from chainrule.native.views import View, contiguous
from chainrule.rules.convolution import places
from chainrule.traced import Traced

if TYPE_CHECKING:
    from chainrule.native.part import Part

__all__ = ["CONVOLUTIONS", "correlate", "correlate_kernels", "emit_convolution", "is_readable"]

CONVOLUTIONS = ("correlate", "correlate_kernels")


# -------------------------------------------------------------------- nodes


def correlate(x: Any, w: Any, strides: tuple[int, ...], dilation: tuple[int, ...]) -> Traced:
    """The node of `chainrule.rules.convolution.correlate`."""
    x, w, dtype = _operands(x, w)
    out = tuple(map(places, x.shape[1:-1], w.shape[:-2], strides, dilation))
    shape = (x.shape[0], *out, w.shape[-1])
    return node("correlate", (x, w), shape, dtype, False, {"strides": strides, "dilation": dilation})


def correlate_kernels(
    x: Any, g: Any, kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> Traced:
    """The node of `chainrule.rules.convolution.correlate_kernels`."""
    x, g, dtype = _operands(x, g)
    params = {"kernel": kernel, "strides": strides, "dilation": dilation}
    return node("correlate_kernels", (x, g), (*kernel, x.shape[-1], g.shape[-1]), dtype, False, params)


def _operands(x: Any, y: Any) -> tuple[Traced, Traced, np.dtype[Any]]:
    a, b = lift(x), lift(y)
    dtype = np.result_type(a.dtype, b.dtype)
    return cast(a, dtype), cast(b, dtype), dtype


# -------------------------------------------------------------------- machine code


def is_readable(x: Traced, view: View, k: int) -> bool:
    """Whether the ``k``-th operand is read as it lies: images if a pixel's channels do, else if dense."""
    if k == 0:
        return view.strides[-1] == 1 or x.shape[-1] == 1
    return view.strides == contiguous(x.shape)


def emit_convolution(part: Part, name: str, x: Traced) -> list[str]:
    """Loops over images and places around products."""
    images, other = x.inputs
    kernels = x if x.op == "correlate_kernels" else other
    view, dense = part.views.view(images), part.views.view(other)
    assert view is not None and dense is not None
    places, names = part.places(dict.fromkeys((view.base, dense.base, x)))
    w, kind, bits = Writer(), MEMORY[x.dtype.char], host().vector_bits
    _Convolution(
        w, kind, bits, images.shape, view.strides, kernels.shape, x.params["strides"], x.params["dilation"],
        (x if x.op == "correlate" else other).shape,
    ).write(
        x.op,
        _on(w, kind, places[view.base], view.offset),
        _on(w, kind, places[dense.base], dense.offset),
        _on(w, kind, places[x], 0),
    )  # fmt: skip
    parameters = ", ".join(f"ptr noalias {p}" for p in names)
    part.module.add(name, w.text(name, parameters, ATTRIBUTES))
    part.module.declared |= w.declared
    return part.call(name, names, scratch=False)


def _on(w: Writer, kind: str, place: tuple[str, int], offset: int) -> str:
    return w.set(f"getelementptr {kind}, ptr {place[0]}, i64 {place[1] + offset}")


class _Convolution:
    """Sizes and steps, in elements."""

    def __init__(
        self,
        w: Writer,
        kind: str,
        bits: int,
        images: tuple[int, ...],
        steps: tuple[int, ...],
        kernels: tuple[int, ...],
        strides: tuple[int, ...],
        dilation: tuple[int, ...],
        out: tuple[int, ...],
    ) -> None:
        self.w, self.kind, self.bits = w, kind, bits
        self.kernel, (self.c, self.o) = kernels[:-2], kernels[-2:]
        self.count, self.places = out[0], out[1:-1]
        self.image, *pixels, _ = steps
        self.moves = [s * a for s, a in zip(strides, pixels, strict=True)]  # from place to place
        self.taps = [d * a for d, a in zip(dilation, pixels, strict=True)]  # from tap to tap
        # a tap's numbers follow the one's before: with its channels it is one piece
        self.joined = self.taps[-1] == self.c

    def write(self, op: str, images: str, other: str, out: str) -> None:
        size = 4 if self.kind == "float" else 8
        sizes = (self.count, *self.places, *self.kernel, self.c, self.o)
        empty = 0 in sizes  # loops go round at least once
        if op == "correlate_kernels" or empty:
            self.w.declared.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
            rows = (self.count, *self.places) if op == "correlate" else (*self.kernel, self.c)
            n = math.prod(rows) * self.o
            self.w.line(f"call void @llvm.memset.p0.i64(ptr {out}, i8 0, i64 {n * size}, i1 false)")
        if empty:
            return
        with self.w.loop(self.count) as i:
            image = self.on(images, [(i, self.image)])
            row = [(i, math.prod(self.places) * self.o)]
            if op == "correlate":
                self.correlate(image, other, self.on(out, row))
            else:
                self.kernels(image, self.on(other, row), out)

    def on(self, pointer: str, terms: list[tuple[str, int]]) -> str:
        return self.w.set(f"getelementptr {self.kind}, ptr {pointer}, i64 {self.w.index(terms)}")

    def correlate(self, image: str, kernels: str, out: str) -> None:
        """A row of places times the kernels, for every row."""
        taps = self._inner()
        rows: list[str] = []

        def level() -> None:
            axis = len(rows)
            if axis < len(self.places) - 1:
                with self.w.loop(self.places[axis]) as i:
                    rows.append(i)
                    level()
                    rows.pop()
                return
            a = self.on(image, list(zip(rows, self.moves, strict=False)))
            sizes = [math.prod(self.places[k + 1 :]) * self.o for k in range(len(rows))]
            c = self.on(out, list(zip(rows, sizes, strict=True)))
            product(
                self.w, self.kind, self.bits, (self.places[-1], self.o), taps,
                (a, self.moves[-1]), (kernels, 1), (c, self.o), 1.0, False,
            )  # fmt: skip

        level()

    def _inner(self) -> list[Level]:
        """What is summed over: the kernel's taps and the channels."""
        last = Level(self.c * (self.kernel[-1] if self.joined else 1), 1, self.o)
        levels, rows = [last], last.size
        for n, tap in list(zip(self.kernel, self.taps, strict=True))[: -1 if self.joined else None][::-1]:
            levels.insert(0, Level(n, tap, rows * self.o))
            rows *= n
        return levels

    def kernels(self, image: str, g: str, out: str) -> None:
        """For every tap the pixels it met, turned over, times the cotangents of the places."""
        inner: list[Level] = []
        size = 1
        for n, move in reversed(list(zip(self.places, self.moves, strict=True))):
            inner.insert(0, Level(n, move, size * self.o))
            size *= n
        looped = self.kernel[:-1] if self.joined else self.kernel
        rows = self.c * (self.kernel[-1] if self.joined else 1)
        taps: list[str] = []

        def level() -> None:
            if len(taps) < len(looped):
                with self.w.loop(looped[len(taps)]) as i:
                    taps.append(i)
                    level()
                    taps.pop()
                return
            a = self.on(image, list(zip(taps, self.taps, strict=False)))
            sizes = [math.prod(looped[k + 1 :]) * rows * self.o for k in range(len(taps))]
            c = self.on(out, list(zip(taps, sizes, strict=True)))
            product(
                self.w, self.kind, self.bits, (rows, self.o), inner, (a, 1), (g, 1), (c, self.o), 1.0, True
            )

        level()
