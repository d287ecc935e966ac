"""`compile(check=True)` names the operation that is wrong, and leaves alone what is right."""

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim
from chainrule.native import checking, emit
from chainrule.native.checking import CheckError, differing


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", "off")


@pytest.fixture
def break_(monkeypatch):
    """Make the machine code of an operation wrong where ``when`` says so."""

    def do(op, when=lambda e, m: True):
        right = emit.elementwise

        def wrong(e, m, a):
            y = right(e, m, a)
            if m.op == op and m.dtype.kind == "f" and when(e, m):
                return e._set(f"fadd {e._t(m)} {y}, {y}")
            return y

        monkeypatch.setattr(emit, "elementwise", wrong)

    return do


def checked(f):
    return cr.compile(f, check=True)


def error(f, *args):
    with pytest.raises(CheckError) as caught:
        f(*args)
    return str(caught.value)


# -------------------------------------------------------------------- what is right


def test_a_right_program_gives_its_results():
    f = checked(lambda x, y: {"a": np.tanh(x @ y).sum(0), "b": [np.exp(-x), 3.0]})
    x, y = np.arange(6.0).reshape(2, 3), np.ones((3, 2))
    got = f(x, y)
    np.testing.assert_allclose(got["a"], np.tanh(x @ y).sum(0))
    np.testing.assert_allclose(got["b"][0], np.exp(-x))
    assert got["b"][1] == 3.0


def training(dtype, steps, compiler):
    rng = np.random.default_rng(0)
    model = nn.MLP([5, 16, 3], activation="relu", rng=np.random.default_rng(1), dtype=dtype)
    rule = optim.SGD(model.parameters(), lr=0.1)

    def step(x, labels):
        loss = nn.cross_entropy(model(x), labels)
        rule.zero_grad()
        loss.backward()
        rule.step()
        return loss

    step = compiler(step)
    x, labels = rng.normal(size=(20, 5)).astype(dtype), rng.integers(0, 3, 20)
    losses = [step(x, labels).item() for _ in range(steps)]
    return losses, [p.data for p in model.parameters()], [p.grad for p in model.parameters()]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_state_moves_one_step_a_call(dtype):
    plain, mine = (training(dtype, 4, c) for c in (lambda f: f, checked))
    np.testing.assert_allclose(mine[0], plain[0], rtol=1e-5)
    for a, b in zip(mine[1] + mine[2], plain[1] + plain[2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def test_scalar_state_moves_one_step_a_call():
    w = Value(1.0)

    def step(x):
        loss = (w * x - 2.0) ** 2
        w.grad = None
        loss.backward()
        w.data -= 0.1 * w.grad
        return loss

    step = checked(step)
    expected = 1.0
    for x in (1.0, 3.0, 0.5):
        expected -= 0.1 * 2 * (expected * x - 2) * x
        step(x)
        assert w.data == pytest.approx(expected, rel=1e-14)


def test_arguments_are_not_changed_by_the_plain_run():
    def f(x):
        x = x * 1.0
        x += 1.0
        return x

    x = np.zeros(3)
    assert (checked(f)(x) == 1).all() and (x == 0).all()


def test_special_values_are_no_difference():
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e308, 1e-308])
    with np.errstate(all="ignore"):
        checked(lambda x: (np.log(x), 1 / x, np.exp(x), np.sqrt(x), x - x, np.sum(x)))(x)


