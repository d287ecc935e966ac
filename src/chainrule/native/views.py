"""Views: results that are another array's memory under other strides, and so cost nothing."""

from __future__ import annotations

import math
from typing import NamedTuple

from chainrule.native.operations import VIEWS
from chainrule.traced import Traced

__all__ = ["View", "Views", "contiguous"]


class View(NamedTuple):
    """Elements of ``base``'s memory: the one at index i lies at ``offset + Σ iₖ strideₖ`` (in elements)."""

    base: Traced
    offset: int
    strides: tuple[int, ...]


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of an array in row-major order."""
    strides, n = [], 1
    for k in reversed(shape):
        strides.append(n)
        n *= k
    return tuple(reversed(strides))


class Views:
    """Answers, with a memory, where a node's elements lie."""

    def __init__(self) -> None:
        self._views: dict[Traced, View | None] = {}
        self._aliases: dict[Traced, tuple[Traced, tuple[int | None, ...]]] = {}

    def view(self, x: Traced) -> View | None:
        """The memory behind ``x``; None for a reshape that strides cannot express: it needs a copy."""
        chain = []
        y = x
        while y not in self._views:
            chain.append(y)
            if y.op not in VIEWS:
                break
            y = y.inputs[0]
        for y in reversed(chain):
            self._views[y] = self._one(y)
        return self._views[x]

    def _one(self, x: Traced) -> View | None:
        if x.op not in VIEWS:
            return View(x, 0, contiguous(x.shape))
        v = self._views[x.inputs[0]]
        if v is None:  # then the operand is copied, and the copy is plain memory
            v = View(x.inputs[0], 0, contiguous(x.inputs[0].shape))
        shape = x.inputs[0].shape
        if x.op == "transpose":
            return View(v.base, v.offset, tuple(v.strides[a] for a in x.params["axes"]))
        if x.op == "broadcast_to":
            lead = len(x.shape) - len(shape)
            strides = tuple(
                0 if i < lead or shape[i - lead] != n else v.strides[i - lead] for i, n in enumerate(x.shape)
            )
            return View(v.base, v.offset, strides)
        if x.op == "element":
            return View(v.base, v.offset + x.params["index"] * v.strides[0], ())
        if x.op == "slice":
            offset = v.offset + sum(a * s for a, s in zip(x.params["starts"], v.strides, strict=True))
            return View(
                v.base, offset, tuple(a * s for a, s in zip(x.params["steps"], v.strides, strict=True))
            )
        made = reshaped(shape, v.strides, x.shape)
        return None if made is None else View(v.base, v.offset, made)

    def alias(self, x: Traced) -> tuple[Traced, tuple[int | None, ...]]:
        """The node whose elements ``x`` shows through transposes, broadcasts and axes of one.

        With it for each axis of ``x`` the node's axis, None where there is none.
        """
        found = self._aliases.get(x)
        if found is None:
            found = self._alias(x)
            self._aliases[x] = found
        return found

    def _alias(self, x: Traced) -> tuple[Traced, tuple[int | None, ...]]:
        axes: tuple[int | None, ...] = tuple(range(x.ndim))
        y = x
        while True:
            if y.op == "transpose":
                axes = tuple(None if a is None else y.params["axes"][a] for a in axes)
            elif y.op == "broadcast_to":
                lead = y.ndim - y.inputs[0].ndim
                old = y.inputs[0].shape
                axes = tuple(
                    None if a is None or a < lead or old[a - lead] != y.shape[a] else a - lead for a in axes
                )
            elif y.op == "reshape" and _wide(y.shape) == _wide(y.inputs[0].shape):
                after = [i for i, n in enumerate(y.inputs[0].shape) if n != 1]
                where = dict(zip([i for i, n in enumerate(y.shape) if n != 1], after, strict=True))
                axes = tuple(None if a is None else where.get(a) for a in axes)
            else:
                return y, axes
            y = y.inputs[0]


def _wide(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def reshaped(
    shape: tuple[int, ...], strides: tuple[int, ...], new: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The strides of a reshape, or None if there are none: runs of axes of equal size must be dense."""
    if math.prod(new) == 0:
        return contiguous(new)
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    out: list[int] = []
    i = j = 0
    while i < len(old) or j < len(new):
        if j < len(new) and new[j] == 1:
            out.append(0)
            j += 1
            continue
        if i == len(old) or j == len(new):
            return None
        a, b, first_i, first_j = old[i][0], new[j], i, j
        i, j = i + 1, j + 1
        while a != b:
            if a < b:
                a *= old[i][0]
                i += 1
            else:
                b *= new[j]
                j += 1
        for k in range(first_i, i - 1):
            if old[k][1] != old[k + 1][0] * old[k + 1][1]:
                return None
        step = old[i - 1][1]
        part = []
        for k in reversed(range(first_j, j)):
            part.append(0 if new[k] == 1 else step)
            step *= new[k]
        out += reversed(part)
    return tuple(out)
