"""Small pictures of arrays."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.show.thumbnails import BINS, SIDE, text, thumbnail


def pixels(t):
    return np.frombuffer(base64.b64decode(t["pixels"]), np.uint8).reshape(t["shape"])


def test_a_small_array_is_shown_entry_by_entry():
    t = thumbnail(np.array([[0.0, 0.5], [1.0, -1.0]]))
    assert pixels(t).tolist() == [[128, 191], [255, 0]]
    assert (t["low"], t["high"], t["mean"]) == (-1.0, 1.0, 0.125)


def test_a_large_one_by_the_means_of_blocks():
    x = np.add.outer(np.arange(64.0), np.arange(320.0))
    t = thumbnail(x)
    blocks = x.reshape(SIDE, 2, SIDE, 10).mean(axis=(1, 3))
    assert np.abs(pixels(t) - 255 * blocks / x.max()).max() <= 0.5 + 1e-9


@given(hnp.arrays(st.sampled_from(["f8", "f4", "c16", "i8", "?"]), hnp.array_shapes(min_dims=1, min_side=0)))
def test_any_array_of_numbers(x):
    t = thumbnail(x)
    json.dumps(t, allow_nan=False)
    size = np.abs(x) if x.dtype.kind == "c" else x
    with np.errstate(all="ignore"):
        finite = np.isfinite(size.astype(float))
    assert sum(t["bins"]) == finite.sum()
    assert len(t["bins"]) == BINS
    assert t["nan"] + t["inf"] + finite.sum() == x.size
    assert pixels(t).size <= SIDE * SIDE


@pytest.mark.parametrize("x", [1.0, np.float64(1), np.array(1.0), np.array(["a"]), None])
def test_anything_else_has_none(x):
    assert thumbnail(x) is None


def test_numbers_and_texts():
    numbers = (np.nan, -np.inf, 2, np.int8(3), np.array(0.5), 1j)
    assert [text(x) for x in numbers] == ["nan", "-inf", 2, 3, 0.5, "1j"]
