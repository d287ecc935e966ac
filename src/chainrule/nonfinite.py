"""`explain_nan`: the first operation that made a nan or an infinity, and the line that asked for it."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
import optree

from chainrule.containers import flatten
from chainrule.derivatives import Argnums, argument_numbers
from chainrule.graph import order
from chainrule.primitives import Elementwise, Primitive, as_array, fit
from chainrule.rules.bodies import Parts
from chainrule.rules.carry import differentiable
from chainrule.rules.control import loop, scan, watch
from chainrule.running import Recorder, Span, around, place
from chainrule.sweeps.adjoint import adjoint, transpose_push
from chainrule.sweeps.tangent import tangent
from chainrule.value import Value, current, next_serial

__all__ = ["NonFinite", "explain_nan", "find", "finite", "first_entry", "operands_in_brief"]


@dataclass(frozen=True)
class NonFinite:
    """The first operation that made a number that is not finite; false where every number is finite.

    Attributes
    ----------
    operation : str or None
        Its name; None where everything is finite, or where an argument or constant was not to begin with.
    phase : {"forward", "backward", "tangent"}
        Whether the computation itself made the number, or a sweep of derivatives over it.
    derivative_of : tuple of str
        In a sweep: the operation whose derivative it was; after that, if this one was part of a sweep
        itself, the one whose derivative it was, and so on. As many entries as the order of the derivative.
    number : float or complex
        The first such entry of the result.
    index : tuple of int
        Where it stands.
    operands : tuple
        What the operation was given, as raw data.
    result : float or numpy.ndarray
    source : str
        Where there is no operation to blame: what held the number, such as ``"argument 0"``.
    file, function, text : str
        The user's source: of the operation or, in a sweep, of the one whose derivative it is. Empty where
        it is not known, as for Values that were recorded earlier.
    line : int
    node : Value or None
        The operation in the graph.
    origin : Value or None
        In a sweep, the node of the computation whose derivative it is.
    module : str
        The module of `chainrule.nn` that was running, innermost.
    steps : tuple of str
        Of `chainrule.scan` and its kin that were running, the outermost first: ``"step 3 of scan"``.
    """

    operation: str | None = None
    phase: str = "forward"
    derivative_of: tuple[str, ...] = ()
    number: Any = None
    index: tuple[int, ...] = ()
    operands: tuple[Any, ...] = ()
    result: Any = None
    source: str = ""
    file: str = ""
    line: int = 0
    function: str = ""
    text: str = ""
    node: Value | None = field(default=None, repr=False)
    origin: Value | None = field(default=None, repr=False)
    module: str = ""
    steps: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.operation or self.source)

    def __str__(self) -> str:
        if not self:
            return "every number is finite, in the result and in its derivatives"
        at = f" at {list(self.index)}" if self.index else ""
        if self.operation is None:
            head = f"{self.source} holds {self.number}{at}"
        else:
            sweep = ", in the derivative of ".join(self.derivative_of)
            there = _entries(self.node, self.index)
            head = f"{self.phase}{f', in the derivative of {sweep}' if sweep else ''}: "
            head += f"{self.operation} gave {self.number}{at}{f', of {there}' if there else ''}"
        lines = [head]
        lines += [f"    operand {i}: {_shown(x)}" for i, x in enumerate(self.operands)]
        if self.origin is not None:
            lines += [f"    {self.derivative_of[-1]} was of {' and '.join(map(_shown, self.origin.args))}"]
        lines += [f"    in {step}" for step in self.steps]
        if self.file:
            lines += [f"    {self.file}, line {self.line}, in {self.function}"]
            lines += [f"        {self.text}"] if self.text else []
        return "\n".join(lines)


def explain_nan(f: Any, argnums: Argnums | None = None) -> Any:
    """Find the first operation that made a nan or an infinity, forward or backward.

    ``explain_nan(f)(*args)`` runs ``f`` once, then takes the gradient of what it returned (of the sum of all
    entries, where that is an array), and follows the first number that is not finite back to the operation
    that made it from finite ones. Loops, as of `chainrule.scan`, are looked at step by step. What an untaken
    branch of ``np.where`` computed counts for nothing. Where ``f`` takes derivatives itself, as
    ``cr.grad(g)`` does, to any order, it is looked at as it is, and no further derivative is taken: then
    operations of its sweeps may be found, and the operation of ``g`` whose derivative they belong to is named
    with its line.

    Parameters
    ----------
    f : callable or Value
        A Value that was recorded earlier is explained at once, without the line, which nobody noted.
    argnums : int or tuple of int, optional
        The arguments that become Values; by default all that hold floats.

    Returns
    -------
    callable or NonFinite
        A function of ``f``'s arguments that gives a `NonFinite`: printed, a message; false where all is
        finite.

    Raises
    ------
    TypeError
        If ``f`` is neither a function nor a Value, or ``argnums`` holds something else than integers; when
        the function is called, if it names an argument that is not there.
    ValueError
        When the function is called, if ``argnums`` names an argument twice.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> def f(x):
    ...     return np.sum(np.log(x - 1.0) * 2)
    >>> found = cr.explain_nan(f)(np.array([2.0, 0.5]))
    >>> found.operation, found.number, found.index, found.operands
    ('log', np.float64(nan), (1,), (array([ 1. , -0.5]),))
    >>> bool(cr.explain_nan(f)(np.array([2.0, 1.5])))
    False
    >>> print(cr.explain_nan(np.sqrt(cr.Value(0.0))))
    backward, in the derivative of sqrt: divide gave inf, of 0.5 and 0.0
        operand 0: 0.5
        operand 1: 0.0
        sqrt was of 0.0
    """
    if type(f) is Value:
        return find(lambda: f)
    if not callable(f):
        kind = type(f).__name__
        raise TypeError(f"explain_nan: received a {kind}, expected a function or a Value: explain_nan(f)(x)")
    numbers = argnums if isinstance(argnums, tuple | list) else [argnums]
    if argnums is not None and not all(type(i) is int for i in numbers):
        raise TypeError(
            f"explain_nan: argnums is {argnums!r}, expected integers; the function's arguments come in a "
            "second call: explain_nan(f)(x)"
        )
    compiled = sys.modules.get("chainrule.native.compile")
    if compiled is not None and isinstance(f, compiled.Compiled):
        f = f.function  # what it computes, operation by operation

    def explained(*args: Any, **kwargs: Any) -> NonFinite:
        every = range(len(args))
        chosen = every if argnums is None else argument_numbers("explain_nan", argnums, len(args))
        names: dict[int, str] = {}
        given = [_lifted(x, i, names) if i in chosen else x for i, x in enumerate(args)]
        return find(lambda: f(*given, **kwargs), names)

    return explained


def find(run: Callable[[], Any], names: dict[int, str] | None = None) -> NonFinite:
    """What `explain_nan` gives, of a function without arguments; ``names`` of leaves are by identity."""
    recorder = _Recorder()
    with np.errstate(all="ignore"), recorder, _watching(recorder.steps):
        out = run()
        parts = flatten(out)[0]
        values = [v for v in parts if type(v) is Value]
        bad = [v for v in values if not finite(v._raw)]
        if not bad and values and not recorder.sweeps:
            # The cotangents start from Values too: then all that the sweep computes is recorded.
            seeds = [(v, Value(fit(1.0, v._raw))) for v in values]
            gradients = adjoint(seeds, record=True).values()
            bad = [g for g in gradients if type(g) is Value and not finite(g._raw)]
    if bad:
        return _culprit(bad, recorder, names or {})
    for x in parts:
        if type(x) is not Value and not finite(x):
            return NonFinite(source="the result, which is no Value, so that nothing was recorded of it",
                             number=first_entry(x)[0], index=first_entry(x)[1])  # fmt: skip
    return NonFinite()


def finite(x: Any) -> bool:
    """Whether every number is; what holds none, is."""
    if isinstance(x, Parts):
        x = list(x.found.values())
    if isinstance(x, tuple | list):
        return all(map(finite, x))
    if isinstance(x, str | bytes | type(None)):
        return True
    a = as_array(current(x))
    return a.dtype.kind not in "fc" or bool(np.all(np.isfinite(a)))


# -------------------------------------------------------------------- from the number back to its operation


def _culprit(bad: list[Value], recorder: _Recorder, names: dict[int, str]) -> NonFinite:
    """The oldest operation that gave such a number and was given none, among those the bad ones depend on."""
    order(bad)  # which brings operands up to date that were assigned to
    stack, seen = list(bad), set(bad)
    oldest: tuple[int, Value, Any] | None = None
    while stack:
        node = stack.pop()
        sources = [i for i in range(len(node.inputs)) if _reached_by_bad(node, i)]
        for i in sources:
            x = node.inputs[i]
            if type(x) is Value and x not in seen:
                seen.add(x)
                stack.append(x)
        constants = [i for i in sources if type(node.inputs[i]) is not Value]
        if (not sources or constants) and (oldest is None or node.serial < oldest[0]):
            oldest = node.serial, node, constants[0] if constants else None
    assert oldest is not None  # the graph has no cycles
    _, node, constant = oldest
    chain = recorder.chain(node)
    origin = chain[-1][1] if chain else None
    where = _source(recorder, node if origin is None else origin)
    if node.primitive is None or constant is not None:
        held = current(node) if constant is None else node.args[constant]
        number, index = first_entry(held)
        what = names.get(id(node)) or (f"the leaf {node.name or 'Value'}" if node.primitive is None else "")
        return NonFinite(
            source=what or f"operand {constant} of {node.primitive.name}, a constant,",  # type: ignore[union-attr]
            number=number, index=index, node=node, **(where if constant is not None else {}),
        )  # fmt: skip
    if node.primitive is scan and (within := find(lambda: _again(node))):  # it was recorded earlier
        return within
    number, index = first_entry(node._raw)
    return NonFinite(
        operation=node.primitive.name, phase=chain[0][0] if chain else "forward",
        derivative_of=tuple(v.primitive.name for _, v in chain if v.primitive is not None),
        number=number, index=index, operands=node.args, result=node._raw, node=node, origin=origin, **where,
    )  # fmt: skip


def _reached_by_bad(node: Value, i: int) -> bool:
    """Whether an operand held such a number where the operation took it."""
    a, p = node.args[i], node.primitive
    if finite(a):
        return False
    if isinstance(p, Elementwise) and (taken := p.taken(i, node._raw, node.args, node.params)) is not None:
        return not finite(np.where(taken, a, 0.0))
    return True


@contextmanager
def _watching(steps: list[Span]) -> Iterator[None]:
    """Loops are recorded step by step meanwhile, and the steps noted."""

    def step(name: str, number: int, first: int, last: int) -> None:
        steps.append(Span(first, last, "loop", f"step {number} of {name}"))

    before, watch.step = watch.step, step
    try:
        yield
    finally:
        watch.step = before


def _again(node: Value) -> list[Any]:
    """What a loop was given, through its steps."""
    plan = node.params["f"]
    n, c = len(plan.closed), plan.counts[0]
    given = [Value(a) if differentiable(a) else a for a in map(current, node.args[n:])]
    carry, ys, _ = loop(plan, given[:c], given[c:], node.params["length"], node.params["reverse"])
    return [*carry, *ys]


def _source(recorder: _Recorder, node: Value) -> dict[str, Any]:
    notes = recorder.notes
    module = around(notes, node.serial, "module")
    loops = [s for s in recorder.steps if s.first < node.serial < s.last]
    found: dict[str, Any] = {
        "module": "" if module is None else module.name,
        "steps": tuple(s.name for s in sorted(loops, key=lambda s: s.first)),
    }
    at = place(notes, node.serial)
    if at is not None:
        scope = around(notes, node.serial, "scope")
        text = linecache.getline(*at).strip()
        found |= {"file": at[0], "line": at[1], "text": text, "function": scope.name if scope else "<module>"}
    return found


class _Recorder(Recorder):
    """Notes beside the lines which rules ran: what they made is the derivative of a node.

    Attributes
    ----------
    sweeps : list
        ``[first serial, last serial, phase, node]`` of each rule that ran.
    steps : list of Span
        Of loops.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sweeps: list[list[Any]] = []
        self.steps: list[Span] = []

    def called(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if code is adjoint.__code__ or code is tangent.__code__:
            return self._ran(frame, "backward" if code is adjoint.__code__ else "tangent", None)
        if code is transpose_push.__code__:
            return self._ran(frame, "backward", frame.f_locals["node"])
        if code.co_name in ("pull", "push") and isinstance(frame.f_locals.get("self"), Primitive):
            return self._ran(
                frame, "backward" if code.co_name == "pull" else "tangent", frame.f_locals.get("y")
            )
        return super().called(frame, event, arg)

    def _ran(self, frame: FrameType, phase: str, node: Any) -> Any:
        span = [next_serial(), sys.maxsize, phase, node if type(node) is Value else None]
        self.sweeps.append(span)
        frame.f_trace_lines = False

        def local(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "return":
                span[1] = next_serial()
            return local

        return local

    def chain(self, node: Value) -> list[tuple[str, Value]]:
        """Of which node a node is part of the derivative, of which that is, and so on, with the phases."""
        found: list[tuple[str, Value]] = []
        serial = node.serial
        while True:
            spans = [s for s in self.sweeps if s[0] < serial < s[1] and s[3] is not None]
            if not spans:  # a loop's derivative is that of its steps, which run again
                return [f for f in found if f[1].primitive is not scan] or found
            # the outermost: what it calls is part of it
            _, _, phase, derived = next((s for s in spans if s[3].primitive is not scan), spans[0])
            found.append((phase, derived))
            serial = derived.serial


# -------------------------------------------------------------------- arguments and texts


def _lifted(x: Any, i: int, names: dict[int, str]) -> Any:
    """An argument with Values in the place of floats; their names go to ``names``."""
    flat, spec = flatten(x)
    if all(type(leaf) is Value or not _floats(leaf) for leaf in flat):
        return x
    out = [Value(leaf) if type(leaf) is not Value and _floats(leaf) else leaf for leaf in flat]
    for accessor, v in zip(spec.accessors(), out, strict=True):
        if type(v) is Value:
            names[id(v)] = accessor.codify(f"argument {i}")
    return optree.tree_unflatten(spec, out)


def _floats(x: Any) -> bool:
    return type(x) in (float, complex) or (isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc")


def first_entry(x: Any) -> tuple[Any, tuple[int, ...]]:
    """The first entry that is not finite, and where it is."""
    if isinstance(x, Parts):
        return first_entry(next(part for part in x.found.values() if not finite(part)))
    a = np.asarray(current(x))
    index = tuple(map(int, np.argwhere(~np.isfinite(a))[0]))
    return a[index], index


def _entries(node: Value | None, index: tuple[int, ...]) -> str:
    """The entries of the operands that made one of the result, where it is made from one of each."""
    if node is None or not isinstance(node.primitive, Elementwise):
        return ""
    entries = [np.broadcast_to(np.asarray(a), np.shape(node._raw))[index] for a in node.args]
    return " and ".join(f"{x}" for x in entries)


def _shown(x: Any) -> str:
    a = np.asarray(x)
    if not a.ndim:
        return f"{x}"
    text = np.array2string(a, separator=", ", threshold=16, edgeitems=2, max_line_width=10_000)
    text = text.replace("\n", "")
    text = text if a.size <= 16 or a.ndim == 1 else _range(a)
    return f"{a.dtype} {a.shape}: {text}"


def _range(a: Any) -> str:
    return f"from {np.min(a):.4g} to {np.max(a):.4g}" if a.size and a.dtype.kind in "fiu" else "..."


def operands_in_brief(operands: Sequence[Any]) -> str:
    """Shapes and ranges: ``float64 (3, 1) from -5.99 to 3``."""
    return ", ".join(
        f"{np.asarray(x).item():.4g}" if not np.ndim(x) and np.asarray(x).dtype.kind in "fiu"
        else f"{np.asarray(x).dtype} {np.shape(x)} {_range(np.asarray(x))}".removesuffix(" ...")
        for x in operands
    )  # fmt: skip
