"""Random numbers that compiled functions draw anew at each call.

`default_rng` is NumPy's, and its generators are NumPy's generators, with the same numbers for the same
seed. Drawn from in a function that is compiled, they are no constants of the program: at each call the
program draws, with NumPy and in the order of the function, and then runs. So after a call a generator
stands where the plain function would have left it.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

from chainrule.traced import Traced, TracedError, capturing, current_trace, where_in_user_code
from chainrule.value import Value, current, next_serial

__all__ = ["Generator", "default_rng"]


def default_rng(seed: Any = None) -> Generator:
    """A `Generator`, seeded as `numpy.random.default_rng` does it.

    Parameters
    ----------
    seed : int, sequence of int, SeedSequence, BitGenerator or Generator, optional
        None takes it from the system; a generator shares its stream.

    Examples
    --------
    >>> import chainrule as cr
    >>> rng = cr.random.default_rng(0)
    >>> noisy = cr.compile(lambda x: x + rng.normal(scale=0.1, size=2))
    >>> noisy(1.0)
    array([1.012573, 0.986790])
    >>> noisy(1.0)
    array([1.064042, 1.010490])
    >>> np.random.default_rng(0).normal(scale=0.1, size=4) + 1.0
    array([1.012573, 0.986790, 1.064042, 1.010490])
    """
    return seed if type(seed) is Generator else Generator(np.random.default_rng(seed).bit_generator)


class Generator(np.random.Generator):
    """NumPy's generator; may be drawn from in what is compiled, and with parameters that are Values.

    ``normal``, ``uniform``, ``exponential``, ``laplace`` and ``gamma`` take Values and traced arrays as
    location and scale: they draw the standard variate and compute with it, so that the result has a
    derivative in both::

        normal(loc, scale)   = loc + scale z,          z from standard_normal
        uniform(low, high)   = low + (high - low) u,   u from random
        exponential(scale)   = scale e,                e from standard_exponential
        laplace(loc, scale)  = loc + scale l,          l from laplace
        gamma(shape, scale)  = scale g,                g from standard_gamma(shape)

    ``standard_gamma``, ``gamma``, ``beta`` and ``dirichlet`` take Values as shapes too. A sample x then moves
    with a shape a as a quantile does, ``dx/da = -(∂F/∂a) / (∂F/∂x)`` with F the distribution function
    (M. Figurnov, S. Mohamed and A. Mnih, "Implicit reparameterization gradients", 2018); this needs SciPy.
    (``dirichlet`` of shapes below 0.1 breaks a stick, as NumPy's does, but not of traced ones.)

    ``permutation`` and ``choice`` take them as what is picked from. Everything else is NumPy's, of plain
    numbers; of traced ones too (a rate of ``poisson``), and then a program draws in its middle, when they are
    there. (A scale that is no plain number is not looked at for its sign.)

    Parameters
    ----------
    bit_generator : numpy.random.BitGenerator
        The stream; mostly made by `default_rng`.

    Raises
    ------
    TypeError
        If another parameter is a Value.
    chainrule.traced.TracedError
        While compiling: in the body of a loop or a branch of `chainrule.scan` and its kin, which runs as
        often as numbers decide; for ``shuffle``, ``spawn``, ``bytes`` and ``out=``; for a ``size`` that is
        traced; for a traced parameter of a generator that is made in the function.
    ImportError
        For a shape that is a Value, without SciPy.

    Examples
    --------
    >>> import chainrule as cr
    >>> mean = cr.Value(2.0)
    >>> x = cr.random.default_rng(0).normal(mean, 0.5)
    >>> x.backward()
    >>> x.data == np.random.default_rng(0).normal(2.0, 0.5), mean.grad
    (True, 1.0)
    """

    def __init__(self, bit_generator: Any) -> None:
        super().__init__(bit_generator)
        self.serial = next_serial()  # as a Value's: what is older than a capture is from outside

    def __reduce__(self) -> Any:
        return Generator, (self.bit_generator,)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        if _plain(loc, scale):
            return self._draw("normal", loc, scale, size)
        return loc + scale * self._draw("standard_normal", _shape("normal", size, loc, scale))

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        if _plain(low, high):
            return self._draw("uniform", low, high, size)
        return low + (high - low) * self._draw("random", _shape("uniform", size, low, high))

    def exponential(self, scale: Any = 1.0, size: Any = None) -> Any:
        if _plain(scale):
            return self._draw("exponential", scale, size)
        return scale * self._draw("standard_exponential", _shape("exponential", size, scale))

    def laplace(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        if _plain(loc, scale):
            return self._draw("laplace", loc, scale, size)
        return loc + scale * self._draw("laplace", 0.0, 1.0, _shape("laplace", size, loc, scale))

    def standard_gamma(self, shape: Any, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        if _plain(shape):
            return self._draw("standard_gamma", shape, size, dtype, out)
        if out is not None or np.dtype(dtype) != np.float64:
            raise TypeError(
                "standard_gamma: the shape is a Value, of which dtype= and out= are not supported; "
                "use .astype on the result"
            )
        return self._of_shapes("standard_gamma", (shape,), size)

    def gamma(self, shape: Any, scale: Any = 1.0, size: Any = None) -> Any:
        if _plain(shape, scale):
            return self._draw("gamma", shape, scale, size)
        return scale * self.standard_gamma(shape, _shape("gamma", size, shape, scale))

    def beta(self, a: Any, b: Any, size: Any = None) -> Any:
        if _plain(a, b):
            return self._draw("beta", a, b, size)
        return self._of_shapes("beta", (a, b), size)

    def dirichlet(self, alpha: Any, size: Any = None) -> Any:
        if _plain(alpha):
            return self._draw("dirichlet", alpha, size)
        rows = () if size is None else tuple(size) if isinstance(size, tuple | list) else (size,)
        k = alpha.shape[0]
        if type(alpha) is Value and type(alpha._raw) is not Traced and np.max(current(alpha)) < 0.1:
            # NumPy breaks a stick here, because sums of gamma variates would be 0
            part = self.beta(alpha[:-1], np.cumsum(alpha[::-1])[-2::-1], (*rows, k - 1))
            end = np.ones((*rows, 1))
            rest = np.concatenate([end, np.cumprod(1 - part, -1)], -1)
            return np.concatenate([part, end], -1) * rest
        g = self.standard_gamma(alpha, (*rows, k))
        return g * (1 / np.sum(g, -1, keepdims=True))

    def _of_shapes(self, name: str, shapes: tuple[Any, ...], size: Any) -> Any:
        """A draw that depends on Values, as a function of them."""
        data = [current(x) for x in shapes]
        try:
            from chainrule.rules.incomplete import beta_sample, gamma_sample
        except ImportError as error:
            raise ImportError(f"{name}: its derivative in a shape needs SciPy: pip install scipy") from error
        drawn = self._draw(name, *data, _shape(name, size, *shapes))
        return (beta_sample if name == "beta" else gamma_sample)(drawn, *shapes)

    def permutation(self, x: Any, axis: int = 0) -> Any:
        if _plain(x):
            return self._draw("permutation", x, axis)
        return _taken(x, self._draw("permutation", x.shape[axis]), axis)

    def choice(
        self,
        a: Any,
        size: Any = None,
        replace: bool = True,
        p: Any = None,
        axis: int = 0,
        shuffle: bool = True,
    ) -> Any:
        if _plain(a):
            return self._draw("choice", a, size, replace, p, axis, shuffle)
        return _taken(a, self._draw("choice", a.shape[axis], size, replace, p, 0, shuffle), axis)

    def _draw(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """NumPy's method of that name: at once, or, of a generator from outside a capture, at each call."""
        for x in (*args, *kwargs.values()):
            if type(x) is Value:
                raise TypeError(
                    f"{name}: an argument is {x!r}, expected plain numbers, because NumPy draws; draw from a "
                    "standard distribution and compute with what comes"
                )
        trace = current_trace() if capturing else None
        if trace is None or self.serial >= trace.start:
            if not _plain(*args, *kwargs.values()):
                raise TracedError(
                    f"{where_in_user_code()}: {name}: an argument is traced, and the generator is made in "
                    "the function that is compiled: make it outside, or let it be an argument"
                )
            return getattr(np.random.Generator, name)(self, *args, **kwargs)
        given = inspect.signature(getattr(np.random.Generator, name)).bind(self, *args, **kwargs).arguments
        if not _plain(*_sizes(given.get("size"))):
            raise TracedError(
                f"{where_in_user_code()}: {name}: size is {given['size']!r}, expected plain integers: how "
                "many are drawn must be known while compiling; name the argument in static_argnums"
            )
        return trace.draw(self, name, args, kwargs)


def _drawing(name: str) -> Any:
    @functools.wraps(getattr(np.random.Generator, name))
    def method(self: Generator, *args: Any, **kwargs: Any) -> Any:
        return self._draw(name, *args, **kwargs)

    return method


for _name in dir(np.random.Generator):
    if not _name.startswith("_") and _name not in vars(Generator) and _name != "bit_generator":
        setattr(Generator, _name, _drawing(_name))


def _sizes(size: Any) -> Any:
    return size if isinstance(size, tuple | list) else (size,)


def _plain(*parameters: Any) -> bool:
    return not any(type(x) is Value or type(x) is Traced for x in parameters)


def _taken(x: Any, index: Any, axis: int) -> Any:
    return x[(slice(None),) * (axis % len(x.shape)) + (index,)]


def _shape(name: str, size: Any, *parameters: Any) -> Any:
    """The size of the standard variate: as given, else what the parameters broadcast to."""
    shapes = [x.shape if type(x) is Value or type(x) is Traced else np.shape(x) for x in parameters]
    if size is None:
        return np.broadcast_shapes(*shapes) or None
    wanted = tuple(size) if isinstance(size, tuple | list) else (size,)
    try:
        fits = np.broadcast_shapes(*shapes, wanted) == wanted
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name}: size is {size}, its parameters have the shapes {' and '.join(map(str, shapes))}; "
            "expected a size they broadcast to"
        )
    return size
