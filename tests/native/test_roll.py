"""Rolled programs compute what they did, in fewer nodes."""

import collections
import ctypes
import random
from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule.micrograd.engine import Value
from chainrule.micrograd.nn import MLP
from chainrule.native import roll as module
from chainrule.native import tape as tapes
from chainrule.native.capture import capture
from chainrule.native.reference import evaluate, order
from chainrule.native.roll import roll


def given(captured, leaves):
    """The data of the program's inputs."""
    found = []
    for slot in captured.slots:
        v = None if slot.kind == "argument" else captured.states[slot.which].value
        found.append(leaves[slot.which] if v is None else v._current() if slot.kind == "data" else v._grad)
    return found


def rolled(f, leaves, rtol=1e-12):
    """Roll what ``f`` does and compare all values: the new nodes, and how many there were before."""
    captured = capture("f", lambda flat: f(*flat), leaves)
    roots, data = captured.roots(), given(captured, leaves)
    before = order(roots)
    new = roll(roots)
    after = order(new)
    old, values = evaluate(before, data), evaluate(after, data)
    for x, y in zip(roots, new, strict=True):
        assert (x.shape, x.dtype, x.weak) == (y.shape, y.dtype, y.weak)
        np.testing.assert_allclose(values[y], old[x], rtol=rtol)
    for x in after:
        assert np.shape(values[x]) == x.shape, x
        if x.op in ("add", "multiply", "maximum", "pack", "concatenate"):
            assert {i.dtype for i in x.inputs} == {x.dtype}, x
    return after, len(before)


def kinds(nodes):
    return collections.Counter((x.op, x.shape) for x in nodes)


def ops(nodes):
    return collections.Counter(x.op for x in nodes)


# -------------------------------------------------------------------- networks of scalars


def moons(count, sizes, held_out=0, seed=1337):
    """One step of micrograd's demo."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count + held_out, 2))
    y = np.where(rng.random(count + held_out) < 0.5, -1, 1)
    random.seed(seed)
    model = MLP(2, sizes)

    def loss(rows, targets):
        scores = [model(list(map(Value, row))) for row in rows]
        losses = [(1 + -t * s).relu() for t, s in zip(targets, scores, strict=True)]
        return sum(losses) * (1.0 / len(losses))

    def step(rate):
        other = loss(x[count:], y[count:]) if held_out else 0.0
        total = loss(x[:count], y[:count]) + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= rate * p.grad
        return total, other

    return step


def test_moons():
    few, before = rolled(moons(5, [16, 16, 1]), [0.1])
    more, _ = rolled(moons(7, [16, 16, 1]), [0.1])
    assert len(few) == len(more) < 4_000 < before / 5
    found = kinds(few)
    assert found["subtract", (337,)] == 1  # p - rate*g of all parameters at once
    assert found["pack", (337,)] == 2  # of the parameters, and of the sums over samples
    assert found["maximum", (5,)] == found["greater", (5,)] == 33
    assert found["sum", (1,)] == kinds(more)["sum", (1,)] == 339
    assert not ops(few)["gather"]
    assert not any(x.shape == () for x in few if x.op in ("where", "subtract"))


def test_two_groups_of_lanes():
    nodes, _ = rolled(moons(12, [8, 8, 1], held_out=7), [0.1])
    found = kinds(nodes)
    assert found["maximum", (12,)] == found["maximum", (7,)] == 17
    assert not ops(nodes)["gather"] and not ops(nodes)["slice"]


def test_wide_layers_are_rolled_again(monkeypatch):
    monkeypatch.setattr(module, "WIDE", 500)
    nodes, _ = rolled(moons(6, [12, 12, 1]), [0.1])
    found = kinds(nodes)
    assert found["multiply", (12, 12, 6)] == 3  # W h, its cotangents for h and for W
    assert found["sum", (12, 1, 6)] == 2
    computed = sum(n for (op, _), n in found.items() if op not in ("input", "element"))
    assert computed < 160
    assert not any(len(x.shape) > 1 for x in nodes if x.op == "gather")


def test_one_sample_of_a_wide_network():
    nodes, _ = rolled(moons(1, [20, 20, 1]), [0.1])
    assert kinds(nodes)["multiply", (20, 20)] == 3


def recurrent(batch, steps, width, seed=0):
    """A recurrent network over sequences of numbers, and the gradients of its parameters."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(batch, steps)).tolist()

    def f(*given):
        p = [Value(x) for x in given]
        w = [p[i * width : (i + 1) * width] for i in range(width)]
        u = p[width * width :]
        total = 0.0
        for row in data:
            h = [Value(0.0)] * width
            for x in row:
                h = [np.tanh(sum((a * b for a, b in zip(v, h, strict=True)), c * x))
                     for v, c in zip(w, u, strict=True)]  # fmt: skip
            total = total + sum(h) * sum(h)
        total.backward()
        return [total.data, *[q.grad for q in p]]

    return f, (0.3 * rng.normal(size=width * width + width)).tolist()


