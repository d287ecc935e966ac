"""Primitives: the operations a graph is made of, and the four ways to state a derivative.

Each family states its derivative once and answers both sweeps:

=============  ===========================  ==============================  =========================
family         states                       push (tangent)                  pull (cotangent)
=============  ===========================  ==============================  =========================
`Elementwise`  one partial per operand      sum of t * d                    g * d
`Linear`       its transpose                the operation on the tangents   the transpose
`Bilinear`     the two transposes           op(da, b) + op(a, db)           the transposes
`Special`      its push                     as stated                       the transpose of the push
=============  ===========================  ==============================  =========================

Rules are written in plain array operators and other primitives. Handed raw numbers they run at
NumPy's speed; handed Values they are recorded, and so can be differentiated again. No rule undoes
broadcasting or casts a dtype: `fit` alone does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.traced import Traced
from chainrule.value import Cell, Value, kept, result

__all__ = ["Bilinear", "Elementwise", "Lanes", "Linear", "Mixing", "Primitive", "Reach", "Special", "fit"]

Contributions = list[tuple[Value, Any]]
_ndarray = np.ndarray
_NUMBERS = {float, int, bool}
_NUMPY_NUMBERS = (np.floating, np.integer)
CONSTANTS = {float, int, complex}
ONE = 1  # as a partial: there is nothing to multiply by


class Primitive:
    """An operation that can be recorded.

    Parameters
    ----------
    run : callable
        ``run(*args, **params)`` on raw data.
    name : str, optional
        ``run``'s own name by default.
    symbol : str, optional
        What pictures show; the name by default.
    scalar : callable, optional
        A quicker ``run`` for Python floats that returns one. Where it raises an arithmetic
        error, ``run`` gives NumPy's answer (inf, nan) instead.
    """

    scalar: Callable[..., Any] | None
    # Of an operation whose result may lie in its operand's memory: whether it does, as
    # ``window(result, operand, **params)``, and what a write into the result then makes of the operand, as
    # ``put_back(base, new, **params)``; None where NumPy's result is read-only.
    window: Callable[..., bool] | None = None
    put_back: Callable[..., Any] | None = None
    reach: Reach | None = None  # which elements move which, where they are not all
    selects = False  # whether elements of an operand may have no part in the result, and are sent nothing
    takes_lanes = False  # whether `push` wants `Lanes` where only some elements of a tangent move

    def __init__(
        self,
        run: Callable[..., Any],
        *,
        name: str | None = None,
        symbol: str | None = None,
        scalar: Callable[..., Any] | None = None,
    ) -> None:
        self.run = run
        self.name = name or run.__name__
        self.symbol = symbol or self.name
        self.scalar = scalar

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} primitive {self.name}>"

    def __call__(self, *operands: Any, **params: Any) -> Any:
        """Run on raw data; record a node as soon as one operand is a Value."""
        if len(operands) == 1:  # the short way of one array, which rules on raw data mostly are too
            x = operands[0]
            if type(x) is _ndarray:
                return self.run(x, **params)
            if type(x) is Value and type(x._raw) is _ndarray:
                a = x._current() if x.primitive is None else x._raw
                try:
                    y = self.run(a, **params)
                except ValueError as error:
                    raise self._explain(error, (a,)) from None
                return result(y, self, operands, (a,), params)
        tracked = others = False
        scalars = True
        args: Any = []
        for x in operands:
            kind = type(x)
            if kind is Value:
                tracked = True
                x = x._current() if x.primitive is None else x._raw
                if type(x) is not float:
                    scalars = False
            elif kind is _ndarray:
                others = True
                scalars = False
            elif kind not in _NUMBERS:
                others = True
                if not isinstance(x, _NUMPY_NUMBERS):
                    scalars = False
            args.append(x)
        if scalars and others and tracked:  # NumPy's numbers among Python floats: the result is to stay one
            return self(*[o.item() if isinstance(o, np.generic) else o for o in operands], **params)
        if scalars and not others:
            y = self.evaluate_scalar(args, params)
        else:
            try:
                y = self.run(*args, **params)
            except ValueError as error:
                raise self._explain(error, args) from None
        if not tracked:
            return y
        if others and not scalars:
            operands, args = zip(*map(_held, operands, args), strict=True)
        return result(y, self, operands, tuple(args), params)

    def evaluate_scalar(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Python floats in, a Python float out."""
        if self.scalar is not None:
            try:
                return self.scalar(*args, **params)
            except (ArithmeticError, ValueError):
                pass
        y = self.run(*[np.float64(a) if type(a) is float else a for a in args], **params)
        return float(y) if type(y) is np.float64 else y

    def _explain(self, error: ValueError, args: Sequence[Any]) -> ValueError:
        """NumPy's complaint, with the operation and what it received."""
        shapes = " and ".join(str(np.shape(a)) for a in args)
        kind = np.linalg.LinAlgError if isinstance(error, np.linalg.LinAlgError) else ValueError
        return kind(f"{self.name}: {error}; received {'shape' if len(args) == 1 else 'shapes'} {shapes}")

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        """The tangent of the output, ``None`` where it is zero; ``tangents`` holds None for zero ones."""
        raise NotImplementedError

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions | None:
        """The cotangents of the inputs that are Values no older than ``since``.

        None where only `push` is stated: then the sweep transposes that.
        """
        raise NotImplementedError


