"""`scipy.interpolate`: piecewise cubic curves, differentiable in points, values and where they are asked.

Examples
--------
>>> import numpy as np
>>> import chainrule as cr
>>> from chainrule.scipy import interpolate
>>> x = np.array([0.0, 1.0, 2.0, 3.0])
>>> height = lambda y: interpolate.CubicSpline(x, y)(1.5)
>>> cr.grad(height)(x**2)
array([-0.0625,  0.5625,  0.5625, -0.0625])
>>> float(cr.grad(interpolate.CubicSpline(x, x**2))(1.5))
3.0
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.foreign import absent
from chainrule.numpy.arguments import as_operand, axis_of, shape_of
from chainrule.numpy.elementwise import where
from chainrule.numpy.manipulation import broadcast_to, concatenate, moveaxis, reshape
from chainrule.numpy.matrices import solve
from chainrule.numpy.rearranging import getitem
from chainrule.rules import shape as sh
from chainrule.rules.matrix_functions import solve_banded
from chainrule.value import current

__all__ = ["CubicHermiteSpline", "CubicSpline", "PPoly", "PchipInterpolator"]


class PPoly:
    """Polynomials piece by piece: ``Σₖ c[k, i] (q - x[i])ᵐ⁻ᵏ`` for ``x[i] <= q < x[i + 1]``.

    Parameters
    ----------
    c : array_like or Value, shape (m + 1, n, ...)
        Coefficients, the highest power first.
    x : array_like or Value, shape (n + 1,)
        Breakpoints, increasing.
    extrapolate : bool or "periodic"
        Beyond the breakpoints: the first and the last piece; or nan; or the curve repeated.
    axis : int
        The place of the pieces among the axes of a result.

    Examples
    --------
    >>> squares = PPoly(np.array([[1.0], [0.0], [0.0]]), np.array([0.0, 2.0]))
    >>> print(squares(1.5), squares(1.5, 1), squares.integrate(0.0, 1.5))
    2.25 3.0 1.125
    """

    def __init__(self, c: Any, x: Any, extrapolate: Any = True, axis: int = 0) -> None:
        self.c = as_operand(c)
        self.x = as_operand(x)
        self.extrapolate = True if extrapolate is None else extrapolate
        self.axis = axis

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """The curve at ``x``, or its ``nu``-th derivative there."""
        q = float(x) if type(x) is int else as_operand(x)
        shape = shape_of(q)
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        knots = current(self.x)
        if extrapolate == "periodic":
            q = self.x[0] + (q - self.x[0]) % (self.x[-1] - self.x[0])
        where_asked = current(q)
        piece = np.clip(np.searchsorted(knots, where_asked, side="right") - 1, 0, len(knots) - 2)
        d = q - getitem(self.x, piece)
        rest = shape_of(self.c)[2:]
        d = reshape(d, shape + (1,) * len(rest)) if rest else d
        degree = shape_of(self.c)[0] - 1
        y: Any = np.zeros(shape + rest)
        for k in range(degree - nu + 1):  # Horner's rule
            y = y * d + getitem(self.c, (k, piece)) * float(math.perm(degree - k, nu))
        if not extrapolate:
            inside = (where_asked >= knots[0]) & (where_asked <= knots[-1])
            y = where(np.reshape(inside, shape + (1,) * len(rest)), y, math.nan)
        if not self.axis:
            return y
        n = len(shape)
        return moveaxis(y, tuple(range(n)), tuple(range(self.axis, self.axis + n)))

    def derivative(self, nu: int = 1) -> PPoly:
        """The curve of the ``nu``-th derivatives."""
        degree = shape_of(self.c)[0] - 1
        if nu > degree:
            return PPoly(self.c[:1] * 0.0, self.x, self.extrapolate, self.axis)
        factors = [float(math.perm(degree - k, nu)) for k in range(degree - nu + 1)]
        c = self.c[: degree - nu + 1] * self._powers(factors)
        return PPoly(c, self.x, self.extrapolate, self.axis)

    def antiderivative(self, nu: int = 1) -> PPoly:
        """The curve whose ``nu``-th derivative this one is, 0 at the first breakpoint.

        Of a periodic curve that is nan beyond the breakpoints, as in SciPy.
        """
        if nu > 1:
            return self.antiderivative().antiderivative(nu - 1)
        degree = shape_of(self.c)[0] - 1
        c = self.c / self._powers([degree - k + 1.0 for k in range(degree + 1)])
        width = self.x[1:] - self.x[:-1]
        width = reshape(width, (*shape_of(width), *(1,) * (len(shape_of(c)) - 2)))
        area: Any = 0.0
        for k in range(degree + 1):
            area = (area + c[k]) * width
        start = concatenate([area[:1] * 0.0, np.cumsum(area, 0)[:-1]])
        # what grows from period to period is not periodic
        extrapolate = False if self.extrapolate == "periodic" else self.extrapolate
        return PPoly(concatenate([c, start[None]]), self.x, extrapolate, self.axis)

    def integrate(self, a: Any, b: Any) -> Any:
        """The integral from ``a`` to ``b``, both where the curve is; of a periodic one anywhere."""
        whole = self.antiderivative()
        if self.extrapolate != "periodic":
            return whole(b) - whole(a)
        first, last = self.x[0], self.x[-1]

        def until(q: Any) -> Any:
            periods = (as_operand(q) - first) // (last - first)
            return whole(last) * periods + whole(q - periods * (last - first))

        return until(b) - until(a)

    def _powers(self, factors: list[float]) -> Any:
        return np.array(factors).reshape((-1,) + (1,) * (len(shape_of(self.c)) - 1))


class CubicHermiteSpline(PPoly):
    """The cubic curve with given values and slopes at the points.

    Parameters
    ----------
    x : array_like or Value, shape (n,)
        Increasing.
    y, dydx : array_like or Value
        Values and slopes, ``n`` along ``axis``.
    axis : int
    extrapolate : bool or "periodic", optional

    Raises
    ------
    ValueError
        If ``x`` does not increase, or has not as many points as ``y`` has values; for fewer than two.

    Examples
    --------
    >>> curve = CubicHermiteSpline(np.array([0.0, 2.0]), np.array([0.0, 4.0]), np.array([0.0, 4.0]))
    >>> print(curve(1.0))
    1.0
    """

    def __init__(self, x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None) -> None:
        x, y, k = _points(type(self).__name__, x, y, axis)
        self._of_slopes(x, y, moveaxis(as_operand(dydx), k, 0), k, extrapolate)

    def _of_slopes(self, x: Any, y: Any, s: Any, axis: int, extrapolate: Any) -> None:
        h, m = _steps(x, y)
        t = (s[:-1] + s[1:] - 2 * m) / h
        c = sh.stack([t / h, (m - s[:-1]) / h - t, broadcast_to(s[:-1], shape_of(t)), y[:-1]])
        super().__init__(c, x, extrapolate, axis)


class CubicSpline(CubicHermiteSpline):
    """The cubic curve through the points whose second derivative is continuous.

    Parameters
    ----------
    x : array_like or Value, shape (n,)
        Increasing.
    y : array_like or Value
        Values, ``n`` along ``axis``.
    axis : int
    bc_type : str or 2-tuple
        What holds at the two ends: "not-a-knot" (the first two pieces are one cubic), "clamped" (slope 0),
        "natural" (second derivative 0), "periodic", or for each end one of these or ``(order, value)``
        with the value of the first or second derivative.
    extrapolate : bool or "periodic", optional
        As in `PPoly`; "periodic" by default if ``bc_type`` is.

    Raises
    ------
    ValueError
        As `CubicHermiteSpline`; for another ``bc_type``; if "periodic" values end otherwise than they begin.

    Notes
    -----
    The slopes solve a tridiagonal system: C. de Boor, "A Practical Guide to Splines", 1978, chapter IV.

    Examples
    --------
    >>> points = np.array([0.0, 1.0, 2.0, 3.0])
    >>> curve = CubicSpline(points, points**3)
    >>> print(curve(1.5), curve(1.5, 1))
    3.375 6.75
    """

    def __init__(
        self, x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None
    ) -> None:
        x, y, k = _points("CubicSpline", x, y, axis)
        start, end = _ends(bc_type, shape_of(y)[1:])
        if start == "periodic":
            extrapolate = "periodic" if extrapolate is None else extrapolate
            ends = current(y)[[0, -1]]
            if type(ends) is np.ndarray and not np.allclose(ends[0], ends[1], rtol=1e-15, atol=1e-15):
                raise ValueError("CubicSpline: bc_type='periodic' wants equal first and last values of y")
        s = _slopes(x, y, start, end)
        self._of_slopes(x, y, s, k, extrapolate)


class PchipInterpolator(CubicHermiteSpline):
    """The cubic curve through the points that rises and falls only where these do.

    Slopes are weighted harmonic means of those of the two pieces, 0 where these differ in sign: F. N. Fritsch
    & J. Butland, "A method for constructing local monotone piecewise cubic interpolants", 1984.

    Parameters
    ----------
    x, y, axis, extrapolate
        As of `CubicSpline`.

    Raises
    ------
    ValueError
        As `CubicHermiteSpline`.

    Examples
    --------
    >>> curve = PchipInterpolator(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0]))
    >>> print(curve(1.5))
    1.0
    """

    def __init__(self, x: Any, y: Any, axis: int = 0, extrapolate: Any = None) -> None:
        x, y, k = _points("PchipInterpolator", x, y, axis)
        h, m = _steps(x, y)
        if shape_of(x)[0] == 2:
            s = concatenate([m, m])
        else:
            left, right = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
            turns = current(m)[1:] * np.sign(current(m)[:-1]) <= 0
            before, after = where(turns, 1.0, m[:-1]), where(turns, 1.0, m[1:])
            inner = where(turns, 0.0, (left + right) / (left / before + right / after))
            first, last = _edge(h[:1], h[1:2], m[:1], m[1:2]), _edge(h[-1:], h[-2:-1], m[-1:], m[-2:-1])
            s = concatenate([first, inner, last])
        self._of_slopes(x, y, s, k, extrapolate)


def _edge(h0: Any, h1: Any, m0: Any, m1: Any) -> Any:
    """The slope at an end: of the parabola through three points, unless that changes the direction."""
    d = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    p, q, slope = current(m0), current(m1), current(d)
    steep = (np.sign(p) != np.sign(q)) & (np.abs(slope) > 3 * np.abs(p))
    return where(np.sign(slope) != np.sign(p), 0.0, where(steep, 3 * m0, d))


# -------------------------------------------------------------------- arguments


def _points(name: str, x: Any, y: Any, axis: int) -> tuple[Any, Any, int]:
    """The points, those of ``y`` along the first axis, and where that was."""
    x, y = as_operand(x), as_operand(y)
    k = axis_of(name, y, axis)
    n = shape_of(y)[k]
    if len(shape_of(x)) != 1 or shape_of(x)[0] != n or n < 2:
        raise ValueError(
            f"{name}: x is {shape_of(x)}, y is {shape_of(y)}; expected two points or more, as many values "
            f"along axis {axis}"
        )
    if type(current(x)) is np.ndarray and not np.all(np.diff(current(x)) > 0):
        raise ValueError(
            f"{name}: x must increase strictly; sort the points, and drop those that stand twice"
        )
    return x, moveaxis(y, k, 0), k


def _steps(x: Any, y: Any) -> tuple[Any, Any]:
    """The widths of the pieces, shaped to go with ``y``, and their slopes."""
    h = x[1:] - x[:-1]
    h = reshape(h, (*shape_of(h), *(1,) * (len(shape_of(y)) - 1)))
    return h, (y[1:] - y[:-1]) / h


def _ends(bc_type: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Each end as "not-a-knot", "periodic" or (order, value)."""
    if isinstance(bc_type, str):
        bc_type = (bc_type, bc_type)
    found: list[Any] = []
    for bc in bc_type:
        if isinstance(bc, str) and bc in ("not-a-knot", "periodic"):
            found.append(bc)
        elif isinstance(bc, str) and bc in ("clamped", "natural"):
            found.append((1 if bc == "clamped" else 2, np.zeros(shape)))
        elif isinstance(bc, tuple | list) and len(bc) == 2 and bc[0] in (1, 2) and shape_of(bc[1]) == shape:
            found.append((bc[0], as_operand(bc[1])))
        else:
            raise ValueError(
                f"CubicSpline: bc_type has {bc!r}; expected 'not-a-knot', 'periodic', 'clamped', 'natural' "
                f"or (1 or 2, a value of shape {shape})"
            )
    if found.count("periodic") == 1:
        raise ValueError("CubicSpline: bc_type is periodic at one end; expected both or none")
    return found[0], found[1]


