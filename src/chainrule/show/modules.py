"""A model run for the explorer: the graph of its loss, and the four signals of each call in it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.containers import flatten
from chainrule.nn.calls import repeated
from chainrule.nn.messages import Watched
from chainrule.nn.module import Module
from chainrule.nn.tree import values_of
from chainrule.primitives import fit, raw
from chainrule.running import Notes, noted
from chainrule.show import summary
from chainrule.show.groups import Group
from chainrule.show.thumbnails import thumbnail
from chainrule.sweeps.adjoint import adjoint
from chainrule.traced import is_array
from chainrule.value import Value

__all__ = ["edges", "network", "run", "signals"]

_WIDEST = 64  # units of a layer, up to which a network is drawn unit by unit


def run(
    model: Module, args: Sequence[Any], loss: Callable[..., Any] | None
) -> tuple[list[Value], Notes, Watched]:
    """Run a model twice: watched for its signals, and plainly, with the same draws, for its graph.

    Neither parameters nor their gradients change, nor buffers, nor the state of generators.

    Returns
    -------
    outputs, notes, watched
    """
    inputs, target = _split(model, args, loss)

    def forward() -> list[Value]:
        out = model(*inputs)
        if target is not None:
            out = (loss or _usual_loss(out, target[0]))(out, *target)
        return list({id(v): v for v in flatten(out)[0] if type(v) is Value}.values())

    with _unchanged(model):
        with nn.watch(model) as seen:
            scalars = [v for v in forward() if not v.shape and v.dtype.kind == "f"]
        if len(scalars) == 1:
            with np.errstate(all="ignore"):  # it tells the calls what passes them, and changes no gradient
                adjoint([(scalars[0], fit(1.0, scalars[0]._raw))], record=False)
        with repeated(seen[""]):
            outputs, notes = noted(forward)
    if not outputs:
        raise TypeError(
            f"explore: {type(model).__name__} computed nothing that depends on a Value: it has no parameters "
            "that are trained; give its input as a Value"
        )
    return outputs, notes, seen


def _split(
    model: Module, args: Sequence[Any], loss: Callable[..., Any] | None
) -> tuple[Sequence[Any], Sequence[Any] | None]:
    """The inputs, and the target if there is one: what is beyond the arguments that `forward` takes."""
    if not args:
        raise TypeError(
            f"explore: {type(model).__name__} was given no input; write explore(model, x), or "
            "explore(model, x, y) for the graph of the loss"
        )
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(model.forward).parameters.values()
    takes = sum(p.kind in kinds for p in parameters)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        takes = len(args) if loss is None else len(args) - 1
    if len(args) > takes + 1:
        raise TypeError(
            f"explore: {type(model).__name__} was given {len(args)} arguments, expected the {takes} of its "
            "forward, and at most one more, the target"
        )
    if loss is not None and len(args) <= takes and len(args) > 1:
        takes = len(args) - 1
    return (args, None) if len(args) <= takes else (args[:takes], args[takes:])


def _usual_loss(out: Any, target: Any) -> Callable[..., Any]:
    """For labels cross-entropy, for one logit that of two classes; for numbers the mean square."""
    kind = np.asarray(raw(target)).dtype.kind
    if kind == "f":
        return nn.mse
    if np.ndim(raw(out)) and np.shape(raw(out))[-1] > 1:
        return nn.cross_entropy
    return lambda out, y: nn.bce_with_logits(out.reshape(np.shape(y)), y)


@contextmanager
def _unchanged(model: Module) -> Iterator[None]:
    """Put back what a call of a model changes besides its result."""
    buffers = [(v, v._current()) for _, v, kind in values_of(model) if kind == "buffer"]
    modules = model.modules()
    last = [m._last for m in modules]
    generators = [x for m in modules for x in vars(m).values() if isinstance(x, np.random.Generator)]
    states = [g.bit_generator.state for g in generators]
    try:
        yield
    finally:
        for v, data in buffers:
            v._adopt(data)
        for m, call in zip(modules, last):
            m._last = call
        for g, state in zip(generators, states):
            g.bit_generator.state = state


# ---------------------------------------------------------------- as data


def signals(model: Module, seen: Watched, groups: Sequence[Group]) -> list[dict[str, Any]]:
    """One row a call, in the order of the modules: what it received and sent, forward and backward."""
    of_module: dict[int, list[int]] = {}
    for k, g in enumerate(groups):
        if g.kind == "module" and g.span is not None:
            of_module.setdefault(id(g.span.module), []).append(k)
    members = dict(model.named_modules())
    rows: list[dict[str, Any]] = []
    latest: dict[str, int] = {}
    for path in seen:
        places = iter(of_module.get(id(members[path]), ()))
        parent = _parent(path, latest)
        for call in seen.calls[path]:
            rows.append(
                {
                    "group": next(places, None),
                    "path": path,
                    "type": type(call.module).__name__,
                    "inputs": _signal(call._inputs),
                    "outputs": _signal(call.outputs),
                    "incoming": _signal(call.incoming),
                    "outgoing": _signal(call.outgoing),
                    "parameters": sum(p.size for p in call.module.parameters()),
                    "parent": parent,
                }
            )
            latest[path] = len(rows) - 1
    return rows


def _parent(path: str, known: dict[str, int]) -> int:
    """The call of the module around one; -1 for none."""
    while path:
        path = path.rpartition(".")[0]
        if path in known:
            return known[path]
    return -1


def _signal(x: Any) -> list[dict[str, Any]]:
    found = []
    for leaf in flatten(x)[0]:
        a = raw(leaf)
        if is_array(a):
            a = np.asarray(a)
            sign = {"text": summary.array(a), "shape": list(a.shape)}
            picture = thumbnail(a)
            found.append(sign if picture is None else {**sign, "T": picture})
    return found


def edges(
    rows: Sequence[dict[str, Any]],
    groups: Sequence[Group],
    column: Sequence[int],
    inputs: Sequence[Sequence[int]],
) -> list[list[int]]:
    """Which calls read what which others sent, directly or through what lies between modules."""
    row_of = {row["group"]: k for k, row in enumerate(rows) if row["group"] is not None}
    place = {id(g): k for k, g in enumerate(groups)}
    nearest: list[int] = []  # of each group the call it is in; parents stand first
    outer: set[int] = set()  # calls with others inside them
    for k, g in enumerate(groups):
        around = -1 if g.parent is None else nearest[place[id(g.parent)]]
        nearest.append(row_of.get(k, around))
        if k in row_of and around >= 0:
            outer.add(around)
    found: dict[tuple[int, int], None] = {}
    sent: list[frozenset[int]] = []
    for group, xs in zip(column, inputs):
        me = nearest[group]
        received = frozenset().union(*[sent[x] for x in xs])
        if me < 0 or me in outer:
            sent.append(received if len(received) < len(rows) else frozenset())
            continue
        found.update(dict.fromkeys((source, me) for source in sorted(received - {me})))
        sent.append(frozenset([me]))
    return [list(pair) for pair in found]


def network(model: Module, seen: Watched) -> dict[str, Any] | None:
    """The classic picture of a network of linear layers in a row: units, weights, and the first sample."""
    if isinstance(model, nn.MLP):
        names = [f"layers.{i}" for i in range(len(model.layers))]
        activation = getattr(model.activation, "__name__", "")
    elif isinstance(model, nn.Sequential):
        names = [str(i) for i, m in enumerate(model) if isinstance(m, nn.Linear)]
        between = [m for m in model if not isinstance(m, nn.Linear)]
        if not all(getattr(type(m), "__module__", "") == "chainrule.nn.activations" for m in between):
            return None
        activation = ", ".join(dict.fromkeys(type(m).__name__ for m in between))
    else:
        return None
    if not names or any(len(seen.calls[name]) != 1 for name in names):
        return None
    calls = [seen[name] for name in names]
    linear: list[Any] = [c.module for c in calls]
    weights = [np.asarray(raw(m.weight)) for m in linear]
    if max(max(w.shape) for w in weights) > _WIDEST:
        return None
    columns = [("inputs", c._inputs[0], c.outgoing) for c in calls]
    columns.append(("outputs", calls[-1].outputs, calls[-1].incoming))
    layers = []
    for k, (name, values, gradients) in enumerate(columns):
        name = name if k in {0, len(calls)} else f"hidden {k}"
        layers.append({"name": name, "values": _first(values), "gradients": _first(gradients)})
    return {"layers": layers, "weights": [_plain(w) for w in weights], "activation": activation}


def _first(x: Any) -> Any:
    """Of a batch the first sample."""
    if x is None or not is_array(raw(x)):
        return None
    a = np.asarray(raw(x))
    return _plain(a.reshape(-1, a.shape[-1])[0]) if a.ndim and a.size else None


def _plain(a: Any) -> Any:
    """Nested lists that JSON can hold."""
    a = np.asarray(a, dtype=float)
    return a.tolist() if np.isfinite(a).all() else [_plain(x) if x.ndim else str(float(x)) for x in a]


