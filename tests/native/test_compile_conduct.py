"""How compiled functions behave: state, aliasing, errors, arguments, and composition with everything else."""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import gc
import math
import pickle
import re
import warnings
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim
from chainrule.native import lower
from chainrule.traced import TracedError
from tests.native.agree import agree
from tests.test_hard_points import a


def plain(f: Any) -> Any:
    return f


def count(f: Any) -> int:
    return sum(map(len, f.programs.values()))


# -------------------------------------------------------------------- a compiled step and its eager twin


class Twin:
    """A model, its optimiser and what the user has been given; compiled or eager."""

    def __init__(self, wrap: Any, seed: int) -> None:
        self.model = nn.MLP([3, 4, 2], activation=("tanh", "relu", "softplus")[seed % 3], rng=seed)
        self.scale = Value(1.5)
        self.parameters = [*self.model.parameters(), self.scale]
        if seed % 2:
            self.opt: Any = optim.Adam(self.parameters, lr=0.05)
        else:
            self.opt = optim.SGD(self.parameters, lr=0.05, momentum=0.9)
        self.kept: list[Any] = []
        self.compiled = wrap is not plain
        self.plain_step = self._make_step(True)
        self.plain_loss = self._make_loss()
        self.step, self.loss = wrap(self.plain_step), wrap(self.plain_loss)
        self.accumulate = wrap(self._make_step(False))

    def _make_step(self, zero: bool) -> Any:
        model, scale, opt = self.model, self.scale, self.opt

        def step(x: Any) -> Any:
            if x.shape[0] == 5:
                raise ArithmeticError("five")
            if zero:
                opt.zero_grad()
            loss = np.mean((model(x) * scale) ** 2) + 0.01 * scale * scale
            loss.backward()
            if x.shape[0] == 6:
                raise ArithmeticError("six")
            opt.step()
            if x.shape[0] == 7:
                raise ArithmeticError("seven")
            return loss, {"scale": scale.data * 2, "x": x + 1}

        return step

    def _make_loss(self) -> Any:
        model, scale = self.model, self.scale

        def loss(x: Any) -> Any:
            return np.mean((model(x) * scale) ** 2)

        return loss

    # what may happen between two calls; each gets numbers of its own to draw from

    def do_step(self, rng: Any) -> Any:
        return self.step(rng.normal(size=(rng.integers(1, 4), 3)))

    def do_step_that_accumulates(self, rng: Any) -> Any:
        return self.accumulate(rng.normal(size=(2, 3)))

    def do_eager_step(self, rng: Any) -> Any:
        return self.plain_step(rng.normal(size=(2, 3)))

    def do_failing_step(self, rng: Any) -> Any:
        """Fails while it is captured, and so changes nothing; eagerly half of it would have happened."""
        if self.compiled:
            with pytest.raises(ArithmeticError):
                self.step(rng.normal(size=(rng.integers(5, 8), 3)))

    def do_loss(self, rng: Any) -> Any:
        loss = self.loss(rng.normal(size=(2, 3)))
        self.kept.append(loss)
        return loss

    def do_backward_of_a_kept_loss(self, rng: Any) -> Any:
        losses = [v for v in self.kept if type(v) is Value and v.primitive is not None and not v.shape]
        if losses:
            losses[rng.integers(len(losses))].backward()

    def do_record_eagerly(self, rng: Any) -> Any:
        self.kept.append(self.plain_loss(rng.normal(size=(2, 3))))

    def do_new_data(self, rng: Any) -> Any:
        p = self.parameters[rng.integers(len(self.parameters))]
        p.data = rng.normal(size=p.shape) * 0.5 if p.shape else float(rng.normal())

    def do_write_data(self, rng: Any) -> Any:
        p = self.parameters[rng.integers(len(self.parameters) - 1)]
        p.data[..., 0] = rng.normal()

    def do_update_data(self, rng: Any) -> Any:
        p = self.parameters[rng.integers(len(self.parameters))]
        p.data -= 0.1 * p.grad

    def do_forget_gradients(self, rng: Any) -> Any:
        for p in self.parameters[:: rng.integers(1, 3)]:
            p.grad = None

    def do_zero_gradients(self, rng: Any) -> Any:
        for p in self.parameters:
            p.grad = 0.0 * p.grad

    def do_write_gradient(self, rng: Any) -> Any:
        p = self.parameters[rng.integers(len(self.parameters) - 1)]
        p.grad[...] = rng.normal()

    def do_new_gradient(self, rng: Any) -> Any:
        p = self.parameters[rng.integers(len(self.parameters))]
        p.grad = rng.normal(size=p.shape)[()]

    def do_keep(self, rng: Any) -> Any:
        p = self.parameters[rng.integers(len(self.parameters))]
        self.kept += [p.data, p.grad, self.step(rng.normal(size=(2, 3)))]

    def do_write_into_what_was_kept(self, rng: Any) -> Any:
        arrays = [x for x in self.kept if type(x) is np.ndarray and x.flags.writeable]
        if arrays:
            arrays[rng.integers(len(arrays))][...] = rng.normal()

    def do_new_rate(self, rng: Any) -> Any:
        self.opt.lr = float(rng.choice([0.05, 0.01]))

    def do_copy(self, rng: Any) -> Any:
        p = self.parameters[rng.integers(len(self.parameters))]
        again = copy.deepcopy(p) if rng.integers(2) else pickle.loads(pickle.dumps(p))
        again.data = again.data * 2 + 1
        again.grad = again.grad + 1
        self.kept.append(again)

    def do_evaluate(self, rng: Any) -> Any:
        return self.model(rng.normal(size=(2, 3)))

    def do_save_and_load(self, rng: Any) -> Any:
        saved = [copy.deepcopy(p.data) for p in self.parameters]
        self.do_step(rng)
        for p, d in zip(self.parameters, saved, strict=True):
            p.data = d

    @property
    def state(self) -> Any:
        moments = [v for n in ("mean", "square", "steps", "velocity") for v in getattr(self.opt, n, [])]
        everything = [*self.parameters, *moments]
        return [v.data for v in everything], [v.grad for v in everything], self._kept()

    def _kept(self) -> Any:
        out = []
        for x in self.kept:
            out.append(x)
            if type(x) is Value:
                out.append(x.grad)
        return out


PARTS = ("data", "gradients", "what was kept")
ACTIONS = [name for name in vars(Twin) if name.startswith("do_")]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_between_calls_is_as_eager(seed: int) -> None:
    """A random story: steps, errors, writing, copying; after each action all numbers are compared."""
    fast, slow = Twin(cr.compile, seed), Twin(plain, seed)
    rng = np.random.default_rng(seed)
    story = []
    for _ in range(25):
        name = ACTIONS[rng.integers(len(ACTIONS))] if rng.random() < 0.7 else "do_step"
        story.append(name[3:])
        draw = int(rng.integers(2**32))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            got = getattr(fast, name)(np.random.default_rng(draw))
            want = getattr(slow, name)(np.random.default_rng(draw))
        try:
            agree(got, want, rtol=1e-9, what="result")
            for part, x, y in zip(PARTS, fast.state, slow.state, strict=True):
                agree(x, y, rtol=1e-8, what=part)
        except AssertionError as error:
            raise AssertionError(f"after {', '.join(story)}: {error}") from None


