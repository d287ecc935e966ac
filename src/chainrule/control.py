"""Loops and branches: `scan`, `fori`, `while_loop`, `cond`.

Called on numbers, arrays and Values they are the Python loop that their formula shows. Their
derivatives keep only what goes from step to step, and run each step again. In a compiled function
they become loops of the program, where a Python loop would be unrolled.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import optree

from chainrule.again import as_it_is
from chainrule.containers import flatten
from chainrule.recording import alias, kind_of
from chainrule.rules.bodies import Plan
from chainrule.rules.carry import Stack, conform, describe, sort_of, truth
from chainrule.rules.control import branch, loop, repeat, watch
from chainrule.traced import Traced, current_trace
from chainrule.value import Value, current, next_serial

__all__ = ["cond", "fori", "scan", "while_loop"]


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """A loop that carries something from step to step and collects something at each.

    ``carryᵢ₊₁, yᵢ = f(carryᵢ, xsᵢ)``; the result is the pair of last carry and stacked ys.

    The derivative in reverse mode keeps the carry of each step and nothing of what happened within
    it; so ``f`` is called again there, and must depend on its arguments (and what it closes over)
    alone. What it closes over receives derivatives too. It may assign to elements of its carry and of
    its x, which changes neither ``init`` nor ``xs``, but not to those of a Value from outside.

    Parameters
    ----------
    f : callable
        ``f(carry, x)`` gives the pair of next carry and y. The carry keeps its containers, shapes
        and dtypes. ``y`` may be None.
    init : number, array, Value, or container of them
        The first carry.
    xs : array, Value, or container of them, optional
        ``x`` is one entry along the first axis; without it None.
    length : int, optional
        The number of steps, where there are no xs.
    reverse : bool
        Whether to begin with the last entry. Each y is stacked where its x was.

    Returns
    -------
    carry, ys

    Raises
    ------
    TypeError
        If the carry changes containers, shapes or dtypes, or ``f`` returns no pair.
    ValueError
        If the xs differ in length, or there is none.

    Examples
    --------
    >>> def step(total, x):
    ...     return total + x, total * x
    >>> carry, ys = scan(step, 0.0, np.array([1.0, 2.0, 3.0]))
    >>> carry, ys
    (6.0, array([0., 2., 9.]))
    >>> from chainrule import grad
    >>> grad(lambda r: scan(lambda x, _: (r * x, None), 1.0, length=3)[0])(2.0)
    12.0
    """
    _check_functions("scan", f=f)
    leaves, spec, labels = _carry("scan", init)
    rows, row_spec = _rows(xs)
    steps = _length(rows, xs, length)
    seen: list[Any] = []

    def body(carry: list[Any], x: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        out = f(optree.tree_unflatten(spec, carry), optree.tree_unflatten(row_spec, x))
        if not isinstance(out, tuple | list) or len(out) != 2:
            raise TypeError(
                f"scan: the function returned {kind_of(out)}, expected a pair (carry, y); return carry, None "
                "if there is nothing to collect"
            )
        new = _same_spec("scan", out[0], spec)
        ys, y_spec = flatten(out[1])
        if not seen:
            seen.append(y_spec)
        if seen[0] != y_spec:
            raise TypeError(
                f"scan: y has the structure {y_spec} at one step and {seen[0]} at the first; expected the "
                "same at each"
            )
        return new, ys, []

    if steps:
        y_label = lambda j: "y" + seen[0].accessors()[j].codify("")
        plan, again = Plan("scan", (body,), _title(f), labels, y_label), as_it_is(f)
        carry, ys, _ = loop(plan, leaves, rows, steps, bool(reverse))
        f = again
    else:
        carry, ys = leaves, _nothing(body, leaves, rows)
    return optree.tree_unflatten(spec, carry), optree.tree_unflatten(seen[0], ys)


def fori(start: Any, stop: Any, body: Callable[[Any, Any], Any], init: Any) -> Any:
    """A counting loop: ``for i in range(start, stop): carry = body(i, carry)``.

    Its derivative in reverse mode keeps the carry of each step, as that of `scan`. In a compiled
    function the bounds may be traced; then there is no reverse mode.

    Parameters
    ----------
    start, stop : int
    body : callable
        ``body(i, carry)`` gives the next carry, of the same containers, shapes and dtypes.
    init : number, array, Value, or container of them
        The first carry.

    Raises
    ------
    TypeError
        If the carry changes containers, shapes or dtypes, or a bound is no integer.

    Examples
    --------
    >>> fori(1, 5, lambda i, product: product * i, 1.0)
    24.0
    >>> from chainrule import grad
    >>> grad(lambda x: fori(0, 3, lambda i, y: np.sin(y), x))(0.0)
    1.0
    """
    _check_functions("fori", body=body)
    first, last = _bound("start", start), _bound("stop", stop)
    leaves, spec, labels = _carry("fori", init)

    def step(given: list[Any]) -> list[Any]:
        i, *carry = given
        return [i + 1, *_same_spec("fori", body(i, optree.tree_unflatten(spec, carry)), spec)]

    given, labels = [first, *leaves], ["the counter", *labels]
    again = as_it_is(body)
    if type(first) is Traced or type(last) is Traced:
        found = repeat(Plan("fori", (lambda carry: carry[0] < last, step), _title(body), labels), given)
    elif last <= first:
        return init
    else:
        plan = Plan("fori", (lambda carry, _: (step(carry), [], []),), _title(body), labels)
        found, _, _ = loop(plan, given, [], last - first, False)
    body = again
    return optree.tree_unflatten(spec, found[1:])


def while_loop(condition: Callable[[Any], Any], body: Callable[[Any], Any], init: Any) -> Any:
    """A loop as long as something holds: ``while condition(carry): carry = body(carry)``.

    In a compiled function it has a derivative in forward mode only: nothing says how many carries
    reverse mode would have to keep.

    Parameters
    ----------
    condition : callable
        ``condition(carry)`` gives one boolean.
    body : callable
        ``body(carry)`` gives the next carry, of the same containers, shapes and dtypes.
    init : number, array, Value, or container of them
        The first carry.

    Raises
    ------
    TypeError
        If the condition is no boolean, or the carry changes containers, shapes or dtypes.

    Examples
    --------
    >>> def newton(x):
    ...     return while_loop(lambda r: abs(r * r - x) > 1e-12, lambda r: (r + x / r) / 2, 1.0 + 0 * x)
    >>> from chainrule import jvp
    >>> jvp(newton, (4.0,), (1.0,))
    (2.0, 0.25)
    """
    _check_functions("while_loop", condition=condition, body=body)
    leaves, spec, labels = _carry("while_loop", init)

    def holds(carry: list[Any]) -> Any:
        return condition(optree.tree_unflatten(spec, carry))

    def step(carry: list[Any]) -> list[Any]:
        return _same_spec("while_loop", body(optree.tree_unflatten(spec, carry)), spec)

    if current_trace() is not None:
        again = as_it_is(condition), as_it_is(body)
        carry = repeat(Plan("while_loop", (holds, step), _title(body), labels), leaves)
        condition, body = again
    else:
        likes, carry = [current(x) for x in leaves], [_own(x) for x in leaves]
        for number in itertools.count():
            since = next_serial()
            if not truth("while_loop", "condition", holds(carry)):
                break
            carry = step(carry)
            if watch.step is not None:
                watch.step("while_loop", number, since, next_serial())
            for i, x in enumerate(carry):
                same = conform("while_loop", labels[i], current(x), likes[i])
                carry[i] = x if type(x) is Value else same
    return optree.tree_unflatten(spec, carry)


def _own(x: Any) -> Any:
    """A carry that a body may write to, as the first of `scan`."""
    if type(x) is Value:
        return alias(x) if x.shape else x
    return x.copy() if type(x) is np.ndarray else x


def cond(predicate: Any, f: Callable[..., Any], g: Callable[..., Any], *operands: Any) -> Any:
    """``f(*operands)`` if the predicate is true, else ``g(*operands)``.

    Outside of a compiled function only one of them is called.

    Parameters
    ----------
    predicate : bool
    f, g : callable
        In a compiled function both must return the same containers, shapes and dtypes.
    *operands : numbers, arrays, Values, or containers of them

    Raises
    ------
    TypeError
        If the predicate is not one boolean, or, compiled, the results differ in kind.

    Examples
    --------
    >>> x = 3.0
    >>> cond(x > 0, lambda x: x, lambda x: -x, x)
    3.0
    """
    _check_functions("cond", f=f, g=g)
    if type(truth("cond", "predicate", predicate)) is not Traced:
        return f(*operands) if predicate else g(*operands)
    leaves, spec = flatten(operands)
    at = [i for i, x in enumerate(leaves) if type(x) is Value or sort_of(x) is not None]
    seen: list[Any] = []
    branches = [f, g]

    def flat(h: int) -> Callable[[list[Any]], list[Any]]:
        def call(given: list[Any]) -> list[Any]:
            full = list(leaves)
            for i, x in zip(at, given):
                full[i] = x
            found, out = flatten(branches[h](*optree.tree_unflatten(spec, full)))
            if not seen:
                seen.append(out)
            if out != seen[0]:
                raise TypeError(
                    f"cond: the result has the structure {seen[0]} where the predicate is true and {out} "
                    "where it is false; expected the same from both"
                )
            return found

        return call

    plan, again = Plan("cond", (flat(0), flat(1)), f"{_title(f)} or {_title(g)}"), [as_it_is(f), as_it_is(g)]
    found = branch(plan, predicate, [leaves[i] for i in at])
    branches = again
    return optree.tree_unflatten(seen[0], found)


# -------------------------------------------------------------------- what the user passed


def _check_functions(name: str, **given: Any) -> None:
    for what, f in given.items():
        if not callable(f):
            remedy = "; of two numbers or arrays np.where chooses" if name == "cond" else ""
            raise TypeError(f"{name}: {what} is {kind_of(f)}, expected a function{remedy}")


def _title(f: Any) -> str:
    """What pictures call a function."""
    return getattr(f, "__name__", type(f).__name__)


def _carry(name: str, init: Any) -> tuple[list[Any], Any, list[str]]:
    """The leaves of the first carry, their container, and what to call them in errors."""
    leaves, spec = flatten(init)
    labels = ["carry" + accessor.codify("") for accessor in spec.accessors()]
    for label, x in zip(labels, leaves):
        if sort_of(current(x)) is None:
            raise TypeError(
                f"{name}: {label} starts as {describe(current(x))}, expected numbers, arrays, Values or "
                "containers of them; what stays as it is need not be carried: close over it"
            )
    return leaves, spec, labels


def _same_spec(name: str, carry: Any, spec: Any) -> list[Any]:
    leaves, got = flatten(carry)
    if got != spec:
        raise TypeError(
            f"{name}: the step returned a carry of structure {got}, expected that of the first carry, {spec}"
        )
    return leaves


def _rows(xs: Any) -> tuple[list[Any], Any]:
    rows, spec = flatten(xs)
    for accessor, x in zip(spec.accessors(), rows):
        if not isinstance(x, Value | np.ndarray | Traced) or not x.shape:
            raise TypeError(
                f"scan: xs{accessor.codify('')} is {describe(current(x))}, expected an array with one entry "
                "for each step along its first axis; write np.array(xs) for a list of numbers; what is the "
                "same at each is not passed: close over it"
            )
    return rows, spec


def _length(rows: list[Any], xs: Any, length: Any) -> int:
    if length is not None:
        try:
            length = operator.index(length)
        except TypeError:
            raise TypeError(f"scan: length is {describe(current(length))}, expected an integer") from None
        if length < 0:
            raise ValueError(f"scan: length is {length}, expected 0 or more")
    elif not rows:
        raise ValueError("scan: there are neither xs nor length; pass length=n for n steps")
    names = [f"xs{accessor.codify('')}" for accessor in flatten(xs)[1].accessors()]
    lengths = [x.shape[0] for x in rows]
    against, n = ("length", length) if length is not None else (f"the length of {names[0]}", lengths[0])
    for name, got in zip(names, lengths):
        if got != n:
            raise ValueError(
                f"scan: {name} has {got} entries along its first axis, expected {n}, {against}; each step "
                "takes one entry of each"
            )
    return n  # type: ignore[no-any-return]


def _nothing(body: Any, leaves: list[Any], rows: list[Any]) -> list[Any]:
    """The ys of no steps: of the shapes that one step would give."""
    with np.errstate(all="ignore"):
        _, ys, _ = body(leaves, [np.zeros(row.shape[1:], row.dtype)[()] for row in rows])
    stacks = [Stack("scan", "y", 1) for _ in ys]
    for stack, y in zip(stacks, ys):
        y = current(y)
        stack.put(0, np.zeros(y.shape, y.dtype) if type(y) is Traced else y)
    return [stack.array[:0] for stack in stacks]


def _bound(what: str, x: Any) -> Any:
    if type(x) is Traced and x.shape == () and x.dtype.kind in "iu":
        return x
    try:
        if type(x) is not Traced:
            return operator.index(x)
    except TypeError:
        pass
    raise TypeError(f"fori: {what} is {describe(current(x))}, expected an integer")
