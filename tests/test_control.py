"""Loops and branches give what the Python loop gives, and so do their derivatives, without its graph."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from functools import partial

import numpy as np
import optree
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import chainrule as cr
from chainrule import Value
from tests.loops import (
    COUNTED,
    LOOPS,
    Loop,
    counted,
    directions,
    everything,
    of_values,
    reals,
    recurrent,
    unrolled,
)

each = pytest.mark.parametrize("case", LOOPS, ids=str)
close = partial(assert_allclose, rtol=1e-11, atol=1e-12)


def both(case: Loop):
    return partial(case.function, cr.scan), partial(case.function, unrolled), case.args


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: cr.scan(0.0, lambda c, x: (c, x), np.ones(2)), "scan: f is a float, expected a function$"),
        (lambda: cr.fori(0, 3, 1.0, lambda i, c: c), "fori: body is a float"),
        (lambda: cr.while_loop(1.0, lambda c: c < 3, lambda c: c + 1), "while_loop: condition is a float"),
        (lambda: cr.while_loop(lambda c: c < 3, 1.0, 1.0), "while_loop: body is a float"),
        (lambda: cr.cond(True, 1.0, 2.0), "cond: f is a float, expected a function; .* np.where"),
        (lambda: cr.cond(True, abs, None, 2.0), "cond: g is None, expected a function"),
    ],
)
def test_what_is_no_function_is_named(call, said):
    for run in (call, cr.compile(call)):
        with pytest.raises(TypeError, match=f"^{said}"):
            run()


# -------------------------------------------------------------------- scan is the loop it stands for


@each
def test_values(case: Loop):
    ours, plain, args = both(case)
    assert ours(*args) == plain(*args)


@each
def test_gradients(case: Loop):
    ours, plain, args = both(case)
    numbers = tuple(range(len(args)))
    for a, b in zip(cr.grad(ours, numbers)(*args), cr.grad(plain, numbers)(*args), strict=True):
        close(a, b)
        assert type(a) is type(b)
    for a, b in zip(of_values(ours, args), of_values(plain, args), strict=True):
        close(a, b)


@each
def test_forward_mode(case: Loop):
    ours, plain, args = both(case)
    close(cr.jvp(ours, args, directions(args)), cr.jvp(plain, args, directions(args)))


@each
def test_second_order(case: Loop):
    ours, plain, args = both(case)
    found, want = (optree.tree_leaves(everything(f, args)(*args)) for f in (ours, plain))
    for a, b in zip(found, want, strict=True):
        close(cr.data(a), cr.data(b))


@pytest.mark.parametrize("case", COUNTED, ids=str)
def test_counting_loops(case: Loop):
    f, plain, args = partial(case.function, counted), partial(case.function, unrolled), case.args
    found, want = (optree.tree_leaves(everything(f, args)(*args)) for f in (f, plain))
    for a, b in zip(found, want, strict=True):
        close(cr.data(a), cr.data(b))


def test_third_order_and_hessians():
    f = lambda scan: lambda x: scan(lambda c, s: (np.sin(c * x) * s, None), x, np.array([1.0, 2.0, 0.5]))[0]
    close(cr.grad(cr.grad(cr.grad(f(cr.scan))))(0.7), cr.grad(cr.grad(cr.grad(f(unrolled))))(0.7))
    ours, plain = (lambda x, scan=scan: np.sum(f(scan)(x) * x) for scan in (cr.scan, unrolled))
    close(cr.hessian(ours)(reals(3)), cr.hessian(plain)(reals(3)))
    for mode in ("forward", "reverse"):
        close(cr.jacobian(f(cr.scan), mode=mode)(reals(3)), cr.jacobian(f(unrolled), mode=mode)(reals(3)))


@each
def test_against_differences(case: Loop):
    """The Python loop, which all others are compared with."""
    cr.check_grads(partial(case.function, unrolled), case.args, order=2)


def test_single_precision_stays():
    args = tuple(x.astype(np.float32) for x in LOOPS[0].args)

    def f(w, u, b, xs):
        h, hs = cr.scan(lambda h, x: 2 * (np.tanh(w @ h + u @ x + b),), np.zeros(3, np.float32), xs)
        assert h.dtype == hs.dtype == np.float32
        return np.sum(hs * hs) + np.sum(np.sin(h))

    exact = cr.grad(partial(recurrent, unrolled), (0, 1, 2, 3))(*LOOPS[0].args)
    for g, want in zip(cr.grad(f, (0, 1, 2, 3))(*args), exact, strict=True):
        assert g.dtype == np.float32
        assert_allclose(g, want, rtol=1e-4, atol=1e-5)
    t = cr.jvp(f, args, args)[1]
    assert t.dtype == np.float32


def test_complex_carry():
    z = np.array([0.3 + 0.4j, -0.2j])
    f = lambda scan: lambda z: np.sum(np.abs(scan(lambda c, _: (c * c + z, c * 1j), z, length=3)[0]) ** 2)
    close(cr.grad(f(cr.scan))(z), cr.grad(f(unrolled))(z))


def test_raw_in_raw_out():
    """No Values, no nodes; a counter stays a Python int, a scalar one, and nobody else's array is written."""
    xs = np.arange(6.0).reshape(3, 2)
    seen = []

    def step(carry, x):
        seen.append(type(carry[0]))
        return (carry[0] + 1, np.sum(x) + carry[1]), x * 2

    (count, total), ys = cr.scan(step, (0, 0.0), xs)
    assert (count, total) == (3, 15.0) and seen == [int] * 3 and type(count) is int and type(total) is float
    assert_array_equal(ys, xs * 2)
    ys[:] = 0
    assert_array_equal(xs, np.arange(6.0).reshape(3, 2))


