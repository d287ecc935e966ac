"""Capture: run a function once on traced arrays and keep what it did as a program.

What the function reads besides its arguments becomes input, what it leaves behind becomes output:
the data and gradients of Values from outside. Real Values are never touched meanwhile; the trace
keeps a `State` in the place of each, so an exception leaves everything as it was.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import optree

import chainrule.native.protocols  # noqa: F401  (attaches the operators and methods of traced arrays)
from chainrule.containers import flatten
from chainrule.native.assignment import Memory, write
from chainrule.native.figures import Figures
from chainrule.native.operations import FLOAT64, Step, broadcast_to, call, cast, copied, lift
from chainrule.random import Generator
from chainrule.recording import hidden
from chainrule.traced import (
    Traced,
    TracedError,
    capturing,
    current_trace,
    set_trace,
    where_in_user_code,
)
from chainrule.value import Cell, Value, next_serial, same_bytes

__all__ = ["Captured", "Draw", "Output", "Slot", "State", "Trace", "capture", "owner"]


class Slot(NamedTuple):
    """Where an input of the program comes from at each call.

    ``kind`` is ``"argument"`` (``which`` counts the flattened arguments, Values among them, and behind them
    what the program draws), ``"data"`` or ``"grad"`` (of the state numbered ``which``), or ``"array"``: one
    of the large ones that the function finds around it.
    """

    kind: str
    which: int


class Draw(NamedTuple):
    """Random numbers drawn at each call: NumPy's method and what it is given.

    They are drawn before the program runs; in the middle of it, where a parameter is traced, and from there
    on. ``argument`` is the generator's number among the flattened arguments; None for ``generator`` itself.
    """

    generator: np.random.Generator
    argument: int | None
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    midway: Midway | None = None

    def of(self, leaves: Sequence[Any]) -> np.random.Generator:
        return self.generator if self.argument is None else leaves[self.argument]

    def __call__(self, generator: np.random.Generator) -> Any:
        return getattr(np.random.Generator, self.name)(generator, *self.args, **self.kwargs)


class Midway:
    """A draw in the middle of a program, of parameters that it computes.

    ``generator`` is set while the program runs; without it the last numbers are given again.
    """

    def __init__(self, name: str) -> None:
        self.name = self.__name__ = name
        self.generator: np.random.Generator | None = None
        self.last: Any = None

    def __call__(self, _before: Any, *args: Any, **kwargs: Any) -> Any:
        if self.generator is not None:
            self.last = getattr(np.random.Generator, self.name)(self.generator, *args, **kwargs)
        return self.last

    def trial(self, _before: Any, *args: Any, **kwargs: Any) -> Any:
        """For shape and dtype."""
        self.last = getattr(np.random.default_rng(0), self.name)(*args, **kwargs)
        return self.last


@dataclass
class State:
    """What a capture knows of a Value from outside: what it holds now, and whether it has changed.

    ``argument`` is its number among the flattened arguments if it is one of them, else None.
    """

    value: Value
    argument: int | None
    data: Any = None
    number: int = 0  # among the states, in the order of meeting
    grad: Any = None
    data_changed: bool = False
    grad_changed: bool = False
    grad_read: bool = False
    grad_given: bool = False
    replaced: bool = False  # by assignment: an array that `Value.data` has handed out does not follow

    @property
    def pinned(self) -> bool:
        """Whether the program is bound to this very Value, though it came as an argument."""
        return self.argument is not None and (self.data_changed or self.grad_changed or self.grad_read)


class Trace:
    """The writing down of one function call.

    Attributes
    ----------
    start : int
        Serial at the beginning: older Values are from outside.
    slots : list of Slot
        What the input nodes are, in order.
    states : dict
        By the identity of the Value.
    large : dict
        The large arrays around the function: their names and what owns their memory, by its identity.
    arrays : list of (str, numpy.ndarray)
        Those that were met, which are inputs: whole ones and windows of them, as they are.
    copies : dict of int to int
        Of which array each constant is a copy, by identity.
    draws : list of Draw
        In the order of the function; ``drawn`` are numbers to be taken in their place, if there are some.
    midway : list of Traced
        The nodes of those that are drawn in the middle of the program.
    """

    def __init__(self) -> None:
        self.start = next_serial()
        self.slots: list[Slot] = []
        self.inputs: list[Traced] = []
        self.states: dict[int, State] = {}
        self.arguments: dict[int, int] = {}
        self.leaves = 0  # how many flattened arguments there are
        self.generators: dict[int, int] = {}  # arguments, by the identity of what stands for them
        self.large: dict[int, tuple[str, Any]] = {}
        self.arrays: list[tuple[str, np.ndarray]] = []
        self.checksums: dict[int, int] = {}  # of large arrays, when the capture began
        self._held: dict[int, Traced] = {}
        self._fixed: dict[int, tuple[weakref.ref[np.ndarray], np.ndarray]] = {}
        self.copies: dict[int, int] = {}
        self.draws: list[Draw] = []
        self.midway: list[Traced] = []  # what is drawn in the middle of the program
        self.drawn: Iterator[Any] | None = None
        self.refused: Exception | None = None  # a branch on a traced value
        self.calls: dict[int, Any] = {}  # the last call of each module, by identity, while it goes on
        self.own_inputs: set[Traced] = set()  # what a loop's body may write to: its carries
        self.views: dict[Traced, tuple[Traced, tuple[Step, ...]]] = {}  # whose memory theirs is
        self.shown: dict[Traced, list[Traced]] = {}  # the views of each that has some
        self.memories: dict[Traced, Memory] = {}  # of what has been written to
        self.lent: dict[tuple[int, str], tuple[Value, Traced, Traced]] = {}  # data and gradients, to the user
        self.lenders: dict[Traced, tuple[Value, str, Traced]] = {}  # whose they are, by what they are now
        self.lines: dict[Traced, str] | None = None
        self.products: dict[tuple[Any, ...], Traced] = {}  # of a loop's carries, of all steps, by factors

    def end(self) -> None:
        """Let go what was only of use while the function ran."""
        for kept in (self._fixed, self.calls, self.views, self.shown, self.memories):
            kept.clear()
        self.lent.clear()
        self.lenders.clear()

    def adopt(self, x: Traced) -> Traced | None:
        """A node of another capture as one of this, if there is a way; None if there is none."""
        return x if x.origin is self else None

    def input(self, slot: Slot, like: Any) -> Traced:
        """A new input with the shape and dtype of ``like``; Python numbers give weak ones."""
        x = _like(self, like, {"slot": len(self.slots)})
        self.slots.append(slot)
        self.inputs.append(x)
        return x

    def held(self, x: np.ndarray) -> Traced | None:
        """An input for a large array of the caller's, who may write to it; None for any other."""
        if not self.large or (found := self.large.get(id(owner(x)))) is None or x.dtype.kind not in "fciub":
            return None
        self.check_unwritten(*found)
        if id(x) not in self._held:
            self.arrays.append((found[0], x))
            self._held[id(x)] = self.input(Slot("array", len(self.arrays) - 1), x)
        return self._held[id(x)]

    def fixed(self, x: np.ndarray) -> np.ndarray:
        """A plain array as it is now, because the function may go on writing to it.

        One of the large ones around the function stays itself: it is read as it is at each call.
        """
        if (found := self.large.get(id(owner(x)))) is not None:
            self.check_unwritten(*found)
            return x
        known, before = self._fixed.get(id(x), (None, x))
        if known is not None and known() is x and before.shape == x.shape and same_bytes(before, x):
            return before
        now = x.copy(order="K")
        self._fixed[id(x)] = weakref.ref(x), now
        self.copies[id(now)] = id(x)
        return now

    def check_unwritten(self, name: str, x: Any) -> None:
        """Refuse a function that has written to a large array around it."""
        if _checksum(x) != self.checksums[id(x)]:
            raise TypeError(
                f"compile: the function writes to {name}, an array of {x.nbytes:,} bytes that lies around "
                "it; such an array is read when a call begins, and a write would be made only once; write to "
                f"one that the function makes itself, as by {name}.copy()"
            )

    def draw(self, generator: Generator, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An input for what a generator from outside will give."""
        if self.drawn is not None:
            return next(self.drawn)
        draw = Draw(generator, self.generators.get(id(generator)), name, args, kwargs)
        given: Any = (args, kwargs)
        if self.midway or any(type(x) is Traced for x in optree.tree_leaves(given, none_is_leaf=True)):
            return self._draw_midway(draw)
        if name not in _NO_DRAWS and kwargs.get("out") is None:
            sample = draw(np.random.Generator(np.random.PCG64(0)))  # for its shape and dtype
            if np.asarray(sample).dtype.kind in "fciub":
                self.draws.append(draw)
                return copied(self.input(Slot("argument", self.leaves + len(self.draws) - 1), sample))
        raise TracedError(
            f"{where_in_user_code()}: {name} of a random generator while compiling: "
            f"{_NO_DRAWS.get(name, 'it writes to out=, or gives no numbers; draw numbers and return them')}"
        )

    def _draw_midway(self, draw: Draw) -> Any:
        """A node for what is drawn when its parameters are there, and what was drawn before."""
        midway = Midway(draw.name)
        before = self.midway[-1] if self.midway else None
        try:
            made = call(midway, (before, *draw.args), draw.kwargs, trial=midway.trial)
        except ValueError as error:
            raise TracedError(
                f"{where_in_user_code()}: {draw.name} of a random generator, with a traced argument: it was "
                f"tried with ones, and NumPy said: {error}; draw outside and pass the numbers"
            ) from None
        self.draws.append(draw._replace(midway=midway))
        self.midway.append(made)
        return cast(made, FLOAT64, True) if type(midway.last) is float else copied(made)

    # ---------------------------------------------------------------- Values from outside

    def state(self, v: Value) -> State:
        found = self.states.get(id(v))
        if found is None:
            argument = self.arguments.get(id(v))
            found = State(v, argument, number=len(self.states))
            self.states[id(v)] = found
            slot = Slot("data", found.number) if argument is None else Slot("argument", argument)
            found.data = self.input(slot, v._raw)
        return found

    def read(self, v: Value) -> Any:
        return self.state(v).data

    def write(self, v: Value, new: Any, replaced: bool = False) -> None:
        """Give a leaf new data, in its own shape and dtype."""
        state = self.state(v)
        weak = _is_number(v)
        new = lift(new)
        if new.shape != v.shape:
            raise ValueError(
                f"Value.data: new data has shape {new.shape}, expected {v.shape}; make a new Value for "
                "another shape"
            )
        state.data = cast(new, v.dtype, weak)
        state.data_changed = True
        state.replaced = replaced
        lent = self.lent.pop((id(v), "data"), None)
        if lent is not None and not replaced:  # what was handed out follows
            write("Value.data", lent[2], lambda _: copied(state.data))
            self.lent[id(v), "data"] = v, state.data, lent[2]

    def read_grad(self, v: Value) -> Any:
        state = self.state(v)
        if not state.grad_changed and not state.grad_read:
            state.grad_read = True
            state.grad_given = v._grad is not None
            if state.grad_given:
                state.grad = self.input(Slot("grad", state.number), v._raw)
        return state.grad

    def write_grad(self, v: Value, new: Any) -> None:
        state = self.state(v)
        if new is not None:
            new = cast(lift(new), v.dtype, _is_number(v))
            if new.shape != v.shape:
                if new.shape:
                    raise ValueError(
                        f"Value.grad: new gradient has shape {new.shape}, expected the data's {v.shape}"
                    )
                new = broadcast_to(new, v.shape)
        state.grad = new
        state.grad_changed = True

    # ---------------------------------------------------------------- arrays that operators change in place

    def lend(self, v: Value, what: str, x: Traced) -> Traced:
        """``v``'s data or gradient ``x`` as its user gets it: an array that he may change and give back."""
        if not x.shape:
            return x
        known = self.lent.get((id(v), what))
        if known is not None and known[1] is x:
            return known[2]
        lent = copied(x)
        self.lent[id(v), what] = v, x, lent
        self.lenders[lent] = v, what, lent
        return lent

    def given_back(self, v: Value, what: str, new: Any) -> bool:
        """Whether what is assigned to ``v.data`` or ``v.grad`` is what was lent: then it is there already."""
        known = self.lent.get((id(v), what))
        if known is None or type(new) is not Traced:
            return False
        owner = self.lenders.get(lift(new))
        return owner is not None and owner[2] is known[2]

    def shows_only(self, x: Traced) -> bool:
        """Whether this is what a result of an operation has handed out, which nobody writes to."""
        return x in self.lenders and self.lenders[x][0].primitive is not None

    def written(self, old: Traced, new: Traced) -> None:
        """Let a Value follow what was written into the array that it has handed out."""
        owner = self.lenders.pop(old, None)
        if owner is None:
            return
        self.lenders[new] = owner
        v, what, lent = owner
        known = self.lent.get((id(v), what))
        if known is None or known[2] is not lent or self._of(v, what) is not known[1]:
            return  # it has got others since
        x = copied(new)
        self.lent[id(v), what] = v, x, lent
        if v.serial < self.start:
            state = self.state(v)
            if what == "data":
                state.data, state.data_changed = x, True
            else:
                state.grad, state.grad_changed = x, True
        elif what == "data":
            v._raw = x
        else:
            v._grad = x

    def _of(self, v: Value, what: str) -> Any:
        if v.serial >= self.start:
            return v._raw if what == "data" else v._grad
        return self.state(v).data if what == "data" else self.state(v).grad


def owner(x: Any) -> Any:
    """What owns the memory that an array shows."""
    while (base := getattr(x, "base", None)) is not None:
        x = base
    return x


_NO_DRAWS = {
    "shuffle": "an array is shuffled in place only once; write x = rng.permutation(x)",
    "spawn": "new generators would be the same in every call; spawn them outside",
    "bytes": "a program has numbers only; draw rng.integers(256, size=n)",
}


def _is_number(v: Value) -> bool:
    return type(v._raw) is float or type(v._raw) is Cell


def _like(trace: Trace, like: Any, params: dict[str, Any]) -> Traced:
    kind = type(like)
    if kind is complex:
        return Traced(trace, "input", (), (), np.dtype(np.complex128), True, params)
    if kind is float or kind is Cell or kind is int or kind is bool:
        dtype = FLOAT64 if kind is float or kind is Cell else np.dtype(np.int64 if kind is int else bool)
        return Traced(trace, "input", (), (), dtype, True, params)
    dtype = np.asarray(like).dtype.newbyteorder("=")
    return Traced(trace, "input", (), np.shape(like), dtype, False, params)


# -------------------------------------------------------------------- a captured program


class Output(NamedTuple):
    """One array of what the function returned, and how the caller gets it.

    ``kind`` is ``"array"`` (raw data), ``"value"`` (a Value), or ``"plain"``: ``node`` is then the
    object itself, which no input has a say in.
    """

    kind: str
    node: Any


@dataclass
class Captured:
    """A function as a program: inputs, results and the state it changes.

    Attributes
    ----------
    slots, inputs
        Where each input node gets its data.
    outputs : list of Output
        The flattened result; ``spec`` is its container.
    states : list of State
        The Values from outside that were met; where changed, their last data and gradient.
    call : callable
        The function, of the flattened arguments.
    names : list of str
        Of the flattened arguments.
    figures : Figures
        For the report.
    """

    slots: list[Slot]
    inputs: list[Traced]
    outputs: list[Output]
    spec: Any
    states: list[State]
    trace: Trace
    call: Callable[[list[Any]], Any]
    names: list[str] = field(default_factory=list)
    figures: Figures = field(default_factory=Figures)

    @property
    def writes(self) -> bool:
        """Whether Values from outside are changed."""
        return any(s.data_changed or s.grad_changed for s in self.states)

    def checksums(self) -> list[int]:
        """Of the large arrays around the function that are inputs."""
        return [_checksum(x) for _, x in self.trace.arrays]

    def forget(self) -> None:
        """Let the nodes go, which of scalar graphs are very many; what is left binds and runs the program."""
        self.outputs = [o if o.kind == "plain" else Output(o.kind, None) for o in self.outputs]
        for s in self.states:
            s.data, s.grad = None, None if s.grad is None else False

    def root_slots(self) -> list[Slot | None]:
        """For each root the input whose place it takes: new data that of the old."""
        found: list[Slot | None] = [None for o in self.outputs if o.kind != "plain"]
        for number, s in enumerate(self.states):
            if s.data_changed:
                found.append(Slot("data", number) if s.argument is None else None)
            if s.grad_changed and s.grad is not None:
                found.append(Slot("grad", number))
        return found + [None for _ in self.trace.midway]

    def roots(self) -> list[Traced]:
        """Every node that has to be computed: outputs, new data and gradients, what is drawn midway."""
        found = [o.node for o in self.outputs if o.kind != "plain"]
        for s in self.states:
            if s.data_changed:
                found.append(s.data)
            if s.grad_changed and s.grad is not None:
                found.append(s.grad)
        return found + self.trace.midway


def capture(
    name: str,
    call: Callable[[list[Any]], Any],
    leaves: list[Any],
    lines: bool = False,
    large: dict[int, tuple[str, Any]] | None = None,
) -> Captured:
    """Run ``call`` on traced stand-ins of the flattened arguments.

    Values among the arguments are passed as they are: the trace stands in for their data. With
    ``lines`` it keeps the user's line of each node. ``large`` is for `Trace`.
    """
    generators = [  # older than the trace, as what they stand for
        Generator(x.bit_generator) if isinstance(x, np.random.Generator) else None for x in leaves
    ]
    trace = Trace()
    trace.leaves, trace.large = len(leaves), large or {}
    trace.generators = {id(g): i for i, g in enumerate(generators) if g is not None}
    trace.lines = {} if lines else None
    trace.arguments = {id(x): i for i, x in enumerate(leaves) if type(x) is Value}
    before = current_trace()
    set_trace(trace)
    capturing.append(trace)
    try:
        given: list[Any] = []
        for i, x in enumerate(leaves):
            if (g := generators[i]) is not None:
                given.append(g)
            elif type(x) is Value or not isinstance(x, float | int | complex | np.ndarray | np.generic):
                given.append(x)
            else:
                given.append(trace.input(Slot("argument", i), x))
        trace.checksums = {key: _checksum(x) for key, (_, x) in trace.large.items()}
        try:
            result = call(given)
        except ValueError as error:
            if (why := hidden(error)) is not None:
                raise why from None
            raise
        if trace.refused is not None:
            raise trace.refused
        for name_and_owner in trace.large.values():
            trace.check_unwritten(*name_and_owner)
        flat, spec = flatten(result, none_is_leaf=True)
        outputs = [_output(name, trace, x) for x in flat]
        for s in trace.states.values():
            if s.data_changed:
                s.data = lift(s.data)
            if s.grad_changed and s.grad is not None:
                s.grad = lift(s.grad)
    finally:
        capturing.remove(trace)
        set_trace(before)
        trace.end()
    return Captured(trace.slots, trace.inputs, outputs, spec, list(trace.states.values()), trace, call)


def _checksum(x: Any) -> int:
    """Of the numbers of an array; 0 of what else owns memory, as files do, which may be endless."""
    if not isinstance(x, np.ndarray) or x.dtype.hasobject:
        return 0
    return zlib.crc32(np.ascontiguousarray(x.reshape(-1, order="A")).view(np.uint8).data)


def _output(name: str, trace: Trace, x: Any) -> Output:
    if type(x) is Traced:
        return Output("array", lift(x))
    if type(x) is Value:
        if x.serial < trace.start:
            return Output("plain", x)
        return Output("value", lift(x._raw))
    if isinstance(x, np.ndarray) and x.dtype.kind not in "fciub":
        raise TypeError(
            f"compile: {name} returned an array of {x.dtype}, expected numbers; return what it holds instead"
        )
    if x is None or isinstance(x, str | bool | int | float | complex | np.ndarray | np.generic):
        return Output("plain", x)
    raise TypeError(
        f"compile: {name} returned a {type(x).__name__}, expected arrays, numbers, Values or containers of "
        "them; return what it holds instead"
    )
