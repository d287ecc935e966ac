"""Random programs: straight lines of NumPy calls on inputs, constants and each other's results.

A program is drawn as numbers and resolved on plain arrays: each number picks an operation that fits
what there is by then, and one that comes too near to a kink or leaves the range of sensible numbers
is left out. What remains runs alike on arrays and on Values.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.special as sp

import chainrule as cr

LARGEST, MOST, MARGIN = 20.0, 48, 0.02  # of a number, of elements, from a kink

Shape = tuple[int, ...]
Arrays = tuple[Any, ...]
SHAPES = [float, (), (3,), (2, 3), (1, 2), (2, 1, 2)]
FIRST = int(os.environ.get("CHAINRULE_SEED") or 0)  # the seed of the first program


class Op(NamedTuple):
    """An operation; ``k`` varies it: an axis, a position."""

    name: str
    arity: int
    apply: Callable[..., Any]  # (k, *operands)
    fits: Callable[..., bool]  # (*shapes)
    kinks: Callable[..., Any] | None = None  # (k, *arrays): how far from each kink


# -------------------------------------------------------------------- which shapes fit


def anything(*shapes: Shape) -> bool:
    return True


def axes(least: int) -> Callable[[Shape], bool]:
    return lambda a: len(a) >= least and math.prod(a) > 0


def exactly(n: int) -> Callable[[Shape], bool]:
    return lambda a: len(a) == n


def broadcast(a: Shape, b: Shape) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False))


def alike(a: Shape, b: Shape) -> bool:
    return a == b and len(a) > 0


def product(a: Shape, b: Shape) -> bool:
    if not (a and b) or a[-1] != b[max(len(b) - 2, 0)]:
        return False
    return all(m == n or 1 in (m, n) for m, n in zip(a[-3::-1], b[-3::-1], strict=False))


def vectors(a: Shape, b: Shape) -> bool:
    return len(a) == len(b) == 1


# -------------------------------------------------------------------- the operations


def axis(k: int, x: Any) -> int:
    """One of the axes, counted from either end."""
    return k % (2 * np.ndim(cr.data(x))) - np.ndim(cr.data(x))


def gaps(k: int, x: Any) -> Any:
    return np.diff(np.sort(x, axis(k, x)), axis=axis(k, x))


def reduction(f: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Over one axis, or over all of them, with the axes kept or not."""

    def reduce(k: int, x: Any) -> Any:
        if k % 3 == 0:
            return f(x, **options)
        return f(x, axis=axis(k, x), keepdims=k % 3 == 1, **options)

    return reduce


def tops(k: int, x: Any) -> Any:
    """How far the two largest and the two smallest entries are apart."""
    x = np.sort(np.ravel(x) if k % 3 == 0 else x, -1 if k % 3 == 0 else axis(k, x))
    x = x if k % 3 == 0 else np.moveaxis(x, axis(k, x), -1)
    return (
        np.concatenate([np.ravel(x[..., 1:2] - x[..., :1]), np.ravel(x[..., -1:] - x[..., -2:-1])])
        if x.shape[-1] > 1
        else 1.0
    )


def written(x: Any, k: int) -> Any:
    """One part over another, and through a window."""
    y = x * 1.0
    y[k % 2 - 1] = np.sin(x[0]) * 0.5
    window = y[::-1]
    window[0] = y[0] * 0.7
    return y


def augmented(x: Any) -> Any:
    y = np.tanh(x)
    y[..., 1:] *= 0.5 + x[..., :1]
    y += x
    return y


def added(x: Any) -> Any:
    y = x * 0.5
    np.add.at(y, np.array([0, -1, 0]), 0.3 * x[:1])
    return y


def definite(x: Any) -> Any:
    """A matrix without a singular neighbour: x xᵀ / 4 + 1."""
    return np.einsum("ij,kj->ik", x, x) / 4 + np.eye(np.shape(cr.data(x))[0], dtype=cr.data(x).dtype)


def spread(k: int, x: Any) -> Any:
    return reduction(np.std)(k, x)