def test_no_steps():
    init = Value(2.0)
    carry, ys = cr.scan(lambda c, x: (c * x, (c, {"k": 1})), init, np.zeros((0,)))
    assert carry is init and ys[0].shape == ys[1]["k"].shape == (0,)
    assert ys[0].dtype == float and ys[1]["k"].dtype == int
    assert cr.scan(lambda c, x: (c, np.zeros((2, 3), np.float32)), 0.0, length=0)[1].shape == (0, 2, 3)
    assert cr.grad(lambda x: cr.scan(lambda c, _: (c * x, c), x, length=0)[0])(3.0) == 1.0
    assert cr.fori(3, 3, lambda i, c: c + 1, 1.0) == 1.0 == cr.fori(3, 0, lambda i, c: c + 1, 1.0)


# -------------------------------------------------------------------- what is closed over


def test_parameters_closed_over_receive_gradients():
    w, b, x = Value(reals(3, 3)), Value(0.5, name="b"), reals(3)
    for scan in (cr.scan, unrolled):
        c, _ = scan(lambda c, _: (np.tanh(w @ c * b), None), x, length=6)
        np.sum(c).backward()
    full = w.grad, b.grad
    w.grad = b.grad = None
    c, _ = cr.scan(lambda c, _: (np.tanh(w @ c * b), None), x, length=6)
    np.sum(c).backward()
    close(2 * w.grad, full[0])
    close(2 * b.grad, full[1])


def test_closed_over_values_that_not_every_step_reads():
    """They appear at the second step only; what was not kept before is made up for."""
    w = Value(2.0)
    f = lambda x: cr.scan(lambda c, i: (c * w if i == 1 else c + 1.0, None), x, np.arange(3))[0]
    y = f(1.0)
    y.backward()
    assert y.data == 5.0 and w.grad == 2.0
    assert cr.grad(f)(1.0).data == 2.0


def test_new_data_between_forward_and_backward_is_an_error():
    w = Value(2.0, name="w")
    y, _ = cr.scan(lambda c, _: (c * w, None), 1.0, length=3)
    w.data = 3.0
    with pytest.raises(
        RuntimeError, match=r"scan: w, which its function reads, was given new data.*differentiate before"
    ):
        y.backward()
    assert w.grad == 0.0


