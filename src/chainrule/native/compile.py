"""`compile`: a Python function as native code, one program for each signature it is called with."""

from __future__ import annotations

import functools
import gc
import inspect
import threading
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from chainrule.containers import NAMESPACE, flatten, learn
from chainrule.native.capture import capture
from chainrule.native.checking import checked
from chainrule.native.entropy import Undrawn, no_entropy
from chainrule.native.figures import Figures
from chainrule.native.graph import ProgramGraph, argument_names
from chainrule.native.guards import Guards
from chainrule.native.pieces import Piece, pull_of, push_of
from chainrule.native.program import Program
from chainrule.native.report import Report, graph, report
from chainrule.native.signatures import Unfit, in_words, signature_of
from chainrule.traced import TracedError, capturing, current_trace
from chainrule.value import Value, result

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
    each call; others would be the same in every call, and are refused. ``x += y`` is refused on an argument,
    and so is the use of an array or a view of one after it was changed in place under another name; write
    ``x = x + y``.

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
    if isinstance(f, staticmethod | classmethod):
        return type(f)(Compiled(f.__func__, static_argnums, check))
    if not callable(f):
        remedy = "; write @property above @compile" if isinstance(f, property) else ""
        raise TypeError(f"compile: f is a {type(f).__name__}, expected a function{remedy}")
    for call in (f, getattr(f, "__call__", f)):  # noqa: B004
        for what, holds in _NOT_AT_ONCE.items():
            if holds(call):
                raise TypeError(
                    f"compile: {_name(f)} is {what}, expected a function that returns its results; collect "
                    "them in a list and return that, or compile the functions that it calls"
                )
    return Compiled(f, static_argnums, check)


_NOT_AT_ONCE: dict[str, Callable[[Any], bool]] = {
    "a generator function": inspect.isgeneratorfunction,
    "a coroutine function": inspect.iscoroutinefunction,
    "an asynchronous generator function": inspect.isasyncgenfunction,
}


