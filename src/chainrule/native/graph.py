"""A compiled program as something to look at: its nodes, their names, and which kernel computes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.containers import flatten
from chainrule.traced import Traced

if TYPE_CHECKING:
    from chainrule.native.capture import Captured

__all__ = ["ProgramGraph", "argument_names", "labels", "names"]


@dataclass(frozen=True, eq=False)
class ProgramGraph:
    """What a program computes, for `chainrule.draw`.

    Attributes
    ----------
    name : str
        The function's.
    roots : sequence of (str, Traced)
        What is returned and what becomes of state, with names.
    inputs : mapping from Traced to str
        Names of the inputs.
    kernels : mapping from Traced to str
        Which kernel computes a node, as in the report.
    """

    name: str
    roots: Sequence[tuple[str, Traced]]
    inputs: Mapping[Traced, str]
    kernels: Mapping[Traced, str]

    def __repr__(self) -> str:
        return f"<graph of the program {self.name}; chainrule.draw shows it>"


def names(captured: Captured) -> dict[Traced, str]:
    """Names of the inputs: of arguments as the function calls them, of Values their own."""
    found = {}
    for slot, x in zip(captured.slots, captured.inputs, strict=True):
        if slot.kind == "argument":
            given = captured.names
            found[x] = given[slot.which] if slot.which < len(given) else f"argument {slot.which}"
        elif slot.kind == "array":
            found[x] = captured.trace.arrays[slot.which][0]
        else:
            found[x] = _state(captured, slot.which) + (".grad" if slot.kind == "grad" else "")
    return found


def labels(captured: Captured, spec: Any = None) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of the results (in a container of ``spec``); and of each state's data and gradient."""
    spec = captured.spec if spec is None else spec
    results = [a.codify("result") for a in spec.accessors()]
    states = [_state(captured, i) for i in range(len(captured.states))]
    return results, [(s, s + ".grad") for s in states]


def _state(captured: Captured, number: int) -> str:
    s = captured.states[number]
    if s.argument is not None and s.argument < len(captured.names):
        return str(captured.names[s.argument])
    return s.value.name or f"state{number}"


def argument_names(
    f: Callable[..., Any], static: Collection[int], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[str]:
    """Names of the flattened arguments, without the static ones.

    Examples
    --------
    >>> argument_names(lambda x, params, *, rate: None, (), (1.0, {"w": 2.0, "b": [3.0]}), {"rate": 0.1})
    ['x', "params['b'][0]", "params['w']", 'rate']
    """
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # some of what is written in C does not tell
        parameters = []
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "argument")
    found = []
    for i, x in enumerate(args):
        if i not in static:
            name = positional[i] if i < len(positional) else f"{rest}[{i - len(positional)}]"
            found += _leaves(name, x)
    for name in sorted(kwargs):
        found += _leaves(name, kwargs[name])
    return found


def _leaves(name: str, x: Any) -> list[str]:
    return [a.codify(name) for a in flatten(x, none_is_leaf=True)[1].accessors()]
