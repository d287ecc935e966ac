"""Arrays as sets: which elements stay, the data say; those have a derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand
from chainrule.numpy.manipulation import concatenate, ravel
from chainrule.numpy.rearranging import take
from chainrule.value import current


def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, *, equal_nan: bool = True, sorted: bool = True,
) -> Any:  # fmt: skip
    """The distinct elements, each the first of its kind; what is returned beside them is plain."""
    plain: Any = np.unique  # its stubs know no booleans that are not written out
    found = plain(current(ar), True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    _, first, *more = found
    y = take(ar, first, axis)
    return (y, *([first] if return_index else []), *more) if return_index or more else y


def unique_values(x: Any, /) -> Any:
    return unique(x, equal_nan=False)


def unique_counts(x: Any, /) -> Any:
    return np.unique_counts(current(x))._replace(values=unique_values(x))


def unique_inverse(x: Any, /) -> Any:
    return np.unique_inverse(current(x))._replace(values=unique_values(x))


def unique_all(x: Any, /) -> Any:
    return np.unique_all(current(x))._replace(values=unique_values(x))


# -------------------------------------------------------------------- of two arrays


def _found(found: Any, *arrays: Any) -> Any:
    """What NumPy found among the elements, as these elements: of equal ones the first."""
    every = concatenate([ravel(as_operand(a)) for a in arrays])
    data = current(every)
    order = np.argsort(data, kind="stable")
    return take(every, order[np.searchsorted(data[order], found)])


def union1d(ar1: Any, ar2: Any) -> Any:
    return _found(np.union1d(current(as_operand(ar1)), current(as_operand(ar2))), ar1, ar2)


def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    found = np.intersect1d(
        current(as_operand(ar1)), current(as_operand(ar2)), assume_unique, return_indices=True
    )
    y = take(as_operand(ar1), found[1])
    return (y, *found[1:]) if return_indices else y


def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    return _found(np.setdiff1d(current(as_operand(ar1)), current(as_operand(ar2)), assume_unique), ar1)


def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    return _found(np.setxor1d(current(as_operand(ar1)), current(as_operand(ar2)), assume_unique), ar1, ar2)
