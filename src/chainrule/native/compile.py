"""`compile`: a Python function as native code, one program for each signature it is called with."""

from __future__ import annotations

import functools
import gc
import threading
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from chainrule.graph import order
from chainrule.native.capture import State, capture
from chainrule.native.checking import checked
from chainrule.native.entropy import Undrawn, no_entropy
from chainrule.native.figures import Figures
from chainrule.native.graph import ProgramGraph, argument_names
from chainrule.native.guards import Guards
from chainrule.native.operations import leaked
from chainrule.native.program import Program
from chainrule.native.report import Report, graph, report
from chainrule.primitive import Contributions, Lanes, Primitive, fit
from chainrule.recording import zeros_like
from chainrule.sweeps.adjoint import adjoint
from chainrule.sweeps.tangent import tangent
from chainrule.traced import Traced, TracedError, current_trace
from chainrule.value import Cell, Value, result

__all__ = ["Compiled", "compile"]

MANY = 16  # programs made of one function after which a warning says why it is compiled again and again
KEPT = 64  # programs of one function; then the one that has not been used for longest goes


def compile(
    f: Callable[..., Any] | None = None, *, static_argnums: int | Sequence[int] = (), check: bool = False
) -> Any:
    """``f`` as native code: run once on traced arrays, then without Python.

    Usable as a decorator. Whatever ``f`` does is compiled as it stands: a function of arrays, or a
    whole training step with ``loss.backward()`` and the optimiser's update. What it reads besides
    its arguments becomes state: data and gradients of Values from outside are read at each call and
    changed as ``f`` would change them.

    Parameters
    ----------
    f : callable
        Takes arrays, numbers, Values and containers of them, and returns such. Python's ``if`` and
        ``while`` must not depend on their numbers; use ``np.where``, `chainrule.cond`,
        `chainrule.while_loop`. Python's loops are unrolled, `chainrule.scan` is not.
    static_argnums : int or sequence of int
        Arguments that are constants: the function is compiled anew for each value of theirs.
    check : bool
        To find faults: at each call run ``f`` itself beside the program, on the same inputs and state,
        and raise `chainrule.native.checking.CheckError` with the first operation that differs.

    Returns
    -------
    Compiled
        Called as ``f``; a program is made for each combination of shapes, dtypes, containers and
        static arguments, and again when a Python number that ``f`` reads from its closure, its
        globals or an attribute has changed. It can be differentiated, and be part of what is compiled.

    Raises
    ------
    chainrule.traced.TracedError
        When called, if ``f`` asks for a number of a traced array; names the line and the remedy.
    ImportError
        Without llvmlite or SciPy: ``pip install 'chainrule[compile]'``.

    Notes
    -----
    The numbers are those of the eager function up to the order in which sums are added up and
    products are contracted with sums (fused multiply-add); elementwise functions agree within 4 ulp.
    Arrays in closures and globals are compared at each call if small; large ones are read at each call, but
    what NumPy computes from them alone is computed once.
    Random numbers from generators that are arguments, or of `chainrule.random.default_rng`, are drawn anew at
    each call; others would be the same in every call, and are refused. ``x += y`` on a traced array makes a
    new one: another name for ``x`` keeps the old numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> slope = cr.compile(cr.grad(lambda x: np.sum(np.tanh(x) ** 2)))
    >>> slope(np.array([0.0, 1.0]))
    array([0.       , 0.639700])
    """
    if f is None:
        return functools.partial(compile, static_argnums=static_argnums, check=check)
    if not callable(f):
        raise TypeError(f"compile: f is a {type(f).__name__}, expected a function")
    return Compiled(f, static_argnums, check)


