"""Random generators: NumPy's numbers everywhere, and drawn anew at each call of what is compiled."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim
from chainrule.traced import TracedError
from tests.native.agree import agree
from tests.test_hard_points import a

# Every way of drawing, with a loc, a scale and probabilities that are plain.
DRAWS: dict[str, Any] = {
    "random": lambda g: g.random(3),
    "a number": lambda g: g.random(),
    "single": lambda g: g.random((2, 3), np.float32),
    "standard_normal": lambda g: g.standard_normal((4, 2)),
    "normal": lambda g: g.normal(1.0, 2.0, 3),
    "normal of arrays": lambda g: g.normal(np.arange(3.0), [[1.0], [2.0]]),
    "uniform": lambda g: g.uniform(-1, high=np.ones(4)),
    "integers": lambda g: g.integers(10, size=5),
    "an integer": lambda g: g.integers(2, 10),
    "bytes of integers": lambda g: g.integers(0, 255, size=5, dtype=np.uint8, endpoint=True),
    "standard_exponential": lambda g: g.standard_exponential(3, np.float32),
    "exponential": lambda g: g.exponential(2.0, size=(2, 1)),
    "permutation": lambda g: g.permutation(7),
    "permutation of an array": lambda g: g.permutation(np.arange(6.0).reshape(3, 2)),
    "permuted": lambda g: g.permuted(np.arange(5)),
    "choice": lambda g: g.choice(10, 4, replace=False),
    "choice of an array": lambda g: g.choice(np.array([1.5, 2.5, 3.5]), size=2, p=[0.5, 0.25, 0.25]),
    "a choice": lambda g: g.choice(10),
    "poisson": lambda g: g.poisson([1.0, 5.0], (3, 2)),
    "gamma": lambda g: g.gamma(2.0, size=2),
    "multivariate_normal": lambda g: g.multivariate_normal(np.zeros(2), np.eye(2), 3),
    "binomial": lambda g: g.binomial(10, 0.3),
    "none": lambda g: g.normal(size=0),
}


def state(g: Any) -> Any:
    return g.bit_generator.state


@pytest.mark.parametrize("name", DRAWS)
def test_a_generator_is_numpys(name: str) -> None:
    rng, theirs = cr.random.default_rng(7), np.random.default_rng(7)
    assert isinstance(rng, np.random.Generator)
    for _ in range(3):
        agree(DRAWS[name](rng), DRAWS[name](theirs))
        assert state(rng) == state(theirs)


@pytest.mark.parametrize("where", ["closure", "argument", "plain argument", "attribute", "check"])
@pytest.mark.parametrize("name", DRAWS)
def test_a_compiled_function_draws_as_the_plain_one(name: str, where: str) -> None:
    """The numbers and, after each call, the generator's state; the other draws are in between."""
    draw = DRAWS[name]

    class Holder:
        rng = cr.random.default_rng(1)

    make = np.random.default_rng if where == "plain argument" else cr.random.default_rng
    rng, theirs, holder = make(1), np.random.default_rng(1), Holder()

    def f(x: Any, g: Any) -> Any:
        return g.normal(size=x.shape) * x, draw(g), g.random()

    if where in ("argument", "plain argument"):
        fast = cr.compile(f)
        call = lambda x: fast(x, rng)
    elif where == "attribute":
        rng = holder.rng
        call = cr.compile(lambda x: f(x, holder.rng))
    else:
        call = cr.compile(lambda x: f(x, rng), check=where == "check")
    for n in (3, 3, 2, 3):
        agree(call(np.ones(n)), f(np.ones(n), theirs))
        assert state(rng) == state(theirs)


GLOBAL = cr.random.default_rng(5)


def test_a_generator_of_the_module_and_one_drawn_from_for_nothing() -> None:
    theirs = np.random.default_rng(5)
    f = cr.compile(lambda x: (GLOBAL.normal(), x + GLOBAL.normal())[1])
    for _ in range(3):
        theirs.normal()
        assert f(1.0) == 1.0 + theirs.normal()
        assert state(GLOBAL) == state(theirs)


