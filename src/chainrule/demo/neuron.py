"""One neuron as a graph, before and after backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import Value
from chainrule.show import draw

__all__ = ["neuron_graphs"]


def neuron_graphs() -> tuple[str, str]:
    """Draw tanh(x1 w1 + x2 w2): as SVGs, first with data alone, then with every gradient.

    The names in the picture are those of the variables here.
    """
    x1, w1 = Value(1.0), Value(0.8)
    x2, w2 = Value(0.5), Value(-0.6)
    o1 = x1 * w1
    o2 = x2 * w2
    h = o1 + o2
    out: Any = np.tanh(h)
    before = draw(out).svg
    out.backward()
    return before, draw(out).svg
