"""Loops in a captured program: one node each; carried out by the reference, they give what eager ones do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import optree
import pytest
from numpy.testing import assert_allclose

import chainrule as cr
from chainrule import Value
from chainrule.native.capture import Captured, capture
from chainrule.native.loops import SubProgram, trimmed
from chainrule.native.reference import evaluate, order
from chainrule.traced import Changed, Traced, TracedError, current_trace
from tests.loops import COUNTED, LOOPS, Loop, counted, directions, everything, reals, unrolled

each = pytest.mark.parametrize("case", LOOPS, ids=str)
close = partial(assert_allclose, rtol=1e-11, atol=1e-12)


def captured(f: Callable[..., Any], *args: Any) -> tuple[Captured, list[Any]]:
    leaves, spec = optree.tree_flatten(args)
    return capture("f", lambda given: f(*optree.tree_unflatten(spec, given)), leaves), leaves


def executed(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a program, carried out by the reference."""

    def run(*args: Any) -> Any:
        program, leaves = captured(f, *args)
        valid(program.roots())
        given = {"argument": lambda i: leaves[i], "data": lambda i: program.states[i].value._raw}
        values = evaluate(order(program.roots()), [given[s.kind](s.which) for s in program.slots])
        results = [o.node if o.kind == "plain" else values[o.node] for o in program.outputs]
        return optree.tree_unflatten(program.spec, results)

    return run


def valid(roots: list[Traced]) -> None:
    """Every node belongs to one capture, and sub-programs read nothing but their inputs."""
    nodes = order(roots)
    assert len({x.origin for x in nodes if type(x.origin) is not Changed}) <= 1
    for x in nodes:
        p = x.params
        for program in [v for v in p.values() if isinstance(v, SubProgram)] + list(p.get("branches", ())):
            read = [i for i in order(program.outputs) if i.op == "input"]
            assert set(read) <= set(program.inputs)
            assert [i.params["slot"] for i in program.inputs] == list(range(len(program.inputs)))
            valid(program.outputs)
        if x.op == "scan":
            k, c, body = p["constants"], p["carries"], p["body"]
            assert len(x.inputs) == len(body.inputs) == k + c + p["xs"]
            assert len(p["results"]) == len(p["weak"]) == len(body.outputs)
            for i, (outer, inner) in enumerate(zip(x.inputs, body.inputs, strict=True)):
                assert (outer.shape if i < k + c else outer.shape[1:]) == inner.shape
                assert outer.dtype == inner.dtype
            for before, after in zip(body.inputs[k : k + c], body.outputs, strict=False):
                assert (before.shape, before.dtype, before.weak) == (after.shape, after.dtype, after.weak)


def loops_in(f: Callable[..., Any], *args: Any) -> list[str]:
    return [x.op for x in order(captured(f, *args)[0].roots()) if x.op in ("scan", "while", "cond")]


def same(got: Any, want: Any) -> None:
    a, b = optree.tree_leaves(got), optree.tree_leaves(want)
    for x, y in zip(a, b, strict=True):
        close(x, cr.data(y))


# -------------------------------------------------------------------- compiled equals eager


@each
def test_value_and_derivatives(case: Loop) -> None:
    f, args, t = partial(case.function, cr.scan), case.args, directions(case.args)
    gradient = cr.grad(f, tuple(range(len(args))))
    for function in (
        f,
        gradient,
        lambda *xs: cr.jvp(f, xs, t),
        lambda *xs: cr.jvp(gradient, xs, t)[1],
        cr.grad(lambda *xs: cr.jvp(f, xs, t)[1], tuple(range(len(args)))),
    ):
        same(executed(function)(*args), function(*args))


def test_hessian_of_a_scan() -> None:
    f = partial(LOOPS[0].function, cr.scan)
    same(executed(cr.hessian(f))(*LOOPS[0].args), cr.hessian(f)(*LOOPS[0].args))


def test_a_loop_is_one_node() -> None:
    f = lambda x: np.sum(cr.scan(lambda c, _: (np.sin(c * x), c), x, length=1000)[1])
    x = reals(3)
    assert loops_in(f, x) == ["scan"]
    assert loops_in(cr.grad(f), x) == ["scan", "scan"]  # forward with the carries, and back
    assert len(order(captured(cr.grad(f), x)[0].roots())) < 30


