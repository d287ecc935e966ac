"""`chainrule.scipy.linalg` beside `scipy.linalg`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import chainrule as cr
from chainrule import Value
from chainrule.scipy import linalg
from tests.scipy.check import like_scipy

rng = np.random.default_rng(3)


def matrix(*shape: int, kind: Any = float) -> Any:
    a = 0.15 * rng.normal(size=shape)
    a = a + 0.15j * rng.normal(size=shape) if kind is complex else a
    return a + np.diag([1.0, 2.5, 4.5, 7.0])[: shape[-2], : shape[-1]]


M, N, Z = matrix(3, 3), matrix(2, 3, 3), matrix(3, 3, kind=complex)
T, W = matrix(4, 3), matrix(2, 4)
v, b = rng.normal(size=3), rng.normal(size=(3, 2))
band, c = rng.normal(size=(4, 5)) + 5 * np.array([[0], [1], [0], [0]]), rng.normal(size=(5, 2))


def spd(a: Any) -> Any:
    return a @ np.conj(np.swapaxes(a, -1, -2))


CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    **{
        f"solve_triangular, trans={trans}, lower={lower}": (
            lambda s, a, b, t=trans, w=lower: s.solve_triangular(a, b, trans=t, lower=w), (Z, b)
        )
        for trans in (0, "T", 2)
        for lower in (False, True)
    },
    "solve_triangular of a vector": (lambda s, a, b: s.solve_triangular(a, b, unit_diagonal=True), (M, v)),
    "solve_triangular of a stack": (lambda s, a, b: s.solve_triangular(a, b), (N, b)),
    "cho_solve": (lambda s, a, b: s.cho_solve(s.cho_factor(spd(a)), b), (M, v)),
    "cho_solve, lower": (lambda s, a, b: s.cho_solve(s.cho_factor(spd(a), lower=True), b), (Z, b)),
    "lu": (lambda s, a: s.lu(a[::-1]), (M,)),
    "lu, tall": (lambda s, a: s.lu(a, permute_l=True), (T,)),
    "lu, wide": (lambda s, a: s.lu(a, p_indices=True)[1:], (W,)),
    "lu of a stack": (lambda s, a: s.lu(a[:, ::-1])[1:], (N,)),
    "lu_factor": (lambda s, a: s.lu_factor(a[::-1])[0], (M,)),
    **{
        f"lu_solve, trans={t}": (lambda s, a, b, t=t: s.lu_solve(s.lu_factor(a[::-1]), b, trans=t), (Z, b))
        for t in (0, 1, 2)
    },
    "expm": (lambda s, a: s.expm(a), (M,)),
    "expm of a stack": (lambda s, a: s.expm(a), (N / 2,)),
    "expm, complex": (lambda s, a: s.expm(a), (Z,)),
    "logm": (lambda s, a: s.logm(a), (M,)),
    "logm, complex": (lambda s, a: s.logm(a), (Z,)),
    "sqrtm": (lambda s, a: s.sqrtm(a), (M,)),
    "sqrtm of a stack": (lambda s, a: s.sqrtm(a), (N,)),
    "solve_sylvester": (lambda s, a, b, q: s.solve_sylvester(a, b, q), (M, matrix(2, 2), b)),
    "solve_continuous_lyapunov": (lambda s, a, q: s.solve_continuous_lyapunov(a, q), (Z, M)),
    "solve_banded": (lambda s, a, b: s.solve_banded((2, 1), a, b), (band, c)),
    "solve_banded of a vector": (lambda s, a, b: s.solve_banded((1, 1), a[:3], b[:, 0]), (band, c)),
    "block_diag": (lambda s, a, b, x: s.block_diag(a, b, x, 2.0), (M, b, v)),
    "toeplitz": (lambda s, c: s.toeplitz(c), (v,)),
    "toeplitz, two": (lambda s, c, r: s.toeplitz(c, r), (v, b[:, 0])),
    "toeplitz, complex": (lambda s, z: s.toeplitz(z[0]), (Z,)),
    "inv": (lambda s, a: s.inv(a), (M,)),
    "inv, assume_a": (lambda s, a: s.inv(a, assume_a="pos"), (spd(M),)),
    "det": (lambda s, a: s.det(a), (Z,)),
    **{
        f"solve, assume_a={k}": (lambda s, a, b, k=k: s.solve(a, b, assume_a=k), (spd(M), v))
        for k in ("gen", "sym", "her", "pos", "upper triangular", "lower triangular")
    },
    "solve, transposed": (lambda s, a, b: s.solve(a, b, transposed=True), (M, v)),
    "eigh": (lambda s, a: (s.eigh(a)[0], abs(s.eigh(a)[1])), (M,)),
    "eigh, upper": (lambda s, a: s.eigh(a, lower=False, eigvals_only=True), (Z,)),
    "eigh, generalised": (lambda s, a, b: s.eigvalsh(a, b), (M, spd(matrix(3, 3)))),
    "eigh, generalised, vectors": (lambda s, a, b: abs(s.eigh(a, b, lower=False)[1]), (M, spd(matrix(3, 3)))),
    "eigh, some": (lambda s, a: abs(s.eigh(a, subset_by_index=(1, 2))[1]), (M,)),
    "eig": (lambda s, a: s.eig(a)[0], (M,)),
    "eigvals": (lambda s, a: s.eigvals(a), (Z,)),
    "svd": (lambda s, a: s.svd(a), (M,)),
    "svd, thin": (lambda s, a: s.svd(a, full_matrices=False), (T,)),
    "svd, values": (lambda s, a: (s.svd(a, compute_uv=False), s.svdvals(a)), (W,)),
    "cholesky": (lambda s, a: s.cholesky(a), (spd(M),)),
    "cholesky, lower": (lambda s, a: s.cholesky(a, lower=True), (spd(Z),)),
    "qr": (lambda s, a: s.qr(a), (M,)),
    "qr, economic": (lambda s, a: s.qr(a, mode="economic"), (T,)),
    "qr, r": (lambda s, a: s.qr(a, mode="r"), (T,)),
    "norm": (lambda s, a: (s.norm(a), s.norm(a, 2), s.norm(a, "nuc"), s.norm(a, 1, axis=0)), (T,)),
    "pinv": (lambda s, a: s.pinv(a), (T,)),
    "lstsq": (lambda s, a, b: s.lstsq(a, b)[0], (T, W.T)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_like_scipy(name: str) -> None:
    f, point = CALLS[name]
    like_scipy(f, linalg, scipy.linalg, *point)


def test_every_function_is_tried() -> None:
    called = {n for name in CALLS for n in name.replace(",", "").split()} | {"cho_factor"}
    assert called >= set(linalg.__all__) - {"eigvalsh", "svdvals"}


x = Value(np.ones((2, 3)))
ERRORS: dict[str, Any] = {
    "solve_triangular: a is (2, 3), expected square": lambda: linalg.solve_triangular(x, v),
    "solve_triangular: trans is 5, expected 0, 1, 2": lambda: linalg.solve_triangular(M, v, 5),
    "solve: assume_a is 'banded'; expected 'general'": lambda: linalg.solve(M, v, assume_a="banded"),
    "solve_banded: ab is (2, 3), b is (3,); with l_and_u (1, 1) ab has 3": lambda: linalg.solve_banded(
        (1, 1), x, v
    ),
    "solve_sylvester: a is (3, 3), b is (3, 3), q is (2, 3)": lambda: linalg.solve_sylvester(M, M, x),
    "qr: pivoting= is not supported; permute": lambda: linalg.qr(x, pivoting=True),
    "qr: mode is 'reduced', expected 'full'": lambda: linalg.qr(x, mode="reduced"),
    "eigh: subset_by_value= is not supported": lambda: linalg.eigh(Value(M), subset_by_value=(0, 1)),
    "eig: b= is not supported; write eig(solve(b, a))": lambda: linalg.eig(Value(M), b=M),
    "eig: left= is not supported; those": lambda: linalg.eig(Value(M), left=True),
    "pinv: atol= is not supported; rtol is": lambda: linalg.pinv(x, atol=0.1),
    "expm: a is (2, 3), expected square": lambda: linalg.expm(x),
    "block_diag: received an array of shape (1, 2, 3)": lambda: linalg.block_diag(x[None]),
    "lu_solve: lu is (2, 3, 3), expected one": lambda: linalg.lu_solve((N, np.zeros((2, 3))), b),
}


@pytest.mark.parametrize("said", ERRORS)
def test_the_error_names_what_was_wrong(said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        ERRORS[said]()
    assert str(error.value).startswith(said)


def test_singular_matrices_are_an_error_of_linear_algebra() -> None:
    z = Value(np.zeros((2, 2)))
    calls: list[Callable[[], Any]] = [
        lambda: linalg.inv(z), lambda: linalg.solve_triangular(z, v[:2]),
        lambda: linalg.solve_banded((0, 0), z[:1], v[:2]), lambda: linalg.cholesky(z),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(np.linalg.LinAlgError):
            call()


def test_the_gradient_of_a_log_likelihood() -> None:
    """∂/∂C of -½ yᵀC⁻¹y - Σ log diag L is ½ (C⁻¹y yᵀC⁻¹ - C⁻¹), in the triangle that is read twice over."""
    cov = spd(M)

    def f(c: Any) -> Any:
        factor = linalg.cho_factor(c, lower=True)
        return -0.5 * v @ linalg.cho_solve(factor, v) - np.sum(np.log(np.diag(factor[0])))

    inverse = np.linalg.inv(cov)
    full = 0.5 * (np.outer(inverse @ v, inverse @ v) - inverse)
    np.testing.assert_allclose(cr.grad(f)(cov), np.tril(full) + np.tril(full, -1), rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Matrix is singular")
@pytest.mark.parametrize("a", [np.zeros((2, 2)), np.diag([1.0, 0.0]), np.ones((3, 3))], ids=str)
def test_square_roots_of_singular_matrices(a: Any) -> None:
    """There the derivative is infinite, or there is none; of what is not asked for, nobody minds."""
    f = lambda a: np.sum(linalg.sqrtm(a).real)
    for run in (cr.grad(f), lambda a: cr.jvp(f, (a,), (np.eye(len(a)),))[1]):
        with pytest.raises(np.linalg.LinAlgError, match=r"^sqrtm: the matrix is singular"):
            run(a)
    assert np.all(cr.grad(lambda a: np.sum(linalg.sqrtm(a).real * 0.0))(a) == 0)
