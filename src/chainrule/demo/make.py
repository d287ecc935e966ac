"""Train, draw, write: what ``chainrule demo`` does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from chainrule import __version__
from chainrule.demo.folder import check_target, whole_folder
from chainrule.demo.page import Film, page
from chainrule.demo.runs import RUNS, Run
from chainrule.show.training import training_curves

__all__ = ["make"]


def make(names: list[str], steps: int | None, lr: float | None, seed: int, output: Path) -> None:
    """Train on each of `names`, write the page into `output`, and say so on standard output.

    Raises
    ------
    DemoError
        If a training diverges or the folder cannot be used; nothing is written then.
    """
    check_target(output)  # before the work, not after it
    start = time.perf_counter()
    runs = []
    for name in names:
        run = RUNS[name](steps, lr, seed)
        print(f"{name:6}  {run.model!r}", flush=True)
        print(
            f"        {run.steps} steps in {run.seconds:.1f} s, loss {run.curves.last('loss'):.4f}, "
            f"accuracy {100 * run.accuracy:.1f} % on {run.on}",
            flush=True,
        )
        runs.append(run)
    about = {"chainrule": __version__, "seed": seed, "results": {run.name: _result(run) for run in runs}}
    print("drawing the page", flush=True)
    with whole_folder(output, about) as folder:
        films = {run.name: _film(run, folder) for run in runs if run.film is not None}
        for run in runs:
            _write(folder / f"{run.name}-curves.svg", training_curves(run.curves, panels=run.panels))
            if run.mistakes:
                _write(folder / f"{run.name}-mistakes.svg", run.mistakes)
        _write(folder / "index.html", page(runs, films, _command(names, steps, lr, seed)))
    print(f"done in {time.perf_counter() - start:.1f} s; open {output.resolve() / 'index.html'}")
    print("accuracy: " + ", ".join(f"{run.name} {100 * run.accuracy:.1f} %" for run in runs))


def _film(run: Run, folder: Path) -> Film:
    assert run.film is not None
    frames = run.film.frames()
    run.film.save(folder / f"{run.name}.webp", frames=frames)
    run.film.filmstrip(frames=frames).save(folder / f"{run.name}-strip.webp", quality=80)
    sheet, columns, rows = run.film.sheet(frames)
    return Film.of(sheet, len(frames), columns, rows, frames[0].size)


def _result(run: Run) -> dict[str, Any]:
    return {
        "accuracy": run.accuracy,
        "measured on": run.on,
        "steps": run.steps,
        "learning rate": run.lr,
        "final loss": run.curves.last("loss"),
        "seconds": round(run.seconds, 3),
    }


def _command(names: list[str], steps: int | None, lr: float | None, seed: int) -> str:
    """Write the command line that gives this page again."""
    parts = ["chainrule demo", f"--data {' '.join(names)}", f"--seed {seed}"]
    parts += [] if steps is None else [f"--steps {steps}"]
    parts += [] if lr is None else [f"--lr {lr:g}"]
    return " ".join(parts)


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")
