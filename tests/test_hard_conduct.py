"""The hard points that are no derivative at a point: values, dtypes, repetition, change, size, copies."""

from __future__ import annotations

import copy
import gc
import pickle
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn
from chainrule.primitives import Elementwise
from tests.hard import row
from tests.test_hard_points import MODES, a, close

inf = np.inf

# -------------------------------------------------------------------- values


@row(7, 15, 16, 17, 20, 21)
def test_values_at_the_edge_of_floats() -> None:
    close(np.linalg.norm(Value([1e200, 1e200])).data, 1e200 * 2**0.5)
    close(np.hypot(Value(1e200), Value(1e200)).data, 1e200 * 2**0.5)
    close(cr.log_softmax(Value([1e4, -1e4])).data, [0, -2e4])
    assert abs(cr.softplus(Value(25.0)).data - 25 - 1.388794386496402e-11) <= 2 * np.spacing(25)
    assert cr.entropy(Value([1.0, 0.0])).data == 0
    x = Value(0.0)
    assert cr.xlogy(x, x).data == 0
    assert cr.xlogy(Value(1.0), Value(0.0)).data == -inf  # binary cross-entropy is not clamped
    assert nn.bce_with_logits(Value([-inf]), a(1)).data == inf
    assert cr.logsumexp(Value([-inf, -inf])).data == -inf
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.log(Value([-1.0])).data).all() and np.isnan(np.log(Value(-1.0)).data)
    assert nn.cross_entropy(Value([[0.0, -inf]]), np.array([[1.0, 0.0]])).data == 0


# -------------------------------------------------------------------- dtypes and leaves


@row(22)
@pytest.mark.parametrize("other", [2.0, 3, np.float64(2), a(1, 2), Value(a(1, 2))], ids=repr)
def test_a_float32_leaf_has_a_float32_gradient(other: Any) -> None:
    x = np.ones(2, np.float32)
    leaf = Value(x)
    np.sum(leaf * other).backward()
    assert leaf.grad.dtype == np.float32
    assert cr.grad(lambda x: np.sum(other * x) * 1.0)(x).dtype == np.float32


@row(23)
@pytest.mark.parametrize("x", [3, True, np.arange(3), np.array([True]), np.int8(1)], ids=repr)
def test_an_integer_is_no_point_to_differentiate_at(x: Any) -> None:
    for operator in (cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian):
        with pytest.raises(TypeError, match=r"expected floats; .*astype\(float\)"):
            operator(np.sum)(x)


@row(7, 22)
def test_single_precision_at_its_edges() -> None:
    for x in (np.array([3e-22, 4e-22], np.float32), np.array([3e30, 4e30], np.float32)):
        value, g = cr.value_and_grad(np.linalg.norm)(x)
        assert value.dtype == g.dtype == np.float32
        np.testing.assert_allclose(value, np.linalg.norm(x.astype(float)), rtol=1e-6)
        np.testing.assert_allclose(g, [0.6, 0.8], rtol=1e-6)
    leaf = Value(np.float32(3))
    (leaf * leaf).backward()
    assert leaf.grad == 6 and leaf.grad.dtype == np.float32


STACKS = [(3,), (0,), (2, 3), (2, 0), (0, 3), (4, 2, 3), (4, 0, 3), (1, 2, 3), (5, 1, 2, 3)]
PAIRS: list[Any] = [(s, (*t[:-2], *t[:-3:-1])) for s in STACKS for t in STACKS if s[-1] == t[-1]]


