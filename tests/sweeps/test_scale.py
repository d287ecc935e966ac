"""A million nodes: built, swept and freed in linear time, without recursion, cycles or waste.

Each shape runs in a process of its own, with the cyclic collector off, in a thread with a quarter of a
megabyte of stack and hardly any recursion allowed: what recurses anywhere, in Python or in C, dies.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value

SHAPES = {
    "chain": """
        def build(x, n):
            y = x
            for _ in range(n):
                y = y * 0.9999999
            return y
        """,
    "fan-out": """
        def build(x, n):
            y = x * 0.5
            for _ in range(n // 2):
                y = y + x * 0.5
            return y
        """,
    "fan-out kept in a list": """
        def build(x, n):
            ys = [x * 0.5 for _ in range(n // 2)]
            y = ys[0]
            for v in ys[1:]:
                y = y + v
            return y
        """,
}
WORK = """
import gc, json, sys, threading, time, tracemalloc
from chainrule import Value

def values():
    return sum(type(o) is Value for o in gc.get_objects())

def work():
    gc.collect()
    gc.disable()
    out = {}
    n = 125_000  # an eighth: the sweep's tables are filled as they are at a million
    tracemalloc.start()
    x = Value(1.0)
    start = tracemalloc.get_traced_memory()[0]
    y = build(x, n)
    y.backward()
    out["bytes"] = (tracemalloc.get_traced_memory()[1] - start) / n
    del x, y
    tracemalloc.stop()

    n, before = 1_000_000, values()
    x, times = Value(1.0), [time.process_time()]
    y = build(x, n)
    times.append(time.process_time())
    y.backward()
    times.append(time.process_time())
    out["grad"], out["data"], out["built"] = x.grad, y.data, values() - before
    times.append(time.process_time())
    del y
    times.append(time.process_time())
    del x
    out["retained"] = values() - before
    out["seconds"] = [times[1] - times[0], times[2] - times[1], times[4] - times[3]]
    print(json.dumps(out))

sys.setrecursionlimit(150)
threading.stack_size(256 * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_million_nodes(shape):
    code = textwrap.dedent(SHAPES[shape]) + WORK
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    out = json.loads(done.stdout)
    assert out["built"] >= 1_000_000
    assert out["retained"] == 0
    assert out["grad"] == pytest.approx(out["data"], rel=1e-6)  # every shape here is linear in x, at x = 1
    assert out["bytes"] <= 400
    assert max(out["seconds"]) <= 5  # of the processor's time, as a machine may be busy


def test_a_deep_graph_is_differentiated_in_every_way_without_recursion():
    """Ten thousand steps, ten times what Python's stack allows."""

    def f(x):
        y = x
        for _ in range(10_000):
            y = y * 1.0001
        return np.sum(y * y)

    for x in (0.5, np.array([0.5])):
        want = f(x) / 0.5 * 2
        assert cr.grad(f)(x) == pytest.approx(want, rel=1e-9)
        assert cr.jvp(f, (x,), (x * 0 + 1,))[1] == pytest.approx(want, rel=1e-9)
        assert cr.grad(lambda x: np.sum(cr.grad(f)(x)))(x) == pytest.approx(want / 0.5, rel=1e-9)
        assert cr.hvp(f, x, x * 0 + 1) == pytest.approx(want / 0.5, rel=1e-9)


def test_graphs_are_freed_by_reference_counting_alone():
    """Derivatives of every kind, and of every family of primitives, leave no Value behind."""

    def count():
        return sum(type(o) is Value for o in gc.get_objects())

    def f(x):
        h = np.tanh(x @ x) + np.where(x > 0, np.exp(x), 0.0)
        return np.sum(h * np.max(h)) + np.prod(x) + np.linalg.norm(x) + np.std(x)

    A = np.random.default_rng(0).normal(size=(3, 3))
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        before = count()
        for _ in range(3):
            cr.grad(f)(A)
            cr.hessian(f)(A)
            cr.jvp(cr.grad(f), (A,), (A,))
            value, pull = cr.vjp(f, A)
            pull(1.0)
            del value, pull
            x = Value(A)
            y = f(x)
            y.backward()
            g = cr.grad(lambda a, x=x: f(a * x))(A)
            np.sum(g).backward()
            del x, y, g
            assert count() == before
    finally:
        if enabled:
            gc.enable()
