"""Differences, slopes, integrals and interpolation of sampled functions; sequences of numbers."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from chainrule.numpy.arguments import KEEP, as_operand, axis_of, ordered_axes, shape_of
from chainrule.numpy.elementwise import astype, where
from chainrule.numpy.manipulation import broadcast_to, concatenate, expand_dims, ravel, reshape
from chainrule.numpy.rearranging import take
from chainrule.numpy.reductions import sum
from chainrule.primitives import as_array
from chainrule.rules import arithmetic as ar
from chainrule.rules import shape as sh
from chainrule.rules.shape import sliced
from chainrule.value import current

# -------------------------------------------------------------------- differences and integrals


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = KEEP, append: Any = KEEP) -> Any:
    a = as_operand(a)
    k = axis_of("diff", a, axis)
    if n < 0:
        raise ValueError(f"diff: n is {n}, expected 0 or more")
    if n and (prepend is not KEEP or append is not KEEP):
        edge = shape_of(a)[:k] + (1,) + shape_of(a)[k + 1 :]  # of a number, repeated
        parts = [as_operand(p) for p in (prepend, a, append) if p is not KEEP]
        a = concatenate([p if shape_of(p) else broadcast_to(p, edge) for p in parts], k)
    for _ in range(n):
        a = sliced(a, k, 1, None) - sliced(a, k, None, -1)
    return a


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    d = diff(ravel(as_operand(ary)))
    kind = as_array(current(d)).dtype
    parts = [to_begin, d, to_end]
    return concatenate([astype(ravel(as_operand(p)), kind) for p in parts if p is not None])


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = as_operand(y)
    k = axis_of("trapezoid", y, axis)
    if x is not None:
        x = as_operand(x)
        dx = diff(x) if len(shape_of(x)) == 1 else diff(x, axis=axis)
        if len(shape_of(x)) == 1:
            dx = reshape(dx, tuple(-1 if i == k else 1 for i in range(len(shape_of(y)))))
    return sum(dx * (sliced(y, k, 1, None) + sliced(y, k, None, -1)) / 2.0, k)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order differences inside, one-sided ones at the edges."""
    f = as_operand(f)
    n = len(shape_of(f))
    axes = tuple(range(n)) if axis is None else ordered_axes("gradient", f, axis)
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError(f"gradient: received {len(varargs)} spacings, expected none, one or {len(axes)}")
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order is {edge_order!r}, expected 1 or 2")
    spacings = [as_operand(h) for h in varargs] or [1.0]
    spacings = spacings * len(axes) if len(spacings) == 1 else spacings
    if len(varargs) == 1 and len(axes) > 1 and shape_of(spacings[0]):
        raise ValueError("gradient: one array of coordinates for several axes; expected one for each axis")
    found = [_slope(f, k, h, edge_order) for k, h in zip(axes, spacings, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)


def _slope(f: Any, k: int, h: Any, edge_order: int) -> Any:
    m = shape_of(f)[k]
    if m < edge_order + 1:
        raise ValueError(
            f"gradient: axis {k} of shape {shape_of(f)} has length {m}, expected {edge_order + 1} or more"
        )
    if shape_of(h) not in ((), (m,)):
        raise ValueError(f"gradient: spacing has shape {shape_of(h)}, expected a number or ({m},)")

    def at(i: int) -> Any:
        return sliced(f, k, i, i + 1 if i != -1 else None)

    low, middle, high = sliced(f, k, None, -2), sliced(f, k, 1, -1), sliced(f, k, 2, None)
    if not shape_of(h):
        left = right = h
        inside = (high - low) / (2.0 * h)
        first = last = (h, h)
    else:
        d = diff(h)
        along = tuple(-1 if i == k else 1 for i in range(len(shape_of(f))))
        left, right = (reshape(sliced(d, 0, *s), along) for s in ((None, -1), (1, None)))
        total = left + right
        inside = high * (left / (right * total)) + middle * ((right - left) / (left * right)) - low * (
            right / (left * total)
        )
        ends = (0, min(1, m - 2)), (-1, -min(2, m - 1))  # the steps at either end, the outermost first
        first, last = (tuple(sh.getitem(d, i) for i in pair) for pair in ends)
    if edge_order == 1:
        edges = (at(1) - at(0)) / first[0], (at(-1) - at(m - 2)) / last[0]
    else:
        a, b = first
        c, d = last
        edges = (
            at(1) * ((a + b) / (a * b))
            - at(0) * ((2.0 * a + b) / (a * (a + b)))
            - at(2) * (a / (b * (a + b))),
            at(m - 3) * (c / (d * (d + c)))
            - at(m - 2) * ((d + c) / (d * c))
            + at(-1) * ((2.0 * c + d) / (c * (d + c))),
        )
    kind = as_array(current(f)).dtype
    return concatenate([astype(p, kind) for p in (edges[0], inside, edges[1])], k)


# -------------------------------------------------------------------- interpolation and angles


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Straight lines between ``(xp, fp)``; at a knot the slope is the smaller of its two, 0 between signs.

    Beyond the first and the last knot it is constant, so that the slope at these is 0.
    """
    kind = np.complex128 if np.iscomplexobj(current(as_operand(fp))) else np.float64
    x, xp, fp = (as_operand(v) if type(v) is float else as_operand(v) * 1.0 for v in (x, xp, fp))
    x, xp, fp = _double(x, np.float64), _double(xp, np.float64), _double(fp, kind)
    if len(shape_of(xp)) != 1 or shape_of(xp) != shape_of(fp) or not shape_of(xp)[0]:
        raise ValueError(
            f"interp: xp has shape {shape_of(xp)}, fp {shape_of(fp)}; expected one axis of the same length"
        )
    if period is not None:
        if np.any(current(period) == 0):
            raise ValueError("interp: period is 0, expected another number")
        x, xp = ar.remainder(x, abs(period)), ar.remainder(xp, abs(period))
        order = np.argsort(current(xp))
        xp, fp = take(xp, order), take(fp, order)
        xp = concatenate([sliced(xp, 0, -1, None) - abs(period), xp, sliced(xp, 0, 0, 1) + abs(period)])
        fp = concatenate([sliced(fp, 0, -1, None), fp, sliced(fp, 0, 0, 1)])
        left = right = None
    n = shape_of(xp)[0]
    at = as_array(current(x))
    i = np.clip(np.searchsorted(current(xp), at, side="right") - 1, 0, max(n - 2, 0))
    x0, f0 = take(xp, i), take(fp, i)
    y = f0 + where(np.isnan(at), x, 0.0)
    if n > 1:
        slopes = diff(fp) / diff(xp)
        slope, before = take(slopes, i), take(slopes, np.maximum(i - 1, 0))
        knot = at == current(x0)
        a, b = current(slope), current(before)
        if kind is np.float64:
            slope = where(knot, where(a * b <= 0, 0.0, where(np.abs(a) <= np.abs(b), slope, before)), slope)
        ends = (at <= current(xp)[0]) | (at >= current(xp)[-1])
        y = where(ends, y, slope * (x - x0) + f0)
    first, last = sh.getitem(fp, 0), sh.getitem(fp, -1)
    y = where(at >= current(xp)[-1], last, y)
    y = where(at > current(xp)[-1], last if right is None else as_operand(right), y)
    return where(at < current(xp)[0], first if left is None else as_operand(left), y)


def _double(x: Any, kind: Any) -> Any:
    return x if type(x) is float or as_array(current(x)).dtype == kind else astype(x, kind)


def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    """Whole periods are added where the steps are too large; how many does not change with ``p``."""
    p = as_operand(p)
    plain = np.unwrap(current(p), current(discont), axis, period=current(period))
    turns = np.rint((plain - current(p)) / current(period))
    return astype(p + turns * period, plain.dtype)


# -------------------------------------------------------------------- sequences


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    """``start + t (stop - start)``, t from 0 to 1."""
    start, stop = as_operand(start) * 1.0, as_operand(stop) * 1.0
    div = num - 1 if endpoint else num
    step = (stop - start) / div if div > 0 else np.nan * (stop - start)
    n = len(shape_of(step))
    t = np.arange(num, dtype=as_array(current(step)).real.dtype).reshape(-1, *(1,) * n)
    y = start + t * step if div > 0 else start + t * 0.0 * (stop - start)
    if endpoint and num > 1:
        y = where(t == num - 1, stop, y)
    y = sh.transpose(y, _to(axis_of("linspace", y, axis), n + 1))
    y = y if dtype is None else astype(y, dtype)
    return (y, step) if retstep else y


def _to(k: int, n: int) -> tuple[int, ...]:
    """The order of axes that brings the first to ``k``."""
    return (*range(1, k + 1), 0, *range(k + 1, n))


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None,
    axis: int = 0,
) -> Any:  # fmt: skip
    base = as_operand(base)
    if n := len(shape_of(base)):  # one for each of the sequences, which get as many axes
        n = builtins.max(n, *(len(shape_of(as_operand(x))) for x in (start, stop)))
        given = map(as_operand, (start, stop, base))
        start, stop, base = (reshape(x, (1,) * (n - len(shape_of(x))) + shape_of(x)) for x in given)
        base = expand_dims(base, axis)
    y = ar.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else astype(y, dtype)


def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """``start (stop / start)^t``, t from 0 to 1."""
    start, stop = as_operand(start) * 1.0, as_operand(stop) * 1.0
    ratio = stop / start
    kind = np.result_type(np.float64, as_array(current(ratio)).real)
    t = linspace(np.zeros((), kind), 1.0, num, endpoint)
    n = len(shape_of(ratio))
    y = start * ar.power(ratio, t.reshape(-1, *(1,) * n))
    if endpoint and num > 1:
        y = where(t.reshape(-1, *(1,) * n) == 1, stop, y)
    y = sh.transpose(y, _to(axis_of("geomspace", y, axis), n + 1))
    return y if dtype is None else astype(y, dtype)
