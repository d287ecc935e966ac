"""An ONNX graph in the making: nodes, numbers with names, and shapes in which the batch is not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["ExportError", "Writer"]

BATCH = "batch"  # its name as a dimension


class ExportError(TypeError):
    """Something in a model has no counterpart in ONNX; says what, on which line, and what to do."""


class Writer:
    """Collects what becomes the graph.

    Parameters
    ----------
    kind : numpy.dtype
        What floating numbers become.
    parameters : mapping of int to str
        Names of Values and arrays, by identity.
    others : mapping from Traced to Traced
        The same nodes of a capture with one sample more; empty if the batch is fixed.
    layers : mapping from Traced to str
        Which layer made a node, for errors.
    """

    def __init__(
        self,
        kind: np.dtype[Any],
        parameters: Mapping[int, str],
        others: Mapping[Traced, Traced],
        layers: Mapping[Traced, str],
    ) -> None:
        self.kind, self.parameters, self.others, self.layers = kind, parameters, others, layers
        self.nodes: list[Any] = []
        self.numbers: dict[str, NDArray[Any]] = {}
        self.names: dict[Traced, str] = {}
        self.batch: Callable[[], str] | None = None  # a vector of one: how many samples there are
        self._constants: dict[Any, str] = {}

    def dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """What stands for a dtype of the model."""
        return self.kind if dtype.kind == "f" else dtype

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Write an operation of one result; the result's name."""
        from onnx import helper

        name = f"/{op}_{len(self.nodes)}"  # no parameter's path has a slash
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def operand(self, x: Any) -> str:
        """The name of a node, a parameter, an array or a number."""
        if type(x) is Traced:
            return self.names[x]
        return self.constant(x.data if type(x) is Value else x, self.parameters.get(id(x)))

    def constant(self, x: Any, name: str | None = None) -> str:
        """The name of numbers that are part of the graph; equal small ones without a name are kept once."""
        a = np.asarray(x)
        a = np.ascontiguousarray(a, self.dtype(a.dtype)).reshape(a.shape)
        if name is None:
            key: Any = (a.dtype.char, a.shape, a.tobytes()) if a.size <= 64 else object()
            name = self._constants.setdefault(key, f"/constant_{len(self._constants)}")
        while name in self.numbers and not np.array_equal(
            self.numbers[name], a, equal_nan=a.dtype.kind == "f"
        ):
            name += "_"  # two Values may bear one name
        self.numbers[name] = a
        return name

    def integers(self, numbers: Sequence[int]) -> str:
        return self.constant(np.array(numbers, np.int64).reshape(-1))

    # ---------------------------------------------------------------- shapes

    def varies(self, x: Traced) -> list[bool]:
        """Which axes of a node depend on the batch."""
        other = self.others.get(x, x)
        return [n != m for n, m in zip(x.shape, other.shape)]

    def refuse(self, x: Traced, what: str) -> NoReturn:
        """Refuse a node of which something else than the length of an axis depends on the batch."""
        raise ExportError(
            f"{self.where(x)}: {what} of {x.op} depends on the batch size; write it with shapes of the "
            "inputs alone, or export with dynamic_batch=False"
        )

    def shape(self, x: Traced) -> str:
        """The name of a vector with a node's shape."""
        varies = self.varies(x)
        if not any(varies):
            return self.integers(x.shape)
        if sum(varies) == 1 and x.op == "reshape":
            return self.integers([-1 if v else n for n, v in zip(x.shape, varies)])
        other = self.others[x]
        if self.batch is None or any(m - n != 1 for n, m, v in zip(x.shape, other.shape, varies) if v):
            self.refuse(x, "the shape")
        parts = [self.batch() if v else self.integers([n]) for n, v in zip(x.shape, varies)]
        return self.node("Concat", *parts, axis=0)

    def dimensions(self, x: Traced) -> list[int | str]:
        return [BATCH if v else n for n, v in zip(x.shape, self.varies(x))]

    def where(self, x: Traced) -> str:
        """Which layer made a node, or which line of the user's code."""
        place = self.layers.get(x) or x.origin.lines.get(x)
        return f"export_onnx: {place}" if place else "export_onnx"
