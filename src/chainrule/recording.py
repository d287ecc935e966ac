"""A function run once on fresh Values, and derivatives carried through what it recorded."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import optree

from chainrule.containers import flatten
from chainrule.graph import order
from chainrule.primitives import Elementwise, Lanes, as_array, fit, raw
from chainrule.sweeps.adjoint import Outside, adjoint
from chainrule.sweeps.tangent import tangent
from chainrule.traced import Traced, is_array
from chainrule.value import Value, versions
from chainrule.versions import first, settle

__all__ = ["Recording", "arguments", "hand_out", "hidden", "kind_of", "match", "zeros_like"]

# Passing a Value through it gives a node that a function can be differentiated at while staying
# connected to the Value; the inner function's sweeps stop there.
alias = Elementwise(lambda x: x, 1, name="alias")


class _Running(threading.local):
    """What is being differentiated in this thread, with respect to what."""

    def __init__(self) -> None:
        self.leaves: list[list[Value]] = []


_running = _Running()


def arguments() -> set[Value]:
    """What the derivatives that are just being taken in this thread are taken with respect to."""
    return {v for leaves in _running.leaves for v in leaves}


class Recording:
    """What happened when ``call`` ran on Values in the place of every leaf of ``tree``.

    Parameters
    ----------
    name : str
        The operator that asks, for errors.
    call : callable
        Takes the tree of Values.
    tree : container of floats, arrays and Values
    has_aux : bool
        Whether the function returns a pair of output and anything else.

    Attributes
    ----------
    out, aux
        What the function returned.
    leaves : list of Value
        What it is differentiated with respect to; ``spec`` is their container.
    nested : bool
        Whether a leaf stands for a Value of the caller's: then derivatives must be recorded too.
    """

    def __init__(self, name: str, call: Callable[[Any], Any], tree: Any, has_aux: bool = False) -> None:
        flat, self.spec = flatten(tree, numbers=2)
        self.name = name
        self.nested = any(type(x) is Value for x in flat)
        self.leaves = [_lift(name, self.spec, i, x) for i, x in enumerate(flat)]
        self.since = self.leaves[0].serial if flat else sys.maxsize  # then every Value is from outside
        self.until = self.leaves[-1].serial if flat else -1
        _running.leaves.append(self.leaves)
        try:
            out, self.aux = call(optree.tree_unflatten(self.spec, self.leaves)), None
        except ValueError as error:
            if (why := hidden(error)) is not None:
                raise why.with_traceback(error.__traceback__) from None  # which has the user's line
            raise
        finally:
            _running.leaves.pop()
        if has_aux:
            if not isinstance(out, tuple) or len(out) != 2:
                raise TypeError(
                    f"{name}: with has_aux the function must return a pair (value, aux), "
                    f"it returned {kind_of(out)}"
                )
            out, self.aux = out
        self.out = out
        self.outputs, self.out_spec = flatten(out, numbers=1)
        if versions.happened:  # the function may have assigned to its arguments
            self.leaves = [first(v) for v in self.leaves]
            for v in self.outputs:
                if type(v) is Value:
                    settle(v)

    @cached_property
    def nodes(self) -> list[Value]:
        """Everything the outputs were computed from, inputs first."""
        return order([v for v in self.outputs if type(v) is Value], self.since)

    def reaches_outside(self, nodes: list[Value]) -> bool:
        """Whether nodes read Values that are not the function's own."""
        return any(type(x) is Value and x.serial < self.since for node in nodes for x in node.inputs)

    @cached_property
    def outside(self) -> bool:
        """Whether the outputs depend on Values that are not the function's own."""
        return any(v.serial < self.since for v in self.outputs if type(v) is Value) or self.reaches_outside(
            self.nodes
        )

    def pull(self, seeds: list[tuple[Value, Any]]) -> tuple[list[Any], bool]:
        """The cotangents of the leaves, zeros where nothing arrived, and whether they were recorded."""
        recorded = self.nested
        with np.errstate(all="ignore"):
            try:
                found = adjoint(seeds, since=self.since, until=self.until, record=recorded or None)
            except Outside:
                recorded = True
                found = adjoint(seeds, since=self.since, until=self.until, record=True)
        return [found[v] if v in found else zeros_like(v._raw) for v in self.leaves], recorded

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """The tangents of the outputs, zeros where nothing arrived; a tangent of None does not move."""
        values = self.nested or any(type(t) is Value for t in tangents)
        with np.errstate(all="ignore"):
            seeds = {
                v: t if type(t) is Lanes else fit(own(t), v._raw)
                for v, t in zip(self.leaves, tangents, strict=True)
                if t is not None
            }
            found = tangent(self.nodes, seeds, record=self.nested or self.outside, outputs=self.outputs)
        return hand_out(
            [found[v] if type(v) is Value and v in found else zeros_like(v) for v in self.outputs], values
        )

    def plain(self, tree: Any) -> Any:
        """A result without its graph, unless the graph reaches beyond the function."""
        leaves, spec = flatten(tree)
        values = [v for v in leaves if type(v) is Value]
        if (
            self.nested
            or any(v.serial < self.since for v in values)
            or self.reaches_outside(order(values, self.since))
        ):
            return tree
        return optree.tree_unflatten(spec, [own(v._raw if type(v) is Value else v) for v in leaves])


