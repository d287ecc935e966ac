"""The drop-in's Value: micrograd's expressions, attributes and pictures, and what micrograd gets wrong."""

import math
import random
import subprocess
import sys

import pytest

import chainrule as cr
from chainrule.micrograd.engine import Value


def readme(a, b):
    """The expression of micrograd's README, written for plain numbers as well."""
    relu = (lambda v: v.relu()) if isinstance(a, Value) else (lambda v: max(v, 0.0))
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + relu(b + a)
    d += 3 * d + relu(b - a)
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


def sanity(x):
    """The first expression of micrograd's own tests."""
    relu = (lambda v: v.relu()) if isinstance(x, Value) else (lambda v: max(v, 0.0))
    z = 2 * x + 2 + x
    q = relu(z) + z * x
    h = relu(z * z)
    return h + q + q * x


def slope(f, x, h=1e-3):
    """f'(x) by 5 points, error O(h⁴)."""
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


def test_it_is_the_one_value_of_the_library():
    assert Value is cr.Value


@pytest.mark.parametrize(("x", "y"), [(-4.0, 2.0), (1.5, -0.5), (3.0, 3.5)])
def test_the_readme_expression(x, y):
    a, b = Value(x), Value(y)
    g = readme(a, b)
    g.backward()
    assert math.isclose(g.data, readme(x, y), rel_tol=1e-14)
    assert math.isclose(a.grad, slope(lambda t: readme(t, y), x), rel_tol=1e-7)
    assert math.isclose(b.grad, slope(lambda t: readme(x, t), y), rel_tol=1e-7)
    if (x, y) == (-4.0, 2.0):
        assert f"{g.data:.4f} {a.grad:.4f} {b.grad:.4f}" == "24.7041 138.8338 645.5773"


@pytest.mark.parametrize("x", [-4.0, -1.0, 0.5, 3.0])
def test_the_sanity_expression_is_right_on_both_sides_of_its_kinks(x):
    v = Value(x)
    y = sanity(v)
    y.backward()
    assert y.data == sanity(x)
    assert math.isclose(v.grad, slope(sanity, x), rel_tol=1e-8)
    if x == -4.0:
        assert (y.data, v.grad) == (-20.0, 46.0)


@pytest.mark.parametrize(("f", "at", "derivative"), [
    (lambda x: x + 3, 2.0, 1.0),
    (lambda x: 3 + x, 2.0, 1.0),
    (lambda x: x - 3, 2.0, 1.0),
    (lambda x: 5.5 - x, 2.0, -1.0),
    (lambda x: x * 3, 2.0, 3.0),
    (lambda x: 3 * x, 2.0, 3.0),
    (lambda x: x / 4, 2.0, 0.25),
    (lambda x: 4 / x, 2.0, -1.0),
    (lambda x: x**3, 2.0, 12.0),
    (lambda x: x**-1, 2.0, -0.25),
    (lambda x: x**0.5, 4.0, 0.25),
    (lambda x: 2**x, 3.0, 8 * math.log(2)),
    (lambda x: -x, 2.0, -1.0),
    (lambda x: x.relu(), 2.0, 1.0),
    (lambda x: x.relu(), -2.0, 0.0),
    (lambda x: x.relu(), 0.0, 0.0),
    (lambda x: x.tanh(), 0.5, 1 / math.cosh(0.5) ** 2),
    (lambda x: x.exp(), 0.5, math.exp(0.5)),
    (lambda x: x.log(), 0.5, 2.0),
])  # fmt: skip
def test_each_operation_against_its_closed_form(f, at, derivative):
    x = Value(at)
    f(x).backward()
    assert type(x.grad) is float
    assert math.isclose(x.grad, derivative, rel_tol=1e-15)


def test_whole_numbers_become_floats():
    assert (Value(2).data, type(Value(2).data), Value(2).grad) == (2.0, float, 0.0)


# -------------------------------------------------------------------- what micrograd gets wrong


def test_a_diamond_sums_both_ways():
    x = Value(3.0)
    y = x * 1
    b = 3 * y
    (b + y).backward()
    assert x.grad == 4.0


def test_a_second_backward_adds_the_gradient_once_more():
    a, b = Value(2.0), Value(3.0)
    c = a * b
    d = c * c  # ∂d/∂a = 2ab² = 36
    d.backward()
    d.backward()
    assert (a.grad, b.grad, c.grad) == (72.0, 48.0, 24.0)


def test_backward_of_two_graphs_that_share_a_part_adds_up():
    x = Value(2.0)
    shared = x * x
    (shared * 3).backward()
    (shared + 1).backward()
    assert x.grad == 16.0


