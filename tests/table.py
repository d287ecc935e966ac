"""Every primitive with arguments to try it on. A new primitive adds one row here.

A row names the primitive, its operands and its static parameters. Elementwise primitives give a
domain for each operand, from which a case is made for every combination of shapes in `SHAPES`;
the others give arrays. Floating point operands are differentiated; integers, booleans and
`Constant` are not.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule import derivatives as dv
from chainrule import primitives as pr
from chainrule import recording as rc
from chainrule.primitives import Primitive
from chainrule.rules import activations as ac
from chainrule.rules import arithmetic as ar
from chainrule.rules import bessel as bs
from chainrule.rules import beta as bt
from chainrule.rules import bodies as bd
from chainrule.rules import control as ct
from chainrule.rules import convolution as cv
from chainrule.rules import decompositions as dc
from chainrule.rules import elementary as el
from chainrule.rules import faddeeva as fv
from chainrule.rules import fft as ft
from chainrule.rules import gamma as gm
from chainrule.rules import hypergeometric as hg
from chainrule.rules import incomplete as ic
from chainrule.rules import integrals as it
from chainrule.rules import linalg as la
from chainrule.rules import matrix as mx
from chainrule.rules import matrix_functions as mf
from chainrule.rules import polynomial as pl
from chainrule.rules import qr
from chainrule.rules import reduction as rd
from chainrule.rules import running as rn
from chainrule.rules import shape as sh
from chainrule.rules import special as sc
from chainrule.rules import student as st
from chainrule.rules import tails as tl
from chainrule.rules import zeta as zt
from chainrule.scipy import stats as ss
from chainrule.value import current

Domain = Callable[[np.random.Generator, tuple[int, ...]], Any]


class Constant(NamedTuple):
    """An operand that is not differentiated."""

    data: Any


class Case(NamedTuple):
    """One primitive at one point.

    ``run`` is the function of numbers whose derivative is wanted, where that is not
    ``primitive.run`` itself; ``record`` applies the primitive, where further operands come from the first.
    """

    primitive: Primitive
    operands: tuple[Any, ...]
    params: dict[str, Any]
    run: Callable[..., Any] | None = None
    record: Callable[..., Any] | None = None

    def __str__(self) -> str:
        operands = ", ".join(_brief(x) for x in self.operands)
        params = "".join(f", {k}={_brief(v)}" for k, v in self.params.items())
        return f"{self.primitive.name}({operands}{params})"

    @property
    def wanted(self) -> list[int]:
        """Which operands are differentiated."""
        kinds = ["" if type(x) is Constant else np.asarray(x).dtype.kind for x in self.operands]
        return [i for i, kind in enumerate(kinds) if kind in ("f", "c")]

    @property
    def point(self) -> tuple[Any, ...]:
        return tuple(self.operands[i] for i in self.wanted)

    @property
    def of_numbers(self) -> bool:
        """Whether every operand is a Python number."""
        return all(type(x.data if type(x) is Constant else x) in (float, int, bool) for x in self.operands)

    @property
    def function(self) -> Callable[..., Any]:
        """The primitive as a function of the differentiated operands alone."""
        return self._of_wanted(self.record or self.primitive)

    @property
    def numeric(self) -> Callable[..., Any]:
        """The same without the engine."""
        return self._of_wanted(self.run or self.primitive.run)

    def _of_wanted(self, apply: Callable[..., Any]) -> Callable[..., Any]:
        full = [x.data if type(x) is Constant else x for x in self.operands]
        wanted = self.wanted

        def f(*xs: Any) -> Any:
            operands = list(full)
            for i, x in zip(wanted, xs, strict=True):
                operands[i] = x
            return apply(*operands, **self.params)

        return f


def _brief(x: Any) -> str:
    if type(x) is Constant:
        return _brief(x.data)
    if isinstance(x, tuple | list):
        return f"({' '.join(map(_brief, x))})"
    if isinstance(x, np.ndarray):
        return f"{x.dtype.kind}{list(x.shape)}".replace(" ", "")
    return type(x).__name__ if isinstance(x, float | complex) else str(x)


# -------------------------------------------------------------------- domains


def between(low: float, high: float) -> Domain:
    return lambda rng, shape: rng.uniform(low, high, shape)


def steps(offset: float) -> Domain:
    """Points half a unit apart, so that kinks between them stay out of a difference's reach."""
    return lambda rng, shape: rng.integers(-3, 4, shape) * 0.5 + offset


def plane(low: float, high: float) -> Domain:
    """Complex numbers in the right half plane: every branch cut is elsewhere."""
    return lambda rng, shape: rng.uniform(low, high, shape) + 1j * rng.uniform(low, high, shape)


def constant(domain: Domain) -> Domain:
    return lambda rng, shape: Constant(domain(rng, shape))


def whole(*choices: Any) -> Domain:
    """Integers or booleans, which have no derivative."""
    return lambda rng, shape: rng.choice(np.array(choices), shape)[()]


real_line, positive, unit, anywhere = between(-2, 2), between(0.3, 3), between(0.1, 0.9), plane(0.3, 1.5)