class Compiled:
    """A compiled function; call it as the function itself.

    Attributes
    ----------
    function : callable
        What was compiled.
    last : Program or None
        The program of the last call.
    """

    def __init__(
        self, f: Callable[..., Any], static_argnums: int | Sequence[int] = (), check: bool = False
    ) -> None:
        self.function, self.check = f, check
        numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
        if not all(isinstance(i, int) and i >= 0 for i in numbers):
            raise TypeError(
                f"compile: static_argnums is {static_argnums!r}, expected numbers of positional arguments"
            )
        self.static = frozenset(numbers)
        self.name = getattr(f, "__name__", type(f).__name__)
        self.programs: dict[Any, tuple[Program, ...]] = {}
        self.last: Program | None = None
        self._lock = threading.RLock()
        self._made = self._turns = self._restless = 0
        self._before: Any = None  # names and signatures of the arguments it was compiled for last
        functools.update_wrapper(self, f, updated=())

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A method: bound to an object it is a compiled function of its own, kept by that object."""
        if instance is None:
            return self
        key = f"_compiled_{self.name}_{id(self)}"  # a subclass may have another of the method's name
        kept = vars(instance).get(key) if hasattr(instance, "__dict__") else None
        if kept is None or kept.function.__self__ is not instance:  # an object's copy has its attributes
            method = types.MethodType(self.function, instance)
            kept = Compiled(method, tuple(i - 1 for i in self.static if i), self.check)
            if hasattr(instance, "__dict__"):
                setattr(instance, key, kept)
        return kept

    def __reduce__(self) -> Any:
        return Compiled, (self.function, tuple(self.static), self.check)

    def __repr__(self) -> str:
        n = sum(map(len, self.programs.values()))
        return f"<compiled {self.name}, {n} program{'' if n == 1 else 's'}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_trace() is not None:
            return self.function(*args, **kwargs)
        if not kwargs and not self.static and all(type(a) is np.ndarray or type(a) is float for a in args):
            leaves: Any = args
            key: Any = tuple([(a.dtype, a.shape) if type(a) is np.ndarray else float for a in args])
        else:
            leaves, key = self._flatten(args, kwargs)
        program = None
        for p in self.programs.get(key, ()):
            if p.valid(leaves):
                program = p
                break
        if program is None:
            program = self._compile(args, kwargs, leaves, key)
        if program is not self.last:
            self._turns += 1
            program.used = self._turns
            self.last = program
        if self.check:
            leaves, values = checked(program, leaves)
        elif program.draws:
            leaves, values = program.drawing(leaves)
        else:
            values = program(leaves)
        return self._connected(program, leaves, values) if program.differentiable else values

    def _flatten(self, args: Any, kwargs: Any) -> tuple[list[Any], Any]:
        static = tuple(
            (i, repr(args[i]) if type(args[i]) is float else type(args[i]), args[i])
            for i in sorted(self.static)
            if i < len(args)
        )
        try:
            hash(static)
        except TypeError:
            raise TypeError(
                f"compile: a static argument of {self.name} is a {type(static[-1][1]).__name__}, which "
                "cannot be hashed; static arguments are compared: pass a number, a string or a tuple"
            ) from None
        chosen = tuple(a for i, a in enumerate(args) if i not in self.static)
        leaves: list[Any]
        leaves, spec = optree.tree_flatten((chosen, kwargs), none_is_leaf=True)  # type: ignore[arg-type]
        values = [id(x) for x in leaves if type(x) is Value]
        same = tuple(map(values.index, values)) if len(values) > 1 else ()  # given twice, it is one input
        return leaves, (spec, static, same, *[_signature(self.name, x) for x in leaves])

    def _compile(self, args: Any, kwargs: Any, leaves: Any, key: Any) -> Program:
        with self._lock, _NO_COLLECTION:
            made = self.programs.get(key, ())
            for p in made:
                if p.valid(leaves):
                    return p
            signatures = [_signature(self.name, x) for x in leaves]
            figures = Figures()
            static = {f"static argument {i}": args[i] for i in sorted(self.static) if i < len(args)}
            guards = Guards(self.function, leaves, list(static.items()))
            undrawn = Undrawn(guards.generators)
            if leaves is args:

                def call(given: list[Any]) -> Any:
                    return self.function(*given)
            else:
                chosen = tuple(a for i, a in enumerate(args) if i not in self.static)
                _, spec = optree.tree_flatten((chosen, kwargs), none_is_leaf=True)  # type: ignore[arg-type]

                def call(given: list[Any]) -> Any:
                    chosen, kwargs = optree.tree_unflatten(spec, given)
                    rest = iter(chosen)
                    return self.function(
                        *[a if i in self.static else next(rest) for i, a in enumerate(args)], **kwargs
                    )

            try:
                with no_entropy:
                    captured = capture(self.name, call, list(leaves), self.check, guards.large)
            except BaseException:
                undrawn.drawn()
                raise
            figures.done("capture")
            captured.figures = figures
            captured.names = argument_names(self.function, self.static, args, kwargs)
            captured.names += [f"drawn {d.name}" for d in captured.trace.draws]
            drawn = undrawn.drawn()
            if drawn is not None:
                raise TracedError(
                    f"compile: {self.name} drew random numbers from {drawn} while it was captured; a program "
                    "would give the same ones in every call: draw from a generator that is an argument or "
                    "made with chainrule.random.default_rng, or draw outside and pass the numbers"
                )
            known = {**dict(zip(captured.names, map(_in_words, signatures))), **_words(static)}
            self._look_at_itself(guards)
            program = Program(self.name, captured, guards)
            self._made += 1
            if self._made >= MANY and self._made & (self._made - 1) == 0:
                warnings.warn(
                    f"compile: {self.name} has been compiled {self._made} times, the last time because "
                    f"{self._why(made, leaves, known)}",
                    stacklevel=3,
                )
            self._before = known
            self.programs[key] = (*made, program)
            if sum(map(len, self.programs.values())) > KEPT:
                self._drop(program)
            return program

    def _drop(self, but: Program) -> None:
        """Let the program go that has not been used for longest."""
        others = [(key, p) for key, programs in self.programs.items() for p in programs if p is not but]
        key, oldest = min(others, key=lambda found: found[1].used)
        left = tuple(p for p in self.programs[key] if p is not oldest)
        if left:
            self.programs[key] = left
        else:
            del self.programs[key]

    def _why(self, made: Sequence[Program], leaves: Any, known: dict[str, str]) -> str:
        """What has changed since it was compiled last."""
        if made:
            return f"{made[-1].change(leaves)}; keep what changes in a Value, or pass it as an argument"
        for name, now in known.items():
            if (was := self._before.get(name, now)) != now:
                remedy = "make it an ordinary argument" if "static" in name else "pad shapes to a few sizes"
                return f"{name} was {was}, is {now}; if it keeps changing, {remedy}"
        return "its arguments come in other containers; pass the same ones"

    def _look_at_itself(self, guards: Guards) -> None:
        """Say so if the capture has itself changed what it reads, so that each call will compile anew."""
        if guards.hold():
            self._restless = 0
            return
        change = guards.change()
        if (place := guards.leak()) is not None:
            raise TracedError(
                f"compile: {self.name} puts a traced value into {place}, where it would leak: it has no "
                f"number there; return it instead, and put what comes back into {place}"
            )
        self._restless += 1
        if self._restless == 2:  # once may be the filling of a cache
            warnings.warn(
                f"compile: {self.name} changes something that it reads, so each call compiles it anew: "
                f"{change}; return it instead and change it outside, or keep the number in a Value",
                stacklevel=4,
            )

    # ---------------------------------------------------------------- seeing it

    def report(self) -> Report:
        """What the program of the last call does, how it was fused, and what falls back to NumPy."""
        return report(self._used("report"), sum(map(len, self.programs.values())))

    def llvm_ir(self) -> str:
        """The program of the last call as LLVM's intermediate language."""
        return self._used("llvm_ir").image.ir

    @property
    def graph(self) -> ProgramGraph:
        """The program of the last call, for `chainrule.draw`."""
        return graph(self._used("graph"))

    def _used(self, what: str) -> Program:
        if self.last is None:
            raise RuntimeError(f"{what}: {self.name} has not been called yet; call it once, then ask")
        return self.last

    # ---------------------------------------------------------------- derivatives

    def _connected(self, program: Program, leaves: Any, values: Any) -> Any:
        """Give the Values returned their place in the caller's graph."""
        inputs = tuple(s.value if s.argument is None else leaves[s.argument] for s in program.captured.states)
        if not inputs:
            return values
        flat, spec = optree.tree_flatten(values, none_is_leaf=True)
        given = [x if type(x) is Value else x.copy() if type(x) is np.ndarray else x for x in leaves]
        for j, o in enumerate(program.captured.outputs):
            if o.kind == "value":
                piece = _Piece(self, program, given, j)
                args = tuple([v._current() for v in inputs])
                flat[j] = result(flat[j]._data, piece, inputs, args)
        return optree.tree_unflatten(spec, flat)

    def _derivative(
        self, program: Program, j: int, leaves: list[Any], moving: tuple[bool, ...] | None
    ) -> Compiled:
        """A compiled function of (g or tangents, inputs) that carries derivatives through the j-th result."""
        key = (j, moving)
        if key not in program.derivatives:
            program.derivatives[key] = Compiled(
                _pull_of(program, j, leaves) if moving is None else _push_of(program, j, leaves, moving)
            )
        return program.derivatives[key]  # type: ignore[no-any-return]


