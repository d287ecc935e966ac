"""How hypothesis draws its examples: the same ones in CI, new ones elsewhere, from a seed that is printed."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, settings

COMMON = {
    "deadline": None,  # a busy machine is no mistake
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("ci", derandomize=True, database=None, **COMMON)
settings.register_profile("new", **COMMON)
PROFILE = "ci" if os.environ.get("CI") else "new"
settings.load_profile(PROFILE)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed here, before hypothesis reads it, so that every worker has the one in the header."""
    if PROFILE == "new" and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))


def pytest_report_header(config: pytest.Config) -> str:
    programs = f"random programs: from seed {os.environ.get('CHAINRULE_SEED') or 0} on (CHAINRULE_SEED)"
    if PROFILE == "ci":
        return f"{programs}\nhypothesis: the same examples every time (CI is set)"
    seed = config.option.hypothesis_seed
    return f"{programs}\nhypothesis: new examples, again with --hypothesis-seed={seed}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many derivatives were compared with five-point differences, or transposed and multiplied back."""
    reports = [r for r in terminalreporter.stats.get("passed", []) if r.when == "call"]
    samples = sum(n for r in reports for name, n in r.user_properties if name == "samples")
    if samples:
        functions = sum(n for r in reports for name, n in r.user_properties if name == "functions")
        terminalreporter.write_sep("-", "derivatives")
        terminalreporter.write_line(f"{samples:,} samples: a function, its point, a mode and an order")
        if functions:
            terminalreporter.write_line(f"{functions} functions of NumPy and SciPy (HIPS autograd: 207)")