def test_python_numbers_stay_weak() -> None:
    """A carry that is a Python number does not make single precision double."""
    x = np.float32([1.0, 2.0])

    def f(x):
        c, ys = cr.scan(lambda c, x: (c * 0.5, x * c), 1.0, x)
        return ys, cr.fori(0, 3, lambda i, c: c * i + 1, x)

    program, _ = captured(f, x)
    assert [o.node.dtype for o in program.outputs] == [np.float32] * 2
    same(executed(f)(x), f(x))


def test_no_steps() -> None:
    f = lambda x: cr.scan(lambda c, x: (c * x, {"y": c + x}), x[0], x[:0])
    got, want = executed(f)(reals(3)), f(reals(3))
    same(got, want)
    assert got[1]["y"].shape == (0,)


# -------------------------------------------------------------------- state


def test_parameters_of_a_compiled_step() -> None:
    """Values from outside that a body reads are read by the program, and receive gradients."""
    w, b, x = Value(reals(3, 3)), Value(0.5), reals(3)

    def step() -> Value:
        w.grad = b.grad = None
        c, _ = cr.scan(lambda c, _: (np.tanh(w @ c * b), None), x, length=5)
        loss = np.sum(c * c)
        loss.backward()
        return loss

    eager = step().data, w.grad, b.grad
    w.grad = b.grad = None
    program, _ = captured(step)
    valid(program.roots())
    assert (w.grad == 0).all() and b.grad == 0
    values = evaluate(order(program.roots()), [program.states[s.which].value._raw for s in program.slots])
    found = {id(s.value): values[s.grad] for s in program.states}
    same((values[program.outputs[0].node], found[id(w)], found[id(b)]), eager)


def test_writing_state_within_a_body_is_refused() -> None:
    w = Value(np.ones(3), name="w")

    def assigns(c: Any, _: Any) -> Any:
        w.data = w.data * 0.5
        return c, None

    def adds(c: Any, _: Any) -> Any:
        np.sum(w * c).backward()
        return c, None

    def clears(c: Any, _: Any) -> Any:
        w.grad = None
        return c, None

    for body, what in ((assigns, "data"), (adds, "grad"), (clears, "grad")):
        with pytest.raises(
            TracedError, match=rf"test_loops.*scan: its function assigns .{what} of w, .*the carry"
        ):
            captured(lambda x, body=body: cr.scan(body, x, length=3), reals(3))
        assert current_trace() is None
    assert_allclose(w.data, np.ones(3))


def test_a_value_that_leaks_out_of_a_body_is_refused() -> None:
    leaked = []

    def f(x: Any) -> Any:
        c, _ = cr.scan(lambda c, _: (leaked.append(c) or c * 2, None), x, length=3)
        return c + leaked[0]

    with pytest.raises(TracedError, match="whose capture has ended"):
        captured(f, reals(3))


# -------------------------------------------------------------------- while and cond


def settle(x: Any) -> Any:
    """Closes over the argument, in condition and body."""
    return cr.while_loop(lambda c: np.sum(c * c) < 100 + np.sum(x), lambda c: c * 1.5 + np.sin(x), x)


def test_while_loop_has_values_and_forward_mode() -> None:
    x, t = reals(3), reals(3, seed=4)
    assert loops_in(settle, x) == ["while"]
    same(executed(settle)(x), settle(x))
    along = lambda x: cr.jvp(settle, (x,), (t,))
    same(executed(along)(x), along(x))
    twice = lambda x: cr.jvp(lambda x: along(x)[1], (x,), (t,))
    same(executed(twice)(x), twice(x))
    rows = cr.jacobian(settle, mode="forward")
    same(executed(rows)(x), rows(x))


def test_while_loop_has_no_reverse_mode() -> None:
    with pytest.raises(
        TypeError, match=r"while_loop: a compiled loop .* no derivative in reverse mode.*cr\.fori"
    ):
        captured(cr.grad(lambda x: np.sum(settle(x))), reals(3))


