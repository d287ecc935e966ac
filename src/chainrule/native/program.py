"""A compiled program: what binds machine code to arrays, Values and results."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np
import optree

from chainrule.native.capture import Captured
from chainrule.native.lower import ARENA, CELLS, Image, lower
from chainrule.native.reference import run
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["Program"]


class Program:
    def __init__(self, name: str, captured: Captured) -> None:
        self.name = name
        self.captured = captured
        roots = captured.roots()
        self.image = image = lower(roots)
        self.arena = np.zeros(image.arena + 64, np.uint8)
        self.arena = self.arena[-self.arena.ctypes.data % 64 :]
        self.cells = np.zeros(max(image.cells, 1), np.float64)
        self.table = (ctypes.c_void_p * image.entries)()
        self.table[ARENA] = self.arena.ctypes.data
        self.table[CELLS] = self.cells.ctypes.data
        self.arrays: dict[int, np.ndarray] = {ARENA: self.arena, CELLS: self.cells.view(np.uint8)}
        for entry, value in image.constants.items():
            self.arrays[entry] = value
            self.table[entry] = value.ctypes.data
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        self.functions: dict[str, Any] = {
            s: call(image.library.address(s)) for s in image.steps if isinstance(s, str) and image.library
        }
        self.place = dict(zip(roots, image.roots, strict=True))
        self.roots = list(zip(roots, image.roots, strict=True))
        self._lock = threading.Lock()

    def valid(self, leaves: list[Any]) -> bool:
        for s in self.captured.states:
            if s.grad_read and any(
                slot.kind == "grad" and self.captured.states[slot.which] is s for slot in self.captured.slots
            ) != (s.value._grad is not None):
                return False
        return True

    def _array(self, x: Traced) -> np.ndarray:
        """A stored node's memory as an array."""
        s = self.image.storage[x]
        raw = self.arrays[s.entry]
        if s.entry in (ARENA, CELLS):
            return raw[s.offset : s.offset + x.nbytes].view(x.dtype).reshape(x.shape)
        return raw.reshape(x.shape)

    def _bind(self, entry: int, a: np.ndarray) -> None:
        self.arrays[entry] = a
        self.table[entry] = a.ctypes.data

    def _given(self, x: Traced) -> Any:
        """The data behind an operand of a step that NumPy does: a view of its memory."""
        from numpy.lib.stride_tricks import as_strided

        from chainrule.native.views import Views

        if x.op == "constant" and not x.shape:
            return np.asarray(x.params["value"]).astype(x.dtype)
        view = Views().view(x)
        assert view is not None
        if view.base in self.objects:
            return self.objects[view.base]
        base = self._array(view.base).reshape(-1)[view.offset :]
        return as_strided(base, x.shape, [s * x.dtype.itemsize for s in view.strides], writeable=False)

    def __call__(self, leaves: list[Any]) -> Any:
        with self._lock:
            return self._run(leaves)

    def _run(self, leaves: list[Any]) -> Any:
        captured, image = self.captured, self.image
        self.objects: dict[Traced, Any] = {}
        for x, (kind, which) in zip(captured.inputs, captured.slots, strict=True):
            if x not in image.storage:
                continue
            if kind == "argument":
                a = leaves[which]
            else:
                v = captured.states[which].value
                a = v._current() if kind == "data" else v._grad
            s = image.storage[x]
            if s.entry == CELLS:
                self._array(x)[...] = a
            else:
                self._bind(s.entry, np.ascontiguousarray(a, x.dtype))
        for r in image.roots:
            s = image.storage[r]
            if s.entry not in (ARENA, CELLS):
                self._bind(s.entry, np.empty(r.shape, r.dtype))
        for step in image.steps:
            if isinstance(step, str):
                self.functions[step](self.table)
            else:
                with np.errstate(all="ignore"):
                    y = run(step, [self._given(i) for i in step.inputs])
                if isinstance(y, tuple | list):
                    self.objects[step] = y
                else:
                    self._array(step)[...] = y
        results = iter([self._out(x, y) for x, y in self.roots])
        outputs = [
            o.node if o.kind == "plain" else next(results) if o.kind == "array" else Value(next(results))
            for o in captured.outputs
        ]
        for s in captured.states:
            if s.data_changed:
                s.value._adopt(next(results))
            if s.grad_changed:
                s.value._grad = None if s.grad is None else next(results)
        return optree.tree_unflatten(captured.spec, outputs)

    def _out(self, x: Traced, y: Traced) -> Any:
        a = self._array(y)
        if x.weak:
            return a.item()
        return a if self.image.storage[y].entry not in (ARENA, CELLS) else a.copy()[()]

    def report(self) -> Any:
        return "\n".join(["fused", *self.image.kernels, *[f"NumPy: {s.op}" for s in self.image.steps if not isinstance(s, str)]])
