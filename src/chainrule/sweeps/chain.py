"""A product of Jacobians: its factors' shapes, and what multiplying them costs in each order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Order", "orders"]

_ALL = 4  # factors: up to these every order is listed


class Order(NamedTuple):
    """One order of multiplying.

    Attributes
    ----------
    multiplications : int
    factors : str
        With parentheses: ``(A·B)·C``.
    name : str
        ``reverse`` from the output's side on, as the adjoint sweep goes; ``forward`` from the
        input's, as the tangent sweep; else ``cheapest``, ``dearest`` or nothing.
    """

    multiplications: int
    factors: str
    name: str


def orders(sizes: Sequence[int], letters: Sequence[str]) -> list[Order]:
    """The orders in which a chain of matrices can be multiplied, the cheapest first.

    A matrix of m×k and one of k×n take m·k·n multiplications. Of up to four factors all orders are
    listed, of more the two sweeps', the cheapest and the dearest, which takes the cube of their
    number.

    Parameters
    ----------
    sizes : sequence of int
        ``m, k, …, n``: factor i is ``sizes[i] × sizes[i + 1]``.
    letters : sequence of str
        What to call the factors.

    Examples
    --------
    >>> for order in orders([1, 10, 50, 50], "ABC"):
    ...     print(*order)
    3000 (A·B)·C reverse
    25500 A·(B·C) forward
    """
    n = len(letters)
    left, right = _one_by_one(sizes, letters, n)
    if n < 3:
        return [left]
    found = _spans(sizes, letters, n)
    named = {left.factors: left, right.factors: right}
    for (cost, text), name in zip((found[:1] + found[-1:]), ("cheapest", "dearest")):
        if n > _ALL:
            named.setdefault(text, Order(cost, text, name))
    for cost, text in found if n <= _ALL else []:
        named.setdefault(text, Order(cost, text, ""))
    return sorted(named.values(), key=lambda o: o.multiplications)


def _one_by_one(sizes: Sequence[int], letters: Sequence[str], n: int) -> tuple[Order, Order]:
    """From the left, and from the right."""
    reverse = sum(sizes[0] * sizes[i] * sizes[i + 1] for i in range(1, n))
    forward = sum(sizes[i] * sizes[i + 1] * sizes[n] for i in range(n - 1))
    left, right = letters[0], letters[-1]
    for i in range(1, n):
        left = f"{left if i == 1 else f'({left})'}·{letters[i]}"
        right = f"{letters[-1 - i]}·{right if i == 1 else f'({right})'}"
    return Order(reverse, left, "reverse"), Order(forward, right, "forward")


def _spans(sizes: Sequence[int], letters: Sequence[str], n: int) -> list[tuple[int, str]]:
    """Every order of each stretch of factors, or of many factors its cheapest and its dearest."""
    spans: dict[tuple[int, int], list[tuple[int, str]]] = {(i, i + 1): [(0, letters[i])] for i in range(n)}
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length
            every = [
                (a + b + sizes[i] * sizes[k] * sizes[j], i, k, j, s, t)
                for k in range(i + 1, j)
                for a, s in spans[i, k]
                for b, t in spans[k, j]
            ]
            every.sort(key=lambda x: x[0])
            kept = every if n <= _ALL else [every[0], every[-1]]
            spans[i, j] = [
                (cost, f"{s if k == i + 1 else f'({s})'}·{t if j == k + 1 else f'({t})'}")
                for cost, i, k, j, s, t in kept
            ]
    return spans[0, n]
