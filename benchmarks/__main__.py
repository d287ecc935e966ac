"""Run the benchmarks and print one table: ``python -m benchmarks [--only NAME ...]``."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

SUBJECTS = ("chain", "moons", "million", "importing", "digits")
PEERS = ("torch", "autograd", "micrograd", "numpy")


def main() -> int:
    from benchmarks.timing import ONE_THREAD, UNSET, pin

    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS, metavar="NAME",
                        help=f"one or more of {', '.join(SUBJECTS)}")  # fmt: skip
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("build/bench/results.json"))
    arguments = parser.parse_args()
    clean = {k: v for k, v in os.environ.items() if k not in UNSET} | ONE_THREAD
    if clean != dict(os.environ):  # they are read when NumPy is loaded: start again without, or with, them
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]], clean)
    pin()
    try:
        versions = {name: version(name) for name in PEERS}
    except PackageNotFoundError as missing:
        print(f"benchmarks: {missing.name} is not installed; pip install 'chainrule[bench]'", file=sys.stderr)
        return 1
    import torch

    torch.set_num_threads(1)
    print(f"Python {platform.python_version()}, " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    print("one core; ratios are of medians from this run, the contestants in turn\n")
    rows = []
    for subject in arguments.only:
        for row in import_module(f"benchmarks.{subject}").run():
            rows.append(row)
            wanted = "" if row.target is None else f"{'≥' if row.at_least else '≤'} {row.target:g}"
            print(f"{row.work:<78}{row.figure:>9.3g} {row.unit:<6}{wanted:>7}  {row.verdict}", flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    table = [{**vars(row), "verdict": row.verdict} for row in rows]
    arguments.output.write_text(json.dumps({"versions": versions, "rows": table}, indent=1) + "\n")
    print(f"\nalso as data in {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