# Python floats, and shapes that broadcast in every way; "0-d" is an array without axes.
SHAPES: dict[int, list[tuple[Any, ...]]] = {
    1: [(float,), ((),), ((3,),), ((2, 3),), ((0, 3),)],
    2: [
        (float, float), (float, (3,)), ((3,), float), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)),
        ((), (2,)), ((0, 3), (1, 3)),
    ],
    3: [
        (float,) * 3, ((3,), (3,), (3,)), ((2, 1), (1, 3), ()), ((3,), float, (2, 1)), ((0, 3), (1, 3), (3,)),
    ],
    4: [(float,) * 4, ((3,),) * 4, ((2, 1), (1, 3), (), float), (float, float, (3,), (2, 3))],
}  # fmt: skip


def elementwise(
    primitive: Primitive, *domains: Domain, run: Callable[..., Any] | None = None, **params: Any
) -> list[Case]:
    """One case for every combination of shapes."""
    rng = np.random.default_rng(zlib.crc32(primitive.name.encode()))
    cases = []
    for shapes in SHAPES[len(domains)]:
        operands = tuple(
            _python(domain(rng, ())) if shape is float else _array(domain(rng, shape))
            for domain, shape in zip(domains, shapes, strict=True)
        )
        cases.append(Case(primitive, operands, params, run))
    return cases


def _python(x: Any) -> Any:
    return Constant(_python(x.data)) if type(x) is Constant else np.asarray(x).item()


def _array(x: Any) -> Any:
    return Constant(np.asarray(x.data)) if type(x) is Constant else np.asarray(x)


def row(primitive: Primitive, *operands: Any, **params: Any) -> list[Case]:
    return [Case(primitive, operands, params)]


def over(primitive: Primitive, x: Any, **choices: list[Any]) -> list[Case]:
    """One case for every combination of the parameters' choices."""
    combinations: list[dict[str, Any]] = [{}]
    for name, values in choices.items():
        combinations = [{**c, name: v} for c in combinations for v in values]
    return [Case(primitive, (x,), c) for c in combinations]


_rng = np.random.default_rng(0)


def reals(*shape: int) -> Any:
    return _rng.normal(size=shape)


def complexes(*shape: int) -> Any:
    return _rng.normal(size=shape) + 1j * _rng.normal(size=shape)


def apart(*shape: int) -> Any:
    """Every entry at least 0.1 from every other."""
    return (_rng.permutation(math.prod(shape)) * 0.3 - 1.0).reshape(shape)


# -------------------------------------------------------------------- the table

FITTING = [
    row(pr.broadcast_to, reals(3), shape=(2, 3)),
    row(pr.broadcast_to, reals(2, 1), shape=(4, 2, 3)),
    row(pr.broadcast_to, 0.5, shape=(2,)),
    row(pr.broadcast_to, reals(1, 3), shape=(0, 3)),
    row(pr.sum_to, reals(2, 3), shape=(3,)),
    row(pr.sum_to, reals(4, 2, 3), shape=(2, 1)),
    row(pr.sum_to, reals(2, 3), shape=()),
    row(pr.sum_to, reals(0, 3), shape=(1, 3)),
    row(pr.cast, reals(2, 3), dtype=np.dtype(np.float64)),
    row(pr.cast, complexes(3), dtype=np.dtype(np.float64)),
    row(pr.cast, reals(3), dtype=np.dtype(np.complex128)),
    row(pr.cast, np.float64(0.3), dtype=float),
    elementwise(pr.where, whole(True, False), real_line, real_line),
    elementwise(rc.alias, real_line),
    elementwise(dv._stop, steps(0.2), run=lambda x: np.round(x, 1)),  # flat around every point
]

ARITHMETIC = [
    *(elementwise(p, real_line, real_line) for p in (ar.add, ar.subtract, ar.multiply)),
    *(elementwise(p, real_line, real_line) for p in (ar.logaddexp, ar.logaddexp2)),
    *(elementwise(p, anywhere, anywhere) for p in (ar.add, ar.subtract, ar.multiply, ar.divide)),
    *(elementwise(p, anywhere, real_line) for p in (ar.add, ar.multiply)),
    elementwise(ar.divide, real_line, positive),
    *(elementwise(p, real_line) for p in (ar.negative, ar.positive, ar.square)),
    *(elementwise(p, anywhere) for p in (ar.negative, ar.positive, ar.square, ar.reciprocal)),
    elementwise(ar.reciprocal, between(-3, -0.5)),
    *(
        elementwise(p, between(2.2, 2.6), divisors)  # 2 < |x/y| < 3
        for p in (ar.remainder, ar.fmod, ar.floor_divide)
        for divisors in (between(0.9, 1.05), between(-1.05, -0.9))
    ),
    elementwise(ar.power, positive, real_line),
    elementwise(ar.power, anywhere, anywhere),
    elementwise(ar.power, real_line, constant(whole(0.0, 1.0, 2.0, 3.0))),
    elementwise(ar.power, between(-2, -1), whole(-1, 2, 3)),
    elementwise(ar.power, constant(positive), real_line),
    *(elementwise(p, steps(0.2)) for p in (ar.real_sign, ar.floor, ar.ceil, ar.trunc, ar.rint, ar.fraction,
                                           ar.real_absolute)),
    *(elementwise(p, anywhere) for p in (ar.conj, ar.real, ar.imag)),
    *(elementwise(p, real_line) for p in (ar.conj, ar.real, ar.imag)),
    elementwise(ar.round_, steps(0.23), decimals=1),
    elementwise(ar.heaviside, steps(0.2), real_line),
    elementwise(ar.heaviside, constant(whole(-1.0, 0.0, 1.0)), real_line),
    elementwise(ar.copysign, steps(0.2), steps(0.2)),
    elementwise(ar.ldexp, real_line, whole(-1, 0, 3)),
    elementwise(ar.nan_to_num, real_line, nan=0.5, posinf=None, neginf=-1.0),
    *(elementwise(p, steps(0.2), real_line) for p in (el.hypot, ar.arctan2)),
    *(elementwise(p, steps(0.2), steps(0.4)) for p in (ar.maximum, ar.minimum, ar.fmax, ar.fmin)),
    elementwise(ar.clip, steps(0.2), between(-1.1, -0.9), between(0.9, 1.1)),
    elementwise(ar.relu, steps(0.2)),
    elementwise(ar.leaky_relu, steps(0.2), slope=0.1),
    elementwise(ar.elu, steps(0.2), alpha=1.5),
]