@pytest.mark.parametrize("action", ACTIONS)
def test_each_of_these_between_steps(action: str) -> None:
    """Every action by itself, so that a mistake in one is named."""
    fast, slow = Twin(cr.compile, 1), Twin(plain, 1)
    rng = np.random.default_rng(0)
    for name in ("do_step", "do_keep", "do_loss", action, "do_step", action, "do_step", "do_keep", action):
        draw = int(rng.integers(2**32))
        with np.errstate(all="ignore"):
            got = getattr(fast, name)(np.random.default_rng(draw))
            want = getattr(slow, name)(np.random.default_rng(draw))
        agree(got, want, rtol=1e-10, what=f"result of {name}")
        for part, x, y in zip(PARTS, fast.state, slow.state, strict=True):
            agree(x, y, rtol=1e-10, what=f"{part} after {name}")


# -------------------------------------------------------------------- errors


def snapshot(values: Any) -> Any:
    return [(v._raw, None if v._grad is None else np.array(v._grad), v.args) for v in values]


WHEN = ["before", "after zero_grad", "after backward", "after step", "in the result"]


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt], ids=lambda e: e.__name__)
def test_an_error_while_capturing_leaves_everything_as_it_was(when: str, error: Any) -> None:
    model = nn.MLP([2, 3, 1], rng=0)
    opt = optim.Adam(model.parameters(), lr=0.1)
    every = [*model.parameters(), *opt._named_state().values()]
    box = {"fail": True}
    x = np.ones((4, 2))

    def fail(here: str) -> None:
        if box["fail"] and when == here:
            raise error(here)

    @cr.compile
    def step(x: Any) -> Any:
        fail("before")
        opt.zero_grad()
        fail("after zero_grad")
        loss = np.mean(model(x) ** 2)
        loss.backward()
        fail("after backward")
        opt.step()
        fail("after step")
        return object() if box["fail"] and when == "in the result" else loss

    np.mean(model(x)).backward()
    before = snapshot(every)
    with pytest.raises(TypeError if when == "in the result" else error):
        step(x)
    for (data, grad, args), (data_now, grad_now, args_now) in zip(before, snapshot(every), strict=True):
        assert data_now is data and args_now is args
        agree(grad_now, grad)
    agree(cr.grad(lambda x: np.sum(x * x))(a(1, 2)), a(2, 4))  # eager work goes on
    assert np.sum(model(x)).data == np.sum(model(x)).data
    box["fail"] = False
    twin = nn.MLP([2, 3, 1], rng=0)
    twin_opt = optim.Adam(twin.parameters(), lr=0.1)
    for _ in range(2):
        twin_opt.zero_grad()
        loss = np.mean(twin(x) ** 2)
        loss.backward()
        twin_opt.step()
        agree(step(x), loss, rtol=1e-12)
    agree([p.data for p in model.parameters()], [p.data for p in twin.parameters()], rtol=1e-12)


def test_an_error_of_numpy_while_running_leaves_everything_as_it_was() -> None:
    """Inverting a singular matrix in the middle of a program, which NumPy does."""
    w = Value(a(1, 2))

    @cr.compile
    def step(m: Any) -> Any:
        w.data = w.data * 2
        w.grad = w.data * 3
        return np.linalg.inv(m)

    agree(step(np.eye(2) * 2), np.eye(2) / 2)
    w.grad = None
    held = w.data.copy()
    with pytest.raises(np.linalg.LinAlgError):
        step(np.zeros((2, 2)))
    agree(w.data, held)
    assert w._grad is None
    agree(step(np.eye(2)), np.eye(2))
    agree(w.data, held * 2)


def test_a_call_after_a_failed_call_works() -> None:
    def f(x: Any, flag: Any) -> Any:
        return x if flag else -x

    fast = cr.compile(f, static_argnums=1)
    slow = cr.compile(f)
    for _ in range(2):
        with pytest.raises(TracedError):
            slow(a(1, 2), True)
        agree(fast(a(1, 2), False), a(-1, -2))
        agree(fast(a(1, 2), True), a(1, 2))
    agree(cr.compile(lambda x: x * 2)(a(1, 2)), a(2, 4))


def test_shapes_that_do_not_fit_are_named_and_the_next_call_works() -> None:
    f = cr.compile(lambda x, y: x @ y)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 3\)"):
            f(np.ones((2, 3)), np.ones((2, 3)))
        agree(f(np.ones((2, 3)), np.ones((3, 2))), np.full((2, 2), 3.0))


class Thing:
    pass


BAD_ARGUMENTS = {
    "an object": Thing(),
    "a function": np.sin,
    "an array of objects": np.array([Thing(), 1], object),
    "an array of words": np.array(["a", "b"]),
    "dates": np.array(["2020-01-01"], "datetime64[D]"),
    "records": np.zeros(2, [("a", float)]),
    "a set": {1.0},
    "a type": float,
}


@pytest.mark.parametrize("what", BAD_ARGUMENTS)
def test_an_argument_that_cannot_be_traced_is_named(what: str) -> None:
    f = cr.compile(lambda x, y: (x["deep"][0] if type(x) is dict else x) * 1 + y)
    with pytest.raises(TypeError, match=r"compile: argument x of <lambda> is .*expected .*"):
        f(BAD_ARGUMENTS[what], a(1, 2))
    with pytest.raises(TypeError, match=r"compile: argument x\['deep'\]\[0\] of <lambda> is .*expected .*"):
        f({"deep": [BAD_ARGUMENTS[what]]}, a(1, 2))
    agree(f(1.0, a(1, 2)), a(2, 3))


BAD_RESULTS = {
    "an object": Thing(),
    "a function": np.sin,
    "a set": {1.0},
    "a generator": (i for i in "ab"),
    "a type": float,
    "an array of objects": np.array([Thing()]),
}


@pytest.mark.parametrize("what", BAD_RESULTS)
def test_a_result_that_is_no_array_is_named(what: str) -> None:
    def special_name(x: Any) -> Any:
        return x, {"deep": BAD_RESULTS[what]}

    with pytest.raises(TypeError, match="special_name returned"):
        cr.compile(special_name)(a(1, 2))


def test_what_is_compiled_must_be_a_function() -> None:
    with pytest.raises(TypeError, match="expected a function"):
        cr.compile(3)
    with pytest.raises(TypeError, match=r"f is a property.*write @property above"):
        cr.compile(property(lambda self: 1.0))
    with pytest.raises(TypeError, match="static_argnums"):
        cr.compile(np.sin, static_argnums="x")
    with pytest.raises(TypeError, match=r"cannot be hashed \(unhashable type: 'list'\)"):
        cr.compile(lambda x, y: x, static_argnums=1)(a(1), [1])
    with pytest.raises(TypeError, match=r"missing|argument"):
        cr.compile(lambda x, y: x)(a(1))
    f = cr.compile(lambda x: x)
    with pytest.raises(RuntimeError, match="not been called"):
        f.report()


