"""Covariance and correlation."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand, shape_of
from chainrule.numpy.elementwise import astype, clip
from chainrule.numpy.manipulation import atleast_2d, concatenate, reshape
from chainrule.numpy.products import matmul
from chainrule.numpy.rearranging import diagonal
from chainrule.numpy.reductions import average, sum
from chainrule.primitives import as_array
from chainrule.rules import arithmetic as ar
from chainrule.rules.elementary import sqrt
from chainrule.rules.matrix import matrix_transpose
from chainrule.value import current


def _variables(name: str, m: Any, y: Any, rowvar: bool, dtype: Any) -> Any:
    """One variable a row."""
    parts = [as_operand(x) for x in (m, y) if x is not None]
    for x in parts:
        if len(shape_of(x)) > 2:
            raise ValueError(f"{name}: received shape {shape_of(x)}, expected one axis or two")
    turned = [
        matrix_transpose(x) if not rowvar and len(shape_of(x)) == 2 and (i or shape_of(x)[0] != 1) else x
        for i, x in enumerate(map(atleast_2d, parts))
    ]
    turned = [
        reshape(x, (1, -1)) if len(shape_of(p)) < 2 else x for x, p in zip(turned, parts, strict=True)
    ]
    x = concatenate(turned, 0) if len(turned) > 1 else turned[0]
    if dtype is None:
        kind = np.result_type(np.float64, *(as_array(current(p)).dtype for p in parts))
    else:
        kind = np.dtype(dtype)
    return x if as_array(current(x)).dtype == kind else astype(x, kind)


def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None,
    fweights: Any = None, aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """``Σ w (x - x̄)(y - ȳ)* / (Σ w - ddof)`` of every two variables."""
    c = _covariance("cov", m, y, rowvar, bias, ddof, fweights, aweights, dtype)
    return reshape(c, tuple(n for n in shape_of(c) if n != 1))


def _covariance(
    name: str, m: Any, y: Any, rowvar: bool, bias: bool, ddof: int | None, fweights: Any, aweights: Any,
    dtype: Any,
) -> Any:  # fmt: skip
    x = _variables(name, m, y, rowvar, dtype)
    ddof = (0 if bias else 1) if ddof is None else ddof
    weights = [as_operand(w) for w in (fweights, aweights) if w is not None]
    if not weights:
        w, total, spare = None, shape_of(x)[1], ddof
    else:
        w = weights[0] * weights[1] if len(weights) == 2 else weights[0] * 1.0
        total = sum(w)
        spare = ddof if aweights is None else ddof * sum(w * as_operand(aweights)) / total
    x = x - average(x, 1, w, keepdims=True)
    return matmul(x if w is None else x * w, matrix_transpose(ar.conj(x))) / (total - spare)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """The covariance divided by the deviations of both."""
    c = _covariance("corrcoef", x, y, rowvar, False, None, None, None, dtype)
    if shape_of(c) == (1, 1):
        c = reshape(c, ())
        return c / c
    s = sqrt(ar.real(diagonal(c)))
    c = c / reshape(s, (-1, 1)) / s
    return c if np.iscomplexobj(current(c)) else clip(c, -1, 1)
