"""Random numbers that compiled functions draw anew at each call.

`default_rng` is NumPy's, and its generators are NumPy's generators, with the same numbers for the same
seed. Drawn from in a function that is compiled, they are no constants of the program: at each call the
program draws, with NumPy and in the order of the function, and then runs. So after a call a generator
stands where the plain function would have left it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from chainrule.traced import Traced, TracedError, capturing, current_trace, where_in_user_code
from chainrule.value import Value, next_serial

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

    ``normal``, ``uniform`` and ``exponential`` take Values and traced arrays as location and scale: they
    draw the standard variate and compute with it, so that the result has a derivative in both::

        normal(loc, scale)   = loc + scale z,          z from standard_normal
        uniform(low, high)   = low + (high - low) u,   u from random
        exponential(scale)   = scale e,                e from standard_exponential

    ``permutation`` and ``choice`` take them as what is picked from. Everything else is NumPy's, of plain
    numbers. (A scale that is no plain number is not looked at for its sign.)

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
        often as numbers decide; for ``shuffle``, ``spawn``, ``bytes`` and ``out=``.

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
            if not _plain(x):
                error = TypeError if type(x) is Value else TracedError
                raise error(
                    f"{where_in_user_code()}: {name}: an argument is {x!r}, expected plain numbers, because "
                    "NumPy draws; draw from a standard distribution and compute with what comes"
                )
        trace = current_trace() if capturing else None
        if trace is None or self.serial >= trace.start:
            return getattr(np.random.Generator, name)(self, *args, **kwargs)
        return trace.draw(self, name, args, kwargs)


def _drawing(name: str) -> Any:
    @functools.wraps(getattr(np.random.Generator, name))
    def method(self: Generator, *args: Any, **kwargs: Any) -> Any:
        return self._draw(name, *args, **kwargs)

    return method


for _name in dir(np.random.Generator):
    if not _name.startswith("_") and _name not in vars(Generator) and _name != "bit_generator":
        setattr(Generator, _name, _drawing(_name))


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
