"""Loops and branches as LLVM IR: `scan`, `while` and `cond` around the lines of their bodies.

A loop's results are also where its carries lie, so that a turn writes where the next one reads; its
counter moves the places of what it reads and writes one slice a turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.native.memory import Storage
from chainrule.traced import Traced

if TYPE_CHECKING:
    from chainrule.native.part import Part

__all__ = ["bodies", "emit_control_flow"]


def emit_control_flow(part: Part, name: str, x: Traced) -> list[str]:
    """A loop or branch of ``part``, the bodies of which are all native."""
    return {"scan": _scan, "while": _while, "cond": _cond}[x.op](part, name, x)


def _scan(part: Part, name: str, x: Traced) -> list[str]:
    p = x.params
    n, consts, carries = p["length"], p["constants"], p["carries"]
    (turn,), results = part.bodies[x], _results(part, x)
    given = [part.at(i) for i in x.inputs]
    counter = f"%i.{name}"

    def turning(s: Storage, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Storage:
        size = math.prod(shape[1:]) * dtype.itemsize
        return s.on((n - 1) * size, counter, -size) if p["reverse"] else s.on(0, counter, size)

    lines = _starts(part, name, x, given[consts : consts + carries], results, consts)
    inputs = [
        *given[:consts],
        *results[:carries],
        *[
            turning(s, i.shape, i.dtype)
            for s, i in zip(given[consts + carries :], x.inputs[consts + carries :], strict=True)
        ],
    ]
    targets = results[:carries] + [
        turning(s, shape, dtype)
        for s, (shape, dtype) in zip(results[carries:], p["results"][carries:], strict=True)
    ]
    if n == 0:
        return lines
    body = _body(part, turn, inputs, targets, p["body"].inputs)
    part.module.allocas.append(f"%c.{name} = alloca i64")
    return [
        *lines,
        f"store i64 0, ptr %c.{name}",
        f"br label %head.{name}",
        f"head.{name}:",
        f"{counter} = load i64, ptr %c.{name}",
        *body,
        f"%n.{name} = add i64 {counter}, 1",
        f"store i64 %n.{name}, ptr %c.{name}",
        f"%d.{name} = icmp eq i64 %n.{name}, {n}",
        f"br i1 %d.{name}, label %done.{name}, label %head.{name}",
        f"done.{name}:",
    ]


def _while(part: Part, name: str, x: Traced) -> list[str]:
    p = x.params
    consts = p["constants"]
    condition, body = part.bodies[x]
    results, given = _results(part, x), [part.at(i) for i in x.inputs]
    lines = _starts(part, name, x, given[consts:], results, consts)
    inputs = [*given[:consts], *results]
    truth = part.memory.room(8)
    asked = _body(part, condition, inputs, [truth], p["condition"].inputs)
    turn = _body(part, body, inputs, results, p["body"].inputs)
    return [
        *lines,
        f"br label %head.{name}",
        f"head.{name}:",
        *asked,
        *_truth(part, name, truth),
        f"br i1 %true.{name}, label %turn.{name}, label %done.{name}",
        f"turn.{name}:",
        *turn,
        f"br label %head.{name}",
        f"done.{name}:",
    ]


def _cond(part: Part, name: str, x: Traced) -> list[str]:
    results, given = _results(part, x), [part.at(i) for i in x.inputs]
    yes, no = (
        _body(part, inner, given[1:], results, branch.inputs)
        for inner, branch in zip(part.bodies[x], x.params["branches"], strict=True)
    )
    return [
        *_truth(part, name, given[0]),
        f"br i1 %true.{name}, label %yes.{name}, label %no.{name}",
        f"yes.{name}:",
        *yes,
        f"br label %done.{name}",
        f"no.{name}:",
        *no,
        f"br label %done.{name}",
        f"done.{name}:",
    ]


def _body(
    part: Part, inner: Part, given: Sequence[Storage], targets: Sequence[Storage], inputs: Sequence[Traced]
) -> list[str]:
    """The lines of a body that reads its inputs where ``given`` and leaves its outputs where ``targets``."""
    memory = inner.memory
    memory.base = part.memory.base + part.memory.arena
    memory.storage.update(zip(inputs, given, strict=True))
    copies = memory.place_body(targets)
    lines = inner.lines()
    for k, (r, target) in enumerate(copies):
        lines += inner.copy(f"{inner.name}c{k}", memory.storage[r], target, r.nbytes)
    return lines


def _results(part: Part, x: Traced) -> list[Storage]:
    """Where a loop's results go: to its items, or, if nobody wants them, to a place of no importance."""
    return [
        part.memory.storage[part.items[x, k]]
        if (x, k) in part.items
        else part.memory.room(math.prod(shape) * dtype.itemsize)
        for k, (shape, dtype) in enumerate(x.params["results"])
    ]


def _starts(
    part: Part, name: str, x: Traced, given: Sequence[Storage], results: Sequence[Storage], first: int
) -> list[str]:
    """Copy what the carries begin with to where they are carried."""
    lines = []
    for k, s in enumerate(given):
        lines += part.copy(f"{name}s{k}", s, results[k], x.inputs[first + k].nbytes)
    return lines


def _truth(part: Part, name: str, s: Storage) -> list[str]:
    lines, at = part.address(f"%truth.{name}", s)
    return [*lines, f"%byte.{name} = load i8, ptr {at}", f"%true.{name} = icmp ne i8 %byte.{name}, 0"]


def bodies(x: Traced) -> list[tuple[list[Traced], list[Traced | None]]]:
    """The sub-programs of a loop or branch: outputs, and for each the carry whose place it takes."""
    p = x.params
    if x.op == "cond":
        return [(list(b.outputs), [None] * len(b.outputs)) for b in p["branches"]]
    body, consts = p["body"], p["constants"]
    carries: list[Traced | None] = list(body.inputs[consts : consts + len(x.inputs) - consts])
    if x.op == "scan":
        carries = list(body.inputs[consts : consts + p["carries"]])
        return [(list(body.outputs), carries + [None] * (len(body.outputs) - len(carries)))]
    return [(list(p["condition"].outputs), [None]), (list(body.outputs), carries)]
