"""MLPClassifier and MLPRegressor: what tells them apart, the targets and the predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from chainrule.sklearn.network import Array, probabilities
from chainrule.sklearn.perceptron import KINDS, Perceptron
from chainrule.sklearn.training import Data

__all__ = ["MLPClassifier", "MLPRegressor"]


def _has_batches(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            f"{type(estimator).__name__}: partial_fit takes one epoch of batches, and solver is 'lbfgs', "
            "which has none; expected 'adam' or 'sgd'"
        )
    return True


class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]
    """Multi-layer perceptron that tells classes apart: scikit-learn's estimator of this name, compiled.

    Parameters, attributes and, from the same ``random_state``, numbers are those of
    `sklearn.neural_network.MLPClassifier`, up to rounding.  The training step is compiled where llvmlite is
    there and more than a few steps are planned; estimators of the same shapes share one program.

    The loss is the cross-entropy plus ½ alpha Σ W² / n, over n samples of a batch.  Of several labels for
    each sample (y an indicator matrix) each has a logistic output of its own.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int
        Widths of the hidden layers.
    activation : {"relu", "tanh", "logistic", "identity"}
        The function between the layers.
    solver : {"adam", "sgd", "lbfgs"}
        The last looks at all samples in each step and has no batches.
    alpha : float
        How strongly weights are pulled towards zero.
    batch_size : int or "auto"
        Samples in a step; "auto" is 200, or all if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}
        Of sgd: as it is; divided by (samples seen) ** ``power_t``; divided by 5 when there is no progress.
    learning_rate_init : float
        Of adam and sgd.
    power_t : float
        See learning_rate.
    max_iter : int
        Epochs; iterations of lbfgs.
    shuffle : bool
        Whether each epoch has a new order.
    random_state : int, numpy.random.RandomState or None
        Decides initial weights, orders and what is held out.
    tol : float
        Less progress than this counts as none; of lbfgs, the size of the gradient at which it ends.
    verbose : bool
        Whether losses are printed.
    warm_start : bool
        Whether `fit` goes on from the weights it finds.
    momentum, nesterovs_momentum : float, bool
        Of sgd.
    early_stopping : bool
        Whether ``validation_fraction`` of the samples is held out, progress is that of their score, and the
        weights with the best one are kept.
    validation_fraction : float
    beta_1, beta_2, epsilon : float
        Of adam.
    n_iter_no_change : int or inf
        Training ends after more epochs than this without progress.
    max_fun : int
        Of lbfgs: at most so many values of the loss.

    Attributes
    ----------
    classes_ : array
        The labels.
    coefs_, intercepts_ : list of array
        Weights (n_in, n_out) and biases (n_out,) of each layer.
    loss_, best_loss_, loss_curve_ : float, float or None, list of float
        The mean loss of the last epoch; the smallest; those of all.
    validation_scores_, best_validation_score_ : list of float or None, float or None
        With early_stopping: accuracies on the samples held out.
    n_iter_, t_ : int
        Epochs of the last fit; samples seen in all.
    n_layers_, n_outputs_, n_features_in_, feature_names_in_, out_activation_
        As in scikit-learn.

    Raises
    ------
    ValueError
        By `fit`, if a parameter is not what is expected, data are nan or inf, or training diverges.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from chainrule.sklearn import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier((32,), learning_rate_init=0.01, random_state=0).fit(X[:1500] / 16, y[:1500])
    >>> model.score(X[1500:] / 16, y[1500:]) > 0.9
    True
    >>> [w.shape for w in model.coefs_], model.out_activation_
    ([(64, 32), (32, 10)], 'softmax')
    """

    def _read(self, X: Any, y: Any, classes: Any, go_on: bool) -> tuple[Array, Array]:
        X, y = validate_data(self, X, y, multi_output=True, dtype=KINDS, reset=not go_on)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                f"{type(self).__name__}: y is {y.shape} of several classes; expected one label for each "
                "sample, or an indicator matrix of zeros and ones"
            )
        found = unique_labels(y)
        if not go_on:
            self._binarizer = LabelBinarizer().fit(y if classes is None else classes)
            self.classes_ = self._binarizer.classes_
            if self._binarizer.y_type_ == "multiclass":
                self.out_activation_ = "softmax"
            else:
                self.out_activation_ = "logistic"
        elif classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(
                f"{type(self).__name__}: classes is {classes}; expected {self.classes_} as in the first call"
            )
        if new := sorted(set(found.tolist()) - set(self.classes_.tolist())):
            raise ValueError(
                f"{type(self).__name__}: y holds {new}, not among the classes {self.classes_}; name all "
                "classes in the first call of partial_fit, or fit without warm_start"
            )
        return X, self._binarizer.transform(y)

    @available_if(_has_batches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on these samples, from where the last call ended.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array_like, optional
            All classes there will be; needed in the first call.
        """
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError(
                f"{type(self).__name__}: classes is None in the first call of partial_fit; expected all "
                "classes there will be, such as np.unique(y)"
            )
        return self._fit(X, y, sample_weight, partial=True, classes=classes)

    def _validation_score(self, data: Data) -> float:
        truth = self._binarizer.inverse_transform(data.y)
        return float(accuracy_score(truth, self._labels(data.x), sample_weight=data.weight))

    def _labels(self, X: Array) -> Array:
        p = self._outputs(X)
        return self._binarizer.inverse_transform(p[:, 0] if self.n_outputs_ == 1 else p)  # type: ignore[no-any-return]

    def predict(self, X: Any) -> Array:
        """Tell the class of each sample, or which labels it has."""
        return self._labels(self._checked(X))

    def predict_proba(self, X: Any) -> Array:
        """Give the probability of each class, (n_samples, n_classes), or of each label."""
        X = self._checked(X)
        return probabilities(self._weights, X, self.activation, self.out_activation_)

    def predict_log_proba(self, X: Any) -> Array:
        """Give logarithms of the probabilities."""
        p = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(p)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give the share of samples that are told right, of several labels all of them."""
        return float(super().score(X, y, sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]
    """Multi-layer perceptron that predicts numbers: scikit-learn's estimator of this name, compiled.

    Parameters, attributes and, from the same ``random_state``, numbers are those of
    `sklearn.neural_network.MLPRegressor`, up to rounding, but for ``loss_`` of several outputs: it is the sum
    over them, whose gradient the steps follow, and there their mean.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, ...
        As for `MLPClassifier`.
    loss : {"squared_error", "poisson"}
        ½ (prediction - y)², or half the Poisson deviance, y log(y / prediction) - y + prediction, whose
        predictions are exp of the network's output; y is then zero or more.

    Attributes
    ----------
    coefs_, intercepts_, loss_, ...
        As for `MLPClassifier`; ``validation_scores_`` are R².

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.sklearn import MLPRegressor
    >>> X = np.linspace(-3, 3, 200)[:, None]
    >>> model = MLPRegressor((20,), activation="tanh", solver="lbfgs", random_state=0).fit(X, np.sin(X[:, 0]))
    >>> model.score(X, np.sin(X[:, 0])) > 0.99
    True
    """

    loss: str = "squared_error"

    def _read(self, X: Any, y: Any, classes: Any, go_on: bool) -> tuple[Array, Array]:
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype=KINDS, reset=not go_on)
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError(
                f"{type(self).__name__}: y holds {y[y < 0][0]}; expected numbers, zero or more, for "
                "loss='poisson'"
            )
        self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y if y.ndim == 2 else y[:, None]

    @available_if(_has_batches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on these samples, from where the last call ended; see `fit`."""
        return self._fit(X, y, sample_weight, partial=True)

    def _validation_score(self, data: Data) -> float:
        found = self._outputs(data.x)
        if not np.isfinite(found).all():
            return float("nan")
        return float(r2_score(data.y, found, sample_weight=data.weight))

    def predict(self, X: Any) -> Array:
        """Predict for each sample its number, (n_samples,), or its numbers, (n_samples, n_outputs)."""
        y = self._outputs(self._checked(X))
        return y[:, 0] if y.shape[1] == 1 else y

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give R², the share of the variance of y that is explained; of several numbers their mean."""
        return float(super().score(X, y, sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
