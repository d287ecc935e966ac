"""More rows of `table`: ``out=`` and other options, methods of ufuncs, polynomials, sets, histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

_WITH_NAN = "np.where(h, np.nan, x)"


def sevens(row: Any, width: Any, axis: int, options: Any) -> None:
    """For np.pad: 7 in front."""
    row[: width[0]] = 7.0


def ends(row: Any, width: Any, axis: int, options: Any) -> None:
    row[: width[0]] = row[width[0]] * row[width[0] + 1]
    row[-1] = options["last"]


CONSTANTS = {"sevens": sevens, "ends": ends}

UFUNCS: dict[str, list[str]] = {
    "options": [
        "np.add(x, y, casting='same_kind')", "np.add(x, y, order='C', subok=True)",
        "np.add(x, y, signature='dd->d')", "np.add(x, y, dtype=np.float32, casting='unsafe')",
        "np.exp(x, where=True)", "np.multiply(x, y, dtype=complex)", "np.modf(x, dtype=float)",
        "np.divmod(x, p, dtype=float)", "np.matmul(x, A, casting='same_kind')", "np.power(p, 2, dtype=float)",
        "np.exp(x, out=(None,))",
    ],
}  # fmt: skip

METHODS: dict[tuple[str, str], list[str]] = {
    **{
        (name, "accumulate"): [f"np.{name}.accumulate({x}{rest})" for rest in ("", ", axis=1", ", axis=-1")]
        for name, x in {
            **dict.fromkeys("maximum minimum fmax fmin logaddexp logaddexp2 hypot subtract".split(), "x"),
            **dict.fromkeys("divide arctan2".split(), "p"),
        }.items()
    },
    **{
        (name, "reduce"): [
            f"np.{name}.reduce({x})", f"np.{name}.reduce({x}, axis=1, keepdims=True)",
            f"np.{name}.reduce({x}, 1, initial=0.7)", f"np.{name}.reduce({x}, axis=1, where=m, initial=0.7)",
        ]
        for name, x in {
            **dict.fromkeys("logaddexp2 hypot subtract".split(), "x"),
            "divide": "p",
        }.items()
    },
    ("hypot", "reduced over all"): ["np.hypot.reduce(x, axis=None)", "np.logaddexp2.reduce(B, axis=(0, 2))"],
    ("maximum", "reduced with dtype"): ["np.maximum.reduce(x, 0, np.float32)",
    "np.fmax.reduce(f, dtype=float)"],
    ("add", "reduceat"): [
        "np.add.reduceat(x, [0, 1, 0])", "np.add.reduceat(x, [0, 2, 1, 1], axis=1)",
        "np.add.reduceat(B, [1, 0], 0)",
        "np.add.reduceat(x, n[:0], 1)",
    ],
    **{
        (name, "reduceat"): [f"np.{name}.reduceat(x, [0, 2], axis=1)", f"np.{name}.reduceat(v, [1, 0, 0])"]
        for name in ("multiply", "maximum", "minimum", "logaddexp", "subtract")
    },
    ("add", "outer with options"): ["np.add.outer(v, w, dtype=float)", "np.arctan2.outer(v, x)"],
}  # fmt: skip

FUNCTIONS: dict[str, list[str]] = {
    "pad++": ["np.pad(x, ((1, 0), (2, 1)), sevens)", "np.pad(v, 2, ends, last=3.0)"],
    "pad of Values": [
        "np.pad(x, 1, constant_values=s)",
        "np.pad(x, [(1, 1), (0, 2)], constant_values=[(s, 1.0), (2.0, k)])",
        "np.pad(f, 1, constant_values=(s, 2.0))", "np.pad(x, 2, 'linear_ramp', end_values=s)",
        "np.pad(x, 1, 'linear_ramp', end_values=[(s, 1.0), (2.0, 3.0)])",
    ],
    "quantile+": [
        "np.quantile(x, 0.3, weights=p, method='inverted_cdf')",
        "np.quantile(x, [0.3, 0.8], axis=1, weights=n, method='inverted_cdf')",
        "np.percentile(x, [10, 50], axis=0, weights=p, method='inverted_cdf')",
        "np.quantile(B, 0.3, axis=(0, 2), weights=p[:, :2], method='inverted_cdf')",
        f"np.nanquantile({_WITH_NAN}, [0.3, 0.9], axis=1, weights=p, method='inverted_cdf')",
        "np.quantile(v, q)", "np.quantile(x, q[0], axis=1)", "np.quantile(d, q[0, 0])",
        "np.percentile(x, 100 * s)", f"np.nanquantile({_WITH_NAN}, q[0], axis=1)",
        *(
            f"np.percentile(A, 100 * q, axis=1, keepdims=True, method='{method}')"
            for method in (
                "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen "
                "weibull linear median_unbiased normal_unbiased lower higher midpoint nearest"
            ).split()
        ),
        "np.quantile(x * 1, 0.2, overwrite_input=True)", "np.median(x * 1, overwrite_input=True)",
    ],
    "nan_to_num+": [
        f"np.nan_to_num({_WITH_NAN}, nan=s)",
        "np.nan_to_num(x * np.array([1, np.inf, -1]), posinf=s, neginf=k)",
        f"np.nan_to_num({_WITH_NAN}, True, 1.5, 2.0, 3.0)",
    ],
    "clip+": ["np.clip(x, 0.0, s, dtype=np.float32)", "x.clip(-0.5, max=0.5)"],
    "unwrap+": ["np.unwrap(4 * x, period=s)"],
    "logspace+": ["np.logspace(0, 1, 3, base=p[0])", "np.logspace(v, w, 3, base=p[0], axis=1)"],
    "polyfit": [
        "np.polyfit(A[0], A[1], 1)", "np.polyfit(A[0], A[1], 2)", "np.polyfit(A[0], A.T, 2)",
        "np.polyfit(n, v, 1)",
        "np.polyfit(A[0], A[1], 1, w=[1.0, 2, 3, 4])", "np.polyfit(A[0], A[1], 1, w=A[2])",
        "np.polyfit(A[0], A[1], 1, full=True)[:2]", "np.polyfit(A[0], A[1], 1, full=True)[3]",
        "np.polyfit(A[0], A[1], 1, cov=True)", "np.polyfit(A[0], A.T, 1, cov=True)[1]",
        "np.polyfit(A[0], A[1], 1, w=p[0, 0] * np.ones(4), cov='unscaled')",
    ],
    "roots": [
        "np.roots(v) + 0j", "np.roots(p[0]) + 0j", "np.roots(t)", "np.roots(np.append(v, [0.0])) + 0j",
        "np.abs(np.roots(np.poly(A.ravel()[:6])))",
    ],
    "polydiv": [
        "np.polydiv(A[0], v[:2])", "np.polydiv(v, A[0])", "np.polydiv(t, v[:2])", "np.polydiv(s, k)",
        "np.polydiv(np.polymul(v, w), v)[0]",
    ],
    "poly+": ["np.poly(Q)", "np.poly(M)"],
    "poly of complex": ["np.poly(t)", "np.poly(np.array([1 + 1j, 1 - 1j]) * s)"],
    "poly1d": ["np.poly1d(v)(x)", "np.poly1d(v)(s)"],
    "polynomial.polyval2d": [
        "np.polynomial.polynomial.polyval2d(x, y, Q)", "np.polynomial.polynomial.polyval2d(s, k, x)",
        "np.polynomial.polynomial.polyval2d(x, y, B)",
    ],
    "polynomial.polygrid2d": [
        "np.polynomial.polynomial.polygrid2d(v, x, Q)",
        "np.polynomial.polynomial.polygrid2d(v, w, d[:, None] * d)",
    ],
    "polynomial": [
        *(
            f"np.polynomial.{module}.{name}val(x, d)"
            for module, name in (
                ("polynomial", "poly"), ("chebyshev", "cheb"), ("legendre", "leg"), ("hermite", "herm"),
                ("hermite_e", "herme"), ("laguerre", "lag"),
            )
        ),
    ],
    **{
        f"emath.{name}": [f"np.emath.{name}({of})" for of in ("x", "q", "s")]
        for name in "sqrt log log2 log10 arcsin arccos arctanh".split()
    },
    "emath of complex": [f"np.emath.{name}(z)" for name in "sqrt log arcsin arctanh".split()],
    "emath.logn": ["np.emath.logn(2, x)", "np.emath.logn(k, p)", "np.emath.logn(x, z)"],
    "emath.power": [
        "np.emath.power(x, 2)", "np.emath.power(x, y)", "np.emath.power(p, y)", "np.emath.power(x, t)",
    ],
    "histogram+": ["np.histogram(d, 2, weights=t)[0]"],
    "histogram2d": [
        "np.histogram2d(d, d[::-1], [2, 3], weights=v)[0]", "np.histogram2d(d, d[::-1], 2, weights=f)[0]",
        "np.histogram2d(d, d[::-1], [-1.0, 0.0, 1.0], weights=v)[0]",
    ],
    "histogramdd": [
        "np.histogramdd(c.T, 2, weights=v)[0]", "np.histogramdd((d, d), [2, [-2.0, 0, 2]], None, True, v)[0]",
        "np.histogramdd(d[:, None], 2, range=[(-1, 1)], weights=v)[0]",
    ],
    "union1d": ["np.union1d(v, x)", "np.union1d(v, v[:2])", "np.union1d(d, v)"],
    "intersect1d": ["np.intersect1d(v, v[1:])", "np.intersect1d(v, v[:2], return_indices=True)[0]"],
    "setdiff1d": ["np.setdiff1d(v, w)", "np.setdiff1d(x, x[0])", "np.setdiff1d(v, [0.5], True)"],
    "setxor1d": ["np.setxor1d(v, v[:2])", "np.setxor1d(x, v)"],
    "linalg.svd+": ["np.linalg.svd(M + M.T - 4 * np.eye(3), hermitian=True)",
    "np.linalg.svd(N, hermitian=True)"],
    "arrays for shapes": ["np.reshape(x, np.array([3, 2]))", "np.transpose(B, np.array([2, 0, 1]))"],
    "stack+": [
        "np.stack((v, w), axis=-1, casting='same_kind')",
        "np.stack([x, y], dtype=np.float32)", "np.vstack([x, y], dtype=np.float32)",
    ],
    # arrays that are written into
    "putmask": [
        "(a := x * 1.5, np.putmask(a, m, y))[0]", "(a := x * 1.5, np.putmask(a, m, v[:2]))[0]",
        "(a := x * 1.5, np.putmask(a, x > 9, s))[0]",
    ],
    "place": [
        "(a := x * 1.5, np.place(a, m, v[:2]))[0]", "(a := x * 1.5, np.place(a, m, s))[0]",
    ],
    "at": [
        *(
            f"(a := {x} * 1.5, np.{name}.at(a, ([0, 0, 1], [1, 1, 2]), {new}))[0]"
            for name, x, new in (
                ("multiply", "x", "w"), ("divide", "x", "p[0]"), ("maximum", "x", "w"), ("power", "p", "w"),
                ("hypot", "x", "s"), ("add", "x", "w"), ("subtract", "x", "2.0"),
            )
        ),
        "(a := x * 1.5, np.negative.at(a, ([0, 0], [1, 2])))[0]",
        "(a := x * 1.5, np.exp.at(a, (0, [1, 1])))[0]",
        "(a := x * 1.5, np.multiply.at(a, m, s))[0]", "(a := x * 1.5, np.multiply.at(a, 1, v))[0]",
    ],
    "out=": [
        *(
            f"(a := {out} * 1.0, np.{call}out=a))[1]"
            for out, call in (
                ("v", "sum(x, axis=0, "), ("v", "prod(x, 0, "), ("v", "mean(x, axis=0, "), ("v",
                "max(x, axis=0, "),
                ("v", "var(x, axis=0, "), ("v", "nansum(x, axis=0, "), ("v", "nanmax(x, axis=0, "),
                ("v", "median(x, axis=0, "), ("v", "quantile(x, 0.3, axis=0, "), ("v", "ptp(x, axis=0, "),
                ("x", "cumsum(x, axis=0, "), ("x", "clip(x, 0, 1, "), ("x", "round(x, 1, "), ("x", "fix(x, "),
                ("x", "take(x, [0, 1, 0], 1, "), ("x", "concatenate([x[:1], y[:1]], "), ("x",
                "stack([x[0], v], "),
                ("(x @ A)", "dot(x, A, "), ("(x @ A)", "einsum('ij,jk', x, A, "), ("Q", "outer(v, w, "),
                ("(x @ A)", "linalg.multi_dot([x, A], "), ("x", "choose(i, [x, y, x], "),
                ("v", "compress([True, True, True], v, "), ("(t + 0j)", "fft.fft(t, "), ("f", "sum(x, 0, "),
                ("x", "add(x, y, "), ("x", "exp(v, "), ("x", "add.accumulate(x, "), ("v", "add.reduce(x, "),
                ("x", "divide(x, p, where=m, "), ("x", "log(x, where=x > 0, "), ("f",
                "add(v, w, where=n > 1, "),
                ("x", "multiply(s, k, where=m, "), ("x", "exp(x, where=m, dtype=float, "),
            )
        ),
        "(a := v * 1.0, np.maximum.reduce(x, 0, None, a))[1]", "(a := x * 1.0, np.add(x, y, a))[1]",
        "(a := v * 1.0, x.sum(0, out=a))[1]", "(a := v * 1.0, x.max(0, a))[1]",
        "(a := x * 1.0, x.clip(0, 1, a))[1]",
        "(a := x * 1.0, b := x * 2.0, np.modf(x, a, b))[1]",
        "(a := p * 1.0, b := p * 2.0, np.divmod(x, p, out=(a, b)))[:2]",
    ],
}  # fmt: skip

DEPENDENT = {
    "polydiv", "poly of complex", "poly1d", "union1d", "intersect1d", "setdiff1d", "setxor1d",
    *(f"emath.{name}" for name in np.emath.__all__),
}  # fmt: skip