UNARY: dict[str, Callable[[Any], Any]] = {
    "negative": lambda x: -x,
    "sin": np.sin,
    "cos": np.cos,
    "tan": lambda x: np.tan(np.sin(x)),
    "tanh": np.tanh,
    "arctan": np.arctan,
    "exp": lambda x: np.exp(0.3 * x),
    "exp2": lambda x: np.exp2(x / 4),
    "expm1": lambda x: np.expm1(x / 3),
    "log": lambda x: np.log(x * x + 0.5),
    "log1p": lambda x: np.log1p(np.square(x)),
    "log2": lambda x: np.log2(2 + np.sin(x)),
    "sqrt": lambda x: np.sqrt(x**2 + 0.5),
    "cbrt": lambda x: np.cbrt(1.5 + np.cos(x)),
    "reciprocal": lambda x: np.reciprocal(x * x + 1.0),
    "sinh": lambda x: np.sinh(x * 0.2),
    "arcsinh": np.arcsinh,
    "arccosh": lambda x: np.arccosh(x * x + 1.5),
    "arcsin": lambda x: np.arcsin(0.8 * np.sin(x)),
    "arctanh": lambda x: np.arctanh(0.8 * np.tanh(x)),
    "sinc": lambda x: np.sinc(0.4 * x),
    "cube": lambda x: 0.1 * x**3,
    "root": lambda x: (x * x + 0.5) ** 0.7,
    "exponential": lambda x: 1.5 ** np.tanh(x),
    "expit": lambda x: sp.expit(x) - 0.5,
    "softplus": cr.softplus,
    "shared": lambda x: x * x - x,
    "gammaln": lambda x: sp.gammaln(x * x + 0.5),
    "erf": lambda x: sp.erf(x) - cr.erf(0.5 * x),
    "i0e": sp.i0e,
}
KINKED: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "abs": (abs, lambda x: x),
    "relu": (cr.relu, lambda x: x),
    "leaky_relu": (lambda x: cr.leaky_relu(x, 0.1), lambda x: x),
    "clip": (lambda x: np.clip(x, -1.0, 1.5), lambda x: np.minimum(np.abs(x + 1), np.abs(x - 1.5))),
    "where": (lambda x: np.where(cr.data(x) > 0.3, np.log(np.maximum(x, 0.3)), x * x), lambda x: x - 0.3),
    "floor": (lambda x: x - 0.5 * np.floor(x), lambda x: np.minimum(x - np.floor(x), np.ceil(x) - x)),
    "sign": (lambda x: np.sign(x) * x * x, lambda x: x),
    "mod": (lambda x: np.mod(x, 2.0), lambda x: np.minimum(x % 2.0, 2 - x % 2.0)),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - 2.0 * y,
    "multiply": lambda x, y: 0.5 * x * y,
    "divide": lambda x, y: x / (1.0 + y * y),
    "hypot": lambda x, y: np.hypot(x, 1.0 + np.abs(np.sin(y) + 2)),
    "arctan2": lambda x, y: np.arctan2(x, 1.5 + np.sin(y)),
    "logaddexp": np.logaddexp,
    "power": lambda x, y: (1.5 + np.sin(x)) ** np.tanh(y),
    "xlogy": lambda x, y: sp.xlogy(x, y * y + 0.5),
}
CHOICES: dict[str, Callable[[Any, Any], Any]] = {
    "maximum": np.maximum,
    "minimum": np.minimum,
    "fmax": np.fmax,
    "choose": lambda x, y: np.where(cr.data(x) > cr.data(y), x * y, np.sin(y)),
}
REDUCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {
    "sum": (reduction(np.sum), None),
    "mean": (reduction(np.mean), None),
    "prod": (lambda k, x: reduction(np.prod)(k, np.tanh(x)), None),
    "max": (reduction(np.max), tops),
    "min": (reduction(np.min), tops),
    "var": (reduction(np.var), None),
    "std": (reduction(np.std), spread),
    "norm": (
        lambda k, x: np.linalg.norm(x, axis=axis(k, x)),
        lambda k, x: np.linalg.norm(x, axis=axis(k, x)),
    ),
    "logsumexp": (lambda k, x: cr.logsumexp(x, axis=axis(k, x)), None),
    "softmax": (lambda k, x: cr.softmax(x, axis=axis(k, x)), None),
    "log_softmax": (lambda k, x: cr.log_softmax(x, axis=axis(k, x)), None),
    "cumsum": (lambda k, x: np.cumsum(x, axis=axis(k, x)), None),
    "cumprod": (lambda k, x: np.cumprod(np.tanh(x), axis=axis(k, x)), None),
    "sort": (lambda k, x: np.sort(x, axis=axis(k, x)), gaps),
    "diff": (lambda k, x: np.diff(x, axis=axis(k, x)), None),
    "flip": (lambda k, x: np.flip(x, axis(k, x)), None),
    "roll": (lambda k, x: np.roll(x, k % 3 - 1, axis(k, x)), None),
    "repeat": (lambda k, x: np.repeat(x, 2, axis=axis(k, x)), None),
    "take": (lambda k, x: np.take(x, [0, -1, 0], axis=axis(k, x)), None),
    "tile": (lambda k, x: np.tile(x, 2), None),
    "pad": (lambda k, x: np.pad(x, (k % 2, 1), mode=("constant", "edge")[k % 2]), None),
    "ravel": (lambda k, x: np.ravel(x), None),
    "transpose": (lambda k, x: np.transpose(x), None),
    "moveaxis": (lambda k, x: np.moveaxis(x, axis(k, x), 0), None),
    "first": (lambda k, x: x[k % 2 - 1], None),
    "step": (lambda k, x: x[..., :: 1 - 2 * (k % 2)], None),
    "gather": (lambda k, x: x[np.array([[0, -1], [0, 0]])], None),
    "split": (lambda k, x: np.array_split(x, 2)[0] * 2.0, None),
    "median": (lambda k, x: np.median(x, axis=axis(k, x)), gaps),
    "partition": (lambda k, x: np.partition(x, 0, axis=axis(k, x)), gaps),
    "quantile": (lambda k, x: np.quantile(x, 0.3, axis=axis(k, x)), gaps),
    "fft": (lambda k, x: np.real(np.fft.fft(x, axis=axis(k, x))) / 4, None),
    "convolve": (lambda k, x: np.convolve(np.ravel(x), [0.5, -0.3, 0.2]), None),
    "assign": (lambda k, x: written(x, k), None),
    "augment": (lambda k, x: augmented(x), None),
    "add.at": (lambda k, x: added(x), None),
}
EVERYWHERE: dict[str, Callable[[int, Any], Any]] = {
    "new axis": lambda k, x: np.expand_dims(x, k % 2 - 1),
    "broadcast": lambda k, x: np.broadcast_to(x, (2,) + np.shape(cr.data(x))),
    "stack": lambda k, x: np.stack([x, 0.5 * x], axis=k % 2 - 1),
}
TWO: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Shape, Shape], bool]]] = {
    "matmul": (lambda x, y: 0.5 * (x @ y), product),
    "dot": (lambda x, y: np.dot(x, y) / 2, product),
    "outer": (lambda x, y: 0.5 * np.outer(x, y), vectors),
    "kron": (lambda x, y: 0.5 * np.kron(x, y), vectors),
    "inner": (lambda x, y: np.vdot(x, y) / 4, alike),
    "einsum": (lambda x, y: np.einsum("...i,...i->...", x, y), alike),
    "concatenate": (lambda x, y: np.concatenate([x, y, x]), alike),
    "stack two": (lambda x, y: np.stack([y, x], axis=-1), alike),
}
SQUARE: dict[str, Callable[[Any], Any]] = {
    "gram": lambda x: np.einsum("ij,kj->ik", x, x) / 4,
    "trace": lambda x: np.trace(x),
    "diagonal": lambda x: np.diagonal(x),
    "tril": lambda x: np.tril(x) - np.triu(x, 1),
    "inv": lambda x: np.linalg.inv(definite(x)),
    "solve": lambda x: np.linalg.solve(definite(x), x),
    "det": lambda x: np.linalg.det(definite(x)),
    "slogdet": lambda x: np.linalg.slogdet(definite(x))[1],
    "cholesky": lambda x: np.linalg.cholesky(definite(x)),
    "pinv": lambda x: np.linalg.pinv(definite(x)),
}