@row(25, compiled=True)
def test_every_pair_of_shapes_that_matmul_takes() -> None:
    """``⟨g, a' b⟩ = ⟨ā, a'⟩``, exactly, in whole numbers; the same for b; plain, compiled, in both modes."""
    rng = np.random.default_rng(0)
    fit, points = [], []
    for shapes in PAIRS:
        x, y, dx, dy = (rng.integers(-9, 9, shape).astype(float) for shape in (*shapes, *shapes))
        try:
            g = rng.integers(-9, 9, np.shape(x @ y)).astype(float)
        except ValueError:  # stacks that do not broadcast
            with pytest.raises(ValueError, match="matmul: "):
                cr.grad(lambda x, y=y: np.sum(x @ y))(x)
            continue
        fit.append(shapes)
        points.append((x, y, dx, dy, g))
    assert len({(len(s), len(t)) for s, t in fit}) == 16

    def derivatives(x: Any, y: Any, dx: Any, dy: Any, g: Any) -> Any:
        f = lambda x, y: np.sum(g * (x @ y))
        pushed = cr.jvp(lambda x: f(x, y), (x,), (dx,))[1], cr.jvp(lambda y: f(x, y), (y,), (dy,))[1]
        return cr.grad(f, (0, 1))(x, y), pushed

    each = lambda points: [derivatives(*p) for p in points]
    for found in (each(points), cr.compile(each)(points)):
        for shapes, (x, y, dx, dy, g), ((gx, gy), pushed) in zip(fit, points, found, strict=True):
            assert (gx.shape, gy.shape) == shapes
            assert np.sum(gx * dx) == pushed[0] == np.sum(g * (dx @ y))
            assert np.sum(gy * dy) == pushed[1] == np.sum(g * (x @ dy))


@row(24)
def test_shapes_of_nothing() -> None:
    x = Value(np.ones((0, 3)))
    y = x * np.ones(3)
    assert y.shape == (0, 3)
    assert np.sum(y).data == 0
    with pytest.raises(IndexError, match="index 5"):
        Value(np.ones(3))[5]


@row(26, compiled=True)
@pytest.mark.parametrize(
    "f, slope",
    [
        (lambda z: np.abs(z) ** 2, 2 + 4j),
        (lambda z: np.real(z * np.conj(z)), 2 + 4j),
        (lambda z: z.real**2 + z.imag**2, 2 + 4j),
        (lambda z: np.angle(z), (-2 + 1j) / 5),
        (lambda z: np.exp(z).real, np.conj(np.exp(1 + 2j))),
    ],
)
def test_a_complex_gradient_is_the_direction_of_steepest_ascent(f: Any, slope: complex) -> None:
    """``∂f/∂a + i ∂f/∂b`` at ``z = 1 + 2i``."""
    np.testing.assert_allclose(cr.grad(f)(1 + 2j), slope, rtol=1e-14)
    np.testing.assert_allclose(cr.compile(cr.grad(f))(1 + 2j), slope, rtol=1e-14)
    np.testing.assert_allclose(cr.grad(lambda z: np.sum(f(z)))(np.array([1 + 2j])), [slope], rtol=1e-14)
    z = Value(1 + 2j)
    f(z).backward()
    np.testing.assert_allclose(z.grad, slope, rtol=1e-14)


@row(26, compiled=True)
def test_a_holomorphic_function_has_one_complex_derivative() -> None:
    z = 0.3 + 0.4j
    for d in (cr.grad(np.sin, holomorphic=True), cr.compile(cr.grad(np.sin, holomorphic=True))):
        np.testing.assert_allclose(d(z), np.cos(z), rtol=1e-14)
    with pytest.raises(TypeError, match=r"complex number, expected a real one; .*holomorphic=True"):
        cr.grad(np.sin)(z)
    with pytest.raises(TypeError, match="holomorphic=True expects complex arguments"):
        cr.grad(np.sin, holomorphic=True)(0.3)
    with pytest.raises(TypeError, match="holomorphic=True expects a complex output"):
        cr.grad(np.abs, holomorphic=True)(z)


@row(26)
@pytest.mark.parametrize("kind", [np.complex64, np.complex128, np.clongdouble])
def test_the_cauchy_riemann_equations_are_checked(kind: Any) -> None:
    z = np.array([0.3 + 0.4j, -1 + 2j], kind)
    holomorphic = {
        "np.sum(np.sin(z) * z**3 / (1 + z))": None,
        "np.sum(np.real(z) + 1j * np.imag(z))": np.ones(2),
        "np.sum(np.log(np.abs(z)) + 1j * np.angle(z))": 1 / z,
        "np.sum(np.conj(np.exp(np.conj(z))))": np.exp(z),
        "np.sum(0 * z)": np.zeros(2),
    }
    for text, want in holomorphic.items():
        got = cr.grad(lambda z, text=text: eval(text), holomorphic=True)(z)
        assert got.dtype == kind
        if want is not None:
            np.testing.assert_allclose(got, want, rtol=1e-5)
    for text in ("conj(z[0]) * z[1]", "abs(z[0]) + 0j", "real(z[1]) + 0j", "sum(z**2 + 0.01 * np.conj(z))"):
        with pytest.raises(ValueError, match="the function is not complex differentiable here"):
            cr.grad(lambda z, text=text: eval(f"np.{text}"), holomorphic=True)(z)
    second = cr.grad(cr.grad(np.sin, holomorphic=True), holomorphic=True)(z[0])
    np.testing.assert_allclose(second, -np.sin(z[0]), rtol=1e-5)