def test_what_does_not_return_at_once_is_refused_by_name() -> None:
    def rows(x: Any) -> Any:
        yield x

    async def later(x: Any) -> Any:
        return x

    async def stream(x: Any) -> Any:
        yield x

    class Rows:
        def __call__(self, x: Any) -> Any:
            yield x

    for f, what in (
        (rows, "rows is a generator function"), (later, "later is a coroutine function"),
        (stream, "stream is an asynchronous"), (Rows(), "Rows is a generator"),
        (functools.partial(rows, 1.0), "partial is a generator"), (Rows().__call__, "__call__ is a"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=f"compile: {what}.*collect them in a list"):
            cr.compile(f)


def test_a_warning_says_why_it_is_compiled_again_and_again() -> None:
    """It names the argument, or the variable, and both its values; 64 programs are kept at most."""
    f = cr.compile(lambda x, *rest, **options: x + 1)
    calls: dict[str, Any] = {
        r"x was float64 \(14,\), is float64 \(15,\).*shapes": lambda n: f(np.ones(n)),
        r"rest\[0\]\['a'\] was a Value of float64 \(14,\)": lambda n: f(1.0, {"a": Value(np.ones(n))}),
        r"how was '.{14}', is '.{15}'": lambda n: f(1.0, how="x" * n),
        "other containers": lambda n: f(1.0, *[1.0] * n),
    }
    for match, call in calls.items():
        f = cr.compile(lambda x, *rest, **options: x + 1)
        with pytest.warns(UserWarning, match=rf"compiled 16 times, the last time because .*{match}"):
            for n in range(16):
                call(n)
    f = cr.compile(lambda x, n: x + n, static_argnums=1)
    with pytest.warns(UserWarning, match=r"static argument 1 was 14, is 15.*ordinary"):
        for n in range(16):
            f(1.0, n)


class Settings:
    threshold = 0


NUMBERS: dict[str, Any] = {
    r"box\['n'\]": lambda s, n: s["box"].update(n=n),
    r"rows\[1\]\[0\]": lambda s, n: s["rows"][1].__setitem__(0, n),
    r"settings\.threshold": lambda s, n: setattr(s["settings"], "threshold", n),
    r"k": lambda s, n: s["set_k"](n),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_warning_names_the_variable_that_keeps_changing(name: str) -> None:
    box, rows, settings, k = {"n": 0}, [[1], [0]], Settings(), 0

    def set_k(n: int) -> None:
        nonlocal k
        k = n

    g = cr.compile(lambda x: x + box["n"] + rows[1][0] + settings.threshold + k)
    with pytest.warns(UserWarning) as caught:
        for n in range(100):
            NUMBERS[name](locals(), n)
            agree(g(1.0), 1.0 + n)
    text = [str(w.message) for w in caught]
    assert re.search(rf"16 times, the last time because {name} was 14, is 15; keep .* in a Value", text[0])
    assert count(g) == 64


def test_the_programs_that_are_kept_are_those_used_last() -> None:
    """Of one list of programs and of several; derivatives of what was let go stay right."""
    box, w = {"n": 0}, Value(3.0)
    f = cr.compile(lambda x: x * w * box["n"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        early = f(2.0)
        favourite = f.last
        for n in range(1, 150):
            box["n"] = n
            assert f(2.0).data == 6.0 * n
            f(np.ones(n % 3))
            box["n"] = 0
            assert f(2.0).data == 0.0 and f.last is favourite
        w.grad = None
        (early + 1.0).backward()
        assert w.grad == 0.0 and count(f) == 64


def test_a_function_that_changes_what_it_reads_is_told_so() -> None:
    """By a warning from the second time on, the first may fill a cache; with a traced value by an error."""
    log: list[Any] = []
    cache: dict[str, float] = {}

    def counting(x: Any) -> Any:
        log.append(1)
        return x * len(log)

    f = cr.compile(counting)
    assert f(1.0) == 1.0
    with pytest.warns(UserWarning, match=r"counting changes .*log had 1 entries, has 2; return it"):
        assert f(1.0) == 2.0
    assert f(1.0) == 3.0

    def caching(x: Any) -> Any:
        if "k" not in cache:
            cache["k"] = 2.0
        return x * cache["k"]

    g = cr.compile(caching)
    assert [g(1.0) for _ in range(4)] == [2.0] * 4 and count(g) == 2
    w = Value(1.0)
    losses: list[Any] = []
    for f in (lambda x: losses.append(x), lambda x: losses.append(w * x)):
        with pytest.raises(TracedError, match=r"puts a traced value into losses.*return it"):
            cr.compile(f)(1.0)
        assert losses == []


def test_a_warning_names_scan_where_a_long_loop_is_unrolled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower, "MANY", 3)

    @cr.compile
    def orbit(y: Any) -> Any:
        for _ in range(9):
            y = np.roll(y, 1) @ y * y
        return y

    with pytest.warns(UserWarning, match=r"orbit has become \d+ kernels.*chainrule.scan") as caught:
        orbit(np.ones(3))
    assert caught[0].filename == __file__


def test_no_warning_reaches_the_user() -> None:
    """Warnings are errors here: neither overflow nor division by zero in a program makes one."""
    x = a(0, 1e308, -1, np.inf, np.nan)

    @cr.compile
    def f(x: Any) -> Any:
        fallen_back = [np.sort(x), np.cumprod(x), np.fft.fft(x).real]
        return [np.log(x), 1 / x, x * x, np.exp(x), x % 0.0, np.std(x), x.astype(np.float32), *fallen_back]

    f(x)
    f(x)


# -------------------------------------------------------------------- state


def test_state_of_another_shape_or_dtype_is_noticed() -> None:
    """A parameter exchanged for one of another shape: compiled again, never wrong numbers."""
    layer = nn.Linear(3, 2, rng=0)

    @cr.compile
    def step(x: Any) -> Any:
        layer.weight.grad = None
        loss = np.sum(layer(x) ** 2)
        loss.backward()
        return loss

    def check(n: int, dtype: Any) -> None:
        x = np.ones((4, n), dtype)
        got = step(x)
        g = layer.weight.grad.copy()
        layer.weight.grad = None
        want = np.sum(layer(x) ** 2)
        want.backward()
        agree((got, g), (want, layer.weight.grad), rtol=1e-6 if dtype is np.float32 else 1e-12)

    check(3, np.float64)
    layer.weight, layer.n_in = Value(np.ones((5, 2))), 5
    check(5, np.float64)
    layer.weight = Value(np.ones((5, 2), np.float32))
    check(5, np.float32)
    layer.weight = Value(np.full((5, 2), 3.0))
    check(5, np.float64)
    check(5, np.float64)


def test_a_leaf_whose_data_was_forced_into_another_shape() -> None:
    """Through the back door: a named error or the right numbers, never wrong ones."""
    w = Value(np.arange(6.0))
    f = cr.compile(lambda x: np.sum(w * x))
    assert f(2.0).data == 30
    w.args, w._raw = (), np.ones(3)
    try:
        assert f(2.0).data == 6
    except (TypeError, ValueError) as error:
        assert "shape" in str(error)
    w._raw = np.ones(6, np.float32)
    try:
        assert f(2.0).data == 12
    except (TypeError, ValueError) as error:
        assert "dtype" in str(error) or "float32" in str(error)


def test_gradients_handed_out_stay_what_they_were() -> None:
    w = Value(a(1, 2, 3))

    @cr.compile
    def step(x: Any) -> Any:
        w.grad = None
        loss = np.sum(w * w * x)
        loss.backward()
        return loss, w.grad * 1.0

    kept = []
    for k in range(5):
        loss, g = step(float(k))
        kept.append((loss, g, w.grad, k))
    for loss, g, grad, k in kept:
        agree([loss.data, g, grad], [14.0 * k, a(2, 4, 6) * k, a(2, 4, 6) * k])


def test_data_handed_out_is_as_eager() -> None:
    """``d = p.data`` follows an update as it does in eager; a copy does not."""

    def run(wrap: Any) -> Any:
        w = Value(a(1, 2, 3))

        @wrap
        def step() -> Any:
            w.data = w.data * 2
            return w.data + 0

        early = w.data
        copied = w.data.copy()
        out = [step(), step()]
        late = w.data
        out.append(step())
        late[0] = 50  # the user's own writing is seen by the next step
        out += [step(), early, copied, late, w.data]
        return out

    agree(run(cr.compile), run(plain))


def test_results_are_not_written_over() -> None:
    f = cr.compile(lambda x: [x + 1, np.cumsum(x), x @ x, np.sum(x), x[:2], x.T, x, np.sort(x)])
    first = f(a(1, 2, 3))
    held = copy.deepcopy(first)
    second = f(a(4, 5, 6))
    agree(first, held)
    held = copy.deepcopy(second)
    for x in first:
        if type(x) is np.ndarray and x.flags.writeable:
            x[...] = 99
    agree(second, held)
    agree(f(a(4, 5, 6)), held)


def test_results_do_not_share_memory_with_each_other_or_with_state() -> None:
    w = Value(a(1, 2, 3))
    c = a(7, 8, 9)
    f = cr.compile(lambda x: {"x": x * 1, "again": x * 1, "w": w.data, "c": c * 1, "d": np.zeros(3), "g": c})
    out = f(a(4, 5, 6))
    want = copy.deepcopy(out)
    out["x"][0] = 50
    assert out["again"][0] == 4
    for key in ("again", "d"):
        out[key][...] = 60
    agree(f(a(4, 5, 6)), want)
    agree(w.data, a(1, 2, 3))


def test_a_constant_result_is_a_fresh_one_each_time() -> None:
    """As the function itself would make it: writing into one does not change the next."""
    f = cr.compile(lambda x: (np.arange(3.0), np.ones(2) * 2, [np.eye(2)]))
    first = f(1.0)
    for x in (first[0], first[1], first[2][0]):
        x[...] = 99
    agree(f(1.0), (np.arange(3.0), np.ones(2) * 2, [np.eye(2)]))


def test_results_can_be_written_to() -> None:
    f = cr.compile(lambda x: (x * 2, x[::2], x.reshape(2, 2).T, np.broadcast_to(x * 2, (2, 4)) + 0))
    for y in f(np.arange(4.0)):
        y += 1


def test_arguments_are_never_written_to() -> None:
    def f(x: Any, y: Any) -> Any:
        x = x + 1
        y = y * 2
        y -= x
        return x, y, np.sort(x), np.cumsum(y)

    x, y = a(3, 1, 2), a(1, 2, 3)
    kept = x.copy(), y.copy()
    fast = cr.compile(f)
    for _ in range(3):
        agree(fast(x, y), f(x.copy(), y), rtol=1e-15)
        agree((x, y), kept)


def test_a_result_given_back_as_an_argument() -> None:
    """``x = f(x)``: input and output of one program are different memory."""
    f = cr.compile(lambda x, y: (y + x, x - y))
    x, y = a(1, 2, 3), a(4, 5, 6)
    u, v = x.copy(), y.copy()
    for _ in range(5):
        x, y = f(x, y)
        u, v = v + u, u - v
        agree((x, y), (u, v))
    agree(f(x, x), (x + x, x - x))


def test_an_argument_that_is_the_data_of_a_parameter() -> None:
    def run(wrap: Any) -> Any:
        w = Value(a(1, 2, 3))

        @wrap
        def step(x: Any) -> Any:
            w.data = w.data + x
            return x * 2

        return [step(w.data.copy()), step(w._raw), w.data.copy(), step(w._raw), w.data.copy()]

    agree(run(cr.compile), run(plain))


def test_two_compiled_functions_share_parameters() -> None:
    def run(wrap: Any) -> Any:
        model = nn.MLP([2, 3, 1], activation="tanh", rng=0)
        opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x: Any) -> Any:
            opt.zero_grad()
            loss = np.mean((model(x) - 1) ** 2)
            loss.backward()
            opt.step()
            return loss

        one, two, evaluate = wrap(step), wrap(step), wrap(lambda x: model(x))
        x = np.ones((3, 2))
        return [g for _ in range(4) for g in (one(x), two(2 * x), evaluate(x), model(x))]

    agree(run(cr.compile), run(plain), rtol=1e-11)


def test_a_graph_recorded_before_a_step_keeps_its_numbers() -> None:
    w = Value(a(1, 2, 3))
    s = Value(2.0)
    before = np.sum(w * w * w) * s * s

    @cr.compile
    def step() -> Any:
        w.data = w.data * 10
        s.data = s.data * 10
        return np.sum(w.data)

    step()
    step()
    before.backward()
    agree(w.grad, 12 * a(1, 4, 9))
    agree(s.grad, 4.0 * 36)
    assert before.data == 144


def test_a_graph_built_of_compiled_results() -> None:
    """A loss from a compiled function is part of the caller's graph; parameters may change afterwards."""
    w = Value(a(1, 2, 3))
    f = cr.compile(lambda x: np.sum(w * w * x))
    loss = f(2.0) * 3
    w.data = a(9, 9, 9)
    loss.backward()
    agree(w.grad, 12 * a(1, 2, 3))
    loss = f(2.0) + np.sum(w)
    w.grad = None
    loss.backward()
    loss.backward()
    agree(w.grad, 2 * (4 * a(9, 9, 9) + 1))


def test_parameters_are_copied_after_a_step() -> None:
    model = nn.MLP([2, 3, 1], rng=0)
    scale = Value(0.5)
    opt = optim.Adam([*model.parameters(), scale], lr=0.1)

    @cr.compile
    def step(x: Any) -> Any:
        opt.zero_grad()
        loss = np.mean(model(x) ** 2) * scale
        loss.backward()
        opt.step()
        return loss

    x = np.ones((4, 2))
    step(x)
    both, again = copy.deepcopy((model, scale)), pickle.loads(pickle.dumps((model, scale)))
    held = [p.data.copy() for p in model.parameters()], scale.data
    step(x)
    for m, s in (both, again):
        agree(([p.data for p in m.parameters()], s.data), held)
        assert type(s.data) is float and type(s.grad) is float
    assert type(scale.data) is float and type(scale.grad) is float
    assert "Value(data=" in repr(scale) and "<" not in repr(scale)
    assert f"{scale:.3f}" == f"{scale.data:.3f}" and isinstance(scale.item(), float)


# -------------------------------------------------------------------- arguments


def layouts() -> dict[str, Any]:
    x = np.arange(24.0).reshape(4, 6)
    frozen = x.copy()
    frozen.setflags(write=False)
    odd = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float64).reshape(4, 6)
    record = np.zeros((4, 6), [("a", "i1"), ("b", "f8")])
    record["b"] = x
    return {
        "contiguous": x,
        "Fortran": np.asfortranarray(x),
        "transposed": np.ascontiguousarray(x.T).T,
        "strided": np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3],
        "reversed": x[::-1, ::-1][:, :].copy()[::-1, ::-1],
        "big-endian": x.astype(">f8"),
        "little-endian": x.astype("<f8"),
        "read-only": frozen,
        "broadcast": np.broadcast_to(np.arange(6.0), (4, 6)),
        "unaligned": odd,
        "a field of records": record["b"],
        "a window": np.lib.stride_tricks.sliding_window_view(np.arange(9.0), 6),
        "float32": x.astype(np.float32),
        "big-endian float32": x.astype(">f4"),
        "float16": x.astype(np.float16),
        "integers": x.astype(int),
        "big-endian integers": x.astype(">i4"),
        "booleans": x > 7,
        "complex": x + 1j,
        "long double": x.astype(np.longdouble),
        "empty": x[:, :0],
        "empty first": x[:0],
        "one": x[:1, :1],
        "no axes": np.array(3.0),
        "NumPy scalar": np.float64(3),
        "NumPy float32 scalar": np.float32(3),
        "five axes": x.reshape(2, 2, 1, 3, 2),
    }


