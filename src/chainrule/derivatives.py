"""Derivatives of functions: gradients, products with Jacobians, Jacobians, Hessians.

Shapes follow one convention: a Jacobian has the shape of the output followed by the shape of the
input, a gradient the shape of the input. Arguments and results may be nested containers (dicts,
tuples, lists, dataclasses registered with optree); derivatives come in the same containers.
Raw arrays in, raw arrays out; Values in, Values out, and also where the function reads other
Values, so that derivatives of derivatives are right however functions are nested.

A complex gradient is the direction of steepest ascent, ``∂f/∂a + i ∂f/∂b`` for ``z = a + ib``;
`vjp` and `jvp` are the plain products with the Jacobian.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import optree

from chainrule.graph import order
from chainrule.primitive import Elementwise, fit
from chainrule.rules.shape import conj, reshape, stack
from chainrule.sweeps.adjoint import Outside, adjoint
from chainrule.sweeps.tangent import tangent
from chainrule.value import Value

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

F = TypeVar("F", bound=Callable[..., Any])

# Passing a Value through it gives a node that a function can be differentiated at, while staying
# connected to the Value; sweeps of the inner function stop there.
_alias = Elementwise(lambda x: x, 1, name="alias")
_stop = Elementwise(lambda x: x, None, name="stop_gradient")


# -------------------------------------------------------------------- recording a function


class _Recording(NamedTuple):
    """A function run once on fresh Values."""

    name: str
    out: Any  # what the function returned
    leaves: list[Value]  # what it is differentiated with respect to
    spec: Any  # their container
    nested: bool  # whether any of them stands for a Value of the caller's

    @property
    def since(self) -> int:
        return self.leaves[0].serial if self.leaves else 0

    @property
    def until(self) -> int:
        return self.leaves[-1].serial if self.leaves else -1

    def sweep_back(self, seeds: list[tuple[Value, Any]]) -> tuple[list[Any], bool]:
        """The cotangents of the leaves, zeros where nothing arrived, and whether they were recorded."""
        record = self.nested
        try:
            found = adjoint(seeds, since=self.since, until=self.until, record=record or None)
        except Outside:
            record = True
            found = adjoint(seeds, since=self.since, until=self.until, record=True)
        return [found[v] if v in found else _zeros(v._data) for v in self.leaves], record


def _record(name: str, f: Callable[..., Any], trees: Any, rebuild: Callable[[Any], Any]) -> _Recording:
    """Run ``rebuild``'s call of ``f`` on Values in the place of every leaf of ``trees``."""
    paths, flat, spec = optree.tree_flatten_with_path(trees)
    nested = any(type(x) is Value for x in flat)
    leaves = [_lift(name, path, x) for path, x in zip(paths, flat, strict=True)]
    out = rebuild(optree.tree_unflatten(spec, leaves))
    return _Recording(name, out, leaves, spec, nested)


def _lift(name: str, path: tuple[Any, ...], x: Any) -> Value:
    """A fresh Value to differentiate with respect to."""
    if type(x) is Value:
        return cast(Value, _alias(x))
    kind = np.asarray(x).dtype.kind if isinstance(x, int | float | complex | np.ndarray | np.generic) else ""
    if kind in "fc" and kind:
        return Value(x)
    where = f"argument {path[0]}" + "".join(f"[{key!r}]" for key in path[1:])
    if kind:
        given = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else f"{x!r} ({type(x).__name__})"
        raise TypeError(
            f"{name}: {where} is {given}, expected floats; a derivative needs real numbers: "
            "convert it with .astype(float) or write 3.0 for 3, or leave this argument out of argnums"
        )
    raise TypeError(
        f"{name}: {where} is a {type(x).__name__}, expected floats, arrays or containers of them; "
        "name the arguments to differentiate with argnums"
    )


def _record_call(
    name: str, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Any
) -> tuple[_Recording, bool]:
    """Record ``f(*args, **kwargs)`` with respect to the arguments numbered ``argnums``."""
    single = not isinstance(argnums, tuple | list)
    numbers = [argnums] if single else list(argnums)
    for i in numbers:
        if not isinstance(i, int) or isinstance(i, bool):
            raise TypeError(f"{name}: argnums is {argnums!r}, expected an integer or a tuple of integers")
        if not -len(args) <= i < len(args):
            raise TypeError(
                f"{name}: argnums names argument {i}, but the function was called with {len(args)} positional "
                "argument(s); arguments to differentiate must be passed by position"
            )
    numbers = [i % len(args) for i in numbers]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{name}: argnums {argnums!r} names an argument twice")

    def rebuild(chosen: dict[int, Any]) -> Any:
        return f(*[chosen.get(i, a) for i, a in enumerate(args)], **kwargs)

    recording = _record(name, f, {i: args[i] for i in sorted(numbers)}, rebuild)
    return recording, single