class _Piece(Primitive):
    """One result of a compiled function as a node of a graph; its derivatives are compiled too."""

    takes_lanes = True

    def __init__(self, owner: Compiled, program: Program, leaves: list[Any], j: int) -> None:
        super().__init__(owner.function, name=f"compiled {owner.name}")
        self.owner, self.program, self.leaves, self.j = owner, program, leaves, j

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        pull = self.owner._derivative(self.program, self.j, self.leaves, None)
        seed = [g.value, g.alive] if type(g) is Lanes else [g]
        cs = pull([fit(seed[0], self._like(y)), *seed[1:]], self._plain(), *args)
        return [(x, c) for x, c in zip(inputs, cs, strict=True) if x.serial >= since]

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        moving = tuple(t is not None for t in tangents)
        push = self.owner._derivative(self.program, self.j, self.leaves, moving)
        ts = [[t.value, t.alive] if type(t) is Lanes else [t] for t in tangents if t is not None]
        return push(ts, self._plain(), *args)

    def _like(self, y: Any) -> Any:
        return y._data if type(y) is Value else y

    def _plain(self) -> list[Any]:
        """The arguments that are no Values."""
        return [x for x in self.leaves if type(x) is not Value]


def _replayed(
    program: Program, j: int, leaves: list[Any], plain: list[Any], given: Sequence[Any]
) -> tuple[Value, list[Value]]:
    """Run the function again on ``given`` in the place of the Values it read; its j-th result, and these."""
    trace = current_trace()
    assert trace is not None
    if not program.guards.hold():
        raise RuntimeError(
            f"backward: {program.guards.change()}; the derivative of a compiled function is compiled when it "
            f"is first asked for, and {program.name} must find what it found before: change it afterwards"
        )
    states = program.captured.states
    stand_ins: list[Value] = []
    arguments: dict[int, Value] = {}  # by the identity of the Value that came as an argument
    for s, x in zip(states, given, strict=True):
        if type(x) is Value:
            v = x
        elif s.argument is None:
            v = s.value
            trace.states[id(v)] = State(v, None, x, len(trace.states))
        else:
            v = Value(x)
        stand_ins.append(v)
        if s.argument is not None:
            arguments[id(leaves[s.argument])] = v
    rest = iter(plain)
    flat = [arguments.get(id(x), x) if type(x) is Value else next(rest) for x in leaves]
    n = len(flat) - len(program.draws)
    before, trace.drawn = trace.drawn, iter(flat[n:])
    out = program.captured.call(flat[:n])
    trace.drawn = before
    return optree.tree_leaves(out, none_is_leaf=True)[j], stand_ins