@pytest.mark.parametrize("layout", layouts())
def test_arrays_however_they_lie_in_memory(layout: str) -> None:
    x = layouts()[layout]
    held = x.copy()

    def f(x: Any) -> Any:
        out = [x + 1, np.sum(x), x * x, x.T, x.ravel(), np.sin(x), np.sum(x, axis=-1) if np.ndim(x) else x]
        if np.ndim(x) == 2:
            out += [x @ x.T, x[1:], x[:, ::-1], x[:, None] * 2]
        return out

    fast = cr.compile(f)
    with np.errstate(all="ignore"):
        want = f(x)
        want = [w.astype(w.dtype.newbyteorder("=")) if isinstance(w, np.ndarray) else w for w in want]
        for _ in range(2):
            agree(fast(x), want, rtol=1e-15 if x.dtype.itemsize >= 8 else 1e-6)
    agree(x, held)


def test_subclasses_of_arrays_are_not_taken_for_arrays() -> None:
    """A masked array has other numbers than its memory: a named error, or its own result."""
    x = np.ma.masked_array(a(1, 2, 3), [False, True, False])
    try:
        assert cr.compile(np.sum)(x) == 4
    except TypeError as error:
        assert "compile" in str(error) and "MaskedArray" in str(error)
    with pytest.raises(TypeError, match=r"argument a of sum is a Sub, expected an array of no sub"):
        cr.compile(np.sum)(a(1, 2).view(type("Sub", (np.ndarray,), {})))
    matrix = a(1, 2, 3).reshape(1, 3).view(np.matrix)
    for around, message in ((x, r"np\.where\(mask"), (matrix, r"np\.asarray\(m\)")):
        with pytest.raises(TypeError, match=message):
            cr.compile(lambda y, around=around: np.sum(y * around))(np.ones(3))


