"""What a checkpoint of a run holds: all that the rest of the run depends on, and what it has seen so far."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import random
from chainrule.nn.module import Module
from chainrule.train import checkpoint
from chainrule.train.batching import Batches, Loader
from chainrule.train.curves import Curves
from chainrule.train.log import Log

if TYPE_CHECKING:
    from chainrule.train.fitting import Run

__all__ = ["load_run", "save_run", "seed_generators"]


def generators(model: Module) -> Iterator[tuple[str, np.random.Generator]]:
    """The random generators of a model's layers, each once, with the path of the attribute."""
    met: set[int] = set()
    for path, m in model.named_modules():
        for name, x in vars(m).items():
            if isinstance(x, np.random.Generator) and id(x) not in met:
                met.add(id(x))
                yield (f"{path}.{name}" if path else name), x


def seed_generators(model: Module, seed: int) -> None:
    """Give every layer that was made without a generator one that follows from ``seed`` and its place."""
    for k, (_, m) in enumerate(model.named_modules()):
        if isinstance(getattr(m, "rng", None), np.random.Generator) and not getattr(m, "seeded", True):
            m.rng = random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, k)))  # type: ignore[attr-defined]


def save_run(
    path: str | os.PathLike[str], run: Run, parts: Batches | Loader, schedule: Any, log_size: int
) -> None:
    """Write a run to one file, whole or not at all."""
    arrays: dict[str, Any] = {f"model.{k}": a for k, a in run.model.state_dict().items()}
    arrays |= {f"best.{k}": a for k, a in (run.best_state or {}).items()}
    for name in run.curves:
        steps, numbers = run.curves[name]
        arrays[f"curves.{name}"] = np.stack([steps, numbers])
    optimiser = run.optimiser.state_dict()
    arrays |= {f"optimiser.{k}": a for k, a in optimiser.items() if isinstance(a, np.ndarray)}
    meta = {
        "kind": "chainrule training run",
        "epoch": run.epoch,
        "step": run.step,
        "best": run.best,
        "waited": run.waited,
        "skipped": run.skipped,
        "stopped": run.stopped,
        "optimiser": {k: a for k, a in optimiser.items() if not isinstance(a, np.ndarray)},
        "batches": parts.state_dict(),
        "schedule": None if schedule is None else schedule.state_dict(),
        "generators": {k: _packed(g, k, arrays) for k, g in generators(run.model)},
        "log_size": log_size,
    }
    checkpoint.save(path, arrays, meta)


def load_run(
    path: str | os.PathLike[str],
    run: Run,
    parts: Batches | Loader,
    schedule: Any,
    log: Log,
    seed: int,
) -> int:
    """Put a run where it stood when it was saved, or leave everything as it is; the length its log had.

    Raises
    ------
    CheckpointError
        If the file is damaged or holds something else, or is of another model, optimiser or data: what is
        missing, unexpected and misshapen.
    """
    arrays, meta = checkpoint.load(path)
    if meta.get("kind") != "chainrule training run":
        raise checkpoint.CheckpointError(
            f"{os.fspath(path)}: a checkpoint, but not of a training run; expected one that fit() wrote"
        )

    def part(prefix: str) -> dict[str, Any]:
        return {k[len(prefix) :]: a for k, a in arrays.items() if k.startswith(prefix)}

    back = _way_back(run, parts, schedule)
    try:
        _check(arrays, meta)
        log.check(meta["log_size"])
        if part("best."):
            run.model.load_state_dict(part("best."))  # whether it could be gone back to
        run.model.load_state_dict(part("model."))
        seed_generators(run.model, seed)  # as at the run's beginning: layers that shared one have their own
        there = dict(generators(run.model))
        if there.keys() != meta["generators"].keys():
            raise ValueError(
                f"the checkpoint has random generators {sorted(meta['generators'])}, the model "
                f"{sorted(there)}; expected the same layers"
            )
        if (schedule is None) != (meta["schedule"] is None):
            has, given = ("a", "none") if schedule is None else ("no", "one")
            raise ValueError(f"the run had {has} schedule, and {given} is given; go on as it was begun")
        run.optimiser.load_state_dict({**meta["optimiser"], **part("optimiser.")})
        if schedule is not None:
            schedule.load_state_dict(meta["schedule"])
        for k, g in there.items():
            g.bit_generator.state = _unpacked(meta["generators"][k], k, arrays)
        parts.load_state_dict(meta["batches"])  # last: nobody could put back a loader that is not ours
    except Exception as error:
        back()
        raise checkpoint.CheckpointError(f"{os.fspath(path)}: {error}") from error
    for name in _COUNTS:
        setattr(run, name, meta[name])
    run.best = float(meta["best"])
    run.best_state = part("best.") or None
    run.curves = Curves()
    for name, (steps, numbers) in part("curves.").items():
        for s, n in zip(steps, numbers, strict=True):
            run.curves.record(s, **{name: n})
    return int(meta["log_size"])