def test_another_generator_in_its_place_is_drawn_from() -> None:
    box = {"rng": cr.random.default_rng(0)}
    f = cr.compile(lambda x: x + box["rng"].normal())
    for seed in (1, 2, 1):
        box["rng"], theirs = cr.random.default_rng(seed), np.random.default_rng(seed)
        assert [f(1.0), f(1.0)] == [1.0 + theirs.normal(), 1.0 + theirs.normal()]


def test_one_generator_in_two_places_and_two_in_one_function() -> None:
    one, other = cr.random.default_rng(0), cr.random.default_rng(1)
    f = lambda x, g, h: x * g.normal(size=2) + one.random() - h.normal(size=2) * other.exponential()
    fast = cr.compile(f)
    twins = cr.random.default_rng(0), cr.random.default_rng(1)
    for _ in range(3):
        got = fast(2.0, one, other)
        saved = state(one), state(other)
        one, other, twins = twins[0], twins[1], (one, other)
        agree(got, f(2.0, one, other))
        assert saved == (state(one), state(other))
        one, other, twins = twins[0], twins[1], (one, other)


# -------------------------------------------------------------------- parameters with derivatives

PARAMETERS: dict[str, Any] = {
    "normal": lambda g, u, v: g.normal(u, v),
    "normal of a size": lambda g, u, v: g.normal(u, scale=v, size=(4, 3)),
    "loc alone": lambda g, u, v: g.normal(u) * v,
    "scale alone": lambda g, u, v: g.normal(scale=v, size=3) * u,
    "uniform": lambda g, u, v: g.uniform(u, v),
    "uniform above a number": lambda g, u, v: g.uniform(0.5, v, 3) * u,
    "exponential": lambda g, u, v: g.exponential(v) * u,
    "permutation": lambda g, u, v: g.permutation(u * v) * np.arange(3.0),
    "choice": lambda g, u, v: g.choice(u, 5) * np.arange(5.0) + np.sum(v),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_values_as_parameters_give_numpys_numbers_and_a_gradient(name: str) -> None:
    draw = PARAMETERS[name]
    u, v = a(0.5, 1.5, -1.0), a(2.0, 3.0, 4.0)
    want = draw(np.random.default_rng(3), u, v)
    tracked = draw(cr.random.default_rng(3), Value(u), Value(v))
    agree(tracked.data, want, rtol=1e-15)

    def total(u: Any, v: Any, g: Any = None) -> Any:
        return np.sum(np.sin(draw(cr.random.default_rng(3) if g is None else g, u, v)))

    cr.check_grads(total, (u, v), order=1)
    theirs, rng = cr.random.default_rng(3), cr.random.default_rng(3)
    slope, value = cr.grad(total, (0, 1)), cr.value_and_grad(lambda u, v: total(u, v, rng), (0, 1))
    fast = cr.compile(value)
    for _ in range(3):
        before = copy.deepcopy(theirs)
        wanted = slope(u, v, theirs)
        agree(fast(u, v), (total(u, v, before), wanted), rtol=1e-13)
        assert state(rng) == state(theirs)


def test_numbers_as_parameters_stay_numbers() -> None:
    rng = cr.random.default_rng(0)
    y = rng.normal(Value(1.0), 2.0)
    assert type(y.data) is float and y.data == np.random.default_rng(0).normal(1.0, 2.0)
    assert type(cr.compile(lambda m: rng.normal(m, 2.0))(1.0)) is float


def test_a_parameter_that_cannot_be_tracked_is_refused() -> None:
    rng = cr.random.default_rng(0)
    with pytest.raises(TypeError, match=r"poisson: an argument is Value.*standard distribution"):
        rng.poisson(Value(2.0))
    with pytest.raises(ValueError, match=r"normal: size is 2.*\(3,\)"):
        rng.normal(Value(a(1, 2, 3)), 1.0, 2)
    assert state(rng) == state(np.random.default_rng(0))


# -------------------------------------------------------------------- derivatives of what is compiled

RNG = cr.random.default_rng(0)


def noisy(mu: Any, sigma: Any) -> Any:
    return np.sum(np.tanh(RNG.normal(mu, sigma, size=4)) ** 3) + RNG.random() * mu * sigma


ORDERS: dict[str, Any] = {
    "grad": lambda f: cr.grad(f, (0, 1)),
    "hessian": lambda f: cr.hessian(f, (0, 1)),
    "jvp": lambda f: lambda u, v: cr.jvp(f, (u, v), (1.0, 2.0)),
    "jacobian, reverse": lambda f: cr.jacobian(f, (0, 1), "reverse"),
    "grad of jvp": lambda f: cr.grad(lambda u, v: cr.jvp(f, (u, v), (1.0, 2.0))[1]),
    "vjp twice": lambda f: lambda u, v: [pull(g) for pull in [cr.vjp(f, u, v)[1]] for g in (1.0, 2.0)],
}


@pytest.mark.parametrize("name", ORDERS)
def test_derivatives_see_the_numbers_of_the_forward_call(name: str) -> None:
    """Of the compiled function, compiled themselves, both, and checked: one drawing each."""
    make = ORDERS[name]
    fast = cr.compile(noisy)
    wanted: Any = None
    for f in (
        make(noisy), make(fast), cr.compile(make(noisy)), cr.compile(make(fast)),
        make(cr.compile(noisy, check=True)), cr.compile(make(noisy), check=True),
    ):  # fmt: skip
        RNG.bit_generator.state = state(np.random.default_rng(9))
        got = [f(0.3, 1.2) for _ in range(3)], state(RNG)["state"]["state"]
        wanted = wanted or got
        agree(got[0], wanted[0], rtol=1e-12)
        assert got[1] == wanted[1]


def test_backward_later_and_after_other_calls() -> None:
    rng, w = cr.random.default_rng(0), Value(2.0)
    f = cr.compile(lambda x: rng.normal(size=2) @ x * w)
    first, second = f(a(1, 1)), f(a(1, 1))
    held = state(rng)
    theirs = np.random.default_rng(0)
    for y in (first, second):
        w.grad = None
        y.backward()
        agree(w.grad, float(np.sum(theirs.normal(size=2))), rtol=1e-15)
    assert state(rng) == held


def test_a_training_step_with_dropout_and_its_own_minibatches() -> None:
    def run(wrap: Any) -> Any:
        rng = cr.random.default_rng(0)
        model = nn.MLP([3, 8, 1], activation="tanh", rng=1)
        opt = optim.Adam(model.parameters(), lr=0.01)
        data = np.random.default_rng(2).normal(size=(50, 3))

        @wrap
        def step(data: Any) -> Any:
            batch = data[rng.permutation(50)[:16]]
            keep = rng.random((16, 3)) < 0.8
            loss = np.mean((model(np.where(keep, batch, 0.0)) - np.sum(batch, axis=1, keepdims=True)) ** 2)
            loss.backward()
            opt.step()
            opt.zero_grad()
            return loss

        return [step(data) for _ in range(10)], [p.data for p in model.parameters()], state(rng)["state"]

    got, want = run(cr.compile), run(lambda f: f)
    agree(got[:2], want[:2], rtol=1e-9)
    assert got[2] == want[2]


# -------------------------------------------------------------------- errors

LOOPS: dict[str, Any] = {
    "scan": lambda x: cr.scan(lambda c, _: (c + RNG.normal(), None), x, length=3)[0],
    "fori": lambda x: cr.fori(0, 3, lambda i, c: c + RNG.normal(), x),
    "while_loop": lambda x: cr.while_loop(lambda c: c < 3.0, lambda c: c + RNG.random(), x),
    "cond": lambda x: cr.cond(x > 0.0, lambda x: x + RNG.normal(), lambda x: x, x),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_draw_within_a_loop_is_refused(name: str) -> None:
    held = state(RNG)
    with pytest.raises(TracedError, match=rf"line \d+.*{name}: its function draws .*xs"):
        cr.compile(LOOPS[name])(1.0)
    assert state(RNG) == held


def test_draws_before_a_loop_go_in_through_xs() -> None:
    rng, theirs = cr.random.default_rng(0), cr.random.default_rng(0)
    f = lambda x, g: cr.scan(lambda c, z: (c * 0.9 + z, c), x, g.normal(size=5))
    fast = cr.compile(lambda x: f(x, rng))
    for _ in range(2):
        agree(fast(1.0), f(1.0, theirs), rtol=1e-15)


@pytest.mark.parametrize("method", ["shuffle", "spawn", "bytes", "out"])
def test_what_cannot_be_drawn_while_compiling_says_what_to_do(method: str) -> None:
    rng = cr.random.default_rng(0)
    calls: dict[str, Any] = {
        "shuffle": lambda x: rng.shuffle(np.arange(3)), "spawn": lambda x: rng.spawn(2),
        "bytes": lambda x: rng.bytes(3), "out": lambda x: rng.random(out=np.zeros(3)),
    }  # fmt: skip
    with pytest.raises(TracedError, match=r"while compiling: .*(write|draw|spawn)"):
        cr.compile(calls[method])(1.0)
    assert state(rng) == state(np.random.default_rng(0))
    calls[method](1.0)  # plainly it is NumPy's


def test_a_failed_call_leaves_the_generator_where_it_was() -> None:
    """While it is captured, when an index is out of bounds, and when NumPy raises in the middle."""
    rng = cr.random.default_rng(0)
    held = state(rng)

    def broken(x: Any) -> Any:
        raise ArithmeticError(rng.normal())

    with pytest.raises(ArithmeticError):
        cr.compile(broken)(1.0)
    for check in (False, True):
        picked = cr.compile(lambda x, i: x[i] + rng.normal(), check=check)
        inverse = cr.compile(lambda x: np.linalg.inv(x) + rng.normal(), check=check)
        for _ in range(2):
            with pytest.raises(IndexError):
                picked(a(1, 2), 5)
            with pytest.raises(np.linalg.LinAlgError):
                inverse(np.zeros((2, 2)))
            assert state(rng) == held
    assert picked(a(1, 2), 1) == 2.0 + np.random.default_rng(0).normal()


plain = np.random.default_rng(0)
REFUSED: dict[str, Any] = {
    "a plain generator": lambda x: x + plain.normal(),
    "its method": lambda x, draw=plain.normal: x + draw(),
    "unseeded": lambda x: x + cr.random.default_rng().normal(),
    "behind its back": lambda x: x + np.random.Generator(RNG.bit_generator).normal(),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_generator_that_would_be_frozen_is_refused_with_the_remedy(what: str) -> None:
    held = state(plain), state(RNG)
    with pytest.raises(TracedError, match=r"chainrule\.random\.default_rng"):
        cr.compile(REFUSED[what])(1.0)
    assert (state(plain), state(RNG)) == held


def test_a_seeded_generator_made_inside_gives_the_same_numbers_each_time() -> None:
    f = cr.compile(lambda x: x + cr.random.default_rng(3).normal(x, size=2))
    for _ in range(2):
        agree(f(1.0), 1.0 + np.random.default_rng(3).normal(1.0, size=2))


# -------------------------------------------------------------------- threads, copies


def test_threads_share_a_generator_without_losing_numbers() -> None:
    """Whoever comes first: together they get what one alone would get."""
    rng, got = cr.random.default_rng(0), []
    f = cr.compile(lambda x: rng.normal(size=3) + x)
    f(0.0)

    def work() -> None:
        got.extend(f(0.0) for _ in range(50))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    theirs = np.random.default_rng(0).normal(size=(201, 3))[1:]
    agree(np.array(sorted(map(tuple, got))), np.array(sorted(map(tuple, theirs))))


def test_generators_are_copied_and_pickled() -> None:
    rng = cr.random.default_rng(0)
    rng.normal(size=5)
    for again in (copy.deepcopy(rng), pickle.loads(pickle.dumps(rng))):
        assert type(again) is cr.random.Generator and state(again) == state(rng)
    assert cr.random.default_rng(rng) is rng
    theirs = np.random.default_rng(0)
    shared = cr.random.default_rng(theirs)
    assert shared.bit_generator is theirs.bit_generator
    assert [type(g) for g in rng.spawn(2)] == [cr.random.Generator] * 2


# -------------------------------------------------------------------- samples that move with their shapes

SHAPES = np.array([0.3, 2.0, 5.0])
MOVED: dict[str, tuple[Any, Any]] = {
    "standard_gamma": (lambda g, a: g.standard_gamma(a), SHAPES),
    "standard_gamma of a size": (lambda g, a: g.standard_gamma(a, (4, 3)), SHAPES),
    "gamma": (lambda g, a: g.gamma(a, 2.0, (4, 3)), SHAPES),
    "gamma of a number": (lambda g, a: g.gamma(a), 2.0),
    "gamma of a scale": (lambda g, a: g.gamma(2.0, a, 3), 1.5),
    "beta": (lambda g, a: g.beta(a, 2.0, (4, 3)), SHAPES),
    "beta of both": (lambda g, a: g.beta(1.5, a), SHAPES),
    "laplace": (lambda g, a: g.laplace(a, 2.0, (4, 3)), SHAPES),
    "dirichlet": (lambda g, a: g.dirichlet(a, 5), SHAPES),
    "dirichlet alone": (lambda g, a: g.dirichlet(a), SHAPES),
    "dirichlet of small numbers": (lambda g, a: g.dirichlet(a, 5), SHAPES / 100),
}


@pytest.mark.parametrize("name", MOVED)
def test_samples_of_a_value_are_numpys(name: str) -> None:
    draw, at = MOVED[name]
    rng, theirs = cr.random.default_rng(3), np.random.default_rng(3)
    got, want = draw(rng, Value(at)), draw(theirs, at)
    assert type(got) is Value
    agree(got.data, want)
    assert state(rng) == state(theirs)


def test_samples_move_as_quantiles() -> None:
    """To second order: the difference of the quantile of the probability that the sample has."""
    from scipy import special

    h = 1e-4
    for draw, cdf, ppf in (
        (lambda a: cr.random.default_rng(0).gamma(a), special.gammainc, special.gammaincinv),
        (
            lambda a: cr.random.default_rng(0).beta(a, 2.0),
            lambda a, x: special.betainc(a, 2.0, x),
            lambda a, p: special.betaincinv(a, 2.0, p),
        ),
        (
            lambda b: cr.random.default_rng(0).beta(2.0, b),
            lambda b, x: special.betainc(2.0, b, x),
            lambda b, p: special.betaincinv(2.0, b, p),
        ),
    ):
        x = draw(SHAPES)
        more, less = (ppf(SHAPES + d, cdf(SHAPES, x)) for d in (h, -h))
        d = lambda a, draw=draw: cr.jvp(draw, (a,), (np.ones(3),))[1]
        np.testing.assert_allclose(d(SHAPES), (more - less) / (2 * h), rtol=1e-6)
        reverse = cr.grad(lambda a, draw=draw: np.sum(draw(a)))(SHAPES)
        np.testing.assert_allclose(reverse, d(SHAPES), rtol=1e-14)
        second = (more - 2 * x + less) / h**2
        np.testing.assert_allclose(cr.jvp(d, (SHAPES,), (np.ones(3),))[1], second, rtol=1e-4, atol=1e-6)


def test_the_mean_of_the_derivatives_is_the_derivative_of_the_mean() -> None:
    """E gamma(a) = a and E beta(a, b) = a / (a + b), in small shapes too, where most samples are almost 0."""
    of_gamma = cr.grad(lambda a: np.mean(cr.random.default_rng(0).gamma(a, size=20000)))
    of_beta = cr.grad(lambda a: np.mean(cr.random.default_rng(0).beta(a, 2.0, 20000)))
    for shape in (0.05, 1.5):
        assert abs(of_gamma(shape) - 1) < 0.05
        assert abs(of_beta(shape) / (2 / (shape + 2) ** 2) - 1) < 0.05


@pytest.mark.parametrize("name", [name for name in MOVED if "small" not in name])
def test_samples_move_in_programs(name: str) -> None:
    """Drawn in the middle of the program, of what it has computed, and in the order of the function."""
    draw, at = MOVED[name]

    def f(g: Any, a: Any) -> Any:
        first, x = g.normal(size=2), draw(g, a * 1.5)
        return np.sum(x * x) + np.sum(first), g.random(), np.sum(g.poisson(np.exp(cr.data(a) / 2)))

    for h in (f, lambda g, a: cr.grad(lambda a: f(g, a)[0])(a)):
        rng, theirs = cr.random.default_rng(3), cr.random.default_rng(3)
        compiled = cr.compile(lambda a, h=h, g=rng: h(g, a))
        for _ in range(2):
            agree(compiled(at), h(theirs, at), rtol=1e-12)
            assert state(rng) == state(theirs)


def test_programs_that_draw_in_their_middle() -> None:
    rng, theirs = cr.random.default_rng(5), cr.random.default_rng(5)
    f = lambda g, v: np.sum(g.gamma(v) * v) + g.random()
    compiled, v, w = cr.compile(f, check=True), Value(SHAPES), Value(SHAPES)
    for _ in range(2):  # the derivative is of the samples that were drawn
        got, want = compiled(rng, v), f(theirs, w)
        agree(got, want, rtol=1e-14)
        got.backward()
        want.backward()
        agree(v.grad, w.grad, rtol=1e-12)
    assert "standard_gamma" in str(compiled.report())
    unused = cr.compile(lambda a: (rng.beta(a, a), a + 1)[1])
    unused(2.0), theirs.beta(2.0, 2.0)
    assert state(rng) == state(theirs)
    with pytest.raises(ValueError, match="shape < 0"):
        cr.compile(lambda a: rng.random() + rng.gamma(a))(-1.0)
    assert state(rng) == state(theirs)


@pytest.mark.parametrize(
    "f, said",
    [
        (lambda g, n: g.gamma(1.0, size=n), r"standard_gamma|gamma: size is <traced.*static_argnums"),
        (lambda g, n: g.normal(size=(n, 2)), r"normal: size is .*<traced.*static_argnums"),
        (lambda g, n: g.poisson(n + 1.0, n), r"poisson: size is <traced.*static_argnums"),
        (lambda g, n: g.normal(n, 1.0, n), "static_argnums"),
        (lambda g, n: g.choice(2, p=[n, n]), "choice of a random generator, with a traced.*NumPy said"),
        (lambda g, n: cr.random.default_rng(0).poisson(n), "made in the function that is compiled"),
        (lambda g, n: cr.fori(0, 2, lambda i, x: x + g.gamma(x), 1.0), "its function draws random numbers"),
    ],
)
def test_what_a_program_cannot_draw(f: Any, said: str) -> None:
    rng = cr.random.default_rng(0)
    with pytest.raises(TracedError, match=said):
        cr.compile(lambda n: f(rng, n))(3)


def test_scales_move_in_programs_and_shapes_are_refused() -> None:
    rng = cr.random.default_rng(0)
    theirs = np.random.default_rng(0)
    fast = cr.compile(cr.grad(lambda s: np.sum(rng.gamma(2.0, s, 3) + rng.laplace(s, s, 3))))
    for _ in range(2):
        g, z = theirs.gamma(2.0, 1.0, 3), theirs.laplace(0.0, 1.0, 3)
        np.testing.assert_allclose(fast(1.5), np.sum(g + 1 + z), rtol=1e-14)
    with pytest.raises(TypeError, match=r"standard_gamma: .* dtype= and out= are not supported"):
        rng.standard_gamma(Value(2.0), dtype=np.float32)
    with pytest.raises(ValueError, match=r"gamma: size is 2, its parameters have the shapes \(3,\) and \(\)"):
        rng.gamma(Value(SHAPES), 1.0, 2)
