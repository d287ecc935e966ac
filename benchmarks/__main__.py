"""Run the benchmarks and print one table: ``python -m benchmarks [--only NAME ...] [--cores all]``."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import sys
import tempfile
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

EAGER = ("chain", "moons", "million", "importing", "digits")
COMPILED = (
    "compiled_moons",
    "compiled_mlp",
    "compiled_elementwise",
    "compiled_softmax",
    "compiled_scan",
    "compiled_transformer",
    "compile_time",
    "gradient_cost",
    "memory_steps",
)
EXAMPLES = ("examples", "loading")
LONG = ("fashion",)  # minutes; only where it is named
GROUPS = {"eager": EAGER, "compiled": COMPILED}
SUBJECTS = EAGER + COMPILED + EXAMPLES
PEERS = ("torch", "jax", "casadi", "autograd", "micrograd", "numpy")


def main() -> int:
    from benchmarks.timing import all_cores, environment, pin

    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    names = (*GROUPS, *SUBJECTS, *LONG)
    parser.add_argument("--only", nargs="+", choices=names, default=SUBJECTS, metavar="NAME",
                        help=f"one or more of {', '.join(names)}")  # fmt: skip
    parser.add_argument("--cores", choices=("one", "all"), default="one",
                        help="one pinned core for each side, or every core")  # fmt: skip
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("build/bench/results.json"))
    arguments = parser.parse_args()
    os.environ["BENCHMARKS_CORES"] = arguments.cores
    clean = environment()
    if clean != dict(os.environ):  # they are read when NumPy is loaded: start again without, or with, them
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]], clean)
    pin()
    try:
        versions = {name: version(name) for name in PEERS}
    except PackageNotFoundError as missing:
        print(f"benchmarks: {missing.name} is not installed; pip install 'chainrule[bench]'", file=sys.stderr)
        return 1
    import torch

    torch.set_num_threads(os.cpu_count() if all_cores() else 1)
    print(f"Python {platform.python_version()}, " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    cores = "all cores" if all_cores() else "one core"
    print(f"{cores}; ratios are of medians from this run, the contestants in turn\n")
    rows = []
    with tempfile.TemporaryDirectory() as empty:
        os.environ["CHAINRULE_CACHE"] = empty  # a first call compiles, whatever was compiled yesterday
        for subject in dict.fromkeys(s for name in arguments.only for s in GROUPS.get(name, (name,))):
            for row in import_module(f"benchmarks.{subject}").run():
                rows.append(row)
                wanted = "" if row.target is None else f"{'≥' if row.at_least else '≤'} {row.target:g}"
                print(f"{row.work:<84}{row.figure:>9.3g} {row.unit:<6}{wanted:>7}  {row.verdict}", flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    table = [{**vars(row), "verdict": row.verdict} for row in rows]
    results = {"versions": versions, "cores": cores, "rows": table}
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nalso as data in {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