OPERATIONS: list[Op] = [
    *(Op(name, 1, lambda k, x, f=f: f(x), anything) for name, f in UNARY.items()),
    *(
        Op(name, 1, lambda k, x, f=f: f(x), anything, lambda k, x, d=d: d(x))
        for name, (f, d) in KINKED.items()
    ),
    *(Op(name, 2, lambda k, x, y, f=f: f(x, y), broadcast) for name, f in BINARY.items()),
    *(
        Op(name, 2, lambda k, x, y, f=f: f(x, y), broadcast, lambda k, x, y: np.subtract(x, y))
        for name, f in CHOICES.items()
    ),
    *(Op(name, 1, f, axes(1), kinks) for name, (f, kinks) in REDUCTIONS.items()),
    *(Op(name, 1, f, anything) for name, f in EVERYWHERE.items()),
    *(Op(name, 2, lambda k, x, y, f=f: f(x, y), fits) for name, (f, fits) in TWO.items()),
    *(Op(name, 1, lambda k, x, f=f: f(x), exactly(2)) for name, f in SQUARE.items()),
]

# -------------------------------------------------------------------- programs


class Step(NamedTuple):
    op: Op
    k: int
    operands: tuple[int, ...]


class Program:
    """Steps that each read some of the inputs, the constants and the results before them.

    Parameters
    ----------
    inputs : sequence of floats and arrays
        What it is differentiated with respect to, and where it is resolved.
    constants : sequence of arrays
    numbers : sequence of (operation, k, first operand, second operand)
    """

    def __init__(self, inputs: Sequence[Any], constants: Sequence[Any], numbers: Sequence[Any]) -> None:
        self.constants = list(constants)
        self.start = len(inputs) + len(constants)
        self.steps: list[Step] = []
        nodes = [*inputs, *constants]
        depends = [True] * len(inputs) + [False] * len(constants)
        for which, k, *chosen in numbers:
            op = OPERATIONS[which % len(OPERATIONS)]
            operands = self._choose(op, nodes, chosen)
            if operands is None:
                continue
            xs = [nodes[i] for i in operands]
            if op.kinks is not None and not np.min(np.abs(op.kinks(k, *xs)), initial=1.0) > MARGIN:
                continue
            with np.errstate(all="ignore"):
                y = op.apply(k, *xs)
            if not 0 < np.size(y) <= MOST or not np.max(np.abs(y)) <= LARGEST:
                continue
            self.steps.append(Step(op, k, operands))
            nodes.append(y)
            depends.append(any(depends[i] for i in operands))
        read = {i for step in self.steps for i in step.operands}
        self.outputs = [i for i in range(self.start, len(nodes)) if i not in read and depends[i]]

    @staticmethod
    def _choose(op: Op, nodes: list[Any], chosen: Sequence[int]) -> tuple[int, ...] | None:
        """Operands that fit; small numbers are recent results."""
        newest = list(reversed(range(len(nodes))))
        operands: tuple[int, ...] = ()
        for n in range(op.arity):
            shapes = [np.shape(nodes[i]) for i in operands]
            fitting = [i for i in newest if n < op.arity - 1 or op.fits(*shapes, np.shape(nodes[i]))]
            if not fitting:
                return None
            operands += (fitting[chosen[n] % len(fitting)],)
        return operands

    @property
    def writes(self) -> bool:
        """Whether elements are assigned to."""
        return any(step.op.name in ("assign", "augment", "add.at") for step in self.steps)

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        return tuple(self.nodes(inputs)[i] for i in self.outputs)

    def nodes(self, inputs: Sequence[Any]) -> list[Any]:
        nodes = [*inputs, *self.constants]
        for op, k, operands in self.steps:
            nodes.append(op.apply(k, *[nodes[i] for i in operands]))
        return nodes

    def sides(self, inputs: Sequence[Any]) -> list[Any]:
        """On which side of every kink the program runs."""
        nodes = self.nodes(inputs)
        return [
            np.sign(op.kinks(k, *[nodes[i] for i in operands]))
            for op, k, operands in self.steps
            if op.kinks is not None
        ]

    def __repr__(self) -> str:
        lines = [
            f"  {self.start + n} = {op.name}[{k}]{operands}" for n, (op, k, operands) in enumerate(self.steps)
        ]
        return "\n".join(["", *lines, f"  return {self.outputs}"])


def drawn(seed: int, dtypes: tuple[type, ...]) -> tuple[Program, Arrays, np.random.Generator]:
    """The program of this seed, where it runs, and a source of directions."""
    rng = np.random.default_rng(seed)
    while True:
        x: list[Any] = []
        for _ in range(rng.integers(1, 4)):
            shape = SHAPES[rng.integers(len(SHAPES))]
            dtype = dtypes[rng.integers(len(dtypes))]
            plain = shape is float and len(dtypes) == 1
            shape = () if shape is float else shape
            x.append(float(rng.normal()) if plain else np.asarray(rng.normal(size=shape), dtype))
        constants = [rng.normal(size=3), np.array([[1, 2, 3], [3, 1, 2]]), rng.normal(size=(2, 1))]
        if len(dtypes) > 1:
            constants[2] = constants[2].astype(np.asarray(x[0]).dtype)
        sizes = (len(OPERATIONS), 6, 31, 31)
        numbers = [[int(rng.integers(n)) for n in sizes] for _ in range(rng.integers(8, 21))]
        program = Program(x, constants, numbers)
        if program.outputs:
            return program, tuple(x), rng