class Elementwise(Primitive):
    """``y = f(x1, x2, ...)`` element by element, with broadcasting.

    Parameters
    ----------
    run : callable
    *partials : callable, number or None
        For each operand the partial derivative as ``partial(y, *args)``, or a constant, or None
        where the derivative is zero everywhere.
    lanes : sequence of (callable or None), optional
        For operations that select: for each operand ``taken(y, *args)``, true where the operand
        reached the output. Elsewhere no cotangent is sent at all, so that an infinite derivative
        further up cannot turn a zero into nan.
    """

    def __init__(
        self,
        run: Callable[..., Any],
        *partials: Any,
        lanes: Sequence[Callable[..., Any] | None] | None = None,
        **names: Any,
    ) -> None:
        super().__init__(run, **names)
        self.partials = partials
        self.lanes = lanes

    def _explain(self, error: ValueError, args: Sequence[Any]) -> ValueError:
        try:
            np.broadcast_shapes(*map(np.shape, args))
        except ValueError:
            shapes = " and ".join(str(np.shape(a)) for a in args)
            return ValueError(
                f"{self.name}: operands of shapes {shapes} do not broadcast together; counted from the last, "
                "each pair of axes must be equal or one of them 1"
            )
        return super()._explain(error, args)

    def partial(self, i: int, y: Any, args: Sequence[Any], params: Any) -> Any:
        """The partial derivative in operand ``i``; None where it is zero by rule."""
        d = self.partials[i]
        if not callable(d):
            return d
        try:
            return d(y, *args, **params)
        except ArithmeticError:  # Python floats raise where IEEE arithmetic has an answer
            return float(d(np.float64(y), *[np.float64(a) for a in args], **params))

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        total = None
        like = raw(y)
        for i, t in enumerate(tangents):
            if t is None:
                continue
            d = self.partial(i, y, args, params)
            if d is None:
                continue
            c = t if d is ONE else t * d
            mask = self.taken(i, y, args, params)
            if mask is not None:
                c = keep(mask, c)
                if c is None:
                    continue
            total = fit(c, like) if total is None else total + fit(c, like)
        return total

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        out: Contributions = []
        alive = None
        if type(g) is Lanes:
            g, alive = g.value, g.alive
        everywhere = alive is None and self.lanes is None
        for i, d in enumerate(self.partials):
            x = inputs[i]
            if type(x) is not Value or d is None or x.serial < since:
                continue
            if d is ONE:
                c = g
            elif type(d) in CONSTANTS:
                c = g * d
            else:
                try:
                    c = g * d(y, *args, **params)
                except ArithmeticError:
                    c = g * self.partial(i, y, args, params)
            a = x._raw
            if everywhere:
                out.append((x, c if type(c) is float and type(a) is float else fit(c, a)))
                continue
            taken = self.taken(i, y, args, params)
            mask = alive if taken is None else taken if alive is None else taken & alive
            if mask is None:
                out.append((x, fit(c, a)))
                continue
            if taken is not None or type(d) not in CONSTANTS:  # a constant leaves zeros what they are
                c = keep(mask, c)
            if c is not None:
                c = fit(c, a)
                out.append((x, Lanes(c, fit_mask(mask, a)) if np.ndim(mask) or type(mask) is Traced else c))
        return out

    def taken(self, i: int, y: Any, args: Sequence[Any], params: Any) -> Any:
        """Which elements of operand ``i`` reached the output; None for all of them."""
        if self.lanes is None or (taken := self.lanes[i]) is None:
            return None
        return taken(raw(y), *map(raw, args), **params)


