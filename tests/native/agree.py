"""What "compiled equals eager" means: containers, kinds, special values, and numbers up to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import optree

from chainrule import Value

NUMBERS = (float, int, bool, complex)
WORDS = (str, type(None), np.dtype, type, tuple)


def kind(x: Any) -> Any:
    """Python number, or dtype and shape; a NumPy scalar is as good as an array without axes."""
    if type(x) is Value:
        return "Value", kind(x.data)
    if type(x) in NUMBERS or isinstance(x, WORDS):
        return type(x)
    return "array", np.asarray(x).dtype, np.shape(x)


def alike(got: Any, want: Any, strict: bool) -> bool:
    """Whether the kinds are equal; a Python number is as good as a NumPy scalar, unless ``strict``."""
    if kind(got) == kind(want):
        return True
    if strict:
        return False
    if Value in (type(got), type(want)):
        return type(got) is type(want) and alike(got.data, want.data, strict)
    return _scalar(got) is not None and _scalar(got) == _scalar(want)


def _scalar(x: Any) -> Any:
    return np.asarray(x).dtype if np.shape(x) == () and not isinstance(x, WORDS) else None


def leaves(x: Any) -> tuple[list[Any], Any]:
    return optree.tree_flatten(x, none_is_leaf=True)  # type: ignore[return-value]


def agree(
    got: Any,
    want: Any,
    ulp: float = 4,
    rtol: float = 0.0,
    what: str = "",
    scale: Any = 0.0,
    strict: bool = False,
    zeros: bool = True,
) -> None:
    """The same containers and kinds; nan, infinities and the signs of zeros equal; numbers near each other.

    Near is ``ulp`` units in the last place of the element (or of the ``scale``, where that is larger),
    or ``rtol`` of the array's largest.
    """
    (a, a_spec), (b, b_spec) = leaves(got), leaves(want)
    if a_spec != b_spec:
        raise AssertionError(f"{what}: structure {a_spec}, expected {b_spec}")
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        _agree(x, y, ulp, rtol, scale, strict, zeros, f"{what} [{i}]" if len(a) > 1 else what)


def _agree(
    got: Any, want: Any, ulp: float, rtol: float, scale: Any, strict: bool, zeros: bool, what: str
) -> None:
    if not alike(got, want, strict):
        raise AssertionError(f"{what}: {got!r} is {kind(got)}, expected {want!r}, {kind(want)}")
    a, b = (np.asarray(x.data if type(x) is Value else x) for x in (got, want))
    if b.dtype.kind == "c":
        for part, x, y in (("real", a.real, b.real), ("imaginary", a.imag, b.imag)):
            near = max(rtol, 4 * float(np.finfo(b.dtype).eps))
            _numbers(x, y, ulp, near, scale, f"{what}, {part} part", False)
    elif b.dtype.kind == "f":
        _numbers(a, b, ulp, rtol, scale, what, zeros and not rtol)
    elif not np.array_equal(a, b) if b.dtype != object else got != want:
        raise AssertionError(f"{what}: got {got!r}, expected {want!r}")


def _numbers(a: Any, b: Any, ulp: float, rtol: float, scale: Any, what: str, zeros: bool) -> None:
    finite = np.isfinite(b)
    wrong = ~finite & ~((a == b) | (np.isnan(a) & np.isnan(b)))
    wrong |= finite & ~np.isfinite(a)
    if zeros:
        wrong |= (a == 0) & (b == 0) & (np.signbit(a) != np.signbit(b))
    with np.errstate(all="ignore"):
        wide = np.float64 if b.dtype.itemsize < 8 else b.dtype
        size = np.where(finite, np.maximum(np.abs(b), scale), 1).astype(b.dtype)
        allowed = ulp * np.spacing(size).astype(wide)
        if rtol:
            allowed = allowed + rtol * np.max(np.abs(b[finite]), initial=1e-3)
        wrong |= finite & (np.abs(a.astype(wide) - b.astype(wide)) > allowed)
    if np.any(wrong):
        at = np.argwhere(wrong)[0] if wrong.ndim else ()
        x, y = a[tuple(at)], b[tuple(at)]
        with np.errstate(all="ignore"):
            far = abs(x - y) / np.spacing(abs(y))
        raise AssertionError(
            f"{what}: {np.sum(wrong)} of {wrong.size} differ, first at {tuple(map(int, at))}: got {x!r}, "
            f"expected {y!r} ({far:.3g} ulp)"
        )