@pytest.mark.parametrize("n", [10_000, 100_000])
def test_a_deep_chain(n):
    x = Value(1.0)
    y = x
    for i in range(n):
        y = y + 1.0 if i % 2 else y * 0.9999
    y.backward()
    assert math.isclose(x.grad, 0.9999 ** (n // 2), rel_tol=1e-9)
    del y  # a long chain is freed without recursion, too


def test_new_data_after_the_forward_pass_does_not_spoil_the_gradient():
    w, x = Value(3.0), Value(4.0)
    y = w * x
    w.data = 100.0
    y.backward()
    assert x.grad == 3.0


# -------------------------------------------------------------------- what drawing code reads


def trace(root):
    """The nodes and edges of a graph, as people write it over `_prev`."""
    nodes, edges = set(), set()

    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(root)
    return nodes, edges


def drawn(root):
    nodes, edges = trace(root)
    lines = sorted(f"{n._op or 'leaf'} | data {n.data:.4f} | grad {n.grad:.4f}" for n in nodes)
    return lines, len(edges)


def test_the_graph_of_a_small_expression_as_the_notebook_draws_it():
    x = Value(1.0)
    y = (x * 2 + 1).relu()
    y.backward()
    lines, edges = drawn(y)
    assert edges == 5
    assert lines == [
        "* | data 2.0000 | grad 1.0000",
        "+ | data 3.0000 | grad 1.0000",
        "ReLU | data 3.0000 | grad 1.0000",
        "leaf | data 1.0000 | grad 1.0000",  # the 1: constants are drawn like leaves
        "leaf | data 1.0000 | grad 2.0000",  # x
        "leaf | data 2.0000 | grad 1.0000",  # the 2
    ]


def test_before_backward_every_gradient_is_zero():
    x = Value(1.0)
    lines, _ = drawn((x * 2 + 1).relu())
    assert all(line.endswith("grad 0.0000") for line in lines)


def test_the_graph_of_the_lectures_neuron():
    x1, x2, w1, w2, b = Value(2.0), Value(0.0), Value(-3.0), Value(1.0), Value(6.8813735870195432)
    for v, name in zip((x1, x2, w1, w2, b), ("x1", "x2", "w1", "w2", "b")):
        v.label = name
    o = (x1 * w1 + x2 * w2 + b).tanh()
    o.label = "o"
    o.backward()
    nodes, edges = trace(o)
    assert (len(nodes), len(edges)) == (10, 9)
    assert {n.label for n in nodes} == {"x1", "x2", "w1", "w2", "b", "o", ""}
    assert {n._op for n in nodes} == {"", "*", "+", "tanh"}
    assert [round(v.grad, 4) for v in (x1, w1, x2, w2)] == [-1.5, 1.0, 0.5, 0.0]


def test_operands_appear_once_even_if_used_twice():
    a = Value(3.0)
    assert (a * a)._prev == {a} and len((a + a)._prev) == 1
    assert Value(1.0)._prev == set() and Value(1.0)._op == ""


@pytest.mark.parametrize(("f", "op"), [
    (lambda a, b: a + b, "+"),
    (lambda a, b: a * b, "*"),
    (lambda a, b: a**2, "**2"),
    (lambda a, b: a.relu(), "ReLU"),
    (lambda a, b: a.tanh(), "tanh"),
    (lambda a, b: a.exp(), "exp"),
])  # fmt: skip
def test_the_names_of_operations(f, op):
    assert f(Value(2.0), Value(3.0))._op == op


# -------------------------------------------------------------------- random graphs


OPERATIONS = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: 0.5 * a * b,
    lambda a, b: a / (2 + b * b),
]


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_full_of_shared_nodes_against_differences(seed):
    def program(x, y):
        choose = random.Random(seed)
        pool = [x, y]
        for _ in range(12):
            a, b = choose.choice(pool), choose.choice(pool)
            pool.append(choose.choice(OPERATIONS)(a, b))
        return sum(pool)

    x, y = Value(0.7), Value(-0.4)
    out = program(x, y)
    out.backward()
    assert math.isclose(out.data, program(0.7, -0.4), rel_tol=1e-12)
    assert math.isclose(x.grad, slope(lambda t: program(t, -0.4), 0.7), rel_tol=1e-7, abs_tol=1e-9)
    assert math.isclose(y.grad, slope(lambda t: program(0.7, t), -0.4), rel_tol=1e-7, abs_tol=1e-9)


# -------------------------------------------------------------------- the collector


@pytest.mark.parametrize(("before", "after"), [
    ((700, 10, 10), 200_000),
    ((500_000, 5, 5), 500_000),
    ((0, 10, 10), 0),  # 0 is "never", which is to stay so
])  # fmt: skip
def test_importing_raises_the_collectors_threshold_and_nothing_else(before, after):
    code = (
        f"import gc; gc.set_threshold(*{before}); import chainrule; assert gc.get_threshold() == {before}; "
        f"import chainrule.micrograd.engine; assert gc.get_threshold() == ({after}, *{before[1:]})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