class Linear(Primitive):
    """Linear in all operands together: ``f(x + t) = f(x) + f(t)``; a missing tangent is zero.

    Parameters
    ----------
    run : callable
    transpose : callable
        ``transpose(g, *args, **params)``, the cotangent of the one operand, or a sequence of
        cotangents. Only shapes and dtypes of ``args`` may be used.
    selects : bool
        Whether some elements of the operands do not reach the result; they are sent no cotangent at all.
    pads : bool
        Whether some elements of the result come from no operand; they do not move at all.
    """

    def __init__(
        self,
        run: Callable[..., Any],
        transpose: Callable[..., Any],
        *,
        selects: bool = False,
        pads: bool = False,
        **names: Any,
    ) -> None:
        super().__init__(run, **names)
        self.transpose = transpose
        self.selects, self.pads = selects, pads

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        full = [np.zeros_like(raw(a)) if t is None else t for a, t in zip(args, tangents, strict=True)]
        return fit(self(*full, **params), raw(y))

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        args = [raw(a) for a in args]
        alive = None
        if type(g) is Lanes:
            g, alive = g.value, g.alive
        cs = self.transpose(g, *args, **params)
        if len(args) == 1:
            cs = (cs,)
        if alive is not None:  # the matrices of these operations are 0 and 1: what reaches, reaches
            masks = self.transpose(alive, *args, **params)
            masks = (masks,) if len(args) == 1 else masks
        out: Contributions = []
        for i, x in enumerate(inputs):
            if type(x) is Value and x.serial >= since:
                c = fit(cs[i], x._raw)
                if alive is not None:
                    c = Lanes(c, fit_mask(masks[i], x._raw))
                out.append((x, c))
        return out


class Mixing(Linear):
    """Linear with a matrix of any numbers: every element may reach every other, and no lane stays dead.

    `Linear` sends masks through the transpose, which is right where the matrix holds 0 and 1.
    """

    def pull(self, g: Any, *rest: Any) -> Contributions:
        return super().pull(g.value if type(g) is Lanes else g, *rest)


class Bilinear(Primitive):
    """Linear in each operand separately: ``f(a + da, b) = f(a, b) + f(da, b)``.

    Parameters
    ----------
    run : callable
    left, right : callable
        ``left(g, a, b, **params)`` is the cotangent of ``a``, ``right`` that of ``b``.
    reach : Reach, optional
        Which elements of the operands move which of the result; without it all move all.
    """

    def __init__(
        self,
        run: Callable[..., Any],
        left: Callable[..., Any],
        right: Callable[..., Any],
        reach: Reach | None = None,
        **names: Any,
    ) -> None:
        super().__init__(run, **names)
        self.transposes = (left, right)
        self.reach = reach

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        (a, b), (da, db) = args, tangents
        left = None if da is None else self(da, b, **params)
        right = None if db is None else self(a, db, **params)
        return left if right is None else right if left is None else left + right

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions:
        alive = None
        if type(g) is Lanes:
            g, alive = g.value, g.alive

        def contributions(args: Sequence[Any]) -> Contributions:
            return [
                (x, fit(transpose(g, *args, **params), x._raw))
                for x, transpose in zip(inputs, self.transposes, strict=True)
                if type(x) is Value and x.serial >= since
            ]

        found = contributions(args)
        if alive is None or self.reach is None or all(surely_finite(c) for _, c in found):
            return found
        # What only dead lanes depend on has no part in it, and neither have its infinities.
        masks = self.reach.reaches(alive, *map(raw, args), **params)
        return contributions(
            [0.0 if (c := keep(reached(m), a)) is None else c for m, a in zip(masks, args, strict=True)]
        )


