"""Networks as scikit-learn's estimators: `MLPClassifier` and `MLPRegressor`, with its names and defaults."""

try:
    import sklearn.utils.validation  # noqa: F401
except ImportError as missing:
    raise ImportError("chainrule.sklearn: needs scikit-learn: pip install 'chainrule[sklearn]'") from missing

from chainrule.sklearn.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
