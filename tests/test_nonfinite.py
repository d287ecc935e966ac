"""The first operation that made a number that is none, and whose line it was."""

import gc
import inspect
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn
from chainrule.nonfinite import NonFinite
from tests.hard import row

X = np.array([2.0, 0.5, 1.5])
Z = np.array([4.0, 0.0])


def logarithm(x):
    y = x - 1.0
    return np.sum(np.log(y) * 2)


def root(x):
    y = x * 2
    return np.sum(np.sqrt(y))


def power(x):
    return np.sum(x**1.5)


def line_of(f, text):
    lines, first = inspect.getsourcelines(f)
    return first + next(i for i, s in enumerate(lines) if text in s)


@row(42)
def test_forward():
    found = cr.explain_nan(logarithm)(X)
    assert found and (found.operation, found.phase, found.derivative_of) == ("log", "forward", ())
    assert np.isnan(found.number) and found.index == (1,)
    np.testing.assert_array_equal(found.operands[0], X - 1)
    assert (found.file, found.function) == (__file__, "logarithm")
    assert found.line == line_of(logarithm, "np.log") and found.text == "return np.sum(np.log(y) * 2)"
    assert str(found).startswith("forward: log gave nan at [1], of -0.5\n    operand 0: float64 (3,): [")
    assert f"{__file__}, line {found.line}, in logarithm\n" in str(found)


@pytest.mark.parametrize(
    "f, phase, derivative_of, of",
    [
        (root, "backward", ("sqrt",), root),
        (cr.grad(root), "backward", ("sqrt",), root),
        (lambda x: cr.jvp(root, (x,), (np.ones(2),))[1], "tangent", ("sqrt",), root),
        (cr.grad(lambda x: cr.grad(power)(x)[1]), "backward", ("power", "power"), power),
        (cr.hessian(power), None, ("power", "power"), power),
        (cr.grad(lambda x: cr.grad(lambda y: cr.grad(lambda z: np.sum(z**2.5))(y)[1])(x)[1]),
         "backward", ("power",) * 3, None),
        (lambda x: cr.hvp(power, x, np.ones(2)), None, ("power", "power"), power),
    ],
)  # fmt: skip
def test_in_derivatives_of_every_order(f, phase, derivative_of, of):
    found = cr.explain_nan(f)(Z)
    assert found.derivative_of == derivative_of and phase in (None, found.phase)
    assert np.isinf(found.number) and found.file == __file__
    assert found.origin.primitive.name == derivative_of[-1]
    if of is not None:
        assert found.function == of.__name__
        assert found.line == line_of(of, "sqrt" if of is root else "1.5")
    assert f"{found.phase}, in the derivative of {derivative_of[0]}" in str(found)


def chosen(x):
    return np.where(x > 1, np.log(x - 1), 0.0)


@pytest.mark.parametrize("f", [logarithm, cr.grad(power), power, chosen])
def test_what_is_finite_is_said_to_be(f):
    found = cr.explain_nan(f)(np.array([2.0, 1.5]))
    assert not found and found == NonFinite()
    assert str(found) == "every number is finite, in the result and in its derivatives"


def test_a_further_derivative_is_not_taken_of_a_derivative():
    assert not cr.explain_nan(power)(Z)
    assert not cr.explain_nan(cr.grad(power))(Z)


def test_untaken_branches_are_not_blamed():
    def f(x):
        safe = np.where(x > 1, np.log(x - 1), 0.0)
        return np.sum(safe * np.sqrt(x - 2))

    found = cr.explain_nan(f)(np.array([3.0, 0.5]))
    assert found.operation == "sqrt"


def test_an_overflow_that_a_later_result_hides_is_found_where_it_spoils_the_gradient():
    found = cr.explain_nan(lambda x: 1 / (1 + np.exp(x) ** 2))(800.0)
    assert (found.operation, found.phase) == ("exp", "forward")


