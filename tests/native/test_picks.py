"""Picks: what is moved has the same value, an index out of bounds is still noticed, in loops too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.native.capture import capture
from chainrule.native.loops import trim
from chainrule.native.operations import ELEMENTWISE, node
from chainrule.native.picks import picks
from chainrule.native.reference import evaluate, order
from chainrule.native.simplify import simplify
from tests.native.agree import agree

N, C = 6, 4
ROWS = np.arange(N)
LABELS = np.array([0, 3, -1, 2, -4, 1])


def captured(f: Callable[..., Any], *leaves: Any) -> tuple[list[Any], list[Any]]:
    program = capture("f", lambda flat: f(*flat), list(leaves))
    return simplify(program.roots()), [leaves[slot.which] for slot in program.slots]


def same(roots: list[Any], given: list[Any]) -> list[Any]:
    """The program with its picks moved, after all values were compared: its nodes."""
    new = picks(roots)
    old, values = evaluate(order(roots), given), evaluate(order(new), given)
    for a, b in zip(roots, new, strict=True):
        assert (a.shape, a.dtype, a.weak) == (b.shape, b.dtype, b.weak)
        agree(values[b], old[a], 0)
    return order(new)


SHAPES = [(), (1,), (C,), (1, 1), (1, C), (N, 1), (N, C)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("other", SHAPES, ids=str)
def test_operands_of_any_shape(shape: Any, other: Any) -> None:
    """The operations before a pick are done on what is picked."""
    rng = np.random.default_rng(0)
    x, y, z = (np.asarray(rng.normal(size=s)) for s in ((N, C), shape, other))
    roots, given = captured(lambda x, y, z, k: (np.exp(x - y) * np.tanh(z * y))[ROWS, k], x, y, z, LABELS)
    assert not [n for n in same(roots, given) if n.op in ELEMENTWISE and n.shape == (N, C)]


@pytest.mark.parametrize("shape", [(N, C), (1, C), (N, 1), (1, 1)], ids=str)
def test_matrices_of_one_row_or_column(shape: Any) -> None:
    x, k = np.arange(float(np.prod(shape))).reshape(shape), np.zeros(shape[0], int)
    roots, given = captured(lambda x, k: np.exp(x * 0.1 + x[:1])[np.arange(shape[0]), k], x, k)
    same(roots, given)


def test_a_transpose_is_a_comparison_only_where_labels_are_checked() -> None:
    def put(x: Any, k: Any) -> Any:
        return node("scatter_add", (lift_rows(x), rows(), k), (N, C), x.dtype, False, {"indexed": (N,)})

    def lift_rows(x: Any) -> Any:
        return x[:, 0] * 2

    def rows() -> Any:
        return node("constant", (), (N,), np.dtype(np.int64), False, {"value": ROWS})

    x = np.random.default_rng(0).normal(size=(N, C))
    roots, given = captured(lambda x, k: put(x, k), x, LABELS)
    assert "scatter_add" in {n.op for n in same(roots, given)}
    roots, given = captured(lambda x, k: (put(x, k), x[ROWS, k]), x, LABELS)
    assert not {"scatter_add", "unslice"} & {n.op for n in same(roots, given)}


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["d", "f"])
def test_the_sum_of_a_row_with_one_number_is_that_number(dtype: str, keepdims: bool) -> None:
    def f(x: Any, k: Any) -> Any:
        params = {"indexed": (N,)}
        rows = node("constant", (), (N,), np.dtype(np.int64), False, {"value": ROWS})
        put = node("scatter_add", (x[:, 0], rows, k), (N, C), x.dtype, False, params)
        return np.sum(put, axis=1, keepdims=keepdims), x[ROWS, k]

    x = np.random.default_rng(0).normal(size=(N, C)).astype(dtype)
    x[0, 0], x[1, 0], x[2, 0] = -0.0, np.inf, np.nan
    roots, given = captured(f, x, LABELS)
    assert not {"scatter_add", "sum"} & {n.op for n in same(roots, given)}


def test_a_pick_finds_itself_in_its_row() -> None:
    """Also where a product is used otherwise in the row, and only there: it is rounded alike in both."""
    x = np.random.default_rng(0).normal(size=(200, C))
    largest = np.argmax(x * x - x, axis=1)

    @cr.compile
    def distance(x: Any, k: Any) -> Any:
        z = (square := x * x) - x
        return np.max(z, axis=1) - z[np.arange(200), k], np.sum(square)

    np.testing.assert_array_equal(distance(x, largest)[0], np.zeros(200))


def cross_entropy(w: Any, x: Any, y: Any) -> Any:
    z = x @ w
    z = z - np.max(z, 1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(z), 1)) - z[np.arange(x.shape[0]), y])


# Programs whose loops or branches pick from rows; the labels are the last argument.
def trained(w: Any, xs: Any, ys: Any) -> Any:
    def step(w: Any, xy: Any) -> Any:
        loss, g = cr.value_and_grad(cross_entropy)(w, *xy)
        return w - 0.1 * g, loss

    return cr.scan(step, w, (xs, ys))


def repeated(w: Any, xs: Any, ys: Any) -> Any:
    def step(c: Any) -> Any:
        loss, g = cr.value_and_grad(cross_entropy)(c[0], xs[0], ys[0])
        return c[0] - 0.1 * g, c[1] + loss, c[2] + 1

    return cr.while_loop(lambda c: c[2] < 3, step, (w, 0.0, 0))


def chosen(w: Any, xs: Any, ys: Any) -> Any:
    return cr.cond(
        np.sum(w) > 0,
        lambda w: cr.value_and_grad(cross_entropy)(w, xs[0], ys[0]),
        lambda w: cr.value_and_grad(cross_entropy)(w * w, xs[1], ys[1]),
        w,
    )


def backwards(w: Any, xs: Any, ys: Any) -> Any:
    """The derivative of a loop: the loop itself picks, the loop back puts back."""
    return cr.grad(lambda w: cr.scan(lambda c, xy: (c + cross_entropy(w, *xy), None), 0.0, (xs, ys))[0])(w)


LOOPS = {f.__name__: f for f in (trained, repeated, chosen, backwards)}


def arguments() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, C)), rng.normal(size=(3, N, 5)), rng.integers(-C, C, (3, N))


def bodies(roots: list[Any]) -> list[Any]:
    """The sub-programs of all loops and branches."""
    found = []
    for x in order(roots):
        for name in ("body", "condition"):
            found += [x.params[name]] if name in x.params else []
        found += x.params.get("branches", ())
    return found + [b for p in found for b in bodies(p.outputs)]


@pytest.mark.parametrize("name", LOOPS)
def test_sub_programs(name: str) -> None:
    """A body alone, with picks moved: the same values from the same inputs, and the inputs are its own."""
    roots, _ = captured(LOOPS[name], *arguments())
    rng, moved = np.random.default_rng(1), 0
    for body in bodies(roots):
        given = [
            rng.integers(0, C, x.shape) if x.dtype.kind == "i" else rng.normal(size=x.shape).astype(x.dtype)
            for x in body.inputs
        ]
        simple = simplify(trim(body.outputs))
        nodes = same(simple, given)
        assert {n for n in nodes if n.op == "input"} <= set(body.inputs)
        moved += sum(n.op == "gather" and n.inputs[0].op in ELEMENTWISE for n in order(simple))
    assert moved or name == "backwards"  # which only puts back


@pytest.mark.parametrize("name", LOOPS)
def test_compiled_loops(name: str) -> None:
    """Bodies go through this pass on their way to machine code, and no label out of bounds is missed."""
    f, (w, xs, ys) = LOOPS[name], arguments()
    compiled = cr.compile(f)
    agree(compiled(w, xs, ys), f(w, xs, ys), rtol=1e-13)
    wrong = np.array(ys)
    wrong[0, 2] = wrong[1, 2] = C
    with pytest.raises(IndexError):
        compiled(w, xs, wrong)
    agree(compiled(w, xs, ys), f(w, xs, ys), rtol=1e-13)
