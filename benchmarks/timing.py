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

# The first two halve OpenBLAS where they are set, the third doubles the time of an import; one thread for
# everybody, unless BENCHMARKS_CORES is "all".
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


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


def all_cores() -> bool:
    """Whether this is the second table, in which everybody may use every core."""
    return os.environ.get("BENCHMARKS_CORES") == "all"


def environment() -> dict[str, str]:
    """The variables everybody is measured under; libraries read them when they are loaded."""
    clean = {k: v for k, v in os.environ.items() if k not in UNSET and k not in ONE_THREAD}
    return clean if all_cores() else clean | ONE_THREAD


def pin() -> None:
    """Keep this process and its children on one core, where the system can."""
    if hasattr(os, "sched_setaffinity") and not all_cores():
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def in_turn(
    contestants: dict[str, Callable[[], object]], seconds: float = 3.0, turn: float = 0.0
) -> dict[str, float]:
    """The median time of each, measured A B C A B C ... so that a change of the machine hits all alike.

    A turn is one call, or as many as fill `turn` seconds without the first of them: for calls so short that
    they would mostly be reloading the caches of whoever was before them.  With all cores there is a rest
    before each turn, because idle threads of OpenBLAS and OpenMP spin on for tens of milliseconds.
    """
    for f in contestants.values():
        f()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    end, rounds = time.perf_counter() + seconds, 0
    while time.perf_counter() < end or rounds < 7:
        rounds += 1
        for name, f in contestants.items():
            time.sleep(0.05 * all_cores())
            own, now = [], time.perf_counter()
            over = now + turn
            while not own or now < over:
                start = time.perf_counter()
                f()
                now = time.perf_counter()
                own.append(now - start)
            times[name] += own[1:] or own
    return {name: statistics.median(ts) for name, ts in times.items()}


def child(code: str, **arguments: object) -> dict[str, float]:
    """Run code in a Python of its own; it prints one JSON object on its last line."""
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the benchmark's child process failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))