def _by_argnums(recording: _Recording, flat: list[Any], argnums: Any, n: int) -> Any:
    tree = optree.tree_unflatten(recording.spec, flat)
    if isinstance(argnums, tuple | list):
        return tuple(tree[i % n] for i in argnums)
    return tree[argnums % n]


def _zeros(like: Any) -> Any:
    return 0.0 if type(like) is float else np.zeros_like(like)


def _hand_out(results: Sequence[Any], values: bool = False) -> list[Any]:
    """Results as the caller may keep them: arrays of his own; Values if he came with Values."""
    seen: set[int] = set()
    out = []
    for r in results:
        if type(r) is np.ndarray:
            if not (r.flags.owndata and r.flags.writeable) or id(r) in seen:
                r = r.copy()
            seen.add(id(r))
        out.append(Value(r) if values and type(r) is not Value else r)
    return out


def _plain(recording: _Recording, tree: Any) -> Any:
    """The function's result without its graph, unless the graph reaches beyond the function."""
    flat, spec = optree.tree_flatten(tree)
    if not recording.nested:
        plain = []
        for v in flat:
            if type(v) is Value:
                if _reaches_outside(v, recording):
                    plain.append(v)
                    continue
                v = v._data
                v = v.copy() if type(v) is np.ndarray else v
            plain.append(v)
        flat = plain
    return optree.tree_unflatten(spec, flat)


def _reaches_outside(v: Value, recording: _Recording) -> bool:
    since = recording.since
    return v.serial < since or any(
        type(x) is Value and x.serial < since for node in order([v], since) for x in node.inputs
    )


# -------------------------------------------------------------------- gradients


def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
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
        Treat ``f`` as complex differentiable and give ``f'(z)``.

    Raises
    ------
    TypeError
        For an argument that is no float, or an output that is no scalar.

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
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    _name: str = "value_and_grad",
) -> Callable[..., Any]:
    """Like `grad`, giving the pair ``(f(x), gradient)``; with ``has_aux`` ``((f(x), aux), gradient)``.

    Examples
    --------
    >>> value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (6.0, (3.0, 2.0))
    """

    @functools.wraps(f, updated=())
    def both(*args: Any, **kwargs: Any) -> Any:
        recording, _ = _record_call(_name, f, args, kwargs, argnums)
        aux = None
        out = recording.out
        if has_aux:
            if not isinstance(out, tuple) or len(out) != 2:
                raise TypeError(
                    f"{_name}: with has_aux the function must return a pair (value, aux), it returned {_kind(out)}"
                )
            out, aux = out
        _check_scalar(_name, out, holomorphic, recording)
        with np.errstate(all="ignore"):
            seeds = [(out, fit(1.0, out._data))] if type(out) is Value else []
            flat, recorded = recording.sweep_back(seeds)
            if not holomorphic:
                flat = [conj(g) if v.dtype.kind == "c" else g for g, v in zip(flat, recording.leaves, strict=True)]
        flat = _hand_out(flat, recording.nested)
        value = out if recorded or type(out) is not Value else out._data
        if has_aux:
            value = (value, _plain(recording, aux))
        return value, _by_argnums(recording, flat, argnums, len(args))

    return both


def _check_scalar(name: str, out: Any, holomorphic: bool, recording: _Recording) -> None:
    if not isinstance(out, Value | float | int | complex | np.ndarray | np.generic):
        raise TypeError(f"{name}: the function returned {_kind(out)}, expected a scalar")
    if np.shape(out._data if type(out) is Value else out):
        raise TypeError(
            f"{name}: the function returned an array of shape {out.shape}, expected a scalar; reduce it "  # type: ignore[union-attr]
            "(np.sum, np.mean), or use chainrule.jacobian for the derivative of an array"
        )
    kind = out.dtype.kind if isinstance(out, Value | np.generic) else np.asarray(out).dtype.kind
    if kind == "c" and not holomorphic:
        raise TypeError(
            f"{name}: the function returned a complex number, expected a real one; take .real, .imag or "
            "np.abs of it, or pass holomorphic=True for the derivative of a holomorphic function"
        )
    if holomorphic and any(v.dtype.kind != "c" for v in recording.leaves):
        raise TypeError(f"{name}: holomorphic=True expects complex arguments; convert with x.astype(complex)")


