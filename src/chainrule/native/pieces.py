"""Derivatives of what is compiled: the function is run again, by a compiled function of its own.

A result of a compiled function is a node of the caller's graph, a `Piece`. Its pull and its push are
functions of cotangent or tangents and of what the program was given; in them the function runs anew,
on stand-ins for the Values it read and with the random numbers that it drew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.containers import flatten
from chainrule.graph import order
from chainrule.native.capture import State
from chainrule.native.program import Program
from chainrule.primitives import Contributions, Lanes, Primitive, fit
from chainrule.recording import zeros_like
from chainrule.sweeps.adjoint import adjoint
from chainrule.sweeps.tangent import tangent
from chainrule.traced import current_trace
from chainrule.value import Value

if TYPE_CHECKING:
    from chainrule.native.compile import Compiled

__all__ = ["Piece", "pull_of", "push_of"]


class Piece(Primitive):
    """One result of a compiled function as a node of a graph; its derivatives are compiled too."""

    takes_lanes = True

    def __init__(
        self, owner: Compiled, program: Program, leaves: list[Any], checksums: list[int], j: int
    ) -> None:
        super().__init__(owner.function, name=f"compiled {owner.name}")
        self.owner, self.program, self.leaves, self.j = owner, program, leaves, j
        self.checksums = checksums  # of the large arrays around the function

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        self._check_large()
        pull = self.owner._derivative(self.program, self.j, self.leaves, None)
        seed = [g.value, g.alive] if type(g) is Lanes else [g]
        cs = pull([fit(seed[0], self._like(y)), *seed[1:]], self._plain(), *args)
        return [(x, c) for x, c in zip(inputs, cs, strict=True) if x.serial >= since]

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        self._check_large()
        moving = tuple(t is not None for t in tangents)
        push = self.owner._derivative(self.program, self.j, self.leaves, moving)
        ts = [[t.value, t.alive] if type(t) is Lanes else [t] for t in tangents if t is not None]
        return push(ts, self._plain(), *args)

    def _check_large(self) -> None:
        """The derivative reads the large arrays around the function again, which must hold what they held."""
        captured = self.program.captured
        for (name, _), was, now in zip(
            captured.trace.arrays, self.checksums, captured.checksums(), strict=True
        ):
            if was != now:
                raise RuntimeError(
                    f"backward: {name}, a large array that {self.owner.name} reads, holds other numbers than "
                    "when it was called, and the derivative reads it again: differentiate before changing "
                    f"it, or pass {name} as an argument"
                )

    def _like(self, y: Any) -> Any:
        return y._raw if type(y) is Value else y

    def _plain(self) -> list[Any]:
        """The arguments that are no Values."""
        return [x for x in self.leaves if type(x) is not Value]


def _replayed(
    program: Program, j: int, leaves: list[Any], plain: list[Any], given: Sequence[Any]
) -> tuple[Value, list[Value]]:
    """Run the function again on ``given`` in the place of the Values it read; its j-th result, and these."""
    trace = current_trace()
    assert trace is not None
    if not program.guards.hold():
        raise RuntimeError(
            f"backward: {program.guards.change()}; the derivative of a compiled function is compiled when it "
            f"is first asked for, and {program.name} must find what it found before: change it afterwards"
        )
    states = program.captured.states
    stand_ins: list[Value] = []
    arguments: dict[int, Value] = {}  # by the identity of the Value that came as an argument
    for s, x in zip(states, given, strict=True):
        if type(x) is Value:
            v = x
        elif s.argument is None:
            v = s.value
            trace.states[id(v)] = State(v, None, x, len(trace.states))
        else:
            v = Value(x)
        stand_ins.append(v)
        if s.argument is not None:
            arguments[id(leaves[s.argument])] = v
    rest = iter(plain)
    flat = [arguments.get(id(x), x) if type(x) is Value else next(rest) for x in leaves]
    n = len(flat) - len(program.draws)
    before, trace.drawn = trace.drawn, iter(flat[n:])
    out = program.captured.call(flat[:n])
    trace.drawn = before
    return flatten(out, none_is_leaf=True)[0][j], stand_ins


def pull_of(program: Program, j: int, leaves: list[Any]) -> Callable[..., Any]:
    """The pull of the j-th result: of its cotangent, the arguments that are no Values, and those that are."""

    def pull(seed: list[Any], plain: list[Any], *given: Any) -> list[Any]:
        trace = current_trace()
        g = Lanes(*seed) if len(seed) == 2 else seed[0]
        record = any(type(x) is Value for x in (*seed, *given))
        out, stand_ins = _replayed(program, j, leaves, plain, given)
        found = adjoint([(out, g)], until=trace.start - 1, record=record)  # type: ignore[union-attr]
        return [found.get(v, zeros_like(v._raw)) for v in stand_ins]

    return pull


def push_of(program: Program, j: int, leaves: list[Any], moving: tuple[bool, ...]) -> Callable[..., Any]:
    """The push to the j-th result: of the tangents of those Values that move, and the same."""

    def push(tangents: list[list[Any]], plain: list[Any], *given: Any) -> Any:
        trace = current_trace()
        record = any(type(x) is Value for x in (*[t[0] for t in tangents], *given))
        out, stand_ins = _replayed(program, j, leaves, plain, given)
        nodes = order([out], trace.start)  # type: ignore[union-attr]
        moved = [v for v, moves in zip(stand_ins, moving, strict=True) if moves]
        seeds = {v: Lanes(*t) if len(t) == 2 else t[0] for v, t in zip(moved, tangents, strict=True)}
        return tangent(nodes, seeds, record=record).get(out, zeros_like(out._raw))

    return push
