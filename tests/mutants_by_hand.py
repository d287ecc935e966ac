"""Mistakes that people make in rules, to see that the checks find them.

A sum over the wrong axis, a transpose forgotten, an index off by one, the whole derivative to each of
two that tie, a zero divided by itself; and in the sweeps what concerns every rule.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from chainrule import derivatives, graph, primitives, versions
from chainrule.numpy import assignment
from chainrule.primitives import Bilinear, Elementwise, Lanes, Linear, raw
from chainrule.rules import arithmetic as ar
from chainrule.rules import elementary as el
from chainrule.rules import matrix as mx
from chainrule.rules import reduction as rd
from chainrule.rules import shape as sh
from chainrule.sweeps import adjoint
from chainrule.value import Value
from tests.mutants import Mutant, Plant, setting

versions_window, assignment_over = versions.window, assignment._over  # the right ones


def everywhere(home: Any, name: str, make: Callable[[Any], Any]) -> Plant:
    """Replace a function in every module that has imported it by name."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = getattr(home, name)
        wrong = make(right)
        for module in [m for key, m in sys.modules.items() if key.startswith("chainrule")]:
            if vars(module).get(name) is right:
                patch.setattr(module, name, wrong)

    return plant


def _hidden(wrong: Callable[..., Any], right: Callable[..., Any]) -> Callable[..., Any]:
    """The mistake where shapes do not give it away: between square matrices, say."""

    def rule(*args: Any, **params: Any) -> Any:
        c = right(*args, **params)
        try:
            mistaken = wrong(*args, **params)
        except ValueError:
            return c
        return mistaken if np.shape(raw(mistaken)) == np.shape(raw(c)) else c

    return rule


def _cast_alone(fit: Any) -> Any:
    """The dtype, but not the shape."""
    return lambda c, like: c if np.shape(raw(c)) != np.shape(like) else fit(c, like)


def _shape_alone(fit: Any) -> Any:
    """The shape, but not the dtype."""
    return lambda c, like: fit(
        c, like if np.ndim(like) == 0 else np.empty(like.shape, raw(c).dtype if np.ndim(raw(c)) else float)
    )


def _first_of_broadcast(x: Any, *, shape: Any) -> Any:
    """One of the elements where their sum belongs."""
    x = np.asarray(x)
    x = x[(0,) * (x.ndim - len(shape))]
    return x[tuple(slice(0, 1) if n == 1 else slice(None) for n in shape)]


def _wrong_axes(x: Any, *, shape: Any) -> Any:
    """Sums the axes from the other end."""
    x = np.asarray(x)
    return (
        x.sum(axis=tuple(range(len(shape), x.ndim))).reshape(shape)
        if x.ndim > len(shape)
        else np.resize(x, shape)
    )


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


def _from_the_end(g: Any, x: Any, *, width: Any) -> Any:
    return sh.getitem(
        g, tuple(slice(after, after + n) for (_, after), n in zip(width, np.shape(x), strict=True))
    )


def _one_too_early(g: Any, *xs: Any, axis: int) -> Any:
    parts, start = [], 0
    for x in xs:
        n = np.shape(x)[axis]
        parts.append(
            sh.getitem(g, (slice(None),) * axis + (slice(max(start - 1, 0), max(start - 1, 0) + n),))
        )
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
    taken = set()
    while waiting:
        node = waiting.pop(min(waiting))
        if node not in taken:
            taken.add(node)
            yield node


def _lost_lanes(accumulate: Any) -> Any:
    """Where both are masked, only what both were sent is taken for alive."""

    def wrong(a: Any, b: Any) -> Any:
        if type(a) is Lanes and type(b) is Lanes:
            return Lanes(np.where(a.alive & b.alive, a.value + b.value, 0.0), a.alive & b.alive)
        return accumulate(a, b)

    return wrong