def test_assignment_after_the_loop_is_an_error():
    """What the steps read is not there any more when they are run again."""

    def f(x, through):
        w = x * 1.0
        c = cr.fori(0, 3, lambda i, c: c * w, np.ones(2))
        through(w)[0] = 5.0
        return np.sum(c) + np.sum(w)

    for through in (lambda w: w, lambda w: w[:1]):
        for derivative in (cr.grad(f), lambda x, g: cr.jvp(lambda x: f(x, g), (x,), (x,))):
            with pytest.raises(RuntimeError, match=r"fori: a Value, which its function reads, was given new"):
                derivative(reals(2), through)


@pytest.mark.parametrize("start", [lambda x: x * 1.0, lambda x: np.ones(2)])
def test_a_name_that_a_step_reads_becomes_the_result(start):
    """When the steps are run again it stands for something else."""

    def f(loop):
        def g(x):
            b = start(x)
            b = loop(lambda c: c * x + b, x)
            return np.sum(b)

        return g

    def plain(step, c):
        for _ in range(3):
            c = step(c)
        return c

    x = reals(2)
    for loop in (
        lambda step, c: cr.scan(lambda c, _: (step(c), None), c, length=3)[0],
        lambda step, c: cr.fori(0, 3, lambda i, c: step(c), c),
        lambda step, c: cr.while_loop(lambda s: s[1] < 3, lambda s: (step(s[0]), s[1] + 1), (c, 0))[0],
    ):
        want = cr.jvp(f(plain), (x,), (x,))
        close(cr.jvp(f(loop), (x,), (x,)), want)
        close(cr.compile(lambda x, loop=loop: cr.jvp(f(loop), (x,), (x,)))(x), want)
        close(cr.grad(f(loop))(x), cr.grad(f(plain))(x))


def test_a_step_assigns_to_its_own_only():
    """What it changes from outside would have no derivative; compiled neither."""
    z = reals(3, 2)

    def steps(through):
        def f(x):
            seen = np.outer(x, z[0]) * Value(1.0)

            def body(i, c):
                through(seen, i)[0] = c
                return c * x[0]

            return cr.fori(0, 3, body, x[0]) + np.sum(seen)

        return f

    for through in (lambda v, i: v[0], lambda v, i: v[i], lambda v, i: v[:, 1]):
        for f in (steps(through), cr.grad(steps(through))):
            for g in (f, cr.compile(f)):
                with pytest.raises(RuntimeError, match=r"assignment to elements of .* in a step .*carry"):
                    g(reals(3))


def test_arrays_that_a_step_changes():
    """Plain ones, beside Values: each run of a step begins with what it was given."""
    counts, rows = np.zeros(1, int), np.ones((3, 1), int)

    def f(x):
        def step(carry, row):
            k, c = carry
            k += 1
            row += k
            return (k, c * x * row[0]), None

        return cr.scan(step, (counts, 1.0), rows)[0][1]

    assert f(1.0) == cr.data(f(Value(1.0))) == 24.0
    close(cr.jacobian(f)(2.0), 24 * 12.0)
    close(cr.grad(cr.grad(f))(2.0), 24 * 12.0)
    assert (counts == 0).all() and (rows == 1).all()


def test_arrays_that_their_owner_changes_later():
    xs, init, x = np.ones(3), np.ones(2), Value(2.0)
    y, _ = cr.scan(lambda c, s: (c * s * x, None), init, xs)
    xs[:] = 7.0
    init[:] = 7.0
    np.sum(y).backward()
    assert x.grad == 24.0


