"""Every row of `tests.hard` has its tests: eager, and compiled where the row is about both."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from tests import test_hard_conduct, test_hard_points, test_nonfinite
from tests.hard import COMPILED_ALONE, EAGER_ALONE, ROWS
from tests.native import test_compile_hard_points, test_compile_threads
from tests.sweeps import test_threads
from tests.test_hard_points import FIRST, SECOND

EAGER = [test_hard_points, test_hard_conduct, test_nonfinite, test_threads]
COMPILED = [test_compile_hard_points, test_compile_threads]
TABLES = {line.number for line in [*FIRST, *SECOND]}  # tried in both


def marks(modules: list[ModuleType]) -> Iterator[pytest.Mark]:
    for module in modules:
        for test in vars(module).values():
            yield from (m for m in getattr(test, "pytestmark", ()) if m.name == "hard_point")


def test_all_rows_are_there() -> None:
    assert list(ROWS) == list(range(1, 44))
    eager = {n for m in marks(EAGER) for n in m.args}
    both = {n for m in marks(EAGER) if m.kwargs.get("compiled") for n in m.args}
    compiled = {n for m in marks(COMPILED) for n in m.args}
    assert eager | TABLES == set(ROWS) - COMPILED_ALONE
    assert compiled | both | TABLES == set(ROWS) - EAGER_ALONE
