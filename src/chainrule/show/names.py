"""Names for the nodes of a picture, from the variables of whoever asked for it.

Objects are known by identity and only read: through ``__dict__`` and the containers' own methods,
so that no property, ``__getattr__`` or ``__eq__`` of a stranger's class runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.value import Value

__all__ = ["caller", "find", "find_arrays", "find_paths", "written"]

_LONGEST = 10_000  # entries of one container that are looked at
_DEEPEST = 6  # attributes into a model
_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
_HISTORY = {"In", "Out", "exit", "quit", "get_ipython"}  # a notebook's own: everything is in there


def caller() -> list[Mapping[str, Any]]:
    """The variables of the first frame outside this folder: its locals, then its globals."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    local, outer = frame.f_locals, frame.f_globals
    return [written(local)] if local is outer else [written(local), written(outer)]


def written(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that somebody wrote down: no private ones, nor those that Python or a tool makes up."""
    return {
        name: x
        for name, x in tuple(scope.items())
        if name.isidentifier() and not name.startswith("_") and name not in _HISTORY
    }


def find(values: Iterable[Value], scopes: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Find names for Values among variables.

    A variable of its own comes before an element of a container (``w[0]``, ``p["w"]``), and that
    before a part of a model (``model.layers[0].weight``); among equals the first one stands. What
    has a ``.name`` keeps it.

    Parameters
    ----------
    values : iterable of Value
    scopes : iterable of mappings from str to object
        The earlier ones come first.

    Returns
    -------
    dict of int to str
        By the Value's identity; those without a name are missing.

    Examples
    --------
    >>> a, b, c = Value(1.0), Value(2.0), Value(3.0, name="bias")
    >>> list(find([a, b, c], [{"a": a, "rest": {"b": b, "c": c}}]).values())
    ['a', "rest['b']", 'bias']
    """
    wanted = {id(v): v for v in values}
    named = {i: str(v.name) for i, v in wanted.items() if v.name is not None and str(v.name)}
    found = find_paths([v for i, v in wanted.items() if i not in named], scopes) | named
    return {i: found[i] for i in wanted if i in found}


def find_paths(values: Iterable[Value], scopes: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """The Python expressions that lead to Values, whatever names they have themselves."""
    wanted = {id(v) for v in values}
    found: dict[int, str] = {}
    variables = [_variables(scope) for scope in scopes]
    for look in (_direct, _elements, _parts):
        for scope in variables:
            if len(found) < len(wanted):
                for path, v in look(scope):
                    if id(v) in wanted:
                        found.setdefault(id(v), path)
    return found


def find_arrays(arrays: Iterable[Any], scopes: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Find names for arrays among variables: those that hold the same numbers.

    Identity does not serve here: a graph keeps a copy of an array that its owner could change.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(3.0)
    >>> list(find_arrays([X.copy()], [{"y": X[:2], "X": X}]).values())
    ['X']
    """
    variables = [(name, x) for scope in scopes for name, x in _variables(scope) if type(x) is np.ndarray]
    found = {}
    for a in arrays:
        for name, x in variables:
            if x is a or (x.shape == a.shape and x.dtype == a.dtype and np.array_equal(x, a)):
                found[id(a)] = name
                break
    return found


def _variables(scope: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, x) for name, x in tuple(scope.items()) if isinstance(name, str)]


def _direct(scope: list[tuple[str, Any]]) -> Iterator[tuple[str, Value]]:
    return ((name, x) for name, x in scope if type(x) is Value)


def _elements(scope: list[tuple[str, Any]]) -> Iterator[tuple[str, Value]]:
    for name, x in scope:
        for path, element in _inside(name, x):
            if type(element) is Value:
                yield path, element


def _parts(scope: list[tuple[str, Any]]) -> Iterator[tuple[str, Value]]:
    """Walk into models: objects of a class that has ``parameters``, and the containers within."""
    seen: set[int] = set()
    stack = [(name, x, 0) for name, x in reversed(scope) if _is_model(x)]
    while stack:
        path, x, depth = stack.pop()
        if type(x) is Value:
            yield path, x
        if depth >= _DEEPEST or id(x) in seen:
            continue
        seen.add(id(x))
        inner = _attributes(path, x) if _is_model(x) else _inside(path, x)
        stack += [(p, y, depth + 1) for p, y in reversed(list(inner))]


def _is_model(x: Any) -> bool:
    kind = type(x)
    return any("parameters" in vars(base) for base in kind.__mro__) and not issubclass(kind, type)


def _attributes(path: str, x: Any) -> Iterator[tuple[str, Any]]:
    try:
        attributes = object.__getattribute__(x, "__dict__")
    except AttributeError:
        return
    if type(attributes) is dict:
        for name, y in tuple(attributes.items())[:_LONGEST]:
            # modules in a row are attributes with numbers for names, and found by index
            yield f"{path}[{name}]" if name.isdigit() else f"{path}.{name}", y


def _inside(path: str, x: Any) -> Iterator[tuple[str, Any]]:
    """One level of a list, tuple or dict, by the base class's own methods."""
    kind = type(x)
    if issubclass(kind, list | tuple):
        base: Any = list if issubclass(kind, list) else tuple
        for i, element in enumerate(base.__getitem__(x, slice(_LONGEST))):
            yield f"{path}[{i}]", element
    elif issubclass(kind, dict) and dict.__len__(x) <= _LONGEST:
        for key, element in tuple(dict.items(x)):
            if type(key) in {str, int, float, bool}:
                yield f"{path}[{key!r}]", element
