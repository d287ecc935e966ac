"""Derivatives of functions: gradients, products with Jacobians, Jacobians, Hessians.

Shapes follow one convention: a Jacobian has the shape of the output followed by the shape of the
input, a gradient the shape of the input. Arguments and results may be nested containers (dicts,
tuples, lists, dataclasses); derivatives come in the same containers.
Raw arrays in, raw arrays out; Values in, Values out, and also where the function reads other
Values, so that derivatives of derivatives are right however functions are nested.

A complex gradient is the direction of steepest ascent, ``∂f/∂a + i ∂f/∂b`` for ``z = a + ib``;
`vjp` and `jvp` are the plain products with the Jacobian.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import optree

from chainrule.containers import flatten
from chainrule.primitives import Elementwise, Lanes, fit
from chainrule.recording import Recording, hand_out, kind_of, match, own, zeros_like
from chainrule.rules.shape import conj, reshape, stack
from chainrule.traced import Traced, is_array
from chainrule.value import Value, current

__all__ = [
    "directional_derivative",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linearize",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]

Argnums = int | tuple[int, ...] | list[int]


def record_call(
    name: str,
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: Argnums,
    has_aux: bool = False,
) -> Recording:
    """Record ``f(*args, **kwargs)`` with respect to the arguments numbered ``argnums``."""

    def call(chosen: dict[int, Any]) -> Any:
        return f(*[chosen.get(i, a) for i, a in enumerate(args)], **kwargs)

    numbers = argument_numbers(name, argnums, len(args))
    return Recording(name, call, {i: args[i] for i in sorted(numbers)}, has_aux)


def argument_numbers(name: str, argnums: Argnums, count: int) -> list[int]:
    """Which of so many arguments ``argnums`` names, counted from the front."""
    numbers = list(argnums) if isinstance(argnums, tuple | list) else [argnums]
    for i in numbers:
        if not isinstance(i, int) or isinstance(i, bool):
            raise TypeError(f"{name}: argnums is {argnums!r}, expected an integer or a tuple of integers")
        if not -count <= i < count:
            raise TypeError(
                f"{name}: argnums names argument {i}, but the function was called with {count} "
                "positional argument(s); arguments to differentiate must be passed by position"
            )
    numbers = [i % count for i in numbers]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{name}: argnums {argnums!r} names an argument twice")
    return numbers


def _by_argnums(recording: Recording, flat: list[Any], argnums: Argnums, n: int) -> Any:
    """Derivatives in the containers of the arguments; a tuple of them for a tuple of ``argnums``."""
    tree = optree.tree_unflatten(recording.spec, flat)
    if isinstance(argnums, tuple | list):
        return tuple(tree[i % n] for i in argnums)
    return tree[argnums % n]


# -------------------------------------------------------------------- gradients


def grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """The gradient of a scalar function, as a function.

    ``grad(f)(x)[i] = ∂f/∂xᵢ``, in the shape, dtype and container of ``x``.

    Parameters
    ----------
    f : callable
        Returns a scalar (with ``has_aux`` a pair of scalar and anything else).
    argnums : int or tuple of int
        The argument, or arguments, to differentiate; a tuple gives a tuple of gradients.
    has_aux : bool
        Then the result is the pair of gradient and ``f``'s second output.
    holomorphic : bool
        Treat ``f`` as complex differentiable and give ``f'(z)``. Arguments and output must be complex.
        That ``f`` obeys the Cauchy-Riemann equations at ``z`` is checked, by a second sweep.

    Raises
    ------
    TypeError
        For an argument that is no float, or an output that is no scalar; with ``holomorphic`` for real ones.
    ValueError
        With ``holomorphic``, if ``f`` is not complex differentiable at ``z``.

    Examples
    --------
    >>> import numpy as np
    >>> grad(lambda x: np.sum(np.sin(x) ** 2))(np.array([0.0, np.pi / 4]))
    array([0., 1.])
    >>> grad(grad(np.exp))(0.0)
    1.0
    """
    both = value_and_grad(f, argnums, has_aux, holomorphic, _name="grad")

    @functools.wraps(f, updated=())
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return gradient


def value_and_grad(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    _name: str = "value_and_grad",
) -> Callable[..., Any]:
    """Like `grad`, giving the pair ``(f(x), gradient)``; with ``has_aux`` ``((f(x), aux), gradient)``.

    Raises
    ------
    TypeError, ValueError
        As `grad`.

    Examples
    --------
    >>> value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (6.0, (3.0, 2.0))
    """
    _check_function(_name, f)

    @functools.wraps(f, updated=())
    def both(*args: Any, **kwargs: Any) -> Any:
        recording = record_call(_name, f, args, kwargs, argnums, has_aux)
        out = recording.out
        _check_scalar(_name, out, holomorphic, recording)
        flat, recorded = recording.pull([(out, fit(1.0, out._raw))] if type(out) is Value else [])
        if holomorphic:
            _check_holomorphic(_name, recording, flat)
        else:
            flat = [
                conj(g) if v.dtype.kind == "c" else g for g, v in zip(flat, recording.leaves, strict=True)
            ]
        flat = hand_out(flat, recording.nested)
        value = out if recorded or type(out) is not Value else own(out._raw)
        if has_aux:
            value = (value, recording.plain(recording.aux))
        return value, _by_argnums(recording, flat, argnums, len(args))

    return both


def _check_function(name: str, f: Any) -> None:
    if not callable(f):
        raise TypeError(
            f"{name}: f is {kind_of(f)}, expected a function; pass the function itself, not what it returned"
        )


def _check_scalar(name: str, out: Any, holomorphic: bool, recording: Recording) -> None:
    if type(out) is not Value and not is_array(out):
        remedy = "is its return missing?" if out is None else "return one number"
        if isinstance(out, tuple) and name != "hessian":
            remedy = "return one number, or a pair of it and anything else with has_aux=True"
        raise TypeError(f"{name}: the function returned {kind_of(out)}, expected a scalar; {remedy}")
    result = out._raw if type(out) is Value else out
    if np.ndim(result):
        raise TypeError(
            f"{name}: the function returned an array of shape {np.shape(result)}, expected a scalar; "
            "reduce it (np.sum, np.mean), or use chainrule.jacobian for the derivative of an array"
        )
    if isinstance(result, bool | np.bool_):
        raise TypeError(f"{name}: the function returned {result}, a comparison, which has no derivative")
    if np.iscomplexobj(result) and not holomorphic:
        raise TypeError(
            f"{name}: the function returned a complex number, expected a real one; take .real, .imag or "
            "np.abs of it, or pass holomorphic=True for the derivative of a holomorphic function"
        )
    if holomorphic and any(v.dtype.kind != "c" for v in recording.leaves):
        raise TypeError(f"{name}: holomorphic=True expects complex arguments; convert with x.astype(complex)")
    if holomorphic and not np.iscomplexobj(result):
        raise TypeError(
            f"{name}: holomorphic=True expects a complex output, the function returned a real number; leave "
            "holomorphic out for the gradient of a real function"
        )


def _check_holomorphic(name: str, recording: Recording, flat: list[Any]) -> None:
    """The Cauchy-Riemann equations: as the output turns by ``i``, so does its derivative."""
    out = recording.out
    turned, _ = recording.pull([(out, fit(1j, out._raw))] if type(out) is Value else [])
    _check_turned(name, flat, turned)


def _check_turned(name: str, flat: list[Any], turned: list[Any]) -> None:
    for g, h in zip(map(current, flat), map(current, turned), strict=True):
        if type(g) is Traced or type(h) is Traced:  # no numbers yet
            continue
        with np.errstate(all="ignore"):
            wrong = abs(h - 1j * g) > np.sqrt(np.finfo(np.asarray(g).dtype).eps) * (abs(g) + abs(h))
        if np.any(wrong):
            raise ValueError(
                f"{name}: holomorphic=True, but the function is not complex differentiable here: along the "
                f"imaginary axis it changes otherwise than along the real one (entries {np.sum(wrong)} of "
                f"{np.size(wrong)}); conj, abs, real and imag are not holomorphic: return a real number, "
                "without holomorphic"
            )


# -------------------------------------------------------------------- products with the Jacobian


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value and pull: ``pull(g)`` gives ``gᵀ J``, one cotangent per primal, as often as wanted.

    Returns
    -------
    value
        ``f(*primals)``
    pull : callable
        Takes a cotangent of the shape (and container) of the value.
    aux
        With ``has_aux`` only: ``f``'s second output.

    Raises
    ------
    TypeError
        For a primal that is no float, or an output that is no array; when ``pull`` is called, for a complex
        cotangent of a real value.
    ValueError
        When ``pull`` is called, for a cotangent of another shape or container than the value's.

    Examples
    --------
    >>> import numpy as np
    >>> value, pull = vjp(lambda x, y: x * y, np.array([1.0, 2.0]), 3.0)
    >>> pull(np.array([1.0, 10.0]))
    (array([ 3., 30.]), 21.0)
    """
    _check_function("vjp", f)
    recording = Recording("vjp", lambda chosen: f(*chosen), primals, has_aux)
    _check_outputs("vjp", recording)

    def pull(cotangent: Any) -> Any:
        gs = match("vjp", "cotangent", cotangent, "the value", recording.outputs, recording.out_spec)
        values = recording.nested or any(type(g) is Value for g in gs)
        seeds = [
            (v, fit(own(g), v._raw)) for v, g in zip(recording.outputs, gs, strict=True) if type(v) is Value
        ]
        found, _ = recording.pull(seeds)
        return optree.tree_unflatten(recording.spec, hand_out(found, values))

    value = recording.plain(recording.out)
    return (value, pull, recording.plain(recording.aux)) if has_aux else (value, pull)


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """Value and differential: ``lin(dx)`` gives ``J dx``, reusing one recording of ``f``.

    ``f(x + h v) = f(x) + h lin(v) + O(h²)``.

    Raises
    ------
    TypeError
        For a primal that is no float, or an output that is no array; when ``lin`` is called, for a complex
        tangent of a real primal.
    ValueError
        When ``lin`` is called, for tangents of other shapes or containers than the primals'.

    Examples
    --------
    >>> value, lin = linearize(lambda x: x**3, 2.0)
    >>> value, lin(1.0), lin(0.5)
    (8.0, 12.0, 6.0)
    """
    return _linearize("linearize", f, primals)


