"""Operations on traced arrays: what is asked for and is not there is refused, as NumPy refuses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

THIN = np.arange(8.0).reshape(2, 1, 4)

REFUSED: dict[str, Callable[[Any], Any]] = {
    "transpose: axis 3": lambda x: np.transpose(x, (0, 1, 3)),
    "transpose: axes are": lambda x: np.transpose(x, (0, 1)),
    "repeated axis in `transpose`": lambda x: x.transpose(0, 1, 1),
    "moveaxis: axis 5": lambda x: np.moveaxis(x, 5, 0),
    "moveaxis: axis -4": lambda x: np.moveaxis(x, 0, -4),
    "repeated axis in `moveaxis`": lambda x: np.moveaxis(x, (0, 0), (1, 2)),
    "moveaxis: source 0 and": lambda x: np.moveaxis(x, 0, (1, 2)),
    "swapaxes: axis 5": lambda x: x.swapaxes(5, 0),
    "expand_dims: axis 9": lambda x: np.expand_dims(x, 9),
    "repeated axis in `expand_dims`": lambda x: np.expand_dims(x, (0, 0)),
    "squeeze: axis 4": lambda x: np.squeeze(x, 4),
    "squeeze: axis 0 of shape .* has length 2, expected 1": lambda x: np.squeeze(x, 0),
    "concatenate: axis 7": lambda x: np.concatenate([x, x], 7),
    "stack: axis -5": lambda x: np.stack([x, x], -5),
}


@pytest.mark.parametrize("said", REFUSED)
def test_axes_that_are_not_there_are_refused(said: str) -> None:
    f = REFUSED[said]
    with pytest.raises(ValueError):  # of which an AxisError is one
        f(THIN)
    with pytest.raises(ValueError, match=said):
        cr.compile(f)(THIN)


AXES: list[Callable[[Any], Any]] = [
    lambda x: np.squeeze(x, -2), lambda x: np.squeeze(x), lambda x: np.squeeze(np.sum(x), 0),
    lambda x: np.moveaxis(x, (-1, 0), (0, 1)), lambda x: x.swapaxes(-1, 0), lambda x: x.transpose(-1, 0, 1),
    lambda x: np.expand_dims(x, (-1, 0)), lambda x: np.concatenate([x, x], -3),
    lambda x: np.stack([x, x], -4),
]  # fmt: skip


@pytest.mark.parametrize("f", AXES)
def test_axes_are_counted_from_either_end(f: Callable[[Any], Any]) -> None:
    want = f(THIN)
    for got in (cr.compile(f)(THIN), f(cr.Value(THIN)).data):
        assert np.shape(got) == np.shape(want)
        np.testing.assert_array_equal(got, want)