_COUNTS = ("epoch", "step", "waited", "skipped")


def _check(arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """That a run's checkpoint has the parts that `save_run` writes, each of its kind."""
    wrong = [
        f"{name} is {meta.get(name)!r}, expected {what}"
        for names, kind, what in (
            ((*_COUNTS, "log_size"), int, "an integer from 0"),
            (("best",), float, "a float"),
            (("optimiser", "batches", "generators"), dict, "a dict"),
        )
        for name in names
        if type(meta.get(name)) is not kind or (kind is int and meta[name] < 0)
    ]
    if "schedule" not in meta or not isinstance(meta["schedule"], dict | None):
        wrong.append(f"schedule is {meta.get('schedule')!r}, expected a dict or None")
    wrong += [
        f"{name} is {a.shape}, expected (2, n)"
        for name, a in arrays.items()
        if name.startswith("curves.") and (a.ndim != 2 or len(a) != 2 or not a.size)
    ]
    if wrong:
        raise ValueError(f"not as fit() writes it: {'; '.join(wrong)}; use another copy of it")


def _way_back(run: Run, parts: Batches | Loader, schedule: Any) -> Callable[[], None]:
    """What puts everything that a checkpoint is loaded into back to what it is now."""
    model, optimiser, batches = run.model.state_dict(), run.optimiser.state_dict(), dict(vars(parts))
    rates = None if schedule is None else copy.deepcopy(schedule.state_dict())
    own = [(m, m.__dict__["rng"]) for _, m in run.model.named_modules() if "rng" in m.__dict__]
    states = [(g, copy.deepcopy(g.bit_generator.state)) for _, g in generators(run.model)]

    def back() -> None:
        run.model.load_state_dict(model)
        if schedule is not None:
            schedule.load_state_dict(rates)
        run.optimiser.load_state_dict(optimiser)  # after the schedule, which sets rates
        vars(parts).update(batches)
        for m, g in own:
            m.rng = g  # type: ignore[attr-defined]
        for g, state in states:
            g.bit_generator.state = state

    return back


def _packed(g: np.random.Generator, path: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """A generator's state: numbers, and, of some kinds, arrays, which go with the others."""
    return _split(dict(g.bit_generator.state), f"generator.{path}", arrays)


def _split(state: dict[str, Any], path: str, arrays: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, x in state.items():
        if isinstance(x, dict):
            plain[key] = _split(x, f"{path}.{key}", arrays)
        elif isinstance(x, np.ndarray):
            arrays[f"{path}.{key}"] = x
        else:
            plain[key] = x
    return plain


def _unpacked(plain: dict[str, Any], path: str, arrays: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = dict(plain)
    prefix = f"generator.{path}."
    for name, a in arrays.items():
        if name.startswith(prefix):
            *inner, key = name[len(prefix) :].split(".")
            target = state
            for step in inner:
                target = target[step]
            target[key] = a
    return state