ELEMENTARY = [
    *(
        elementwise(p, real_line)
        for p in (
            el.exp, el.exp2, el.expm1, el.sin, el.cos, el.arctan, el.deg2rad, el.rad2deg, el.sinh, el.cosh,
            el.tanh,
            el.sech2, el.arcsinh, el.sigmoid, el.sigmoid2, el.softplus, el.log_sigmoid, el.erf,
            ac.gelu, ac.gelu_slope, ac.silu, ac.silu_slope,
        )
    ),
    *(elementwise(p, positive) for p in (el.log, el.log2, el.log10, el.log1p, el.sqrt, el.cbrt)),
    *(elementwise(p, unit) for p in (el.tan, el.arcsin, el.arccos, el.arctanh, el.logit)),
    *(
        elementwise(p, anywhere)
        for p in (
            el.exp, el.exp2, el.expm1, el.log, el.log2, el.log10, el.log1p, el.sqrt, el.sin, el.cos, el.tan,
            el.arcsin,
            el.arccos, el.arctan, el.sinh, el.cosh, el.tanh, el.sech2, el.arcsinh, el.arccosh, el.arctanh,
        )
    ),
    elementwise(el.arccosh, between(1.3, 4)),
    *(elementwise(p, real_line, positive) for p in (el.xlogy, el.xlog1py)),
    *(elementwise(el.sinc, real_line, order=k) for k in (0, 1, 2, 5)),
    elementwise(el.sinc, anywhere, order=0),
    *(elementwise(el.i0, between(-9, 9), order=k) for k in (0, 1, 2, 5)),
]  # fmt: skip

AXES = [(), (0,), (1,), (0, 1), (0, 2), (0, 1, 2)]
BOTH = [False, True]

REDUCTION = [
    *(over(p, reals(2, 3, 2), axis=AXES, keepdims=BOTH) for p in (rd.sum_, rd.mean, rd.prod)),
    *(over(p, complexes(2, 3), axis=[(), (1,), (0, 1)], keepdims=BOTH) for p in (rd.sum_, rd.mean, rd.prod)),
    *(over(p, reals(0, 3), axis=[(0,), (1,), (0, 1)], keepdims=BOTH) for p in (rd.sum_, rd.prod)),
    *(over(p, 0.7, axis=[()], keepdims=BOTH) for p in (rd.sum_, rd.mean, rd.prod)),
    *(over(p, 0.7, axis=[()], keepdims=BOTH) for p in (rd.max_, rd.logsumexp, rd.norm)),
    over(rd.prod, np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 5.0]]), axis=[(0,), (1,), (0, 1)], keepdims=[False]),
    *(over(p, reals(2, 3, 2), axis=AXES[1:], keepdims=BOTH, ddof=[0, 1]) for p in (rd.var, rd.std)),
    *(over(p, complexes(2, 3), axis=[(1,), (0, 1)], keepdims=BOTH, ddof=[0, 1]) for p in (rd.var, rd.std)),
    over(rd.standardise, reals(2, 3, 2), axis=AXES[1:], eps=[0.1], centre=BOTH),
    over(rd.norm, reals(2, 3, 2), axis=AXES[1:], keepdims=BOTH),
    row(rd.square_of_norm, reals(2, 3), reals(2, 3, 2), axis=(2,), keepdims=False),
    over(rd.norm, complexes(2, 3), axis=[(1,), (0, 1)], keepdims=BOTH),
    *(over(p, apart(2, 3, 2), axis=AXES, keepdims=BOTH) for p in (rd.max_, rd.min_)),
    over(rd.first_max, apart(2, 3, 2), axis=[(1,), (0, 2), (0, 1, 2)]),
    *(over(p, reals(0, 3), axis=[(1,)], keepdims=BOTH) for p in (rd.max_, rd.min_, rd.norm, rd.logsumexp)),
    *(over(p, reals(2, 5, 3), axis=[0, 1, 2]) for p in (rd.cumsum, rd.cumprod)),
    *(over(p, complexes(2, 3), axis=[0, 1]) for p in (rd.cumsum, rd.cumprod)),
    *(over(p, reals(0, 3), axis=[0, 1]) for p in (rd.cumsum, rd.cumprod)),
    over(rd.cumprod, np.array([2.0, 0.0, 3.0, 0.0, 5.0]), axis=[0]),
    *(
        over(p, x, axis=[0, 1])
        for p in (rn.running_maximum, rn.running_minimum, rn.running_fmax, rn.running_fmin)
        for x in (apart(5, 7), apart(2, 4, 3), reals(0, 3))
    ),
    over(rd.logsumexp, reals(2, 3, 2), axis=AXES, keepdims=BOTH),
    *(over(p, reals(2, 3, 2), axis=AXES) for p in (rd.softmax, rd.log_softmax)),
    *(over(p, reals(0, 3), axis=[(0,), (1,)]) for p in (rd.softmax, rd.log_softmax)),
]

