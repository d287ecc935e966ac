"""Log-softmax cross-entropy of 256 rows of 32,000 logits, float32, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.side_by_side import (
    compare,
    jax_cross_entropy,
    jax_value_and_grad,
    our_value_and_grad,
    torch_value_and_grad,
)
from benchmarks.timing import Row
from chainrule import nn

CASES: dict[str, dict[str, Any]] = {"cross-entropy, 256 × 32,000 float32": {"rows": 256, "classes": 32_000}}


def function(rows: int, classes: int) -> tuple[Any, tuple[Any, ...]]:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, classes)).astype(np.float32)
    return nn.cross_entropy, (logits, rng.integers(0, classes, rows))


def run() -> Iterator[Row]:
    import torch

    for work, case in CASES.items():
        f, args = function(**case)
        contestants = {
            "chainrule": our_value_and_grad(f, *args),
            "jax": jax_value_and_grad(jax_cross_entropy, *args),
            "torch": torch_value_and_grad(torch.nn.functional.cross_entropy, *args),
        }
        yield from compare(work, contestants, {"jax": 0.8, "torch": 0.5}, rtol=1e-4, atol=1e-9, seconds=6)