@row(27)
@pytest.mark.parametrize("cut", [float, int, bool, complex], ids=lambda f: f.__name__)
def test_leaving_the_graph_is_never_silent(cut: Any) -> None:
    with pytest.raises(TypeError, match=r"would cut it out of the graph; .*v\.data has the bare number"):
        cr.grad(lambda x: x * cut(x))(2.0)
    with pytest.raises(TypeError, match="would cut it out of the graph"):
        cr.grad(lambda x: np.sum(x) * cut(x[0]))(a(2, 3))


@row(27)
@pytest.mark.parametrize("cut", [lambda v: v.item(), lambda v: v.tolist()], ids=["item", "tolist"])
def test_numbers_are_given_outside_of_a_running_derivative_only(cut: Any) -> None:
    other = cr.Value(3.0)
    assert cut(other * 2) == cr.grad(lambda x: x * cut(other * 2))(2.0) == 6.0
    for run in (cr.grad, cr.hessian, lambda f: lambda x: cr.jvp(f, (x,), (x,))):
        with pytest.raises(TypeError, match=r"Value that is just being differentiated .*v\.data\.\w+\("):
            run(lambda x: x * cut(np.sin(x)))(2.0)
    assert cr.grad(lambda x: x * np.sin(x).data)(2.0) == np.sin(2.0)
    with pytest.raises(TypeError, match=r"stays in it"):  # the outer one's
        cr.grad(lambda x: cr.grad(lambda y: y * cut(x))(x))(2.0)


