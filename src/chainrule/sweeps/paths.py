"""The path sweep: how many ways lead from inputs to an output, and what arrives along each of them.

A way takes one operand of every operation that it passes, so ``x * x`` is two of them. What it
carries is the product of the local derivatives along it; the adjoint sweep adds up all ways at once.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np

from chainrule.graph import order
from chainrule.primitives import Elementwise, Lanes
from chainrule.sweeps.adjoint import adjoint, transpose_push
from chainrule.value import Value, result

__all__ = ["Step", "Ways", "joints", "largest", "longest", "number_of_ways", "pulled", "single", "ways"]

Step = tuple[Value, int]  # an operation's result, and which of its operands
Ways = dict[Value, list[tuple[int, Value]]]  # for every node on a way, its operands on a way, inputs first


def ways(output: Value, sources: Iterable[Value]) -> Ways:
    """Every node on a way from one of the sources to the output, in the order of the program.

    Operands whose derivative is zero by rule lead nowhere. Empty if no source reaches the output.

    Examples
    --------
    >>> x = Value(2.0)
    >>> y = x * x
    >>> [(position, operand is x) for position, operand in ways(y, [x])[y]]
    [(0, True), (1, True)]
    """
    found: Ways = {x: [] for x in sources}
    if not found:
        return {}
    for v in order([output], since=min(x.serial for x in found)):
        if v not in found:
            operands = ((i, x) for i, x in enumerate(v.inputs) if type(x) is Value and x in found)
            steps = [(i, x) for i, x in operands if _passes(v, i)]
            if steps:
                found[v] = steps
    needed = {output} if output in found else set()
    for v in sorted(found, key=_serial, reverse=True):
        if v in needed:
            needed.update(x for _, x in found[v])
    return {v: found[v] for v in sorted(needed, key=_serial)}


def _serial(v: Value) -> int:
    return v.serial


def _passes(v: Value, i: int) -> bool:
    return type(v.primitive) is not Elementwise or v.primitive.partials[i] is not None


def joints(found: Ways) -> Iterator[tuple[Value, int]]:
    """The nodes that all ways pass, the output first, and how many ways there are from the one before."""
    waiting = dict.fromkeys(list(found)[-1:], 1)
    for v in reversed(found):
        n = waiting.pop(v)
        if not waiting:
            yield v, n
            n = 1
        for _, x in found[v]:
            waiting[x] = waiting.get(x, 0) + n


def number_of_ways(found: Ways) -> int:
    """Count the ways: for each node those of its consumers, added up.

    Where all ways meet the count begins again, and what was counted is multiplied in the end, so
    that numbers stay as small as the graph allows.

    Examples
    --------
    >>> x = y = Value(1.0)
    >>> for _ in range(60):
    ...     y = y + y
    >>> number_of_ways(ways(y, [x])) == 2**60
    True
    """
    factors = [n for _, n in joints(found) if n > 1]
    while len(factors) > 1:  # in pairs: the product of a million factors one by one would be quadratic
        factors = [math.prod(factors[i : i + 2]) for i in range(0, len(factors), 2)]
    return factors[0] if factors else int(bool(found))


def longest(found: Ways) -> int:
    """How many steps the longest way has."""
    length = 0
    lengths: dict[Value, int] = {}
    for v, steps in found.items():
        length = lengths[v] = 1 + max((lengths[x] for _, x in steps), default=-1)
    return length


def pull_one(v: Value, i: int, g: Any) -> Any:
    """The cotangent of one operand of one operation; None where none is sent at all."""
    primitive, y, args = v.primitive, v._raw, v.args
    inputs = (*args[:i], v.inputs[i], *args[i + 1 :])
    sent = primitive.pull(g, y, inputs, args, v.params, 0)  # type: ignore[union-attr]
    if sent is None:
        alone = result(y, primitive, inputs, args, v.params)  # type: ignore[arg-type]
        sent = transpose_push(alone, g, y, args, 0, False)
    return sent[0][1] if sent else None


def pulled(way: Iterable[Step], seed: Any) -> Any:
    """Carry a cotangent along one way, from the output on; None where it ends before the input.

    Examples
    --------
    >>> x, w = Value(2.0), Value(5.0)
    >>> y = x * w
    >>> pulled([(y, 0)], 1.0)
    5.0
    """
    g = seed
    with np.errstate(all="ignore"):
        for v, i in way:
            g = pull_one(v, i, g)
            if g is None:
                return None
    return g.value if type(g) is Lanes else g


def single(v: Value) -> bool:
    """Whether a node is one real number."""
    return v.shape == () and v.dtype.kind == "f"


def largest(found: Ways, seed: Any, most: int) -> Iterator[list[Step]]:
    """At most so many ways, each as steps from the output back.

    If there are more, they come by the size of their product. Of numbers this is exact: the largest
    product that is possible from each node on is known before the search begins, so that the next
    way is always the best of those that leave the ways already found at one node. Arrays are
    ranked by an estimate, the length that the gradient itself gains or loses at each step.
    """
    if not found:
        return
    if number_of_ways(found) > most:
        gain = _gains(found, seed)
    else:
        gain = {v: [0.0] * len(steps) for v, steps in found.items()}
    source = next(iter(found))
    potential = {source: 0.0}  # of the logarithm
    best: dict[Value, int] = {}
    for v, steps in found.items():
        if v is not source:
            scores = [gain[v][k] + potential[x] for k, (_, x) in enumerate(steps)]
            potential[v] = max(scores)
            best[v] = scores.index(potential[v])
    number = count()
    output = next(reversed(found))
    waiting: list[Any] = [(0.0, next(number), output, None)]
    while waiting and most:
        most -= 1
        lost, _, v, trail = heapq.heappop(waiting)
        while v is not source:
            for k, (i, x) in enumerate(found[v]):
                if k != best[v]:
                    score = gain[v][k] + potential[x]
                    loss = 0.0 if score == potential[v] else potential[v] - score
                    heapq.heappush(waiting, (lost + loss, next(number), x, (trail, v, i)))
            i, x = found[v][best[v]]
            trail, v = (trail, v, i), x
        way: list[Step] = []
        while trail is not None:
            trail, v, i = trail
            way.append((v, i))
        yield way[::-1]


def _gains(found: Ways, seed: Any) -> Mapping[Value, list[float]]:
    """The logarithm of what each step multiplies by."""
    with np.errstate(all="ignore"):
        if all(map(single, found)):
            return {v: [_log(pull_one(v, i, 1.0)) for i, _ in steps] for v, steps in found.items()}
        visited: list[Any] = []
        output, source = next(reversed(found)), next(iter(found))
        adjoint([(output, seed)], until=source.serial, record=False, visited=visited)
        steps = iter(visited)
        gain = {v: [0.0] * len(found[v]) for v in found}
        for v, g in zip(steps, steps, strict=True):
            if v in found and isinstance(g, float | np.ndarray | np.generic):
                before = _log(g)
                after = [_log(pull_one(v, i, g)) for i, _ in found[v]]
                gain[v] = [a if a == before else a - before for a in after]
        return gain


def _log(c: Any) -> float:
    """The logarithm of the length; what is not a number counts as the largest."""
    if c is None:
        return -math.inf
    c = c.value if type(c) is Lanes else c
    if not isinstance(c, float | np.ndarray | np.generic):
        return 0.0  # the several results of a loop
    size = abs(float(c)) if type(c) is float else float(np.linalg.norm(np.ravel(c)))
    return -math.inf if size == 0 else math.log(size) if size < math.inf else math.inf
