"""What NumPy computes with complex numbers it computes with complex Values, derivatives in both modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from tests.numpy import table
from tests.numpy.test_functions import leaves

# Of vectors whose phases are arbitrary (the table has rows of their absolute values); of covariances, whose
# weights are real; and of what is unique, which comes in any order.
ELSEWHERE = {"linalg.eigh", "linalg.eig", "linalg.svd", "linalg.svd+", "cov", "unique_values"}
NAMES = [
    name
    for name in [*table.UFUNCS, *table.METHODS, *table.FUNCTIONS]
    if name not in ELSEWHERE and not str(name).startswith("special.") and name not in ("S", "T")
]


def turned(x: Any) -> Any:
    """Complex, with phases that differ a little."""
    z = np.asarray(x) * (1 + 0.125j) + 0.05j * np.cos(np.arange(np.size(x))).reshape(np.shape(x))
    return z.astype(np.result_type(np.asarray(x), np.complex64))[()]


@pytest.mark.parametrize("name", NAMES, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_complex_numbers(name: Any) -> None:
    for expression in (table.UFUNCS | table.METHODS | table.FUNCTIONS)[name][:3]:
        f, point = table.function(expression)
        point = tuple(map(turned, point))
        try:
            want = f(*(np.array(x)[()] for x in point))
        except (TypeError, ValueError, np.linalg.LinAlgError):
            continue  # not defined for complex numbers
        got = leaves(f(*map(Value, point)))
        assert any(type(y) is Value for y in got)
        kinds = {np.asarray(x).dtype.itemsize // (1 + np.iscomplexobj(x)) for x in [*point, *leaves(want)]}
        single = 4 in kinds
        for a, b in zip(got, leaves(want), strict=True):
            assert np.asarray(cr.data(a)).dtype == np.asarray(b).dtype
            np.testing.assert_allclose(cr.data(a), b, rtol=1e-6 if single else 1e-12, atol=1e-13)
        tolerance = 1e-2 if single else 1e-6
        cr.check_grads(f, point, order=1, rtol=tolerance, atol=tolerance)


def test_signs_of_infinite_numbers() -> None:
    """One infinite part is the direction, which nothing turns; two are none."""
    inf = np.inf
    z = np.array([complex(inf, 1), complex(2, -inf), complex(-inf, np.nan), complex(inf, inf), 3 + 4j])
    with np.errstate(all="ignore"):
        value, pull = cr.vjp(np.sign, z)
        np.testing.assert_allclose(value, np.sign(z), rtol=4e-16)
        assert np.all(pull(np.ones_like(z))[0][:2] == 0)
        np.testing.assert_allclose(cr.compile(np.sign)(z), np.sign(z), rtol=4e-16)
