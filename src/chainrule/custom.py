"""A primitive of the user's own: a function with the rule of its derivative, stated once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from chainrule.primitives import Bilinear, Elementwise, Mixing, Primitive, Special
from chainrule.recording import kind_of
from chainrule.traced import Traced, TracedError, in_numpy, is_array
from chainrule.value import Value

__all__ = ["primitive"]

F = TypeVar("F", bound=Callable[..., Any])
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def primitive(
    f: Any = None,
    /,
    *,
    partials: Any = ...,
    transpose: Any = None,
    transposes: Any = None,
    push: Any = None,
    pull: Any = None,
) -> Callable[[F], F]:
    """Make a primitive of a function, by stating the rule of its derivative once.

    One rule serves every sweep: both modes, any order, `jvp`, `backward`, `draw`, `explain`. The function
    itself is a closed box that gets plain numbers and arrays and may do with them what it likes: call
    SciPy, C, or somebody's simulation. In a compiled program it is called in Python, which the report says.
    `check_grads` tells whether the rule is right.

    State one of these:

    ===============  ============================  ====================================================
    the function is  state                         which is
    ===============  ============================  ====================================================
    elementwise      ``partials=d``                ``d(y, *operands)``, the partial derivative; a tuple
                                                   of them for several operands
    linear           ``transpose=t``               ``t(g, *operands)``, the cotangent of the operand; a
                                                   tuple of them for several
    bilinear         ``transposes=(left, right)``  ``left(g, a, b)`` and ``right(g, a, b)``, the
                                                   cotangents of ``a`` and ``b``
    anything else    ``push=p``                    ``p(tangents, y, *operands)``, the tangent of the
                                                   result; ``tangents`` holds None for what does not move
    ===============  ============================  ====================================================

    Arguments that can be passed by position are the operands, each a number or an array; those that only
    have a name are static, and are handed to the rules by their names. Rules are written in operators,
    NumPy's functions and other primitives, the new one included, so that they can be differentiated in turn:
    what a rule calls beyond these, such as SciPy's functions, it calls through a primitive of its own.

    Parameters
    ----------
    partials : callable, number or None, or a tuple of these
        A number is a constant derivative, None one that is zero everywhere. The result broadcasts as
        NumPy's does, which rules need not care about.
    transpose : callable
    transposes : pair of callables
    push : callable
        It must not call its own primitive on a tangent, unless ``pull`` is given.
    pull : callable, optional
        Beside ``push``, where reverse mode can do better than transpose it: ``pull(g, y, *operands)``
        gives one cotangent per operand, None where it is zero: a tuple, or of one operand the cotangent.

    Returns
    -------
    callable
        What makes the primitive of a function: a decorator.

    Raises
    ------
    TypeError
        Without a rule, with rules of two kinds, with a rule that does not take the arguments it gets; when
        it is called, where function or rule give something else than one number or array of floats.
    ValueError
        For a number of rules that is not the number of operands; when it is called, for results of shapes
        that do not belong to what they are results of.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> @cr.primitive(partials=lambda y, x: 1 / (1 + np.exp(-x)))
    ... def softplus(x):
    ...     return np.logaddexp(0, x)
    >>> cr.grad(softplus)(0.0), cr.grad(cr.grad(softplus))(0.0)
    (0.5, 0.25)

    A delay by ``n`` entries is linear; ``n`` is static:

    >>> @cr.primitive(transpose=lambda g, x, *, n: np.concatenate([g[n:], np.zeros(n)]))
    ... def delayed(x, *, n):
    ...     return np.concatenate([np.zeros(n), x[:-n]])
    >>> cr.grad(lambda x: delayed(x, n=1) @ x)(np.array([1.0, 2.0, 4.0]))
    array([2., 5., 2.])
    """
    if f is not None:
        raise TypeError(
            f"primitive: no rule for {getattr(f, '__name__', f)}; write "
            "@cr.primitive(partials=lambda y, x: ...) above it, or one of transpose=, transposes=, push= "
            "(with which pull= may stand)"
        )
    rules = {
        "partials": partials is not ...,
        "transpose": transpose is not None,
        "transposes": transposes is not None,
        "push": push is not None,
    }
    stated = [f"{name}=" for name, given in rules.items() if given]
    if len(stated) != 1:
        received = f"both {' and '.join(stated)}" if stated else "pull= alone" if pull else "no rule"
        raise TypeError(
            f"primitive: received {received}, expected exactly one of partials=, transpose=, transposes=, "
            "push= (with which pull= may stand)"
        )
    if pull is not None and push is None:
        raise TypeError(f"primitive: pull= stands beside push= only, received it with {stated[0]}")
    if push is not None:
        return lambda f: _Maker(f).special(push, pull)
    if transpose is not None:
        return lambda f: _Maker(f).linear(transpose)
    if transposes is not None:
        return lambda f: _Maker(f).bilinear(transposes)
    return lambda f: _Maker(f).elementwise(partials)


class _Maker:
    """A function on its way to become a primitive.

    Attributes
    ----------
    operands : int or None
        How many; None where the function takes any number.
    static : list of str or None
        The names of arguments that only have a name; None where it takes any.
    """

    def __init__(self, f: Any) -> None:
        if not callable(f):
            raise TypeError(f"primitive: received a {type(f).__name__}, expected a function")
        self.f = f
        self.name = getattr(f, "__name__", type(f).__name__)
        self.signature = _signature(f)
        self.operands: int | None = getattr(f, "nin", None)  # of a ufunc
        self.static: list[str] | None = []
        if self.signature is not None:
            kinds = [p.kind for p in self.signature.parameters.values()]
            self.operands = None
            if inspect.Parameter.VAR_POSITIONAL not in kinds:
                self.operands = sum(k in _POSITIONAL for k in kinds)
            self.static = None
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                named = self.signature.parameters.values()
                self.static = [p.name for p in named if p.kind is inspect.Parameter.KEYWORD_ONLY]

    # ---------------------------------------------------------------- the families

    def elementwise(self, partials: Any) -> Any:
        ds = list(partials) if isinstance(partials, tuple | list) else [partials]
        self.expect("partials", len(ds))
        for i, d in enumerate(ds):
            what = f"partials[{i}]" if len(ds) > 1 else "partials"
            if callable(d):
                ds[i] = self.rule(what, d, ("y",), _partial)
            elif isinstance(d, int | float | complex | np.generic):
                ds[i] = d.item() if isinstance(d, np.generic) else d + 0  # True is 1
            elif d is not None:
                raise TypeError(
                    f"{self.name}: {what} is a {type(d).__name__}, expected a function, a number or None"
                )
        return self.made(Elementwise(self.run(elementwise=True), *ds, name=self.name))

    def linear(self, transpose: Any) -> Any:
        rule = self.rule("transpose", transpose, ("g",), _cotangents)
        return self.made(Mixing(self.run(), rule, name=self.name))

    def bilinear(self, transposes: Any) -> Any:
        if not isinstance(transposes, tuple | list) or len(transposes) != 2:
            raise TypeError(f"{self.name}: transposes is {transposes!r}, expected a pair: (left, right)")
        self.expect("transposes", 2)
        rules = [
            self.rule(f"transposes[{i}]", t, ("g",), functools.partial(_cotangent, i))
            for i, t in enumerate(transposes)
        ]
        return self.made(Bilinear(self.run(), *rules, name=self.name))

    def special(self, push: Any, pull: Any) -> Any:
        pushed = self.rule("push", push, ("tangents", "y"), _tangent)
        pulled = pull and _several(self.rule("pull", pull, ("g", "y"), _pulled))
        return self.made(Special(self.run(), pushed, pulled, name=self.name))

    # ---------------------------------------------------------------- what they share

    def expect(self, what: str, n: int) -> None:
        """So many rules must be so many operands."""
        if self.operands not in (None, n):
            raise ValueError(
                f"{self.name}: {what} has {n} {'entry' if n == 1 else 'entries'}, but {self.name} has "
                f"{self.operands} operand(s); one for each, None where the derivative is zero; arguments "
                "that are no operands come after a * in the function's signature"
            )
        self.operands = n

    def run(self, elementwise: bool = False) -> Callable[..., Any]:
        """The function on raw data: a number or an array of floats comes back, or an error."""

        @functools.wraps(self.f)
        def run(*args: Any, **params: Any) -> Any:
            if any(type(x) is Traced for x in args):
                return in_numpy(run, args, params)
            y = self.result(self.f(*map(_read_only, args), **params))
            if elementwise and np.shape(y) != np.broadcast_shapes(*map(np.shape, args)):
                raise ValueError(
                    f"the result has shape {np.shape(y)}, which is not that of the operands; partials= is "
                    "for functions that work element by element: state transpose=, transposes= or push="
                )
            return y

        run.__name__ = self.name
        return run

    def result(self, y: Any) -> Any:
        if type(y) is float or (type(y) is np.ndarray and y.ndim and y.dtype.kind in "fc"):
            return y
        if type(y) in (int, bool):
            return float(y)
        if isinstance(y, np.ndarray | np.generic) and y.dtype.kind in "fc":
            return np.asarray(y)[()]
        if type(y) is Value:
            raise TypeError(
                f"{self.name}: it reads a Value that is not its argument, whose derivative would be lost; "
                "make it an argument"
            )
        received = f"an array of {y.dtype}" if isinstance(y, np.ndarray) else kind_of(y)
        several = "; several arrays come from several primitives, or from np.stack"
        raise TypeError(
            f"{self.name}: it returned {received}, expected one number or array of floats"
            f"{several if isinstance(y, tuple | list) else ''}"
        )

    def rule(self, what: str, rule: Any, leading: tuple[str, ...], check: Callable[..., None]) -> Any:
        """A rule whose arguments are looked at now, and whose results when they are there."""
        if not callable(rule):
            raise TypeError(f"{self.name}: {what} is {kind_of(rule)}, expected a function")
        signature = _signature(rule)
        if signature is not None and self.operands is not None:
            try:
                signature.bind(*[0] * (len(leading) + self.operands), **dict.fromkeys(self.static or (), 0))
            except TypeError as error:
                operands = [f"x{i}" for i in range(self.operands)]
                if self.signature is not None and len(self.signature.parameters) >= self.operands:
                    operands = list(self.signature.parameters)[: self.operands]
                wanted = ", ".join([*leading, *operands, *(["*", *self.static] if self.static else [])])
                raise TypeError(
                    f"{self.name}: {what} takes {signature}, expected ({wanted}): {error}"
                ) from None

        @functools.wraps(rule)
        def checked(*args: Any, **params: Any) -> Any:
            try:
                found = rule(*args, **params)
            except TypeError as error:
                if (given := _given(args)) is None or type(error) not in (TypeError, TracedError):
                    raise
                text = f"{self.name}: {what}, given {given}: {error}"
                raise type(error)(text).with_traceback(error.__traceback__) from None
            check(f"{self.name}: {what}", found, args, len(leading))
            return found

        return checked

    def made(self, p: Primitive) -> Any:
        """What the user calls: as the function is called, with operands in their places."""
        signature, name = self.signature, self.name
        n = self.operands

        @functools.wraps(self.f)
        def call(*args: Any, **params: Any) -> Any:
            if signature is not None:
                try:
                    bound = signature.bind(*args, **params)
                except TypeError as error:
                    raise TypeError(f"{name}: {error}") from None
                bound.apply_defaults()
                args, params = bound.args, bound.kwargs
            if n is not None and len(args) != n:
                raise TypeError(f"{name}: received {len(args)} operand(s), expected {n}")
            for key, x in params.items():
                if type(x) is Value or type(x) is Traced:
                    raise TypeError(
                        f"{name}: {key} is a {type(x).__name__}, but arguments after the * are static and "
                        "have no derivative; put it before the * and state its rule"
                    )
            return p(*[_operand(name, x) for x in args], **params)

        return call


def _signature(f: Any) -> inspect.Signature | None:
    """How a function is called; None if only its C knows."""
    if isinstance(f, np.ufunc):
        return None  # those of later NumPys name their options, which say nothing about operands
    try:
        return inspect.signature(f)
    except (TypeError, ValueError):
        return None


def _operand(name: str, x: Any) -> Any:
    if isinstance(x, list):
        x = np.asarray(x)
    if type(x) is Value or (is_array(x) and getattr(getattr(x, "dtype", None), "kind", "f") in "biufc"):
        return x
    raise TypeError(
        f"{name}: an operand is {kind_of(x)}, expected a number or an array; arguments that are no operands "
        "come after a * in the function's signature, and are passed by name"
    )


def _read_only(x: Any) -> Any:
    """An array as the function may see it: graphs and programs hold the same numbers."""
    if type(x) is np.ndarray:
        x = x.view()
        x.flags.writeable = False
    return x


# -------------------------------------------------------------------- what rules give


def _shape(what: str, x: Any) -> tuple[int, ...] | None:
    """The shape of what a rule gave; None of what has none, such as a symbol."""
    if x is None or isinstance(x, list | tuple | dict | str):
        raise TypeError(f"{what} gave {kind_of(x)}, expected a number or an array")
    if type(x) is Value or type(x) is Traced or isinstance(x, np.ndarray | np.generic):
        return x.shape
    return ()


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def _within(what: str, x: Any, of: str, like: Any) -> None:
    """What belongs to the result: its shape, or one that broadcasts to it."""
    shape, wanted = _shape(what, x), np.shape(like)
    if shape and not _broadcasts(shape, wanted):
        raise ValueError(f"{what} gave shape {shape}, expected the shape of {of}, {wanted}")


def _partial(what: str, d: Any, args: Any, leading: int) -> None:
    y = args[0]
    _within(what, d, "the result", y) if is_array(y) or type(y) is Value else _shape(what, d)


def _tangent(what: str, t: Any, args: Any, leading: int) -> None:
    if t is not None:
        _within(what, t, "the result", args[1])


def _belongs(what: str, c: Any, i: int, x: Any) -> None:
    """A cotangent: of its operand's shape, or of one that the operand was broadcast to."""
    shape, wanted = _shape(what, c), np.shape(x)
    if shape != wanted and not _broadcasts(wanted, shape or ()):
        raise ValueError(f"{what} gave shape {shape} for operand {i}, expected the operand's shape {wanted}")


