"""What does not depend on the carry is computed before the loop, for all steps at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.native.loops import trim
from chainrule.native.reference import order
from tests.loops import reals
from tests.native.test_loops import captured, executed, same

W, XS = reals(3, 4), reals(6, 2, 3)
# Each makes something of x of shape (2, 3), or of w of shape (3, 4), that the carry is then added to.
AHEAD: dict[str, Callable[[Any, Any], Any]] = {
    "elementwise": lambda w, x: np.exp(x) * 2 - x,
    "broadcasting": lambda w, x: x + x[0],
    "an operand of the loop": lambda w, x: x * w[:, 0],
    "where": lambda w, x: np.where(x > 0, x, 0.5),
    "a cast": lambda w, x: (x > 0).astype(float) * x,
    "a reduction": lambda w, x: np.sum(x, axis=0) + np.max(x, axis=1, keepdims=True),
    "a shape": lambda w, x: x.reshape(3, 2).T * 2,
    "slices": lambda w, x: np.concatenate([x[:, ::-1], x[:, 1:]], axis=1)[:, 1:4],
    "an entry put into zeros": lambda w, x: np.pad(x[:, 1:], ((0, 0), (1, 0))),
    "joined with a constant": lambda w, x: np.concatenate([x[:1], w[:1, :3]], axis=0),
    "rows times a matrix": lambda w, x: x @ w[:, :3],
    "a vector times a matrix": lambda w, x: x[0] @ w[:, :3],
    "a matrix times a vector": lambda w, x: w[:, :3] @ x[1],
    "a number": lambda w, x: x[0, 0],
    "nothing of the step": lambda w, x: np.tanh(w)[:2, :3] @ np.ones((3, 3)),
}


@pytest.mark.parametrize("name", AHEAD)
def test_it_is_left_out_of_the_loop(name: str) -> None:
    part = AHEAD[name]

    def f(w: Any, xs: Any) -> Any:
        return cr.scan(lambda c, x: (c * 0.5 + part(w, x), None), np.zeros((2, 3)), xs)[0]

    program, _ = captured(f, W, XS)
    (loop,) = [x for x in order(program.roots()) if x.op == "scan"]
    inside = [x.op for x in order(loop.params["body"].outputs) if x.op not in ("input", "constant")]
    assert inside == ["multiply", "add"]
    same(executed(f)(W, XS), f(W, XS))
    g = cr.grad(lambda w, xs: np.sum(np.sin(f(w, xs))), (0, 1))
    same(executed(g)(W, XS), g(W, XS))


def test_what_is_collected_without_the_carry_is_not_in_the_loop() -> None:
    def f(w: Any, xs: Any) -> Any:
        c, ys = cr.scan(lambda c, x: (c + np.sum(c), {"x": x, "y": x @ w, "w": w[0]}), W[0], xs)
        return c, ys

    program, _ = captured(f, W, XS)
    (loop,) = [x for x in order(program.roots()) if x.op == "scan"]
    assert loop.params["xs"] == 0 and len(loop.params["results"]) == 2  # the carry, and w[0] at every step
    same(executed(f)(W, XS), f(W, XS))


def test_it_is_left_in_where_it_would_take_more_room_than_the_carries() -> None:
    f = lambda x: cr.scan(lambda c, s: (c + np.sum(np.sin(s * x)), None), np.zeros(1), np.arange(5.0))[0]
    for n, inside in ((4, ["add"]), (1_000_000, ["multiply", "sin", "sum", "reshape", "add"])):
        x = np.linspace(0.0, 1.0, n)
        program, _ = captured(f, x)
        (loop,) = [x for x in order(program.roots()) if x.op == "scan"]
        ops = [x.op for x in order(loop.params["body"].outputs) if x.op not in ("input", "constant")]
        assert ops == inside
        same(executed(f)(x), f(x))


def test_a_weight_s_gradient_is_one_product_after_the_loop() -> None:
    def f(w: Any, u: Any, xs: Any) -> Any:
        return np.sum(cr.scan(lambda c, x: (np.tanh(c @ w + x @ u), None), np.zeros((2, 8)), xs)[0])

    args = reals(8, 8), reals(3, 8), XS
    g = cr.grad(f, (0, 1))
    program, _ = captured(g, *args)
    loops = [x for x in order(program.roots()) if x.op == "scan"]
    products = [[x.op for x in order(loop.params["body"].outputs)].count("matmul") for loop in loops]
    assert products == [1, 1]  # c @ w, and back through it; all others are outside
    same(executed(g)(*args), g(*args))


@pytest.mark.parametrize("turned", [False, True])
def test_a_derivative_does_not_repeat_products_of_the_carry(turned: bool) -> None:
    def f(w: Any, xs: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            past = c @ (w.T if turned else w)
            c = np.tanh(np.sin(past) + x)  # whose derivative needs past itself
            return c, c

        return np.sum(cr.scan(step, np.zeros((2, 8)), xs)[1])

    args = reals(8, 8), reals(7, 2, 8)
    g = cr.grad(f, (0, 1))
    program, _ = captured(g, *args)
    nodes = order(trim(program.roots()))
    nodes += [x for n in nodes if n.op == "scan" for x in order(n.params["body"].outputs)]
    assert [x.op for x in nodes].count("matmul") == 3  # forward, back, and the weight's gradient
    same(executed(g)(*args), g(*args))
