"""What users write in plain NumPy, one expression for each way of calling a function.

The names in an expression are those of the samples (Values, when the expression is differentiated),
of plain arrays beside them, and of `CONSTANTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from chainrule.scipy import special, stats
from tests.numpy import table_more as more


class Sizes(NamedTuple):
    """How long the axes of the samples are: ``x`` has m rows of n numbers; ``y``, ``p`` lie beside it."""

    m: int = 2
    n: int = 3
    beside: tuple[int, int] = (2, 3)


def _matrices(seed: int, *shape: int) -> Any:
    """Far from singular, and their eigenvalues and singular values far apart."""
    a = 0.15 * np.random.default_rng(7 + seed).normal(size=shape)
    return a + np.diag([1.0, 2.5, 4.5, 7.0])[: shape[-2], : shape[-1]]


def drawn(seed: int, sizes: Sizes) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the names in an expression stand for: the samples, and arrays that are always plain."""
    rng = np.random.default_rng(seed)
    m, n, beside = sizes

    def apart(*shape: int) -> Any:
        """Entries of both signs, far from each other, from zero and from halves of integers."""
        size = int(np.prod(shape))
        entries = rng.permutation(size) * 0.27 - 0.13 * size
        if seed:  # off the grid, and not further out where there are more
            entries = entries * min(1, 6 / size) + rng.uniform(-0.02, 0.02, size)
        return entries.reshape(shape) + 0.041

    def complexes(*shape: int) -> Any:
        return rng.uniform(0.3, 1.3, shape) + 1j * rng.uniform(0.3, 1.3, shape)

    samples = {
        "s": 0.7 + 0.007 * seed,  # a Python float
        "k": np.float64(1.3 + 0.017 * seed),  # a NumPy scalar
        "v": apart(n),
        "w": apart(n) + 0.11,
        "x": apart(m, n),
        "y": apart(*beside) + 0.11,
        "A": apart(n, n + 1),
        "Q": apart(n, n),
        "B": apart(m, n, m),
        "p": rng.uniform(0.4, 2.0, beside),  # positive
        "q": rng.uniform(0.2, 0.8, (m, n)),  # inside the unit interval
        "z": complexes(m, n),
        "t": complexes(n),
        "f": apart(n).astype(np.float32),
        "e": np.zeros((0, n)),
        "M": _matrices(seed, 3, 3),
        "N": _matrices(seed, 2, 3, 3),
        "L": _matrices(seed, 4, 2),
        "W": _matrices(seed, 2, 4),
        "Z": _matrices(seed, 3, 3) + 0.2j * _matrices(seed, 3, 3)[::-1],
    }
    places = np.arange(m * n).reshape(m, n)
    constants = {
        "c": apart(m, n) + 0.07,
        "d": apart(n) + 0.07,
        "i": np.resize([[2, 0, 1], [1, 1, 0]], (m, n)),
        "m": np.isin(places, (0, 2, 5)),
        "h": places == 1,
        "n": np.arange(1, n + 1),
    }
    return samples, constants


CONSTANTS: dict[str, Any] = {
    "g": np.float64(0.9), "np": np, "scipy": scipy, "S": special, "T": stats, **more.CONSTANTS,
}  # fmt: skip
USUAL = drawn(0, Sizes())
SAMPLES = USUAL[0]


