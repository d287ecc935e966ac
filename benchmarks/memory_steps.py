"""How much memory training steps take beyond model and data, each in a process of its own (Linux alone).

Measured is the growth of what is resident, at its peak (``VmHWM``), since model and data were made: in five
steps after the first, and in all six, where the first one compiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks import compiled_mlp, examples
from benchmarks.timing import Row, child

STEPS = r"""
import ctypes, gc, json, os, re, sys, tempfile
from importlib import import_module
a = json.loads(sys.argv[1])
kept = tempfile.TemporaryDirectory()
os.environ["CHAINRULE_CACHE"] = kept.name  # nothing compiled before
step = getattr(import_module("benchmarks." + a["module"]), a["who"])(**a["case"])
if a["who"] == "with_torch":  # libraries load what they load with a first program: that is no step's memory
    import torch
    torch.ones(2, requires_grad=True).sum().backward()
else:
    import numpy, chainrule
    chainrule.compile(chainrule.grad(lambda x: numpy.sum(x * x)))(numpy.ones(2))
resident = lambda key: int(re.search(key + r":\s*(\d+)", open("/proc/self/status").read())[1]) * 1024

def tidy():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else what was freed stays resident, and is used again unseen

def peak(steps):
    tidy()
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins again at what is resident now
    for _ in range(steps):
        step()
    return resident("VmHWM") - before

tidy()
before = resident("VmRSS")
first, later = peak(1), peak(5)
print(json.dumps({"first": max(first, later), "steps": later}))
"""
PROGRAMS: dict[str, dict[str, Any]] = {
    "moons, scalar loop": {"module": "compiled_moons", "case": {}, "ours": "scalars"},
    "moons, arrays": {"module": "compiled_moons", "case": {}},
    **{work: {"module": "compiled_mlp", "case": case} for work, case in compiled_mlp.CASES.items()},
    "character transformer": {"module": "compiled_transformer", "case": {}},
    **{work: {"module": "examples", "case": case} for work, case in examples.CASES.items()},
}


def run() -> Iterator[Row]:
    for work, program in PROGRAMS.items():
        what = {"module": program["module"], "case": program["case"]}
        ours = child(STEPS, who=program.get("ours", "ours"), **what)
        theirs = child(STEPS, who="with_torch", **what)
        yield Row(f"{work}: peak memory of a step / PyTorch's", ours["steps"] / theirs["steps"], "×", 1)
        yield Row(f"{work}: the same with the first call", ours["first"] / theirs["first"], "×")
