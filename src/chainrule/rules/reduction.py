"""Reductions and cumulative operations.

``axis`` is a tuple of axes counted from the front (an empty one reduces nothing), ``keepdims`` a
bool: `chainrule.numpy` brings NumPy's other conventions into this form.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.primitives import Lanes, Linear, Reach, Special, as_array, broadcast_to, raw, where
from chainrule.rules.arithmetic import conj, is_result
from chainrule.rules.arithmetic import real as real_part
from chainrule.rules.elementary import exp, sqrt
from chainrule.rules.shape import concatenate, getitem, reshape, sliced
from chainrule.traced import Traced

Axes = tuple[int, ...]


def _kept(shape: tuple[int, ...], axis: Axes) -> tuple[int, ...]:
    return tuple(1 if i in axis else n for i, n in enumerate(shape))


def _restore(g: Any, x: Any, axis: Axes) -> Any:
    """A reduced array with its axes back, as ones, so that it broadcasts against ``x``."""
    return reshape(g, _kept(np.shape(raw(x)), axis))


def _count(x: Any, axis: Axes) -> int:
    shape = np.shape(raw(x))
    return math.prod(shape[i] for i in axis)


def _spread_mask(alive: Any, x: Any, axis: Axes) -> Any:
    return np.broadcast_to(np.reshape(alive, _kept(np.shape(x), axis)), np.shape(x))


# What of a row is alive, or moves, does so for all that was made of the row.
REDUCED = Reach(
    lambda m, *, axis, keepdims=False, **_: np.any(m, axis=axis, keepdims=keepdims),
    lambda alive, x, *, axis, **_: (_spread_mask(alive, x, axis),),
)
ALONG = Reach(
    lambda m, *, axis, **_: np.broadcast_to(np.any(m, axis=axis, keepdims=True), np.shape(m)),
    lambda alive, x, *, axis, **_: (_spread_mask(np.any(alive, axis=axis, keepdims=True), x, axis),),
)


# -------------------------------------------------------------------- sums


def _spread(g: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    return broadcast_to(_restore(g, x, axis), shape=np.shape(x))


sum_ = Linear(
    lambda x, *, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims), _spread, name="sum", symbol="Σ"
)
mean = Linear(
    lambda x, *, axis, keepdims: np.mean(x, axis=axis, keepdims=keepdims),
    lambda g, x, *, axis, keepdims: _spread(g / _count(x, axis), x, axis=axis, keepdims=keepdims),
    name="mean",
)


def _total(x: Any, axis: Axes) -> Any:
    return sum_(x, axis=axis, keepdims=True)


def _centred(x: Any, axis: Axes) -> Any:
    return x - mean(x, axis=axis, keepdims=True)


def _shape_like(t: Any, y: Any) -> Any:
    return reshape(t, np.shape(raw(y)))


def _var_push(ts: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool, ddof: float) -> Any:
    (t,) = ts
    c = _centred(x, axis)
    return _shape_like(_total(real_part(conj(c) * t), axis) * (2 / (_count(x, axis) - ddof)), y)


def _constant(x: Any, axis: Axes) -> Any:
    """Whether all are equal: their std is the smallest there is, with derivative 0, though it may round."""
    x = raw(x)
    first = as_array(x)[tuple(slice(0, 1) if k in axis else slice(None) for k in range(np.ndim(x)))]
    return np.all(x == first, axis=axis, keepdims=True)


def _std_push(ts: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool, ddof: float) -> Any:
    (t,) = ts
    s = _restore(y, x, axis)
    u = where(_constant(x, axis) | (s == 0), 0.0, _centred(x, axis) / s)
    return _shape_like(_total(real_part(conj(u) * t), axis) / (_count(x, axis) - ddof), y)


var = Special(
    lambda x, *, axis, keepdims, ddof: np.var(x, axis=axis, keepdims=keepdims, ddof=ddof),
    _var_push,
    reach=REDUCED,
    name="var",
)
std = Special(
    lambda x, *, axis, keepdims, ddof: np.std(x, axis=axis, keepdims=keepdims, ddof=ddof),
    _std_push,
    reach=REDUCED,
    name="std",
)


# -------------------------------------------------------------------- mean 0 and variance 1


def _standardise(x: Any, *, axis: Axes, eps: float, centre: bool) -> Any:
    c = x - np.mean(x, axis=axis, keepdims=True) if centre else x
    return c * (1.0 / np.sqrt(np.mean(c * c, axis=axis, keepdims=True) + eps))


def _standardise_map(t: Any, y: Any, x: Any, axis: Axes, eps: float, centre: bool) -> Any:
    """(t - mean t - y mean(y t)) / √(σ² + ε): symmetric, so that tangents and cotangents share it."""
    c = _centred(x, axis) if centre else x
    s = sqrt(mean(c * c, axis=axis, keepdims=True) + eps)
    moved = t - y * mean(y * t, axis=axis, keepdims=True)
    return (moved - mean(t, axis=axis, keepdims=True) if centre else moved) * (1.0 / s)


# (x - μ) / √(σ² + ε); without the centre x / √(mean x² + ε).
standardise = Special(
    _standardise,
    lambda ts, y, x, *, axis, eps, centre: _standardise_map(ts[0], y, x, axis, eps, centre),
    lambda g, y, x, *, axis, eps, centre: (_standardise_map(g, y, x, axis, eps, centre),),
    ALONG,
    name="standardise",
)

# -------------------------------------------------------------------- the Euclidean norm


def _norm(x: Any, *, axis: Axes, keepdims: bool) -> Any:
    a = np.abs(x)
    with np.errstate(over="ignore", under="ignore"):
        y = np.sqrt(np.sum(a * a, axis=axis, keepdims=True))
        big = np.max(a, axis=axis, keepdims=True, initial=0.0)
        limits = np.finfo(y.dtype)
        far = (big != 0) & np.isfinite(big) & (np.isinf(y) | (y < np.sqrt(limits.tiny) / limits.eps))
        if type(far) is Traced or np.any(far):  # the squares left the range of floats
            scale = np.where(far, big, 1)
            y = np.where(far, scale * np.sqrt(np.sum((a / scale) ** 2, axis=axis, keepdims=True)), y)
    y = y.astype(a.dtype)
    return y if keepdims else np.squeeze(y, axis)[()]


def _norm_push(ts: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    (t,) = ts
    s = _restore(y, x, axis)
    u = where(s == 0, 0.0, x / s)
    return _shape_like(_total(real_part(conj(u) * t), axis), y)


# At 0 the derivative is 0, the subgradient of smallest norm.
norm = Special(_norm, _norm_push, reach=REDUCED, name="norm", symbol="‖·‖")


def _square_of_norm_push(ts: Any, y: Any, n: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    tn, tx = ts
    zero = raw(n) == 0
    through = None if tn is None else where(zero, 0.0, 2 * n * tn)
    if tx is None:
        return through
    direct = where(zero, _shape_like(_total(2 * real_part(conj(x) * tx), axis), y), 0.0)
    return direct if through is None else through + direct


# ‖x‖² is smooth at 0 where ‖x‖ is not: there, and only there, its derivative goes to x itself.
square_of_norm = Special(
    lambda n, x, *, axis, keepdims: n * n,
    _square_of_norm_push,
    reach=Reach(
        lambda n, x, **how: n | REDUCED.moves(x, **how),
        lambda alive, n, x, **how: (alive, *REDUCED.reaches(alive, x, **how)),
    ),
    name="square_of_norm",
    symbol="‖·‖²",
)


# -------------------------------------------------------------------- extremes


def _evenly(y: Any, x: Any, axis: Axes) -> tuple[Any, Any]:
    """Which elements are the extreme one (all nan ones, if it is nan), and each one's share."""
    x, y = raw(x), np.reshape(raw(y), _kept(np.shape(raw(x)), axis))
    mask = is_result(y, x)
    return mask, mask / np.sum(mask, axis=axis, keepdims=True).astype(as_array(x).real.dtype)


