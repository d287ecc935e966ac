"""The functions that SciPy writes in Python: its numbers, its arguments, and errors by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special as sp

import chainrule as cr
from chainrule import Value
from chainrule.scipy import special

_rng = np.random.default_rng(0)
X = _rng.normal(size=(2, 3, 4))
B = _rng.normal(size=(2, 3, 4))

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *(
        ("logsumexp", (X,), dict(axis=axis, b=b, keepdims=keepdims))
        for axis in (None, 1, (0, -1))
        for b in (None, np.abs(B), 2.0, np.ones(4))
        for keepdims in (False, True)
    ),
    ("logsumexp", (X, 2), dict(b=B, return_sign=True)),
    ("logsumexp", (X,), dict(return_sign=True)),
    ("logsumexp", ([1000.0, 1000.0],), dict(b=[3.0, -2.0])),
    ("logsumexp", (np.array([-np.inf, 0.0]),), dict(b=[1.0, 0.0])),
    *((name, (X,), dict(axis=axis)) for name in ("softmax", "log_softmax") for axis in (None, 0, -1)),
    ("multigammaln", (np.array([2.3, 7.0]), 4), {}),
    ("polygamma", (2, X), {}),
    ("polygamma", (0, np.abs(X)), {}),
    ("polygamma", (np.array([0, 1, 3]), 1.3), {}),
    ("comb", (np.array([5.0, 3.0, 2.0, -1.0]), 3.0), {}),
    ("comb", (5, 2), dict(exact=True)),
    ("comb", (4.5, 2.0), dict(repetition=True)),
    ("sinc", (X,), {}),
    ("zeta", (2.5, np.abs(X)), {}),
    ("lambertw", (X, 1), {}),
]


@pytest.mark.parametrize("name, args, kwargs", CALLS)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_numbers_are_scipys(name: str, args: Any, kwargs: Any) -> None:
    got, want = (getattr(module, name)(*args, **kwargs) for module in (special, sp))
    got, want = (x if isinstance(x, tuple) else (x,) for x in (got, want))
    for a, b in zip(got, want, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_it_is_a_drop_in() -> None:
    """Every name is there, and where SciPy's function answers Values itself it is SciPy's."""
    assert len(special.__all__) > 85
    for name in special.__all__:
        assert callable(getattr(special, name))
        if isinstance(getattr(sp, name), np.ufunc):
            assert getattr(special, name) is getattr(sp, name)


def test_a_masked_row_of_logsumexp_has_derivative_0() -> None:
    x = np.array([[-np.inf, -np.inf], [0.0, 1.0]])
    with np.errstate(divide="ignore"):
        got = cr.grad(lambda x: np.sum(special.logsumexp(x, axis=1, b=np.ones(2))[1:]))(x)
    np.testing.assert_allclose(got, [[0, 0], sp.softmax([0.0, 1.0])], rtol=1e-15)


def test_errors() -> None:
    v = Value(2.5)
    with pytest.raises(TypeError, match=r"polygamma: n is 1\.5, expected a whole number"):
        special.polygamma(1.5, v)
    with pytest.raises(TypeError, match="polygamma: n is Value"):
        special.polygamma(v, 1.0)
    with pytest.raises(TypeError, match=r"comb: exact=True .* use exact=False"):
        special.comb(v, 2, exact=True)
    with pytest.raises(ValueError, match=r"multigammaln: a is .* expected more than \(d - 1\)/2 = 3\.0"):
        special.multigammaln(v, 7)
    with pytest.raises(ValueError, match="multigammaln: d is 0, expected a whole number from 1 on"):
        special.multigammaln(v, 0)
    with pytest.raises(TypeError, match="softmax: received 'x', expected"):
        special.softmax("x")
