"""Contractions: products with what is added to them folded in.

``base + scale · (a @ b)`` is one product, which adds to what is there: a weight's update needs
no gradient in memory. ``a · b + c`` of numbers is rounded once. It is decided here, and not left to LLVM, so
that what is computed in two places is the same number in both: a minimum finds itself among what it was
taken from. The pass runs after simplification, when it is known who else uses a product.
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
    """Fold additions into products that nobody else uses.

    They become nodes ``gemm`` of (a, b, base, scale) and ``multiply_add`` of (a, b, c).
    """
    nodes = order(roots)
    uses = Counter(i for x in nodes for i in x.inputs)
    uses.update(roots)
    new: dict[Traced, Traced] = {}
    for x in nodes:
        if (gemm := _accumulation(x, uses)) is not None:
            product, base, scale, sign = gemm
            inputs = tuple([new[i] for i in (*product.inputs, base, *([] if scale is None else [scale]))])
            new[x] = Traced(x.origin, "gemm", inputs, x.shape, x.dtype, False, {"sign": sign})
        elif (numbers := _multiply_add(x, uses)) is not None:
            product, term, minus = numbers
            inputs = tuple([new[i] for i in (*product.inputs, term)])
            new[x] = Traced(x.origin, "multiply_add", inputs, x.shape, x.dtype, x.weak, {"minus": minus})
        else:
            new[x] = with_inputs(x, tuple([new[i] for i in x.inputs]))
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


def _multiply_add(x: Traced, uses: Counter[Traced]) -> tuple[Traced, Traced, str] | None:
    """``x`` as a · b + c: the product, c, and which of the two is subtracted."""
    if x.op not in ("add", "subtract") or x.dtype.char not in "fd":
        return None
    a, b = x.inputs
    for product, term, minus in ((a, b, "term"), (b, a, "product")):
        if product.op == "multiply" and product.shape == x.shape and uses[product] == 1:
            return product, term, minus if x.op == "subtract" else ""
    return None
