"""The estimators beside scikit-learn's own of the same names, and scikit-learn's checks."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_multilabel_classification
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import parametrize_with_checks

import chainrule.sklearn as ours
from chainrule.sklearn import MLPClassifier, MLPRegressor, network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def unfulfilled(estimator):
    if isinstance(estimator, MLPClassifier) and estimator.solver == "lbfgs":
        # It wants probabilities below 1 of labels that L-BFGS fits perfectly; float64's sigmoid is 1 from 37
        # on. scikit-learn's own estimator fails it as well.
        return {"check_classifiers_multilabel_output_format_predict_proba": "probabilities round to 1"}
    return {}


@parametrize_with_checks(
    [
        MLPClassifier(max_iter=30),
        MLPRegressor(max_iter=30),
        MLPClassifier(solver="lbfgs"),  # compiled: max_iter is 200
        MLPRegressor(solver="lbfgs"),
    ],
    expected_failed_checks=unfulfilled,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# ------------------------------------------------------------------ beside scikit-learn's own

X, y = load_digits(return_X_y=True)
DIGITS = X[:700] / 16, y[:700]
CANCER = (lambda X, y: (scale(X), y))(*load_breast_cancer(return_X_y=True))
LABELS = make_multilabel_classification(200, random_state=0)
SUGAR = (lambda X, y: (X, scale(y)))(*load_diabetes(return_X_y=True))
SUGARS = SUGAR[0], np.column_stack([SUGAR[1], SUGAR[1] ** 2])
COUNTS = SUGAR[0], np.round(SUGAR[1] ** 2)

CASES = {
    "relu": ("MLPClassifier", DIGITS, {"hidden_layer_sizes": (20, 10)}),
    "tanh": ("MLPClassifier", DIGITS, {"activation": "tanh"}),
    "logistic": ("MLPClassifier", DIGITS, {"activation": "logistic"}),
    "identity": ("MLPClassifier", DIGITS, {"activation": "identity"}),
    "no hidden layer": ("MLPClassifier", DIGITS, {"hidden_layer_sizes": ()}),
    "one number": ("MLPClassifier", DIGITS, {"hidden_layer_sizes": 7}),
    "alpha": ("MLPClassifier", DIGITS, {"alpha": 10.0}),
    "betas": ("MLPClassifier", DIGITS, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}),
    "nesterov": ("MLPClassifier", DIGITS, {"solver": "sgd", "learning_rate_init": 0.1}),
    "momentum": ("MLPClassifier", DIGITS, {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5}),
    "invscaling": ("MLPClassifier", DIGITS, {"solver": "sgd", "learning_rate": "invscaling"}),
    "adaptive": ("MLPClassifier", DIGITS, {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 0.1,
        "n_iter_no_change": 2, "max_iter": 60,
    }),
    "ends early": ("MLPClassifier", DIGITS, {"tol": 0.1, "n_iter_no_change": 3, "max_iter": 100}),
    "held out": ("MLPClassifier", DIGITS, {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 60}),
    "in order": ("MLPClassifier", DIGITS, {"shuffle": False, "batch_size": 64}),
    "lbfgs": ("MLPClassifier", DIGITS, {"solver": "lbfgs"}),
    "two classes": ("MLPClassifier", CANCER, {}),
    "two classes held out": ("MLPClassifier", CANCER, {"early_stopping": True}),
    "labels": ("MLPClassifier", LABELS, {}),
    "labels held out": ("MLPClassifier", LABELS, {"early_stopping": True}),
    "numbers": ("MLPRegressor", SUGAR, {}),
    "numbers held out": ("MLPRegressor", SUGAR, {"early_stopping": True}),
    "numbers, lbfgs": ("MLPRegressor", SUGAR, {"solver": "lbfgs"}),
    "several numbers": ("MLPRegressor", SUGARS, {}),
    "counts": ("MLPRegressor", COUNTS, {"loss": "poisson"}),
}  # fmt: skip


@pytest.fixture(params=["eager", "compiled"])
def way(request, monkeypatch):
    monkeypatch.setattr(network, "WORTH", np.inf if request.param == "eager" else 0)


@pytest.mark.parametrize("case", CASES)
def test_fits_as_scikit_learns_own_estimator_does(case, way):
    name, (X, y), settings = CASES[case]
    a, b = (
        getattr(which, name)(**{"max_iter": 15, "random_state": 3, **settings}).fit(X, y)
        for which in (theirs, ours)
    )
    close = {"rtol": 1e-6, "atol": 1e-9}
    for w, v in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_allclose(v, w, **close)
    np.testing.assert_allclose(b.predict(X), a.predict(X), **close)
    assert (b.n_iter_, b.n_layers_, b.n_outputs_, b.out_activation_, b.n_features_in_, b.t_) == (
        a.n_iter_, a.n_layers_, a.n_outputs_, a.out_activation_, a.n_features_in_, a.t_
    )  # fmt: skip
    if y.ndim == 1 or name == "MLPClassifier":  # of several numbers the loss is their sum
        np.testing.assert_allclose(b.loss_, a.loss_, **close)
        if settings.get("solver") != "lbfgs":
            np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, **close)
    if settings.get("early_stopping"):
        np.testing.assert_allclose(b.validation_scores_, a.validation_scores_, **close)
        np.testing.assert_allclose(b.best_validation_score_, a.best_validation_score_, **close)
    if name == "MLPClassifier":
        np.testing.assert_array_equal(b.classes_, a.classes_)
        np.testing.assert_allclose(b.predict_proba(X), a.predict_proba(X), **close)
        np.testing.assert_allclose(b.predict_log_proba(X), np.log(b.predict_proba(X)))


def test_parameters_and_defaults_are_scikit_learns():
    for name in ("MLPClassifier", "MLPRegressor"):
        assert getattr(ours, name)().get_params() == getattr(theirs, name)().get_params()


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_goes_on_as_scikit_learns_does(solver):
    X, y = DIGITS
    models = [
        which.MLPClassifier((20,), solver=solver, random_state=3, batch_size=50) for which in (theirs, ours)
    ]
    for model in models:
        for part in range(4):
            some = slice(100 * part, 100 * part + 100)
            model.partial_fit(X[some], y[some], classes=np.arange(10))
    for w, v in zip(*(m.coefs_ + m.intercepts_ for m in models), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-6, atol=1e-9)
    again = pickle.loads(pickle.dumps(models[1]))  # the optimiser's state too
    for model in (models[1], again):
        model.partial_fit(X[400:500], y[400:500])
    np.testing.assert_array_equal(again.coefs_[0], models[1].coefs_[0])


def test_warm_start_goes_on():
    X, y = DIGITS
    cold = MLPClassifier((20,), max_iter=5, random_state=0).fit(X, y)
    warm = clone(cold).set_params(warm_start=True).fit(X, y)
    first = warm.loss_
    warm.fit(X, y)
    assert cold.loss_ == first > warm.loss_
    assert (warm.n_iter_, len(warm.loss_curve_)) == (5, 10)
    with pytest.raises(ValueError, match=r"y holds \[10\], not among the classes"):
        warm.fit(X, np.where(y == 9, 10, y))


def test_a_sample_of_weight_two_counts_as_two_and_one_of_weight_zero_not_at_all():
    X, y = SUGAR
    weight = np.arange(len(y)) % 3
    settings = {"hidden_layer_sizes": (5,), "batch_size": 2000, "shuffle": False, "max_iter": 20}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "WORTH", np.inf)
        a = MLPRegressor(**settings, random_state=0).fit(X, y, weight)
        b = MLPRegressor(**settings, random_state=0).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(a.coefs_[0], b.coefs_[0])
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_)


def test_float32_stays_float32():
    X, y = DIGITS
    model = MLPClassifier((20,), max_iter=5, random_state=0).fit(X.astype("f"), y)
    assert {w.dtype for w in model.coefs_ + model.intercepts_} == {np.dtype("f")}
    assert model.predict_proba(X.astype("f")).dtype == "f"
    exact = clone(model).fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, exact.loss_curve_, rtol=1e-4)


# ------------------------------------------------------------------ among others


def test_in_pipelines_and_grids():
    model = make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=30, random_state=0))
    assert cross_val_score(model, X, y, cv=3).mean() > 0.9
    grid = {"mlpclassifier__alpha": [1e-4, 1e-2], "mlpclassifier__learning_rate_init": [1e-3, 1e-2]}
    scores = [
        GridSearchCV(model, grid, cv=2, n_jobs=n).fit(X, y).cv_results_["mean_test_score"] for n in (1, 2)
    ]
    np.testing.assert_array_equal(*scores)


def test_estimators_of_one_shape_share_a_program_whatever_their_numbers(way):
    X, y = DIGITS
    network._compiled.cache_clear()
    for alpha in (0.0, 1.0):
        for seed in (0, 1):
            MLPClassifier((12,), alpha=alpha, max_iter=2, random_state=seed).fit(X, y)
    assert network._compiled.cache_info().currsize == (1 if network.WORTH == 0 else 0)


def test_fits_in_threads_do_not_meet():
    X, y = DIGITS
    fit = lambda seed: MLPClassifier((20,), max_iter=40, random_state=seed).fit(X, y).coefs_[0]
    alone = [fit(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for a, b in zip(alone, pool.map(fit, range(4)), strict=True):
            np.testing.assert_array_equal(a, b)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(("settings", "message"), [
    ({"hidden_layer_sizes": (10, 0)}, "hidden_layer_sizes is (10, 0); expected positive integers"),
    ({"activation": "gelu"}, "activation is 'gelu'; expected one of 'identity', 'logistic', 'tanh', 'relu'"),
    ({"solver": "lion"}, "solver is 'lion'; expected one of"),
    ({"alpha": -1.0}, "alpha is -1.0; expected a number, zero or more"),
    ({"batch_size": "all"}, "batch_size is 'all'; expected 'auto' or an integer"),
    ({"learning_rate_init": 0.0}, "learning_rate_init is 0.0; expected a positive number"),
    ({"max_iter": 0}, "max_iter is 0; expected an integer, at least 1"),
    ({"shuffle": "yes"}, "shuffle is 'yes'; expected True or False"),
    ({"beta_1": 1.0}, "beta_1 is 1.0; expected a number, at least 0 and below 1"),
    ({"early_stopping": True, "validation_fraction": 0.001}, "expected at least 2 to validate with"),
])  # fmt: skip
def test_wrong_parameters_are_named(settings, message):
    with pytest.raises(ValueError) as caught:
        MLPRegressor(**settings, random_state=0).fit(*SUGAR)
    assert message in str(caught.value)


def test_wrong_data_are_named():
    X, y = SUGAR
    with pytest.raises(ValueError, match="for loss='poisson'"):
        MLPRegressor(loss="poisson").fit(X, y)
    with pytest.raises(ValueError, match="sample_weight is"):
        MLPRegressor().fit(X, y, np.ones(3))
    with pytest.raises(ValueError, match="classes is None in the first call"):
        MLPClassifier().partial_fit(*DIGITS)
    with pytest.raises(ValueError, match="early_stopping is True"):
        MLPRegressor(early_stopping=True).partial_fit(X, y)
    with pytest.raises(ValueError, match="of several classes"):
        MLPClassifier().fit(X, np.arange(2 * len(X)).reshape(-1, 2) % 3)
    assert not hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_is_an_error():
    with pytest.raises(ValueError, match="weights that are inf or nan; scale the features"):
        MLPRegressor(activation="identity", solver="sgd", learning_rate_init=1e3, max_iter=200).fit(*SUGAR)


def test_without_scikit_learn_one_line_names_the_extra():
    code = "import sys; sys.modules['sklearn'] = None; import chainrule, chainrule.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: chainrule.sklearn: needs scikit-learn: pip install 'chainrule[sklearn]'"
    )