def function(expression: str, draw: Any = USUAL) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The expression as a function of the samples it names, and these."""
    code = compile(expression, expression, "eval")
    samples, constants = draw
    names = [name for name in code.co_names if name in samples]

    def f(*values: Any) -> Any:
        return eval(code, CONSTANTS | constants | dict(zip(names, values, strict=True)))

    f.__name__ = expression
    return f, tuple(samples[name] for name in names)


def _each(names: str, *calls: str) -> dict[str, list[str]]:
    """``calls`` with every one of the names in the place of ``F``."""
    return {name: [call.replace("F", "np." + name) for call in calls] for name in names.split()}


_ONE = ("F(x)", "F(s)", "F(k)", "F(e)")
_TWO = (
    "F(x, y)", "F(x, v)", "F(x, c)", "F(c, x)", "F(s, x)", "F(x, 0.3)", "F(0.3, x)", "F(s, k)", "F(g, s)",
    "F(x, 2)", "F(e, v)", "F([[0.5], [1.5]], v)",
)  # fmt: skip

# -------------------------------------------------------------------- universal functions

UFUNCS: dict[str, list[str]] = {
    **_each(
        "add subtract multiply divide true_divide logaddexp logaddexp2 hypot arctan2 maximum minimum", *_TWO,
    ),
    **_each("fmax fmin copysign heaviside", *_TWO),
    **_each(
        "remainder mod fmod floor_divide", "F(x, p)", "F(x, 0.37)", "F(2.5, p)", "F(c, p)",
        "F(x, [[1.1], [0.9]])",
    ),
    "divmod": ["np.divmod(x, p)", "np.divmod(x, 0.37)", "divmod(x, p)"],
    **_each(
        "power float_power pow", "F(p, x)", "F(p, 2)", "F(x, 2)", "F(2.0, x)", "F(2, x)", "F(p, s)",
        "F(p, -0.5)",
    ),
    **_each(
        "positive negative square absolute abs fabs sign sin cos tanh arctan arcsinh sinh cosh exp exp2 "
        "expm1", *_ONE,
    ),
    **_each(
        "floor ceil trunc rint conjugate conj deg2rad radians rad2deg degrees cbrt reciprocal", "F(x)",
        "F(s)", "F(k)",
    ),
    **_each("log log2 log10 log1p sqrt", "F(p)", "F(s)", "F(k)"),
    **_each("arcsin asin arccos acos arctanh atanh tan", "F(q)", "F(s)"),
    **_each("arccosh acosh", "F(1 + p)", "F(k)"),
    **_each("asinh atan", "F(x)"),
    **_each("atan2", "F(x, y)"),
    "modf": ["np.modf(x)", "np.modf(s)", "np.modf(k)"],
    "frexp": ["np.frexp(x)[0]", "np.frexp(k)[0]"],
    "dtype=": [
        "np.add(x, y, dtype=np.float32)", "np.exp(x, dtype=np.float64)",
        "np.multiply(f, 2, dtype=np.float64)",
        "np.matmul(f, Q.astype(np.float32), dtype=np.float64)",
    ],
    "ldexp": ["np.ldexp(x, 2)", "np.ldexp(x, n)", "np.ldexp(s, -1)"],
    "matmul": [
        "np.matmul(x, A)", "np.matmul(x, v)", "np.matmul(v, A)", "np.matmul(v, w)", "np.matmul(x, B)",
        "np.matmul(c, v)",
        "np.matmul(B, [[1.0], [2.0]])", "np.matmul(e, A)", "np.matmul(x[:, :0], A[:0])",
        "np.matmul(x, A, axes=[(0, 1), (0, 1), (1, 0)])", "np.matmul(A, x, axes=[(1, 0), (1, 0), (0, 1)])",
    ],
    "matvec": [
        "np.matvec(x, v)", "np.matvec(c, v)", "np.matvec(B, x[:, :2])",
        "np.matvec(A, v, axes=[(1, 0), 0, 0])",
    ],
    "vecmat": ["np.vecmat(v, A)", "np.vecmat(t, Q)", "np.vecmat(x[:, :, None][:, 0], B[:, :1])"],
    "vecdot": [
        "np.vecdot(x, y)", "np.vecdot(x, v)", "np.vecdot(z, t)", "np.vecdot(d, x)", "np.vecdot(x, y, axis=0)",
        "np.vecdot(x, y, keepdims=True)", "np.vecdot(x, y, axes=[0, 0])",
    ],
}  # fmt: skip


def _special(names: str, *calls: str) -> dict[str, list[str]]:
    """The same for functions of scipy.special."""
    return {
        f"special.{name}": [call.replace("F", "scipy.special." + name) for call in calls]
        for name in names.split()
    }


# Where SciPy's function is a ufunc it is called as it is; "S" is chainrule.scipy.special, "T" its stats.
SPECIAL: dict[str, list[str]] = {
    **_special("gamma gammaln loggamma rgamma psi exp1 expi entr spence y0 y1 k0 k1 k0e k1e", "F(p)", "F(s)"),
    **_special("erf erfc erfcx erfi ndtr log_ndtr dawsn", "F(x)", "F(k)", "F(z)", "F(e)"),
    **_special("expit log_expit expm1 exp2 exp10 exprel cosm1 j0 j1 i0 i1 cbrt wrightomega", "F(x)", "F(s)"),
    **_special("i0e i1e", "F(p)", "F(s)"),
    **_special("logit erfinv erfcinv ndtri log1p", "F(q)", "F(s)"),
    **_special("ndtri_exp", "F(-p)"),
    **_special("wofz", "F(z)"),
    **_special("beta betaln poch rel_entr kl_div gammainc gammaincc", "F(p, p + 0.3)", "F(2, p)", "F(p, s)"),
    **_special("binom", "F(p + 3, p)", "F(5, p)"),
    **_special("gammaincinv gammainccinv", "F(1 + p, q)", "F(2.5, q)"),
    **_special(
        "betainc betaincc betaincinv betainccinv", "F(1 + p, 2.0, q)", "F(2, 1.5, q)", "F(s + 1, k, q[0])",
    ),
    **_special("xlogy xlog1py", "F(x, p)", "F(c, p)", "F(2.0, p)"),
    **_special("boxcox boxcox1p inv_boxcox inv_boxcox1p", "F(p, s)", "F(p, 0.0)"),
    **_special("huber pseudo_huber", "F(s, x)", "F(0.6, x)"),
    **_special("hankel1 hankel2", "np.abs(F(1.5, p))", "F(2, z)"),
    **_special("ellipk ellipe ellipkm1", "F(q)", "F(s * 0.1)"),
    **_special("sindg cosdg tandg", "F(x)", "F(k)"),
    **_special("cotdg", "F(1 + p)"),
    **_special("zetac", "F(1.5 + p)", "F(x)"),
    **_special("sici fresnel", "F(p)[0]", "F(p)[1]"),
    **_special("airy", "F(x)[0]", "F(z)[1]", "F(p)[2]", "F(x)[3]"),
    **_special("expn", "F(2, p)", "F(n, p)"),
    **_special("hyp0f1", "F(1.5, x)", "F(c * c + 1, p)"),
    **_special("hyp1f1", "F(1.5, 2.5, x)"),
    **_special("hyp2f1", "F(1.5, 0.7, 2.5, q * 0.9)"),
    **_special("eval_legendre eval_chebyt eval_chebyu eval_laguerre", "F(4, x)", "F(n, q)"),
    **_special("eval_hermite eval_hermitenorm", "F(4, x)", "F(n, q)"),
    **_special("eval_gegenbauer eval_genlaguerre", "F(3, 1.5, x)", "F(n, 0.5, q)"),
    **_special("eval_jacobi", "F(3, 1.5, 0.5, x)", "F(n, 0.5, 1, q)"),
    **_special("voigt_profile", "F(x, p, k)", "F(x, s, 0.3)"),
    **_special("jv yv iv kv kve ive jve yve", "F(1.5, p)", "F(2, p)", "F(n, p)"),
    **_special("yn kn", "F(2, p)", "F(n, p)"),
    **_special("stdtr", "F(p, x)", "F(3, x)"),
    **_special("stdtrit", "F(p + 1, q * 0.5)"),
    **_special("_zeta", "F(2.5, p)", "F(1 + p, s)"),
    **_special("_riemann_zeta", "F(1 + p)", "F(x)", "F(2.0 + z)"),
    **_special("_lambertw", "F(p)", "F(z, 1)"),
    "S": [
        "S.logsumexp(x)", "S.logsumexp(x, axis=1, keepdims=True)", "S.logsumexp(x, 0, b=c * c)",
        "S.logsumexp(x, b=p)", "S.logsumexp(x, b=-1.0 * p, return_sign=True)[0]", "S.softmax(x)",
        "S.softmax(x, axis=1)", "S.log_softmax(x)", "S.log_softmax(x, axis=0)", "S.multigammaln(2 + p, 3)",
        "S.polygamma(2, p)", "S.polygamma(0, z)", "S.sinc(x)", "S.comb(p + 3, p)", "S.comb(3, k)",
        "S.comb(p + 2, 2.0, repetition=True)", "S.gamma(p)", "S.zeta(3.0, p)", "S.digamma(z)",
    ],
    "T": [
        *(
            f"T.{name}.{method}({x}, {shapes}loc=v * 0.01, scale=s)"
            for name, x, shapes in (
                ("norm", "x", ""), ("t", "x", "p, "), ("gamma", "p", "k, "), ("beta", "q * 0.5", "p, k, "),
                ("chi2", "p", "k, "), ("expon", "p", ""), ("lognorm", "p", "k, "), ("uniform", "q * 0.5", ""),
                ("laplace", "x", ""), ("logistic", "x", ""), ("cauchy", "x", ""), ("halfnorm", "p", ""),
            )
            for method in ("logpdf", "cdf")
        ),
        "T.norm.ppf(q, x, p)", "T.t.ppf(q * 0.9, 3.5)", "T.norm(x, p).logpdf(0.3)",
        "T.poisson.logpmf(n, p)", "T.poisson.pmf(2, s)", "T.poisson.cdf(n, mu=p)",
        "T.binom.logpmf(n, 5, q)", "T.binom.sf(n, 5, q)", "T.bernoulli.logpmf(m, q)",
        "T.dirichlet.logpdf([0.2, 0.5, 0.3], 1 + v * v)",
    ],
}  # fmt: skip
# The ufuncs behind SciPy's functions:
for _name, _call in {"_zeta": "zeta", "_riemann_zeta": "zeta", "_lambertw": "lambertw"}.items():
    SPECIAL["special." + _name] = [e.replace(_name, _call) for e in SPECIAL["special." + _name]]
UFUNCS |= SPECIAL
COMPLEX: list[str] = [
    *(f"np.{name}(z)" for name in "negative conjugate square absolute sign reciprocal sqrt exp log".split()),
    *(f"np.{name}(z)" for name in "sin cos tan tanh sinc expm1 log1p arctan".split()),
    *(f"np.{name}(z, t)" for name in "add subtract multiply divide power".split()),
    "np.abs(z) ** 2", "z.real * z.imag", "np.angle(z)", "np.real(z)", "np.imag(z)", "np.vdot(z, z)",
    "z * x + 1j",
    "np.sum(z, 0)", "np.mean(z)", "np.prod(z)", "np.var(z)", "np.std(z, 1)", "np.linalg.norm(z)",
    "np.linalg.norm(z, axis=0)",
    "np.linalg.norm(t, 1)", "np.cumsum(z)", "z @ t", "np.einsum('ij,j->i', z, t)", "z[:, 0] / t[0]",
    "np.abs(z + x)",
    "np.where(m, z, x)", "np.concatenate([z, x])", "np.stack([t, v])", "abs(t[0])", "(1 + 2j) * x",
    "x ** (1 + 0.5j) * 0 + z",
]  # fmt: skip
METHODS: dict[tuple[str, str], list[str]] = {
    ("add", "reduce"): [
        "np.add.reduce(x)", "np.add.reduce(x, axis=None)", "np.add.reduce(x, 1)",
        "np.add.reduce(x, axis=(0, 1), keepdims=True)",
    ],
    ("multiply", "reduce"): ["np.multiply.reduce(x)", "np.multiply.reduce(x, axis=-1)"],
    ("maximum", "reduce"): ["np.maximum.reduce(x)", "np.maximum.reduce(x, axis=1)"],
    ("minimum", "reduce"): ["np.minimum.reduce(x)", "np.minimum.reduce(x, axis=1)"],
    ("add", "accumulate"): ["np.add.accumulate(x)", "np.add.accumulate(x, axis=-1)"],
    ("multiply", "accumulate"): ["np.multiply.accumulate(x)", "np.multiply.accumulate(x, axis=1)"],
    ("logaddexp", "reduce"): [
        "np.logaddexp.reduce(x)", "np.logaddexp.reduce(x, axis=1, keepdims=True)",
        "np.logaddexp.reduce(x, axis=None, initial=0.5, where=m)",
    ],
    ("fmax", "reduce"): ["np.fmax.reduce(x)", "np.fmax.reduce(x, axis=None)"],
    ("fmin", "reduce"): ["np.fmin.reduce(x)", "np.fmin.reduce(x, axis=1)"],
    ("multiply", "outer"): [
        "np.multiply.outer(v, x)", "np.multiply.outer(d, v)", "np.add.outer(s, v)", "np.hypot.outer(v, w)",
    ],
}  # fmt: skip

# -------------------------------------------------------------------- functions

_REDUCTION = (
    "F(x)", "F(x, axis=0)", "F(x, axis=-1)", "F(B, axis=(0, -1))", "F(B, axis=(2, 0), keepdims=True)",
    "F(x, None)",
    "F(x, axis=None, keepdims=True)", "F(x, axis=())", "F(s)", "F(k)",
)  # fmt: skip
_SPREAD = (
    "F(x)", "F(x, axis=0, ddof=1)", "F(B, axis=(0, -1), keepdims=True)", "F(x, -1)", "F(x, correction=1)",
    "F(e.T, 1)",
)
_CUMULATIVE = ("F(x)", "F(x, axis=0)", "F(x, axis=-1)", "F(v)", "F(e, axis=1)")
_JOIN = ("F([x, y])", "F((x, c, y))", "F([c, x])")
_SPLIT = (
    "F(B, 2, axis=2)", "F(x, [1], axis=1)", "F(x, [1, 2], -1)", "F(x, 2)", "F(x, [1, 5], 1)", "F(x, [-1], 1)",
)

FUNCTIONS: dict[str, list[str]] = {
    **_each("sum prod mean", *_REDUCTION, "F(x, dtype=np.float64)", "F(f)"),
    **_each("max min amax amin", *_REDUCTION),
    "sum+": [
        "np.sum(x, where=m)", "np.sum(e)", "np.sum(e, 0)", "np.prod(x, where=m)", "np.prod(e, 1)",
        "np.sum(x, 0, None, None, True)",
    ],
    **_each("var std", *_SPREAD[:-1]),
    "ptp": ["np.ptp(x)", "np.ptp(x, axis=-1)", "np.ptp(B, axis=(0, 1), keepdims=True)"],
    "average": [
        "np.average(x)", "np.average(x, axis=0)", "np.average(x, 1, p[0])", "np.average(x, weights=p)",
        "np.average(c, -1, p)",
        "np.average(x, axis=0, weights=[0.25, 0.75], keepdims=True)",
    ],
    **_each("cumsum cumprod", *_CUMULATIVE),
    "diff": [
        "np.diff(x)", "np.diff(x, axis=0)", "np.diff(v, n=2)", "np.diff(v, 0)",
        "np.diff(v, prepend=s, append=[1.0, 2.0])",
    ],
    "where": [
        "np.where(x > y, x, y)", "np.where(m, x, 2.0)", "np.where(m, s, c)",
        "np.where(x > 0, [1.0, 2.0, 3.0], v)", "np.where(s > 0, s, 3)",
    ],
    "clip": [
        "np.clip(x, -0.5, 0.5)", "np.clip(x, None, 0.5)", "np.clip(x, v - 1, v)", "np.clip(x, min=-0.5)",
        "np.clip(s, 0, 1)", "np.clip(c, s - 1, s)",
    ],
    "around": ["np.around(x, 1)"],
    "round": ["np.round(x)", "np.round(x, 1)", "np.round(s, decimals=1)"],
    "nan_to_num": ["np.nan_to_num(x)"],
    "sinc": ["np.sinc(x)", "np.sinc(s)"],
    **_each("real imag angle", "F(z)", "F(x)", "F(s)"),
    "angle+": ["np.angle(z, deg=True)"],
    "astype": ["np.astype(x, np.float64)", "np.astype(x, 'complex128')", "np.astype(f, float)"],
    "copy": ["np.copy(x)"],
    "reshape": [
        "np.reshape(x, (3, 2))", "np.reshape(x, -1)", "np.reshape(x, [6, 1])", "np.reshape(e, (3, 0))",
        "np.reshape(x, (1, -1, 2))", "np.reshape(s, (1, 1))", "np.reshape(k, -1)",
        "np.reshape(B, (2, 6), order='F')", "np.reshape(B, (-1, 4), 'F')",
    ],
    "ravel": ["np.ravel(x)", "np.ravel(s)", "np.ravel(e)", "np.ravel(B, order='F')"],
    **_each("transpose permute_dims", "F(B)", "F(B, (1, 0, 2))", "F(B, axes=(-1, 0, 1))", "F(v)"),
    "moveaxis": ["np.moveaxis(B, 0, -1)", "np.moveaxis(B, [0, 1], [-1, 0])"],
    "swapaxes": ["np.swapaxes(B, 0, -1)"],
    "rollaxis": ["np.rollaxis(B, 2)", "np.rollaxis(B, 1, 3)"],
    "matrix_transpose": ["np.matrix_transpose(B)"],
    "expand_dims": ["np.expand_dims(x, 0)", "np.expand_dims(x, (0, -1))", "np.expand_dims(s, 0)"],
    "squeeze": ["np.squeeze(x[None, :, :1])", "np.squeeze(x[None], 0)", "np.squeeze(x[:, None], axis=(1,))"],
    **_each("atleast_1d atleast_2d atleast_3d", "F(s)", "F(v)", "F(x)", "F(s, x)", "F(B)"),
    "broadcast_to": [
        "np.broadcast_to(v, (2, 3))", "np.broadcast_to(s, 3)", "np.broadcast_to(x[:, :1], (2, 3))",
    ],
    "broadcast_arrays": [
        "np.broadcast_arrays(x, v)", "np.broadcast_arrays(s, c, v)", "np.broadcast_arrays(v)",
    ],
    "meshgrid": [
        "np.meshgrid(v, w)", "np.meshgrid(v, d, indexing='ij')", "np.meshgrid(v, w, d)",
        "np.meshgrid(v, w, sparse=True)", "np.meshgrid(x, v)", "np.meshgrid(v, s)",
    ],
    **_each(
        "concatenate concat", *_JOIN, "F([x, y], axis=-1)", "F([x, v], axis=None)", "F([v, [1.0, 2]])",
        "F((f, v))", "F(x)",
    ),
    "stack": ["np.stack([x, y])", "np.stack([x, c], axis=-1)", "np.stack([s, 1.0, k])", "np.stack(x, 1)"],
    **_each("vstack hstack dstack column_stack", *_JOIN, "F([v, w])", "F([v, d])", "F(x)"),
    "hstack+": ["np.hstack([s, v])", "np.vstack([v, x])"],
    "append": ["np.append(x, v)", "np.append(x, y, 0)", "np.append(v, s)", "np.append(d, v)"],
    **_each("array_split", *_SPLIT, "F(v, 2)", "F(A, 3, 1)"),
    **_each("split", *_SPLIT),
    "hsplit": ["np.hsplit(x, 3)", "np.hsplit(v, 3)"],
    "vsplit": ["np.vsplit(x, 2)"],
    "dsplit": ["np.dsplit(B, 2)"],
    "unstack": ["np.unstack(x)", "np.unstack(B, axis=-1)"],
    "tile": [
        "np.tile(x, 2)", "np.tile(x, (2, 1, 2))", "np.tile(s, 3)", "np.tile(v, (2, 2))", "np.tile(x, [2])",
        "np.tile(B, (2, 1))",
    ],
    "repeat": [
        "np.repeat(x, 2)", "np.repeat(x, 2, axis=-1)", "np.repeat(x, [1, 0, 2], axis=1)", "np.repeat(s, 3)",
    ],
    "flip": ["np.flip(x)", "np.flip(x, 0)", "np.flip(B, (0, -1))"],
    **_each("fliplr flipud", "F(x)"),
    "rot90": [
        "np.rot90(x)", "np.rot90(x, 2)", "np.rot90(x, -1)", "np.rot90(B, 3, axes=(1, 2))", "np.rot90(x, 4)",
    ],
    "roll": [
        "np.roll(x, 1)", "np.roll(x, -4)", "np.roll(x, 1, axis=-1)", "np.roll(x, (1, 2), axis=(0, 1))",
        "np.roll(x, 2, (0, 1))", "np.roll(x, 1, (1, 1))",
    ],
    "pad": [
        "np.pad(x, 1)", "np.pad(x, (1, 2))", "np.pad(x, ((1, 0), (0, 2)))",
        "np.pad(v, 1, constant_values=2.0)",
        "np.pad(x, 1, mode='edge')", "np.pad(v, 2, 'reflect')", "np.pad(v, 3, 'symmetric')",
        "np.pad(x, ((0, 0), (2, 1)), 'wrap')",
    ],
    "sort": ["np.sort(x)", "np.sort(x, 0)", "np.sort(x, axis=None)", "np.sort(v, stable=True)"],
    "take": [
        "np.take(x, n)", "np.take(x, [0, 0, 1], 1)", "np.take(x, 1, axis=-1)", "np.take(v, i)",
        "np.take(x, [5, -7], mode='wrap')", "np.take(v, [5, -7], mode='clip')",
    ],
    "copyto": [
        "(a := x * 1.5, np.copyto(a, v, where=m))[0]", "(a := x * 1.5, np.copyto(a, y, where=x > y))[0]",
    ],
    "put": ["(a := x * 1.5, np.put(a, [1, 0, 1], v))[0]"],
    "fill_diagonal": ["(a := Q * 1.5, np.fill_diagonal(a, w))[0]"],
    "put_along_axis": [
        "(a := x * 1.5, np.put_along_axis(a, i[:, :1], 2.0 * y[:, :1], 1))[0]",
        "(a := x * 1.5, np.put_along_axis(a, i[:1, :1], w[0], 1))[0]",
        "(a := x * 1.5, np.put_along_axis(a, i[:1, :1] * 0, x[0], 0))[0]",
    ],
    "take_along_axis": [
        "np.take_along_axis(x, i, 1)", "np.take_along_axis(x, i[:1], -1)",
        "np.take_along_axis(x, np.argsort(x, None), None)",
    ],
    "diagonal": [
        "np.diagonal(A)", "np.diagonal(A, 1)", "np.diagonal(A, -1)", "np.diagonal(B, 0, -1, 0)",
        "np.diagonal(A, 9)",
    ],
    "diag": ["np.diag(A)", "np.diag(v)", "np.diag(v, 1)", "np.diag(v, -2)", "np.diag(Q, k=1)"],
    "trace": ["np.trace(Q)", "np.trace(A, 1)", "np.trace(B, 0, 2, 0)"],
    **_each("tril triu", "F(Q)", "F(A, 1)", "F(B, -1)", "F(v)"),
    "dot": [
        "np.dot(x, A)", "np.dot(x, v)", "np.dot(v, w)", "np.dot(s, x)", "np.dot(x, 2.0)", "np.dot(B, Q[:2])",
        "np.dot(v, B[0])",
        "np.dot(x, B[:, :, :, None][0][..., ::-1].reshape(1, 3, 2))", "np.dot(B, d[:2])", "np.dot(c, v)",
        "np.dot([1.0, 2.0], x)",
    ],
    "tensordot": [
        "np.tensordot(x, y)", "np.tensordot(B, B, 1 + 1 - 2)", "np.tensordot(x, A, 1)",
        "np.tensordot(B, x, ((0, 1), (0, 1)))", "np.tensordot(B, c, (-2, -1))",
        "np.tensordot(B, x, ([0], [0]))",
    ],
    "inner": [
        "np.inner(v, w)", "np.inner(x, y)", "np.inner(s, x)", "np.inner(x, 2)", "np.inner(x, d)",
        "np.inner(B, B[0])",
    ],
    "outer": ["np.outer(v, w)", "np.outer(x, v)", "np.outer(s, v)", "np.outer(d, v)"],
    "vdot": [
        "np.vdot(v, w)", "np.vdot(x, y)", "np.vdot(z, t[:, None] * x.T)", "np.vdot(d, v)", "np.vdot(s, k)",
    ],
    "kron": [
        "np.kron(x, A)", "np.kron(v, w)", "np.kron(v, x)", "np.kron(s, x)", "np.kron(d, v)",
        "np.kron(2.0, v)",
    ],
    "einsum": [
        "np.einsum('ij,jk->ik', x, A)", "np.einsum('ij,jk', x, A)", "np.einsum('ij->j', x)",
        "np.einsum('ji', x)", "np.einsum('ii', Q)",
        "np.einsum('...i,i->...', B[..., :1], v[:1])", "np.einsum('i...,i', x, d[:2])",
        "np.einsum('ij,jk,k->i', x, A, A[0])",
        "np.einsum('i,i,i', v, v, w)", "np.einsum('ij,ij,j->', x, c, v)", "np.einsum('bij->bji', B)",
        "np.einsum('i,j,k->kji', v, w, v)",
        "np.einsum('ii,i->i', Q, v)", "np.einsum(',i->i', s, v)", "np.einsum(x, [0, 1], A, [1, 2])",
        "np.einsum(x, [0, 1], [1, 0])",
        "np.einsum('a, a -> ', v, w, optimize=True)", "np.einsum('...ij,...jk', B, x[:, :2, None][:, :, :1])",
        "np.einsum('i->', v)", "np.einsum('i,i', v, v)", "np.einsum('zA,A', x, v)",
        "np.einsum('ij,kl,jk->il', x, A, Q)",
        "np.einsum('ij,ij->ij', x[:, :1], y)", "np.einsum('ij,ij->i', x[:, :1], y)",
        "np.einsum('ij,ij', c, x[:1])",
    ],
    "bincount": ["np.bincount(n, v)", "np.bincount(n, weights=v, minlength=9)", "np.bincount(i[0], f)"],
    "full_like": [
        "np.full_like(x, s)", "np.full_like(x, v)", "np.full_like(x, s, shape=2)", "np.full_like(f, k)",
    ],
    "linalg.norm": [
        "np.linalg.norm(x)", "np.linalg.norm(x, axis=-1)", "np.linalg.norm(x, 2, 0)", "np.linalg.norm(v, 1)",
        "np.linalg.norm(x, np.inf, axis=1)",
        "np.linalg.norm(x, -np.inf, axis=0, keepdims=True)", "np.linalg.norm(v, 3)",
        "np.linalg.norm(v, -1.5)", "np.linalg.norm(x, 'fro')", "np.linalg.norm(x, 1)",
        "np.linalg.norm(x, -1, keepdims=True)", "np.linalg.norm(x, np.inf)",
        "np.linalg.norm(B, -np.inf, axis=(2, 0))", "np.linalg.norm(B, axis=(0, -1), keepdims=True)",
        "np.linalg.norm(x, 2, -1, True)",
    ],
    **_each("linalg.outer", "F(v, w)", "F(d, v)"),
    **_each("linalg.tensordot", "F(x, A, axes=1)"),
    **_each("linalg.matmul", "F(x, A)", "F(c, v)"),
    **_each("linalg.matrix_transpose", "F(B)"),
    **_each("linalg.vecdot", "F(x, y)", "F(B, x[:, :, None], axis=1)"),
}  # fmt: skip

# -------------------------------------------------------------------- more functions

_WITH_NAN = "np.where(h, np.nan, x)"
_NAN = tuple(
    call.replace("*", _WITH_NAN)
    for call in ("F(*)", "F(*, axis=0)", "F(*, axis=-1, keepdims=True)", "F(x)", "F(*, axis=(0, 1))")
)

FUNCTIONS |= {
    "where=": [
        "np.sum(x, axis=1, where=m, initial=2.0)", "np.sum(x, where=[True, False, True], axis=0)",
        "np.prod(x, initial=0.5)", "np.mean(x, where=m)", "np.mean(x, axis=1, where=m, keepdims=True)",
        "np.var(x, where=m)", "np.var(x, axis=1, where=~h, ddof=1)", "np.std(x, where=m)",
        "np.std(x, 1, where=~h, keepdims=True)", "np.var(z, where=m)", "np.mean(z, where=m)",
        "np.var(x, axis=1, mean=np.mean(x, axis=1, keepdims=True))", "np.std(x, mean=p[:1, :1])",
        "np.max(x, initial=0.3)", "np.max(x, axis=1, initial=-9.0, where=m)", "np.min(x, initial=9.0)",
        "np.min(x, axis=0, initial=5.0, where=h, keepdims=True)", "np.max(e, 0, initial=0.5) + v",
        "np.sum(x, dtype=np.float32)", "np.mean(x, dtype=np.float32)", "np.cumsum(f, dtype=np.float64)",
        "np.var(f, dtype=np.float64)", "np.sum(x, initial=s)",
    ],
    "average+": [
        "np.average(x, returned=True)", "np.average(x, 1, v, returned=True)",
        "np.average(B, (2, 0), weights=p[:, :2].T)",
    ],
    **_each("nansum nanprod nanmean nanvar nanstd", *_NAN),
    **_each("nanmax nanmin nanmedian", *_NAN),
    "nansum+": [
        f"np.nansum({_WITH_NAN}, where=m)", f"np.nanmean({_WITH_NAN}, axis=1, where=m)",
        f"np.nanmax({_WITH_NAN}, initial=0.2)", f"np.nanvar({_WITH_NAN}, ddof=1)",
        f"np.nanstd({_WITH_NAN}, 1, ddof=1)", f"np.nansum({_WITH_NAN}, dtype=np.float32)",
        "np.nansum(np.where(m, np.nan, z))", "np.nanmean(np.where(m, np.nan, z), 1)",
    ],
    **_each("nancumsum nancumprod", f"F({_WITH_NAN})", f"F({_WITH_NAN}, axis=1)", "F(x, 0)"),
    **_each(
        "cumulative_sum cumulative_prod", "F(v)", "F(x, axis=0)", "F(x, axis=-1, include_initial=True)",
        "F(v, include_initial=True)", "F(f, dtype=np.float64)", "F(e, axis=0, include_initial=True)",
    ),
    "median": [
        "np.median(x)", "np.median(x, axis=0)", "np.median(A, axis=1, keepdims=True)", "np.median(B, (0, 2))",
        "np.median(v)", "np.median(x, axis=(0, 1), keepdims=True)", "np.median(f)",
    ],
    "quantile": [
        "np.quantile(x, 0.3)", "np.quantile(x, [0.1, 0.5], axis=0)",
        "np.quantile(A, 0.7, axis=1, keepdims=True)",
        "np.quantile(B, [[0.2, 0.4], [0.6, 0.8]], axis=(0, -1))", "np.quantile(v, 1.0)", "np.quantile(v, 0)",
        "np.quantile(B, [0.25, 0.9], axis=1, keepdims=True)",
        *(
            f"np.quantile(A, [0.13, 0.55], axis=1, method='{method}')"
            for method in (
                "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen "
                "weibull linear median_unbiased normal_unbiased lower higher midpoint nearest"
            ).split()
        ),
    ],
    "percentile": ["np.percentile(x, 30)", "np.percentile(x, [10, 50.0], axis=-1, method='hazen')"],
    "nanquantile": [
        f"np.nanquantile({_WITH_NAN}, 0.3)", f"np.nanquantile({_WITH_NAN}, [0.1, 0.5, 0.9], axis=1)",
        f"np.nanquantile({_WITH_NAN}, 0.6, axis=0, keepdims=True, method='median_unbiased')",
        "np.nanquantile(B, [0.2, 0.3], axis=(0, 1))",
    ],
    "nanpercentile": [f"np.nanpercentile({_WITH_NAN}, 30, axis=1)"],
    "cov": [
        "np.cov(x)", "np.cov(x, rowvar=False)", "np.cov(v)", "np.cov(v, w)", "np.cov(x, y, bias=True)",
        "np.cov(A, ddof=0)", "np.cov(x, aweights=p[0])", "np.cov(x, fweights=n)",
        "np.cov(x, fweights=n, aweights=p[1], ddof=1)", "np.cov(z)", "np.cov(x, dtype=np.float32)",
        "np.cov(A, A[:1], rowvar=True)",
    ],
    "corrcoef": ["np.corrcoef(A)", "np.corrcoef(v, w)", "np.corrcoef(A, rowvar=False)"],
    "i0": ["np.i0(x)", "np.i0(v)"],
    "fix": ["np.fix(x)", "np.fix(s)"],
    "real_if_close": ["np.real_if_close(x)"],
    "real_if_close of complex": ["np.real_if_close(z)", "np.real_if_close(x + 0j)"],
    "unwrap": [
        "np.unwrap(4 * x)", "np.unwrap(v, period=1.5)", "np.unwrap(x, axis=0, discont=4.0)",
        "np.unwrap(3 * f)",
    ],
    "interp": [
        "np.interp(x, np.sort(v), w)", "np.interp(s, np.sort(v), d)", "np.interp(c, np.sort(v), w)",
        "np.interp(x, [-1.0, 0.0, 1.0], w, left=0.5, right=s)", "np.interp(x, [-1.0, 0.0, 1.0], [1, 3, 2])",
        "np.interp(x, v, w, period=1.9)", "np.interp(x, np.sort(v), t)", "np.interp(x, v[:1], w[:1])",
        "np.interp(f, [-1.0, 0.0, 1.0], w)",
    ],
    "histogram": [
        "np.histogram(x, 3, weights=p)[0]", "np.histogram(c, [-1.0, 0.0, 1.0], weights=y)[0]",
        "np.histogram(n, 2, (1, 3), True, v)[0]", "np.histogram(d, 2, weights=f)[0]",
    ],
    "diagflat": ["np.diagflat(v)", "np.diagflat(x, 1)", "np.diagflat(s, -1)"],
    "block": [
        "np.block([[x, y], [c, x]])", "np.block([v, w])", "np.block([[Q, v[:, None]], [w, s]])",
        "np.block(x)",
        "np.block([[[B]], [[B]]])",
    ],
    "insert": [
        "np.insert(x, 1, v, axis=0)", "np.insert(x, 2, s)", "np.insert(x, [0, 2], y[:, :2], axis=1)",
        "np.insert(v, [1, 1], w[:2])", "np.insert(d, 0, s)",
        "np.insert(v, slice(0, 2), 7.0)", "np.insert(x, -1, 0, axis=-1)",
    ],
    "delete": [
        "np.delete(x, 1, axis=1)", "np.delete(x, [0, 4])", "np.delete(v, slice(0, 2))", "np.delete(x, -1, 0)",
        "np.delete(v, np.array([True, False, False]))",
    ],
    "resize": ["np.resize(x, (3, 4))", "np.resize(v, 2)", "np.resize(s, (2, 2))", "np.resize(x, 5)"],
    "trim_zeros": [
        "np.trim_zeros(v * np.array([0, 1, 1]))", "np.trim_zeros(v * np.array([0, 1, 0]), 'b')",
        "np.trim_zeros(x * np.array([0, 1, 0]))", "np.trim_zeros(x * np.array([0, 1, 0]), axis=1)",
    ],
    "select": [
        "np.select([x > 0.5, x > -0.5], [x, y * y])", "np.select([m, h], [x, s], 3.0)",
        "np.select([m], [x], default=y)", "np.select([m, x > 9], [v, 2.0])",
    ],
    "choose": [
        "np.choose(i, [x, y, 2 * x])", "np.choose(i, [v, s, 1.0])", "np.choose(i + 1, [x, v], mode='clip')",
        "np.choose(i + 4, [x, v], mode='wrap')",
        "np.choose([1, 0, 1], x)",
    ],
    "compress": [
        "np.compress([True, False, True], x, axis=1)", "np.compress([False, True], x, 0)",
        "np.compress([False, True, True], x)",
    ],
    "extract": ["np.extract(m, x)", "np.extract(n > 1, v)"],
    "piecewise": [
        "np.piecewise(x, [m, h], [np.sin, lambda x: x * x])", "np.piecewise(x, [m, ~m], [np.exp, 2.5])",
        "np.piecewise(v, n > 1, [lambda x, a: a * x, -1.0], 3.0)",
        "np.piecewise(x, [m, h], [np.sin, np.cos, np.tan])",
        "np.piecewise(x, [x > 0], [np.sqrt, np.negative])",
        "np.piecewise(x, [x < 0.1, x >= 0.1], [0.0, lambda x: x])",
    ],
    "apply_along_axis": [
        "np.apply_along_axis(np.sum, 0, x)", "np.apply_along_axis(lambda r: r * r[0], 1, x)",
        "np.apply_along_axis(np.diag, -1, x)", "np.apply_along_axis(np.outer, 1, B, w)",
    ],
    "apply_over_axes": ["np.apply_over_axes(np.sum, B, [0, 2])", "np.apply_over_axes(np.cumsum, x, (1, 0))"],
    "sliding_window_view": [
        "np.lib.stride_tricks.sliding_window_view(v, 2)",
        "np.lib.stride_tricks.sliding_window_view(x, (2, 2))",
        "np.lib.stride_tricks.sliding_window_view(B, 2, axis=1)",
    ],
    "pad+": [
        "np.pad(x, 2, 'linear_ramp')", "np.pad(v, (2, 3), 'linear_ramp', end_values=(1.0, -2.0))",
        *(f"np.pad(x, ((1, 2), (0, 3)), '{mode}')" for mode in ("maximum", "mean", "minimum")),
        "np.pad(p, ((1, 2), (0, 3)), 'median')",
        "np.pad(A, 1, 'mean', stat_length=2)", "np.pad(v, 2, 'maximum', stat_length=(2, 1))",
        "np.pad(v, (4, 5), 'reflect', reflect_type='odd')", "np.pad(x, 1, 'symmetric', reflect_type='odd')",
        "np.pad(v, (7, 8), 'symmetric', reflect_type='odd')",
        "np.pad(x, 2, constant_values=((1, 2), (3, 4)))",
        "np.pad(x, {1: (1, 2)}, 'edge')", "np.pad(x, ((0, 1), (2, 0)), 'wrap')",
    ],
    "full": ["np.full((2, 3), s, like=v) * v", "np.full(3, v, like=v)",
        "np.full(2, v[0], np.float32, like=v)"],
    "array": ["np.array([s, 1.0, s], like=v) + v", "np.array([[v, w], [d, v]], like=v)"],
    **_each("asarray asanyarray", "F([v, w], like=v)"),
    "arange": ["np.arange(s, 3.0, like=v)[:3] * v", "np.arange(s, s + 3.0, k, like=v)[:3] + v"],
    "linspace": [
        "np.linspace(s, 2.0, 5)", "np.linspace(0.0, s, 4, endpoint=False)", "np.linspace(v, w, 3, axis=-1)",
        "np.linspace(x, v, 4)", "np.linspace(s, k, 3, retstep=True)", "np.linspace(s, 3.0, 1)",
        "np.linspace(f, 1.0, 3)", "np.linspace(s, 2.0, 3, dtype=np.float32)", "np.linspace(0, z, 3)",
    ],
    "logspace": ["np.logspace(s, 2.0, 4)", "np.logspace(0.1, v, 3, base=2.0)",
        "np.logspace(0, s, 3, base=k)"],
    "geomspace": [
        "np.geomspace(s, 20.0, 4)", "np.geomspace(p, 3.0, 3)",
        "np.geomspace(p, 3.0, 3, axis=1, endpoint=False)",
        "np.geomspace(-s, -3.0, 3)", "np.geomspace(z, 2.0, 3)",
    ],
    "vander": ["np.vander(v)", "np.vander(v, 2)", "np.vander(v, 4, increasing=True)", "np.vander(t, 3)"],
    "sort+": ["np.sort(B, axis=1)", "np.sort(x, kind='mergesort')", "np.sort(z, axis=0)"],
    "sort_complex": ["np.sort_complex(v)", "np.sort_complex(t)", "np.sort_complex(f)"],
    "partition": [
        "np.sort(np.partition(x, 1), axis=-1)", "np.partition(x, 1)[..., 1]",
        "np.sum(np.partition(x, -2)[:, -2:])",
        "np.partition(A, [0, 2], axis=0)", "np.sort(np.partition(x, 3, axis=None)[3:])",
    ],
    "unique": [
        "np.unique(x)", "np.unique(v[[0, 1, 0, 2]], return_inverse=True, return_counts=True)[0]",
        "np.unique(x[[0, 0, 1]], axis=0)", "np.unique(v[[1, 1, 2]], return_index=True)[0]",
    ],
    **_each("unique_all unique_counts unique_inverse", "F(v[[2, 1, 2]]).values", "F(x).values"),
    "unique_values": ["np.unique_values(v[[2, 1, 2]])", "np.unique_values(x)"],
    "diff+": ["np.diff(x, axis=0, prepend=0.0)", "np.diff(x, prepend=y)"],
    "ediff1d": ["np.ediff1d(x)", "np.ediff1d(v, to_end=[1.0, 2.0], to_begin=s)", "np.ediff1d(v, to_end=w)"],
    "gradient": [
        "np.gradient(v)", "np.gradient(A)", "np.gradient(A, 0.5, axis=1)", "np.gradient(v, edge_order=2)",
        "np.gradient(v, s)", "np.gradient(v, np.sort(w))", "np.gradient(A, n, [1.0, 2.0, 4.0, 5.0])",
        "np.gradient(A, np.sort(w), axis=0, edge_order=2)", "np.gradient(A, 2.0, 0.3, edge_order=2)",
        "np.gradient(A, axis=(0, 1))", "np.gradient(x, axis=0)", "np.gradient(f)", "np.gradient(z, axis=1)",
    ],
    "trapezoid": [
        "np.trapezoid(v)", "np.trapezoid(v, w)", "np.trapezoid(x, dx=0.3)", "np.trapezoid(x, v, axis=1)",
        "np.trapezoid(x, y, axis=0)", "np.trapezoid(x, dx=s, axis=0)", "np.trapezoid(c, v)",
    ],
    "polyval": [
        "np.polyval(v, x)", "np.polyval([1.0, 2.0, 3.0], x)", "np.polyval(v, 0.3)", "np.polyval(v, s)",
        "np.polyval(t, z)", "np.polyval(v, c)",
    ],
    **_each("polyadd polysub polymul", "F(v, w)", "F(v, [1.0, 2.0])", "F(d, x[:, 0])", "F(v, s)"),
    "polyder": ["np.polyder(v)", "np.polyder(v, 2)", "np.polyder(v, 0)"],
    "polyint": ["np.polyint(v)", "np.polyint(v, 2, [1.0, 2.0])", "np.polyint(v, k=s)"],
    "poly": ["np.poly(v)"],
    "cross": ["np.cross(v, w)", "np.cross(x, v)", "np.cross(A, d, axisa=0)",
        "np.cross(Q, Q.T, axisb=0, axisc=0)", "np.cross(x, y)", "np.cross(Q, Q[::-1], axis=0)"],
    "einsum+": [
        "np.einsum('...ij,...jk', B, B.transpose(0, 2, 1))", "np.einsum('...i->i...', B)",
        "np.einsum('ij,jk,kl', x, A, A.T, optimize='greedy')", "np.einsum('ij,jk', x, A, dtype=np.float64)",
        "np.einsum('ij,jk,k', x, Q, v, optimize=['einsum_path', (1, 2), (0, 1)])",
        "np.einsum(B, [..., 0], v[:2], [0], [...])", "np.einsum('a,b,c,d,e,f->', v, w, v, w, v, d)",
        "np.einsum('i...,...', x, x[0])", "np.einsum('ij,ij', z, z.conj())", "np.einsum('iij->ij', B[:, :2])",
    ],
}  # fmt: skip

# Of these the shape depends on the numbers, so that they are refused in a compiled program.
DEPENDENT = {
    "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values", "trim_zeros", "arange",
    "real_if_close of complex",
}  # fmt: skip

# -------------------------------------------------------------------- linear algebra and transforms


_SQUARE = ("F(M)", "F(N)", "F(Z)", "F(N[:0])")
_LINE = (
    "F(v)", "F(x, axis=0)", "F(x, 5)", "F(x, n=2)", "F(z, norm='ortho')", "F(z, 4, 0, 'forward')",
    "F(B, 3, -2)",
    "F(e.T, n=2)", "F(f)",
)
_PLANE = (
    "F(x)", "F(B)", "F(z, norm='ortho')", "F(B, s=(3, 2), axes=(0, 1))", "F(B, (4, 3), (-1, 0))",
    "F(B, axes=(1, 2), norm='forward')",
)


def _real(calls: tuple[str, ...]) -> list[str]:
    return [call.replace("z", "x") for call in calls]


FUNCTIONS |= {
    "linalg.norm+": [
        "np.linalg.norm(M, 2)", "np.linalg.norm(x, -2)", "np.linalg.norm(L, 'nuc')", "np.linalg.norm(Z, 2)",
        "np.linalg.norm(B, 'nuc', axis=(2, 0))", "np.linalg.norm(B, 2, (0, 1), keepdims=True)",
    ],
    "linalg.vector_norm": [
        "np.linalg.vector_norm(x)", "np.linalg.vector_norm(x, axis=1, ord=1)",
        "np.linalg.vector_norm(z, ord=3)",
        "np.linalg.vector_norm(B, axis=(0, 2), keepdims=True, ord=np.inf)",
    ],
    "linalg.matrix_norm": [
        "np.linalg.matrix_norm(B)", "np.linalg.matrix_norm(N, ord='nuc')", "np.linalg.matrix_norm(N, ord=-2)",
        "np.linalg.matrix_norm(B, ord=1, keepdims=True)",
    ],
    "linalg.cond": [
        "np.linalg.cond(M)", "np.linalg.cond(L, 2)", "np.linalg.cond(N, -2)", "np.linalg.cond(M, 1)",
        "np.linalg.cond(N, 'fro')", "np.linalg.cond(Z)",
    ],
    **_each("linalg.inv linalg.det linalg.cholesky", *_SQUARE[:-2], "F(N[:0])"),
    "linalg.inv+": ["np.linalg.inv(Z)", "np.linalg.det(Z)", "np.linalg.cholesky(Z @ Z.conj().T)"],
    "linalg.cholesky+": ["np.linalg.cholesky(N, upper=True)"],
    "linalg.pinv": [
        "np.linalg.pinv(M)", "np.linalg.pinv(L)", "np.linalg.pinv(W, rcond=1e-8)",
        "np.linalg.pinv(N, rtol=1e-8)",
        "np.linalg.pinv(Z[:, :2])", "np.linalg.pinv(M, hermitian=True)",
    ],
    "linalg.solve": [
        "np.linalg.solve(M, v)", "np.linalg.solve(M, A)", "np.linalg.solve(N, v)",
        "np.linalg.solve(M, [1.0, 2, 3])",
        "np.linalg.solve(N, B.transpose(0, 1, 2))", "np.linalg.solve(Z, v)",
        "np.linalg.solve([[2.0, 1], [0, 1]], x)",
    ],
    "linalg.lstsq": [
        "np.linalg.lstsq(L, A.T)[0]", "np.linalg.lstsq(L, A[0])[0]", "np.linalg.lstsq(W, v[:2])[0]",
        "np.linalg.lstsq(L, A.T, rcond=1e-9)[1]", "np.linalg.lstsq(L, A[0])[3]",
    ],
    "linalg.tensorinv": ["np.linalg.tensorinv(M[:, None, :, None])",
    "np.linalg.tensorinv(M[:, :, None], ind=1)"],
    "linalg.tensorsolve": [
        "np.linalg.tensorsolve(M[:, :, None], v)", "np.linalg.tensorsolve(M[:, None], v[None], axes=(0,))",
    ],
    "linalg.slogdet": [f"np.linalg.slogdet({a})[1]" for a in ("M", "N", "Z")] + ["np.linalg.slogdet(Z)[0]"],
    "linalg.matrix_power": [f"np.linalg.matrix_power({a})" for a in ("M, 3", "N, 2", "M, -2", "Z, 5",
    "M, 0", "M, 1")],
    "linalg.multi_dot": [
        "np.linalg.multi_dot([x, A, L])", "np.linalg.multi_dot([v, A, L, w[:2]])",
        "np.linalg.multi_dot((v, Q))",
        "np.linalg.multi_dot([x, c.T, x, A])",
    ],
    "linalg.cross": ["np.linalg.cross(x, y)", "np.linalg.cross(v, x)", "np.linalg.cross(M, Q, axis=0)"],
    "linalg.trace": ["np.linalg.trace(N)", "np.linalg.trace(B, offset=-1)"],
    "linalg.diagonal": ["np.linalg.diagonal(N)", "np.linalg.diagonal(B, offset=-1)"],
    "linalg.qr": [
        "np.linalg.qr(M)", "np.linalg.qr(L)", "np.linalg.qr(W)", "np.linalg.qr(N, 'r')",
        "np.linalg.qr(M, 'complete')",
        "np.linalg.qr(L, mode='complete').R", "np.linalg.qr(Z)", "np.linalg.qr(N[:0])",
    ],
    "linalg.eigh": [
        "np.linalg.eigh(M)", "np.linalg.eigh(N, UPLO='U')", "np.linalg.eigh(M).eigenvectors ** 2",
        "np.abs(np.linalg.eigh(Z)[1])", "np.linalg.eigh(N[:0])",
    ],
    "linalg.eigvalsh": [*(f"np.linalg.eigvalsh({a})" for a in ("M", "N", "Z", "M, 'U'", "N[:0]"))],
    "linalg.eig": [
        "np.linalg.eig(M)[0] + 0j", "np.linalg.eig(M)[1] + 0j", "np.abs(np.linalg.eig(N).eigenvectors)",
        "np.linalg.eig(Z)[0]",
        "np.abs(np.linalg.eig(Z)[1])",
    ],
    "linalg.eigvals": ["np.linalg.eigvals(M) + 0j", "np.linalg.eigvals(N) * 1j", "np.linalg.eigvals(Z)"],
    "linalg.svd": [
        "np.linalg.svd(M)", "np.linalg.svd(L, full_matrices=False)", "np.linalg.svd(W).S",
        "np.linalg.svd(L)[0][:, :2]", "np.linalg.svd(N, compute_uv=False)", "np.linalg.svd(W, False).Vh",
        "np.abs(np.linalg.svd(Z).U)", "np.linalg.svd(M, compute_uv=False, hermitian=True)",
    ],
    "linalg.svdvals": [*(f"np.linalg.svdvals({a})" for a in ("M", "N", "L", "Z", "N[:0]"))],
    "linalg.outer+": ["np.linalg.outer(t, v)"],
    **_each("fft.fft fft.ifft fft.irfft fft.hfft", *_LINE),
    **_each("fft.rfft fft.ihfft", *_real(_LINE)),
    **_each("fft.fft2 fft.ifft2 fft.fftn fft.ifftn fft.irfft2 fft.irfftn", *_PLANE),
    **_each("fft.rfft2 fft.rfftn", *_real(_PLANE)),
    **_each("fft.fftshift fft.ifftshift", "F(v)", "F(x)", "F(B, axes=1)", "F(z, (0, 1))"),
    **_each(
        "convolve correlate", "F(v, w)", "F(v, x[0, :2], mode='same')", "F(A[0], v, 'valid')",
        "F(v, A[0], 'full')",
        "F(v, [1.0, 2.0])", "F(t, v)", "F([1.0, 2.0], v, 'same')", "F(v, t, 'valid')",
    ),
}  # fmt: skip

UFUNCS |= more.UFUNCS
METHODS |= more.METHODS
FUNCTIONS |= more.FUNCTIONS
DEPENDENT |= more.DEPENDENT

# Results without a derivative: computed on the data, never Values.
PLAIN: dict[str, list[str]] = {
    **_each("argmax argmin any all count_nonzero", "F(x)", "F(x, axis=-1)", "F(B, 1, keepdims=True)", "F(s)"),
    "any+": ["np.all(B, axis=(0, 2))"],
    "argsort": ["np.argsort(x)", "np.argsort(x, axis=None)"],
    **_each(
        "nonzero flatnonzero argwhere shape ndim size iscomplexobj isrealobj isreal iscomplex array_repr",
        "F(x)", "F(v)",
    ),
    "searchsorted": [
        "np.searchsorted(np.sort(v), 0.1)", "np.searchsorted(np.sort(v), w, side='right')",
        "np.searchsorted(n, v)",
    ],
    **_each("isclose allclose array_equal array_equiv", "F(x, y)", "F(x, x)", "F(x, c)"),
    "result_type": ["np.result_type(x, f)", "np.result_type(f, 2.0)"],
    "array_str": ["np.array_str(x)"],
    "array2string": ["np.array2string(x, precision=3)"],
    "full": ["np.zeros_like(x, dtype=int)", "np.ones_like(x, bool)", "np.full_like(x, 7, int)",
        "np.where(x > 0)", "np.linalg.norm(v, 0)"],
    **_each("isneginf isposinf", "F(x)", "F(v * np.array([np.inf, np.inf, 1]))"),
    "digitize": ["np.digitize(v, [0.0, 1.0])", "np.digitize(0.3, np.sort(v))"],
    **_each("may_share_memory shares_memory", "F(x, c)", "F(x, x)"),
    "lexsort": ["np.lexsort((v, w))", "np.lexsort((d, v))"],
    "min_scalar_type": ["np.min_scalar_type(x)", "np.min_scalar_type(f)"],
    "linalg.matrix_rank": ["np.linalg.matrix_rank(Q)", "np.linalg.matrix_rank(B)"],
    "can_cast": ["np.can_cast(f, np.float64)"],
    "argpartition": ["np.argpartition(x, 1)", "np.argpartition(x, [0, 1], axis=0)"],
    **_each("nanargmax nanargmin", "F(x)", "F(np.where(h, np.nan, x), axis=1)"),
    "unique+": [
        "np.unique(v[[0, 1, 0]], True, True, True)[1:]", "np.unique_all(x)[1:]", "np.unique_counts(x).counts",
    ],
    "frexp+": ["np.frexp(x)[1]", "np.frexp(s)[1]"],
    "isin": ["np.isin(x, [0.5])", "np.isin(c, x)", "np.isin(x, x)"],
    "histogram of numbers": ["np.histogram(x, 3)", "np.histogram(x, [-1.0, 0.0, 1.0])"],
    "histograms": ["np.histogram2d(v, w, 2)", "np.histogramdd(x, 2)", "np.histogram2d(v, w, [1, 2])"],
    "histogram_bin_edges": ["np.histogram_bin_edges(x, 3)"],
    "einsum_path": ["np.einsum_path('ij,jk', x, A)[1]"],
    "common_type": ["np.common_type(x, f).__name__"],
    **_each("diag_indices_from tril_indices_from triu_indices_from", "F(Q)"),
}  # fmt: skip
PLAIN_UFUNCS: dict[str, list[str]] = {
    **_each(
        "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor", "F(x, y)",
        "F(x, 0.3)", "F(c, x)", "F(s, v)",
    ),
    **_each("logical_not isnan isinf isfinite signbit", "F(x)", "F(s)"),
}  # fmt: skip