def _linearize(name: str, f: Callable[..., Any], primals: tuple[Any, ...]) -> tuple[Any, Callable[..., Any]]:
    _check_function(name, f)
    recording = Recording(name, lambda chosen: f(*chosen), primals)
    _check_outputs(name, recording)

    def lin(*tangents: Any) -> Any:
        ts = match(name, "tangents", tangents, "the primals", recording.leaves, recording.spec)
        return optree.tree_unflatten(recording.out_spec, recording.push(ts))

    return recording.plain(recording.out), lin


def _check_outputs(name: str, recording: Recording) -> None:
    for v in recording.outputs:
        if type(v) is not Value and not is_array(v):
            raise TypeError(
                f"{name}: the function returned {kind_of(v)}, expected arrays or containers of them"
            )


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Value and tangent: ``(f(x), J dx)`` in forward mode.

    Raises
    ------
    TypeError
        If ``primals`` or ``tangents`` is no tuple; for a primal that is no float, a complex tangent of a real
        one, or an output that is no array.
    ValueError
        For tangents of other shapes or containers than the primals'.

    Examples
    --------
    >>> jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0))
    (6.0, 23.0)
    """
    for name, x in (("primals", primals), ("tangents", tangents)):
        if not isinstance(x, tuple | list):
            raise TypeError(
                f"jvp: {name} is {kind_of(x)}, expected a tuple with one entry per argument: "
                "jvp(f, (x,), (dx,))"
            )
    value, lin = _linearize("jvp", f, tuple(primals))
    return value, lin(*tangents)


def directional_derivative(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """``∇f(x) · v``: the velocity of ``f`` when ``x`` moves with velocity ``v``.

    Raises
    ------
    TypeError, ValueError
        As `jvp`.

    Examples
    --------
    >>> import numpy as np
    >>> directional_derivative(lambda x: np.sum(x**2), np.array([1.0, 2.0]), np.array([0.0, 1.0]))
    np.float64(4.0)
    """
    return _linearize("directional_derivative", f, (x,))[1](v)


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """``∇²f(x) v``, without building the Hessian: the tangent of the gradient.

    Raises
    ------
    TypeError
        If ``x`` holds something else than floats, or ``f`` gives no scalar; for a complex ``v`` of a real
        ``x``.
    ValueError
        If ``v`` has another shape or container than ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return _linearize("hvp", _gradient("hvp", f), (x,))[1](v)


