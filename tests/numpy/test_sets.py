"""Arrays as sets: of equal elements the first is the one that is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr


@pytest.mark.parametrize("f", [np.unique, np.unique_values])
def test_of_equal_elements_the_first_is_the_one_that_is_kept(f: Any) -> None:
    x = np.array([2.0, 1.0, 1.0, 3.0, 2.0])
    J = cr.jacobian(f)(x)
    np.testing.assert_array_equal(J, np.eye(5)[[1, 0, 3]])


@pytest.mark.parametrize("f", [np.union1d, np.intersect1d, np.setxor1d])
def test_of_elements_in_both_the_first_arrays_are_kept(f: Any) -> None:
    x, y = np.array([2.0, 1.0, 2.0]), np.array([4.0, 2.0])
    first, second = cr.jacobian(f, argnums=(0, 1))(x, y)
    one, two, none = [0, 1, 0], [1, 0, 0], [0, 0, 0]
    want = {"union1d": [one, two, none], "intersect1d": [two], "setxor1d": [one, none]}
    np.testing.assert_array_equal(first, want[f.__name__])
    np.testing.assert_array_equal(second.sum(0), [float(f is not np.intersect1d), 0.0])
