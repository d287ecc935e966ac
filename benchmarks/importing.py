"""What ``import chainrule`` takes beyond NumPy's own import; of both there is byte code."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.timing import Row, child

IMPORT = """
import json, time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import chainrule
print(json.dumps({"beyond": time.perf_counter() - middle, "numpy": middle - start}))
"""


def run() -> Iterator[Row]:
    child(IMPORT)  # writes the byte code
    runs = [child(IMPORT) for _ in range(9)]
    beyond = statistics.median(r["beyond"] for r in runs)
    yield Row("import chainrule, beyond numpy's own", beyond, "s", 0.1)
    yield Row("the same / numpy's own", beyond / statistics.median(r["numpy"] for r in runs), "×")