def test_item_takes_an_index() -> None:
    v = cr.Value(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert (v.item(2), v.item(0, 1), v.item((1, 1)), cr.Value(2.0).item(0)) == (3.0, 2.0, 4.0, 2.0)
    assert type(v.item(0)) is float


@row(28)
def test_what_does_not_depend_has_derivative_zero() -> None:
    x, y = np.ones((2, 3)), 1.5
    gx, gy = cr.grad(lambda x, y: np.sum(x), (0, 1))(x, y)
    assert gx.shape == (2, 3) and gy == 0.0
    for mode in MODES:
        assert np.array_equal(cr.jacobian(lambda x: np.ones(4), mode=mode)(x), np.zeros((4, 2, 3)))
    assert np.array_equal(cr.grad(lambda x: 1.0)(x), np.zeros((2, 3)))
    assert np.array_equal(cr.hessian(np.sum)(a(1, 2)), np.zeros((2, 2)))
    assert cr.jvp(lambda x: 1.0, (y,), (1.0,)) == (1.0, 0.0)


# -------------------------------------------------------------------- one graph, used again


@row(29)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_backward_adds_as_often_as_it_is_called(times: int) -> None:
    x, w = Value(3.0), Value(a(1, 2))
    y = np.sum(np.tanh(x * w) ** 2) + x * x
    y.backward()
    once = x.grad, w.grad.copy(), y.grad
    for _ in range(times - 1):
        y.backward()
    assert (x.grad, y.grad) == (times * once[0], times * once[2])
    assert np.array_equal(w.grad, times * once[1])


@row(30)
def test_data_changed_between_forward_and_backward() -> None:
    """The gradient is of what was computed, whoever changes his numbers afterwards."""
    x, c, index = Value(a(1, 2)), a(3, 4), np.array([0, 1])
    y = np.sum((x * c)[index] * x)
    x.data *= 100
    x.data[0] = 7
    c[:] = 100
    index[:] = 0
    y.backward()
    assert np.array_equal(x.grad, [6, 16])

    x = Value(2.0)
    y = x * x
    x.data = 3.0
    y.backward()
    assert x.grad == 4


@row(30)
def test_a_sweep_of_higher_order_refuses_changed_data() -> None:
    x = Value(2.0)

    def f(y: Any) -> Any:
        z = y * x * x
        x.data = 3.0
        return z

    with pytest.raises(RuntimeError, match="new data after it was used"):
        cr.grad(f)(5.0)


def _set(y: Any, x: Any) -> None:
    view = y[:1]
    view[0] = x[1] * 5


def _times(y: Any, x: Any) -> None:
    view = y[:1]
    view *= 3


def _plus_reversed(y: Any, x: Any) -> None:
    view = y[::-1]
    view[:1] += x[:1]


def _of_another_shape(y: Any, x: Any) -> None:
    view = y.reshape(2, 1).T
    view[0, 1] -= 4 * x[0]


def _where_it_lies(y: Any, x: Any) -> None:
    np.multiply(y[1:], x[:1], out=y[1:])


def _twice_at_one_place(y: Any, x: Any) -> None:
    np.add.at(y[1:], [0, 0], x[0])


WRITES = [
    (_set, [10, 4], [0, 7]), (_times, [6, 4], [6, 2]), (_plus_reversed, [2, 5], [3, 2]),
    (_of_another_shape, [2, 0], [-2, 2]), (_where_it_lies, [2, 4], [6, 2]),
    (_twice_at_one_place, [2, 6], [4, 2]),
]  # fmt: skip


@row(31, compiled=True)
@pytest.mark.parametrize("write, result, gradient", WRITES, ids=[w.__name__[1:] for w, *_ in WRITES])
def test_writing_into_a_view_is_a_write_into_its_base(write: Any, result: Any, gradient: Any) -> None:
    x = Value(a(1, 2))
    y = 2 * x
    before = y * 1
    write(y, x)
    assert np.array_equal(y.data, result) and np.array_equal(before.data, [2, 4])
    np.sum(y).backward()
    assert np.array_equal(x.grad, gradient)

    def total(x: Any) -> Any:
        y = 2 * x
        write(y, x)
        return np.sum(y)

    for mode in MODES:
        close(cr.jacobian(total, mode=mode)(a(1, 2)), gradient)
    close(cr.compile(cr.grad(total))(a(1, 2)), gradient)


@row(12, compiled=True)
def test_of_several_written_to_one_place_only_the_last_counts() -> None:
    """Gradients of what was written, and of what was written over."""

    def duplicates(v: Any) -> Any:
        y = np.sin(v[:2])
        y[[0, 0, 1]] = v * 2
        return np.sum(y * y)

    for mode in MODES:
        close(cr.jacobian(duplicates, mode=mode)(a(1, 2, 3)), [0, 16, 24])
    close(cr.compile(cr.grad(duplicates))(a(1, 2, 3)), [0, 16, 24])


@row(31)
def test_numbers_of_a_result_are_read_only() -> None:
    x = Value(a(1, 2))
    y = 2 * x
    view = y[:1]
    with pytest.raises(ValueError, match="read-only"):
        view.data[0] = 5.0
    np.sum(y).backward()
    assert np.array_equal(x.grad, [2, 2])


@row(34)
def test_an_error_half_way_changes_no_gradient() -> None:
    class Broken(Exception):
        pass

    def fail(*_: Any) -> Any:
        raise Broken

    broken = Elementwise(np.sin, fail)
    x, w = Value(0.5), Value(a(1, 2))
    y = np.sum(w * broken(x * 2)) + x
    with pytest.raises(Broken):
        y.backward()
    assert (x.grad, y.grad) == (0.0, 0.0)
    assert np.array_equal(w.grad, [0, 0])


# -------------------------------------------------------------------- size and life of a graph


@row(32)
@pytest.mark.parametrize(
    "grow, slope", [(lambda v, x: v * 1.0, lambda n: 1.0), (lambda v, x: v + x, lambda n: n + 1.0)],
    ids=["chain", "fan"],
)  # fmt: skip
def test_a_million_nodes_take_linear_time(grow: Any, slope: Any) -> None:
    """Built, swept and freed, without recursion: ten times the nodes take little more than ten times it."""

    def seconds(n: int) -> float:
        start = time.process_time()
        v = x = Value(1.0)
        for _ in range(n):
            v = grow(v, x)
        v.backward()
        assert x.grad == slope(n)
        del v
        return time.process_time() - start

    few = min(seconds(100_000) for _ in range(2))
    assert seconds(1_000_000) < 25 * few


@row(32)
@pytest.mark.parametrize("grow", [lambda v, x: v * 1.5, lambda v, x: v + x], ids=["chain", "fan"])
def test_a_scalar_node_takes_at_most_400_bytes(grow: Any) -> None:
    n = 20_000
    x = Value(1.0)
    tracemalloc.start()
    try:
        v = x
        for _ in range(n):
            v = grow(v, x)
        built = tracemalloc.get_traced_memory()[0]
        v.backward()
        peak = tracemalloc.get_traced_memory()[1]
        del v
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert built <= 400 * n and peak <= 400 * n
    assert left <= 10 * n  # Python keeps some freed floats at hand


@row(33)
def test_a_graph_is_freed_without_the_cyclic_collector() -> None:
    def values() -> int:
        return sum(type(o) is Value for o in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = values()
        x = Value(a(1, 2))
        y = np.sum(np.prod(np.tanh(x)) * x)
        y.backward()
        cr.hessian(lambda x: np.sum(np.sort(x) * np.prod(x)))(a(1, 2))
        assert values() > before
        del x, y
        assert values() == before
    finally:
        gc.enable()


def pickled(x: Any) -> Any:
    return pickle.loads(pickle.dumps(x))


@row(35)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled], ids=lambda f: f.__name__)
def test_a_leaf_is_copied_and_a_result_refuses(again: Any) -> None:
    x = Value(a(1, 2), name="x")
    np.sum(x * x).backward()
    y = again(x)
    assert y.name == "x" and np.array_equal(y.data, x.data) and np.array_equal(y.grad, [2, 4])
    y.data[0] = 5
    y.grad[0] = 5
    assert np.array_equal(x.data, [1, 2]) and np.array_equal(x.grad, [2, 4])
    with pytest.raises(TypeError, match=r"only leaves can be copied; take Value\(v\.data\)"):
        again(x * x)