class Special(Primitive):
    """Anything else: states its push, and where it is hot also its pull.

    Parameters
    ----------
    run : callable
    push : callable
        ``push(tangents, y, *args, **params)`` with one tangent per operand, None where it is zero.
        It must not call its own primitive on a tangent; if it has to, state the pull as well.
    pull : callable, optional
        ``pull(g, y, *args, **params)`` gives one cotangent per operand (None where zero). Without
        it the sweep transposes the push.
    reach : Reach, optional
        As of `Bilinear`.
    """

    def __init__(
        self,
        run: Callable[..., Any],
        push: Callable[..., Any],
        pull: Callable[..., Any] | None = None,
        reach: Reach | None = None,
        **names: Any,
    ) -> None:
        super().__init__(run, **names)
        self.stated_push = push
        self.stated_pull = pull
        self.reach = reach

    def push(self, y: Any, args: Sequence[Any], tangents: Sequence[Any], params: Any) -> Any:
        t = self.stated_push(tangents, y, *args, **params)
        return None if t is None else fit(t, raw(y))

    def pull(
        self, g: Any, y: Any, inputs: Sequence[Any], args: Sequence[Any], params: Any, since: int
    ) -> Contributions | None:
        if self.stated_pull is None:
            return None
        if type(g) is Lanes:
            g = g.value
        cs = self.stated_pull(g, y, *args, **params)
        return [
            (x, Lanes(fit(c.value, x._raw), c.alive) if type(c) is Lanes else fit(c, x._raw))
            for x, c in zip(inputs, cs, strict=True)
            if type(x) is Value and x.serial >= since and c is not None
        ]


# -------------------------------------------------------------------- dead lanes


class Lanes:
    """A cotangent beside the mask of the elements that were sent one at all.

    ``where``, ``clip``, ``maximum`` send nothing to the elements they did not take. A zero that
    means "nothing was sent" must stay zero whatever it meets, while a zero that was computed
    must not: ``sqrt(x)**2`` at 0 has no derivative by the chain rule, and says so with nan.
    """

    __slots__ = ("alive", "value")

    def __init__(self, value: Any, alive: Any) -> None:
        self.value = value
        self.alive = alive


class Reach(NamedTuple):
    """Which elements of an operation's result depend on which of its operands, said of masks.

    Only `Elementwise` and `Linear` know by themselves.
    """

    moves: Callable[..., Any]  # moves(*masks, **params): where the result moves, if the operands do there
    # reaches(alive, *args, **params): for each operand what gets to the result, perhaps as a function
    reaches: Callable[..., Any]


def reached(mask: Any) -> Any:
    """A mask of `Reach.reaches`."""
    return mask() if callable(mask) else mask


def surely_finite(c: Any) -> bool:
    """Whether a cotangent has no entry that is not; of one that is traced nobody knows."""
    c = raw(c)
    return type(c) is not Traced and math.isfinite(abs(np.sum(c)))


def keep(mask: Any, c: Any) -> Any:
    """``c`` where the mask is true, zero elsewhere; None if it is true nowhere (a scalar mask)."""
    if type(mask) is Traced and type(c) is not Value:
        return mask.choose(c, 0.0)
    if np.ndim(mask) == 0 and type(mask) is not Traced:
        return c if mask else None
    return where(mask, c, 0.0)


def fit_mask(mask: Any, like: Any) -> Any:
    """The mask of an operand: true where any of the elements it was broadcast to is."""
    shape = np.shape(like)
    if mask.shape != shape:
        mask = np.broadcast_to(mask, np.broadcast_shapes(mask.shape, shape))
        return np.any(mask, axis=_spread(mask.shape, shape)).reshape(shape)
    return mask if mask.dtype == bool else mask > 0


# -------------------------------------------------------------------- fitting


def fit(c: Any, like: Any) -> Any:
    """Give a cotangent or tangent the shape and dtype of what it belongs to.

    Undoes broadcasting (or applies it), takes the real part for real data, casts the dtype.
    ``like`` is raw data: a float, a NumPy scalar or an array.
    """
    kind = type(c)
    if kind is _ndarray and type(like) is _ndarray and c.shape == like.shape and c.dtype == like.dtype:
        return c
    if type(like) is float or type(like) is Cell or (type(like) is Traced and like.is_number):
        if kind is float:
            return c
        if kind is Traced:
            return (c.sum() if c.shape else c).as_number()
        if kind is Value:
            if type(c._raw) is float or (type(c._raw) is Traced and c._raw.is_number):
                return c
            if c.shape:
                c = sum_to(c, shape=())
            return cast(c, dtype=float)
        if isinstance(c, np.ndarray) and c.ndim:
            c = c.sum()
        return float(c.real)
    if kind is not Value and kind is not _ndarray and kind is not Traced and not isinstance(c, np.generic):
        c = np.asarray(c)[()]  # a Python number
    shape = like.shape
    if c.shape != shape:
        both = np.broadcast_shapes(c.shape, shape)
        if c.shape != both:
            c = broadcast_to(c, shape=both)
        if shape != both:
            c = sum_to(c, shape=shape)
    if c.dtype != like.dtype:
        c = cast(c, dtype=like.dtype)
    return c[()] if not shape and type(c) is _ndarray and type(like) is not _ndarray else c


