"""summary: a network as a table of its layers, with shapes, parameters and operations."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import optree

from chainrule.nn.convolution import is_depthwise
from chainrule.nn.messages import Call, watch
from chainrule.nn.module import Module
from chainrule.nn.tree import values_of
from chainrule.sweeps.cost import product_flops

__all__ = ["Row", "Summary", "summary"]


class Row(NamedTuple):
    """A module of a network.

    Attributes
    ----------
    path : str
        Where it is, such as ``"encoder.2"``; empty for the network itself.
    layer : str
        Its class.
    output : str
        The shape of its output, or of all of them; empty if it was not called.
    parameters : int
        How many numbers it holds itself, not those of modules inside it.
    flops : int
        How many operations it did itself.
    """

    path: str
    layer: str
    output: str
    parameters: int
    flops: int


class Summary:
    """A table of modules; printed, it is one.

    Attributes
    ----------
    rows : list of Row
    parameters : int
        How many numbers there are to train and to keep; shared ones count once.
    trained : int
        Those that are not frozen.
    flops : int
        Of one forward pass.
    """

    def __init__(self, rows: list[Row], trained: int) -> None:
        self.rows, self.trained = rows, trained
        self.parameters = sum(row.parameters for row in rows)
        self.flops = sum(row.flops for row in rows)

    def __repr__(self) -> str:
        head = ("path", "layer", "output", "parameters", "flops")
        body = [(r.path or "(all)", r.layer, r.output, *_shown(r)) for r in self.rows]
        total = ("total", "", "", *_shown(self))
        widths = [max(map(len, column)) for column in zip(head, *body, total, strict=True)]

        def line(cells: Iterable[str]) -> str:
            parts = [c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))]
            return "  ".join(parts).rstrip()

        rule = "-" * (sum(widths) + 2 * len(widths) - 2)
        lines = [line(head), rule, *map(line, body), rule, line(total)]
        if self.trained != self.parameters:
            lines.append(f"{self.parameters - self.trained:,} of the parameters are frozen")
        return "\n".join(lines)


def _shown(x: Row | Summary) -> list[str]:
    return [f"{n:,}" if n else "-" for n in (x.parameters, x.flops)]


def summary(model: Module, *inputs: Any) -> Summary:
    """Call a network once and tell what is in it.

    Flops are those of products of matrices and of convolutions, a multiplication and an addition being two;
    what is done element by element is not counted.  The call is one as after training, so that nothing is
    drawn and no statistics change.

    Parameters
    ----------
    model : Module
    *inputs : arrays
        What it is called with, such as a batch of one.

    Returns
    -------
    Summary

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Linear(64, 32, rng=0), nn.ReLU(), nn.Linear(32, 10, rng=1))
    >>> nn.summary(model, np.zeros((1, 64)))
    path   layer       output   parameters  flops
    ---------------------------------------------
    (all)  Sequential  (1, 10)           -      -
    0      Linear      (1, 32)       2,080  4,096
    1      ReLU        (1, 32)           -      -
    2      Linear      (1, 10)         330    640
    ---------------------------------------------
    total                            2,410  4,736
    """
    modules = dict(model.named_modules())
    modes = [(m, m.training) for m in modules.values()]
    try:
        model.eval()
        with watch(model) as seen:
            model(*inputs)
    finally:
        for m, mode in modes:
            m.training = mode
    held = dict.fromkeys(modules, 0)
    trained = 0
    for path, v, kind in values_of(model):
        if kind != "buffer":
            held[_owner(path, modules)] += v.size
            trained += v.size if kind == "parameter" else 0
    rows = []
    for path, m in modules.items():
        calls = seen.calls[path]
        output = ", ".join(str(np.shape(y)) for y in optree.tree_leaves(calls[-1].outputs)) if calls else ""
        rows.append(Row(path, type(m).__name__, output, held[path], sum(map(_flops, calls))))
    return Summary(rows, trained)


def _owner(path: str, modules: dict[str, Module]) -> str:
    """The path of the module that holds a parameter."""
    while path not in modules:
        path = path.rpartition(".")[0]
    return path


def _flops(call: Call) -> int:
    """What a call did itself: calls of modules inside it are nodes of their own."""
    module: Any = call.module
    if is_depthwise(module):
        return int(2 * math.prod(call.outputs.shape) * math.prod(module.kernel_size))
    return 0 if call.recording is None else product_flops(call.recording.nodes)
