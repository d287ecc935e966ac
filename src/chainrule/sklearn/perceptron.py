"""What both estimators are: a network's weights, and how they are fitted."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, shuffle
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.sklearn.network import Array, Weights, outputs
from chainrule.sklearn.parameters import Parameters
from chainrule.sklearn.training import Batched, Data, minimise

__all__ = ["KINDS", "Perceptron"]

KINDS = (np.float64, np.float32)  # what is not one of these becomes the first


class Perceptron(BaseEstimator, Parameters):  # type: ignore[misc]
    """Base of the estimators: parameters, weights, and `fit`."""

    coefs_: list[Array]
    intercepts_: list[Array]
    out_activation_: str

    def _read(self, X: Any, y: Any, classes: Any, go_on: bool) -> tuple[Array, Array]:
        """Check the data: inputs, and targets (N, n_out) as numbers."""
        raise NotImplementedError

    def _validation_score(self, data: Data) -> float:
        raise NotImplementedError

    # ---------------------------------------------------------------- fitting

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network, from new initial weights unless ``warm_start``.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
        y : array_like of shape (n_samples,) or (n_samples, n_outputs)
            Classes, one label an element; or numbers.
        sample_weight : array_like of shape (n_samples,), optional
            How much each sample counts; 0 is the same as leaving it out.

        Returns
        -------
        The estimator itself.
        """
        return self._fit(X, y, sample_weight)

    def _fit(self, X: Any, y: Any, sample_weight: Any, partial: bool = False, classes: Any = None) -> Self:
        self._check_parameters()
        if partial and self.early_stopping:
            raise ValueError(
                f"{type(self).__name__}: early_stopping is True; partial_fit sees no epochs to stop between: "
                "expected False"
            )
        go_on = hasattr(self, "coefs_") and (partial or self.warm_start)
        X, targets = self._read(X, y, classes, go_on)
        data = Data(X, targets.astype(X.dtype), _counts(self, sample_weight, X)).counting()
        rng = check_random_state(self.random_state)
        self.n_outputs_ = targets.shape[1]
        if not go_on:
            self._initialise([X.shape[1], *self._widths, self.n_outputs_], rng, X.dtype)
        weights = [w.astype(X.dtype, copy=False) for w in self._weights]
        if self.solver == "lbfgs":
            self.loss_, weights, found = minimise(self, weights, data)
            self.n_iter_ = min(int(found.nit), self.max_iter)
            self._keep(weights)
            if found.status != 0:
                self._not_converged(str(found.message))
        else:
            if not (partial and hasattr(self, "_solver")):
                self._solver = Batched(self, weights)
            self._fit_batches(data, weights, rng, partial)
        if not all(np.isfinite(w).all() for w in self._weights):
            raise ValueError(
                f"{type(self).__name__}: training ended with weights that are inf or nan; scale the "
                "features, as StandardScaler does, or take a smaller learning_rate_init"
            )
        return self

    def _initialise(self, sizes: list[int], rng: np.random.RandomState, dtype: Any) -> None:
        """Draw weights as Glorot does; in scikit-learn's order, so that a seed gives the same ones."""
        self.coefs_, self.intercepts_ = [], []
        for n_in, n_out in pairwise(sizes):
            reach = np.sqrt((2.0 if self.activation == "logistic" else 6.0) / (n_in + n_out))
            self.coefs_.append(rng.uniform(-reach, reach, (n_in, n_out)).astype(dtype))
            self.intercepts_.append(rng.uniform(-reach, reach, n_out).astype(dtype))
        self.n_layers_, self.n_iter_, self.t_ = len(sizes), 0, 0
        if self.solver != "lbfgs":
            stops = self.early_stopping
            self.loss_curve_: list[float] = []
            self.best_loss_: Any = None if stops else np.inf
            self.validation_scores_: list[float] | None = [] if stops else None
            self.best_validation_score_: Any = -np.inf if stops else None
            self._waited = 0

    def _fit_batches(self, data: Data, weights: Weights, rng: np.random.RandomState, partial: bool) -> None:
        data, held_out = self._split(data, rng) if self.early_stopping else (data, None)
        n, best = len(data), weights
        size = min(200, n) if self.batch_size == "auto" else min(int(self.batch_size), n)
        order = np.arange(n)
        self.n_iter_ = 0
        # partial_fit is called again and again, so that compiling is worth it
        epochs = np.inf if partial else self.max_iter
        for _ in range(1 if partial else self.max_iter):
            if self.shuffle:
                order = shuffle(order, random_state=rng)
            self.loss_, weights = self._solver.epoch(
                self, weights, data, order if self.shuffle else None, size, epochs
            )
            self._keep(weights)
            self.n_iter_ += 1
            self.t_ += n
            self.loss_curve_.append(self.loss_)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
            if self._improved(held_out):
                best = weights
            if self.solver == "sgd" and self.learning_rate == "invscaling":
                self._solver.rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
            if self._waited > self.n_iter_no_change and self._is_end():
                break
        else:
            if not partial:
                self._not_converged(f"max_iter={self.max_iter} epochs were not enough")
        if held_out is not None:
            self._keep(best)

    def _split(self, data: Data, rng: np.random.RandomState) -> tuple[Data, Data]:
        classes = is_classifier(self) and self.n_outputs_ == 1
        parts = train_test_split(
            data.x, data.y, data.weight,
            random_state=rng, test_size=self.validation_fraction, stratify=data.y if classes else None,
        )  # fmt: skip
        held_out = Data(*parts[1::2])
        if len(held_out) < 2:
            raise ValueError(
                f"{type(self).__name__}: validation_fraction is {self.validation_fraction}, of {len(data)} "
                f"samples {len(held_out)}; expected at least 2 to validate with"
            )
        return Data(*parts[::2]), held_out

    def _improved(self, held_out: Data | None) -> bool:
        """Count epochs without progress of at least tol; whether this one was the best so far."""
        if held_out is None:
            loss, best = self.loss_, self.best_loss_
            self._waited = self._waited + 1 if loss > best - self.tol else 0
            self.best_loss_ = min(loss, best)
            return bool(loss < best)
        found, best = self._validation_score(held_out), self.best_validation_score_
        assert self.validation_scores_ is not None
        self.validation_scores_.append(found)
        if self.verbose:
            print(f"Validation score: {found:.6f}")
        self._waited = self._waited + 1 if found < best + self.tol else 0
        self.best_validation_score_ = max(found, best)
        return bool(found > best)

    def _is_end(self) -> bool:
        """Whether training ends when there is no progress; else a smaller learning rate is tried."""
        if self.solver == "adam" or self.learning_rate != "adaptive" or self._solver.rate <= 1e-6:
            if self.verbose:
                print(f"No improvement of more than tol={self.tol} for {self.n_iter_no_change} epochs.")
            return True
        self._solver.rate /= 5.0
        self._waited = 0
        if self.verbose:
            print(f"The learning rate is now {self._solver.rate}")
        return False

    def _not_converged(self, why: str) -> None:
        warnings.warn(
            f"{type(self).__name__}: not converged: {why}; raise max_iter, or tol, or scale the features",
            ConvergenceWarning,
            stacklevel=4,
        )

    # ---------------------------------------------------------------- the network

    @property
    def _weights(self) -> Weights:
        return [*self.coefs_, *self.intercepts_]

    def _keep(self, weights: Weights) -> None:
        n = len(weights) // 2
        self.coefs_, self.intercepts_ = weights[:n], weights[n:]

    def _checked(self, X: Any) -> Array:
        check_is_fitted(self)
        return validate_data(self, X, dtype=KINDS, reset=False)  # type: ignore[no-any-return]

    def _outputs(self, X: Array) -> Array:
        return outputs(self._weights, X, self.activation, self.out_activation_)


def _counts(estimator: Any, sample_weight: Any, X: Array) -> Array:
    if sample_weight is None:
        return np.ones(len(X), X.dtype)
    w = np.asarray(sample_weight, dtype=X.dtype)
    if w.ndim == 0:
        w = np.full(len(X), w)
    if w.shape != (len(X),) or not np.isfinite(w).all() or (w < 0).any() or not w.any():
        raise ValueError(
            f"{type(estimator).__name__}: sample_weight is {w.shape}, X has {len(X)} samples; expected one "
            "number for each, zero or more and not all zero"
        )
    return w
