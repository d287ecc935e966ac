"""Assignment: names, windows and numbers as in NumPy, derivatives as of the function that it computes."""

from __future__ import annotations

import copy
import gc
import re
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.numpy as xp
from chainrule import Value
from chainrule.numpy.assignment import LARGE
from chainrule.traced import TracedError

X = np.array([0.5, 1.5, -2.5, 0.8, 1.1, -0.4])


def total(*parts: Any) -> Any:
    """Every element counts otherwise."""
    return sum(
        np.sum(p * np.cos(np.arange(np.size(p)) + k).reshape(np.shape(p))) for k, p in enumerate(parts)
    )


# -------------------------------------------------------------------- random programs beside NumPy's


def program(seed: int) -> Callable[[Any], Any]:
    """Arrays, windows on them, writes through either, and computations in between, in any order."""
    draws = np.random.default_rng(seed).random((18, 4)).tolist()

    def f(x: Any) -> Any:
        arrays = [x * 1.5, np.sin(x)]
        kept = []
        for what, first, second, third in draws:
            a = arrays[int(first * len(arrays))]
            b = arrays[int(second * len(arrays))]
            kind, n = int(what * 11), a.shape[0]
            i, low = int(third * n), int(third * (n - 1))
            if kind == 0:
                arrays.append(a[low:])
            elif kind == 1:
                arrays.append(a[::-1])
            elif kind == 2 and n % 2 == 0:
                arrays.append(a.reshape(2, n // 2).T.reshape(n) if third < 0.5 else a.reshape(2, n // 2)[1])
            elif kind == 3:
                a[i] = b[0] * 0.7
            elif kind == 4:
                a[low:] += b[-1]
            elif kind == 5:
                a *= 0.5 + third
            elif kind == 6:
                a[[i, 0, i]] = b[:1] * np.arange(1.0, 4.0)
            elif kind == 7:
                arrays.append(np.tanh(a) + b[:1])
            elif kind == 8:
                kept.append(a * b[0])
            elif kind == 9:
                kept.append(a[i])  # a number, which nothing that is written changes
            else:
                a[i], a[low] = a[low], a[i]
        return total(*arrays, *kept)

    return f


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_random_programs(start: int) -> None:
    for seed in range(start, start + 20):
        f = program(seed)
        expected = f(X.copy())
        value, gradient = cr.value_and_grad(f)(X)
        assert np.isclose(value, expected, rtol=1e-12), seed
        forward = cr.jacobian(f, mode="forward")(X)
        assert np.allclose(gradient, forward, rtol=1e-10, atol=1e-10), seed
        step = 1e-6 * np.eye(len(X))
        quotients = [(f(X + h) - f(X - h)) / 2e-6 for h in step]
        assert np.allclose(gradient, quotients, rtol=1e-5, atol=1e-5), seed


@pytest.mark.parametrize("seed", range(6))
def test_second_order(seed: int) -> None:
    cr.check_grads(program(seed), (X,), order=2)


# -------------------------------------------------------------------- what is a view in NumPy

MASK = np.array([True, False, True])
OF_MATRICES: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda y: y.T,
    "transposed, raveled": lambda y: y.T.ravel(),
    "transposed, reshaped": lambda y: y.T.reshape(-1),
    "transposed twice, reshaped": lambda y: y.T.T.reshape(-1),
    "transposed, computed, reshaped": lambda y: (y.T * 1.0).reshape(-1),
    "raveled": lambda y: y.ravel(),
    "raveled in columns": lambda y: y.ravel(order="F"),
    "flattened": lambda y: y.flatten(),
    "reshaped": lambda y: y.reshape(3, 2),
    "row": lambda y: y[0],
    "column": lambda y: y[:, 0],
    "part of a row": lambda y: y[0][1:],
    "rows by numbers": lambda y: y[[0, 1]],
    "elements by numbers": lambda y: y[np.ix_([0, 1], [0, 2])],
    "slice and numbers": lambda y: y[0:1, [0, 1]],
    "by mask": lambda y: y[:, MASK],
    "part, reshaped": lambda y: y[:, ::2].reshape(-1),
    "first row, reshaped": lambda y: y[:1].reshape(-1),
    "with an axis": lambda y: y[None],
    "element with an axis": lambda y: y[0, 1, None],
    "the same": lambda y: y[...],
    "diagonal": np.diagonal,
    "another diagonal": lambda y: np.diagonal(y, 1),
    "diag": np.diag,
    "einsum, transposed": lambda y: np.einsum("ij->ji", y),
    "einsum, the same": lambda y: np.einsum("ij->ij", y),
    "einsum, diagonal": lambda y: np.einsum("ii->i", y[:, :2]),
    "swapaxes": lambda y: np.swapaxes(y, 0, 1),
    "rot90": np.rot90,
    "flip": np.flip,
    "squeeze": np.squeeze,
    "split": lambda y: np.split(y, 3, 1)[1],
    "conj": lambda y: y.conj(),
    "np.conj": np.conj,
    "real": lambda y: y.real,
    "real of complex": lambda y: (y + 1j * y).real,
    "astype": lambda y: y.astype(float),
    "astype, no copy": lambda y: y.astype(float, copy=False),
    "copy": np.copy,
    "positive": lambda y: +y,
    "array": lambda y: np.array(y, like=y),
    "asarray": lambda y: np.asarray(y, like=y),
    "tile": lambda y: np.tile(y, 1),
    "roll": lambda y: np.roll(y, 0),
    "roll an axis": lambda y: np.roll(y, 0, 1),
    "meshgrid": lambda y: np.meshgrid(y[0], y[1])[0],
    "take": lambda y: np.take(y, [0, 1], 0),
    "repeat": lambda y: np.repeat(y, 1),
    "delete": lambda y: np.delete(y, 0, 0),
    "resize": lambda y: np.resize(y, (2, 3)),
    "compress": lambda y: np.compress(MASK, y, 1),
    "extract": lambda y: np.extract(np.array([MASK, MASK]), y),
    "take_along_axis": lambda y: np.take_along_axis(y, np.array([[0], [1]]), 1),
    "sort": lambda y: np.sort(y, 1),
    "where": lambda y: np.where(True, y, y),
    "stack": lambda y: np.stack([y]),
    "concatenate": lambda y: np.concatenate([y]),
    "trim_zeros": lambda y: np.trim_zeros(y[0]),
    "broadcast": lambda y: np.broadcast_to(y, (2, 2, 3)),
    "unpacked": lambda y: np.stack(list(y[0])),
    "element": lambda y: y[0, 1],
}  # fmt: skip


@pytest.mark.parametrize("name", OF_MATRICES)
@pytest.mark.parametrize("through", ["base", "result"])
def test_views_and_copies_are_numpys(name: str, through: str) -> None:
    make = OF_MATRICES[name]
    x = np.array([[0.5, 1.5, -0.7], [2.0, 0.3, 0.4]])

    def f(x: Any) -> Any:
        y = np.exp(x)
        part = make(y)
        kept = part * 2.0
        if through == "base":
            y[...] = y * y + 1.0
        else:
            part[...] = part * part + 1.0
        return total(part, y, kept)

    try:
        expected = f(x)
    except ValueError:
        with pytest.raises(ValueError, match="read-only"):
            f(Value(x))
        return
    except TypeError:  # a number of NumPy's has no elements to assign
        assert name == "element"
        return
    if (name, through) == ("einsum, diagonal", "result"):  # the one write of NumPy's that is refused
        with pytest.raises(ValueError, match="read-only"):
            f(Value(x))
        return
    value, gradient = cr.value_and_grad(f)(x)
    assert np.isclose(value, expected, rtol=1e-13)
    assert np.allclose(gradient, cr.jacobian(f, mode="forward")(x), rtol=1e-12)
    step = 1e-6 * np.eye(6).reshape(6, 2, 3)
    quotients = np.array([(f(x + h) - f(x - h)) / 2e-6 for h in step]).reshape(2, 3)
    assert np.allclose(gradient, quotients, rtol=1e-5, atol=1e-5)
    try:
        fast, slope = cr.compile(cr.value_and_grad(f))(x)
    except TracedError as error:
        assert re.search("order in memory|depends on the numbers", str(error))
    else:
        assert np.isclose(fast, expected, rtol=1e-13) and np.allclose(slope, gradient, rtol=1e-12)


def _recurrence(x: Any) -> Any:
    a = x * 1.0
    for i in range(1, len(x)):
        a[i] = a[i - 1] * 0.5 + x[i] ** 2
    return np.sum(a)


def _states(x: Any) -> Any:
    states = np.zeros((len(x), 4), like=x)
    states[0] = x[:4]
    for i in range(1, len(x)):
        states[i] = states[i - 1] + 0.01 * np.sin(states[i - 1])
    return np.sum(states)


@pytest.mark.parametrize("f", [_recurrence, _states])
def test_a_recurrence_takes_memory_in_proportion(f: Callable[[Any], Any]) -> None:
    peaks = []
    for n in (600, 2400):
        tracemalloc.start()
        cr.grad(f)(np.linspace(0.0, 1.0, n))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 6 * peaks[0]
    x = np.linspace(0.0, 1.0, 600)
    d = np.cos(np.arange(600.0))
    quotient = (np.sum(f(x + 1e-6 * d)) - np.sum(f(x - 1e-6 * d))) / 2e-6
    assert np.isclose(cr.grad(f)(x) @ d, quotient, rtol=1e-6)


# -------------------------------------------------------------------- one by one


def written(write: Callable[[Any, Any], None]) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        a = np.exp(x).reshape(2, 3)
        before = a * 2
        write(a, x)
        return total(a, before)

    return f


def _assign(index: Any) -> Callable[[Any, Any], None]:
    def write(a: Any, x: Any) -> None:
        a[index] = x[:1] ** 2

    return write


def _augment(a: Any, x: Any) -> None:
    a -= x[0]
    a /= 2.0
    a **= 2
    a[0] *= x[:3]
    a[:, 1] /= x[:2] ** 2


WRITES: dict[str, Callable[[Any, Any], None]] = {
    **{
        f"a[{index!r}]": _assign(index)
        for index in (
            0, slice(1), (slice(None), 1), ..., (..., -1), [0, 0], ([0, 1], [2, 2]), (None, 0),
            (slice(None), slice(None, None, -1)), slice(2, 2),
        )
    },
    "element": lambda a, x: a.__setitem__((1, 2), x[0] ** 2),
    "mask": lambda a, x: a.__setitem__(np.array([[True, False, True], [False, False, True]]), x[:3]),
    "of what it is": lambda a, x: a.__setitem__(slice(None), a[::-1]),
    "array": lambda a, x: a.__setitem__(0, np.array([1.0, 2.0, 3.0])),
    "integer": lambda a, x: a.__setitem__((0, 0), 7),
    "augmented": _augment,
    "fill": lambda a, x: a.fill(x[2]),
    "add.at": lambda a, x: np.add.at(a, ([0, 0, 1], [1, 1, 2]), x[:3]),
    "subtract.at": lambda a, x: np.subtract.at(a, 0, x[1]),
    "out": lambda a, x: np.multiply(a, x[3], out=a) and None,
    "copyto": lambda a, x: np.copyto(a, x[:3], where=np.array([True, False, True])),
    "put": lambda a, x: np.put(a, [0, -1, 0], x[:3]),
    "put, wrapped": lambda a, x: np.put(a, [7, 2], x[:1], mode="wrap"),
    "fill_diagonal": lambda a, x: np.fill_diagonal(a, x[:2]),
    "put_along_axis": lambda a, x: np.put_along_axis(a, np.array([[2], [0]]), x[:1], 1),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_writes(name: str) -> None:
    if name == "out":

        def f(x: Any) -> Any:
            a = np.exp(x)
            np.multiply(a, x[3], out=a)
            return total(a)
    else:
        f = written(WRITES[name])
    expected = f(X.copy()) if name != "fill" else f(X)
    assert np.isclose(cr.value_and_grad(f)(X)[0], expected, rtol=1e-13)
    cr.check_grads(f, (X,), order=2)


def test_names_see_the_change_and_what_was_computed_before_does_not() -> None:
    x = Value(np.ones(3))
    a = x * 2
    b, row, double = a, a[1:], a * 2
    a[1] = 7.0
    assert b is a and a.data.tolist() == [2, 7, 2] and row.data.tolist() == [7, 2]
    assert double.data.tolist() == [4, 4, 4]
    row[1] = 5.0
    assert a.data.tolist() == [2, 7, 5]
    (np.sum(a) + np.sum(double)).backward()
    assert x.grad.tolist() == [6, 4, 4]


def test_a_copy_has_a_life_of_its_own() -> None:
    a = Value(np.ones(3)) * 2
    b, c = a.copy(), a[[0, 1]]
    a[0] = 5.0
    assert b.data.tolist() == [2, 2, 2] and c.data.tolist() == [2, 2]


def test_what_is_no_number_is_replaced_in_place() -> None:
    """`np.nan_to_num` with ``copy=False`` changes the array that it is given."""

    def f(x: Any) -> Any:
        y = x * np.array([1.0, np.nan, 2.0])
        z = np.nan_to_num(y, copy=False, nan=0.25)
        z[0] += 1.0
        return total(y, z)

    x = X[:3]
    assert f(Value(x)).item() == f(x)
    cr.check_grads(f, (x,), order=2)
    with pytest.raises(TypeError, match="cannot hold a Value"):
        np.nan_to_num(np.array([np.nan]), copy=False, nan=Value(1.0))


def test_overwritten_elements_are_dead_lanes() -> None:
    def f(x: Any) -> Any:
        s = np.sqrt(x)
        s[x == 0] = 1.0
        s[1] = s[1] * 1.0
        return np.sum(s)

    x = np.array([0.0, 4.0])
    assert cr.grad(f)(x).tolist() == cr.jacobian(f, mode="forward")(x).tolist() == [0.0, 0.25]


def test_the_argument_of_a_function_is_not_changed() -> None:
    def f(x: Any) -> Any:
        x[0] = x[1] ** 2
        return np.sum(x)

    x = X.copy()
    assert cr.grad(f)(x).tolist() == [0, 4, 1, 1, 1, 1]
    assert np.array_equal(x, X)
    assert np.allclose(cr.hessian(f)(x)[1, 1], 2.0)


def test_a_loop_that_fills_an_array_takes_memory_in_proportion() -> None:
    def f(x: Any) -> Any:
        y = np.zeros((400, 1000)) * x[0]
        for i in range(400):
            y[i] = x[i % 6] * i
        return np.sum(y)

    tracemalloc.start()
    g = cr.grad(f)(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.allclose(g, [sum(1000 * i for i in range(400) if i % 6 == k) for k in range(6)])
    assert peak < 20 * 400 * 1000 * 8


def test_graphs_are_freed_by_reference_counting() -> None:
    gc.collect()
    gc.disable()
    try:
        x = Value(np.ones(5))
        a = x * 2
        alive = weakref.ref(a._raw)
        row = a[1:]
        for i in range(1, 5):
            a[i] = a[i - 1] * row[0]
            a[i] += np.sum(a)
        np.sum(a).backward()
        del a, row
        assert alive() is None
    finally:
        gc.enable()


OUTSIDE = Value(X)
REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "scalar": (lambda: (Value(2.0) * 1).__setitem__(0, 1.0), TypeError, "scalar, which has no elements"),
    "complex": (lambda: (Value(X) * 1).__setitem__(0, 1j), TypeError, "imaginary part"),
    "shape": (lambda: (Value(X) * 1).__setitem__(slice(2), X), ValueError, r"setitem: .*has shape \(6,\)"),
    "bounds": (lambda: (Value(X) * 1).__setitem__(6, 0.0), IndexError, r"setitem: index 6 is out of bounds"),
    "index": (lambda: (Value(X) * 1).__setitem__(Value(1.0), 0.0), TypeError, "the index is a Value"),
    "read-only": (
        lambda: np.broadcast_to(Value(X), (2, 6)).__setitem__(0, 1.0), ValueError, "read-only, as in NumPy"
    ),
    "plain": (lambda: np.copyto(X.copy(), Value(X)), TypeError, "the array to write into is plain"),
    "shape in place": (lambda: Value(X[:1]).__iadd__(Value(X)), ValueError, r"\+=: the result has shape"),
    "dtype in place": (
        lambda: Value(X).__imul__(Value(X + 0j)), TypeError, r"\*=: the result is complex128",
    ),
    "outside": (
        lambda: cr.compile(lambda x: OUTSIDE.__setitem__(0, x) or x)(1.0), TypeError, "from outside of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    call, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        call()


def test_a_failed_assignment_changes_nothing() -> None:
    a = Value(X) * 1
    before, serial = a.data.copy(), a.serial
    with pytest.raises(ValueError):
        a[:2] = X
    assert np.array_equal(a.data, before) and a.serial == serial
    with pytest.raises(TypeError, match="only leaves can be copied"):
        copy.copy(a)


@pytest.mark.parametrize("new", [np.ones(3), "a text"])
def test_a_failed_assignment_in_place_leaves_the_array_read_only(new: Any) -> None:
    a = Value(np.ones(LARGE // 8 + 1)) * 2.0
    a[0] = 1.0
    a[1] = 1.0  # from the second on it is written over
    before = np.array(a._raw)
    with pytest.raises((ValueError, TypeError)):
        a[:2] = new
    assert not a._raw.flags.writeable and np.array_equal(a.data, before)


# -------------------------------------------------------------------- compiled


@pytest.mark.parametrize("name", [n for n in WRITES if n not in ("out", "put", "put, wrapped")])
def test_compiled(name: str) -> None:
    f = written(WRITES[name])
    value, gradient = cr.value_and_grad(f)(X)
    fast, slope = cr.compile(cr.value_and_grad(f))(X)
    assert np.isclose(fast, value, rtol=1e-13) and np.allclose(slope, gradient, rtol=1e-12)


def test_compiled_at_an_index_that_is_an_argument() -> None:
    def f(x: Any, i: Any) -> Any:
        a = x * 2
        a[i] = x[0] ** 2
        return np.sum(a * a)

    g, fast = cr.grad(f), cr.compile(cr.grad(f))
    for i in (0, 3, -1):
        assert np.allclose(fast(X, i), g(X, i), rtol=1e-13)


def test_an_array_without_axes_is_assigned_as_a_whole():
    def f(x):
        x = xp.asarray(x)
        s = np.sum(x * x)
        t = s * 1.0
        t[xp.asarray(False)] = np.nan
        s[...] = s * x[0]
        a = xp.zeros(())
        a[()] = x[1]
        return s + t * a

    cr.check_grads(f, (np.array([1.0, 2.0]),), order=2)
    assert f(np.array([1.0, 2.0])).data == 15.0
    with pytest.raises(IndexError, match="setitem: too many indices"):
        np.sum(Value(np.ones(2)))[0] = 1.0
    with pytest.raises(TypeError, match="setitem: this Value is a scalar"):
        Value(1.0)[...] = 2.0


IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "sort": lambda a, v: a.sort(),
    "sort along": lambda a, v: a.sort(0, kind="stable"),
    "partition": lambda a, v: a.partition(1, axis=-1),
    "put": lambda a, v: a.put([0, -1, 3], v[:2]),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_methods_that_change_the_array(name: str) -> None:
    """The Value, and who has a window of it, are changed; what was computed before is not."""
    x, v = np.array([[3.0, 1.0, 2.0], [0.5, 4.0, -1.0]]), np.array([7.0, 8.0])

    def f(x: Any, v: Any) -> Any:
        a = x * 1.0
        window, before = a[0], a * 2
        assert IN_PLACE[name](a, v) is None
        return np.stack([a, before]), window * 3

    for got, want in zip(f(Value(x), Value(v)), f(x, v), strict=True):
        np.testing.assert_array_equal(got.data, want)
    cr.check_grads(lambda x, v: f(x, v)[0], (x, v), order=2)
    with pytest.raises(TypeError, match=f"^{name.split()[0]}: this Value is a scalar"):
        IN_PLACE[name](Value(1.0), v)