def test_recurrence_over_a_batch():
    nodes, before = rolled(*recurrent(10, 6, 3))
    assert kinds(nodes)["tanh", (10,)] == 18
    assert len(nodes) < before / 5


def test_rows_of_an_array_argument():
    rng = np.random.default_rng(0)

    def f(x, y, *w):
        p = [Value(a) for a in w]
        total = 0.0
        for row, t in zip(x, y, strict=True):
            h = [np.maximum(sum(p[3 * k + j] * a for j, a in enumerate(row)), 0.0) for k in range(4)]
            e = sum(h) - t
            total = total + e * e
        total.backward()
        return [total.data, *[q.grad for q in p]]

    nodes, _ = rolled(f, [rng.normal(size=(20, 3)), rng.normal(size=20), *rng.normal(size=12).tolist()])
    assert kinds(nodes)["slice", (20,)] == 3  # the columns; the targets are the array itself
    assert not ops(nodes)["pack"] and len(nodes) < 200


def test_arrays_in_between_are_left_alone():
    rng = np.random.default_rng(0)

    def f(a, *p):
        b = np.tanh(a @ a) * sum(p)
        rows = [b[i, 0] * p[0] + p[1] for i in range(8)]
        lanes = [np.exp(r * 0.5) * p[2] for r in rows]
        return b * sum(lanes), sum(lanes), lanes[3], np.stack(lanes)

    nodes, _ = rolled(f, [rng.normal(size=(8, 8)), *rng.normal(size=70).tolist()])
    assert ops(nodes)["matmul"] == 1
    assert kinds(nodes)["exp", (8,)] == 1


def test_ragged():
    def f(*p):
        total = 0.0
        for i in range(100):
            x = 0.01 * i * p[0] + p[1]
            y = np.tanh(x) if i % 33 else np.sin(x)  # 4 of 100
            total = total + y * p[2] if i % 50 else total - y  # and 2, one of them of the 4
        return total, y

    nodes, _ = rolled(f, [0.3, 0.2, 0.1])
    assert kinds(nodes)["tanh", (95,)] == 1  # 1 of the 96 is subtracted
    assert len(nodes) < 60


def test_what_is_subtracted_is_summed():
    def f(*p):
        total = 0.0
        for i in range(30):
            total -= np.log(p[0] * float(i) + p[1])
        return total

    nodes, _ = rolled(f, [0.3, 0.2])
    assert kinds(nodes)["log", (30,)] == 1
    assert len(nodes) < 15


def test_lanes_that_need_each_other():
    """A ring: each element looks at its neighbours, which are in the same class."""

    def f(*p):
        x = [np.sin(p[0] * float(i)) for i in range(50)]
        for _ in range(3):
            x = [x[i - 1] * p[1] + x[i] * p[2] + x[(i + 1) % 50] * p[3] for i in range(50)]
        return [sum(x), x[7]]

    nodes, before = rolled(f, [0.5, 0.2, 0.3, 0.4])
    assert len(nodes) < 80 < before


# -------------------------------------------------------------------- what must not change


def test_small_programs_are_untouched():
    def f(*p):
        return sum(a * b for a, b in pairwise(p))

    captured = capture("f", lambda flat: f(*flat), [1.0] * 20)
    roots = captured.roots()
    assert all(a is b for a, b in zip(roots, roll(roots), strict=True))


def test_special_values_of_constants():
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 5e-324]

    def f(*p):
        out = []
        for c in special * 4:
            a = p[0] * c
            b = np.where(a > p[1], a / p[1], -a)
            out += [a, b, a + p[2], np.maximum(b, c)]
        return out

    captured = capture("f", lambda flat: f(*flat), [2.0, -0.0, -0.0])
    roots, data = captured.roots(), given(captured, [2.0, -0.0, -0.0])
    new = roll(roots)
    assert len(order(new)) < len(order(roots))
    old, values = evaluate(order(roots), data), evaluate(order(new), data)
    for x, y in zip(roots, new, strict=True):
        a, b = np.asarray(values[y]), np.asarray(old[x])
        assert a.dtype == b.dtype and ((np.isnan(a) and np.isnan(b)) or a.tobytes() == b.tobytes()), (a, b)


