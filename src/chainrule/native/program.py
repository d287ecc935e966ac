"""A compiled program at work: binds machine code to arrays, to Values and to results.

A call costs a few microseconds beside the machine code, so this file keeps what it can from call to
call: state stays where the machine code works on it. The data of a Value that is a number stays in
a cell of the program's memory (`chainrule.value.Cell`) and becomes a float when somebody looks;
an array of state is written in place as long as nobody else holds it.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import optree
from numpy.lib.stride_tricks import as_strided

from chainrule.native import threads as setting
from chainrule.native.capture import Captured
from chainrule.native.figures import count
from chainrule.native.guards import Guards
from chainrule.native.lower import ARENA, CELLS, lower
from chainrule.native.reference import run
from chainrule.native.threads import threads
from chainrule.native.views import Views
from chainrule.primitives import Primitive
from chainrule.traced import Traced
from chainrule.value import Cell, Pool, Value, result

__all__ = ["Program"]


MANY = 50_000  # nodes of a capture that are not kept, though a debugger might want them
LARGE = 1 << 16  # bytes of an argument above which it is let go after the call


def _references_of_two_holders() -> int:
    first = {0: np.empty(1)}
    second: list[Any] = [None]
    a = first.get(0)
    second[0] = a
    return sys.getrefcount(a)


_ALONE = _references_of_two_holders()  # of an array that nobody else holds, as this Python counts


class Program:
    """One captured function, compiled for one signature.

    Parameters
    ----------
    name : str
        The function's, for errors.
    captured : Captured
    guards : Guards
        What the capture took from around the function.

    Attributes
    ----------
    draws : list of Draw
        What it draws at each call: then it is called by `drawing`.
    guards : Guards
    differentiable : bool
        Whether it returns Values that depend on Values it was given, and leaves these as they are.
    """

    def __init__(self, name: str, captured: Captured, guards: Guards) -> None:
        self.name, self.captured, self.guards = name, captured, guards
        self.draws = captured.trace.draws
        self.differentiable = not captured.writes and any(o.kind == "value" for o in captured.outputs)
        self._pinned = [s for s in captured.states if s.pinned]
        self._grad_read = [s.value for s in captured.states if s.grad_read]
        self._grad_given = [s.grad_given for s in captured.states if s.grad_read]
        roots = captured.roots()
        inputs = dict(zip(captured.slots, captured.inputs, strict=True))
        updates = [inputs.get(slot) if slot else None for slot in captured.root_slots()]
        captured.figures.nodes["capture"] = captured_nodes = count(roots)
        self.image = image = lower(roots, updates, captured.figures, name)
        self._memory = np.zeros(image.arena + 64, np.uint8)
        start = -self._memory.ctypes.data % 64
        self._cells = np.zeros(max(image.cells, 1), np.float64)
        self._numbers = self._cells.data
        self._wrong: Any = [0] if image.checks.cell is None else self._cells.view(np.int64).data
        self._check = image.checks.cell or 0
        self._table = (ctypes.c_void_p * image.entries)()
        self._arrays: list[Any] = [None] * image.entries
        self._bind(ARENA, self._memory[start:])
        self._bind(CELLS, self._cells.view(np.uint8))
        for entry, value in image.constants.items():
            self._bind(entry, value)
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        self._steps: list[Any] = [
            call(image.library.address(s)) if isinstance(s, str) and image.library else s for s in image.steps
        ]
        self._threads = 0
        if image.team is not None:
            threads()
            self._steps = [s if isinstance(s, Traced) else self._staffed(s) for s in self._steps]
        captured.figures.done("link")
        self._views = Views()
        self.used = 0  # when it was last turned to, as its function counts
        self.derivatives: dict[Any, Any] = {}  # compiled functions that carry them through its results
        self._lock = threading.Lock()
        self._plan(inputs)
        if captured_nodes > MANY and captured.trace.lines is None:
            captured.forget()

    def _plan(self, inputs: dict[Any, Traced]) -> None:
        """Sort inputs and results by how they are bound, so that a call has little to decide."""
        image, captured = self.image, self.captured
        values = {s.argument for s in captured.states}
        self._pool = Pool(self._numbers)
        self._array_arguments: list[tuple[int, int, Traced]] = []
        self._number_arguments: list[tuple[int, int]] = []
        self._value_arguments: list[tuple[int, int]] = []
        self._array_states: list[tuple[int, str, Value, np.dtype[Any], tuple[int, ...]]] = []
        self._cell_states: list[tuple[int, str, Value]] = []
        self._other_cells: list[tuple[str, int, Traced]] = []
        self._windows: list[tuple[np.ndarray, np.ndarray]] = []  # arrays that are copied at each call
        for slot, x in inputs.items():
            if x not in image.storage:
                continue
            s = image.storage[x]
            if slot.kind == "array":
                self._hold(s.entry, captured.trace.arrays[slot.which][1], x)
            elif s.entry != CELLS:
                if slot.kind == "argument":
                    self._array_arguments.append((slot.which, s.entry, x))
                else:
                    self._array_states.append(
                        (s.entry, slot.kind, captured.states[slot.which].value, x.dtype, x.shape)
                    )
            elif x.weak and x.dtype.char == "d":
                if slot.kind == "argument" and slot.which in values:
                    self._value_arguments.append((slot.which, s.offset // 8))
                elif slot.kind == "argument":
                    self._number_arguments.append((slot.which, s.offset // 8))
                else:
                    self._cell_states.append((s.offset // 8, slot.kind, captured.states[slot.which].value))
            else:
                self._other_cells.append((slot.kind, slot.which, x))
        # State that is only read is held while it is read: the program that writes it, another one perhaps,
        # can do so in place where nobody else holds it.
        self._known: dict[int, Callable[[], Any]] = {
            entry: _nothing for entry, *_ in self._array_states if entry not in image.written
        }
        roots = iter(zip(captured.roots(), image.roots, strict=True))
        self._outputs: list[Callable[[], Any]] = []
        self._fresh: list[tuple[int, tuple[int, ...], np.dtype[Any]]] = []
        self._spares: dict[int, Any] = {}
        self._held_as_grad: dict[int, Value] = {}
        self._large = [
            entry for _, entry, x in self._array_arguments if x.nbytes > LARGE and entry not in image.written
        ]
        self._replaced = {s.value for s in captured.states if s.replaced}
        self._writes: list[tuple[Value, str, Callable[[], Any]]] = []
        self._in_place: list[tuple[Value, Callable[[], Any]]] = []  # which have their new data already
        self._cleared: list[Value] = []
        self._cell_writes: list[tuple[Value, str, int]] = []
        for o in captured.outputs:
            self._outputs.append(
                _constant(o.node) if o.kind == "plain" else self._reader(*next(roots), o.kind)
            )
        for state in captured.states:
            for kind, changed, node in (
                ("data", state.data_changed, state.data), ("grad", state.grad_changed, state.grad),
            ):  # fmt: skip
                if not changed:
                    continue
                if node is None:
                    self._cleared.append(state.value)
                    continue
                root, made = next(roots)
                s = image.storage[made]
                if root.weak and root.dtype.char == "d" and s.entry == CELLS:
                    home = image.home.get(made, s.offset // 8)
                    self._cell_writes.append((state.value, kind, home))
                elif kind == "data" and made in image.in_place and not state.replaced:
                    self._in_place.append((state.value, self._reader(root, made, "array")))
                else:
                    self._writes.append((state.value, kind, self._reader(root, made, "array")))
                    if kind == "grad" and s.entry != CELLS and made not in image.early:
                        self._held_as_grad[s.entry] = state.value
        self._single = len(self._outputs) == 1 and captured.spec.is_leaf()
        self._midway = [self._raw_reader(root, made) for root, made in roots]

    def _hold(self, entry: int, a: np.ndarray, x: Traced) -> None:
        """Read a large array where it is, or, where that cannot be, copy it at each call."""
        if entry not in (ARENA, CELLS):
            plain = a.flags.c_contiguous and a.dtype == x.dtype
            self._bind(entry, np.asarray(a) if plain else np.empty(x.shape, x.dtype))
            if plain:
                return
        self._windows.append((self._array(x), a))

    def _reader(self, root: Traced, made: Traced, kind: str) -> Callable[[], Any]:
        """How a root's result is fetched after a run."""
        read = self._raw_reader(root, made)
        if kind == "array":
            return read
        if self.captured.writes:
            return lambda: result(read(), _SPENT, (), ())
        return lambda: Value._of(read())

    def _raw_reader(self, root: Traced, made: Traced) -> Callable[[], Any]:
        s = self.image.storage[made]
        if s.entry == CELLS:
            if root.weak and root.dtype.char == "d":
                numbers, i = self._numbers, s.offset // 8
                return lambda: numbers[i]
            view = self._array(made)
            return view.item if root.weak else (lambda: view[()])
        if made not in self.image.in_place:
            self._fresh.append((s.entry, made.shape, made.dtype))
        entry, arrays = s.entry, self._arrays
        return (lambda: arrays[entry]) if root.shape else (lambda: arrays[entry][()])

    # ---------------------------------------------------------------- memory

    def _staffed(self, step: Callable[[Any], None]) -> Callable[[Any], None]:
        """A step that first looks whether there are as many threads as is wanted now."""

        def run(table: Any) -> None:
            if self._threads != setting.count:
                self._hire(setting.count)
            step(table)

        return run

    def _hire(self, n: int) -> None:
        """Memory for ``n`` threads."""
        team = self.image.team
        assert team is not None
        memory = np.empty(team.bytes(n) + 64, np.uint8)
        memory = memory[-memory.ctypes.data % 64 :]
        memory[:8].view(np.int64)[0] = self._threads = n
        self._bind(team.entry, memory)

    def _bind(self, entry: int, a: np.ndarray) -> None:
        self._arrays[entry] = a
        self._table[entry] = a.__array_interface__["data"][0]

    def _array(self, x: Traced) -> np.ndarray:
        """A stored node's memory as an array."""
        s = self.image.storage[x]
        raw = self._arrays[s.entry]
        if s.entry in (ARENA, CELLS):
            return raw[s.offset : s.offset + x.nbytes].view(x.dtype).reshape(x.shape)  # type: ignore[no-any-return]
        return raw.reshape(x.shape)  # type: ignore[no-any-return]

    def _operand(self, x: Traced, objects: dict[Traced, Any]) -> Any:
        """The data behind an operand of a step that NumPy does: a view of its memory."""
        if x.op == "constant" and not x.shape:
            return np.asarray(x.params["value"]).astype(x.dtype)
        view = self._views.view(x)
        assert view is not None
        if view.base in objects:
            return objects[view.base]
        if view.base.op == "constant" and not view.base.shape:
            return np.broadcast_to(np.asarray(view.base.params["value"], x.dtype), x.shape)
        base = self._array(view.base).reshape(-1)[view.offset :]
        return as_strided(base, x.shape, [s * x.dtype.itemsize for s in view.strides], writeable=False)

    # ---------------------------------------------------------------- a call

    def valid(self, leaves: Any) -> bool:
        """Whether what the capture took for granted still holds."""
        for s in self._pinned:
            if leaves[s.argument] is not s.value:
                return False
        if [v._grad is not None for v in self._grad_read] != self._grad_given:
            return False
        return self.guards.hold()

    def change(self, leaves: Any) -> str | None:
        """What no longer holds, in words."""
        for s in self._pinned:
            if s.argument is not None and leaves[s.argument] is not s.value:
                return f"{self.captured.names[s.argument]} is another Value, and its state is changed"
        for v, given in zip(self._grad_read, self._grad_given, strict=True):
            if given != (v._grad is not None):
                return f"{v.name or 'a Value'} has {'no' if given else 'a'} gradient now"
        return self.guards.change()

    def __call__(self, leaves: list[Any]) -> Any:
        with self._lock:
            return self._run(leaves)

    def drawing(self, leaves: list[Any]) -> tuple[list[Any], Any]:
        """The same with random numbers drawn: the arguments with these behind them, and the results.

        After an error the generators stand where they stood.
        """
        with self._lock:
            generators = [d.of(leaves) for d in self.draws]
            before = {g: g.bit_generator.state for g in generators}
            try:
                drawn: list[Any] = [None if d.midway else d(g) for d, g in zip(self.draws, generators)]
                for d, g in zip(self.draws, generators):
                    if d.midway:
                        d.midway.generator = g
                values = self._run([*leaves, *drawn])
                midway = iter(self._midway)
                drawn = [next(midway)() if d.midway else x for d, x in zip(self.draws, drawn)]
                return [*leaves, *drawn], values
            except BaseException:
                for g, state in before.items():
                    g.bit_generator.state = state
                raise
            finally:
                for d in self.draws:
                    if d.midway:
                        d.midway.generator = None

    def _run(self, leaves: list[Any]) -> Any:
        numbers, arrays, table = self._numbers, self._arrays, self._table
        for which, cell in self._number_arguments:
            numbers[cell] = leaves[which]
        for which, cell in self._value_arguments:
            numbers[cell] = leaves[which]._current()
        for which, entry, x in self._array_arguments:
            a = leaves[which]
            if type(a) is Value:
                a = a._current()
            if a is not arrays[entry]:
                if type(a) is not np.ndarray or not a.flags.c_contiguous or a.dtype != x.dtype:
                    a = np.array(a, x.dtype, order="C")
                self._bind(entry, a)
        for kind, which, x in self._other_cells:
            if kind == "argument":
                a = leaves[which]
            else:
                v = self.captured.states[which].value
                a = v._current() if kind == "data" else v._gradient
            try:
                self._array(x)[...] = a._current() if type(a) is Value else a
            except OverflowError:
                raise OverflowError(
                    f"compile: an argument of {self.name} is {a}, too large for {x.dtype}; pass it as a "
                    "float, or name it in static_argnums"
                ) from None
        for mine, a in self._windows:
            np.copyto(mine, a)
        if self._pool.stale:
            self._take_cells()
        moved = False
        for entry, kind, v, dtype, shape in self._array_states:
            a = v._raw if kind == "data" else v._grad
            if kind == "data" and v.args:
                a, moved = v._current(), True
            if a is arrays[entry] and sys.getrefcount(a) <= _ALONE:
                continue
            if a is self._known.get(entry, _nothing)():
                arrays[entry] = a
                continue
            moved = True
            if a.shape != shape:
                raise ValueError(
                    f"compile: {v.name or 'a Value'} that {self.name} reads has {kind} of shape {a.shape}, "
                    f"expected {shape}, as when it was compiled; make a new Value for another shape"
                )
            if entry in self.image.written or not a.flags.c_contiguous or a.dtype != dtype:
                a = np.array(a, dtype, order="C")  # of our own: others may hold it
            self._bind(entry, a)
            if entry in self._known:
                self._known[entry] = weakref.ref(a)
        for entry, shape, dtype in self._fresh:
            a = self._spares.get(entry)
            holder = self._held_as_grad.get(entry)
            if a is None or sys.getrefcount(a) > _ALONE + (holder is not None and holder._grad is a):
                a = np.empty(shape, dtype)
                self._spares[entry] = a
                self._bind(entry, a)
            else:
                a.flags.writeable = True  # as data or as a gradient it was only shown
        if len(self._steps) == 1 and not isinstance(self._steps[0], Traced):
            self._steps[0](table)
            if self._wrong[self._check]:
                raise self._wrong_index()
        else:
            self._mixed()
        for entry in self._large:  # the caller's own are not kept alive
            arrays[entry] = None
        results = [read() for read in self._outputs]
        replaced = self._replaced
        if moved:
            for v, read in self._in_place:
                _install(v, read(), False)
        for v in self._cleared:
            if v._grad is not None:
                v._gradient = None
        for v, kind, read in self._writes:
            if kind == "data":
                _install(v, read(), v in replaced)
            else:
                _install_grad(v, read())
        for entry in self._known:
            arrays[entry] = None
        if self._pool.stale:
            self._give_cells()
        return results[0] if self._single else optree.tree_unflatten(self.captured.spec, results)

    def _mixed(self) -> None:
        objects: dict[Traced, Any] = {}
        for step in self._steps:
            if not isinstance(step, Traced):
                step(self._table)
                if self._wrong[self._check]:
                    raise self._wrong_index()
                continue
            with np.errstate(all="ignore"):
                y = run(step, [self._operand(i, objects) for i in step.inputs])
            if isinstance(y, tuple | list):
                objects[step] = y
                continue
            place = self._array(step)
            if np.shape(y) != place.shape:
                raise ValueError(
                    f"compile: {step.params.get('name', step.op)} in {self.name} gave shape {np.shape(y)}, "
                    f"and {place.shape} when it was compiled; a shape that depends on the numbers cannot be "
                    "compiled"
                )
            place[...] = y

    def _wrong_index(self) -> IndexError:
        site, index = self._wrong[self._check : self._check + 2]
        self._wrong[self._check] = 0
        op, size = self.image.checks.sites[site - 1]
        return IndexError(
            f"{op}: index {index} is out of bounds for an axis of size {size}; raised by the compiled "
            f"{self.name}, which has changed nothing"
        )

    def _take_cells(self) -> None:
        """Read the numbers of Values that were given new ones since the last call."""
        for cell, kind, v in self._cell_states:
            d = v._raw if kind == "data" else v._grad
            if type(d) is Cell:
                if d.pool is self._pool:
                    continue
                d = d.pool.numbers[d.index]
            self._numbers[cell] = d

    def _give_cells(self) -> None:
        """Let Values find their numbers in the cells."""
        for cell, kind, v in self._cell_states:
            if kind == "data":
                v._live_in(self._pool, cell)
        for v, kind, cell in self._cell_writes:
            if kind == "data":
                v._live_in(self._pool, cell)
            else:
                v._grad_lives_in(self._pool, cell)
        self._pool.stale = False


def _nothing() -> None:
    """What a weak reference gives whose array is gone."""


def _install(v: Value, new: Any, replaced: bool) -> None:
    """Give a Value the data of a run, unless it has them already."""
    if replaced:
        v.args = ()  # what was handed out before is nobody's, as after an assignment
    if v._raw is not new or v.args:
        v._adopt(new)


def _constant(x: Any) -> Callable[[], Any]:
    """A result that is the same in every call; of an array a copy, which the caller may write to."""
    return (lambda: x.copy()) if isinstance(x, np.ndarray) else (lambda: x)


def _install_grad(v: Value, new: Any) -> None:
    """A gradient that a later call may overwrite once nobody but the Value holds it: `grad` shows a copy."""
    if type(new) is np.ndarray:
        new.flags.writeable = False
    v._gradient = new


class _Spent(Primitive):
    """What made a Value that a compiled training step returned: its graph is gone."""

    def pull(self, *_: Any) -> Any:
        raise RuntimeError(
            "backward: this Value was returned by a compiled function that changed what it was computed from "
            "(it updates its own state); call backward() inside the compiled function"
        )

    push = pull  # type: ignore[assignment]


_SPENT = _Spent(lambda: None, name="compiled step")
