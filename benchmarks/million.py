"""A chain and a fan-out of a million scalar nodes: build, sweep back, free, without the cyclic collector.

Memory is the peak that Linux keeps for a process (``VmHWM``), so this one runs on Linux alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.timing import Row, child

GRAPH = r"""
import gc, json, re, sys, time
from chainrule import Value
gc.disable()
shape, n = json.loads(sys.argv[1])["shape"], 1_000_000
resident = lambda key: int(re.search(key + r":\s*(\d+)", open("/proc/self/status").read())[1]) * 1024
alive = lambda: len(gc.get_objects())

before, memory, start = alive(), resident("VmRSS"), time.perf_counter()
x = Value(1.0)
if shape == "chain":
    y, nodes = x, n
    for _ in range(n):
        y = y + 1e-6
else:
    y, nodes = sum(x * 1.0 for _ in range(n // 2)), 2 * (n // 2)
built = time.perf_counter()
y.backward()
swept = time.perf_counter()
memory = resident("VmHWM") - memory  # the peak beyond what there was before
assert x.grad == (1.0 if shape == "chain" else n // 2)
done = time.perf_counter()
del y
freed = time.perf_counter()
print(json.dumps({"build": built - start, "backward": swept - built, "free": freed - done,
                  "bytes": memory / nodes, "retained": alive() - before - 2}))
"""


def run() -> Iterator[Row]:
    for shape in ("chain", "fan-out"):
        got = child(GRAPH, shape=shape)
        work = f"{shape} of 1,000,000 scalar nodes"
        for step in ("build", "backward", "free"):
            yield Row(f"{work}: {step}", got[step], "s", 5)
        yield Row(f"{work}: memory at its peak, for each node", got["bytes"], "bytes", 400)
        yield Row(f"{work}: objects left behind", max(got["retained"], 0), "", 100)
