"""Walks over the graph: which nodes, in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chainrule.value import Value, versions
from chainrule.versions import mend, settle

__all__ = ["newest_first", "order"]


def order(outputs: Iterable[Value], since: int = 0) -> list[Value]:
    """Every node that the outputs were computed from, inputs before consumers.

    Nodes older than ``since`` are left out. Serial numbers grow as nodes are recorded, so sorting
    by them is a topological order, and it is the order of the user's program.
    """
    outputs = list(outputs)
    if versions.happened:
        for v in outputs:
            settle(v)
    return _reached(outputs, since)


def _reached(outputs: Iterable[Value], since: int) -> list[Value]:
    found = {v for v in outputs if v.serial >= since}
    stack = list(found)
    while stack:
        node = stack.pop()
        if versions.happened:
            mend(node)
        for x in node.inputs:
            if type(x) is Value and x.serial >= since and x not in found:
                found.add(x)
                stack.append(x)
    return sorted(found, key=_serial)


def newest_first(waiting: dict[int, Value], since: int = 0) -> Iterator[Value]:
    """Take nodes out of ``waiting`` (by serial), newest first, while the caller adds older ones.

    A node's consumers are all newer than it, so when it is taken they have all been seen. Nodes of
    one graph mostly follow each other, so counting down finds the next one sooner than any sorted
    structure would; where the graph is strewn among others it is put in order explicitly.
    """
    if not waiting:
        return
    serial = max(waiting)
    spare = 1000  # how many more numbers may be tried in vain: steps lead to an end in linear time
    while waiting:
        node = waiting.pop(serial, None)
        serial -= 1
        if node is not None:
            spare += 4
            if versions.happened:
                mend(node)
            yield node
        elif spare:
            spare -= 1
        else:
            for node in reversed(_reached(waiting.values(), since)):
                if waiting.pop(node.serial, None) is not None:
                    yield node
            return


def _serial(v: Value) -> int:
    return v.serial
