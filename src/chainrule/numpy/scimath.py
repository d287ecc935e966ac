"""`numpy.emath`: functions that answer with complex numbers where there are no real ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand
from chainrule.numpy.elementwise import astype
from chainrule.numpy.elementwise import power as _power
from chainrule.primitives import as_array
from chainrule.rules import elementary as el
from chainrule.value import Value, current


def _widened(plain: Callable[..., Any], f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``, of a complex number where NumPy's answer is complex."""

    def of(x: Any) -> Any:
        x = as_operand(x)
        kind = as_array(plain(current(x))).dtype
        return f(astype(x, kind) if kind.kind == "c" and not np.iscomplexobj(current(x)) else x)

    return of


sqrt, log, log2, log10, arcsin, arccos, arctanh = (
    _widened(getattr(np.emath, name), getattr(el, name))
    for name in "sqrt log log2 log10 arcsin arccos arctanh".split()
)


def logn(n: Any, x: Any) -> Any:
    return log(x) / log(n if type(n) is Value else np.asarray(n))


def power(x: Any, p: Any) -> Any:
    exponent = as_operand(p)
    plain = partial(np.emath.power, p=current(exponent))
    return _widened(plain, lambda base: _power(base, exponent))(x)