def test_numbers_of_every_kind() -> None:
    def f(x: Any) -> Any:
        return x * 2, x + 0.5, x / 3, x * np.ones(2, np.float32), x - np.arange(2)

    fast = cr.compile(f)
    scalars = np.int32(4), np.float32(1.5), np.bool_(True), np.int64(2), np.uint8(100)
    for x in (3, 3.0, True, -0.0, 2**40, -7, *scalars):
        agree(fast(x), f(x), what=repr(x))
    assert type(fast(3)[0]) is int and type(fast(3.0)[0]) is float


def test_an_integer_too_large_is_named_or_right() -> None:
    f = cr.compile(lambda x: x * 1.0)
    f(3)
    for big in (2**63, 2**70, -(2**64)):
        try:
            assert f(big) == big * 1.0
        except (OverflowError, TypeError, ValueError) as error:
            assert "compile" in str(error) or "argument" in str(error)


class Pair(NamedTuple):
    first: Any
    second: Any


def test_containers_and_keyword_arguments() -> None:
    def f(x: Any, *rest: Any, pair: Any = None, **options: Any) -> Any:
        total = x["a"][0] + x["b"][1][0] + sum(rest)
        if pair is not None:
            total = total + pair.first * pair.second
        return {"total": total, "options": {k: v * 2 for k, v in options.items()}, "none": None, "word": "w",
                "pair": Pair(total, (total, [total])), "empty": [], "flag": True}  # fmt: skip

    fast = cr.compile(f)
    x = {"a": [a(1, 2)], "b": (None, [3.0])}
    for args, kwargs in [
        ((x,), {}),
        ((x, 1.0, 2.0), {}),
        ((x,), {"pair": Pair(a(1, 2), 4.0)}),
        ((x, 5.0), {"pair": Pair(1.0, 2.0), "u": a(1), "v": 3}),
        ((x, 5.0), {"v": 3, "pair": Pair(1.0, 2.0), "u": a(1)}),
    ]:
        agree(fast(*args, **kwargs), f(*args, **kwargs))
    assert count(fast) <= 5


@dataclasses.dataclass
class Params:
    w: Any
    b: Any = 1.0
    words: Any = "none"

    def __post_init__(self) -> None:
        assert not isinstance(self.w, str), "made anew from what it is made of, not by __init__"


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    slope: Any
    start: Any = None
    length: Any = dataclasses.field(default=2.0, init=False)

    @cr.compile
    def at(self, x: Any) -> Any:
        return self.slope * x + self.length


def test_dataclasses_are_containers_of_arguments_and_results() -> None:
    """Frozen, with slots, nested, of Values; what they return is a dataclass again."""

    def f(p: Any, line: Any) -> Any:
        q = line.start[0]
        return Params(p.w * line.slope + q.b, {"line": Line(p.w, p)}, p.words)

    fast = cr.compile(f)
    for p in (Params(a(1, 2)), Params(a(3, 4), 2.0), Params(a(1, 2), words="other"), Params(Value(a(1, 2)))):
        line = Line(3.0, [Params(0.0, 5.0)])
        got, want = fast(p, line), f(p, line)
        assert type(got) is Params and type(got.b["line"]) is Line and got.words == p.words
        agree([got.w, got.b["line"].slope, got.b["line"].length], [want.w, want.b["line"].slope, 2.0])
    assert count(fast) == 3
    agree(Line(2.0).at(3.0), 8.0)
    agree(Line.at(Line(4.0), 3.0), 14.0)
    with pytest.raises(TypeError, match=r"argument p\.w of f is a Thing"):
        fast(Params(Thing()), Line(1.0, [Params(0.0)]))


def test_derivatives_in_dataclasses() -> None:
    """They come in the same; eagerly, of what is compiled, and compiled."""

    def loss(p: Any, x: Any) -> Any:
        return np.sum((p.w @ x + p.b) ** 2)

    p, x = Params(a(1, 2), 0.5, words=3.0), a(3, 4)
    wanted = cr.grad(loss)(p, x)
    assert type(wanted) is Params and wanted.words == 0.0
    agree(wanted.w, 2 * (11.5) * x)
    for f in (cr.grad(cr.compile(loss)), cr.compile(cr.grad(loss)), cr.compile(cr.grad(cr.compile(loss)))):
        got = f(p, x)
        assert type(got) is Params
        agree([got.w, got.b, got.words], [wanted.w, wanted.b, wanted.words])

    def swing(p: Any, n: Any) -> Any:
        carry, ys = cr.scan(lambda c, _: (Params(c.w * 0.5, c.b + c.w, c.words), c), p, length=3)
        return carry.b + np.sum(ys.w)

    start = Params(1.0, 0.0, 0.0)
    agree(cr.compile(swing)(start, 3), swing(start, 3))
    agree(cr.grad(swing)(start, 3).w, cr.compile(cr.grad(swing))(start, 3).w)


class Methods:
    rate = 3.0

    def __init__(self, k: float) -> None:
        self.k = k

    @cr.compile
    def forward(self, x: Any) -> Any:
        return x * self.k

    @property
    @cr.compile
    def twice(self) -> Any:
        return np.ones(2) * self.k * 2

    @staticmethod
    @cr.compile
    def outer_static(x: Any) -> Any:
        return x + 1

    @cr.compile
    @staticmethod
    def inner_static(x: Any) -> Any:
        return x + 1

    @classmethod
    @cr.compile
    def outer_class(cls, x: Any) -> Any:
        return x * cls.rate

    @cr.compile(check=True)  # type: ignore[arg-type]
    @classmethod
    def inner_class(cls, x: Any) -> Any:
        return x * cls.rate


