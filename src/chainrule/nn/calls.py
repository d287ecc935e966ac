"""A call of a module: what went in and came out, and the derivatives that belong to it."""

from __future__ import annotations

import contextlib
import inspect
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import optree

from chainrule.containers import flatten
from chainrule.primitives import as_array, fit, raw
from chainrule.recording import Recording, zeros_like
from chainrule.sweeps.adjoint import adjoint
from chainrule.traced import is_array
from chainrule.value import Value

if TYPE_CHECKING:
    from chainrule.nn.module import Module

__all__ = ["Call", "bound", "drawn", "now", "repeated", "replaying", "without_graph"]


LOGGED = 10_000  # calls


class _Now(threading.local):
    """The calls that run at present, outermost first, and those that run a second time, with their draws."""

    def __init__(self) -> None:
        self.running: list[Call] = []
        self.repeated: list[Iterator[Any]] = []
        # the latest calls as (serial before, serial after, module): which nodes are whose, for the explorer
        self.log: deque[tuple[int, int, weakref.ref[Module]]] = deque(maxlen=LOGGED)
        # while notes are taken: the modules called, so that one made and dropped on the way can be named
        self.held: list[Module] | None = None


now = _Now()


def replaying(module: Module) -> bool:
    """Whether `forward` is run a second time for its derivatives: then it changes nothing, draws nothing.

    It is so for the module that is derived and for all that it calls.
    """
    return bool(now.repeated)


def drawn(draw: Callable[[], Any]) -> Any:
    """What ``draw`` gives; where a call is repeated, what it gave when the call ran first.

    Raises
    ------
    RuntimeError
        If the repeated call draws more than the first time.
    """
    x = next(now.repeated[-1], None) if now.repeated else draw()
    if x is None:
        raise RuntimeError(
            "a module's call is repeated for its derivatives and draws more than the first time; call the "
            "module again after train() or eval(), before asking for its messages"
        )
    if type(x) is np.ndarray:
        x.setflags(write=False)  # a graph need not copy it
    for call in now.running:
        call.draws.append(x)
    return x


@contextlib.contextmanager
def repeated(call: Call) -> Iterator[None]:
    """Here whatever runs is ``call`` a second time."""
    now.repeated.append(iter(list(call.draws)))
    try:
        yield
    finally:
        now.repeated.pop()


