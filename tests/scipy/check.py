"""What holds for a function of `chainrule.scipy`: SciPy's numbers, both modes, the same when compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optree

import chainrule as cr
from chainrule import Value


def parts(tree: Any) -> list[Any]:
    return [x for x in optree.tree_leaves(tree) if not isinstance(x, bool)]  # type: ignore[arg-type]


def like_scipy(f: Callable[..., Any], ours: Any, theirs: Any, *point: Any, rtol: float = 1e-12) -> None:
    """``f(module, *point)`` is what SciPy gives, of arrays and of Values, and twice differentiable."""
    want = parts(f(theirs, *point))
    for got in (f(ours, *point), f(ours, *map(Value, point))):
        for a, b in zip(parts(got), want, strict=True):
            a, b = np.asarray(cr.data(a)), np.asarray(b)
            assert (a.shape, a.dtype.kind) == (b.shape, b.dtype.kind)
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    differentiable = [i for i, x in enumerate(point) if np.asarray(x).dtype.kind in "fc"]
    assert len(differentiable) == len(point)
    cr.check_grads(lambda *x: f(ours, *x), point, order=2, rtol=1e-7, atol=1e-7)

    def gradient(*x: Any) -> Any:
        return cr.vjp(lambda *x: sum(np.sum(np.real(y * y)) for y in parts(f(ours, *x))), *x)[1](1.0)

    for a, b in zip(cr.compile(gradient)(*point), gradient(*point), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
