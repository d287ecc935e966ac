"""Padding: every mode, with widths up to several times the array, gives NumPy's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value

MODES: dict[str, list[dict[str, Any]]] = {
    "constant": [{}, {"constant_values": (1.0, 2.0)}],
    "edge": [{}],
    "wrap": [{}],
    "linear_ramp": [{}, {"end_values": ((1.0, -1.0), (0.5, 3.0))}],
    **{
        mode: [{}, {"stat_length": 2}, {"stat_length": ((1, 2), (9, 1))}]
        for mode in ("mean", "maximum", "minimum")
    },
    "median": [{}, {"stat_length": 3}],
    "reflect": [{}, {"reflect_type": "odd"}],
    "symmetric": [{}, {"reflect_type": "odd"}],
}


@pytest.mark.parametrize("mode", MODES)
def test_the_numbers_are_those_of_numpy(mode: str) -> None:
    rng = np.random.default_rng(0)
    for options in MODES[mode]:
        for shape in ((1, 1), (2, 3), (3, 1), (4, 2)):
            x = rng.normal(size=shape)
            for width in (0, 1, ((2, 0), (0, 3)), ((5, 7), (4, 9))):
                got = np.pad(Value(x), width, mode, **options)  # type: ignore[call-overload]
                want = np.pad(x, width, mode, **options)
                np.testing.assert_allclose(got.data, want, rtol=1e-13, atol=1e-14)
    cr.check_grads(lambda x: np.pad(x, ((2, 4), (3, 1)), mode, **options), (x,))


def test_a_constant_may_be_a_value() -> None:
    x, c = np.ones((2, 2)), 3.0
    got = cr.grad(lambda x, c: np.sum(np.pad(x, 1, constant_values=c) ** 2), argnums=(0, 1))(x, c)
    np.testing.assert_array_equal(got[0], 2 * x)
    assert got[1] == 12 * 2 * c