def _cotangent(i: int, what: str, c: Any, args: Any, leading: int) -> None:
    _belongs(what, c, i, args[leading + i])


def _cotangents(what: str, found: Any, args: Any, leading: int) -> None:
    if len(args) == leading + 1:
        _belongs(what, found, 0, args[leading])
    else:
        _each(what, found, args[leading:], none=False)


def _pulled(what: str, found: Any, args: Any, leading: int) -> None:
    one = len(args) == leading + 1 and not isinstance(found, tuple | list)
    _each(what, (found,) if one else found, args[leading:], none=True)


def _several(rule: Any) -> Any:
    """A rule of one operand may give its cotangent alone."""

    def pull(*args: Any, **params: Any) -> Any:
        found = rule(*args, **params)
        return found if isinstance(found, tuple | list) else (found,)

    return pull


def _given(args: Any) -> str | None:
    """What a rule was given that is not plain: tangents come in a list."""
    kinds = {type(x) for a in args for x in (a if isinstance(a, tuple | list) else (a,))}
    if Traced in kinds:
        return "traced arrays (it is compiled)"
    return "Values (a derivative is differentiated in turn)" if Value in kinds else None


def _each(what: str, found: Any, operands: Sequence[Any], none: bool) -> None:
    if not isinstance(found, tuple | list) or len(found) != len(operands):
        received = f"{len(found)} of them" if isinstance(found, tuple | list) else kind_of(found)
        raise ValueError(f"{what} gave {received}, expected a tuple of {len(operands)} cotangents")
    for i, (c, x) in enumerate(zip(found, operands, strict=True)):
        if c is not None or not none:
            _belongs(what, c, i, x)
