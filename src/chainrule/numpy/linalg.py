"""The namespace ``linalg``: NumPy's own functions, which know Values."""

from typing import Any

import numpy as np

__all__ = list(np.linalg.__all__)

globals().update({name: getattr(np.linalg, name) for name in __all__})


def __getattr__(name: str) -> Any:
    return getattr(np.linalg, name)