def _product_over_factors(ts: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    return rd._shape_like(rd._total(ts[0] * rd._restore(y, x, axis) / x, axis), y)


def _alive_by_value(right: Any) -> Any:
    """Every zero taken for one that nobody sent."""
    return lambda self, value, alive: right(self, value, alive & (raw(value) != 0))


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
    return primitives.fit(self(*full, **params), raw(y))


def _mean_to(x: Any, *, shape: Any) -> Any:
    return primitives.sum_to_raw(x, shape=shape) / max(np.size(x), 1)


def _imaginary(x: Any, *, dtype: Any) -> Any:
    return np.imag(x) if np.iscomplexobj(x) else np.asarray(x, dtype)[()]


def _last_copy(fit_mask: Any) -> Any:
    return lambda mask, like: fit_mask(mask if mask.shape == np.shape(like) else mask[-1:], like)


def _all_alive(fit_mask: Any) -> Any:
    return lambda mask, like: mask if mask.shape == np.shape(like) else np.ones(np.shape(like), bool)


def _from_one(transpose_push: Any) -> Any:
    return lambda node, g, *rest: transpose_push(node, 0 * (g.value if type(g) is Lanes else g) + 1, *rest)


def _on_raw_data(transpose_push: Any) -> Any:
    return lambda node, g, y, args, since, record: transpose_push(
        node, raw(g), raw(y), tuple(map(raw, args)), since, False
    )


def _not_stopped(sweep: Any) -> Any:
    return lambda seeds, **options: sweep(seeds, **{**options, "until": -1})


def _spread_unrestored(g: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    return primitives.broadcast_to(g, shape=np.shape(x))


def _other_order(g: Any, x: Any, *, shape: Any) -> Any:
    """Column by column instead of row by row."""
    return sh.transpose(sh._reshape_p(g, shape=np.shape(x)[::-1]), tuple(reversed(range(np.ndim(x)))))


def _off_the_diagonal(transpose: Any) -> Any:
    return lambda g, x, **p: (
        transpose(g, x, **p) * 0 + primitives.broadcast_to(np.sum(raw(g)), shape=np.shape(x))
    )


LEFT, RIGHT = mx.matmul.transposes

# What every rule relies on: fitting, dead lanes, the sweeps.
ENGINE: list[tuple[str, Plant]] = [
    ("fit forgets to undo broadcasting", everywhere(primitives, "fit", _cast_alone)),
    ("fit forgets the dtype", everywhere(primitives, "fit", _shape_alone)),
    ("fit does nothing", everywhere(primitives, "fit", lambda f: lambda c, like: c)),
    ("undoing a broadcast takes one element", setting(primitives.sum_to, "run", _first_of_broadcast)),
    ("undoing a broadcast sums the wrong axes", setting(primitives.sum_to, "run", _wrong_axes)),
    ("undoing a broadcast takes the mean", setting(primitives.sum_to, "run", _mean_to)),
    ("the imaginary part for the real one", setting(primitives.cast, "run", _imaginary)),
    ("nothing is masked", everywhere(primitives, "keep", lambda f: lambda mask, c: c)),
    ("a computed zero counts as dead", setting(Lanes, "__init__", _alive_by_value(Lanes.__init__))),
    ("a mask of an operand is that of its last copy", everywhere(primitives, "fit_mask", _last_copy)),
    ("a mask is forgotten where an operand was broadcast", everywhere(primitives, "fit_mask", _all_alive)),
    (
        "masks do not pass through operations",
        everywhere(primitives, "Lanes", lambda f: lambda value, alive: value),
    ),
    ("what no index picked is sent a zero", setting(sh._getitem_p, "selects", False)),
    ("nan is not noticed", everywhere(adjoint, "has_nan", lambda f: lambda cotangents: False)),
    ("a later cotangent replaces the earlier", everywhere(adjoint, "accumulate", lambda f: lambda a, b: b)),
    ("a later cotangent is dropped", everywhere(adjoint, "accumulate", lambda f: lambda a, b: a)),
    (
        "a later cotangent counts twice",
        everywhere(adjoint, "accumulate", lambda f: lambda a, b: f(f(a, b), b)),
    ),
    ("only what both were sent is alive", everywhere(adjoint, "accumulate", _lost_lanes)),
    ("nodes are taken before their consumers", everywhere(graph, "newest_first", lambda f: _oldest_first)),
    ("a transposed push starts from one", everywhere(adjoint, "transpose_push", _from_one)),
    ("a transposed push is not recorded", everywhere(adjoint, "transpose_push", _on_raw_data)),
    ("backward forgets what .grad held", everywhere(adjoint, "_add_grad", _not_added)),
    ("a recorded sweep reads raw data", everywhere(adjoint, "unchanged", lambda f: lambda node: node.args)),
    ("an inner sweep stops nowhere", everywhere(adjoint, "adjoint", _not_stopped)),
    ("the push of a product takes one side", setting(Bilinear, "push", _left_push)),
    ("the push of two operands takes the last", setting(Elementwise, "push", _last_push(Elementwise.push))),
    ("a missing tangent is one", setting(Linear, "push", _filled_push)),
    ("stop_gradient lets everything pass", lambda patch: patch.setattr(derivatives._stop, "partials", (1,))),
]

# The rules themselves: (mistake, primitive, what it states, what is stated instead).
SUM, CUMSUM, VAR = rd.sum_.transpose, rd.cumsum.transpose, rd.var.stated_push
RULES: list[tuple[str, Any, str, Any]] = [
    # reductions
    ("the sum is spread along the wrong axis", rd.sum_, "transpose", _hidden(_spread_unrestored, SUM)),
    ("the mean forgets its count", rd.mean, "transpose", SUM),
    ("the mean counts everything", rd.mean, "transpose", lambda g, x, **p: SUM(g / np.size(x), x, **p)),
    ("cumsum's transpose is not reversed", rd.cumsum, "transpose", lambda g, x, **p: rd.cumsum(g, **p)),
    ("cumsum's transpose is reversed once", rd.cumsum, "transpose", lambda g, x, *, axis: _flipped(
        CUMSUM(g, x, axis=axis), axis)),
    ("cumsum's transpose is exclusive", rd.cumsum, "transpose", lambda g, x, **p: CUMSUM(g, x, **p) - g),
    ("each that ties takes the whole tangent", rd.max_, "stated_push", _each_whole),
    ("each that ties takes the whole cotangent", rd.max_, "stated_pull", _whole_pull),
    ("max masks nothing", rd.max_, "stated_pull", _without_mask(rd.max_.stated_pull)),
    ("prod divides by its factors", rd.prod, "stated_push", _product_over_factors),
    ("var forgets ddof", rd.var, "stated_push", lambda *args, ddof, **p: VAR(*args, ddof=0, **p)),
    ("var is not centred", rd.var, "stated_push", lambda ts, y, x, *, axis, keepdims, ddof: rd._shape_like(
        rd._total(x * ts[0], axis) * (2 / (rd._count(x, axis) - ddof)), y)),
    ("norm divides by zero", rd.norm, "stated_push", lambda ts, y, x, *, axis, keepdims: rd._shape_like(
        ar.real(rd._total(ar.conj(x / rd._restore(y, x, axis)) * ts[0], axis)), y)),
    ("logsumexp overflows", rd.logsumexp, "stated_push", lambda ts, y, x, *, axis, keepdims: rd._shape_like(
        rd._total(ts[0] * el.exp(x), axis) / el.exp(rd._restore(y, x, axis)), y)),
    ("softmax forgets its normalisation", rd.softmax, "stated_pull", lambda g, y, x, *, axis: (y * g,)),
    ("log_softmax sums over everything", rd.log_softmax, "stated_pull", lambda g, y, x, *, axis: (
        g - el.exp(y) * rd._total(g, tuple(range(np.ndim(raw(g))))),)),
    # shapes and indices
    ("a transpose is its own inverse", sh._transpose_p, "transpose", _hidden(
        lambda g, x, *, axes: sh._transpose_p(g, axes=axes), sh._transpose_p.transpose)),
    ("reshape goes back in the other order", sh._reshape_p, "transpose", _other_order),
    ("pad cuts at the wrong end", sh.pad, "transpose", _from_the_end),
    ("concatenate cuts one too early", sh._concatenate_p, "transpose", _one_too_early),
    ("an element taken twice counts once", sh.scatter, "run", _assigned),
    # products
    ("matmul forgets the left transpose", mx.matmul, "transposes", (
        _hidden(lambda g, a, b: mx.matmul(g, b), LEFT), RIGHT)),
    ("matmul forgets the right transpose", mx.matmul, "transposes", (
        LEFT, _hidden(lambda g, a, b: mx.matmul(a, g), RIGHT))),
    ("matmul multiplies in the wrong order", mx.matmul, "transposes", (
        _hidden(lambda g, a, b: mx.matmul(mx.matrix_transpose(b), g), LEFT), RIGHT)),
    ("matmul exchanges its transposes", mx.matmul, "transposes", (
        _hidden(RIGHT, LEFT), _hidden(LEFT, RIGHT))),
    ("a diagonal is spread over the matrix", mx.einsum1, "transpose", _off_the_diagonal(
        mx.einsum1.transpose)),
    # elementwise, at the points that need a word
    ("maximum gives each that ties the whole", ar.maximum, "partials", (1, 1)),
    ("minimum gives nobody that ties anything", ar.minimum, "lanes", (
        lambda z, x, y: np.less(x, y), lambda z, x, y: np.less(y, x))),
    ("clip moves at its bounds", ar.clip, "lanes", (
        lambda z, x, low, high: np.logical_not((x < low) | (x > high)), *ar.clip.lanes[1:])),
    ("relu rises at zero", ar.relu, "lanes", (lambda y, x: np.greater_equal(x, 0),)),
    ("abs rises at zero", ar.real_absolute, "partials", (lambda y, x: np.where(x >= 0, 1.0, -1.0),)),
    ("1 - tanh² has lost its digits", el.tanh, "partials", (lambda y, x: 1 - y * y,)),
    ("s(1 - s) has lost its digits", el.sigmoid, "partials", (lambda y, x: y * (1 - y),)),
    ("x to the power 0 divides by x", ar.power, "partials", (
        lambda z, x, y: z * y / x, ar.power.partials[1])),
    ("0 to the power y takes a logarithm", ar.power, "partials", (
        ar.power.partials[0], lambda z, x, y: z * el.log(x))),
    ("hypot divides by zero", ar.hypot, "partials", (lambda z, x, y: x / z, lambda z, x, y: y / z)),
    ("the quotient squares its divisor", ar.divide, "partials", (
        ar.divide.partials[0], lambda z, x, y: -x / (y * y))),
    ("x log x forgets that 0 log 0 is 0", el.xlogy, "partials", (
        el.xlogy.partials[0], lambda z, x, y: x / y)),
    ("log takes negative numbers", el.log, "partials", (lambda y, x: 1 / x,)),
    ("the conjugate of a cotangent is forgotten", ar.conj, "transpose", lambda g, z: g),
    ("nan_to_num passes what it replaced", ar.nan_to_num, "lanes", None),
]  # fmt: skip


def _over_what_others_hold(right: Any) -> Any:
    def over(old: Any, x: Any, new: Any, index: Any) -> Any:
        if type(old._raw) is np.ndarray:  # a copy that nobody else has, put where the others look
            mine = old._raw.copy()
            old._raw.setflags(write=True)
            old._raw[index] = raw(new)
            x._raw = old._raw = mine
        return right(old, x, new, index)

    return over


def _of_another_shape(right: Any) -> Any:
    def let_go(part: Any) -> None:
        right(part)
        if type(part) is Value and len(part.args) == 1 and np.ndim(part.args[0]) == 1:
            part.args = (part.args[0][:-1],)

    return let_go


ASSIGNMENT: list[tuple[str, Plant]] = [
    ("no array is a window on another", setting(versions, "window", lambda x: False)),
    ("only what was picked is a window", setting(versions, "window", lambda x: (
        x.primitive is sh._getitem_p and versions_window(x)))),
    ("a window is one for ever, a copy too", setting(versions, "window", lambda x: (
        x.primitive is not None and x.primitive.window is not None and type(x.inputs[0]) is Value))),
    ("what is written to a part never reaches the whole", setting(
        sh._getitem_p, "put_back", lambda x, new, *, index: x * 1.0)),
    ("what is written to a part reaches the whole as a constant", setting(
        sh._getitem_p, "put_back", lambda x, new, *, index: sh.setitem(x, raw(new), index=index))),
    ("what is written to a reshaped array is a constant", setting(
        sh._reshape_p, "put_back",
        lambda x, new, *, shape: sh._reshape_p(Value(raw(new)), shape=np.shape(raw(x))))),
    ("what is written to a transposed array is a constant", setting(
        sh._transpose_p, "put_back",
        lambda x, new, *, axes: Value(np.transpose(raw(new), np.argsort(axes))) * 1.0)),
    ("written over: as a constant", setting(assignment, "_over", lambda old, x, new, index: (
        assignment_over(old, x, raw(new), index)))),
    ("written over: though others hold it", setting(
        assignment, "_over", _over_what_others_hold(assignment._over))),
    ("let go: with its shape", setting(assignment, "_let_go", _of_another_shape(assignment._let_go))),
]  # fmt: skip

by_hand = [Mutant(name, None, plant) for name, plant in ENGINE + ASSIGNMENT] + [
    Mutant(name, p, setting(p, attribute, new)) for name, p, attribute, new in RULES
]
