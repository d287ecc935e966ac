"""Random numbers that would be frozen into a program: noticed, put back and refused.

A capture may draw from generators of `chainrule.random` only, which then draw at each call. From any
other that it can reach it must not have drawn, and from the system's randomness it gets nothing.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import optree

from chainrule.traced import TracedError, current_trace, where_in_user_code

__all__ = ["Undrawn", "no_entropy"]


class Undrawn:
    """Random generators, Python's and NumPy's own among them, which a capture must leave as they are."""

    def __init__(self, generators: Sequence[Any]) -> None:
        self._generators = [*generators, random, np.random]
        self._states = [_state(g) for g in self._generators]

    def drawn(self) -> str | None:
        """The generator that was drawn from since, put back; None if none was."""
        for g, was in zip(self._generators, self._states, strict=True):
            if _parts(_state(g)) != _parts(was):
                _put_back(g, was)
                return "random" if g is random else "np.random" if g is np.random else repr(g)
        return None


def _state(g: Any) -> Any:
    if isinstance(g, np.random.Generator):
        return g.bit_generator.state
    return g.get_state() if g is np.random or isinstance(g, np.random.RandomState) else g.getstate()


def _parts(state: Any) -> list[Any]:
    leaves: list[Any] = optree.tree_leaves(state)
    return [x.tobytes() if isinstance(x, np.ndarray) else x for x in leaves]


def _put_back(g: Any, state: Any) -> None:
    if isinstance(g, np.random.Generator):
        g.bit_generator.state = state
    elif g is np.random or isinstance(g, np.random.RandomState):
        g.set_state(state)
    else:
        g.setstate(state)


class _NoEntropy:
    """While a capture goes on, its thread gets nothing from the system's randomness.

    All of Python's and NumPy's comes through these doors; RandomState does so even with a seed.
    """

    doors: tuple[tuple[Any, str, str], ...] = (
        (np.random.bit_generator, "randbits", "a NumPy generator without a seed, or np.random.RandomState"),
        (random.Random, "seed", "random.Random() without a seed"),
        (random, "_urandom", "secrets or random.SystemRandom"),
        (os, "urandom", "os.urandom"),
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._originals: list[Any] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._depth:
                self._originals = [getattr(where, name) for where, name, _ in self.doors]
                for (where, name, what), original in zip(self.doors, self._originals, strict=True):
                    setattr(where, name, self._guarded(original, what, seeded=name == "seed"))
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth:
                for (where, name, _what), original in zip(self.doors, self._originals, strict=True):
                    setattr(where, name, original)

    def _guarded(self, original: Any, what: str, seeded: bool) -> Any:
        def entropy(*args: Any, **kwargs: Any) -> Any:
            given = seeded and any(a is not None for a in (*args[1:], kwargs.get("a")))
            if current_trace() is not None and not given:
                raise TracedError(
                    f"{where_in_user_code()}: compile: {what}: its random numbers would be "
                    "the same in every call; draw from a generator made outside with "
                    "chainrule.random.default_rng, or pass the numbers as an argument"
                )
            return original(*args, **kwargs)

        return entropy


no_entropy = _NoEntropy()
