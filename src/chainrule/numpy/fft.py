"""The namespace ``fft``: NumPy's own functions, which know Values, and frequencies that are constants."""

from typing import Any

import numpy as np

from chainrule.numpy.creation import frequencies

__all__ = list(np.fft.__all__)

globals().update({name: getattr(np.fft, name) for name in __all__})
fftfreq, rfftfreq = frequencies(np.fft.fftfreq), frequencies(np.fft.rfftfreq)


def __getattr__(name: str) -> Any:
    return getattr(np.fft, name)