def test_a_function_that_does_not_repeat_itself_is_refused():
    rng = np.random.default_rng(0)
    f = lambda x: cr.scan(lambda c, _: (c * x + rng.normal(), None), x, length=3)[0]
    assert np.isfinite(f(1.0))
    for derivative in (cr.grad(f), cr.grad(cr.grad(f))):
        with pytest.raises(
            RuntimeError, match=r"scan: step 2 gave another result.*random numbers in through xs"
        ):
            derivative(1.0)
    nan = cr.grad(lambda x: cr.scan(lambda c, _: (c * np.nan * x, None), x, length=3)[0])(1.0)
    assert np.isnan(nan)


# -------------------------------------------------------------------- derivatives of derivatives

POWER = {
    "scan": lambda x: cr.scan(lambda c, _: (c * x, None), x, length=3)[0],
    "xs": lambda x: cr.scan(lambda c, s: (c * s, s), 1.0, np.stack([x, x, x, x]))[0],
    "ys": lambda x: cr.scan(lambda c, _: (c * x, c * x), x, length=3)[1][2],
    "fori": lambda x: cr.fori(0, 2, lambda i, c: c * c, x),
    "while": lambda x: cr.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] * c[1]), (0, x))[1],
    "nested": lambda x: cr.fori(0, 2, lambda i, c: cr.scan(lambda d, _: (d * x, None), c, length=2)[0], 1.0),
}
MODES = (
    cr.grad,
    lambda f: lambda x: cr.vjp(f, x)[1](1.0)[0],
    lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1],
    lambda f: cr.jacobian(f, mode="forward"),
    lambda f: cr.jacobian(f, mode="reverse"),
)


@pytest.mark.parametrize("name", POWER)
def test_three_derivatives_in_any_order_of_modes(name: str):
    """Each way to write x⁴ has 24 x for its third derivative."""
    for a, b, c in itertools.product(MODES, repeat=3):
        close(cr.data(a(b(c(POWER[name])))(1.5)), 36.0)


def test_levels_are_kept_apart():
    """An inner derivative within a step, of what the step carries and of what an outer one moves."""
    f = lambda x: cr.scan(lambda c, _: (x * cr.grad(lambda y: x * y * c)(c), None), 2.0, length=2)[0]
    close(f(3.0), 3**4 * 2.0)
    close(cr.grad(f)(3.0), 4 * 3**3 * 2.0)
    close(cr.grad(lambda x: x * cr.grad(lambda y: cr.fori(0, 2, lambda i, c: c * x, y))(2.0))(3.0), 27.0)


# -------------------------------------------------------------------- memory


