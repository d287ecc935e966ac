"""Products with the Jacobian, Jacobians, Hessians: all of them, held against the same matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import optree
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import chainrule as cr
from chainrule.primitives import Elementwise

inf = np.inf
A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
SIX = np.array([1.0, -2.0, 0.5])
eye = np.eye(3)
JACOBIANS = {
    "matrix": (lambda x: A @ x, lambda x: A, SIX),
    "squares": (lambda x: x**2, lambda x: np.diag(2 * x), SIX),
    "outer": (
        lambda x: np.outer(x, x),
        lambda x: np.einsum("ik,j->ijk", eye, x) + np.einsum("i,jk->ijk", x, eye),
        SIX,
    ),
    "to a scalar": (lambda x: np.sum(np.sin(x)), lambda x: np.cos(x), SIX),
    "from a scalar": (lambda x: np.sin(x * SIX), lambda x: SIX * np.cos(x * SIX), 0.3),
    "scalar": (lambda x: x**3, lambda x: 3 * x**2, 2.0),
    "of a matrix": (
        lambda x: x.T @ A,
        lambda x: np.einsum("al,kb->abkl", np.eye(3), A),
        np.ones((2, 3)),
    ),
    "more out than in": (lambda x: np.tile(x, 4), lambda x: np.tile(eye, (4, 1)), SIX),
    "nothing in": (lambda x: np.sum(x) * SIX, lambda x: np.zeros((3, 0, 2)), np.zeros((0, 2))),
    "nothing out": (lambda x: x[:0], lambda x: np.zeros((0, 3)), SIX),
}
ANY_JACOBIAN = pytest.mark.parametrize(("h", "want", "x"), JACOBIANS.values(), ids=JACOBIANS)


@ANY_JACOBIAN
def test_a_jacobian_is_the_same_in_every_mode_and_has_shape_out_plus_in(h, want, x):
    want = want(x)
    for mode in ("forward", "reverse", "auto"):
        j = cr.jacobian(h, mode=mode)(x)
        assert np.shape(j) == np.shape(h(x)) + np.shape(x) == np.shape(want)
        assert_allclose(j, want, rtol=1e-14, atol=1e-14)


@ANY_JACOBIAN
def test_products_with_the_jacobian_are_those_of_its_matrix(h, want, x):
    rng = np.random.default_rng(0)
    y = h(x)
    dx, g = rng.normal(size=np.shape(x)), rng.normal(size=np.shape(y))
    matrix = np.reshape(want(x), (np.size(y), np.size(x)))
    pushed = (matrix @ np.ravel(dx)).reshape(np.shape(y))
    pulled = (np.ravel(g) @ matrix).reshape(np.shape(x))
    value, lin = cr.linearize(h, x)
    value2, pull = cr.vjp(h, x)
    value3, t = cr.jvp(h, (x,), (dx,))
    for v in (value, value2, value3):
        assert_array_equal(v, y)
    for tangent in (t, lin(dx), lin(2 * dx) / 2, cr.directional_derivative(h, x, dx)):
        assert_allclose(tangent, pushed, rtol=1e-13, atol=1e-14)
    for c in (pull(g), pull(g), [x / 2 for x in pull(2 * g)]):
        assert_allclose(c[0], pulled, rtol=1e-13, atol=1e-14)


def test_whole_numbers_and_other_precisions_are_taken_as_cotangents_and_tangents():
    for x in (2.0, np.float64(2.0), np.float32(2.0), np.array(2.0), np.ones(3), np.ones((2, 3), np.float32)):
        dx, ones = np.ones(np.shape(x), int), np.ones(np.shape(x))
        dx = 1 if np.ndim(x) == 0 else dx
        for h in (lambda x: x * 3.0, lambda x: np.sum(x * 3.0)):
            value, t = cr.jvp(h, (x,), (dx,))
            assert_array_equal(t, h(ones))
            one = np.ones(np.shape(value), int) if np.ndim(value) else 1
            (c,) = cr.vjp(h, x)[1](one)
            assert np.shape(c) == np.shape(x)
            assert_array_equal(c, 3.0 * ones)


def test_jacobian_takes_the_fewer_sweeps():
    calls = []

    def partial(y, x):
        calls.append(1)
        return np.cos(x)

    counted = Elementwise(np.sin, partial)
    for sizes, fewest in (((5, 2), 2), ((2, 5), 2), ((3, 3), 3)):
        calls.clear()
        M = np.ones((sizes[1], sizes[0]))
        assert cr.jacobian(lambda x, M=M: M @ counted(x))(np.ones(sizes[0])).shape == sizes[::-1]
        assert len(calls) == fewest


@pytest.mark.parametrize("wrong", [np.ones(3), 1.0, (1.0, 2.0), [np.ones(2)], None], ids=str)
def test_cotangents_and_tangents_of_another_shape_are_refused(wrong):
    x = np.ones(2)
    _, pull = cr.vjp(lambda x: x, x)
    with pytest.raises(ValueError, match=r"^vjp: cotangent has (shape|the structure) .* expected"):
        pull(wrong)
    for name, call in (
        ("jvp", lambda: cr.jvp(lambda x: x, (x,), (wrong,))),
        ("linearize", lambda: cr.linearize(lambda x: x, x)[1](wrong)),
        ("directional_derivative", lambda: cr.directional_derivative(np.sum, x, wrong)),
        ("hvp", lambda: cr.hvp(np.sum, x, wrong)),
    ):
        with pytest.raises(ValueError, match=rf"^{name}: tangents? has (shape|the structure) .* expected"):
            call()


def test_jvp_wants_tuples():
    for primals, tangents in ((1.0, (1.0,)), ((1.0,), 1.0), (None, None)):
        with pytest.raises(TypeError, match="expected a tuple with one entry per argument"):
            cr.jvp(lambda x: x, primals, tangents)
    with pytest.raises(ValueError, match=r"jvp: tangents"):
        cr.jvp(lambda x: x, (1.0,), (1.0, 2.0))


@pytest.mark.parametrize("mode", ["backward", "", None, "Forward"])
def test_an_unknown_mode_is_refused(mode):
    with pytest.raises(ValueError, match=r"jacobian: mode is .* expected 'auto', 'forward' or 'reverse'"):
        cr.jacobian(np.sin, mode=mode)


def test_complex_arguments_and_outputs_have_no_real_jacobian():
    """A reverse sweep keeps the real part for a real argument: half of the answer would be lost."""
    for mode in ("forward", "reverse", "auto"):
        with pytest.raises(TypeError, match="jacobian: complex"):
            cr.jacobian(lambda z: np.abs(z), mode=mode)(np.ones(2) * 1j)
        with pytest.raises(TypeError, match=r"jacobian: .*complex"):
            cr.jacobian(lambda x: x * 1j, mode=mode)(np.ones(2))


def test_an_infinite_derivative_stays_in_its_own_entry():
    """The zeros of a unit vector send nothing, so that they do not meet the infinity as 0 · inf."""
    x, L = np.array([0.0, 4.0]), np.array([[1.0, 0.0], [1.0, 1.0]])
    with np.errstate(all="ignore"):
        for mode in ("forward", "reverse", "auto"):
            for h, want in (
                (np.sqrt, [[inf, 0.0], [0.0, 0.25]]),
                (lambda x: np.cumsum(np.sqrt(x)), [[inf, 0.0], [inf, 0.25]]),
                (lambda x: L @ np.sqrt(x), [[inf, 0.0], [inf, 0.25]]),
                (
                    lambda x: np.concatenate([np.sqrt(x), x]),
                    [[inf, 0.0], [0.0, 0.25], [1.0, 0.0], [0.0, 1.0]],
                ),
            ):
                assert_array_equal(cr.jacobian(h, mode=mode)(x), want)
                assert_array_equal(cr.jacobian(h, mode=mode)(cr.Value(x)).data, want)


def test_tangents_and_cotangents_of_another_kind_are_refused():
    """Of a complex one for a real number the imaginary part would be lost silently."""
    for x in (2.0, np.ones(2)):
        z = x * 1j
        for call in (
            lambda x=x, z=z: cr.jvp(lambda x: x * 2, (x,), (z,)),
            lambda x=x, z=z: cr.linearize(lambda x: x * 2, x)[1](z),
            lambda x=x, z=z: cr.vjp(lambda x: x * 2, x)[1](z),
            lambda x=x, z=z: cr.hvp(lambda x: np.sum(x * x), x, z),
            lambda x=x, z=z: (cr.Value(x) * 2).backward(z),
        ):
            with pytest.raises((TypeError, ValueError), match="complex"):
                call()
    assert cr.vjp(lambda z: z * 2j, 1j)[1](1.0) == (2j,)  # the other way nothing is lost
    for call in (lambda: cr.vjp(np.sin, 1.0)[1]("text"), lambda: cr.jvp(np.sin, (1.0,), (object(),))):
        with pytest.raises(TypeError, match=r"(vjp: cotangent|jvp: tangents) holds a (str|object), expected"):
            call()


# -------------------------------------------------------------------- second derivatives

Q = np.array([[1.0, 2.0, 0.0], [-1.0, 3.0, 5.0], [0.5, 0.0, 2.0]])
HESSIANS = {
    "quadratic": (lambda x: x @ Q @ x, lambda x: Q + Q.T),
    "cubes": (lambda x: np.sum(x**3), lambda x: np.diag(6 * x)),
    "product": (
        lambda x: x[0] * x[1] * x[2],
        lambda x: np.array([[0, x[2], x[1]], [x[2], 0, x[0]], [x[1], x[0], 0]]),
    ),
    "log of a sum": (lambda x: np.log(np.sum(x)), lambda x: -np.ones((3, 3)) / np.sum(x) ** 2),
    "linear": (lambda x: np.sum(x), lambda x: np.zeros((3, 3))),
    "constant": (lambda x: 1.0, lambda x: np.zeros((3, 3))),
}


@pytest.mark.parametrize(("h", "want"), HESSIANS.values(), ids=HESSIANS)
def test_hessian_and_its_products(h, want):
    x, v = np.array([0.5, 1.5, 2.0]), np.array([0.1, -0.2, 0.3])
    H = cr.hessian(h)(x)
    assert_allclose(H, want(x), rtol=1e-13, atol=1e-13)
    assert_allclose(H, H.T, rtol=1e-14, atol=1e-14)
    assert_allclose(cr.hvp(h, x, v), want(x) @ v, rtol=1e-13, atol=1e-13)
    for outer in ("forward", "reverse"):
        for inner in ("forward", "reverse"):
            assert_allclose(
                cr.jacobian(cr.jacobian(h, mode=inner), mode=outer)(x), want(x), rtol=1e-13, atol=1e-13
            )
    assert_allclose(cr.vjp(cr.grad(h), x)[1](v)[0], want(x) @ v, rtol=1e-13, atol=1e-13)


def test_hessians_of_scalars_matrices_and_nothing():
    assert cr.hessian(lambda x: x**4)(2.0) == 48.0
    assert type(cr.hessian(lambda x: x**4)(2.0)) is float
    X = np.arange(6.0).reshape(2, 3)
    H = cr.hessian(lambda X: np.sum((X @ X.T) ** 2) / 4)(X)
    assert H.shape == (2, 3, 2, 3)
    flat = H.reshape(6, 6)
    assert_allclose(flat, flat.T, rtol=1e-14)
    G = X @ X.T  # ∂²/∂Xᵢⱼ∂Xₖₗ of ‖XXᵀ‖²/4 = δᵢₖ (XᵀX)ⱼₗ + Xₖⱼ Xᵢₗ + δⱼₗ Gᵢₖ
    want = np.einsum("ik,jl->ijkl", np.eye(2), X.T @ X) + np.einsum("kj,il->ijkl", X, X)
    assert_allclose(H, want + np.einsum("jl,ik->ijkl", np.eye(3), G), rtol=1e-13)
    assert cr.hessian(np.sum)(np.zeros((0, 2))).shape == (0, 2, 0, 2)
    assert cr.hessian(lambda x: np.sum(x**2))(np.ones(2, np.float32)).dtype == np.float32


def test_hessians_of_containers_are_containers_of_containers():
    def h(p):
        return p["a"] ** 2 * np.sum(p["b"]) + np.sum(p["b"] ** 3)

    b = np.array([3.0, 4.0])
    H = cr.hessian(h)({"a": 2.0, "b": b})
    assert_array_equal(H["a"]["a"], 14.0)
    assert_array_equal(H["a"]["b"], [4.0, 4.0])
    assert_array_equal(H["b"]["a"], [4.0, 4.0])
    assert_array_equal(H["b"]["b"], np.diag(6 * b))
    assert cr.hessian(lambda x, y: x**2 * y, argnums=(0, 1))(2.0, 3.0) == ((6.0, 4.0), (4.0, 0.0))
    assert cr.hessian(lambda x, y: x**2 * y, argnums=-2)(2.0, 3.0) == 6.0


# -------------------------------------------------------------------- stop_gradient


def test_stop_gradient_keeps_the_value_and_sends_no_derivative():
    tree = {"x": np.array([1.0, 2.0]), "n": 3, "text": "kept", "none": None, "list": [2.0]}
    stopped = cr.stop_gradient(tree)
    assert stopped is not tree
    assert optree.tree_structure(stopped) == optree.tree_structure(tree)
    assert stopped["text"] == "kept"

    def h(x):
        still = cr.stop_gradient({"x": x, "n": 2})
        return np.sum(still["x"] * x * still["n"])

    x = np.array([1.0, 2.0])
    assert_array_equal(cr.grad(h)(x), 2 * x)
    assert_array_equal(cr.jvp(h, (x,), (np.ones(2),))[1], 6.0)
    assert_array_equal(cr.hessian(h)(x), np.zeros((2, 2)))
    assert cr.grad(lambda x: cr.stop_gradient(cr.grad(lambda y: y**3)(x)) * x)(2.0) == 12.0
    value, g = cr.value_and_grad(lambda x: cr.stop_gradient(x))(2.0)
    assert (value, g) == (2.0, 0.0)


Z = np.array([0.3 + 0.4j, -0.2 + 0.9j])


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_jacobians_of_holomorphic_functions(mode: str) -> None:
    f = lambda z: np.stack([z[0] * z[1], np.exp(1j * z[0]), z[1] ** 3])
    want = [[Z[1], Z[0]], [1j * np.exp(1j * Z[0]), 0], [0, 3 * Z[1] ** 2]]
    np.testing.assert_allclose(cr.jacobian(f, mode=mode, holomorphic=True)(Z), want, rtol=1e-14)
    assert cr.jacobian(np.sin, mode=mode, holomorphic=True)(Z[0]) == np.cos(Z[0])


def test_hessians_of_holomorphic_functions() -> None:
    f = lambda z: z[0] ** 3 * z[1]
    want = [[6 * Z[0] * Z[1], 3 * Z[0] ** 2], [3 * Z[0] ** 2, 0]]
    np.testing.assert_allclose(cr.hessian(f, holomorphic=True)(Z), want, rtol=1e-14)


@pytest.mark.parametrize("derivative", [cr.jacobian, cr.hessian], ids=lambda d: d.__name__)
def test_what_is_not_holomorphic(derivative: Any) -> None:
    name = derivative.__name__
    with pytest.raises(ValueError, match=f"^{name}: holomorphic=True, but the function is not complex diff"):
        derivative(lambda z: np.conj(z[0]) * z[1] ** 2, holomorphic=True)(Z)
    with pytest.raises(TypeError, match=f"^{name}: .* holomorphic=True"):
        derivative(lambda z: z[0] * z[1])(Z)
    with pytest.raises(TypeError, match=f"^{name}: holomorphic=True expects complex arguments"):
        derivative(lambda z: z[0] * z[1], holomorphic=True)(Z.real)