def test_fori() -> None:
    f = lambda n, x: cr.fori(1, n, lambda i, c: c * x + i, x)
    x = reals(3)
    assert loops_in(f, 6, x) == ["while"]
    same(executed(f)(6, x), f(6, x))
    assert loops_in(partial(f, 6), x) == ["scan"]
    same(executed(partial(f, 6))(x), f(6, x))
    for n in (6, 0):
        g = cr.grad(lambda x, n=n: np.sum(f(n, x)))
        same(executed(g)(x), g(x))
    along = lambda n, x: cr.jvp(lambda x: f(n, x), (x,), (x,))
    same(executed(along)(6, x), along(6, x))
    with pytest.raises(TypeError, match="fori: a compiled loop"):
        captured(lambda n, x: cr.grad(lambda x: np.sum(f(n, x)))(x), 6, x)


def test_a_counter_indexes_an_array() -> None:
    """A plain array cannot be asked for a traced entry; the error says how a Value can."""
    table, x = reals(4), reals(3)
    f = lambda x: np.sum(cr.fori(0, 4, lambda i, c: c * x + Value(table)[i], x))
    for g in (lambda x: cr.data(f(x)), cr.grad(f)):
        same(executed(g)(x), g(x))
    with pytest.raises(TracedError, match=r"test_loops.*indexed by one as cr\.Value\(a\)\[i\]"):
        captured(lambda x: cr.fori(0, 4, lambda i, c: c + table[i], x), x)


def either(x: Any, y: Any) -> Any:
    """Branches that read different Values, of which one ignores its operand."""
    a, b = cr.cond(
        np.sum(x) > 0, lambda z: (np.sin(z["z"]) * x, 1.0), lambda z: (y**3, np.sum(y)), {"z": 2 * x}
    )
    return np.sum(a) * b


def test_cond_in_both_modes() -> None:
    y = reals(3, seed=2)
    gradient = cr.grad(either, (0, 1))
    assert loops_in(either, y, y) == ["cond"]
    for x in (np.abs(y), -np.abs(y)):
        for f in (
            either,
            gradient,
            cr.hessian(either),
            lambda x, y: cr.jvp(either, (x, y), (y, x)),
            lambda x, y: cr.jvp(gradient, (x, y), (y, x)),
        ):
            same(executed(f)(x, y), f(x, y))


def test_a_branch_that_assigns_to_its_operand_is_refused() -> None:
    """A Python ``if`` would change it for all who have it."""

    def f(x: Any) -> Any:
        def assigns(y: Any) -> Any:
            y[0] = x[1]
            return y

        y = x * Value(1.0)
        return np.sum(cr.cond(np.sum(cr.data(x)) > 0, assigns, lambda y: y * x, y)) + np.sum(y)

    with pytest.raises(TracedError, match=r"cond: a branch assigns to elements of its operand.*x\.copy"):
        captured(f, reals(3))


def test_cond_within_scan_within_scan() -> None:
    w = reals(3, 3)

    def f(w: Any, x: Any) -> Any:
        def inner(c: Any, s: Any) -> Any:
            c = cr.cond(np.sum(c) > 0, lambda c: np.tanh(w @ c), lambda c: c * s + x, c)
            return c, np.sum(c)

        def outer(c: Any, i: Any) -> Any:
            c, ys = cr.scan(inner, c, np.array([1.0, 0.5, 2.0]))
            return c * i, ys

        c, ys = cr.scan(outer, x, np.array([1.0, -0.5]))
        return np.sum(ys) + np.sum(c)

    args = w, reals(3)
    gradient = cr.grad(f, (0, 1))
    for g in (f, gradient, lambda *a: cr.jvp(gradient, a, a)):
        same(executed(g)(*args), g(*args))


# -------------------------------------------------------------------- what nobody reads


def trim(program: Captured) -> dict[Traced, Any]:
    """Every loop of a program replaced by one without what is not picked: the new nodes by the old ones."""
    nodes = order(program.roots())
    used: dict[Traced, set[int]] = {}
    for x in nodes:
        if x.op == "item":
            used.setdefault(x.inputs[0], set()).add(x.params["index"])
    new: dict[Traced, Traced] = {}
    places: dict[Traced, dict[int, int]] = {}
    for x in nodes:
        params = {"index": places[x.inputs[0]][x.params["index"]]} if x.op == "item" else x.params
        y = Traced(x.origin, x.op, tuple(new[i] for i in x.inputs), x.shape, x.dtype, x.weak, params)
        if x in used and x.op != "call":
            y, places[x] = trimmed(y, used[x])
        new[x] = y
    return new


