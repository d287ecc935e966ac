"""What the first call costs beyond a warm one, in a fresh process: cold, and with what is kept on disk."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from typing import Any

from benchmarks import compiled_elementwise, compiled_mlp
from benchmarks.timing import Row, child

CALLS = """
import json, os, statistics, sys, time
a = json.loads(sys.argv[1])
os.environ.update(a["environment"])
from importlib import import_module
call = getattr(import_module("benchmarks." + a["module"]), a["who"])(**a["case"])
times = []
for _ in range(12):
    start = time.perf_counter()
    call()
    times.append(time.perf_counter() - start)
print(json.dumps({"time": times[0] - statistics.median(times[1:])}))
"""
MLP = "MLP 64-128-128-10, batch 64"
PROGRAMS: dict[str, dict[str, Any]] = {
    "100 × tanh(0.9x+0.1), gradient": {
        "module": "compiled_elementwise", "case": compiled_elementwise.CHAIN,
        "who": {"chainrule": "chain_ours", "jax": "chain_with_jax"},
    },
    MLP: {"module": "compiled_mlp", "case": compiled_mlp.CASES[MLP]},
    "character transformer": {"module": "compiled_transformer", "case": {}},
}  # fmt: skip


def first_calls(folder: str, environment: dict[str, str], **program: Any) -> tuple[float, float]:
    """Seconds of a first call with an empty folder for what is kept, and of the next process."""
    with tempfile.TemporaryDirectory() as kept:
        environment = {**environment, folder: kept}
        cold, warm = (child(CALLS, environment=environment, **program)["time"] for _ in range(2))
    return cold, warm


def run() -> Iterator[Row]:
    jax_keeps = {
        "JAX_ENABLE_X64": "1",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    for work, program in PROGRAMS.items():
        who = program.get("who", {"chainrule": "ours", "jax": "with_jax"})
        ours, theirs = [], []
        what = {"module": program["module"], "case": program["case"]}
        for _ in range(3):  # in turn
            ours.append(first_calls("CHAINRULE_CACHE", {}, who=who["chainrule"], **what))
            theirs.append(first_calls("JAX_COMPILATION_CACHE_DIR", jax_keeps, who=who["jax"], **what))
        (cold, warm), (jax_cold, jax_warm) = (map(statistics.median, zip(*runs)) for runs in (ours, theirs))
        yield Row(f"{work}: trace + compile, cold / JAX's", cold / jax_cold, "×", 0.4)
        yield Row(f"{work}: the same, warm from disk / JAX's cold", warm / jax_cold, "×", 0.1)
        yield Row(f"{work}: the same, warm from disk / JAX's warm from disk", warm / jax_warm, "×")
