"""Every function in every precision: results have NumPy's dtype, gradients that of their leaf."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from tests.numpy import table
from tests.numpy.test_functions import DIFFERENTIATED, leaves

KINDS = {"f": [np.float16, np.float32, np.longdouble], "c": [np.complex64, np.clongdouble]}
OF_REALS = dict(zip(KINDS["f"], [np.complex64, np.complex64, np.clongdouble], strict=True))


def cast(x: Any, kind: Any) -> Any:
    """A sample in another precision; Python numbers have none."""
    if type(x) is float:
        return x
    return x.astype(OF_REALS[kind] if np.iscomplexobj(x) else kind)


@pytest.mark.parametrize("kind", KINDS["f"], ids=lambda k: k.__name__)
@pytest.mark.parametrize("name", DIFFERENTIATED, ids=str)
def test_dtypes(name: Any, kind: Any) -> None:
    wrong = []
    for expression in DIFFERENTIATED[name]:
        if "scipy" in expression or expression.startswith(("S.", "T.")):
            continue  # SciPy's loops are of single and double precision
        f, double = table.function(expression)
        point = tuple(cast(x, kind) for x in double)
        with np.errstate(all="ignore"):
            try:
                want = leaves(f(*point))
            except (TypeError, np.linalg.LinAlgError):
                continue  # NumPy has no loop for this precision
            try:
                wrong += [f"{expression}: {said}" for said in differs(f, point, want)]
            except Exception as error:
                wrong.append(f"{expression}: {type(error).__name__}: {error}")
    assert not wrong, "\n" + "\n".join(wrong)


def differs(f: Any, point: Any, want: Any) -> list[str]:
    values = tuple(map(Value, point))
    got = leaves(f(*values))
    said = [
        f"is {np.asarray(cr.data(a)).dtype}, expected {np.asarray(b).dtype}"
        for a, b in zip(got, want, strict=True)
        if np.asarray(cr.data(a)).dtype != np.asarray(b).dtype
    ]
    total = sum(np.sum(np.real(y)) for y in got if type(y) is Value)
    total.backward(np.ones_like(total.data))
    for v, x in zip(values, point, strict=True):
        if np.asarray(v.grad).dtype != np.asarray(x).dtype or np.shape(v.grad) != np.shape(x):
            said.append(f"the gradient of {x!r} is {v.grad!r}")
    return said
