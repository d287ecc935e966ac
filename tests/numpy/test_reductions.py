"""Reductions at the edges that no table of functions has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("initial", [-0.0, 1.5])
@pytest.mark.parametrize("f", [np.max, np.min])
def test_an_extreme_of_nothing_in_a_value_is_a_value(f: Any, initial: float, keepdims: bool) -> None:
    a = np.zeros((0, 3), np.float32)
    options: Any = {"axis": 0, "initial": initial, "keepdims": keepdims}
    y, expected = f(Value(a), **options), f(a, **options)
    assert type(y) is Value
    assert (y.shape, y.dtype, y.data.tobytes()) == (expected.shape, expected.dtype, expected.tobytes())
    assert cr.grad(lambda c: np.sum(f(Value(a), **{**options, "initial": c})))(2.0) == 3.0