def _name(f: Any) -> str:
    return str(getattr(f, "__name__", type(f).__name__))


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
        self.name = _name(f)
        self._key = f"_compiled_{self.name}_{id(self)}"  # a subclass may have another of the method's name
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
        home = getattr(instance, "__dict__", None)
        if home is None:  # it has slots: then it is an argument
            return types.MethodType(self, instance)
        kept = home.get(self._key)
        if kept is None or kept.function.__self__ is not instance:  # an object's copy has its attributes
            method = types.MethodType(self.function, instance)
            kept = Compiled(method, tuple(i - 1 for i in self.static if i), self.check)
            if isinstance(instance, type):
                setattr(instance, self._key, kept)
            else:
                home[self._key] = kept  # though it be frozen
        return kept

    def _is_method_of(self, x: Any) -> bool:
        """Whether the function stands in the class of ``x``, which can keep a compiled one of its own."""
        kinds = x.__mro__ if isinstance(x, type) else type(x).__mro__
        place = getattr(self, "__module__", None), getattr(self, "__qualname__", "").rpartition(".")[0]
        return hasattr(x, "__dict__") and any((k.__module__, k.__qualname__) == place for k in kinds)

    def __reduce__(self) -> Any:
        return Compiled, (self.function, tuple(self.static), self.check)

    def __repr__(self) -> str:
        n = sum(map(len, self.programs.values()))
        return f"<compiled {self.name}, {n} program{'' if n == 1 else 's'}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if capturing and current_trace() is not None:
            return self.function(*args, **kwargs)
        leaves: Any = args
        key: Any = None if kwargs or self.static else _short_key(args)
        if key is None:
            try:
                leaves, key = self._flatten(args, kwargs)
            except Unfit as unfit:
                if args and self._is_method_of(args[0]):  # called through the class
                    return self.__get__(args[0])(*args[1:], **kwargs)
                if learn([unfit.leaf]):
                    return self(*args, **kwargs)
                raise self._refusal(unfit, args, kwargs) from None
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
        except TypeError as error:
            raise TypeError(
                f"compile: a static argument of {self.name} cannot be hashed ({error}); static arguments are "
                "compared: pass a number, a string or a tuple"
            ) from None
        chosen = tuple(a for i, a in enumerate(args) if i not in self.static)
        leaves: list[Any]
        tree: Any = (chosen, kwargs)
        leaves, spec = optree.tree_flatten(tree, none_is_leaf=True, namespace=NAMESPACE)
        values = [id(x) for x in leaves if type(x) is Value]
        same = tuple(map(values.index, values)) if len(values) > 1 else ()  # given twice, it is one input
        return leaves, (spec, static, same, *[signature_of(x) for x in leaves])

    def _refusal(self, unfit: Unfit, args: Any, kwargs: Any) -> TypeError:
        """The error for an argument that cannot be one, by its name."""
        chosen = tuple(a for i, a in enumerate(args) if i not in self.static)
        leaves, _ = flatten((chosen, kwargs), none_is_leaf=True)
        names = argument_names(self.function, self.static, args, kwargs)
        name = next((n for n, x in zip(names, leaves) if x is unfit.leaf), "")
        return TypeError(f"compile: argument {name} of {self.name} is {unfit}")

    def _compile(self, args: Any, kwargs: Any, leaves: Any, key: Any) -> Program:
        with self._lock, _NO_COLLECTION:
            made = self.programs.get(key, ())
            for p in made:
                if p.valid(leaves):
                    return p
            try:
                signatures = [signature_of(x) for x in leaves]
            except Unfit as unfit:
                raise self._refusal(unfit, args, kwargs) from None
            figures = Figures()
            static = {f"static argument {i}": args[i] for i in sorted(self.static) if i < len(args)}
            guards = Guards(self.function, leaves, list(static.items()))
            undrawn = Undrawn(guards.generators)
            if leaves is args:

                def call(given: list[Any]) -> Any:
                    return self.function(*given)
            else:
                chosen = tuple(a for i, a in enumerate(args) if i not in self.static)
                _, spec = flatten((chosen, kwargs), none_is_leaf=True)

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
                guards.leak()
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
            known = {**dict(zip(captured.names, map(in_words, signatures))), **_words(static)}
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
        if (leak := guards.leak()) is not None:
            place, container = leak
            does = f"puts a traced value into {place}" if container else f"assigns a traced value to {place}"
            instead = f"put what comes back into {place}"
            if not container:
                instead = f"assign what comes back; or let {place} be a Value, and write {place}.data = ..."
            raise TracedError(
                f"compile: {self.name} {does}, where it would leak: it has no number there; return it "
                f"instead, and {instead}"
            )
        if guards.hold():
            self._restless = 0
            return
        change = guards.change()
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
        flat, spec = flatten(values, none_is_leaf=True)
        given = [x if type(x) is Value else x.copy() if type(x) is np.ndarray else x for x in leaves]
        checksums = program.captured.checksums()
        for j, o in enumerate(program.captured.outputs):
            if o.kind == "value":
                piece = Piece(self, program, given, checksums, j)
                args = tuple([v._current() for v in inputs])
                flat[j] = result(flat[j]._raw, piece, inputs, args)
        return optree.tree_unflatten(spec, flat)

    def _derivative(
        self, program: Program, j: int, leaves: list[Any], moving: tuple[bool, ...] | None
    ) -> Compiled:
        """A compiled function of (g or tangents, inputs) that carries derivatives through the j-th result."""
        key = (j, moving)
        if key not in program.derivatives:
            program.derivatives[key] = Compiled(
                pull_of(program, j, leaves) if moving is None else push_of(program, j, leaves, moving)
            )
        return program.derivatives[key]  # type: ignore[no-any-return]


def _short_key(args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The signature of arguments that are plain arrays and floats; None if others are among them."""
    key: list[Any] = []
    for a in args:
        if type(a) is np.ndarray:
            key.append((a.dtype, a.shape))
        elif type(a) is float:
            key.append(float)
        else:
            return None
    return tuple(key)


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


def _words(static: dict[str, Any]) -> dict[str, str]:
    return {name: repr(x) for name, x in static.items()}
