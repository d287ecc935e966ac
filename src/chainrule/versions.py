"""Names that stay while their Values change: what an assignment to elements does to the graph.

``x[i] = v`` records a node like any other, made from what ``x`` was and from ``v``. Then the object ``x``
becomes that node, and its former self lives on as `older`, so every name for it sees the change, as in NumPy.
What was recorded before still lists ``x`` among its inputs: there it means the version of its own time, the
newest that is older than the node, and walks over the graph put that into its inputs when they meet it.

A window is a node whose array lies in that of its operand: ``x[1:]``, ``x.T``, ``x.reshape(...)``. As in
NumPy a change of either is one of both: a write through a window is a write to its base, and a window that
has fallen behind its base is taken anew when it is next used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from chainrule.traced import Traced, capturing, check_view
from chainrule.value import Cell, Value, versions

_ARRAYS = {np.ndarray, Traced}

__all__ = ["first", "mend", "outside", "settle", "step", "twin", "window", "write"]


class _Step(threading.local):
    """The step of a loop that is run in this thread: it may assign to Values that are younger than it."""

    since = -1


step = _Step()


def window(x: Value) -> bool:
    """Whether the node's array lies in that of another Value."""
    p = x.primitive
    if p is None or p.window is None or type(x.inputs[0]) is not Value or type(x._raw) not in _ARRAYS:
        return False
    return p.window(x._raw, x.args[0], **x.params)


def twin(x: Value) -> Value:
    """Another node like this one, of the same time: what it was before it changes."""
    if type(x._raw) is Cell:
        x._raw.pool.stale = True
        x._raw = x._current()
    old: Value = object.__new__(Value)
    for slot in ("_raw", "_grad", "name", "primitive", "inputs", "args", "params", "serial"):
        setattr(old, slot, getattr(x, slot))
    old.older = getattr(x, "older", None)
    return old


def write(x: Value, make: Callable[[Value], Value]) -> None:
    """Let ``x`` become what ``make`` makes of what it is, and what it is a window on with it.

    Raises
    ------
    ValueError
        If ``x`` is a window that cannot be written to, as in NumPy.
    RuntimeError
        If a step of a loop assigns to what is from outside: it is run again for a derivative.
    """
    settle(x)
    path = [x]
    while window(path[-1]):
        path.append(path[-1].inputs[0])
    if path[-1].serial < step.since:
        raise RuntimeError(
            f"assignment to elements of {path[-1].name or 'a Value'} in a step of a loop that is younger; a "
            "step is run again for a derivative, and may change only what is its own: make the Value part of "
            "the carry, or work on a copy: x = x.copy()"
        )
    former = {part: twin(part) for part in path}
    for part, base in pairwise(path):
        former[part].inputs = (former[base],)
    node = make(former[x])
    for part, base in pairwise(path):
        check_view(part._raw)
        put = part.primitive.put_back  # type: ignore[union-attr]
        if put is None:
            raise ValueError(
                f"{part.primitive.name}: its result is a window on another array and read-only, as in NumPy; "  # type: ignore[union-attr]
                "copy it first: x = x.copy()"
            )
        node = put(former[base], node, **part.params)
    versions.happened = True
    windows = path[-2::-1] + _tell_apart(node, former)
    _copy(node, path[-1], former[path[-1]])
    for part in windows:
        _take_anew(part, former[part])


def _tell_apart(node: Value, former: dict[Value, Value]) -> list[Value]:
    """Let what the node was computed from list former selves, so that no node is made from itself.

    Windows on what changes get a former self too; they are returned.
    """
    windows = []
    for c in _since(node, min(x.serial for x in former)):
        if c not in former and any(type(i) is Value and i in former for i in c.inputs):
            inputs = tuple([former.get(i, i) if type(i) is Value else i for i in c.inputs])
            if c is not node and window(c):
                former[c] = twin(c)
                windows.append(c)
                former[c].inputs = inputs
            else:
                c.inputs = inputs
    return windows


def _take_anew(part: Value, old: Value) -> None:
    check_view(part._raw)
    _copy(part.primitive(part.inputs[0], **part.params), part, old)  # type: ignore[misc]


def _copy(node: Value, x: Value, old: Value) -> None:
    for slot in ("_raw", "primitive", "inputs", "args", "params", "serial"):
        setattr(x, slot, getattr(node, slot))
    x._grad, x.older = None, old


def _since(node: Value, serial: int) -> list[Value]:
    """The node and what it was computed from since, oldest first."""
    found = {node}
    stack = [node]
    while stack:
        for i in stack.pop().inputs:
            if type(i) is Value and i.serial > serial and i not in found:
                found.add(i)
                stack.append(i)
    return sorted(found, key=lambda v: v.serial)


def settle(x: Value) -> None:
    """Let a window that has fallen behind what it is a window on catch up."""
    path = []
    while window(x):
        path.append(x)
        x = x.inputs[0]
    for part in reversed(path):
        if part.inputs[0].serial > part.serial:
            old = twin(part)
            old.inputs = (_at(part.inputs[0], part.serial), *part.inputs[1:])
            _take_anew(part, old)


def first(x: Value) -> Value:
    """What ``x`` was before anything was assigned to it."""
    while (older := getattr(x, "older", None)) is not None:
        x = older
    return x


def mend(node: Value) -> None:
    """Put into the node's inputs the versions of its own time."""
    if any(type(x) is Value and x.serial > node.serial for x in node.inputs):
        node.inputs = tuple([_at(x, node.serial) if type(x) is Value else x for x in node.inputs])


def _at(x: Value, serial: int) -> Value:
    """The newest version of ``x`` that is older than that."""
    while x.serial > serial:
        assert x.older is not None
        x = x.older
    return x


def outside(x: Value) -> bool:
    """Whether ``x`` is from before the capture that is going on."""
    return bool(capturing) and x._outside() is not None