def _kind(x: Any) -> str:
    return "None" if x is None else f"a {type(x).__name__}"


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

    Examples
    --------
    >>> import numpy as np
    >>> value, pull = vjp(lambda x, y: x * y, np.array([1.0, 2.0]), 3.0)
    >>> pull(np.array([1.0, 10.0]))
    (array([ 3., 30.]), 21.0)
    """
    recording = _record("vjp", f, primals, lambda chosen: f(*chosen))
    out, aux = recording.out, None
    if has_aux:
        if not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(f"vjp: with has_aux the function must return a pair, it returned {_kind(out)}")
        out, aux = out
    flat, spec = optree.tree_flatten(out)

    def pull(cotangent: Any) -> Any:
        gs = _match("vjp", "cotangent", cotangent, "the value", flat, spec)
        values = recording.nested or any(type(g) is Value for g in gs)
        with np.errstate(all="ignore"):
            seeds = [
                (v, fit(g.copy() if type(g) is np.ndarray else g, v._data))
                for v, g in zip(flat, gs, strict=True)
                if type(v) is Value
            ]
            found, _ = recording.sweep_back(seeds)
        return optree.tree_unflatten(recording.spec, _hand_out(found, values))

    value = _plain(recording, out)
    return (value, pull, _plain(recording, aux)) if has_aux else (value, pull)


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """Value and differential: ``lin(dx)`` gives ``J dx``, reusing one recording of ``f``.

    ``f(x + h v) = f(x) + h lin(v) + O(h²)``.

    Examples
    --------
    >>> value, lin = linearize(lambda x: x**3, 2.0)
    >>> value, lin(1.0), lin(0.5)
    (8.0, 12.0, 6.0)
    """
    recording = _record("linearize", f, primals, lambda chosen: f(*chosen))
    out_flat, out_spec = optree.tree_flatten(recording.out)
    nodes = order([v for v in out_flat if type(v) is Value], recording.since)
    record = recording.nested or _outside(nodes, recording)

    def lin(*tangents: Any) -> Any:
        ts = _match("linearize", "tangents", tangents, "the primals", recording.leaves, recording.spec)
        return optree.tree_unflatten(out_spec, _push_forward(recording, nodes, out_flat, ts, record))

    return _plain(recording, recording.out), lin


def _outside(nodes: list[Value], recording: _Recording) -> bool:
    since = recording.since
    return any(type(x) is Value and x.serial < since for node in nodes for x in node.inputs)


def _push_forward(
    recording: _Recording, nodes: list[Value], outputs: list[Any], ts: list[Any], record: bool
) -> list[Any]:
    values = recording.nested or any(type(t) is Value for t in ts)
    seeds = {
        v: fit(t.copy() if type(t) is np.ndarray else t, v._data)
        for v, t in zip(recording.leaves, ts, strict=True)
    }
    with np.errstate(all="ignore"):
        found = tangent(nodes, seeds, record=record)
    return _hand_out(
        [found[v] if type(v) is Value and v in found else _zeros(v._data if type(v) is Value else v) for v in outputs],
        values,
    )


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Value and tangent: ``(f(x), J dx)`` in forward mode.

    Examples
    --------
    >>> jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0))
    (6.0, 23.0)
    """
    for name, x in (("primals", primals), ("tangents", tangents)):
        if not isinstance(x, tuple | list):
            raise TypeError(
                f"jvp: {name} is {_kind(x)}, expected a tuple with one entry per argument: jvp(f, (x,), (dx,))"
            )
    recording = _record("jvp", f, tuple(primals), lambda chosen: f(*chosen))
    ts = _match("jvp", "tangents", tuple(tangents), "the primals", recording.leaves, recording.spec)
    flat, spec = optree.tree_flatten(recording.out)
    nodes = order([v for v in flat if type(v) is Value], recording.since)
    record = recording.nested or _outside(nodes, recording)
    found = _push_forward(recording, nodes, flat, ts, record)
    return _plain(recording, recording.out), optree.tree_unflatten(spec, found)


