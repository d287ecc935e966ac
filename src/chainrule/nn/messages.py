"""Messages between modules: the four signals of a call, and a call as one node of the graph.

A module receives inputs and sends outputs; in the backward sweep it receives the gradients of its
outputs and sends those of its inputs. Mostly a call leaves nothing in the graph but the operations of
`forward`. Where somebody wants to see or make the messages - a hook, `watch`, a `backward` written by
hand - the whole call becomes one node, and what `forward` did is kept within it.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import optree

from chainrule.primitive import Contributions, Lanes, Primitive, as_array, fit, raw
from chainrule.recording import Recording, zeros_like
from chainrule.rules.carry import differentiable
from chainrule.rules.control import Parts, item
from chainrule.sweeps.adjoint import adjoint
from chainrule.sweeps.tangent import tangent
from chainrule.traced import Traced, is_array
from chainrule.value import Value, result

if TYPE_CHECKING:
    from chainrule.nn.module import Module

__all__ = ["Call", "Hook", "Watched", "call_as_node", "drawn", "replaying", "watch"]


class _Now(threading.local):
    """The calls that run at present, outermost first, and those that run a second time, with their draws."""

    def __init__(self) -> None:
        self.running: list[Call] = []
        self.repeated: list[Iterator[Any]] = []


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
        What the module was called with: plain numbers and arrays.
    outputs
        What it returned, as plain numbers and arrays.
    incoming, outgoing
        The gradients of the outputs and of the inputs, once a sweep has come by; None before.
    parameter_gradients : dict
        By name; empty before the sweep.
    """

    def __init__(self, module: Module, inputs: Sequence[Any], keywords: dict[str, Any], keep: bool) -> None:
        self.module, self.keywords = module, keywords
        self.draws: list[Any] = []  # by whatever it called, in their order
        self._inputs = tuple([_kept(x) if keep else _weak(x) for x in inputs])
        self.outputs: Any = None
        self.incoming: Any = None
        self.outgoing: Any = None
        self.parameter_gradients: dict[str, Any] = {}
        self.recording: Recording | None = None
        self.floating: list[int] = []  # which inputs have a gradient

    @property
    def inputs(self) -> tuple[Any, ...]:
        found = tuple([x() if type(x) is weakref.ref else x for x in self._inputs])
        for i, x in enumerate(found):
            if x is None and self._inputs[i] is not None:
                raise RuntimeError(
                    f"{type(self.module).__name__}: input {i} of its last call is gone, as nobody holds it; "
                    "keep it in a variable, or call the module within `with nn.watch(module):`"
                )
        return found

    def run(self, inputs: Sequence[Any]) -> Any:
        """`forward` on fresh Values in the place of floating inputs, kept for derivatives."""
        floating = [i for i, x in enumerate(inputs) if _floating(x)]
        rest = list(inputs)

        def forward(given: list[Any]) -> Any:
            for i, x in zip(floating, given, strict=True):
                rest[i] = x
            return self.module.forward(*rest, **self.keywords)

        self.floating = floating
        name = type(self.module).__name__
        self.recording = Recording(name, forward, [_exact(inputs[i]) for i in floating])
        return self.recording.out

    def replay(self) -> Recording:
        """`run` once more, for derivatives alone."""
        with repeated(self):
            self.run(self.inputs)
        assert self.recording is not None
        return self.recording

    def derive(self, delta: Any) -> tuple[Any, dict[str, Any]]:
        """The gradients of inputs and parameters that belong to those of the outputs."""
        r = self.recording or self.replay()
        seeds = self._seeds(delta, r)
        record = any(type(g) is Value for _, g in seeds) or r.nested
        with np.errstate(all="ignore"):
            found = adjoint(seeds, until=r.until, record=record)
        inputs: list[Any] = [None] * len(self._inputs)
        for i, v in zip(self.floating, r.leaves, strict=True):
            inputs[i] = found[v] if v in found else zeros_like(v._data)
        named = {
            name: found[p] if p in found else zeros_like(p._data)
            for name, p in self.module.named_parameters()
        }
        return one_or_all(inputs), named

    def _seeds(self, delta: Any, r: Recording) -> list[tuple[Value, Any]]:
        outputs, spec = optree.tree_flatten(r.out, none_is_leaf=True)
        deltas = [delta] if len(outputs) == 1 and not isinstance(delta, tuple | list | dict) else None
        if deltas is None:
            deltas, given = optree.tree_flatten(delta, none_is_leaf=True)
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
            seeds.append((y, fit(g if type(g) is Value or is_array(g) else np.asarray(g), y._data)))
        return seeds


