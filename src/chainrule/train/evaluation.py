"""Evaluation: loss and metrics of a model over a data set."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import optree

from chainrule.containers import flatten
from chainrule.nn.module import Module
from chainrule.train.batching import Batches, as_batches
from chainrule.value import Value

__all__ = ["Metrics", "evaluate", "named_metrics", "predict"]

Metric = Callable[..., float]
Metrics = Metric | Mapping[str, Metric] | Sequence[Metric] | None


def predict(model: Module, *inputs: Any, batch_size: int = 256, compile: bool = False) -> Any:
    """The model's outputs in evaluation mode, as plain arrays, computed in batches and without a graph.

    Parameters
    ----------
    model : Module
    *inputs : array_like
        Samples along the first axis.
    batch_size : int
        Samples that are computed at once.
    compile : bool
        Whether to compile the model for it, which pays where it is called again and again.

    Returns
    -------
    array, or what the model returns: a tuple, list or dict of them
        A row for each sample.

    Raises
    ------
    TypeError
        If a part of what the model returns has not a row for each sample, such as the state of an `LSTM`.
    ValueError
        If there are no samples, or batch_size is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, train
    >>> train.predict(nn.Linear(3, 2, rng=0), np.zeros((1000, 3))).shape
    (1000, 2)
    """
    arrays = [np.asarray(x) for x in inputs]
    if not arrays or len(arrays[0]) == 0:
        raise ValueError("predict: no samples given; expected at least one")
    if batch_size < 1:
        raise ValueError(f"predict: batch_size is {batch_size}; expected at least 1")
    run = _forward(model, compile)
    were = [(m, m.training) for _, m in model.named_modules()]
    model.eval()
    try:
        starts = range(0, len(arrays[0]), batch_size)
        parts = [[a[i : i + batch_size] for a in arrays] for i in starts]
        found = [_rows(model, run(*part), len(part[0])) for part in parts]
    finally:
        for m, training in were:
            m.training = training
    return _joined(found)


def evaluate(
    model: Module,
    data: Any,
    loss: Callable[..., Any] | None = None,
    metrics: Metrics = None,
    *,
    batch_size: int = 256,
    compile: bool = False,
) -> dict[str, float]:
    """Loss and metrics over a data set, of the outputs in evaluation mode.

    Parameters
    ----------
    model : Module
    data : tuple of arrays, Batches, or iterable of batches
        Inputs and, last, targets.  `Batches` are gone through in the order of the samples, all of them.
    loss : callable, optional
        ``loss(outputs, targets)``; must be a mean over samples, as losses are by default.
    metrics : callable, or mapping or sequence of callables, optional
        ``metric(outputs, targets)``.

    Returns
    -------
    dict of str to float
        ``"loss"``, and the metrics by name.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, train
    >>> model = nn.Linear(3, 2, rng=0)
    >>> data = np.ones((8, 3)), np.zeros(8, int)
    >>> found = train.evaluate(model, data, nn.cross_entropy, {"accuracy": train.accuracy})
    >>> sorted(found)
    ['accuracy', 'loss']
    """
    named = named_metrics("evaluate", metrics)
    outputs, targets = [], []
    for batch in _in_order(data, batch_size):
        arrays = batch if isinstance(batch, tuple | list) else (batch,)
        inputs, last = (arrays[:-1], arrays[-1:]) if len(arrays) > 1 else (arrays, ())
        outputs.append(predict(model, *inputs, batch_size=batch_size, compile=compile))
        targets.append(last)
    if not outputs:
        raise ValueError("evaluate: data has no batches; expected at least one")
    given = _joined(outputs), *(np.concatenate(parts) for parts in zip(*targets, strict=True))
    found = {} if loss is None else {"loss": float(_plain(loss(*given)))}
    return found | {name: float(_plain(f(*given))) for name, f in named.items()}


def named_metrics(owner: str, metrics: Any) -> dict[str, Metric]:
    """One metric, some, or some with names, by name."""
    if callable(metrics):
        metrics = [metrics]
    if metrics is not None and (isinstance(metrics, str) or not isinstance(metrics, Iterable)):
        raise TypeError(f"{owner}: metrics is {metrics!r}; expected functions, such as [train.accuracy]")
    found = metrics if isinstance(metrics, Mapping) else [(_name(f), f) for f in metrics or ()]
    named = dict(found)
    for name, f in named.items():
        if not callable(f):
            raise TypeError(f"{owner}: the metric {name} is {f!r}; expected a function, as train.accuracy is")
    return named


def _name(f: Any) -> str:
    return getattr(f, "__name__", type(f).__name__)


def _in_order(data: Any, batch_size: int) -> Iterable[Any]:
    """Batches of all samples, each once."""
    parts = as_batches("evaluate", data, batch_size=batch_size, shuffle=False)
    if isinstance(parts, Batches):  # a copy, as where the given ones stand is their owner's business
        parts = copy.copy(parts)
        parts.shuffle, parts.drop_last, parts.batch = False, False, 0
    return parts


def _forward(model: Module, compile: bool) -> Callable[..., Any]:
    if not compile:
        return model
    from chainrule.native.compile import compile as compiled

    kept = model.__dict__.get("_compiled_forward")
    if kept is None:
        kept = model.__dict__["_compiled_forward"] = compiled(model)

    def run(*inputs: Any) -> Any:
        try:
            return kept(*inputs)
        except IndexError:  # a number to look up: eager layers say which is too large
            model(*inputs)
            raise

    return run


def _plain(x: Any) -> Any:
    return x.data if type(x) is Value else x


def _rows(model: Module, out: Any, count: int) -> Any:
    """The outputs of a batch as plain arrays, each of so many rows."""
    leaves, spec = flatten(out)
    arrays = [np.asarray(_plain(x)) for x in leaves]
    if wrong := [a.shape for a in arrays if a.shape[:1] != (count,)]:
        raise TypeError(
            f"predict: of {count} samples {type(model).__name__} returns a {type(out).__name__} with an "
            f"array of shape {wrong[0]}; expected a row for each sample; give a module that returns such"
        )
    return optree.tree_unflatten(spec, arrays)


def _joined(found: Sequence[Any]) -> Any:
    """The outputs of several batches, one after the other."""
    _, spec = flatten(found[0])
    parts = zip(*(flatten(out)[0] for out in found), strict=True)
    return optree.tree_unflatten(spec, [np.concatenate(part) for part in parts])
