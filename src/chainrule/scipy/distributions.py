"""What a distribution states, and what follows from it under SciPy's names and calling conventions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.functions import as_floats
from chainrule.primitives import raw, where
from chainrule.rules.elementary import exp, log
from chainrule.rules.tails import log_of
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["Continuous", "Discrete", "Distribution", "Symmetric", "defined", "only"]


def only(mask: Any, y: Any, other: float) -> Any:
    """``y`` where the mask is true, elsewhere ``other``; no operation where that is everywhere."""
    return y if type(mask) is not Traced and np.all(mask) else where(mask, y, other)


def defined(valid: Any, y: Any, *operands: Any) -> Any:
    """``y`` where ``valid`` is true; elsewhere nan, and so are its derivatives in the operands."""
    if type(valid) is not Traced and np.all(valid):
        return y
    return where(valid, y, math.nan * sum(operands))


class Distribution:
    """A family of distributions; called with parameters, the one that has these.

    ``shapes`` are SciPy's names of the parameters beside ``loc`` and ``scale``, of which each method takes
    numbers, arrays or Values by position or by name.
    """

    shapes: tuple[str, ...] = ()
    further: tuple[str, ...] = ("loc", "scale")

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def __repr__(self) -> str:
        return f"<distribution {self.name}({', '.join((*self.shapes, *self.further))})>"

    def __call__(self, *args: Any, **kwargs: Any) -> Frozen:
        self._parameters("__call__", args, kwargs)
        return Frozen(self, args, kwargs)

    def _parameters(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The shapes, then loc and scale."""
        names = (*self.shapes, *self.further)
        unknown = [k for k in kwargs if k not in names]
        given = dict(zip(names, args)) | kwargs
        missing = [k for k in self.shapes if k not in given]
        if unknown or missing or len(args) > len(names) or len(given) < len(args) + len(kwargs):
            by_position = [f"{len(args)} by position"] * bool(args)
            received = " and ".join([*by_position, *(f"{k}=" for k in kwargs)]) or "none"
            expected = ", ".join((*self.shapes, *(f"{k}=" for k in self.further)))
            raise TypeError(f"{self.name}.{method}: received {received} as parameters, expected {expected}")
        standard = {"loc": 0.0, "scale": 1.0}
        return [as_floats(f"{self.name}.{method}", given.get(k, standard.get(k))) for k in names]

    def valid(self, *shapes: Any) -> Any:
        """Where the parameters are such; all positive, by default."""
        mask: Any = True
        for x in shapes:
            mask = mask & (raw(x) > 0)
        return mask


class Frozen:
    """A distribution with its parameters: ``norm(1.0, 2.0).pdf(x)`` is ``norm.pdf(x, 1.0, 2.0)``."""

    def __init__(self, family: Distribution, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.family, self.args, self.kwargs = family, args, kwargs

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self.family, name)
        return lambda x: method(x, *self.args, **self.kwargs)


