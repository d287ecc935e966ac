"""How many threads compiled programs use."""

from __future__ import annotations

import os
import sys

__all__ = ["threads"]

MOST = 1024

count = 0  # as set, or as found at the first question
chosen = False  # by `threads`, so SciPy's BLAS shall follow


def threads(n: int | None = None) -> int:
    """The number of threads that compiled programs may use, after setting it to ``n`` if given.

    Only what takes longer than starting threads is shared among them: loops over very many elements, and
    products of large matrices. At first there are as many threads as this process may use cores, or
    ``OMP_NUM_THREADS`` if that is less. The number holds for the whole process, for programs that are
    compiled already too, from their next call on.

    Parameters
    ----------
    n : int, optional
        From 1 to 1024; with 1 no thread is ever started.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If ``n`` is no integer.
    ValueError
        If ``n`` is out of range.

    Notes
    -----
    Sums over what several threads computed are added up in a fixed order: calls with the same setting give
    the same bits. With another number of threads the last bits of a sum may differ.

    With several threads large matrix products are BLAS's, with one they are the program's own. ``n`` goes
    to that BLAS too, which is SciPy's: functions of `scipy.linalg` use as many. Until one is set, BLAS
    keeps its own.

    Examples
    --------
    >>> import chainrule as cr
    >>> before = cr.threads()
    >>> cr.threads(1)
    1
    >>> cr.threads(before) == before
    True
    """
    global count, chosen
    if n is None:
        count = count or _available()
        return count
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"threads: n is a {type(n).__name__}, expected an int")
    if not 1 <= n <= MOST:
        raise ValueError(f"threads: n is {n}, expected 1 to {MOST}")
    count, chosen = n.__index__(), True
    blas = sys.modules.get("chainrule.native.blas")
    if blas is not None:  # else it asks when it is imported
        blas.set_threads(count)
    return count


def _available() -> int:
    """The cores that this process may use, or fewer where OpenMP's variable says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return max(1, min(cores, int(wanted) if wanted.isdecimal() and int(wanted) else cores, MOST))