def one_or_all(xs: Sequence[Any]) -> Any:
    return xs[0] if len(xs) == 1 else tuple(xs)


def _kept(x: Any) -> Any:
    return x._current() if type(x) is Value else x


def _weak(x: Any) -> Any:
    x = _kept(x)
    return weakref.ref(x) if type(x) is np.ndarray else x


def _floating(x: Any) -> bool:
    x = raw(x)
    return is_array(x) and as_array(x).dtype.kind in "fc"


def _exact(x: Any) -> Any:
    return float(x) if type(x) is int else x


# -------------------------------------------------------------------- a call as one node


class _ModuleCall(Primitive):
    """A module's call: its pull is the module's `backward` and `parameter_gradients`, and tells the hooks."""

    def __init__(self, call: Call, outside: list[Value]) -> None:
        super().__init__(call.module.forward, name=type(call.module).__name__)
        self.call, self.outside = call, outside

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        call, module = self.call, self.call.module
        recorded = type(y) is Value
        delta = self._incoming(g.value if type(g) is Lanes else g)
        count = len(call.floating)
        given = dict(zip(call.floating, args[:count], strict=True))
        again = Call(module, [given.get(i, x) for i, x in enumerate(call.inputs)], call.keywords, keep=True)
        again.draws = call.draws
        if recorded:  # what is differentiated again must hang together with the Values outside
            again._inputs = tuple([given.get(i, x) for i, x in enumerate(call.inputs)])
            again.replay()
        else:
            again.recording, again.floating = call.recording, call.floating
        again.outputs, again.incoming = call.outputs, delta
        before = module._last
        module._last = again
        try:
            handmade = type(module)._handmade
            derived = again.derive(delta) if handmade != {"backward", "parameter_gradients"} else (None, {})
            outgoing = module.backward(delta) if "backward" in handmade else derived[0]
            named = module.parameter_gradients(delta) if "parameter_gradients" in handmade else derived[1]
        finally:
            module._last = before
        for hook in module._hooks("backward"):
            replaced = hook(module, delta, outgoing)
            outgoing = outgoing if replaced is None else replaced
        call.incoming, call.outgoing, call.parameter_gradients = delta, outgoing, named
        sent = outgoing if isinstance(outgoing, tuple | list) else (outgoing,)
        if len(sent) not in (len(call._inputs), count):
            raise ValueError(
                f"{type(module).__name__}.backward: returned {len(sent)} gradients, expected one for each "
                f"of its {len(call._inputs)} inputs (None for an input that has none)"
            )
        if len(sent) == len(call._inputs):
            sent = [sent[i] for i in call.floating]
        by_value = {id(p): named[name] for name, p in module.named_parameters() if name in named}
        out: Contributions = []
        for k, x in enumerate(inputs):
            if type(x) is not Value or x.serial < since:
                continue
            c = sent[k] if k < count else by_value.get(id(x))
            if c is None:
                continue
            if np.shape(raw(c)) != x.shape:
                which = f"input {call.floating[k]}" if k < count else "a parameter"
                raise ValueError(
                    f"{type(module).__name__}: backward gave a gradient of shape {np.shape(raw(c))} for "
                    f"{which}, expected its shape, {x.shape}"
                )
            out.append((x, fit(c, x._data)))
        return out

    def _incoming(self, g: Any) -> Any:
        if type(g) is not Parts:
            return g
        flat = self.call.recording.outputs  # type: ignore[union-attr]
        found = [g.get(i) for i in range(len(flat))]
        full = [
            zeros_like(y) if c is None else c.value if type(c) is Lanes else c
            for c, y in zip(found, flat, strict=True)
        ]
        return optree.tree_unflatten(self.call.recording.out_spec, full)  # type: ignore[union-attr]

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        r = self.call.recording
        assert r is not None
        ts = [t.value if type(t) is Lanes else t for t in tangents]
        record = type(y) is Value or any(type(t) is Value for t in ts)
        if record:
            given = dict(zip(self.call.floating, args, strict=False))
            again = Call(self.call.module, (), self.call.keywords, keep=True)
            again.draws = self.call.draws
            again._inputs = tuple([given.get(i, x) for i, x in enumerate(self.call.inputs)])
            r = again.replay()
        seeds = {v: t for v, t in zip([*r.leaves, *self.outside], ts, strict=True) if t is not None}
        found = tangent(r.nodes, seeds, record=record)
        moved = {i: found[v] for i, v in enumerate(r.outputs) if type(v) is Value and v in found}
        if len(r.outputs) == 1:
            return moved.get(0)
        return Parts(moved) if moved else None


