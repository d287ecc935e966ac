"""Mistakes to plant in the rules, to see that the checks find them.

`systematic` makes the same few mistakes in every primitive there is: a sign, a factor, a derivative
forgotten, operands exchanged, a mask left out. `by_hand` are those that people make: a sum over the
wrong axis, a transpose forgotten, an index off by one, the whole derivative to each of two that tie.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from chainrule import graph, primitive
from chainrule.primitive import Bilinear, Elementwise, Lanes, Linear, Primitive, Special, raw
from chainrule.rules import arithmetic as ar
from chainrule.rules import elementary as el
from chainrule.rules import matrix as mx
from chainrule.rules import reduction as rd
from chainrule.rules import shape as sh
from chainrule.sweeps import adjoint
from chainrule.value import Value

Plant = Callable[[pytest.MonkeyPatch], None]


class Mutant(NamedTuple):
    """A mistake, and the primitive it is in; None if it concerns them all."""

    name: str
    primitive: Primitive | None
    plant: Plant


def setting(target: Any, attribute: str, new: Any) -> Plant:
    return lambda patch: patch.setattr(target, attribute, new)


# -------------------------------------------------------------------- the same mistakes everywhere


def systematic(p: Primitive) -> Iterator[Mutant]:
    for name, attribute, new in {Elementwise: partials, Linear: transpose, Bilinear: transposes, Special: push_and_pull}[
        type(p)
    ](p):
        yield Mutant(f"{p.name}: {name}", p, setting(p, attribute, new))


# Their partials are constant pieces, so cutting these off from the graph is no mistake.
PIECEWISE = {ar.remainder, ar.fmod, ar.maximum, ar.minimum, ar.fmax, ar.fmin, ar.leaky_relu, ar.copysign, ar.ldexp} | {
    p for p in vars(ar).values() if isinstance(p, Elementwise) and p.name == "absolute"
}


def partials(p: Any) -> Iterator[tuple[str, str, Any]]:
    def with_one(i: int, new: Any) -> tuple[Any, ...]:
        return (*p.partials[:i], new, *p.partials[i + 1 :])

    for i, d in enumerate(p.partials):
        if d is None:
            continue
        yield f"sign of partial {i}", "partials", with_one(i, _scaled(d, -1))
        yield f"partial {i} doubled", "partials", with_one(i, _scaled(d, 2))
        yield f"partial {i} forgotten", "partials", with_one(i, None)
        if callable(d) and p not in PIECEWISE:
            yield f"partial {i} cut off from the graph", "partials", with_one(i, _cut_off(d))
    if len(p.partials) == 2 and None not in p.partials and p.partials[0] != p.partials[1]:
        yield "partials exchanged", "partials", p.partials[::-1]
    if p.lanes is not None:
        yield "no masks", "lanes", None
        yield "masks inverted", "lanes", tuple(t and _inverted(t) for t in p.lanes)


def _scaled(d: Any, factor: float) -> Any:
    if not callable(d):
        return d * factor
    return lambda *args, **params: d(*args, **params) * factor


def _cut_off(d: Any) -> Any:
    return lambda *args, **params: d(*map(raw, args), **params)


def _inverted(taken: Any) -> Any:
    return lambda *args, **params: np.logical_not(taken(*args, **params))


def transpose(p: Any) -> Iterator[tuple[str, str, Any]]:
    def changed(change: Callable[[Any], Any]) -> Any:
        def wrong(g: Any, *args: Any, **params: Any) -> Any:
            cs = p_transpose(g, *args, **params)
            return [change(c) for c in cs] if len(args) > 1 else change(cs)

        return wrong

    p_transpose = p.transpose
    yield "sign of the transpose", "transpose", changed(lambda c: -c)
    yield "transpose doubled", "transpose", changed(lambda c: c + c)
    yield "transpose forgotten", "transpose", changed(lambda c: 0.0 * c)
    if p.name == "concatenate":
        yield "parts exchanged", "transpose", lambda g, *xs, axis: list(p_transpose(g, *xs[::-1], axis=axis))


def transposes(p: Any) -> Iterator[tuple[str, str, Any]]:
    left, right = p.transposes
    yield "sign of the left transpose", "transposes", (_scaled(left, -1), right)
    yield "sign of the right transpose", "transposes", (left, _scaled(right, -1))
    yield "left transpose doubled", "transposes", (_scaled(left, 2), right)
    yield "right transpose doubled", "transposes", (left, _scaled(right, 2))
    yield "left transpose forgotten", "transposes", (_scaled(left, 0), right)
    yield "right transpose forgotten", "transposes", (left, _scaled(right, 0))
    yield "transposes exchanged", "transposes", (right, left)
    yield "left transpose cut off from the graph", "transposes", (_cut_off_but_first(left), right)


def _cut_off_but_first(transpose: Any) -> Any:
    return lambda g, *args, **params: transpose(g, *map(raw, args), **params)


def push_and_pull(p: Any) -> Iterator[tuple[str, str, Any]]:
    push, pull = p.stated_push, p.stated_pull
    yield "sign of the push", "stated_push", _scaled(push, -1)
    yield "push doubled", "stated_push", _scaled(push, 2)
    yield "push forgotten", "stated_push", lambda ts, *args, **params: None
    if pull is not None:

        def changed(change: Callable[[Any], Any]) -> Any:
            def wrong(*args: Any, **params: Any) -> Any:
                (c,) = pull(*args, **params)
                return (Lanes(change(c.value), c.alive) if type(c) is Lanes else change(c),)

            return wrong

        yield "sign of the pull", "stated_pull", changed(lambda c: -c)
        yield "pull doubled", "stated_pull", changed(lambda c: 2 * c)
        yield "pull forgotten", "stated_pull", lambda *args, **params: (None,)


# -------------------------------------------------------------------- the mistakes that people make


def everywhere(name: str, make: Callable[[Any], Any], home: Any = primitive) -> Plant:
    """Replace a function in every module that has imported it by name."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = getattr(home, name)
        wrong = make(right)
        for module in [m for key, m in sys.modules.items() if key.startswith("chainrule")]:
            if vars(module).get(name) is right:
                patch.setattr(module, name, wrong)

    return plant