def peak(f) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_of_a_long_loop_is_that_of_its_carries():
    steps, x = 10_000, np.linspace(0.1, 0.5, 16)

    def f(scan, n):
        return lambda x: np.sum(scan(lambda x, _: (np.sin(x) * 1.001, None), x, length=n)[0])

    carries = steps * x.nbytes
    ours = peak(lambda: cr.grad(f(cr.scan, steps))(x))
    assert ours < 1.5 * carries + 500_000
    tenth = peak(lambda: cr.grad(f(unrolled, steps // 10))(x))
    assert 10 * tenth > 5 * ours  # what the graph of every step takes


def test_a_scan_of_scans_keeps_the_square_root():
    x = np.linspace(0.1, 0.5, 1000)
    step = lambda x, _: (x + 0.01 * np.sin(x), None)
    once = lambda x: np.sum(cr.scan(step, x, length=400)[0])
    twice = lambda x: np.sum(cr.scan(lambda x, _: cr.scan(step, x, length=20), x, length=20)[0])
    close(cr.grad(twice)(x), cr.grad(once)(x))
    assert peak(lambda: cr.grad(twice)(x)) < 100 * x.nbytes < 400 * x.nbytes < peak(lambda: cr.grad(once)(x))


def test_the_graph_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = Value(np.ones(3))
        c, ys = cr.scan(lambda c, _: (np.sin(c), c), x, length=5)
        (np.sum(c) + np.sum(ys)).backward()
        del c, ys
        assert gc.collect() == 0
    finally:
        gc.enable()


# -------------------------------------------------------------------- fori, while_loop, cond


def test_fori():
    body = lambda i, c: c * np.sin(c) + i

    def plain(x):
        for i in range(2, 6):
            x = body(i, x)
        return np.sum(x)

    ours = lambda x: np.sum(cr.fori(2, 6, body, x))
    x = reals(3)
    assert ours(x) == plain(x)
    close(cr.grad(ours)(x), cr.grad(plain)(x))
    close(cr.hessian(ours)(x), cr.hessian(plain)(x))
    layers = [lambda x: x * 2, np.sin]
    assert cr.grad(lambda x: cr.fori(0, 2, lambda i, c: layers[i](c), x))(0.0) == 2.0  # i is a Python int


def test_while_loop():
    """Newton's method for the square root, in both modes and to second order."""
    root = lambda x: cr.while_loop(lambda r: np.abs(r * r - x) > 1e-13, lambda r: (r + x / r) / 2, x)
    close(root(2.0), 2**0.5)
    close(cr.grad(root)(2.0), 0.5 * 2**-0.5)
    close(cr.jvp(root, (2.0,), (1.0,))[1], 0.5 * 2**-0.5)
    close(cr.grad(cr.grad(root))(2.0), -0.25 * 2**-1.5)
    count, values = cr.while_loop(
        lambda c: c[0] < 3, lambda c: (c[0] + 1, {"x": c[1]["x"] * 2}), (0, {"x": np.ones(2)})
    )
    assert count == 3
    assert_array_equal(values["x"], [8.0, 8.0])


def test_cond_calls_one_branch():
    called = []
    f = lambda x: called.append("f") or x * 2
    g = lambda x: called.append("g") or x * 3
    assert cr.cond(True, f, g, 1.0) == 2.0 and cr.cond(np.bool_(False), f, g, 1.0) == 3.0
    assert called == ["f", "g"]
    assert cr.grad(lambda x: cr.cond(x > 0, f, g, x))(-1.0) == 3.0


def test_cond_in_scan():
    f = lambda scan: (
        lambda x: scan(
            lambda c, s: (cr.cond(np.sum(c) > 1, lambda c: c * x, lambda c: np.exp(c) * s, c), None),
            x,
            np.ones(5),
        )[0]
    )
    close(cr.grad(f(cr.scan))(0.4), cr.grad(f(unrolled))(0.4))


# -------------------------------------------------------------------- errors


X = np.zeros(3)
BAD = [
    (
        lambda: cr.scan(lambda c, x: c, 0.0, length=2),
        TypeError,
        r"scan: the function returned a float, expected a pair",
    ),
    (lambda: cr.scan(lambda c, x: (c, x), 0.0), ValueError, r"neither xs nor length; pass length=n"),
    (lambda: cr.scan(lambda c, x: (c, x), 0.0, length=-1), ValueError, r"length is -1, expected 0 or more"),
    (
        lambda: cr.scan(lambda c, x: (c, x), 0.0, length=2.0),
        TypeError,
        r"length is a Python float, expected an integer",
    ),
    (
        lambda: cr.scan(lambda c, x: (c, x), 0.0, X, length=2),
        ValueError,
        r"xs has 3 entries.*expected 2, length",
    ),
    (
        lambda: cr.scan(lambda c, x: (c, x), 0.0, {"a": X, "b": X[1:]}),
        ValueError,
        r"xs\['b'\] has 2 entries.*expected 3, the length of xs\['a'\]",
    ),
    (
        lambda: cr.scan(lambda c, x: (c, x), 0.0, [X, 2.0]),
        TypeError,
        r"xs\[1\] is a Python float, expected an array",
    ),
    (
        lambda: cr.scan(lambda c, x: (c, x), {"h": "text"}, X),
        TypeError,
        r"carry\['h'\] starts as a str, expected numb",
    ),
    (
        lambda: cr.scan(lambda c, x: ((c, c), x), 0.0, X),
        TypeError,
        r"scan: the step returned a carry of structure .* expected that of the first carry",
    ),
    (
        lambda: cr.scan(lambda c, x: ({"h": c["h"] + X}, x), {"h": 0.0}, X),
        TypeError,
        r"scan: carry\['h'\] starts as a Python float and the step returned float64 of shape "
        r"\(3,\), expected the same shape and dtype; "
        r"start with an array, for instance np.zeros\(\(3,\), np.float64\)",
    ),
    (
        lambda: cr.scan(lambda c, x: (c + 0.5, x), 0, X),
        TypeError,
        r"carry starts as a Python int .* start with 0\.0",
    ),
    (
        lambda: cr.fori(0, 2, lambda i, c: c * np.ones(3), np.zeros(3, np.float32)),
        TypeError,
        r"fori: carry starts as float32 of shape \(3,\) and the step returned float64 .*return it .astype",
    ),
    (
        lambda: cr.scan(lambda c, x: (c[1:], x), X, X),
        TypeError,
        r"carry starts as float64 of shape \(3,\) and .* float64 of shape \(2,\).*return it in the shape",
    ),
    (
        lambda: cr.scan(lambda c, x: (c + 1, {"y": np.zeros(c + 1)}), 0, X),
        TypeError,
        r"scan: y\['y'\] is float64 of shape \(2,\) at step 1, expected float64 of shape \(1,\)",
    ),
    (
        lambda: cr.scan(lambda c, x: (c + 1, c if c else (c, c)), 0, X),
        TypeError,
        r"y has the structure .* at one step",
    ),
    (
        lambda: cr.scan(lambda c, x: (c, "text"), 0, X),
        TypeError,
        r"y is a str, expected a number or an array",
    ),
    (
        lambda: cr.fori(0, 2.5, lambda i, c: c, 0),
        TypeError,
        r"fori: stop is a Python float, expected an integer",
    ),
    (lambda: cr.fori(Value(0.0), 2, lambda i, c: c, 0), TypeError, r"fori: start is .*, expected an integer"),
    (
        lambda: cr.while_loop(lambda c: c, lambda c: c, 1.0),
        TypeError,
        r"while_loop: the condition is a Python float, expected one boolean; compare numbers",
    ),
    (
        lambda: cr.while_loop(lambda c: c > 0, lambda c: c, X),
        TypeError,
        r"bool of shape \(3,\), expected one boolean",
    ),
    (
        lambda: cr.while_loop(lambda c: c < 1, lambda c: X, 0.0),
        TypeError,
        r"while_loop: carry starts as a Python float",
    ),
    (
        lambda: cr.cond(Value(1.0), abs, abs, 1.0),
        TypeError,
        r"cond: the predicate is a Value, expected a boolean; compare it",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


# -------------------------------------------------------------------- what is sent nothing

AT = np.array([-1.0, 4.0])  # where the root has no derivative, and where it has one
OK = AT > 0


def taken(x):
    return np.where(OK, x, 0.0)


def either(x, f, g):
    return cr.cond(np.sum(cr.data(x)[1:]) > 0, f, g, x)


REMEMBERED = {
    "within a step": lambda x: cr.scan(lambda c, a: (c, taken(np.sqrt(c) * a)), x, np.ones(2))[1],
    "of an entry": lambda x: cr.scan(lambda c, a: (c, np.where(a > 0, np.sqrt(a), 0.0)), 0.0, x)[1],
    "within each step": lambda x: cr.fori(0, 2, lambda i, c: taken(np.sqrt(c)), x),
    "chosen before": lambda x: cr.fori(0, 2, lambda i, c: np.sqrt(c) * 2, np.where(OK, x, 1.0)),
    "within a branch": lambda x: either(x, lambda x: taken(np.sqrt(x)), lambda x: x),
}
EDGES = {
    "into the steps": lambda x: taken(cr.scan(lambda c, a: (c, np.sqrt(c) * a), x, np.ones(2))[1]),
    "into the last step": lambda x: taken(cr.fori(0, 2, lambda i, c: np.sqrt(c), x)),
    "from step to step": lambda x: cr.scan(
        lambda c, root: (np.where(root, np.sqrt(c), taken(c)), None), x, np.array([True, False])
    )[0],
    "out of the first": lambda x: cr.scan(lambda c, a: (taken(c) * a, None), np.sqrt(x), np.ones(2))[0],
    "out of a body that reads it": lambda x: (
        lambda s: cr.scan(lambda c, a: (c + taken(s), None), np.zeros(2), np.ones(2))[0]
    )(np.sqrt(x)),
}
BRANCH_EDGES = {
    "into a branch": lambda x: taken(either(x, np.sqrt, lambda x: x)),
    "out of a branch": lambda x: either(np.sqrt(x), taken, lambda x: x),
}


def in_each_way(f):
    """The derivatives of the sum: reverse, compiled; forward, compiled."""
    total = lambda x: np.sum(f(x))
    ways = [cr.grad(total), cr.jacobian(total, mode="forward")]
    with np.errstate(all="ignore"):
        return [g(AT) for way in ways for g in (way, cr.compile(way))]


@pytest.mark.parametrize("name", REMEMBERED)
def test_what_was_sent_nothing_is_remembered(name):
    reverse, *others = in_each_way(REMEMBERED[name])
    assert np.isfinite(reverse).all() and reverse[0] == 0 and reverse[1] != 0
    for other in others:
        np.testing.assert_allclose(other, reverse, rtol=1e-14)


@pytest.mark.parametrize("name", [*EDGES, *BRANCH_EDGES])
def test_the_edge_of_a_step_sends_a_plain_zero(name):
    """The limit that the conventions state: nan in reverse, where forward mode gives 0."""
    edge = EDGES.get(name)
    reverse, compiled, *forward = in_each_way(edge or BRANCH_EDGES[name])
    assert np.isnan(compiled[0]) and (np.isnan(reverse[0]) if edge else reverse[0] == 0)
    for other in (reverse, compiled, *forward):
        assert other[1] == pytest.approx(forward[0][1], rel=1e-14)
    assert forward[0][0] == forward[1][0] == 0


# -------------------------------------------------------------------- bodies that write to what they carry


def counting(x):
    """Which entries were visited, and how often, beside what is differentiated."""
    seen = np.zeros(3, int)

    def body(i, carry):
        y, visits = carry
        visits[i % 3] += i
        y[i % 3] += np.sin(y[0]) * visits[0]
        return y, visits

    y, visits = cr.fori(1, 5, body, (x, seen))
    return np.sum(y * y * visits), np.sum(seen)


@pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["plain", "compiled"])
def test_a_body_may_write_to_its_carry(wrap):
    """What the loop began with stays as it was, and each derivative runs the steps as they were."""

    def unrolled(x):
        y, visits = [x[0], x[1], x[2]], [0, 0, 0]
        for i in range(1, 5):
            visits[i % 3] += i
            y[i % 3] = y[i % 3] + np.sin(y[0]) * visits[0]
        return sum(a * a * n for a, n in zip(y, visits, strict=True)), 0

    x = np.array([0.3, -0.5, 0.8])
    value = lambda f: lambda x: f(x)[0]
    for of in (lambda f: f, cr.grad, cr.hessian, lambda f: cr.jacobian(f, mode="forward")):
        got, want = wrap(of(value(counting)))(x), of(value(unrolled))(x)
        np.testing.assert_allclose(got, want, rtol=1e-13)
    assert wrap(counting)(x)[1] == 0
    assert np.array_equal(x, [0.3, -0.5, 0.8])
    if wrap is not cr.compile:
        v = Value(x)
        total = counting(v)[0]
        total.backward()
        once = v.grad.copy()
        total.backward()
        np.testing.assert_allclose(v.grad, 2 * once, rtol=1e-15)
