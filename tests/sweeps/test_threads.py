"""Derivatives in several threads at once: every level keeps to itself."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import Value
from tests.hard import row

# Each time twelve numbers in each of eight threads: 28,800, and nightly more than 100,000.
THREADS, TIMES = 8, 1_600 if os.environ.get("CHAINRULE_NIGHTLY") else 300


def nested(k: float) -> list[float]:
    """Derivatives within derivatives, with every operator, of arrays written to; all numbers are exact."""
    D = cr.grad
    _, pull = cr.vjp(lambda x: k * x * x, 3.0)
    _, lin = cr.linearize(lambda x: k * x * x, 3.0)
    leaf = Value(k)
    y = leaf * leaf + leaf
    y.backward()
    v = np.array([k, 1.0])

    def written(x: Any) -> Any:  # into a view, at places that repeat, and back again
        y = 2 * x
        y[::-1][:1] = x[:1] * x[1:]
        y += x
        np.add.at(y, [0, 0], x[1])
        return np.sum(y * y)

    # y = (3 a + 2 b, a b + b)
    first, second = 3 * k + 2, k + 1
    return [
        D(lambda x: x * D(lambda y: x * y * k)(2.0))(3.0) - 6 * k,
        D(lambda h: D(lambda x: k * (x + h) ** 3)(2.0))(0.0) - 12 * k,
        D(lambda x: cr.jvp(lambda y: x * y * y, (x,), (k,))[1])(3.0) - 12 * k,
        cr.jvp(D(lambda x: k * x**3), (2.0,), (1.0,))[1] - 12 * k,
        pull(1.0)[0] - 6 * k,
        lin(1.0) - 6 * k,
        leaf.grad - 2 * k - 1,
        float(np.sum(cr.hessian(lambda x: np.sum(x * x) * x[0])(v))) - (8 * k + 4),
        *(D(written)(v) - [6 * first + 2 * second, 4 * first + 2 * (k + 1) * second]),
        *(cr.jvp(D(written), (v,), (np.array([1.0, 0.0]),))[1] - [20, 12 + 4 * second]),
    ]


@row(36)
def test_nested_derivatives_in_eight_threads_at_the_shortest_switch_interval():
    wrong, done = [], []
    start = threading.Barrier(THREADS)

    def work(k):
        try:
            start.wait()
            for i in range(TIMES):
                errors = nested(float(k + i % 7))
                if any(errors):
                    wrong.append((k, i, errors))
            done.append(k)
        except BaseException as error:
            wrong.append(error)
            raise

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(THREADS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert sorted(done) == list(range(THREADS))