def test_what_nobody_reads_is_left_out() -> None:
    w, x, t = reals(3, 3), reals(3), reals(3, seed=9)

    def three(w: Any, x: Any) -> Any:
        """A carry that nothing depends on, one that depends on another, and a y too many."""

        def step(carry: Any, s: Any) -> Any:
            a, b, c = carry
            return (np.tanh(w @ a), b + np.sum(a), c * s[1]), (c, b, s[0] * a)

        return cr.scan(step, (x, 0.0, x), (np.ones(3), np.arange(3.0)))

    for f, sizes in (
        (lambda w, x: three(w, x)[0][0], [(1, 1, 0, 1)]),
        (lambda w, x: three(w, x)[0][1], [(1, 2, 0, 2)]),
        (lambda w, x: three(w, x)[1][0], [(0, 1, 1, 2)]),
        (lambda w, x: cr.jvp(lambda x: three(w, x)[0][0], (x,), (t,)), [(1, 1, 0, 1), (1, 2, 0, 2)]),
        (lambda w, x: cr.grad(lambda x: np.sum(three(w, x)[0][0]))(x), [(1, 1, 0, 2), (1, 3, 2, 3)]),
        (
            lambda w, x: cr.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x, x), (0, x, w[0]))[
                1
            ],
            [(1, 2)],
        ),
        (lambda w, x: cr.cond(np.sum(x) > 0, lambda: (x, w), lambda: (x, 2 * w))[0], [(1, None)]),
    ):
        program, leaves = captured(f, w, x)
        new = trim(program)
        nodes = order([new[r] for r in program.roots()])
        valid(nodes)
        found = []
        for y in nodes:
            p = y.params
            if y.op == "scan":
                found.append((p["constants"], p["carries"], p["xs"], len(p["results"])))
            elif y.op in ("while", "cond"):
                found.append((p["constants"], p.get("carries")))
        assert found == sizes, found
        values = evaluate(nodes, [leaves[s.which] for s in program.slots])
        same([values[new[r]] for r in program.roots()], f(w, x))


# -------------------------------------------------------------------- errors

X = np.zeros(3)
BAD = [
    (
        lambda x: cr.scan(lambda c, _: ({"h": c["h"] + x}, None), {"h": 0.0}, length=2),
        r"scan: carry\['h'\] starts as a Python float and the step returned float64 of shape \(3,\)",
    ),
    (
        lambda x: cr.scan(lambda c, _: (c.astype(np.float32), None), x, length=2),
        r"carry starts as float64 of shape \(3,\) and the step returned float32 of shape \(3,\)",
    ),
    (
        lambda x: cr.while_loop(lambda c: c, lambda c: c, x),
        r"while_loop: the condition is float64 of shape \(3,\)",
    ),
    (
        lambda x: cr.while_loop(lambda c: c > 0, lambda c: c, x),
        r"the condition is bool of shape \(3,\), expected one",
    ),
    (
        lambda x: cr.cond(x > 0, abs, abs, x),
        r"cond: the predicate is bool of shape \(3,\), expected one boolean",
    ),
    (
        lambda x: cr.cond(np.sum(x) > 0, lambda: x, lambda: (x, x)),
        r"cond: the result has the structure .* where the predicate is true and .* false; expected the same",
    ),
    (
        lambda x: cr.cond(np.sum(x) > 0, lambda: x, lambda: x[1:]),
        r"cond: result 0 is float64 of shape \(3,\) .* and float64 of shape \(2,\) where it is false",
    ),
    (
        lambda x: cr.fori(0, x, lambda i, c: c, x),
        r"fori: stop is float64 of shape \(3,\), expected an integer",
    ),
    (
        lambda x: cr.scan(lambda c, _: (c, "y"), x, length=2),
        r"scan: y is a str, expected a number or an array",
    ),
]


