"""Weights of a model in a safetensors file, ours or anybody's."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.nn.module import Module
from chainrule.train import checkpoint

__all__ = ["load_weights", "read_state", "save_weights"]


def save_weights(model: Module, path: str | os.PathLike[str]) -> None:
    """Write ``model.state_dict()`` to a safetensors file, whole or not at all.

    Any reader of safetensors opens it and finds parameters and buffers by their paths; see
    `chainrule.train.checkpoint.save` for what happens when something goes wrong on the way.

    Raises
    ------
    chainrule.train.checkpoint.CheckpointError
        If the file cannot be written.
    ImportError
        Without safetensors: ``pip install 'chainrule[train]'``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from chainrule import nn
    >>> from chainrule.interchange import load_weights, save_weights
    >>> model, other = nn.Linear(3, 2, rng=0), nn.Linear(3, 2, rng=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(model, pathlib.Path(folder) / "linear.safetensors")
    ...     load_weights(other, pathlib.Path(folder) / "linear.safetensors")
    >>> bool((model.weight.data == other.weight.data).all())
    True
    """
    checkpoint.save(path, model.state_dict())


def load_weights(model: Module, path: str | os.PathLike[str]) -> None:
    """Read what `save_weights` wrote, or another program, into a model: all of it or nothing.

    The names and shapes are those of ``model.state_dict()``; a file with PyTorch's is read by
    `from_torch_state_dict`.  Numbers take the dtype of the model, bfloat16 too.

    Raises
    ------
    chainrule.train.checkpoint.CheckpointError
        If there is no such file, it is a folder, damaged or no safetensors file.
    ValueError
        If names are missing, unexpected or have other shapes: all of these are listed.

    Examples
    --------
    See `save_weights`.
    """
    model.load_state_dict(read_state(path))


def read_state(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file by name; those of our own files are checked against their sum."""
    try:
        from safetensors import SafetensorError, deserialize, safe_open
    except ImportError as missing:
        raise ImportError("interchange: needs safetensors: pip install 'chainrule[train]'") from missing
    target = os.path.expanduser(os.fspath(path))
    if os.path.isdir(target):
        raise checkpoint.CheckpointError(f"load_weights: {target} is a folder; name a file in it")
    try:
        with safe_open(target, framework="np") as file:
            if "chainrule" not in (file.metadata() or {}):
                if any(file.get_slice(name).get_dtype() == "BF16" for name in file.keys()):  # noqa: SIM118
                    with open(target, "rb") as raw:
                        stored = dict(deserialize(raw.read()))
                    halves = {name: _widened(x) for name, x in stored.items() if x["dtype"] == "BF16"}
                else:
                    halves = {}
                return {
                    name: halves[name] if name in halves else np.array(file.get_tensor(name))
                    for name in file.keys()  # noqa: SIM118
                }
    except (OSError, SafetensorError, TypeError) as error:
        raise checkpoint.CheckpointError(
            f"load_weights: {target} cannot be read as safetensors: {error}; expected a file that "
            "save_weights, safetensors.torch.save_file or the like has written"
        ) from error
    return checkpoint.load(target)[0]


def _widened(x: Any) -> NDArray[Any]:
    """Numbers in bfloat16, which NumPy has not, as float32, of which they are the upper half."""
    upper = np.frombuffer(x["data"], "<u2").astype(np.uint32)
    return (upper << 16).view(np.float32).reshape(x["shape"])
