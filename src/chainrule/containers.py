"""Containers of arguments and results: those of optree, and dataclasses, taken apart by their fields."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import optree

__all__ = ["flatten", "learn"]

NAMESPACE = "chainrule"  # what is known of dataclasses here is nobody else's business


def flatten(tree: Any, none_is_leaf: bool = False, numbers: int = 0) -> tuple[list[Any], Any]:
    """The leaves of a container, and its structure.

    With ``numbers`` strings and booleans that lie so deep or deeper are no leaves, as None is none: they stay
    where they are.

    Examples
    --------
    >>> import dataclasses
    >>> @dataclasses.dataclass(frozen=True)
    ... class Line:
    ...     slope: float
    ...     start: float = 0.0
    >>> leaves, spec = flatten({"fit": Line(2.0)})
    >>> leaves
    [2.0, 0.0]
    >>> optree.tree_unflatten(spec, [3.0, 1.0])
    {'fit': Line(slope=3.0, start=1.0)}
    """
    leaves, spec = optree.tree_flatten(tree, none_is_leaf=none_is_leaf, namespace=NAMESPACE)
    if learn(leaves):
        return flatten(tree, none_is_leaf, numbers)
    if numbers and any(isinstance(x, _NO_NUMBERS) for x in leaves):
        deep = [len(path) >= numbers for path in spec.paths()]
        staying = [_Staying(x) if d and isinstance(x, _NO_NUMBERS) else x for d, x in zip(deep, leaves)]
        return flatten(optree.tree_unflatten(spec, staying), none_is_leaf)
    return leaves, spec


_NO_NUMBERS = (str, bytes, bool, np.bool_)


class _Staying:
    """Stands for what is no leaf, while a container is taken apart; put together, it has the thing itself."""

    def __init__(self, x: Any) -> None:
        self.x = x


_register: Any = optree.register_pytree_node  # its types know of collections only
_register(_Staying, lambda s: ((), s.x), lambda x, _: x, namespace=NAMESPACE)


def learn(leaves: list[Any]) -> bool:
    """Whether there are dataclasses among the leaves; from now on they are containers."""
    kinds = {type(x) for x in leaves if hasattr(type(x), "__dataclass_fields__")}
    for kind in kinds:
        with contextlib.suppress(ValueError):  # another thread has been quicker
            optree.register_pytree_node(
                kind, _parts, _Maker(kind), path_entry_type=optree.GetAttrEntry, namespace=NAMESPACE
            )
    return bool(kinds)


def _parts(x: Any) -> tuple[list[Any], tuple[str, ...], tuple[str, ...]]:
    names = tuple(name for name in x.__dataclass_fields__ if hasattr(x, name))
    return [getattr(x, name) for name in names], names, names


class _Maker:
    """Puts a dataclass together again, frozen or not, as a copy: what its ``__init__`` does has been done."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def __call__(self, names: Any, parts: Any) -> Any:
        x: Any = object.__new__(self.kind)
        for name, part in zip(names, parts, strict=True):
            object.__setattr__(x, name, part)
        return x
