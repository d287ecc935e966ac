"""A model written down: its nodes, and where a layer or function ends that ONNX has one operation for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from chainrule.containers import flatten
from chainrule.interchange.onnx_layers import FUNCTIONS, LAYERS
from chainrule.interchange.onnx_writer import ExportError, Writer
from chainrule.native.capture import capture
from chainrule.native.graph import argument_names
from chainrule.nn.module import Module
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["Recorded", "order", "pairs", "record"]

Whole = tuple[Callable[..., str], Sequence[Any]]  # how to write it, and of what


@dataclass
class Recorded:
    """A captured program.

    Attributes
    ----------
    inputs : list of (str, Traced)
    outputs : dict from str to Traced
        By ``output``, with what leads to them in the container that was returned.
    states : dict from Traced to Value
        Nodes that stand for the data of Values from outside.
    whole : dict from Traced to (write, operands)
        Nodes at which a layer or a function ends that ONNX has an operation for.
    layers : dict from Traced to str
        Which layer made a node.
    copies : dict of int to int
        Of which array each constant is a copy, by identity.
    """

    inputs: list[tuple[str, Traced]]
    outputs: dict[str, Traced]
    states: dict[Traced, Value]
    whole: dict[Traced, Whole]
    layers: dict[Traced, str]
    copies: dict[int, int]

    def operands(self, x: Traced) -> Sequence[Any]:
        return self.whole[x][1] if x in self.whole else x.inputs


def record(model: Callable[..., Any], inputs: list[Any]) -> Recorded:
    """Run a model once on traced arrays like these.

    Raises
    ------
    ExportError
        If it changes its own Values, draws random numbers, or returns other things than arrays.
    """
    whole: dict[Traced, Whole] = {}
    layers: dict[Traced, str] = {}
    modules = model.named_modules() if isinstance(model, Module) else []
    paths = {id(m): path for path, m in modules}

    def note(module: Module, args: tuple[Any, ...], out: Any) -> None:
        inputs, made = _nodes(args), _nodes(out)
        path, kind = paths[id(module)], type(module)
        changed = len(module._hooks("forward")) > 1  # by a hook of the user's
        if kind in LAYERS and len(inputs) == len(args) == 1 and not changed:
            whole[made[0]] = partial(_write_layer, LAYERS[kind], module), inputs
        _own(layers, f"{path} ({kind.__name__})" if path else kind.__name__, made, inputs)

    results: list[Any] = []

    def call(given: list[Any]) -> Any:
        results.append(model(*given))
        return results[0]

    with _hooked([m for _, m in modules], note):
        captured = capture("export_onnx", call, inputs, lines=True)
    if captured.writes:
        raise ExportError("export_onnx: the model changes Values of its own when it is called; it must not")
    if len(captured.slots) != len(inputs) + len(captured.states):
        raise ExportError(
            "export_onnx: the model draws random numbers also after training; give them to it as an input"
        )
    outputs = [o.node for o in captured.outputs]
    if not outputs or not all(type(x) is Traced for x in outputs):
        raise ExportError(
            "export_onnx: the model returns something that does not depend on its inputs; expected arrays "
            "alone"
        )
    whole = _functions(results[0]) | whole
    forward = model.forward if isinstance(model, Module) else model
    names = argument_names(forward, (), inputs, {})
    slots = list(zip(captured.slots, captured.inputs, strict=True))
    given = {s.which: x for s, x in slots if s.kind == "argument"}
    states = {x: captured.states[s.which].value for s, x in slots if s.kind == "data"}
    ends = [a.codify("output") for a in captured.spec.accessors()]
    return Recorded(
        [(names[i], given[i]) for i in sorted(given)],
        dict(zip(ends, outputs)),
        states,
        whole,
        layers,
        captured.trace.copies,
    )


@contextmanager
def _hooked(modules: list[Module], hook: Callable[..., None]) -> Iterator[None]:
    """Here modules call a hook; afterwards there is no trace of it."""
    hooks = [m.register_forward_hook(hook) for m in modules]
    try:
        yield
    finally:
        for m, made in zip(modules, hooks):
            made.remove()
            if not m._hooks("forward"):  # an empty list would make calls slower
                del m.__dict__["_forward_hooks"]


def _nodes(x: Any) -> list[Traced]:
    """The nodes in what a module was given or has returned."""
    arrays = (v._current() if type(v) is Value else v for v in flatten(x)[0])
    return [a for a in arrays if type(a) is Traced]


def _own(layers: dict[Traced, str], name: str, made: list[Traced], inputs: list[Traced]) -> None:
    """Note whose nodes these are: all from a layer's inputs to its outputs, but its own layers'."""
    waiting, known = list(made), set(inputs)
    while waiting:
        x = waiting.pop()
        if x not in layers and x not in known:
            layers[x] = name
            waiting += x.inputs


def _write_layer(write: Callable[[Writer, Any, str], str], layer: Module, w: Writer, x: str) -> str:
    return write(w, layer, x)


def _functions(result: Any) -> dict[Traced, Whole]:
    """Nodes at which functions of ONNX end, found in the graph of Values behind a result."""
    found: dict[Traced, Whole] = {}
    waiting: list[Any] = flatten(result)[0]
    seen: set[int] = set()
    while waiting:
        v = waiting.pop()
        if type(v) is not Value or v.primitive is None or id(v) in seen:
            continue
        seen.add(id(v))
        waiting += v.inputs
        if v.primitive.name in FUNCTIONS and type(v._raw) is Traced:
            found[v._raw] = partial(_write_function, FUNCTIONS[v.primitive.name], v.params), v.args
    return found


def _write_function(write: Callable[..., str], params: Any, w: Writer, *operands: str) -> str:
    return write(w, *operands, **params)


def pairs(a: Recorded, b: Recorded) -> Iterator[tuple[Traced, Traced]]:
    """The nodes of two captures of one model, side by side."""
    seen: set[Traced] = set()
    waiting = list(zip(a.outputs.values(), b.outputs.values(), strict=True))
    while waiting:
        x, y = waiting.pop()
        if type(x) is not Traced or x in seen:
            continue
        seen.add(x)
        if x.op != y.op or len(x.shape) != len(y.shape) or (x in a.whole) != (y in b.whole):
            raise ExportError(
                f"export_onnx: with one sample more the model does something else, {y.op} for {x.op}; export "
                "with dynamic_batch=False"
            )
        yield x, y
        waiting += zip(a.operands(x), b.operands(y), strict=True)


def order(found: Recorded) -> list[Traced]:
    """Every node that is written, operands first."""
    done: dict[Traced, None] = {}
    waiting: list[tuple[Any, bool]] = [(x, False) for x in reversed(found.outputs.values())]
    while waiting:
        x, ready = waiting.pop()
        if ready:
            done[x] = None
        elif type(x) is Traced and x not in done:
            waiting.append((x, True))
            waiting += [(i, False) for i in reversed(list(found.operands(x)))]
    return list(done)