class Derived(Methods):
    rate = 5.0


@dataclasses.dataclass(frozen=True)
class FrozenMethods:
    k: float

    @cr.compile
    def forward(self, x: Any) -> Any:
        return x * self.k


class Slots:
    __slots__ = ("k",)

    @cr.compile
    def forward(self, x: Any) -> Any:
        return x * self.k


def test_methods_of_every_kind() -> None:
    """Called through the object and through the class; kept with the object, which may be frozen."""
    m, n, d = Methods(2.0), Methods(4.0), Derived(6.0)
    for _ in range(2):
        assert [Methods.forward(o, 3.0) for o in (m, n, d)] == [6.0, 12.0, 18.0]
        assert [o.forward(3.0) for o in (m, n, d)] == [6.0, 12.0, 18.0]
        agree([m.twice, n.twice], [a(4, 4), a(8, 8)])
        for o in (m, d, Methods, Derived):
            assert o.outer_static(1.0) == o.inner_static(1.0) == 2.0
            rate = 5.0 if o in (d, Derived) else 3.0
            assert o.outer_class(2.0) == o.inner_class(2.0) == 2 * rate
    frozen = FrozenMethods(2.0)
    assert [frozen.forward(x) for x in (1.0, 2.0)] == [2.0, 4.0] and count(frozen.forward) == 1
    assert frozen == FrozenMethods(2.0) and dataclasses.asdict(frozen) == {"k": 2.0}
    slots = Slots()
    slots.k = 2.0  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"argument self of forward is a Slots.*add __dict__"):
        slots.forward(1.0)


def test_an_argument_that_is_a_window_of_the_state() -> None:
    """``f(w.data)`` where f also writes to w, whole and in part, turned round, and kept from before."""

    def run(wrap: Any) -> Any:
        w = Value(a(1, 2, 3))

        @wrap
        def step(x: Any) -> Any:
            w.data = w.data + 2 * x
            return x * 2 + w.data[0]

        early, out = w.data, []
        windows = (lambda: w.data, lambda: w.data[::-1], lambda: early, lambda: w.data[:], lambda: w._raw)
        for window in windows:
            out += [step(window()), w.data.copy(), early.copy()]
        return out

    agree(run(cr.compile), run(plain))


def test_words_and_none_choose_a_program() -> None:
    fast = cr.compile(lambda x, how=None: x if how is None else x * {"twice": 2, "thrice": 3}[how])
    for _ in range(2):
        agree([fast(a(1)), fast(a(1), "twice"), fast(a(1), how="thrice")], [a(1), a(2), a(3)])
    assert count(fast) == 3


def test_static_arguments() -> None:
    def f(n: int, x: Any, how: str, flag: bool = False) -> Any:
        for _ in range(n):
            x = x * 2 if how == "double" else x + 1
        return -x if flag else x

    fast = cr.compile(f, static_argnums=(0, 2, 3))
    for n, how in ((1, "double"), (3, "double"), (3, "next"), (0, "next")):
        for flag in (False, True):
            agree(fast(n, a(1, 2), how, flag), f(n, a(1, 2), how, flag))
            agree(fast(n, a(1, 2), how), f(n, a(1, 2), how))
    agree(cr.compile(lambda x, n: x**n, static_argnums=1)(a(-2, 3), 3), a(-8, 27))
    agree([fast(1, a(1), "double", k) for k in (0, 1)], [a(2), a(-2)])


def test_static_numbers_are_told_apart_by_kind() -> None:
    """1, 1.0 and True are equal, and make different programs; so do 0.0 and -0.0."""
    f = cr.compile(lambda x, k: x * k, static_argnums=1)
    x = np.arange(3)
    for k in (1, 1.0, True, 0.0, -0.0, 0, False):
        agree(f(x, k), x * k, what=repr(k))
        agree(f(x * -1.0, k), x * -1.0 * k, what=repr(k))


def test_one_function_for_many_shapes_and_dtypes() -> None:
    f = cr.compile(lambda x: np.tanh(x) * 2 + np.sum(x))
    for _ in range(2):
        for shape in ((), (3,), (2, 3), (0,)):
            for dtype in (np.float64, np.float32, np.int64):
                x = np.ones(shape, dtype)
                agree(f(x), np.tanh(x) * 2 + np.sum(x), rtol=1e-6)
        agree(f(2.0), np.tanh(2.0) * 2 + 2.0)
    assert count(f) == 13


def test_values_as_arguments() -> None:
    def run(wrap: Any) -> Any:
        f = wrap(lambda x, y: np.sum(x * y) + x[0])
        x, y = Value(a(1, 2)), Value(a(3, 4))
        out = [f(x, y), f(x, a(5, 6)), f(a(5, 6), y), f(x, x)]
        for v in out:
            if type(v) is Value:
                v.backward()
        z = f(np.sin(x), np.cos(y)) * 2
        z.backward()
        return out, z, x.grad, y.grad

    agree(run(cr.compile), run(plain), rtol=1e-14)


def test_values_as_arguments_are_not_confused() -> None:
    """Another Value of the same shape is another argument, and the program the same one."""

    def total(ws: Any, x: Any) -> Any:
        return sum(np.sum(w * x) for w in ws)

    def update(w: Any, x: Any) -> Any:
        loss = np.sum(w * w * x)
        w.grad = None
        loss.backward()
        w.data = w.data - 0.1 * w.grad
        return loss

    fast, step = cr.compile(total), cr.compile(update)
    values = [Value(a(k, k + 1)) for k in range(4)]
    for ws in (values[:2], values[2:], values[1:3], [values[0], values[0]]):
        agree(fast(ws, 2.0), total(ws, 2.0))
    assert count(fast) <= 2
    twins = [Value(v.data) for v in values]
    for v, w in zip(values, twins, strict=True):
        for _ in range(2):
            agree(step(v, 1.5), update(w, 1.5))
        agree((v.data, v.grad), (w.data, w.grad))


def test_a_value_that_is_argument_and_closure_at_once() -> None:
    def run(wrap: Any) -> Any:
        w = Value(a(1, 2))

        @wrap
        def step(v: Any) -> Any:
            loss = np.sum(v * w)
            loss.backward()
            return loss

        return [step(w), w.grad.copy(), step(Value(a(5, 6))), w.grad.copy(), step(w), w.grad.copy()]

    agree(run(cr.compile), run(plain))


def test_the_same_array_twice_among_the_arguments() -> None:
    f = cr.compile(lambda x, y: x * 2 + y)
    x = a(1, 2)
    agree(f(x, x), a(3, 6))
    agree(f(x, a(5, 6)), a(7, 10))


# -------------------------------------------------------------------- what can be compiled


class Model:
    rate = 3.0

    def __init__(self, w: Any) -> None:
        self.w = w

    def method(self, x: Any) -> Any:
        return x * self.w

    @cr.compile
    def decorated(self, x: Any) -> Any:
        return x * self.w + self.rate

    @staticmethod
    @cr.compile
    def static(x: Any) -> Any:
        return x + 1

    @classmethod
    def klass(cls, x: Any) -> Any:
        return x * cls.rate

    def __call__(self, x: Any) -> Any:
        return x - self.w


