"""Student's distribution: its density, distribution function and quantile, in the argument and in ν."""

from __future__ import annotations

import math
from typing import Any

from scipy import special as sp

from chainrule.primitives import Elementwise, raw, where
from chainrule.rules.elementary import PI, exp, log, log1p
from chainrule.rules.gamma import poch
from chainrule.rules.incomplete import beta_density, betainc_shape, flow


def log_density(df: Any, z: Any) -> Any:
    """Of the normal distribution, its limit, where ν is infinite."""
    endless = raw(df) == math.inf
    n = where(endless, 1.0, df)
    y = log(poch(0.5 * n, 0.5)) - 0.5 * (log(n) + math.log(PI)) - (n + 1) / 2 * log1p(z * z / n)
    return where(endless, -z * z / 2 - 0.5 * math.log(2 * PI), y)


def _density(df: Any, z: Any) -> Any:
    return exp(log_density(df, z))


def _in_df(df: Any, z: Any) -> Any:
    """The tail is ``I_w(ν/2, 1/2) / 2`` with w = ν/(ν + z²), or 1/2 less that of 1 - w: each where small."""
    endless = raw(df) == math.inf
    df, square = where(endless, 1.0, df), z * z
    both = df + square
    near = raw(square) < raw(df)
    v = where(near, square, df) / both  # 1 - w, or w
    v = where(raw(z) == 0, 0.5, v)
    half, rest = 0.5 * df, 0.5
    inner = 0.5 * betainc_shape(rest, half, v, orders=(0, 1)) - beta_density(rest, half, v) * v / both
    outer = 0.5 * betainc_shape(half, rest, v, orders=(1, 0)) + beta_density(half, rest, v) * (1 - v) / both
    half_in_df = where(near, inner, -outer) / 2
    return where((raw(z) == 0) | endless, 0.0, where(raw(z) < 0, -half_in_df, half_in_df))


stdtr = Elementwise(sp.stdtr, lambda y, df, z: _in_df(df, z), lambda y, df, z: _density(df, z))
stdtrit = Elementwise(
    sp.stdtrit, lambda y, df, p: flow(_in_df(df, y), _density(df, y)), lambda y, df, p: 1 / _density(df, y)
)
