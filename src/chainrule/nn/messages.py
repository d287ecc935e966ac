"""Messages between modules: the four signals of a call, and a call as one node of the graph.

A module receives inputs and sends outputs; in the backward sweep it receives the gradients of its
outputs and sends those of its inputs. Mostly a call leaves nothing in the graph but the operations of
`forward`. Where somebody wants to see or make the messages - a hook, `watch`, a `backward` written by
hand - the whole call becomes one node, and what `forward` did is kept within it.
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import optree

from chainrule.containers import flatten
from chainrule.nn.calls import Call, bound, drawn, now, repeated, replaying, without_graph
from chainrule.primitives import Contributions, Lanes, Primitive, as_array, fit, raw
from chainrule.recording import zeros_like
from chainrule.rules.bodies import Parts, item
from chainrule.rules.carry import differentiable
from chainrule.sweeps.adjoint import adjoint
from chainrule.sweeps.tangent import tangent
from chainrule.traced import Traced, current_trace, is_array
from chainrule.value import Value, result

if TYPE_CHECKING:
    from chainrule.nn.module import Module

__all__ = [
    "Call",
    "Hook",
    "Watched",
    "call_as_node",
    "drawn",
    "now",
    "repeated",
    "replaying",
    "watch",
]


# -------------------------------------------------------------------- a call as one node


class _ModuleCall(Primitive):
    """A module's call: its pull is the module's `backward` and `parameter_gradients`, and tells the hooks."""

    def __init__(self, call: Call, outside: list[Value]) -> None:
        super().__init__(call.module.forward, name=type(call.module).__name__)
        self.call, self.outside = call, outside
        self.count = sum(map(len, call.floating))  # of the operands: those behind are from outside

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        recorded = type(y) is Value
        delta = self._incoming(g.value if type(g) is Lanes else g)
        again = self._again(args, recorded)
        again.incoming = delta
        plain = not recorded and not any(type(d) is Value for d in flatten(delta)[0])
        outgoing, named, found = again.messages(delta, self.outside, plain)
        for hook in self.call.module._hooks("backward"):
            replaced = hook(self.call.module, delta, outgoing)
            outgoing = outgoing if replaced is None else replaced
        if current_trace() is None:
            call = self.call
            call.incoming, call.outgoing, call.parameter_gradients = delta, outgoing, named
        cs = self._cotangents(again, inputs, outgoing, named, found)
        return [
            (x, fit(c, x._raw))
            for x, c in zip(inputs, cs, strict=True)
            if type(x) is Value and x.serial >= since and c is not None
        ]

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        ts = [t.value if type(t) is Lanes else t for t in tangents]
        record = type(y) is Value or any(type(t) is Value for t in ts)
        again = self._again(args, record)
        if type(self.call.module)._handmade:
            moved = self._transposed(again, args, ts, record)
        else:
            r = again.recording
            assert r is not None
            seeds = {v: t for v, t in zip([*r.leaves, *self.outside], ts, strict=True) if t is not None}
            found = tangent(r.nodes, seeds, record=record, outputs=r.outputs)
            moved = {i: found[v] for i, v in enumerate(r.outputs) if type(v) is Value and v in found}
        if len(self.call.recording.outputs) == 1:  # type: ignore[union-attr]
            return moved.get(0)
        return Parts(moved) if moved else None

    def _again(self, args: Sequence[Any], recorded: bool) -> Call:
        """The call, for a sweep; what is differentiated again must hang together with the Values outside."""
        call = self.call
        again = Call(call.module, (), {}, keep=True)
        again.draws, again.outputs, again._names = call.draws, call.outputs, call._names
        again._inputs = tuple(call.filled(args[: self.count], call._inputs))
        again.flat, again.floating = call.flat, call.floating
        if recorded:
            again.replay()
        else:
            again.recording, again.saved = call.recording, call.saved
        return again

    def _cotangents(
        self, again: Call, operands: Sequence[Any], outgoing: Any, named: dict[str, Any], found: Any
    ) -> list[Any]:
        """Of every operand, None where there is none."""
        module = self.call.module
        by_value = {id(p): named[name] for name, p in module.named_parameters()}
        cs = again.sent(outgoing)
        cs += [by_value[id(v)] if id(v) in by_value else found.get(v) for v in self.outside]
        for k, (x, c) in enumerate(zip(operands, cs, strict=True)):
            if c is not None and np.shape(raw(c)) != np.shape(raw(x)):
                which = "an input" if k < self.count else "a parameter"
                raise ValueError(
                    f"{type(module).__name__}: backward gave a gradient of shape {np.shape(raw(c))} for "
                    f"{which}, expected its shape, {np.shape(raw(x))}"
                )
        return cs

    def _transposed(
        self, again: Call, args: Sequence[Any], tangents: list[Any], record: bool
    ) -> dict[int, Any]:
        """The tangents of the outputs by the transpose of a `backward` written by hand, linear in delta."""
        r = again.recording
        assert r is not None
        deltas = [Value(zeros_like(y)) if differentiable(raw(y)) else None for y in r.outputs]
        known = [d for d in deltas if d is not None]
        delta = optree.tree_unflatten(r.out_spec, deltas)
        outgoing, named, found = again.messages(delta, self.outside, plain=False)
        handmade = type(self.call.module)._handmade
        seeds = []
        for k, c in enumerate(self._cotangents(again, args, outgoing, named, found)):
            if tangents[k] is None or c is None:
                continue
            if type(c) is Value:
                seeds.append((fit(c, raw(args[k])), tangents[k]))
            elif "backward" in handmade if k < self.count else "parameter_gradients" in handmade:
                raise TypeError(
                    f"{type(self.call.module).__name__}: forward mode takes the transpose of the "
                    "hand-written backward, which must be computed from delta by operations on it, and gave "
                    "an array instead of a Value; use reverse mode (grad, vjp, jacobian with mode='reverse')"
                )
        sums = adjoint(seeds, since=known[0].serial, until=known[-1].serial, record=record)
        return {i: sums[d] for i, d in enumerate(deltas) if d is not None and d in sums}

    def _incoming(self, g: Any) -> Any:
        r = self.call.recording
        assert r is not None
        found = [g.get(i) for i in range(len(r.outputs))] if type(g) is Parts else [g]
        full = [
            zeros_like(y) if c is None else c.value if type(c) is Lanes else c
            for c, y in zip(found, r.outputs, strict=True)
        ]
        return optree.tree_unflatten(r.out_spec, full)


def call_as_node(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run `forward` and put one node in the place of what it recorded."""
    traced = current_trace() is not None
    if traced and module._watching:
        warnings.warn(
            "watch does not see into compiled functions; call the plain function within `with nn.watch(...)`",
            stacklevel=4,
        )
        if not module._handmade and not module._hooks("backward"):
            return module._call(args, kwargs)
    args, kwargs = bound(module, args, kwargs)
    call = Call(module, args, kwargs, keep=True)
    before = dict(vars(module))
    now.running.append(call)
    try:
        out = call.run(call._inputs)
    finally:
        now.running.pop()
    for (
        name,
        x,
    ) in call.saved.items():  # an array is what was saved; a Value of the inside would be a parameter
        if not traced:
            vars(module)[name] = without_graph(x)
        elif name in before:
            vars(module)[name] = before[name]
        else:
            del vars(module)[name]
    r = call.recording
    assert r is not None
    found: dict[int, Value] = {}
    for node in [*r.nodes, *[v for v in r.outputs if type(v) is Value]]:
        for x in (*node.inputs, node):
            if type(x) is Value and x.serial < r.since:
                found[id(x)] = x
    outside = list(found.values())
    operands = (*call.leaves((*args, *kwargs.values())), *outside)
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
        if not now.repeated and not traced:
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
            known = ", ".join(repr(p) for p, calls in self.calls.items() if calls) or (
                "none, and calls within compiled functions are not seen"
            )
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

    Calls within compiled functions are not seen: call the plain function.  Gradients are the same with it and
    without.

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
