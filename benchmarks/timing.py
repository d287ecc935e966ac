"""Fair timing: contestants in turn, round by round, on one core; medians, and ratios of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

# Both halve OpenBLAS where they are set; one thread for everybody.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, the figure, and what it should be at most or at least."""

    work: str
    figure: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        met = self.figure >= self.target if self.at_least else self.figure <= self.target
        return "met" if met else "missed"


def pin() -> None:
    """Keep this process on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def in_turn(contestants: dict[str, Callable[[], object]], seconds: float = 3.0) -> dict[str, float]:
    """The median time of each, measured A B C A B C ... so that a change of the machine hits all alike."""
    for f in contestants.values():
        f()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < 7:
        for name, f in contestants.items():
            start = time.perf_counter()
            f()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(ts) for name, ts in times.items()}


def child(code: str, **arguments: object) -> dict[str, float]:
    """Run code in a Python of its own; it prints one JSON object on its last line."""
    environment = {k: v for k, v in os.environ.items() if k not in UNSET} | ONE_THREAD
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the benchmark's child process failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))
