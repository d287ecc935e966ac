"""export_onnx: a model as an ONNX file, for other runtimes.

The model is run once on traced arrays, which writes down what it does; then each node is written in ONNX.
What a layer or a function does in many nodes, and ONNX in one, is written as that one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from chainrule.interchange.onnx_operations import write_operation
from chainrule.interchange.onnx_recording import Recorded, order, pairs, record
from chainrule.interchange.onnx_writer import Writer
from chainrule.nn.module import Module
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["export_onnx"]

OLDEST = 18  # where reductions take their axes as they do since


def export_onnx(
    model: Callable[..., Any],
    path: str | os.PathLike[str],
    *example_inputs: ArrayLike,
    opset: int = OLDEST,
    dynamic_batch: bool = False,
    dtype: DTypeLike = np.float32,
) -> Any:
    """Write a model, as it is after training, to an ONNX file.

    Feed-forward, convolutional and transformer models are exported: whatever is made of the layers for these
    and of NumPy's functions.  Dropout is off, norms use their running statistics, and parameters keep their
    names.

    Parameters
    ----------
    model : Module or function of arrays
        Left in the mode it was in.
    path : str or path-like
        The file.  Inputs have the names of the arguments, the result is ``output``, and of a container
        ``output[0]`` or ``output['name']``.
    *example_inputs : array_like
        One for each input, of the shapes and dtypes it will have; their numbers do not matter, except that
        integers must be valid where they index.
    opset : int
        ONNX's version, 18 or newer.
    dynamic_batch : bool
        Whether the first axis of all inputs may later have any length; else shapes are those of the examples.
    dtype : dtype
        What floating numbers become; runtimes know few operations in float64.

    Returns
    -------
    onnx.ModelProto
        What has been written.

    Raises
    ------
    ExportError
        If something has no counterpart in ONNX, such as a loop (RNN, LSTM, GRU): names it and its line.
    ValueError
        For a version or dtype that will not do, or inputs without a common first axis.
    ImportError
        Without onnx: ``pip install 'chainrule[onnx]'``.

    Notes
    -----
    A row of -inf alone has a softmax of zeros here, and of nan in ONNX: it occurs where a mask lets a place
    look nowhere.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule import nn
    >>> from chainrule.interchange import export_onnx
    >>> model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.ReLU(), nn.Linear(4, 2, rng=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = export_onnx(model, pathlib.Path(folder) / "m.onnx", np.ones((1, 3)), dynamic_batch=True)
    >>> [node.op_type for node in made.graph.node]
    ['MatMul', 'Add', 'Relu', 'MatMul', 'Add', 'Identity']
    >>> [number.name for number in made.graph.initializer]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """
    try:
        import onnx
    except ImportError as missing:
        raise ImportError("export_onnx: needs onnx: pip install 'chainrule[onnx]'") from missing
    kind = np.dtype(dtype)
    if kind.char not in "efd":
        raise ValueError(f"export_onnx: dtype is {kind}; expected float16, float32 or float64")
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= opset <= newest:
        raise ValueError(f"export_onnx: opset is {opset}; expected {OLDEST} to {newest}")
    inputs = [_example(i, x) for i, x in enumerate(example_inputs)]
    with _evaluation(model):
        found = record(model, inputs)
        others: dict[Traced, Traced] = {}
        if dynamic_batch:
            others = dict(pairs(found, record(model, [_longer(x, inputs) for x in inputs])))
    names = _names_of(model)
    names |= {copy: names[whole] for copy, whole in found.copies.items() if whole in names}
    made = _write(found, Writer(kind, names, others, found.layers), opset)
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, os.path.expanduser(os.fspath(path)))
    return made


def _example(i: int, x: Any) -> np.ndarray[Any, Any]:
    a = np.asarray(x.data if isinstance(x, Value) else x)
    if a.dtype.kind not in "fiub":
        raise ValueError(f"export_onnx: example input {i} is {a.dtype}; expected an array of numbers")
    return a


def _longer(x: Any, inputs: list[Any]) -> Any:
    """An example with one sample more."""
    if not x.ndim or not len(x) or len(x) != len(inputs[0]):
        shapes = ", ".join(str(a.shape) for a in inputs)
        raise ValueError(
            f"export_onnx: dynamic_batch is True, and the example inputs are {shapes}; expected the same "
            "number of samples in each, at least one, along the first axis"
        )
    return np.concatenate([x, x[:1]])


@contextmanager
def _evaluation(model: Any) -> Iterator[None]:
    """Here a module is as after training."""
    modules = [m for _, m in model.named_modules()] if isinstance(model, Module) else []
    modes = [m.training for m in modules]
    try:
        for m in modules:
            m.training = False
        yield
    finally:
        for m, mode in zip(modules, modes):
            m.training = mode


def _names_of(model: Any) -> dict[int, str]:
    """Paths of parameters and buffers, by identity; of frozen ones, those of their arrays."""
    if not isinstance(model, Module):
        return {}
    named = [*model.named_parameters(), *model.named_buffers()]
    names = {id(v): path for path, v in named}
    for path, m in model.named_modules():
        names |= {id(plain): f"{path}.{name}".lstrip(".") for name, (_, plain) in m._frozen.items()}
    return names


def _write(found: Recorded, w: Writer, opset: int) -> Any:
    from onnx import helper, numpy_helper

    taken = set(w.parameters.values())
    inputs = [(name + "_" * (name in taken), x) for name, x in found.inputs]
    w.names |= {x: name for name, x in inputs}
    if w.others:
        w.batch = _batch(w, inputs[0][0])
    for x in order(found):
        if x in w.names:
            continue
        if x in found.states:
            v = found.states[x]
            w.names[x] = w.constant(v.data, w.parameters.get(id(v), v.name))
        elif x in found.whole:
            write, operands = found.whole[x]
            w.names[x] = write(w, *map(w.operand, operands))
        else:
            w.names[x] = write_operation(w, x)
    ends = list(found.outputs.items())
    last = [helper.make_node("Identity", [w.names[x]], [end]) for end, x in ends]
    graph = helper.make_graph(
        [*w.nodes, *last],
        "chainrule",
        [_info(w, name, x) for name, x in inputs],
        [_info(w, end, x) for end, x in ends],
        [numpy_helper.from_array(a, name) for name, a in w.numbers.items()],
    )
    versions = [helper.make_opsetid("", opset)]
    made = helper.make_model(graph, opset_imports=versions, producer_name="chainrule")
    made.ir_version = helper.find_min_ir_version_for(versions)
    return made


def _batch(w: Writer, name: str) -> Callable[[], str]:
    """How many samples the first input has, as a vector of one; written where it is first asked for."""
    known: list[str] = []

    def ask() -> str:
        if not known:
            known.append(w.node("Shape", name, start=0, end=1))
        return known[0]

    return ask


def _info(w: Writer, name: str, x: Traced) -> Any:
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(w.dtype(x.dtype))
    return helper.make_tensor_value_info(name, kind, w.dimensions(x))
