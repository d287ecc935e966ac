"""Arrays made by `chainrule.numpy`: which are Values, that they get no gradient, what they may be asked."""

import threading

import numpy as np
import pytest

import chainrule as cr
import chainrule.numpy as xp

CONVERSIONS = {
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "np.asarray": np.asarray,
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_conversions(name):
    convert = CONVERSIONS[name]
    c = xp.asarray(2.5)
    for v in (c, xp.sum(c * xp.ones(3)) / 3.0, c[...]):
        assert convert(v) == convert(np.asarray(2.5))
    tracked = cr.Value(2.5)
    changed = xp.zeros(1)
    changed[0] = tracked
    for v in (tracked, tracked + c, xp.sum(changed)):
        with pytest.raises(TypeError, match=name):
            convert(v)


@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.parametrize("x", [2.5, xp.asarray(2.5), np.float32(2.5)], ids=["number", "constant", "float32"])
def test_what_is_being_differentiated_is_tracked(name, x):
    for derivative in (
        lambda f: cr.grad(f)(x),
        lambda f: cr.jvp(f, (x,), (1.0,)),
        lambda f: cr.vjp(f, x),
        lambda f: cr.hvp(f, x, 1.0),
    ):
        with pytest.raises(TypeError, match=f"^{name}"):
            derivative(lambda v: v * CONVERSIONS[name](2.0 * v))
    assert cr.grad(lambda v: v * float(xp.asarray(3.0)))(2.0) == 3.0
    with pytest.raises(TypeError, match=f"^{name}"):  # the end of an inner derivative is not the outer's
        cr.grad(lambda v: cr.grad(lambda w: w * w)(2.0) * CONVERSIONS[name](v))(x)


def test_other_threads_are_no_concern():
    c = xp.asarray(1.0)
    inside, done = threading.Event(), threading.Event()

    def slow(v):
        inside.set()
        done.wait()
        return v * v

    thread = threading.Thread(target=lambda: cr.grad(slow)(c))
    thread.start()
    inside.wait()
    assert float(c) == 1.0
    done.set()
    thread.join()


def test_constants_get_no_gradient():
    c, w = xp.ones(3), cr.Value(np.ones(3))
    xp.sum(c * w * w).backward()
    assert np.array_equal(w.grad, [2.0, 2.0, 2.0])
    assert np.array_equal(c.grad, np.zeros(3))
    asked = cr.grad(lambda x: xp.sum(x * x))(c)
    assert np.array_equal(asked.data, [2.0, 2.0, 2.0])


def test_arrays_made_like_a_value_are_constants():
    """So a loop that fills one needs no change."""
    v = cr.Value(np.array([1.0, 2.0]))
    for made in (
        np.zeros_like(v), np.ones_like(v), np.empty_like(v), np.full_like(v, 7.0), np.zeros(3, like=v),
        np.ones(3, like=v), np.empty(3, like=v), np.eye(2, like=v), np.identity(2, like=v), np.tri(2, like=v),
    ):  # fmt: skip
        assert type(made) is cr.Value and made.params
        assert float(np.sum(np.asarray(made) * 0)) == 0.0
    assert type(np.zeros_like(v, dtype=int)) is type(np.ones_like(v, bool)) is np.ndarray

    def f(x):
        y, z = np.zeros_like(x), np.empty_like(x)
        for i in range(len(x)):
            y[i] = x[i] ** 2
        z[:] = 2 * x
        y += x
        return np.sum(y * z + np.divide(x, y, out=np.ones_like(x), where=y > 1))

    cr.check_grads(f, (np.array([0.5, 3.0]),), order=2)
    assert np.allclose(cr.compile(cr.grad(f))(v.data), cr.grad(f)(v.data), rtol=1e-13)


def test_a_leaf_is_not_made_a_constant():
    w = cr.Value(np.array(2.0))
    for made in (xp.full((), w), xp.asarray(w), xp.full_like(w, w), xp.from_dlpack(w)):
        assert not w.params
        with pytest.raises(TypeError, match="float"):
            float(made)


def test_asarray():
    v = cr.Value(np.ones(2))
    assert xp.asarray(v) is v
    assert xp.asarray(v, dtype=float) is v
    assert xp.asarray(v, copy=True) is not v
    x = np.ones(2)
    c = xp.asarray(x)
    x[0] = 7.0
    assert np.array_equal(c.data, [1.0, 1.0])
    with pytest.raises(ValueError, match="asarray: copy=False, but a Value keeps numbers of its own"):
        xp.asarray(x, copy=False)
    with pytest.raises(ValueError, match="copy=False, but the numbers of a Value are its own"):
        np.asarray(c, copy=False)
    i = np.arange(3)
    assert xp.asarray(i, copy=False) is i
    assert xp.array(1.0, ndmin=2).shape == (1, 1)
    with pytest.raises(TypeError, match="astype: a Value cannot become int64"):
        xp.asarray(v, dtype=int)
    assert np.array_equal(xp.asarray(c, dtype=int), [1, 1])


MADE = {
    "xp.asarray([x[0], 2.0, x[1] * x[1]])": lambda x: np.array([x[0], 2.0, x[1] ** 2]),
    "xp.array([[x[0]], [x[1]]])": lambda x: np.array([[x[0]], [x[1]]]),
    "xp.full((2, 2), x[0])": lambda x: np.full((2, 2), x[0]),
    "xp.full_like(x, x[1])": lambda x: np.full_like(x, x[1]),
    "xp.linspace(x[0], x[1], 4)": lambda x: np.linspace(x[0], x[1], 4),
    "xp.astype(x, xp.complex128) * 2j": lambda x: x * 2j,
    "xp.sort(x, descending=True)": lambda x: np.sort(x)[::-1],
    "filled(xp.zeros(3), x)": lambda x: np.array([x[0], x[0] * x[1], 0.0]),
}


def filled(a, x):
    a[0] = x[0]
    a[1] = x[0] * x[1]
    return a


@pytest.mark.parametrize("made", MADE)
def test_what_is_made_of_values_has_their_derivative(made):
    f = lambda x: eval(made, {"xp": xp, "x": x, "filled": filled})
    x = np.array([0.5, 1.5])
    assert np.array_equal(f(cr.Value(x)).data, MADE[made](x))
    cr.check_grads(lambda x: xp.real(xp.sum(f(x) * f(x))), (x,), order=2)


def test_ties_in_descending_order():
    x = xp.asarray([1.0, 2.0, 1.0, np.nan])
    assert np.array_equal(xp.argsort(x, descending=True), [3, 1, 0, 2])


def test_what_has_no_derivative_has_one_of_constants():
    assert float(xp.nextafter(xp.asarray(1.0), 2.0)) == np.nextafter(1.0, 2.0)
    assert type(xp.roots(xp.asarray([1.0, -3.0, 2.0]))) is cr.Value
    with pytest.raises(TypeError, match="nextafter: chainrule has no derivative"):
        xp.nextafter(cr.Value(1.0), xp.asarray(2.0))


# -------------------------------------------------------------------- other libraries


def test_dlpack():
    v = cr.Value(np.ones(3, np.float32))
    shared = np.from_dlpack(v)
    assert shared.dtype == np.float32
    v.data[0] = 5.0
    assert shared[0] == 5.0
    assert np.array_equal(np.from_dlpack(2.0 * xp.ones(2)), [2.0, 2.0])
    assert (2.0 * xp.ones(2)).__dlpack__() is not None  # to a reader that may write
    assert v.__dlpack_device__() == np.ones(1).__dlpack_device__()
    c = xp.from_dlpack(np.ones(2))
    assert type(c) is cr.Value and float(c[0]) == 1.0
    assert type(xp.from_dlpack(np.arange(2))) is np.ndarray
    for f in (lambda: np.from_dlpack(2.0 * v), lambda: cr.grad(np.from_dlpack)(np.ones(2))):
        with pytest.raises(TypeError, match="__dlpack__: another library would cut this tracked Value out"):
            f()


def test_device():
    v = cr.Value(1.0)
    assert v.device == "cpu"
    assert v.to_device("cpu") is v
    with pytest.raises(ValueError, match="to_device: device is 'gpu', stream None; expected 'cpu' and None"):
        v.to_device("gpu")


# -------------------------------------------------------------------- in the place of numpy


def test_drop_in():
    assert xp.sum is np.sum
    assert xp.linalg.norm is np.linalg.norm
    assert xp.random is np.random
    assert {"sum", "zeros", "linalg", "fft", "float64", "einsum"} <= set(dir(xp))
    assert {"norm", "svd"} <= set(dir(xp.linalg))
    with pytest.raises(AttributeError, match="wrong"):
        xp.wrong  # noqa: B018


def test_compiled():
    def f(x):
        a = xp.zeros(3)
        return xp.sum(xp.asarray(x) * (a + xp.linspace(0.0, 1.0, 3)))

    x = np.array([1.0, 2.0, 3.0])
    outside = np.ones(2000)
    g = cr.compile(lambda s: xp.sum(xp.asarray(outside)) * xp.asarray([s, 2.0])[0])
    assert g(2.0).data == 4000.0
    outside[:] = 2.0
    assert g(2.0).data == 8000.0
    assert np.array_equal(cr.compile(cr.grad(f))(x), cr.grad(f)(x))
    assert cr.compile(f)(x).data == f(x).data