def test_numbers_that_were_there_from_the_beginning():
    bad = np.array([1.0, np.nan])
    assert str(cr.explain_nan(root)(bad)) == "argument 0 holds nan at [1]"
    assert cr.explain_nan(lambda p, x: np.sum(p["w"] * x))({"w": bad}, Z).source == "argument 0['w']"
    found = cr.explain_nan(lambda x: np.sum(x * np.array([1.0, np.inf])))(Z + 1)
    assert found.source == "operand 1 of multiply, a constant," and found.file == __file__
    w = Value(bad, name="w")
    assert cr.explain_nan(lambda x: np.sum(x * w))(Z).source == "the leaf w"
    assert "no Value" in cr.explain_nan(lambda x: np.sum(bad))(Z).source


def test_values_recorded_earlier():
    x = Value(X)
    with np.errstate(invalid="ignore"):
        y = np.sum(np.log(x - 1))
    found = cr.explain_nan(y)
    assert (found.operation, found.index, found.file) == ("log", (1,), "")
    assert cr.explain_nan(root(Value(Z))).derivative_of == ("sqrt",)
    assert not cr.explain_nan(root(Value(Z + 1)))


def test_only_some_arguments_become_values():
    def f(x, n):
        return np.sum(np.log(x) * int(n))

    with pytest.raises(TypeError, match="int of a tracked Value"):
        cr.explain_nan(f)(Z, 2.0)
    assert cr.explain_nan(f, argnums=0)(Z, 2.0).operation == "log"
    assert cr.explain_nan(f, argnums=(0,))(Z, n=2.0).operation == "log"


@pytest.mark.parametrize("slip", [(Z,), (2.0,), (True,)], ids=["array", "float", "bool"])
def test_arguments_come_in_a_second_call(slip):
    with pytest.raises(TypeError, match=r"^explain_nan: argnums is .*, expected integers; .*explain_nan"):
        cr.explain_nan(root, *slip)


@pytest.mark.parametrize("argnums, error", [(1, TypeError), ((0, -2), TypeError), ((0, -1), ValueError)])
def test_arguments_that_are_not_there_are_refused(argnums, error):
    with pytest.raises(error, match=r"^explain_nan: argnums .*names"):
        cr.explain_nan(root, argnums)(Z)


def test_in_loops():
    def f(x):
        total = 0.0
        for k in range(3):
            total = total + np.sqrt(x - k)
        return sum([total * i for i in range(2)])

    found = cr.explain_nan(f)(1.5)
    assert (found.operation, found.operands) == ("sqrt", (-0.5,))
    assert found.line == line_of(f, "np.sqrt") and found.function == "f"


def logs(x):
    def body(c, a):
        d = c - a
        return np.log(d), d  # logs

    return cr.scan(body, x, np.array([0.5, 1.0, 2.0]))[0]


def backwards(x):
    at = np.array([1.0, 0.0, 2.0])
    return np.sum(cr.scan(lambda c, a: (c, np.log(a * c)), x, at, reverse=True)[1])  # backwards


def counted(x):
    return cr.fori(2, 6, lambda i, c: np.sqrt(c - 1.0), x)  # counted


def watched(x):
    return cr.while_loop(lambda c: c > -1.0, lambda c: np.sqrt(c - 1.0) * 1, x)  # watched


def branch(x):
    return cr.fori(0, 2, lambda i, c: cr.cond(i > 0, lambda c: np.log(c - 5), lambda c: c, c), x)  # branch


def nested(x):
    def inner(c, a):
        return cr.fori(0, 2, lambda i, y: np.sqrt(y) * a, c)  # nested

    return np.sum(cr.scan(lambda c, a: (c, inner(c, a)), x, np.array([1.0, 0.0]))[1])


def around(w):
    return cr.scan(lambda c, _: (np.sqrt(w) * c, None), 1.0, length=3)[0]  # around


LOOPS = [
    (logs, 4.0, "log", "forward", ("step 2 of scan",)),
    (backwards, 1.0, "log", "forward", ("step 1 of scan",)),
    (counted, 3.0, "sqrt", "forward", ("step 2 of fori",)),
    (watched, 3.0, "sqrt", "forward", ("step 2 of while_loop",)),
    (branch, 1.0, "log", "forward", ("step 1 of fori",)),
    (nested, 0.0, "divide", "backward", ("step 1 of scan", "step 1 of fori")),
    (around, 0.0, "divide", "backward", ("step 2 of scan",)),
]