# -------------------------------------------------------------------- the slopes of a cubic spline


def _slopes(x: Any, y: Any, start: Any, end: Any) -> Any:
    n, shape = shape_of(x)[0], shape_of(y)
    h, m = _steps(x, y)
    if start == "periodic":
        return _periodic(x[1:] - x[:-1], h, m, shape)
    if n == 2:  # no knot that could be none: a straight end
        start, end = ((1, m[0]) if e == "not-a-knot" else e for e in (start, end))
    if n == 3 and start == "not-a-knot" and end == "not-a-knot":  # the two pieces are one: a parabola
        middle = (h[1:] * m[:1] + h[:1] * m[1:]) / (h[:1] + h[1:])
        return concatenate([2 * m[:1] - middle, middle, 2 * m[1:] - middle])
    w = x[1:] - x[:-1]
    left = _end(start, w, h, m, False)
    right = _end(end, w[::-1], h[::-1], m[::-1], True)
    zero = np.zeros(1)
    ab = sh.stack([
        concatenate([zero, left[1], w[:-1]]),
        concatenate([left[0], 2 * (w[:-1] + w[1:]), right[0]]),
        concatenate([w[1:], right[1], zero]),
    ])  # fmt: skip
    b = concatenate([left[2], 3 * (h[1:] * m[:-1] + h[:-1] * m[1:]), right[2]])
    columns = reshape(b, (n, math.prod(shape[1:])))
    return reshape(solve_banded(ab, columns, lower=1, upper=1), (n, *shape[1:]))


