"""The gradient of a hundred times tanh(0.9 x + 0.1): what an operation costs, at three sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import torch

import chainrule as cr
from benchmarks.timing import Row, in_turn


def program(x: Any, tanh: Any, total: Any) -> Any:
    for _ in range(100):
        x = tanh(0.9 * x + 0.1)
    return total(x)


def by_hand(x: Any) -> Any:
    """Both passes in bare NumPy: the least a NumPy engine can take."""
    ys = []
    for _ in range(100):
        x = np.tanh(0.9 * x + 0.1)
        ys.append(x)
    g = np.ones_like(x)
    for y in reversed(ys):
        g = g * (1 - y * y) * 0.9
    return g


def run() -> Iterator[Row]:
    ours = cr.grad(lambda x: program(x, np.tanh, np.sum))
    theirs = autograd.grad(lambda x: program(x, anp.tanh, anp.sum))
    for size in (1, 8, 1000):
        x = np.linspace(-1, 1, size)

        def with_torch(x: Any = x) -> Any:
            leaf = torch.tensor(x, requires_grad=True)
            program(leaf, torch.tanh, torch.sum).backward()
            return leaf.grad.numpy()

        results = [ours(x), theirs(x), with_torch(), by_hand(x)]
        for r in results[1:]:
            np.testing.assert_allclose(results[0], r, rtol=1e-8)
        t = in_turn(
            {
                "chainrule": lambda x=x: ours(x),
                "torch": with_torch,
                "autograd": lambda x=x: theirs(x),
                "numpy": lambda x=x: by_hand(x),
            }
        )
        work = f"100 × tanh(0.9x + 0.1), {size} entries"
        yield Row(f"{work}: time / PyTorch's", t["chainrule"] / t["torch"], "×", 0.7 if size == 8 else None)
        theirs_too = t["chainrule"] / t["autograd"]
        yield Row(f"{work}: time / HIPS autograd's", theirs_too, "×", 0.35 if size == 8 else None)
        yield Row(f"{work}: time / NumPy by hand", t["chainrule"] / t["numpy"], "×")