@pytest.mark.parametrize("f, x, operation, phase, steps", LOOPS, ids=[f.__name__ for f, *_ in LOOPS])
def test_in_loops_that_are_one_operation(f, x, operation, phase, steps):
    """The operation of the body, its step, its line, in any phase; of what was recorded earlier too."""
    asked = [lambda: cr.explain_nan(f)(x), lambda: cr.explain_nan(cr.compile(f))(x)]
    if f is not watched:  # whose operations are in the graph, without lines
        asked.append(lambda: cr.explain_nan(recorded(f, x)))
    if phase == "backward":
        asked.append(lambda: cr.explain_nan(cr.grad(f))(x))
    for ask in asked:
        found = ask()
        assert (found.operation, found.phase, found.steps) == (operation, phase, steps)
        assert found.text.endswith(f"# {f.__name__}") and f"in {steps[-1]}" in str(found)
        assert phase == "forward" or found.derivative_of == ("sqrt",)


def recorded(f, x):
    with np.errstate(all="ignore"):
        return f(Value(x))


def test_a_watched_loop_gives_what_it_gives():
    """Looking changes no number and no derivative."""

    def f(x):
        c, ys = cr.scan(lambda c, a: ((c[0] * a, c[1] + 1), {"y": c[0] ** 2 + a}), (x, 0), np.arange(3.0) + 1)
        return np.sum(ys["y"]) + c[0] * c[1]

    seen = []
    found = cr.explain_nan(lambda x: seen.append(cr.value_and_grad(f)(x)) or np.sum(x))(2.0)
    (value, gradient), want = seen[0], cr.value_and_grad(f)(2.0)
    assert not found and (value.data, gradient.data) == want


def test_containers_and_what_holds_no_numbers():
    def f(p, name):
        return {"a": p["x"], "b": None, "c": (name, np.log(p["x"]))}

    found = cr.explain_nan(f)({"x": 0.0}, "n")
    assert found.operation == "log" and found.number == -np.inf
    assert not cr.explain_nan(lambda p, name: {"a": p["x"], "b": None})({"x": 0.0}, "n")


def test_assignments_to_elements():
    def f(x):
        a = Value(np.zeros(3))
        a[1] = np.log(x)
        a[2] += 1.0
        return np.sum(a * 2)

    found = cr.explain_nan(f)(-1.0)
    assert found.operation == "log" and found.line == line_of(f, "np.log")


def test_parameters_and_modules():
    class Root(nn.Module):
        def __init__(self):
            self.w = Value(np.zeros(2))

        def forward(self, x):
            return np.sqrt(self.w) * x

    def f(x):  # the module is gone by the end: the notes must hold it
        y = np.sum(nn.Sequential(Root())(x))
        gc.collect()
        return y

    found = cr.explain_nan(f)(X[:2])
    assert found.derivative_of == ("sqrt",) and found.module == "0: Root" and found.function == "forward"


@row(42, compiled=True)
def test_a_compiled_function_is_looked_at_as_it_was_written():
    assert cr.explain_nan(cr.compile(logarithm))(X).operation == "log"


def test_in_rules_of_the_users_own():
    @cr.primitive(partials=lambda y, x: 1 / x)
    def own(x):
        return x * 1.0

    assert cr.explain_nan(lambda x: np.sum(own(x)))(Z).derivative_of == ("own",)


def test_nothing_is_left_behind():
    def tracer(frame, event, arg):
        return None

    import sys

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cr.explain_nan(logarithm)(X)
        assert sys.gettrace() is tracer
        with pytest.raises(ZeroDivisionError):
            cr.explain_nan(lambda x: 1 / 0)(X)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("f", [2.0, "f", None])
def test_bad_input_is_named(f):
    with pytest.raises(TypeError, match=r"explain_nan: received a .*, expected a function or a Value"):
        cr.explain_nan(f)


def test_python_complex_numbers_become_values() -> None:
    found = cr.explain_nan(lambda z: np.abs(np.log(z)))(0j)
    assert found.operation == "log" and found.operands == (0j,)
