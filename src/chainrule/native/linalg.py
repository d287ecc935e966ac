"""Functions of `numpy.linalg` whose results' shapes and dtypes a trial on matrices of ones does not show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.native.operations import call


def eig(a: Any) -> Any:
    """As in NumPy 2.5 complex whatever the numbers: a program has to know the dtype before them."""
    found = np.linalg.eig(a)
    kind = np.result_type(a, np.complex64)
    return type(found)(found[0].astype(kind), found[1].astype(kind))


def eigvals(a: Any) -> Any:
    """The eigenvalues of `eig`."""
    return np.linalg.eigvals(a).astype(np.result_type(a, np.complex64))


def _tensorinv_of(a: Any, ind: int = 2) -> Any:
    return np.zeros(a.shape[ind:] + a.shape[:ind], np.result_type(a, np.float32))


def _tensorsolve_of(a: Any, b: Any, axes: Any = None) -> Any:
    if axes is not None:
        a = np.moveaxis(a, axes, range(a.ndim - len(axes), a.ndim))
    return np.zeros(a.shape[np.ndim(b) :], np.result_type(a, b, np.float32))


LINALG: dict[Callable[..., Any], Callable[..., Any]] = {
    np.linalg.eig: lambda a: call(eig, (a,), {}),
    np.linalg.eigvals: lambda a: call(eigvals, (a,), {}),
    np.linalg.tensorinv: lambda *a, **k: call(np.linalg.tensorinv, a, k, trial=_tensorinv_of),
    np.linalg.tensorsolve: lambda *a, **k: call(np.linalg.tensorsolve, a, k, trial=_tensorsolve_of),
}
