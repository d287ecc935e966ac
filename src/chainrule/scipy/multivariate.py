"""Distributions of vectors: densities with SciPy's calling conventions, and their logarithms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.functions import as_floats
from chainrule.numpy import functions as fn
from chainrule.primitives import raw
from chainrule.rules.elementary import exp, xlogy
from chainrule.rules.gamma import gammaln
from chainrule.scipy.distributions import defined
from chainrule.traced import Traced

__all__ = ["Dirichlet", "MultivariateNormal"]


class MultivariateNormal:
    """``exp(-(x - μ)ᵀ Σ⁻¹ (x - μ)/2) / √det 2πΣ``; the last axis of x holds the components."""

    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1.0) -> Any:
        """The logarithm of the density at x."""
        x, cov = as_floats("multivariate_normal", x), as_floats("multivariate_normal", cov)
        mean = None if mean is None else as_floats("multivariate_normal", mean)
        d = max(np.shape(raw(mean))[:1] or (1,)) if mean is not None else (np.shape(raw(cov)) or (1,))[-1]
        if np.ndim(raw(cov)) < 2:
            cov = cov * np.eye(d)
        if np.shape(raw(cov)) != (d, d) or (mean is not None and np.shape(raw(mean)) not in ((), (d,))):
            raise ValueError(
                f"multivariate_normal: mean is {np.shape(raw(mean))}, cov is {np.shape(raw(cov))}; expected "
                "a vector, and a square matrix of its length"
            )
        if d == 1 and np.shape(raw(x))[-1:] != (1,):
            x = fn.expand_dims(x, -1)
        if np.shape(raw(x))[-1] != d:
            raise ValueError(f"multivariate_normal: x is {np.shape(raw(x))}; its last axis must be {d} long")
        _positive_definite(raw(cov))
        deviation = x if mean is None else x - mean
        rows = fn.reshape(deviation, (-1, d))
        distance = fn.sum(rows * np.linalg.solve(cov, rows.T).T, -1)
        y = -0.5 * (d * math.log(2 * math.pi) + np.linalg.slogdet(cov)[1] + distance)
        return fn.reshape(y, np.shape(raw(deviation))[:-1])

    def pdf(self, x: Any, mean: Any = None, cov: Any = 1.0) -> Any:
        """The density at x."""
        return exp(self.logpdf(x, mean, cov))


def _positive_definite(cov: Any) -> None:
    if type(cov) is Traced:
        return
    try:
        np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        least = np.linalg.eigvalsh(cov)[0] if np.isfinite(cov).all() else math.nan
        raise np.linalg.LinAlgError(
            f"multivariate_normal: cov is not positive definite, its least eigenvalue is {least:.3g}; "
            "expected one above 0: write it as L @ L.T, or add a little to its diagonal"
        ) from None


class Dirichlet:
    """``∏ xᵢ^(αᵢ - 1) / B(α)``; the first axis of x holds the components, which add up to 1."""

    def logpdf(self, x: Any, alpha: Any) -> Any:
        """The logarithm of the density at x; the last component may be left out."""
        x, alpha = as_floats("dirichlet", x), as_floats("dirichlet", alpha)
        n, given = np.shape(raw(alpha)), np.shape(raw(x))
        if len(n) != 1 or not given or given[0] not in (n[0], n[0] - 1):
            raise ValueError(
                f"dirichlet: alpha is {n}, x is {given}; expected a vector, and as many components, or one "
                "less, along the first axis of x"
            )
        if given[0] == n[0] - 1:
            x = fn.concatenate([x, fn.expand_dims(1 - fn.sum(x, 0), 0)], 0)
        column = fn.reshape(alpha, (n[0],) + (1,) * (len(given) - 1))
        constant = fn.sum(gammaln(alpha)) - gammaln(fn.sum(alpha))
        y = fn.sum(xlogy(column - 1, x), 0) - constant
        at = raw(x)
        inside = (at >= 0).all(axis=0) & (abs(at.sum(axis=0) - 1) < 1e-9)
        return defined((raw(alpha) > 0).all() & inside, y, fn.sum(x, 0), fn.sum(alpha))

    def pdf(self, x: Any, alpha: Any) -> Any:
        """The density at x."""
        return exp(self.logpdf(x, alpha))