def sum_to_raw(x: Any, *, shape: tuple[int, ...]) -> Any:
    x = as_array(x)
    axes = _spread(x.shape, shape)
    return x.sum(axis=axes).reshape(shape) if axes else x


def _spread(shape: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which something was broadcast."""
    extra = len(shape) - len(before)
    return *range(extra), *(i + extra for i, n in enumerate(before) if n == 1 and shape[i + extra] != 1)


def _cast(x: Any, *, dtype: Any) -> Any:
    real = dtype is float or np.dtype(dtype).kind == "f"
    x = x.real if real and np.iscomplexobj(x) else x
    if dtype is float and type(x) is Traced:
        return x.as_number()
    return (
        float(x) if dtype is float else x.astype(dtype) if hasattr(x, "astype") else np.dtype(dtype).type(x)
    )


_BITS = {"f": np.int32, "d": np.int64}


def _where(c: Any, x: Any, y: Any) -> Any:
    nothing = type(y) is float and y == 0.0 and math.copysign(1.0, y) > 0
    if nothing and type(x) is type(c) is _ndarray and c.dtype == bool and x.dtype.char in _BITS:
        # -1 has every bit set: no branches, of which a mixed mask costs np.where ten times as much
        bits = _BITS[x.dtype.char]
        return (np.negative(c.view(np.int8), dtype=bits) & x.view(bits)).view(x.dtype)
    return np.where(c, x, y)[()]


# The four operations that fitting itself is made of.
broadcast_to = Linear(
    lambda x, *, shape: np.broadcast_to(x, shape),
    lambda g, x, *, shape: sum_to(g, shape=np.shape(x)),
    name="broadcast_to",
)
sum_to: Linear = Linear(sum_to_raw, lambda g, x, *, shape: broadcast_to(g, shape=np.shape(x)), name="sum_to")
cast = Linear(_cast, lambda g, x, *, dtype: g, name="astype")
where = Elementwise(
    _where,
    None,
    1,
    1,
    lanes=(None, lambda z, c, x, y: c, lambda z, c, x, y: np.logical_not(c)),
    name="where",
    scalar=lambda c, x, y: float(x if c else y),
)


def _number(operand: Any, arg: Any) -> tuple[Any, Any]:
    """A NumPy number among Python's as one of these: a float32 would round the others to its precision."""
    if isinstance(operand, np.generic):
        operand = arg = int(arg) if isinstance(arg, np.integer) else float(arg)
    return operand, arg


def _held(operand: Any, arg: Any) -> tuple[Any, Any]:
    """A constant operand that its owner cannot change before a sweep needs it: a copy of his array."""
    if isinstance(operand, list | tuple):
        operand = arg = np.array(operand)
    elif isinstance(operand, _ndarray):
        check_subclass(operand)
        if not _is_constant(operand):
            operand = arg = kept(operand)
    elif type(operand) is Traced:
        operand = arg = operand.held()
    return operand, arg


def check_subclass(x: np.ndarray[Any, Any]) -> None:
    """Refuse arrays whose operators mean something else."""
    if type(x) is _ndarray:
        return
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("a masked array among the operands loses its mask; use np.where(mask, x, y)")
    if isinstance(x, np.matrix):
        raise TypeError("an np.matrix among the operands means another product by *; use np.asarray(m)")


def _is_constant(x: np.ndarray[Any, Any]) -> bool:
    """Whether NumPy marks the array read-only, and what it is a view of too."""
    base = x.base
    return not x.flags.writeable and (base is None or (type(base) is _ndarray and not base.flags.writeable))


def as_array(x: Any) -> Any:
    """Raw data with the attributes of an array."""
    return x if type(x) is Traced else np.asarray(x)


def raw(x: Any) -> Any:
    """The data of a Value as it was recorded; anything else as it is."""
    return x._raw if type(x) is Value else x