def _end(bc: Any, w: Any, h: Any, m: Any, turned: bool) -> tuple[Any, Any, Any]:
    """The first row of the system, ``p s₀ + q s₁ = b``; for the other end everything is turned about."""
    if bc == "not-a-knot":
        d = w[:1] + w[1:2]
        wide = h[:1] + h[1:2]
        return w[1:2], d, ((h[:1] + 2 * wide) * h[1:2] * m[:1] + h[:1] ** 2 * m[1:2]) / wide
    order, value = bc
    value = reshape(value, (1, *shape_of(value)))
    if order == 1:
        return np.ones(1), np.zeros(1), value
    half = 0.5 if turned else -0.5
    return 2 * w[:1], w[:1], half * value * h[:1] ** 2 + 3 * m[:1] * h[:1]


def _periodic(w: Any, h: Any, m: Any, shape: tuple[int, ...]) -> Any:
    """The same system with its ends joined; the last slope is the first."""
    n = shape[0] - 1
    here, before = np.eye(n), np.roll(np.eye(n), -1, axis=1)
    earlier = concatenate([w[-1:], w[:-1]])
    column = reshape(w, (n, 1)), reshape(earlier, (n, 1))
    a = column[0] * before + 2 * (column[0] + column[1]) * here + column[1] * before.T
    m_earlier, h_earlier = concatenate([m[-1:], m[:-1]]), concatenate([h[-1:], h[:-1]])
    b = 3 * (h * m_earlier + h_earlier * m)
    s = reshape(solve(a, reshape(b, (n, math.prod(shape[1:])))), (n, *shape[1:]))
    return concatenate([s, s[:1]])


__getattr__ = absent(__name__)
