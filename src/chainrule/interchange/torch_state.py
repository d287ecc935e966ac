"""PyTorch's state dicts: its names are ours, some arrays lie the other way round."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.interchange.weights import read_state
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.normalisation import BatchNorm1d, BatchNorm2d
from chainrule.nn.tree import inside, values_of

__all__ = ["from_torch_state_dict", "to_torch_state_dict"]


def from_torch_state_dict(model: Module, state: Mapping[str, Any] | str | os.PathLike[str]) -> None:
    """Give a model the weights of a PyTorch model with the same layers at the same paths.

    Layers' parameters have PyTorch's names and, but for `Linear`, its shapes; a Linear's weight is (in, out)
    here and (out, in) there, also within attention.  ``num_batches_tracked``, which counts and changes
    nothing, is passed over.  A parameter that is reached by several paths (tied weights) may be there under
    each of them, with the same numbers.  PyTorch itself is not needed.

    Parameters
    ----------
    model : Module
        Changed in place, all of it or nothing; it keeps its dtypes.
    state : mapping of str to tensor or array, or path
        What ``torch_model.state_dict()`` returned, or a safetensors file of it.  Other names become ours by
        ``{new_name(k): v for k, v in state.items()}``.

    Raises
    ------
    ValueError
        If names are missing, unexpected or have other shapes: all of these are listed, with shapes as they
        are here; or if tied weights differ.
    TypeError
        If something in it is no tensor or array.

    Notes
    -----
    `MultiHeadAttention` is ``torch.nn.MultiheadAttention(batch_first=True)``, the recurrent layers are those
    with ``batch_first=True``, `TransformerBlock` is ``TransformerEncoderLayer(norm_first=True,
    batch_first=True, activation="gelu")``.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> from chainrule.interchange import from_torch_state_dict
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    >>> from_torch_state_dict(model, {"0.weight": np.ones((2, 3)), "0.bias": np.zeros(2)})
    >>> model(np.ones((1, 3))).data
    array([[3., 3.]])
    """
    if isinstance(state, str | os.PathLike):
        state = read_state(state)
    flipped, counts = _linear_weights(model), _batch_counts(model)
    arrays = {name: _array(name, x) for name, x in state.items() if name not in counts}
    for name, first in _tied(model).items():
        if name in arrays and not np.array_equal(a := arrays.pop(name), arrays.setdefault(first, a), True):
            raise ValueError(
                f"from_torch_state_dict: {first} and {name} are one parameter of this model and differ in "
                "the state; give the model two parameters, or leave one out of the state"
            )
    # laid out anew: products of the same numbers in another layout round otherwise
    state = {name: np.ascontiguousarray(a.T) if name in flipped else a for name, a in arrays.items()}
    model.load_state_dict(state)


def to_torch_state_dict(model: Module) -> dict[str, NDArray[Any]]:
    """The weights of a model under PyTorch's names and in its shapes; see `from_torch_state_dict`.

    Returns
    -------
    dict of str to array
        Copies, for ``torch_model.load_state_dict({k: torch.from_numpy(a) for k, a in state.items()})``.

    Examples
    --------
    >>> from chainrule import nn
    >>> from chainrule.interchange import to_torch_state_dict
    >>> {name: a.shape for name, a in to_torch_state_dict(nn.Linear(3, 2, rng=0)).items()}
    {'weight': (2, 3), 'bias': (2,)}
    """
    flipped = _linear_weights(model)
    state = model.state_dict()
    found = {name: np.ascontiguousarray(a.T) if name in flipped else a for name, a in state.items()}
    found |= {name: found[first].copy() for name, first in _tied(model).items()}
    return found | {name: np.zeros((), np.int64) for name in _batch_counts(model)}


def _linear_weights(model: Module) -> set[str]:
    return {_joined(path, "weight") for path, m in model.named_modules() if isinstance(m, Linear)}


def _batch_counts(model: Module) -> list[str]:
    norms = (BatchNorm1d, BatchNorm2d)
    return [_joined(p, "num_batches_tracked") for p, m in _all_paths(model) if isinstance(m, norms)]


def _tied(model: Module) -> dict[str, str]:
    """The further paths of Values, each with the one that they have here."""
    first = {id(v): path for path, v, _ in values_of(model)}
    paths = {path: first[id(v)] for path, v in _all_paths(model) if id(v) in first}
    return {path: own for path, own in paths.items() if path != own}


def _all_paths(item: Any, path: str = "", above: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Everything under a module by its path, as often as it is reached."""
    yield path, item
    above = (*above, item)
    for name, inner in inside(item):
        if not any(inner is x for x in above):  # a cycle
            yield from _all_paths(inner, _joined(path, name), above)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _array(name: str, x: Any) -> NDArray[Any]:
    """An array of a tensor, known by its methods."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        x = x.float() if "bfloat16" in str(x.dtype) else x  # which NumPy does not have
        x = x.numpy()
    if not isinstance(x, np.ndarray | np.generic | float | int):
        raise TypeError(
            f"from_torch_state_dict: {name!r} is a {type(x).__name__}; expected a tensor or an array, as in "
            "what torch_model.state_dict() returns"
        )
    return np.asarray(x)