class Continuous(Distribution):
    """Distributions with a density, moved by ``loc`` and stretched by ``scale``.

    A subclass states ``log_density``, ``below`` (the distribution function) and ``quantile`` of the standard
    form on its support, and what is more exact than what follows from these. Outside the support a density is
    0 with derivative 0, and so it is at infinity; parameters that are none give nan.
    """

    support = (-math.inf, math.inf)
    inside = 0.5  # a point of the support, for what lies outside of it

    def log_density(self, z: Any, *shapes: Any) -> Any:
        raise NotImplementedError

    def density(self, z: Any, *shapes: Any) -> Any:
        return exp(self.log_density(z, *shapes))

    def below(self, z: Any, *shapes: Any) -> Any:
        raise NotImplementedError

    def above(self, z: Any, *shapes: Any) -> Any:
        return 1 - self.below(z, *shapes)

    def log_below(self, z: Any, *shapes: Any) -> Any:
        return log_of(self.below(z, *shapes), self.above(z, *shapes))

    def log_above(self, z: Any, *shapes: Any) -> Any:
        return log_of(self.above(z, *shapes), self.below(z, *shapes))

    def quantile(self, p: Any, *shapes: Any) -> Any:
        raise NotImplementedError

    def upper_quantile(self, p: Any, *shapes: Any) -> Any:
        return self.quantile(1 - p, *shapes)

    def pdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The density at x."""
        return self._at("pdf", self.density, 0.0, 0.0, x, args, kwargs, lambda y, scale: y / scale)

    def logpdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of the density at x."""
        none = -math.inf
        divided = lambda y, scale: y - log(scale)
        return self._at("logpdf", self.log_density, none, none, x, args, kwargs, divided)

    def cdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The probability of at most x."""
        return self._at("cdf", self.below, 0.0, 1.0, x, args, kwargs)

    def logcdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of `cdf`."""
        return self._at("logcdf", self.log_below, -math.inf, 0.0, x, args, kwargs)

    def sf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The probability of more than x."""
        return self._at("sf", self.above, 1.0, 0.0, x, args, kwargs)

    def logsf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of `sf`."""
        return self._at("logsf", self.log_above, 0.0, -math.inf, x, args, kwargs)

    def ppf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """The number that has probability q below it."""
        return self._of_probability("ppf", self.quantile, q, args, kwargs)

    def isf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """The number that has probability q above it."""
        return self._of_probability("isf", self.upper_quantile, q, args, kwargs)

    def _at(
        self,
        method: str,
        f: Callable[..., Any],
        before: float,
        after: float,
        x: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        scaled: Callable[[Any, Any], Any] = lambda y, scale: y,
    ) -> Any:
        """``f`` of the standard form, with what it is on either side of the support."""
        *shapes, loc, scale = self._parameters(method, args, kwargs)
        least, most = self.support
        x, given, positive = as_floats(f"{self.name}.{method}", x), scale, raw(scale) > 0
        scale = only(positive, scale, 1.0)
        with np.errstate(all="ignore"):
            z = (x - loc) / scale
            # an infinite z lies outside of every support
            low = raw(z) < least if math.isfinite(least) else raw(z) == least
            high = raw(z) > most if math.isfinite(most) else raw(z) == most
            y = scaled(f(only(np.logical_not(low | high), z, self.inside), *shapes), scale)
        y = only(np.logical_not(high), only(np.logical_not(low), y, before), after)
        return defined(self.valid(*shapes) & positive, y, x, *shapes, loc, given)

    def _of_probability(
        self, method: str, f: Callable[..., Any], q: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        *shapes, loc, scale = self._parameters(method, args, kwargs)
        q = as_floats(f"{self.name}.{method}", q)
        valid = (raw(q) >= 0) & (raw(q) <= 1)
        with np.errstate(all="ignore"):
            y = f(only(valid, q, 0.5), *shapes) * scale + loc
        return defined(valid & self.valid(*shapes) & (raw(scale) > 0), y, q, *shapes, loc, scale)


class Symmetric(Continuous):
    """Distributions whose density is the same at -z as at z."""

    def above(self, z: Any, *shapes: Any) -> Any:
        return self.below(-z, *shapes)

    def log_above(self, z: Any, *shapes: Any) -> Any:
        return self.log_below(-z, *shapes)

    def upper_quantile(self, p: Any, *shapes: Any) -> Any:
        return -self.quantile(p, *shapes)


class Discrete(Distribution):
    """Distributions of whole numbers, moved by ``loc``.

    A subclass states ``log_mass``, ``below`` and ``above`` (and ``mass``, where that is more exact) for whole
    numbers k from 0 to ``last(*shapes)``. There are derivatives in the parameters, and none in k.
    """

    further = ("loc",)

    def last(self, *shapes: Any) -> Any:
        return math.inf

    def log_mass(self, k: Any, *shapes: Any) -> Any:
        raise NotImplementedError

    def mass(self, k: Any, *shapes: Any) -> Any:
        return exp(self.log_mass(k, *shapes))

    def below(self, k: Any, *shapes: Any) -> Any:
        raise NotImplementedError

    def above(self, k: Any, *shapes: Any) -> Any:
        raise NotImplementedError

    def log_below(self, k: Any, *shapes: Any) -> Any:
        return log_of(self.below(k, *shapes), self.above(k, *shapes))

    def log_above(self, k: Any, *shapes: Any) -> Any:
        return log_of(self.above(k, *shapes), self.below(k, *shapes))

    def pmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """The probability of k."""
        return self._mass("pmf", self.mass, 0.0, k, args, kwargs)

    def logpmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of the probability of k."""
        return self._mass("logpmf", self.log_mass, -math.inf, k, args, kwargs)

    def cdf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """The probability of at most k."""
        return self._beside("cdf", self.below, 0.0, 1.0, k, args, kwargs)

    def logcdf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of `cdf`."""
        return self._beside("logcdf", self.log_below, -math.inf, 0.0, k, args, kwargs)

    def sf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """The probability of more than k."""
        return self._beside("sf", self.above, 1.0, 0.0, k, args, kwargs)

    def logsf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of `sf`."""
        return self._beside("logsf", self.log_above, 0.0, -math.inf, k, args, kwargs)

    def _mass(
        self, method: str, f: Callable[..., Any], none: float, k: Any, args: Any, kwargs: Any
    ) -> Any:
        k, shapes, valid = self._whole(method, k, args, kwargs)
        there = (k == np.floor(k)) & (k >= 0) & (k <= self.last(*shapes))
        y = only(there, f(np.where(there, k, 0.0)[()], *shapes), none)
        return defined(valid, y, *shapes)

    def _whole(self, method: str, k: Any, args: Any, kwargs: Any) -> tuple[Any, list[Any], Any]:
        *shapes, loc = self._parameters(method, args, kwargs)
        if type(k) is Value or type(loc) is Value:
            what = "k" if type(k) is Value else "loc"
            raise TypeError(
                f"{self.name}.{method}: {what} is a Value, but there is no derivative in whole numbers; "
                f"expected plain ones: {what}.data"
            )
        return as_floats(f"{self.name}.{method}", k) - loc, shapes, self.valid(*shapes)

    def _beside(
        self, method: str, f: Callable[..., Any], before: float, after: float, k: Any, args: Any, kwargs: Any
    ) -> Any:
        k, shapes, valid = self._whole(method, k, args, kwargs)
        k, last = np.floor(k), self.last(*shapes)
        within = (k >= 0) & (k < last)
        with np.errstate(all="ignore"):
            y = f(np.where(within, k, 0.0)[()], *shapes)
        return defined(valid, only(k < last, only(k >= 0, y, before), after), *shapes)


