"""Numbers, arrays and names as short text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.show import summary


@given(st.floats(-1e308, 1e308))
def test_a_number_reads_back_to_five_digits(x):
    assert float(summary.number(x)) == pytest.approx(x, rel=6e-5)
    assert len(summary.number(x)) <= 12


@given(st.floats())
def test_only_exact_integers_look_like_integers(x):
    text = summary.number(x)
    if text.lstrip("-").isdigit():
        assert float(text) == x


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.0, "0"), (-0.0, "-0"), (1e6, "1e+06"), (123456.7, "1.2346e+05"), (99999.9, "1e+05"),
        (1.5e-310, "1.5e-310"), (12345.678, "12345.7"),
        (36021.00000000035, "36021.0"), (np.float32(0.1), "0.1"), (True, "True"), (7, "7"),
        (10**400, "1" + 22 * "0" + "…"),
        (np.nan, "nan"), (-np.inf, "-inf"), (1j, "1j"), (complex(0.5, -0.25), "0.5-0.25j"),
    ],
)  # fmt: skip
def test_numbers(x, text):
    assert summary.number(x) == text


@pytest.mark.parametrize(
    ("x", "text", "statistics"),
    [
        (np.ones(0), "[]", ""),
        (np.array(2.5), "2.5", ""),
        (np.array([[0.5, 1], [2, 3]]), "[[0.5 1] [2 3]]", ""),
        (np.full((2, 3), -1.23456), "[[-1.235 -1.235 -1.235 … ]]", "all -1.235"),
        (np.arange(8.0), "[0 1 2 … ]", "mean 3.5, 0 to 7"),
        (np.full(9, np.nan), "[nan nan nan … ]", "9 nan"),
        (np.arange(9) > 4, "[False False False … ]", "4 of 9 true"),
        (np.full(7, 3 + 4j), "[3+4j 3+4j 3+4j … ]", "all 5"),
        (np.arange(7, dtype=np.uint8), "[0 1 2 … ]", "mean 3, 0 to 6"),
    ],
)
def test_arrays(x, text, statistics):
    assert summary.array(x) == text
    assert summary.statistics(x) == statistics


def test_an_array_of_ten_million_costs_no_copy_of_itself():
    x = np.broadcast_to(np.float32(2.0), (10_000, 1_000))  # four bytes in truth
    assert summary.array(x) == "[[2 2 2 … ]]"
    assert summary.spread(x) == "all 2"


@given(st.text(), st.integers(1, 40))
def test_shortened_text_fits(text, limit):
    short = summary.shorten(text, limit)
    assert summary.width(short) <= limit
    assert short == text or short.endswith("…")


@given(st.text(st.characters()))
def test_printable_text_is_printable_and_encodable(text):
    shown = summary.printable(text)
    shown.encode("utf-8")
    assert shown.isprintable()
    assert not set(shown) & set("\u2028\u2029\u202e\u200b\x00\x1b\n\t")


def test_constants_that_are_no_numbers():
    assert summary.constant(np.array(["a"])) == "array(['a'], dtype='<U1')"
    assert len(summary.constant("x" * 10**6)) <= 40
