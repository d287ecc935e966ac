"""`chainrule.scipy.signal` beside `scipy.signal`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal

from chainrule import Value
from chainrule.scipy import signal
from tests.scipy.check import like_scipy

rng = np.random.default_rng(4)
SHAPES = [
    ((5,), (3,)),
    ((2,), (4,)),
    ((3, 4), (2, 3)),
    ((2, 2), (3, 4)),
    ((2, 3, 3), (2, 1, 2)),
    ((4,), (1,)),
]
MODES = ["full", "same", "valid"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("method", ["auto", "direct", "fft"])
def test_like_scipy(name: str, mode: str, method: str) -> None:
    for x, y in SHAPES:

        def f(s: Any, a: Any, b: Any) -> Any:
            return getattr(s, name)(a, b, mode, method)

        like_scipy(f, signal, scipy.signal, rng.normal(size=x), rng.normal(size=y))
    like_scipy(f, signal, scipy.signal, rng.normal(size=3) + 1j, rng.normal(size=2) * (1 + 1j))


@pytest.mark.parametrize("mode", MODES)
def test_fftconvolve(mode: str) -> None:
    for x, y in SHAPES:
        like_scipy(lambda s, a, b: s.fftconvolve(a, b, mode), signal, scipy.signal, rng.normal(size=x),
                   rng.normal(size=y))  # fmt: skip
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(1, 2))
    like_scipy(lambda s, a, b: s.fftconvolve(a, b, mode, axes=1), signal, scipy.signal, a, b)
    like_scipy(lambda s, a, b: s.fftconvolve(a, b, mode), signal, scipy.signal, a * 1j, b)


def test_nothing() -> None:
    for f in (signal.convolve, signal.correlate, signal.fftconvolve):
        assert f(Value(np.zeros(0)), Value(np.ones(3))).shape == (0,)


x = Value(np.ones((2, 3)))
ERRORS: dict[str, Any] = {
    "convolve: in1 is (2, 3), in2 is (3,); expected equally many axes": lambda: signal.convolve(
        x, np.ones(3)
    ),
    "correlate: mode is 'wild', expected 'full'": lambda: signal.correlate(x, x, "wild"),
    "convolve: method is 'wild', expected 'auto'": lambda: signal.convolve(x, x, method="wild"),
    "convolve: in1 is (2, 3), in2 is (3, 2); with mode='valid'": lambda: signal.convolve(x, x.T, "valid"),
    "fftconvolve: in1 is (2, 3), in2 is (3, 2); axis 0": lambda: signal.fftconvolve(x, x.T, axes=1),
}


@pytest.mark.parametrize("said", ERRORS)
def test_the_error_names_what_was_wrong(said: str) -> None:
    with pytest.raises(ValueError) as error:
        ERRORS[said]()
    assert str(error.value).startswith(said)
