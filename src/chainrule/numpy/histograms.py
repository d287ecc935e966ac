"""Histograms: counts are plain numbers, sums of weights have a derivative in these."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.numpy.arguments import as_operand, shape_of
from chainrule.numpy.elementwise import astype, where
from chainrule.numpy.manipulation import ravel
from chainrule.numpy.reductions import sum
from chainrule.rules import shape as sh
from chainrule.value import Value, current


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Counts are plain integers; sums of weights have a derivative in these."""
    if type(weights) is not Value:
        return np.bincount(current(x), weights, minlength)
    plain = np.bincount(current(x), current(weights), minlength)  # checks everything
    return sh.scatter(astype(weights, plain.dtype), index=np.array(x), shape=plain.shape)


def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any]:
    """Counts and edges are plain; sums of weights have a derivative in these."""
    a, bins = current(as_operand(a)), current(as_operand(bins))
    plain, edges = np.histogram(a, bins, range, density, current(weights))
    if type(weights) is not Value:
        return plain, edges
    if shape_of(weights) != np.shape(a):
        raise ValueError(
            f"histogram: weights have shape {shape_of(weights)}, expected that of a, {np.shape(a)}"
        )
    return _sums(np.ravel(a)[:, None], ravel(weights), [edges], density), edges


def _sums(sample: Any, weights: Any, edges: Any, density: Any) -> Any:
    """The weights of what lies between edges, those of the last bin both inclusive."""
    shape = tuple(len(e) - 1 for e in edges)
    inside, places = np.ones(len(sample), bool), []
    for k, e in enumerate(edges):
        x, n = sample[:, k], len(e) - 1
        place = np.where(x == e[-1], n - 1, np.searchsorted(e, x, "right") - 1)
        inside = inside & (place >= 0) & (place < n)
        places.append(np.clip(place, 0, n - 1))
    sums = sh.scatter(where(inside, weights, 0.0), index=tuple(places), shape=shape)
    if not density:
        return sums
    for k, e in enumerate(edges):
        sums = sums / np.diff(e).reshape(tuple(-1 if i == k else 1 for i, _ in enumerate(shape)))
    return sums / sum(where(inside, weights, 0.0))


def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any]:
    """Counts and edges are plain; sums of weights have a derivative in these."""
    if isinstance(sample, list | tuple):  # one coordinate each
        sample = np.stack([np.ravel(current(as_operand(x))) for x in sample], -1)
    sample = current(sample)
    bins = [current(b) for b in bins] if isinstance(bins, list | tuple) else current(bins)
    if type(weights) is not Value:
        return np.histogramdd(sample, bins, range, density, current(weights))
    _, edges = np.histogramdd(sample, bins, range)
    weights = astype(weights, np.float64)
    return _sums(np.reshape(sample, (len(sample), -1)), weights, edges, density), edges


def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any, Any]:
    """Counts and edges are plain; sums of weights have a derivative in these."""
    if not np.isscalar(bins) and len(bins) not in (1, 2):
        bins = [bins, bins]  # edges for both
    sums, edges = histogramdd([x, y], bins, range, density, weights)
    return sums, edges[0], edges[1]