def test_functions_of_every_kind() -> None:
    m, n = Model(2.0), Model(5.0)
    x = a(1, 2)
    for f in (
        m.method, n.method, Model.klass, m, lambda x: x * 4, functools.partial(lambda k, x: x * k, 7.0),
        functools.partial(m.method), np.sin, np.sum, cr.softmax, nn.MLP([2, 3], rng=0), operator_square,
    ):  # fmt: skip
        agree(cr.compile(f)(x), f(x), what=str(f))
        agree(cr.compile(cr.compile(f))(x), f(x), what=str(f))
    for _ in range(2):
        agree([m.decorated(x), n.decorated(x)], [x * 2 + 3, x * 5 + 3])
        agree([Model.static(x), m.static(x)], [x + 1, x + 1])
    m.w = 4.0
    agree(m.decorated(x), x * 4 + 3)
    agree(n.decorated(x), x * 5 + 3)


def operator_square(x: Any) -> Any:
    return x**2


def test_decorators_with_and_without_options() -> None:
    @cr.compile(static_argnums=1)
    def f(x: Any, n: int) -> Any:
        """Say what it does."""
        return x * n

    agree(f(a(1), 3), a(3))
    assert f.__name__ == "f" and f.__doc__ == "Say what it does." and "f" in repr(f)


def test_recursion_and_helpers() -> None:
    def power(x: Any, n: int) -> Any:
        return 1.0 + 0 * x if n == 0 else x * power(x, n - 1)

    agree(cr.compile(lambda x: power(x, 5))(a(1, 2)), a(1, 32))


def test_an_attribute_that_is_not_read_compiles_nothing_anew() -> None:
    """A trainer's own log and counter change at each step; the step does not read them."""

    class Trainer:
        def __init__(self) -> None:
            self.w = Value(a(1, 2))
            self.rate, self.steps = 0.1, 0
            self.history: list[float] = []
            self.last: Any = None
            self.step = cr.compile(self.plain_step)

        def plain_step(self, x: Any) -> Any:
            self.w.grad = None
            loss = np.sum(self.w * self.w * x)
            loss.backward()
            self.w.data = self.w.data - self.rate * self.w.grad
            return loss

    t = Trainer()
    for _ in range(10):
        t.last = t.step(1.0)
        t.history.append(t.last.item())
        t.steps += 1
    assert count(t.step) == 1
    t.rate = 0.2
    before = t.w.data.copy()
    t.step(1.0)
    agree(t.w.data, before - 0.4 * before, rtol=1e-15)


def test_compiled_functions_call_each_other() -> None:
    w = Value(a(1, 2))
    inner = cr.compile(lambda x: np.sin(x) * w)
    alone = cr.compile(lambda x: np.cos(x))

    def f(x: Any) -> Any:
        return np.sum(inner(alone(x)) ** 2)

    outer = cr.compile(f)
    x = a(3, 4)
    for _ in range(2):
        agree(outer(x), np.sum((np.sin(np.cos(x)) * w) ** 2), rtol=1e-14)
        agree(inner(x), np.sin(x) * w, rtol=1e-14)
    w.grad = None
    outer(x).backward()
    g = w.grad.copy()
    w.grad = None
    np.sum((np.sin(np.cos(x)) * w) ** 2).backward()
    agree(g, w.grad, rtol=1e-13)
    w.data = a(5, 6)
    agree(outer(x), np.sum((np.sin(np.cos(x)) * w) ** 2), rtol=1e-14)


def test_a_compiled_step_inside_a_compiled_loop_body() -> None:
    def run(wrap: Any) -> Any:
        w = Value(a(1, 2))

        @wrap
        def step(x: Any) -> Any:
            w.grad = None
            loss = np.sum((w * x) ** 2)
            loss.backward()
            w.data = w.data - 0.01 * w.grad
            return loss

        @wrap
        def epoch(xs: Any) -> Any:
            return [step(x) for x in xs]

        return [step(a(1, 1)), *epoch(np.ones((3, 2))), step(a(1, 1)), w.data.copy(), w.grad.copy()]

    agree(run(cr.compile), run(plain), rtol=1e-13)


# -------------------------------------------------------------------- derivatives of what is compiled


def smooth(x: Any) -> Any:
    return np.sum(np.tanh(x) ** 2 * x)


def vector(x: Any) -> Any:
    return np.exp(np.sin(x))[:2] * x[1:] + np.sum(x)


def slope(f: Any) -> Any:
    """A gradient that can be given to `grad` again: of the sum of what f gives."""
    return cr.grad(lambda x: np.sum(f(x)))