S = slice
INDICES = [
    1, -1, (1, 2), (S(None), 0), S(None, None, -1), (S(0, 1), S(None, None, 2)), ..., (..., 1), None,
    (None, 1, None),
    (), S(2, 2), np.array([0, 0, 1]), np.array([[1, -1], [0, 0]]), (np.array([0, 1, 0]), np.array([2, 2, 2])),
    (S(None), np.array([0, 0, 2])), (np.array([1, 0]), S(None), None),
    (np.array([[0], [1]]), np.array([0, 2])),
    np.array([True, False]), np.array([[True, False, True], [False, False, True]]),
    (0, np.array([True, False, True])),
    (np.array([True, True]), np.array([1, 1])), np.zeros(0, int),
]  # fmt: skip

SHAPE = [
    over(sh._reshape_p, reals(2, 3), shape=[(6,), (3, 2), (1, 2, 3)]),
    row(sh._reshape_p, 0.4, shape=(1, 1)),
    row(sh._reshape_p, reals(0, 3), shape=(3, 0)),
    over(sh._transpose_p, reals(2, 3, 4), axes=[(1, 0, 2), (2, 0, 1), (1, 2, 0)]),
    row(sh._concatenate_p, reals(2, 3), reals(1, 3), axis=0),
    row(sh._concatenate_p, reals(2, 1), Constant(reals(2, 2)), reals(2, 3), axis=1),
    row(sh._concatenate_p, reals(2), axis=0),
    row(sh._concatenate_p, reals(0), complexes(3), reals(2), axis=0),
    over(sh.pad, reals(2, 3), width=[((1, 0), (0, 2)), ((0, 0), (1, 1))]),
    row(sh.pad, reals(0), width=((1, 2),)),
    over(sh._getitem_p, reals(2, 3), index=INDICES),
    over(sh._diagonal_p, reals(2, 3, 4), offset=[0, 1, -2]),
    over(
        sh.scatter, reals(3), index=[np.array([0, 0, 1]), np.array([2, 0, 1]), S(1, 4), S(None, None, 2)],
        shape=[(5,)],
    ),
    row(sh.scatter, reals(2), index=(np.array([0, 0]), np.array([1, 1])), shape=(2, 3)),
    row(sh.setitem, reals(2, 3), reals(3), index=1),
    row(sh.setitem, reals(2, 3), reals(2, 1), index=(S(None), S(None, None, -1))),
    row(sh.setitem, reals(2, 3), reals(4), index=(np.array([0, 1, 0, 0]), np.array([1, 1, 1, 2]))),
    row(sh.setitem, reals(2, 3), reals(3), index=np.array([[True, False, True], [False, False, True]])),
    row(sh.setitem, complexes(3), reals(2), index=S(1, None)),
    row(sh.setitem, reals(0, 3), reals(3), index=...),
    row(sh.scatter, reals(2), index=np.array([True, False, True]), shape=(3,)),
]