def _lift(name: str, spec: Any, i: int, x: Any) -> Value:
    """A fresh Value to differentiate with respect to."""
    if type(x) is float:
        return Value(x)
    if type(x) is Value:
        return cast(Value, alias(x))
    known = is_array(x)
    if known and as_array(x).dtype.kind in "fc":
        return Value(x)
    accessor = spec.accessors()[i]
    where, within = accessor[1:].codify(f"argument {accessor[0].entry}"), len(accessor) > 1
    if known:
        array = isinstance(x, np.ndarray | Traced)
        given = f"an array of {x.dtype}" if array else f"{x!r} ({type(x).__name__})"
        raise TypeError(
            f"{name}: {where} is {given}, expected floats; a derivative needs real numbers: "
            "convert it with .astype(float) or write 3.0 for 3, or "
            + ("hand it over as an argument of its own" if within else "leave this argument out of argnums")
        )
    raise TypeError(
        f"{name}: {where} is {kind_of(x)}, expected floats, arrays or containers of them; "
        + ("hand it over as an argument of its own" if within else "name those to differentiate with argnums")
    )


def hidden(error: ValueError) -> TypeError | None:
    """Why a Value or a traced number did not become an element of a plain array, where NumPy hides it."""
    why = error.__cause__
    return why if isinstance(why, TypeError) and "setting an array element" in str(error) else None


def match(name: str, what: str, tree: Any, of: str, flat: list[Any], spec: Any) -> list[Any]:
    """The leaves of ``tree``, which must have the containers and shapes of ``of``."""
    given, given_spec = flatten(tree)
    if given_spec != spec:
        given, given_spec = flatten(tree, numbers=1)
    if given_spec != spec:
        raise ValueError(f"{name}: {what} has the structure {given_spec}, expected that of {of}: {spec}")
    for i, (t, v) in enumerate(zip(given, flat, strict=True)):
        if type(t) is not Value and not is_array(t):
            raise TypeError(f"{name}: {what} holds {kind_of(t)}, expected numbers or arrays, as {of}")
        at = f"[{i}]" if len(flat) > 1 else ""
        got, want = np.shape(raw(t)), np.shape(raw(v))
        if got != want:
            raise ValueError(f"{name}: {what}{at} has shape {got}, expected the shape of {of}, {want}")
        if np.iscomplexobj(raw(t)) and not np.iscomplexobj(raw(v)):
            raise TypeError(
                f"{name}: {what}{at} is complex, expected real numbers, as {of}; take its real part"
            )
    return given


def own(x: Any) -> Any:
    """A copy where ``x`` is an array somebody else may write to."""
    return x.copy() if type(x) is np.ndarray else x.held() if type(x) is Traced else x


def hand_out(results: Sequence[Any], values: bool = False) -> list[Any]:
    """Results as the caller may keep them: arrays of his own; Values if he came with Values."""
    seen: set[int] = set()
    out = []
    for r in results:
        if type(r) is np.ndarray:
            if not (r.flags.owndata and r.flags.writeable) or id(r) in seen:
                r = r.copy()
            seen.add(id(r))
        elif type(r) is Traced:
            r = r.copy()
        out.append(Value(r) if values and type(r) is not Value else r)
    return out


def zeros_like(x: Any) -> Any:
    """A zero of the kind, shape and dtype of a Value or of raw data."""
    x = x._raw if type(x) is Value else x
    return 0.0 if type(x) is float or (type(x) is Traced and x.is_number) else np.zeros_like(x)[()]


def kind_of(x: Any) -> str:
    """What something is, for an error."""
    return "None" if x is None else f"a {type(x).__name__}"