@pytest.mark.parametrize(("f", "text"), BAD)
def test_errors(f: Callable[..., Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        captured(f, X)
    assert current_trace() is None


# -------------------------------------------------------------------- through cr.compile


def approximately(got: Any, want: Any) -> None:
    for x, y in zip(optree.tree_leaves(got), optree.tree_leaves(want), strict=True):
        assert_allclose(cr.data(x), cr.data(y), rtol=1e-9, atol=1e-10)


@each
def test_all_derivatives_compiled(case: Loop) -> None:
    f, plain, args = partial(case.function, cr.scan), partial(case.function, unrolled), case.args
    approximately(cr.compile(everything(f, args))(*args), everything(plain, args)(*args))


@each
def test_a_compiled_gradient_and_the_gradient_of_what_is_compiled(case: Loop) -> None:
    """Programs with less in them: other things lie side by side in memory."""
    f, args = partial(case.function, cr.scan), case.args
    numbers = tuple(range(len(args)))
    want = cr.grad(partial(case.function, unrolled), numbers)(*args)
    approximately(cr.compile(cr.grad(f, numbers))(*args), want)
    approximately(cr.grad(cr.compile(f), numbers)(*args), want)


@pytest.mark.parametrize("case", COUNTED, ids=str)
def test_counting_loops_compiled(case: Loop) -> None:
    f, plain, args = partial(case.function, counted), partial(case.function, unrolled), case.args
    gradient = cr.value_and_grad(f, tuple(range(len(args))))
    approximately(cr.compile(gradient)(*args), cr.value_and_grad(plain, tuple(range(len(args))))(*args))
    approximately(cr.compile(f)(*args), plain(*args))


def test_while_loops_compiled() -> None:
    """One that assigns to its carry, and one around another that reads the carry all along."""

    def grown(x: Any) -> Any:
        def body(s: Any) -> Any:
            c, k = s
            c[1:] *= x[0]
            c += x
            return c, k + 1

        return np.sum(cr.while_loop(lambda s: s[1] < 4, body, (x * Value(np.ones(2)), 0))[0] ** 2)

    def kept(x: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            going = lambda d: (d[1] < 3) & (np.sum(cr.data(c)) < 100)
            return cr.while_loop(going, lambda d: (d[0] * 0.5 + c, d[1] + 1), (c, 0))[0], None

        return np.sum(cr.scan(step, x, length=3)[0])

    x, t = reals(2), reals(2, seed=3)
    for f in (grown, kept):
        along = lambda x, f=f: cr.jvp(f, (x,), (t,))
        approximately(cr.compile(along)(x), along(x))
        twice = lambda x, along=along: cr.jvp(lambda x: along(x)[1], (x,), (t,))
        approximately(cr.compile(twice)(x), twice(x))
        close(np.sum(cr.grad(f)(x) * t), cr.data(along(x)[1]))


def test_derivatives_of_a_compiled_loop() -> None:
    f = partial(LOOPS[0].function, cr.scan)
    args, t = LOOPS[0].args, directions(LOOPS[0].args)
    fast = cr.compile(f)
    along = lambda f, w, *rest: cr.hvp(lambda w: f(w, *rest), w, t[0])
    for g, h in (
        (fast, f),
        (cr.grad(fast), cr.grad(f)),
        (cr.hessian(fast), cr.hessian(f)),
        (lambda *a: cr.jvp(fast, a, t), lambda *a: cr.jvp(f, a, t)),
        (lambda *a: along(fast, *a), lambda *a: along(f, *a)),
    ):
        same(g(*args), h(*args))


def test_a_training_step_with_a_loop() -> None:
    w, v = Value(reals(3, 3)), Value(reals(3, 3))
    x = reals(3)

    def step(w: Value) -> Any:
        w.grad = None
        loss = np.sum(cr.scan(lambda c, _: (np.tanh(w @ c), None), x, length=5)[0] ** 2)
        loss.backward()
        w.data = w.data - 0.1 * w.grad
        return loss.data

    fast = cr.compile(step)
    for _ in range(3):
        close(fast(w), step(v))
    close(w.data, v.data)
