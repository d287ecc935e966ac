"""Roots of polynomials."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.primitives import Special, raw
from chainrule.rules.shape import getitem


def horner(p: Any, x: Any) -> Any:
    """The polynomial's value, by Horner's scheme; highest power first."""
    y = x * 0.0
    for i in range(np.shape(raw(p))[0]):
        y = y * x + getitem(p, i)
    return y


def _push(ts: Any, y: Any, p: Any) -> Any:
    """``dr = -dp(r) / p'(r)``, of p(r) = 0. Leading zeros are roots at infinity, which are left out."""
    n = np.shape(raw(p))[0]
    slope = horner(getitem(p, slice(None, -1)) * np.arange(n - 1, 0, -1), y)
    return -horner(ts[0], y) / slope


roots = Special(np.roots, _push, name="roots")
