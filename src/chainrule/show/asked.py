"""What `paths`, `explain` and `cost_report` are given: checked, and named as the caller names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from chainrule.graph import order
from chainrule.primitives import fit
from chainrule.show import names as naming
from chainrule.show import summary
from chainrule.show.description import make_up
from chainrule.value import Value, data

__all__ = [
    "at_least_one",
    "expect_value",
    "first_and_last",
    "name_all",
    "name_constants",
    "scopes",
    "seed_of",
]


T = TypeVar("T")


def expect_value(asked: str, what: str, x: Any) -> Value:
    """``x``, which must be a Value."""
    if type(x) is Value:
        return x
    received = "None" if x is None else f"a {type(x).__name__}"
    kind = np.asarray(x).dtype.kind if isinstance(x, int | float | complex | np.ndarray | np.generic) else ""
    if kind in "iub" and kind:
        hint = "integers have no derivative: make it a Value of floats before computing with it"
    elif kind:
        hint = f"write {what} = Value(...) before computing with it"
    elif callable(x):
        then = ", x" if asked in ("explain_grad", "paths") else ""
        hint = f"call it on Values and pass what it returns: {asked}(f(x){then})"
    else:
        hint = "one that was computed with, or from, Values"
    raise TypeError(f"{asked}: {what} is {received}, expected a Value; {hint}")


def seed_of(asked: str, output: Value, seed: Any) -> Any:
    """The cotangent that a sweep starts from: 1 for a real scalar."""
    if seed is None:
        if output.shape:
            raise ValueError(
                f"{asked}: output has shape {output.shape}, expected a scalar; reduce it first (np.sum, "
                "np.mean), or give seed=, the cotangent to start from, of the same shape"
            )
        if output.dtype.kind == "c":
            raise TypeError(
                f"{asked}: output is complex, expected a real number; take .real, .imag or np.abs of it, "
                "or give seed="
            )
        return fit(1.0, output._raw)
    seed = np.asarray(data(seed))
    if seed.dtype.kind not in "fiubc" or (seed.dtype.kind == "c" and output.dtype.kind != "c"):
        raise TypeError(f"{asked}: seed is of dtype {seed.dtype}, expected {output.dtype}, as the output")
    if seed.shape != output.shape:
        raise ValueError(f"{asked}: seed has shape {seed.shape}, expected the output's {output.shape}")
    return fit(seed[()], output._raw)


def at_least_one(asked: str, what: str, n: Any) -> int:
    """A limit of how much is shown."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"{asked}: {what} is {n!r}, expected an integer of at least 1")
    return n


def first_and_last(items: Sequence[T], most: int) -> Sequence[T]:
    """So many items at most: of more than that those at both ends.

    Examples
    --------
    >>> first_and_last("abcdefg", 3)
    ['a', 'b', 'g']
    """
    return items if len(items) <= most else [*items[: (most + 1) // 2], *items[len(items) - most // 2 :]]


def scopes(asked: str, names: Any) -> list[Mapping[str, Any]]:
    """Where names are looked up: what was given, then the caller's variables."""
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"{asked}: names is {type(names).__name__}, expected a dict from names to objects")
    return [*([] if names is None else [names]), *naming.caller()]


def name_all(
    output: Value, where: Iterable[Mapping[str, Any]]
) -> tuple[list[Value], dict[int, str], set[int]]:
    """The graph in the order of the program, a name for each of its nodes, and whose names are not made up.

    Made-up names are those of a whole picture: ``v2`` is the node with the number 2.
    """
    nodes = order([output])
    found = {i: summary.printable(name) for i, name in naming.find(nodes, where).items()}
    return nodes, make_up(nodes, found), set(found)


def name_constants(
    nodes: Sequence[Value], where: Iterable[Mapping[str, Any]], names: dict[int, str]
) -> None:
    """Names for the constant arrays that operations read, where a variable holds the same numbers."""
    arrays = (x for v in nodes for x in v.inputs if type(x) is np.ndarray and x.size > 1)
    names |= naming.find_arrays(arrays, where)