# -------------------------------------------------------------------- Jacobians and Hessians


def jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, mode: str = "auto", holomorphic: bool = False
) -> Callable[..., Any]:
    """The Jacobian ``∂fᵢ/∂xⱼ``, of shape ``output.shape + input.shape``.

    Parameters
    ----------
    f : callable
        Its output may be a container of arrays; the result then is that container of Jacobians.
    argnums : int or tuple of int
        A tuple gives a tuple of Jacobians.
    mode : {"auto", "forward", "reverse"}
        One forward sweep per input entry, or one reverse sweep per output entry; "auto" takes
        the fewer.
    holomorphic : bool
        Treat ``f`` as complex differentiable, as in `grad`: then the entries are complex derivatives.

    Raises
    ------
    TypeError
        For an argument that is no float, or an output that is no array; for complex numbers without
        ``holomorphic``, with it for real ones.
    ValueError
        For another ``mode``; with ``holomorphic``, if ``f`` is not complex differentiable here.

    Examples
    --------
    >>> import numpy as np
    >>> jacobian(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f"jacobian: mode is {mode!r}, expected 'auto', 'forward' or 'reverse'")
    return _jacobian("jacobian", f, argnums, mode, holomorphic)


def _jacobian(
    name: str, f: Callable[..., Any], argnums: Argnums, mode: str, holomorphic: bool = False
) -> Callable[..., Any]:
    _check_function(name, f)

    @functools.wraps(f, updated=())
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        recording = record_call(name, f, args, kwargs, argnums)
        outputs = recording.outputs
        _check_outputs(name, recording)
        every = [np.iscomplexobj(zeros_like(v)) for v in [*recording.leaves, *outputs]]
        if any(every) and not holomorphic:
            raise TypeError(
                f"{name}: complex numbers have no real {name.title()}; differentiate real and imaginary "
                "parts, or pass holomorphic=True for the derivative of a holomorphic function"
            )
        if holomorphic and not all(every):
            raise TypeError(
                f"{name}: holomorphic=True expects complex arguments and outputs; convert with "
                "x.astype(complex), or leave holomorphic out"
            )
        rows = sum(v.size for v in outputs if type(v) is Value)
        columns = sum(v.size for v in recording.leaves)
        forward = mode == "forward" or (mode == "auto" and columns <= rows)
        table = (_columns if forward else _rows)(recording)
        if holomorphic:
            turned = (_columns if forward else _rows)(recording, 1j)
            for row, other in zip(table, turned, strict=True):
                _check_turned(name, row, other)
        blocks = [
            _by_argnums(recording, hand_out(row, recording.nested), argnums, len(args)) for row in table
        ]
        return optree.tree_unflatten(recording.out_spec, blocks)

    return jacobian_of


def _columns(recording: Recording, unit: complex = 1.0) -> list[list[Any]]:
    """``table[output][input]``, one tangent sweep for each column."""
    parts: list[list[list[Any]]] = [[[] for _ in recording.leaves] for _ in recording.outputs]
    for j, leaf in enumerate(recording.leaves):
        for basis in _basis(leaf, unit):
            for i, t in enumerate(_along(basis, recording, _push_one, j)):
                parts[i][j].append(t)
    return [
        [_assemble(parts[i][j], v, leaf, -1) for j, leaf in enumerate(recording.leaves)]
        for i, v in enumerate(recording.outputs)
    ]


def _rows(recording: Recording, unit: complex = 1.0) -> list[list[Any]]:
    """``table[output][input]``, one adjoint sweep for each row."""
    table = []
    for v in recording.outputs:
        pulled = [_along(basis, recording, _pull_one, v) for basis in _basis(v, unit)]
        table.append(
            [_assemble([gs[j] for gs in pulled], v, leaf, 0) for j, leaf in enumerate(recording.leaves)]
        )
    return table


def _push_one(recording: Recording, j: int, tangent: Any) -> list[Any]:
    return recording.push([tangent if k == j else None for k in range(len(recording.leaves))])


def _pull_one(recording: Recording, v: Any, cotangent: Any) -> list[Any]:
    return recording.pull([(v, cotangent)] if type(v) is Value else [])[0]


def _along(basis: Any, recording: Recording, sweep: Callable[..., list[Any]], which: Any) -> list[Any]:
    """A sweep along a unit vector, whose zeros send nothing: 0·inf of an infinite derivative is no nan.

    That takes masks along, so it is done only where nan turned up, or may in a derivative of this.
    """
    if np.ndim(basis) == 0:
        return sweep(recording, which, basis)
    if not recording.nested:
        found = sweep(recording, which, basis)
        flat = [x._raw if type(x) is Value else x for x in found]
        if not any(type(x) is Traced or np.isnan(x).any() for x in flat):
            return found
    return sweep(recording, which, Lanes(basis, basis != 0))


def _basis(x: Any, unit: complex) -> Iterator[Any]:
    """The unit vectors of an array's space, in its shape and dtype."""
    if not np.shape(zeros_like(x)):
        yield fit(unit, zeros_like(x))
        return
    for i in range(x.size):
        e = np.zeros(x.shape, x.dtype)
        e.flat[i] = unit
        yield e


