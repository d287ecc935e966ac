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
    if PROFILE == "ci":
        return "hypothesis: the same examples every time (CI is set)"
    return f"hypothesis: new examples, again with --hypothesis-seed={config.option.hypothesis_seed}"
