"""A function run with notes: whose nodes are whose."""

import sys

import numpy as np
import pytest

from chainrule import Value, nn
from chainrule.running import module_calls, noted


def names(notes, kind):
    return [s.name for s in sorted(notes.spans, key=lambda s: s.first) if s.kind == kind]


def inside(notes, v):
    """The names of the spans around a Value, the outermost first."""
    around = [s for s in notes.spans if s.first < v.serial < s.last]
    return [s.name for s in sorted(around, key=lambda s: s.first)]


def line(notes, v):
    return max((x for x in notes.lines if x[0] < v.serial), key=lambda x: x[0])[2]


def square(x):
    return x * x


def test_calls_and_lines():
    def f(x):
        y = square(x)
        z = y + 1.0
        return z, y

    (z, y), notes = noted(f, Value(2.0))
    assert inside(notes, y) == ["f", "square"]
    assert inside(notes, z) == ["f"]
    assert line(notes, y) == square.__code__.co_firstlineno + 1
    assert line(notes, z) == f.__code__.co_firstlineno + 2


def test_rounds_of_loops_within_loops():
    def f(x):
        found = []
        for i in range(2):
            for j in range(3):
                y = x * (i + j)
                found.append(y)
            found.append(x + i)
        k = 0
        while k < 2:
            found.append(x - k)
            k += 1
        return found

    found, notes = noted(f, Value(2.0))
    rounds = [[name.rpartition("#")[2] for name in inside(notes, v)[1:]] for v in found]
    first = [["0", "0"], ["0", "1"], ["0", "2"], ["0"]]
    assert rounds == [*first, *[["1", *r[1:]] for r in first], ["0"], ["1"]]
    assert inside(notes, found[0])[1:] == ["for i in range(2) #0", "for j in range(3) #0"]


def test_rounds_of_comprehensions_and_generators():
    def f(x):
        a = [x * k for k in range(3)]
        return a, list(map(abs, (x + k for k in range(3))))

    (a, b), notes = noted(f, Value(2.0))
    for values in (a, [v.inputs[0] for v in b]):
        around = [[s for s in notes.spans if s.first < v.serial < s.last] for v in values]
        innermost = [min(spans, key=lambda s: s.last - s.first) for spans in around]
        assert [s.kind for s in innermost] == ["loop"] * 3
        assert len({id(s) for s in innermost}) == 3


def test_modules_have_their_paths():
    model = nn.MLP([2, 3, 1], rng=0)
    y, notes = noted(model, np.ones((4, 2)))
    assert names(notes, "module") == ["MLP", "layers.0: Linear", "layers.1: Linear"]
    assert [s.name for s in module_calls()][-3:] == ["MLP", "layers.0: Linear", "layers.1: Linear"]
    assert inside(notes, y)[-1] == "layers.1: Linear"


def test_a_function_that_fails_leaves_nothing_behind():
    def f(x):
        raise ZeroDivisionError

    def other(frame, event, arg):
        return None

    before = sys.gettrace()
    sys.settrace(other)
    try:
        with pytest.raises(ZeroDivisionError):
            noted(f, 1.0)
        assert sys.gettrace() is other
    finally:
        sys.settrace(before)


def test_frames_of_libraries_are_passed_over():
    _, notes = noted(lambda x: np.linspace(0, 1, 3) * x, Value(2.0))
    assert [s.name for s in notes.spans] == ["<lambda>"]


def test_code_without_a_file():
    scope = {}
    exec("def f(x):\n    for i in range(3):\n        x = x * x\n    return x\n", scope)
    y, notes = noted(scope["f"], Value(1.5))
    assert inside(notes, y) == ["f"]
    assert line(notes, y) == 3
