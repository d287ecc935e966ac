"""How the estimators are trained: in random batches, or by L-BFGS on all samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.sklearn.network import Array, Weights, program

__all__ = ["Batched", "Data", "minimise"]


@dataclass
class Data:
    """Samples x (N, n_in), targets y (N, n_out), and how much each sample counts (N,)."""

    x: Array
    y: Array
    weight: Array

    def __len__(self) -> int:
        return len(self.x)

    def counting(self) -> Data:
        """Without samples that count nothing, so that they have no say in the batches either."""
        keep = self.weight != 0
        return self if keep.all() else Data(self.x[keep], self.y[keep], self.weight[keep])


class Batched:
    """Adam or SGD: what a rule keeps from step to step, and epochs of steps.

    Parameters
    ----------
    settings : MLPClassifier or MLPRegressor
        Whose parameters are read.
    weights : list of array
        Those that will be trained: for their shapes.
    """

    def __init__(self, settings: Any, weights: Weights) -> None:
        adam = settings.solver == "adam"
        self.rule = "adam" if adam else "nesterov" if settings.nesterovs_momentum else "momentum"
        self.rate = float(settings.learning_rate_init)
        self.steps = 0
        self.state = [[np.zeros_like(w) for w in weights] for _ in range(2 if adam else 1)]

    def epoch(
        self, settings: Any, weights: Weights, data: Data, order: Array | None, size: int, epochs: float
    ) -> tuple[float, Weights]:
        """Take a step on each batch; the mean loss, and the new weights.

        The last batch is filled up with samples that count nothing: all have one shape, and one program.
        """
        n = len(data)
        out = settings.out_activation_
        step = program(self.rule, settings.activation, out, weights, size, epochs * math.ceil(n / size))
        order = np.arange(n) if order is None else order
        full = np.ones(size, data.x.dtype)
        total = 0.0
        for start in range(0, n, size):
            chosen = order[start : start + size]
            count, counts = len(chosen), full
            if count < size:
                chosen = np.concatenate([chosen, np.full(size - count, chosen[0])])
                counts = (np.arange(size) < count).astype(full.dtype)
            batch = data.x[chosen], data.y[chosen], data.weight[chosen] * counts
            value, weights, self.state = step(
                weights, self.state, batch, float(settings.alpha), *self._settings(settings)
            )
            total += float(value) * count
        return total / n, weights

    def _settings(self, s: Any) -> tuple[float, ...]:
        self.steps += 1
        if self.rule != "adam":
            return self.rate, float(s.momentum)
        beta1, beta2 = float(s.beta_1), float(s.beta_2)
        # undoes the bias of means that start at zero; epsilon stands beside the uncorrected root
        corrected = self.rate * math.sqrt(1.0 - beta2**self.steps) / (1.0 - beta1**self.steps)
        return corrected, beta1, beta2, float(s.epsilon)


def minimise(settings: Any, weights: Weights, data: Data) -> tuple[float, Weights, Any]:
    """L-BFGS on all samples: the loss, the weights, and what SciPy says of it."""
    from scipy.optimize import minimize

    step = program(
        "none", settings.activation, settings.out_activation_, weights, len(data), settings.max_iter
    )
    ends = np.cumsum([w.size for w in weights])[:-1]

    def unpack(flat: Array) -> Weights:
        parts = np.split(flat.astype(data.x.dtype, copy=False), ends)
        return [part.reshape(w.shape) for part, w in zip(parts, weights)]

    def value_and_slope(flat: Array) -> tuple[float, Array]:
        batch = data.x, data.y, data.weight
        value, slope, _ = step(unpack(flat), [], batch, float(settings.alpha))
        return float(value), np.concatenate([g.ravel() for g in slope]).astype(np.float64)

    start = np.concatenate([w.ravel() for w in weights])
    options = {"maxfun": settings.max_fun, "maxiter": settings.max_iter, "gtol": settings.tol}
    found = minimize(value_and_slope, start, method="L-BFGS-B", jac=True, options=options)
    return float(found.fun), unpack(found.x), found