def _assemble(parts: list[Any], output: Any, leaf: Value, axis: int) -> Any:
    """One block of a Jacobian out of its columns (``axis`` -1) or rows (0)."""
    shape = np.shape(zeros_like(output)) + leaf.shape
    if not shape:
        return fit(parts[0], zeros_like(leaf))
    like = np.zeros(shape, leaf.dtype)
    return fit(reshape(stack(parts, axis=axis), shape), like) if parts else like


def hessian(
    f: Callable[..., Any], argnums: Argnums = 0, holomorphic: bool = False
) -> Callable[..., Any]:
    """The second derivatives ``∂²f/∂xᵢ∂xⱼ`` of a scalar function, of shape ``x.shape + x.shape``.

    One forward sweep per entry of ``x`` over the recorded gradient; ``holomorphic`` as in `jacobian`.

    Raises
    ------
    TypeError
        For an argument that is no float, or an output that is no scalar; for complex numbers without
        ``holomorphic``, with it for real ones.
    ValueError
        With ``holomorphic``, if ``f`` is not complex differentiable here.

    Examples
    --------
    >>> import numpy as np
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    return _jacobian(
        "hessian", _gradient("hessian", f, argnums, holomorphic), argnums, "forward", holomorphic
    )


def _gradient(
    name: str, f: Callable[..., Any], argnums: Argnums = 0, holomorphic: bool = False
) -> Callable[..., Any]:
    """The gradient for an operator that is called so."""
    both = value_and_grad(f, argnums, holomorphic=holomorphic, _name=name)

    @functools.wraps(f, updated=())
    def gradient(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return gradient


_stop = Elementwise(lambda x: x, None, name="stop_gradient")


def stop_gradient(x: Any) -> Any:
    """``x`` itself, with derivative zero; in any container.

    Examples
    --------
    >>> grad(lambda x: stop_gradient(x) * x)(3.0)
    3.0
    """
    leaves, spec = flatten(x)
    return optree.tree_unflatten(spec, [_stop(v) if type(v) is Value else v for v in leaves])