def _cast_alone(fit: Any) -> Any:
    """The dtype, but not the shape."""
    return lambda c, like: c if np.shape(raw(c)) != np.shape(like) else fit(c, like)


def _shape_alone(fit: Any) -> Any:
    """The shape, but not the dtype."""
    return lambda c, like: fit(c, like if np.ndim(like) == 0 else np.empty(like.shape, raw(c).dtype if np.ndim(raw(c)) else float))


def _first_of_broadcast(x: Any, *, shape: Any) -> Any:
    """One of the elements where their sum belongs."""
    x = np.asarray(x)
    x = x[(0,) * (x.ndim - len(shape))]
    return x[tuple(slice(0, 1) if n == 1 else slice(None) for n in shape)]


def _wrong_axes(x: Any, *, shape: Any) -> Any:
    """Sums the axes from the other end."""
    x = np.asarray(x)
    return x.sum(axis=tuple(range(len(shape), x.ndim))).reshape(shape) if x.ndim > len(shape) else np.resize(x, shape)


def _flipped(g: Any, axis: int) -> Any:
    return sh.getitem(g, (slice(None),) * axis + (slice(None, None, -1),))


def _each_whole(ts: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    mask = raw(x) == np.reshape(raw(y), rd._kept(np.shape(raw(x)), axis))
    return np.reshape(np.sum(np.where(mask, ts[0], 0.0), axis=axis, keepdims=True), np.shape(raw(y)))


def _whole_pull(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    kept = rd._kept(np.shape(raw(x)), axis)
    return (np.where(raw(x) == np.reshape(raw(y), kept), np.reshape(g, kept), 0.0),)


def _without_mask(pull: Any) -> Any:
    return lambda *args, **params: tuple(c.value for c in pull(*args, **params))


def _off_by_one(g: Any, x: Any, *, width: Any) -> Any:
    return sh.getitem(g, tuple(slice(b + a - b, b + a - b + n) for (b, a), n in zip(width, np.shape(x), strict=True)))


def _unbroadcast_split(g: Any, *xs: Any, axis: int) -> Any:
    parts, start = [], 0
    for x in xs:
        n = np.shape(x)[axis]
        parts.append(sh.getitem(g, (slice(None),) * axis + (slice(max(start - 1, 0), max(start - 1, 0) + n),)))
        start += n
    return parts if len(parts) > 1 else parts[0]


def _assigned(g: Any, *, index: Any, shape: Any) -> Any:
    out = np.zeros(shape, np.asarray(g).dtype)
    out[index] = g
    return out


def _not_added(right: Any) -> Any:
    def add_grad(v: Value, g: Any) -> None:
        v._grad = None
        right(v, g)

    return add_grad


def _oldest_first(waiting: dict[int, Value], *args: Any) -> Iterator[Value]:
    while waiting:
        yield waiting.pop(min(waiting))


def _lost_lanes(accumulate: Any) -> Any:
    """Where both are masked, only what both were sent is taken for alive."""

    def wrong(a: Any, b: Any) -> Any:
        if type(a) is Lanes and type(b) is Lanes:
            return Lanes(np.where(a.alive & b.alive, a.value + b.value, 0.0), a.alive & b.alive)
        return accumulate(a, b)

    return wrong


def _product_over_factors(ts: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    return rd._shape_like(rd._total(ts[0] * rd._restore(y, x, axis) / x, axis), y)


def _first_alone(node: Value, g: Any, y: Any, args: Any, since: int, record: bool) -> Any:
    return RIGHT_TRANSPOSE_PUSH(node, g, y, args, since, record)[:1]


RIGHT_TRANSPOSE_PUSH = adjoint._transpose_push


def _left_push(self: Any, y: Any, args: Any, tangents: Any, params: Any) -> Any:
    (_, b), (da, db) = args, tangents
    return self(da, b, **params) if da is not None else self(args[0], db, **params)


def _last_push(right: Any) -> Any:
    """The last operand's part in the place of the sum."""

    def push(self: Any, y: Any, args: Any, tangents: Any, params: Any) -> Any:
        last = max((i for i, t in enumerate(tangents) if t is not None), default=0)
        return right(self, y, args, [t if i == last else None for i, t in enumerate(tangents)], params)

    return push


def _filled_push(self: Any, y: Any, args: Any, tangents: Any, params: Any) -> Any:
    """A missing tangent taken for one instead of zero."""
    full = [np.ones_like(raw(a)) if t is None else t for a, t in zip(args, tangents, strict=True)]
    return primitive.fit(self(*full, **params), raw(y))


S2 = el._sech2
BY_HAND: list[tuple[str, Primitive | None, Plant]] = [
    # fitting
    ("fit forgets to undo broadcasting", None, everywhere("fit", _cast_alone)),
    ("fit forgets the dtype", None, everywhere("fit", _shape_alone)),
    ("fit does nothing", None, everywhere("fit", lambda fit: lambda c, like: c)),
    ("undoing a broadcast takes one element", None, setting(primitive.sum_to, "run", _first_of_broadcast)),
    ("undoing a broadcast sums the wrong axes", None, setting(primitive.sum_to, "run", _wrong_axes)),
    ("undoing a broadcast takes the mean", None,
     setting(primitive.sum_to, "run", lambda x, *, shape: primitive.sum_to_raw(x, shape=shape) / max(np.size(x), 1))),
    ("a broadcast is not undone", primitive.broadcast_to,
     setting(primitive.broadcast_to, "transpose", lambda g, x, *, shape: g)),
    ("the imaginary part for the real one", None,
     setting(primitive.cast, "run", lambda x, *, dtype: np.imag(x) if np.iscomplexobj(x) else np.asarray(x, dtype)[()])),
    # dead lanes
    ("nothing is masked", None, everywhere("keep", lambda keep: lambda mask, c: c)),
    ("a computed zero counts as dead", None, everywhere("keep", lambda keep: lambda mask, c: keep(mask & (raw(c) != 0), c))),
    ("a mask of an operand is that of its last copy", None,
     everywhere("fit_mask", lambda f: lambda m, like: np.broadcast_to(np.ravel(m)[-1], np.shape(like)))),
    ("masks do not pass through linear operations", None,
     everywhere("Lanes", lambda right: lambda value, alive: value)),
    # the sweeps
    ("a later cotangent replaces the earlier", None, everywhere("accumulate", lambda f: lambda a, b: b, adjoint)),
    ("a later cotangent is dropped", None, everywhere("accumulate", lambda f: lambda a, b: a, adjoint)),
    ("cotangents are subtracted", None, everywhere("accumulate", lambda f: lambda a, b: f(a, -1.0 * b), adjoint)),
    ("only what both were sent is alive", None, everywhere("accumulate", _lost_lanes, adjoint)),
    ("nodes are taken before their consumers", None, everywhere("newest_first", lambda f: _oldest_first, graph)),
    ("a transposed push reaches one operand", None, setting(adjoint, "_transpose_push", _first_alone)),
    ("backward forgets what .grad held", None, everywhere("_add_grad", _not_added, adjoint)),
    ("a recorded sweep reads raw data", None, everywhere("_unchanged", lambda f: lambda node: node.args, adjoint)),
    ("the sweep back of an inner function stops nowhere", None,
     everywhere("adjoint", lambda f: lambda seeds, **o: f(seeds, **{**o, "until": -1}), adjoint)),
    ("the push of a product takes one side", None, setting(Bilinear, "push", _left_push)),
    ("the push of two operands takes the last", None, setting(Elementwise, "push", _last_push(Elementwise.push))),
    ("a missing tangent is one", None, setting(Linear, "push", _filled_push)),
    # reductions
    ("the sum is spread along the wrong axis", rd.sum_,
     setting(rd.sum_, "transpose", lambda g, x, *, axis, keepdims: primitive.broadcast_to(g, shape=np.shape(x)))),
    ("the mean forgets its count", rd.mean, setting(rd.mean, "transpose", rd._spread)),
    ("the mean counts everything", rd.mean,
     setting(rd.mean, "transpose", lambda g, x, *, axis, keepdims: rd._spread(
         g / np.size(x), x, axis=axis, keepdims=keepdims))),
    ("cumsum's transpose is not reversed", rd.cumsum,
     setting(rd.cumsum, "transpose", lambda g, x, *, axis: rd.cumsum(g, axis=axis))),
    ("cumsum's transpose is reversed once", rd.cumsum,
     setting(rd.cumsum, "transpose", lambda g, x, *, axis: rd.cumsum(_flipped(g, axis), axis=axis))),
    ("cumsum's transpose is exclusive", rd.cumsum,
     setting(rd.cumsum, "transpose", lambda g, x, *, axis: _flipped(rd.cumsum(_flipped(g, axis), axis=axis), axis) - g)),
    ("each that ties takes the whole tangent", rd.max_, setting(rd.max_, "stated_push", _each_whole)),
    ("each that ties takes the whole cotangent", rd.max_, setting(rd.max_, "stated_pull", _whole_pull)),
    ("max masks nothing", rd.max_, setting(rd.max_, "stated_pull", _without_mask(rd.max_.stated_pull))),
    ("prod divides by its factors", rd.prod, setting(rd.prod, "stated_push", _product_over_factors)),
    ("var forgets ddof", rd.var,
     setting(rd.var, "stated_push", lambda *a, ddof, **p: rd._var_push(*a, ddof=0, **p))),
    ("var is not centred", rd.var,
     setting(rd.var, "stated_push", lambda ts, y, x, *, axis, keepdims, ddof: rd._shape_like(
         rd._total(x * ts[0], axis) * (2 / (rd._count(x, axis) - ddof)), y))),
    ("norm divides by zero", rd.norm,
     setting(rd.norm, "stated_push", lambda ts, y, x, *, axis, keepdims: rd._shape_like(
         rd._total(x / rd._restore(y, x, axis) * ts[0], axis), y))),
    ("logsumexp overflows", rd.logsumexp,
     setting(rd.logsumexp, "stated_push", lambda ts, y, x, *, axis, keepdims: rd._shape_like(
         rd._total(ts[0] * el.exp(x), axis) / el.exp(y), y))),
    ("softmax forgets its normalisation", rd.softmax,
     setting(rd.softmax, "stated_pull", lambda g, y, x, *, axis: (y * g,))),
    ("log_softmax sums over everything", rd.log_softmax,
     setting(rd.log_softmax, "stated_pull", lambda g, y, x, *, axis: (
         g - el.exp(y) * rd._total(g, tuple(range(np.ndim(raw(g))))),))),
    # shapes and indices
    ("a transpose is its own inverse", sh._transpose_p,
     setting(sh._transpose_p, "transpose", lambda g, x, *, axes: sh._transpose_p(g, axes=axes))),
    ("reshape goes back in the other order", sh._reshape_p,
     setting(sh._reshape_p, "transpose", lambda g, x, *, shape: sh.transpose(
         sh._reshape_p(g, shape=np.shape(x)[::-1]), tuple(reversed(range(np.ndim(x))))))),
    ("pad cuts at the wrong end", sh.pad, setting(sh.pad, "transpose", _off_by_one)),
    ("concatenate cuts one too early", sh._concatenate_p, setting(sh._concatenate_p, "transpose", _unbroadcast_split)),
    ("an element taken twice counts once", sh.scatter, setting(sh.scatter, "run", _assigned)),
    # products
    ("matmul forgets the left transpose", mx.matmul,
     setting(mx.matmul, "transposes", (lambda g, a, b: mx.matmul(g, b), mx.matmul.transposes[1]))),
    ("matmul forgets the right transpose", mx.matmul,
     setting(mx.matmul, "transposes", (mx.matmul.transposes[0], lambda g, a, b: mx.matmul(a, g)))),
    ("matmul multiplies in the wrong order", mx.matmul,
     setting(mx.matmul, "transposes", (
         lambda g, a, b: mx.matmul(mx.matrix_transpose(b), g), mx.matmul.transposes[1]))),
    ("a diagonal is spread over the matrix", mx.einsum1,
     setting(mx.einsum1, "transpose", lambda g, x, *, subscripts: primitive.broadcast_to(
         mx._einsum_one_transpose(g, x, subscripts=subscripts) * 0 + np.sum(raw(g)), shape=np.shape(x)))),
    # elementwise, at the points that need a word
    ("maximum gives each that ties the whole", ar.maximum, setting(ar.maximum, "partials", (1, 1))),
    ("minimum gives nobody that ties anything", ar.minimum,
     setting(ar.minimum, "lanes", (lambda z, x, y: np.less(x, y), lambda z, x, y: np.less(y, x)))),
    ("clip moves at its bounds", ar.clip,
     setting(ar.clip, "lanes", (lambda z, x, a, b: np.logical_not((x < a) | (x > b)), *ar.clip.lanes[1:]))),
    ("relu rises at zero", ar.relu, setting(ar.relu, "lanes", (lambda y, x: np.greater_equal(x, 0),))),
    ("abs rises at zero", ar._absolute, setting(ar._absolute, "partials", (lambda y, x: np.where(x >= 0, 1.0, -1.0),))),
    ("1 - tanh² has lost its digits", el.tanh, setting(el.tanh, "partials", (lambda y, x: 1 - y * y,))),
    ("s(1 - s) has lost its digits", el.sigmoid, setting(el.sigmoid, "partials", (lambda y, x: y * (1 - y),))),
    ("x to the power 0 divides by x", ar.power,
     setting(ar.power, "partials", (lambda z, x, y: z * y / x, ar.power.partials[1]))),
    ("0 to the power y takes a logarithm", ar.power,
     setting(ar.power, "partials", (ar.power.partials[0], lambda z, x, y: z * el.log(x)))),
    ("hypot divides by zero", ar.hypot, setting(ar.hypot, "partials", (lambda z, x, y: x / z, lambda z, x, y: y / z))),
    ("the quotient squares its divisor", ar.divide,
     setting(ar.divide, "partials", (ar.divide.partials[0], lambda z, x, y: -x / (y * y)))),
    ("x log x forgets that 0 log 0 is 0", el.xlogy,
     setting(el.xlogy, "partials", (el.xlogy.partials[0], lambda z, x, y: x / y))),
    ("log takes negative numbers", el.log, setting(el.log, "partials", (lambda y, x: 1 / x,))),
    ("the conjugate of a cotangent is forgotten", ar.conj, setting(ar.conj, "transpose", lambda g, z: g)),
    ("stop_gradient lets everything pass", None,
     lambda patch: patch.setattr(sys.modules["chainrule.derivatives"]._stop, "partials", (1,))),
    ("nan_to_num passes what it replaced", ar.nan_to_num, setting(ar.nan_to_num, "lanes", None)),
]  # fmt: skip
by_hand = [Mutant(*m) for m in BY_HAND]
