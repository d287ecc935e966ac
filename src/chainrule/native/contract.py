"""Contractions: products of matrices with what is added to them folded in.

``base + scale · (a @ b)`` is one product, which adds to what is there: a weight's update needs
no gradient in memory. The pass runs after simplification, when it is known who else uses a product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from chainrule.native.reference import order
from chainrule.native.simplify import with_inputs
from chainrule.traced import Traced

__all__ = ["contract"]


def contract(roots: Sequence[Traced]) -> list[Traced]:
    """Fold additions into products that nobody else uses: nodes ``gemm`` of (a, b, base, scale)."""
    nodes = order(roots)
    uses = Counter(i for x in nodes for i in x.inputs)
    uses.update(roots)
    new: dict[Traced, Traced] = {}
    for x in nodes:
        found = _accumulation(x, uses)
        if found is None:
            new[x] = with_inputs(x, tuple([new[i] for i in x.inputs]))
        else:
            product, base, scale, sign = found
            inputs = tuple([new[i] for i in (*product.inputs, base, *([] if scale is None else [scale]))])
            new[x] = Traced(x.origin, "gemm", inputs, x.shape, x.dtype, False, {"sign": sign})
    return [new[r] for r in roots]


def _accumulation(x: Traced, uses: Counter[Traced]) -> tuple[Traced, Traced, Traced | None, float] | None:
    """``x`` as base ± scale · product, if it is one."""
    if x.op not in ("add", "subtract") or x.ndim != 2:
        return None
    a, b = x.inputs
    for base, term in ((a, b), (b, a)) if x.op == "add" else ((a, b),):
        if base.shape != x.shape or uses[term] != 1 or base is term:
            continue
        scale, product = None, term
        if term.op == "multiply":
            for s, p in (term.inputs, term.inputs[::-1]):
                if s.shape == () and p.op == "matmul":
                    scale, product = s, p
        factor = scale.params["value"] if scale is not None and scale.op == "constant" else 1.0
        if not (factor and np.isfinite(factor)):  # BLAS may skip 0 · nan
            continue
        if product.op == "matmul" and product.shape == x.shape and uses[product] == 1 and min(x.shape) > 1:
            return product, base, scale, 1.0 if x.op == "add" else -1.0
    return None