def test_dtypes_stay_apart():
    def f(a, b, n):
        out = []
        for i in range(40):
            x = a * np.float32(i) + a
            y = b * float(i) + b
            k = n * i + n
            out += [x, y, k, x > a, np.where(y > b, y, 0.0), x + y]
        return out

    nodes, _ = rolled(f, [np.float32(0.1), 0.2, 3])
    assert {x.dtype.char for x in nodes if x.shape == (40,)} >= {"f", "d", "?"}


def program(seed):
    """A random function of scalars: lanes with templates, strays, sums, cross links, loose ends."""
    rng = random.Random(seed)
    special = rng.random() < 0.3

    def constant():
        if special and rng.random() < 0.05:
            return rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan])
        return rng.choice([0.0, 1.0, -1.0]) if rng.random() < 0.2 else rng.uniform(-2, 2)

    table = [
        lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x - y, np.maximum, lambda x, y: np.tanh(x),
        lambda x, y: np.where(x > y, x, y * 0.5), lambda x, y: np.exp(-abs(x) * 0.1), lambda x, y: -x,
        lambda x, y: np.where((x > 0) | (y > 0.3) | (x > y), x, 0.0), lambda x, y: x / (abs(y) + 1.0),
        lambda x, y: abs(x) ** 2.0, lambda x, y: np.where(x > 0, np.where(x > 0, y, 0.0), 0.0),
    ]  # fmt: skip

    def f(*p):
        shared, outs = list(p), []
        for _ in range(rng.randint(1, 3)):
            steps = range(rng.randint(2, 12))
            template = [(rng.randrange(len(table)), *[rng.random() for _ in range(4)]) for _ in steps]
            lanes, own, wild = rng.choice([3, 5, 9, 20, 33]), rng.randint(0, 3), rng.random() < 0.4
            outs = []
            for _ in range(lanes):
                pool = [constant() for _ in range(own)]
                for op, a, b, c, d in template:
                    if wild and rng.random() < 0.03:
                        op = rng.randrange(len(table))
                    x = shared[int(a * len(shared))] if c < 0.3 or not pool else pool[int(a * len(pool))]
                    y = shared[int(b * len(shared))] if d < 0.3 or not pool else pool[int(b * len(pool))]
                    if isinstance(x, float) and isinstance(y, float):
                        x = shared[0] * x
                    pool.append(table[op](x, y))
                outs.append(pool)
            for _ in range(rng.randint(1, 4)):
                some = [o for o in outs if rng.random() < 0.9] if rng.random() < 0.3 else outs
                total, w = 0.0 if rng.random() < 0.5 else shared[0], rng.randint(1, len(outs[0]))
                for o in some:
                    total = total + o[-w] if rng.random() < 0.95 else o[-w] + total
                shared.append(total * 0.1)
            if rng.random() < 0.3:
                across = [a[-1] * b[-1] for a, b in zip(outs, [*outs[1:], outs[0]], strict=True)]
                shared += [sum(across), *across[:2]]
            if rng.random() < 0.3:
                pool = list(shared)
                for _ in range(rng.randint(5, 150)):
                    pool.append(table[rng.randrange(len(table))](rng.choice(pool), rng.choice(pool)))
                shared += pool[-2:]
            if rng.random() < 0.3:
                updated = [q - 0.1 * (shared[-1] * q) for q in p]
                shared += [sum(u * u for u in updated), *updated]
        return *shared[len(p) :], outs[0][-1], outs[-1][-1]

    return f, [rng.uniform(-1, 1) for _ in range(rng.choice([1, 3, 10, 40]))]


