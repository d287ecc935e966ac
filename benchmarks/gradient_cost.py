"""The time of a value with its gradient over the time of the value alone, both compiled, for every row."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import chainrule as cr
from benchmarks import (
    compiled_elementwise,
    compiled_mlp,
    compiled_moons,
    compiled_scan,
    compiled_softmax,
    compiled_transformer,
)
from benchmarks.side_by_side import TURN, Contestant
from benchmarks.timing import Row, in_turn

Pair = tuple[Contestant, Contestant]


def of_function(f: Any, args: tuple[Any, ...]) -> Pair:
    return partial(cr.compile(f), *args), partial(cr.compile(cr.value_and_grad(f)), *args)


def of_network(loss: Any, parameters: list[cr.Value], batch: tuple[Any, ...]) -> Pair:
    def gradient(*batch: Any) -> Any:
        for p in parameters:
            p.grad = None
        value = loss(*batch)
        value.backward()
        return value

    return partial(cr.compile(loss), *batch), partial(cr.compile(gradient), *batch)


def pairs() -> Iterator[tuple[str, Pair]]:
    yield "moons, scalar loop", of_network(*compiled_moons.scalar_network())
    yield "moons, arrays", of_network(*compiled_moons.array_network())
    for module in (compiled_mlp, compiled_transformer):
        for work, case in module.CASES.items():
            yield work.removesuffix(", float32, AdamW step"), of_network(*module.network(**case))
    for module in (compiled_elementwise, compiled_softmax, compiled_scan):
        for work, case in module.CASES.items():
            yield work, of_function(*module.function(**case))
    chain = compiled_elementwise.chain_function(**compiled_elementwise.CHAIN)
    yield "100 × tanh(0.9x+0.1), 1000", of_function(*chain)


def run() -> Iterator[Row]:
    for work, (value, gradient) in pairs():
        times = in_turn({"value": value, "gradient": gradient}, 1.0, TURN)
        yield Row(f"{work}: value and gradient / value", times["gradient"] / times["value"], "×", 4)
