"""A matrix product as LLVM IR: the kernel of one's own where one thread does it, BLAS where several may."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule.native import blas
from chainrule.native.elementwise import is_number
from chainrule.native.emit import ATTRIBUTES
from chainrule.native.machine import host
from chainrule.native.memory import Storage
from chainrule.native.product import ALONE, STACK, Level, product
from chainrule.native.team import Team
from chainrule.native.text import MEMORY, Writer
from chainrule.traced import Traced

if TYPE_CHECKING:
    from chainrule.native.part import Part

__all__ = ["emit_matmul"]


def emit_matmul(part: Part, name: str, x: Traced) -> list[str]:
    """``matmul`` or ``gemm`` of ``part``: a loop over the stack, its axes joined where they can be."""
    a, b, *added = x.inputs
    va, vb = part.views.view(a), part.views.view(b)
    assert va is not None and vb is not None
    scale = added[1] if len(added) > 1 else None
    used = [va.base, vb.base, x]
    if scale is not None and not is_number(scale):
        used.append(part.views.view(scale).base)  # type: ignore[union-attr]
    places, names = part.places(dict.fromkeys(used))
    w = Writer()
    alpha: float | str = x.params["sign"] if added else 1.0
    if scale is not None:
        alpha = _scale(part, w, scale, places, x.params["sign"])
    before = []
    if added:
        base = part.at(added[0])
        before = part.copy(f"{name}b", base, part.memory.storage[x], x.nbytes)
    m, k = a.shape[-2:]
    n = b.shape[-1]
    batch = x.shape[:-2]
    sa = [0] * (len(batch) - (a.ndim - 2)) + [
        0 if d == 1 else s for d, s in zip(a.shape[:-2], va.strides[:-2], strict=True)
    ]
    sb = [0] * (len(batch) - (b.ndim - 2)) + [
        0 if d == 1 else s for d, s in zip(b.shape[:-2], vb.strides[:-2], strict=True)
    ]
    ra, ca = va.strides[-2:]
    rb, cb = vb.strides[-2:]
    # one product for the whole stack, where b is the same for all and a's rows follow each other
    while batch and sb[-1] == 0 and (sa[-1] == m * ra or batch[-1] == 1) and (ca == 1 or k == 1):
        m, batch, sa, sb = m * batch[-1], batch[:-1], sa[:-1], sb[:-1]
    ta = not (ca == 1 or k == 1) or (m > 1 and ra < k and k > 1)
    tb = not (cb == 1 or n == 1) or (k > 1 and rb < n and n > 1)
    lda, ldb = max(ca if ta else ra, 1), max(cb if tb else rb, 1)
    beta = 1.0 if added else 0.0
    counters: list[str] = []
    bits = host().vector_bits
    element = MEMORY[x.dtype.char]
    here = 0 < k * 3 * bits // 8 <= STACK and m * n > 0
    shared = here and m * n * k > ALONE and not part.name  # several threads are BLAS's business
    if shared:
        team = part.shared.team = part.shared.team or Team(part.shared.entries)
        part.shared.entries = max(part.shared.entries, team.entry + 1)
        names["%team"] = Storage(team.entry)
        w.line("%threads = load i64, ptr %team")

    def emit() -> None:
        if len(counters) < len(batch):
            with w.loop(batch[len(counters)]) as i:
                counters.append(i)
                emit()
                counters.pop()
            return
        ia = w.index(list(zip(counters, sa, strict=True)), va.offset + places[va.base][1])
        ib = w.index(list(zip(counters, sb, strict=True)), vb.offset + places[vb.base][1])
        sizes = [math.prod(x.shape[i + 1 :]) for i in range(len(batch))]
        ic = w.index(list(zip(counters, sizes, strict=True)), places[x][1])
        pa = w.set(f"getelementptr {element}, ptr {places[va.base][0]}, i64 {ia}")
        pb = w.set(f"getelementptr {element}, ptr {places[vb.base][0]}, i64 {ib}")
        pc = w.set(f"getelementptr {element}, ptr {places[x][0]}, i64 {ic}")
        call = blas.gemm(x.dtype, m, n, k, pa, lda, ta, pb, ldb, tb, pc, n, alpha, beta).strip()
        if not here:
            w.line(call)
            return
        inner, left, right = [Level(k, ca, rb)], (pa, ra), (pb, cb)
        if shared:
            with w.when(w.set("icmp sgt i64 %threads, 1")):
                w.line(call)
            with w.when(w.set("icmp sle i64 %threads, 1")):
                product(w, element, bits, (m, n), inner, left, right, (pc, n), alpha, bool(added))
        else:
            product(w, element, bits, (m, n), inner, left, right, (pc, n), alpha, bool(added))

    if x.size:  # loops go round at least once
        emit()
    parameters = ", ".join(f"ptr noalias {p}" for p in names)
    part.module.add(name, w.text(name, parameters, ATTRIBUTES))
    part.module.declared |= w.declared
    return [*before, *part.call(name, names, scratch=False)]


def _scale(
    part: Part, w: Writer, scale: Traced, places: dict[Traced, tuple[str, int]], sign: float
) -> float | str:
    """The factor of a product: a number, or the name of one."""
    if is_number(scale):
        return sign * float(scale.params["value"])
    view = part.views.view(scale)
    assert view is not None
    base, first = places[view.base]
    kind = MEMORY[scale.dtype.char]
    at = w.set(f"getelementptr {kind}, ptr {base}, i64 {first + view.offset}")
    value = w.set(f"load {kind}, ptr {at}")
    return value if sign == 1 else w.set(f"fneg {kind} {value}")