@pytest.mark.parametrize("again, taped", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("start", [0, 20])
def test_random_programs(start, again, taped, monkeypatch):
    if again:
        monkeypatch.setattr(module, "STRAIGHT", 0)
        monkeypatch.setattr(module, "WIDE", 0)
        cost = iter([0, 1] * 100)  # whatever comes of it is taken
        monkeypatch.setattr(module, "_cost", lambda *_: next(cost))
    if taped:
        monkeypatch.setattr(tapes, "LONG", 10)
    before = after = 0
    for seed in range(start, start + 20):
        nodes, count = rolled(*program(seed), rtol=1e-9)  # sums may cancel
        before, after = before + count, after + len(nodes)
    assert after < before * 0.6


# -------------------------------------------------------------------- tapes


def tangle(count, leaves, seed=1):
    """Operations without structure."""
    rng = random.Random(seed)
    choices = [(rng.randrange(4), rng.random(), rng.random()) for _ in range(count)]

    def f(*p):
        pool = list(p)
        for op, a, b in choices:
            x, y = pool[int(a**0.3 * len(pool))], pool[int(b * len(pool))]
            pool.append([x + y, x * y, x - y, np.where((x > y) | (y > 0.5), x, y * 0.5)][op])
        return pool[-1], pool[-2], pool[-1] > pool[-2]

    return f, np.random.default_rng(seed).normal(size=leaves).tolist()


def test_what_has_no_lanes_goes_on_a_tape():
    nodes, before = rolled(*tangle(12_000, 30))
    (tape,) = [x for x in nodes if x.op == "tape"]
    assert before > 2_500 and len(nodes) < 50
    assert tape.shape[0] > 2_000


def test_what_needs_the_other_comes_on_a_later_tape(monkeypatch):
    monkeypatch.setattr(tapes, "LONG", 100)
    monkeypatch.setattr(module, "STRAIGHT", 10**9)
    monkeypatch.setattr(module, "SMALL", 0)
    f, leaves = tangle(2_000, 10)
    g, _ = tangle(2_000, 10, seed=2)

    def both(*p):
        a = np.stack(f(*p)[:2])
        b = np.tanh(a[::-1]) * p[0]  # an array, which is on no tape
        return g(*p[1:], b[0] + b[1])

    captured = capture("f", lambda flat: both(*flat), leaves)
    roots, data = captured.roots(), given(captured, leaves)
    new = tapes.tape(roots, order(roots))
    after = order(new)
    assert ops(after)["tape"] == 2
    old, values = evaluate(order(roots), data), evaluate(after, data)
    for x, y in zip(roots, new, strict=True):
        assert values[y] == old[x] and x.dtype == y.dtype


def test_a_tape_beside_a_loop_that_reads_every_third_number(monkeypatch):
    """Both gather eight numbers at once, and declare alike how."""
    monkeypatch.setattr(tapes, "LONG", 100)
    monkeypatch.setattr(module, "STRAIGHT", 0)
    f, leaves = tangle(2_000, 10)
    x = np.random.default_rng(0).normal(size=(8, 3))
    both = cr.compile(lambda x, *p: (np.sum(x[:, 0] * x[:, 1]), *f(*p)[:2]))
    np.testing.assert_allclose(both(x, *leaves), (np.sum(x[:, 0] * x[:, 1]), *f(*leaves)[:2]), rtol=1e-12)
    assert "tape" in both.llvm_ir()


EVERY = [
    *"add subtract multiply divide copysign maximum minimum power arctan2 hypot logaddexp remainder".split(),
    *"negative reciprocal square absolute sqrt floor ceil trunc rint sign exp log tanh sin log1p".split(),
]


def every(a, b):
    out = [getattr(np, op)(*(a, b)[: getattr(np, op).nin]) for op in EVERY]
    compared = np.less, np.less_equal, np.greater_equal, np.equal, np.not_equal
    out += [np.where(f(a, b), a, b) for f in compared]
    out += [np.where(f(a > b, b < 0), a, 2.0) for f in (np.bitwise_or, np.bitwise_and, np.bitwise_xor)]
    out += [np.where(~(a > b), a, 3.0), np.where(np.isnan(a), 1.0, a)]
    return [*out, (a > b) * 1.0, np.add(a > b, 0.5)]


@pytest.mark.parametrize("pairs", [1, 11, 16])
def test_machine_code_of_a_tape(pairs, monkeypatch):
    llvm = pytest.importorskip("llvmlite.binding")
    monkeypatch.setattr(tapes, "LONG", 1)
    special = [0.5, 1.5, -2.0, 0.3, np.nan, 1.0, 0.0, -0.5, np.inf, -1.0, -np.inf, 2.0, 1.0, np.nan, 3.0, 3.0]
    leaves = [*special, *np.random.default_rng(0).normal(size=16).tolist()][: 2 * pairs]
    captured = capture("f", lambda p: [y for a, b in zip(p[::2], p[1::2]) for y in every(a, b)], leaves)
    new = tapes.tape(captured.roots(), order(captured.roots()))
    values = evaluate(order(new), leaves)
    (tape,) = [x for x in order(new) if x.op == "tape"]

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    code = llvm.parse_assembly(tapes.tape_ir(tape, "run_tape"), llvm.create_context())
    code.verify()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
    )
    engine = llvm.create_mcjit_compiler(code, machine)
    engine.finalize_object()
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(engine.get_function_address("run_tape"))
    buffer, indices = np.zeros(tape.shape), tapes.tape_indices(tape)
    initial = values[tape.inputs[0]]
    buffer[: len(initial)] = initial
    run(buffer.ctypes.data, indices.ctypes.data)
    np.testing.assert_allclose(buffer, values[tape], rtol=1e-13)