def _pull_of(program: Program, j: int, leaves: list[Any]) -> Callable[..., Any]:
    def pull(seed: list[Any], plain: list[Any], *given: Any) -> list[Any]:
        trace = current_trace()
        g = Lanes(*seed) if len(seed) == 2 else seed[0]
        record = any(type(x) is Value for x in (*seed, *given))
        out, stand_ins = _replayed(program, j, leaves, plain, given)
        found = adjoint([(out, g)], until=trace.start - 1, record=record)  # type: ignore[union-attr]
        return [found.get(v, zeros_like(v._data)) for v in stand_ins]

    return pull


def _push_of(program: Program, j: int, leaves: list[Any], moving: tuple[bool, ...]) -> Callable[..., Any]:
    def push(tangents: list[list[Any]], plain: list[Any], *given: Any) -> Any:
        trace = current_trace()
        record = any(type(x) is Value for x in (*[t[0] for t in tangents], *given))
        out, stand_ins = _replayed(program, j, leaves, plain, given)
        nodes = order([out], trace.start)  # type: ignore[union-attr]
        moved = [v for v, moves in zip(stand_ins, moving, strict=True) if moves]
        seeds = {v: Lanes(*t) if len(t) == 2 else t[0] for v, t in zip(moved, tangents, strict=True)}
        return tangent(nodes, seeds, record=record).get(out, zeros_like(out._data))

    return push


class _NoCollection:
    """Python's cyclic collector rests: a capture makes very many objects, none of them in cycles."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth, self._was = 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._depth:
                self._was = gc.isenabled()
                gc.disable()
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth and self._was:
                gc.enable()


_NO_COLLECTION = _NoCollection()


def _in_words(signature: Any) -> str:
    """A signature as warnings name it."""
    if type(signature) is not tuple:
        return f"a {signature.__name__}" if isinstance(signature, type) else repr(signature)
    dtype, shape = signature[-2:]
    return f"{'a Value of ' if signature[0] is Value else ''}{dtype} {shape}"


def _words(static: dict[str, Any]) -> dict[str, str]:
    return {name: repr(x) for name, x in static.items()}


def _signature(name: str, x: Any) -> Any:
    """What of an argument the program depends on."""
    kind = type(x)
    if kind is np.ndarray:
        if x.dtype.kind not in "fciub":
            raise TypeError(
                f"compile: an argument of {name} is an array of {x.dtype}, expected numbers; name it in "
                "static_argnums if it is a constant, or convert it"
            )
        return x.dtype, x.shape
    if kind is float or kind is int or kind is bool or kind is complex:
        return kind
    if kind is Value:
        return Value, type(x._data) is float or type(x._data) is Cell, x.dtype, x.shape
    if isinstance(x, np.generic):
        return kind
    if x is None or isinstance(x, str):
        return x
    if isinstance(x, np.random.Generator):
        return np.random.Generator
    if kind is Traced:
        raise leaked(f"calling {name}")
    raise TypeError(
        f"compile: an argument of {name} is a {kind.__name__}, expected arrays, numbers, Values, strings, "
        "None, random generators or containers of them; name it in static_argnums if it is a constant"
    )