def test_cancellation_is_rounding():
    """Sums that cancel to nothing differ in all digits between orders of addition."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=100_000) * 1e4).astype(np.float32)
    x = np.concatenate([x, -x[::-1]])
    f = checked(lambda x: np.sum(x * 1.1) * 1e6)
    assert np.isfinite(f(x))


# -------------------------------------------------------------------- wrong machine code


def test_the_wrong_operation_is_named_with_its_line_and_operands(break_):
    break_("tanh")

    def f(x, w):
        h = x @ w
        y = np.tanh(h)  # the line
        return np.sum(y * y, axis=1)

    said = error(checked(f), np.array([[0.5, 0.0], [0.0, 0.5]]), np.eye(2))
    assert "f: tanh of shape (2, 2), float64, is compiled wrongly" in said
    assert "at index (0, 0) compiled code gives 0.924234" in said and "NumPy 0.462117" in said
    assert "operand 0: the result of matmul, float64 (2, 2), 0.5 there" in said
    assert "test_checking.py, line " in said and "'y = np.tanh(h)  # the line'" in said
    assert "so result: at index 0" in said and "please report it" in said


@pytest.mark.parametrize("op", ["exp", "log", "subtract", "maximum", "multiply_add"])
def test_in_a_training_step_in_float32(break_, op):
    break_(op)
    op = "subtract" if op == "multiply_add" else op  # as it is written
    rng = np.random.default_rng(0)
    model = nn.MLP([5, 8, 3], activation="relu", rng=np.random.default_rng(1), dtype=np.float32)
    rule = optim.SGD(model.parameters(), lr=0.1)

    def step(x, labels):
        loss = nn.cross_entropy(model(x), labels)
        rule.zero_grad()
        loss.backward()
        rule.step()
        return loss

    before = [p.data.copy() for p in model.parameters()]
    said = error(checked(step), rng.normal(size=(20, 5)).astype(np.float32), rng.integers(0, 3, 20))
    assert f"step: {op} of shape" in said
    for p, b in zip(model.parameters(), before, strict=True):
        assert (p.data == b).all() and (p.grad == 0).all()  # as before the call


def test_only_some_elements_wrong(break_):
    break_("sin", lambda e, m: e.mask is not None)  # in the vectors' tails
    said = error(checked(lambda x: np.sin(x) + 1.0), np.full(67, 0.5))
    assert "sin of shape (67,)" in said and "at index 64" in said and "2 of 66 other places" in said


def test_inputs_are_called_by_their_names(break_):
    break_("cos")
    w = Value(np.ones(3), name="weights")
    said = error(checked(lambda x, p: np.cos(w) * np.cos(p["b"]) * x), 1.0, {"b": np.zeros(3)})
    assert "operand 0: weights, float64 (3,), 1.0 there" in said
    said = error(checked(lambda x, p: np.cos(p["b"]) * x), 1.0, {"b": np.zeros(3)})
    assert "operand 0: p['b'], float64 (3,), 0.0 there" in said


def test_what_is_wrong_only_when_fused(break_):
    """With every node returned nothing is recomputed; the fault shows only in the nest as it was."""
    break_("exp", lambda e, m: m not in e.nest.out)
    said = error(checked(lambda x: np.sum(np.exp(x) * 2.0)), np.ones(5))
    assert "compiled wrongly" in said and "multiply of shape (5,)" in said
    assert "the result of exp" in said


def test_in_the_body_of_a_loop(break_):
    break_("tanh")

    def f(w, x):
        return cr.scan(lambda c, t: (np.tanh(c @ w + t), c), np.zeros(2), x)[0].sum()

    said = error(checked(f), np.eye(2), np.ones((5, 2)))
    assert "f: scan of shape (2,), float64, is compiled wrongly" in said and "return cr.scan(" in said


def test_a_call_after_a_failed_one_works(break_, monkeypatch):
    f = checked(np.cosh)
    right = emit.elementwise
    break_("cosh")
    error(f, np.ones(3))
    monkeypatch.setattr(emit, "elementwise", right)
    f(np.ones(4))


# -------------------------------------------------------------------- wrong capture


def test_what_the_capture_missed_is_told_apart():
    numbers = itertools.count()

    def f(x):
        return x * (1.0 + next(numbers))

    said = error(checked(f), np.ones(2))
    assert "f: result: at index 0 the function gives 2.0, what was captured of it 1.0" in said
    assert "does not see" in said and "pass it as an argument" in said


def test_state_that_the_capture_missed():
    w, numbers = Value(1.0, name="w"), itertools.count()

    def f(x):
        w.data = x + next(numbers)

    said = error(checked(f), 1.0)
    assert "f: w: the function gives 2.0, what was captured of it 1.0" in said
    assert w.data == 1.0


def test_another_dtype_is_a_fault_of_ours(monkeypatch):
    from chainrule.native import operations

    single = np.dtype(np.float32)
    monkeypatch.setattr(operations.Traced, "__neg__", lambda x: operations.cast(x * -1.0, single))
    said = error(checked(lambda x: -x), np.ones(3))
    assert "result is float64 (3,) from the function, float32 (3,) when captured, by cast at " in said


def test_other_containers():
    numbers = itertools.count()
    said = error(checked(lambda x: [x] * (1 + next(numbers))), np.ones(2))
    assert "other containers" in said


def test_an_error_of_the_plain_function_is_raised_and_state_kept():
    w, numbers = Value(1.0), itertools.count()

    def f(x):
        w.data = x
        if next(numbers):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        checked(f)(2.0)
    assert w.data == 1.0


# -------------------------------------------------------------------- comparing


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ([1.0, 1e-12], [1.0, 2e-12], True),  # rounding is of the largest number
        ([1.0], [1.0 + 1e-8], False),
        ([np.nan, 1.0], [np.nan, 1.0], True),
        ([np.nan], [1.0], False),
        ([np.inf], [np.inf], True),
        ([np.inf], [-np.inf], False),
        ([np.inf, 1.0], [1e308, 1.0], False),
        ([0.0], [-0.0], True),
        ([1, 2], [1, 3], False),
        ([True], [True], True),
        ([1.0], [1], False),
        ([1.0], [1.0, 1.0], False),
        ([1j], [1j + 1e-12], True),
        ([], [], True),
        (None, None, True),
        (None, 0.0, False),
        ("a", "a", True),
    ],
)
def test_differing(a, b, same):
    a, b = (np.array(x) if isinstance(x, list) else x for x in (a, b))
    assert (differing(a, b) is None) == same


def test_float32_is_given_more_room():
    assert differing(np.float32([1]), np.float32([1.00001])) is None
    assert differing(np.float32([1]), np.float32([1.001])) is not None


def test_the_checker_itself_failing_hides_nothing(break_, monkeypatch):
    break_("tanh")

    def fails(*args):
        raise NotImplementedError

    monkeypatch.setattr(checking, "_culprit", fails)
    assert "result: at index 0 compiled code gives" in error(checked(np.tanh), np.ones(2))