OPERATORS: dict[str, Any] = {
    "grad": lambda f, h: lambda x: cr.grad(f)(x),
    "value_and_grad": lambda f, h: lambda x: cr.value_and_grad(f)(x),
    "grad twice": lambda f, h: lambda x: cr.grad(lambda x: np.sum(cr.grad(f)(x) ** 2))(x),
    "grad three times": lambda f, h: slope(slope(slope(f))),
    "hessian": lambda f, h: lambda x: cr.hessian(f)(x),
    "hvp": lambda f, h: lambda x: cr.hvp(f, x, x + 1),
    "jacobian": lambda f, h: lambda x: cr.jacobian(h)(x),
    "forward jacobian": lambda f, h: lambda x: cr.jacobian(h, mode="forward")(x),
    "reverse jacobian": lambda f, h: lambda x: cr.jacobian(h, mode="reverse")(x),
    "jvp": lambda f, h: lambda x: cr.jvp(h, (x,), (x + 1,)),
    "jvp of jvp": lambda f, h: lambda x: cr.jvp(lambda x: cr.jvp(h, (x,), (x + 1,))[1], (x,), (x,)),
    "vjp": lambda f, h: lambda x: cr.vjp(h, x)[1](x[:2]),
    "linearize": lambda f, h: lambda x: cr.linearize(h, x)[1](x),
    "grad of jvp": lambda f, h: lambda x: cr.grad(lambda x: np.sum(cr.jvp(h, (x,), (x + 1,))[1]))(x),
    "jvp of grad": lambda f, h: lambda x: cr.jvp(cr.grad(f), (x,), (x + 1,)),
    "jacobian of grad": lambda f, h: lambda x: cr.jacobian(cr.grad(f))(x),
    "directional": lambda f, h: lambda x: cr.directional_derivative(f, x, x),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
def test_derivatives_and_compile_in_every_order(name: str, dtype: Any) -> None:
    """Of the compiled function, compiled themselves, and both."""
    x = np.array([0.3, -0.7, 1.1], dtype)
    make = OPERATORS[name]
    want = make(smooth, vector)(x)
    near = 1e-12 if x.dtype == np.float64 else 2e-5
    f, h = cr.compile(smooth), cr.compile(vector)
    for _ in range(2):
        agree(make(f, h)(x), want, rtol=near, what="of the compiled")
    agree(cr.compile(make(smooth, vector))(x), want, rtol=near, what="compiled")
    agree(cr.compile(make(f, h))(x), want, rtol=near, what="compiled, of the compiled")


def test_check_grads_of_a_compiled_function() -> None:
    f = cr.compile(lambda x, y: np.sum(np.sin(x) @ y))
    cr.check_grads(f, (np.ones((2, 3)), np.ones((3, 2))), order=1)


def test_a_compiled_function_of_several_arguments_in_grad() -> None:
    def f(p: Any, x: Any, n: Any) -> Any:
        return np.sum(np.tanh(x @ p["W"] + p["b"]) ** 2) * n

    p, x = {"W": np.ones((3, 2)) * 0.1, "b": a(0.1, 0.2)}, np.ones((4, 3))
    fast = cr.compile(f)
    for argnums in (0, 1, (0, 1), (0, 1, 2)):
        agree(cr.grad(fast, argnums)(p, x, 2.0), cr.grad(f, argnums)(p, x, 2.0), rtol=1e-13)
    agree(cr.grad(fast)(p, x, 2), cr.grad(f)(p, x, 2), rtol=1e-13)
    x = np.ones((2, 3))
    agree(cr.value_and_grad(fast)(p, x, 2.0), cr.value_and_grad(f)(p, x, 2.0), rtol=1e-13)


def test_a_compiled_function_with_several_results_in_a_graph() -> None:
    def f(x: Any, y: Any) -> Any:
        return {"a": x * y, "b": [np.sum(x), np.sin(y)], "c": x > 0, "d": "word"}

    def total(f: Any) -> Any:
        def g(x: Any, y: Any) -> Any:
            out = f(x, y)
            assert out["d"] == "word" and np.array_equal(cr.data(out["c"]), [True, False])
            return np.sum(out["a"] * out["b"][1]) + out["b"][0] ** 2

        return g

    at = a(1, -2), a(3, 4)
    agree(cr.grad(total(cr.compile(f)), (0, 1))(*at), cr.grad(total(f), (0, 1))(*at), rtol=1e-14)


def test_gradients_through_arguments_and_closures_at_once() -> None:
    def run(wrap: Any) -> Any:
        w = Value(a(1, 2))
        inner = wrap(lambda x, y: np.sum(w * x * x * y))
        v = Value(a(3, 4))
        y = inner(v, 2.0) + inner(v * 2, v)
        y.backward()
        first = [y, w.grad.copy(), v.grad.copy()]

        def outer(x: Any) -> Any:
            return inner(x, x) * 2

        return first, cr.grad(outer)(a(1, 2)), cr.hessian(outer)(a(1, 2)), cr.grad(outer)(3.0)

    agree(run(cr.compile), run(plain), rtol=1e-13)


def test_backward_inside_a_compiled_function_that_is_differentiated() -> None:
    """A gradient made by `grad` within, as a penalty, in the loss of a step."""

    def run(wrap: Any) -> Any:
        model = nn.MLP([2, 4, 1], activation="tanh", rng=0)
        opt = optim.SGD(model.parameters(), lr=0.1)

        @wrap
        def step(x: Any) -> Any:
            slope = cr.grad(lambda x: np.sum(model(x)))(Value(x))
            loss = np.mean(model(x) ** 2) + np.mean((np.sum(slope**2, axis=1) - 1) ** 2)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        x = np.linspace(-1, 1, 6).reshape(3, 2)
        return [step(x) for _ in range(5)], [p.data for p in model.parameters()]

    agree(run(cr.compile), run(plain), rtol=1e-10)


def test_a_compiled_function_in_a_loop_of_control() -> None:
    f = cr.compile(lambda x: np.sin(x) * 0.9)
    g = lambda x: np.sin(x) * 0.9

    def run(f: Any) -> Any:
        return lambda x: np.sum(cr.scan(lambda c, _: (f(c), c), x, length=4)[0])

    x = a(0.5, 1.0)
    agree(run(f)(x), run(g)(x), rtol=1e-14)
    agree(cr.grad(run(f))(x), cr.grad(run(g))(x), rtol=1e-13)
    agree(cr.compile(cr.grad(run(f)))(x), cr.grad(run(g))(x), rtol=1e-13)


# -------------------------------------------------------------------- memory


def test_what_is_not_used_any_more_is_freed() -> None:
    """The function, its program, parameters it held and results, by reference counting or one collection."""

    def use() -> list[Any]:
        model = nn.MLP([2, 3, 1], rng=0)
        f = cr.compile(lambda x: model(x))
        result = f(np.ones((4, 2)))
        return [weakref.ref(x) for x in (f, f.last, model, result.data)]

    refs = use()
    gc.collect()
    assert [r() for r in refs] == [None] * len(refs)


def test_memory_does_not_grow_from_call_to_call() -> None:
    w = Value(np.ones(1000))

    @cr.compile
    def step(x: Any) -> Any:
        w.grad = None
        loss = np.sum(np.tanh(w * x) @ np.ones((1000, 3)))
        loss.backward()
        w.data = w.data - 0.1 * w.grad
        return loss, w.data * 2, np.sort(x)

    x = np.ones(1000)
    for _ in range(5):
        step(x)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(200):
        step(x)
    gc.collect()
    assert len(gc.get_objects()) - before < 50


def test_large_arguments_are_let_go_and_results_nobody_holds_are_used_again() -> None:
    f = cr.compile(lambda x: x * 2)
    x = np.ones(200_000)
    y = f(x)
    ref = weakref.ref(y)
    given = weakref.ref(x)
    held = f(np.full(200_000, 3.0))
    assert np.all(y == 2) and np.all(held == 6) and held is not y
    view = held[5:]
    del x, y, held
    again = f(np.full(200_000, 4.0))
    assert given() is None and np.all(view == 6) and np.all(again == 8)
    del again, view, f
    gc.collect()
    assert ref() is None


def test_counters_of_containers_are_as_eager() -> None:
    """Results come in containers of their own at each call."""
    f = cr.compile(lambda x: {"a": [x, collections.OrderedDict(b=x)]})
    one, two = f(a(1)), f(a(2))
    one["a"].append(3)
    assert len(two["a"]) == 2 and type(two["a"][1]) is collections.OrderedDict


def test_integers_and_truth_values_count_as_python_has_it() -> None:
    assert cr.compile(lambda a: a > 1)(3) and cr.compile(lambda a, b: a == b)(3, 3)
    agree(cr.compile(lambda x, k: np.where(k > 1, x, -x))(a(1, 2), 5), a(1, 2))
    assert cr.compile(lambda x, y: ((x > 0) + (y > 0)) * 0.5)(1.0, 2.0) == 1.0
    assert cr.compile(lambda x, y: x * -(y > 0))(1.0, 2.0) == -1.0


def test_a_compiled_method_is_overridden_and_copied_as_any() -> None:
    class Base:
        def __init__(self, k: float) -> None:
            self.k = k

        @cr.compile
        def forward(self, x: Any) -> Any:
            return x * self.k

    class Derived(Base):
        def forward(self, x: Any) -> Any:  # type: ignore[override]
            return super().forward(x) + 100

    d = Derived(2.0)
    assert [d.forward(1.0) for _ in range(3)] == [102.0] * 3
    first = Base(1.0)
    assert first.forward(1.0) == 1.0
    second = copy.copy(first)
    second.k = 10.0
    assert second.forward(1.0) == 10.0 and first.forward(1.0) == 1.0


@pytest.mark.parametrize("ask", [float, int, complex, math.sin], ids=lambda f: f.__name__)
def test_a_refused_number_stays_refused_though_the_function_catches_it(ask: Any) -> None:
    def f(x: Any) -> Any:
        try:
            return ask(x)
        except TypeError:
            return x * 100

    said = "float" if ask is math.sin else ask.__name__
    with pytest.raises(TracedError, match=f"{said} of a traced value"):
        cr.compile(f)(2.0)


def test_a_refused_branch_stays_refused_though_the_function_catches_it() -> None:
    def f(x: Any) -> Any:
        try:
            if x > 0:
                return x
        except Exception:
            pass
        return -x

    with pytest.raises(TracedError, match="bool of a traced value"):
        cr.compile(f)(1.0)