def _extreme(run: Any) -> Special:
    def push(ts: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
        mask, share = _evenly(y, x, axis)
        return _shape_like(_total(where(mask, ts[0] * share, 0.0), axis), y)

    def pull(g: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
        mask, share = _evenly(y, x, axis)
        return (Lanes(where(mask, _restore(g, x, axis) * share, 0.0), mask),)

    name = run.__name__.removeprefix("a")
    return Special(
        lambda x, *, axis, keepdims: run(x, axis=axis, keepdims=keepdims), push, pull, REDUCED, name=name
    )


max_, min_ = _extreme(np.amax), _extreme(np.amin)


def _among(best: np.ufunc, x: Any, axis: Axes) -> Any:
    """The extreme over axes, kept as ones; of few elements one by one: NumPy is slow over short axes."""
    sizes = [n if i in axis else 1 for i, n in enumerate(np.shape(x))]
    if type(x) is not np.ndarray or not 1 < math.prod(sizes) <= 16:
        return (np.max if best is np.maximum else np.min)(x, axis=axis, keepdims=True)
    every = [
        x[tuple(slice(k, k + 1) if i in axis else slice(None) for i, k in enumerate(index))]
        for index in np.ndindex(*sizes)
    ]
    y = best(every[0], every[1])
    for other in every[2:]:
        best(y, other, out=y)
    return y


def _is_first(y: Any, x: Any, axis: Axes) -> Any:
    """Where the first maximum is: of the elements that are not less, numbered, the one of smallest number.

    (Under a nan nothing is less, so that it is the first element.)
    """
    x, y = raw(x), np.reshape(raw(y), _kept(np.shape(raw(x)), axis))
    sizes = tuple(n if i in axis else 1 for i, n in enumerate(np.shape(x)))
    count = math.prod(sizes)
    number = np.arange(count, dtype=as_array(x).dtype).reshape(sizes)
    return number == _among(np.minimum, np.where(x < y, float(count), number), axis)


def _first_max_push(ts: Any, y: Any, x: Any, *, axis: Axes) -> Any:
    return _shape_like(_total(where(_is_first(y, x, axis), ts[0], 0.0), axis), y)


def _first_max_pull(g: Any, y: Any, x: Any, *, axis: Axes) -> Any:
    mask = _is_first(y, x, axis)
    return (Lanes(where(mask, _restore(g, x, axis), 0.0), mask),)


# Of equal ones the first has all of the derivative: pooling needs no count of them, and is as elsewhere.
first_max = Special(
    lambda x, *, axis: np.squeeze(_among(np.maximum, x, axis), axis),
    _first_max_push,
    _first_max_pull,
    REDUCED,
    name="first_max",
    symbol="max",
)


# -------------------------------------------------------------------- products


MANY = 64  # factors from which a product is divided by each of them rather than built up without it


def _divisible(y: Any, x: Any, axis: Axes) -> bool:
    """Whether products of many factors can be divided by each: no zero, nothing near the ends of range."""
    y, x = raw(y), raw(x)
    if _count(x, axis) < MANY or type(x) is Traced:
        return False
    sizes = [np.abs(y), np.abs(x)]
    least = float(np.finfo(sizes[1].dtype).tiny) ** (1 / 4)
    return all(bool(np.all((least < size) & (size < 1 / least))) for size in sizes)


def _prod_push(ts: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    """Multiply pairs (x, dx) as in a tournament: exact with any number of zeros, to any order."""
    (t,) = ts
    if _divisible(y, x, axis):
        return y * sum_(t / x, axis=axis, keepdims=keepdims)
    for k in axis:
        n = np.shape(raw(x))[k]
        if n == 0:
            return None
        while n > 1:
            h = n // 2
            a, b = sliced(x, k, 0, h), sliced(x, k, h, 2 * h)
            da, db = sliced(t, k, 0, h), sliced(t, k, h, 2 * h)
            p, dp = a * b, da * b + a * db
            if n % 2:
                p = concatenate([p, sliced(x, k, n - 1, n)], k)
                dp = concatenate([dp, sliced(t, k, n - 1, n)], k)
            x, t, n = p, dp, h + n % 2
    return _shape_like(t, y)


prod = Special(
    lambda x, *, axis, keepdims: np.prod(x, axis=axis, keepdims=keepdims),
    _prod_push,
    reach=REDUCED,
    name="prod",
    symbol="Π",
)


def _cumprod_push(ts: Any, y: Any, x: Any, *, axis: int) -> Any:
    """Pairs (x, dx) multiplied by their neighbours 1, 2, 4, ... to the left: exact with zeros."""
    (t,) = ts
    if _divisible(y, x, (axis,)):
        return y * cumsum(t / x, axis=axis)
    n, step = np.shape(raw(x))[axis], 1
    while step < n:
        a, da = sliced(x, axis, 0, n - step), sliced(t, axis, 0, n - step)
        b, db = sliced(x, axis, step, n), sliced(t, axis, step, n)
        head, dhead = sliced(x, axis, 0, step), sliced(t, axis, 0, step)
        x, t = concatenate([head, a * b], axis), concatenate([dhead, da * b + a * db], axis)
        step *= 2
    return t


cumprod = Special(
    lambda x, *, axis: np.cumprod(x, axis),
    _cumprod_push,
    reach=Reach(
        lambda m, *, axis: np.cumsum(m, axis) > 0,
        lambda alive, x, *, axis: (np.flip(np.cumsum(np.flip(alive, axis), axis), axis) > 0,),
    ),
    name="cumprod",
)


def _cumsum_transpose(g: Any, x: Any, *, axis: int) -> Any:
    back = (slice(None),) * axis + (slice(None, None, -1),)
    return getitem(cumsum(getitem(g, back), axis=axis), back)


cumsum = Linear(lambda x, *, axis: np.cumsum(x, axis), _cumsum_transpose, name="cumsum")


# -------------------------------------------------------------------- the softmax family


def _log_sum_exp(x: Any, *, axis: Axes, keepdims: bool) -> Any:
    if _count(x, axis) == 0:
        return np.sum(x, axis=axis, keepdims=keepdims) - np.inf
    top = np.max(x, axis=axis, keepdims=True)
    shift = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        y = np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=True)) + shift
    return y if keepdims else np.squeeze(y, axis)[()]


def _weights(y: Any, x: Any, axis: Axes) -> Any:
    """softmax(x), given y = logsumexp(x): 0 in a row of -inf, even among infinities."""
    s = _restore(y, x, axis)
    top = raw(s)
    infinite = np.isposinf(top)
    w = exp(x - where(np.isfinite(top), s, 0.0))
    if type(infinite) is Traced or np.any(infinite):
        hit = np.isposinf(raw(x))
        share = hit / np.maximum(np.sum(hit, axis=axis, keepdims=True), 1)
        w = where(infinite, share, w)
    return w


def _log_sum_exp_push(ts: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    return _shape_like(_total(ts[0] * _weights(y, x, axis), axis), y)


logsumexp = Special(_log_sum_exp, _log_sum_exp_push, reach=REDUCED, name="logsumexp")


def _softmax(x: Any, *, axis: Axes) -> Any:
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    e = np.exp(x - np.where(np.isfinite(top), top, 0))
    total = np.sum(e, axis=axis, keepdims=True)
    return e / np.where(total == 0, 1, total)


def _log_softmax(x: Any, *, axis: Axes) -> Any:
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    z = x - np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        total = np.log(np.sum(np.exp(z), axis=axis, keepdims=True))
    return z - np.where(np.isneginf(total), 0, total)


def _softmax_pull(g: Any, y: Any, x: Any, *, axis: Axes) -> Any:
    return (y * (g - _total(y * g, axis)),)


# A row of -inf alone is masked out: its softmax is 0 and its log_softmax -inf, with derivative 0.
softmax = Special(
    _softmax,
    lambda ts, y, x, *, axis: y * (ts[0] - _total(y * ts[0], axis)),
    _softmax_pull,
    ALONG,
    name="softmax",
)
log_softmax = Special(
    _log_softmax,
    lambda ts, y, x, *, axis: ts[0] - _total(exp(y) * ts[0], axis),
    lambda g, y, x, *, axis: (g - exp(y) * _total(g, axis),),
    ALONG,
    name="log_softmax",
)

