"""What a function's code names: globals, attributes, and modules that it imports itself."""

from __future__ import annotations

import dis
import functools
import importlib.util
import sys
import types
from typing import Any

__all__ = ["Names", "file_of", "names_in", "package_of"]


class Names:
    """What code names: globals, attributes, and modules it imports (with their level and what is taken)."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.imports: list[tuple[str, int, tuple[str, ...]]] = []


@functools.lru_cache(4096)
def names_in(code: types.CodeType) -> Names:
    """Of a function and those within it."""
    found = Names()
    before: list[Any] = [None, None]
    for instruction in dis.get_instructions(code):
        operation, what = instruction.opname, instruction.argval
        if operation in ("LOAD_GLOBAL", "LOAD_NAME"):
            found.names.add(what)
        elif operation in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"):
            found.attributes.add(what)
        elif operation == "IMPORT_NAME":
            found.imports.append((what, before[0] or 0, before[1] or ()))
        before = [before[1], what]
    if found.names & {"getattr", "attrgetter"}:
        found.attributes |= {c for c in code.co_consts if isinstance(c, str)}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            within = names_in(constant)
            found.names |= within.names
            found.attributes |= within.attributes
            found.imports += within.imports
    return found


def package_of(f: Any) -> str:
    """The top-level package a function, or an object that is called, belongs to, if it is a user's."""
    package = (getattr(f, "__module__", None) or type(f).__module__ or "").partition(".")[0]
    return "" if package in ("numpy", "chainrule") else package


def file_of(module: str) -> str:
    """Where a module lies, imported or not; "" if that is not known."""
    if module in sys.modules:
        return getattr(sys.modules[module], "__file__", None) or ""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return ""
    return (spec and spec.origin) or ""