@row(38)
@pytest.mark.parametrize("mode", MODES)
def test_a_value_kept_from_a_derivative_is_a_value_like_any_other(mode: str) -> None:
    """A graph does not end with the function that recorded it; only a capture does."""
    kept: list[Any] = []
    assert cr.jacobian(lambda x: [kept.append(x), x * x][1], mode=mode)(3.0) == 6
    x = kept[0]
    (x * x * 2).backward()
    assert x.grad == 12
    d = cr.jacobian(lambda y: x * y, mode=mode)(2.0)
    assert cr.data(d) == 3


# -------------------------------------------------------------------- perturbations kept apart


def nested(outer: str, inner: str) -> tuple[Any, Any]:
    return tuple((lambda f, m=m: cr.jacobian(f, mode=m)) for m in (outer, inner))  # type: ignore[return-value]


@row(37)
@pytest.mark.parametrize("inner", MODES)
@pytest.mark.parametrize("outer", MODES)
def test_perturbations_are_not_confused(outer: str, inner: str) -> None:
    D, d = nested(outer, inner)
    assert D(lambda x: x * d(lambda y: x * y)(1.0))(3.0) == 6
    assert D(lambda x: x * d(lambda y: x + y)(1.0))(3.0) == 1
    assert D(lambda x: d(lambda y: (x + y) ** 3)(0.0))(2.0) == 12

    def shifted(f: Any) -> Any:  # the derivative of f at x, as a function that closes over x
        return lambda x: d(lambda h: f(x + h))(0.0)

    assert D(shifted(lambda x: x**3))(2.0) == 12
    assert shifted(shifted(lambda x: x**3))(2.0) == 12


@row(6)
def test_the_square_of_a_norm_is_smooth_at_the_origin_and_keeps_its_node():
    for x in (np.zeros(3), np.array([3.0, 0.0, 4.0])):
        for square in (lambda n: n**2, np.square):
            f = lambda x, square=square: square(np.linalg.norm(x))
            assert np.allclose(cr.hessian(f)(x), 2 * np.eye(3))
            assert np.allclose(cr.grad(f)(x), 2 * x)
    w = Value([3.0, 4.0])
    n = np.linalg.norm(w)
    (n**2).backward()
    assert n.grad == 10.0
    w.data = [0.0, 1.0]
    assert (n**2).data == 25.0  # the norm is what it was


def test_large_gradients_are_let_go_during_the_sweep():
    y = x = Value(np.linspace(-1, 1, 20_000))
    for _ in range(50):
        y = np.tanh(y)
    out = np.sum(y)
    tracemalloc.start()
    out.backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * x.nbytes
