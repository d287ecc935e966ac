"""What taking the next batch costs beside the compiled step that it is for, at the examples' sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np

from benchmarks import examples
from benchmarks.timing import Row, in_turn
from chainrule import train

SAMPLES = {"digits": 1_797, "clothes": 60_000, "text": 400_000, "names": 7_000, "plane": 1_797}
SHARE = 0.05


def loader(name: str) -> Callable[[], Any]:
    """A call for each batch, of shuffled data as large as the example's; characters are drawn, as there."""
    rng = np.random.default_rng(0)
    batch = examples.network(name).batch
    if name == "text":
        letters = [chr(32 + code) for code in rng.integers(examples.SYMBOLS, size=SAMPLES[name])]
        text = train.data.Text("".join(letters))
        return lambda: text.sample(len(batch[0]), examples.CONTEXT, rng)
    samples = [np.resize(a, (SAMPLES[name], *a.shape[1:])) for a in batch]
    parts = train.batches(*samples, batch_size=len(batch[0]), seed=0, drop_last=True)
    endless = (part for _ in count() for part in parts)
    return lambda: next(endless)


def run() -> Iterator[Row]:
    for work, case in examples.CASES.items():
        times = in_turn({"step": examples.ours(**case), "loading": loader(**case)}, turn=0.02)
        share = times["loading"] / (times["step"] + times["loading"])
        yield Row(f"{work}: loading, of a step with its loading", share, "×", SHARE)