class Call:
    """One call of a module and its messages.

    Attributes
    ----------
    inputs : tuple
        What the module was called with: plain numbers and arrays, in their containers; what was given by
        keyword stands where `forward` has it.
    outputs
        What it returned, as plain numbers and arrays.
    incoming, outgoing
        The gradients of the outputs and of the inputs, once a sweep has come by; None before.
    parameter_gradients : dict
        By name; empty before the sweep.
    """

    def __init__(self, module: Module, args: Sequence[Any], keywords: dict[str, Any], keep: bool) -> None:
        self.module = module
        self.draws: list[Any] = []  # by whatever it called, in their order
        take = _kept if keep else _weak
        self._inputs = tuple([take(x) for x in args])
        self._names: tuple[str, ...] = ()  # of the last inputs, if they were given by keyword
        if keywords:
            self._inputs += tuple([take(x) for x in keywords.values()])
            self._names = tuple(keywords)
        self.outputs: Any = None
        self.incoming: Any = None
        self.outgoing: Any = None
        self.parameter_gradients: dict[str, Any] = {}
        self.recording: Recording | None = None
        self.flat: list[tuple[list[Any], Any]] = []  # leaves and structure of each input
        self.floating: list[list[int]] = []  # which leaves of it have a gradient
        self.saved: dict[str, Any] = {}  # what `forward` has put into attributes of a module with a backward

    @property
    def inputs(self) -> tuple[Any, ...]:
        return tuple([_mapped(_number, x) for x in self._present_inputs()])

    def _present_inputs(self) -> list[Any]:
        if self._names:
            args, keywords = bound(self.module, *self._split(self._inputs))
            self._inputs, self._names = (*args, *keywords.values()), tuple(keywords)
        return [_mapped(self._present(i), x) for i, x in enumerate(self._inputs)]

    def _split(self, inputs: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        count = len(inputs) - len(self._names)
        return tuple(inputs[:count]), dict(zip(self._names, inputs[count:], strict=True))

    def _present(self, i: int) -> Callable[[Any], Any]:
        def present(x: Any) -> Any:
            if type(x) is not weakref.ref:
                return x
            if (found := x()) is None:
                raise RuntimeError(
                    f"{type(self.module).__name__}: input {i} of its last call is gone, as nobody holds it; "
                    "keep it in a variable, or call the module within `with nn.watch(module):`"
                )
            return found

        return present

    def run(self, inputs: Sequence[Any]) -> Any:
        """`forward` on fresh Values in the place of floating leaves of the inputs, kept for derivatives."""
        module = self.module
        self.flat = [flatten(x, none_is_leaf=True) for x in inputs]
        if not self.floating:
            self.floating = [
                [j for j, x in enumerate(leaves) if _floating(x, alone=spec.num_nodes == 1)]
                for leaves, spec in self.flat
            ]

        def forward(given: list[Any]) -> Any:
            args, keywords = self._split(self.filled(given, inputs))
            return module.forward(*args, **keywords)

        self.recording = r = Recording(
            type(module).__name__, forward, list(map(_number, self.leaves(inputs)))
        )
        if type(module)._handmade:
            self.saved = {name: x for name, x in vars(module).items() if _made_by(r, x)}
        return r.out

    def leaves(self, inputs: Sequence[Any]) -> list[Any]:
        """The leaves of the inputs, or of what has their containers, that have a gradient."""
        flat = [
            flatten(x, none_is_leaf=True)[0] if js else []
            for x, js in zip(inputs, self.floating, strict=True)
        ]
        return [leaves[j] for leaves, js in zip(flat, self.floating, strict=True) for j in js]

    def filled(self, given: Iterable[Any], inputs: Sequence[Any] | None = None) -> list[Any]:
        """The inputs with others for the leaves that have a gradient; the rest as in ``inputs``."""
        found = iter(given)
        out = []
        for i, ((leaves, spec), js) in enumerate(zip(self.flat, self.floating, strict=True)):
            if not js:
                out.append(None if inputs is None else inputs[i])
                continue
            rest = [None] * len(leaves) if inputs is None else list(leaves)
            for j in js:
                rest[j] = next(found)
            out.append(optree.tree_unflatten(spec, rest))
        return out

    def replay(self) -> Recording:
        """`run` once more, for derivatives alone."""
        with repeated(self):
            self.run(self._present_inputs())
        assert self.recording is not None
        return self.recording

    def derive(self, delta: Any) -> tuple[Any, dict[str, Any]]:
        """The gradients of inputs and parameters that belong to those of the outputs."""
        return self.named(self.sweep(delta))

    def sweep(self, delta: Any) -> dict[Value, Any]:
        """The gradients of all that `forward` has read."""
        r = self.recording or self.replay()
        seeds = self._seeds(delta, r)
        record = any(type(g) is Value for _, g in seeds) or r.nested
        with np.errstate(all="ignore"):
            return adjoint(seeds, until=r.until, record=record)

    def named(self, found: dict[Value, Any]) -> tuple[Any, dict[str, Any]]:
        """Those of the inputs, in their containers, and of the parameters; zeros for what got none."""
        assert self.recording is not None

        def of(v: Value) -> Any:
            return found[v] if v in found else zeros_like(v._raw)

        inputs = self.filled(map(of, self.recording.leaves))
        parameters = {name: of(p) for name, p in self.module.named_parameters()}
        return inputs[0] if len(inputs) == 1 else tuple(inputs), parameters

    def messages(self, delta: Any, outside: list[Value], plain: bool) -> tuple[Any, dict[str, Any], Any]:
        """Outgoing gradients and the parameters', by hand where they are, and all that were derived."""
        module = self.module
        handmade = type(module)._handmade
        by_hand = {id(p) for p in module.parameters()} if "parameter_gradients" in handmade else set()
        needed = "backward" not in handmade or any(id(v) not in by_hand for v in outside)
        found = self.sweep(delta) if needed else {}
        outgoing, named = self.named(found)
        if handmade:
            before, attributes = module._last, vars(module)
            others = {name: attributes[name] for name in self.saved if name in attributes}
            module._last = self
            attributes.update({name: without_graph(x) if plain else x for name, x in self.saved.items()})
            try:
                if "backward" in handmade:
                    outgoing = module.backward(delta)
                if "parameter_gradients" in handmade:
                    named = self._all_named(module.parameter_gradients(delta))
            finally:
                module._last = before
                for name in self.saved:
                    del attributes[name]
                attributes.update(others)
            if plain:  # `backward` may have computed with Values of its own: its parameters
                outgoing, named = without_graph(outgoing), {name: raw(g) for name, g in named.items()}
        return outgoing, named, found

    def _all_named(self, named: Any) -> dict[str, Any]:
        """What `parameter_gradients` gave; an error unless every parameter is in it, and nothing else."""
        name = f"{type(self.module).__name__}.parameter_gradients"
        wanted = [path for path, _ in self.module.named_parameters()]
        if not isinstance(named, dict):
            raise TypeError(
                f"{name}: returned {_kind(named)}, expected a dict with a gradient for each of {wanted}; "
                "return {name: gradient}"
            )
        missing = [path for path in wanted if path not in named]
        unknown = [path for path in named if path not in wanted]
        if unknown:  # what is frozen may be there
            state = self.module.state_dict()
            unknown = [path for path in unknown if path not in state]
        if missing or unknown:
            raise ValueError(
                f"{name}: returned {list(named)}, expected a gradient for each of {wanted}; "
                + (f"missing: {missing}" if missing else f"no parameter: {unknown}")
            )
        return named

    def sent(self, outgoing: Any) -> list[Any]:
        """Of outgoing gradients those of `leaves`, None where there is none."""
        name = f"{type(self.module).__name__}.backward"
        count = len(self.flat)
        moving = [i for i, js in enumerate(self.floating) if js]
        if not moving:
            return []
        if outgoing is None:
            raise TypeError(f"{name}: returned None, expected {_expected(count)}; is a `return` missing?")
        if count == 1:
            each = [outgoing]
        elif isinstance(outgoing, tuple | list) and len(outgoing) in (count, len(moving)):
            each = list(outgoing)
        elif not isinstance(outgoing, tuple | list) and len(moving) == 1:
            each = [outgoing]
        else:
            got = f"{len(outgoing)} gradients" if isinstance(outgoing, tuple | list) else _kind(outgoing)
            raise ValueError(f"{name}: returned {got}, expected {_expected(count)}")
        if len(each) == count:
            each = [each[i] for i in moving]
        out: list[Any] = []
        for i, g in zip(moving, each, strict=True):
            leaves, spec = self.flat[i]
            if g is None:
                out += [None] * len(self.floating[i])
                continue
            given, structure = flatten(g, none_is_leaf=True)
            if structure != spec:
                what = _kind(g) if spec.num_nodes == 1 else f"the structure {structure}"
                like = (
                    "an array: return the gradient itself"
                    if spec.num_nodes == 1
                    else f"that of the input, {spec}"
                )
                raise TypeError(f"{name}: returned {what} for input {i}, expected {like}")
            out += [given[j] for j in self.floating[i]]
        return out

    def _seeds(self, delta: Any, r: Recording) -> list[tuple[Value, Any]]:
        outputs, spec = flatten(r.out, none_is_leaf=True)
        deltas = [delta] if len(outputs) == 1 and not isinstance(delta, tuple | list | dict) else None
        if deltas is None:
            deltas, given = flatten(delta, none_is_leaf=True)
            if given != spec:
                raise ValueError(
                    f"{type(self.module).__name__}.backward: the incoming gradients have the structure "
                    f"{given}, expected that of the outputs: {spec}"
                )
        seeds = []
        for y, g in zip(outputs, deltas, strict=True):
            if type(y) is not Value or g is None:
                continue
            if np.shape(raw(g)) != y.shape:
                raise ValueError(
                    f"{type(self.module).__name__}.backward: the incoming gradient has shape "
                    f"{np.shape(raw(g))}, expected that of the output, {y.shape}"
                )
            seeds.append((y, fit(g if type(g) is Value or is_array(g) else np.asarray(g), y._raw)))
        return seeds


def bound(module: Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments in the order of the signature of `forward`, by position where that is possible."""
    if keywords:
        with contextlib.suppress(TypeError):  # `forward` will say what is wrong
            given = inspect.signature(module.forward).bind(*args, **keywords)
            return given.args, given.kwargs
    return args, keywords


def _mapped(f: Callable[[Any], Any], x: Any) -> Any:
    """``f`` of the leaves of a container, which stays the same one if they do."""
    leaves, spec = flatten(x, none_is_leaf=True)
    mapped = [f(leaf) for leaf in leaves]
    return (
        x if all(a is b for a, b in zip(leaves, mapped, strict=True)) else optree.tree_unflatten(spec, mapped)
    )


def without_graph(x: Any) -> Any:
    """A container with the data of its Values in their place."""
    return _mapped(raw, x)


class _Number(float):
    """That of a Value in a container: unlike a plain one there it has a gradient."""


def _number(x: Any) -> Any:
    return float(x) if type(x) is _Number else x


def _current(x: Any) -> Any:
    if type(x) is not Value:
        return x
    x = x._current()
    return _Number(x) if type(x) is float else x


def _reference(x: Any) -> Any:
    x = _current(x)
    return weakref.ref(x) if type(x) is np.ndarray else x


def _kept(x: Any) -> Any:
    return x._current() if type(x) is Value else _mapped(_current, x)


def _weak(x: Any) -> Any:
    x = x._current() if type(x) is Value else x
    kind = type(x)
    return weakref.ref(x) if kind is np.ndarray else x if kind is float else _mapped(_reference, x)


def _floating(x: Any, alone: bool) -> bool:
    """Whether a leaf has a gradient: plain numbers in a list are left alone: it may be meant as an array."""
    x = raw(x)
    return (alone or type(x) is not float) and is_array(x) and as_array(x).dtype.kind in "fc"


def _made_by(r: Recording, x: Any) -> bool:
    """Whether an attribute holds a Value of this recording."""
    if not isinstance(x, Value | tuple | list | dict):
        return False
    return any(type(v) is Value and v.serial >= r.since for v in flatten(x)[0])


def _kind(x: Any) -> str:
    return f"a {type(x).__name__}"


def _expected(count: int) -> str:
    if count == 1:
        return "the gradient of its input"
    return f"a tuple with the gradient of each of its {count} inputs (None for an input that has none)"