def call_as_node(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run `forward` and put one node in the place of what it recorded."""
    call = Call(module, args, kwargs, keep=True)
    plain = [x._current() if type(x) is Value else x for x in args]
    now.running.append(call)
    try:
        out = call.run(plain)
    finally:
        now.running.pop()
    r = call.recording
    assert r is not None
    found: dict[int, Value] = {}
    for node in [*r.nodes, *[v for v in r.outputs if type(v) is Value]]:
        for x in (*node.inputs, node):
            if type(x) is Value and x.serial < r.since:
                found[id(x)] = x
    outside = list(found.values())
    operands = (*[args[i] for i in call.floating], *outside)
    if any(type(x) is Value for x in operands) and r.outputs:
        primitive = _ModuleCall(call, outside)
        held = tuple([x._current() if type(x) is Value else x for x in operands])
        if len(r.outputs) == 1:
            flat = [result(raw(r.outputs[0]), primitive, operands, held)]
        else:
            node = result(Parts(dict(enumerate(map(raw, r.outputs)))), primitive, operands, held)
            flat = [
                item(node, index=i) if differentiable(raw(y)) else raw(y) for i, y in enumerate(r.outputs)
            ]
        out = optree.tree_unflatten(r.out_spec, flat)
    else:
        out = r.plain(out)
    call.outputs = optree.tree_map(raw, out, none_is_leaf=True)
    module._last = call
    for seen, path in module._watching:
        if not now.repeated:
            seen.calls[path].append(call)
    return out


# -------------------------------------------------------------------- looking at them


class Hook:
    """What a registration returns: ``remove()`` ends it; also usable in a ``with``."""

    def __init__(self, hooks: list[Callable[..., Any]], f: Callable[..., Any]) -> None:
        self._hooks, self._f = hooks, f

    def remove(self) -> None:
        """Call the function no more."""
        if self._f in self._hooks:
            self._hooks.remove(self._f)

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Watched:
    """The calls of every module while `watch` was on, by the module's path.

    Attributes
    ----------
    calls : dict of str to list of Call
        In the order of the calls.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.calls: dict[str, list[Call]] = {path: [] for path in paths}

    def __getitem__(self, path: str) -> Call:
        """The last call of the module at ``path``."""
        if not self.calls.get(path):
            known = ", ".join(repr(p) for p, calls in self.calls.items() if calls) or "none"
            raise KeyError(f"watch: no call of a module {path!r} was seen; seen were: {known}")
        return self.calls[path][-1]

    def __iter__(self) -> Iterator[str]:
        return iter(self.calls)

    def __repr__(self) -> str:
        rows: list[tuple[str, ...]] = [("module", "inputs", "outputs", "incoming", "outgoing")]
        rows += [
            (path or "(the whole)", *[_brief(x) for x in (c._inputs, c.outputs, c.incoming, c.outgoing)])
            for path, calls in self.calls.items()
            for c in calls
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(x.ljust(n) for x, n in zip(row, widths, strict=True)).rstrip() for row in rows
        )


def _brief(x: Any) -> str:
    """Shape and root mean square."""
    if x is None:
        return "-"
    if isinstance(x, tuple | list):
        return ", ".join(map(_brief, x))
    x = raw(x)
    if type(x) is weakref.ref or not is_array(x) or type(x) is Traced:
        return type(x).__name__
    a = as_array(x)
    size = float(np.sqrt(np.mean(np.abs(a.astype(complex)) ** 2))) if a.size else 0.0
    return f"{a.shape or ''} {size:.3g}".strip()


@contextlib.contextmanager
def watch(module: Module) -> Iterator[Watched]:
    """Keep the four signals of every call of a module and of those inside it.

    Yields
    ------
    Watched
        By path, such as ``seen["layers.0"].outgoing``; printed, a table of shapes and sizes.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> model = nn.MLP([3, 4, 1], rng=0)
    >>> with nn.watch(model) as seen:
    ...     np.sum(model(np.ones((5, 3)))).backward()
    >>> seen["layers.1"].incoming.shape, seen["layers.1"].outgoing.shape
    ((5, 1), (5, 4))
    """
    members = module.named_modules()
    seen = Watched([path for path, _ in members])
    for path, m in members:
        m._watching = [*m._watching, (seen, path)]
    try:
        yield seen
    finally:
        for _, m in members:
            m._watching = [w for w in m._watching if w[0] is not seen]
