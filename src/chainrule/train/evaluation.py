"""Evaluation: loss and metrics of a model over a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.nn.module import Module
from chainrule.value import Value

__all__ = ["evaluate", "predict"]


def predict(model: Module, *inputs: Any, batch_size: int = 256, compile: bool = False) -> Any:
    """The model's outputs in evaluation mode, as one array, computed in batches and without a graph.

    Parameters
    ----------
    model : Module
    *inputs : array_like
        Samples along the first axis.
    batch_size : int
        Samples that are computed at once.
    compile : bool
        Whether to compile the model for it, which pays where it is called again and again.

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
    run = _forward(model, compile)
    were = [(m, m.training) for _, m in model.named_modules()]
    model.eval()
    try:
        starts = range(0, len(arrays[0]), batch_size)
        found = [_plain(run(*[a[i : i + batch_size] for a in arrays])) for i in starts]
    finally:
        for m, training in were:
            m.training = training
    return np.concatenate(found)


def evaluate(
    model: Module,
    data: Any,
    loss: Callable[..., Any] | None = None,
    metrics: Mapping[str, Callable[..., float]] | None = None,
    *,
    batch_size: int = 256,
    compile: bool = False,
) -> dict[str, float]:
    """Loss and metrics over a data set, of the outputs in evaluation mode.

    Parameters
    ----------
    model : Module
    data : tuple of arrays
        Inputs and, last, targets.
    loss : callable, optional
        ``loss(outputs, targets)``; must be a mean over samples, as losses are by default.
    metrics : mapping of str to callable, optional
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
    arrays = data if isinstance(data, tuple | list) else (data,)
    inputs, targets = (arrays[:-1], arrays[-1:]) if len(arrays) > 1 else (arrays, ())
    outputs = predict(model, *inputs, batch_size=batch_size, compile=compile)
    found = {} if loss is None else {"loss": float(_plain(loss(outputs, *targets)))}
    return found | {name: float(_plain(f(outputs, *targets))) for name, f in (metrics or {}).items()}


def _forward(model: Module, compile: bool) -> Callable[..., Any]:
    if not compile:
        return model
    from chainrule.native.compile import compile as compiled

    kept = model.__dict__.get("_compiled_forward")
    if kept is None:
        kept = model.__dict__["_compiled_forward"] = compiled(model.forward)
    return kept  # type: ignore[no-any-return]


def _plain(x: Any) -> Any:
    return x.data if type(x) is Value else x
