"""micrograd's moons step, scalar by scalar, through the drop-in and through micrograd itself."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.timing import Row, child

STEP = """
import gc, json, os, random, statistics, sys, time
from importlib import import_module
a = json.loads(sys.argv[1])
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
Value = import_module(a["package"] + ".engine").Value
MLP = import_module(a["package"] + ".nn").MLP
from sklearn.datasets import make_moons

X, y = make_moons(n_samples=100, noise=0.1, random_state=1)
y = y * 2 - 1
random.seed(1337)
model = MLP(2, [16, 16, 1])

def step(k):
    scores = [model(list(map(Value, row))) for row in X]
    losses = [(1 + -yi * s).relu() for yi, s in zip(y, scores)]
    total = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())
    model.zero_grad()
    total.backward()
    for p in model.parameters():
        p.data -= (1.0 - 0.9 * k / 100) * p.grad
    return total.data

if not a["collect"]:
    gc.disable()
times, losses = [], []
for k in range(a["steps"]):
    start = time.perf_counter()
    losses.append(float(step(k)))
    times.append(time.perf_counter() - start)
print(json.dumps({"time": statistics.median(times[1:]), "loss": losses[-1]}))
"""


def run() -> Iterator[Row]:
    for collect, target in ((True, 15), (False, None)):
        ratios = []
        for _ in range(3):  # in turn, each in a process of its own
            ours = child(STEP, package="chainrule.micrograd", steps=6, collect=collect)
            theirs = child(STEP, package="micrograd", steps=6, collect=collect)
            if abs(ours["loss"] - theirs["loss"]) > 1e-9:
                raise RuntimeError(f"trained differently: loss {ours['loss']} against {theirs['loss']}")
            ratios.append(theirs["time"] / ours["time"])
        work = "micrograd's moons step: times quicker than micrograd"
        if not collect:  # most of micrograd's time goes into looking for garbage among its nodes
            work += ", no cyclic collector in either"
        yield Row(work, sorted(ratios)[1], "×", target, at_least=True)