ONE = [
    ("ii->", (3, 3)), ("ii->i", (3, 3)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("iij->j", (2, 2, 3)),
    ("ijk->ki", (2, 3, 2)), ("iii->i", (2, 2, 2)), ("->", ()), ("ij->i", (2, 0)),
]  # fmt: skip
TWO = [
    ("ij,jk->ik", (2, 3), (3, 2)), ("i,i->", (3,), (3,)), ("i,j->ij", (2,), (3,)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("bij,bjk->bik", (2, 2, 3), (2, 3, 1)), ("ii,i->i", (2, 2), (2,)), ("ij,k->i", (2, 3), (2,)),
    ("ii,jj->", (2, 2), (3, 3)), ("ij,jk->", (2, 3), (3, 2)), (",i->i", (), (3,)), ("ij,j->i", (2, 0), (0,)),
    ("iij,j->i", (2, 2, 3), (3,)),
]  # fmt: skip
PAIRS = [
    ((2, 3), (3, 4)), ((1, 3), (3, 1)), ((2, 2, 3), (3, 2)), ((2, 3), (4, 3, 2)), ((2, 1, 2, 3), (3, 3, 1)),
    ((2, 0), (0, 3)), ((0, 2), (2, 3)), ((1, 2, 3), (5, 3, 2)),
]  # fmt: skip

MATRIX = [
    *(row(mx.matmul, reals(*a), reals(*b)) for a, b in PAIRS),
    row(mx.matmul, complexes(2, 3), reals(3, 2)),
    row(mx.matmul, reals(2, 3), Constant(complexes(3, 2))),
    *(row(mx.einsum1, reals(*a)[()], subscripts=s) for s, a in ONE),
    *(row(mx.einsum2, reals(*a)[()], reals(*b), subscripts=s) for s, a, b in TWO),
    row(mx.einsum2, complexes(2, 3), reals(3), subscripts="ij,j->i"),
]

# images (N, *S, C), kernels (*K, C, O), strides, dilation
CONVOLUTIONS = [
    ((2, 5, 4, 3), (2, 3, 3, 2), (1, 1), (1, 1)), ((2, 7, 6, 1), (3, 2, 1, 4), (2, 1), (1, 2)),
    ((1, 4, 4, 2), (4, 4, 2, 3), (1, 1), (1, 1)), ((3, 8, 2), (3, 2, 2), (3,), (2,)),
    ((2, 3, 3, 4, 1), (2, 1, 2, 1, 2), (1, 2, 2), (2, 1, 1)), ((0, 3, 3, 2), (2, 2, 2, 1), (1, 1), (1, 1)),
]  # fmt: skip


CONVOLUTION = [
    case
    for x, w, s, d in CONVOLUTIONS
    for out in [tuple(map(cv.places, x[1:-1], w[:-2], s, d))]
    for case in (
        row(cv.correlate, reals(*x), reals(*w), strides=s, dilation=d),
        row(cv.correlate_kernels, reals(*x), reals(x[0], *out, w[-1]), kernel=w[:-2], strides=s, dilation=d),
    )
]

shapes, orders, low = between(0.6, 4), constant(whole(0.0, 1.0, 2.0, 2.5)), between(-2.6, -2.3)
degrees, far = constant(whole(0, 1, 2, 5)), plane(1.5, 2.5)

_a, _b, _x = np.array([0.7, 1.9, 3.1]), np.array([[1.2], [0.6]]), np.array([0.2, 0.45, 0.8])


def with_rest(primitive: Primitive, a: Any, *further: Any, **params: Any) -> list[Case]:
    """Of a, b and x, given 1 - x too."""
    return [
        Case(primitive, (a, _b, _x), params,
             lambda a, b, x, **_: primitive.run(a, b, x, 1 - x, *further, **params),
             lambda a, b, x, **_: primitive(a, b, x, 1 - current(x), *further, **params))
    ]  # fmt: skip


SPECIAL = [
    *(elementwise(p, real_line) for p in (gm.sinpi, gm.cospi)),
    *(elementwise(p, d) for p in (gm.gamma, gm.rgamma, gm.gammaln) for d in (positive, low)),
    *(elementwise(p, anywhere) for p in (gm.gamma, gm.rgamma, gm.loggamma)),
    elementwise(gm.rgamma, whole(0.0, -1.0, -3.0)),
    elementwise(gm.loggamma, positive),
    *(elementwise(gm.polygamma, d, order=k) for d in (positive, low, plane(1, 2)) for k in (0, 1, 3)),
    *(elementwise(gm.polygamma_difference, shapes, positive, order=k) for k in (0, 1, 2)),
    *(elementwise(p, shapes, shapes) for p in (bt.beta, bt.betaln, bt.poch, ic.gamma_density)),
    elementwise(bt.binom, between(3, 5), between(0.5, 2.5)),
    elementwise(ic.beta_density, shapes, shapes, unit),
    *(elementwise(p, shapes, shapes) for p in (ic.gammainc, ic.gammaincc)),
    *(elementwise(p, between(1, 4), between(0.2, 0.8)) for p in (ic.gammaincinv, ic.gammainccinv)),
    elementwise(ic.gammainc_shape, shapes, shapes, order=1),
    *(elementwise(p, shapes, shapes, unit) for p in (ic.betainc, ic.betaincc, ic.betaincinv, ic.betainccinv)),
    *(elementwise(ic.betainc_shape, shapes, shapes, unit, orders=o) for o in ((1, 0), (0, 1), (1, 1))),
    *(elementwise(el.bell_curve, d, rate=r) for d in (real_line, anywhere) for r in (1.0, 0.5, -1.0)),
    *(
        elementwise(p, d)
        for p in (sc.erf, sc.erfc, sc.erfi, sc.erfcx, sc.ndtr, sc.log_ndtr, sc.dawsn)
        for d in (real_line, anywhere)
    ),
    elementwise(fv.wofz, anywhere),
    *(elementwise(fv.wofz_derivative, d, order=k) for d in (anywhere, plane(6.6, 9)) for k in (1, 2)),
    elementwise(fv.voigt_profile, real_line, positive, positive),
    *(elementwise(sc.erfc_integral, d, order=k) for d in (real_line, between(2, 5)) for k in (1, 2)),
    *(elementwise(p, unit) for p in (sc.erfinv, sc.erfcinv, sc.ndtri)),
    elementwise(sc.ndtri_exp, between(-3, -0.2)),
    *(elementwise(p, positive, positive) for p in (sc.log_ratio, sc.rel_entr, sc.kl_div)),
    elementwise(sc.entr, positive),
    *(elementwise(p, real_line) for p in (sc.exp10, sc.cosm1, sc.exprel)),
    *(elementwise(sc.exprel_integral, real_line, order=k) for k in (1, 2)),
    *(
        elementwise(sc.log_over, d, order=k, start=i)
        for i, domains in enumerate([(unit, positive, anywhere), (between(0.8, 3), plane(0.8, 2))])
        for d in domains
        for k in (0, 1, 3)
    ),
    *(elementwise(sc.spence, d) for d in (positive, anywhere)),
    *(elementwise(p, positive, real_line) for p in (sc.boxcox, sc.boxcox1p, sc.pseudo_huber)),
    *(elementwise(p, positive, positive) for p in (sc.inv_boxcox, sc.inv_boxcox1p)),
    elementwise(sc.huber, between(0.6, 0.65), steps(0.23)),
    *(
        elementwise(p, orders, d)
        for p in (bs.jv, bs.yv, bs.iv, bs.kv, bs.kve)
        for d in (positive, anywhere)
    ),
    *(elementwise(p, orders, positive) for p in (bs.ive, bs.jve, bs.yve)),
    *(elementwise(p, whole(0, 1, 3), positive) for p in (bs.yn, bs.kn)),
    *(elementwise(p, real_line) for p in (bs.j0, bs.j1, bs.i0, bs.i1)),
    *(
        elementwise(p, positive)
        for p in (bs.y0, bs.y1, bs.k0, bs.k1, bs.i0e, bs.i1e, bs.k0e, bs.k1e, it.exp1, it.expi)
    ),
    elementwise(st.stdtr, shapes, real_line),
    *(elementwise(st.stdtr_in_df, d, real_line, order=1) for d in (shapes, between(30, 50))),
    *(elementwise(st.log_density, d, real_line, order=k) for d in (shapes, between(30, 50)) for k in (0, 1)),
    elementwise(st.stdtrit, between(1, 4), between(0.2, 0.45)),
    *(elementwise(tl.gamma_score, d, shapes) for d in (shapes, between(11, 20))),
    *(
        elementwise(tl.log_gamma_density, d, shapes, times=n)
        for d in (shapes, between(11, 20))
        for n in (0, 1)
    ),
    *(
        elementwise(tl.gamma_tail, shapes, shapes, constant(whole(1.0)), side=side, powers=p)
        for side in (1, -1)
        for p in ((0, 0), (1, 1))
    ),
    *(
        elementwise(tl.log_beta_density, d, d, unit, times=n)
        for d in (shapes, between(11, 20))
        for n in (0, 1)
    ),
    *(with_rest(tl.beta_score, a) for a in (_b, _b + 12.3)),
    *(
        with_rest(tl.beta_tail, _a, True, lower=lower, powers=p)
        for lower in (True, False)
        for p in ((0, 0, 0), (1, 0, 1), (0, 1, 1))
    ),
    *(
        elementwise(p, positive, shapes)
        for p in (ss._lognorm_log_density, ss._lognorm_below, ss._lognorm_above)
    ),
    *(elementwise(bs.scaled_i, d, v=v, order=k) for d in (positive, low) for v in (0, 1) for k in (1, 2)),
    *(
        elementwise(bs.scaled_k, d, v=v, order=k)
        for d in (between(0.5, 0.9), between(1.1, 3))
        for v in (0, 1)
        for k in (1, 2)
    ),
    elementwise(zt.hurwitz, between(1.5, 4), positive),
    *(elementwise(zt.hurwitz_in_s, between(1.5, 4), positive, order=k) for k in (1, 2)),
    *(elementwise(p, d) for p in (zt.riemann, zt.zetac) for d in (between(1.5, 4), low, between(0, 0.6))),
    *(elementwise(zt.riemann_in_s, d, order=k) for d in (between(1.5, 4), low, far) for k in (1, 2)),
    elementwise(zt.riemann, far),
    *(elementwise(p, orders, anywhere) for p in (bs.hankel1, bs.hankel2)),
    *(elementwise(p, d) for p in (bs.ai, bs.ai_slope, bs.bi, bs.bi_slope) for d in (real_line, anywhere)),
    elementwise(it.expn, degrees, positive),
    elementwise(it.expn_below, constant(whole(-2.0, -1.0, 0.0, 2.0)), positive),
    *(elementwise(p, d) for p in (it.sine_integral, it.cosine_integral) for d in (positive, between(3.1, 9))),
    *(elementwise(p, d) for p in (it.fresnel_sine, it.fresnel_cosine) for d in (real_line, anywhere)),
    *(elementwise(p, real_line) for p in (sc.sindg, sc.cosdg, sc.tandg)),
    elementwise(sc.cotdg, between(20, 70)),
    elementwise(hg.hyp0f1, constant(shapes), real_line),
    *(
        elementwise(p, constant(a), constant(shapes), real_line)
        for p, a in ((hg.hyp1f1, shapes), (hg.kummer, shapes), (hg.kummer, whole(-2.0, -1.0, 0.0)))
    ),
    *(
        elementwise(p, constant(a), constant(shapes), constant(shapes), unit)
        for p, a in ((hg.hyp2f1, shapes), (hg.gauss, shapes), (hg.gauss, whole(-2.0, -1.0, 0.0)))
    ),
    *(elementwise(p, unit) for p in (hg.ellipk, hg.ellipkm1, hg.ellipe)),
    *(
        elementwise(hg.elliptic, d, sign=s, order=k)
        for d in (between(0.4, 0.9), between(2.5, 5))
        for s in (1, -1)
        for k in (1, 2)
    ),
    *(
        elementwise(p, degrees, real_line)
        for p in (hg.eval_legendre, hg.eval_chebyt, hg.eval_chebyu, hg.eval_laguerre)
    ),
    *(elementwise(p, degrees, real_line) for p in (hg.eval_hermite, hg.eval_hermitenorm)),
    *(elementwise(p, degrees, constant(shapes), unit) for p in (hg.eval_gegenbauer, hg.eval_genlaguerre)),
    elementwise(hg.eval_jacobi, degrees, constant(shapes), constant(shapes), unit),
    elementwise(sc.lambertw, anywhere, whole(0, 1), constant(whole(1e-8))),
    *(elementwise(sc.wrightomega, d) for d in (real_line, anywhere)),
    *(elementwise(p, anywhere) for p in (it.exp1, it.expi)),
]

# -------------------------------------------------------------------- linear algebra and transforms

_other = np.random.default_rng(10)


def square(*shape: int, kind: Any = float) -> Any:
    """Well-conditioned matrices whose eigenvalues and singular values are far apart."""
    a = 0.1 * _other.normal(size=shape)
    a = a + 0.1j * _other.normal(size=shape) if kind is complex else a
    return a + np.diag(np.arange(1.0, max(shape[-2:]) + 1))[: shape[-2], : shape[-1]]


def of_first(primitive: Primitive, a: Any, compute: Callable[..., Any], i: int, **params: Any) -> list[Case]:
    """A primitive whose further operands are computed from the first one; it picks the ``i``-th."""
    return [
        Case(primitive, (a,), params, lambda a, **_: compute(a)[i],
             lambda a, **_: primitive(a, *compute(current(a)), **params))
    ]  # fmt: skip


def _thin(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return u, s, np.conjugate(np.swapaxes(vh, -1, -2))


def _eig(a: Any) -> Any:
    """Real eigenvalues as real numbers; programs have all as complex ones."""
    return tuple(map(np.real, np.linalg.eig(a)))


def _missing(u: Any) -> Any:
    """The one vector that completes the columns of u."""
    return (np.linalg.svd(u)[0][..., u.shape[-1] :],)


def _hermitian(*shape: int, kind: Any = float) -> Any:
    a = square(*shape, kind=kind)
    return a + np.conj(np.swapaxes(a, -1, -2))


_NO_TIES = Constant(np.eye(3, dtype=bool))
_NONE_FREE = Constant(np.zeros(3, bool))

LINALG = [
    *(
        case
        for n in ((3, 3), (2, 3, 3), (1, 1), (0, 0), (0, 3, 3))
        for case in (
            row(la.inv, square(*n)), row(la.det, square(*n)), row(la.adjugate, square(*n)),
            row(la.adjugate_tangent, square(*n), square(*n)), row(la.cholesky, _hermitian(*n)),
            row(la.solve, square(*n), square(n[-1], 2)),
            row(la.solve, square(*n), square(2, n[-1], 2)[: n[0]]),
            of_first(la.logabsdet, square(*n), np.linalg.slogdet, 1),
            of_first(dc.eigh_values, _hermitian(*n), np.linalg.eigh, 0, upper=False),
            of_first(dc.eigh_vectors, _hermitian(*n), np.linalg.eigh, 1, upper=False, phases=True),
        )
        if not (n == (0, 3, 3) and case[0].primitive is la.solve)
    ),
    *(
        row(p, square(3, 3, kind=complex), *more)
        for p, more in (
            (la.inv, ()), (la.det, ()), (la.adjugate, ()), (la.adjugate_tangent, (square(3, 3),)),
            (la.solve, (square(3, 2),)),
        )
    ),
    *(row(pl.roots, np.array(p)) for p in ([40.0, 3.0, 90.0, 20.0], [20.0, 10.0, 30.0])),
    row(pl.roots, complexes(4) + 30 * np.array([1.0, 0.0, -2.0, 1j])),
    row(la.solve, square(3, 3), complexes(3, 2)),
    row(la.cholesky, _hermitian(3, 3, kind=complex)),
    row(la.det, np.ones((3, 3))), row(la.det, np.outer([1.0, 2.0, 3.0], [1.0, 1.0, 2.0])),
    *(row(la.pinv, square(*n), rtol=1e-15) for n in ((3, 3), (4, 2), (2, 4), (2, 3, 2))),
    row(la.pinv, square(4, 2, kind=complex), rtol=1e-15),
    *(row(la.lstsq, square(*n), square(n[0], 2), rcond=None) for n in ((3, 3), (4, 2), (2, 4))),
    row(la.lstsq, square(4, 2, kind=complex), complexes(4, 1), rcond=1e-10),
    of_first(la.logabsdet, square(3, 3, kind=complex), np.linalg.slogdet, 1),
    of_first(la.sign_of_det, square(2, 3, 3, kind=complex), np.linalg.slogdet, 0),
    *(
        of_first(p, square(*n), np.linalg.qr, i)
        for n in ((3, 3), (2, 4, 3))
        for i, p in enumerate((qr.qr_q, qr.qr_r))
    ),
    *(of_first(p, square(4, 3, kind=complex), np.linalg.qr, i) for i, p in enumerate((qr.qr_q, qr.qr_r))),
    of_first(dc.eigh_values, _hermitian(3, 3, kind=complex), np.linalg.eigh, 0, upper=False),
    of_first(dc.eigh_vectors, _hermitian(3, 3), lambda a: np.linalg.eigh(a, "U"), 1, upper=True, phases=True),
    *(of_first(dc.eig_values, _hermitian(*n) + 0.1 * square(*n), _eig, 0) for n in ((3, 3), (2, 3, 3))),
    of_first(dc.eig_values, square(3, 3, kind=complex), np.linalg.eig, 0),
    of_first(dc.eig_vectors, _hermitian(3, 3) + 0.01 * square(3, 3), _eig, 1, phases=True),
    *(
        of_first(p, square(*n), _thin, i)
        for n in ((3, 3), (4, 3), (3, 4), (2, 4, 3))
        for i, p in enumerate((dc.svd_left, dc.svd_values, dc.svd_right))
    ),
    of_first(dc.svd_values, square(3, 4, kind=complex), _thin, 1),
    of_first(dc.complement, np.linalg.qr(square(4, 3))[0], _missing, 0),
    row(dc.definite, square(3, 3), _NO_TIES, name="eigh"),
    *(
        row(p, square(3, 3), Constant(square(3, 3)), _NO_TIES, _NONE_FREE, name="eigh", phases=True)
        for p in (dc.definite_back, dc.on_return)
    ),
    row(dc.independent, square(3, 3)),
    row(qr.full_rank, square(3, 3), _NONE_FREE),
    *(row(p, square(3, 3), _NONE_FREE, axis=-1) for p in (qr.full_rank_back, qr.full_rank_on_return)),
]

SYSTEMS = [
    *(
        row(mf.solve_triangular, square(*n), square(n[-1], 2), lower=lower, unit=unit)
        for n in ((3, 3), (2, 3, 3))
        for lower in BOTH
        for unit in BOTH
    ),
    row(mf.solve_triangular, square(3, 3, kind=complex), complexes(3, 1), lower=True, unit=False),
    *(row(mf.lu, np.eye(*n) * 5 + square(*n)) for n in ((3, 3), (4, 3), (3, 4))),
    row(mf.lu, np.eye(3) * 5 + square(2, 3, 3, kind=complex)),
    *(
        row(mf.solve_banded, square(low + up + 1, 4) + 5 * (np.arange(low + up + 1) == up)[:, None],
            square(4, 2), lower=low, upper=up)
        for low, up in ((1, 1), (2, 1), (0, 2), (1, 0))
    ),
    *(row(mf.expm, square(*n) / 2) for n in ((3, 3), (2, 3, 3), (1, 1), (0, 0))),
    row(mf.expm, square(3, 3, kind=complex) / 2),
    *(row(p, square(*n)) for p in (mf.logm, mf.sqrtm) for n in ((3, 3), (2, 2, 2))),
    *(row(p, square(2, 2, kind=complex)) for p in (mf.logm, mf.sqrtm)),
    row(mf.with_roots, square(3, 3), Constant(square(3, 3))),
    row(mf.solve_sylvester, square(3, 3), square(2, 2), square(3, 2)),
    row(mf.solve_sylvester, square(2, 2, kind=complex), square(3, 3), square(2, 3)),
]  # fmt: skip

NORMS = ["backward", "ortho", "forward"]

TRANSFORMS = [
    *(
        over(ft.fft, x, axes=[(0,), (1,), (1, 0)], norm=NORMS, inverse=BOTH)
        for x in (reals(3, 4), complexes(2, 5))
    ),
    over(ft.rfft, reals(4, 5), axis=[0, 1], norm=NORMS),
    over(ft.rfft, reals(1, 2, 3), axis=[0, 1], norm=NORMS[:1]),
    over(ft.irfft, complexes(4, 3), n=[6, 7], axis=[0], norm=NORMS),
    over(ft.irfft, reals(3, 1), n=[1], axis=[1], norm=NORMS),
    *(row(cv.convolve, reals(*a), reals(*b), method=m) for a, b, m in (
        ((4,), (3,), "direct"), ((1,), (5,), "direct"), ((3, 4), (2, 5), "direct"), ((3, 4), (2, 2), "fft"),
    )),
    row(cv.convolve, complexes(3), complexes(4), method="direct"),
    row(cv.convolve, reals(3), complexes(2), method="fft"),
]  # fmt: skip

# Loops and branches take functions: tests/test_control.py and tests/native/test_loops.py try them. A sample
# has a derivative that is not the difference of what gives it: tests/test_random.py.
ELSEWHERE = {ct.scan, bd.item, ct.while_, ct.cond, ic.gamma_sample, ic.beta_sample}

CASES: list[Case] = [
    case
    for rows in (
        FITTING, ARITHMETIC, ELEMENTARY, REDUCTION, SHAPE, MATRIX, CONVOLUTION, SPECIAL, LINALG, SYSTEMS,
        TRANSFORMS,
    )
    for cases in rows
    for case in cases
]
