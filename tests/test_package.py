"""The tree of the package itself."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import chainrule


def test_no_module_hides_behind_a_function_of_its_name():
    """Else `chainrule.train.fit` would be the function or the module, by what has been imported first."""
    for info in pkgutil.walk_packages(chainrule.__path__, "chainrule."):
        package, _, name = info.name.rpartition(".")
        if name != "__main__":
            importlib.import_module(info.name)
            assert isinstance(getattr(importlib.import_module(package), name), ModuleType), info.name