def directional_derivative(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """``∇f(x) · v``: the velocity of ``f`` when ``x`` moves with velocity ``v``.

    Examples
    --------
    >>> import numpy as np
    >>> directional_derivative(lambda x: np.sum(x**2), np.array([1.0, 2.0]), np.array([0.0, 1.0]))
    np.float64(4.0)
    """
    return jvp(f, (x,), (v,))[1]


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """``∇²f(x) v``, without building the Hessian: the tangent of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return jvp(grad(f), (x,), (v,))[1]


def _match(name: str, what: str, tree: Any, of: str, flat: list[Any], spec: Any) -> list[Any]:
    """The leaves of ``tree``, which must have the containers and shapes of ``of``."""
    given, given_spec = optree.tree_flatten(tree)
    if given_spec != spec:
        raise ValueError(f"{name}: {what} has the structure {given_spec}, expected that of {of}: {spec}")
    for i, (t, v) in enumerate(zip(given, flat, strict=True)):
        got, want = np.shape(getattr(t, "_data", t)), np.shape(getattr(v, "_data", v))
        if got != want:
            at = f"[{i}]" if len(flat) > 1 else ""
            raise ValueError(f"{name}: {what}{at} has shape {got}, expected the shape of {of}, {want}")
    return given


# -------------------------------------------------------------------- Jacobians and Hessians


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, mode: str = "auto") -> Callable[..., Any]:
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

    Examples
    --------
    >>> import numpy as np
    >>> jacobian(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f"jacobian: mode is {mode!r}, expected 'auto', 'forward' or 'reverse'")

    @functools.wraps(f, updated=())
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        recording, _ = _record_call("jacobian", f, args, kwargs, argnums)
        flat, spec = optree.tree_flatten(recording.out)
        for v in flat:
            if not isinstance(v, Value | float | int | np.ndarray | np.generic):
                raise TypeError(f"jacobian: the function returned {_kind(v)}, expected arrays or containers of them")
        if any(v.dtype.kind == "c" for v in recording.leaves):
            raise TypeError("jacobian: complex arguments; differentiate with respect to real and imaginary parts")
        rows = sum(np.size(v._data) for v in flat if type(v) is Value)
        columns = sum(v.size for v in recording.leaves)
        forward = mode == "forward" or (mode == "auto" and columns <= rows)
        table = (_columns if forward else _rows)(recording, flat)
        blocks = [
            _by_argnums(recording, _hand_out(row, recording.nested), argnums, len(args)) for row in table
        ]
        return optree.tree_unflatten(spec, blocks)

    return jacobian_of


def _columns(recording: _Recording, outputs: list[Any]) -> list[list[Any]]:
    """``table[output][input]``, a column per tangent sweep."""
    nodes = order([v for v in outputs if type(v) is Value], recording.since)
    record = recording.nested or _outside(nodes, recording)
    found: list[list[list[Any]]] = [[[] for _ in recording.leaves] for _ in outputs]
    for j, leaf in enumerate(recording.leaves):
        for basis in _basis(leaf._data):
            ts = [basis if v is leaf else _zeros(v._data) for v in recording.leaves]
            for i, t in enumerate(_push_forward(recording, nodes, outputs, ts, record)):
                found[i][j].append(t)
    return [[_assemble(found[i][j], v, leaf, -1) for j, leaf in enumerate(recording.leaves)] for i, v in enumerate(outputs)]


def _rows(recording: _Recording, outputs: list[Any]) -> list[list[Any]]:
    """``table[output][input]``, a row per adjoint sweep."""
    table = []
    for v in outputs:
        found: list[list[Any]] = [[] for _ in recording.leaves]
        for basis in _basis(v._data if type(v) is Value else v):
            with np.errstate(all="ignore"):
                gs, _ = recording.sweep_back([(v, basis)] if type(v) is Value else [])
            for j, g in enumerate(gs):
                found[j].append(g)
        table.append([_assemble(found[j], v, leaf, 0) for j, leaf in enumerate(recording.leaves)])
    return table


def _basis(like: Any) -> Any:
    """The unit vectors of an array's space, in its shape and dtype."""
    if np.ndim(like) == 0:
        yield fit(1.0, like)
        return
    for i in range(like.size):
        e = np.zeros_like(like)
        e.flat[i] = 1.0
        yield e


def _assemble(parts: list[Any], output: Any, leaf: Value, axis: int) -> Any:
    shape = np.shape(getattr(output, "_data", output)) + leaf.shape
    if not shape:
        return parts[0]
    if not parts:
        return np.zeros(shape, leaf.dtype)
    return reshape(stack(parts, axis=axis), shape)


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The second derivatives ``∂²f/∂xᵢ∂xⱼ`` of a scalar function, of shape ``x.shape + x.shape``.

    One forward sweep per entry of ``x`` over the recorded gradient.

    Examples
    --------
    >>> import numpy as np
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums, mode="forward")


def stop_gradient(x: Any) -> Any:
    """``x`` itself, with derivative zero; in any container.

    Examples
    --------
    >>> grad(lambda x: stop_gradient(x) * x)(3.0)
    3.0
    """
    return optree.tree_map(lambda v: _stop(v) if type(v) is Value else v, x)
