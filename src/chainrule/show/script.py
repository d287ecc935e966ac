"""A script run for the explorer, as ``chainrule explore script.py:name`` asks for."""

from __future__ import annotations

import inspect
import os
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.running import noted
from chainrule.show.explorer import Explorer, explore_noted
from chainrule.value import Value

__all__ = ["explore_script"]


def explore_script(path: str | os.PathLike[str], name: str = "") -> Explorer:
    """Run a script as Python would, and explore what it calls ``name``.

    Parameters
    ----------
    path : str or path-like
    name : str
        A variable with a Value or a list of Values, or a function that needs no arguments and returns such;
        by default the newest Value among the script's variables.

    Raises
    ------
    FileNotFoundError
        If there is no such script.
    ValueError
        If the script has no such variable, or no Value, or a function of that name needs arguments.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"explore: there is no file {path}")
    before = sys.argv, list(sys.path)
    sys.argv, sys.path[:0] = [str(path)], [str(path.parent.resolve())]
    try:
        return explore_noted(*noted(_found, path, name))
    finally:
        sys.argv, sys.path[:] = before


def _found(path: Path, name: str) -> tuple[Any, Mapping[str, Any]]:
    """What is to be explored, and the script's variables."""
    scope = runpy.run_path(str(path), run_name="__main__")
    values = {key: v for key, v in scope.items() if isinstance(v, Value)}
    if not name:
        if not values:
            raise ValueError(
                f"explore: {path.name} leaves no Value in its variables; give the name of a function that "
                f"returns one: {path.name}:name"
            )
        name = max(values, key=lambda key: values[key].serial)
    if name not in scope:
        known = ", ".join(values) or "none"
        raise ValueError(f"explore: {path.name} has no variable {name!r}; its Values are: {known}")
    found = scope[name]
    if callable(found) and not isinstance(found, Value):
        try:
            inspect.signature(found).bind()
        except TypeError as missing:
            raise ValueError(
                f"explore: {name} in {path.name} cannot be called without arguments ({missing}); name a "
                "Value, or a function that needs none"
            ) from None
        found = found()
    return found, scope
