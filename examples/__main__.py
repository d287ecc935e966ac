"""Run an example, or say which there are: ``python -m examples [NAME ...] [--output folder] [--quick]``."""

from __future__ import annotations

import argparse
import pathlib
import pkgutil
import sys
import time
from importlib import import_module

import examples

NAMES = tuple(m.name for m in pkgutil.iter_modules(examples.__path__) if not m.name.startswith("_"))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="examples", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}, or all")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("build/examples"),
                        help="the folder that pictures are written into (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a shorter training, for a first look")
    arguments = parser.parse_args(argv)
    if not arguments.names:
        for name in NAMES:
            print(f"{name:12}{import_module(f'examples.{name}').__doc__.splitlines()[0]}")
        print("\nrun one: python -m examples NAME")
        return 0
    if unknown := set(arguments.names) - {*NAMES, "all"}:
        parser.error(f"{', '.join(sorted(unknown))} given; expected some of {', '.join(NAMES)}, or all")
    arguments.output.mkdir(parents=True, exist_ok=True)
    status = 0
    for name in NAMES if "all" in arguments.names else arguments.names:
        start = time.perf_counter()
        print(f"{name}:")
        try:
            figures = import_module(f"examples.{name}").run(arguments.output, arguments.quick)
        except FileNotFoundError as missing:  # data that are not installed; the others can do without
            print(f"left out: {missing}\n", file=sys.stderr)
            status = 1
            continue
        print(", ".join(f"{what} {number:.4g}" for what, number in figures.items()))
        print(f"{time.perf_counter() - start:.1f} s; pictures are in {arguments.output}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
