"""Parts that repeat: found by dominators, and alike only where the same is done with the same."""

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.show import patterns
from chainrule.show.patterns import parts


def found(inputs, labels, outputs, bases=None):
    return parts(inputs, labels, bases or [0] * len(inputs), outputs, [x == "+" for x in labels])


def marks(placed):
    """Of each node the innermost repeated part: (top, like)."""
    return [p and (p.top, p.like) for p in placed]


@st.composite
def graphs(draw):
    count = draw(st.integers(2, 40))
    return [[], *[draw(st.lists(st.integers(0, i - 1), max_size=3)) for i in range(1, count)]]


def dominators(inputs, output):
    """By the definition: without it, no way to the output is left."""
    users = [[] for _ in inputs]
    for i, xs in enumerate(inputs):
        for x in xs:
            users[x].append(i)

    def reaches(x, without):
        seen, stack = set(), [x]
        while stack:
            i = stack.pop()
            if i == output:
                return True
            if i != without and i not in seen:
                seen.add(i)
                stack += users[i]
        return False

    return [
        {d for d in range(len(inputs)) if d != x and reaches(x, None) and (d == output or not reaches(x, d))}
        for x in range(len(inputs))
    ]


@given(graphs())
@settings(deadline=None)
def test_immediate_dominators_are_the_nearest_of_all(inputs):
    output = len(inputs) - 1
    used, stack = set(), [output]
    while stack:
        i = stack.pop()
        if i not in used:
            used.add(i)
            stack += inputs[i]
    place = {i: k for k, i in enumerate(sorted(used))}
    inputs = [[place[x] for x in inputs[i]] for i in sorted(used)]
    output = len(inputs) - 1
    g = patterns._Graph(inputs, list(range(len(inputs))), [0] * len(inputs), head=list(range(len(inputs))))
    patterns._dominate(g, [output])
    every = dominators(inputs, output)
    for x, above in enumerate(g.above):
        assert above == min(every[x], default=-1)  # those further up are newer


def test_the_same_operations_wired_otherwise_are_not_alike():
    # tanh(a) * a and tanh(a) * b, twice each
    inputs, labels, tops = [], [], []

    def add(label, *xs):
        inputs.append(list(xs))
        labels.append(label)
        return len(inputs) - 1

    for crossed in (False, True, False, True):
        a, b = add("leaf"), add("leaf")
        t = add("tanh", a)
        tops.append(add("stack", t, a if not crossed else b, b))
    end = add("concatenate", *tops)
    placed = marks(found(inputs, labels, [end]))
    likes = [placed[t][1] for t in tops]
    assert likes[0] == likes[2] != likes[1] == likes[3]


def test_a_long_sum_is_one_thing_and_its_terms_are_alike():
    inputs, labels = [[] for _ in range(6)], ["leaf"] * 6
    tops = []
    for i in range(6):
        inputs.append([i])
        labels.append("exp")
        tops.append(len(inputs) - 1)
    total = tops[0]
    for t in tops[1:]:
        inputs.append([total, t])
        labels.append("+")
        total = len(inputs) - 1
    inputs.append([total])
    labels.append("log")
    placed = found(inputs, labels, [len(inputs) - 1])
    sums = [p for p in placed if p and p.terms]
    assert len(sums) == 5
    assert {(p.top, p.terms) for p in sums} == {(total, 6)}
    assert len({p.like for p in placed if p and not p.terms}) == 1
    assert len({p.top for p in placed if p and not p.terms}) == 6


def test_rounds_of_a_recurrence_lie_beside_each_other():
    inputs, labels = [[], []], ["leaf", "leaf"]
    h = 0
    for _ in range(10):
        inputs += [[h, 1], [len(inputs)], [len(inputs) + 1]]
        labels += ["*", "tanh", "exp"]
        h = len(inputs) - 1
    inputs.append([h])
    labels.append("log")
    placed = found(inputs, labels, [len(inputs) - 1])
    rounds = {p.top: p for p in placed if p is not None}
    assert len(rounds) >= 9
    assert all(p.parent is None for p in rounds.values())
    sizes = [sum(q is p for q in placed) for p in rounds.values()]
    assert sizes.count(3) >= 9


def test_parts_do_not_reach_beyond_known_groups():
    inputs = [[], [0], [1], [], [3], [4], [2, 5]]
    labels = ["leaf", "sin", "cos"] * 2 + ["*"]
    both = marks(found(inputs, labels, [6]))
    assert both[2][1] == both[5][1]
    apart = marks(found(inputs, labels, [6], [0, 0, 0, 1, 1, 1, 0]))
    assert apart == [None] * 7


def test_it_takes_time_in_proportion_to_the_graph():
    r = random.Random(0)

    def seconds(count):
        shared = [[] for _ in range(50)]  # used everywhere, so that ancestors are far away
        inputs = [*shared, *[[i - 1, r.randrange(50)] for i in range(50, count)]]
        labels = ["leaf"] * 50 + [r.choice("abc") for _ in range(50, count)]
        start = time.process_time()
        found(inputs, labels, [count - 1])
        return time.process_time() - start

    seconds(2_000)
    assert seconds(80_000) < 100 * max(seconds(4_000), 0.005)  # quadratic would be 400
